//! Whole networks, run to the end.

mod bbr;
mod buffers;
mod ecn;
mod experiment;
mod fairness;
mod growth;
mod log;
mod mtu;
mod scenarios;
mod torture;
mod world;
