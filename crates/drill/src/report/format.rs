//! Reports as text, as JSON and as JUnit's XML.

use core::fmt::Write as _;

use serde::Serialize;
use woshou_trace::ladder;

use super::{FieldPair, Report, Status, Totals};

impl Report {
    /// One line: status, script, and why.
    #[must_use]
    pub fn line_text(&self) -> String {
        let mut text = format!("{:<11} {}", self.status.name(), self.script);
        if self.variant != "ipv4" {
            let _ = write!(text, " [{}]", self.variant);
        }
        if let (Some(line), true) = (self.line, self.status != Status::Pass) {
            let _ = write!(text, ":{line}");
        }
        if !self.message.is_empty() {
            let _ = write!(text, ": {}", self.message);
        }
        if !self.lenient.is_empty() {
            let _ = write!(text, " (lenient: {})", self.lenient_names().join(", "));
        }
        text
    }

    /// What went wrong at length: the script's line, expected beside got, and the ladder so far when `with_ladder`.
    #[must_use]
    pub fn detail_text(&self, with_ladder: bool) -> String {
        let mut text = String::new();
        if let (Some(line), false) = (self.line, self.source.is_empty()) {
            for (index, source) in self.source.lines().take(8).enumerate() {
                let number = line.saturating_add(u32::try_from(index).unwrap_or(0));
                let _ = writeln!(text, "  {number:>5} | {}", source.trim_end());
            }
        }
        if !self.fields.is_empty() {
            text.push_str(&table(&self.fields));
        }
        if !self.output.is_empty() {
            let _ = writeln!(text, "  printed:");
            for line in self.output.lines() {
                let _ = writeln!(text, "    {line}");
            }
        }
        if let (Some(timeline), true) = (&self.timeline, with_ladder) {
            text.push_str(&ladder::text(timeline, &ladder::Options::default()));
            if self.status != Status::Pass {
                let line = self
                    .line
                    .map_or_else(String::new, |line| format!(" line {line}:"));
                let _ = writeln!(text, ">>>{line} {}", self.message);
                for source in self.source.lines().take(8) {
                    let _ = writeln!(text, ">>> {}", source.trim_end());
                }
            }
        }
        text
    }

    /// One JSON object, without a line's end.
    #[must_use]
    pub fn json(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            script: &'a str,
            variant: &'a str,
            status: &'a str,
            line: Option<u32>,
            message: &'a str,
            lenient: Vec<&'static str>,
        }
        let line = Line {
            script: &self.script,
            variant: &self.variant,
            status: self.status.name(),
            line: self.line,
            message: &self.message,
            lenient: self.lenient_names(),
        };
        // Strings and numbers can always be written.
        serde_json::to_string(&line).unwrap_or_default()
    }

    fn lenient_names(&self) -> Vec<&'static str> {
        self.lenient
            .iter()
            .map(|leniency| leniency.name())
            .collect()
    }
}

/// Expected beside got; what differs is marked.
fn table(fields: &[FieldPair]) -> String {
    let width = |cells: &mut dyn Iterator<Item = &str>, least: usize| {
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
            .max(least)
    };
    let names = width(&mut fields.iter().map(|f| f.name), 5);
    let expected = width(&mut fields.iter().map(|f| f.expected.as_str()), 8).min(60);
    let mut text = format!("    {:<names$}  {:<expected$}  got\n", "field", "expected");
    for field in fields {
        let mark = if field.agree { ' ' } else { '!' };
        let _ = writeln!(
            text,
            "  {mark} {:<names$}  {:<expected$}  {}",
            field.name, field.expected, field.got
        );
    }
    text
}

/// All reports as a JUnit test suite.
#[must_use]
pub fn junit(reports: &[Report]) -> String {
    let mut totals = Totals::default();
    reports.iter().for_each(|report| totals.add(report));
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        xml,
        "<testsuite name=\"woshou drill\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">",
        reports.len(),
        totals.fail,
        totals.error,
        totals.unsupported,
    );
    for report in reports {
        let name = format!("{} [{}]", report.script, report.variant);
        let _ = write!(xml, "  <testcase name=\"{}\"", escape(&name));
        let message = match report.line {
            Some(line) => format!("line {line}: {}", report.message),
            None => report.message.clone(),
        };
        let element = match report.status {
            Status::Pass => {
                xml.push_str("/>\n");
                continue;
            }
            Status::Fail => "failure",
            Status::Unsupported => "skipped",
            Status::Error => "error",
        };
        let _ = writeln!(xml, ">");
        let _ = writeln!(
            xml,
            "    <{element} message=\"{}\">{}</{element}>",
            escape(&message),
            escape(&report.detail_text(false)),
        );
        xml.push_str("  </testcase>\n");
    }
    xml.push_str("</testsuite>\n");
    xml
}

/// Without what XML cannot hold.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
