//! Is the congestion window still what the path takes? pipeACK and the phases of RFC 7661.

use core::time::Duration;

use crate::seq::SeqNum;
use crate::time::Instant;

/// The non-validated period: how long a window that is not used is preserved (RFC 7661 section 5).
pub(crate) const NVP: Duration = Duration::from_secs(300);

/// Least pipeACK sampling period (RFC 7661 section 4.2).
const LEAST_PERIOD: Duration = Duration::from_secs(1);

/// Measurement periods in a sampling period (RFC 7661 section 4.5.1).
const PERIODS: usize = 4;

/// What was sent and acknowledged of late, by rounds: a round is over when all that flew at its beginning is acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Validation {
    /// SND.UNA when the round began.
    from: SeqNum,
    /// SND.NXT when it began.
    until: SeqNum,
    /// Most octets in flight in the round before, and in this one.
    flight: [u32; 2],
    /// The highest samples of pipeACK, by measurement period; the first is of the current one.
    samples: [u32; PERIODS],
    /// When the current measurement period began.
    period_at: Instant,
    /// Whether there was a sample since the beginning, or since the last loss: else pipeACK is "undefined".
    defined: bool,
    /// When the window was last known to be validated, or shrank because it was not.
    validated_at: Instant,
}

impl Validation {
    pub(crate) const fn new(now: Instant, una: SeqNum, nxt: SeqNum) -> Self {
        Self {
            from: una,
            until: nxt,
            flight: [0; 2],
            samples: [0; PERIODS],
            period_at: now,
            defined: false,
            validated_at: now,
        }
    }

    /// An acknowledgement arrived that found `in_flight` octets in the network; SND.UNA and SND.NXT before it.
    pub(crate) fn on_ack(&mut self, una: SeqNum, nxt: SeqNum, in_flight: u64) {
        if una.at_or_after(self.until) {
            let sample = una.distance_from(self.from);
            if sample > 0 {
                self.samples[0] = self.samples[0].max(sample);
                self.defined = true;
            }
            (self.from, self.until) = (una, nxt);
            self.flight = [self.flight[1], 0];
        }
        let octets = u32::try_from(in_flight).unwrap_or(u32::MAX);
        self.flight[1] = self.flight[1].max(octets);
    }

    /// Forgets what is older than the sampling period: the longer of three round trips and a second.
    pub(crate) fn on_time(&mut self, now: Instant, srtt: Duration) {
        if now.since(self.period_at) < LEAST_PERIOD / 4 {
            return;
        }
        let period = LEAST_PERIOD.max(srtt.saturating_mul(3)) / 4;
        for _ in 0..PERIODS {
            if now.since(self.period_at) < period {
                return;
            }
            self.period_at += period;
            self.samples.rotate_right(1);
            self.samples[0] = 0;
        }
        self.period_at = now;
    }

    /// pipeACK: what the network acknowledged in a round trip of late; `None`: undefined.
    pub(crate) fn pipe_ack(&self) -> Option<u64> {
        let most = self.samples.iter().copied().max().unwrap_or(0);
        self.defined.then_some(u64::from(most))
    }

    /// Whether the sender used the window of `cwnd` octets in this round or the one before, or half of it in slow start, which
    /// doubles (RFC 7661 section 4.5.3).
    pub(crate) fn is_window_limited(&self, cwnd: u64, ssthresh: u64, mss: u64) -> bool {
        let flight = u64::from(self.flight[0].max(self.flight[1]));
        if cwnd < ssthresh {
            cwnd < 2 * flight.max(mss)
        } else {
            flight + mss >= cwnd
        }
    }

    /// Whether the window of `cwnd` octets is validated: half of it was used (RFC 7661 section 4.3).
    pub(crate) fn is_validated(&self, cwnd: u64) -> bool {
        self.pipe_ack().is_none_or(|octets| 2 * octets >= cwnd)
    }

    /// How many times the window of `cwnd` octets is to shrink: once for each [`NVP`] that it was not used (RFC 7661 sections
    /// 4.4.3, 4.5.2).
    pub(crate) fn overdue(&mut self, now: Instant, cwnd: u64) -> u32 {
        if self.is_validated(cwnd) {
            self.validated_at = now;
            return 0;
        }
        let times = now.since(self.validated_at).as_secs() / NVP.as_secs();
        // More than a few say no more: the window is at its least.
        let times = u32::try_from(times).unwrap_or(u32::MAX);
        self.validated_at += NVP.saturating_mul(times);
        times
    }

    /// A loss: pipeACK is undefined until the repair is over and there are new samples (RFC 7661 section 4.4.1).
    pub(crate) fn reset(&mut self, una: SeqNum, nxt: SeqNum) {
        self.samples = [0; PERIODS];
        self.defined = false;
        (self.from, self.until) = (una, nxt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: SeqNum = SeqNum(0xffff_ff00);
    const SRTT: Duration = Duration::from_millis(100);

    /// A round in which `octets` fly and are acknowledged, at `millis`.
    fn round(validation: &mut Validation, una: &mut SeqNum, millis: u64, octets: u32) {
        validation.on_time(Instant::from_millis(millis), SRTT);
        validation.on_ack(*una, *una + octets, u64::from(octets));
        *una += octets;
        validation.on_ack(*una, *una, 0);
    }

    #[test]
    fn pipe_ack_is_the_most_of_a_second() {
        let mut una = BASE;
        let mut validation = Validation::new(Instant::ZERO, una, una);
        assert_eq!(validation.pipe_ack(), None, "undefined");
        assert!(validation.is_validated(u64::MAX));
        round(&mut validation, &mut una, 100, 5_000);
        round(&mut validation, &mut una, 200, 3_000);
        assert_eq!(validation.pipe_ack(), Some(5_000));
        for millis in [300, 600, 900] {
            round(&mut validation, &mut una, millis, 2_000);
            assert_eq!(validation.pipe_ack(), Some(5_000), "{millis}");
        }
        round(&mut validation, &mut una, 1_200, 2_000);
        assert_eq!(validation.pipe_ack(), Some(2_000));
        validation.on_time(Instant::from_millis(9_000), SRTT);
        assert_eq!(validation.pipe_ack(), Some(0));
        validation.reset(una, una);
        assert_eq!(validation.pipe_ack(), None);
    }

    #[test]
    fn long_round_trips_lengthen_the_period() {
        let mut una = BASE;
        let mut validation = Validation::new(Instant::ZERO, una, una);
        let srtt = Duration::from_secs(2);
        round(&mut validation, &mut una, 0, 5_000);
        validation.on_time(Instant::from_millis(4_400), srtt);
        assert_eq!(validation.pipe_ack(), Some(5_000));
        validation.on_time(Instant::from_millis(6_100), srtt);
        assert_eq!(validation.pipe_ack(), Some(0));
    }

    #[test]
    fn half_of_the_window_validates_it() {
        let mut una = BASE;
        let mut validation = Validation::new(Instant::ZERO, una, una);
        round(&mut validation, &mut una, 10, 5_000);
        assert!(validation.is_validated(10_000) && !validation.is_validated(10_001));
    }

    #[test]
    fn limited_is_who_used_it_in_this_round_or_the_last() {
        let mut una = BASE;
        let mut validation = Validation::new(Instant::ZERO, una, una);
        let endless = u64::MAX;
        validation.on_ack(una, una + 10_000, 10_000);
        assert!(validation.is_window_limited(10_000, 5_000, 1_000));
        assert!(validation.is_window_limited(11_000, 5_000, 1_000));
        assert!(!validation.is_window_limited(11_001, 5_000, 1_000));
        assert!(validation.is_window_limited(19_999, endless, 1_000));
        assert!(!validation.is_window_limited(20_000, endless, 1_000));
        for (octets, limited) in [(1_000, true), (1_000, false)] {
            una = validation.until;
            validation.on_ack(una, una + octets, u64::from(octets));
            assert_eq!(validation.is_window_limited(10_000, 5_000, 1_000), limited);
        }
    }

    #[test]
    fn an_unused_window_is_overdue_every_five_minutes() {
        let mut una = BASE;
        let mut validation = Validation::new(Instant::ZERO, una, una);
        round(&mut validation, &mut una, 0, 1_000);
        for (seconds, times) in [(0, 0), (299, 0), (300, 1), (599, 0), (1_200, 3)] {
            let now = Instant::from_millis(seconds * 1_000);
            assert_eq!(validation.overdue(now, 10_000), times, "{seconds}");
        }
        round(&mut validation, &mut una, 1_201_000, 5_000);
        let used = Instant::from_millis(1_400_000);
        assert_eq!(validation.overdue(used, 10_000), 0);
        validation.on_time(used, SRTT);
        assert_eq!(
            validation.overdue(Instant::from_millis(1_699_000), 10_000),
            0
        );
        assert_eq!(
            validation.overdue(Instant::from_millis(1_700_000), 10_000),
            1
        );
    }
}
