//! CLOSE, ABORT and every other end (RFC 9293 sections 3.6, 3.10.4, 3.10.5).

use super::Connection;
use crate::error::Ended;
use crate::event::{Context, Reason, Timer, TraceEvent, Wake};
use crate::seq::SeqNum;
use crate::state::{Event, State};
use crate::time_wait::{TimeWait, TimeWaitSetup, TimeWaitTimestamps};

impl Connection {
    /// CLOSE: no more text from us; what was written is still sent, then FIN. Reading goes on. Idempotent.
    pub fn shutdown(&mut self, cx: &mut Context<'_>) {
        match self.state {
            // Queued until the handshake is over (RFC 9293 section 3.10.4).
            State::SynReceived => self.user.close_when_open = true,
            State::Established | State::CloseWait => {
                self.snd.fin_queued = true;
                self.on(cx, Event::Close);
            }
            _ => {}
        }
        self.rearm(cx.now);
    }

    /// The user lets go of the connection: CLOSE, and nobody will read.
    ///
    /// With text unread the peer is told that it is lost, by RST (RFC 9293 SHLD-3); so is a peer that sends text
    /// later. FIN-WAIT-2 ends after [`crate::Config::fin_wait_2`].
    //= rfc9293 MAY-1
    //= rfc9293 SHLD-3
    pub fn close(&mut self, cx: &mut Context<'_>) {
        if self.user.released {
            return;
        }
        self.user.released = true;
        if self.state != State::SynReceived {
            // From now on it is the orphan's.
            self.timers.stop(Timer::UserTimeout);
        }
        let unread = self.rcv.buffer.len() > 0 || !self.rcv.reassembly.is_empty();
        self.rcv.buffer.clear();
        if unread {
            self.abort(cx);
            return;
        }
        self.shutdown(cx);
        if self.state == State::FinWait2 {
            self.timers
                .set(Timer::FinWait2, cx.now + self.config.fin_wait_2);
        }
    }

    /// ABORT: RST where the state calls for one, and everything is discarded (RFC 9293 section 3.10.5).
    pub fn abort(&mut self, cx: &mut Context<'_>) {
        self.reset_peer(cx, Ended::Aborted);
    }

    /// Ends the connection for `why`; the peer is told by RST unless it knows already.
    pub(super) fn reset_peer(&mut self, cx: &mut Context<'_>, why: Ended) {
        match self.state {
            State::Closed | State::TimeWait => {}
            // Told by our FIN already, unless it is still queued behind text: the RFC's CLOSE would not be done yet.
            State::Closing | State::LastAck if self.snd.fin.is_some() => self.end(cx, why),
            _ => {
                self.owed.reset = Some((self.acceptable(), Reason::Abort));
                self.end(cx, why);
            }
        }
    }

    /// The connection is over: queues flushed (text in order stays for the user), timers stopped, user told.
    //= rfc9293 MUST-12
    pub(super) fn end(&mut self, cx: &mut Context<'_>, why: Ended) {
        if self.ended.is_none() {
            self.ended = Some(why);
            cx.trace(&self.setup.endpoints, || TraceEvent::Ended { reason: why });
        }
        self.on(cx, Event::Abort);
        self.release_queues();
        self.wake |= Wake::READABLE | Wake::WRITABLE | Wake::ENDED;
    }

    /// LAST-ACK is over: an ordinary end.
    pub(super) fn closed(&mut self, cx: &mut Context<'_>) {
        self.on(cx, Event::AckOfFin);
        self.ended = Some(Ended::Closed);
        cx.trace(&self.setup.endpoints, || TraceEvent::Ended {
            reason: Ended::Closed,
        });
        self.release_queues();
        self.wake |= Wake::WRITABLE | Wake::ENDED;
    }

    /// TIME-WAIT begins: the small type takes over; the user may still read.
    pub(super) fn on_time_wait(&mut self) {
        self.ended = Some(Ended::Closed);
        self.release_queues();
        self.wake |= Wake::WRITABLE | Wake::ENDED;
    }

    fn release_queues(&mut self) {
        self.timers.stop_all();
        self.rates = None;
        self.snd.in_flight.clear();
        self.snd.buffer.clear();
        self.rcv.reassembly.clear();
        self.rcv.buffer.give_back();
        self.owed.syn_ack = None;
        self.owed.probe = false;
        self.owed.keep_alive = false;
    }

    pub(super) fn make_time_wait(&self) -> TimeWait {
        let timestamps = self.paws.map(|paws| TimeWaitTimestamps {
            recent: paws.recent,
            recent_at: paws.recent_at,
            offset: self.setup.timestamp_offset,
        });
        let setup = TimeWaitSetup {
            snd_nxt: self.snd.nxt,
            rcv_nxt: self.rcv.nxt,
            window: self.rcv.offer().0,
            timestamps,
            wants_timestamps: self.config.timestamps,
            lasts: self.config.time_wait,
        };
        // The segment that brought us here was the last one heard.
        TimeWait::new(self.patience.heard_at, setup)
    }

    /// A wrong acknowledgement while opening: RST with its number, and the connection stays.
    pub(super) fn refuse_ack(&mut self, ack: SeqNum) {
        self.owed.reset = Some((ack, Reason::WrongAck));
    }
}
