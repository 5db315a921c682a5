//! [`Net`]: the handle of a stack and of the task that drives it.

mod builder;
mod current;
mod make;
mod sums;

pub use builder::{Builder, socket_config};
pub use current::EnterGuard;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::task::Poll;

use tokio::net::{ToSocketAddrs, lookup_host};
use tokio::runtime::Handle as Runtime;
use woshou_stack::{ConnId, ConnectError, Counters, MemoryUse};
use woshou_tcp::{Endpoints, Instant, State};

use crate::shared::{Core, Shared, Socket};
use crate::wakers::{WaiterKey, Waiters, WakeList};
use crate::{TcpListener, TcpSocket, TcpStream, error};

/// A TCP/IP stack on devices of its own, driven by one tokio task, or several stacks that share them, each with its own
/// ([`Builder::shards`]). Cloning is cheap.
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

/// What all handles share. The drivers hold only the cores, and so learn when the last handle goes.
struct Handle {
    /// Shard 0's, nearer at hand than the others': most nets have no more.
    first: Arc<Core>,
    /// Those of all shards.
    cores: Arc<[Arc<Core>]>,
    /// What drives them, in turn.
    runtimes: Box<[Runtime]>,
    /// The shard that opens the next connection.
    next: AtomicU16,
}

impl Drop for Handle {
    fn drop(&mut self) {
        for core in self.cores.iter() {
            let mut wakes = WakeList::default();
            let mut shared = core.lock();
            shared.abandoned = true;
            shared.wake_driver(&mut wakes);
            drop(shared);
            wakes.wake();
        }
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
    /// Frames that came to one shard and belonged to another.
    pub handed_over: u64,
    /// Of such frames: those that were dropped because too many waited already.
    pub handed_over_lost: u64,
}

impl Net {
    /// A net to be made: at least one device is needed.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// `cores` are at least one.
    fn new(cores: &Arc<[Arc<Core>]>, runtimes: &[Runtime]) -> Self {
        #[expect(clippy::indexing_slicing, reason = "each net has a shard 0")]
        let first = Arc::clone(&cores[0]);
        Self {
            handle: Arc::new(Handle {
                first,
                cores: Arc::clone(cores),
                runtimes: runtimes.into(),
                next: AtomicU16::new(0),
            }),
        }
    }

    /// How many shards it has ([`Builder::shards`]).
    #[must_use]
    pub fn shards(&self) -> u16 {
        // No more than a `u16` were asked for.
        u16::try_from(self.handle.cores.len()).unwrap_or(u16::MAX)
    }

    /// The runtime that drives a shard; of shards beyond the last that of shard 0. A task there never waits for the lock of
    /// that shard's streams. It ends with the net where [`Builder::spawn_thread`] made it.
    #[must_use]
    pub fn runtime(&self, shard: u16) -> &Runtime {
        let Handle {
            runtimes, cores, ..
        } = self.handle.as_ref();
        let shard = usize::from(shard).checked_rem(cores.len()).unwrap_or(0);
        #[expect(
            clippy::indexing_slicing,
            reason = "each net has a runtime, and in turn"
        )]
        &runtimes[shard % runtimes.len()]
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
        // While one shard is waited for, another may begin something: until a look at all finds nothing.
        while !(0..self.shards()).all(|shard| self.core_of(shard).lock().is_idle()) {
            for shard in 0..self.shards() {
                self.shard_idle(shard).await;
            }
        }
    }

    async fn shard_idle(&self, shard: u16) {
        let mut wait = WaitFor::new(self, shard..shard + 1, |shared| &mut shared.idlers);
        poll_fn(|cx| {
            self.call_on(shard, |shared, _| {
                if shared.is_idle() {
                    return Poll::Ready(());
                }
                let key = wait.key(shared);
                shared.idlers.set_future(key, cx.waker());
                Poll::Pending
            })
        })
        .await;
    }

    /// Ends the net now: connections that are held are aborted (the peers get RST), what still closed in the
    /// background is forgotten, and every call from now on fails. For a graceful end await [`Net::idle`] first.
    pub fn shutdown(&self) {
        for core in self.handle.cores.iter() {
            let mut wakes = WakeList::default();
            let mut shared = core.lock();
            let now = shared.now();
            shared.shutdown(now, &mut wakes);
            drop(shared);
            wakes.wake();
        }
    }

    /// Waits until the net is over: by [`Net::shutdown`], because its last device broke, or because its runtime
    /// ended; says which. Its shards end together.
    pub async fn ended(&self) -> io::Error {
        let mut wait = WaitFor::new(self, 0..1, |shared| &mut shared.mourners);
        poll_fn(|cx| {
            self.call(|shared, _| match shared.check() {
                Err(error) => Poll::Ready(error),
                Ok(()) => {
                    let key = wait.key(shared);
                    shared.mourners.set_future(key, cx.waker());
                    Poll::Pending
                }
            })
        })
        .await
    }

    /// Replaces the behaviour of connections made from now on.
    pub fn set_tcp_config(&self, config: Arc<woshou_tcp::Config>) {
        for shard in 0..self.shards() {
            let config = Arc::clone(&config);
            self.call_on(shard, |shared, _| shared.stack.set_tcp_config(config));
        }
    }

    /// What was counted so far. What every shard hears (ARP, neighbour discovery) counts in each.
    #[must_use]
    pub fn counters(&self) -> NetCounters {
        let cores = self.handle.cores.iter();
        cores.fold(NetCounters::default(), |sum, core| {
            sums::counters(sum, &core.lock())
        })
    }

    /// How much memory the stack holds, and what was done to hold no more than [`Builder::memory`] allows. What the
    /// program has read already, and the devices' own queues, are not in it. With several shards the sums of theirs (of
    /// peaks that may have been at different times), and the greatest pressure.
    #[must_use]
    pub fn memory(&self) -> MemoryUse {
        let first = self.core().lock().stack.memory();
        let others = self.handle.cores.iter().skip(1);
        others.fold(first, |sum, core| {
            sums::memory(sum, &core.lock().stack.memory())
        })
    }

    /// All connections, TIME-WAIT and half-open ones included.
    #[must_use]
    pub fn connections(&self) -> Vec<(Endpoints, State)> {
        let cores = self.handle.cores.iter();
        cores
            .flat_map(|core| core.lock().stack.connections())
            .collect()
    }

    /// Opens a connection by `connect` in the shard that it belongs to: where the local port is given its owner, else each
    /// in turn, until one has a port left.
    pub(crate) fn open(
        &self,
        to: SocketAddr,
        from: Option<SocketAddr>,
        mut connect: impl FnMut(&mut Shared, Instant) -> Result<ConnId, ConnectError>,
    ) -> io::Result<Adopted> {
        let shards = self.shards();
        let (first, tries) = match from.filter(|from| from.port() != 0) {
            Some(from) => {
                let owner = self.core().lock().stack.shard_of(to, from);
                (owner.map_err(error::connect)?, 1)
            }
            None => {
                let next = |next: u16| Some(if next + 1 < shards { next + 1 } else { 0 });
                let counter = &self.handle.next;
                let turn = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
                (turn.unwrap_or(0), shards)
            }
        };
        let mut tried = 0;
        loop {
            let shard = first.wrapping_add(tried).checked_rem(shards).unwrap_or(0);
            tried += 1;
            let adopted = self.call_on(shard, |shared, now| {
                shared.check()?;
                match connect(shared, now) {
                    Ok(id) => self
                        .adopt(shared, id)
                        .map(Some)
                        .ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionAborted)),
                    Err(ConnectError::NoPort) if tried < tries => Ok(None),
                    Err(error) => Err(error::connect(error)),
                }
            })?;
            if let Some(adopted) = adopted {
                return Ok(adopted);
            }
        }
    }

    /// Shard 0's.
    pub(crate) fn core(&self) -> &Core {
        &self.handle.first
    }

    pub(crate) fn core_of(&self, shard: u16) -> &Core {
        if shard == 0 {
            return &self.handle.first;
        }
        let core = self.handle.cores.get(usize::from(shard));
        core.unwrap_or(&self.handle.first)
    }

    /// Of shard 0.
    pub(crate) fn call<R>(&self, call: impl FnOnce(&mut Shared, Instant) -> R) -> R {
        self.core().call(call)
    }

    pub(crate) fn call_on<R>(&self, shard: u16, call: impl FnOnce(&mut Shared, Instant) -> R) -> R {
        self.core_of(shard).call(call)
    }

    /// A stream for a connection that just came into being.
    pub(crate) fn adopt(&self, shared: &mut Shared, id: ConnId) -> Option<Adopted> {
        let endpoints = shared.stack.endpoints(id)?;
        shared.sockets.insert(id, Socket::default());
        Some(Adopted {
            shard: shared.number,
            id,
            endpoints,
        })
    }
}

/// A connection with a socket, before its stream is made (outside the lock).
pub(crate) struct Adopted {
    pub(crate) shard: u16,
    pub(crate) id: ConnId,
    pub(crate) endpoints: Endpoints,
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net").finish_non_exhaustive()
    }
}

/// A future's place among the net's own waiters, of one shard or of several.
pub(crate) struct WaitFor<'a> {
    net: &'a Net,
    shards: Range<u16>,
    which: fn(&mut Shared) -> &mut Waiters,
    key: Option<WaiterKey>,
}

impl<'a> WaitFor<'a> {
    pub(crate) fn new(
        net: &'a Net,
        shards: Range<u16>,
        which: fn(&mut Shared) -> &mut Waiters,
    ) -> Self {
        Self {
            net,
            shards,
            which,
            key: None,
        }
    }

    /// The name that it waits by, the same in all shards; drawn from the first that it waits in.
    pub(crate) fn key(&mut self, shared: &mut Shared) -> WaiterKey {
        *self.key.get_or_insert_with(|| shared.waiter_key())
    }
}

impl Drop for WaitFor<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            for shard in self.shards.clone() {
                (self.which)(&mut self.net.core_of(shard).lock()).remove(key);
            }
        }
    }
}
