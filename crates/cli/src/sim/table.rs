//! The table: a row a cell, the median over its seeds.

use std::fmt::Write as _;
use std::time::Duration;

use woshou_sim::Figures;

use super::keys::Cell;
use super::plan::Plan;

/// A column: its heading, and each run's value for it.
struct Column {
    heading: &'static str,
    /// Digits after the point.
    digits: usize,
    /// Whether the least and the most stand beside the median.
    spread: bool,
    value: fn(&Cell, &Figures) -> f64,
}

const fn column(
    heading: &'static str,
    (digits, spread): (usize, bool),
    value: fn(&Cell, &Figures) -> f64,
) -> Column {
    Column {
        heading,
        digits,
        spread,
        value,
    }
}

/// What every table has.
const ALWAYS: [Column; 8] = [
    column("goodput Mbit/s", (2, true), |cell, found| {
        cell.goodput(found) / 1e6
    }),
    column("% of link", (1, false), of_link),
    column("retrans %", (3, true), |_, found| {
        percent(sum(found, |flow| flow.retransmitted_segments), found)
    }),
    column("spurious %", (3, false), |_, found| {
        percent(sum(found, |flow| flow.spurious_segments), found)
    }),
    column("RTOs", (0, false), |_, found| {
        float(
            found
                .flows
                .iter()
                .map(|flow| u64::from(flow.timeouts))
                .sum(),
        )
    }),
    column("queue ms", (2, false), |_, found| {
        millis(found.bottleneck.mean_delay)
    }),
    column("p95 ms", (2, false), |_, found| {
        millis(found.bottleneck.p95_delay)
    }),
    column("RTT ms", (2, false), |_, found| {
        let sum: f64 = found
            .flows
            .iter()
            .map(|flow| millis(flow.smoothed_round_trip))
            .sum();
        sum / found.flows.len().max(1) as f64
    }),
];
/// Where flows compete.
const FAIRNESS: Column = column("Jain", (3, true), |_, found| found.jain);
/// Where flows end: when the last one did.
const FINISH: Column = column("done s", (3, true), |cell, found| {
    let ends = found
        .flows
        .iter()
        .map(|flow| flow.finished_at.unwrap_or(cell.lasts()));
    ends.max().unwrap_or_default().as_secs_f64()
});
const MARKS: Column = column("marked %", (3, false), |_, found| {
    let marked = float(found.bottleneck.marked);
    100.0 * marked / float(found.bottleneck.packets.max(1))
});

/// The lines above the table, the table, and what has to be said beneath it.
pub(super) fn text(plan: &Plan, found: &[Vec<Figures>]) -> String {
    let mut columns: Vec<&Column> = ALWAYS.iter().collect();
    if plan.cells.iter().any(|cell| cell.flows > 1) {
        columns.push(&FAIRNESS);
    }
    if plan
        .cells
        .iter()
        .any(|cell| cell.mark.is_some() || cell.ecn)
    {
        columns.push(&MARKS);
    }
    if plan.cells.iter().any(|cell| cell.bytes.is_some()) {
        columns.push(&FINISH);
    }
    let mixed = plan.cells.iter().any(Cell::is_mixed);
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut head: Vec<String> = plan.axes.iter().map(|&axis| axis.to_owned()).collect();
    head.extend(columns.iter().map(|column| column.heading.to_owned()));
    if mixed {
        head.push("shares".to_owned());
    }
    rows.push(head);
    for (cell, runs) in plan.cells.iter().zip(found) {
        let mut row: Vec<String> = plan.axes.iter().map(|axis| given(cell, axis)).collect();
        row.extend(columns.iter().map(|column| column.text(cell, runs)));
        if mixed {
            row.push(shares(cell, runs));
        }
        rows.push(row);
    }
    format!(
        "{}\n\n{}{}",
        heading(plan),
        aligned(&rows, plan.axes.len()),
        remarks(plan, found)
    )
}

/// What all cells have in common.
pub(super) fn heading(plan: &Plan) -> String {
    let Some(cell) = plan.cells.first() else {
        return String::new();
    };
    let mut parts = Vec::new();
    for name in ["rate", "rtt", "queue"] {
        if !plan.axes.contains(&name) {
            parts.push(format!("{name} {}", given(cell, name)));
        }
    }
    for (name, text) in &cell.given {
        let said = ["rate", "rtt", "queue", "duration", "flows", "cc"].contains(name);
        if !said && !plan.axes.contains(name) {
            parts.push(format!("{name} {text}"));
        }
    }
    for name in ["cc", "flows", "duration"] {
        if !plan.axes.contains(&name) {
            parts.push(format!("{name} {}", given(cell, name)));
        }
    }
    let (first, last) = (plan.order.seed, plan.order.seed + plan.order.seeds - 1);
    parts.push(if first == last {
        format!("seed {first}")
    } else {
        format!("seeds {first} to {last}")
    });
    parts.join(" · ")
}

/// The value of a key as it was written, or what holds without.
pub(super) fn given(cell: &Cell, name: &str) -> String {
    let said = cell.given.iter().find(|(key, _)| *key == name);
    match (said, name) {
        (Some((_, text)), _) => text.clone(),
        (None, "rate") => "100M".to_owned(),
        (None, "rtt") => "20ms".to_owned(),
        (None, "queue") => "1bdp".to_owned(),
        (None, "flows") => "1".to_owned(),
        (None, "cc") => cell.algorithm(0).to_string(),
        (None, "duration") => format!("{}s", cell.lasts().as_secs_f64()),
        (None, _) => String::new(),
    }
}

impl Column {
    fn text(&self, cell: &Cell, runs: &[Figures]) -> String {
        let values = sorted(runs.iter().map(|found| (self.value)(cell, found)));
        let digits = self.digits;
        let median = median(&values);
        match (values.first(), values.last()) {
            (Some(least), Some(most)) if self.spread && values.len() > 1 => {
                format!("{median:.digits$} ({least:.digits$}..{most:.digits$})")
            }
            _ => format!("{median:.digits$}"),
        }
    }
}

/// The share of each algorithm in the goodput, the median over the seeds.
fn shares(cell: &Cell, runs: &[Figures]) -> String {
    let mut parts = Vec::new();
    for &algorithm in &cell.algorithms {
        let share = |found: &Figures| {
            let own = found.flows.iter().enumerate();
            let own = own.filter(|(number, _)| cell.algorithm(*number) == algorithm);
            let own: f64 = own.map(|(_, flow)| flow.goodput).sum();
            100.0 * own / found.goodput.max(1.0)
        };
        let part = median(&sorted(runs.iter().map(share)));
        let part = format!("{algorithm} {part:.0} %");
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    parts.join(", ")
}

/// What the numbers do not show.
fn remarks(plan: &Plan, found: &[Vec<Figures>]) -> String {
    let mut text = String::new();
    let flows = || found.iter().flatten().flat_map(|found| &found.flows);
    let broken = flows().filter(|flow| flow.broken).count();
    if broken > 0 {
        let _ = writeln!(text, "\n{broken} connections broke, or never came to be.");
    }
    let unfinished = plan.cells.iter().zip(found);
    let unfinished = unfinished.filter(|(cell, _)| cell.bytes.is_some());
    let unfinished = unfinished
        .flat_map(|(_, runs)| runs.iter().flat_map(|found| &found.flows))
        .filter(|flow| flow.finished_at.is_none())
        .count();
    if unfinished > 0 {
        let _ = writeln!(text, "\n{unfinished} flows did not end in time.");
    }
    text
}

/// Columns side by side: the first `left` to the left, numbers by their beginnings to the right.
fn aligned(rows: &[Vec<String>], left: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            if column > 0 {
                line.push_str("  ");
            }
            if column < left {
                let _ = write!(line, "{cell:<width$}");
            } else {
                let _ = write!(line, "{cell:>width$}");
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn of_link(cell: &Cell, found: &Figures) -> f64 {
    100.0 * cell.goodput(found) / float(cell.rate)
}

fn sum(found: &Figures, part: fn(&woshou_sim::experiment::FlowFigures) -> u64) -> u64 {
    found.flows.iter().map(part).sum()
}

/// Of all segments with text; none of none.
fn percent(part: u64, found: &Figures) -> f64 {
    match sum(found, |flow| flow.segments) {
        0 => 0.0,
        all => 100.0 * float(part) / float(all),
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Of sorted values; of an even number, the mean of the two in the middle.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.get(middle.wrapping_sub(1))) {
        (Some(&high), Some(&low)) if sorted.len().is_multiple_of(2) => low.midpoint(high),
        (Some(&only), _) => only,
        (None, _) => 0.0,
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The nearest double.
fn float(n: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "fit to be read")]
    let float = n as f64;
    float
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        for (values, middle) in [
            (&[][..], 0.0),
            (&[3.0], 3.0),
            (&[1.0, 4.0], 2.5),
            (&[1.0, 2.0, 9.0], 2.0),
            (&[1.0, 2.0, 3.0, 9.0], 2.5),
        ] {
            assert!((median(values) - middle).abs() < 1e-12, "{values:?}");
        }
    }

    #[test]
    fn columns_line_up() {
        let row = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect();
        let rows = [row(&["cc", "goodput"]), row(&["newreno", "9.5"])];
        assert_eq!(aligned(&rows, 1), "cc       goodput\nnewreno      9.5\n");
    }
}
