//! What happens between hosts: packets leave, are on their way or lost, and arrive.

use bytes::Bytes;

use super::{Flight, Happening, LinkId, PathsId, World};
use crate::host::HostId;
use crate::link::loss::LossCause;
use crate::link::{Copy, Direction, Fate, Ticket};
use crate::node::Port;
use crate::watch::{PacketId, Sight, Trouble};

impl World<'_> {
    /// The direction whose bottleneck packets of `link` use.
    pub(super) fn direction(&self, link: LinkId, forth: bool) -> &Direction {
        let PathsId(paths) = self.links[link.0 as usize].paths; // Promised by the caller: see the type's documentation.
        &self.paths[paths as usize][usize::from(!forth)]
    }

    /// The same, to change.
    pub(super) fn direction_mut(&mut self, link: LinkId, forth: bool) -> &mut Direction {
        let PathsId(paths) = self.links[link.0 as usize].paths; // As above.
        &mut self.paths[paths as usize][usize::from(!forth)]
    }

    /// Sender and receiver of one direction of a link.
    fn ends(&self, link: LinkId, forth: bool) -> (HostId, HostId) {
        let [a, b] = self.links[link.0 as usize].ends; // As above.
        if forth { (a, b) } else { (b, a) }
    }

    /// A packet leaves its host: the link decides what becomes of it.
    pub(super) fn leave(&mut self, from: HostId, inside: woshou_stack::LinkId, octets: &Bytes) {
        let Some(&port) = self
            .node(from)
            .ports
            .iter()
            .find(|port| port.inside == inside)
        else {
            return; // The stack named a link that the world never gave it.
        };
        let Port {
            link, first: forth, ..
        } = port;
        let (now, id) = (self.now(), PacketId(self.traffic.left));
        self.traffic.left += 1;
        let (_, to) = self.ends(link, forth);
        if let Some(watcher) = self.watcher.as_deref_mut() {
            watcher.left(&Sight {
                id,
                at: now,
                link,
                from,
                to,
                octets,
                trouble: Trouble::default(),
            });
        }
        let fate = self
            .direction_mut(link, forth)
            .offer(now, octets.clone(), (link, id));
        match fate {
            Fate::Lost(cause) => {
                self.lose((link, id), forth, octets, cause);
                if cause == LossCause::TooBig {
                    self.report_mtu(port, from, octets);
                }
            }
            Fate::Waits if self.direction(link, forth).is_free(now) => self.serve(link, forth),
            Fate::Waits => {}
            carried @ Fate::Carried { .. } => self.carry(link, forth, id, carried),
        }
    }

    /// A packet will never arrive.
    fn lose(&mut self, (link, id): Ticket, forth: bool, octets: &Bytes, cause: LossCause) {
        self.traffic.lost += 1;
        let (from, to) = self.ends(link, forth);
        let at = self.now();
        if let Some(watcher) = self.watcher.as_deref_mut() {
            let sight = Sight {
                id,
                at,
                link,
                from,
                to,
                octets,
                trouble: Trouble::default(),
            };
            watcher.lost(&sight, cause);
        }
    }

    /// The line behind a managed queue is free: the next packet is sent, unless none is left.
    pub(super) fn serve(&mut self, link: LinkId, forth: bool) {
        let now = self.now();
        let direction = self.direction_mut(link, forth);
        if !direction.is_free(now) {
            return; // A packet that came at the same moment was first.
        }
        let served = direction.serve(now);
        for (ticket, octets) in &served.dropped {
            self.lose(*ticket, forth, octets, LossCause::Managed);
        }
        if let Some((ticket, octets, fate, free_at)) = served.sent {
            match fate {
                Fate::Lost(cause) => self.lose(ticket, forth, &octets, cause),
                fate => self.carry(ticket.0, forth, ticket.1, fate),
            }
            self.agenda.push(free_at, Happening::LineFree(link, forth));
        }
    }

    /// Puts the copies of a packet on the agenda.
    fn carry(&mut self, link: LinkId, forth: bool, id: PacketId, fate: Fate) {
        let Fate::Carried {
            octets,
            corrupted,
            marked,
            first,
            second,
        } = fate
        else {
            return;
        };
        let [extra_forth, extra_back] = self.links[link.0 as usize].extra; // As above.
        let extra = if forth { extra_forth } else { extra_back };
        self.traffic.corrupted += u64::from(corrupted);
        self.traffic.marked += u64::from(marked);
        self.traffic.duplicated += u64::from(second.is_some());
        for (copy, duplicate) in [(Some(first), false), (second, true)] {
            let Some(Copy { at, held }) = copy else {
                continue;
            };
            self.traffic.held += u64::from(held);
            let trouble = Trouble {
                corrupted,
                duplicate,
                held,
            };
            let flight = Flight {
                link,
                forth,
                id,
                octets: octets.clone(),
                trouble,
            };
            let lane = link.0.saturating_mul(2).saturating_add(u32::from(forth));
            self.agenda
                .push_in_lane(lane, at + extra, Happening::Arrival(flight));
        }
    }

    /// The router in front of the narrow path tells the sender, when the path has such a router.
    fn report_mtu(&mut self, port: Port, from: HostId, octets: &Bytes) {
        let mtu = self.direction_mut(port.link, port.first).path.mtu;
        if let Some(report) = mtu.and_then(|mtu| mtu.report(octets)) {
            let octets = Bytes::from(report);
            let report = Happening::Report {
                host: from,
                inside: port.inside,
                octets,
            };
            self.agenda.push(self.agenda.now(), report);
        }
    }

    /// A packet is there.
    pub(super) fn arrive(&mut self, flight: &Flight) {
        let &Flight {
            link,
            forth,
            id,
            ref octets,
            trouble,
        } = flight;
        let (from, to) = self.ends(link, forth);
        self.traffic.arrived += 1;
        let at = self.now();
        if let Some(watcher) = self.watcher.as_deref_mut() {
            watcher.arrived(&Sight {
                id,
                at,
                link,
                from,
                to,
                octets,
                trouble,
            });
        }
        let ports = &self.node(to).ports;
        let port = ports
            .iter()
            .find(|port| port.link == link && port.first != forth);
        if let Some(&Port { inside, .. }) = port {
            self.deliver(to, inside, octets);
        }
    }
}
