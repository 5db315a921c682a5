//! Slow start by octets: how much one acknowledgement may open the window (RFC 5681 section 3.1, RFC 3465, RFC 9406).

/// "L" of RFC 3465 section 2.3.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limit {
    /// Octets of the largest transmission so far. What left as one burst is acknowledged as one: where a device carries many
    /// segments at once, a limit of a few of them would hold slow start back to a few segments a burst.
    burst: u32,
    /// One segment: slow start repairs what a timeout gave up (RFC 3465 section 2.3, MUST).
    pub(super) careful: bool,
}

impl Limit {
    /// A transmission of `octets` left.
    pub(super) fn on_sent(&mut self, octets: u64) {
        self.burst = self.burst.max(u32::try_from(octets).unwrap_or(u32::MAX));
    }

    /// Of `acked` octets those that count, where `segments` of `mss` octets are what the algorithm allows.
    pub(super) fn of(&self, acked: u64, mss: u64, segments: u64) -> u64 {
        let most = if self.careful {
            mss
        } else {
            (segments * mss).max(u64::from(self.burst))
        };
        acked.min(most)
    }
}

/// What `octets` open the window by, from `cwnd` on: up to `ssthresh`, rounded to a whole segment, and not far beyond it.
pub(super) fn growth(cwnd: u64, ssthresh: u64, mss: u64, octets: u64) -> u64 {
    let room = ssthresh.saturating_sub(cwnd);
    let whole = room.div_ceil(mss.max(1)).saturating_mul(mss);
    octets.min(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_segments_or_a_burst_and_one_segment_after_a_timeout() {
        let mut limit = Limit::default();
        assert_eq!(limit.of(9000, 1000, 2), 2000);
        assert_eq!(limit.of(500, 1000, 2), 500);
        limit.on_sent(5000);
        limit.on_sent(1000);
        assert_eq!(limit.of(9000, 1000, 2), 5000, "what left at once");
        assert_eq!(limit.of(9000, 1000, 8), 8000);
        limit.careful = true;
        assert_eq!(limit.of(9000, 1000, 8), 1000);
    }

    #[test]
    fn slow_start_ends_at_the_threshold() {
        for (cwnd, ssthresh, octets, grown) in [
            (10_000, u64::MAX, 8000, 8000),
            (10_000, 20_000, 8000, 8000),
            (10_000, 13_000, 8000, 3000),
            (10_000, 13_001, 8000, 4000),
            (10_000, 10_000, 8000, 0),
            (10_000, 9000, 8000, 0),
        ] {
            let found = growth(cwnd, ssthresh, 1000, octets);
            assert_eq!(found, grown, "{cwnd} {ssthresh} {octets}");
        }
    }
}
