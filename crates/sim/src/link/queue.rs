//! The queue in front of the bottleneck: first in, first out, and the tail is dropped.

use std::collections::VecDeque;

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
