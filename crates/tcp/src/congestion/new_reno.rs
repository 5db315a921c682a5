//! NewReno (RFC 5681, RFC 6582): slow start, congestion avoidance, halving.

use alloc::boxed::Box;

use super::slow_start::{self, Limit};
use super::{AckSample, CongestionControl, CongestionFactory, SentText, Trouble};
use crate::time::Instant;

/// Segments that one acknowledgement may open the window by in slow start: "L" of RFC 3465 section 2.3.
const L: u64 = 2;

/// NewReno's state: two numbers and a remainder.
#[derive(Clone, Copy, Debug)]
pub struct NewReno {
    mss: u64,
    initial_window: u64,
    cwnd: u64,
    ssthresh: u64,
    /// Octets acknowledged towards the next segment of congestion avoidance (RFC 3465 section 2.1).
    acked_in_avoidance: u64,
    limit: Limit,
    /// cwnd and ssthresh before the last loss or timeout.
    before: Option<(u64, u64)>,
    /// That trouble is over: the next is another.
    repaired: bool,
}

#[derive(Clone, Copy, Debug)]
struct Factory;

impl NewReno {
    /// The factory for [`crate::Config::congestion`].
    #[must_use]
    pub fn factory() -> impl CongestionFactory + 'static {
        Factory
    }

    pub(super) fn new(mss: u32, initial_window: u64) -> Self {
        Self {
            mss: u64::from(mss).max(1),
            initial_window,
            cwnd: initial_window,
            ssthresh: u64::MAX,
            acked_in_avoidance: 0,
            limit: Limit::default(),
            before: None,
            repaired: false,
        }
    }

    /// RFC 5681 equation 4: half of what flies, two segments at the least.
    fn halve(&mut self, in_flight: u64) {
        self.ssthresh = (in_flight / 2).max(2 * self.mss);
        self.acked_in_avoidance = 0;
    }

    /// The network marked packets: the window falls to `to`. A mark never opens it, which is below the threshold's floor after
    /// a timeout; and what came before it is not restored (RFC 4015 section 3.2, step 7).
    pub(super) fn on_mark(&mut self, to: u64) {
        self.ssthresh = to.max(2 * self.mss);
        self.cwnd = self.cwnd.min(self.ssthresh);
        self.acked_in_avoidance = 0;
        self.before = None;
    }
}

impl CongestionFactory for Factory {
    fn make(&self, mss: u32, initial_window: u64) -> Box<dyn CongestionControl> {
        Box::new(NewReno::new(mss, initial_window))
    }

    fn name(&self) -> &'static str {
        "newreno"
    }
}

impl CongestionControl for NewReno {
    //= rfc9293 MUST-19
    fn on_ack(&mut self, sample: &AckSample) {
        if sample.in_recovery || !sample.window_limited {
            return;
        }
        if self.cwnd < self.ssthresh {
            // RFC 5681 equation 2, by octets (RFC 3465 sections 2.2, 2.3).
            let counted = self.limit.of(sample.acked, self.mss, L);
            self.cwnd += slow_start::growth(self.cwnd, self.ssthresh, self.mss, counted);
            return;
        }
        self.limit.careful = false;
        // RFC 5681 section 3.1: one segment a round trip, counted in octets (RFC 3465 section 2.1).
        self.acked_in_avoidance += sample.acked;
        if self.acked_in_avoidance >= self.cwnd {
            self.acked_in_avoidance -= self.cwnd;
            self.cwnd += self.mss;
        }
    }

    fn on_trouble(&mut self, _now: Instant, trouble: Trouble, in_flight: u64) {
        if matches!(trouble, Trouble::Loss | Trouble::Timeout) {
            // Where a repair turns into a timeout, what was before both.
            if self.before.is_none() || self.repaired {
                self.before = Some((self.cwnd, self.ssthresh));
            }
            self.repaired = false;
        }
        match trouble {
            Trouble::Loss => {
                self.halve(in_flight);
                self.cwnd = self.ssthresh;
            }
            Trouble::Marked => self.on_mark(in_flight / 2),
            Trouble::Timeout => {
                self.halve(in_flight);
                self.limit.careful = true;
                self.cwnd = self.mss; // LW, RFC 5681 equation 4 and section 3.1
            }
            // RFC 5681 section 4.1: RW = min(IW, cwnd).
            // Segments may have grown since (path MTU): less than one of them would never leave.
            Trouble::Idle => {
                self.before = None;
                self.cwnd = self.cwnd.min(self.initial_window.max(self.mss));
            }
        }
    }

    fn on_recovered(&mut self, _now: Instant) {
        self.cwnd = self.cwnd.max(2 * self.mss);
        self.acked_in_avoidance = 0;
        self.repaired = true;
    }

    fn undo(&mut self, _now: Instant) {
        if let Some((cwnd, ssthresh)) = self.before.take() {
            self.cwnd = self.cwnd.max(cwnd);
            self.ssthresh = self.ssthresh.max(ssthresh);
            self.limit.careful = false;
        }
    }

    fn on_sent(&mut self, sent: &SentText) {
        self.limit.on_sent(sent.octets);
    }

    fn take_over(&mut self, _now: Instant, window: u64, threshold: u64) {
        self.cwnd = window.max(self.mss);
        self.ssthresh = threshold;
    }

    fn shrink(&mut self, now: Instant, window: u64, threshold: u64) {
        self.take_over(now, window.min(self.cwnd), threshold.max(self.ssthresh));
    }

    fn set_mss(&mut self, mss: u32) {
        self.mss = u64::from(mss).max(1);
        self.cwnd = self.cwnd.max(self.mss);
    }

    fn window(&self) -> u64 {
        self.cwnd
    }

    fn threshold(&self) -> u64 {
        self.ssthresh
    }

    fn name(&self) -> &'static str {
        "newreno"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an acknowledgement of `acked` octets adds to the window.
    fn grows(control: &mut dyn CongestionControl, acked: u64, window_limited: bool) -> u64 {
        let before = control.window();
        control.on_ack(&AckSample {
            acked,
            prior_in_flight: before,
            window_limited,
            ..AckSample::default()
        });
        control.window() - before
    }

    #[test]
    fn a_mark_never_opens_the_window() {
        let mut control = Factory.make(1000, 10_000);
        control.on_trouble(Instant::ZERO, Trouble::Marked, 10_000);
        assert_eq!((control.window(), control.threshold()), (5000, 5000));
        control.on_trouble(Instant::ZERO, Trouble::Timeout, 5000);
        control.on_trouble(Instant::ZERO, Trouble::Marked, 1000);
        assert_eq!((control.window(), control.threshold()), (1000, 2000));
    }

    #[test]
    //= rfc9293 MUST-19 test
    fn slow_start_avoidance_and_care() {
        let mut control = Factory.make(1000, 10_000);
        assert_eq!(
            grows(&mut *control, 1000, false),
            0,
            "the user held it back, not the window"
        );
        assert_eq!(grows(&mut *control, 1000, true), 1000);
        assert_eq!(grows(&mut *control, 9000, true), 2000, "L = 2");
        control.on_trouble(Instant::ZERO, Trouble::Loss, 13_000);
        assert_eq!((control.window(), control.threshold()), (6500, 6500));
        assert_eq!(grows(&mut *control, 6000, true), 0, "less than a window");
        assert_eq!(
            grows(&mut *control, 500, true),
            1000,
            "one segment a window"
        );
        control.on_trouble(Instant::ZERO, Trouble::Timeout, 7500);
        assert_eq!((control.window(), control.threshold()), (1000, 3750));
        assert_eq!(
            grows(&mut *control, 3000, true),
            1000,
            "L = 1 after a timeout"
        );
        assert_eq!(grows(&mut *control, 1000, true), 1000);
        assert_eq!(grows(&mut *control, 1000, true), 1000);
        assert_eq!(
            grows(&mut *control, 1000, true),
            0,
            "beyond the threshold: avoidance"
        );
        control.on_trouble(Instant::ZERO, Trouble::Idle, 0);
        assert_eq!(control.window(), 4000, "below the initial window it stays");
    }

    #[test]
    fn a_false_alarm_is_undone_from_before_the_first_of_its_troubles() {
        let mut control = Factory.make(1000, 10_000);
        control.on_trouble(Instant::ZERO, Trouble::Loss, 10_000);
        control.on_trouble(Instant::ZERO, Trouble::Timeout, 10_000);
        assert_eq!((control.window(), control.threshold()), (1000, 5000));
        control.undo(Instant::ZERO);
        assert_eq!((control.window(), control.threshold()), (10_000, u64::MAX));
        control.on_trouble(Instant::ZERO, Trouble::Loss, 10_000);
        control.on_recovered(Instant::ZERO);
        control.undo(Instant::ZERO);
        assert_eq!(control.window(), 10_000, "D-SACKs come after the repair");
        for (left, flew) in [(5000, 10_000), (2500, 5000)] {
            control.on_trouble(Instant::ZERO, Trouble::Loss, flew);
            control.on_recovered(Instant::ZERO);
            assert_eq!(control.window(), left);
        }
        control.undo(Instant::ZERO);
        assert_eq!(control.window(), 5000, "the first of the two was no alarm");
        control.on_trouble(Instant::ZERO, Trouble::Loss, 5000);
        control.on_recovered(Instant::ZERO);
        control.on_trouble(Instant::ZERO, Trouble::Marked, 2500);
        control.undo(Instant::ZERO);
        assert_eq!(control.window(), 2000, "a mark is no false alarm");
    }

    /// Found by the fuzzer of two stacks: an initial window of one small segment, a path that then carried larger ones, and
    /// an idle time: the window was less than a segment, and nothing ever left again.
    #[test]
    fn idle_time_leaves_room_for_a_segment_that_has_grown() {
        let mut control = Factory.make(100, 100);
        control.set_mss(1448);
        control.on_trouble(Instant::ZERO, Trouble::Idle, 0);
        assert_eq!(control.window(), 1448);
    }
}
