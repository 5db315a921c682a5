//! SEGMENT ARRIVES in the synchronized states and SYN-RECEIVED: the eight checks (RFC 9293 section 3.10.7.4).

pub(super) mod ack;
mod plain;
mod predicted;
mod text;

use super::{Connection, wrapping_millis};
use crate::ecn::is_setup_syn_ack;
use crate::error::{Ended, Refusal};
use crate::event::{Context, Reason, Timer};
use crate::segment::{Flags, Segment};
use crate::state::State;
use crate::time::Instant;

impl Connection {
    /// The eight checks, in the RFC's order. The order is part of the protocol: do not reorder.
    pub(super) fn segment_arrives(
        &mut self,
        cx: &mut Context<'_>,
        segment: &Segment<'_>,
    ) -> Result<(), Refusal> {
        if matches!(self.state, State::Closed | State::TimeWait) {
            return Err(Refusal::Closed);
        }
        let segment = &self.without_crossed_syn(segment);
        self.check_timestamps(cx, segment)?; // RFC 7323 section 5.3, before the first
        self.check_sequence(cx, segment)?; // first
        self.check_reset(cx, segment)?; // second
        // third: security compartments are historic
        self.check_syn(cx, segment)?; // fourth
        self.check_ack(cx, segment)?; // fifth, before anything of it is believed (RFC 5961 section 5)
        self.heard(cx.now, segment);
        self.process_ack(cx, segment);
        self.process_urgent(segment); // sixth
        self.process_text(cx, segment)?; // seventh
        self.process_fin(cx, segment); // eighth
        Ok(())
    }

    /// Simultaneous open (RFC 9293 Figure 8): the peer's SYN,ACK repeats the SYN that we have, so its number lies
    /// left of the window; what follows the SYN is what counts.
    //= rfc9293 MUST-10
    fn without_crossed_syn<'a>(&mut self, segment: &Segment<'a>) -> Segment<'a> {
        let mut segment = *segment;
        let header = &mut segment.header;
        let crossed = self.state == State::SynReceived
            && header.flags.contains(Flags::SYN | Flags::ACK)
            && header.seq == self.rcv.irs;
        if crossed {
            self.agreed.ecn &= is_setup_syn_ack(header.flags);
            header.flags = header.flags.without(Flags::SYN | Flags::ECE | Flags::CWR);
            header.seq += 1;
            header.urgent = header.urgent.saturating_sub(1);
            // The window beside a SYN is not scaled (RFC 7323 section 2.2); others are, from here on.
            header.window >>= self.snd.scale;
        }
        segment
    }

    fn check_timestamps(
        &mut self,
        cx: &mut Context<'_>,
        segment: &Segment<'_>,
    ) -> Result<(), Refusal> {
        let Some(paws) = &self.paws else {
            return Ok(());
        };
        let verdict = paws.check(cx.now, &segment.header);
        if verdict.is_err() && paws.is_overtaken(&segment.header) && self.is_for_a_hole(segment) {
            return Ok(());
        }
        if verdict == Err(Refusal::OldTimestamp) {
            self.answer(cx, segment, Reason::Duplicate);
        }
        verdict
    }

    /// Whether it is text for a hole below what has arrived. Where a retransmission overtakes what the path held back, that would
    /// be too old for PAWS, and be sent again, and so overtake more (decision 024).
    fn is_for_a_hole(&self, segment: &Segment<'_>) -> bool {
        let (start, len) = (segment.header.seq, segment.text.octets.len());
        let end = start + u32::try_from(len).unwrap_or(u32::MAX);
        let highest = self.rcv.reassembly.highest();
        let plain = !segment.header.flags.syn() && !segment.header.flags.fin();
        len > 0
            && plain
            && start.at_or_after(self.rcv.nxt)
            && highest.is_some_and(|highest| end.at_or_before(highest))
    }

    /// First: is any of it in the window? (RFC 9293 section 3.4, Table 6.)
    ///
    /// An empty segment just behind the window passes, as in the kernels: two sides that filled each other's window and lost
    /// the head of it acknowledge with just that number, and would never hear each other else. Not a RST: it must be in it.
    ///
    /// A segment at RCV.NXT passes a shut window too, so that its ACK and RST count; its text will be cut off. And so
    /// does what comes without text after a probe that was cut off: "special allowance should be made to accept valid
    /// ACKs, URGs, and RSTs". Two sides that probe each other would not hear each other else.
    //= rfc9293 MUST-66
    fn check_sequence(
        &mut self,
        cx: &mut Context<'_>,
        segment: &Segment<'_>,
    ) -> Result<(), Refusal> {
        let seq = segment.header.seq;
        let (start, end) = (self.rcv.nxt, self.rcv.adv);
        let len = segment.len();
        let starts_inside = seq.between(start, end) || seq == start;
        let ends_inside = len > 0 && (seq + (len - 1)).between(start, end);
        // Text that spans the whole window begins before it and ends after it.
        let spans = len > 0 && seq.before(start) && (seq + (len - 1)).at_or_after(end);
        let after_probe = start == end && len == 0 && seq == start + 1;
        let at_edge = len == 0 && seq == end && !segment.header.flags.rst();
        if starts_inside
            || after_probe
            || at_edge
            || (ends_inside && start != end)
            || (spans && start != end)
        {
            return Ok(());
        }
        //= rfc9293 X-1
        if !segment.header.flags.rst() {
            let reason = if seq.before(start) && len > 0 {
                self.note_repeated(segment);
                Reason::Duplicate
            } else {
                Reason::OutsideWindow
            };
            self.answer(cx, segment, reason);
        }
        Err(Refusal::OutsideWindow)
    }

    /// Owes an acknowledgement to a segment that was not taken. Text and FIN are always answered (their sender waits);
    /// empty segments and SYNs within limits, lest two stacks answer each other for ever.
    fn answer(&mut self, cx: &mut Context<'_>, segment: &Segment<'_>, reason: Reason) {
        if segment.is_empty() || segment.header.flags.syn() {
            self.challenge(cx, reason);
        } else {
            self.rcv.ack.owe(reason);
        }
    }

    /// Owes a challenge ACK, within this connection's limit and then the stack's (RFC 5961 section 7). In this order: what one
    /// connection may use up of the common budget is little.
    //= rfc9293 X-7
    fn challenge(&mut self, cx: &mut Context<'_>, reason: Reason) {
        let patience = &mut self.patience;
        if wrapping_millis(cx.now).wrapping_sub(patience.second) >= 1_000 {
            patience.second = wrapping_millis(cx.now);
            patience.challenges = 0;
        }
        if patience.challenges < self.config.challenge_acks_per_second {
            patience.challenges += 1;
            if cx.may_challenge() {
                self.rcv.ack.owe(reason);
            }
        }
    }

    /// Second: RST. Only at RCV.NXT it ends the connection (RFC 5961 section 3.2), with text or without; its text is
    /// nobody's.
    //= rfc9293 SHLD-2
    //= rfc9293 X-2
    //= rfc9293 X-3
    fn check_reset(&mut self, cx: &mut Context<'_>, segment: &Segment<'_>) -> Result<(), Refusal> {
        if !segment.header.flags.rst() {
            return Ok(());
        }
        if segment.header.seq != self.rcv.nxt {
            self.challenge(cx, Reason::Challenge);
            return Err(Refusal::BlindReset);
        }
        let why = match self.state {
            // To a user who connected at the same time the peer's RST is a refusal.
            State::SynReceived if !self.passive => Ended::Refused,
            // Both closed and all text is acknowledged: the peer has forgotten us before our FIN came again. RFC 9293
            // signals no reset here.
            State::Closing | State::LastAck if self.snd.buffer.len() == 0 => Ended::Closed,
            _ => Ended::Reset,
        };
        self.end(cx, why);
        Err(Refusal::ValidReset)
    }

    /// Fourth: SYN. It never resets a synchronized connection (RFC 5961 section 4.2).
    //= rfc9293 X-4
    fn check_syn(&mut self, cx: &mut Context<'_>, segment: &Segment<'_>) -> Result<(), Refusal> {
        if !segment.header.flags.syn() {
            return Ok(());
        }
        if self.state == State::SynReceived && self.passive {
            // "Return this connection to the LISTEN state": the listener is another type and still there.
            self.end(cx, Ended::Reset);
            return Err(Refusal::BlindSyn);
        }
        self.challenge(cx, Reason::Challenge);
        Err(Refusal::BlindSyn)
    }

    /// A segment that the peer sent, as far as anybody can tell: the peer lives.
    fn heard(&mut self, now: Instant, segment: &Segment<'_>) {
        self.patience.heard_at = now;
        self.patience.keep_alives = 0;
        if let Some(paws) = &mut self.paws {
            paws.update(now, segment, self.rcv.last_ack_sent);
        }
        if self.keep_alive().is_some() {
            self.timers.stop(Timer::KeepAlive);
        }
    }
}
