//! CUBIC (RFC 9438): the window as a cubic function of the time since the last congestion, with HyStart++ (RFC 9406).

use alloc::boxed::Box;
use core::ops::{Deref, DerefMut};
use core::time::Duration;

use super::curve::{Curve, Heard};
use super::hystart::{HyStart, Verdict};
use super::slow_start::{self, Limit};
use super::{AckSample, CongestionControl, CongestionFactory, SentText, Trouble};
use crate::time::Instant;

/// Segments that one acknowledgement may open the window by in slow start: "L" of RFC 9406 section 4.2 for senders that do not
/// pace.
const L: u64 = 8;

/// CUBIC's state. Windows are octets.
#[derive(Clone, Debug)]
pub struct Cubic {
    mss: u32,
    initial_window: u32,
    cwnd: u64,
    ssthresh: u64,
    limit: Limit,
    /// `None`: plain slow start.
    hystart: Option<HyStart>,
    curve: Later,
    /// When the last acknowledgement arrived, or an idle time ended: the curve's time stands still where nothing is heard
    /// because nothing was sent.
    heard_at: Instant,
    before: Option<Box<Before>>,
}

/// What [`CongestionControl::undo`] restores (RFC 9438 section 4.9.2).
#[derive(Clone, Copy, Debug)]
struct Before {
    /// The trouble after which it is to be restored.
    trouble: Trouble,
    cwnd: u64,
    ssthresh: u64,
    curve: Curve,
    careful: bool,
    /// That trouble is over: the next is another.
    repaired: bool,
}

/// The curve, made when there is one: a connection that carries little never has.
#[derive(Clone, Debug, Default)]
struct Later(Option<Box<Curve>>);

impl Later {
    const NONE: &Curve = &Curve::NONE;

    fn made(&mut self) -> Option<&mut Curve> {
        self.0.as_deref_mut()
    }
}

impl Deref for Later {
    type Target = Curve;
    fn deref(&self) -> &Curve {
        self.0.as_deref().unwrap_or(Self::NONE)
    }
}

impl DerefMut for Later {
    fn deref_mut(&mut self) -> &mut Curve {
        self.0.get_or_insert_default()
    }
}

#[derive(Clone, Copy, Debug)]
struct Factory {
    hystart: bool,
}

impl Cubic {
    /// The factory for [`crate::Config::congestion`]: with HyStart++, as RFC 9438 section 4.10 advises.
    #[must_use]
    pub fn factory() -> impl CongestionFactory + 'static {
        Factory { hystart: true }
    }

    /// The same with plain slow start, which goes on until a loss.
    #[must_use]
    pub fn factory_without_hystart() -> impl CongestionFactory + 'static {
        Factory { hystart: false }
    }

    fn mss(&self) -> u64 {
        u64::from(self.mss)
    }

    /// beta_cubic times `octets`: 0.7 (section 4.6).
    fn decreased(octets: u64) -> u64 {
        // By parts: no window is too large for it.
        octets / 10 * 7 + octets % 10 * 7 / 10
    }

    /// Section 4.6. The window itself, not FlightSize, falls: it grows only while it is filled.
    fn decrease(&mut self, least_segments: u64) {
        self.curve.on_decrease(self.cwnd);
        let decreased = Self::decreased(self.cwnd);
        self.ssthresh = decreased.max(2 * self.mss());
        self.cwnd = decreased.max(least_segments * self.mss());
    }

    /// What a false alarm brings back: where a repair meets more trouble, what was before all of it.
    fn save(&mut self, trouble: Trouble) {
        if self.before.as_ref().is_some_and(|before| !before.repaired) {
            return;
        }
        let before = Before {
            trouble,
            cwnd: self.cwnd,
            ssthresh: self.ssthresh,
            curve: *self.curve,
            careful: self.limit.careful,
            repaired: false,
        };
        self.before = Some(Box::new(before));
    }

    /// The repair of a loss turned into a timeout: the same congestion, for which ssthresh has fallen.
    fn repairs_loss(&self) -> bool {
        let before = self.before.as_deref();
        before.is_some_and(|before| before.trouble == Trouble::Loss && !before.repaired)
    }

    fn on_timeout(&mut self) {
        if !self.repairs_loss() {
            self.save(Trouble::Timeout);
            self.decrease(1);
        }
        // Section 4.8: the first curve after it has its plateau where it begins.
        if let Some(curve) = self.curve.made() {
            curve.forget_plateau();
        }
        self.limit.careful = true;
        self.cwnd = self.mss();
    }

    /// RFC 5681 section 4.1: RW = min(IW, cwnd). What was known of the path is where slow start ends (RFC 7661 section 4.3).
    fn on_idle(&mut self) {
        if self.ssthresh != u64::MAX {
            self.ssthresh = self.ssthresh.max(self.cwnd - self.cwnd / 4);
        }
        self.cwnd = self
            .cwnd
            .min(u64::from(self.initial_window).max(self.mss()));
        if let Some(curve) = self.curve.made() {
            curve.end();
        }
        self.before = None;
    }

    /// Time passed in which the window could not grow: the curve's does not (section 4.2).
    fn stand_still(&mut self, now: Instant) {
        if let Some(curve) = self.curve.made() {
            curve.delay(now.since(self.heard_at));
        }
        self.heard_at = now;
    }

    /// Slow start; returns the octets that were not used up by it.
    fn slow_start(&mut self, sample: &AckSample) -> u64 {
        let counted = self.limit.of(sample.acked, self.mss(), L);
        let first = self.ssthresh == u64::MAX;
        let Some(hystart) = self.hystart.as_mut().filter(|_| first) else {
            let grown = slow_start::growth(self.cwnd, self.ssthresh, self.mss(), counted);
            self.cwnd += grown;
            return counted - grown;
        };
        self.cwnd = self.cwnd.saturating_add(hystart.growth(counted));
        if hystart.on_ack(sample) == Verdict::Leave {
            self.ssthresh = self.cwnd;
            self.curve.cwnd_prior = self.cwnd;
        }
        0
    }
}

impl CongestionFactory for Factory {
    fn make(&self, mss: u32, initial_window: u64) -> Box<dyn CongestionControl> {
        Box::new(Cubic {
            mss: mss.max(1),
            initial_window: u32::try_from(initial_window).unwrap_or(u32::MAX),
            cwnd: initial_window.max(u64::from(mss)),
            ssthresh: u64::MAX,
            limit: Limit::default(),
            hystart: self.hystart.then(HyStart::new),
            curve: Later::default(),
            heard_at: Instant::ZERO,
            before: None,
        })
    }

    fn name(&self) -> &'static str {
        "cubic"
    }
}

impl CongestionControl for Cubic {
    fn on_ack(&mut self, sample: &AckSample) {
        if sample.in_recovery || !sample.window_limited {
            self.stand_still(sample.now);
            return;
        }
        self.heard_at = sample.now;
        let mut acked = sample.acked;
        if self.cwnd < self.ssthresh {
            acked = self.slow_start(sample);
        }
        if self.cwnd >= self.ssthresh && acked > 0 {
            self.limit.careful = false;
            let heard = Heard {
                now: sample.now,
                rtt: sample.srtt.unwrap_or(Duration::ZERO),
                acked,
            };
            let mss = self.mss();
            let growth = self.curve.growth(heard, self.cwnd, mss);
            self.cwnd = self.cwnd.saturating_add(growth);
        }
    }

    fn on_trouble(&mut self, _now: Instant, trouble: Trouble, _in_flight: u64) {
        match trouble {
            Trouble::Loss => {
                self.save(Trouble::Loss);
                self.decrease(2);
            }
            // As every kernel by the same factor, and not by RFC 8511's 0.85: beside others that share the queue.
            Trouble::Marked => {
                // A mark is no false alarm: what came before it is not restored (RFC 4015 section 3.2, step 7).
                self.before = None;
                self.decrease(1);
            }
            Trouble::Timeout => self.on_timeout(),
            Trouble::Idle => self.on_idle(),
        }
    }

    fn on_recovered(&mut self, _now: Instant) {
        if let Some(before) = &mut self.before {
            before.repaired = true;
        }
        self.cwnd = self.cwnd.max(2 * self.mss());
    }

    fn undo(&mut self, _now: Instant) {
        // Section 4.9.2: unless the window has outgrown what was before.
        if let Some(before) = self.before.take()
            && self.cwnd < before.cwnd
        {
            self.cwnd = before.cwnd;
            self.ssthresh = before.ssthresh;
            *self.curve = before.curve;
            self.limit.careful = before.careful;
        }
    }

    fn on_sent(&mut self, sent: &SentText) {
        self.limit.on_sent(sent.octets);
        if sent.in_flight <= sent.octets {
            self.stand_still(sent.now);
        }
    }

    fn take_over(&mut self, now: Instant, window: u64, threshold: u64) {
        self.cwnd = window.max(self.mss());
        self.ssthresh = threshold;
        self.curve.cwnd_prior = window;
        self.heard_at = now;
    }

    fn shrink(&mut self, now: Instant, window: u64, threshold: u64) {
        self.take_over(now, window.min(self.cwnd), threshold.max(self.ssthresh));
    }

    fn set_mss(&mut self, mss: u32) {
        self.mss = mss.max(1);
        self.cwnd = self.cwnd.max(self.mss());
    }

    fn window(&self) -> u64 {
        self.cwnd
    }

    fn threshold(&self) -> u64 {
        self.ssthresh
    }

    fn phase(&self) -> &'static str {
        if self.cwnd >= self.ssthresh {
            return self.curve.phase(self.cwnd);
        }
        let first = self.ssthresh == u64::MAX;
        match &self.hystart {
            Some(hystart) if first && hystart.is_conservative() => "conservative slow start",
            _ => "slow start",
        }
    }

    fn name(&self) -> &'static str {
        "cubic"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::congestion::RateSample;
    use alloc::vec::Vec;
    use std::format;

    const MSS: u64 = 1000;
    const RTT: Duration = Duration::from_millis(100);

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn make(segments: u64) -> Box<dyn CongestionControl> {
        Cubic::factory().make(1000, segments * MSS)
    }

    /// What an acknowledgement of so many octets adds to the window.
    fn grows(control: &mut dyn CongestionControl, now: Instant, acked: u64) -> u64 {
        let before = control.window();
        control.on_ack(&AckSample {
            now,
            acked,
            delivered: acked,
            window_limited: true,
            srtt: Some(RTT),
            ..AckSample::default()
        });
        control.window() - before
    }

    fn windows(control: &dyn CongestionControl) -> (u64, u64) {
        (control.window(), control.threshold())
    }

    #[test]
    fn slow_start_counts_octets_by_eight_segments_or_a_burst() {
        let mut control = make(10);
        assert_eq!(windows(&*control), (10_000, u64::MAX));
        assert_eq!(grows(&mut *control, at(1), 1000), 1000);
        assert_eq!(grows(&mut *control, at(1), 7500), 7500);
        assert_eq!(grows(&mut *control, at(1), 20_000), 8000, "L");
        control.on_sent(&SentText {
            octets: 20_000,
            in_flight: 20_000,
            ..SentText::default()
        });
        assert_eq!(grows(&mut *control, at(1), 20_000), 20_000);
        control.on_ack(&AckSample {
            acked: 1000,
            ..AckSample::default()
        });
        assert_eq!(control.window(), 46_500, "the user held it back");
    }

    /// After each trouble at a window of 100 segments, of which the last loss was at `w_max`: cwnd, ssthresh, and the plateau.
    #[test]
    fn windows_after_each_trouble() {
        let max = u64::MAX;
        for (name, cwnd, troubles, after) in [
            ("a loss", 100_000, &[Trouble::Loss][..], (70_000, 70_000)),
            ("a mark", 100_000, &[Trouble::Marked], (70_000, 70_000)),
            ("a timeout", 100_000, &[Trouble::Timeout], (1000, 70_000)),
            (
                "an idle time in slow start",
                100_000,
                &[Trouble::Idle],
                (10_000, max),
            ),
            (
                "an idle time",
                100_000,
                &[Trouble::Loss, Trouble::Idle],
                (10_000, 70_000),
            ),
            (
                "a repair that times out",
                100_000,
                &[Trouble::Loss, Trouble::Timeout],
                (1000, 70_000),
            ),
            (
                "a repair that times out twice",
                100_000,
                &[Trouble::Loss, Trouble::Timeout, Trouble::Timeout],
                (1000, 70_000),
            ),
            (
                "two timeouts",
                100_000,
                &[Trouble::Timeout, Trouble::Timeout],
                (1000, 2000),
            ),
            ("a loss of the least", 2000, &[Trouble::Loss], (2000, 2000)),
            (
                "a mark of the least",
                2000,
                &[Trouble::Marked],
                (1400, 2000),
            ),
            (
                "marks down to one",
                2000,
                &[Trouble::Marked, Trouble::Marked],
                (1000, 2000),
            ),
            ("more marks", 1000, &[Trouble::Marked], (1000, 2000)),
            ("odd octets", 100_009, &[Trouble::Loss], (70_006, 70_006)),
        ] {
            let mut control = make(10);
            control.take_over(at(0), cwnd, max);
            for trouble in troubles {
                control.on_trouble(at(5), *trouble, 0);
            }
            assert_eq!(windows(&*control), after, "{name}");
        }
    }

    #[test]
    fn an_idle_time_keeps_three_quarters_as_the_threshold() {
        let mut control = make(10);
        control.take_over(at(0), 100_000, 50_000);
        control.on_trouble(at(5), Trouble::Idle, 0);
        assert_eq!(windows(&*control), (10_000, 75_000));
        assert_eq!(control.phase(), "slow start");
    }

    #[test]
    fn after_a_timeout_slow_start_takes_one_segment_an_acknowledgement_and_the_plateau_is_where_it_ends()
     {
        let mut control = make(100);
        control.on_trouble(at(5), Trouble::Timeout, 100_000);
        for window in 2..=70 {
            grows(&mut *control, at(6), 5000);
            assert_eq!(control.window(), window * MSS);
        }
        control.on_recovered(at(6));
        // t = 0: W_cubic(RTT) = 70 + 0.4 * 0.1^3, and Reno's window: 9/17 of a segment a window.
        grows(&mut *control, at(7), 35_000);
        assert_eq!(control.window(), 70_264);
        assert_eq!(control.phase(), "reno-friendly");
        // Ten seconds later the curve is far above: convex, bounded by half a window a round trip.
        assert_eq!(grows(&mut *control, at(10_007), 70_264), 35_132);
        assert_eq!(control.phase(), "convex");
    }

    #[test]
    fn after_a_loss_the_curve_is_concave_up_to_the_plateau() {
        let mut control = make(1000);
        control.on_trouble(at(5), Trouble::Loss, 0);
        control.on_recovered(at(100));
        grows(&mut *control, at(100), 1000);
        // K = (300 / 0.4)^(1/3) = 9.0856 s. A whole window acknowledged after t leads to 1000 - 0.4 * (K - t - RTT)^3.
        for (t, expected) in [(1000, 796304), (3000, 914220), (6000, 989355)] {
            let window = control.window();
            grows(&mut *control, at(100 + t), window);
            let found = control.window();
            assert!(found.abs_diff(expected) <= 1, "after {t} ms: {found}");
        }
        assert_eq!(control.phase(), "concave");
    }

    #[test]
    fn time_without_acknowledgements_for_want_of_text_does_not_count() {
        let run = |pauses: &[Pause]| {
            let mut control = make(1000);
            control.on_trouble(at(5), Trouble::Loss, 0);
            control.on_recovered(at(100));
            let mut now = 100;
            grows(&mut *control, at(now), 1000);
            for pause in pauses {
                now += 5000;
                match pause {
                    Pause::Idle => control.on_sent(&SentText {
                        now: at(now),
                        octets: 1000,
                        in_flight: 1000,
                        ..SentText::default()
                    }),
                    Pause::Limited => control.on_ack(&AckSample {
                        now: at(now),
                        acked: 1000,
                        ..AckSample::default()
                    }),
                    Pause::None => {}
                }
            }
            grows(&mut *control, at(now + 1000), 10_000)
        };
        let expected = run(&[]);
        assert!(expected > 500, "{expected}");
        assert_eq!(run(&[Pause::Idle]), expected);
        assert_eq!(run(&[Pause::Limited, Pause::Idle]), expected);
        assert_ne!(run(&[Pause::None]), expected);
    }

    #[derive(Debug)]
    enum Pause {
        Idle,
        Limited,
        None,
    }

    /// All of it: windows, the curve, care.
    #[test]
    fn a_false_alarm_restores_every_variable() {
        for troubles in [
            &[Trouble::Loss][..],
            &[Trouble::Timeout],
            &[Trouble::Loss, Trouble::Timeout],
            // The second is of another segment of the same flight.
            &[Trouble::Timeout, Trouble::Timeout],
            &[Trouble::Loss, Trouble::Timeout, Trouble::Timeout],
        ] {
            let mut control = make(1000);
            control.on_trouble(at(5), Trouble::Marked, 0);
            for round in 0..20 {
                grows(&mut *control, at(100 + 100 * round), 300_000);
            }
            let state = |control: &dyn CongestionControl| format!("{control:?}");
            let before = state(&*control);
            for trouble in troubles {
                control.on_trouble(at(2100), *trouble, 0);
                assert_ne!(state(&*control), before);
            }
            control.undo(at(2200));
            assert_eq!(state(&*control), before, "{troubles:?}");
            control.undo(at(2200));
            assert_eq!(state(&*control), before, "there is no second time");
        }
    }

    #[test]
    fn a_repaired_loss_is_restored_until_the_next_trouble() {
        for (next, restored) in [
            (None, (100_000, u64::MAX)),
            (Some(Trouble::Loss), (70_000, 70_000)),
            (Some(Trouble::Timeout), (70_000, 70_000)),
            (Some(Trouble::Marked), (49_000, 49_000)),
            (Some(Trouble::Idle), (10_000, 70_000)),
        ] {
            let mut control = Cubic::factory().make(1000, 10_000);
            control.take_over(at(1), 100_000, u64::MAX);
            control.on_trouble(at(5), Trouble::Loss, 0);
            control.on_recovered(at(100));
            if let Some(next) = next {
                control.on_trouble(at(101), next, 0);
            }
            control.undo(at(102));
            assert_eq!(windows(&*control), restored, "{next:?}");
        }
    }

    #[test]
    fn what_is_marked_or_outgrown_is_not_restored() {
        let mut control = make(100);
        control.on_trouble(at(5), Trouble::Loss, 0);
        control.on_trouble(at(105), Trouble::Timeout, 0);
        control.on_trouble(at(106), Trouble::Marked, 0);
        control.undo(at(107));
        assert_eq!(windows(&*control), (1000, 2000), "marked");
        let mut control = make(100);
        control.on_trouble(at(5), Trouble::Loss, 0);
        for second in 0..20 {
            grows(&mut *control, at(60_000 + 1000 * second), 70_000);
        }
        let (cwnd, ssthresh) = windows(&*control);
        assert!(cwnd > 100_000);
        control.undo(at(60_000));
        assert_eq!(windows(&*control), (cwnd, ssthresh), "outgrown");
    }

    /// Rounds of slow start with a round trip of 50 ms that then grows to 80 ms: the phases, the windows.
    fn first_slow_start(factory: impl CongestionFactory) -> Vec<(&'static str, u64)> {
        let mut control = factory.make(1000, 10_000);
        let (mut delivered, mut sent_after) = (0, 0);
        let mut seen = Vec::new();
        for round in 0..9 {
            let rtt = Duration::from_millis(if round < 2 { 50 } else { 80 });
            let acks = control.window() / MSS;
            let first = delivered + MSS;
            for _ in 0..acks {
                delivered += MSS;
                control.on_ack(&AckSample {
                    now: at(100 * round),
                    acked: MSS,
                    delivered: MSS,
                    total_delivered: delivered,
                    window_limited: true,
                    rtt: Some(rtt),
                    srtt: Some(rtt),
                    rate: Some(RateSample {
                        prior_delivered: sent_after,
                        ..RateSample::default()
                    }),
                    ..AckSample::default()
                });
            }
            sent_after = first;
            seen.push((control.phase(), control.window() / MSS));
        }
        seen
    }

    #[test]
    fn the_first_slow_start_ends_when_the_round_trip_grows() {
        let seen = first_slow_start(Cubic::factory());
        let css = "conservative slow start";
        assert_eq!(
            seen[..8],
            [
                ("slow start", 20),
                ("slow start", 40),
                // Eight acknowledgements of standard slow start, and a quarter of the other 32.
                (css, 56),
                (css, 70),
                (css, 87),
                (css, 109),
                (css, 136),
                ("reno-friendly", 137)
            ]
        );
        assert!(seen[8].1 < 139, "congestion avoidance: {seen:?}");
        let plain = first_slow_start(Cubic::factory_without_hystart());
        assert_eq!(plain[8], ("slow start", 10 << 9));
    }

    #[test]
    fn after_a_loss_slow_start_is_plain() {
        let mut control = Cubic::factory().make(1000, 10_000);
        control.on_trouble(at(5), Trouble::Timeout, 10_000);
        assert_eq!(control.phase(), "slow start");
        let rtts = [50, 90];
        for (round, rtt) in rtts.into_iter().enumerate() {
            for _ in 0..3 {
                control.on_ack(&AckSample {
                    acked: 1000,
                    window_limited: true,
                    rtt: Some(Duration::from_millis(rtt)),
                    total_delivered: round as u64,
                    rate: Some(RateSample::default()),
                    ..AckSample::default()
                });
            }
        }
        assert_eq!(windows(&*control), (7000, 7000));
    }

    #[test]
    fn it_goes_on_from_another_algorithm() {
        let mut control = make(10);
        control.take_over(at(50), 50_000, 40_000);
        assert_eq!(windows(&*control), (50_000, 40_000));
        assert_eq!(grows(&mut *control, at(60), 50_000), 1000, "avoidance");
        control.take_over(at(70), 10, u64::MAX);
        assert_eq!(windows(&*control), (1000, u64::MAX), "a segment at least");
    }

    #[test]
    fn a_larger_segment_has_room() {
        let mut control = Cubic::factory().make(100, 100);
        control.set_mss(1448);
        assert_eq!(control.window(), 1448);
        control.on_trouble(at(1), Trouble::Idle, 0);
        assert_eq!(control.window(), 1448);
    }
}
