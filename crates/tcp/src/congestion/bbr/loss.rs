//! What losses and marks do to the model, and how a false alarm is undone (sections 5.5.10, 5.5.11).

use super::model::Rs;
use super::{BETA, Bbr, INFINITY, LOSS_THRESH, State, Undo, scale};
use crate::congestion::LostText;
use crate::time::Instant;

impl Bbr {
    /// IsInflightTooHigh (section 5.5.10.2).
    pub(super) fn is_inflight_too_high(&self, rs: &Rs) -> bool {
        self.is_too_much(rs.lost, rs.tx_in_flight)
    }

    fn is_too_much(&self, lost: u64, tx_in_flight: u64) -> bool {
        lost > scale(tx_in_flight, LOSS_THRESH, 100) || (lost > 0 && !self.has_selective_acks)
    }

    /// HandleInflightTooHigh (section 5.5.10.2).
    fn handle_inflight_too_high(&mut self, now: Instant, tx_in_flight: u64, is_app_limited: bool) {
        self.prev_probe_too_high = true;
        self.is_bw_probe_sample = false; // only react once per probe
        if !is_app_limited {
            let least = scale(self.target_inflight(), BETA, 100);
            self.inflight_longterm = tx_in_flight.max(least);
        }
        if self.state == State::ProbeBwUp {
            if let Some(undo) = &mut self.undo {
                undo.state = Some(State::ProbeBwUp);
            }
            self.start_probe_bw_down(now);
        }
    }

    /// NoteLoss (section 5.5.10.2).
    fn note_loss(&mut self) {
        self.save_state_upon_loss();
        self.note_congestion();
    }

    fn note_congestion(&mut self) {
        if !self.is_loss_in_round {
            self.loss_round_delivered = self.delivered;
        }
        self.is_loss_in_round = true;
    }

    /// HandleLostPacket (section 5.5.10.2).
    pub(super) fn handle_lost_packet(&mut self, now: Instant, lost: &LostText) {
        self.note_loss();
        self.is_loss_since_ack = true;
        if self.is_bw_probe_sample && self.is_too_much(lost.lost, lost.tx_in_flight) {
            let tx_in_flight = inflight_at_loss(lost);
            self.handle_inflight_too_high(now, tx_in_flight, lost.app_limited);
        }
    }

    /// The network marked instead of dropping: congestion as well, with nothing to repair (section 3.7).
    pub(super) fn on_marked(&mut self, now: Instant, in_flight: u64) {
        self.note_congestion();
        self.is_marked_in_round = true;
        if self.is_bw_probe_sample {
            self.handle_inflight_too_high(now, in_flight, false);
        } else if self.state == State::Startup {
            self.leave_startup_upon_congestion();
        }
    }

    /// UpdateLatestDeliverySignals (section 5.5.10.3).
    pub(super) fn update_latest_delivery_signals(&mut self, rs: &Rs) {
        self.loss_round_start = false;
        self.bw_latest = self.bw_latest.max(rs.delivery_rate);
        self.inflight_latest = self.inflight_latest.max(rs.delivered);
        if rs.has_data && rs.prior_delivered >= self.loss_round_delivered {
            self.loss_round_delivered = self.delivered;
            self.loss_round_start = true;
        }
        if core::mem::take(&mut self.is_loss_since_ack) {
            self.loss_events_in_round = self.loss_events_in_round.saturating_add(1);
        }
    }

    /// AdvanceLatestDeliverySignals (section 5.5.10.3).
    pub(super) fn advance_latest_delivery_signals(&mut self, rs: &Rs) {
        if self.loss_round_start {
            self.bw_latest = rs.delivery_rate;
            self.inflight_latest = rs.delivered;
            self.loss_events_in_round = 0;
        }
    }

    /// ResetCongestionSignals (section 5.5.10.3).
    pub(super) fn reset_congestion_signals(&mut self) {
        self.is_loss_in_round = false;
        self.is_marked_in_round = false;
        self.bw_latest = 0;
        self.inflight_latest = 0;
    }

    /// UpdateCongestionSignals (section 5.5.10.3).
    pub(super) fn update_congestion_signals(&mut self, rs: &Rs) {
        self.update_max_bw(rs);
        if self.loss_round_start {
            self.adapt_lower_bounds_from_congestion(rs);
            self.is_loss_in_round = false;
            self.is_marked_in_round = false;
        }
    }

    /// AdaptLowerBoundsFromCongestion (section 5.5.10.3), where two rounds in a row lost more than the design allows a path to
    /// lose (section 3.2), or the round was marked: see decision 016. Without SACK a round knows of one loss, and that is enough.
    fn adapt_lower_bounds_from_congestion(&mut self, rs: &Rs) {
        let lossy = self.is_loss_in_round && self.is_inflight_too_high(rs);
        let lossy_before = core::mem::replace(&mut self.was_round_lossy, lossy);
        let lasts = lossy && (lossy_before || !self.has_selective_acks);
        if self.state.is_probing() || !(lasts || self.is_marked_in_round) {
            return;
        }
        if self.bw_shortterm == INFINITY {
            self.bw_shortterm = self.max_bw();
        }
        if self.inflight_shortterm == INFINITY {
            self.inflight_shortterm = self.cwnd;
        }
        self.bw_shortterm = scale(self.bw_shortterm, BETA, 100).max(self.bw_latest);
        self.inflight_shortterm =
            scale(self.inflight_shortterm, BETA, 100).max(self.inflight_latest);
    }

    /// ResetShortTermModel (section 5.5.10.3).
    pub(super) fn reset_short_term_model(&mut self) {
        self.bw_shortterm = INFINITY;
        self.inflight_shortterm = INFINITY;
    }

    /// SaveStateUponLoss (section 5.5.11.1): once an episode, at its first sign, so that all of it can be undone.
    pub(super) fn save_state_upon_loss(&mut self) {
        self.save_cwnd();
        let undo = self.undo.take_if(|undo| !undo.repaired);
        self.undo = undo.or(Some(Undo {
            repaired: false,
            state: None,
            bw_shortterm: self.bw_shortterm,
            inflight_shortterm: self.inflight_shortterm,
            inflight_longterm: self.inflight_longterm,
        }));
    }

    /// HandleSpuriousLossDetection (section 5.5.11.2).
    pub(super) fn handle_spurious_loss_detection(&mut self) {
        self.loss_recovery = None;
        let Some(undo) = self.undo.take() else {
            return;
        };
        self.restore_cwnd();
        self.is_loss_in_round = false;
        self.reset_full_bw(0);
        self.bw_shortterm = self.bw_shortterm.max(undo.bw_shortterm);
        self.inflight_shortterm = self.inflight_shortterm.max(undo.inflight_shortterm);
        self.inflight_longterm = self.inflight_longterm.max(undo.inflight_longterm);
        self.bound_bw_for_model();
        match undo.state {
            Some(State::Startup) if self.state != State::Startup => {
                self.full_bw_reached = false;
                if self.state != State::ProbeRtt {
                    self.enter_startup();
                }
            }
            Some(State::ProbeBwUp) if !matches!(self.state, State::ProbeBwUp | State::ProbeRtt) => {
                self.start_probe_bw_refill();
            }
            _ => {}
        }
        self.set_pacing_rate();
    }

    /// SaveCwnd (section 5.6.4.4).
    pub(super) fn save_cwnd(&mut self) {
        if self.loss_recovery.is_none() && self.state != State::ProbeRtt {
            self.prior_cwnd = self.cwnd;
        } else {
            self.prior_cwnd = self.prior_cwnd.max(self.cwnd);
        }
    }

    /// RestoreCwnd (section 5.6.4.4).
    pub(super) fn restore_cwnd(&mut self) {
        self.cwnd = self.cwnd.max(self.prior_cwnd);
    }
}

/// InflightAtLoss (section 5.5.10.2): what flew when, within this transmission, losses crossed the threshold. Were they beyond it
/// before: what flew before.
fn inflight_at_loss(lost: &LostText) -> u64 {
    let inflight_prev = lost.tx_in_flight.saturating_sub(lost.octets);
    let lost_prev = lost.lost.saturating_sub(lost.octets);
    let budget = scale(inflight_prev, LOSS_THRESH, 100);
    let lost_prefix = scale(budget.saturating_sub(lost_prev), 100, 100 - LOSS_THRESH);
    inflight_prev + lost_prefix
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u64 = 1448;

    /// Ends a round of a hundred segments, so many of them lost.
    fn end_round(bbr: &mut Bbr, lost: u64) {
        bbr.is_loss_in_round = lost > 0;
        let rs = Rs {
            now: Instant::ZERO,
            has_data: true,
            delivery_rate: 0,
            delivered: 0,
            prior_delivered: 0,
            tx_in_flight: 100 * MSS,
            lost: lost * MSS,
            newly_acked: 0,
            is_app_limited: false,
            rtt: None,
            inflight: 0,
        };
        bbr.adapt_lower_bounds_from_congestion(&rs);
    }

    #[test]
    fn losses_lower_the_short_term_model_when_they_last() {
        let rounds: [(&[u64], bool, State, bool); 8] = [
            (&[3], true, State::ProbeBwCruise, false),
            (&[30, 2, 30, 0, 30], true, State::ProbeBwCruise, false),
            (&[2, 2, 2, 2], true, State::ProbeBwCruise, false),
            (&[3, 3], true, State::ProbeBwCruise, true),
            (&[0, 3, 3], true, State::Drain, true),
            (&[3, 3, 3], true, State::ProbeBwUp, false),
            (&[1], false, State::ProbeBwDown, true),
            (&[0, 0], false, State::ProbeBwDown, false),
        ];
        for (lost, sack, state, lowered) in rounds {
            let mut bbr = Bbr::new(1448, 10 * MSS);
            bbr.max_bw.update(1_000_000);
            bbr.state = state;
            bbr.has_selective_acks = sack;
            for lost in lost {
                end_round(&mut bbr, *lost);
            }
            let bounds = (bbr.bw_shortterm, bbr.inflight_shortterm);
            let wanted = if lowered {
                (700_000, 7 * MSS)
            } else {
                (INFINITY, INFINITY)
            };
            assert_eq!(bounds, wanted, "{lost:?} {sack} {state:?}");
        }
    }
}
