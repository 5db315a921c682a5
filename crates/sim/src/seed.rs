//! Chance, drawn from one number: the same seed gives the same luck on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Whose luck it is. Each has a stream of its own, so that one party's draws never shift another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// One direction of a link, by the link's number; `true` from its first end to its second.
    Direction(u32, bool),
    /// More of the same direction: draws that were added later, apart from the first so that its luck stays as it was.
    DirectionMore(u32, bool),
    /// The secrets of a host's stack, by the host's number.
    Stack(u32),
    /// An application, by a number its maker chose.
    App(u32),
    /// What a scenario or a test draws for itself: sizes, options, who closes.
    Scenario,
}

impl Stream {
    fn number(self) -> u64 {
        let (kind, number) = match self {
            Self::Direction(link, forth) => (if forth { 0 } else { 1 }, link),
            Self::Stack(host) => (2, host),
            Self::App(app) => (3, app),
            Self::Scenario => (4, 0),
            Self::DirectionMore(link, forth) => (if forth { 5 } else { 6 }, link),
        };
        (u64::from(number) << 8) | kind
    }
}

/// A stream of draws.
#[derive(Clone, Debug)]
pub struct Chance(ChaCha8Rng);

impl Chance {
    /// The stream `stream` of the world with this seed.
    #[must_use]
    pub fn new(seed: u64, stream: Stream) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream.number());
        Self(rng)
    }

    /// The next draw.
    pub fn draw(&mut self) -> Luck {
        Luck(self.0.next_u64())
    }

    /// The secret seed of a stack.
    pub fn secret(&mut self) -> [u8; 32] {
        let mut secret = [0; 32];
        self.0.fill_bytes(&mut secret);
        secret
    }
}

/// One draw: 64 random bits, read as whatever is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Luck(u64);

impl Luck {
    /// Whether an event of this probability (0 to 1) happens: never at 0, always at 1.
    #[must_use]
    pub fn hits(self, probability: f64) -> bool {
        // 53 bits are what a double holds exactly, so the comparison is the same everywhere.
        let unit = (self.0 >> 11) as f64 / (1_u64 << 53) as f64;
        unit < probability
    }

    /// A number in `0..n`; 0 when `n` is 0.
    #[must_use]
    pub fn below(self, n: u64) -> u64 {
        let scaled = (u128::from(self.0) * u128::from(n)) >> 64;
        u64::try_from(scaled).unwrap_or(0)
    }

    /// A number in `from..=to`; `from` when the range is empty.
    #[must_use]
    pub fn within(self, from: u64, to: u64) -> u64 {
        from + self.below(to.saturating_sub(from).saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_streams_differ() {
        let first = |seed, stream| {
            let mut chance = Chance::new(seed, stream);
            (0..4).map(|_| chance.draw().0).collect::<Vec<_>>()
        };
        let forth = first(7, Stream::Direction(0, true));
        assert_eq!(forth, first(7, Stream::Direction(0, true)));
        for other in [
            first(8, Stream::Direction(0, true)),
            first(7, Stream::Direction(0, false)),
            first(7, Stream::Direction(1, true)),
            first(7, Stream::Stack(0)),
            first(7, Stream::App(0)),
            first(7, Stream::Scenario),
            first(7, Stream::DirectionMore(0, true)),
            first(7, Stream::DirectionMore(0, false)),
        ] {
            assert_ne!(forth, other);
        }
    }

    #[test]
    fn luck_stays_in_its_ranges() {
        for (bits, below_ten) in [(0, 0), (u64::MAX, 9), (u64::MAX / 2, 4)] {
            let luck = Luck(bits);
            assert!(luck.hits(1.0) && !luck.hits(0.0), "{bits:x}");
            assert_eq!(luck.below(10), below_ten);
            assert_eq!(luck.below(0), 0);
            assert_eq!(luck.within(5, 14), 5 + below_ten);
            assert_eq!(luck.within(5, 5), 5);
        }
    }

    #[test]
    fn a_probability_is_met() {
        let mut chance = Chance::new(1, Stream::Scenario);
        let hits = (0..100_000).filter(|_| chance.draw().hits(0.03)).count();
        assert!((2_800..3_200).contains(&hits), "{hits}");
    }
}
