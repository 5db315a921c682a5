//! An experiment: flows through one bottleneck for some virtual time, and what became of them.
//!
//! All flows send in the same direction, each from a host of its own to a host of its own, through one shared path: one queue,
//! one rate, one luck (a "dumbbell"). The stacks at both ends are whole; only the checksums are left out, because the wire of an
//! experiment flips no bits.
//!
//! ```
//! use std::time::Duration;
//! use woshou_sim::{Algorithm, Experiment, Flow};
//!
//! let experiment = Experiment::new(10_000_000, Duration::from_millis(20))
//!     .with_flow(Flow::new(Algorithm::NewReno))
//!     .lasting(Duration::from_secs(3));
//! let findings = experiment.run(1);
//! assert!(findings.figures.utilisation > 0.8);
//! ```

mod algorithm;
mod arrivals;
mod figures;
pub mod matrix;
mod monitor;
mod run;
mod samples;

use std::sync::Arc;
use std::time::Duration;

use woshou_tcp::Config;
use woshou_tcp::congestion::CongestionFactory;

use crate::host::HostId;
use crate::link::Path;
use crate::link::queue::Queue;
use crate::link::rate::Rate;
use crate::world::LinkId;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use figures::{BottleneckFigures, Figures, FlowFigures, jain};
pub use samples::{FlowSample, LossSample, QueueSample, Samples};

/// The length of the queue at the bottleneck.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum QueueSize {
    /// In products of the rate and the round trip of the path (without any flow's extra), but at least two full packets.
    Bdp(f64),
    /// In octets of packets.
    Octets(u64),
    /// In packets.
    Packets(usize),
    /// Without a limit.
    Endless,
}

/// One flow.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Its congestion control.
    pub algorithm: Algorithm,
    /// An algorithm of the user's own, instead of `algorithm`.
    pub own: Option<Arc<dyn CongestionFactory>>,
    /// When it opens its connection.
    pub start: Duration,
    /// Octets it sends; `None`: as many as it can. It never closes.
    pub octets: Option<u64>,
    /// How much longer its round trip is than the path's; half of it in each direction, after the bottleneck.
    pub extra_round_trip: Duration,
    /// How both its ends behave in everything but the congestion control, which `algorithm` sets, and the buffers.
    pub tcp: Config,
    /// The most that its send buffer and its receive buffer hold, octets; `None`: four times what the path with its queue
    /// holds, so that they never limit it.
    pub buffer: Option<usize>,
}

impl Flow {
    /// One without end, from the beginning on.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            own: None,
            start: Duration::ZERO,
            octets: None,
            extra_round_trip: Duration::ZERO,
            tcp: Config::default(),
            buffer: None,
        }
    }

    /// One without end, from the beginning on, with an algorithm of the user's own.
    #[must_use]
    pub fn of_own(factory: Arc<dyn CongestionFactory>) -> Self {
        Self {
            own: Some(factory),
            ..Self::new(Algorithm::Cubic)
        }
    }

    /// The same, later.
    #[must_use]
    pub const fn starting(mut self, at: Duration) -> Self {
        self.start = at;
        self
    }
}

/// Flows through one bottleneck. Make one by [`Experiment::new`], and change fields.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// From the senders to the receivers. Its queue is set by `queue`; corruption is not allowed for (see
    /// [`crate::Host::trusts_wire`]).
    pub forth: Path,
    /// From the receivers to the senders.
    pub back: Path,
    /// What may wait at the bottleneck of `forth`. Without a rate nothing ever waits.
    pub queue: QueueSize,
    /// The flows.
    pub flows: Vec<Flow>,
    /// How long it lasts, in virtual time.
    pub duration: Duration,
    /// Goodput, utilisation, queue delay and Jain's index are measured from here on. Default: from the beginning.
    pub measure_from: Duration,
    /// How often samples are taken; `None`: never.
    pub sample_every: Option<Duration>,
    /// The largest packet, octets. Default 1500.
    pub mtu: usize,
    /// Largest super-packet that the senders' devices cut, octets; 0: they do not. Default 0.
    pub gso_max: u32,
}

impl Experiment {
    /// No flows yet, for 10 s, through a bottleneck of `bits_per_second` with a queue of one bandwidth-delay product and a round
    /// trip of `round_trip`, half of it in each direction.
    #[must_use]
    pub fn new(bits_per_second: u64, round_trip: Duration) -> Self {
        let rate = Some(Rate::new(bits_per_second));
        Self {
            forth: Path {
                rate,
                ..Path::delayed(round_trip / 2)
            },
            back: Path::delayed(round_trip / 2),
            queue: QueueSize::Bdp(1.0),
            flows: Vec::new(),
            duration: Duration::from_secs(10),
            measure_from: Duration::ZERO,
            sample_every: None,
            mtu: 1500,
            gso_max: 0,
        }
    }

    /// With one flow more.
    #[must_use]
    pub fn with_flow(mut self, flow: Flow) -> Self {
        self.flows.push(flow);
        self
    }

    /// For so long.
    #[must_use]
    pub const fn lasting(mut self, duration: Duration) -> Self {
        self.duration = duration;
        self
    }

    /// The round trip of the path without any queue, and without jitter.
    #[must_use]
    pub fn round_trip(&self) -> Duration {
        self.forth.delay.fixed + self.back.delay.fixed
    }

    /// The host that sends flow `number` (from 0): what a [`Watcher`](crate::Watcher) is told of it.
    #[must_use]
    pub fn sender(number: usize) -> HostId {
        HostId(small(number).saturating_mul(2))
    }

    /// The host that receives it.
    #[must_use]
    pub fn receiver(number: usize) -> HostId {
        HostId(small(number).saturating_mul(2).saturating_add(1))
    }

    /// The link between the two.
    #[must_use]
    pub fn link(number: usize) -> LinkId {
        LinkId(small(number))
    }

    /// The queue at the bottleneck.
    #[must_use]
    pub fn resolved_queue(&self) -> Queue {
        match self.queue {
            QueueSize::Bdp(products) => self.forth.rate.map_or_else(Queue::default, |rate| {
                Queue::of_bdp(products, rate, self.round_trip(), 2 * self.mtu as u64)
            }),
            QueueSize::Octets(octets) => Queue::of_octets(octets),
            QueueSize::Packets(packets) => Queue::of_packets(packets),
            QueueSize::Endless => Queue::default(),
        }
    }

    /// Octets that the path with its queue holds for the flow with the longest round trip, at least 64 KiB; without a rate,
    /// 16 MiB.
    fn capacity(&self) -> u64 {
        const LEAST: u64 = 64 << 10;
        let Some(rate) = self.forth.rate else {
            return 16 << 20;
        };
        let extra = self.flows.iter().map(|flow| flow.extra_round_trip).max();
        let round_trip = self.round_trip() + extra.unwrap_or_default() + self.forth.delay.jitter;
        let queue = self.resolved_queue();
        let waiting = match (queue.octets, queue.packets) {
            (Some(octets), _) => octets,
            (None, Some(packets)) => (packets * self.mtu) as u64,
            (None, None) => 16 << 20,
        };
        let flying = Queue::of_bdp(1.0, rate, round_trip, 0).octets;
        (flying.unwrap_or(0) + waiting).max(LEAST)
    }
}

/// What an experiment found.
#[derive(Clone, Debug, PartialEq)]
pub struct Findings {
    /// Figures over the whole of it.
    pub figures: Figures,
    /// Series over time; empty without [`Experiment::sample_every`].
    pub samples: Samples,
}

/// A count of flows: more than `u32::MAX` do not fit into memory.
fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
