//! Medians and ratios, as a Markdown table.

use std::fmt;

/// One thing that was measured for two stacks.
pub(crate) struct Row {
    name: String,
    /// A figure a round.
    pub(crate) ours: Vec<f64>,
    /// A figure a round, from the same rounds.
    pub(crate) theirs: Vec<f64>,
}

impl Row {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ours: Vec::new(),
            theirs: Vec::new(),
        }
    }
}

/// A table with the medians of two stacks.
pub(crate) struct Table {
    title: &'static str,
    ours: &'static str,
    theirs: &'static str,
    pub(crate) rows: Vec<Row>,
}

impl Table {
    pub(crate) fn new(title: &'static str, ours: &'static str, theirs: &'static str) -> Self {
        Self {
            title,
            ours,
            theirs,
            rows: Vec::new(),
        }
    }
}

/// The least, the middle and the largest of `values`; NaN when there are none.
fn spread(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    let last = sorted.len().saturating_sub(1);
    let median = (at(last / 2) + at(sorted.len() / 2)) / 2.0;
    [at(0), median, at(last)]
}

/// Three significant figures, thousands as `k`.
fn figure(value: f64) -> String {
    if value >= 100_000.0 {
        format!("{:.0}k", value / 1e3)
    } else if value >= 1_000.0 {
        format!("{:.1}k", value / 1e3)
    } else if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

fn cell(values: &[f64]) -> String {
    let [least, median, most] = spread(values);
    format!("{} ({}-{})", figure(median), figure(least), figure(most))
}

/// "median (least-most)" for each stack, and the ratio of the medians.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounds = self.rows.first().map_or(0, |row| row.ours.len());
        writeln!(
            f,
            "\n{}: median (least-most) of {rounds} interleaved rounds.\n",
            self.title
        )?;
        writeln!(f, "| | {} | {} | ratio |", self.ours, self.theirs)?;
        writeln!(f, "|---|---:|---:|---:|")?;
        for row in &self.rows {
            let ratio = spread(&row.ours)[1] / spread(&row.theirs)[1];
            writeln!(
                f,
                "| {} | {} | {} | {ratio:.2} |",
                row.name,
                cell(&row.ours),
                cell(&row.theirs)
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(spread(&[3.0, 1.0, 2.0]), [1.0, 2.0, 3.0]);
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]), [1.0, 2.5, 4.0]);
        assert!(spread(&[])[1].is_nan());
    }

    #[test]
    fn figures() {
        for (value, text) in [
            (1.234, "1.23"),
            (12.34, "12.3"),
            (123.4, "123"),
            (1234.5, "1.2k"),
            (123_456.0, "123k"),
        ] {
            assert_eq!(figure(value), text);
        }
    }

    #[test]
    fn markdown() {
        let mut table = Table::new("Speed", "a", "b");
        table.rows.push(Row {
            name: "x".to_owned(),
            ours: vec![2.0, 4.0, 3.0],
            theirs: vec![1.0, 2.0, 1.5],
        });
        let text = table.to_string();
        assert!(
            text.contains("median (least-most) of 3 interleaved rounds"),
            "{text}"
        );
        assert!(
            text.ends_with("| x | 3.00 (2.00-4.00) | 1.50 (1.00-2.00) | 2.00 |\n"),
            "{text}"
        );
    }
}
