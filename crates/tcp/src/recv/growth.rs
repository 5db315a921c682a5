//! How the receive buffer grows: dynamic right-sizing (Fisk and Feng, 2001), as every kernel does in its way.
//!
//! The peer cannot make it grow: what counts is the text that the *user* took in a round trip. Where that is more than
//! ever before, the buffer becomes twice as large as that (the sender may double it in the round trip that follows, while
//! the window that allows it is on its way), and more by what the last round grew.

use alloc::boxed::Box;
use core::time::Duration;

use super::Receive;
use crate::seq::SeqNum;
use crate::time::Instant;

/// The measurement: one round trip after the other, as the receiver sees them.
///
/// Times are milliseconds, the step of the timestamp clock, and so is the shortest round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    /// When this round began.
    since: Instant,
    /// The next octet the user was to read then.
    read: SeqNum,
    /// The most the user read in a round, octets.
    most_read: u32,
    /// The round trip, ms; `None` before the first sample.
    rtt: Option<u32>,
    /// The least sample of this round, ms.
    least: u32,
    /// When RCV.NXT gets here, a window's worth has come since `edge_since`: a round trip or more (for peers without
    /// timestamps).
    edge: SeqNum,
    edge_since: Instant,
}

impl Growth {
    /// The round trip as the receiver sees it.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.rtt.map(|ms| Duration::from_millis(u64::from(ms)))
    }

    /// A sample. Less is believed at once: what is too long comes of a peer that had nothing to send. More is at the
    /// round's end, by an eighth.
    fn sample(&mut self, ms: u32) {
        let ms = ms.max(1);
        self.least = self.least.min(ms);
        self.rtt = Some(self.rtt.map_or(ms, |rtt| rtt.min(ms)));
    }

    /// A round that began with `read` as the next octet to be read.
    fn begin(&mut self, now: Instant, read: SeqNum) {
        if let Some(rtt) = &mut self.rtt
            && self.least != u32::MAX
        {
            *rtt += self.least.saturating_sub(*rtt) / 8;
        }
        self.least = u32::MAX;
        self.since = now;
        self.read = read;
    }
}

fn millis(after: Duration) -> u32 {
    u32::try_from(after.as_millis()).unwrap_or(u32::MAX)
}

impl Receive {
    /// The round trip as the receiver sees it, once it was measured.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.growth.as_ref()?.rtt()
    }

    /// The most that the user read in a round trip; before that is known, what the buffer takes. Octets.
    pub(crate) fn space(&self) -> u32 {
        let read = self.growth.as_ref().map(|growth| growth.most_read);
        read.filter(|octets| *octets > 0).unwrap_or(self.capacity)
    }

    /// Text arrives, and the user has read what is not in the buffer. `echoed`: how old the timestamp is that it echoes,
    /// ms. `handshake`: the least round trip that the sending side knows. `most`: how far the buffer may grow.
    pub(crate) fn grow(
        &mut self,
        now: Instant,
        echoed: Option<u32>,
        handshake: Option<Duration>,
        most: u32,
    ) {
        let held = u32::try_from(self.buffer.len()).unwrap_or(u32::MAX >> 1);
        let read = self.nxt - held;
        let (nxt, adv) = (self.nxt, self.adv);
        let Some(growth) = &mut self.growth else {
            // As long as the first windows are not nearly filled, there is nothing to measure.
            if nxt.distance_from(self.irs) >= self.capacity / 16 {
                self.growth = Some(Box::new(Growth {
                    since: now,
                    read,
                    most_read: 0,
                    rtt: handshake.map(|rtt| millis(rtt).max(1)),
                    least: u32::MAX,
                    edge: adv,
                    edge_since: now,
                }));
            }
            return;
        };
        if let Some(ms) = echoed {
            growth.sample(ms);
        } else if nxt.at_or_after(growth.edge) {
            growth.sample(millis(now.since(growth.edge_since)));
            (growth.edge, growth.edge_since) = (adv, now);
        }
        let (Some(rtt), lasted) = (growth.rtt, millis(now.since(growth.since))) else {
            return;
        };
        if lasted < rtt {
            return;
        }
        // Where the peer paused, the round lasted longer, and the user need not have been that fast.
        let octets = u64::from(read.distance_from(growth.read));
        let octets = octets * u64::from(rtt) / u64::from(lasted.max(1));
        let octets = u32::try_from(octets).unwrap_or(u32::MAX);
        let more = octets.saturating_sub(growth.most_read);
        growth.begin(now, read);
        if more > 0 {
            growth.most_read = octets;
            let wanted = octets.saturating_add(more.saturating_mul(2));
            let wanted = wanted.saturating_mul(2).saturating_add(16 * u32::from(self.mss));
            self.capacity = self.capacity.max(wanted.min(most));
        }
    }
}
