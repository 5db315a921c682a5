//! Windowed maxima.

/// BBR.max_bw_filter: the highest rate of this cycle and of the one before (section 5.5.6).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MaxBwFilter {
    previous: u64,
    current: u64,
}

impl MaxBwFilter {
    /// BBR.max_bw.
    pub(super) fn get(&self) -> u64 {
        self.previous.max(self.current)
    }

    pub(super) fn update(&mut self, rate: u64) {
        self.current = self.current.max(rate);
    }

    /// AdvanceMaxBwFilter. A cycle without a sample is none: what the user holds back does not make the path forgotten
    /// (section 3.8).
    pub(super) fn advance(&mut self) {
        if self.current > 0 {
            self.previous = self.current;
            self.current = 0;
        }
    }
}

/// BBR.ExtraAckedFilterLen, rounds.
const EXTRA_ACKED_FILTER_LEN: usize = 10;

/// BBR.extra_acked_filter: the most of each of the last rounds, the newest first (section 5.5.9).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ExtraAckedFilter {
    rounds: [u64; EXTRA_ACKED_FILTER_LEN],
    /// The most of all but the newest.
    earlier: u64,
}

impl ExtraAckedFilter {
    /// BBR.extra_acked: of this round alone in Startup, of ten afterwards.
    pub(super) fn get(&self, full_bw_reached: bool) -> u64 {
        let [newest, ..] = self.rounds;
        if full_bw_reached {
            newest.max(self.earlier)
        } else {
            newest
        }
    }

    pub(super) fn update(&mut self, extra: u64, round_start: bool) {
        if round_start {
            self.rounds.rotate_right(1);
            self.rounds[0] = 0;
            self.earlier = self.rounds.iter().copied().fold(0, u64::max);
        }
        self.rounds[0] = self.rounds[0].max(extra);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_rate_of_two_cycles() {
        let mut filter = MaxBwFilter::default();
        filter.update(100);
        filter.update(80);
        assert_eq!(filter.get(), 100);
        filter.advance();
        filter.update(70);
        assert_eq!(filter.get(), 100, "the previous cycle counts");
        filter.advance();
        assert_eq!(filter.get(), 70, "the one before it does not");
        filter.advance();
        filter.advance();
        assert_eq!(filter.get(), 70, "cycles without a sample are none");
    }

    #[test]
    fn the_most_of_ten_rounds_or_of_one() {
        let mut filter = ExtraAckedFilter::default();
        filter.update(50, true);
        filter.update(40, false);
        assert_eq!(filter.get(true), 50);
        for round in 1..10 {
            filter.update(round, true);
            assert_eq!((filter.get(true), filter.get(false)), (50, round));
        }
        filter.update(3, true);
        assert_eq!((filter.get(true), filter.get(false)), (9, 3));
    }
}
