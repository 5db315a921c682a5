//! Packets that leave, as far as scripts look at them.

use std::net::SocketAddr;

use woshou_wire::ipv4::Ipv4Packet;
use woshou_wire::ipv6::Ipv6Packet;
use woshou_wire::tcp::{TcpHeader, TcpSegment};
use woshou_wire::{ip_protocol, ip_version};

use crate::ast::Micros;

/// A packet that left.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    /// When, in microseconds since the start of the script.
    pub(crate) at: Micros,
    pub(crate) ip: ObservedIp,
    pub(crate) body: Carried,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ObservedIp {
    /// Port 0 where there are none.
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) tos: u8,
    pub(crate) ttl: u8,
    pub(crate) flow_label: u32,
    /// No options, no extension headers, and nothing behind the payload.
    pub(crate) plain: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Carried {
    Tcp(ObservedTcp),
    /// Type, code, and the four octets behind the checksum.
    Icmp {
        kind: u8,
        code: u8,
        word: [u8; 4],
    },
    /// Another protocol, by its number.
    Other(u8),
}

#[derive(Clone, Debug)]
pub(crate) struct ObservedTcp {
    pub(crate) header: TcpHeader,
    /// The three reserved bits.
    pub(crate) reserved: u8,
    pub(crate) options: Vec<u8>,
    /// Octets of text.
    pub(crate) text: usize,
    /// Whether all of them are zero.
    pub(crate) zero: bool,
}

const FIN: u16 = 1;
const SYN: u16 = 1 << 1;
const RST: u16 = 1 << 2;
const PSH: u16 = 1 << 3;
const ACK: u16 = 1 << 4;
const URG: u16 = 1 << 5;
const CWR: u16 = 1 << 7;

impl ObservedTcp {
    pub(crate) fn has(&self, bit: u16) -> bool {
        self.header.flags & bit != 0
    }

    pub(crate) fn syn(&self) -> bool {
        self.has(SYN)
    }

    /// Nothing but an acknowledgement.
    pub(crate) fn is_pure_ack(&self) -> bool {
        self.text == 0 && self.header.flags & (FIN | SYN | RST | ACK | URG) == ACK
    }

    /// Whether `next` goes on where this ends, and differs in nothing that must not.
    pub(crate) fn continues_with(&self, next: &Self) -> Result<(), &'static str> {
        let text = u32::try_from(self.text).unwrap_or(u32::MAX);
        // FIN, PSH and CWR belong to one of the pieces only.
        let kept = !(FIN | PSH | CWR);
        if next.header.sequence != self.header.sequence.wrapping_add(text) {
            Err("sequence number")
        } else if next.header.acknowledgement != self.header.acknowledgement {
            Err("acknowledgement")
        } else if next.header.window != self.header.window {
            Err("window")
        } else if next.header.flags & kept != self.header.flags & kept {
            Err("flags")
        } else {
            Ok(())
        }
    }

    /// One piece of this and `next`: number and CWR of the first, everything else of the second.
    pub(crate) fn joined(&self, next: Self) -> Self {
        let mut whole = next;
        whole.header.sequence = self.header.sequence;
        whole.header.flags = whole.header.flags & !CWR | self.header.flags & CWR;
        whole.text += self.text;
        whole.zero &= self.zero;
        whole
    }

    /// The first `text` octets, and the rest.
    pub(crate) fn split(&self, text: usize) -> (Self, Self) {
        let (mut first, mut rest) = (self.clone(), self.clone());
        first.text = text.min(self.text);
        first.header.flags &= !(FIN | PSH);
        rest.text = self.text - first.text;
        let step = u32::try_from(first.text).unwrap_or(u32::MAX);
        rest.header.sequence = rest.header.sequence.wrapping_add(step);
        (first, rest)
    }
}

/// Reads an IP packet. `None`: it is none.
pub(crate) fn read(at: Micros, octets: &[u8]) -> Option<Observed> {
    let (source, destination, protocol, payload, ip) = match ip_version(octets)? {
        4 => {
            let packet = Ipv4Packet::parse(octets).ok()?;
            let header = packet.header;
            let plain = packet.options.is_empty()
                && !packet.is_fragment()
                && octets.len() == 20 + packet.payload.len();
            let fields = (header.tos, header.ttl, 0, plain);
            (
                header.source.into(),
                header.destination.into(),
                header.protocol,
                packet.payload,
                fields,
            )
        }
        6 => {
            let packet = Ipv6Packet::parse(octets).ok()?;
            let header = packet.header;
            let payload = octets.get(40..)?;
            let fields = (
                header.traffic_class,
                header.hop_limit,
                header.flow_label,
                true,
            );
            (
                header.source.into(),
                header.destination.into(),
                header.next_header,
                payload,
                fields,
            )
        }
        _ => return None,
    };
    let (body, ports) = carried(protocol, payload)?;
    let (tos, ttl, flow_label, plain) = ip;
    let ip = ObservedIp {
        source: SocketAddr::new(source, ports.0),
        destination: SocketAddr::new(destination, ports.1),
        tos,
        ttl,
        flow_label,
        plain,
    };
    Some(Observed { at, ip, body })
}

fn carried(protocol: u8, payload: &[u8]) -> Option<(Carried, (u16, u16))> {
    match protocol {
        ip_protocol::TCP => {
            let segment = TcpSegment::parse(payload).ok()?;
            let header = segment.header;
            let tcp = ObservedTcp {
                header,
                reserved: payload.get(12).map_or(0, |octet| octet >> 1 & 7),
                options: segment.options.to_vec(),
                text: segment.payload.len(),
                zero: segment.payload.iter().all(|octet| *octet == 0),
            };
            Some((
                Carried::Tcp(tcp),
                (header.source_port, header.destination_port),
            ))
        }
        ip_protocol::ICMPV4 | ip_protocol::ICMPV6 => {
            let [kind, code, _, _, a, b, c, d] = *payload.first_chunk()?;
            Some((
                Carried::Icmp {
                    kind,
                    code,
                    word: [a, b, c, d],
                },
                (0, 0),
            ))
        }
        other => Some((Carried::Other(other), (0, 0))),
    }
}
