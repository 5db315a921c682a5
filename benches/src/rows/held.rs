//! Row 5: what an idle established connection costs, its async handle included.

use anyhow::{Context as _, Result};

use super::{Options, Outcome};
use crate::probe;
use crate::table::{Line, Wanted};

/// Connections held at once in one process.
const CONNECTIONS: u32 = 1_000_000;

/// A process of its own each time, so that nothing else is in it.
const ROUNDS: usize = 3;

pub(super) fn measure(options: &Options) -> Result<Outcome> {
    let (mut resident, mut heap) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds.min(ROUNDS) {
        let figures = probe::run(&["held", &CONNECTIONS.to_string()])?;
        resident.push(*figures.first().context("no figure")?);
        heap.push(*figures.get(1).context("no second figure")?);
    }
    let line = |what: &str, ours, wanted| Line {
        work: format!("1,000,000 idle connections held in one process, {what}"),
        unit: "octets each",
        ours,
        peer: String::new(),
        theirs: Vec::new(),
        wanted,
    };
    Ok(Outcome::Measured(vec![
        line("resident memory", resident, Wanted::Below(1_024.0)),
        line("heap", heap, Wanted::Report),
    ]))
}
