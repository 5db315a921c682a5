//! woshou beside the Linux kernel on one emulated bottleneck: the same algorithm, the same luck, one after the other.

mod ends;
mod mixed;
mod report;
mod wire;

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use clap::Args;
use woshou_link::Device;
use woshou_sim::Algorithm;
use woshou_sim::experiment::matrix::{Cell, Weather};
use woshou_sim::link::Path;
use woshou_sim::link::queue::Queue;

use ends::{Role, Shared};
use wire::{Addresses, Wire};

/// What is measured.
#[derive(Args, Clone, Debug, PartialEq)]
pub(crate) struct Options {
    /// Bits a second, in millions.
    #[arg(long, value_delimiter = ',', default_values_t = [10_u64, 100, 1000])]
    rates: Vec<u64>,
    /// Round trips, milliseconds.
    #[arg(long, value_delimiter = ',', default_values_t = [2_u64, 20, 100])]
    rtts: Vec<u64>,
    /// Queues, in bandwidth-delay products.
    #[arg(long, value_delimiter = ',', default_values_t = [0.25, 1.0, 4.0])]
    queues: Vec<f64>,
    /// What is wrong with the path, by its place in this list: 0 nothing; 1, 2, 3: loss of 0.1, 1, 3 %; 4: bursts of 5, 1 % in
    /// all; 5: 1 % held 5 ms; 6: 1 % of the acknowledgements lost.
    #[arg(long, value_delimiter = ',', default_values_t = [0_usize, 1, 2, 3, 4, 5, 6])]
    weathers: Vec<usize>,
    /// Algorithms: newreno, cubic, bbr.
    #[arg(long, value_delimiter = ',', default_values_t = ["newreno".to_owned(), "cubic".to_owned(), "bbr".to_owned()])]
    cc: Vec<String>,
    /// Seeds a cell.
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// Seconds that count, after `--skip`.
    #[arg(long = "for", default_value_t = 6.0)]
    seconds: f64,
    /// Seconds that do not count yet: slow start.
    #[arg(long, default_value_t = 2.0)]
    skip: f64,
    /// Measurements side by side; those of 1 Gbit/s run alone.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// woshou sends to the kernel, or receives from it.
    #[arg(long, default_value = "sender", value_parser = ["sender", "receiver"])]
    role: String,
    /// Instead of one after the other: so many flows of woshou and as many of the kernel at once, through one queue.
    #[arg(long)]
    mixed: Option<usize>,
    /// Append a JSON object a line to this file as soon as its cell is measured.
    #[arg(long)]
    json: Option<std::path::PathBuf>,
    /// A minute and a half in all: cubic at 10 and 100 Mbit/s, 2 and 20 ms, without trouble, with losses and with packets held, one
    /// seed. Takes the place of the options that choose cells, seeds and seconds.
    #[arg(long)]
    quick: bool,
}

impl Options {
    /// What `--quick` stands for.
    fn quick(self) -> Self {
        if !self.quick {
            return self;
        }
        Self {
            rates: vec![10, 100],
            rtts: vec![2, 20],
            queues: vec![1.0],
            weathers: vec![0, 2, 5],
            cc: vec!["cubic".to_owned()],
            seeds: 1,
            seconds: 5.0,
            skip: 2.0,
            ..self
        }
    }
}

/// One end's figures of one run.
#[derive(Clone, Copy, Debug)]
struct Run {
    seed: u64,
    /// Mbit/s.
    goodput: f64,
    /// Microseconds, mean.
    late: f64,
    /// Packets lost beside the model: by a TUN or by an end that took no more.
    dropped: u64,
}

/// A cell, measured.
struct Measured {
    cell: Cell,
    woshou: Vec<Run>,
    kernel: Vec<Run>,
    /// Runs that failed, and why.
    failed: Vec<String>,
}

/// The middle one.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    f64::midpoint(at(last / 2), at(values.len() / 2))
}

/// The paths of a cell: from the sender, and back.
fn paths(cell: &Cell) -> [Path; 2] {
    let experiment = cell.experiment();
    let mut forth = experiment.forth;
    if let Some(rate) = forth.rate {
        forth.queue = Queue::of_bdp(cell.queue, rate, cell.round_trip, 2 * 1500);
    }
    [forth, experiment.back]
}

/// Who is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Woshou,
    Kernel,
}

/// One flow for so long; what arrived.
fn measure(cell: &Cell, who: Who, role: Role, seed: u64, options: &Options) -> Result<Run> {
    let shared = Arc::new(Shared {
        role,
        algorithm: cell.algorithm.to_string(),
        stop: AtomicBool::new(false),
        received: AtomicU64::new(0),
    });
    let over = ends::Over(&shared);
    let (opposite, device) = ends::kernel()?;
    // Holds the namespace of a kernel that is compared.
    let mut second = None;
    let (end, ours): (_, Box<dyn Device>) = match who {
        Who::Woshou => {
            let (device, thread) = ends::woshou_end(&shared);
            (thread, device)
        }
        Who::Kernel => {
            let (namespace, device) = ends::kernel()?;
            let thread = ends::kernel_end(&namespace, &shared, ends::PORT)?;
            second = Some(namespace);
            (thread, device)
        }
    };
    let addresses = match who {
        Who::Woshou => Addresses::Kept,
        Who::Kernel => Addresses::Swapped,
    };
    // The first end of the wire is the sender's.
    let mut wires = [ours, device];
    if role == Role::Receiver {
        wires.reverse();
    }
    let wire = Wire::new(wires, paths(cell), addresses, seed);
    let connected = ends::opposite(&opposite, &shared, ends::PORT)?;
    thread::sleep(Duration::from_secs_f64(options.skip));
    let (before, start) = (shared.received.load(Ordering::Relaxed), Instant::now());
    thread::sleep(Duration::from_secs_f64(options.seconds));
    let octets = shared.received.load(Ordering::Relaxed) - before;
    let took = start.elapsed().as_secs_f64();
    drop(over);
    for thread in [connected, end] {
        thread.join().map_err(|_| anyhow!("an end panicked"))??;
    }
    // While the wire still holds the devices.
    let mut dropped = ends::drops(&opposite)?;
    if let Some(namespace) = &second {
        dropped += ends::drops(namespace)?;
    }
    let lateness = wire.end();
    Ok(Run {
        seed,
        goodput: octets as f64 * 8.0 / took / 1e6,
        late: lateness.mean_micros(),
        dropped: dropped + lateness.refused(),
    })
}

/// Both ends with every seed, in turn. A run that fails costs no other.
fn measure_cell(cell: Cell, role: Role, options: &Options) -> Measured {
    let mut result = Measured {
        cell,
        woshou: Vec::new(),
        kernel: Vec::new(),
        failed: Vec::new(),
    };
    for seed in 1..=options.seeds {
        for (who, name) in [(Who::Woshou, "woshou"), (Who::Kernel, "kernel")] {
            match measure(&cell, who, role, seed, options) {
                Ok(run) if who == Who::Woshou => result.woshou.push(run),
                Ok(run) => result.kernel.push(run),
                Err(error) => result
                    .failed
                    .push(format!("{name}, seed {seed}: {error:#}")),
            }
        }
    }
    result
}

fn cells(options: &Options) -> Result<Vec<Cell>> {
    let mut cells = Vec::new();
    for cc in &options.cc {
        let algorithm: Algorithm = cc
            .parse()
            .map_err(|_| anyhow!("no algorithm is called {cc:?}"))?;
        for &rate in &options.rates {
            for &rtt in &options.rtts {
                for &weather in &options.weathers {
                    let Some(&weather) = Weather::ALL.get(weather) else {
                        bail!(
                            "--weathers {weather}: there are 0 to {}",
                            Weather::ALL.len() - 1
                        );
                    };
                    for &queue in &options.queues {
                        cells.push(Cell {
                            rate: rate * 1_000_000,
                            round_trip: Duration::from_millis(rtt),
                            weather,
                            queue,
                            algorithm,
                        });
                    }
                }
            }
        }
    }
    Ok(cells)
}

/// Where results go as soon as they are known: the terminal, and the file of `--json`.
struct Sink(Option<File>);

impl Sink {
    fn new(options: &Options) -> Result<Self> {
        let open = |path| File::options().create(true).append(true).open(path);
        Ok(Self(options.json.as_ref().map(open).transpose()?))
    }

    fn put(&mut self, line: &str) -> Result<()> {
        eprintln!("{line}");
        if let Some(file) = &mut self.0 {
            writeln!(file, "{line}")?;
        }
        Ok(())
    }
}

/// Measures all cells, and prints the table.
pub(crate) fn run(options: &Options) -> Result<()> {
    let options = &options.clone().quick();
    let role = match options.role.as_str() {
        "receiver" => Role::Receiver,
        _ => Role::Sender,
    };
    if let Err(error) = ends::kernel() {
        println!("versus-kernel: skipped: {error:#}");
        return Ok(());
    }
    let cells = cells(options)?;
    let mut sink = Sink::new(options)?;
    if let Some(flows) = options.mixed {
        return mixed::run(&cells, flows, options, &mut sink);
    }
    let each = (options.skip + options.seconds) * 2.0 * options.seeds as f64;
    eprintln!("{} cells, {each:.0} s each", cells.len());
    let (fast, slow): (Vec<Cell>, Vec<Cell>) = cells
        .into_iter()
        .partition(|cell| cell.rate >= 1_000_000_000);
    let mut results = Vec::new();
    for (cells, jobs) in [(slow, options.jobs.max(1)), (fast, 1)] {
        let one = |cell| measure_cell(cell, role, options);
        side_by_side(&cells, jobs, one, |result| {
            sink.put(&result.json(&options.role))?;
            results.push(result);
            Ok(())
        })?;
    }
    report::print(results, options);
    Ok(())
}

/// Measures so many at once, and hands over each result.
fn side_by_side<T: Send>(
    cells: &[Cell],
    jobs: usize,
    one: impl Fn(Cell) -> T + Sync,
    take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let (done, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..jobs {
            let (next, done, one) = (&next, done.clone(), &one);
            scope.spawn(move || {
                while let Some(&cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if done.send(one(cell)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        results.into_iter().try_for_each(take)
    })
}
