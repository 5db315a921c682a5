//! `docs/compliance.md`: each requirement, and which code and which tests say that they are about it.
//!
//! Functions are named, not lines: lines move with every change.

use std::collections::BTreeSet;

use super::{Coverage, Place, Status};

/// Where it lies.
pub(super) const FILE: &str = "docs/compliance.md";

/// How it begins.
pub(super) const HEAD: &str = "\
# What woshou does of the specification

Written by `cargo xtask specs` from the lists in `specs/` and the citations in the sources (`//= rfc9293 MUST-10` above
code, `//= rfc9293 MUST-10 test` above a test); `cargo xtask check` fails where it is not true any more. Do not edit.
";

/// The part about one specification.
pub(super) fn table(coverage: &Coverage<'_>) -> String {
    let list = &coverage.spec.requirement;
    let count = |status| list.iter().filter(|it| it.status == status).count();
    let mut lines = vec![
        format!("\n## {}\n", coverage.spec.spec.to_uppercase()),
        format!(
            "{} requirements: {} done, {} exceptions, {} open.\n",
            list.len(),
            count(Status::Done),
            count(Status::Exception),
            count(Status::Open)
        ),
    ];
    if count(Status::Exception) > 0 {
        lines.push("Exceptions:\n".to_owned());
        for it in list.iter().filter(|it| it.status == Status::Exception) {
            let reason = it.reason.as_deref().unwrap_or_default();
            lines.push(format!("- {} ({}): {}", it.id, it.text, reason));
        }
        lines.push(String::new());
    }
    lines.push("| id | section | what it asks for | status | code | tests |".to_owned());
    lines.push("|---|---|---|---|---|---|".to_owned());
    for it in list {
        let status = match it.status {
            Status::Done => "done",
            Status::Exception => "exception",
            Status::Open => "open",
        };
        lines.push(format!(
            "| {} | {} | {} | {status} | {} | {} |",
            it.id,
            it.section,
            it.text.replace('|', "\\|"),
            links(coverage.code.get(it.id.as_str())),
            links(coverage.tests.get(it.id.as_str())),
        ));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn links(places: Option<&BTreeSet<&Place>>) -> String {
    let links: Vec<String> = places
        .into_iter()
        .flatten()
        .map(|Place { path, item, .. }| {
            let short = path.trim_start_matches("crates/");
            format!("[{short}](../{path}) `{item}`")
        })
        .collect();
    links.join(", ")
}
