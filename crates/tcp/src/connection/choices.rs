//! What a user chooses for one connection and most never do: keep-alive, user timeout, error reports, how much may
//! wait unsent.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::time::Duration;

use super::{Connection, Opening, initial_window};
use crate::config::KeepAlive;
use crate::congestion::CongestionFactory;
use crate::error::PathError;
use crate::event::{Timer, Wake};
use crate::seq::SeqNum;
use crate::time::Instant;

/// The choices that differ from the configuration. Only connections whose user made one hold it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Choices {
    pub(super) keep_alive: Option<KeepAlive>,
    /// R2; `None`: the configuration's.
    user_timeout: Option<Duration>,
    /// Soft errors are not reported.
    no_reports: bool,
    /// Most octets that wait unsent; `None`: what the buffer takes.
    most_unsent: Option<u32>,
    /// The number after what the user pushed last, until it is acknowledged.
    pub(super) pushed: Option<SeqNum>,
}

/// What may be switched off (RFC 9293 section 3.9.1.8).
const REPORTS: Wake = Wake(Wake::SOFT_ERROR.0 | Wake::DOUBTFUL.0 | Wake::URGENT.0);

impl Connection {
    pub(super) fn choices_mut(&mut self) -> &mut Choices {
        self.user.choices.get_or_insert_default()
    }

    /// Keep-alive on or off (RFC 9293 section 3.8.4).
    //= rfc9293 MUST-24
    //= rfc9293 MUST-27
    pub fn set_keep_alive(&mut self, now: Instant, keep_alive: Option<KeepAlive>) {
        if keep_alive.is_some() || self.user.choices.is_some() {
            self.choices_mut().keep_alive = keep_alive;
        }
        self.patience.keep_alives = 0;
        self.timers.stop(Timer::KeepAlive);
        self.rearm(now);
    }

    /// Keep-alive as it is now; `None`: off.
    //= rfc9293 MAY-5
    #[must_use]
    pub fn keep_alive(&self) -> Option<KeepAlive> {
        self.user.choices.as_ref()?.keep_alive
    }

    /// How long text may stay unacknowledged before the connection is given up: R2 (RFC 9293 section 3.8.3). `None`: as
    /// [`crate::Config::user_timeout`] says; [`Duration::MAX`]: never. Where it runs, it starts anew.
    //= rfc9293 MUST-21
    pub fn set_user_timeout(&mut self, now: Instant, after: Option<Duration>) {
        if after.is_some() || self.user.choices.is_some() {
            self.choices_mut().user_timeout = after;
        }
        self.timers.stop(Timer::UserTimeout);
        self.rearm(now);
    }

    /// R2 as it is now.
    #[must_use]
    pub fn user_timeout(&self) -> Duration {
        let chosen = self.user.choices.as_ref().and_then(|c| c.user_timeout);
        chosen.unwrap_or(self.config.user_timeout)
    }

    /// Whether the user hears of what may pass ([`Wake::SOFT_ERROR`], [`Wake::DOUBTFUL`], [`Wake::URGENT`]). It does
    /// unless switched off; [`Self::path_error`] and [`Self::urgent_unread`] tell all the same.
    //= rfc9293 SHLD-20
    pub fn set_error_reports(&mut self, on: bool) {
        if !on || self.user.choices.is_some() {
            self.choices_mut().no_reports = !on;
        }
    }

    /// Whether the user hears of soft errors.
    #[must_use]
    pub fn error_reports(&self) -> bool {
        self.user.choices.as_ref().is_none_or(|c| !c.no_reports)
    }

    /// At most so many octets wait to be sent for the first time (the not-sent low-water mark); [`Self::write`] takes no
    /// more, and [`Wake::WRITABLE`] comes when half of them have left. Zero counts as one; `None`: what the send
    /// buffer takes.
    pub fn set_not_sent_low(&mut self, octets: Option<u32>) {
        if octets.is_some() || self.user.choices.is_some() {
            self.choices_mut().most_unsent = octets.map(|octets| octets.max(1));
        }
        self.wake_writer();
    }

    /// The not-sent low-water mark, octets.
    #[must_use]
    pub fn not_sent_low(&self) -> Option<u32> {
        self.user.choices.as_ref()?.most_unsent
    }

    /// Another congestion control algorithm, from now on: with the window and the threshold of the one before
    /// ([`crate::congestion::CongestionControl::take_over`]).
    ///
    /// What was agreed with the peer stays: an algorithm that needs ECN gets it only where it was chosen before the connection
    /// was opened.
    pub fn set_congestion(&mut self, now: Instant, factory: &dyn CongestionFactory) {
        let mss = self.snd.mss;
        let start = initial_window(self.config.initial_window, mss);
        let before = &self.congestion;
        let (window, threshold) = (before.window(), before.threshold());
        self.congestion = factory.make(mss, start);
        self.congestion.take_over(now, window, threshold);
        self.rearm(now);
    }

    /// The name of the congestion control algorithm: `cubic`.
    #[must_use]
    pub fn congestion_name(&self) -> &'static str {
        self.congestion.name()
    }

    /// Tells a writer who waits that there is room that is worth it: a third of the buffer, half of the low-water mark.
    pub(super) fn wake_writer(&mut self) {
        if !self.user.waits_to_write {
            return;
        }
        let low = self.not_sent_low();
        let most = low.map_or(usize::MAX, |octets| octets.div_ceil(2) as usize);
        if self.writable() >= (self.send_capacity() / 3).min(most) {
            self.user.waits_to_write = false;
            self.wake |= Wake::WRITABLE;
        }
    }

    /// Octets that `write` would take now.
    #[must_use]
    pub fn writable(&self) -> usize {
        let room = self.send_capacity().saturating_sub(self.snd.buffer.len());
        let unsent = self.snd.unsent();
        self.not_sent_low().map_or(room, |octets| {
            room.min(octets.saturating_sub(unsent) as usize)
        })
    }
}

impl Opening {
    fn choices_mut(&mut self) -> &mut Choices {
        self.choices.get_or_insert_default()
    }

    /// As [`Connection::set_keep_alive`], for the connection to come.
    pub fn set_keep_alive(&mut self, keep_alive: Option<KeepAlive>) {
        self.choices_mut().keep_alive = keep_alive;
    }

    /// As [`Connection::set_user_timeout`], for the connection to come: opening itself takes
    /// [`crate::Config::open_timeout`] at most.
    pub fn set_user_timeout(&mut self, after: Option<Duration>) {
        self.choices_mut().user_timeout = after;
    }

    /// As [`Connection::set_error_reports`], from now on.
    pub fn set_error_reports(&mut self, on: bool) {
        self.choices_mut().no_reports = !on;
    }

    /// As [`Connection::set_not_sent_low`], for the connection to come.
    pub fn set_not_sent_low(&mut self, octets: Option<u32>) {
        self.choices_mut().most_unsent = octets.map(|octets| octets.max(1));
    }

    /// The congestion control algorithm of the connection to come. One that needs ECN asks for it by the SYN, where that has
    /// not been sent yet.
    pub fn set_congestion(&mut self, factory: Arc<dyn CongestionFactory>) {
        Arc::make_mut(&mut self.config).congestion = factory;
        self.offer_ecn();
    }

    /// The name of that algorithm.
    #[must_use]
    pub fn congestion_name(&self) -> &'static str {
        self.config.congestion.name()
    }

    /// What the network last reported about our SYN.
    #[must_use]
    pub fn path_error(&self) -> Option<PathError> {
        self.path_error
    }
}

/// `wake` without what the user does not want to hear.
pub(super) fn wanted(choices: Option<&Choices>, wake: Wake) -> Wake {
    if choices.is_some_and(|choices| choices.no_reports) {
        Wake(wake.0 & !REPORTS.0)
    } else {
        wake
    }
}

/// `None` where `keep_alive` is what everyone has.
pub(super) fn choices(keep_alive: Option<KeepAlive>) -> Option<Box<Choices>> {
    keep_alive.map(|keep_alive| {
        Box::new(Choices {
            keep_alive: Some(keep_alive),
            ..Choices::default()
        })
    })
}
