//! ARP: asking and answering for IPv4 addresses (RFC 826, RFC 5227).

use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use woshou_wire::arp::{self, ArpPacket, Operation};
use woshou_wire::ethernet::{ETHER_TYPE_ARP, EthernetHeader, HEADER_LEN, MacAddr};

use super::Mac;

fn frame(to: MacAddr, packet: &ArpPacket) -> Option<Vec<u8>> {
    let mut frame = vec![0; HEADER_LEN + arp::LEN];
    let header = EthernetHeader {
        destination: to,
        source: packet.sender_mac,
        ether_type: ETHER_TYPE_ARP,
    };
    header.write(&mut frame).ok()?;
    packet.write(frame.get_mut(HEADER_LEN..)?).ok()?;
    Some(frame)
}

/// The frame that asks who has `target`; with `known`, only that neighbour is asked.
pub(crate) fn request(
    mac: Mac,
    source: Ipv4Addr,
    target: Ipv4Addr,
    known: Option<Mac>,
) -> Option<Vec<u8>> {
    let packet = ArpPacket {
        operation: Operation::Request,
        sender_mac: MacAddr(mac),
        sender_ip: source,
        target_mac: MacAddr([0; 6]),
        target_ip: target,
    };
    frame(known.map_or(MacAddr::BROADCAST, MacAddr), &packet)
}

/// The frame that answers `request`.
pub(crate) fn reply(mac: Mac, request: &ArpPacket) -> Option<Vec<u8>> {
    let packet = ArpPacket {
        operation: Operation::Reply,
        sender_mac: MacAddr(mac),
        sender_ip: request.target_ip,
        target_mac: request.sender_mac,
        target_ip: request.sender_ip,
    };
    frame(request.sender_mac, &packet)
}
