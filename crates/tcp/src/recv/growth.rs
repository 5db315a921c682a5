//! How the receive buffer grows: dynamic right-sizing (Fisk and Feng, 2001), as every kernel does in its way.
//!
//! The peer cannot make it grow: what counts is the text that the *user* took in a round trip. Where that is more than
//! ever before, the buffer becomes twice as large as that (the sender may double it in the round trip that follows, while
//! the window that allows it is on its way), and more by what the last round grew.

use alloc::boxed::Box;
use core::time::Duration;

use super::Receive;
use crate::seq::SeqNum;
use crate::time::Instant;

/// The measurement: one round trip after the other, as the receiver sees them.
///
/// Times are milliseconds, the step of the timestamp clock, and so is the shortest round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    /// When this round began.
    since: Instant,
    /// The next octet the user was to read then.
    read: SeqNum,
    /// The most the user read in a round, octets.
    most_read: u32,
    /// The round trip, ms; `None` before the first sample.
    rtt: Option<u32>,
    /// The least sample of this round, ms.
    least: u32,
    /// When RCV.NXT gets here, a window's worth has come since `edge_since`: a round trip or more (for peers without
    /// timestamps).
    edge: SeqNum,
    edge_since: Instant,
}

impl Growth {
    /// The round trip as the receiver sees it.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.rtt.map(|ms| Duration::from_millis(u64::from(ms)))
    }

    /// An upper bound of the round trip: what is too long comes of a peer that had nothing to send.
    fn at_most(&mut self, ms: u32) {
        let ms = ms.max(1);
        self.rtt = Some(self.rtt.map_or(ms, |rtt| rtt.min(ms)));
    }

    /// An echoed timestamp. Where all of a round are older than the round trip that is known, that grows by an eighth of
    /// the difference.
    fn echoed(&mut self, ms: u32) {
        self.least = self.least.min(ms);
        self.at_most(ms);
    }

    /// A round that began with `read` as the next octet to be read.
    fn begin(&mut self, now: Instant, read: SeqNum) {
        if let Some(rtt) = &mut self.rtt
            && self.least != u32::MAX
        {
            *rtt += self.least.saturating_sub(*rtt) / 8;
        }
        self.least = u32::MAX;
        self.since = now;
        self.read = read;
    }
}

fn millis(after: Duration) -> u32 {
    u32::try_from(after.as_millis()).unwrap_or(u32::MAX)
}

impl Receive {
    /// The round trip as the receiver sees it, once it was measured.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.growth.as_ref()?.rtt()
    }

    /// The most that the user read in a round trip; before that is known, what the buffer takes. Octets.
    pub(crate) fn space(&self) -> u32 {
        let read = self.growth.as_ref().map(|growth| growth.most_read);
        read.filter(|octets| *octets > 0).unwrap_or(self.capacity)
    }

    /// Text arrives, and the user has read what is not in the buffer. `echoed`: how old the timestamp is that it echoes,
    /// ms. `handshake`: the least round trip that the sending side knows. `most`: how far the buffer may grow.
    pub(crate) fn grow(
        &mut self,
        now: Instant,
        echoed: Option<u32>,
        handshake: Option<Duration>,
        most: u32,
    ) {
        let held = u32::try_from(self.buffer.len()).unwrap_or(u32::MAX >> 1);
        let read = self.nxt - held;
        let (nxt, adv) = (self.nxt, self.adv);
        let Some(growth) = &mut self.growth else {
            // As long as the first windows are not nearly filled, there is nothing to measure.
            if nxt.distance_from(self.irs) >= self.capacity / 16 {
                self.growth = Some(Box::new(Growth {
                    since: now,
                    read,
                    most_read: 0,
                    rtt: handshake.map(|rtt| millis(rtt).max(1)),
                    least: u32::MAX,
                    edge: adv,
                    edge_since: now,
                }));
            }
            return;
        };
        if let Some(ms) = echoed {
            growth.echoed(ms);
        } else if nxt.at_or_after(growth.edge) {
            growth.at_most(millis(now.since(growth.edge_since)));
            (growth.edge, growth.edge_since) = (adv, now);
        }
        let (Some(rtt), lasted) = (growth.rtt, millis(now.since(growth.since))) else {
            return;
        };
        if lasted < rtt {
            return;
        }
        // Where the peer paused, the round lasted longer, and the user need not have been that fast.
        let octets = u64::from(read.distance_from(growth.read));
        let octets = octets * u64::from(rtt) / u64::from(lasted.max(1));
        let octets = u32::try_from(octets).unwrap_or(u32::MAX);
        let more = octets.saturating_sub(growth.most_read);
        growth.begin(now, read);
        if more > 0 {
            growth.most_read = octets;
            let wanted = octets.saturating_add(more.saturating_mul(2));
            let wanted = wanted
                .saturating_mul(2)
                .saturating_add(16 * u32::from(self.mss));
            self.capacity = self.capacity.max(wanted.min(most));
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::segment::Text;

    const KIB: u32 = 1024;
    const SEGMENT: u32 = 1000;

    /// What tells of round trips.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Tells {
        Echo,
        Handshake,
        WindowOnly,
    }
    use Tells::{Echo, Handshake, WindowOnly};

    /// A receiver whose window begins at 64 KiB, its numbers at the end of the circle.
    fn receive() -> Receive {
        let mut receive = Receive::new(SeqNum(0xffff_8000), 10, 64 << 10, 64 << 10);
        receive.mss = 1000;
        receive
    }

    /// `octets` come within the `rtt` milliseconds from `start` on, in segments that are evenly spread, and the user reads the
    /// fraction `reads` of each at once.
    fn round(
        receive: &mut Receive,
        (start, rtt): (u32, u32),
        octets: u32,
        reads: f64,
        tells: Tells,
    ) {
        let segments = octets / SEGMENT;
        for n in 0..segments {
            let ms = u64::from(start) * 1000
                + u64::from(rtt) * 1000 * u64::from(n) / u64::from(segments);
            let now = Instant::from_micros(ms);
            let echoed = (tells == Echo).then_some(rtt);
            let handshake = (tells == Handshake).then(|| Duration::from_millis(rtt.into()));
            receive.grow(now, echoed, handshake, 32 << 20);
            receive.buffer.push(Text {
                octets: &vec![7; SEGMENT as usize],
                owner: None,
            });
            receive.nxt += SEGMENT;
            let (_, edge) = receive.offer();
            receive.adv = receive.adv.later(edge);
            let mut into = vec![0; (f64::from(SEGMENT) * reads) as usize];
            receive.buffer.read(&mut into);
        }
    }

    /// As a slow start brings it, doubling each round trip from ten segments on. `None`: the window held it back.
    fn slow_start(receive: &mut Receive, rtt: u32, tells: Tells, most: u32) -> Option<u32> {
        let mut flight = 10 * SEGMENT;
        for n in 0..20 {
            round(receive, (n * rtt, rtt), flight, 1.0, tells);
            if flight >= most {
                return Some(receive.capacity);
            }
            flight = (2 * flight).min(most);
            if receive.wnd() < flight {
                return None;
            }
        }
        Some(receive.capacity)
    }

    #[test]
    fn the_window_stays_ahead_of_slow_start() {
        for (rtt, tells) in [
            (1, Echo),
            (20, Echo),
            (100, Echo),
            (300, Echo),
            (100, Handshake),
        ] {
            for most in [100_000, 1_000_000, 12_500_000] {
                let capacity = slow_start(&mut receive(), rtt, tells, most);
                let Some(capacity) = capacity else {
                    panic!("{rtt} ms, {tells:?}: the window held back {most} octets");
                };
                assert!(capacity >= most, "{rtt} ms, {most}: {capacity}");
                assert!(
                    capacity < 7 * most.max(64 * KIB),
                    "{rtt} ms, {most}: {capacity}"
                );
            }
        }
    }

    #[test]
    fn what_the_user_reads_in_a_round_trip_is_what_counts() {
        let cases = [
            (
                "all of a steady stream, far below",
                10_000,
                1.0,
                64 * KIB..=80 * KIB,
            ),
            (
                "all of one that is large",
                1_000_000,
                1.0,
                2_000_000..=7_000_000,
            ),
            ("the tenth of it", 1_000_000, 0.1, 200_000..=700_000),
            (
                "nothing, however much comes",
                1_000_000,
                0.0,
                64 * KIB..=64 * KIB,
            ),
        ];
        for (name, octets, reads, expected) in cases {
            let mut receive = receive();
            for n in 0..20 {
                round(&mut receive, (n * 50, 50), octets, reads, Echo);
            }
            assert!(
                expected.contains(&receive.capacity),
                "{name}: {}",
                receive.capacity
            );
        }
    }

    #[test]
    fn it_ends_where_it_may_grow_no_further_and_never_shrinks() {
        let mut receive = receive();
        for n in 0..10 {
            round(&mut receive, (n * 50, 50), 20_000_000, 1.0, Echo);
        }
        assert_eq!(receive.capacity, 32 << 20);
        for n in 10..30 {
            round(&mut receive, (n * 50, 50), 1_000_000, 1.0, Echo);
        }
        assert_eq!(receive.capacity, 32 << 20);
        assert_eq!(receive.rtt(), Some(Duration::from_millis(50)));
        assert!(
            (19_000_000..22_000_000).contains(&receive.space()),
            "{}",
            receive.space()
        );
    }

    /// A user who reads a full buffer in one gulp now and then is slow all the same, and needs no larger one.
    #[test]
    fn a_pause_is_part_of_the_round() {
        let mut receive = receive();
        for n in 0..50 {
            round(&mut receive, (n * 1000, 10), 60_000, 1.0, Echo);
        }
        // Sixty kilobytes in ten milliseconds are what a round trip brings; the second in between brings nothing.
        assert!(receive.capacity < 450_000, "{}", receive.capacity);
        assert!(receive.space() <= 60_000, "{}", receive.space());
    }

    #[test]
    fn the_round_trip_falls_at_once_and_rises_slowly() {
        let mut receive = receive();
        round(&mut receive, (0, 1000), 50_000, 1.0, Echo);
        assert_eq!(
            receive.rtt(),
            Some(Duration::from_millis(1000)),
            "an old echo"
        );
        round(&mut receive, (1000, 40), 50_000, 1.0, Echo);
        assert_eq!(receive.rtt(), Some(Duration::from_millis(40)));
        for n in 0..3 {
            round(&mut receive, (2000 + n * 80, 80), 50_000, 1.0, Echo);
        }
        let rtt = receive.rtt().unwrap();
        assert!((41..70).contains(&rtt.as_millis()), "{rtt:?}");
    }

    #[test]
    fn without_timestamps_and_handshake_a_window_tells_in_time() {
        let mut receive = receive();
        for n in 0..100 {
            let fits = receive.wnd().min(1_000_000);
            round(&mut receive, (n * 50, 50), fits, 1.0, WindowOnly);
        }
        assert!(receive.capacity >= 1_000_000, "{}", receive.capacity);
        let rtt = receive.rtt().unwrap();
        assert!((40..=100).contains(&rtt.as_millis()), "{rtt:?}");
    }
}
