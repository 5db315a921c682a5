//! Sends back whatever comes, on every connection, until the peer closes.

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::{Buf, Bytes};
use woshou_stack::{ConnId, Event, ListenerId};
use woshou_tcp::{ReadError, WriteError};

use super::{App, AppContext, Failed, Report};

/// Octets it holds for a peer that does not take its echo back; it reads no more before some are gone.
const HOLDS: usize = 64 * 1024;

/// The echo program (RFC 862).
#[derive(Debug)]
pub struct Echo {
    at: SocketAddr,
    listener: Option<ListenerId>,
    callers: Vec<Caller>,
    report: Report,
}

#[derive(Debug)]
struct Caller {
    id: ConnId,
    held: VecDeque<Bytes>,
    octets: usize,
    end_of_text: bool,
}

impl Echo {
    /// Listens at `at`.
    #[must_use]
    pub fn new(at: SocketAddr) -> Self {
        Self {
            at,
            listener: None,
            callers: Vec::new(),
            report: Report::default(),
        }
    }
}

impl Caller {
    fn read(&mut self, cx: &mut AppContext<'_>, report: &mut Report) -> bool {
        if self.end_of_text || self.octets >= HOLDS {
            return false;
        }
        match cx.stack.read_chunk(cx.now, self.id, HOLDS - self.octets) {
            Ok(piece) if piece.is_empty() => self.end_of_text = true,
            Ok(piece) => {
                report.received += piece.len() as u64;
                self.octets += piece.len();
                self.held.push_back(piece);
            }
            Err(ReadError::Ended(ended)) => {
                report.ended = Some(ended);
                return false;
            }
            Err(_) => return false,
        }
        true
    }

    fn write(&mut self, cx: &mut AppContext<'_>, report: &mut Report) -> bool {
        let Some(piece) = self.held.front_mut() else {
            return false;
        };
        match cx.stack.write(cx.now, self.id, piece) {
            Ok(0) => return false,
            Ok(taken) => {
                piece.advance(taken);
                report.sent += taken as u64;
                self.octets -= taken;
            }
            Err(WriteError::Ended(ended)) => {
                report.ended = Some(ended);
                return false;
            }
            Err(_) => return false,
        }
        if piece.is_empty() {
            self.held.pop_front();
        }
        true
    }

    /// Does all that can be done now; `false` when the connection is over.
    fn go_on(&mut self, cx: &mut AppContext<'_>, report: &mut Report) -> bool {
        // Both, not the first that works: reading makes work for writing, and writing room for reading.
        while self.read(cx, report) | self.write(cx, report) {}
        if self.end_of_text && self.held.is_empty() {
            report.end_of_text = true;
            cx.stack.shutdown(cx.now, self.id);
        }
        let Some(ended) = cx.stack.ended(self.id) else {
            return true;
        };
        report.ended = Some(ended);
        cx.stack.close(cx.now, self.id);
        false
    }
}

impl App for Echo {
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
                    self.report.endpoints = cx.stack.endpoints(id);
                    let mut caller = Caller {
                        id,
                        held: VecDeque::new(),
                        octets: 0,
                        end_of_text: false,
                    };
                    if caller.go_on(cx, &mut self.report) {
                        self.callers.push(caller);
                    }
                }
            }
            Event::Connection(id, _) => {
                let place = self.callers.iter().position(|caller| caller.id == id);
                if let Some(place) = place
                    && let Some(caller) = self.callers.get_mut(place)
                    && !caller.go_on(cx, &mut self.report)
                {
                    self.callers.swap_remove(place);
                }
            }
            Event::Acceptable(_) | Event::Incoming(_) | Event::Cancelled(_) => {}
        }
    }

    fn report(&self) -> Report {
        self.report
    }
}
