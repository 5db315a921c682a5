//! [`TcpListener`].

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::net::ToSocketAddrs;
use tokio::task::coop;
use woshou_stack::{ListenError, ListenOptions, ListenerId, Stack};

use crate::deferred::DeferredListener;
use crate::net::Adopted;
use crate::options::{TcpKeepalive, Tuning};
use crate::shared::Shared;
use crate::wakers::WaiterKey;
use crate::{Net, TcpStream, error};

/// Waits for connections, as `tokio::net::TcpListener`. Dropping it refuses those that wait.
///
/// On a net of several shards it listens in each; [`TcpListener::per_shard`] takes it apart.
pub struct TcpListener {
    net: Net,
    /// All shards' in order, or one.
    pub(crate) parts: Vec<Part>,
    /// The part that is asked first, in turn.
    next: AtomicUsize,
    local: SocketAddr,
    /// For connections it accepts; zero: the stack's default.
    ttl: AtomicU8,
    tuning: Tuning,
    nodelay: bool,
}

/// What listens in one shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) shard: u16,
    pub(crate) id: ListenerId,
}

impl TcpListener {
    /// Listens by the current net ([`Net::current`]) on the first of `addr` that can be had; backlog 1,024.
    ///
    /// # Errors
    /// As [`Net::bind`]; `NotConnected`: there is no current net.
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        Net::current()?.bind(addr).await
    }

    /// Listens by the current net on every address, ours and (where [`crate::net::Builder::any_ip`] says so) others', on
    /// `port` or on every port (`None`); backlog 1,024. What the peer aimed at is the stream's
    /// [`local_addr`](TcpStream::local_addr).
    ///
    /// # Errors
    /// As [`Net::bind_any`]; `NotConnected`: there is no current net.
    pub fn bind_any(port: Option<u16>) -> io::Result<Self> {
        Net::current()?.bind_any(port)
    }

    pub(crate) fn listen(
        net: Net,
        at: SocketAddr,
        backlog: u32,
        (tuning, nodelay): (Tuning, bool),
    ) -> io::Result<Self> {
        let backlog = usize::try_from(backlog).unwrap_or(usize::MAX).max(1);
        let kept = tuning.clone();
        Self::open(net, at, (kept, nodelay), |stack, at| {
            let options = ListenOptions {
                backlog,
                config: tuning.config(stack.tcp_config()),
                v6_only: false,
                ttl: tuning.ttl,
                tos: tuning.tos,
            };
            stack.listen_with(at, options)
        })
    }

    pub(crate) fn listen_any(net: Net, port: Option<u16>, backlog: usize) -> io::Result<Self> {
        let at = (Ipv6Addr::UNSPECIFIED, port.unwrap_or(0)).into();
        let usual = (Tuning::default(), false);
        Self::open(net, at, usual, |stack, _| stack.listen_any(port, backlog))
    }

    /// Listens in each shard, everywhere at the address that the first found.
    fn open(
        net: Net,
        at: SocketAddr,
        (tuning, nodelay): (Tuning, bool),
        mut listen: impl FnMut(&mut Stack, SocketAddr) -> Result<ListenerId, ListenError>,
    ) -> io::Result<Self> {
        let shards = net.shards();
        // Dropped half made, it closes what there is.
        let mut listener = Self {
            net,
            parts: Vec::with_capacity(usize::from(shards)),
            next: AtomicUsize::new(0),
            local: at,
            ttl: AtomicU8::new(tuning.ttl.unwrap_or(0)),
            tuning,
            nodelay,
        };
        for shard in 0..shards {
            let at = listener.local;
            let (id, local) = listener.net.call_on(shard, |shared, _| {
                shared.check()?;
                let id = listen(&mut shared.stack, at).map_err(error::listen)?;
                shared.listeners.entry(id).or_default();
                Ok::<_, io::Error>((id, shared.stack.listener_address(id).unwrap_or(at)))
            })?;
            listener.parts.push(Part { shard, id });
            listener.local = local;
        }
        Ok(listener)
    }

    /// Takes it apart: a listener for each shard of its net, in order, to be given to a task next to that shard's driver
    /// ([`Net::runtime`]). Each hears of the connections of its shard alone, so all are to be asked, as with sockets that
    /// share a port by `SO_REUSEPORT`; where one is dropped, what falls to its shard is refused.
    #[must_use]
    pub fn per_shard(mut self) -> Vec<Self> {
        let parts = std::mem::take(&mut self.parts);
        let one = |part| Self {
            net: self.net.clone(),
            parts: vec![part],
            next: AtomicUsize::new(0),
            local: self.local,
            ttl: AtomicU8::new(self.ttl.load(Ordering::Relaxed)),
            tuning: self.tuning.clone(),
            nodelay: self.nodelay,
        };
        parts.into_iter().map(one).collect()
    }

    /// The shards that it listens in.
    pub(crate) fn shards(&self) -> Range<u16> {
        let first = self.parts.first().map_or(0, |part| part.shard);
        let last = self.parts.last().map_or(0, |part| part.shard);
        first..last.saturating_add(1)
    }

    /// Asks its parts, each time another first, until one has something.
    pub(crate) fn ask<R>(
        &self,
        mut ask: impl FnMut(&mut Shared, Part) -> io::Result<Option<R>>,
    ) -> io::Result<Option<R>> {
        let first = self.next.load(Ordering::Relaxed);
        for at in 0..self.parts.len() {
            let at = first.wrapping_add(at) % self.parts.len();
            let Some(&part) = self.parts.get(at) else {
                continue;
            };
            let found = self.net.call_on(part.shard, |shared, _| {
                shared.check()?;
                ask(shared, part)
            })?;
            if found.is_some() {
                self.next.store(at.wrapping_add(1), Ordering::Relaxed);
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The next connection, and its peer's address.
    ///
    /// Safe to cancel: no connection is lost. Any number of tasks may wait.
    ///
    /// # Errors
    /// The net is over.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        Accepting {
            listener: self,
            key: None,
        }
        .await
    }

    /// From now on the program sees each SYN before anything is sent, and decides.
    #[must_use]
    pub fn deferred(self) -> DeferredListener {
        DeferredListener::new(self)
    }

    /// As [`TcpListener::accept`], for hand-written futures: the latest task that asked is woken.
    ///
    /// # Errors
    /// As [`TcpListener::accept`].
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.poll_with(cx, |shared, id| {
            if let Some(waiters) = shared.listeners.get_mut(&id) {
                waiters.set_task(cx.waker());
            }
        })
    }

    /// The next connection, if one waits.
    ///
    /// # Errors
    /// `WouldBlock`: none waits; or the net is over.
    pub(crate) fn try_accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let adopted = self.ask(|shared, part| Ok(self.take(shared, part.id)))?;
        let adopted = adopted.ok_or(io::ErrorKind::WouldBlock)?;
        Ok(self.stream(&adopted))
    }

    fn poll_with(
        &self,
        cx: &Context<'_>,
        mut wait: impl FnMut(&mut Shared, ListenerId),
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        // `poll_proceed` wants the context mutably; a copy of it names the same task.
        let budget = ready!(coop::poll_proceed(&mut Context::from_waker(cx.waker())));
        let taken = self.ask(|shared, part| {
            let taken = self.take(shared, part.id);
            if taken.is_none() {
                wait(shared, part.id);
            }
            Ok(taken)
        });
        let taken = match taken {
            Ok(None) => return Poll::Pending,
            Ok(Some(adopted)) => Ok(self.stream(&adopted)),
            Err(error) => Err(error),
        };
        budget.made_progress();
        Poll::Ready(taken)
    }

    /// Takes a connection from the accept queue of a part.
    fn take(&self, shared: &mut Shared, listener: ListenerId) -> Option<Adopted> {
        while let Some(id) = shared.stack.accept(listener) {
            let Some(adopted) = self.net.adopt(shared, id) else {
                continue;
            };
            let ttl = self.ttl.load(Ordering::Relaxed);
            if ttl > 0 {
                shared.stack.set_ttl(id, ttl);
            }
            let now = shared.now();
            if self.tuning.notsent_lowat.is_some() {
                let low = self.tuning.notsent_lowat;
                shared.stack.set_not_sent_low(now, id, low);
            }
            let times = self.tuning.keepalive_times;
            if let Some(socket) = shared.sockets.get_mut(&id)
                && times != TcpKeepalive::default()
            {
                socket.keepalive = times;
            }
            if self.nodelay {
                shared.stack.set_nodelay(now, id, true);
            }
            return Some(adopted);
        }
        None
    }

    /// Outside of the lock, which dropping a stream takes.
    fn stream(&self, adopted: &Adopted) -> (TcpStream, SocketAddr) {
        (
            TcpStream::new(self.net.clone(), adopted),
            adopted.endpoints.remote,
        )
    }

    /// The address and port it listens on; the port is known even if it was asked for as 0.
    ///
    /// # Errors
    /// None; the result is tokio's form.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    /// The net this listener belongs to.
    #[must_use]
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// TTL or hop limit of connections it accepts.
    ///
    /// # Errors
    /// None; the result is tokio's form.
    pub fn ttl(&self) -> io::Result<u32> {
        Ok(match self.ttl.load(Ordering::Relaxed) {
            0 => u32::from(self.net.core().lock().stack.usual_ttl()),
            ttl => u32::from(ttl),
        })
    }

    /// Sets TTL or hop limit of connections accepted from now on, 1 to 255, and of the packets of their handshakes.
    ///
    /// # Errors
    /// `InvalidInput`: out of range.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        let ttl = error::ttl(ttl)?;
        self.ttl.store(ttl, Ordering::Relaxed);
        for part in &self.parts {
            self.net.call_on(part.shard, |shared, _| {
                shared.stack.set_listener_ttl(part.id, Some(ttl));
            });
        }
        Ok(())
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        // The first shard's last: it is the one that finds out whether the address is free.
        for part in self.parts.iter().rev() {
            self.net.call_on(part.shard, |shared, now| {
                shared.listeners.remove(&part.id);
                shared.asked.remove(&part.id);
                if shared.over.is_none() {
                    shared.stack.close_listener(now, part.id);
                }
            });
        }
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener")
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

/// The future of `accept`; leaves the queue of those who wait when it is dropped.
struct Accepting<'a> {
    listener: &'a TcpListener,
    key: Option<WaiterKey>,
}

impl Future for Accepting<'_> {
    type Output = io::Result<(TcpStream, SocketAddr)>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { listener, key } = self.get_mut();
        listener.poll_with(cx, |shared, id| {
            let key = *key.get_or_insert_with(|| shared.waiter_key());
            if let Some(waiters) = shared.listeners.get_mut(&id) {
                waiters.set_future(key, cx.waker());
            }
        })
    }
}

impl Drop for Accepting<'_> {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        for part in &self.listener.parts {
            let mut shared = self.listener.net.core_of(part.shard).lock();
            if let Some(waiters) = shared.listeners.get_mut(&part.id) {
                waiters.remove(key);
            }
        }
    }
}
