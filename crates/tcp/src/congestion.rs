//! How much may fly: the trait, and the algorithms. None of them sees a sequence number.

use alloc::boxed::Box;
use core::fmt::Debug;
use core::time::Duration;

use crate::time::Instant;

mod new_reno;

pub use new_reno::NewReno;

/// What one acknowledgement told.
#[derive(Clone, Copy, Debug)]
pub struct AckSample {
    /// When it arrived.
    pub now: Instant,
    /// Octets newly acknowledged, cumulatively.
    pub acked: u64,
    /// Octets newly acknowledged by SACK.
    pub sacked: u64,
    /// Octets in flight before it arrived.
    pub prior_in_flight: u64,
    /// Whether the sender was held back by the window rather than by the user, so that the window may grow (RFC 7661).
    pub window_limited: bool,
    /// This round trip, when one was measured.
    pub rtt: Option<Duration>,
    /// Smoothed round trip.
    pub srtt: Option<Duration>,
    /// Whether a loss is being repaired.
    pub in_recovery: bool,
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
pub trait CongestionControl: Debug + Send {
    /// An acknowledgement of new text arrived.
    fn on_ack(&mut self, sample: &AckSample);
    /// `trouble` was noticed with `in_flight` octets in the network.
    fn on_trouble(&mut self, now: Instant, trouble: Trouble, in_flight: u64);
    /// The loss that [`Trouble::Loss`] announced is repaired.
    fn on_recovered(&mut self, now: Instant);
    /// The segment size changed (path MTU).
    fn set_mss(&mut self, mss: u32);
    /// cwnd, octets.
    fn window(&self) -> u64;
    /// ssthresh, octets; `u64::MAX` until a loss sets it.
    fn threshold(&self) -> u64;
    /// Octets a second to pace at; `None`: unpaced.
    fn pacing_rate(&self) -> Option<u64> {
        None
    }
    /// Its name, as a user writes it: `newreno`.
    fn name(&self) -> &'static str;
}

//= rfc9293 MAY-18
/// Makes an algorithm's state for a new connection.
pub trait CongestionFactory: Debug + Send + Sync {
    /// For a connection whose segments carry `mss` octets and that may start with `initial_window` octets.
    fn make(&self, mss: u32, initial_window: u64) -> Box<dyn CongestionControl>;
    /// The algorithm's name.
    fn name(&self) -> &'static str;
}
