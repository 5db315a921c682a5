//! The steps whose instructions are counted: the same octets at the same times whenever they are run.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::memory::{Bulk, CHUNK, Cycles, Peer};
use crate::woshou_pair::{Held, Pair};

/// Takes at least so many steps of `path`; how many it took.
pub(crate) fn take(path: &str, steps: u64) -> Result<u64> {
    match path {
        "segment" => segments(steps, Bulk::mtu_1500(0.0)),
        "super-segment" => segments(steps, Bulk::gso(0.0)),
        "by-reference" => segments(
            steps,
            Bulk {
                borrows: true,
                ..Bulk::gso(0.0)
            },
        ),
        "echo" => Held::new(1)?.echo(steps),
        "timer" => Held::new(1_000)?.delayed_acks(steps),
        "cycle" => {
            let count = u32::try_from(steps)?;
            Pair::cycles(&Cycles { count, held: 2_000 })?;
            Ok(steps)
        }
        _ => bail!(
            "there is no path {path}: segment, super-segment, by-reference, echo, timer, cycle"
        ),
    }
}

/// Bulk segments, and an acknowledgement for every second.
fn segments(steps: u64, bulk: Bulk) -> Result<u64> {
    let mut pair = Pair::connect(&Bulk { batch: 2, ..bulk })?;
    let chunk = vec![0x5a; CHUNK];
    let mut into = vec![0; CHUNK];
    let mut now = Duration::ZERO;
    while pair.packets()[0] < steps {
        now += Duration::from_micros(100);
        pair.turn(now, &chunk, &mut into, |_| {})?;
    }
    Ok(pair.packets()[0])
}
