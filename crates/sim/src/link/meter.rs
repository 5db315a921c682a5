//! What a bottleneck did: how long packets waited there, how busy it was, what it dropped.

use std::time::Duration;

/// Buckets an octave: a quantile read from them is at most one part in sixteen too large.
const PER_OCTAVE: usize = 16;
/// As a power of two.
const PER_OCTAVE_BITS: u32 = 4;

/// Measures a direction of a link since it began or was last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    /// Packets by how long they waited, in buckets that grow with the wait.
    waits: Vec<u64>,
    /// All waits together, nanoseconds.
    sum: u128,
    most: Duration,
    /// Packets that the bottleneck took.
    pub packets: u64,
    /// Octets of them.
    pub octets: u64,
    /// How long the bottleneck needs to send them.
    pub busy: Duration,
    /// Packets that it refused: the queue was full, or its management or the policer dropped them.
    pub refused: u64,
    /// Packets that it marked.
    pub marked: u64,
}

impl Meter {
    /// A packet of `octets` waited `wait` before it was sent, which took `takes`.
    pub(super) fn sent(&mut self, octets: usize, wait: Duration, takes: Duration) {
        let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        let bucket = bucket(nanos);
        if self.waits.len() <= bucket {
            self.waits.resize(bucket + 1, 0);
        }
        if let Some(count) = self.waits.get_mut(bucket) {
            *count += 1;
        }
        self.sum += u128::from(nanos);
        self.most = self.most.max(wait);
        self.packets += 1;
        self.octets += octets as u64;
        self.busy += takes;
    }

    /// The mean wait; zero where nothing was sent.
    #[must_use]
    pub fn mean(&self) -> Duration {
        let mean = self.sum.checked_div(u128::from(self.packets)).unwrap_or(0);
        Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }

    /// The longest wait.
    #[must_use]
    pub const fn most(&self) -> Duration {
        self.most
    }

    /// The wait that `share` (0 to 1) of the packets did not exceed, or up to a sixteenth more.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count is a count; casts saturate"
        )]
        let wanted = (share.clamp(0.0, 1.0) * self.packets as f64)
            .ceil()
            .max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.waits.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(upper_end(bucket)).min(self.most);
            }
        }
        self.most
    }
}

/// Exact below 16 ns; above, the position of the highest bit and the four bits after it.
fn bucket(nanos: u64) -> usize {
    let Some(octave) = nanos
        .checked_ilog2()
        .and_then(|highest| highest.checked_sub(PER_OCTAVE_BITS))
    else {
        return usize::try_from(nanos).unwrap_or(0);
    };
    let within = usize::try_from(nanos >> octave).unwrap_or(0); // 16 to 31
    octave as usize * PER_OCTAVE + within
}

/// The largest wait of a bucket, nanoseconds.
fn upper_end(bucket: usize) -> u64 {
    if bucket < 2 * PER_OCTAVE {
        return bucket as u64;
    }
    let octave = bucket / PER_OCTAVE - 1;
    let within = (bucket % PER_OCTAVE + PER_OCTAVE) as u128;
    let end = ((within + 1) << octave) - 1;
    u64::try_from(end).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_in_order_and_narrow() {
        for nanos in (0..64).flat_map(|bit| {
            let n = 1_u64 << bit;
            [n - 1, n, n + n / 3]
        }) {
            let end = upper_end(bucket(nanos));
            assert!(end >= nanos, "{nanos} {end}");
            assert!(end - nanos <= nanos / 16, "{nanos} {end}");
            if let Some(previous) = bucket(nanos).checked_sub(1) {
                assert!(upper_end(previous) < nanos, "{nanos}");
            }
        }
        assert_eq!(upper_end(bucket(u64::MAX)), u64::MAX);
    }

    #[test]
    fn quantiles_of_an_even_spread() {
        let mut meter = Meter::default();
        for micros in 1..=1_000 {
            let wait = Duration::from_micros(micros);
            meter.sent(100, wait, Duration::from_micros(3));
        }
        assert_eq!(meter.mean(), Duration::from_nanos(500_500));
        assert_eq!(meter.most(), Duration::from_millis(1));
        for (share, micros) in [(0.0, 1), (0.5, 500), (0.95, 950), (1.0, 1_000)] {
            let seen = meter.quantile(share).as_nanos();
            let exact = micros * 1_000;
            assert!(
                (exact..=exact + exact / 16).contains(&seen),
                "{share} {seen}"
            );
        }
        assert_eq!(
            (meter.octets, meter.busy),
            (100_000, Duration::from_millis(3))
        );
        assert_eq!(Meter::default().quantile(0.95), Duration::ZERO);
    }
}
