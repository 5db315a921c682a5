//! Measures an async TCP stack against the Linux kernel, as `woshou-bench table` measures woshou: one figure, which that program asks for in
//! its rounds. Before it, the stack has to give back every octet that it is sent.

#[path = "../../src/tun/kernel.rs"]
mod kernel;
mod octets;
mod wrapped;

use std::time::Duration;

use anyhow::{Result, bail};

use kernel::{Direction, Flow, Serve};
use woshou_link::Way;

/// By the names that `woshou-bench` knows: what is measured, and what sends back what it receives.
const STACKS: [(&str, Serve, Serve); 3] = [
    (
        "netstack-smoltcp",
        wrapped::netstack::<false>,
        wrapped::netstack::<true>,
    ),
    (
        "ipstack",
        wrapped::ipstack::<false>,
        wrapped::ipstack::<true>,
    ),
    (
        "tokio-smoltcp",
        wrapped::tokio_smoltcp::<false>,
        wrapped::tokio_smoltcp::<true>,
    ),
];

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [stack, direction, flows, secs] = args.as_slice() else {
        bail!("usage: woshou-peers STACK push|pull FLOWS SECONDS");
    };
    let direction = match direction.as_str() {
        "push" => Direction::FromKernel,
        "pull" => Direction::ToKernel,
        other => bail!("{other}: neither push nor pull"),
    };
    let Some((_, serve, echo)) = STACKS.iter().find(|(name, ..)| name == stack) else {
        bail!("{stack}: not one of netstack-smoltcp, ipstack, tokio-smoltcp");
    };
    let flow = Flow {
        direction,
        offload: false,
        way: Way::Tun,
        flows: flows.parse()?,
        duration: Duration::from_secs_f64(secs.parse()?),
    };
    octets::there_and_back(*echo)?;
    println!("{}", kernel::goodput(&flow, *serve)?);
    Ok(())
}
