//! A TCP/IP stack without I/O: packets in, packets out.
//!
//! [`Stack`] joins links (IP packets or Ethernet frames) to many TCP connections: it validates IPv4 and IPv6, puts
//! fragments together, finds the owner of each segment by its four-tuple, answers what nobody owns (RST, ICMP),
//! finds neighbours (ARP, neighbour discovery), chooses ports and routes. It has no clock, no thread and no random
//! source: time and a seed come in, and the same inputs give the same octets out.
//!
//! The owner hands in what happened ([`Stack::handle_packet`], [`Stack::handle_timeout`], the user's calls), then takes
//! [`Stack::poll_transmit`] and [`Stack::poll_event`] until both are empty, and comes back at [`Stack::poll_timeout`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod config;
mod deadlines;
mod deferred;
mod demux;
mod error;
mod ip;
mod listeners;
mod marks;
mod memory;
mod neighbour;
mod packet;
mod ports;
mod reset;
mod segment;
mod stack;
mod steering;
mod stencil;
mod table;
mod time_waits;

pub use config::{Cidr, ClosedPorts, Config, LinkConfig, LinkId, Medium};
pub use deferred::{Decision, IncomingId, IncomingSyn};
pub use error::{ConnectError, ListenError};
pub use listeners::ListenerId;
pub use memory::MemoryUse;
pub use packet::{Counters, Event, Packet, PartialChecksum, Transmit};
pub use stack::{ListenOptions, Stack, Stray};
pub use steering::{Shard, Steering};
pub use table::ConnId;
