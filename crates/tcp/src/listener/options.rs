//! What a user of a listener changes while it listens.

use alloc::sync::Arc;

use super::Listener;
use crate::config::Config;

impl Listener {
    /// Connections that open from now on behave by `config`; the limit and the timers of the half-open stay.
    pub fn set_config(&mut self, config: Arc<Config>) {
        self.config = config;
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
