//! Forged packets, and a raw socket to send them: written for these tests alone, so that no mistake of woshou's own
//! writer hides here.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{
    AddressFamily, SendFlags, SocketFlags, SocketType, ipproto, sendto, socket_with,
};

/// The TTL and hop limit of what is forged: what is genuine has 64.
pub(crate) const FORGED: u8 = 77;

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const PSH: u8 = 8;
pub(crate) const ACK: u8 = 16;
pub(crate) const URG: u8 = 32;

/// A segment to forge.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) flags: u8,
    pub(crate) seq: u32,
    /// Carried whether ACK is among the flags or not.
    pub(crate) ack: u32,
    pub(crate) window: u16,
    /// TSval and TSecr.
    pub(crate) timestamps: Option<(u32, u32)>,
    /// Octets of text, all 0x21.
    pub(crate) text: usize,
}

/// The packet of a segment, checksums and all. A SYN has an MSS, SACK permitted and a window scale.
pub(crate) fn tcp(segment: &Segment) -> Vec<u8> {
    let mut options = Vec::new();
    if segment.flags & SYN != 0 {
        options.extend([2, 4, 5, 0xb4, 4, 2, 1, 1, 1, 3, 3, 7]);
    }
    if let Some((value, echo)) = segment.timestamps {
        options.extend([1, 1, 8, 10]);
        options.extend(value.to_be_bytes());
        options.extend(echo.to_be_bytes());
    }
    let offset = (20 + options.len()) / 4;
    let mut octets = Vec::with_capacity(100 + segment.text);
    octets.extend(segment.from.port().to_be_bytes());
    octets.extend(segment.to.port().to_be_bytes());
    octets.extend(segment.seq.to_be_bytes());
    octets.extend(segment.ack.to_be_bytes());
    octets.extend([(offset << 4) as u8, segment.flags]);
    octets.extend(segment.window.to_be_bytes());
    octets.extend([0, 0, 0, u8::from(segment.flags & URG != 0)]);
    octets.extend(options);
    octets.resize(octets.len() + segment.text, 0x21);
    let (from, to) = (segment.from.ip(), segment.to.ip());
    let sum = checksum(sum(&octets, pseudo(from, to, 6, octets.len())));
    octets[16..18].copy_from_slice(&sum.to_be_bytes());
    ip(from, to, 6, &octets)
}

/// An ICMP or ICMPv6 error from `router` to `to` about a packet that `to` would have sent: `quoted`.
pub(crate) fn icmp(
    router: IpAddr,
    to: IpAddr,
    (kind, code, rest): (u8, u8, u32),
    quoted: &[u8],
) -> Vec<u8> {
    let mut octets = vec![kind, code, 0, 0];
    octets.extend(rest.to_be_bytes());
    octets.extend(quoted);
    let (protocol, start) = match to {
        IpAddr::V4(_) => (1, 0),
        IpAddr::V6(_) => (58, pseudo(router, to, 58, octets.len())),
    };
    let sum = checksum(sum(&octets, start));
    octets[2..4].copy_from_slice(&sum.to_be_bytes());
    ip(router, to, protocol, &octets)
}

fn ip(from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(40 + payload.len());
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            packet.extend([0x45, 0]);
            packet.extend((20 + payload.len() as u16).to_be_bytes());
            packet.extend([0, 1, 0x40, 0, FORGED, protocol, 0, 0]);
            packet.extend(from.octets());
            packet.extend(to.octets());
            let sum = checksum(sum(&packet, 0));
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            packet.extend([0x60, 0, 0, 0]);
            packet.extend((payload.len() as u16).to_be_bytes());
            packet.extend([protocol, FORGED]);
            packet.extend(from.octets());
            packet.extend(to.octets());
        }
        _ => panic!("{from} and {to} are of different families"),
    }
    packet.extend(payload);
    packet
}

fn pseudo(from: IpAddr, to: IpAddr, protocol: u8, len: usize) -> u32 {
    let octets = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => sum(&ip.octets(), 0),
        IpAddr::V6(ip) => sum(&ip.octets(), 0),
    };
    octets(from) + octets(to) + u32::from(protocol) + len as u32
}

fn sum(octets: &[u8], start: u32) -> u32 {
    octets.chunks(2).fold(start, |sum, pair| {
        sum + u32::from(u16::from_be_bytes([
            pair[0],
            pair.get(1).copied().unwrap_or(0),
        ]))
    })
}

fn checksum(sum: u32) -> u16 {
    let sum = (sum >> 16) + (sum & 0xffff);
    !((sum >> 16) + (sum & 0xffff)) as u16
}

/// A raw socket for packets of one family, headers and all.
pub(crate) struct Raw(OwnedFd);

impl Raw {
    pub(crate) fn new(like: IpAddr) -> Self {
        let family = if like.is_ipv4() {
            AddressFamily::INET
        } else {
            AddressFamily::INET6
        };
        let socket = socket_with(
            family,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(ipproto::RAW),
        );
        Self(socket.expect("a raw socket"))
    }

    /// Sends it; a full queue drops it, as networks do.
    pub(crate) fn send(&self, to: IpAddr, packet: &[u8]) {
        if let Err(error) = sendto(&self.0, packet, SendFlags::empty(), &SocketAddr::new(to, 0)) {
            assert_eq!(error, rustix::io::Errno::NOBUFS, "sending to {to}");
        }
    }
}

/// xorshift64*: the same every time.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// An address of 198.18.0.0/15 or 2001:2::/48, which are for benchmarks (RFC 2544, RFC 5180), and a port.
    pub(crate) fn source(&mut self, like: IpAddr) -> SocketAddr {
        let chance = self.next();
        let ip = match like {
            IpAddr::V4(_) => Ipv4Addr::from_bits(0xc612_0000 | (chance as u32 & 0x1_ffff)).into(),
            IpAddr::V6(_) => {
                let high = 0x2001_0002_0000_0000_0000_0000_0000_0000_u128;
                std::net::Ipv6Addr::from_bits(high | u128::from(chance & 0xffff_ffff_ffff)).into()
            }
        };
        SocketAddr::new(ip, (chance >> 48) as u16 | 1024)
    }
}
