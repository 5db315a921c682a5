//! What acknowledgements report of it by SACK (RFC 2018, RFC 2883).

use woshou_wire::tcp_option::{SackBlock, SackBlocks};

use super::{Held, RECENT, Reassembly};
use crate::seq::SeqNum;

impl Reassembly {
    /// As [`Held::report`].
    pub(crate) fn report(&mut self, max: usize, newest: bool) -> SackBlocks {
        self.0
            .as_mut()
            .map_or(SackBlocks::EMPTY, |held| held.report(max, newest))
    }

    /// Whether ranges changed that no acknowledgement has reported since.
    pub(crate) fn is_unreported(&self) -> bool {
        self.0.as_ref().is_some_and(|held| held.unreported > 0)
    }

    /// What [`Self::report`] would be, if all that changed had been reported.
    #[cfg(test)]
    pub(crate) fn sack_blocks(&self, max: usize) -> SackBlocks {
        self.0
            .as_ref()
            .map_or(SackBlocks::EMPTY, |held| held.blocks(0, max))
    }
}

impl Held {
    /// At most `max` blocks as RFC 2018 section 4 wants them: first the one with the newest segment, then those
    /// reported before, the newest first.
    ///
    /// Where more ranges changed since the last acknowledgement than fit (a batch of segments came), the oldest of them go first,
    /// and another acknowledgement is owed; `newest`: the first block must be the newest all the same, since a duplicate that
    /// lies in it is reported before it (RFC 2883 section 4).
    fn report(&mut self, max: usize, newest: bool) -> SackBlocks {
        let skip = self.unreported.saturating_sub(max);
        if newest && skip > 0 {
            return self.blocks(0, max);
        }
        self.unreported = skip;
        self.blocks(skip, max)
    }

    /// At most `max` blocks, the newest first, without the first `skip`.
    fn blocks(&self, skip: usize, max: usize) -> SackBlocks {
        let mut blocks = SackBlocks::EMPTY;
        let max = max.min(SackBlocks::MAX).min(self.ranges.len());
        let recent = self.recent.iter().flatten().skip(skip);
        let recent = recent.filter_map(|&point| {
            let index = self
                .ranges
                .partition_point(|range| range.end.at_or_before(point));
            self.ranges.get(index).filter(|range| range.contains(point))
        });
        // Those whose last report is long forgotten, where there is room for more.
        let others = self.ranges.iter().rev().take(RECENT + SackBlocks::MAX);
        let others =
            others.filter(|range| !self.recent.iter().flatten().any(|&p| range.contains(p)));
        for range in recent.chain(others).take(max) {
            blocks.push(SackBlock {
                left: range.start.0,
                right: range.end.0,
            });
        }
        blocks
    }

    /// A segment with `seq` arrived: the range at `index`, where it went to, is the newest now.
    pub(super) fn note(&mut self, index: usize, seq: SeqNum) {
        let range = self.ranges.get(index).filter(|range| range.contains(seq));
        let Some((start, end)) = range.map(|range| (range.start, range.end)) else {
            return;
        };
        self.forget_recent(|point| point.between(start, end));
        self.recent.rotate_right(1);
        self.recent[0] = Some(seq);
        self.unreported = (self.unreported + 1).min(RECENT);
    }

    /// Closes the ranks behind the points that go.
    pub(super) fn forget_recent(&mut self, goes: impl Fn(SeqNum) -> bool) {
        let mut kept = [None; RECENT];
        let unreported = self.recent.iter().take(self.unreported).flatten();
        let gone = unreported.filter(|&&point| goes(point)).count();
        let stays = self.recent.iter().flatten().filter(|&&point| !goes(point));
        for (slot, &point) in kept.iter_mut().zip(stays) {
            *slot = Some(point);
        }
        self.recent = kept;
        self.unreported -= gone;
    }
}
