//! How long a packet is on the way.

use std::time::Duration;

use woshou_tcp::Instant;

use crate::seed::Luck;

/// The propagation delay of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delay {
    /// For every packet.
    pub fixed: Duration,
    /// Added to it: uniform from zero to this.
    pub jitter: Duration,
    /// Whether jitter lets a packet overtake another; otherwise it only spreads them.
    pub overtakes: bool,
}

impl Delay {
    /// When a packet that left at `left_at` is there, if nothing else happens to it.
    pub(super) fn arrival(self, left_at: Instant, luck: Luck) -> Instant {
        let jitter = u64::try_from(self.jitter.as_nanos()).unwrap_or(u64::MAX);
        left_at + self.fixed + Duration::from_nanos(luck.within(0, jitter))
    }
}
