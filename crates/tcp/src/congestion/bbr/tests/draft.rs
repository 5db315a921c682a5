//! The draft's own test cases (section 10).

use super::*;

fn steady() -> World {
    World::new(100 * MBIT, 20, 100).with_flow()
}

/// A queue that Startup does not overflow.
fn deep() -> World {
    World::new(100 * MBIT, 20, 400).with_flow()
}

fn bbr(world: &World) -> &Bbr {
    &world.flows[0].bbr
}

/// 10.1, 10.3.
#[test]
fn startup_ends_at_a_plateau_and_drains() {
    let mut world = deep();
    world.run_to(State::Drain, 1000);
    let max_bw = bbr(&world).max_bw();
    assert!(
        max_bw.abs_diff(world.path.rate) <= world.path.rate / 50,
        "{max_bw}"
    );
    assert_eq!(
        (bbr(&world).full_bw_count, bbr(&world).full_bw_now),
        (3, true)
    );
    assert!(bbr(&world).full_bw_reached);
    world.run(world.now.as_millis() + 1);
    assert_eq!(
        bbr(&world).pacing_rate,
        max_bw * 99 / 200,
        "half, less the margin"
    );
    world.run_to(State::ProbeBwCruise, 200);
    let (flow, bbr) = (&world.flows[0], bbr(&world));
    assert!(flow.in_flight <= bbr.inflight(bbr.bw));
    assert!(bbr.round_count <= bbr.drain_start_round + 3);
}

/// 10.2, 10.6: what the user holds back has no plateau, but losses count.
#[test]
fn startup_and_probe_end_by_loss_though_the_user_holds_back() {
    let mut world = steady();
    world.flows[0].user_rate = Some(20 * MBIT);
    world.run(3000);
    assert_eq!(bbr(&world).state, State::Startup, "10.7");
    world.path.loss_permille = 150;
    let found = world.run_until(5000, |world| bbr(world).full_bw_reached);
    assert!(found);
    assert!(bbr(&world).inflight_longterm < INFINITY);

    let mut world = steady();
    world.run_to(State::ProbeBwUp, 3000);
    world.flows[0].user_rate = Some(20 * MBIT);
    world.path.loss_permille = 150;
    let ended = world.run_until(2000, |world| bbr(world).state != State::ProbeBwUp);
    assert!(ended && bbr(&world).prev_probe_too_high);
}

/// 10.4.
#[test]
fn drain_ends_after_three_rounds_whatever_flies() {
    let mut world = World::new(100 * MBIT, 20, 400).with_flow();
    world.run_to(State::Drain, 1000);
    world.path.rate /= 4;
    world.run_to(State::ProbeBwDown, 1000);
    let bbr = bbr(&world);
    assert_eq!(bbr.round_count, bbr.drain_start_round + 4);
    assert!(world.flows[0].in_flight > bbr.inflight(bbr.bw));
}

/// 10.5, 10.8.
#[test]
fn a_probe_ends_at_a_plateau_and_drains_what_it_queued() {
    let mut world = steady();
    world.run_to(State::ProbeBwUp, 3000);
    let lost = world.flows[0].lost;
    world.run_to(State::ProbeBwDown, 300);
    assert_eq!(world.flows[0].lost, lost);
    assert!(!bbr(&world).prev_probe_too_high);
    assert_eq!(bbr(&world).pacing_rate, bbr(&world).bw * 90 * 99 / 10_000);
    world.run_to(State::ProbeBwCruise, 500);
    assert!(world.flows[0].in_flight <= bbr(&world).inflight(bbr(&world).max_bw()));
}

/// 10.9: what never drains is probed again all the same.
#[test]
fn down_ends_by_time() {
    let mut world = steady();
    world.run_to(State::ProbeBwUp, 3000);
    world.run_to(State::ProbeBwDown, 300);
    world.path.rate = world.path.rate * 3 / 4;
    world.path.queue *= 4;
    world.run_to(State::ProbeBwRefill, 3200);
    let flow = &world.flows[0];
    let down = flow.entered(State::ProbeBwDown, Instant::ZERO);
    let cruise = flow.entered(State::ProbeBwCruise, *down.last().unwrap());
    assert!(cruise.is_empty(), "{:?}", flow.seen);
}

/// 10.10: every five seconds, for a fifth of one.
#[test]
fn probe_rtt_every_five_seconds() {
    let mut world = steady();
    world.run(31_000);
    let flow = &world.flows[0];
    let entered = flow.entered(State::ProbeRtt, Instant::ZERO);
    assert!((5..=6).contains(&entered.len()), "{entered:?}");
    for at in entered {
        let left = flow.seen.iter().find(|(left, _)| *left > at);
        let Some((left, state)) = left else { continue };
        let took = left.since(at);
        assert!(
            took >= PROBE_RTT_DURATION && took <= Duration::from_millis(280),
            "{took:?}"
        );
        assert_eq!(*state, State::ProbeBwCruise);
    }
}

/// 10.11.
#[test]
fn idle_time_stands_for_probe_rtt() {
    let mut world = steady();
    world.run(4000);
    world.flows[0].user_rate = Some(0);
    world.run(11_000);
    assert_eq!(world.flows[0].in_flight, 0);
    let (cwnd, bw) = (bbr(&world).cwnd, bbr(&world).bw);
    world.flows[0].user_rate = None;
    world.run(11_010);
    assert!(bbr(&world).idle_restart);
    assert_eq!(
        bbr(&world).pacing_rate,
        bw * 99 / 100,
        "at the rate it knew (section 5.4.1)"
    );
    assert_eq!(bbr(&world).cwnd, cwnd);
    world.run(12_000);
    let entered = world.flows[0].entered(State::ProbeRtt, Instant::ZERO);
    assert!(entered.is_empty(), "{entered:?}");
}

/// 10.12, 10.13.
#[test]
fn bunched_acknowledgements_do_not_stall_it() {
    let mut world = steady();
    world.path.aggregation = Duration::from_millis(20);
    world.run_to(State::ProbeBwCruise, 3000);
    let extra = bbr(&world).extra_acked.get(true);
    assert!(extra > world.bdp() / 4, "{extra}");
    assert!(bbr(&world).cwnd > 2 * world.bdp());
    let share = world.share(0, 6000);
    assert!(share >= 90, "{share}");
}

/// 10.14: less than a packet in a round trip.
#[test]
fn a_path_that_holds_less_than_a_packet() {
    let mut world = World::new(MBIT / 4, 10, 100).with_flow();
    world.path.queue = 20 * MSS;
    world.run(4000);
    assert!(bbr(&world).state.is_probe_bw());
    assert!(bbr(&world).cwnd >= 4 * MSS);
    let share = world.share(0, 30_000);
    assert!(share >= 95, "{share}");
}

/// 10.15.
#[test]
fn ten_times_the_rate_is_found() {
    let mut world = World::new(10 * MBIT, 20, 100).with_flow();
    world.run(3000);
    world.path.rate *= 10;
    world.path.queue *= 10;
    let found = world.run_until(6000, |world| {
        bbr(world).max_bw() >= world.path.rate * 9 / 10
    });
    assert!(found, "{}", bbr(&world).max_bw());
}

/// 10.16.
#[test]
fn a_tenth_of_the_rate_is_learnt_in_two_cycles() {
    let mut world = steady();
    world.run(4000);
    world.path.rate /= 10;
    world.path.queue /= 10;
    world.run(4500);
    assert!(bbr(&world).bw_shortterm < 50 * MBIT, "by losses first");
    world.run(12_000);
    assert!(
        bbr(&world).max_bw() <= 11 * MBIT,
        "{}",
        bbr(&world).max_bw()
    );
    let share = world.share(0, 16_000);
    assert!(share >= 85, "{share}");
}

/// 10.18, 10.19: as if nothing had happened.
#[test]
fn a_false_alarm_is_undone() {
    let now = Instant::from_millis(2500);
    let lost = LostText {
        octets: MSS,
        tx_in_flight: 10 * MSS,
        lost: MSS,
        delivered: 10 * MSS,
        app_limited: false,
    };
    for (within, back, trouble) in [
        (State::ProbeBwUp, State::ProbeBwRefill, Trouble::Loss),
        (State::ProbeBwUp, State::ProbeBwRefill, Trouble::Timeout),
        (State::ProbeBwCruise, State::ProbeBwCruise, Trouble::Timeout),
    ] {
        let mut world = deep();
        world.run_to(within, 3000);
        let bbr = &mut world.flows[0].bbr;
        let before = (
            bbr.cwnd,
            bbr.inflight_longterm,
            bbr.inflight_shortterm,
            bbr.bw_shortterm,
        );
        bbr.on_lost(now, &lost);
        bbr.on_trouble(now, trouble, 0);
        assert_ne!(
            (bbr.cwnd, bbr.state, bbr.inflight_longterm),
            (before.0, within, before.1)
        );
        bbr.undo(now);
        let after = (
            bbr.cwnd,
            bbr.inflight_longterm,
            bbr.inflight_shortterm,
            bbr.bw_shortterm,
        );
        assert_eq!((after, bbr.state), (before, back));
        assert!(!bbr.is_loss_in_round);
    }
}

/// D-SACKs come after the repair; what a loss after it finds is saved anew.
#[test]
fn a_false_alarm_is_undone_after_its_repair_until_the_next_loss() {
    let mut world = deep();
    world.run_to(State::ProbeBwCruise, 3000);
    let now = world.now;
    let bbr = &mut world.flows[0].bbr;
    for (longterm, next) in [(9_000, None), (8_000, Some(7_000))] {
        bbr.inflight_longterm = longterm;
        bbr.on_trouble(now, Trouble::Loss, 0);
        bbr.inflight_longterm = 5_000;
        bbr.on_recovered(now);
        if let Some(next) = next {
            bbr.inflight_longterm = next;
            bbr.on_trouble(now, Trouble::Loss, 0);
            bbr.inflight_longterm = 4_000;
        }
        bbr.undo(now);
        assert_eq!(bbr.inflight_longterm, next.unwrap_or(longterm));
    }
}

/// A false alarm ended Startup: it goes on.
#[test]
fn startup_goes_on_after_a_false_alarm() {
    let mut world = steady();
    world.path.loss_permille = 200;
    world.run_to(State::Drain, 1000);
    let bbr = &mut world.flows[0].bbr;
    assert!(bbr.undo.is_some(), "the loss is being repaired");
    bbr.undo(Instant::from_millis(1000));
    assert_eq!((bbr.state, bbr.full_bw_reached), (State::Startup, false));
    assert_eq!(bbr.inflight_longterm, INFINITY);
}

/// 10.20.
#[test]
fn probe_rtt_within_startup_goes_back_to_startup() {
    let mut world = steady();
    world.flows[0].user_rate = Some(20 * MBIT);
    world.run_to(State::ProbeRtt, 6000);
    assert!(!bbr(&world).full_bw_reached);
    world.run_to(State::Startup, 400);
}

/// 10.21.
#[test]
fn loss_in_a_probe_ends_it_and_bounds_what_flies() {
    let mut world = World::new(100 * MBIT, 20, 15).with_flow();
    world.run_to(State::ProbeBwUp, 3000);
    world.run_to(State::ProbeBwDown, 1000);
    assert!(bbr(&world).prev_probe_too_high);
    let bound = bbr(&world).inflight_longterm;
    let most = world.bdp() + world.path.queue;
    assert!(
        bound >= most * 7 / 10 && bound <= most * 12 / 10,
        "{bound} of {most}"
    );
    world.run_to(State::ProbeBwUp, 3000);
    let precautionary = world.run_until(world.now.as_millis() + 1000, |world| {
        bbr(world).state == State::ProbeBwDown
    });
    assert!(precautionary, "the next is careful (section 5.3.3.6)");
}

/// 10.22.
#[test]
fn refilling_without_text_keeps_the_rate() {
    let mut world = steady();
    world.run_to(State::ProbeBwRefill, 3000);
    let max_bw = bbr(&world).max_bw();
    world.flows[0].user_rate = Some(2 * MBIT);
    world.run(world.now.as_millis() + 4000);
    assert_eq!(bbr(&world).max_bw(), max_bw);
    world.flows[0].user_rate = None;
    let share = world.share(0, world.now.as_millis() + 3000);
    assert!(share >= 90, "{share}");
}

#[test]
fn a_timeout_lets_one_segment_go_and_what_was_comes_back() {
    let mut world = deep();
    world.run_to(State::ProbeBwCruise, 1000);
    let now = world.now;
    let bbr = &mut world.flows[0].bbr;
    let cwnd = bbr.cwnd;
    bbr.on_trouble(now, Trouble::Timeout, 0);
    assert_eq!(bbr.cwnd, MSS);
    bbr.on_recovered(now);
    assert_eq!(bbr.cwnd, cwnd);
    // Nobody says when a timeout is repaired: it is when as much as flew has arrived.
    let flew = world.flows[0].in_flight;
    world.flows[0].bbr.on_trouble(now, Trouble::Timeout, flew);
    world.run(now.as_millis() + 10);
    let still = &world.flows[0].bbr;
    assert!(still.cwnd < cwnd && still.undo.is_some());
    world.run(now.as_millis() + 30);
    assert_eq!(world.flows[0].bbr.cwnd, cwnd);
    let undo = &world.flows[0].bbr.undo;
    assert!(undo.as_ref().is_some_and(|undo| undo.repaired));
}

/// Section 3.7.
#[test]
fn marks_are_congestion() {
    let mut world = steady();
    world.run(60);
    assert_eq!(bbr(&world).state, State::Startup);
    let now = world.now;
    world.flows[0]
        .bbr
        .on_trouble(now, Trouble::Marked, 20 * MSS);
    assert_eq!(bbr(&world).state, State::Drain);

    let mut world = steady();
    world.run_to(State::ProbeBwUp, 3000);
    let now = world.now;
    world.flows[0]
        .bbr
        .on_trouble(now, Trouble::Marked, 170 * MSS);
    assert_eq!(bbr(&world).state, State::ProbeBwDown);
    assert_eq!(bbr(&world).inflight_longterm, 170 * MSS);

    let mut world = steady();
    world.run_to(State::ProbeBwCruise, 1000);
    let now = world.now;
    assert_eq!(bbr(&world).bw_shortterm, INFINITY);
    world.flows[0]
        .bbr
        .on_trouble(now, Trouble::Marked, 170 * MSS);
    world.run(now.as_millis() + 60);
    assert!(bbr(&world).bw_shortterm < INFINITY);
}

/// Section 5.6.2, 5.6.3.
#[test]
fn the_first_rate_is_the_initial_window_a_round_trip() {
    let mut world = steady();
    assert_eq!(bbr(&world).pacing_rate, 10 * MSS * 1000 * 277 / 100);
    world.run_until(100, |world| bbr(world).has_seen_rtt);
    let srtt = world.flows[0].srtt.unwrap();
    assert_eq!(bbr(&world).pacing_rate, initial_rate(10 * MSS, srtt));
    assert!(bbr(&world).pacing_rate < 3 * MBIT * 8);
    for (rate, quantum) in [(1, 2 * MSS), (12_500_000, 12_500), (u64::MAX, 65_536)] {
        let bbr = &mut world.flows[0].bbr;
        bbr.pacing_rate = rate;
        bbr.set_send_quantum();
        assert_eq!(bbr.send_quantum, quantum);
    }
}

/// Sections 5.3.1.3, 5.5.10.2: who hears of one loss a round trip takes one for many.
#[test]
fn without_sack_one_loss_is_enough() {
    for (sack, state) in [(true, State::Startup), (false, State::Drain)] {
        let mut world = deep();
        world.flows[0].sack = sack;
        world.run(130);
        assert_eq!(bbr(&world).state, State::Startup);
        let flow = &mut world.flows[0];
        let oldest = *flow.flying.keys().next().expect("some fly");
        flow.acknowledge(world.now, &[oldest + 4]);
        assert_eq!(flow.bbr.state, state);
    }
}
