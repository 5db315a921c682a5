//! What routers said, or a search found, that the way to a destination carries (RFC 1191, RFC 8201, RFC 8899): bounded in number, and forgotten after ten
//! minutes, so that a way that has become better is used again.
//!
//! Only reports that name a segment of ours in flight come here (RFC 5927 section 4.1).

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::IpAddr;
use core::time::Duration;

use woshou_tcp::Instant;

use crate::config::LinkId;
use crate::ip::route::is_link_local;

/// Destinations remembered at most; the one whose time is over first goes first.
const MOST: usize = 1_024;
/// How long a report holds (RFC 1191 section 6.3, RFC 8201 section 5.3).
const LASTS: Duration = Duration::from_secs(600);

/// A destination, and its link (index + 1) where the address means something on one link only.
pub(crate) type Destination = (IpAddr, u32);

/// The destination `address` of packets that leave by `link`.
pub(crate) fn destination(address: IpAddr, link: LinkId) -> Destination {
    let scope = if is_link_local(address) {
        link.0.saturating_add(1)
    } else {
        0
    };
    (address, scope)
}

/// What a destination's way carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Octets of the largest IP packet.
    pub(crate) mtu: u32,
    /// Forgotten then.
    pub(crate) until: Instant,
}

/// What is known of destinations whose way carries less than the link.
#[derive(Default)]
pub(crate) struct Pmtus {
    known: BTreeMap<Destination, Known>,
    /// The same, by when they are forgotten.
    by_age: BTreeSet<(Instant, Destination)>,
}

impl Pmtus {
    /// What is known at `now`.
    pub(crate) fn look_up(&self, now: Instant, to: Destination) -> Option<Known> {
        self.known
            .get(&to)
            .copied()
            .filter(|known| now < known.until)
    }

    /// A router said so or a search found it, and it is less than what was known.
    pub(crate) fn learn(&mut self, now: Instant, to: Destination, mtu: u32) {
        if let Some(old) = self.known.remove(&to) {
            self.by_age.remove(&(old.until, to));
        }
        while self.known.len() >= MOST
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.known.remove(&oldest);
        }
        let until = now + LASTS;
        self.known.insert(to, Known { mtu, until });
        self.by_age.insert((until, to));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    fn to(n: u32) -> Destination {
        (Ipv4Addr::from_bits(n).into(), 0)
    }

    #[test]
    fn ages_and_stays_bounded() {
        let mut pmtus = Pmtus::default();
        let start = Instant::from_millis(5);
        for n in 0..2_000 {
            pmtus.learn(start + Duration::from_millis(n), to(n as u32), 1_280);
        }
        assert_eq!((pmtus.known.len(), pmtus.by_age.len()), (MOST, MOST));
        let now = start + Duration::from_millis(2_000);
        assert_eq!(pmtus.look_up(now, to(975)), None, "the oldest went");
        assert_eq!(pmtus.look_up(now, to(976)).unwrap().mtu, 1_280);
        // A second report starts the time anew.
        pmtus.learn(now, to(976), 1_000);
        assert_eq!((pmtus.known.len(), pmtus.by_age.len()), (MOST, MOST));
        let due = now + LASTS;
        let before = now + (LASTS - Duration::from_nanos(1));
        assert_eq!(pmtus.look_up(before, to(976)).unwrap().mtu, 1_000);
        assert_eq!(pmtus.look_up(due, to(976)), None);
        assert_eq!(pmtus.look_up(due, to(1_999)), None);
    }

    #[test]
    fn link_local_addresses_belong_to_a_link() {
        let ip = "fe80::1".parse().unwrap();
        assert_ne!(destination(ip, LinkId(0)), destination(ip, LinkId(1)));
        let ip = "2001:db8::1".parse().unwrap();
        assert_eq!(destination(ip, LinkId(0)), destination(ip, LinkId(1)));
    }
}
