//! Watches all flows of an experiment from the network's side.

use std::time::Duration;

use woshou_tcp::{Endpoints, Instant, TraceEvent};

use super::Experiment;
use super::arrivals::Arrivals;
use super::samples::LossSample;
use crate::host::HostId;
use crate::link::loss::LossCause;
use crate::segment::Glance;
use crate::watch::{Sight, Watcher};

/// One flow, as the network sees it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) arrivals: Arrivals,
    pub(super) lost_data: u64,
    pub(super) lost_acks: u64,
    /// The round trip measured last in each sampling interval that saw one, by the interval's number.
    pub(super) round_trips: Vec<(u64, Duration)>,
}

/// All flows.
#[derive(Debug)]
pub(super) struct Monitor {
    pub(super) flows: Vec<Seen>,
    /// Empty when nobody wants them.
    pub(super) losses: Vec<LossSample>,
    /// The sampling interval, nanoseconds; zero: nobody wants samples.
    every: u64,
}

/// The flow of a host, and whether it is the receiver: see [`super::Experiment::sender`].
const fn flow_of(host: HostId) -> (usize, bool) {
    (host.0 as usize / 2, host.0 % 2 == 1)
}

impl Monitor {
    /// Of the flows of `experiment`.
    pub(super) fn new(experiment: &Experiment) -> Self {
        let every = experiment.sample_every.map_or(0, |every| every.as_nanos());
        let from = Instant::ZERO + experiment.measure_from;
        let seen = |_| Seen {
            arrivals: Arrivals::new(from),
            ..Seen::default()
        };
        Self {
            flows: experiment.flows.iter().map(seen).collect(),
            losses: Vec::new(),
            every: u64::try_from(every).unwrap_or(u64::MAX),
        }
    }
}

impl Watcher for Monitor {
    fn arrived(&mut self, sight: &Sight<'_>) {
        let (flow, receiver) = flow_of(sight.to);
        if receiver
            && let Some(seen) = self.flows.get_mut(flow)
            && let Some(segment) = Glance::at(sight.octets)
        {
            seen.arrivals
                .take(sight.at, segment, sight.trouble.duplicate);
        }
    }

    fn lost(&mut self, sight: &Sight<'_>, cause: LossCause) {
        let (flow, back) = flow_of(sight.from);
        let len = Glance::at(sight.octets).map_or(0, |segment| segment.len);
        if let Some(seen) = self.flows.get_mut(flow) {
            let count = if back {
                &mut seen.lost_acks
            } else {
                &mut seen.lost_data
            };
            *count += 1;
        }
        if self.every > 0 {
            self.losses.push(LossSample {
                at: sight.at,
                flow,
                cause,
                len,
                back,
            });
        }
    }

    fn wants_tcp(&self) -> bool {
        self.every > 0
    }

    fn tcp(&mut self, host: HostId, now: Instant, _who: &Endpoints, event: &TraceEvent) {
        if let TraceEvent::RttMeasured { sample, .. } = *event
            && let (flow, false) = flow_of(host)
            && let Some(seen) = self.flows.get_mut(flow)
        {
            let interval = now.as_nanos().checked_div(self.every).unwrap_or(0);
            match seen.round_trips.last_mut() {
                Some((last, newest)) if *last == interval => *newest = sample,
                _ => seen.round_trips.push((interval, sample)),
            }
        }
    }
}
