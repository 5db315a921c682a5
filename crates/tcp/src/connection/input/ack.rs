//! Fifth of SEGMENT ARRIVES: the ACK field, and what SACK, timestamps and the window beside it say.

use core::time::Duration;

use woshou_wire::tcp_option::SackBlock;

use super::Connection;
use crate::congestion::AckSample;
use crate::error::Refusal;
use crate::event::{Context, Reason, Timer, TraceEvent, Wake};
use crate::options::timestamp;
use crate::recovery::flight::Arrival;
use crate::recovery::{Evidence, Phase};
use crate::segment::Segment;
use crate::send::flow::Verdict;
use crate::send::in_flight::{Acked, Hear, Sent};
use crate::seq::SeqNum;
use crate::state::{Event, State};
use crate::time::Instant;

/// The step of the timestamp clock.
const ECHO_STEP: Duration = Duration::from_millis(1);

impl Connection {
    /// Fifth, the judgement: is it an acknowledgement that the peer could have sent? Nothing of a segment counts before
    /// this, its timestamp least of all: TS.Recent from the future would make all that the peer sends too old.
    pub(super) fn check_ack(
        &mut self,
        cx: &mut Context<'_>,
        segment: &Segment<'_>,
    ) -> Result<(), Refusal> {
        let header = &segment.header;
        if !header.flags.ack() {
            return Err(Refusal::NoAck);
        }
        let ack = header.ack;
        if self.state == State::SynReceived && !ack.between(self.snd.iss + 1, self.snd.nxt + 1) {
            self.refuse_ack(ack);
            return Err(Refusal::AckOfUnsent);
        }
        //= rfc9293 X-5
        //= rfc9293 MAY-12
        if ack.after(self.snd.nxt) {
            self.challenge(cx, Reason::Challenge);
            return Err(Refusal::AckOfUnsent);
        }
        //= rfc9293 X-6
        if ack.before(self.snd.una - self.snd.max_wnd) {
            self.challenge(cx, Reason::Challenge);
            return Err(Refusal::AckTooOld);
        }
        Ok(())
    }

    /// Fifth: what the ACK field says, once [`Self::check_ack`] let it pass.
    pub(super) fn process_ack(&mut self, cx: &mut Context<'_>, segment: &Segment<'_>) {
        if self.state == State::SynReceived {
            self.process_ack_of_syn(cx, segment);
        }
        let header = &segment.header;
        let ack = header.ack;
        //= rfc9293 MUST-1
        //= rfc9293 REC-1
        let window = u32::from(header.window) << self.snd.scale;
        let duplicate = ack == self.snd.una
            && segment.is_empty()
            && window == self.snd.wnd
            && window > 0 // the answer to a probe repeats itself without any loss
            && !self.snd.in_flight.is_empty();
        if self.has_sent_nothing(segment) {
            self.process_echo(cx.now, segment, 0);
        } else {
            self.process_acknowledgement(cx, segment, duplicate);
        }
        self.update_send_window(cx.now, segment, window);
        self.process_ack_of_fin(cx);
    }

    /// Neither text nor FIN of ours ever flew: an acknowledgement has nothing to say but the window and ECN's echo.
    fn has_sent_nothing(&self, segment: &Segment<'_>) -> bool {
        self.config.header_prediction
            && self.rates.is_none()
            && self.search.is_none()
            && self.recovery.phase == Phase::Open
            && self.snd.in_flight.is_empty()
            && !segment.header.ack.after(self.snd.una)
            && segment.header.options.sack.as_slice().is_empty()
    }

    /// SYN-RECEIVED: the ACK of our SYN makes the connection ESTABLISHED.
    fn process_ack_of_syn(&mut self, cx: &mut Context<'_>, segment: &Segment<'_>) {
        self.snd.on_ack_of_syn();
        self.snd.wnd = u32::from(segment.header.window) << self.snd.scale;
        self.snd.max_wnd = self.snd.max_wnd.max(self.snd.wnd);
        self.snd.wl1 = segment.header.seq;
        self.snd.wl2 = segment.header.ack;
        self.owed.syn_ack = None;
        self.timers.stop(Timer::Retransmission);
        self.timers.stop(Timer::UserTimeout);
        self.on_handshake_round_trip(cx, segment);
        self.on(cx, Event::AckOfSyn);
        if self.user.close_when_open {
            self.user.close_when_open = false;
            self.shutdown(cx);
        }
    }

    /// The round trip of our SYN,ACK, where it was sent once or the peer's timestamp tells; and a slow start where it
    /// was lost.
    fn on_handshake_round_trip(&mut self, cx: &mut Context<'_>, segment: &Segment<'_>) {
        let repeated = self.patience.backoff > 0;
        // Opened at once from both sides, it may be the SYN that is acknowledged. And of a cookie nobody knows when it left.
        let known = self.snd.last_sent <= cx.now;
        let sent_once = (self.passive && !repeated && known).then_some(self.snd.last_sent);
        self.snd.last_sent = self.snd.last_sent.min(cx.now);
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
        self.check_app_limited();
        let prior = self.recovery.pipe(&self.snd);
        let watched = cx.observer.is_some().then(|| self.congestion_figures());
        let limited = self.is_congestion_limited(cx.now, prior);
        let missing = self.snd.in_flight.unreported();
        let heard = self.take_reports(cx, segment);
        let delivered = missing.saturating_sub(self.snd.in_flight.unreported());
        self.count_delivered(delivered);
        let evidence = Evidence {
            acked: heard.acked.octets,
            sacked: heard.sacked,
            // With SACK a duplicate is what reports more than was known (RFC 6675 section 2).
            duplicate: if self.agreed.sack {
                heard.sacked > 0 && heard.acked.octets == 0
            } else {
                duplicate
            },
            bare: self.is_bare_repetition(segment) && heard.acked.octets == 0,
            sack: self.agreed.sack,
            probe: self.mtu_probe(),
            paid: self.agreed.ecn && self.ecn.has_paid_for(self.snd.una),
            threshold: self.config.duplicate_threshold,
            missing,
            dsack: heard.dsack,
            echo: self.echo(segment),
            new_text: matches!(self.new_text(u32::MAX), Verdict::Send(_)),
            rules: self.config.loss_detection,
            srtt: self.rtt.srtt(),
            min_rtt: self.recent_min_rtt(),
        };
        let repairing = self.recovery.in_recovery();
        let probe_repaired = self.recover(cx, &evidence);
        if probe_repaired || (self.recovery.in_recovery() && !repairing) {
            self.suspect_after_probe(cx.now);
            self.ecn.on_reduced(self.snd.nxt);
        }
        let marked = self.process_echo(cx.now, segment, prior);
        self.judge_mtu_probe(cx.now);
        if delivered > 0 || heard.acked.octets > 0 {
            let mut sample = self.sample_of(cx.now, delivered, marked);
            sample.acked = heard.acked.octets;
            sample.sacked = heard.sacked;
            sample.prior_in_flight = prior;
            sample.window_limited = limited;
            sample.rtt = heard.rtt;
            // The acknowledgement that ends a repair leaves cwnd where the repair put it (RFC 6582 section 3.2, 3).
            sample.in_recovery = repairing || self.recovery.in_recovery() || marked;
            self.congestion.on_ack(&sample);
        }
        if let Some(rates) = self.rates.as_deref_mut() {
            rates.flight.forget_declared();
        }
        if watched.is_some_and(|before| before != self.congestion_figures()) {
            self.trace_congestion(cx);
        }
    }

    /// SND.UNA and the SACK blocks: each piece that is reported for the first time is told to what measures.
    pub(super) fn take_reports(&mut self, cx: &mut Context<'_>, segment: &Segment<'_>) -> Heard {
        let arrival = Arrival {
            now: cx.now,
            echo: self.echo(segment),
            offset: self.setup.timestamp_offset,
            min_rtt: self.recent_min_rtt().unwrap_or_default(),
        };
        // Out of the connection while its parts are worked on.
        let mut rates = self.rates.take();
        let mut hear = |sent: &Sent| {
            if let Some(rates) = rates.as_deref_mut() {
                rates.flight.on_delivered(&arrival, sent);
            }
        };
        let mut heard = Heard::default();
        if segment.header.ack.after(self.snd.una) {
            self.excuse_path(segment.header.ack);
            heard.acked = self.advance_una(cx, segment.header.ack, &mut hear);
            self.recovery.check_reneging(&mut self.snd);
            self.count_progress(cx.now);
        }
        if !segment.header.options.sack.as_slice().is_empty() {
            self.process_sack(segment, &mut heard, &mut hear);
        }
        if self.snd.in_flight.is_empty()
            && let Some(rates) = rates.as_deref_mut()
        {
            rates.flight.on_idle();
        }
        self.rates = rates;
        if heard.acked.octets > 0 {
            heard.rtt = self.sample_rtt(cx, segment, heard.acked.newest_sent_once);
        }
        if let Some(rtt) = heard.rtt
            && let Some(rates) = self.rates.as_deref_mut()
        {
            rates.flight.tlp.on_measured();
            rates.flight.least.on_sample(cx.now, rtt);
        }
        heard
    }

    /// Whether it says again what was known, and nothing else (RFC 5681 section 2, RFC 8985 section 7.4.2).
    fn is_bare_repetition(&self, segment: &Segment<'_>) -> bool {
        let header = &segment.header;
        header.ack == self.snd.una
            && segment.is_empty()
            && u32::from(header.window) << self.snd.scale == self.snd.wnd
            && header.options.sack.as_slice().is_empty()
    }

    /// RACK.min_RTT.
    pub(super) fn recent_min_rtt(&self) -> Option<Duration> {
        self.rates.as_deref()?.flight.least.get()
    }

    /// Draws the conclusions, and tells the watcher of them. Answers whether a tail loss probe had repaired a loss.
    fn recover(&mut self, cx: &mut Context<'_>, evidence: &Evidence) -> bool {
        let cwnd = self.congestion.window();
        let (recovery, mut sender) = self.recovery_and_sender(cx.now);
        let conclusion = recovery.on_ack(evidence, &mut sender);
        self.trace_losses(cx);
        if let Some(by) = conclusion.alarm {
            // A timer that fired in vain says nothing about the path (RFC 4015 section 3.2, step 6).
            self.patience.backoff = 0;
            if self.congestion.window() > cwnd {
                self.ecn.on_undone();
            }
            self.limit_burst(evidence.acked);
            cx.trace(&self.setup.endpoints, || TraceEvent::Undone { by });
        }
        conclusion.probe_repaired
    }

    /// What was declared lost by the input under way, for those who watch.
    pub(in crate::connection) fn trace_losses(&mut self, cx: &mut Context<'_>) {
        let Some(rates) = self.rates.as_deref() else {
            return;
        };
        for sent in &rates.flight.declared {
            cx.trace(&self.setup.endpoints, || TraceEvent::Lost {
                start: sent.start,
                octets: sent.end.distance_from(sent.start),
                reason: match sent.by_rack {
                    true => Reason::RackLoss,
                    false => Reason::LossRecovery,
                },
            });
        }
    }

    /// What congestion control is told, as far as it is known of the sender's memory.
    pub(super) fn sample_of(&mut self, now: Instant, delivered: u64, marked: bool) -> AckSample {
        let marked = if marked { delivered } else { 0 };
        let mut sample = AckSample {
            now,
            delivered,
            marked,
            in_flight: self.recovery.pipe(&self.snd),
            srtt: self.rtt.srtt(),
            min_rtt: self.rtt.min_rtt(),
            sack: self.agreed.sack,
            ..AckSample::default()
        };
        if let Some(rates) = self.rates.as_deref_mut() {
            let flight = &mut rates.flight;
            flight.delivery.on_marked(marked);
            sample.lost = flight.declared.iter().map(Sent::len).sum();
            sample.rate = flight.delivery.sample(now, sample.min_rtt);
            sample.total_delivered = flight.delivery.delivered();
            flight.rate = sample
                .rate
                .filter(|rate| rate.rate().is_some())
                .or(flight.rate);
        }
        sample
    }

    /// TSecr, where timestamps are in use.
    fn echo(&self, segment: &Segment<'_>) -> Option<u32> {
        let timestamps = self.paws.and(segment.header.options.timestamps);
        timestamps.map(|stamps| stamps.echo)
    }

    pub(super) fn count_delivered(&mut self, octets: u64) {
        let segments = octets.div_ceil(u64::from(self.snd.mss.max(1)));
        let segments = u32::try_from(segments).unwrap_or(u32::MAX);
        self.counters.delivered = self.counters.delivered.saturating_add(segments);
    }

    pub(super) fn congestion_figures(&self) -> (u64, u64, Phase) {
        (
            self.cwnd(),
            self.congestion.threshold(),
            self.recovery.phase,
        )
    }

    /// SND.UNA moves: the buffer is freed, the timers start again (RFC 6298 5.2, 5.3).
    fn advance_una(&mut self, cx: &mut Context<'_>, ack: SeqNum, hear: Hear<'_>) -> Acked {
        let acked = self.snd.in_flight.acknowledge(ack, hear);
        let fin = u64::from(self.snd.fin.is_some_and(|fin| ack.after(fin)));
        let text = acked.octets - fin.min(acked.octets);
        // Cannot exceed the buffer: records cover only what was taken from it.
        let octets = usize::try_from(text).unwrap_or(usize::MAX);
        self.snd.buffer.release(octets, &mut cx.chunks);
        self.snd.in_flight.give_back(&mut cx.chunks);
        self.snd.una = ack;
        self.counters.bytes_acked += text;
        self.patience.path_error = None;
        self.timers.stop(Timer::Retransmission);
        self.timers.stop(Timer::Persist);
        self.timers.stop(Timer::UserTimeout);
        self.wake_writer();
        self.forget_up();
        self.forget_push();
        if self.snd.in_flight.is_empty() && self.snd.unsent() == 0 && !self.snd.fin_due() {
            self.wake |= Wake::FLUSHED;
        }
        acked
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

    /// Takes the peer's SACK blocks, lowest first; those that do not lie between SND.UNA, exclusively, and SND.NXT say nothing
    /// (RFC 2018, RFC 2883).
    fn process_sack(&mut self, segment: &Segment<'_>, heard: &mut Heard, hear: Hear<'_>) {
        if !self.agreed.sack {
            return;
        }
        let blocks = segment.header.options.sack.as_slice();
        heard.dsack = reported_twice(blocks, segment.header.ack);
        if heard.dsack.is_some() {
            let trouble = self.trouble_mut();
            trouble.dsack_dups = trouble.dsack_dups.saturating_add(1);
        }
        let una = self.snd.una;
        let mut sane: [Option<(SeqNum, SeqNum)>; 4] = [None; 4];
        for (slot, block) in sane.iter_mut().zip(blocks) {
            let (left, right) = (SeqNum(block.left), SeqNum(block.right));
            let is_sane = left.before(right) && left.after(una) && right.at_or_before(self.snd.nxt);
            *slot = is_sane.then_some((left, right));
        }
        sane.sort_unstable_by_key(|block| block.map(|(left, _)| left.distance_from(una)));
        for block in sane.into_iter().flatten() {
            heard.sacked += self.snd.in_flight.mark_sacked(block, self.snd.mss, hear);
        }
    }

    /// SND.WND, by the newest segment only: SND.WL1 and SND.WL2 keep old ones from shrinking it.
    ///
    /// What acknowledges more is newer, too, even where it repeats old text: the RFC's rule would keep the window and
    /// move it along with SND.UNA, beyond what was offered.
    pub(super) fn update_send_window(&mut self, now: Instant, segment: &Segment<'_>, window: u32) {
        let (mut seq, ack) = (segment.header.seq, segment.header.ack);
        if self.rcv.wnd() == 0 {
            // It may count a probe that was not taken.
            seq = seq.earlier(self.rcv.nxt);
        }
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
            //= rfc9293 SHLD-17
            // What was sent into the shut window was dropped there. Not what went again less than a round trip ago: a peer
            // that shuts and opens its window with every acknowledgement would be sent everything each time.
            let rtt = self.rtt.srtt().unwrap_or_default();
            let oldest = self.snd.in_flight.oldest();
            if oldest.is_some_and(|sent| !sent.retransmitted || now.since(sent.at) >= rtt) {
                self.recovery.resend_all(&mut self.snd);
            }
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
    pub(super) fn process_ack_of_fin(&mut self, cx: &mut Context<'_>) {
        if !self.snd.fin_acknowledged() {
            return;
        }
        match self.state {
            State::FinWait1 | State::Closing => self.on(cx, Event::AckOfFin),
            State::LastAck => self.closed(cx),
            _ => {}
        }
    }
}

/// What an acknowledgement reports.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heard {
    pub(super) acked: Acked,
    /// Octets that SACK newly reported.
    sacked: u64,
    /// What came twice.
    dsack: Option<(SeqNum, SeqNum)>,
    pub(super) rtt: Option<Duration>,
}

/// The first block where it tells of what arrived twice: it lies below the acknowledgement, or in the second (RFC 2883
/// section 4).
fn reported_twice(blocks: &[SackBlock], ack: SeqNum) -> Option<(SeqNum, SeqNum)> {
    let (first, rest) = blocks.split_first()?;
    let (left, right) = (SeqNum(first.left), SeqNum(first.right));
    let inside = |outer: &SackBlock| {
        left.at_or_after(SeqNum(outer.left)) && right.at_or_before(SeqNum(outer.right))
    };
    let twice = left.before(right) && (right.at_or_before(ack) || rest.first().is_some_and(inside));
    twice.then_some((left, right))
}
