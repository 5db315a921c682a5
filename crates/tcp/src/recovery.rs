//! "Which ranges are lost now?": duplicate acknowledgements, SACK, the timer (RFC 5681, 6582, 6675, 6298).

use crate::congestion::{CongestionControl, Trouble};
use crate::event::Reason;
use crate::send::Send;
use crate::send::in_flight::Fate;
use crate::seq::SeqNum;
use crate::time::Instant;

/// Where the sender stands with losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No loss is known.
    Open,
    /// Acknowledgements showed a loss; over when SND.UNA reaches `until`.
    Recovery {
        /// "recover" of RFC 6582: SND.NXT when it began.
        until: SeqNum,
    },
    /// The timer fired; over when SND.UNA reaches `until`.
    Loss {
        /// SND.NXT when the timer fired.
        until: SeqNum,
    },
}

/// What loss detection remembers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recovery {
    pub(crate) phase: Phase,
    /// Duplicate acknowledgements in a row.
    pub(crate) duplicates: u32,
    /// Octets that left the network by duplicate acknowledgements, where no SACK says which (RFC 6582's inflation).
    pub(crate) departed: u32,
    /// Octets that duplicates may still stand for in this repair: what flew when SND.UNA last moved (RFC 5681 section 6). What is
    /// sent by their leave earns no more of them, or forged ones would send all that the window takes.
    credit: u32,
    /// The next retransmission goes whatever the congestion window says, for this reason: it is the first after a
    /// loss was shown (RFC 6675 section 5, 4.3; RFC 6582 section 3.2, 3).
    pub(crate) owed: Option<Reason>,
    /// Where the last repair without SACK ended: duplicates of that very acknowledgement may be of what the repair
    /// sent in vain, and start no other (RFC 6582 section 3.2, step 2).
    repaired: Option<SeqNum>,
    /// SND.UNA when the timer last fired, until it moves.
    timed_out: Option<SeqNum>,
}

/// What an acknowledgement brought, as far as losses go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence {
    /// SND.UNA moved by so many octets.
    pub(crate) acked: u64,
    /// SACK newly reported so many.
    pub(crate) sacked: u64,
    /// It is a duplicate acknowledgement (RFC 5681 section 2).
    pub(crate) duplicate: bool,
    /// SACK was agreed.
    pub(crate) sack: bool,
    /// A probe of the path's MTU that flies: its loss is no sign of congestion (RFC 4821 section 7.5).
    pub(crate) probe: Option<(SeqNum, SeqNum)>,
    /// The network marked text of the same window, and the sender has slowed down for it: a loss is the same congestion
    /// (RFC 3168 section 6.1.2).
    pub(crate) paid: bool,
    /// DupThresh.
    pub(crate) threshold: u8,
}

impl Recovery {
    pub(crate) const fn new() -> Self {
        Self {
            phase: Phase::Open,
            duplicates: 0,
            departed: 0,
            credit: 0,
            owed: None,
            repaired: None,
            timed_out: None,
        }
    }

    pub(crate) const fn in_recovery(&self) -> bool {
        matches!(self.phase, Phase::Recovery { .. })
    }

    /// Octets in the network: "pipe".
    pub(crate) fn pipe(&self, send: &Send) -> u64 {
        send.in_flight
            .pipe()
            .saturating_sub(u64::from(self.departed))
    }

    /// Draws the conclusions from an acknowledgement: marks losses, enters and leaves recovery.
    pub(crate) fn on_ack(
        &mut self,
        now: Instant,
        evidence: &Evidence,
        send: &mut Send,
        congestion: &mut dyn CongestionControl,
    ) {
        if evidence.acked > 0 {
            self.on_progress(now, evidence, send, congestion);
        } else if evidence.duplicate {
            self.duplicates = self.duplicates.saturating_add(1);
            if !evidence.sack {
                // Each duplicate says that a segment arrived somewhere after the hole.
                let most = send.in_flight.pipe().saturating_sub(u64::from(send.mss));
                let stands_for = if self.in_recovery() {
                    send.mss.min(self.credit)
                } else {
                    send.mss
                };
                self.credit = self.credit.saturating_sub(stands_for);
                self.departed = self.departed.saturating_add(stands_for).min(octets(most));
            }
        }
        let mut lost = false;
        if evidence.sack && evidence.sacked > 0 {
            lost = send
                .in_flight
                .mark_lost_below_sacks(evidence.threshold, send.mss)
                > 0;
        }
        let in_vain = !evidence.sack && self.repaired == Some(send.una);
        let shown = self.duplicates >= u32::from(evidence.threshold.max(1)) && !in_vain;
        if self.phase == Phase::Open && shown {
            lost |= send.in_flight.mark_first_lost(send.mss);
        }
        if lost && self.phase == Phase::Open {
            let probe = evidence.probe;
            if probe.is_some_and(|(start, end)| send.in_flight.is_all_lost_within(start, end)) {
                self.owed = Some(Reason::LossRecovery);
            } else {
                self.enter(now, evidence, send, congestion);
            }
        }
        if !send.in_flight.has_lost() {
            self.owed = None;
        }
    }

    /// SND.UNA moved.
    fn on_progress(
        &mut self,
        now: Instant,
        evidence: &Evidence,
        send: &mut Send,
        congestion: &mut dyn CongestionControl,
    ) {
        self.duplicates = 0;
        self.timed_out = None;
        match self.phase {
            Phase::Open => self.departed = 0,
            Phase::Recovery { until } | Phase::Loss { until } if send.una.at_or_after(until) => {
                if self.in_recovery() {
                    congestion.on_recovered(now);
                }
                *self = Self {
                    repaired: Some(until),
                    ..Self::new()
                };
            }
            Phase::Recovery { .. } => self.on_partial_ack(evidence, send),
            Phase::Loss { .. } => self.departed = 0,
        }
    }

    /// RFC 6582 section 3.2, step 3: the next hole begins at SND.UNA. With SACK this is so where something after it
    /// was reported (RFC 6675 section 4, NextSeg 3).
    fn on_partial_ack(&mut self, evidence: &Evidence, send: &mut Send) {
        let mss = u64::from(send.mss);
        // Deflated by what was acknowledged, less the retransmission itself, which was no duplicate's.
        let inflation = evidence.acked.saturating_sub(mss);
        let most = send.in_flight.pipe().saturating_sub(mss);
        self.departed = self
            .departed
            .saturating_sub(octets(inflation))
            .min(octets(most));
        self.give_credit(send);
        let hole = !evidence.sack || send.in_flight.has_sacked();
        if hole && send.in_flight.mark_first_lost(send.mss) {
            self.owed = Some(Reason::LossRecovery);
        }
    }

    fn enter(
        &mut self,
        now: Instant,
        evidence: &Evidence,
        send: &Send,
        congestion: &mut dyn CongestionControl,
    ) {
        if !evidence.paid {
            congestion.on_trouble(now, Trouble::Loss, flight_size(send, congestion));
        }
        self.phase = Phase::Recovery { until: send.nxt };
        self.owed = Some(Reason::FastRetransmit);
        self.give_credit(send);
    }

    fn give_credit(&mut self, send: &Send) {
        self.credit = octets(send.in_flight.octets()).saturating_sub(self.departed);
    }

    /// What flies in segments of more than `mss` octets is too large for the path: send it again. Answers whether there
    /// was any.
    pub(crate) fn resend_larger(&mut self, send: &mut Send, mss: u32) -> bool {
        let any = send.in_flight.mark_larger_lost(mss);
        if any {
            self.departed = 0;
            self.owed = Some(Reason::LossRecovery);
        }
        any
    }

    /// What flew is gone for another reason than congestion (the window shut on it): send it again.
    pub(crate) fn resend_all(&mut self, send: &mut Send) {
        send.in_flight.mark_all_lost(false);
        self.departed = 0;
        self.owed = send.in_flight.has_lost().then_some(Reason::LossRecovery);
    }

    /// SND.UNA stands where a range begins that SACK reported: the peer has dropped it again (RFC 2018 section 8). It is
    /// sent again; others that SACK reported count until SND.UNA comes to them, or the timer fires.
    pub(crate) fn check_reneging(&mut self, send: &mut Send) {
        if send.in_flight.forget_first_sack() {
            self.owed = Some(Reason::LossRecovery);
        }
    }

    /// The retransmission timer fired: all that flies is lost (RFC 6298 5.4, RFC 5681 section 3.1).
    ///
    /// ssthresh falls once for a loss, not at each repetition of the same segment (RFC 5681 section 3.1, equation 4).
    pub(crate) fn on_timeout(
        &mut self,
        now: Instant,
        send: &mut Send,
        congestion: &mut dyn CongestionControl,
    ) {
        // The oldest was reported by SACK, and still is not acknowledged: the peer reneged (RFC 2018 section 8).
        let reneged = send
            .in_flight
            .oldest()
            .is_some_and(|sent| sent.fate == Fate::Sacked);
        if self.timed_out != Some(send.una) {
            congestion.on_trouble(now, Trouble::Timeout, flight_size(send, congestion));
        }
        send.in_flight.mark_all_lost(reneged);
        *self = Self {
            phase: Phase::Loss { until: send.nxt },
            owed: Some(Reason::Timeout),
            timed_out: Some(send.una),
            ..Self::new()
        };
    }
}

/// A number of octets in flight: less than 2^31.
fn octets(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// FlightSize of RFC 5681 equation 4, without what limited transmit added (RFC 5681 section 3.2, step 2).
fn flight_size(send: &Send, congestion: &dyn CongestionControl) -> u64 {
    send.in_flight.octets().min(congestion.window())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::congestion::{CongestionFactory, NewReno};
    use alloc::boxed::Box;

    const MSS: u32 = 1000;
    const NOW: Instant = Instant::from_millis(1);

    /// A sender without SACK, ten segments in flight, a congestion window of ten.
    struct Sender {
        send: Send,
        recovery: Recovery,
        congestion: Box<dyn CongestionControl>,
    }

    impl Sender {
        fn new() -> Self {
            let mut send = Send::new(SeqNum(0xffff_f000), 0, MSS, Instant::ZERO);
            send.on_ack_of_syn();
            let mut sender = Self {
                send,
                recovery: Recovery::new(),
                congestion: NewReno::factory().make(MSS, 10_000),
            };
            sender.fly(10);
            sender
        }

        fn fly(&mut self, segments: u32) {
            for _ in 0..segments {
                let end = self.send.nxt + MSS;
                self.send.in_flight.push(self.send.nxt, end, NOW, MSS);
                self.send.nxt = end;
            }
        }

        /// An acknowledgement of so many more octets; of none: a duplicate.
        fn ack(&mut self, octets: u32) {
            self.send.una += octets;
            let evidence = Evidence {
                acked: self.send.in_flight.acknowledge(self.send.una).octets,
                sacked: 0,
                duplicate: octets == 0,
                sack: false,
                probe: None,
                paid: false,
                threshold: 3,
            };
            self.recovery
                .on_ack(NOW, &evidence, &mut self.send, &mut *self.congestion);
        }

        fn duplicates(&mut self, count: u32) {
            for _ in 0..count {
                self.ack(0);
            }
        }

        fn time_out(&mut self) {
            self.recovery
                .on_timeout(NOW, &mut self.send, &mut *self.congestion);
        }

        /// Sends again what is lost first.
        fn repair(&mut self) {
            let (start, _) = self.send.in_flight.next_lost().unwrap();
            self.send
                .in_flight
                .mark_sent_again(start, start + MSS, NOW, MSS);
        }

        fn in_recovery(&self) -> bool {
            self.recovery.in_recovery()
        }
    }

    #[test]
    fn duplicates_inflate_and_a_partial_acknowledgement_deflates() {
        let mut sender = Sender::new();
        sender.duplicates(2);
        assert!(!sender.in_recovery());
        assert_eq!(
            sender.recovery.pipe(&sender.send),
            8_000,
            "two may be sent: RFC 3042"
        );
        sender.duplicates(1);
        assert!(sender.in_recovery());
        assert_eq!(sender.congestion.window(), 5_000);
        sender.repair();
        sender.duplicates(4);
        assert_eq!(
            sender.recovery.pipe(&sender.send),
            3_000,
            "seven of ten have left"
        );
        sender.ack(3_000);
        // Seven left; two of them are acknowledged now. The next hole is known, and not in the network.
        assert_eq!(sender.recovery.departed, 5_000);
        assert_eq!(
            sender.send.in_flight.next_lost(),
            Some((sender.send.una, MSS))
        );
        assert_eq!(sender.recovery.owed, Some(Reason::LossRecovery));
        sender.ack(7_000);
        assert_eq!(sender.recovery.phase, Phase::Open);
        assert_eq!(sender.recovery.pipe(&sender.send), 0);
        assert_eq!(sender.congestion.window(), 5_000);
    }

    #[test]
    fn duplicates_of_the_last_of_a_repair_mean_nothing() {
        let mut sender = Sender::new();
        sender.time_out();
        sender.ack(10_000);
        assert_eq!(sender.recovery.phase, Phase::Open);
        sender.fly(8);
        sender.duplicates(5);
        assert!(
            !sender.in_recovery(),
            "they may be of what was sent in vain"
        );
        sender.ack(1_000);
        sender.duplicates(3);
        assert!(sender.in_recovery(), "these are not");
    }

    #[test]
    fn limited_transmit_is_no_flight() {
        let mut sender = Sender::new();
        sender.duplicates(2);
        sender.fly(2);
        sender.duplicates(1);
        assert_eq!(sender.congestion.threshold(), 5_000);
    }

    #[test]
    fn the_threshold_falls_once_for_a_segment_however_often_it_is_lost() {
        let mut sender = Sender::new();
        sender.time_out();
        assert_eq!(
            (sender.congestion.threshold(), sender.congestion.window()),
            (5_000, 1_000)
        );
        sender.repair();
        sender.time_out();
        assert_eq!(
            (sender.congestion.threshold(), sender.congestion.window()),
            (5_000, 1_000)
        );
        sender.ack(1_000);
        sender.time_out();
        assert_eq!(sender.congestion.threshold(), 2_000, "another segment");
    }

    #[test]
    fn nothing_stays_owed_when_all_is_acknowledged() {
        let mut sender = Sender::new();
        sender.recovery.resend_all(&mut sender.send);
        assert_eq!(sender.recovery.owed, Some(Reason::LossRecovery));
        sender.ack(10_000);
        assert_eq!(sender.recovery.owed, None);
    }
}
