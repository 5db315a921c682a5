//! A connection: what it is made of, and the calls that its owner makes. The steps are in the rooms below.

mod app_limited;
mod choices;
mod close;
pub(crate) mod figures;
mod flight;
mod input;
mod marks;
mod memory;
mod mtu;
mod open;
mod options;
mod output;
mod pacing;
mod plan;
mod push;
mod quiet;
mod sack;
#[cfg(test)]
mod tests;
mod timers;
mod urgent;
mod validation;
mod write;

use alloc::boxed::Box;
use alloc::sync::Arc;

use bytes::Bytes;

use crate::config::Config;
use crate::congestion::CongestionControl;
use crate::ecn::EcnState;
use crate::error::{Ended, PathError, ReadError, Refusal};
use crate::event::{Context, Reason, Timer, TraceEvent, Wake};
use crate::mtu_probe::MtuSearch;
use crate::options::{Agreed, Offer, Setup};
use crate::pacing::Pacer;
use crate::paws::Paws;
use crate::recovery::flight::Flight;
use crate::recovery::{Phase, Recovery};
use crate::recv::Receive;
use crate::recv::ack::AckState;
use crate::rtt::RttEstimator;
use crate::segment::{Endpoints, Segment};
use crate::send::Send;
use crate::seq::SeqNum;
use crate::state::{Event, State};
use crate::time::Instant;
use crate::time_wait::TimeWait;
use crate::validation::Validation;

use choices::Choices;
use figures::{Counters, Trouble};
use mtu::effective_mss;
pub(crate) use open::SynAck;
pub use open::{Opened, Opening};
pub use options::LossPhase;
pub use plan::Plan;
use timers::TimerTable;
use urgent::Urgent;

/// A connection from SYN-RECEIVED to LAST-ACK, and what the user may still read after it.
///
/// One owner drives it: hand in what happened, then take `plan` and `build` until nothing is owed.
#[derive(Debug)]
pub struct Connection {
    setup: Setup,
    config: Arc<Config>,
    state: State,
    /// Whether it came from a listener (RFC 9293 MUST-11).
    passive: bool,
    /// Options both sides agreed on.
    agreed: Agreed,
    snd: Send,
    rcv: Receive,
    rtt: RttEstimator,
    paws: Option<Paws>,
    recovery: Recovery,
    ecn: EcnState,
    congestion: Box<dyn CongestionControl>,
    timers: TimerTable,
    owed: Owed,
    wake: Wake,
    /// A segment has come the long way since nothing flies any more: what follows an acknowledgement is done.
    at_rest: bool,
    urgent: Option<Box<Urgent>>,
    ended: Option<Ended>,
    user: User,
    patience: Patience,
    counters: Counters,
    /// The search for what the path carries, while it is less than the link does.
    search: Option<Box<MtuSearch>>,
    trouble: Option<Box<Trouble>>,
    /// Only where text left.
    rates: Option<Box<Rates>>,
}

/// What a sender of text knows of its rate.
#[derive(Debug)]
struct Rates {
    /// Where it is paced.
    pacer: Option<Pacer>,
    validation: Validation,
    /// What it remembers of what it sent.
    flight: Flight,
}

/// What is to be sent besides text, FIN and acknowledgements.
#[derive(Clone, Copy, Debug, Default)]
struct Owed {
    /// A RST with this number, and why.
    reset: Option<(SeqNum, Reason)>,
    /// Our SYN,ACK, and why.
    syn_ack: Option<Reason>,
    /// One octet into a shut window.
    probe: bool,
    /// A keep-alive.
    keep_alive: bool,
}

/// What the user chose.
#[derive(Debug)]
struct User {
    nodelay: bool,
    /// Only whole segments go, for a while.
    corked: bool,
    /// The user let go of the connection: nobody will read.
    released: bool,
    /// The user will not read what arrives once this side has closed.
    deaf: bool,
    /// The user closed before the handshake was over; done when it is.
    close_when_open: bool,
    /// The user was told that the send buffer is full and waits for room.
    waits_to_write: bool,
    choices: Option<Box<Choices>>,
}

/// How long the other side has been silent.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// Doublings of the retransmission or persist timer without an answer.
    backoff: u8,
    /// Unanswered keep-alives.
    keep_alives: u8,
    /// When a segment was last heard.
    heard_at: Instant,
    /// What the network reported last; shown when the connection times out (RFC 5461).
    path_error: Option<PathError>,
    /// Challenge ACKs sent in the second that began at `second`.
    challenges: u8,
    /// In milliseconds that wrap: half the size of an [`Instant`].
    second: u32,
}

impl Connection {
    /// A connection in SYN-RECEIVED; the caller moves it on when it starts later.
    fn new(
        cx: &Context<'_>,
        setup: Setup,
        agreed: Agreed,
        config: Arc<Config>,
        passive: bool,
    ) -> Self {
        let mss = effective_mss(&config, &agreed, setup.send_mss);
        let initial_window = initial_window(config.initial_window, mss);
        let offered = window_of_syn(&config);
        let mut snd = Send::new(setup.iss, agreed.send_scale, mss, cx.now);
        snd.wl1 = agreed.irs;
        snd.wl2 = setup.iss;
        let mut rcv = Receive::new(
            agreed.irs,
            agreed.receive_scale,
            config.first_receive_buffer(),
            offered,
        );
        rcv.ack = AckState::new(config.quick_acks);
        Self {
            setup,
            state: State::SynReceived,
            passive,
            snd,
            rcv,
            rtt: RttEstimator::new(config.initial_rto, config.min_rto, config.max_rto),
            paws: agreed.timestamps.map(|recent| Paws::new(recent, cx.now)),
            recovery: Recovery::new(),
            ecn: EcnState::default(),
            congestion: config.congestion.make(mss, initial_window),
            timers: TimerTable::new(),
            owed: Owed::default(),
            wake: Wake::NONE,
            at_rest: false,
            urgent: None,
            ended: None,
            user: User {
                nodelay: !config.nagle,
                corked: false,
                released: false,
                deaf: false,
                close_when_open: false,
                waits_to_write: false,
                choices: choices::choices(config.keep_alive),
            },
            patience: Patience {
                backoff: 0,
                keep_alives: 0,
                heard_at: cx.now,
                path_error: None,
                challenges: 0,
                second: wrapping_millis(cx.now),
            },
            counters: Counters::new(cx.now),
            trouble: None,
            search: None,
            rates: None,
            agreed,
            config,
        }
    }

    /// The one place where the state changes: by the table, traced.
    fn on(&mut self, cx: &mut Context<'_>, event: Event) {
        let Some(to) = self.state.on(event) else {
            return;
        };
        let from = core::mem::replace(&mut self.state, to);
        cx.trace(&self.setup.endpoints, || TraceEvent::StateChanged {
            from,
            to,
            event,
        });
        match to {
            State::Established => self.wake |= Wake::CONNECTED | Wake::WRITABLE,
            State::TimeWait => self.on_time_wait(),
            State::FinWait2 if self.user.released => {
                self.timers
                    .set(Timer::FinWait2, cx.now + self.config.fin_wait_2);
            }
            _ => {}
        }
    }

    // ---- what happened ----

    /// SEGMENT ARRIVES (RFC 9293 section 3.10.7.4).
    ///
    /// # Errors
    /// Why the segment was not (or not wholly) processed; what is owed in answer is noted already.
    pub fn handle_segment(
        &mut self,
        cx: &mut Context<'_>,
        segment: &Segment<'_>,
    ) -> Result<(), Refusal> {
        let segments = u64::from(segment.coalesced.max(1));
        self.counters.segs_in += segments;
        if !segment.text.octets.is_empty() {
            self.counters.data_segs_in += segments;
        }
        cx.trace(&self.setup.endpoints, || TraceEvent::Received {
            header: segment.header,
            len: u32::try_from(segment.text.octets.len()).unwrap_or(u32::MAX),
        });
        if self.config.header_prediction {
            let taken = match segment.text.octets {
                [] => self.take_plain(cx, segment),
                _ => self.take_predicted(cx.now, segment),
            };
            if taken {
                return Ok(());
            }
        }
        let una = self.snd.una;
        let idle = self.snd.in_flight.is_empty();
        let result = self.segment_arrives(cx, segment);
        let plain = segment.header.options.sack.as_slice().is_empty();
        self.at_rest = idle && plain && result.is_ok();
        if let Err(refusal) = result {
            // A valid RST was processed, not refused.
            if refusal != Refusal::ValidReset {
                self.trouble_mut().refused += 1;
                cx.trace(&self.setup.endpoints, || TraceEvent::Refused { refusal });
            }
        }
        self.rearm(cx.now);
        if self.snd.una != una || self.snd.in_flight.has_sacked() || self.recovery.in_recovery() {
            self.arm_tail_probe(cx.now);
        }
        result
    }

    /// The network reported an error about a segment of ours that began at `seq`.
    ///
    /// Never ends a synchronized connection (RFC 9293 MUST-56, RFC 5461), whatever it says; in SYN-RECEIVED one that will
    /// not pass does ([`Config::open_fails_on_hard_error`]). The user hears of it by [`Wake::SOFT_ERROR`], and it shows
    /// when the connection times out. What does not name a segment in flight is ignored (RFC 5927 section 4.1).
    //= rfc9293 MUST-56
    //= rfc9293 MUST-47
    pub fn handle_path_error(&mut self, cx: &mut Context<'_>, error: PathError, seq: SeqNum) {
        if self.is_in_flight(seq) {
            self.patience.path_error = Some(error);
            self.wake |= Wake::SOFT_ERROR;
            let synchronized = self.state != State::SynReceived;
            //= rfc9293 SHLD-26
            if error.is_hard() && !synchronized && self.config.open_fails_on_hard_error {
                self.end(cx, Ended::Unreachable(error));
            }
        }
    }

    /// What changed for the user since the last call; clears it.
    pub fn poll_event(&mut self) -> Wake {
        let wake = core::mem::take(&mut self.wake);
        choices::wanted(self.user.choices.as_deref(), wake)
    }

    // ---- the user's calls ----

    /// RECEIVE (RFC 9293 section 3.10.3): `Ok(0)` is the end of the peer's text, unless `into` is empty.
    ///
    /// Urgent text and what follows it never come together: a read that begins before the mark stops there, and
    /// [`Self::at_mark`] tells.
    ///
    /// # Errors
    /// [`ReadError`]: nothing yet, or the connection ended without the peer's FIN.
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize, ReadError> {
        self.may_read()?;
        let most = into.len().min(self.until_mark());
        let octets = self
            .rcv
            .buffer
            .read(into.get_mut(..most).unwrap_or_default());
        self.after_read();
        Ok(octets)
    }

    /// RECEIVE without a copy: at most `max` octets; empty at the end of the peer's text.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_chunk(&mut self, max: usize) -> Result<Bytes, ReadError> {
        self.may_read()?;
        let octets = self.rcv.buffer.read_chunk(max.min(self.until_mark()));
        self.after_read();
        Ok(octets)
    }

    /// As [`Self::read`], leaving the text where it is.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn peek(&self, into: &mut [u8]) -> Result<usize, ReadError> {
        self.may_read()?;
        let most = into.len().min(self.until_mark());
        Ok(self
            .rcv
            .buffer
            .peek(into.get_mut(..most).unwrap_or_default()))
    }

    fn may_read(&self) -> Result<(), ReadError> {
        if self.rcv.buffer.len() > 0 || self.rcv.finished() {
            return Ok(());
        }
        Err(self.ended.map_or(ReadError::Empty, ReadError::Ended))
    }

    fn after_read(&mut self) {
        if !self.timers.runs(Timer::DelayedAck) {
            self.rcv.buffer.give_back();
        }
        self.forget_read();
        if self.state.receives_text() && self.rcv.update_is_due() {
            self.rcv.ack.owe(Reason::WindowUpdate);
        }
    }

    /// Switches Nagle's algorithm off (`true`) or on.
    //= rfc9293 MUST-17
    pub fn set_nodelay(&mut self, nodelay: bool) {
        self.user.nodelay = nodelay;
    }

    /// Whether Nagle's algorithm is off.
    #[must_use]
    pub fn nodelay(&self) -> bool {
        self.user.nodelay
    }

    // ---- to look at ----

    /// The state.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Both ends.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.setup.endpoints
    }

    /// Why it ended, when it did.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// Octets that can be read now; one `read` stops at a mark between them.
    #[must_use]
    pub fn readable(&self) -> usize {
        self.rcv.buffer.len()
    }

    /// Most octets that the send buffer holds now: twice what may be in flight, or is, so that a window's worth waits
    /// whenever the window opens, and a hole that is being repaired does not keep new text from following.
    fn send_capacity(&self) -> usize {
        let outstanding = u64::from(self.snd.nxt.distance_from(self.snd.una));
        let flight = self.congestion.window().max(outstanding);
        let most = self.config.send_buffer.min(MAX_SEND_BUFFER);
        let limit = usize::try_from(flight.saturating_mul(2)).unwrap_or(usize::MAX);
        let limit = limit.clamp(self.config.first_send_buffer().min(most), most);
        self.rcv.pressure.send_limit(limit)
    }

    /// Whether the peer's FIN arrived and everything before it was read.
    #[must_use]
    pub fn at_end(&self) -> bool {
        self.rcv.finished() && self.rcv.buffer.len() == 0
    }

    /// Octets written and not yet acknowledged.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.snd.buffer.len()
    }

    /// Octets of text that the peer has acknowledged since the beginning.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.counters.bytes_acked
    }

    /// The small type that answers from TIME-WAIT on; `None` in every other state. This connection is then only
    /// what the user may still read, after the acknowledgement that it may still owe.
    #[must_use]
    pub fn time_wait(&self) -> Option<TimeWait> {
        (self.state == State::TimeWait).then(|| self.make_time_wait())
    }

    fn advertised_mss(&self) -> u16 {
        Offer::new(&self.config, self.setup.receive_mss).mss
    }

    /// cwnd as it counts now: a repair has its own (RFC 9937).
    fn cwnd(&self) -> u64 {
        let flight = self.rates.as_deref().map(|rates| &rates.flight);
        self.recovery.window(flight, &*self.congestion)
    }

    /// Tells the watcher where congestion control stands.
    fn trace_congestion(&self, cx: &mut Context<'_>) {
        cx.trace(&self.setup.endpoints, || TraceEvent::Congestion {
            cwnd: self.cwnd(),
            ssthresh: self.congestion.threshold(),
            in_flight: self.recovery.pipe(&self.snd),
            recovery: self.recovery.phase != Phase::Open,
            pacing_rate: self.pacing_rate(),
            phase: self.congestion.phase(),
        });
    }
}

/// Milliseconds, the low 32 bits of them.
fn wrapping_millis(at: Instant) -> u32 {
    u32::try_from(at.as_millis() & u64::from(u32::MAX)).unwrap_or_default()
}

/// Largest send buffer: a quarter of the circle, so that no comparison of numbers is ambiguous.
const MAX_SEND_BUFFER: usize = 1 << 30;

/// SEG.WND of a SYN or SYN,ACK: never scaled (RFC 7323 section 2.2).
pub(crate) fn window_of_syn(config: &Config) -> u32 {
    u32::try_from(config.first_receive_buffer())
        .unwrap_or(u32::MAX)
        .min(u32::from(u16::MAX))
}

/// IW of RFC 6928 section 2: min(n * MSS, max(2 * MSS, 14600)), with n from the configuration.
fn initial_window(segments: u16, mss: u32) -> u64 {
    let mss = u64::from(mss);
    (u64::from(segments.max(1)) * mss).min((2 * mss).max(1460 * u64::from(segments.max(1))))
}
