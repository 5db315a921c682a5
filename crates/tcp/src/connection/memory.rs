//! Memory: what a connection holds, and what it gives up when its owner runs short.

use super::Connection;
use crate::error::Ended;
use crate::event::{Context, Reason, TraceEvent, Wake};
use crate::memory::Pressure;

impl Connection {
    /// Octets of heap memory that its queues hold, by what the allocations cost and not by the text in them; an idle
    /// connection holds none. Takes the same few steps however much is queued.
    #[must_use]
    pub fn memory(&self) -> usize {
        let sent = self.snd.buffer.memory() + self.snd.in_flight.memory();
        let rates = self.rates.as_deref();
        let flight = rates.map_or(0, |rates| rates.flight.memory());
        sent + flight + self.rcv.buffer.memory() + self.rcv.reassembly.memory()
    }

    /// Octets of heap memory that it holds whether or not anything is queued, beside itself: congestion control, and what a sender
    /// of text knows of the path.
    #[must_use]
    pub fn beside(&self) -> usize {
        let rates = self.rates.as_ref().map_or(0, |_| size_of::<super::Rates>());
        size_of_val(&*self.congestion) + rates
    }

    /// How short of memory the owner is; holds until the next call. No window that was offered is taken back
    /// (RFC 9293 SHLD-14), it only opens no further.
    pub fn set_pressure(&mut self, pressure: Pressure) {
        self.rcv.pressure = pressure;
    }

    /// What [`Self::set_pressure`] said last.
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        self.rcv.pressure
    }

    /// Octets of text held that came out of order.
    #[must_use]
    pub fn out_of_order(&self) -> usize {
        self.rcv.reassembly.octets()
    }

    /// The owner has memory again: tells the peer of a window that may open now, and a user who waits to write.
    pub fn on_relief(&mut self) {
        self.rcv.pressure = Pressure::Plenty;
        if self.state.receives_text() && self.rcv.update_is_due() {
            self.rcv.ack.owe(Reason::WindowUpdate);
        }
        self.wake_writer();
    }

    /// Drops all text that came out of order, though SACK reported it: RFC 2018 section 8 lets a receiver short of
    /// memory do so, and no later acknowledgement reports it. A FIN seen behind it still counts. Returns the octets of
    /// text dropped.
    pub fn drop_out_of_order(&mut self, cx: &mut Context<'_>) -> usize {
        let octets = self.rcv.reassembly.octets();
        if octets > 0 {
            self.rcv.reassembly.clear();
            cx.trace(&self.setup.endpoints, || TraceEvent::Pruned { octets });
        }
        octets
    }

    /// The owner needs the memory: RST to the peer where the state calls for one, and everything is discarded, what
    /// the user has not read included. A user who still holds it learns of [`Ended::NoMemory`] instead of a false end
    /// of the text.
    pub fn give_up_memory(&mut self, cx: &mut Context<'_>) {
        self.reset_peer(cx, Ended::NoMemory);
        if self.rcv.buffer.len() > 0 {
            // It had ended before, with text left to read. What is dropped for lack of memory is no end of the peer's text;
            // where all was read, the end stays what it was.
            self.ended = Some(Ended::NoMemory);
            self.rcv.fin = None;
        }
        self.rcv.buffer.clear();
        self.wake |= Wake::READABLE;
    }
}
