//! Runs a script once: its events in virtual time.

mod commands;
mod packets;
mod snapshot;

use std::collections::BTreeMap;

use woshou_posix::Fd;
use woshou_trace::Timeline;

use crate::ast::{Action, Direction, Event, Micros, Script};
use crate::calls::Pending;
use crate::code::{CodeErrorKind, Evaluator};
use crate::expect::Rules;
use crate::flow::Flows;
use crate::lenient::Lenient;
use crate::needs;
use crate::profile::Knobs;
use crate::report::{Stop, StopKind};
use crate::schedule::{Due, Schedule, Seconds};
use crate::settings::{Config, Settings};
use crate::span::Span;
use crate::world::{Overrun, World};
use snapshot::Block;

/// How long a packet that is late is waited for, beyond its time; so long as packetdrill waits.
const PATIENCE: Micros = 2_000_000;
/// How long a call waits for the blocking one before it.
const CALL_PATIENCE: Micros = 1_000_000;

/// What one run came to.
pub(crate) struct Outcome {
    pub(crate) result: Result<(), Stop>,
    pub(crate) output: String,
    pub(crate) timeline: Option<Timeline>,
}

pub(crate) struct Runner<'a> {
    pub(crate) config: &'a Config,
    pub(crate) settings: Settings,
    pub(crate) knobs: Knobs,
    pub(crate) world: World,
    pub(crate) flows: Flows,
    pub(crate) schedule: Schedule,
    /// The script's descriptors, and ours.
    pub(crate) fds: BTreeMap<i64, Fd>,
    pub(crate) pending: Option<Pending>,
    pub(crate) rules: Rules,
    blocks: Vec<Block>,
    lenient: Lenient,
}

/// Runs `script` once, with exactly these leniencies.
pub(crate) fn run(script: &Script, config: &Config, lenient: Lenient, record: bool) -> Outcome {
    let mut runner = match Runner::new(script, config, lenient, record) {
        Ok(runner) => runner,
        Err(stop) => {
            return Outcome {
                result: Err(stop),
                output: String::new(),
                timeline: None,
            };
        }
    };
    let mut result = runner.events(script);
    let timeline = runner.world.timeline();
    if result.is_ok() {
        result = runner.close(script);
    }
    let mut output = String::new();
    if result.is_ok() {
        result = runner.evaluate(&mut output);
    }
    Outcome {
        result,
        output,
        timeline,
    }
}

impl<'a> Runner<'a> {
    fn new(
        script: &Script,
        config: &'a Config,
        lenient: Lenient,
        record: bool,
    ) -> Result<Self, Stop> {
        let settings = Settings::new(config, &script.options)?;
        needs::check(script)?;
        let mut knobs = config.profile.knobs();
        if let Some((text, span)) = &settings.init_scripts {
            commands::before(&mut knobs, text, *span)?;
        }
        if let Some(command) = &script.init {
            commands::before(&mut knobs, &command.text, command.span)?;
        }
        let rules = Rules {
            lenient,
            timestamp_tick: settings.timestamp_tick,
            timestamp_slack: 0,
            check_echo: config.check_echo,
            aggregate: !settings.strict_segments,
        };
        let world = World::new(&knobs, &settings, config.profile, record);
        Ok(Self {
            config,
            settings,
            knobs,
            world,
            flows: Flows::new(),
            schedule: Schedule::default(),
            fds: BTreeMap::new(),
            pending: None,
            rules,
            blocks: Vec::new(),
            lenient,
        })
    }

    fn events(&mut self, script: &Script) -> Result<(), Stop> {
        for event in &script.events {
            self.event(event)?;
        }
        match &self.pending {
            Some(pending) => Err(Stop::fail(
                pending.span,
                format!(
                    "the script is over, and {} is still blocked",
                    pending.name()
                ),
            )),
            None => Ok(()),
        }
    }

    fn event(&mut self, event: &Event) -> Result<(), Stop> {
        let Some(due) = self.schedule.due(&event.when.value) else {
            return Err(Stop::error(
                event.when.span,
                "the absolute time lies before that of the event before",
            ));
        };
        match &event.action {
            Action::Packet(packet) if packet.direction == Direction::Out => {
                return self.expect(packet, due, event.span);
            }
            Action::Call(call) => return self.call(call, event, due),
            _ => {}
        }
        self.go_to(due, event.span)?;
        match &event.action {
            Action::Packet(packet) => self.inject(packet)?,
            Action::Command(command) => self.command(command)?,
            Action::Code(code) => self.block(code)?,
            Action::Call(_) => {}
        }
        self.finish(due);
        Ok(())
    }

    /// The event is over now.
    pub(crate) fn finish(&mut self, due: Due) {
        self.schedule.done(due, self.world.now());
    }

    /// The time of an event comes. It has passed already where a call before it took too long.
    pub(crate) fn go_to(&mut self, due: Due, span: Span) -> Result<(), Stop> {
        let Due::At(at) = due else {
            return Err(Stop::error(
                span,
                "only expected packets have a time like this",
            ));
        };
        self.advance(at, span)?;
        let slack = self.schedule.slack(at, &self.settings.tolerance);
        let now = self.world.now();
        due.check(now, slack)
            .map_err(|late| Stop::fail(span, format!("the time of this event has passed: {late}")))
    }

    /// Time goes on to `at`: timers fire, and a blocked call may return.
    pub(crate) fn advance(&mut self, at: Micros, span: Span) -> Result<(), Stop> {
        while self.tick(at, span)? {}
        self.world.set_clock(at);
        self.poll_pending()
    }

    /// The next thing that happens by itself, at or before `limit`; `false`: nothing does.
    pub(crate) fn tick(&mut self, limit: Micros, span: Span) -> Result<bool, Stop> {
        let timer = self.world.next_timer().filter(|at| *at <= limit);
        let call = self
            .pending
            .as_ref()
            .and_then(Pending::until)
            .filter(|at| *at <= limit);
        match (timer, call) {
            (timer, Some(call)) if timer.is_none_or(|timer| call < timer) => {
                self.world.set_clock(call);
                self.poll_pending()?;
                Ok(true)
            }
            (None, _) => Ok(false),
            (Some(_), _) => {
                let stepped = self
                    .world
                    .step(limit)
                    .map_err(|overrun| Self::overrun(span, overrun))?;
                self.poll_pending()?;
                Ok(stepped)
            }
        }
    }

    pub(crate) fn overrun(span: Span, overrun: Overrun) -> Stop {
        Stop::error(span, overrun.to_string())
    }

    /// A call waits for the blocking one before it, a second at most.
    pub(crate) fn wait_for_pending(&mut self, span: Span) -> Result<(), Stop> {
        let limit = self.world.now().saturating_add(CALL_PATIENCE);
        while self.pending.is_some() && self.tick(limit, span)? {}
        match &self.pending {
            None => Ok(()),
            Some(pending) => Err(Stop::fail(
                pending.span,
                format!(
                    "{} is still blocked at {} s, when the next call is to be made",
                    pending.name(),
                    Seconds(limit),
                ),
            )),
        }
    }

    /// The end of a script whose events all went well: its last command, its sockets, its assertions.
    fn close(&mut self, script: &Script) -> Result<(), Stop> {
        if let Some(command) = &script.cleanup {
            commands::after(&command.text, command.span)?;
        }
        let open: Vec<Fd> = self.world.sockets.open_sockets().collect();
        for fd in open {
            // What becomes of them is nobody's business any more.
            let _ = self.world.sockets.close(self.world.instant(), fd);
        }
        let _ = self.world.settle();
        self.reset_peer();
        Ok(())
    }

    fn evaluate(&mut self, output: &mut String) -> Result<(), Stop> {
        let mut evaluator = Evaluator::default();
        for block in &self.blocks {
            let result = evaluator.run(&block.text, &block.snapshot);
            evaluator.output().clone_into(output);
            result.map_err(|error| {
                let mut span = block.span;
                span.line = span.line.saturating_add(error.line);
                let kind = match error.kind {
                    CodeErrorKind::Assertion => StopKind::Fail {
                        message: error.message,
                        fields: Vec::new(),
                    },
                    CodeErrorKind::Unsupported => StopKind::Unsupported(error.message),
                    CodeErrorKind::Error => StopKind::Error(error.message),
                };
                Stop {
                    span: Some(span),
                    kind,
                }
            })?;
        }
        Ok(())
    }

    /// The leniencies of this run.
    pub(crate) const fn lenient(&self) -> Lenient {
        self.lenient
    }
}
