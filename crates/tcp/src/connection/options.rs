//! What a user of one connection sets and asks while it lives: another configuration, and figures for socket options.

use alloc::sync::Arc;

use super::{Connection, Opening};
use crate::config::Config;
use crate::error::PathError;
use crate::event::{Reason, Timer};
use crate::options::Agreed;
use crate::recovery::Phase;
use crate::recv::window_of;
use crate::state::State;
use crate::time::Instant;

/// Where the sender stands with losses, for those who look on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LossPhase {
    /// No loss is known.
    Open,
    /// Duplicate acknowledgements, too few to mean a loss.
    Disorder,
    /// Acknowledgements showed a loss that is being repaired.
    Recovery,
    /// The retransmission timer fired, and what flew then is being repaired.
    Loss,
}

impl Connection {
    /// How it behaves.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Behaves by `config` from now on. What the handshake settled stays (window scale, timestamps, SACK, the MSS that was
    /// advertised), and so does the congestion control; the window already offered is not taken back. A user timeout that
    /// runs starts anew.
    pub fn set_config(&mut self, now: Instant, config: Arc<Config>) {
        let before = core::mem::replace(&mut self.config, config);
        let sizes = |config: &Config| (config.first_receive_buffer(), config.receive_buffer);
        if sizes(&before) != sizes(&self.config) {
            let (first, most) = sizes(&self.config);
            let grown = usize::try_from(self.rcv.capacity).unwrap_or(usize::MAX);
            self.rcv.capacity = window_of(grown.clamp(first, most));
        }
        let bounds = |config: &Config| (config.min_rto, config.max_rto);
        if bounds(&before) != bounds(&self.config) {
            self.rtt
                .set_bounds(self.config.min_rto, self.config.max_rto);
        }
        if before.nagle != self.config.nagle {
            self.user.nodelay = !self.config.nagle;
        }
        if before.mss_clamp != self.config.mss_clamp {
            self.apply_mss();
        }
        if before.user_timeout != self.config.user_timeout {
            self.timers.stop(Timer::UserTimeout);
        }
        if before.keep_alive == self.config.keep_alive {
            self.rearm(now);
        } else {
            self.set_keep_alive(now, self.config.keep_alive);
        }
    }

    /// An acknowledgement that waits for company goes now.
    pub fn acknowledge_now(&mut self) {
        if self.rcv.ack.pending() && self.state.is_synchronized() {
            self.rcv.ack.owe(Reason::DelayedAck);
        }
    }

    /// Corked (`true`), only whole segments go, and FIN with what is before it; what is left after them waits for more text, for
    /// the cork to come out, or, once everything before it is acknowledged, for one retransmission timeout.
    pub fn set_cork(&mut self, now: Instant, corked: bool) {
        self.user.corked = corked;
        self.rearm(now);
    }

    /// Whether it is corked.
    #[must_use]
    pub fn corked(&self) -> bool {
        self.user.corked
    }

    /// The user will read no more (`shutdown` of both directions): text that arrives once this side has closed is answered by
    /// RST, as after [`Self::close`] (RFC 9293 section 3.6.1).
    pub fn refuse_text_after_close(&mut self) {
        self.user.deaf = true;
    }

    pub(super) fn refuses_text(&self) -> bool {
        let closed = matches!(self.state, State::FinWait1 | State::FinWait2);
        self.user.released || (self.user.deaf && closed)
    }

    /// What both SYNs agreed on.
    #[must_use]
    pub fn agreed(&self) -> &Agreed {
        &self.agreed
    }

    /// Octets written and never sent.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.snd.unsent() as usize
    }

    /// Whether the peer's FIN and everything before it was received, read or not.
    #[must_use]
    pub fn peer_finished(&self) -> bool {
        self.rcv.finished()
    }

    /// What the network last reported about the path, since the peer last acknowledged anything.
    #[must_use]
    pub fn path_error(&self) -> Option<PathError> {
        self.patience.path_error
    }

    /// Keep-alives that nobody answered yet.
    #[must_use]
    pub fn unanswered_keep_alives(&self) -> u8 {
        self.patience.keep_alives
    }

    /// Where it stands with losses.
    #[must_use]
    pub fn loss_phase(&self) -> LossPhase {
        match self.recovery.phase {
            Phase::Recovery { .. } => LossPhase::Recovery,
            Phase::Loss { .. } => LossPhase::Loss,
            Phase::Open if self.recovery.duplicates > 0 => LossPhase::Disorder,
            Phase::Open => LossPhase::Open,
        }
    }
}

impl Opening {
    /// The connection to come behaves by `config`. What the SYN offered stays.
    pub fn set_config(&mut self, config: Arc<Config>) {
        if self.config.keep_alive != config.keep_alive {
            self.set_keep_alive(config.keep_alive);
        }
        self.config = config;
    }

    /// How the connection to come behaves.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }
}
