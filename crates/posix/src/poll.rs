//! poll: what a descriptor is ready for.

use std::time::Duration;

use woshou_tcp::{Instant, State};

use crate::constants::{
    POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLPRI, POLLRDHUP, POLLRDNORM, POLLWRNORM,
};
use crate::outcome::{Outcome, Stop, Wait, WaitFor};
use crate::personality::Personality;
use crate::socket::{Role, Socket};
use crate::sockets::{Descriptor, Fd, Sockets};

/// A `struct pollfd`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PollFd {
    /// Which; negative ones are passed over.
    pub fd: Fd,
    /// What is asked for: POLL*.
    pub events: i32,
    /// What it is ready for; errors and hang-ups unasked.
    pub revents: i32,
}

impl Sockets {
    /// `poll(2)`: how many are ready, their `revents` filled in. `timeout`: `None` waits for ever, zero not at all.
    ///
    /// # Errors
    /// Blocked, where none is ready yet: call again whenever anything happened, and after `until` with a timeout of zero.
    pub fn poll(
        &mut self,
        now: Instant,
        fds: &mut [PollFd],
        timeout: Option<Duration>,
    ) -> Outcome<usize> {
        self.settle(now);
        let mut ready = 0;
        for entry in fds.iter_mut() {
            entry.revents = 0;
            if entry.fd < 0 {
                continue;
            }
            let asked = entry.events | POLLERR | POLLHUP | POLLNVAL;
            entry.revents = self.readiness(entry.fd) & asked;
            if entry.revents != 0 {
                ready += 1;
            } else if entry.events & POLLOUT != 0 {
                self.waits_for_room(entry.fd);
            }
        }
        if ready > 0 || timeout == Some(Duration::ZERO) {
            return Ok(ready);
        }
        Err(blocked_on_all(now, timeout))
    }

    /// What `fd` is ready for, as of the last [`Self::settle`]: POLL* (which EPOLL* equal).
    #[must_use]
    pub fn readiness(&self, fd: Fd) -> i32 {
        match self.descriptors.get(&fd) {
            None => POLLNVAL,
            Some(Descriptor::Epoll(epoll)) => {
                let ready = epoll
                    .watched()
                    .any(|(fd, item)| item.asks(&self.readiness_of_socket(fd), self.edges(fd)));
                if ready { POLLIN | POLLRDNORM } else { 0 }
            }
            Some(Descriptor::Socket(_)) => self.readiness_of_socket(fd),
        }
    }

    pub(crate) fn readiness_of_socket(&self, fd: Fd) -> i32 {
        let Ok(socket) = self.socket_ref(fd) else {
            return 0;
        };
        if let Role::Listening(id) = socket.role {
            let waits = self
                .stack
                .waiting(id)
                .is_some_and(|(waiting, _)| waiting > 0);
            return if waits { POLLIN | POLLRDNORM } else { 0 };
        }
        let hup = self.hangs_up(socket);
        let error = if socket.error.is_some() { POLLERR } else { 0 };
        self.directions(socket) | hup | error
    }

    fn hangs_up(&self, socket: &Socket) -> i32 {
        let both = socket.receive_is_over(&self.stack) && socket.send_is_over(&self.stack);
        // On Linux, a socket that was never connected hangs up as well.
        let never = socket.role == Role::Idle && self.personality() == Personality::Linux;
        if both || never { POLLHUP } else { 0 }
    }

    fn directions(&self, socket: &Socket) -> i32 {
        let stack = &self.stack;
        let mut ready = 0;
        if socket.receive_is_over(stack) {
            ready |= POLLIN | POLLRDNORM | POLLRDHUP;
        }
        if matches!(socket.state(stack), State::SynSent | State::SynReceived) {
            return ready;
        }
        if socket.readable(stack) >= socket.settings.low_water() {
            ready |= POLLIN | POLLRDNORM;
        }
        if socket.has_urgent(stack, self.personality()) {
            ready |= POLLPRI;
        }
        if socket.send_is_over(stack) || socket.is_writable(stack, self.policy.not_sent_low) {
            ready |= POLLOUT | POLLWRNORM;
        }
        ready
    }
}

/// Nothing is ready, and the caller wants to wait.
pub(crate) fn blocked_on_all(now: Instant, timeout: Option<Duration>) -> Stop {
    Stop::Blocked(WaitFor {
        fd: -1,
        what: Wait::Ready,
        done: 0,
        until: timeout.map(|timeout| now + timeout),
    })
}
