//! `woshou sim`: flows through a bottleneck, in virtual time; a scenario or a matrix of them.

mod cell;
mod json;
mod keys;
mod plan;
mod table;
mod units;
mod values;
mod watch;

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use indicatif::{ProgressBar, ProgressStyle};
use woshou_sim::Figures;
use woshou_trace::plot;

use crate::failure::Failure;
use plan::Plan;
use watch::{Recorder, file_of};

pub(crate) use plan::Sim;

pub(crate) fn run(sim: &Sim) -> Result<ExitCode, Failure> {
    let plan = Plan::new(sim)?;
    let found = run_all(&plan)?;
    let on_stdout = plan.order.json.as_deref() == Some(Path::new("-"));
    match &plan.order.json {
        Some(_) if on_stdout => print(&json::text(&plan, &found))?,
        Some(path) => {
            std::fs::write(path, json::text(&plan, &found)).map_err(Failure::file(path))?;
        }
        None => {}
    }
    if !on_stdout {
        print(&table::text(&plan, &found))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints to standard output; a reader who has seen enough (`| head`) is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::Stdio {
            name: "standard output",
            source: error,
        }),
        _ => Ok(()),
    }
}

/// Runs every cell with every seed, several at once. What comes back is in the order of the plan.
fn run_all(plan: &Plan) -> Result<Vec<Vec<Figures>>, Failure> {
    let seeds = usize::try_from(plan.order.seeds).unwrap_or(usize::MAX);
    let total = plan.cells.len().saturating_mul(seeds);
    let jobs = plan.order.jobs.map_or_else(
        || std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        NonZeroUsize::get,
    );
    let bar = progress_bar(total);
    let next = AtomicUsize::new(0);
    let (done, results) = mpsc::channel();
    let mut found: Vec<Vec<Option<Figures>>> = vec![vec![None; seeds]; plan.cells.len()];
    let all = std::thread::scope(|scope| {
        for _ in 0..jobs.min(total) {
            let (done, next) = (done.clone(), &next);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= total {
                        return;
                    }
                    let result = run_one(plan, number / seeds, number % seeds);
                    if done.send((number, result)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        for (number, result) in results {
            match result {
                Ok(figures) => {
                    if let Some(runs) = found.get_mut(number / seeds) {
                        runs[number % seeds] = Some(figures);
                    }
                    bar.inc(1);
                }
                Err(failure) => {
                    // Nothing new is begun.
                    next.store(total, Ordering::Relaxed);
                    return Err(failure);
                }
            }
        }
        Ok(())
    });
    bar.finish_and_clear();
    all?;
    Ok(found
        .into_iter()
        .map(|runs| runs.into_iter().flatten().collect())
        .collect())
}

/// One cell with one seed; with the first, what is to be seen of it.
fn run_one(plan: &Plan, cell: usize, number: usize) -> Result<Figures, Failure> {
    let order = &plan.order;
    let Some(cell) = plan.cells.get(cell) else {
        return Ok(Figures::default());
    };
    let seed = order.seed + number as u64;
    let mut experiment = cell.experiment();
    let recorder = match number {
        0 => Recorder::new(cell, order, &plan.axes)?,
        _ => None,
    };
    let Some(mut recorder) = recorder else {
        return Ok(experiment.run(seed).figures);
    };
    recorder.prepare(&mut experiment);
    let findings = experiment.run_watched(seed, &mut recorder);
    let alone = Plan {
        cells: vec![cell.clone()],
        axes: Vec::new(),
        order: keys::Order {
            seeds: 1,
            ..order.clone()
        },
    };
    let options = plot::Options {
        title: "woshou sim".to_owned(),
        subtitle: table::heading(&alone),
        window: order.window,
        flow: order.plot_flow,
        ..plot::Options::default()
    };
    let file = |path: &Path| file_of(path, cell, &plan.axes);
    recorder.finish((&experiment, &findings.samples), options, (order, file))?;
    Ok(findings.figures)
}

/// On a terminal, and not for a single run.
fn progress_bar(total: usize) -> ProgressBar {
    if total < 2 || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {eta} left") {
        bar.set_style(style);
    }
    bar
}
