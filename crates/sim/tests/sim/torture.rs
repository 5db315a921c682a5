//! Both sides send at once over a link that loses, reorders, doubles and corrupts, both ways. Every octet has
//! to be right and both ends CLOSED, whatever the seed.
//!
//! - `WOSHOU_SEEDS=1000 cargo test --release -p woshou-sim --test sim every_octet` runs that many seeds (default 200);
//! - `WOSHOU_SEED=17 cargo test -p woshou-sim --test sim every_octet -- --nocapture` replays one and prints its log.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::log::Log;
use woshou_sim::app::{Finish, Pieces, Role};
use woshou_sim::link::delay::Delay;
use woshou_sim::link::loss::{Bursts, Loss};
use woshou_sim::link::queue::Queue;
use woshou_sim::link::rate::Rate;
use woshou_sim::link::reorder::Reordering;
use woshou_sim::seed::{Chance, Stream};
use woshou_sim::{Content, Conversation, Host, Outcome, Path, Script, Side, scenario};
use woshou_tcp::{Config, Instant, SeqNum};

/// 2 MSL, as by default.
const TIME_WAIT: Duration = Duration::from_secs(60);

/// A number in `from..=to`.
fn within(chance: &mut Chance, from: u64, to: u64) -> u64 {
    chance.draw().within(from, to)
}

fn millis(chance: &mut Chance, from: u64, to: u64) -> Duration {
    Duration::from_millis(within(chance, from, to))
}

fn coin(chance: &mut Chance) -> bool {
    chance.draw().hits(0.5)
}

/// 5 % of everything, over a link of some speed.
fn path(chance: &mut Chance) -> Path {
    let bursts = coin(chance).then_some(Bursts {
        begin: 0.005,
        end: 0.7,
        chance: 0.8,
    });
    Path {
        mtu: None,
        marking: None,
        queue: Queue {
            octets: Some(within(chance, 8, 64) * 1024),
            packets: None,
        },
        rate: coin(chance).then(|| Rate::new(within(chance, 1, 50) * 1_000_000)),
        loss: Loss {
            chance: 0.05,
            bursts,
            ..Loss::default()
        },
        corruption: 0.05,
        duplication: 0.05,
        delay: Delay {
            fixed: millis(chance, 1, 40),
            jitter: millis(chance, 0, 10),
            overtakes: coin(chance),
        },
        reordering: Reordering {
            chance: 0.05,
            hold: millis(chance, 1, 60),
            ..Reordering::default()
        },
        ..Path::default()
    }
}

fn host(chance: &mut Chance, side: Side) -> Host {
    let tcp = Config {
        timestamps: coin(chance),
        sack: coin(chance),
        window_scaling: coin(chance),
        nagle: coin(chance),
        receive_buffer: 1 << within(chance, 12, 20),
        send_buffer: 1 << within(chance, 12, 20),
        time_wait: TIME_WAIT,
        ..Config::default()
    };
    Host {
        tcp: Arc::new(tcp),
        mtu: 1280 + 20 * within(chance, 0, 11) as usize,
        gso_max: if coin(chance) { 65_535 } else { 0 },
        checksum_offload: coin(chance),
        owned_buffers: coin(chance),
        ..scenario::host(side)
    }
}

/// Who closes, and when.
fn finishes(chance: &mut Chance) -> [Finish; 2] {
    match within(chance, 0, 3) {
        0 => [Finish::WhenSent, Finish::WhenSent],
        1 => [Finish::WhenSent, Finish::WhenPeerCloses],
        2 => [Finish::WhenPeerCloses, Finish::WhenSent],
        _ => [Finish::WhenReceived, Finish::WhenReceived],
    }
}

fn conversation(seed: u64) -> Conversation {
    let mut chance = Chance::new(seed, Stream::Scenario);
    let chance = &mut chance;
    let hosts = Side::BOTH.map(|side| host(chance, side));
    let v6 = coin(chance);
    let [left, right] = [(0, 3337), (1, 7788)].map(|(n, port): (usize, u16)| {
        let address = if v6 {
            IpAddr::from(hosts[n].v6)
        } else {
            hosts[n].v4.into()
        };
        SocketAddr::new(address, port)
    });
    let [said, answered] = [1, 2].map(|salt| Content::Random {
        seed: seed.wrapping_mul(2).wrapping_add(salt),
        len: within(chance, 50_000, 150_000),
    });
    let finish = finishes(chance);
    let pieces = [0, 1].map(|n| {
        let most = 1 << within(chance, 4, 15);
        Pieces::Chance(Box::new(Chance::new(seed, Stream::App(n))), most)
    });
    let simultaneous = chance.draw().hits(0.1);
    let role = |to, from| Role::Connect {
        to,
        from: Some(from),
        after: Duration::ZERO,
    };
    let answers = Script::listening(right, answered, said);
    let [left_pieces, right_pieces] = pieces;
    let scripts = [
        Script {
            role: role(right, left),
            finish: finish[0],
            pieces: left_pieces,
            ..Script::connecting(right, said, answered)
        },
        Script {
            role: if simultaneous {
                role(left, right)
            } else {
                answers.role
            },
            finish: finish[1],
            pieces: right_pieces,
            ..answers
        },
    ];
    // Within 150 kB of the end of the circle, so that some wrap, at different places.
    let isns = [(); 2].map(|()| {
        let before = within(chance, 0, 200_000) as u32;
        Some(SeqNum(u32::MAX - before))
    });
    Conversation {
        forth: path(chance),
        back: path(chance),
        isns,
        limit: Instant::from_millis(3 * 3_600_000),
        ..Conversation::new(hosts, scripts.map(Some))
    }
}

/// What is wrong, and the one line that shows it again.
fn complaint(seed: u64, fault: &str) -> String {
    let test = "cargo test -p woshou-sim --test sim every_octet -- --nocapture";
    format!("seed {seed}: {fault}\n  replay: WOSHOU_SEED={seed} {test}")
}

/// Prints the log when the seed fails, or when asked to.
fn torture(seed: u64, aloud: bool) -> Result<Outcome, String> {
    let run = |mut log: Log| {
        let outcome = conversation(seed).run(seed, &mut log);
        (outcome, log)
    };
    let (outcome, log) = if aloud {
        run(Log::verbose())
    } else {
        run(Log::default())
    };
    for line in log.lines.iter().flatten() {
        println!("{line}");
    }
    match outcome.check() {
        Ok(()) => Ok(outcome),
        Err(fault) => Err(format!(
            "{}\n  {outcome:?}",
            complaint(seed, &fault.to_string())
        )),
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|value| value.parse().expect("a number"))
}

#[test]
fn every_octet_arrives_whatever_the_seed() {
    if let Some(seed) = number("WOSHOU_SEED") {
        println!("{:#?}", conversation(seed));
        let outcome = torture(seed, true).unwrap_or_else(|failure| panic!("{failure}"));
        println!("{outcome:#?}");
        return;
    }
    let seeds = number("WOSHOU_SEEDS").unwrap_or(200);
    let next = AtomicU64::new(0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let work = || {
            let mut failures = Vec::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds {
                    return failures;
                }
                // A panic of the stack is a failure of this seed, and must name it.
                let run = std::panic::catch_unwind(|| torture(seed, false));
                match run {
                    Ok(Ok(_)) => {}
                    Ok(Err(failure)) => failures.push((seed, failure)),
                    Err(_) => failures.push((seed, complaint(seed, "panicked"))),
                }
            }
        };
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let mut failures: Vec<_> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        failures.sort();
        failures.into_iter().map(|(_, failure)| failure).collect()
    });
    assert!(
        failures.is_empty(),
        "{} of {seeds} seeds:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn the_torture_is_one() {
    // Over some seeds, everything bad happens, and a seed repeats exactly.
    let mut total = woshou_sim::Traffic::default();
    for seed in 0..8 {
        let once = || {
            let mut log = Log::default();
            let outcome = conversation(seed).run(seed, &mut log);
            (log.hash(), outcome)
        };
        let first = once();
        assert_eq!(first, once(), "seed {seed}");
        let traffic = first.1.traffic;
        total.left += traffic.left;
        for (sum, part) in [
            (&mut total.lost, traffic.lost),
            (&mut total.corrupted, traffic.corrupted),
            (&mut total.duplicated, traffic.duplicated),
            (&mut total.held, traffic.held),
        ] {
            *sum += part;
        }
    }
    for (what, count) in [
        ("lost", total.lost),
        ("corrupted", total.corrupted),
        ("doubled", total.duplicated),
        ("held", total.held),
    ] {
        let share = count as f64 / total.left as f64;
        assert!((0.03..0.15).contains(&share), "{what}: {share}");
    }
}

#[test]
fn repairs_are_quick() {
    // The median and the slowest but 2 % of 100 kB both ways: the loss of a tenth of all packets costs time,
    // but a measured round trip must never include a wait for the retransmission timer.
    let mut seconds: Vec<_> = (0..200)
        .map(|seed| (conversation(seed).run(seed, &mut ()).took - TIME_WAIT).as_secs_f64())
        .collect();
    seconds.sort_by(f64::total_cmp);
    let (median, slow) = (seconds[100], seconds[195]);
    assert!(
        median < 4.0 && slow < 30.0,
        "median {median} s, all but 2 %: {slow} s"
    );
}
