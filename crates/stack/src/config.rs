//! What the stack and its links are told: defaults, units, ranges.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::RangeInclusive;

use woshou_wire::tcp_option::Layout;

/// A link of this stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);

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
    /// 0 to 32, or to 128; what is larger counts as the largest.
    pub prefix: u8,
}

impl Cidr {
    /// Whether `address` lies in this prefix. An address of the other family never does.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let host_bits = 32 - u32::from(self.prefix.min(32));
                let differ = ours.to_bits() ^ theirs.to_bits();
                differ.checked_shr(host_bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let host_bits = 128 - u32::from(self.prefix.min(128));
                let differ = ours.to_bits() ^ theirs.to_bits();
                differ.checked_shr(host_bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// Both addresses of which [`Self::is_broadcast`] is true, where there are any.
    pub(crate) fn broadcasts(&self) -> impl Iterator<Item = u32> {
        let ours = match self.address {
            IpAddr::V4(ours) if self.prefix < 31 => Some(ours.to_bits()),
            _ => None,
        };
        let host_mask = u32::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0);
        let both = ours.map(|ours| [ours | host_mask, ours & !host_mask]);
        both.into_iter().flatten()
    }

    /// Whether `address` is the directed broadcast address, or the network's own (the old form of it), of this
    /// IPv4 prefix (RFC 1122 section 3.3.6). Prefixes of 31 and 32 bits have none (RFC 3021).
    #[must_use]
    pub fn is_broadcast(&self, address: IpAddr) -> bool {
        let (IpAddr::V4(_), IpAddr::V4(theirs)) = (self.address, address) else {
            return false;
        };
        if self.prefix >= 31 || !self.contains(address) {
            return false;
        }
        let host_mask = u32::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0);
        let host = theirs.to_bits() & host_mask;
        host == host_mask || host == 0
    }
}

/// A link to be added.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// What its frames are.
    pub medium: Medium,
    /// Largest IP packet, octets; where it varies, the least it may be (RFC 9293 SHLD-6). Less than 68 counts as 68
    /// (RFC 791); IPv6 wants 1,280 (RFC 8200 section 5).
    pub mtu: usize,
    /// Our addresses there; each also makes a route to its prefix.
    pub addresses: Vec<Cidr>,
    /// The device completes TCP checksums of packets it is given with [`crate::Transmit::checksum`].
    pub checksum_offload: bool,
    /// Largest IP packet the device cuts into segments itself (GSO); zero: it does not. At most 65,535.
    pub gso_max: u32,
}

/// What a segment for a port that nobody has open is answered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClosedPorts {
    /// RST, as RFC 9293 section 3.10.7.1 asks for.
    #[default]
    Reset,
    /// SYNs by nothing, so that a scan takes long; the rest by RST.
    SilentToSyn,
    /// Nothing.
    Silent,
}

/// The stack's behaviour.
#[derive(Clone, Debug)]
pub struct Config {
    /// Of its TCP connections.
    pub tcp: Arc<woshou_tcp::Config>,
    /// TTL and hop limit. Default 64.
    pub ttl: u8,
    /// TOS or traffic class: the Diffserv field in the six upper bits; the two lower ones are ECN's, and not the user's to
    /// set. Default 0.
    pub tos: u8,
    /// Ephemeral ports (RFC 6056). Default 49152 to 65535.
    pub ephemeral_ports: RangeInclusive<u16>,
    /// TIME-WAIT entries held at most; the oldest goes first. Default 100,000.
    pub time_wait_entries: usize,
    /// Most octets of memory that the stack holds, whatever happens: connections with everything queued in them,
    /// half-open connections, TIME-WAIT entries, fragments, replies, packets that wait for a neighbour. From three
    /// quarters of it on no new connections are taken and windows open no further; near the end text out of order is
    /// dropped, then connections that hold much and get nowhere are reset ([`woshou_tcp::Ended::NoMemory`]). Less
    /// than 1 MiB counts as 1 MiB. What one packet brings may stand over it while that packet is handled. Default
    /// 256 MiB.
    pub memory: usize,
    /// Connections that live on after their user let go of them, at most: the oldest is reset. Default 8,192.
    pub orphans: usize,
    /// The least MTU of an IPv4 path that an ICMP error is believed about; what it says below counts as this. Default
    /// 552, as Linux; at least 68 (RFC 791). IPv6's is 1,280, and less is ignored (RFC 8201 section 4).
    pub min_pmtu: u16,
    /// Stateless replies (RST, ICMP errors) a second, on average: the limit of each second is drawn from the seed, between
    /// half and one and a half times this, so that the answers to one's own probes do not tell how many others got
    /// (CVE-2020-25705). Echo replies and neighbour advertisements are counted apart, each with such a limit. Default 1,000.
    pub replies_per_second: u32,
    /// Challenge ACKs of all connections together, a second, on average: the limit of each second is drawn from the seed,
    /// between half and one and a half times this (RFC 5961 section 7; see [`woshou_tcp::ChallengeBudget`]). Default 1,000.
    pub challenge_acks_per_second: u32,
    /// What segments for closed ports are answered by. Default RST.
    pub closed_ports: ClosedPorts,
    /// Segments with both SYN and FIN are dropped; no TCP sends them, and scanners do. Default off (RFC 9293 section 3.10.7.2
    /// takes them for SYNs).
    pub drop_syn_fin: bool,
    /// IPv4 packets with a source route (LSRR, SSRR) are taken, as if they had none; answers never go by it. Default off: they
    /// are dropped and counted in [`crate::Counters::bad_ip`] (RFC 7126 sections 4.3 and 4.4; every kernel's default).
    pub accept_source_routed: bool,
    /// In which order TCP options are written: a peer reads any, a byte-for-byte comparison tells them apart.
    /// Default Linux's.
    pub option_layout: Layout,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            tcp: Arc::new(woshou_tcp::Config::default()),
            ttl: 64,
            tos: 0,
            ephemeral_ports: 49152..=65535,
            time_wait_entries: 100_000,
            memory: 256 << 20,
            orphans: 8_192,
            min_pmtu: 552,
            replies_per_second: 1_000,
            challenge_acks_per_second: 1_000,
            closed_ports: ClosedPorts::default(),
            drop_syn_fin: false,
            accept_source_routed: false,
            option_layout: Layout::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cidr;

    #[test]
    fn prefixes() {
        let cases = [
            ("10.1.2.3", 24, "10.1.2.200", true),
            ("10.1.2.3", 24, "10.1.3.3", false),
            ("10.1.2.3", 0, "200.1.3.3", true),
            ("10.1.2.3", 32, "10.1.2.3", true),
            ("10.1.2.3", 32, "10.1.2.2", false),
            ("10.1.2.3", 0, "::1", false),
            ("fd00::1", 64, "fd00::ffff:0:0:1", true),
            ("fd00::1", 64, "fd00:0:0:1::1", false),
            ("fd00::1", 128, "fd00::1", true),
            ("::", 0, "2001:db8::1", true),
        ];
        for (network, prefix, address, expected) in cases {
            let cidr = Cidr {
                address: network.parse().unwrap(),
                prefix,
            };
            assert_eq!(
                cidr.contains(address.parse().unwrap()),
                expected,
                "{address} in {network}/{prefix}"
            );
        }
    }

    #[test]
    fn broadcasts() {
        let cases = [
            (24, "10.1.2.255", true),
            (24, "10.1.2.0", true),
            (24, "10.1.2.254", false),
            (24, "10.1.3.255", false),
            (31, "10.1.2.3", false),
            (32, "10.1.2.3", false),
        ];
        for (prefix, address, expected) in cases {
            let cidr = Cidr {
                address: "10.1.2.3".parse().unwrap(),
                prefix,
            };
            assert_eq!(
                cidr.is_broadcast(address.parse().unwrap()),
                expected,
                "{address} in /{prefix}"
            );
        }
    }
}
