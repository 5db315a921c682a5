//! packetdrill scripts against woshou: in process, in virtual time, without root.
//!
//! A script says what a socket is asked to do, which packets come in and which must go out, and when.
//! [`parse`] reads both dialects in use, Google's (also that of the Linux kernel's tests) and nplab's
//! (also that of FreeBSD's); `docs/drill.md` describes the language.
//!
//! ```
//! use std::collections::BTreeMap;
//! use woshou_drill::ast::Action;
//!
//! let source = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 < S 0:0(0) win 65535 <mss 1000>";
//! let script = woshou_drill::parse(source, &BTreeMap::new())?;
//! let Action::Packet(packet) = &script.events[1].action else { panic!("a packet line") };
//! assert_eq!(packet.to_string(), "< S 0:0(0) win 65535 <mss 1000>");
//! # Ok::<(), woshou_drill::ParseError>(())
//! ```
#![forbid(unsafe_code)]

pub mod ast;
mod build;
mod calls;
pub mod code;
pub mod command;
mod drill;
pub mod error;
mod expect;
mod flow;
pub mod icmp;
mod lenient;
mod lexer;
mod needs;
mod observed;
mod parser;
pub mod profile;
mod report;
mod run;
mod schedule;
mod settings;
pub mod span;
mod suite;
mod tcp_options;
mod wire_map;
mod world;

pub use drill::run;
pub use error::{Cause, ParseError};
pub use lenient::{Leniency, Lenient, UnknownLeniency};
pub use parser::parse;
pub use profile::{Knobs, Profile};
pub use report::{FieldPair, Report, Status, Totals, junit};
pub use schedule::Tolerance;
pub use settings::{Config, IpVersion};
pub use span::{Span, Spanned};
pub use suite::{find, run_files};

/// The largest script that is read, in octets.
pub const MAX_SOURCE: usize = 1 << 20;
/// The latest time that a script can state, in microseconds: about 31 years.
pub const MAX_TIME: ast::Micros = 1_000_000_000_000_000;
