//! Octets of any kind, and valid packets with a few octets changed: no parser panics, none looks past the end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use woshou_wire::arp::ArpPacket;
use woshou_wire::checksum::{Sum, complete, pseudo_header};
use woshou_wire::ethernet::EthernetFrame;
use woshou_wire::icmpv4::Icmpv4Message;
use woshou_wire::icmpv6::Icmpv6Message;
use woshou_wire::ipv4::{Ipv4Header, Ipv4Packet};
use woshou_wire::ipv6::{Ipv6Header, Ipv6Packet, walk_extensions};
use woshou_wire::tcp::{QuotedTcp, TcpHeader, TcpSegment};
use woshou_wire::tcp_option::{Layout, MAX_OPTIONS, RawOptions, TcpOptions};
use woshou_wire::udp::{self, UdpDatagram};
use woshou_wire::virtio_net::VirtioNetHeader;

const V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const V6: Ipv6Addr = Ipv6Addr::LOCALHOST;

/// Whether `part` lies inside of `whole`, or is empty.
fn is_part(part: &[u8], whole: &[u8]) -> bool {
    let (part, whole) = (part.as_ptr_range(), whole.as_ptr_range());
    part.is_empty() || whole.start <= part.start && part.end <= whole.end
}

fn ipv4(octets: &[u8]) {
    for parsed in [Ipv4Packet::parse(octets), Ipv4Packet::parse_quoted(octets)]
        .into_iter()
        .flatten()
    {
        assert!(is_part(parsed.options, octets) && parsed.options.len() <= 40);
        assert!(is_part(parsed.payload, octets));
        assert!(parsed.header.fragment_offset.is_multiple_of(8));
    }
}

fn ipv6(octets: &[u8]) {
    for parsed in [Ipv6Packet::parse(octets), Ipv6Packet::parse_quoted(octets)]
        .into_iter()
        .flatten()
    {
        assert!(is_part(parsed.payload, octets) && is_part(parsed.upper.payload, octets));
        assert_eq!(
            &octets[parsed.upper.offset..][..parsed.upper.payload.len()],
            parsed.upper.payload
        );
        assert_eq!(octets[parsed.upper.named_at], parsed.upper.protocol);
    }
}

fn tcp(octets: &[u8]) {
    let _ = QuotedTcp::parse(octets);
    if let Ok(segment) = TcpSegment::parse(octets) {
        assert!(is_part(segment.payload, octets) && is_part(segment.options, octets));
        assert_eq!(
            20 + segment.options.len() + segment.payload.len(),
            octets.len()
        );
        options(segment.options);
    }
}

fn options(octets: &[u8]) {
    let understood = TcpOptions::parse(octets).unwrap_or_else(|malformed| malformed.understood);
    let count = RawOptions::new(octets).inspect(|option| {
        assert!(option.is_err() || option.is_ok_and(|option| is_part(option.data, octets)));
    });
    assert!(count.count() <= octets.len());
    for layout in [Layout::Linux, Layout::FreeBsd] {
        let mut into = [0; MAX_OPTIONS];
        let len = understood.write(layout, &mut into);
        assert!(len <= MAX_OPTIONS && len.is_multiple_of(4));
        assert!(TcpOptions::parse(&into[..len]).is_ok());
    }
}

fn everything(octets: &[u8]) {
    ipv4(octets);
    ipv6(octets);
    tcp(octets);
    options(octets);
    let _ = ArpPacket::parse(octets);
    if let Ok(frame) = EthernetFrame::parse(octets) {
        assert!(is_part(frame.payload, octets));
    }
    let _ = Icmpv4Message::parse(octets);
    let _ = Icmpv6Message::parse(V6, V6, octets);
    let _ = udp::verify(IpAddr::V4(V4), IpAddr::V4(V4), octets);
    if let Ok(datagram) = UdpDatagram::parse(octets) {
        assert!(is_part(datagram.payload, octets));
    }
    if let Ok((header, packet)) = VirtioNetHeader::parse(octets)
        && header.needs_csum()
    {
        let (start, offset) = (
            usize::from(header.csum_start),
            usize::from(header.csum_offset),
        );
        let mut packet = packet.to_vec();
        assert_eq!(
            complete(&mut packet, start, offset, false),
            Ok(()),
            "parse has looked"
        );
    }
}

/// A packet with a TCP segment, checksums right.
fn packet(v6: bool, options: &[u8], text: &[u8]) -> Vec<u8> {
    let mut octets = vec![0; 40 + 60 + text.len()];
    let mut tcp = [0; 60];
    let header = TcpHeader {
        sequence: 0xffff_fff0,
        flags: 0x10,
        ..TcpHeader::default()
    };
    let tcp_len = header
        .write_raw(options, &mut tcp)
        .expect("60 octets are enough");
    let payload_len = tcp_len + text.len();
    let ip_len = if v6 {
        let header = Ipv6Header {
            source: V6,
            destination: V6,
            next_header: 6,
            hop_limit: 64,
            traffic_class: 0,
            flow_label: 0,
        };
        header.write(payload_len, &mut octets)
    } else {
        let header = Ipv4Header {
            source: V4,
            destination: V4,
            protocol: 6,
            ttl: 64,
            tos: 0,
            id: 0,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
        };
        header.write(payload_len, &mut octets)
    }
    .expect("the text is short");
    octets.truncate(ip_len);
    octets.extend_from_slice(&tcp[..tcp_len]);
    octets.extend_from_slice(text);
    octets
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_octets(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        everything(&octets);
    }

    /// Small numbers make lengths, kinds and versions that mean something.
    #[test]
    fn octets_with_small_numbers(octets in proptest::collection::vec(
        prop_oneof![0..12_u8, Just(0x45), Just(0x46), Just(0x60), Just(44), Just(60), any::<u8>()],
        0..120,
    )) {
        everything(&octets);
        options(&octets[..octets.len().min(40)]);
        for next_header in [0, 43, 44, 60] {
            let _ = walk_extensions(next_header, &octets);
        }
    }

    /// A checksum keeps damage out, so the damage is done in front of the checksum.
    #[test]
    fn damaged_packets(
        v6 in any::<bool>(),
        options in proptest::collection::vec(0..12_u8, 0..=40),
        text in proptest::collection::vec(any::<u8>(), 0..50),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        keep in any::<prop::sample::Index>(),
    ) {
        let mut octets = packet(v6, &options, &text);
        for (at, value) in damage {
            let at = at.index(octets.len());
            octets[at] = value;
        }
        let header_len = usize::from(octets[0] & 0x0f) * 4;
        if !v6 && (20..=octets.len()).contains(&header_len) {
            octets[10..12].fill(0);
            let checksum = Sum::ZERO.with(&octets[..header_len]).checksum();
            octets[10..12].copy_from_slice(&checksum.to_be_bytes());
        }
        everything(&octets);
        if let Ok(packet) = Ipv4Packet::parse(&octets) {
            tcp(packet.payload);
        }
        if let Ok(packet) = Ipv6Packet::parse(&octets) {
            tcp(packet.upper.payload);
        }
        everything(&octets[..keep.index(octets.len())]);
    }

    /// ICMP with a checksum that holds, so that the parsers look behind it.
    #[test]
    fn messages_with_a_valid_checksum(
        kind in prop_oneof![0..15_u8, 128..140_u8],
        mut octets in proptest::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 8..80),
    ) {
        octets[0] = kind;
        octets[2..4].fill(0);
        let mut v4 = octets.clone();
        v4[2..4].copy_from_slice(&Sum::ZERO.with(&octets).checksum().to_be_bytes());
        let message = Icmpv4Message::parse(&v4).unwrap();
        prop_assert_eq!(message.encoded_len(), v4.len());

        let len = u32::try_from(octets.len()).unwrap();
        let pseudo = pseudo_header(V6.into(), V6.into(), 58, len);
        let checksum = pseudo.with(&octets).checksum();
        octets[2..4].copy_from_slice(&checksum.to_be_bytes());
        if let Ok(message) = Icmpv6Message::parse(V6, V6, &octets) {
            let mut again = [0; 80];
            let len = message.write(V6, V6, &mut again).unwrap();
            prop_assert_eq!(Icmpv6Message::parse(V6, V6, &again[..len]), Ok(message));
        }
    }
}
