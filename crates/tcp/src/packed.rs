//! Both ends of a connection in 40 octets: tables hold many of them.

use core::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::segment::Endpoints;

/// [`Endpoints`], packed: 40 octets instead of 64.
///
/// What does not survive: the flow label, which is no part of an end; the scope of an address that is not link-local, where
/// it means nothing (RFC 4007 section 6); and the difference between an IPv4 address and the same as IPv4-mapped IPv6. Two
/// link-local ends are on one link, so one scope is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PackedEndpoints {
    /// As 128 bits, the higher half first.
    local: [u64; 2],
    remote: [u64; 2],
    /// Ours, the peer's, and the scope.
    ports: u64,
}

/// An address as 128 bits, IPv4 as mapped IPv6.
#[inline]
fn words(end: &SocketAddr) -> [u64; 2] {
    match end {
        SocketAddr::V4(end) => [0, 0xffff << 32 | u64::from(end.ip().to_bits())],
        SocketAddr::V6(end) => {
            let bits = end.ip().to_bits();
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the upper half, then the lower"
            )]
            let halves = [(bits >> 64) as u64, bits as u64];
            halves
        }
    }
}

fn address([high, low]: [u64; 2]) -> Ipv6Addr {
    Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low))
}

impl PackedEndpoints {
    /// Packs `who`.
    #[inline]
    #[must_use]
    pub fn new(who: &Endpoints) -> Self {
        let scope = |end: &SocketAddr| match end {
            SocketAddr::V6(end) if end.ip().is_unicast_link_local() => end.scope_id(),
            _ => 0,
        };
        let scope = scope(&who.local).max(scope(&who.remote));
        let ports = u32::from(who.local.port()) << 16 | u32::from(who.remote.port());
        Self {
            local: words(&who.local),
            remote: words(&who.remote),
            ports: u64::from(ports) << 32 | u64::from(scope),
        }
    }

    /// Both ends again.
    #[must_use]
    pub fn unpack(&self) -> Endpoints {
        let [p0, p1, p2, p3, s0, s1, s2, s3] = self.ports.to_be_bytes();
        let scope = u32::from_be_bytes([s0, s1, s2, s3]);
        let end = |words, port| match address(words).to_canonical() {
            IpAddr::V6(ip) if ip.is_unicast_link_local() => {
                SocketAddrV6::new(ip, port, 0, scope).into()
            }
            ip => SocketAddr::new(ip, port),
        };
        Endpoints {
            local: end(self.local, u16::from_be_bytes([p0, p1])),
            remote: end(self.remote, u16::from_be_bytes([p2, p3])),
        }
    }

    /// All of it, for a hash.
    #[inline]
    pub(crate) fn words(&self) -> [u64; 5] {
        let ([l0, l1], [r0, r1]) = (self.local, self.remote);
        [l0, l1, r0, r1, self.ports]
    }

    /// All of it in a row, for a hash.
    #[must_use]
    pub fn octets(&self) -> [u8; 40] {
        let mut all = [0; 40];
        for (to, word) in all.chunks_exact_mut(8).zip(self.words()) {
            to.copy_from_slice(&word.to_be_bytes());
        }
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
