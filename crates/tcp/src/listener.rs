//! LISTEN: half-open connections, and a bound on those that wait for `accept`.

mod answers;
mod backlog;
mod cookie;
mod headers;
mod listen;
mod options;
mod shares;

use alloc::boxed::Box;
use alloc::sync::Arc;

use siphasher::sip::SipHasher24;

use crate::config::{AcceptOverflow, Config};
use crate::connection::{Connection, SynAck, window_of_syn};
use crate::error::Refusal;
use crate::event::{Context, Reason, Timer, TraceEvent};
use crate::options::{Agreed, Setup};
use crate::paws::Paws;
use crate::segment::{Endpoints, Flags, Header, Segment, Transmit};
use crate::seq::SeqNum;
use crate::state::{Event, State};
use crate::time::Instant;
use answers::Answers;
use backlog::{Backlog, HalfOpen, Slot};
use cookie::Cookies;
use headers::{acknowledgement, syn_ack};
pub use listen::Heard;
use shares::Shares;

/// LISTEN: half-open connections (the SYN queue) and a bound on the accept queue; no connection.
///
/// A half-open connection costs at most 160 octets, whatever its SYN carried. There are at most [`Config::half_open`]; a SYN that
/// finds no room, or whose network has had its part of a table that is half full, is answered by a cookie and not remembered
/// ([`Config::syn_cookies`]). So a flood of SYNs neither fills the memory nor keeps anyone out. Text and FIN on a SYN are not kept: the SYN,ACK
/// does not acknowledge them, so the peer sends them again, and the connection takes them then.
#[derive(Debug)]
pub struct Listener {
    config: Arc<Config>,
    half_open: Backlog,
    /// Connections that wait for `accept`, and how many may.
    waiting: usize,
    backlog: usize,
    cookies: Cookies,
    shares: Shares,
    answers: Answers,
    /// The owner has no memory for half-open connections: cookies, or nothing.
    short_of_memory: bool,
}

/// A key for one purpose, from the one that the owner gave.
fn derive(key: &[u8; 16], purpose: u8) -> [u8; 16] {
    let hasher = SipHasher24::new_with_key(key);
    let halves = [0, 1].map(|half| hasher.hash(&[purpose, half]).to_be_bytes());
    let mut derived = [0; 16];
    derived[..8].copy_from_slice(&halves[0]);
    derived[8..].copy_from_slice(&halves[1]);
    derived
}

impl Listener {
    /// `backlog`: finished connections that may wait for `accept` (the owner keeps that queue and reports with
    /// [`Self::accepted`]); zero counts as one. `key`: 128 random bits that nobody outside knows: they keep the table of half-open
    /// connections from being aimed at, and sign cookies.
    #[must_use]
    pub fn new(config: Arc<Config>, backlog: usize, key: [u8; 16]) -> Self {
        Self {
            half_open: Backlog::new(&config, key),
            config,
            waiting: 0,
            backlog: backlog.max(1),
            cookies: Cookies::new(derive(&key, 1)),
            shares: Shares::new(derive(&key, 2)),
            answers: Answers::default(),
            short_of_memory: false,
        }
    }

    /// Whether the owner has no memory for another half-open connection: until it has, a SYN is answered as if the table
    /// were full.
    pub fn set_short_of_memory(&mut self, short: bool) {
        self.short_of_memory = short;
    }

    /// Whether `endpoints` is half open here.
    #[must_use]
    pub fn is_half_open(&self, endpoints: &Endpoints) -> bool {
        self.half_open.find(endpoints).is_some()
    }

    /// A segment for a half-open connection arrived. `Ok(Some(_))`: the handshake is over, and the connection (ESTABLISHED, or
    /// later when text and FIN came along) has processed the segment already; the accept queue counts it.
    ///
    /// Source: RFC 9293 section 3.10.7.4, SYN-RECEIVED after a passive open; RFC 5961.
    ///
    /// # Errors
    /// Why the segment was refused; what is owed in answer is noted. After [`Refusal::ValidReset`] and [`Refusal::BlindSyn`]
    /// the four-tuple is not half open any more. [`Refusal::Closed`]: it was not.
    pub fn handle_segment(
        &mut self,
        cx: &mut Context<'_>,
        endpoints: &Endpoints,
        segment: &Segment<'_>,
    ) -> Result<Option<Box<Connection>>, Refusal> {
        let Some(slot) = self.half_open.find(endpoints) else {
            return Err(Refusal::Closed);
        };
        match self.check(cx, slot, segment) {
            Ok(true) => Ok(self.establish(cx, slot, segment)),
            Ok(false) => {
                trace_received(cx, endpoints, segment);
                self.owe(slot, Reason::Accept);
                Ok(None)
            }
            Err(refusal) => {
                trace_received(cx, endpoints, segment);
                self.refuse(cx, slot, segment, refusal);
                trace_refusal(cx, endpoints, Err(refusal))
            }
        }
    }

    /// The eight checks as far as the fifth. `Ok(true)`: it completes the handshake; `Ok(false)`: the SYN once more.
    fn check(
        &mut self,
        cx: &Context<'_>,
        slot: Slot,
        segment: &Segment<'_>,
    ) -> Result<bool, Refusal> {
        let room = self.waiting < self.backlog;
        let window = window_of_syn(&self.config);
        let Some(entry) = self.half_open.get_mut(slot) else {
            return Err(Refusal::Closed);
        };
        let header = &segment.header;
        let flags = header.flags;
        if let Some(recent) = entry.agreed.timestamps {
            Paws::new(recent, entry.since).check(cx.now, header)?;
        }
        let only_syn = flags.syn() && !flags.intersects(Flags::ACK | Flags::RST);
        if only_syn && header.seq == entry.agreed.irs {
            // Our SYN,ACK was lost, or is late. The next echoes the newer timestamp (RFC 7323 section 4.3).
            let newer = header.options.timestamps.map(|theirs| theirs.value);
            entry.agreed.timestamps = entry.agreed.timestamps.and(newer);
            // One SYN without it is enough to leave it (RFC 3168 section 6.1.1).
            entry.agreed.ecn &= self.config.ecn_policy().agrees(header);
            return Ok(false);
        }
        let rcv_nxt = entry.agreed.irs + 1;
        let end = rcv_nxt + window;
        let len = segment.len();
        let starts_inside = header.seq == rcv_nxt || header.seq.between(rcv_nxt, end);
        let ends_inside = len > 0 && (header.seq + (len - 1)).between(rcv_nxt, end);
        if !starts_inside && !ends_inside {
            return Err(Refusal::OutsideWindow); // first
        }
        if flags.rst() {
            let exact = header.seq == rcv_nxt;
            return Err(if exact {
                Refusal::ValidReset
            } else {
                Refusal::BlindReset
            }); // second
        }
        if flags.syn() {
            return Err(Refusal::BlindSyn); // fourth
        }
        if !flags.ack() {
            return Err(Refusal::NoAck); // fifth
        }
        if header.ack != entry.iss + 1 {
            return Err(Refusal::AckOfUnsent);
        }
        if room {
            Ok(true)
        } else {
            Err(Refusal::AcceptQueueFull)
        }
    }

    /// The answer to a segment that [`Self::check`] refused.
    fn refuse(
        &mut self,
        cx: &mut Context<'_>,
        slot: Slot,
        segment: &Segment<'_>,
        refusal: Refusal,
    ) {
        let header = &segment.header;
        match refusal {
            Refusal::OutsideWindow if !header.flags.rst() => {
                self.challenge(cx, slot, Reason::OutsideWindow);
            }
            Refusal::OldTimestamp => self.challenge(cx, slot, Reason::Duplicate),
            Refusal::BlindReset => self.challenge(cx, slot, Reason::Challenge),
            // RFC 9293: "return this connection to the LISTEN state", "the user need not be informed".
            Refusal::ValidReset | Refusal::BlindSyn => self.forget(cx, slot),
            Refusal::AckOfUnsent => {
                if let Some(entry) = self.half_open.get(slot) {
                    let endpoints = entry.endpoints();
                    self.owe_reset(endpoints, header.ack);
                }
            }
            Refusal::AcceptQueueFull if self.config.accept_overflow == AcceptOverflow::Reset => {
                if let Some(entry) = self.half_open.get(slot) {
                    let endpoints = entry.endpoints();
                    self.owe_reset(endpoints, header.ack);
                }
                self.forget(cx, slot);
            }
            // Full: the SYN,ACK's timer, or the peer's text, tries again.
            _ => {}
        }
    }

    fn establish(
        &mut self,
        cx: &mut Context<'_>,
        slot: Slot,
        segment: &Segment<'_>,
    ) -> Option<Box<Connection>> {
        let entry = self.half_open.remove(slot)?;
        let setup = entry.setup();
        self.shares.remove(&setup.endpoints.remote);
        let syn_ack = SynAck {
            sent_at: Some(entry.since),
            repeats: entry.syn_acks.saturating_sub(1),
        };
        let opened = self.open(cx, setup, (entry.agreed, syn_ack), segment);
        Some(opened)
    }

    /// The handshake is over.
    fn open(
        &mut self,
        cx: &mut Context<'_>,
        setup: Setup,
        (agreed, syn_ack): (Agreed, SynAck),
        segment: &Segment<'_>,
    ) -> Box<Connection> {
        let config = Arc::clone(&self.config);
        let mut connection = Connection::passive(cx, setup, agreed, config, syn_ack);
        // What it refuses of the rest it counts, traces and answers itself.
        let _ = connection.handle_segment(cx, segment);
        self.waiting += 1;
        connection
    }

    /// The user took a connection from the accept queue (or one in it died).
    pub fn accepted(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// Forgets a half-open connection.
    fn forget(&mut self, cx: &mut Context<'_>, slot: Slot) {
        if let Some(entry) = self.half_open.remove(slot) {
            let who = entry.endpoints();
            self.shares.remove(&who.remote);
            trace_state(cx, &who, State::SynReceived, Event::Abort);
        }
    }

    /// Owes an acknowledgement, within the entry's limit and then the stack's (RFC 5961 section 7).
    //= rfc9293 X-7
    fn challenge(&mut self, cx: &mut Context<'_>, slot: Slot, reason: Reason) {
        let most = self.config.challenge_acks_per_second;
        let entry = self.half_open.get_mut(slot);
        if entry.is_some_and(|entry| entry.may_challenge(cx.now, most)) && cx.may_challenge() {
            self.owe(slot, reason);
        }
    }

    /// Owes the half-open connection a segment. A SYN,ACK goes before an acknowledgement, and says as much.
    fn owe(&mut self, slot: Slot, reason: Reason) {
        let Some(entry) = self.half_open.get_mut(slot) else {
            return;
        };
        match entry.owed {
            Some(Reason::Accept | Reason::Timeout) => {}
            Some(_) => entry.owed = Some(reason),
            None => {
                entry.owed = Some(reason);
                if !self.answers.push_entry(slot, self.config.half_open)
                    && let Some(entry) = self.half_open.get_mut(slot)
                {
                    entry.owed = None;
                }
            }
        }
    }

    /// Owes a RST with this number.
    fn owe_reset(&mut self, who: Endpoints, seq: SeqNum) {
        let header = Header {
            seq,
            flags: Flags::RST,
            ..Header::default()
        };
        self.answers.push_bare((who, header, Reason::WrongAck));
    }

    /// What is owed: SYN,ACK, RST, challenge.
    pub fn poll_transmit(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Option<(Endpoints, Transmit<'static>)> {
        let (who, header, reason) = match self.answers.pop_bare() {
            Some(bare) => bare,
            None => self.next_of_entries(cx.now)?,
        };
        cx.trace(&who, || TraceEvent::Sent {
            header,
            len: 0,
            segment_size: None,
            reason,
        });
        let text = [&[][..]; 2];
        let transmit = Transmit {
            header,
            text,
            segment_size: None,
            ecn: self.config.ecn_of_syn(header.flags),
            reason,
        };
        Some((who, transmit))
    }

    fn next_of_entries(&mut self, now: Instant) -> Option<answers::Bare> {
        loop {
            let slot = self.answers.pop_entry()?;
            let Some(entry) = self.half_open.get_mut(slot) else {
                continue;
            };
            let Some(reason) = entry.owed.take() else {
                continue;
            };
            let setup = entry.setup();
            let header = match reason {
                Reason::Accept | Reason::Timeout => {
                    entry.syn_acks = entry.syn_acks.saturating_add(1);
                    syn_ack(&self.config, &setup, &entry.agreed, setup.timestamp(now))
                }
                _ => acknowledgement(&self.config, now, entry),
            };
            return Some((setup.endpoints, header, reason));
        }
    }

    /// Time passed: sends SYN,ACKs again, and forgets connections whose handshake took too long. Harmless when called too often.
    //= rfc9293 MUST-23
    pub fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        while let Some(slot) = self.half_open.pop_due(cx.now) {
            let Some(entry) = self.half_open.get(slot) else {
                return;
            };
            let (who, since) = (entry.endpoints(), entry.since);
            cx.trace(&who, || TraceEvent::TimerFired {
                timer: Timer::Retransmission,
            });
            if cx.now.since(since) >= self.config.open_timeout {
                self.forget(cx, slot);
            } else {
                self.owe(slot, Reason::Timeout);
            }
        }
    }

    /// When `handle_timeout` is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.half_open.next_due()
    }

    /// Half-open connections now.
    #[must_use]
    pub fn half_open(&self) -> usize {
        self.half_open.len()
    }

    /// The half-open connections, in an order that does not depend on chance.
    pub fn half_open_endpoints(&self) -> impl Iterator<Item = Endpoints> + '_ {
        self.half_open.iter().map(HalfOpen::endpoints)
    }

    /// Drops all half-open connections (the user closed the listener), silently: their peers' next segments find nobody.
    pub fn close(&mut self, cx: &mut Context<'_>) {
        self.answers = Answers::default();
        self.shares.clear();
        for entry in self.half_open.drain() {
            trace_state(cx, &entry.endpoints(), State::SynReceived, Event::Abort);
        }
    }
}

fn trace_received(cx: &mut Context<'_>, who: &Endpoints, segment: &Segment<'_>) {
    cx.trace(who, || TraceEvent::Received {
        header: segment.header,
        len: u32::try_from(segment.text.octets.len()).unwrap_or(u32::MAX),
    });
}

fn trace_refusal<T>(
    cx: &mut Context<'_>,
    who: &Endpoints,
    result: Result<T, Refusal>,
) -> Result<T, Refusal> {
    if let Err(refusal) = &result {
        let refusal = *refusal;
        cx.trace(who, || TraceEvent::Refused { refusal });
    }
    result
}

/// The arrow that `event` draws from `from`, if it draws one.
fn trace_state(cx: &mut Context<'_>, who: &Endpoints, from: State, event: Event) {
    if let Some(to) = from.on(event) {
        cx.trace(who, || TraceEvent::StateChanged { from, to, event });
    }
}

#[cfg(test)]
mod tests;
