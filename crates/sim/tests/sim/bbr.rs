//! BBRv3 in whole stacks.

use std::time::Duration;

use woshou_sim::experiment::matrix::{self, Cell, Weather};
use woshou_sim::{Algorithm, Experiment, Figures, Flow, QueueSize};

const MBIT: u64 = 1_000_000;
const RATE: u64 = 100 * MBIT;
const ROUND_TRIP: Duration = Duration::from_millis(20);

fn cell(rate: u64, millis: u64, weather: Weather, queue: f64) -> Cell {
    Cell {
        rate,
        round_trip: Duration::from_millis(millis),
        weather,
        queue,
        algorithm: Algorithm::Bbr,
    }
}

/// The least utilisation of each, Startup included, in percent. What losses cost, see decision 016.
#[test]
fn links_are_filled() {
    let wanted = [
        (cell(RATE, 20, Weather::Fair, 0.25), 94),
        (cell(RATE, 20, Weather::Fair, 1.0), 94),
        (cell(RATE, 20, Weather::Fair, 4.0), 94),
        (cell(RATE, 20, Weather::Loss(0.001), 1.0), 94),
        (cell(RATE, 20, Weather::Loss(0.01), 1.0), 90),
        (cell(10 * MBIT, 20, Weather::Fair, 1.0), 94),
        (cell(1000 * MBIT, 20, Weather::Fair, 1.0), 90),
        (cell(RATE, 2, Weather::Fair, 1.0), 94),
        (cell(RATE, 20, Weather::AckLoss(0.01), 1.0), 94),
    ];
    let cells: Vec<_> = wanted.iter().map(|(cell, _)| *cell).collect();
    let figures = matrix::run(&cells, 1, 2);
    for ((cell, least), figures) in wanted.iter().zip(&figures) {
        let percent = figures.utilisation * 100.0;
        assert!(percent >= f64::from(*least), "{cell:?}: {percent:.1} %");
        assert!(!figures.flows[0].broken);
    }
}

/// Within the first second, on the way through Startup and Drain (draft-ietf-ccwg-bbr section 5.3.1.1: O(log BDP) round trips).
#[test]
fn a_second_is_enough_to_find_the_rate() {
    let mut experiment = Experiment::new(RATE, ROUND_TRIP)
        .with_flow(Flow::new(Algorithm::Bbr))
        .lasting(Duration::from_secs(2));
    experiment.measure_from = Duration::from_secs(1);
    let figures = experiment.run(1).figures;
    assert!(figures.utilisation >= 0.96, "{}", figures.utilisation);
}

/// A deep queue stays short: the pacing rate is the path's, but for the probes.
#[test]
fn a_deep_queue_stays_short() {
    let mut experiment = Experiment::new(RATE, ROUND_TRIP)
        .with_flow(Flow::new(Algorithm::Bbr))
        .lasting(Duration::from_secs(10));
    experiment.queue = QueueSize::Bdp(8.0);
    experiment.measure_from = Duration::from_secs(1);
    let figures = experiment.run(1).figures;
    assert!(
        figures.bottleneck.mean_delay <= ROUND_TRIP / 4,
        "{figures:?}"
    );
    assert!(figures.utilisation >= 0.95, "{figures:?}");
}

fn shared(flows: u32, queue: f64, late: Duration) -> Figures {
    let mut experiment = Experiment::new(RATE, ROUND_TRIP).lasting(Duration::from_secs(45));
    experiment.queue = QueueSize::Bdp(queue);
    experiment.measure_from = Duration::from_secs(25);
    for n in 0..flows {
        let flow = Flow::new(Algorithm::Bbr).starting(late * n);
        experiment = experiment.with_flow(flow);
    }
    experiment.run(1).figures
}

/// Two, and a late-comer.
#[test]
fn flows_share() {
    for (flows, queue, late) in [(2, 1.0, 10), (2, 0.25, 10), (2, 1.0, 8000), (8, 1.0, 10)] {
        let figures = shared(flows, queue, Duration::from_millis(late));
        let each: Vec<_> = figures.flows.iter().map(|flow| flow.goodput).collect();
        assert!(figures.jain >= 0.9, "{flows}, {queue}, {late}: {each:?}");
        assert!(
            figures.utilisation >= 0.93,
            "{flows}, {queue}, {late}: {each:?}"
        );
    }
}
