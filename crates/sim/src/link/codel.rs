//! CoDel: a queue that drops (or marks) from its head once packets have waited too long for too long (RFC 8289).

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use woshou_tcp::Instant;

use super::ecn;

/// Controlled delay (RFC 8289). The queue may still have a limit, at which the tail is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codel {
    /// The wait that is acceptable for long. Default 5 ms (RFC 8289 section 4.3).
    pub target: Duration,
    /// How long more than that is tolerated: about the longest usual round trip. Default 100 ms.
    pub interval: Duration,
    /// Packets that say they can be marked are marked instead of dropped (RFC 3168). Default off.
    pub ecn: bool,
    /// As long as no more octets than this wait, nothing is dropped: one full packet. Default 1500.
    pub max_packet: u64,
}

impl Default for Codel {
    fn default() -> Self {
        Self {
            target: Duration::from_millis(5),
            interval: Duration::from_millis(100),
            ecn: false,
            max_packet: 1500,
        }
    }
}

/// A packet that waits, with what its owner wants to know of it later.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    pub(super) arrived_at: Instant,
    pub(super) octets: Bytes,
    pub(super) marked: bool,
    pub(super) ticket: T,
}

/// The queue and its controller; the variables are those of RFC 8289 section 5.2.
#[derive(Debug)]
pub(super) struct ManagedQueue<T> {
    waiting: VecDeque<Waiting<T>>,
    octets: u64,
    /// `None`: below the target when last looked at.
    first_above_at: Option<Instant>,
    drop_next_at: Instant,
    count: u32,
    last_count: u32,
    dropping: bool,
}

impl<T> Default for ManagedQueue<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            octets: 0,
            first_above_at: None,
            drop_next_at: Instant::ZERO,
            count: 0,
            last_count: 0,
            dropping: false,
        }
    }
}

impl<T> ManagedQueue<T> {
    pub(super) fn push(&mut self, packet: Waiting<T>) {
        self.octets += packet.octets.len() as u64;
        self.waiting.push_back(packet);
    }

    /// Octets that wait.
    pub(super) const fn octets(&self) -> u64 {
        self.octets
    }

    /// Packets that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The packet to send next, `None` when none is left; what is dropped on the way goes to `dropped` (RFC 8289 section
    /// 5.5).
    pub(super) fn pop(
        &mut self,
        now: Instant,
        codel: &Codel,
        dropped: &mut Vec<Waiting<T>>,
    ) -> Option<Waiting<T>> {
        let (mut packet, mut ok_to_drop) = self.take(now, codel)?;
        if self.dropping {
            self.dropping = ok_to_drop;
            while self.dropping && now >= self.drop_next_at {
                self.count = self.count.saturating_add(1);
                if mark(&mut packet, codel) {
                    self.drop_next_at = control_law(self.drop_next_at, self.count, codel);
                    break;
                }
                dropped.push(packet);
                let Some(next) = self.take(now, codel) else {
                    self.dropping = false;
                    return None;
                };
                (packet, ok_to_drop) = next;
                self.dropping = ok_to_drop;
                if ok_to_drop {
                    self.drop_next_at = control_law(self.drop_next_at, self.count, codel);
                }
            }
        } else if ok_to_drop {
            self.enter(now, codel);
            if !mark(&mut packet, codel) {
                dropped.push(packet);
                (packet, _) = self.take(now, codel)?;
            }
        }
        Some(packet)
    }

    /// Enters the dropping state; where it was left lately, at about the rate that was right then.
    fn enter(&mut self, now: Instant, codel: &Codel) {
        self.dropping = true;
        let delta = self.count.saturating_sub(self.last_count);
        let lately = now.since(self.drop_next_at) < codel.interval * 16;
        self.count = if delta > 1 && lately { delta } else { 1 };
        self.drop_next_at = control_law(now, self.count, codel);
        self.last_count = self.count;
    }

    /// The first packet, and whether the wait was above the target for at least the interval (RFC 8289 section 5.6,
    /// `dodequeue`).
    fn take(&mut self, now: Instant, codel: &Codel) -> Option<(Waiting<T>, bool)> {
        let Some(packet) = self.waiting.pop_front() else {
            self.first_above_at = None;
            return None;
        };
        self.octets -= packet.octets.len() as u64;
        let sojourn = now.since(packet.arrived_at);
        if sojourn < codel.target || self.octets <= codel.max_packet {
            self.first_above_at = None;
            return Some((packet, false));
        }
        let first_above_at = *self
            .first_above_at
            .get_or_insert_with(|| now + codel.interval);
        Some((packet, now >= first_above_at))
    }
}

/// When the next packet is to be dropped: the spacing shrinks with the square root of the drops so far.
fn control_law(at: Instant, count: u32, codel: &Codel) -> Instant {
    at + codel.interval.div_f64(f64::from(count.max(1)).sqrt())
}

/// Marks the packet, where that is wanted and it can be.
fn mark<T>(packet: &mut Waiting<T>, codel: &Codel) -> bool {
    let marked = codel.ecn.then(|| ecn::marked(&packet.octets)).flatten();
    if let Some(octets) = marked {
        packet.octets = octets;
        packet.marked = true;
        return true;
    }
    // One that a threshold has marked already says what there is to say.
    codel.ecn && packet.marked
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Instant = Instant::from_millis;

    /// When the packets of a queue that is always 50 ms long are dropped; one packet comes and one leaves a millisecond.
    fn drops(codel: &Codel, millis: u64, octets: &'static [u8]) -> (Vec<u64>, usize) {
        let mut queue = ManagedQueue::default();
        let (mut at, mut marks) = (Vec::new(), 0);
        for now in 0..millis {
            while queue.len() < 50 {
                queue.push(Waiting {
                    arrived_at: Instant::from_nanos(MS(now).as_nanos().saturating_sub(50_000_000)),
                    octets: Bytes::from_static(octets),
                    marked: false,
                    ticket: (),
                });
            }
            let mut dropped = Vec::new();
            let sent = queue.pop(MS(now), codel, &mut dropped);
            at.extend(dropped.iter().map(|_| now));
            marks += usize::from(sent.is_some_and(|packet| packet.marked));
            if marks > at.len() {
                at.push(now);
            }
        }
        (at, marks)
    }

    #[test]
    fn drops_follow_the_control_law() {
        let codel = Codel {
            max_packet: 100,
            ..Codel::default()
        };
        let (at, _) = drops(&codel, 1_000, &[0; 100]);
        // Waits of 5 ms first at 5 ms; 100 ms later the first drop; then after 100 ms / sqrt(n).
        let mut expected = vec![];
        let mut next: f64 = 105.0;
        let mut count = 1;
        while next < 1_000.0 {
            expected.push(next.ceil() as u64);
            next += 100.0 / f64::from(count).sqrt();
            count += 1;
        }
        assert!(expected.len() > 15);
        assert_eq!(at, expected);
    }

    #[test]
    fn what_can_be_marked_is_marked_at_the_same_times() {
        let codel = Codel {
            max_packet: 100,
            ecn: true,
            ..Codel::default()
        };
        const CAPABLE: [u8; 100] = {
            let mut packet = [0; 100];
            packet[0] = 0x60; // IPv6
            packet[1] = 0x20; // ECT(0)
            packet
        };
        let plain = drops(&codel, 1_000, &[0; 100]);
        let marked = drops(&codel, 1_000, &CAPABLE);
        assert_eq!((plain.1, marked.1), (0, marked.0.len()));
        assert_eq!(plain.0, marked.0);
    }

    #[test]
    fn a_short_queue_and_a_short_excess_are_left_alone() {
        let waiting = |arrived_at| Waiting {
            arrived_at,
            octets: Bytes::from_static(&[0; 100]),
            marked: false,
            ticket: (),
        };
        // Long waits, but never more than a packet behind the one that leaves.
        let codel = Codel::default();
        let mut queue = ManagedQueue::default();
        let mut dropped = Vec::new();
        for now in 100..2_000 {
            queue.push(waiting(MS(now - 50)));
            assert!(queue.pop(MS(now), &codel, &mut dropped).is_some());
        }
        // More than the target for 99 ms, less once, and again.
        let strict = Codel {
            max_packet: 0,
            ..codel
        };
        for now in 2_000..4_000 {
            let wait = if now % 100 == 0 { 1 } else { 50 };
            queue.push(waiting(MS(now - wait)));
            queue.push(waiting(MS(now - wait)));
            assert!(queue.pop(MS(now), &strict, &mut dropped).is_some());
            let short = queue.waiting.drain(..).map(|packet| packet.octets.len());
            let octets: usize = short.sum();
            queue.octets -= octets as u64;
        }
        assert!(dropped.is_empty());
        assert!(queue.pop(MS(5_000), &strict, &mut dropped).is_none());
    }

    #[test]
    fn the_drop_rate_is_remembered_for_a_while() {
        let codel = Codel {
            max_packet: 0,
            ..Codel::default()
        };
        let mut queue: ManagedQueue<()> = ManagedQueue {
            count: 10,
            last_count: 4,
            drop_next_at: MS(1_000),
            ..ManagedQueue::default()
        };
        queue.enter(MS(1_100), &codel);
        assert_eq!(queue.count, 6);
        queue.count = 10;
        queue.last_count = 4;
        queue.drop_next_at = MS(1_000);
        queue.enter(MS(2_600), &codel);
        assert_eq!(queue.count, 1, "16 intervals later it begins anew");
    }
}
