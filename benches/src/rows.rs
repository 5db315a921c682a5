//! The rows of the table: each measures woshou and whoever stands beside it in turn, round by round.

mod bulk;
mod busy;
mod cores;
mod cycles;
mod held;
pub(crate) mod instructions;
mod links;
mod peers;
mod talk;
mod tun;

use anyhow::{Result, bail, ensure};

use crate::table::{self, Line};

/// How much is measured.
#[derive(clap::Args, Clone, Debug, PartialEq)]
pub(crate) struct Options {
    /// Which rows, by number; all when none is given.
    #[arg(long, value_delimiter = ',')]
    pub(crate) rows: Vec<u8>,
    /// Rounds; in each, every side is measured once, in turn.
    #[arg(long, default_value_t = 9)]
    pub(crate) rounds: usize,
    /// Seconds that one measurement of goodput lasts.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) secs: f64,
    /// Connections that one measurement of the connection rate opens and closes.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) cycles: u32,
}

/// What became of a row.
pub(crate) enum Outcome {
    Measured(Vec<Line>),
    /// This machine or this user cannot: why.
    Skipped(String),
}

/// A row: its number in the table, and how it is measured.
struct Row {
    number: u8,
    name: &'static str,
    measure: fn(&Options) -> Result<Outcome>,
}

const ROWS: [Row; 12] = [
    Row {
        number: 1,
        name: "in memory, MTU 1500",
        measure: bulk::segments,
    },
    Row {
        number: 2,
        name: "in memory, 64 KiB segments",
        measure: bulk::super_segments,
    },
    Row {
        number: 3,
        name: "beside idle connections and listeners",
        measure: bulk::beside_idle,
    },
    Row {
        number: 4,
        name: "opened and closed, beside TIME-WAIT",
        measure: cycles::measure,
    },
    Row {
        number: 5,
        name: "idle connections",
        measure: held::measure,
    },
    Row {
        number: 6,
        name: "busy connections within a limit",
        measure: busy::measure,
    },
    Row {
        number: 7,
        name: "one flow over TUN",
        measure: tun::one_flow,
    },
    Row {
        number: 8,
        name: "64 flows over TUN",
        measure: tun::many_flows,
    },
    Row {
        number: 9,
        name: "several cores",
        measure: cores::measure,
    },
    Row {
        number: 10,
        name: "ping-pong over TUN",
        measure: talk::ping_pong,
    },
    Row {
        number: 11,
        name: "connect, request, close over TUN",
        measure: talk::requests,
    },
    Row {
        number: 12,
        name: "instructions for each segment",
        measure: instructions::row,
    },
];

/// Measures the rows that are wanted and prints each as soon as it is there.
///
/// # Errors
/// A row failed; the others are measured and printed all the same.
pub(crate) fn run(options: &Options) -> Result<()> {
    for number in &options.rows {
        ensure!(
            ROWS.iter().any(|row| row.number == *number),
            "there is no row {number}"
        );
    }
    println!(
        "Median (least-most) of {} interleaved rounds.\n",
        options.rounds
    );
    print!("{}", table::HEAD);
    let (mut failed, mut skipped) = (Vec::new(), Vec::new());
    for row in &ROWS {
        if !options.rows.is_empty() && !options.rows.contains(&row.number) {
            continue;
        }
        match (row.measure)(options) {
            Ok(Outcome::Measured(lines)) => {
                for line in &lines {
                    print!("{}", table::markdown(row.number, line));
                }
            }
            Ok(Outcome::Skipped(why)) => {
                skipped.push(format!("{} ({}): skipped, {why}", row.number, row.name));
            }
            Err(error) => failed.push(format!("{} ({}): {error:#}", row.number, row.name)),
        }
    }
    if !skipped.is_empty() {
        println!("\n{}", skipped.join("\n"));
    }
    if !failed.is_empty() {
        bail!("rows failed:\n{}", failed.join("\n"));
    }
    Ok(())
}
