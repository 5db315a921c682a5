//! What the model makes of itself: pacing rate, send quantum, cwnd (section 5.6).

use core::time::Duration;

use super::model::{Rs, volume};
use super::{Bbr, INFINITY, PACING_MARGIN_PERCENT, State, scale};

/// What may leave together at the most: 64 KBytes.
const MOST_QUANTUM: u64 = 64 * 1024;

impl Bbr {
    /// SetPacingRateWithGain (section 5.6.2), gain in percent. Without an estimate the rate stays.
    pub(super) fn set_pacing_rate_with_gain(&mut self, pacing_gain: u64) {
        let percent = pacing_gain * (100 - PACING_MARGIN_PERCENT);
        let rate = scale(self.bw, percent, 100 * 100);
        if rate > 0 && (self.full_bw_reached || rate > self.pacing_rate) {
            self.pacing_rate = rate;
        }
    }

    /// SetPacingRate (section 5.6.2).
    pub(super) fn set_pacing_rate(&mut self) {
        self.set_pacing_rate_with_gain(self.state.pacing_gain());
    }

    /// SetSendQuantum (section 5.6.3).
    pub(super) fn set_send_quantum(&mut self) {
        let quantum = volume(self.pacing_rate, Duration::from_millis(1));
        self.send_quantum = quantum.min(MOST_QUANTUM).max(2 * self.mss);
    }

    /// UpdateMaxInflight (section 5.6.4.2).
    fn max_inflight(&self) -> u64 {
        let bdp = self.bdp_multiple(self.bw, self.state.cwnd_gain());
        let extra_acked = self.extra_acked.get(self.full_bw_reached);
        self.quantization_budget(bdp.saturating_add(extra_acked))
    }

    /// SetCwnd (section 5.6.4.6).
    pub(super) fn set_cwnd(&mut self, rs: &Rs) {
        let max_inflight = self.max_inflight();
        let grown = self.cwnd.saturating_add(rs.newly_acked);
        if self.full_bw_reached {
            self.cwnd = grown.min(max_inflight);
        } else if self.cwnd < max_inflight || self.delivered < self.initial_cwnd {
            self.cwnd = grown;
        }
        self.cwnd = self.cwnd.max(self.min_pipe_cwnd());
        // BoundCwndForProbeRTT (section 5.6.4.5).
        if self.state == State::ProbeRtt {
            self.cwnd = self.cwnd.min(self.probe_rtt_cwnd());
        }
        self.bound_cwnd_for_model();
    }

    /// ProbeRTTCwnd (section 5.6.4.5).
    pub(super) fn probe_rtt_cwnd(&self) -> u64 {
        self.bdp_multiple(self.bw, State::ProbeRtt.cwnd_gain())
            .max(self.min_pipe_cwnd())
    }

    /// BoundCwndForModel (section 5.6.4.7).
    fn bound_cwnd_for_model(&mut self) {
        let cap = match self.state {
            State::ProbeBwCruise | State::ProbeRtt => self.inflight_with_headroom(),
            state if state.is_probe_bw() => self.inflight_longterm,
            _ => INFINITY,
        };
        let cap = cap.min(self.inflight_shortterm).max(self.min_pipe_cwnd());
        self.cwnd = self.cwnd.min(cap);
    }

    /// Notes whether `in_flight` leaves no room for another segment.
    pub(super) fn note_cwnd_limited(&mut self, in_flight: u64) {
        if in_flight.saturating_add(self.mss) > self.cwnd {
            self.cwnd_limited[0] = true;
        }
    }

    /// C.is_cwnd_limited: at any moment of the last round trip.
    pub(super) fn is_cwnd_limited(&self) -> bool {
        let [this_round, last_round] = self.cwnd_limited;
        this_round || last_round
    }
}
