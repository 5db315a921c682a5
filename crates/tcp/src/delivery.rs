//! "How fast does the network deliver?": the rate sample of an acknowledgement (draft-ietf-ccwg-bbr section 4.1).
#![allow(dead_code, reason = "its user comes with the scoreboard")]

use core::time::Duration;

use crate::congestion::{LostText, RateSample};
use crate::time::Instant;

/// What a transmission remembers of the moment when it left ("P" of the draft).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SentAt {
    /// P.delivered: octets delivered before.
    delivered: u64,
    /// P.delivered_time: when the last of them was reported.
    delivered_at: Instant,
    /// P.first_send_time: when the first of this flight left.
    first_sent_at: Instant,
    /// P.lost: octets declared lost before.
    lost: u64,
    /// P.tx_in_flight: octets in flight, itself included; of more than 4 GiB, 4 GiB.
    tx_in_flight: u32,
    /// P.is_app_limited.
    app_limited: bool,
}

/// The counters of a connection ("C" of the draft), and the newest transmission that the acknowledgement under way reported.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Delivery {
    /// C.delivered.
    delivered: u64,
    /// C.delivered_time.
    delivered_at: Instant,
    /// C.first_send_time.
    first_sent_at: Instant,
    /// C.lost.
    lost: u64,
    /// Octets of marked text delivered.
    marked: u64,
    /// C.app_limited: until so much is delivered, samples say what the user wrote; zero: they say what the path takes.
    app_limited_until: u64,
    /// The newest reported transmission, and when it left.
    newest: Option<(SentAt, Instant)>,
}

impl Delivery {
    /// All octets ever delivered.
    pub(crate) const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Something leaves, while `in_flight` octets fly with it, `octets` of them its own.
    pub(crate) fn on_send(&mut self, now: Instant, octets: u64, in_flight: u64) -> SentAt {
        if in_flight <= octets {
            // Nothing flew: the clocks of sending and of delivery begin here.
            self.first_sent_at = now;
            self.delivered_at = now;
        }
        SentAt {
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent_at: self.first_sent_at,
            lost: self.lost,
            tx_in_flight: u32::try_from(in_flight).unwrap_or(u32::MAX),
            app_limited: self.app_limited_until > 0,
        }
    }

    /// The user left nothing to send though there was room: samples until `in_flight` is delivered say what he wrote.
    pub(crate) fn on_app_limited(&mut self, in_flight: u64) {
        self.app_limited_until = (self.delivered + in_flight).max(1);
    }

    /// `octets` of a transmission that left at `sent_at` were reported for the first time.
    pub(crate) fn on_delivered(
        &mut self,
        now: Instant,
        sent: &SentAt,
        sent_at: Instant,
        octets: u64,
    ) {
        self.delivered += octets;
        self.delivered_at = now;
        let newer = self.newest.is_none_or(|(_, newest)| sent_at >= newest);
        if newer {
            self.newest = Some((*sent, sent_at));
        }
    }

    /// `octets` of a transmission were declared lost.
    pub(crate) fn on_lost(&mut self, sent: &SentAt, octets: u64) -> LostText {
        self.lost += octets;
        LostText {
            octets,
            tx_in_flight: u64::from(sent.tx_in_flight),
            lost: self.lost.saturating_sub(sent.lost),
            delivered: self.delivered.saturating_sub(sent.delivered),
            app_limited: sent.app_limited,
        }
    }

    /// The acknowledgement is read to its end: its sample. Call once for each, after all its `on_delivered`.
    pub(crate) fn sample(&mut self, now: Instant) -> Option<RateSample> {
        if self.app_limited_until > 0 && self.delivered > self.app_limited_until {
            self.app_limited_until = 0;
        }
        let (sent, sent_at) = self.newest.take()?;
        self.first_sent_at = sent_at;
        let took_to_send = sent_at.since(sent.first_sent_at);
        let took_to_hear = self.delivered_at.since(sent.delivered_at);
        Some(RateSample {
            delivered: self.delivered.saturating_sub(sent.delivered),
            interval: took_to_send.max(took_to_hear).max(Duration::ZERO),
            prior_delivered: sent.delivered,
            tx_in_flight: u64::from(sent.tx_in_flight),
            lost: self.lost.saturating_sub(sent.lost),
            marked: 0,
            app_limited: sent.app_limited,
            rtt: now.since(sent_at),
        })
    }
}
