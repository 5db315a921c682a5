//! Rows 1, 2 and 3: one flow in memory, both ends and the link on one core.

use anyhow::{Result, ensure};

use super::{Options, Outcome};
use crate::memory::{self, Bulk, Peer};
use crate::table::{Line, Wanted};
use crate::{smol, woshou_pair};

/// The target of rows 1 and 2.
const WANTED: Wanted = Wanted::AtLeast(1.5);

/// Row 1, and row 3 alone: the receiver has its turn after every second segment.
fn every_second(options: &Options) -> Bulk {
    Bulk {
        batch: 2,
        ..Bulk::mtu_1500(options.secs)
    }
}

/// Goodput, and the segments for each packet that came back.
fn measure<P: Peer>(bulk: &Bulk, into: &mut Vec<f64>) -> Result<f64> {
    let run = memory::bulk::<P>(bulk)?;
    into.push(run.goodput);
    Ok(run.segments_per_ack())
}

pub(super) fn segments(options: &Options) -> Result<Outcome> {
    memory::prove_checksums::<woshou_pair::Pair>()?;
    memory::prove_checksums::<smol::Pair>()?;
    let (second, batch) = (every_second(options), Bulk::mtu_1500(options.secs));
    let mut ours = [Vec::new(), Vec::new()];
    let mut theirs = ours.clone();
    let mut acks = [[0.0; 2]; 2];
    for _ in 0..options.rounds {
        for (index, bulk) in [second, batch].iter().enumerate() {
            acks[index] = [
                measure::<woshou_pair::Pair>(bulk, &mut ours[index])?,
                measure::<smol::Pair>(bulk, &mut theirs[index])?,
            ];
        }
    }
    ensure!(
        acks[0][0] < 2.1,
        "woshou acknowledges {:.2} segments at a time",
        acks[0][0]
    );
    let line = |[a, b]: [usize; 2], wanted| Line {
        work: format!(
            "one flow in memory, MTU 1500, checksums, an ACK every {:.0} segments",
            acks[a][0]
        ),
        unit: "Gbit/s",
        ours: ours[a].clone(),
        peer: format!("smoltcp 0.14, an ACK every {:.0}", acks[b][1]),
        theirs: theirs[b].clone(),
        wanted,
    };
    Ok(Outcome::Measured(vec![
        line([0, 0], WANTED),
        line([0, 1], Wanted::Report),
        line([1, 1], WANTED),
    ]))
}

pub(super) fn super_segments(options: &Options) -> Result<Outcome> {
    let copied = Bulk::gso(options.secs);
    let borrowed = Bulk {
        borrows: true,
        ..copied
    };
    let mut ours = [Vec::new(), Vec::new()];
    let mut theirs = ours.clone();
    for _ in 0..options.rounds {
        for (index, bulk) in [copied, borrowed].iter().enumerate() {
            measure::<woshou_pair::Pair>(bulk, &mut ours[index])?;
            measure::<smol::Pair>(bulk, &mut theirs[index])?;
        }
    }
    let hows = [
        ("copied in and out", "smoltcp 0.14"),
        ("by reference", "smoltcp 0.14, read in place"),
    ];
    let lines = hows.into_iter().zip(ours.into_iter().zip(theirs));
    let lines = lines.map(|((how, peer), (ours, theirs))| Line {
        work: format!("one flow in memory, 64 KiB segments, {how}"),
        unit: "Gbit/s",
        ours,
        peer: peer.to_owned(),
        theirs,
        wanted: WANTED,
    });
    Ok(Outcome::Measured(lines.collect()))
}

pub(super) fn beside_idle(options: &Options) -> Result<Outcome> {
    let alone = every_second(options);
    let beside = |idle| Bulk {
        idle,
        listeners: 1_000,
        ..alone
    };
    let goodput = |bulk: &Bulk| memory::bulk::<woshou_pair::Pair>(bulk).map(|run| run.goodput);
    let (mut few, mut many, mut none) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        none.push(goodput(&alone)?);
        few.push(goodput(&beside(10_000))?);
        many.push(goodput(&beside(100_000))?);
    }
    let line = |idle: &str, ours| Line {
        work: format!("the same beside {idle} idle connections and 1,000 listeners"),
        unit: "Gbit/s",
        ours,
        peer: "woshou alone".to_owned(),
        theirs: none.clone(),
        wanted: Wanted::AtLeast(0.95),
    };
    Ok(Outcome::Measured(vec![
        line("10,000", few),
        line("100,000", many),
    ]))
}
