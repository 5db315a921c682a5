//! What the IP header of a connection's packets says beside addresses: TTL and Diffserv field, which the user chooses,
//! and IPv6's flow label, which nobody does.

use core::hash::{BuildHasher, Hasher};
use core::net::IpAddr;

use woshou_tcp::Endpoints;

use crate::demux::{KeyedHash, address_bits};

/// The two low bits of the octet belong to ECN (RFC 3168 section 5), not to the user.
const ECN_BITS: u8 = 3;

/// What the user chose, for one connection or listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    /// TTL or hop limit, 1 to 255.
    ttl: u8,
    /// TOS or traffic class: the Diffserv field in the six upper bits, the others clear.
    tos: u8,
}

impl Marks {
    pub(crate) const fn new(ttl: u8, tos: u8) -> Self {
        let mut marks = Self { ttl: 1, tos: 0 };
        marks.set_ttl(ttl);
        marks.set_tos(tos);
        marks
    }

    pub(crate) const fn ttl(self) -> u8 {
        self.ttl
    }

    pub(crate) const fn tos(self) -> u8 {
        self.tos
    }

    /// 0 counts as 1: a packet that may not leave the host is no packet.
    //= rfc9293 MUST-49
    pub(crate) const fn set_ttl(&mut self, ttl: u8) {
        self.ttl = if ttl == 0 { 1 } else { ttl };
    }

    //= rfc9293 MUST-48
    pub(crate) const fn set_tos(&mut self, tos: u8) {
        self.tos = tos & !ECN_BITS;
    }
}

/// The flow label of a connection's IPv6 packets: the same for all of them, and told by no one's guess (RFC 6437 section
/// 3). 1 to 2^20 - 1; zero for IPv4, which has none.
pub(crate) fn flow_label(key: &KeyedHash, endpoints: &Endpoints) -> u32 {
    let (IpAddr::V6(_), IpAddr::V6(_)) = (endpoints.local.ip(), endpoints.remote.ip()) else {
        return 0;
    };
    let mut hasher = key.build_hasher();
    for end in [endpoints.local, endpoints.remote] {
        hasher.write(&address_bits(end.ip()).to_be_bytes());
        hasher.write_u16(end.port());
    }
    let label = hasher.finish() & 0xf_ffff;
    u32::try_from(label).map_or(1, |label| label.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_never_sets_the_bits_of_ecn() {
        for (ttl, tos, expected) in [
            (0, 0, (1, 0)),
            (1, 0xff, (1, 0xfc)),
            (255, 0xb8, (255, 0xb8)),
            (64, 3, (64, 0)),
        ] {
            let marks = Marks::new(ttl, tos);
            assert_eq!((marks.ttl(), marks.tos()), expected, "{ttl} {tos:#x}");
        }
    }

    #[test]
    fn a_label_for_each_connection() {
        let key = KeyedHash::new([3; 16]);
        let ends = |local: &str, remote: &str| Endpoints {
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
        };
        let one = ends("[fd00::1]:80", "[fd00::2]:5000");
        let other = ends("[fd00::1]:80", "[fd00::2]:5001");
        let label = flow_label(&key, &one);
        assert_eq!(label, flow_label(&key, &one));
        assert_ne!(label, flow_label(&key, &other));
        assert_ne!(label, flow_label(&KeyedHash::new([4; 16]), &one));
        assert!((1..1 << 20).contains(&label));
        assert_eq!(flow_label(&key, &ends("10.0.0.1:80", "10.0.0.2:5000")), 0);
    }
}
