//! A packet from the top down: IP, extension headers, then TCP, UDP or ICMP.
//!
//! Checksums would keep the fuzzer out, so the IPv4 header's and ICMP's are put right in a copy first.
#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use woshou_wire::checksum::{Sum, pseudo_header};
use woshou_wire::icmpv4::Icmpv4Message;
use woshou_wire::icmpv6::Icmpv6Message;
use woshou_wire::ipv4::Ipv4Packet;
use woshou_wire::ipv6::Ipv6Packet;
use woshou_wire::tcp::{QuotedTcp, TcpSegment, set_checksum, tcp_checksum, verify};
use woshou_wire::tcp_option::TcpOptions;
use woshou_wire::{ip_protocol, ip_version, udp};

fuzz_target!(|octets: &[u8]| {
    let _ = Ipv4Packet::parse(octets);
    let mut packet = octets.to_vec();
    match ip_version(octets) {
        Some(4) => {
            let header_len = usize::from(octets[0] & 0x0f) * 4;
            if header_len >= 20 && header_len <= packet.len() {
                packet[10..12].fill(0);
                let checksum = Sum::ZERO.with(&packet[..header_len]).checksum();
                packet[10..12].copy_from_slice(&checksum.to_be_bytes());
            }
            if let Ok(packet) = Ipv4Packet::parse(&packet) {
                assert!(packet.payload.len() < octets.len());
                let (source, destination) = (packet.header.source, packet.header.destination);
                upper(
                    source.into(),
                    destination.into(),
                    packet.header.protocol,
                    packet.payload,
                );
            }
        }
        Some(6) => {
            if let Ok(packet) = Ipv6Packet::parse(octets) {
                let upper_layer = packet.upper;
                assert_eq!(octets[upper_layer.named_at], upper_layer.protocol);
                let end = upper_layer.offset + upper_layer.payload.len();
                assert_eq!(&octets[upper_layer.offset..end], upper_layer.payload);
                let (source, destination) = (packet.header.source, packet.header.destination);
                upper(
                    source.into(),
                    destination.into(),
                    upper_layer.protocol,
                    upper_layer.payload,
                );
            }
        }
        _ => {}
    }
    quoted(octets);
});

fn upper(source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("shorter than a packet");
    let pseudo = pseudo_header(source, destination, protocol, length);
    let mut payload = payload.to_vec();
    match protocol {
        ip_protocol::TCP => {
            if TcpSegment::parse(&payload).is_ok() {
                set_checksum(&mut payload, 0).expect("a whole header");
                let checksum = tcp_checksum(pseudo, &[&payload]);
                set_checksum(&mut payload, checksum).expect("a whole header");
                assert!(verify(pseudo, &payload));
                let segment = TcpSegment::parse(&payload).expect("the checksum is not looked at");
                let _ = TcpOptions::parse(segment.options);
            }
        }
        ip_protocol::UDP => {
            let _ = udp::verify(source, destination, &payload);
        }
        ip_protocol::ICMPV4 if payload.len() >= 4 => {
            payload[2..4].fill(0);
            let checksum = Sum::ZERO.with(&payload).checksum();
            payload[2..4].copy_from_slice(&checksum.to_be_bytes());
            if let Ok(message) = Icmpv4Message::parse(&payload) {
                assert_eq!(message.encoded_len(), payload.len());
                if let Icmpv4Message::DestinationUnreachable { packet, .. } = message {
                    quoted(packet);
                }
            }
        }
        ip_protocol::ICMPV6 if payload.len() >= 4 => {
            let (IpAddr::V6(source), IpAddr::V6(destination)) = (source, destination) else {
                return;
            };
            payload[2..4].fill(0);
            let checksum = pseudo.with(&payload).checksum();
            payload[2..4].copy_from_slice(&checksum.to_be_bytes());
            if let Ok(message) = Icmpv6Message::parse(source, destination, &payload) {
                let mut again = vec![0; message.encoded_len()];
                message
                    .write(source, destination, &mut again)
                    .expect("the length is its own");
                assert_eq!(
                    Icmpv6Message::parse(source, destination, &again),
                    Ok(message)
                );
                if let Icmpv6Message::PacketTooBig { packet, .. } = message {
                    quoted(packet);
                }
            }
        }
        _ => {}
    }
}

fn quoted(octets: &[u8]) {
    if let Ok(packet) = Ipv4Packet::parse_quoted(octets) {
        let _ = QuotedTcp::parse(packet.payload);
    }
    if let Ok(packet) = Ipv6Packet::parse_quoted(octets) {
        let _ = QuotedTcp::parse(packet.upper.payload);
    }
}
