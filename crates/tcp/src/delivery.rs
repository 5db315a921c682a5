//! "How fast does the network deliver?": the rate sample of an acknowledgement (draft-ietf-ccwg-bbr section 4.1).
//!
//! Who calls what: `on_send` for each transmission, whose `SentAt` is kept with it; `on_delivered`, `on_marked` and `on_lost`
//! for what an acknowledgement tells; `sample` once at the end of each acknowledgement; `on_app_limited` when the user has
//! left nothing to send.

use core::time::Duration;

use crate::congestion::{LostText, RateSample};
use crate::time::Instant;

/// What a transmission remembers of the moment when it left ("P" of the draft). Counts of which only a difference is asked are
/// kept modulo 2^32: while one transmission flies, less than 4 GiB are lost or marked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SentAt {
    /// P.delivered: octets delivered before.
    delivered: u64,
    /// P.delivered_time: when the last of them was reported.
    delivered_at: Instant,
    /// P.first_send_time: when the first of this flight left.
    first_sent_at: Instant,
    /// P.lost: octets declared lost before.
    lost: u32,
    /// Octets of marked text delivered before.
    marked: u32,
    /// P.tx_in_flight: octets in flight, itself included; of more than 4 GiB, 4 GiB.
    tx_in_flight: u32,
    /// How many transmissions left before, modulo 2^32: of two that left at one moment it tells which was first.
    order: u32,
    /// P.is_app_limited.
    app_limited: bool,
}

impl SentAt {
    /// Whether it left after `other`, where both left at the same moment.
    pub(crate) const fn is_after(&self, other: &Self) -> bool {
        self.order.wrapping_sub(other.order).cast_signed() > 0
    }
}

impl SentAt {
    /// P.delivered.
    pub(crate) const fn total_delivered(&self) -> u64 {
        self.delivered
    }

    /// P.is_app_limited.
    pub(crate) const fn is_app_limited(&self) -> bool {
        self.app_limited
    }
}

/// The counters of a connection ("C" of the draft), and the newest transmission that the acknowledgement under way reported.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Delivery {
    /// C.delivered.
    delivered: u64,
    /// C.delivered_time.
    delivered_at: Instant,
    /// C.first_send_time.
    first_sent_at: Instant,
    /// C.lost.
    lost: u64,
    /// Octets of marked text delivered.
    marked: u64,
    /// C.app_limited: until so much is delivered, samples say what the user wrote; zero: they say what the path takes.
    app_limited_until: u64,
    /// Transmissions so far, modulo 2^32.
    order: u32,
    /// The newest reported transmission, and when it left.
    newest: Option<(SentAt, Instant)>,
}

impl Delivery {
    /// All octets ever delivered.
    pub(crate) const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Whether what leaves now, or left in the last round trip, was held back by the user (C.app_limited is not zero).
    pub(crate) const fn is_app_limited(&self) -> bool {
        self.app_limited_until > 0
    }

    /// Something leaves, while `in_flight` octets fly with it, `octets` of them its own.
    pub(crate) fn on_send(&mut self, now: Instant, octets: u64, in_flight: u64) -> SentAt {
        if in_flight <= octets {
            // Nothing flew: the clocks of sending and of delivery begin here.
            self.first_sent_at = now;
            self.delivered_at = now;
        }
        self.order = self.order.wrapping_add(1);
        SentAt {
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent_at: self.first_sent_at,
            lost: low(self.lost),
            marked: low(self.marked),
            tx_in_flight: u32::try_from(in_flight).unwrap_or(u32::MAX),
            order: self.order,
            app_limited: self.is_app_limited(),
        }
    }

    /// The user left nothing to send though there was room: samples until `in_flight` is delivered say what he wrote
    /// (MarkConnectionAppLimited, section 4.1.2.4).
    pub(crate) fn on_app_limited(&mut self, in_flight: u64) {
        self.app_limited_until = (self.delivered + in_flight).max(1);
    }

    /// `octets` of a transmission that left at `sent_at` were reported for the first time.
    pub(crate) fn on_delivered(
        &mut self,
        now: Instant,
        sent: &SentAt,
        sent_at: Instant,
        octets: u64,
    ) {
        self.delivered += octets;
        self.delivered_at = now;
        // Of those that left at one moment, the last has the most in flight before it.
        let newer = |(newest, at): (SentAt, Instant)| {
            (sent_at, sent.tx_in_flight) >= (at, newest.tx_in_flight)
        };
        if self.newest.is_none_or(newer) {
            self.newest = Some((*sent, sent_at));
        }
    }

    /// The peer told that `octets` of what was delivered had been marked by the network.
    pub(crate) fn on_marked(&mut self, octets: u64) {
        self.marked += octets;
    }

    /// `octets` of a transmission were declared lost.
    pub(crate) fn on_lost(&mut self, sent: &SentAt, octets: u64) -> LostText {
        self.lost += octets;
        LostText {
            octets,
            tx_in_flight: u64::from(sent.tx_in_flight),
            lost: since(self.lost, sent.lost),
            delivered: self.delivered.saturating_sub(sent.delivered),
            app_limited: sent.app_limited,
        }
    }

    /// The acknowledgement is read to its end: its sample. Call once for each, after all its `on_delivered`. `min_rtt` is the
    /// least round trip of the connection: an interval below it tells no rate, since the newest of the delivered came again
    /// while it was thought lost, and what is acknowledged is what had left before.
    pub(crate) fn sample(&mut self, now: Instant, min_rtt: Option<Duration>) -> Option<RateSample> {
        if self.app_limited_until > 0 && self.delivered > self.app_limited_until {
            self.app_limited_until = 0;
        }
        let (sent, sent_at) = self.newest.take()?;
        self.first_sent_at = sent_at;
        let took_to_send = sent_at.since(sent.first_sent_at);
        let took_to_hear = self.delivered_at.since(sent.delivered_at);
        let interval = took_to_send.max(took_to_hear);
        let too_short = min_rtt.is_some_and(|least| interval < least);
        Some(RateSample {
            delivered: self.delivered.saturating_sub(sent.delivered),
            interval: if too_short { Duration::ZERO } else { interval },
            prior_delivered: sent.delivered,
            tx_in_flight: u64::from(sent.tx_in_flight),
            lost: since(self.lost, sent.lost),
            marked: since(self.marked, sent.marked),
            app_limited: sent.app_limited,
            rtt: now.since(sent_at),
        })
    }
}

/// A count modulo 2^32.
#[expect(clippy::cast_possible_truncation, reason = "modulo 2^32 is meant")]
const fn low(count: u64) -> u32 {
    count as u32
}

/// What was added to `count` since its low half was `before`.
fn since(count: u64, before: u32) -> u64 {
    u64::from(low(count).wrapping_sub(before))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const MSS: u64 = 1000;

    fn ms(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Ten segments leave at once, and come back one a millisecond from the hundredth on: 1,000 octets a millisecond.
    fn a_flight(delivery: &mut Delivery) -> Vec<RateSample> {
        let sent: Vec<SentAt> = (1..=10)
            .map(|n| delivery.on_send(ms(0), MSS, n * MSS))
            .collect();
        (100..)
            .zip(&sent)
            .map(|(at, sent)| {
                delivery.on_delivered(ms(at), sent, ms(0), MSS);
                delivery.sample(ms(at), None).expect("something delivered")
            })
            .collect()
    }

    #[test]
    fn the_first_flight_tells_what_it_delivered_since_it_left() {
        let samples = a_flight(&mut Delivery::default());
        let last = samples[9];
        assert_eq!((last.delivered, last.prior_delivered), (10 * MSS, 0));
        assert_eq!(last.interval, millis(109));
        assert_eq!(last.tx_in_flight, 10 * MSS);
        assert_eq!(last.rtt, millis(109));
        assert_eq!(last.rate(), Some(10_000 * 1000 / 109));
    }

    /// The second flight leaves as the first is acknowledged: its samples tell the rate of the bottleneck.
    #[test]
    fn a_full_pipe_tells_the_rate_of_the_bottleneck() {
        let mut delivery = Delivery::default();
        let mut flying = alloc::collections::VecDeque::new();
        for n in 1..=10 {
            flying.push_back((delivery.on_send(ms(0), MSS, n * MSS), ms(0)));
        }
        let mut rate = None;
        for at in 10..60 {
            let (sent, sent_at) = flying.pop_front().expect("ten fly");
            delivery.on_delivered(ms(at), &sent, sent_at, MSS);
            rate = delivery.sample(ms(at), None).expect("delivered").rate();
            flying.push_back((delivery.on_send(ms(at), MSS, 10 * MSS), ms(at)));
        }
        assert_eq!(rate, Some(1_000_000));
    }

    /// Ten acknowledgements that a device held, let go at one moment: no faster than they were sent (section 4.1.1.2.2).
    #[test]
    fn compressed_acknowledgements_tell_no_more_than_what_was_sent() {
        let mut delivery = Delivery::default();
        let mut sent = Vec::new();
        for n in 1..=20 {
            sent.push((delivery.on_send(ms(n), MSS, n * MSS), ms(n)));
        }
        for (p, at) in &sent[..10] {
            delivery.on_delivered(ms(50), p, *at, MSS);
        }
        delivery.sample(ms(50), None);
        for n in 21..=30 {
            sent.push((delivery.on_send(ms(n + 30), MSS, 10 * MSS), ms(n + 30)));
        }
        for (p, at) in &sent[10..20] {
            delivery.on_delivered(ms(61), p, *at, MSS);
        }
        delivery.sample(ms(61), None);
        for (p, at) in &sent[20..] {
            delivery.on_delivered(ms(62), p, *at, MSS);
        }
        let sample = delivery.sample(ms(62), None).expect("delivered");
        assert_eq!(sample.delivered, 20 * MSS, "all since the fiftieth");
        assert_eq!(
            sample.interval,
            millis(50),
            "from 10, when the newest delivered before it left was sent, to 60: longer than the 12 to hear of them"
        );
    }

    #[test]
    fn a_stretched_acknowledgement_is_of_its_newest_transmission() {
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut delivery = Delivery::default();
            let sent: Vec<SentAt> = (1..=3)
                .map(|n| delivery.on_send(ms(7), MSS, n * MSS))
                .collect();
            for n in order {
                delivery.on_delivered(ms(17), &sent[n], ms(7), MSS);
            }
            let sample = delivery.sample(ms(17), None).expect("delivered");
            assert_eq!(sample.tx_in_flight, 3 * MSS, "{order:?}");
            assert_eq!(sample.delivered, 3 * MSS);
        }
    }

    #[test]
    fn nothing_delivered_is_no_sample() {
        let mut delivery = Delivery::default();
        delivery.on_send(ms(0), MSS, MSS);
        assert_eq!(delivery.sample(ms(10), None), None);
    }

    #[test]
    fn an_interval_below_the_least_round_trip_tells_no_rate() {
        let mut delivery = Delivery::default();
        a_flight(&mut delivery);
        let again = delivery.on_send(ms(200), MSS, MSS);
        delivery.on_delivered(ms(203), &again, ms(200), MSS);
        let sample = delivery.sample(ms(203), Some(millis(100)));
        let sample = sample.expect("delivered");
        assert_eq!((sample.rate(), sample.delivered), (None, MSS));
    }

    #[test]
    fn idle_time_is_in_no_sample() {
        let mut delivery = Delivery::default();
        a_flight(&mut delivery);
        let sent = delivery.on_send(ms(9000), MSS, MSS);
        delivery.on_delivered(ms(9100), &sent, ms(9000), MSS);
        let sample = delivery.sample(ms(9100), None).expect("delivered");
        assert_eq!(sample.interval, millis(100));
    }

    /// Section 4.1.1.3: the bubble spoils the samples of one round trip, and no more.
    #[test]
    fn what_the_user_held_back_is_known_for_a_round_trip() {
        let mut delivery = Delivery::default();
        let before = delivery.on_send(ms(0), MSS, MSS);
        delivery.on_app_limited(MSS);
        let after = delivery.on_send(ms(1), MSS, 2 * MSS);
        let told = |delivery: &mut Delivery, at, sent: &SentAt, sent_at| {
            delivery.on_delivered(at, sent, sent_at, MSS);
            delivery.sample(at, None).expect("delivered").app_limited
        };
        assert!(!told(&mut delivery, ms(10), &before, ms(0)));
        assert!(delivery.is_app_limited(), "the bubble is still on its way");
        assert!(told(&mut delivery, ms(11), &after, ms(1)));
        assert!(!delivery.is_app_limited());
        let later = delivery.on_send(ms(11), MSS, MSS);
        assert!(!told(&mut delivery, ms(21), &later, ms(11)));
    }

    #[test]
    fn an_idle_connection_counts_as_held_back() {
        let mut delivery = Delivery::default();
        delivery.on_app_limited(0);
        assert!(delivery.is_app_limited(), "zero would say the opposite");
    }

    /// Losses and marks beyond 4 GiB: only what came since counts.
    #[test]
    fn losses_and_marks_count_from_when_the_transmission_left() {
        let mut delivery = Delivery {
            lost: u64::from(u32::MAX) - 10,
            marked: u64::from(u32::MAX),
            ..Delivery::default()
        };
        let first = delivery.on_send(ms(0), MSS, MSS);
        let second = delivery.on_send(ms(1), MSS, 2 * MSS);
        delivery.on_delivered(ms(5), &second, ms(1), MSS);
        delivery.on_marked(MSS);
        let lost = delivery.on_lost(&first, MSS);
        assert_eq!(
            lost,
            LostText {
                octets: MSS,
                tx_in_flight: MSS,
                lost: MSS,
                delivered: MSS,
                app_limited: false,
            }
        );
        let sample = delivery.sample(ms(5), None).expect("delivered");
        assert_eq!((sample.lost, sample.marked), (MSS, MSS));
    }
}
