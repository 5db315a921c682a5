//! Row 6: what a process that serves 1,000 busy connections takes.

use anyhow::{Context as _, Result};

use super::{Options, Outcome};
use crate::probe;
use crate::table::{Line, Wanted};

/// What the whole process may take, octets. The program keeps 12 MB of it for itself.
const LIMIT: u32 = 50_000_000;

/// A process of its own each time.
const ROUNDS: usize = 3;

pub(super) fn measure(options: &Options) -> Result<Outcome> {
    if let Some(why) = super::tun::unable() {
        return Ok(Outcome::Skipped(why));
    }
    let (mut resident, mut stack) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds.min(ROUNDS) {
        let figures = probe::run(&["busy", &LIMIT.to_string()])?;
        resident.push(*figures.first().context("no figure")? / 1e6);
        stack.push(*figures.get(1).context("no second figure")? / 1e6);
    }
    let line = |what: &str, ours| Line {
        work: format!("1,000 connections that echo 256 KiB each at once, {what}"),
        unit: "MB",
        ours,
        peer: String::new(),
        theirs: Vec::new(),
        wanted: Wanted::Below(f64::from(LIMIT) / 1e6),
    };
    Ok(Outcome::Measured(vec![
        line("the process's peak resident memory", resident),
        line("the stack's own count at its peak", stack),
    ]))
}
