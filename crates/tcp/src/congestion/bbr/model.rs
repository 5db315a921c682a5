//! The model of the path: rounds, rate, round trip, aggregation (section 5.5).

use core::time::Duration;

use super::{
    Bbr, HEADROOM, INFINITY, MIN_PIPE_CWND, MIN_RTT_FILTER_LEN, PROBE_RTT_INTERVAL, State,
};
use crate::congestion::AckSample;
use crate::time::Instant;

/// The acknowledgement under way ("RS." of section 2.3).
#[derive(Clone, Copy, Debug)]
pub(super) struct Rs {
    pub(super) now: Instant,
    /// Whether there is a rate sample.
    pub(super) has_data: bool,
    /// RS.delivery_rate; zero: none that is to be relied upon.
    pub(super) delivery_rate: u64,
    pub(super) delivered: u64,
    pub(super) prior_delivered: u64,
    pub(super) tx_in_flight: u64,
    pub(super) lost: u64,
    pub(super) newly_acked: u64,
    pub(super) is_app_limited: bool,
    /// RS.rtt.
    pub(super) rtt: Option<Duration>,
    /// C.inflight.
    pub(super) inflight: u64,
}

impl Rs {
    pub(super) fn new(bbr: &Bbr, sample: &AckSample) -> Self {
        let rate = sample.rate.unwrap_or_default();
        // The round trip of the newest transmission, the least of those reported (section 5.5.7.1). Had the text left before, the
        // acknowledgement may be of that: what lies below all unambiguous round trips is no round trip.
        let newest = sample
            .rate
            .map(|rate| rate.rtt)
            .filter(|rtt| sample.min_rtt.is_some_and(|least| *rtt >= least));
        let rtt = match (newest, sample.rtt) {
            (Some(newest), Some(other)) => Some(newest.min(other)),
            (newest, other) => newest.or(other),
        };
        let (from, to) = bbr.held_back;
        let held_back = rate.prior_delivered >= from && rate.prior_delivered <= to;
        Self {
            now: sample.now,
            has_data: sample.rate.is_some(),
            delivery_rate: rate.rate().unwrap_or(0),
            delivered: rate.delivered,
            prior_delivered: rate.prior_delivered,
            tx_in_flight: rate.tx_in_flight,
            lost: rate.lost,
            newly_acked: sample.delivered,
            is_app_limited: rate.app_limited || held_back,
            rtt,
            inflight: sample.in_flight,
        }
    }
}

impl Bbr {
    /// BBR.max_bw.
    pub(super) fn max_bw(&self) -> u64 {
        self.max_bw.get()
    }

    /// BBR.MinPipeCwnd, octets.
    pub(super) fn min_pipe_cwnd(&self) -> u64 {
        MIN_PIPE_CWND * self.mss
    }

    /// StartRound (section 5.5.1).
    pub(super) fn start_round(&mut self) {
        self.next_round_delivered = self.delivered;
    }

    /// UpdateMaxBw (section 5.5.5), and UpdateRound (section 5.5.1) with it.
    pub(super) fn update_max_bw(&mut self, rs: &Rs) {
        self.round_start = rs.has_data && rs.prior_delivered >= self.next_round_delivered;
        if self.round_start {
            self.start_round();
            self.round_count += 1;
            self.rounds_since_probe_up += 1;
            self.cwnd_limited = [false, self.cwnd_limited[0]];
        }
        if rs.delivery_rate >= self.max_bw() || !rs.is_app_limited {
            self.max_bw.update(rs.delivery_rate);
        }
    }

    /// BoundBWForModel (section 5.5.10.3).
    pub(super) fn bound_bw_for_model(&mut self) {
        self.bw = self.max_bw().min(self.bw_shortterm);
    }

    /// UpdateACKAggregation (section 5.5.9).
    pub(super) fn update_ack_aggregation(&mut self, rs: &Rs) {
        let interval = rs.now.since(self.extra_acked_interval_start);
        let mut expected_delivered = volume(self.bw, interval);
        if self.extra_acked_delivered <= expected_delivered {
            self.extra_acked_delivered = 0;
            self.extra_acked_interval_start = rs.now;
            expected_delivered = 0;
        }
        self.extra_acked_delivered += rs.newly_acked;
        let extra = self.extra_acked_delivered - expected_delivered;
        self.extra_acked
            .update(extra.min(self.cwnd), self.round_start);
    }

    /// UpdateMinRTT (section 5.3.4.3).
    pub(super) fn update_min_rtt(&mut self, rs: &Rs) {
        self.probe_rtt_expired = rs.now > self.probe_rtt_min_stamp + PROBE_RTT_INTERVAL;
        if let Some(rtt) = rs.rtt
            && (rtt < self.probe_rtt_min_delay || self.probe_rtt_expired)
        {
            self.probe_rtt_min_delay = rtt;
            self.probe_rtt_min_stamp = rs.now;
        }
        let min_rtt_expired = rs.now > self.min_rtt_stamp + MIN_RTT_FILTER_LEN;
        let lower = self
            .min_rtt
            .is_none_or(|min_rtt| self.probe_rtt_min_delay < min_rtt);
        if self.probe_rtt_min_delay != Duration::MAX && (lower || min_rtt_expired) {
            self.min_rtt = Some(self.probe_rtt_min_delay);
            self.min_rtt_stamp = self.probe_rtt_min_stamp;
        }
    }

    /// BDPMultiple (section 5.6.4.2), of a rate, with a gain in percent.
    pub(super) fn bdp_multiple(&self, bw: u64, gain: u64) -> u64 {
        match self.min_rtt {
            Some(min_rtt) => scale(volume(bw, min_rtt), gain, 100),
            None => self.initial_cwnd,
        }
    }

    /// QuantizationBudget (section 5.6.4.2), with the budget of section 5.5.8.1.
    pub(super) fn quantization_budget(&self, inflight_cap: u64) -> u64 {
        let offload_budget = 3 * self.send_quantum;
        let cap = inflight_cap.max(offload_budget).max(self.min_pipe_cwnd());
        match self.state {
            State::ProbeBwUp => cap.saturating_add(2 * self.mss),
            _ => cap,
        }
    }

    /// Inflight (section 5.6.4.2), of a rate: what fills the pipe without a queue.
    pub(super) fn inflight(&self, bw: u64) -> u64 {
        self.quantization_budget(self.bdp_multiple(bw, 100))
    }

    /// InflightWithHeadroom (section 5.3.3.9).
    pub(super) fn inflight_with_headroom(&self) -> u64 {
        if self.inflight_longterm == INFINITY {
            return INFINITY;
        }
        let headroom = scale(self.inflight_longterm, HEADROOM, 100).max(self.mss);
        self.inflight_longterm
            .saturating_sub(headroom)
            .max(self.min_pipe_cwnd())
    }

    /// TargetInflight (section 5.3.3.8.3).
    pub(super) fn target_inflight(&self) -> u64 {
        self.bdp_multiple(self.bw, 100).min(self.cwnd)
    }

    /// A random number (SplitMix64): of what was heard when, and of all numbers before.
    pub(super) fn random(&mut self, now: Instant) -> u64 {
        let heard = now.as_nanos() ^ self.delivered.rotate_left(32) ^ self.pacing_rate;
        self.seed = (self.seed ^ heard).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// `value * by / of`, as large as fits. `of` is not zero.
pub(super) fn scale(value: u64, by: u64, of: u64) -> u64 {
    if let Some(product) = value.checked_mul(by) {
        return product / of;
    }
    let wide = u128::from(value) * u128::from(by) / u128::from(of);
    u64::try_from(wide).unwrap_or(u64::MAX)
}

/// What flows at `rate` octets a second in a time.
pub(super) fn volume(rate: u64, time: Duration) -> u64 {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    scale(rate, nanos, 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_of_fast_paths_and_of_absurd_ones() {
        let half_second = Duration::from_millis(500);
        for (rate, time, octets) in [
            (0, half_second, 0),
            (50_000_000_000, half_second, 25_000_000_000),
            (
                50_000_000_000,
                Duration::from_secs(3600),
                180_000_000_000_000,
            ),
            (12_500_000, Duration::from_micros(1), 12),
            (u64::MAX, Duration::from_secs(2), u64::MAX),
            (u64::MAX, Duration::MAX, u64::MAX),
            (1, Duration::from_nanos(999_999_999), 0),
        ] {
            assert_eq!(volume(rate, time), octets, "{rate} {time:?}");
        }
        assert_eq!(scale(u64::MAX, 70, 100), 12_912_720_851_596_686_130);
    }
}
