//! bind, listen, accept, connect.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use woshou_stack::{ConnId, ListenOptions, ListenerId};
use woshou_tcp::{Ended, Instant};

use crate::address::{Domain, bare, collide};
use crate::constants::{SOCK_CLOEXEC, SOCK_NONBLOCK};
use crate::errno::Errno;
use crate::failure;
use crate::outcome::{Outcome, Stop, Wait, WaitFor};
use crate::personality::Personality;
use crate::socket::{Progress, Role, Socket};
use crate::sockets::{Descriptor, Fd, Sockets};

impl Sockets {
    /// `bind(2)`; `None`: an address that cannot be read.
    ///
    /// # Errors
    /// EBADF, ENOTSOCK, EFAULT, EINVAL (bound already, or an IPv4 address for an IPv6 socket), EAFNOSUPPORT,
    /// EADDRNOTAVAIL, EADDRINUSE.
    pub fn bind(&mut self, fd: Fd, address: Option<SocketAddr>) -> Outcome<()> {
        let socket = self.socket_ref(fd)?;
        let address = address.ok_or(Errno::EFAULT)?;
        check_family(socket, address, Errno::EAFNOSUPPORT)?;
        if socket.bound.is_some() || socket.role != Role::Idle {
            return Err(Errno::EINVAL.into());
        }
        let ip = address.ip();
        if socket.settings.v6_only && ip.to_canonical().is_ipv4() && ip.is_ipv6() {
            return Err(Errno::EADDRNOTAVAIL.into());
        }
        let any = ip.to_canonical().is_unspecified();
        if !any && !self.stack.is_ours(ip) && !socket.settings.free_bind {
            return Err(Errno::EADDRNOTAVAIL.into());
        }
        self.bind_to(fd, address)
    }

    /// Binds `fd`, whose address is sound, choosing a port where none is given.
    fn bind_to(&mut self, fd: Fd, mut address: SocketAddr) -> Outcome<()> {
        if address.port() == 0 {
            let taken: std::collections::BTreeSet<u16> = self.bound_ports().collect();
            let port = self
                .stack
                .choose_port(address.ip(), |port| !taken.contains(&port));
            address.set_port(port.ok_or(Errno::EADDRINUSE)?);
        } else if self.is_taken(fd, address) {
            return Err(Errno::EADDRINUSE.into());
        }
        self.socket_mut(fd)?.bound = Some(address);
        Ok(())
    }

    fn bound_ports(&self) -> impl Iterator<Item = u16> {
        self.sockets()
            .filter_map(|(_, socket)| Some(socket.bound?.port()))
    }

    fn sockets(&self) -> impl Iterator<Item = (Fd, &Socket)> {
        self.descriptors
            .iter()
            .filter_map(|(fd, descriptor)| match descriptor {
                Descriptor::Socket(socket) => Some((*fd, &**socket)),
                Descriptor::Epoll(_) => None,
            })
    }

    /// Whether another socket or connection has `address`. SO_REUSEADDR on both sides shares it, unless the other
    /// listens.
    fn is_taken(&self, fd: Fd, address: SocketAddr) -> bool {
        let Ok(own) = self.socket_ref(fd) else {
            return true;
        };
        let reuse = own.settings.reuse_address;
        let wanted = (bare(address), own.settings.v6_only);
        let by_socket = self.sockets().any(|(other_fd, other)| {
            let shared =
                reuse && other.settings.reuse_address && !matches!(other.role, Role::Listening(_));
            other_fd != fd
                && !shared
                && other
                    .bound_bare()
                    .is_some_and(|bound| collide(wanted, (bound, other.settings.v6_only)))
        });
        // Connections whose sockets are closed, TIME-WAIT among them.
        by_socket
            || (!reuse
                && self
                    .stack
                    .connections()
                    .iter()
                    .any(|(who, _)| collide(wanted, (who.local, false))))
    }

    /// `listen(2)`. A second call changes the backlog.
    ///
    /// # Errors
    /// EBADF, ENOTSOCK, EINVAL (connected), EADDRINUSE.
    pub fn listen(&mut self, fd: Fd, backlog: i32) -> Outcome<()> {
        let personality = self.personality();
        let most = self.policy.most_waiting;
        // A negative backlog is a very large one on Linux, and the largest allowed on FreeBSD.
        let backlog = personality.queue_of(usize::try_from(backlog).unwrap_or(most).min(most));
        match self.socket_mut(fd)?.role {
            Role::Listening(id) => {
                self.stack.set_backlog(id, backlog);
                return Ok(());
            }
            Role::Connection(_) => return Err(Errno::EINVAL.into()),
            Role::Idle => {}
        }
        if self.socket_ref(fd)?.bound.is_none() {
            let any = self.socket_ref(fd)?.domain.unspecified();
            self.bind_to(fd, any)?;
        }
        let id = self.start_listening(fd, backlog)?;
        self.take_on(fd, Role::Listening(id));
        Ok(())
    }

    fn start_listening(&mut self, fd: Fd, backlog: usize) -> Outcome<ListenerId> {
        let personality = self.personality();
        let base = self.stack.tcp_config();
        let socket = self.socket_ref(fd)?;
        let at = socket.bound_bare().ok_or(Errno::EINVAL)?;
        let options = ListenOptions {
            backlog,
            config: socket.settings.config(base, personality),
            v6_only: socket.settings.v6_only,
            ttl: socket.settings.ttl,
            tos: socket.settings.tos_of(at.is_ipv6()),
        };
        let tos_v4 = socket.settings.tos;
        let id = self
            .stack
            .listen_with(at, options)
            .map_err(failure::of_listen)?;
        self.stack.set_listener_tos_v4(id, tos_v4);
        Ok(id)
    }

    /// `accept(2)`: the new descriptor and the peer's address.
    ///
    /// # Errors
    /// EBADF, ENOTSOCK, EINVAL (not listening), EAGAIN or blocked, EMFILE.
    pub fn accept(&mut self, now: Instant, fd: Fd) -> Outcome<(Fd, SocketAddr)> {
        self.accept4(now, fd, 0)
    }

    /// `accept4(2)`: as [`Self::accept`], with SOCK_NONBLOCK and SOCK_CLOEXEC.
    ///
    /// # Errors
    /// As [`Self::accept`]; EINVAL for other flags.
    pub fn accept4(&mut self, now: Instant, fd: Fd, flags: i32) -> Outcome<(Fd, SocketAddr)> {
        if flags & !(SOCK_NONBLOCK | SOCK_CLOEXEC) != 0 {
            return Err(Errno::EINVAL.into());
        }
        let full = self.descriptors.len() >= self.policy.descriptors;
        let personality = self.personality();
        let socket = self.socket_mut(fd)?;
        let Role::Listening(listener) = socket.role else {
            return Err(Errno::EINVAL.into());
        };
        if full {
            return Err(Errno::EMFILE.into());
        }
        let blocked = blocked(socket, fd, Wait::Acceptable);
        let mut child = Socket::new(socket.domain);
        child.settings = socket.settings.clone();
        child.progress = Progress::Connected;
        // O_NONBLOCK is inherited by BSD's children only.
        let inherited = personality == Personality::FreeBsd && socket.nonblocking;
        child.nonblocking = flags & SOCK_NONBLOCK != 0 || inherited;
        child.close_on_exec = flags & SOCK_CLOEXEC != 0;
        let Some(id) = self.next_waiting(now, listener) else {
            return Err(blocked);
        };
        let ends = self.stack.endpoints(id).ok_or(Errno::ECONNABORTED)?;
        child.bound = Some(ends.local);
        let peer = child.domain.shows(ends.remote);
        let (corked, mss) = (child.settings.corked, child.settings.max_segment);
        let new = self.insert(Descriptor::Socket(Box::new(child)))?;
        self.take_on(new, Role::Connection(id));
        if corked {
            self.stack.set_cork(now, id, true);
        }
        if let Some(mss) = mss {
            self.stack.limit_send_mss(now, id, mss);
        }
        Ok((new, peer))
    }

    /// The connection that waited longest. FreeBSD hands out none that was reset meanwhile.
    fn next_waiting(&mut self, now: Instant, listener: ListenerId) -> Option<ConnId> {
        loop {
            let id = self.stack.accept(listener)?;
            let dead = self.stack.ended(id) == Some(Ended::Reset);
            if dead && self.personality() == Personality::FreeBsd {
                self.stack.close(now, id);
                continue;
            }
            return Some(id);
        }
    }

    /// `connect(2)`; `None`: an address that cannot be read. A blocking call that was blocked goes on with
    /// [`Self::finish_connect`].
    ///
    /// # Errors
    /// EBADF, ENOTSOCK, EFAULT, EINVAL, EAFNOSUPPORT, EISCONN, EALREADY, EINPROGRESS, ECONNREFUSED and what else the
    /// network says, ECONNABORTED (the result of a failed attempt was fetched by SO_ERROR), EADDRNOTAVAIL, EADDRINUSE,
    /// ENETUNREACH.
    pub fn connect(&mut self, now: Instant, fd: Fd, to: Option<SocketAddr>) -> Outcome<()> {
        let personality = self.personality();
        let socket = self.socket_mut(fd)?;
        let to = to.ok_or(Errno::EFAULT)?;
        match (socket.role, personality) {
            (Role::Listening(_), Personality::Linux) => return Err(Errno::EISCONN.into()),
            (Role::Listening(_), Personality::FreeBsd) => return Err(Errno::EOPNOTSUPP.into()),
            (Role::Connection(_), Personality::Linux) => return self.connect_again(now, fd),
            (Role::Connection(_), Personality::FreeBsd) => {
                let socket = self.socket_ref(fd)?;
                return Err(if socket.is_opening(&self.stack) {
                    Errno::EALREADY
                } else if socket.has_ended(&self.stack) {
                    Errno::ECONNREFUSED
                } else {
                    Errno::EISCONN
                }
                .into());
            }
            (Role::Idle, _) => {}
        }
        check_family(socket, to, Errno::EAFNOSUPPORT)?;
        self.start(now, fd, to)?;
        let socket = self.socket_mut(fd)?;
        let nonblocking = socket.nonblocking;
        let mut blocked = blocked(socket, fd, Wait::Connected);
        if nonblocking {
            return Err(Errno::EINPROGRESS.into());
        }
        if let Stop::Blocked(wait) = &mut blocked {
            wait.until = self.send_deadline(now, fd);
        }
        Err(blocked)
    }

    /// Opens the connection of an idle socket.
    fn start(&mut self, now: Instant, fd: Fd, to: SocketAddr) -> Outcome<()> {
        let personality = self.personality();
        let base = self.stack.tcp_config();
        let socket = self.socket_ref(fd)?;
        let config = socket.settings.config(base, personality);
        let to = usual_host(bare(to));
        let (ttl, tos) = (socket.settings.ttl, socket.settings.tos_of(to.is_ipv6()));
        if socket.settings.v6_only && to.is_ipv4() {
            return Err(Errno::ENETUNREACH.into());
        }
        // A wildcard of the other family leaves the address open as well.
        let from = socket.bound_bare().map(|bound| match bound.ip() {
            ip if ip.is_unspecified() => SocketAddr::new(any_like(to.ip()), bound.port()),
            _ => bound,
        });
        let id = self
            .stack
            .connect_with(now, to, from, config)
            .map_err(|error| failure::of_connect(personality, error))?;
        if let Some(ttl) = ttl {
            self.stack.set_ttl(id, ttl);
        }
        if let Some(tos) = tos {
            self.stack.set_tos(id, tos);
        }
        self.take_on(fd, Role::Connection(id));
        let local = self.stack.endpoints(id).map(|ends| ends.local);
        let socket = self.socket_mut(fd)?;
        socket.progress = Progress::Connecting;
        if socket.bound.is_none() {
            socket.bound = local;
        }
        Ok(())
    }

    /// A blocked `connect` goes on: the handshake is over.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn finish_connect(&mut self, now: Instant, fd: Fd) -> Outcome<()> {
        self.socket_mut(fd)?;
        self.connect_again(now, fd)
    }

    /// `connect` on a socket that has asked for a connection before (Linux's SS_CONNECTING): the result, once.
    fn connect_again(&mut self, now: Instant, fd: Fd) -> Outcome<()> {
        let personality = self.personality();
        let Self {
            descriptors, stack, ..
        } = self;
        let Some(Descriptor::Socket(socket)) = descriptors.get_mut(&fd) else {
            return Err(Errno::EBADF.into());
        };
        socket.note_end(stack, personality);
        if socket.progress == Progress::Connected {
            return Err(Errno::EISCONN.into());
        }
        if socket.is_opening(stack) {
            let nonblocking = socket.nonblocking;
            let blocked = blocked(socket, fd, Wait::Connected);
            return Err(if nonblocking {
                Errno::EALREADY.into()
            } else {
                blocked
            });
        }
        let connection = stack.state(socket.id().ok_or(Errno::EINVAL)?);
        if connection != woshou_tcp::State::Closed {
            socket.progress = Progress::Connected;
            return Ok(());
        }
        // Failed: the socket is as new, but where its user bound it.
        let errno = socket.error.take().unwrap_or(Errno::ECONNABORTED);
        self.disconnect(now, fd);
        Err(errno.into())
    }

    /// Lets go of the connection or listener of `fd`, which becomes idle.
    pub(crate) fn disconnect(&mut self, now: Instant, fd: Fd) {
        let Ok(socket) = self.socket_mut(fd) else {
            return;
        };
        let role = core::mem::replace(&mut socket.role, Role::Idle);
        socket.progress = Progress::Unconnected;
        (socket.read_shut, socket.write_shut, socket.end_noted) = (false, false, false);
        self.forget(role);
        match role {
            Role::Idle => {}
            Role::Listening(id) => self.stack.close_listener(now, id),
            Role::Connection(id) => self.stack.close(now, id),
        }
    }

    /// When SO_SNDTIMEO ends a call that begins now.
    pub(crate) fn send_deadline(&self, now: Instant, fd: Fd) -> Option<Instant> {
        let timeout = self.socket_ref(fd).ok()?.settings.send_timeout?;
        Some(now + timeout)
    }
}

/// What a call that would wait ends with: EAGAIN, or blocked.
pub(crate) fn blocked(socket: &Socket, fd: Fd, what: Wait) -> Stop {
    if socket.nonblocking {
        return Errno::EAGAIN.into();
    }
    Stop::Blocked(WaitFor {
        fd,
        what,
        done: 0,
        until: None,
    })
}

/// An address of another family than the socket's: too short for an IPv6 socket, and `other` for an IPv4 one.
fn check_family(socket: &Socket, address: SocketAddr, other: Errno) -> Outcome<()> {
    match (socket.domain, address) {
        (Domain::Inet, SocketAddr::V4(_)) | (Domain::Inet6, SocketAddr::V6(_)) => Ok(()),
        (Domain::Inet6, SocketAddr::V4(_)) => Err(Errno::EINVAL.into()),
        (Domain::Inet, SocketAddr::V6(_)) => Err(other.into()),
    }
}

/// Who connects to the unspecified address means this host.
fn usual_host(to: SocketAddr) -> SocketAddr {
    match to.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => {
            SocketAddr::new(Ipv4Addr::LOCALHOST.into(), to.port())
        }
        IpAddr::V6(ip) if ip.is_unspecified() => {
            SocketAddr::new(Ipv6Addr::LOCALHOST.into(), to.port())
        }
        _ => to,
    }
}

fn any_like(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}
