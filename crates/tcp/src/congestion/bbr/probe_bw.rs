//! ProbeBW: down, cruise, refill, up (section 5.3.3).

use core::time::Duration;

use super::model::Rs;
use super::{AckPhase, Bbr, INFINITY, State};
use crate::time::Instant;

/// The most rounds between two probes (section 5.3.3.8.3).
const MOST_RENO_ROUNDS: u64 = 63;

impl Bbr {
    /// UpdateProbeBWCyclePhase (section 5.3.3.9).
    pub(super) fn update_probe_bw_cycle_phase(&mut self, rs: &Rs) {
        if !self.full_bw_reached || self.adapt_long_term_model(rs) {
            return;
        }
        let state = self.state;
        match state {
            State::ProbeBwDown | State::ProbeBwCruise if self.is_time_to_probe_bw(rs.now) => {
                self.start_probe_bw_refill();
            }
            State::ProbeBwDown if self.is_time_to_cruise(rs) => self.start_probe_bw_cruise(),
            // One round of refilling.
            State::ProbeBwRefill if self.round_start => {
                self.is_bw_probe_sample = true;
                self.start_probe_bw_up(rs);
            }
            State::ProbeBwUp if self.is_time_to_go_down(rs) => {
                self.prev_probe_too_high = false; // no high loss (yet)
                self.start_probe_bw_down(rs.now);
            }
            _ => {}
        }
    }

    pub(super) fn start_probe_bw_down(&mut self, now: Instant) {
        self.reset_congestion_signals();
        self.probe_up_acked_per_inc = INFINITY;
        self.pick_probe_wait(now);
        self.cycle_stamp = now;
        self.ack_phase = AckPhase::ProbeStopping;
        self.start_round();
        self.state = State::ProbeBwDown;
    }

    pub(super) fn start_probe_bw_cruise(&mut self) {
        self.state = State::ProbeBwCruise;
    }

    pub(super) fn start_probe_bw_refill(&mut self) {
        self.reset_short_term_model();
        self.bw_probe_up_rounds = 0;
        self.bw_probe_up_acked = 0;
        self.prev_probe_precautionary = false;
        self.ack_phase = AckPhase::Refilling;
        self.start_round();
        self.state = State::ProbeBwRefill;
    }

    fn start_probe_bw_up(&mut self, rs: &Rs) {
        self.ack_phase = AckPhase::ProbeStarting;
        self.start_round();
        self.reset_full_bw(rs.delivery_rate);
        self.state = State::ProbeBwUp;
        self.raise_inflight_longterm_slope();
    }

    /// IsTimeToProbeBW (section 5.3.3.8.3).
    fn is_time_to_probe_bw(&self, now: Instant) -> bool {
        now > self.cycle_stamp + self.bw_probe_wait || self.is_reno_coexistence_probe_time()
    }

    /// IsRenoCoexistenceProbeTime (section 5.3.3.8.3): as many rounds as there are segments in flight.
    fn is_reno_coexistence_probe_time(&self) -> bool {
        let reno_rounds = self.target_inflight() / self.mss;
        self.rounds_since_probe_up >= reno_rounds.min(MOST_RENO_ROUNDS)
    }

    /// PickProbeWait (section 5.3.3.8.3).
    fn pick_probe_wait(&mut self, now: Instant) {
        let random = self.random(now);
        self.rounds_since_probe_up = random >> 63;
        self.bw_probe_wait = Duration::from_secs(2) + Duration::from_nanos(random % 1_000_000_000);
    }

    /// IsTimeToCruise (section 5.3.3.9).
    fn is_time_to_cruise(&self, rs: &Rs) -> bool {
        rs.inflight <= self.inflight_with_headroom() && rs.inflight <= self.inflight(self.max_bw())
    }

    /// IsTimeToGoDown (section 5.3.3.9).
    fn is_time_to_go_down(&mut self, rs: &Rs) -> bool {
        if self.prev_probe_too_high && rs.inflight >= self.inflight_longterm {
            self.prev_probe_precautionary = true;
            return true;
        }
        if self.is_cwnd_limited() && self.cwnd >= self.inflight_longterm {
            // The bound, not the path, holds the rate.
            self.reset_full_bw(rs.delivery_rate);
            return false;
        }
        self.full_bw_now
    }

    /// RaiseInflightLongtermSlope (section 5.3.3.9).
    fn raise_inflight_longterm_slope(&mut self) {
        let growth_this_round = 1u64 << self.bw_probe_up_rounds;
        self.bw_probe_up_rounds = (self.bw_probe_up_rounds + 1).min(30);
        self.probe_up_acked_per_inc = (self.cwnd / growth_this_round).max(self.mss);
    }

    /// ProbeInflightLongtermUpward (section 5.3.3.9).
    fn probe_inflight_longterm_upward(&mut self, rs: &Rs) {
        if !self.is_cwnd_limited() || self.cwnd < self.inflight_longterm {
            return;
        }
        self.bw_probe_up_acked += rs.newly_acked;
        if self.bw_probe_up_acked >= self.probe_up_acked_per_inc {
            let delta = self.bw_probe_up_acked / self.probe_up_acked_per_inc;
            self.bw_probe_up_acked -= delta * self.probe_up_acked_per_inc;
            let more = delta.saturating_mul(self.mss);
            self.inflight_longterm = self.inflight_longterm.saturating_add(more);
        }
        if self.round_start {
            self.raise_inflight_longterm_slope();
        }
    }

    /// AdaptLongTermModel (section 5.3.3.9): whether it chose the next state.
    fn adapt_long_term_model(&mut self, rs: &Rs) -> bool {
        if self.ack_phase == AckPhase::ProbeStarting && self.round_start {
            self.ack_phase = AckPhase::ProbeFeedback;
        }
        if self.ack_phase == AckPhase::ProbeStopping && self.round_start {
            self.is_bw_probe_sample = false;
            self.ack_phase = AckPhase::Init;
            if self.state.is_probe_bw() {
                if !rs.is_app_limited {
                    self.max_bw.advance();
                }
                if self.prev_probe_precautionary && !self.prev_probe_too_high {
                    self.start_probe_bw_refill();
                    return true;
                }
            }
        }
        if !self.is_inflight_too_high(rs) && self.inflight_longterm != INFINITY {
            self.inflight_longterm = self.inflight_longterm.max(rs.tx_in_flight);
            if self.state == State::ProbeBwUp {
                self.probe_inflight_longterm_upward(rs);
            }
        }
        false
    }
}
