//! A connection goes to TIME-WAIT.

use woshou_tcp::{Endpoints, Instant};

use super::Stack;
use crate::demux::Owner;
use crate::marks::Marks;
use crate::table::{ConnId, Place};

impl Stack {
    /// The four-tuple goes to a small entry of its own; the slot keeps what the user may still read.
    pub(super) fn enter_time_wait(
        &mut self,
        now: Instant,
        id: ConnId,
        (endpoints, time_wait, marks): (Endpoints, woshou_tcp::TimeWait, Marks),
    ) {
        self.table.forget_orphan(id);
        self.demux.remove(&endpoints, Owner::Connection(id.index));
        while !self.time_waits.has_room()
            && let Some(oldest) = self.time_waits.oldest()
        {
            self.forget_time_wait(now, oldest);
        }
        let entry = self
            .time_waits
            .has_room()
            .then(|| self.time_waits.insert(&endpoints, time_wait, marks));
        if let Some(slot) = self.table.get_mut(id) {
            slot.place = entry.map_or(Place::Gone, Place::TimeWait);
        }
    }
}
