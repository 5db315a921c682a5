//! One direction of a link, without any input or output: it is told that a packet comes and answers what
//! becomes of it.
//!
//! The order of events: refused by the MTU; dropped by the policer; queued at the bottleneck (or dropped there, or marked);
//! sent at the rate; lost; one bit flipped; doubled; and then, each copy by its own luck, delayed and perhaps held back; and
//! delivered in its slot.
//! Every packet draws the same number of random numbers whatever becomes of it, so a change of one parameter
//! leaves the luck of the others as it was.

pub mod codel;
pub mod corrupt;
pub mod delay;
pub mod ecn;
pub mod loss;
pub mod meter;
pub mod mtu;
pub mod policer;
pub mod queue;
pub mod rate;
pub mod reorder;
pub mod slots;

use std::time::Duration;

use bytes::Bytes;
use woshou_tcp::Instant;

use crate::seed::{Chance, Luck, Stream};
use crate::watch::PacketId;
use crate::world::LinkId;
use codel::{Codel, ManagedQueue, Waiting};
use delay::Delay;
use ecn::Marking;
use loss::{Loss, LossCause, Weather};
use meter::Meter;
use mtu::Mtu;
use policer::{Bucket, Policer};
use queue::{Bottleneck, Queue};
use rate::Rate;
use reorder::{Lane, Reordering};
use slots::Slots;

/// What one direction of a link does to packets. The default does nothing at all to them, in no time.
#[derive(Clone, Debug, Default)]
pub struct Path {
    /// The largest packet; `None`: any.
    pub mtu: Option<Mtu>,
    /// What is dropped before it comes to the bottleneck because it came too fast; `None`: nothing.
    pub policer: Option<Policer>,
    /// What may wait at the bottleneck. Without a `rate` nothing ever waits.
    pub queue: Queue,
    /// How the queue is kept short; `None`: only its tail is dropped. Without a `rate` nothing ever waits.
    pub codel: Option<Codel>,
    /// When it marks packets (RFC 3168); `None`: never. Without a `rate` nothing is ever marked.
    pub marking: Option<Marking>,
    /// How fast the bottleneck sends; `None`: at once.
    pub rate: Option<Rate>,
    /// What is lost after it used the bottleneck.
    pub loss: Loss,
    /// Probability, 0 to 1, that one bit of a packet is flipped.
    pub corruption: f64,
    /// Probability, 0 to 1, that a packet arrives twice.
    pub duplication: f64,
    /// How long it takes.
    pub delay: Delay,
    /// What is held back.
    pub reordering: Reordering,
    /// When deliveries take place; `None`: at any time. What is held back keeps to it too.
    pub slots: Option<Slots>,
}

impl Path {
    /// A perfect path that takes `delay`.
    #[must_use]
    pub fn delayed(delay: Duration) -> Self {
        Self {
            delay: Delay {
                fixed: delay,
                ..Delay::default()
            },
            ..Self::default()
        }
    }
}

/// One copy of a packet on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    /// When it arrives.
    pub(crate) at: Instant,
    /// Whether it was held back.
    pub(crate) held: bool,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It never arrives.
    Lost(LossCause),
    /// It arrives.
    Carried {
        /// The octets as they arrive.
        octets: Bytes,
        /// Whether a bit of them was flipped.
        corrupted: bool,
        /// Whether it was marked with CE.
        marked: bool,
        /// The packet itself.
        first: Copy,
        /// Its double.
        second: Option<Copy>,
    },
    /// It waits in a queue that decides later: call [`Direction::serve`] when the line is free.
    Waits,
}

/// Which packet of the world it is, to find it again after it waited.
pub(crate) type Ticket = (LinkId, PacketId);

/// What a turn of a managed queue brought.
#[derive(Debug, Default)]
pub(crate) struct Served {
    /// Packets that were dropped.
    pub(crate) dropped: Vec<(Ticket, Bytes)>,
    /// The packet that is sent now, what becomes of it, and when the line is free again.
    pub(crate) sent: Option<(Ticket, Bytes, Fate, Instant)>,
}

/// One direction of a link that somebody else drives, in whatever time: the model of the simulator for an emulator.
#[derive(Debug)]
pub struct OneWay(Direction);

impl OneWay {
    /// Direction `forth` (or back) of a link with this seed. A [`Codel`] in `path` is left out: it decides when a packet leaves,
    /// which only the simulator's clock knows.
    #[must_use]
    pub fn new(path: Path, seed: u64, forth: bool) -> Self {
        let path = Path {
            codel: None,
            ..path
        };
        Self(Direction::new(path, seed, 0, forth))
    }

    /// A packet comes at `now`, which is never before an earlier packet's: the copies that arrive, none to two, and when.
    pub fn carry(&mut self, now: Instant, octets: Bytes) -> [Option<(Instant, Bytes)>; 2] {
        match self.0.offer(now, octets, (LinkId(0), PacketId(0))) {
            Fate::Lost(_) | Fate::Waits => [None, None],
            Fate::Carried {
                octets,
                first,
                second,
                ..
            } => [
                Some((first.at, octets.clone())),
                second.map(|copy| (copy.at, octets)),
            ],
        }
    }
}

/// The luck of one packet, drawn when it comes.
#[derive(Clone, Copy, Debug)]
struct Draws {
    /// By chance, change of the bursts' state, in a burst, as a bare acknowledgement.
    loss: [Luck; 4],
    corrupts: Luck,
    bit: Luck,
    doubles: Luck,
    /// For each copy: jitter, whether it is held, for how long.
    copies: [[Luck; 3]; 2],
}

/// A path in use.
#[derive(Debug)]
pub(crate) struct Direction {
    pub(crate) path: Path,
    chance: Chance,
    /// Draws that were added after those of `chance`: a stream of their own keeps the luck of the first.
    more_chance: Chance,
    bucket: Bucket,
    bottleneck: Bottleneck,
    weather: Weather,
    lane: Lane,
    taken: u64,
    meter: Meter,
    /// Used where the path has a [`Codel`]: what waits, what is being sent, and until when.
    managed: ManagedQueue<(Ticket, Draws)>,
    sending: u64,
    free_at: Instant,
}

impl Direction {
    /// One direction of link `link` of the world with this seed; `forth`: from its first end to its second.
    pub(crate) fn new(path: Path, seed: u64, link: u32, forth: bool) -> Self {
        Self {
            path,
            chance: Chance::new(seed, Stream::Direction(link, forth)),
            more_chance: Chance::new(seed, Stream::DirectionMore(link, forth)),
            bucket: Bucket::default(),
            bottleneck: Bottleneck::default(),
            weather: Weather::default(),
            lane: Lane::default(),
            taken: 0,
            meter: Meter::default(),
            managed: ManagedQueue::default(),
            sending: 0,
            free_at: Instant::ZERO,
        }
    }

    /// What its bottleneck did since the beginning, or since the meter was reset.
    pub(crate) const fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Lets the meter begin anew.
    pub(crate) fn reset_meter(&mut self) {
        self.meter = Meter::default();
    }

    /// Octets at its bottleneck at `now`, the packet being sent included.
    pub(crate) fn queued(&self, now: Instant) -> u64 {
        let sending = if self.free_at > now { self.sending } else { 0 };
        self.bottleneck.octets_at(now) + self.managed.octets() + sending
    }

    /// All draws of a packet, always, before anything is decided.
    fn draw(&mut self) -> Draws {
        let mut draw = || self.chance.draw();
        let [by_chance, change, in_burst] = [draw(), draw(), draw()];
        let [corrupts, bit, doubles] = [draw(), draw(), draw()];
        let [jitter, held, second_jitter, second_held] = [draw(), draw(), draw(), draw()];
        let mut more = || self.more_chance.draw();
        let [bare, hold, second_hold] = [more(), more(), more()];
        Draws {
            loss: [by_chance, change, in_burst, bare],
            corrupts,
            bit,
            doubles,
            copies: [
                [jitter, held, hold],
                [second_jitter, second_held, second_hold],
            ],
        }
    }

    /// A packet comes at `now`, which is never before an earlier packet's.
    pub(crate) fn offer(&mut self, now: Instant, octets: Bytes, ticket: Ticket) -> Fate {
        let draws = self.draw();
        if let Err(cause) = self.refuse(now, octets.len()) {
            return Fate::Lost(cause);
        }
        let (Some(_), Some(_)) = (self.path.rate, self.path.codel) else {
            return match self.admit(now, octets.len()) {
                Err(cause) => Fate::Lost(cause),
                Ok(left_at) => {
                    let (octets, marked) = self.mark(octets, self.bottleneck.octets());
                    self.forward(left_at, octets, marked, &draws)
                }
            };
        };
        let queue = self.path.queue;
        let busy = self.free_at > now;
        let sending = if busy { self.sending } else { 0 };
        let after = self.managed.octets() + sending + octets.len() as u64;
        let packets = self.managed.len() + usize::from(busy);
        let full = queue.octets.is_some_and(|most| after > most)
            || queue.packets.is_some_and(|most| packets >= most);
        if full && packets > 0 {
            self.meter.refused += 1;
            return Fate::Lost(LossCause::QueueFull);
        }
        let (octets, marked) = self.mark(octets, after);
        self.managed.push(Waiting {
            arrived_at: now,
            octets,
            marked,
            ticket: (ticket, draws),
        });
        Fate::Waits
    }

    /// Whether the line is free, so that [`serve`](Self::serve) has something to do.
    pub(crate) fn is_free(&self, now: Instant) -> bool {
        self.free_at <= now
    }

    /// The line is free: takes the next packet out of the managed queue. `None` in `sent`: none is left.
    pub(crate) fn serve(&mut self, now: Instant) -> Served {
        let mut served = Served::default();
        let codel = self.path.codel.unwrap_or_default();
        let mut dropped = Vec::new();
        let packet = self.managed.pop(now, &codel, &mut dropped);
        self.meter.refused += dropped.len() as u64;
        for Waiting { octets, ticket, .. } in dropped {
            served.dropped.push((ticket.0, octets));
        }
        if let Some(packet) = packet {
            let (ticket, draws) = packet.ticket;
            let size = packet.octets.len();
            let takes = self
                .path
                .rate
                .map_or(Duration::ZERO, |rate| rate.time(size));
            let wait = now.since(packet.arrived_at);
            self.meter.sent(size, wait, takes);
            self.sending = size as u64;
            self.free_at = now + takes;
            let octets = packet.octets.clone();
            let fate = self.forward(self.free_at, packet.octets, packet.marked, &draws);
            served.sent = Some((ticket, octets, fate, self.free_at));
        }
        served
    }

    /// What becomes of a packet that leaves the bottleneck at `left_at`.
    fn forward(&mut self, left_at: Instant, octets: Bytes, marked: bool, draws: &Draws) -> Fate {
        self.meter.marked += u64::from(marked);
        let number = self.taken;
        self.taken += 1;
        let verdict = self
            .weather
            .verdict(&self.path.loss, draws.loss, number, &octets);
        if let Some(cause) = verdict {
            return Fate::Lost(cause);
        }
        let corrupted = draws.corrupts.hits(self.path.corruption);
        let octets = if corrupted {
            corrupt::flip_a_bit(&octets, draws.bit)
        } else {
            octets
        };
        let [first, second] = draws.copies;
        let first = self.copy(left_at, first);
        let second = draws
            .doubles
            .hits(self.path.duplication)
            .then(|| self.copy(left_at, second));
        Fate::Carried {
            octets,
            corrupted,
            marked,
            first,
            second,
        }
    }

    /// What is dropped before it comes to the queue.
    fn refuse(&mut self, now: Instant, size: usize) -> Result<(), LossCause> {
        if self.path.mtu.is_some_and(|mtu| size > mtu.octets) {
            return Err(LossCause::TooBig);
        }
        if let Some(policer) = self.path.policer
            && !self.bucket.takes(now, size, policer)
        {
            self.meter.refused += 1;
            return Err(LossCause::Policed);
        }
        Ok(())
    }

    /// When a packet of `size` octets that comes at `now` will have left the bottleneck.
    fn admit(&mut self, now: Instant, size: usize) -> Result<Instant, LossCause> {
        let Some(rate) = self.path.rate else {
            return Ok(now);
        };
        let Some(left_at) = self.bottleneck.admit(now, size, self.path.queue, rate) else {
            self.meter.refused += 1;
            return Err(LossCause::QueueFull);
        };
        let takes = rate.time(size);
        let wait = left_at.since(now).saturating_sub(takes);
        self.meter.sent(size, wait, takes);
        Ok(left_at)
    }

    /// The packet, marked where `queued` octets, itself included, are more than the threshold; and whether it was.
    fn mark(&mut self, octets: Bytes, queued: u64) -> (Bytes, bool) {
        let long = self
            .path
            .marking
            .is_some_and(|marking| queued > marking.above);
        match long.then(|| ecn::marked(&octets)).flatten() {
            None => (octets, false),
            Some(marked) => (marked, true),
        }
    }

    fn copy(&mut self, left_at: Instant, [jitter, holds, how_long]: [Luck; 3]) -> Copy {
        let due_at = self.path.delay.arrival(left_at, jitter);
        let held = holds.hits(self.path.reordering.chance);
        let at = if held {
            due_at + self.path.reordering.held_for(how_long)
        } else if self.path.delay.overtakes {
            due_at
        } else {
            self.lane.in_order(due_at)
        };
        let at = self.path.slots.map_or(at, |slots| slots.next(at));
        Copy { at, held }
    }
}

#[cfg(test)]
mod tests {
    use super::loss::Bursts;
    use super::*;
    use std::sync::Arc;

    fn direction(path: Path) -> Direction {
        Direction::new(path, 1, 0, true)
    }

    fn offer(direction: &mut Direction, now: Instant, octets: Bytes) -> Fate {
        direction.offer(now, octets, (LinkId(0), PacketId(0)))
    }

    fn packet(size: usize) -> Bytes {
        Bytes::from(vec![0; size])
    }

    /// What becomes of `n` packets of 100 octets, one a microsecond.
    fn fates(path: Path, n: u64) -> Vec<Fate> {
        let mut direction = direction(path);
        (0..n)
            .map(|i| offer(&mut direction, Instant::from_micros(i), packet(100)))
            .collect()
    }

    fn losses(path: Path, n: u64) -> Vec<Option<LossCause>> {
        fates(path, n)
            .into_iter()
            .map(|fate| match fate {
                Fate::Lost(cause) => Some(cause),
                Fate::Carried { .. } | Fate::Waits => None,
            })
            .collect()
    }

    fn arrival(fate: Fate) -> u64 {
        match fate {
            Fate::Carried { first, .. } => first.at.as_nanos(),
            Fate::Lost(cause) => panic!("{cause}"),
            Fate::Waits => panic!("it waits"),
        }
    }

    #[test]
    fn rate_and_delay_add_up_exactly() {
        let mut direction = direction(Path {
            rate: Some(Rate::new(8_000_000)),
            ..Path::delayed(Duration::from_millis(10))
        });
        for (at, there) in [(0, 11), (0, 12), (5, 16), (50, 61)] {
            let fate = offer(&mut direction, Instant::from_millis(at), packet(1000));
            assert_eq!(arrival(fate), there * 1_000_000);
        }
    }

    #[test]
    fn a_full_queue_drops_and_does_not_count() {
        let mut direction = direction(Path {
            rate: Some(Rate::new(8_000_000)),
            queue: Queue {
                octets: Some(2000),
                packets: None,
            },
            loss: Loss {
                listed: vec![2],
                ..Loss::default()
            },
            ..Path::default()
        });
        let mut next = |at| offer(&mut direction, Instant::from_millis(at), packet(1000));
        assert_eq!(arrival(next(0)), 1_000_000);
        assert_eq!(arrival(next(0)), 2_000_000);
        assert_eq!(next(0), Fate::Lost(LossCause::QueueFull));
        assert_eq!(next(1), Fate::Lost(LossCause::Listed));
        assert_eq!(
            arrival(next(2)),
            4_000_000,
            "what is lost on the wire has used the rate"
        );
    }

    #[test]
    fn the_mtu_lets_its_own_size_pass() {
        let mut direction = direction(Path {
            mtu: Some(Mtu::new(1280)),
            ..Path::default()
        });
        assert_eq!(
            arrival(offer(&mut direction, Instant::ZERO, packet(1280))),
            0
        );
        let fate = offer(&mut direction, Instant::ZERO, packet(1281));
        assert_eq!(fate, Fate::Lost(LossCause::TooBig));
    }

    #[test]
    fn listed_and_matching_packets_are_lost_and_no_other() {
        let listed = Loss {
            listed: vec![0, 3],
            ..Loss::default()
        };
        let matching = Loss {
            matching: Some(Arc::new(|number, _| number % 3 == 0)),
            ..Loss::default()
        };
        for loss in [listed, matching] {
            let lost = losses(
                Path {
                    loss,
                    ..Path::default()
                },
                6,
            );
            let gone = Some(LossCause::Listed);
            assert_eq!(lost, [gone, None, None, gone, None, None]);
        }
    }

    #[test]
    fn chances_are_met() {
        let n = 20_000;
        let count = |path: Path, what: fn(&Fate) -> bool| {
            fates(path, n).iter().filter(|fate| what(fate)).count()
        };
        let near = |count: usize, chance: f64| {
            let expected = chance * 20_000.0;
            assert!(
                (count as f64 - expected).abs() < expected * 0.12,
                "{count} for {chance}"
            );
        };
        let loss = Loss {
            chance: 0.05,
            ..Loss::default()
        };
        near(
            count(
                Path {
                    loss,
                    ..Path::default()
                },
                |fate| matches!(fate, Fate::Lost(_)),
            ),
            0.05,
        );
        let path = Path {
            corruption: 0.1,
            ..Path::default()
        };
        near(
            count(path, |fate| {
                matches!(
                    fate,
                    Fate::Carried {
                        corrupted: true,
                        ..
                    }
                )
            }),
            0.1,
        );
        let path = Path {
            duplication: 0.2,
            ..Path::default()
        };
        near(
            count(path, |fate| {
                matches!(
                    fate,
                    Fate::Carried {
                        second: Some(_),
                        ..
                    }
                )
            }),
            0.2,
        );
    }

    #[test]
    fn bursts_are_as_long_as_their_end_says() {
        // Each burst lasts four packets in the mean, and one packet in 1 / 0.01 begins one.
        let bursts = Some(Bursts {
            begin: 0.01,
            end: 0.25,
            chance: 1.0,
        });
        let loss = Loss {
            bursts,
            ..Loss::default()
        };
        let lost = losses(
            Path {
                loss,
                ..Path::default()
            },
            100_000,
        );
        let burst = Some(LossCause::Burst);
        let total = lost.iter().filter(|&&cause| cause == burst).count();
        let begun = lost
            .windows(2)
            .filter(|pair| pair[0].is_none() && pair[1] == burst)
            .count();
        let length = total as f64 / begun as f64;
        assert!((3.6..4.4).contains(&length), "{length}");
        assert!((800..1100).contains(&begun), "{begun}");
    }

    #[test]
    fn bursts_of_a_rate_and_a_length() {
        for (rate, mean) in [(0.01, 1.0), (0.01, 5.0), (0.03, 20.0), (0.1, 3.0)] {
            let loss = Loss {
                bursts: Some(Bursts::of(rate, mean)),
                ..Loss::default()
            };
            let path = Path {
                loss,
                ..Path::default()
            };
            let n = 400_000;
            let lost = losses(path, n);
            let total = lost.iter().flatten().count() as f64;
            let begun = lost
                .windows(2)
                .filter(|pair| pair[0].is_none() && pair[1].is_some())
                .count() as f64;
            let (seen_rate, seen_mean) = (total / n as f64, total / begun);
            assert!(
                (seen_rate / rate - 1.0).abs() < 0.15,
                "{rate} {mean}: {seen_rate}"
            );
            // A burst of one may be followed at once by another: 1 % of them at a rate of 1 %.
            assert!(
                (seen_mean / mean - 1.0).abs() < 0.15,
                "{rate} {mean}: {seen_mean}"
            );
        }
    }

    #[test]
    fn only_bare_acknowledgements_are_lost_as_such() {
        let mut ack = vec![0; 40];
        ack[0] = 0x45;
        ack[3] = 40;
        ack[9] = 6;
        ack[32] = 0x50;
        ack[33] = 0x10;
        let mut text = ack.clone();
        text.push(1);
        text[3] = 41;
        let mut direction = direction(Path {
            loss: Loss {
                bare_acks: 0.25,
                ..Loss::default()
            },
            ..Path::default()
        });
        let mut lost = |packet: &[u8]| {
            let packet = Bytes::copy_from_slice(packet);
            let gone = Fate::Lost(LossCause::Ack);
            (0..10_000)
                .filter(|&i| offer(&mut direction, Instant::from_micros(i), packet.clone()) == gone)
                .count()
        };
        let acks = lost(&ack);
        assert!((2_300..2_700).contains(&acks), "{acks}");
        assert_eq!(lost(&text), 0);
    }

    #[test]
    fn holds_are_spread_over_their_range() {
        let ms = Duration::from_millis;
        let path = Path {
            reordering: Reordering::between(0.1, ms(1), ms(20)),
            ..Path::default()
        };
        let mut holds = Vec::new();
        for (i, fate) in fates(path, 50_000).into_iter().enumerate() {
            let Fate::Carried { first, .. } = fate else {
                panic!("lost")
            };
            let held_for = first.at.since(Instant::from_micros(i as u64));
            assert_eq!(first.held, held_for >= ms(1));
            if first.held {
                holds.push(held_for);
            }
        }
        assert!((4_700..5_300).contains(&holds.len()), "{}", holds.len());
        let most = holds.iter().max().copied().unwrap_or_default();
        assert!(most <= ms(20) && most > ms(19), "{most:?}");
        let mean = holds.iter().sum::<Duration>() / 5_000;
        assert!(mean > ms(9) && mean < ms(12), "{mean:?}");
    }

    #[test]
    fn slots_gather_what_comes_between_them() {
        let path = Path {
            slots: Some(Slots {
                every: Duration::from_micros(250),
            }),
            ..Path::default()
        };
        let at: Vec<_> = fates(path, 1_000).into_iter().map(arrival).collect();
        assert!(at.iter().all(|nanos| nanos % 250_000 == 0));
        let bunches = at.windows(2).filter(|pair| pair[1] > pair[0]).count();
        assert_eq!(bunches, 4, "0, 250, 500, 750 and 1000 us");
    }

    #[test]
    fn one_parameter_does_not_change_the_luck_of_another() {
        let loss = Loss {
            chance: 0.1,
            ..Loss::default()
        };
        let plain = Path {
            loss: Loss {
                bare_acks: 0.5, // Of none that are here.
                ..loss
            },
            ..Path::default()
        };
        let expected = losses(plain.clone(), 1000);
        assert!(expected.contains(&Some(LossCause::Chance)));
        for changed in [
            Path {
                duplication: 0.5,
                ..plain.clone()
            },
            Path {
                corruption: 0.5,
                ..plain.clone()
            },
            Path {
                rate: Some(Rate::new(1_000_000)),
                ..plain.clone()
            },
            Path {
                reordering: Reordering {
                    chance: 0.5,
                    hold: Duration::from_millis(1),
                    ..Reordering::default()
                },
                ..plain.clone()
            },
            Path {
                delay: Delay {
                    jitter: Duration::from_millis(1),
                    ..Delay::default()
                },
                ..plain.clone()
            },
        ] {
            assert_eq!(losses(changed.clone(), 1000), expected, "{changed:?}");
        }
    }

    #[test]
    fn held_packets_are_overtaken_and_the_others_keep_their_order() {
        let path = Path {
            delay: Delay {
                fixed: Duration::from_millis(1),
                jitter: Duration::from_micros(300),
                overtakes: false,
            },
            reordering: Reordering {
                chance: 0.2,
                hold: Duration::from_millis(5),
                ..Reordering::default()
            },
            ..Path::default()
        };
        let (mut last, mut held) = (0, 0);
        for (i, fate) in fates(path, 1000).into_iter().enumerate() {
            let Fate::Carried { first, .. } = fate else {
                panic!("lost")
            };
            if first.held {
                held += 1;
                let least = i as u64 * 1_000 + 6_000_000;
                assert!((least..=least + 300_000).contains(&first.at.as_nanos()));
            } else {
                assert!(first.at.as_nanos() >= last);
                last = first.at.as_nanos();
            }
        }
        assert!((150..250).contains(&held), "{held}");
    }

    #[test]
    fn jitter_overtakes_where_it_may() {
        let jitter = Duration::from_millis(1);
        let path = |overtakes| Path {
            delay: Delay {
                jitter,
                overtakes,
                ..Delay::default()
            },
            ..Path::default()
        };
        let backwards = |path| {
            let at: Vec<_> = fates(path, 100).into_iter().map(arrival).collect();
            at.windows(2).filter(|pair| pair[1] < pair[0]).count()
        };
        assert_eq!(backwards(path(false)), 0);
        assert!(backwards(path(true)) > 20);
    }

    #[test]
    fn corruption_flips_exactly_one_bit_anywhere() {
        let path = Path {
            corruption: 1.0,
            ..Path::default()
        };
        let mut seen = [false; 100];
        for fate in fates(path, 5000) {
            let Fate::Carried { octets, .. } = fate else {
                panic!("lost")
            };
            assert_eq!(
                octets.iter().map(|octet| octet.count_ones()).sum::<u32>(),
                1
            );
            seen[octets.iter().position(|&octet| octet != 0).unwrap()] = true;
        }
        assert_eq!(seen, [true; 100]);
    }

    #[test]
    fn an_empty_packet_survives_everything() {
        let path = Path {
            corruption: 1.0,
            duplication: 1.0,
            rate: Some(Rate::new(1)),
            ..Path::default()
        };
        let fate = offer(&mut direction(path), Instant::ZERO, Bytes::new());
        assert_eq!(arrival(fate), 0);
    }
}
