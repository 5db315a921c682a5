//! Measurements that want a process of their own: this program runs itself.

mod busy;
mod held;

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

/// What such a process does.
#[derive(clap::Subcommand)]
pub(crate) enum Probe {
    /// Holds so many idle connections, and prints the resident octets and the heap's for each.
    Held { connections: u32 },
    /// Serves busy connections in a process of so many octets, and prints its peak resident memory and the stack's own count.
    Busy { limit: usize },
    /// The kernel's side of `busy`.
    BusyClients { to: std::net::SocketAddr },
}

pub(crate) fn act(probe: &Probe) -> Result<()> {
    let figures = match probe {
        Probe::Held { connections } => held::measure(*connections)?,
        Probe::Busy { limit } => busy::measure(*limit)?,
        Probe::BusyClients { to } => return busy::clients(*to),
    };
    println!("{} {}", figures[0], figures[1]);
    Ok(())
}

/// The figures that a process of its own prints.
pub(crate) fn run(arguments: &[&str]) -> Result<Vec<f64>> {
    let output = Command::new(std::env::current_exe()?)
        .arg("probe")
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "{arguments:?}: {}", output.status);
    String::from_utf8(output.stdout)?
        .split_whitespace()
        .map(|figure| figure.parse().context("a figure"))
        .collect()
}

/// Octets of `/proc/self/status` under `key`: `VmRSS` for what is resident now, `VmHWM` for the most so far.
fn resident(key: &str) -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    for line in status.lines() {
        if let Some(rest) = line.strip_prefix(key) {
            let kib = rest.trim_start_matches(':').trim().trim_end_matches("kB");
            return Ok(kib.trim().parse::<f64>()? * 1024.0);
        }
    }
    bail!("/proc/self/status has no {key}")
}
