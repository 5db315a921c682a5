//! The queue in front of the bottleneck: first in, first out, and the tail is dropped.

use std::collections::VecDeque;
use std::time::Duration;

use woshou_tcp::Instant;

use super::rate::Rate;

/// How much may wait. Where nothing waits yet, a packet is always let in, however small the queue is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Octets of packets, the one being sent included; `None`: no limit.
    pub octets: Option<u64>,
    /// Packets, the one being sent included; `None`: no limit.
    pub packets: Option<usize>,
}

impl Queue {
    /// So many octets.
    #[must_use]
    pub const fn of_octets(octets: u64) -> Self {
        Self {
            octets: Some(octets),
            packets: None,
        }
    }

    /// So many packets.
    #[must_use]
    pub const fn of_packets(packets: usize) -> Self {
        Self {
            octets: None,
            packets: Some(packets),
        }
    }

    /// So many bandwidth-delay products of a line and a round trip, in octets; at least `least` octets.
    #[must_use]
    pub fn of_bdp(products: f64, rate: Rate, round_trip: Duration, least: u64) -> Self {
        let product = rate.bits_per_second as f64 / 8.0 * round_trip.as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "octets of a queue; casts saturate"
        )]
        let octets = (products * product).round() as u64;
        Self::of_octets(octets.max(least))
    }
}

/// The queue and the sender behind it.
#[derive(Debug, Default)]
pub(super) struct Bottleneck {
    /// When each packet will have been sent, and its octets.
    waiting: VecDeque<(Instant, u64)>,
    octets: u64,
}

impl Bottleneck {
    /// Octets in it, as of the last packet.
    pub(super) const fn octets(&self) -> u64 {
        self.octets
    }

    /// Octets in it at `now`, the packet being sent included.
    pub(super) fn octets_at(&self, now: Instant) -> u64 {
        let waits = |&&(left_at, _): &&(Instant, u64)| left_at > now;
        let waiting = self.waiting.iter().rev().take_while(waits);
        waiting.map(|&(_, octets)| octets).sum()
    }

    /// When a packet that comes now will have left; `None` when there is no room for it.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        size: usize,
        queue: Queue,
        rate: Rate,
    ) -> Option<Instant> {
        while let Some(&(left_at, octets)) = self.waiting.front() {
            if left_at > now {
                break;
            }
            self.waiting.pop_front();
            self.octets -= octets;
        }
        let octets = size as u64;
        let full = queue.octets.is_some_and(|most| self.octets + octets > most)
            || queue.packets.is_some_and(|most| self.waiting.len() >= most);
        if full && !self.waiting.is_empty() {
            return None;
        }
        let starts_at = self.waiting.back().map_or(now, |&(left_at, _)| left_at);
        let left_at = starts_at + rate.time(size);
        self.waiting.push_back((left_at, octets));
        self.octets += octets;
        Some(left_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Instant = Instant::from_millis;

    /// 1,000 octets take 1 ms.
    fn offers(queue: Queue, at: &[u64]) -> Vec<Option<u64>> {
        let mut bottleneck = Bottleneck::default();
        at.iter()
            .map(|&at| bottleneck.admit(MS(at), 1000, queue, Rate::new(8_000_000)))
            .map(|left| left.map(Instant::as_millis))
            .collect()
    }

    #[test]
    fn sizes() {
        let ms = Duration::from_millis;
        let rate = Rate::new(100_000_000);
        // 100 Mbit/s for 20 ms are 250,000 octets.
        assert_eq!(
            Queue::of_bdp(1.0, rate, ms(20), 0),
            Queue::of_octets(250_000)
        );
        assert_eq!(
            Queue::of_bdp(0.25, rate, ms(20), 0),
            Queue::of_octets(62_500)
        );
        assert_eq!(
            Queue::of_bdp(0.25, rate, ms(20), 70_000),
            Queue::of_octets(70_000)
        );
        assert_eq!(Queue::of_packets(3).packets, Some(3));
    }

    #[test]
    fn what_waits_now() {
        let mut bottleneck = Bottleneck::default();
        for _ in 0..3 {
            bottleneck.admit(MS(0), 1000, Queue::default(), Rate::new(8_000_000));
        }
        for (at, octets) in [(0, 3000), (1, 2000), (2, 1000), (3, 0)] {
            assert_eq!(bottleneck.octets_at(MS(at)), octets);
        }
    }

    #[test]
    fn tail_drop_and_room_again() {
        let octets = |n| Queue {
            octets: Some(n),
            packets: None,
        };
        let packets = |n| Queue {
            octets: None,
            packets: Some(n),
        };
        for (queue, at, left) in [
            (
                Queue::default(),
                vec![0, 0, 0, 7],
                vec![Some(1), Some(2), Some(3), Some(8)],
            ),
            (
                octets(2000),
                vec![0, 0, 0, 1, 1],
                vec![Some(1), Some(2), None, Some(3), None],
            ),
            (
                packets(2),
                vec![0, 0, 0, 1, 1],
                vec![Some(1), Some(2), None, Some(3), None],
            ),
            (octets(2999), vec![0, 0, 0], vec![Some(1), Some(2), None]),
            (octets(10), vec![0, 0, 1], vec![Some(1), None, Some(2)]),
            (packets(0), vec![0, 0, 1], vec![Some(1), None, Some(2)]),
        ] {
            assert_eq!(offers(queue, &at), left, "{queue:?}");
        }
    }
}
