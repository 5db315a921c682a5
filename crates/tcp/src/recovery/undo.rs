//! False alarms: what was sent again in vain, and how that shows (RFC 3522, RFC 3708, RFC 5682).

use super::again::Again;
use crate::event::FalseAlarm;
use crate::seq::SeqNum;

/// What is remembered of the last loss, to tell whether it was one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Undo {
    /// There is a repair that may have been in vain.
    in_doubt: bool,
    /// RetransmitTS: TSval of the first retransmission (RFC 3522 section 3.2, step 1).
    retransmit_ts: Option<u32>,
    /// Where the first retransmission ended.
    first_end: Option<SeqNum>,
    /// Where the highest that went again ends.
    last_end: Option<SeqNum>,
    /// What went again, and what of it came twice.
    again: Again,
    /// The timer fired, and SACK has reported nothing of the flight.
    blind: bool,
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
    /// A repair begins; or one that is under way `goes_on`, and turns into one by the timer. `blind`: by the timer, and SACK has
    /// reported nothing.
    pub(crate) fn begin(&mut self, goes_on: bool, blind: bool) {
        if !goes_on {
            self.forget();
            self.blind = blind;
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
        if self.first_end.is_none() {
            self.retransmit_ts = ts;
            self.first_end = Some(end);
        }
        self.last_end = Some(self.last_end.map_or(end, |last| last.later(end)));
        // Less than a window.
        let start = end - u32::try_from(octets).unwrap_or_default();
        self.again.on_sent(start, end);
    }

    /// Whether a repair may have been in vain.
    pub(crate) const fn doubts(&self) -> bool {
        self.in_doubt || self.over.is_some() || self.first_end.is_some()
    }

    /// Whether the first retransmission is acknowledged, whole.
    pub(crate) fn is_first_covered(&self, una: SeqNum) -> bool {
        self.first_end.is_some_and(|end| una.at_or_after(end))
    }

    /// SND.UNA moved to `una`: the first acknowledgement of what went again first tells, by its TSecr (RFC 3522 section 3.2,
    /// step 4); not where the peer reports a segment as come twice, whose timestamp it does not echo (step 5).
    ///
    /// Where more went again meanwhile, it tells of the first alone: another may have been lost indeed, and be repaired. All of it
    /// arrived before it went again where the acknowledgement that covers all still has an older echo, and all before it had.
    pub(crate) fn on_progress(
        &mut self,
        una: SeqNum,
        echo: Option<u32>,
        twice: bool,
    ) -> Option<FalseAlarm> {
        if self.over.is_some_and(|nxt| una.after(nxt)) {
            self.forget();
        }
        if !self.is_first_covered(una) {
            return None;
        }
        let sent = self.retransmit_ts?;
        let older = echo.is_some_and(|echo| (echo.wrapping_sub(sent)).cast_signed() < 0);
        let covers_all = self.last_end.is_some_and(|end| una.at_or_after(end));
        if older && !twice && !covers_all {
            return None;
        }
        self.retransmit_ts = None;
        (older && !twice).then_some(FalseAlarm::Eifel)
    }

    /// SACK reported something of the flight.
    pub(crate) fn on_sacked(&mut self) {
        self.blind = false;
    }

    /// A D-SACK arrived (RFC 3708 section 3), with SND.UNA at `una` before it: is all explained now? Where it is the first that is
    /// heard of a flight, all its acknowledgements were lost, and the sender slows down for them (step A.1).
    pub(crate) fn on_dsack(
        &mut self,
        (left, right): (SeqNum, SeqNum),
        una: SeqNum,
    ) -> Option<FalseAlarm> {
        if self.blind && left == una {
            self.again.bar();
        }
        let all = self.again.on_dsack(left, right);
        all.then_some(FalseAlarm::DuplicateSack)
    }

    /// Nothing flies any more.
    pub(crate) fn on_idle(&mut self) {
        self.again.on_idle();
    }

    /// Octets of heap memory held.
    pub(crate) fn memory(&self) -> usize {
        self.again.memory()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNA: SeqNum = SeqNum(u32::MAX - 500);

    /// SND.UNA where it does not matter.
    const NONE: SeqNum = SeqNum(1 << 30);

    fn begun() -> Undo {
        let mut undo = Undo::default();
        undo.begin(false, false);
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
            assert_eq!(
                undo.on_progress(UNA + 999, Some(0), false),
                None,
                "not covered"
            );
            assert_eq!(
                undo.on_progress(UNA + 1000, echo, false).is_some(),
                alarm,
                "{ts:?} {echo:?}"
            );
            assert_eq!(
                undo.on_progress(UNA + 2000, Some(0), false),
                None,
                "only the first tells"
            );
        }
    }

    #[test]
    fn all_that_went_again_has_to_come_twice() {
        let mut undo = begun();
        assert_eq!(
            undo.on_dsack((UNA, UNA + 1000), NONE),
            None,
            "nothing went again"
        );
        undo.on_sent_again(UNA + 2000, 2000, None);
        assert_eq!(undo.on_dsack((UNA, UNA + 1000), NONE), None);
        assert_eq!(undo.on_dsack((UNA - 1000, UNA), NONE), None, "before");
        assert_eq!(undo.on_dsack((UNA + 5000, UNA + 6000), NONE), None, "after");
        assert_eq!(
            undo.on_dsack((UNA + 1000, UNA + 2000), NONE),
            Some(FalseAlarm::DuplicateSack)
        );
        undo.forget();
        assert_eq!(undo.on_dsack((UNA, UNA + 1000), NONE), None);
    }

    #[test]
    fn what_the_network_doubled_explains_nothing() {
        let mut undo = begun();
        undo.on_sent_again(UNA + 3000, 1000, None);
        undo.on_sent_again(UNA + 2000, 1000, None);
        for other in [0, 500, 2500, 4000] {
            assert_eq!(undo.on_dsack((UNA + other, UNA + other + 1000), NONE), None);
        }
        assert_eq!(undo.on_dsack((UNA + 2000, UNA + 3000), NONE), None);
        let all = undo.on_dsack((UNA + 1000, UNA + 2000), NONE);
        assert_eq!(all, Some(FalseAlarm::DuplicateSack));
    }

    /// A repair that turns into one by the timer is one, from its first retransmission on.
    #[test]
    fn a_repair_goes_on_where_the_timer_fires() {
        for (goes_on, alarm) in [(true, None), (false, Some(FalseAlarm::DuplicateSack))] {
            let mut undo = begun();
            undo.on_sent_again(UNA + 1000, 1000, None);
            undo.begin(goes_on, false);
            undo.on_sent_again(UNA + 2000, 1000, None);
            assert_eq!(
                undo.on_dsack((UNA + 1000, UNA + 2000), NONE),
                alarm,
                "{goes_on}"
            );
        }
    }

    #[test]
    fn a_repair_is_in_doubt_for_a_round_trip_more() {
        for (una, alarm) in [(7000, Some(FalseAlarm::DuplicateSack)), (7001, None)] {
            let mut undo = begun();
            undo.on_sent_again(UNA + 1000, 1000, None);
            assert_eq!(undo.on_progress(UNA + 5000, None, false), None);
            undo.on_repaired(UNA + 7000);
            assert_eq!(undo.on_progress(UNA + una, None, false), None);
            assert_eq!(undo.on_dsack((UNA, UNA + 1000), NONE), alarm, "{una}");
        }
    }

    /// Two went again at 100 and 101: each acknowledgement, what it echoes, and whether it has a D-SACK; which of them tells.
    #[test]
    fn an_echo_tells_of_a_repair_when_it_covers_all_that_went_again() {
        let older = |una| (una, Some(99), false);
        for (name, acks, tells) in [
            ("both at once", &[older(2000)][..], Some(0)),
            (
                "one by one",
                &[older(1000), older(1999), older(2000)],
                Some(2),
            ),
            ("beyond", &[older(1000), older(9000)], Some(1)),
            (
                "the first lost",
                &[(1000, Some(100), false), older(2000)],
                None,
            ),
            (
                "the second lost",
                &[older(1000), (2000, Some(101), false)],
                None,
            ),
            (
                "something between",
                &[older(1000), (1500, Some(100), false), older(2000)],
                None,
            ),
            ("no echo", &[older(1000), (2000, None, false)], None),
            ("came twice", &[(1000, Some(99), true), older(2000)], None),
            (
                "the last twice",
                &[older(1000), (2000, Some(99), true)],
                None,
            ),
        ] {
            let mut undo = begun();
            undo.on_sent_again(UNA + 1000, 1000, Some(100));
            undo.on_sent_again(UNA + 2000, 1000, Some(101));
            let told = acks.iter().position(|(una, echo, twice)| {
                undo.on_progress(UNA + *una, *echo, *twice).is_some()
            });
            assert_eq!(told, tells, "{name}");
        }
    }

    /// RFC 3708 section 3, A.1.
    #[test]
    fn a_dsack_that_is_the_first_news_tells_that_acknowledgements_were_lost() {
        let dsack = (UNA, UNA + 1000);
        for (blind, sacked, una, tells) in [
            (true, false, UNA, false),
            (true, true, UNA, true),
            (true, false, UNA + 1000, true),
            (false, false, UNA, true),
        ] {
            let mut undo = Undo::default();
            undo.begin(false, blind);
            undo.on_sent_again(UNA + 1000, 1000, None);
            if sacked {
                undo.on_sacked();
            }
            assert_eq!(
                undo.on_dsack(dsack, una).is_some(),
                tells,
                "{blind} {sacked}"
            );
            assert_eq!(
                undo.on_dsack(dsack, NONE).is_some(),
                tells,
                "for the whole repair"
            );
        }
    }
}
