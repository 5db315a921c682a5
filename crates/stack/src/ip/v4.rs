//! IPv4: packets in, headers out (RFC 791, RFC 1122).

use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use woshou_wire::ipv4::{HEADER_LEN, Ipv4Header, Ipv4Packet};

use super::fragments::{Fragment, FragmentKey, is_tiny};
use super::{Datagram, HEADROOM, IpHeader, Parsed, ecn_of};
use crate::config::LinkId;

/// Reads a packet; `None`: drop it, as one with a source route unless such are `routed_too` (RFC 7126 sections 4.3 and 4.4).
//= rfc9293 MUST-50
pub(crate) fn parse(octets: &[u8], link: LinkId, routed_too: bool) -> Option<Parsed<'_>> {
    let packet = Ipv4Packet::parse(octets).ok()?;
    if !routed_too && packet.is_source_routed() {
        return None;
    }
    let header = &packet.header;
    let (source, destination) = (IpAddr::V4(header.source), IpAddr::V4(header.destination));
    let ecn = ecn_of(header.tos);
    if !packet.is_fragment() {
        return Some(Parsed::Whole(Datagram {
            source,
            destination,
            protocol: header.protocol,
            named_at: 9,
            hop_limit: header.ttl,
            ecn,
            payload: packet.payload,
            packet: octets,
        }));
    }
    if header.more_fragments && packet.payload.len() % 8 != 0 {
        return None;
    }
    if header.fragment_offset == 0 && is_tiny(header.protocol, packet.payload.len()) {
        return None;
    }
    Some(Parsed::Fragment(Fragment {
        key: FragmentKey {
            source,
            destination,
            id: u32::from(header.id),
            protocol: header.protocol,
        },
        link,
        protocol: header.protocol,
        offset: usize::from(header.fragment_offset),
        more: header.more_fragments,
        ecn,
        payload: packet.payload,
        packet: octets,
    }))
}

/// The wire's header for `ip`: the same for a packet that is sent again.
//= rfc9293 MAY-4
pub(crate) const fn header(ip: &IpHeader, source: Ipv4Addr, destination: Ipv4Addr) -> Ipv4Header {
    Ipv4Header {
        source,
        destination,
        protocol: ip.protocol,
        ttl: ip.hop_limit,
        tos: ip.traffic_class(),
        id: 0,
        dont_fragment: true,
        more_fragments: false,
        fragment_offset: 0,
    }
}

/// Cuts `payload` into packets of at most `mtu` octets, each with [`HEADROOM`] in front (RFC 791 section 3.2).
pub(crate) fn fragment(ip: &IpHeader, id: u16, mtu: usize, payload: &[u8]) -> Vec<Vec<u8>> {
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (ip.source, ip.destination) else {
        return Vec::new();
    };
    let step = mtu.saturating_sub(HEADER_LEN).max(8) / 8 * 8;
    let pieces = payload
        .chunks(step)
        .enumerate()
        .filter_map(|(index, piece)| {
            let offset = index * step;
            let header = Ipv4Header {
                id,
                dont_fragment: false,
                more_fragments: offset + piece.len() < payload.len(),
                fragment_offset: u16::try_from(offset).ok()?,
                ..header(ip, source, destination)
            };
            let mut packet = vec![0; HEADROOM + HEADER_LEN];
            header
                .write(piece.len(), packet.get_mut(HEADROOM..)?)
                .ok()?;
            packet.extend_from_slice(piece);
            Some(packet)
        });
    pieces.collect()
}
