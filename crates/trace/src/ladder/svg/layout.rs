//! Where each row lies: time runs down, to scale, but never so fast that words collide, nor so slow that
//! a wait of a minute fills a page.

use woshou_tcp::Instant;

use super::super::story::{Course, Mark, Row, Side, Story};
use super::super::{Item, Options, items, label};

/// Pixels that the usual way of a packet takes.
const USUAL_WAY: f64 = 58.0;
/// The least that an arrow slants.
const LEAST_WAY: f64 = 34.0;
/// The most that a wait without events takes; longer ones are cut, and marked.
const LONGEST_WAIT: f64 = 84.0;
/// Height of a line of words.
pub(super) const LINE: f64 = 15.0;

/// Something drawn.
pub(super) struct Placed<'a> {
    pub(super) item: Item<'a>,
    /// Where it is on its side's line.
    pub(super) y: f64,
    /// Where the arrow ends; as `y` for everything else.
    pub(super) end: f64,
}

/// A wait that was cut: where, and for how long nothing happened.
pub(super) struct Cut {
    pub(super) y: f64,
    pub(super) nanos: u64,
}

/// A connection, laid out.
pub(super) struct Layout<'a> {
    pub(super) placed: Vec<Placed<'a>>,
    pub(super) cuts: Vec<Cut>,
    /// Where each side shows a time.
    pub(super) times: Vec<(Side, f64, Instant)>,
    /// Below everything.
    pub(super) bottom: f64,
}

/// A moment to place: when, arrivals before departures, which item.
type Point = (Instant, bool, usize);

#[expect(
    clippy::cast_precision_loss,
    reason = "pixels need no more than 52 bits of nanoseconds"
)]
fn pixels(nanos: u64, scale: f64) -> f64 {
    nanos as f64 * scale
}

/// Pixels a nanosecond: the median way of a packet is [`USUAL_WAY`] long.
fn scale(rows: &[Row]) -> f64 {
    let mut ways: Vec<u64> = rows
        .iter()
        .filter_map(|row| match &row.mark {
            Mark::Arrow(arrow) => match arrow.course {
                Course::Arrives(at) if at > row.at => Some(at.as_nanos() - row.at.as_nanos()),
                _ => None,
            },
            _ => None,
        })
        .collect();
    ways.sort_unstable();
    // Without arrivals (a live stack): a millisecond is a line.
    ways.get(ways.len() / 2)
        .map_or(LINE / 1e6, |way| USUAL_WAY / pixels((*way).max(1), 1.0))
}

/// Lays `story` out from `top` down.
pub(super) fn lay<'a>(story: &'a Story, options: &Options, top: f64) -> Layout<'a> {
    let mut layout = Layout {
        placed: Vec::new(),
        cuts: Vec::new(),
        times: Vec::new(),
        bottom: top,
    };
    let mut points: Vec<Point> = Vec::new();
    for (n, item) in items(&story.rows, options.brief).into_iter().enumerate() {
        let at = match &item {
            Item::Row(row) | Item::More { first: row, .. } => row.at,
        };
        points.push((at, true, n));
        if let Item::Row(Row {
            mark: Mark::Arrow(arrow),
            ..
        }) = &item
            && let Course::Arrives(end) = arrow.course
        {
            points.push((end, false, n));
        }
        layout.placed.push(Placed {
            item,
            y: top,
            end: top,
        });
    }
    // An arrival at the instant of its own departure must still come after it.
    points.sort_by_key(|&(at, departs, n)| {
        let own = departs || layout.placed.get(n).is_some_and(|p| instant(p) == at);
        (at, own, n, !departs)
    });
    let mut pen = Pen {
        scale: scale(&story.rows),
        now: points.first().map_or(Instant::ZERO, |p| p.0),
        floor: top,
        free: [top; 2],
        under_way: Instant::ZERO,
    };
    for point in points {
        pen.place(&mut layout, point, options);
    }
    layout.bottom = pen.free[0].max(pen.free[1]);
    layout
}

fn instant(placed: &Placed<'_>) -> Instant {
    match &placed.item {
        Item::Row(row) | Item::More { first: row, .. } => row.at,
    }
}

/// Goes down both time lines together.
struct Pen {
    scale: f64,
    now: Instant,
    /// Nothing of this instant lies above it.
    floor: f64,
    /// From where each side is free.
    free: [f64; 2],
    /// When the last of the packets on their way arrives.
    under_way: Instant,
}

impl Pen {
    fn place(&mut self, layout: &mut Layout<'_>, (at, departs, n): Point, options: &Options) {
        self.advance(at, layout);
        let Some(placed) = layout.placed.get_mut(n) else {
            return;
        };
        let (row, more) = match &placed.item {
            Item::Row(row) => (*row, false),
            Item::More { first, .. } => (*first, true),
        };
        let side = if departs { row.side } else { row.side.other() };
        let lane = usize::from(side == Side::Right);
        let (above, below) = match &row.mark {
            Mark::Arrow(arrow) if departs && !more => {
                let lines = label::beneath(arrow, options.lang).len();
                // A whole line is less than the eye thinks: count what hangs below the slant.
                (
                    LINE,
                    9.0 + LINE * f64::from(u8::try_from(lines).unwrap_or(u8::MAX)),
                )
            }
            Mark::Arrow(_) if !more => (0.0, 4.0),
            // Words hang lower the farther they are from their line's beginning.
            Mark::State => (10.0, 12.0),
            _ => (20.0, 12.0),
        };
        let free = self.free.get(lane).copied().unwrap_or(self.floor);
        let mut y = (free + above).max(self.floor);
        if departs {
            placed.y = y;
            placed.end = y + USUAL_WAY;
            if let Mark::Arrow(arrow) = &row.mark
                && let Course::Arrives(end) = arrow.course
            {
                self.under_way = self.under_way.max(end);
            }
        } else {
            let way = pixels(at.as_nanos().saturating_sub(row.at.as_nanos()), self.scale);
            y = y.max(placed.y + way.clamp(LEAST_WAY, LONGEST_WAIT * 2.0));
            placed.end = y;
        }
        if let Some(free) = self.free.get_mut(lane) {
            *free = y + below;
        }
        layout.times.push((side, y, at));
    }

    /// Lets the time run to `at`.
    fn advance(&mut self, at: Instant, layout: &mut Layout<'_>) {
        let nanos = at.as_nanos().saturating_sub(self.now.as_nanos());
        let run = pixels(nanos, self.scale);
        self.now = at;
        // No cut through an arrow.
        if run <= LONGEST_WAIT || at <= self.under_way {
            self.floor += run.min(LONGEST_WAIT);
            return;
        }
        let busy = self.free[0].max(self.free[1]).max(self.floor);
        layout.cuts.push(Cut {
            y: busy + LONGEST_WAIT / 2.0,
            nanos,
        });
        self.floor = busy + LONGEST_WAIT;
    }
}
