//! The blocking [`TcpListener`].

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{TcpStream, wait};
use crate::{Net, error};

/// Waits for connections, as `std::net::TcpListener`.
#[derive(Debug)]
pub struct TcpListener {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    listener: crate::TcpListener,
    nonblocking: AtomicBool,
}

impl TcpListener {
    /// Listens by the current net ([`Net::current`]) on the first of `addr` that can be had; backlog 1,024.
    ///
    /// # Errors
    /// As [`Net::bind`]; `NotConnected`: there is no current net.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        Self::bind_on(&Net::current()?, addr)
    }

    /// As [`TcpListener::bind`], by `net`.
    ///
    /// # Errors
    /// As [`Net::bind`].
    pub fn bind_on<A: ToSocketAddrs>(net: &Net, addr: A) -> io::Result<Self> {
        let mut last = None;
        for addr in addr.to_socket_addrs()? {
            match net.socket(addr).bind_and_listen(addr) {
                Ok(listener) => return Ok(listener.into()),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(error::no_address))
    }

    /// The next connection, and its peer's address.
    ///
    /// # Errors
    /// `WouldBlock`: none waits, and the listener does not block; or the net is over.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let Inner {
            listener,
            nonblocking,
        } = self.inner.as_ref();
        let (stream, peer) = if nonblocking.load(Ordering::Relaxed) {
            listener.try_accept()?
        } else {
            wait(listener.accept(), None).ok_or(io::ErrorKind::WouldBlock)??
        };
        Ok((stream.into(), peer))
    }

    /// Connections one after the other; never ends.
    #[must_use]
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// The address and port it listens on.
    ///
    /// # Errors
    /// None; the result is `std`'s form.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.listener.local_addr()
    }

    /// Another handle of the same listener.
    ///
    /// # Errors
    /// None; the result is `std`'s form.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            inner: Arc::clone(&self.inner),
        })
    }

    /// Whether `accept` fails with `WouldBlock` instead of waiting.
    ///
    /// # Errors
    /// None; the result is `std`'s form.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.inner.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }

    /// TTL or hop limit of connections it accepts.
    ///
    /// # Errors
    /// None; the result is `std`'s form.
    pub fn ttl(&self) -> io::Result<u32> {
        self.inner.listener.ttl()
    }

    /// Sets TTL or hop limit of connections accepted from now on, 1 to 255.
    ///
    /// # Errors
    /// `InvalidInput`: out of range.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.inner.listener.set_ttl(ttl)
    }
}

impl From<crate::TcpListener> for TcpListener {
    fn from(listener: crate::TcpListener) -> Self {
        Self {
            inner: Arc::new(Inner {
                listener,
                nonblocking: AtomicBool::new(false),
            }),
        }
    }
}

/// Connections of a listener. Made by [`TcpListener::incoming`].
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }
}
