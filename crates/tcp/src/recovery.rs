//! "Which ranges are lost now?": RACK, duplicate acknowledgements, SACK, the timer (RFC 8985, 5681, 6582, 6675, 6298), and what
//! of it was a false alarm.

mod again;
mod detect;
pub(crate) mod flight;
pub(crate) mod least;
mod prr;
pub(crate) mod rack;
mod ramp;
mod tlp;
mod undo;

use core::time::Duration;

use crate::config::LossDetection;
use crate::congestion::{CongestionControl, Trouble};
use crate::event::{FalseAlarm, Reason};
use crate::send::Send;
use crate::send::in_flight::{Fate, Sent};
use crate::seq::SeqNum;
use crate::time::Instant;

use flight::Flight;
pub(crate) use tlp::Tlp;
pub(crate) use undo::Frto;

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
    /// It repeats SND.UNA and the window, without text and without SACK blocks.
    pub(crate) bare: bool,
    /// SACK was agreed.
    pub(crate) sack: bool,
    /// A probe of the path's MTU that flies: its loss is no sign of congestion (RFC 4821 section 7.5).
    pub(crate) probe: Option<(SeqNum, SeqNum)>,
    /// The network marked text of the same window, and the sender has slowed down for it: a loss is the same congestion
    /// (RFC 3168 section 6.1.2).
    pub(crate) paid: bool,
    /// DupThresh.
    pub(crate) threshold: u8,
    /// Octets that nothing had reported as arrived, before it came.
    pub(crate) missing: u64,
    /// What it reports as come twice (RFC 2883).
    pub(crate) dsack: Option<(SeqNum, SeqNum)>,
    /// TSecr.
    pub(crate) echo: Option<u32>,
    /// New text could go at once: there is some, and the peer's window takes it.
    pub(crate) new_text: bool,
    /// How losses are detected.
    pub(crate) rules: LossDetection,
    pub(crate) srtt: Option<Duration>,
    pub(crate) min_rtt: Option<Duration>,
}

/// What an acknowledgement led to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conclusion {
    /// How an alarm turned out to be false.
    pub(crate) alarm: Option<FalseAlarm>,
    /// A tail loss probe had repaired a loss: the window fell for it, and no recovery begins.
    pub(crate) probe_repaired: bool,
}

/// What loss recovery works on.
pub(crate) struct Sender<'a> {
    pub(crate) now: Instant,
    pub(crate) send: &'a mut Send,
    pub(crate) congestion: &'a mut dyn CongestionControl,
    /// There is one once text was sent.
    pub(crate) flight: Option<&'a mut Flight>,
    /// pipeACK where the window is not validated: what a loss is judged by where less than that flies (RFC 7661 section 4.4.1).
    pub(crate) used: u64,
}

impl Sender<'_> {
    /// Notes what `mark` declares lost. Returns what it returns.
    fn declare<R>(
        &mut self,
        mark: impl FnOnce(&mut crate::send::in_flight::InFlight, &mut dyn FnMut(&Sent)) -> R,
    ) -> R {
        let mut none = alloc::vec::Vec::new();
        let declared = match self.flight.as_deref_mut() {
            Some(flight) => &mut flight.declared,
            None => &mut none,
        };
        mark(&mut self.send.in_flight, &mut |sent| declared.push(*sent))
    }

    fn tell_losses(&mut self) -> u64 {
        let (now, congestion) = (self.now, &mut *self.congestion);
        self.flight
            .as_deref_mut()
            .map_or(0, |flight| flight.tell_losses(now, congestion))
    }
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

    /// No loss is known, and no duplicate has come since SND.UNA last moved.
    pub(crate) const fn is_calm(&self) -> bool {
        matches!(self.phase, Phase::Open) && self.duplicates == 0 && self.departed == 0
    }

    /// As [`Self::on_ack`], where all is calm and SND.UNA has moved.
    pub(crate) const fn on_plain_progress(&mut self) {
        self.timed_out = None;
        self.owed = None;
    }

    /// Octets in the network: "pipe".
    pub(crate) fn pipe(&self, send: &Send) -> u64 {
        send.in_flight
            .pipe()
            .saturating_sub(u64::from(self.departed))
    }

    /// cwnd as it counts now: of RFC 9937 while a loss is repaired, else the algorithm's.
    pub(crate) fn window(
        &self,
        flight: Option<&Flight>,
        congestion: &dyn CongestionControl,
    ) -> u64 {
        let Some(flight) = flight else {
            return congestion.window();
        };
        match flight.prr.window() {
            Some(window) if self.in_recovery() && !congestion.paces_recovery() => window,
            _ => flight.ramp.limit(congestion.window()),
        }
    }

    /// Draws the conclusions from an acknowledgement: takes false alarms back, marks losses, enters and leaves recovery.
    pub(crate) fn on_ack(&mut self, evidence: &Evidence, sender: &mut Sender<'_>) -> Conclusion {
        let before = self.phase;
        if let Some(flight) = sender.flight.as_deref_mut() {
            let delivered = evidence
                .missing
                .saturating_sub(sender.send.in_flight.unreported());
            flight
                .ramp
                .on_delivered(delivered, sender.congestion.window());
        }
        let alarm = self.false_alarm(evidence, sender);
        if alarm.is_some() {
            self.take_back(evidence.rules.rack_static_window, sender);
        }
        if evidence.acked > 0 {
            self.on_progress(evidence, sender);
        } else if evidence.duplicate {
            self.on_duplicate(evidence, sender.send);
        }
        let recovered = before != Phase::Open && self.phase == Phase::Open;
        let lost = match sender.flight.is_some() && evidence.sack && evidence.rules.rack {
            true => self.detect_by_rack(evidence, recovered, sender),
            false => self.detect_by_count(evidence, sender),
        };
        sender.tell_losses();
        if lost {
            // What was paid for a false alarm is given back.
            let paid = evidence.paid && alarm.is_none();
            self.judge(evidence.probe, paid, evidence.missing, sender);
        }
        if !sender.send.in_flight.has_lost() {
            self.owed = None;
        }
        self.reduce(evidence, lost, sender);
        let probe_repaired = self.judge_probe(evidence, sender);
        Conclusion {
            alarm,
            probe_repaired,
        }
    }

    /// A duplicate acknowledgement.
    fn on_duplicate(&mut self, evidence: &Evidence, send: &Send) {
        self.duplicates = self.duplicates.saturating_add(1);
        if !evidence.sack {
            // Each duplicate says that a segment arrived somewhere after the hole.
            let most = send.in_flight.pipe().saturating_sub(u64::from(send.mss));
            let stands_for = match self.phase {
                // Those of limited transmit, and the one that shows the loss; more are of a repair that was in vain.
                Phase::Open if self.duplicates <= u32::from(evidence.threshold.max(1)) => send.mss,
                Phase::Open => 0,
                // After a timeout there is none but of F-RTO: "pipe" does not count any more what they are of.
                Phase::Recovery { .. } | Phase::Loss { .. } => send.mss.min(self.credit),
            };
            self.credit = self.credit.saturating_sub(stands_for);
            self.departed = self.departed.saturating_add(stands_for).min(octets(most));
        }
    }

    /// Whether the repair under way, or the last one, was in vain.
    fn false_alarm(&mut self, evidence: &Evidence, sender: &mut Sender<'_>) -> Option<FalseAlarm> {
        let una = sender.send.una;
        let rules = evidence.rules;
        let beyond = |recover: SeqNum| {
            let highest = sender.send.in_flight.highest_sacked();
            una.after(recover) || highest.is_some_and(|edge| edge.after(recover))
        };
        let flight = sender.flight.as_deref_mut()?;
        let mut alarm = None;
        if evidence.acked > 0 {
            alarm = flight
                .undo
                .on_progress(una, evidence.echo, evidence.dsack.is_some())
                .filter(|_| rules.eifel);
        }
        if evidence.sacked > 0 {
            flight.undo.on_sacked();
        }
        if let Some(block) = evidence.dsack {
            let before = una - octets(evidence.acked);
            let twice = flight.undo.on_dsack(block, before);
            alarm = alarm.or(twice.filter(|_| rules.duplicate_sack));
        }
        let news = evidence.acked > 0 || evidence.sacked > 0;
        flight.frto = match flight.frto {
            Frto::First(recover) if evidence.acked > 0 => {
                let covers = flight.undo.is_first_covered(una) && una.before(recover);
                match covers && evidence.new_text {
                    true => Frto::Second { recover, left: 2 },
                    false => Frto::Off,
                }
            }
            Frto::First(_) if evidence.duplicate && !evidence.sack => Frto::Off,
            Frto::Second { recover, .. } if news || evidence.duplicate => {
                if news && !beyond(recover) {
                    alarm = alarm.or(Some(FalseAlarm::Frto));
                } else if !news {
                    // Step 3a: cwnd is three segments, two of which fly (RFC 5682 section 2.1).
                    self.credit = sender.send.mss;
                }
                Frto::Off
            }
            other => other,
        };
        alarm
    }

    /// All as it was before the alarm (RFC 4015 section 3.2). `fixed`: RACK's window does not adapt.
    fn take_back(&mut self, fixed: bool, sender: &mut Sender<'_>) {
        let window = self.window(sender.flight.as_deref(), sender.congestion);
        sender.congestion.undo(sender.now);
        let (una, nxt) = (sender.send.una, sender.send.nxt);
        let by_timer = matches!(self.phase, Phase::Loss { .. });
        if self.phase != Phase::Open {
            sender.send.in_flight.take_back_losses();
            *self = Self::new();
        }
        if let Some(flight) = sender.flight.as_deref_mut() {
            flight.rack.on_false_alarm((una, nxt), !by_timer, fixed);
            flight.undo.forget();
            flight.frto = Frto::Off;
            flight.prr.leave();
            flight.ramp.begin(window);
        }
    }

    /// SND.UNA moved.
    fn on_progress(&mut self, evidence: &Evidence, sender: &mut Sender<'_>) {
        self.duplicates = 0;
        self.timed_out = None;
        match self.phase {
            Phase::Open => self.departed = 0,
            Phase::Recovery { until } | Phase::Loss { until }
                if sender.send.una.at_or_after(until) =>
            {
                sender.congestion.on_recovered(sender.now);
                if let Some(flight) = sender.flight.as_deref_mut() {
                    flight.undo.on_repaired(sender.send.nxt);
                }
                *self = Self {
                    repaired: Some(until),
                    ..Self::new()
                };
            }
            Phase::Recovery { .. } => self.on_partial_ack(evidence, sender),
            Phase::Loss { .. } => self.departed = 0,
        }
    }

    /// RFC 6582 section 3.2, step 3: the next hole begins at SND.UNA. With SACK this is so where something after it
    /// was reported (RFC 6675 section 4, NextSeg 3).
    fn on_partial_ack(&mut self, evidence: &Evidence, sender: &mut Sender<'_>) {
        let send = &*sender.send;
        let mss = u64::from(send.mss);
        // Deflated by what was acknowledged, less the retransmission itself, which was no duplicate's.
        let inflation = evidence.acked.saturating_sub(mss);
        let most = send.in_flight.pipe().saturating_sub(mss);
        self.departed = self
            .departed
            .saturating_sub(octets(inflation))
            .min(octets(most));
        self.give_credit(send);
        if evidence.sack && evidence.rules.rack {
            return;
        }
        let hole = !evidence.sack || send.in_flight.has_sacked();
        let mss = send.mss;
        if hole && sender.declare(|in_flight, hear| in_flight.mark_first_lost(mss, hear)) {
            self.owed = Some(Reason::LossRecovery);
        }
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
        send.in_flight.mark_all_lost(false, &mut |_| {});
        self.departed = 0;
        self.owed = send.in_flight.has_lost().then_some(Reason::LossRecovery);
    }

    /// SND.UNA stands where a range begins that SACK reported: the peer has dropped it again (RFC 2018 section 8). It is
    /// sent again; others that SACK reported count until SND.UNA comes to them, or the timer fires.
    pub(crate) fn check_reneging(&mut self, send: &mut Send) {
        if send.in_flight.has_sacked() && send.in_flight.forget_first_sack() {
            self.owed = Some(Reason::LossRecovery);
        }
    }

    /// The retransmission timer fired: all that flies is lost (RFC 6298 5.4, RFC 5681 section 3.1).
    ///
    /// ssthresh falls once for a loss, not at each repetition of the same segment (RFC 5681 section 3.1, equation 4).
    pub(crate) fn on_timeout(&mut self, sack: bool, rules: LossDetection, sender: &mut Sender<'_>) {
        let (una, nxt, now) = (sender.send.una, sender.send.nxt, sender.now);
        // The oldest was reported by SACK, and still is not acknowledged: the peer reneged (RFC 2018 section 8).
        let reneged = sender
            .send
            .in_flight
            .oldest()
            .is_some_and(|sent| sent.fate == Fate::Sacked);
        let flying = flight_size(sender.send, sender.congestion);
        let overdue = sender
            .flight
            .as_deref()
            .filter(|_| sack && rules.rack && !reneged)
            .map(|flight| flight.rack.overdue(now));
        sender.declare(|in_flight, hear| match overdue {
            Some(limit) => in_flight.mark_overdue_lost(limit, hear),
            None => in_flight.mark_all_lost(reneged, hear),
        });
        sender.tell_losses();
        if self.timed_out != Some(una) {
            sender.congestion.on_trouble(now, Trouble::Timeout, flying);
        }
        if let Some(flight) = sender.flight.as_deref_mut() {
            let open = self.phase == Phase::Open;
            flight
                .undo
                .begin(!open, !sender.send.in_flight.has_sacked());
            // Not where a repair was under way; but where the timer fires for the same segment again (RFC 5682 section 3.1).
            let repeats = self.timed_out == Some(una) && matches!(flight.frto, Frto::First(_));
            flight.frto = match (open || repeats) && rules.frto && !reneged {
                true => Frto::First(nxt),
                false => Frto::Off,
            };
            flight.prr.leave();
            flight.ramp.forget();
            flight.tlp.forget();
            flight.reorder_at = Instant::MAX;
        }
        *self = Self {
            phase: Phase::Loss { until: nxt },
            owed: Some(Reason::Timeout),
            timed_out: Some(una),
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
    use crate::delivery::SentAt;
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
                let range = (self.send.nxt, end);
                self.send.in_flight.push(range, NOW, SentAt::default(), MSS);
                self.send.nxt = end;
            }
        }

        /// An acknowledgement of so many more octets; of none: a duplicate.
        fn ack(&mut self, octets: u32) {
            self.send.una += octets;
            let evidence = Evidence {
                acked: self
                    .send
                    .in_flight
                    .acknowledge(self.send.una, &mut |_| {})
                    .octets,
                sacked: 0,
                duplicate: octets == 0,
                bare: octets == 0,
                sack: false,
                probe: None,
                paid: false,
                threshold: 3,
                missing: 0,
                dsack: None,
                echo: None,
                new_text: false,
                rules: LossDetection::default(),
                srtt: None,
                min_rtt: None,
            };
            let mut sender = super::Sender {
                used: 0,
                now: NOW,
                send: &mut self.send,
                congestion: &mut *self.congestion,
                flight: None,
            };
            self.recovery.on_ack(&evidence, &mut sender);
        }

        fn duplicates(&mut self, count: u32) {
            for _ in 0..count {
                self.ack(0);
            }
        }

        fn time_out(&mut self) {
            let mut sender = super::Sender {
                used: 0,
                now: NOW,
                send: &mut self.send,
                congestion: &mut *self.congestion,
                flight: None,
            };
            self.recovery
                .on_timeout(false, LossDetection::default(), &mut sender);
        }

        /// Sends again what is lost first.
        fn repair(&mut self) {
            let (start, _) = self.send.in_flight.next_lost().unwrap();
            self.send
                .in_flight
                .mark_sent_again((start, start + MSS), NOW, SentAt::default(), MSS);
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

    /// RFC 3042: two segments by limited transmit; after a timeout, none (RFC 5681 section 3.2 inflates in fast recovery only).
    #[test]
    fn duplicates_release_no_more_than_their_phase_allows() {
        let mut sender = Sender::new();
        sender.time_out();
        sender.repair();
        sender.ack(1_000);
        sender.repair();
        sender.repair();
        sender.duplicates(9);
        assert_eq!(sender.recovery.pipe(&sender.send), 2_000, "after a timeout");
        sender.ack(9_000);
        assert_eq!(sender.recovery.phase, Phase::Open);
        sender.fly(8);
        sender.duplicates(9);
        assert!(!sender.in_recovery());
        assert_eq!(sender.recovery.departed, 3_000, "of a repair that is over");
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
