//! What became of a script.

mod format;

pub use format::junit;

use woshou_trace::Timeline;

use crate::lenient::Leniency;
use crate::span::Span;

/// How a script ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Everything was as expected.
    Pass,
    /// Something was not.
    Fail,
    /// The script needs something that woshou does not have.
    Unsupported,
    /// The script cannot be run: a syntax error, a contradiction, no end.
    Error,
}

impl Status {
    /// `pass`, `fail`, `unsupported`, `error`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unsupported => "unsupported",
            Self::Error => "error",
        }
    }
}

impl core::fmt::Display for Status {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.name())
    }
}

/// One field of a packet or a call, expected beside got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPair {
    /// Its name.
    pub name: &'static str,
    /// In the script.
    pub expected: String,
    /// In fact.
    pub got: String,
    /// Whether they agree.
    pub agree: bool,
}

/// What became of one script.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its name, as [`crate::Config::script`] has it.
    pub script: String,
    /// Which of its runs: `ipv4`, `ipv4-mapped-ipv6`, `ipv6`.
    pub variant: String,
    /// How it ended.
    pub status: Status,
    /// The line where it ended, from 1; `None`: at its end, or nowhere in particular.
    pub line: Option<u32>,
    /// Why it did not pass, in one line; for [`Status::Unsupported`] the name of what is missing.
    pub message: String,
    /// The leniencies without which it would not have passed.
    pub lenient: Vec<Leniency>,
    /// The script's own text of the event where it ended.
    pub source: String,
    /// Expected beside got, field by field, when a packet or a result differs.
    pub fields: Vec<FieldPair>,
    /// What the code blocks printed.
    pub output: String,
    /// The packets and what happened inside TCP; kept for scripts that fail, and when [`crate::Config::record`] is set.
    pub timeline: Option<Timeline>,
}

/// Why a run ends before its script does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) span: Option<Span>,
    pub(crate) kind: StopKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StopKind {
    Fail {
        message: String,
        fields: Vec<FieldPair>,
    },
    Unsupported(String),
    Error(String),
}

impl Stop {
    pub(crate) fn fail(span: Span, message: impl Into<String>) -> Self {
        Self::fields(span, message, Vec::new())
    }

    pub(crate) fn fields(span: Span, message: impl Into<String>, fields: Vec<FieldPair>) -> Self {
        Self {
            span: Some(span),
            kind: StopKind::Fail {
                message: message.into(),
                fields,
            },
        }
    }

    pub(crate) fn unsupported(span: Span, name: impl Into<String>) -> Self {
        Self {
            span: Some(span),
            kind: StopKind::Unsupported(name.into()),
        }
    }

    pub(crate) fn error(span: Span, message: impl Into<String>) -> Self {
        Self {
            span: Some(span),
            kind: StopKind::Error(message.into()),
        }
    }
}

/// How many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// [`Status::Pass`], those with leniencies included.
    pub pass: usize,
    /// Of `pass`, those that needed a leniency.
    pub lenient: usize,
    /// [`Status::Fail`].
    pub fail: usize,
    /// [`Status::Unsupported`].
    pub unsupported: usize,
    /// [`Status::Error`].
    pub error: usize,
}

impl Totals {
    /// Counts `report`.
    pub fn add(&mut self, report: &Report) {
        match report.status {
            Status::Pass => {
                self.pass += 1;
                self.lenient += usize::from(!report.lenient.is_empty());
            }
            Status::Fail => self.fail += 1,
            Status::Unsupported => self.unsupported += 1,
            Status::Error => self.error += 1,
        }
    }

    /// Whether every script passed.
    #[must_use]
    pub const fn all_passed(&self) -> bool {
        self.fail == 0 && self.unsupported == 0 && self.error == 0
    }
}
