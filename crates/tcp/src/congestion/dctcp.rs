//! DCTCP (RFC 8257): the window falls by as much as the network marks. For data centres alone, whose switches mark early and
//! where every sender does so.

use alloc::boxed::Box;

use super::{AckSample, CongestionControl, CongestionFactory, NewReno, SentText, Trouble};
use crate::time::Instant;

/// "SCF" of section 4.2: DCTCP.Alpha counts in such parts of one.
const SCF: u32 = 1 << 16;
/// "SHF": g = 1/16.
const SHF: u32 = 4;

/// DCTCP's state: NewReno's (sections 3.4, 3.5), and how much of what was sent is marked.
#[derive(Clone, Copy, Debug)]
pub struct Dctcp {
    reno: NewReno,
    /// DCTCP.Alpha, at most `SCF`.
    alpha: u32,
    /// DCTCP.WindowEnd: the observation ends when what is sent after so many octets were delivered is delivered itself.
    window_end: u64,
    /// DCTCP.BytesAcked. What SACK reports counts too: it has arrived, and its marks with it.
    bytes_acked: u64,
    /// DCTCP.BytesMarked.
    bytes_marked: u64,
}

#[derive(Clone, Copy, Debug)]
struct Factory;

impl Dctcp {
    /// The factory for [`crate::Config::congestion`]. Its connections ask for ECN.
    #[must_use]
    pub fn factory() -> impl CongestionFactory + 'static {
        Factory
    }

    /// For a connection whose segments carry `mss` octets and that may start with `initial_window` octets.
    #[must_use]
    pub fn new(mss: u32, initial_window: u64) -> Self {
        Self {
            reno: NewReno::new(mss, initial_window),
            alpha: SCF,
            window_end: 0,
            bytes_acked: 0,
            bytes_marked: 0,
        }
    }

    /// DCTCP.Alpha: the part of what was sent lately that the network marked, in 65,536ths. One at the start.
    #[must_use]
    pub const fn alpha(&self) -> u32 {
        self.alpha
    }

    /// Section 3.3, steps 5, 6 and 8, as section 4.2 reckons them.
    fn end_observation(&mut self) {
        let scaled = u128::from(SCF) * u128::from(self.bytes_marked);
        let m = scaled.checked_div(u128::from(self.bytes_acked));
        let m = m.map_or(0, |m| u32::try_from(m).unwrap_or(SCF).min(SCF));
        if self.alpha >> SHF == 0 {
            self.alpha = 0;
        }
        self.alpha = (self.alpha - (self.alpha >> SHF) + (m >> SHF)).min(SCF);
        self.bytes_acked = 0;
        self.bytes_marked = 0;
    }
}

impl CongestionFactory for Factory {
    fn make(&self, mss: u32, initial_window: u64) -> Box<dyn CongestionControl> {
        Box::new(Dctcp::new(mss, initial_window))
    }

    fn name(&self) -> &'static str {
        "dctcp"
    }

    fn needs_ecn(&self) -> bool {
        true
    }
}

impl CongestionControl for Dctcp {
    fn on_ack(&mut self, sample: &AckSample) {
        self.bytes_acked = self.bytes_acked.saturating_add(sample.delivered);
        self.bytes_marked = self.bytes_marked.saturating_add(sample.marked);
        let ended = sample
            .rate
            .is_some_and(|rate| rate.prior_delivered >= self.window_end);
        if ended {
            self.end_observation();
            self.window_end = sample.total_delivered;
        }
        self.reno.on_ack(sample);
    }

    fn on_trouble(&mut self, now: Instant, trouble: Trouble, in_flight: u64) {
        if trouble == Trouble::Marked {
            // Step 9: cwnd * (1 - DCTCP.Alpha / 2).
            let cwnd = self.reno.window();
            let less = u128::from(cwnd) * u128::from(self.alpha) / u128::from(2 * SCF);
            self.reno
                .on_mark(cwnd - u64::try_from(less).unwrap_or(cwnd));
        } else {
            self.reno.on_trouble(now, trouble, in_flight);
        }
    }

    fn on_recovered(&mut self, now: Instant) {
        self.reno.on_recovered(now);
    }

    fn undo(&mut self, now: Instant) {
        self.reno.undo(now);
    }

    fn on_sent(&mut self, sent: &SentText) {
        self.reno.on_sent(sent);
    }

    fn take_over(&mut self, now: Instant, window: u64, threshold: u64) {
        self.reno.take_over(now, window, threshold);
    }

    fn shrink(&mut self, now: Instant, window: u64, threshold: u64) {
        self.reno.shrink(now, window, threshold);
    }

    fn set_mss(&mut self, mss: u32) {
        self.reno.set_mss(mss);
    }

    fn window(&self) -> u64 {
        self.reno.window()
    }

    fn threshold(&self) -> u64 {
        self.reno.threshold()
    }

    fn counts_marks(&self) -> bool {
        true
    }

    fn name(&self) -> &'static str {
        "dctcp"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::congestion::RateSample;

    /// A window of ten segments acknowledged at once, `marked` octets of it marked.
    fn observe(control: &mut Dctcp, marked: u64) {
        let begun = control.window_end;
        control.on_ack(&AckSample {
            acked: 10_000,
            delivered: 10_000,
            marked,
            total_delivered: begun + 10_000,
            rate: Some(RateSample {
                prior_delivered: begun,
                ..RateSample::default()
            }),
            ..AckSample::default()
        });
    }

    #[test]
    fn alpha_follows_the_marks_by_a_sixteenth() {
        let mut control = Dctcp::new(1000, 10_000);
        assert_eq!(control.alpha(), SCF, "one at the start");
        observe(&mut control, 10_000);
        assert_eq!(control.alpha(), SCF, "all marked");
        observe(&mut control, 0);
        assert_eq!(control.alpha(), SCF / 16 * 15);
        observe(&mut control, 5000);
        assert_eq!(
            control.alpha(),
            SCF / 16 * 15 - SCF / 16 * 15 / 16 + SCF / 32
        );
        for _ in 0..400 {
            observe(&mut control, 5000);
        }
        assert!(control.alpha().abs_diff(SCF / 2) <= 16, "{control:?}");
        for _ in 0..400 {
            observe(&mut control, 0);
        }
        assert_eq!(control.alpha(), 0, "section 4.2: it gets there");
        observe(&mut control, u64::MAX);
        assert_eq!(control.alpha(), SCF / 16, "M is one at most");
    }

    #[test]
    fn an_observation_ends_with_what_was_sent_after_it_began() {
        let mut control = Dctcp::new(1000, 10_000);
        let mut ack = |total_delivered, prior_delivered| {
            control.on_ack(&AckSample {
                acked: 1000,
                delivered: 1000,
                total_delivered,
                rate: Some(RateSample {
                    prior_delivered,
                    ..RateSample::default()
                }),
                ..AckSample::default()
            });
            control.alpha()
        };
        assert_eq!(ack(1000, 0), SCF / 16 * 15, "the first");
        assert_eq!(ack(2000, 0), SCF / 16 * 15);
        assert_eq!(ack(3000, 999), SCF / 16 * 15);
        assert_eq!(ack(4000, 1000), SCF / 16 * 15 / 16 * 15);
    }

    #[test]
    fn a_mark_takes_half_of_alpha_and_a_loss_takes_half() {
        let mut control = Dctcp::new(1000, 100_000);
        control.on_trouble(Instant::ZERO, Trouble::Marked, 100_000);
        assert_eq!((control.window(), control.threshold()), (50_000, 50_000));
        control.alpha = SCF / 4;
        control.on_trouble(Instant::ZERO, Trouble::Marked, 50_000);
        assert_eq!((control.window(), control.threshold()), (43_750, 43_750));
        control.alpha = 0;
        control.on_trouble(Instant::ZERO, Trouble::Marked, 43_750);
        assert_eq!((control.window(), control.threshold()), (43_750, 43_750));
        control.on_trouble(Instant::ZERO, Trouble::Loss, 40_000);
        assert_eq!((control.window(), control.threshold()), (20_000, 20_000));
        control.undo(Instant::ZERO);
        assert_eq!((control.window(), control.threshold()), (43_750, 43_750));
        control.on_trouble(Instant::ZERO, Trouble::Timeout, 40_000);
        assert_eq!((control.window(), control.threshold()), (1000, 20_000));
        control.alpha = SCF;
        control.on_trouble(Instant::ZERO, Trouble::Marked, 1000);
        assert_eq!(
            (control.window(), control.threshold()),
            (1000, 2000),
            "a mark never opens the window"
        );
    }
}
