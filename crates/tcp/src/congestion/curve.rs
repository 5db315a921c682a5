//! CUBIC's curve: how the window grows in congestion avoidance (RFC 9438 sections 4.2 to 4.5), in whole numbers.

use core::time::Duration;

use crate::time::Instant;

/// Parts of an octet that windows are reckoned in, lest what one acknowledgement adds be lost by rounding.
const PARTS: u64 = 1 << 16;
/// The unit of the curve's time is 1,024 ns: a shift instead of a division.
const TICK_SHIFT: u32 = 10;
/// Most ticks between now and the plateau: 18 minutes. The curve is beyond every bound by then.
const MOST_TICKS: u64 = 1 << 30;
/// The cube of a time in ticks loses so many bits before it is multiplied: 4.6e-10 segments.
const CUBE_SHIFT: u32 = 30;
/// C = 0.4 segments/s^3, in segments per 2^30 ticks^3, times 2^62: 0.4 * 1.024e-6^3 * 2^92.
const C_SCALED: u128 = 2_126_764_793;
const C_SHIFT: u32 = 62;
/// 1 / C, in ticks^3 a segment: 1e28 / 2^32.
const TICKS_CUBED_PER_SEGMENT: u128 = 2_328_306_436_538_696_289;

/// What the curve hears of an acknowledgement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) now: Instant,
    /// Smoothed round trip.
    pub(super) rtt: Duration,
    /// Octets.
    pub(super) acked: u64,
}

/// The variables of the present congestion avoidance. Windows are octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Curve {
    /// W_max; zero: undefined.
    w_max: u64,
    /// cwnd when ssthresh was last set.
    pub(super) cwnd_prior: u64,
    /// K, ticks.
    k: u64,
    /// t_epoch; `None`: congestion avoidance has not begun.
    epoch: Option<Instant>,
    /// W_est, parts of an octet.
    w_est: u64,
    /// Parts of an octet that cwnd has grown by, less than a whole one.
    rest: u64,
    /// Whether the last acknowledgement found Reno's window the larger.
    friendly: bool,
}

impl Curve {
    /// As `default`.
    pub(super) const NONE: Self = Self {
        w_max: 0,
        cwnd_prior: 0,
        k: 0,
        epoch: None,
        w_est: 0,
        rest: 0,
        friendly: false,
    };

    /// The window is about to fall from `cwnd`: its plateau, with fast convergence (section 4.7).
    pub(super) fn on_decrease(&mut self, cwnd: u64) {
        self.w_max = if cwnd < self.w_max {
            cwnd / 20 * 17 + cwnd % 20 * 17 / 20 // cwnd * (1 + beta) / 2
        } else {
            cwnd
        };
        self.cwnd_prior = cwnd;
        self.end();
    }

    /// The next congestion avoidance is a new one.
    pub(super) fn end(&mut self) {
        self.epoch = None;
        self.friendly = false;
    }

    /// The plateau is to be where the next congestion avoidance begins.
    pub(super) fn forget_plateau(&mut self) {
        self.w_max = 0;
    }

    /// t stands still for `time`.
    pub(super) fn delay(&mut self, time: Duration) {
        if let Some(epoch) = &mut self.epoch {
            *epoch += time;
        }
    }

    /// What the curve is like at `cwnd`.
    pub(super) fn phase(&self, cwnd: u64) -> &'static str {
        if self.friendly {
            "reno-friendly"
        } else if cwnd < self.w_max {
            "concave"
        } else {
            "convex"
        }
    }

    /// Congestion avoidance begins, at `cwnd`. Where nothing larger is remembered (HyStart++, section 4.10; a timeout, 4.8), the
    /// plateau is here.
    fn begin(&mut self, now: Instant, cwnd: u64, mss: u64) -> Instant {
        self.w_max = self.w_max.max(cwnd);
        // Equation 2.
        let ticks_cubed = u128::from(self.w_max - cwnd) * TICKS_CUBED_PER_SEGMENT;
        self.k = cube_root(ticks_cubed / u128::from(mss));
        self.w_est = cwnd.saturating_mul(PARTS);
        self.rest = 0;
        self.epoch = Some(now);
        now
    }

    /// What an acknowledgement adds to `cwnd`.
    pub(super) fn growth(&mut self, heard: Heard, cwnd: u64, mss: u64) -> u64 {
        let Heard { now, rtt, .. } = heard;
        let cwnd = cwnd.max(1);
        let acked = heard.acked.min(cwnd);
        let epoch = self.epoch.unwrap_or_else(|| self.begin(now, cwnd, mss));
        let t = ticks(now.since(epoch));
        self.grow_estimate(cwnd, acked, mss);
        let w_est = self.w_est / PARTS;
        self.friendly = self.w_cubic(t, mss) < w_est;
        if self.friendly {
            return w_est.saturating_sub(cwnd);
        }
        // Sections 4.4, 4.5: (target - cwnd) / cwnd a segment.
        let most = cwnd.saturating_add(cwnd / 2);
        let target = self
            .w_cubic(t.saturating_add(ticks(rtt)), mss)
            .clamp(cwnd, most);
        let parts = u128::from(target - cwnd) * u128::from(acked);
        let parts = parts.saturating_mul(u128::from(PARTS));
        self.rest = self.rest.saturating_add(narrow(parts / u128::from(cwnd)));
        let whole = self.rest / PARTS;
        self.rest %= PARTS;
        whole
    }

    /// Equation 4, with alpha of section 4.3: 3 * (1 - beta) / (1 + beta) = 9/17, and 1 once Reno's window is back where it fell.
    fn grow_estimate(&mut self, cwnd: u64, acked: u64, mss: u64) {
        let (alpha, per) = if self.w_est / PARTS >= self.cwnd_prior {
            (1, 1)
        } else {
            (9, 17)
        };
        let parts = u128::from(acked) * u128::from(mss) * u128::from(alpha * PARTS);
        let more = parts / (u128::from(cwnd) * per);
        self.w_est = self.w_est.saturating_add(narrow(more));
    }

    /// Equation 1, octets: C * (t - K)^3 + W_max.
    fn w_cubic(&self, t: u64, mss: u64) -> u64 {
        let distance = u128::from(t.abs_diff(self.k).min(MOST_TICKS));
        let cube = (distance * distance * distance) >> CUBE_SHIFT;
        // 2^60 * 2^32 * 2^31: it fits.
        let change = narrow((cube * u128::from(mss) * C_SCALED) >> C_SHIFT);
        if t >= self.k {
            self.w_max.saturating_add(change)
        } else {
            self.w_max.saturating_sub(change)
        }
    }
}

fn narrow(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn ticks(time: Duration) -> u64 {
    narrow(time.as_nanos() >> TICK_SHIFT)
}

/// The largest whole number whose cube is at most `number`: bit by bit, from above.
fn cube_root(number: u128) -> u64 {
    // 2^43 cubed is more than any number here.
    (0..43).rev().fold(0, |root: u64, bit| {
        let with = root | (1 << bit);
        let cube = u128::from(with).checked_pow(3);
        match cube {
            Some(cube) if cube <= number => with,
            _ => root,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MSS: u64 = 1448;

    /// RFC 9438's formulas, in segments and seconds.
    struct Formula {
        w_max: f64,
        k: f64,
    }

    impl Formula {
        fn new(w_max: f64, cwnd_epoch: f64) -> Self {
            Self {
                w_max,
                k: ((w_max - cwnd_epoch) / 0.4).cbrt(),
            }
        }

        fn at(&self, t: f64) -> f64 {
            0.4 * (t - self.k).powi(3) + self.w_max
        }
    }

    fn grow(curve: &mut Curve, now: Instant, rtt: Duration, windows: (u64, u64), mss: u64) -> u64 {
        let (cwnd, acked) = windows;
        curve.growth(Heard { now, rtt, acked }, cwnd, mss)
    }

    fn segments(octets: u64, mss: u64) -> f64 {
        octets as f64 / mss as f64
    }

    #[test]
    fn cube_roots() {
        for (number, root) in [
            (0, 0),
            (1, 1),
            (7, 1),
            (8, 2),
            (26, 2),
            (27, 3),
            (999_999_999_999, 9999),
            (1_000_000_000_000, 10_000),
            (1 << 126, 1 << 42),
            ((1 << 126) - 1, (1 << 42) - 1),
            (u128::MAX, 6_981_463_658_331),
        ] {
            assert_eq!(cube_root(number), root, "{number}");
        }
    }

    proptest! {
        #[test]
        fn a_cube_root_is_the_largest_that_fits(number in any::<u128>(), shift in 0_u32..127) {
            let number = number >> shift;
            let root = u128::from(cube_root(number));
            prop_assert!(root.pow(3) <= number);
            prop_assert!((root + 1).checked_pow(3).is_none_or(|cube| cube > number));
        }

        /// K and W_cubic(t) against the formula, from a window that fell by the factor `fell`.
        #[test]
        fn the_curve_is_the_formula(
            mss in 88_u64..9000,
            w_max in 4_u64..200_000,
            fell in 0.4_f64..1.0,
            millis in 0_u64..200_000,
        ) {
            let now = Instant::from_millis(77);
            let mut curve = Curve::default();
            curve.on_decrease(w_max * mss);
            let cwnd = ((w_max * mss) as f64 * fell) as u64;
            curve.begin(now, cwnd, mss);
            let formula = Formula::new(w_max as f64, segments(cwnd, mss));
            let k = curve.k as f64 * 1.024e-6;
            prop_assert!((k - formula.k).abs() < 3e-6, "K {} {}", k, formula.k);
            let t = millis as f64 / 1000.0;
            let ticks = ticks(Duration::from_millis(millis));
            let found = segments(curve.w_cubic(ticks, mss), mss);
            let wanted = formula.at(t).max(0.0);
            // A few ticks of K and of t, and an octet of rounding.
            let slope = 1.2 * (t - formula.k).powi(2);
            let error = slope * 4e-6 + wanted * 1e-8 + 2.0 / mss as f64;
            prop_assert!((found - wanted).abs() <= error, "{found} {wanted} at {t} s, K {k}");
        }

        #[test]
        fn no_numbers_overflow(
            calls in prop::collection::vec(
                (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), 1..=u64::from(u32::MAX)),
                1..20,
            ),
        ) {
            let mut curve = Curve::default();
            for (now, rtt, cwnd, acked, mss) in calls {
                if rtt % 5 == 0 {
                    curve.on_decrease(cwnd);
                }
                if rtt % 7 == 0 {
                    curve.delay(Duration::from_nanos(acked));
                }
                let now = Instant::from_nanos(now);
                let grown = grow(&mut curve, now, Duration::from_nanos(rtt), (cwnd, acked), mss);
                let friendly = curve.friendly;
                prop_assert!(friendly || grown <= cwnd.max(1) / 2 + 1, "{grown} at {cwnd}");
            }
        }
    }

    /// Rounds of a path that fills `cwnd` each round trip and delays acknowledgements by two segments; returns cwnd, octets, after
    /// `millis`.
    fn run(curve: &mut Curve, mut cwnd: u64, rtt_ms: u64, millis: u64) -> u64 {
        let rtt = Duration::from_millis(rtt_ms);
        let began = Instant::from_millis(1000);
        let mut nanos = 0_u64;
        while nanos < millis * 1_000_000 {
            // Acknowledgements spread over the round trip.
            let acked = 2 * MSS;
            let now = began + Duration::from_nanos(nanos);
            cwnd += grow(curve, now, rtt, (cwnd, acked), MSS);
            nanos += (rtt.as_nanos() as u64 * acked / cwnd).max(1);
        }
        cwnd
    }

    /// Over a long path the window follows W_cubic, to the plateau and beyond, until Reno's window is the larger.
    #[test]
    fn the_window_grows_by_the_formula() {
        for (rtt_ms, w_max) in [
            (50, 2000_u64),
            (100, 1000),
            (100, 5000),
            (200, 500),
            (300, 10_000),
        ] {
            for percent in [25, 50, 100, 150, 180] {
                let mut curve = Curve::default();
                curve.on_decrease(w_max * MSS);
                let cwnd = w_max * MSS * 7 / 10;
                let formula = Formula::new(w_max as f64, 0.7 * w_max as f64);
                let t = formula.k * f64::from(percent) / 100.0;
                let found = segments(run(&mut curve, cwnd, rtt_ms, (t * 1000.0) as u64), MSS);
                let wanted = formula.at(t);
                let error = (found - wanted).abs() / wanted;
                assert!(
                    error < 0.015 && !curve.friendly,
                    "{rtt_ms} ms, {w_max} segments, {percent} % of K: {found}, formula {wanted}"
                );
            }
        }
    }

    /// Where round trips are short, 9/17 of a segment a round trip until the window is where it fell from, and then one.
    #[test]
    fn the_window_grows_as_renos_where_that_is_faster() {
        for (rtt_ms, w_max) in [(1, 10_u64), (1, 100), (5, 40), (10, 20)] {
            let mut curve = Curve::default();
            curve.on_decrease(w_max * MSS);
            let start = w_max * MSS * 7 / 10;
            let rounds = 0.3 * w_max as f64 * 17.0 / 9.0;
            let millis = (rounds * rtt_ms as f64) as u64;
            let at_prior = run(&mut curve, start, rtt_ms, millis);
            let found = segments(at_prior, MSS);
            assert!(
                (found - w_max as f64).abs() < 0.02 * w_max as f64 + 0.2,
                "{rtt_ms} ms: {found} of {w_max} after {rounds} rounds"
            );
            assert!(curve.friendly);
            let mut curve = Curve::default();
            curve.on_decrease(w_max * MSS);
            let later = run(&mut curve, start, rtt_ms, millis + 20 * rtt_ms);
            let found = segments(later - at_prior, MSS);
            assert!(
                (found - 20.0).abs() < 1.5,
                "{rtt_ms} ms: {found} in 20 rounds"
            );
        }
    }

    #[test]
    fn a_lower_fall_makes_a_lower_plateau() {
        let mut curve = Curve::default();
        curve.on_decrease(100_000);
        assert_eq!((curve.w_max, curve.cwnd_prior), (100_000, 100_000));
        curve.on_decrease(90_000);
        assert_eq!((curve.w_max, curve.cwnd_prior), (76_500, 90_000), "0.85");
        curve.on_decrease(76_500);
        assert_eq!(curve.w_max, 76_500, "not lower than the plateau");
    }

    #[test]
    fn from_a_higher_window_the_plateau_is_here_and_growth_is_convex() {
        let mut curve = Curve::default();
        let now = Instant::from_millis(5);
        curve.begin(now, 100 * MSS, MSS);
        assert_eq!((curve.w_max, curve.k), (100 * MSS, 0));
        let t = ticks(Duration::from_secs(5));
        let expected = 100.0 + 0.4 * 125.0;
        assert!((segments(curve.w_cubic(t, MSS), MSS) - expected).abs() < 0.01);
    }

    #[test]
    fn time_that_stands_still_delays_the_curve() {
        let (rtt, now) = (Duration::from_millis(100), Instant::from_millis(100));
        let grow = |delay: u64| {
            let mut curve = Curve::default();
            curve.on_decrease(1000 * MSS);
            let cwnd = 700 * MSS;
            grow(&mut curve, now, rtt, (cwnd, MSS), MSS);
            curve.delay(Duration::from_secs(delay));
            let later = now + Duration::from_secs(2 + delay);
            grow(&mut curve, later, rtt, (cwnd, MSS), MSS)
        };
        assert_eq!(grow(0), grow(30));
    }

    #[test]
    fn no_more_than_half_the_window_a_round_trip() {
        let mut curve = Curve::default();
        let now = Instant::from_millis(5);
        grow(&mut curve, now, Duration::ZERO, (100_000, 1000), 1000);
        let later = now + Duration::from_secs(1000);
        let grown = grow(&mut curve, later, Duration::ZERO, (100_000, 1000), 1000);
        assert_eq!(grown, 500, "(1.5 cwnd - cwnd) / cwnd of a segment");
        let grown = grow(&mut curve, later, Duration::ZERO, (100_000, 100_000), 1000);
        assert_eq!(grown, 50_000);
    }

    #[test]
    fn what_one_acknowledgement_adds_is_not_lost_by_rounding() {
        let now = Instant::from_millis(5);
        // The target lies 500 octets above the window: a 25th of an octet an acknowledgement.
        let mut curve = Curve {
            w_max: 1_099_500,
            epoch: Some(now),
            cwnd_prior: u64::MAX,
            ..Curve::default()
        };
        let mut total = 0;
        for _ in 0..2000 {
            total += grow(&mut curve, now, Duration::ZERO, (1_099_000, 88), 1_000);
        }
        assert_eq!(total, 80, "2000 * 500 * 88 / 1099000");
    }
}
