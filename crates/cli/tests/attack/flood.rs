//! Floods from random sources while curl fetches.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::common::{Folder, ready};
use crate::packet::{ACK, Chance, FIN, PSH, RST, Raw, SYN, Segment, tcp};
use crate::{attack, figure, full, who};

/// Octets of memory that woshou may hold at the peak, in KiB: the program, the transfer, and what a flood may cost.
const BUDGET: u64 = 96 << 10;

#[test]
fn a_syn_flood_costs_neither_the_transfer_nor_the_memory() {
    let count = if full() { 1_000_000 } else { 100_000 };
    flood("syn", count, if full() { 256 << 20 } else { 16 << 20 });
}

#[test]
fn a_syn_flood_over_ipv6() {
    let count = if full() { 1_000_000 } else { 50_000 };
    flood("syn6", count, if full() { 256 << 20 } else { 16 << 20 });
}

#[test]
fn floods_of_other_segments_do_no_harm() {
    let (count, size) = if full() {
        (100_000, 64 << 20)
    } else {
        (20_000, 4 << 20)
    };
    for kind in ["ack", "rst", "fin", "mixed6"] {
        flood(kind, count, size);
    }
}

fn flood(kind: &str, count: u64, size: usize) {
    if !ready(&["curl"]) {
        return;
    }
    let folder = Folder::new(&format!("flood-{kind}"), size);
    attack(
        &folder,
        &["serve", "."],
        &format!("flood {kind} {count}"),
        Duration::from_secs(if full() { 300 } else { 60 }),
    );
    assert!(folder.same("before"), "{kind}: what arrived before");
    assert!(
        folder.same("during"),
        "{kind}: what arrived during the flood"
    );
}

/// Packets that the device brought to woshou, and those that its full queue dropped.
fn device() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/self/net/dev").unwrap();
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("woshou0:"));
    let numbers: Vec<u64> = line
        .unwrap()
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    (numbers[9], numbers[11])
}

/// A line of woshou's /proc/PID/status, KiB.
fn memory(name: &str) -> u64 {
    let woshou = rustix::process::getppid().unwrap();
    let text = std::fs::read_to_string(format!("/proc/{}/status", woshou.as_raw_pid())).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit())
        .parse()
        .unwrap()
}

fn curl(ip: IpAddr, more: &[&str]) -> Command {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-f", "--retry", "0", "--max-time", "120"]);
    curl.args(more)
        .arg(format!("http://{}/f", SocketAddr::new(ip, 80)));
    curl
}

fn timed(mut command: Command) -> Duration {
    let start = Instant::now();
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
    start.elapsed()
}

/// Sends `kind` to port 80 until so many have come to woshou, and longer while `more`. Returns how long it took.
fn send(kind: &str, count: u64, more: &AtomicBool) -> Duration {
    let (to, _) = who(kind.ends_with('6'));
    let raw = Raw::new(to);
    let mut chance = Chance(count | 1);
    let (before, start) = (device().0, Instant::now());
    let mut took = None;
    loop {
        for _ in 0..1000 {
            let one = chance.next();
            let (flags, text) = match (kind, one & 3) {
                ("syn" | "syn6", _) => (SYN, 0),
                ("ack", _) => (ACK, 0),
                ("rst", 0 | 1) | ("mixed6", 0) => (RST, 0),
                ("rst", _) => (RST | ACK, 0),
                ("fin", 0) | ("mixed6", 1) => (FIN | ACK, 0),
                ("fin", 1) => (FIN, 0),
                ("fin" | "mixed6", _) => (PSH | ACK, 1000),
                _ => panic!("{kind}?"),
            };
            let segment = Segment {
                from: chance.source(to),
                to: SocketAddr::new(to, 80),
                flags,
                seq: one as u32,
                ack: (one >> 32) as u32,
                window: 65_535,
                timestamps: (one & 4 != 0).then_some((one as u32, 0)),
                text,
            };
            raw.send(to, &tcp(&segment));
        }
        if took.is_none() && device().0 - before >= count {
            took = Some(start.elapsed());
        }
        match took {
            Some(took) if !more.load(Ordering::Relaxed) => return took,
            // What was asked for came at full speed. On a busy machine that would go on until the transfer gives up, for want
            // of a processor: from here on a flood of at most 50,000 a second.
            Some(_) => std::thread::sleep(Duration::from_millis(20)),
            None => {}
        }
    }
}

pub(crate) fn attacker(kind: &str, count: u64) {
    let (ip, _) = who(kind.ends_with('6'));
    let alone = timed(curl(ip, &["-o", "before"]));
    let one = timed(curl(ip, &["-r", "0-0", "-o", "one"]));
    let (memory_before, device_before) = (memory("VmRSS:"), device());
    let under_way = AtomicBool::new(true);
    let (took, fetched, opened) = std::thread::scope(|scope| {
        let flood = scope.spawn(|| send(kind, count, &under_way));
        // Opened in the middle of the flood: it has to get in.
        std::thread::sleep(Duration::from_millis(50));
        let fetch = scope.spawn(|| timed(curl(ip, &["-o", "during"])));
        let opened = timed(curl(ip, &["-r", "0-0", "-o", "one"]));
        let fetched = fetch.join();
        under_way.store(false, Ordering::Relaxed);
        (flood.join().unwrap(), fetched.unwrap(), opened)
    });
    let after = timed(curl(ip, &["-r", "0-0", "-o", "one"]));
    let (came, dropped) = device();
    let (peak, now) = (memory("VmHWM:"), memory("VmRSS:"));
    let came = came - device_before.0;
    figure!(
        "{count} came in {took:.2?} ({:.0}/s; {came} in all, {} dropped by the device's queue); curl {alone:.2?} alone, {fetched:.2?} \
         in the flood; a new one {one:.2?} before, {opened:.2?} in it, {after:.2?} right after; memory {memory_before} KiB before, \
         {peak} at its peak, {now} after",
        count as f64 / took.as_secs_f64(),
        dropped - device_before.1,
    );
    assert!(
        after < Duration::from_secs(1),
        "the listener does not answer at once: {after:?}"
    );
    assert!(peak < BUDGET, "{peak} KiB of memory");
}
