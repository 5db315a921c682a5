//! LISTEN: what a segment brings that belongs to no half-open connection.

use alloc::boxed::Box;

use super::cookie::Cookies;
use super::headers::syn_ack;
use super::{Listener, trace_received, trace_refusal, trace_state};
use crate::config::{AcceptOverflow, SynCookies};
use crate::connection::{Connection, SynAck};
use crate::error::Refusal;
use crate::event::{Context, Reason};
use crate::options::{Agreed, Offer, Setup};
use crate::segment::{Flags, Header, Segment};
use crate::state::{Event, State};
use crate::time::Instant;

/// What came of a segment for a four-tuple that the listener did not know.
#[derive(Debug)]
pub enum Heard {
    /// Nothing.
    Nothing,
    /// The four-tuple is half open now; the SYN,ACK is owed.
    HalfOpen,
    /// The SYN,ACK is owed, and nothing is kept: it is a cookie.
    Cookie,
    /// The acknowledgement of a cookie: the connection (ESTABLISHED, or later) has processed the segment already; the accept
    /// queue counts it.
    Connection(Box<Connection>),
}

impl Listener {
    /// A segment for a four-tuple that this listener does not know arrived: a SYN makes an entry and owes a SYN,ACK, or owes
    /// one that is a cookie; the acknowledgement of a cookie makes a connection. A RST is ignored.
    ///
    /// Source: RFC 9293 section 3.10.7.2; RFC 4987 section 3.6.
    ///
    /// # Errors
    /// [`Refusal::AckToListener`]: answer with a stateless RST. [`Refusal::NoSyn`], [`Refusal::BacklogFull`],
    /// [`Refusal::AcceptQueueFull`]: nothing to do.
    pub fn handle_syn(
        &mut self,
        cx: &mut Context<'_>,
        setup: &Setup,
        segment: &Segment<'_>,
    ) -> Result<Heard, Refusal> {
        let flags = segment.header.flags;
        if flags.ack()
            && !flags.intersects(Flags::SYN | Flags::RST)
            && let Some(result) = self.redeem(cx, setup, segment)
        {
            return result.map(Heard::Connection);
        }
        trace_received(cx, &setup.endpoints, segment);
        let result = self.listen(cx, setup, segment);
        trace_refusal(cx, &setup.endpoints, result)
    }

    /// The checks of RFC 9293 section 3.10.7.2, in its order.
    fn listen(
        &mut self,
        cx: &mut Context<'_>,
        setup: &Setup,
        segment: &Segment<'_>,
    ) -> Result<Heard, Refusal> {
        let header = &segment.header;
        let flags = header.flags;
        if flags.rst() {
            return Ok(Heard::Nothing);
        }
        if flags.ack() {
            return Err(Refusal::AckToListener);
        }
        if !flags.syn() {
            return Err(Refusal::NoSyn);
        }
        if self.half_open.find(&setup.endpoints).is_some() {
            // The owner knows better; the entry stays what it is, and its SYN,ACK is on its way.
            return Ok(Heard::Nothing);
        }
        if self.waiting >= self.backlog {
            return Err(Refusal::AcceptQueueFull);
        }
        let offer = Offer::new(&self.config, setup.receive_mss);
        let agreed = offer.agree(&setup.endpoints, header);
        let remote = &setup.endpoints.remote;
        let room = !self.short_of_memory
            && self
                .shares
                .has_room(self.half_open.len(), self.config.half_open, remote);
        match self.config.syn_cookies {
            SynCookies::Always => return Ok(self.owe_cookie(cx, setup, agreed)),
            SynCookies::WhenFull if !room => return Ok(self.owe_cookie(cx, setup, agreed)),
            SynCookies::Never if !room => return Err(Refusal::BacklogFull),
            _ => {}
        }
        self.shares.add(remote);
        let slot = self.half_open.insert(cx.now, *setup, agreed);
        trace_state(cx, &setup.endpoints, State::Listen, Event::Syn);
        self.owe(slot, Reason::Accept);
        Ok(Heard::HalfOpen)
    }

    /// Owes a SYN,ACK that remembers `agreed` itself.
    fn owe_cookie(&mut self, cx: &mut Context<'_>, setup: &Setup, agreed: Agreed) -> Heard {
        let agreed = Cookies::reduce(agreed);
        let cookie = self.cookies.make(cx.now, setup, &agreed);
        let header = Header {
            seq: cookie.iss,
            ..syn_ack(&self.config, setup, &agreed, cookie.timestamp)
        };
        self.answers
            .push_bare((setup.endpoints, header, Reason::Accept));
        Heard::Cookie
    }

    /// An acknowledgement for nobody: is it of a cookie? `None`: it is not.
    fn redeem(
        &mut self,
        cx: &mut Context<'_>,
        setup: &Setup,
        segment: &Segment<'_>,
    ) -> Option<Result<Box<Connection>, Refusal>> {
        let remembered = self
            .cookies
            .check(cx.now, &self.config, setup, &segment.header)?;
        if self.waiting >= self.backlog {
            trace_received(cx, &setup.endpoints, segment);
            if self.config.accept_overflow == AcceptOverflow::Reset {
                self.owe_reset(setup.endpoints, segment.header.ack);
            }
            let full = Err(Refusal::AcceptQueueFull);
            return Some(trace_refusal(cx, &setup.endpoints, full));
        }
        trace_state(cx, &setup.endpoints, State::Listen, Event::Syn);
        let setup = Setup {
            iss: remembered.iss,
            ..*setup
        };
        let syn_ack = SynAck {
            sent_at: remembered.sent_at,
            repeats: 0,
        };
        let opened = self.open(cx, setup, (remembered.agreed, syn_ack), segment);
        Some(Ok(opened))
    }

    /// Whether cookies were sent lately: acknowledgements that fit none may be forged, or too late.
    #[must_use]
    pub fn sends_cookies(&self, now: Instant) -> bool {
        self.cookies.recently_sent(now)
    }
}
