//! What leaves: replies, then SYN,ACKs of listeners, then connections in turn.
//!
//! First *which* is found, in a loop over small `Copy` values; then that one is built and borrowed. A loop that built
//! and returned at once would not pass the borrow checker (E0499).

use alloc::vec::Vec;
use core::ops::Range;

use woshou_tcp::connection::Plan;
use woshou_tcp::event::Reason;
use woshou_tcp::{Endpoints, Flags, Instant};

use super::input::How;
use super::resolve::Hop;
use super::{MAX_LOOPED, Reply, Stack, context, train};
use crate::config::{LinkId, Medium};
use crate::ip::route::{Link, Path};
use crate::ip::{HEADROOM, route};
use crate::listeners::ListenerId;
use crate::marks::flow_label;
use crate::packet::{PartialChecksum, Transmit};
use crate::segment::{Arrival, CHECKSUM_AT, Outgoing};
use crate::table::{Body, ConnId, Slot};

/// What goes next.
#[derive(Clone, Copy)]
enum Next {
    /// `Stack::frame`, from this octet on.
    Frame(LinkId, usize),
    /// A segment of a connection.
    Segment(ConnId, Plan, Hop),
    /// Several, cut here.
    Train(ConnId, Plan, Hop),
}

/// How much text a connection may put in one packet.
#[derive(Clone, Copy)]
pub(super) struct Budget {
    pub(super) max_text: u32,
    /// Whether a super-segment may come although the device does not cut: then it is cut here.
    may_exceed: bool,
    /// Octets of text in each segment of a train, where one may be.
    train_of: Option<u32>,
    /// Most of them.
    most: u32,
}

impl Budget {
    /// Octets of text that may be planned at once.
    fn longest(&self) -> u32 {
        let train = self.train_of.map(|segment| segment * self.most);
        train.unwrap_or(self.max_text)
    }
}

impl Stack {
    /// The next packet to send; `None`: nothing more for now. Valid until the next call.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit<'_>> {
        if self.has_train() {
            self.counters.packets_out += 1;
            return self.train_segment();
        }
        let next = self.next_output(now)?;
        self.counters.packets_out += 1;
        match next {
            Next::Frame(link, start) => Some(Transmit {
                link,
                headers: self.frame.get(start..)?,
                payload: [&[], &[]],
                checksum: None,
                segment_size: None,
            }),
            Next::Segment(id, plan, hop) => self.build(now, id, plan, hop),
            Next::Train(id, plan, hop) => {
                self.start_train(now, id, plan, hop);
                self.train_segment()
            }
        }
    }

    fn next_output(&mut self, now: Instant) -> Option<Next> {
        loop {
            // Nothing but connections, as nearly always.
            let next = if self.replies.octets == 0 && self.looped.is_empty() {
                match self.listeners.next_ready() {
                    Some(listener) => self.listener_turn(now, listener),
                    None => {
                        let id = self.table.next_ready()?;
                        self.connection_turn(now, id)
                    }
                }
            } else {
                self.reply_turn(now)
            };
            if next.is_some() {
                return next;
            }
        }
    }

    /// What leaves without a connection.
    #[cold]
    fn reply_turn(&mut self, now: Instant) -> Option<Next> {
        if let Some((link, packet)) = self.looped.pop_front() {
            self.looped_octets -= packet.len();
            self.take_back(now, link, &packet);
            None
        } else if let Some((link, frame)) = self.replies.frames.pop_front() {
            self.replies.octets = self.replies.octets.saturating_sub(frame.len());
            self.frame = frame;
            Some(Next::Frame(link, 0))
        } else if let Some(Reply { path, octets }) = self.replies.packets.pop_front() {
            self.replies.octets = self.replies.octets.saturating_sub(octets.len());
            self.send_packet(now, path, octets)
        } else {
            self.replies.octets = 0;
            None
        }
    }

    /// A packet from us to us.
    fn take_back(&mut self, now: Instant, link: LinkId, packet: &[u8]) {
        let arrival = Arrival {
            checksum_valid: true,
            ..Arrival::default()
        };
        let how = How {
            arrival,
            looped: true,
            ..How::default()
        };
        self.handle_ip(now, link, packet.get(HEADROOM..).unwrap_or_default(), how);
    }

    /// A packet of our own making: out, to ourselves, or into the queue of a neighbour that is being asked for.
    fn send_packet(&mut self, now: Instant, path: Path, mut octets: Vec<u8>) -> Option<Next> {
        if path.local {
            self.loop_back(path.link, octets);
            return None;
        }
        let hop = self.hop(now, &path);
        if hop == Hop::Wait {
            let room = octets.len() <= self.room();
            if !(room && self.neighbours.queue(path.link, path.next_hop, octets)) {
                self.counters.dropped_out += 1;
            }
            return None;
        }
        let start = hop.write(path.next_hop.is_ipv6(), &mut octets);
        self.frame = octets;
        Some(Next::Frame(path.link, start))
    }

    /// From us to us.
    fn loop_back(&mut self, link: LinkId, octets: Vec<u8>) {
        if self.looped.len() < MAX_LOOPED && self.may_queue(self.looped_octets, octets.len()) {
            self.looped_octets += octets.len();
            self.looped.push_back((link, octets));
        } else {
            self.counters.dropped_out += 1;
        }
    }

    fn listener_turn(&mut self, now: Instant, id: ListenerId) -> Option<Next> {
        let entry = self.listeners.get_mut(id)?;
        let mut cx = context(now, &mut self.outside);
        let Some((endpoints, transmit)) = entry.listener.poll_transmit(&mut cx) else {
            self.listeners.done(id);
            return None;
        };
        let marks = entry.marks(&self.config, endpoints.remote.is_ipv4());
        let path = self.path_to(&endpoints);
        let outgoing = Outgoing {
            layout: self.config.option_layout,
            flow_label: flow_label(&self.flow_key, &endpoints),
            ..Outgoing::new(endpoints, &transmit, marks)
        };
        let packet = outgoing.packet();
        let Some((path, packet)) = path.zip(packet) else {
            self.counters.dropped_out += 1;
            return None;
        };
        self.send_packet(now, path, packet)
    }

    fn path_to(&self, endpoints: &Endpoints) -> Option<Path> {
        self.routes
            .find(endpoints.remote.ip(), route::scope(&endpoints.remote))
    }

    /// A connection's turn: one packet, then it goes to the back of the queue; or it has nothing more.
    fn connection_turn(&mut self, now: Instant, id: ConnId) -> Option<Next> {
        self.press(id);
        let mut slot = self.table.get(id)?;
        if slot.path.epoch != self.routes.epoch || now >= slot.path.mtu_until {
            self.refresh_path(now, id);
            slot = self.table.get(id)?;
        }
        let path = slot.path;
        let link = self.routes.link(path.link);
        let mut budget = budget(now, slot, link);
        if self.table.has_ready() {
            budget.most = train::QUANTUM;
        }
        let Some((plan, train)) = plan_turn(now, slot, &budget) else {
            self.conclude(now, id, true);
            self.free_when_spent(id);
            return None;
        };
        if path.local || budget.may_exceed {
            self.build_packets(now, id, plan);
            self.table.mark_ready(id);
            return None;
        }
        let bare = link.is_some_and(|link| link.medium == Medium::Ip);
        let hop = if bare {
            Hop::Bare
        } else {
            self.hop(now, &path)
        };
        if hop == Hop::Wait {
            if !self.neighbours.wait(path.link, path.next_hop, id) {
                self.host_unreachable(now, id);
            } else if let Some(slot) = self.table.get_mut(id) {
                slot.held = true;
            }
            return None;
        }
        Some(match train {
            true => Next::Train(id, plan, hop),
            false => Next::Segment(id, plan, hop),
        })
    }

    /// The way may have changed since the last packet, or what is known of it.
    #[cold]
    fn refresh_path(&mut self, now: Instant, id: ConnId) {
        let Some(slot) = self.table.get(id) else {
            return;
        };
        // Another way, never another source: the addresses are the connection's name.
        //= rfc9293 MUST-45
        let endpoints = *slot.body.endpoints();
        let Some(path) = self.path_to(&endpoints) else {
            return;
        };
        let path = self.with_pmtu(now, path, endpoints.remote.ip());
        if let Some(slot) = self.table.get_mut(id) {
            let changed = slot.path.mtu != path.mtu;
            slot.path = path;
            if changed {
                let mut cx = context(now, &mut self.outside);
                slot.body.set_send_mss(&mut cx, path.mss());
            }
        }
    }

    /// How much text the next packet of `id` may hold.
    pub(super) fn budget(&self, now: Instant, id: ConnId) -> Budget {
        let slot = self.table.get(id);
        slot.map_or(NO_TEXT, |slot| {
            budget(now, slot, self.routes.link(slot.path.link))
        })
    }

    /// Builds and borrows one packet of a connection.
    fn build(&mut self, now: Instant, id: ConnId, plan: Plan, hop: Hop) -> Option<Transmit<'_>> {
        if plan.len > 0 {
            self.table.mark_ready(id);
            return self.assemble(now, id, plan, hop).map(|(packet, _)| packet);
        }
        let written = self.assemble(now, id, plan, hop);
        let written = written.map(|(packet, headers)| (packet.link, packet.checksum, headers));
        // No text is borrowed: whether more is to be sent shows at once, which saves a turn.
        self.settle(now, id);
        self.free_when_spent(id);
        let (link, checksum, headers) = written?;
        Some(Transmit {
            link,
            headers: self.stencil.headers().get(headers)?,
            payload: [&[], &[]],
            checksum,
            segment_size: None,
        })
    }

    /// A packet, and where its headers are in the stencil.
    #[inline]
    fn assemble(
        &mut self,
        now: Instant,
        id: ConnId,
        plan: Plan,
        hop: Hop,
    ) -> Option<(Transmit<'_>, Range<usize>)> {
        let slot = self.table.get_mut(id)?;
        let link = self.routes.link(slot.path.link)?;
        let endpoints = *slot.body.endpoints();
        let Slot {
            body,
            marks,
            flow_label,
            ..
        } = slot;
        let transmit = body.build(&mut context(now, &mut self.outside), plan);
        // Who cuts segments sums them too.
        let partial = link.checksum_offload || transmit.segment_size.is_some();
        let outgoing = Outgoing {
            partial,
            layout: self.config.option_layout,
            flow_label: *flow_label,
            ..Outgoing::new(endpoints, &transmit, *marks)
        };
        let (tcp, end) = self.stencil.write(id, &outgoing)?;
        let start = hop.write(endpoints.remote.is_ipv6(), self.stencil.headers_mut());
        let checksum = PartialChecksum {
            start: u16::try_from(tcp - start).ok()?,
            offset: CHECKSUM_AT,
        };
        let packet = Transmit {
            link: link.id,
            headers: self.stencil.headers().get(start..end)?,
            payload: transmit.text,
            checksum: partial.then_some(checksum),
            segment_size: transmit.segment_size,
        };
        Some((packet, start..end))
    }

    /// Builds what `plan` says as packets of their own, cut to segments: to ourselves, and in the rare case where a
    /// plan is longer than a segment on a link that does not cut.
    fn build_packets(&mut self, now: Instant, id: ConnId, plan: Plan) {
        let Some(slot) = self.table.get_mut(id) else {
            return;
        };
        let path = slot.path;
        let endpoints = *slot.body.endpoints();
        let Slot {
            body,
            marks,
            flow_label,
            ..
        } = slot;
        let transmit = body.build(&mut context(now, &mut self.outside), plan);
        let header = Outgoing {
            layout: self.config.option_layout,
            flow_label: *flow_label,
            ..Outgoing::new(endpoints, &transmit, *marks)
        };
        let packets: Vec<_> = cut(&header, &transmit).collect();
        for packet in packets {
            if path.local {
                self.loop_back(path.link, packet);
            } else {
                self.reply(path, packet);
            }
        }
    }
}

/// What a connection sends next, and whether that is a train. Only new text goes as one: what goes again, probes or closes is
/// planned for a segment of its own.
fn plan_turn(now: Instant, slot: &Slot, budget: &Budget) -> Option<(Plan, bool)> {
    let plan = slot.body.plan(now, budget.longest())?;
    let long = budget.train_of.is_some_and(|segment| plan.len > segment);
    if long && plan.reason != Reason::Data {
        let plan = slot.body.plan(now, budget.max_text);
        return plan.map(|plan| (plan, false));
    }
    Some((plan, long))
}

const NO_TEXT: Budget = Budget {
    max_text: 0,
    may_exceed: false,
    train_of: None,
    most: 0,
};

/// How much text the next packet of a connection, which leaves by `link`, may hold.
#[inline]
fn budget(now: Instant, slot: &Slot, link: Option<&Link>) -> Budget {
    let gso_max = match link {
        Some(link) if !slot.path.local => link.gso_max,
        _ => 0,
    };
    if gso_max > 0 {
        // The plan itself rounds down to whole segments.
        let headers = if slot.path.next_hop.is_ipv6() {
            40 + 60
        } else {
            20 + 60
        };
        return Budget {
            max_text: gso_max - headers,
            may_exceed: false,
            train_of: None,
            most: 0,
        };
    }
    let Body::Connection(connection) = &slot.body else {
        return NO_TEXT;
    };
    let max_text = connection.largest_segment(now);
    // SACK blocks take their part of a segment, and a probe of the path is larger than others: then what fills the
    // largest may be one too many for IP.
    let segment = connection.segment_len();
    let may_exceed = connection.carries_blocks() || max_text > segment;
    // Only the first segment may say CWR (RFC 3168 section 6.1.2).
    let alike = !may_exceed && !connection.agreed().ecn && !slot.path.local;
    let cut_here = alike && link.is_some_and(|link| !link.checksum_offload);
    Budget {
        max_text,
        may_exceed,
        train_of: cut_here.then_some(segment),
        most: train::MOST,
    }
}

/// The packets that a device would cut `transmit` into.
fn cut<'a>(
    header: &'a Outgoing<'a>,
    transmit: &'a woshou_tcp::Transmit<'a>,
) -> impl Iterator<Item = Vec<u8>> + 'a {
    let len = transmit.text_len();
    let step = transmit.segment_size.map_or(len, usize::from).max(1);
    let starts = (0..len.max(1)).step_by(step);
    starts.filter_map(move |start| {
        let end = (start + step).min(len);
        let [first, second] = transmit.text;
        let split = first.len();
        let text = [
            first.get(start.min(split)..end.min(split))?,
            second.get(start.saturating_sub(split)..end.saturating_sub(split))?,
        ];
        let mut outgoing = Outgoing { text, ..*header };
        outgoing.header.seq += u32::try_from(start).ok()?;
        if end < len {
            outgoing.header.flags = outgoing.header.flags.without(Flags::PSH | Flags::FIN);
        }
        outgoing.packet()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marks::Marks;
    use alloc::vec;
    use woshou_tcp::{Ecn, Header, SeqNum};
    use woshou_wire::tcp_option::Layout;

    #[test]
    fn cut_as_a_device_cuts() {
        let endpoints = Endpoints {
            local: "10.0.0.1:80".parse().unwrap(),
            remote: "10.0.0.2:4000".parse().unwrap(),
        };
        let flags = Flags::ACK | Flags::PSH | Flags::FIN;
        // Length of the first piece of text, of the second, segment size; octets of text in each packet.
        let cases = [
            (0, 0, None, vec![0]),
            (7, 3, None, vec![10]),
            (7, 3, Some(5), vec![5, 5]),
            (2, 9, Some(5), vec![5, 5, 1]),
            (10, 0, Some(10), vec![10]),
            (0, 11, Some(10), vec![10, 1]),
        ];
        for (first, second, segment_size, expected) in cases {
            let text: Vec<u8> = (0..first + second).collect();
            let (first, second) = text.split_at(usize::from(first));
            let transmit = woshou_tcp::Transmit {
                header: Header {
                    seq: SeqNum(u32::MAX - 3),
                    flags,
                    ..Header::default()
                },
                text: [first, second],
                segment_size,
                ecn: Ecn::NotEct,
                reason: Reason::Data,
            };
            let header = Outgoing {
                layout: Layout::FreeBsd,
                ..Outgoing::new(endpoints, &transmit, Marks::new(64, 0))
            };
            let packets: Vec<_> = cut(&header, &transmit).collect();
            let text_at = HEADROOM + 40;
            let lens: Vec<_> = packets
                .iter()
                .map(|packet| packet.len() - text_at)
                .collect();
            assert_eq!(lens, expected);
            let joined: Vec<u8> = packets.iter().flat_map(|p| p[text_at..].to_vec()).collect();
            assert_eq!(joined, text);
            let mut seq = u32::MAX - 3;
            for (index, packet) in packets.iter().enumerate() {
                let tcp = &packet[HEADROOM + 20..];
                assert_eq!(tcp[4..8], seq.to_be_bytes());
                let last = index + 1 == packets.len();
                assert_eq!(tcp[13], if last { 0x19 } else { 0x10 });
                seq = seq.wrapping_add(u32::try_from(lens[index]).unwrap());
            }
        }
    }
}
