//! Deferred SYN,ACKs: the program sees the SYN first, and decides.

use core::time::Duration;

use woshou_tcp::{Endpoints, Flags, Instant, SeqNum, Wake};

use super::Stack;
use super::tcp::Incoming;
use crate::deferred::{Decision, IncomingId, IncomingSyn};
use crate::listeners::ListenerId;
use crate::table::{ConnId, Holder};

/// How long a SYN waits for a decision: the peer has sent it three times by then.
const PATIENCE: Duration = Duration::from_secs(10);

impl Stack {
    /// Whether the program decides about each SYN of the listener ([`crate::Event::Incoming`], [`Self::decide`]) before
    /// anything is sent. Off by default; no cookie is sent before the decision.
    ///
    /// At most 1,024 SYNs wait in a stack, each for 10 s; a SYN more is dropped and counted
    /// ([`crate::Counters::backlog_overflows`]). The same SYN again is not asked about again.
    pub fn set_deferred(&mut self, id: ListenerId, deferred: bool) {
        if let Some(entry) = self.listeners.get_mut(id) {
            entry.deferred = deferred;
        }
    }

    /// The SYN that waits for a decision; `None`: it was decided, it came to nothing, or `id` names nothing.
    #[must_use]
    pub fn incoming(&self, id: IncomingId) -> Option<IncomingSyn> {
        let (pending, accepted) = self.deferred.get(id)?;
        (!accepted).then_some(pending.syn)
    }

    /// Decides. `false`: there is nothing to decide any more.
    ///
    /// After [`Decision::Accept`] the connection comes to the accept queue ([`Self::accept_incoming`]), or
    /// [`crate::Event::Cancelled`] tells that it will not.
    pub fn decide(&mut self, now: Instant, id: IncomingId, decision: Decision) -> bool {
        let Some((&pending, false)) = self.deferred.get(id) else {
            return false;
        };
        let incoming = Incoming::of(&pending);
        match decision {
            Decision::Accept => {
                let until = now + self.tcp.open_timeout + self.tcp.max_rto;
                self.deferred.accept(id, until);
                if !self.open_half(now, pending.syn.listener, &incoming, pending.after) {
                    self.deferred.cancel(id);
                }
            }
            Decision::Refuse => {
                self.deferred.remove(id);
                self.send_reset(now, &incoming);
            }
            Decision::Ignore => {
                self.deferred.remove(id);
            }
        }
        true
    }

    /// As [`Self::accept`], the connection between `endpoints`; `None`: it does not wait there.
    pub fn accept_incoming(&mut self, id: ListenerId, endpoints: &Endpoints) -> Option<ConnId> {
        let table = &self.table;
        let entry = self.listeners.get_mut(id)?;
        let is_it = |waits: &ConnId| {
            let slot = table.get(*waits);
            slot.is_some_and(|slot| slot.body.endpoints() == endpoints)
        };
        let at = entry.queue.iter().position(is_it)?;
        let connection = entry.queue.remove(at)?;
        entry.listener.accepted();
        let slot = self.table.get_mut(connection)?;
        slot.holder = Holder::User;
        self.table.wake(connection, Wake::NONE);
        Some(connection)
    }

    /// Whether the handshake of an accepted SYN still goes on.
    #[must_use]
    pub fn is_opening(&self, id: IncomingId) -> bool {
        self.deferred.get(id).is_some()
    }

    /// A segment for a listener: a SYN that is to be decided about, or the RST of a peer that gave up (its number must be the
    /// one after the SYN's). `true`: it needs nothing else.
    pub(super) fn defer(
        &mut self,
        now: Instant,
        id: ListenerId,
        incoming: &Incoming<'_>,
        after: Option<SeqNum>,
    ) -> bool {
        if !self.listeners.get(id).is_some_and(|entry| entry.deferred) {
            return false;
        }
        let header = incoming.segment.header;
        if header.flags.rst() {
            if let Some(known) = self.deferred.find(&incoming.endpoints)
                && let Some((pending, false)) = self.deferred.get(known)
                && header.seq == pending.syn.header.seq + 1
            {
                self.deferred.cancel(known);
            }
            return true;
        }
        if !header.flags.syn() || header.flags.intersects(Flags::ACK) {
            return false;
        }
        let known = self.deferred.find(&incoming.endpoints);
        if known.is_some_and(|known| matches!(self.deferred.get(known), Some((_, true)))) {
            // Accepted, and no table knows it: its SYN,ACK was a cookie, which nobody but the peer can ask for again.
            return false;
        }
        let pending = incoming.pending(id, after);
        if !self.deferred.insert(pending, now + PATIENCE) {
            self.counters.refused += 1;
            self.counters.backlog_overflows += 1;
        }
        true
    }

    /// The handshake between `endpoints` came to nothing.
    pub(super) fn cancel_incoming(&mut self, endpoints: &Endpoints) {
        if let Some(id) = self.deferred.find(endpoints) {
            self.deferred.cancel(id);
        }
    }

    /// SYNs nobody decided about in time.
    pub(super) fn expire_deferred(&mut self, now: Instant) {
        while let Some((_, index)) = self.deferred.deadlines.first().filter(|&(at, _)| at <= now) {
            match self.deferred.id(index) {
                Some(id) => self.deferred.cancel(id),
                None => self.deferred.deadlines.set(index, None),
            }
        }
    }
}
