//! What the stack does when memory runs short. In order: no new connections, windows that open no further; then text
//! out of order goes; then the connection that has held most for longest without getting anywhere.

use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

use woshou_tcp::{Flags, Instant, Pressure};

use super::{MAX_REPLY_OCTETS, Stack, context};
use crate::listeners::ListenerId;
use crate::memory::{self, MemoryUse, share};
use crate::table::{Body, ConnId, Place};

/// Queues smaller than this are not worth a connection.
const WORTH_IT: usize = 1024;

impl Stack {
    /// How much memory is held, and what was done to hold no more.
    #[must_use]
    pub fn memory(&self) -> MemoryUse {
        self.memory.usage(self.held())
    }

    /// Octets held: a sum of a few numbers that each part keeps.
    fn held(&self) -> usize {
        self.table.len() * memory::CONNECTION
            + self.table.queued()
            + self.listeners.memory()
            + self.time_waits.memory()
            + self.fragments.memory()
            + self.replies.octets
            + self.looped_octets
            + self.neighbours.memory()
            + self.outside.chunks.memory()
            + self.memory.beside
    }

    /// The owner holds so many octets for the stack's sake, buffers that it receives into, say: they count as the stack's.
    pub fn count_beside(&mut self, octets: usize) {
        self.memory.beside = octets;
    }

    /// Keeps at most so many `octets` of freed send buffers, to be used again; 0 at first. Who moves much wants a megabyte or
    /// two, and nothing once all is still. It counts as held, and goes first where memory runs short.
    pub fn keep_free_chunks(&mut self, octets: usize) {
        self.outside.chunks.keep(octets);
    }

    /// Octets of freed send buffers that are kept now.
    #[must_use]
    pub fn free_chunks(&self) -> usize {
        self.outside.chunks.memory()
    }

    /// Octets held beyond the budget.
    pub(super) fn excess(&self) -> usize {
        self.held().saturating_sub(self.memory.budget())
    }

    /// Whether a queue of packets that holds `held` octets may take `octets` more: within its share, and the budget.
    pub(super) fn may_queue(&self, held: usize, octets: usize) -> bool {
        let most = self.memory.part(share::QUEUE).min(MAX_REPLY_OCTETS);
        held + octets <= most && octets <= self.room()
    }

    /// Octets that a user's call may add.
    pub(super) fn room(&self) -> usize {
        self.memory.budget().saturating_sub(self.held())
    }

    /// Whether a connection may be added.
    pub(super) fn has_room_to_open(&mut self, now: Instant, below: Pressure) -> bool {
        if self.memory.level() < below {
            return true;
        }
        // Nobody else may come by to see that a connection holds the memory and gets nowhere.
        self.mind_memory(now);
        let room = self.memory.level() < below;
        if !room {
            self.memory.refused += 1;
        }
        room
    }

    /// Whether there is no memory for what a segment with `flags` may open at a listener. Half-open connections go
    /// first: they never take much, and under pressure cookies replace them; near the end nothing new is taken at all.
    pub(super) fn is_too_much_to_open(
        &mut self,
        now: Instant,
        id: ListenerId,
        flags: Flags,
    ) -> bool {
        let half_open = self.listeners.memory();
        let short = half_open >= self.memory.part(share::HALF_OPEN)
            || self.memory.level() >= Pressure::Pressure;
        let Some(entry) = self.listeners.get_mut(id) else {
            return false;
        };
        entry.listener.set_short_of_memory(short);
        let opens = match (flags.syn(), flags.ack()) {
            (true, false) => !flags.rst(),
            (false, true) => entry.listener.sends_cookies(now),
            _ => false,
        };
        opens && !self.has_room_to_open(now, Pressure::Critical)
    }

    /// Tells a connection that is about to do something how short memory is.
    pub(super) fn press(&mut self, id: ConnId) {
        let level = self.memory.level();
        if level > Pressure::Plenty {
            self.table.press(id, level);
        }
    }

    /// Takes the measures that are due.
    pub(super) fn mind_memory(&mut self, now: Instant) {
        let held = self.held();
        if self.memory.is_calm(held) && !self.table.has_pressed() {
            return;
        }
        self.memory.observe(held);
        if self.memory.acting {
            return;
        }
        if self.memory.level() > Pressure::Plenty {
            self.outside.chunks.keep(0);
        }
        self.memory.acting = true;
        if self.memory.search_is_due(now, held) {
            self.memory.on_search(now);
            if self.memory.level() == Pressure::Critical {
                self.prune(now);
            }
            self.kill_offenders(now);
        }
        if self.memory.level() == Pressure::Plenty {
            while let Some(id) = self.table.next_pressed() {
                self.settle(now, id);
            }
        }
        self.memory.acting = false;
    }

    /// Drops text out of order, from those with most of it first, until it is enough.
    fn prune(&mut self, now: Instant) {
        let holders = self.table.iter_ids().filter_map(|(id, slot)| {
            let octets = match &slot.body {
                Body::Connection(connection) => connection.out_of_order(),
                Body::Opening(_) => 0,
            };
            (octets > 0).then_some((Reverse(octets), id))
        });
        let mut holders: Vec<_> = holders.collect();
        holders.sort_unstable();
        for (_, id) in holders {
            if self.held() < self.memory.ends(Pressure::Critical) {
                return;
            }
            let mut cx = context(now, &mut self.outside);
            if let Some(slot) = self.table.get_mut(id)
                && let Body::Connection(connection) = &mut slot.body
            {
                self.memory.pruned_octets += connection.drop_out_of_order(&mut cx) as u64;
            }
            self.settle(now, id);
        }
    }

    /// Gives up connections by what they hold times how long they have given nothing back.
    fn kill_offenders(&mut self, now: Instant) {
        let (patience, until) = self.memory.sentence(self.held());
        if self.held() <= until {
            return;
        }
        let offenders = self.table.iter_ids().filter_map(|(id, slot)| {
            let idle = now.since(slot.gave_at);
            let guilty = slot.queued >= WORTH_IT && idle >= patience;
            let idle = (idle + Duration::from_millis(1)).as_millis();
            let burden = idle.saturating_mul(slot.queued as u128);
            guilty.then_some((Reverse(burden), id))
        });
        let mut offenders: Vec<_> = offenders.collect();
        offenders.sort_unstable();
        for (_, id) in offenders {
            if self.held() <= until {
                return;
            }
            self.give_up(now, id);
        }
    }

    /// Ends a connection to have its memory.
    fn give_up(&mut self, now: Instant, id: ConnId) {
        let mut cx = context(now, &mut self.outside);
        let Some(slot) = self.table.get_mut(id) else {
            return;
        };
        match &mut slot.body {
            Body::Connection(connection) => connection.give_up_memory(&mut cx),
            Body::Opening(opening) => opening.abort(&mut cx),
        }
        self.memory.killed += 1;
        self.settle(now, id);
    }

    /// The user let go of `id`. The oldest of too many such connections goes: it had most time to end by itself.
    pub(super) fn on_orphan(&mut self, now: Instant, id: ConnId) {
        let lives = |slot: &crate::table::Slot| slot.place == Place::Here;
        if !self.table.get(id).is_some_and(lives) {
            return;
        }
        self.table.note_orphan(id);
        if self.table.orphans() > self.config.orphans
            && let Some(oldest) = self.table.oldest_orphan()
        {
            self.give_up(now, oldest);
        }
    }
}
