//! Explicit congestion notification of a connection: marks that arrive, marks that are reported (RFC 3168 section 6.1).

use super::Connection;
use super::plan::Plan;
use crate::congestion::Trouble;
use crate::event::Reason;
use crate::segment::{Ecn, Flags, Segment};
use crate::time::Instant;

impl Connection {
    /// Whether `plan`, not built yet, carries only text that was never sent, in earnest: not a probe of a shut window
    /// (RFC 3168 sections 6.1.5, 6.1.6).
    fn is_new_text(&self, plan: Plan) -> bool {
        plan.len > 0 && plan.seq == self.snd.nxt && plan.reason != Reason::WindowProbe
    }

    /// The ECN field of the packet for `plan`: only new text is marked as capable; with DCTCP everything is, lest a switch that
    /// marks all others drop just these (RFC 8257 sections 3.6, 4.1).
    //= rfc9293 SHLD-8
    pub(super) fn ecn_of(&self, plan: Plan) -> Ecn {
        if self.agreed.ecn && (self.is_new_text(plan) || self.congestion.counts_marks()) {
            Ecn::Ect0
        } else {
            Ecn::NotEct
        }
    }

    /// ECE and CWR of a segment for `plan`; CWR once, on new text (RFC 3168 section 6.1.2).
    pub(super) fn ecn_flags(&mut self, plan: Plan) -> Flags {
        let mut flags = Flags::NONE;
        if !self.agreed.ecn {
            return flags;
        }
        if self.ecn.echo {
            flags = flags | Flags::ECE;
        }
        if self.ecn.cwr && self.is_new_text(plan) {
            self.ecn.cwr = false;
            flags = flags | Flags::CWR;
        }
        flags
    }

    pub(super) fn flags_of_syn_ack(&self) -> Flags {
        let flags = Flags::SYN | Flags::ACK;
        if self.agreed.ecn {
            flags | Flags::ECE
        } else {
            flags
        }
    }

    /// A segment with text: whether the network marked it, and whether the peer has slowed down.
    pub(super) fn note_mark(&mut self, segment: &Segment<'_>) {
        if !self.agreed.ecn {
            return;
        }
        let cwr = segment.header.flags.contains(Flags::CWR);
        let marked = segment.ecn == Ecn::Ce;
        let news = if self.congestion.counts_marks() {
            self.ecn.on_text_counted(marked)
        } else {
            self.ecn.on_text(cwr, marked)
        };
        if news {
            // At once: a sender whose window is small would else wait for nothing.
            self.rcv.ack.owe(Reason::Marked);
        }
    }

    /// ECE on an acknowledgement, with `flew` octets in flight before it: slow down, once a window. Returns whether the window must
    /// not grow by this acknowledgement (RFC 3168 section 6.1.2).
    pub(super) fn process_echo(&mut self, now: Instant, segment: &Segment<'_>, flew: u64) -> bool {
        if !self.agreed.ecn {
            return false;
        }
        let echo = segment.header.flags.contains(Flags::ECE);
        let asks = self.ecn.echo_asks(segment.header.ack, echo);
        // While a loss is repaired nothing asks: the window fell when it was found.
        if asks && flew > 0 {
            let flight = flew.min(self.congestion.window());
            self.congestion.on_trouble(now, Trouble::Marked, flight);
            self.ecn.on_reduced(self.snd.nxt);
        }
        echo
    }
}
