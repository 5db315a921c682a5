//! When may the next burst leave? A pacer by departure times (draft-ietf-ccwg-bbr section 5.6.2), in bursts that suit a
//! device which cuts segments itself.

use core::time::Duration;

use crate::time::Instant;

/// A burst is what the rate lets go in a millisecond: about one timer a millisecond is what a paced connection costs
/// (draft-ietf-ccwg-bbr section 5.6.3, the send quantum).
const BURSTS_PER_SECOND: u64 = 1_000;

/// The largest burst, octets: what one packet to a device that cuts may hold.
const MAX_BURST: u64 = 64 * 1024;

/// How late a timer may ring without lowering the rate: what could not leave meanwhile leaves at once. Timers of a millisecond
/// ring up to two late, and a busy thread a little later.
const CATCH_UP: Duration = Duration::from_millis(4);

/// Spreads a sender's bursts over time. Only connections that are paced have one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pacer {
    /// When the rate lets the next burst go. In the past: so much was not used.
    next: Instant,
    /// Octets of the last burst that have not left.
    rest: u32,
    /// It held text back and has not caught up since: time that passed beyond `next` counts.
    behind: bool,
    /// When [`crate::Timer::Pacing`] is due; the end of time: it does not run.
    at: Instant,
}

impl Pacer {
    pub(crate) const fn new() -> Self {
        Self {
            next: Instant::ZERO,
            rest: 0,
            behind: false,
            at: Instant::MAX,
        }
    }

    /// Octets that may leave now at `rate` octets a second, a segment at the least; zero: not before the next burst.
    pub(crate) fn allowance(&self, now: Instant, rate: u64, mss: u32) -> u32 {
        if self.next > now {
            self.rest
        } else {
            burst(rate, mss)
        }
    }

    /// `octets` leave.
    pub(crate) fn on_sent(&mut self, now: Instant, octets: u32, rate: u64, mss: u32) {
        if self.next <= now {
            self.rest = burst(rate, mss);
            let earliest = if self.behind {
                Instant::from_nanos(now.as_nanos().saturating_sub(nanos(CATCH_UP)))
            } else {
                // Idle time earns no more than the one burst.
                now
            };
            self.next = self.next.max(earliest);
        }
        self.rest = self.rest.saturating_sub(octets);
        if self.rest < mss {
            // Whole segments; what is left over makes the next burst come sooner.
            self.rest = 0;
        }
        self.next += time_of(octets, rate);
    }

    /// Looks whether the timer must run. `wants`: there is something to send that the window would let go.
    pub(crate) fn rearm(&mut self, now: Instant, wants: bool) {
        let holds = wants && self.next > now && self.rest == 0;
        self.at = if holds { self.next } else { Instant::MAX };
        self.behind = holds || (self.behind && wants);
    }

    /// When the timer is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        (self.at != Instant::MAX).then_some(self.at)
    }

    /// Stops the timer and answers whether it was due.
    pub(crate) fn take_due(&mut self, now: Instant) -> bool {
        let due = self.at <= now;
        if due {
            self.at = Instant::MAX;
        }
        due
    }
}

/// Octets of a burst at `rate`: two segments at the least.
fn burst(rate: u64, mss: u32) -> u32 {
    let least = 2 * u64::from(mss);
    let octets = rate / BURSTS_PER_SECOND;
    u32::try_from(octets.min(MAX_BURST).max(least)).unwrap_or(u32::MAX)
}

/// How long `octets` take at `rate` octets a second.
fn time_of(octets: u32, rate: u64) -> Duration {
    // Below 2^32 * 10^9: it fits.
    Duration::from_nanos(u64::from(octets) * 1_000_000_000 / rate.max(1))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u32 = 1_000;

    /// Sends all that may leave in `millis`, with a timer that rings only every `tick`; answers octets and wakes.
    fn run(rate: u64, millis: u64, tick: Duration) -> (u64, u64) {
        let mut pacer = Pacer::new();
        let (mut sent, mut wakes) = (0, 0);
        let tick = nanos(tick).max(1);
        let end = Instant::from_millis(millis);
        let mut now = Instant::from_nanos(7);
        while now < end {
            wakes += 1;
            pacer.take_due(now);
            loop {
                let octets = pacer.allowance(now, rate, MSS).min(10 * MSS);
                if octets == 0 {
                    break;
                }
                assert!(octets >= MSS);
                pacer.on_sent(now, octets, rate, MSS);
                pacer.rearm(now, true);
                sent += u64::from(octets);
            }
            let due = pacer.deadline().expect("it holds").as_nanos();
            assert!(due > now.as_nanos(), "it would spin");
            now = Instant::from_nanos(due.div_ceil(tick) * tick);
        }
        (sent, wakes)
    }

    #[test]
    fn the_rate_is_kept_by_clocks_fine_and_coarse() {
        for rate in [100_000, 1_000_000, 12_500_000, 125_000_000, 1_250_000_000] {
            for micros in [0, 1_000, 2_000, 4_000] {
                let (sent, wakes) = run(rate, 1_000, Duration::from_micros(micros));
                let least = rate - rate / 100;
                let most = rate + 2 * u64::from(burst(rate, MSS)) + rate / 100;
                assert!((least..=most).contains(&sent), "{rate}, {micros}: {sent}");
                let bursts = rate / u64::from(burst(rate, MSS));
                assert!(wakes <= bursts + 2, "{rate}, {micros}: {wakes}");
            }
        }
    }

    #[test]
    fn a_clock_too_coarse_costs_rate_and_makes_no_burst() {
        let (sent, _) = run(10_000_000, 1_000, Duration::from_millis(20));
        assert!((2_000_000..3_500_000).contains(&sent), "{sent}");
    }

    #[test]
    fn bursts() {
        let cases = [
            (1, 2_000),
            (1_999_999, 2_000),
            (2_500_000, 2_500),
            (65_536_000, 65_536),
            (u64::MAX, 65_536),
        ];
        for (rate, octets) in cases {
            assert_eq!(burst(rate, MSS), octets, "{rate}");
        }
    }

    #[test]
    fn idle_time_earns_one_burst() {
        let mut pacer = Pacer::new();
        let (rate, start) = (2_000_000, Instant::from_millis(100));
        pacer.on_sent(start, 1_000, rate, MSS);
        pacer.rearm(start, false);
        assert_eq!(pacer.deadline(), None, "nothing to send");
        let later = Instant::from_millis(900);
        assert_eq!(pacer.allowance(later, rate, MSS), 2_000);
        pacer.on_sent(later, 2_000, rate, MSS);
        pacer.rearm(later, true);
        assert_eq!(pacer.allowance(later, rate, MSS), 0);
        assert_eq!(pacer.deadline(), Some(Instant::from_millis(901)));
    }

    #[test]
    fn a_late_wake_is_made_up_for_within_bounds() {
        let mut pacer = Pacer::new();
        let rate = 2_000_000;
        pacer.on_sent(Instant::ZERO, 2_000, rate, MSS);
        pacer.rearm(Instant::ZERO, true);
        assert_eq!(pacer.deadline(), Some(Instant::from_millis(1)));
        let late = Instant::from_millis(60);
        assert!(pacer.take_due(late));
        let mut bursts = 0;
        while pacer.allowance(late, rate, MSS) > 0 {
            pacer.on_sent(late, 2_000, rate, MSS);
            pacer.rearm(late, true);
            bursts += 1;
        }
        assert_eq!(bursts, 5, "four milliseconds' worth, and this one's");
    }

    #[test]
    fn any_rate_and_time_are_survived() {
        for rate in [0, 1, u64::MAX] {
            for now in [Instant::ZERO, Instant::MAX] {
                let mut pacer = Pacer::new();
                pacer.on_sent(now, u32::MAX, rate, u32::MAX);
                pacer.rearm(now, true);
                let _ = pacer.allowance(now, rate, u32::MAX);
            }
        }
    }
}
