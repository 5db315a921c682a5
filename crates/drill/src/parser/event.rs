//! Events and their times.

use super::cursor::{Lexeme, Parser, integer};
use crate::MAX_TIME;
use crate::ast::{Action, Code, Command, Direction, Event, Micros, Packet, When};
use crate::error::{Cause, ParseError};
use crate::lexer::Kind;
use crate::span::{Span, Spanned};

const ACTIONS: [&str; 4] = [
    "a packet (`<` or `>`)",
    "a system call",
    "a command in backticks",
    "`%{`",
];
const TIME: &str = "a time in seconds (0 to 1000000000)";

impl Parser<'_> {
    /// `event+`
    pub(super) fn events(&mut self) -> Result<Vec<Event>, ParseError> {
        let mut events: Vec<Event> = Vec::new();
        loop {
            let lexeme = self.look();
            let starts = matches!(
                lexeme.kind,
                Kind::Int | Kind::Hex | Kind::Octal | Kind::Float | Kind::Punct('+' | '*')
            );
            if !starts && !events.is_empty() {
                // A command without a time is the cleanup; anything else is in the way.
                let over = matches!(lexeme.kind, Kind::End | Kind::Command);
                return if over {
                    Ok(events)
                } else {
                    Err(self.wanted("the time of an event"))
                };
            }
            let event = self.event()?;
            self.check_order(events.last(), &event)?;
            events.push(event);
        }
    }

    /// The first event is at 0, and absolute times do not go back.
    fn check_order(&self, previous: Option<&Event>, event: &Event) -> Result<(), ParseError> {
        let span = event.when.span;
        let Some(previous) = previous else {
            return match event.when.value {
                When::Absolute(0) | When::Relative(0) => Ok(()),
                _ => Err(self.wrong(Cause::Misplaced, span, "the first event to be at time 0")),
            };
        };
        if let (When::Absolute(before), When::Absolute(now)) =
            (previous.when.value, event.when.value)
            && now < before
        {
            let wanted = format!("a time not before the {} of the event above", previous.when);
            return Err(self.wrong(Cause::Inconsistent, span, &wanted));
        }
        Ok(())
    }

    fn event(&mut self) -> Result<Event, ParseError> {
        let when = self.when()?;
        let lexeme = self.look();
        let action = match lexeme.kind {
            Kind::Punct('<' | '>') => Action::Packet(Box::new(self.packet()?)),
            Kind::Ellipsis | Kind::Word => Action::Call(Box::new(self.call(when.value)?)),
            Kind::Command => {
                self.bump();
                Action::Command(Command {
                    text: lexeme.text.to_owned(),
                    span: lexeme.span,
                })
            }
            Kind::Code => {
                self.bump();
                Action::Code(code(lexeme))
            }
            _ => {
                return Err(self.wanted_any(&ACTIONS));
            }
        };
        self.check_when(when, &action)?;
        Ok(Event {
            span: when.span.to(self.last_span()),
            when,
            action,
        })
    }

    /// Ranges and `*` say when a packet may come: what the script does itself needs one time.
    fn check_when(&self, when: Spanned<When>, action: &Action) -> Result<(), ParseError> {
        let expected = matches!(
            action,
            Action::Packet(packet) if matches!(**packet, Packet { direction: Direction::Out, .. })
        );
        let definite = matches!(when.value, When::Absolute(_) | When::Relative(_));
        if definite || expected {
            return Ok(());
        }
        let wanted = "a single time: only an expected packet (`>`) may have `*` or a range";
        Err(self.wrong(Cause::Misplaced, when.span, wanted))
    }

    fn when(&mut self) -> Result<Spanned<When>, ParseError> {
        let first = self.look().span;
        let value = if self.eat_punct('*') {
            When::Any
        } else if self.eat_punct('+') {
            let from = self.time()?;
            if self.eat_punct('~') {
                self.punct('+')?;
                let to = self.time_from(from.value)?;
                When::RelativeRange(from.value, to)
            } else {
                When::Relative(from.value)
            }
        } else {
            let from = self.time()?;
            if self.eat_punct('~') {
                let to = self.time_from(from.value)?;
                When::AbsoluteRange(from.value, to)
            } else {
                When::Absolute(from.value)
            }
        };
        Ok(Spanned::new(value, first.to(self.last_span())))
    }

    /// A time that is not before `from`.
    pub(super) fn time_from(&mut self, from: Micros) -> Result<Micros, ParseError> {
        let to = self.time()?;
        if to.value < from {
            let wanted = format!("a time not before {}", When::Absolute(from));
            return Err(self.wrong(Cause::Inconsistent, to.span, &wanted));
        }
        Ok(to.value)
    }

    /// Seconds, truncated to whole microseconds.
    pub(super) fn time(&mut self) -> Result<Spanned<Micros>, ParseError> {
        let lexeme = self.look();
        let value = match lexeme.kind {
            Kind::Float => micros(lexeme.text),
            Kind::Int | Kind::Hex | Kind::Octal => {
                integer(lexeme).and_then(|s| u64::try_from(s).ok()?.checked_mul(1_000_000))
            }
            _ => return Err(self.wanted(TIME)),
        };
        let Some(value) = value.filter(|value| *value <= MAX_TIME) else {
            return Err(self.out_of_range(lexeme.span, TIME));
        };
        self.bump();
        Ok(Spanned::new(value, lexeme.span))
    }
}

/// Microseconds of a decimal fraction in seconds, without a detour over floating point: `0.000007` is 7.
fn micros(text: &str) -> Option<Micros> {
    let (whole, fraction) = text.split_once('.')?;
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let digits = fraction.bytes().chain(core::iter::repeat(b'0')).take(6);
    let fraction = digits.fold(0, |sum, digit| {
        sum * 10 + u64::from(digit.wrapping_sub(b'0'))
    });
    whole.checked_mul(1_000_000)?.checked_add(fraction)
}

/// The text of a block, less the blanks at its ends: Python minds them.
fn code(lexeme: Lexeme<'_>) -> Code {
    let blank = [' ', '\t'];
    let front = lexeme.text.trim_start_matches(blank);
    let skipped = u32::try_from(lexeme.text.len() - front.len()).unwrap_or(0) + 2;
    let text = front.trim_end_matches(blank);
    let span = lexeme.span;
    let start = span.start + skipped;
    let end = start + u32::try_from(text.len()).unwrap_or(0);
    let text_span = Span {
        line: span.line,
        column: span.column + skipped,
        start,
        end,
    };
    Code {
        text: text.to_owned(),
        span,
        text_span,
    }
}
