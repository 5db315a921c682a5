//! IP: what arrives, what leaves, routes, fragments, ICMP.

pub(crate) mod fragments;
pub(crate) mod icmp;
pub(crate) mod own;
pub(crate) mod pmtu;
pub(crate) mod route;
pub(crate) mod v4;
pub(crate) mod v6;

use alloc::vec::Vec;
use core::net::IpAddr;

use woshou_tcp::Ecn;
use woshou_wire::{WriteError, ipv4, ipv6};

use fragments::Fragment;

/// Octets kept free in front of every IP packet that is built, for the Ethernet header.
pub(crate) const HEADROOM: usize = 14;

/// What IP hands to the protocol above it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram<'a> {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) protocol: u8,
    /// Where the octet lies that names `protocol`, from the IP header on: ICMPv6 wants to be told.
    pub(crate) named_at: usize,
    pub(crate) hop_limit: u8,
    pub(crate) ecn: Ecn,
    pub(crate) payload: &'a [u8],
    /// From the IP header on (the first fragment's, when there were several), for ICMP to quote.
    pub(crate) packet: &'a [u8],
}

impl Datagram<'_> {
    /// TOS or traffic class as it came.
    pub(crate) fn traffic_class(&self) -> u8 {
        match (self.source, self.packet) {
            (IpAddr::V4(_), [_, tos, ..]) => *tos,
            (IpAddr::V6(_), [high, low, ..]) => high << 4 | low >> 4,
            _ => 0,
        }
    }
}

/// A sound packet.
pub(crate) enum Parsed<'a> {
    Whole(Datagram<'a>),
    Fragment(Fragment<'a>),
}

/// What an IP header to be written says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IpHeader {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) protocol: u8,
    pub(crate) hop_limit: u8,
    /// The Diffserv field in the six upper bits, the others clear.
    pub(crate) tos: u8,
    pub(crate) ecn: Ecn,
    /// IPv6's; 20 bits, zero: none.
    pub(crate) flow_label: u32,
}

impl IpHeader {
    /// TOS or traffic class: what the user chose as it is, and TCP's two bits.
    //= rfc9293 SHLD-22
    pub(crate) const fn traffic_class(&self) -> u8 {
        self.tos | self.ecn as u8
    }

    /// Octets that [`Self::write`] writes.
    pub(crate) const fn len(&self) -> usize {
        match self.destination {
            IpAddr::V4(_) => ipv4::HEADER_LEN,
            IpAddr::V6(_) => ipv6::HEADER_LEN,
        }
    }

    /// Writes the header of a packet that is never cut: DF is set, and so the identification is free to be zero
    /// (RFC 6864 section 4.1). Both addresses are of one family, or nothing is written.
    pub(crate) fn write(&self, payload_len: usize, into: &mut [u8]) -> Result<usize, WriteError> {
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                v4::header(self, source, destination).write(payload_len, into)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                v6::header(self, source, destination).write(payload_len, into)
            }
            _ => Err(WriteError::TooLong),
        }
    }

    /// A packet of its own, with [`HEADROOM`] in front. `None`: too long for IP.
    pub(crate) fn packet(&self, payload: &[u8]) -> Option<Vec<u8>> {
        let headers = HEADROOM + self.len();
        let mut packet = Vec::with_capacity(headers + payload.len());
        packet.resize(headers, 0);
        self.write(payload.len(), packet.get_mut(HEADROOM..)?)
            .ok()?;
        packet.extend_from_slice(payload);
        Some(packet)
    }
}

/// The ECN field from TOS or traffic class.
pub(crate) const fn ecn_of(octet: u8) -> Ecn {
    match octet & 3 {
        0 => Ecn::NotEct,
        1 => Ecn::Ect1,
        2 => Ecn::Ect0,
        _ => Ecn::Ce,
    }
}
