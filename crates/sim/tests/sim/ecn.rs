//! A bottleneck that marks: the sender slows down, and nothing is lost. Without ECN the same queue overflows.

use std::sync::Arc;
use std::time::Duration;

use crate::log::Log;
use woshou_sim::link::ecn::Marking;
use woshou_sim::link::queue::Queue;
use woshou_sim::link::rate::Rate;
use woshou_sim::{Host, HostId, Path, Traffic, World};
use woshou_stack::ConnId;

use woshou_tcp::{Config, EcnPolicy, Instant};

/// Octets of text.
const TEXT: u64 = 3_000_000;
/// The bottleneck sends so many bits a second: 1.2 ms for a full packet.
const RATE: u64 = 10_000_000;
/// One way; what flies in 40 ms at this rate is 50,000 octets.
const ONE_WAY: Duration = Duration::from_millis(20);

/// What came of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    traffic: Traffic,
    agreed: bool,
    resent: u64,
    /// The least congestion window after the first reduction, and the greatest of all.
    windows: (u64, u64),
    /// Milliseconds.
    took: u64,
    hash: u64,
}

/// The bottleneck: its queue holds 200,000 octets, and it marks above 40,000.
fn path() -> Path {
    Path {
        rate: Some(Rate::new(RATE)),
        queue: Queue {
            octets: Some(200_000),
            packets: None,
        },
        marking: Some(Marking { above: 40_000 }),
        ..Path::delayed(ONE_WAY)
    }
}

fn host(n: u8, ecn: EcnPolicy) -> Host {
    Host {
        tcp: Arc::new(Config {
            ecn,
            ..Config::default()
        }),
        ..Host::new(
            "host",
            [10, 0, 0, n].into(),
            [0xfd00, 0, 0, 0, 0, 0, 0, u16::from(n)].into(),
        )
    }
}

/// Writes what fits, reads what is there, checks it.
fn turn(world: &mut World<'_>, ends: [(HostId, ConnId); 2], written: &mut u64, read: &mut u64) {
    let [(left, client), (right, server)] = ends;
    *written += world.with_stack(left, |stack, now| {
        let end = TEXT.min(*written + 60_000);
        let chunk: Vec<u8> = (*written..end).map(|n| (n % 251) as u8).collect();
        stack.write(now, client, &chunk).unwrap_or(0) as u64
    });
    *read += world.with_stack(right, |stack, now| {
        let mut buffer = [0; 65_536];
        let count = stack.read(now, server, &mut buffer).unwrap_or(0);
        for (n, octet) in (*read..).zip(&buffer[..count]) {
            assert_eq!(u64::from(*octet), n % 251);
        }
        count as u64
    });
}

/// Text from one host to another, over the bottleneck.
fn transfer(policies: [EcnPolicy; 2], v6: bool) -> Seen {
    let mut log = Log::default();
    let mut world = World::watched(7, &mut log);
    let hosts = [host(1, policies[0]), host(2, policies[1])];
    let to = (hosts[1].addresses()[usize::from(v6)], 80).into();
    let [left, right] = hosts.map(|host| world.add_host(host));
    world.add_link(left, right, path(), path());
    let listener = world.with_stack(right, |stack, _| stack.listen(to, 5).expect("free"));
    let client = world.with_stack(left, |stack, now| {
        stack.connect(now, to, None).expect("a route")
    });
    world.run_until(Instant::from_millis(200));
    let server = world.with_stack(right, |stack, _| stack.accept(listener).expect("a client"));
    let (mut written, mut read, mut millis) = (0, 0, 200);
    let (mut least, mut most) = (u64::MAX, 0);
    let info = loop {
        let ends = [(left, client), (right, server)];
        turn(&mut world, ends, &mut written, &mut read);
        millis += 5;
        world.run_until(Instant::from_millis(millis));
        let info = world.with_stack(left, |stack, now| stack.info(now, client).expect("there"));
        most = most.max(info.cwnd);
        if info.ssthresh < most {
            least = least.min(info.cwnd);
        }
        assert!(millis < 20_000, "{read} of {TEXT}");
        if read == TEXT {
            break info;
        }
    };
    let traffic = world.traffic();
    drop(world);
    Seen {
        traffic,
        agreed: info.ecn,
        resent: info.total_retrans,
        windows: (least, most),
        took: millis,
        hash: log.hash(),
    }
}

#[test]
fn marks_slow_the_sender_and_nothing_is_lost() {
    for v6 in [false, true] {
        let seen = transfer([EcnPolicy::Request, EcnPolicy::Accept], v6);
        assert_eq!(seen, transfer([EcnPolicy::Request, EcnPolicy::Accept], v6));
        println!("{seen:?}");
        assert!(seen.agreed);
        assert_eq!((seen.traffic.lost, seen.resent), (0, 0));
        assert!(seen.traffic.marked > 10);
        let (least, most) = seen.windows;
        assert!(least <= most * 6 / 10, "{:?}", seen.windows);
        // 3 MB take 2.4 s at this rate: the queue never runs dry for long.
        assert!(seen.took < 3_200, "{} ms", seen.took);
    }
}

#[test]
fn what_is_not_capable_is_not_marked_but_lost() {
    for policies in [
        [EcnPolicy::Off, EcnPolicy::Accept],
        [EcnPolicy::Request, EcnPolicy::Off],
    ] {
        let seen = transfer(policies, false);
        println!("{seen:?}");
        assert!(!seen.agreed);
        assert_eq!(seen.traffic.marked, 0);
        assert!(seen.traffic.lost > 0 && seen.resent > 0);
    }
}
