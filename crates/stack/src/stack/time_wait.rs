//! A connection goes to TIME-WAIT.

use woshou_tcp::{Endpoints, Instant};

use super::Stack;
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
        let key = self.key(&endpoints);
        self.demux.remove(key.hash, id.index);
        while !self.time_waits.has_room()
            && let Some(oldest) = self.time_waits.oldest()
        {
            self.forget_time_wait(now, oldest);
        }
        let entry = self
            .time_waits
            .has_room()
            .then(|| self.time_waits.insert(&key, time_wait, marks));
        if let Some(slot) = self.table.get_mut(id) {
            slot.place = entry.map_or(Place::Gone, Place::TimeWait);
        }
    }
}
