//! The round-trip estimator and the retransmission timeout (RFC 6298).

use core::num::NonZeroU64;
use core::time::Duration;

/// SRTT, RTTVAR and RTO of one connection.
///
/// Times are kept in nanoseconds. `rto()` is the value before backoff (RFC 6298 5.5); doubling is
/// [`backed_off`](Self::backed_off).
#[derive(Clone, Copy, Debug)]
pub(crate) struct RttEstimator {
    /// Not zero once there was a sample: none is.
    srtt: Option<NonZeroU64>,
    rttvar: u64,
    rto: u64,
    min_rtt: u64,
    min_rto: u64,
    max_rto: u64,
}

/// G of RFC 6298: the step of our timers.
const GRANULARITY: u64 = 1_000_000;

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl RttEstimator {
    pub(crate) fn new(initial_rto: Duration, min_rto: Duration, max_rto: Duration) -> Self {
        Self {
            srtt: None,
            rttvar: 0,
            rto: nanos(initial_rto).max(GRANULARITY),
            min_rtt: u64::MAX,
            min_rto: nanos(min_rto),
            max_rto: nanos(max_rto).max(GRANULARITY),
        }
    }

    /// Other bounds from now on. A timeout that a sample gave is kept within them.
    pub(crate) fn set_bounds(&mut self, min_rto: Duration, max_rto: Duration) {
        self.min_rto = nanos(min_rto);
        self.max_rto = nanos(max_rto).max(GRANULARITY);
        if let Some(srtt) = self.srtt {
            self.rto = self.timeout_of(srtt.get());
        }
    }

    fn timeout_of(&self, srtt: u64) -> u64 {
        // The floor is above SRTT, as in kernels: a floor of the whole would leave nothing for a queue that fills, or for an
        // acknowledgement that is delayed, wherever SRTT is near it (decision 023).
        let variance = self.rttvar.saturating_mul(4).max(self.min_rto);
        let rto = srtt.saturating_add(GRANULARITY.max(variance));
        rto.min(self.max_rto)
    }

    /// Takes a sample (RFC 6298 2.2, 2.3). The caller keeps Karn's rule: never of a retransmitted segment.
    //= rfc9293 MUST-18
    pub(crate) fn sample(&mut self, rtt: Duration) {
        // A sample of zero (a virtual link without delay) still says that an answer came.
        let r = nanos(rtt).max(1);
        self.min_rtt = self.min_rtt.min(r);
        let srtt = match self.srtt {
            None => {
                self.rttvar = r / 2;
                r
            }
            Some(srtt) => {
                let srtt = srtt.get();
                // alpha = 1/8, beta = 1/4; RTTVAR first, from the old SRTT.
                self.rttvar = self.rttvar - self.rttvar / 4 + srtt.abs_diff(r) / 4;
                srtt - srtt / 8 + r / 8
            }
        };
        self.srtt = Some(NonZeroU64::new(srtt).unwrap_or(NonZeroU64::MIN));
        self.rto = self.timeout_of(srtt);
    }

    /// RFC 6298 5.7: after a lost SYN without a sample, start with 3 s.
    pub(crate) fn syn_was_lost(&mut self) {
        if self.srtt.is_none() {
            self.rto = self.rto.max(3_000_000_000).min(self.max_rto);
        }
    }

    pub(crate) fn rto(&self) -> Duration {
        Duration::from_nanos(self.rto)
    }

    /// RTO doubled `times` times, never above the ceiling (RFC 6298 5.5).
    pub(crate) fn backed_off(&self, times: u8) -> Duration {
        let factor = 1u64.checked_shl(u32::from(times)).unwrap_or(u64::MAX);
        Duration::from_nanos(self.rto.saturating_mul(factor).min(self.max_rto))
    }

    pub(crate) fn srtt(&self) -> Option<Duration> {
        self.srtt.map(|srtt| Duration::from_nanos(srtt.get()))
    }

    pub(crate) fn rttvar(&self) -> Duration {
        Duration::from_nanos(self.rttvar)
    }

    pub(crate) fn min_rtt(&self) -> Option<Duration> {
        self.srtt.map(|_| Duration::from_nanos(self.min_rtt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn new() -> RttEstimator {
        RttEstimator::new(
            Duration::from_secs(1),
            Duration::from_millis(200),
            Duration::from_secs(60),
        )
    }

    #[test]
    fn bounds_hold_whenever_they_are_set_and_the_ceiling_wins() {
        let ms = Duration::from_millis;
        let cases = [
            (200, 60_000, 210),
            (1, 60_000, 30),
            (0, 60_000, 30),
            (500, 60_000, 510),
            (1, 20, 20),
            (500, 300, 300),
            (0, 0, 1),
        ];
        for (least, most, expected) in cases {
            let mut rtt = new();
            rtt.set_bounds(ms(least), ms(most));
            assert_eq!(rtt.rto(), ms(1000), "before a sample");
            rtt.sample(ms(10));
            assert_eq!(rtt.rto(), ms(expected), "{least}..{most} ms");
            let mut later = new();
            later.sample(ms(10));
            later.set_bounds(ms(least), ms(most));
            assert_eq!(later.rto(), rtt.rto(), "{least}..{most} ms");
            assert!(later.rto() > Duration::ZERO);
            assert!(later.backed_off(60) <= ms(most.max(1)));
        }
    }

    #[test]
    //= rfc9293 MUST-18 test
    fn first_sample_sets_variance_to_half() {
        let mut rtt = new();
        assert_eq!(rtt.rto(), Duration::from_secs(1));
        rtt.sample(Duration::from_millis(400));
        assert_eq!(rtt.srtt(), Some(Duration::from_millis(400)));
        assert_eq!(rtt.rttvar(), Duration::from_millis(200));
        assert_eq!(rtt.rto(), Duration::from_millis(1200));
    }

    #[test]
    fn second_sample_moves_by_an_eighth_and_a_quarter() {
        let mut rtt = new();
        rtt.sample(Duration::from_millis(400));
        rtt.sample(Duration::from_millis(800));
        assert_eq!(rtt.srtt(), Some(Duration::from_millis(450)));
        assert_eq!(rtt.rttvar(), Duration::from_millis(250));
        assert_eq!(rtt.rto(), Duration::from_millis(1450));
    }

    #[test]
    fn floor_and_ceiling_hold() {
        let mut rtt = new();
        for _ in 0..100 {
            rtt.sample(Duration::from_micros(50));
        }
        let least = Duration::from_micros(200_050);
        assert_eq!(rtt.rto(), least, "the floor is above SRTT");
        assert_eq!(rtt.backed_off(2), least * 4);
        assert_eq!(rtt.backed_off(200), Duration::from_secs(60));
        rtt.sample(Duration::MAX);
        assert_eq!(rtt.rto(), Duration::from_secs(60));
        rtt.sample(Duration::ZERO);
        assert_eq!(rtt.min_rtt(), Some(Duration::from_nanos(1)));
        assert!(rtt.rto().as_nanos() >= u128::from(200 * MS));
    }

    #[test]
    fn a_sample_of_any_length_is_survived() {
        let mut rtt = new();
        for sample in [Duration::MAX, Duration::ZERO, Duration::MAX, Duration::MAX] {
            rtt.sample(sample);
            assert_eq!(rtt.rto(), Duration::from_secs(60));
        }
        for _ in 0..400 {
            rtt.sample(Duration::from_millis(100));
        }
        let (rto, exact) = (rtt.rto(), Duration::from_millis(300));
        assert!(
            rto >= exact && rto < exact + Duration::from_millis(1),
            "{rto:?}"
        );
    }

    #[test]
    fn a_lost_syn_starts_with_three_seconds() {
        let mut rtt = new();
        rtt.syn_was_lost();
        assert_eq!(rtt.rto(), Duration::from_secs(3));
        rtt.sample(Duration::from_millis(100));
        rtt.syn_was_lost();
        assert_eq!(rtt.rto(), Duration::from_millis(300));
    }
}
