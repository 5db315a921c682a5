//! Which transmissions are late: the walks through the records that RACK (RFC 8985) and the undoing of false alarms need.

use super::{Fate, Hear, InFlight, Sent};
use crate::seq::SeqNum;
use crate::time::Instant;

/// What is to be thought of a transmission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Lost.
    Lost,
    /// Lost at this time, unless it is reported before.
    WaitUntil(Instant),
    /// Nothing that was sent later has arrived.
    Early,
}

impl InFlight {
    /// Judges what was sent only once, from `from` on, oldest first, until one is not lost: all behind it left later. Returns
    /// where the next walk begins, and the verdict that ended this one.
    pub(crate) fn judge_originals(
        &mut self,
        from: SeqNum,
        judge: impl Fn(&Sent) -> Verdict,
        hear: Hear<'_>,
    ) -> (SeqNum, Verdict) {
        let mut index = self.find(from);
        let mut edge = from;
        while let Some(sent) = self.records.get(index).copied() {
            if sent.fate == Fate::Flying && !sent.retransmitted {
                match judge(&sent) {
                    Verdict::Lost => self.lose(index, hear),
                    other => return (edge, other),
                }
            }
            edge = sent.end;
            index += 1;
        }
        (edge, Verdict::Early)
    }

    /// Judges what was sent again at `at`, of `start .. end`; returns the first verdict that is not [`Verdict::Lost`].
    pub(crate) fn judge_again(
        &mut self,
        again: (SeqNum, SeqNum, Instant),
        judge: impl Fn(&Sent) -> Verdict,
        hear: Hear<'_>,
    ) -> Option<Verdict> {
        let (start, end, at) = again;
        for index in self.within(start, end) {
            let Some(sent) = self.records.get(index).copied() else {
                break;
            };
            if sent.fate == Fate::Flying && sent.retransmitted && sent.at == at {
                match judge(&sent) {
                    Verdict::Lost => self.lose(index, hear),
                    other => return Some(other),
                }
            }
        }
        None
    }

    fn lose(&mut self, index: usize, hear: Hear<'_>) {
        if let Some(sent) = self.records.get_mut(index) {
            sent.by_rack = true;
            hear(sent);
        }
        self.set_fate(index, Fate::Lost);
    }

    /// The alarm was false: what is lost and did not go again flies, after all.
    pub(crate) fn take_back_losses(&mut self) {
        for index in 0..self.records.len() {
            let wrong = |sent: &&Sent| sent.fate == Fate::Lost && !sent.retransmitted;
            if self.records.get(index).is_some_and(|sent| wrong(&sent)) {
                self.set_fate(index, Fate::Flying);
            }
        }
        if let Some(first) = self.records.front() {
            self.lost_hint = first.start;
        }
    }
}
