//! The blocking [`TcpStream`].

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::Interest;

use super::wait;
use crate::tcp::TcpInfo;
use crate::{Net, error};

/// A TCP connection, as `std::net::TcpStream`.
#[derive(Debug)]
pub struct TcpStream {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    stream: crate::TcpStream,
    nonblocking: AtomicBool,
    timeouts: Mutex<Timeouts>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Timeouts {
    read: Option<Duration>,
    write: Option<Duration>,
}

impl TcpStream {
    /// Connects by the current net ([`Net::current`]) to the first of `addr` that answers.
    ///
    /// # Errors
    /// As [`Net::connect`]; `NotConnected`: there is no current net.
    pub fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        Self::connect_on(&Net::current()?, addr)
    }

    /// As [`TcpStream::connect`], by `net`.
    ///
    /// # Errors
    /// As [`Net::connect`].
    pub fn connect_on<A: ToSocketAddrs>(net: &Net, addr: A) -> io::Result<Self> {
        let mut last = None;
        for addr in addr.to_socket_addrs()? {
            match open(net, addr, None) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(error::no_address))
    }

    /// As [`TcpStream::connect`], for at most `timeout`.
    ///
    /// # Errors
    /// As [`TcpStream::connect`]; `TimedOut`: no answer in time; `InvalidInput`: no time at all.
    pub fn connect_timeout(addr: &SocketAddr, timeout: Duration) -> io::Result<Self> {
        if timeout.is_zero() {
            return Err(no_time());
        }
        open(&Net::current()?, *addr, Instant::now().checked_add(timeout))
    }

    /// The peer's address and port.
    ///
    /// # Errors
    /// None; the result is `std`'s form.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.stream.peer_addr()
    }

    /// Our address and port.
    ///
    /// # Errors
    /// None; the result is `std`'s form.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.stream.local_addr()
    }

    /// Ends one direction or both. Writing: FIN follows what was written. Reading: reads say that the text ended,
    /// those that wait too; the peer is not told.
    ///
    /// # Errors
    /// The net is over.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if how != Shutdown::Write {
            self.inner.stream.deafen();
        }
        if how != Shutdown::Read {
            self.inner.stream.finish()?;
        }
        Ok(())
    }

    /// Another handle of the same connection; options are shared.
    ///
    /// # Errors
    /// None; the result is `std`'s form.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            inner: Arc::clone(&self.inner),
        })
    }

    /// How long a read waits; `None`, the default: for ever.
    ///
    /// # Errors
    /// `InvalidInput`: no time at all.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.set_timeout(timeout, |timeouts| &mut timeouts.read)
    }

    /// How long a write waits for room; `None`, the default: for ever.
    ///
    /// # Errors
    /// `InvalidInput`: no time at all.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.set_timeout(timeout, |timeouts| &mut timeouts.write)
    }

    fn set_timeout(
        &self,
        timeout: Option<Duration>,
        which: impl FnOnce(&mut Timeouts) -> &mut Option<Duration>,
    ) -> io::Result<()> {
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(no_time());
        }
        let mut timeouts = self
            .inner
            .timeouts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *which(&mut timeouts) = timeout;
        Ok(())
    }

    fn timeouts(&self) -> Timeouts {
        *self
            .inner
            .timeouts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What [`TcpStream::set_read_timeout`] set.
    ///
    /// # Errors
    /// None; the result is `std`'s form.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.timeouts().read)
    }

    /// What [`TcpStream::set_write_timeout`] set.
    ///
    /// # Errors
    /// None; the result is `std`'s form.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.timeouts().write)
    }

    /// Whether calls fail with `WouldBlock` instead of waiting.
    ///
    /// # Errors
    /// None; the result is `std`'s form.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.inner.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }

    /// Reads without removing.
    ///
    /// # Errors
    /// As reading.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.retry(Interest::READABLE, |stream| stream.try_peek(buf))
    }

    /// Whether Nagle's algorithm is off.
    ///
    /// # Errors
    /// The net is over.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.inner.stream.nodelay()
    }

    /// Switches Nagle's algorithm off (`true`) or on.
    ///
    /// # Errors
    /// The net is over.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.inner.stream.set_nodelay(nodelay)
    }

    /// TTL or hop limit of its packets.
    ///
    /// # Errors
    /// `NotConnected`: nothing is left of the connection.
    pub fn ttl(&self) -> io::Result<u32> {
        self.inner.stream.ttl()
    }

    /// Sets TTL or hop limit, 1 to 255.
    ///
    /// # Errors
    /// `InvalidInput`: out of range.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.inner.stream.set_ttl(ttl)
    }

    /// What dropping the last handle does. See [`crate::TcpStream::set_linger`].
    ///
    /// # Errors
    /// None; the result is `std`'s form.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.inner.stream.set_linger(linger)
    }

    /// What [`TcpStream::set_linger`] set.
    ///
    /// # Errors
    /// None; the result is `std`'s form.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.inner.stream.linger()
    }

    /// How the connection failed, if it did, told once.
    ///
    /// # Errors
    /// The net is over.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.inner.stream.take_error()
    }

    /// Figures about the connection; `None` when nothing is left of it.
    #[must_use]
    pub fn info(&self) -> Option<TcpInfo> {
        self.inner.stream.info()
    }

    pub(crate) fn inner(&self) -> &crate::TcpStream {
        &self.inner.stream
    }

    /// Connects `socket`, with the options it was given.
    ///
    /// # Errors
    /// As [`crate::TcpSocket::connect`].
    pub fn connect_socket(socket: crate::TcpSocket, addr: SocketAddr) -> io::Result<Self> {
        wait(socket.connect(addr), None)
            .ok_or(ErrorKind::TimedOut)?
            .map(Self::from)
    }

    /// Calls `call` until it finds something else than `WouldBlock`, waiting in between.
    fn retry<R>(
        &self,
        interest: Interest,
        mut call: impl FnMut(&crate::TcpStream) -> io::Result<R>,
    ) -> io::Result<R> {
        let Inner {
            stream,
            nonblocking,
            ..
        } = self.inner.as_ref();
        let mut deadline = None;
        loop {
            match call(stream) {
                Err(error)
                    if error.kind() == ErrorKind::WouldBlock
                        && !nonblocking.load(Ordering::Relaxed) => {}
                result => return result,
            }
            if deadline.is_none() {
                let Timeouts { read, write } = self.timeouts();
                let timeout = if interest.is_readable() { read } else { write };
                deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
            }
            // `WouldBlock` is what Unix says of SO_RCVTIMEO and SO_SNDTIMEO too.
            wait(stream.ready(interest), deadline).ok_or(ErrorKind::WouldBlock)??;
        }
    }
}

fn open(net: &Net, addr: SocketAddr, deadline: Option<Instant>) -> io::Result<TcpStream> {
    wait(net.socket(addr).connect(addr), deadline)
        .ok_or_else(|| io::Error::new(ErrorKind::TimedOut, "connection timed out"))?
        .map(TcpStream::from)
}

fn no_time() -> io::Error {
    io::Error::new(
        ErrorKind::InvalidInput,
        "a timeout of zero; None means none",
    )
}

impl From<crate::TcpStream> for TcpStream {
    fn from(stream: crate::TcpStream) -> Self {
        let (nonblocking, timeouts) = Default::default();
        Self {
            inner: Arc::new(Inner {
                stream,
                nonblocking,
                timeouts,
            }),
        }
    }
}

impl Read for &TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.retry(Interest::READABLE, |stream| stream.try_read(buf))
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.retry(Interest::READABLE, |stream| stream.try_read_vectored(bufs))
    }
}

impl Write for &TcpStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.retry(Interest::WRITABLE, |stream| stream.try_write(buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.retry(Interest::WRITABLE, |stream| stream.try_write_vectored(bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }
}

impl Write for TcpStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
