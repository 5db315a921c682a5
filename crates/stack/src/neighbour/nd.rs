//! Neighbour discovery: asking and answering for IPv6 addresses (RFC 4861).

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use woshou_tcp::Ecn;
use woshou_wire::ethernet::{ETHER_TYPE_IPV6, EthernetHeader, MacAddr};
use woshou_wire::icmpv6::{Icmpv6Message, NEIGHBOUR_HOP_LIMIT, multicast_mac, solicited_node};
use woshou_wire::ip_protocol;

use super::Mac;
use crate::ip::IpHeader;
use crate::ip::icmp::written_v6;

/// All nodes of the link (RFC 4291 section 2.7.1).
pub(crate) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

fn packet(message: &Icmpv6Message<'_>, source: Ipv6Addr, destination: Ipv6Addr) -> Option<Vec<u8>> {
    let ip = IpHeader {
        source: IpAddr::V6(source),
        destination: IpAddr::V6(destination),
        protocol: ip_protocol::ICMPV6,
        hop_limit: NEIGHBOUR_HOP_LIMIT,
        tos: 0,
        ecn: Ecn::NotEct,
        flow_label: 0,
    };
    ip.packet(&written_v6(message, source, destination)?)
}

/// The frame that asks who has `target`; with `known`, only that neighbour is asked.
pub(crate) fn solicitation(
    mac: Mac,
    source: Ipv6Addr,
    target: Ipv6Addr,
    known: Option<Mac>,
) -> Option<Vec<u8>> {
    let message = Icmpv6Message::NeighbourSolicitation {
        target,
        source_link: Some(MacAddr(mac)),
    };
    let (to, to_mac) = match known {
        Some(known) => (target, MacAddr(known)),
        None => (
            solicited_node(target),
            multicast_mac(solicited_node(target)),
        ),
    };
    let mut frame = packet(&message, source, to)?;
    let header = EthernetHeader {
        destination: to_mac,
        source: MacAddr(mac),
        ether_type: ETHER_TYPE_IPV6,
    };
    header.write(&mut frame).ok()?;
    Some(frame)
}

/// The packet that answers for `target`, which is ours: to the one who asked, or to all when the one who asked has
/// no address yet (RFC 4861 section 7.2.4).
pub(crate) fn advertisement(
    mac: Mac,
    target: Ipv6Addr,
    asker: Ipv6Addr,
) -> Option<(Ipv6Addr, Vec<u8>)> {
    let nameless = asker.is_unspecified();
    let to = if nameless { ALL_NODES } else { asker };
    let message = Icmpv6Message::NeighbourAdvertisement {
        router: false,
        solicited: !nameless,
        overrides: true,
        target,
        target_link: Some(MacAddr(mac)),
    };
    Some((to, packet(&message, target, to)?))
}
