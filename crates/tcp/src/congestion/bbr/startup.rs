//! Startup and Drain (sections 5.3.1, 5.3.2).

use super::model::Rs;
use super::{Bbr, STARTUP_FULL_LOSS_COUNT, State, scale};

impl Bbr {
    /// ResetFullBW (section 5.3.1.2), from a first rate.
    pub(super) fn reset_full_bw(&mut self, full_bw: u64) {
        self.full_bw = full_bw;
        self.full_bw_count = 0;
        self.full_bw_now = false;
    }

    /// CheckFullBWReached (section 5.3.1.2). A round without a reliable rate tells nothing.
    pub(super) fn check_full_bw_reached(&mut self, rs: &Rs) {
        if self.full_bw_now || !self.round_start || rs.is_app_limited || rs.delivery_rate == 0 {
            return;
        }
        if rs.delivery_rate >= scale(self.full_bw, 125, 100) {
            self.reset_full_bw(rs.delivery_rate);
            return;
        }
        self.full_bw_count += 1;
        self.full_bw_now = self.full_bw_count >= 3;
        if self.full_bw_now {
            self.full_bw_reached = true;
        }
    }

    /// CheckStartupDone (section 5.3.1.1).
    pub(super) fn check_startup_done(&mut self, rs: &Rs) {
        self.check_startup_high_loss(rs);
        if self.state == State::Startup && self.full_bw_reached {
            self.enter_drain();
        }
    }

    /// CheckStartupHighLoss (section 5.3.1.3).
    fn check_startup_high_loss(&mut self, rs: &Rs) {
        let enough = if self.has_selective_acks {
            self.loss_round_start
                && self.loss_events_in_round >= STARTUP_FULL_LOSS_COUNT
                && self.is_inflight_too_high(rs)
        } else {
            self.loss_events_in_round > 0
        };
        if self.state == State::Startup && self.loss_recovery.is_some() && enough {
            self.leave_startup_upon_congestion();
        }
    }

    /// What section 5.3.1.3 does once the pipe is found overfull.
    pub(super) fn leave_startup_upon_congestion(&mut self) {
        if let Some(undo) = &mut self.undo {
            undo.state = Some(State::Startup);
        }
        self.full_bw_reached = true;
        let bdp = self.bdp_multiple(self.bw.max(self.max_bw()), 100);
        self.inflight_longterm = bdp.max(self.inflight_latest);
        self.enter_drain();
    }

    /// EnterStartup (section 5.3.1.1).
    pub(super) fn enter_startup(&mut self) {
        self.state = State::Startup;
    }

    /// EnterDrain (section 5.3.2).
    fn enter_drain(&mut self) {
        self.state = State::Drain;
        self.drain_start_round = self.round_count;
    }

    /// CheckDrainDone (section 5.3.2).
    pub(super) fn check_drain_done(&mut self, rs: &Rs) {
        let drained = rs.inflight <= self.inflight(self.bw);
        let late = self.round_count > self.drain_start_round + 3;
        if self.state == State::Drain && (drained || late) {
            self.start_probe_bw_down(rs.now);
        }
    }
}
