//! [`Net`]: the handle of a stack and of the task that drives it.

mod builder;
mod current;

pub use builder::{Builder, socket_config};
pub use current::EnterGuard;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use tokio::net::{ToSocketAddrs, lookup_host};
use woshou_stack::{ConnId, Counters, MemoryUse};
use woshou_tcp::{Endpoints, Instant, State};

use crate::shared::{Core, Shared, Socket};
use crate::wakers::{WaiterKey, Waiters, WakeList};
use crate::{TcpListener, TcpSocket, TcpStream, error};

/// A TCP/IP stack on devices of its own, driven by one tokio task. Cloning is cheap.
///
/// The net lives as long as a handle, a stream or a listener of it does, and then until every connection has
/// ended in good order (the FIN delivered), unless its runtime ends first or [`Net::shutdown`] is called.
///
/// ```no_run
/// # async fn example(device: Box<dyn woshou::link::Device>) -> std::io::Result<()> {
/// use woshou::{Cidr, Net, TcpStream};
///
/// let address = Cidr { address: "10.9.0.2".parse().expect("an address"), prefix: 24 };
/// let net = Net::builder().device(device, [address]).spawn()?;
/// net.set_global();
/// let stream = TcpStream::connect("10.9.0.1:80").await?; // as tokio::net's
/// # drop(stream); Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Net {
    handle: Arc<Handle>,
}

/// What all handles share. The driver holds only the core, and so learns when the last handle goes.
struct Handle {
    core: Arc<Core>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut wakes = WakeList::default();
        let mut shared = self.core.lock();
        shared.abandoned = true;
        shared.wake_driver(&mut wakes);
        drop(shared);
        wakes.wake();
    }
}

/// Frames and packets of a net, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetCounters {
    /// The stack's own.
    pub stack: Counters,
    /// Frames that a device refused, or that found the queue of a full device full.
    pub frames_lost: u64,
}

impl Net {
    /// A net to be made: at least one device is needed.
    pub fn builder() -> Builder {
        Builder::new()
    }

    fn new(core: Arc<Core>) -> Self {
        Self {
            handle: Arc::new(Handle { core }),
        }
    }

    /// Listens on the first of `addr` that can be had; backlog 1,024, as in tokio.
    ///
    /// An unspecified address stands for all of this net's; port 0 for a free one.
    ///
    /// # Errors
    /// `AddrInUse`, `AddrNotAvailable` (not an address of this net), or what resolving `addr` failed with.
    pub async fn bind<A: ToSocketAddrs>(&self, addr: A) -> io::Result<TcpListener> {
        let mut last = None;
        for addr in lookup_host(addr).await? {
            match self.socket(addr).bind_and_listen(addr) {
                Ok(listener) => return Ok(listener),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(error::no_address))
    }

    /// Connects to the first of `addr` that answers. Dropping the future gives the attempt up.
    ///
    /// # Errors
    /// Of the last address tried: `ConnectionRefused`, `ConnectionReset`, `TimedOut`, `HostUnreachable`,
    /// `NetworkUnreachable`, `AddrNotAvailable` (no port is free), `InvalidInput` (no address to connect to); or
    /// what resolving `addr` failed with.
    pub async fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<TcpStream> {
        let mut last = None;
        for addr in lookup_host(addr).await? {
            match self.socket(addr).connect(addr).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(error::no_address))
    }

    /// As [`TcpListener::bind_any`], on this net.
    ///
    /// # Errors
    /// `AddrInUse`: there is one like it; or the net is over.
    pub fn bind_any(&self, port: Option<u16>) -> io::Result<TcpListener> {
        TcpListener::listen_any(self.clone(), port, 1024)
    }

    /// A socket of this net, to be given options before it connects or listens; of the family of `like`.
    #[must_use]
    pub fn socket(&self, like: SocketAddr) -> TcpSocket {
        TcpSocket::new(Some(self.clone()), like.is_ipv6())
    }

    /// Waits until all connections have ended: everything written was delivered and both directions are closed.
    /// TIME-WAIT does not count, nor do half-open connections nobody accepted. Returns at once when there are
    /// none, and when the net is over.
    pub async fn idle(&self) {
        let mut wait = WaitFor {
            net: self,
            which: |shared| &mut shared.idlers,
            key: None,
        };
        poll_fn(|cx| {
            wait.net.call(|shared, _| {
                if shared.is_idle() {
                    return Poll::Ready(());
                }
                let key = *wait.key.get_or_insert_with(|| shared.waiter_key());
                shared.idlers.set_future(key, cx.waker());
                Poll::Pending
            })
        })
        .await;
    }

    /// Ends the net now: connections that are held are aborted (the peers get RST), what still closed in the
    /// background is forgotten, and every call from now on fails. For a graceful end await [`Net::idle`] first.
    pub fn shutdown(&self) {
        let mut wakes = WakeList::default();
        let mut shared = self.core().lock();
        let now = shared.now();
        shared.shutdown(now, &mut wakes);
        drop(shared);
        wakes.wake();
    }

    /// Waits until the net is over: by [`Net::shutdown`], because its last device broke, or because its runtime
    /// ended; says which.
    pub async fn ended(&self) -> io::Error {
        let mut wait = WaitFor {
            net: self,
            which: |shared| &mut shared.mourners,
            key: None,
        };
        poll_fn(|cx| {
            wait.net.call(|shared, _| match shared.check() {
                Err(error) => Poll::Ready(error),
                Ok(()) => {
                    let key = *wait.key.get_or_insert_with(|| shared.waiter_key());
                    shared.mourners.set_future(key, cx.waker());
                    Poll::Pending
                }
            })
        })
        .await
    }

    /// Replaces the behaviour of connections made from now on.
    pub fn set_tcp_config(&self, config: Arc<woshou_tcp::Config>) {
        self.call(|shared, _| shared.stack.set_tcp_config(config));
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> NetCounters {
        let shared = self.core().lock();
        NetCounters {
            stack: shared.stack.counters(),
            frames_lost: shared
                .ports
                .iter()
                .fold(0, |sum, port| port.lost.saturating_add(sum)),
        }
    }

    /// How much memory the stack holds, and what was done to hold no more than [`Builder::memory`] allows. What the
    /// program has read already, and the devices' own queues, are not in it.
    #[must_use]
    pub fn memory(&self) -> MemoryUse {
        self.core().lock().stack.memory()
    }

    /// All connections, TIME-WAIT and half-open ones included.
    #[must_use]
    pub fn connections(&self) -> Vec<(Endpoints, State)> {
        self.core().lock().stack.connections()
    }

    pub(crate) fn core(&self) -> &Core {
        &self.handle.core
    }

    pub(crate) fn call<R>(&self, call: impl FnOnce(&mut Shared, Instant) -> R) -> R {
        self.core().call(call)
    }

    /// A stream for a connection that just came into being.
    pub(crate) fn adopt(&self, shared: &mut Shared, id: ConnId) -> Option<Adopted> {
        let endpoints = shared.stack.endpoints(id)?;
        shared.sockets.insert(id, Socket::default());
        Some(Adopted { id, endpoints })
    }
}

/// A connection with a socket, before its stream is made (outside the lock).
pub(crate) struct Adopted {
    pub(crate) id: ConnId,
    pub(crate) endpoints: Endpoints,
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net").finish_non_exhaustive()
    }
}

/// A future's place among the net's own waiters.
pub(crate) struct WaitFor<'a> {
    pub(crate) net: &'a Net,
    pub(crate) which: fn(&mut Shared) -> &mut Waiters,
    pub(crate) key: Option<WaiterKey>,
}

impl Drop for WaitFor<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            (self.which)(&mut self.net.core().lock()).remove(key);
        }
    }
}
