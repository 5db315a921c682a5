//! What loss recovery and congestion control are told of what leaves, and their timers.

use super::{Connection, Plan, initial_window};
use crate::congestion::SentText;
use crate::delivery::SentAt;
use crate::event::{Context, Reason, Timer, TraceEvent};
use crate::recovery::{Frto, Phase, Recovery, Sender, Tlp};
use crate::seq::SeqNum;
use crate::state::State;
use crate::time::Instant;

impl Connection {
    /// Loss recovery, and what it works on.
    pub(super) fn recovery_and_sender(&mut self, now: Instant) -> (&mut Recovery, Sender<'_>) {
        let sender = Sender {
            used: self.unvalidated_pipe_ack(),
            now,
            send: &mut self.snd,
            congestion: &mut *self.congestion,
            flight: self.rates.as_deref_mut().map(|rates| &mut rates.flight),
        };
        (&mut self.recovery, sender)
    }

    /// New text or FIN leaves.
    pub(super) fn note_new(&mut self, now: Instant, plan: &Plan, range: (SeqNum, SeqNum)) {
        let octets = u64::from(range.1.distance_from(range.0));
        let flying = self.recovery.pipe(&self.snd) + octets;
        let mss = u64::from(self.snd.mss);
        let flight = &mut self.rates_mut(now).flight;
        let path = flight.delivery.on_send(now, octets, flying);
        flight.prr.on_sent(octets);
        if let Frto::Second { left, .. } = &mut flight.frto {
            let segments = u8::try_from(octets.div_ceil(mss.max(1))).unwrap_or(u8::MAX);
            *left = left.saturating_sub(segments);
        }
        if plan.reason == Reason::TailLossProbe {
            flight.tlp.on_sent(range.1, false);
            if octets < mss {
                flight.tlp.on_sent_small();
            }
        }
        self.snd.in_flight.push(range, now, path, self.snd.mss);
        self.tell_sent(now, octets, false, path);
    }

    /// Text or FIN leaves again.
    pub(super) fn note_sent_again(&mut self, now: Instant, plan: &Plan, range: (SeqNum, SeqNum)) {
        let octets = u64::from(range.1.distance_from(range.0));
        let flying = self.recovery.pipe(&self.snd) + octets;
        let stamp = self.paws.map(|_| self.setup.timestamp(now));
        let (sack, nxt) = (self.agreed.sack, self.snd.nxt);
        let mss = u64::from(self.snd.mss);
        let flight = &mut self.rates_mut(now).flight;
        let path = flight.delivery.on_send(now, octets, flying);
        flight.prr.on_sent(octets);
        if sack {
            flight.rack.on_sent_again(range.0, range.1, now);
        }
        if plan.reason.is_retransmission() {
            if matches!(flight.frto, Frto::Second { .. }) {
                // What is acknowledged from now on tells nothing of the timeout.
                flight.frto = Frto::Off;
            }
            flight.undo.on_sent_again(range.1, octets, stamp);
        }
        if plan.reason == Reason::TailLossProbe {
            flight.tlp.on_sent(nxt, true);
            if octets < mss {
                flight.tlp.on_sent_small();
            }
        }
        self.snd
            .in_flight
            .mark_sent_again(range, now, path, self.snd.mss);
        self.tell_sent(now, octets, true, path);
    }

    fn tell_sent(&mut self, now: Instant, octets: u64, again: bool, path: SentAt) {
        let in_flight = self.recovery.pipe(&self.snd);
        self.congestion.on_sent(&SentText {
            now,
            octets,
            in_flight,
            total_delivered: path.total_delivered(),
            app_limited: path.is_app_limited(),
            again,
        });
    }

    /// A tail loss probe: new text where there is some and the peer's window takes it, or else the end of what flies, whatever
    /// the congestion window says (RFC 8985 section 7.3).
    pub(super) fn plan_tail_probe(&self, max_text: u32) -> Option<Plan> {
        let rates = self.rates.as_deref().filter(|r| r.flight.tlp.owed)?;
        debug_assert!(rates.flight.tlp.may_probe(), "it was not owed then");
        let (reason, room) = (Reason::TailLossProbe, self.room().min(max_text.max(1)));
        let most = room.min(self.tail_room());
        let new = self.snd.unsent().min(self.snd.usable_window()).min(most);
        let new = self.contiguous(self.snd.nxt, new);
        if new > 0 {
            let fin =
                self.snd.fin_due() && new == self.snd.unsent() && self.snd.usable_window() > new;
            return Some(Plan {
                reason,
                seq: self.snd.nxt,
                len: new,
                fin,
            });
        }
        let (start, octets) = self
            .snd
            .in_flight
            .tail((room, self.tail_room()), self.snd.fin)?;
        if !(start + octets).at_or_before(self.snd.una + self.snd.wnd) {
            return None;
        }
        let (text, fin) = self.snd.text_and_fin(start, start + octets);
        let whole = self.contiguous(start, text);
        let fin = fin && whole == text;
        (whole > 0 || fin).then_some(Plan {
            reason,
            seq: start,
            len: whole,
            fin,
        })
    }

    pub(super) fn frto(&self) -> Frto {
        self.rates
            .as_deref()
            .map_or(Frto::Off, |rates| rates.flight.frto)
    }

    /// Arms the timer of a tail loss probe, from now on (RFC 8985 section 7.2): after new text, and after an acknowledgement of
    /// some, where nothing else would find a loss.
    pub(super) fn arm_tail_probe(&mut self, now: Instant) {
        let allowed = self.agreed.sack
            && self.config.loss_detection.tail_loss_probe
            && self.state != State::SynReceived
            && self.snd.wnd > 0
            && self.recovery.phase == Phase::Open
            && !self.snd.in_flight.is_empty()
            && !self.snd.in_flight.has_sacked()
            && !self.snd.in_flight.has_lost();
        let one = self.snd.in_flight.octets() <= u64::from(self.snd.mss);
        let after = Tlp::timeout(self.rtt.srtt(), one);
        let limit = self.timers.at(Timer::Retransmission);
        let Some(rates) = self.rates.as_deref_mut() else {
            return;
        };
        let tlp = &mut rates.flight.tlp;
        tlp.stop();
        tlp.due = match allowed && tlp.may_probe() {
            true => (now + after).min(limit),
            false => Instant::MAX,
        };
    }

    /// Serves the timers of loss recovery that are due.
    pub(super) fn serve_flight(&mut self, cx: &mut Context<'_>) {
        self.check_app_limited();
        let Some(rates) = self.rates.as_deref_mut() else {
            return;
        };
        let (now, flight) = (cx.now, &mut rates.flight);
        if flight.reorder_at <= now {
            let timer = Timer::Reordering;
            cx.trace(&self.setup.endpoints, || TraceEvent::TimerFired { timer });
            self.on_reordering_timer(cx);
        }
        let Some(rates) = self.rates.as_deref_mut() else {
            return;
        };
        let tlp = &mut rates.flight.tlp;
        if tlp.due <= now {
            let timer = Timer::TailLossProbe;
            cx.trace(&self.setup.endpoints, || TraceEvent::TimerFired { timer });
            tlp.due = Instant::MAX;
            tlp.owed = tlp.may_probe();
            // The timer of retransmissions is the last resort, and begins again, whether a probe leaves or not (section 7.3).
            self.timers.stop(Timer::Retransmission);
            if self.plan_tail_probe(u32::MAX).is_none() {
                self.forget_tail_probe();
            }
        }
    }

    /// An acknowledgement of `acked` octets took a false alarm back: no more than the initial window leaves at once, and no more
    /// than was acknowledged (RFC 4015 section 3.4); where nothing was (a D-SACK alone), the initial window. A pacer spreads what
    /// leaves, and needs no other limit.
    pub(super) fn limit_burst(&mut self, acked: u64) {
        let initial = initial_window(self.config.initial_window, self.snd.mss);
        let most = if acked == 0 {
            initial
        } else {
            initial.min(acked)
        };
        let flying = self.recovery.pipe(&self.snd);
        let paced = self.pacing_rate().is_some();
        let Some(rates) = self.rates.as_deref_mut() else {
            return;
        };
        match paced {
            true => rates.flight.ramp.forget(),
            false => rates.flight.ramp.allow(flying + most),
        }
    }

    /// What cannot go when it is due does not go later: the window would open to a probe of long ago.
    fn forget_tail_probe(&mut self) {
        if let Some(rates) = self.rates.as_deref_mut() {
            rates.flight.tlp.stop();
        }
    }

    fn on_reordering_timer(&mut self, cx: &mut Context<'_>) {
        let probe = self.mtu_probe();
        let paid = self.agreed.ecn && self.ecn.has_paid_for(self.snd.una);
        let repairing = self.recovery.in_recovery();
        let (recovery, mut sender) = self.recovery_and_sender(cx.now);
        recovery.on_reordering_timer(probe, paid, &mut sender);
        self.trace_losses(cx);
        if self.recovery.in_recovery() && !repairing {
            self.ecn.on_reduced(self.snd.nxt);
            self.trace_congestion(cx);
        }
        if let Some(rates) = self.rates.as_deref_mut() {
            rates.flight.forget_declared();
        }
        self.judge_mtu_probe(cx.now);
    }

    /// The retransmission timer fired, and text flies.
    pub(super) fn on_text_timeout(&mut self, cx: &mut Context<'_>) {
        let (sack, rules) = (self.agreed.sack, self.config.loss_detection);
        let (recovery, mut sender) = self.recovery_and_sender(cx.now);
        recovery.on_timeout(sack, rules, &mut sender);
        self.trace_losses(cx);
        if let Some(rates) = self.rates.as_deref_mut() {
            rates.flight.forget_declared();
        }
    }
}
