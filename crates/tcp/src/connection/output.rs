//! Makes the segment that was planned. The only place where segments are made.

use woshou_wire::tcp_option::{TcpOptions, Timestamps};

use super::{Connection, Plan, window_of_syn};
use crate::congestion::Trouble;
use crate::event::{Context, Reason, TraceEvent};
use crate::options::Offer;
use crate::segment::{Flags, Header, Transmit};
use crate::seq::SeqNum;
use crate::state::State;
use crate::time::Instant;

/// The text of a keep-alive that has one.
const GARBAGE: &[u8] = &[0];

/// How the segments of a plan are noted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Noted {
    /// Together: a device cuts them.
    AsOne,
    EachAlone,
}

impl Connection {
    /// Builds what `plan` chose, notes it as sent, and traces it.
    pub fn build(&mut self, cx: &mut Context<'_>, plan: Plan) -> Transmit<'_> {
        self.build_as(cx, plan, Noted::AsOne)
    }

    /// As [`Self::build`], for a stack that cuts the segments itself: they are noted and traced one by one, as if each had been
    /// planned and built alone. Their text is to be had by [`Self::sent_text`] for as long as it may have to be sent.
    pub fn build_train(&mut self, cx: &mut Context<'_>, plan: Plan) -> Transmit<'_> {
        self.build_as(cx, plan, Noted::EachAlone)
    }

    /// `len` octets of text that were sent from `seq` on, in at most two pieces; `None`: not (all) of it is still waiting for its
    /// acknowledgement.
    #[must_use]
    pub fn sent_text(&self, seq: SeqNum, len: u32) -> Option<[&[u8]; 2]> {
        let flies = seq.at_or_after(self.snd.una) && (seq + len).at_or_before(self.snd.nxt);
        let pieces = self.snd.pieces(seq, len);
        let whole = pieces[0].len() + pieces[1].len() == len as usize;
        (flies && whole && self.ended.is_none()).then_some(pieces)
    }

    /// Whether [`Self::sent_text`] still gives `len` octets from `seq` on, which were planned as one.
    #[inline]
    #[must_use]
    pub fn still_sends(&self, seq: SeqNum, len: u32) -> bool {
        let flies = seq.at_or_after(self.snd.una) && (seq + len).at_or_before(self.snd.nxt);
        flies && self.ended.is_none()
    }

    fn build_as(&mut self, cx: &mut Context<'_>, plan: Plan, noted: Noted) -> Transmit<'_> {
        let ecn = self.ecn_of(plan);
        // Before anything is noted: a probe of the path changes nothing about what others may carry, and blocks that are
        // reported only once take their part of this one.
        let room = self.room();
        let header = match plan.reason {
            Reason::Abort | Reason::WrongAck | Reason::NoConnection => self.build_reset(plan),
            _ if self.is_syn_ack(plan) => self.build_syn_ack(cx.now),
            _ => self.build_header(cx.now, plan),
        };
        let step = match noted {
            Noted::AsOne => u32::MAX,
            Noted::EachAlone => room,
        };
        self.note_sent(cx, plan, step);
        self.note_paced(cx.now, &plan);
        // Larger than a segment: the device cuts it. `room` is at most an IP packet.
        let cut = plan.len > room && plan.reason != Reason::MtuProbe;
        let segment_size = cut.then(|| u16::try_from(room).unwrap_or(u16::MAX));
        let segments = if cut { plan.len.div_ceil(room) } else { 1 };
        self.counters.segs_out += u64::from(segments);
        if plan.len > 0 && plan.reason != Reason::KeepAlive {
            self.counters.data_segs_out += u64::from(segments);
        }
        match noted {
            Noted::AsOne => cx.trace(&self.setup.endpoints, || TraceEvent::Sent {
                header,
                len: plan.len,
                segment_size,
                reason: plan.reason,
            }),
            Noted::EachAlone => self.trace_each(cx, &header, &plan, room),
        }
        self.rearm(cx.now);
        if plan.space() > 0 {
            self.arm_tail_probe(cx.now);
        }
        let text: [&[u8]; 2] = match plan.len {
            0 => [&[], &[]],
            _ if plan.reason == Reason::KeepAlive => [GARBAGE, &[]],
            len => self.snd.pieces(plan.seq, len),
        };
        Transmit {
            header,
            text,
            segment_size,
            ecn,
            reason: plan.reason,
        }
    }

    /// The segments of a train, for those who watch: all but the last without PSH and FIN, as they are cut.
    fn trace_each(&self, cx: &mut Context<'_>, first: &Header, plan: &Plan, step: u32) {
        if cx.observer.is_none() {
            return;
        }
        for start in (0..plan.len.max(1)).step_by(step as usize) {
            let len = step.min(plan.len - start);
            let mut header = *first;
            header.seq += start;
            if start + len < plan.len {
                header.flags = header.flags.without(Flags::PSH | Flags::FIN);
            }
            cx.trace(&self.setup.endpoints, || TraceEvent::Sent {
                header,
                len,
                segment_size: None,
                reason: plan.reason,
            });
        }
    }

    fn is_syn_ack(&self, plan: Plan) -> bool {
        self.state == State::SynReceived && plan.seq == self.snd.iss
    }

    /// RST with the number planned; it acknowledges what we have, so that any state of the peer believes it. One that
    /// answers a segment has the number that this acknowledged, and that is enough (RFC 9293 section 3.5.2).
    fn build_reset(&mut self, plan: Plan) -> Header {
        self.owed.reset = None;
        if plan.reason != Reason::Abort {
            return Header {
                seq: plan.seq,
                flags: Flags::RST,
                ..Header::default()
            };
        }
        self.rcv.ack.clear();
        Header {
            seq: plan.seq,
            ack: self.rcv.nxt,
            flags: Flags::RST | Flags::ACK,
            ..Header::default()
        }
    }

    fn build_syn_ack(&mut self, now: Instant) -> Header {
        self.owed.syn_ack = None;
        self.rcv.ack.clear();
        self.snd.last_sent = now;
        let offer = Offer::new(&self.config, self.setup.receive_mss);
        let theirs = TcpOptions {
            window_scale: self.agreed.scaling.then_some(self.agreed.send_scale),
            sack_permitted: self.agreed.sack,
            timestamps: self.paws.map(|p| Timestamps {
                value: p.recent,
                echo: 0,
            }),
            ..TcpOptions::default()
        };
        Header {
            seq: self.snd.iss,
            ack: self.rcv.nxt,
            flags: self.flags_of_syn_ack(),
            window: u16::try_from(window_of_syn(&self.config)).unwrap_or(u16::MAX),
            urgent: 0,
            options: offer.syn_ack(&theirs, self.setup.timestamp(now)),
        }
    }

    /// Any other segment: ACK, the window, timestamps, SACK blocks; PSH and URG where they belong.
    fn build_header(&mut self, now: Instant, plan: Plan) -> Header {
        let mut flags = Flags::ACK;
        if plan.fin {
            flags = flags | Flags::FIN;
        }
        let users = plan.len > 0 && plan.reason != Reason::KeepAlive;
        if users && self.carries_push(plan.seq, plan.seq + plan.len) {
            flags = flags | Flags::PSH;
        }
        flags = flags | self.ecn_flags(plan);
        let urgent = self.urgent_pointer(plan.seq);
        if urgent.is_some() {
            flags = flags | Flags::URG;
        }
        let (window, edge) = self.rcv.offer();
        self.rcv.adv = edge;
        self.rcv.most_offered = self.rcv.most_offered.max(self.rcv.wnd());
        self.rcv.last_ack_sent = self.rcv.nxt;
        self.rcv.ack.sent(plan.space() == 0);
        let mut options = TcpOptions {
            timestamps: self.paws.map(|paws| Timestamps {
                value: self.setup.timestamp(now),
                echo: paws.recent,
            }),
            ..TcpOptions::default()
        };
        if self.agreed.sack {
            options.sack = self.take_sack_blocks();
        }
        Header {
            seq: plan.seq,
            ack: self.rcv.nxt,
            flags,
            window,
            urgent: urgent.unwrap_or_default(),
            options,
        }
    }

    /// Keeps the books: SND.NXT, what flies, what was owed. New text in records of `step` octets.
    fn note_sent(&mut self, cx: &mut Context<'_>, plan: Plan, step: u32) {
        match plan.reason {
            Reason::KeepAlive => {
                // Its octet, if it has one, is none of the user's.
                self.owed.keep_alive = false;
                return;
            }
            Reason::MtuProbe => self.note_mtu_probe(cx.now, &plan),
            Reason::WindowProbe => {
                self.owed.probe = false;
                self.start_user_timeout(cx.now);
            }
            _ => {}
        }
        if plan.space() == 0 {
            return;
        }
        self.at_rest = false;
        let now = cx.now;
        let end = plan.seq + plan.space();
        self.counters.bytes_sent += u64::from(plan.len);
        let new_from = plan.seq.later(self.snd.nxt).earlier(end);
        let again = new_from.distance_from(plan.seq);
        if again > 0 {
            let segments = again.div_ceil(self.snd.mss.max(1));
            let trouble = self.trouble_mut();
            trouble.bytes_retrans += u64::from(again.min(plan.len));
            trouble.retrans += u64::from(segments);
            self.note_sent_again(now, &plan, (plan.seq, new_from));
            self.recovery.owed = None;
        }
        if new_from != end {
            if self.is_restart(now) {
                self.congestion.on_trouble(now, Trouble::Idle, 0);
                self.trace_congestion(cx);
            } else if self.snd.in_flight.is_empty() {
                self.shrink_unused(now);
            }
            self.snd.in_flight.take_room(&mut cx.chunks);
            while self.snd.nxt != end {
                let from = self.snd.nxt;
                let text_left = end.distance_from(from) - u32::from(plan.fin);
                let next = if text_left > step { from + step } else { end };
                self.note_new(now, &plan, (from, next));
                self.snd.nxt = next;
            }
            self.wake_writer();
            if plan.fin {
                self.snd.fin = Some(end - 1);
            }
        }
        self.snd.last_sent = now;
    }
}
