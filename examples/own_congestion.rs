//! A congestion control algorithm of one's own: a small one by delay, in the manner of Vegas, beside those that come with woshou.
//!
//! ```text
//! cargo run --release -p woshou-sim --example own_congestion
//! ```
//!
//! In a program the same factory goes to `woshou::net::Builder::congestion`, `woshou::TcpSocket::set_congestion` or
//! `woshou::SockRef::set_congestion`.

use std::sync::Arc;
use std::time::Duration;

use woshou_sim::{Algorithm, Experiment, Figures, Flow};
use woshou_tcp::Instant;
use woshou_tcp::congestion::{AckSample, CongestionControl, CongestionFactory, Trouble};

/// Segments of ours that may wait in the queue: fewer, and the window grows; more, and it shrinks.
const WAITING: std::ops::RangeInclusive<u64> = 3..=6;

/// Keeps a few segments of its own in the queue of the bottleneck, as far as the round trip tells.
#[derive(Debug)]
struct ByDelay {
    mss: u64,
    initial_window: u64,
    cwnd: u64,
    ssthresh: u64,
    /// The least round trip of this round, and of all.
    round: Option<Duration>,
    least: Duration,
    /// The round ends when what is sent after so many octets were delivered is delivered itself.
    round_end: u64,
    before: Option<(u64, u64)>,
}

/// Makes it for each connection.
#[derive(Debug)]
struct Factory;

impl CongestionFactory for Factory {
    fn make(&self, mss: u32, initial_window: u64) -> Box<dyn CongestionControl> {
        Box::new(ByDelay {
            mss: u64::from(mss),
            initial_window,
            cwnd: initial_window,
            ssthresh: u64::MAX,
            round: None,
            least: Duration::MAX,
            round_end: 0,
            before: None,
        })
    }

    fn name(&self) -> &'static str {
        "by-delay"
    }
}

impl ByDelay {
    /// A round is over: what of the window did not fit into the least round trip waits in a queue.
    fn end_round(&mut self, round: Duration) {
        let least = self.least.as_nanos();
        let flying = u128::from(self.cwnd) * least / round.as_nanos().max(1);
        let waiting = self.cwnd.saturating_sub(flying as u64) / self.mss;
        if self.cwnd < self.ssthresh && waiting <= *WAITING.end() {
            return; // slow start goes on
        }
        self.ssthresh = self.ssthresh.min(self.cwnd);
        if waiting < *WAITING.start() {
            self.cwnd += self.mss;
        } else if waiting > *WAITING.end() {
            let excess = (waiting - *WAITING.end()).div_ceil(2);
            self.cwnd = (self.cwnd - excess * self.mss).max(2 * self.mss);
            self.ssthresh = self.cwnd;
        }
    }
}

impl CongestionControl for ByDelay {
    fn on_ack(&mut self, sample: &AckSample) {
        if let Some(rtt) = sample.rtt {
            self.least = self.least.min(rtt);
            self.round = Some(self.round.map_or(rtt, |round| round.min(rtt)));
        }
        if sample.in_recovery || !sample.window_limited {
            return;
        }
        if self.cwnd < self.ssthresh {
            self.cwnd += sample.acked.min(2 * self.mss);
        }
        let ended = sample
            .rate
            .is_some_and(|rate| rate.prior_delivered >= self.round_end);
        if ended {
            self.round_end = sample.total_delivered;
            if let Some(round) = self.round.take() {
                self.end_round(round);
            }
        }
    }

    fn on_trouble(&mut self, _now: Instant, trouble: Trouble, _in_flight: u64) {
        match trouble {
            Trouble::Idle => {
                self.before = None;
                self.cwnd = self.cwnd.min(self.initial_window);
            }
            _ => {
                self.before = Some((self.cwnd, self.ssthresh));
                self.ssthresh = (self.cwnd / 2).max(2 * self.mss);
                self.cwnd = self.ssthresh;
            }
        }
        if trouble == Trouble::Timeout {
            self.cwnd = self.mss;
        }
    }

    // What was before is kept: that the alarm was false may show after the repair.
    fn on_recovered(&mut self, _now: Instant) {}

    fn undo(&mut self, _now: Instant) {
        if let Some((cwnd, ssthresh)) = self.before.take() {
            self.cwnd = self.cwnd.max(cwnd);
            self.ssthresh = self.ssthresh.max(ssthresh);
        }
    }

    fn set_mss(&mut self, mss: u32) {
        self.mss = u64::from(mss);
        self.cwnd = self.cwnd.max(self.mss);
    }

    fn window(&self) -> u64 {
        self.cwnd
    }

    fn threshold(&self) -> u64 {
        self.ssthresh
    }

    fn name(&self) -> &'static str {
        "by-delay"
    }
}

/// 20 s over 20 Mbit/s, 40 ms and a queue of two bandwidth-delay products.
fn run(flow: Flow) -> Figures {
    let experiment = Experiment {
        queue: woshou_sim::QueueSize::Bdp(2.0),
        measure_from: Duration::from_secs(5),
        ..Experiment::new(20_000_000, Duration::from_millis(40)).with_flow(flow)
    };
    experiment.lasting(Duration::from_secs(20)).run(1).figures
}

fn print(name: &str, figures: &Figures) {
    println!(
        "{name:<10}{:>8.1} Mbit/s{:>10.1} ms in the queue{:>8} segments sent again",
        figures.goodput / 1e6,
        figures.bottleneck.mean_delay.as_secs_f64() * 1e3,
        figures.flows[0].retransmitted_segments,
    );
}

fn main() {
    for algorithm in [Algorithm::NewReno, Algorithm::Cubic] {
        print(algorithm.name(), &run(Flow::new(algorithm)));
    }
    print("by-delay", &run(Flow::of_own(Arc::new(Factory))));
}

#[test]
fn it_fills_the_link_with_a_short_queue() {
    let own = run(Flow::of_own(Arc::new(Factory)));
    let cubic = run(Flow::new(Algorithm::Cubic));
    assert!(own.utilisation > 0.95, "{own:?}");
    let (own, cubic) = (own.bottleneck.mean_delay, cubic.bottleneck.mean_delay);
    assert!(own < Duration::from_millis(6), "{own:?}");
    assert!(cubic > 4 * own, "{cubic:?} against {own:?}");
}
