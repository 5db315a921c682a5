//! What happened, in order: the one thing every renderer reads.

use std::net::IpAddr;
use std::sync::Arc;

use woshou_tcp::{Endpoints, Instant, TraceEvent};

/// A host of one [`Timeline`]: the position in [`Timeline::hosts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub u16);

/// A host that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// What people call it: `client`, `server`, `woshou`.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// One packet on its way through the simulated network; every copy has a number of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketId(pub u64);

/// Why a packet never reached the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// The link lost it.
    Loss,
    /// A queue was full.
    QueueFull,
    /// Octets were changed on the way. It may arrive all the same: the checksum then refuses it.
    Corrupted,
    /// Larger than the link's MTU.
    TooBig,
    /// Nobody has that address.
    Unreachable,
}

impl Fate {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Loss,
        Self::QueueFull,
        Self::Corrupted,
        Self::TooBig,
        Self::Unreachable,
    ];
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Inside the TCP of a host.
    Tcp {
        /// Where.
        host: HostId,
        /// Which connection, as that host sees it.
        who: Endpoints,
        /// What.
        event: TraceEvent,
    },
    /// A packet was put on the wire.
    Left {
        /// Its number.
        packet: PacketId,
        /// By whom.
        from: HostId,
        /// The IP packet.
        octets: Arc<[u8]>,
    },
    /// A packet reached a host.
    Arrived {
        /// Its number.
        packet: PacketId,
        /// Whom.
        to: HostId,
    },
    /// A packet will not reach anybody, or not whole.
    Lost {
        /// Its number.
        packet: PacketId,
        /// Why.
        why: Fate,
    },
    /// The wire made a second packet of one.
    Duplicated {
        /// The first.
        packet: PacketId,
        /// The number of the second.
        copy: PacketId,
    },
}

/// One thing that happened, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When.
    pub now: Instant,
    /// What.
    pub what: What,
}

/// Everything that happened, ordered by time; what happened at one instant keeps the order in which it was told.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    hosts: Vec<Host>,
    records: Vec<Record>,
    limit: Option<usize>,
    dropped: u64,
}

impl Timeline {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing yet, and never more than `records` records: later ones are counted, not kept.
    #[must_use]
    pub fn bounded(records: usize) -> Self {
        Self {
            limit: Some(records),
            ..Self::default()
        }
    }

    /// Registers a host. Order matters for the eye: the first one is drawn on the left.
    ///
    /// At most 65536 hosts; more share the last number. Of the name, 64 characters are kept; control characters,
    /// which could do anything to a terminal, become spaces.
    pub fn host(&mut self, name: &str, addresses: &[IpAddr]) -> HostId {
        let id = HostId(u16::try_from(self.hosts.len()).unwrap_or(u16::MAX));
        self.hosts.push(Host {
            name: name.to_owned(),
            addresses: addresses.to_vec(),
        });
        id
    }

    /// A TCP event of `host`.
    pub fn tcp(&mut self, now: Instant, host: HostId, who: &Endpoints, event: TraceEvent) {
        self.push(
            now,
            What::Tcp {
                host,
                who: *who,
                event,
            },
        );
    }

    /// `octets` (an IP packet) leave `from`.
    pub fn left(&mut self, now: Instant, packet: PacketId, from: HostId, octets: &[u8]) {
        self.push(
            now,
            What::Left {
                packet,
                from,
                octets: octets.into(),
            },
        );
    }

    /// `packet` reaches `to`.
    pub fn arrived(&mut self, now: Instant, packet: PacketId, to: HostId) {
        self.push(now, What::Arrived { packet, to });
    }

    /// `packet` is lost (or, for [`Fate::Corrupted`], spoilt).
    pub fn lost(&mut self, now: Instant, packet: PacketId, why: Fate) {
        self.push(now, What::Lost { packet, why });
    }

    /// `copy` is a second packet like `packet`; its own arrival or loss is told under its own number.
    pub fn duplicated(&mut self, now: Instant, packet: PacketId, copy: PacketId) {
        self.push(now, What::Duplicated { packet, copy });
    }

    /// The hosts, by [`HostId`].
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The name of `host`; empty for a number that was never given out.
    #[must_use]
    pub fn name(&self, host: HostId) -> &str {
        self.hosts
            .get(usize::from(host.0))
            .map_or("", |h| h.name.as_str())
    }

    /// The host that has `address`.
    #[must_use]
    pub fn host_at(&self, address: IpAddr) -> Option<HostId> {
        let index = self
            .hosts
            .iter()
            .position(|h| h.addresses.contains(&address))?;
        u16::try_from(index).ok().map(HostId)
    }

    /// The records, by time.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// How many records did not fit (see [`Timeline::bounded`]).
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether the wire was watched too. Without it, arrows come from what TCP sent and received.
    #[must_use]
    pub fn has_wire(&self) -> bool {
        self.records
            .iter()
            .any(|r| matches!(r.what, What::Left { .. }))
    }

    /// Moves the records out; the hosts are in both, and the bound stays.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let rest = Self {
            hosts: self.hosts.clone(),
            limit: self.limit,
            ..Self::default()
        };
        std::mem::replace(self, rest)
    }

    fn push(&mut self, now: Instant, what: What) {
        if self.limit.is_some_and(|limit| self.records.len() >= limit) {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        // Threads of a live stack may be a little late; a simulation always appends.
        let late = self
            .records
            .iter()
            .rev()
            .take_while(|r| r.now > now)
            .count();
        self.records
            .insert(self.records.len() - late, Record { now, what });
    }
}

#[cfg(test)]
mod tests {
    use super::{Fate, HostId, PacketId, Timeline, What};
    use woshou_tcp::Instant;

    #[test]
    fn records_are_ordered_by_time_then_by_telling() {
        let mut t = Timeline::new();
        for (at, packet) in [(5, 1), (3, 2), (5, 3), (3, 4), (9, 5)] {
            t.lost(Instant::from_nanos(at), PacketId(packet), Fate::Loss);
        }
        let order: Vec<u64> = t
            .records()
            .iter()
            .map(|r| match r.what {
                What::Lost { packet, .. } => packet.0,
                _ => 0,
            })
            .collect();
        assert_eq!(order, [2, 4, 1, 3, 5]);
    }

    #[test]
    fn a_bounded_timeline_counts_what_it_does_not_keep() {
        let mut t = Timeline::bounded(2);
        for at in 0..5 {
            t.arrived(Instant::from_nanos(at), PacketId(at), HostId(0));
        }
        assert_eq!((t.records().len(), t.dropped()), (2, 3));
    }

    #[test]
    fn hosts_are_found_by_address_and_name() {
        let mut t = Timeline::new();
        let a = t.host("client", &["192.168.1.116".parse().unwrap()]);
        let b = t.host(
            "server",
            &["192.168.1.123".parse().unwrap(), "fd00::1".parse().unwrap()],
        );
        assert_eq!(t.host_at("fd00::1".parse().unwrap()), Some(b));
        assert_eq!(t.host_at("fd00::2".parse().unwrap()), None);
        assert_eq!((t.name(a), t.name(HostId(7))), ("client", ""));
    }
}
