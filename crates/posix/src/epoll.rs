//! epoll: level- and edge-triggered.

use std::collections::BTreeMap;
use std::time::Duration;

use woshou_tcp::Instant;

use crate::constants::{
    EPOLL_CLOEXEC, EPOLLERR, EPOLLET, EPOLLEXCLUSIVE, EPOLLHUP, EPOLLIN, EPOLLONESHOT, EPOLLOUT,
    EPOLLPRI, EPOLLRDHUP, EPOLLRDNORM, EPOLLWAKEUP, EPOLLWRNORM,
};
use crate::errno::Errno;
use crate::outcome::{Outcome, Stop};
use crate::poll::blocked_on_all;
use crate::socket::Edges;
use crate::sockets::{Descriptor, Fd, Sockets};

/// A `struct epoll_event`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EpollEvent {
    /// EPOLL*.
    pub events: i32,
    /// The caller's, handed back.
    pub data: u64,
}

/// What `epoll_ctl` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// EPOLL_CTL_ADD; `None`: an address that cannot be read.
    Add(Option<EpollEvent>),
    /// EPOLL_CTL_MOD.
    Modify(Option<EpollEvent>),
    /// EPOLL_CTL_DEL.
    Delete,
}

/// A descriptor that is watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    interest: i32,
    data: u64,
    /// EPOLLONESHOT has not told it yet.
    armed: bool,
    /// The news that was told already; `None`: nothing yet, or changed since.
    told: Option<Edges>,
}

impl Item {
    /// Whether there is something to tell, of what the socket is ready for and the news of it.
    pub(crate) fn asks(&self, readiness: &i32, edges: Edges) -> bool {
        if !self.armed || self.events(*readiness) == 0 {
            return false;
        }
        let Some(told) = self.told.filter(|_| self.interest & EPOLLET != 0) else {
            return true;
        };
        // The news must be of a kind that is asked for; errors always are, and count as either.
        let readable = self.interest & (EPOLLIN | EPOLLRDNORM | EPOLLRDHUP | EPOLLPRI) != 0;
        let writable = self.interest & (EPOLLOUT | EPOLLWRNORM) != 0;
        (readable && edges.readable != told.readable)
            || (writable && edges.writable != told.writable)
            || (*readiness & (EPOLLERR | EPOLLHUP) != 0 && edges != told)
    }

    const fn events(&self, readiness: i32) -> i32 {
        readiness & (self.interest | EPOLLERR | EPOLLHUP)
    }
}

/// A descriptor of epoll.
#[derive(Debug, Default)]
pub(crate) struct Epoll {
    items: BTreeMap<Fd, Item>,
    /// The one told last: the next call begins after it, so that none is starved.
    last: Fd,
}

impl Epoll {
    pub(crate) fn forget(&mut self, fd: Fd) {
        self.items.remove(&fd);
    }

    pub(crate) fn watched(&self) -> impl Iterator<Item = (Fd, &Item)> {
        self.items.iter().map(|(fd, item)| (*fd, item))
    }
}

impl Sockets {
    /// `epoll_create(2)`.
    ///
    /// # Errors
    /// EINVAL where `size` is not positive; EMFILE.
    pub fn epoll_create(&mut self, size: i32) -> Outcome<Fd> {
        if size <= 0 {
            return Err(Errno::EINVAL.into());
        }
        self.insert(Descriptor::Epoll(Epoll::default()))
    }

    /// `epoll_create1(2)` with 0 or EPOLL_CLOEXEC.
    ///
    /// # Errors
    /// EINVAL, EMFILE.
    pub fn epoll_create1(&mut self, flags: i32) -> Outcome<Fd> {
        if flags & !EPOLL_CLOEXEC != 0 {
            return Err(Errno::EINVAL.into());
        }
        self.epoll_create(1)
    }

    /// `epoll_ctl(2)`.
    ///
    /// # Errors
    /// EBADF, EINVAL (no epoll, or itself), EFAULT, EEXIST, ENOENT. A descriptor of epoll inside another is unsupported.
    pub fn epoll_ctl(&mut self, epoll: Fd, control: Control, fd: Fd) -> Outcome<()> {
        let event = match control {
            Control::Add(event) | Control::Modify(event) => Some(event.ok_or(Errno::EFAULT)?),
            Control::Delete => None,
        };
        let (own, other) = (self.descriptors.get(&epoll), self.descriptors.get(&fd));
        match (own.ok_or(Errno::EBADF)?, other.ok_or(Errno::EBADF)?) {
            (Descriptor::Socket(_), _) => return Err(Errno::EINVAL.into()),
            _ if epoll == fd => return Err(Errno::EINVAL.into()),
            (_, Descriptor::Epoll(_)) => return Err(Stop::unsupported("epoll within epoll")),
            _ => {}
        }
        let Some(Descriptor::Epoll(own)) = self.descriptors.get_mut(&epoll) else {
            return Err(Errno::EBADF.into());
        };
        let known = own.items.contains_key(&fd);
        match (control, event) {
            (Control::Add(_), _) if known => return Err(Errno::EEXIST.into()),
            (Control::Modify(_) | Control::Delete, _) if !known => return Err(Errno::ENOENT.into()),
            (Control::Modify(_), Some(event)) if event.events & EPOLLEXCLUSIVE != 0 => {
                return Err(Errno::EINVAL.into());
            }
            (_, Some(event)) => {
                let item = Item {
                    interest: event.events & !(EPOLLEXCLUSIVE | EPOLLWAKEUP),
                    data: event.data,
                    armed: true,
                    told: None,
                };
                own.items.insert(fd, item);
                if event.events & EPOLLOUT != 0 {
                    self.waits_for_room_if_full(fd);
                }
            }
            (_, None) => {
                own.items.remove(&fd);
            }
        }
        Ok(())
    }

    /// `epoll_wait(2)`: at most `most` descriptors that are ready. `timeout`: `None` waits for ever, zero not at all.
    ///
    /// # Errors
    /// EBADF, EINVAL (no epoll, or `most` not positive); blocked, as [`Self::poll`].
    pub fn epoll_wait(
        &mut self,
        now: Instant,
        epoll: Fd,
        most: i32,
        timeout: Option<Duration>,
    ) -> Outcome<Vec<EpollEvent>> {
        self.settle(now);
        let most = usize::try_from(most).ok().filter(|most| *most > 0);
        let own = match self.descriptors.get(&epoll).ok_or(Errno::EBADF)? {
            Descriptor::Epoll(own) => own,
            Descriptor::Socket(_) => return Err(Errno::EINVAL.into()),
        };
        let most = most.ok_or(Errno::EINVAL)?;
        let after = own.items.range(own.last.saturating_add(1)..);
        let before = own.items.range(..=own.last);
        let ready: Vec<(Fd, Item, i32)> = after
            .chain(before)
            .map(|(fd, item)| (*fd, *item, self.readiness_of_socket(*fd)))
            .filter(|(fd, item, readiness)| item.asks(readiness, self.edges(*fd)))
            .take(most)
            .collect();
        if ready.is_empty() {
            return match timeout {
                Some(Duration::ZERO) => Ok(Vec::new()),
                _ => Err(blocked_on_all(now, timeout)),
            };
        }
        let events = ready.iter().map(|(_, item, readiness)| EpollEvent {
            events: item.events(*readiness),
            data: item.data,
        });
        let events = events.collect();
        for (fd, item, _) in ready {
            self.tell(epoll, fd, item);
        }
        Ok(events)
    }

    /// Notes what was told of `fd`.
    fn tell(&mut self, epoll: Fd, fd: Fd, mut item: Item) {
        item.told = Some(self.edges(fd));
        item.armed = item.interest & EPOLLONESHOT == 0;
        if item.interest & EPOLLOUT != 0 {
            self.waits_for_room_if_full(fd);
        }
        if let Some(Descriptor::Epoll(own)) = self.descriptors.get_mut(&epoll) {
            own.last = fd;
            own.items.insert(fd, item);
        }
    }

    /// Asking for room where there is none is to wait for it.
    fn waits_for_room_if_full(&mut self, fd: Fd) {
        if self.readiness_of_socket(fd) & EPOLLOUT == 0 {
            self.waits_for_room(fd);
        }
    }

    pub(crate) fn edges(&self, fd: Fd) -> Edges {
        self.socket_ref(fd)
            .map_or_else(|_| Edges::default(), |socket| socket.edges)
    }
}
