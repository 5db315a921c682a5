//! LISTEN: half-open connections, and a bound on those that wait for `accept`.

mod backlog;
mod options;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::time::Duration;

use woshou_wire::tcp_option::{TcpOptions, Timestamps};

use crate::config::Config;
use crate::connection::{Connection, SynAck, window_of_syn};
use crate::error::Refusal;
use crate::event::{Context, Reason, Timer, TraceEvent};
use crate::options::{Offer, Setup};
use crate::paws::Paws;
use crate::segment::{Ecn, Endpoints, Flags, Header, Segment, Transmit};
use crate::seq::SeqNum;
use crate::state::{Event, State};
use crate::time::Instant;
use backlog::{Backlog, HalfOpen, Slot};

/// Answers that may wait beside one for each half-open connection: an owner that polls never gets here.
const SPARE_ANSWERS: usize = 64;

/// LISTEN: half-open connections (the SYN queue) and a bound on the accept queue; no connection.
///
/// A half-open connection costs at most 160 octets, whatever its SYN carried. Text and FIN on a SYN are not kept: the SYN,ACK
/// does not acknowledge them, so the peer sends them again, and the connection takes them then.
#[derive(Debug)]
pub struct Listener {
    config: Arc<Config>,
    half_open: Backlog,
    /// Connections that wait for `accept`, and how many may.
    waiting: usize,
    backlog: usize,
    owed: VecDeque<Owed>,
    /// Challenge ACKs sent in the second that began at `second`.
    challenges: u8,
    second: Instant,
}

/// Something to send.
#[derive(Debug)]
enum Owed {
    /// What [`HalfOpen::owed`] says, if the entry is still there.
    Entry(Slot),
    /// A RST with this number.
    Reset(Endpoints, SeqNum),
}

impl Listener {
    /// `backlog`: finished connections that may wait for `accept` (the owner keeps that queue and reports with
    /// [`Self::accepted`]); zero counts as one. `key`: 128 random bits that keep the table of half-open connections from being
    /// aimed at.
    #[must_use]
    pub fn new(config: Arc<Config>, backlog: usize, key: [u8; 16]) -> Self {
        Self {
            half_open: Backlog::new(&config, key),
            config,
            waiting: 0,
            backlog: backlog.max(1),
            owed: VecDeque::new(),
            challenges: 0,
            second: Instant::ZERO,
        }
    }

    /// A segment for a four-tuple that this listener does not know arrived: a SYN makes an entry and owes a SYN,ACK.
    /// A RST is ignored.
    ///
    /// Source: RFC 9293 section 3.10.7.2.
    ///
    /// # Errors
    /// [`Refusal::AckToListener`]: answer with a stateless RST. [`Refusal::NoSyn`], [`Refusal::BacklogFull`]: nothing to do.
    pub fn handle_syn(
        &mut self,
        cx: &mut Context<'_>,
        setup: &Setup,
        segment: &Segment<'_>,
    ) -> Result<(), Refusal> {
        trace_received(cx, &setup.endpoints, segment);
        let result = self.listen(cx, setup, segment);
        trace_refusal(cx, &setup.endpoints, result)
    }

    /// The checks of RFC 9293 section 3.10.7.2, in its order.
    fn listen(
        &mut self,
        cx: &mut Context<'_>,
        setup: &Setup,
        segment: &Segment<'_>,
    ) -> Result<(), Refusal> {
        let header = &segment.header;
        let flags = header.flags;
        if flags.rst() {
            return Ok(());
        }
        if flags.ack() {
            return Err(Refusal::AckToListener);
        }
        if !flags.syn() {
            return Err(Refusal::NoSyn);
        }
        if self.half_open.find(&setup.endpoints).is_some() {
            // The owner knows better; the entry stays what it is, and its SYN,ACK is on its way.
            return Ok(());
        }
        if self.half_open.len() >= self.config.half_open {
            return Err(Refusal::BacklogFull);
        }
        let offer = Offer::new(&self.config, setup.receive_mss);
        let agreed = offer.agree(&setup.endpoints, header);
        let slot = self.half_open.insert(cx.now, *setup, agreed);
        trace_state(cx, &setup.endpoints, State::Listen, Event::Syn);
        self.owe(slot, Reason::Accept);
        Ok(())
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
        if header.ack != entry.setup.iss + 1 {
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
                self.challenge(cx.now, slot, Reason::OutsideWindow);
            }
            Refusal::OldTimestamp => self.challenge(cx.now, slot, Reason::Duplicate),
            Refusal::BlindReset => self.challenge(cx.now, slot, Reason::Challenge),
            // RFC 9293: "return this connection to the LISTEN state", "the user need not be informed".
            Refusal::ValidReset | Refusal::BlindSyn => self.forget(cx, slot),
            Refusal::AckOfUnsent => {
                if let Some(entry) = self.half_open.get(slot) {
                    let endpoints = entry.setup.endpoints;
                    self.queue(Owed::Reset(endpoints, header.ack));
                }
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
        let syn_ack = SynAck {
            sent_at: entry.since,
            repeats: entry.syn_acks.saturating_sub(1),
        };
        let config = Arc::clone(&self.config);
        let mut connection = Connection::passive(cx, entry.setup, entry.agreed, config, syn_ack);
        // Its handshake is over. What it refuses of the rest it counts, traces and answers itself.
        let _ = connection.handle_segment(cx, segment);
        self.waiting += 1;
        Some(connection)
    }

    /// The user took a connection from the accept queue (or one in it died).
    pub fn accepted(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// Forgets a half-open connection.
    fn forget(&mut self, cx: &mut Context<'_>, slot: Slot) {
        if let Some(entry) = self.half_open.remove(slot) {
            trace_state(cx, &entry.setup.endpoints, State::SynReceived, Event::Abort);
        }
    }

    /// Owes an acknowledgement, within the limit of RFC 5961 section 7; for the whole listener.
    fn challenge(&mut self, now: Instant, slot: Slot, reason: Reason) {
        if now.since(self.second) >= Duration::from_secs(1) {
            (self.second, self.challenges) = (now, 0);
        }
        if self.challenges < self.config.challenge_acks_per_second {
            self.challenges += 1;
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
                if !self.queue(Owed::Entry(slot))
                    && let Some(entry) = self.half_open.get_mut(slot)
                {
                    entry.owed = None;
                }
            }
        }
    }

    /// Returns false, and drops it, where nobody polls: what is lost on the way is lost here as well.
    fn queue(&mut self, owed: Owed) -> bool {
        let room = self.owed.len() < self.config.half_open.saturating_add(SPARE_ANSWERS);
        if room {
            self.owed.push_back(owed);
        }
        room
    }

    /// What is owed: SYN,ACK, RST, challenge.
    pub fn poll_transmit(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Option<(Endpoints, Transmit<'static>)> {
        loop {
            let (who, header, reason) = match self.owed.pop_front()? {
                Owed::Reset(who, seq) => {
                    let header = Header {
                        seq,
                        flags: Flags::RST,
                        ..Header::default()
                    };
                    (who, header, Reason::WrongAck)
                }
                Owed::Entry(slot) => {
                    let Some(entry) = self.half_open.get_mut(slot) else {
                        continue;
                    };
                    let Some(reason) = entry.owed.take() else {
                        continue;
                    };
                    let header = match reason {
                        Reason::Accept | Reason::Timeout => {
                            entry.syn_acks = entry.syn_acks.saturating_add(1);
                            syn_ack(&self.config, cx.now, entry)
                        }
                        _ => acknowledgement(&self.config, cx.now, entry),
                    };
                    (entry.setup.endpoints, header, reason)
                }
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
                ecn: Ecn::NotEct,
                reason,
            };
            return Some((who, transmit));
        }
    }

    /// Time passed: sends SYN,ACKs again, and forgets connections whose handshake took too long. Harmless when called too often.
    //= rfc9293 MUST-23
    pub fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        while let Some(slot) = self.half_open.pop_due(cx.now) {
            let Some(entry) = self.half_open.get(slot) else {
                return;
            };
            let (who, since) = (entry.setup.endpoints, entry.since);
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

    /// Drops all half-open connections (the user closed the listener), silently: their peers' next segments find nobody.
    pub fn close(&mut self, cx: &mut Context<'_>) {
        self.owed = VecDeque::new();
        for entry in self.half_open.drain() {
            trace_state(cx, &entry.setup.endpoints, State::SynReceived, Event::Abort);
        }
    }
}

/// <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>, its window never scaled (RFC 7323 section 2.2).
fn syn_ack(config: &Config, now: Instant, entry: &HalfOpen) -> Header {
    let HalfOpen { setup, agreed, .. } = entry;
    let theirs = TcpOptions {
        window_scale: agreed.scaling.then_some(agreed.send_scale),
        sack_permitted: agreed.sack,
        timestamps: agreed.timestamps.map(|value| Timestamps { value, echo: 0 }),
        ..TcpOptions::default()
    };
    Header {
        seq: setup.iss,
        ack: agreed.irs + 1,
        flags: Flags::SYN | Flags::ACK,
        window: u16::try_from(window_of_syn(config)).unwrap_or(u16::MAX),
        urgent: 0,
        options: Offer::new(config, setup.receive_mss).syn_ack(&theirs, setup.timestamp(now)),
    }
}

/// <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>
fn acknowledgement(config: &Config, now: Instant, entry: &HalfOpen) -> Header {
    let HalfOpen { setup, agreed, .. } = entry;
    let window = window_of_syn(config) >> agreed.receive_scale;
    let timestamps = agreed.timestamps.map(|echo| Timestamps {
        value: setup.timestamp(now),
        echo,
    });
    Header {
        seq: setup.iss + 1,
        ack: agreed.irs + 1,
        flags: Flags::ACK,
        window: u16::try_from(window).unwrap_or(u16::MAX),
        urgent: 0,
        options: TcpOptions {
            timestamps,
            ..TcpOptions::default()
        },
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
