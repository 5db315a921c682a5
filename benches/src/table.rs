//! Medians and ratios, as a Markdown table.

use std::fmt::Write as _;

/// What a row wants.
#[derive(Clone, Copy)]
pub(crate) enum Wanted {
    /// Of the ratio to the other column, at least.
    AtLeast(f64),
    /// Of the ratio to the other column, at most.
    AtMost(f64),
    /// Of woshou's own figure, at most.
    Below(f64),
    /// Shown for what it is.
    Report,
}

/// One comparison: a figure a round for each side.
pub(crate) struct Line {
    /// What was done.
    pub(crate) work: String,
    /// Of both columns.
    pub(crate) unit: &'static str,
    /// woshou's figures, one a round.
    pub(crate) ours: Vec<f64>,
    /// Beside whom.
    pub(crate) peer: String,
    /// The peer's figures from the same rounds; empty where there is no peer.
    pub(crate) theirs: Vec<f64>,
    /// What the issue asks for.
    pub(crate) wanted: Wanted,
}

impl Line {
    /// The median over the rounds of the ratio of woshou's figure to the peer's in the same round.
    fn ratio(&self) -> Option<f64> {
        let ratios: Vec<f64> = self
            .ours
            .iter()
            .zip(&self.theirs)
            .map(|(ours, theirs)| ours / theirs)
            .collect();
        (!ratios.is_empty()).then(|| spread(&ratios)[1])
    }

    fn wanted(&self) -> String {
        match self.wanted {
            Wanted::AtLeast(ratio) => format!("≥ {ratio:.2} ×"),
            Wanted::AtMost(ratio) => format!("≤ {ratio:.2} ×"),
            Wanted::Below(most) => format!("≤ {} {}", figure(most), self.unit),
            Wanted::Report => String::new(),
        }
    }

    /// Whether it is what the issue asks for; nothing where nothing is asked.
    fn verdict(&self) -> &'static str {
        let ratio = self.ratio().unwrap_or(f64::NAN);
        let met = match self.wanted {
            Wanted::AtLeast(least) => ratio >= least,
            Wanted::AtMost(most) => ratio <= most,
            // Of a limit, no round may stand above it.
            Wanted::Below(most) => spread(&self.ours)[2] <= most,
            Wanted::Report => return "",
        };
        if met { "met" } else { "short" }
    }
}

/// The first lines of the table.
pub(crate) const HEAD: &str = "| # | work | unit | woshou | beside | its figure | ratio | wanted | |\n\
     |---|---|---|---:|---|---:|---:|---:|---|\n";

/// The table's line of `line`, which belongs to row `number`.
pub(crate) fn markdown(number: u8, line: &Line) -> String {
    let ratio = line
        .ratio()
        .map_or_else(String::new, |ratio| format!("{ratio:.2}"));
    let mut text = format!(
        "| {number} | {} | {} | {} | ",
        line.work,
        line.unit,
        cell(&line.ours)
    );
    let theirs = if line.theirs.is_empty() {
        String::new()
    } else {
        cell(&line.theirs)
    };
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{} | {theirs} | {ratio} | {} | {} |",
        line.peer,
        line.wanted(),
        line.verdict()
    );
    text
}

/// The least, the middle and the largest of `values`; NaN when there are none.
pub(crate) fn spread(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    let last = sorted.len().saturating_sub(1);
    let median = (at(last / 2) + at(sorted.len() / 2)) / 2.0;
    [at(0), median, at(last)]
}

/// Three significant figures, many thousands as `k`.
pub(crate) fn figure(value: f64) -> String {
    if value >= 100_000.0 {
        format!("{:.0}k", value / 1e3)
    } else if value >= 10_000.0 {
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
    if values.len() == 1 {
        return figure(median);
    }
    format!("{} ({}-{})", figure(median), figure(least), figure(most))
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
            (1023.6, "1024"),
            (12_345.0, "12.3k"),
            (123_456.0, "123k"),
        ] {
            assert_eq!(figure(value), text);
        }
    }

    fn line(wanted: Wanted) -> Line {
        Line {
            work: "x".to_owned(),
            unit: "u",
            ours: vec![2.0, 4.0, 3.0],
            peer: "them".to_owned(),
            theirs: vec![1.0, 2.0, 1.0],
            wanted,
        }
    }

    #[test]
    fn lines() {
        assert_eq!(
            markdown(3, &line(Wanted::AtLeast(1.5))),
            "| 3 | x | u | 3.00 (2.00-4.00) | them | 1.00 (1.00-2.00) | 2.00 | ≥ 1.50 × | met |\n"
        );
        for (wanted, verdict) in [
            (Wanted::AtLeast(2.0), "met"),
            (Wanted::AtLeast(2.01), "short"),
            (Wanted::AtMost(2.0), "met"),
            (Wanted::AtMost(1.99), "short"),
            (Wanted::Below(4.0), "met"),
            (Wanted::Below(3.9), "short"),
            (Wanted::Report, ""),
        ] {
            assert_eq!(line(wanted).verdict(), verdict);
        }
    }
}
