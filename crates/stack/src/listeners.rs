//! The listeners: by address, with their accept queues.

use alloc::collections::{BTreeMap, VecDeque};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hashbrown::HashTable;
use slab::Slab;
use woshou_tcp::{Endpoints, Listener};

use crate::config::Config;
use crate::deadlines::Deadlines;
use crate::marks::Marks;
use crate::memory;
use crate::table::ConnId;

/// A listener: index and generation, so that a stale id names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

pub(crate) struct Entry {
    generation: u32,
    pub(crate) listener: Listener,
    pub(crate) address: SocketAddr,
    /// At `[::]`: IPv4 is not served.
    v6_only: bool,
    /// Serves every address, ours or not; and every port, if it has none.
    any: bool,
    /// The program decides about each SYN.
    pub(crate) deferred: bool,
    /// Instead of the stack's.
    pub(crate) ttl: Option<u8>,
    /// Instead of the stack's.
    pub(crate) tos: Option<u8>,
    /// Instead of `tos`, over IPv4.
    pub(crate) tos_v4: Option<Option<u8>>,
    /// Connections that wait for `accept`.
    pub(crate) queue: VecDeque<ConnId>,
    ready: bool,
    told: bool,
    /// Octets counted for it when last looked at.
    charged: usize,
}

impl Entry {
    /// Of what it and its connections send to addresses of this family.
    pub(crate) fn marks(&self, config: &Config, v4: bool) -> Marks {
        let tos = self.tos_v4.filter(|_| v4).unwrap_or(self.tos);
        Marks::new(self.ttl.unwrap_or(config.ttl), tos.unwrap_or(config.tos))
    }

    /// Octets held by half-open connections, and by what is noted of them.
    fn memory(&self) -> usize {
        self.listener.half_open() * memory::HALF_OPEN + self.queue.capacity() * size_of::<ConnId>()
    }
}

/// The product of an address and a constant, folded. It needs no key: the program chooses where to listen, no peer does.
#[inline]
fn hash_of(ip: IpAddr, port: u16) -> u64 {
    const FACTOR: u128 = 0x9e37_79b9_7f4a_7c15;
    let [high, low] = match ip {
        IpAddr::V4(ip) => [0, u64::from(ip.to_bits())],
        IpAddr::V6(ip) => {
            let bits = ip.to_bits();
            #[expect(clippy::cast_possible_truncation, reason = "by halves")]
            let halves = [(bits >> 64) as u64, bits as u64];
            halves
        }
    };
    let product = u128::from(low ^ high.rotate_left(23) ^ (u64::from(port) << 40)) * FACTOR;
    #[expect(clippy::cast_possible_truncation, reason = "folded")]
    let folded = (product >> 64) as u64 ^ product as u64;
    folded
}

/// All listeners.
pub(crate) struct Listeners {
    entries: Slab<Entry>,
    /// Nothing iterates over it.
    by_address: HashTable<(IpAddr, u16, ListenerId)>,
    /// Who serves every address, by port; port 0: every port.
    any: BTreeMap<u16, ListenerId>,
    next_generation: u32,
    /// Whether the one to be inserted next leaves IPv4 alone.
    pub(crate) next_is_v6_only: bool,
    ready: VecDeque<ListenerId>,
    news: VecDeque<ListenerId>,
    pub(crate) deadlines: Deadlines,
    charged: usize,
    /// Listeners at `0.0.0.0` and `[::]`.
    wildcards: usize,
}

impl Listeners {
    pub(crate) fn new() -> Self {
        Self {
            entries: Slab::new(),
            by_address: HashTable::new(),
            any: BTreeMap::new(),
            next_generation: 0,
            next_is_v6_only: false,
            ready: VecDeque::new(),
            news: VecDeque::new(),
            deadlines: Deadlines::default(),
            charged: 0,
            wildcards: 0,
        }
    }

    /// Who listens at just this address.
    fn at(&self, ip: IpAddr, port: u16) -> Option<ListenerId> {
        let is_it = |known: &(IpAddr, u16, ListenerId)| known.1 == port && known.0 == ip;
        let found = self.by_address.find(hash_of(ip, port), is_it);
        found.map(|&(.., id)| id)
    }

    /// Whether a listener of its own at `address` would collide. The two wildcards share a port, because
    /// `[::]` listens on IPv4 too.
    pub(crate) fn is_taken(&self, address: SocketAddr) -> bool {
        let taken = |ip: IpAddr| self.at(ip, address.port()).is_some();
        if address.ip().is_unspecified() {
            // One that serves its own family alone does not collide with the other's wildcard.
            let other = match address.ip() {
                IpAddr::V4(_) => self.wildcard_v6_serving_v4(address.port()).is_some(),
                IpAddr::V6(_) => !self.next_is_v6_only && taken(Ipv4Addr::UNSPECIFIED.into()),
            };
            taken(address.ip()) || other
        } else {
            taken(address.ip())
        }
    }

    /// Whether anyone would take a SYN for `local`.
    pub(crate) fn serves(&self, local: SocketAddr) -> bool {
        self.candidates(local)
            .into_iter()
            .flatten()
            .next()
            .is_some()
    }

    /// Whose half-open connection `endpoints` is.
    pub(crate) fn half_open(&self, endpoints: &Endpoints) -> Option<ListenerId> {
        let is_its = |id: &ListenerId| {
            self.get(*id)
                .is_some_and(|entry| entry.listener.is_half_open(endpoints))
        };
        let any = self.any(endpoints.local.port());
        let all = self.candidates(endpoints.local).into_iter().chain(any);
        all.flatten().find(is_its)
    }

    /// Who may be meant by `local`: the exact address first, then the wildcards.
    pub(crate) fn candidates(&self, local: SocketAddr) -> [Option<ListenerId>; 3] {
        let at = |ip: IpAddr| self.at(ip, local.port());
        if self.wildcards == 0 {
            return [at(local.ip()), None, None];
        }
        let wildcard_v4 = if local.is_ipv4() {
            at(Ipv4Addr::UNSPECIFIED.into())
        } else {
            None
        };
        let wildcard_v6 = if local.is_ipv4() {
            self.wildcard_v6_serving_v4(local.port())
        } else {
            at(Ipv6Addr::UNSPECIFIED.into())
        };
        [at(local.ip()), wildcard_v4, wildcard_v6]
    }

    fn wildcard_v6_serving_v4(&self, port: u16) -> Option<ListenerId> {
        let id = self.at(Ipv6Addr::UNSPECIFIED.into(), port)?;
        self.get(id).filter(|entry| !entry.v6_only).map(|_| id)
    }

    /// Who takes what nobody of [`Self::candidates`] does: every address on its port, then every address and port.
    pub(crate) fn any(&self, port: u16) -> [Option<ListenerId>; 2] {
        [port, 0].map(|port| self.any.get(&port).copied())
    }

    /// A listener for every address on `port`, or on every port (0); `None`: there is one already.
    pub(crate) fn insert_any(&mut self, listener: Listener, port: u16) -> Option<ListenerId> {
        if self.any.contains_key(&port) {
            return None;
        }
        let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        let id = self.place(listener, address, true);
        self.any.insert(port, id);
        Some(id)
    }

    pub(crate) fn insert(&mut self, listener: Listener, address: SocketAddr) -> ListenerId {
        let id = self.place(listener, address, false);
        let (ip, port) = (address.ip(), address.port());
        self.wildcards += usize::from(ip.is_unspecified());
        let rehash = |&(ip, port, _): &(IpAddr, u16, ListenerId)| hash_of(ip, port);
        self.by_address
            .insert_unique(hash_of(ip, port), (ip, port, id), rehash);
        id
    }

    fn place(&mut self, listener: Listener, address: SocketAddr, any: bool) -> ListenerId {
        let generation = self.next_generation;
        self.next_generation = generation.wrapping_add(1);
        let index = self.entries.insert(Entry {
            generation,
            listener,
            address,
            v6_only: self.next_is_v6_only,
            any,
            deferred: false,
            ttl: None,
            tos: None,
            tos_v4: None,
            queue: VecDeque::new(),
            ready: false,
            told: false,
            charged: 0,
        });
        ListenerId {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            generation,
        }
    }

    pub(crate) fn get(&self, id: ListenerId) -> Option<&Entry> {
        self.entries
            .get(id.index as usize)
            .filter(|entry| entry.generation == id.generation)
    }

    pub(crate) fn get_mut(&mut self, id: ListenerId) -> Option<&mut Entry> {
        self.entries
            .get_mut(id.index as usize)
            .filter(|entry| entry.generation == id.generation)
    }

    /// The id of the entry at `index`.
    pub(crate) fn id(&self, index: u32) -> Option<ListenerId> {
        let generation = self.entries.get(index as usize)?.generation;
        Some(ListenerId { index, generation })
    }

    pub(crate) fn remove(&mut self, id: ListenerId) -> Option<Entry> {
        self.get(id)?;
        self.deadlines.set(id.index, None);
        let entry = self.entries.try_remove(id.index as usize)?;
        self.charged -= entry.charged;
        if entry.any {
            self.any.remove(&entry.address.port());
        } else {
            let (ip, port) = (entry.address.ip(), entry.address.port());
            self.wildcards -= usize::from(ip.is_unspecified());
            let hash = hash_of(ip, port);
            if let Ok(found) = self.by_address.find_entry(hash, |known| known.2 == id) {
                found.remove();
            }
        }
        Some(entry)
    }

    /// Octets held by half-open connections.
    pub(crate) fn memory(&self) -> usize {
        self.charged
    }

    /// Every listener, by index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(|(_, entry)| entry)
    }

    /// It was told something: it may owe a segment, and its deadline may have moved.
    pub(crate) fn settle(&mut self, id: ListenerId) {
        let Some(entry) = self.get_mut(id) else {
            return;
        };
        let due = entry.listener.poll_timeout();
        let queue = !core::mem::replace(&mut entry.ready, true);
        let charged = entry.memory();
        let before = core::mem::replace(&mut entry.charged, charged);
        self.charged = self.charged - before + charged;
        self.deadlines.set(id.index, due);
        if queue {
            self.ready.push_back(id);
        }
    }

    /// The listener whose turn it is to send; it stays in front until [`Self::done`].
    pub(crate) fn next_ready(&mut self) -> Option<ListenerId> {
        while let Some(&id) = self.ready.front() {
            if self.get(id).is_some() {
                return Some(id);
            }
            self.ready.pop_front();
        }
        None
    }

    /// The listener in front owes nothing more.
    pub(crate) fn done(&mut self, id: ListenerId) {
        self.ready.pop_front();
        if let Some(entry) = self.get_mut(id) {
            entry.ready = false;
            let due = entry.listener.poll_timeout();
            self.deadlines.set(id.index, due);
        }
    }

    /// A connection waits there.
    pub(crate) fn enqueue(&mut self, id: ListenerId, connection: ConnId) {
        let Some(entry) = self.get_mut(id) else {
            return;
        };
        entry.queue.push_back(connection);
        if !core::mem::replace(&mut entry.told, true) {
            self.news.push_back(id);
        }
    }

    /// The next listener with news.
    pub(crate) fn poll_event(&mut self) -> Option<ListenerId> {
        loop {
            let id = self.news.pop_front()?;
            let Some(entry) = self.get_mut(id) else {
                continue;
            };
            entry.told = false;
            if !entry.queue.is_empty() {
                return Some(id);
            }
        }
    }
}
