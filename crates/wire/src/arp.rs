//! ARP for IPv4 on Ethernet (RFC 826).

use core::net::Ipv4Addr;

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::ethernet::{ETHER_TYPE_IPV4, MacAddr};
use crate::{WriteError, put};

/// Octets of a packet.
pub const LEN: usize = 28;

const HARDWARE_ETHERNET: u16 = 1;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Raw {
    hardware: U16,
    protocol: U16,
    hardware_len: u8,
    protocol_len: u8,
    operation: U16,
    sender_mac: MacAddr,
    sender_ip: [u8; 4],
    target_mac: MacAddr,
    target_ip: [u8; 4],
}

/// What is asked or told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Operation {
    /// Who has the target's IP address?
    Request = 1,
    /// The sender has its IP address.
    Reply = 2,
}

/// An ARP packet for IPv4 on Ethernet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArpPacket {
    /// What is asked or told.
    pub operation: Operation,
    /// Link-layer address of the sender.
    pub sender_mac: MacAddr,
    /// IP address of the sender; 0.0.0.0 in a probe (RFC 5227).
    pub sender_ip: Ipv4Addr,
    /// Link-layer address of the target; without meaning in a request.
    pub target_mac: MacAddr,
    /// IP address of the target.
    pub target_ip: Ipv4Addr,
}

/// Why octets are not an ARP packet for us. Drop them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArpError {
    /// Shorter than a packet.
    #[error("shorter than an ARP packet")]
    Truncated,
    /// Not Ethernet's addresses.
    #[error("ARP hardware type {kind} with addresses of {len} octets is not Ethernet")]
    NotEthernet {
        /// Hardware type.
        kind: u16,
        /// Length of its addresses, in octets.
        len: u8,
    },
    /// Not IPv4's addresses.
    #[error("ARP protocol type {kind:#06x} with addresses of {len} octets is not IPv4")]
    NotIpv4 {
        /// Protocol type, an `EtherType`.
        kind: u16,
        /// Length of its addresses, in octets.
        len: u8,
    },
    /// Neither a request nor a reply.
    #[error("unknown ARP operation {0}")]
    UnknownOperation(u16),
}

impl ArpPacket {
    /// Parses what a frame carried; octets after it, a short frame's padding, are ignored.
    ///
    /// # Errors
    /// One [`ArpError`] per cause.
    pub fn parse(packet: &[u8]) -> Result<Self, ArpError> {
        let (raw, _) = Raw::ref_from_prefix(packet).map_err(|_| ArpError::Truncated)?;
        let (kind, len) = (raw.hardware.get(), raw.hardware_len);
        if (kind, len) != (HARDWARE_ETHERNET, 6) {
            return Err(ArpError::NotEthernet { kind, len });
        }
        let (kind, len) = (raw.protocol.get(), raw.protocol_len);
        if (kind, len) != (ETHER_TYPE_IPV4, 4) {
            return Err(ArpError::NotIpv4 { kind, len });
        }
        let operation = match raw.operation.get() {
            1 => Operation::Request,
            2 => Operation::Reply,
            other => return Err(ArpError::UnknownOperation(other)),
        };
        Ok(Self {
            operation,
            sender_mac: raw.sender_mac,
            sender_ip: raw.sender_ip.into(),
            target_mac: raw.target_mac,
            target_ip: raw.target_ip.into(),
        })
    }

    /// Writes the packet to the front of `into`, and returns its length, [`LEN`].
    ///
    /// # Errors
    /// [`WriteError::BufferTooShort`].
    pub fn write(&self, into: &mut [u8]) -> Result<usize, WriteError> {
        let raw = Raw {
            hardware: HARDWARE_ETHERNET.into(),
            protocol: ETHER_TYPE_IPV4.into(),
            hardware_len: 6,
            protocol_len: 4,
            operation: (self.operation as u16).into(),
            sender_mac: self.sender_mac,
            sender_ip: self.sender_ip.octets(),
            target_mac: self.target_mac,
            target_ip: self.target_ip.octets(),
        };
        put(raw.as_bytes(), into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: [u8; 30] = [
        0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 192, 0, 2, 2, 0,
        0,
    ];

    #[test]
    fn octet_by_octet() {
        let packet = ArpPacket {
            operation: Operation::Request,
            sender_mac: MacAddr([2, 0, 0, 0, 0, 1]),
            sender_ip: Ipv4Addr::new(192, 0, 2, 1),
            target_mac: MacAddr::default(),
            target_ip: Ipv4Addr::new(192, 0, 2, 2),
        };
        assert_eq!(ArpPacket::parse(&REQUEST), Ok(packet));
        let mut into = [0; LEN];
        assert_eq!(packet.write(&mut into), Ok(LEN));
        assert_eq!(into, REQUEST[..LEN]);
        let short = packet.write(&mut into[1..]);
        assert_eq!(short, Err(WriteError::BufferTooShort { needed: LEN }));
    }

    #[test]
    fn one_octet_differs() {
        let cases = [
            (1, 6, ArpError::NotEthernet { kind: 6, len: 6 }),
            (4, 8, ArpError::NotEthernet { kind: 1, len: 8 }),
            (
                2,
                0x86,
                ArpError::NotIpv4 {
                    kind: 0x8600,
                    len: 4,
                },
            ),
            (
                5,
                16,
                ArpError::NotIpv4 {
                    kind: 0x0800,
                    len: 16,
                },
            ),
            (7, 0, ArpError::UnknownOperation(0)),
            (7, 3, ArpError::UnknownOperation(3)),
            (6, 1, ArpError::UnknownOperation(0x0101)),
        ];
        for (at, value, expected) in cases {
            let mut packet = REQUEST;
            packet[at] = value;
            assert_eq!(ArpPacket::parse(&packet), Err(expected));
        }
        for len in 0..LEN {
            assert_eq!(ArpPacket::parse(&REQUEST[..len]), Err(ArpError::Truncated));
        }
    }
}
