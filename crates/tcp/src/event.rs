//! What the owner hears ([`Wake`]) and what a watcher hears ([`TraceEvent`] through [`Observer`]).

use core::fmt;
use core::ops::{BitOr, BitOrAssign};
use core::time::Duration;

use crate::challenge::ChallengeBudget;
use crate::error::{Ended, Refusal};
use crate::segment::{Endpoints, Header};
use crate::send::pool::ChunkPool;
use crate::seq::SeqNum;
use crate::state::{Event, State};
use crate::time::Instant;

/// What changed for the user since the last look; a set of bits, so that a slow reader loses nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wake(pub(crate) u16);

impl Wake {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// The handshake is over: ESTABLISHED.
    pub const CONNECTED: Self = Self(1);
    /// There is text, the end of the text, or an error to read.
    pub const READABLE: Self = Self(1 << 1);
    /// There is room in the send buffer again, or an error.
    pub const WRITABLE: Self = Self(1 << 2);
    /// Urgent data: the pointer appeared or moved on (RFC 9293 MUST-32).
    pub const URGENT: Self = Self(1 << 3);
    /// Everything sent, the FIN included, is acknowledged.
    pub const FLUSHED: Self = Self(1 << 4);
    /// The connection has ended, or moved to TIME-WAIT: it will send and receive no more.
    pub const ENDED: Self = Self(1 << 5);
    /// The path is doubtful: a segment was sent again [`crate::Config::r1`] times without an answer (R1, RFC 9293
    /// section 3.8.3). The owner may look for another route.
    pub const DOUBTFUL: Self = Self(1 << 6);
    /// The network reported an error that may pass: see [`crate::Connection::path_error`] (RFC 9293 section 3.9.1.8).
    pub const SOFT_ERROR: Self = Self(1 << 7);

    /// Whether any bit of `other` is set.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether no bit is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Wake {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Wake {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// Why a segment is sent. One reason a segment; where several hold, the first of this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// RST: the user aborted, or closed with text unread (RFC 9293 section 3.6.1).
    Abort,
    /// RST: nobody listens there, or the connection is unknown (RFC 9293 section 3.5.2).
    NoConnection,
    /// RST: a wrong acknowledgement while opening.
    WrongAck,
    /// SYN: the user opens.
    Open,
    /// SYN,ACK: the listener (or a simultaneous open) accepts.
    Accept,
    /// ACK of SYN,ACK: the third of the handshake.
    Handshake,
    /// The retransmission timer fired (RFC 6298 section 5.4).
    Timeout,
    /// Duplicate acknowledgements or SACK show a loss: the first of its repair (RFC 5681 section 3.2).
    FastRetransmit,
    /// SACK or partial acknowledgement shows another loss (RFC 6675, RFC 6582).
    LossRecovery,
    /// What was sent later arrived, longer ago than the path reorders: RACK (RFC 8985 section 6.2).
    RackLoss,
    /// Nothing was heard for two round trips: the end of a flight may be lost, and this draws a SACK (RFC 8985 section 7).
    TailLossProbe,
    /// New text after a timeout, to learn whether the timeout was in vain: F-RTO (RFC 5682).
    FrtoProbe,
    /// New text on the first or second duplicate acknowledgement (RFC 3042).
    LimitedTransmit,
    /// The window is shut: one octet to learn whether it opened (RFC 9293 section 3.8.6.1).
    WindowProbe,
    /// New text in a segment larger than those known to pass: does the path carry it? (RFC 4821 section 7.4).
    MtuProbe,
    /// Nothing was heard for long: is the peer alive? (RFC 9293 section 3.8.4).
    KeepAlive,
    /// New text.
    Data,
    /// FIN: the user closed this direction.
    Close,
    /// ACK: urgent text was written that cannot leave yet; the pointer can (RFC 9293 section 3.8.5).
    Urgent,
    /// ACK: out of order, the peer must learn of the gap at once (RFC 5681 section 4.2).
    Gap,
    /// ACK: a hole was filled (RFC 5681 section 4.2).
    HoleFilled,
    /// ACK: this was received before.
    Duplicate,
    /// ACK: the peer's FIN.
    AckOfFin,
    /// ACK: two full segments arrived (RFC 9293 SHLD-19).
    SecondSegment,
    /// ACK: the delayed-acknowledgement timer fired (RFC 9293 MUST-40).
    DelayedAck,
    /// ACK: the window opened by enough to say so (RFC 9293 section 3.8.6.2.2).
    WindowUpdate,
    /// ACK: out of the window; tells the peer where we are (RFC 9293 section 3.10.7.4, first).
    OutsideWindow,
    /// ACK: a RST or SYN that may be forged is challenged (RFC 5961).
    Challenge,
    /// ACK: answers a probe of a shut window or a keep-alive.
    ProbeAnswer,
    /// ACK: a packet came marked, its sender is to slow down soon (RFC 3168 section 6.1.3).
    Marked,
    /// ACK of a repeated FIN in TIME-WAIT.
    TimeWait,
}

impl Reason {
    /// Whether it repeats sequence space that was sent before.
    #[must_use]
    pub const fn is_retransmission(self) -> bool {
        matches!(
            self,
            Self::Timeout | Self::FastRetransmit | Self::LossRecovery | Self::RackLoss
        )
    }
}

/// A few words of English.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Abort => "abort: the user gives up",
            Self::NoConnection => "nobody is listening there",
            Self::WrongAck => "a wrong ack is refused",
            Self::Open => "open: own ISN, options offered",
            Self::Accept => "accept: own ISN, options agreed",
            Self::Handshake => "the third: both numbers agreed",
            Self::Timeout => "retransmission: timer fired",
            Self::FastRetransmit => "fast retransmit: acks show a loss",
            Self::LossRecovery => "recovery: another loss shown",
            Self::RackLoss => "recovery: later ones have arrived",
            Self::TailLossProbe => "probe: is the tail lost?",
            Self::FrtoProbe => "probe: was the timeout in vain?",
            Self::LimitedTransmit => "limited transmit on duplicate ack",
            Self::WindowProbe => "probe: is the window open?",
            Self::MtuProbe => "probe: does so much pass at once?",
            Self::KeepAlive => "keep-alive: are you there?",
            Self::Data => "data",
            Self::Close => "close: no more data from here",
            Self::Urgent => "urgent data will follow",
            Self::Gap => "duplicate ack: something is missing",
            Self::HoleFilled => "ack: the hole is filled",
            Self::Duplicate => "ack again: had this already",
            Self::AckOfFin => "ack of FIN",
            Self::SecondSegment => "ack: every second segment",
            Self::DelayedAck => "ack: delayed-ack timer fired",
            Self::WindowUpdate => "window update: room again",
            Self::OutsideWindow => "ack: that was outside the window",
            Self::Challenge => "challenge ack: is this really you?",
            Self::ProbeAnswer => "answers the probe",
            Self::Marked => "ack: the path is congested",
            Self::TimeWait => "ack of a repeated FIN",
        })
    }
}

/// The timers of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Timer {
    /// Retransmission (RFC 6298).
    Retransmission,
    /// Window probe (RFC 9293 section 3.8.6.1).
    Persist,
    /// Delayed acknowledgement.
    DelayedAck,
    /// Keep-alive.
    KeepAlive,
    /// User timeout, R2.
    UserTimeout,
    /// FIN-WAIT-2 of a connection whose user is gone.
    FinWait2,
    /// 2 MSL.
    TimeWait,
    /// Sender's silly-window override (RFC 9293 section 3.8.6.2.1).
    SwsOverride,
    /// Tail loss probe (RFC 8985 section 7.2).
    TailLossProbe,
    /// What may only be reordered is lost when this fires (RFC 8985 section 6.2, step 5).
    Reordering,
    /// The next segment of a paced sender.
    Pacing,
}

/// How a loss turned out to be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FalseAlarm {
    /// A timestamp shows that the original arrived (RFC 3522).
    Eifel,
    /// All that was sent again arrived twice (RFC 3708).
    DuplicateSack,
    /// After a timeout, text that was sent only once was acknowledged (RFC 5682).
    Frto,
}

impl fmt::Display for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Retransmission => "retransmission",
            Self::Persist => "persist",
            Self::DelayedAck => "delayed-ack",
            Self::KeepAlive => "keep-alive",
            Self::UserTimeout => "user timeout",
            Self::FinWait2 => "fin-wait-2",
            Self::TimeWait => "2 MSL",
            Self::SwsOverride => "sws override",
            Self::TailLossProbe => "tail loss probe",
            Self::Reordering => "reordering",
            Self::Pacing => "pacing",
        })
    }
}

impl fmt::Display for FalseAlarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Eifel => "the original arrived, by its timestamp",
            Self::DuplicateSack => "all that was sent again arrived twice",
            Self::Frto => "the timeout was in vain",
        })
    }
}

/// One thing that happened inside TCP.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum TraceEvent {
    /// A segment leaves. With `segment_size`, `len` octets leave as several.
    Sent {
        /// Its header (of the first).
        header: Header,
        /// Octets of text.
        len: u32,
        /// Octets a segment, when it stands for several.
        segment_size: Option<u16>,
        /// Why.
        reason: Reason,
    },
    /// A segment arrived.
    Received {
        /// Its header.
        header: Header,
        /// Octets of text.
        len: u32,
    },
    /// An arrow of Figure 5.
    StateChanged {
        /// From.
        from: State,
        /// To.
        to: State,
        /// By.
        event: Event,
    },
    /// A segment was refused.
    Refused {
        /// Why.
        refusal: Refusal,
    },
    /// A timer fired.
    TimerFired {
        /// Which.
        timer: Timer,
    },
    /// A round trip was measured (RFC 6298 section 2).
    RttMeasured {
        /// This sample.
        sample: Duration,
        /// SRTT after it.
        srtt: Duration,
        /// RTTVAR after it.
        rttvar: Duration,
        /// RTO after it, backoff cleared.
        rto: Duration,
    },
    /// The congestion state changed.
    Congestion {
        /// Congestion window, octets.
        cwnd: u64,
        /// Slow-start threshold, octets; `u64::MAX` when not set yet.
        ssthresh: u64,
        /// Octets believed to be in the network.
        in_flight: u64,
        /// Whether a loss is being repaired.
        recovery: bool,
        /// Octets a second that it is paced at; `None`: it is not.
        pacing_rate: Option<u64>,
        /// What the algorithm is about: [`crate::congestion::CongestionControl::phase`].
        phase: &'static str,
    },
    /// Octets from `start` on were declared lost.
    Lost {
        /// The first of them.
        start: SeqNum,
        /// Octets.
        octets: u32,
        /// What showed it: the reason of the retransmission that follows.
        reason: Reason,
    },
    /// A loss turned out to be none, and congestion control went back to what was before it.
    Undone {
        /// How it showed.
        by: FalseAlarm,
    },
    /// Text that came out of order was dropped for lack of memory; the peer has to send it again.
    Pruned {
        /// Octets of it.
        octets: usize,
    },
    /// The connection ended.
    Ended {
        /// Why.
        reason: Ended,
    },
}

/// Who watches. Called synchronously from inside the protocol: be quick, and do not call back.
pub trait Observer {
    /// `event` happened at `now` to the connection between `who`.
    fn observe(&mut self, now: Instant, who: &Endpoints, event: &TraceEvent);
}

/// What every call into the protocol is handed: the time, and who watches (`None` costs a null check an event).
pub struct Context<'a> {
    /// Now.
    pub now: Instant,
    /// The watcher.
    pub observer: Option<&'a mut (dyn Observer + 'a)>,
    /// The budget of challenge ACKs that all share; `None`: only each connection's own limit counts.
    pub challenges: Option<&'a mut ChallengeBudget>,
    /// Where send buffers get chunks from and give them to; `None`: from the allocator.
    pub chunks: Option<&'a mut ChunkPool>,
}

impl Context<'_> {
    /// A context that nobody watches.
    #[must_use]
    pub const fn unwatched(now: Instant) -> Self {
        Self {
            now,
            observer: None,
            challenges: None,
            chunks: None,
        }
    }

    /// Whether another challenge ACK may be sent; it counts as sent then.
    pub fn may_challenge(&mut self) -> bool {
        match self.challenges.as_deref_mut() {
            Some(budget) => budget.take(self.now),
            None => true,
        }
    }

    /// Tells the watcher, when there is one.
    #[inline]
    pub fn trace(&mut self, who: &Endpoints, event: impl FnOnce() -> TraceEvent) {
        if let Some(observer) = self.observer.as_deref_mut() {
            observer.observe(self.now, who, &event());
        }
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("now", &self.now)
            .field("watched", &self.observer.is_some())
            .finish()
    }
}
