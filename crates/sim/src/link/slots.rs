//! A link that delivers in bunches: what has come since the last slot arrives together, as over Wi-Fi, DOCSIS or a driver that
//! polls. On the way back it compresses acknowledgements.

use std::time::Duration;

use woshou_tcp::Instant;

/// Deliveries only at multiples of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// From one delivery to the next, counted from the beginning of the world; zero: at any time.
    pub every: Duration,
}

impl Slots {
    /// The first delivery at `at` or after it.
    pub(super) fn next(self, at: Instant) -> Instant {
        let every = u64::try_from(self.every.as_nanos()).unwrap_or(u64::MAX);
        if every == 0 {
            return at;
        }
        let at = at.as_nanos();
        Instant::from_nanos(at.div_ceil(every).saturating_mul(every))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bunches() {
        let slots = Slots {
            every: Duration::from_millis(4),
        };
        let there: Vec<u64> = [0, 1, 3_999, 4_000, 4_001, 9_000]
            .into_iter()
            .map(|micros| slots.next(Instant::from_micros(micros)).as_micros())
            .collect();
        assert_eq!(there, [0, 4_000, 4_000, 4_000, 8_000, 12_000]);
        let none = Slots {
            every: Duration::ZERO,
        };
        assert_eq!(none.next(Instant::from_nanos(7)), Instant::from_nanos(7));
    }
}
