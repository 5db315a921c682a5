//! SEGMENT ARRIVES in the synchronized states and SYN-RECEIVED: the eight checks (RFC 9293 section 3.10.7.4).

use core::time::Duration;

use super::{Connection, MAX_SEND_BUFFER};
use crate::congestion::AckSample;
use crate::error::{Ended, Refusal};
use crate::event::{Context, Reason, Timer, TraceEvent, Wake};
use crate::options::timestamp;
use crate::recovery::{Evidence, Phase};
use crate::recv::reassembly::Inserted;
use crate::segment::{Flags, Segment, Text};
use crate::seq::SeqNum;
use crate::state::{Event, State};
use crate::time::Instant;

/// The step of the timestamp clock.
const ECHO_STEP: Duration = Duration::from_millis(1);

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
        self.check_timestamps(cx.now, segment)?; // RFC 7323 section 5.3, before the first
        self.check_sequence(cx.now, segment)?; // first
        self.check_reset(cx, segment)?; // second
        // third: security compartments are historic
        self.check_syn(cx, segment)?; // fourth
        self.heard(cx.now, segment);
        self.process_ack(cx, segment)?; // fifth
        // sixth: urgent data, a later issue
        self.process_text(cx, segment)?; // seventh
        self.process_fin(cx, segment); // eighth
        Ok(())
    }

    /// Simultaneous open (RFC 9293 Figure 8): the peer's SYN,ACK repeats the SYN that we have, so its number lies
    /// left of the window; what follows the SYN is what counts.
    //= rfc9293 MUST-10
    fn without_crossed_syn<'a>(&self, segment: &Segment<'a>) -> Segment<'a> {
        let mut segment = *segment;
        let header = &mut segment.header;
        let crossed = self.state == State::SynReceived
            && header.flags.contains(Flags::SYN | Flags::ACK)
            && header.seq == self.rcv.irs;
        if crossed {
            header.flags = header.flags.without(Flags::SYN);
            header.seq += 1;
            // The window beside a SYN is not scaled (RFC 7323 section 2.2); others are, from here on.
            header.window >>= self.snd.scale;
        }
        segment
    }

    fn check_timestamps(&mut self, now: Instant, segment: &Segment<'_>) -> Result<(), Refusal> {
        let Some(paws) = &self.paws else {
            return Ok(());
        };
        let verdict = paws.check(now, &segment.header);
        if verdict == Err(Refusal::OldTimestamp) {
            self.answer(now, segment, Reason::Duplicate);
        }
        verdict
    }

    /// First: is any of it in the window? (RFC 9293 section 3.4, Table 6.)
    ///
    /// A segment at RCV.NXT passes a shut window too, so that its ACK and RST count; its text will be cut off.
    //= rfc9293 MUST-66
    fn check_sequence(&mut self, now: Instant, segment: &Segment<'_>) -> Result<(), Refusal> {
        let seq = segment.header.seq;
        let (start, end) = (self.rcv.nxt, self.rcv.adv);
        let len = segment.len();
        let starts_inside = seq.between(start, end) || seq == start;
        let ends_inside = len > 0 && (seq + (len - 1)).between(start, end);
        // Text that spans the whole window begins before it and ends after it.
        let spans = len > 0 && seq.before(start) && (seq + (len - 1)).at_or_after(end);
        if starts_inside || (ends_inside && start != end) || (spans && start != end) {
            return Ok(());
        }
        if !segment.header.flags.rst() {
            let reason = if seq.before(start) && len > 0 {
                Reason::Duplicate
            } else {
                Reason::OutsideWindow
            };
            self.answer(now, segment, reason);
        }
        Err(Refusal::OutsideWindow)
    }

    /// Owes an acknowledgement to a segment that was not taken. Text is always answered (its sender waits); empty
    /// segments within limits, lest two stacks answer each other for ever.
    fn answer(&mut self, now: Instant, segment: &Segment<'_>, reason: Reason) {
        if segment.is_empty() {
            self.challenge(now, reason);
        } else {
            self.rcv.ack.owe(reason);
        }
    }

    /// Owes a challenge ACK, within the limit of RFC 5961 section 7.
    fn challenge(&mut self, now: Instant, reason: Reason) {
        let patience = &mut self.patience;
        if now.since(patience.second) >= Duration::from_secs(1) {
            patience.second = now;
            patience.challenges = 0;
        }
        if patience.challenges < self.config.challenge_acks_per_second {
            patience.challenges += 1;
            self.rcv.ack.owe(reason);
        }
    }

    /// Second: RST. Only at RCV.NXT it ends the connection (RFC 5961 section 3.2).
    fn check_reset(&mut self, cx: &mut Context<'_>, segment: &Segment<'_>) -> Result<(), Refusal> {
        if !segment.header.flags.rst() {
            return Ok(());
        }
        if segment.header.seq != self.rcv.nxt {
            self.challenge(cx.now, Reason::Challenge);
            return Err(Refusal::BlindReset);
        }
        let why = match self.state {
            // To a user who connected at the same time the peer's RST is a refusal.
            State::SynReceived if !self.passive => Ended::Refused,
            _ => Ended::Reset,
        };
        self.end(cx, why);
        Err(Refusal::ValidReset)
    }

    /// Fourth: SYN. It never resets a synchronized connection (RFC 5961 section 4.2).
    fn check_syn(&mut self, cx: &mut Context<'_>, segment: &Segment<'_>) -> Result<(), Refusal> {
        if !segment.header.flags.syn() {
            return Ok(());
        }
        if self.state == State::SynReceived && self.passive {
            // "Return this connection to the LISTEN state": the listener is another type and still there.
            self.end(cx, Ended::Reset);
            return Err(Refusal::BlindSyn);
        }
        self.challenge(cx.now, Reason::Challenge);
        Err(Refusal::BlindSyn)
    }

    /// An acceptable segment: the peer lives.
    fn heard(&mut self, now: Instant, segment: &Segment<'_>) {
        self.patience.heard_at = now;
        self.patience.keep_alives = 0;
        if let Some(paws) = &mut self.paws {
            paws.update(now, segment, self.rcv.last_ack_sent);
        }
        if self.user.keep_alive.is_some() {
            self.timers.stop(Timer::KeepAlive);
        }
    }

    /// Fifth: the ACK field.
    fn process_ack(&mut self, cx: &mut Context<'_>, segment: &Segment<'_>) -> Result<(), Refusal> {
        let header = &segment.header;
        if !header.flags.ack() {
            return Err(Refusal::NoAck);
        }
        if self.state == State::SynReceived {
            self.process_ack_of_syn(cx, segment)?;
        }
        let ack = header.ack;
        if ack.after(self.snd.nxt) {
            self.challenge(cx.now, Reason::Challenge);
            return Err(Refusal::AckOfUnsent);
        }
        if ack.before(self.snd.una - self.snd.max_wnd) {
            self.challenge(cx.now, Reason::Challenge);
            return Err(Refusal::AckTooOld);
        }
        let window = u32::from(header.window) << self.snd.scale;
        let duplicate = ack == self.snd.una
            && segment.is_empty()
            && window == self.snd.wnd
            && window > 0 // the answer to a probe repeats itself without any loss
            && !self.snd.in_flight.is_empty();
        self.process_acknowledgement(cx, segment, duplicate);
        self.update_send_window(segment, window);
        self.process_ack_of_fin(cx)
    }

    /// SYN-RECEIVED: the ACK of our SYN makes the connection ESTABLISHED; another is refused with RST.
    fn process_ack_of_syn(
        &mut self,
        cx: &mut Context<'_>,
        segment: &Segment<'_>,
    ) -> Result<(), Refusal> {
        let ack = segment.header.ack;
        if !ack.between(self.snd.iss + 1, self.snd.nxt + 1) {
            self.refuse_ack(ack);
            return Err(Refusal::AckOfUnsent);
        }
        self.snd.on_ack_of_syn();
        self.snd.wnd = u32::from(segment.header.window) << self.snd.scale;
        self.snd.max_wnd = self.snd.max_wnd.max(self.snd.wnd);
        self.snd.wl1 = segment.header.seq;
        self.snd.wl2 = ack;
        self.owed.syn_ack = None;
        self.timers.stop(Timer::Retransmission);
        self.timers.stop(Timer::UserTimeout);
        self.on_handshake_round_trip(cx, segment);
        self.on(cx, Event::AckOfSyn);
        if self.user.close_when_open {
            self.user.close_when_open = false;
            self.shutdown(cx);
        }
        Ok(())
    }

    /// The round trip of our SYN,ACK, where it was sent once or the peer's timestamp tells; and a slow start where it
    /// was lost.
    fn on_handshake_round_trip(&mut self, cx: &mut Context<'_>, segment: &Segment<'_>) {
        let repeated = self.patience.backoff > 0;
        // Opened at once from both sides, it may be the SYN that is acknowledged.
        let sent_once = (self.passive && !repeated).then_some(self.snd.last_sent);
        self.sample_rtt(cx, segment, sent_once);
        if repeated {
            self.on_lost_syn();
        }
        self.patience.backoff = 0;
    }

    /// What the acknowledgement number and SACK say about what flies.
    fn process_acknowledgement(
        &mut self,
        cx: &mut Context<'_>,
        segment: &Segment<'_>,
        duplicate: bool,
    ) {
        let prior = self.recovery.pipe(&self.snd);
        let watched = cx.observer.is_some().then(|| self.congestion_figures());
        let limited = self.is_congestion_limited(prior);
        let mut acked = crate::send::in_flight::Acked::default();
        let mut rtt = None;
        if segment.header.ack.after(self.snd.una) {
            acked = self.advance_una(segment.header.ack);
            rtt = self.sample_rtt(cx, segment, acked.newest_sent_once);
        }
        let sacked = self.process_sack(segment);
        let evidence = Evidence {
            acked: acked.octets,
            sacked,
            // With SACK a duplicate is what reports more than was known (RFC 6675 section 2).
            duplicate: if self.agreed.sack {
                sacked > 0 && acked.octets == 0
            } else {
                duplicate
            },
            sack: self.agreed.sack,
            threshold: self.config.duplicate_threshold,
        };
        self.recovery
            .on_ack(cx.now, &evidence, &mut self.snd, &mut *self.congestion);
        if acked.octets > 0 || sacked > 0 {
            self.congestion.on_ack(&AckSample {
                now: cx.now,
                acked: acked.octets,
                sacked,
                prior_in_flight: prior,
                window_limited: limited,
                rtt,
                srtt: self.rtt.srtt(),
                in_recovery: self.recovery.in_recovery(),
            });
        }
        if watched.is_some_and(|before| before != self.congestion_figures()) {
            self.trace_congestion(cx);
        }
    }

    fn congestion_figures(&self) -> (u64, u64, Phase) {
        (
            self.congestion.window(),
            self.congestion.threshold(),
            self.recovery.phase,
        )
    }

    /// Whether the congestion window was what held the sender back: only then may it grow (RFC 7661 section 4.1).
    fn is_congestion_limited(&self, in_flight: u64) -> bool {
        let window = self.congestion.window();
        let mss = u64::from(self.snd.mss);
        if window < self.congestion.threshold() {
            window < 2 * in_flight.max(mss)
        } else {
            in_flight + mss >= window
        }
    }

    /// SND.UNA moves: the buffer is freed, the timers start again (RFC 6298 5.2, 5.3).
    fn advance_una(&mut self, ack: SeqNum) -> crate::send::in_flight::Acked {
        let acked = self.snd.in_flight.acknowledge(ack);
        let fin = u64::from(self.snd.fin.is_some_and(|fin| ack.after(fin)));
        let text = acked.octets - fin.min(acked.octets);
        // Cannot exceed the buffer: records cover only what was taken from it.
        self.snd
            .buffer
            .release(usize::try_from(text).unwrap_or(usize::MAX));
        self.snd.una = ack;
        self.counters.bytes_acked += text;
        self.patience.path_error = None;
        self.timers.stop(Timer::Retransmission);
        self.timers.stop(Timer::Persist);
        self.timers.stop(Timer::UserTimeout);
        if self.user.waits_to_write && self.writable() >= self.wakeup_room() {
            self.user.waits_to_write = false;
            self.wake |= Wake::WRITABLE;
        }
        if self.snd.in_flight.is_empty() && self.snd.unsent() == 0 && !self.snd.fin_due() {
            self.wake |= Wake::FLUSHED;
        }
        acked
    }

    /// Room that is worth waking a writer for: a third of the buffer.
    fn wakeup_room(&self) -> usize {
        self.config.send_buffer.min(MAX_SEND_BUFFER) / 3
    }

    /// A round trip, by the echoed timestamp (RFC 7323 section 4) or by a segment sent only once (Karn). The smaller
    /// of the two where both are known: a delayed echo reports an older segment.
    fn sample_rtt(
        &mut self,
        cx: &mut Context<'_>,
        segment: &Segment<'_>,
        sent_once: Option<Instant>,
    ) -> Option<Duration> {
        let echoed = self
            .paws
            .and(segment.header.options.timestamps)
            .map(|t| timestamp(cx.now, self.setup.timestamp_offset).wrapping_sub(t.echo));
        // An echo from the future or from days ago is nonsense.
        let echoed = echoed
            .filter(|ms| *ms < 1 << 30)
            .map(|ms| Duration::from_millis(u64::from(ms)));
        let measured = sent_once.map(|at| cx.now.since(at));
        let sample = match (measured, echoed) {
            // The echo's clock is coarse: it may add a millisecond, but not take one away.
            (Some(measured), Some(echoed)) => measured.min(echoed + ECHO_STEP),
            (one, other) => one.or(other)?,
        };
        self.rtt.sample(sample);
        // Only a new sample takes the backoff away (Karn; RFC 6298 section 5).
        self.patience.backoff = 0;
        let rtt = self.rtt;
        cx.trace(&self.setup.endpoints, || TraceEvent::RttMeasured {
            sample,
            srtt: rtt.srtt().unwrap_or_default(),
            rttvar: rtt.rttvar(),
            rto: rtt.rto(),
        });
        Some(sample)
    }

    /// Takes the peer's SACK blocks; those outside SND.UNA .. SND.NXT say nothing (RFC 2018, RFC 2883).
    fn process_sack(&mut self, segment: &Segment<'_>) -> u64 {
        if !self.agreed.sack {
            return 0;
        }
        let mut newly = 0;
        for block in segment.header.options.sack.as_slice() {
            let (left, right) = (SeqNum(block.left), SeqNum(block.right));
            let sane = left.before(right)
                && left.at_or_after(self.snd.una)
                && right.at_or_before(self.snd.nxt);
            if sane {
                newly += self.snd.in_flight.mark_sacked(left, right, self.snd.mss);
            }
        }
        newly
    }

    /// SND.WND, by the newest segment only: SND.WL1 and SND.WL2 keep old ones from shrinking it.
    ///
    /// What acknowledges more is newer, too, even where it repeats old text: the RFC's rule would keep the window and
    /// move it along with SND.UNA, beyond what was offered.
    fn update_send_window(&mut self, segment: &Segment<'_>, window: u32) {
        let (seq, ack) = (segment.header.seq, segment.header.ack);
        if ack.before(self.snd.una) {
            return;
        }
        let newer = self.snd.wl1.before(seq)
            || self.snd.wl2.before(ack)
            || (self.snd.wl1 == seq && self.snd.wl2 == ack);
        if !newer {
            return;
        }
        let was_shut = self.snd.wnd == 0;
        self.snd.wnd = window;
        self.snd.max_wnd = self.snd.max_wnd.max(window);
        self.snd.wl1 = self.snd.wl1.later(seq);
        self.snd.wl2 = ack;
        if window == 0 || was_shut {
            self.answered_probe();
        }
        if was_shut && window > 0 {
            self.owed.probe = false;
            self.patience.backoff = 0;
            self.timers.stop(Timer::Persist);
            // What was sent into the shut window was dropped there.
            self.recovery.resend_all(&mut self.snd);
        }
    }

    /// The peer answers probes: it is alive, however long it stays shut. Only where the user has gone, and nobody
    /// else would ever give it up, must it also take something (RFC 6429 section 4).
    //= rfc9293 MUST-37
    fn answered_probe(&mut self) {
        if !self.user.released {
            self.timers.stop(Timer::UserTimeout);
        }
    }

    /// The states that wait for the ACK of our FIN.
    fn process_ack_of_fin(&mut self, cx: &mut Context<'_>) -> Result<(), Refusal> {
        if !self.snd.fin_acknowledged() {
            return Ok(());
        }
        match self.state {
            State::FinWait1 | State::Closing => self.on(cx, Event::AckOfFin),
            State::LastAck => self.closed(cx),
            _ => {}
        }
        Ok(())
    }

    /// Seventh: the text, cut to the window; in order to the user, out of order to reassembly.
    pub(super) fn process_text(
        &mut self,
        cx: &mut Context<'_>,
        segment: &Segment<'_>,
    ) -> Result<(), Refusal> {
        if segment.text.octets.is_empty() || !self.state.receives_text() {
            return Ok(());
        }
        if self.user.released {
            // Nobody will read it: the peer must know (RFC 9293 section 3.6.1).
            self.reset_peer(cx, Ended::Aborted);
            return Err(Refusal::TextAfterClose);
        }
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
        let full = len.div_ceil(u32::from(segment.coalesced.max(1)));
        self.rcv.mss = self.rcv.mss.max(full.min(u32::from(self.advertised_mss())));
        if seq != self.rcv.nxt {
            return self.hold_text(seq, text);
        }
        let taken = self.take_text(text);
        self.took_text(cx.now, taken, segment.header.seq.before(seq));
        Ok(())
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
    fn took_text(&mut self, now: Instant, octets: u32, repeated: bool) {
        self.counters.bytes_received += u64::from(octets);
        self.wake |= Wake::READABLE;
        if repeated {
            self.rcv.ack.owe(Reason::Duplicate);
        }
        let (mss, every) = (self.rcv.mss, self.config.ack_every);
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
        let budget = self
            .config
            .receive_buffer
            .saturating_add(self.config.receive_buffer / 2);
        let inserted = self.rcv.reassembly.insert(self.rcv.nxt, seq, text, budget);
        self.rcv.ack.owe(Reason::Gap);
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
    pub(super) fn process_fin(&mut self, cx: &mut Context<'_>, segment: &Segment<'_>) {
        let len = u32::try_from(segment.text.octets.len()).unwrap_or(u32::MAX);
        let at = segment.header.seq + len;
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
