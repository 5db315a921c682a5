//! Row 4: connections opened and closed in memory, both ends on one core.

use anyhow::Result;

use super::{Options, Outcome};
use crate::memory::{Cycles, Peer};
use crate::table::{Line, Wanted};
use crate::{smol, woshou_pair};

/// Entries in TIME-WAIT while woshou is measured.
const HELD: u32 = 100_000;

pub(super) fn measure(options: &Options) -> Result<Outcome> {
    let cycles = |held| Cycles {
        count: options.cycles,
        held,
    };
    let (mut held, mut dropped, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        held.push(woshou_pair::Pair::cycles(&cycles(HELD))?);
        theirs.push(smol::Pair::cycles(&cycles(0))?);
        dropped.push(woshou_pair::Pair::cycles(&cycles(0))?);
    }
    let line = |work: &str, ours, wanted| Line {
        work: work.to_owned(),
        unit: "cycles/s",
        ours,
        peer: "smoltcp 0.14, TIME-WAIT dropped".to_owned(),
        theirs: theirs.clone(),
        wanted,
    };
    Ok(Outcome::Measured(vec![
        line(
            "opened and closed while 100,000 are in TIME-WAIT",
            held,
            Wanted::AtLeast(1.0),
        ),
        line(
            "opened and closed, TIME-WAIT of 1 ms",
            dropped,
            Wanted::Report,
        ),
    ]))
}
