//! What the way to a peer carries, and the way back.

use core::net::IpAddr;

use woshou_tcp::Instant;

use super::Stack;
use crate::ip::pmtu;
use crate::ip::route::{Path, mss};
use crate::table::{Body, ConnId};

impl Stack {
    /// The largest segment that the peer may send us: what the link carries at the least (`LinkConfig::mtu`), whatever
    /// routers said of the way there, which need not be the way back (RFC 9293 section 3.7.3).
    //= rfc9293 SHLD-6
    pub(super) fn receive_mss(&self, path: &Path) -> u16 {
        let link = self.routes.link(path.link).filter(|_| !path.local);
        link.map_or(path.mss(), |link| mss(link.mtu, path.next_hop.is_ipv6()))
    }

    /// What a connection's search found where no router told is remembered as a router's word is: the next connection to the
    /// destination starts with it, and does not pay a timeout.
    pub(super) fn remember_search(&mut self, now: Instant, id: ConnId) {
        let Some(slot) = self.table.get(id) else {
            return;
        };
        let Body::Connection(connection) = &slot.body else {
            return;
        };
        let Some(found) = connection.found_mss() else {
            return;
        };
        let remote = connection.endpoints().remote.ip();
        let mtu = u32::from(found) + if remote.is_ipv6() { 60 } else { 40 };
        if slot.path.local || mtu >= slot.path.mtu {
            return;
        }
        let to = pmtu::destination(remote, slot.path.link);
        let known = self.pmtus.look_up(now, to);
        if known.is_none_or(|known| mtu < known.mtu) {
            self.pmtus.learn(now, to, mtu);
        }
    }

    /// `path`, to `to`, with what is known of it.
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
