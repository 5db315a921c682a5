//! What is held, and what of a text is held already.

use super::Reassembly;
use crate::seq::SeqNum;

impl Reassembly {
    /// The number after the last octet held.
    pub(crate) fn highest(&self) -> Option<SeqNum> {
        self.0.as_ref()?.ranges.back().map(|range| range.end)
    }

    /// The first part of `start .. end` that is held.
    pub(in crate::recv) fn first_known(
        &self,
        start: SeqNum,
        end: SeqNum,
    ) -> Option<(SeqNum, SeqNum)> {
        let ranges = &self.0.as_ref()?.ranges;
        let index = ranges.partition_point(|range| range.end.at_or_before(start));
        let range = ranges.get(index).filter(|range| range.start.before(end))?;
        Some((start.later(range.start), end.earlier(range.end)))
    }
}
