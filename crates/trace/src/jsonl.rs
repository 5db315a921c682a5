//! JSON lines: one object a record, for programs.
//!
//! The hosts come first (`"kind":"host"`), then every record in order. Fields keep their order; the same timeline gives
//! the same octets. Times are integers of nanoseconds since the origin. Fields by kind, after `time_ns` and `kind`:
//!
//! | kind | fields |
//! |---|---|
//! | `host` | `name`, `addresses` (no `time_ns`) |
//! | `sent` | connection, segment, `segment_size`?, `reason` (a stable code), `why` (words) |
//! | `received` | connection, segment |
//! | `state` | connection, `from`, `to` (the RFC's names), `event` |
//! | `refused` | connection, `refusal`, `why` |
//! | `timer` | connection, `timer` |
//! | `rtt` | connection, `sample_ns`, `srtt_ns`, `rttvar_ns`, `rto_ns` |
//! | `congestion` | connection, `cwnd`, `ssthresh` (null: not set yet), `in_flight`, `recovery` |
//! | `ended` | connection, `reason`, `why` |
//! | `left` | `packet`, `host`, `octets` (length of the IP packet), and for TCP `source`, `destination`, segment |
//! | `arrived` | `packet`, `host` |
//! | `lost` | `packet`, `fate`, `why` |
//! | `duplicated` | `packet`, `copy` |
//!
//! connection: `host`, `local`, `remote`. segment: `flags` (`"SYN,ACK"`), `seq`, `ack` (null without ACK), `window` (as on
//! the wire), `len`, and where present `mss`, `window_scale`, `sack_permitted`, `sack` (pairs, right end excluded),
//! `timestamp` (value, echo). Sequence numbers are absolute.

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};

use serde::Serialize;
use woshou_tcp::{Endpoints, Header, TraceEvent};

use crate::packet::{Body, Packet};
use crate::timeline::{HostId, Record, Timeline, What};
use crate::words::Lang;

/// Writes `timeline`; `lang` is the language of the `why` fields. Every line ends in `\n`.
#[must_use]
pub fn text(timeline: &Timeline, lang: Lang) -> String {
    let mut out = String::new();
    for host in timeline.hosts() {
        push(
            &mut out,
            &HostLine {
                kind: "host",
                name: &host.name,
                addresses: &host.addresses,
            },
        );
    }
    for record in timeline.records() {
        push(
            &mut out,
            &Line {
                time_ns: record.now.as_nanos(),
                what: fields(timeline, record, lang),
            },
        );
    }
    out
}

fn push(out: &mut String, line: &impl Serialize) {
    // Structs of strings and numbers with string keys: there is nothing in them that JSON cannot say.
    if let Ok(json) = serde_json::to_string(line) {
        out.push_str(&json);
        out.push('\n');
    }
}

#[derive(Serialize)]
struct HostLine<'a> {
    kind: &'static str,
    name: &'a str,
    addresses: &'a [IpAddr],
}

#[derive(Serialize)]
struct Line<'a> {
    time_ns: u64,
    #[serde(flatten)]
    what: Fields<'a>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Fields<'a> {
    Sent {
        #[serde(flatten)]
        connection: Connection<'a>,
        #[serde(flatten)]
        segment: Segment,
        #[serde(skip_serializing_if = "Option::is_none")]
        segment_size: Option<u16>,
        reason: String,
        why: String,
    },
    Received {
        #[serde(flatten)]
        connection: Connection<'a>,
        #[serde(flatten)]
        segment: Segment,
    },
    State {
        #[serde(flatten)]
        connection: Connection<'a>,
        from: &'static str,
        to: &'static str,
        event: String,
    },
    Refused {
        #[serde(flatten)]
        connection: Connection<'a>,
        refusal: String,
        why: String,
    },
    Timer {
        #[serde(flatten)]
        connection: Connection<'a>,
        timer: String,
    },
    Rtt {
        #[serde(flatten)]
        connection: Connection<'a>,
        sample_ns: u128,
        srtt_ns: u128,
        rttvar_ns: u128,
        rto_ns: u128,
    },
    Congestion {
        #[serde(flatten)]
        connection: Connection<'a>,
        cwnd: u64,
        ssthresh: Option<u64>,
        in_flight: u64,
        recovery: bool,
        pacing_rate: Option<u64>,
        phase: &'static str,
    },
    DeclaredLost {
        #[serde(flatten)]
        connection: Connection<'a>,
        start: u32,
        octets: u32,
        reason: String,
    },
    Undone {
        #[serde(flatten)]
        connection: Connection<'a>,
        by: String,
    },
    Ended {
        #[serde(flatten)]
        connection: Connection<'a>,
        reason: String,
        why: String,
    },
    /// A TCP event that this version does not know.
    Other {
        #[serde(flatten)]
        connection: Connection<'a>,
    },
    Left {
        packet: u64,
        host: &'a str,
        octets: usize,
        #[serde(flatten)]
        tcp: Option<TcpPacket>,
    },
    Arrived {
        packet: u64,
        host: &'a str,
    },
    Lost {
        packet: u64,
        fate: String,
        why: &'static str,
    },
    Duplicated {
        packet: u64,
        copy: u64,
    },
}

#[derive(Serialize)]
struct Connection<'a> {
    host: &'a str,
    local: SocketAddr,
    remote: SocketAddr,
}

#[derive(Serialize)]
struct TcpPacket {
    source: SocketAddr,
    destination: SocketAddr,
    #[serde(flatten)]
    segment: Segment,
}

#[derive(Serialize)]
struct Segment {
    flags: String,
    seq: u32,
    ack: Option<u32>,
    window: u16,
    len: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    mss: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window_scale: Option<u8>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    sack_permitted: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sack: Vec<[u32; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<[u32; 2]>,
}

impl Segment {
    fn new(header: &Header, len: u32) -> Self {
        let options = &header.options;
        Self {
            flags: header.flags.to_string(),
            seq: header.seq.0,
            ack: header.flags.ack().then_some(header.ack.0),
            window: header.window,
            len,
            mss: options.mss,
            window_scale: options.window_scale,
            sack_permitted: options.sack_permitted,
            sack: options
                .sack
                .as_slice()
                .iter()
                .map(|b| [b.left, b.right])
                .collect(),
            timestamp: options.timestamps.map(|t| [t.value, t.echo]),
        }
    }
}

/// `FastRetransmit` as `fast-retransmit`; what a variant holds is left out.
fn code(variant: impl Debug) -> String {
    let name = format!("{variant:?}");
    let mut code = String::new();
    for c in name.chars().take_while(char::is_ascii_alphanumeric) {
        if c.is_ascii_uppercase() && !code.is_empty() {
            code.push('-');
        }
        code.push(c.to_ascii_lowercase());
    }
    code
}

fn fields<'a>(timeline: &'a Timeline, record: &'a Record, lang: Lang) -> Fields<'a> {
    match &record.what {
        What::Tcp { host, who, event } => tcp_fields(timeline, *host, who, (event, lang)),
        What::Left {
            packet,
            from,
            octets,
        } => {
            let tcp = match Packet::parse(octets) {
                Some(Packet {
                    body: Body::Tcp(tcp),
                    ..
                }) => Some(TcpPacket {
                    source: tcp.source,
                    destination: tcp.destination,
                    segment: Segment::new(&tcp.header, tcp.len),
                }),
                _ => None,
            };
            Fields::Left {
                packet: packet.0,
                host: timeline.name(*from),
                octets: octets.len(),
                tcp,
            }
        }
        What::Arrived { packet, to } => Fields::Arrived {
            packet: packet.0,
            host: timeline.name(*to),
        },
        What::Lost { packet, why } => Fields::Lost {
            packet: packet.0,
            fate: code(why),
            why: lang.fate(*why),
        },
        What::Duplicated { packet, copy } => Fields::Duplicated {
            packet: packet.0,
            copy: copy.0,
        },
    }
}

fn tcp_fields<'a>(
    timeline: &'a Timeline,
    host: HostId,
    who: &Endpoints,
    (event, lang): (&TraceEvent, Lang),
) -> Fields<'a> {
    let connection = Connection {
        host: timeline.name(host),
        local: who.local,
        remote: who.remote,
    };
    match *event {
        TraceEvent::Sent {
            ref header,
            len,
            segment_size,
            reason,
        } => Fields::Sent {
            connection,
            segment: Segment::new(header, len),
            segment_size,
            reason: code(reason),
            why: lang.reason(reason),
        },
        TraceEvent::Received { ref header, len } => Fields::Received {
            connection,
            segment: Segment::new(header, len),
        },
        TraceEvent::StateChanged { from, to, event } => Fields::State {
            connection,
            from: from.name(),
            to: to.name(),
            event: code(event),
        },
        TraceEvent::Refused { refusal } => Fields::Refused {
            connection,
            refusal: code(refusal),
            why: lang.refusal(refusal),
        },
        TraceEvent::Ended { reason } => Fields::Ended {
            connection,
            reason: code(reason),
            why: lang.ended(reason),
        },
        _ => inner_fields(connection, event),
    }
}

/// The events that no segment shows: timers, estimators.
fn inner_fields<'a>(connection: Connection<'a>, event: &TraceEvent) -> Fields<'a> {
    match *event {
        TraceEvent::TimerFired { timer } => Fields::Timer {
            connection,
            timer: code(timer),
        },
        TraceEvent::RttMeasured {
            sample,
            srtt,
            rttvar,
            rto,
        } => Fields::Rtt {
            connection,
            sample_ns: sample.as_nanos(),
            srtt_ns: srtt.as_nanos(),
            rttvar_ns: rttvar.as_nanos(),
            rto_ns: rto.as_nanos(),
        },
        TraceEvent::Congestion {
            cwnd,
            ssthresh,
            in_flight,
            recovery,
            pacing_rate,
            phase,
        } => Fields::Congestion {
            connection,
            cwnd,
            ssthresh: (ssthresh != u64::MAX).then_some(ssthresh),
            in_flight,
            recovery,
            pacing_rate,
            phase,
        },
        TraceEvent::Lost {
            start,
            octets,
            reason,
        } => Fields::DeclaredLost {
            connection,
            start: start.0,
            octets,
            reason: format!("{reason:?}"),
        },
        TraceEvent::Undone { by } => Fields::Undone {
            connection,
            by: format!("{by:?}"),
        },
        _ => Fields::Other { connection },
    }
}

#[cfg(test)]
#[path = "jsonl_tests.rs"]
mod tests;
