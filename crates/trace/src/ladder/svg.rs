//! The ladder as a picture: two time lines, coloured by state, and every segment as a slanted arrow between them.

mod layout;

use std::fmt::Write as _;

use woshou_tcp::{Instant, State};

use self::layout::{LINE, Layout, Placed, lay};
use super::story::{Arrow, Course, End, Mark, Row, Side, Story, tell};
use super::{Item, Options, label};
use crate::timeline::Timeline;
use crate::words::Word;

/// Width of the picture, and where the two time lines stand, in pixels.
const WIDTH: f64 = 960.0;
const LEFT: f64 = 206.0;
const RIGHT: f64 = WIDTH - LEFT;
/// From the top of a connection to the beginning of its time lines.
const HEAD: f64 = 84.0;
/// How much of its way a lost segment goes.
const LOST_AT: f64 = 0.72;

const STYLE: &str = "\
text{font-family:'Inter','Segoe UI','Helvetica Neue','DejaVu Sans','Noto Sans CJK SC',sans-serif;fill:#1f2937}\
.m,.b{font-family:'JetBrains Mono','SF Mono',Menlo,Consolas,'DejaVu Sans Mono','Noto Sans Mono CJK SC',monospace}\
.m{font-size:11.5px;fill:#111827;stroke:#fff;stroke-width:3px;stroke-linejoin:round;paint-order:stroke}\
.y{font-size:11.5px;fill:#6b7280;stroke:#fff;stroke-width:3px;stroke-linejoin:round;paint-order:stroke}\
.t{font-size:10.5px;fill:#9ca3af}\
.b{font-size:10.5px;font-weight:600;fill:#fff}\
.h{font-size:17px;font-weight:700}\
.a{font-size:12px;fill:#6b7280}\
.k{font-size:11.5px;font-weight:600}\
line,path{fill:none;stroke-linecap:round}";

/// Draws every connection of `timeline`, one beneath the other, as a self-contained SVG document.
///
/// `options.colour` is ignored: the picture always has colours.
#[must_use]
pub fn svg(timeline: &Timeline, options: &Options) -> String {
    let stories = tell(timeline);
    let mut canvas = Canvas {
        options: *options,
        out: String::new(),
    };
    let mut y = 0.0;
    for story in &stories {
        y = canvas.story(story, y) + 36.0;
    }
    if stories.is_empty() {
        canvas.words(
            "h",
            (WIDTH / 2.0, 60.0),
            "middle",
            options.lang.word(Word::Nothing),
        );
        y = 100.0;
    }
    let mut document = String::new();
    let _ = write!(
        document,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y:.0}\" \
         viewBox=\"0 0 {WIDTH} {y:.0}\" role=\"img\">\n<style>{STYLE}</style>\n\
         <rect width=\"{WIDTH}\" height=\"{y:.0}\" rx=\"14\" fill=\"#fff\"/>\n{}</svg>\n",
        canvas.out
    );
    document
}

/// The colour of a state: grey without a connection, amber while opening, green while open, violet while closing.
const fn colour(state: Option<State>) -> &'static str {
    match state {
        None => "#d1d5db",
        Some(State::Closed) => "#9ca3af",
        Some(State::Listen) => "#64748b",
        Some(State::SynSent | State::SynReceived) => "#d97706",
        Some(State::Established) => "#059669",
        Some(State::FinWait1 | State::FinWait2 | State::Closing) => "#7c3aed",
        Some(State::CloseWait | State::LastAck) => "#9333ea",
        Some(State::TimeWait) => "#4f46e5",
    }
}

/// Blue from the left, teal from the right, red when lost.
const fn ink(side: Side, course: Course) -> &'static str {
    match (course, side) {
        (Course::Lost(_), _) => "#dc2626",
        (_, Side::Left) => "#2563eb",
        (_, Side::Right) => "#0d9488",
    }
}

const fn x(side: Side) -> f64 {
    match side {
        Side::Left => LEFT,
        Side::Right => RIGHT,
    }
}

/// `1` into the space between the time lines, `-1` out of it, seen from `side`.
const fn inward(side: Side) -> f64 {
    match side {
        Side::Left => 1.0,
        Side::Right => -1.0,
    }
}

/// What a text at `side` is anchored by, when it grows inward.
const fn anchor(side: Side) -> &'static str {
    match side {
        Side::Left => "start",
        Side::Right => "end",
    }
}

/// The text as XML takes it; what XML 1.0 forbids becomes a space.
fn escape(words: &str) -> String {
    let mut out = String::new();
    for c in words.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\u{fffe}' | '\u{ffff}' => out.push(' '),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Milliseconds with three digits after the point.
fn clock(at: Instant) -> String {
    let micros = at.as_micros();
    format!("{}.{:03}", micros / 1000, micros % 1000)
}

struct Canvas {
    options: Options,
    out: String,
}

impl Canvas {
    fn words(&mut self, class: &str, (x, y): (f64, f64), anchor: &str, words: &str) {
        let words = escape(words);
        let _ = writeln!(
            self.out,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>"
        );
    }

    fn story(&mut self, story: &Story, top: f64) -> f64 {
        let start = top + HEAD;
        let layout = lay(story, &self.options, start + 22.0);
        let bottom = layout.bottom + 10.0;
        self.heading(&story.left, Side::Left, top);
        self.heading(&story.right, Side::Right, top);
        for side in [Side::Left, Side::Right] {
            self.time_line(story, &layout, side, (start, bottom));
        }
        self.words(
            "t",
            (14.0, start + 4.0),
            "start",
            self.options.lang.word(Word::TimeMs),
        );
        self.cuts(&layout);
        self.times(&layout);
        // Lines first, so that no line runs over words.
        for placed in &layout.placed {
            self.line_of(placed);
        }
        for placed in &layout.placed {
            self.words_of(placed);
        }
        bottom
    }

    fn heading(&mut self, end: &End, side: Side, top: f64) {
        let at = end.at.to_string();
        let name = if end.name.is_empty() {
            at.clone()
        } else {
            end.name.clone()
        };
        // Long addresses grow away from the edge.
        let (x, anchor) = match (side, at.len() > 30) {
            (Side::Left, true) => (14.0, "start"),
            (Side::Right, true) => (WIDTH - 14.0, "end"),
            (_, false) => (x(side), "middle"),
        };
        self.words("h", (x, top + 38.0), anchor, &name);
        if !end.name.is_empty() {
            self.words("m a", (x, top + 58.0), anchor, &at);
        }
    }

    /// The line in the colours of its states, and a badge at every change.
    fn time_line(
        &mut self,
        story: &Story,
        layout: &Layout<'_>,
        side: Side,
        (start, bottom): (f64, f64),
    ) {
        let first = story
            .before
            .get(usize::from(side == Side::Right))
            .copied()
            .flatten();
        let mut changes = vec![(start, first)];
        for placed in &layout.placed {
            if let Item::Row(row) = &placed.item
                && row.side == side
                && row.state.is_some()
            {
                changes.push((placed.y, row.state));
            }
        }
        let x = x(side);
        let ends = changes.iter().skip(1).map(|c| c.0).chain([bottom]);
        for ((y, state), end) in changes.iter().zip(ends) {
            let _ = writeln!(
                self.out,
                "<line x1=\"{x}\" y1=\"{y:.1}\" x2=\"{x}\" y2=\"{end:.1}\" stroke=\"{}\" stroke-width=\"4\"/>",
                colour(*state)
            );
        }
        for (y, state) in changes {
            let Some(state) = state else { continue };
            let name = state.name();
            let wide = 6.4 * f64::from(u8::try_from(name.len()).unwrap_or(u8::MAX)) + 16.0;
            let centre = x - inward(side) * (12.0 + wide / 2.0);
            let _ = writeln!(
                self.out,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{wide:.1}\" height=\"18\" rx=\"9\" fill=\"{}\">\
                 <title>{}</title></rect>",
                centre - wide / 2.0,
                y - 9.0,
                colour(Some(state)),
                escape(self.options.lang.state(state))
            );
            self.words("b", (centre, y + 3.8), "middle", name);
        }
    }

    /// Times at both edges, where there is room.
    fn times(&mut self, layout: &Layout<'_>) {
        for side in [Side::Left, Side::Right] {
            let (x, anchor) = match side {
                Side::Left => (14.0, "start"),
                Side::Right => (WIDTH - 14.0, "end"),
            };
            let mut last: Option<(f64, Instant)> = None;
            for &(_, y, at) in layout.times.iter().filter(|t| t.0 == side) {
                if last.is_none_or(|(above, then)| y - above >= 13.0 && then != at) {
                    self.words("t", (x, y + 3.8), anchor, &clock(at));
                    last = Some((y, at));
                }
            }
        }
    }

    /// A wavy gap in both lines, and how long it is.
    fn cuts(&mut self, layout: &Layout<'_>) {
        for cut in &layout.cuts {
            let y = cut.y;
            for side in [Side::Left, Side::Right] {
                let x = x(side);
                let _ = writeln!(
                    self.out,
                    "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"8\" height=\"10\" fill=\"#fff\"/>",
                    x - 4.0,
                    y - 5.0
                );
                for dy in [-5.0, 5.0] {
                    let _ = writeln!(
                        self.out,
                        "<path d=\"M{:.1} {:.1}q4 -5 8 0t8 0\" stroke=\"#9ca3af\" stroke-width=\"1.5\"/>",
                        x - 8.0,
                        y + dy
                    );
                }
            }
            let millis = cut.nanos / 1_000_000;
            let wait = if millis < 10_000 {
                format!("{millis} ms")
            } else {
                format!("{}.{} s", millis / 1000, millis % 1000 / 100)
            };
            self.words(
                "t",
                (WIDTH / 2.0, y + 4.0),
                "middle",
                &format!("⋯ {wait} ⋯"),
            );
        }
    }

    fn line_of(&mut self, placed: &Placed<'_>) {
        let Item::Row(Row {
            side,
            mark: Mark::Arrow(arrow),
            ..
        }) = placed.item
        else {
            return;
        };
        let stroke = ink(*side, arrow.course);
        let (x1, y1) = (x(*side) + inward(*side) * 4.0, placed.y);
        let (mut x2, mut y2) = (x(side.other()) - inward(*side) * 5.0, placed.end);
        if matches!(arrow.course, Course::Lost(_)) {
            x2 = x1 + (x2 - x1) * LOST_AT;
            y2 = y1 + (y2 - y1) * LOST_AT;
        }
        let dashes = match (arrow.copy, arrow.course) {
            (true, _) => " stroke-dasharray=\"2 5\"",
            (false, Course::Unknown) => " stroke-dasharray=\"7 5\"",
            _ => "",
        };
        let _ = writeln!(
            self.out,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{stroke}\" \
             stroke-width=\"1.8\"{dashes}/>"
        );
        if matches!(arrow.course, Course::Lost(_)) {
            let _ = writeln!(
                self.out,
                "<path d=\"M{:.1} {:.1}l12 12m0 -12l-12 12\" stroke=\"{stroke}\" stroke-width=\"3\"/>",
                x2 - 6.0,
                y2 - 6.0
            );
            return;
        }
        // The head: a triangle that follows the slant.
        let (cos, sin) = direction(x2 - x1, y2 - y1);
        let _ = writeln!(
            self.out,
            "<path d=\"M0 0L-11 -4.6L-8.5 0L-11 4.6Z\" style=\"fill:{stroke}\" \
             transform=\"matrix({cos:.4} {sin:.4} {:.4} {cos:.4} {x2:.1} {y2:.1})\"/>",
            -sin
        );
    }

    fn words_of(&mut self, placed: &Placed<'_>) {
        let row = match &placed.item {
            Item::Row(row) => row,
            Item::More {
                first,
                count,
                octets,
            } => {
                let lang = self.options.lang;
                let (more, unit) = (lang.word(Word::MoreSegments), lang.word(Word::Octets));
                let words = format!("… {count} {more}, {octets} {unit} …");
                let place = (x(first.side) + inward(first.side) * 18.0, placed.y + 4.0);
                self.words("y", place, anchor(first.side), &words);
                return;
            }
        };
        match &row.mark {
            Mark::Arrow(arrow) => self.arrow_words(row.side, arrow, placed),
            Mark::State => {}
            Mark::Timer(_) => self.timer(row, placed.y),
            Mark::Refused(_) | Mark::Ended(_) | Mark::Undone(_) | Mark::Late(..) => {
                let place = (x(row.side) + inward(row.side) * 14.0, placed.y + 4.0);
                let words = label::note(row, self.options.lang);
                self.coloured(place, "#b91c1c", (anchor(row.side), &words));
            }
        }
    }

    fn coloured(&mut self, (x, y): (f64, f64), fill: &str, (anchor, words): (&str, &str)) {
        let words = escape(words);
        let _ = writeln!(
            self.out,
            "<text class=\"y k\" style=\"fill:{fill}\" x=\"{x:.1}\" y=\"{y:.1}\" \
             text-anchor=\"{anchor}\">{words}</text>"
        );
    }

    /// A clock, drawn because not every font has one, and the timer's name.
    fn timer(&mut self, row: &Row, y: f64) {
        let x = x(row.side) + inward(row.side) * 19.0;
        let _ = writeln!(
            self.out,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"7\" fill=\"#fff\" stroke=\"#d97706\" stroke-width=\"1.8\"/>\
             <path d=\"M{x:.1} {:.1}v4.2l3 2\" stroke=\"#d97706\" stroke-width=\"1.6\"/>",
            y - 4.2
        );
        let words = label::note(row, self.options.lang);
        let words = words.trim_start_matches(['⏱', ' ']);
        let place = (x + inward(row.side) * 13.0, y + 4.0);
        self.coloured(place, "#b45309", (anchor(row.side), words));
    }

    /// Along the slant: the numbers above the arrow, the reason beneath.
    fn arrow_words(&mut self, side: Side, arrow: &Arrow, placed: &Placed<'_>) {
        let lang = self.options.lang;
        let (cos, sin) = direction(RIGHT - LEFT, (placed.end - placed.y) * inward(side));
        let _ = writeln!(
            self.out,
            "<g transform=\"matrix({cos:.4} {sin:.4} {:.4} {cos:.4} {:.1} {:.1})\">",
            -sin,
            x(side),
            placed.y
        );
        let offset = inward(side) * 18.0;
        let mut numbers = label::numbers(arrow);
        if let Some(inline) = label::inline(arrow, lang) {
            numbers = format!("{numbers} · {inline}");
        }
        self.words("m", (offset, -5.0), anchor(side), &numbers);
        let mut y = 13.5;
        for words in label::beneath(arrow, lang) {
            self.words("y", (offset, y), anchor(side), &words);
            y += LINE;
        }
        if let Course::Lost(fate) = arrow.course {
            let end = inward(side) * ((RIGHT - LEFT) * LOST_AT + 16.0);
            self.coloured((end, 4.0), "#dc2626", (anchor(side), lang.fate(fate)));
        }
        self.out.push_str("</g>\n");
    }
}

/// The unit vector along (`dx`, `dy`). A square root rounds alike on every machine; sines need not.
fn direction(dx: f64, dy: f64) -> (f64, f64) {
    let len = (dx * dx + dy * dy).sqrt().max(1.0);
    (dx / len, dy / len)
}

#[cfg(test)]
#[path = "svg_tests.rs"]
mod tests;
