//! Frames: Ethernet, ARP; and ICMP, UDP and TCP by themselves, checksums as they come.
#![no_main]

use std::net::Ipv6Addr;

use libfuzzer_sys::fuzz_target;
use woshou_wire::arp::{self, ArpPacket};
use woshou_wire::ethernet::{self, EthernetFrame};
use woshou_wire::icmpv4::Icmpv4Message;
use woshou_wire::icmpv6::Icmpv6Message;
use woshou_wire::tcp::TcpSegment;
use woshou_wire::udp::UdpDatagram;

fuzz_target!(|octets: &[u8]| {
    let _ = Icmpv4Message::parse(octets);
    let _ = Icmpv6Message::parse(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST, octets);
    let _ = UdpDatagram::parse(octets);
    let _ = TcpSegment::parse(octets);
    let Ok(frame) = EthernetFrame::parse(octets) else {
        return;
    };
    let mut header = [0; ethernet::HEADER_LEN];
    frame
        .header
        .write(&mut header)
        .expect("the length is its own");
    assert_eq!(octets, [&header[..], frame.payload].concat());
    // Behind any EtherType: the fuzzer need not find it.
    if let Ok(packet) = ArpPacket::parse(frame.payload) {
        let mut again = [0; arp::LEN];
        packet.write(&mut again).expect("the length is its own");
        assert_eq!(frame.payload[..arp::LEN], again);
    }
});
