//! The device between a stack and its link: what a network card does with what it is given to send.

use bytes::{Bytes, BytesMut};
use woshou_stack::{PartialChecksum, Transmit};
use woshou_wire::checksum;

/// FIN, PSH and CWR, in octet 13 of the TCP header.
const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;

/// Where packets are made, many in one piece of memory: an allocation for each would be dearer than the packet.
#[derive(Debug, Default)]
pub(crate) struct Press(BytesMut);

impl Press {
    /// Octets of memory allocated at once.
    const SHEET: usize = 64 * 1024;

    /// A packet of these parts, not to be shared yet.
    fn set(&mut self, parts: [&[u8]; 3]) -> BytesMut {
        let octets = parts.iter().map(|part| part.len()).sum::<usize>();
        if self.0.capacity() < octets {
            self.0.reserve(octets.max(Self::SHEET));
        }
        for part in parts {
            self.0.extend_from_slice(part);
        }
        self.0.split()
    }
}

/// Adds the packets of the wire that `transmit` stands for to `packets`, checksums finished.
///
/// A transmit whose headers make no sense leaves as it is, for the peer to refuse. Without `finishes` a checksum that was left
/// to the device stays unfinished, in a packet that is not to be cut.
pub(crate) fn print(
    press: &mut Press,
    transmit: &Transmit<'_>,
    finishes: bool,
    packets: &mut Vec<Bytes>,
) {
    let [first, second] = transmit.payload;
    if let Some(size) = transmit.segment_size
        && first.len() + second.len() > usize::from(size)
        && size > 0
        && let Some(start) = transmit.checksum
        && let Some(segments) = cut(
            transmit.headers,
            &[first, second].concat(),
            usize::from(size),
            start,
        )
    {
        packets.extend(segments);
        return;
    }
    let mut packet = press.set([transmit.headers, first, second]);
    if finishes && let Some(PartialChecksum { start, offset }) = transmit.checksum {
        // Out of the packet: the peer sees a wrong checksum, as with a real device.
        let _ = checksum::complete(&mut packet, usize::from(start), usize::from(offset), false);
    }
    packets.push(packet.freeze());
}

/// Cuts a TCP super-packet into segments (GSO). `None` when it is no TCP packet.
fn cut(headers: &[u8], payload: &[u8], size: usize, at: PartialChecksum) -> Option<Vec<Bytes>> {
    let tcp = usize::from(at.start);
    if tcp < 20 || headers.len() < tcp + 20 {
        return None;
    }
    let last = payload.chunks(size).count() - 1;
    let mut packets = Vec::with_capacity(last + 1);
    for (n, text) in payload.chunks(size).enumerate() {
        let mut packet = [headers, text].concat();
        let (ip, segment) = packet.split_at_mut(tcp);
        set_ip_length(ip, segment.len(), n)?;
        let seq = u32::from_be_bytes(*segment.get(4..)?.first_chunk()?);
        let seq = seq.wrapping_add(u32::try_from(n * size).ok()?);
        segment.get_mut(4..8)?.copy_from_slice(&seq.to_be_bytes());
        let flags = segment.get_mut(13)?;
        if n > 0 {
            *flags &= !CWR;
        }
        if n < last {
            *flags &= !(FIN | PSH);
        }
        let pseudo = pseudo_header(ip, segment.len())?;
        segment.get_mut(16..18)?.copy_from_slice(&[0, 0]);
        let sum = pseudo.with(segment).checksum();
        segment.get_mut(16..18)?.copy_from_slice(&sum.to_be_bytes());
        packets.push(Bytes::from(packet));
    }
    Some(packets)
}

/// Writes the lengths of segment `n` of a super-packet into its IP header, and IPv4's identification and checksum.
fn set_ip_length(ip: &mut [u8], segment: usize, n: usize) -> Option<()> {
    match woshou_wire::ip_version(ip)? {
        4 => {
            let total = u16::try_from(ip.len() + segment).ok()?;
            ip.get_mut(2..4)?.copy_from_slice(&total.to_be_bytes());
            let id = u16::from_be_bytes(*ip.get(4..)?.first_chunk()?);
            let id = id.wrapping_add(u16::try_from(n).ok()?);
            ip.get_mut(4..6)?.copy_from_slice(&id.to_be_bytes());
            ip.get_mut(10..12)?.copy_from_slice(&[0, 0]);
            let sum = checksum::Sum::ZERO.with(ip).checksum();
            ip.get_mut(10..12)?.copy_from_slice(&sum.to_be_bytes());
        }
        6 => {
            let payload = u16::try_from(ip.len() - 40 + segment).ok()?;
            ip.get_mut(4..6)?.copy_from_slice(&payload.to_be_bytes());
        }
        _ => return None,
    }
    Some(())
}

/// The sum over the pseudo-header of a TCP segment of `length` octets behind this IP header.
fn pseudo_header(ip: &[u8], length: usize) -> Option<checksum::Sum> {
    let length = u32::try_from(length).ok()?;
    let (source, destination) = addresses(ip)?;
    Some(checksum::pseudo_header(
        source,
        destination,
        woshou_wire::ip_protocol::TCP,
        length,
    ))
}

/// Source and destination of an IP packet.
pub(crate) fn addresses(ip: &[u8]) -> Option<(std::net::IpAddr, std::net::IpAddr)> {
    Some(match woshou_wire::ip_version(ip)? {
        4 => {
            let source: [u8; 4] = *ip.get(12..)?.first_chunk()?;
            let destination: [u8; 4] = *ip.get(16..)?.first_chunk()?;
            (source.into(), destination.into())
        }
        6 => {
            let source: [u8; 16] = *ip.get(8..)?.first_chunk()?;
            let destination: [u8; 16] = *ip.get(24..)?.first_chunk()?;
            (source.into(), destination.into())
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use woshou_stack::LinkId;

    fn packets(transmit: &Transmit<'_>, finishes: bool) -> Vec<Bytes> {
        let mut packets = Vec::new();
        print(&mut Press::default(), transmit, finishes, &mut packets);
        packets
    }

    #[test]
    fn packets_of_one_sheet_are_their_own() {
        let mut press = Press::default();
        let mut packets = Vec::new();
        let transmit = |text| Transmit {
            link: LinkId(0),
            headers: b"head",
            payload: [text, b"!"],
            checksum: None,
            segment_size: None,
        };
        let text = [7; 1_000];
        for n in 0..200 {
            print(&mut press, &transmit(&text[..n * 5]), true, &mut packets);
        }
        for (n, packet) in packets.iter().enumerate() {
            assert_eq!(packet[..], [b"head", &text[..n * 5], b"!"].concat());
        }
    }

    /// An IPv4 or IPv6 header and a TCP header without options, sequence number 0xffff_fffe, all flags set.
    fn headers(version: u8) -> Vec<u8> {
        let mut headers = match version {
            4 => {
                let mut ip = vec![0; 20];
                ip[0] = 0x45;
                ip[5] = 9;
                ip[9] = 6;
                ip[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
                ip
            }
            _ => {
                let mut ip = vec![0; 40];
                ip[0] = 0x60;
                ip[6] = 6;
                ip[23] = 1;
                ip[39] = 2;
                ip
            }
        };
        let mut tcp = [0; 20];
        tcp[4..8].copy_from_slice(&0xffff_fffe_u32.to_be_bytes());
        tcp[12] = 0x50;
        tcp[13] = 0xff;
        headers.extend(tcp);
        headers
    }

    #[test]
    fn a_super_packet_is_cut_into_whole_packets() {
        for (version, ip_len) in [(4, 20), (6, 40)] {
            let headers = headers(version);
            let text: Vec<u8> = (0..=255).cycle().take(2500).collect();
            let transmit = Transmit {
                link: LinkId(0),
                headers: &headers,
                payload: [&text[..700], &text[700..]],
                checksum: Some(PartialChecksum {
                    start: ip_len,
                    offset: 16,
                }),
                segment_size: Some(1000),
            };
            let packets = packets(&transmit, true);
            let ip_len = usize::from(ip_len);
            let mut joined: Vec<u8> = Vec::new();
            for (n, packet) in packets.iter().enumerate() {
                let (ip, segment) = packet.split_at(ip_len);
                assert!(
                    pseudo_header(ip, segment.len())
                        .unwrap()
                        .with(segment)
                        .is_valid()
                );
                let length = usize::from(u16::from_be_bytes(if version == 4 {
                    assert!(checksum::Sum::ZERO.with(ip).is_valid());
                    assert_eq!(usize::from(ip[5]), 9 + n, "identification");
                    [ip[2], ip[3]]
                } else {
                    [ip[4], ip[5]]
                }));
                assert_eq!(
                    length,
                    if version == 4 {
                        packet.len()
                    } else {
                        segment.len()
                    }
                );
                let seq = u32::from_be_bytes(segment[4..8].try_into().unwrap());
                assert_eq!(seq, 0xffff_fffe_u32.wrapping_add(joined.len() as u32));
                assert_eq!(segment[13], [0xf6, 0x76, 0x7f][n], "flags");
                joined.extend(&segment[20..]);
            }
            assert_eq!(packets.len(), 3);
            assert_eq!(joined, text);
        }
    }

    #[test]
    fn a_checksum_left_to_the_device_is_finished() {
        let mut headers = headers(4);
        let ip = headers[..20].to_vec();
        let pseudo = pseudo_header(&ip, 25).unwrap();
        headers[36..38].copy_from_slice(&pseudo.partial().to_be_bytes());
        let transmit = Transmit {
            link: LinkId(0),
            headers: &headers,
            payload: [b"he", b"llo"],
            checksum: Some(PartialChecksum {
                start: 20,
                offset: 16,
            }),
            segment_size: None,
        };
        let [packet] = &packets(&transmit, true)[..] else {
            panic!("one packet")
        };
        assert!(pseudo.with(&packet[20..]).is_valid());
        assert!(packet.ends_with(b"hello"));
        let unasked = Transmit {
            checksum: None,
            ..transmit
        };
        for untouched in [packets(&unasked, true), packets(&transmit, false)] {
            assert_eq!(
                untouched[0][..],
                [&headers[..], b"hello"].concat(),
                "without offload, or trusting the wire, nothing is changed"
            );
        }
    }
}
