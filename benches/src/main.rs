//! woshou measured beside its peers, in one run: interleaved rounds, medians, and the ratio, as Markdown tables.
//!
//! In memory, two stacks of a kind are joined by two queues in one thread; both ends share one core and no system
//! call lies on the way. The peer is smoltcp, driven by hand, as fast as we know how: no congestion control, buffers
//! of the size that suits it best. Over TUN, the peer of both is the Linux kernel, in a private namespace.

mod cores;
mod entries;
mod link;
mod memory;
mod probe;
mod profile;
mod rows;
mod smol;
mod steps;
mod table;
mod tun;
mod versus;
mod woshou_pair;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::probe::Probe;
use crate::rows::Options;
use crate::rows::instructions::Guard;

/// Measures woshou beside its peers, in one run.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The table: all rows, or those of `--rows`.
    Table(Options),
    /// What TIME-WAIT entries and half-open connections cost in memory.
    MemEntries {
        /// Entries of each kind whose memory is measured.
        #[arg(long, default_value_t = 100_000)]
        entries: u32,
    },
    /// Instructions that the hot paths take, counted by callgrind: shown, and compared with a file.
    Instructions(Guard),
    /// A measurement that wants a process of its own.
    #[command(hide = true, subcommand)]
    Probe(Probe),
    /// Takes steps of a path, for callgrind to count.
    #[command(hide = true)]
    Step { path: String, steps: u64 },
    /// Goodput over an emulated bottleneck beside the Linux kernel with the same algorithm. Takes long: choose cells.
    VersusKernel(Box<versus::Options>),
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("woshou-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let what = Arguments::parse().what;
    if matches!(what, What::Table(_) | What::VersusKernel(_)) {
        // While this process still has one thread: an ordinary user may make namespaces only in one of their own.
        // Where that fails, the rows that need one are skipped.
        let entered = woshou_link::enter_user_namespace();
        if let (Err(error), What::VersusKernel(_)) = (&entered, &what) {
            println!("versus-kernel: skipped: {error}");
            return Ok(());
        }
    }
    match &what {
        What::Table(options) => rows::run(options),
        What::MemEntries { entries } => {
            print!("{}", entries::measure(*entries)?);
            Ok(())
        }
        What::Instructions(options) => rows::instructions::guard(options),
        What::Step { path, steps } => {
            println!("{}", steps::take(path, *steps)?);
            Ok(())
        }
        What::Probe(probe) => probe::act(probe),
        What::VersusKernel(options) => versus::run(options),
    }
}
