//! Forged segments and ICMP errors at a connection under way, in both directions, at every offset of the window.
//!
//! The attacker here knows the four-tuple and, from the wire, all numbers, so that it can be wrong in exactly one of
//! them. What nobody can tell from the peer's own is left out: a RST at RCV.NXT, and text in the window with an ACK
//! that RFC 5961, 5.2 accepts and a fitting timestamp.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::common::{Folder, ready};
use crate::packet::{ACK, FIN, PSH, RST, Raw, SYN, Segment, URG, icmp, tcp};
use crate::sniff::{Flow, Sniffer};
use crate::{attack, figure, full, who};

/// The port of the transfer, on whichever side.
const PORT: u16 = 7000;
/// Octets each way: so much a round, and so many rounds.
const CHUNK: usize = 512 << 10;
const ROUNDS: usize = 8;

#[test]
fn listen_survives_injection_at_every_offset_of_the_window() {
    injection("listen", "v4");
}

#[test]
fn connect_survives_injection_at_every_offset_of_the_window_over_ipv6() {
    injection("connect", "v6");
}

#[test]
fn serve_survives_injection_at_every_offset_of_the_window() {
    injection("serve", "v4");
}

fn injection(mode: &str, family: &str) {
    if !ready(&["ip"]) {
        return;
    }
    let folder = Folder::new(&format!("inject-{mode}"), CHUNK * ROUNDS);
    std::fs::copy(folder.0.join("f"), folder.0.join("in")).unwrap();
    let port = PORT.to_string();
    // Without offload a packet is a segment, so that sizes can be seen.
    // A round at full size takes longer than the command waits for a peer that does not read.
    let link = ["--link", "private,offload=off", "--timeout", "600"];
    let args: Vec<&str> = match (mode, family) {
        ("listen", _) => vec!["listen", &port],
        ("connect", "v4") => vec!["connect", "peer", &port],
        ("connect", _) => vec!["connect", "peer6", &port],
        _ => vec!["serve", ".", "--port", &port],
    };
    let args: Vec<&str> = args.into_iter().chain(link).collect();
    let limit = Duration::from_secs(if full() { 600 } else { 60 });
    let output = attack(&folder, &args, &format!("inject {mode} {family}"), limit);
    assert!(folder.same("got"), "what woshou sent");
    if mode != "serve" {
        let sent = std::fs::read(folder.0.join("in")).unwrap();
        assert_eq!(
            output.stdout.len(),
            sent.len(),
            "octets that woshou received"
        );
        assert!(output.stdout == sent, "what woshou received");
    }
}

/// The true peer's connection.
fn joined(mode: &str, woshou: IpAddr, peer: IpAddr) -> TcpStream {
    let stream = match mode {
        "connect" => {
            TcpListener::bind(SocketAddr::new(peer, PORT))
                .unwrap()
                .accept()
                .unwrap()
                .0
        }
        _ => TcpStream::connect(SocketAddr::new(woshou, PORT)).unwrap(),
    };
    stream.set_nodelay(true).unwrap();
    if mode == "serve" && full() {
        // So that what is not read stays with woshou: had it all been sent, FIN-WAIT-2 would be over after a minute.
        rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 64 << 10).unwrap();
    }
    stream
}

pub(crate) fn attacker(mode: &str, family: &str) {
    let (woshou, peer) = who(family == "v6");
    let sniffer = Sniffer::start(woshou, PORT);
    let mut stream = joined(mode, woshou, peer);
    let (mut early, mut written) = (Vec::new(), 0);
    if mode == "serve" {
        let request = b"GET /f HTTP/1.1\r\nHost: woshou\r\nConnection: close\r\n\r\n";
        stream.write_all(request).unwrap();
        written = request.len();
        while !early.ends_with(b"\r\n\r\n") {
            let mut one = [0];
            stream.read_exact(&mut one).unwrap();
            early.push(one[0]);
        }
    }
    let attack = Attack {
        sniffer,
        raw: Raw::new(woshou),
        sent: AtomicU64::new(0),
    };
    let allowed = AtomicU64::new(0);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let reading = stream.try_clone().unwrap();
        let reader = scope.spawn(|| read(reading, &allowed));
        let data = std::fs::read("in").unwrap();
        for (round, chunk) in data.chunks(CHUNK).enumerate() {
            // What flows meanwhile from woshou: nothing in every second round, so that all numbers stand still.
            if mode != "serve" {
                stream.write_all(chunk).unwrap();
                written += chunk.len();
            }
            if round % 2 == 1 {
                allowed.store(((round + 1) * CHUNK) as u64, Ordering::Relaxed);
            }
            attack.round(round, written);
            assert_eq!(
                broken(&stream),
                None,
                "the connection broke in round {round}"
            );
        }
        allowed.store(u64::MAX, Ordering::Relaxed);
        std::fs::write("got", reader.join().unwrap()).unwrap();
    });
    let sent = attack.sent.load(Ordering::Relaxed);
    figure!(
        "{sent} forged packets in {:.2?}, both directions intact",
        start.elapsed()
    );
    // Last of all: with this `woshou connect` is done, and ends us.
    let _ = stream.shutdown(Shutdown::Write);
}

/// Reads all there is, but no more than is `allowed`.
fn read(mut stream: TcpStream, allowed: &AtomicU64) -> Vec<u8> {
    let mut got = Vec::new();
    let mut buffer = vec![0; 16 << 10];
    loop {
        if got.len() as u64 >= allowed.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        match stream.read(&mut buffer).expect("woshou's direction lives") {
            0 => return got,
            len => got.extend(&buffer[..len]),
        }
    }
}

fn broken(stream: &TcpStream) -> Option<String> {
    stream.take_error().unwrap().map(|error| error.to_string())
}

struct Attack {
    sniffer: Sniffer,
    raw: Raw,
    sent: AtomicU64,
}

impl Attack {
    fn send(&self, flow: &Flow, packet: &[u8]) {
        self.raw.send(flow.woshou.ip(), packet);
        // The device's queue has room for 500 packets: no faster than woshou reads, or nothing is tried.
        if self.sent.fetch_add(1, Ordering::Relaxed) % 64 == 63 {
            std::thread::sleep(Duration::from_micros(if full() { 200 } else { 500 }));
        }
    }

    /// One round; the peer has `written` so much in all, and pauses.
    fn round(&self, round: usize, written: usize) {
        let flow = self.sniffer.quiet(written);
        let rcv_nxt = flow.from_peer.first.wrapping_add(1 + written as u32);
        assert_eq!(
            flow.from_woshou.ack, rcv_nxt,
            "round {round}: what the peer wrote arrived"
        );
        self.sniffer.forget_largest();
        for offset in offsets(i64::from(flow.from_woshou.window), round) {
            for forged in forgeries(&flow, offset) {
                self.send(&flow, &tcp(&forged));
            }
        }
        let after = self.sniffer.quiet(written);
        assert_eq!(
            after.from_woshou.ack, rcv_nxt,
            "round {round}: woshou acknowledged what the peer never sent"
        );
        self.icmp(round, flow);
    }

    /// Every ICMP error, about text that is not under way, then about text that is.
    fn icmp(&self, round: usize, flow: Flow) {
        let after = self.sniffer.flow();
        for kind in errors(flow.woshou.ip()) {
            for distance in [1 << 26, 1 << 31, u32::MAX - (1 << 26)] {
                let seq = flow.from_woshou.next.wrapping_add(distance);
                self.send(&flow, &error(&flow, kind, seq));
            }
        }
        // In the last rounds only: a message about what is under way may lower the path's MTU, within reason.
        if round >= ROUNDS - 2 {
            for kind in errors(flow.woshou.ip()) {
                let flow = self.sniffer.flow();
                for back in [0, 1, 1000, 10_000] {
                    self.send(
                        &flow,
                        &error(&flow, kind, flow.from_woshou.next.wrapping_sub(back)),
                    );
                }
            }
            return;
        }
        // Text flowed since the errors of the rounds before: none of them was believed.
        if after.from_woshou.next.wrapping_sub(flow.from_woshou.next) > 1 << 16 {
            let largest = after.from_woshou.largest;
            assert!(largest > 1200, "round {round}: {largest} octets a segment");
        }
    }
}

/// Where to strike, from RCV.NXT. At full size every octet of the window is a target once in all rounds.
fn offsets(window: i64, round: usize) -> Vec<i64> {
    let edges = [
        0, 1, 2, 3, 500, 1387, 1388, 1389, 1447, 1448, 1449, 1459, 1460, 1461, 2896, 4344, 65_535,
        65_536,
    ];
    let mut all: Vec<i64> = edges.to_vec();
    all.extend([
        -1,
        -2,
        -1448,
        -65_535,
        -65_536,
        -(1 << 20),
        -window,
        1 << 31,
        (1 << 31) - 1,
        (1 << 31) + 1,
    ]);
    all.extend([
        window - 1448,
        window - 2,
        window - 1,
        window,
        window + 1,
        window + 1448,
        2 * window,
    ]);
    let step = if full() {
        ROUNDS as i64
    } else {
        (window / 100).max(1)
    };
    let mut offset = round as i64;
    while offset < window {
        all.push(offset);
        offset += step;
    }
    all
}

/// Segments `offset` from RCV.NXT that a connection has to survive: each has something that gives it away.
fn forgeries(flow: &Flow, offset: i64) -> Vec<Segment> {
    let good = Segment {
        from: flow.peer,
        to: flow.woshou,
        flags: ACK,
        seq: flow.from_woshou.ack.wrapping_add(offset as u32),
        ack: flow.from_woshou.next,
        window: 501,
        timestamps: flow
            .from_peer
            .timestamp
            .map(|value| (value, flow.from_woshou.timestamp.unwrap_or(0))),
        text: 0,
    };
    // A timestamp from the future: had woshou kept it, the peer's own segments would be too old (PAWS).
    let future = good
        .timestamps
        .map(|(value, echo)| (value.wrapping_add(1 << 30), echo));
    let late = good
        .timestamps
        .map(|(value, echo)| (value.wrapping_sub(1 << 20), echo));
    // Beyond SND.NXT and before SND.UNA - MAX.SND.WND (RFC 5961, 5.2), and far from both. The edges themselves, which move
    // while text flows, are for the tables of crates/tcp.
    let beyond = good.ack.wrapping_add(1 << 25);
    let before = good.ack.wrapping_sub(1 << 25);
    let far = good.ack.wrapping_add(1 << 31);
    let (now, ack) = (good.timestamps, good.ack);
    let mut all = vec![
        (SYN, ack, future, 0),
        (SYN, 0, None, 0),
        (SYN | ACK, ack, now, 0),
        (SYN | FIN, ack, now, 0),
        (FIN, ack, now, 0),
        (PSH, ack, now, 32),
        (0, ack, future, 32),
        (PSH | ACK, beyond, now, 32),
        (PSH | ACK, beyond, future, 32),
        (PSH | ACK, before, future, 32),
        (PSH | ACK, far, now, 32),
        (FIN | ACK, far, now, 0),
        (URG | ACK, far, now, 1),
        (ACK, far, future, 0),
    ];
    if now.is_some() {
        all.extend([(PSH | ACK, ack, None, 32), (PSH | ACK, ack, late, 32)]);
    }
    if offset != 0 {
        all.extend([
            (RST, 0, None, 0),
            (RST | ACK, ack, future, 0),
            (RST | SYN, ack, now, 0),
        ]);
    }
    all.into_iter().map(|one| forge(&good, one)).collect()
}

/// `good`, but with these flags, ACK, timestamps and so much text.
fn forge(
    good: &Segment,
    (flags, ack, timestamps, text): (u8, u32, Option<(u32, u32)>, usize),
) -> Segment {
    Segment {
        flags,
        ack,
        timestamps,
        text,
        // Would hold our window shut, where the segment has nothing else to do.
        window: if text == 0 { 0 } else { good.window },
        ..good.clone()
    }
}

/// Kind, code and the rest of the header of every ICMP error that somebody might act on.
fn errors(like: IpAddr) -> Vec<(u8, u8, u32)> {
    let mut all = Vec::new();
    if like.is_ipv4() {
        all.extend((0..16).filter(|code| *code != 4).map(|code| (3, code, 0)));
        all.extend([0, 1, 67, 68, 296, 575, 1499, 65_535].map(|mtu| (3, 4, mtu)));
        // Source quench (RFC 6633), redirect, time exceeded, parameter problem.
        all.extend([
            (4, 0, 0),
            (5, 1, 0x0a07_0009),
            (11, 0, 0),
            (11, 1, 0),
            (12, 0, 0),
            (12, 2, 20 << 24),
        ]);
    } else {
        all.extend((0..8).map(|code| (1, code, 0)));
        all.extend([0, 1, 68, 1279, 1280, 1499, u32::MAX].map(|mtu| (2, 0, mtu)));
        all.extend([(3, 0, 0), (3, 1, 0), (4, 0, 0), (4, 1, 0), (4, 2, 40)]);
    }
    all
}

/// The error about a segment of woshou's that begins at `seq`.
fn error(flow: &Flow, kind: (u8, u8, u32), seq: u32) -> Vec<u8> {
    let quoted = tcp(&Segment {
        from: flow.woshou,
        to: flow.peer,
        flags: ACK,
        seq,
        ack: flow.from_woshou.ack,
        window: 500,
        timestamps: None,
        text: 500,
    });
    let quoted = if flow.peer.is_ipv4() {
        &quoted[..28]
    } else {
        &quoted[..]
    };
    icmp(flow.peer.ip(), flow.woshou.ip(), kind, quoted)
}
