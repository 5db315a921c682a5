//! A path whose MTU falls in mid-flow, and rises again: with routers that say so and with routers that do not.

use std::sync::Arc;
use std::time::Duration;

use crate::log::Log;
use woshou_sim::link::mtu::Mtu;
use woshou_sim::{Host, HostId, LinkId, Path, World};
use woshou_stack::{ConnId, ListenerId};
use woshou_tcp::{Config, Instant};

const ONE_WAY: Duration = Duration::from_millis(50);
const RTT: Duration = Duration::from_millis(100);
/// How long a search holds, here. Default 10 min.
const SEARCH_AGAIN: Duration = Duration::from_secs(5);

/// What to try.
#[derive(Clone, Copy, Debug)]
struct Case {
    v6: bool,
    /// The client sends, else the server.
    forth: bool,
    /// A router says so.
    reported: bool,
    /// The path carries so much from the drop on.
    narrow: usize,
    /// Devices cut segments.
    gso_max: u32,
}

/// A connection over a link of 1,500 octets, and who sends on it.
struct Flow<'w> {
    world: World<'w>,
    link: LinkId,
    case: Case,
    ends: [(HostId, ConnId); 2],
    listener: ListenerId,
    written: u64,
    read: u64,
}

impl<'w> Flow<'w> {
    fn new(case: Case, log: &'w mut Log) -> Self {
        let mut world = World::watched(1, log);
        let tcp = Arc::new(Config {
            mtu_search_interval: SEARCH_AGAIN,
            ..Config::default()
        });
        let hosts = [1, 2].map(|n: u8| Host {
            tcp: Arc::clone(&tcp),
            gso_max: case.gso_max,
            ..Host::new(
                "host",
                [10, 0, 0, n].into(),
                [0xfd00, 0, 0, 0, 0, 0, 0, u16::from(n)].into(),
            )
        });
        let to = hosts[1].addresses()[usize::from(case.v6)];
        let [left, right] = hosts.map(|host| world.add_host(host));
        let path = Path::delayed(ONE_WAY);
        let link = world.add_link(left, right, path.clone(), path);
        let listener = world.with_stack(right, |stack, _| {
            stack.listen((to, 80).into(), 5).expect("free")
        });
        let client = world.with_stack(left, |stack, now| {
            stack.connect(now, (to, 80).into(), None).expect("a route")
        });
        world.run_until(Instant::from_millis(500));
        let server = world.with_stack(right, |stack, _| stack.accept(listener).expect("a client"));
        let mut ends = [(left, client), (right, server)];
        if !case.forth {
            ends.reverse();
        }
        Self {
            world,
            link,
            case,
            ends,
            listener,
            written: 0,
            read: 0,
        }
    }

    fn set_mtu(&mut self, octets: usize) {
        let mtu = if self.case.reported {
            Mtu::reported(octets)
        } else {
            Mtu::new(octets)
        };
        let path = Path {
            mtu: Some(mtu),
            ..Path::delayed(ONE_WAY)
        };
        self.world.set_path(self.link, self.case.forth, path);
    }

    /// Writes what fits, reads what is there, checks it.
    fn turn(&mut self) {
        let [(from, sender), (to, receiver)] = self.ends;
        let written = self.written;
        self.written += self.world.with_stack(from, |stack, now| {
            let chunk: Vec<u8> = (written..written + 40_000)
                .map(|n| (n % 251) as u8)
                .collect();
            stack.write(now, sender, &chunk).unwrap_or(0) as u64
        });
        let read = self.read;
        self.read += self.world.with_stack(to, |stack, now| {
            let mut buffer = [0; 65_536];
            let count = stack.read(now, receiver, &mut buffer).unwrap_or(0);
            for (n, octet) in (read..).zip(&buffer[..count]) {
                assert_eq!(u64::from(*octet), n % 251);
            }
            count as u64
        });
    }

    /// Sends all the time, for so long.
    fn run_for(&mut self, time: Duration) {
        let until = self.world.now() + time;
        while self.world.now() < until {
            self.turn();
            let next = self.world.next_at().unwrap_or(until).min(until);
            self.world.run_until(next);
        }
        self.turn();
    }

    fn mss(&self) -> u32 {
        let (host, id) = self.ends[0];
        self.world
            .stack(host)
            .info(self.world.now(), id)
            .expect("it lives")
            .snd_mss
    }

    /// How long until something arrives that was not under way beyond the narrow place at the drop.
    fn time_to_progress(&mut self) -> Duration {
        let start = self.world.now();
        self.run_for(ONE_WAY);
        let before = self.read;
        while self.read == before {
            self.run_for(Duration::from_millis(1));
            assert!(
                self.world.now().since(start) < Duration::from_secs(60),
                "{:?}",
                self.case
            );
        }
        self.world.now().since(start)
    }
}

/// Octets of text in the segments of an IP packet of `mtu`.
fn mss(v6: bool, mtu: u32) -> u32 {
    mtu - if v6 { 60 } else { 40 } - 12
}

/// Runs the story; the time to progress, and the log's hash.
fn story(case: Case) -> (Duration, u64) {
    let mut log = Log::default();
    let took = {
        let mut flow = Flow::new(case, &mut log);
        flow.run_for(10 * RTT);
        assert_eq!(flow.mss(), mss(case.v6, 1500));
        flow.set_mtu(case.narrow);
        let took = flow.time_to_progress();
        // Soon it sends as much as passes, or nearly: a search stops eight octets apart.
        flow.run_for(if case.narrow < 1280 { 150 } else { 40 } * RTT);
        let narrow = mss(case.v6, case.narrow as u32);
        let found = flow.mss();
        assert!(
            found <= narrow && found + 8 >= narrow,
            "{found} of {narrow}: {case:?}"
        );
        let before = flow.read;
        flow.run_for(10 * RTT);
        assert!(
            flow.read - before > 500_000,
            "{}: {case:?}",
            flow.read - before
        );
        // The path is whole again. What a router said holds for ten minutes; what was found, as long as configured.
        flow.set_mtu(1500);
        if case.reported {
            let now = flow.world.now();
            flow.world.run_until(now + Duration::from_secs(601));
        } else {
            flow.run_for(SEARCH_AGAIN);
        }
        flow.run_for(20 * RTT);
        assert_eq!(flow.mss(), mss(case.v6, 1500), "{case:?}");
        let _ = flow.listener;
        took
    };
    (took, log.hash())
}

#[test]
fn a_transfer_survives_a_path_that_narrows() {
    for v6 in [false, true] {
        for forth in [true, false] {
            for reported in [true, false] {
                for gso_max in [0, 65_535] {
                    let case = Case {
                        v6,
                        forth,
                        reported,
                        narrow: 1280,
                        gso_max,
                    };
                    let (took, hash) = story(case);
                    assert_eq!((took, hash), story(case), "the same again");
                    let rtts = took.as_secs_f64() / RTT.as_secs_f64();
                    let family = if v6 { "v6" } else { "v4" };
                    let icmp = if reported { "reported" } else { "filtered" };
                    println!(
                        "{family} {icmp} forth={forth} gso={gso_max}: {rtts:.1} RTT from the drop to progress"
                    );
                    let most = if reported { 2.0 } else { 6.0 };
                    assert!(rtts <= most, "{rtts:.1} RTT: {case:?}");
                }
            }
        }
    }
}

/// IPv4 paths may carry less than where a search begins.
#[test]
fn even_through_a_very_narrow_one() {
    for (narrow, most) in [(1000, 8.0), (600, 8.0)] {
        let case = Case {
            v6: false,
            forth: true,
            reported: false,
            narrow,
            gso_max: 0,
        };
        let (took, hash) = story(case);
        assert_eq!((took, hash), story(case), "the same again");
        let rtts = took.as_secs_f64() / RTT.as_secs_f64();
        println!("v4 filtered, {narrow} octets: {rtts:.1} RTT");
        assert!(rtts <= most, "{rtts:.1} RTT");
    }
}

/// What one connection's search found behind a silent narrow place serves the next one: it loses nothing, until what was found is
/// old.
#[test]
fn the_next_connection_does_not_pay_for_it_again() {
    for v6 in [false, true] {
        let case = Case {
            v6,
            forth: true,
            reported: false,
            narrow: 1300,
            gso_max: 0,
        };
        let mut log = Log::default();
        let mut flow = Flow::new(case, &mut log);
        flow.run_for(10 * RTT);
        flow.set_mtu(case.narrow);
        flow.run_for(90 * RTT);
        let found = flow.mss();
        assert!(found < mss(v6, 1500));
        let [(left, _), (right, _)] = flow.ends;
        for (later, knows) in [(0, true), (601, false)] {
            let now = flow.world.now();
            flow.world.run_until(now + Duration::from_secs(later));
            let to = flow.world.with_stack(right, |stack, _| {
                stack.listener_address(flow.listener).expect("it listens")
            });
            let client = flow.world.with_stack(left, |stack, now| {
                stack.connect(now, to, None).expect("a route")
            });
            let now = flow.world.now();
            flow.world.run_until(now + 2 * RTT);
            let listener = flow.listener;
            let server = flow
                .world
                .with_stack(right, |stack, _| stack.accept(listener).expect("a client"));
            flow.ends = [(left, client), (right, server)];
            (flow.written, flow.read) = (0, 0);
            flow.run_for(10 * RTT);
            let info = flow.world.stack(left).info(flow.world.now(), client);
            let info = info.expect("it lives");
            assert_eq!(info.total_retrans == 0, knows, "{info:?}");
            assert_eq!(info.snd_mss == found, knows, "{} of {found}", info.snd_mss);
        }
    }
}
