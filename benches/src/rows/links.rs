//! Row 7, by other links than TUN: AF_PACKET and AF_XDP on a veth.

use std::time::Duration;

use anyhow::Result;
use woshou_link::{Namespace, PrivateSpec, Way};

use super::Options;
use crate::table::{Line, Wanted};
use crate::tun::{self, Direction, Flow};

/// A name, the link, and whether the device cuts segments.
const LINKS: [(&str, Way, bool); 3] = [
    ("AF_PACKET, offload", Way::Veth, true),
    ("AF_PACKET, MTU 1500", Way::Veth, false),
    ("AF_XDP, MTU 1500", Way::Xdp, false),
];

/// One flow by each link that this machine has, beside one over TUN.
pub(super) fn one_flow(options: &Options) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (name, way, offload) in LINKS {
        let spec = PrivateSpec {
            way,
            offload,
            ..PrivateSpec::default()
        };
        if let Err(why) = Namespace::new(&spec) {
            eprintln!("{name}: {why}");
            continue;
        }
        for (who, direction) in [
            ("sends", Direction::FromKernel),
            ("receives", Direction::ToKernel),
        ] {
            let goodput = |way| {
                let flow = Flow {
                    way,
                    direction,
                    offload,
                    flows: 1,
                    duration: Duration::from_secs_f64(options.secs),
                };
                tun::goodput(&flow, tun::woshou::serve)
            };
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..options.rounds {
                ours.push(goodput(way)?);
                theirs.push(goodput(Way::Tun)?);
            }
            lines.push(Line {
                work: format!("one flow over {name}, kernel {who}"),
                unit: "Gbit/s",
                ours,
                peer: "woshou over TUN".to_owned(),
                theirs,
                wanted: Wanted::Report,
            });
        }
    }
    Ok(lines)
}
