//! What the peer reports by SACK (RFC 2018), and what that says of the rest (RFC 6675).

use super::{EXACT, Fate, Hear, InFlight};
use crate::seq::SeqNum;
use crate::time::Instant;

impl InFlight {
    /// The peer reported `left .. right` (RFC 2018). Returns octets newly reported.
    pub(crate) fn mark_sacked(&mut self, block: (SeqNum, SeqNum), mss: u32, hear: Hear<'_>) -> u64 {
        let (left, right) = block;
        let step = if self.records.len() < EXACT {
            1
        } else {
            mss.max(1)
        };
        let first = self.find(left);
        let (mut index, mut newly) = (first, 0);
        while let Some(sent) = self.records.get(index).copied() {
            if sent.start.at_or_after(right) {
                break;
            }
            let from = left
                .later(sent.start)
                .distance_from(sent.start)
                .next_multiple_of(step);
            let to = match right.before(sent.end) {
                true => right.distance_from(sent.start) / step * step,
                false => sent.end.distance_from(sent.start),
            };
            if sent.fate != Fate::Sacked && from < to {
                if from > 0 {
                    self.split(index, sent.start + from);
                    index += 1;
                }
                if sent.start + to != sent.end {
                    self.split(index, sent.start + to);
                }
                newly += self.set_fate(index, Fate::Sacked);
                if let Some(sent) = self.records.get(index) {
                    hear(sent);
                }
                let edge = sent.start + to;
                self.highest_sacked = Some(self.highest_sacked.map_or(edge, |e| e.later(edge)));
            }
            index += 1;
        }
        if newly > 0 {
            self.join_sacked(first.saturating_sub(1), right);
        }
        newly
    }

    /// Makes one record of neighbours that SACK reported, from the one at `index` up to `right`: a report that grows
    /// with every acknowledgement stays cheap to take.
    fn join_sacked(&mut self, mut index: usize, right: SeqNum) {
        while self
            .records
            .get(index)
            .is_some_and(|sent| sent.start.before(right))
        {
            let run = self
                .records
                .range(index..)
                .take_while(|sent| sent.fate == Fate::Sacked);
            let (mut joined, mut last, mut latest) = (0, None, Instant::ZERO);
            for sent in run {
                (joined, last, latest) = (joined + 1, Some(*sent), latest.max(sent.at));
            }
            if let (Some(sent), Some(last)) = (self.records.get_mut(index), last) {
                sent.end = last.end;
                sent.at = latest;
                self.records.drain(index + 1..index + joined);
            }
            index += 1;
        }
    }

    /// IsLost() of RFC 6675 section 4 for all records: lost is what was never sent again and has more than
    /// `threshold - 1` segments' worth of SACKed octets above it. Returns octets newly lost.
    pub(crate) fn mark_lost_below_sacks(&mut self, threshold: u8, mss: u32, hear: Hear<'_>) -> u64 {
        let Some(highest) = self.highest_sacked else {
            return 0;
        };
        let enough = u64::from(threshold.saturating_sub(1)) * u64::from(mss);
        let mut above = 0;
        let mut index = self.find(highest - 1) + 1;
        while index > 0 && above <= enough {
            index -= 1;
            match self.records.get(index) {
                Some(sent) if sent.fate == Fate::Sacked => above += sent.len(),
                _ => {}
            }
        }
        if above <= enough {
            return 0;
        }
        let mut newly = 0;
        // Downwards, until a record was judged before: everything below it was, too.
        while index > 0 {
            index -= 1;
            match self.records.get(index) {
                Some(sent) if sent.fate == Fate::Flying && !sent.retransmitted => {
                    hear(sent);
                    newly += self.set_fate(index, Fate::Lost);
                }
                Some(sent) if sent.fate == Fate::Sacked => {}
                _ => break,
            }
        }
        newly
    }
}
