//! Questions about a range of what flies, and about sizes: what a search for the path's MTU asks.

use super::{Fate, InFlight, Sent};
use crate::seq::SeqNum;

impl InFlight {
    /// What flies in records of more than `mss` octets is lost. Answers whether there was any.
    pub(crate) fn mark_larger_lost(&mut self, mss: u32) -> bool {
        let before = self.lost;
        for index in 0..self.records.len() {
            let larger = |sent: &Sent| sent.fate == Fate::Flying && sent.len() > u64::from(mss);
            if self.records.get(index).is_some_and(larger) {
                self.set_fate(index, Fate::Lost);
            }
        }
        self.lost > before
    }

    /// The records that overlap `start .. end`.
    pub(super) fn within(&self, start: SeqNum, end: SeqNum) -> core::ops::Range<usize> {
        let first = self.find(start);
        let last = self
            .records
            .partition_point(|sent| sent.start.before(end))
            .max(first);
        first..last
    }

    /// What flies of `start .. end`, whole records, is lost.
    pub(crate) fn mark_lost_within(&mut self, start: SeqNum, end: SeqNum) {
        for index in self.within(start, end) {
            if self
                .records
                .get(index)
                .is_some_and(|sent| sent.fate == Fate::Flying && !sent.retransmitted)
            {
                self.set_fate(index, Fate::Lost);
            }
        }
    }

    /// Octets of the records in `start .. end` that are lost.
    fn lost_within(&self, start: SeqNum, end: SeqNum) -> u64 {
        let records = self.records.range(self.within(start, end));
        let lost = records.filter(|sent| sent.fate == Fate::Lost);
        lost.map(Sent::len).sum()
    }

    /// Whether any of `start .. end` is lost.
    pub(crate) fn is_lost_within(&self, start: SeqNum, end: SeqNum) -> bool {
        self.lost > 0 && self.lost_within(start, end) > 0
    }

    /// Whether all that is lost lies in `start .. end`.
    pub(crate) fn is_all_lost_within(&self, start: SeqNum, end: SeqNum) -> bool {
        self.lost > 0 && self.lost_within(start, end) == u64::from(self.lost)
    }

    /// Octets of the record that holds `seq`; zero: none does.
    pub(crate) fn record_len(&self, seq: SeqNum) -> u32 {
        self.records
            .get(self.find(seq))
            .map_or(0, |sent| sent.end.distance_from(sent.start))
    }

    /// Whether SACK reported as much as a segment of `mss` octets in one piece, some of it sent no earlier than the oldest octet
    /// was sent last: what arrived earlier tells nothing about what the path carries now.
    pub(crate) fn has_newer_sacked_segment(&self, mss: u32) -> bool {
        let Some(oldest) = self.records.front() else {
            return false;
        };
        let sacked = |sent: &Sent| {
            sent.fate == Fate::Sacked && sent.at >= oldest.at && sent.len() >= u64::from(mss)
        };
        self.sacked > 0 && self.records.iter().any(sacked)
    }
}
