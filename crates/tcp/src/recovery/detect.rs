//! What is lost now, and what follows from it.

use super::prr::PrrAck;
use super::rack::Surroundings;
use super::tlp::Outcome;
use super::{Evidence, Phase, Recovery, Sender, flight_size};
use crate::congestion::Trouble;
use crate::event::Reason;
use crate::send::in_flight::Sent;
use crate::seq::SeqNum;
use crate::time::Instant;

impl Recovery {
    /// RFC 8985 section 6.2, steps 4 and 5.
    pub(super) fn detect_by_rack(
        &mut self,
        evidence: &Evidence,
        recovered: bool,
        sender: &mut Sender<'_>,
    ) -> bool {
        let send = &*sender.send;
        let enough = u64::from(evidence.threshold.saturating_sub(1)) * u64::from(send.mss);
        let many = self.duplicates >= u32::from(evidence.threshold.max(1))
            || send.in_flight.sacked() > enough;
        let here = Surroundings {
            una: send.una,
            nxt: send.nxt,
            min_rtt: evidence.min_rtt.unwrap_or_default(),
            srtt: evidence.srtt.unwrap_or_default(),
            repairing: self.phase != Phase::Open,
            many_sacked: many && evidence.rules.rack_duplicate_threshold,
            dsack: evidence.dsack.is_some(),
            recovered,
            fixed: evidence.rules.rack_static_window,
        };
        let Some(flight) = sender.flight.as_deref_mut() else {
            return false;
        };
        flight.rack.update_window(&here);
        flight.rack.on_una(here.una);
        self.look(sender)
    }

    /// RACK_detect_loss_and_arm_timer: whether anything is lost that was not.
    fn look(&mut self, sender: &mut Sender<'_>) -> bool {
        let Some(flight) = sender.flight.as_deref_mut() else {
            return false;
        };
        let before = flight.declared.len();
        let declared = &mut flight.declared;
        let next = flight.rack.detect(
            sender.now,
            &mut sender.send.in_flight,
            &mut |sent: &Sent| declared.push(*sent),
        );
        flight.reorder_at = next.unwrap_or(Instant::MAX);
        flight.declared.len() > before
    }

    /// The reordering timer fired.
    pub(crate) fn on_reordering_timer(
        &mut self,
        probe: Option<(SeqNum, SeqNum)>,
        paid: bool,
        sender: &mut Sender<'_>,
    ) {
        let missing = sender.send.in_flight.unreported();
        let lost = self.look(sender);
        sender.tell_losses();
        if lost {
            self.judge(probe, paid, missing, sender);
        }
    }

    /// RFC 6675 and RFC 5681: what has enough reports above it, or duplicates of what is before it.
    pub(super) fn detect_by_count(&mut self, evidence: &Evidence, sender: &mut Sender<'_>) -> bool {
        let mss = sender.send.mss;
        let mut lost = false;
        if evidence.sack && evidence.sacked > 0 {
            lost = sender.declare(|in_flight, hear| {
                in_flight.mark_lost_below_sacks(evidence.threshold, mss, hear)
            }) > 0;
        }
        let in_vain = !evidence.sack && self.repaired == Some(sender.send.una);
        let shown = self.duplicates >= u32::from(evidence.threshold.max(1)) && !in_vain;
        if self.phase == Phase::Open && shown {
            lost |= sender.declare(|in_flight, hear| in_flight.mark_first_lost(mss, hear));
        }
        lost
    }

    /// Something is lost: a repair begins, where none is under way and it is congestion.
    pub(super) fn judge(
        &mut self,
        probe: Option<(SeqNum, SeqNum)>,
        paid: bool,
        missing: u64,
        sender: &mut Sender<'_>,
    ) {
        if self.phase != Phase::Open {
            return;
        }
        let in_flight = &sender.send.in_flight;
        if probe.is_some_and(|(start, end)| in_flight.is_all_lost_within(start, end)) {
            self.owed = Some(Reason::LossRecovery);
            return;
        }
        let by_rack = in_flight
            .next_lost_record()
            .is_some_and(|sent| sent.by_rack);
        if !paid {
            let flying = flight_size(sender.send, sender.congestion).max(sender.used);
            sender
                .congestion
                .on_trouble(sender.now, Trouble::Loss, flying);
        }
        let nxt = sender.send.nxt;
        self.phase = Phase::Recovery { until: nxt };
        self.owed = Some(Reason::FastRetransmit);
        self.give_credit(sender.send);
        if let Some(flight) = sender.flight.as_deref_mut() {
            if by_rack && !flight.rack.window_is_shut() {
                self.owed = Some(Reason::RackLoss);
            }
            flight.prr.enter(
                missing,
                sender.send.in_flight.pipe() + u64::from(sender.send.mss),
            );
            flight.ramp.forget();
            flight.undo.begin(false, false);
            flight.tlp.forget();
        }
    }

    /// What may fly while the loss is repaired, where SACK tells what has arrived (RFC 9937).
    pub(super) fn reduce(&mut self, evidence: &Evidence, lost: bool, sender: &mut Sender<'_>) {
        let in_flight = self.pipe(sender.send);
        let Some(flight) = sender.flight.as_deref_mut() else {
            return;
        };
        if !self.in_recovery() || !evidence.sack {
            flight.prr.leave();
            return;
        }
        let delivered = evidence
            .missing
            .saturating_sub(sender.send.in_flight.unreported());
        flight.prr.on_ack(&PrrAck {
            delivered,
            in_flight,
            threshold: sender.congestion.threshold(),
            safe: evidence.acked > 0 && !lost,
            mss: u64::from(sender.send.mss),
        });
    }

    /// RFC 8985 section 7.4.2: did a tail loss probe repair a loss, for which the window fell?
    pub(super) fn judge_probe(&mut self, evidence: &Evidence, sender: &mut Sender<'_>) -> bool {
        let una = sender.send.una;
        let flying = flight_size(sender.send, sender.congestion).max(sender.used);
        let Some(flight) = sender.flight.as_deref_mut() else {
            return false;
        };
        let twice = evidence.dsack.map(|(_, right)| right);
        let outcome = flight.tlp.on_ack(una, twice, evidence.bare);
        let is_news = outcome == Outcome::RepairedLoss && self.phase == Phase::Open;
        if !is_news || evidence.paid {
            return false;
        }
        flight.undo.forget();
        let (now, congestion) = (sender.now, &mut *sender.congestion);
        congestion.on_trouble(now, Trouble::Loss, flying);
        congestion.on_recovered(now);
        true
    }
}
