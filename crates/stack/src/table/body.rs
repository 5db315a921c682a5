//! What a slot of the table holds.

use alloc::boxed::Box;

use woshou_tcp::connection::Plan;
use woshou_tcp::error::PathError;
use woshou_tcp::{
    Connection, Context, Ended, Endpoints, Instant, Opening, SeqNum, State, TcpInfo, Transmit, Wake,
};

/// What a slot holds: both are driven alike.
pub(crate) enum Body {
    Opening(Box<Opening>),
    Connection(Box<Connection>),
}

impl Body {
    pub(crate) fn plan(&self, now: Instant, max_text: u32) -> Option<Plan> {
        match self {
            Self::Opening(opening) => opening.plan(now, max_text),
            Self::Connection(connection) => connection.plan(now, max_text),
        }
    }

    pub(crate) fn build(&mut self, cx: &mut Context<'_>, plan: Plan) -> Transmit<'_> {
        match self {
            Self::Opening(opening) => opening.build(cx, plan),
            Self::Connection(connection) => connection.build(cx, plan),
        }
    }

    pub(crate) fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        match self {
            Self::Opening(opening) => opening.handle_timeout(cx),
            Self::Connection(connection) => connection.handle_timeout(cx),
        }
    }

    pub(crate) fn handle_path_error(
        &mut self,
        cx: &mut Context<'_>,
        error: PathError,
        seq: SeqNum,
    ) {
        match self {
            Self::Opening(opening) => opening.handle_path_error(cx, error, seq),
            Self::Connection(connection) => connection.handle_path_error(cx, error, seq),
        }
    }

    pub(crate) fn set_send_mss(&mut self, cx: &mut Context<'_>, send_mss: u16) {
        match self {
            Self::Opening(opening) => opening.set_send_mss(send_mss),
            Self::Connection(connection) => connection.set_send_mss(cx, send_mss),
        }
    }

    /// Whether an ICMP error that quotes `seq` is about a segment of its that flies.
    pub(crate) fn is_in_flight(&self, seq: SeqNum) -> bool {
        match self {
            Self::Opening(opening) => opening.is_in_flight(seq),
            Self::Connection(connection) => connection.is_in_flight(seq),
        }
    }

    /// Whether there is surely nothing to send.
    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        match self {
            Self::Opening(opening) => opening.is_quiet(),
            Self::Connection(connection) => connection.is_quiet(),
        }
    }

    /// What the user hears, when it is due, and octets that its queues hold.
    #[inline]
    pub(super) fn news(&mut self) -> (Wake, Option<Instant>, usize) {
        match self {
            Self::Opening(opening) => (opening.poll_event(), opening.poll_timeout(), 0),
            Self::Connection(connection) => {
                let (wake, due) = (connection.poll_event(), connection.poll_timeout());
                (wake, due, connection.memory())
            }
        }
    }

    /// As [`Connection::beside`].
    pub(super) fn beside(&self) -> usize {
        match self {
            Self::Opening(_) => 0,
            Self::Connection(connection) => connection.beside(),
        }
    }

    pub(crate) fn ended(&self) -> Option<Ended> {
        match self {
            Self::Opening(opening) => opening.ended(),
            Self::Connection(connection) => connection.ended(),
        }
    }

    pub(crate) fn endpoints(&self) -> &Endpoints {
        match self {
            Self::Opening(opening) => opening.endpoints(),
            Self::Connection(connection) => connection.endpoints(),
        }
    }

    pub(crate) fn info(&self, now: Instant) -> TcpInfo {
        match self {
            Self::Opening(opening) => opening.info(now),
            Self::Connection(connection) => connection.info(now),
        }
    }

    pub(crate) fn abort(&mut self, cx: &mut Context<'_>) {
        match self {
            Self::Opening(opening) => opening.abort(cx),
            Self::Connection(connection) => connection.abort(cx),
        }
    }

    pub(crate) fn state(&self) -> State {
        match self {
            Self::Opening(opening) if opening.ended().is_some() => State::Closed,
            Self::Opening(_) => State::SynSent,
            Self::Connection(connection) => connection.state(),
        }
    }
}
