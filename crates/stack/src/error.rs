//! Why a user's call failed: an enum each, a variant per cause.

use core::net::{IpAddr, SocketAddr};

/// Why `connect` failed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No link leads there: add a route.
    #[error("no route to {0}")]
    NoRoute(IpAddr),
    /// Broadcast, multicast or unspecified address, or port 0 (RFC 9293 MUST-46).
    #[error("{0} is no address to connect to")]
    InvalidAddress(SocketAddr),
    /// The local address is not ours.
    #[error("{0} is not an address of this stack")]
    NotLocal(SocketAddr),
    /// The four-tuple is in use: choose another port, or wait for TIME-WAIT to end.
    #[error("address in use")]
    InUse,
    /// No ephemeral port is free towards that peer: widen [`crate::Config::ephemeral_ports`], or wait.
    #[error("no free port")]
    NoPort,
    /// The stack's memory is all but used up: end connections, or raise [`crate::Config::memory`].
    #[error("no memory for another connection")]
    NoMemory,
}

/// Why `listen` failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Another listener has it (or, for port 0, others have them all).
    #[error("address in use")]
    InUse,
    /// The address is not ours.
    #[error("{0} is not an address of this stack")]
    NotLocal(SocketAddr),
}
