//! The code of `%{ ... }%`: a small part of Python, enough for what scripts assert.
//!
//! Statements are `assert`, `print`, assignments and expressions, with integers, floats, strings with `%`, tuples,
//! chained comparisons, and `abs`, `min`, `max`, `int`, `len`. Blocks are evaluated after the script has ended, in
//! order, each over the [`Snapshot`] taken when its turn came; variables persist from block to block. Numbers have
//! 127 bits, texts a bounded length: there is no loop, so that every block ends.

mod eval;
mod parse;
mod token;

pub use eval::Evaluator;

/// What was to be seen of the socket when a block's turn came.
pub trait Snapshot {
    /// The value of a name such as `tcpi_snd_cwnd`.
    fn value(&self, name: &str) -> Named;
}

/// What a snapshot knows about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// Its value.
    Value(i64),
    /// It exists in the language, and woshou cannot tell it.
    Missing,
    /// It is no name of the language.
    Unknown,
}

/// What is wrong with a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeError {
    /// The line in the block, from 0.
    pub line: u32,
    /// Which kind of trouble.
    pub kind: CodeErrorKind,
    /// In words.
    pub message: String,
}

/// The kinds of trouble with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeErrorKind {
    /// It is not of the part of Python that is understood, or it divides by zero, or the like.
    Error,
    /// It asks for a figure that woshou does not have.
    Unsupported,
    /// An assertion does not hold.
    Assertion,
}

impl CodeError {
    fn syntax(line: u32, message: impl Into<String>) -> Self {
        Self {
            line,
            kind: CodeErrorKind::Error,
            message: message.into(),
        }
    }
}

/// A name that is not too long to be shown.
fn short(text: &str) -> String {
    text.chars().take(40).collect()
}
