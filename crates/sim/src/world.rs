//! The world: hosts, links between them, one clock. Everything happens in one thread, in a fixed order.

mod user;
mod wire;

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use woshou_stack::{Cidr, LinkConfig, Medium, Stack};
use woshou_tcp::Instant;

use crate::app::{App, Report};
use crate::clock::Agenda;
use crate::device::Press;
use crate::host::{Host, HostId};
use crate::link::meter::Meter;
use crate::link::{Direction, Path};
use crate::node::{Node, Port};
use crate::seed::{Chance, Stream};
use crate::watch::{PacketId, Trouble, Watcher};

/// A link of a [`World`], by the number in which it was added, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u32);

/// A pair of paths of a [`World`], forth and back, by the number in which it was added, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathsId(u32);

/// A program of a [`World`]: its host, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AppId {
    host: HostId,
    number: usize,
}

/// Why [`World::run_until_idle`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// Nothing will ever happen again.
    Idle,
    /// The limit was reached.
    Limit,
    /// More than [`World::MOST_AT_ONCE`] things happened without a nanosecond passing: somebody is in a loop.
    Livelock,
}

/// Packets so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Left a host.
    pub left: u64,
    /// Arrived, second copies included.
    pub arrived: u64,
    /// Lost on the way.
    pub lost: u64,
    /// Arrived with a bit flipped.
    pub corrupted: u64,
    /// Arrived twice.
    pub duplicated: u64,
    /// Held back.
    pub held: u64,
    /// Marked with CE at a bottleneck (RFC 3168).
    pub marked: u64,
}

/// Something that is to happen.
#[derive(Debug)]
enum Happening {
    Arrival(Flight),
    Report {
        host: HostId,
        inside: woshou_stack::LinkId,
        octets: Bytes,
    },
    /// The line behind a managed queue has sent a packet.
    LineFree(LinkId, bool),
    StackTimer(HostId),
    AppStart(AppId),
    AppTime(AppId),
}

/// A copy of a packet on its way.
#[derive(Debug)]
struct Flight {
    link: LinkId,
    forth: bool,
    id: PacketId,
    octets: Bytes,
    trouble: Trouble,
}

#[derive(Debug)]
struct Link {
    ends: [HostId; 2],
    /// Which of the world's paths it uses.
    paths: PathsId,
    /// How much longer its packets take, forth and back.
    extra: [Duration; 2],
}

/// A network in virtual time.
///
/// Every method that names a [`HostId`], [`LinkId`] or [`AppId`] wants one that this world handed out, and
/// panics otherwise.
pub struct World<'w> {
    seed: u64,
    agenda: Agenda<Happening>,
    nodes: Vec<Node>,
    links: Vec<Link>,
    /// Forth and back.
    paths: Vec<[Direction; 2]>,
    watcher: Option<&'w mut dyn Watcher>,
    /// Whether the watcher is told what happens inside TCP.
    hears_tcp: bool,
    traffic: Traffic,
    press: Press,
    /// Packets that leave now; empty between two calls, but it keeps its memory.
    leaving: Vec<Bytes>,
    /// What happened without time passing.
    at_once: u32,
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("seed", &self.seed)
            .field("now", &self.now())
            .field("hosts", &self.nodes.len())
            .field("links", &self.links)
            .field("traffic", &self.traffic)
            .finish_non_exhaustive()
    }
}

impl<'w> World<'w> {
    /// See [`Halt::Livelock`].
    pub const MOST_AT_ONCE: u32 = 200_000;

    /// An empty world at [`Instant::ZERO`].
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            agenda: Agenda::default(),
            nodes: Vec::new(),
            links: Vec::new(),
            paths: Vec::new(),
            watcher: None,
            hears_tcp: false,
            traffic: Traffic::default(),
            press: Press::default(),
            leaving: Vec::new(),
            at_once: 0,
        }
    }

    /// An empty world that `watcher` watches.
    #[must_use]
    pub fn watched(seed: u64, watcher: &'w mut dyn Watcher) -> Self {
        Self {
            hears_tcp: watcher.wants_tcp(),
            watcher: Some(watcher),
            ..Self::new(seed)
        }
    }

    /// Adds a host, which has no link yet.
    pub fn add_host(&mut self, host: Host) -> HostId {
        let id = HostId(number(self.nodes.len()));
        let secret = Chance::new(self.seed, Stream::Stack(id.0)).secret();
        self.nodes.push(Node::new(host, secret, self.hears_tcp));
        id
    }

    /// Joins two hosts: `forth` is the path from `a` to `b`, `back` the other.
    ///
    /// Each routes the other's addresses out of this link, and by its first link everything else too.
    pub fn add_link(&mut self, a: HostId, b: HostId, forth: Path, back: Path) -> LinkId {
        let paths = self.add_paths(forth, back);
        self.add_link_through(paths, a, b, [Duration::ZERO; 2])
    }

    /// Adds a pair of paths that several links may use.
    pub fn add_paths(&mut self, forth: Path, back: Path) -> PathsId {
        let id = PathsId(number(self.paths.len()));
        let direction = |path, is_forth| Direction::new(path, self.seed, id.0, is_forth);
        let both = [direction(forth, true), direction(back, false)];
        self.paths.push(both);
        id
    }

    /// Joins two hosts by a link that uses `paths`: the packets of all links that do share one bottleneck, one queue and one
    /// luck, in each direction. After the path, those of this link take `extra` longer (forth, back).
    ///
    /// With it several senders and receivers meet at one bottleneck (a "dumbbell"), each with its own round trip.
    pub fn add_link_through(
        &mut self,
        paths: PathsId,
        a: HostId,
        b: HostId,
        extra: [Duration; 2],
    ) -> LinkId {
        let id = LinkId(number(self.links.len()));
        let ends = [a, b];
        self.links.push(Link { ends, paths, extra });
        self.plug_in(id, a, b);
        id
    }

    /// Tells both hosts of their link.
    fn plug_in(&mut self, id: LinkId, a: HostId, b: HostId) {
        for (host, peer, first) in [(a, b, true), (b, a, false)] {
            let peer = self.node(peer).host.addresses();
            let node = self.node_mut(host);
            let inside = node.stack.add_link(LinkConfig {
                medium: Medium::Ip,
                mtu: node.host.mtu,
                addresses: node.host.addresses().map(single).to_vec(),
                checksum_offload: node.host.checksum_offload
                    || node.host.gso_max > 0
                    || node.host.trusts_wire,
                gso_max: node.host.gso_max,
            });
            for address in peer {
                node.stack.add_route(single(address), inside, None);
                if node.ports.is_empty() {
                    let all = match address {
                        IpAddr::V4(_) => IpAddr::from([0; 4]),
                        IpAddr::V6(_) => IpAddr::from([0; 16]),
                    };
                    node.stack.add_route(
                        Cidr {
                            address: all,
                            prefix: 0,
                        },
                        inside,
                        None,
                    );
                }
            }
            node.ports.push(Port {
                inside,
                link: id,
                first,
            });
        }
    }

    /// Replaces what one direction of a link does (`forth`: from its first end to its second). Packets under
    /// way stay under way; queue, count and luck go on.
    pub fn set_path(&mut self, link: LinkId, forth: bool, path: Path) {
        self.direction_mut(link, forth).path = path;
    }

    /// What the bottleneck of one direction of a link did (`forth`: from its first end to its second), all links that share
    /// it together.
    #[must_use]
    pub fn meter(&self, link: LinkId, forth: bool) -> &Meter {
        self.direction(link, forth).meter()
    }

    /// Lets that meter begin anew, now.
    pub fn reset_meter(&mut self, link: LinkId, forth: bool) {
        self.direction_mut(link, forth).reset_meter();
    }

    /// Octets at the bottleneck of one direction of a link now, the packet being sent included.
    #[must_use]
    pub fn queued(&self, link: LinkId, forth: bool) -> u64 {
        self.direction(link, forth).queued(self.now())
    }

    /// Puts a program on a host; it starts at the next [`step`](Self::step), those put on first before it.
    pub fn add_app(&mut self, host: HostId, app: impl App + 'static) -> AppId {
        let apps = &mut self.node_mut(host).apps;
        apps.push(Box::new(app));
        let id = AppId {
            host,
            number: apps.len() - 1,
        };
        self.agenda.push(self.agenda.now(), Happening::AppStart(id));
        id
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.agenda.now()
    }

    /// When the next thing happens; `None`: never.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        self.agenda.next_at()
    }

    /// Packets so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// The stack of a host, to look at.
    #[must_use]
    pub fn stack(&self, host: HostId) -> &Stack {
        &self.node(host).stack
    }

    /// How it goes for a program.
    #[must_use]
    pub fn report(&self, app: AppId) -> Report {
        self.node(app.host)
            .apps
            .get(app.number)
            .map(|app| app.report())
            .unwrap_or_default()
    }

    /// Uses the stack of a host as a program there would, now. Events of the stack go to the host's programs.
    pub fn with_stack<R>(
        &mut self,
        host: HostId,
        user: impl FnOnce(&mut Stack, Instant) -> R,
    ) -> R {
        let now = self.now();
        let result = user(&mut self.node_mut(host).stack, now);
        self.settle(host);
        self.forget_stale_timers();
        result
    }

    /// Lets the next thing happen; `false` when there is nothing, or in a [livelock](Halt::Livelock).
    pub fn step(&mut self) -> bool {
        if self.is_stuck() {
            return false;
        }
        let before = self.now();
        let Some(happening) = self.agenda.pop() else {
            return false;
        };
        let now = self.now();
        self.at_once = if now > before { 0 } else { self.at_once + 1 };
        match happening {
            Happening::Arrival(flight) => self.arrive(&flight),
            Happening::Report {
                host,
                inside,
                octets,
            } => {
                self.deliver(host, inside, &octets);
            }
            Happening::LineFree(link, forth) => self.serve(link, forth),
            Happening::StackTimer(host) => self.stack_timer(host),
            Happening::AppStart(app) => self.with_app(app, |app, cx| app.start(cx)),
            Happening::AppTime(app) => self.with_app(app, |app, cx| app.on_time(cx)),
        }
        self.forget_stale_timers();
        true
    }

    /// Lets everything happen that is due until `until`, and sets the clock to it.
    pub fn run_until(&mut self, until: Instant) {
        while self.next_at().is_some_and(|at| at <= until) && self.step() {}
        self.agenda.advance(until);
    }

    /// Lets everything happen until nothing will happen any more, or `limit` is reached.
    pub fn run_until_idle(&mut self, limit: Instant) -> Halt {
        loop {
            match self.next_at() {
                None => return Halt::Idle,
                Some(at) if at > limit => return Halt::Limit,
                Some(_) if !self.step() => return Halt::Livelock,
                Some(_) => {}
            }
        }
    }

    /// So that a timer which was stopped or moved does not make time pass. One that was moved to later than it stands on the
    /// agenda is put there again only now: most are moved many times before.
    fn forget_stale_timers(&mut self) {
        while let Some((at, &Happening::StackTimer(host))) = self.agenda.peek() {
            let node = &mut self.nodes[host.0 as usize]; // The world put it on the agenda.
            if node.timer_at == Some(at) {
                return;
            }
            self.agenda.remove_next();
            if node.on_agenda_at == Some(at) {
                node.on_agenda_at = node.timer_at;
                if let Some(later) = node.timer_at {
                    self.agenda.push(later, Happening::StackTimer(host));
                }
            }
        }
    }

    /// Whether somebody is in a loop.
    fn is_stuck(&self) -> bool {
        self.at_once > Self::MOST_AT_ONCE
    }

    fn node(&self, host: HostId) -> &Node {
        &self.nodes[host.0 as usize] // Promised by the caller: see the type's documentation.
    }

    fn node_mut(&mut self, host: HostId) -> &mut Node {
        &mut self.nodes[host.0 as usize] // As above.
    }
}

/// The prefix that holds one address only.
fn single(address: IpAddr) -> Cidr {
    Cidr {
        address,
        prefix: if address.is_ipv4() { 32 } else { 128 },
    }
}

/// A count of hosts or links: more than `u32::MAX` do not fit into memory.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
