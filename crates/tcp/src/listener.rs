//! SKELETON
use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::config::Config;
use crate::connection::Connection;
use crate::error::Refusal;
use crate::event::Context;
use crate::options::Setup;
use crate::segment::{Endpoints, Segment, Transmit};
use crate::time::Instant;

/// LISTEN: half-open connections (the SYN queue) and a bound on the accept queue; no connection.
#[derive(Debug)]
pub struct Listener;

impl Listener {
    /// `backlog`: finished connections that may wait for `accept` (the owner keeps that queue and reports with
    /// [`Self::accepted`]).
    pub fn new(config: Arc<Config>, backlog: usize) -> Self { todo!() }
    /// A segment for a four-tuple that this listener does not know arrived: a SYN makes an entry and owes a SYN,ACK;
    /// RFC 9293 3.10.7.2 says what else. `Err(AckToListener)`: the owner answers with a stateless RST.
    pub fn handle_syn(&mut self, cx: &mut Context<'_>, setup: &Setup, segment: &Segment<'_>) -> Result<(), Refusal> { todo!() }
    /// Whether `endpoints` is half open here.
    pub fn is_half_open(&self, endpoints: &Endpoints) -> bool { todo!() }
    /// A segment for a half-open connection arrived. `Ok(Some(_))`: the handshake is over, and the connection (ESTABLISHED, or
    /// later when text and FIN came along) has processed the segment already; the accept queue counts it.
    pub fn handle_segment(&mut self, cx: &mut Context<'_>, endpoints: &Endpoints, segment: &Segment<'_>) -> Result<Option<Box<Connection>>, Refusal> { todo!() }
    /// The user took a connection from the accept queue (or one in it died).
    pub fn accepted(&mut self) { todo!() }
    /// What is owed: SYN,ACK, RST, challenge.
    pub fn poll_transmit(&mut self, cx: &mut Context<'_>) -> Option<(Endpoints, Transmit<'static>)> { todo!() }
    /// Time passed; harmless when called too often.
    pub fn handle_timeout(&mut self, cx: &mut Context<'_>) { todo!() }
    /// When `handle_timeout` is due.
    pub fn poll_timeout(&self) -> Option<Instant> { todo!() }
    /// Half-open connections now.
    pub fn half_open(&self) -> usize { todo!() }
    /// Drops all half-open connections (the user closed the listener).
    pub fn close(&mut self, cx: &mut Context<'_>) { todo!() }
}
