//! Addresses, figures and options.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use woshou_tcp::{Ended, TcpInfo};

use super::TcpStream;
use crate::{Net, error};

impl TcpStream {
    /// Our address and port.
    ///
    /// # Errors
    /// None; the result is tokio's form.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.ends.unpack().local)
    }

    /// The peer's address and port. Stays known when the connection has ended.
    ///
    /// # Errors
    /// None; the result is tokio's form.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.ends.unpack().remote)
    }

    /// The net this stream belongs to.
    #[must_use]
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// Figures about the connection; `None` when nothing is left of it.
    #[must_use]
    pub fn info(&self) -> Option<TcpInfo> {
        self.look(|shared, id| {
            let now = shared.now();
            shared.stack.info(now, id)
        })
    }

    /// How the connection failed, if it did, told once.
    ///
    /// # Errors
    /// The net is over.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.look(|shared, id| {
            shared.check()?;
            let Some(why) = shared.stack.ended(id).filter(|why| *why != Ended::Closed) else {
                return Ok(None);
            };
            let socket = shared.sockets.entry(id).or_default();
            let told = std::mem::replace(&mut socket.error_taken, true);
            Ok((!told).then(|| error::ended(why)))
        })
    }

    /// Whether Nagle's algorithm is off.
    ///
    /// # Errors
    /// The net is over.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.look(|shared, id| {
            shared.check()?;
            Ok(shared
                .stack
                .connection(id)
                .is_some_and(woshou_tcp::Connection::nodelay))
        })
    }

    /// Switches Nagle's algorithm off (`true`) or on: whether a small segment waits for the acknowledgement of what
    /// is under way (RFC 9293 section 3.7.4).
    ///
    /// # Errors
    /// The net is over.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.call(|shared, now, id| {
            shared.check()?;
            shared.stack.set_nodelay(now, id, nodelay);
            Ok(())
        })
    }

    /// What [`TcpStream::set_linger`] set.
    ///
    /// # Errors
    /// None; the result is tokio's form.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        Ok(self.look(|shared, id| shared.sockets.get(&id).and_then(|socket| socket.linger)))
    }

    /// What dropping does: `Some(0)` aborts (the peer gets RST, unsent text is discarded); `None`, the default, and
    /// any longer time close in the background. Dropping never blocks.
    ///
    /// # Errors
    /// None; the result is tokio's form.
    pub fn set_linger(&self, dur: Option<Duration>) -> io::Result<()> {
        self.look(|shared, id| shared.sockets.entry(id).or_default().linger = dur);
        Ok(())
    }

    /// Makes dropping an abort: `set_linger(Some(0))`.
    ///
    /// # Errors
    /// None; the result is tokio's form.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// TTL or hop limit of its packets.
    ///
    /// # Errors
    /// `NotConnected`: nothing is left of the connection.
    pub fn ttl(&self) -> io::Result<u32> {
        self.look(|shared, id| shared.stack.ttl(id))
            .map(u32::from)
            .ok_or_else(|| error::ended(Ended::Closed))
    }

    /// Sets TTL or hop limit, 1 to 255.
    ///
    /// # Errors
    /// `InvalidInput`: out of range.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        let ttl = error::ttl(ttl)?;
        self.call(|shared, _, id| shared.stack.set_ttl(id, ttl));
        Ok(())
    }
}
