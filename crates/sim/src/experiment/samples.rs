//! What an experiment looked like over time, for plots.

use std::time::Duration;

use woshou_tcp::Instant;

use crate::link::loss::LossCause;

/// The state of one flow at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlowSample {
    /// When.
    pub at: Instant,
    /// Congestion window, octets.
    pub cwnd: u64,
    /// Slow-start threshold, octets; `u64::MAX` before a loss set it.
    pub ssthresh: u64,
    /// Octets believed to be in the network.
    pub in_flight: u64,
    /// The round trip measured last; `None` before the first.
    pub round_trip: Option<Duration>,
    /// Smoothed round trip; zero before the first.
    pub smoothed_round_trip: Duration,
    /// Bits a second that the receiver's program was given since the sample before.
    pub delivery_rate: f64,
    /// Octets that the receiver's program was given, in all.
    pub delivered: u64,
    /// Octets sent again, in all.
    pub retransmitted: u64,
    /// Bits a second at which it paces; `None`: unpaced.
    pub pacing_rate: Option<f64>,
}

/// The bottleneck at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSample {
    /// When.
    pub at: Instant,
    /// Octets in it, the packet being sent included.
    pub octets: u64,
}

/// A packet that was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossSample {
    /// When.
    pub at: Instant,
    /// Whose, by its number in the experiment.
    pub flow: usize,
    /// Why.
    pub cause: LossCause,
    /// Octets of text it carried: zero is an acknowledgement.
    pub len: u32,
    /// Whether it was the receiver's.
    pub back: bool,
}

/// Series over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// One series a flow; each begins when its connection does.
    pub flows: Vec<Vec<FlowSample>>,
    /// The bottleneck of the way forth.
    pub queue: Vec<QueueSample>,
    /// All losses, in order.
    pub losses: Vec<LossSample>,
}
