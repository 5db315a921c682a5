//! What a net's driver, streams and listeners share, behind one lock that is never held across an await.
//!
//! Every use of the lock ends with [`Shared::settle`]: what the stack owes goes to the devices, and whom it
//! concerns is woken. So a user's write leaves from the user's own task, without a switch to the driver.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant as TokioInstant;
use woshou_stack::{ConnId, Event, IncomingId, ListenerId, Stack};
use woshou_tcp::{Instant, State, Wake};

use crate::buffers::Buffers;
use crate::crew::Member;
use crate::error::Over;
use crate::options::TcpKeepalive;
use crate::port::Port;
use crate::wakers::{WaiterKey, Waiters, WakeList};

/// A hash without chance in it: our own ids, which no peer chooses.
type Map<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;

/// How often at most a net that someone waits to see idle is looked at.
pub(crate) const IDLE_CHECK: Duration = Duration::from_millis(5);

/// Octets that users' calls send before one of them reads the devices.
const HEAR_AFTER: usize = 256 * 1024;

/// The socket layer's part of a connection. Most have nothing to say, and take no more than a word for it.
#[derive(Debug, Default)]
pub(crate) struct Socket(Option<Box<Said>>);

/// What a socket's user has said, and who waits.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) readers: Waiters,
    pub(crate) writers: Waiters,
    /// Who waits for urgent data.
    pub(crate) urgent: Waiters,
    pub(crate) linger: Option<Duration>,
    /// What keep-alive is to be when it is switched on.
    pub(crate) keepalive: TcpKeepalive,
    /// `take_error` told how it ended.
    pub(crate) error_taken: bool,
}

impl Socket {
    /// As [`Said::default`].
    const NOTHING: &Said = &Said {
        readers: Waiters::NOBODY,
        writers: Waiters::NOBODY,
        urgent: Waiters::NOBODY,
        linger: None,
        keepalive: TcpKeepalive::new(),
        error_taken: false,
    };

    /// Who waits, if ever anyone did.
    fn said_mut(&mut self) -> Option<&mut Said> {
        self.0.as_deref_mut()
    }
}

impl Deref for Socket {
    type Target = Said;
    fn deref(&self) -> &Said {
        self.0.as_deref().unwrap_or(Self::NOTHING)
    }
}

impl DerefMut for Socket {
    fn deref_mut(&mut self) -> &mut Said {
        self.0.get_or_insert_default()
    }
}

/// Everything behind the lock.
pub(crate) struct Shared {
    pub(crate) stack: Stack,
    pub(crate) ports: Vec<Port>,
    /// Where frames are received.
    pub(crate) buffers: Buffers,
    /// A frame came since the driver asked last.
    pub(crate) heard: bool,
    /// Octets sent since a device was last read.
    pub(crate) sent: usize,
    /// [`woshou_stack::Counters::acknowledged`] when it was looked at last.
    acknowledged: u64,
    pub(crate) sockets: Map<ConnId, Socket>,
    pub(crate) listeners: Map<ListenerId, Waiters>,
    /// SYNs that wait for somebody to look at them, by listener.
    pub(crate) asked: Map<ListenerId, VecDeque<IncomingId>>,
    /// Who waits for what becomes of a SYN.
    pub(crate) incoming: Waiters,
    /// Who waits until all connections have ended.
    pub(crate) idlers: Waiters,
    /// Who waits until the net is over.
    pub(crate) mourners: Waiters,
    /// The task that drives.
    pub(crate) driver: Option<Waker>,
    /// When the driver's timer rings; it is moved only to ring earlier.
    pub(crate) armed: Option<Instant>,
    /// No handle, stream or listener is left.
    pub(crate) abandoned: bool,
    /// Why the net works no more.
    pub(crate) over: Option<Over>,
    /// Which of the net's shards this is.
    pub(crate) number: u16,
    /// Its place among them, where there are several.
    pub(crate) member: Option<Box<Member>>,
    next_key: u64,
    origin: TokioInstant,
    last: Instant,
}

impl Shared {
    /// Shard `number` of a net whose time begins at `origin`.
    pub(crate) fn new(
        stack: Stack,
        ports: Vec<Port>,
        (number, member): (u16, Option<Box<Member>>),
        origin: TokioInstant,
    ) -> Self {
        let budget = stack.memory().budget;
        Self {
            stack,
            ports,
            buffers: Buffers::new(budget),
            heard: false,
            sent: 0,
            acknowledged: 0,
            sockets: Map::default(),
            listeners: Map::default(),
            asked: Map::default(),
            incoming: Waiters::default(),
            idlers: Waiters::default(),
            mourners: Waiters::default(),
            driver: None,
            armed: None,
            abandoned: false,
            over: None,
            number,
            member,
            // One future may wait in several shards by one key.
            next_key: u64::from(number) << 48,
            origin,
            last: Instant::ZERO,
        }
    }

    /// Now by tokio's clock (which tests may pause), never earlier than before.
    pub(crate) fn now(&mut self) -> Instant {
        let since = TokioInstant::now().saturating_duration_since(self.origin);
        self.last = self.last.max(Instant::ZERO + since);
        self.last
    }

    /// `at` by tokio's clock; `None`: too far away to be waited for.
    pub(crate) fn to_tokio(&self, at: Instant) -> Option<TokioInstant> {
        self.origin.checked_add(at - Instant::ZERO)
    }

    /// A name for a future that waits.
    pub(crate) fn waiter_key(&mut self) -> WaiterKey {
        self.next_key = self.next_key.wrapping_add(1);
        WaiterKey(self.next_key)
    }

    /// # Errors
    /// The net is over.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.over.as_ref().map_or(Ok(()), |over| Err(over.error()))
    }

    /// After every input and every user's call: sends what is owed, wakes whom it concerns, and the driver if
    /// it sleeps too long.
    pub(crate) fn settle(&mut self, now: Instant, wakes: &mut WakeList) {
        let blocked = self.transmit(now);
        while let Some(event) = self.stack.poll_event() {
            match event {
                Event::Connection(id, wake) => self.wake_socket(id, wake, wakes),
                Event::Acceptable(id) => {
                    self.wake_listener(id, wakes);
                }
                Event::Incoming(id) => {
                    if let Some(syn) = self.stack.incoming(id) {
                        self.asked.entry(syn.listener).or_default().push_back(id);
                        self.wake_listener(syn.listener, wakes);
                    }
                }
                Event::Cancelled(id) => {
                    self.asked
                        .values_mut()
                        .for_each(|asked| asked.retain(|one| *one != id));
                    self.incoming.wake(wakes);
                }
            }
        }
        let late = match (self.stack.poll_timeout(), self.armed) {
            (Some(due), Some(armed)) => due < armed,
            (Some(due), None) => due < Instant::MAX,
            (None, _) => false,
        };
        if late || blocked || self.is_watched() {
            self.wake_driver(wakes);
        }
        if let Some(member) = &mut self.member {
            member.ring(wakes);
        }
    }

    pub(crate) fn wake_driver(&mut self, wakes: &mut WakeList) {
        if let Some(driver) = self.driver.take() {
            wakes.push(driver);
        }
    }

    fn wake_listener(&mut self, id: ListenerId, wakes: &mut WakeList) {
        if let Some(waiters) = self.listeners.get_mut(&id) {
            waiters.wake(wakes);
        }
        if self.asked.contains_key(&id) {
            self.incoming.wake(wakes);
        }
    }

    /// What the user of a connection said, if anything.
    pub(crate) fn said_mut(&mut self, id: ConnId) -> Option<&mut Said> {
        self.sockets.get_mut(&id)?.said_mut()
    }

    fn wake_socket(&mut self, id: ConnId, wake: Wake, wakes: &mut WakeList) {
        // No socket: it waits in the accept queue, and whoever accepts it looks first.
        let Some(socket) = self.said_mut(id) else {
            return;
        };
        let both = wake.intersects(Wake::CONNECTED | Wake::ENDED);
        if both || wake.intersects(Wake::READABLE | Wake::URGENT) {
            socket.readers.wake(wakes);
        }
        // The end of the peer's text ends the waiting for urgent data as well.
        if both || wake.intersects(Wake::READABLE | Wake::URGENT) {
            socket.urgent.wake(wakes);
        }
        if both || wake.intersects(Wake::WRITABLE) {
            socket.writers.wake(wakes);
        }
    }

    /// Hands what the stack owes to the devices. `true`: one of them became full, and the driver must wait for it.
    pub(crate) fn transmit(&mut self, now: Instant) -> bool {
        let Self {
            stack, ports, sent, ..
        } = self;
        let alone = ports.len() == 1;
        let acknowledged = stack.counters().acknowledged;
        let arrived = acknowledged - std::mem::replace(&mut self.acknowledged, acknowledged);
        if let Some(port) = ports.first_mut().filter(|_| alone && arrived > 0) {
            port.earn(arrived);
        }
        let was_full = ports.iter().any(Port::is_full);
        // With one device the stack may keep what it cannot take; with several, a full one must not hold up the
        // others, so its frames queue up (and are dropped at the end, as in a kernel's queue).
        let stops = |port: &mut Port| port.is_full() || port.is_sated(now);
        while !(alone && ports.iter_mut().any(stops)) {
            let Some(frame) = stack.poll_transmit(now) else {
                break;
            };
            if let Some(port) = ports.iter_mut().find(|port| port.id == frame.link) {
                *sent += port.send(&frame);
            }
        }
        ports.iter_mut().for_each(Port::flush);
        let sated = alone && ports.iter_mut().any(|port| port.is_sated(now));
        sated || (!was_full && ports.iter().any(Port::is_full))
    }

    /// A task that writes and writes keeps its thread from the driver. Then it reads what the devices have for us itself: what
    /// was acknowledged is freed while it is still in the cache, and does not pile up. `true`: something may have come.
    fn hears_itself(&mut self, now: Instant) -> bool {
        if self.sent < HEAR_AFTER || self.over.is_some() {
            return false;
        }
        for index in 0..self.ports.len() {
            // The driver meets the same error.
            let _ = self.receive(index, now);
        }
        self.receive_from_others(now);
        true
    }

    /// Whether memory is kept for the next frames.
    pub(crate) fn keeps_buffers(&self) -> bool {
        self.stack.free_chunks() > 0 || self.buffers.holds_any() || self.member.is_some()
    }

    /// Whether someone waits for the net to be idle.
    pub(crate) fn is_watched(&self) -> bool {
        self.abandoned || !self.idlers.is_empty()
    }

    /// Whether all connections have ended: none is left but TIME-WAIT and what knocks at a listener.
    pub(crate) fn is_idle(&self) -> bool {
        let over = |state: State| {
            matches!(
                state,
                State::Closed | State::Listen | State::SynReceived | State::TimeWait
            )
        };
        self.over.is_some()
            || !self.ports.iter().any(Port::is_full)
                && self
                    .stack
                    .connections()
                    .iter()
                    .all(|(_, state)| over(*state))
    }

    /// The net is over: devices go, and everyone who waits hears of it.
    pub(crate) fn end(&mut self, why: Over, wakes: &mut WakeList) {
        self.over.get_or_insert(why);
        self.ports.clear();
        for socket in self.sockets.values_mut().filter_map(Socket::said_mut) {
            socket.readers.wake(wakes);
            socket.writers.wake(wakes);
            socket.urgent.wake(wakes);
        }
        self.listeners
            .values_mut()
            .for_each(|waiters| waiters.wake(wakes));
        self.incoming.wake(wakes);
        self.idlers.wake(wakes);
        self.mourners.wake(wakes);
        self.wake_driver(wakes);
    }

    /// Aborts every connection a user holds, closes the listeners, and ends the net.
    pub(crate) fn shutdown(&mut self, now: Instant, wakes: &mut WakeList) {
        if self.over.is_some() {
            return;
        }
        for id in self.sockets.keys() {
            self.stack.abort(now, *id);
        }
        for id in self.listeners.keys() {
            self.stack.close_listener(now, *id);
        }
        self.settle(now, wakes);
        self.end(Over::Shutdown, wakes);
    }
}

/// The lock and what is behind it.
pub(crate) struct Core {
    shared: Mutex<Shared>,
}

impl Core {
    pub(crate) fn new(shared: Shared) -> Self {
        Self {
            shared: Mutex::new(shared),
        }
    }

    /// A panic under the lock ends the driver, which ends the net; the others are told by `Shared::check`.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call into the stack: `call`, then whatever follows from it.
    pub(crate) fn call<R>(&self, call: impl FnOnce(&mut Shared, Instant) -> R) -> R {
        let mut wakes = WakeList::default();
        let mut shared = self.lock();
        let now = shared.now();
        let result = call(&mut shared, now);
        shared.settle(now, &mut wakes);
        if shared.hears_itself(now) {
            shared.settle(now, &mut wakes);
        }
        drop(shared);
        wakes.wake();
        result
    }
}
