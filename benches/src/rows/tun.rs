//! Rows 7 and 8: flows between woshou's `TcpStream` and the Linux kernel, through a TUN device.

use std::time::Duration;

use anyhow::Result;
use woshou_link::{Namespace, PrivateSpec, Way};

use super::{Options, Outcome, peers};
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

const SERVE: Serve = tun::woshou::serve;

fn flow(options: &Options, (direction, offload): (Direction, bool), flows: usize) -> Flow {
    Flow {
        way: Way::Tun,
        direction,
        offload,
        flows,
        duration: Duration::from_secs_f64(options.secs),
    }
}

/// The async stacks that gave a figure in each round.
fn of(wrapped: Option<peers::Peers>) -> Vec<(&'static str, Vec<f64>, Wanted)> {
    let figures = wrapped.map(|wrapped| wrapped.figures).unwrap_or_default();
    let figures = figures.into_iter();
    figures
        .map(|(stack, figures)| (stack, figures, Wanted::Report))
        .collect()
}

pub(super) fn one_flow(options: &Options) -> Result<Outcome> {
    if let Some(why) = unable() {
        return Ok(Outcome::Skipped(why));
    }
    let mut lines = Vec::new();
    let by_copy = CASES.map(|(name, direction, offload)| (name, direction, offload, SERVE));
    let by_reference = (
        "kernel receives, offload, written by reference",
        Direction::ToKernel,
        true,
        tun::woshou::serve_by_reference as Serve,
    );
    for (name, direction, offload, serve) in by_copy.into_iter().chain([by_reference]) {
        let flow = flow(options, (direction, offload), 1);
        let mut ours = Vec::new();
        let mut theirs = vec![Vec::new(); PEERS.len()];
        let mut wrapped = peers::Peers::build().filter(|_| !offload);
        for _ in 0..options.rounds {
            ours.push(tun::goodput(&flow, serve)?);
            for ((_, serve, _), figures) in PEERS.iter().zip(&mut theirs) {
                figures.push(tun::goodput(&flow, *serve)?);
            }
            if let Some(wrapped) = &mut wrapped {
                wrapped.round(&flow);
            }
        }
        let by_hand = PEERS.iter().zip(theirs);
        let by_hand = by_hand.map(|((peer, _, wanted), theirs)| (*peer, theirs, *wanted));
        let beside = by_hand.chain(of(wrapped));
        lines.extend(beside.map(|(peer, theirs, wanted)| Line {
            work: format!("one flow over TUN, {name}"),
            unit: "Gbit/s",
            ours: ours.clone(),
            peer: peer.to_owned(),
            theirs,
            wanted,
        }));
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
        let [all, alone] = [64, 1].map(|flows| flow(options, (direction, offload), flows));
        let (mut many, mut one) = (Vec::new(), Vec::new());
        let mut wrapped = peers::Peers::build().filter(|_| !offload);
        for _ in 0..options.rounds {
            many.push(tun::goodput(&all, tun::woshou::serve)?);
            one.push(tun::goodput(&alone, tun::woshou::serve)?);
            if let Some(wrapped) = &mut wrapped {
                wrapped.round(&all);
            }
        }
        let itself = ("woshou, one flow", one, Wanted::AtLeast(0.9));
        let wrapped = of(wrapped).into_iter();
        let beside = [itself].into_iter().chain(wrapped);
        lines.extend(beside.map(|(peer, theirs, wanted)| Line {
            work: format!("64 flows over TUN, {name}"),
            unit: "Gbit/s",
            ours: many.clone(),
            peer: peer.to_owned(),
            theirs,
            wanted,
        }));
    }
    Ok(Outcome::Measured(lines))
}
