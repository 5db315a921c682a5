//! Making a call, and making it again.

use std::net::SocketAddr;
use std::time::Duration;

use woshou_posix::{
    Buffer, BufferMut, EpollEvent, Errno, Fd, Message, Outcome, PollFd, Received, Sockets, Stop,
    Value, WaitFor, constants as c,
};
use woshou_tcp::Instant;

use super::arguments::Piece;
use super::request::Request;

/// What a call gave back beside its result.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Given {
    Nothing,
    /// A new descriptor, and the peer's address of an accepted one.
    Descriptor(Fd, Option<SocketAddr>),
    Received(Received),
    Value(Value),
    /// What `ioctl` stored.
    Number(i32),
    Polled(Vec<PollFd>),
    Events(Vec<EpollEvent>),
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reply {
    /// -1 where it failed.
    pub(super) result: i64,
    pub(super) errno: Option<Errno>,
    pub(super) given: Given,
}

impl Reply {
    pub(super) const fn failed(errno: Errno) -> Self {
        Self {
            result: -1,
            errno: Some(errno),
            given: Given::Nothing,
        }
    }

    pub(super) const fn value(result: i64) -> Self {
        Self {
            result,
            errno: None,
            given: Given::Nothing,
        }
    }

    fn count(octets: usize) -> Self {
        Self::value(i64::try_from(octets).unwrap_or(i64::MAX))
    }

    const fn given(result: i64, given: Given) -> Self {
        Self {
            result,
            errno: None,
            given,
        }
    }
}

impl Request {
    /// Makes the call.
    pub(super) fn perform(&self, sockets: &mut Sockets, now: Instant) -> Outcome<Reply> {
        let done = |()| Reply::value(0);
        match self {
            Self::Socket {
                domain,
                kind,
                protocol,
            } => sockets
                .socket(*domain, *kind, *protocol)
                .map(|fd| Reply::given(0, Given::Descriptor(fd, None))),
            Self::Bind { fd, to, .. } => sockets.bind(*fd, *to).map(done),
            Self::Listen { fd, backlog, .. } => sockets.listen(*fd, *backlog).map(done),
            Self::Accept { fd, flags } => sockets
                .accept4(now, *fd, *flags)
                .map(|(fd, peer)| Reply::given(0, Given::Descriptor(fd, Some(peer)))),
            Self::Connect { fd, to, .. } => sockets.connect(now, *fd, *to).map(done),
            Self::Receive {
                fd,
                pieces,
                flags,
                plain,
            } => receive(sockets, now, *fd, (pieces, *flags, *plain)),
            Self::Send { .. } => self.send(sockets, now, 0),
            Self::Shutdown { fd, how } => sockets.shutdown(now, *fd, *how).map(done),
            Self::Close { fd, .. } => sockets.close(now, *fd).map(done),
            Self::Fcntl { fd, what } => sockets
                .fcntl(*fd, *what)
                .map(|flags| Reply::value(flags.into())),
            Self::Ioctl { fd, what } => sockets
                .ioctl(*fd, *what)
                .map(|number| Reply::given(0, Given::Number(number))),
            Self::Poll { fds, timeout } => poll(sockets, now, fds, *timeout),
            Self::EpollCreate { flags, size } => {
                let fd = match size {
                    Some(size) => sockets.epoll_create(*size),
                    None => sockets.epoll_create1(*flags),
                };
                fd.map(|fd| Reply::given(0, Given::Descriptor(fd, None)))
            }
            Self::EpollControl { epoll, control, fd } => {
                sockets.epoll_ctl(*epoll, *control, *fd).map(done)
            }
            Self::EpollWait {
                epoll,
                most,
                timeout,
            } => epoll_wait(sockets, now, *epoll, (*most, *timeout)),
            Self::Get { fd, option } => sockets
                .getsockopt(now, *fd, *option)
                .map(|value| Reply::given(0, Given::Value(value))),
            Self::Set { fd, option, value } => {
                sockets.setsockopt(now, *fd, *option, value).map(done)
            }
        }
    }

    /// What it waited for has happened.
    pub(super) fn resume(
        &self,
        sockets: &mut Sockets,
        now: Instant,
        wait: &WaitFor,
    ) -> Outcome<Reply> {
        match self {
            Self::Connect { fd, .. } => sockets.finish_connect(now, *fd).map(|()| Reply::value(0)),
            Self::Send { .. } => self.send(sockets, now, wait.done),
            // The descriptor is gone; only the caller waited.
            Self::Close { .. } => Ok(Reply::value(0)),
            _ => self.perform(sockets, now),
        }
    }

    /// Its time ran out.
    pub(super) fn give_up(
        &self,
        sockets: &mut Sockets,
        now: Instant,
        wait: &WaitFor,
    ) -> Outcome<Reply> {
        match self {
            Self::Poll { fds, .. } => poll(sockets, now, fds, Some(Duration::ZERO)),
            Self::EpollWait { epoll, most, .. } => {
                epoll_wait(sockets, now, *epoll, (*most, Some(Duration::ZERO)))
            }
            Self::Receive {
                fd, pieces, flags, ..
            } if sockets.give_up(wait).is_ok() => {
                receive(sockets, now, *fd, (pieces, *flags | c::MSG_DONTWAIT, false))
            }
            _ => sockets.give_up(wait).map(Reply::count),
        }
    }

    fn send(&self, sockets: &mut Sockets, now: Instant, done: usize) -> Outcome<Reply> {
        let Self::Send {
            fd,
            pieces,
            flags,
            to,
            plain,
        } = self
        else {
            return Err(Stop::Errno(Errno::EINVAL));
        };
        let longest = pieces.iter().map(|piece| piece.len).max().unwrap_or(0);
        let zeros = vec![0; longest];
        let buffers: Vec<Buffer<'_>> = pieces
            .iter()
            .map(|piece| match zeros.get(..piece.len) {
                Some(octets) if piece.valid => Buffer::Octets(octets),
                _ => Buffer::Invalid(piece.len),
            })
            .collect();
        if *plain && done == 0 {
            return sockets.writev(now, *fd, &buffers).map(Reply::count);
        }
        let message = Message {
            pieces: &buffers,
            to: *to,
            flags: *flags,
            done,
        };
        sockets.sendmsg(now, *fd, &message).map(Reply::count)
    }
}

fn receive(
    sockets: &mut Sockets,
    now: Instant,
    fd: Fd,
    (pieces, flags, plain): (&[Piece], i32, bool),
) -> Outcome<Reply> {
    let mut memory: Vec<Vec<u8>> = pieces.iter().map(|piece| vec![0; piece.len]).collect();
    let mut buffers: Vec<BufferMut<'_>> = pieces
        .iter()
        .zip(&mut memory)
        .map(|(piece, octets)| {
            if piece.valid {
                BufferMut::Octets(octets)
            } else {
                BufferMut::Invalid(piece.len)
            }
        })
        .collect();
    if plain {
        return sockets.readv(now, fd, &mut buffers).map(Reply::count);
    }
    let received = sockets.recvmsg(now, fd, &mut buffers, flags)?;
    let result = i64::try_from(received.octets).unwrap_or(i64::MAX);
    Ok(Reply::given(result, Given::Received(received)))
}

fn poll(
    sockets: &mut Sockets,
    now: Instant,
    fds: &[PollFd],
    timeout: Option<Duration>,
) -> Outcome<Reply> {
    let mut fds = fds.to_vec();
    let ready = sockets.poll(now, &mut fds, timeout)?;
    Ok(Reply::given(
        i64::try_from(ready).unwrap_or(i64::MAX),
        Given::Polled(fds),
    ))
}

fn epoll_wait(
    sockets: &mut Sockets,
    now: Instant,
    epoll: Fd,
    (most, timeout): (i32, Option<Duration>),
) -> Outcome<Reply> {
    let events = sockets.epoll_wait(now, epoll, most, timeout)?;
    Ok(Reply::given(
        i64::try_from(events.len()).unwrap_or(i64::MAX),
        Given::Events(events),
    ))
}
