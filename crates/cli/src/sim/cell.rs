//! From a cell to an experiment.

use std::time::Duration;

use woshou_sim::experiment::QueueSize;
use woshou_sim::link::codel::Codel;
use woshou_sim::link::ecn::Marking;
use woshou_sim::link::policer::Policer;
use woshou_sim::link::rate::Rate;
use woshou_sim::link::slots::Slots;
use woshou_sim::{Algorithm, Experiment, Figures, Flow};
use woshou_tcp::{Config, EcnPolicy};

use super::keys::Cell;
use crate::failure::Failure;

/// How long a cell lasts when nobody says so: without an end, and with one.
const USUAL: Duration = Duration::from_secs(10);
/// What path and queue may hold, octets.
const MOST_HELD: f64 = 1e12;
const PATIENCE: Duration = Duration::from_secs(600);

impl Cell {
    /// Whether its parts fit together.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let wrong = |why: String| Err(Failure::Usage(why));
        let duration = self.lasts();
        if self.warm_up >= duration {
            return wrong(format!("--warm-up: it lasts only {duration:?}"));
        }
        let last = u32::try_from(self.flows.saturating_sub(1)).unwrap_or(u32::MAX);
        if self.stagger.saturating_mul(last) >= duration {
            return wrong(format!(
                "--stagger: the last flow would begin after {duration:?}, at the end"
            ));
        }
        if self.holds() > MOST_HELD {
            return wrong("--queue: path and queue would hold more than a terabyte".to_owned());
        }
        if self.bytes == Some(0) {
            return wrong("--bytes: there is nothing to send".to_owned());
        }
        if let Some((_, burst)) = self.policer
            && burst < self.mtu as u64
        {
            return wrong(format!(
                "--policer: no packet of {} octets fits into its bucket",
                self.mtu
            ));
        }
        Ok(())
    }

    /// Octets that fit into the path and its queue.
    fn holds(&self) -> f64 {
        let path = self.rate as f64 / 8.0 * self.rtt.as_secs_f64();
        path + match self.queue {
            QueueSize::Bdp(products) => products * path,
            QueueSize::Octets(octets) => octets as f64,
            QueueSize::Packets(packets) => packets as f64 * self.mtu as f64,
            QueueSize::Endless => 0.0,
        }
    }

    /// In virtual time.
    pub(super) fn lasts(&self) -> Duration {
        let usual = if self.bytes.is_some() {
            PATIENCE
        } else {
            USUAL
        };
        self.duration.unwrap_or(usual)
    }

    /// The algorithm of flow `number`.
    pub(super) fn algorithm(&self, number: usize) -> Algorithm {
        let named = number
            .checked_rem(self.algorithms.len())
            .and_then(|at| self.algorithms.get(at));
        named.copied().unwrap_or(usual_algorithm())
    }

    /// Whether flows of different algorithms compete.
    pub(super) fn is_mixed(&self) -> bool {
        (1..self.flows).any(|number| self.algorithm(number) != self.algorithm(0))
    }

    /// Bits a second that all flows had together, from when the first of them was measured until the last of them ended.
    ///
    /// Not the sum of their goodputs: flows that begin later, or end sooner, have the path for another time.
    pub(super) fn goodput(&self, found: &Figures) -> f64 {
        let (mut bits, mut begin, mut end) = (0.0, self.lasts(), Duration::ZERO);
        for (number, flow) in (0_u32..).zip(&found.flows) {
            let from = self.warm_up.max(self.stagger.saturating_mul(number));
            let until = flow.finished_at.unwrap_or(self.lasts());
            bits += flow.goodput * until.saturating_sub(from).as_secs_f64();
            begin = begin.min(from);
            end = end.max(until);
        }
        let time = end.saturating_sub(begin).as_secs_f64();
        if time > 0.0 { bits / time } else { 0.0 }
    }

    /// What it says, to be run.
    pub(super) fn experiment(&self) -> Experiment {
        let mut experiment = Experiment::new(self.rate, self.rtt).lasting(self.lasts());
        experiment.queue = self.queue;
        experiment.mtu = self.mtu;
        experiment.measure_from = self.warm_up;
        let forth = &mut experiment.forth;
        forth.marking = self.mark.map(|above| Marking { above });
        forth.codel = self.aqm.map(|codel| Codel {
            ecn: self.ecn,
            max_packet: self.mtu as u64,
            ..codel
        });
        forth.loss.chance = self.loss;
        forth.loss.bursts = self.bursts;
        forth.reordering = self.reorder;
        forth.delay.jitter = self.jitter;
        forth.duplication = self.duplicate;
        forth.policer = self.policer.map(|(rate, burst)| Policer {
            rate: Rate::new(rate),
            burst,
        });
        let back = &mut experiment.back;
        back.rate = self.back_rate.map(Rate::new);
        back.loss.bare_acks = self.ack_loss;
        if !self.ack_compression.is_zero() {
            back.slots = Some(Slots {
                every: self.ack_compression,
            });
        }
        let mut start = Duration::ZERO;
        for number in 0..self.flows {
            let mut flow = Flow::new(self.algorithm(number)).starting(start);
            flow.octets = self.bytes;
            if self.ecn {
                flow.tcp.ecn = EcnPolicy::Request;
            }
            experiment = experiment.with_flow(flow);
            start += self.stagger;
        }
        experiment
    }
}

/// What a stack uses when nobody chooses.
fn usual_algorithm() -> Algorithm {
    let name = Config::default().congestion.name();
    name.parse().unwrap_or(Algorithm::NewReno)
}
