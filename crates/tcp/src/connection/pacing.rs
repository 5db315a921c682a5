//! Spreads text over time where the algorithm or the user asks for it.

use super::{Connection, Plan};
use crate::config::Pacing;
use crate::event::Reason;
use crate::pacing::Pacer;
use crate::state::State;
use crate::time::Instant;

impl Connection {
    pub(super) fn pacer(&self) -> Option<&Pacer> {
        self.rates.as_ref()?.pacer.as_ref()
    }

    pub(super) fn pacer_mut(&mut self) -> Option<&mut Pacer> {
        self.rates.as_mut()?.pacer.as_mut()
    }

    /// Octets a second at which text leaves at most now; `None`: it is not paced, or nothing is known yet to pace by.
    pub(super) fn pacing_rate(&self) -> Option<u64> {
        let most = self.config.max_pacing_rate;
        let rate = match (self.config.pacing, self.congestion.pacing_rate()) {
            (Pacing::Off, _) => return None,
            (_, Some(rate)) => Some(rate),
            (Pacing::Algorithm, None) if most.is_none() => None,
            _ => self.window_rate(),
        };
        match (rate, most) {
            (Some(rate), Some(most)) => Some(rate.min(most)),
            (one, other) => one.or(other),
        }
    }

    /// The window a round trip, a little faster, so that the window still is what limits; twice as fast while it doubles
    /// every round trip.
    fn window_rate(&self) -> Option<u64> {
        let srtt = u64::try_from(self.rtt.srtt()?.as_nanos()).ok()?.max(1);
        let window = self.congestion.window();
        let doubles = window < self.congestion.threshold() / 2;
        let percent = if doubles {
            self.config.pacing_percent_slow_start
        } else {
            self.config.pacing_percent_avoidance
        };
        let octets = window.max(self.recovery.pipe(&self.snd));
        let scaled = u128::from(octets) * u128::from(percent) * 10_000_000;
        u64::try_from(scaled / u128::from(srtt)).ok()
    }

    /// Octets of text that the pacer lets the next segments have, at most `max_text`; `None`: it holds them back.
    ///
    /// The first retransmission after a timeout is not held: it was waited for long enough.
    pub(super) fn paced(&self, now: Instant, max_text: u32) -> Option<u32> {
        let Some(rate) = self.pacing_rate() else {
            return Some(max_text);
        };
        if self.recovery.owed == Some(Reason::Timeout) || self.is_initial_flight() {
            return Some(max_text);
        }
        // One that never paced has a burst to give.
        let fresh = Pacer::new();
        match self
            .pacer()
            .unwrap_or(&fresh)
            .allowance(now, rate, self.snd.mss)
        {
            0 => None,
            octets => Some(octets.min(max_text)),
        }
    }

    /// The initial window leaves at once: before its acknowledgements nothing is known of the path but one round trip, and it
    /// is what any path is believed to take (RFC 6928).
    fn is_initial_flight(&self) -> bool {
        self.counters.data_segs_out < u64::from(self.config.initial_window)
    }

    /// Text leaves.
    pub(super) fn note_paced(&mut self, now: Instant, plan: &Plan) {
        if plan.len == 0 || self.is_initial_flight() {
            return;
        }
        if let Some(rate) = self.pacing_rate() {
            let mss = self.snd.mss;
            let pacer = &mut self.rates_mut(now).pacer;
            let pacer = pacer.get_or_insert_with(Pacer::new);
            pacer.on_sent(now, plan.len, rate, mss);
        }
    }

    /// Looks whether the pacer's timer must run.
    pub(super) fn rearm_pacer(&mut self, now: Instant) {
        if self.pacer().is_none() {
            return;
        }
        let over = matches!(self.state, State::Closed | State::TimeWait);
        let unsent = self.snd.usable_window() > 0 && (self.snd.unsent() > 0 || self.snd.fin_due());
        let wants = !over
            && (unsent || self.snd.in_flight.has_lost())
            && self.congestion_room(now) > 0
            && self.pacing_rate().is_some();
        if let Some(pacer) = self.pacer_mut() {
            pacer.rearm(now, wants);
        }
    }
}
