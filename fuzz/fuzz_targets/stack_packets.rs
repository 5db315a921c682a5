//! One stack against any packet: raw ones, and answers to what it sent with fields, fragments and headers of the input's choice.
#![no_main]

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use woshou_fuzz::{Input, set_ecn, tcp_config};
use woshou_stack::{
    Cidr, Config, ConnId, Decision, Event, IncomingId, LinkConfig, LinkId, ListenerId, Medium,
    Packet, Stack,
};
use woshou_tcp::config::KeepAlive;
use woshou_tcp::{Instant, State};
use woshou_wire::checksum::{Sum, pseudo_header};
use woshou_wire::ipv4::Ipv4Packet;
use woshou_wire::ipv6::Ipv6Packet;
use woshou_wire::tcp::{TcpSegment, verify};
use woshou_wire::{ip_protocol, ip_version};

const MOST: usize = 20_000;
/// The most where memory is to run short.
const MUCH: usize = 400_000;
/// Of memory: the least there is.
const BUDGET: usize = 1 << 20;
const STEPS: usize = 1_000;
const MTU: usize = 1500;
const LINK: LinkId = LinkId(0);
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const PEER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const ETHERNET_HEADER: usize = 14;
/// Packets of the stack's that answers are made from.
const REMEMBERED: usize = 16;

struct Target<'a> {
    input: Input<'a>,
    now: Instant,
    stack: Stack,
    ethernet: bool,
    /// One at a port; one that takes every address and port.
    listeners: Vec<ListenerId>,
    incoming: Vec<IncomingId>,
    connections: Vec<ConnId>,
    /// IP packets that it sent last.
    sent: Vec<Vec<u8>>,
    written: usize,
}

fuzz_target!(|octets: &[u8]| {
    let mut target = Target::new(Input::new(octets));
    target.drain();
    for _ in 0..STEPS {
        if target.input.is_over() {
            break;
        }
        target.act();
        target.drain();
    }
    target.all_ends();
});

fn ours(v6: bool) -> IpAddr {
    let address = if v6 { "fd00::1" } else { "10.0.0.1" };
    address.parse().expect("an address")
}

fn peer(v6: bool) -> IpAddr {
    let address = if v6 { "fd00::2" } else { "10.0.0.2" };
    address.parse().expect("an address")
}

fn octets_of(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// `payload` behind an IP header, from the peer to us.
fn in_ip(v6: bool, protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let len = payload.len().min(60_000);
    let mut packet = if v6 {
        let mut header = vec![0x60, 0, 0, 0, 0, 0, protocol, 64];
        header[4..6].copy_from_slice(&(len as u16).to_be_bytes());
        header
    } else {
        let mut header = vec![0x45, 0, 0, 0, 0, 7, 0, 0, 64, protocol, 0, 0];
        header[2..4].copy_from_slice(&(len as u16 + 20).to_be_bytes());
        header[6..8].copy_from_slice(&fragment.to_be_bytes());
        header
    };
    packet.extend(octets_of(peer(v6)));
    packet.extend(octets_of(ours(v6)));
    if !v6 {
        let checksum = Sum::ZERO.with(&packet).checksum();
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
    packet.extend_from_slice(&payload[..len]);
    packet
}

/// Puts the checksum of `segment`, which is `protocol`'s, right.
fn finish(v6: bool, protocol: u8, segment: &mut [u8]) {
    let at = if protocol == ip_protocol::TCP { 16 } else { 2 };
    if segment.len() < at + 2 {
        return;
    }
    segment[at..at + 2].fill(0);
    let start = if protocol == ip_protocol::ICMPV4 {
        Sum::ZERO
    } else {
        pseudo_header(peer(v6), ours(v6), protocol, segment.len() as u32)
    };
    let checksum = start.with(segment).checksum();
    segment[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
}

/// The TCP part of a packet that the stack sent, and whether that was IPv6.
fn tcp_of(packet: &[u8]) -> Option<(bool, TcpSegment<'_>)> {
    if ip_version(packet)? == 4 {
        let packet = Ipv4Packet::parse(packet).ok()?;
        let is_tcp = packet.header.protocol == ip_protocol::TCP;
        let segment = TcpSegment::parse(packet.payload).ok()?;
        is_tcp.then_some((false, segment))
    } else {
        let packet = Ipv6Packet::parse(packet).ok()?;
        let is_tcp = packet.upper.protocol == ip_protocol::TCP;
        let segment = TcpSegment::parse(packet.upper.payload).ok()?;
        is_tcp.then_some((true, segment))
    }
}

/// What leaves is sound.
fn check(packet: &[u8]) {
    assert!(packet.len() <= MTU);
    let (source, destination, protocol, payload) = match ip_version(packet) {
        Some(4) => {
            let packet = Ipv4Packet::parse(packet).expect("our own");
            let header = packet.header;
            let (from, to) = (header.source.into(), header.destination.into());
            (from, to, header.protocol, packet.payload)
        }
        _ => {
            let packet = Ipv6Packet::parse(packet).expect("our own");
            let (from, to) = (packet.header.source, packet.header.destination);
            (
                IpAddr::from(from),
                IpAddr::from(to),
                packet.upper.protocol,
                packet.upper.payload,
            )
        }
    };
    if protocol == ip_protocol::TCP {
        let pseudo = pseudo_header(source, destination, protocol, payload.len() as u32);
        assert!(verify(pseudo, payload), "our own checksum");
    }
}

impl<'a> Target<'a> {
    fn new(mut input: Input<'a>) -> Self {
        let ethernet = input.octet() % 2 == 1;
        let most = input.pick(&[MOST, MUCH]);
        let mut tcp = tcp_config(&mut input, most);
        tcp.min_send_mss = input.pick(&[88, 40, 536]);
        let config = Config {
            tcp: Arc::new(tcp),
            time_wait_entries: 8,
            memory: BUDGET,
            orphans: 6,
            ..Config::default()
        };
        let mut stack = Stack::new(Arc::new(config), [7; 32]);
        let cidr = |v6, prefix| Cidr {
            address: ours(v6),
            prefix,
        };
        stack.add_link(LinkConfig {
            medium: if ethernet {
                Medium::Ethernet { mac: MAC }
            } else {
                Medium::Ip
            },
            mtu: MTU,
            addresses: vec![cidr(false, 24), cidr(true, 64)],
            checksum_offload: false,
            gso_max: 0,
        });
        let at = "[::]:80".parse().expect("an address");
        let listener = stack.listen(at, 4).expect("the port is free");
        stack.set_deferred(listener, input.octet() % 4 == 3);
        let mut listeners = vec![listener];
        if input.octet() % 4 == 3 {
            stack.set_any_ip(LINK, true);
            let any = stack.listen_any(None, 20).expect("the first");
            stack.set_deferred(any, input.octet() % 4 == 3);
            listeners.push(any);
        }
        let mut target = Self {
            input,
            now: Instant::from_millis(1_000),
            stack,
            ethernet,
            listeners,
            incoming: Vec::new(),
            connections: Vec::new(),
            sent: Vec::new(),
            written: 0,
        };
        for v6 in [false, true] {
            target.connect(v6);
        }
        target
    }

    fn connect(&mut self, v6: bool) {
        if self.connections.len() < 24 {
            let to = SocketAddr::new(peer(v6), 443);
            self.connections
                .extend(self.stack.connect(self.now, to, None));
        }
    }

    /// Hands in an IP packet, in a frame where the link wants one.
    fn ip(&mut self, packet: &[u8]) {
        let mut packet = packet.to_vec();
        if self.input.chance(20) {
            set_ecn(&mut packet, self.input.octet());
        }
        if self.input.chance(5) && packet.len() >= 40 {
            // For somebody else, who may be ours with any-IP: pseudo-header and header sum stay right when two words swap.
            let end = if ip_version(&packet) == Some(6) {
                40
            } else {
                20
            };
            packet.swap(end - 1, end - 3);
            packet.swap(end - 2, end - 4);
        }
        let packet = &packet[..];
        if self.ethernet {
            let kind: [u8; 2] = if ip_version(packet) == Some(6) {
                [0x86, 0xdd]
            } else {
                [8, 0]
            };
            self.hand([&MAC[..], &PEER_MAC, &kind, packet].concat());
        } else {
            self.hand(packet.to_vec());
        }
    }

    fn hand(&mut self, octets: Vec<u8>) {
        let packet = Packet {
            octets: &octets,
            owner: None,
            checksum_valid: self.input.chance(5),
            segment_size: self.input.chance(5).then(|| self.input.short()),
        };
        self.stack.handle_packet(self.now, LINK, packet);
    }

    /// A TCP segment: near an answer to one that it sent, or from nowhere.
    fn segment(&mut self) -> (bool, Vec<u8>) {
        let (mut v6, mut ports) = (self.input.octet() % 2 == 1, [40_000, 80]);
        let (mut seq, mut ack, mut flags) = (0xffff_ff00, 0, 2);
        let choice = self.input.octet() as usize;
        if choice < 240 && !self.sent.is_empty() {
            // The latest more often than the others.
            let back = if choice < 160 { 0 } else { choice };
            let at = self.sent.len() - 1 - back % self.sent.len();
            if let Some((six, segment)) = tcp_of(&self.sent[at]) {
                let header = segment.header;
                v6 = six;
                ports = [header.destination_port, header.source_port];
                let control = u32::from(header.flags & 1) + u32::from(header.flags >> 1 & 1);
                ack = (header.sequence.wrapping_add(control))
                    .wrapping_add(segment.payload.len() as u32);
                flags = if header.flags & 0x12 == 2 { 0x12 } else { 0x10 };
                if flags == 0x10 {
                    seq = header.acknowledgement;
                }
            }
        } else {
            ports[0] = 40_000 + u16::from(self.input.octet());
        }
        match self.input.below(16) {
            0 => seq = seq.wrapping_add(self.input.long()),
            1 => ack = ack.wrapping_add(self.input.long()),
            2 => seq = seq.wrapping_add(u32::from(self.input.octet())),
            3 => ack = ack.wrapping_sub(u32::from(self.input.octet())),
            4 => flags = self.input.octet(),
            5 => flags |= 1,
            _ => {}
        }
        let options = usize::from(self.input.octet()) % 11;
        let options = if options > 5 { 0 } else { options * 4 };
        let mut octets = Vec::new();
        octets.extend(ports[0].to_be_bytes());
        octets.extend(ports[1].to_be_bytes());
        octets.extend(seq.to_be_bytes());
        octets.extend(ack.to_be_bytes());
        octets.extend([(5 + options as u8 / 4) << 4, flags]);
        let window: u16 = self.input.pick(&[5_000, 65_535, 0, 1]);
        octets.extend(window.to_be_bytes());
        octets.extend([0; 4]);
        let given = self.input.take(options);
        octets.extend(given);
        octets.resize(20 + options, 0);
        if self.input.chance(10) {
            octets[13] |= 0x20;
            octets[19] = self.input.octet();
        }
        let text = self.input.pick(&[0, 0, 0, 1, 100, 1400, 3_000, 50_000]);
        octets.resize(octets.len() + text, 7);
        finish(v6, ip_protocol::TCP, &mut octets);
        (v6, octets)
    }

    /// An ICMP message: any, an echo, or an error that quotes a packet of the stack's.
    fn icmp(&mut self) -> (bool, Vec<u8>) {
        let kind = self.input.octet();
        let code = self.input.octet() % 16;
        let mut message = vec![kind, code, 0, 0];
        message.extend(self.input.long().to_be_bytes());
        let mut v6 = self.input.octet() % 2 == 1;
        if self.input.octet() % 4 < 3 && !self.sent.is_empty() {
            let at = self.input.below(self.sent.len());
            let quoted = &self.sent[at];
            v6 = ip_version(quoted) == Some(6);
            message[0] = if v6 {
                1 + kind % 4
            } else {
                [3, 3, 4, 11, 12][usize::from(kind) % 5]
            };
            // A next-hop MTU that could be one.
            message[4..6].fill(0);
            let len = self.input.pick(&[1_232, 48, 28, 27, 60]).min(quoted.len());
            message.extend_from_slice(&quoted[..len]);
            if self.input.chance(20) {
                let at = self.input.below(message.len());
                message[at] = self.input.octet();
            }
        } else {
            let len = usize::from(self.input.octet());
            message.extend_from_slice(self.input.take(len));
        }
        finish(v6, icmp_of(v6), &mut message);
        (v6, message)
    }

    fn upper(&mut self) -> (bool, u8, Vec<u8>) {
        if self.input.octet() % 4 == 3 {
            let (v6, message) = self.icmp();
            (v6, icmp_of(v6), message)
        } else {
            let (v6, segment) = self.segment();
            (v6, ip_protocol::TCP, segment)
        }
    }

    /// The packet in fragments: in any order, some missing, some over each other.
    fn fragments(&mut self) {
        let (v6, protocol, payload) = self.upper();
        let size = self.input.pick(&[8, 16, 512, 1_400]);
        let count = payload.len().div_ceil(size).min(200);
        let step = self.input.pick(&[1, count.max(1) - 1, 3]).max(1);
        for i in 0..count {
            let at = i * step % count;
            if self.input.octet() % 16 == 15 {
                continue;
            }
            let shift = usize::from(self.input.chance(5)) * 8;
            let start = at * size;
            let end = payload.len().min(start + size);
            let offset = (start + shift) as u16;
            let more = u16::from(end < payload.len());
            let packet = if v6 {
                let mut piece = vec![protocol, 0];
                piece.extend((offset | more).to_be_bytes());
                piece.extend([0, 0, 0, 9]);
                piece.extend_from_slice(&payload[start..end]);
                in_ip(true, 44, 0, &piece)
            } else {
                let field = (offset / 8) | (more << 13);
                in_ip(false, protocol, field, &payload[start..end])
            };
            self.ip(&packet);
        }
    }

    /// An IPv6 packet with extension headers before what it carries.
    fn extended(&mut self) {
        let (_, protocol, payload) = self.upper();
        let mut octets = payload;
        let mut next = protocol;
        for _ in 0..self.input.below(12) {
            let len = self.input.octet() % 3;
            let mut header = vec![next, len];
            header.extend_from_slice(self.input.take(6 + 8 * usize::from(len)));
            header.resize(8 + 8 * usize::from(len), 0);
            header.extend(octets);
            octets = header;
            next = self.input.pick(&[60, 0, 43, 44, 51, 135]);
        }
        let packet = in_ip(true, next, 0, &octets);
        self.ip(&packet);
    }

    /// ARP, with fields of the input's choice.
    fn arp(&mut self) {
        let mut packet = vec![0, 1, 8, 0, 6, 4, 0, 1 + self.input.octet() % 2];
        packet.extend(PEER_MAC);
        packet.extend([10, 0, 0, 2]);
        packet.extend(MAC);
        packet.extend([10, 0, 0, 1]);
        if self.input.octet() % 4 == 3 {
            let at = self.input.below(packet.len());
            packet[at] = self.input.octet();
        }
        self.hand([&MAC[..], &PEER_MAC, &[8, 6], &packet].concat());
    }

    /// A neighbour advertisement, so that IPv6 gets anywhere on Ethernet.
    fn advertisement(&mut self) {
        let mut message = vec![136, 0, 0, 0, 0x60, 0, 0, 0];
        message.extend(octets_of(peer(true)));
        message.extend([2, 1]);
        message.extend(PEER_MAC);
        finish(true, ip_protocol::ICMPV6, &mut message);
        let mut packet = in_ip(true, ip_protocol::ICMPV6, 0, &message);
        packet[7] = 255;
        self.ip(&packet);
    }

    fn act(&mut self) {
        match self.input.octet() % 32 {
            0..3 => {
                let len = usize::from(self.input.octet());
                let octets = self.input.take(len).to_vec();
                self.hand(octets);
            }
            3..14 => {
                let (v6, protocol, payload) = self.upper();
                let packet = in_ip(v6, protocol, 0, &payload);
                self.ip(&packet);
            }
            14 => {
                let (v6, protocol, payload) = self.upper();
                let mut packet = in_ip(v6, protocol, 0, &payload);
                for _ in 0..1 + self.input.octet() % 4 {
                    let at = self.input.below(packet.len().min(80));
                    packet[at] = self.input.octet();
                }
                self.ip(&packet);
            }
            15 => self.fragments(),
            16..18 => self.extended(),
            18 if self.ethernet => self.arp(),
            19 if self.ethernet => self.advertisement(),
            20..22 => self.now += Duration::from_millis(u64::from(self.input.octet())),
            22 => self.now += Duration::from_secs(u64::from(self.input.octet())),
            23 => self.now = self.stack.poll_timeout().unwrap_or(self.now).max(self.now),
            24 => {
                let v6 = self.input.octet() % 2 == 1;
                self.connect(v6);
            }
            _ => self.user(),
        }
        self.stack.handle_timeout(self.now);
        let next = self.stack.poll_timeout();
        assert!(next.is_none_or(|at| at > self.now), "spins");
    }

    fn user(&mut self) {
        for &listener in &self.listeners {
            self.connections.extend(self.stack.accept(listener));
        }
        if !self.incoming.is_empty() && self.input.octet() % 4 < 3 {
            self.decide();
        }
        if self.connections.is_empty() {
            return;
        }
        let at = self.input.below(self.connections.len());
        let id = self.connections[at];
        match self.input.octet() % 24 {
            0..6 => {
                let text = vec![9; self.input.pick(&[1, 100, MOST, MUCH])];
                self.written += self.stack.write(self.now, id, &text).unwrap_or(0);
            }
            6..10 => {
                let _ = self.stack.read(self.now, id, &mut [0; 5_000]);
            }
            10 => self.stack.shutdown(self.now, id),
            11 if self.input.octet() % 4 == 1 => self.stack.abort(self.now, id),
            12 if self.input.octet() % 4 == 1 => {
                self.stack.close(self.now, id);
                assert_eq!(self.stack.state(id), State::Closed);
                self.connections.swap_remove(at);
            }
            13 => self.stack.limit_send_mss(self.now, id, self.input.short()),
            14 => {
                let text = vec![9; self.input.pick(&[1, 100, MOST])];
                self.written += self.stack.write_urgent(self.now, id, &text).unwrap_or(0);
            }
            15 => self.stack.push(self.now, id),
            16 => self.written -= self.stack.flush(self.now, id).min(self.written),
            17 => self.stack.acknowledge_now(self.now, id),
            18 => self.stack.set_tos(id, self.input.octet()),
            19 => self.choose(id),
            _ => {}
        }
    }

    /// What a user may set.
    fn choose(&mut self, id: ConnId) {
        let now = self.now;
        match self.input.below(7) {
            0 => {
                let keep_alive = self.input.chance(50).then(KeepAlive::default);
                self.stack.set_keep_alive(now, id, keep_alive);
            }
            1 => {
                let after = self.input.pick(&[Some(1), Some(0), Some(100), None]);
                let after = after.map(Duration::from_secs);
                self.stack.set_user_timeout(now, id, after);
            }
            2 => {
                let on = self.input.octet().is_multiple_of(2);
                self.stack.set_error_reports(now, id, on);
            }
            3 => {
                let octets = self.input.pick(&[None, Some(0), Some(1), Some(5_000)]);
                self.stack.set_not_sent_low(now, id, octets);
            }
            4 => {
                let corked = self.input.octet().is_multiple_of(2);
                self.stack.set_cork(now, id, corked);
            }
            5 => self
                .stack
                .tune(now, id, |config| config.mtu_probing = !config.mtu_probing),
            _ => self.stack.refuse_text_after_close(id),
        }
    }

    fn decide(&mut self) {
        let at = self.input.below(self.incoming.len());
        let id = self.incoming.swap_remove(at);
        let decisions = [Decision::Accept, Decision::Refuse, Decision::Ignore];
        let decision = self.input.pick(&decisions);
        let waits = self.stack.incoming(id);
        assert_eq!(self.stack.decide(self.now, id, decision), waits.is_some());
        assert_eq!(self.stack.incoming(id), None);
        if let Some(syn) = waits.filter(|_| self.input.octet().is_multiple_of(2)) {
            let accepted = self.stack.accept_incoming(syn.listener, &syn.endpoints);
            self.connections.extend(accepted);
        }
    }

    /// Everything owed leaves, it is sound, and it is not much.
    fn drain(&mut self) {
        let most = 400 + self.written / 20;
        for count in 0.. {
            assert!(count <= most, "more than {most} packets at once");
            let Some(sent) = self.stack.poll_transmit(self.now) else {
                break;
            };
            let mut octets = [sent.headers, sent.payload[0], sent.payload[1]].concat();
            if self.ethernet {
                let is_ip = octets[12..14] != [8, 6];
                octets.drain(..ETHERNET_HEADER);
                if !is_ip {
                    continue;
                }
            }
            check(&octets);
            if self.sent.len() >= REMEMBERED {
                self.sent.remove(0);
            }
            self.sent.push(octets);
        }
        while let Some(event) = self.stack.poll_event() {
            match event {
                Event::Acceptable(id) => assert!(self.listeners.contains(&id)),
                Event::Incoming(id) => self.incoming.push(id),
                Event::Cancelled(id) => self.incoming.retain(|&other| other != id),
                Event::Connection(..) => {}
            }
        }
        let memory = self.stack.memory();
        assert!(memory.now <= BUDGET, "{memory:?}");
        self.check_connections();
    }

    fn check_connections(&self) {
        let all = self.stack.connections();
        // Ours, those in the accept queue, those let go, half-open ones, TIME-WAIT.
        for (i, (endpoints, state)) in all.iter().enumerate() {
            assert!(!matches!(state, State::Closed | State::Listen), "{state:?}");
            let again = all[..i].iter().any(|(other, _)| other == endpoints);
            assert!(!again, "{endpoints:?} twice");
        }
        for &id in &self.connections {
            let state = self.stack.state(id);
            let endpoints = self.stack.endpoints(id).expect("it is ours");
            let listed = all.contains(&(endpoints, state));
            assert!(listed || state == State::Closed, "{state:?} is not listed");
            assert!(state != State::Closed || self.stack.ended(id).is_some());
        }
    }

    /// Once everybody has let go and time passes, nothing is left.
    fn all_ends(&mut self) {
        for listener in std::mem::take(&mut self.listeners) {
            self.stack.close_listener(self.now, listener);
        }
        for id in std::mem::take(&mut self.connections) {
            self.stack.close(self.now, id);
        }
        self.drain();
        for step in 0.. {
            assert!(step < 2_000, "it goes on for ever");
            let Some(next) = self.stack.poll_timeout() else {
                break;
            };
            self.now = self.now.max(next);
            self.stack.handle_timeout(self.now);
            self.drain();
        }
        let left = self.stack.connections();
        assert!(left.is_empty(), "{left:?}");
        let memory = self.stack.memory();
        assert!(memory.now < BUDGET / 4, "{memory:?}");
    }
}

const fn icmp_of(v6: bool) -> u8 {
    if v6 {
        ip_protocol::ICMPV6
    } else {
        ip_protocol::ICMPV4
    }
}
