//! The panels over time: windows, round trips, rates, and the queue.

use woshou_tcp::Instant;

use super::Options;
use super::panel::{
    AMBER, Colour, Form, Frame, GREEN, GREY, Look, Panel, RED, Sample, Shape, VIOLET, float,
    flow_colour, octets_unit, points, seconds, steps,
};
use super::tracks::{Curve, Flow, Span, Tracks};

/// With more flows than this, each has one curve a panel.
const FEW: usize = 2;
/// The most flows that a legend names.
const NAMED: usize = 8;
/// A goodput is the mean of so much of the picture's width.
const BINS: f64 = 160.0;

/// Congestion window, threshold and flight.
pub(super) fn windows(flows: &[&Flow], frame: Frame) -> Panel {
    let most = flows
        .iter()
        .flat_map(|flow| flow.cwnd.iter().chain(&flow.in_flight))
        .map(|&(_, octets)| octets)
        .max()
        .unwrap_or(0);
    let (unit, size) = octets_unit(most);
    let mut panel = Panel::new(format!("congestion window, {unit}"), 240, frame);
    if let [flow] = flows {
        for at in ticks(&flow.undone, frame) {
            panel.mark(at, 0.0, GREEN, Form::Tick);
            panel.key(GREEN, Sample::Mark(Form::Tick), "undone");
        }
        spans(&mut panel, &flow.phases, frame);
        spans(&mut panel, &flow.recoveries, frame);
    }
    for (number, flow) in flows.iter().enumerate() {
        let colour = flow_colour(number);
        if flows.len() <= FEW {
            panel.line(
                steps(&flow.in_flight, frame, size),
                lighter(colour),
                Look::Thin,
            );
        }
        panel.line(steps(&flow.cwnd, frame, size), colour, Look::Bold);
        named(&mut panel, flows, number, Look::Bold);
    }
    panel.fit();
    if flows.len() <= FEW {
        for (number, flow) in flows.iter().enumerate() {
            // A threshold far above the windows would hide them.
            let ceiling = panel.y.1;
            let known: Curve = flow
                .ssthresh
                .iter()
                .filter(|&&(_, ssthresh)| ssthresh != u64::MAX)
                .copied()
                .collect();
            let mut line = steps(&known, frame, size);
            for point in &mut line {
                point.1 = point.1.min(ceiling);
            }
            panel.line(line, flow_colour(number), Look::Dashed);
        }
        panel.key(GREY, Sample::Line(Look::Dashed), "ssthresh");
        panel.key(GREY, Sample::Line(Look::Thin), "in flight");
    }
    panel
}

/// Round-trip times: each sample, and SRTT.
pub(super) fn round_trips(flows: &[&Flow], frame: Frame) -> Panel {
    let mut panel = Panel::new("round-trip time, ms", 160, frame);
    for (number, flow) in flows.iter().enumerate() {
        if flows.len() <= FEW {
            samples(&mut panel, flow, lighter(flow_colour(number)));
        }
    }
    for (number, flow) in flows.iter().enumerate() {
        panel.line(
            steps(&flow.srtt, frame, 1e6),
            flow_colour(number),
            Look::Bold,
        );
        if flows.len() > 1 {
            named(&mut panel, flows, number, Look::Bold);
        }
    }
    panel.key(GREY, Sample::Line(Look::Bold), "smoothed");
    if flows.len() <= FEW {
        panel.key(GREY, Sample::Block, "samples");
    }
    panel.fit();
    for shape in &panel.shapes {
        if let Shape::Stroke { to, .. } = shape {
            panel.y.1 = panel.y.1.max(to * 1.08);
        }
    }
    panel
}

/// From the least to the most of the samples of each column.
fn samples(panel: &mut Panel, flow: &Flow, colour: Colour) {
    let mut last = None;
    for (at, millis) in points(&flow.rtt, panel.x, 1e6) {
        let column = panel.x.column(at);
        match panel.shapes.last_mut() {
            Some(Shape::Stroke { from, to, .. }) if last == Some(column) => {
                (*from, *to) = (from.min(millis), to.max(millis));
            }
            _ => panel.shapes.push(Shape::Stroke {
                at,
                from: millis * 0.99,
                to: millis * 1.01,
                colour,
                width: 2,
            }),
        }
        last = Some(column);
    }
}

/// What is acknowledged a second, and the pace.
pub(super) fn rates(flows: &[&Flow], frame: Frame, options: &Options) -> Panel {
    let mut panel = Panel::new("goodput, Mbit/s", 180, frame);
    for (number, flow) in flows.iter().enumerate() {
        let colour = flow_colour(number);
        if flows.len() <= FEW && !flow.pacing.is_empty() {
            panel.line(steps(&flow.pacing, frame, 1e6), lighter(colour), Look::Thin);
            panel.key(GREY, Sample::Line(Look::Thin), "pacing rate");
        }
        panel.line(goodput(flow, frame), colour, Look::Bold);
        if flows.len() > 1 {
            named(&mut panel, flows, number, Look::Bold);
        }
    }
    panel.fit();
    if let Some(rate) = options.rate {
        let rate = float(rate) / 1e6;
        panel.line(
            vec![(frame.from, rate), (frame.to, rate)],
            GREY,
            Look::Dashed,
        );
        panel.key(GREY, Sample::Line(Look::Dashed), "link");
        // Pacing far above the link, as in a start, is cut off: the goodput is what this panel is about.
        panel.y.1 = panel.y.1.clamp(rate * 1.1, rate * 1.6);
    }
    panel
}

/// The queue of the bottleneck, and what became of packets there.
pub(super) fn queue(tracks: &Tracks, frame: Frame, options: &Options) -> Panel {
    let bottleneck = &tracks.bottleneck;
    let most = bottleneck.queue.iter().map(|&(_, octets)| octets).max();
    let (unit, size) = octets_unit(most.unwrap_or(0));
    let mut panel = Panel::new(format!("queue at the bottleneck, {unit}"), 170, frame);
    let line = steps(&bottleneck.queue, frame, size);
    panel.shapes.push(Shape::Ground {
        points: line.clone(),
        colour: (0x64, 0x74, 0x8b),
    });
    panel.line(line, (0x47, 0x55, 0x69), Look::Thin);
    panel.fit();
    if let Some(limit) = options.queue {
        let limit = float(limit) / size;
        if limit < panel.y.1 * 4.0 {
            panel.line(
                vec![(frame.from, limit), (frame.to, limit)],
                GREY,
                Look::Dashed,
            );
            panel.key(GREY, Sample::Line(Look::Dashed), "its size");
            panel.y.1 = panel.y.1.max(limit * 1.1);
        }
    }
    for (times, colour, words) in [
        (&bottleneck.dropped, RED, "dropped"),
        (&bottleneck.lost, AMBER, "lost on the way"),
        (&bottleneck.marked, VIOLET, "marked (ECN)"),
    ] {
        let ticks = ticks(times, frame);
        if !ticks.is_empty() {
            panel.key(colour, Sample::Mark(Form::Tick), words);
        }
        for at in ticks {
            panel.mark(at, 0.0, colour, Form::Tick);
        }
    }
    panel
}

/// One a column at most.
fn ticks(times: &[Instant], frame: Frame) -> Vec<f64> {
    let mut kept: Vec<f64> = times
        .iter()
        .map(|&at| seconds(at))
        .filter(|&at| frame.holds(at))
        .collect();
    kept.dedup_by_key(|at| frame.column(*at));
    kept
}

/// Octets acknowledged in each of [`BINS`] parts of the frame, as Mbit/s.
fn goodput(flow: &Flow, frame: Frame) -> Vec<(f64, f64)> {
    let width = (frame.to - frame.from) / BINS;
    let mut line: Vec<(f64, f64)> = Vec::new();
    let mut acked = flow.acked.iter().peekable();
    let mut so_far = 0;
    let mut advance = |until: f64| {
        while let Some(&(_, place)) = acked.next_if(|&&(at, _)| seconds(at) <= until) {
            so_far = place;
        }
        so_far
    };
    let first = flow.sent.first().map_or(frame.to, |sent| seconds(sent.at));
    let mut before = advance(frame.from);
    let mut from = frame.from;
    while from + width / 2.0 < frame.to {
        let to = from + width;
        let now = advance(to);
        if to >= first {
            let rate = float(now.saturating_sub(before)) * 8.0 / width / 1e6;
            line.push((from, rate));
            line.push((to.min(frame.to), rate));
        }
        (before, from) = (now, to);
    }
    line
}

/// A flow's key; of many flows only the first are named.
fn named(panel: &mut Panel, flows: &[&Flow], number: usize, look: Look) {
    if number < NAMED {
        let name = flows[number].name(number);
        // Flows of one name (all `cubic`, say) are told apart by their numbers.
        let same = flows
            .iter()
            .filter(|flow| flow.label == flows[number].label);
        let words = if flows[number].label.is_some() && same.count() > 1 {
            format!("{} {name}", number + 1)
        } else {
            name
        };
        panel.key(flow_colour(number), Sample::Line(look), words);
    } else if number == NAMED {
        let more = format!("and {} more", flows.len() - NAMED);
        panel.key(GREY, Sample::Line(look), more);
    }
}

/// Shades stretches of time; those of one name have one colour.
fn spans(panel: &mut Panel, spans: &[Span], frame: Frame) {
    for span in spans {
        let (from, to) = (seconds(span.from), span.to.map_or(frame.to, seconds));
        let Some(colour) = span_colour(&span.name) else {
            continue;
        };
        if to < frame.from || from > frame.to {
            continue;
        }
        panel.shapes.push(Shape::Band {
            span: Frame {
                from: from.max(frame.from),
                to: to.min(frame.to),
            },
            colour,
            name: span.name.clone(),
        });
        panel.key(colour, Sample::Block, span.name.clone());
    }
}

/// `None`: the ordinary state of affairs, which is not shaded.
fn span_colour(name: &str) -> Option<Colour> {
    Some(match name.to_ascii_lowercase().as_str() {
        "avoidance" | "reno-friendly" => return None,
        "concave" => (0x08, 0x91, 0xb2),
        "convex" => AMBER,
        "recovery" => RED,
        "slow start" | "startup" => GREEN,
        "conservative slow start" | "drain" => VIOLET,
        "probe rtt" => AMBER,
        name if name.ends_with("up") => (0x16, 0xa3, 0x4a),
        name if name.ends_with("down") => (0xdb, 0x27, 0x77),
        name if name.ends_with("cruise") => (0x94, 0xa3, 0xb8),
        name if name.ends_with("refill") => (0x08, 0x91, 0xb2),
        other => flow_colour(8 + other.bytes().map(usize::from).sum::<usize>()),
    })
}

/// Half way to white.
fn lighter((r, g, b): Colour) -> Colour {
    let half = |c: u8| u8::try_from((u16::from(c) + 255) / 2).unwrap_or(u8::MAX);
    (half(r), half(g), half(b))
}
