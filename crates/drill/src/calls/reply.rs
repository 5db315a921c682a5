//! What a call gave, beside what the script says it gives.

use woshou_posix::{EpollEvent, Errno, Figure, Figures, Personality, PollFd, Value};

use super::arguments::{int, int32};
use super::canonical;
use super::perform::{Given, Reply};
use super::request::{Request, epoll_event};
use crate::ast::{Call, Expr, ExprKind};
use crate::profile::Profile;
use crate::report::{FieldPair, Stop};
use crate::run::Runner;
use crate::span::Span;

impl Runner<'_> {
    /// Compares `reply` with the script's result, and with what the script says of memory that the call filled in.
    pub(super) fn check_reply(
        &mut self,
        call: &Call,
        request: &Request,
        reply: &Reply,
        span: Span,
    ) -> Result<(), Stop> {
        let mut fields = Vec::new();
        let expected = match &call.result.kind {
            ExprKind::Ellipsis => None,
            _ => Some(int(&call.result)?),
        };
        let descriptor = match reply.given {
            Given::Descriptor(fd, peer) => Some((fd, peer)),
            _ => None,
        };
        match (expected, descriptor) {
            (Some(number), Some((fd, peer))) => {
                let agree = number >= 0;
                field(
                    &mut fields,
                    "result",
                    number,
                    format!("a descriptor ({fd})"),
                    agree,
                );
                if agree {
                    self.name_descriptor(
                        number,
                        (fd, peer),
                        matches!(request, Request::Socket { .. }),
                    );
                }
            }
            (Some(number), None) => {
                let got = match reply.errno {
                    Some(errno) => format!("-1 {}", errno.name()),
                    None => reply.result.to_string(),
                };
                let wanted = match &call.errno {
                    Some(errno) => format!("{number} {}", errno.value),
                    None => number.to_string(),
                };
                let mut agree = number == reply.result;
                if let Some(name) = &call.errno {
                    agree &= reply.errno.is_some() && reply.errno == Errno::from_name(&name.value);
                }
                field(&mut fields, "result", wanted, got, agree);
            }
            (None, Some((_, _))) | (None, None) => {}
        }
        if reply.result >= 0 {
            self.check_given(call, request, &reply.given, &mut fields)?;
        }
        if fields.iter().all(|field| field.agree) {
            return Ok(());
        }
        let message = format!("{}(): {}", call.name.value, crate::expect::summary(&fields));
        Err(Stop::fields(span, message, fields))
    }

    /// The script calls our descriptor `number` from now on.
    fn name_descriptor(
        &mut self,
        number: i64,
        (fd, peer): (i32, Option<std::net::SocketAddr>),
        new: bool,
    ) {
        self.fds.insert(number, fd);
        match peer {
            Some(peer) => self.flows.accepted(number, canonical(peer)),
            None if new => self.flows.opened(number),
            None => {}
        }
    }

    fn personality(&self) -> Personality {
        match self.config.profile {
            Profile::FreeBsd => Personality::FreeBsd,
            Profile::Linux | Profile::Woshou => Personality::Linux,
        }
    }

    fn check_given(
        &self,
        call: &Call,
        request: &Request,
        given: &Given,
        fields: &mut Vec<FieldPair>,
    ) -> Result<(), Stop> {
        match given {
            Given::Nothing | Given::Descriptor(..) => Ok(()),
            Given::Received(received) => match call.arguments.get(1) {
                Some(message) if call.name.value == "recvmsg" => {
                    check_message(message, received, fields)
                }
                _ => Ok(()),
            },
            Given::Value(value) => match call.arguments.get(3) {
                Some(expected) => self.check_value(expected, value, fields),
                None => Ok(()),
            },
            Given::Number(number) => match call.arguments.get(2) {
                Some(expected)
                    if !matches!(
                        request,
                        Request::Ioctl {
                            what: woshou_posix::Ioctl::NonBlocking(_),
                            ..
                        }
                    ) =>
                {
                    check_number(expected, i64::from(*number), fields)
                }
                _ => Ok(()),
            },
            Given::Polled(polled) => match call.arguments.first() {
                Some(list) => check_polled(list, polled, fields),
                None => Ok(()),
            },
            Given::Events(events) => match call.arguments.get(1) {
                Some(list) => check_events(list, events, fields),
                None => Ok(()),
            },
        }
    }

    /// `[4]`, `[ECONNRESET]`, `{onoff=1, linger=0}`, `"reno"`, `...`
    fn check_value(
        &self,
        expected: &Expr,
        got: &Value,
        fields: &mut Vec<FieldPair>,
    ) -> Result<(), Stop> {
        let expected = match &expected.kind {
            ExprKind::List(elements) => match elements.first() {
                Some(one) => one,
                None => return Ok(()),
            },
            _ => expected,
        };
        if matches!(expected.kind, ExprKind::Ellipsis) {
            return Ok(());
        }
        match got {
            Value::Int(number) => {
                // Errors are numbers, and each system has its own.
                let wanted = match expected.word().and_then(Errno::from_name) {
                    Some(errno) => errno.number(self.personality()).into(),
                    None => int(expected)?,
                };
                field(fields, "value", expected, number, wanted == *number);
            }
            Value::Linger { on, seconds } => check_linger(expected, (*on, *seconds), fields)?,
            Value::Name(name) => {
                let wanted = expected.text().unwrap_or("");
                field(fields, "value", wanted, name, wanted == name);
            }
            Value::Figures(figures) => check_figures(expected, figures, fields)?,
            Value::Time(_) | Value::Invalid => {
                return Err(Stop::unsupported(expected.span, "the value of this option"));
            }
        }
        Ok(())
    }
}

fn field(
    fields: &mut Vec<FieldPair>,
    name: &'static str,
    expected: impl ToString,
    got: impl ToString,
    agree: bool,
) {
    fields.push(FieldPair {
        name,
        expected: expected.to_string(),
        got: got.to_string(),
        agree,
    });
}

/// The `revents` that the script states.
fn check_polled(list: &Expr, polled: &[PollFd], fields: &mut Vec<FieldPair>) -> Result<(), Stop> {
    let entries = list.list().unwrap_or(core::slice::from_ref(list));
    for (entry, polled) in entries.iter().zip(polled) {
        if let Some(revents) = entry.field("revents") {
            let wanted = int32(revents)?;
            let text = |flags: i32| format!("{flags:#x}");
            let agree = wanted == polled.revents;
            field(fields, "revents", text(wanted), text(polled.revents), agree);
        }
    }
    Ok(())
}

/// The events of `epoll_wait`, as many as there are.
fn check_events(
    list: &Expr,
    events: &[EpollEvent],
    fields: &mut Vec<FieldPair>,
) -> Result<(), Stop> {
    if matches!(list.kind, ExprKind::Ellipsis) {
        return Ok(());
    }
    let entries = list.list().unwrap_or(core::slice::from_ref(list));
    for (entry, got) in entries.iter().zip(events) {
        let Some(wanted) = epoll_event(entry)? else {
            continue;
        };
        let text = |event: &EpollEvent| format!("{:#x} of {}", event.events, event.data);
        field(fields, "event", text(&wanted), text(got), wanted == *got);
    }
    Ok(())
}

fn check_linger(
    expected: &Expr,
    (on, seconds): (bool, u16),
    fields: &mut Vec<FieldPair>,
) -> Result<(), Stop> {
    let wanted = |names: [&str; 2]| {
        let value = names.iter().find_map(|name| expected.field(name));
        value.map(int).transpose()
    };
    if let Some(wanted) = wanted(["onoff", "l_onoff"])? {
        field(fields, "onoff", wanted, u8::from(on), (wanted != 0) == on);
    }
    if let Some(wanted) = wanted(["linger", "l_linger"])? {
        let agree = wanted == i64::from(seconds);
        field(fields, "linger", wanted, seconds, agree);
    }
    Ok(())
}

/// The members of a structure that the script states.
fn check_figures(
    expected: &Expr,
    figures: &Figures,
    fields: &mut Vec<FieldPair>,
) -> Result<(), Stop> {
    for member in expected.fields().unwrap_or(&[]) {
        let Some(name) = &member.name else { continue };
        if matches!(member.value.kind, ExprKind::Ellipsis) {
            continue;
        }
        let wanted = int(&member.value)?;
        let Figure::Known(number) = figures.get(&name.value) else {
            return Err(Stop::unsupported(name.span, name.value.clone()));
        };
        let agree = u64::try_from(wanted) == Ok(number);
        let text = |number: String| format!("{name}={number}");
        field(
            fields,
            "value",
            text(wanted.to_string()),
            text(number.to_string()),
            agree,
        );
    }
    Ok(())
}

/// `[N]`
fn check_number(expected: &Expr, got: i64, fields: &mut Vec<FieldPair>) -> Result<(), Stop> {
    let expected = expected
        .list()
        .and_then(|list| list.first())
        .unwrap_or(expected);
    if !matches!(expected.kind, ExprKind::Ellipsis) {
        let wanted = int(expected)?;
        field(fields, "value", wanted, got, wanted == got);
    }
    Ok(())
}

/// `msg_flags` and `msg_control` of `recvmsg`.
fn check_message(
    message: &Expr,
    got: &woshou_posix::Received,
    fields: &mut Vec<FieldPair>,
) -> Result<(), Stop> {
    if let Some(flags) = message.field("msg_flags") {
        let wanted = int32(flags)?;
        field(
            fields,
            "msg_flags",
            format!("{wanted:#x}"),
            format!("{:#x}", got.flags),
            wanted == got.flags,
        );
    }
    let Some(control) = message.field("msg_control") else {
        return Ok(());
    };
    for entry in control.list().unwrap_or(core::slice::from_ref(control)) {
        let kind = entry.field("cmsg_type").and_then(Expr::word).unwrap_or("?");
        if !matches!(kind, "TCP_CM_INQ" | "TCP_INQ") {
            return Err(Stop::unsupported(
                entry.span,
                format!("control data {kind}"),
            ));
        }
        let wanted = entry.field("cmsg_data").map(int).transpose()?;
        let wanted_text = wanted.map_or_else(|| "any".to_owned(), |number| number.to_string());
        let got_text = got
            .inq
            .map_or_else(|| "none".to_owned(), |number| number.to_string());
        let agree = got
            .inq
            .is_some_and(|inq| wanted.is_none_or(|wanted| wanted == i64::from(inq)));
        field(fields, "TCP_INQ", wanted_text, got_text, agree);
    }
    Ok(())
}
