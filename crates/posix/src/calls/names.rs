//! getsockname, getpeername, fcntl, ioctl.

use std::net::SocketAddr;

use woshou_tcp::{Connection, State};

use crate::constants::{FD_CLOEXEC, O_NONBLOCK, O_RDWR};
use crate::errno::Errno;
use crate::outcome::Outcome;
use crate::socket::Role;
use crate::sockets::{Descriptor, Fd, Sockets};

/// What `fcntl` is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fcntl {
    /// F_GETFL: O_RDWR, and O_NONBLOCK where it is set.
    GetFlags,
    /// F_SETFL: O_NONBLOCK of these flags; the others of a socket are fixed.
    SetFlags(i32),
    /// F_GETFD.
    GetDescriptor,
    /// F_SETFD.
    SetDescriptor(i32),
}

/// What `ioctl` is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ioctl {
    /// SIOCINQ, FIONREAD: octets to read.
    InQueue,
    /// SIOCOUTQ, TIOCOUTQ: octets that the peer has not acknowledged, a FIN counting as one.
    OutQueue,
    /// SIOCOUTQNSD: octets not sent yet.
    NotSent,
    /// SIOCATMARK: whether reading has reached the mark of urgent text, 1 or 0.
    AtMark,
    /// FIONBIO.
    NonBlocking(bool),
}

impl Sockets {
    /// `getsockname(2)`; the unspecified address before `bind` and `connect`.
    ///
    /// # Errors
    /// EBADF, ENOTSOCK.
    pub fn getsockname(&self, fd: Fd) -> Outcome<SocketAddr> {
        Ok(self.socket_ref(fd)?.local(&self.stack))
    }

    /// `getpeername(2)`.
    ///
    /// # Errors
    /// EBADF, ENOTSOCK, ENOTCONN (not yet, or no more).
    pub fn getpeername(&self, fd: Fd) -> Outcome<SocketAddr> {
        let socket = self.socket_ref(fd)?;
        let connected = !matches!(
            socket.state(&self.stack),
            State::Closed | State::Listen | State::SynSent
        );
        let ends = socket
            .id()
            .filter(|_| connected)
            .and_then(|id| self.stack.endpoints(id));
        let ends = ends.ok_or(Errno::ENOTCONN)?;
        Ok(socket.domain.shows(ends.remote))
    }

    /// `fcntl(2)`.
    ///
    /// # Errors
    /// EBADF; EINVAL for what a descriptor of `epoll` has not.
    pub fn fcntl(&mut self, fd: Fd, what: Fcntl) -> Outcome<i32> {
        let socket = match self.descriptors.get_mut(&fd).ok_or(Errno::EBADF)? {
            Descriptor::Socket(socket) => socket,
            Descriptor::Epoll(_) => return Err(Errno::EINVAL.into()),
        };
        let flag = |on: bool, bit: i32| if on { bit } else { 0 };
        match what {
            Fcntl::GetFlags => Ok(O_RDWR | flag(socket.nonblocking, O_NONBLOCK)),
            Fcntl::SetFlags(flags) => {
                socket.nonblocking = flags & O_NONBLOCK != 0;
                Ok(0)
            }
            Fcntl::GetDescriptor => Ok(flag(socket.close_on_exec, FD_CLOEXEC)),
            Fcntl::SetDescriptor(flags) => {
                socket.close_on_exec = flags & FD_CLOEXEC != 0;
                Ok(0)
            }
        }
    }

    /// `ioctl(2)`: the value that it stores.
    ///
    /// # Errors
    /// EBADF; EINVAL on a listening socket; ENOTTY for a descriptor of `epoll`.
    pub fn ioctl(&mut self, fd: Fd, what: Ioctl) -> Outcome<i32> {
        if let Some(Descriptor::Epoll(_)) = self.descriptors.get(&fd) {
            return Err(Errno::ENOTTY.into());
        }
        if let Ioctl::NonBlocking(on) = what {
            self.socket_mut(fd)?.nonblocking = on;
            return Ok(0);
        }
        let socket = self.socket_ref(fd)?;
        if what == Ioctl::AtMark {
            return Ok(i32::from(socket.is_at_mark()));
        }
        if matches!(socket.role, Role::Listening(_)) {
            return Err(Errno::EINVAL.into());
        }
        let state = socket.state(&self.stack);
        if matches!(state, State::SynSent | State::SynReceived) {
            return Ok(0);
        }
        let of = |figure: fn(&Connection) -> usize| self.connection(fd).map_or(0, figure);
        let octets = match what {
            Ioctl::InQueue => socket.in_queue(&self.stack, self.personality()),
            Ioctl::NotSent => of(Connection::unsent),
            _ => {
                let fin = matches!(state, State::FinWait1 | State::Closing | State::LastAck);
                of(Connection::unacknowledged) + usize::from(fin)
            }
        };
        Ok(i32::try_from(octets).unwrap_or(i32::MAX))
    }
}
