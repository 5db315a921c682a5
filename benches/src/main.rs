//! woshou measured beside its peers, in one run: interleaved rounds, medians, and the ratio, as Markdown tables.
//!
//! In memory, two stacks of a kind are joined by two queues in one thread; both ends share one core and no system
//! call lies on the way. The peer is smoltcp, driven by hand, as fast as we know how: no congestion control, buffers
//! of the size that suits it best. Over TUN, the peer of both is the Linux kernel, in a private namespace.

mod entries;
mod link;
mod memory;
mod smol;
mod table;
mod tun;
mod versus;
mod woshou_pair;

use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::memory::{Bulk, Cycles, Peer};
use crate::table::{Row, Table};
use crate::tun::{Direction, Flow};

/// Measures woshou beside smoltcp 0.14, in one run.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    /// Rounds; in each, every stack is measured once, in turn.
    #[arg(long, default_value_t = 7, global = true)]
    rounds: usize,
    /// Seconds that one measurement of goodput lasts.
    #[arg(long, default_value_t = 1.0, global = true)]
    secs: f64,
    /// Connections that one measurement of the connection rate opens and closes.
    #[arg(long, default_value_t = 20_000, global = true)]
    cycles: u32,
    /// Entries of each kind whose memory is measured.
    #[arg(long, default_value_t = 100_000, global = true)]
    entries: u32,
}

#[derive(Clone, PartialEq, Subcommand)]
enum What {
    /// Bulk goodput in memory.
    Mem,
    /// Open and close, in memory.
    Conn,
    /// Goodput over TUN, against the Linux kernel in a private namespace.
    Tun,
    /// What TIME-WAIT entries and half-open connections cost in memory.
    MemEntries,
    /// Goodput over an emulated bottleneck beside the Linux kernel with the same algorithm. Takes long: choose cells.
    VersusKernel(Box<versus::Options>),
    /// All of it but the last.
    All,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let what = arguments.what.clone().unwrap_or(What::All);
    if matches!(what, What::Tun | What::All | What::VersusKernel(_)) {
        // While this process still has one thread: an ordinary user may make namespaces only in one of their own.
        woshou_link::enter_user_namespace()?;
    }
    if matches!(what, What::Mem | What::All) {
        memory_table(&arguments)?;
    }
    if matches!(what, What::Conn | What::All) {
        connection_table(&arguments)?;
    }
    if matches!(what, What::MemEntries | What::All) {
        print!("{}", entries::measure(arguments.entries)?);
    }
    if matches!(what, What::Tun | What::All) {
        tun_table(&arguments)?;
    }
    if let What::VersusKernel(options) = &what {
        versus::run(options)?;
    }
    Ok(())
}

/// Bulk goodput, both ends on one core.
fn memory_table(arguments: &Arguments) -> Result<()> {
    let cases = [
        (
            "MTU 1500, checksums computed and verified",
            Bulk::mtu_1500(arguments.secs),
        ),
        (
            "64 KiB segments (GSO), checksums left to the link",
            Bulk::gso(arguments.secs),
        ),
    ];
    memory::prove_checksums::<woshou_pair::Pair>()?;
    memory::prove_checksums::<smol::Pair>()?;
    let mut table = Table::new(
        "In memory, one thread, Gbit/s of goodput",
        "woshou",
        "smoltcp 0.14",
    );
    for (name, bulk) in cases {
        let mut row = Row::new(name);
        for _ in 0..arguments.rounds {
            row.ours.push(memory::bulk::<woshou_pair::Pair>(&bulk)?);
            row.theirs.push(memory::bulk::<smol::Pair>(&bulk)?);
        }
        table.rows.push(row);
    }
    print!("{table}");
    Ok(())
}

/// Handshake, and FIN both ways.
fn connection_table(arguments: &Arguments) -> Result<()> {
    let cycles = arguments.cycles;
    let cases = [
        (
            "TIME-WAIT not kept",
            Cycles {
                count: cycles,
                held: 0,
            },
        ),
        (
            "1,000 and more held in TIME-WAIT",
            Cycles {
                count: cycles.div_ceil(10),
                held: 1_000,
            },
        ),
    ];
    let mut table = Table::new(
        "In memory, one thread, connections opened and closed a second",
        "woshou",
        "smoltcp 0.14",
    );
    for (name, cycles) in cases {
        let mut row = Row::new(name);
        for _ in 0..arguments.rounds {
            row.ours.push(woshou_pair::Pair::cycles(&cycles)?);
            row.theirs.push(smol::Pair::cycles(&cycles)?);
        }
        table.rows.push(row);
    }
    print!("{table}");
    Ok(())
}

/// One flow to or from the kernel, through a TUN device.
fn tun_table(arguments: &Arguments) -> Result<()> {
    let cases = [
        ("kernel sends, MTU 1500", Direction::FromKernel, false),
        ("kernel receives, MTU 1500", Direction::ToKernel, false),
        ("kernel sends, 64 KiB segments", Direction::FromKernel, true),
        (
            "kernel receives, 64 KiB segments",
            Direction::ToKernel,
            true,
        ),
    ];
    let duration = Duration::from_secs_f64(arguments.secs);
    let mut table = Table::new(
        "Over TUN against the Linux kernel, Gbit/s of goodput",
        "woshou",
        "smoltcp 0.14",
    );
    for (name, direction, offload) in cases {
        let flow = Flow {
            direction,
            offload,
            duration,
        };
        let mut row = Row::new(name);
        for _ in 0..arguments.rounds {
            row.ours.push(tun::goodput(&flow, tun::woshou::serve)?);
            row.theirs.push(tun::goodput(&flow, tun::smol::serve)?);
        }
        table.rows.push(row);
    }
    print!("{table}");
    Ok(())
}
