//! How a transfer went, as a picture: curves over time, and the time-sequence graph.
//!
//! The panels lie one beneath the other over one axis of time: congestion window, threshold and flight; round-trip
//! times; goodput and pace; the queue of the bottleneck, with what it dropped and marked; and the time-sequence graph of
//! one flow, in which every segment has the colour of its reason. Where something was sent again, a last panel shows the
//! first of it closely.

mod compact;
mod draw;
mod panel;
mod series;
mod time_sequence;
mod tracks;

use panel::{Frame, seconds};

pub use tracks::Tracks;

/// What the picture is to show.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// The heading.
    pub title: String,
    /// The line beneath it.
    pub subtitle: String,
    /// Rate of the bottleneck, bits a second, to be drawn beside the goodput.
    pub rate: Option<u64>,
    /// Size of its queue, octets.
    pub queue: Option<u64>,
    /// The part of the run to draw, seconds from its start; `None`: all.
    pub window: Option<(f64, f64)>,
    /// Whose time-sequence graph is drawn: the number of a flow, from 0.
    pub flow: usize,
}

/// The picture cannot be drawn: try a longer window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot be drawn: {0}")]
pub struct Undrawable(String);

/// Draws a self-contained SVG document. The same tracks and options give the same octets.
///
/// # Errors
/// Nothing was sent, or there is no such flow or window.
pub fn svg(tracks: &Tracks, options: &Options) -> Result<String, Undrawable> {
    let flows = tracks.senders();
    let Some(chosen) = flows.get(options.flow) else {
        return Err(Undrawable(match flows.len() {
            0 => "nothing was sent".to_owned(),
            count => format!("there is no flow {}, only {count}", options.flow + 1),
        }));
    };
    let (from, to) = options.window.unwrap_or((0.0, seconds(tracks.end())));
    if !(from.is_finite() && to.is_finite() && to - from > 1e-6) {
        return Err(Undrawable(format!("no time between {from} s and {to} s")));
    }
    let frame = Frame { from, to };
    let mut panels = vec![
        series::windows(&flows, frame),
        series::round_trips(&flows, frame),
        series::rates(&flows, frame, options),
    ];
    if !tracks.bottleneck.is_silent() {
        panels.push(series::queue(tracks, frame, options));
    }
    let name = if flows.len() > 1 {
        format!(
            "{} ({} of {})",
            chosen.name(options.flow),
            options.flow + 1,
            flows.len()
        )
    } else {
        chosen.name(options.flow)
    };
    panels.push(time_sequence::panel(chosen, &name, (frame, 380)));
    if let Some(close) = time_sequence::close_look(chosen, frame) {
        let title = format!("{name}, closely");
        panels.push(time_sequence::panel(chosen, &title, (close, 460)));
    }
    draw::page(&options.title, &options.subtitle, &panels)
}

#[cfg(test)]
#[path = "plot_tests.rs"]
mod tests;
