//! A policer: what comes faster than agreed is dropped at once; nothing waits.

use std::time::Duration;

use woshou_tcp::Instant;

use super::rate::Rate;

/// A token bucket without a queue: a packet takes as many tokens as it has octets, or is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policer {
    /// How fast tokens come.
    pub rate: Rate,
    /// Octets that the bucket holds; full at the start. A packet larger than that never passes.
    pub burst: u64,
}

/// The bucket, as the time by which it will be full again: that needs no fractions of tokens.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    full_at: Instant,
}

impl Bucket {
    /// Whether a packet of `size` octets passes at `now`; it takes its tokens then.
    ///
    /// The bucket lacks `full_at - now` worth of tokens; a packet conforms while that and its own time stay within
    /// the burst's (the virtual scheduling form of the token bucket, ITU-T I.371 annex A).
    pub(super) fn takes(&mut self, now: Instant, size: usize, policer: Policer) -> bool {
        let burst = usize::try_from(policer.burst).unwrap_or(usize::MAX);
        let whole = Rate {
            overhead: 0,
            ..policer.rate
        }
        .time(burst);
        let lacks = self.full_at.max(now).since(now);
        let takes: Duration = policer.rate.time(size);
        let conforms = lacks + takes <= whole;
        if conforms {
            self.full_at = now + lacks + takes;
        }
        conforms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1,000 octets a millisecond.
    const RATE: Rate = Rate::new(8_000_000);

    #[test]
    fn the_burst_passes_and_then_the_rate() {
        let policer = Policer {
            rate: RATE,
            burst: 3_000,
        };
        let mut bucket = Bucket::default();
        let at = [
            0, 0, 0, 0, 500, 1_000, 1_001, 1_500, 4_999, 5_000, 5_000, 5_000,
        ];
        let passes: Vec<bool> = at
            .into_iter()
            .map(|micros| bucket.takes(Instant::from_micros(micros), 1_000, policer))
            .collect();
        let t = true;
        let f = false;
        // Three at once; then one a millisecond; a long rest fills the bucket, but no further than its size.
        assert_eq!(passes, [t, t, t, f, f, t, f, f, t, t, t, f]);
    }

    #[test]
    fn in_the_long_run_the_rate_passes() {
        let policer = Policer {
            rate: RATE,
            burst: 15_000,
        };
        let mut bucket = Bucket::default();
        // Twice the rate for ten seconds.
        let passed = (0..20_000_u64)
            .filter(|i| bucket.takes(Instant::from_micros(i * 500), 1_000, policer))
            .count();
        assert!((10_000..=10_016).contains(&passed), "{passed}");
    }

    #[test]
    fn what_is_larger_than_the_bucket_never_passes() {
        let policer = Policer {
            rate: RATE,
            burst: 999,
        };
        let mut bucket = Bucket::default();
        assert!(!bucket.takes(Instant::from_millis(9), 1_000, policer));
        assert!(bucket.takes(Instant::from_millis(9), 999, policer));
    }
}
