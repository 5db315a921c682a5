//! What a link or a watcher reads from a packet: the TCP segment in it, without checking any checksum.

use woshou_wire::ip_protocol::TCP;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;

/// The parts of a TCP segment that decide what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Glance {
    /// Sequence number of its first octet (or of its SYN).
    pub(crate) seq: u32,
    /// Octets of text.
    pub(crate) len: u32,
    flags: u8,
}

impl Glance {
    /// Whether it carries nothing but an acknowledgement.
    pub(crate) const fn is_bare_ack(self) -> bool {
        self.len == 0 && self.flags & (SYN | FIN | RST) == 0
    }

    /// Whether it opens.
    pub(crate) const fn is_syn(self) -> bool {
        self.flags & SYN != 0
    }

    /// The segment of an IP packet; `None` for fragments but the first, other protocols, IPv6 extension headers, and what
    /// is too short.
    pub(crate) fn at(packet: &[u8]) -> Option<Self> {
        let (tcp, end) = match woshou_wire::ip_version(packet)? {
            4 => {
                let later_fragment =
                    u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]) & 0x1fff != 0;
                if *packet.get(9)? != TCP || later_fragment {
                    return None;
                }
                let total = u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]);
                (usize::from(packet.first()? & 0xf) * 4, usize::from(total))
            }
            6 if *packet.get(6)? == TCP => {
                let payload = u16::from_be_bytes([*packet.get(4)?, *packet.get(5)?]);
                (40, 40 + usize::from(payload))
            }
            _ => return None,
        };
        let header = packet.get(tcp..tcp + 20)?;
        let seq = u32::from_be_bytes(*header.get(4..)?.first_chunk()?);
        let text = tcp + usize::from(header.get(12)? >> 4) * 4;
        let len = u32::try_from(end.min(packet.len()).checked_sub(text)?).ok()?;
        let flags = *header.get(13)?;
        Some(Self { seq, len, flags })
    }
}

/// Whether the packet carries nothing but a TCP acknowledgement.
pub(crate) fn is_bare_ack(packet: &[u8]) -> bool {
    Glance::at(packet).is_some_and(Glance::is_bare_ack)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(version: u8, flags: u8, text: usize) -> Vec<u8> {
        let len = 32 + text;
        let mut packet = if version == 4 {
            let mut ip = vec![0; 20];
            ip[0] = 0x45;
            ip[2..4].copy_from_slice(&u16::try_from(20 + len).unwrap().to_be_bytes());
            ip[9] = TCP;
            ip
        } else {
            let mut ip = vec![0; 40];
            ip[0] = 0x60;
            ip[4..6].copy_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
            ip[6] = TCP;
            ip
        };
        let mut tcp = vec![0; len];
        tcp[4..8].copy_from_slice(&0xffff_fff0_u32.to_be_bytes());
        tcp[12] = 0x80;
        tcp[13] = flags;
        packet.extend(tcp);
        packet
    }

    #[test]
    fn what_a_packet_carries() {
        const ACK: u8 = 0x10;
        for version in [4, 6] {
            for (flags, text, bare, syn) in [
                (ACK, 0, true, false),
                (ACK, 1, false, false),
                (ACK | FIN, 0, false, false),
                (ACK | SYN, 0, false, true),
                (SYN, 0, false, true),
                (RST, 0, false, false),
                (ACK | 0x08, 1400, false, false),
            ] {
                let packet = packet(version, flags, text);
                let seen = Glance::at(&packet).unwrap();
                assert_eq!(seen.seq, 0xffff_fff0);
                assert_eq!(seen.len as usize, text);
                assert_eq!(
                    (seen.is_bare_ack(), seen.is_syn()),
                    (bare, syn),
                    "{flags:#x} {text}"
                );
                assert_eq!(is_bare_ack(&packet), bare);
            }
        }
    }

    #[test]
    fn what_carries_no_segment() {
        let whole = packet(4, 0x10, 0);
        let mut fragment = whole.clone();
        fragment[7] = 1;
        let mut udp = whole.clone();
        udp[9] = 17;
        let mut long_header = whole.clone();
        long_header[20 + 12] = 0xf0;
        for none in [&whole[..39], &fragment, &udp, &long_header, &[]] {
            assert_eq!(Glance::at(none), None);
            assert!(!is_bare_ack(none));
        }
        assert!(is_bare_ack(&whole));
    }
}
