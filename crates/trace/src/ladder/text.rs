//! The ladder as text, at most [`WIDTH`] columns wide.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;
use woshou_tcp::{Instant, State};

use super::story::{Arrow, Course, End, Mark, Row, Side, Story, tell};
use super::{Item, Options, items, label};
use crate::timeline::Timeline;
use crate::words::Word;

/// The most columns a line takes.
pub const WIDTH: usize = 100;

/// Columns of the time, of a state, and between the two time lines.
const TIME: usize = 9;
const STATE: usize = 12;
const ZONE: usize = WIDTH - TIME - 2 * (STATE + 2) - 1;

/// Columns that the arrow of a lost segment keeps away from the other side.
const SHORT: usize = 4;

/// Draws every connection of `timeline`; lines end in `\n` and are at most [`WIDTH`] columns wide.
#[must_use]
pub fn text(timeline: &Timeline, options: &Options) -> String {
    let stories = tell(timeline);
    let mut page = Page {
        options: *options,
        out: String::new(),
    };
    for (n, story) in stories.iter().enumerate() {
        if stories.len() > 1 {
            let lang = options.lang;
            let (word, of) = (lang.word(Word::Connection), lang.word(Word::Of));
            if n > 0 {
                page.out.push('\n');
            }
            page.line(&format!("── {word} {} {of} {} ──", n + 1, stories.len()));
        }
        page.story(story);
    }
    if stories.is_empty() {
        page.line(options.lang.word(Word::Nothing));
    }
    if timeline.dropped() > 0 {
        let word = options.lang.word(Word::Dropped);
        page.line(&format!("({} {word})", timeline.dropped()));
    }
    page.out
}

/// ANSI colours: arrows of each side, losses, states, timers, and what is said beneath.
#[derive(Clone, Copy)]
enum Ink {
    Left,
    Right,
    Lost,
    State,
    Timer,
    Faint,
    Plain,
}

impl Ink {
    const fn code(self) -> &'static str {
        match self {
            Self::Left => "\x1b[36m",
            Self::Right => "\x1b[35m",
            Self::Lost => "\x1b[31m",
            Self::State => "\x1b[1;32m",
            Self::Timer => "\x1b[33m",
            Self::Faint => "\x1b[2m",
            Self::Plain => "",
        }
    }
}

struct Page {
    options: Options,
    out: String,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    fn ink(&self, words: &str, ink: Ink) -> String {
        if !self.options.colour || ink.code().is_empty() || words.trim().is_empty() {
            return words.to_owned();
        }
        format!("{}{words}\x1b[0m", ink.code())
    }

    fn story(&mut self, story: &Story) {
        self.heading(&story.left, &story.right);
        if let Some(first) = story.rows.first()
            && story.before != [None, None]
        {
            self.rung(Some(first.at), story.before, ("", Ink::Plain), Side::Left);
        }
        for item in items(&story.rows, self.options.brief) {
            match item {
                Item::Row(row) => self.row(row),
                Item::More { count, octets, .. } => {
                    let lang = self.options.lang;
                    let (more, unit) = (lang.word(Word::MoreSegments), lang.word(Word::Octets));
                    let words = format!("   … {count} {more}, {octets} {unit} …");
                    self.rung(None, [None, None], (&words, Ink::Faint), Side::Left);
                }
            }
        }
    }

    fn heading(&mut self, left: &End, right: &End) {
        let room = WIDTH - TIME - 1;
        let title = |end: &End| {
            let gap = if end.name.is_empty() { "" } else { " " };
            fit(&format!("{}{gap}{}", end.name, end.at), room)
        };
        let (left, right) = (title(left), title(right));
        let time = self.options.lang.word(Word::TimeMs);
        let time = format!("{}{time}", " ".repeat(TIME.saturating_sub(time.width())));
        if left.width() + right.width() + 2 <= room {
            let gap = " ".repeat(room - left.width() - right.width());
            self.line(&format!("{time} {left}{gap}{right}"));
        } else {
            // Two long IPv6 addresses do not fit side by side.
            self.line(&format!("{time} {left}"));
            self.line(&format!("{}{right}", " ".repeat(WIDTH - right.width())));
        }
    }

    fn row(&mut self, row: &Row) {
        let states = match row.side {
            Side::Left => [row.state, None],
            Side::Right => [None, row.state],
        };
        let lang = self.options.lang;
        match &row.mark {
            Mark::Arrow(arrow) => self.arrow(row, states, arrow),
            Mark::State => {
                let words = row.state.map_or("", |state| lang.state(state));
                self.rung(
                    Some(row.at),
                    states,
                    (&aside(words, row.side), Ink::Faint),
                    row.side,
                );
            }
            Mark::Timer(_)
            | Mark::Refused(_)
            | Mark::Ended(_)
            | Mark::Undone(_)
            | Mark::Late(..) => {
                let ink = match row.mark {
                    Mark::Timer(_) => Ink::Timer,
                    Mark::Undone(_) => Ink::State,
                    _ => Ink::Lost,
                };
                let words = aside(&label::note(row, lang), row.side);
                self.rung(Some(row.at), states, (&words, ink), row.side);
            }
        }
    }

    fn arrow(&mut self, row: &Row, states: [Option<State>; 2], arrow: &Arrow) {
        let lang = self.options.lang;
        let (tail, short) = match arrow.course {
            Course::Lost(fate) => (lang.fate(fate), SHORT),
            Course::Unknown | Course::Arrives(_) => ("", 0),
        };
        // `─ ` label ` ─▶`, or ` ─✗ lost`.
        let gap = usize::from(!tail.is_empty());
        let room = ZONE.saturating_sub(5 + short + tail.width() + gap);
        let mut below = label::beneath(arrow, lang);
        let mut words = label::numbers(arrow);
        if let Some(inline) = label::inline(arrow, lang) {
            if words.width() + 3 + inline.width() <= room {
                words = format!("{words} · {inline}");
            } else {
                below.insert(0, inline);
            }
        }
        if words.width() > room {
            words = words.replace("  ", " ");
        }
        let words = fit(&words, room);
        let dashes = "─".repeat(room - words.width() + 1);
        let blank = " ".repeat(short);
        let zone = match (row.side, tail.is_empty()) {
            (Side::Left, true) => format!("─ {words} {dashes}▶"),
            (Side::Left, false) => format!("─ {words} {dashes}✗ {tail}{blank}"),
            (Side::Right, true) => format!("◀{dashes} {words} ─"),
            (Side::Right, false) => format!("{blank}{tail} ✗{dashes} {words} ─"),
        };
        let ink = match (tail.is_empty(), row.side) {
            (false, _) => Ink::Lost,
            (true, Side::Left) => Ink::Left,
            (true, Side::Right) => Ink::Right,
        };
        self.rung(Some(row.at), states, (&zone, ink), row.side);
        for line in below.iter().flat_map(|words| wrap(words, ZONE - 4)) {
            self.rung(
                None,
                [None, None],
                (&aside(&line, row.side), Ink::Faint),
                row.side,
            );
        }
    }

    /// One line: time, both states, and what lies between the time lines, set against `side`.
    fn rung(
        &mut self,
        at: Option<Instant>,
        [left, right]: [Option<State>; 2],
        (zone, ink): (&str, Ink),
        side: Side,
    ) {
        let time = at.map_or(String::new(), millis);
        let zone = fit(zone, ZONE);
        let space = " ".repeat(ZONE - zone.width());
        let (before, after) = match side {
            Side::Left => ("", space.as_str()),
            Side::Right => (space.as_str(), ""),
        };
        let arrow = zone.starts_with('─') || zone.ends_with('─');
        let rail = |own| {
            if arrow && side == own {
                if own == Side::Left { '├' } else { '┤' }
            } else {
                '│'
            }
        };
        let name = |state: Option<State>| state.map_or("", State::name);
        let mut line = String::new();
        let _ = write!(
            line,
            "{} {} {}{before}{}{after}{} {}",
            self.ink(&format!("{time:>TIME$}"), Ink::Faint),
            self.ink(&format!("{:<STATE$}", name(left)), Ink::State),
            rail(Side::Left),
            self.ink(&zone, ink),
            rail(Side::Right),
            self.ink(name(right), Ink::State),
        );
        self.line(&line);
    }
}

/// Milliseconds with three digits after the point; whole seconds once that is too long for the column.
fn millis(at: Instant) -> String {
    let micros = at.as_micros();
    let short = format!("{}.{:03}", micros / 1000, micros % 1000);
    if short.len() <= TIME {
        short
    } else {
        format!("{}s", micros / 1_000_000)
    }
}

/// Words beside a time line.
fn aside(words: &str, side: Side) -> String {
    match side {
        Side::Left => format!("  {words}"),
        Side::Right => format!("{words}  "),
    }
}

/// Cuts `words` to `room` columns, the last of them an ellipsis.
fn fit(words: &str, room: usize) -> String {
    if words.width() <= room {
        return words.to_owned();
    }
    let mut cut = String::new();
    for c in words.chars() {
        // The width of the whole, not of its characters: a variation selector widens the one before it.
        cut.push(c);
        if cut.width() + 1 > room {
            cut.pop();
            break;
        }
    }
    cut.push('…');
    cut
}

/// Breaks `words` at spaces into lines of at most `room` columns; what has no space is cut.
fn wrap(words: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split(' ') {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(fit(word, room)),
        }
    }
    lines
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
