//! Urgent text as sockets have it: one octet, the last that is urgent, taken out of the stream and read with MSG_OOB, or left
//! in it with SO_OOBINLINE (RFC 9293 section 3.8.5, RFC 6093). `tcp` has it in the stream always; it is taken out here.
//!
//! Where Linux reads past the octet, it is gone; FreeBSD takes each out as it arrives, so that none of them is ever read with
//! the rest.

use std::collections::VecDeque;

use woshou_stack::Stack;
use woshou_tcp::{Connection, Instant};

use crate::calls::message::{BufferMut, Received};
use crate::constants::{MSG_OOB, MSG_PEEK, MSG_TRUNC};
use crate::errno::Errno;
use crate::outcome::Outcome;
use crate::personality::Personality;
use crate::socket::Socket;
use crate::sockets::{Fd, Sockets};

/// The last urgent octet that the peer told of, until text after it is read.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// Octets of the stream before it.
    at: u64,
    /// The octet, once it was taken out of the stream.
    octet: Option<u8>,
    /// MSG_OOB has fetched it.
    fetched: bool,
}

/// Where a socket stands in the peer's stream, and what is not to be read with the rest of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Urgent {
    /// Octets that left the receive buffer.
    passed: u64,
    mark: Option<Mark>,
    /// Earlier urgent octets that are still in the buffer, and not to be read. At most as many as the window has octets.
    holes: VecDeque<u64>,
}

impl Urgent {
    /// Octets before the next that is special.
    fn ahead(&self) -> Option<u64> {
        let mark = self.mark.filter(|mark| mark.octet.is_none());
        let next = self.holes.front().copied().or(mark.map(|mark| mark.at));
        next.map(|at| at.saturating_sub(self.passed))
    }

    fn is_at_mark(&self) -> bool {
        self.mark
            .is_some_and(|mark| mark.octet.is_some() || mark.at == self.passed)
    }

    /// Ordinary text was read.
    pub(crate) fn advance(&mut self, octets: usize) {
        self.passed += octets as u64;
        if octets > 0 && self.mark.is_some_and(|mark| mark.at < self.passed) {
            self.mark = None;
        }
    }
}

impl Socket {
    /// Looks whether the peer has told of more urgent text.
    pub(crate) fn note_urgent(&mut self, stack: &Stack, personality: Personality) {
        let Some(connection) = self.connection(stack) else {
            return;
        };
        let Some(unread) = connection.urgent_unread() else {
            return;
        };
        let here = connection.readable() as u64;
        let inline = self.settings.urgent_inline;
        let urgent = &mut self.urgent;
        let at = urgent.passed + u64::from(unread.saturating_sub(1));
        if urgent.mark.is_some_and(|mark| mark.at >= at) {
            return;
        }
        if let Some(old) = urgent.mark.filter(|mark| mark.octet.is_none() && !inline) {
            // Linux leaves it to the stream, unless it is what would be read next.
            let arrived = old.at < urgent.passed + here;
            if arrived && (personality == Personality::FreeBsd || old.at == urgent.passed) {
                urgent.holes.push_back(old.at);
            }
        }
        urgent.mark = Some(Mark {
            at,
            octet: None,
            fetched: false,
        });
    }

    /// Octets to read as ordinary text.
    pub(crate) fn readable(&self, stack: &Stack) -> usize {
        let buffered = self.connection(stack).map_or(0, Connection::readable);
        let urgent = &self.urgent;
        let end = urgent.passed + buffered as u64;
        let marked = urgent
            .mark
            .is_some_and(|mark| mark.octet.is_none() && mark.at < end);
        let out = urgent.holes.len() + usize::from(marked && !self.settings.urgent_inline);
        buffered.saturating_sub(out)
    }

    /// SIOCINQ: on Linux only what is before the urgent octet.
    pub(crate) fn in_queue(&self, stack: &Stack, personality: Personality) -> usize {
        let readable = self.readable(stack);
        let mark = self.urgent.mark.filter(|mark| mark.octet.is_none());
        match mark {
            Some(_) if self.settings.urgent_inline || !self.urgent_arrived(stack) => readable,
            Some(mark) if personality == Personality::Linux => {
                let before = mark.at.saturating_sub(self.urgent.passed);
                usize::try_from(before).map_or(readable, |before| before.min(readable))
            }
            _ => readable,
        }
    }

    /// SIOCATMARK: what is read next follows the last urgent octet, or is it.
    pub(crate) fn is_at_mark(&self) -> bool {
        self.urgent.is_at_mark()
    }

    fn urgent_arrived(&self, stack: &Stack) -> bool {
        let buffered = self.connection(stack).map_or(0, Connection::readable);
        self.urgent.mark.is_some_and(|mark| {
            mark.octet.is_some() || mark.at < self.urgent.passed + buffered as u64
        })
    }

    /// POLLPRI: on Linux, an urgent octet to fetch; on FreeBSD, one that was told of and not passed.
    pub(crate) fn has_urgent(&self, stack: &Stack, personality: Personality) -> bool {
        match (personality, self.urgent.mark) {
            (_, None) => false,
            (Personality::FreeBsd, Some(_)) => true,
            (Personality::Linux, Some(mark)) => !mark.fetched && self.urgent_arrived(stack),
        }
    }

    /// The urgent octet, where it has arrived.
    fn urgent_octet(&self, stack: &Stack) -> Option<u8> {
        let mark = self.urgent.mark?;
        if mark.octet.is_some() || !self.urgent_arrived(stack) {
            return mark.octet;
        }
        // It is within the buffer, so what is looked at is no longer than that.
        let before = usize::try_from(mark.at.checked_sub(self.urgent.passed)?).ok()?;
        let mut text = vec![0; before + 1];
        let octets = stack.peek(self.id()?, &mut text).ok()?;
        text.get(..octets)?.get(before).copied()
    }
}

impl Sockets {
    /// `recvmsg` with MSG_OOB.
    ///
    /// # Errors
    /// EINVAL: no urgent octet, or it is in the stream; EAGAIN: it was told of and has not arrived.
    pub(crate) fn receive_urgent(
        &mut self,
        fd: Fd,
        into: &mut [BufferMut<'_>],
        flags: i32,
    ) -> Outcome<Received> {
        let personality = self.personality();
        self.socket_mut(fd)?.note_urgent_error(personality)?;
        let socket = self.socket_ref(fd)?;
        let inline = socket.settings.urgent_inline;
        let Some(mark) = socket.urgent.mark.filter(|mark| !mark.fetched && !inline) else {
            return Err(Errno::EINVAL.into());
        };
        let Some(octet) = mark.octet.or_else(|| socket.urgent_octet(&self.stack)) else {
            let over = socket.receive_is_over(&self.stack) && personality == Personality::Linux;
            return if over {
                Ok(Received::default())
            } else {
                Err(Errno::EAGAIN.into())
            };
        };
        if flags & MSG_PEEK == 0
            && let Some(mark) = &mut self.socket_mut(fd)?.urgent.mark
        {
            mark.fetched = true;
        }
        let mut received = Received {
            flags: MSG_OOB,
            ..Received::default()
        };
        match into.iter_mut().find(|piece| piece.len() > 0) {
            None => received.flags |= MSG_TRUNC,
            Some(BufferMut::Invalid(_)) => return Err(Errno::EFAULT.into()),
            Some(BufferMut::Octets(octets)) => {
                if let Some(first) = octets.first_mut() {
                    *first = octet;
                }
                received.octets = 1;
            }
        }
        Ok(received)
    }

    /// Octets that may be read as text from here on; `None`: this call has `read` something and stands at the mark. Takes
    /// special octets out of the stream that are in the way.
    pub(crate) fn stretch(&mut self, now: Instant, fd: Fd, read: bool) -> Option<usize> {
        loop {
            let socket = self.socket_mut(fd).ok()?;
            let inline = socket.settings.urgent_inline;
            let urgent = &mut socket.urgent;
            let hole = !urgent.holes.is_empty();
            match urgent.ahead() {
                None => return Some(usize::MAX),
                Some(0) if hole => {}
                Some(0) if read => return None,
                Some(0) if inline => return Some(usize::MAX),
                Some(0) => {}
                Some(octets) => return Some(usize::try_from(octets).unwrap_or(usize::MAX)),
            }
            let id = socket.id()?;
            let mut octet = [0];
            if self.stack.read(now, id, &mut octet).ok()? == 0 {
                return None;
            }
            let urgent = &mut self.socket_mut(fd).ok()?.urgent;
            urgent.passed += 1;
            if hole {
                urgent.holes.pop_front();
            } else if let Some(mark) = &mut urgent.mark {
                mark.octet = Some(octet[0]);
            }
        }
    }

    /// A read found nothing but an urgent octet: it goes, and on Linux the mark is behind.
    pub(crate) fn pass_urgent(&mut self, now: Instant, fd: Fd) {
        let linux = self.personality() == Personality::Linux;
        let buffered = self.connection(fd).map_or(0, Connection::readable);
        if buffered > 0 {
            self.stretch(now, fd, false);
        }
        if let Ok(socket) = self.socket_mut(fd)
            && linux
        {
            let urgent = &mut socket.urgent;
            urgent.mark = urgent.mark.filter(|mark| mark.octet.is_none());
        }
    }
}

impl Socket {
    /// FreeBSD tells of an error before anything else.
    fn note_urgent_error(&mut self, personality: Personality) -> Outcome<()> {
        match self.error.take_if(|_| personality == Personality::FreeBsd) {
            Some(errno) => Err(errno.into()),
            None => Ok(()),
        }
    }
}
