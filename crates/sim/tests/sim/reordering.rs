//! Packets that come late without being lost: the link stays full, and hardly anything is sent in vain.

use std::time::Duration;

use woshou_sim::link::reorder::Reordering;
use woshou_sim::{Algorithm, Experiment, Flow};

const MS: fn(u64) -> Duration = Duration::from_millis;

#[test]
fn held_packets_cost_nothing() {
    let mut wrong = String::new();
    for algorithm in [Algorithm::NewReno, Algorithm::Cubic] {
        for (rate, round_trip) in [(10_000_000, 20), (100_000_000, 20), (100_000_000, 100)] {
            for share in [0.01, 0.1] {
                let mut experiment = Experiment::new(rate, MS(round_trip))
                    .with_flow(Flow::new(algorithm))
                    .lasting(Duration::from_secs(20));
                experiment.measure_from = Duration::from_secs(5);
                experiment.forth.reordering = Reordering::between(share, MS(1), MS(20));
                let figures = experiment.run(1).figures;
                let flow = &figures.flows[0];
                let of_link = flow.goodput / (rate as f64 * 1448.0 / 1500.0);
                let spurious = flow.measured_spurious_share();
                if of_link < 0.95 || spurious > 0.001 {
                    wrong += &format!(
                        "{algorithm}, {rate} bit/s, {round_trip} ms, {share} held: {:.1} % of the link, {:.3} % spurious, {} timeouts\n",
                        of_link * 100.0,
                        spurious * 100.0,
                        flow.timeouts
                    );
                }
            }
        }
    }
    assert!(wrong.is_empty(), "seed 1:\n{wrong}");
}
