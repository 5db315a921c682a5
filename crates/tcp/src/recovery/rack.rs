//! RACK: what was sent before something that has arrived, longer ago than the path reorders, is lost (RFC 8985 section 6).

use alloc::collections::VecDeque;
use core::time::Duration;

use crate::send::in_flight::judge::Verdict;
use crate::send::in_flight::{Hear, InFlight, Sent};
use crate::seq::SeqNum;
use crate::time::Instant;

/// Loss recoveries for which a reordering window that grew stays so (RACK.reo_wnd_persist).
const PERSIST: u8 = 16;

/// RACK_sent_after (section 6.2, step 2).
fn is_later(sent: &Sent, other: &Sent) -> bool {
    if sent.at != other.at {
        return sent.at > other.at;
    }
    // Pieces of one transmission are in the order of their numbers.
    let pieces = sent.path == other.path && sent.end.after(other.end);
    pieces || sent.path.is_after(&other.path)
}

/// RACK's variables, by the names of RFC 8985 section 5.3.
#[derive(Clone, Debug)]
pub(crate) struct Rack {
    /// RACK.xmit_ts, and which transmission of that moment it was: the latest that has arrived. `None`: nothing has.
    ///
    /// Where the RFC breaks ties of time by RACK.end_seq, here counts what left first: of new text and what went again behind it
    /// at one moment, the numbers tell the wrong order.
    newest: Option<Sent>,
    /// RACK.rtt: how long it took.
    rtt: Duration,
    /// RACK.fack: the highest number that has arrived.
    fack: Option<SeqNum>,
    /// RACK.reordering_seen.
    pub(crate) reordering_seen: bool,
    /// Times that text arrived out of order.
    pub(crate) reorderings: u32,
    /// RACK.reo_wnd_mult.
    multiplier: u8,
    /// RACK.reo_wnd_persist.
    persist: u8,
    /// RACK.dsack_round: SND.NXT when a D-SACK made the window grow; not again until SND.UNA comes there.
    dsack_round: Option<SeqNum>,
    /// RACK.reo_wnd.
    window: Duration,
    /// No transmission below it was sent only once and still flies.
    edge: SeqNum,
    /// What was sent again, in order of time.
    again: VecDeque<(SeqNum, SeqNum, Instant)>,
}

/// What the reordering window depends on, besides RACK's own memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings {
    pub(crate) una: SeqNum,
    pub(crate) nxt: SeqNum,
    pub(crate) min_rtt: Duration,
    pub(crate) srtt: Duration,
    /// Fast or RTO recovery is under way.
    pub(crate) repairing: bool,
    /// DupThresh segments were reported by SACK, and that counts.
    pub(crate) many_sacked: bool,
    /// The acknowledgement had a D-SACK.
    pub(crate) dsack: bool,
    /// It ended a recovery.
    pub(crate) recovered: bool,
    /// The window does not adapt.
    pub(crate) fixed: bool,
}

impl Rack {
    pub(crate) const fn new(una: SeqNum) -> Self {
        Self {
            newest: None,
            rtt: Duration::ZERO,
            fack: None,
            reordering_seen: false,
            reorderings: 0,
            multiplier: 1,
            persist: 0,
            dsack_round: None,
            window: Duration::ZERO,
            edge: una,
            again: VecDeque::new(),
        }
    }

    /// Octets of heap memory held.
    pub(crate) fn memory(&self) -> usize {
        self.again.capacity() * size_of::<(SeqNum, SeqNum, Instant)>()
    }

    /// Nothing flies any more.
    pub(crate) fn on_idle(&mut self) {
        self.again = VecDeque::new();
    }

    /// Something was sent again.
    pub(crate) fn on_sent_again(&mut self, start: SeqNum, end: SeqNum, at: Instant) {
        match self.again.back_mut() {
            Some(last) if last.2 == at && last.1 == start => last.1 = end,
            // The same once more, and nothing between: of the time before nothing is left. A window that stays shut is probed
            // for ever.
            Some(last) if last.0 == start && last.1 == end => last.2 = at,
            _ => self.again.push_back((start, end, at)),
        }
    }

    /// Section 6.2, steps 2 and 3: `sent` has arrived. `echo_is_older`: the peer's timestamp answers an earlier transmission.
    pub(crate) fn on_delivered(
        &mut self,
        now: Instant,
        sent: &Sent,
        echo_is_older: bool,
        min_rtt: Duration,
    ) {
        match self.fack {
            Some(fack) if sent.end.before(fack) => {
                if !sent.retransmitted {
                    self.reordering_seen = true;
                    self.reorderings = self.reorderings.saturating_add(1);
                }
            }
            _ => self.fack = Some(sent.end),
        }
        let rtt = now.since(sent.at);
        if sent.retransmitted && (echo_is_older || rtt < min_rtt) {
            return;
        }
        self.rtt = rtt;
        if self.newest.is_none_or(|newest| is_later(sent, &newest)) {
            self.newest = Some(*sent);
        }
    }

    /// A retransmission was in vain. Where it was not the timer's, the path reorders by more than the window, as a D-SACK would
    /// tell (section 6.2, step 4). `fixed`: it does not adapt.
    pub(crate) fn on_false_alarm(
        &mut self,
        (una, nxt): (SeqNum, SeqNum),
        reordered: bool,
        fixed: bool,
    ) {
        if reordered {
            self.reordering_seen = true;
            if !fixed {
                self.widen(nxt);
            }
        }
        // What was thought lost is judged again.
        self.edge = una;
    }

    fn widen(&mut self, nxt: SeqNum) {
        if self.dsack_round.is_none() {
            self.dsack_round = Some(nxt);
            self.multiplier = self.multiplier.saturating_add(1);
            self.persist = PERSIST;
        }
    }

    /// RACK_update_reo_wnd, section 6.2, step 4.
    pub(crate) fn update_window(&mut self, here: &Surroundings) {
        if self
            .dsack_round
            .is_some_and(|round| here.una.at_or_after(round))
        {
            self.dsack_round = None;
        }
        if here.dsack && !here.fixed {
            self.widen(here.nxt);
        } else if here.recovered {
            self.persist = self.persist.saturating_sub(1);
            if self.persist == 0 {
                self.multiplier = 1;
            }
        }
        self.window = if !self.reordering_seen && (here.repairing || here.many_sacked) {
            Duration::ZERO
        } else {
            (here.min_rtt / 4 * u32::from(self.multiplier)).min(here.srtt)
        };
    }

    /// RACK_detect_loss, section 6.2, step 5: marks what is lost, and tells when more will be.
    pub(crate) fn detect(
        &mut self,
        now: Instant,
        in_flight: &mut InFlight,
        hear: Hear<'_>,
    ) -> Option<Instant> {
        let newest = self.newest?;
        let allowed = self.rtt + self.window;
        let judge = |sent: &Sent| {
            let earlier = is_later(&newest, sent);
            let due = sent.at + allowed;
            match (earlier, due <= now) {
                (false, _) => Verdict::Early,
                (true, true) => Verdict::Lost,
                (true, false) => Verdict::WaitUntil(due),
            }
        };
        let mut next = None;
        let (edge, verdict) = in_flight.judge_originals(self.edge, judge, hear);
        self.edge = edge;
        let mut note = |verdict| {
            if let Verdict::WaitUntil(at) = verdict {
                next = Some(next.map_or(at, |next: Instant| next.min(at)));
            }
        };
        note(verdict);
        while let Some(&again) = self.again.front() {
            match in_flight.judge_again(again, judge, hear) {
                None => {
                    self.again.pop_front();
                }
                Some(verdict) => {
                    note(verdict);
                    break;
                }
            }
        }
        next
    }

    /// Nothing that was sent again flies, and what flies, of which `oldest` is the first, left after what has arrived.
    pub(crate) fn is_calm(&self, oldest: Option<&Sent>) -> bool {
        let newest = self.newest.as_ref().zip(oldest);
        self.again.is_empty() && newest.is_none_or(|(newest, oldest)| !is_later(newest, oldest))
    }

    /// No reordering is allowed for.
    pub(crate) fn window_is_shut(&self) -> bool {
        self.window.is_zero()
    }

    /// Section 6.3: what left at this time or before is lost when the retransmission timer fires.
    pub(crate) fn overdue(&self, now: Instant) -> Instant {
        let allowed = self.rtt + self.window;
        let nanos = u64::try_from(allowed.as_nanos()).unwrap_or(u64::MAX);
        Instant::from_nanos(now.as_nanos().saturating_sub(nanos))
    }

    /// The numbers below `una` are over; the walk never begins below it.
    pub(crate) fn on_una(&mut self, una: SeqNum) {
        self.edge = self.edge.later(una);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::delivery::SentAt;
    use crate::send::in_flight::Fate;

    const BASE: SeqNum = SeqNum(0xffff_fe00);
    const MSS: u32 = 100;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    /// Segment `n`, sent at `millis`.
    fn sent(n: u32, millis: u64, retransmitted: bool) -> Sent {
        Sent {
            start: BASE + n * MSS,
            end: BASE + (n + 1) * MSS,
            at: at(millis),
            fate: Fate::Flying,
            retransmitted,
            by_rack: false,
            path: SentAt::default(),
        }
    }

    /// A round trip of 40 ms at the least, of 50 ms at the mean.
    const HERE: Surroundings = Surroundings {
        una: BASE,
        nxt: SeqNum(1000),
        min_rtt: Duration::from_millis(40),
        srtt: Duration::from_millis(50),
        repairing: false,
        many_sacked: false,
        dsack: false,
        recovered: false,
        fixed: false,
    };

    #[test]
    fn the_window_is_a_quarter_of_the_round_trip_or_shut_where_nothing_reorders() {
        // (reordering seen, repairing, many sacked, multiplier) -> window, ms
        for (seen, repairing, many_sacked, multiplier, window) in [
            (false, false, false, 1, 10),
            (false, true, false, 1, 0),
            (false, false, true, 1, 0),
            (true, true, false, 1, 10),
            (true, false, true, 1, 10),
            (true, true, true, 3, 30),
            (true, false, false, 5, 50),
            (true, false, false, 6, 50),
        ] {
            let mut rack = Rack::new(BASE);
            rack.reordering_seen = seen;
            rack.multiplier = multiplier;
            rack.update_window(&Surroundings {
                repairing,
                many_sacked,
                ..HERE
            });
            assert_eq!(rack.window, ms(window), "{seen} {repairing} {many_sacked}");
            assert_eq!(rack.window_is_shut(), window == 0);
        }
    }

    #[test]
    fn a_dsack_widens_it_once_a_round_and_for_sixteen_recoveries() {
        let mut rack = Rack::new(BASE);
        let dsack = Surroundings {
            dsack: true,
            ..HERE
        };
        rack.update_window(&Surroundings {
            fixed: true,
            ..dsack
        });
        assert_eq!(rack.window, ms(10), "it does not adapt");
        rack.update_window(&dsack);
        assert_eq!(rack.window, ms(20));
        rack.update_window(&dsack);
        assert_eq!(rack.window, ms(20), "the same round");
        rack.update_window(&Surroundings {
            una: HERE.nxt - 1,
            ..dsack
        });
        assert_eq!(rack.window, ms(20), "it is not over");
        rack.update_window(&Surroundings {
            una: HERE.nxt,
            nxt: HERE.nxt + 1000,
            ..dsack
        });
        assert_eq!(rack.window, ms(30));
        let recovered = Surroundings {
            recovered: true,
            ..HERE
        };
        for left in (0..16).rev() {
            rack.update_window(&HERE);
            rack.update_window(&recovered);
            let window = if left > 0 { 30 } else { 10 };
            assert_eq!(rack.window, ms(window), "{left}");
        }
    }

    #[test]
    fn reordering_is_an_original_below_what_has_arrived() {
        // (segment, retransmitted) after segment 5 -> seen
        for (n, retransmitted, seen) in [
            (4, false, true),
            (4, true, false),
            (5, false, false),
            (6, false, false),
        ] {
            let mut rack = Rack::new(BASE);
            rack.on_delivered(at(50), &sent(5, 10, false), false, ms(40));
            rack.on_delivered(at(60), &sent(n, 10, retransmitted), false, ms(40));
            assert_eq!(rack.reordering_seen, seen, "{n} {retransmitted}");
            assert_eq!(rack.reorderings, u32::from(seen));
            assert_eq!(rack.fack, Some(BASE + (n.max(5) + 1) * MSS));
        }
    }

    /// Section 6.2, step 2: a retransmission counts where it is its own arrival, and not that of what it repeats.
    #[test]
    fn what_may_be_of_an_earlier_transmission_tells_no_time() {
        for (retransmitted, older, rtt, counts) in [
            (false, true, 1, true),
            (true, false, 40, true),
            (true, false, 39, false),
            (true, true, 60, false),
        ] {
            let mut rack = Rack::new(BASE);
            let now = at(100 + rtt);
            rack.on_delivered(now, &sent(0, 100, retransmitted), older, ms(40));
            assert_eq!(rack.newest.is_some(), counts, "{retransmitted} {older}");
            assert_eq!(rack.rtt, if counts { ms(rtt) } else { ms(0) });
        }
    }

    #[test]
    fn the_newest_is_what_left_last() {
        let mut rack = Rack::new(BASE);
        for (n, left, newest) in [(3, 10, 3), (2, 9, 3), (1, 11, 1)] {
            rack.on_delivered(at(60), &sent(n, left, false), false, ms(40));
            assert_eq!(rack.newest.unwrap().start, BASE + newest * MSS);
        }
    }

    /// Of one moment: what left later; of one transmission: the higher number.
    #[test]
    fn ties_are_broken_by_the_order_of_leaving() {
        let mut delivery = crate::delivery::Delivery::default();
        let [first, second] = [1, 2].map(|_| delivery.on_send(at(10), 100, 100));
        // (number, transmission) of two -> is the first later?
        for (one, other, later) in [
            ((1, first), (0, first), true),
            ((0, first), (1, first), false),
            ((0, first), (0, first), false),
            ((0, second), (1, first), true),
            ((1, first), (0, second), false),
        ] {
            let of = |(n, path)| Sent {
                path,
                ..sent(n, 10, false)
            };
            assert_eq!(is_later(&of(one), &of(other)), later, "{one:?} {other:?}");
        }
    }

    /// Five segments, sent a millisecond apart from 0 on; the fourth arrives at 43.
    fn fourth_arrived(window: u64) -> (Rack, InFlight) {
        let (mut rack, mut flight) = (Rack::new(BASE), InFlight::default());
        for n in 0..5 {
            let range = (BASE + n * MSS, BASE + (n + 1) * MSS);
            flight.push(range, at(u64::from(n)), SentAt::default(), MSS);
        }
        flight.mark_sacked((BASE + 300, BASE + 400), MSS, &mut |sent| {
            rack.on_delivered(at(43), sent, false, ms(40));
        });
        rack.window = ms(window);
        (rack, flight)
    }

    fn detect(rack: &mut Rack, flight: &mut InFlight, millis: u64) -> (Vec<u32>, Option<Instant>) {
        let mut lost = Vec::new();
        let next = rack.detect(at(millis), flight, &mut |sent| {
            lost.push(sent.start.distance_from(BASE) / MSS);
        });
        (lost, next)
    }

    #[test]
    fn what_left_before_is_lost_when_its_time_is_over() {
        let (mut rack, mut flight) = fourth_arrived(0);
        assert_eq!(detect(&mut rack, &mut flight, 43), ([0, 1, 2].into(), None));
        let (mut rack, mut flight) = fourth_arrived(10);
        for (now, lost, next) in [
            (43, &[][..], Some(50)),
            (49, &[], Some(50)),
            (50, &[0], Some(51)),
            (52, &[1, 2], None),
            (90, &[], None),
        ] {
            let wanted = (lost.to_vec(), next.map(at));
            assert_eq!(detect(&mut rack, &mut flight, now), wanted, "{now}");
        }
        assert!(flight.next_lost_record().unwrap().by_rack);
    }

    /// What went again is judged by when it went again, and not before something sent later has arrived.
    #[test]
    fn a_retransmission_is_lost_again_when_something_later_arrived() {
        let (mut rack, mut flight) = fourth_arrived(0);
        detect(&mut rack, &mut flight, 43);
        for (n, millis) in [(0, 44), (1, 46)] {
            let range = (BASE + n * MSS, BASE + (n + 1) * MSS);
            flight.mark_sent_again(range, at(millis), SentAt::default(), MSS);
            rack.on_sent_again(range.0, range.1, at(millis));
        }
        assert_eq!(detect(&mut rack, &mut flight, 80), ([].into(), None));
        flight.mark_sacked((BASE + 100, BASE + 200), MSS, &mut |sent| {
            rack.on_delivered(at(88), sent, false, ms(40));
        });
        rack.window = ms(10);
        let due = 44 + 42 + 10;
        let found = detect(&mut rack, &mut flight, 88);
        assert_eq!(found, ([4].into(), Some(at(due))), "the last went once");
        assert_eq!(detect(&mut rack, &mut flight, due), ([0].into(), None));
        assert!(rack.again.is_empty());
        rack.on_sent_again(BASE, BASE + 1, at(100));
        assert!(rack.memory() > 0);
        rack.on_idle();
        assert_eq!(rack.memory(), 0);
    }

    #[test]
    fn what_goes_again_at_one_moment_side_by_side_is_one_entry() {
        let mut rack = Rack::new(BASE);
        for (start, end, millis, entries) in [
            (0, 100, 1, 1),
            (100, 200, 1, 1),
            (300, 400, 1, 2),
            (400, 500, 2, 3),
            (400, 500, 7, 3),
            (400, 600, 8, 4),
        ] {
            rack.on_sent_again(BASE + start, BASE + end, at(millis));
            assert_eq!(rack.again.len(), entries, "{start} {end} {millis}");
        }
        assert_eq!(rack.again[0], (BASE, BASE + 200, at(1)));
        assert_eq!(rack.again[2].2, at(7));
    }

    #[test]
    fn overdue_is_what_left_longer_ago_than_the_round_trip_and_the_window() {
        let mut rack = Rack::new(BASE);
        assert_eq!(rack.overdue(at(100)), at(100));
        (rack.rtt, rack.window) = (ms(40), ms(10));
        assert_eq!(rack.overdue(at(100)), at(50));
        assert_eq!(rack.overdue(at(20)), Instant::ZERO);
    }

    #[test]
    fn only_an_alarm_that_was_not_the_timers_tells_of_reordering() {
        for (reordered, fixed, multiplier) in [
            (false, false, 1),
            (true, false, 2),
            (true, true, 1),
            (false, true, 1),
        ] {
            let mut rack = Rack::new(BASE);
            rack.edge = BASE + 900;
            rack.on_false_alarm((BASE + 100, BASE + 1000), reordered, fixed);
            assert_eq!(rack.edge, BASE + 100, "judged again");
            assert_eq!(rack.reordering_seen, reordered);
            assert_eq!(rack.multiplier, multiplier, "{reordered} {fixed}");
        }
    }
}
