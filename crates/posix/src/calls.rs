//! The calls on one descriptor.

mod close;
pub(crate) mod message;
pub(crate) mod names;
mod open;
mod options;
mod read;
mod write;
