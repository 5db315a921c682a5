//! `lessons`: each lesson of `docs/lessons.md` names a test, and each test that it names is there.

use std::path::Path;

use anyhow::{Context, Result};

use crate::Report;
use crate::place::place_of;

const FILE: &str = "docs/lessons.md";
/// So many lessons at the least.
const LEAST: usize = 40;

pub(crate) fn check(root: &Path) -> Result<Report> {
    let text = std::fs::read_to_string(root.join(FILE)).context(FILE)?;
    let mut violations = Vec::new();
    let mut lessons = 0_usize;
    for (index, line) in text.lines().enumerate() {
        let Some(number) = line
            .strip_prefix("| ")
            .and_then(|row| row.split(' ').next())
        else {
            continue;
        };
        if number.parse::<usize>().is_err() {
            continue;
        }
        lessons += 1;
        let names: Vec<&str> = named(line).collect();
        let place = format!("{FILE}:{}", index + 1);
        if names.is_empty() {
            violations.push(format!("{place}: names no test"));
        }
        let missing = names.into_iter().filter(|name| !exists(root, name));
        violations.extend(missing.map(|name| format!("{place}: there is no test {name}")));
    }
    if lessons < LEAST {
        violations.push(format!("{FILE}: {lessons} lessons, at least {LEAST}"));
    }
    let text = format!("{lessons} lessons");
    Ok(Report { text, violations })
}

/// What stands between backticks and names a test: `path.rs::name`, or a script.
fn named(line: &str) -> impl Iterator<Item = &str> {
    let quoted = line.split('`').skip(1).step_by(2);
    quoted.filter(|name| name.contains(".rs::") || name.ends_with(".pkt"))
}

fn exists(root: &Path, name: &str) -> bool {
    let Some((path, test)) = name.split_once("::") else {
        return root.join(name).is_file();
    };
    let Ok(text) = std::fs::read_to_string(root.join(path)) else {
        return false;
    };
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().enumerate().any(|(index, line)| {
        let attribute = line.trim().starts_with("#[") && line.trim().ends_with("test]");
        attribute && place_of(path, &lines, index).item == test
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_found_by_name_and_nothing_else_is() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let line = "| 1 | a `b` | `xtask/src/lessons.rs::named`, `x/y.pkt` |";
        assert_eq!(named(line).count(), 2);
        for (name, there) in [
            (
                "xtask/src/lessons.rs::tests_are_found_by_name_and_nothing_else_is",
                true,
            ),
            ("xtask/src/lessons.rs::named", false),
            ("xtask/src/nothing.rs::named", false),
            ("tests/scripts/none.pkt", false),
        ] {
            assert_eq!(exists(root, name), there, "{name}");
        }
    }
}
