//! The SYN queue: half-open connections by four-tuple, and their retransmission timers.

use alloc::vec::Vec;
use core::fmt;
use core::mem;
use core::time::Duration;

use hashbrown::HashTable;

use crate::config::Config;
use crate::event::Reason;
use crate::options::{Agreed, Setup};
use crate::packed::PackedEndpoints;
use crate::segment::Endpoints;
use crate::seq::SeqNum;
use crate::time::Instant;
use crate::tuple_hash::TupleHash;

/// Names an entry while it lives.
pub(super) type Slot = u32;

/// No entry.
const NONE: Slot = Slot::MAX;
/// Timeouts up to which the delay may grow; the last repeats itself.
const LEVELS: usize = 16;
/// A timer is never due at once, whatever the config says: a timeout must lead somewhere.
const LEAST_DELAY: Duration = Duration::from_millis(1);

/// A connection in SYN-RECEIVED: all that is kept of it until the third of the handshake arrives.
#[derive(Debug)]
pub(super) struct HalfOpen {
    who: PackedEndpoints,
    pub(super) iss: SeqNum,
    timestamp_offset: u32,
    send_mss: u16,
    receive_mss: u16,
    pub(super) agreed: Agreed,
    /// When the SYN arrived.
    pub(super) since: Instant,
    /// What is owed to the peer: the SYN,ACK, or an acknowledgement.
    pub(super) owed: Option<Reason>,
    /// When its timer fires.
    due: Instant,
    /// How many times it did.
    level: u8,
    /// SYN,ACKs sent.
    pub(super) syn_acks: u8,
    /// Challenge ACKs sent in the second `second` of its life.
    challenges: u8,
    second: u32,
    /// Neighbours in the level's queue.
    before: Slot,
    after: Slot,
}

impl HalfOpen {
    /// What it was made with.
    pub(super) fn setup(&self) -> Setup {
        Setup {
            endpoints: self.endpoints(),
            iss: self.iss,
            timestamp_offset: self.timestamp_offset,
            send_mss: self.send_mss,
            receive_mss: self.receive_mss,
        }
    }

    pub(super) fn endpoints(&self) -> Endpoints {
        self.who.unpack()
    }

    /// Counts a challenge ACK, at most `most` a second. Each has its own limit: one that all shared would tell an attacker
    /// what was sent to others (CVE-2016-5696).
    pub(super) fn may_challenge(&mut self, now: Instant, most: u8) -> bool {
        let second = u32::try_from(now.since(self.since).as_secs()).unwrap_or(u32::MAX);
        if second != self.second {
            (self.second, self.challenges) = (second, 0);
        }
        let may = self.challenges < most;
        self.challenges += u8::from(may);
        may
    }
}

/// The entries of a level, in the order in which their timers fire: all of a level wait equally long.
#[derive(Clone, Copy, Debug)]
struct Level {
    first: Slot,
    last: Slot,
    delay: Duration,
}

/// Every operation but `drain` takes a time that does not depend on how many entries there are.
pub(super) struct Backlog {
    slots: Vec<Option<HalfOpen>>,
    free: Vec<Slot>,
    /// Slots by four-tuple. Nothing iterates over it.
    table: HashTable<Slot>,
    /// Keys the table's hash, so that nobody outside can aim at one bucket.
    hash: TupleHash,
    levels: [Level; LEVELS],
}

/// Shows neither the key nor the table.
impl fmt::Debug for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backlog")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

fn entry(slots: &[Option<HalfOpen>], slot: Slot) -> Option<&HalfOpen> {
    slots.get(slot as usize)?.as_ref()
}

impl Backlog {
    /// Timeouts start at the config's initial RTO and double up to its greatest.
    pub(super) fn new(config: &Config, key: [u8; 16]) -> Self {
        let mut delay = config.initial_rto.max(LEAST_DELAY);
        let most = config.max_rto.max(delay);
        let levels = [(); LEVELS].map(|()| {
            let level = Level {
                first: NONE,
                last: NONE,
                delay,
            };
            delay = delay.saturating_mul(2).min(most);
            level
        });
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            table: HashTable::new(),
            hash: TupleHash::new(key),
            levels,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn find(&self, who: &Endpoints) -> Option<Slot> {
        if self.table.is_empty() {
            return None;
        }
        let who = PackedEndpoints::new(who);
        let is_it = |slot: &Slot| entry(&self.slots, *slot).is_some_and(|e| e.who == who);
        self.table.find(self.hash.of(&who), is_it).copied()
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&HalfOpen> {
        entry(&self.slots, slot)
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut HalfOpen> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// Adds an entry for a four-tuple that is not there, and starts its timer.
    pub(super) fn insert(&mut self, now: Instant, setup: Setup, agreed: Agreed) -> Slot {
        let who = PackedEndpoints::new(&setup.endpoints);
        let half_open = HalfOpen {
            who,
            iss: setup.iss,
            timestamp_offset: setup.timestamp_offset,
            send_mss: setup.send_mss,
            receive_mss: setup.receive_mss,
            agreed,
            since: now,
            owed: None,
            due: now,
            level: 0,
            syn_acks: 0,
            challenges: 0,
            second: 0,
            before: NONE,
            after: NONE,
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            if self.slots.len() == self.slots.capacity() {
                // Not twice as many: an eighth of the memory at most lies idle, and an insertion still moves few.
                self.slots.reserve_exact(self.slots.len() / 8 + 16);
            }
            self.slots.push(None);
            Slot::try_from(self.slots.len() - 1).unwrap_or(NONE)
        });
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(half_open);
        }
        let (slots, hash) = (&self.slots, &self.hash);
        let rehash = |&slot: &Slot| entry(slots, slot).map_or(0, |e| hash.of(&e.who));
        self.table.insert_unique(hash.of(&who), slot, rehash);
        self.wait(now, slot, 0);
        slot
    }

    /// Forgets an entry.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<HalfOpen> {
        self.unlink(slot);
        let half_open = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        let hash = self.hash.of(&half_open.who);
        if let Ok(found) = self.table.find_entry(hash, |&other| other == slot) {
            found.remove();
        }
        Some(half_open)
    }

    /// Every entry, by slot: an order that does not depend on chance.
    pub(super) fn iter(&self) -> impl Iterator<Item = &HalfOpen> {
        self.slots.iter().flatten()
    }

    /// Forgets all, in the order of their slots, and gives the memory back.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = HalfOpen> + use<> {
        for level in &mut self.levels {
            (level.first, level.last) = (NONE, NONE);
        }
        self.table = HashTable::new();
        self.free = Vec::new();
        mem::take(&mut self.slots).into_iter().flatten()
    }

    /// When the next timer fires.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.levels
            .iter()
            .filter_map(|level| self.get(level.first))
            .map(|entry| entry.due)
            .min()
    }

    /// An entry whose timer has fired by `now`. Its timer runs again, twice as long.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Slot> {
        let is_due = |level: &&Level| self.get(level.first).is_some_and(|entry| entry.due <= now);
        let slot = self.levels.iter().find(is_due)?.first;
        let level = self.get(slot)?.level;
        self.unlink(slot);
        self.wait(now, slot, level.saturating_add(1));
        Some(slot)
    }

    /// Puts an entry at the end of a level's queue.
    fn wait(&mut self, now: Instant, slot: Slot, level: u8) {
        let queue = &mut self.levels[usize::from(level).min(LEVELS - 1)];
        let before = mem::replace(&mut queue.last, slot);
        if before == NONE {
            queue.first = slot;
        }
        let due = now + queue.delay;
        if let Some(entry) = self.get_mut(before) {
            entry.after = slot;
        }
        if let Some(entry) = self.get_mut(slot) {
            (entry.before, entry.after) = (before, NONE);
            (entry.due, entry.level) = (due, level);
        }
    }

    /// Takes an entry out of its level's queue.
    fn unlink(&mut self, slot: Slot) {
        let Some(entry) = self.get(slot) else { return };
        let (before, after) = (entry.before, entry.after);
        let index = usize::from(entry.level).min(LEVELS - 1);
        match self.get_mut(before) {
            Some(entry) => entry.after = after,
            None => self.levels[index].first = after,
        }
        match self.get_mut(after) {
            Some(entry) => entry.before = before,
            None => self.levels[index].last = before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Backlog, HalfOpen, Slot};
    use crate::config::Config;
    use crate::options::{Agreed, Setup};
    use crate::segment::Endpoints;
    use crate::seq::SeqNum;
    use crate::time::Instant;
    use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
    use core::time::Duration;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn setup(peer: u16) -> Setup {
        let host = u128::from(peer % 7);
        let remote = match peer % 2 {
            0 => SocketAddr::from((Ipv4Addr::from(host as u32), peer)),
            _ => SocketAddr::from((Ipv6Addr::from(host), peer)),
        };
        Setup {
            endpoints: Endpoints {
                local: ([192, 0, 2, 1], 80).into(),
                remote,
            },
            iss: SeqNum(u32::from(peer)),
            timestamp_offset: 0,
            send_mss: 1460,
            receive_mss: 1460,
        }
    }

    fn agreed() -> Agreed {
        Agreed {
            irs: SeqNum(u32::MAX),
            peer_mss: 536,
            scaling: false,
            send_scale: 0,
            receive_scale: 0,
            sack: false,
            timestamps: None,
            ecn: false,
        }
    }

    #[test]
    fn an_entry_is_small() {
        let size = size_of::<Option<HalfOpen>>() + size_of::<Slot>();
        assert!(size <= 112, "{size}");
    }

    /// The naive picture: peer, when due, how many times it fired.
    type Model = Vec<(u16, Instant, u32)>;

    /// Lets timers fire in both, and compares what is left.
    fn fire(backlog: &mut Backlog, model: &mut Model, now: Instant) -> Result<(), TestCaseError> {
        let mut fired = Vec::new();
        while let Some(slot) = backlog.pop_due(now) {
            fired.push(backlog.get(slot).unwrap().iss.0);
        }
        let mut expected = Vec::new();
        for (peer, due, times) in model.iter_mut().filter(|entry| entry.1 <= now) {
            expected.push(u32::from(*peer));
            *times += 1;
            *due = now + Duration::from_secs(5.min(1u64 << (*times).min(3)));
        }
        fired.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(fired, expected);
        prop_assert_eq!(backlog.next_due(), model.iter().map(|entry| entry.1).min());
        prop_assert_eq!(backlog.len(), model.len());
        Ok(())
    }

    proptest! {
        /// Against a list: who is there, whose timer fires when, and how long it waits then.
        #[test]
        fn entries_and_their_timers(
            calls in prop::collection::vec((0..4u8, 0..40u16, 0..3000u64), 1..200)
        ) {
            let config = Config { max_rto: Duration::from_secs(5), ..Config::default() };
            let mut backlog = Backlog::new(&config, [9; 16]);
            let (mut model, mut now) = (Model::new(), Instant::ZERO);
            for (call, peer, pause) in calls {
                let known = model.iter().position(|entry| entry.0 == peer);
                let slot = backlog.find(&setup(peer).endpoints);
                prop_assert_eq!(slot.is_some(), known.is_some());
                match (call, slot) {
                    (0 | 1, None) => {
                        let slot = backlog.insert(now, setup(peer), agreed());
                        let found = backlog.get(slot).map(|entry| entry.iss.0);
                        prop_assert_eq!(found, Some(peer.into()));
                        model.push((peer, now + Duration::from_secs(1), 0));
                    }
                    (2, Some(slot)) => {
                        let removed = backlog.remove(slot).map(|entry| entry.iss.0);
                        prop_assert_eq!(removed, Some(peer.into()));
                        model.remove(known.unwrap());
                    }
                    _ => now += Duration::from_millis(pause),
                }
                fire(&mut backlog, &mut model, now)?;
            }
            let mut left: Vec<u32> = backlog.drain().map(|entry| entry.iss.0).collect();
            let mut expected: Vec<u32> = model.iter().map(|entry| entry.0.into()).collect();
            left.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(left, expected);
            prop_assert_eq!((backlog.len(), backlog.next_due()), (0, None));
        }
    }
}
