//! Addresses as the calls see them: IPv4, IPv6, and IPv4 in the clothes of IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The address family of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// AF_INET.
    Inet,
    /// AF_INET6: speaks to IPv4 peers as `::ffff:a.b.c.d`, unless IPV6_V6ONLY.
    Inet6,
}

impl Domain {
    /// The address that stands for any.
    pub(crate) fn unspecified(self) -> SocketAddr {
        match self {
            Self::Inet => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
            Self::Inet6 => SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0),
        }
    }

    /// `address`, as a socket of this family shows it: an IPv4 one is mapped for an IPv6 socket.
    pub(crate) fn shows(self, address: SocketAddr) -> SocketAddr {
        match (self, address) {
            (Self::Inet6, SocketAddr::V4(v4)) => {
                SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into()
            }
            _ => address,
        }
    }
}

/// `address` without the clothes: a mapped address becomes the IPv4 address; scopes stay.
pub(crate) fn bare(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => SocketAddr::new(v4.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

/// Whether two bound addresses collide: equal ports, and one of them stands for the other too. `v6_only` says of each
/// whether, at `[::]`, it leaves IPv4 alone.
pub(crate) fn collide(one: (SocketAddr, bool), other: (SocketAddr, bool)) -> bool {
    let covers = |(a, only): (SocketAddr, bool), b: SocketAddr| {
        a.ip() == b.ip()
            || (a.ip().is_unspecified() && (a.is_ipv4() == b.is_ipv4() || (a.is_ipv6() && !only)))
    };
    one.0.port() == other.0.port() && (covers(one, other.0) || covers(other, one.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collisions() {
        let cases = [
            ("0.0.0.0:80", false, "10.0.0.1:80", true),
            ("0.0.0.0:80", false, "10.0.0.1:81", false),
            ("10.0.0.1:80", false, "10.0.0.1:80", true),
            ("10.0.0.1:80", false, "10.0.0.2:80", false),
            ("[::]:80", false, "10.0.0.1:80", true),
            ("[::]:80", true, "10.0.0.1:80", false),
            ("[::]:80", false, "0.0.0.0:80", true),
            ("[::]:80", true, "0.0.0.0:80", false),
            ("[::]:80", true, "[fd00::1]:80", true),
            ("[fd00::1]:80", false, "0.0.0.0:80", false),
        ];
        for (one, only, other, expected) in cases {
            let one = (one.parse().unwrap(), only);
            let other = (other.parse().unwrap(), false);
            assert_eq!(collide(one, other), expected, "{one:?} {other:?}");
            assert_eq!(collide(other, one), expected, "{other:?} {one:?}");
        }
    }

    #[test]
    fn clothes() {
        let v4: SocketAddr = "10.0.0.1:80".parse().unwrap();
        let mapped: SocketAddr = "[::ffff:10.0.0.1]:80".parse().unwrap();
        assert_eq!(Domain::Inet6.shows(v4), mapped);
        assert_eq!(Domain::Inet.shows(v4), v4);
        assert_eq!(bare(mapped), v4);
        let v6: SocketAddr = "[fe80::1%3]:80".parse().unwrap();
        assert_eq!((bare(v6), Domain::Inet6.shows(v6)), (v6, v6));
    }
}
