//! SKELETON: signatures of the contract; bodies are being written by the tcp owner.
use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::config::Config;
use crate::error::{Ended, PathError, ReadError, Refusal, WriteError};
use crate::event::{Context, Reason, Wake};
use crate::info::TcpInfo;
use crate::options::{Agreed, Setup};
use crate::segment::{Endpoints, Segment, Transmit};
use crate::seq::SeqNum;
use crate::state::State;
use crate::time::Instant;
use crate::time_wait::TimeWait;

/// What to send next: small, `Copy`, decided without touching a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Why.
    pub reason: Reason,
    /// First sequence number.
    pub seq: SeqNum,
    /// Octets of text.
    pub len: u32,
    /// FIN goes with it.
    pub fin: bool,
}

/// SYN-SENT.
#[derive(Debug)]
pub struct Opening;

/// What an [`Opening`] became.
#[derive(Debug)]
pub enum Opened {
    /// Nothing yet: still SYN-SENT.
    Waiting,
    /// ESTABLISHED or (simultaneous open) SYN-RECEIVED: replace the `Opening` by this.
    Connection(Box<Connection>),
    /// Over: see [`Opening::ended`]; tell the user and drop it.
    Ended,
}

impl Opening {
    /// Starts an active open; the SYN is owed at once.
    pub fn new(cx: &mut Context<'_>, setup: Setup, config: Arc<Config>) -> Self { todo!() }
    /// A segment for it arrived. A refused segment may leave a RST owed: poll `plan`.
    pub fn handle_segment(&mut self, cx: &mut Context<'_>, segment: &Segment<'_>) -> Result<Opened, Refusal> { todo!() }
    /// The network reported an error about our SYN (already matched to `seq` by the caller's four-tuple).
    pub fn handle_path_error(&mut self, cx: &mut Context<'_>, error: PathError, seq: SeqNum) { todo!() }
    /// Time passed; harmless when called too often.
    pub fn handle_timeout(&mut self, cx: &mut Context<'_>) { todo!() }
    /// When `handle_timeout` is due.
    pub fn poll_timeout(&self) -> Option<Instant> { todo!() }
    /// What to send next.
    pub fn plan(&self, now: Instant, max_text: u32) -> Option<Plan> { todo!() }
    /// Builds it and notes it as sent.
    pub fn build(&mut self, cx: &mut Context<'_>, plan: Plan) -> Transmit<'_> { todo!() }
    /// CLOSE or ABORT in SYN-SENT: deletes it; nothing is sent (RFC 9293 3.10.4, 3.10.5).
    pub fn abort(&mut self, cx: &mut Context<'_>) { todo!() }
    /// What changed for the user; clears it.
    pub fn poll_event(&mut self) -> Wake { todo!() }
    /// Why it ended, when it did.
    pub fn ended(&self) -> Option<Ended> { todo!() }
    /// Both ends.
    pub fn endpoints(&self) -> &Endpoints { todo!() }
    /// Figures about it.
    pub fn info(&self, now: Instant) -> TcpInfo { todo!() }
}

/// A connection from SYN-RECEIVED to LAST-ACK, and what the user may still read after it.
#[derive(Debug)]
pub struct Connection;

impl Connection {
    /// A connection in SYN-RECEIVED whose SYN,ACK was sent by a [`crate::Listener`] (`peer_window`: SEG.WND of the SYN).
    pub fn passive(cx: &mut Context<'_>, setup: Setup, agreed: Agreed, config: Arc<Config>) -> Box<Self> { todo!() }

    // ---- what happened ----
    /// SEGMENT ARRIVES (RFC 9293 3.10.7.4).
    pub fn handle_segment(&mut self, cx: &mut Context<'_>, segment: &Segment<'_>) -> Result<(), Refusal> { todo!() }
    /// The network reported an error about a segment of ours that began at `seq`.
    pub fn handle_path_error(&mut self, cx: &mut Context<'_>, error: PathError, seq: SeqNum) { todo!() }
    /// The path carries segments of at most `send_mss` octets (without options) now.
    pub fn set_send_mss(&mut self, cx: &mut Context<'_>, send_mss: u16) { todo!() }
    /// Time passed; harmless when called too often.
    pub fn handle_timeout(&mut self, cx: &mut Context<'_>) { todo!() }

    // ---- what is owed ----
    /// What to send next, with at most `max_text` octets of text (more than one segment's worth makes a GSO
    /// super-segment). Pure: calling it changes nothing.
    pub fn plan(&self, now: Instant, max_text: u32) -> Option<Plan> { todo!() }
    /// Builds what `plan` chose, notes it as sent, and traces it.
    pub fn build(&mut self, cx: &mut Context<'_>, plan: Plan) -> Transmit<'_> { todo!() }
    /// When `handle_timeout` is due.
    pub fn poll_timeout(&self) -> Option<Instant> { todo!() }
    /// What changed for the user since the last call; clears it.
    pub fn poll_event(&mut self) -> Wake { todo!() }
    /// In TIME-WAIT: the small type that answers from now on. The connection itself is then only the user's
    /// remains (unread text) and wants no segments.
    pub fn time_wait(&self) -> Option<TimeWait> { todo!() }

    // ---- the user's calls ----
    /// SEND: takes as many octets as there is room for.
    pub fn write(&mut self, octets: &[u8]) -> Result<usize, WriteError> { todo!() }
    /// RECEIVE: `Ok(0)` is the end of the peer's text (unless `into` is empty).
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize, ReadError> { todo!() }
    /// RECEIVE without a copy: at most `max` octets; empty at the end of the peer's text.
    pub fn read_chunk(&mut self, max: usize) -> Result<bytes::Bytes, ReadError> { todo!() }
    /// As `read`, leaving the text where it is.
    pub fn peek(&self, into: &mut [u8]) -> Result<usize, ReadError> { todo!() }
    /// CLOSE: no more text from us; what was written is still sent, then FIN. Reading goes on. Idempotent.
    pub fn shutdown(&mut self, cx: &mut Context<'_>) { todo!() }
    /// The user lets go of the connection: CLOSE, and nobody will read. Unread or later text is answered with
    /// RST (RFC 9293 3.6.1); FIN-WAIT-2 ends by its timer.
    pub fn close(&mut self, cx: &mut Context<'_>) { todo!() }
    /// ABORT: RST if the state calls for one, and everything is discarded.
    pub fn abort(&mut self, cx: &mut Context<'_>) { todo!() }
    /// Switches Nagle's algorithm off (`true`) or on (MUST-17).
    pub fn set_nodelay(&mut self, nodelay: bool) { todo!() }
    /// Whether Nagle's algorithm is off.
    pub fn nodelay(&self) -> bool { todo!() }
    /// Keep-alive on or off.
    pub fn set_keep_alive(&mut self, now: Instant, keep_alive: Option<crate::config::KeepAlive>) { todo!() }

    // ---- to look at ----
    /// The state.
    pub fn state(&self) -> State { todo!() }
    /// Both ends.
    pub fn endpoints(&self) -> &Endpoints { todo!() }
    /// Why it ended, when it did.
    pub fn ended(&self) -> Option<Ended> { todo!() }
    /// Octets that `read` would hand out now.
    pub fn readable(&self) -> usize { todo!() }
    /// Octets that `write` would take now.
    pub fn writable(&self) -> usize { todo!() }
    /// Whether the peer's FIN arrived and everything before it was read.
    pub fn at_end(&self) -> bool { todo!() }
    /// Octets written and not yet acknowledged.
    pub fn unacknowledged(&self) -> usize { todo!() }
    /// Figures about it.
    pub fn info(&self, now: Instant) -> TcpInfo { todo!() }
}
