//! A TCP segment arrives: the four-tuple's owner, a listener, or nobody.

use woshou_tcp::connection::Opened;
use woshou_tcp::event::{Reason, TraceEvent};
use woshou_tcp::time_wait::TimeWaitAction;
use woshou_tcp::{
    Connection, Ecn, Endpoints, Flags, Header, Heard, Instant, Pressure, Refusal, Segment, SeqNum,
    Wake,
};

use alloc::boxed::Box;

use super::{Stack, context};
use crate::config::{ClosedPorts, LinkId};
use crate::deferred::{IncomingSyn, Pending};
use crate::ip::Datagram;
use crate::ip::route::socket_address;
use crate::listeners::ListenerId;
use crate::marks::{Marks, flow_label};
use crate::reset;
use crate::segment::{self, Arrival, Outgoing};
use crate::table::{Body, ConnId, Holder, Slot};

/// A segment and where it belongs.
#[derive(Clone, Copy)]
pub(super) struct Incoming<'a> {
    link: LinkId,
    pub(super) endpoints: Endpoints,
    pub(super) segment: Segment<'a>,
    /// TOS or traffic class as it came.
    tos: u8,
}

impl Incoming<'_> {
    /// What is kept of a SYN until the program decides; its text is not (the peer sends it again).
    pub(super) fn pending(&self, listener: ListenerId, after: Option<SeqNum>) -> Pending {
        Pending {
            syn: IncomingSyn {
                listener,
                endpoints: self.endpoints,
                header: self.segment.header,
            },
            link: self.link,
            tos: self.tos,
            after,
        }
    }

    /// That SYN again.
    pub(super) fn of(pending: &Pending) -> Self {
        Self {
            link: pending.link,
            endpoints: pending.syn.endpoints,
            segment: Segment {
                header: pending.syn.header,
                ..Segment::default()
            },
            tos: pending.tos,
        }
    }
}

impl Stack {
    pub(super) fn handle_tcp(
        &mut self,
        now: Instant,
        link: LinkId,
        datagram: &Datagram<'_>,
        arrival: &Arrival<'_>,
    ) {
        let Some(((source_port, destination_port), segment)) = segment::parse(datagram, arrival)
        else {
            self.counters.bad_checksum += 1;
            return;
        };
        if self.config.drop_syn_fin && segment.header.flags.contains(Flags::SYN | Flags::FIN) {
            self.counters.refused += 1;
            return;
        }
        let endpoints = Endpoints {
            local: socket_address(datagram.destination, destination_port, link),
            remote: socket_address(datagram.source, source_port, link),
        };
        let incoming = Incoming {
            link,
            endpoints,
            segment,
            tos: datagram.traffic_class(),
        };
        // Segments of one connection come one after the other.
        if self.table.answers(self.last, &endpoints) {
            self.hand_to_connection(now, self.last, &incoming);
            return;
        }
        let key = self.key(&endpoints);
        match self.owner(&key, &endpoints) {
            //= rfc9293 MUST-41
            Some(index) => {
                self.last = index;
                self.hand_to_connection(now, index, &incoming);
            }
            None => match self.time_waits.find(&key) {
                Some(index) => self.hand_to_time_wait(now, index, &incoming),
                None => self.hand_to_listener(now, &incoming, None),
            },
        }
    }

    fn hand_to_connection(&mut self, now: Instant, index: u32, incoming: &Incoming<'_>) {
        if let Some(id) = self.table.id(index) {
            self.hear(now, id, &incoming.segment, incoming.tos);
        }
    }

    /// A segment for `id`, which came with this TOS or traffic class.
    pub(super) fn hear(&mut self, now: Instant, id: ConnId, segment: &Segment<'_>, tos: u8) {
        self.press(id);
        let Some(slot) = self.table.get_mut(id) else {
            return;
        };
        //= rfc9293 MAY-9
        slot.received_tos = Some(tos);
        let mut cx = context(now, &mut self.outside);
        let mut wake = Wake::NONE;
        let result = match &mut slot.body {
            Body::Connection(connection) => {
                let before = connection.acknowledged();
                let result = connection.handle_segment(&mut cx, segment);
                self.counters.acknowledged += connection.acknowledged() - before;
                result
            }
            Body::Opening(opening) => match opening.handle_segment(&mut cx, segment) {
                Ok(Opened::Connection(mut connection)) => {
                    wake = opening.poll_event();
                    if let Some(nodelay) = slot.nodelay {
                        connection.set_nodelay(nodelay);
                    }
                    slot.body = Body::Connection(connection);
                    Ok(())
                }
                Ok(_) => Ok(()),
                Err(refusal) => Err(refusal),
            },
        };
        let searches = matches!(&slot.body, Body::Connection(c) if c.found_mss().is_some());
        self.count_refusal(result);
        if !wake.is_empty() {
            self.table.wake(id, wake);
        }
        self.settle(now, id);
        if searches {
            self.remember_search(now, id);
        }
    }

    fn count_refusal(&mut self, result: Result<(), Refusal>) {
        let Err(refusal) = result else { return };
        self.counters.refused += u64::from(refusal != Refusal::ValidReset);
        match refusal {
            Refusal::BacklogFull => self.counters.backlog_overflows += 1,
            Refusal::AcceptQueueFull => self.counters.accept_overflows += 1,
            _ => {}
        }
    }

    fn hand_to_time_wait(&mut self, now: Instant, index: u32, incoming: &Incoming<'_>) {
        let Some(entry) = self.time_waits.get_mut(index) else {
            return;
        };
        let mut cx = context(now, &mut self.outside);
        let (marks, expired_at) = (entry.marks, entry.time_wait.expires_at());
        let action =
            entry
                .time_wait
                .handle_segment(&mut cx, &incoming.endpoints, &incoming.segment);
        if entry.time_wait.expires_at() != expired_at {
            self.time_waits.rearm(index);
        }
        match action {
            TimeWaitAction::Ignore => {}
            TimeWaitAction::Acknowledge(header) => {
                self.send_header(incoming, header, marks);
            }
            TimeWaitAction::Delete => {
                self.expire_time_wait(now, index);
                self.hand_to_listener(now, incoming, None);
            }
            TimeWaitAction::Reopen(after) => {
                self.forget_time_wait(now, index);
                self.hand_to_listener(now, incoming, Some(after));
            }
        }
    }

    /// Nobody has the four-tuple: a half-open connection, a listener, or nobody at all. An initial sequence number of
    /// ours has to lie `after` those of the connection before, where there was one.
    fn hand_to_listener(&mut self, now: Instant, incoming: &Incoming<'_>, after: Option<SeqNum>) {
        let endpoints = &incoming.endpoints;
        if let Some(id) = self.listeners.half_open(endpoints) {
            self.hand_to_half_open(now, id, incoming);
            return;
        }
        // A wildcard stands for all addresses of ours, and no other.
        let ours = self.is_local(endpoints.local);
        let known = self.listeners.candidates(endpoints.local);
        let known = known.into_iter().filter(|_| ours);
        let any = self.listeners.any(endpoints.local.port());
        if let Some(id) = known.chain(any).flatten().next() {
            self.hand_to_listening(now, id, incoming, after);
        } else {
            let mut cx = context(now, &mut self.outside);
            cx.trace(endpoints, || TraceEvent::Received {
                header: incoming.segment.header,
                len: u32::try_from(incoming.segment.text.octets.len()).unwrap_or(u32::MAX),
            });
            let silent = match self.config.closed_ports {
                ClosedPorts::Reset => false,
                ClosedPorts::SilentToSyn => incoming.segment.header.flags.syn(),
                ClosedPorts::Silent => true,
            };
            if !silent {
                self.send_reset(now, incoming);
            }
        }
    }

    fn hand_to_listening(
        &mut self,
        now: Instant,
        id: ListenerId,
        incoming: &Incoming<'_>,
        after: Option<SeqNum>,
    ) {
        if !self.defer(now, id, incoming, after) {
            self.open_half(now, id, incoming, after);
        }
    }

    /// The listener hears the segment. `false`: it came to nothing.
    pub(super) fn open_half(
        &mut self,
        now: Instant,
        id: ListenerId,
        incoming: &Incoming<'_>,
        after: Option<SeqNum>,
    ) -> bool {
        if self.is_too_much_to_open(now, id, incoming.segment.header.flags) {
            self.count_refusal(Err(Refusal::NoMemory));
            return false;
        }
        let remote = incoming.endpoints.remote.ip();
        let Some(path) = self.way_back(remote, incoming.link) else {
            return false;
        };
        let path = self.with_pmtu(now, path, remote);
        let mut setup = self.setup(now, incoming.endpoints, &path);
        if let Some(after) = after
            && !setup.iss.after(after)
        {
            setup.iss = after + 1;
        }
        let Some(entry) = self.listeners.get_mut(id) else {
            return false;
        };
        let mut cx = context(now, &mut self.outside);
        let result = entry
            .listener
            .handle_syn(&mut cx, &setup, &incoming.segment);
        let sends_cookies = entry.listener.sends_cookies(now);
        self.listeners.settle(id);
        self.mind_memory(now);
        let heard = result.is_ok();
        match result {
            Ok(Heard::Nothing | Heard::HalfOpen) => {}
            Ok(Heard::Cookie) => self.counters.syn_cookies_sent += 1,
            Ok(Heard::Connection(connection)) => {
                self.counters.syn_cookies_received += 1;
                self.establish(now, id, connection, incoming);
            }
            Err(refusal) => {
                self.count_refusal(Err(refusal));
                if refusal == Refusal::AckToListener {
                    self.counters.syn_cookies_failed += u64::from(sends_cookies);
                    self.send_reset(now, incoming);
                }
            }
        }
        heard
    }

    fn hand_to_half_open(&mut self, now: Instant, id: ListenerId, incoming: &Incoming<'_>) {
        // The peer's text, or our SYN,ACK sent again, tries another time.
        if !incoming.segment.header.flags.rst() && !self.has_room_to_open(now, Pressure::Critical) {
            self.count_refusal(Err(Refusal::NoMemory));
            return;
        }
        let Some(entry) = self.listeners.get_mut(id) else {
            return;
        };
        let mut cx = context(now, &mut self.outside);
        let result = entry
            .listener
            .handle_segment(&mut cx, &incoming.endpoints, &incoming.segment);
        self.listeners.settle(id);
        match result {
            Ok(Some(connection)) => self.establish(now, id, connection, incoming),
            Ok(None) => {}
            Err(refusal) => {
                self.count_refusal(Err(refusal));
                if matches!(refusal, Refusal::ValidReset | Refusal::BlindSyn) {
                    self.cancel_incoming(&incoming.endpoints);
                }
            }
        }
    }

    /// A handshake is over: the connection waits in its listener's accept queue.
    fn establish(
        &mut self,
        now: Instant,
        listener: ListenerId,
        mut connection: Box<Connection>,
        incoming: &Incoming<'_>,
    ) {
        let remote = incoming.endpoints.remote.ip();
        let Some(path) = self.way_back(remote, incoming.link) else {
            return;
        };
        let path = self.with_pmtu(now, path, remote);
        if connection.path_mss() != path.mss() {
            // A router spoke since the SYN.
            connection.set_send_mss(&mut context(now, &mut self.outside), path.mss());
        }
        if let Some(known) = self.deferred.find(&incoming.endpoints) {
            self.deferred.remove(known);
        }
        let body = Body::Connection(connection);
        let entry = self.listeners.get(listener);
        let marks = entry.map_or_else(
            || self.usual_marks(),
            |entry| entry.marks(&self.config, remote.is_ipv4()),
        );
        let id = self
            .table
            .insert(body, path, marks, Holder::Queue(listener));
        self.label(id, &incoming.endpoints);
        if let Some(slot) = self.table.get_mut(id) {
            slot.received_tos = Some(incoming.tos);
        }
        self.demux
            .insert(self.key(&incoming.endpoints).hash, id.index);
        self.settle(now, id);
        self.listeners.enqueue(listener, id);
    }

    pub(super) fn send_reset(&mut self, now: Instant, incoming: &Incoming<'_>) {
        let Some(header) = reset::answer(&incoming.segment) else {
            return;
        };
        if !self.errors.take(now) {
            return;
        }
        self.counters.resets_sent += 1;
        context(now, &mut self.outside).trace(&incoming.endpoints, || TraceEvent::Sent {
            header,
            len: 0,
            segment_size: None,
            reason: Reason::NoConnection,
        });
        self.send_header(incoming, header, self.usual_marks());
    }

    /// Answers `incoming` with a bare header.
    fn send_header(&mut self, incoming: &Incoming<'_>, header: Header, marks: Marks) {
        let endpoints = incoming.endpoints;
        let text: [&[u8]; 2] = [&[], &[]];
        let outgoing = Outgoing {
            endpoints,
            header,
            text,
            ecn: Ecn::NotEct,
            marks,
            flow_label: flow_label(&self.flow_key, &endpoints),
            partial: false,
            layout: self.config.option_layout,
        };
        let path = self.way_back(endpoints.remote.ip(), incoming.link);
        match path.zip(outgoing.packet()) {
            Some((path, packet)) => self.reply(path, packet),
            None => self.counters.dropped_out += 1,
        }
    }

    /// Removes a slot that is over, with nobody to ask for it and nothing owed.
    pub(super) fn free_when_spent(&mut self, id: ConnId) {
        if self.table.get(id).is_some_and(Slot::is_spent) {
            self.table.remove(id);
        }
    }
}
