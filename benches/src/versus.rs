//! woshou beside the Linux kernel on one emulated bottleneck: the same algorithm, the same luck, one after the other.

mod ends;
mod mixed;
mod wire;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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

/// A wire that leaves packets later than this in the mean is no measure: microseconds.
const TOO_LATE: f64 = 500.0;

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
    /// Write a JSON object a line to this file, one for each cell.
    #[arg(long)]
    json: Option<std::path::PathBuf>,
}

/// One end's figures of one run.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Mbit/s.
    goodput: f64,
    /// Microseconds, mean.
    late: f64,
}

/// A cell, measured.
struct Measured {
    cell: Cell,
    woshou: Vec<Run>,
    kernel: Vec<Run>,
}

/// The middle one.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    f64::midpoint(at(last / 2), at(values.len() / 2))
}

impl Measured {
    /// woshou's goodput over the kernel's, medians over the seeds.
    fn ratio(&self) -> f64 {
        let [ours, theirs] = self.goodputs();
        ours / theirs
    }

    fn goodputs(&self) -> [f64; 2] {
        [&self.woshou, &self.kernel].map(|runs| median(runs.iter().map(|run| run.goodput)))
    }

    fn late(&self) -> f64 {
        let runs = self.woshou.iter().chain(&self.kernel);
        median(runs.map(|run| run.late))
    }

    fn trusted(&self) -> bool {
        self.late() < TOO_LATE
    }

    fn json(&self, role: &str) -> String {
        let [woshou, kernel] = self.goodputs();
        let cell = &self.cell;
        format!(
            "{{\"role\":\"{role}\",\"cc\":\"{}\",\"rate\":{},\"rtt_ms\":{},\"weather\":\"{}\",\"queue_bdp\":{},\
             \"woshou_mbps\":{woshou:.2},\"kernel_mbps\":{kernel:.2},\"ratio\":{:.3},\"late_us\":{:.0}}}",
            cell.algorithm,
            cell.rate,
            cell.round_trip.as_millis(),
            cell.weather,
            cell.queue,
            self.ratio(),
            self.late(),
        )
    }
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
    shared.stop.store(true, Ordering::Relaxed);
    for thread in [connected, end] {
        thread.join().map_err(|_| anyhow!("an end panicked"))??;
    }
    drop(second);
    Ok(Run {
        goodput: octets as f64 * 8.0 / took / 1e6,
        late: wire.end().mean_micros(),
    })
}

/// Both ends with every seed, in turn.
fn measure_cell(cell: Cell, role: Role, options: &Options) -> Result<Measured> {
    let mut result = Measured {
        cell,
        woshou: Vec::new(),
        kernel: Vec::new(),
    };
    for seed in 1..=options.seeds {
        result
            .woshou
            .push(measure(&cell, Who::Woshou, role, seed, options)?);
        result
            .kernel
            .push(measure(&cell, Who::Kernel, role, seed, options)?);
    }
    Ok(result)
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

/// Measures all cells, and prints the table.
pub(crate) fn run(options: &Options) -> Result<()> {
    let role = match options.role.as_str() {
        "receiver" => Role::Receiver,
        _ => Role::Sender,
    };
    let cells = cells(options)?;
    if let Some(flows) = options.mixed {
        return mixed::run(&cells, flows, options);
    }
    let each = (options.skip + options.seconds) * 2.0 * options.seeds as f64;
    eprintln!("{} cells, {each:.0} s each", cells.len());
    let (fast, slow): (Vec<Cell>, Vec<Cell>) = cells
        .into_iter()
        .partition(|cell| cell.rate >= 1_000_000_000);
    let mut results = Vec::new();
    for (cells, jobs) in [(slow, options.jobs.max(1)), (fast, 1)] {
        results.extend(side_by_side(&cells, jobs, role, options)?);
    }
    print(&results, options);
    if let Some(path) = &options.json {
        let lines: Vec<String> = results.iter().map(|r| r.json(&options.role)).collect();
        std::fs::write(path, lines.join("\n") + "\n")?;
    }
    Ok(())
}

fn side_by_side(
    cells: &[Cell],
    jobs: usize,
    role: Role,
    options: &Options,
) -> Result<Vec<Measured>> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let (done, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..jobs {
            let (next, done) = (&next, done.clone());
            scope.spawn(move || {
                while let Some(&cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let _ = done.send(measure_cell(cell, role, options));
                }
            });
        }
        drop(done);
        results
            .iter()
            .inspect(|result| match result {
                Ok(result) => eprintln!("{}", result.json(&options.role)),
                Err(error) => eprintln!("{error:#}"),
            })
            .collect()
    })
}

fn print(results: &[Measured], options: &Options) {
    let subject = match options.role.as_str() {
        "receiver" => "woshou receives from the kernel",
        _ => "woshou sends to the kernel",
    };
    println!("## {subject}: goodput over the kernel's in the same place (Mbit/s)\n");
    println!("| algorithm | rate | round trip | path | queue | woshou | kernel | ratio |");
    println!("| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |");
    let mut results: Vec<&Measured> = results.iter().collect();
    results.sort_by(|a, b| {
        let key = |r: &Measured| (r.cell.algorithm.to_string(), r.cell.rate, r.cell.round_trip);
        key(a).cmp(&key(b))
    });
    for result in &results {
        let (cell, [woshou, kernel]) = (&result.cell, result.goodputs());
        let late = if result.trusted() { "" } else { " (late)" };
        println!(
            "| {} | {}M | {} ms | {} | {} BDP | {woshou:.2} | {kernel:.2} | {:.2}{late} |",
            cell.algorithm,
            cell.rate / 1_000_000,
            cell.round_trip.as_millis(),
            cell.weather,
            cell.queue,
            result.ratio(),
        );
    }
    let trusted: Vec<&&Measured> = results.iter().filter(|r| r.trusted()).collect();
    let names: BTreeSet<String> = trusted
        .iter()
        .map(|r| r.cell.algorithm.to_string())
        .collect();
    println!();
    for name in names {
        let of_it = trusted
            .iter()
            .filter(|r| r.cell.algorithm.to_string() == name);
        let ratios: Vec<f64> = of_it.map(|r| r.ratio()).collect();
        let low = ratios.iter().filter(|ratio| **ratio < 0.9).count();
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        println!(
            "{name}: median ratio {:.2} over {} cells, least {least:.2}, {low} below 0.90",
            median(ratios.iter().copied()),
            ratios.len(),
        );
    }
    println!(
        "\n{} of {} cells are left out of this: packets left more than {TOO_LATE} us late in the mean. The kernel's bbr is version 1, \
         woshou's is 3 (draft-ietf-ccwg-bbr), which yields to losses above 2 %.",
        results.len() - trusted.len(),
        results.len()
    );
}
