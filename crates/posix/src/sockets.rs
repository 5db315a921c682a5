//! The table of descriptors, and the news that the stack brings for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use woshou_stack::{ConnId, Event, ListenerId, Stack};
use woshou_tcp::{Connection, Instant, Wake};

use crate::address::Domain;
use crate::constants::{
    AF_INET, AF_INET6, IPPROTO_IP, IPPROTO_MPTCP, IPPROTO_TCP, SOCK_CLOEXEC, SOCK_DGRAM,
    SOCK_NONBLOCK, SOCK_RAW, SOCK_STREAM,
};
use crate::epoll::Epoll;
use crate::errno::Errno;
use crate::outcome::{Outcome, Stop, Wait, WaitFor};
use crate::personality::{Personality, Policy};
use crate::socket::{Role, Socket};

/// A descriptor. 0 to 2 are never sockets.
pub type Fd = i32;

/// The first descriptor.
const FIRST: Fd = 3;

#[derive(Debug)]
pub(crate) enum Descriptor {
    Socket(Box<Socket>),
    Epoll(Epoll),
}

/// A stack and the sockets over it.
///
/// The owner hands packets and timeouts to [`Self::stack`] and takes what it transmits from there, as without sockets;
/// events are taken by [`Self::settle`], which the owner calls after each input.
pub struct Sockets {
    /// The stack below.
    pub stack: Stack,
    pub(crate) policy: Policy,
    pub(crate) descriptors: BTreeMap<Fd, Descriptor>,
    by_connection: BTreeMap<ConnId, Fd>,
    by_listener: BTreeMap<ListenerId, Fd>,
    /// Closed ones below `next`.
    free: BTreeSet<Fd>,
    next: Fd,
    /// Sockets whose writers wait for room.
    pub(crate) waiting_for_room: BTreeSet<Fd>,
}

impl Sockets {
    /// No sockets yet, over `stack`.
    #[must_use]
    pub fn new(stack: Stack, policy: Policy) -> Self {
        Self {
            stack,
            policy,
            descriptors: BTreeMap::new(),
            by_connection: BTreeMap::new(),
            by_listener: BTreeMap::new(),
            free: BTreeSet::new(),
            next: FIRST,
            waiting_for_room: BTreeSet::new(),
        }
    }

    /// What the system around allows.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Changes what the system around allows, from now on.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    pub(crate) const fn personality(&self) -> Personality {
        self.policy.personality
    }

    /// Replaces the behaviour of connections made from now on, those of present listeners included, as a `sysctl` would.
    pub fn set_tcp_config(&mut self, tcp: Arc<woshou_tcp::Config>) {
        self.stack.set_tcp_config(Arc::clone(&tcp));
        for (id, fd) in &self.by_listener {
            if let Some(Descriptor::Socket(socket)) = self.descriptors.get(fd) {
                let config = socket.settings.config(&tcp, self.policy.personality);
                self.stack.set_listener_config(*id, config);
            }
        }
    }

    // ---- descriptors ----

    pub(crate) fn insert(&mut self, descriptor: Descriptor) -> Outcome<Fd> {
        if self.descriptors.len() >= self.policy.descriptors {
            return Err(Errno::EMFILE.into());
        }
        let fd = match self.free.pop_first() {
            Some(fd) => fd,
            None => {
                let fd = self.next;
                self.next = fd.checked_add(1).ok_or(Errno::EMFILE)?;
                fd
            }
        };
        self.descriptors.insert(fd, descriptor);
        Ok(fd)
    }

    /// Takes the descriptor out of every table.
    pub(crate) fn remove(&mut self, fd: Fd) -> Option<Descriptor> {
        let descriptor = self.descriptors.remove(&fd)?;
        self.free.insert(fd);
        self.waiting_for_room.remove(&fd);
        if let Descriptor::Socket(socket) = &descriptor {
            self.forget(socket.role);
        }
        for other in self.descriptors.values_mut() {
            if let Descriptor::Epoll(epoll) = other {
                epoll.forget(fd);
            }
        }
        Some(descriptor)
    }

    /// The stack's `role` belongs to no descriptor any more.
    pub(crate) fn forget(&mut self, role: Role) {
        match role {
            Role::Idle => {}
            Role::Listening(id) => {
                self.by_listener.remove(&id);
            }
            Role::Connection(id) => {
                self.by_connection.remove(&id);
            }
        }
    }

    /// `fd` is `role` from now on.
    pub(crate) fn take_on(&mut self, fd: Fd, role: Role) {
        match role {
            Role::Idle => {}
            Role::Listening(id) => {
                self.by_listener.insert(id, fd);
            }
            Role::Connection(id) => {
                self.by_connection.insert(id, fd);
            }
        }
        if let Ok(socket) = self.socket_mut(fd) {
            socket.role = role;
        }
        // Urgent text may have come before `accept`.
        let _ = self.socket_mut(fd);
    }

    /// The socket `fd`, with the end of its connection noted.
    pub(crate) fn socket_mut(&mut self, fd: Fd) -> Outcome<&mut Socket> {
        let personality = self.policy.personality;
        match self.descriptors.get_mut(&fd) {
            None => Err(Errno::EBADF.into()),
            Some(Descriptor::Epoll(_)) => Err(Errno::ENOTSOCK.into()),
            Some(Descriptor::Socket(socket)) => {
                socket.note_end(&self.stack, personality);
                socket.note_urgent(&self.stack, personality);
                Ok(socket)
            }
        }
    }

    pub(crate) fn socket_ref(&self, fd: Fd) -> Outcome<&Socket> {
        match self.descriptors.get(&fd) {
            None => Err(Errno::EBADF.into()),
            Some(Descriptor::Epoll(_)) => Err(Errno::ENOTSOCK.into()),
            Some(Descriptor::Socket(socket)) => Ok(socket),
        }
    }

    /// The stack's connection behind `fd`, if it has one.
    #[must_use]
    pub fn connection_id(&self, fd: Fd) -> Option<ConnId> {
        self.socket_ref(fd).ok()?.id()
    }

    /// The stack's listener behind `fd`, if it is one.
    #[must_use]
    pub fn listener_id(&self, fd: Fd) -> Option<ListenerId> {
        match self.socket_ref(fd).ok()?.role {
            Role::Listening(id) => Some(id),
            _ => None,
        }
    }

    /// The sockets that are open, in the order of their numbers.
    pub fn open_sockets(&self) -> impl Iterator<Item = Fd> {
        let sockets = self.descriptors.iter();
        sockets.filter_map(|(fd, descriptor)| {
            matches!(descriptor, Descriptor::Socket(_)).then_some(*fd)
        })
    }

    /// `socket(2)`, with Linux's numbers ([`crate::constants`]).
    ///
    /// # Errors
    /// EINVAL, EAFNOSUPPORT, EPROTONOSUPPORT, EMFILE; what is not TCP is unsupported by name.
    pub fn socket(&mut self, domain: i32, kind: i32, protocol: i32) -> Outcome<Fd> {
        let domain = match domain {
            AF_INET => Domain::Inet,
            AF_INET6 => Domain::Inet6,
            _ => return Err(Errno::EAFNOSUPPORT.into()),
        };
        let flags = kind & (SOCK_NONBLOCK | SOCK_CLOEXEC);
        match (kind & !flags, protocol) {
            (SOCK_STREAM, IPPROTO_IP | IPPROTO_TCP) => {}
            (SOCK_STREAM, IPPROTO_MPTCP) => return Err(Stop::unsupported("IPPROTO_MPTCP")),
            (SOCK_STREAM, _) => return Err(Errno::EPROTONOSUPPORT.into()),
            (SOCK_DGRAM, _) => return Err(Stop::unsupported("SOCK_DGRAM")),
            (SOCK_RAW, _) => return Err(Stop::unsupported("SOCK_RAW")),
            _ => return Err(Errno::EINVAL.into()),
        }
        let mut socket = Socket::new(domain);
        socket.nonblocking = flags & SOCK_NONBLOCK != 0;
        socket.close_on_exec = flags & SOCK_CLOEXEC != 0;
        self.insert(Descriptor::Socket(Box::new(socket)))
    }

    /// Calls that exist and are not TCP's: `pipe`, `splice`, `sendfile`, `open` and their like fail so, by name.
    ///
    /// # Errors
    /// Always [`Stop::Unsupported`].
    pub fn unsupported<T>(&self, call: &str) -> Outcome<T> {
        Err(Stop::unsupported(call))
    }

    // ---- news ----

    /// Takes the stack's events: call it after each input of the stack and before looking at [`Self::is_over`].
    pub fn settle(&mut self, now: Instant) {
        while let Some(event) = self.stack.poll_event() {
            match event {
                Event::Acceptable(id) => {
                    if let Some(socket) = self.by_listener.get(&id).copied()
                        && let Ok(socket) = self.socket_mut(socket)
                    {
                        socket.edges.readable += 1;
                    }
                }
                Event::Connection(id, wake) => self.wake(now, id, wake),
                // No socket call defers a SYN,ACK.
                Event::Incoming(_) | Event::Cancelled(_) => {}
            }
        }
        let Self {
            stack,
            descriptors,
            waiting_for_room,
            policy,
            ..
        } = self;
        waiting_for_room.retain(|fd| {
            let Some(Descriptor::Socket(socket)) = descriptors.get_mut(fd) else {
                return false;
            };
            let over = socket.send_is_over(stack);
            let waits = !over && !socket.is_writable(stack, policy.not_sent_low);
            if !waits {
                socket.edges.writable += 1;
            }
            socket.no_space = waits;
            waits
        });
    }

    fn wake(&mut self, now: Instant, id: ConnId, wake: Wake) {
        let Some(fd) = self.by_connection.get(&id).copied() else {
            return;
        };
        let personality = self.personality();
        let Ok(socket) = self.socket_mut(fd) else {
            return;
        };
        if wake.intersects(Wake::READABLE | Wake::URGENT | Wake::ENDED) {
            socket.edges.readable += 1;
        }
        // A writer who waits for room is woken by the room itself, in `settle`.
        if wake.intersects(Wake::CONNECTED | Wake::ENDED) {
            socket.edges.writable += 1;
        }
        let deaf = socket.read_shut && personality == Personality::FreeBsd;
        let (mss, corked) = (socket.settings.max_segment, socket.settings.corked);
        if wake.intersects(Wake::CONNECTED) {
            if let Some(mss) = mss {
                self.stack.limit_send_mss(now, id, mss);
            }
            if corked {
                self.stack.set_cork(now, id, true);
            }
        }
        if deaf {
            self.discard(now, id);
        }
    }

    /// Reads what is there and throws it away.
    pub(crate) fn discard(&mut self, now: Instant, id: ConnId) {
        while let Ok(octets) = self.stack.read_chunk(now, id, usize::MAX) {
            if octets.is_empty() {
                return;
            }
        }
    }

    /// Whether a blocked call can go on.
    #[must_use]
    pub fn is_over(&self, wait: &WaitFor) -> bool {
        let Ok(socket) = self.socket_ref(wait.fd) else {
            return match wait.what {
                Wait::Flushed(id) => !self.stack.is_flushing(id),
                // Closed meanwhile, or not one socket: the call itself says what becomes of it.
                _ => true,
            };
        };
        let stack = &self.stack;
        match wait.what {
            Wait::Connected => !socket.is_opening(stack),
            Wait::Acceptable => match socket.role {
                Role::Listening(id) => stack.waiting(id).is_none_or(|(waiting, _)| waiting > 0),
                _ => true,
            },
            Wait::Readable(octets) => {
                socket.readable(stack) >= octets
                    || socket.receive_is_over(stack)
                    || socket.error.is_some()
            }
            Wait::Writable => {
                socket.send_is_over(stack)
                    || socket.error.is_some()
                    || (!socket.is_opening(stack)
                        && socket.is_writable(stack, self.policy.not_sent_low))
            }
            Wait::Flushed(id) => !stack.is_flushing(id),
            Wait::Ready => true,
        }
    }

    /// The result of a call whose time ran out ([`WaitFor::until`]). Who waited for [`Wait::Readable`] reads once more, with
    /// MSG_DONTWAIT, instead: there may be less than it waited for.
    ///
    /// # Errors
    /// EAGAIN, or EINPROGRESS of a `connect`; a call that was done in part succeeds with that part.
    pub fn give_up(&self, wait: &WaitFor) -> Outcome<usize> {
        match wait.what {
            Wait::Connected => Err(Errno::EINPROGRESS.into()),
            Wait::Writable if wait.done > 0 => Ok(wait.done),
            Wait::Acceptable | Wait::Readable(_) | Wait::Writable => Err(Errno::EAGAIN.into()),
            Wait::Flushed(_) | Wait::Ready => Ok(0),
        }
    }

    /// The connection of `fd` to look at: its state, its buffers, what was agreed.
    #[must_use]
    pub fn connection(&self, fd: Fd) -> Option<&Connection> {
        self.socket_ref(fd).ok()?.connection(&self.stack)
    }
}
