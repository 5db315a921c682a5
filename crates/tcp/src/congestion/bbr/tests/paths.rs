//! How much of a path BBR fills.

use proptest::prelude::*;

use super::*;

/// Megabits a second, round trip, queue in percent of the bandwidth-delay product, loss a thousand; least percent of the link
/// after the first second.
#[test]
fn links_are_filled() {
    for (mbit, rtt, queue, loss, least) in [
        (100, 20, 25, 0, 95),
        (100, 20, 100, 0, 95),
        (100, 20, 400, 0, 95),
        (100, 20, 100, 1, 95),
        (100, 20, 100, 10, 91),
        (100, 2, 25, 0, 95),
        (10, 20, 100, 0, 95),
        (10, 20, 100, 10, 85),
        (1000, 20, 100, 0, 95),
        (1000, 20, 100, 10, 90),
    ] {
        let mut world = World::new(mbit * MBIT, rtt, queue).with_flow();
        world.path.loss_permille = loss;
        let first = world.share(0, 1000);
        let rest = world.share(0, 15_000);
        assert!(
            first >= 70,
            "{mbit} M, {rtt} ms, queue {queue} %, loss {loss}: {first} %"
        );
        assert!(
            rest >= least,
            "{mbit} M, {rtt} ms, queue {queue} %, loss {loss}: {rest} %"
        );
    }
}

/// Half the rate: what is lost meanwhile, and what is used afterwards.
#[test]
fn half_the_rate_in_mid_flow() {
    let mut world = World::new(100 * MBIT, 20, 100).with_flow();
    world.run(4000);
    world.path.rate /= 2;
    world.path.queue /= 2;
    world.run(9000);
    assert!(world.flows[0].bbr.max_bw() <= 52 * MBIT);
    let share = world.share(0, 20_000);
    assert!(share >= 93, "{share}");
}

/// A longer way: the least round trip is forgotten in ten seconds.
#[test]
fn a_longer_round_trip_is_learnt() {
    let mut world = World::new(100 * MBIT, 20, 400).with_flow();
    world.run(4000);
    world.path.rtt = Duration::from_millis(60);
    world.run(20_000);
    assert!(world.flows[0].bbr.min_rtt.unwrap() >= Duration::from_millis(60));
    let share = world.share(0, 30_000);
    assert!(share >= 93, "{share}");
}

/// A queue that is full for as long as it lasts is not what BBR keeps: in cruise, what flies is about what the pipe holds.
#[test]
fn the_queue_is_short_between_probes() {
    let mut world = World::new(100 * MBIT, 20, 400).with_flow();
    world.run(800);
    let mut most = 0;
    world.run_until(1400, |world| {
        most = world.flows[0].in_flight.max(most);
        false
    });
    assert_eq!(world.flows[0].bbr.state, State::ProbeBwCruise);
    assert!(most <= world.bdp() * 105 / 100, "{most} of {}", world.bdp());
}

fn jain(shares: &[u64]) -> u64 {
    let sum: u64 = shares.iter().sum();
    let squares: u64 = shares.iter().map(|share| share * share).sum();
    sum * sum * 1000 / (squares * shares.len() as u64)
}

fn shares(world: &mut World, until: u64) -> Vec<u64> {
    let (from, before) = (world.now, delivered(world));
    world.run(until);
    let possible = model::volume(world.path.rate, world.now.since(from));
    let after = delivered(world);
    let each = before.iter().zip(after);
    each.map(|(before, after)| (after - before) * 1000 / possible)
        .collect()
}

fn delivered(world: &World) -> Vec<u64> {
    let each = world.flows.iter();
    each.map(|flow| flow.delivery.delivered()).collect()
}

#[test]
fn flows_share_and_late_comers_converge() {
    for (flows, queue, late) in [(2, 100, 0), (2, 100, 10_000), (4, 400, 0), (2, 25, 5000)] {
        let mut world = World::new(100 * MBIT, 20, queue).with_flow();
        for n in 1..flows {
            world.run(late * n + n);
            world.add_flow();
        }
        world.run(30_000);
        let shares = shares(&mut world, 45_000);
        assert!(
            jain(&shares) >= 900,
            "{flows} flows, queue {queue} %, late {late} ms: {shares:?}"
        );
        assert!(shares.iter().sum::<u64>() >= 930, "{shares:?}");
    }
}

/// Same inputs, same outcome.
#[test]
fn it_is_deterministic() {
    let run = || {
        let mut world = World::new(100 * MBIT, 20, 25).with_flow();
        world.path.loss_permille = 5;
        world.run(8000);
        world.flows[0].seen.clone()
    };
    assert_eq!(run(), run());
}

fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![0..10u64, 0..1_000_000u64, any::<u64>().prop_map(|n| n >> 2)]
}

fn any_time() -> impl Strategy<Value = Duration> {
    prop_oneof![
        any_number().prop_map(Duration::from_nanos),
        (0..2000u64).prop_map(Duration::from_millis),
        Just(Duration::MAX)
    ]
}

proptest! {
    /// Whatever a peer makes of the figures: no panic, always room for a segment, always a rate.
    #[test]
    fn absurd_figures_are_survived(
        events in proptest::collection::vec(
            (0..8u8, any_number(), any_number(), any_number(), any_time(), any_time(), any::<bool>()),
            1..200,
        )
    ) {
        let mut bbr = Bbr::new(1448, 10 * MSS);
        let (mut now, mut delivered) = (Instant::ZERO, 0u64);
        for (what, a, b, c, one, two, flag) in events {
            now += one.min(Duration::from_secs(8));
            match what {
                0 => bbr.on_trouble(now, Trouble::Loss, a),
                1 => bbr.on_trouble(now, Trouble::Timeout, a),
                2 => bbr.on_trouble(now, Trouble::Marked, a),
                3 => bbr.on_recovered(now),
                4 => bbr.undo(now),
                5 => bbr.on_lost(now, &LostText { octets: a, tx_in_flight: b, lost: c, delivered: a, app_limited: flag }),
                6 => bbr.on_sent(&SentText { now, octets: a, in_flight: b, total_delivered: delivered, app_limited: flag, again: false }),
                _ => {
                    let newly = a >> 12;
                    delivered += newly;
                    bbr.on_ack(&AckSample {
                        now,
                        acked: newly,
                        delivered: newly,
                        prior_in_flight: b,
                        in_flight: c,
                        rtt: flag.then_some(two),
                        srtt: Some(two),
                        min_rtt: Some(one.min(two)),
                        total_delivered: delivered,
                        rate: Some(crate::congestion::RateSample {
                            delivered: a,
                            interval: one,
                            prior_delivered: delivered.saturating_sub(b),
                            tx_in_flight: c,
                            lost: b,
                            marked: 0,
                            app_limited: !flag,
                            rtt: two,
                        }),
                        ..AckSample::default()
                    });
                }
            }
            prop_assert!(bbr.window() >= MSS);
            prop_assert!(bbr.pacing_rate().unwrap() > 0);
        }
    }
}
