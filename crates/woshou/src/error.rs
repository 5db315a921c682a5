//! Errors of the stack as `io::Error`, with the kinds that programs for the kernel's TCP expect.
//!
//! The stack's own error stays inside: `error.get_ref()` and a downcast to [`Ended`], [`ConnectError`], ... tell
//! the exact cause.

use std::io::{self, ErrorKind};

use woshou_stack::{ConnectError, ListenError};
use woshou_tcp::error::PathError;
use woshou_tcp::{Ended, ReadError, WriteError};

/// Why a net works no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// By `Net::shutdown`.
    Shutdown,
    /// The runtime that drove it is gone (or its driver panicked).
    Undriven,
    /// Its last device broke.
    Broken(ErrorKind, String),
}

impl Over {
    pub(crate) fn error(&self) -> io::Error {
        match self {
            Self::Shutdown => io::Error::new(
                ErrorKind::NotConnected,
                "this woshou net has been shut down",
            ),
            Self::Undriven => io::Error::new(
                ErrorKind::NotConnected,
                "the runtime that drove this woshou net has ended; keep it running",
            ),
            Self::Broken(kind, text) => io::Error::new(
                *kind,
                format!("the device of this woshou net failed: {text}"),
            ),
        }
    }
}

/// The kind the kernel's errno for the same report has (Linux `icmp_err_convert`).
const fn path_kind(error: PathError) -> ErrorKind {
    match error {
        PathError::NetworkUnreachable => ErrorKind::NetworkUnreachable,
        PathError::PortUnreachable => ErrorKind::ConnectionRefused,
        PathError::ProtocolUnreachable | PathError::ParameterProblem => ErrorKind::Other,
        // EHOSTUNREACH for the rest: host, filter, TTL.
        _ => ErrorKind::HostUnreachable,
    }
}

/// How a connection ended.
pub(crate) fn ended(ended: Ended) -> io::Error {
    let kind = match ended {
        Ended::Closed => ErrorKind::NotConnected,
        Ended::Reset => ErrorKind::ConnectionReset,
        Ended::Refused => ErrorKind::ConnectionRefused,
        Ended::TimedOut(None) => ErrorKind::TimedOut,
        // As the kernel: an unanswered connection reports what the network said about it, if it said something.
        Ended::TimedOut(Some(path)) | Ended::Unreachable(path) => path_kind(path),
        Ended::NoMemory => ErrorKind::OutOfMemory,
        // `Aborted`, and what may be added.
        _ => ErrorKind::ConnectionAborted,
    };
    io::Error::new(kind, ended)
}

/// A read that did not succeed.
pub(crate) fn read(error: ReadError) -> io::Error {
    match error {
        ReadError::Ended(why) => ended(why),
        // `Empty`.
        _ => ErrorKind::WouldBlock.into(),
    }
}

/// A write that did not succeed.
pub(crate) fn write(error: WriteError) -> io::Error {
    match error {
        WriteError::Finished | WriteError::Ended(Ended::Closed) => {
            io::Error::new(ErrorKind::BrokenPipe, error)
        }
        WriteError::Ended(why) => ended(why),
        // `Full`.
        _ => ErrorKind::WouldBlock.into(),
    }
}

/// A connect that failed at once.
pub(crate) fn connect(error: ConnectError) -> io::Error {
    let kind = match error {
        ConnectError::NoRoute(_) => ErrorKind::NetworkUnreachable,
        ConnectError::InvalidAddress(_) => ErrorKind::InvalidInput,
        ConnectError::NotLocal(_) | ConnectError::NoPort => ErrorKind::AddrNotAvailable,
        ConnectError::NoMemory => ErrorKind::OutOfMemory,
        ConnectError::InUse => ErrorKind::AddrInUse,
        _ => ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

/// A listen that failed.
pub(crate) fn listen(error: ListenError) -> io::Error {
    let kind = match error {
        ListenError::InUse => ErrorKind::AddrInUse,
        ListenError::NotLocal(_) => ErrorKind::AddrNotAvailable,
        _ => ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

/// `addr` named nothing.
pub(crate) fn no_address() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "could not resolve to any address")
}

/// How the connection ended, by an error that one of its calls returned: [`Ended::Reset`] (RST), [`Ended::TimedOut`] (with
/// what the network had reported, if it had), [`Ended::Unreachable`] (ICMP), [`Ended::Refused`], [`Ended::Aborted`] (by this
/// side). `None`: another error. A FIN is no error: it reads as `Ok(0)`.
///
/// ```
/// # fn example(error: &std::io::Error) {
/// use woshou::tcp::Ended;
/// match woshou::how_it_ended(error) {
///     Some(Ended::TimedOut(Some(reported))) => println!("no answer; the network said: {reported}"),
///     Some(Ended::Reset) => println!("the peer gave up"),
///     _ => println!("{error}"),
/// }
/// # }
/// ```
#[must_use]
pub fn how_it_ended(error: &io::Error) -> Option<Ended> {
    let inner = error.get_ref()?;
    let of_write = || match inner.downcast_ref::<WriteError>() {
        Some(WriteError::Ended(why)) => Some(*why),
        _ => None,
    };
    inner.downcast_ref::<Ended>().copied().or_else(of_write)
}

/// TOS or traffic class as sockets take it.
pub(crate) fn tos(tos: u32) -> io::Result<u8> {
    u8::try_from(tos).map_err(|_| {
        io::Error::new(
            ErrorKind::InvalidInput,
            "TOS and traffic class are 0 to 255",
        )
    })
}

/// A TTL as sockets take it.
pub(crate) fn ttl(ttl: u32) -> io::Result<u8> {
    match u8::try_from(ttl) {
        Ok(ttl) if ttl > 0 => Ok(ttl),
        _ => Err(io::Error::new(ErrorKind::InvalidInput, "a TTL is 1 to 255")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_those_of_the_kernel() {
        use ErrorKind as K;
        use PathError as P;
        let table = [
            (Ended::Reset, K::ConnectionReset),
            (Ended::Refused, K::ConnectionRefused),
            (Ended::TimedOut(None), K::TimedOut),
            (
                Ended::TimedOut(Some(P::HostUnreachable)),
                K::HostUnreachable,
            ),
            (Ended::NoMemory, K::OutOfMemory),
            (Ended::Aborted, K::ConnectionAborted),
            (
                Ended::Unreachable(P::NetworkUnreachable),
                K::NetworkUnreachable,
            ),
            (Ended::Unreachable(P::HostUnreachable), K::HostUnreachable),
            (Ended::Unreachable(P::PortUnreachable), K::ConnectionRefused),
            (Ended::Unreachable(P::Prohibited), K::HostUnreachable),
            (Ended::Unreachable(P::TimeExceeded), K::HostUnreachable),
        ];
        for (why, kind) in table {
            assert_eq!(ended(why).kind(), kind, "{why:?}");
            assert_eq!(read(ReadError::Ended(why)).kind(), kind, "{why:?}");
            assert_eq!(write(WriteError::Ended(why)).kind(), kind, "{why:?}");
        }
        assert_eq!(read(ReadError::Empty).kind(), K::WouldBlock);
        assert_eq!(write(WriteError::Full).kind(), K::WouldBlock);
        assert_eq!(write(WriteError::Finished).kind(), K::BrokenPipe);
        assert_eq!(
            write(WriteError::Ended(Ended::Closed)).kind(),
            K::BrokenPipe
        );
    }

    #[test]
    fn the_exact_cause_stays_inside() {
        let error = ended(Ended::TimedOut(Some(PathError::Prohibited)));
        let inner = error.get_ref().and_then(|e| e.downcast_ref::<Ended>());
        assert_eq!(inner, Some(&Ended::TimedOut(Some(PathError::Prohibited))));
    }
}
