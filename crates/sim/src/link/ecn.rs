//! Marks instead of losses: a queue that says so before it is full (RFC 3168 section 5).

use bytes::Bytes;
use woshou_wire::ipv4::HEADER_LEN;

/// Explicit congestion notification at the bottleneck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marking {
    /// A packet that leaves more than so many octets in the queue, itself and the one being sent included, is marked when
    /// it is ECN-capable. Others pass as they are.
    pub above: u64,
}

/// The bits of the ECN field (RFC 3168 section 5): Not-ECT 00, ECT(1) 01, ECT(0) 10, CE 11.
const CE: u8 = 0b11;

/// The packet with CE, where it was ECN-capable and not marked yet; its IPv4 checksum is right again.
pub(super) fn marked(octets: &Bytes) -> Option<Bytes> {
    let (first, second) = (*octets.first()?, *octets.get(1)?);
    let v4 = match first >> 4 {
        4 if octets.len() >= HEADER_LEN => true,
        6 => false,
        _ => return None,
    };
    let shift = if v4 { 0 } else { 4 };
    let field = second >> shift & CE;
    if field == 0 || field == CE {
        return None;
    }
    let mut packet = octets.to_vec();
    packet[1] = second | CE << shift;
    if v4 {
        // HC' = ~(~HC + ~m + m') (RFC 1624 section 3); m' is m with at most two bits more.
        let more = u32::from(packet[1] - second);
        let old = u16::from_be_bytes([packet[10], packet[11]]);
        let sum = u32::from(!old) + more;
        let folded = (sum & 0xffff) + (sum >> 16);
        let new = !u16::try_from(folded).unwrap_or(u16::MAX);
        packet[10..12].copy_from_slice(&new.to_be_bytes());
    }
    Some(packet.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};
    use woshou_wire::ipv4::{Ipv4Header, Ipv4Packet};
    use woshou_wire::ipv6::{self, Ipv6Header};

    fn v4(tos: u8, id: u16) -> Bytes {
        let header = Ipv4Header {
            source: Ipv4Addr::new(10, 0, 0, 1),
            destination: Ipv4Addr::new(10, 0, 0, 2),
            protocol: 6,
            ttl: 64,
            tos,
            id,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
        };
        let mut packet = vec![0; HEADER_LEN + 4];
        header.write(4, &mut packet).unwrap();
        packet.into()
    }

    #[test]
    fn what_is_capable_is_marked_and_its_checksum_right() {
        for id in 0..=u16::MAX {
            // Every checksum there is.
            for (tos, expected) in [
                (0b10, Some(0b11)),
                (0xa9, Some(0xab)),
                (0xa8, None),
                (3, None),
            ] {
                if tos != 0b10 && id % 97 != 0 {
                    continue;
                }
                let packet = marked(&v4(tos, id));
                let seen = packet.as_ref().map(|packet| {
                    Ipv4Packet::parse(packet).expect("a right checksum");
                    packet[1]
                });
                assert_eq!(seen, expected, "{tos:#x} {id}");
            }
        }
        for (class, expected) in [
            (0, None),
            (1, Some(3)),
            (2, Some(3)),
            (3, None),
            (0xb8, None),
            (0xba, Some(0xbb)),
        ] {
            let header = Ipv6Header {
                source: Ipv6Addr::LOCALHOST,
                destination: Ipv6Addr::LOCALHOST,
                next_header: 6,
                hop_limit: 64,
                traffic_class: class,
                flow_label: 0xf_ffff,
            };
            let mut packet = vec![0; ipv6::HEADER_LEN];
            header.write(0, &mut packet).unwrap();
            let seen = marked(&packet.into()).map(|packet| {
                let parsed = ipv6::Ipv6Packet::parse(&packet).unwrap().header;
                assert_eq!(parsed.flow_label, 0xf_ffff);
                parsed.traffic_class
            });
            assert_eq!(seen, expected, "{class:#x}");
        }
        for none in [&[][..], &[0x45], &[0x45, 2], &[0x25, 2, 0]] {
            assert_eq!(marked(&Bytes::from_static(none)), None);
        }
    }
}
