//! Two time lines and the segments between them: [`text()`] for terminals, [`svg()`] for pages.
//!
//! With a watched wire an arrow is a packet, and its end says how it fared; without (a live stack), an arrow is
//! what one host sent or received. One ladder a connection (four-tuple), in order of their first sign.

mod label;
pub(crate) mod story;
mod svg;
mod text;

use crate::words::Lang;

pub use svg::svg;
pub use text::{WIDTH, text};

/// How a ladder is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The language of its words.
    pub lang: Lang,
    /// ANSI colours ([`text()`] only; [`svg()`] is always coloured).
    pub colour: bool,
    /// Of each run of everyday segments (data and their acknowledgements, delivered) draw so many and only
    /// count the rest; `None`: draw all.
    pub brief: Option<usize>,
}

/// Rows, with the everyday ones beyond [`Options::brief`] counted.
enum Item<'a> {
    Row(&'a story::Row),
    /// `count` segments with `octets` of text; the first of them, which stands for the rest.
    More {
        first: &'a story::Row,
        count: usize,
        octets: u64,
    },
}

fn items<'a>(rows: &'a [story::Row], brief: Option<usize>) -> Vec<Item<'a>> {
    let mut items = Vec::new();
    let mut run = 0;
    for row in rows {
        let everyday = match &row.mark {
            story::Mark::Arrow(arrow) if row.state.is_none() && !arrow.copy => {
                !matches!(arrow.course, story::Course::Lost(_))
                    && arrow.reason.is_some_and(label::everyday)
            }
            _ => false,
        };
        run = if everyday { run + 1 } else { 0 };
        let octets = match &row.mark {
            story::Mark::Arrow(arrow) => u64::from(arrow.len),
            _ => 0,
        };
        match items.last_mut() {
            Some(Item::More {
                count, octets: sum, ..
            }) if everyday => {
                *count += 1;
                *sum += octets;
            }
            _ if everyday && brief.is_some_and(|b| run > b) => items.push(Item::More {
                first: row,
                count: 1,
                octets,
            }),
            _ => items.push(Item::Row(row)),
        }
    }
    items
}
