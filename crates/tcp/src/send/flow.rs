//! How much new text may go, and whether so little is worth a segment (RFC 9293 sections 3.7.4 and 3.8.6).

use super::Send;

/// What holds new text back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Send so many octets.
    Send(u32),
    /// There is no text.
    Nothing,
    /// The peer's window: arm the persist timer when nothing flies.
    Window,
    /// The congestion window: an acknowledgement will free it.
    Congestion,
    /// Nagle's algorithm: an acknowledgement will free it.
    Nagle,
    /// The user corked the connection: more text, the user, or time will free it.
    Corked,
}

/// What the sender is allowed besides the peer's window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    /// Octets of text that one segment carries now (SACK blocks taken off).
    pub(crate) room: u32,
    /// Octets that the congestion window leaves.
    pub(crate) congestion: u64,
    /// Most octets the caller wants at once.
    pub(crate) max_text: u32,
    /// Small segments need not wait for acknowledgements.
    pub(crate) nodelay: bool,
    /// Small segments wait whatever was acknowledged.
    pub(crate) corked: bool,
}

impl Send {
    /// U of RFC 9293 3.8.6.2.1: SND.UNA + SND.WND - SND.NXT, zero when the peer shrank its window below what flies.
    //= rfc9293 MUST-34
    //= rfc9293 SHLD-15
    pub(crate) fn usable_window(&self) -> u32 {
        let edge = self.una + self.wnd;
        if edge.before(self.nxt) {
            0
        } else {
            edge.distance_from(self.nxt)
        }
    }

    /// How much new text to send now.
    //= rfc9293 MUST-38
    //= rfc9293 SHLD-7
    //= rfc9293 SHLD-28
    pub(crate) fn new_text(&self, allowance: &Allowance) -> Verdict {
        let unsent = self.unsent();
        if unsent == 0 {
            return Verdict::Nothing;
        }
        let room = allowance.room.max(1);
        let usable = self.usable_window();
        let congestion = u32::try_from(allowance.congestion).unwrap_or(u32::MAX);
        let len = unsent
            .min(usable)
            .min(congestion)
            .min(allowance.max_text.max(1));
        if len >= room {
            // Whole segments; the odd rest only when it is all that is left and allowed to go.
            let small_may_go = allowance.nodelay && !allowance.corked;
            let rest_may_go = len == unsent && (small_may_go || self.fin_queued);
            return Verdict::Send(if rest_may_go { len } else { len - len % room });
        }
        let wanted = unsent.min(room);
        if usable < wanted {
            // Sender's SWS avoidance: half of the largest window is worth a segment when nothing flies.
            let worth = self.in_flight.is_empty() && usable >= self.max_wnd.div_ceil(2).max(1);
            if !worth {
                return Verdict::Window;
            }
        }
        if congestion < wanted.min(usable) {
            return Verdict::Congestion;
        }
        //= rfc9293 MAY-16
        if unsent < room && allowance.corked && !self.fin_queued {
            return Verdict::Corked;
        }
        if unsent < room && self.nagle_holds(allowance) {
            return Verdict::Nagle;
        }
        Verdict::Send(len)
    }

    /// RFC 9293 3.7.4: a small segment waits while anything is unacknowledged; the last one before FIN does not.
    fn nagle_holds(&self, allowance: &Allowance) -> bool {
        !allowance.nodelay && !self.in_flight.is_empty() && !self.fin_queued
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seq::SeqNum;
    use crate::time::Instant;

    /// A sender at the end of the circle, MSS 1000, window 10,000, nothing in flight.
    fn sender(unsent: usize) -> Send {
        let mut send = Send::new(SeqNum(0xffff_fffd), 0, 1000, Instant::ZERO);
        send.on_ack_of_syn();
        send.wnd = 10_000;
        send.max_wnd = 10_000;
        assert_eq!(
            send.buffer
                .write(&alloc::vec![7; unsent], 1 << 20, &mut None),
            unsent
        );
        send
    }

    const FREE: Allowance = Allowance {
        room: 1000,
        congestion: u64::MAX,
        max_text: 1000,
        nodelay: false,
        corked: false,
    };

    fn fly(send: &mut Send, octets: u32) {
        send.in_flight.push(
            (send.nxt, send.nxt + octets),
            Instant::ZERO,
            crate::delivery::SentAt::default(),
            1000,
        );
        send.nxt += octets;
    }

    type Case = (
        &'static str,
        usize,
        fn(&mut Send),
        fn(&mut Allowance),
        Verdict,
    );

    #[rustfmt::skip]
    const CASES: &[Case] = &[
        ("nothing", 0, |_| (), |_| (), Verdict::Nothing),
        ("a full segment", 5000, |_| (), |_| (), Verdict::Send(1000)),
        ("many at once", 5000, |_| (), |a| a.max_text = 3500, Verdict::Send(3000)),
        ("window limits", 50_000, |s| s.wnd = 2500, |a| a.max_text = 9000, Verdict::Send(2000)),
        ("small, nothing flies", 10, |_| (), |_| (), Verdict::Send(10)),
        ("Nagle", 10 + 2000, |s| fly(s, 2000), |_| (), Verdict::Nagle),
        ("nodelay", 10 + 2000, |s| fly(s, 2000), |a| a.nodelay = true, Verdict::Send(10)),
        ("corked, nothing flies", 10, |_| (), |a| { a.corked = true; a.nodelay = true }, Verdict::Corked),
        ("corked, the odd rest", 2500, |_| (), |a| { a.corked = true; a.nodelay = true; a.max_text = 9000 }, Verdict::Send(2000)),
        ("corked, last before FIN", 10, |s| s.fin_queued = true, |a| a.corked = true, Verdict::Send(10)),
        ("last before FIN", 2010, |s| { fly(s, 2000); s.fin_queued = true; }, |_| (), Verdict::Send(10)),
        ("the odd rest before FIN", 2500, |s| s.fin_queued = true, |a| a.max_text = 9000, Verdict::Send(2500)),
        ("the odd rest, nodelay", 2500, |_| (), |a| { a.nodelay = true; a.max_text = 9000 }, Verdict::Send(2500)),
        ("the odd rest, Nagle", 2500, |_| (), |a| a.max_text = 9000, Verdict::Send(2000)),
        ("part of a full segment", 3000, |s| fly(s, 2000), |a| a.max_text = 500, Verdict::Send(500)),
        ("small, the congestion window as large", 10, |_| (), |a| a.congestion = 10, Verdict::Send(10)),
        ("shut window", 10, |s| s.wnd = 0, |_| (), Verdict::Window),
        ("silly window", 5000, |s| s.wnd = 900, |_| (), Verdict::Window),
        ("half the largest window", 5000, |s| { s.wnd = 600; s.max_wnd = 1200; }, |_| (), Verdict::Send(600)),
        ("half, but something flies", 5000, |s| { fly(s, 100); s.wnd = 700; s.max_wnd = 1200; }, |_| (), Verdict::Window),
        ("small text, small window", 500, |s| s.wnd = 500, |_| (), Verdict::Send(500)),
        ("congestion", 5000, |_| (), |a| a.congestion = 999, Verdict::Congestion),
        ("shrunk below what flies", 5000, |s| { fly(s, 3000); s.wnd = 1000; }, |_| (), Verdict::Window),
    ];

    #[test]
    //= rfc9293 MUST-38 test
    //= rfc9293 SHLD-7 test
    //= rfc9293 SHLD-28 test
    //= rfc9293 SHLD-15 test
    fn what_goes_and_what_waits() {
        for (name, unsent, state, allow, expected) in CASES {
            let (mut send, mut allowance) = (sender(*unsent), FREE);
            state(&mut send);
            allow(&mut allowance);
            assert_eq!(send.new_text(&allowance), *expected, "{name}");
        }
    }
}
