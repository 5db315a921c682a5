//! Rows 7 and 8: flows between woshou's `TcpStream` and the Linux kernel, through a TUN device.

use std::time::Duration;

use anyhow::Result;
use woshou_link::{Namespace, PrivateSpec, Way};

use super::{Options, Outcome};
use crate::table::{Line, Wanted};
use crate::tun::{self, Direction, Flow, Serve};

/// Why there can be no private namespace with a TUN device here, if that is so.
pub(super) fn unable() -> Option<String> {
    let spec = PrivateSpec {
        mtu: 1500,
        offload: true,
        way: Way::Tun,
        ..PrivateSpec::default()
    };
    let error = Namespace::new(&spec).err()?;
    Some(format!("no private namespace with a TUN device: {error}"))
}

/// Whom woshou is measured beside, and what the row asks for.
const PEERS: [(&str, Serve, Wanted); 3] = [
    (
        "null TCP, payload untouched",
        tun::null::serve,
        Wanted::AtLeast(0.9),
    ),
    (
        "null TCP, a copy an octet",
        tun::null::serve_copying,
        Wanted::Report,
    ),
    (
        "smoltcp 0.14 by hand",
        tun::smol::serve,
        Wanted::AtLeast(1.0),
    ),
];

/// What is measured: a name, who sends, and whether the device cuts segments.
pub(super) const CASES: [(&str, Direction, bool); 4] = [
    ("kernel sends, MTU 1500", Direction::FromKernel, false),
    ("kernel receives, MTU 1500", Direction::ToKernel, false),
    ("kernel sends, offload", Direction::FromKernel, true),
    ("kernel receives, offload", Direction::ToKernel, true),
];

pub(super) fn one_flow(options: &Options) -> Result<Outcome> {
    if let Some(why) = unable() {
        return Ok(Outcome::Skipped(why));
    }
    let mut lines = Vec::new();
    for (name, direction, offload) in CASES {
        let flow = Flow {
            way: Way::Tun,
            direction,
            offload,
            flows: 1,
            duration: Duration::from_secs_f64(options.secs),
        };
        let mut ours = Vec::new();
        let mut theirs = vec![Vec::new(); PEERS.len()];
        for _ in 0..options.rounds {
            ours.push(tun::goodput(&flow, tun::woshou::serve)?);
            for ((_, serve, _), figures) in PEERS.iter().zip(&mut theirs) {
                figures.push(tun::goodput(&flow, *serve)?);
            }
        }
        lines.extend(
            PEERS
                .iter()
                .zip(theirs)
                .map(|((peer, _, wanted), theirs)| Line {
                    work: format!("one flow over TUN, {name}"),
                    unit: "Gbit/s",
                    ours: ours.clone(),
                    peer: (*peer).to_owned(),
                    theirs,
                    wanted: *wanted,
                }),
        );
    }
    lines.extend(super::links::one_flow(options)?);
    Ok(Outcome::Measured(lines))
}

pub(super) fn many_flows(options: &Options) -> Result<Outcome> {
    if let Some(why) = unable() {
        return Ok(Outcome::Skipped(why));
    }
    let mut lines = Vec::new();
    for (name, direction, offload) in CASES {
        let goodput = |flows| {
            let flow = Flow {
                way: Way::Tun,
                direction,
                offload,
                flows,
                duration: Duration::from_secs_f64(options.secs),
            };
            tun::goodput(&flow, tun::woshou::serve)
        };
        let (mut many, mut one) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            many.push(goodput(64)?);
            one.push(goodput(1)?);
        }
        lines.push(Line {
            work: format!("64 flows over TUN, {name}"),
            unit: "Gbit/s",
            ours: many,
            peer: "woshou, one flow".to_owned(),
            theirs: one,
            wanted: Wanted::AtLeast(0.9),
        });
    }
    Ok(Outcome::Measured(lines))
}
