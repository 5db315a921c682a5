//! How a call ends, when it does not succeed.

use core::fmt;

use woshou_stack::ConnId;
use woshou_tcp::Instant;

use crate::errno::Errno;
use crate::sockets::Fd;

/// A call's result.
pub type Outcome<T> = Result<T, Stop>;

/// Why a call did not succeed, or not yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It failed: -1 and this `errno`.
    Errno(Errno),
    /// The kernel would put the caller to sleep here: let time pass, and call again.
    Blocked(WaitFor),
    /// The stack cannot do what is asked; this names what.
    Unsupported(String),
}

impl Stop {
    pub(crate) fn unsupported(name: impl Into<String>) -> Self {
        Self::Unsupported(name.into())
    }
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Errno(errno) => errno.fmt(f),
            Self::Blocked(wait) => write!(f, "blocked: {}", wait.what),
            Self::Unsupported(name) => write!(f, "unsupported: {name}"),
        }
    }
}

impl std::error::Error for Stop {}

/// What a blocking call waits for.
///
/// The owner waits until [`crate::Sockets::is_over`] or until the *first* `until` that the call gave, whichever is sooner. In
/// the first case it makes the same call again (a send with `done` handed back, so that nothing is sent twice), in the
/// second it takes [`crate::Sockets::give_up`] for the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitFor {
    /// The descriptor; -1 where the call waits for several (`poll`).
    pub fd: Fd,
    /// What has to happen.
    pub what: Wait,
    /// Octets that the call has sent already: hand them back in [`crate::Message::done`].
    pub done: usize,
    /// When the call ends anyway (SO_RCVTIMEO, SO_SNDTIMEO, SO_LINGER, a timeout of `poll`).
    pub until: Option<Instant>,
}

/// What has to happen before a blocked call can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// `connect`: the handshake is over, one way or the other.
    Connected,
    /// `accept`: a connection waits.
    Acceptable,
    /// There is so much to read (octets), or the end of the text, or an error.
    Readable(usize),
    /// There is room to write, or an error.
    Writable,
    /// `close` with SO_LINGER: the peer has acknowledged everything. The descriptor is gone already.
    Flushed(ConnId),
    /// `poll`, `epoll_wait`: some descriptor is ready. Ask again whenever anything happened.
    Ready,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected => f.pad("waits for the handshake"),
            Self::Acceptable => f.pad("waits for a connection"),
            Self::Readable(1) => f.pad("waits for text"),
            Self::Readable(octets) => write!(f, "waits for {octets} octets of text"),
            Self::Writable => f.pad("waits for room to write"),
            Self::Flushed(_) => f.pad("lingers until everything is acknowledged"),
            Self::Ready => f.pad("waits for a descriptor to be ready"),
        }
    }
}
