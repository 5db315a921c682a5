//! How much may fly: the trait, and the algorithms. None of them sees a sequence number.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt::Debug;
use core::time::Duration;

use crate::time::Instant;

mod bbr;
mod cubic;
mod curve;
mod dctcp;
mod hystart;
mod new_reno;
mod slow_start;

pub use bbr::Bbr;
pub use cubic::Cubic;
pub use dctcp::Dctcp;
pub use new_reno::NewReno;

/// What one acknowledgement told. Octets are of text, and of FIN.
#[derive(Clone, Copy, Debug, Default)]
pub struct AckSample {
    /// When it arrived.
    pub now: Instant,
    /// Octets newly acknowledged, cumulatively.
    pub acked: u64,
    /// Octets newly acknowledged by SACK.
    pub sacked: u64,
    /// Octets that this acknowledgement was the first to report as arrived, cumulatively or by SACK.
    pub delivered: u64,
    /// Of them, those that the network had marked, as far as the peer tells (RFC 3168, RFC 8257 section 3.3).
    pub marked: u64,
    /// Octets that this acknowledgement showed to be lost.
    pub lost: u64,
    /// Octets in flight before it arrived.
    pub prior_in_flight: u64,
    /// Octets in flight after it.
    pub in_flight: u64,
    /// Whether the sender was held back by the window rather than by the user, so that the window may grow (RFC 7661).
    pub window_limited: bool,
    /// This round trip, when one was measured.
    pub rtt: Option<Duration>,
    /// Smoothed round trip.
    pub srtt: Option<Duration>,
    /// The least round trip of the connection, when one was measured.
    pub min_rtt: Option<Duration>,
    /// Whether a loss is being repaired.
    pub in_recovery: bool,
    /// Whether the peer reports what arrived beyond a hole (SACK): several losses of one round trip are known in it.
    pub sack: bool,
    /// All octets that were ever delivered, this acknowledgement's too: the clock of rounds. A round ends with the first
    /// acknowledgement whose `rate.prior_delivered` is at least the `total_delivered` at which it began.
    pub total_delivered: u64,
    /// How fast the network delivered (draft-ietf-ccwg-bbr section 4.1); `None` when nothing new was delivered.
    pub rate: Option<RateSample>,
}

/// How fast the network delivered between two events (draft-ietf-ccwg-bbr section 4.1.1.2.1). It is of the newest transmission
/// that the acknowledgement reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateSample {
    /// Octets delivered during `interval`.
    pub delivered: u64,
    /// The longer of the times it took to send them and to hear of them; `ZERO`: too short to tell a rate.
    pub interval: Duration,
    /// `total_delivered` when that transmission left.
    pub prior_delivered: u64,
    /// Octets in flight when it left, itself included.
    pub tx_in_flight: u64,
    /// Octets declared lost since it left.
    pub lost: u64,
    /// Octets of marked text delivered during `interval`.
    pub marked: u64,
    /// Whether the user, not the network, set the rate.
    pub app_limited: bool,
    /// Its own round trip.
    pub rtt: Duration,
}

impl RateSample {
    /// Octets a second; `None` when the interval is too short to tell.
    #[must_use]
    pub fn rate(&self) -> Option<u64> {
        let nanos = self.interval.as_nanos();
        let octets = u128::from(self.delivered) * 1_000_000_000;
        let rate = octets.checked_div(nanos)?;
        Some(u64::try_from(rate).unwrap_or(u64::MAX))
    }
}

/// A transmission that was just declared lost (draft-ietf-ccwg-bbr section 5.5.10.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LostText {
    /// Octets of it.
    pub octets: u64,
    /// Octets in flight when it left, itself included.
    pub tx_in_flight: u64,
    /// Octets declared lost since it left, itself included.
    pub lost: u64,
    /// Octets delivered since it left.
    pub delivered: u64,
    /// Whether the user, not the network, set the rate when it left.
    pub app_limited: bool,
}

/// A transmission that just left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SentText {
    /// When.
    pub now: Instant,
    /// Octets of it.
    pub octets: u64,
    /// Octets in flight, itself included.
    pub in_flight: u64,
    /// All octets that were ever delivered.
    pub total_delivered: u64,
    /// Whether the user had left nothing to send of late: a sample of it says what he wrote (draft-ietf-ccwg-bbr section 4.1.1.3).
    pub app_limited: bool,
    /// Whether it repeats what was sent before.
    pub again: bool,
}

/// What happened to the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// A loss was shown by acknowledgements; once a window.
    Loss,
    /// The retransmission timer fired.
    Timeout,
    /// The network marked packets instead of dropping them; once a window (RFC 3168 section 6.1.2).
    Marked,
    /// Nothing was sent for longer than a retransmission timeout (RFC 5681 section 4.1).
    Idle,
}

/// A congestion control algorithm.
///
/// Between [`Trouble::Loss`] and `on_recovered` the sender itself keeps cwnd by proportional rate reduction (RFC 9937), from
/// what `threshold` says: `window` counts again afterwards. An algorithm that wants its own window in that time says so by
/// `paces_recovery`.
pub trait CongestionControl: Debug + Send {
    /// An acknowledgement of new text arrived. Losses that it showed came before, by `on_lost` and `on_trouble`.
    fn on_ack(&mut self, sample: &AckSample);
    /// `trouble` was noticed with `in_flight` octets in the network. What an `undo` needs is to be kept here.
    fn on_trouble(&mut self, now: Instant, trouble: Trouble, in_flight: u64);
    /// The loss that [`Trouble::Loss`] or [`Trouble::Timeout`] announced is repaired.
    fn on_recovered(&mut self, now: Instant);
    /// The last [`Trouble::Loss`] or [`Trouble::Timeout`] was a false alarm: back to what was before it (RFC 4015 section 3.2,
    /// RFC 5682 section 3, RFC 3708). No `on_recovered` follows, but one may have come before: the reports that all of it went in
    /// vain take a round trip longer than the repair. So keep what was before a repair until the next trouble.
    fn undo(&mut self, now: Instant);
    /// The window was not used for long: it shrinks to `window` octets where it is larger, and the threshold rises to `threshold`
    /// where it is lower (RFC 7661 section 4.4.3). For algorithms whose window says nothing about the path: nothing to do.
    fn shrink(&mut self, _now: Instant, _window: u64, _threshold: u64) {}
    /// Something left.
    fn on_sent(&mut self, _sent: &SentText) {}
    /// A transmission was declared lost.
    fn on_lost(&mut self, _now: Instant, _lost: &LostText) {}
    /// The connection goes on from another algorithm, whose cwnd and ssthresh these were ([`crate::Connection::set_congestion`]).
    /// By default this one starts as on a new connection.
    fn take_over(&mut self, _now: Instant, _window: u64, _threshold: u64) {}
    /// The segment size changed (path MTU).
    fn set_mss(&mut self, mss: u32);
    /// cwnd, octets.
    fn window(&self) -> u64;
    /// ssthresh, octets; `u64::MAX` until a loss sets it.
    fn threshold(&self) -> u64;
    /// Octets a second to pace at; `None`: it asks for no pacing.
    fn pacing_rate(&self) -> Option<u64> {
        None
    }
    /// Whether `window` counts while a loss is repaired, instead of RFC 9937.
    fn paces_recovery(&self) -> bool {
        false
    }
    /// What it is about, in a word or two, for those who watch: `slow start`.
    fn phase(&self) -> &'static str {
        if self.window() < self.threshold() {
            "slow start"
        } else {
            "avoidance"
        }
    }
    /// Whether it wants every packet marked as ECN-capable and an echo of each mark (DCTCP, RFC 8257 section 3.2), rather than
    /// one a window (RFC 3168).
    fn counts_marks(&self) -> bool {
        false
    }
    /// Its name, as a user writes it: `newreno`.
    fn name(&self) -> &'static str;
}

/// The names of the algorithms that come with the crate, the default first.
pub const NAMES: &[&str] = &["cubic", "newreno", "bbr", "dctcp"];

/// The algorithms that come with the crate, by the names that users write: those of [`NAMES`], and `reno` for `newreno`.
#[must_use]
pub fn by_name(name: &str) -> Option<Arc<dyn CongestionFactory>> {
    match name {
        "bbr" => Some(Arc::new(Bbr::factory())),
        "cubic" => Some(Arc::new(Cubic::factory())),
        "dctcp" => Some(Arc::new(Dctcp::factory())),
        "newreno" | "reno" => Some(Arc::new(NewReno::factory())),
        _ => None,
    }
}

//= rfc9293 MAY-18
/// Makes an algorithm's state for a new connection.
pub trait CongestionFactory: Debug + Send + Sync {
    /// For a connection whose segments carry `mss` octets and that may start with `initial_window` octets.
    fn make(&self, mss: u32, initial_window: u64) -> Box<dyn CongestionControl>;
    /// The algorithm's name.
    fn name(&self) -> &'static str;
    /// Whether the algorithm cannot do without ECN: connections ask for it then, whatever [`crate::Config::ecn`] says (RFC 8257
    /// section 3).
    fn needs_ecn(&self) -> bool {
        false
    }
}
