//! Which of several stacks a flow belongs to, when they share its links (decision 028).

use core::net::{IpAddr, SocketAddr};

use siphasher::sip::SipHasher24;
use woshou_tcp::{Endpoints, PackedEndpoints, TupleHash};
use woshou_wire::ethernet::{ETHER_TYPE_ARP, EthernetFrame};
use woshou_wire::icmpv6::NEIGHBOUR_HOP_LIMIT;
use woshou_wire::{ip_protocol, ip_version};

use crate::config::{LinkId, Medium};
use crate::ip::fragments::FragmentKey;
use crate::ip::icmp::Quoted;
use crate::ip::{Datagram, Parsed, v4, v6};

/// Who handles a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shard {
    /// The one with this number, from 0 on.
    One(u16),
    /// Each of them: it speaks about neighbours, which each remembers for itself.
    Every,
    /// Whoever has it: it is malformed, and only to be counted.
    Any,
}

/// Divides the flows among several stacks ("shards") by a keyed hash of the four-tuple.
///
/// Both directions of a flow, and with them both ends of a connection from us to us, fall on the same shard; so do ICMP
/// errors about it. A fragment falls where all of its datagram do, which may be another shard than the flow's: see
/// [`crate::Stack::poll_stray`].
///
/// ```
/// use woshou_stack::{Medium, Shard, Steering};
///
/// let steering = Steering::new(&[7; 32], 4);
/// assert_eq!(steering.packet(Medium::Ip, b"no packet"), Shard::Any);
/// ```
#[derive(Clone, Debug)]
pub struct Steering {
    hash: TupleHash,
    shards: u16,
}

impl Steering {
    /// Among `shards` (0 counts as 1), by a key drawn from `seed`: 32 octets that nobody outside knows, so that nobody
    /// can aim at one shard.
    #[must_use]
    pub fn new(seed: &[u8; 32], shards: u16) -> Self {
        Self {
            hash: TupleHash::new(drawn(seed, b"steering", 0)),
            shards: shards.max(1),
        }
    }

    /// The seed of one shard's stack: that of shard 0 is `seed` itself.
    #[must_use]
    pub fn seed(seed: &[u8; 32], shard: u16) -> [u8; 32] {
        if shard == 0 {
            return *seed;
        }
        let mut own = [0; 32];
        let (halves, _) = own.as_chunks_mut::<16>();
        for (half, place) in [b"shard, 1", b"shard, 2"].iter().zip(halves) {
            *place = drawn(seed, half, shard);
        }
        own
    }

    /// How many shards there are, at least 1.
    #[must_use]
    pub const fn shards(&self) -> u16 {
        self.shards
    }

    /// The shard of a connection between these ends, whichever of them is ours.
    #[must_use]
    pub fn connection(&self, who: &Endpoints) -> u16 {
        let ends = [who.local, who.remote].map(|end| (end.ip().to_canonical(), end.port()));
        self.flow(ends)
    }

    /// The shard of a packet (or frame) as it came from a link. It is looked at as far as that takes: the one that gets it
    /// finds what else is wrong with it.
    #[must_use]
    pub fn packet(&self, medium: Medium, octets: &[u8]) -> Shard {
        match medium {
            Medium::Ip => self.ip(octets),
            Medium::Ethernet { .. } => match EthernetFrame::parse(octets) {
                Ok(frame) if frame.header.ether_type == ETHER_TYPE_ARP => Shard::Every,
                Ok(frame) => self.ip(frame.payload),
                Err(_) => Shard::Any,
            },
        }
    }

    fn ip(&self, octets: &[u8]) -> Shard {
        // Nearly every packet is TCP without options of IP: no more than the addresses and ports of those is looked at.
        if let Some(ends) = plain_v4(octets).or_else(|| plain_v6(octets)) {
            return Shard::One(self.flow(ends));
        }
        let link = LinkId(0);
        let parsed = match ip_version(octets) {
            Some(4) => v4::parse(octets, link, true),
            Some(6) => v6::parse(octets, link).ok(),
            _ => None,
        };
        match parsed {
            Some(Parsed::Whole(datagram)) => self.datagram(&datagram),
            Some(Parsed::Fragment(fragment)) => Shard::One(self.fragments_of(&fragment.key)),
            None => Shard::Any,
        }
    }

    /// The shard of what is inside a packet.
    pub(crate) fn datagram(&self, datagram: &Datagram<'_>) -> Shard {
        let (source, destination) = (datagram.source, datagram.destination);
        let kind = datagram.payload.first().copied();
        let v6 = source.is_ipv6();
        let ports = match (datagram.protocol, kind) {
            (ip_protocol::TCP, _) => match datagram.payload {
                [s0, s1, d0, d1, ..] => (
                    u16::from_be_bytes([*s0, *s1]),
                    u16::from_be_bytes([*d0, *d1]),
                ),
                _ => return Shard::Any,
            },
            (ip_protocol::ICMPV6, Some(133..=137))
                if v6 && datagram.hop_limit == NEIGHBOUR_HOP_LIMIT =>
            {
                return Shard::Every;
            }
            (ip_protocol::ICMPV4 | ip_protocol::ICMPV6, _) => {
                let quoted = datagram.payload.get(8..).unwrap_or_default();
                // An echo may carry what looks like a segment of ours; it does not matter who answers it.
                if let Some(quoted) = Quoted::parse(v6, quoted) {
                    let ours = (quoted.source, quoted.source_port);
                    let theirs = (quoted.destination, quoted.destination_port);
                    return Shard::One(self.flow([ours, theirs]));
                }
                (0, 0)
            }
            _ => (0, 0),
        };
        Shard::One(self.flow([(source, ports.0), (destination, ports.1)]))
    }

    /// The shard where the fragments of a datagram are put together.
    fn fragments_of(&self, key: &FragmentKey) -> u16 {
        let [high, low] = [(key.id >> 16) as u16, (key.id & 0xffff) as u16];
        self.of([
            (key.source, high ^ u16::from(key.protocol)),
            (key.destination, low),
        ])
    }

    #[inline]
    fn flow(&self, [one, other]: [(IpAddr, u16); 2]) -> u16 {
        self.of(if one <= other {
            [one, other]
        } else {
            [other, one]
        })
    }

    #[inline]
    fn of(&self, [one, other]: [(IpAddr, u16); 2]) -> u16 {
        // Without a scope: that of a link-local address is not in the packet.
        let [local, remote] = [one, other].map(|(ip, port)| SocketAddr::new(ip, port));
        let hash = self
            .hash
            .of(&PackedEndpoints::new(&Endpoints { local, remote }));
        // Once more: by one product alone the ports of a host fall in steps, and with some keys on every other shard.
        let hash = self.hash.of_number(hash);
        let shard = (u128::from(hash) * u128::from(self.shards)) >> 64;
        // Less than `shards`.
        u16::try_from(shard).unwrap_or(0)
    }
}

/// Addresses and ports of a TCP segment in an IPv4 packet that is no fragment and has no options.
#[inline]
fn plain_v4(octets: &[u8]) -> Option<[(IpAddr, u16); 2]> {
    let header = octets.first_chunk::<24>()?;
    let [
        0x45,
        _,
        _,
        _,
        _,
        _,
        flags,
        offset,
        _,
        ip_protocol::TCP,
        _,
        _,
        rest @ ..,
    ] = header
    else {
        return None;
    };
    if flags & 0x3f != 0 || *offset != 0 {
        return None;
    }
    let [a, b, c, d, e, f, g, h, s0, s1, d0, d1] = *rest;
    Some([
        (IpAddr::from([a, b, c, d]), u16::from_be_bytes([s0, s1])),
        (IpAddr::from([e, f, g, h]), u16::from_be_bytes([d0, d1])),
    ])
}

/// The same in an IPv6 packet without extension headers.
#[inline]
fn plain_v6(octets: &[u8]) -> Option<[(IpAddr, u16); 2]> {
    let header = octets.first_chunk::<44>()?;
    let [version, _, _, _, _, _, ip_protocol::TCP, _, rest @ ..] = header else {
        return None;
    };
    let (source, rest) = rest.split_first_chunk::<16>()?;
    let (destination, ports) = rest.split_first_chunk::<16>()?;
    let [s0, s1, d0, d1] = *ports else {
        return None;
    };
    (version >> 4 == 6).then_some([
        (IpAddr::from(*source), u16::from_be_bytes([s0, s1])),
        (IpAddr::from(*destination), u16::from_be_bytes([d0, d1])),
    ])
}

/// 128 bits for one purpose: SipHash-2-4 under each half of the seed.
fn drawn(seed: &[u8; 32], purpose: &[u8; 8], shard: u16) -> [u8; 16] {
    let mut out = [0; 16];
    let (keys, _) = seed.as_chunks::<16>();
    let (places, _) = out.as_chunks_mut::<8>();
    let [s0, s1] = shard.to_be_bytes();
    let [p0, p1, p2, p3, p4, p5, p6, p7] = *purpose;
    for (key, place) in keys.iter().zip(places) {
        let hash = SipHasher24::new_with_key(key).hash(&[p0, p1, p2, p3, p4, p5, p6, p7, s0, s1]);
        *place = hash.to_be_bytes();
    }
    out
}

#[cfg(test)]
#[path = "steering_tests.rs"]
mod tests;
