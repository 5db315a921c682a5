//! System calls of the script, over the POSIX layer: made, waited for, and compared.

mod arguments;
mod perform;
mod reply;
mod request;

use std::net::SocketAddr;

use woshou_posix::{Stop as CallStop, WaitFor};

use crate::ast::{Call, Event, Micros, When};
use crate::flow::Stage;
use crate::report::Stop;
use crate::run::Runner;
use crate::schedule::Due;
use crate::span::Span;
use crate::world::World;
use perform::Reply;
use request::Request;

/// How long a call may block that the script does not mark as blocking: the tool would stand still so long.
const STANDSTILL: Micros = 3_600_000_000;

/// When a call must return.
#[derive(Clone, Copy, Debug)]
struct Return {
    started: Micros,
    due: Micros,
}

/// A call that waits.
pub(crate) struct Pending {
    pub(crate) span: Span,
    call: Call,
    request: Request,
    wait: WaitFor,
    /// The first that the call gave.
    until: Option<Micros>,
    returns: Option<Return>,
}

impl Pending {
    pub(crate) fn name(&self) -> String {
        format!("{}()", self.call.name.value)
    }

    /// When its own time runs out, in microseconds since the start of the script.
    pub(crate) const fn until(&self) -> Option<Micros> {
        self.until
    }
}

impl Runner<'_> {
    /// A call's turn has come.
    pub(crate) fn call(&mut self, call: &Call, event: &Event, due: Due) -> Result<(), Stop> {
        let span = event.span;
        let base = match event.when.value {
            When::Absolute(_) => 0,
            _ => self.schedule.base(),
        };
        self.go_to(due, span)?;
        self.wait_for_pending(span)?;
        let started = self.world.now();
        let returns = call.returns.map(|returns| Return {
            started,
            due: base.saturating_add(returns.value),
        });
        let request = Request::new(self, call)?;
        self.prepare(&request);
        let now = self.world.instant();
        let outcome = request.perform(&mut self.world.sockets, now);
        self.world
            .settle()
            .map_err(|overrun| Self::overrun(span, overrun))?;
        self.follow(&request);
        match outcome {
            Ok(reply) => self.returned(call, &request, &reply, (span, returns))?,
            Err(CallStop::Errno(errno)) => {
                self.returned(call, &request, &Reply::failed(errno), (span, returns))?;
            }
            Err(CallStop::Unsupported(name)) => return Err(Stop::unsupported(span, name)),
            Err(CallStop::Blocked(wait)) => {
                let until = wait.until.map(World::since_start);
                let call = call.clone();
                self.pending = Some(Pending {
                    span,
                    call,
                    request,
                    wait,
                    until,
                    returns,
                });
                if returns.is_none() {
                    self.stand_still(span)?;
                }
            }
        }
        self.finish(due);
        Ok(())
    }

    /// A call blocks that the script expects to return at once: nothing else happens until it does.
    fn stand_still(&mut self, span: Span) -> Result<(), Stop> {
        let limit = self.world.now().saturating_add(STANDSTILL);
        while self.pending.is_some() && self.tick(limit, span)? {}
        match &self.pending {
            None => Ok(()),
            Some(pending) => {
                let why = CallStop::Blocked(pending.wait).to_string();
                Err(Stop::fail(
                    span,
                    format!("{} does not return: {why}", pending.name()),
                ))
            }
        }
    }

    /// Something happened: a blocked call may go on.
    pub(crate) fn poll_pending(&mut self) -> Result<(), Stop> {
        let (now, now_instant) = (self.world.now(), self.world.instant());
        let Some(pending) = &mut self.pending else {
            return Ok(());
        };
        let ran_out = pending.until.is_some_and(|until| until <= now);
        let sockets = &mut self.world.sockets;
        let outcome = if ran_out {
            pending.request.give_up(sockets, now_instant, &pending.wait)
        } else if sockets.is_over(&pending.wait) {
            pending.request.resume(sockets, now_instant, &pending.wait)
        } else {
            return Ok(());
        };
        let span = pending.span;
        let reply = match outcome {
            Err(CallStop::Blocked(wait)) if !ran_out => {
                pending.wait = wait;
                return Ok(());
            }
            Err(CallStop::Blocked(_)) => Reply::value(0),
            Err(CallStop::Errno(errno)) => Reply::failed(errno),
            Err(CallStop::Unsupported(name)) => return Err(Stop::unsupported(span, name)),
            Ok(reply) => reply,
        };
        self.world
            .settle()
            .map_err(|overrun| Self::overrun(span, overrun))?;
        let Some(pending) = self.pending.take() else {
            return Ok(());
        };
        self.follow(&pending.request);
        self.returned(
            &pending.call,
            &pending.request,
            &reply,
            (span, pending.returns),
        )
    }

    /// A call returned: is it what the script says, and when it says?
    fn returned(
        &mut self,
        call: &Call,
        request: &Request,
        reply: &Reply,
        (span, returns): (Span, Option<Return>),
    ) -> Result<(), Stop> {
        self.check_reply(call, request, reply, span)?;
        if let Some(Return { started, due }) = returns {
            let slack = self.settings.tolerance.slack(due.saturating_sub(started));
            Due::At(due)
                .check(self.world.now(), slack)
                .map_err(|wrong| {
                    Stop::fail(span, format!("return of {}(): {wrong}", call.name.value))
                })?;
        }
        Ok(())
    }

    /// What a call tells about the flow of its socket, before it is made.
    fn prepare(&mut self, request: &Request) {
        match request {
            Request::Connect {
                script,
                to: Some(to),
                ..
            } => {
                let to = canonical(*to);
                if let Some(flow) = self.flows.by_fd(*script)
                    && flow.stage == Stage::New
                {
                    flow.remote = Some(to);
                    flow.stage = Stage::Talking;
                }
            }
            Request::Close { script, .. } => {
                self.flows.closed(*script);
                self.fds.remove(script);
            }
            _ => {}
        }
    }

    /// What it tells afterwards: where the socket is bound.
    fn follow(&mut self, request: &Request) {
        let (Request::Bind { script, fd, .. }
        | Request::Listen { script, fd, .. }
        | Request::Connect { script, fd, .. }) = request
        else {
            return;
        };
        let listening = self.world.sockets.listener_id(*fd).is_some();
        let local = self.world.sockets.getsockname(*fd).ok().map(canonical);
        if let Some(flow) = self.flows.by_fd(*script) {
            flow.local = local.filter(|local| local.port() != 0).or(flow.local);
            if listening {
                flow.stage = Stage::Listening;
            }
        }
    }
}

/// IPv4 addresses without the clothes of IPv6, and without scopes.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
