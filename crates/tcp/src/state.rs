//! The eleven states and the one table that moves between them (RFC 9293 section 3.3.2, Figure 5).

use core::fmt;

/// A connection's state. The names are the RFC's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    missing_docs,
    reason = "RFC 9293 section 3.3.2 is the documentation of each"
)]
pub enum State {
    Closed,
    Listen,
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
}

/// What can move a connection from state to state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The user listens.
    PassiveOpen,
    /// The user connects.
    ActiveOpen,
    /// A SYN without ACK arrived.
    Syn,
    /// A SYN that acknowledges ours arrived.
    SynAck,
    /// Our SYN is acknowledged.
    AckOfSyn,
    /// The user closes its direction.
    Close,
    /// The peer's FIN arrived, everything before it too.
    Fin,
    /// Our FIN is acknowledged.
    AckOfFin,
    /// 2 MSL have passed.
    TimeWaitOver,
    /// The connection is given up: RST in or out, timeout, or the user aborts.
    Abort,
}

impl State {
    /// All eleven, in the RFC's order.
    pub const ALL: [Self; 11] = [
        Self::Closed,
        Self::Listen,
        Self::SynSent,
        Self::SynReceived,
        Self::Established,
        Self::FinWait1,
        Self::FinWait2,
        Self::CloseWait,
        Self::Closing,
        Self::LastAck,
        Self::TimeWait,
    ];

    /// The state that `event` leads to, or `None` where the RFC draws no arrow.
    #[must_use]
    pub const fn on(self, event: Event) -> Option<Self> {
        use Event::*;
        use State::*;
        Some(match (self, event) {
            (Closed, PassiveOpen) => Listen,
            (Closed | Listen, ActiveOpen) => SynSent,
            (Listen | SynSent, Syn) => SynReceived,
            (SynSent, SynAck) | (SynReceived, AckOfSyn) => Established,
            (SynReceived | Established, Close) => FinWait1,
            (SynReceived | Established, Fin) => CloseWait,
            (FinWait1, AckOfFin) => FinWait2,
            (FinWait1, Fin) => Closing,
            (FinWait2, Fin) | (Closing, AckOfFin) => TimeWait,
            (CloseWait, Close) => LastAck,
            (Listen | SynSent, Close) => Closed,
            (LastAck, AckOfFin) | (TimeWait, TimeWaitOver) => Closed,
            (_, Abort) => Closed,
            _ => return None,
        })
    }

    /// Whether both sides agreed on their sequence numbers: ESTABLISHED and everything after it.
    #[must_use]
    pub const fn is_synchronized(self) -> bool {
        !matches!(
            self,
            Self::Closed | Self::Listen | Self::SynSent | Self::SynReceived
        )
    }

    /// Whether text of the peer is still to come (RFC 9293 3.10.7.4, seventh: ESTABLISHED, FIN-WAIT-1, FIN-WAIT-2).
    #[must_use]
    pub const fn receives_text(self) -> bool {
        matches!(self, Self::Established | Self::FinWait1 | Self::FinWait2)
    }

    /// Whether the user may still hand in text.
    #[must_use]
    pub const fn sends_text(self) -> bool {
        matches!(
            self,
            Self::SynSent | Self::SynReceived | Self::Established | Self::CloseWait
        )
    }

    /// The RFC's spelling.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::Listen => "LISTEN",
            Self::SynSent => "SYN-SENT",
            Self::SynReceived => "SYN-RECEIVED",
            Self::Established => "ESTABLISHED",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::CloseWait => "CLOSE-WAIT",
            Self::Closing => "CLOSING",
            Self::LastAck => "LAST-ACK",
            Self::TimeWait => "TIME-WAIT",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Event::{self, *};
    use super::State::{self, *};

    const EVENTS: [Event; 10] = [
        PassiveOpen,
        ActiveOpen,
        Syn,
        SynAck,
        AckOfSyn,
        Close,
        Fin,
        AckOfFin,
        TimeWaitOver,
        Abort,
    ];

    /// Figure 5, arrow by arrow, written out a second time and in another form than the code.
    const ARROWS: &[(State, Event, State)] = &[
        (Closed, PassiveOpen, Listen),
        (Closed, ActiveOpen, SynSent),
        (Listen, ActiveOpen, SynSent),
        (Listen, Syn, SynReceived),
        (Listen, Close, Closed),
        (SynSent, Syn, SynReceived),
        (SynSent, SynAck, Established),
        (SynSent, Close, Closed),
        (SynReceived, AckOfSyn, Established),
        (SynReceived, Close, FinWait1),
        (SynReceived, Fin, CloseWait),
        (Established, Close, FinWait1),
        (Established, Fin, CloseWait),
        (FinWait1, AckOfFin, FinWait2),
        (FinWait1, Fin, Closing),
        (FinWait2, Fin, TimeWait),
        (CloseWait, Close, LastAck),
        (Closing, AckOfFin, TimeWait),
        (LastAck, AckOfFin, Closed),
        (TimeWait, TimeWaitOver, Closed),
    ];

    #[test]
    fn figure_5_these_arrows_and_no_other() {
        for state in State::ALL {
            for event in EVENTS {
                let drawn = ARROWS
                    .iter()
                    .find(|a| a.0 == state && a.1 == event)
                    .map(|a| a.2);
                let expected = if event == Abort { Some(Closed) } else { drawn };
                assert_eq!(state.on(event), expected, "{state} on {event:?}");
            }
        }
    }
}
