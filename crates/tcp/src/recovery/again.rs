//! What went again, segment by segment, and what of it came twice (RFC 3708 section 3).

use alloc::vec::Vec;

use crate::seq::SeqNum;

/// Pieces that are remembered at most: of a repair with more holes than that, D-SACKs tell nothing.
const MOST: usize = 1024;

/// Pieces that outlive the flight: what comes twice is told when all is acknowledged.
const KEPT: usize = 4;

/// A part of what went again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    start: SeqNum,
    end: SeqNum,
    /// It came twice.
    twice: bool,
}

/// The numbers that went again in one repair. What a D-SACK reports is counted once, however the segments were cut: as they first
/// went, as they went again, or as the peer joined them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Again {
    /// In order, without overlap.
    pieces: Vec<Piece>,
    /// Octets of them that no D-SACK reported.
    unexplained: u64,
    /// D-SACKs can tell nothing of this repair any more.
    barred: bool,
}

impl Again {
    /// `start .. end` went again. What goes again a second time cannot be told from what came twice (step A.3).
    pub(crate) fn on_sent(&mut self, start: SeqNum, end: SeqNum) {
        let index = self.find(start);
        let overlaps = self.pieces.get(index).is_some_and(|p| p.start.before(end));
        if self.barred || overlaps {
            self.bar();
            return;
        }
        self.unexplained += u64::from(end.distance_from(start));
        let before = index.checked_sub(1).and_then(|i| self.pieces.get_mut(i));
        match before {
            Some(before) if before.end == start && !before.twice => before.end = end,
            _ => self.pieces.insert(
                index,
                Piece {
                    start,
                    end,
                    twice: false,
                },
            ),
        }
        self.bound();
    }

    /// `left .. right` came twice: is that all now? What never went again was doubled by the network, and explains nothing (step
    /// A.4).
    pub(crate) fn on_dsack(&mut self, left: SeqNum, right: SeqNum) -> bool {
        if !left.before(right) {
            return false;
        }
        let first = self.find(left);
        let (mut edge, mut index) = (left, first);
        let (mut newly, mut begin, mut end) = (0, left, right);
        let mut rest: [Option<Piece>; 3] = [None; 3];
        while edge.before(right) {
            let Some(piece) = self.pieces.get(index).copied() else {
                return false;
            };
            if !(piece.start.at_or_before(edge) && edge.before(piece.end)) {
                return false;
            }
            let to = piece.end.earlier(right);
            if piece.twice {
                (begin, end) = (begin.earlier(piece.start), end.later(piece.end));
            } else {
                newly += u64::from(to.distance_from(edge));
                if piece.start.before(left) {
                    rest[0] = Some(Piece { end: left, ..piece });
                }
                if to.before(piece.end) {
                    rest[2] = Some(Piece { start: to, ..piece });
                }
            }
            (edge, index) = (piece.end, index + 1);
        }
        rest[1] = Some(Piece {
            start: begin,
            end,
            twice: true,
        });
        self.unexplained -= newly;
        self.pieces.splice(first..index, rest.into_iter().flatten());
        self.join(first);
        self.bound();
        self.unexplained == 0 && !self.barred
    }

    /// Makes one piece of neighbours that came twice, about the one at `index`.
    fn join(&mut self, index: usize) {
        for at in (index.saturating_sub(1)..=index + 1).rev() {
            let (Some(piece), Some(next)) = (self.pieces.get(at), self.pieces.get(at + 1)) else {
                continue;
            };
            if piece.twice && next.twice && piece.end == next.start {
                let end = next.end;
                self.pieces.remove(at + 1);
                if let Some(piece) = self.pieces.get_mut(at) {
                    piece.end = end;
                }
            }
        }
    }

    /// The first piece that ends after `seq`.
    fn find(&self, seq: SeqNum) -> usize {
        self.pieces
            .partition_point(|piece| piece.end.at_or_before(seq))
    }

    /// D-SACKs tell nothing of this repair from now on.
    pub(crate) fn bar(&mut self) {
        *self = Self {
            barred: true,
            ..Self::default()
        };
    }

    fn bound(&mut self) {
        if self.pieces.len() > MOST {
            self.bar();
        }
    }

    /// Nothing flies any more: no more is held than a few pieces.
    pub(crate) fn on_idle(&mut self) {
        if self.pieces.len() > KEPT {
            self.bar();
        }
        self.pieces.shrink_to_fit();
    }

    /// Octets of heap memory held.
    pub(crate) fn memory(&self) -> usize {
        self.pieces.capacity() * size_of::<Piece>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BASE: SeqNum = SeqNum(u32::MAX - 500);

    fn sent(ranges: &[(u32, u32)]) -> Again {
        let mut again = Again::default();
        for (start, end) in ranges {
            again.on_sent(BASE + *start, BASE + *end);
        }
        again
    }

    /// What went again, what came twice, and whether the last of it explains all.
    #[test]
    fn all_has_to_come_twice_however_it_is_cut() {
        let two = &[(0, 1000), (1000, 2000)][..];
        let apart = &[(0, 1000), (5000, 6000)][..];
        for (name, ranges, twice, all) in [
            ("one", &[(0, 1000)][..], &[(0, 1000)][..], true),
            ("less", &[(0, 1000)], &[(0, 999)], false),
            ("as they went", two, &[(0, 1000), (1000, 2000)], true),
            ("backwards", two, &[(1000, 2000), (0, 1000)], true),
            ("in one", two, &[(0, 2000)], true),
            (
                "cut anew",
                two,
                &[(0, 700), (700, 1400), (1400, 2000)],
                true,
            ),
            ("the same again", two, &[(0, 1000), (0, 1000)], false),
            ("with overlap", two, &[(0, 1500), (400, 2000)], true),
            (
                "middle, ends",
                two,
                &[(500, 1500), (0, 500), (1500, 2000)],
                true,
            ),
            ("middle, twice", two, &[(500, 1500), (400, 1600)], false),
            ("apart", apart, &[(5000, 6000), (0, 1000)], true),
            ("across a gap", apart, &[(0, 6000)], false),
            (
                "below",
                apart,
                &[(5000, 6000), (4999, 5000), (0, 1001)],
                false,
            ),
            (
                "late",
                &[(5000, 6000), (0, 1000)],
                &[(0, 1000), (5000, 6000)],
                true,
            ),
            (
                "went twice",
                &[(0, 1000), (0, 1000)],
                &[(0, 1000), (0, 1000)],
                false,
            ),
            (
                "partly twice",
                &[(0, 1000), (999, 2000)],
                &[(0, 2000)],
                false,
            ),
            ("no range", &[(0, 1000)], &[(500, 500), (500, 400)], false),
            ("nothing", &[], &[(0, 1000)], false),
        ] {
            let mut again = sent(ranges);
            let mut last = false;
            for (left, right) in twice {
                assert!(!last, "{name}: too early");
                last = again.on_dsack(BASE + *left, BASE + *right);
            }
            assert_eq!(last, all, "{name}");
        }
    }

    #[test]
    fn what_is_reported_in_order_stays_one_piece() {
        let mut again = sent(&[(0, 10_000)]);
        for n in 0..9_999 {
            assert!(!again.on_dsack(BASE + n, BASE + n + 1));
            assert_eq!(again.pieces.len(), 2);
        }
        assert!(again.on_dsack(BASE + 9_999, BASE + 10_000));
        assert_eq!(again.pieces.len(), 1);
    }

    #[test]
    fn memory_is_bounded() {
        let mut again = Again::default();
        for n in 0..1024 {
            again.on_sent(BASE + 2 * n, BASE + 2 * n + 1);
        }
        assert_eq!(again.pieces.len(), MOST);
        again.on_sent(BASE + 5000, BASE + 5001);
        assert_eq!(again.memory(), 0);
        again.on_sent(BASE + 6000, BASE + 6001);
        assert!(!again.on_dsack(BASE + 6000, BASE + 6001), "barred");
        // Single octets out of the middle.
        let mut again = sent(&[(0, 100_000)]);
        for n in 0..2000 {
            again.on_dsack(BASE + 3 * n + 1, BASE + 3 * n + 2);
        }
        assert_eq!(again.memory(), 0);
        for (holes, kept) in [(4, true), (5, false)] {
            let mut again = Again::default();
            for n in 0..holes {
                again.on_sent(BASE + 2 * n, BASE + 2 * n + 1);
            }
            again.on_idle();
            assert_eq!(again.memory() > 0, kept, "{holes}");
            assert!(again.memory() <= KEPT * size_of::<Piece>());
        }
    }

    proptest! {
        /// Against a map of octets.
        #[test]
        fn it_counts_as_a_map_of_octets_does(
            ranges in proptest::collection::vec((0u32..200, 1u32..30), 1..8),
            twice in proptest::collection::vec((0u32..200, 1u32..60), 0..40),
        ) {
            let mut again = Again::default();
            let (mut went, mut came) = ([false; 300], [false; 300]);
            let mut barred = false;
            for (start, len) in ranges {
                let range = start as usize..(start + len) as usize;
                barred |= went[range.clone()].contains(&true);
                went[range].fill(true);
                again.on_sent(BASE + start, BASE + start + len);
            }
            for (left, len) in twice {
                let range = left as usize..(left + len) as usize;
                let covered = !went[range.clone()].contains(&false);
                if covered {
                    came[range].fill(true);
                }
                let all = covered && !barred && went == came;
                prop_assert_eq!(again.on_dsack(BASE + left, BASE + left + len), all);
                for pair in again.pieces.windows(2) {
                    prop_assert!(pair[0].end.at_or_before(pair[1].start));
                    prop_assert!(!(pair[0].twice && pair[1].twice && pair[0].end == pair[1].start));
                }
            }
        }
    }
}
