//! Buffers that grow: what the defaults carry, and what they hold.

use std::net::SocketAddr;
use std::time::Duration;

use woshou_sim::link::rate::Rate;
use woshou_sim::{AppId, Content, HostId, Party, Path, Script, Side, World, scenario};
use woshou_tcp::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// The left host says `len` octets to the right one, who begins to read at `reads_from`.
fn upload(path: Path, len: u64, reads_from: Instant) -> (World<'static>, [HostId; 2], AppId) {
    let mut world = World::new(3);
    let hosts = Side::BOTH.map(scenario::host);
    let right = SocketAddr::from((hosts[1].addresses()[0], 7));
    let [left, there] = hosts.map(|host| world.add_host(host));
    world.add_link(left, there, path.clone(), path);
    let content = Content::Random { seed: 3, len };
    let listens = Script {
        reads_from,
        ..Script::listening(right, Content::NONE, content)
    };
    let reader = world.add_app(there, Party::new(listens));
    world.add_app(
        left,
        Party::new(Script::connecting(right, content, Content::NONE)),
    );
    (world, [left, there], reader)
}

fn gigabit(rtt: Duration) -> Path {
    Path {
        rate: Some(Rate::new(1_000_000_000)),
        ..Path::delayed(rtt / 2)
    }
}

#[test]
fn the_defaults_fill_a_gigabit_over_100_ms_and_hold_nothing_then() {
    let path = gigabit(Duration::from_millis(100));
    let (mut world, hosts, reader) = upload(path, 250_000_000, Instant::ZERO);
    let at = |seconds: f64| Instant::ZERO + SECOND.mul_f64(seconds);
    world.run_until(at(0.11));
    let idle = hosts.map(|host| world.stack(host).memory().now);
    assert!(idle[1] < 64 << 10, "{idle:?}: nothing before text comes");
    world.run_until(at(1.2));
    let before = world.report(reader).received;
    world.run_until(at(2.2));
    let carried = world.report(reader).received - before;
    // 1448 octets of text in a packet of 1500.
    let most = 125_000_000.0 * 1448.0 / 1500.0;
    assert!(carried as f64 > 0.97 * most, "{carried} octets of {most}");
    // The user takes what comes: the window is large, and empty.
    let held = world.stack(hosts[1]).memory();
    assert!(held.peak < 2 << 20, "{held:?}");
    let sender = world.stack(hosts[0]).memory();
    assert!(sender.peak < 40 << 20, "{sender:?}");
    world.run_until(at(10.0));
    let report = world.report(reader);
    assert_eq!((report.received, report.wrong_at), (250_000_000, None));
    let idle = hosts.map(|host| world.stack(host).memory().now);
    assert!(idle.iter().all(|held| *held < 16 << 10), "{idle:?}");
}

/// Whoever sends as much as it may to a user who reads nothing holds no more than the first window of ours.
#[test]
fn a_peer_cannot_make_a_buffer_grow() {
    let path = gigabit(Duration::from_millis(10));
    let (mut world, hosts, reader) = upload(path, 50_000_000, Instant::ZERO + 100 * SECOND);
    world.run_until(Instant::ZERO + 60 * SECOND);
    assert_eq!(world.report(reader).received, 0);
    let held = world.stack(hosts[1]).memory();
    assert!(held.peak < 400 << 10, "{held:?}");
    // The sender's own user fills no more than twice what may fly.
    let sender = world.stack(hosts[0]).memory();
    assert!(sender.peak < 1 << 20, "{sender:?}");
    world.run_until(Instant::ZERO + 170 * SECOND);
    let report = world.report(reader);
    assert_eq!((report.received, report.wrong_at), (50_000_000, None));
}
