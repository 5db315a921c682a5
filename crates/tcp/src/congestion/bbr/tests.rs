//! BBR on a modelled path: one bottleneck with a tail-drop queue, packets without sequence numbers, every one acknowledged.

use alloc::collections::{BTreeMap, BinaryHeap};
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::*;
use crate::delivery::{Delivery, SentAt};

mod draft;
mod paths;

const MSS: u64 = 1448;
/// Octets a second of 1 Mbit/s.
const MBIT: u64 = 125_000;

/// The path that all flows share.
struct Path {
    /// Octets a second.
    rate: u64,
    /// Round trip without a queue.
    rtt: Duration,
    /// Octets that wait at the most.
    queue: u64,
    /// Of a thousand packets, so many vanish.
    loss_permille: u64,
    /// Acknowledgements come in bunches, so far apart.
    aggregation: Duration,
    /// When the bottleneck will have sent what it holds.
    free_at: Instant,
    seed: u64,
}

impl Path {
    /// When the acknowledgement of a packet that leaves now arrives.
    fn carry(&mut self, now: Instant) -> Option<Instant> {
        let queued = model::volume(self.rate, self.free_at.since(now));
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let unlucky = (self.seed >> 33) % 1000 < self.loss_permille;
        if unlucky || queued + MSS > self.queue {
            return None;
        }
        let takes = Duration::from_nanos(scale(MSS, 1_000_000_000, self.rate));
        self.free_at = self.free_at.max(now) + takes;
        let back = (self.free_at + self.rtt).as_nanos();
        let step = u64::try_from(self.aggregation.as_nanos()).unwrap().max(1);
        Some(Instant::from_nanos(back.div_ceil(step) * step))
    }
}

struct Flow {
    bbr: Bbr,
    delivery: Delivery,
    flying: BTreeMap<u64, (SentAt, Instant)>,
    next_id: u64,
    in_flight: u64,
    next_send: Instant,
    /// Whether it will be asked to send again by itself.
    armed: bool,
    /// Until this packet is acknowledged, a loss is being repaired.
    recovery: Option<u64>,
    min_rtt: Option<Duration>,
    srtt: Option<Duration>,
    /// Octets a second that the user writes; `None`: without end.
    user_rate: Option<u64>,
    /// Octets that he has written and that have not left.
    written: u64,
    wrote_at: Instant,
    lost: u64,
    sack: bool,
    /// Whether each state was entered, and when last.
    seen: Vec<(Instant, State)>,
}

impl Flow {
    fn new(now: Instant) -> Self {
        Self {
            bbr: Bbr::new(1448, 10 * MSS),
            delivery: Delivery::default(),
            flying: BTreeMap::new(),
            next_id: 0,
            in_flight: 0,
            next_send: now,
            armed: true,
            recovery: None,
            min_rtt: None,
            srtt: None,
            user_rate: None,
            written: 0,
            wrote_at: now,
            lost: 0,
            sack: true,
            seen: Vec::from([(now, State::Startup)]),
        }
    }

    fn has_text(&mut self, now: Instant) -> bool {
        let Some(rate) = self.user_rate else {
            self.wrote_at = now;
            return true;
        };
        self.written += model::volume(rate, now.since(self.wrote_at));
        self.wrote_at = now;
        self.written >= MSS
    }

    fn note_state(&mut self, now: Instant) {
        let state = self.bbr.state;
        if self.seen.last().is_none_or(|(_, last)| *last != state) {
            self.seen.push((now, state));
        }
    }

    /// One packet, when cwnd, pacing and the user let it go.
    fn send(&mut self, now: Instant, path: &mut Path) -> Option<(u64, Option<Instant>)> {
        if self.in_flight + MSS > self.bbr.window() || now < self.next_send {
            return None;
        }
        if !self.has_text(now) {
            self.delivery.on_app_limited(self.in_flight);
            return None;
        }
        self.written = self.written.saturating_sub(MSS);
        let app_limited = self.delivery.is_app_limited();
        self.in_flight += MSS;
        let sent = self.delivery.on_send(now, MSS, self.in_flight);
        let id = self.next_id;
        self.next_id += 1;
        self.flying.insert(id, (sent, now));
        self.bbr.on_sent(&SentText {
            now,
            octets: MSS,
            in_flight: self.in_flight,
            total_delivered: self.delivery.delivered(),
            app_limited,
            again: false,
        });
        let rate = self.bbr.pacing_rate().unwrap();
        self.next_send = now + Duration::from_nanos(scale(MSS, 1_000_000_000, rate));
        self.note_state(now);
        Some((id, path.carry(now)))
    }

    /// The acknowledgement of some packets; what left three packets before the newest of them is lost.
    fn acknowledge(&mut self, now: Instant, ids: &[u64]) {
        let prior_in_flight = self.in_flight;
        let before = self.delivery.delivered();
        let mut rtt = None;
        for id in ids {
            let Some((sent, at)) = self.flying.remove(id) else {
                continue;
            };
            self.in_flight -= MSS;
            self.delivery.on_delivered(now, &sent, at, MSS);
            rtt = Some(now.since(at));
        }
        let newest = ids.last().copied().unwrap_or(0);
        let lost = self.lose_before(now, newest.saturating_sub(3));
        if self.recovery.is_some_and(|until| newest >= until) {
            self.recovery = None;
            self.bbr.on_recovered(now);
        }
        if let Some(rtt) = rtt {
            self.min_rtt = Some(self.min_rtt.unwrap_or(rtt).min(rtt));
            self.srtt = Some((self.srtt.unwrap_or(rtt) * 7 + rtt) / 8);
        }
        let delivered = self.delivery.delivered() - before;
        self.bbr.on_ack(&AckSample {
            now,
            acked: delivered,
            delivered,
            lost,
            prior_in_flight,
            in_flight: self.in_flight,
            rtt,
            srtt: self.srtt,
            min_rtt: self.min_rtt,
            in_recovery: self.recovery.is_some(),
            sack: self.sack,
            total_delivered: self.delivery.delivered(),
            rate: self.delivery.sample(now, self.min_rtt),
            ..AckSample::default()
        });
        self.note_state(now);
    }

    fn lose_before(&mut self, now: Instant, id: u64) -> u64 {
        let kept = self.flying.split_off(&id);
        let gone = core::mem::replace(&mut self.flying, kept);
        let octets = MSS * gone.len() as u64;
        for (sent, _) in gone.values() {
            self.in_flight -= MSS;
            self.lost += MSS;
            let lost = self.delivery.on_lost(sent, MSS);
            self.bbr.on_lost(now, &lost);
        }
        if octets > 0 && self.recovery.is_none() {
            self.recovery = Some(self.next_id);
            self.bbr.on_trouble(now, Trouble::Loss, self.in_flight);
        }
        octets
    }

    /// Times at which a state was entered after `from`.
    fn entered(&self, state: State, from: Instant) -> Vec<Instant> {
        self.seen
            .iter()
            .filter(|(at, seen)| *seen == state && *at > from)
            .map(|(at, _)| *at)
            .collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    Ack(u64),
    MaySend,
}

/// A path, flows, and what is to come.
struct World {
    now: Instant,
    path: Path,
    flows: Vec<Flow>,
    to_come: BinaryHeap<Reverse<(Instant, usize, Happens)>>,
}

impl World {
    fn new(rate: u64, rtt_millis: u64, queue_percent_of_bdp: u64) -> Self {
        let rtt = Duration::from_millis(rtt_millis);
        let bdp = model::volume(rate, rtt);
        Self {
            now: Instant::ZERO,
            path: Path {
                rate,
                rtt,
                queue: (bdp * queue_percent_of_bdp / 100).max(2 * MSS),
                loss_permille: 0,
                aggregation: Duration::ZERO,
                free_at: Instant::ZERO,
                seed: 1,
            },
            flows: Vec::new(),
            to_come: BinaryHeap::new(),
        }
    }

    fn with_flow(mut self) -> Self {
        self.add_flow();
        self
    }

    fn add_flow(&mut self) -> usize {
        self.flows.push(Flow::new(self.now));
        let flow = self.flows.len() - 1;
        self.to_come
            .push(Reverse((self.now, flow, Happens::MaySend)));
        flow
    }

    fn bdp(&self) -> u64 {
        model::volume(self.path.rate, self.path.rtt)
    }

    /// Everything up to a time in milliseconds, or until `enough` says so.
    fn run_until(&mut self, millis: u64, mut enough: impl FnMut(&Self) -> bool) -> bool {
        let end = Instant::from_millis(millis);
        while let Some(Reverse((at, _, _))) = self.to_come.peek() {
            if *at > end {
                break;
            }
            let Some(Reverse((at, flow, what))) = self.to_come.pop() else {
                break;
            };
            self.now = at;
            match what {
                Happens::MaySend => {
                    self.flows[flow].armed = false;
                    self.send(flow);
                }
                Happens::Ack(id) => {
                    let mut ids = Vec::from([id]);
                    while let Some(Reverse((also, of, Happens::Ack(id)))) = self.to_come.peek()
                        && (*also, *of) == (at, flow)
                    {
                        ids.push(*id);
                        self.to_come.pop();
                    }
                    self.flows[flow].acknowledge(at, &ids);
                    self.send(flow);
                }
            }
            if enough(self) {
                return true;
            }
        }
        self.now = end;
        false
    }

    fn run(&mut self, millis: u64) {
        self.run_until(millis, |_| false);
    }

    fn run_to(&mut self, state: State, within_millis: u64) {
        let limit = self.now.as_millis() + within_millis;
        let there = self.run_until(limit, |world| world.flows[0].bbr.state == state);
        assert!(
            there,
            "{state:?} by {limit} ms, not {:?}",
            self.flows[0].seen
        );
    }

    fn send(&mut self, flow: usize) {
        while let Some((id, ack)) = self.flows[flow].send(self.now, &mut self.path) {
            if let Some(ack) = ack {
                self.to_come.push(Reverse((ack, flow, Happens::Ack(id))));
            }
        }
        let sender = &mut self.flows[flow];
        let by_window = sender.in_flight + MSS > sender.bbr.window();
        if !by_window && !sender.armed {
            // Pacing lets it go then; or the user may have written by then.
            let soon = self.now + Duration::from_millis(1);
            let at = match sender.next_send > self.now {
                true => sender.next_send,
                false => soon,
            };
            sender.armed = true;
            self.to_come.push(Reverse((at, flow, Happens::MaySend)));
        }
    }

    /// What flow `flow` delivers from now on, in percent of the link.
    fn share(&mut self, flow: usize, until_millis: u64) -> u64 {
        let (from, before) = (self.now, self.flows[flow].delivery.delivered());
        self.run(until_millis);
        let delivered = self.flows[flow].delivery.delivered() - before;
        let possible = model::volume(self.path.rate, self.now.since(from));
        delivered * 100 / possible
    }
}

#[test]
fn the_state_is_small() {
    assert!(size_of::<Bbr>() <= 512, "{}", size_of::<Bbr>());
}
