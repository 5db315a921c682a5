//! Row 12, and the guard of CI: instructions that a step takes, counted by callgrind.
//!
//! This program runs itself under valgrind twice, with few steps and with many; the difference, for each step, is what a
//! step takes. Time comes from a counter, so that the same code counts the same each time.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::{Options, Outcome};
use crate::profile::Profile;
use crate::table::{Line, Wanted};

/// Steps of the shorter run, and of the longer.
const STEPS: [u64; 2] = [2_000, 12_000];

/// Instructions of one step.
pub(crate) struct Cost {
    /// Of the program itself: all but the C library's, whose version is the machine's.
    own: f64,
    /// Of these, what sums checksums.
    checksums: f64,
    /// Of the C library, what copies and fills.
    copies: f64,
    /// Everything else: the allocator.
    rest: f64,
    /// The dearest functions, dearest first.
    functions: Vec<(String, f64)>,
}

impl Cost {
    /// Without copies and checksums.
    fn protocol(&self) -> f64 {
        self.own - self.checksums + self.rest
    }
}

/// What the steps of `path` cost each.
pub(crate) fn cost(path: &str) -> Result<Cost> {
    let [few, many] = [profile(path, STEPS[0])?, profile(path, STEPS[1])?];
    let steps = many.steps - few.steps;
    ensure!(steps > 0.0, "{path} took no steps");
    let each = |of: fn(&Profile) -> u64| (of(&many) as f64 - of(&few) as f64) / steps;
    let mut functions: Vec<(String, f64)> = many
        .functions
        .iter()
        .map(|(name, cost)| {
            let before = few.functions.get(name).copied().unwrap_or(0);
            (name.clone(), (*cost as f64 - before as f64) / steps)
        })
        .collect();
    functions.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(Cost {
        own: each(|it| it.own),
        checksums: each(|it| it.checksums),
        copies: each(|it| it.copies),
        rest: each(|it| it.rest),
        functions,
    })
}

fn profile(path: &str, steps: u64) -> Result<Profile> {
    let ours = std::env::current_exe()?;
    let file = std::env::temp_dir().join(format!("woshou-{path}-{steps}-{}", std::process::id()));
    let mut option = std::ffi::OsString::from("--callgrind-out-file=");
    option.push(&file);
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(option)
        .arg(&ours)
        .args(["step", path, &steps.to_string()])
        .output()
        .context("valgrind")?;
    let text = std::fs::read_to_string(&file);
    // What cannot be removed lies in the folder for such files.
    let _ = std::fs::remove_file(&file);
    ensure!(
        output.status.success(),
        "valgrind: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let done = String::from_utf8(output.stdout)?;
    let done = done.trim().parse().context("the steps that were done")?;
    Ok(Profile::read(&text?, &ours, done))
}

/// Why nothing can be counted here, if that is so.
pub(crate) fn unable() -> Option<String> {
    match Command::new("valgrind").arg("--version").output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("valgrind: {}", output.status)),
        Err(error) => Some(format!("valgrind: {error}")),
    }
}

pub(super) fn row(_: &Options) -> Result<Outcome> {
    if let Some(why) = unable() {
        return Ok(Outcome::Skipped(why));
    }
    let cost = cost("segment")?;
    let line = |work: String, figure, wanted| Line {
        work,
        unit: "instructions",
        ours: vec![figure],
        peer: String::new(),
        theirs: Vec::new(),
        wanted,
    };
    Ok(Outcome::Measured(vec![
        line(
            "a segment of 1,460 octets, both ends and half an ACK, without copies and checksums"
                .to_owned(),
            cost.protocol(),
            Wanted::Below(1_500.0),
        ),
        line(
            format!(
                "the same with checksums ({:.0}) and copies ({:.0})",
                cost.checksums, cost.copies
            ),
            cost.protocol() + cost.checksums + cost.copies,
            Wanted::Report,
        ),
    ]))
}

/// The paths that the guard counts.
const PATHS: [&str; 4] = ["segment", "echo", "cycle", "timer"];

/// How much more than the committed figure is taken.
const SLACK: f64 = 1.03;

/// What the guard is asked for.
#[derive(clap::Args)]
pub(crate) struct Guard {
    /// The file of figures to compare with; more than 3 % above one fails.
    #[arg(long)]
    check: Option<std::path::PathBuf>,
    /// Write the figures to this file.
    #[arg(long)]
    write: Option<std::path::PathBuf>,
    /// Which paths: segment, echo, cycle, timer. Default all.
    #[arg(long, value_delimiter = ',')]
    paths: Vec<String>,
    /// Show so many of the dearest functions of each path.
    #[arg(long, default_value_t = 0)]
    functions: usize,
}

/// The committed figures: the program's own instructions without checksums, which the machine's C library and its
/// processor have no part in.
#[derive(serde::Deserialize, serde::Serialize)]
struct Figures {
    /// The compiler that they hold for: another one counts differently.
    rustc: String,
    instructions: BTreeMap<String, f64>,
}

/// Counts, prints, and compares or writes.
///
/// # Errors
/// A path takes more than 3 % more than the file says.
pub(crate) fn guard(options: &Guard) -> Result<()> {
    if let Some(why) = unable() {
        println!("instructions: skipped, {why}");
        return Ok(());
    }
    let mut figures = Figures {
        rustc: compiler()?,
        instructions: BTreeMap::new(),
    };
    println!(
        "| a step of | own instructions | checksums beside | copies beside | allocator beside |"
    );
    println!("|---|---:|---:|---:|---:|");
    let mut profiles = String::new();
    for path in PATHS {
        if !options.paths.is_empty() && !options.paths.iter().any(|it| it == path) {
            continue;
        }
        let cost = cost(path)?;
        let own = cost.own - cost.checksums;
        println!(
            "| {path} | {own:.0} | {:.0} | {:.0} | {:.0} |",
            cost.checksums, cost.copies, cost.rest
        );
        figures.instructions.insert(path.to_owned(), own.round());
        for (name, instructions) in cost.functions.iter().take(options.functions) {
            profiles += &format!("| {path} | `{name}` | {instructions:.0} |\n");
        }
    }
    if !profiles.is_empty() {
        print!("\n| a step of | function | instructions |\n|---|---|---:|\n{profiles}");
    }
    if let Some(path) = &options.write {
        let text = toml::to_string(&figures)?;
        std::fs::write(
            path,
            format!(
                "# cargo run --release -p woshou-bench -- instructions --write {}\n{text}",
                path.display()
            ),
        )?;
    }
    options
        .check
        .as_deref()
        .map_or(Ok(()), |path| compare(&figures, path))
}

/// The compiler here; cargo's own, so the one that built this program unless it has changed since.
fn compiler() -> Result<String> {
    let output = Command::new("rustc").arg("--version").output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn compare(now: &Figures, path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let committed: Figures = toml::from_str(&text)?;
    if committed.rustc != now.rustc {
        println!(
            "instructions: not compared, {} holds for {}",
            path.display(),
            committed.rustc
        );
        return Ok(());
    }
    let mut worse = Vec::new();
    for (name, figure) in &now.instructions {
        let Some(was) = committed.instructions.get(name) else {
            bail!("{} has no figure for {name}", path.display());
        };
        println!(
            "{name}: {figure} of {was}, {:+.1} %",
            (figure / was - 1.0) * 100.0
        );
        if *figure > was * SLACK {
            worse.push(format!("{name} takes {figure} instructions, it was {was}"));
        }
    }
    ensure!(
        worse.is_empty(),
        "slower; if that is meant, write the file again:\n{}",
        worse.join("\n")
    );
    Ok(())
}
