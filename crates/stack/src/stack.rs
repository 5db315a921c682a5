//! The stack: what it is made of, and the calls that look at it. Input, output and the user's calls are in the
//! rooms below.

mod any;
mod deferred;
mod figures;
mod icmp;
mod input;
mod known;
mod marks;
mod memory;
mod options;
mod output;
mod path;
mod resolve;
mod shard;
mod tcp;
mod time_wait;
mod train;
mod user;

pub use options::ListenOptions;
pub use shard::Stray;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use siphasher::sip::SipHasher24;
use woshou_tcp::event::Timer;
use woshou_tcp::isn::IsnKey;
use woshou_tcp::options::Setup;
use woshou_tcp::{
    ChallengeBudget, ChunkPool, Connection, Context, Ended, Endpoints, Instant, Observer, Pressure,
    SeqNum, State, TraceEvent, TupleHash,
};

use crate::config::{Cidr, Config, LinkConfig, LinkId};
use crate::deadlines::Deadlines;
use crate::deferred::Deferred;
use crate::demux::{Demux, Key, KeyedHash};
use crate::ip::fragments::Fragments;
use crate::ip::pmtu::Pmtus;
use crate::ip::route::{Path, Routes};
use crate::listeners::Listeners;
use crate::memory::{Memory, share};
use crate::neighbour::Neighbours;
use crate::packet::{Counters, Event};
use crate::ports::Ports;
use crate::stencil::Stencil;
use crate::table::{Body, ConnId, Place, Settled, Table};
use crate::time_waits::{COST as TIME_WAIT_COST, TimeWaits};
use known::Known;
use train::Train;

/// A packet of the stack's own making, [`crate::ip::HEADROOM`] octets in front.
struct Reply {
    path: Path,
    octets: Vec<u8>,
}

/// What leaves without a connection: replies to be routed, and frames that only wait for their turn.
#[derive(Default)]
struct Replies {
    packets: VecDeque<Reply>,
    frames: VecDeque<(LinkId, Vec<u8>)>,
    /// In `packets` and `frames`.
    octets: usize,
}

/// Octets of replies that wait at most, whatever the budget: more than any link takes in at once.
const MAX_REPLY_OCTETS: usize = 1 << 20;
/// Packets that wait at most, from us to us.
const MAX_LOOPED: usize = 1_024;

/// A TCP/IP stack: packets in, packets out. See the crate's documentation for how it is driven.
pub struct Stack {
    config: Arc<Config>,
    tcp: Arc<woshou_tcp::Config>,
    isn: IsnKey,
    /// Of the next connection, instead of what the key gives.
    next_isn: Option<SeqNum>,
    outside: Outside,
    routes: Routes,
    pmtus: Pmtus,
    ports: Ports,
    /// Of the tables of four-tuples.
    tuple_hash: TupleHash,
    demux: Demux,
    /// The slot that a segment was for last.
    last: u32,
    known: Known,
    table: Table,
    listeners: Listeners,
    /// Of the listeners' tables.
    listener_key: [u8; 16],
    time_waits: TimeWaits,
    /// SYNs that wait for the program's decision.
    deferred: Deferred,
    fragments: Fragments,
    neighbours: Neighbours,
    replies: Replies,
    /// From us to us, IP packets with headroom; handled before anything else leaves.
    looped: VecDeque<(LinkId, Vec<u8>)>,
    looped_octets: usize,
    memory: Memory,
    /// Budgets of what is sent without a connection: RST and ICMP errors, echoes, answers to neighbours. Unpredictable, as that of
    /// challenges: who counts the answers to their own probes learns nothing of the answers to others (CVE-2020-25705).
    errors: ChallengeBudget,
    echoes: ChallengeBudget,
    neighbour_answers: ChallengeBudget,
    /// Of IPv6's flow labels.
    flow_key: KeyedHash,
    /// Draws what fragments of ours are known by, and how many were drawn.
    fragment_key: KeyedHash,
    fragmented: u64,
    counters: Counters,
    /// The headers of the packet handed out last.
    stencil: Stencil,
    /// The segments that are being cut.
    train: Train,
    /// The packet handed out last, when it was one of our own making.
    frame: Vec<u8>,
    /// Which of several it is, if it is.
    share: Option<Box<shard::Share>>,
}

/// What all calls into TCP share.
struct Outside {
    observer: Option<Box<dyn Observer + Send>>,
    challenges: ChallengeBudget,
    chunks: ChunkPool,
}

fn context(now: Instant, outside: &mut Outside) -> Context<'_> {
    let Outside {
        observer,
        challenges,
        chunks,
    } = outside;
    Context {
        now,
        observer: observer
            .as_deref_mut()
            .map(|observer| observer as &mut dyn Observer),
        challenges: Some(challenges),
        chunks: Some(chunks),
    }
}

impl Stack {
    /// A stack without links. All that must not be guessed (initial sequence numbers, ports, hashes) comes
    /// from `seed`: 32 octets that nobody outside knows, or any where only repetition counts.
    #[must_use]
    pub fn new(config: Arc<Config>, seed: [u8; 32]) -> Self {
        let key = |purpose: u8| derive(&seed, purpose);
        let hash = |purpose| KeyedHash::new(key(purpose));
        let memory = Memory::new(config.memory);
        let tuple_hash = TupleHash::new(key(3));
        Self {
            tcp: Arc::clone(&config.tcp),
            isn: IsnKey::new(key(0)),
            next_isn: None,
            outside: Outside {
                observer: None,
                challenges: ChallengeBudget::new(config.challenge_acks_per_second, key(20)),
                chunks: ChunkPool::default(),
            },
            routes: Routes::default(),
            pmtus: Pmtus::default(),
            ports: Ports::new(config.ephemeral_ports.clone(), hash(1), hash(2)),
            demux: Demux::default(),
            last: u32::MAX,
            known: Known::none(),
            table: Table::default(),
            listeners: Listeners::new(),
            listener_key: key(6),
            deferred: Deferred::new(hash(22)),
            time_waits: TimeWaits::new(
                config
                    .time_wait_entries
                    .min(memory.part(share::TIME_WAIT) / TIME_WAIT_COST),
                tuple_hash.clone(),
            ),
            tuple_hash,
            fragments: Fragments::new(memory.part(share::FRAGMENTS)),
            neighbours: Neighbours::new(memory.part(share::QUEUE)),
            replies: Replies::default(),
            looped: VecDeque::new(),
            looped_octets: 0,
            memory,
            errors: ChallengeBudget::new(config.replies_per_second, key(23)),
            echoes: ChallengeBudget::new(config.replies_per_second, key(24)),
            neighbour_answers: ChallengeBudget::new(config.replies_per_second, key(25)),
            flow_key: hash(7),
            fragment_key: hash(5),
            fragmented: 0,
            counters: Counters::default(),
            stencil: Stencil::new(),
            train: Train::none(),
            frame: Vec::new(),
            share: None,
            config,
        }
    }

    /// Forces the initial sequence number of the next connection that is opened or accepted; those after it
    /// have unpredictable ones again.
    ///
    /// For demonstrations and tests only: a number that can be guessed lets anyone inject text (RFC 6528).
    pub fn set_next_isn(&mut self, isn: SeqNum) {
        self.next_isn = Some(isn);
    }

    /// Adds a link; each of its addresses also makes a route to its prefix.
    pub fn add_link(&mut self, link: LinkConfig) -> LinkId {
        self.routes.add_link(link)
    }

    /// Routes `to` out of `link`, by `via` when given (a default route is prefix 0). The longest prefix wins,
    /// of equals the one added first.
    pub fn add_route(&mut self, to: Cidr, link: LinkId, via: Option<IpAddr>) {
        self.routes.add_route(to, link, via);
    }

    /// Who hears what happens inside TCP; `None`: nobody.
    pub fn set_observer(&mut self, observer: Option<Box<dyn Observer + Send>>) {
        self.outside.observer = observer;
    }

    /// Replaces the behaviour of connections and listeners made from now on.
    pub fn set_tcp_config(&mut self, tcp: Arc<woshou_tcp::Config>) {
        self.tcp = tcp;
    }

    // ---- to look at ----

    /// The connection; `None` in SYN-SENT and for ids that name nothing.
    #[must_use]
    pub fn connection(&self, id: ConnId) -> Option<&Connection> {
        match &self.table.of_user(id)?.body {
            Body::Opening(_) => None,
            Body::Connection(connection) => Some(connection),
        }
    }

    /// Both ends; `None` for ids that name nothing.
    #[must_use]
    pub fn endpoints(&self, id: ConnId) -> Option<Endpoints> {
        self.table.of_user(id).map(|slot| *slot.body.endpoints())
    }

    /// Why it ended, when it did (in SYN-SENT too); TIME-WAIT counts as closed.
    #[must_use]
    pub fn ended(&self, id: ConnId) -> Option<Ended> {
        self.table.of_user(id)?.body.ended()
    }

    /// The state; CLOSED for ids that name nothing, and once TIME-WAIT is over.
    #[must_use]
    pub fn state(&self, id: ConnId) -> State {
        let Some(slot) = self.table.of_user(id) else {
            return State::Closed;
        };
        match slot.place {
            Place::TimeWait(entry) if !self.time_waits.holds(entry) => State::Closed,
            _ => slot.body.state(),
        }
    }

    /// All connections, TIME-WAIT and half-open ones included, in an order that does not depend on chance.
    #[must_use]
    pub fn connections(&self) -> Vec<(Endpoints, State)> {
        let here = self.table.iter().filter(|slot| slot.place == Place::Here);
        let here = here.map(|slot| (*slot.body.endpoints(), slot.body.state()));
        let half_open = self
            .listeners
            .iter()
            .flat_map(|entry| entry.listener.half_open_endpoints());
        let half_open = half_open.map(|endpoints| (endpoints, State::SynReceived));
        let waiting = self
            .time_waits
            .iter()
            .map(|entry| (entry.endpoints(), State::TimeWait));
        here.chain(half_open).chain(waiting).collect()
    }

    /// What was counted since the start.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    // ---- news and time ----

    /// The next piece of news; what happened to one connection since its last is told together.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(id) = self.listeners.poll_event() {
            return Some(Event::Acceptable(id));
        }
        if let Some(id) = self.deferred.poll_asked() {
            return Some(Event::Incoming(id));
        }
        if let Some(id) = self.deferred.poll_gone() {
            return Some(Event::Cancelled(id));
        }
        self.table
            .poll_event()
            .map(|(id, wake)| Event::Connection(id, wake))
    }

    /// When [`Self::handle_timeout`] is due; exact, `None` when nothing waits for time to pass.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let first = |all: &Deadlines| all.first().map_or(Instant::MAX, |(at, _)| at);
        let none = Instant::MAX;
        let due = first(&self.table.deadlines)
            .min(first(&self.listeners.deadlines))
            .min(self.time_waits.poll_timeout().unwrap_or(none))
            .min(first(&self.deferred.deadlines))
            .min(self.fragments.poll_timeout().unwrap_or(none))
            .min(self.neighbours.poll_timeout().unwrap_or(none));
        (due < none).then_some(due)
    }

    /// Time passed. Calling it too often is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, index)) = self.table.deadlines.first().filter(|&(at, _)| at <= now) {
            let Some(id) = self.table.id(index) else {
                self.table.deadlines.set(index, None);
                continue;
            };
            if let Some(slot) = self.table.get_mut(id) {
                slot.body
                    .handle_timeout(&mut context(now, &mut self.outside));
            }
            self.settle(now, id);
            self.table.deadlines.not_before(index, now);
        }
        while let Some((_, index)) = self
            .listeners
            .deadlines
            .first()
            .filter(|&(at, _)| at <= now)
        {
            self.listener_timeout(now, index);
        }
        while let Some(index) = self.time_waits.expired(now) {
            self.expire_time_wait(now, index);
        }
        self.expire_deferred(now);
        self.expire_fragments(now);
        self.neighbour_timeouts(now);
        self.table.deadlines.none_before(now);
    }

    fn listener_timeout(&mut self, now: Instant, index: u32) {
        let Some(id) = self.listeners.id(index) else {
            self.listeners.deadlines.set(index, None);
            return;
        };
        if let Some(entry) = self.listeners.get_mut(id) {
            entry
                .listener
                .handle_timeout(&mut context(now, &mut self.outside));
        }
        self.listeners.settle(id);
        self.listeners.deadlines.not_before(index, now);
    }

    /// 2 MSL are over.
    fn expire_time_wait(&mut self, now: Instant, index: u32) {
        if let Some(entry) = self.time_waits.get_mut(index) {
            let fired = TraceEvent::TimerFired {
                timer: Timer::TimeWait,
            };
            context(now, &mut self.outside).trace(&entry.endpoints(), || fired);
        }
        self.forget_time_wait(now, index);
    }

    /// The entry has expired, had to make room, or gives way to a new connection.
    fn forget_time_wait(&mut self, now: Instant, index: u32) {
        let Some(endpoints) = self.time_waits.remove(index) else {
            return;
        };
        let mut cx = context(now, &mut self.outside);
        cx.trace(&endpoints, || TraceEvent::StateChanged {
            from: State::TimeWait,
            to: State::Closed,
            event: woshou_tcp::Event::TimeWaitOver,
        });
    }

    // ---- shared by the rooms ----

    /// What the tables know `endpoints` by.
    #[inline]
    fn key(&self, endpoints: &Endpoints) -> Key {
        Key::new(&self.tuple_hash, endpoints)
    }

    /// The slot that answers for `endpoints`.
    #[inline]
    fn owner(&self, key: &Key, endpoints: &Endpoints) -> Option<u32> {
        let is_it = |index| self.table.endpoints(index) == Some(endpoints);
        self.demux.find(key.hash, is_it)
    }

    /// What a new connection between `endpoints` along `path` must be told.
    fn setup(&mut self, now: Instant, endpoints: Endpoints, path: &Path) -> Setup {
        Setup {
            endpoints,
            iss: self
                .next_isn
                .take()
                .unwrap_or_else(|| self.isn.isn(now, &endpoints)),
            timestamp_offset: self.isn.timestamp_offset(&endpoints),
            send_mss: path.mss(),
            receive_mss: self.receive_mss(path),
        }
    }

    /// A connection was told something: draws the consequences for the four-tuple, the deadline, the user, and whether it
    /// has output.
    fn settle(&mut self, now: Instant, id: ConnId) {
        self.conclude(now, id, false);
    }

    /// As [`Self::settle`]; `turn`: it was asked for output just now and has none.
    fn conclude(&mut self, now: Instant, id: ConnId, turn: bool) {
        let mut settled = self.table.settle(now, id, turn);
        if settled == Settled::Over {
            self.leave(now, id);
            settled = self.table.settle(now, id, turn);
        }
        if settled == Settled::Changed || self.memory.level() > Pressure::Plenty {
            self.mind_memory(now);
        }
    }

    /// It is over: a TIME-WAIT entry answers for the four-tuple, or nobody.
    #[cold]
    fn leave(&mut self, now: Instant, id: ConnId) {
        if let Some(slot) = self.table.get_mut(id) {
            let time_wait = match &slot.body {
                Body::Connection(connection) => connection.time_wait(),
                Body::Opening(_) => None,
            };
            let endpoints = *slot.body.endpoints();
            if let Some(time_wait) = time_wait {
                //= rfc9293 SHLD-23
                let marks = slot.marks;
                self.enter_time_wait(now, id, (endpoints, time_wait, marks));
            } else {
                slot.place = Place::Gone;
                self.table.forget_orphan(id);
                let key = self.key(&endpoints);
                self.demux.remove(key.hash, id.index);
            }
        }
    }

    /// Puts a packet of our own making in the queue, or drops it where the queue is full.
    fn reply(&mut self, path: Path, octets: Vec<u8>) {
        if !self.may_queue(self.replies.octets, octets.len()) {
            self.counters.dropped_out += 1;
            return;
        }
        self.replies.octets += octets.len();
        self.replies.packets.push_back(Reply { path, octets });
    }

    /// The way back to the sender of a packet that came by `link`.
    fn way_back(&self, to: IpAddr, link: LinkId) -> Option<Path> {
        self.routes
            .find(to, link.0.saturating_add(1))
            .or_else(|| self.routes.path(link, to))
    }

    /// Whether `address` is one of ours.
    fn is_local(&self, address: SocketAddr) -> bool {
        self.routes.owner_of(address.ip()).is_some()
    }
}

/// A key for one purpose: SipHash-2-4 of the purpose under each half of the seed.
fn derive(seed: &[u8; 32], purpose: u8) -> [u8; 16] {
    let mut key = [0; 16];
    let (halves, _) = seed.as_chunks::<16>();
    for (half, (out, seed)) in (0u8..).zip(key.chunks_exact_mut(8).zip(halves)) {
        let hash = SipHasher24::new_with_key(seed).hash(&[purpose, half]);
        out.copy_from_slice(&hash.to_be_bytes());
    }
    key
}
