//! RACK: what was sent before something that has arrived, longer ago than the path reorders, is lost (RFC 8985 section 6).

use alloc::collections::VecDeque;
use core::time::Duration;

use crate::send::in_flight::judge::Verdict;
use crate::send::in_flight::{Hear, InFlight, Sent};
use crate::seq::SeqNum;
use crate::time::Instant;

/// Loss recoveries for which a reordering window that grew stays so (RACK.reo_wnd_persist).
const PERSIST: u8 = 16;

/// RACK_sent_after (section 6.2, step 2).
fn is_later(sent: &Sent, other: &Sent) -> bool {
    if sent.at != other.at {
        return sent.at > other.at;
    }
    // Pieces of one transmission are in the order of their numbers.
    let pieces = sent.path == other.path && sent.end.after(other.end);
    pieces || sent.path.is_after(&other.path)
}

/// RACK's variables, by the names of RFC 8985 section 5.3.
#[derive(Clone, Debug)]
pub(crate) struct Rack {
    /// RACK.xmit_ts, and which transmission of that moment it was: the latest that has arrived. `None`: nothing has.
    ///
    /// Where the RFC breaks ties of time by RACK.end_seq, here counts what left first: of new text and what went again behind it
    /// at one moment, the numbers tell the wrong order.
    newest: Option<Sent>,
    /// RACK.rtt: how long it took.
    rtt: Duration,
    /// RACK.fack: the highest number that has arrived.
    fack: Option<SeqNum>,
    /// RACK.reordering_seen.
    pub(crate) reordering_seen: bool,
    /// Times that text arrived out of order.
    pub(crate) reorderings: u32,
    /// RACK.reo_wnd_mult.
    multiplier: u8,
    /// RACK.reo_wnd_persist.
    persist: u8,
    /// RACK.dsack_round: SND.NXT when a D-SACK made the window grow; not again until SND.UNA comes there.
    dsack_round: Option<SeqNum>,
    /// RACK.reo_wnd.
    window: Duration,
    /// No transmission below it was sent only once and still flies.
    edge: SeqNum,
    /// What was sent again, in order of time.
    again: VecDeque<(SeqNum, SeqNum, Instant)>,
}

/// What the reordering window depends on, besides RACK's own memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings {
    pub(crate) una: SeqNum,
    pub(crate) nxt: SeqNum,
    pub(crate) min_rtt: Duration,
    pub(crate) srtt: Duration,
    /// Fast or RTO recovery is under way.
    pub(crate) repairing: bool,
    /// DupThresh segments were reported by SACK, and that counts.
    pub(crate) many_sacked: bool,
    /// The acknowledgement had a D-SACK.
    pub(crate) dsack: bool,
    /// It ended a recovery.
    pub(crate) recovered: bool,
    /// The window does not adapt.
    pub(crate) fixed: bool,
}

impl Rack {
    pub(crate) const fn new(una: SeqNum) -> Self {
        Self {
            newest: None,
            rtt: Duration::ZERO,
            fack: None,
            reordering_seen: false,
            reorderings: 0,
            multiplier: 1,
            persist: 0,
            dsack_round: None,
            window: Duration::ZERO,
            edge: una,
            again: VecDeque::new(),
        }
    }

    /// Octets of heap memory held.
    pub(crate) fn memory(&self) -> usize {
        self.again.capacity() * size_of::<(SeqNum, SeqNum, Instant)>()
    }

    /// Nothing flies any more.
    pub(crate) fn on_idle(&mut self) {
        self.again = VecDeque::new();
    }

    /// Something was sent again.
    pub(crate) fn on_sent_again(&mut self, start: SeqNum, end: SeqNum, at: Instant) {
        match self.again.back_mut() {
            Some(last) if last.2 == at && last.1 == start => last.1 = end,
            // The same once more, and nothing between: of the time before nothing is left. A window that stays shut is probed
            // for ever.
            Some(last) if last.0 == start && last.1 == end => last.2 = at,
            _ => self.again.push_back((start, end, at)),
        }
    }

    /// Section 6.2, steps 2 and 3: `sent` has arrived. `echo_is_older`: the peer's timestamp answers an earlier transmission.
    pub(crate) fn on_delivered(
        &mut self,
        now: Instant,
        sent: &Sent,
        echo_is_older: bool,
        min_rtt: Duration,
    ) {
        match self.fack {
            Some(fack) if sent.end.before(fack) => {
                if !sent.retransmitted {
                    self.reordering_seen = true;
                    self.reorderings = self.reorderings.saturating_add(1);
                }
            }
            _ => self.fack = Some(sent.end),
        }
        let rtt = now.since(sent.at);
        if sent.retransmitted && (echo_is_older || rtt < min_rtt) {
            return;
        }
        self.rtt = rtt;
        if self.newest.is_none_or(|newest| is_later(sent, &newest)) {
            self.newest = Some(*sent);
        }
    }

    /// A retransmission was in vain: the path reorders by more than the window, as a D-SACK would tell (section 6.2, step 4).
    pub(crate) fn on_false_alarm(&mut self, una: SeqNum, nxt: SeqNum) {
        self.reordering_seen = true;
        self.widen(nxt);
        // What was thought lost is judged again.
        self.edge = una;
    }

    fn widen(&mut self, nxt: SeqNum) {
        if self.dsack_round.is_none() {
            self.dsack_round = Some(nxt);
            self.multiplier = self.multiplier.saturating_add(1);
            self.persist = PERSIST;
        }
    }

    /// RACK_update_reo_wnd, section 6.2, step 4.
    pub(crate) fn update_window(&mut self, here: &Surroundings) {
        if self
            .dsack_round
            .is_some_and(|round| here.una.at_or_after(round))
        {
            self.dsack_round = None;
        }
        if here.dsack && !here.fixed {
            self.widen(here.nxt);
        } else if here.recovered {
            self.persist = self.persist.saturating_sub(1);
            if self.persist == 0 {
                self.multiplier = 1;
            }
        }
        self.window = if !self.reordering_seen && (here.repairing || here.many_sacked) {
            Duration::ZERO
        } else {
            (here.min_rtt / 4 * u32::from(self.multiplier)).min(here.srtt)
        };
    }

    /// RACK_detect_loss, section 6.2, step 5: marks what is lost, and tells when more will be.
    pub(crate) fn detect(
        &mut self,
        now: Instant,
        in_flight: &mut InFlight,
        hear: Hear<'_>,
    ) -> Option<Instant> {
        let newest = self.newest?;
        let allowed = self.rtt + self.window;
        let judge = |sent: &Sent| {
            let earlier = is_later(&newest, sent);
            let due = sent.at + allowed;
            match (earlier, due <= now) {
                (false, _) => Verdict::Early,
                (true, true) => Verdict::Lost,
                (true, false) => Verdict::WaitUntil(due),
            }
        };
        let mut next = None;
        let (edge, verdict) = in_flight.judge_originals(self.edge, judge, hear);
        self.edge = edge;
        let mut note = |verdict| {
            if let Verdict::WaitUntil(at) = verdict {
                next = Some(next.map_or(at, |next: Instant| next.min(at)));
            }
        };
        note(verdict);
        while let Some(&again) = self.again.front() {
            match in_flight.judge_again(again, judge, hear) {
                None => {
                    self.again.pop_front();
                }
                Some(verdict) => {
                    note(verdict);
                    break;
                }
            }
        }
        next
    }

    /// No reordering is allowed for.
    pub(crate) fn window_is_shut(&self) -> bool {
        self.window.is_zero()
    }

    /// Section 6.3: what left at this time or before is lost when the retransmission timer fires.
    pub(crate) fn overdue(&self, now: Instant) -> Instant {
        let allowed = self.rtt + self.window;
        let nanos = u64::try_from(allowed.as_nanos()).unwrap_or(u64::MAX);
        Instant::from_nanos(now.as_nanos().saturating_sub(nanos))
    }

    /// The numbers below `una` are over; the walk never begins below it.
    pub(crate) fn on_una(&mut self, una: SeqNum) {
        self.edge = self.edge.later(una);
    }
}
