//! Neighbours: who gets the frame, who asks for us, and what waits for an answer.

use core::net::{IpAddr, Ipv6Addr};

use woshou_tcp::Instant;
use woshou_tcp::error::PathError;
use woshou_wire::arp::{ArpPacket, Operation};
use woshou_wire::ethernet::{ETHER_TYPE_IPV4, ETHER_TYPE_IPV6, EthernetHeader, MacAddr};
use woshou_wire::icmpv6::multicast_mac;

use super::{Stack, context};
use crate::config::{LinkId, Medium};
use crate::ip::HEADROOM;
use crate::ip::route::{Path, is_peer_address};
use crate::neighbour::{Due, Mac, Question, Waiters, arp, nd};
use crate::table::ConnId;

/// How a packet reaches its next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hop {
    /// The link carries IP as it is.
    Bare,
    /// In a frame from one MAC address to another.
    Framed {
        /// Ours.
        from: Mac,
        /// The next hop's.
        to: Mac,
    },
    /// The MAC address is being asked for.
    Wait,
}

impl Hop {
    /// Fills in the [`HEADROOM`] in front of an IP packet; returns where what goes on the link begins.
    pub(super) fn write(self, v6: bool, packet: &mut [u8]) -> usize {
        let Self::Framed { from, to } = self else {
            return HEADROOM;
        };
        let ether_type = if v6 { ETHER_TYPE_IPV6 } else { ETHER_TYPE_IPV4 };
        let header = EthernetHeader {
            destination: MacAddr(to),
            source: MacAddr(from),
            ether_type,
        };
        match header.write(packet) {
            Ok(_) => 0,
            // Every packet has its headroom.
            Err(_) => HEADROOM,
        }
    }
}

impl Stack {
    /// How a packet gets to the next hop of `path`; asks for it where that is not known.
    pub(super) fn hop(&mut self, now: Instant, path: &Path) -> Hop {
        let Some(Medium::Ethernet { mac: from }) =
            self.routes.link(path.link).map(|link| link.medium)
        else {
            return Hop::Bare;
        };
        if let IpAddr::V6(group) = path.next_hop
            && group.is_multicast()
        {
            return Hop::Framed {
                from,
                to: multicast_mac(group).0,
            };
        }
        let answer = self.neighbours.resolve(now, path.link, path.next_hop);
        if let Some(question) = answer.ask {
            self.ask(&question);
        }
        answer.mac.map_or(Hop::Wait, |to| Hop::Framed { from, to })
    }

    fn ask(&mut self, question: &Question) {
        let Question {
            link,
            address,
            mac: known,
        } = *question;
        let Some(Medium::Ethernet { mac }) = self.routes.link(link).map(|link| link.medium) else {
            return;
        };
        let path = self.routes.path(link, address);
        let source = path.and_then(|path| self.routes.source(address, &path));
        let frame = match (source, address) {
            (Some(IpAddr::V4(source)), IpAddr::V4(target)) => {
                arp::request(mac, source, target, known)
            }
            (Some(IpAddr::V6(source)), IpAddr::V6(target)) => {
                nd::solicitation(mac, source, target, known)
            }
            _ => None,
        };
        if let Some(frame) = frame {
            self.send_frame(link, frame);
        }
    }

    /// Queues a whole frame.
    fn send_frame(&mut self, link: LinkId, frame: alloc::vec::Vec<u8>) {
        if !self.may_queue(self.replies.octets, frame.len()) {
            self.counters.dropped_out += 1;
            return;
        }
        self.replies.octets += frame.len();
        self.replies.frames.push_back((link, frame));
    }

    /// An ARP packet: a question for one of our addresses is answered, and who asks is remembered; an answer counts
    /// only for a neighbour that we know or asked for (RFC 826, RFC 5227).
    pub(super) fn handle_arp(&mut self, now: Instant, (link, mac): (LinkId, Mac), octets: &[u8]) {
        let Ok(packet) = ArpPacket::parse(octets) else {
            self.counters.bad_ip += 1;
            return;
        };
        let Some(ours) = self.routes.link(link) else {
            return;
        };
        let (sender, target) = (IpAddr::V4(packet.sender_ip), IpAddr::V4(packet.target_ip));
        let for_us = packet.operation == Operation::Request && ours.has(target);
        let may_learn = is_peer_address(sender)
            && !ours.has(sender)
            && ours.is_on_link(sender)
            && !ours.is_broadcast(sender);
        if may_learn {
            self.learn(now, (link, sender), packet.sender_mac, for_us);
        }
        // A probe for an address of ours comes from nobody; an answer defends it.
        let answerable = may_learn || packet.sender_ip.is_unspecified();
        if for_us
            && answerable
            && self.answers_neighbours()
            && self.neighbour_answers.take(now)
            && let Some(frame) = arp::reply(mac, &packet)
        {
            self.send_frame(link, frame);
        }
    }

    /// Who has one of our IPv6 addresses? (RFC 4861 sections 7.2.3, 7.2.4)
    pub(super) fn handle_solicitation(
        &mut self,
        now: Instant,
        (link, asker): (LinkId, IpAddr),
        target: Ipv6Addr,
        source_link: Option<MacAddr>,
    ) {
        let Some(ours) = self.routes.link(link) else {
            return;
        };
        let (Medium::Ethernet { mac }, IpAddr::V6(asker_v6)) = (ours.medium, asker) else {
            return;
        };
        if !ours.has(IpAddr::V6(target)) {
            return;
        }
        let on_link = is_peer_address(asker) && ours.is_on_link(asker);
        if let Some(source_link) = source_link.filter(|_| on_link) {
            self.learn(now, (link, asker), source_link, true);
        }
        if (on_link || asker_v6.is_unspecified())
            && self.answers_neighbours()
            && self.neighbour_answers.take(now)
            && let Some((to, packet)) = nd::advertisement(mac, target, asker_v6)
            && let Some(path) = self.routes.path(link, IpAddr::V6(to))
        {
            self.reply(path, packet);
        }
    }

    /// Someone says which MAC address an IPv6 address has (RFC 4861 section 7.2.5).
    pub(super) fn handle_advertisement(
        &mut self,
        now: Instant,
        (link, solicited): (LinkId, bool),
        target: Ipv6Addr,
        target_link: Option<MacAddr>,
    ) {
        let target = IpAddr::V6(target);
        if self.routes.link(link).is_none_or(|link| link.has(target)) {
            return;
        }
        let known = || {
            self.neighbours
                .known(link, target)
                .filter(|_| solicited)
                .map(MacAddr)
        };
        if let Some(mac) = target_link.or_else(known) {
            self.learn(now, (link, target), mac, false);
        }
    }

    fn learn(&mut self, now: Instant, whom: (LinkId, IpAddr), mac: MacAddr, asked: bool) {
        let Waiters {
            connections,
            packets,
        } = self.neighbours.learn(now, whom, mac.0, asked);
        let (link, next_hop) = whom;
        if let Some(path) = self.routes.path(link, next_hop) {
            for packet in packets {
                self.reply(path, packet);
            }
        }
        for id in connections {
            self.release(id);
        }
    }

    fn release(&mut self, id: ConnId) {
        if let Some(slot) = self.table.get_mut(id) {
            slot.held = false;
        }
        self.table.mark_ready(id);
    }

    /// Asks again, or gives up: then whoever waited learns that the host is unreachable.
    pub(super) fn neighbour_timeouts(&mut self, now: Instant) {
        while let Some(due) = self.neighbours.handle_timeout(now) {
            match due {
                Due::Ask(question) => self.ask(&question),
                Due::Unreachable(waiters) => {
                    self.counters.dropped_out += waiters.packets.len() as u64;
                    for id in waiters.connections {
                        self.host_unreachable(now, id);
                    }
                }
            }
        }
    }

    /// What was to be sent is lost, as it would be beyond a router: built, so that TCP's own timers run, told as an
    /// error of the path, and thrown away.
    pub(super) fn host_unreachable(&mut self, now: Instant, id: ConnId) {
        let budget = self.budget(now, id);
        let Some(slot) = self.table.get_mut(id) else {
            return;
        };
        slot.held = false;
        let mut cx = context(now, &mut self.outside);
        if let Some(plan) = slot.body.plan(now, budget.max_text) {
            let _lost = slot.body.build(&mut cx, plan);
            slot.body
                .handle_path_error(&mut cx, PathError::HostUnreachable, plan.seq);
            self.counters.dropped_out += 1;
        }
        self.settle(now, id);
    }
}
