//! What is wrong with a script, and where.

use core::fmt;

use crate::span::Span;

/// How much of a long line an error shows on either side of its place, in characters.
const EXCERPT: usize = 60;
/// How much of a long token an error repeats, in characters.
const FOUND: usize = 40;

/// Why a script cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Something else was expected here. Compare with `docs/drill.md`.
    Syntax,
    /// A number or time does not fit its field. Write one that does.
    OutOfRange,
    /// Two parts contradict each other, such as `1:10(5)`. Correct one of them.
    Inconsistent,
    /// Sound by itself, but not in this place, such as `*` before a call.
    Misplaced,
    /// A string, command, comment or code block is never closed. Close it.
    Unterminated,
    /// Nested too deeply. No system call takes such an argument.
    TooDeep,
    /// The script is larger than [`crate::MAX_SOURCE`]. Split it.
    TooLarge,
}

/// A script that cannot be read: where, what was found there, and what was expected.
///
/// It prints itself as one line, and below it the script's line with the place marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The kind of mistake.
    pub cause: Cause,
    /// Where it is.
    pub span: Span,
    /// What the script has there.
    pub found: String,
    /// What may stand there instead; never empty.
    pub expected: Vec<String>,
    excerpt: String,
    marker: Marker,
}

/// The part of the excerpt that is underlined, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Marker {
    skip: u32,
    length: u32,
}

impl ParseError {
    pub(crate) fn new(
        cause: Cause,
        source: &str,
        span: Span,
        found: &str,
        expected: Vec<String>,
    ) -> Self {
        let (excerpt, marker) = excerpt(source, span);
        Self {
            cause,
            span,
            found: shorten(found),
            expected,
            excerpt,
            marker,
        }
    }

    /// The line of the mistake, from 1.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.span.line
    }

    /// The column of the mistake, in characters, from 1.
    #[must_use]
    pub fn column(&self) -> u32 {
        self.span.column
    }

    /// The mistake in words, without place and excerpt.
    #[must_use]
    pub fn message(&self) -> String {
        let mut text = format!("found {}, expected ", self.found);
        match self.expected.as_slice() {
            [one] => text.push_str(one),
            [all @ .., last] => {
                text.push_str(&all.join(", "));
                text.push_str(" or ");
                text.push_str(last);
            }
            [] => text.push_str("something else"),
        }
        text
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "line {}, column {}: {}",
            self.span.line,
            self.span.column,
            self.message()
        )?;
        writeln!(f, "  {}", self.excerpt)?;
        let Marker { skip, length } = self.marker;
        write!(
            f,
            "  {:skip$}{:^>length$}",
            "",
            "",
            skip = skip as usize,
            length = length as usize
        )
    }
}

impl core::error::Error for ParseError {}

/// `text` in quotes that a terminal can show, cut when long.
pub(crate) fn quote(text: &str) -> String {
    let clean: String = text.chars().map(visible).collect();
    format!("`{clean}`")
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= FOUND {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(FOUND).collect();
    short.push_str("...");
    if text.starts_with('`') {
        short.push('`');
    }
    short
}

/// Control characters would move the cursor and so the caret, or worse.
fn visible(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// The script's line at `span`, cut to what fits a terminal, and what of it to underline.
fn excerpt(source: &str, span: Span) -> (String, Marker) {
    let start = (span.start as usize).min(source.len());
    let (before, after) = source.split_at_checked(start).unwrap_or((source, ""));
    let mut left: Vec<char> = before
        .chars()
        .rev()
        .take_while(|c| *c != '\n')
        .take(EXCERPT)
        .map(visible)
        .collect();
    left.reverse();
    let right: Vec<char> = after
        .chars()
        .take_while(|c| *c != '\n')
        .take(EXCERPT)
        .map(visible)
        .collect();
    let marked = source.get(span.range()).unwrap_or("");
    let length = marked
        .chars()
        .take_while(|c| *c != '\n')
        .take(EXCERPT)
        .count()
        .max(1);
    let skip = left.len();
    let line: String = left.iter().chain(&right).collect();
    let marker = Marker {
        skip: u32::try_from(skip).unwrap_or(0),
        length: u32::try_from(length).unwrap_or(1),
    };
    (line.trim_end().to_owned(), marker)
}
