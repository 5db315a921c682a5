//! Header prediction, the other half: a plain acknowledgement of text that flies, with nothing amiss before or beside it, which is
//! what nearly all segments are that a sender of bulk hears, goes by a short way to where the long one would take it.
//!
//! As in `predicted`, nothing is decided here, and `tests/prediction.rs` holds both ways against each other.

use super::super::Connection;
use crate::event::Context;
use crate::recovery::rack::Surroundings;
use crate::segment::{Flags, Segment};
use crate::state::State;
use crate::time::Instant;

impl Connection {
    /// Takes the segment if it acknowledges text that flies and does nothing else, while all is calm. `false`: nothing was done.
    pub(in crate::connection) fn take_plain(
        &mut self,
        cx: &mut Context<'_>,
        segment: &Segment<'_>,
    ) -> bool {
        if !self.predicts_plain(cx.now, segment) {
            return false;
        }
        let now = cx.now;
        self.heard(now, segment);
        self.check_app_limited();
        let prior = self.snd.in_flight.octets();
        let watched = cx.observer.is_some().then(|| self.congestion_figures());
        let limited = self.is_congestion_limited(now, prior);
        let heard = self.take_reports(cx, segment);
        let acked = heard.acked.octets;
        self.count_delivered(acked);
        self.conclude_nothing();
        let mut sample = self.sample_of(now, acked, false);
        sample.acked = acked;
        sample.prior_in_flight = prior;
        sample.window_limited = limited;
        sample.rtt = heard.rtt;
        self.congestion.on_ack(&sample);
        if watched.is_some_and(|before| before != self.congestion_figures()) {
            self.trace_congestion(cx);
        }
        let window = u32::from(segment.header.window) << self.snd.scale;
        self.update_send_window(now, segment, window);
        self.process_ack_of_fin(cx);
        self.at_rest = false;
        self.rearm(now);
        self.arm_tail_probe(now);
        true
    }

    /// Whether the segment may take the short way.
    pub(in crate::connection) fn predicts_plain(
        &self,
        now: Instant,
        segment: &Segment<'_>,
    ) -> bool {
        self.is_plain(now, segment) && self.is_calm()
    }

    /// It acknowledges some of what flies, and says nothing else but the window and timestamps.
    fn is_plain(&self, now: Instant, segment: &Segment<'_>) -> bool {
        let header = &segment.header;
        let in_time = self
            .paws
            .as_ref()
            .is_none_or(|paws| paws.check(now, header).is_ok());
        segment.text.octets.is_empty()
            && header.flags == Flags::ACK
            && header.seq == self.rcv.nxt
            && header.ack.after(self.snd.una)
            && header.ack.at_or_before(self.snd.nxt)
            && header.window > 0
            && header.options.sack.as_slice().is_empty()
            && in_time
    }

    /// Nothing is lost, repaired, probed for or in doubt, and no FIN is waited for that came out of order.
    fn is_calm(&self) -> bool {
        let rules = &self.config.loss_detection;
        let in_flight = &self.snd.in_flight;
        let (closes, last) = (State::FinWait1, State::LastAck);
        (self.state == State::Established || self.state == closes || self.state == last)
            && (self.rcv.fin.is_none() || self.state == last)
            && self.snd.wnd > 0
            && self.agreed.sack
            && rules.rack
            && !self.agreed.ecn
            && self.search.is_none()
            && self.keep_alive().is_none()
            && self.recovery.is_calm()
            && !in_flight.has_sacked()
            && !in_flight.has_lost()
            && self
                .rates
                .as_deref()
                .is_some_and(|rates| rates.flight.is_calm(in_flight.oldest()))
    }

    /// What loss recovery concludes where there is nothing to conclude: RACK's window follows the round trip, and whatever flies
    /// left after what has arrived.
    fn conclude_nothing(&mut self) {
        let here = Surroundings {
            una: self.snd.una,
            nxt: self.snd.nxt,
            min_rtt: self.recent_min_rtt().unwrap_or_default(),
            srtt: self.rtt.srtt().unwrap_or_default(),
            repairing: false,
            many_sacked: false,
            dsack: false,
            recovered: false,
            fixed: self.config.loss_detection.rack_static_window,
        };
        self.recovery.on_plain_progress();
        if let Some(rates) = self.rates.as_deref_mut() {
            rates.flight.on_plain_progress(&here);
        }
    }
}
