//! shutdown, close.

use std::time::Duration;

use woshou_tcp::{Instant, State};

use crate::constants::{SHUT_RD, SHUT_RDWR, SHUT_WR};
use crate::errno::Errno;
use crate::outcome::{Outcome, Stop, Wait, WaitFor};
use crate::personality::Personality;
use crate::socket::{Role, Socket};
use crate::sockets::{Descriptor, Fd, Sockets};

impl Sockets {
    /// `shutdown(2)` with SHUT_RD, SHUT_WR or SHUT_RDWR.
    ///
    /// # Errors
    /// EBADF, ENOTSOCK, EINVAL (`how`), ENOTCONN.
    pub fn shutdown(&mut self, now: Instant, fd: Fd, how: i32) -> Outcome<()> {
        let personality = self.personality();
        self.socket_mut(fd)?;
        let (read, write) = match how {
            SHUT_RD => (true, false),
            SHUT_WR => (false, true),
            SHUT_RDWR => (true, true),
            _ => return Err(Errno::EINVAL.into()),
        };
        let socket = self.socket_ref(fd)?;
        let state = socket.state(&self.stack);
        match (socket.role, personality) {
            // Linux: listening ends with the reading side, and the attempt with either.
            (Role::Listening(_), Personality::Linux) => {
                if read {
                    self.disconnect(now, fd);
                }
                return Ok(());
            }
            (Role::Listening(_), Personality::FreeBsd) => return Err(Errno::ENOTCONN.into()),
            (Role::Connection(_), Personality::Linux) if state == State::SynSent => {
                self.disconnect(now, fd);
                self.socket_mut(fd)?.error = Some(Errno::ECONNRESET);
                return Ok(());
            }
            _ => {}
        }
        let closed = state == State::Closed;
        let socket = self.socket_mut(fd)?;
        if !closed || personality == Personality::Linux {
            // Linux remembers it, even for a connection to come.
            socket.read_shut |= read;
            socket.write_shut |= write;
        }
        let id = socket.id().filter(|_| !closed).ok_or(Errno::ENOTCONN)?;
        match personality {
            Personality::FreeBsd if read => self.discard(now, id),
            // Text that comes after our FIN is refused then.
            Personality::Linux if read => self.stack.refuse_text_after_close(id),
            _ => {}
        }
        if write {
            self.stack.shutdown(now, id);
        }
        Ok(())
    }

    /// `close(2)`. The descriptor is gone, whatever this returns; with SO_LINGER it may be blocked until everything is
    /// acknowledged, and then returns 0.
    ///
    /// # Errors
    /// EBADF, or blocked.
    pub fn close(&mut self, now: Instant, fd: Fd) -> Outcome<()> {
        let removed = self.remove(fd).ok_or(Errno::EBADF)?;
        let Descriptor::Socket(socket) = removed else {
            return Ok(());
        };
        match socket.role {
            Role::Idle => Ok(()),
            Role::Listening(id) => {
                self.stack.close_listener(now, id);
                Ok(())
            }
            Role::Connection(_) => self.close_connection(now, fd, &socket),
        }
    }

    fn close_connection(&mut self, now: Instant, fd: Fd, socket: &Socket) -> Outcome<()> {
        let Some(id) = socket.id() else {
            return Ok(());
        };
        let freebsd = self.personality() == Personality::FreeBsd;
        if socket.settings.linger == Some(0) {
            self.stack.abort(now, id);
        } else if freebsd {
            // Text that nobody read is no reason for a RST there.
            self.discard(now, id);
        }
        self.stack.close(now, id);
        let lingers = socket.settings.linger.filter(|seconds| *seconds > 0);
        // Linux lingers on non-blocking sockets too.
        let Some(seconds) = lingers.filter(|_| !(freebsd && socket.nonblocking)) else {
            return Ok(());
        };
        if !self.stack.is_flushing(id) {
            return Ok(());
        }
        Err(Stop::Blocked(WaitFor {
            fd,
            what: Wait::Flushed(id),
            done: 0,
            until: Some(now + Duration::from_secs(u64::from(seconds))),
        }))
    }
}
