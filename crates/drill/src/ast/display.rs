//! Prints what was read as canonical script text: what it prints reads as the same.

use core::fmt::{self, Display, Formatter};

use super::{
    AccEcnOrder, Action, Body, Call, Code, Command, Cookie, Direction, EcnFlags, Encapsulation,
    Event, Expr, ExprKind, Field, Flags, IcmpPacket, IpEcn, IpInfo, Md5, Options, Packet, Ports,
    Quoted, Seq, TcpOption, TcpPacket, UdpPacket, When,
};
use crate::span::Spanned;

impl<T: Display> Display for Spanned<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// Prints ` name value` if there is a value.
fn optional<T: Display>(f: &mut Formatter<'_>, name: &str, value: Option<&T>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, " {name} {value}"))
}

fn separated<T: Display>(f: &mut Formatter<'_>, items: &[T], separator: &str) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        let before = if index > 0 { separator } else { "" };
        write!(f, "{before}{item}")?;
    }
    Ok(())
}

fn hex(f: &mut Formatter<'_>, octets: &[u8]) -> fmt::Result {
    octets.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
}

/// Microseconds as seconds, without zeros at the end.
struct Seconds(u64);

impl Display for Seconds {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{rest:06}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl Display for When {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Absolute(at) => write!(f, "{}", Seconds(at)),
            Self::Relative(after) => write!(f, "+{}", Seconds(after)),
            Self::Any => f.write_str("*"),
            Self::AbsoluteRange(from, to) => write!(f, "{}~{}", Seconds(from), Seconds(to)),
            Self::RelativeRange(from, to) => write!(f, "+{}~+{}", Seconds(from), Seconds(to)),
        }
    }
}

impl Display for Event {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let when = &self.when;
        match &self.action {
            Action::Packet(packet) => write!(f, "{when} {packet}"),
            Action::Call(call) if call.returns.is_some() => write!(f, "{when}{call}"),
            Action::Call(call) => write!(f, "{when} {call}"),
            Action::Command(command) => write!(f, "{when} {command}"),
            Action::Code(code) => write!(f, "{when} {code}"),
        }
    }
}

impl Display for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.text)
    }
}

impl Display for Code {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "%{{ {} }}%", self.text)
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(returns) = &self.returns {
            write!(f, "...{} ", Seconds(returns.value))?;
        }
        write!(f, "{}(", self.name)?;
        separated(f, &self.arguments, ", ")?;
        write!(f, ") = {}", self.result)?;
        if let Some(errno) = &self.errno {
            write!(f, " {errno}")?;
        }
        self.note
            .as_ref()
            .map_or(Ok(()), |note| write!(f, " ({note})"))
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Ellipsis => f.write_str("..."),
            ExprKind::Int { value, hex: true } => write!(f, "{value:#x}"),
            ExprKind::Int { value, hex: false } => write!(f, "{value}"),
            ExprKind::Word(word) => f.write_str(word),
            ExprKind::Str(text) => write!(f, "\"{text}\""),
            ExprKind::Prefix(text) => write!(f, "\"{text}\"..."),
            ExprKind::Address(address) => write!(f, "{address}"),
            ExprKind::Or(operands) => separated(f, operands, "|"),
            ExprKind::Assign(name, value) => write!(f, "{name}={value}"),
            ExprKind::List(elements) => {
                f.write_str("[")?;
                separated(f, elements, ", ")?;
                f.write_str("]")
            }
            ExprKind::Struct(fields) => {
                f.write_str("{")?;
                separated(f, fields, ", ")?;
                f.write_str("}")
            }
            ExprKind::Function(name, arguments) => {
                write!(f, "{name}(")?;
                separated(f, arguments, ", ")?;
                f.write_str(")")
            }
            ExprKind::Opaque(text) => write!(f, "{{{text}}}"),
        }
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name}")?;
            if let Some(count) = &self.count {
                write!(f, "({count})")?;
            }
            f.write_str("=")?;
        }
        write!(f, "{}", self.value)
    }
}

impl Display for Direction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::In => "<",
            Self::Out => ">",
        })
    }
}

impl Display for Packet {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.direction)?;
        for header in &self.outer {
            write!(f, " {header}")?;
        }
        write!(f, "{}", self.ip)?;
        optional(f, "encap psp spi", self.psp_spi.as_ref())?;
        match &self.body {
            Body::Tcp(tcp) => write!(f, " {tcp}"),
            Body::Udp(udp) => write!(f, " {udp}"),
            Body::Icmp(icmp) => write!(f, " {icmp}"),
            Body::Foreign(foreign) => write!(f, " {}{}", foreign.protocol, foreign.text),
        }
    }
}

impl Display for Encapsulation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv4 {
                ip,
                source,
                destination,
            } => {
                write!(f, "ipv4{ip} {source} > {destination} :")
            }
            Self::Ipv6 {
                ip,
                source,
                destination,
            } => {
                write!(f, "ipv6{ip} {source} > {destination} :")
            }
            Self::Gre(text) if text.value.is_empty() => f.write_str("gre :"),
            Self::Gre(text) => write!(f, "gre {text} :"),
            Self::Mpls(labels) => {
                f.write_str("mpls")?;
                for label in labels {
                    let bottom = if label.bottom { "[S], " } else { "" };
                    let (number, class, ttl) = (label.label, label.traffic_class, label.ttl);
                    write!(f, " (label {number}, tc {class}, {bottom}ttl {ttl})")?;
                }
                f.write_str(" :")
            }
        }
    }
}

/// With a space before it, unless nothing is said.
impl Display for IpInfo {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = [
            self.tos
                .as_ref()
                .map(|tos| format!("tos {:#04x}", tos.value)),
            self.dscp
                .as_ref()
                .map(|dscp| format!("dscp {:#04x}", dscp.value)),
            self.ecn.as_ref().map(|ecn| match self.dscp {
                Some(_) => format!("ecn {ecn}"),
                None => ecn.to_string(),
            }),
            self.flow_label
                .as_ref()
                .map(|label| format!("flowlabel {:#x}", label.value)),
            self.ttl.as_ref().map(|ttl| format!("ttl {ttl}")),
        ]
        .into_iter()
        .flatten()
        .collect();
        if parts.is_empty() {
            Ok(())
        } else {
            write!(f, " [{}]", parts.join(", "))
        }
    }
}

impl Display for IpEcn {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotEct => "noecn",
            Self::Ect1 => "ect1",
            Self::Ect0 => "ect0",
            Self::Ce => "ce",
            Self::Ect0Or1 => "ect01",
        })
    }
}

impl Display for Ports {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {}", self.source, self.destination)
    }
}

/// Prints `/udp(source > destination)` if there is such a header.
fn in_udp(f: &mut Formatter<'_>, ports: Option<&Ports>) -> fmt::Result {
    ports.map_or(Ok(()), |ports| write!(f, " /udp({ports})"))
}

impl Display for TcpPacket {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(ports) = &self.ports {
            write!(f, "{ports} ")?;
        }
        write!(f, "{} {}", self.flags, self.seq)?;
        optional(f, "ack", self.ack.as_ref())?;
        optional(f, "win", self.window.as_ref())?;
        optional(f, "urg", self.urgent.as_ref())?;
        match &self.options.value {
            Options::Exact(list) if list.is_empty() => {}
            options => write!(f, " {options}")?,
        }
        in_udp(f, self.udp.as_ref())
    }
}

impl Display for Flags {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (ece, cwr, ae, ace) = match self.ecn {
            EcnFlags::Letters { ece, cwr, ae } => (ece, cwr, ae, None),
            EcnFlags::Ace(value) => (false, false, false, Some(value)),
        };
        let letters = [
            (self.fin, 'F'),
            (self.syn, 'S'),
            (self.rst, 'R'),
            (self.psh, 'P'),
            (ece, 'E'),
            (cwr, 'W'),
            (ae, 'A'),
            (self.urg, 'U'),
            (self.ack, '.'),
        ];
        let text: String = letters
            .iter()
            .filter(|(set, _)| *set)
            .map(|(_, c)| *c)
            .collect();
        match ace {
            Some(value) => write!(f, "{text}{value}"),
            None if text.is_empty() => f.write_str("-"),
            None => f.write_str(&text),
        }
    }
}

impl Display for Seq {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Range {
                start,
                length,
                absolute,
            } => {
                let end = start.wrapping_add(u32::from(length));
                write!(
                    f,
                    "{start}:{end}({length}){}",
                    if absolute { "!" } else { "" }
                )
            }
            Self::Any { length } => write!(f, "...({length})"),
        }
    }
}

impl Display for Options {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("<")?;
        match self {
            Self::Exact(list) => separated(f, list, ",")?,
            Self::Unchecked => f.write_str("...")?,
        }
        f.write_str(">")
    }
}

impl Display for TcpOption {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nop => f.write_str("nop"),
            Self::Eol => f.write_str("eol"),
            Self::Mss(mss) => write!(f, "mss {mss}"),
            Self::WindowScale(shift) => write!(f, "wscale {shift}"),
            Self::SackPermitted => f.write_str("sackOK"),
            Self::Sack(blocks) => {
                f.write_str("sack")?;
                blocks
                    .iter()
                    .try_for_each(|block| write!(f, " {}:{}", block.left, block.right))
            }
            Self::Timestamp {
                value,
                echo,
                echo_absolute,
            } => {
                let value = value.map_or("...".to_owned(), |value| value.to_string());
                write!(
                    f,
                    "TS val {value} ecr {echo}{}",
                    if *echo_absolute { "!" } else { "" }
                )
            }
            Self::Md5(Md5::Valid) => f.write_str("md5 valid"),
            Self::Md5(Md5::Digest(digest)) => {
                f.write_str("md5 ")?;
                hex(f, digest)
            }
            Self::FastOpen {
                cookie,
                experimental,
            } => {
                f.write_str(if *experimental { "FOEXP" } else { "FO" })?;
                write!(f, "{cookie}")
            }
            Self::AccEcn {
                order,
                counters,
                experimental,
            } => acc_ecn(f, *order, counters, *experimental),
            Self::AckRate(None) => f.write_str("exp-tarr"),
            Self::AckRate(Some(rate)) => write!(f, "exp-tarr {rate}"),
            Self::Generic { kind, data } => {
                write!(f, "gen-{kind} ")?;
                hex(f, data)
            }
        }
    }
}

fn acc_ecn(
    f: &mut Formatter<'_>,
    order: AccEcnOrder,
    counters: &[u32],
    experimental: bool,
) -> fmt::Result {
    f.write_str(if experimental { "exp-" } else { "" })?;
    let (name, fields) = match order {
        AccEcnOrder::E0First => ("AccECN0", ["ee0b", "eceb", "ee1b"]),
        AccEcnOrder::E1First => ("AccECN1", ["ee1b", "eceb", "ee0b"]),
    };
    f.write_str(name)?;
    fields
        .iter()
        .zip(counters)
        .try_for_each(|(field, counter)| write!(f, " {field} {counter}"))
}

/// With a space before it, unless it is empty.
impl Display for Cookie {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request => Ok(()),
            Self::Octets(octets) => {
                f.write_str(" ")?;
                hex(f, octets)
            }
            Self::Named(name) => write!(f, " {name}"),
        }
    }
}

impl Display for UdpPacket {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("udp")?;
        if let Some(ports) = &self.ports {
            write!(f, " {ports}")?;
        }
        write!(f, " ({})", self.length)
    }
}

impl Display for IcmpPacket {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "icmp {}", self.kind)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        optional(f, "mtu", self.mtu.as_ref())?;
        optional(f, "id", self.id.as_ref())?;
        let Some(quoted) = &self.quoted else {
            return Ok(());
        };
        write!(f, " [{}", quoted.value)?;
        in_udp(f, self.udp.as_ref())?;
        f.write_str("]")
    }
}

impl Display for Quoted {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(seq) => write!(f, "{seq}"),
            Self::Udp(length) => write!(f, "udp ({length})"),
            Self::Raw(length) => write!(f, "raw ({length})"),
        }
    }
}
