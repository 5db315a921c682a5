//! Tail loss probes: a segment that draws a SACK where nothing is heard of the end of a flight (RFC 8985 section 7).

use core::time::Duration;

use crate::seq::SeqNum;
use crate::time::Instant;

/// TLP.max_ack_delay: how long a peer may keep the acknowledgement of a single segment, as kernels assume.
const MAX_ACK_DELAY: Duration = Duration::from_millis(200);
/// The step of timers: a probe never comes less than this after twice the round trip.
const GRANULARITY: Duration = Duration::from_millis(2);
/// PTO where no round trip is known.
const UNKNOWN: Duration = Duration::from_secs(1);

/// The probe of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tlp {
    /// When a probe is due; the end of time: none is.
    pub(crate) due: Instant,
    /// It is due now.
    pub(crate) owed: bool,
    /// TLP.end_seq: SND.NXT after the probe that flies.
    end: Option<SeqNum>,
    /// TLP.is_retrans.
    again: bool,
    /// A round trip was measured since the last probe.
    measured: bool,
    /// The last probe repeated less than a full segment.
    small: bool,
    /// Nothing was heard since it left.
    unanswered: bool,
}

/// What an acknowledgement said about the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing, or that all is well.
    Nothing,
    /// The probe itself repaired a loss: that is congestion, although no recovery begins (section 7.4.2).
    RepairedLoss,
}

impl Tlp {
    pub(crate) const fn new() -> Self {
        Self {
            due: Instant::MAX,
            owed: false,
            end: None,
            again: false,
            measured: true,
            small: false,
            unanswered: false,
        }
    }

    /// TLP_calc_PTO, section 7.2, before the retransmission timer bounds it.
    pub(crate) fn timeout(srtt: Option<Duration>, one_segment: bool) -> Duration {
        let Some(srtt) = srtt else { return UNKNOWN };
        let more = if one_segment {
            MAX_ACK_DELAY
        } else {
            GRANULARITY
        };
        srtt * 2 + more
    }

    pub(crate) fn stop(&mut self) {
        self.due = Instant::MAX;
        self.owed = false;
    }

    /// Whether a probe may be sent (section 7.3): none flies, and a round trip was measured since the last.
    pub(crate) fn may_probe(&self) -> bool {
        self.end.is_none() && self.measured
    }

    /// Whether a probe flies.
    pub(crate) const fn flies(&self) -> bool {
        self.end.is_some()
    }

    /// A round trip was measured.
    pub(crate) fn on_measured(&mut self) {
        self.measured = true;
    }

    /// A probe left: of new text, or `again`.
    pub(crate) fn on_sent(&mut self, nxt: SeqNum, again: bool) {
        self.stop();
        self.end = Some(nxt);
        self.again = again;
        self.measured = false;
        self.small = false;
    }

    /// It repeated so little that it passes wherever anything does.
    pub(crate) fn on_sent_small(&mut self) {
        self.small = true;
        self.unanswered = true;
    }

    /// The last probe was small: what it drew says little about full segments.
    pub(crate) fn was_small(&self) -> bool {
        self.small
    }

    /// A small probe left, and nothing was heard.
    pub(crate) fn is_small_unanswered(&self) -> bool {
        self.small && self.unanswered
    }

    /// Something that flew has arrived.
    pub(crate) fn on_heard(&mut self) {
        self.unanswered = false;
    }

    /// The timer fired, or recovery began: the probe that flies tells nothing more.
    pub(crate) fn forget(&mut self) {
        self.stop();
        self.end = None;
    }

    /// TLP_process_ack, section 7.4.2. A D-SACK that ends where the probe did, or a `duplicate` without any SACK: both copies
    /// arrived.
    pub(crate) fn on_ack(
        &mut self,
        una: SeqNum,
        dsack: Option<SeqNum>,
        duplicate: bool,
    ) -> Outcome {
        let Some(end) = self.end.filter(|end| una.at_or_after(*end)) else {
            return Outcome::Nothing;
        };
        if !self.again || dsack == Some(end) {
            self.end = None;
        } else if una.after(end) {
            self.end = None;
            return Outcome::RepairedLoss;
        } else if duplicate {
            self.end = None;
        }
        Outcome::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_round_trips_and_a_delayed_acknowledgement_for_a_single_segment() {
        let ms = Duration::from_millis;
        assert_eq!(Tlp::timeout(None, true), ms(1000));
        assert_eq!(Tlp::timeout(Some(ms(50)), false), ms(102));
        assert_eq!(Tlp::timeout(Some(ms(50)), true), ms(300));
    }

    #[test]
    fn what_an_acknowledgement_says_of_a_probe() {
        let end = SeqNum(5);
        // (again, una, dsack, duplicate) -> (outcome, still flies)
        let (other, probe) = (Some(SeqNum(4)), Some(end));
        for (again, una, dsack, duplicate, outcome, flies) in [
            (true, 4, None, false, Outcome::Nothing, true),
            (true, 4, probe, true, Outcome::Nothing, true),
            (false, 5, None, false, Outcome::Nothing, false),
            (true, 5, None, false, Outcome::Nothing, true),
            (true, 5, other, false, Outcome::Nothing, true),
            (true, 5, probe, false, Outcome::Nothing, false),
            (true, 5, None, true, Outcome::Nothing, false),
            (true, 6, probe, false, Outcome::Nothing, false),
            (true, 6, other, false, Outcome::RepairedLoss, false),
            (true, 6, None, false, Outcome::RepairedLoss, false),
            (false, 6, None, false, Outcome::Nothing, false),
        ] {
            let mut tlp = Tlp::new();
            tlp.on_sent(end, again);
            let got = tlp.on_ack(SeqNum(una), dsack, duplicate);
            assert_eq!(got, outcome, "{again} {una} {dsack:?} {duplicate}");
            tlp.on_measured();
            assert_eq!(
                !tlp.may_probe(),
                flies,
                "{again} {una} {dsack:?} {duplicate}"
            );
        }
    }

    #[test]
    fn one_probe_a_round_trip() {
        let mut tlp = Tlp::new();
        assert!(tlp.may_probe());
        tlp.on_sent(SeqNum(0), false);
        assert!(!tlp.may_probe());
        tlp.forget();
        assert!(!tlp.may_probe(), "nothing was measured since");
        tlp.on_measured();
        assert!(tlp.may_probe());
    }
}
