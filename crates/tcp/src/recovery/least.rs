//! The least round trip of the last minutes: a route that became longer is learnt (RACK.min_RTT, RFC 8985 section 5.3).

use core::time::Duration;

use crate::time::Instant;

/// How long a bucket is filled. Samples of the last one to two such times count.
const SPAN: Duration = Duration::from_secs(150);

/// Two buckets, the newer of which is filled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Least {
    /// Of the bucket that is filled, and of the one before; the longest time: there was no sample.
    least: [Duration; 2],
    /// When the first began.
    since: Instant,
}

impl Least {
    /// With the least round trip that is known.
    pub(crate) fn new(now: Instant, known: Option<Duration>) -> Self {
        Self {
            least: [known.unwrap_or(Duration::MAX), Duration::MAX],
            since: now,
        }
    }

    pub(crate) fn on_sample(&mut self, now: Instant, rtt: Duration) {
        let age = now.since(self.since);
        if age >= SPAN {
            let last = if age < SPAN * 2 { self.least[0] } else { rtt };
            *self = Self {
                least: [rtt, last],
                since: now,
            };
        }
        self.least[0] = self.least[0].min(rtt);
    }

    /// `None`: no round trip is known.
    pub(crate) fn get(&self) -> Option<Duration> {
        let least = self.least[0].min(self.least[1]);
        (least != Duration::MAX).then_some(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_two_spans_is_forgotten() {
        let ms = Duration::from_millis;
        assert_eq!(Least::new(Instant::ZERO, None).get(), None);
        let mut least = Least::new(Instant::ZERO, Some(ms(20)));
        // (seconds, sample) -> the least of the last minutes.
        for (seconds, sample, expected) in [
            (0, 30, 20),
            (100, 10, 10),
            (149, 30, 10),
            (150, 40, 10),
            (299, 35, 10),
            (300, 50, 35),
            (449, 60, 35),
            (450, 60, 50),
            (750, 90, 90),
            (751, 80, 80),
        ] {
            least.on_sample(Instant::from_millis(seconds * 1000), ms(sample));
            assert_eq!(least.get(), Some(ms(expected)), "{seconds}");
        }
    }
}
