//! SKELETON
use crate::event::Context;
use crate::segment::{Endpoints, Header, Segment};
use crate::time::Instant;

/// TIME-WAIT: a few numbers that only answer (RFC 9293 section 3.6, 3.10.7.4).
#[derive(Clone, Copy, Debug)]
pub struct TimeWait;

/// What the owner does after a segment for TIME-WAIT.
#[derive(Clone, Copy, Debug)]
pub enum TimeWaitAction {
    /// Nothing.
    Ignore,
    /// Send this header, without text.
    Acknowledge(Header),
    /// Forget the entry.
    Delete,
    /// A new SYN may reuse the four-tuple (MAY-2, RFC 6191): forget the entry, hand the segment to the
    /// listener, with an initial sequence number after this one.
    Reopen(crate::SeqNum),
}

impl TimeWait {
    /// A segment arrived.
    pub fn handle_segment(&mut self, cx: &mut Context<'_>, who: &Endpoints, segment: &Segment<'_>) -> TimeWaitAction { todo!() }
    /// When 2 MSL are over.
    pub fn expires_at(&self) -> Instant { todo!() }
}
