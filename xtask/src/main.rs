//! The checks of this repository: who may use whom (`graph`), how long things may be (`shape`), and what of the
//! specification has code and tests (`specs`). `lessons` whether the tests that `docs/lessons.md` names exist. `check` runs all four. `specs` alone also writes `docs/compliance.md`.

mod graph;
mod lessons;
mod place;
mod shape;
mod source;
mod specs;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

/// What a check found: text to read, and one line for each rule that is broken.
struct Report {
    text: String,
    violations: Vec<String>,
}

type Check = fn(&std::path::Path) -> Result<Report>;

const CHECKS: [(&str, Check); 4] = [
    ("graph", graph::check),
    ("shape", shape::check),
    ("specs", specs::check),
    ("lessons", lessons::check),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let chosen: Vec<_> = match arguments.as_slice() {
        [one] if one == "check" => CHECKS.to_vec(),
        [one] if one == "specs" => vec![("specs", specs::write as Check)],
        [one] => CHECKS.into_iter().filter(|(name, _)| name == one).collect(),
        _ => Vec::new(),
    };
    if chosen.is_empty() {
        eprintln!("usage: cargo xtask check|graph|shape|specs|lessons");
        return ExitCode::from(2);
    }
    match run(&chosen) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(broken) => {
            eprintln!("xtask: {broken} violations");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the checks and prints what they say; the number of violations.
fn run(checks: &[(&str, Check)]) -> Result<usize> {
    // Set by cargo for what it runs: where this checkout lies now, not where it lay when xtask was compiled.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").context("run it as `cargo xtask`")?;
    let root = PathBuf::from(package)
        .parent()
        .context("xtask lies in the workspace")?
        .to_path_buf();
    let mut broken = 0;
    for (name, check) in checks {
        let report = check(&root).with_context(|| format!("{name} could not run"))?;
        println!("== {name}\n{}", report.text.trim_end());
        for violation in &report.violations {
            println!("violation: {violation}");
        }
        broken += report.violations.len();
    }
    Ok(broken)
}
