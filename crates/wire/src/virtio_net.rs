//! The header that TUN, TAP and packet sockets put in front of a packet when asked for offloads: the legacy
//! virtio-net header of ten octets, without `num_buffers`.
//!
//! Its numbers are in the machine's own byte order, which is what Linux uses unless told otherwise.
//!
//! Source: Virtual I/O Device (VIRTIO) 1.2, section 5.1.6; Linux `include/uapi/linux/virtio_net.h`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{WriteError, put};

/// Octets of the header.
pub const HEADER_LEN: usize = 10;

/// Flag: the checksum field holds a [partial](crate::checksum::Sum::partial) sum, to be finished over
/// everything from `csum_start` ([`crate::checksum::complete`]).
pub const NEEDS_CSUM: u8 = 1;
/// Flag: the checksum was verified already.
pub const DATA_VALID: u8 = 2;

/// GSO type: one packet, as it is.
pub const GSO_NONE: u8 = 0;
/// GSO type: TCP over IPv4, to be cut into segments of `gso_size` octets of text.
pub const GSO_TCPV4: u8 = 1;
/// GSO type: TCP over IPv6.
pub const GSO_TCPV6: u8 = 4;
/// GSO type: UDP, to be cut into datagrams of `gso_size` octets of data.
pub const GSO_UDP_L4: u8 = 5;
/// Bit beside the GSO type: the segments carry CWR, in the first of them only.
pub const GSO_ECN: u8 = 0x80;

/// The header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VirtioNetHeader {
    /// [`NEEDS_CSUM`] and [`DATA_VALID`].
    pub flags: u8,
    /// One of the `GSO_` types, and perhaps [`GSO_ECN`].
    pub gso_type: u8,
    /// Octets of all headers of the packet, link to transport; a hint only.
    pub hdr_len: u16,
    /// Octets of text in each segment but the last.
    pub gso_size: u16,
    /// Where the checksum begins to cover, in octets from the first of the packet.
    pub csum_start: u16,
    /// Where the checksum field lies, in octets from `csum_start`.
    pub csum_offset: u16,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Raw {
    flags: u8,
    gso_type: u8,
    hdr_len: [u8; 2],
    gso_size: [u8; 2],
    csum_start: [u8; 2],
    csum_offset: [u8; 2],
}

/// Why octets do not begin with a usable header. Drop them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VirtioNetError {
    /// Shorter than the header.
    #[error("shorter than a virtio-net header")]
    Truncated,
    /// A GSO type that is none of the `GSO_` constants.
    #[error("unknown GSO type {0:#04x}")]
    UnknownGso(u8),
    /// A packet to be cut into segments of no length.
    #[error("GSO with segments of zero octets")]
    ZeroGsoSize,
    /// The checksum field to be finished lies outside of the packet.
    #[error("the checksum field lies outside of the packet")]
    ChecksumPastEnd,
}

impl VirtioNetHeader {
    /// Parses the header in front of a packet, and returns the packet beside it.
    ///
    /// # Errors
    /// One [`VirtioNetError`] per cause.
    pub fn parse(octets: &[u8]) -> Result<(Self, &[u8]), VirtioNetError> {
        let (raw, packet) = Raw::ref_from_prefix(octets).map_err(|_| VirtioNetError::Truncated)?;
        let header = Self {
            flags: raw.flags,
            gso_type: raw.gso_type,
            hdr_len: u16::from_ne_bytes(raw.hdr_len),
            gso_size: u16::from_ne_bytes(raw.gso_size),
            csum_start: u16::from_ne_bytes(raw.csum_start),
            csum_offset: u16::from_ne_bytes(raw.csum_offset),
        };
        match header.gso() {
            GSO_NONE => {}
            GSO_TCPV4 | GSO_TCPV6 | GSO_UDP_L4 if header.gso_size > 0 => {}
            GSO_TCPV4 | GSO_TCPV6 | GSO_UDP_L4 => return Err(VirtioNetError::ZeroGsoSize),
            _ => return Err(VirtioNetError::UnknownGso(header.gso_type)),
        }
        let field = usize::from(header.csum_start) + usize::from(header.csum_offset);
        if header.needs_csum() && field + 2 > packet.len() {
            return Err(VirtioNetError::ChecksumPastEnd);
        }
        Ok((header, packet))
    }

    /// The GSO type without [`GSO_ECN`].
    #[must_use]
    pub const fn gso(&self) -> u8 {
        self.gso_type & !GSO_ECN
    }

    /// Whether the checksum is still to be finished.
    #[must_use]
    pub const fn needs_csum(&self) -> bool {
        self.flags & NEEDS_CSUM != 0
    }

    /// Writes the header to the front of `into`, and returns its length, [`HEADER_LEN`].
    ///
    /// # Errors
    /// [`WriteError::BufferTooShort`].
    pub fn write(&self, into: &mut [u8]) -> Result<usize, WriteError> {
        let raw = Raw {
            flags: self.flags,
            gso_type: self.gso_type,
            hdr_len: self.hdr_len.to_ne_bytes(),
            gso_size: self.gso_size.to_ne_bytes(),
            csum_start: self.csum_start.to_ne_bytes(),
            csum_offset: self.csum_offset.to_ne_bytes(),
        };
        put(raw.as_bytes(), into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: VirtioNetHeader = VirtioNetHeader {
        flags: NEEDS_CSUM,
        gso_type: GSO_TCPV4 | GSO_ECN,
        hdr_len: 40,
        gso_size: 1460,
        csum_start: 20,
        csum_offset: 16,
    };

    #[test]
    fn the_layout_is_the_kernels() {
        let mut octets = [9; 50];
        assert_eq!(HEADER.write(&mut octets), Ok(10));
        assert_eq!(octets[..2], [1, 0x81]);
        let numbers: [u16; 4] = [40, 1460, 20, 16];
        for (octets, number) in octets[2..10].as_chunks().0.iter().zip(numbers) {
            assert_eq!(u16::from_ne_bytes(*octets), number);
        }
        assert_eq!(VirtioNetHeader::parse(&octets), Ok((HEADER, &[9; 40][..])));
        assert_eq!(HEADER.gso(), GSO_TCPV4);
        let short = HEADER.write(&mut octets[..9]);
        assert_eq!(short, Err(WriteError::BufferTooShort { needed: 10 }));
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn one_field_differs() {
        type Case = (&'static str, VirtioNetHeader, Result<(), VirtioNetError>);
        let plain = VirtioNetHeader::default();
        let cases: [Case; 9] = [
            ("plain", plain, Ok(())),
            (
                "IPv6",
                VirtioNetHeader {
                    gso_type: GSO_TCPV6,
                    ..HEADER
                },
                Ok(()),
            ),
            (
                "UDP",
                VirtioNetHeader {
                    gso_type: GSO_UDP_L4,
                    ..HEADER
                },
                Ok(()),
            ),
            (
                "UFO",
                VirtioNetHeader {
                    gso_type: 3,
                    ..HEADER
                },
                Err(VirtioNetError::UnknownGso(3)),
            ),
            (
                "size 0",
                VirtioNetHeader {
                    gso_size: 0,
                    ..HEADER
                },
                Err(VirtioNetError::ZeroGsoSize),
            ),
            (
                "last field",
                VirtioNetHeader {
                    csum_start: 22,
                    ..HEADER
                },
                Ok(()),
            ),
            (
                "past the end",
                VirtioNetHeader {
                    csum_start: 23,
                    ..HEADER
                },
                Err(VirtioNetError::ChecksumPastEnd),
            ),
            (
                "far past the end",
                VirtioNetHeader {
                    csum_start: 0xffff,
                    csum_offset: 0xffff,
                    ..HEADER
                },
                Err(VirtioNetError::ChecksumPastEnd),
            ),
            (
                "no matter",
                VirtioNetHeader {
                    csum_start: 0xffff,
                    ..plain
                },
                Ok(()),
            ),
        ];
        for (name, header, expected) in cases {
            let mut octets = [0; 50];
            header.write(&mut octets).unwrap();
            let parsed = VirtioNetHeader::parse(&octets).map(|(parsed, _)| parsed);
            assert_eq!(parsed, expected.map(|()| header), "{name}");
        }
        assert_eq!(
            VirtioNetHeader::parse(&[0; 9]),
            Err(VirtioNetError::Truncated)
        );
    }
}
