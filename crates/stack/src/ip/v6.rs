//! IPv6: packets in, headers out (RFC 8200).

use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use woshou_wire::ipv6::{
    self, FRAGMENT, FRAGMENT_HEADER_LEN, HEADER_LEN, Ipv6Error, Ipv6Header, Ipv6Packet, Report,
};

use super::fragments::{Fragment, FragmentKey, is_tiny};
use super::{Datagram, HEADROOM, IpHeader, Parsed, ecn_of};
use crate::config::LinkId;

/// A packet that is dropped, and what its sender is told, if anything.
pub(crate) struct Fault {
    /// Code and pointer of an ICMPv6 Parameter Problem.
    pub(crate) problem: Option<(u8, usize)>,
    /// It goes out even if the packet was for a multicast address.
    pub(crate) even_multicast: bool,
}

/// Reads a packet and walks its extension headers.
pub(crate) fn parse(octets: &[u8], link: LinkId) -> Result<Parsed<'_>, Fault> {
    let packet = Ipv6Packet::parse(octets).map_err(fault)?;
    let header = &packet.header;
    let (source, destination) = (IpAddr::V6(header.source), IpAddr::V6(header.destination));
    let ecn = ecn_of(header.traffic_class);
    let upper = packet.upper;
    if let Some(fragment) = upper.fragment.filter(|fragment| !fragment.is_atomic()) {
        check_first(&fragment, upper.payload)?;
        return Ok(Parsed::Fragment(Fragment {
            key: FragmentKey {
                source,
                destination,
                id: fragment.id,
                protocol: 0,
            },
            link,
            protocol: fragment.next_header,
            offset: usize::from(fragment.offset),
            more: fragment.more,
            ecn,
            payload: upper.payload,
            packet: octets,
        }));
    }
    Ok(Parsed::Whole(Datagram {
        source,
        destination,
        protocol: upper.protocol,
        named_at: upper.named_at,
        hop_limit: header.hop_limit,
        ecn,
        payload: upper.payload,
        packet: octets,
    }))
}

/// A first fragment holds all headers, the upper layer's too (RFC 7112 section 5); another is dropped in silence.
fn check_first(fragment: &ipv6::Fragment, payload: &[u8]) -> Result<(), Fault> {
    if fragment.offset != 0 {
        return Ok(());
    }
    let chain = ipv6::walk_extensions(fragment.next_header, payload).map_err(|_| SILENT)?;
    if is_tiny(chain.protocol, chain.payload.len()) {
        return Err(SILENT);
    }
    Ok(())
}

const SILENT: Fault = Fault {
    problem: None,
    even_multicast: false,
};

/// What to answer (RFC 4443 section 3.4).
pub(crate) fn fault(error: Ipv6Error) -> Fault {
    let (problem, even_multicast) = match error {
        Ipv6Error::HopByHopMisplaced { pointer } => (Some((1, pointer)), false),
        Ipv6Error::RoutingHeader { pointer } => (Some((0, pointer)), false),
        Ipv6Error::UnknownOption { pointer, report } => (
            (report != Report::Never).then_some((2, pointer)),
            report == Report::Always,
        ),
        // The field that is wrong is the payload length.
        Ipv6Error::FragmentLength => (Some((0, 4)), false),
        _ => (None, false),
    };
    Fault {
        problem,
        even_multicast,
    }
}

/// The addresses of a packet whose headers do not parse; `None`: it is too short to have any.
pub(crate) fn addresses(octets: &[u8]) -> Option<(Ipv6Addr, Ipv6Addr)> {
    let source: [u8; 16] = *octets.get(8..24)?.first_chunk()?;
    let destination: [u8; 16] = *octets.get(24..40)?.first_chunk()?;
    Some((source.into(), destination.into()))
}

/// The wire's header for `ip`.
pub(crate) const fn header(ip: &IpHeader, source: Ipv6Addr, destination: Ipv6Addr) -> Ipv6Header {
    Ipv6Header {
        source,
        destination,
        next_header: ip.protocol,
        hop_limit: ip.hop_limit,
        traffic_class: ip.traffic_class(),
        flow_label: ip.flow_label,
    }
}

/// Cuts `payload` into packets of at most `mtu` octets, each with [`HEADROOM`] in front (RFC 8200 section 4.5).
pub(crate) fn fragment(ip: &IpHeader, id: u32, mtu: usize, payload: &[u8]) -> Vec<Vec<u8>> {
    let (IpAddr::V6(source), IpAddr::V6(destination)) = (ip.source, ip.destination) else {
        return Vec::new();
    };
    let headers = HEADER_LEN + FRAGMENT_HEADER_LEN;
    let step = mtu.saturating_sub(headers).max(8) / 8 * 8;
    let pieces = payload
        .chunks(step)
        .enumerate()
        .filter_map(|(index, piece)| {
            let offset = index * step;
            let header = Ipv6Header {
                next_header: FRAGMENT,
                ..header(ip, source, destination)
            };
            let fragment = ipv6::Fragment {
                next_header: ip.protocol,
                offset: u16::try_from(offset).ok()?,
                more: offset + piece.len() < payload.len(),
                id,
            };
            let mut packet = vec![0; HEADROOM + headers];
            let front = packet.get_mut(HEADROOM..)?;
            header
                .write(FRAGMENT_HEADER_LEN + piece.len(), front)
                .ok()?;
            fragment.write(front.get_mut(HEADER_LEN..)?).ok()?;
            packet.extend_from_slice(piece);
            Some(packet)
        });
    pieces.collect()
}
