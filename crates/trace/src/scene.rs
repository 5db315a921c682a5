//! Hand-made timelines for the tests.

use std::net::{IpAddr, SocketAddr};

use woshou_tcp::event::Timer;
use woshou_tcp::{Endpoints, Event, Flags, Header, Instant, Reason, SeqNum, State, TraceEvent};
use woshou_wire::checksum::pseudo_header;
use woshou_wire::ip_protocol::TCP;
use woshou_wire::ipv4::Ipv4Header;
use woshou_wire::ipv6::Ipv6Header;
use woshou_wire::tcp::{TcpHeader, set_checksum, tcp_checksum};
use woshou_wire::tcp_option::{Layout, TcpOptions, Timestamps};

use crate::timeline::{Fate, HostId, PacketId, Timeline};

pub(crate) const SYN: Flags = Flags::SYN;
pub(crate) const ACK: Flags = Flags::ACK;
pub(crate) const X: u32 = 3_626_544_836;
pub(crate) const Y: u32 = 1_739_326_486;

/// Two hosts and a wire. Times are in microseconds; side 0 is the client.
pub(crate) struct Scene {
    pub(crate) t: Timeline,
    pub(crate) ends: [SocketAddr; 2],
    /// Whether the wire is watched.
    pub(crate) wire: bool,
    state: [State; 2],
    packets: u64,
}

pub(crate) fn micros(at: u64) -> Instant {
    Instant::from_micros(at)
}

/// A header without options; `win` 65535.
pub(crate) fn header(flags: Flags, seq: u32, ack: u32) -> Header {
    Header {
        seq: SeqNum(seq),
        ack: SeqNum(ack),
        flags,
        window: 65535,
        ..Header::default()
    }
}

/// What both sides of the examples offer.
pub(crate) fn offer() -> TcpOptions {
    TcpOptions {
        mss: Some(1460),
        window_scale: Some(7),
        sack_permitted: true,
        timestamps: Some(Timestamps { value: 1, echo: 0 }),
        ..TcpOptions::default()
    }
}

impl Scene {
    pub(crate) fn new(client: &str, server: &str) -> Self {
        let ends: [SocketAddr; 2] = [client.parse().unwrap(), server.parse().unwrap()];
        let mut t = Timeline::new();
        t.host("client", &[ends[0].ip()]);
        t.host("server", &[ends[1].ip()]);
        Self {
            t,
            ends,
            wire: true,
            state: [State::Closed, State::Listen],
            packets: 0,
        }
    }

    pub(crate) fn who(&self, side: usize) -> Endpoints {
        Endpoints {
            local: self.ends[side],
            remote: self.ends[1 - side],
        }
    }

    pub(crate) fn tcp(&mut self, at: u64, side: usize, event: TraceEvent) {
        let host = HostId(u16::try_from(side).unwrap());
        self.t.tcp(micros(at), host, &self.who(side), event);
    }

    /// Moves `side` by the table of Figure 5.
    pub(crate) fn on(&mut self, at: u64, side: usize, event: Event) {
        let from = self.state[side];
        let to = from.on(event).unwrap();
        self.state[side] = to;
        self.tcp(at, side, TraceEvent::StateChanged { from, to, event });
    }

    pub(crate) fn timer(&mut self, at: u64, side: usize, timer: Timer) {
        self.tcp(at, side, TraceEvent::TimerFired { timer });
    }

    /// TCP sends, and the packet leaves.
    #[expect(
        clippy::too_many_arguments,
        reason = "a scene reads as one line a segment"
    )]
    pub(crate) fn send(
        &mut self,
        at: u64,
        side: usize,
        header: Header,
        len: u32,
        reason: Reason,
    ) -> PacketId {
        self.tcp(
            at,
            side,
            TraceEvent::Sent {
                header,
                len,
                segment_size: None,
                reason,
            },
        );
        self.packets += 1;
        let packet = PacketId(self.packets);
        if self.wire {
            let who = self.who(side);
            let octets = packet_octets(who.local, who.remote, &header, len);
            self.t.left(
                micros(at),
                packet,
                HostId(u16::try_from(side).unwrap()),
                &octets,
            );
        }
        packet
    }

    pub(crate) fn arrive(&mut self, at: u64, side: usize, packet: PacketId) {
        if self.wire {
            self.t
                .arrived(micros(at), packet, HostId(u16::try_from(side).unwrap()));
        }
    }

    pub(crate) fn lose(&mut self, at: u64, packet: PacketId, why: Fate) {
        self.t.lost(micros(at), packet, why);
    }

    /// A number for a copy that the wire makes.
    pub(crate) fn copy(&mut self, at: u64, packet: PacketId) -> PacketId {
        self.packets += 1;
        let copy = PacketId(self.packets);
        self.t.duplicated(micros(at), packet, copy);
        copy
    }

    /// The three-way handshake from 0 to 30 ms.
    pub(crate) fn shake_hands(&mut self) {
        self.on(0, 0, Event::ActiveOpen);
        let syn = Header {
            options: offer(),
            ..header(SYN, X, 0)
        };
        let p = self.send(0, 0, syn, 0, Reason::Open);
        self.arrive(10_000, 1, p);
        self.on(10_000, 1, Event::Syn);
        let syn_ack = Header {
            options: offer(),
            ..header(SYN | ACK, Y, X + 1)
        };
        let p = self.send(10_000, 1, syn_ack, 0, Reason::Accept);
        self.arrive(20_000, 0, p);
        self.on(20_000, 0, Event::SynAck);
        let p = self.send(20_000, 0, header(ACK, X + 1, Y + 1), 0, Reason::Handshake);
        self.arrive(30_000, 1, p);
        self.on(30_000, 1, Event::AckOfSyn);
    }

    /// Request, response, and the teardown that the client begins, up to CLOSED on both ends.
    pub(crate) fn talk_and_close(&mut self) {
        let psh = Flags::PSH | ACK;
        let fin = Flags::FIN | ACK;
        let p = self.send(40_000, 0, header(psh, X + 1, Y + 1), 100, Reason::Data);
        self.arrive(50_000, 1, p);
        let p = self.send(50_000, 1, header(psh, Y + 1, X + 101), 200, Reason::Data);
        self.arrive(60_000, 0, p);
        self.on(60_000, 0, Event::Close);
        let p = self.send(60_000, 0, header(fin, X + 101, Y + 201), 0, Reason::Close);
        self.arrive(70_000, 1, p);
        self.on(70_000, 1, Event::Fin);
        let p = self.send(
            70_000,
            1,
            header(ACK, Y + 201, X + 102),
            0,
            Reason::AckOfFin,
        );
        self.on(70_000, 1, Event::Close);
        let q = self.send(70_000, 1, header(fin, Y + 201, X + 102), 0, Reason::Close);
        self.arrive(80_000, 0, p);
        self.on(80_000, 0, Event::AckOfFin);
        self.arrive(80_000, 0, q);
        self.on(80_000, 0, Event::Fin);
        let p = self.send(
            80_000,
            0,
            header(ACK, X + 102, Y + 202),
            0,
            Reason::AckOfFin,
        );
        self.arrive(90_000, 1, p);
        self.on(90_000, 1, Event::AckOfFin);
        self.timer(60_080_000, 0, Timer::TimeWait);
        self.on(60_080_000, 0, Event::TimeWaitOver);
    }
}

/// The well-known example.
pub(crate) fn classic() -> Scene {
    let mut scene = Scene::new("192.168.1.116:3337", "192.168.1.123:7788");
    scene.shake_hands();
    scene.talk_and_close();
    scene
}

/// A loss, duplicate acknowledgements with SACK, a fast retransmit, a copy, a corrupted packet and a timer.
pub(crate) fn trouble() -> Scene {
    let mut scene = Scene::new("192.168.1.116:3337", "192.168.1.123:7788");
    scene.shake_hands();
    let data = |n: u32| header(ACK, X + 1 + n * 1460, Y + 1);
    let mut sent = Vec::new();
    for n in 0..5 {
        sent.push(scene.send(40_000 + u64::from(n) * 200, 0, data(n), 1460, Reason::Data));
    }
    scene.lose(44_000, sent[1], Fate::Loss);
    let copy = scene.copy(44_100, sent[3]);
    scene.arrive(50_000, 1, sent[0]);
    scene.arrive(50_600, 1, sent[4]);
    scene.arrive(50_700, 1, sent[2]);
    scene.arrive(50_800, 1, sent[3]);
    scene.arrive(50_900, 1, copy);
    let mut acks = Vec::new();
    for (at, right) in [(50_600, 5), (50_700, 5), (50_800, 5)] {
        let mut ack = header(ACK, Y + 1, X + 1461);
        let left = X + 1 + if at == 50_600 { 4 } else { 2 } * 1460;
        let right = X + 1 + right * 1460;
        ack.options
            .sack
            .push(woshou_wire::tcp_option::SackBlock { left, right });
        acks.push((at, scene.send(at, 1, ack, 0, Reason::Gap)));
    }
    let refusal = woshou_tcp::Refusal::OutsideWindow;
    scene.tcp(50_900, 1, TraceEvent::Refused { refusal });
    for (at, ack) in acks {
        scene.arrive(at + 10_000, 0, ack);
    }
    let again = scene.send(60_800, 0, data(1), 1460, Reason::FastRetransmit);
    scene.lose(65_000, again, Fate::Corrupted);
    scene.timer(272_000, 0, Timer::Retransmission);
    let again = scene.send(272_000, 0, data(1), 1460, Reason::Timeout);
    scene.arrive(282_000, 1, again);
    let p = scene.send(
        282_000,
        1,
        header(ACK, Y + 1, X + 7301),
        0,
        Reason::HoleFilled,
    );
    scene.arrive(292_000, 0, p);
    scene
}

/// An IP packet with a TCP segment, checksums right, text zero.
pub(crate) fn packet_octets(
    from: SocketAddr,
    to: SocketAddr,
    header: &Header,
    len: u32,
) -> Vec<u8> {
    let tcp = TcpHeader {
        source_port: from.port(),
        destination_port: to.port(),
        sequence: header.seq.0,
        acknowledgement: header.ack.0,
        flags: header.flags.bits(),
        window: header.window,
        urgent: header.urgent,
    };
    let mut segment = vec![0; 60 + usize::try_from(len).unwrap()];
    let header_len = tcp
        .write(&header.options, Layout::Linux, &mut segment)
        .unwrap();
    segment.truncate(header_len + usize::try_from(len).unwrap());
    let pseudo = pseudo_header(
        from.ip(),
        to.ip(),
        TCP,
        u32::try_from(segment.len()).unwrap(),
    );
    let checksum = tcp_checksum(pseudo, &[&segment]);
    set_checksum(&mut segment, checksum).unwrap();
    let mut ip = vec![0; 40];
    let ip_len = match (from.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let header = Ipv4Header {
                source,
                destination,
                protocol: TCP,
                ttl: 64,
                tos: 0,
                id: 0,
                dont_fragment: true,
                more_fragments: false,
                fragment_offset: 0,
            };
            header.write(segment.len(), &mut ip).unwrap()
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let header = Ipv6Header {
                source,
                destination,
                next_header: TCP,
                hop_limit: 64,
                traffic_class: 0,
                flow_label: 0,
            };
            header.write(segment.len(), &mut ip).unwrap()
        }
        _ => panic!("mixed families"),
    };
    ip.truncate(ip_len);
    ip.extend(segment);
    ip
}
