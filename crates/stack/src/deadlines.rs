//! When is who due? A heap of four children a node that knows where each key sits.
//!
//! Exact (no ticks: virtual time must not round), one entry a key, and moving a deadline later, which every
//! acknowledgement does, ends after one look at four children when the key sits at the bottom already.

use alloc::vec::Vec;
use core::time::Duration;

use woshou_tcp::Instant;

const CHILDREN: usize = 4;
const ABSENT: u32 = u32::MAX;

/// Deadlines of small integer keys (slab indices).
#[derive(Default)]
pub(crate) struct Deadlines {
    heap: Vec<(Instant, u32)>,
    /// Where each key sits in `heap`.
    position: Vec<u32>,
}

impl Deadlines {
    /// The earliest; of several at one instant the least key, so that order does not depend on history.
    pub(crate) fn first(&self) -> Option<(Instant, u32)> {
        self.heap.first().copied()
    }

    /// A deadline of `key` that its owner has just handled and left in the past would be handled forever.
    #[inline]
    pub(crate) fn not_before(&mut self, key: u32, now: Instant) {
        let is_first = |&(at, first): &(Instant, u32)| first == key && at <= now;
        if self.heap.first().is_some_and(is_first) {
            self.set(key, Some(now + Duration::from_nanos(1)));
        }
    }

    /// The time until `now` is over: what became due meanwhile is due a nanosecond later.
    pub(crate) fn none_before(&mut self, now: Instant) {
        while let Some((_, key)) = self.first().filter(|&(at, _)| at <= now) {
            self.not_before(key, now);
        }
    }

    /// Sets or clears the deadline of `key`.
    #[inline]
    pub(crate) fn set(&mut self, key: u32, at: Option<Instant>) {
        let position = self.position.get(key as usize).copied();
        let position = position.filter(|&position| position != ABSENT);
        let entry = position.and_then(|position| self.heap.get(position as usize));
        if entry.map(|(at, _)| *at) != at {
            self.change(key, position, at);
        }
    }

    fn change(&mut self, key: u32, position: Option<u32>, at: Option<Instant>) {
        let index = key as usize;
        match (position, at) {
            (None, None) => {}
            (None, Some(at)) => {
                if self.position.len() <= index {
                    self.position.resize(index + 1, ABSENT);
                }
                self.heap.push((at, key));
                self.sift_up(self.heap.len() - 1);
            }
            (Some(position), Some(at)) => {
                let position = position as usize;
                let before = self.heap[position].0;
                self.heap[position].0 = at;
                if at < before {
                    self.sift_up(position);
                } else if at > before {
                    self.sift_down(position);
                }
            }
            (Some(position), None) => self.remove_at(position as usize),
        }
    }

    fn remove_at(&mut self, position: usize) {
        let (_, gone) = self.heap.swap_remove(position);
        self.position[gone as usize] = ABSENT;
        if position < self.heap.len() {
            self.position[self.heap[position].1 as usize] = to_u32(position);
            self.sift_up(position);
            self.sift_down(position);
        }
    }

    fn sift_up(&mut self, mut at: usize) {
        let entry = self.heap[at];
        while at > 0 {
            let parent = (at - 1) / CHILDREN;
            if self.heap[parent] <= entry {
                break;
            }
            self.place(at, self.heap[parent]);
            at = parent;
        }
        self.place(at, entry);
    }

    fn sift_down(&mut self, mut at: usize) {
        let entry = self.heap[at];
        loop {
            let first = at * CHILDREN + 1;
            let last = (first + CHILDREN).min(self.heap.len());
            let Some(least) = (first..last).min_by_key(|&child| self.heap[child]) else {
                break;
            };
            if entry <= self.heap[least] {
                break;
            }
            self.place(at, self.heap[least]);
            at = least;
        }
        self.place(at, entry);
    }

    fn place(&mut self, at: usize, entry: (Instant, u32)) {
        self.heap[at] = entry;
        self.position[entry.1 as usize] = to_u32(at);
    }
}

/// Keys are `u32`, one entry a key: positions are below 2^32 - 1.
fn to_u32(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(ABSENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    proptest! {
        /// Against the obvious: a map scanned for its minimum after every step.
        #[test]
        fn as_a_scanned_map(steps in proptest::collection::vec((0u32..40, proptest::option::of(0u64..50)), 0..400)) {
            let mut deadlines = Deadlines::default();
            let mut oracle = BTreeMap::new();
            for (key, at) in steps {
                let at = at.map(Instant::from_nanos);
                deadlines.set(key, at);
                match at {
                    Some(at) => oracle.insert(key, at),
                    None => oracle.remove(&key),
                };
                let expected = oracle.iter().map(|(&key, &at)| (at, key)).min();
                prop_assert_eq!(deadlines.first(), expected);
                prop_assert_eq!(deadlines.heap.len(), oracle.len());
            }
            while let Some((at, key)) = deadlines.first() {
                prop_assert_eq!(oracle.remove(&key), Some(at));
                deadlines.set(key, None);
            }
            prop_assert!(oracle.is_empty());
        }
    }
}
