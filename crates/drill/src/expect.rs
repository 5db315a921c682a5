//! An expected packet and one that left, field by field.

use woshou_wire::tcp_option as kind;

use crate::ast::{Body, Micros};
use crate::ast::{
    EcnFlags, Flags, IcmpPacket, IpEcn, IpInfo, Options, Packet, Seq, TcpOption, TcpPacket,
};
use crate::icmp::{self, Version};
use crate::lenient::{Leniency, Lenient};
use crate::observed::{Carried, Observed, ObservedIp, ObservedTcp};
use crate::report::FieldPair;
use crate::tcp_options::{self, Numbers, Seen};
use crate::wire_map::WireMap;

const FIN: u16 = 1;
const SYN: u16 = 1 << 1;
const RST: u16 = 1 << 2;
const PSH: u16 = 1 << 3;
const ACK: u16 = 1 << 4;
const URG: u16 = 1 << 5;

/// How strictly is compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) lenient: Lenient,
    /// Microseconds a tick of TSval; zero: TSval is not compared.
    pub(crate) timestamp_tick: u64,
    /// By how much TSval may differ, microseconds.
    pub(crate) timestamp_slack: Micros,
    /// Compare TSecr.
    pub(crate) check_echo: bool,
    /// Put text together before it is compared (Google's dialect).
    pub(crate) aggregate: bool,
}

/// The bits of `flags` as on the wire.
pub(crate) fn flag_bits(flags: &Flags) -> u16 {
    let bit = |set: bool, bit: u16| if set { bit } else { 0 };
    let ecn = u16::from(flags.ecn.bits());
    bit(flags.fin, FIN)
        | bit(flags.syn, SYN)
        | bit(flags.rst, RST)
        | bit(flags.psh, PSH)
        | bit(flags.ack, ACK)
        | bit(flags.urg, URG)
        | (ecn & 0b111) << 6
}

/// `bits` in the script's letters.
pub(crate) fn flag_letters(bits: u16) -> String {
    let has = |bit: u16| bits & bit != 0;
    Flags {
        fin: has(FIN),
        syn: has(SYN),
        rst: has(RST),
        psh: has(PSH),
        ack: has(ACK),
        urg: has(URG),
        ecn: EcnFlags::Letters {
            ece: has(1 << 6),
            cwr: has(1 << 7),
            ae: has(1 << 8),
        },
    }
    .to_string()
}

struct Table(Vec<FieldPair>);

impl Table {
    fn row(&mut self, name: &'static str, expected: impl ToString, got: impl ToString) {
        let (expected, got) = (expected.to_string(), got.to_string());
        let agree = expected == got;
        self.0.push(FieldPair {
            name,
            expected,
            got,
            agree,
        });
    }

    fn judged(
        &mut self,
        name: &'static str,
        expected: impl ToString,
        got: impl ToString,
        agree: bool,
    ) {
        self.0.push(FieldPair {
            name,
            expected: expected.to_string(),
            got: got.to_string(),
            agree,
        });
    }
}

/// Compares all that the script says of `expected` with `got`. Timestamps and flow labels of a packet that fits are
/// remembered in `map`.
pub(crate) fn compare(
    expected: &Packet,
    got: &Observed,
    map: &mut WireMap,
    rules: &Rules,
) -> Vec<FieldPair> {
    let mut table = Table(Vec::new());
    match (&expected.body, &got.body) {
        (Body::Tcp(tcp), Carried::Tcp(seen)) => compare_tcp(&mut table, (tcp, seen), map, rules),
        (Body::Icmp(message), Carried::Icmp { kind, code, word }) => {
            compare_icmp(
                &mut table,
                message,
                (*kind, *code, *word),
                got.ip.source.is_ipv6(),
            );
        }
        (body, seen) => table.row("protocol", body_name(body), carried_name(seen)),
    }
    compare_ip(&mut table, &expected.ip, &got.ip, map);
    if table.0.iter().all(|field| field.agree) {
        learn_timestamp(expected, got, map);
    }
    table.0
}

const fn body_name(body: &Body) -> &'static str {
    match body {
        Body::Tcp(_) => "TCP",
        Body::Udp(_) => "UDP",
        Body::Icmp(_) => "ICMP",
        Body::Foreign(_) => "another",
    }
}

fn carried_name(body: &Carried) -> String {
    match body {
        Carried::Tcp(_) => "TCP".to_owned(),
        Carried::Icmp { .. } => "ICMP".to_owned(),
        Carried::Other(17) => "UDP".to_owned(),
        Carried::Other(number) => format!("protocol {number}"),
    }
}

fn compare_tcp(
    table: &mut Table,
    (tcp, seen): (&TcpPacket, &ObservedTcp),
    map: &WireMap,
    rules: &Rules,
) {
    let syn = seen.syn();
    let header = &seen.header;
    // Where text is a range of octets, PSH marks nothing.
    let ignored = if rules.lenient.has(Leniency::Segmentation) {
        PSH
    } else {
        0
    };
    table.row(
        "flags",
        flag_letters(flag_bits(&tcp.flags.value) & !ignored),
        flag_letters(header.flags & !ignored),
    );
    match tcp.seq.value {
        Seq::Range {
            start, absolute, ..
        } => {
            let got = if absolute {
                header.sequence
            } else {
                map.seq_out(header.sequence, syn)
            };
            table.row("seq", start, got);
        }
        Seq::Any { .. } => {}
    }
    table.row("text", tcp.seq.value.length(), seen.text);
    if tcp.flags.value.ack {
        table.row(
            "ack",
            tcp.ack.map_or(0, |ack| ack.value),
            map.ack_out(header.acknowledgement, syn),
        );
    }
    if let Some(window) = tcp.window.filter(|_| !rules.lenient.has(Leniency::Window)) {
        table.row("win", window.value, header.window);
    }
    table.row(
        "urg",
        tcp.urgent.map_or(0, |urgent| urgent.value),
        header.urgent,
    );
    if seen.reserved != 0 {
        table.row("reserved bits", 0, seen.reserved);
    }
    if !seen.zero {
        table.row("text of zeros", true, false);
    }
    compare_options(table, tcp, seen, map, rules);
}

/// Numbers as they are: expected options are compared in the script's.
struct AsIs;

impl Numbers for AsIs {
    fn edge(&self, script: u32) -> u32 {
        script
    }
    fn echo(&self, script: u32, _: bool) -> Result<u32, String> {
        Ok(script)
    }
}

fn expected_options(options: &[crate::span::Spanned<TcpOption>]) -> Vec<Seen> {
    let mut seen = Vec::new();
    for option in options {
        if let TcpOption::Timestamp { value, echo, .. } = &option.value {
            seen.push(Seen::Timestamp {
                value: value.unwrap_or(0),
                echo: *echo,
            });
            continue;
        }
        let mut octets = Vec::new();
        // What cannot be encoded was reported as unsupported before.
        if tcp_options::encode(&option.value, &AsIs, &mut octets).is_ok() {
            match option.value {
                TcpOption::Eol => seen.push(Seen::Eol),
                _ => seen.extend(tcp_options::read(&octets, &|edge| edge).unwrap_or_default()),
            }
        }
    }
    seen
}

fn compare_options(
    table: &mut Table,
    tcp: &TcpPacket,
    seen: &ObservedTcp,
    map: &WireMap,
    rules: &Rules,
) {
    let Options::Exact(expected) = &tcp.options.value else {
        return;
    };
    let got = match tcp_options::read(&seen.options, &|edge| map.remote_out(edge)) {
        Ok(got) => got,
        Err(fault) => {
            table.judged("options", &tcp.options.value, fault, false);
            return;
        }
    };
    let wanted = expected_options(expected);
    // TSval in the script's numbers, to be shown beside the script's.
    let shown: Vec<Seen> = got
        .iter()
        .map(|option| match option {
            Seen::Timestamp { value, echo } => {
                let value = map.timestamp_out(*value).unwrap_or(*value);
                Seen::Timestamp { value, echo: *echo }
            }
            other => other.clone(),
        })
        .collect();
    let agree = if rules.lenient.has(Leniency::Options) {
        sorted(&wanted) == sorted(&got)
    } else {
        stripped(&wanted) == stripped(&got)
    };
    table.judged(
        "options",
        tcp_options::words(&wanted),
        tcp_options::words(&shown),
        agree,
    );
    // The first pair fixes the offset: before it there is nothing to compare with.
    let paired = map.timestamp_out(0).is_some();
    if agree {
        let tick = if paired { rules.timestamp_tick } else { 0 };
        let rules = &Rules {
            timestamp_tick: tick,
            ..*rules
        };
        compare_timestamps(table, (&wanted, expected), &shown, rules);
    }
}

/// Without the numbers of timestamps, which have rules of their own.
fn stripped(options: &[Seen]) -> Vec<Seen> {
    let strip = |option: &Seen| match option {
        Seen::Timestamp { .. } => Seen::Timestamp { value: 0, echo: 0 },
        other => other.clone(),
    };
    options.iter().map(strip).collect()
}

/// As a set: without padding, order, and the value of window scale.
fn sorted(options: &[Seen]) -> Vec<(u8, Vec<u8>)> {
    let mut set: Vec<(u8, Vec<u8>)> = stripped(options)
        .into_iter()
        .filter_map(|option| match option {
            Seen::Nop | Seen::Eol => None,
            Seen::Timestamp { .. } => Some((kind::KIND_TIMESTAMPS, Vec::new())),
            Seen::Other {
                kind: kind::KIND_WINDOW_SCALE,
                ..
            } => Some((kind::KIND_WINDOW_SCALE, Vec::new())),
            Seen::Other { kind, data } => Some((kind, data)),
        })
        .collect();
    set.sort();
    set
}

fn timestamp(options: &[Seen]) -> Option<(u32, u32)> {
    options.iter().find_map(|option| match option {
        Seen::Timestamp { value, echo } => Some((*value, *echo)),
        _ => None,
    })
}

fn compare_timestamps(
    table: &mut Table,
    (wanted, options): (&[Seen], &[crate::span::Spanned<TcpOption>]),
    shown: &[Seen],
    rules: &Rules,
) {
    let (Some(wanted), Some(got)) = (timestamp(wanted), timestamp(shown)) else {
        return;
    };
    let unchecked = options
        .iter()
        .any(|option| matches!(option.value, TcpOption::Timestamp { value: None, .. }));
    if rules.timestamp_tick > 0 && !unchecked {
        let distance = wanted.0.wrapping_sub(got.0).cast_signed().unsigned_abs();
        let agree =
            u64::from(distance).saturating_mul(rules.timestamp_tick) <= rules.timestamp_slack;
        if !agree {
            table.judged("TS val", wanted.0, got.0, false);
        }
    }
    if rules.check_echo {
        table.row("TS ecr", wanted.1, got.1);
    }
}

fn compare_ip(table: &mut Table, expected: &IpInfo, got: &ObservedIp, map: &mut WireMap) {
    if let Some(tos) = expected.tos {
        table.row(
            "tos",
            format!("{:#04x}", tos.value),
            format!("{:#04x}", got.tos),
        );
    }
    if let Some(dscp) = expected.dscp {
        table.row("dscp", dscp.value, got.tos >> 2);
    }
    if let Some(ecn) = expected.ecn {
        let live = match got.tos & 3 {
            0 => IpEcn::NotEct,
            1 => IpEcn::Ect1,
            2 => IpEcn::Ect0,
            _ => IpEcn::Ce,
        };
        let agree = match ecn.value {
            IpEcn::Ect0Or1 => matches!(live, IpEcn::Ect0 | IpEcn::Ect1),
            wanted => wanted == live,
        };
        table.judged("ecn", ecn.value, live, agree);
    }
    if let Some(ttl) = expected.ttl {
        table.row("ttl", ttl.value, got.ttl);
    }
    if let Some(label) = expected.flow_label {
        let agree = map.flow_label_fits(label.value, got.flow_label);
        table.judged(
            "flowlabel",
            format!("{:#x}", label.value),
            format!("{:#x}", got.flow_label),
            agree,
        );
    }
    if !got.plain {
        table.row("IP header", "plain", "options or fragment");
    }
}

fn compare_icmp(
    table: &mut Table,
    expected: &IcmpPacket,
    (kind, code, word): (u8, u8, [u8; 4]),
    v6: bool,
) {
    let version = if v6 { Version::V6 } else { Version::V4 };
    let name = expected.code.as_ref().map(|code| code.value.as_str());
    match icmp::resolve(version, &expected.kind.value, name) {
        Ok((wanted_kind, wanted_code)) => {
            table.row("ICMP type", wanted_kind, kind);
            table.row("ICMP code", wanted_code, code);
        }
        Err(unknown) => table.judged("ICMP type", unknown, kind, false),
    }
    let [a, b, c, d] = word;
    if let Some(mtu) = expected.mtu {
        let got = if v6 {
            u32::from_be_bytes(word)
        } else {
            u32::from(u16::from_be_bytes([c, d]))
        };
        table.row("mtu", mtu.value, got);
    }
    if let Some(id) = expected.id {
        table.row("id", id.value, u16::from_be_bytes([a, b]));
    }
}

fn learn_timestamp(expected: &Packet, got: &Observed, map: &mut WireMap) {
    let (Body::Tcp(tcp), Carried::Tcp(seen)) = (&expected.body, &got.body) else {
        return;
    };
    let Options::Exact(options) = &tcp.options.value else {
        return;
    };
    let script = options.iter().find_map(|option| match option.value {
        TcpOption::Timestamp { value, .. } => value,
        _ => None,
    });
    let live = tcp_options::read(&seen.options, &|edge| edge)
        .ok()
        .and_then(|got| timestamp(&got));
    if let (Some(script), Some((live, _))) = (script, live) {
        map.learn_timestamp(script, live);
    }
}

/// The names of the fields that differ, and how, in one line.
pub(crate) fn summary(fields: &[FieldPair]) -> String {
    let differing: Vec<String> = fields
        .iter()
        .filter(|field| !field.agree)
        .map(|field| {
            format!(
                "{} expected {}, got {}",
                field.name, field.expected, field.got
            )
        })
        .collect();
    differing.join("; ")
}
