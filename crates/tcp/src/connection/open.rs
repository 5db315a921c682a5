//! SYN-SENT: the active open, and the simultaneous one; how a passive one begins (RFC 9293 sections 3.5, 3.10.7.3).

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::time::Duration;

use super::choices::{Choices, choices, wanted};
use super::{Connection, Plan, window_of_syn};
use crate::config::Config;
use crate::ecn::EcnPolicy;
use crate::error::{Ended, PathError, Refusal};
use crate::event::{Context, Reason, Timer, TraceEvent, Wake};
use crate::info::TcpInfo;
use crate::options::{Agreed, Offer, Setup};
use crate::rtt::RttEstimator;
use crate::segment::{Endpoints, Flags, Header, Segment, Transmit};
use crate::seq::SeqNum;
use crate::state::{Event, State};
use crate::time::Instant;

/// SYN-SENT: our SYN is out, and nothing is known of the peer. No buffers, no windows yet.
#[derive(Debug)]
pub struct Opening {
    setup: Setup,
    pub(super) config: Arc<Config>,
    offer: Offer,
    state: State,
    started_at: Instant,
    /// When the SYN was last sent; `None` before the first time.
    sent_at: Option<Instant>,
    /// SYNs sent after the first.
    repeats: u8,
    /// A SYN is owed, and why.
    syn: Option<Reason>,
    /// A RST with this number is owed for a wrong acknowledgement.
    reset: Option<SeqNum>,
    pub(super) path_error: Option<PathError>,
    /// For the connection to come.
    pub(super) choices: Option<Box<Choices>>,
    ended: Option<Ended>,
    wake: Wake,
}

/// How the SYN,ACK of a passive open went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SynAck {
    /// When it was first sent; `None`: nobody knows, and no round trip can be measured by it.
    pub(crate) sent_at: Option<Instant>,
    /// How often it was sent again.
    pub(crate) repeats: u8,
}

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
    #[must_use]
    pub fn new(cx: &mut Context<'_>, setup: Setup, config: Arc<Config>) -> Self {
        let event = Event::ActiveOpen;
        let (from, to) = (State::Closed, State::SynSent);
        cx.trace(&setup.endpoints, || TraceEvent::StateChanged {
            from,
            to,
            event,
        });
        Self {
            offer: Offer::new(&config, setup.receive_mss),
            setup,
            state: to,
            started_at: cx.now,
            sent_at: None,
            repeats: 0,
            syn: Some(Reason::Open),
            reset: None,
            path_error: None,
            choices: choices(config.keep_alive),
            ended: None,
            wake: Wake::NONE,
            config,
        }
    }

    /// A segment for it arrived (RFC 9293 section 3.10.7.3).
    ///
    /// # Errors
    /// Why it was refused; a RST may be owed for it: poll `plan`.
    pub fn handle_segment(
        &mut self,
        cx: &mut Context<'_>,
        segment: &Segment<'_>,
    ) -> Result<Opened, Refusal> {
        cx.trace(&self.setup.endpoints, || TraceEvent::Received {
            header: segment.header,
            len: u32::try_from(segment.text.octets.len()).unwrap_or(u32::MAX),
        });
        let result = self.segment_arrives(cx, segment);
        if let Err(refusal) = result {
            cx.trace(&self.setup.endpoints, || TraceEvent::Refused { refusal });
        }
        result
    }

    fn segment_arrives(
        &mut self,
        cx: &mut Context<'_>,
        segment: &Segment<'_>,
    ) -> Result<Opened, Refusal> {
        if self.state != State::SynSent {
            return Err(Refusal::Closed);
        }
        let flags = segment.header.flags;
        self.check_ack(segment)?; // first
        if flags.rst() {
            // second; its ACK, if it had one, was acceptable
            if !flags.ack() {
                return Err(Refusal::ResetWithoutAck);
            }
            self.end(cx, Ended::Refused);
            return Ok(Opened::Ended);
        }
        // third: security compartments are historic
        if flags.syn() {
            return Ok(Opened::Connection(self.process_syn(cx, segment))); // fourth
        }
        Err(Refusal::NotSyn) // fifth
    }

    /// First: an ACK must be of our SYN; another is refused by RST.
    //= rfc9293 X-8
    fn check_ack(&mut self, segment: &Segment<'_>) -> Result<(), Refusal> {
        let header = &segment.header;
        let sent = self.sent_at.is_some();
        if !header.flags.ack() || (sent && header.ack == self.setup.iss + 1) {
            return Ok(());
        }
        if !header.flags.rst() {
            self.reset = Some(header.ack);
        }
        Err(Refusal::AckOfUnsent)
    }

    /// Fourth: SYN,ACK opens the connection; SYN alone means that both sides opened at once.
    fn process_syn(&mut self, cx: &mut Context<'_>, segment: &Segment<'_>) -> Box<Connection> {
        let mut agreed = self.offer.agree(&self.setup.endpoints, &segment.header);
        // One SYN of ours without it is enough to leave it (RFC 3168 section 6.1.1).
        agreed.ecn &= self.offer.ecn == EcnPolicy::Request && self.repeats == 0;
        let mut connection =
            Connection::new(cx, self.setup, agreed, Arc::clone(&self.config), false);
        connection.state = State::SynSent;
        connection.patience.path_error = self.path_error;
        connection.user.choices = self.choices.take();
        connection.counters.segs_in = 1;
        connection.counters.segs_out = u64::from(self.sent_at.is_some()) + u64::from(self.repeats);
        if self.repeats > 0 {
            connection.trouble_mut().retrans = u64::from(self.repeats);
        }
        let acked = segment.header.flags.ack();
        connection.adopt(cx, segment, self.syn_sample(cx.now, segment), self.repeats);
        connection.on(cx, if acked { Event::SynAck } else { Event::Syn });
        if acked {
            connection.finish_syn_ack(cx, segment);
        } else {
            connection.owed.syn_ack = Some(Reason::Accept);
            connection.rearm(cx.now);
        }
        connection.wake |= core::mem::take(&mut self.wake);
        Box::new(connection)
    }

    /// The round trip of the handshake: by the timestamp, or of a SYN sent once (Karn).
    fn syn_sample(&self, now: Instant, segment: &Segment<'_>) -> Option<Duration> {
        if !segment.header.flags.ack() {
            return None;
        }
        let sent_once = self
            .sent_at
            .filter(|_| self.repeats == 0)
            .map(|at| now.since(at));
        let echoed = segment
            .header
            .options
            .timestamps
            .filter(|_| self.offer.timestamps)
            .map(|t| {
                let ms = self.setup.timestamp(now).wrapping_sub(t.echo);
                Duration::from_millis(u64::from(ms))
            });
        sent_once.or(echoed.filter(|rtt| *rtt <= now.since(self.started_at)))
    }

    /// The path carries segments of at most `send_mss` octets (without options) from now on.
    pub fn set_send_mss(&mut self, send_mss: u16) {
        self.setup.send_mss = send_mss;
    }

    /// Whether `seq` is that of our SYN, and the SYN was sent (RFC 5927 section 4.1).
    #[must_use]
    pub fn is_in_flight(&self, seq: SeqNum) -> bool {
        self.sent_at.is_some() && seq == self.setup.iss
    }

    /// The network reported an error about our SYN.
    ///
    /// Remembered, and shown when the open times out (RFC 9293 MUST-56); ends the attempt where it will not pass
    /// ([`Config::open_fails_on_hard_error`]) or [`Config::open_fails_on_path_error`] says so. A report that quotes another
    /// number is ignored (RFC 5927).
    //= rfc9293 SHLD-25
    pub fn handle_path_error(&mut self, cx: &mut Context<'_>, error: PathError, seq: SeqNum) {
        if !self.is_in_flight(seq) || self.ended.is_some() {
            return;
        }
        self.path_error = Some(error);
        self.wake |= Wake::SOFT_ERROR;
        //= rfc9293 SHLD-26
        let hard = error.is_hard() && self.config.open_fails_on_hard_error;
        if hard || self.config.open_fails_on_path_error {
            self.end(cx, Ended::Unreachable(error));
        }
    }

    /// Time passed; harmless when called too often.
    pub fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        if self.poll_timeout().is_none_or(|at| at > cx.now) {
            return;
        }
        // However late it is: a SYN that is due as well goes no more.
        if cx.now >= self.gives_up_at() {
            //= rfc9293 MUST-22
            //= rfc9293 MUST-23
            let timer = Timer::UserTimeout;
            cx.trace(&self.setup.endpoints, || TraceEvent::TimerFired { timer });
            self.end(cx, Ended::TimedOut(self.path_error));
            return;
        }
        let timer = Timer::Retransmission;
        cx.trace(&self.setup.endpoints, || TraceEvent::TimerFired { timer });
        self.repeats = self.repeats.saturating_add(1);
        if self.config.bare_syn_after == Some(self.repeats) {
            self.offer = self.offer.bare();
        }
        self.syn = Some(Reason::Timeout);
        // Until the SYN leaves, the timer counts from now: a stuck link must not spin.
        self.sent_at = Some(cx.now);
    }

    fn gives_up_at(&self) -> Instant {
        self.started_at + self.config.open_timeout
    }

    fn estimator(&self) -> RttEstimator {
        RttEstimator::new(
            self.config.initial_rto,
            self.config.min_rto,
            self.config.max_rto,
        )
    }

    /// When [`Self::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.ended.is_some() {
            return None;
        }
        let repeat = self
            .sent_at
            .map(|at| at + self.estimator().backed_off(self.repeats));
        Some(repeat.map_or(self.gives_up_at(), |at| at.min(self.gives_up_at())))
    }

    /// What to send next.
    #[must_use]
    pub fn plan(&self, _now: Instant, _max_text: u32) -> Option<Plan> {
        let bare = |reason, seq| Plan {
            reason,
            seq,
            len: 0,
            fin: false,
        };
        if let Some(seq) = self.reset {
            return Some(bare(Reason::WrongAck, seq));
        }
        self.syn.map(|reason| bare(reason, self.setup.iss))
    }

    pub(super) fn owes(&self) -> bool {
        self.syn.is_some() || self.reset.is_some()
    }

    /// Builds it and notes it as sent.
    pub fn build(&mut self, cx: &mut Context<'_>, plan: Plan) -> Transmit<'_> {
        let header = if plan.reason == Reason::WrongAck {
            self.reset = None;
            Header {
                seq: plan.seq,
                flags: Flags::RST,
                ..Header::default()
            }
        } else {
            self.syn = None;
            self.sent_at = Some(cx.now);
            Header {
                seq: self.setup.iss,
                flags: Flags::SYN | self.offer.ecn.of_syn(self.repeats),
                window: u16::try_from(window_of_syn(&self.config)).unwrap_or(u16::MAX),
                options: self.offer.syn(self.setup.timestamp(cx.now)),
                ..Header::default()
            }
        };
        let reason = plan.reason;
        cx.trace(&self.setup.endpoints, || TraceEvent::Sent {
            header,
            len: 0,
            segment_size: None,
            reason,
        });
        Transmit {
            header,
            text: [&[], &[]],
            segment_size: None,
            ecn: self.config.ecn_of_syn(header.flags),
            reason,
        }
    }

    /// The configuration has changed: what the SYN asks for, where it has not been sent.
    pub(super) fn offer_ecn(&mut self) {
        if self.sent_at.is_none() {
            self.offer.ecn = self.config.ecn_policy();
        }
    }

    /// CLOSE or ABORT in SYN-SENT: deletes it; nothing is sent (RFC 9293 sections 3.10.4, 3.10.5).
    pub fn abort(&mut self, cx: &mut Context<'_>) {
        if self.ended.is_none() {
            self.end(cx, Ended::Aborted);
        }
    }

    fn end(&mut self, cx: &mut Context<'_>, why: Ended) {
        let event = if why == Ended::Aborted {
            Event::Close
        } else {
            Event::Abort
        };
        let (from, to) = (self.state, State::Closed);
        cx.trace(&self.setup.endpoints, || TraceEvent::StateChanged {
            from,
            to,
            event,
        });
        cx.trace(&self.setup.endpoints, || TraceEvent::Ended { reason: why });
        self.state = to;
        self.ended = Some(why);
        self.syn = None;
        self.wake |= Wake::READABLE | Wake::WRITABLE | Wake::ENDED;
    }

    /// What changed for the user; clears it.
    pub fn poll_event(&mut self) -> Wake {
        let wake = core::mem::take(&mut self.wake);
        wanted(self.choices.as_deref(), wake)
    }

    /// Why it ended, when it did.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// SYN-SENT, or CLOSED once it has ended.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Both ends.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.setup.endpoints
    }

    /// Figures about it.
    #[must_use]
    pub fn info(&self, now: Instant) -> TcpInfo {
        TcpInfo {
            retransmits: self.repeats,
            backoff: self.repeats,
            unacked: u32::from(self.sent_at.is_some()),
            total_rto: u32::from(self.repeats),
            total_rto_recoveries: u32::from(self.repeats > 0),
            pmtu: u32::from(self.setup.send_mss) + self.setup.endpoints.fixed_headers(),
            snd_cwnd: u32::from(self.config.initial_window.max(1)),
            rcv_wnd: window_of_syn(&self.config),
            last_data_sent: now.since(self.sent_at.unwrap_or(self.started_at)),
            last_data_recv: now.since(self.started_at),
            rto: self.estimator().backed_off(self.repeats),
            advmss: u32::from(self.offer.mss),
            segs_out: u64::from(self.sent_at.is_some()) + u64::from(self.repeats),
            total_retrans: u64::from(self.repeats),
            last_ack_recv: now.since(self.started_at),
            ..TcpInfo::new(self.state)
        }
    }
}

impl Connection {
    /// A connection in SYN-RECEIVED whose SYN,ACK a [`crate::Listener`] has sent already.
    pub(crate) fn passive(
        cx: &mut Context<'_>,
        setup: Setup,
        agreed: Agreed,
        config: Arc<Config>,
        syn_ack: SynAck,
    ) -> Box<Self> {
        //= rfc9293 MUST-11
        let mut connection = Self::new(cx, setup, agreed, config, true);
        connection.snd.last_sent = syn_ack.sent_at.unwrap_or(Instant::MAX);
        connection.patience.backoff = syn_ack.repeats;
        // Should the segment that completes the handshake be refused, the SYN,ACK is this connection's to repeat.
        let rto = connection.rtt.backed_off(syn_ack.repeats);
        connection.timers.set(Timer::Retransmission, cx.now + rto);
        Box::new(connection)
    }

    /// Takes over from an [`Opening`]: the peer's window, the round trip of the handshake.
    fn adopt(
        &mut self,
        cx: &mut Context<'_>,
        segment: &Segment<'_>,
        sample: Option<Duration>,
        repeats: u8,
    ) {
        // The window of a SYN is never scaled (RFC 7323 section 2.2).
        self.snd.wnd = u32::from(segment.header.window);
        self.snd.max_wnd = self.snd.wnd;
        self.snd.wl1 = segment.header.seq;
        self.snd.wl2 = segment.header.ack;
        if let Some(sample) = sample {
            self.rtt.sample(sample);
            let rtt = self.rtt;
            cx.trace(&self.setup.endpoints, || TraceEvent::RttMeasured {
                sample,
                srtt: rtt.srtt().unwrap_or_default(),
                rttvar: rtt.rttvar(),
                rto: rtt.rto(),
            });
        }
        if repeats > 0 {
            self.on_lost_syn();
        }
    }

    /// Our SYN or SYN,ACK was sent more than once: what is sent next, is sent with care.
    pub(super) fn on_lost_syn(&mut self) {
        self.rtt.syn_was_lost();
        let mss = self.snd.mss;
        // RFC 5681 section 3.1: the initial window is one segment then.
        self.congestion = self.config.congestion.make(mss, u64::from(mss));
    }

    /// SYN,ACK: our SYN is acknowledged, the third of the handshake is owed, and text or FIN that came along counts.
    fn finish_syn_ack(&mut self, cx: &mut Context<'_>, segment: &Segment<'_>) {
        self.snd.on_ack_of_syn();
        self.rcv.ack.owe(Reason::Handshake);
        let mut rest = *segment;
        rest.header.seq += 1;
        rest.header.flags = rest.header.flags.without(Flags::SYN);
        rest.header.urgent = rest.header.urgent.saturating_sub(1);
        self.process_urgent(&rest);
        // What is refused of it is answered by the handshake's own ACK.
        if self.process_text(cx, &rest).is_ok() {
            self.process_fin(cx, &rest);
        }
        self.rearm(cx.now);
    }
}
