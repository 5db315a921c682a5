//! [`TcpStream`].

mod chunks;
mod io_traits;
mod options;
mod ready;

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BufMut;
use tokio::io::ReadBuf;
use tokio::net::ToSocketAddrs;
use tokio::task::coop;
use woshou_stack::{ConnId, Stack};
use woshou_tcp::{Endpoints, Instant, PackedEndpoints, ReadError, WriteError};

use crate::net::Adopted;
use crate::shared::Shared;
use crate::split::{self, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::{Net, error};

/// A TCP connection of a [`Net`], as `tokio::net::TcpStream`.
///
/// Dropping it closes the connection in the background: what was written is still delivered, then FIN. Where text
/// of the peer is left unread, or arrives later, the peer gets RST instead (RFC 9293 section 3.6.1), so that it
/// learns of the loss. [`TcpStream::set_zero_linger`] makes dropping an abort.
///
/// An error is told apart from the end: a peer that closed reads as `Ok(0)`, one that reset as `ConnectionReset`,
/// one that vanished as `TimedOut`. The errors stay: reading again tells the same again.
pub struct TcpStream {
    net: Net,
    id: ConnId,
    /// Local end and peer: in half the room of two addresses.
    ends: PackedEndpoints,
    /// Of the net.
    shard: u16,
    /// `blocking`'s shutdown of the reading direction, which TCP itself knows nothing of.
    deaf: AtomicBool,
}

impl TcpStream {
    /// Connects by the current net ([`Net::current`]) to the first of `addr` that answers. Dropping the future gives
    /// the attempt up.
    ///
    /// # Errors
    /// As [`Net::connect`]; `NotConnected`: there is no current net.
    pub async fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        Net::current()?.connect(addr).await
    }

    pub(crate) fn new(net: Net, adopted: &Adopted) -> Self {
        Self {
            net,
            id: adopted.id,
            ends: PackedEndpoints::new(&adopted.endpoints),
            shard: adopted.shard,
            deaf: AtomicBool::new(false),
        }
    }

    /// Waits for the end of the handshake.
    pub(crate) async fn opened(&self) -> io::Result<()> {
        poll_fn(|cx| {
            self.call(|shared, _, id| {
                if let Err(error) = shared.check() {
                    return Poll::Ready(Err(error));
                }
                if let Some(why) = shared.stack.ended(id) {
                    return Poll::Ready(Err(error::ended(why)));
                }
                if shared.stack.state(id).is_synchronized() {
                    return Poll::Ready(Ok(()));
                }
                if let Some(socket) = shared.sockets.get_mut(&id) {
                    socket.writers.set_task(cx.waker());
                }
                Poll::Pending
            })
        })
        .await
    }

    pub(crate) fn call<R>(&self, call: impl FnOnce(&mut Shared, Instant, ConnId) -> R) -> R {
        self.net
            .call_on(self.shard, |shared, now| call(shared, now, self.id))
    }

    /// A look that changes nothing, and so sends nothing.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&mut Shared, ConnId) -> R) -> R {
        look(&mut self.net.core_of(self.shard).lock(), self.id)
    }

    /// The shard of its net that it belongs to ([`crate::net::Builder::shards`]), from 0 on: what runs on that shard's
    /// runtime ([`Net::runtime`]) never waits for its lock.
    #[must_use]
    pub const fn shard(&self) -> u16 {
        self.shard
    }

    // ---- reading ----

    /// Reads by `read`, once.
    fn try_input<R>(
        &self,
        read: impl FnOnce(&mut Stack, Instant, ConnId) -> Result<R, ReadError>,
    ) -> io::Result<R> {
        self.call(|shared, now, id| {
            shared.check()?;
            read(&mut shared.stack, now, id).map_err(error::read)
        })
    }

    /// Reads by `read`, or has `cx` woken when it is worth another try.
    fn poll_input<R>(
        &self,
        cx: &mut Context<'_>,
        read: impl FnOnce(&mut Stack, Instant, ConnId) -> Result<R, ReadError>,
    ) -> Poll<io::Result<R>> {
        let budget = ready!(coop::poll_proceed(cx));
        let poll = self.call(|shared, now, id| {
            if let Err(error) = shared.check() {
                return Poll::Ready(Err(error));
            }
            match read(&mut shared.stack, now, id) {
                Err(ReadError::Empty) => {
                    if let Some(socket) = shared.sockets.get_mut(&id) {
                        socket.readers.set_task(cx.waker());
                    }
                    Poll::Pending
                }
                result => Poll::Ready(result.map_err(error::read)),
            }
        });
        if poll.is_ready() {
            budget.made_progress();
        }
        poll
    }

    pub(crate) fn poll_read_into(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let unfilled = buf.initialize_unfilled();
        let len = ready!(self.poll_input(cx, |stack, now, id| stack.read(now, id, unfilled)))?;
        buf.advance(len);
        Poll::Ready(Ok(()))
    }

    /// Reads into `buf` without removing it; `Ok(0)` is the end of the peer's text (unless `buf` is full).
    ///
    /// # Errors
    /// As reading.
    pub fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let unfilled = buf.initialize_unfilled();
        if unfilled.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let len = ready!(self.poll_input(cx, |stack, _, id| stack.peek(id, unfilled)))?;
        buf.advance(len);
        Poll::Ready(Ok(len))
    }

    /// Reads into `buf` without removing it; `Ok(0)` is the end of the peer's text.
    ///
    /// # Errors
    /// As reading.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.try_peek(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable().await?,
                result => return result,
            }
        }
    }

    pub(crate) fn try_peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() || self.is_deaf() {
            return Ok(0);
        }
        self.try_input(|stack, _, id| stack.peek(id, buf))
    }

    /// Reads what is there; `Ok(0)` is the end of the peer's text (unless `buf` is empty).
    ///
    /// # Errors
    /// `WouldBlock`: nothing is there yet. Else as reading: `ConnectionReset`, `TimedOut`, ...
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() || self.is_deaf() {
            return Ok(0);
        }
        self.try_input(|stack, now, id| stack.read(now, id, buf))
    }

    /// As [`TcpStream::try_read`], into several buffers, each filled before the next.
    ///
    /// # Errors
    /// As [`TcpStream::try_read`].
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if bufs.iter().all(|buf| buf.is_empty()) || self.is_deaf() {
            return Ok(0);
        }
        self.try_input(|stack, now, id| {
            let mut total = 0;
            for buf in bufs.iter_mut().filter(|buf| !buf.is_empty()) {
                match stack.read(now, id, buf) {
                    Ok(len) => total += len,
                    Err(error) if total == 0 => return Err(error),
                    Err(_) => break, // it stays, for the next read
                }
                if total == 0 {
                    break;
                }
            }
            Ok(total)
        })
    }

    /// As [`TcpStream::try_read`], into the free room of `buf`: one piece of it.
    ///
    /// # Errors
    /// As [`TcpStream::try_read`].
    pub fn try_read_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        let room = buf.remaining_mut();
        if room == 0 {
            return Ok(0);
        }
        // At least what a new Vec grows to; without `unsafe` the text goes through a chunk.
        let max = room.min(buf.chunk_mut().len().max(64));
        let chunk = self.try_input(|stack, now, id| stack.read_chunk(now, id, max))?;
        buf.put_slice(&chunk);
        Ok(chunk.len())
    }

    // ---- writing ----

    pub(crate) fn poll_write_from(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let budget = ready!(coop::poll_proceed(cx));
        let poll = self.call(|shared, now, id| {
            if let Err(error) = shared.check() {
                return Poll::Ready(Err(error));
            }
            match write(&mut shared.stack, now, id, bufs) {
                Err(WriteError::Full) => {
                    if let Some(socket) = shared.sockets.get_mut(&id) {
                        socket.writers.set_task(cx.waker());
                    }
                    Poll::Pending
                }
                result => Poll::Ready(result.map_err(error::write)),
            }
        });
        if poll.is_ready() {
            budget.made_progress();
        }
        poll
    }

    /// Writes as much as there is room for.
    ///
    /// # Errors
    /// `WouldBlock`: there is no room now; `BrokenPipe`: this direction was shut down; `ConnectionReset`,
    /// `TimedOut`, ...: the connection has ended.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.try_write_vectored(&[IoSlice::new(buf)])
    }

    /// As [`TcpStream::try_write`], from several buffers.
    ///
    /// # Errors
    /// As [`TcpStream::try_write`].
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.call(|shared, now, id| {
            shared.check()?;
            write(&mut shared.stack, now, id, bufs).map_err(error::write)
        })
    }

    /// Ends the writing direction: what was written is still delivered, then FIN. Reading goes on.
    pub(crate) fn finish(&self) -> io::Result<()> {
        self.call(|shared, now, id| {
            shared.check()?;
            shared.stack.shutdown(now, id);
            Ok(())
        })
    }

    /// Ends the connection at once: everything is discarded and the peer gets RST.
    pub fn abort(&self) {
        self.call(|shared, now, id| shared.stack.abort(now, id));
    }

    /// From now on reads say that the text ended; whoever waits is woken.
    pub(crate) fn deafen(&self) {
        self.deaf.store(true, Ordering::Release);
        self.call(|shared, _, id| {
            let mut wakes = crate::wakers::WakeList::default();
            if let Some(socket) = shared.said_mut(id) {
                socket.readers.wake(&mut wakes);
            }
            wakes.wake();
        });
    }

    fn is_deaf(&self) -> bool {
        self.deaf.load(Ordering::Acquire)
    }

    // ---- halves ----

    /// Borrows both directions apart.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        split::borrowed(self)
    }

    /// Takes both directions apart. Dropping the writing half ends the writing direction.
    #[must_use]
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        split::owned(self)
    }
}

/// Writes as many of `bufs` as there is room for.
fn write(
    stack: &mut Stack,
    now: Instant,
    id: ConnId,
    bufs: &[IoSlice<'_>],
) -> Result<usize, WriteError> {
    let mut total = 0;
    let mut bufs = bufs.iter().filter(|buf| !buf.is_empty());
    let Some(first) = bufs.next() else {
        // Nothing to write still tells of errors, but never waits.
        return match stack.write(now, id, &[]) {
            Err(WriteError::Full) => Ok(0),
            result => result,
        };
    };
    for buf in std::iter::once(first).chain(bufs) {
        match stack.write(now, id, buf) {
            Ok(len) => {
                total += len;
                if len < buf.len() {
                    break;
                }
            }
            Err(error) if total == 0 => return Err(error),
            Err(_) => break, // it stays, for the next write
        }
    }
    Ok(total)
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        self.call(|shared, now, id| {
            let linger = shared.sockets.remove(&id).and_then(|socket| socket.linger);
            if shared.over.is_some() {
                return;
            }
            if linger == Some(Duration::ZERO) {
                shared.stack.abort(now, id);
            }
            shared.stack.close(now, id);
        });
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Endpoints { local, remote } = self.ends.unpack();
        f.debug_struct("TcpStream")
            .field("local", &local)
            .field("peer", &remote)
            .finish_non_exhaustive()
    }
}
