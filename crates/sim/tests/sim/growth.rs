//! How windows grow after a loss, held against the formulas of the RFCs.

use std::time::Duration;

use woshou_sim::experiment::FlowSample;
use woshou_sim::link::loss::Loss;
use woshou_sim::{Algorithm, Experiment, Flow, QueueSize};

const ROUND_TRIP: Duration = Duration::from_millis(100);
const MSS: f64 = 1448.0;

/// The window of a flow that nothing limits, and that loses one packet in slow start: a sample each round trip, from the first
/// after the repair on.
fn after_one_loss(algorithm: Algorithm) -> Vec<FlowSample> {
    // So fast that no queue grows, but not so fast that a whole window leaves at one moment: RACK could not tell then what was
    // sent before what (RFC 8985 section 6.2 breaks ties by sequence number).
    let mut experiment = Experiment::new(10_000_000_000, ROUND_TRIP)
        .with_flow(Flow::new(algorithm))
        .lasting(Duration::from_secs(20));
    experiment.queue = QueueSize::Endless;
    experiment.forth.loss = Loss {
        listed: vec![2_000],
        ..Loss::default()
    };
    experiment.sample_every = Some(ROUND_TRIP);
    let findings = experiment.run(1);
    let flow = &findings.figures.flows[0];
    assert_eq!((flow.retransmitted_segments, flow.timeouts), (1, 0));
    let repaired = |sample: &&FlowSample| sample.retransmitted > 0;
    // One round trip more, in which the repair ends.
    let samples = findings.samples.flows[0].iter().filter(repaired).skip(2);
    samples.copied().collect()
}

/// Octets as segments.
fn segments(octets: u64) -> f64 {
    octets as f64 / MSS
}

#[test]
fn newreno_grows_by_a_segment_a_round_trip() {
    let samples = after_one_loss(Algorithm::NewReno);
    let first = segments(samples[0].cwnd);
    assert!(samples.len() > 150);
    assert!((first - segments(samples[0].ssthresh)).abs() < 3.0);
    for (round, sample) in samples.iter().enumerate() {
        // RFC 5681 section 3.1, equation 3.
        let expected = first + round as f64;
        let cwnd = segments(sample.cwnd);
        assert!(
            (cwnd - expected).abs() < 2.0,
            "round {round}: {cwnd} instead of {expected}"
        );
    }
}

#[test]
fn cubic_grows_by_its_curve() {
    const C: f64 = 0.4;
    const BETA: f64 = 0.7;
    let samples = after_one_loss(Algorithm::Cubic);
    // RFC 9438 sections 4.2 and 4.6: from beta * W_max at the loss back to W_max after K seconds, and beyond.
    let least = segments(samples[0].ssthresh);
    let w_max = least / BETA;
    let k = (w_max * (1.0 - BETA) / C).cbrt();
    assert!((6.0..12.0).contains(&k), "both sides of the plateau: {k}");
    // When the curve began: where the repair ended, not more than two round trips before the first sample.
    let first = samples[0];
    let since = k + ((segments(first.cwnd) - w_max) / C).cbrt();
    assert!((0.0..0.2).contains(&since), "{since} s");
    for sample in &samples {
        let t = since + sample.at.since(first.at).as_secs_f64();
        let expected = C * (t - k).powi(3) + w_max;
        let cwnd = segments(sample.cwnd);
        assert!(
            (cwnd / expected - 1.0).abs() < 0.01,
            "{t} s: {cwnd} instead of {expected}"
        );
    }
}
