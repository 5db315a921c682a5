//! The TCP header (RFC 9293 section 3.1).

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::checksum::Sum;
use crate::tcp_option::{Layout, MAX_OPTIONS, TcpOptions};
use crate::{WriteError, put};

/// Octets of a header without options.
pub const HEADER_LEN: usize = 20;

/// Octets of the longest header: what to reserve before [`TcpHeader::write`].
pub const MAX_HEADER_LEN: usize = HEADER_LEN + MAX_OPTIONS;

/// Where the checksum field lies in the header, in octets.
pub const CHECKSUM_OFFSET: usize = 16;

/// The nine control bits: AE (RFC 9768) in bit 8, then CWR, ECE, URG, ACK, PSH, RST, SYN, FIN.
pub const FLAGS_MASK: u16 = 0x1ff;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Raw {
    source_port: U16,
    destination_port: U16,
    sequence: U32,
    acknowledgement: U32,
    /// Data offset (4 bits), reserved (3), control bits (9).
    offset_flags: U16,
    window: U16,
    checksum: U16,
    urgent: U16,
}

/// The fields of a TCP header, without options and checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpHeader {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// Control bits, see [`FLAGS_MASK`]; the three reserved bits are ignored on receipt and sent as zero.
    pub flags: u16,
    /// Window, as on the wire.
    pub window: u16,
    /// Urgent pointer.
    pub urgent: u16,
}

/// A TCP segment as it lies in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpSegment<'a> {
    /// The fixed part of the header.
    pub header: TcpHeader,
    /// The checksum field; see [`verify`].
    pub checksum: u16,
    /// The options, 0 to 40 octets; see [`TcpOptions::parse`].
    pub options: &'a [u8],
    /// The text.
    pub payload: &'a [u8],
}

/// Why octets are not a TCP segment. Drop them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TcpError {
    /// Shorter than the fixed header.
    #[error("shorter than a TCP header")]
    Truncated,
    /// The data offset says less than five words.
    #[error("data offset of {0} words is below five")]
    OffsetTooSmall(u8),
    /// The data offset points past the end.
    #[error("data offset of {0} words is past the end")]
    OffsetPastEnd(u8),
}

impl<'a> TcpSegment<'a> {
    /// Parses what IP carried. The checksum is not looked at: see [`verify`].
    ///
    /// # Errors
    /// One [`TcpError`] per cause.
    pub fn parse(segment: &'a [u8]) -> Result<Self, TcpError> {
        let (raw, _) = Raw::ref_from_prefix(segment).map_err(|_| TcpError::Truncated)?;
        let [high, _] = raw.offset_flags.to_bytes();
        let words = high >> 4;
        let header_len = usize::from(words) * 4;
        if header_len < HEADER_LEN {
            return Err(TcpError::OffsetTooSmall(words));
        }
        let (header, payload) = segment
            .split_at_checked(header_len)
            .ok_or(TcpError::OffsetPastEnd(words))?;
        Ok(Self {
            header: TcpHeader {
                source_port: raw.source_port.get(),
                destination_port: raw.destination_port.get(),
                sequence: raw.sequence.get(),
                acknowledgement: raw.acknowledgement.get(),
                flags: raw.offset_flags.get() & FLAGS_MASK,
                window: raw.window.get(),
                urgent: raw.urgent.get(),
            },
            checksum: raw.checksum.get(),
            options: &header[HEADER_LEN..],
            payload,
        })
    }
}

impl TcpHeader {
    /// Writes the header and `options` to the front of `into`, the checksum field zero, and returns the
    /// length: 20 to 60 octets, a multiple of four. See [`tcp_checksum`] and [`set_checksum`].
    ///
    /// # Errors
    /// [`WriteError::BufferTooShort`]; [`MAX_HEADER_LEN`] octets are always enough.
    pub fn write(
        &self,
        options: &TcpOptions,
        layout: Layout,
        into: &mut [u8],
    ) -> Result<usize, WriteError> {
        // What nearly every segment of an established connection carries, in either layout.
        if let Some(octets) = options.only_timestamps() {
            return self.write_raw(&octets, into);
        }
        let mut octets = [0; MAX_OPTIONS];
        let len = options.write(layout, &mut octets);
        self.write_raw(&octets[..len], into)
    }

    /// As [`write`](Self::write), with options as octets, zeroes after them up to a multiple of four.
    ///
    /// # Errors
    /// [`WriteError::BufferTooShort`]; [`WriteError::TooLong`] for more than 40 octets of options.
    #[inline]
    pub fn write_raw(&self, options: &[u8], into: &mut [u8]) -> Result<usize, WriteError> {
        let words = options.len().div_ceil(4);
        if words * 4 > MAX_OPTIONS {
            return Err(WriteError::TooLong);
        }
        let needed = HEADER_LEN + words * 4;
        let into = into
            .get_mut(..needed)
            .ok_or(WriteError::BufferTooShort { needed })?;
        #[expect(clippy::cast_possible_truncation, reason = "at most 15")]
        let offset = (needed / 4) as u16;
        let raw = Raw {
            source_port: self.source_port.into(),
            destination_port: self.destination_port.into(),
            sequence: self.sequence.into(),
            acknowledgement: self.acknowledgement.into(),
            offset_flags: (offset << 12 | self.flags & FLAGS_MASK).into(),
            window: self.window.into(),
            checksum: U16::ZERO,
            urgent: self.urgent.into(),
        };
        put(raw.as_bytes(), into)?;
        let (_, rest) = into.split_at_mut(HEADER_LEN);
        //= rfc9293 MUST-69
        if let Some(padding) = rest.get_mut(options.len()..) {
            padding.fill(0);
        }
        put(options, rest)?;
        Ok(needed)
    }
}

/// The checksum of a segment in pieces: header (its checksum field zero) and text, in order, each of any length.
///
/// `pseudo` is [`crate::checksum::pseudo_header`] with the length of all pieces together.
//= rfc9293 MUST-2
#[must_use]
pub fn tcp_checksum(pseudo: Sum, pieces: &[&[u8]]) -> u16 {
    pieces
        .iter()
        .fold(pseudo, |sum, piece| sum.with(piece))
        .checksum()
}

/// Whether the checksum of a whole segment holds; `pseudo` as for [`tcp_checksum`].
//= rfc9293 MUST-3
#[must_use]
pub fn verify(pseudo: Sum, segment: &[u8]) -> bool {
    pseudo.with(segment).is_valid()
}

/// Stores `checksum` in the header at the front of `segment`.
///
/// # Errors
/// [`WriteError::BufferTooShort`] when there is no whole header.
pub fn set_checksum(segment: &mut [u8], checksum: u16) -> Result<(), WriteError> {
    let (raw, _) = Raw::mut_from_prefix(segment)
        .map_err(|_| WriteError::BufferTooShort { needed: HEADER_LEN })?;
    raw.checksum = checksum.into();
    Ok(())
}

/// What an ICMP error quotes of a TCP header: at least these eight octets (RFC 792).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotedTcp {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Sequence number: an error whose number is not in flight is forged (RFC 5927 section 4).
    pub sequence: u32,
}

impl QuotedTcp {
    /// Reads the first eight octets of a quoted header; `None` when there are fewer.
    #[must_use]
    pub fn parse(quoted: &[u8]) -> Option<Self> {
        let [s0, s1, d0, d1, q0, q1, q2, q3] = *quoted.first_chunk()?;
        Some(Self {
            source_port: u16::from_be_bytes([s0, s1]),
            destination_port: u16::from_be_bytes([d0, d1]),
            sequence: u32::from_be_bytes([q0, q1, q2, q3]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::pseudo_header;
    use core::net::{IpAddr, Ipv4Addr};

    const HEADER: TcpHeader = TcpHeader {
        source_port: 0xc001,
        destination_port: 80,
        sequence: 0xffff_fffe,
        acknowledgement: 0x8000_0001,
        flags: 0x118,
        window: 0xfedc,
        urgent: 0x1234,
    };

    #[test]
    fn octet_by_octet() {
        let mut into = [0xee; 24];
        assert_eq!(HEADER.write_raw(&[1, 1, 0], &mut into), Ok(24));
        let expected = [
            0xc0, 0x01, 0, 80, 0xff, 0xff, 0xff, 0xfe, 0x80, 0, 0, 1, 0x61, 0x18, 0xfe, 0xdc, 0, 0,
            0x12, 0x34, 1, 1, 0, 0,
        ];
        assert_eq!(into, expected);
        let quoted = QuotedTcp::parse(&into[..8]).unwrap();
        assert_eq!((quoted.source_port, quoted.destination_port), (0xc001, 80));
        assert_eq!(quoted.sequence, 0xffff_fffe);
        assert_eq!(QuotedTcp::parse(&into[..7]), None);
    }

    //= rfc9293 MUST-5 test
    #[test]
    fn data_offsets() {
        // of a segment of 28 octets: options and text, or why not
        let cases = [
            (0, Err(TcpError::OffsetTooSmall(0))),
            (4, Err(TcpError::OffsetTooSmall(4))),
            (5, Ok((0, 8))),
            (6, Ok((4, 4))),
            (7, Ok((8, 0))),
            (8, Err(TcpError::OffsetPastEnd(8))),
            (15, Err(TcpError::OffsetPastEnd(15))),
        ];
        for (words, expected) in cases {
            let mut octets = [0; 28];
            HEADER.write_raw(&[], &mut octets).unwrap();
            // Reserved bits set: ignored.
            octets[12] = words << 4 | 0x0f;
            let parsed = TcpSegment::parse(&octets);
            assert_eq!(
                parsed.map(|s| (s.options.len(), s.payload.len())),
                expected,
                "{words}"
            );
            if let Ok(segment) = parsed {
                assert_eq!(segment.header, HEADER, "{words}");
            }
        }
        for len in 0..20 {
            assert_eq!(
                TcpSegment::parse(&[0x50; 28][..len]),
                Err(TcpError::Truncated)
            );
        }
    }

    //= rfc9293 MUST-69 test
    #[test]
    fn padding_is_zero() {
        for len in 0..=40 {
            let mut into = [0xee; MAX_HEADER_LEN];
            let written = HEADER.write_raw(&[1; 40][..len], &mut into).unwrap();
            assert_eq!(written, 20 + len.next_multiple_of(4));
            assert!(
                into[20 + len..written].iter().all(|octet| *octet == 0),
                "{len}"
            );
        }
        let mut into = [0; MAX_HEADER_LEN];
        assert_eq!(
            HEADER.write_raw(&[1; 41], &mut into),
            Err(WriteError::TooLong)
        );
        let short = HEADER.write_raw(&[1; 5], &mut into[..27]);
        assert_eq!(short, Err(WriteError::BufferTooShort { needed: 28 }));
    }

    //= rfc9293 MUST-2 test
    //= rfc9293 MUST-3 test
    #[test]
    fn checksum_in_pieces() {
        let (source, destination) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
        let pseudo = pseudo_header(IpAddr::V4(source), IpAddr::V4(destination), 6, 25);
        let mut segment = [0x5a; 25];
        let len = HEADER.write_raw(&[], &mut segment).unwrap();
        let (header, text) = segment.split_at(len);
        let checksum = tcp_checksum(pseudo, &[header, &text[..3], &text[3..]]);
        set_checksum(&mut segment, checksum).unwrap();
        assert!(verify(pseudo, &segment));
        assert_eq!(TcpSegment::parse(&segment).unwrap().checksum, checksum);
        for bit in 0..segment.len() * 8 {
            segment[bit / 8] ^= 1 << (bit % 8);
            assert!(!verify(pseudo, &segment), "bit {bit}");
            segment[bit / 8] ^= 1 << (bit % 8);
        }
        let short = set_checksum(&mut segment[..19], 0);
        assert_eq!(short, Err(WriteError::BufferTooShort { needed: 20 }));
    }
}
