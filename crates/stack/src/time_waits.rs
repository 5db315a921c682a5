//! The four-tuples in TIME-WAIT: small entries that only answer, bounded in number.
//!
//! A busy server holds a hundred thousand of them, so each costs less than 96 octets, everything counted, at any number of
//! them: 88 for the entry, in pieces of which only the last is not full, and 6 for its place in the index. When they expire costs
//! nothing more: all that last equally long expire in the order in which they began, so they hang in a list.

use alloc::vec::Vec;

use woshou_tcp::{Endpoints, Instant, PackedEndpoints, TimeWait, TupleHash};

use crate::demux::Key;
use crate::marks::Marks;
use chains::{Chains, NONE};

mod chains;

/// Entries in a piece of memory.
const PIECE: usize = 64;
/// What an entry costs at most, octets.
pub(crate) const COST: usize = 96;
/// Lists at most; a duration after that many others shares the last list, where it may expire late.
const MAX_LISTS: usize = 254;
/// The list of an entry that is free.
const FREE: u8 = u8::MAX;

/// An entry; stale ids name nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeWaitId {
    pub(crate) index: u32,
    generation: u32,
}

pub(crate) struct Entry {
    who: PackedEndpoints,
    pub(crate) time_wait: TimeWait,
    generation: u32,
    /// Neighbours in its list; `after` alone among the free.
    before: u32,
    after: u32,
    pub(crate) marks: Marks,
    list: u8,
}

impl Entry {
    pub(crate) fn endpoints(&self) -> Endpoints {
        self.who.unpack()
    }
}

/// Entries that last equally long, the one that expires first in front.
struct List {
    /// As [`TimeWait::lasts`].
    lasts: u32,
    first: u32,
    last: u32,
}

/// All entries.
pub(crate) struct TimeWaits {
    pieces: Vec<Vec<Entry>>,
    free: u32,
    /// By four-tuple.
    index: Chains,
    /// Of the index.
    hash: TupleHash,
    lists: Vec<List>,
    next_generation: u32,
    capacity: usize,
}

fn entry(pieces: &[Vec<Entry>], index: u32) -> Option<&Entry> {
    let index = index as usize;
    let entry = pieces.get(index / PIECE)?.get(index % PIECE)?;
    (entry.list != FREE).then_some(entry)
}

impl TimeWaits {
    /// `hash`: as of the [`Key`]s.
    pub(crate) fn new(capacity: usize, hash: TupleHash) -> Self {
        Self {
            pieces: Vec::new(),
            free: NONE,
            index: Chains::default(),
            hash,
            lists: Vec::new(),
            next_generation: 0,
            capacity,
        }
    }

    /// Octets held.
    pub(crate) fn memory(&self) -> usize {
        let list = self.pieces.capacity() * size_of::<Vec<Entry>>();
        self.pieces.len() * PIECE * size_of::<Entry>() + list + self.index.memory()
    }

    /// Whether another entry fits. If not, [`Self::oldest`] is to go first.
    pub(crate) fn has_room(&self) -> bool {
        self.index.len() < self.capacity
    }

    /// The entry that expires first.
    pub(crate) fn oldest(&self) -> Option<u32> {
        self.next().map(|(_, index)| index)
    }

    fn next(&self) -> Option<(Instant, u32)> {
        let firsts = self.lists.iter().filter_map(|list| {
            let entry = entry(&self.pieces, list.first)?;
            Some((entry.time_wait.expires_at(), list.first))
        });
        firsts.min()
    }

    pub(crate) fn find(&self, key: &Key) -> Option<u32> {
        let is_it = |index| entry(&self.pieces, index).is_some_and(|e| e.who == key.who);
        self.index.find(key.hash, is_it)
    }

    /// Adds an entry for a four-tuple that is not there.
    pub(crate) fn insert(&mut self, key: &Key, time_wait: TimeWait, marks: Marks) -> TimeWaitId {
        let generation = self.next_generation;
        self.next_generation = generation.wrapping_add(1);
        let index = self.place(Entry {
            who: key.who,
            time_wait,
            generation,
            before: NONE,
            after: NONE,
            marks,
            list: 0,
        });
        let (pieces, hash) = (&self.pieces, &self.hash);
        let hash_of = |index| entry(pieces, index).map_or(0, |e| hash.of(&e.who) as u32);
        self.index.insert(key.hash, index, hash_of);
        self.link(index);
        TimeWaitId { index, generation }
    }

    /// Puts an entry in a free place.
    fn place(&mut self, entry: Entry) -> u32 {
        let index = self.free;
        if let Some(place) = self.raw_mut(index) {
            let next = place.after;
            *place = entry;
            self.free = next;
            return index;
        }
        if self.pieces.last().is_none_or(|piece| piece.len() == PIECE) {
            // Only the list of pieces itself is ever moved.
            self.pieces.push(Vec::with_capacity(PIECE));
        }
        let before = (self.pieces.len() - 1) * PIECE;
        let Some(piece) = self.pieces.last_mut() else {
            return NONE;
        };
        piece.push(entry);
        // 2^32 entries would need more memory than there is: the index fits.
        u32::try_from(before + piece.len() - 1).unwrap_or(NONE)
    }

    fn raw_mut(&mut self, index: u32) -> Option<&mut Entry> {
        let index = index as usize;
        self.pieces.get_mut(index / PIECE)?.get_mut(index % PIECE)
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut Entry> {
        self.raw_mut(index).filter(|entry| entry.list != FREE)
    }

    /// Whether the entry still stands.
    pub(crate) fn holds(&self, id: TimeWaitId) -> bool {
        entry(&self.pieces, id.index).is_some_and(|entry| entry.generation == id.generation)
    }

    /// A repeated FIN restarts the 2 MSL: it is the last to expire again.
    pub(crate) fn rearm(&mut self, index: u32) {
        self.unlink(index);
        self.link(index);
    }

    /// Hangs an entry at the end of the list of those that last as long.
    fn link(&mut self, index: u32) {
        let Some(entry) = entry(&self.pieces, index) else {
            return;
        };
        let lasts = entry.time_wait.lasts();
        let known = self.lists.iter().position(|list| list.lasts == lasts);
        let at = known.unwrap_or_else(|| {
            if self.lists.len() < MAX_LISTS {
                let (first, last) = (NONE, NONE);
                self.lists.push(List { lasts, first, last });
            }
            self.lists.len() - 1
        });
        let Some(list) = self.lists.get_mut(at) else {
            return;
        };
        let before = core::mem::replace(&mut list.last, index);
        if before == NONE {
            list.first = index;
        }
        if let Some(entry) = self.get_mut(before) {
            entry.after = index;
        }
        if let Some(entry) = self.get_mut(index) {
            (entry.before, entry.after) = (before, NONE);
            entry.list = u8::try_from(at).unwrap_or(0);
        }
    }

    /// Takes an entry out of its list.
    fn unlink(&mut self, index: u32) {
        let Some(entry) = entry(&self.pieces, index) else {
            return;
        };
        let (before, after, list) = (entry.before, entry.after, usize::from(entry.list));
        match self.get_mut(before) {
            Some(entry) => entry.after = after,
            None => {
                if let Some(list) = self.lists.get_mut(list) {
                    list.first = after;
                }
            }
        }
        match self.get_mut(after) {
            Some(entry) => entry.before = before,
            None => {
                if let Some(list) = self.lists.get_mut(list) {
                    list.last = before;
                }
            }
        }
    }

    /// Forgets an entry; whose it was.
    pub(crate) fn remove(&mut self, index: u32) -> Option<Endpoints> {
        let who = entry(&self.pieces, index)?.who;
        self.unlink(index);
        self.index.remove(self.hash.of(&who) as u32, index);
        let next = self.free;
        if let Some(entry) = self.raw_mut(index) {
            (entry.list, entry.after) = (FREE, next);
            self.free = index;
        }
        if self.index.is_empty() {
            // After a rush all memory goes back.
            self.pieces = Vec::new();
            self.lists = Vec::new();
            self.index = Chains::default();
            self.free = NONE;
        }
        Some(who.unpack())
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.next().map(|(at, _)| at)
    }

    /// An entry whose time is over.
    pub(crate) fn expired(&self, now: Instant) -> Option<u32> {
        self.next()
            .filter(|&(at, _)| at <= now)
            .map(|(_, index)| index)
    }

    /// Every entry, by index: an order that does not depend on chance.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.pieces
            .iter()
            .flatten()
            .filter(|entry| entry.list != FREE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use proptest::prelude::*;
    use woshou_tcp::SeqNum;
    use woshou_tcp::time_wait::TimeWaitSetup;

    fn who(peer: u16) -> Endpoints {
        Endpoints {
            local: ([10, 0, 0, 1], 80).into(),
            remote: ([10, 0, 0, 2], peer).into(),
        }
    }

    fn key(who: &Endpoints) -> Key {
        Key::new(&TupleHash::new([3; 16]), who)
    }

    fn time_wait(now: Instant, lasts: u64) -> TimeWait {
        let setup = TimeWaitSetup {
            snd_nxt: SeqNum(0),
            rcv_nxt: SeqNum(0),
            window: 0,
            timestamps: None,
            wants_timestamps: true,
            lasts: Duration::from_secs(lasts),
        };
        TimeWait::new(now, setup)
    }

    #[test]
    fn an_entry_is_small() {
        assert_eq!(size_of::<Entry>(), 88);
    }

    /// Charged at any number: `COST` each, beside pieces that are not full.
    #[test]
    fn each_costs_less_than_96_octets_at_any_count() {
        let mut entries = TimeWaits::new(usize::MAX, TupleHash::new([3; 16]));
        for index in 0..150_000u32 {
            let [a, b, high, low] = (index + (1 << 24)).to_be_bytes();
            let mut who = who(u16::from_be_bytes([high, low]));
            who.remote.set_ip([10, a, b, 2].into());
            entries.insert(&key(&who), time_wait(Instant::ZERO, 60), Marks::new(64, 0));
            let len = entries.index.len();
            assert!(
                entries.memory() <= COST * len + 16_000,
                "{} at {len}",
                entries.memory()
            );
            assert!(
                len < 10_000 || entries.memory() <= COST * len,
                "{} at {len}",
                entries.memory()
            );
        }
    }

    proptest! {
        /// Against the obvious: a list that is scanned.
        #[test]
        fn as_a_scanned_list(
            steps in proptest::collection::vec((0..4u8, 0..600u16, 1..4u64, 0..9u64), 0..900),
        ) {
            let mut entries = TimeWaits::new(10_000, TupleHash::new([3; 16]));
            let mut oracle: Vec<(u16, Instant, TimeWaitId)> = Vec::new();
            let mut now = Instant::from_millis(1);
            for (step, peer, lasts, pause) in steps {
                now += Duration::from_millis(pause);
                let known = oracle.iter().position(|entry| entry.0 == peer);
                let index = entries.find(&key(&who(peer)));
                prop_assert_eq!(index, known.map(|at| oracle[at].2.index));
                match (step, index, known) {
                    (0..2, None, _) => {
                        let entry = time_wait(now, lasts);
                        let id = entries.insert(&key(&who(peer)), entry, Marks::new(64, 0));
                        oracle.push((peer, entry.expires_at(), id));
                    }
                    (2, Some(index), Some(at)) => {
                        prop_assert_eq!(entries.remove(index), Some(who(peer)));
                        prop_assert!(!entries.holds(oracle[at].2));
                        oracle.remove(at);
                    }
                    (3, Some(index), Some(at)) => {
                        let entry = entries.get_mut(index).unwrap();
                        let lasts = entry.time_wait.lasts() / 1000;
                        entry.time_wait = time_wait(now, lasts.into());
                        oracle[at].1 = entry.time_wait.expires_at();
                        entries.rearm(index);
                    }
                    _ => {}
                }
                prop_assert_eq!(entries.poll_timeout(), oracle.iter().map(|entry| entry.1).min());
                prop_assert!(oracle.iter().all(|entry| entries.holds(entry.2)));
                prop_assert_eq!(entries.iter().count(), oracle.len());
            }
            now += Duration::from_secs(9);
            while let Some(index) = entries.expired(now) {
                let gone = entries.remove(index).unwrap();
                let least = oracle.iter().map(|entry| entry.1).min();
                let at = oracle.iter().position(|entry| who(entry.0) == gone).unwrap();
                prop_assert_eq!(Some(oracle.remove(at).1), least);
            }
            prop_assert!(oracle.is_empty() && entries.pieces.is_empty());
        }
    }
}
