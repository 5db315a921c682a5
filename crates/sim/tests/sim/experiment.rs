//! Experiments: what their figures say is what the path does.

use std::time::Duration;

use woshou_sim::link::codel::Codel;
use woshou_sim::link::ecn::Marking;
use woshou_sim::link::loss::Loss;
use woshou_sim::link::policer::Policer;
use woshou_sim::link::queue::Queue;
use woshou_sim::link::rate::Rate;
use woshou_sim::link::slots::Slots;
use woshou_sim::{Algorithm, Experiment, Figures, Findings, Flow, LossCause, QueueSize};
use woshou_tcp::EcnPolicy;
use woshou_tcp::Instant;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn one_flow(bits_per_second: u64, round_trip: Duration) -> Experiment {
    Experiment::new(bits_per_second, round_trip).with_flow(Flow::new(Algorithm::NewReno))
}

#[test]
fn one_flow_fills_the_link_and_all_figures_agree() {
    let experiment = Experiment {
        measure_from: Duration::from_secs(1),
        ..one_flow(10_000_000, MS(20)).lasting(Duration::from_secs(5))
    };
    let Findings { figures, samples } = experiment.run(1);
    let flow = &figures.flows[0];
    assert!(!flow.broken);
    // 1448 octets of text in a packet of 1500.
    let most = 10e6 * 1448.0 / 1500.0;
    assert!(
        (0.97 * most..=most * 1.001).contains(&flow.goodput),
        "{flow:?}"
    );
    assert!((0.97..=1.0).contains(&figures.utilisation), "{figures:?}");
    assert!((figures.goodput - flow.goodput).abs() < 1.0);
    assert!((figures.jain - 1.0).abs() < 1e-9);
    // The queue is full at times, and never longer than it may be: 16 packets in 25,000 octets are 19 ms, one of them under way.
    let queue = figures.bottleneck;
    assert!(
        queue.most_delay <= MS(20) && queue.most_delay > MS(16),
        "{queue:?}"
    );
    assert!(queue.mean_delay < queue.p95_delay && queue.p95_delay <= queue.most_delay);
    assert!(flow.smoothed_round_trip > MS(20) && flow.smoothed_round_trip < MS(42));
    assert!(
        (MS(20)..MS(22)).contains(&flow.least_round_trip),
        "{flow:?}"
    );
    assert!(samples.flows[0].is_empty() && samples.losses.is_empty());
}

#[test]
fn the_same_seed_gives_the_same_findings_and_another_gives_others() {
    let mut experiment = one_flow(20_000_000, MS(10)).lasting(Duration::from_secs(2));
    experiment.forth.loss = Loss {
        chance: 0.01,
        ..Loss::default()
    };
    experiment.sample_every = Some(MS(5));
    let first = experiment.run(7);
    assert_eq!(first, experiment.run(7));
    assert_ne!(first, experiment.run(8));
    // Samples change nothing.
    experiment.sample_every = None;
    assert_eq!(first.figures, experiment.run(7).figures);
}

#[test]
fn samples_tell_the_same_as_the_figures() {
    let mut experiment = one_flow(20_000_000, MS(10)).lasting(Duration::from_secs(2));
    experiment.forth.loss = Loss {
        chance: 0.01,
        ..Loss::default()
    };
    experiment.sample_every = Some(MS(5));
    let Findings { figures, samples } = experiment.run(3);
    let (flow, series) = (&figures.flows[0], &samples.flows[0]);
    assert_eq!(series.len(), 400);
    let last = series.last().unwrap();
    assert_eq!(last.at, Instant::from_millis(2_000));
    assert_eq!(last.delivered, flow.delivered);
    assert_eq!(last.retransmitted, flow.retransmitted_octets);
    assert_eq!(last.cwnd, flow.cwnd);
    let sum: f64 = series
        .iter()
        .map(|sample| sample.delivery_rate * 0.005)
        .sum();
    assert!((sum / 8.0 - flow.delivered as f64).abs() < 1.0, "{sum}");
    let trips: Vec<_> = series
        .iter()
        .filter_map(|sample| sample.round_trip)
        .collect();
    assert!(trips.len() > 390 && trips.iter().all(|&trip| (MS(10)..MS(80)).contains(&trip)));
    let data = samples
        .losses
        .iter()
        .filter(|loss| !loss.back && loss.len > 0);
    assert_eq!(data.count() as u64, flow.lost_data);
    assert!(
        samples
            .losses
            .iter()
            .any(|loss| loss.cause == LossCause::Chance)
    );
    assert_eq!(samples.queue.len(), 400);
    assert!(samples.queue.iter().any(|queue| queue.octets > 5_000));
}

#[test]
fn a_flow_with_an_end_finishes_and_one_that_starts_late_is_measured_from_then() {
    let flow = Flow {
        octets: Some(1_000_000),
        ..Flow::new(Algorithm::NewReno).starting(MS(500))
    };
    let experiment = Experiment {
        queue: QueueSize::Endless,
        ..Experiment::new(10_000_000, MS(20)).with_flow(flow)
    };
    let figures = experiment.run(1).figures;
    let flow = &figures.flows[0];
    assert_eq!(flow.delivered, 1_000_000);
    let took = flow.finished_at.unwrap() - MS(500);
    // 1,000,000 octets at 10 Mbit/s take 0.83 s with headers, and a few round trips to get going.
    assert!((MS(830)..MS(1_000)).contains(&took), "{took:?}");
    assert!((flow.goodput - 8e6 / took.as_secs_f64()).abs() < 1.0);
}

#[test]
fn flows_share_one_bottleneck_each_with_its_own_round_trip() {
    let slow = Flow {
        extra_round_trip: MS(40),
        ..Flow::new(Algorithm::NewReno)
    };
    let experiment = one_flow(20_000_000, MS(20)).with_flow(slow);
    let figures = experiment.run(1).figures;
    assert!((0.9..=1.0).contains(&figures.utilisation), "{figures:?}");
    let [near, far] = &figures.flows[..] else {
        panic!("two flows")
    };
    assert!(
        (MS(20)..MS(22)).contains(&near.least_round_trip),
        "{near:?}"
    );
    assert!((MS(60)..MS(62)).contains(&far.least_round_trip), "{far:?}");
    // Reno's share goes by the inverse of the round trip.
    assert!(near.goodput > 1.2 * far.goodput, "{figures:?}");
    assert!(figures.jain < 0.99);
    assert!(figures.goodput <= 20e6);
}

#[test]
fn a_policer_holds_a_flow_to_its_rate() {
    let mut experiment = one_flow(100_000_000, MS(10)).lasting(Duration::from_secs(10));
    experiment.forth.policer = Some(Policer {
        rate: Rate::new(10_000_000),
        burst: 50_000,
    });
    let figures = experiment.run(1).figures;
    assert!(
        figures.goodput < 10.1e6 && figures.goodput > 5e6,
        "{figures:?}"
    );
    assert!(figures.bottleneck.dropped > 10);
    assert!(
        figures.bottleneck.most_delay < MS(5),
        "a policer has no queue"
    );
}

#[test]
fn queues_in_octets_and_in_packets() {
    for (queue, longest) in [
        (QueueSize::Octets(15_000), MS(12)),
        (QueueSize::Packets(10), MS(12)),
        (QueueSize::Bdp(0.5), MS(10)),
    ] {
        let experiment = Experiment {
            queue,
            ..one_flow(10_000_000, MS(20))
        };
        let most = experiment.run(1).figures.bottleneck.most_delay;
        assert!(
            most <= longest && most + MS(2) >= longest,
            "{queue:?} {most:?}"
        );
    }
}

#[test]
fn codel_keeps_a_long_queue_short_and_can_mark_instead_of_dropping() {
    let run = |codel: Option<Codel>, ecn| {
        let mut experiment = Experiment::new(20_000_000, MS(20)).lasting(Duration::from_secs(20));
        experiment.flows = vec![Flow::new(Algorithm::NewReno); 2];
        for flow in &mut experiment.flows {
            flow.tcp.ecn = ecn;
        }
        experiment.queue = QueueSize::Bdp(10.0);
        experiment.measure_from = Duration::from_secs(5);
        experiment.forth.codel = codel;
        experiment.run(1).figures
    };
    let tail = run(None, EcnPolicy::Accept);
    let dropping = run(Some(Codel::default()), EcnPolicy::Accept);
    let marking = run(
        Some(Codel {
            ecn: true,
            ..Codel::default()
        }),
        EcnPolicy::Request,
    );
    assert!(tail.bottleneck.mean_delay > MS(60), "{tail:?}");
    for managed in [&dropping, &marking] {
        let queue = &managed.bottleneck;
        assert!(queue.mean_delay < MS(15), "{managed:?}");
        assert!(managed.utilisation > 0.9, "{managed:?}");
    }
    assert!(dropping.bottleneck.dropped > 10 && dropping.bottleneck.marked == 0);
    let lost: u64 = dropping.flows.iter().map(|flow| flow.lost_data).sum();
    assert!(lost >= dropping.bottleneck.dropped);
    assert!(marking.bottleneck.marked > 10, "{marking:?}");
    assert!(
        marking.bottleneck.dropped < dropping.bottleneck.dropped / 4,
        "{marking:?}"
    );
}

#[test]
fn a_managed_queue_that_never_has_to_drop_is_a_queue() {
    let plain = one_flow(20_000_000, MS(20)).lasting(Duration::from_secs(3));
    let mut managed = plain.clone();
    managed.forth.codel = Some(Codel {
        interval: Duration::from_secs(100),
        ..Codel::default()
    });
    let (plain, managed) = (plain.run(5).figures, managed.run(5).figures);
    assert!(plain.bottleneck.dropped > 0);
    // All but what still waits at the end, which only the managed queue does not count yet.
    assert_eq!(plain.flows, managed.flows);
    assert_eq!(plain.packets, managed.packets);
    assert_eq!(plain.bottleneck.most_delay, managed.bottleneck.most_delay);
}

#[test]
fn each_direction_is_its_own() {
    // Far there, near back, and a way back so narrow that acknowledgements are dropped at its queue.
    let mut experiment = one_flow(10_000_000, MS(20));
    experiment.forth.delay.fixed = MS(35);
    experiment.back.delay.fixed = MS(5);
    let wide = experiment.run(1).figures;
    experiment.back.rate = Some(Rate::new(100_000));
    experiment.back.queue = Queue::of_packets(4);
    let narrow = experiment.run(1).figures;
    let (wide, narrow) = (&wide.flows[0], &narrow.flows[0]);
    assert!(
        (MS(40)..MS(42)).contains(&wide.least_round_trip),
        "{wide:?}"
    );
    assert_eq!((wide.lost_acks, wide.timeouts), (0, 0));
    // 52 octets take 4.2 ms there.
    assert!(
        (MS(44)..MS(49)).contains(&narrow.least_round_trip),
        "{narrow:?}"
    );
    assert!(narrow.lost_acks > 100, "{narrow:?}");
    assert!(narrow.goodput > 0.8 * wide.goodput, "{narrow:?}");
}

#[test]
fn acknowledgements_in_bunches_make_bursts() {
    let mut experiment = one_flow(50_000_000, MS(20));
    experiment.flows[0].octets = Some(400_000); // It never comes to a loss.
    experiment.queue = QueueSize::Endless;
    let even = experiment.run(1).figures;
    experiment.back.slots = Some(Slots { every: MS(10) });
    let bunched = experiment.run(1).figures;
    let queue = |figures: &Figures| figures.bottleneck.mean_delay;
    assert!(queue(&bunched) > queue(&even), "{bunched:?}\n{even:?}");
    assert_eq!(bunched.flows[0].delivered, 400_000);
    assert!(bunched.flows[0].smoothed_round_trip > even.flows[0].smoothed_round_trip);
}
#[test]
fn dctcp_keeps_the_queue_at_the_threshold() {
    let mut experiment = Experiment::new(100_000_000, MS(4)).lasting(Duration::from_secs(4));
    experiment.flows = vec![Flow::new(Algorithm::Dctcp); 2];
    experiment.queue = QueueSize::Octets(500_000);
    experiment.measure_from = Duration::from_secs(1);
    // 25 packets: more than a seventh of the product (RFC 8257 section 4.1).
    experiment.forth.marking = Some(Marking { above: 37_500 });
    let figures = experiment.run(1).figures;
    let queue = figures.bottleneck;
    assert!(queue.marked > 100 && queue.dropped == 0, "{figures:?}");
    assert!(figures.utilisation > 0.98, "{figures:?}");
    // The threshold is 3 ms.
    assert!(queue.mean_delay < MS(4), "{figures:?}");
    assert!(figures.jain > 0.95, "{figures:?}");
}
