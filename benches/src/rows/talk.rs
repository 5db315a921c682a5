//! Rows 10 and 11: small exchanges over TUN, beside the kernel over veth.

use std::time::Duration;

use anyhow::Result;

use super::{Options, Outcome};
use crate::table::{Line, Wanted};
use crate::tun::{talk, woshou};

const KERNEL: &str = "Linux kernel over veth";

/// Why there can be no veth here, if that is so.
fn unable() -> Option<String> {
    super::tun::unable().or_else(|| {
        let error = std::process::Command::new("ip").arg("-V").output().err()?;
        Some(format!("ip: {error}"))
    })
}

pub(super) fn ping_pong(options: &Options) -> Result<Outcome> {
    if let Some(why) = unable() {
        return Ok(Outcome::Skipped(why));
    }
    let duration = Duration::from_secs_f64(options.secs);
    let (mut ours, mut theirs) = ([const { Vec::new() }; 2], [const { Vec::new() }; 2]);
    for _ in 0..options.rounds {
        let both = [
            (
                &mut ours,
                talk::with_stack(woshou::echo, talk::ping_pong, duration)?,
            ),
            (
                &mut theirs,
                talk::with_kernel(talk::echo, talk::ping_pong, duration)?,
            ),
        ];
        for (into, figures) in both {
            for (into, figure) in into.iter_mut().zip(figures) {
                into.push(figure);
            }
        }
    }
    let lines = ["p50", "p99"].into_iter().zip(ours.into_iter().zip(theirs));
    Ok(Outcome::Measured(
        lines
            .map(|(name, (ours, theirs))| Line {
                work: format!("ping-pong of an octet over TUN, {name}"),
                unit: "us",
                ours,
                peer: KERNEL.to_owned(),
                theirs,
                wanted: Wanted::AtMost(1.1),
            })
            .collect(),
    ))
}

pub(super) fn requests(options: &Options) -> Result<Outcome> {
    if let Some(why) = unable() {
        return Ok(Outcome::Skipped(why));
    }
    // Longer, and one client address would run out of ports.
    let duration = Duration::from_secs_f64(options.secs.min(2.0));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        ours.push(talk::with_stack(woshou::answer, talk::requests, duration)?);
        theirs.push(talk::with_kernel(talk::answer, talk::requests, duration)?);
    }
    Ok(Outcome::Measured(vec![Line {
        work: "connect, request, close over TUN".to_owned(),
        unit: "a second",
        ours,
        peer: KERNEL.to_owned(),
        theirs,
        wanted: Wanted::AtLeast(0.8),
    }]))
}
