//! Forged segments and ICMP errors at a connection under way, in both directions, at every offset of the window.
//!
//! The attacker here knows the four-tuple and, from the wire, all numbers, so that it can be wrong in exactly one of
//! them. What nobody can tell from the peer's own is left out: a RST at RCV.NXT, and text in the window with an ACK
//! that RFC 5961, 5.2 accepts and a fitting timestamp.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::common::{Folder, WOSHOU, ready};
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
    let link = ["--link", "private,offload=off"];
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
    assert!(std::path::Path::new(WOSHOU).exists());
}

pub(crate) fn attacker(mode: &str, family: &str) {
    let (woshou, peer) = who(family == "v6");
    let sniffer = Sniffer::start(woshou, PORT);
    let mut stream = match mode {
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
    let mut early = Vec::new();
    if mode == "serve" {
        stream
            .write_all(b"GET /f HTTP/1.1\r\nHost: woshou\r\nConnection: close\r\n\r\n")
            .unwrap();
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
            }
            if round % 2 == 1 {
                allowed.store(((round + 1) * CHUNK) as u64, Ordering::Relaxed);
            }
            attack.round(round, mode != "serve");
            assert_eq!(
                broken(&stream),
                None,
                "the connection broke in round {round}"
            );
        }
        allowed.store(u64::MAX, Ordering::Relaxed);
        if mode != "serve" {
            stream.shutdown(Shutdown::Write).unwrap();
        }
        std::fs::write("got", reader.join().unwrap()).unwrap();
    });
    let sent = attack.sent.load(Ordering::Relaxed);
    figure!(
        "{sent} forged packets in {:.2?}, both directions intact",
        start.elapsed()
    );
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

    fn round(&self, round: usize, exact: bool) {
        let flow = self.sniffer.quiet();
        self.sniffer.forget_largest();
        let window = i64::from(flow.from_woshou.window);
        for offset in offsets(window, round) {
            for forged in forgeries(&flow, offset, round == 0) {
                self.send(&flow, &tcp(&forged));
            }
        }
        if exact {
            let after = self.sniffer.quiet();
            assert_eq!(
                after.from_woshou.ack, flow.from_woshou.ack,
                "round {round}: woshou acknowledged what the peer never sent"
            );
        }
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
fn forgeries(flow: &Flow, offset: i64, still: bool) -> Vec<Segment> {
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
    let text = |ack: u32, timestamps| Segment {
        flags: ACK | PSH,
        ack,
        timestamps,
        text: 32,
        ..good.clone()
    };
    // Beyond SND.NXT, before SND.UNA - MAX.SND.WND (RFC 5961, 5.2), and far from both. Where text flows, the edges move;
    // where it stands still, the rest of a window too small to use may still be filled.
    let (beyond, before) = if still {
        (
            good.ack.wrapping_add(4096),
            flow.from_peer
                .ack
                .wrapping_sub(flow.from_peer.max_window + 1),
        )
    } else {
        (
            good.ack.wrapping_add(1 << 25),
            good.ack.wrapping_sub(1 << 25),
        )
    };
    let far = good.ack.wrapping_add(1 << 31);
    let mut all = vec![
        Segment {
            flags: SYN,
            timestamps: future,
            ..good.clone()
        },
        Segment {
            flags: SYN,
            ack: 0,
            timestamps: None,
            ..good.clone()
        },
        Segment {
            flags: SYN | ACK,
            ..good.clone()
        },
        Segment {
            flags: SYN | FIN,
            ..good.clone()
        },
        Segment {
            flags: FIN,
            ..good.clone()
        },
        Segment {
            flags: PSH,
            text: 32,
            ..good.clone()
        },
        Segment {
            flags: 0,
            text: 32,
            timestamps: future,
            ..good.clone()
        },
        text(beyond, good.timestamps),
        text(beyond, future),
        text(before, future),
        text(far, good.timestamps),
        Segment {
            flags: FIN | ACK,
            ack: far,
            ..good.clone()
        },
        Segment {
            flags: ACK | URG,
            ack: far,
            text: 1,
            ..good.clone()
        },
        // A window held shut for ever.
        Segment {
            ack: far,
            window: 0,
            timestamps: future,
            ..good.clone()
        },
    ];
    if good.timestamps.is_some() {
        all.push(text(good.ack, None));
        all.push(text(good.ack, late));
    }
    if offset != 0 {
        all.push(Segment {
            flags: RST,
            ack: 0,
            timestamps: None,
            ..good.clone()
        });
        all.push(Segment {
            flags: RST | ACK,
            timestamps: future,
            ..good.clone()
        });
        all.push(Segment {
            flags: RST | SYN,
            ..good
        });
    }
    all
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
