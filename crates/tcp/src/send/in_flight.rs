//! What is in the network: one record a transmission, with its fate.

mod figures;
mod idle;
pub(crate) mod judge;
mod ranges;
mod sack;

use super::pool::Pool;
use crate::delivery::SentAt;
use crate::seq::SeqNum;
use crate::time::Instant;

use idle::Room;
pub(crate) use idle::{MOST_IDLE, Records};

/// One transmission that is not acknowledged yet, or the rest of one: `start .. end` (SYN excluded, FIN included).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) start: SeqNum,
    pub(crate) end: SeqNum,
    /// When it was last sent.
    pub(crate) at: Instant,
    pub(crate) fate: Fate,
    /// Whether it was sent more than once (Karn).
    pub(crate) retransmitted: bool,
    /// Lost by what RACK says (RFC 8985).
    pub(crate) by_rack: bool,
    /// How the network stood when it was last sent.
    pub(crate) path: SentAt,
}

/// What is known of a transmission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Believed to be in the network.
    Flying,
    /// The peer reported it by SACK.
    Sacked,
    /// Believed lost; to be sent again.
    Lost,
}

impl Sent {
    pub(crate) fn len(&self) -> u64 {
        u64::from(self.octets())
    }

    /// As `len`: no more than a window.
    fn octets(&self) -> u32 {
        self.end.distance_from(self.start)
    }
}

/// Hears of each piece that is reported for the first time, cumulatively or by SACK.
pub(crate) type Hear<'a> = &'a mut dyn FnMut(&Sent);

/// What a cumulative acknowledgement took out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Acked {
    /// Octets of sequence space.
    pub(crate) octets: u64,
    /// When the newest transmission that was wholly acknowledged and sent only once left: a round-trip sample.
    pub(crate) newest_sent_once: Option<Instant>,
}

/// With fewer records than this, each transmission has its own and SACK may cut it anywhere. With more, small ones
/// share a record and cuts fall between segments: neither a user who writes single octets nor a peer who reports
/// single octets costs more than a few records for each segment's worth in flight.
const EXACT: usize = 100;

/// The records, oldest first, without gaps from SND.UNA to SND.NXT.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight {
    records: Room,
    octets: u32,
    sacked: u32,
    lost: u32,
    /// No record before this one is [`Fate::Lost`]; keeps the search for the next loss short.
    lost_hint: SeqNum,
    /// No octet at or after this one was reported by SACK.
    highest_sacked: Option<SeqNum>,
}

impl InFlight {
    /// Octets sent and not acknowledged.
    #[inline]
    pub(crate) fn octets(&self) -> u64 {
        u64::from(self.octets)
    }

    /// "pipe" of RFC 6675: octets believed to be in the network.
    #[inline]
    pub(crate) fn pipe(&self) -> u64 {
        u64::from(self.octets - self.sacked - self.lost)
    }

    /// Octets that nothing says have arrived.
    #[inline]
    pub(crate) fn unreported(&self) -> u64 {
        u64::from(self.octets - self.sacked)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        // No record is empty.
        self.octets == 0
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Something is to fly: others' room serves again, where some waits.
    #[inline]
    pub(crate) fn take_room(&mut self, pool: &mut Pool<'_>) {
        self.records.take_from(pool);
    }

    /// Gives room that is empty to others, or lets it go: an idle connection holds no heap memory.
    #[inline]
    pub(crate) fn give_back(&mut self, pool: &mut Pool<'_>) {
        self.records.give_to(pool);
    }

    /// Octets of heap memory held.
    pub(crate) fn memory(&self) -> usize {
        self.records.memory()
    }

    pub(crate) fn oldest(&self) -> Option<&Sent> {
        self.records.front()
    }

    /// Notes a transmission of new sequence space.
    #[inline]
    pub(crate) fn push(&mut self, range: (SeqNum, SeqNum), at: Instant, path: SentAt, mss: u32) {
        let (start, end) = range;
        let sent = Sent {
            start,
            end,
            at,
            fate: Fate::Flying,
            retransmitted: false,
            by_rack: false,
            path,
        };
        if self.records.is_empty() {
            self.lost_hint = start;
        }
        self.octets += sent.octets();
        self.records.push_back(sent);
        self.join_small(self.records.len() - 1, mss);
    }

    /// Joins the record at `index` with the one before it when there are many and both together are no more than
    /// a segment.
    #[inline]
    fn join_small(&mut self, index: usize, mss: u32) {
        if self.records.len() < EXACT || index == 0 {
            return;
        }
        let (Some(before), Some(sent)) = (self.records.get(index - 1), self.records.get(index))
        else {
            return;
        };
        let alike = before.fate == sent.fate && before.retransmitted == sent.retransmitted;
        if !alike || before.len() + sent.len() > u64::from(mss) {
            return;
        }
        // The later time: only an acknowledgement of both counts as a round trip.
        let (end, at, path) = (sent.end, sent.at, sent.path);
        self.records.remove(index);
        if let Some(before) = self.records.get_mut(index - 1) {
            (before.end, before.at, before.path) = (end, at, path);
        }
    }

    /// SND.UNA moved to `una`.
    pub(crate) fn acknowledge(&mut self, una: SeqNum, hear: Hear<'_>) -> Acked {
        let mut acked = Acked::default();
        let mut repeated = false;
        while let Some(sent) = self.records.front_mut() {
            if una.at_or_before(sent.start) {
                break;
            }
            let whole = una.at_or_after(sent.end);
            let gone = if whole {
                sent.octets()
            } else {
                una.distance_from(sent.start)
            };
            match sent.fate {
                Fate::Flying => {}
                Fate::Sacked => self.sacked -= gone,
                Fate::Lost => self.lost -= gone,
            }
            self.octets -= gone;
            acked.octets += u64::from(gone);
            repeated |= sent.retransmitted;
            if sent.fate != Fate::Sacked && whole {
                hear(sent);
            } else if sent.fate != Fate::Sacked {
                hear(&Sent { end: una, ..*sent });
            }
            if !whole {
                sent.start = una;
                break;
            }
            // A record that SACK reported earlier would give too long a sample.
            if sent.fate != Fate::Sacked {
                acked.newest_sent_once = acked.newest_sent_once.max(Some(sent.at));
            }
            self.records.pop_front();
        }
        if repeated {
            // Karn; and what arrived behind a hole waited for its repair, so it would measure that wait.
            acked.newest_sent_once = None;
        }
        if self.records.is_empty() {
            self.highest_sacked = None;
        }
        if self.lost_hint.before(una) {
            self.lost_hint = una;
        }
        self.highest_sacked = self.highest_sacked.filter(|edge| edge.after(una));
        acked
    }

    /// The index of the record that holds `seq`.
    fn find(&self, seq: SeqNum) -> usize {
        if self.records.front().is_none_or(|sent| sent.end.after(seq)) {
            return 0;
        }
        self.records
            .partition_point(|sent| sent.end.at_or_before(seq))
    }

    /// Cuts the record at `index` so that it ends at `at` (which lies inside it).
    fn split(&mut self, index: usize, at: SeqNum) {
        let Some(sent) = self.records.get_mut(index) else {
            return;
        };
        let rest = Sent { start: at, ..*sent };
        sent.end = at;
        self.records.insert(index + 1, rest);
    }

    /// Changes a record's fate and the sums with it; returns its octets.
    fn set_fate(&mut self, index: usize, fate: Fate) -> u64 {
        let Some(sent) = self.records.get_mut(index) else {
            return 0;
        };
        let len = sent.octets();
        match sent.fate {
            Fate::Flying => {}
            Fate::Sacked => self.sacked -= len,
            Fate::Lost => self.lost -= len,
        }
        match fate {
            Fate::Flying => {}
            Fate::Sacked => self.sacked += len,
            Fate::Lost => {
                self.lost += len;
                self.lost_hint = self.lost_hint.earlier(sent.start);
            }
        }
        sent.fate = fate;
        u64::from(len)
    }

    /// The first `mss` octets are lost, unless they were sent again already: returns whether they were marked.
    pub(crate) fn mark_first_lost(&mut self, mss: u32, hear: Hear<'_>) -> bool {
        let Some(first) = self.records.front().copied() else {
            return false;
        };
        if first.fate != Fate::Flying || first.retransmitted {
            return false;
        }
        if first.len() > u64::from(mss) {
            self.split(0, first.start + mss);
        }
        self.set_fate(0, Fate::Lost);
        if let Some(first) = self.records.front() {
            hear(first);
        }
        true
    }

    /// The oldest record, if SACK reported it, is lost; returns whether it was so.
    pub(crate) fn forget_first_sack(&mut self) -> bool {
        let reported = self.oldest().is_some_and(|sent| sent.fate == Fate::Sacked);
        if reported {
            self.set_fate(0, Fate::Lost);
            let edge = self.highest_sacked;
            self.highest_sacked = edge.filter(|_| self.sacked > 0);
        }
        reported
    }

    /// Everything not reported by SACK is lost (RFC 6298 5.4: the timer fired; RFC 2018 section 8 when `renege`:
    /// the peer may have dropped what it reported).
    pub(crate) fn mark_all_lost(&mut self, renege: bool, hear: Hear<'_>) {
        self.mark_lost(renege, Instant::MAX, hear);
    }

    /// The timer fired, and RACK runs (RFC 8985 section 6.3): the oldest is lost, and what left at `limit` or before.
    pub(crate) fn mark_overdue_lost(&mut self, limit: Instant, hear: Hear<'_>) {
        self.mark_lost(false, limit, hear);
    }

    fn mark_lost(&mut self, renege: bool, limit: Instant, hear: Hear<'_>) {
        (self.lost, self.sacked) = (0, 0);
        for mut sent in self.records.take() {
            let due = self.records.is_empty() || sent.at <= limit;
            if sent.fate == Fate::Flying && due {
                hear(&sent);
                sent.fate = Fate::Lost;
            }
            if renege {
                sent.fate = Fate::Lost;
            }
            match sent.fate {
                Fate::Lost => self.lost += sent.octets(),
                Fate::Sacked => self.sacked += sent.octets(),
                Fate::Flying => {}
            }
            // What is sent again is cut anew: neighbours become one.
            match self.records.back_mut() {
                Some(last)
                    if last.fate == Fate::Lost
                        && sent.fate == Fate::Lost
                        && last.retransmitted == sent.retransmitted =>
                {
                    last.end = sent.end;
                    last.at = sent.at;
                }
                _ => self.records.push_back(sent),
            }
        }
        if renege {
            self.highest_sacked = None;
        }
        self.lost_hint = self
            .records
            .front()
            .map_or(self.lost_hint, |sent| sent.start);
    }

    /// The first loss that is still to be sent again: its start and its octets.
    pub(crate) fn next_lost(&self) -> Option<(SeqNum, u32)> {
        self.next_lost_record()
            .map(|sent| (sent.start, sent.end.distance_from(sent.start)))
    }

    /// The record of the first loss that is still to be sent again.
    pub(crate) fn next_lost_record(&self) -> Option<&Sent> {
        if self.lost == 0 {
            return None;
        }
        let from = self.find(self.lost_hint);
        self.records
            .range(from.min(self.records.len())..)
            .find(|sent| sent.fate == Fate::Lost)
    }

    /// Where what SACK reported ends.
    pub(crate) fn highest_sacked(&self) -> Option<SeqNum> {
        self.highest_sacked
    }

    /// Octets that SACK reported.
    pub(crate) fn sacked(&self) -> u64 {
        u64::from(self.sacked)
    }

    /// The last segment of what is not acknowledged, and not reported, or `most` octets of its text: what a tail loss probe
    /// repeats. With it goes the FIN, if `fin` is its number.
    pub(crate) fn tail(&self, room: (u32, u32), fin: Option<SeqNum>) -> Option<(SeqNum, u32)> {
        let (mss, most) = room;
        let last = self.records.back()?;
        if last.fate != Fate::Flying {
            return None;
        }
        let fin = u32::from(fin.is_some_and(|fin| last.end == fin + 1));
        let len = last.end.distance_from(last.start) - fin;
        // Cut where a whole number of segments ends, as it was cut when it first went.
        let mss = mss.max(1);
        let segment = match len % mss {
            0 => mss.min(len),
            rest => rest,
        };
        let tail = segment.min(most.max(1)) + fin;
        Some((last.end - tail, tail))
    }

    /// Whether anything waits to be sent again.
    #[inline]
    pub(crate) fn has_lost(&self) -> bool {
        self.lost > 0
    }

    /// Whether SACK reported anything.
    #[inline]
    pub(crate) fn has_sacked(&self) -> bool {
        self.sacked > 0
    }

    /// `start .. end`, within one record, was sent again.
    pub(crate) fn mark_sent_again(
        &mut self,
        range: (SeqNum, SeqNum),
        at: Instant,
        path: SentAt,
        mss: u32,
    ) {
        let (start, end) = range;
        let mut index = self.find(start);
        let Some(sent) = self.records.get(index).copied() else {
            return;
        };
        if start.after(sent.start) {
            self.split(index, start);
            index += 1;
        }
        if end.before(sent.end) {
            self.split(index, end);
        }
        let was_lost = sent.fate == Fate::Lost;
        self.set_fate(index, Fate::Flying);
        if let Some(sent) = self.records.get_mut(index) {
            sent.at = at;
            sent.path = path;
            sent.retransmitted = true;
            sent.by_rack = false;
            if was_lost {
                // Losses go again in order.
                self.lost_hint = sent.end;
            }
        }
        self.join_small(index, mss);
    }
}

#[cfg(test)]
impl InFlight {
    /// What always holds.
    pub(crate) fn check(&self) {
        let sum = |fate| -> u64 {
            let of_it = self.records.iter().filter(|sent| sent.fate == fate);
            of_it.map(Sent::len).sum()
        };
        assert_eq!(u64::from(self.sacked), sum(Fate::Sacked));
        assert_eq!(u64::from(self.lost), sum(Fate::Lost));
        assert_eq!(
            u64::from(self.octets),
            self.records.iter().map(Sent::len).sum::<u64>()
        );
        let pairs = self.records.iter().zip(self.records.iter().skip(1));
        assert!(
            pairs.into_iter().all(|(a, b)| a.end == b.start),
            "no gaps, no overlap"
        );
        let first_lost = self.records.iter().find(|sent| sent.fate == Fate::Lost);
        assert_eq!(
            self.next_lost().map(|lost| lost.0),
            first_lost.map(|sent| sent.start)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BASE: SeqNum = SeqNum(0xffff_fe00);
    const MSS: u32 = 100;

    fn flight(segments: u32) -> InFlight {
        let mut flight = InFlight::default();
        for i in 0..segments {
            let range = (BASE + i * MSS, BASE + (i + 1) * MSS);
            let at = Instant::from_millis(u64::from(i));
            flight.push(range, at, SentAt::default(), MSS);
        }
        flight
    }

    fn sums_hold(flight: &InFlight) {
        flight.check();
    }

    #[test]
    fn acknowledging_part_of_a_record_keeps_the_rest() {
        let mut f = flight(3);
        let acked = f.acknowledge(BASE + 150, &mut |_| {});
        assert_eq!(acked.octets, 150);
        assert_eq!(acked.newest_sent_once, Some(Instant::from_millis(0)));
        assert_eq!(f.oldest().map(|s| s.start), Some(BASE + 150));
        assert_eq!(f.pipe(), 150);
        assert_eq!(
            f.acknowledge(BASE + 300, &mut |_| {}).newest_sent_once,
            Some(Instant::from_millis(2))
        );
        assert!(f.is_empty());
        sums_hold(&f);
    }

    #[test]
    fn karn_no_sample_from_what_was_sent_twice() {
        let mut f = flight(2);
        f.mark_all_lost(false, &mut |_| {});
        assert_eq!(f.pipe(), 0);
        f.mark_sent_again(
            (BASE, BASE + 100),
            Instant::from_millis(9),
            SentAt::default(),
            MSS,
        );
        assert_eq!(f.pipe(), 100);
        assert_eq!(
            f.acknowledge(BASE + 100, &mut |_| {}).newest_sent_once,
            None
        );
        sums_hold(&f);
    }

    #[test]
    fn karn_nor_of_what_waited_for_it() {
        let mut f = flight(3);
        f.mark_first_lost(MSS, &mut |_| {});
        f.mark_sent_again(
            (BASE, BASE + 100),
            Instant::from_millis(9),
            SentAt::default(),
            MSS,
        );
        assert_eq!(
            f.acknowledge(BASE + 200, &mut |_| {}).newest_sent_once,
            None
        );
        let newest = f.acknowledge(BASE + 300, &mut |_| {}).newest_sent_once;
        assert_eq!(newest, Some(Instant::from_millis(2)));
    }

    #[test]
    fn a_report_that_grows_is_one_record() {
        let mut f = flight(200);
        for i in 2..200 {
            assert_eq!(
                f.mark_sacked((BASE + MSS, BASE + i * MSS), MSS, &mut |_| {}),
                100
            );
            assert_eq!(f.records.len(), 202 - i as usize);
            sums_hold(&f);
        }
        assert_eq!(
            f.mark_sacked((BASE + MSS, BASE + 199 * MSS), MSS, &mut |_| {}),
            0,
            "known"
        );
        assert_eq!(f.mark_lost_below_sacks(3, MSS, &mut |_| {}), 100);
    }

    #[test]
    fn three_segments_above_mean_lost() {
        let mut f = flight(6);
        assert_eq!(
            f.mark_sacked((BASE + 100, BASE + 300), MSS, &mut |_| {}),
            200
        );
        assert_eq!(
            f.mark_lost_below_sacks(3, MSS, &mut |_| {}),
            0,
            "two segments above are not enough"
        );
        assert_eq!(
            f.mark_sacked((BASE + 100, BASE + 400), MSS, &mut |_| {}),
            100
        );
        assert_eq!(f.mark_lost_below_sacks(3, MSS, &mut |_| {}), 100);
        assert_eq!(f.next_lost(), Some((BASE, 100)));
        assert_eq!(f.pipe(), 200, "segments five and six still fly");
        sums_hold(&f);
    }

    #[test]
    fn a_super_segment_splits_where_segments_were() {
        let mut f = InFlight::default();
        f.push((BASE, BASE + 1000), Instant::ZERO, SentAt::default(), MSS);
        assert_eq!(
            f.mark_sacked((BASE + 150, BASE + 450), MSS, &mut |_| {}),
            300,
            "cut where the peer says"
        );
        assert_eq!(f.records.len(), 3);
        assert!(f.mark_first_lost(MSS, &mut |_| {}));
        assert!(!f.mark_first_lost(MSS, &mut |_| {}), "once is enough");
        assert_eq!(f.next_lost(), Some((BASE, MSS)));
        sums_hold(&f);
    }

    proptest! {
        #[test]
        fn sums_hold_whatever_arrives(ops in proptest::collection::vec((0u8..6, 0u32..1200, 0u32..1200), 1..60)) {
            let mut f = InFlight::default();
            let (mut una, mut nxt) = (BASE, BASE);
            for (op, a, b) in ops {
                match op {
                    0 => { f.push((nxt, nxt + a + 1), Instant::from_millis(u64::from(b)), SentAt::default(), MSS); nxt += a + 1; }
                    1 => {
                        let to = una + a.min(nxt.distance_from(una));
                        let before = f.octets();
                        prop_assert_eq!(f.acknowledge(to, &mut |_| {}).octets, before - f.octets());
                        una = to;
                    }
                    2 => { let left = una + a; f.mark_sacked((left, (left + b).earlier(nxt)), MSS, &mut |_| {}); }
                    3 => { f.mark_lost_below_sacks(3, MSS, &mut |_| {}); }
                    4 => f.mark_all_lost(b > 1000, &mut |_| {}),
                    _ => if let Some((start, len)) = f.next_lost() {
                        f.mark_sent_again((start, start + len.min(b.max(1))), Instant::from_millis(7), SentAt::default(), MSS);
                    },
                }
                sums_hold(&f);
                prop_assert_eq!(f.octets(), u64::from(nxt.distance_from(una)));
            }
        }
    }
}
