//! Fairness: how many half-open connections each part of the network has here.

use alloc::boxed::Box;
use core::fmt;
use core::net::{IpAddr, SocketAddr};

use crate::tuple_hash::TupleHash;

/// Counters; prefixes fall on them by a keyed hash, so that nobody can choose to share one with a victim.
const COUNTERS: usize = 256;
/// A prefix may have this part of a table under pressure.
const PART: usize = 16;
/// But this many at least: in a small table there is nothing to share.
const LEAST: u32 = 4;

/// Counts half-open connections by the prefix of their source: /24 of IPv4, /64 of IPv6, which one host can make up
/// addresses in.
///
/// A table that is half full is under pressure. A prefix that has more than a sixteenth of it then gets no entry (a cookie,
/// where the configuration allows it), so that one prefix can fill half of the table and a little more, never all of it; the
/// rest is for the others. An entry, once made, is never evicted for a newer one: it goes when its handshake is over, is
/// refused or takes too long. Two prefixes on one counter (one in 256) share their part.
pub(super) struct Shares {
    hash: TupleHash,
    held: Box<[u32; COUNTERS]>,
}

/// Shows no secret.
impl fmt::Debug for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shares").finish_non_exhaustive()
    }
}

impl Shares {
    pub(super) fn new(key: [u8; 16]) -> Self {
        Self {
            hash: TupleHash::new(key),
            held: Box::new([0; COUNTERS]),
        }
    }

    /// Whether a table of at most `most` with `len` in it has an entry for `remote`.
    pub(super) fn has_room(&self, len: usize, most: usize, remote: &SocketAddr) -> bool {
        let share = u32::try_from(most / PART).unwrap_or(u32::MAX).max(LEAST);
        len < most && (len < most.div_ceil(2) || self.held_by(remote) < share)
    }

    fn held_by(&self, remote: &SocketAddr) -> u32 {
        self.held.get(self.counter(remote)).copied().unwrap_or(0)
    }

    /// `remote` has an entry more.
    pub(super) fn add(&mut self, remote: &SocketAddr) {
        let counter = self.counter(remote);
        if let Some(held) = self.held.get_mut(counter) {
            *held = held.saturating_add(1);
        }
    }

    /// `remote` has an entry less.
    pub(super) fn remove(&mut self, remote: &SocketAddr) {
        let counter = self.counter(remote);
        if let Some(held) = self.held.get_mut(counter) {
            *held = held.saturating_sub(1);
        }
    }

    /// Nobody has any.
    pub(super) fn clear(&mut self) {
        self.held.fill(0);
    }

    fn counter(&self, remote: &SocketAddr) -> usize {
        let prefix = match remote.ip().to_canonical() {
            IpAddr::V4(v4) => u64::from(v4.to_bits() >> 8),
            // Never a /24's: those are below 2^24, and 0::/40 is no one's.
            IpAddr::V6(v6) => u64::try_from(v6.to_bits() >> 64).unwrap_or(0),
        };
        let hash = self.hash.of_number(prefix);
        usize::try_from(hash % COUNTERS as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn one_prefix_never_takes_all() {
        let v4 = |host: u32| SocketAddr::from((Ipv4Addr::from(0x0a00_0000 | host & 0xff), 1));
        let v6 =
            |host: u32| SocketAddr::from((Ipv6Addr::from(0xfd00 << 112 | u128::from(host)), 1));
        let others = SocketAddr::from((Ipv4Addr::new(198, 51, 100, 7), 1));
        for flood in [v4, v6] {
            let mut shares = Shares::new([3; 16]);
            let (most, mut len) = (1024, 0);
            for host in 0..2000 {
                if shares.has_room(len, most, &flood(host)) {
                    shares.add(&flood(host));
                    len += 1;
                }
            }
            assert_eq!(len, 512, "half, because it had more than its part then");
            for _ in 0..65 {
                let room = shares.has_room(len, most, &others);
                assert_eq!(room, len < 512 + 64, "a sixteenth");
                if room {
                    shares.add(&others);
                    len += 1;
                }
            }
            shares.remove(&others);
            assert!(shares.has_room(len - 1, most, &others));
            assert!(!shares.has_room(most, most, &SocketAddr::from(([9, 9, 9, 9], 1))));
        }
    }

    #[test]
    fn a_small_table_is_not_shared_out() {
        let mut shares = Shares::new([3; 16]);
        let one = SocketAddr::from(([10, 0, 0, 1], 1));
        for len in 0..4 {
            assert!(shares.has_room(len, 4, &one), "{len}");
            shares.add(&one);
        }
        assert!(!shares.has_room(4, 4, &one));
        shares.clear();
        assert_eq!(shares.held_by(&one), 0);
    }
}
