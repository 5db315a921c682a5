//! BBRv3 (draft-ietf-ccwg-bbr): a model of the path, from how fast it delivers and how long that takes, instead of a window
//! that losses cut. Sections are the draft's. Variables have its names, without "BBR.".
//!
//! It asks for SACK, timestamps, and pacing. Where the draft leaves a choice:
//!
//! - ECN (section 3.7): a mark counts as a loss that needs no repair. It ends Startup, a bandwidth probe, or lowers the short-term
//!   model at the end of the round.
//! - The random time between probes (section 5.3.3.8.3) is drawn from the moments of the connection's own acknowledgements: the
//!   same inputs give the same bytes, while flows that share a path hear theirs at different moments.
//! - The six discontiguous losses that end Startup (section 5.3.1.3) are counted as acknowledgements that showed a loss: an
//!   algorithm sees no sequence numbers.

use alloc::boxed::Box;
use core::time::Duration;

use super::{AckSample, CongestionControl, CongestionFactory, LostText, SentText, Trouble};
use crate::time::Instant;

mod control;
mod filter;
mod loss;
mod model;
mod probe_bw;
mod probe_rtt;
mod startup;
#[cfg(test)]
mod tests;

use filter::{ExtraAckedFilter, MaxBwFilter};
use model::{Rs, scale};

/// What no bound is.
const INFINITY: u64 = u64::MAX;
/// BBR.PacingMarginPercent.
const PACING_MARGIN_PERCENT: u64 = 1;
/// BBR.LossThresh, percent.
const LOSS_THRESH: u64 = 2;
/// BBR.Beta, percent.
const BETA: u64 = 70;
/// BBR.Headroom, percent.
const HEADROOM: u64 = 15;
/// BBR.MinPipeCwnd, segments.
const MIN_PIPE_CWND: u64 = 4;
/// BBR.MinRTTFilterLen.
const MIN_RTT_FILTER_LEN: Duration = Duration::from_secs(10);
/// BBR.ProbeRTTInterval.
const PROBE_RTT_INTERVAL: Duration = Duration::from_secs(5);
/// BBR.ProbeRTTDuration.
const PROBE_RTT_DURATION: Duration = Duration::from_millis(200);
/// BBRStartupFullLossCnt.
const STARTUP_FULL_LOSS_COUNT: u32 = 6;

/// BBR.state (section 5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Startup,
    Drain,
    ProbeBwDown,
    ProbeBwCruise,
    ProbeBwRefill,
    ProbeBwUp,
    ProbeRtt,
}

impl State {
    /// BBR.pacing_gain, percent (section 5.6.1).
    const fn pacing_gain(self) -> u64 {
        match self {
            Self::Startup => 277,
            Self::Drain => 50,
            Self::ProbeBwDown => 90,
            Self::ProbeBwCruise | Self::ProbeBwRefill | Self::ProbeRtt => 100,
            Self::ProbeBwUp => 125,
        }
    }

    /// BBR.cwnd_gain, percent (section 5.6.1).
    const fn cwnd_gain(self) -> u64 {
        match self {
            Self::ProbeBwUp => 225,
            Self::ProbeRtt => 50,
            _ => 200,
        }
    }

    const fn is_probe_bw(self) -> bool {
        !matches!(self, Self::Startup | Self::Drain | Self::ProbeRtt)
    }

    /// IsProbingBW (section 5.3.3.9).
    const fn is_probing(self) -> bool {
        matches!(self, Self::Startup | Self::ProbeBwRefill | Self::ProbeBwUp)
    }

    const fn phase(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Drain => "drain",
            Self::ProbeBwDown => "probe bw: down",
            Self::ProbeBwCruise => "probe bw: cruise",
            Self::ProbeBwRefill => "probe bw: refill",
            Self::ProbeBwUp => "probe bw: up",
            Self::ProbeRtt => "probe rtt",
        }
    }
}

/// BBR.ack_phase: what acknowledgements say about the probe for bandwidth (section 2.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AckPhase {
    Init,
    Refilling,
    ProbeStarting,
    ProbeFeedback,
    ProbeStopping,
}

/// What a false alarm brings back (section 2.15).
#[derive(Clone, Copy, Debug, Default)]
struct Undo {
    /// The loss is repaired: the next is another.
    repaired: bool,
    /// BBR.undo_state: what a loss ended.
    state: Option<State>,
    bw_shortterm: u64,
    inflight_shortterm: u64,
    inflight_longterm: u64,
}

/// BBRv3's state: rates in octets a second, volumes in octets.
#[derive(Clone, Debug)]
pub struct Bbr {
    // The connection ("C." of section 2.2).
    mss: u64,
    initial_cwnd: u64,
    cwnd: u64,
    /// C.pacing_rate.
    pacing_rate: u64,
    /// C.send_quantum.
    send_quantum: u64,
    /// C.delivered, as far as it was told.
    delivered: u64,
    has_selective_acks: bool,
    /// Whether cwnd was used up in this round, and in the one before: C.is_cwnd_limited.
    cwnd_limited: [bool; 2],
    /// A loss is being repaired: until so much is delivered, or until it is told.
    loss_recovery: Option<u64>,
    /// Whether a first round trip has set the pacing rate (section 5.6.2).
    has_seen_rtt: bool,

    state: State,
    // Rounds (section 5.5.1).
    round_count: u64,
    round_start: bool,
    next_round_delivered: u64,

    // The rate (section 5.5.2 ff.).
    max_bw: MaxBwFilter,
    bw_latest: u64,
    bw_shortterm: u64,
    bw: u64,

    // The volume.
    min_rtt: Option<Duration>,
    min_rtt_stamp: Instant,
    inflight_latest: u64,
    inflight_longterm: u64,
    inflight_shortterm: u64,
    extra_acked: ExtraAckedFilter,
    extra_acked_interval_start: Instant,
    extra_acked_delivered: u64,

    // Congestion (section 5.5.10).
    loss_round_delivered: u64,
    loss_round_start: bool,
    is_loss_in_round: bool,
    /// The round before lost more than LossThresh.
    was_round_lossy: bool,
    /// The same of marks.
    is_marked_in_round: bool,
    /// A loss since the last acknowledgement was read to its end.
    is_loss_since_ack: bool,
    /// Acknowledgements of this round that showed a loss.
    loss_events_in_round: u32,
    prior_cwnd: u64,
    /// What to bring back; `None`: no loss is being repaired.
    undo: Option<Undo>,

    // Whether the pipe is full (section 5.3.1.2).
    full_bw_reached: bool,
    full_bw_now: bool,
    full_bw: u64,
    full_bw_count: u32,
    drain_start_round: u64,

    // ProbeBW (section 2.14).
    ack_phase: AckPhase,
    is_bw_probe_sample: bool,
    bw_probe_up_acked: u64,
    probe_up_acked_per_inc: u64,
    bw_probe_up_rounds: u32,
    rounds_since_probe_up: u64,
    bw_probe_wait: Duration,
    cycle_stamp: Instant,
    prev_probe_too_high: bool,
    prev_probe_precautionary: bool,
    /// What the random numbers come from.
    seed: u64,

    // ProbeRTT (section 2.16).
    probe_rtt_min_delay: Duration,
    probe_rtt_min_stamp: Instant,
    probe_rtt_expired: bool,
    probe_rtt_done_stamp: Option<Instant>,
    probe_rtt_round_done: bool,
    /// What left while so much was delivered was held back by ProbeRTT itself: its samples count as the user's.
    held_back: (u64, u64),
    idle_restart: bool,
}

#[derive(Clone, Copy, Debug)]
struct Factory;

impl Bbr {
    /// The factory for [`crate::Config::congestion`].
    #[must_use]
    pub fn factory() -> impl CongestionFactory + 'static {
        Factory
    }

    /// OnInit (section 5.2.1).
    fn new(mss: u32, initial_window: u64) -> Self {
        Self {
            mss: u64::from(mss).max(1),
            initial_cwnd: initial_window,
            cwnd: initial_window,
            pacing_rate: initial_rate(initial_window, Duration::from_millis(1)),
            send_quantum: 2 * u64::from(mss).max(1),
            delivered: 0,
            has_selective_acks: true,
            cwnd_limited: [false; 2],
            loss_recovery: None,
            has_seen_rtt: false,
            state: State::Startup,
            round_count: 0,
            round_start: false,
            next_round_delivered: 0,
            max_bw: MaxBwFilter::default(),
            bw_latest: 0,
            bw_shortterm: INFINITY,
            bw: 0,
            min_rtt: None,
            min_rtt_stamp: Instant::ZERO,
            inflight_latest: 0,
            inflight_longterm: INFINITY,
            inflight_shortterm: INFINITY,
            extra_acked: ExtraAckedFilter::default(),
            extra_acked_interval_start: Instant::ZERO,
            extra_acked_delivered: 0,
            loss_round_delivered: 0,
            loss_round_start: false,
            is_loss_in_round: false,
            was_round_lossy: false,
            is_marked_in_round: false,
            is_loss_since_ack: false,
            loss_events_in_round: 0,
            prior_cwnd: 0,
            undo: None,
            full_bw_reached: false,
            full_bw_now: false,
            full_bw: 0,
            full_bw_count: 0,
            drain_start_round: 0,
            ack_phase: AckPhase::Init,
            is_bw_probe_sample: false,
            bw_probe_up_acked: 0,
            probe_up_acked_per_inc: INFINITY,
            bw_probe_up_rounds: 0,
            rounds_since_probe_up: 0,
            bw_probe_wait: Duration::ZERO,
            cycle_stamp: Instant::ZERO,
            prev_probe_too_high: false,
            prev_probe_precautionary: false,
            seed: 0,
            probe_rtt_min_delay: Duration::MAX,
            probe_rtt_min_stamp: Instant::ZERO,
            probe_rtt_expired: false,
            probe_rtt_done_stamp: None,
            probe_rtt_round_done: false,
            held_back: (INFINITY, 0),
            idle_restart: false,
        }
    }

    /// UpdateModelAndState (section 5.2.3).
    fn update_model_and_state(&mut self, rs: &Rs) {
        self.update_latest_delivery_signals(rs);
        self.update_congestion_signals(rs);
        self.update_ack_aggregation(rs);
        self.check_full_bw_reached(rs);
        self.check_startup_done(rs);
        self.check_drain_done(rs);
        self.update_probe_bw_cycle_phase(rs);
        self.update_min_rtt(rs);
        self.check_probe_rtt(rs);
        self.advance_latest_delivery_signals(rs);
        self.bound_bw_for_model();
    }
}

/// InitPacingRate (section 5.6.2).
fn initial_rate(initial_cwnd: u64, srtt: Duration) -> u64 {
    let nanos = u64::try_from(srtt.as_nanos()).unwrap_or(u64::MAX).max(1);
    let nominal_bandwidth = scale(initial_cwnd, 1_000_000_000, nanos);
    scale(nominal_bandwidth, State::Startup.pacing_gain(), 100).max(1)
}

impl CongestionFactory for Factory {
    fn make(&self, mss: u32, initial_window: u64) -> Box<dyn CongestionControl> {
        Box::new(Bbr::new(mss, initial_window))
    }

    fn name(&self) -> &'static str {
        "bbr"
    }
}

impl CongestionControl for Bbr {
    fn on_ack(&mut self, sample: &AckSample) {
        let rs = Rs::new(self, sample);
        self.delivered = sample.total_delivered;
        self.has_selective_acks = sample.sack;
        let repaired = self.loss_recovery.is_some_and(|at| self.delivered >= at);
        if repaired {
            self.on_recovered(rs.now);
        }
        if !self.has_seen_rtt
            && let Some(srtt) = sample.srtt.filter(|srtt| !srtt.is_zero())
        {
            self.has_seen_rtt = true;
            self.min_rtt_stamp = rs.now;
            self.probe_rtt_min_stamp = rs.now;
            self.extra_acked_interval_start = rs.now;
            self.pacing_rate = initial_rate(self.initial_cwnd, srtt);
        }
        self.note_cwnd_limited(sample.prior_in_flight);
        self.update_model_and_state(&rs);
        self.set_pacing_rate();
        self.set_send_quantum();
        self.set_cwnd(&rs);
    }

    fn on_trouble(&mut self, now: Instant, trouble: Trouble, in_flight: u64) {
        match trouble {
            // OnEnterFastRecovery (section 5.6.4.4).
            Trouble::Loss => {
                self.save_state_upon_loss();
                self.loss_recovery = Some(INFINITY);
            }
            // OnEnterRTO: a segment may leave, and cwnd grows from there.
            Trouble::Timeout => {
                self.save_state_upon_loss();
                self.loss_recovery = Some(self.delivered.saturating_add(in_flight));
                self.cwnd = self.mss;
            }
            Trouble::Marked => self.on_marked(now, in_flight),
            // cwnd stays (section 5.4.1).
            Trouble::Idle => {}
        }
    }

    fn on_recovered(&mut self, _now: Instant) {
        self.loss_recovery = None;
        if let Some(undo) = &mut self.undo {
            undo.repaired = true;
        }
        self.restore_cwnd();
    }

    fn undo(&mut self, _now: Instant) {
        self.handle_spurious_loss_detection();
    }

    fn on_sent(&mut self, sent: &SentText) {
        self.delivered = self.delivered.max(sent.total_delivered);
        if sent.in_flight <= sent.octets && !sent.again && sent.app_limited {
            self.handle_restart_from_idle(sent.now);
        }
        self.note_cwnd_limited(sent.in_flight);
    }

    fn on_lost(&mut self, now: Instant, lost: &LostText) {
        self.handle_lost_packet(now, lost);
    }

    /// The window stays until there is a model.
    fn take_over(&mut self, _now: Instant, window: u64, _threshold: u64) {
        self.cwnd = window.max(self.mss);
    }

    fn set_mss(&mut self, mss: u32) {
        self.mss = u64::from(mss).max(1);
        self.cwnd = self.cwnd.max(self.mss);
    }

    fn window(&self) -> u64 {
        self.cwnd
    }

    fn threshold(&self) -> u64 {
        INFINITY
    }

    fn pacing_rate(&self) -> Option<u64> {
        Some(self.pacing_rate)
    }

    fn paces_recovery(&self) -> bool {
        true
    }

    fn phase(&self) -> &'static str {
        self.state.phase()
    }

    fn name(&self) -> &'static str {
        "bbr"
    }
}
