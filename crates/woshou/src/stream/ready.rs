//! Readiness: asked of the stack each time, so it is never stale.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{Interest, Ready};
use tokio::task::coop;
use woshou_tcp::ReadError;

use super::TcpStream;
use crate::shared::Shared;
use crate::wakers::WaiterKey;

impl TcpStream {
    fn readiness(&self, shared: &Shared, interest: Interest) -> Ready {
        let mut found = Ready::EMPTY;
        if interest.is_readable() {
            found |= match shared.stack.peek(self.id, &mut [0]) {
                _ if self.is_deaf() || shared.over.is_some() => {
                    Ready::READABLE | Ready::READ_CLOSED
                }
                Ok(1..) => Ready::READABLE,
                Err(ReadError::Empty) => Ready::EMPTY,
                Ok(0) | Err(_) => Ready::READABLE | Ready::READ_CLOSED,
            };
        }
        if interest.is_writable() {
            let ended = shared.over.is_some() || shared.stack.ended(self.id).is_some();
            found |= match shared.stack.connection(self.id) {
                Some(connection) if !ended && connection.state().sends_text() => {
                    if connection.writable() > 0 {
                        Ready::WRITABLE
                    } else {
                        Ready::EMPTY
                    }
                }
                // An attempt that is still open takes nothing yet.
                None if !ended && shared.stack.endpoints(self.id).is_some() => Ready::EMPTY,
                _ => Ready::WRITABLE | Ready::WRITE_CLOSED,
            };
        }
        found
    }

    /// Waits until reading, writing or either, as `interest` says, is worth a try. A `try_` call may still find
    /// `WouldBlock`: wait again then.
    ///
    /// # Errors
    /// None now; errors are told by the `try_` call that follows.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        Ok(Waiting {
            stream: self,
            interest,
            key: None,
        }
        .await)
    }

    /// Waits until there is text, its end, or an error to read.
    ///
    /// # Errors
    /// As [`TcpStream::ready`].
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(|_| ())
    }

    /// Waits until there is room to write, or an error to hear.
    ///
    /// # Errors
    /// As [`TcpStream::ready`].
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(|_| ())
    }

    /// As [`TcpStream::readable`], for hand-written futures: the latest task that asked is woken, by this or by
    /// `poll_read`.
    ///
    /// # Errors
    /// As [`TcpStream::ready`].
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ready(cx, Interest::READABLE)
    }

    /// As [`TcpStream::writable`], for hand-written futures: the latest task that asked is woken, by this or by
    /// `poll_write`.
    ///
    /// # Errors
    /// As [`TcpStream::ready`].
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ready(cx, Interest::WRITABLE)
    }

    fn poll_ready(&self, cx: &mut Context<'_>, interest: Interest) -> Poll<io::Result<()>> {
        let budget = ready!(coop::poll_proceed(cx));
        self.look(|shared, id| {
            if !self.readiness(shared, interest).is_empty() {
                budget.made_progress();
                return Poll::Ready(Ok(()));
            }
            if let Some(socket) = shared.sockets.get_mut(&id) {
                let waiters = if interest.is_readable() {
                    &mut socket.readers
                } else {
                    &mut socket.writers
                };
                waiters.set_task(cx.waker());
            }
            Poll::Pending
        })
    }

    /// Waits until there is urgent data (RFC 9293 section 3.8.5) and says how many octets up to its end are to be read, whether
    /// they have arrived or not; reads stop at that mark. Where more tasks than one wait, the latest is woken.
    ///
    /// ```no_run
    /// # async fn example(stream: woshou::TcpStream) -> std::io::Result<()> {
    /// let mut text = vec![0; 1024];
    /// let mut left = stream.urgent().await? as usize;
    /// while left > 0 {
    ///     let most = left.min(text.len());
    ///     stream.readable().await?;
    ///     left -= stream.try_read(&mut text[..most])?; // urgent
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// How the connection ended, where it did, or `UnexpectedEof`: the peer's text has ended, and none of it is urgent.
    pub async fn urgent(&self) -> io::Result<u32> {
        poll_fn(|cx| {
            self.look(|shared, id| {
                if let Err(error) = shared.check() {
                    return Poll::Ready(Err(error));
                }
                let connection = shared.stack.connection(id);
                if let Some(octets) = connection.and_then(woshou_tcp::Connection::urgent_unread) {
                    return Poll::Ready(Ok(octets));
                }
                if let Some(why) = shared.stack.ended(id) {
                    return Poll::Ready(Err(crate::error::ended(why)));
                }
                if connection.is_none_or(woshou_tcp::Connection::peer_finished) {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                if let Some(socket) = shared.sockets.get_mut(&id) {
                    socket.urgent.set_task(cx.waker());
                }
                Poll::Pending
            })
        })
        .await
    }

    /// Calls `f` if the stream is ready for `interest`.
    ///
    /// # Errors
    /// `WouldBlock`: it is not; else what `f` returned.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        f: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        if self
            .look(|shared, _| self.readiness(shared, interest))
            .is_empty()
        {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        f()
    }

    /// Calls `f`, again each time the stream becomes ready for `interest`, until it finds something else than
    /// `WouldBlock`.
    ///
    /// # Errors
    /// What `f` returned.
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        mut f: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            self.ready(interest).await?;
            match f() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Ready and yet not: let others run rather than spin.
                    let mut yielded = false;
                    poll_fn(|cx| {
                        cx.waker().wake_by_ref();
                        if std::mem::replace(&mut yielded, true) {
                            Poll::Ready(())
                        } else {
                            Poll::Pending
                        }
                    })
                    .await;
                }
                result => return result,
            }
        }
    }
}

/// The future of `ready`. Any number may wait; each leaves when it is dropped.
struct Waiting<'a> {
    stream: &'a TcpStream,
    interest: Interest,
    key: Option<WaiterKey>,
}

impl Future for Waiting<'_> {
    type Output = Ready;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ready> {
        let this = self.get_mut();
        let budget = ready!(coop::poll_proceed(cx));
        this.stream.look(|shared, id| {
            let found = this.stream.readiness(shared, this.interest);
            if !found.is_empty() {
                budget.made_progress();
                return Poll::Ready(found);
            }
            let key = *this.key.get_or_insert_with(|| shared.waiter_key());
            if let Some(socket) = shared.sockets.get_mut(&id) {
                if this.interest.is_readable() {
                    socket.readers.set_future(key, cx.waker());
                }
                if this.interest.is_writable() {
                    socket.writers.set_future(key, cx.waker());
                }
            }
            Poll::Pending
        })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        self.stream.look(|shared, id| {
            if let Some(socket) = shared.said_mut(id) {
                socket.readers.remove(key);
                socket.writers.remove(key);
            }
        });
    }
}
