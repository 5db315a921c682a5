//! The largest packet a path carries, and the router that says so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use woshou_wire::checksum::{self, Sum};
use woshou_wire::ip_protocol::{ICMPV4, ICMPV6};

use crate::device::addresses;

/// Octets of IPv4's and IPv6's header, without options and extensions.
const HEADER_V4: usize = 20;
const HEADER_V6: usize = 40;
/// Octets of an ICMP message before the packet it quotes.
const ICMP: usize = 8;
/// The largest ICMPv4 error (RFC 1812 section 4.3.2.3) and ICMPv6 error (RFC 4443 section 3.2), octets.
const MOST_V4: usize = 576;
const MOST_V6: usize = 1280;
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
                quotable.then(|| self.report_v4(router.v4, sender, dropped))
            }
            IpAddr::V6(sender) => {
                let quotable = *dropped.get(6)? != ICMPV6;
                quotable.then(|| self.report_v6(router.v6, sender, dropped))
            }
        }
    }

    fn report_v4(self, router: Ipv4Addr, sender: Ipv4Addr, dropped: &[u8]) -> Vec<u8> {
        let quote = &dropped[..dropped.len().min(MOST_V4 - HEADER_V4 - ICMP)];
        let total = (HEADER_V4 + ICMP + quote.len()).to_be_bytes();
        let mtu = u16::try_from(self.octets).unwrap_or(u16::MAX).to_be_bytes();
        // Type 3, code 4: destination unreachable, fragmentation needed (RFC 792, RFC 1191 section 4).
        let mut icmp = vec![3, 4, 0, 0, 0, 0, mtu[0], mtu[1]];
        icmp.extend(quote);
        let sum = Sum::ZERO.add(&icmp).checksum().to_be_bytes();
        icmp[2..4].copy_from_slice(&sum);
        let [.., high, low] = total;
        let mut packet = vec![0x45, 0xc0, high, low, 0, 0, DF, 0, 64, ICMPV4, 0, 0];
        packet.extend(router.octets());
        packet.extend(sender.octets());
        let sum = Sum::ZERO.add(&packet).checksum().to_be_bytes();
        packet[10..12].copy_from_slice(&sum);
        packet.extend(icmp);
        packet
    }

    fn report_v6(self, router: Ipv6Addr, sender: Ipv6Addr, dropped: &[u8]) -> Vec<u8> {
        let quote = &dropped[..dropped.len().min(MOST_V6 - HEADER_V6 - ICMP)];
        let length = u32::try_from(ICMP + quote.len()).unwrap_or(u32::MAX);
        // Type 2: packet too big (RFC 4443 section 3.2).
        let mut icmp = vec![2, 0, 0, 0];
        icmp.extend(u32::try_from(self.octets).unwrap_or(u32::MAX).to_be_bytes());
        icmp.extend(quote);
        let pseudo = checksum::pseudo_header(router.into(), sender.into(), ICMPV6, length);
        let sum = pseudo.add(&icmp).checksum().to_be_bytes();
        icmp[2..4].copy_from_slice(&sum);
        let [.., high, low] = length.to_be_bytes();
        let mut packet = vec![0x60, 0, 0, 0, high, low, ICMPV6, 64];
        packet.extend(router.octets());
        packet.extend(sender.octets());
        packet.extend(icmp);
        packet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(Sum::ZERO.add(&report[..20]).is_valid());
        assert!(Sum::ZERO.add(&report[20..]).is_valid());
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
        assert!(pseudo.add(&report[40..]).is_valid());
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
