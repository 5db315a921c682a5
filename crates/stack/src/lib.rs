//! A TCP/IP stack without I/O: packets in, packets out. SKELETON of the contract.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use woshou_tcp::{Connection, Ended, Instant, Observer, ReadError, TcpInfo, Wake, WriteError};

/// A link of this stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkId(pub u32);
/// A connection: index and generation, so that a stale id names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnId { index: u32, generation: u32 }
/// A listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId { index: u32, generation: u32 }

/// What the frames of a link are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// IP packets (TUN).
    Ip,
    /// Ethernet frames; ARP and neighbour discovery find the peers.
    Ethernet {
        /// Our MAC address.
        mac: [u8; 6],
    },
}

/// An address and the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    /// The address.
    pub address: IpAddr,
    /// 0 to 32, or to 128.
    pub prefix: u8,
}

/// A link to be added.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// What its frames are.
    pub medium: Medium,
    /// Largest IP packet, octets.
    pub mtu: usize,
    /// Our addresses there.
    pub addresses: Vec<Cidr>,
    /// The device completes TCP checksums of packets it is given with [`Transmit::checksum`].
    pub checksum_offload: bool,
    /// Largest IP packet the device cuts into segments itself (GSO); zero: it does not. At most 65,535.
    pub gso_max: u32,
}

/// The stack's behaviour.
#[derive(Clone, Debug)]
pub struct Config {
    /// Of its TCP connections.
    pub tcp: Arc<woshou_tcp::Config>,
    /// TTL and hop limit. Default 64.
    pub ttl: u8,
    /// Ephemeral ports (RFC 6056). Default 49152 to 65535.
    pub ephemeral_ports: core::ops::RangeInclusive<u16>,
    /// TIME-WAIT entries held at most; the oldest goes first. Default 100,000.
    pub time_wait_entries: usize,
    /// Stateless replies (RST, ICMP errors) a second at most. Default 1,000.
    pub replies_per_second: u32,
}

/// A packet (or frame) that arrived.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The octets: an Ethernet frame or an IP packet, by the link's medium.
    pub octets: &'a [u8],
    /// The buffer they lie in, when it holds little else (see [`woshou_tcp::Text::owner`]).
    pub owner: Option<&'a Bytes>,
    /// The device vouches for the transport checksum (offload); else it is verified.
    pub checksum_valid: bool,
    /// The device coalesced segments of this many octets into one (GRO).
    pub segment_size: Option<u16>,
}

/// A partial checksum for the device to complete: virtio-net's `csum_start` and `csum_offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialChecksum {
    /// Octets from the start of `headers` to the first octet summed.
    pub start: u16,
    /// From there to the checksum field, which holds the sum of the pseudo-header.
    pub offset: u16,
}

/// A packet to send: headers, then two borrowed pieces of payload.
#[derive(Clone, Copy, Debug)]
pub struct Transmit<'a> {
    /// Where to.
    pub link: LinkId,
    /// All headers, from Ethernet or IP on.
    pub headers: &'a [u8],
    /// What follows.
    pub payload: [&'a [u8]; 2],
    /// The device completes the checksum.
    pub checksum: Option<PartialChecksum>,
    /// The device cuts the payload into segments of this size.
    pub segment_size: Option<u16>,
}

/// What the owner of the stack hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something changed for the user of a connection.
    Connection(ConnId, Wake),
    /// A connection waits in the accept queue.
    Acceptable(ListenerId),
}

/// Why `connect` failed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No link leads there.
    #[error("no route to {0}")]
    NoRoute(IpAddr),
    /// Broadcast, multicast or unspecified address, or port 0 (RFC 9293 MUST-46).
    #[error("{0} is no address to connect to")]
    InvalidAddress(SocketAddr),
    /// The local address is not ours.
    #[error("{0} is not an address of this stack")]
    NotLocal(SocketAddr),
    /// The four-tuple is in use.
    #[error("address in use")]
    InUse,
    /// No ephemeral port is free.
    #[error("no free port")]
    NoPort,
}

/// Why `listen` failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Another listener has it.
    #[error("address in use")]
    InUse,
    /// The address is not ours.
    #[error("{0} is not an address of this stack")]
    NotLocal(SocketAddr),
}

/// Counters of the whole stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the skeleton")]
pub struct Counters {
    pub packets_in: u64,
    pub packets_out: u64,
    pub bad_ip: u64,
    pub bad_checksum: u64,
    pub not_ours: u64,
    pub resets_sent: u64,
    pub refused: u64,
}

/// The stack.
pub struct Stack {}

#[expect(unused_variables, clippy::todo, missing_docs, reason = "the skeleton")]
impl Stack {
    pub fn new(config: Arc<Config>, seed: [u8; 32]) -> Self { todo!() }
    pub fn add_link(&mut self, link: LinkConfig) -> LinkId { todo!() }
    /// Routes `to` out of `link`, by `via` when given (a default route is prefix 0).
    pub fn add_route(&mut self, to: Cidr, link: LinkId, via: Option<IpAddr>) { todo!() }
    pub fn set_observer(&mut self, observer: Option<Box<dyn Observer + Send>>) { todo!() }
    /// Replaces the behaviour of connections made from now on.
    pub fn set_tcp_config(&mut self, tcp: Arc<woshou_tcp::Config>) { todo!() }

    // inputs: what happened
    pub fn handle_packet(&mut self, now: Instant, link: LinkId, packet: Packet<'_>) { todo!() }
    pub fn handle_timeout(&mut self, now: Instant) { todo!() }

    // the user's calls: never block, never send
    /// `from`: local address and port; `None` or port 0 lets the stack choose (route; RFC 6056).
    pub fn connect(&mut self, now: Instant, to: SocketAddr, from: Option<SocketAddr>) -> Result<ConnId, ConnectError> { todo!() }
    /// An unspecified address listens on all of ours (and `[::]` on IPv4 too); port 0 takes a free one.
    pub fn listen(&mut self, at: SocketAddr, backlog: usize) -> Result<ListenerId, ListenError> { todo!() }
    pub fn listener_address(&self, id: ListenerId) -> Option<SocketAddr> { todo!() }
    pub fn accept(&mut self, id: ListenerId) -> Option<ConnId> { todo!() }
    /// Closes a listener: half-open connections go, those in the accept queue are reset.
    pub fn close_listener(&mut self, now: Instant, id: ListenerId) { todo!() }
    pub fn write(&mut self, now: Instant, id: ConnId, octets: &[u8]) -> Result<usize, WriteError> { todo!() }
    pub fn read(&mut self, now: Instant, id: ConnId, into: &mut [u8]) -> Result<usize, ReadError> { todo!() }
    pub fn read_chunk(&mut self, now: Instant, id: ConnId, max: usize) -> Result<Bytes, ReadError> { todo!() }
    pub fn peek(&self, id: ConnId, into: &mut [u8]) -> Result<usize, ReadError> { todo!() }
    pub fn shutdown(&mut self, now: Instant, id: ConnId) { todo!() }
    pub fn abort(&mut self, now: Instant, id: ConnId) { todo!() }
    /// The user lets go of `id`: as `Connection::close`; the id names nothing from now on.
    pub fn close(&mut self, now: Instant, id: ConnId) { todo!() }
    pub fn set_nodelay(&mut self, now: Instant, id: ConnId, nodelay: bool) { todo!() }
    pub fn set_ttl(&mut self, id: ConnId, ttl: u8) { todo!() }
    pub fn ttl(&self, id: ConnId) -> Option<u8> { todo!() }

    // to look at
    /// `None` in SYN-SENT and for ids that name nothing.
    pub fn connection(&self, id: ConnId) -> Option<&Connection> { todo!() }
    pub fn endpoints(&self, id: ConnId) -> Option<woshou_tcp::Endpoints> { todo!() }
    /// Why it ended, when it did (in SYN-SENT too).
    pub fn ended(&self, id: ConnId) -> Option<Ended> { todo!() }
    pub fn info(&self, now: Instant, id: ConnId) -> Option<TcpInfo> { todo!() }
    pub fn state(&self, id: ConnId) -> woshou_tcp::State { todo!() }
    /// All connections, TIME-WAIT and half-open ones included, in an order that does not depend on chance.
    pub fn connections(&self) -> Vec<(woshou_tcp::Endpoints, woshou_tcp::State)> { todo!() }
    pub fn counters(&self) -> Counters { todo!() }

    // outputs: poll each until None, after every input or user call
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit<'_>> { todo!() }
    pub fn poll_event(&mut self) -> Option<Event> { todo!() }
    pub fn poll_timeout(&self) -> Option<Instant> { todo!() }
}
