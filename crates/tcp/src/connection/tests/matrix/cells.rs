//! What is to be seen in each cell, by RFC 9293 section 3.10.7 and 3.10.8, RFC 5961 and RFC 7323; not by what the code does.
//!
//! In each synchronized state ten octets of ours were acknowledged, twenty fly in two segments (in FIN-WAIT-2 and TIME-WAIT
//! all were acknowledged), and ten of the peer's were read. A cell lists, in this order:
//!
//! | word | means |
//! |---|---|
//! | `-` | nothing: dropped, the state stays |
//! | `ESTAB`, `CW`, .. | the new state; none: it stays |
//! | `A` | `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>` |
//! | `R` | `<SEQ=SEG.ACK><CTL=RST>` |
//! | `SA`, `S`, `T`, `RA` | SYN,ACK of the SYN; our SYN; the head of what flies; RST with ACK at SND.NXT |
//! | `+10`, `end` | the user can read so many octets more; learns that the peer closed |
//! | `urg5` | the user hears of so many octets of urgent text unread |
//! | `(closed)` | the user is told that it is over, and why |
//! | `una+10`, `wnd=10` | SND.UNA moved; SND.WND is another (in a `Connection`, which is not there before) |
//! | `2msl` | 2 MSL begin anew |
//!
//! Where the RFC leaves freedom: SYN in TIME-WAIT reopens by MAY-2; a RST does not end TIME-WAIT (RFC 1337, F1); text and
//! FIN in TIME-WAIT are answered wherever they lie, as the kernels do; a segment that spans the whole window is taken though
//! neither of its ends lies in it; a SYN that comes again in SYN-RECEIVED is answered by the SYN,ACK, which is an ACK, too.

use super::{Acks, At, Before, Len, Stamp, THEIRS, What};
use crate::segment::Flags;
use crate::state::State;

/// A state; SYN-RECEIVED once for each way that leads to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connection::tests) enum Col {
    Listen,
    SynSent,
    SynRcvdPassive,
    SynRcvdActive,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
}

impl Col {
    pub(super) const ALL: [Self; 11] = [
        Self::Listen,
        Self::SynSent,
        Self::SynRcvdPassive,
        Self::SynRcvdActive,
        Self::Established,
        Self::FinWait1,
        Self::FinWait2,
        Self::CloseWait,
        Self::Closing,
        Self::LastAck,
        Self::TimeWait,
    ];

    pub(super) const fn state(self) -> State {
        match self {
            Self::Listen => State::Listen,
            Self::SynSent => State::SynSent,
            Self::SynRcvdPassive | Self::SynRcvdActive => State::SynReceived,
            Self::Established => State::Established,
            Self::FinWait1 => State::FinWait1,
            Self::FinWait2 => State::FinWait2,
            Self::CloseWait => State::CloseWait,
            Self::Closing => State::Closing,
            Self::LastAck => State::LastAck,
            Self::TimeWait => State::TimeWait,
        }
    }
}

/// An event, and what is seen in each state.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) what: What,
    pub(super) cells: [&'static str; 11],
}

/// The segment of a row, without text, window, urgent pointer or timestamp of its own.
const fn seg(flags: Flags, at: At, acks: Acks) -> What {
    What::Segment {
        flags,
        at,
        acks,
        len: Len::Is(0),
        window: THEIRS,
        urgent: 0,
        stamp: Stamp::Off,
        before: Before::Nothing,
    }
}

const SYN_FIN: Flags = Flags::from_bits(Flags::SYN.bits() | Flags::FIN.bits());
const SYN_ACK: Flags = Flags::from_bits(Flags::SYN.bits() | Flags::ACK.bits());
const SYN_FIN_ACK: Flags =
    Flags::from_bits(Flags::SYN.bits() | Flags::FIN.bits() | Flags::ACK.bits());
const RST_ACK: Flags = Flags::from_bits(Flags::RST.bits() | Flags::ACK.bits());
const RST_FIN: Flags = Flags::from_bits(Flags::RST.bits() | Flags::FIN.bits());
const RST_FIN_ACK: Flags =
    Flags::from_bits(Flags::RST.bits() | Flags::FIN.bits() | Flags::ACK.bits());
const SYN_RST: Flags = Flags::from_bits(Flags::SYN.bits() | Flags::RST.bits());
const SYN_RST_ACK: Flags =
    Flags::from_bits(Flags::SYN.bits() | Flags::RST.bits() | Flags::ACK.bits());
const SYN_RST_FIN: Flags =
    Flags::from_bits(Flags::SYN.bits() | Flags::RST.bits() | Flags::FIN.bits());
const SYN_RST_FIN_ACK_PSH_URG: Flags = Flags::from_bits(
    Flags::SYN.bits()
        | Flags::RST.bits()
        | Flags::FIN.bits()
        | Flags::ACK.bits()
        | Flags::PSH.bits()
        | Flags::URG.bits(),
);
const FIN_ACK: Flags = Flags::from_bits(Flags::FIN.bits() | Flags::ACK.bits());
const ACK_PSH: Flags = Flags::from_bits(Flags::ACK.bits() | Flags::PSH.bits());
const ACK_URG: Flags = Flags::from_bits(Flags::ACK.bits() | Flags::URG.bits());

impl What {
    const fn text(mut self, octets: usize) -> Self {
        if let Self::Segment { len, .. } = &mut self {
            *len = Len::Is(octets);
        }
        self
    }
    const fn spanning(mut self) -> Self {
        if let Self::Segment { len, .. } = &mut self {
            *len = Len::Spans;
        }
        self
    }
    const fn window(mut self, octets: u16) -> Self {
        if let Self::Segment { window, .. } = &mut self {
            *window = octets;
        }
        self
    }
    const fn urgent(mut self, pointer: u16) -> Self {
        if let Self::Segment { urgent, .. } = &mut self {
            *urgent = pointer;
        }
        self
    }
    const fn stamp(mut self, is: Stamp) -> Self {
        if let Self::Segment { stamp, .. } = &mut self {
            *stamp = is;
        }
        self
    }
    const fn after(mut self, what: Before) -> Self {
        if let Self::Segment { before, .. } = &mut self {
            *before = what;
        }
        self
    }
}

const REFUSED: &str = "CLOSED (connection refused)";
const RESET: &str = "CLOSED (connection reset by peer)";
const TIMED_OUT: &str = "CLOSED RA (connection timed out)";

// The columns are LISTEN, SYN-SENT, SYN-RECEIVED after a passive and after an active open, ESTABLISHED, FIN-WAIT-1,
// FIN-WAIT-2, CLOSE-WAIT, CLOSING, LAST-ACK and TIME-WAIT.
#[rustfmt::skip]
pub(super) const CELLS: &[Row] = &[
    // ---- SYN ----
    Row { name: "SYN at RCV.NXT", what: seg(Flags::SYN, At::Next(0), Acks::No),
        cells: ["SYN-RCVD SA", "SYN-RCVD SA", "LISTEN", "A", "A", "A", "A", "A", "A", "A", "SYN-RCVD SA"] },
    Row { name: "SYN in the window", what: seg(Flags::SYN, At::Next(9), Acks::No),
        cells: ["SYN-RCVD SA", "SYN-RCVD SA", "LISTEN", "A", "A", "A", "A", "A", "A", "A", "SYN-RCVD SA"] },
    Row { name: "SYN before the window", what: seg(Flags::SYN, At::Next(-100), Acks::No),
        cells: ["SYN-RCVD SA", "SYN-RCVD SA", "A", "A", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "SYN beyond the window", what: seg(Flags::SYN, At::Edge(9), Acks::No),
        cells: ["SYN-RCVD SA", "SYN-RCVD SA", "A", "A", "A", "A", "A", "A", "A", "A", "SYN-RCVD SA"] },
    Row { name: "the SYN again", what: seg(Flags::SYN, At::Irs, Acks::No),
        cells: ["SYN-RCVD SA", "SYN-RCVD SA", "SA", "A", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "SYN with text", what: seg(Flags::SYN, At::Next(0), Acks::No).text(10),
        cells: ["SYN-RCVD SA", "SYN-RCVD SA", "LISTEN", "A", "A", "A", "A", "A", "A", "A", "SYN-RCVD SA"] },
    Row { name: "SYN,FIN", what: seg(SYN_FIN, At::Next(0), Acks::No),
        cells: ["SYN-RCVD SA", "SYN-RCVD SA", "LISTEN", "A", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "SYN,ACK at RCV.NXT", what: seg(SYN_ACK, At::Next(0), Acks::Nxt(0)),
        cells: ["R", "ESTAB A", "LISTEN", "A", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "SYN,ACK in the window", what: seg(SYN_ACK, At::Next(9), Acks::Nxt(0)),
        cells: ["R", "ESTAB A", "LISTEN", "A", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "SYN,ACK beyond the window", what: seg(SYN_ACK, At::Edge(9), Acks::Nxt(0)),
        cells: ["R", "ESTAB A", "A", "A", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "SYN,ACK on the SYN", what: seg(SYN_ACK, At::Irs, Acks::Nxt(0)),
        cells: ["R", "ESTAB A", "A", "ESTAB una+1", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "SYN,ACK of nothing", what: seg(SYN_ACK, At::Next(0), Acks::Una(0)),
        cells: ["R", "R", "LISTEN", "A", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "SYN,ACK of unsent", what: seg(SYN_ACK, At::Next(0), Acks::Nxt(1)),
        cells: ["R", "R", "LISTEN", "A", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "SYN,ACK with text", what: seg(SYN_ACK, At::Next(0), Acks::Nxt(0)).text(10),
        cells: ["R", "ESTAB A +10", "LISTEN", "A", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "SYN,FIN,ACK", what: seg(SYN_FIN_ACK, At::Next(0), Acks::Nxt(0)),
        cells: ["R", "CW A end", "LISTEN", "A", "A", "A", "A", "A", "A", "A", "A"] },
    // ---- RST ----
    Row { name: "RST at RCV.NXT", what: seg(Flags::RST, At::Next(0), Acks::No),
        cells: ["-", "-", "LISTEN", REFUSED, RESET, RESET, RESET, RESET, RESET, RESET, "-"] },
    Row { name: "RST in the window", what: seg(Flags::RST, At::Next(9), Acks::No),
        cells: ["-", "-", "A", "A", "A", "A", "A", "A", "A", "A", "-"] },
    Row { name: "RST on the last octet of the window", what: seg(Flags::RST, At::Edge(-1), Acks::No),
        cells: ["-", "-", "A", "A", "A", "A", "A", "A", "A", "A", "-"] },
    Row { name: "RST before the window", what: seg(Flags::RST, At::Next(-1), Acks::No),
        cells: ["-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"] },
    Row { name: "RST beyond the window", what: seg(Flags::RST, At::Edge(0), Acks::No),
        cells: ["-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"] },
    Row { name: "RST,ACK at RCV.NXT, good ACK", what: seg(RST_ACK, At::Next(0), Acks::Nxt(0)),
        cells: ["-", REFUSED, "LISTEN", REFUSED, RESET, RESET, RESET, RESET, RESET, RESET, "-"] },
    Row { name: "RST,ACK at RCV.NXT, ACK of unsent", what: seg(RST_ACK, At::Next(0), Acks::Nxt(1)),
        cells: ["-", "-", "LISTEN", REFUSED, RESET, RESET, RESET, RESET, RESET, RESET, "-"] },
    Row { name: "RST,ACK at RCV.NXT, old ACK", what: seg(RST_ACK, At::Next(0), Acks::Una(-5)),
        cells: ["-", "-", "LISTEN", REFUSED, RESET, RESET, RESET, RESET, RESET, RESET, "-"] },
    Row { name: "RST,ACK in the window", what: seg(RST_ACK, At::Next(9), Acks::Nxt(0)),
        cells: ["-", REFUSED, "A", "A", "A", "A", "A", "A", "A", "A", "-"] },
    Row { name: "RST,ACK before the window", what: seg(RST_ACK, At::Next(-1), Acks::Nxt(0)),
        cells: ["-", REFUSED, "-", "-", "-", "-", "-", "-", "-", "-", "-"] },
    Row { name: "RST with text", what: seg(Flags::RST, At::Next(0), Acks::No).text(10),
        cells: ["-", "-", "LISTEN", REFUSED, RESET, RESET, RESET, RESET, RESET, RESET, "-"] },
    Row { name: "RST,FIN", what: seg(RST_FIN, At::Next(0), Acks::No),
        cells: ["-", "-", "LISTEN", REFUSED, RESET, RESET, RESET, RESET, RESET, RESET, "-"] },
    Row { name: "RST,FIN,ACK", what: seg(RST_FIN_ACK, At::Next(0), Acks::Nxt(0)),
        cells: ["-", REFUSED, "LISTEN", REFUSED, RESET, RESET, RESET, RESET, RESET, RESET, "-"] },
    Row { name: "SYN,RST", what: seg(SYN_RST, At::Next(0), Acks::No),
        cells: ["-", "-", "LISTEN", REFUSED, RESET, RESET, RESET, RESET, RESET, RESET, "-"] },
    Row { name: "SYN,RST,ACK", what: seg(SYN_RST_ACK, At::Next(0), Acks::Nxt(0)),
        cells: ["-", REFUSED, "LISTEN", REFUSED, RESET, RESET, RESET, RESET, RESET, RESET, "-"] },
    Row { name: "SYN,RST,FIN", what: seg(SYN_RST_FIN, At::Next(0), Acks::No),
        cells: ["-", "-", "LISTEN", REFUSED, RESET, RESET, RESET, RESET, RESET, RESET, "-"] },
    Row { name: "all flags", what: seg(SYN_RST_FIN_ACK_PSH_URG, At::Next(0), Acks::Nxt(0)),
        cells: ["-", REFUSED, "LISTEN", REFUSED, RESET, RESET, RESET, RESET, RESET, RESET, "-"] },
    Row { name: "RST at a shut window", what: seg(Flags::RST, At::Next(0), Acks::No).after(Before::Full),
        cells: ["-", "-", "LISTEN", REFUSED, RESET, RESET, RESET, RESET, RESET, RESET, "-"] },
    Row { name: "RST behind a shut window", what: seg(Flags::RST, At::Next(9), Acks::No).after(Before::Full),
        cells: ["-", "-", "A", "A", "-", "-", "-", "-", "-", "-", "-"] },
    // ---- FIN ----
    Row { name: "FIN without ACK", what: seg(Flags::FIN, At::Next(0), Acks::No),
        cells: ["-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"] },
    Row { name: "FIN, old ACK", what: seg(FIN_ACK, At::Next(0), Acks::Una(-5)),
        cells: ["R", "R", "R", "R", "CW A end", "CLOSING A end", "TW A end (closed)", "A", "A", "A", "A"] },
    Row { name: "FIN, acknowledging nothing new", what: seg(FIN_ACK, At::Next(0), Acks::Una(0)),
        cells: ["R", "R", "R", "R", "CW A end", "CLOSING A end", "TW A end (closed)", "A", "A", "A", "A"] },
    Row { name: "FIN, acknowledging all", what: seg(FIN_ACK, At::Next(0), Acks::Nxt(0)),
        cells: ["R", "-", "CW A end", "CW A end una+1", "CW A end una+20", "TW A end (closed) una+21", "TW A end (closed)", "A una+20", "TW A (closed) una+21", "CLOSED (closed) una+21", "A"] },
    Row { name: "FIN, acknowledging unsent", what: seg(FIN_ACK, At::Next(0), Acks::Nxt(1)),
        cells: ["R", "R", "R", "R", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "FIN behind a hole", what: seg(FIN_ACK, At::Next(10), Acks::Una(0)),
        cells: ["R", "R", "R", "R", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "FIN again", what: seg(FIN_ACK, At::Next(-1), Acks::Una(0)),
        cells: ["R", "R", "A", "A", "A", "A", "A", "A", "A", "A", "A 2msl"] },
    Row { name: "FIN with text", what: seg(FIN_ACK, At::Next(0), Acks::Una(0)).text(10),
        cells: ["R", "R", "R", "R", "CW A +10 end", "CLOSING A +10 end", "TW A +10 end (closed)", "A", "A", "A", "A"] },
    Row { name: "FIN on text that was read", what: seg(FIN_ACK, At::Next(-10), Acks::Una(0)).text(10),
        cells: ["R", "R", "R", "R", "CW A end", "CLOSING A end", "TW A end (closed)", "A", "A", "A", "A"] },
    Row { name: "FIN with text, without ACK", what: seg(Flags::FIN, At::Next(0), Acks::No).text(10),
        cells: ["-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"] },
    // ---- ACK ----
    Row { name: "old ACK", what: seg(Flags::ACK, At::Next(0), Acks::Una(-5)),
        cells: ["R", "R", "R", "R", "-", "-", "-", "-", "-", "-", "-"] },
    Row { name: "the same ACK again", what: seg(Flags::ACK, At::Next(0), Acks::Una(0)),
        cells: ["R", "R", "R", "R", "-", "-", "-", "-", "-", "-", "-"] },
    Row { name: "ACK of a part", what: seg(Flags::ACK, At::Next(0), Acks::Una(10)),
        cells: ["R", "R", "R", "R", "una+10", "una+10", "A", "una+10", "una+10", "una+10", "A"] },
    Row { name: "ACK of all", what: seg(Flags::ACK, At::Next(0), Acks::Nxt(0)),
        cells: ["R", "-", "ESTAB", "ESTAB una+1", "una+20", "FW2 una+21", "-", "una+20", "TW (closed) una+21", "CLOSED (closed) una+21", "-"] },
    Row { name: "ACK of all but our FIN", what: seg(Flags::ACK, At::Next(0), Acks::Nxt(-1)),
        cells: ["R", "R", "R", "R", "una+19", "una+20", "-", "una+19", "una+20", "una+20", "-"] },
    Row { name: "ACK of unsent", what: seg(Flags::ACK, At::Next(0), Acks::Nxt(1)),
        cells: ["R", "R", "R", "R", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "ACK of far unsent", what: seg(Flags::ACK, At::Next(0), Acks::Nxt(1000000)),
        cells: ["R", "R", "R", "R", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "ACK too old", what: seg(Flags::ACK, At::Next(0), Acks::TooOld),
        cells: ["R", "R", "R", "R", "A", "A", "A", "A", "A", "A", "-"] },
    Row { name: "keep-alive", what: seg(Flags::ACK, At::Next(-1), Acks::Una(0)),
        cells: ["R", "R", "A", "A", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "keep-alive of one octet", what: seg(Flags::ACK, At::Next(-1), Acks::Una(0)).text(1),
        cells: ["R", "R", "A", "A", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "ACK of all, in the window", what: seg(Flags::ACK, At::Next(9), Acks::Nxt(0)),
        cells: ["R", "-", "ESTAB", "ESTAB una+1", "una+20", "FW2 una+21", "-", "una+20", "TW (closed) una+21", "CLOSED (closed) una+21", "-"] },
    Row { name: "ACK of all, beyond the window", what: seg(Flags::ACK, At::Edge(9), Acks::Nxt(0)),
        cells: ["R", "-", "A", "A", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "ACK of all at a shut window", what: seg(Flags::ACK, At::Next(0), Acks::Nxt(0)).after(Before::Full),
        cells: ["R", "-", "ESTAB", "ESTAB una+1", "una+20", "FW2 una+21", "-", "una+20", "TW (closed) una+21", "CLOSED (closed) una+21", "-"] },
    Row { name: "no flags", what: seg(Flags::NONE, At::Next(0), Acks::No),
        cells: ["-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"] },
    Row { name: "no flags, before the window", what: seg(Flags::NONE, At::Next(-1), Acks::No),
        cells: ["-", "-", "A", "A", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "text without ACK", what: seg(Flags::NONE, At::Next(0), Acks::No).text(10),
        cells: ["-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"] },
    Row { name: "a larger window", what: seg(Flags::ACK, At::Next(0), Acks::Una(0)).window(2000),
        cells: ["R", "R", "R", "R", "wnd=2000", "wnd=2000", "wnd=2000", "wnd=2000", "wnd=2000", "wnd=2000", "-"] },
    Row { name: "a smaller window", what: seg(Flags::ACK, At::Next(0), Acks::Una(0)).window(10),
        cells: ["R", "R", "R", "R", "wnd=10", "wnd=10", "wnd=10", "wnd=10", "wnd=10", "wnd=10", "-"] },
    Row { name: "a window older than the last", what: seg(Flags::ACK, At::Next(0), Acks::Una(0)).window(500).after(Before::Held),
        cells: ["R", "R", "R", "R", "-", "-", "-", "-", "-", "-", "-"] },
    Row { name: "a window with an old ACK", what: seg(Flags::ACK, At::Next(0), Acks::Una(-5)).window(500),
        cells: ["R", "R", "R", "R", "-", "-", "-", "-", "-", "-", "-"] },
    // ---- text ----
    Row { name: "text in order", what: seg(Flags::ACK, At::Next(0), Acks::Una(0)).text(10),
        cells: ["R", "R", "R", "R", "A +10", "A +10", "A +10", "-", "-", "-", "A"] },
    Row { name: "text in order, pushed", what: seg(ACK_PSH, At::Next(0), Acks::Una(0)).text(10),
        cells: ["R", "R", "R", "R", "A +10", "A +10", "A +10", "-", "-", "-", "A"] },
    Row { name: "text in order, old ACK", what: seg(Flags::ACK, At::Next(0), Acks::Una(-5)).text(10),
        cells: ["R", "R", "R", "R", "A +10", "A +10", "A +10", "-", "-", "-", "A"] },
    Row { name: "text in order, acknowledging all", what: seg(Flags::ACK, At::Next(0), Acks::Nxt(0)).text(10),
        cells: ["R", "-", "ESTAB A +10", "ESTAB A +10 una+1", "A +10 una+20", "FW2 A +10 una+21", "A +10", "una+20", "TW (closed) una+21", "CLOSED (closed) una+21", "A"] },
    Row { name: "text in order, acknowledging unsent", what: seg(Flags::ACK, At::Next(0), Acks::Nxt(1)).text(10),
        cells: ["R", "R", "R", "R", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "text in order, ACK too old", what: seg(Flags::ACK, At::Next(0), Acks::TooOld).text(10),
        cells: ["R", "R", "R", "R", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "text that was read", what: seg(Flags::ACK, At::Next(-10), Acks::Una(0)).text(10),
        cells: ["R", "R", "A", "A", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "text, its left part known", what: seg(Flags::ACK, At::Next(-5), Acks::Una(0)).text(10),
        cells: ["R", "R", "R", "R", "A +5", "A +5", "A +5", "-", "-", "-", "A"] },
    Row { name: "text, its right part beyond the window", what: seg(Flags::ACK, At::Edge(-5), Acks::Una(0)).text(10),
        cells: ["R", "R", "R", "R", "A", "A", "A", "-", "-", "-", "A"] },
    Row { name: "text that spans the window", what: seg(Flags::ACK, At::Next(-5), Acks::Una(0)).spanning(),
        cells: ["R", "R", "A", "R", "A +3990", "A +3990", "A +3990", "-", "-", "-", "A"] },
    Row { name: "text behind a hole", what: seg(Flags::ACK, At::Next(10), Acks::Una(0)).text(10),
        cells: ["R", "R", "R", "R", "A", "A", "A", "-", "-", "-", "A"] },
    Row { name: "text that fills the hole", what: seg(Flags::ACK, At::Next(0), Acks::Una(0)).text(10).after(Before::Held),
        cells: ["R", "R", "R", "R", "A +20", "A +20", "A +20", "-", "-", "-", "A"] },
    Row { name: "text that fills the hole, its right part held", what: seg(Flags::ACK, At::Next(0), Acks::Una(0)).text(15).after(Before::Held),
        cells: ["R", "R", "R", "R", "A +20", "A +20", "A +20", "-", "-", "-", "A"] },
    Row { name: "text over what is held, both sides new", what: seg(Flags::ACK, At::Next(5), Acks::Una(0)).text(20).after(Before::Held),
        cells: ["R", "R", "R", "R", "A", "A", "A", "-", "-", "-", "A"] },
    Row { name: "text that is held already", what: seg(Flags::ACK, At::Next(10), Acks::Una(0)).text(10).after(Before::Held),
        cells: ["R", "R", "R", "R", "A", "A", "A", "-", "-", "-", "A"] },
    Row { name: "text beyond the window", what: seg(Flags::ACK, At::Edge(0), Acks::Una(0)).text(10),
        cells: ["R", "R", "A", "A", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "text at a shut window", what: seg(Flags::ACK, At::Next(0), Acks::Una(0)).text(10).after(Before::Full),
        cells: ["R", "R", "R", "R", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "one octet at a shut window", what: seg(Flags::ACK, At::Next(0), Acks::Una(0)).text(1).after(Before::Full),
        cells: ["R", "R", "R", "R", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "urgent, without text", what: seg(ACK_URG, At::Next(0), Acks::Una(0)).urgent(5),
        cells: ["R", "R", "R", "R", "urg5", "urg5", "urg5", "-", "-", "-", "-"] },
    Row { name: "urgent, acknowledging all", what: seg(ACK_URG, At::Next(0), Acks::Nxt(0)).urgent(5),
        cells: ["R", "-", "ESTAB urg5", "ESTAB urg5 una+1", "urg5 una+20", "FW2 urg5 una+21", "urg5", "una+20", "TW (closed) una+21", "CLOSED (closed) una+21", "-"] },
    Row { name: "urgent, beyond the window", what: seg(ACK_URG, At::Edge(9), Acks::Una(0)).urgent(5),
        cells: ["R", "R", "A", "A", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "urgent at a shut window", what: seg(ACK_URG, At::Next(0), Acks::Una(0)).urgent(5).after(Before::Full),
        cells: ["R", "R", "R", "R", "urg3995", "urg3995", "urg3995", "-", "-", "-", "-"] },
    Row { name: "urgent text", what: seg(ACK_URG, At::Next(0), Acks::Una(0)).text(10).urgent(5),
        cells: ["R", "R", "R", "R", "A +10 urg5", "A +10 urg5", "A +10 urg5", "-", "-", "-", "A"] },
    Row { name: "urgent text behind a hole", what: seg(ACK_URG, At::Next(10), Acks::Una(0)).text(10).urgent(5),
        cells: ["R", "R", "R", "R", "A urg15", "A urg15", "A urg15", "-", "-", "-", "A"] },
    Row { name: "urgent with an old ACK", what: seg(ACK_URG, At::Next(0), Acks::Una(-5)).text(10).urgent(5),
        cells: ["R", "R", "R", "R", "A +10 urg5", "A +10 urg5", "A +10 urg5", "-", "-", "-", "A"] },
    Row { name: "urgent text without ACK", what: seg(Flags::URG, At::Next(0), Acks::No).text(10).urgent(5),
        cells: ["-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"] },
    // ---- timestamps ----
    Row { name: "text, newer timestamp", what: seg(Flags::ACK, At::Next(0), Acks::Una(0)).text(10).stamp(Stamp::New),
        cells: ["R", "R", "R", "R", "A +10", "A +10", "A +10", "-", "-", "-", "A"] },
    Row { name: "text, older timestamp", what: seg(Flags::ACK, At::Next(0), Acks::Una(0)).text(10).stamp(Stamp::Old),
        cells: ["R", "R", "A", "A", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "ACK of all, older timestamp", what: seg(Flags::ACK, At::Next(0), Acks::Nxt(0)).stamp(Stamp::Old),
        cells: ["R", "-", "A", "A", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "FIN, older timestamp", what: seg(FIN_ACK, At::Next(0), Acks::Nxt(0)).stamp(Stamp::Old),
        cells: ["R", "-", "A", "A", "A", "A", "A", "A", "A", "A", "A"] },
    Row { name: "RST, older timestamp", what: seg(Flags::RST, At::Next(0), Acks::No).stamp(Stamp::Old),
        cells: ["-", "-", "LISTEN", REFUSED, RESET, RESET, RESET, RESET, RESET, RESET, "-"] },
    Row { name: "text without timestamp", what: seg(Flags::ACK, At::Next(0), Acks::Una(0)).text(10).stamp(Stamp::Missing),
        cells: ["R", "R", "-", "-", "-", "-", "-", "-", "-", "-", "-"] },
    Row { name: "RST without timestamp", what: seg(Flags::RST, At::Next(0), Acks::No).stamp(Stamp::Missing),
        cells: ["-", "-", "LISTEN", REFUSED, RESET, RESET, RESET, RESET, RESET, RESET, "-"] },
    Row { name: "SYN, older timestamp", what: seg(Flags::SYN, At::Next(0), Acks::No).stamp(Stamp::Old),
        cells: ["SYN-RCVD SA", "SYN-RCVD SA", "A", "A", "A", "A", "A", "A", "A", "A", "A"] },
    // ---- time ----
    Row { name: "no answer", what: What::Silence,
        cells: ["-", "S", "SA", "SA", "T", "T", "-", "T", "T", "T", "CLOSED"] },
    Row { name: "no answer for ever", what: What::SilenceForEver,
        cells: ["-", "CLOSED (connection timed out)", "LISTEN", TIMED_OUT, TIMED_OUT, TIMED_OUT, "-", TIMED_OUT, "CLOSED (connection timed out)", "CLOSED (connection timed out)", "CLOSED"] },
    Row { name: "2 MSL", what: What::TwoMsl,
        cells: ["-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "CLOSED"] },
];
