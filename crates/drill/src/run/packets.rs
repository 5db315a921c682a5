//! Packets of the script: injected, and expected.

use std::net::SocketAddr;

use woshou_wire::tcp::TcpHeader;

use super::{PATIENCE, Runner};
use crate::ast::{
    Body, IcmpPacket, IpEcn, IpInfo, Options, Packet, Quoted, Seq, TcpOption, TcpPacket,
};
use crate::build::{self, IcmpFields, IpFields, Quote};
use crate::expect::{self, flag_bits};
use crate::icmp::{self, Version};
use crate::lenient::Leniency;
use crate::observed::{Carried, Observed, ObservedTcp};
use crate::report::Stop;
use crate::schedule::{Due, Seconds};
use crate::settings::IpVersion;
use crate::span::{Span, Spanned};
use crate::tcp_options::{self, Numbers};
use crate::wire_map::{UnknownTimestamp, WireMap};

const FLAG_SYN: u16 = 1 << 1;
const FLAG_ACK: u16 = 1 << 4;

/// Options of injected segments, in the numbers of one flow.
struct Inbound<'a> {
    map: &'a WireMap,
    scaled: bool,
    /// The segment has no ACK: its echo means nothing.
    optional: bool,
}

impl Numbers for Inbound<'_> {
    fn edge(&self, script: u32) -> u32 {
        self.map.local_in(script)
    }

    fn echo(&self, script: u32, absolute: bool) -> Result<u32, String> {
        if absolute {
            return Ok(script);
        }
        self.map
            .echo_in(script, self.scaled, self.optional)
            .map_err(|UnknownTimestamp(value)| {
                format!("no segment left with the timestamp {value} that this one echoes")
            })
    }
}

fn ip_fields(info: &IpInfo, source: SocketAddr, destination: SocketAddr) -> IpFields {
    let mut ip = IpFields::plain(source.ip(), destination.ip());
    let ecn = info.ecn.map_or(0, |ecn| match ecn.value {
        IpEcn::NotEct => 0,
        IpEcn::Ect1 => 1,
        IpEcn::Ect0 | IpEcn::Ect0Or1 => 2,
        IpEcn::Ce => 3,
    });
    let dscp = info.dscp.map_or(0, |dscp| dscp.value << 2);
    ip.tos = info.tos.map_or(dscp | ecn, |tos| tos.value);
    ip.ttl = info.ttl.map_or(ip.ttl, |ttl| ttl.value);
    ip.flow_label = info.flow_label.map_or(0, |label| label.value & 0xf_ffff);
    ip
}

impl Runner<'_> {
    // ---- into the stack ----

    pub(super) fn inject(&mut self, packet: &Packet) -> Result<(), Stop> {
        match &packet.body {
            Body::Tcp(tcp) => self.inject_tcp(packet, tcp),
            Body::Icmp(message) => self.inject_icmp(packet, message),
            Body::Udp(_) => Err(Stop::unsupported(packet.span, "UDP")),
            Body::Foreign(foreign) => Err(Stop::unsupported(
                packet.span,
                foreign.protocol.value.clone(),
            )),
        }
    }

    fn hand_over(
        &mut self,
        octets: &[u8],
        segment_size: Option<u16>,
        span: Span,
    ) -> Result<(), Stop> {
        self.world
            .inject(octets, segment_size)
            .map_err(|overrun| Self::overrun(span, overrun))?;
        self.poll_pending()
    }

    fn inject_tcp(&mut self, packet: &Packet, tcp: &TcpPacket) -> Result<(), Stop> {
        let span = packet.span;
        let flags = flag_bits(&tcp.flags.value);
        let (syn, ack) = (flags & FLAG_SYN != 0, flags & FLAG_ACK != 0);
        let scaled = self.settings.echo_scaled;
        let Some(flow) = self.flows.of_injected(&self.settings) else {
            return Err(Stop::error(span, "too many connections"));
        };
        let (Some(mut remote), Some(mut local)) = (flow.remote, flow.local) else {
            return Err(Stop::error(
                span,
                "the connection has sent nothing yet, and its port is not known",
            ));
        };
        if let Some(ports) = tcp.ports {
            remote.set_port(ports.source.value);
            local.set_port(ports.destination.value);
        }
        let Seq::Range { start, length, .. } = tcp.seq.value else {
            return Err(Stop::error(
                tcp.seq.span,
                "an injected segment needs a sequence number",
            ));
        };
        if syn {
            flow.injected_syn(start, ack);
        }
        let header = TcpHeader {
            source_port: remote.port(),
            destination_port: local.port(),
            ..inbound_header(tcp, &flow.map)
        };
        let numbers = Inbound {
            map: &flow.map,
            scaled,
            optional: !ack,
        };
        let options = inbound_options(&tcp.options, &numbers)?;
        let ip = ip_fields(&packet.ip, remote, local);
        let Some(octets) = build::tcp(&ip, &header, &options, length) else {
            return Err(Stop::error(span, "the packet is too long for IP"));
        };
        let headers = build::ip_header_len(local.ip()) + 20 + options.len();
        let step = self.segment_size(headers, octets.len());
        self.hand_over(&octets, step, span)
    }

    /// What no link carries in one piece was put together from segments on the way in: of so many octets.
    fn segment_size(&self, headers: usize, packet: usize) -> Option<u16> {
        let mtu = self.world.mtu();
        let fits = mtu.saturating_sub(headers).clamp(1, 65_535);
        let step = self
            .settings
            .mss
            .unwrap_or(u16::try_from(fits).unwrap_or(u16::MAX));
        let too_long = self.settings.mss.is_some() || packet > mtu;
        (too_long && packet.saturating_sub(headers) > usize::from(step)).then_some(step)
    }

    fn inject_icmp(&mut self, packet: &Packet, message: &IcmpPacket) -> Result<(), Stop> {
        let span = packet.span;
        let version = match self.settings.version {
            IpVersion::V6 => Version::V6,
            IpVersion::V4 | IpVersion::Mapped => Version::V4,
        };
        let code = message.code.as_ref().map(|code| code.value.as_str());
        let (kind, code) =
            icmp::resolve(version, &message.kind.value, code).map_err(|unknown| {
                Stop::error(span, format!("there is no {unknown} in this IP version"))
            })?;
        let Some(flow) = self.flows.of_injected(&self.settings) else {
            return Err(Stop::error(span, "too many connections"));
        };
        let (Some(remote), Some(local)) = (flow.remote, flow.local) else {
            return Err(Stop::error(
                span,
                "the connection has sent nothing yet, and its port is not known",
            ));
        };
        let quote = message.quoted.map(|quoted| match quoted.value {
            Quoted::Tcp(Seq::Range {
                start,
                length,
                absolute,
            }) => {
                let seq = if absolute {
                    start
                } else {
                    flow.map.local_in(start)
                };
                Quote::Tcp { seq, text: length }
            }
            Quoted::Tcp(Seq::Any { length }) => Quote::Tcp {
                seq: flow.map.local_in(0),
                text: length,
            },
            Quoted::Udp(length) => Quote::Udp(length),
            Quoted::Raw(length) => Quote::Raw(length),
        });
        let quoted = match quote {
            Some(quote) => build::quote(local, remote, quote)
                .ok_or_else(|| Stop::error(span, "the quoted packet is too long for IP"))?,
            None => Vec::new(),
        };
        let fields = IcmpFields {
            kind,
            code,
            mtu: message.mtu.map(|mtu| mtu.value),
            id: message.id.map(|id| id.value),
        };
        let ip = ip_fields(&packet.ip, remote, local);
        let octets = build::icmp(&ip, &fields, &quoted)
            .ok_or_else(|| Stop::error(span, "the packet is too long for IP"))?;
        self.hand_over(&octets, None, span)
    }

    /// At the end of a script the peer of every socket goes away: a RST that fits.
    pub(super) fn reset_peer(&mut self) {
        let Some(flow) = self.flows.under_test() else {
            return;
        };
        let (Some(remote), Some(local)) = (flow.remote, flow.local) else {
            return;
        };
        let last = self
            .world
            .sniffed
            .iter()
            .rev()
            .find_map(|packet| match &packet.body {
                Carried::Tcp(tcp) if packet.ip.destination == remote => Some(tcp.header),
                _ => None,
            });
        let Some(last) = last else {
            return;
        };
        let header = TcpHeader {
            source_port: remote.port(),
            destination_port: local.port(),
            sequence: last.acknowledgement,
            acknowledgement: last.sequence,
            flags: 1 << 2 | FLAG_ACK,
            ..TcpHeader::default()
        };
        if let Some(octets) = build::tcp(&IpFields::plain(remote.ip(), local.ip()), &header, &[], 0)
        {
            let _ = self.world.inject(&octets, None);
        }
    }

    // ---- out of the stack ----

    pub(super) fn expect(&mut self, packet: &Packet, due: Due, span: Span) -> Result<(), Stop> {
        let deadline = due.deadline(PATIENCE);
        let got = loop {
            let got = self.gather(packet, deadline, due, span)?;
            let fields = self.compare(packet, &got);
            if fields.iter().all(|field| field.agree) {
                break got;
            }
            let surplus = matches!(&got.body, Carried::Tcp(tcp) if tcp.is_pure_ack());
            if surplus && self.lenient().has(Leniency::Acks) {
                continue;
            }
            let message = format!(
                "packet at {} s: {}",
                Seconds(got.at),
                expect::summary(&fields)
            );
            return Err(Stop::fields(span, message, fields));
        };
        let at = match due {
            Due::At(at) | Due::Between(at, _) => at,
            Due::Any => got.at,
        };
        let slack = self.schedule.slack(at, &self.settings.tolerance);
        let pure_ack = matches!(&got.body, Carried::Tcp(tcp) if tcp.is_pure_ack());
        if !(pure_ack && self.lenient().has(Leniency::Acks)) {
            due.check(got.at, slack)
                .map_err(|wrong| Stop::fail(span, format!("time: {wrong}")))?;
        }
        self.finish(due);
        Ok(())
    }

    fn compare(&mut self, packet: &Packet, got: &Observed) -> Vec<crate::report::FieldPair> {
        let mut rules = self.rules;
        rules.timestamp_slack = self.settings.tolerance.slack(got.at);
        let mut none = WireMap::default();
        let Some(flow) = self.flows.under_test() else {
            return expect::compare(packet, got, &mut none, &rules);
        };
        if let (Carried::Tcp(seen), Body::Tcp(tcp)) = (&got.body, &packet.body) {
            let script = match tcp.seq.value {
                Seq::Range {
                    start,
                    absolute: false,
                    ..
                } if tcp.flags.value.syn => Some(start),
                _ => None,
            };
            flow.leaves(&seen.header, script);
        }
        expect::compare(packet, got, &mut flow.map, &rules)
    }

    /// The next packet of the flow under test; text that the script expects in one piece is put together.
    fn gather(
        &mut self,
        packet: &Packet,
        deadline: Option<u64>,
        due: Due,
        span: Span,
    ) -> Result<Observed, Stop> {
        let (ports, text) = match &packet.body {
            Body::Tcp(tcp) => {
                let ports = tcp
                    .ports
                    .map(|ports| (ports.source.value, ports.destination.value));
                (ports, usize::from(tcp.seq.value.length()))
            }
            _ => (None, 0),
        };
        let nothing = || Stop::fail(span, format!("expected at {due} s, and nothing left"));
        let mut got = self
            .next_packet(deadline, ports, span)?
            .ok_or_else(nothing)?;
        let ranges = self.lenient().has(Leniency::Segmentation);
        if !(ranges || self.rules.aggregate) {
            return Ok(got);
        }
        let mut step = None;
        loop {
            let Carried::Tcp(first) = &got.body else {
                return Ok(got);
            };
            if first.text == 0 || first.syn() || text == 0 || first.text == text {
                return Ok(got);
            }
            if first.text > text {
                if ranges {
                    let (first, rest) = first.split(text);
                    let rest = Observed {
                        body: Carried::Tcp(rest),
                        ..got.clone()
                    };
                    self.world.sniffed.push_front(rest);
                    got.body = Carried::Tcp(first);
                }
                return Ok(got);
            }
            let so_far = first.text;
            let step = *step.get_or_insert(so_far);
            let missing = || {
                let message =
                    format!("text expected {text}, got {so_far} octets, and nothing after them");
                Stop::fail(span, message)
            };
            let next = self
                .next_packet(deadline, ports, span)?
                .ok_or_else(missing)?;
            got = join(got, next, text, (!ranges).then_some(step))
                .map_err(|why| Stop::fail(span, why))?;
        }
    }

    /// The next packet that leaves the flow under test, at or before `deadline`.
    fn next_packet(
        &mut self,
        deadline: Option<u64>,
        ports: Option<(u16, u16)>,
        span: Span,
    ) -> Result<Option<Observed>, Stop> {
        loop {
            while let Some(packet) = self.world.sniffed.pop_front() {
                if self.flows.is_ours(&packet, ports) {
                    return Ok(Some(packet));
                }
            }
            if !self.tick(deadline.unwrap_or(crate::MAX_TIME.saturating_mul(4)), span)? {
                return Ok(None);
            }
        }
    }
}

/// One packet of `got` and the `next` one, where they go together. `step`: the octets that every piece but the last must
/// have; without it pieces may be of any size.
fn join(
    got: Observed,
    next: Observed,
    text: usize,
    step: Option<usize>,
) -> Result<Observed, String> {
    let (Carried::Tcp(first), Carried::Tcp(second)) = (&got.body, &next.body) else {
        return Err("in the middle of the text a packet of another protocol left".to_owned());
    };
    let whole = first.text + second.text;
    if second.text == 0 {
        return Err(format!(
            "text expected {text}, got {} octets, and then a segment without text",
            first.text
        ));
    }
    if let Err(what) = first.continues_with(second)
        && (step.is_some() || matches!(what, "sequence number" | "flags"))
    {
        return Err(format!(
            "text expected {text}, got {whole} octets whose pieces differ: {what}"
        ));
    }
    // Compared as one packet it would differ in flags as well: those of the last piece, which belong elsewhere.
    if step.is_some() && whole > text {
        return Err(format!(
            "text expected {text}, got {whole} octets in pieces"
        ));
    }
    if let Some(step) = step
        && whole < text
        && second.text != step
    {
        return Err(format!(
            "text expected {text}, got pieces of {step} and of {} octets",
            second.text
        ));
    }
    let body: ObservedTcp = first.joined(second.clone());
    Ok(Observed {
        body: Carried::Tcp(body),
        ..next
    })
}

/// The header of an injected segment, without ports.
fn inbound_header(tcp: &TcpPacket, map: &WireMap) -> TcpHeader {
    let flags = flag_bits(&tcp.flags.value);
    let syn = flags & FLAG_SYN != 0;
    TcpHeader {
        sequence: match tcp.seq.value {
            Seq::Range {
                start,
                absolute: true,
                ..
            } => start,
            Seq::Range { start, .. } => map.seq_in(start, syn),
            Seq::Any { .. } => 0,
        },
        acknowledgement: tcp.ack.map_or(0, |ack| map.ack_in(ack.value, syn)),
        flags,
        window: tcp.window.map_or(0, |window| window.value),
        urgent: tcp.urgent.map_or(0, |urgent| urgent.value),
        ..TcpHeader::default()
    }
}

/// The octets of the options of an injected segment.
fn inbound_options(options: &Spanned<Options>, numbers: &dyn Numbers) -> Result<Vec<u8>, Stop> {
    let Options::Exact(list) = &options.value else {
        return Err(Stop::error(
            options.span,
            "an injected segment needs its options",
        ));
    };
    let mut octets = Vec::new();
    for option in list {
        let encoded: &TcpOption = &option.value;
        tcp_options::encode(encoded, numbers, &mut octets)
            .map_err(|why| Stop::error(option.span, why))?;
    }
    if octets.len() % 4 != 0 {
        return Err(Stop::error(
            options.span,
            format!(
                "the options take {} octets, which is no multiple of four: pad them",
                octets.len()
            ),
        ));
    }
    if octets.len() > 40 {
        return Err(Stop::error(
            options.span,
            "the options take more than 40 octets",
        ));
    }
    Ok(octets)
}
