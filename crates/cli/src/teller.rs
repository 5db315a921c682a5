//! What the simulator shows, as a timeline for the renderers.

use std::collections::HashMap;
use std::net::IpAddr;

use woshou_sim::{HostId, LossCause, PacketId, Sight, Watcher};
use woshou_tcp::{Endpoints, Instant, TraceEvent};
use woshou_trace::timeline::{self, Fate, Timeline};

/// Writes down what the simulator shows.
pub(crate) struct Teller {
    timeline: Timeline,
    /// By the numbers of the simulator.
    hosts: Vec<timeline::HostId>,
    /// Second copies have numbers of their own in the timeline.
    copies: HashMap<PacketId, timeline::PacketId>,
}

/// Above every number that the simulator gives.
const COPY: u64 = 1 << 63;

impl Teller {
    /// Into `timeline`, which has no hosts yet.
    pub(crate) fn new(timeline: Timeline) -> Self {
        Self {
            timeline,
            hosts: Vec::new(),
            copies: HashMap::new(),
        }
    }

    /// Names the simulator's next host.
    pub(crate) fn host(&mut self, name: &str, addresses: &[IpAddr]) {
        self.hosts.push(self.timeline.host(name, addresses));
    }

    pub(crate) fn into_timeline(self) -> Timeline {
        self.timeline
    }

    /// A host that was never named has a number that nobody has.
    fn number(&self, id: HostId) -> timeline::HostId {
        let unknown = timeline::HostId(u16::MAX);
        self.hosts.get(id.0 as usize).copied().unwrap_or(unknown)
    }
}

impl Watcher for Teller {
    fn left(&mut self, sight: &Sight<'_>) {
        let from = self.number(sight.from);
        self.timeline
            .left(sight.at, timeline::PacketId(sight.id.0), from, sight.octets);
    }

    fn arrived(&mut self, sight: &Sight<'_>) {
        let mut packet = timeline::PacketId(sight.id.0);
        if sight.trouble.duplicate {
            let copy = timeline::PacketId(packet.0 | COPY);
            if self.copies.insert(sight.id, copy).is_none() {
                self.timeline.duplicated(sight.at, packet, copy);
            }
            packet = copy;
        }
        if sight.trouble.corrupted {
            self.timeline.lost(sight.at, packet, Fate::Corrupted);
        }
        let to = self.number(sight.to);
        self.timeline.arrived(sight.at, packet, to);
    }

    fn lost(&mut self, sight: &Sight<'_>, cause: LossCause) {
        let why = match cause {
            LossCause::TooBig => Fate::TooBig,
            LossCause::QueueFull => Fate::QueueFull,
            _ => Fate::Loss,
        };
        self.timeline
            .lost(sight.at, timeline::PacketId(sight.id.0), why);
    }

    fn tcp(&mut self, host: HostId, now: Instant, who: &Endpoints, event: &TraceEvent) {
        let host = self.number(host);
        self.timeline.tcp(now, host, who, *event);
    }
}
