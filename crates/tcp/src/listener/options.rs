//! What a user of a listener changes while it listens.

use alloc::sync::Arc;

use super::Listener;
use crate::config::Config;
use crate::error::PathError;
use crate::event::Context;
use crate::segment::Endpoints;
use crate::seq::SeqNum;

impl Listener {
    /// Connections that open from now on behave by `config`; the limit and the timers of the half-open stay.
    pub fn set_config(&mut self, config: Arc<Config>) {
        self.config = config;
    }

    /// The network reported an error about our SYN,ACK to `endpoints`, which began at `seq`. One that will not pass ends the
    /// half-open connection, and the listener listens on; others change nothing, for nobody waits for it yet. A report
    /// that quotes another number is ignored (RFC 5927 section 4.1).
    //= rfc9293 SHLD-26
    pub fn handle_path_error(
        &mut self,
        cx: &mut Context<'_>,
        endpoints: &Endpoints,
        error: PathError,
        seq: SeqNum,
    ) {
        if let Some(slot) = self.half_open.find(endpoints)
            && self
                .half_open
                .get(slot)
                .is_some_and(|entry| entry.iss == seq)
            && error.is_hard()
            && self.config.open_fails_on_hard_error
        {
            self.forget(cx, slot);
        }
    }

    /// As many finished connections may wait for `accept` from now on; zero counts as one. Those that wait already stay.
    pub fn set_backlog(&mut self, backlog: usize) {
        self.backlog = backlog.max(1);
    }

    /// Finished connections that wait for `accept`, and how many may.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        (self.waiting, self.backlog)
    }
}
