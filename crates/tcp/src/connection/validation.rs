//! The congestion window of a sender who does not use it (RFC 7661).

use alloc::boxed::Box;

use super::{Connection, Rates, initial_window};
use crate::recovery::Phase;
use crate::recovery::flight::Flight;
use crate::recovery::least::Least;
use crate::time::Instant;
use crate::validation::Validation;

impl Connection {
    /// An acknowledgement arrived and is not counted yet: whether what it acknowledges may make the window grow. It may when the
    /// window is what held the sender back, or where half of it was used of late (RFC 7661 sections 4.3, 4.4).
    pub(super) fn is_congestion_limited(&mut self, now: Instant, in_flight: u64) -> bool {
        let (una, nxt) = (self.snd.una, self.snd.nxt);
        if self.rates.is_none() && in_flight == 0 {
            return false;
        }
        let srtt = self.rtt.srtt().unwrap_or_default();
        let repairing = self.recovery.phase != Phase::Open;
        let validation = &mut self.rates_mut(now).validation;
        if repairing {
            // No samples of pipeACK while a loss is repaired (RFC 7661 section 4.2).
            validation.reset(una, nxt);
        }
        validation.on_time(now, srtt);
        validation.on_ack(una, nxt, in_flight);
        self.shrink_unused(now);
        let cwnd = self.congestion.window();
        let ssthresh = self.congestion.threshold();
        let mss = u64::from(self.snd.mss);
        let rates = self.rates_mut(now);
        if rates.flight.ramp.is_on() {
            // What was restored is to be used first (RFC 4015 section 3.4).
            return false;
        }
        let validation = &rates.validation;
        validation.is_window_limited(cwnd, ssthresh, mss)
            || (validation.pipe_ack().is_some() && validation.is_validated(cwnd))
    }

    /// A window that was not used for five minutes is halved, to the initial window at the least, and ssthresh remembers it (RFC
    /// 7661 section 4.4.3).
    pub(super) fn shrink_unused(&mut self, now: Instant) {
        let (cwnd, srtt) = (self.congestion.window(), self.rtt.srtt());
        let Some(rates) = &mut self.rates else { return };
        rates.validation.on_time(now, srtt.unwrap_or_default());
        let times = rates.validation.overdue(now, cwnd);
        if times > 0 {
            let least = initial_window(self.config.initial_window, self.snd.mss);
            let window = (cwnd >> times.min(63)).max(least);
            self.congestion.shrink(now, window, cwnd / 4 * 3);
        }
    }

    pub(super) fn rates_mut(&mut self, now: Instant) -> &mut Rates {
        let (una, nxt) = (self.snd.una, self.snd.nxt);
        let known = self.rtt.min_rtt();
        self.rates.get_or_insert_with(|| {
            Box::new(Rates {
                pacer: None,
                validation: Validation::new(now, una, nxt),
                flight: Flight::new(una, Least::new(now, known)),
            })
        })
    }

    /// pipeACK where the window is not validated, or nothing (RFC 7661 section 4.4.1).
    pub(super) fn unvalidated_pipe_ack(&self) -> u64 {
        let cwnd = self.congestion.window();
        let validation = self.rates.as_ref().map(|rates| &rates.validation);
        let unused = validation.filter(|validation| !validation.is_validated(cwnd));
        unused.and_then(Validation::pipe_ack).unwrap_or(0)
    }
}
