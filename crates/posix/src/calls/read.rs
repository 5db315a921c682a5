//! read, readv, recv, recvfrom, recvmsg.

use std::net::SocketAddr;

use woshou_tcp::Instant;

use super::message::{BufferMut, Received};
use super::open::blocked;
use crate::constants::{MSG_DONTWAIT, MSG_ERRQUEUE, MSG_OOB, MSG_PEEK, MSG_TRUNC};
use crate::errno::Errno;
use crate::outcome::{Outcome, Stop, Wait};
use crate::personality::Personality;
use crate::socket::Role;
use crate::sockets::{Descriptor, Fd, Sockets};

impl Sockets {
    /// `read(2)`.
    ///
    /// # Errors
    /// As [`Self::recvmsg`]; EINVAL for a descriptor of `epoll`.
    pub fn read(&mut self, now: Instant, fd: Fd, into: &mut [u8]) -> Outcome<usize> {
        self.readv(now, fd, &mut [BufferMut::Octets(into)])
    }

    /// `readv(2)`.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn readv(&mut self, now: Instant, fd: Fd, into: &mut [BufferMut<'_>]) -> Outcome<usize> {
        if let Some(Descriptor::Epoll(_)) = self.descriptors.get(&fd) {
            return Err(Errno::EINVAL.into());
        }
        if into.iter().map(BufferMut::len).all(|len| len == 0) && self.socket_ref(fd).is_ok() {
            // read(2) of nothing never reaches the socket (Linux's sock_read_iter).
            return Ok(0);
        }
        Ok(self.recvmsg(now, fd, into, 0)?.octets)
    }

    /// `recv(2)`.
    ///
    /// # Errors
    /// As [`Self::recvmsg`].
    pub fn recv(&mut self, now: Instant, fd: Fd, into: &mut [u8], flags: i32) -> Outcome<usize> {
        let received = self.recvmsg(now, fd, &mut [BufferMut::Octets(into)], flags)?;
        Ok(received.octets)
    }

    /// `recvfrom(2)`: TCP tells no sender, so the address is always `None`.
    ///
    /// # Errors
    /// As [`Self::recvmsg`].
    pub fn recvfrom(
        &mut self,
        now: Instant,
        fd: Fd,
        into: &mut [u8],
        flags: i32,
    ) -> Outcome<(usize, Option<SocketAddr>)> {
        Ok((self.recv(now, fd, into, flags)?, None))
    }

    /// `recvmsg(2)`. Zero octets are the end of the peer's text. MSG_WAITALL is the caller's to see to: it reads again while
    /// something is missing.
    ///
    /// # Errors
    /// EBADF, ENOTSOCK, ENOTCONN, EFAULT, EAGAIN or blocked, the error of the connection once (ECONNRESET, ETIMEDOUT, …);
    /// with MSG_OOB EINVAL where there is no urgent octet.
    pub fn recvmsg(
        &mut self,
        now: Instant,
        fd: Fd,
        into: &mut [BufferMut<'_>],
        flags: i32,
    ) -> Outcome<Received> {
        let role = self.socket_mut(fd)?.role;
        if flags & MSG_ERRQUEUE != 0 {
            return Err(Errno::EAGAIN.into());
        }
        if matches!(role, Role::Listening(_)) {
            return Err(Errno::ENOTCONN.into());
        }
        if flags & MSG_OOB != 0 {
            return self.receive_urgent(fd, into, flags);
        }
        let wanted: usize = into.iter().map(BufferMut::len).sum();
        if wanted == 0 {
            return Ok(Received::default());
        }
        let readable = self.socket_ref(fd)?.readable(&self.stack);
        if readable == 0 {
            if flags & MSG_PEEK == 0 {
                self.pass_urgent(now, fd);
            }
            return self.nothing_to_read(now, fd, (wanted, flags));
        }
        let socket = self.socket_ref(fd)?;
        let least = socket.settings.low_water().min(wanted);
        let waits = !socket.nonblocking && flags & MSG_DONTWAIT == 0;
        if readable < least && waits && !socket.receive_is_over(&self.stack) {
            return Err(self.wait_to_read(now, fd, least, flags));
        }
        let octets = self.take(now, fd, into, flags)?;
        let socket = self.socket_ref(fd)?;
        let left = socket.readable(&self.stack);
        let inq = socket
            .settings
            .tells_inq
            .then(|| u32::try_from(left).unwrap_or(u32::MAX));
        Ok(Received {
            octets,
            flags: 0,
            inq,
        })
    }

    /// The end, an error, or a wait: in Linux's order.
    fn nothing_to_read(
        &mut self,
        now: Instant,
        fd: Fd,
        (wanted, flags): (usize, i32),
    ) -> Outcome<Received> {
        let personality = self.personality();
        let Self {
            descriptors, stack, ..
        } = self;
        let Some(Descriptor::Socket(socket)) = descriptors.get_mut(&fd) else {
            return Err(Errno::EBADF.into());
        };
        let finished = socket.peer_finished(stack);
        if finished && personality == Personality::Linux {
            return Ok(Received::default());
        }
        let errno = if flags & MSG_PEEK != 0 && personality == Personality::FreeBsd {
            socket.error
        } else {
            socket.error.take()
        };
        if let Some(errno) = errno {
            return Err(errno.into());
        }
        if socket.receive_is_over(stack) {
            return Ok(Received::default());
        }
        if socket.role == Role::Idle {
            return Err(Errno::ENOTCONN.into());
        }
        let least = socket.settings.low_water().min(wanted);
        Err(self.wait_to_read(now, fd, least, flags))
    }

    fn wait_to_read(&self, now: Instant, fd: Fd, least: usize, flags: i32) -> Stop {
        let Ok(socket) = self.socket_ref(fd) else {
            return Errno::EBADF.into();
        };
        if flags & MSG_DONTWAIT != 0 {
            return Errno::EAGAIN.into();
        }
        let mut stop = blocked(socket, fd, Wait::Readable(least));
        if let Stop::Blocked(wait) = &mut stop {
            wait.until = socket.settings.receive_timeout.map(|timeout| now + timeout);
        }
        stop
    }

    /// Moves text that is there into the caller's memory, or away.
    fn take(
        &mut self,
        now: Instant,
        fd: Fd,
        into: &mut [BufferMut<'_>],
        flags: i32,
    ) -> Outcome<usize> {
        let socket = self.socket_ref(fd)?;
        let id = socket.id().ok_or(Errno::ENOTCONN)?;
        let mut readable = socket.readable(&self.stack);
        let (peek, throw_away) = (flags & MSG_PEEK != 0, flags & MSG_TRUNC != 0);
        let wanted: usize = into.iter().map(BufferMut::len).sum();
        if throw_away {
            let octets = wanted.min(readable);
            return Ok(if peek {
                octets
            } else {
                self.skip(now, fd, octets)
            });
        }
        if peek {
            let most = self.stretch(now, fd, false).unwrap_or(0);
            return self.peek(fd, into, most);
        }
        let mut total = 0;
        for piece in into {
            if readable == 0 {
                break;
            }
            let mut rest: &mut [u8] = match piece {
                BufferMut::Octets(octets) => octets,
                BufferMut::Invalid(0) => continue,
                BufferMut::Invalid(_) if total > 0 => break,
                BufferMut::Invalid(_) => return Err(Errno::EFAULT.into()),
            };
            while readable > 0 && !rest.is_empty() {
                let Some(most) = self.stretch(now, fd, total > 0) else {
                    return Ok(total);
                };
                let (part, _) = rest.split_at_mut(rest.len().min(most));
                let Ok(read @ 1..) = self.stack.read(now, id, part) else {
                    return Ok(total);
                };
                self.socket_mut(fd)?.urgent.advance(read);
                total += read;
                readable = readable.saturating_sub(read);
                rest = rest.split_at_mut(read).1;
            }
        }
        Ok(total)
    }

    /// The first octets, left where they are, across the pieces.
    fn peek(&self, fd: Fd, into: &mut [BufferMut<'_>], most: usize) -> Outcome<usize> {
        let socket = self.socket_ref(fd)?;
        let id = socket.id().ok_or(Errno::ENOTCONN)?;
        let wanted: usize = into.iter().map(BufferMut::len).sum();
        let mut text = vec![0; wanted.min(socket.readable(&self.stack)).min(most)];
        let octets = self.stack.peek(id, &mut text).unwrap_or(0);
        let mut rest = text.get(..octets).unwrap_or_default();
        for piece in into {
            let (now, later) = rest.split_at(rest.len().min(piece.len()));
            match piece {
                _ if now.is_empty() => continue,
                BufferMut::Octets(piece) => {
                    if let Some(piece) = piece.get_mut(..now.len()) {
                        piece.copy_from_slice(now);
                    }
                }
                BufferMut::Invalid(_) if rest.len() < octets => return Ok(octets - rest.len()),
                BufferMut::Invalid(_) => return Err(Errno::EFAULT.into()),
            }
            rest = later;
        }
        Ok(octets)
    }

    /// Throws `octets` away that are there.
    fn skip(&mut self, now: Instant, fd: Fd, octets: usize) -> usize {
        let Some(id) = self.connection_id(fd) else {
            return 0;
        };
        let mut left = octets;
        while left > 0 {
            let Some(most) = self.stretch(now, fd, left < octets) else {
                break;
            };
            match self.stack.read_chunk(now, id, left.min(most)) {
                Ok(chunk) if !chunk.is_empty() => {
                    left -= chunk.len();
                    if let Ok(socket) = self.socket_mut(fd) {
                        socket.urgent.advance(chunk.len());
                    }
                }
                _ => break,
            }
        }
        octets - left
    }
}
