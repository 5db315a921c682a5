//! SYNs that wait for the program's decision.

use alloc::collections::VecDeque;

use hashbrown::HashMap;
use slab::Slab;
use woshou_tcp::{Endpoints, Header, Instant, PackedEndpoints, SeqNum};

use crate::config::LinkId;
use crate::deadlines::Deadlines;
use crate::demux::KeyedHash;
use crate::listeners::ListenerId;

/// SYNs that may wait in a stack, those that were accepted and whose handshake is not over included; a SYN more is dropped.
pub(crate) const MAX: usize = 1_024;

/// A SYN that waits for a decision: index and generation, so that a stale id names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncomingId {
    index: u32,
    generation: u32,
}

/// What the program decides about a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Go on with the handshake: SYN,ACK. The connection comes to the accept queue when it is over.
    Accept,
    /// RST, as if nobody listened.
    Refuse,
    /// Nothing, as if it had been lost. The peer sends it again in a second, and is asked about again.
    Ignore,
}

/// A SYN, and who sent it to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IncomingSyn {
    /// The listener it is for.
    pub listener: ListenerId,
    /// Both ends.
    pub endpoints: Endpoints,
    /// Its header: options offered, window, flags.
    pub header: Header,
}

/// All that is needed to go on with it later.
#[derive(Clone, Copy)]
pub(crate) struct Pending {
    pub(crate) syn: IncomingSyn,
    pub(crate) link: LinkId,
    pub(crate) tos: u8,
    /// As of a connection in TIME-WAIT before it.
    pub(crate) after: Option<SeqNum>,
}

struct Entry {
    generation: u32,
    pending: Pending,
    accepted: bool,
}

/// All of them.
pub(crate) struct Deferred {
    entries: Slab<Entry>,
    /// Nothing iterates over it.
    by_ends: HashMap<PackedEndpoints, u32, KeyedHash>,
    pub(crate) deadlines: Deadlines,
    asked: VecDeque<IncomingId>,
    gone: VecDeque<IncomingId>,
    next_generation: u32,
}

impl Deferred {
    pub(crate) fn new(hash: KeyedHash) -> Self {
        Self {
            entries: Slab::new(),
            by_ends: HashMap::with_hasher(hash),
            deadlines: Deadlines::default(),
            asked: VecDeque::new(),
            gone: VecDeque::new(),
            next_generation: 0,
        }
    }

    /// Keeps a SYN until then, and asks. A SYN that is there already is not asked about twice. `false`: no room.
    pub(crate) fn insert(&mut self, pending: Pending, until: Instant) -> bool {
        if self.find(&pending.syn.endpoints).is_some() {
            return true;
        }
        if self.entries.len() >= MAX {
            return false;
        }
        let generation = self.next_generation;
        self.next_generation = generation.wrapping_add(1);
        let who = PackedEndpoints::new(&pending.syn.endpoints);
        let index = self.entries.insert(Entry {
            generation,
            pending,
            accepted: false,
        });
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        self.by_ends.insert(who, index);
        self.deadlines.set(index, Some(until));
        self.asked.push_back(IncomingId { index, generation });
        true
    }

    /// The one between `endpoints`.
    pub(crate) fn find(&self, endpoints: &Endpoints) -> Option<IncomingId> {
        if self.entries.is_empty() {
            return None;
        }
        let index = *self.by_ends.get(&PackedEndpoints::new(endpoints))?;
        self.id(index)
    }

    /// The id of the entry at `index`.
    pub(crate) fn id(&self, index: u32) -> Option<IncomingId> {
        let generation = self.entries.get(index as usize)?.generation;
        Some(IncomingId { index, generation })
    }

    fn entry(&self, id: IncomingId) -> Option<&Entry> {
        let entry = self.entries.get(id.index as usize)?;
        (entry.generation == id.generation).then_some(entry)
    }

    /// What waits under this id, and whether it was accepted.
    pub(crate) fn get(&self, id: IncomingId) -> Option<(&Pending, bool)> {
        self.entry(id).map(|entry| (&entry.pending, entry.accepted))
    }

    /// It was accepted: it stays until its handshake is over, but not longer than until then.
    pub(crate) fn accept(&mut self, id: IncomingId, until: Instant) {
        if self.entry(id).is_some()
            && let Some(entry) = self.entries.get_mut(id.index as usize)
        {
            entry.accepted = true;
            self.deadlines.set(id.index, Some(until));
        }
    }

    /// Forgets it.
    pub(crate) fn remove(&mut self, id: IncomingId) -> Option<Pending> {
        self.entry(id)?;
        self.deadlines.set(id.index, None);
        let entry = self.entries.try_remove(id.index as usize)?;
        self.by_ends
            .remove(&PackedEndpoints::new(&entry.pending.syn.endpoints));
        // News of what is gone are no news; both queues are as short as the table.
        self.asked.retain(|asked| *asked != id);
        Some(entry.pending)
    }

    /// Forgets it, and tells the program.
    pub(crate) fn cancel(&mut self, id: IncomingId) {
        let asked = self.asked.contains(&id);
        if self.remove(id).is_some() && !asked {
            // Who never asks for news does not make this grow.
            if self.gone.len() >= MAX {
                self.gone.pop_front();
            }
            self.gone.push_back(id);
        }
    }

    /// Its listener is closed.
    pub(crate) fn cancel_all_of(&mut self, listener: ListenerId) {
        let its: alloc::vec::Vec<_> = (self.entries.iter())
            .filter(|(_, entry)| entry.pending.syn.listener == listener)
            .filter_map(|(index, _)| self.id(u32::try_from(index).ok()?))
            .collect();
        its.into_iter().for_each(|id| self.cancel(id));
    }

    pub(crate) fn poll_asked(&mut self) -> Option<IncomingId> {
        self.asked.pop_front()
    }

    pub(crate) fn poll_gone(&mut self) -> Option<IncomingId> {
        self.gone.pop_front()
    }
}
