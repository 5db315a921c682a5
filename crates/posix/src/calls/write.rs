//! write, writev, send, sendto, sendmsg.

use std::net::SocketAddr;

use woshou_tcp::Instant;

use super::message::{Buffer, Message};
use super::open::blocked;
use crate::constants::{MSG_DONTWAIT, MSG_FASTOPEN, MSG_MORE, MSG_OOB};
use crate::errno::Errno;
use crate::outcome::{Outcome, Stop, Wait};
use crate::personality::Personality;
use crate::socket::Role;
use crate::sockets::{Descriptor, Fd, Sockets};

impl Sockets {
    /// `write(2)`. A blocked call goes on with [`Self::sendmsg`] and [`Message::done`].
    ///
    /// # Errors
    /// As [`Self::sendmsg`]; EINVAL for a descriptor of `epoll`.
    pub fn write(&mut self, now: Instant, fd: Fd, octets: &[u8]) -> Outcome<usize> {
        self.writev(now, fd, &[Buffer::Octets(octets)])
    }

    /// `writev(2)`.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn writev(&mut self, now: Instant, fd: Fd, pieces: &[Buffer<'_>]) -> Outcome<usize> {
        if let Some(Descriptor::Epoll(_)) = self.descriptors.get(&fd) {
            return Err(Errno::EINVAL.into());
        }
        let message = Message {
            pieces,
            ..Message::default()
        };
        self.sendmsg(now, fd, &message)
    }

    /// `send(2)`.
    ///
    /// # Errors
    /// As [`Self::sendmsg`].
    pub fn send(&mut self, now: Instant, fd: Fd, octets: &[u8], flags: i32) -> Outcome<usize> {
        let message = Message {
            pieces: &[Buffer::Octets(octets)],
            flags,
            ..Message::default()
        };
        self.sendmsg(now, fd, &message)
    }

    /// `sendto(2)`.
    ///
    /// # Errors
    /// As [`Self::sendmsg`].
    pub fn sendto(
        &mut self,
        now: Instant,
        fd: Fd,
        (octets, flags): (&[u8], i32),
        to: Option<SocketAddr>,
    ) -> Outcome<usize> {
        let message = Message {
            pieces: &[Buffer::Octets(octets)],
            flags,
            to,
            ..Message::default()
        };
        self.sendmsg(now, fd, &message)
    }

    /// `sendmsg(2)`. A blocking socket takes everything before the call succeeds, a non-blocking one what there is room for.
    ///
    /// # Errors
    /// EBADF, ENOTSOCK, EFAULT, EAGAIN or blocked, the error of the connection once, EPIPE (never SIGPIPE), ENOTCONN
    /// (FreeBSD); MSG_FASTOPEN is unsupported.
    pub fn sendmsg(&mut self, now: Instant, fd: Fd, message: &Message<'_>) -> Outcome<usize> {
        let socket = self.socket_mut(fd)?;
        let broken = socket.error.is_some() || self.socket_ref(fd)?.send_is_over(&self.stack);
        if message.done > 0 && broken {
            // What was sent before the connection broke counts; the error stays for the next call.
            return Ok(message.done);
        }
        self.check_send(now, fd, message)?;
        let total: usize = message.pieces.iter().map(Buffer::len).sum();
        let done = message.done.min(total);
        let sent = done + self.put(now, fd, (message, done))?;
        self.cork(now, fd, message.flags)?;
        if sent == total {
            return Ok(total);
        }
        let dont_wait = message.flags & MSG_DONTWAIT != 0;
        self.waits_for_room(fd);
        let socket = self.socket_mut(fd)?;
        if socket.nonblocking || dont_wait {
            return if sent > 0 {
                Ok(sent)
            } else {
                Err(Errno::EAGAIN.into())
            };
        }
        let mut stop = blocked(socket, fd, Wait::Writable);
        if let Stop::Blocked(wait) = &mut stop {
            wait.done = sent;
            wait.until = self.send_deadline(now, fd);
        }
        Err(stop)
    }

    /// Whether anything may be sent at all.
    fn check_send(&mut self, now: Instant, fd: Fd, message: &Message<'_>) -> Outcome<()> {
        let personality = self.personality();
        self.socket_mut(fd)?;
        if message.flags & MSG_FASTOPEN != 0 {
            return Err(Stop::unsupported("MSG_FASTOPEN"));
        }
        let deadline = self.send_deadline(now, fd);
        let Self {
            descriptors, stack, ..
        } = self;
        let Some(Descriptor::Socket(socket)) = descriptors.get_mut(&fd) else {
            return Err(Errno::EBADF.into());
        };
        let freebsd = personality == Personality::FreeBsd;
        let over = socket.send_is_over(stack);
        if freebsd && over {
            return Err(Errno::EPIPE.into());
        }
        if let Some(errno) = socket.error.take() {
            return Err(errno.into());
        }
        if over {
            return Err(Errno::EPIPE.into());
        }
        if !matches!(socket.role, Role::Connection(_)) {
            return Err(match (freebsd, message.to, socket.role) {
                (false, ..) => Errno::EPIPE.into(),
                (true, Some(_), Role::Idle) => Stop::unsupported("sendto that connects"),
                (true, ..) => Errno::ENOTCONN.into(),
            });
        }
        if socket.is_opening(stack) {
            if message.flags & MSG_DONTWAIT != 0 {
                return Err(Errno::EAGAIN.into());
            }
            let mut stop = blocked(socket, fd, Wait::Writable);
            if let Stop::Blocked(wait) = &mut stop {
                wait.until = deadline;
            }
            return Err(stop);
        }
        if message
            .pieces
            .iter()
            .any(|piece| matches!(piece, Buffer::Invalid(1..)))
        {
            return Err(Errno::EFAULT.into());
        }
        Ok(())
    }

    /// Hands the stack what it takes of the pieces after the first `done` octets.
    fn put(
        &mut self,
        now: Instant,
        fd: Fd,
        (message, done): (&Message<'_>, usize),
    ) -> Outcome<usize> {
        let low = self.policy.not_sent_low;
        let id = self.connection_id(fd).ok_or(Errno::EPIPE)?;
        if message.flags & MSG_MORE != 0 {
            self.stack.set_cork(now, id, true);
        }
        let mut skip = done;
        let mut sent = 0;
        for piece in message.pieces {
            let Buffer::Octets(octets) = piece else {
                continue;
            };
            let mut rest = octets.get(skip.min(octets.len())..).unwrap_or_default();
            skip = skip.saturating_sub(octets.len());
            while !rest.is_empty() {
                let room = self.socket_ref(fd)?.room(&self.stack, low);
                let (part, _) = rest.split_at(rest.len().min(room));
                if part.is_empty() {
                    return Ok(sent);
                }
                let taken = if message.flags & MSG_OOB != 0 {
                    self.stack.write_urgent(now, id, part)
                } else {
                    self.stack.write(now, id, part)
                };
                let Ok(taken) = taken else {
                    return Ok(sent);
                };
                sent += taken;
                rest = rest.get(taken..).unwrap_or_default();
            }
        }
        Ok(sent)
    }

    /// Without MSG_MORE, the cork of an earlier MSG_MORE comes out; TCP_CORK's stays.
    fn cork(&mut self, now: Instant, fd: Fd, flags: i32) -> Outcome<()> {
        let socket = self.socket_ref(fd)?;
        let wanted = socket.settings.corked || flags & MSG_MORE != 0;
        let is = self
            .connection(fd)
            .is_some_and(woshou_tcp::Connection::corked);
        if let Some(id) = self.connection_id(fd).filter(|_| is != wanted) {
            self.stack.set_cork(now, id, wanted);
        }
        Ok(())
    }

    /// Somebody waits for room: `settle` looks for it.
    pub(crate) fn waits_for_room(&mut self, fd: Fd) {
        if let Ok(socket) = self.socket_mut(fd) {
            socket.no_space = true;
            self.waiting_for_room.insert(fd);
        }
    }
}
