//! The budget of memory: what is held, how near it is to the end, and which measure is due. The measures themselves
//! are in `stack/memory.rs`.

use core::time::Duration;

use woshou_tcp::{Instant, Pressure};

use crate::table::Slot;

/// Charged for a connection beside its queues: slot, connection, and its places in the maps.
pub(crate) const CONNECTION: usize =
    size_of::<Slot>() + size_of::<woshou_tcp::Connection>() + IN_MAPS;
/// Charged for a half-open connection: what `Listener` promises at most,.
pub(crate) const HALF_OPEN: usize = 160;
/// What knows of it: an entry in the demux, twice for the room a hash map keeps free; a deadline and its place; a queue's entry;
/// the same again at whoever holds its id.
pub(crate) const IN_MAPS: usize = 2 * 48 + 24 + 8;

/// A packet of that many octets is taken in whatever the budget.
const LEAST_BUDGET: usize = 1 << 20;
/// Between searches for connections that hold memory and get nowhere.
const SEARCH_EVERY: Duration = Duration::from_secs(1);

/// How much of the budget each part may take that is bounded by itself: its `1 / SHARE`.
pub(crate) mod share {
    /// TIME-WAIT entries: the oldest go first.
    pub(crate) const TIME_WAIT: usize = 4;
    /// Half-open connections of a listener.
    pub(crate) const HALF_OPEN: usize = 8;
    /// Fragments: the oldest datagram goes first.
    pub(crate) const FRAGMENTS: usize = 8;
    /// Replies that wait to leave, packets from us to us, packets that wait for a neighbour: later ones are dropped.
    pub(crate) const QUEUE: usize = 32;
}

/// What [`crate::Stack::memory`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryUse {
    /// Octets held now: connections with their queues, half-open connections, TIME-WAIT entries, fragments, replies,
    /// packets that wait. By what allocations cost, as near as it can be known.
    pub now: usize,
    /// The most it ever was.
    pub peak: usize,
    /// [`crate::Config::memory`], at least 1 MiB.
    pub budget: usize,
    /// How near the end it is.
    pub pressure: Pressure,
    /// Octets of text that came out of order and were dropped to make room.
    pub pruned_octets: u64,
    /// Connections that were given up to make room ([`woshou_tcp::Ended::NoMemory`]), and orphans beyond
    /// [`crate::Config::orphans`].
    pub killed: u64,
    /// Openings and handshakes that were refused for lack of memory.
    pub refused: u64,
}

/// The books.
#[derive(Debug)]
pub(crate) struct Memory {
    budget: usize,
    peak: usize,
    level: Pressure,
    /// Where [`Pressure::Pressure`] begins.
    calm_below: usize,
    searched_at: Option<Instant>,
    /// A measure is under way; what it changes starts no other.
    pub(crate) acting: bool,
    /// What the owner holds for the stack's sake.
    pub(crate) beside: usize,
    pub(crate) pruned_octets: u64,
    pub(crate) killed: u64,
    pub(crate) refused: u64,
}

impl Memory {
    pub(crate) fn new(budget: usize) -> Self {
        let budget = budget.max(LEAST_BUDGET);
        Self {
            budget,
            peak: 0,
            level: Pressure::Plenty,
            calm_below: budget / 4 * 3,
            searched_at: None,
            acting: false,
            beside: 0,
            pruned_octets: 0,
            killed: 0,
            refused: 0,
        }
    }

    pub(crate) fn budget(&self) -> usize {
        self.budget
    }

    pub(crate) fn level(&self) -> Pressure {
        self.level
    }

    /// The `1 / share` of the budget.
    pub(crate) fn part(&self, share: usize) -> usize {
        self.budget / share
    }

    /// `level` begins when that much is held.
    fn begins(&self, level: Pressure) -> usize {
        match level {
            Pressure::Plenty => 0,
            Pressure::Pressure => self.calm_below,
            Pressure::Critical => self.budget / 8 * 7,
        }
    }

    /// And ends when it is less than that: later, lest it come and go with every packet.
    pub(crate) fn ends(&self, level: Pressure) -> usize {
        match level {
            Pressure::Plenty => 0,
            Pressure::Pressure => self.budget / 8 * 5,
            Pressure::Critical => self.budget / 16 * 13,
        }
    }

    /// `held` octets are held now. Whether there is plenty, as before: nothing else is to be done then.
    #[inline]
    pub(crate) fn is_calm(&mut self, held: usize) -> bool {
        self.peak = self.peak.max(held);
        self.level == Pressure::Plenty && held < self.calm_below
    }

    /// `held` octets are held now.
    pub(crate) fn observe(&mut self, held: usize) {
        self.peak = self.peak.max(held);
        let levels = [Pressure::Critical, Pressure::Pressure];
        let holds = |level: &Pressure| {
            let from = if self.level >= *level {
                self.ends(*level)
            } else {
                self.begins(*level)
            };
            held >= from
        };
        let level = levels.into_iter().find(holds).unwrap_or(Pressure::Plenty);
        if level > self.level {
            self.searched_at = None;
        }
        self.level = level;
    }

    /// Whether to look for offenders now. All connections are looked at, so this is where a level begins or the budget
    /// is passed (then much must be taken in again before the next time), else at most once a second.
    pub(crate) fn search_is_due(&self, now: Instant, held: usize) -> bool {
        let rested = self
            .searched_at
            .is_none_or(|at| now.since(at) >= SEARCH_EVERY);
        held > self.budget || (self.level > Pressure::Plenty && rested)
    }

    pub(crate) fn on_search(&mut self, now: Instant) {
        self.searched_at = Some(now);
    }

    /// Who goes, and until what is left: connections that have given nothing back for so long.
    pub(crate) fn sentence(&self, held: usize) -> (Duration, usize) {
        if held > self.budget {
            return (Duration::ZERO, self.begins(Pressure::Critical));
        }
        let patience = match self.level {
            Pressure::Critical => 2,
            _ => 20,
        };
        (Duration::from_secs(patience), self.ends(self.level))
    }

    pub(crate) fn usage(&self, now: usize) -> MemoryUse {
        MemoryUse {
            now,
            peak: self.peak.max(now),
            budget: self.budget,
            pressure: self.level,
            pruned_octets: self.pruned_octets,
            killed: self.killed,
            refused: self.refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_come_and_go_with_a_distance() {
        let mut memory = Memory::new(16 << 20);
        let steps = [
            (11, Pressure::Plenty),
            (12, Pressure::Pressure),
            (11, Pressure::Pressure),
            (10, Pressure::Pressure),
            (9, Pressure::Plenty),
            (11, Pressure::Plenty),
            (15, Pressure::Critical),
            (14, Pressure::Critical),
            (13, Pressure::Critical),
            (12, Pressure::Pressure),
            (13, Pressure::Pressure),
            (14, Pressure::Critical),
            (0, Pressure::Plenty),
        ];
        for (held, level) in steps {
            memory.observe(held << 20);
            assert_eq!(memory.level(), level, "{held} MiB");
        }
        assert_eq!(memory.usage(0).peak, 15 << 20);
    }

    #[test]
    fn a_search_is_rare_unless_the_budget_is_passed() {
        let mut memory = Memory::new(16 << 20);
        let at = Instant::from_millis;
        memory.observe(10 << 20);
        assert!(!memory.search_is_due(at(0), 10 << 20), "there is plenty");
        memory.observe(12 << 20);
        assert!(memory.search_is_due(at(0), 12 << 20));
        memory.on_search(at(0));
        assert!(!memory.search_is_due(at(999), 16 << 20));
        assert!(memory.search_is_due(at(1000), 12 << 20));
        assert!(memory.search_is_due(at(1), (16 << 20) + 1));
    }
}
