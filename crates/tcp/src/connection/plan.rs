//! What goes next: the only place where that is decided. `output` makes the segment of it.

use super::{Connection, initial_window};
use crate::event::Reason;
use crate::recovery::{Frto, Phase};
use crate::send::flow::{Allowance, Verdict};
use crate::seq::SeqNum;
use crate::state::State;
use crate::time::Instant;

/// What to send next: small, `Copy`, decided without touching a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Why.
    pub reason: Reason,
    /// First sequence number.
    pub seq: SeqNum,
    /// Octets of text.
    pub len: u32,
    /// FIN goes with it.
    pub fin: bool,
}

impl Plan {
    pub(super) const fn bare(reason: Reason, seq: SeqNum) -> Self {
        Self {
            reason,
            seq,
            len: 0,
            fin: false,
        }
    }

    /// Octets of sequence space.
    pub(super) fn space(&self) -> u32 {
        self.len + u32::from(self.fin)
    }
}

impl Connection {
    /// What to send next, with at most `max_text` octets of text: more than one segment's worth makes a
    /// super-segment for a device that cuts it (GSO). A probe of the path's MTU is one segment. Pure: calling it
    /// changes nothing.
    #[must_use]
    pub fn plan(&self, now: Instant, max_text: u32) -> Option<Plan> {
        if let Some((seq, reason)) = self.owed.reset {
            return Some(Plan::bare(reason, seq));
        }
        if self.state == State::SynReceived {
            return match self.owed.syn_ack {
                Some(reason) => Some(Plan::bare(reason, self.snd.iss)),
                None => self.plan_ack(),
            };
        }
        if !matches!(self.state, State::Closed | State::TimeWait) {
            // From segment to segment the urgent pointer differs: a device that cuts would not know.
            let max_text = match self.sends_urgent() {
                true => max_text.min(self.room()),
                false => max_text,
            };
            let paced = self.paced(now, max_text);
            let text = paced
                .and_then(|max_text| self.plan_lost(now, max_text))
                .or_else(|| self.plan_probe())
                .or_else(|| self.plan_tail_probe(max_text))
                .or_else(|| paced.and_then(|max_text| self.plan_mtu_probe(now, max_text)))
                .or_else(|| paced.and_then(|max_text| self.plan_new(now, max_text)))
                .or_else(|| self.plan_urgent_notice());
            if text.is_some() {
                return text;
            }
        }
        self.plan_ack().or_else(|| {
            let owed = self.owed.keep_alive;
            owed.then(|| Plan {
                //= rfc9293 SHLD-12
                //= rfc9293 MAY-6
                len: u32::from(self.config.keep_alive_garbage),
                ..Plan::bare(Reason::KeepAlive, self.snd.nxt - 1)
            })
        })
    }

    /// Urgent text that neither window lets go: the pointer goes ahead of it, by an empty segment, for the peer's user to
    /// take what is in the way (RFC 9293 section 3.8.5).
    fn plan_urgent_notice(&self) -> Option<Plan> {
        let due = self.urgent_notice_due();
        due.then(|| Plan::bare(Reason::Urgent, self.snd.nxt))
    }

    fn plan_ack(&self) -> Option<Plan> {
        if self.state == State::Closed {
            return None;
        }
        self.rcv
            .ack
            .owed()
            .map(|reason| Plan::bare(reason, self.snd.nxt))
    }

    /// SND.NXT, or what of it the peer's window takes: a probe of a shut window and what flew when it shrank lie beyond
    /// it, and the peer would refuse a RST that came after them.
    ///
    /// Not for acknowledgements. Had the peer taken the probe, it would refuse them all, while those at SND.NXT and
    /// the probe's own repetitions never miss it both.
    pub(super) fn acceptable(&self) -> SeqNum {
        if self.state == State::SynReceived {
            return self.snd.nxt;
        }
        self.snd.nxt.earlier(self.snd.una + self.snd.wnd)
    }

    /// The next range believed lost, as far as both windows let it go (RFC 6675 section 5, C).
    //= rfc9293 SHLD-16
    fn plan_lost(&self, now: Instant, max_text: u32) -> Option<Plan> {
        let next = self.snd.in_flight.next_lost_record()?;
        let (start, lost) = (next.start, next.end.distance_from(next.start));
        let by_rack = next.by_rack;
        if self.recovery.owed.is_none() && self.waits_for_frto() {
            // Nothing else goes again before it is known whether the timer fired in vain (RFC 5682).
            return None;
        }
        let edge = self.snd.una + self.snd.wnd;
        if !start.before(edge) {
            return None;
        }
        let room = self.room();
        let allowed = self.congestion_room(now);
        let mut len = lost.min(edge.distance_from(start)).min(max_text.max(1));
        if u64::from(len) > allowed {
            let whole = u32::try_from(allowed).unwrap_or(u32::MAX) / room * room;
            // The first retransmission after a loss goes whatever flies (RFC 6675 section 5, 4.3).
            let least = if self.recovery.owed.is_some() {
                room
            } else {
                0
            };
            len = len.min(whole.max(least));
        }
        if len > room && len < lost {
            len -= len % room;
        }
        if len == 0 {
            return None;
        }
        if start + len == self.snd.nxt {
            len += self.text_to_fill(len, room.min(max_text));
        }
        let (text, fin) = self.snd.text_and_fin(start, start + len);
        let text = self.contiguous(start, text);
        let fin = fin && text + 1 == len;
        let usual = match by_rack {
            true => Reason::RackLoss,
            false => Reason::LossRecovery,
        };
        let reason = self.recovery.owed.unwrap_or(usual);
        (text > 0 || fin).then_some(Plan {
            reason,
            seq: start,
            len: text,
            fin,
        })
    }

    /// Octets of new text that fill a last retransmission of `len` octets up to a segment of `room`: the octet of a
    /// window probe, say, when the window has opened (RFC 9293 section 3.8.6.2.1).
    fn text_to_fill(&self, len: u32, room: u32) -> u32 {
        if self.snd.fin.is_some() {
            return 0;
        }
        let more = self.snd.unsent().min(self.snd.usable_window());
        more.min(room.saturating_sub(len))
    }

    /// One octet into a shut window, or what fits into one too small to be worth it (RFC 9293 section 3.8.6.1).
    fn plan_probe(&self) -> Option<Plan> {
        if !self.owed.probe {
            return None;
        }
        let reason = Reason::WindowProbe;
        //= rfc9293 MAY-7
        if let Some(oldest) = self.snd.in_flight.oldest() {
            let (text, fin) = self.snd.text_and_fin(oldest.start, oldest.end);
            return Some(Plan {
                reason,
                seq: oldest.start,
                len: text.min(1),
                fin: fin && text == 0,
            });
        }
        let seq = self.snd.nxt;
        let len = self
            .snd
            .usable_window()
            .max(1)
            .min(self.snd.unsent())
            .min(self.room());
        let len = self.contiguous(seq, len);
        let fin = len == 0 && self.snd.fin_due();
        (len > 0 || fin).then_some(Plan {
            reason,
            seq,
            len,
            fin,
        })
    }

    /// New text, and FIN when the text is over.
    fn plan_new(&self, now: Instant, max_text: u32) -> Option<Plan> {
        let seq = self.snd.nxt;
        let usable = self.snd.usable_window();
        let room = self.room();
        let mut allowance = Allowance {
            congestion: self.congestion_room(now),
            ..self.allowance(max_text)
        };
        let frto = self.frto();
        match frto {
            Frto::Off => {}
            Frto::First(_) => allowance.congestion = 0,
            Frto::Second { left, .. } => allowance.congestion = u64::from(left) * u64::from(room),
        }
        match self.snd.new_text(&allowance) {
            Verdict::Send(len) => {
                let mut len = self.contiguous(seq, len);
                if len < self.snd.unsent() && len > room {
                    len -= len % room;
                }
                let fin = self.snd.fin_due() && len == self.snd.unsent() && usable > len;
                let limited = self.recovery.phase == Phase::Open && self.recovery.duplicates > 0;
                let reason = match (frto, limited) {
                    (Frto::Second { .. }, _) => Reason::FrtoProbe,
                    (_, true) => Reason::LimitedTransmit,
                    _ => Reason::Data,
                };
                Some(Plan {
                    reason,
                    seq,
                    len,
                    fin,
                })
            }
            Verdict::Nothing if self.snd.fin_due() && usable > 0 => Some(Plan {
                reason: Reason::Close,
                seq,
                len: 0,
                fin: true,
            }),
            _ => None,
        }
    }

    /// Whether nothing may go again before an acknowledgement tells of the timeout. Where it is new text that has to draw it, and
    /// none can go (Nagle, a window that shrank), nothing is waited for (RFC 5682 section 3.1, step 2 b).
    fn waits_for_frto(&self) -> bool {
        match self.frto() {
            Frto::Off => false,
            Frto::First(_) => true,
            Frto::Second { left, .. } => {
                left == 0 || matches!(self.new_text(u32::MAX), Verdict::Send(_))
            }
        }
    }

    /// `new_text` without the congestion window: what the peer's window alone says.
    pub(super) fn new_text(&self, max_text: u32) -> Verdict {
        self.snd.new_text(&self.allowance(max_text))
    }

    fn allowance(&self, max_text: u32) -> Allowance {
        let urgent = self.is_unsent_urgent();
        Allowance {
            room: self.room(),
            congestion: u64::MAX,
            max_text,
            nodelay: self.user.nodelay || urgent,
            corked: self.user.corked && !urgent && !self.is_unsent_pushed(),
        }
    }

    /// Octets of text that a segment carries now: SACK blocks take their part of it (RFC 9293 section 3.7.1).
    pub(super) fn room(&self) -> u32 {
        let sack = self.sack_len();
        self.snd.mss.saturating_sub(sack).max(1)
    }

    pub(super) fn contiguous(&self, seq: SeqNum, len: u32) -> u32 {
        let offset = seq.distance_from(self.snd.text_start()) as usize;
        len.min(u32::try_from(self.snd.buffer.contiguous(offset)).unwrap_or(u32::MAX))
    }

    /// Octets that the congestion window leaves. One segment may always fly: an algorithm that allows less would stop the
    /// connection for good.
    pub(super) fn congestion_room(&self, now: Instant) -> u64 {
        let mut window = self.cwnd().max(u64::from(self.snd.mss));
        if self.is_restart(now) {
            window = window.min(initial_window(self.config.initial_window, self.snd.mss));
        }
        window.saturating_sub(self.recovery.pipe(&self.snd))
    }

    /// Nothing flies and nothing was sent for longer than the timeout: cwnd says nothing about the path any more
    /// (RFC 5681 section 4.1).
    pub(super) fn is_restart(&self, now: Instant) -> bool {
        self.config.slow_start_after_idle
            && self.snd.in_flight.is_empty()
            && now.since(self.snd.last_sent) > self.rtt.rto()
    }
}
