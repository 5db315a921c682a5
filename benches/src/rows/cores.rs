//! Row 9: several cores.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use woshou_link::Way;

use super::tun::{CASES, unable};
use super::{Options, Outcome};
use crate::cores::{self, Goodput};
use crate::table::{Line, Wanted};
use crate::tun::{Flow, goodput_by, shards};

/// Flows over TUN.
const FLOWS: usize = 64;

pub(super) fn measure(options: &Options) -> Result<Outcome> {
    let processors = thread::available_parallelism()?.get();
    if processors < 4 {
        return Ok(Outcome::Skipped(format!(
            "{processors} cores, four are needed"
        )));
    }
    let mut lines = in_memory(options)?;
    if let Some(why) = unable() {
        println!("9 (over TUN): skipped, {why}");
    } else {
        lines.extend(over_tun(options)?);
    }
    Ok(Outcome::Measured(lines))
}

/// Two nets in one process: both ends of each connection on one thread, a thread a shard, each on a processor.
fn in_memory(options: &Options) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (flows, each) in [(1, "one flow each"), (4, "4 flows each")] {
        let mut figures: [Vec<Goodput>; 3] = Default::default();
        for _ in 0..options.rounds {
            for (shards, figures) in [1, 2, 4].into_iter().zip(&mut figures) {
                figures.push(cores::goodput(shards, flows, options.secs)?);
            }
        }
        let [one, two, four] = &figures;
        let all = |goodput: &[Goodput], of: fn(&Goodput) -> f64| goodput.iter().map(of).collect();
        let mut line = |shards, ours, by, of, wanted| {
            lines.push(Line {
                work: format!("in memory by sockets, {shards} shards, {each}{by}"),
                unit: "Gbit/s",
                ours: all(ours, of),
                peer: "1 shard".to_owned(),
                theirs: all(one, of),
                wanted,
            });
        };
        let wanted = Wanted::AtLeast(3.5);
        line(2, two, "", |goodput| goodput.by_clock, Wanted::Report);
        line(4, four, "", |goodput| goodput.by_clock, wanted);
        let by = ", by processor time";
        line(4, four, by, |goodput| goodput.by_processor, Wanted::Report);
    }
    Ok(lines)
}

/// A kernel with a thread for each flow beside a net with a thread for each queue, on the same processors.
fn over_tun(options: &Options) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (name, direction, offload) in CASES {
        let goodput = |queues| {
            let flow = Flow {
                way: Way::Tun,
                direction,
                offload,
                flows: FLOWS,
                duration: Duration::from_secs_f64(options.secs),
            };
            goodput_by(&flow, queues, shards::serve)
        };
        let (mut one, mut two, mut four) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            one.push(goodput(1)?);
            two.push(goodput(2)?);
            four.push(goodput(4)?);
        }
        lines.extend([(2, two), (4, four)].map(|(queues, ours)| Line {
            work: format!("{FLOWS} flows over TUN with {queues} queues and shards, {name}"),
            unit: "Gbit/s",
            ours,
            peer: "1 queue".to_owned(),
            theirs: one.clone(),
            wanted: Wanted::Report,
        }));
    }
    Ok(lines)
}
