//! PUSH in both directions, and FLUSH (RFC 9293 sections 3.9.1.2, 3.9.1.3, 3.9.1.7).

use super::Connection;
use crate::event::{Context, Wake};
use crate::seq::SeqNum;

impl Connection {
    /// SEND's PUSH flag for all that was written so far: its last segment carries PSH, and the cork does not keep it;
    /// Nagle's algorithm may. A push that text has not left for yet and the next become one. Where nothing
    /// is unsent, nothing happens.
    ///
    /// Without it PSH is on each segment that empties the buffer, as in every kernel.
    //= rfc9293 MAY-15
    pub fn push(&mut self, cx: &mut Context<'_>) {
        if self.snd.unsent() > 0 {
            //= rfc9293 SHLD-27
            self.choices_mut().pushed = Some(self.snd.text_end());
            self.rearm(cx.now);
        }
    }

    /// Whether text that was not sent yet was pushed.
    pub(super) fn is_unsent_pushed(&self) -> bool {
        let pushed = self.user.choices.as_ref().and_then(|c| c.pushed);
        pushed.is_some_and(|end| end.after(self.snd.nxt))
    }

    /// Whether text in `start .. end` ends what was written or pushed.
    //= rfc9293 MUST-61
    pub(super) fn carries_push(&self, start: SeqNum, end: SeqNum) -> bool {
        let pushed = self.user.choices.as_ref().and_then(|c| c.pushed);
        end == self.snd.text_end()
            || pushed.is_some_and(|at| at.after(start) && at.at_or_before(end))
    }

    /// SND.UNA moved: forgets a push that the peer has.
    pub(super) fn forget_push(&mut self) {
        let una = self.snd.una;
        if let Some(choices) = &mut self.user.choices {
            choices.pushed = choices.pushed.filter(|at| at.after(una));
        }
    }

    /// FLUSH (RFC 9293 section 3.9.1.7): takes back what was written and never sent; returns how many octets. What was
    /// sent stays, and so does a FIN that is queued. Numbers that were urgent are no longer, except to a peer that
    /// was told already.
    //= rfc9293 MAY-14
    pub fn flush(&mut self, cx: &mut Context<'_>) -> usize {
        let unsent = self.snd.unsent() as usize;
        if unsent == 0 {
            return 0;
        }
        self.snd.buffer.truncate(self.snd.buffer.len() - unsent);
        let end = self.snd.text_end();
        self.cut_up(end);
        if let Some(choices) = &mut self.user.choices {
            choices.pushed = choices.pushed.filter(|at| at.at_or_before(end));
        }
        self.wake_writer();
        if self.snd.in_flight.is_empty() && !self.snd.fin_due() {
            self.wake |= Wake::FLUSHED;
        }
        self.rearm(cx.now);
        unsent
    }

    /// Octets at the head of what can be read that the peer pushed: there is no reason to wait for more before working on
    /// them. Zero: none.
    //= rfc9293 MAY-17
    #[must_use]
    pub fn pushed(&self) -> usize {
        let read = self.read_up_to();
        self.rcv.pushed.filter(|at| at.after(read)).map_or(0, |at| {
            (at.distance_from(read) as usize).min(self.rcv.buffer.len())
        })
    }

    /// The user read: marks that lie behind are forgotten.
    pub(super) fn forget_read(&mut self) {
        let read = self.read_up_to();
        self.rcv.pushed = self.rcv.pushed.filter(|at| at.after(read));
        self.forget_mark();
    }
}
