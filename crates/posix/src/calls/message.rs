//! What the reading and writing calls are handed.

use std::net::SocketAddr;

/// A piece of a caller's memory to send from (`struct iovec`).
#[derive(Clone, Copy, Debug)]
pub enum Buffer<'a> {
    /// These octets.
    Octets(&'a [u8]),
    /// So many octets at an address that cannot be read, such as NULL.
    Invalid(usize),
}

impl Buffer<'_> {
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::Octets(octets) => octets.len(),
            Self::Invalid(len) => *len,
        }
    }
}

/// A piece of a caller's memory to receive into (`struct iovec`).
#[derive(Debug)]
pub enum BufferMut<'a> {
    /// These octets.
    Octets(&'a mut [u8]),
    /// So many octets at an address that cannot be written, such as NULL.
    Invalid(usize),
}

impl BufferMut<'_> {
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::Octets(octets) => octets.len(),
            Self::Invalid(len) => *len,
        }
    }
}

/// What a sending call sends.
#[derive(Clone, Copy, Debug, Default)]
pub struct Message<'a> {
    /// The text, in pieces.
    pub pieces: &'a [Buffer<'a>],
    /// To whom; a connected TCP socket pays no attention to it.
    pub to: Option<SocketAddr>,
    /// MSG_*, Linux's numbers.
    pub flags: i32,
    /// Octets of `pieces` that earlier attempts of this very call have sent ([`crate::WaitFor::done`]).
    pub done: usize,
}

/// What `recvmsg` received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Octets. Zero: the end of the peer's text.
    pub octets: usize,
    /// `msg_flags`.
    pub flags: i32,
    /// Octets left to read: the control message that TCP_INQ asks for.
    pub inq: Option<u32>,
}
