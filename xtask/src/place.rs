//! Where a comment stands: in or above which item of its file.
//!
//! By text, not by syntax tree: a comment is no token, and tests also lie inside of `proptest!`.

/// The item that a comment belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Path of the file.
    pub(crate) path: String,
    /// Name of the function, type or constant; empty where there is none.
    pub(crate) item: String,
    /// Whether it is a function that the test runner runs.
    pub(crate) is_test: bool,
}

/// Words that begin an item, after `pub`, `const fn` and the like.
const ITEMS: [&str; 8] = [
    "fn", "struct", "enum", "trait", "const", "static", "type", "mod",
];

/// The item below line `index` (from 0), when nothing but comments and attributes lie between; or the one around it.
pub(crate) fn place_of(path: &str, lines: &[&str], index: usize) -> Place {
    let below = lines
        .iter()
        .enumerate()
        .skip(index + 1)
        .find(|(_, line)| !is_beside(line))
        .filter(|(_, line)| item_of(line).is_some())
        .map(|(at, _)| at);
    let at = below.or_else(|| around(lines, index));
    Place {
        path: path.to_owned(),
        item: at
            .and_then(|at| item_of(lines.get(at)?))
            .unwrap_or_default()
            .to_owned(),
        is_test: at.is_some_and(|at| is_test(lines, at)),
    }
}

/// Whether a line is blank, a comment or an attribute.
fn is_beside(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with("//") || line.starts_with("#[")
}

/// The item that begins on a line.
pub(crate) fn item_of(line: &str) -> Option<&str> {
    let mut words = line
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty());
    let mut last = words.next()?;
    if !["pub", "async", "unsafe", "extern"].contains(&last) && !ITEMS.contains(&last) {
        return None;
    }
    for word in words {
        if ITEMS.contains(&last) && !(last == "const" && matches!(word, "fn" | "unsafe")) {
            return Some(word);
        }
        last = word;
    }
    None
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The nearest line above that begins an item and stands further left: what line `index` lies in.
fn around(lines: &[&str], index: usize) -> Option<usize> {
    let inside = indent(lines.get(index)?);
    (0..index).rev().find(|at| {
        lines
            .get(*at)
            .is_some_and(|line| indent(line) < inside && item_of(line).is_some())
    })
}

/// Whether the attributes above an item make it a test.
fn is_test(lines: &[&str], at: usize) -> bool {
    lines[..at]
        .iter()
        .rev()
        .take_while(|line| !line.trim().is_empty() && is_beside(line))
        .any(|line| {
            let line = line.trim();
            line.starts_with("#[") && (line.ends_with("test]") || line.contains("::test("))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
//= a
/// Says something.
pub(crate) const fn first(a: u8) -> u8 {
    //= b
    a
}

//= c
#[test]
fn second() {}

pub struct Third {
    //= d
    pub field: u8,
}

proptest! {
    #[test]
    //= e
    fn fourth(a in 0..1) {
        //= f
        assert!(a);
    }
}
pub const FIFTH: u8 = 1; //= g
";

    #[test]
    fn above_and_inside() {
        let lines: Vec<&str> = TEXT.lines().collect();
        for (mark, item, test) in [
            ("a", "first", false),
            ("b", "first", false),
            ("c", "second", true),
            ("d", "Third", false),
            ("e", "fourth", true),
            ("f", "fourth", true),
        ] {
            let index = lines
                .iter()
                .position(|line| line.trim() == format!("//= {mark}"))
                .unwrap();
            let found = place_of("x.rs", &lines, index);
            assert_eq!((found.item.as_str(), found.is_test), (item, test), "{mark}");
        }
    }

    #[test]
    fn items() {
        for (line, item) in [
            ("pub(super) unsafe fn a()", Some("a")),
            ("    pub(crate) const fn b()", Some("b")),
            ("const C: u8 = 1;", Some("C")),
            ("impl A for B {", None),
            ("let fn_a = 1;", None),
            ("pub field: u8,", None),
        ] {
            assert_eq!(item_of(line), item, "{line}");
        }
    }
}
