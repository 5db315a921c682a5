//! The Ethernet II header.

use core::fmt;

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{WriteError, put};

/// Octets of the header.
pub const HEADER_LEN: usize = 14;

/// `EtherType` of IPv4.
pub const ETHER_TYPE_IPV4: u16 = 0x0800;
/// `EtherType` of ARP.
pub const ETHER_TYPE_ARP: u16 = 0x0806;
/// `EtherType` of IPv6.
pub const ETHER_TYPE_IPV6: u16 = 0x86dd;

/// A link-layer address of six octets.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(transparent)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// Everybody on the link.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether it names a group: broadcast is one.
    #[must_use]
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }
}

/// `02:00:00:00:00:01`.
impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Raw {
    destination: MacAddr,
    source: MacAddr,
    ether_type: U16,
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EthernetHeader {
    /// For whom.
    pub destination: MacAddr,
    /// From whom.
    pub source: MacAddr,
    /// What the frame carries. Below 1536 it is a length of IEEE 802.3, whose frames carry nothing for us.
    pub ether_type: u16,
}

/// A frame without preamble and check sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EthernetFrame<'a> {
    /// The header.
    pub header: EthernetHeader,
    /// What follows, padding of short frames included.
    pub payload: &'a [u8],
}

/// Why octets are not a frame. Drop them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EthernetError {
    /// Shorter than the header.
    #[error("shorter than an Ethernet header")]
    Truncated,
}

impl<'a> EthernetFrame<'a> {
    /// Parses a frame.
    ///
    /// # Errors
    /// [`EthernetError::Truncated`].
    pub fn parse(frame: &'a [u8]) -> Result<Self, EthernetError> {
        let (raw, payload) = Raw::ref_from_prefix(frame).map_err(|_| EthernetError::Truncated)?;
        let header = EthernetHeader {
            destination: raw.destination,
            source: raw.source,
            ether_type: raw.ether_type.get(),
        };
        Ok(Self { header, payload })
    }
}

impl EthernetHeader {
    /// Writes the header to the front of `into`, and returns its length, [`HEADER_LEN`].
    ///
    /// # Errors
    /// [`WriteError::BufferTooShort`].
    pub fn write(&self, into: &mut [u8]) -> Result<usize, WriteError> {
        let raw = Raw {
            destination: self.destination,
            source: self.source,
            ether_type: self.ether_type.into(),
        };
        put(raw.as_bytes(), into)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn octet_by_octet() {
        let header = EthernetHeader {
            destination: MacAddr::BROADCAST,
            source: MacAddr([2, 0, 0, 0, 0xab, 1]),
            ether_type: ETHER_TYPE_IPV6,
        };
        let mut frame = [9; 15];
        assert_eq!(header.write(&mut frame), Ok(14));
        let expected = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0xab, 1, 0x86, 0xdd, 9,
        ];
        assert_eq!(frame, expected);
        assert_eq!(
            EthernetFrame::parse(&frame),
            Ok(EthernetFrame {
                header,
                payload: &[9]
            })
        );
        assert_eq!(
            EthernetFrame::parse(&frame[..13]),
            Err(EthernetError::Truncated)
        );
        let short = header.write(&mut frame[..13]);
        assert_eq!(short, Err(WriteError::BufferTooShort { needed: 14 }));
    }

    #[test]
    fn addresses() {
        assert_eq!(
            MacAddr([2, 0, 0, 0, 0xab, 1]).to_string(),
            "02:00:00:00:ab:01"
        );
        assert!(MacAddr::BROADCAST.is_multicast());
        assert!(MacAddr([0x33, 0x33, 0, 0, 0, 1]).is_multicast());
        assert!(!MacAddr([2, 1, 1, 1, 1, 1]).is_multicast());
    }
}
