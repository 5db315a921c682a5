//! Bytes to headers and back. No state, no clock, no allocation.
//!
//! Every `parse` takes octets of the network as they are and answers with a small value and the payload, or
//! with an error that names the cause; it never panics and never looks past what the lengths in the headers
//! allow. Every `write` puts a header at the front of the caller's buffer and says how long it is.
#![no_std]
#![forbid(unsafe_code)]

pub mod arp;
pub mod checksum;
pub mod ethernet;
pub mod icmpv4;
pub mod icmpv6;
pub mod ipv4;
pub mod ipv6;
pub mod tcp;
pub mod tcp_option;
pub mod udp;
pub mod virtio_net;

/// Numbers of the protocols that IP carries: IPv4's Protocol, IPv6's final Next Header.
pub mod ip_protocol {
    /// ICMP for IPv4 (RFC 792).
    pub const ICMPV4: u8 = 1;
    /// TCP (RFC 9293).
    pub const TCP: u8 = 6;
    /// UDP (RFC 768).
    pub const UDP: u8 = 17;
    /// ICMP for IPv6 (RFC 4443).
    pub const ICMPV6: u8 = 58;
}

/// The IP version that the first octet of a packet names, 0 to 15; `None` for an empty packet.
#[must_use]
pub fn ip_version(packet: &[u8]) -> Option<u8> {
    packet.first().map(|octet| octet >> 4)
}

/// Why a header could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The caller's buffer is shorter than the header: give at least `needed` octets.
    #[error("the buffer is shorter than the {needed} octets to write")]
    BufferTooShort {
        /// Octets that the header takes.
        needed: usize,
    },
    /// A length field cannot hold the length: send less, or in pieces.
    #[error("the packet is longer than its length field can say")]
    TooLong,
    /// The offset of a fragment is not a multiple of eight octets: cut elsewhere.
    #[error("the offset of a fragment is not a multiple of eight")]
    FragmentOffset,
}

/// Copies `header` to the front of `into`.
fn put(header: &[u8], into: &mut [u8]) -> Result<usize, WriteError> {
    let needed = header.len();
    let front = into
        .get_mut(..needed)
        .ok_or(WriteError::BufferTooShort { needed })?;
    front.copy_from_slice(header);
    Ok(needed)
}
