//! Packets that are held back, so that later ones overtake them.

use std::time::Duration;

use woshou_tcp::Instant;

/// Which packets are held back, and for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reordering {
    /// Probability for each packet, 0 to 1.
    pub chance: f64,
    /// How long it is held back, after its delay.
    pub hold: Duration,
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
