//! A packet arrives: is it sound, is it ours, is it whole, and whose is it?

use core::net::IpAddr;

use woshou_tcp::Instant;
use woshou_wire::ethernet::{
    ETHER_TYPE_ARP, ETHER_TYPE_IPV4, ETHER_TYPE_IPV6, EthernetFrame, MacAddr,
};
use woshou_wire::{ip_protocol, ip_version, ipv6};

use super::Stack;
use crate::config::{LinkId, Medium};
use crate::ip::fragments::Fragment;
use crate::ip::icmp::Problem;
use crate::ip::route::is_peer_address;
use crate::ip::{Datagram, Parsed, v4, v6};
use crate::neighbour::Mac;
use crate::packet::Packet;
use crate::segment::Arrival;

/// How a packet came to us.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct How<'a> {
    pub(super) arrival: Arrival<'a>,
    /// From ourselves.
    pub(super) looped: bool,
    /// For everyone on the link, or for a group.
    pub(super) group: bool,
    /// For an address that is not ours, on a link that takes them.
    pub(super) foreign: bool,
}

/// For whom a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    Ours,
    /// Unicast for another, on a link that takes that.
    Foreign,
    Group,
    /// From an address that can't be a sender.
    BadSource,
    NotOurs,
}

impl Stack {
    /// A packet (or frame) arrived by `link`. It is not kept, but for text that lies in its `owner`.
    pub fn handle_packet(&mut self, now: Instant, link: LinkId, packet: Packet<'_>) {
        self.counters.packets_in += 1;
        let arrival = Arrival {
            owner: packet.owner,
            checksum_valid: packet.checksum_valid,
            segment_size: packet.segment_size,
        };
        let how = How {
            arrival,
            ..How::default()
        };
        match self.routes.link(link).map(|link| link.medium) {
            Some(Medium::Ip) => self.handle_ip(now, link, packet.octets, how),
            Some(Medium::Ethernet { mac }) => {
                self.handle_frame(now, (link, mac), packet.octets, how);
            }
            None => self.counters.not_ours += 1,
        }
    }

    fn handle_frame(
        &mut self,
        now: Instant,
        (link, mac): (LinkId, Mac),
        octets: &[u8],
        how: How<'_>,
    ) {
        let frame = match EthernetFrame::parse(octets) {
            Ok(frame) if !frame.header.source.is_multicast() => frame,
            _ => {
                self.counters.bad_ip += 1;
                return;
            }
        };
        let to = frame.header.destination;
        if to != MacAddr(mac) && !to.is_multicast() {
            self.counters.not_ours += 1;
            return;
        }
        let how = How {
            group: to.is_multicast(),
            ..how
        };
        match (frame.header.ether_type, ip_version(frame.payload)) {
            (ETHER_TYPE_IPV4, Some(4)) | (ETHER_TYPE_IPV6, Some(6)) => {
                self.handle_ip(now, link, frame.payload, how);
            }
            (ETHER_TYPE_ARP, _) => self.handle_arp(now, (link, mac), frame.payload),
            (ETHER_TYPE_IPV4 | ETHER_TYPE_IPV6, _) => self.counters.bad_ip += 1,
            _ => self.counters.not_ours += 1,
        }
    }

    /// An IP packet of either family, padding of the link included.
    pub(super) fn handle_ip(&mut self, now: Instant, link: LinkId, octets: &[u8], how: How<'_>) {
        if !self.take_known(now, link, octets, &how) {
            self.handle_unknown(now, link, octets, how);
        }
    }

    /// An IP packet of which nothing is known.
    fn handle_unknown(&mut self, now: Instant, link: LinkId, octets: &[u8], how: How<'_>) {
        let parsed = match ip_version(octets) {
            Some(4) => v4::parse(octets, link, self.config.accept_source_routed),
            Some(6) => match v6::parse(octets, link) {
                Ok(parsed) => Some(parsed),
                Err(fault) => {
                    self.answer_fault(now, link, octets, &fault);
                    None
                }
            },
            _ => None,
        };
        let Some(parsed) = parsed else {
            self.counters.bad_ip += 1;
            return;
        };
        let (source, destination) = match &parsed {
            Parsed::Whole(datagram) => (datagram.source, datagram.destination),
            Parsed::Fragment(fragment) => (fragment.key.source, fragment.key.destination),
        };
        let (group, foreign) = match self.admit(link, source, destination, how.looped) {
            Admission::Ours => (false, false),
            Admission::Foreign => (false, true),
            Admission::Group => (true, false),
            Admission::BadSource => {
                self.counters.bad_ip += 1;
                if source.is_loopback() || self.routes.owner_of(source).is_some() {
                    self.counters.from_ourselves += 1;
                } else {
                    self.counters.martians += 1;
                }
                return;
            }
            Admission::NotOurs => {
                self.counters.not_ours += 1;
                return;
            }
        };
        let how = How { foreign, ..how };
        match parsed {
            Parsed::Whole(datagram) => {
                self.handle_datagram(
                    now,
                    link,
                    &datagram,
                    How {
                        group: group || how.group,
                        ..how
                    },
                );
                if datagram.protocol == ip_protocol::TCP && !group {
                    self.learn_flow(link, octets, &how);
                }
            }
            // Nothing that is sent to groups is worth being put together.
            Parsed::Fragment(_) if group || how.group => self.counters.not_ours += 1,
            Parsed::Fragment(fragment) => self.handle_fragment(now, &fragment, how),
        }
    }

    /// Whether we are meant, and whether the source may send at all: no multicast or broadcast (MUST-57, MUST-63), no
    /// loopback from outside (RFC 1122 section 3.2.1.3 g), no packet from ourselves that came by a link (LAND).
    //= rfc9293 MUST-57
    //= rfc9293 MUST-63
    fn admit(&self, link: LinkId, source: IpAddr, destination: IpAddr, looped: bool) -> Admission {
        // Duplicate address detection asks from the unspecified address (RFC 4862 section 5.4.2).
        let nameless = source.is_ipv6() && source.is_unspecified() && destination.is_multicast();
        if !(is_peer_address(source) || nameless) {
            return Admission::BadSource;
        }
        if looped {
            let ours = self.routes.owner_of(destination).is_some();
            return if ours {
                Admission::Ours
            } else {
                Admission::NotOurs
            };
        }
        let Some(here) = self.routes.link(link) else {
            return Admission::NotOurs;
        };
        let from_us = source.is_loopback() || self.routes.owner_of(source).is_some();
        if from_us || destination.is_loopback() || here.is_broadcast(source) {
            return Admission::BadSource;
        }
        if here.has(destination) {
            Admission::Ours
        } else if destination.is_multicast() || here.is_broadcast(destination) {
            Admission::Group
        } else if here.any_ip && self.takes_for_others(source, destination) {
            Admission::Foreign
        } else {
            Admission::NotOurs
        }
    }

    /// Whether a packet for somebody else is taken: on an any-IP link, for a unicast address that somebody could have. The
    /// caller has looked at broadcast and loopback. Its sender may not be its receiver (LAND).
    fn takes_for_others(&self, source: IpAddr, destination: IpAddr) -> bool {
        is_peer_address(destination)
            && source != destination
            && self.routes.owner_of(destination).is_none()
    }

    fn handle_fragment(&mut self, now: Instant, fragment: &Fragment<'_>, how: How<'_>) {
        self.counters.fragments_in += 1;
        let whole = self.fragments.add(now, fragment);
        // Their share is theirs only while nobody holds it.
        self.fragments.give_back(self.excess());
        self.mind_memory(now);
        let Some(whole) = whole else {
            return;
        };
        self.counters.reassembled += 1;
        // The text lies in a buffer of our own, and nobody vouches for the sum of the whole.
        self.handle_whole(now, fragment, whole, how.foreign);
    }

    pub(super) fn handle_datagram(
        &mut self,
        now: Instant,
        link: LinkId,
        datagram: &Datagram<'_>,
        how: How<'_>,
    ) {
        let icmp = match datagram.source {
            IpAddr::V4(_) => ip_protocol::ICMPV4,
            IpAddr::V6(_) => ip_protocol::ICMPV6,
        };
        match datagram.protocol {
            protocol if protocol == icmp => self.handle_icmp(now, link, datagram, how),
            _ if how.group || !is_peer_address(datagram.source) => self.counters.not_ours += 1,
            protocol if how.foreign && protocol != ip_protocol::TCP => self.counters.not_ours += 1,
            ip_protocol::TCP => self.handle_tcp(now, link, datagram, &how.arrival),
            ip_protocol::UDP => self.handle_udp(now, link, datagram, &how.arrival),
            ipv6::NO_NEXT_HEADER if datagram.source.is_ipv6() => {}
            _ => {
                let problem = Problem::ProtocolUnreachable(datagram.named_at);
                self.send_error(now, link, datagram, problem);
            }
        }
    }
}
