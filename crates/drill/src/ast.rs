//! A script as data: what was read, and where it stands.
//!
//! Nothing here says whether the runner can do it: all that the language allows is kept, so that the
//! runner can name what it does not support.

mod display;
mod expr;
mod option;
mod packet;

pub use expr::{Expr, ExprKind, Field};
pub use option::{AccEcnOrder, Cookie, Md5, SackBlock, TcpOption};
pub use packet::{
    Body, Direction, EcnFlags, Encapsulation, Flags, ForeignPacket, IcmpPacket, IpEcn, IpInfo,
    MplsLabel, Options, Packet, Ports, Quoted, Seq, TcpPacket, UdpPacket,
};

use std::collections::BTreeMap;

use crate::span::{Span, Spanned};

/// Microseconds, since the base that [`When`] names; at most [`crate::MAX_TIME`].
pub type Micros = u64;

/// A whole script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The `--name=value` lines, in order. What the caller was told on its command line wins over them.
    pub options: Vec<OptionLine>,
    /// The symbols that were in force: the script's `--define` lines and, above them, the caller's.
    pub defines: BTreeMap<String, String>,
    /// The command before the first event.
    pub init: Option<Command>,
    /// The events, in order; at least one.
    pub events: Vec<Event>,
    /// The command after the last event. It is run even when the script fails.
    pub cleanup: Option<Command>,
}

/// An option line: `--name` or `--name=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionLine {
    /// The name without its dashes.
    pub name: Spanned<String>,
    /// The value, if there is one.
    pub value: Option<Spanned<OptionValue>>,
    /// The whole line.
    pub span: Span,
}

/// The value of an option line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionValue {
    /// A number, word, string (without its quotes) or address.
    Text(String),
    /// `NAME=value`, as in `--define=CC="reno"`.
    Define {
        /// The name of the symbol.
        name: String,
        /// Its value, with its quotes or backticks if it has some: they decide what it stands for.
        value: String,
    },
}

/// Something that happens, or is expected to, at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The event from its time to its last token.
    pub span: Span,
    /// When.
    pub when: Spanned<When>,
    /// What.
    pub action: Action,
}

/// The time of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// `T`: since the start of the script.
    Absolute(Micros),
    /// `+T`: since the event before.
    Relative(Micros),
    /// `*`: whenever it comes. Expected packets only.
    Any,
    /// `T1~T2`: between two times since the start. Expected packets only.
    AbsoluteRange(Micros, Micros),
    /// `+T1~+T2`: between two times since the event before. Expected packets only.
    RelativeRange(Micros, Micros),
}

/// What an event does or expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A packet that is injected or expected.
    Packet(Box<Packet>),
    /// A system call.
    Call(Box<Call>),
    /// A command in backticks.
    Command(Command),
    /// A block of assertions, `%{ ... }%`.
    Code(Code),
}

/// A system call, its result and what the script remarks about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// `...T2` before the name: the call blocks and returns at T2, which has the base of the event's
    /// own time.
    pub returns: Option<Spanned<Micros>>,
    /// The name of the call.
    pub name: Spanned<String>,
    /// The arguments.
    pub arguments: Vec<Expr>,
    /// What is behind the `=`.
    pub result: Expr,
    /// The name of the error, such as `EAGAIN`.
    pub errno: Option<Spanned<String>>,
    /// The remark in parentheses behind error or result. It has no effect.
    pub note: Option<Spanned<String>>,
}

/// A command in backticks, raw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The text between the backticks.
    pub text: String,
    /// The command with its backticks.
    pub span: Span,
}

/// A block of assertions in Python, raw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// The text between `%{` and `}%` without the spaces and tabs at either end.
    pub text: String,
    /// The block with its braces.
    pub span: Span,
    /// Where `text` starts in the script.
    pub text_span: Span,
}
