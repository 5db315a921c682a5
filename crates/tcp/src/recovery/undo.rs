//! False alarms: what was sent again in vain, and how that shows (RFC 3522, RFC 3708, RFC 5682).

use crate::event::FalseAlarm;
use crate::seq::SeqNum;

/// What is remembered of the last loss, to tell whether it was one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Undo {
    /// There is a repair that may have been in vain.
    in_doubt: bool,
    /// RetransmitTS: TSval of the first retransmission (RFC 3522 section 3.2, step 1).
    retransmit_ts: Option<u32>,
    /// Where the first retransmission ended.
    first_end: Option<SeqNum>,
    /// Octets sent again that no D-SACK reported as come twice.
    unexplained: u64,
    /// From the lowest to the highest number that was sent again; `None`: nothing was.
    again: Option<(SeqNum, SeqNum)>,
    /// SND.NXT when the repair ended: what comes twice is told before it is acknowledged. `None`: it goes on.
    over: Option<SeqNum>,
}

/// F-RTO (RFC 5682 sections 2.1 and 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Frto {
    /// Not under way.
    #[default]
    Off,
    /// Step 2: the oldest went again; what does the next acknowledgement say? SND.NXT when the timer fired.
    First(SeqNum),
    /// Step 3: so many segments of new text may go, and the next acknowledgement decides.
    Second {
        /// "recover".
        recover: SeqNum,
        /// Segments.
        left: u8,
    },
}

impl Undo {
    /// A repair begins; or one that is under way `goes_on`, and turns into one by the timer.
    pub(crate) fn begin(&mut self, goes_on: bool) {
        if !goes_on {
            self.forget();
        }
        self.in_doubt = true;
    }

    /// All that was in doubt is acknowledged, with SND.NXT at `nxt`. What went again in vain may still come: for a round trip
    /// D-SACKs tell of it (RFC 3708 section 3, "the previous window of data").
    pub(crate) fn on_repaired(&mut self, nxt: SeqNum) {
        self.over = self.in_doubt.then_some(nxt);
    }

    /// There is nothing to take back any more.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Something went again; `ts` is its TSval, where timestamps are in use.
    pub(crate) fn on_sent_again(&mut self, end: SeqNum, octets: u64, ts: Option<u32>) {
        if !self.in_doubt {
            return;
        }
        if self.again.is_none() {
            self.retransmit_ts = ts;
            self.first_end = Some(end);
        }
        // Less than a window.
        let start = end - u32::try_from(octets).unwrap_or_default();
        let (lowest, highest) = self.again.unwrap_or((start, end));
        self.again = Some((lowest.earlier(start), highest.later(end)));
        self.unexplained += octets;
    }

    /// Whether the first retransmission is acknowledged, whole.
    pub(crate) fn is_first_covered(&self, una: SeqNum) -> bool {
        self.first_end.is_some_and(|end| una.at_or_after(end))
    }

    /// SND.UNA moved to `una`: the first acknowledgement of what went again first tells, by its TSecr (RFC 3522 section 3.2,
    /// step 4).
    pub(crate) fn on_progress(&mut self, una: SeqNum, echo: Option<u32>) -> Option<FalseAlarm> {
        if self.over.is_some_and(|nxt| una.after(nxt)) {
            self.forget();
        }
        if !self.is_first_covered(una) {
            return None;
        }
        let sent = self.retransmit_ts.take()?;
        let older = echo.is_some_and(|echo| (echo.wrapping_sub(sent)).cast_signed() < 0);
        older.then_some(FalseAlarm::Eifel)
    }

    /// A D-SACK arrived (RFC 3708 section 3): is all explained now? What never went again was doubled by the network, and
    /// explains nothing (its step A).
    pub(crate) fn on_dsack(&mut self, left: SeqNum, right: SeqNum) -> Option<FalseAlarm> {
        let (lowest, highest) = self.again?;
        if left.before(lowest) || right.after(highest) {
            return None;
        }
        let octets = u64::from(right.distance_from(left));
        self.unexplained = self.unexplained.saturating_sub(octets);
        (self.unexplained == 0).then_some(FalseAlarm::DuplicateSack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNA: SeqNum = SeqNum(u32::MAX - 500);

    fn begun() -> Undo {
        let mut undo = Undo::default();
        undo.begin(false);
        undo
    }

    #[test]
    fn an_echo_of_what_was_sent_before_the_retransmission_tells() {
        for (ts, echo, alarm) in [
            (Some(100), Some(99), true),
            (Some(100), Some(100), false),
            (Some(100), None, false),
            (None, Some(99), false),
            (Some(3), Some(u32::MAX), true),
        ] {
            let mut undo = begun();
            undo.on_sent_again(UNA + 1000, 1000, ts);
            undo.on_sent_again(UNA + 2000, 1000, Some(200));
            assert_eq!(undo.on_progress(UNA + 999, Some(0)), None, "not covered");
            assert_eq!(
                undo.on_progress(UNA + 1000, echo).is_some(),
                alarm,
                "{ts:?} {echo:?}"
            );
            assert_eq!(
                undo.on_progress(UNA + 2000, Some(0)),
                None,
                "only the first tells"
            );
        }
    }

    #[test]
    fn all_that_went_again_has_to_come_twice() {
        let mut undo = begun();
        assert_eq!(undo.on_dsack(UNA, UNA + 1000), None, "nothing went again");
        undo.on_sent_again(UNA + 2000, 2000, None);
        assert_eq!(undo.on_dsack(UNA, UNA + 1000), None);
        assert_eq!(undo.on_dsack(UNA - 1000, UNA), None, "before");
        assert_eq!(undo.on_dsack(UNA + 5000, UNA + 6000), None, "after");
        assert_eq!(
            undo.on_dsack(UNA + 1000, UNA + 2000),
            Some(FalseAlarm::DuplicateSack)
        );
        undo.forget();
        assert_eq!(undo.on_dsack(UNA, UNA + 1000), None);
    }

    #[test]
    fn what_the_network_doubled_explains_nothing() {
        let mut undo = begun();
        undo.on_sent_again(UNA + 3000, 1000, None);
        undo.on_sent_again(UNA + 2000, 1000, None);
        for other in [0, 500, 2500, 4000] {
            assert_eq!(undo.on_dsack(UNA + other, UNA + other + 1000), None);
        }
        assert_eq!(undo.on_dsack(UNA + 2000, UNA + 3000), None);
        let all = undo.on_dsack(UNA + 1000, UNA + 2000);
        assert_eq!(all, Some(FalseAlarm::DuplicateSack));
    }

    /// A repair that turns into one by the timer is one, from its first retransmission on.
    #[test]
    fn a_repair_goes_on_where_the_timer_fires() {
        for (goes_on, alarm) in [(true, None), (false, Some(FalseAlarm::DuplicateSack))] {
            let mut undo = begun();
            undo.on_sent_again(UNA + 1000, 1000, None);
            undo.begin(goes_on);
            undo.on_sent_again(UNA + 2000, 1000, None);
            assert_eq!(undo.on_dsack(UNA + 1000, UNA + 2000), alarm, "{goes_on}");
        }
    }

    #[test]
    fn a_repair_is_in_doubt_for_a_round_trip_more() {
        for (una, alarm) in [(7000, Some(FalseAlarm::DuplicateSack)), (7001, None)] {
            let mut undo = begun();
            undo.on_sent_again(UNA + 1000, 1000, None);
            assert_eq!(undo.on_progress(UNA + 5000, None), None);
            undo.on_repaired(UNA + 7000);
            assert_eq!(undo.on_progress(UNA + una, None), None);
            assert_eq!(undo.on_dsack(UNA, UNA + 1000), alarm, "{una}");
        }
    }
}
