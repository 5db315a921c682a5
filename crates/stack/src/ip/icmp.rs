//! ICMP of both families: what a host is told, and what it tells (RFC 792, RFC 4443, RFC 1122 section 3.2.2).

use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use woshou_tcp::SeqNum;
use woshou_tcp::error::PathError;
use woshou_wire::ethernet::MacAddr;
use woshou_wire::icmpv4::{self, Icmpv4Message};
use woshou_wire::icmpv6::{self, Icmpv6Message};
use woshou_wire::ip_protocol;
use woshou_wire::ipv4::Ipv4Packet;
use woshou_wire::ipv6::Ipv6Packet;
use woshou_wire::tcp::QuotedTcp;

/// Octets of a packet that an ICMPv4 error quotes: the whole stays within 576 (RFC 1812 section 4.3.2.3).
const QUOTE_V4: usize = 576 - 20 - icmpv4::HEADER_LEN;
/// Octets of a packet that an ICMPv6 error quotes.
const QUOTE_V6: usize = icmpv6::MIN_MTU - 40 - icmpv6::HEADER_LEN;

/// What an ICMP error says of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Failed(PathError),
    /// The next link carries so many octets; zero: an old router that does not say (RFC 1191 section 5).
    TooBig(u32),
}

/// A message that a host acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    Echo {
        identifier: u16,
        sequence: u16,
        data: &'a [u8],
    },
    Error {
        verdict: Verdict,
        quoted: &'a [u8],
    },
    Solicitation {
        target: Ipv6Addr,
        source_link: Option<MacAddr>,
    },
    Advertisement {
        solicited: bool,
        target: Ipv6Addr,
        target_link: Option<MacAddr>,
    },
    /// Sound, and of no interest.
    Nothing,
}

/// Reads an ICMP message; `None`: malformed or damaged.
//= rfc9293 MUST-55
pub(crate) fn parse<'a>(
    source: IpAddr,
    destination: IpAddr,
    message: &'a [u8],
) -> Option<Message<'a>> {
    match (source, destination) {
        (IpAddr::V4(_), IpAddr::V4(_)) => Icmpv4Message::parse(message).ok().map(from_v4),
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            Icmpv6Message::parse(source, destination, message)
                .ok()
                .map(from_v6)
        }
        _ => None,
    }
}

fn failed(error: PathError, quoted: &[u8]) -> Message<'_> {
    Message::Error {
        verdict: Verdict::Failed(error),
        quoted,
    }
}

fn from_v4(message: Icmpv4Message<'_>) -> Message<'_> {
    match message {
        Icmpv4Message::EchoRequest {
            identifier,
            sequence,
            data,
        } => Message::Echo {
            identifier,
            sequence,
            data,
        },
        Icmpv4Message::DestinationUnreachable {
            code,
            next_hop_mtu,
            packet,
        } => {
            let error = match code {
                icmpv4::CODE_FRAGMENTATION_NEEDED => {
                    let verdict = Verdict::TooBig(u32::from(next_hop_mtu));
                    return Message::Error {
                        verdict,
                        quoted: packet,
                    };
                }
                icmpv4::CODE_PROTOCOL_UNREACHABLE => PathError::ProtocolUnreachable,
                icmpv4::CODE_PORT_UNREACHABLE => PathError::PortUnreachable,
                // RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1.
                9 | 10 | 13 => PathError::Prohibited,
                icmpv4::CODE_NET_UNREACHABLE | 6 | 11 => PathError::NetworkUnreachable,
                _ => PathError::HostUnreachable,
            };
            failed(error, packet)
        }
        Icmpv4Message::TimeExceeded { packet, .. } => failed(PathError::TimeExceeded, packet),
        Icmpv4Message::ParameterProblem { packet, .. } => {
            failed(PathError::ParameterProblem, packet)
        }
        Icmpv4Message::EchoReply { .. } | Icmpv4Message::Other { .. } => Message::Nothing,
    }
}

fn from_v6(message: Icmpv6Message<'_>) -> Message<'_> {
    match message {
        Icmpv6Message::EchoRequest {
            identifier,
            sequence,
            data,
        } => Message::Echo {
            identifier,
            sequence,
            data,
        },
        Icmpv6Message::DestinationUnreachable { code, packet } => {
            let error = match code {
                icmpv6::CODE_NO_ROUTE | 2 => PathError::NetworkUnreachable,
                icmpv6::CODE_PORT_UNREACHABLE => PathError::PortUnreachable,
                1 | 5 | 6 => PathError::Prohibited,
                _ => PathError::HostUnreachable,
            };
            failed(error, packet)
        }
        Icmpv6Message::PacketTooBig { mtu, packet } => Message::Error {
            verdict: Verdict::TooBig(mtu),
            quoted: packet,
        },
        Icmpv6Message::TimeExceeded { packet, .. } => failed(PathError::TimeExceeded, packet),
        Icmpv6Message::ParameterProblem {
            code: icmpv6::CODE_NEXT_HEADER,
            packet,
            ..
        } => failed(PathError::ProtocolUnreachable, packet),
        Icmpv6Message::ParameterProblem { packet, .. } => {
            failed(PathError::ParameterProblem, packet)
        }
        Icmpv6Message::NeighbourSolicitation {
            target,
            source_link,
        } => Message::Solicitation {
            target,
            source_link,
        },
        Icmpv6Message::NeighbourAdvertisement {
            solicited,
            target,
            target_link,
            ..
        } => Message::Advertisement {
            solicited,
            target,
            target_link,
        },
        Icmpv6Message::EchoReply { .. } | Icmpv6Message::Other { .. } => Message::Nothing,
    }
}

/// A TCP segment of ours that an error quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quoted {
    pub(crate) source: IpAddr,
    pub(crate) source_port: u16,
    pub(crate) destination: IpAddr,
    pub(crate) destination_port: u16,
    pub(crate) seq: SeqNum,
}

impl Quoted {
    /// Reads the quoted packet; `None`: no TCP segment, or too little of one. The family is that of the error.
    pub(crate) fn parse(v6: bool, packet: &[u8]) -> Option<Self> {
        let (source, destination, tcp): (IpAddr, IpAddr, _) = if v6 {
            let packet = Ipv6Packet::parse_quoted(packet).ok()?;
            let upper = packet.upper;
            let whole = upper.fragment.is_none_or(|fragment| fragment.offset == 0);
            let tcp = (upper.protocol == ip_protocol::TCP && whole).then_some(upper.payload)?;
            (
                packet.header.source.into(),
                packet.header.destination.into(),
                tcp,
            )
        } else {
            let packet = Ipv4Packet::parse_quoted(packet).ok()?;
            let header = &packet.header;
            let first = header.protocol == ip_protocol::TCP && header.fragment_offset == 0;
            (
                header.source.into(),
                header.destination.into(),
                first.then_some(packet.payload)?,
            )
        };
        let tcp = QuotedTcp::parse(tcp)?;
        Some(Self {
            source,
            source_port: tcp.source_port,
            destination,
            destination_port: tcp.destination_port,
            seq: SeqNum(tcp.sequence),
        })
    }
}

/// What a sender is told about its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    PortUnreachable,
    /// Nobody here speaks the protocol; its number lies at this octet.
    ProtocolUnreachable(usize),
    ReassemblyTime,
    /// Of IPv6 only: code and octet.
    Header(u8, usize),
}

/// The error about `packet`, from us (`source`) to its sender. `None`: IPv4 has no such error.
pub(crate) fn error(
    source: IpAddr,
    destination: IpAddr,
    problem: Problem,
    packet: &[u8],
) -> Option<Vec<u8>> {
    let limit = if source.is_ipv4() { QUOTE_V4 } else { QUOTE_V6 };
    let packet = packet.get(..limit).unwrap_or(packet);
    let pointer = |at| u32::try_from(at).unwrap_or(0);
    match (source, destination) {
        (IpAddr::V4(_), IpAddr::V4(_)) => {
            let unreachable = |code| Icmpv4Message::DestinationUnreachable {
                code,
                next_hop_mtu: 0,
                packet,
            };
            let message = match problem {
                Problem::PortUnreachable => unreachable(icmpv4::CODE_PORT_UNREACHABLE),
                Problem::ProtocolUnreachable(_) => unreachable(icmpv4::CODE_PROTOCOL_UNREACHABLE),
                Problem::ReassemblyTime => Icmpv4Message::TimeExceeded {
                    code: icmpv4::CODE_REASSEMBLY_TIME,
                    packet,
                },
                Problem::Header(..) => return None,
            };
            written_v4(&message)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let message = match problem {
                Problem::PortUnreachable => Icmpv6Message::DestinationUnreachable {
                    code: icmpv6::CODE_PORT_UNREACHABLE,
                    packet,
                },
                Problem::ProtocolUnreachable(at) => Icmpv6Message::ParameterProblem {
                    code: icmpv6::CODE_NEXT_HEADER,
                    pointer: pointer(at),
                    packet,
                },
                Problem::ReassemblyTime => Icmpv6Message::TimeExceeded {
                    code: icmpv6::CODE_REASSEMBLY_TIME,
                    packet,
                },
                Problem::Header(code, at) => Icmpv6Message::ParameterProblem {
                    code,
                    pointer: pointer(at),
                    packet,
                },
            };
            written_v6(&message, source, destination)
        }
        _ => None,
    }
}

/// The answer to an echo request.
pub(crate) fn echo_reply(
    source: IpAddr,
    destination: IpAddr,
    (identifier, sequence): (u16, u16),
    data: &[u8],
) -> Option<Vec<u8>> {
    match (source, destination) {
        (IpAddr::V4(_), IpAddr::V4(_)) => written_v4(&Icmpv4Message::EchoReply {
            identifier,
            sequence,
            data,
        }),
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let message = Icmpv6Message::EchoReply {
                identifier,
                sequence,
                data,
            };
            written_v6(&message, source, destination)
        }
        _ => None,
    }
}

fn written_v4(message: &Icmpv4Message<'_>) -> Option<Vec<u8>> {
    let mut octets = vec![0; message.encoded_len()];
    message.write(&mut octets).ok()?;
    Some(octets)
}

/// An ICMPv6 message as octets.
pub(crate) fn written_v6(
    message: &Icmpv6Message<'_>,
    source: Ipv6Addr,
    destination: Ipv6Addr,
) -> Option<Vec<u8>> {
    let mut octets = vec![0; message.encoded_len()];
    message.write(source, destination, &mut octets).ok()?;
    Some(octets)
}

/// The next smaller of the MTUs that links have, for routers that do not say (RFC 1191 section 7).
pub(crate) fn plateau_below(mtu: u32) -> u32 {
    const PLATEAUS: [u32; 10] = [
        32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 508, 296, 68,
    ];
    PLATEAUS
        .into_iter()
        .find(|&plateau| plateau < mtu)
        .unwrap_or(68)
}
