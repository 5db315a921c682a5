//! Explicit congestion notification (RFC 3168): routers mark packets instead of dropping them.

use crate::segment::{Flags, Header};
use crate::seq::SeqNum;

/// Whether connections use ECN (RFC 3168); the values are those of Linux's `tcp_ecn`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EcnPolicy {
    /// Neither asked for nor accepted.
    Off,
    /// Accepted where the peer's SYN asks for it, and not asked for: an old middlebox may drop such a SYN.
    #[default]
    Accept,
    /// Asked for by our SYN, and accepted.
    Request,
}

impl EcnPolicy {
    /// The flags that make a SYN of ours an ECN-setup SYN, where it is one: the first. A SYN that has to be repeated may
    /// have been dropped for these very flags (RFC 3168 section 6.1.1.1).
    pub(crate) fn of_syn(self, repeats: u8) -> Flags {
        if self == Self::Request && repeats == 0 {
            Flags::ECE | Flags::CWR
        } else {
            Flags::NONE
        }
    }

    /// Whether the peer's SYN or SYN,ACK makes ECN agreed, from this side's point of view (RFC 3168 section 6.1.1).
    ///
    /// A SYN,ACK with both flags comes from a peer that only mirrors reserved bits: it means nothing.
    pub(crate) fn agrees(self, peer: &Header) -> bool {
        let flags = peer.flags;
        if flags.ack() {
            self == Self::Request && is_setup_syn_ack(flags)
        } else {
            self != Self::Off && flags.contains(Flags::ECE | Flags::CWR)
        }
    }
}

/// Whether the flags of a SYN,ACK are those of an ECN-setup SYN,ACK.
pub(crate) const fn is_setup_syn_ack(flags: Flags) -> bool {
    flags.contains(Flags::ECE) && !flags.contains(Flags::CWR)
}

/// What a connection that agreed on ECN remembers. All of it is idle where nothing is ever marked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EcnState {
    /// Receiver: a packet came marked, and the peer has not said CWR since: ECE goes on every acknowledgement. DCTCP: the last
    /// packet came marked (DCTCP.CE).
    pub(crate) echo: bool,
    /// Sender: the window was reduced, and the peer has not been told: CWR goes on the next new text.
    pub(crate) cwr: bool,
    /// Sender: SND.NXT when the window was last reduced. ECE below it is about the same congestion.
    reduced: Option<SeqNum>,
}

impl EcnState {
    /// An acknowledgement of `ack` arrived: whether its ECE asks for a reduction, once a window of text
    /// (RFC 3168 section 6.1.2).
    pub(crate) fn echo_asks(&mut self, ack: SeqNum, echo: bool) -> bool {
        self.reduced.take_if(|at| ack.after(*at));
        echo && self.reduced.is_none()
    }

    /// Whether what was lost at `una` was sent before the window was last reduced, and is the same congestion. Not the
    /// segment that told of the reduction, which is the first after it.
    pub(crate) fn has_paid_for(&self, una: SeqNum) -> bool {
        self.reduced.is_some_and(|at| una.before(at))
    }

    /// The window was reduced, for whatever reason, with SND.NXT at `nxt`.
    pub(crate) fn on_reduced(&mut self, nxt: SeqNum) {
        self.reduced = Some(nxt);
        self.cwr = true;
    }

    /// The last reduction was for nothing, and is taken back: nothing is paid for.
    pub(crate) fn on_undone(&mut self) {
        self.reduced = None;
    }

    /// A segment with text arrived; returns whether marks began to be echoed with it. The peer's CWR ends the echo, and a mark on that
    /// very packet begins it again (RFC 3168 section 6.1.3).
    pub(crate) fn on_text(&mut self, cwr: bool, marked: bool) -> bool {
        let echoed = self.echo && !cwr;
        self.echo = marked || echoed;
        marked && !echoed
    }

    /// The same where each mark counts: returns whether the marks began or ended with this segment (RFC 8257 section 3.2).
    pub(crate) fn on_text_counted(&mut self, marked: bool) -> bool {
        core::mem::replace(&mut self.echo, marked) != marked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(flags: Flags) -> Header {
        Header {
            flags,
            ..Header::default()
        }
    }

    #[test]
    fn who_agrees_to_what() {
        let (syn, ack, ece, cwr) = (Flags::SYN, Flags::ACK, Flags::ECE, Flags::CWR);
        for (flags, accepted, requested) in [
            (syn, false, false),
            (syn | ece, false, false),
            (syn | cwr, false, false),
            (syn | ece | cwr, true, true),
            (syn | ece | cwr | Flags::AE, true, true),
            (syn | ack, false, false),
            (syn | ack | ece, false, true),
            (syn | ack | ece | cwr, false, false),
            (syn | ack | cwr, false, false),
        ] {
            let peer = header(flags);
            assert!(!EcnPolicy::Off.agrees(&peer), "{flags}");
            assert_eq!(EcnPolicy::Accept.agrees(&peer), accepted, "{flags}");
            assert_eq!(EcnPolicy::Request.agrees(&peer), requested, "{flags}");
        }
        assert_eq!(EcnPolicy::Request.of_syn(0), ece | cwr);
        assert_eq!(EcnPolicy::Request.of_syn(1), Flags::NONE, "6.1.1.1");
        assert_eq!(EcnPolicy::Accept.of_syn(0), Flags::NONE);
    }

    #[test]
    fn one_reduction_a_window() {
        let mut state = EcnState::default();
        let una = SeqNum(0xffff_fff0);
        assert!(!state.echo_asks(una, false));
        assert!(state.echo_asks(una, true));
        state.on_reduced(una + 100);
        assert!(state.cwr);
        assert!(!state.echo_asks(una + 50, true));
        assert!(!state.echo_asks(una + 100, true), "CWR is behind it");
        assert!(state.echo_asks(una + 101, true));
    }

    #[test]
    fn what_flew_when_the_window_fell_is_paid_for() {
        let mut state = EcnState::default();
        let una = SeqNum(0xffff_fff0);
        assert!(!state.has_paid_for(una));
        state.on_reduced(una + 100);
        assert!(state.has_paid_for(una) && state.has_paid_for(una + 99));
        assert!(!state.has_paid_for(una + 100), "the one that says CWR");
    }

    #[test]
    fn the_echo_lasts_until_cwr() {
        let mut state = EcnState::default();
        assert!(!state.on_text(false, false) && !state.echo);
        assert!(state.on_text(false, true) && state.echo);
        assert!(!state.on_text(false, true), "not news any more");
        assert!(!state.on_text(false, false) && state.echo);
        assert!(!state.on_text(true, false) && !state.echo);
        assert!(state.on_text(true, true) && state.echo, "both at once");
    }

    /// RFC 8257 section 3.2, Figure 1.
    #[test]
    fn where_marks_are_counted_the_echo_is_the_last_packets() {
        let mut state = EcnState::default();
        for (marked, news) in [
            (false, false),
            (true, true),
            (true, false),
            (false, true),
            (false, false),
            (true, true),
        ] {
            assert_eq!(state.on_text_counted(marked), news);
            assert_eq!(state.echo, marked);
        }
    }
}
