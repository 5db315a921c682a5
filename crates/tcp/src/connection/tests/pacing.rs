//! Text spread over time.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::super::*;
use super::bench::Bench;
use super::pair::{Pair, octets};
use crate::Pacing;
use crate::congestion::NewReno;

const MSS: usize = 1448;

fn always() -> Config {
    Config {
        pacing: Pacing::Always,
        congestion: Arc::new(NewReno::factory()),
        ..Config::default()
    }
}

/// Microseconds since it began at which side 0 sent text, and how much at each.
fn departures(pair: &mut Pair, time: Duration) -> Vec<(u64, usize)> {
    let start = pair.now;
    let mut departures: Vec<(u64, usize)> = Vec::new();
    let mut seen = 0;
    pair.transmit();
    loop {
        let at = pair.now.since(start).as_micros() as u64;
        for (side, _, _, len) in &pair.log[seen..] {
            match departures.last_mut() {
                _ if *side != 0 || *len == 0 => {}
                Some((last, octets)) if *last == at => *octets += len,
                _ => departures.push((at, *len)),
            }
        }
        seen = pair.log.len();
        if pair.next().is_none_or(|next| next > start + time) || !pair.step() {
            return departures;
        }
    }
}

#[test]
fn the_initial_window_goes_at_once_and_the_rest_is_spread() {
    let mut pair = Pair::open(always());
    // The handshake of a `Pair` takes no time.
    let config = Config::default();
    let mut rtt = RttEstimator::new(config.initial_rto, config.min_rto, config.max_rto);
    rtt.sample(Duration::from_millis(20));
    pair.end(0).rtt = rtt;
    pair.write(0, &octets(60 * MSS));
    let departures = departures(&mut pair, Duration::from_millis(39));
    assert_eq!(departures[0], (0, 10 * MSS), "RFC 6928");
    // One acknowledgement of all: cwnd is 12 then (RFC 3465, L = 2). Twice 12 segments in 20 ms, in bursts of two.
    let expected: Vec<_> = (0..6).map(|n| (20_000 + n * 5_000 / 3, 2 * MSS)).collect();
    let near = |(one, other): (&(u64, usize), &(u64, usize))| {
        one.0.abs_diff(other.0) <= 1 && one.1 == other.1
    };
    let rest = &departures[1..];
    assert_eq!(rest.len(), 6, "{rest:?}");
    assert!(rest.iter().zip(&expected).all(near), "{rest:?}");
}

#[test]
fn unpaced_is_not_spread() {
    for pacing in [Pacing::Off, Pacing::Algorithm] {
        let mut pair = Pair::open(Config {
            pacing,
            ..super::unprobed()
        });
        pair.write(0, &octets(60 * MSS));
        let departures = departures(&mut pair, Duration::from_millis(39));
        let at: Vec<_> = departures.iter().map(|one| one.0).collect();
        assert_eq!(at, [0, 20_000], "{pacing:?}");
    }
}

#[test]
fn the_users_bound_holds_whatever_the_algorithm_says() {
    for pacing in [Pacing::Algorithm, Pacing::Always] {
        let mut pair = Pair::open(Config {
            pacing,
            max_pacing_rate: Some(100_000),
            send_buffer: 1 << 20,
            send_buffer_start: 1 << 20,
            receive_buffer_start: 1 << 20,
            ..Config::default()
        });
        pair.write(0, &octets(400 * MSS));
        let departures = departures(&mut pair, Duration::from_secs(3));
        let after: Vec<_> = departures.iter().filter(|one| one.0 >= 500_000).collect();
        let sent: usize = after.iter().map(|one| one.1).sum();
        assert!((245_000..255_000).contains(&sent), "{sent} in 2.5 s");
        let info = pair.end(0).info(Instant::ZERO);
        assert_eq!((info.pacing_rate, info.max_pacing_rate), (100_000, 100_000));
    }
}

/// What is sent again is paced like everything else.
#[test]
fn a_repair_is_spread() {
    let mut pair = Pair::open(Config {
        max_pacing_rate: Some(145_000),
        ..Config::default()
    });
    // The initial window leaves at once; of what follows it, four in a row are lost.
    pair.drop = Box::new(|side, count, _| side == 0 && (12..16).contains(&count));
    pair.write(0, &octets(40 * MSS));
    let start = pair.log.len();
    let mut times: Vec<Instant> = Vec::new();
    let mut seen = start;
    let end = pair.now + Duration::from_secs(2);
    while pair.now < end && pair.step() {
        for (side, reason, _, len) in &pair.log[seen..] {
            if *side == 0 && *len > 0 && reason.is_retransmission() {
                times.push(pair.now);
            }
        }
        seen = pair.log.len();
    }
    assert_eq!(times.len(), 4);
    // Two segments a burst, 20 ms each burst.
    let took = times[3].since(times[0]);
    assert!(took >= Duration::from_millis(19), "{took:?}");
}

#[test]
fn the_first_after_a_timeout_is_not_held() {
    let mut bench = Bench::new();
    let config = Config {
        max_pacing_rate: Some(1_000),
        mtu_probing: false,
        initial_window: 1,
        ..super::unprobed()
    };
    bench.connection.set_config(bench.now, Arc::new(config));
    let mut cx = Context::unwatched(bench.now);
    bench.connection.set_nodelay(true);
    bench.connection.write(&mut cx, &[7; 1000]).unwrap();
    assert_eq!(bench.out().len(), 1);
    let mut cx = Context::unwatched(bench.now);
    bench.connection.write(&mut cx, &[7; 20]).unwrap();
    bench
        .segment(crate::segment::Flags::ACK, 1, 1001, b"")
        .unwrap();
    assert_eq!(bench.out().len(), 1);
    assert!(bench.connection.timers.runs(Timer::Retransmission));
    bench.now = bench.connection.poll_timeout().unwrap();
    bench
        .connection
        .handle_timeout(&mut Context::unwatched(bench.now));
    let out = bench.out();
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].4, Reason::Timeout);
}

/// A clock that only knows milliseconds, and rings late, does not lower the rate.
#[test]
fn a_coarse_clock_keeps_the_rate() {
    for step in [1, 1_000, 3_000] {
        let mut pair = Pair::open(Config {
            max_pacing_rate: Some(5_000_000),
            send_buffer: 1 << 20,
            send_buffer_start: 1 << 20,
            receive_buffer_start: 1 << 20,
            receive_buffer: 4 << 20,
            ..Config::default()
        });
        let start = pair.now;
        let (begin, end) = (
            start + Duration::from_millis(500),
            start + Duration::from_millis(1_500),
        );
        let mut before = 0;
        let mut wakes = 0;
        while pair.now < end {
            if pair.now < begin {
                before = pair.log.len();
            }
            pair.write(0, &octets(100_000));
            pair.read(1, 1 << 20);
            let micros = pair.next().unwrap().max(pair.now).as_micros();
            pair.now = Instant::from_micros(micros.div_ceil(step) * step);
            pair.step();
            wakes += 1;
        }
        let sent: usize = pair.log[before..]
            .iter()
            .filter(|one| one.0 == 0)
            .map(|one| one.3)
            .sum();
        assert!((4_950_000..5_050_000).contains(&sent), "{step}: {sent}");
        assert!(wakes < 12_000, "{step}: {wakes}");
    }
}

#[test]
fn an_end_leaves_no_timer() {
    let mut pair = Pair::open(Config {
        max_pacing_rate: Some(10_000),
        ..Config::default()
    });
    pair.write(0, &octets(60 * MSS));
    pair.run_for(Duration::from_millis(30));
    let held_until = pair.end(0).pacer().and_then(Pacer::deadline);
    assert!(held_until > Some(pair.now));
    pair.call(0, Connection::abort);
    assert_eq!(pair.end(0).poll_timeout(), None);
}
