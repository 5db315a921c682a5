//! The world itself: time, links, programs, several hosts.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::log::Log;
use woshou_sim::app::{Echo, Finish};
use woshou_sim::link::mtu::Mtu;
use woshou_sim::link::queue::Queue;
use woshou_sim::link::rate::Rate;
use woshou_sim::{
    Content, Conversation, Fault, Halt, Host, Party, Path, Script, Side, World, scenario,
};
use woshou_tcp::Instant;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn hosts() -> [Host; 2] {
    Side::BOTH.map(scenario::host)
}

fn right(v6: bool) -> SocketAddr {
    let [_, right] = hosts();
    (right.addresses()[usize::from(v6)], 7).into()
}

/// Says 100 kB to an echo, and wants them back.
fn echoed(v6: bool, n: u64) -> Party {
    let content = Content::Random {
        seed: n,
        len: 100_000,
    };
    Party::new(Script {
        finish: Finish::WhenReceived,
        ..Script::connecting(right(v6), content, content)
    })
}

#[test]
fn an_echo_serves_many_at_once_over_both_families() {
    let mut world = World::new(1);
    let [left, right_host] = hosts().map(|host| world.add_host(host));
    world.add_link(left, right_host, Path::delayed(MS(5)), Path::delayed(MS(5)));
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 7));
    world.add_app(right_host, Echo::new(any));
    let parties: Vec<_> = (0..20)
        .map(|n| (n, world.add_app(left, echoed(n % 2 == 1, n))))
        .collect();
    assert_eq!(
        world.run_until_idle(Instant::from_millis(600_000)),
        Halt::Idle
    );
    for (n, party) in parties {
        let report = world.report(party);
        assert_eq!((report.received, report.wrong_at), (100_000, None), "{n}");
        assert!(report.end_of_text, "{n}");
    }
    assert!(world.stack(left).connections().is_empty());
    assert!(world.stack(right_host).connections().is_empty());
}

#[test]
fn a_host_with_two_links_reaches_both_neighbours() {
    let mut world = World::new(1);
    let [left, middle] = hosts().map(|host| world.add_host(host));
    let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9);
    let far = world.add_host(Host::new("far", Ipv4Addr::new(10, 9, 9, 9), v6));
    world.add_link(left, middle, Path::delayed(MS(5)), Path::delayed(MS(5)));
    world.add_link(far, middle, Path::delayed(MS(50)), Path::delayed(MS(50)));
    world.add_app(middle, Echo::new(right(false)));
    let parties = [left, far].map(|host| world.add_app(host, echoed(false, 1)));
    assert_eq!(
        world.run_until_idle(Instant::from_millis(600_000)),
        Halt::Idle
    );
    for party in parties {
        let report = world.report(party);
        assert_eq!((report.received, report.wrong_at), (100_000, None));
    }
}

#[test]
fn run_until_stops_on_time() {
    let mut world = World::new(1);
    let [left, right_host] = hosts().map(|host| world.add_host(host));
    world.add_link(
        left,
        right_host,
        Path::delayed(MS(10)),
        Path::delayed(MS(10)),
    );
    world.add_app(right_host, Echo::new(right(false)));
    world.add_app(left, echoed(false, 1));
    let traffic = |world: &World<'_>| (world.traffic().left, world.traffic().arrived);
    for (until, left_and_arrived) in [(0, (1, 0)), (9, (1, 0)), (10, (2, 1))] {
        world.run_until(Instant::from_millis(until));
        assert_eq!(world.now(), Instant::from_millis(until));
        assert_eq!(traffic(&world), left_and_arrived, "{until} ms");
    }
    assert_eq!(world.run_until_idle(Instant::from_millis(15)), Halt::Limit);
    let mut nobody = World::new(1);
    nobody.run_until(Instant::from_millis(7));
    assert_eq!(nobody.now(), Instant::from_millis(7));
    assert!(!nobody.step());
}

/// One side says a megabyte.
fn upload(content: Content, hosts: [Host; 2], v6: bool) -> Conversation {
    Conversation {
        forth: Path::delayed(MS(10)),
        back: Path::delayed(MS(10)),
        limit: Instant::from_millis(3_600_000),
        ..Conversation::new(
            hosts,
            [
                Some(Script::connecting(right(v6), content, Content::NONE)),
                Some(Script::listening(right(v6), Content::NONE, content)),
            ],
        )
    }
}

#[test]
fn goodput_meets_the_rate() {
    // 10 Mbit/s carry 1,250,000 octets a second, of which 1448 in 1500 are text.
    for gso_max in [0, 65_535] {
        let mut hosts = hosts();
        hosts[0].gso_max = gso_max;
        let content = Content::Random {
            seed: 1,
            len: 10_000_000,
        };
        let mut upload = upload(content, hosts, false);
        upload.forth.rate = Some(Rate::new(10_000_000));
        upload.forth.queue = Queue {
            octets: Some(64 * 1024),
            packets: None,
        };
        let outcome = upload.run(1, &mut ());
        assert_eq!(outcome.check(), Ok(()), "{outcome:?}");
        let seconds = outcome.took.as_secs_f64() - 60.0; // TIME-WAIT
        let least = 10_000_000.0 / 1_250_000.0 * 1500.0 / 1448.0;
        assert!(
            (least..least * 1.15).contains(&seconds),
            "{seconds} s instead of {least}"
        );
    }
}

#[test]
fn a_router_reports_a_narrow_path_and_all_arrives() {
    for v6 in [false, true] {
        let content = Content::Random {
            seed: 1,
            len: 100_000,
        };
        let mut upload = upload(content, hosts(), v6);
        upload.forth.mtu = Some(Mtu::reported(1300));
        let outcome = upload.run(1, &mut ());
        assert_eq!(outcome.check(), Ok(()), "IPv6: {v6}; {outcome:?}");
        assert!(
            (1..=20).contains(&outcome.traffic.lost),
            "{:?}",
            outcome.traffic
        );
    }
}

#[test]
fn watching_changes_nothing() {
    let content = Content::Random {
        seed: 1,
        len: 100_000,
    };
    let run = |watcher: &mut dyn woshou_sim::Watcher| {
        let mut upload = upload(content, hosts(), false);
        upload.forth.loss.chance = 0.1;
        upload.run(5, watcher)
    };
    let mut log = Log::verbose();
    assert_eq!(run(&mut ()), run(&mut (Log::default(), &mut log)));
    let packets = |what| {
        log.lines
            .iter()
            .flatten()
            .filter(|line| line.contains(what))
            .count()
    };
    assert_eq!(
        packets(" left "),
        packets(" arrived ") + packets("lost by chance")
    );
    assert!(packets("Sent {") > 70);
}

#[test]
fn faults_are_found() {
    let [said, other] = [1, 2].map(|seed| Content::Random { seed, len: 10_000 });
    let fault = |change: fn(&mut Conversation, Content)| {
        let mut upload = upload(said, hosts(), false);
        change(&mut upload, other);
        upload.run(1, &mut ()).check().unwrap_err()
    };
    let expects = |upload: &mut Conversation, content| {
        upload.parties[1].as_mut().unwrap().expects = content;
    };
    let wrong = (0..)
        .find(|&place| said.octet(place) != other.octet(place))
        .unwrap();
    assert_eq!(fault(expects), Fault::WrongOctet(Side::Right, wrong));
    let silent = fault(|upload, _| upload.parties[0].as_mut().unwrap().says = Content::NONE);
    let nothing = Fault::Octets {
        side: Side::Right,
        expected: 10_000,
        received: 0,
    };
    assert_eq!(silent, nothing);
    let refused = fault(|upload, _| upload.parties[1] = None);
    assert!(
        matches!(
            refused,
            Fault::NotSent {
                side: Side::Left,
                sent: 0,
                ..
            }
        ),
        "{refused}"
    );
    let short = fault(|upload, _| upload.limit = Instant::from_millis(15));
    assert_eq!(short, Fault::NoRest(Halt::Limit));
    let waits = fault(|upload, _| upload.limit = Instant::from_millis(30_000));
    assert_eq!(waits, Fault::NoRest(Halt::Limit), "TIME-WAIT is not over");
    let planned = fault(|upload, _| upload.ends[0] = None);
    assert!(matches!(
        planned,
        Fault::Ended {
            side: Side::Left,
            expected: None,
            ..
        }
    ));
}
