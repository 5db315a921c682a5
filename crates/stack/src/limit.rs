//! How many stateless replies may leave: a token bucket.

use woshou_tcp::Instant;

const SECOND: u64 = 1_000_000_000;

/// Lets `per_second` through a second, and as many at once after a quiet second.
pub(crate) struct Bucket {
    per_second: u64,
    /// Tokens in billionths, so that short waits add up without rounding.
    level: u64,
    filled_at: Instant,
}

impl Bucket {
    pub(crate) fn new(per_second: u32) -> Self {
        let per_second = u64::from(per_second);
        Self {
            per_second,
            level: per_second * SECOND,
            filled_at: Instant::ZERO,
        }
    }

    /// Takes a token when there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        // After a second the bucket is full whatever was in it, so a longer wait counts as one.
        let waited = now
            .as_nanos()
            .saturating_sub(self.filled_at.as_nanos())
            .min(SECOND);
        self.level = (self.level + waited * self.per_second).min(self.per_second * SECOND);
        self.filled_at = self.filled_at.max(now);
        let enough = self.level >= SECOND;
        if enough {
            self.level -= SECOND;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let mut bucket = Bucket::new(10);
        let start = Instant::from_millis(5_000);
        assert_eq!((0..100).filter(|_| bucket.take(start)).count(), 10);
        assert!(!bucket.take(Instant::from_millis(5_099)));
        assert!(bucket.take(Instant::from_millis(5_100)));
        // Going on at a call a millisecond: ten a second.
        let taken = (5_101..10_101)
            .filter(|&ms| bucket.take(Instant::from_millis(ms)))
            .count();
        assert_eq!(taken, 50);
        // A clock that steps back takes nothing away.
        assert!(bucket.take(Instant::from_millis(20_000)));
        assert!(bucket.take(Instant::ZERO));
    }

    #[test]
    fn zero_means_never() {
        let mut bucket = Bucket::new(0);
        assert!(!bucket.take(Instant::MAX));
    }
}
