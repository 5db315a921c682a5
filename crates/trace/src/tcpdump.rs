//! One line a packet, as tcpdump 3.x printed it.
//!
//! With a watched wire: every packet once, when it leaves, lost ones too. Without (a live stack): what each host's
//! TCP sent and received. Numbers are absolute in the handshake and count from it afterwards, unless asked otherwise.
//! Two departures from the old program: the length in parentheses is left out where it is zero, and so is the dot
//! of a bare acknowledgement.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use woshou_tcp::{Flags, Header, Instant, TraceEvent};
use woshou_wire::tcp_option::TcpOptions;

use crate::numbers::{Numbers, Shown};
use crate::packet::{Body, Packet};
use crate::timeline::{Timeline, What};

/// How lines are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Seconds since the origin in front, with six digits.
    pub timestamps: bool,
    /// Absolute numbers everywhere (`tcpdump -S`).
    pub absolute: bool,
}

/// Prints `timeline`; every line ends in `\n`.
#[must_use]
pub fn text(timeline: &Timeline, options: &Options) -> String {
    let wire = timeline.has_wire();
    let mut printer = Printer {
        options: *options,
        numbers: Numbers::default(),
    };
    let mut out = String::new();
    for record in timeline.records() {
        let line = match &record.what {
            What::Left { octets, .. } => printer.packet(octets),
            What::Tcp { who, event, .. } if !wire => match event {
                TraceEvent::Sent { header, len, .. } => {
                    printer.tcp((who.local, who.remote), header, *len)
                }
                TraceEvent::Received { header, len } => {
                    printer.tcp((who.remote, who.local), header, *len)
                }
                _ => continue,
            },
            _ => continue,
        };
        if options.timestamps {
            let _ = write!(out, "{} ", record.now);
        }
        out.push_str(&line);
        out.push('\n');
    }
    out
}

/// One line for one IP packet, without its end of line; numbers absolute, there being nothing to count from.
#[must_use]
pub fn line(now: Option<Instant>, packet: &[u8]) -> String {
    let options = Options {
        timestamps: false,
        absolute: true,
    };
    let line = Printer {
        options,
        numbers: Numbers::default(),
    }
    .packet(packet);
    now.map_or_else(|| line.clone(), |now| format!("{now} {line}"))
}

struct Printer {
    options: Options,
    numbers: Numbers,
}

impl Printer {
    fn packet(&mut self, octets: &[u8]) -> String {
        let Some(Packet {
            source,
            destination,
            body,
            ..
        }) = Packet::parse(octets)
        else {
            return format!("[not an IP packet, {} octets]", octets.len());
        };
        let ip = family(source);
        match body {
            Body::Tcp(tcp) => self.tcp((tcp.source, tcp.destination), &tcp.header, tcp.len),
            Body::Udp {
                source_port,
                destination_port,
                len,
            } => {
                format!("{ip} {source}.{source_port} > {destination}.{destination_port}: udp {len}")
            }
            Body::Icmp(words) => format!("{ip} {source} > {destination}: {words}"),
            Body::Fragment {
                protocol,
                offset,
                len,
            } => format!("{ip} {source} > {destination}: ip-proto-{protocol} frag {len}@{offset}"),
            Body::Other { protocol, len } => {
                format!("{ip} {source} > {destination}: ip-proto-{protocol} {len}")
            }
        }
    }

    fn tcp(&mut self, way: (SocketAddr, SocketAddr), header: &Header, len: u32) -> String {
        let mut shown = self.numbers.show(way, header, len == 0);
        if self.options.absolute {
            shown = Shown {
                seq: header.seq.0,
                ack: header.ack.0,
                ack_base: 0,
            };
        }
        let (source, destination) = way;
        let mut line = format!(
            "{} {}.{} > {}.{}:",
            family(source.ip()),
            source.ip(),
            source.port(),
            destination.ip(),
            destination.port()
        );
        let flags = letters(header.flags);
        let control = header
            .flags
            .intersects(Flags::SYN | Flags::FIN | Flags::RST);
        if len > 0 || control {
            let end = shown.seq.wrapping_add(len);
            let _ = write!(line, " {flags} {}:{end}", shown.seq);
            if len > 0 {
                let _ = write!(line, "({len})");
            }
        } else if flags != "." {
            let _ = write!(line, " {flags}");
        }
        if header.flags.ack() {
            let _ = write!(line, " ack {}", shown.ack);
        }
        let _ = write!(line, " win {}", header.window);
        if header.flags.urg() {
            let _ = write!(line, " urg {}", header.urgent);
        }
        let options = bracketed(&header.options, shown.ack_base);
        if !options.is_empty() {
            let _ = write!(line, " <{options}>");
        }
        line
    }
}

const fn family(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "IP",
        IpAddr::V6(_) => "IP6",
    }
}

/// `S F P R`, `W E` for CWR and ECE as later versions had them, `.` for none of these.
fn letters(flags: Flags) -> String {
    const LETTERS: [(Flags, char); 6] = [
        (Flags::SYN, 'S'),
        (Flags::FIN, 'F'),
        (Flags::PSH, 'P'),
        (Flags::RST, 'R'),
        (Flags::CWR, 'W'),
        (Flags::ECE, 'E'),
    ];
    let set: String = LETTERS
        .iter()
        .filter(|l| flags.contains(l.0))
        .map(|l| l.1)
        .collect();
    if set.is_empty() { ".".to_owned() } else { set }
}

/// The options between the angle brackets.
fn bracketed(options: &TcpOptions, ack_base: u32) -> String {
    let mut words = Vec::new();
    words.extend(options.mss.map(|mss| format!("mss {mss}")));
    words.extend(options.sack_permitted.then(|| "sackOK".to_owned()));
    words.extend(
        options
            .timestamps
            .map(|t| format!("timestamp {} {}", t.value, t.echo)),
    );
    words.extend(options.window_scale.map(|shift| format!("wscale {shift}")));
    let blocks = options.sack.as_slice();
    if !blocks.is_empty() {
        let mut sack = format!("sack {}", blocks.len());
        for block in blocks {
            let (left, right) = (
                block.left.wrapping_sub(ack_base),
                block.right.wrapping_sub(ack_base),
            );
            let _ = write!(sack, " {{{left}:{right}}}");
        }
        words.push(sack);
    }
    words.join(",")
}

#[cfg(test)]
#[path = "tcpdump_tests.rs"]
mod tests;
