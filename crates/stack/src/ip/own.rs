//! Which addresses of a link are ours, and which are everyone's: asked of every packet, so answered without a walk over
//! what was configured.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use crate::config::Cidr;

/// So many are looked through one by one: faster than any search.
const FEW: usize = 8;

/// The addresses of a link, sorted.
#[derive(Default)]
pub(crate) struct Own {
    v4: Vec<u32>,
    v6: Vec<u128>,
    /// Broadcast addresses of the prefixes of ours (RFC 1122 section 3.2.1.3), each once.
    broadcasts: Vec<u32>,
}

fn holds<T: Ord + Copy>(sorted: &[T], what: T) -> bool {
    if sorted.len() <= FEW {
        sorted.contains(&what)
    } else {
        sorted.binary_search(&what).is_ok()
    }
}

impl Own {
    pub(crate) fn new(addresses: &[Cidr]) -> Self {
        let mut own = Self::default();
        for cidr in addresses {
            match cidr.address {
                IpAddr::V4(v4) => {
                    own.v4.push(v4.to_bits());
                    own.broadcasts.extend(cidr.broadcasts());
                }
                IpAddr::V6(v6) => own.v6.push(v6.to_bits()),
            }
        }
        own.v4.sort_unstable();
        own.v6.sort_unstable();
        own.broadcasts.sort_unstable();
        own.broadcasts.dedup();
        own
    }

    /// Whether `address` is one of ours.
    #[inline]
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => holds(&self.v4, v4.to_bits()),
            IpAddr::V6(v6) => holds(&self.v6, v6.to_bits()),
        }
    }

    /// Whether `address` names everyone on the link.
    #[inline]
    pub(crate) fn is_broadcast(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => v4 == Ipv4Addr::BROADCAST || holds(&self.broadcasts, v4.to_bits()),
            IpAddr::V6(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    /// Against what the prefixes themselves say, few addresses and many.
    #[test]
    fn as_the_prefixes_say() {
        for count in [1u8, 3, 9, 200] {
            let cidrs = (0..count).flat_map(|index| {
                let prefix = 22 + index % 11;
                [
                    Cidr {
                        address: IpAddr::from([10, index / 16, index % 16, 1 + index % 3]),
                        prefix,
                    },
                    Cidr {
                        address: format!("fd00::{index:x}").parse().unwrap(),
                        prefix: 64,
                    },
                ]
            });
            let cidrs: Vec<_> = cidrs.collect();
            let own = Own::new(&cidrs);
            let asked = (0..1u32 << 16).map(|low| IpAddr::from((0x0a00_0000 | low).to_be_bytes()));
            let others = [
                "255.255.255.255",
                "fd00::1",
                "fd00::ff",
                "ff02::1",
                "10.255.255.255",
            ];
            for address in asked.chain(others.map(|text| text.parse().unwrap())) {
                let ours = cidrs.iter().any(|cidr| cidr.address == address);
                let everyone = address == IpAddr::V4(Ipv4Addr::BROADCAST)
                    || cidrs.iter().any(|cidr| cidr.is_broadcast(address));
                assert_eq!(own.has(address), ours, "{address}");
                assert_eq!(own.is_broadcast(address), everyone, "{address}");
            }
        }
    }
}
