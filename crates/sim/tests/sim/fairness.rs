//! Flows of one algorithm that meet at one bottleneck come to equal shares, those that come late too.

use std::time::Duration;

use woshou_sim::experiment::jain;
use woshou_sim::{Algorithm, Experiment, Findings, Flow};

const S: fn(u64) -> Duration = Duration::from_secs;
const MS: fn(u64) -> Duration = Duration::from_millis;

/// `n` flows that start 100 ms apart, measured from 15 s to 45 s.
fn flows(algorithm: Algorithm, n: u64) -> Experiment {
    let mut experiment = Experiment::new(10_000_000 * n.min(10), MS(20)).lasting(S(45));
    experiment.flows = (0..n)
        .map(|i| Flow::new(algorithm).starting(MS(100 * i)))
        .collect();
    experiment.measure_from = S(15);
    experiment
}

#[test]
fn two_eight_and_thirty_two_flows_share_evenly() {
    for algorithm in [Algorithm::NewReno, Algorithm::Cubic] {
        for n in [2, 8, 32] {
            let figures = flows(algorithm, n).run(1).figures;
            assert!(
                figures.jain > 0.95 && figures.utilisation > 0.9,
                "{algorithm}, {n} flows: {figures:#?}"
            );
        }
    }
}

#[test]
fn who_comes_late_gets_its_share() {
    for algorithm in [Algorithm::NewReno, Algorithm::Cubic] {
        let mut experiment = Experiment::new(20_000_000, MS(20)).lasting(S(60));
        experiment.flows = vec![Flow::new(algorithm), Flow::new(algorithm).starting(S(10))];
        experiment.sample_every = Some(S(1));
        let Findings { samples, .. } = experiment.run(1);
        let shares = |from: usize, to: usize| {
            [0, 1].map(|flow: usize| {
                let at = |second| {
                    samples.flows[flow]
                        .iter()
                        .find(|sample| sample.at.as_millis() == second as u64 * 1_000)
                        .map_or(0, |sample| sample.delivered)
                };
                (at(to) - at(from)) as f64
            })
        };
        let alone = shares(5, 10);
        assert!(alone[1] == 0.0, "{alone:?}");
        let together = shares(30, 60);
        assert!(jain(&together) > 0.95, "{algorithm}: {together:?}");
    }
}
