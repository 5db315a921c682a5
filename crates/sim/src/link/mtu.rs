//! The largest packet a path carries, and the router that says so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use woshou_wire::icmpv4::{self, Icmpv4Message};
use woshou_wire::icmpv6::{self, Icmpv6Message};
use woshou_wire::ip_protocol::{ICMPV4, ICMPV6};
use woshou_wire::ipv4::{self, Ipv4Header};
use woshou_wire::ipv6::{self, Ipv6Header};

use crate::device::addresses;

/// The largest ICMPv4 error (RFC 1812 section 4.3.2.3), octets. ICMPv6's is IPv6's least MTU (RFC 4443 section 3.2).
const MOST_V4: usize = 576;
/// In octet 6 of IPv4's header: don't fragment.
const DF: u8 = 0x40;

/// The MTU of a path. Larger packets are dropped; the path never fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mtu {
    /// Octets of the largest IP packet.
    pub octets: usize,
    /// The router in front of it, which tells the sender of what it dropped (RFC 1191, RFC 8201);
    /// `None`: a black hole.
    pub router: Option<Router>,
}

/// A router's addresses. It stands at the sender's end of the path, and takes no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Router {
    /// It sends ICMPv4 from here.
    pub v4: Ipv4Addr,
    /// And ICMPv6 from here.
    pub v6: Ipv6Addr,
}

impl Default for Router {
    /// 198.18.0.1 (RFC 2544) and 2001:db8::ffff (RFC 3849).
    fn default() -> Self {
        Self {
            v4: Ipv4Addr::new(198, 18, 0, 1),
            v6: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xffff),
        }
    }
}

impl Mtu {
    /// A black hole for packets of more than `octets`.
    #[must_use]
    pub const fn new(octets: usize) -> Self {
        Self {
            octets,
            router: None,
        }
    }

    /// The same with a router that tells the sender.
    #[must_use]
    pub fn reported(octets: usize) -> Self {
        Self {
            octets,
            router: Some(Router::default()),
        }
    }

    /// What the router tells the sender of `dropped`: "fragmentation needed" or "packet too big".
    ///
    /// `None` without a router, about ICMP (RFC 1122 section 3.2.2, RFC 4443 section 2.4), and about IPv4
    /// packets that ask to be fragmented.
    pub(crate) fn report(self, dropped: &[u8]) -> Option<Vec<u8>> {
        let router = self.router?;
        let (sender, _) = addresses(dropped)?;
        match sender {
            IpAddr::V4(sender) => {
                let quotable = dropped.get(6)? & DF != 0 && *dropped.get(9)? != ICMPV4;
                if quotable {
                    self.report_v4(router.v4, sender, dropped)
                } else {
                    None
                }
            }
            IpAddr::V6(sender) => {
                let quotable = *dropped.get(6)? != ICMPV6;
                if quotable {
                    self.report_v6(router.v6, sender, dropped)
                } else {
                    None
                }
            }
        }
    }

    fn report_v4(self, router: Ipv4Addr, sender: Ipv4Addr, dropped: &[u8]) -> Option<Vec<u8>> {
        let most = MOST_V4 - ipv4::HEADER_LEN - icmpv4::HEADER_LEN;
        let message = Icmpv4Message::DestinationUnreachable {
            code: icmpv4::CODE_FRAGMENTATION_NEEDED,
            next_hop_mtu: u16::try_from(self.octets).unwrap_or(u16::MAX),
            packet: &dropped[..dropped.len().min(most)],
        };
        let header = Ipv4Header {
            source: router,
            destination: sender,
            protocol: ICMPV4,
            ttl: 64,
            tos: 0,
            id: 0,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
        };
        let mut packet = vec![0; ipv4::HEADER_LEN + message.encoded_len()];
        header.write(message.encoded_len(), &mut packet).ok()?;
        message.write(packet.get_mut(ipv4::HEADER_LEN..)?).ok()?;
        Some(packet)
    }

    fn report_v6(self, router: Ipv6Addr, sender: Ipv6Addr, dropped: &[u8]) -> Option<Vec<u8>> {
        let most = icmpv6::MIN_MTU - ipv6::HEADER_LEN - icmpv6::HEADER_LEN;
        let message = Icmpv6Message::PacketTooBig {
            mtu: u32::try_from(self.octets).unwrap_or(u32::MAX),
            packet: &dropped[..dropped.len().min(most)],
        };
        let header = Ipv6Header {
            source: router,
            destination: sender,
            next_header: ICMPV6,
            hop_limit: 64,
            traffic_class: 0,
            flow_label: 0,
        };
        let mut packet = vec![0; ipv6::HEADER_LEN + message.encoded_len()];
        header.write(message.encoded_len(), &mut packet).ok()?;
        message
            .write(router, sender, packet.get_mut(ipv6::HEADER_LEN..)?)
            .ok()?;
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use woshou_wire::checksum::{self, Sum};

    fn packet_v4(size: usize, df: bool, protocol: u8) -> Vec<u8> {
        let mut packet = vec![0; size];
        packet[0] = 0x45;
        packet[6] = if df { DF } else { 0 };
        packet[9] = protocol;
        packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
        packet
    }

    #[test]
    fn the_router_reports_in_ipv4() {
        let dropped = packet_v4(1500, true, 6);
        let report = Mtu::reported(1400).report(&dropped).unwrap();
        assert_eq!(report.len(), 576);
        assert!(Sum::ZERO.with(&report[..20]).is_valid());
        assert!(Sum::ZERO.with(&report[20..]).is_valid());
        assert_eq!(report[2..4], 576_u16.to_be_bytes());
        assert_eq!(report[12..20], [198, 18, 0, 1, 10, 0, 0, 1]);
        assert_eq!(report[20..22], [3, 4]);
        assert_eq!(report[26..28], 1400_u16.to_be_bytes());
        assert_eq!(report[28..], dropped[..548]);
    }

    #[test]
    fn the_router_reports_in_ipv6() {
        let mut dropped = vec![0; 1500];
        dropped[0] = 0x60;
        dropped[6] = 6;
        dropped[23] = 1;
        let report = Mtu::reported(1300).report(&dropped).unwrap();
        assert_eq!(report.len(), 1280);
        let (router, sender) = addresses(&report).unwrap();
        assert_eq!(sender, IpAddr::from(Ipv6Addr::LOCALHOST));
        let pseudo = checksum::pseudo_header(router, sender, ICMPV6, 1240);
        assert!(pseudo.with(&report[40..]).is_valid());
        assert_eq!(report[4..6], 1240_u16.to_be_bytes());
        assert_eq!(report[40..42], [2, 0]);
        assert_eq!(report[44..48], 1300_u32.to_be_bytes());
        assert_eq!(report[48..], dropped[..1232]);
    }

    #[test]
    fn no_report_where_none_is_due() {
        let dropped = packet_v4(1500, true, 6);
        assert_eq!(Mtu::new(1400).report(&dropped), None, "a black hole");
        let reported = Mtu::reported(1400);
        assert_eq!(
            reported.report(&packet_v4(1500, false, 6)),
            None,
            "wants fragments"
        );
        assert_eq!(
            reported.report(&packet_v4(1500, true, ICMPV4)),
            None,
            "ICMP"
        );
        assert_eq!(reported.report(&[]), None);
        assert_eq!(reported.report(&dropped[..19]), None);
    }
}
