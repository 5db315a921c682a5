//! The timers of a connection: a named table; several deadlines may run at once.

use super::Connection;
use crate::error::Ended;
use crate::event::{Context, Reason, Timer, TraceEvent, Wake};
use crate::pacing::Pacer;
use crate::send::flow::Verdict;
use crate::state::State;
use crate::time::Instant;

/// Deadlines by name. A timer that does not run is at the end of time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimerTable {
    at: [Instant; Self::ALL.len()],
}

impl TimerTable {
    /// The timers a connection uses, in the order in which they are served when due at once.
    pub(crate) const ALL: [Timer; 6] = [
        Timer::UserTimeout,
        Timer::Retransmission,
        Timer::Persist,
        Timer::KeepAlive,
        Timer::FinWait2,
        Timer::DelayedAck,
    ];

    pub(crate) const fn new() -> Self {
        Self {
            at: [Instant::MAX; Self::ALL.len()],
        }
    }

    const fn slot(timer: Timer) -> usize {
        match timer {
            Timer::UserTimeout => 0,
            Timer::Persist | Timer::SwsOverride => 2,
            Timer::KeepAlive => 3,
            Timer::FinWait2 => 4,
            Timer::DelayedAck => 5,
            // One of the three runs (RFC 8985 sections 7.2, 6.2). TIME-WAIT has its own type, and pacing its own room; nobody
            // sets them here.
            Timer::Retransmission
            | Timer::TailLossProbe
            | Timer::Reordering
            | Timer::Pacing
            | Timer::TimeWait => 1,
        }
    }

    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        self.at[Self::slot(timer)] = at;
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        self.set(timer, Instant::MAX);
    }

    /// When it is due; the end of time: it does not run.
    pub(crate) fn at(&self, timer: Timer) -> Instant {
        self.at[Self::slot(timer)]
    }

    pub(crate) fn runs(&self, timer: Timer) -> bool {
        self.at[Self::slot(timer)] != Instant::MAX
    }

    pub(crate) fn stop_all(&mut self) {
        *self = Self::new();
    }

    /// The next deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.at
            .iter()
            .copied()
            .min()
            .filter(|at| *at != Instant::MAX)
    }

    /// Stops and names a timer that is due, in the order of [`Self::ALL`].
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Timer> {
        let timer = Self::ALL
            .into_iter()
            .find(|t| self.at[Self::slot(*t)] <= now)?;
        self.stop(timer);
        Some(timer)
    }
}

impl Connection {
    /// When [`Self::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let rates = self.rates.as_deref();
        let pacer = self.pacer().and_then(Pacer::deadline);
        let flight = rates.map_or(Instant::MAX, |rates| rates.flight.next());
        let next = self.timers.next().unwrap_or(Instant::MAX).min(flight);
        let next = pacer.map_or(next, |at| next.min(at));
        (next != Instant::MAX).then_some(next)
    }

    /// Time passed: serves every timer that is due. Harmless when called too often.
    pub fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        let paced = self.pacer_mut().is_some_and(|p| p.take_due(cx.now));
        if paced {
            let timer = Timer::Pacing;
            cx.trace(&self.setup.endpoints, || TraceEvent::TimerFired { timer });
        }
        self.serve_flight(cx);
        while let Some(timer) = self.timers.take_due(cx.now) {
            if timer == Timer::DelayedAck {
                self.rcv.buffer.give_back();
                // An acknowledgement that left sooner leaves its timer behind.
                if !self.rcv.ack.pending() {
                    continue;
                }
            }
            cx.trace(&self.setup.endpoints, || TraceEvent::TimerFired { timer });
            match timer {
                Timer::UserTimeout => {
                    //= rfc9293 MUST-20
                    self.reset_peer(cx, Ended::TimedOut(self.patience.path_error));
                }
                Timer::Retransmission => self.on_retransmission_timeout(cx),
                Timer::Persist => self.owe_probe(),
                Timer::DelayedAck => self.rcv.ack.owe(Reason::DelayedAck),
                Timer::KeepAlive => self.on_keep_alive(cx),
                Timer::FinWait2 => self.end(cx, Ended::TimedOut(None)),
                Timer::Reordering
                | Timer::Pacing
                | Timer::TailLossProbe
                | Timer::TimeWait
                | Timer::SwsOverride => {}
            }
        }
        self.rearm(cx.now);
    }

    /// RFC 6298 5.4 to 5.6: send the oldest again, double the timeout.
    fn on_retransmission_timeout(&mut self, cx: &mut Context<'_>) {
        self.count_timeout(cx.now);
        if self.state == State::SynReceived {
            self.owed.syn_ack = Some(Reason::Timeout);
            self.patience.backoff = self.patience.backoff.saturating_add(1);
            return;
        }
        if self.snd.wnd == 0 {
            self.owe_probe();
            return;
        }
        self.suspect_black_hole(cx.now);
        self.on_text_timeout(cx);
        self.ecn.on_reduced(self.snd.nxt);
        self.patience.backoff = self.patience.backoff.saturating_add(1);
        //= rfc9293 SHLD-9
        //= rfc9293 MUST-20
        if self.patience.backoff == self.config.r1 {
            self.wake |= Wake::DOUBTFUL;
        }
        self.trace_congestion(cx);
    }

    //= rfc9293 MUST-35
    //= rfc9293 MUST-36
    //= rfc9293 SHLD-30
    fn owe_probe(&mut self) {
        self.owed.probe = true;
        self.patience.backoff = self.patience.backoff.saturating_add(1);
    }

    //= rfc9293 MUST-29
    fn on_keep_alive(&mut self, cx: &mut Context<'_>) {
        let Some(keep_alive) = self.keep_alive() else {
            return;
        };
        if self.patience.keep_alives >= keep_alive.probes.max(2) {
            self.reset_peer(cx, Ended::TimedOut(self.patience.path_error));
            return;
        }
        self.patience.keep_alives += 1;
        self.owed.keep_alive = true;
    }

    /// Starts the timers that what happened calls for. Cheap: called after every input and every segment.
    pub(super) fn rearm(&mut self, now: Instant) {
        self.count_time(now);
        self.rearm_pacer(now);
        if matches!(self.state, State::Closed | State::TimeWait) {
            return;
        }
        let opening = self.state == State::SynReceived;
        let flying = opening || !self.snd.in_flight.is_empty();
        if flying && (opening || self.snd.wnd > 0) {
            if !self.timers.runs(Timer::Retransmission) {
                let after = self.rtt.backed_off(self.patience.backoff);
                self.timers.set(Timer::Retransmission, now + after);
            }
            self.start_user_timeout(now);
        } else {
            self.timers.stop(Timer::Retransmission);
        }
        if self.blocked_by_window() {
            //= rfc9293 SHLD-29
            if !self.timers.runs(Timer::Persist) && !self.owed.probe {
                let after = self.rtt.backed_off(self.patience.backoff);
                self.timers.set(Timer::Persist, now + after);
            }
            // Nothing is asked of the peer until a probe leaves, unless nobody waits for the answer.
            if self.user.released {
                self.start_user_timeout(now);
            }
        } else {
            self.timers.stop(Timer::Persist);
            self.owed.probe = false;
        }
        self.rearm_keep_alive(now, flying);
    }

    pub(super) fn start_user_timeout(&mut self, now: Instant) {
        if !self.timers.runs(Timer::UserTimeout) {
            let after = if self.state == State::SynReceived {
                self.config.open_timeout
            } else if self.user.released {
                self.user_timeout().min(self.config.orphan_timeout)
            } else {
                self.user_timeout()
            };
            self.timers.set(Timer::UserTimeout, now + after);
        }
    }

    //= rfc9293 MUST-25
    //= rfc9293 MUST-26
    fn rearm_keep_alive(&mut self, now: Instant, flying: bool) {
        let Some(keep_alive) = self.keep_alive() else {
            return;
        };
        if flying {
            self.timers.stop(Timer::KeepAlive);
        } else if !self.timers.runs(Timer::KeepAlive) && !self.owed.keep_alive {
            let after = if self.patience.keep_alives == 0 {
                keep_alive.idle_after
            } else {
                keep_alive.interval
            };
            self.timers.set(Timer::KeepAlive, now + after);
        }
    }

    /// Whether only the peer's window keeps text or FIN back, so that nothing but a probe would ever move it.
    fn blocked_by_window(&self) -> bool {
        if self.state == State::SynReceived {
            return false;
        }
        let queued = self.snd.unsent() > 0 || self.snd.fin_due();
        if self.snd.wnd == 0 {
            return queued || !self.snd.in_flight.is_empty();
        }
        if !queued || !self.snd.in_flight.is_empty() {
            return false;
        }
        match self.new_text(u32::MAX) {
            // Nothing flies whose acknowledgement would let go what is corked.
            //= rfc9293 MUST-60
            Verdict::Window | Verdict::Corked => true,
            Verdict::Nothing => self.snd.usable_window() == 0,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_timers_come_out_once_and_in_order() {
        let mut timers = TimerTable::new();
        assert_eq!(timers.next(), None);
        timers.set(Timer::DelayedAck, Instant::from_millis(40));
        timers.set(Timer::Retransmission, Instant::from_millis(40));
        timers.set(Timer::KeepAlive, Instant::from_millis(50));
        assert_eq!(timers.next(), Some(Instant::from_millis(40)));
        assert_eq!(timers.take_due(Instant::from_millis(39)), None);
        assert_eq!(
            timers.take_due(Instant::from_millis(45)),
            Some(Timer::Retransmission)
        );
        assert_eq!(
            timers.take_due(Instant::from_millis(45)),
            Some(Timer::DelayedAck)
        );
        assert_eq!(timers.take_due(Instant::from_millis(45)), None);
        assert!(timers.runs(Timer::KeepAlive) && !timers.runs(Timer::DelayedAck));
        assert_eq!(timers.next(), Some(Instant::from_millis(50)));
    }
}
