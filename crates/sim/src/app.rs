//! Programs that run on hosts, and use their stack as programs do.

mod bulk;
mod echo;
mod party;

pub use bulk::{Sink, Source};
pub use echo::Echo;
pub use party::{Begin, Finish, Party, Pieces, Role, Script};

use woshou_stack::{ConnId, ConnectError, ListenError, Stack};
use woshou_tcp::{Ended, Endpoints, Instant};

/// What an application is handed with every call.
pub struct AppContext<'a> {
    /// The stack of its host. What the calls cause is sent when the application returns.
    pub stack: &'a mut Stack,
    /// Now.
    pub now: Instant,
    pub(crate) wakes: &'a mut Vec<Instant>,
}

impl AppContext<'_> {
    /// Asks for [`App::on_time`] at `at`; at once when that has passed. Every request is answered once.
    pub fn wake_at(&mut self, at: Instant) {
        self.wakes.push(at);
    }
}

impl std::fmt::Debug for AppContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppContext")
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// A program on a host.
pub trait App {
    /// It starts.
    fn start(&mut self, cx: &mut AppContext<'_>);
    /// The stack reports something; it may concern another program of the same host.
    fn on_event(&mut self, cx: &mut AppContext<'_>, event: woshou_stack::Event);
    /// A time it asked for by [`AppContext::wake_at`] has come.
    fn on_time(&mut self, _cx: &mut AppContext<'_>) {}
    /// How it went so far.
    fn report(&self) -> Report {
        Report::default()
    }
}

/// How it went for an application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Its (last) connection, while the program holds it; where it tells.
    pub connection: Option<ConnId>,
    /// Both ends of its (last) connection.
    pub endpoints: Option<Endpoints>,
    /// Octets that the stack took.
    pub sent: u64,
    /// Octets that the stack handed over.
    pub received: u64,
    /// The place of the first octet received that was wrong.
    pub wrong_at: Option<u64>,
    /// Whether the peer's text came to its regular end.
    pub end_of_text: bool,
    /// Why its connection ended, when it did.
    pub ended: Option<Ended>,
    /// Why it could not begin.
    pub failed: Option<Failed>,
}

/// Why an application could not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// It could not connect: choose other addresses.
    #[error("connect: {0}")]
    Connect(ConnectError),
    /// It could not listen: choose another port.
    #[error("listen: {0}")]
    Listen(ListenError),
}
