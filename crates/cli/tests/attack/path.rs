//! A path whose MTU drops from 1500 to 1280 in mid-flow. woshou - TUN - the kernel as a router - TUN - a line with delay
//! and rate, which is this program - TUN - the kernel of another namespace: the peer.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use woshou_link::{Device, Namespace, Outgoing, PrivateSpec, Tun, TunConfig};

use crate::common::{Folder, ready};
use crate::sniff::parse_ip;
use crate::{attack, figure, full};

/// One way.
const DELAY: Duration = Duration::from_millis(10);
/// Octets a second: 40 Mbit/s.
const RATE: f64 = 5e6;
/// Octets that wait at the bottleneck, at most.
const QUEUE: usize = 128 << 10;
const PEER: [&str; 2] = ["10.9.0.2", "fd09::2"];
const WOSHOU: [&str; 2] = ["10.7.0.2", "fd07::2"];
const PORT: u16 = 7000;

#[test]
fn a_path_whose_mtu_drops_while_woshou_sends() {
    for (family, icmp) in [
        ("v4", "told"),
        ("v6", "told"),
        ("v4", "filtered"),
        ("v6", "filtered"),
    ] {
        mtu_drop("sends", family, icmp);
    }
}

#[test]
fn a_path_whose_mtu_drops_while_woshou_receives() {
    for (family, icmp) in [
        ("v4", "told"),
        ("v6", "told"),
        ("v4", "filtered"),
        ("v6", "filtered"),
    ] {
        mtu_drop("receives", family, icmp);
    }
}

fn mtu_drop(direction: &str, family: &str, icmp: &str) {
    if !ready(&["ip"]) {
        return;
    }
    let size = if full() { 32 << 20 } else { 4 << 20 };
    let folder = Folder::new(&format!("path-{direction}-{family}-{icmp}"), size);
    let receives = direction == "receives";
    let source = if receives { "nothing" } else { "in" };
    std::fs::copy(folder.0.join("f"), folder.0.join(source)).unwrap();
    let port = PORT.to_string();
    let args = ["listen", &port];
    let role = format!("path {direction} {family} {icmp}");
    let output = attack(
        &folder,
        &args,
        &role,
        Duration::from_secs(if full() { 120 } else { 45 }),
    );
    if receives {
        assert!(
            output.stdout == std::fs::read(folder.0.join("f")).unwrap(),
            "{role}: what woshou received"
        );
    } else {
        assert!(folder.same("got"), "{role}: what woshou sent");
    }
}

fn ip(args: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(args.split(' '));
    command
}

fn here(args: &str) {
    assert!(ip(args).status().unwrap().success(), "ip {args}");
}

fn sysctl(name: &str, value: &str) {
    std::fs::write(format!("/proc/sys/net/{name}"), value).unwrap();
}

/// What passed the line.
#[derive(Default)]
struct Passed {
    /// When the last segment with text did, and the longest pause between two since the drop.
    last: Option<Instant>,
    longest: Duration,
    dropped: bool,
}

/// Carries packets from one device to the other: so fast, so late, and no more than the queue has room for.
fn carry(
    from: &Mutex<Box<dyn Device>>,
    to: &Mutex<Box<dyn Device>>,
    passed: &Mutex<Passed>,
    over: &AtomicBool,
) {
    let mut line: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let (mut free, mut buffer) = (Instant::now(), vec![0; 70_000]);
    while !over.load(Ordering::Relaxed) {
        let now = Instant::now();
        loop {
            let received = from.lock().unwrap().recv(&mut buffer);
            let Ok(received) = received else {
                break;
            };
            free = free.max(now);
            let waiting = free.saturating_duration_since(now).as_secs_f64() * RATE;
            if waiting as usize + received.len > QUEUE {
                continue;
            }
            free += Duration::from_secs_f64(received.len as f64 / RATE);
            line.push_back((free + DELAY, buffer[..received.len].to_vec()));
        }
        while line.front().is_some_and(|(due, _)| *due <= now) {
            let (_, packet) = line.pop_front().unwrap();
            if packet.len() > 600 && parse_ip(&packet).is_some_and(|ip| ip.2 == 6) {
                let mut passed = passed.lock().unwrap();
                let pause = passed.last.map_or(Duration::ZERO, |last| now - last);
                if passed.dropped {
                    passed.longest = passed.longest.max(pause);
                }
                passed.last = Some(now);
            }
            let frame = Outgoing {
                parts: [&packet, &[], &[]],
                checksum: None,
                segment_size: None,
            };
            let _ = to.lock().unwrap().send(&frame);
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// The router's device to the line, and the peer's namespace behind it.
fn build(icmp: &str) -> (Box<dyn Device>, Box<dyn Device>, Namespace) {
    let spec = PrivateSpec {
        offload: false,
        ..PrivateSpec::default()
    };
    let mut peer = Namespace::new(&spec).expect("a namespace for the peer");
    let far = peer.take_device().unwrap();
    let near = Tun::open(&TunConfig {
        offload: false,
        mtu: Some(1500),
        ..TunConfig::new("line0")
    });
    let near: Box<dyn Device> = Box::new(near.expect("a TUN device to the line"));
    for set in [
        "addr flush dev woshou0",
        "addr add 10.9.0.2/24 dev woshou0",
        "-6 addr add fd09::2/64 dev woshou0 nodad",
        "route add default dev woshou0",
        "-6 route add default dev woshou0",
    ] {
        let mut child = peer.spawn(ip(set)).unwrap();
        assert!(child.wait().unwrap().success(), "{set}");
    }
    // The peer's kernel looks for black holes of its own only where it is told to.
    peer.run(|| sysctl("ipv4/tcp_mtu_probing", "1")).unwrap();
    here("link set line0 up");
    here("addr add 10.9.0.1/24 dev line0");
    here("-6 addr add fd09::1/64 dev line0 nodad");
    sysctl("ipv4/ip_forward", "1");
    sysctl("ipv6/conf/all/forwarding", "1");
    if icmp == "filtered" {
        for to in [WOSHOU, PEER] {
            here(&format!(
                "rule add pref 1 to {} ipproto icmp blackhole",
                to[0]
            ));
            here(&format!(
                "-6 rule add pref 1 to {} ipproto ipv6-icmp blackhole",
                to[1]
            ));
        }
    }
    (near, far, peer)
}

pub(crate) fn attacker(direction: &str, family: &str, icmp: &str) {
    let (near, far, peer) = build(icmp);
    let woshou = WOSHOU[usize::from(family == "v6")];
    let woshou = SocketAddr::new(woshou.parse::<IpAddr>().unwrap(), PORT);
    let receives = direction == "receives";
    let (near, far) = (Mutex::new(near), Mutex::new(far));
    let (out, back, over) = (
        Mutex::new(Passed::default()),
        Mutex::new(Passed::default()),
        AtomicBool::new(false),
    );
    let watched = if receives { &back } else { &out };
    let start = Instant::now();
    let took = std::thread::scope(|scope| {
        scope.spawn(|| carry(&near, &far, &out, &over));
        scope.spawn(|| carry(&far, &near, &back, &over));
        let moved = Arc::new(AtomicU64::new(0));
        let progress = Arc::clone(&moved);
        let size = std::fs::metadata("f").unwrap().len();
        let transfer = scope.spawn(move || {
            // In the peer's namespace: its kernel.
            let job = move || transfer(receives, woshou, &progress);
            let result = peer.run(job);
            (result, peer)
        });
        while moved.load(Ordering::Relaxed) < size / 4 && !transfer.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        here(if receives {
            "link set woshou0 mtu 1280"
        } else {
            "link set line0 mtu 1280"
        });
        let dropped = start.elapsed();
        watched.lock().unwrap().dropped = true;
        let (result, _peer) = transfer.join().unwrap();
        let done = start.elapsed();
        // The last acknowledgements are still on the line.
        std::thread::sleep(Duration::from_millis(300));
        over.store(true, Ordering::Relaxed);
        result.expect("the transfer");
        (dropped, done)
    });
    let pause = watched.lock().unwrap().longest;
    figure!(
        "MTU dropped after {:.2?}, all done after {:.2?}; longest pause {pause:.2?}, of a round trip of 20 ms unloaded",
        took.0,
        took.1
    );
    // Told, the sender repeats at once: some round trips through a full queue. Not told, it has to find out by loss.
    let limit = if icmp == "told" {
        Duration::from_millis(600)
    } else {
        Duration::from_secs(8)
    };
    // What the peer's kernel does is its own affair.
    assert!(receives || pause < limit, "a pause of {pause:?}");
}

/// The peer's part; `moved` counts octets.
fn transfer(receives: bool, woshou: SocketAddr, moved: &AtomicU64) {
    let mut stream = TcpStream::connect(woshou).unwrap();
    if receives {
        for chunk in std::fs::read("f").unwrap().chunks(16 << 10) {
            stream.write_all(chunk).unwrap();
            moved.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
        // Closing waits until woshou has acknowledged everything.
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::from_secs(40))).unwrap();
        drop(stream);
        return;
    }
    let (mut got, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        match stream.read(&mut buffer).unwrap() {
            0 => break,
            len => got.extend(&buffer[..len]),
        }
        moved.store(got.len() as u64, Ordering::Relaxed);
    }
    std::fs::write("got", got).unwrap();
}
