//! Everything that a simulation can be told, in one table: each row is a flag and a key of the TOML file.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use woshou_sim::Algorithm;
use woshou_sim::experiment::QueueSize;
use woshou_sim::link::codel::Codel;
use woshou_sim::link::loss::Bursts;
use woshou_sim::link::reorder::Reordering;

use super::units;
use super::values::{aqm, bursts, policer, queue, reorder, switch, time_up_to, unless_off, window};

type Set<T> = fn(&mut T, &str) -> Result<(), String>;

/// What a key sets.
#[derive(Clone, Copy)]
pub(super) enum What {
    /// Something of the path or the flows: several values, separated by commas, make a matrix.
    Axis(Set<Cell>),
    /// Something of the whole command.
    Once(Set<Order>),
}

/// One flag, and one key of the file.
#[derive(Clone, Copy)]
pub(super) struct Key {
    /// As it is written.
    pub(super) name: &'static str,
    /// What its value is called.
    pub(super) value: &'static str,
    pub(super) help: &'static str,
    pub(super) what: What,
}

/// One cell of the matrix: a path, and the flows that go over it.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    /// Bits a second.
    pub(super) rate: u64,
    pub(super) rtt: Duration,
    pub(super) queue: QueueSize,
    pub(super) aqm: Option<Codel>,
    /// Queues longer than this are marked.
    pub(super) mark: Option<u64>,
    pub(super) ecn: bool,
    pub(super) loss: f64,
    pub(super) bursts: Option<Bursts>,
    pub(super) reorder: Reordering,
    pub(super) jitter: Duration,
    pub(super) duplicate: f64,
    pub(super) ack_loss: f64,
    pub(super) ack_compression: Duration,
    /// Bits a second, and octets.
    pub(super) policer: Option<(u64, u64)>,
    pub(super) back_rate: Option<u64>,
    pub(super) mtu: usize,
    /// Flows take turns over them.
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) flows: usize,
    pub(super) stagger: Duration,
    pub(super) duration: Option<Duration>,
    pub(super) bytes: Option<u64>,
    pub(super) warm_up: Duration,
    /// The values that were given, as they were written.
    pub(super) given: Vec<(&'static str, String)>,
}

impl Default for Cell {
    fn default() -> Self {
        Self {
            rate: 100_000_000,
            rtt: Duration::from_millis(20),
            queue: QueueSize::Bdp(1.0),
            aqm: None,
            mark: None,
            ecn: false,
            loss: 0.0,
            bursts: None,
            reorder: Reordering::default(),
            jitter: Duration::ZERO,
            duplicate: 0.0,
            ack_loss: 0.0,
            ack_compression: Duration::ZERO,
            policer: None,
            back_rate: None,
            mtu: 1500,
            algorithms: Vec::new(),
            flows: 1,
            stagger: Duration::ZERO,
            duration: None,
            bytes: None,
            warm_up: Duration::ZERO,
            given: Vec::new(),
        }
    }
}

/// What is to be done with the cells.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) seed: u64,
    pub(super) seeds: u64,
    pub(super) jobs: Option<NonZeroUsize>,
    pub(super) json: Option<PathBuf>,
    pub(super) plot: Option<PathBuf>,
    pub(super) plot_flow: usize,
    /// Seconds.
    pub(super) window: Option<(f64, f64)>,
    pub(super) pcap: Option<PathBuf>,
    pub(super) ladder: Option<PathBuf>,
    pub(super) trace: Option<PathBuf>,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            seed: 1,
            seeds: 1,
            jobs: None,
            json: None,
            plot: None,
            plot_flow: 0,
            window: None,
            pcap: None,
            ladder: None,
            trace: None,
        }
    }
}

/// The most flows of a cell, and the longest run.
const MOST_FLOWS: u64 = 1000;
const LONGEST: Duration = Duration::from_secs(86_400);

const fn axis(name: &'static str, value: &'static str, help: &'static str, set: Set<Cell>) -> Key {
    Key {
        name,
        value,
        help,
        what: What::Axis(set),
    }
}

const fn once(name: &'static str, value: &'static str, help: &'static str, set: Set<Order>) -> Key {
    Key {
        name,
        value,
        help,
        what: What::Once(set),
    }
}

/// All keys. A matrix varies the last of them fastest.
pub(super) const KEYS: [Key; 32] = [
    axis(
        "rate",
        "RATE",
        "Rate of the bottleneck, bits a second: 100M, 1.5G, 800k [default: 100M]",
        |cell, text| put(&mut cell.rate, units::rate(text)),
    ),
    axis(
        "rtt",
        "TIME",
        "Round trip without any queue, half of it in each direction: 20ms, 1.5s, 300us [default: 20ms]",
        |cell, text| put(&mut cell.rtt, time_up_to(text, LONGEST)),
    ),
    axis(
        "queue",
        "SIZE",
        "Queue of the bottleneck: 1bdp (bandwidth-delay products), 100p (packets), 64k (octets) or none (endless) \
         [default: 1bdp]",
        |cell, text| put(&mut cell.queue, queue(text)),
    ),
    axis(
        "aqm",
        "NAME[:TARGET:INTERVAL]",
        "What keeps the queue short: codel (RFC 8289; with --ecn it marks instead of dropping), codel:5ms:100ms; or off: only the \
         tail is dropped [default: off]",
        |cell, text| put(&mut cell.aqm, unless_off(text, aqm)),
    ),
    axis(
        "mark",
        "SIZE",
        "Mark ECN-capable packets that leave more than this in the queue: octets; 0 or off marks none [default: off]",
        |cell, text| put(&mut cell.mark, unless_off(text, units::octets)),
    ),
    axis(
        "ecn",
        "on|off",
        "Whether the flows ask for ECN (RFC 3168) [default: off]",
        |cell, text| put(&mut cell.ecn, switch(text)),
    ),
    axis(
        "loss",
        "SHARE",
        "Packets lost by chance: 1% or 0.01 [default: 0]",
        |cell, text| put(&mut cell.loss, units::share(text)),
    ),
    axis(
        "bursts",
        "SHARE:LENGTH",
        "Packets lost in bursts, and the mean length of a burst in packets: 1%:4; or off [default: off]",
        |cell, text| put(&mut cell.bursts, unless_off(text, bursts)),
    ),
    axis(
        "reorder",
        "SHARE:TIME[-TIME]",
        "Packets held back so that later ones overtake them, and for how long: 1%:5ms, 1%:1ms-20ms; or off [default: off]",
        |cell, text| {
            let held = unless_off(text, reorder)?;
            cell.reorder = held.unwrap_or_default();
            Ok(())
        },
    ),
    axis(
        "jitter",
        "TIME",
        "Delay of each packet, added at random from 0 to this; keeps the order [default: 0]",
        |cell, text| put(&mut cell.jitter, units::time(text)),
    ),
    axis(
        "duplicate",
        "SHARE",
        "Packets that arrive twice [default: 0]",
        |cell, text| put(&mut cell.duplicate, units::share(text)),
    ),
    axis(
        "ack-loss",
        "SHARE",
        "Acknowledgements lost on the way back [default: 0]",
        |cell, text| put(&mut cell.ack_loss, units::share(text)),
    ),
    axis(
        "ack-compression",
        "TIME",
        "Acknowledgements arrive in bunches, one bunch in each such time [default: 0]",
        |cell, text| put(&mut cell.ack_compression, units::time(text)),
    ),
    axis(
        "policer",
        "RATE:SIZE",
        "Drop what comes faster than the rate once the bucket of octets is empty: 50M:64k; or off [default: off]",
        |cell, text| put(&mut cell.policer, unless_off(text, policer)),
    ),
    axis(
        "back-rate",
        "RATE",
        "Rate of the way back, for an asymmetric path; or off: as fast as need be [default: off]",
        |cell, text| put(&mut cell.back_rate, unless_off(text, units::rate)),
    ),
    axis(
        "mtu",
        "OCTETS",
        "Largest packet [default: 1500]",
        |cell, text| {
            let octets = units::count(text, 576, 65_535)?;
            cell.mtu = usize::try_from(octets).map_err(|error| error.to_string())?;
            Ok(())
        },
    ),
    axis(
        "flows",
        "N",
        "Flows that share the bottleneck [default: 1]",
        |cell, text| {
            let flows = units::count(text, 1, MOST_FLOWS)?;
            cell.flows = usize::try_from(flows).map_err(|error| error.to_string())?;
            Ok(())
        },
    ),
    axis(
        "stagger",
        "TIME",
        "Each flow begins this long after the one before it [default: 0]",
        |cell, text| put(&mut cell.stagger, time_up_to(text, LONGEST)),
    ),
    axis(
        "duration",
        "TIME",
        "How long it lasts, in virtual time [default: 10s; with --bytes 10min]",
        |cell, text| {
            let duration = time_up_to(text, LONGEST)?;
            if duration.is_zero() {
                return Err("it has to last some time".to_owned());
            }
            cell.duration = Some(duration);
            Ok(())
        },
    ),
    axis(
        "bytes",
        "SIZE",
        "Each flow ends after so many octets: 100M; or off: it sends as long as it can [default: off]",
        |cell, text| put(&mut cell.bytes, unless_off(text, units::octets)),
    ),
    axis(
        "warm-up",
        "TIME",
        "Goodput, queue and fairness are measured from here on [default: 0]",
        |cell, text| put(&mut cell.warm_up, time_up_to(text, LONGEST)),
    ),
    axis(
        "cc",
        "NAME[+NAME]",
        "Congestion control; of several joined by +, the flows take turns [default: the stack's own]",
        |cell, text| {
            let named = text.split('+').map(str::parse::<Algorithm>);
            let named: Result<Vec<_>, _> = named.collect();
            put(
                &mut cell.algorithms,
                named.map_err(|error| error.to_string()),
            )
        },
    ),
    once(
        "seeds",
        "N",
        "Run each cell with so many seeds [default: 1]",
        |order, text| put(&mut order.seeds, units::count(text, 1, 10_000)),
    ),
    once(
        "seed",
        "N",
        "The first seed, the source of all chance [default: 1]",
        |order, text| put(&mut order.seed, units::count(text, 0, u64::from(u32::MAX))),
    ),
    once(
        "jobs",
        "N",
        "Runs at the same time; it changes nothing that is printed [default: the processors]",
        |order, text| {
            let jobs = units::count(text, 1, 1024)?;
            let jobs = usize::try_from(jobs).map_err(|error| error.to_string())?;
            order.jobs = NonZeroUsize::new(jobs);
            Ok(())
        },
    ),
    once(
        "json",
        "FILE",
        "Write an object a line, one for each run, to FILE; - prints them instead of the table",
        |order, text| put(&mut order.json, Ok(Some(PathBuf::from(text)))),
    ),
    once(
        "plot",
        "FILE",
        "Draw the run of the first seed to FILE (SVG); in a matrix, each cell to a file whose name tells its values",
        |order, text| put(&mut order.plot, Ok(Some(PathBuf::from(text)))),
    ),
    once(
        "plot-flow",
        "N",
        "Whose time-sequence graph is drawn, from 1 [default: 1]",
        |order, text| {
            let flow = units::count(text, 1, MOST_FLOWS)?;
            order.plot_flow = usize::try_from(flow - 1).map_err(|error| error.to_string())?;
            Ok(())
        },
    ),
    once(
        "window",
        "TIME-TIME",
        "Draw only this part of the run: 1.2s-1.6s",
        |order, text| put(&mut order.window, window(text).map(Some)),
    ),
    once(
        "pcap",
        "FILE",
        "Write the packets of the run of the first seed to FILE (pcapng, each with a comment that says why it was sent); in \
         a matrix as with --plot",
        |order, text| put(&mut order.pcap, Ok(Some(PathBuf::from(text)))),
    ),
    once(
        "ladder",
        "FILE",
        "Draw every segment and state of both ends in the run of the first seed to FILE: SVG where its name ends in .svg, else \
         text; meant for short transfers (--bytes 20k)",
        |order, text| put(&mut order.ladder, Ok(Some(PathBuf::from(text)))),
    ),
    once(
        "trace",
        "FILE",
        "Write everything that happened in the run of the first seed to FILE, a JSON object a line",
        |order, text| put(&mut order.trace, Ok(Some(PathBuf::from(text)))),
    ),
];

/// The key called `name`.
pub(super) fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

fn put<T>(place: &mut T, value: Result<T, String>) -> Result<(), String> {
    *place = value?;
    Ok(())
}
