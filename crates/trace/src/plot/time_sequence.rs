//! The time-sequence graph, as tcptrace draws it: what was sent when, and what the acknowledgements said.
//!
//! Upwards goes the sequence number, to the right the time. A segment is a stroke over its octets; beneath the segments
//! runs the line of the cumulative acknowledgement, above them the edge of the peer's window.

use std::collections::BTreeSet;

use woshou_tcp::Reason;

use super::panel::{
    AMBER, Colour, Form, Frame, GREEN, GREY, INK, Look, Panel, RED, Sample, Shape, VIOLET, float,
    octets_unit, seconds, steps,
};
use super::tracks::Flow;

const DATA: Colour = (0x60, 0x8f, 0xf0);
const SACK: Colour = (0xd8, 0xb4, 0xfe);
const D_SACK: Colour = (0xdb, 0x27, 0x77);

/// The colour of a reason, and its words in the legend.
fn look(reason: Reason) -> (Colour, String) {
    match reason {
        Reason::Data | Reason::Close | Reason::Urgent => (DATA, "new data".to_owned()),
        Reason::FastRetransmit => (RED, "fast retransmit".to_owned()),
        Reason::LossRecovery => ((0xea, 0x58, 0x0c), "SACK loss recovery".to_owned()),
        Reason::RackLoss => (AMBER, "RACK loss".to_owned()),
        Reason::TailLossProbe => (VIOLET, "tail loss probe".to_owned()),
        Reason::Timeout => ((0xc0, 0x26, 0xd3), "timeout (RTO)".to_owned()),
        Reason::FrtoProbe => ((0x0f, 0x76, 0x6e), "F-RTO probe".to_owned()),
        Reason::LimitedTransmit => ((0x08, 0x91, 0xb2), "limited transmit".to_owned()),
        Reason::WindowProbe => ((0x4d, 0x7c, 0x0f), "window probe".to_owned()),
        Reason::MtuProbe => ((0x92, 0x40, 0x0e), "MTU probe".to_owned()),
        Reason::KeepAlive => ((0x65, 0xa3, 0x0d), "keep-alive".to_owned()),
        other => (GREY, other.to_string()),
    }
}

/// The graph of `flow` in the frame.
pub(super) fn panel(flow: &Flow, title: &str, (frame, height): (Frame, u32)) -> Panel {
    let in_frame = |at| frame.holds(seconds(at));
    let sent: Vec<_> = flow.sent.iter().filter(|sent| in_frame(sent.at)).collect();
    let acked_before = flow
        .acked
        .iter()
        .rfind(|&&(at, _)| seconds(at) <= frame.from);
    let low = sent
        .iter()
        .map(|sent| sent.from)
        .chain(acked_before.map(|&(_, ack)| ack))
        .min()
        .unwrap_or(0);
    let low = if acked_before.is_none() { 0 } else { low };
    let high = sent.iter().map(|sent| sent.to).max().unwrap_or(low + 1);
    let (unit, size) = octets_unit(high);
    let mut panel = Panel::new(format!("{title}: sequence number, {unit}"), height, frame);
    let margin = float(high - low.min(high)) / size * 0.04;
    panel.y = (
        (float(low) / size - margin).max(0.0),
        float(high) / size + margin.max(1.0 / size),
    );
    acknowledgements(&mut panel, flow, size);
    // What was sent comes first in the legend, and last on the panel: above the rest.
    let keys = std::mem::take(&mut panel.legend);
    segments(&mut panel, flow, size);
    panel.legend.extend(keys);
    losses(&mut panel, flow, size);
    for &at in &flow.undone {
        let at = seconds(at);
        if frame.holds(at) {
            panel.mark(at, 0.0, GREEN, Form::Tick);
            panel.key(GREEN, Sample::Mark(Form::Tick), "undone: a false alarm");
        }
    }
    panel
}

/// The two lines, and the SACK blocks.
fn acknowledgements(panel: &mut Panel, flow: &Flow, size: f64) {
    let frame = panel.x;
    let (floor, ceiling) = panel.y;
    let pixel = (ceiling - floor) / f64::from(panel.height.max(1));
    let mut drawn = BTreeSet::new();
    for block in &flow.sacked {
        let at = seconds(block.at);
        let (from, to) = (float(block.from) / size, float(block.to) / size);
        // A receiver repeats its blocks: what would be the same pixels is drawn once.
        let rows = [from, to].map(|y| ((y - floor) / pixel).round().to_bits());
        let same = (frame.column(at), rows, block.duplicate);
        if !frame.holds(at) || to < floor || from > ceiling || !drawn.insert(same) {
            continue;
        }
        let (colour, words) = if block.duplicate {
            (D_SACK, "D-SACK")
        } else {
            (SACK, "SACK")
        };
        // A D-SACK names a segment or two: never so small that it is overlooked.
        let (least, width) = if block.duplicate { (6.0, 3) } else { (0.0, 1) };
        let ends = (from.max(floor), to.max(from + least * pixel).min(ceiling));
        let shape = stroke((at, ends.0, ends.1), colour, width);
        panel.shapes.push(shape);
        panel.key(colour, Sample::Block, words);
    }
    let mut line = steps(&flow.window, frame, size);
    line.retain_mut(|point| {
        let inside = point.1 <= ceiling;
        point.1 = point.1.clamp(floor, ceiling);
        inside
    });
    if !line.is_empty() {
        panel.line(line, GREY, Look::Thin);
        panel.key(GREY, Sample::Line(Look::Thin), "window edge");
    }
    let mut line = steps(&flow.acked, frame, size);
    for point in &mut line {
        point.1 = point.1.clamp(floor, ceiling);
    }
    panel.line(line, GREEN, Look::Thin);
    panel.key(GREEN, Sample::Line(Look::Thin), "acknowledged");
}

/// New data first, so that what was sent again lies above it. Touching segments of one column are one stroke.
fn segments(panel: &mut Panel, flow: &Flow, size: f64) {
    let frame = panel.x;
    // A segment is never less than three pixels high, and with less than six a dot is easier to see.
    let pixel = (panel.y.1 - panel.y.0) / f64::from(panel.height.max(1));
    let mut keys = Vec::new();
    let mut again = Vec::new();
    let mut strokes: Vec<(i64, Shape)> = Vec::new();
    for sent in flow
        .sent
        .iter()
        .filter(|sent| frame.holds(seconds(sent.at)))
    {
        let (ink, words) = look(sent.reason);
        let at = seconds(sent.at);
        let (from, to) = (float(sent.from) / size, float(sent.to) / size);
        if !keys.iter().any(|(_, known)| *known == words) {
            keys.push((ink, words));
        }
        if sent.again {
            again.push(repeated((at, from, to), ink, pixel));
            continue;
        }
        let column = frame.column(at);
        match strokes.last_mut() {
            Some((
                same,
                Shape::Stroke {
                    to: end, colour, ..
                },
            )) if *same == column && *end >= from && *colour == ink => {
                *end = end.max(to);
            }
            _ => {
                let to = to.max(from + 3.0 * pixel);
                strokes.push((column, stroke((at, from, to), ink, 2)));
            }
        }
    }
    panel
        .shapes
        .extend(strokes.into_iter().map(|(_, stroke)| stroke));
    panel.shapes.extend(again);
    for (colour, words) in keys {
        panel.key(colour, Sample::Block, words);
    }
}

/// What was sent again, so that it is seen however small.
fn repeated((at, from, to): (f64, f64, f64), colour: Colour, pixel: f64) -> Shape {
    if to - from < 6.0 * pixel {
        return Shape::Mark {
            at,
            y: from.midpoint(to),
            colour,
            form: Form::Dot,
        };
    }
    stroke((at, from, to), colour, 3)
}

fn stroke((at, from, to): (f64, f64, f64), colour: Colour, width: u32) -> Shape {
    Shape::Stroke {
        at,
        from,
        to,
        colour,
        width,
    }
}

fn losses(panel: &mut Panel, flow: &Flow, size: f64) {
    let (floor, ceiling) = panel.y;
    let pixel = (ceiling - floor) / f64::from(panel.height.max(1));
    let mut last = (i64::MIN, f64::NEG_INFINITY);
    for &(at, place) in &flow.lost {
        let (at, y) = (seconds(at), float(place) / size);
        let column = panel.x.column(at);
        // Crosses on one another are one.
        let near = column - 3 <= last.0 && (y - last.1).abs() < 3.0 * pixel;
        if panel.x.holds(at) && (floor..=ceiling).contains(&y) && !near {
            last = (column, y);
            panel.mark(at, y, INK, Form::Cross);
            panel.key(INK, Sample::Mark(Form::Cross), "lost by the network");
        }
    }
}

/// Where to look closely: from a little before the first burst of retransmissions to its end.
///
/// `None` when nothing was sent again, or the frame shows it closely enough.
pub(super) fn close_look(flow: &Flow, frame: Frame) -> Option<Frame> {
    let trip = flow
        .srtt
        .first()
        .map_or(0.01, |&(_, nanos)| float(nanos) / 1e9);
    let mut again = flow
        .sent
        .iter()
        .filter(|sent| sent.again)
        .map(|sent| seconds(sent.at))
        .filter(|&at| frame.holds(at));
    let first = again.next()?;
    let mut last = first;
    for at in again {
        if at > last + 3.0 * trip || at > first + 8.0 * trip {
            break;
        }
        last = at;
    }
    let close = Frame {
        from: (first - 2.5 * trip).max(frame.from),
        to: (last + 2.5 * trip).min(frame.to),
    };
    (close.to - close.from < (frame.to - frame.from) * 0.4).then_some(close)
}
