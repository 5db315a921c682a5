//! The matrix: one flow in every combination of rate, round trip, trouble, queue and algorithm.

use std::fmt;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Algorithm, Experiment, Figures, Flow, QueueSize};
use crate::link::loss::{Bursts, Loss};
use crate::link::reorder::Reordering;

/// What is wrong with the path of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weather {
    /// Nothing.
    Fair,
    /// This share of what the sender sends is lost by chance.
    Loss(f64),
    /// This share of packets is lost, so many in a row in the mean.
    Bursts(f64, f64),
    /// This share of packets is held back, for so long.
    Held(f64, Duration),
    /// This share of acknowledgements is lost.
    AckLoss(f64),
}

impl Weather {
    /// Those of the matrix.
    pub const ALL: [Self; 7] = [
        Self::Fair,
        Self::Loss(0.001),
        Self::Loss(0.01),
        Self::Loss(0.03),
        Self::Bursts(0.01, 5.0),
        Self::Held(0.01, Duration::from_millis(5)),
        Self::AckLoss(0.01),
    ];
}

impl fmt::Display for Weather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| (share * 1_000.0).round() / 10.0;
        f.pad(&match *self {
            Self::Fair => "-".to_owned(),
            Self::Loss(share) => format!("loss {}%", percent(share)),
            Self::Bursts(share, length) => format!("bursts {}% of {length}", percent(share)),
            Self::Held(share, hold) => format!("held {}% {hold:?}", percent(share)),
            Self::AckLoss(share) => format!("acks {}%", percent(share)),
        })
    }
}

/// One cell of the matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// Bits a second.
    pub rate: u64,
    /// The round trip without a queue.
    pub round_trip: Duration,
    /// What is wrong.
    pub weather: Weather,
    /// The queue, bandwidth-delay products.
    pub queue: f64,
    /// The congestion control.
    pub algorithm: Algorithm,
}

impl Cell {
    /// The rates of the matrix, bits a second.
    pub const RATES: [u64; 3] = [10_000_000, 100_000_000, 1_000_000_000];
    /// Its round trips.
    pub const ROUND_TRIPS: [Duration; 3] = [
        Duration::from_millis(2),
        Duration::from_millis(20),
        Duration::from_millis(100),
    ];
    /// Its queues, bandwidth-delay products.
    pub const QUEUES: [f64; 3] = [0.25, 1.0, 4.0];

    /// All cells of these algorithms, 189 each, in the order of the table: the algorithm changes last but the queue.
    #[must_use]
    pub fn all(algorithms: &[Algorithm]) -> Vec<Self> {
        let mut cells = Vec::new();
        for &algorithm in algorithms {
            for rate in Self::RATES {
                for round_trip in Self::ROUND_TRIPS {
                    for weather in Weather::ALL {
                        cells.extend(Self::QUEUES.map(|queue| Self {
                            rate,
                            round_trip,
                            weather,
                            queue,
                            algorithm,
                        }));
                    }
                }
            }
        }
        cells
    }

    /// How long it lasts, in virtual time: a hundred round trips, between 3 s and 10 s.
    #[must_use]
    pub fn duration(&self) -> Duration {
        let hundred = self.round_trip * 100;
        hundred.clamp(Duration::from_secs(3), Duration::from_secs(10))
    }

    /// The experiment it stands for: one flow without end.
    #[must_use]
    pub fn experiment(&self) -> Experiment {
        let mut experiment = Experiment::new(self.rate, self.round_trip)
            .with_flow(Flow::new(self.algorithm))
            .lasting(self.duration());
        experiment.queue = QueueSize::Bdp(self.queue);
        match self.weather {
            Weather::Fair => {}
            Weather::Loss(chance) => {
                experiment.forth.loss = Loss {
                    chance,
                    ..Loss::default()
                }
            }
            Weather::Bursts(rate, length) => {
                experiment.forth.loss.bursts = Some(Bursts::of(rate, length));
            }
            Weather::Held(chance, hold) => {
                experiment.forth.reordering = Reordering {
                    chance,
                    hold,
                    ..Reordering::default()
                }
            }
            Weather::AckLoss(chance) => {
                experiment.back.loss.bare_acks = chance;
            }
        }
        experiment
    }
}

/// Runs cells on `threads` threads, each cell on one; the figures in their order. What runs where changes nothing.
///
/// # Panics
/// When a cell does.
#[must_use]
pub fn run(cells: &[Cell], seed: u64, threads: usize) -> Vec<Figures> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(cell) = cells.get(number) else {
                return done;
            };
            done.push((number, cell.experiment().run(seed).figures));
        }
    };
    let mut all: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        let done = workers.into_iter().map(std::thread::ScopedJoinHandle::join);
        done.flat_map(|done| done.expect("no cell panics"))
            .collect()
    });
    all.sort_by_key(|&(number, _)| number);
    all.into_iter().map(|(_, figures)| figures).collect()
}

/// The figures of cells as a table, a cell a line, for people and for comparing with `diff`.
#[must_use]
pub fn table(cells: &[Cell], figures: &[Figures]) -> String {
    let mut text = String::from(
        "algorithm  rate  rtt   queue weather           goodput  of link  retrans  spurious  rto   stall    qdelay mean/p95\n",
    );
    for (cell, figures) in cells.iter().zip(figures) {
        let Some(flow) = figures.flows.first() else {
            continue;
        };
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        let rate = format!("{}M", cell.rate / 1_000_000);
        let _ = writeln!(
            text,
            "{:9} {rate:>5} {:>4} ms {:>5} {:16} {:8.2} M {:6.1} % {:6.2} % {:7.3} % {:4} {:6.0} ms {:8.2} {:8.2} ms",
            cell.algorithm,
            cell.round_trip.as_millis(),
            cell.queue,
            cell.weather,
            flow.goodput / 1e6,
            // What fits beside headers of 52 octets in packets of 1,500.
            flow.goodput / (cell.rate as f64 * 1448.0 / 1500.0) * 100.0,
            flow.retransmitted_share() * 100.0,
            flow.spurious_share() * 100.0,
            flow.timeouts,
            millis(flow.longest_stall),
            millis(figures.bottleneck.mean_delay),
            millis(figures.bottleneck.p95_delay),
        );
    }
    text
}
