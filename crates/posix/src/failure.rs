//! What the stack's verdicts are in `errno`.

use woshou_stack::{ConnectError, ListenError};
use woshou_tcp::Ended;
use woshou_tcp::error::PathError;

use crate::errno::Errno;
use crate::personality::Personality;

/// Where a connection stood when it ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stood {
    /// The peer had closed, this side had not (CLOSE-WAIT).
    pub(crate) close_wait: bool,
    /// It spoke IPv6.
    pub(crate) v6: bool,
}

/// The error of a socket whose connection has `ended`; `None`: it ended in order.
pub(crate) fn of_end(personality: Personality, ended: Ended, stood: Stood) -> Option<Errno> {
    Some(match ended {
        Ended::Closed => return None,
        Ended::Refused => Errno::ECONNREFUSED,
        Ended::Reset if stood.close_wait && personality == Personality::Linux => Errno::EPIPE,
        Ended::Reset => Errno::ECONNRESET,
        Ended::TimedOut(None) => Errno::ETIMEDOUT,
        Ended::TimedOut(Some(error)) | Ended::Unreachable(error) => {
            of_path(personality, error, stood.v6)
        }
        // By somebody else (`tcpdrop`, `ss -K`): who aborts with `close` has no socket to read it from.
        Ended::Aborted => Errno::ECONNABORTED,
        Ended::NoMemory => Errno::ENOMEM,
        _ => Errno::EPROTO,
    })
}

/// What ICMP reported.
fn of_path(personality: Personality, error: PathError, v6: bool) -> Errno {
    let (linux, freebsd) = match error {
        PathError::NetworkUnreachable => (Errno::ENETUNREACH, Errno::EHOSTUNREACH),
        PathError::ProtocolUnreachable if v6 => (Errno::EPROTO, Errno::ENOPROTOOPT),
        PathError::ProtocolUnreachable => (Errno::ENOPROTOOPT, Errno::ECONNREFUSED),
        PathError::PortUnreachable => (Errno::ECONNREFUSED, Errno::ECONNREFUSED),
        PathError::Prohibited if v6 => (Errno::EACCES, Errno::ECONNREFUSED),
        PathError::Prohibited => (Errno::EHOSTUNREACH, Errno::ECONNREFUSED),
        PathError::ParameterProblem => (Errno::EPROTO, Errno::ENOPROTOOPT),
        _ => (Errno::EHOSTUNREACH, Errno::EHOSTUNREACH),
    };
    match personality {
        Personality::Linux => linux,
        Personality::FreeBsd => freebsd,
    }
}

/// Why `connect` failed at once.
pub(crate) fn of_connect(personality: Personality, error: ConnectError) -> Errno {
    match (error, personality) {
        (ConnectError::NoRoute(_), Personality::FreeBsd) => Errno::EHOSTUNREACH,
        (ConnectError::NoRoute(_), Personality::Linux) => Errno::ENETUNREACH,
        (ConnectError::InvalidAddress(to), _) if to.port() == 0 => Errno::EADDRNOTAVAIL,
        (ConnectError::InvalidAddress(_), Personality::Linux) => Errno::ENETUNREACH,
        (ConnectError::InUse, Personality::FreeBsd) => Errno::EADDRINUSE,
        // The four-tuple taken or no port left: Linux says the same for both.
        _ => Errno::EADDRNOTAVAIL,
    }
}

/// Why `listen` failed.
pub(crate) fn of_listen(error: ListenError) -> Errno {
    match error {
        ListenError::NotLocal(_) => Errno::EADDRNOTAVAIL,
        _ => Errno::EADDRINUSE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Personality::{FreeBsd, Linux};

    #[test]
    fn every_end() {
        let stood = |close_wait, v6| Stood { close_wait, v6 };
        let unreachable = Ended::Unreachable;
        #[rustfmt::skip]
        let cases = [
            (Linux, Ended::Closed, stood(false, false), None),
            (Linux, Ended::Reset, stood(false, false), Some(Errno::ECONNRESET)),
            (Linux, Ended::Reset, stood(true, false), Some(Errno::EPIPE)),
            (FreeBsd, Ended::Reset, stood(true, false), Some(Errno::ECONNRESET)),
            (Linux, Ended::Refused, stood(false, false), Some(Errno::ECONNREFUSED)),
            (Linux, Ended::TimedOut(None), stood(false, false), Some(Errno::ETIMEDOUT)),
            (Linux, Ended::TimedOut(Some(PathError::HostUnreachable)), stood(false, false), Some(Errno::EHOSTUNREACH)),
            (Linux, unreachable(PathError::NetworkUnreachable), stood(false, false), Some(Errno::ENETUNREACH)),
            (FreeBsd, unreachable(PathError::NetworkUnreachable), stood(false, false), Some(Errno::EHOSTUNREACH)),
            (Linux, unreachable(PathError::PortUnreachable), stood(false, true), Some(Errno::ECONNREFUSED)),
            (Linux, unreachable(PathError::ProtocolUnreachable), stood(false, false), Some(Errno::ENOPROTOOPT)),
            (Linux, unreachable(PathError::Prohibited), stood(false, false), Some(Errno::EHOSTUNREACH)),
            (Linux, unreachable(PathError::Prohibited), stood(false, true), Some(Errno::EACCES)),
            (Linux, Ended::Aborted, stood(false, false), Some(Errno::ECONNABORTED)),
        ];
        for (personality, ended, stood, expected) in cases {
            assert_eq!(
                of_end(personality, ended, stood),
                expected,
                "{personality:?} {ended:?} {stood:?}"
            );
        }
    }
}
