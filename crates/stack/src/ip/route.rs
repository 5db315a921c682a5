//! Which link, which neighbour, which of our addresses: links and routes.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use woshou_tcp::Instant;

use super::own::Own;
use crate::config::{Cidr, LinkConfig, LinkId, Medium};

/// The largest IP packet handled inside the stack, from one of our addresses to another.
const LOCAL_MTU: u32 = 65_535;

/// A link and its configuration, checked.
pub(crate) struct Link {
    pub(crate) id: LinkId,
    pub(crate) medium: Medium,
    /// 68 to 65,535.
    pub(crate) mtu: u32,
    pub(crate) addresses: Vec<Cidr>,
    own: Own,
    pub(crate) checksum_offload: bool,
    /// Zero, or 576 to 65,535.
    pub(crate) gso_max: u32,
    /// Packets for others are taken too.
    pub(crate) any_ip: bool,
}

impl Link {
    /// Whether `address` is one of ours here.
    #[inline]
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.own.has(address)
    }

    /// Whether `address` names everyone on this link (RFC 1122 section 3.2.1.3).
    #[inline]
    pub(crate) fn is_broadcast(&self, address: IpAddr) -> bool {
        self.own.is_broadcast(address)
    }

    /// The prefix of ours that `address` is in.
    pub(crate) fn is_on_link(&self, address: IpAddr) -> bool {
        is_link_local(address) || self.addresses.iter().any(|cidr| cidr.contains(address))
    }
}

/// Where packets to one destination go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) link: LinkId,
    /// Who on the link is given the packet.
    pub(crate) next_hop: IpAddr,
    /// The destination is ours: handled inside, whatever the link.
    pub(crate) local: bool,
    pub(crate) mtu: u32,
    /// When `mtu` is to be looked up again: a router's word holds for a while only.
    pub(crate) mtu_until: Instant,
    /// Of [`Routes::epoch`] when it was found.
    pub(crate) epoch: u32,
}

impl Path {
    /// Octets of text that fit in a segment without TCP options (MMS_S - 20; RFC 9293 section 3.7.1).
    pub(crate) fn mss(&self) -> u16 {
        mss(self.mtu, self.next_hop.is_ipv6())
    }
}

/// The MSS that an MTU allows: without IP's and TCP's fixed headers.
pub(crate) fn mss(mtu: u32, v6: bool) -> u16 {
    let headers = if v6 { 60 } else { 40 };
    u16::try_from(mtu.saturating_sub(headers)).unwrap_or(u16::MAX)
}

struct Route {
    to: Cidr,
    link: LinkId,
    via: Option<IpAddr>,
}

/// Links and routes.
#[derive(Default)]
pub(crate) struct Routes {
    links: Vec<Link>,
    /// Longest prefix first; of equals the one added first.
    routes: Vec<Route>,
    /// Changes with every change, so that a stored [`Path`] knows when it is old.
    pub(crate) epoch: u32,
}

/// fe80::/10 or 169.254/16: of meaning on one link only.
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// `ip` and `port` as an end of a connection: link-local IPv6 carries its link as scope (index + 1), so that
/// equal addresses on two links are two hosts; nothing else does.
#[inline]
pub(crate) fn socket_address(ip: IpAddr, port: u16, link: LinkId) -> SocketAddr {
    match ip {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            SocketAddrV6::new(v6, port, 0, link.0.saturating_add(1)).into()
        }
        _ => SocketAddr::new(ip, port),
    }
}

/// The scope of a link-local address; zero: none given.
pub(crate) fn scope(address: &SocketAddr) -> u32 {
    match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(v6) => v6.scope_id(),
    }
}

impl Routes {
    pub(crate) fn add_link(&mut self, config: LinkConfig) -> LinkId {
        let id = LinkId(u32::try_from(self.links.len()).unwrap_or(u32::MAX));
        for &to in &config.addresses {
            self.add_route(to, id, None);
        }
        let mtu = u32::try_from(config.mtu)
            .unwrap_or(u32::MAX)
            .clamp(68, 65_535);
        // Less than a small datagram saves nothing, and must hold the headers.
        let gso_max = if config.gso_max < 576 {
            0
        } else {
            config.gso_max.min(65_535)
        };
        self.renew();
        self.links.push(Link {
            id,
            medium: config.medium,
            mtu,
            own: Own::new(&config.addresses),
            addresses: config.addresses,
            checksum_offload: config.checksum_offload,
            gso_max,
            any_ip: false,
        });
        id
    }

    pub(crate) fn add_route(&mut self, to: Cidr, link: LinkId, via: Option<IpAddr>) {
        let same = |route: &Route| {
            let network = route.to.prefix == to.prefix && route.to.contains(to.address);
            network && route.link == link && route.via == via
        };
        if self.routes.iter().any(same) {
            // Another address of ours in the same prefix.
            return;
        }
        let at = self
            .routes
            .partition_point(|route| route.to.prefix >= to.prefix);
        self.routes.insert(at, Route { to, link, via });
        self.renew();
    }

    /// What is known of ways has changed: every stored [`Path`] is to be found again.
    pub(crate) fn renew(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
    }

    pub(crate) fn set_any_ip(&mut self, id: LinkId, any_ip: bool) {
        if let Some(link) = self.links.get_mut(id.0 as usize) {
            link.any_ip = any_ip;
        }
        self.renew();
    }

    #[inline]
    pub(crate) fn link(&self, id: LinkId) -> Option<&Link> {
        self.links.get(id.0 as usize)
    }

    /// The link that has `address` as ours; loopback addresses are always ours, on the first link.
    pub(crate) fn owner_of(&self, address: IpAddr) -> Option<LinkId> {
        let owner = self
            .links
            .iter()
            .find(|link| link.has(address))
            .map(|link| link.id);
        owner.or_else(|| address.is_loopback().then_some(LinkId(0)))
    }

    /// The way to `to`. `scope` is a link-local address's scope (link index + 1); zero: any link.
    pub(crate) fn find(&self, to: IpAddr, scope: u32) -> Option<Path> {
        let scoped = scope
            .checked_sub(1)
            .filter(|_| is_link_local(to))
            .map(LinkId);
        let local = match scoped {
            Some(id) => self
                .link(id)
                .filter(|link| link.has(to))
                .map(|link| link.id),
            None => self.owner_of(to),
        };
        if let Some(link) = local {
            let epoch = self.epoch;
            return Some(Path {
                link,
                next_hop: to,
                local: true,
                mtu: LOCAL_MTU,
                mtu_until: Instant::MAX,
                epoch,
            });
        }
        if let Some(link) = scoped {
            return self.path(link, to);
        }
        let route = self.routes.iter().find(|route| route.to.contains(to))?;
        self.path(route.link, route.via.unwrap_or(to))
    }

    /// The way to the neighbour `next_hop` on `link`.
    pub(crate) fn path(&self, link: LinkId, next_hop: IpAddr) -> Option<Path> {
        let mtu = self.link(link)?.mtu;
        Some(Path {
            link,
            next_hop,
            local: false,
            mtu,
            mtu_until: Instant::MAX,
            epoch: self.epoch,
        })
    }

    /// Our address for packets to `to` along `path`: the one that shares most with it (RFC 6724 section 5,
    /// rules 1, 2 and 8), of that link before others.
    pub(crate) fn source(&self, to: IpAddr, path: &Path) -> Option<IpAddr> {
        if path.local {
            return Some(match to {
                IpAddr::V4(v4) if v4.is_loopback() => Ipv4Addr::LOCALHOST.into(),
                _ => to,
            });
        }
        let here = self.link(path.link)?;
        let best = |link: &Link| {
            let usable = link.addresses.iter().filter(|cidr| {
                cidr.address.is_ipv4() == to.is_ipv4()
                    && (link.id == path.link || !is_link_local(cidr.address))
            });
            // `max_by_key` keeps the last of equals; the first one configured should win.
            usable
                .rev()
                .max_by_key(|cidr| likeness(cidr, to))
                .map(|cidr| cidr.address)
        };
        best(here).or_else(|| self.links.iter().find_map(best))
    }
}

/// Same scope first, then the same prefix, then (IPv6) the bits in common.
fn likeness(cidr: &Cidr, to: IpAddr) -> (bool, bool, u32) {
    let common = match (cidr.address, to) {
        (IpAddr::V6(ours), IpAddr::V6(theirs)) => (ours.to_bits() ^ theirs.to_bits())
            .leading_zeros()
            .min(u32::from(cidr.prefix)),
        _ => 0,
    };
    (
        is_link_local(cidr.address) == is_link_local(to),
        cidr.contains(to),
        common,
    )
}

/// Whether `address` may be a peer of TCP at all: unicast, and no address that only stands for "none".
#[inline]
pub(crate) fn is_peer_address(address: IpAddr) -> bool {
    let v4_peer = |v4: Ipv4Addr| !(v4.octets()[0] == 0 || v4.octets()[0] >= 224);
    match address {
        IpAddr::V4(v4) => v4_peer(v4),
        IpAddr::V6(v6) => {
            // v4-mapped addresses never appear on the wire (RFC 4038 section 4.2).
            !(v6 == Ipv6Addr::UNSPECIFIED || v6.is_multicast() || v6.to_ipv4_mapped().is_some())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        let (address, prefix) = text.split_once('/').unwrap();
        Cidr {
            address: address.parse().unwrap(),
            prefix: prefix.parse().unwrap(),
        }
    }

    fn routes() -> Routes {
        let mut routes = Routes::default();
        let link = |addresses: &[&str], mtu| LinkConfig {
            medium: Medium::Ip,
            mtu,
            addresses: addresses.iter().map(|text| cidr(text)).collect(),
            checksum_offload: false,
            gso_max: 0,
        };
        let first = routes.add_link(link(&["10.0.0.2/24", "fd00::2/64", "fe80::2/64"], 1500));
        let second = routes.add_link(link(&["10.0.1.2/24", "10.9.0.2/16", "fe80::2/64"], 9000));
        routes.add_route(cidr("0.0.0.0/0"), first, Some("10.0.0.1".parse().unwrap()));
        routes.add_route(cidr("10.9.9.0/24"), first, None);
        routes.add_route(cidr("::/0"), second, Some("fe80::1".parse().unwrap()));
        routes
    }

    #[test]
    fn longest_prefix_and_source() {
        let routes = routes();
        let cases = [
            ("10.0.0.7", 0, (0, "10.0.0.7", false), "10.0.0.2"),
            ("10.0.1.7", 0, (1, "10.0.1.7", false), "10.0.1.2"),
            ("10.9.1.7", 0, (1, "10.9.1.7", false), "10.9.0.2"),
            ("10.9.9.7", 0, (0, "10.9.9.7", false), "10.0.0.2"),
            ("192.0.2.1", 0, (0, "10.0.0.1", false), "10.0.0.2"),
            ("10.9.0.2", 0, (1, "10.9.0.2", true), "10.9.0.2"),
            ("127.0.0.9", 0, (0, "127.0.0.9", true), "127.0.0.1"),
            ("fd00::7", 0, (0, "fd00::7", false), "fd00::2"),
            // Link 1 has no global IPv6 address of its own: another link's is better than a link-local one?
            // Rule 2 decides only among the link's own, so the link-local address is used.
            ("2001:db8::1", 0, (1, "fe80::1", false), "fe80::2"),
            ("fe80::7", 1, (0, "fe80::7", false), "fe80::2"),
            ("fe80::7", 2, (1, "fe80::7", false), "fe80::2"),
            ("fe80::2", 2, (1, "fe80::2", true), "fe80::2"),
        ];
        for (to, scope, (link, next_hop, local), source) in cases {
            let to = to.parse().unwrap();
            let path = routes.find(to, scope).unwrap();
            assert_eq!((path.link.0, path.local), (link, local), "{to}");
            assert_eq!(path.next_hop, next_hop.parse::<IpAddr>().unwrap(), "{to}");
            assert_eq!(
                routes.source(to, &path),
                Some(source.parse().unwrap()),
                "{to}"
            );
        }
        assert_eq!(Routes::default().find("10.0.0.1".parse().unwrap(), 0), None);
        assert_eq!(routes.find("fe80::7".parse().unwrap(), 9), None);
    }

    #[test]
    fn mss_by_family() {
        let routes = routes();
        for (to, expected) in [
            ("10.0.0.7", 1460),
            ("fd00::7", 1440),
            ("10.0.1.7", 8960),
            ("127.0.0.1", 65495),
        ] {
            assert_eq!(
                routes.find(to.parse().unwrap(), 0).unwrap().mss(),
                expected,
                "{to}"
            );
        }
    }

    #[test]
    fn who_may_be_a_peer() {
        let yes = [
            "10.0.0.1",
            "127.0.0.1",
            "223.255.255.254",
            "fe80::1",
            "::1",
            "2001:db8::1",
        ];
        let no = [
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "ff02::1",
            "::ffff:10.0.0.1",
        ];
        assert!(yes.iter().all(|a| is_peer_address(a.parse().unwrap())));
        assert!(no.iter().all(|a| !is_peer_address(a.parse().unwrap())));
    }
}
