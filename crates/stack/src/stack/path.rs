//! What the way to a peer carries, and the way back.

use core::net::IpAddr;

use woshou_tcp::Instant;

use super::Stack;
use crate::ip::pmtu;
use crate::ip::route::{Path, mss};

impl Stack {
    /// The largest segment that the peer may send us: what the link carries at the least (`LinkConfig::mtu`), whatever
    /// routers said of the way there, which need not be the way back (RFC 9293 section 3.7.3).
    //= rfc9293 SHLD-6
    pub(super) fn receive_mss(&self, path: &Path) -> u16 {
        let link = self.routes.link(path.link).filter(|_| !path.local);
        link.map_or(path.mss(), |link| mss(link.mtu, path.next_hop.is_ipv6()))
    }

    /// `path`, to `to`, with what routers said of it.
    pub(super) fn with_pmtu(&self, now: Instant, path: Path, to: IpAddr) -> Path {
        let known = self
            .pmtus
            .look_up(now, pmtu::destination(to, path.link))
            .filter(|known| known.mtu < path.mtu && !path.local);
        known.map_or(path, |known| Path {
            mtu: known.mtu,
            mtu_until: known.until,
            ..path
        })
    }
}
