//! Row 9: several cores.

use std::thread;

use anyhow::{Result, anyhow};

use super::{Options, Outcome};
use crate::memory::{self, Bulk};
use crate::table::{Line, Wanted};
use crate::woshou_pair::Pair;

/// Goodput of so many threads together, each with a flow between two stacks of its own.
fn apart(threads: usize, secs: f64) -> Result<f64> {
    let bulk = Bulk {
        batch: 2,
        ..Bulk::mtu_1500(secs)
    };
    let flows: Vec<_> = (0..threads)
        .map(|_| thread::spawn(move || memory::bulk::<Pair>(&bulk)))
        .collect();
    let mut sum = 0.0;
    for flow in flows {
        sum += flow
            .join()
            .map_err(|_| anyhow!("a thread panicked"))??
            .goodput;
    }
    Ok(sum)
}

pub(super) fn in_memory(options: &Options) -> Result<Outcome> {
    let cores = thread::available_parallelism()?.get();
    if cores < 4 {
        return Ok(Outcome::Skipped(format!("{cores} cores, four are needed")));
    }
    let (mut one, mut two, mut four) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        one.push(apart(1, options.secs)?);
        two.push(apart(2, options.secs)?);
        four.push(apart(4, options.secs)?);
    }
    let line = |threads, ours, wanted| Line {
        work: format!("in memory, {threads} threads, each with its own stacks"),
        unit: "Gbit/s",
        ours,
        peer: "1 thread".to_owned(),
        theirs: one.clone(),
        wanted,
    };
    Ok(Outcome::Measured(vec![
        line(2, two, Wanted::Report),
        line(4, four, Wanted::AtLeast(3.5)),
    ]))
}
