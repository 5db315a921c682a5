//! Why a call failed, why a segment was refused, why a connection ended: an enum each, a variant per cause.

use thiserror::Error;

/// What the network reported about the path to the peer (an ICMP error that named this connection).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum PathError {
    /// No route to the peer's network.
    #[error("network unreachable")]
    NetworkUnreachable,
    /// The peer's host does not answer, or a source route failed.
    #[error("host unreachable")]
    HostUnreachable,
    /// The host has no TCP.
    #[error("protocol unreachable")]
    ProtocolUnreachable,
    /// The host reports the port closed by ICMP.
    #[error("port unreachable")]
    PortUnreachable,
    /// A filter on the path forbids it.
    #[error("administratively prohibited")]
    Prohibited,
    /// TTL or hop limit ran out on the way.
    #[error("time to live exceeded")]
    TimeExceeded,
    /// A router found a header field wrong.
    #[error("parameter problem")]
    ParameterProblem,
}

impl PathError {
    /// Whether it will not pass: the host is there and has no TCP, or nobody at the port (Destination Unreachable, codes 2
    /// and 3, and what ICMPv6 has for them; RFC 9293 section 3.9.2.2, RFC 5461 section 2).
    #[must_use]
    pub const fn is_hard(self) -> bool {
        matches!(self, Self::ProtocolUnreachable | Self::PortUnreachable)
    }
}

/// Why a connection ended (RFC 9293 MUST-12: the user learns whether it was closed or aborted).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Ended {
    /// Both sides closed; every octet was acknowledged.
    #[error("closed")]
    Closed,
    /// The peer sent RST on an open connection.
    #[error("connection reset by peer")]
    Reset,
    /// The peer answered the SYN with RST.
    #[error("connection refused")]
    Refused,
    /// No answer for longer than the user timeout (R2); `Some` when the network had reported a cause before.
    #[error("connection timed out{}", reported(*.0))]
    TimedOut(Option<PathError>),
    /// This side aborted.
    #[error("connection aborted")]
    Aborted,
    /// The stack ran out of memory, and this connection held most of it and got nowhere. What was not read yet is
    /// lost. Raise the budget, read and write sooner, or set a user timeout.
    #[error("connection given up for lack of memory")]
    NoMemory,
    /// The network reported an error that ends the attempt.
    #[error("{0}")]
    Unreachable(PathError),
}

/// What the network had reported before the timeout, as a part of the message.
const fn reported(error: Option<PathError>) -> &'static str {
    match error {
        None => "",
        Some(PathError::NetworkUnreachable) => ": network unreachable",
        Some(PathError::HostUnreachable) => ": host unreachable",
        Some(PathError::ProtocolUnreachable) => ": protocol unreachable",
        Some(PathError::PortUnreachable) => ": port unreachable",
        Some(PathError::Prohibited) => ": administratively prohibited",
        Some(PathError::TimeExceeded) => ": time to live exceeded",
        Some(PathError::ParameterProblem) => ": parameter problem",
    }
}

/// Why octets were not taken from the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The send buffer is full: wait for [`crate::Wake::WRITABLE`], then write again.
    #[error("the send buffer is full")]
    Full,
    /// This side's direction is shut down already: nothing more can be written.
    #[error("the sending direction is closed")]
    Finished,
    /// The connection has ended: open a new one.
    #[error("{0}")]
    Ended(Ended),
}

/// Why no octets were handed to the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Nothing has arrived yet: wait for [`crate::Wake::READABLE`], then read again.
    #[error("nothing to read yet")]
    Empty,
    /// The connection has ended without the peer's FIN: what follows will never come.
    #[error("{0}")]
    Ended(Ended),
}

/// Why an arriving segment was not (or not wholly) processed. Counted and traced; never an error to the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// First check: no octet of it lies in the receive window; acknowledged again unless it was a RST.
    #[error("outside the receive window")]
    OutsideWindow,
    /// PAWS: its timestamp is older than one already seen (RFC 7323 section 5).
    #[error("timestamp older than one already seen")]
    OldTimestamp,
    /// Timestamps were agreed and it has none (RFC 7323 section 3.2).
    #[error("timestamp missing")]
    MissingTimestamp,
    /// A RST in the window but not at RCV.NXT: challenged (RFC 5961 section 3.2).
    #[error("RST not at RCV.NXT: challenged")]
    BlindReset,
    /// A valid RST: the connection is gone.
    #[error("valid RST: connection ended")]
    ValidReset,
    /// A SYN in a synchronized state: challenged (RFC 5961 section 4.2).
    #[error("SYN on an open connection: challenged")]
    BlindSyn,
    /// ACK is off.
    #[error("no ACK")]
    NoAck,
    /// It acknowledges what was never sent.
    #[error("acknowledges what was never sent")]
    AckOfUnsent,
    /// Its acknowledgement is older than the largest window the peer ever offered (RFC 5961 section 5.2).
    #[error("acknowledgement far too old")]
    AckTooOld,
    /// SYN-SENT: a RST that does not acknowledge our SYN.
    #[error("RST without an acceptable ACK")]
    ResetWithoutAck,
    /// SYN-SENT: neither SYN nor RST.
    #[error("neither SYN nor RST")]
    NotSyn,
    /// LISTEN: it acknowledges something, and there was nothing; answered with RST.
    #[error("ACK to a listener")]
    AckToListener,
    /// LISTEN: no SYN, no ACK, no RST.
    #[error("no SYN to a listener")]
    NoSyn,
    /// The queue of half-open connections is full.
    #[error("too many half-open connections")]
    BacklogFull,
    /// The accept queue is full.
    #[error("accept queue full")]
    AcceptQueueFull,
    /// Text after our user closed for good: answered with RST (RFC 9293 section 3.6.1).
    #[error("text after close")]
    TextAfterClose,
    /// There is no memory left for text that came out of order.
    #[error("out-of-order text dropped: no memory")]
    NoMemory,
    /// The connection is closed.
    #[error("connection closed")]
    Closed,
}
