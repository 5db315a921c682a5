//! Ephemeral ports: RFC 6056 section 3.3.4, algorithm 4 (double hash).
//!
//! Of the five it is the one that both hides (an outsider who sees the ports to one peer learns nothing of those to another)
//! and reuses a port as late as possible for the same peer, so that four-tuples in TIME-WAIT are rarely met.

use core::hash::{BuildHasher, Hasher};
use core::net::{IpAddr, SocketAddr};
use core::ops::RangeInclusive;

use crate::demux::{KeyedHash, address_bits};

/// Counters of the second hash; more make the steps of different peers less related.
const COUNTERS: usize = 256;

/// Chooses ports that an outsider cannot guess and that repeat as late as possible.
pub(crate) struct Ports {
    range: RangeInclusive<u16>,
    offset: KeyedHash,
    index: KeyedHash,
    counters: [u32; COUNTERS],
}

impl Ports {
    /// `offset` and `index` are the keys of the RFC's F and G.
    pub(crate) fn new(range: RangeInclusive<u16>, offset: KeyedHash, index: KeyedHash) -> Self {
        Self {
            range,
            offset,
            index,
            // The RFC's table[] begins random: a counter says nothing of how many connections there were.
            counters: core::array::from_fn(|counter| start(&index, counter)),
        }
    }

    /// The first port from `local` to `remote` (or for a listener, `None`) that `is_free`; each is tried once.
    pub(crate) fn choose(
        &mut self,
        local: IpAddr,
        remote: Option<SocketAddr>,
        mut is_free: impl FnMut(u16) -> bool,
    ) -> Option<u16> {
        let (first, last) = (
            u64::from((*self.range.start()).max(1)),
            u64::from(*self.range.end()),
        );
        let count = (last + 1).checked_sub(first).filter(|&count| count > 0)?;
        let offset = hash(&self.offset, local, remote);
        let slot = usize::try_from(hash(&self.index, local, remote) % COUNTERS as u64).ok()?;
        let counter = self.counters.get_mut(slot)?;
        for _ in 0..count {
            let step = (offset % count + u64::from(*counter)) % count;
            // Not a free-running counter: its wrap would try one port twice and leave another out.
            *counter = u32::try_from((u64::from(*counter) + 1) % count).unwrap_or(0);
            let port = u16::try_from(first + step).ok()?;
            if is_free(port) {
                return Some(port);
            }
        }
        None
    }
}

/// Where a counter begins.
fn start(key: &KeyedHash, counter: usize) -> u32 {
    let mut hasher = key.build_hasher();
    hasher.write_usize(counter);
    u32::try_from(hasher.finish() >> 32).unwrap_or(0)
}

fn hash(key: &KeyedHash, local: IpAddr, remote: Option<SocketAddr>) -> u64 {
    let mut hasher = key.build_hasher();
    hasher.write(&address_bits(local).to_be_bytes());
    if let Some(remote) = remote {
        hasher.write(&address_bits(remote.ip()).to_be_bytes());
        hasher.write_u16(remote.port());
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    fn ports(range: RangeInclusive<u16>) -> Ports {
        Ports::new(range, KeyedHash::new([1; 16]), KeyedHash::new([2; 16]))
    }

    #[test]
    fn every_port_once_then_none() {
        let local = "10.0.0.1".parse().unwrap();
        let remote = "10.0.0.2:80".parse().unwrap();
        // The last range makes the 16-bit counter wrap within the range's own 16 bits.
        for range in [1000..=1000, 1000..=1099, 65000..=65535, 1..=65535] {
            let mut ports = ports(range.clone());
            let mut used = BTreeSet::new();
            while let Some(port) = ports.choose(local, Some(remote), |port| !used.contains(&port)) {
                assert!(range.contains(&port) && used.insert(port));
                if used.len() > 2000 {
                    break;
                }
            }
            assert!(
                used.len() == range.clone().count() || used.len() > 2000,
                "{range:?}: {}",
                used.len()
            );
        }
    }

    #[test]
    fn an_empty_range_has_no_port() {
        #[expect(clippy::reversed_empty_ranges, reason = "that is the case")]
        let mut ports = ports(5..=4);
        assert_eq!(
            ports.choose("10.0.0.1".parse().unwrap(), None, |_| true),
            None
        );
        assert_eq!(
            self::ports(0..=0).choose("10.0.0.1".parse().unwrap(), None, |_| true),
            None
        );
    }

    /// First ports to many peers, and steps from the first port to the second: as even as chance.
    #[test]
    fn ports_are_spread_evenly() {
        let mut ports = ports(49152..=65535);
        let local = "10.0.0.1".parse().unwrap();
        let (mut bins, mut starts) = ([0_u32; 64], BTreeSet::new());
        for peer in 0..64_000_u32 {
            let remote = SocketAddr::new(IpAddr::from(peer.to_be_bytes()), 80);
            let port = ports.choose(local, Some(remote), |_| true).unwrap();
            bins[usize::from((port - 49152) / 256)] += 1;
        }
        // Chi-square with 63 degrees of freedom: above 125 once in 100,000.
        let chi: u32 = bins
            .iter()
            .map(|&count| count.abs_diff(1000).pow(2))
            .sum::<u32>()
            / 1000;
        assert!(chi < 125, "{chi}: {bins:?}");
        starts.extend(self::ports(1..=2).counters);
        assert!(
            starts.len() > 250,
            "counters begin at random: {}",
            starts.len()
        );
    }

    #[test]
    fn peers_see_unrelated_ports() {
        let mut ports = ports(49152..=65535);
        let local = "10.0.0.1".parse().unwrap();
        let firsts: Vec<u16> = (1..=20)
            .filter_map(|host| {
                let remote = SocketAddr::new(IpAddr::from([10, 0, 1, host]), 80);
                ports.choose(local, Some(remote), |_| true)
            })
            .collect();
        let distinct: BTreeSet<_> = firsts.iter().collect();
        assert!(distinct.len() >= 19, "{firsts:?}");
        assert!(
            firsts.windows(2).any(|pair| pair[0] > pair[1]),
            "{firsts:?} only grow"
        );
    }
}
