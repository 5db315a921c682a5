//! `specs`: which requirement has code and a test that cite it.
//!
//! `specs/<spec>.toml` lists the requirements; the sources cite them in comments of their own:
//! `//= rfc9293 MUST-10` above code, `//= rfc9293 MUST-10 test` above a test; several labels may follow each other.
//! A specification without a list is cited by section: `//= rfc6298 2.3`.
//!
//! `cargo xtask specs` writes what it finds to `docs/compliance.md`; `cargo xtask check` only compares.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::Report;
use crate::place::{Place, place_of};
use crate::source::{Source, rust_files};

mod compliance;

/// Most requirements that may be exceptions.
const MAX_EXCEPTIONS: usize = 6;

/// `specs/<spec>.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    spec: String,
    /// How many may be open: a number that only goes down. Without it none may.
    #[serde(default)]
    open_at_most: usize,
    requirement: Vec<Requirement>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirement {
    id: String,
    section: String,
    text: String,
    status: Status,
    /// Why it is an exception.
    reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    /// Not finished.
    Open,
    /// Code and a test cite it.
    Done,
    /// We do not do it.
    Exception,
}

/// A comment that cites a specification.
#[derive(Debug, PartialEq, Eq)]
struct Citation {
    /// File and line.
    line: String,
    place: Place,
    spec: String,
    labels: Vec<String>,
    is_test: bool,
}

/// Checks the citations, and that `docs/compliance.md` says what they say.
pub(crate) fn check(root: &Path) -> Result<Report> {
    let (mut report, table) = run(root)?;
    let file = root.join(compliance::FILE);
    if std::fs::read_to_string(&file).ok().as_ref() != Some(&table) {
        report.violations.push(format!(
            "{}: stale; `cargo xtask specs` writes it",
            compliance::FILE
        ));
    }
    Ok(report)
}

/// Checks the citations and writes `docs/compliance.md`.
pub(crate) fn write(root: &Path) -> Result<Report> {
    let (report, table) = run(root)?;
    std::fs::write(root.join(compliance::FILE), table).context(compliance::FILE)?;
    Ok(report)
}

fn run(root: &Path) -> Result<(Report, String)> {
    let specs = read_specs(root)?;
    let mut violations = Vec::new();
    let mut citations = Vec::new();
    for source in rust_files(root, &["crates", "tests"])? {
        for (line, found) in citations_in(&source) {
            match found {
                Ok(citation) => citations.push(citation),
                Err(what) => violations.push(format!("{}:{line}: {what}", source.path)),
            }
        }
    }
    let mut text = String::new();
    let mut table = compliance::HEAD.to_owned();
    for spec in &specs {
        violations.extend(check_list(spec));
        let coverage = Coverage::of(spec, &citations);
        violations.extend(coverage.violations());
        text.push_str(&coverage.to_string());
        table.push_str(&compliance::table(&coverage));
    }
    violations.extend(unknown_labels(&specs, &citations));
    violations.extend(citations.iter().filter_map(misplaced));
    Ok((Report { text, violations }, table))
}

/// What is wrong with where a citation stands.
fn misplaced(citation: &Citation) -> Option<String> {
    let Citation { line, place, .. } = citation;
    if citation.is_test && !place.is_test {
        Some(format!("{line}: a test citation that is not above a test"))
    } else if !citation.is_test && place.is_test {
        Some(format!("{line}: a test is cited as code"))
    } else if !citation.is_test && place.item.is_empty() {
        Some(format!("{line}: a citation that belongs to no item"))
    } else {
        None
    }
}

fn read_specs(root: &Path) -> Result<Vec<Spec>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(root.join("specs")).context("listing specs/")? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            paths.push(path);
        }
    }
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path)?;
            toml::from_str(&text).with_context(|| format!("reading {}", path.display()))
        })
        .collect()
}

/// The citations of a file, with their lines; `Err` for a comment that tries to be one.
fn citations_in(source: &Source) -> Vec<(usize, Result<Citation, String>)> {
    let lines: Vec<&str> = source.text.lines().collect();
    lines
        .iter()
        .enumerate()
        .filter_map(|(index, line)| {
            let rest = line.trim_start().strip_prefix("//=")?;
            let line = format!("{}:{}", source.path, index + 1);
            let place = place_of(&source.path, &lines, index);
            Some((index + 1, citation(rest, line, place)))
        })
        .collect()
}

/// Reads what follows `//=`.
fn citation(text: &str, line: String, place: Place) -> Result<Citation, String> {
    let mut words = text.split([' ', ',']).filter(|word| !word.is_empty());
    let spec = words
        .next()
        .ok_or("citation without a specification")?
        .to_owned();
    let mut labels: Vec<String> = words.map(str::to_owned).collect();
    let is_test = labels.last().is_some_and(|last| last == "test");
    if is_test {
        labels.pop();
    }
    if labels.is_empty() {
        return Err(format!("citation of {spec} without a label"));
    }
    Ok(Citation {
        line,
        place,
        spec,
        labels,
        is_test,
    })
}

/// What is wrong with the list itself.
fn check_list(spec: &Spec) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut violations = Vec::new();
    for requirement in &spec.requirement {
        let Requirement {
            id, status, reason, ..
        } = requirement;
        let has_reason = reason
            .as_ref()
            .is_some_and(|reason| !reason.trim().is_empty());
        let mut complain = |what: &str| {
            violations.push(format!("specs/{}.toml: {id} {what}", spec.spec));
        };
        if !seen.insert(id) {
            complain("is listed twice");
        }
        if *status == Status::Exception && !has_reason {
            complain("is an exception without a reason");
        }
        if *status != Status::Exception && reason.is_some() {
            complain("has a reason but is no exception");
        }
    }
    let with = |wanted| {
        let all = spec.requirement.iter();
        all.filter(|it| it.status == wanted).count()
    };
    for (what, count, most) in [
        ("open", with(Status::Open), spec.open_at_most),
        ("exceptions", with(Status::Exception), MAX_EXCEPTIONS),
    ] {
        if count > most {
            let name = &spec.spec;
            violations.push(format!("specs/{name}.toml: {count} {what}, at most {most}"));
        }
    }
    violations
}

/// Labels that no list knows, and words that are no section of a specification without a list.
fn unknown_labels(specs: &[Spec], citations: &[Citation]) -> Vec<String> {
    let mut violations = Vec::new();
    for citation in citations {
        let list = specs.iter().find(|spec| spec.spec == citation.spec);
        for label in &citation.labels {
            let known = match list {
                Some(list) => list.requirement.iter().any(|it| it.id == *label),
                None => {
                    citation.spec.starts_with("rfc")
                        && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
                        && label.starts_with(|c: char| c.is_ascii_digit() || c.is_ascii_uppercase())
                }
            };
            if !known {
                violations.push(format!(
                    "{}: {} has no requirement {label}",
                    citation.line, citation.spec
                ));
            }
        }
    }
    violations
}

/// The requirements of a specification, each with where it is cited.
struct Coverage<'a> {
    spec: &'a Spec,
    code: BTreeMap<&'a str, BTreeSet<&'a Place>>,
    tests: BTreeMap<&'a str, BTreeSet<&'a Place>>,
}

impl<'a> Coverage<'a> {
    fn of(spec: &'a Spec, citations: &'a [Citation]) -> Self {
        let mut coverage = Self {
            spec,
            code: BTreeMap::new(),
            tests: BTreeMap::new(),
        };
        for citation in citations
            .iter()
            .filter(|citation| citation.spec == spec.spec)
        {
            let places = if citation.is_test {
                &mut coverage.tests
            } else {
                &mut coverage.code
            };
            for label in &citation.labels {
                places.entry(label).or_default().insert(&citation.place);
            }
        }
        coverage
    }

    fn has_code(&self, requirement: &Requirement) -> bool {
        self.code.contains_key(requirement.id.as_str())
    }

    fn has_test(&self, requirement: &Requirement) -> bool {
        self.tests.contains_key(requirement.id.as_str())
    }

    /// What is called done and is not.
    fn violations(&self) -> Vec<String> {
        let mut violations = Vec::new();
        for requirement in self
            .spec
            .requirement
            .iter()
            .filter(|it| it.status == Status::Done)
        {
            let place = format!("specs/{}.toml: {} is done", self.spec.spec, requirement.id);
            if !self.has_code(requirement) {
                violations.push(format!("{place} but no code cites it"));
            }
            if !self.has_test(requirement) {
                violations.push(format!("{place} but no test cites it"));
            }
        }
        violations
    }
}

/// A line for each requirement that is not done, then the sums.
impl fmt::Display for Coverage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts = BTreeMap::new();
        let mut lines = String::new();
        for requirement in &self.spec.requirement {
            let what = match (
                requirement.status,
                self.has_code(requirement),
                self.has_test(requirement),
            ) {
                (Status::Exception, ..) => "exception",
                (Status::Done, ..) => "done",
                (Status::Open, true, true) => "open, cited by both",
                (Status::Open, true, false) => "open, lacks a test",
                (Status::Open, false, true) => "open, lacks code",
                (Status::Open, false, false) => "open, lacks both",
            };
            *counts.entry(what).or_insert(0_usize) += 1;
            if requirement.status != Status::Done {
                let Requirement {
                    id,
                    section,
                    text,
                    reason,
                    ..
                } = requirement;
                let text = reason.as_ref().unwrap_or(text);
                writeln!(lines, "{id:<8} {section:<10} {what:<20} {text}")?;
            }
        }
        write!(
            f,
            "{lines}{}: {} requirements",
            self.spec.spec,
            self.spec.requirement.len()
        )?;
        for (what, count) in counts {
            write!(f, "; {count} {what}")?;
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> Spec {
        toml::from_str(text).unwrap()
    }

    fn nowhere() -> Place {
        place_of("a.rs", &[], 0)
    }

    fn one(status: &str) -> Spec {
        spec(&format!(
            "spec = \"rfc1\"\nopen_at_most = 1\n[[requirement]]\nid = \"MUST-1\"\nsection = \"3.1\"\ntext = \"a\"\nstatus = \"{status}\"\n"
        ))
    }

    fn cited(text: &str) -> Vec<Citation> {
        let source = Source {
            path: "a.rs".to_owned(),
            text: text.to_owned(),
        };
        citations_in(&source)
            .into_iter()
            .map(|(_, it)| it.unwrap())
            .collect()
    }

    #[test]
    fn citations() {
        for (text, labels, is_test) in [
            (" rfc9293 MUST-10", "MUST-10", false),
            (" rfc9293 MUST-10 test", "MUST-10", true),
            (" rfc9293 MUST-10, MUST-11 test", "MUST-10 MUST-11", true),
            (" rfc6298 2.3", "2.3", false),
        ] {
            let found = citation(text, String::new(), nowhere()).unwrap();
            assert_eq!(
                (found.labels.join(" ").as_str(), found.is_test),
                (labels, is_test),
                "{text}"
            );
        }
        for text in ["", " rfc9293", " rfc9293 test"] {
            assert!(citation(text, String::new(), nowhere()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_citation_is_a_comment_of_its_own() {
        let text = "//= rfc1 MUST-1\nlet a = \"//= rfc1 MUST-2\"; //= rfc1 MUST-3\n    //= rfc1 MUST-4 test\n";
        let found = cited(text);
        assert_eq!(found.len(), 2);
        assert_eq!((found[1].line.as_str(), found[1].is_test), ("a.rs:3", true));
    }

    #[test]
    fn done_needs_both() {
        let code = "//= rfc1 MUST-1\n";
        let test = "//= rfc1 MUST-1 test\n";
        let other = "//= rfc2 1\n";
        let cases = [
            ("done", format!("{code}{test}"), 0),
            ("done", code.to_owned(), 1),
            ("done", test.to_owned(), 1),
            ("done", other.to_owned(), 2),
            ("open", other.to_owned(), 0),
        ];
        for (status, text, wanted) in cases {
            let spec = one(status);
            let citations = cited(&text);
            let found = Coverage::of(&spec, &citations).violations();
            assert_eq!(found.len(), wanted, "{status} {text:?}: {found:?}");
        }
    }

    #[test]
    fn labels_are_known() {
        let specs = [one("open")];
        for (text, fine) in [
            ("//= rfc1 MUST-1", true),
            ("//= rfc1 MUST-9", false),
            ("//= rfc2 3.10.7.4", true),
            ("//= rfc2 MUST-1", false),
            ("//= rcf2 3.1", false),
        ] {
            assert_eq!(
                unknown_labels(&specs, &cited(text)).is_empty(),
                fine,
                "{text}"
            );
        }
    }

    #[test]
    fn lists() {
        assert_eq!(check_list(&one("exception")).len(), 1);
        assert!(check_list(&one("open")).is_empty());
        let mut twice = one("open");
        twice.requirement.extend(one("open").requirement);
        assert_eq!(
            check_list(&twice).len(),
            2,
            "listed twice, and one too many"
        );
    }

    #[test]
    fn few_exceptions_and_open_ones() {
        let mut list = one("open");
        list.open_at_most = 0;
        assert_eq!(check_list(&list).len(), 1);
        list.requirement.clear();
        for number in 0..=MAX_EXCEPTIONS {
            assert!(check_list(&list).is_empty(), "{number}");
            list.requirement.push(Requirement {
                id: format!("MUST-{number}"),
                section: "1".to_owned(),
                text: "a".to_owned(),
                status: Status::Exception,
                reason: Some("historic".to_owned()),
            });
        }
        assert_eq!(check_list(&list).len(), 1);
    }

    #[test]
    fn citations_stand_where_they_belong() {
        for (text, fine) in [
            ("//= rfc1 MUST-1\nfn a() {}\n", true),
            ("//= rfc1 MUST-1 test\nfn a() {}\n", false),
            ("//= rfc1 MUST-1 test\n#[test]\nfn a() {}\n", true),
            ("#[test]\nfn a() {\n    //= rfc1 MUST-1\n}\n", false),
            ("//= rfc1 MUST-1\n", false),
        ] {
            let found = cited(text);
            assert_eq!(misplaced(&found[0]).is_none(), fine, "{text}");
        }
    }

    #[test]
    fn the_table_names_places_without_lines() {
        let list = one("done");
        let citations =
            cited("//= rfc1 MUST-1\nfn a() {}\n//= rfc1 MUST-1 test\n#[test]\nfn b() {}\n");
        let table = compliance::table(&Coverage::of(&list, &citations));
        assert!(
            table.contains("1 requirements: 1 done, 0 exceptions, 0 open."),
            "{table}"
        );
        assert!(
            table.contains(
                "| MUST-1 | 3.1 | a | done | [a.rs](../a.rs) `a` | [a.rs](../a.rs) `b` |"
            ),
            "{table}"
        );
    }

    #[test]
    fn rfc_9293_is_complete() {
        let specs = read_specs(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))).unwrap();
        let list = specs.iter().find(|spec| spec.spec == "rfc9293").unwrap();
        for (kind, count) in [
            ("MUST", 69),
            ("SHLD", 31),
            ("MAY", 18),
            ("REC", 1),
            ("X", 8),
        ] {
            let ids: BTreeSet<_> = list.requirement.iter().map(|it| it.id.as_str()).collect();
            for number in 1..=count {
                assert!(
                    ids.contains(format!("{kind}-{number}").as_str()),
                    "{kind}-{number}"
                );
            }
        }
        assert_eq!(list.requirement.len(), 127);
    }
}
