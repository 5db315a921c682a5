//! What is said of the results: a JSON object for each cell, and the tables.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Measured, Options, Run, median};

/// Mean lateness of packets from which on a run is no measure: a tenth of the round trip, but no more than this many microseconds.
const TOO_LATE: f64 = 500.0;
/// What is wanted of each cell.
const WANTED: f64 = 0.9;

impl Run {
    /// The emulator kept to its model.
    fn is_timely(&self, round_trip: Duration) -> bool {
        self.late < TOO_LATE.min(round_trip.as_secs_f64() * 1e5)
    }

    fn json(&self, round_trip: Duration) -> String {
        format!(
            "{{\"seed\":{},\"mbps\":{:.3},\"late_us\":{:.0},\"late\":{},\"dropped\":{}}}",
            self.seed,
            self.goodput,
            self.late,
            !self.is_timely(round_trip),
            self.dropped
        )
    }
}

impl Measured {
    /// The seeds that count, where both runs were timely: what woshou reached, and the kernel. Luck differs from seed to seed by more
    /// than woshou from the kernel, so only runs of one seed are compared.
    fn pairs(&self) -> Vec<[f64; 2]> {
        let timely = |run: &&Run| run.is_timely(self.cell.round_trip);
        let ours = self.woshou.iter().filter(timely);
        ours.filter_map(|ours| {
            let mut theirs = self.kernel.iter().filter(timely);
            let theirs = theirs.find(|theirs| theirs.seed == ours.seed)?;
            Some([ours.goodput, theirs.goodput])
        })
        .collect()
    }

    /// The median over the seeds of woshou's goodput over the kernel's; not a number where no seed counts.
    fn ratio(&self) -> f64 {
        let pairs = self.pairs();
        // Where neither got anything through, nothing is compared.
        let moved = pairs.iter().filter(|[ours, theirs]| ours + theirs > 0.0);
        median(moved.map(|[ours, theirs]| ours / theirs))
    }

    fn goodputs(&self) -> [f64; 2] {
        let pairs = self.pairs();
        [0, 1].map(|who| median(pairs.iter().map(|pair| pair[who])))
    }

    /// That of the latest run.
    fn late(&self) -> f64 {
        let runs = self.woshou.iter().chain(&self.kernel);
        runs.map(|run| run.late).fold(0.0, f64::max)
    }

    fn dropped(&self) -> u64 {
        let runs = self.woshou.iter().chain(&self.kernel);
        runs.map(|run| run.dropped).sum()
    }

    /// What is to be known besides: late or failed runs, packets dropped beside the model.
    fn remarks(&self) -> String {
        let runs = self.woshou.iter().chain(&self.kernel);
        let late = runs
            .filter(|run| !run.is_timely(self.cell.round_trip))
            .count();
        let counts = [
            (late as u64, "late"),
            (self.failed.len() as u64, "failed"),
            (self.dropped(), "packets dropped"),
        ];
        let told = counts.iter().filter(|(count, _)| *count > 0);
        told.map(|(count, what)| format!("{count} {what}"))
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn place(&self) -> String {
        let cell = &self.cell;
        format!(
            "{} | {}M | {} ms | {} | {} BDP",
            cell.algorithm,
            cell.rate / 1_000_000,
            cell.round_trip.as_millis(),
            cell.weather,
            cell.queue,
        )
    }

    /// A row of the table of flows that ran at once; median of the shares.
    pub(super) fn share(&self) -> String {
        let ([woshou, kernel], pairs) = (self.goodputs(), self.pairs());
        let share = median(pairs.iter().map(|[ours, theirs]| ours / (ours + theirs)));
        format!(
            "| {} | {woshou:.1} | {kernel:.1} | {:.0} % | {} |",
            self.place(),
            share * 100.0,
            self.remarks()
        )
    }

    pub(super) fn json(&self, role: &str) -> String {
        let [woshou, kernel] = self.goodputs().map(number);
        let cell = &self.cell;
        let runs = |runs: &[Run]| {
            let each = runs.iter().map(|run| run.json(cell.round_trip));
            each.collect::<Vec<_>>().join(",")
        };
        format!(
            "{{\"role\":\"{role}\",\"cc\":\"{}\",\"rate\":{},\"rtt_ms\":{},\"weather\":\"{}\",\"queue_bdp\":{},\
             \"woshou_mbps\":{woshou},\"kernel_mbps\":{kernel},\"ratio\":{},\"late_us\":{:.0},\"dropped\":{},\
             \"woshou\":[{}],\"kernel\":[{}],\"failed\":{:?}}}",
            cell.algorithm,
            cell.rate,
            cell.round_trip.as_millis(),
            cell.weather,
            cell.queue,
            number(self.ratio()),
            self.late(),
            self.dropped(),
            runs(&self.woshou),
            runs(&self.kernel),
            self.failed,
        )
    }
}

/// As JSON has it.
fn number(value: f64) -> String {
    if value.is_finite() {
        format!("{value:.3}")
    } else {
        "null".to_owned()
    }
}

/// The table, the medians, and the worst cells.
pub(super) fn print(mut results: Vec<Measured>, options: &Options) {
    let subject = match options.role.as_str() {
        "receiver" => "woshou receives from the kernel",
        _ => "woshou sends to the kernel",
    };
    println!(
        "## {subject}: goodput over the kernel's in the same place (Mbit/s, medians of {} seeds)\n",
        options.seeds
    );
    let head = "| algorithm | rate | round trip | path | queue | woshou | kernel | ratio | |\n\
                | --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | --- |";
    println!("{head}");
    results.sort_by_key(|r| (r.cell.algorithm.to_string(), r.cell.rate, r.cell.round_trip));
    for result in &results {
        println!("{}", row(result));
        for failure in &result.failed {
            eprintln!("{}: {failure}", result.place());
        }
    }
    println!();
    let total = results.len();
    results.retain(|result| result.ratio().is_finite());
    let measured = results.len();
    summary(&results);
    results.retain(|result| result.ratio() < WANTED);
    results.sort_by(|a, b| a.ratio().total_cmp(&b.ratio()));
    if !results.is_empty() {
        println!("\nBelow {WANTED:.2}, the worst first:\n\n{head}");
    }
    for result in &results {
        println!("{}", row(result));
    }
    println!(
        "\n{} of {total} cells are left out of the medians, since they have no seed whose runs were both timely. The kernel's bbr is \
         version 1, woshou's is 3 (draft-ietf-ccwg-bbr), which yields to losses above 2 %.",
        total - measured
    );
}

fn row(result: &Measured) -> String {
    let [woshou, kernel] = result.goodputs();
    format!(
        "| {} | {woshou:.2} | {kernel:.2} | {:.2} | {} |",
        result.place(),
        result.ratio(),
        result.remarks()
    )
}

/// The median of all, and of each algorithm.
fn summary(results: &[Measured]) {
    let names: BTreeSet<String> = results
        .iter()
        .map(|r| r.cell.algorithm.to_string())
        .collect();
    if results.is_empty() {
        return;
    }
    let groups = [None].into_iter().chain(names.iter().map(Some));
    for group in groups {
        let ratios: Vec<f64> = results
            .iter()
            .filter(|r| group.is_none_or(|name| r.cell.algorithm.to_string() == *name))
            .map(Measured::ratio)
            .collect();
        let low = ratios.iter().filter(|ratio| **ratio < WANTED).count();
        println!(
            "{}: median ratio {:.2} over {} cells, least {:.2}, {low} below {WANTED:.2}",
            group.map_or("all", String::as_str),
            median(ratios.iter().copied()),
            ratios.len(),
            ratios.iter().copied().fold(f64::INFINITY, f64::min),
        );
    }
}
