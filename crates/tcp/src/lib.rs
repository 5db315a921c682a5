//! TCP without I/O: one connection, one listener; segments in, segments out.
//!
//! The crate knows neither IP packets nor sockets nor clocks: time, initial sequence numbers and secrets are
//! arguments. Four types, cut where the data change: [`Listener`] (LISTEN and the half-open), [`Opening`]
//! (SYN-SENT), [`Connection`] (SYN-RECEIVED to LAST-ACK) and [`TimeWait`].
//!
//! Every owner drives them alike: hand in what happened (`handle_*`, the user's calls), then take what is owed
//! (`plan` and `build`, `poll_event`, `poll_timeout`) until there is nothing more.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod challenge;
pub mod config;
pub mod congestion;
pub mod connection;
mod delivery;
mod ecn;
pub mod error;
pub mod event;
pub mod info;
pub mod isn;
pub mod listener;
pub mod memory;
mod mtu_probe;
pub mod options;
mod pacing;
pub mod packed;
mod paws;
mod recovery;
mod recv;
mod rtt;
pub mod segment;
mod send;
pub mod seq;
pub mod state;
pub mod time;
pub mod time_wait;
pub mod tuple_hash;
mod validation;

pub use challenge::ChallengeBudget;
pub use config::{AcceptOverflow, Config, LossDetection, Pacing, SynCookies};
pub use connection::{Connection, Opening};
pub use ecn::EcnPolicy;
pub use error::{Ended, ReadError, Refusal, WriteError};
pub use event::{Context, FalseAlarm, Observer, Reason, Timer, TraceEvent, Wake};
pub use info::TcpInfo;
pub use listener::{Heard, Listener};
pub use memory::Pressure;
pub use packed::PackedEndpoints;
pub use segment::{Ecn, Endpoints, Flags, Header, Segment, Text, Transmit};
pub use send::pool::ChunkPool;
pub use seq::SeqNum;
pub use state::{Event, State};
pub use time::Instant;
pub use time_wait::TimeWait;
pub use tuple_hash::TupleHash;
