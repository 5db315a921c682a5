//! A host, before it runs: its name, addresses, and how its stack behaves.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// A host of a [`World`](crate::World), by the number in which it was added, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostId(pub u32);

/// A host to be added.
#[derive(Clone, Debug)]
pub struct Host {
    /// What people call it.
    pub name: String,
    /// Its address.
    pub v4: Ipv4Addr,
    /// Its other address.
    pub v6: Ipv6Addr,
    /// How its TCP behaves.
    pub tcp: Arc<woshou_tcp::Config>,
    /// Ports that its stack chooses from.
    pub ephemeral_ports: RangeInclusive<u16>,
    /// Largest IP packet its devices carry, octets. Default 1500.
    pub mtu: usize,
    /// Largest IP packet its devices cut into segments, octets, at most 65,535; 0: they do not. Default 0.
    /// The wire carries the segments, each a packet of its own.
    pub gso_max: u32,
    /// Its devices finish checksums that the stack leaves to them. Default off; on where `gso_max` is not 0.
    pub checksum_offload: bool,
    /// Its devices hand packets over in a buffer of their own, so that the stack may keep the text there
    /// instead of copying it. Default on.
    pub owned_buffers: bool,
    /// The wire flips no bits, so no TCP checksum is computed or verified: for measuring many packets. Packets then carry wrong
    /// checksums, and a host that verifies refuses them. Default off.
    pub trusts_wire: bool,
    /// Most octets of memory its stack holds. Default as [`woshou_stack::Config`].
    pub memory: usize,
}

impl Host {
    /// A host with the default behaviour.
    #[must_use]
    pub fn new(name: &str, v4: Ipv4Addr, v6: Ipv6Addr) -> Self {
        Self {
            name: name.to_owned(),
            v4,
            v6,
            tcp: Arc::default(),
            ephemeral_ports: 49152..=65535,
            mtu: 1500,
            gso_max: 0,
            checksum_offload: false,
            owned_buffers: true,
            trusts_wire: false,
            memory: woshou_stack::Config::default().memory,
        }
    }

    /// Both addresses.
    #[must_use]
    pub fn addresses(&self) -> [IpAddr; 2] {
        [self.v4.into(), self.v6.into()]
    }
}
