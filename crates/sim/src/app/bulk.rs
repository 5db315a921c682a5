//! Much text in one direction: what a download is, without looking at the octets.

use std::net::SocketAddr;
use std::time::Duration;

use woshou_stack::{Event, ListenerId};
use woshou_tcp::{ReadError, Wake, WriteError};

use super::{App, AppContext, Failed, Report};

/// What is sent, over and over.
static TEXT: [u8; 64 * 1024] = [0x57; 64 * 1024];

/// Connects, and sends as much as is taken. It never closes: its figures can be read at the end.
#[derive(Debug)]
pub struct Source {
    to: SocketAddr,
    after: Duration,
    octets: u64,
    report: Report,
}

impl Source {
    /// To `to`, `after` so long, `octets` of text; `None`: without end.
    #[must_use]
    pub fn new(to: SocketAddr, after: Duration, octets: Option<u64>) -> Self {
        Self {
            to,
            after,
            octets: octets.unwrap_or(u64::MAX),
            report: Report::default(),
        }
    }

    fn connect(&mut self, cx: &mut AppContext<'_>) {
        match cx.stack.connect(cx.now, self.to, None) {
            Ok(id) => {
                self.report.connection = Some(id);
                self.report.endpoints = cx.stack.endpoints(id);
            }
            Err(error) => self.report.failed = Some(Failed::Connect(error)),
        }
    }

    fn write(&mut self, cx: &mut AppContext<'_>) {
        let Some(id) = self.report.connection else {
            return;
        };
        while self.report.sent < self.octets {
            let rest = usize::try_from(self.octets - self.report.sent).unwrap_or(usize::MAX);
            let (piece, _) = TEXT.split_at(rest.min(TEXT.len()));
            match cx.stack.write(cx.now, id, piece) {
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
}

impl App for Source {
    fn start(&mut self, cx: &mut AppContext<'_>) {
        if self.after.is_zero() {
            self.connect(cx);
        } else {
            cx.wake_at(cx.now + self.after);
        }
    }

    fn on_event(&mut self, cx: &mut AppContext<'_>, event: Event) {
        if let Event::Connection(id, wake) = event
            && self.report.connection == Some(id)
        {
            if wake.intersects(Wake::ENDED) {
                self.report.ended = cx.stack.ended(id);
            }
            if wake.intersects(Wake::CONNECTED | Wake::WRITABLE) {
                self.write(cx);
            }
        }
    }

    fn on_time(&mut self, cx: &mut AppContext<'_>) {
        self.connect(cx);
    }

    fn report(&self) -> Report {
        self.report
    }
}

/// Accepts connections and reads all that comes, at once.
#[derive(Debug)]
pub struct Sink {
    at: SocketAddr,
    listener: Option<ListenerId>,
    report: Report,
}

impl Sink {
    /// Listens at `at`.
    #[must_use]
    pub fn new(at: SocketAddr) -> Self {
        Self {
            at,
            listener: None,
            report: Report::default(),
        }
    }

    fn read(&mut self, cx: &mut AppContext<'_>, id: woshou_stack::ConnId) {
        loop {
            match cx.stack.read_chunk(cx.now, id, TEXT.len()) {
                Ok(piece) if piece.is_empty() => {
                    self.report.end_of_text = true;
                    return;
                }
                Ok(piece) => self.report.received += piece.len() as u64,
                Err(ReadError::Ended(ended)) => {
                    self.report.ended = Some(ended);
                    return;
                }
                Err(_) => return,
            }
        }
    }
}

impl App for Sink {
    fn start(&mut self, cx: &mut AppContext<'_>) {
        match cx.stack.listen(self.at, 128) {
            Ok(listener) => self.listener = Some(listener),
            Err(error) => self.report.failed = Some(Failed::Listen(error)),
        }
    }

    fn on_event(&mut self, cx: &mut AppContext<'_>, event: Event) {
        match event {
            Event::Acceptable(listener) if self.listener == Some(listener) => {
                while let Some(id) = cx.stack.accept(listener) {
                    self.report.connection = Some(id);
                    self.report.endpoints = cx.stack.endpoints(id);
                    self.read(cx, id);
                }
            }
            Event::Connection(id, _) => self.read(cx, id),
            Event::Acceptable(_) | Event::Incoming(_) | Event::Cancelled(_) => {}
        }
    }

    fn report(&self) -> Report {
        self.report
    }
}
