//! Idle connections cost memory and nothing else.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod pair;

use std::time::Duration;

use pair::{Pair, at, pattern};
use woshou_stack::{Config, ConnId};

/// Opens `count` connections and accepts them; the first pair is returned.
fn open(pair: &mut Pair, count: usize) -> (ConnId, ConnId) {
    pair.keep_log = false;
    pair.delay = Duration::from_micros(10);
    let mut first = None;
    for batch in 0..count.div_ceil(500) {
        let to = at("10.0.0.2", 1000 + (batch / 20) as u16);
        let listener = match pair.stacks[1].listen(to, 1000) {
            Ok(listener) => listener,
            Err(_) => panic!("a listener a batch"),
        };
        let opened: Vec<_> = (0..500.min(count - batch * 500))
            .map(|_| pair.stacks[0].connect(pair.now, to, None).unwrap())
            .collect();
        pair.run_for(Duration::from_millis(1));
        let mut accepted = Vec::new();
        while let Some(server) = pair.stacks[1].accept(listener) {
            accepted.push(server);
        }
        assert_eq!(accepted.len(), opened.len());
        first = first.or(Some((opened[0], accepted[0])));
        // Without its port in use again, the next batch may listen there.
        pair.stacks[1].close_listener(pair.now, listener);
        for side in 0..2 {
            while pair.stacks[side].poll_event().is_some() {}
            pair.events[side].clear();
        }
    }
    first.unwrap()
}

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        * 4096
}

/// Nanoseconds of real time for one small request and response.
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a measurement of real time"
)]
fn round(pair: &mut Pair, (client, server): (ConnId, ConnId)) -> u128 {
    const ROUNDS: u32 = 5_000;
    let text = pattern(100);
    let mut best = u128::MAX;
    for _ in 0..5 {
        let start = std::time::Instant::now();
        for _ in 0..ROUNDS {
            assert_eq!(pair.transfer(0, (client, server), &text).len(), 100);
            assert_eq!(pair.transfer(1, (server, client), &text).len(), 100);
        }
        best = best.min(start.elapsed().as_nanos() / u128::from(ROUNDS));
    }
    best
}

#[test]
fn idle_connections_have_no_timer_and_no_output() {
    let mut pair = Pair::new();
    let _ = open(&mut pair, 1_000);
    assert_eq!(pair.stacks[0].connections().len(), 1_000);
    pair.run_for(Duration::from_secs(10));
    for side in 0..2 {
        assert_eq!(pair.stacks[side].poll_timeout(), None);
        assert!(pair.stacks[side].poll_transmit(pair.now).is_none());
    }
}

#[test]
#[ignore = "compares real times; prints figures"]
fn a_hundred_thousand() {
    let few = {
        let mut pair = Pair::new();
        let ids = open(&mut pair, 10);
        round(&mut pair, ids)
    };
    let mut pair = Pair::with(Config::default(), |_, link| link);
    let before = resident();
    let ids = open(&mut pair, 100_000);
    let each = (resident() - before) / 200_000;
    pair.run_for(Duration::from_secs(10));
    let many = round(&mut pair, ids);
    println!(
        "{each} octets a connection end; a round of four packets: {few} ns among 10, {many} ns among 100,000"
    );
    assert!(many < few * 2, "{few} ns, then {many} ns");
    assert!(each < 4096);
}
