//! Which MAC address has a neighbour? A bounded cache, asked and answered by ARP and neighbour discovery.

pub(crate) mod arp;
pub(crate) mod nd;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use woshou_tcp::Instant;

use crate::config::LinkId;
use crate::table::ConnId;

/// Neighbours remembered at most.
const MAX_ENTRIES: usize = 512;
/// Packets that wait for one neighbour at most; connections wait without number, each once.
const MAX_QUEUED: usize = 4;
/// Octets of a packet that may wait: nothing large is worth it.
const MAX_QUEUED_OCTETS: usize = 2_048;
/// Between questions (RFC 4861 RetransTimer).
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Questions before giving up (RFC 4861 MAX_UNICAST_SOLICIT, MAX_MULTICAST_SOLICIT).
const MAX_ASKED: u8 = 3;
/// An answer is trusted so long; then it is used on while it is asked about again (RFC 4861 ReachableTime).
const FRESH: Duration = Duration::from_secs(30);
/// An answer older than this is not used at all (RFC 1122 section 2.3.2.1).
const FORGOTTEN: Duration = Duration::from_secs(600);

/// A MAC address.
pub(crate) type Mac = [u8; 6];

/// A question to be sent: who has `address`?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) link: LinkId,
    pub(crate) address: IpAddr,
    /// Ask this neighbour itself: is it still you?
    pub(crate) mac: Option<Mac>,
}

/// What waited for a neighbour.
#[derive(Default)]
pub(crate) struct Waiters {
    pub(crate) connections: Vec<ConnId>,
    pub(crate) packets: VecDeque<Vec<u8>>,
}

/// What [`Neighbours::handle_timeout`] found.
pub(crate) enum Due {
    Ask(Question),
    /// No answer: what waited gets nothing.
    Unreachable(Waiters),
}

/// What [`Neighbours::resolve`] knows.
pub(crate) struct Answer {
    pub(crate) mac: Option<Mac>,
    /// To be asked now.
    pub(crate) ask: Option<Question>,
}

struct Asking {
    times: u8,
    next_at: Instant,
}

struct Entry {
    mac: Option<Mac>,
    confirmed_at: Instant,
    /// We sent to it: it is the last to be thrown out.
    used: bool,
    asking: Option<Asking>,
    waiters: Waiters,
}

/// The cache.
pub(crate) struct Neighbours {
    entries: BTreeMap<(LinkId, IpAddr), Entry>,
    /// Octets of the packets that wait, and may wait.
    queued: usize,
    most_queued: usize,
    /// The earliest `next_at`; only entries that are asked about have one.
    next_at: Option<Instant>,
}

impl Neighbours {
    /// At most `most_queued` octets of packets wait, for all neighbours together.
    pub(crate) const fn new(most_queued: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            queued: 0,
            most_queued,
            next_at: None,
        }
    }

    /// Octets held.
    pub(crate) fn memory(&self) -> usize {
        self.entries.len() * size_of::<((LinkId, IpAddr), Entry)>() + self.queued
    }

    fn take_waiters(&mut self, key: (LinkId, IpAddr)) -> Waiters {
        let entry = self.entries.get_mut(&key);
        let waiters = entry.map_or_else(Waiters::default, |entry| {
            core::mem::take(&mut entry.waiters)
        });
        self.queued -= waiters.packets.iter().map(Vec::len).sum::<usize>();
        waiters
    }

    /// The MAC address of `address`, and the question to send when it is unknown or stale.
    pub(crate) fn resolve(&mut self, now: Instant, link: LinkId, address: IpAddr) -> Answer {
        let key = (link, address);
        if !self.entries.contains_key(&key) && !self.make_room() {
            return Answer {
                mac: None,
                ask: None,
            };
        }
        let entry = self.entries.entry(key).or_insert_with(|| Entry {
            mac: None,
            confirmed_at: now,
            used: true,
            asking: None,
            waiters: Waiters::default(),
        });
        entry.used = true;
        let age = now.since(entry.confirmed_at);
        if age > FORGOTTEN && entry.asking.is_none() {
            entry.mac = None;
        }
        let mac = entry.mac;
        if entry.asking.is_some() || (mac.is_some() && age <= FRESH) {
            return Answer { mac, ask: None };
        }
        entry.asking = Some(Asking {
            times: 1,
            next_at: now + ASK_EVERY,
        });
        self.find_next();
        Answer {
            mac,
            ask: Some(Question { link, address, mac }),
        }
    }

    /// The MAC address of a neighbour that has been found before.
    pub(crate) fn known(&self, link: LinkId, address: IpAddr) -> Option<Mac> {
        self.entries
            .get(&(link, address))
            .and_then(|entry| entry.mac)
    }

    /// `id` is told when `address` is found or not; `false`: nobody is asking for it.
    pub(crate) fn wait(&mut self, link: LinkId, address: IpAddr, id: ConnId) -> bool {
        let entry = self
            .entries
            .get_mut(&(link, address))
            .filter(|entry| entry.asking.is_some());
        entry
            .map(|entry| entry.waiters.connections.push(id))
            .is_some()
    }

    /// `packet` waits for `address`; `false`: there is no room for it.
    pub(crate) fn queue(&mut self, link: LinkId, address: IpAddr, packet: Vec<u8>) -> bool {
        let Some(entry) = self.entries.get_mut(&(link, address)) else {
            return false;
        };
        let packets = &mut entry.waiters.packets;
        let room = entry.asking.is_some()
            && packets.len() < MAX_QUEUED
            && packet.len() <= MAX_QUEUED_OCTETS
            && self.queued + packet.len() <= self.most_queued;
        if room {
            self.queued += packet.len();
            packets.push_back(packet);
        }
        room
    }

    /// `address` has `mac`. A neighbour that nobody knows is taken in only when it `asked` for us: that is what
    /// bounds a flood of claims. Returns what waited for it.
    pub(crate) fn learn(
        &mut self,
        now: Instant,
        (link, address): (LinkId, IpAddr),
        mac: Mac,
        asked: bool,
    ) -> Waiters {
        // Group addresses belong to nobody.
        if mac[0] & 1 != 0 || mac == [0; 6] {
            return Waiters::default();
        }
        if let Some(entry) = self.entries.get_mut(&(link, address)) {
            entry.mac = Some(mac);
            entry.confirmed_at = now;
            if entry.asking.take().is_some() {
                self.find_next();
            }
            return self.take_waiters((link, address));
        }
        if asked && self.make_room() {
            let entry = Entry {
                mac: Some(mac),
                confirmed_at: now,
                used: false,
                asking: None,
                waiters: Waiters::default(),
            };
            self.entries.insert((link, address), entry);
        }
        Waiters::default()
    }

    /// When [`Self::handle_timeout`] is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.next_at
    }

    /// The next question or failure that is due at `now`.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<Due> {
        self.next_at.filter(|&at| at <= now)?;
        let due = |entry: &Entry| {
            entry
                .asking
                .as_ref()
                .is_some_and(|asking| asking.next_at <= now)
        };
        let (&(link, address), entry) = self.entries.iter_mut().find(|(_, entry)| due(entry))?;
        let mac = entry.mac;
        let result = match &mut entry.asking {
            Some(asking) if asking.times < MAX_ASKED => {
                asking.times += 1;
                asking.next_at = now + ASK_EVERY;
                Due::Ask(Question { link, address, mac })
            }
            _ => {
                let waiters = self.take_waiters((link, address));
                self.entries.remove(&(link, address));
                Due::Unreachable(waiters)
            }
        };
        self.find_next();
        Some(result)
    }

    fn find_next(&mut self) {
        let asking = self
            .entries
            .values()
            .filter_map(|entry| entry.asking.as_ref());
        self.next_at = asking.map(|asking| asking.next_at).min();
    }

    /// Makes room for one more: the least useful goes. `false`: all are being asked about.
    fn make_room(&mut self) -> bool {
        if self.entries.len() < MAX_ENTRIES {
            return true;
        }
        let idle = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.asking.is_none());
        let victim = idle.min_by_key(|(_, entry)| (entry.used, entry.confirmed_at));
        let victim = victim.map(|(&key, _)| key);
        victim.is_some_and(|key| self.entries.remove(&key).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: LinkId = LinkId(0);
    const MAC: Mac = [2, 0, 0, 0, 0, 9];

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn host(n: u32) -> IpAddr {
        IpAddr::from((0x0a00_0000 + n).to_be_bytes())
    }

    fn id(index: u32) -> ConnId {
        ConnId {
            index,
            generation: 0,
        }
    }

    #[test]
    fn asks_three_times_then_fails() {
        let mut cache = Neighbours::new(1 << 20);
        assert!(cache.resolve(at(0), LINK, host(1)).ask.is_some());
        assert!(
            cache.resolve(at(5), LINK, host(1)).ask.is_none(),
            "asked already"
        );
        assert!(cache.wait(LINK, host(1), id(7)));
        for second in [1000, 2000] {
            assert_eq!(cache.poll_timeout(), Some(at(second)));
            assert!(cache.handle_timeout(at(second - 1)).is_none());
            assert!(matches!(
                cache.handle_timeout(at(second)),
                Some(Due::Ask(_))
            ));
            assert!(cache.handle_timeout(at(second)).is_none());
        }
        let Some(Due::Unreachable(waiters)) = cache.handle_timeout(at(3000)) else {
            panic!()
        };
        assert_eq!(waiters.connections, [id(7)]);
        assert_eq!(cache.poll_timeout(), None);
    }

    #[test]
    fn an_answer_releases_and_grows_stale() {
        let mut cache = Neighbours::new(1 << 20);
        let _ = cache.resolve(at(0), LINK, host(1));
        assert!(cache.wait(LINK, host(1), id(7)));
        assert!(
            (0..10)
                .filter(|_| cache.queue(LINK, host(1), Vec::new()))
                .count()
                == MAX_QUEUED
        );
        let waiters = cache.learn(at(10), (LINK, host(1)), MAC, false);
        assert_eq!(
            (waiters.connections.len(), waiters.packets.len()),
            (1, MAX_QUEUED)
        );
        assert_eq!(
            cache.poll_timeout(),
            None,
            "a known neighbour costs no timer"
        );
        let fresh = cache.resolve(at(30_000), LINK, host(1));
        assert!(fresh.mac == Some(MAC) && fresh.ask.is_none());
        // Stale: used on, and asked itself whether it is still there.
        let stale = cache.resolve(at(30_011), LINK, host(1));
        assert!(stale.mac == Some(MAC) && stale.ask.unwrap().mac == Some(MAC));
        let _ = cache.learn(at(30_012), (LINK, host(1)), MAC, false);
        let forgotten = cache.resolve(at(700_000), LINK, host(1));
        assert!(forgotten.mac.is_none() && forgotten.ask.unwrap().mac.is_none());
    }

    #[test]
    fn claims_are_bounded() {
        let mut cache = Neighbours::new(1 << 20);
        let _ = cache.learn(at(0), (LINK, host(1)), MAC, false);
        assert!(cache.entries.is_empty(), "nobody asked");
        let _ = cache.learn(at(0), (LINK, host(1)), [255; 6], true);
        assert!(cache.entries.is_empty(), "broadcast is nobody");
        let _ = cache.resolve(at(0), LINK, host(1));
        let _ = cache.learn(at(0), (LINK, host(1)), MAC, false);
        for n in 2..5000 {
            let _ = cache.learn(at(u64::from(n)), (LINK, host(n)), MAC, true);
        }
        assert_eq!(cache.entries.len(), MAX_ENTRIES);
        assert_eq!(
            cache.resolve(at(5000), LINK, host(1)).mac,
            Some(MAC),
            "one that is used stays"
        );
        // All in use and asked about: there is no room, and nothing panics.
        let mut cache = Neighbours::new(1 << 20);
        let asked = (0..5000)
            .filter(|&n| cache.resolve(at(0), LINK, host(n)).ask.is_some())
            .count();
        assert_eq!(asked, MAX_ENTRIES);
    }
}
