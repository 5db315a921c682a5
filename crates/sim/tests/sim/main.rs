//! Whole networks, run to the end.

mod bbr;
mod buffers;
mod ecn;
mod experiment;
mod fairness;
mod growth;
mod hystart;
mod log;
mod matrix;
mod mtu;
mod reordering;
mod scenarios;
mod torture;
mod world;
