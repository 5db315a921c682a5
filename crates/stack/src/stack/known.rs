//! The flow of the packet before: most packets belong to it, and are recognised by the octets that name it.
//!
//! What is decided for a packet of a flow by its addresses and ports (may its sender send? is it for us? whose is it?) is the same
//! for the next one until links, addresses or the connection change. What differs from packet to packet is looked at each time,
//! and what is not wholly as expected goes the long way, which finds out why.

use woshou_tcp::{Endpoints, Flags, Instant};
use woshou_wire::checksum::{Sum, pseudo_header};
use woshou_wire::{ip_protocol, ipv4, ipv6};

use super::Stack;
use super::input::How;
use crate::config::LinkId;
use crate::ip::ecn_of;
use crate::segment::{self, Origin};
use crate::table::ConnId;

/// Octets that name a flow: two addresses and two ports, of either family.
const NAME: usize = 36;

/// Version 4, no options.
const IPV4_PLAIN: u8 = 0x45;

/// A flow, and whose it is.
pub(super) struct Known {
    id: ConnId,
    link: LinkId,
    /// Of the routes, when it was learned.
    epoch: u32,
    /// As they stand in a packet that arrives. Ports follow on addresses.
    name: [u8; NAME],
    /// Octets of the IP header; 0: no flow is known.
    header_len: usize,
    /// The pseudo-header without the length.
    pseudo: Sum,
}

/// A packet of the flow: what IP says of it, and its TCP segment.
struct Sighted<'a> {
    traffic_class: u8,
    tcp: &'a [u8],
}

impl Known {
    pub(super) const fn none() -> Self {
        Self {
            id: ConnId {
                index: u32::MAX,
                generation: 0,
            },
            link: LinkId(u32::MAX),
            epoch: 0,
            name: [0; NAME],
            header_len: 0,
            pseudo: Sum::ZERO,
        }
    }

    /// The flow of the segments that `endpoints` receive.
    fn new(id: ConnId, link: LinkId, epoch: u32, endpoints: &Endpoints) -> Option<Self> {
        use core::net::IpAddr::{V4, V6};
        let (from, to) = (endpoints.remote, endpoints.local);
        let mut name = [0; NAME];
        let (ports, header_len) = match (from.ip(), to.ip()) {
            (V4(from), V4(to)) => {
                *name.first_chunk_mut()? = from.octets();
                *name.get_mut(4..)?.first_chunk_mut()? = to.octets();
                (8, ipv4::HEADER_LEN)
            }
            (V6(from), V6(to)) => {
                *name.first_chunk_mut()? = from.octets();
                *name.get_mut(16..)?.first_chunk_mut()? = to.octets();
                (32, ipv6::HEADER_LEN)
            }
            _ => return None,
        };
        *name.get_mut(ports..)?.first_chunk_mut()? = from.port().to_be_bytes();
        *name.get_mut(ports + 2..)?.first_chunk_mut()? = to.port().to_be_bytes();
        Some(Self {
            id,
            link,
            epoch,
            name,
            header_len,
            pseudo: pseudo_header(from.ip(), to.ip(), ip_protocol::TCP, 0),
        })
    }

    /// The packet, if it is one of the flow and has a plain, sound header; octets behind it are the link's.
    #[inline]
    fn sight<'a>(&self, octets: &'a [u8]) -> Option<Sighted<'a>> {
        match self.header_len {
            ipv4::HEADER_LEN => self.sight_v4(octets),
            ipv6::HEADER_LEN => self.sight_v6(octets),
            _ => None,
        }
    }

    #[inline]
    fn sight_v4<'a>(&self, octets: &'a [u8]) -> Option<Sighted<'a>> {
        let (header, _) = octets.split_first_chunk::<{ ipv4::HEADER_LEN + 4 }>()?;
        let [
            version,
            traffic_class,
            high,
            low,
            _,
            _,
            flags,
            offset,
            _,
            protocol,
            ..,
        ] = *header;
        // Of the flags only DF says nothing.
        let whole = flags & !0x40 | offset == 0;
        let plain = version == IPV4_PLAIN && protocol == ip_protocol::TCP && whole;
        if !plain || header.last_chunk::<12>() != self.name.first_chunk::<12>() {
            return None;
        }
        let (ip, _) = header.split_first_chunk::<{ ipv4::HEADER_LEN }>()?;
        let tcp = octets.get(ipv4::HEADER_LEN..usize::from(u16::from_be_bytes([high, low])))?;
        Sum::ZERO
            .with(ip)
            .is_valid()
            .then_some(Sighted { traffic_class, tcp })
    }

    #[inline]
    fn sight_v6<'a>(&self, octets: &'a [u8]) -> Option<Sighted<'a>> {
        let (header, _) = octets.split_first_chunk::<{ ipv6::HEADER_LEN + 4 }>()?;
        let [first, second, _, _, high, low, next, ..] = *header;
        let plain = first >> 4 == 6 && next == ip_protocol::TCP;
        if !plain || header.last_chunk::<NAME>() != Some(&self.name) {
            return None;
        }
        let len = usize::from(u16::from_be_bytes([high, low]));
        Some(Sighted {
            traffic_class: first << 4 | second >> 4,
            tcp: octets.get(ipv6::HEADER_LEN..ipv6::HEADER_LEN + len)?,
        })
    }
}

impl Stack {
    /// Takes a packet of the flow that is known. `false`: it goes the long way, and nothing was done.
    #[inline]
    pub(super) fn take_known(
        &mut self,
        now: Instant,
        link: LinkId,
        octets: &[u8],
        how: &How<'_>,
    ) -> bool {
        let known = &self.known;
        let apart = how.looped || how.group;
        if apart || known.link != link || known.epoch != self.routes.epoch {
            return false;
        }
        let Some(sighted) = known.sight(octets) else {
            return false;
        };
        let origin = Origin {
            pseudo: known.pseudo,
            ecn: ecn_of(sighted.traffic_class),
        };
        let Some((_, segment)) = segment::read(sighted.tcp, &origin, &how.arrival) else {
            return false;
        };
        let id = known.id;
        if segment.header.flags.contains(Flags::SYN) || !self.table.is_here(id) {
            return false;
        }
        self.hear(now, id, &segment, sighted.traffic_class);
        true
    }

    /// The packet went the long way to the connection that took a segment last: the next of its flow goes the short way. Not one
    /// of ourselves to ourselves, which a link may not bring.
    pub(super) fn learn_flow(&mut self, link: LinkId, octets: &[u8], how: &How<'_>) {
        if how.looped || how.group || self.known.sight(octets).is_some() {
            return;
        }
        let flow = self.table.id(self.last).and_then(|id| {
            let endpoints = self.table.endpoints(id.index)?;
            Known::new(id, link, self.routes.epoch, endpoints)
        });
        if let Some(flow) = flow.filter(|flow| flow.sight(octets).is_some()) {
            self.known = flow;
        }
    }
}
