//! The four-tuples in TIME-WAIT: small entries that only answer, bounded in number.

use slab::Slab;
use woshou_tcp::{Endpoints, Instant, TimeWait};

use crate::deadlines::Deadlines;
use crate::marks::Marks;

/// An entry; stale ids name nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeWaitId {
    pub(crate) index: u32,
    generation: u32,
}

pub(crate) struct Entry {
    generation: u32,
    pub(crate) endpoints: Endpoints,
    pub(crate) time_wait: TimeWait,
    pub(crate) marks: Marks,
}

/// All entries, by when they expire.
pub(crate) struct TimeWaits {
    entries: Slab<Entry>,
    deadlines: Deadlines,
    next_generation: u32,
    capacity: usize,
}

impl TimeWaits {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            entries: Slab::new(),
            deadlines: Deadlines::default(),
            next_generation: 0,
            capacity,
        }
    }

    /// Whether another entry fits. If not, [`Self::oldest`] is to go first.
    pub(crate) fn has_room(&self) -> bool {
        self.entries.len() < self.capacity
    }

    /// The entry that expires first.
    pub(crate) fn oldest(&self) -> Option<u32> {
        self.deadlines.first().map(|(_, index)| index)
    }

    pub(crate) fn insert(
        &mut self,
        endpoints: Endpoints,
        time_wait: TimeWait,
        marks: Marks,
    ) -> TimeWaitId {
        let generation = self.next_generation;
        self.next_generation = generation.wrapping_add(1);
        let index = self.entries.insert(Entry {
            generation,
            endpoints,
            time_wait,
            marks,
        });
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        self.deadlines.set(index, Some(time_wait.expires_at()));
        TimeWaitId { index, generation }
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut Entry> {
        self.entries.get_mut(index as usize)
    }

    /// Whether the entry still stands.
    pub(crate) fn holds(&self, id: TimeWaitId) -> bool {
        self.entries
            .get(id.index as usize)
            .is_some_and(|entry| entry.generation == id.generation)
    }

    /// A repeated FIN restarts the 2 MSL: reads the new end.
    pub(crate) fn rearm(&mut self, index: u32) {
        if let Some(entry) = self.entries.get(index as usize) {
            self.deadlines
                .set(index, Some(entry.time_wait.expires_at()));
        }
    }

    pub(crate) fn remove(&mut self, index: u32) -> Option<Entry> {
        self.deadlines.set(index, None);
        self.entries.try_remove(index as usize)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| at)
    }

    /// An entry whose time is over.
    pub(crate) fn expired(&self, now: Instant) -> Option<u32> {
        self.deadlines
            .first()
            .filter(|&(at, _)| at <= now)
            .map(|(_, index)| index)
    }

    /// Every entry, by index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(|(_, entry)| entry)
    }
}
