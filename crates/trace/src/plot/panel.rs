//! A panel as data: what is to be seen on it, in its own units; [`super::draw`] puts it on the page.

use woshou_tcp::Instant;

use super::tracks::Curve;

/// Red, green, blue.
pub(super) type Colour = (u8, u8, u8);

/// Of the page itself.
pub(super) const INK: Colour = (0x1f, 0x29, 0x37);
pub(super) const GREY: Colour = (0x9c, 0xa3, 0xaf);
pub(super) const RED: Colour = (0xdc, 0x26, 0x26);
pub(super) const GREEN: Colour = (0x05, 0x96, 0x69);
pub(super) const VIOLET: Colour = (0x7c, 0x3a, 0xed);
pub(super) const AMBER: Colour = (0xd9, 0x77, 0x06);

/// Columns of a panel that are told apart: what is finer is drawn as its extremes.
const COLUMNS: f64 = 1100.0;

/// A stretch of time, seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Frame {
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Frame {
    pub(super) fn holds(&self, at: f64) -> bool {
        self.from <= at && at <= self.to
    }

    /// Which column of the panel `at` is in.
    pub(super) fn column(&self, at: f64) -> i64 {
        let share = (at - self.from) / (self.to - self.from).max(1e-9);
        #[expect(clippy::cast_possible_truncation, reason = "a number of a column")]
        let column = (share * COLUMNS).floor() as i64;
        column
    }
}

/// One thing to be seen.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// A curve.
    Line {
        points: Vec<(f64, f64)>,
        colour: Colour,
        look: Look,
    },
    /// The ground beneath a curve.
    Ground {
        points: Vec<(f64, f64)>,
        colour: Colour,
    },
    /// A stretch of time, from top to bottom, perhaps with a name.
    Band {
        span: Frame,
        colour: Colour,
        name: String,
    },
    /// Something at one time, from one height to another.
    Stroke {
        at: f64,
        from: f64,
        to: f64,
        colour: Colour,
        width: u32,
    },
    /// Something at one time and one height.
    Mark {
        at: f64,
        y: f64,
        colour: Colour,
        form: Form,
    },
}

/// How a curve is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Bold,
    Thin,
    Dashed,
}

/// How a mark is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Dot,
    Cross,
    /// At the upper edge of the panel.
    Tick,
}

/// An entry of a legend.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Key {
    pub(super) colour: Colour,
    pub(super) sample: Sample,
    pub(super) words: String,
}

/// What stands before the words of a [`Key`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sample {
    Line(Look),
    Mark(Form),
    Block,
}

/// One panel.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Panel {
    /// What is shown, with its unit.
    pub(super) title: String,
    pub(super) height: u32,
    pub(super) x: Frame,
    pub(super) y: (f64, f64),
    pub(super) legend: Vec<Key>,
    pub(super) shapes: Vec<Shape>,
}

impl Panel {
    pub(super) fn new(title: impl Into<String>, height: u32, x: Frame) -> Self {
        Self {
            title: title.into(),
            height,
            x,
            y: (0.0, 1.0),
            legend: Vec::new(),
            shapes: Vec::new(),
        }
    }

    pub(super) fn key(&mut self, colour: Colour, sample: Sample, words: impl Into<String>) {
        let words = words.into();
        if !self.legend.iter().any(|key| key.words == words) {
            self.legend.push(Key {
                colour,
                sample,
                words,
            });
        }
    }

    pub(super) fn line(&mut self, points: Vec<(f64, f64)>, colour: Colour, look: Look) {
        self.shapes.push(Shape::Line {
            points,
            colour,
            look,
        });
    }

    pub(super) fn mark(&mut self, at: f64, y: f64, colour: Colour, form: Form) {
        self.shapes.push(Shape::Mark {
            at,
            y,
            colour,
            form,
        });
    }

    /// Makes the panel as high as its curves, from 0, with a little room above them.
    pub(super) fn fit(&mut self) {
        let mut top: f64 = 0.0;
        for shape in &self.shapes {
            if let Shape::Line { points, .. } | Shape::Ground { points, .. } = shape {
                top = points.iter().fold(top, |top, &(_, y)| top.max(y));
            }
        }
        self.y = (0.0, if top > 0.0 { top * 1.08 } else { 1.0 });
    }
}

/// The colour of flow `number`: eight that are told apart by most eyes, then round the circle.
pub(super) fn flow_colour(number: usize) -> Colour {
    const FIRST: [Colour; 8] = [
        (0x25, 0x63, 0xeb),
        (0xd9, 0x77, 0x06),
        (0x05, 0x96, 0x69),
        (0xdb, 0x27, 0x77),
        (0x7c, 0x3a, 0xed),
        (0x08, 0x91, 0xb2),
        (0x92, 0x40, 0x0e),
        (0x4d, 0x7c, 0x0f),
    ];
    if let Some(&colour) = FIRST.get(number) {
        return colour;
    }
    // A golden-angle walk in whole numbers: the same on every machine.
    let hue = number * 137 % 360;
    let rise = u8::try_from(hue % 60 * 180 / 60).unwrap_or(0);
    let (high, low) = (200, 20);
    match hue / 60 {
        0 => (high, low + rise, low),
        1 => (high - rise, high, low),
        2 => (low, high, low + rise),
        3 => (low, high - rise, high),
        4 => (low + rise, low, high),
        _ => (high, low, high - rise),
    }
}

/// Seconds since the origin.
pub(super) fn seconds(at: Instant) -> f64 {
    float(at.as_nanos()) / 1e9
}

/// The nearest double.
pub(super) fn float(n: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "fit to be drawn")]
    let float = n as f64;
    float
}

/// A name for octets that suits `most` of them, and how many of them it stands for.
pub(super) fn octets_unit(most: u64) -> (&'static str, f64) {
    match most {
        0..10_000 => ("octets", 1.0),
        10_000..10_000_000 => ("kB", 1e3),
        _ => ("MB", 1e6),
    }
}

/// The part of `curve` in the frame, divided by `unit`, as points.
pub(super) fn points(curve: &Curve, frame: Frame, unit: f64) -> Vec<(f64, f64)> {
    thin(
        curve
            .iter()
            .map(|&(at, value)| (seconds(at), float(value) / unit))
            .filter(|&(at, _)| frame.holds(at)),
        frame,
    )
}

/// The same for what keeps its value until the next point, from edge to edge.
pub(super) fn steps(curve: &Curve, frame: Frame, unit: f64) -> Vec<(f64, f64)> {
    let mut corners: Vec<(f64, f64)> = Vec::new();
    let mut last = None;
    for &(at, value) in curve {
        let (at, value) = (seconds(at), float(value) / unit);
        if at > frame.to {
            break;
        }
        if at >= frame.from {
            if let Some(before) = last {
                if corners.is_empty() {
                    corners.push((frame.from, before));
                }
                corners.push((at, before));
            }
            corners.push((at, value));
        }
        last = Some(value);
    }
    if let Some(value) = last {
        if corners.is_empty() {
            corners.push((frame.from, value));
        }
        corners.push((frame.to, value));
    }
    thin(corners.into_iter(), frame)
}

/// Of the points in one column keep the first, the lowest, the highest and the last, in their order.
fn thin(points: impl Iterator<Item = (f64, f64)>, frame: Frame) -> Vec<(f64, f64)> {
    let mut kept = Vec::new();
    let mut column: Vec<(f64, f64)> = Vec::new();
    let mut number = None;
    for point in points {
        let its = frame.column(point.0);
        if number != Some(its) {
            flush(&mut kept, &mut column);
            number = Some(its);
        }
        column.push(point);
    }
    flush(&mut kept, &mut column);
    kept
}

fn flush(kept: &mut Vec<(f64, f64)>, column: &mut Vec<(f64, f64)>) {
    if column.len() <= 4 {
        kept.append(column);
        return;
    }
    let by_height = |a: &usize, b: &usize| column[*a].1.total_cmp(&column[*b].1);
    let lowest = (0..column.len()).min_by(by_height).unwrap_or(0);
    let highest = (0..column.len()).max_by(by_height).unwrap_or(0);
    let mut chosen = [0, lowest, highest, column.len() - 1];
    chosen.sort_unstable();
    let mut last = None;
    for at in chosen {
        if last != Some(at) {
            kept.push(column[at]);
            last = Some(at);
        }
    }
    column.clear();
}

#[cfg(test)]
mod tests {
    use super::{Curve, Frame, flow_colour, points, steps};
    use std::collections::BTreeSet;
    use woshou_tcp::Instant;

    const FRAME: Frame = Frame { from: 1.0, to: 2.0 };

    fn curve(points: &[(u64, u64)]) -> Curve {
        points
            .iter()
            .map(|&(ms, value)| (Instant::from_millis(ms), value))
            .collect()
    }

    #[test]
    fn steps_go_from_edge_to_edge() {
        for (given, expected) in [
            (vec![], vec![]),
            (vec![(500, 7)], vec![(1.0, 7.0), (2.0, 7.0)]),
            (vec![(2500, 7)], vec![]),
            (
                vec![(500, 7), (1500, 9), (2500, 1)],
                vec![(1.0, 7.0), (1.5, 7.0), (1.5, 9.0), (2.0, 9.0)],
            ),
            (vec![(1500, 9)], vec![(1.5, 9.0), (2.0, 9.0)]),
        ] {
            assert_eq!(steps(&curve(&given), FRAME, 1.0), expected, "{given:?}");
        }
    }

    #[test]
    fn what_is_finer_than_a_column_keeps_its_extremes() {
        // 100,000 points in a second: a spike up and a spike down between many of the same height.
        let mut given: Vec<(Instant, u64)> = (0..100_000)
            .map(|n| (Instant::from_micros(1_000_000 + 10 * n), 50))
            .collect();
        given[33_333].1 = 99;
        given[66_666].1 = 1;
        let drawn = points(&given, FRAME, 1.0);
        assert!(drawn.len() <= 4 * 1101, "{}", drawn.len());
        assert!(drawn.windows(2).all(|pair| pair[0].0 <= pair[1].0));
        for extreme in [99.0, 1.0] {
            assert_eq!(drawn.iter().filter(|point| point.1 == extreme).count(), 1);
        }
    }

    #[test]
    fn flows_have_colours_of_their_own() {
        let colours: BTreeSet<_> = (0..32).map(flow_colour).collect();
        assert_eq!(colours.len(), 32);
    }
}
