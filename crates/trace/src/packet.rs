//! A packet as far as people want to see it, read by woshou-wire.

use std::net::{IpAddr, SocketAddr};

use woshou_tcp::{Flags, Header, SeqNum};
use woshou_wire::icmpv4::Icmpv4Message;
use woshou_wire::icmpv6::Icmpv6Message;
use woshou_wire::ipv4::Ipv4Packet;
use woshou_wire::ipv6::Ipv6Packet;
use woshou_wire::tcp::TcpSegment;
use woshou_wire::tcp_option::TcpOptions;
use woshou_wire::udp::UdpDatagram;
use woshou_wire::{ip_protocol, ip_version};

/// An IP packet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Packet {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) body: Body,
}

/// What it carries.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    Tcp(Tcp),
    /// A UDP datagram with `len` octets of text.
    Udp {
        source_port: u16,
        destination_port: u16,
        len: usize,
    },
    /// ICMP or ICMPv6, in words.
    Icmp(String),
    /// A part of a packet: `len` octets at `offset`.
    Fragment {
        protocol: u8,
        offset: u16,
        len: usize,
    },
    /// Anything else, or malformed within: `len` octets.
    Other {
        protocol: u8,
        len: usize,
    },
}

/// A TCP segment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tcp {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) header: Header,
    pub(crate) len: u32,
}

impl Packet {
    /// Reads an IP packet; `None` when it is none.
    pub(crate) fn parse(octets: &[u8]) -> Option<Self> {
        match ip_version(octets)? {
            4 => {
                let packet = Ipv4Packet::parse(octets).ok()?;
                let ends = (
                    packet.header.source.into(),
                    packet.header.destination.into(),
                );
                let protocol = packet.header.protocol;
                let len = packet.payload.len();
                let body = if packet.is_fragment() {
                    Body::Fragment {
                        protocol,
                        offset: packet.header.fragment_offset,
                        len,
                    }
                } else {
                    body(ends, protocol, packet.payload)
                };
                Some(Self {
                    source: ends.0,
                    destination: ends.1,
                    body,
                })
            }
            6 => {
                let packet = Ipv6Packet::parse(octets).ok()?;
                let ends = (
                    packet.header.source.into(),
                    packet.header.destination.into(),
                );
                let upper = packet.upper;
                let body = match upper.fragment.filter(|f| !f.is_atomic()) {
                    Some(part) => Body::Fragment {
                        protocol: upper.protocol,
                        offset: part.offset,
                        len: upper.payload.len(),
                    },
                    None => body(ends, upper.protocol, upper.payload),
                };
                Some(Self {
                    source: ends.0,
                    destination: ends.1,
                    body,
                })
            }
            _ => None,
        }
    }
}

fn body((source, destination): (IpAddr, IpAddr), protocol: u8, payload: &[u8]) -> Body {
    let read = match (protocol, source, destination) {
        (ip_protocol::TCP, ..) => tcp((source, destination), payload),
        (ip_protocol::UDP, ..) => UdpDatagram::parse(payload).ok().map(|udp| Body::Udp {
            source_port: udp.header.source_port,
            destination_port: udp.header.destination_port,
            len: udp.payload.len(),
        }),
        (ip_protocol::ICMPV4, ..) => Icmpv4Message::parse(payload)
            .ok()
            .map(|message| Body::Icmp(icmpv4(&message))),
        (ip_protocol::ICMPV6, IpAddr::V6(from), IpAddr::V6(to)) => {
            Icmpv6Message::parse(from, to, payload)
                .ok()
                .map(|message| Body::Icmp(icmpv6(&message)))
        }
        _ => None,
    };
    read.unwrap_or(Body::Other {
        protocol,
        len: payload.len(),
    })
}

fn tcp((source, destination): (IpAddr, IpAddr), payload: &[u8]) -> Option<Body> {
    let segment = TcpSegment::parse(payload).ok()?;
    let header = segment.header;
    Some(Body::Tcp(Tcp {
        source: SocketAddr::new(source, header.source_port),
        destination: SocketAddr::new(destination, header.destination_port),
        header: Header {
            seq: SeqNum(header.sequence),
            ack: SeqNum(header.acknowledgement),
            flags: Flags::from_bits(header.flags),
            window: header.window,
            urgent: header.urgent,
            options: TcpOptions::parse(segment.options).unwrap_or_else(|e| e.understood),
        },
        // An IP packet is never that long.
        len: u32::try_from(segment.payload.len()).unwrap_or(u32::MAX),
    }))
}

fn icmpv4(message: &Icmpv4Message<'_>) -> String {
    use woshou_wire::icmpv4 as codes;
    match *message {
        Icmpv4Message::EchoRequest {
            identifier,
            sequence,
            ..
        } => {
            format!("icmp: echo request id {identifier} seq {sequence}")
        }
        Icmpv4Message::EchoReply {
            identifier,
            sequence,
            ..
        } => {
            format!("icmp: echo reply id {identifier} seq {sequence}")
        }
        Icmpv4Message::DestinationUnreachable {
            code,
            next_hop_mtu,
            packet,
        } => {
            let whom = quoted(packet);
            let what = match code {
                codes::CODE_NET_UNREACHABLE => "net unreachable".to_owned(),
                codes::CODE_HOST_UNREACHABLE => "host unreachable".to_owned(),
                codes::CODE_PROTOCOL_UNREACHABLE => "protocol unreachable".to_owned(),
                codes::CODE_PORT_UNREACHABLE => "port unreachable".to_owned(),
                codes::CODE_FRAGMENTATION_NEEDED => {
                    format!("unreachable - need to frag (mtu {next_hop_mtu})")
                }
                other => format!("unreachable, code {other}"),
            };
            format!("icmp:{whom} {what}")
        }
        Icmpv4Message::TimeExceeded { code, packet } => {
            format!("icmp:{} time exceeded, code {code}", quoted(packet))
        }
        Icmpv4Message::ParameterProblem {
            pointer, packet, ..
        } => {
            format!("icmp:{} parameter problem, octet {pointer}", quoted(packet))
        }
        Icmpv4Message::Other { kind, code, .. } => format!("icmp: type-{kind} code {code}"),
    }
}

/// Whom an ICMP error is about.
fn quoted(packet: &[u8]) -> String {
    Ipv4Packet::parse_quoted(packet).map_or(String::new(), |p| format!(" {}", p.header.destination))
}

fn icmpv6(message: &Icmpv6Message<'_>) -> String {
    match *message {
        Icmpv6Message::EchoRequest {
            identifier,
            sequence,
            ..
        } => {
            format!("icmp6: echo request id {identifier} seq {sequence}")
        }
        Icmpv6Message::EchoReply {
            identifier,
            sequence,
            ..
        } => {
            format!("icmp6: echo reply id {identifier} seq {sequence}")
        }
        Icmpv6Message::DestinationUnreachable { code, .. } => {
            let what = match code {
                woshou_wire::icmpv6::CODE_NO_ROUTE => "no route".to_owned(),
                woshou_wire::icmpv6::CODE_ADDRESS_UNREACHABLE => "address unreachable".to_owned(),
                woshou_wire::icmpv6::CODE_PORT_UNREACHABLE => "port unreachable".to_owned(),
                other => format!("unreachable, code {other}"),
            };
            format!("icmp6: {what}")
        }
        Icmpv6Message::PacketTooBig { mtu, .. } => format!("icmp6: packet too big (mtu {mtu})"),
        Icmpv6Message::TimeExceeded { code, .. } => format!("icmp6: time exceeded, code {code}"),
        Icmpv6Message::ParameterProblem { pointer, .. } => {
            format!("icmp6: parameter problem, octet {pointer}")
        }
        Icmpv6Message::NeighbourSolicitation { target, .. } => {
            format!("icmp6: neighbour sol: who has {target}")
        }
        Icmpv6Message::NeighbourAdvertisement { target, .. } => {
            format!("icmp6: neighbour adv: tgt is {target}")
        }
        Icmpv6Message::Other { kind, code, .. } => format!("icmp6: type-{kind} code {code}"),
    }
}
