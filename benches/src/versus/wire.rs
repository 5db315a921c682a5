//! The bottleneck between two ends, in real time: the simulator's model of a link, driven by a thread that moves packets.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::ErrorKind;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant as Clock};

use bytes::Bytes;
use woshou_link::{Device, Outgoing};
use woshou_sim::link::{OneWay, Path};
use woshou_tcp::Instant;

/// Packets taken from a device before others have their turn.
const BATCH: usize = 64;
/// The thread looks again after this long, where nothing is due sooner.
const NAP: Duration = Duration::from_micros(15);
/// What is due within this is waited for without sleeping.
const SPIN: Duration = Duration::from_micros(25);
/// How much later than asked the system may end a nap: nanoseconds; it takes 50 us without being told.
const SLACK: NonZeroU64 = NonZeroU64::MIN;

/// What becomes of a packet's addresses on the way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Addresses {
    /// They stay.
    Kept,
    /// Each end believes to be the first of two hosts: source and destination change places, which no checksum notices.
    Swapped,
}

/// How late packets left, against the model: those that were not looked for in time, and those not handed over in time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lateness {
    packets: u64,
    nanos: u64,
    /// Packets that an end refused for as long as the measurement lasted, or with an error.
    refused: u64,
}

impl Lateness {
    /// Mean, microseconds.
    pub(crate) fn mean_micros(&self) -> f64 {
        self.nanos as f64 / self.packets.max(1) as f64 / 1000.0
    }

    /// Packets that never reached an end, though the model let them pass.
    pub(crate) const fn refused(&self) -> u64 {
        self.refused
    }
}

/// A wire that is in use until it is dropped.
pub(crate) struct Wire {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Lateness>>,
}

/// A packet that waits for its time: when, in which order it came, to which end.
type Due = Reverse<(Instant, u64, usize, Bytes)>;

struct Carrier {
    ends: [Box<dyn Device>; 2],
    ways: [OneWay; 2],
    addresses: Addresses,
    due: BinaryHeap<Due>,
    number: u64,
    lateness: Lateness,
    /// When each end was last asked for packets.
    asked: [Instant; 2],
    start: Clock,
}

impl Wire {
    /// `forth` leads from the first end to the second.
    pub(crate) fn new(
        ends: [Box<dyn Device>; 2],
        [forth, back]: [Path; 2],
        addresses: Addresses,
        seed: u64,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let carrier = Carrier {
            ends,
            ways: [
                OneWay::new(forth, seed, true),
                OneWay::new(back, seed, false),
            ],
            addresses,
            due: BinaryHeap::new(),
            number: 0,
            lateness: Lateness::default(),
            asked: [Instant::from_nanos(0); 2],
            start: Clock::now(),
        };
        let told = Arc::clone(&stop);
        let thread = thread::spawn(move || carrier.run(&told));
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// Ends it.
    pub(crate) fn end(mut self) -> Lateness {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take();
        thread
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Source and destination of an IPv4 packet change places.
pub(super) fn swap(packet: &mut [u8]) {
    if let Some(addresses) = packet.get_mut(12..20) {
        let (source, destination) = addresses.split_at_mut(4);
        source.swap_with_slice(destination);
    }
}

impl Carrier {
    fn now(&self) -> Instant {
        let nanos = self.start.elapsed().as_nanos();
        Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn run(mut self, stop: &AtomicBool) -> Lateness {
        // Without it naps are longer, which `Lateness` would tell.
        let _ = rustix::thread::set_current_timer_slack(Some(SLACK));
        let mut buffer = vec![0; 70_000];
        while !stop.load(Ordering::Relaxed) {
            let mut busy = self.take(0, &mut buffer) | self.take(1, &mut buffer);
            busy |= self.deliver(stop);
            if busy {
                continue;
            }
            let now = self.now();
            let next = self.due.peek().map_or(NAP, |due| due.0.0.since(now));
            if next > SPIN {
                thread::sleep((next - SPIN).min(NAP));
            } else {
                std::hint::spin_loop();
            }
        }
        self.lateness
    }

    /// Takes what end `from` has sent.
    fn take(&mut self, from: usize, buffer: &mut [u8]) -> bool {
        for taken in 0..BATCH {
            let now = self.now();
            let last = std::mem::replace(&mut self.asked[from], now);
            let Ok(received) = self.ends[from].recv(buffer) else {
                return taken > 0;
            };
            let packet = &mut buffer[..received.len];
            if packet.len() < 20 || packet[0] >> 4 != 4 {
                continue;
            }
            if self.addresses == Addresses::Swapped {
                swap(packet);
            }
            // It came at some time since the last look.
            self.lateness.nanos +=
                u64::try_from(now.since(last).as_nanos() / 2).unwrap_or(u64::MAX);
            let octets = Bytes::copy_from_slice(packet);
            for (at, octets) in self.ways[from].carry(now, octets).into_iter().flatten() {
                self.number += 1;
                self.due.push(Reverse((at, self.number, 1 - from, octets)));
            }
        }
        true
    }

    /// Hands over what is due.
    fn deliver(&mut self, stop: &AtomicBool) -> bool {
        let mut any = false;
        loop {
            let now = self.now();
            if self.due.peek().is_none_or(|due| due.0.0 > now) {
                return any;
            }
            let Some(Reverse((at, _, to, octets))) = self.due.pop() else {
                return any;
            };
            any = true;
            self.lateness.packets += 1;
            self.lateness.nanos += u64::try_from(now.since(at).as_nanos()).unwrap_or(u64::MAX);
            let frame = Outgoing {
                parts: [&octets, &[], &[]],
                checksum: None,
                segment_size: None,
            };
            while let Err(error) = self.ends[to].send(&frame) {
                if error.kind() != ErrorKind::WouldBlock || stop.load(Ordering::Relaxed) {
                    self.lateness.refused += 1;
                    break;
                }
                thread::yield_now();
            }
        }
    }
}
