//! An index by hash that grows by one bucket at a time (linear hashing): what it costs for an entry is the same at any count, and
//! no insertion moves more than a few. A table that doubles costs twice as much just after it has, and stands still to do it.

use alloc::vec::Vec;

/// No index.
pub(crate) const NONE: u32 = u32::MAX;
/// Entries for a bucket on average, at most.
const LOAD: u32 = 2;
/// Numbers in a piece of memory.
const PIECE: usize = 512;

/// Numbers in pieces: growing moves none of them.
#[derive(Default)]
struct Numbers(Vec<Vec<u32>>);

impl Numbers {
    fn get(&self, at: u32) -> u32 {
        let at = at as usize;
        let piece = self.0.get(at / PIECE);
        let number = piece.and_then(|piece| piece.get(at % PIECE));
        number.copied().unwrap_or(NONE)
    }

    /// Sets the number at a place that there is, or the one after the last.
    fn set(&mut self, at: u32, to: u32) {
        let at = at as usize;
        if at / PIECE == self.0.len() {
            self.0.push(Vec::with_capacity(PIECE));
        }
        let Some(piece) = self.0.get_mut(at / PIECE) else {
            return;
        };
        match piece.get_mut(at % PIECE) {
            Some(number) => *number = to,
            None => piece.push(to),
        }
    }

    fn memory(&self) -> usize {
        self.0.len() * PIECE * size_of::<u32>() + self.0.capacity() * size_of::<Vec<u32>>()
    }
}

/// The index: each bucket is a chain of the indices whose hashes fall into it.
#[derive(Default)]
pub(crate) struct Chains {
    /// The first of each bucket.
    heads: Numbers,
    /// By index, the next of its bucket.
    next: Numbers,
    buckets: u32,
    len: u32,
}

impl Chains {
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Octets held.
    pub(crate) fn memory(&self) -> usize {
        self.heads.memory() + self.next.memory()
    }

    /// Where `hash` belongs: its lower bits, one less for what has not been split yet.
    fn bucket(&self, hash: u32) -> u32 {
        // Less than 2^31 buckets: there are twice as many entries.
        let mask = self.buckets.next_power_of_two() - 1;
        let bucket = hash & mask;
        if bucket < self.buckets {
            bucket
        } else {
            bucket & (mask >> 1)
        }
    }

    /// The first index of the bucket of `hash` that `is_it`.
    pub(crate) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        let mut index = self.heads.get(self.bucket(hash));
        while index != NONE {
            if is_it(index) {
                return Some(index);
            }
            index = self.next.get(index);
        }
        None
    }

    /// Adds `index`, which is not there: at most the number of indices that ever were. `hash_of` tells the hash of any that
    /// is there.
    pub(crate) fn insert(&mut self, hash: u32, index: u32, hash_of: impl Fn(u32) -> u32) {
        self.len += 1;
        if self.len > self.buckets * LOAD {
            self.split(hash_of);
        }
        self.push(hash, index);
    }

    fn push(&mut self, hash: u32, index: u32) {
        let bucket = self.bucket(hash);
        self.next.set(index, self.heads.get(bucket));
        self.heads.set(bucket, index);
    }

    /// Adds a bucket, which takes its part of another.
    fn split(&mut self, hash_of: impl Fn(u32) -> u32) {
        let added = self.buckets;
        self.buckets += 1;
        self.heads.set(added, NONE);
        if added == 0 {
            return;
        }
        let from = added ^ (1 << added.ilog2());
        let mut index = self.heads.get(from);
        self.heads.set(from, NONE);
        while index != NONE {
            let next = self.next.get(index);
            self.push(hash_of(index), index);
            index = next;
        }
    }

    /// Takes `index` out; whether it was there.
    pub(crate) fn remove(&mut self, hash: u32, index: u32) -> bool {
        if self.is_empty() {
            return false;
        }
        let bucket = self.bucket(hash);
        let after = self.next.get(index);
        let mut at = self.heads.get(bucket);
        if at == index {
            self.heads.set(bucket, after);
            self.len -= 1;
            return true;
        }
        while at != NONE {
            let next = self.next.get(at);
            if next == index {
                self.next.set(at, after);
                self.len -= 1;
                return true;
            }
            at = next;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Spreads, as a keyed hash does.
    fn hash(index: u32) -> u32 {
        index.wrapping_mul(0x9e37_79b1).rotate_left(15)
    }

    #[test]
    fn costs_the_same_at_any_count_and_chains_stay_short() {
        let mut chains = Chains::default();
        for index in 0..200_000 {
            chains.insert(hash(index), index, hash);
            let len = chains.len();
            // Beside two pieces that are not full, and lists of pieces that double.
            let most = 6 * len + 2 * 4 * PIECE + len / 6 + 512;
            assert!(chains.memory() <= most, "{} at {len}", chains.memory());
        }
        let mut longest = 0;
        for bucket in 0..chains.buckets {
            let (mut index, mut len) = (chains.heads.get(bucket), 0);
            while index != NONE {
                assert_eq!(chains.bucket(hash(index)), bucket);
                (index, len) = (chains.next.get(index), len + 1);
            }
            longest = longest.max(len);
        }
        assert!(longest <= 16, "{longest}");
    }

    proptest! {
        /// Against the obvious: a map. Few hashes, so that chains are long.
        #[test]
        fn as_a_map(steps in proptest::collection::vec((0..3u8, 0..200usize), 0..600), bits in 0..32u32) {
            let hash = |index: u32| hash(index) >> bits;
            let mut chains = Chains::default();
            let mut oracle = BTreeMap::new();
            let (mut free, mut made) = (Vec::new(), 0);
            for (step, which) in steps {
                if step < 2 {
                    let index = free.pop().unwrap_or_else(|| { made += 1; made - 1 });
                    chains.insert(hash(index), index, hash);
                    oracle.insert(index, hash(index));
                } else if let Some((&index, &its)) = oracle.iter().nth(which) {
                    prop_assert!(chains.remove(its, index));
                    prop_assert!(!chains.remove(its, index));
                    oracle.remove(&index);
                    free.push(index);
                }
                prop_assert_eq!(chains.len(), oracle.len());
                for index in 0..made {
                    let found = chains.find(hash(index), |other| other == index);
                    prop_assert_eq!(found.is_some(), oracle.contains_key(&index));
                }
            }
        }
    }
}
