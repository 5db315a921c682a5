//! What became of a text that came out of order.

/// What became of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// All of it is new, and stored.
    New,
    /// Some of it is stored; the rest was there before, or lies outside, or found no memory.
    Partly,
    /// Nothing of it is new.
    Duplicate,
    /// New, and nothing stored: no memory, or too many ranges.
    NoMemory,
}
