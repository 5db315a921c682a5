//! The virtio-net header in front of a frame (virtio 1.2, 5.1.6), in the byte order of the machine: what
//! TUN and AF_PACKET use unless told otherwise.

use std::io;

use woshou_wire::ip_protocol::TCP;
use woshou_wire::virtio_net::{
    DATA_VALID, GSO_ECN, GSO_TCPV4, GSO_TCPV6, HEADER_LEN, NEEDS_CSUM, VirtioNetHeader,
};

use crate::gso::Layout;
use crate::{Medium, Outgoing};

/// The header that says what the device has yet to do for `frame`.
///
/// # Errors
/// `InvalidInput`: a segment size on what is no TCP over IP with its headers in the first part.
pub(crate) fn encode(frame: &Outgoing<'_>, medium: Medium) -> io::Result<[u8; HEADER_LEN]> {
    let mut header = VirtioNetHeader::default();
    if let Some((start, offset)) = frame.checksum {
        header.flags = NEEDS_CSUM;
        header.csum_start = start;
        header.csum_offset = offset;
    }
    if let Some(size) = frame.segment_size {
        let (kind, length) = segmentation(frame.parts[0], medium).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "a segment size on a frame that is not TCP over IP",
            )
        })?;
        header.gso_type = kind;
        header.hdr_len = length;
        header.gso_size = size;
    }
    let mut octets = [0; HEADER_LEN];
    header.write(&mut octets).map_err(io::Error::other)?;
    Ok(octets)
}

/// The GSO type of a TCP frame and the length of its headers, octets.
fn segmentation(headers: &[u8], medium: Medium) -> Option<(u8, u16)> {
    let layout = Layout::of(headers, medium).filter(|layout| layout.protocol == TCP)?;
    let tcp = headers.get(layout.transport..)?.first_chunk::<20>()?;
    let kind = if layout.v6 { GSO_TCPV6 } else { GSO_TCPV4 };
    // CWR must go on the first segment only: the cutter has to know (virtio 1.2, 5.1.6.2).
    let ecn = if tcp[13] & 0x80 != 0 { GSO_ECN } else { 0 };
    let length = layout.transport + usize::from(tcp[12] >> 4) * 4;
    Some((kind | ecn, u16::try_from(length).ok()?))
}

/// What a header says of the frame behind it: the checksum needs no check; the size of its segments.
///
/// Not by [`VirtioNetHeader::parse`], which wants header and frame in one piece: here they were read
/// into two, and the checksum's place does not matter because nobody completes it on arrival.
pub(crate) fn decode(header: &[u8; HEADER_LEN]) -> (bool, Option<u16>) {
    // NEEDS_CSUM on arrival: sent by this very host, never computed because it never saw a wire.
    let checksum_valid = header[0] & (NEEDS_CSUM | DATA_VALID) != 0;
    let size = u16::from_ne_bytes([header[4], header[5]]);
    let segment_size = match header[1] & !GSO_ECN {
        GSO_TCPV4 | GSO_TCPV6 if size > 0 => Some(size),
        // None, or UDP super-frames, which are never asked for.
        _ => None,
    };
    (checksum_valid, segment_size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;

    /// A whole frame and the length of its headers.
    fn frame(v6: bool, ethernet: bool, cwr: bool) -> (Vec<u8>, usize) {
        let mac = [2; 6];
        let ip = match (v6, ethernet) {
            (false, false) => PacketBuilder::ipv4([1; 4], [2; 4], 9),
            (true, false) => PacketBuilder::ipv6([1; 16], [2; 16], 9),
            (false, true) => PacketBuilder::ethernet2(mac, mac).ipv4([1; 4], [2; 4], 9),
            (true, true) => PacketBuilder::ethernet2(mac, mac).ipv6([1; 16], [2; 16], 9),
        };
        let mut tcp = ip
            .tcp(1, 2, u32::MAX, 4)
            .options_raw(&[1; 12])
            .expect("options");
        if cwr {
            tcp = tcp.cwr();
        }
        let mut out = Vec::new();
        tcp.write(&mut out, &[0; 3000]).expect("a frame");
        let headers = out.len() - 3000;
        (out, headers)
    }

    #[test]
    fn the_header_of_a_super_frame() {
        for (v6, ethernet, cwr, kind) in [
            (false, false, false, 1),
            (true, false, false, 4),
            (false, true, true, 0x81),
            (true, true, true, 0x84),
        ] {
            let (bytes, headers) = frame(v6, ethernet, cwr);
            let medium = if ethernet {
                Medium::Ethernet { mac: [2; 6] }
            } else {
                Medium::Ip
            };
            let start = (headers - 32) as u16;
            let outgoing = Outgoing {
                parts: [&bytes[..headers], &bytes[headers..], &[]],
                checksum: Some((start, 16)),
                segment_size: Some(1448),
            };
            let header = encode(&outgoing, medium).unwrap();
            assert_eq!(header[..2], [1, kind]);
            let fields = [headers as u16, 1448, start, 16];
            for (at, field) in fields.into_iter().enumerate() {
                assert_eq!(header[2 + 2 * at..4 + 2 * at], field.to_ne_bytes());
            }
            assert_eq!(decode(&header), (true, Some(1448)));
        }
    }

    #[test]
    fn what_arrives() {
        for (flags, kind, expected) in [
            (0, 0, (false, None)),
            (1, 0, (true, None)),
            (2, 0, (true, None)),
            (0, 1, (false, Some(7))),
            (1, 0x84, (true, Some(7))),
            (1, 3, (true, None)),
        ] {
            let mut header = [0; HEADER_LEN];
            header[0] = flags;
            header[1] = kind;
            header[4..6].copy_from_slice(&7u16.to_ne_bytes());
            assert_eq!(decode(&header), expected);
        }
    }
}
