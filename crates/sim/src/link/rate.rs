//! How fast the bottleneck sends.

use std::time::Duration;

/// The rate of a bottleneck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bits a second; 0 counts as 1.
    pub bits_per_second: u64,
    /// Octets that framing adds to each packet on the wire (Ethernet with preamble and gap: 38).
    pub overhead: u32,
}

impl Rate {
    /// `bits_per_second`, without framing.
    #[must_use]
    pub const fn new(bits_per_second: u64) -> Self {
        Self {
            bits_per_second,
            overhead: 0,
        }
    }

    /// How long a packet of `octets` occupies the line; rounded down to a nanosecond.
    #[must_use]
    pub fn time(self, octets: usize) -> Duration {
        let bits = (octets as u128 + u128::from(self.overhead)) * 8;
        let nanos = bits * 1_000_000_000 / u128::from(self.bits_per_second.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serialisation_time() {
        let framed = Rate {
            overhead: 38,
            ..Rate::new(1_000_000_000)
        };
        for (rate, octets, nanos) in [
            (Rate::new(8_000_000), 1000, 1_000_000),
            (Rate::new(8), 1, 1_000_000_000),
            (Rate::new(3), 1, 2_666_666_666),
            (framed, 1500, 12_304),
            (Rate::new(0), 0, 0),
        ] {
            assert_eq!(
                rate.time(octets),
                Duration::from_nanos(nanos),
                "{rate:?} {octets}"
            );
        }
    }
}
