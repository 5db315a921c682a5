//! Runs an experiment: builds its world, lets time pass, and takes the figures.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use woshou_tcp::{Config, Instant, TcpInfo};

use super::figures::{BottleneckFigures, Figures, FlowFigures, jain};
use super::monitor::{Monitor, Seen};
use super::samples::{FlowSample, QueueSample, Samples};
use super::{Experiment, Findings, Flow, small};
use crate::app::{Report, Sink, Source};
use crate::host::{Host, HostId};
use crate::link::Path;
use crate::link::meter::Meter;
use crate::watch::Watcher;
use crate::world::{AppId, World};

/// Where every receiver listens.
const PORT: u16 = 5001;

/// One flow in its world.
#[derive(Clone, Copy)]
struct Running {
    sender: HostId,
    source: AppId,
    sink: AppId,
    /// What its program had been given when the measurement began.
    before: u64,
}

/// What is known of one flow at the end.
struct Ended {
    source: Report,
    sink: Report,
    info: Option<TcpInfo>,
    before: u64,
}

/// An experiment under way.
struct Laboratory<'e, 'w> {
    experiment: &'e Experiment,
    world: World<'w>,
    flows: Vec<Running>,
    samples: Samples,
}

impl Experiment {
    /// Runs it with this seed. The same seed gives the same findings, on every machine.
    #[must_use]
    pub fn run(&self, seed: u64) -> Findings {
        self.run_watched(seed, &mut ())
    }

    /// The same; `watcher` sees every packet, and every event inside TCP if it wants them. See [`Self::sender`] for which host
    /// is whose.
    pub fn run_watched(&self, seed: u64, watcher: &mut dyn Watcher) -> Findings {
        let mut both = (Monitor::new(self), watcher);
        let mut laboratory = Laboratory::build(self, World::watched(seed, &mut both));
        let meter = laboratory.run();
        let packets = laboratory.world.traffic().left;
        let ends = laboratory.ends();
        let mut samples = laboratory.samples;
        drop(laboratory.world);
        let (monitor, _) = both;
        let measured = self.duration.saturating_sub(self.measure_from);
        let flows: Vec<_> = std::iter::zip(&self.flows, &monitor.flows)
            .zip(&ends)
            .map(|((flow, seen), end)| self.figures_of(flow, seen, end))
            .collect();
        let goodputs: Vec<_> = flows.iter().map(|flow| flow.goodput).collect();
        let figures = Figures {
            bottleneck: bottleneck(&meter),
            utilisation: ratio(meter.busy, measured).min(1.0),
            goodput: goodputs.iter().sum(),
            jain: jain(&goodputs),
            packets,
            flows,
        };
        self.add_round_trips(&mut samples, &monitor.flows);
        samples.losses = monitor.losses;
        Findings { figures, samples }
    }

    fn figures_of(&self, flow: &Flow, seen: &Seen, end: &Ended) -> FlowFigures {
        let arrivals = &seen.arrivals;
        let finished = flow.octets.is_some_and(|all| end.sink.received >= all);
        let finished_at = finished.then(|| arrivals.moved_at().since(Instant::ZERO));
        let from = self.measure_from.max(flow.start);
        let until = finished_at.unwrap_or(self.duration);
        let measured = end.sink.received - end.before;
        let broken = [&end.source, &end.sink]
            .iter()
            .any(|report| report.failed.is_some() || report.ended.is_some());
        let base = FlowFigures {
            delivered: end.sink.received,
            goodput: bits_a_second(measured, until.saturating_sub(from)),
            finished_at,
            measured_segments: arrivals.measured_segments,
            measured_spurious: arrivals.measured_repeated,
            spurious_segments: arrivals.repeated_segments,
            spurious_octets: arrivals.repeated_octets,
            late_segments: arrivals.late_segments,
            longest_stall: if finished {
                arrivals.longest_stall
            } else {
                arrivals.stall_at(Instant::ZERO + self.duration)
            },
            lost_data: seen.lost_data,
            lost_acks: seen.lost_acks,
            broken: broken || (end.info.is_none() && flow.start < self.duration),
            ..FlowFigures::default()
        };
        match &end.info {
            None => base,
            Some(info) => FlowFigures {
                segments: info.data_segs_out,
                retransmitted_segments: info.total_retrans,
                retransmitted_octets: info.bytes_retrans,
                timeouts: info.total_rto,
                smoothed_round_trip: info.rtt,
                least_round_trip: info.min_rtt,
                cwnd: info.cwnd,
                ..base
            },
        }
    }

    /// Puts the round trips that the monitor saw into the samples that follow them.
    fn add_round_trips(&self, samples: &mut Samples, flows: &[Seen]) {
        let Some(every) = self.sample_every else {
            return;
        };
        for (series, seen) in std::iter::zip(&mut samples.flows, flows) {
            let mut measured = seen.round_trips.iter().peekable();
            let mut newest = None;
            for sample in series {
                let until = sample.at.as_nanos() / nanos(every).max(1);
                while let Some(&(_, round_trip)) = measured.next_if(|&&(when, _)| when < until) {
                    newest = Some(round_trip);
                }
                sample.round_trip = newest;
            }
        }
    }
}

impl<'e, 'w> Laboratory<'e, 'w> {
    /// Hosts, links and programs.
    fn build(experiment: &'e Experiment, mut world: World<'w>) -> Self {
        let capacity = experiment.capacity();
        let path = Path {
            queue: experiment.resolved_queue(),
            ..experiment.forth.clone()
        };
        let paths = world.add_paths(path, experiment.back.clone());
        let mut flows = Vec::with_capacity(experiment.flows.len());
        for (number, flow) in experiment.flows.iter().enumerate() {
            let [left, right] = hosts(experiment, number, flow, capacity);
            let to = SocketAddr::from((right.v4, PORT));
            let (sender, receiver) = (world.add_host(left), world.add_host(right));
            let half = flow.extra_round_trip / 2;
            world.add_link_through(paths, sender, receiver, [half, half]);
            let sink = world.add_app(receiver, Sink::new(to));
            let source = world.add_app(sender, Source::new(to, flow.start, flow.octets));
            flows.push(Running {
                sender,
                source,
                sink,
                before: 0,
            });
        }
        Self {
            experiment,
            world,
            samples: Samples {
                flows: vec![Vec::new(); flows.len()],
                ..Samples::default()
            },
            flows,
        }
    }

    /// Lets all time pass; what the bottleneck did while it was measured.
    fn run(&mut self) -> Meter {
        let experiment = self.experiment;
        self.pass(experiment.measure_from.min(experiment.duration));
        if self.flows.is_empty() {
            return Meter::default();
        }
        self.world.reset_meter(Experiment::link(0), true);
        for flow in &mut self.flows {
            flow.before = self.world.report(flow.sink).received;
        }
        self.pass(experiment.duration);
        self.world.meter(Experiment::link(0), true).clone()
    }

    /// Lets time pass until `until`, and takes samples on the way.
    fn pass(&mut self, until: Duration) {
        let until = Instant::ZERO + until;
        let every = self.experiment.sample_every.unwrap_or_default();
        if !every.is_zero() {
            let due = |now: Instant| {
                let number = now.as_nanos() / nanos(every) + 1;
                Instant::from_nanos(number.saturating_mul(nanos(every)))
            };
            let mut next = due(self.world.now());
            while next <= until {
                self.world.run_until(next);
                self.sample(every);
                next = due(next);
            }
        }
        self.world.run_until(until);
    }

    fn sample(&mut self, every: Duration) {
        let Self {
            world,
            flows,
            samples,
            ..
        } = self;
        let at = world.now();
        for (flow, series) in flows.iter().zip(&mut samples.flows) {
            let Some(info) = flow.info(world) else {
                continue;
            };
            let delivered = world.report(flow.sink).received;
            let before = series.last().map_or(0, |sample| sample.delivered);
            series.push(FlowSample {
                at,
                cwnd: info.cwnd,
                ssthresh: info.ssthresh,
                in_flight: info.in_flight,
                round_trip: None,
                smoothed_round_trip: info.rtt,
                delivery_rate: bits_a_second(delivered - before, every),
                delivered,
                retransmitted: info.bytes_retrans,
                pacing_rate: (info.pacing_rate != u64::MAX)
                    .then_some(info.pacing_rate as f64 * 8.0),
            });
        }
        if !flows.is_empty() {
            let octets = world.queued(Experiment::link(0), true);
            samples.queue.push(QueueSample { at, octets });
        }
    }

    fn ends(&self) -> Vec<Ended> {
        let end = |flow: &Running| Ended {
            source: self.world.report(flow.source),
            sink: self.world.report(flow.sink),
            info: flow.info(&self.world),
            before: flow.before,
        };
        self.flows.iter().map(end).collect()
    }
}

impl Running {
    /// Figures of its sender, once it has a connection.
    fn info(&self, world: &World<'_>) -> Option<TcpInfo> {
        let id = world.report(self.source).connection?;
        world.stack(self.sender).info(world.now(), id)
    }
}

/// The sender and the receiver of a flow.
fn hosts(experiment: &Experiment, number: usize, flow: &Flow, capacity: u64) -> [Host; 2] {
    let buffer = flow.buffer.unwrap_or_else(|| {
        let four = capacity.saturating_mul(4);
        usize::try_from(four).unwrap_or(usize::MAX)
    });
    let tcp = Arc::new(Config {
        congestion: flow.own.clone().unwrap_or_else(|| flow.algorithm.factory()),
        receive_buffer: buffer,
        send_buffer: buffer,
        ..flow.tcp.clone()
    });
    let numbered = |name, side: u32| {
        let last = small(number) + 1;
        let v4 = Ipv4Addr::from_bits(0x0a00_0000 | side << 23 | last); // 10.0.0.0/9 and 10.128.0.0/9
        let v6 = Ipv6Addr::from_bits(0xfd00 << 112 | u128::from(side) << 64 | u128::from(last));
        Host {
            tcp: Arc::clone(&tcp),
            mtu: experiment.mtu,
            trusts_wire: true,
            memory: buffer.saturating_mul(4).max(256 << 20),
            ..Host::new(name, v4, v6)
        }
    };
    let sender = Host {
        gso_max: experiment.gso_max,
        ..numbered("sender", 0)
    };
    [sender, numbered("receiver", 1)]
}

fn bottleneck(meter: &Meter) -> BottleneckFigures {
    BottleneckFigures {
        mean_delay: meter.mean(),
        p95_delay: meter.quantile(0.95),
        most_delay: meter.most(),
        packets: meter.packets,
        dropped: meter.refused,
        marked: meter.marked,
    }
}

fn bits_a_second(octets: u64, time: Duration) -> f64 {
    if time.is_zero() {
        0.0
    } else {
        octets as f64 * 8.0 / time.as_secs_f64()
    }
}

fn ratio(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() {
        0.0
    } else {
        part.as_secs_f64() / whole.as_secs_f64()
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
