//! Both ends of a connection in 40 octets: tables hold many of them.

use core::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::isn::octets;
use crate::segment::Endpoints;

/// [`Endpoints`], packed: 40 octets instead of 64.
///
/// What does not survive: the flow label, which is no part of an end; the scope of an address that is not link-local, where
/// it means nothing (RFC 4007 section 6); and the difference between an IPv4 address and the same as IPv4-mapped IPv6. Two
/// link-local ends are on one link, so one scope is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PackedEndpoints {
    local: [u8; 16],
    remote: [u8; 16],
    ports: [u16; 2],
    scope: u32,
}

impl PackedEndpoints {
    /// Packs `who`.
    #[must_use]
    pub fn new(who: &Endpoints) -> Self {
        let scope = |end: &SocketAddr| match end {
            SocketAddr::V6(end) if end.ip().is_unicast_link_local() => end.scope_id(),
            _ => 0,
        };
        Self {
            local: octets(&who.local),
            remote: octets(&who.remote),
            ports: [who.local.port(), who.remote.port()],
            scope: scope(&who.local).max(scope(&who.remote)),
        }
    }

    /// Both ends again.
    #[must_use]
    pub fn unpack(&self) -> Endpoints {
        let end = |octets: [u8; 16], port| match Ipv6Addr::from(octets).to_canonical() {
            IpAddr::V6(ip) if ip.is_unicast_link_local() => {
                SocketAddrV6::new(ip, port, 0, self.scope).into()
            }
            ip => SocketAddr::new(ip, port),
        };
        Endpoints {
            local: end(self.local, self.ports[0]),
            remote: end(self.remote, self.ports[1]),
        }
    }

    /// All of it in a row, for a hash.
    #[must_use]
    pub fn octets(&self) -> [u8; 40] {
        let mut all = [0; 40];
        all[..16].copy_from_slice(&self.local);
        all[16..32].copy_from_slice(&self.remote);
        all[32..34].copy_from_slice(&self.ports[0].to_be_bytes());
        all[34..36].copy_from_slice(&self.ports[1].to_be_bytes());
        all[36..].copy_from_slice(&self.scope.to_be_bytes());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::PackedEndpoints;
    use crate::segment::Endpoints;

    #[test]
    fn what_is_packed_comes_out_and_differs_where_it_differed() {
        let cases = [
            ("10.0.0.1:80", "10.0.0.2:5000"),
            ("10.0.0.2:5000", "10.0.0.1:80"),
            ("10.0.0.1:81", "10.0.0.2:5000"),
            ("10.0.0.1:80", "10.0.0.2:5001"),
            ("[2001:db8::1]:80", "[2001:db8::2]:5000"),
            ("[fe80::1%1]:80", "[fe80::2%1]:5000"),
            ("[fe80::1%2]:80", "[fe80::2%2]:5000"),
            ("[2001:db8::1]:80", "[fe80::2%2]:5000"),
        ];
        let ends = cases.map(|(local, remote)| Endpoints {
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
        });
        let packed = ends.map(|who| PackedEndpoints::new(&who));
        for (index, who) in ends.iter().enumerate() {
            assert_eq!(packed[index].unpack(), *who);
            for other in 0..index {
                assert_ne!(packed[index], packed[other], "{who:?}");
                assert_ne!(packed[index].octets(), packed[other].octets(), "{who:?}");
            }
        }
        assert_eq!(size_of::<PackedEndpoints>(), 40);
    }
}
