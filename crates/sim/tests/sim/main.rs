//! Whole networks, run to the end.

mod log;
mod scenarios;
mod torture;
mod world;
