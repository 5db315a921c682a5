//! Packets that are held back, so that later ones overtake them.

use std::time::Duration;

use woshou_tcp::Instant;

use crate::seed::Luck;

/// Which packets are held back, and for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reordering {
    /// Probability for each packet, 0 to 1.
    pub chance: f64,
    /// How long it is held back, after its delay, at least.
    pub hold: Duration,
    /// Added to it: uniform from zero to this. Those held are not kept in order among themselves.
    pub spread: Duration,
}

impl Reordering {
    /// One packet in `1 / chance` is held back, from `least` to `most`, drawn for each.
    #[must_use]
    pub fn between(chance: f64, least: Duration, most: Duration) -> Self {
        Self {
            chance,
            hold: least,
            spread: most.saturating_sub(least),
        }
    }

    /// How long a packet with this luck is held.
    pub(super) fn held_for(self, luck: Luck) -> Duration {
        let spread = u64::try_from(self.spread.as_nanos()).unwrap_or(u64::MAX);
        self.hold + Duration::from_nanos(luck.within(0, spread))
    }
}

/// Keeps those that are not held back in order.
#[derive(Debug, Default)]
pub(super) struct Lane {
    last_at: Instant,
}

impl Lane {
    /// When a packet due at `at` arrives, not held back, on a path where none may overtake.
    pub(super) fn in_order(&mut self, at: Instant) -> Instant {
        self.last_at = self.last_at.max(at);
        self.last_at
    }
}
