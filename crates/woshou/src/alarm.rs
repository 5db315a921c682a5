//! The timer of a net: tokio's for what is far off, a `timerfd` for what is near, where there is one.
//!
//! tokio's timers tick in milliseconds, always rounded up. On a short path that is several round-trip times: RACK's
//! window (a quarter of one), the pauses of pacing and tail loss probes all need better.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// Rings once. Set it again after that.
pub(crate) struct Alarm {
    coarse: Option<Pin<Box<Sleep>>>,
    fine: Option<fine::Timer>,
    /// When it rings.
    at: Option<Instant>,
}

impl Alarm {
    /// `precise`: near deadlines have a descriptor of their own, which needs a runtime with I/O.
    ///
    /// # Errors
    /// No descriptor is free.
    pub(crate) fn new(precise: bool) -> io::Result<Self> {
        let fine = if precise { fine::Timer::new()? } else { None };
        Ok(Self {
            coarse: None,
            fine,
            at: None,
        })
    }

    /// Rings at `at`, and no more at what was set before.
    pub(crate) fn set(&mut self, at: Instant) {
        self.at = Some(at);
        match &mut self.coarse {
            Some(coarse) => coarse.as_mut().reset(at),
            none => *none = Some(Box::pin(sleep_until(at))),
        }
        if let Some(fine) = &self.fine {
            fine.set(at.saturating_duration_since(Instant::now()));
        }
    }

    /// `Ready` once it rang. Both timers are asked: under a paused clock only tokio's knows when it is time.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else {
            return Poll::Pending;
        };
        let near = self
            .fine
            .as_mut()
            .is_some_and(|fine| fine.poll(cx).is_ready());
        let far = self
            .coarse
            .as_mut()
            .is_some_and(|coarse| coarse.as_mut().poll(cx).is_ready());
        if far || near && Instant::now() >= at {
            self.at = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

#[cfg(target_os = "linux")]
mod fine {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::unix::AsyncFd;

    /// Deadlines further off than this are left to tokio: its millisecond is less than a tenth of them, and setting
    /// this timer costs a system call.
    const NEAR: Duration = Duration::from_millis(10);

    pub(super) struct Timer(AsyncFd<OwnedFd>);

    impl Timer {
        #[expect(
            deprecated,
            reason = "AsyncFd::new was deprecated because any AsRawFd may lie about its descriptor; an OwnedFd \
                      cannot, and the replacement is an unsafe fn"
        )]
        pub(super) fn new() -> io::Result<Option<Self>> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let descriptor = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            Ok(Some(Self(AsyncFd::new(descriptor)?)))
        }

        /// Rings so much later, if that is near.
        pub(super) fn set(&self, after: Duration) {
            if after > NEAR {
                return;
            }
            let after = after.max(Duration::from_nanos(1)); // zero would stop it
            let value = Itimerspec {
                it_interval: Timespec {
                    tv_sec: 0,
                    tv_nsec: 0,
                },
                it_value: Timespec {
                    tv_sec: 0,
                    tv_nsec: after.subsec_nanos().into(),
                },
            };
            // Without it tokio's timer rings, a millisecond late.
            let _kernel_refuses =
                timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &value);
        }

        pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
            let mut rang = Poll::Pending;
            while let Poll::Ready(Ok(mut guard)) = self.0.poll_read_ready(cx) {
                let mut count = [0; 8];
                match rustix::io::read(self.0.get_ref(), &mut count) {
                    Ok(_) => rang = Poll::Ready(()),
                    Err(_) => guard.clear_ready(),
                }
            }
            rang
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod fine {
    use std::io;
    use std::task::{Context, Poll};
    use std::time::Duration;

    /// There is none here: tokio's timer rings, up to a millisecond late.
    pub(super) enum Timer {}

    impl Timer {
        pub(super) fn new() -> io::Result<Option<Self>> {
            Ok(None)
        }

        pub(super) fn set(&self, _after: Duration) {
            match *self {}
        }

        pub(super) fn poll(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
            match *self {}
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    async fn rings_after(alarm: &mut Alarm, after: Duration) -> Duration {
        let start = Instant::now();
        alarm.set(start + after);
        poll_fn(|cx| alarm.poll(cx)).await;
        start.elapsed()
    }

    #[tokio::test]
    async fn what_is_near_is_kept_to_less_than_a_tick() {
        let mut alarm = Alarm::new(true).expect("a descriptor is free");
        let after = Duration::from_micros(300);
        let mut best = Duration::MAX;
        for _ in 0..50 {
            let took = rings_after(&mut alarm, after).await;
            assert!(took >= after, "rang early: {took:?}");
            best = best.min(took);
        }
        // tokio's own would take one to two milliseconds each time.
        assert!(best < Duration::from_micros(900), "{best:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_stays_in_force() {
        let mut alarm = Alarm::new(true).expect("a descriptor is free");
        for after in [Duration::from_micros(300), Duration::from_secs(3_600)] {
            let took = rings_after(&mut alarm, after).await;
            assert!(
                took >= after && took <= after + Duration::from_millis(1),
                "{took:?}"
            );
        }
    }

    #[tokio::test]
    async fn the_last_setting_counts() {
        let mut alarm = Alarm::new(true).expect("a descriptor is free");
        alarm.set(Instant::now() + Duration::from_micros(100));
        let took = rings_after(&mut alarm, Duration::from_millis(20)).await;
        assert!(took >= Duration::from_millis(20), "{took:?}");
    }
}
