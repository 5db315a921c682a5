//! ICMP: echo, errors that we are told, errors that we tell (RFC 1122 section 3.2.2, RFC 4443 section 2.4).

use alloc::vec::Vec;
use core::hash::BuildHasher;
use core::net::IpAddr;

use woshou_tcp::{Ecn, Endpoints, Instant, SeqNum};
use woshou_wire::icmpv6::NEIGHBOUR_HOP_LIMIT;
use woshou_wire::{ip_protocol, udp};

use super::input::How;
use super::{Stack, context};
use crate::config::LinkId;
use crate::ip::fragments::Expired;
use crate::ip::icmp::{self, Message, Problem, Quoted, Verdict};
use crate::ip::pmtu;
use crate::ip::route::{is_peer_address, mss, socket_address};
use crate::ip::{Datagram, IpHeader, v4, v6};
use crate::segment::Arrival;
use crate::table::{Body, ConnId};

/// The least MTU that IPv6 allows (RFC 8200 section 5); a smaller claim means this.
const MIN_MTU_V6: u32 = 1_280;
/// The same of IPv4 (RFC 791).
const MIN_MTU_V4: u32 = 68;

impl Stack {
    pub(super) fn handle_icmp(
        &mut self,
        now: Instant,
        link: LinkId,
        datagram: &Datagram<'_>,
        how: How<'_>,
    ) {
        let (source, destination) = (datagram.source, datagram.destination);
        let Some(message) = icmp::parse(source, destination, datagram.payload) else {
            self.counters.bad_checksum += 1;
            return;
        };
        // No router has passed it on, and it came by a link: nothing else may speak about neighbours.
        let neighbourly = datagram.hop_limit == NEIGHBOUR_HOP_LIMIT && !how.looped;
        match message {
            Message::Echo {
                identifier,
                sequence,
                data,
            } if !how.group && !how.foreign && is_peer_address(source) => {
                self.answer_echo(now, link, datagram, ((identifier, sequence), data));
            }
            Message::Error { verdict, quoted } if !how.group => {
                if let Some(quoted) = Quoted::parse(source.is_ipv6(), quoted) {
                    self.handle_path_error(now, link, verdict, &quoted);
                }
            }
            Message::Solicitation {
                target,
                source_link,
            } if neighbourly => {
                self.handle_solicitation(now, (link, source), target, source_link);
            }
            Message::Advertisement {
                solicited,
                target,
                target_link,
            } if neighbourly => {
                self.handle_advertisement(now, (link, solicited), target, target_link);
            }
            _ => {}
        }
    }

    fn answer_echo(
        &mut self,
        now: Instant,
        link: LinkId,
        datagram: &Datagram<'_>,
        (ids, data): ((u16, u16), &[u8]),
    ) {
        let (from, to) = (datagram.destination, datagram.source);
        if self.echoes.take(now)
            && let Some(message) = icmp::echo_reply(from, to, ids, data)
        {
            self.send_message(link, from, to, &message);
        }
    }

    /// Sends an ICMP message back by `link`'s way, in fragments when it is longer than the link takes.
    fn send_message(&mut self, link: LinkId, source: IpAddr, destination: IpAddr, message: &[u8]) {
        let protocol = match source {
            IpAddr::V4(_) => ip_protocol::ICMPV4,
            IpAddr::V6(_) => ip_protocol::ICMPV6,
        };
        let hop_limit = self.config.ttl;
        let ip = IpHeader {
            source,
            destination,
            protocol,
            hop_limit,
            tos: self.config.tos,
            ecn: Ecn::NotEct,
            flow_label: 0,
        };
        let Some(path) = self.way_back(destination, link) else {
            self.counters.dropped_out += 1;
            return;
        };
        let mtu = usize::try_from(path.mtu).unwrap_or(usize::MAX);
        let packets: Vec<_> = if ip.len() + message.len() <= mtu {
            ip.packet(message).into_iter().collect()
        } else {
            // One that nobody can foretell, nor count others' packets by (RFC 7739 section 5.3).
            self.fragmented = self.fragmented.wrapping_add(1);
            let drawn = self.fragment_key.hash_one(self.fragmented);
            #[expect(clippy::cast_possible_truncation, reason = "a draw is as good in part")]
            let (id, short) = (drawn as u32, drawn as u16);
            if source.is_ipv4() {
                v4::fragment(&ip, short, mtu, message)
            } else {
                v6::fragment(&ip, id, mtu, message)
            }
        };
        for packet in packets {
            self.reply(path, packet);
        }
    }

    /// Tells the sender of `datagram` what is wrong with it. The caller has made sure that it was sent to us alone.
    pub(super) fn send_error(
        &mut self,
        now: Instant,
        link: LinkId,
        datagram: &Datagram<'_>,
        problem: Problem,
    ) {
        let (from, to) = (datagram.destination, datagram.source);
        if !is_peer_address(to) || !self.errors.take(now) {
            return;
        }
        if let Some(message) = icmp::error(from, to, problem, datagram.packet) {
            self.send_message(link, from, to, &message);
        }
    }

    /// A packet whose IPv6 headers are wrong: its sender may be told (RFC 8200 section 4.2).
    pub(super) fn answer_fault(
        &mut self,
        now: Instant,
        link: LinkId,
        octets: &[u8],
        fault: &v6::Fault,
    ) {
        let Some(((code, at), (source, destination))) = fault.problem.zip(v6::addresses(octets))
        else {
            return;
        };
        let (source, destination) = (IpAddr::V6(source), IpAddr::V6(destination));
        let Some(ours) = self.routes.link(link) else {
            return;
        };
        let from_us = source.is_loopback() || self.routes.owner_of(source).is_some();
        let from = if ours.has(destination) {
            Some(destination)
        } else if destination.is_multicast() && fault.even_multicast {
            self.way_back(source, link)
                .and_then(|path| self.routes.source(source, &path))
        } else {
            None
        };
        let Some(from) = from.filter(|_| is_peer_address(source) && !from_us) else {
            return;
        };
        if self.errors.take(now)
            && let Some(message) = icmp::error(from, source, Problem::Header(code, at), octets)
        {
            self.send_message(link, from, source, &message);
        }
    }

    /// UDP has no users here: its senders are told so, when the datagram is sound.
    pub(super) fn handle_udp(
        &mut self,
        now: Instant,
        link: LinkId,
        datagram: &Datagram<'_>,
        arrival: &Arrival<'_>,
    ) {
        let sound = if arrival.checksum_valid {
            udp::UdpDatagram::parse(datagram.payload).is_ok()
        } else {
            udp::verify(datagram.source, datagram.destination, datagram.payload).is_ok()
        };
        if sound {
            self.send_error(now, link, datagram, Problem::PortUnreachable);
        } else {
            self.counters.bad_checksum += 1;
        }
    }

    /// Drops datagrams whose rest did not come, and tells who has sent their first fragment (RFC 1122 section 3.3.2).
    pub(super) fn expire_fragments(&mut self, now: Instant) {
        while let Some(expired) = self.fragments.expire(now) {
            let Some(Expired {
                link,
                source,
                destination,
                quote,
            }) = expired
            else {
                continue;
            };
            let protocol = match source {
                IpAddr::V4(_) => quote.get(9).copied(),
                IpAddr::V6(_) => quote.get(40).copied(),
            };
            // It may have been an ICMP error itself, and those are never answered.
            if matches!(
                protocol,
                None | Some(ip_protocol::ICMPV4 | ip_protocol::ICMPV6)
            ) {
                continue;
            }
            if self.errors.take(now)
                && let Some(message) =
                    icmp::error(destination, source, Problem::ReassemblyTime, &quote)
            {
                self.send_message(link, destination, source, &message);
            }
        }
    }

    /// The network reported something about a segment of ours. It counts only when the four-tuple is ours and the
    /// number is one in flight (RFC 5927 section 4.1).
    //= rfc9293 MUST-54
    fn handle_path_error(&mut self, now: Instant, link: LinkId, verdict: Verdict, quoted: &Quoted) {
        let endpoints = Endpoints {
            local: socket_address(quoted.source, quoted.source_port, link),
            remote: socket_address(quoted.destination, quoted.destination_port, link),
        };
        let key = self.key(&endpoints);
        let id = match self.owner(&key, &endpoints) {
            Some(index) => self.table.id(index),
            // TIME-WAIT waits for nothing; the error came to the right place.
            None if self.time_waits.find(&key).is_some() => {
                self.counters.icmp_errors_in += 1;
                return;
            }
            None => {
                self.half_open_error(now, &endpoints, verdict, quoted.seq);
                return;
            }
        };
        let Some((id, slot)) = id.and_then(|id| Some((id, self.table.get_mut(id)?))) else {
            return;
        };
        if !slot.body.is_in_flight(quoted.seq) {
            self.counters.icmp_errors_ignored += 1;
            return;
        }
        self.counters.icmp_errors_in += 1;
        match verdict {
            Verdict::Failed(error) => {
                slot.body.handle_path_error(
                    &mut context(now, &mut self.outside),
                    error,
                    quoted.seq,
                );
            }
            Verdict::TooBig(mtu) => self.shrink_path(now, id, mtu, quoted.seq),
        }
        self.settle(now, id);
    }

    /// As [`Self::handle_path_error`], about a SYN,ACK.
    fn half_open_error(
        &mut self,
        now: Instant,
        endpoints: &Endpoints,
        verdict: Verdict,
        seq: SeqNum,
    ) {
        let Verdict::Failed(error) = verdict else {
            return;
        };
        for id in self
            .listeners
            .candidates(endpoints.local)
            .into_iter()
            .flatten()
        {
            let Some(entry) = self.listeners.get_mut(id) else {
                continue;
            };
            if entry.listener.is_half_open(endpoints) {
                self.counters.icmp_errors_in += 1;
                let mut cx = context(now, &mut self.outside);
                entry
                    .listener
                    .handle_path_error(&mut cx, endpoints, error, seq);
                self.listeners.settle(id);
                return;
            }
        }
        self.counters.icmp_errors_ignored += 1;
    }

    /// A link on the way carries less than we sent (RFC 1191, RFC 8201): this connection cuts its segments anew at once,
    /// others to the destination before they send next, and new ones from the start.
    ///
    /// A report about a segment that was small enough is a lie, whatever number it quotes (RFC 5927 section 7.2).
    fn shrink_path(&mut self, now: Instant, id: ConnId, mtu: u32, seq: SeqNum) {
        let Some(slot) = self.table.get_mut(id) else {
            return;
        };
        let Body::Connection(connection) = &mut slot.body else {
            return;
        };
        let v6 = slot.path.next_hop.is_ipv6();
        let mtu = match mtu {
            // RFC 8201 section 4: "it must discard it".
            mtu if v6 && mtu < MIN_MTU_V6 => return,
            mtu if v6 => mtu,
            0 => icmp::plateau_below(slot.path.mtu),
            mtu => mtu,
        };
        let least = u32::from(self.config.min_pmtu).max(MIN_MTU_V4);
        let mtu = if v6 { mtu } else { mtu.max(least) };
        let may_hold = mtu.saturating_sub(if v6 { 40 + 60 } else { 20 + 60 });
        if slot.path.local || mtu >= slot.path.mtu || !connection.flies_above(seq, may_hold) {
            return;
        }
        slot.path.mtu = mtu;
        connection.set_send_mss(&mut context(now, &mut self.outside), mss(mtu, v6));
        let to = connection.endpoints().remote.ip();
        let to = pmtu::destination(to, slot.path.link);
        let known = self.pmtus.look_up(now, to);
        if known.is_none_or(|known| mtu < known.mtu) {
            self.pmtus.learn(now, to, mtu);
            self.routes.renew();
        }
    }
}
