//! What a listener owes: references to entries, and segments that no entry stands behind.

use alloc::collections::VecDeque;

use super::backlog::Slot;
use crate::event::Reason;
use crate::segment::{Endpoints, Header};

/// Answers without an entry that may wait: an owner that polls after every batch of packets never gets here.
pub(super) const SPARE: usize = 256;

/// A segment that no entry stands behind: a cookie, or a RST.
pub(super) type Bare = (Endpoints, Header, Reason);

/// First in, first out, each kind by itself; bounded, because nobody may poll.
#[derive(Debug, Default)]
pub(super) struct Answers {
    entries: VecDeque<Slot>,
    bare: VecDeque<Bare>,
}

impl Answers {
    /// Returns false, and drops it, where nobody polls: what is lost on the way is lost here as well.
    pub(super) fn push_entry(&mut self, slot: Slot, most: usize) -> bool {
        let room = self.entries.len() < most.saturating_add(SPARE);
        if room {
            self.entries.push_back(slot);
        }
        room
    }

    /// As [`Self::push_entry`].
    pub(super) fn push_bare(&mut self, bare: Bare) -> bool {
        let room = self.bare.len() < SPARE;
        if room {
            self.bare.push_back(bare);
        }
        room
    }

    pub(super) fn pop_bare(&mut self) -> Option<Bare> {
        self.bare.pop_front()
    }

    pub(super) fn pop_entry(&mut self) -> Option<Slot> {
        let slot = self.entries.pop_front();
        // After a flood its room goes back.
        if self.entries.is_empty() && self.entries.capacity() > SPARE {
            self.entries = VecDeque::new();
        }
        slot
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len() + self.bare.len()
    }
}
