//! One party to a conversation over one connection: what it says, when, what it expects, when it closes.

use std::net::SocketAddr;
use std::time::Duration;

use woshou_stack::{ConnId, Event, ListenerId};
use woshou_tcp::{Instant, ReadError, Wake, WriteError};

use super::{App, AppContext, Failed, Report};
use crate::content::Content;
use crate::seed::Chance;

/// How a party comes by its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It opens one.
    Connect {
        /// To whom.
        to: SocketAddr,
        /// From where; `None` or port 0 lets the stack choose.
        from: Option<SocketAddr>,
        /// When, counted from its start.
        after: Duration,
    },
    /// It accepts the first that comes.
    Listen {
        /// Where.
        at: SocketAddr,
    },
}

/// When a party begins to say something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// As soon as it is connected.
    AtOnce,
    /// When all that it expects has come.
    Answering,
    /// When the peer has closed its direction.
    AfterEnd,
}

/// When a party closes, once all that it says was taken by the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// At once.
    WhenSent,
    /// When all that it expects has come.
    WhenReceived,
    /// When the peer has closed its direction.
    WhenPeerCloses,
    /// At this time; not when all was sent.
    At(Instant),
    /// Not at all: it aborts at this time, whatever is under way.
    AbortAt(Instant),
}

/// The sizes of its calls.
#[derive(Clone, Debug)]
pub enum Pieces {
    /// Octets a call, at most; at least 1.
    Fixed(usize),
    /// From 1 to this many, by chance.
    Chance(Box<Chance>, usize),
}

impl Pieces {
    fn next(&mut self) -> usize {
        match self {
            Self::Fixed(size) => (*size).max(1),
            Self::Chance(chance, most) => {
                usize::try_from(chance.draw().within(1, *most as u64)).unwrap_or(1)
            }
        }
    }
}

/// What a party does. Make one by [`connecting`](Self::connecting) or [`listening`](Self::listening), and change
/// fields.
#[derive(Clone, Debug)]
pub struct Script {
    /// How it comes by its connection.
    pub role: Role,
    /// What it says.
    pub says: Content,
    /// What it expects of the peer.
    pub expects: Content,
    /// When it begins to say it.
    pub begin: Begin,
    /// When it closes.
    pub finish: Finish,
    /// It does not read before this. Default: at once.
    pub reads_from: Instant,
    /// The sizes of its reads and writes. Default 16 KiB.
    pub pieces: Pieces,
}

/// A party that acts by its script.
#[derive(Debug)]
pub struct Party {
    script: Script,
    listener: Option<ListenerId>,
    connection: Option<ConnId>,
    connected: bool,
    shut: bool,
    report: Report,
}

impl Script {
    fn new(role: Role, says: Content, expects: Content) -> Self {
        Self {
            role,
            says,
            expects,
            begin: Begin::AtOnce,
            finish: Finish::WhenSent,
            reads_from: Instant::ZERO,
            pieces: Pieces::Fixed(16 * 1024),
        }
    }

    /// Connects to `to` at its start, says `says` at once, and closes when it was sent.
    #[must_use]
    pub fn connecting(to: SocketAddr, says: Content, expects: Content) -> Self {
        Self::new(
            Role::Connect {
                to,
                from: None,
                after: Duration::ZERO,
            },
            says,
            expects,
        )
    }

    /// Listens at `at`, says `says` when it has accepted a connection, and closes when the peer does.
    #[must_use]
    pub fn listening(at: SocketAddr, says: Content, expects: Content) -> Self {
        Self {
            finish: Finish::WhenPeerCloses,
            ..Self::new(Role::Listen { at }, says, expects)
        }
    }
}

impl Party {
    /// A party that acts by `script`.
    #[must_use]
    pub fn new(script: Script) -> Self {
        Self {
            script,
            listener: None,
            connection: None,
            connected: false,
            shut: false,
            report: Report::default(),
        }
    }

    fn connect(&mut self, cx: &mut AppContext<'_>, to: SocketAddr, from: Option<SocketAddr>) {
        match cx.stack.connect(cx.now, to, from) {
            Ok(id) => {
                self.connection = Some(id);
                self.report.endpoints = cx.stack.endpoints(id);
            }
            Err(error) => self.report.failed = Some(Failed::Connect(error)),
        }
    }

    fn accept(&mut self, cx: &mut AppContext<'_>, listener: ListenerId) {
        while let Some(id) = cx.stack.accept(listener) {
            if self.connection.is_some() || self.connected {
                // One conversation is all it has: a second caller is turned away.
                cx.stack.abort(cx.now, id);
                cx.stack.close(cx.now, id);
                continue;
            }
            self.connection = Some(id);
            self.connected = true;
            self.report.endpoints = cx.stack.endpoints(id);
        }
    }

    /// Does all that can be done now.
    fn go_on(&mut self, cx: &mut AppContext<'_>) {
        let Some(id) = self.connection else { return };
        if let Finish::AbortAt(at) = self.script.finish
            && cx.now >= at
        {
            cx.stack.abort(cx.now, id);
        } else {
            self.read(cx, id);
            self.write(cx, id);
            if self.closes_now(cx.now) {
                self.shut = true;
                cx.stack.shutdown(cx.now, id);
            }
        }
        if let Some(ended) = cx.stack.ended(id) {
            self.report.ended = Some(ended);
            self.connection = None;
            cx.stack.close(cx.now, id);
        }
    }

    fn read(&mut self, cx: &mut AppContext<'_>, id: ConnId) {
        if !self.connected || cx.now < self.script.reads_from || self.report.end_of_text {
            return;
        }
        loop {
            let size = self.script.pieces.next();
            // Both ways of reading, by turns that the sizes decide.
            let read = if size.is_multiple_of(2) {
                let mut piece = vec![0; size];
                cx.stack.read(cx.now, id, &mut piece).map(|n| {
                    piece.truncate(n);
                    piece
                })
            } else {
                cx.stack.read_chunk(cx.now, id, size).map(Vec::from)
            };
            match read {
                Ok(piece) if piece.is_empty() => {
                    self.report.end_of_text = true;
                    return;
                }
                Ok(piece) => self.take(&piece),
                Err(ReadError::Ended(ended)) => {
                    self.report.ended = Some(ended);
                    return;
                }
                Err(_) => return,
            }
        }
    }

    fn take(&mut self, piece: &[u8]) {
        let wrong = self.script.expects.first_wrong(self.report.received, piece);
        self.report.wrong_at = self.report.wrong_at.or(wrong);
        self.report.received += piece.len() as u64;
    }

    fn write(&mut self, cx: &mut AppContext<'_>, id: ConnId) {
        let begun = match self.script.begin {
            Begin::AtOnce => true,
            Begin::Answering => self.has_all(),
            Begin::AfterEnd => self.report.end_of_text,
        };
        if !self.connected || !begun || self.shut {
            return;
        }
        while self.report.sent < self.script.says.len() {
            let piece = self
                .script
                .says
                .piece(self.report.sent, self.script.pieces.next());
            match cx.stack.write(cx.now, id, &piece) {
                Ok(0) => return,
                Ok(taken) => self.report.sent += taken as u64,
                Err(WriteError::Ended(ended)) => {
                    self.report.ended = Some(ended);
                    return;
                }
                Err(_) => return,
            }
        }
    }

    fn has_all(&self) -> bool {
        self.report.received >= self.script.expects.len()
    }

    fn closes_now(&self, now: Instant) -> bool {
        let said = self.report.sent == self.script.says.len();
        self.connected
            && !self.shut
            && match self.script.finish {
                Finish::WhenSent => said,
                Finish::WhenReceived => said && self.has_all(),
                Finish::WhenPeerCloses => said && self.report.end_of_text,
                Finish::At(at) => now >= at,
                Finish::AbortAt(_) => false,
            }
    }
}

impl App for Party {
    fn start(&mut self, cx: &mut AppContext<'_>) {
        match self.script.role {
            Role::Connect {
                to,
                from,
                after: Duration::ZERO,
            } => self.connect(cx, to, from),
            Role::Connect { after, .. } => cx.wake_at(cx.now + after),
            Role::Listen { at } => match cx.stack.listen(at, 16) {
                Ok(listener) => self.listener = Some(listener),
                Err(error) => self.report.failed = Some(Failed::Listen(error)),
            },
        }
        if self.script.reads_from > cx.now {
            cx.wake_at(self.script.reads_from);
        }
        if let Finish::At(at) | Finish::AbortAt(at) = self.script.finish {
            cx.wake_at(at);
        }
    }

    fn on_event(&mut self, cx: &mut AppContext<'_>, event: Event) {
        match event {
            Event::Acceptable(listener) if self.listener == Some(listener) => {
                self.accept(cx, listener);
            }
            Event::Connection(id, wake) if self.connection == Some(id) => {
                self.connected |= wake.intersects(Wake::CONNECTED);
            }
            _ => return,
        }
        self.go_on(cx);
    }

    fn on_time(&mut self, cx: &mut AppContext<'_>) {
        if let Role::Connect { to, from, .. } = self.script.role
            && self.report.endpoints.is_none()
            && self.report.failed.is_none()
        {
            self.connect(cx, to, from);
        }
        self.go_on(cx);
    }

    fn report(&self) -> Report {
        self.report
    }
}
