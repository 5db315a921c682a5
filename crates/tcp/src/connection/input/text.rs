//! Seventh and eighth of SEGMENT ARRIVES: text and FIN.

use super::Connection;
use crate::error::{Ended, Refusal};
use crate::event::{Context, Reason, Timer, Wake};
use crate::memory::Pressure;
use crate::options::timestamp;
use crate::recv::reassembly::Inserted;
use crate::recv::window_of;
use crate::segment::{Flags, Segment, Text};
use crate::seq::SeqNum;
use crate::state::Event;
use crate::time::Instant;

impl Connection {
    /// Seventh: the text, cut to the window; in order to the user, out of order to reassembly.
    pub(in crate::connection) fn process_text(
        &mut self,
        cx: &mut Context<'_>,
        segment: &Segment<'_>,
    ) -> Result<(), Refusal> {
        if segment.text.octets.is_empty() {
            return Ok(());
        }
        if !self.state.receives_text() {
            // Ignored; but at a shut window it is a probe, which the first check lets pass for its ACK's sake.
            if self.rcv.wnd() == 0 {
                self.rcv.ack.owe(Reason::ProbeAnswer);
            }
            return Ok(());
        }
        if self.refuses_text() {
            // Nobody will read it: the peer must know (RFC 9293 section 3.6.1). As the kernels tell it: the connection is
            // gone, and the segment finds nobody (section 3.10.7.1).
            self.owed.reset = Some((segment.header.ack, Reason::NoConnection));
            self.end(cx, Ended::Aborted);
            return Err(Refusal::TextAfterClose);
        }
        self.note_pushed(segment);
        self.note_mark(segment);
        self.note_repeated(segment);
        self.counters.last_data_recv = cx.now;
        self.grow_receive_buffer(cx.now, segment);
        let (seq, text) = self.cut_to_window(segment);
        if text.octets.is_empty() {
            // Known already, or nothing fits: the sender probes or repeats, and wants to hear.
            let duplicate = segment.header.seq.before(self.rcv.nxt);
            self.rcv.ack.owe(if duplicate {
                Reason::Duplicate
            } else {
                Reason::ProbeAnswer
            });
            return Ok(());
        }
        let len = u32::try_from(text.octets.len()).unwrap_or(u32::MAX);
        self.note_segment_size(len, segment);
        if self.is_too_much(seq) {
            // As if it had been lost; the acknowledgement tells where to go on, and that no more window comes.
            self.rcv.ack.owe(Reason::Gap);
            return Err(Refusal::NoMemory);
        }
        let text = self.cut_to_memory(text);
        if seq != self.rcv.nxt {
            let trouble = self.trouble_mut();
            let segments = u32::from(segment.coalesced.max(1));
            trouble.rcv_ooopack = trouble.rcv_ooopack.saturating_add(segments);
            return self.hold_text(seq, text);
        }
        let taken = self.take_text(text);
        self.took_text(cx.now, taken, segment.header.seq.before(seq));
        Ok(())
    }

    /// How far the peer's user wants its text to be read at once.
    pub(super) fn note_pushed(&mut self, segment: &Segment<'_>) {
        if segment.header.flags.contains(Flags::PSH) {
            let end = segment.header.seq + segment.len_of_text();
            self.rcv.pushed = Some(self.rcv.pushed.map_or(end, |at| at.later(end)));
        }
    }

    /// The largest segments of the peer, by one of `len` octets of text: what two of them are is acknowledged at once.
    pub(super) fn note_segment_size(&mut self, len: u32, segment: &Segment<'_>) {
        let full = match segment.coalesced {
            0 | 1 => len,
            segments => len.div_ceil(u32::from(segments)),
        };
        let full = u16::try_from(full).unwrap_or(u16::MAX);
        if full > self.rcv.mss {
            self.rcv.mss = self.rcv.mss.max(full.min(self.advertised_mss()));
        }
    }

    /// The receive buffer grows where the user kept up; not where its size is fixed, nor under pressure.
    pub(super) fn grow_receive_buffer(&mut self, now: Instant, segment: &Segment<'_>) {
        let most = match self.rcv.pressure {
            Pressure::Plenty => window_of(self.config.receive_buffer),
            Pressure::Pressure | Pressure::Critical => 0,
        };
        let echo = self.paws.and(segment.header.options.timestamps);
        let clock = timestamp(now, self.setup.timestamp_offset);
        let echoed = echo
            .map(|t| clock.wrapping_sub(t.echo))
            .filter(|ms| *ms < 1 << 30);
        let handshake = self.rtt.min_rtt();
        self.rcv.grow(now, echoed, handshake, most);
    }

    /// Whether there is no memory for text at `seq`. A user who has read everything always gets some: the connection
    /// gets on, and gives memory back.
    fn is_too_much(&self, seq: SeqNum) -> bool {
        let waits = seq != self.rcv.nxt || self.rcv.buffer.len() > 0;
        self.rcv.pressure == Pressure::Critical && waits
    }

    /// What there is memory for of text that nothing waits before: the rest is as if it had been lost.
    fn cut_to_memory<'a>(&self, text: Text<'a>) -> Text<'a> {
        let most = self.rcv.pressure.text_limit();
        let octets = text.octets.get(..most).unwrap_or(text.octets);
        Text { octets, ..text }
    }

    /// Where SACK was agreed on, text that is here already is reported (RFC 2883): its sender repeated it in vain.
    pub(super) fn note_repeated(&mut self, segment: &Segment<'_>) {
        let len = u32::try_from(segment.text.octets.len()).unwrap_or(u32::MAX);
        if self.agreed.sack && len > 0 {
            // A SYN takes the number before its text.
            let start = segment.header.seq + u32::from(segment.header.flags.syn());
            self.rcv.note_repeated(start, start + len);
        }
    }

    /// Takes text that begins at RCV.NXT, and what was held behind it; where both have an octet, the held one came
    /// first and stays. Returns by how much RCV.NXT moved.
    fn take_text(&mut self, text: Text<'_>) -> u32 {
        let start = self.rcv.nxt;
        let mut octets = text.octets;
        while !octets.is_empty() {
            let held = self.rcv.reassembly.lowest();
            let gap = held.map_or(octets.len(), |at| at.distance_from(self.rcv.nxt) as usize);
            let new = octets.get(..gap).unwrap_or(octets);
            let before = self.rcv.nxt;
            self.rcv.buffer.push(Text {
                octets: new,
                owner: text.owner,
            });
            self.rcv.nxt += u32::try_from(new.len()).unwrap_or(u32::MAX);
            if held.is_some() {
                let more = self
                    .rcv
                    .reassembly
                    .take_contiguous(self.rcv.nxt, &mut self.rcv.buffer);
                self.rcv.nxt += more;
                // RFC 5681 section 4.2: what fills a hole, wholly or in part, is acknowledged at once.
                let open = !self.rcv.reassembly.is_empty();
                self.rcv.ack.owe(if open {
                    Reason::Gap
                } else {
                    Reason::HoleFilled
                });
            }
            let known = self.rcv.nxt.distance_from(before) as usize;
            octets = octets.get(known..).unwrap_or_default();
        }
        self.rcv.nxt.distance_from(start)
    }

    /// Text came in order: tell the user, and the peer in time.
    pub(super) fn took_text(&mut self, now: Instant, octets: u32, repeated: bool) {
        self.counters.bytes_received += u64::from(octets);
        self.wake |= Wake::READABLE;
        if repeated {
            self.rcv.ack.owe(Reason::Duplicate);
        }
        let (mss, every) = (u32::from(self.rcv.mss), self.config.ack_every);
        self.rcv.ack.text_arrived(octets, mss, every);
        // Runs after an acknowledgement that leaves sooner, too: when it fires, an empty buffer is given back.
        if !self.timers.runs(Timer::DelayedAck) {
            //= rfc9293 MUST-40
            self.timers
                .set(Timer::DelayedAck, now + self.config.delayed_ack);
        }
    }

    /// Keeps text that came out of order (SHLD-31) and owes a duplicate acknowledgement at once.
    //= rfc9293 SHLD-31
    fn hold_text(&mut self, seq: SeqNum, text: Text<'_>) -> Result<(), Refusal> {
        // What the entries cost comes on top of the octets that the window allows.
        let window = usize::try_from(self.rcv.capacity.max(self.rcv.wnd())).unwrap_or(usize::MAX);
        let budget = window.saturating_add(window / 2);
        let inserted = self.rcv.reassembly.insert(self.rcv.nxt, seq, text, budget);
        //= rfc9293 MAY-13
        self.rcv.ack.owe_gap(self.agreed.sack);
        match inserted {
            Inserted::NoMemory => Err(Refusal::NoMemory),
            _ => Ok(()),
        }
    }

    /// The part of the text that lies in RCV.NXT .. RCV.NXT + RCV.WND, and where it begins.
    fn cut_to_window<'a>(&self, segment: &Segment<'a>) -> (SeqNum, Text<'a>) {
        // A SYN that is not refused above occupies the number before the text; there is none here.
        let mut seq = segment.header.seq;
        let mut octets = segment.text.octets;
        if seq.before(self.rcv.nxt) {
            let known = self.rcv.nxt.distance_from(seq) as usize;
            octets = octets.get(known..).unwrap_or_default();
            seq = self.rcv.nxt;
        }
        // Nothing follows a FIN, whatever its sender says.
        let edge = self
            .rcv
            .fin
            .map_or(self.rcv.adv, |fin| fin.earlier(self.rcv.adv));
        let room = if seq.before(edge) {
            edge.distance_from(seq) as usize
        } else {
            0
        };
        octets = octets.get(..room).unwrap_or(octets);
        (
            seq,
            Text {
                octets,
                owner: segment.text.owner,
            },
        )
    }

    /// Eighth: FIN. It counts when everything before it was received, and not at all when text after it is here.
    pub(in crate::connection) fn process_fin(
        &mut self,
        cx: &mut Context<'_>,
        segment: &Segment<'_>,
    ) {
        let at = segment.header.seq + segment.len_of_text();
        let new = segment.header.flags.fin()
            && self.rcv.fin.is_none()
            && self.state.is_synchronized()
            && (at.between(self.rcv.nxt, self.rcv.adv) || at == self.rcv.nxt)
            && self
                .rcv
                .reassembly
                .highest()
                .is_none_or(|held| held.at_or_before(at));
        if new {
            self.rcv.fin = Some(at);
        }
        let Some(fin) = self.rcv.fin else { return };
        if segment.header.flags.fin() && fin != self.rcv.nxt {
            // Seen already, or text before it is missing.
            let reason = if fin.after(self.rcv.nxt) {
                Reason::Gap
            } else {
                Reason::Duplicate
            };
            self.rcv.ack.owe(reason);
        }
        if fin != self.rcv.nxt || !self.state.receives_text() {
            return;
        }
        self.rcv.nxt += 1;
        self.rcv.adv = self.rcv.adv.later(self.rcv.nxt);
        self.rcv.reassembly.clear();
        self.rcv.ack.owe(Reason::AckOfFin);
        self.wake |= Wake::READABLE;
        self.on(cx, Event::Fin);
    }
}
