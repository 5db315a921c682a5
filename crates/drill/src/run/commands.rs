//! Back-quoted commands: before the script, during it, and after it.

use std::sync::Arc;

use woshou_tcp::State;

use super::Runner;
use crate::ast::Command;
use crate::command::{Effect, Turn, recognise};
use crate::profile::Knobs;
use crate::report::Stop;
use crate::span::Span;

/// A command before the first event: there are no sockets yet.
pub(super) fn before(knobs: &mut Knobs, text: &str, span: Span) -> Result<(), Stop> {
    for effect in recognise(text) {
        match effect {
            Effect::Set(turn) => turn
                .apply(knobs)
                .map_err(|name| Stop::unsupported(span, name))?,
            Effect::Defaults(profile) => *knobs = profile.knobs(),
            // Time has not begun, and there is nothing to be dropped.
            Effect::Nothing(_) | Effect::Drop(_) | Effect::Sleep(_) => {}
            Effect::Count { count: 0, .. } => {}
            Effect::Count { state, count } => {
                return Err(Stop::fail(
                    span,
                    format!("sockets in {state}: expected {count}, got 0"),
                ));
            }
            Effect::Unsupported(name) => return Err(Stop::unsupported(span, name)),
        }
    }
    Ok(())
}

/// The command after the last event: it cleans up, and there is nothing to clean.
pub(super) fn after(text: &str, span: Span) -> Result<(), Stop> {
    for effect in recognise(text) {
        match effect {
            Effect::Unsupported(name) => return Err(Stop::unsupported(span, name)),
            Effect::Count { state, .. } => {
                return Err(Stop::unsupported(
                    span,
                    format!("counting sockets in {state} after the script"),
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

impl Runner<'_> {
    pub(super) fn command(&mut self, command: &Command) -> Result<(), Stop> {
        let span = command.span;
        for effect in recognise(&command.text) {
            match effect {
                Effect::Set(turn) => self.turn(&turn, span)?,
                Effect::Defaults(profile) => {
                    self.knobs.tcp = profile.knobs().tcp;
                    self.retune();
                }
                Effect::Nothing(_) => {}
                Effect::Count { state, count } => self.count(&state, count, span)?,
                Effect::Drop(state) => self.drop_state(&state, span)?,
                Effect::Sleep(time) => {
                    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
                    self.advance(self.world.now().saturating_add(micros), span)?;
                }
                Effect::Unsupported(name) => return Err(Stop::unsupported(span, name)),
            }
        }
        Ok(())
    }

    fn turn(&mut self, turn: &Turn, span: Span) -> Result<(), Stop> {
        let mut knobs = self.knobs.clone();
        turn.apply(&mut knobs)
            .map_err(|name| Stop::unsupported(span, name))?;
        // What lies below TCP is fixed once the stack stands.
        let below = |knobs: &Knobs| {
            let stack = &knobs.stack;
            let answers = (stack.closed_ports, stack.drop_syn_fin);
            (knobs.mtu, stack.ttl, stack.replies_per_second, answers)
        };
        if below(&knobs) != below(&self.knobs) {
            return Err(Stop::unsupported(
                span,
                "changing the link or IP while the script runs",
            ));
        }
        self.knobs = knobs;
        self.retune();
        Ok(())
    }

    /// Connections made from now on, by present listeners too, have the knobs as they are.
    fn retune(&mut self) {
        self.world
            .sockets
            .set_tcp_config(Arc::new(self.knobs.tcp.clone()));
    }

    fn in_state(&self, name: &str) -> Option<usize> {
        let name = name.to_ascii_uppercase().replace('-', "_");
        let state = match name.as_str() {
            "LISTEN" => {
                let sockets = &self.world.sockets;
                return Some(
                    sockets
                        .open_sockets()
                        .filter(|fd| sockets.listener_id(*fd).is_some())
                        .count(),
                );
            }
            "ESTABLISHED" => State::Established,
            "SYN_SENT" => State::SynSent,
            "SYN_RCVD" | "SYN_RECV" | "SYN_RECEIVED" => State::SynReceived,
            "FIN_WAIT_1" => State::FinWait1,
            "FIN_WAIT_2" => State::FinWait2,
            "CLOSE_WAIT" => State::CloseWait,
            "CLOSING" => State::Closing,
            "LAST_ACK" => State::LastAck,
            "TIME_WAIT" => State::TimeWait,
            "CLOSED" => return Some(self.closed_sockets()),
            _ => return None,
        };
        let connections = self.world.sockets.stack.connections();
        Some(
            connections
                .iter()
                .filter(|(_, found)| *found == state)
                .count(),
        )
    }

    /// Sockets whose connection is over, or that never had one.
    fn closed_sockets(&self) -> usize {
        let sockets = &self.world.sockets;
        let closed = |fd: &i32| match sockets.connection_id(*fd) {
            Some(id) => sockets.stack.state(id) == State::Closed,
            None => sockets.listener_id(*fd).is_none(),
        };
        sockets.open_sockets().filter(closed).count()
    }

    fn count(&self, state: &str, count: usize, span: Span) -> Result<(), Stop> {
        let Some(got) = self.in_state(state) else {
            return Err(Stop::unsupported(
                span,
                format!("counting sockets in {state}"),
            ));
        };
        if got == count {
            return Ok(());
        }
        let mut message = format!("sockets in {state}: expected {count}, got {got}");
        for (ends, state) in self.world.sockets.stack.connections().iter().take(4) {
            message.push_str(&format!("; {} - {} is {state}", ends.local, ends.remote));
        }
        Err(Stop::fail(span, message))
    }

    fn drop_state(&self, state: &str, span: Span) -> Result<(), Stop> {
        match self.in_state(state) {
            Some(0) => Ok(()),
            _ => Err(Stop::unsupported(
                span,
                format!("tcpdrop of connections in {state}"),
            )),
        }
    }
}
