//! One socket: what the system knows of it beside the stack's connection or listener.

use std::net::SocketAddr;

use woshou_stack::{ConnId, ListenerId, Stack};
use woshou_tcp::{Connection, State};

use crate::address::{Domain, bare};
use crate::errno::Errno;
use crate::failure::{self, Stood};
use crate::personality::Personality;
use crate::settings::Settings;
use crate::urgent::Urgent;

/// What a socket is to the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Nothing yet, or nothing any more.
    Idle,
    /// A listener.
    Listening(ListenerId),
    /// A connection, or an attempt at one; over or not.
    Connection(ConnId),
}

/// Where `connect` stands: Linux's `sock->state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Not asked for.
    Unconnected,
    /// Asked for, and the result not fetched by another `connect` yet.
    Connecting,
    /// Done.
    Connected,
}

/// How often news came, for edge-triggered `epoll`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edges {
    /// Text, its end, a connection to accept, an error.
    pub(crate) readable: u64,
    /// Room, the end of the handshake, an error.
    pub(crate) writable: u64,
}

/// One socket.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) domain: Domain,
    pub(crate) nonblocking: bool,
    pub(crate) close_on_exec: bool,
    pub(crate) settings: Settings,
    pub(crate) role: Role,
    pub(crate) progress: Progress,
    /// Where it is bound, as its user gave it (mapped addresses stay mapped), the port chosen.
    pub(crate) bound: Option<SocketAddr>,
    /// `sk_err`: to be fetched once.
    pub(crate) error: Option<Errno>,
    /// The end of the connection has become `error`.
    pub(crate) end_noted: bool,
    /// `shutdown(SHUT_RD)`.
    pub(crate) read_shut: bool,
    /// `shutdown(SHUT_WR)`.
    pub(crate) write_shut: bool,
    pub(crate) edges: Edges,
    pub(crate) urgent: Urgent,
    /// Somebody waits for room to write (SOCK_NOSPACE).
    pub(crate) no_space: bool,
}

impl Socket {
    pub(crate) fn new(domain: Domain) -> Self {
        Self {
            domain,
            nonblocking: false,
            close_on_exec: false,
            settings: Settings::default(),
            role: Role::Idle,
            progress: Progress::Unconnected,
            bound: None,
            error: None,
            end_noted: false,
            read_shut: false,
            write_shut: false,
            edges: Edges::default(),
            urgent: Urgent::default(),
            no_space: false,
        }
    }

    /// The id of its connection.
    pub(crate) fn id(&self) -> Option<ConnId> {
        match self.role {
            Role::Connection(id) => Some(id),
            _ => None,
        }
    }

    /// Its connection, once the handshake has begun to be answered.
    pub(crate) fn connection<'a>(&self, stack: &'a Stack) -> Option<&'a Connection> {
        stack.connection(self.id()?)
    }

    /// The state that a user of the socket sees: in TIME-WAIT the connection is another's (CLOSE, as on Linux).
    pub(crate) fn state(&self, stack: &Stack) -> State {
        match self.role {
            Role::Idle => State::Closed,
            Role::Listening(_) => State::Listen,
            Role::Connection(id) => match stack.state(id) {
                State::TimeWait => State::Closed,
                state => state,
            },
        }
    }

    /// The handshake is still going on.
    pub(crate) fn is_opening(&self, stack: &Stack) -> bool {
        matches!(self.state(stack), State::SynSent | State::SynReceived)
    }

    /// Turns the end of the connection into an error to fetch, once.
    pub(crate) fn note_end(&mut self, stack: &Stack, personality: Personality) {
        let Some(id) = self.id().filter(|_| !self.end_noted) else {
            return;
        };
        let Some(ended) = stack.ended(id) else {
            return;
        };
        self.end_noted = true;
        let finished = self.peer_finished(stack);
        let remote = stack.endpoints(id).map(|ends| ends.remote);
        let stood = Stood {
            close_wait: finished && !self.write_shut,
            v6: remote.is_some_and(|remote| remote.is_ipv6()),
        };
        self.error = match failure::of_end(personality, ended, stood) {
            // Text came that nobody wants: Linux says that the connection was reset.
            Some(Errno::ECONNABORTED) if self.read_shut && self.write_shut => {
                Some(Errno::ECONNRESET)
            }
            errno => errno.or(self.error),
        };
    }

    /// The connection is over (TIME-WAIT counts), or the attempt failed.
    pub(crate) fn has_ended(&self, stack: &Stack) -> bool {
        self.id().is_some_and(|id| stack.ended(id).is_some())
    }

    /// The peer's FIN has arrived.
    pub(crate) fn peer_finished(&self, stack: &Stack) -> bool {
        self.connection(stack)
            .is_some_and(Connection::peer_finished)
    }

    /// Nothing more will ever be read after what is there: RCV_SHUTDOWN.
    pub(crate) fn receive_is_over(&self, stack: &Stack) -> bool {
        self.read_shut || self.peer_finished(stack) || self.has_ended(stack)
    }

    /// Nothing more can be written: SEND_SHUTDOWN.
    pub(crate) fn send_is_over(&self, stack: &Stack) -> bool {
        self.write_shut || self.has_ended(stack)
    }

    /// Octets that a write would take now, the limit on unsent ones included; zero while opening.
    pub(crate) fn room(&self, stack: &Stack, not_sent_low: Option<u32>) -> usize {
        let Some(connection) = self.connection(stack).filter(|_| !self.is_opening(stack)) else {
            return 0;
        };
        let room = connection.writable();
        let Some(low) = self.settings.not_sent_low.or(not_sent_low) else {
            return room;
        };
        let left = (low as usize).saturating_sub(connection.unsent());
        if left == 0 {
            return 0;
        }
        // The kernel fills the segment that it began.
        room.min(left.max(1).next_multiple_of(SEGMENT))
    }

    /// Whether there is enough room that waking a writer is worth it: a third of the buffer (Linux's
    /// `sk_stream_is_writeable`), and unsent text below half of its limit.
    pub(crate) fn is_writable(&self, stack: &Stack, not_sent_low: Option<u32>) -> bool {
        let Some(connection) = self.connection(stack) else {
            return self.role == Role::Idle;
        };
        let enough =
            connection.writable() >= connection.unacknowledged() / 2 && connection.writable() > 0;
        let low = self.settings.not_sent_low.or(not_sent_low);
        enough && low.is_none_or(|low| connection.unsent().saturating_mul(2) < low as usize)
    }

    /// Where it is, as `getsockname` shows it.
    pub(crate) fn local(&self, stack: &Stack) -> SocketAddr {
        let local = match self.role {
            Role::Connection(id) => stack.endpoints(id).map(|ends| ends.local),
            Role::Listening(_) | Role::Idle => None,
        };
        let local = local.or(self.bound);
        self.domain
            .shows(local.unwrap_or(self.domain.unspecified()))
    }

    /// Where it is bound, without the clothes.
    pub(crate) fn bound_bare(&self) -> Option<SocketAddr> {
        self.bound.map(bare)
    }
}

/// Unsent text is let grow by this much beyond TCP_NOTSENT_LOWAT's remainder: about a segment.
const SEGMENT: usize = 1448;
