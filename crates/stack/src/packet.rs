//! What goes in and out of the stack: packets, events, counters.

use bytes::Bytes;
use woshou_tcp::Wake;

use crate::config::LinkId;
use crate::deferred::IncomingId;
use crate::listeners::ListenerId;
use crate::table::ConnId;

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
    /// A SYN waits for [`crate::Stack::decide`].
    Incoming(IncomingId),
    /// What an earlier [`Self::Incoming`] told of came to nothing: the peer gave up, nobody decided in time, or the handshake
    /// failed.
    Cancelled(IncomingId),
}

/// Counters of the whole stack. They wrap only after centuries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets or frames handed in; a coalesced one counts once.
    pub packets_in: u64,
    /// Packets or frames handed out; a super-segment counts once.
    pub packets_out: u64,
    /// Octets of text that peers acknowledged.
    pub acknowledged: u64,
    /// Malformed below TCP's header: frame, IP header, extension header, ICMP, ARP, or a forbidden source.
    pub bad_ip: u64,
    /// Of these: from an address of our own that came by a link (LAND), or from loopback.
    pub from_ourselves: u64,
    /// Of these: from an address that no host has: 0/8, multicast, broadcast, class E, unspecified, IPv4-mapped; or to
    /// loopback.
    pub martians: u64,
    /// Wrong checksum of TCP, UDP or ICMP, or a malformed TCP header.
    pub bad_checksum: u64,
    /// Sound, but for another address (or multicast and broadcast that nobody wants).
    pub not_ours: u64,
    /// Stateless RSTs sent (RFC 9293 section 3.10.7.1).
    pub resets_sent: u64,
    /// Segments that a connection, an opening or a listener refused.
    pub refused: u64,
    /// Packets of ours that were dropped: no route, neighbour not found, queue full, rate limit.
    pub dropped_out: u64,
    /// Fragments that arrived.
    pub fragments_in: u64,
    /// Datagrams put together from fragments.
    pub reassembled: u64,
    /// ICMP errors about a segment of ours in flight.
    pub icmp_errors_in: u64,
    /// SYNs answered by a cookie (RFC 4987).
    pub syn_cookies_sent: u64,
    /// Connections that a cookie made.
    pub syn_cookies_received: u64,
    /// Acknowledgements to a listener that were no cookie, although it had sent some lately.
    pub syn_cookies_failed: u64,
    /// SYNs dropped because their listener's table was full (and cookies were not allowed).
    pub backlog_overflows: u64,
    /// SYNs and last acknowledgements of a handshake dropped (or reset) because the accept queue was full.
    pub accept_overflows: u64,
    /// ICMP errors about TCP that named no connection of ours, or no segment in flight: late or forged (RFC 5927).
    pub icmp_errors_ignored: u64,
}
