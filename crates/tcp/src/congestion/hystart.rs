//! HyStart++: leave the first slow start when the round trip grows, before the queue overflows (RFC 9406).

use core::time::Duration;

use super::AckSample;

/// Least and most growth of the round trip that means a queue, microseconds (section 4.3).
const MIN_RTT_THRESH: u32 = 4_000;
const MAX_RTT_THRESH: u32 = 16_000;
/// The part of the round trip that does, between the two.
const MIN_RTT_DIVISOR: u32 = 8;
/// Samples that a round's least round trip needs to be believed.
const N_RTT_SAMPLE: u8 = 8;
/// Conservative slow start grows by this part of what slow start would.
const CSS_GROWTH_DIVISOR: u64 = 4;
/// Rounds of conservative slow start before congestion avoidance.
const CSS_ROUNDS: u8 = 5;
/// "Infinity": no sample.
const NONE: u32 = u32::MAX;

/// What the window does by an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Slow start, standard or conservative, goes on.
    On,
    /// Conservative slow start has lasted long enough: ssthresh = cwnd.
    Leave,
}

/// The variables of RFC 9406 section 4.2; times in microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct HyStart {
    /// The round ends when what is sent after so many octets were delivered is delivered itself.
    round_end: u64,
    last_round_min_rtt: u32,
    current_round_min_rtt: u32,
    /// `NONE`: standard slow start.
    css_baseline_min_rtt: u32,
    rtt_sample_count: u8,
    css_rounds: u8,
}

impl HyStart {
    pub(super) const fn new() -> Self {
        Self {
            round_end: 0,
            last_round_min_rtt: NONE,
            current_round_min_rtt: NONE,
            css_baseline_min_rtt: NONE,
            rtt_sample_count: 0,
            css_rounds: 0,
        }
    }

    /// Whether this is conservative slow start.
    pub(super) const fn is_conservative(&self) -> bool {
        self.css_baseline_min_rtt != NONE
    }

    /// What `octets` of slow start's growth come to.
    pub(super) const fn growth(&self, octets: u64) -> u64 {
        if self.is_conservative() {
            octets / CSS_GROWTH_DIVISOR
        } else {
            octets
        }
    }

    /// An acknowledgement arrived by which the window grew.
    pub(super) fn on_ack(&mut self, sample: &AckSample) -> Verdict {
        let ended = sample
            .rate
            .is_some_and(|rate| rate.prior_delivered >= self.round_end);
        if ended && self.next_round(sample.total_delivered) == Verdict::Leave {
            return Verdict::Leave;
        }
        if let Some(rtt) = sample.rtt {
            self.current_round_min_rtt = self.current_round_min_rtt.min(micros(rtt));
            self.rtt_sample_count = self.rtt_sample_count.saturating_add(1);
        }
        if self.rtt_sample_count >= N_RTT_SAMPLE {
            self.judge();
        }
        Verdict::On
    }

    fn next_round(&mut self, total_delivered: u64) -> Verdict {
        self.round_end = total_delivered;
        self.last_round_min_rtt = self.current_round_min_rtt;
        self.current_round_min_rtt = NONE;
        self.rtt_sample_count = 0;
        if self.is_conservative() {
            self.css_rounds += 1;
            if self.css_rounds >= CSS_ROUNDS {
                return Verdict::Leave;
            }
        }
        Verdict::On
    }

    /// The round has samples enough: did the round trip grow, or was that only jitter?
    fn judge(&mut self) {
        let (current, last) = (self.current_round_min_rtt, self.last_round_min_rtt);
        if self.is_conservative() {
            if current < self.css_baseline_min_rtt {
                self.css_baseline_min_rtt = NONE;
            }
        } else if current != NONE && last != NONE {
            let grown = (last / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH);
            if current >= last.saturating_add(grown) {
                self.css_baseline_min_rtt = current;
                self.css_rounds = 0;
            }
        }
    }
}

/// Below "infinity".
fn micros(rtt: Duration) -> u32 {
    u32::try_from(rtt.as_micros()).unwrap_or(NONE).min(NONE - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::congestion::RateSample;

    /// A connection that delivers `acks` acknowledgements of a segment in each round.
    struct Rounds {
        hystart: HyStart,
        delivered: u64,
        /// Octets delivered after the first acknowledgement of the last round: when what this round acknowledges was sent.
        round_began: u64,
    }

    impl Rounds {
        fn new() -> Self {
            Self {
                hystart: HyStart::new(),
                delivered: 0,
                round_began: 0,
            }
        }

        /// A round of so many acknowledgements with such round trips, milliseconds.
        fn round(&mut self, acks: u64, rtt: impl Fn(u64) -> u64) -> Verdict {
            let began = self.delivered;
            let mut verdict = Verdict::On;
            for ack in 0..acks {
                self.delivered += 1000;
                let found = self.hystart.on_ack(&AckSample {
                    rtt: Some(Duration::from_millis(rtt(ack))),
                    total_delivered: self.delivered,
                    rate: Some(RateSample {
                        prior_delivered: self.round_began,
                        ..RateSample::default()
                    }),
                    ..AckSample::default()
                });
                if found == Verdict::Leave {
                    verdict = found;
                }
            }
            self.round_began = began + 1000;
            verdict
        }

        fn conservative(&self) -> bool {
            self.hystart.is_conservative()
        }
    }

    #[test]
    fn the_threshold_is_an_eighth_between_4_and_16_ms() {
        for (before, leaves_at) in [(1, 5), (20, 24), (32, 36), (80, 90), (128, 144), (800, 816)] {
            for (after, leaves) in [(leaves_at - 1, false), (leaves_at, true)] {
                let mut rounds = Rounds::new();
                rounds.round(10, |_| before);
                rounds.round(20, |_| after);
                assert_eq!(rounds.conservative(), leaves, "{before} ms to {after} ms");
            }
        }
    }

    #[test]
    fn eight_samples_are_needed_and_the_least_counts() {
        let mut rounds = Rounds::new();
        rounds.round(10, |_| 20);
        rounds.round(7, |_| 90);
        assert!(!rounds.conservative(), "seven say nothing");
        let mut rounds = Rounds::new();
        rounds.round(10, |_| 20);
        rounds.round(8, |_| 90);
        assert!(rounds.conservative());
        let mut rounds = Rounds::new();
        rounds.round(10, |_| 20);
        rounds.round(20, |ack| if ack == 3 { 20 } else { 90 });
        assert!(!rounds.conservative(), "one that was not held up");
    }

    #[test]
    fn conservative_slow_start_lasts_five_rounds() {
        let mut rounds = Rounds::new();
        rounds.round(10, |_| 20);
        assert_eq!(rounds.hystart.growth(4000), 4000);
        rounds.round(20, |_| 40);
        assert_eq!(rounds.hystart.growth(4000), 1000);
        // The round in which it began counts.
        for round in 1..5 {
            assert_eq!(rounds.round(20, |_| 40), Verdict::On, "round {round}");
        }
        assert_eq!(rounds.round(20, |_| 40), Verdict::Leave);
    }

    #[test]
    fn a_round_trip_below_the_baseline_resumes_slow_start() {
        let mut rounds = Rounds::new();
        rounds.round(10, |_| 20);
        rounds.round(20, |_| 40);
        rounds.round(20, |_| 39);
        assert!(!rounds.conservative());
        // And the search begins anew, from the round trip of that round.
        rounds.round(20, |_| 42);
        assert!(!rounds.conservative());
        rounds.round(20, |_| 60);
        assert!(rounds.conservative());
        for _ in 0..4 {
            assert_eq!(rounds.round(20, |_| 60), Verdict::On, "five rounds again");
        }
        assert_eq!(rounds.round(20, |_| 60), Verdict::Leave);
    }

    #[test]
    fn absurd_round_trips_are_samples_too() {
        let mut hystart = HyStart::new();
        for _ in 0..20 {
            let verdict = hystart.on_ack(&AckSample {
                rtt: Some(Duration::MAX),
                ..AckSample::default()
            });
            assert_eq!(verdict, Verdict::On);
        }
        assert_eq!(hystart.current_round_min_rtt, NONE - 1);
    }
}
