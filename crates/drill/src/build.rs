//! Packets that scripts inject: IPv4 or IPv6 with TCP or ICMP, octet by octet as section 1.4 of the language has them.

use std::net::{IpAddr, SocketAddr};

use woshou_wire::checksum::{Sum, pseudo_header};
use woshou_wire::ip_protocol;
use woshou_wire::ipv4::{self, Ipv4Header};
use woshou_wire::ipv6::{self, Ipv6Header};
use woshou_wire::tcp::{self, MAX_HEADER_LEN, TcpHeader, tcp_checksum};

/// The IP header of an injected packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IpFields {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) tos: u8,
    pub(crate) ttl: u8,
    pub(crate) flow_label: u32,
}

/// TTL and hop limit of what scripts inject.
pub(crate) const TTL: u8 = 255;

impl IpFields {
    /// From `source` to `destination`, nothing special.
    pub(crate) fn plain(source: IpAddr, destination: IpAddr) -> Self {
        Self {
            source,
            destination,
            tos: 0,
            ttl: TTL,
            flow_label: 0,
        }
    }

    /// A packet that carries `payload`: identification 0, DF clear. `None`: too long for IP.
    pub(crate) fn packet(&self, protocol: u8, payload: &[u8]) -> Option<Vec<u8>> {
        let mut packet = self.header(protocol, payload.len())?;
        packet.extend_from_slice(payload);
        Some(packet)
    }

    fn header(&self, protocol: u8, payload_len: usize) -> Option<Vec<u8>> {
        let mut header = vec![0; ipv6::HEADER_LEN];
        let len = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Ipv4Header {
                source,
                destination,
                protocol,
                ttl: self.ttl,
                tos: self.tos,
                id: 0,
                dont_fragment: false,
                more_fragments: false,
                fragment_offset: 0,
            }
            .write(payload_len, &mut header)
            .ok()?,
            (IpAddr::V6(source), IpAddr::V6(destination)) => Ipv6Header {
                source,
                destination,
                next_header: protocol,
                hop_limit: self.ttl,
                traffic_class: self.tos,
                flow_label: self.flow_label,
            }
            .write(payload_len, &mut header)
            .ok()?,
            _ => return None,
        };
        header.truncate(len);
        Some(header)
    }
}

/// A TCP segment with `text` octets of zero in a packet of its own. `None`: too long for IP, or for TCP's options.
pub(crate) fn tcp(ip: &IpFields, header: &TcpHeader, options: &[u8], text: u16) -> Option<Vec<u8>> {
    let mut segment = vec![0; MAX_HEADER_LEN];
    let header_len = header.write_raw(options, &mut segment).ok()?;
    segment.resize(header_len + usize::from(text), 0);
    segment.get_mut(header_len..)?.fill(0);
    let len = u32::try_from(segment.len()).ok()?;
    let pseudo = pseudo_header(ip.source, ip.destination, ip_protocol::TCP, len);
    let checksum = tcp_checksum(pseudo, &[&segment]);
    tcp::set_checksum(&mut segment, checksum).ok()?;
    ip.packet(ip_protocol::TCP, &segment)
}

/// What an ICMP message says beside type and code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct IcmpFields {
    pub(crate) kind: u8,
    pub(crate) code: u8,
    /// Of the next hop.
    pub(crate) mtu: Option<u32>,
    /// Of an echo.
    pub(crate) id: Option<u16>,
}

/// An ICMP or ICMPv6 message that quotes `quoted`.
pub(crate) fn icmp(ip: &IpFields, fields: &IcmpFields, quoted: &[u8]) -> Option<Vec<u8>> {
    let v6 = ip.destination.is_ipv6();
    let mut message = vec![fields.kind, fields.code, 0, 0, 0, 0, 0, 0];
    if let Some(mtu) = fields.mtu {
        // ICMP keeps it in the lower half of the word, ICMPv6 in all of it.
        let mtu = if v6 { mtu } else { mtu & 0xffff };
        message.get_mut(4..8)?.copy_from_slice(&mtu.to_be_bytes());
    }
    if let Some(id) = fields.id {
        message.get_mut(4..6)?.copy_from_slice(&id.to_be_bytes());
    }
    message.extend_from_slice(quoted);
    let protocol = if v6 {
        ip_protocol::ICMPV6
    } else {
        ip_protocol::ICMPV4
    };
    let pseudo = if v6 {
        pseudo_header(
            ip.source,
            ip.destination,
            protocol,
            u32::try_from(message.len()).ok()?,
        )
    } else {
        Sum::ZERO
    };
    let checksum = pseudo.with(&message).checksum();
    message
        .get_mut(2..4)?
        .copy_from_slice(&checksum.to_be_bytes());
    ip.packet(protocol, &message)
}

/// What an ICMP message quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quote {
    /// A segment of ours with this number on the wire and so many octets of text.
    Tcp { seq: u32, text: u16 },
    /// A UDP datagram with so many octets.
    Udp(u16),
    /// So many octets of nothing in particular.
    Raw(u16),
}

/// The IP header and eight octets of a packet from `local` to `remote`.
pub(crate) fn quote(local: SocketAddr, remote: SocketAddr, quote: Quote) -> Option<Vec<u8>> {
    let ip = IpFields {
        ttl: 64,
        ..IpFields::plain(local.ip(), remote.ip())
    };
    let ports = [local.port().to_be_bytes(), remote.port().to_be_bytes()].concat();
    let (protocol, len, start) = match quote {
        Quote::Tcp { seq, text } => {
            let start = [ports.as_slice(), &seq.to_be_bytes()].concat();
            (ip_protocol::TCP, tcp::HEADER_LEN + usize::from(text), start)
        }
        Quote::Udp(len) => {
            let total = len.saturating_add(8);
            let start = [ports.as_slice(), &total.to_be_bytes(), &[0, 0]].concat();
            (ip_protocol::UDP, usize::from(total), start)
        }
        Quote::Raw(len) => (255, usize::from(len), vec![0; usize::from(len.min(8))]),
    };
    let mut octets = ip.header(protocol, len)?;
    octets.extend(start);
    Some(octets)
}

/// Octets of the IP header between such addresses.
pub(crate) const fn ip_header_len(address: IpAddr) -> usize {
    match address {
        IpAddr::V4(_) => ipv4::HEADER_LEN,
        IpAddr::V6(_) => ipv6::HEADER_LEN,
    }
}
