//! Is there surely nothing to send? Asked after every step, so that an owner with many connections gives no turn to those
//! that would not use it.

use super::{Connection, Opening};
use crate::state::State;

impl Connection {
    /// Whether [`Self::plan`] says `None`, whatever the time is and how much text is asked for. `false` says nothing.
    #[inline]
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let owed = &self.owed;
        if owed.reset.is_some() || owed.syn_ack.is_some() || owed.probe || owed.keep_alive {
            return false;
        }
        if self.state == State::Closed {
            return true;
        }
        let rates = self.rates.as_deref();
        let idle = self.snd.unsent() == 0
            && !self.snd.fin_due()
            && !self.snd.in_flight.has_lost()
            && self.urgent.is_none()
            && rates.is_none_or(|rates| !rates.flight.tlp.owed);
        self.rcv.ack.owed().is_none() && (idle || self.state == State::TimeWait)
    }
}

impl Opening {
    /// As [`Connection::is_quiet`].
    #[inline]
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        !self.owes()
    }
}
