//! The IPv4 header (RFC 791).

use core::net::Ipv4Addr;

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::checksum::Sum;
use crate::{WriteError, put};

/// Octets of a header without options, which is what [`Ipv4Header::write`] writes.
pub const HEADER_LEN: usize = 20;

const DONT_FRAGMENT: u16 = 1 << 14;
const MORE_FRAGMENTS: u16 = 1 << 13;
const OFFSET_MASK: u16 = 0x1fff;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Raw {
    version_ihl: u8,
    tos: u8,
    total_len: U16,
    id: U16,
    flags_offset: U16,
    ttl: u8,
    protocol: u8,
    checksum: U16,
    source: [u8; 4],
    destination: [u8; 4],
}

/// The fields of an IPv4 header, without options, lengths and checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Header {
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// What the packet carries, see [`crate::ip_protocol`].
    pub protocol: u8,
    /// Time to live, in hops.
    pub ttl: u8,
    /// Differentiated services (6 bits, RFC 2474) and ECN (2 bits, RFC 3168).
    pub tos: u8,
    /// Identification; means something only where the packet is or may be fragmented (RFC 6864).
    pub id: u16,
    /// DF: routers must not cut the packet.
    pub dont_fragment: bool,
    /// MF: this is not the last fragment.
    pub more_fragments: bool,
    /// Where the payload belongs in the whole packet's, in octets: a multiple of eight, 0 to 65 528.
    pub fragment_offset: u16,
}

/// An IPv4 packet, lengths and header checksum verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Packet<'a> {
    /// The fixed part of the header.
    pub header: Ipv4Header,
    /// The options, 0 to 40 octets, a multiple of four, unread.
    pub options: &'a [u8],
    /// What follows the header, up to the total length: padding of the link is cut off.
    pub payload: &'a [u8],
}

/// Why octets are not an IPv4 packet. Drop them (RFC 1122 section 3.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ipv4Error {
    /// Shorter than the header.
    #[error("shorter than its IPv4 header")]
    Truncated,
    /// The version is not 4.
    #[error("IP version {0} where 4 was expected")]
    BadVersion(u8),
    /// IHL says less than five words.
    #[error("header length of {0} words is below five")]
    BadHeaderLength(u8),
    /// The total length is less than the header's.
    #[error("total length of {0} octets is less than the header's")]
    TotalLengthTooSmall(u16),
    /// The total length says more than arrived.
    #[error("total length of {0} octets is more than arrived")]
    TotalLengthPastEnd(u16),
    /// The header checksum does not hold.
    #[error("bad header checksum")]
    BadChecksum,
}

impl<'a> Ipv4Packet<'a> {
    /// Parses a packet; octets after its total length are ignored.
    ///
    /// # Errors
    /// One [`Ipv4Error`] per cause.
    pub fn parse(packet: &'a [u8]) -> Result<Self, Ipv4Error> {
        let (raw, header, _) = split(packet)?;
        let total_len = raw.total_len.get();
        let payload_len = usize::from(total_len)
            .checked_sub(header.len())
            .ok_or(Ipv4Error::TotalLengthTooSmall(total_len))?;
        if !Sum::ZERO.with(header).is_valid() {
            return Err(Ipv4Error::BadChecksum);
        }
        let payload = packet
            .get(header.len()..header.len() + payload_len)
            .ok_or(Ipv4Error::TotalLengthPastEnd(total_len))?;
        Ok(Self {
            header: raw.fields(),
            options: &header[HEADER_LEN..],
            payload,
        })
    }

    /// Parses the beginning of a packet that an ICMP error quotes: what is missing at its end is no error, and
    /// neither is a checksum that a router on the way left stale (RFC 1122 section 3.2.2).
    ///
    /// # Errors
    /// [`Ipv4Error::Truncated`], [`Ipv4Error::BadVersion`], [`Ipv4Error::BadHeaderLength`].
    pub fn parse_quoted(quoted: &'a [u8]) -> Result<Self, Ipv4Error> {
        let (raw, header, payload) = split(quoted)?;
        Ok(Self {
            header: raw.fields(),
            options: &header[HEADER_LEN..],
            payload,
        })
    }

    /// Whether its options hold a source route, loose or strict (RFC 791 section 3.1): what its sender wants to decide about
    /// the way, and its receiver's answers about the way back. Options that do not parse end the search.
    #[must_use]
    pub fn is_source_routed(&self) -> bool {
        const END: u8 = 0;
        const NO_OPERATION: u8 = 1;
        const LOOSE: u8 = 131;
        const STRICT: u8 = 137;
        let mut options = self.options;
        loop {
            options = match *options {
                [LOOSE | STRICT, ..] => return true,
                [NO_OPERATION, ref rest @ ..] => rest,
                [END, ..] | [] | [_] => return false,
                [_, len, ..] => options.get(usize::from(len.max(2))..).unwrap_or_default(),
            };
        }
    }

    /// Whether this is a part of a packet that must be put together first.
    #[must_use]
    pub const fn is_fragment(&self) -> bool {
        self.header.more_fragments || self.header.fragment_offset != 0
    }
}

/// The fixed header, the header with its options (20 octets at least), and the rest.
fn split(packet: &[u8]) -> Result<(&Raw, &[u8], &[u8]), Ipv4Error> {
    let (raw, _) = Raw::ref_from_prefix(packet).map_err(|_| Ipv4Error::Truncated)?;
    let (version, words) = (raw.version_ihl >> 4, raw.version_ihl & 0x0f);
    if version != 4 {
        return Err(Ipv4Error::BadVersion(version));
    }
    let header_len = usize::from(words) * 4;
    if header_len < HEADER_LEN {
        return Err(Ipv4Error::BadHeaderLength(words));
    }
    let (header, rest) = packet
        .split_at_checked(header_len)
        .ok_or(Ipv4Error::Truncated)?;
    Ok((raw, header, rest))
}

impl Raw {
    fn fields(&self) -> Ipv4Header {
        let flags_offset = self.flags_offset.get();
        Ipv4Header {
            source: self.source.into(),
            destination: self.destination.into(),
            protocol: self.protocol,
            ttl: self.ttl,
            tos: self.tos,
            id: self.id.get(),
            dont_fragment: flags_offset & DONT_FRAGMENT != 0,
            more_fragments: flags_offset & MORE_FRAGMENTS != 0,
            fragment_offset: (flags_offset & OFFSET_MASK) * 8,
        }
    }
}

impl Ipv4Header {
    /// Writes a header without options to the front of `into`, checksum included, for a packet that carries
    /// `payload_len` octets, and returns its length, [`HEADER_LEN`].
    ///
    /// # Errors
    /// [`WriteError::BufferTooShort`]; [`WriteError::TooLong`] for more than 65 515 octets of payload;
    /// [`WriteError::FragmentOffset`].
    pub fn write(&self, payload_len: usize, into: &mut [u8]) -> Result<usize, WriteError> {
        let total_len = payload_len
            .checked_add(HEADER_LEN)
            .ok_or(WriteError::TooLong)?;
        let total_len = u16::try_from(total_len).map_err(|_| WriteError::TooLong)?;
        if !self.fragment_offset.is_multiple_of(8) {
            return Err(WriteError::FragmentOffset);
        }
        let mut flags_offset = self.fragment_offset / 8;
        if self.dont_fragment {
            flags_offset |= DONT_FRAGMENT;
        }
        if self.more_fragments {
            flags_offset |= MORE_FRAGMENTS;
        }
        let mut raw = Raw {
            version_ihl: 0x45,
            tos: self.tos,
            total_len: total_len.into(),
            id: self.id.into(),
            flags_offset: flags_offset.into(),
            ttl: self.ttl,
            protocol: self.protocol,
            checksum: U16::ZERO,
            source: self.source.octets(),
            destination: self.destination.octets(),
        };
        raw.checksum = Sum::ZERO.with(raw.as_bytes()).checksum().into();
        put(raw.as_bytes(), into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Ipv4Header = Ipv4Header {
        source: Ipv4Addr::new(192, 0, 2, 1),
        destination: Ipv4Addr::new(198, 51, 100, 2),
        protocol: 6,
        ttl: 64,
        tos: 0xb8 | 2,
        id: 0xfffe,
        dont_fragment: true,
        more_fragments: false,
        fragment_offset: 0,
    };

    /// A packet of 28 octets, then two of padding, with one octet set and the checksum of 20 octets put right.
    fn packet(at: usize, value: u8) -> [u8; 30] {
        let mut packet = [0xee; 30];
        HEADER.write(8, &mut packet).unwrap();
        packet[at] = value;
        packet[10..12].fill(0);
        let checksum = Sum::ZERO.with(&packet[..20]).checksum();
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        packet
    }

    #[test]
    fn one_octet_differs() {
        type Case = (&'static str, usize, u8, Result<usize, Ipv4Error>);
        let cases: [Case; 9] = [
            ("as it is", 29, 0, Ok(8)),
            ("padding counted in", 3, 30, Ok(10)),
            ("no payload", 3, 20, Ok(0)),
            ("version 5", 0, 0x55, Err(Ipv4Error::BadVersion(5))),
            ("IHL 4", 0, 0x44, Err(Ipv4Error::BadHeaderLength(4))),
            ("IHL 0", 0, 0x40, Err(Ipv4Error::BadHeaderLength(0))),
            ("IHL 15 of 30 octets", 0, 0x4f, Err(Ipv4Error::Truncated)),
            ("total 19", 3, 19, Err(Ipv4Error::TotalLengthTooSmall(19))),
            ("total 31", 3, 31, Err(Ipv4Error::TotalLengthPastEnd(31))),
        ];
        for (name, at, value, expected) in cases {
            let packet = packet(at, value);
            assert_eq!(
                Ipv4Packet::parse(&packet).map(|p| p.payload.len()),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn every_bit_of_the_header_is_covered() {
        for bit in 0..160 {
            let mut packet = packet(29, 0);
            packet[bit / 8] ^= 1 << (bit % 8);
            assert!(Ipv4Packet::parse(&packet).is_err(), "bit {bit}");
        }
        let mut packet = packet(29, 0);
        packet[11] ^= 1;
        assert_eq!(Ipv4Packet::parse(&packet), Err(Ipv4Error::BadChecksum));
        for len in 0..HEADER_LEN {
            assert_eq!(Ipv4Packet::parse(&packet[..len]), Err(Ipv4Error::Truncated));
        }
    }

    //= rfc9293 MUST-50 test
    #[test]
    fn options_are_stepped_over() {
        let mut packet = packet(3, 28);
        packet[0] = 0x46;
        packet[20..24].copy_from_slice(&[0x5e, 4, 1, 2]);
        packet[10..12].fill(0);
        let checksum = Sum::ZERO.with(&packet[..24]).checksum();
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        let parsed = Ipv4Packet::parse(&packet).unwrap();
        assert_eq!(
            (parsed.options, parsed.payload),
            (&packet[20..24], &packet[24..28])
        );
    }

    #[test]
    fn source_routes_are_found_wherever_they_stand() {
        let cases: [(&[u8], bool); 11] = [
            (&[], false),
            (&[0, 131, 3, 4], false),
            (&[131, 7, 4, 10, 0, 0, 9, 0], true),
            (&[137, 7, 4, 10, 0, 0, 9, 0], true),
            (&[1, 1, 1, 131], true),
            (&[7, 7, 4, 0, 0, 0, 0, 0], false),
            (&[148, 4, 0, 0, 137, 3, 4, 0], true),
            // Inside of another.
            (&[7, 7, 4, 131, 137, 131, 137, 0], false),
            // Lengths that are none, and one past the end.
            (&[7, 0, 131, 3], true),
            (&[7, 1, 1, 0], false),
            (&[7, 40, 131, 3], false),
        ];
        let packet = packet(3, 20);
        let parsed = Ipv4Packet::parse(&packet).unwrap();
        for (options, expected) in cases {
            let packet = Ipv4Packet { options, ..parsed };
            assert_eq!(packet.is_source_routed(), expected, "{options:?}");
        }
    }

    #[test]
    fn a_quote_may_be_cut_and_stale() {
        let mut packet = packet(3, 200);
        packet[8] -= 1;
        let parsed = Ipv4Packet::parse_quoted(&packet[..28]).unwrap();
        assert_eq!(parsed.payload, [0xee; 8]);
        assert_eq!(
            Ipv4Packet::parse_quoted(&packet[..19]),
            Err(Ipv4Error::Truncated)
        );
    }

    #[test]
    fn what_no_field_can_hold_is_refused() {
        let mut into = [0; HEADER_LEN];
        assert_eq!(HEADER.write(65_515, &mut into), Ok(20));
        for payload_len in [65_516, usize::MAX] {
            assert_eq!(
                HEADER.write(payload_len, &mut into),
                Err(WriteError::TooLong)
            );
        }
        let askew = Ipv4Header {
            fragment_offset: 12,
            ..HEADER
        };
        assert_eq!(askew.write(8, &mut into), Err(WriteError::FragmentOffset));
        let short = HEADER.write(8, &mut into[..19]);
        assert_eq!(short, Err(WriteError::BufferTooShort { needed: 20 }));
    }
}
