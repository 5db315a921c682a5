//! The language, construct by construct: what each one reads as, and what is refused where.
#![expect(
    clippy::too_many_lines,
    reason = "a table is as long as the part of the language it covers"
)]

mod calls;
mod errors;
mod files;
mod headers;
mod hostile;
mod icmp;
mod options;
mod packets;
mod times;

use std::collections::BTreeMap;

use woshou_drill::ast::{Action, Body, Call, Event, Packet, Script, TcpPacket};
use woshou_drill::{ParseError, parse};

/// Symbols as on the command line.
fn defines(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn read(source: &str) -> Script {
    parse(source, &BTreeMap::new()).unwrap_or_else(|error| panic!("{source}\n{error}"))
}

fn refused(source: &str) -> ParseError {
    match parse(source, &BTreeMap::new()) {
        Ok(script) => panic!("{source}\nwas read as {script:?}"),
        Err(error) => error,
    }
}

/// The only event of `0 text`.
fn event(text: &str) -> Event {
    let mut script = read(&format!("0 {text}"));
    assert_eq!(script.events.len(), 1, "{text}");
    script.events.remove(0)
}

fn packet(text: &str) -> Packet {
    match event(text).action {
        Action::Packet(packet) => *packet,
        other => panic!("{text}: {other:?}"),
    }
}

fn tcp(text: &str) -> TcpPacket {
    match packet(text).body {
        Body::Tcp(tcp) => tcp,
        other => panic!("{text}: {other:?}"),
    }
}

fn call(text: &str) -> Call {
    match event(text).action {
        Action::Call(call) => *call,
        other => panic!("{text}: {other:?}"),
    }
}
