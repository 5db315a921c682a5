//! The UDP header (RFC 768).

use core::net::IpAddr;

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::checksum::{Sum, pseudo_header};
use crate::{WriteError, ip_protocol, put};

/// Octets of the header.
pub const HEADER_LEN: usize = 8;

/// Where the checksum field lies in the header, in octets.
pub const CHECKSUM_OFFSET: usize = 6;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Raw {
    source_port: U16,
    destination_port: U16,
    len: U16,
    checksum: U16,
}

/// The ports of a UDP header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpHeader {
    /// Source port; zero where no answer is wanted.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
}

/// A UDP datagram as it lies in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpDatagram<'a> {
    /// The ports.
    pub header: UdpHeader,
    /// The checksum field; see [`verify`].
    pub checksum: u16,
    /// The data, up to the length field.
    pub payload: &'a [u8],
}

/// Why octets are not a UDP datagram. Drop them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UdpError {
    /// Shorter than the header.
    #[error("shorter than a UDP header")]
    Truncated,
    /// The length field is less than the header's length.
    #[error("UDP length of {0} octets is less than the header's")]
    LengthTooSmall(u16),
    /// The length field says more than arrived.
    #[error("UDP length of {0} octets is more than arrived")]
    LengthPastEnd(u16),
    /// No checksum, which IPv6 does not allow (RFC 8200 section 8.1).
    #[error("no checksum over IPv6")]
    NoChecksum,
    /// The checksum does not hold.
    #[error("bad checksum")]
    BadChecksum,
}

impl<'a> UdpDatagram<'a> {
    /// Parses what IP carried; octets after the length field's end are ignored, as the checksum ignores them.
    /// The checksum is not looked at: see [`verify`].
    ///
    /// # Errors
    /// [`UdpError::Truncated`], [`UdpError::LengthTooSmall`], [`UdpError::LengthPastEnd`].
    pub fn parse(datagram: &'a [u8]) -> Result<Self, UdpError> {
        let (raw, rest) = Raw::ref_from_prefix(datagram).map_err(|_| UdpError::Truncated)?;
        let len = raw.len.get();
        let payload_len = usize::from(len)
            .checked_sub(HEADER_LEN)
            .ok_or(UdpError::LengthTooSmall(len))?;
        Ok(Self {
            header: UdpHeader {
                source_port: raw.source_port.get(),
                destination_port: raw.destination_port.get(),
            },
            checksum: raw.checksum.get(),
            payload: rest
                .get(..payload_len)
                .ok_or(UdpError::LengthPastEnd(len))?,
        })
    }
}

impl UdpHeader {
    /// Writes the header to the front of `into`, the checksum field zero, for `payload_len` octets of data,
    /// and returns its length, [`HEADER_LEN`]. See [`udp_checksum`] and [`set_checksum`].
    ///
    /// # Errors
    /// [`WriteError::BufferTooShort`]; [`WriteError::TooLong`] for more than 65 527 octets of data.
    pub fn write(&self, payload_len: usize, into: &mut [u8]) -> Result<usize, WriteError> {
        let len = payload_len
            .checked_add(HEADER_LEN)
            .ok_or(WriteError::TooLong)?;
        let raw = Raw {
            source_port: self.source_port.into(),
            destination_port: self.destination_port.into(),
            len: u16::try_from(len).map_err(|_| WriteError::TooLong)?.into(),
            checksum: U16::ZERO,
        };
        put(raw.as_bytes(), into)
    }
}

/// The checksum of a datagram in pieces: header (its checksum field zero) and data, in order; never zero,
/// which would mean that there is none.
#[must_use]
pub fn udp_checksum(pseudo: Sum, pieces: &[&[u8]]) -> u16 {
    match pieces
        .iter()
        .fold(pseudo, |sum, piece| sum.with(piece))
        .checksum()
    {
        0 => u16::MAX,
        checksum => checksum,
    }
}

/// Stores `checksum` in the header at the front of `datagram`.
///
/// # Errors
/// [`WriteError::BufferTooShort`] when there is no whole header.
pub fn set_checksum(datagram: &mut [u8], checksum: u16) -> Result<(), WriteError> {
    let (raw, _) = Raw::mut_from_prefix(datagram)
        .map_err(|_| WriteError::BufferTooShort { needed: HEADER_LEN })?;
    raw.checksum = checksum.into();
    Ok(())
}

/// Verifies the checksum of a datagram that [`UdpDatagram::parse`] accepts. Over IPv4 it may be missing, over
/// IPv6 it may not.
///
/// # Errors
/// What [`UdpDatagram::parse`] says; [`UdpError::NoChecksum`], [`UdpError::BadChecksum`].
pub fn verify(source: IpAddr, destination: IpAddr, datagram: &[u8]) -> Result<(), UdpError> {
    let parsed = UdpDatagram::parse(datagram)?;
    if parsed.checksum == 0 {
        return if source.is_ipv6() {
            Err(UdpError::NoChecksum)
        } else {
            Ok(())
        };
    }
    let covered = &datagram[..HEADER_LEN + parsed.payload.len()];
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the length field has 16 bits"
    )]
    let len = covered.len() as u32;
    if pseudo_header(source, destination, ip_protocol::UDP, len)
        .with(covered)
        .is_valid()
    {
        Ok(())
    } else {
        Err(UdpError::BadChecksum)
    }
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const HEADER: UdpHeader = UdpHeader {
        source_port: 5353,
        destination_port: 0xfffe,
    };
    const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    #[test]
    fn lengths() {
        let mut datagram = [0; 12];
        HEADER.write(4, &mut datagram).unwrap();
        // length field; octets of data, or why not
        let cases = [
            (0, Err(UdpError::LengthTooSmall(0))),
            (7, Err(UdpError::LengthTooSmall(7))),
            (8, Ok(0)),
            (11, Ok(3)),
            (12, Ok(4)),
            (13, Err(UdpError::LengthPastEnd(13))),
        ];
        for (len, expected) in cases {
            datagram[5] = len;
            assert_eq!(
                UdpDatagram::parse(&datagram).map(|d| d.payload.len()),
                expected,
                "{len}"
            );
        }
        for len in 0..8 {
            assert_eq!(
                UdpDatagram::parse(&datagram[..len]),
                Err(UdpError::Truncated)
            );
        }
        assert_eq!(HEADER.write(65_527, &mut datagram), Ok(8));
        assert_eq!(
            HEADER.write(65_528, &mut datagram),
            Err(WriteError::TooLong)
        );
    }

    #[test]
    fn no_checksum_is_for_ipv4_only() {
        let mut datagram = [7; 11];
        HEADER.write(3, &mut datagram).unwrap();
        assert_eq!(verify(V4, V4, &datagram), Ok(()));
        assert_eq!(verify(V6, V6, &datagram), Err(UdpError::NoChecksum));
        for ip in [V4, V6] {
            let pseudo = pseudo_header(ip, ip, ip_protocol::UDP, 11);
            set_checksum(&mut datagram, 0).unwrap();
            let checksum = udp_checksum(pseudo, &[&datagram[..9], &datagram[9..]]);
            set_checksum(&mut datagram, checksum).unwrap();
            assert_eq!(verify(ip, ip, &datagram), Ok(()));
            datagram[10] ^= 0x80;
            assert_eq!(verify(ip, ip, &datagram), Err(UdpError::BadChecksum));
            datagram[10] ^= 0x80;
        }
    }

    #[test]
    fn a_sum_of_zero_is_sent_as_ones() {
        assert_eq!(udp_checksum(Sum::ZERO, &[&[0xff, 0xff]]), 0xffff);
        assert_eq!(udp_checksum(Sum::ZERO, &[&[0xff, 0xfe]]), 0x0001);
    }

    #[test]
    fn octets_behind_the_datagram_do_not_count() {
        let mut packet = [7; 16];
        HEADER.write(3, &mut packet).unwrap();
        let pseudo = pseudo_header(V6, V6, ip_protocol::UDP, 11);
        let checksum = udp_checksum(pseudo, &[&packet[..11]]);
        set_checksum(&mut packet, checksum).unwrap();
        assert_eq!(verify(V6, V6, &packet), Ok(()));
    }
}
