//! Async stacks beside woshou: programs of their own in `benches/peers`, a workspace of its own, built when a row asks for them.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::tun::{Direction, Flow};

/// By the names that `woshou-peers` knows; none of them leaves segmentation to a device.
pub(super) const STACKS: [&str; 3] = ["netstack-smoltcp", "ipstack", "tokio-smoltcp"];

/// What a measurement may take beyond its time: a namespace, and the end of threads that a stack keeps busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program, built, and the stacks that gave a figure each time so far.
pub(super) struct Peers {
    program: PathBuf,
    pub(super) figures: Vec<(&'static str, Vec<f64>)>,
}

impl Peers {
    /// Builds them; `None`, with the reason on stderr: they cannot be built here.
    pub(super) fn build() -> Option<Self> {
        match program() {
            Ok(program) => Some(Self {
                program,
                figures: STACKS.map(|stack| (stack, Vec::new())).into(),
            }),
            Err(error) => {
                eprintln!("left out: {}: {error:#}", STACKS.join(", "));
                None
            }
        }
    }

    /// A round. Who fails is left out from then on.
    pub(super) fn round(&mut self, flow: &Flow) {
        let program = &self.program;
        self.figures
            .retain_mut(|(stack, figures)| match goodput(program, stack, flow) {
                Ok(figure) => {
                    figures.push(figure);
                    true
                }
                Err(error) => {
                    eprintln!("left out: {stack}, {} flows: {error:#}", flow.flows);
                    false
                }
            });
    }
}

fn program() -> Result<PathBuf> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/Cargo.toml");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--quiet", "--message-format=json"])
        .args(["--manifest-path", manifest])
        .stderr(Stdio::inherit())
        .output()
        .context("cargo")?;
    ensure!(built.status.success(), "cargo build: {}", built.status);
    let messages = String::from_utf8_lossy(&built.stdout);
    let executable = messages
        .lines()
        .filter_map(|line| line.split_once("\"executable\":\"")?.1.split_once('"'))
        .next_back();
    Ok(executable.context("cargo built no program")?.0.into())
}

fn goodput(program: &PathBuf, stack: &str, flow: &Flow) -> Result<f64> {
    let direction = match flow.direction {
        Direction::FromKernel => "push",
        Direction::ToKernel => "pull",
    };
    let (flows, secs) = (
        flow.flows.to_string(),
        flow.duration.as_secs_f64().to_string(),
    );
    let child = Command::new(program)
        .args([stack, direction, &flows, &secs])
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let output = wait(child, flow.duration + PATIENCE)?.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let why = said.lines().next().unwrap_or("it said nothing");
    ensure!(output.status.success(), "{}: {why}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}

/// The child, ended; of itself in time, or it is an error.
fn wait(mut child: Child, most: Duration) -> Result<Child> {
    let started = Instant::now();
    while child.try_wait()?.is_none() {
        if started.elapsed() > most {
            child.kill()?;
            child.wait()?;
            bail!("no figure after {most:?}");
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(child)
}
