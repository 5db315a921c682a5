//! What is written is read back as it was, and the checksum is that of the plainest loop.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use woshou_wire::WriteError;
use woshou_wire::arp::{self, ArpPacket, Operation};
use woshou_wire::checksum::{Sum, complete, pseudo_header};
use woshou_wire::ethernet::{self, EthernetFrame, EthernetHeader, MacAddr};
use woshou_wire::icmpv4::Icmpv4Message;
use woshou_wire::icmpv6::Icmpv6Message;
use woshou_wire::ipv4::{self, Ipv4Header, Ipv4Packet};
use woshou_wire::ipv6::{self, Fragment, Ipv6Header, Ipv6Packet, walk_extensions};
use woshou_wire::tcp::{self, TcpHeader, TcpSegment, tcp_checksum};
use woshou_wire::tcp_option::{Layout, SackBlock, SackBlocks, TcpOptions, Timestamps};
use woshou_wire::udp::{self, UdpDatagram, UdpHeader, udp_checksum};
use woshou_wire::virtio_net::{self, VirtioNetHeader};

/// RFC 1071 as a reader would write it: 16 bits at a time, carries added at once.
fn naive(octets: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in octets.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).expect("the carry was added")
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..300)
}

prop_compose! {
    fn ipv4_header()(
        (source, destination, protocol, ttl, tos) in any::<(Ipv4Addr, Ipv4Addr, u8, u8, u8)>(),
        (id, dont_fragment, more_fragments) in any::<(u16, bool, bool)>(),
        blocks in 0..=0x1fff_u16,
    ) -> Ipv4Header {
        Ipv4Header {
            source, destination, protocol, ttl, tos, id, dont_fragment, more_fragments,
            fragment_offset: blocks * 8,
        }
    }
}

prop_compose! {
    /// A header in front of something that is no extension header.
    fn ipv6_header()(
        (source, destination, hop_limit, traffic_class) in any::<(Ipv6Addr, Ipv6Addr, u8, u8)>(),
        flow_label in 0..=0xf_ffff_u32,
        next_header in prop_oneof![Just(6), Just(17), Just(58), 61..=255_u8],
    ) -> Ipv6Header {
        Ipv6Header { source, destination, next_header, hop_limit, traffic_class, flow_label }
    }
}

prop_compose! {
    fn tcp_header()(
        (source_port, destination_port, window, urgent) in any::<(u16, u16, u16, u16)>(),
        sequence in prop_oneof![0xffff_ff00..=u32::MAX, any::<u32>()],
        acknowledgement in any::<u32>(),
        flags in 0..=tcp::FLAGS_MASK,
    ) -> TcpHeader {
        TcpHeader { source_port, destination_port, sequence, acknowledgement, flags, window, urgent }
    }
}

prop_compose! {
    /// At most two blocks, which always fit.
    fn tcp_options()(
        mss in any::<Option<u16>>(),
        window_scale in any::<Option<u8>>(),
        sack_permitted in any::<bool>(),
        timestamps in any::<Option<(u32, u32)>>(),
        blocks in vec(any::<(u32, u32)>(), 0..=2),
    ) -> TcpOptions {
        let mut sack = SackBlocks::EMPTY;
        for (left, right) in blocks {
            assert!(sack.push(SackBlock { left, right }));
        }
        TcpOptions {
            mss, window_scale, sack_permitted, sack,
            timestamps: timestamps.map(|(value, echo)| Timestamps { value, echo }),
        }
    }
}

fn layout() -> impl Strategy<Value = Layout> {
    prop_oneof![Just(Layout::Linux), Just(Layout::FreeBsd)]
}

fn mac() -> impl Strategy<Value = MacAddr> {
    any::<[u8; 6]>().prop_map(MacAddr)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Pieces of any length, around the 64 octets of a block too, equal the plain loop over all of them.
    #[test]
    fn checksum_of_pieces(pieces in vec(vec(prop_oneof![Just(0xff), any::<u8>()], 0..140), 0..6)) {
        let sum = pieces.iter().fold(Sum::ZERO, |sum, piece| sum.with(piece));
        prop_assert_eq!(sum.partial(), naive(&pieces.concat()));
        prop_assert_eq!(sum.checksum(), !naive(&pieces.concat()));
    }

    #[test]
    fn checksum_of_pseudo_headers(
        v4 in any::<(Ipv4Addr, Ipv4Addr)>(),
        v6 in any::<(Ipv6Addr, Ipv6Addr)>(),
        protocol in any::<u8>(),
        length in any::<u32>(),
    ) {
        let tail = [&length.to_be_bytes()[..], &[0, 0, 0, protocol]].concat();
        let drawn = [&v4.0.octets()[..], &v4.1.octets(), &tail].concat();
        prop_assert_eq!(pseudo_header(v4.0.into(), v4.1.into(), protocol, length).partial(), naive(&drawn));
        let drawn = [&v6.0.octets()[..], &v6.1.octets(), &tail].concat();
        prop_assert_eq!(pseudo_header(v6.0.into(), v6.1.into(), protocol, length).partial(), naive(&drawn));
    }

    /// What a device finishes from a partial sum is what we would have sent ourselves.
    #[test]
    fn offloaded_checksum(
        header in tcp_header(),
        (source, destination) in any::<(Ipv4Addr, Ipv4Addr)>(),
        text in text(),
        front in 0..40_usize,
    ) {
        let mut packet = vec![0x5a; front + 20];
        header.write_raw(&[], &mut packet[front..]).unwrap();
        packet.extend_from_slice(&text);
        let segment = &packet[front..];
        let length = u32::try_from(segment.len()).unwrap();
        let pseudo = pseudo_header(source.into(), destination.into(), 6, length);
        let ours = tcp_checksum(pseudo, &[segment]);

        tcp::set_checksum(&mut packet[front..], pseudo.partial()).unwrap();
        complete(&mut packet, front, tcp::CHECKSUM_OFFSET, false).unwrap();
        let segment = &packet[front..];
        prop_assert!(tcp::verify(pseudo, segment));
        prop_assert_eq!(TcpSegment::parse(segment).unwrap().checksum, ours);
    }

    #[test]
    fn ethernet(destination in mac(), source in mac(), ether_type in any::<u16>(), text in text()) {
        let header = EthernetHeader { destination, source, ether_type };
        let mut frame = vec![0; ethernet::HEADER_LEN];
        header.write(&mut frame).unwrap();
        frame.extend_from_slice(&text);
        prop_assert_eq!(EthernetFrame::parse(&frame), Ok(EthernetFrame { header, payload: &text }));
    }

    #[test]
    fn arp(
        sender_mac in mac(),
        target_mac in mac(),
        (sender_ip, target_ip, reply) in any::<(Ipv4Addr, Ipv4Addr, bool)>(),
    ) {
        let operation = if reply { Operation::Reply } else { Operation::Request };
        let packet = ArpPacket { operation, sender_mac, sender_ip, target_mac, target_ip };
        let mut octets = [0; arp::LEN];
        packet.write(&mut octets).unwrap();
        prop_assert_eq!(ArpPacket::parse(&octets), Ok(packet));
    }

    #[test]
    fn ipv4(header in ipv4_header(), text in text(), padding in 0..8_usize) {
        let mut packet = vec![0; ipv4::HEADER_LEN];
        prop_assert_eq!(header.write(text.len(), &mut packet), Ok(20));
        packet.extend_from_slice(&text);
        packet.resize(packet.len() + padding, 0xee);
        let parsed = Ipv4Packet { header, options: &[], payload: &text };
        prop_assert_eq!(Ipv4Packet::parse(&packet), Ok(parsed));
        prop_assert_eq!(naive(&packet[..20]), 0xffff);
    }

    #[test]
    fn ipv6(header in ipv6_header(), text in text(), padding in 0..8_usize) {
        let mut packet = vec![0; ipv6::HEADER_LEN];
        prop_assert_eq!(header.write(text.len(), &mut packet), Ok(40));
        packet.extend_from_slice(&text);
        packet.resize(packet.len() + padding, 0xee);
        let parsed = Ipv6Packet::parse(&packet).unwrap();
        prop_assert_eq!((parsed.header, parsed.payload), (header, &text[..]));
        prop_assert_eq!((parsed.upper.protocol, parsed.upper.offset), (header.next_header, 40));
    }

    #[test]
    fn ipv6_fragment(blocks in 0..=0x1fff_u16, (more, id) in any::<(bool, u32)>(), next_header in 61..=255_u8) {
        let fragment = Fragment { next_header, offset: blocks * 8, more, id };
        let mut octets = [0; 16];
        prop_assert_eq!(fragment.write(&mut octets), Ok(8));
        let upper = walk_extensions(ipv6::FRAGMENT, &octets).unwrap();
        prop_assert_eq!((upper.fragment, upper.protocol), (Some(fragment), next_header));
        let askew = Fragment { offset: (blocks * 8) | 4, ..fragment };
        prop_assert_eq!(askew.write(&mut octets), Err(WriteError::FragmentOffset));
    }

    #[test]
    fn tcp(header in tcp_header(), options in tcp_options(), layout in layout(), text in text()) {
        let mut octets = [0; tcp::MAX_HEADER_LEN];
        let len = header.write(&options, layout, &mut octets).unwrap();
        prop_assert_eq!(len, 20 + options.encoded_len(layout));
        let segment = [&octets[..len], &text].concat();
        let parsed = TcpSegment::parse(&segment).unwrap();
        prop_assert_eq!((parsed.header, parsed.payload), (header, &text[..]));
        prop_assert_eq!(TcpOptions::parse(parsed.options), Ok(options));
        let short = header.write(&options, layout, &mut octets[..len - 1]);
        prop_assert_eq!(short, Err(WriteError::BufferTooShort { needed: len }));
    }

    /// Options of TCP and of IPv4, at any alignment and length, known and unknown: read alike, and never past their end.
    #[test]
    fn options_at_any_alignment(
        shift in 0..9_usize,
        words in 0..=10_usize,
        raw in vec(prop_oneof![0..9_u8, any::<u8>()], 40),
        text in text(),
    ) {
        let options = &raw[..words * 4];
        let mut tcp = vec![0; 20];
        tcp[12] = u8::try_from(5 + words).expect("a nibble") << 4;
        tcp.extend(options.iter().chain(&text));
        let mut ip = vec![0; 20];
        ip[0] = 0x40 | u8::try_from(5 + words).expect("a nibble");
        ip[9] = 6;
        ip.extend_from_slice(options);
        let total = u16::try_from(ip.len() + tcp.len()).expect("short");
        ip[2..4].copy_from_slice(&total.to_be_bytes());
        let sum = naive(&ip);
        ip[10..12].copy_from_slice(&(!sum).to_be_bytes());
        let mut shifted = vec![0xa5; shift];
        shifted.extend(ip.iter().chain(&tcp));
        let packet = Ipv4Packet::parse(&shifted[shift..]).expect("sound");
        prop_assert_eq!((packet.options, packet.payload), (options, &tcp[..]));
        let segment = TcpSegment::parse(packet.payload).expect("sound");
        prop_assert_eq!((segment.options, segment.payload), (options, &text[..]));
        prop_assert_eq!(TcpOptions::parse(segment.options), TcpOptions::parse(options));
    }

    #[test]
    fn udp(
        (source_port, destination_port) in any::<(u16, u16)>(),
        (source, destination) in any::<(Ipv6Addr, Ipv6Addr)>(),
        text in text(),
    ) {
        let header = UdpHeader { source_port, destination_port };
        let mut datagram = vec![0; udp::HEADER_LEN];
        header.write(text.len(), &mut datagram).unwrap();
        let length = u32::try_from(text.len()).unwrap() + 8;
        let (source, destination) = (IpAddr::V6(source), IpAddr::V6(destination));
        let pseudo = pseudo_header(source, destination, 17, length);
        let checksum = udp_checksum(pseudo, &[&datagram, &text]);
        udp::set_checksum(&mut datagram, checksum).unwrap();
        datagram.extend_from_slice(&text);
        prop_assert_eq!(UdpDatagram::parse(&datagram), Ok(UdpDatagram { header, checksum, payload: &text }));
        prop_assert_eq!(udp::verify(source, destination, &datagram), Ok(()));
    }

    #[test]
    fn icmpv4((a, b, code, pointer) in any::<(u16, u16, u8, u8)>(), text in text()) {
        for message in [
            Icmpv4Message::EchoRequest { identifier: a, sequence: b, data: &text },
            Icmpv4Message::EchoReply { identifier: a, sequence: b, data: &text },
            Icmpv4Message::DestinationUnreachable { code, next_hop_mtu: a, packet: &text },
            Icmpv4Message::TimeExceeded { code, packet: &text },
            Icmpv4Message::ParameterProblem { code, pointer, packet: &text },
        ] {
            let mut octets = vec![0; message.encoded_len()];
            prop_assert_eq!(message.write(&mut octets), Ok(octets.len()));
            prop_assert_eq!(naive(&octets), 0xffff);
            prop_assert_eq!(Icmpv4Message::parse(&octets), Ok(message));
        }
    }

    #[test]
    fn icmpv6(
        (source, destination, word, code) in any::<(Ipv6Addr, Ipv6Addr, u32, u8)>(),
        target in any::<Ipv6Addr>().prop_filter("not a group", |target| !target.is_multicast()),
        link in proptest::option::of(mac()),
        (router, solicited, overrides) in any::<(bool, bool, bool)>(),
        text in text(),
    ) {
        let solicited = solicited && !destination.is_multicast();
        for message in [
            Icmpv6Message::DestinationUnreachable { code, packet: &text },
            Icmpv6Message::PacketTooBig { mtu: word, packet: &text },
            Icmpv6Message::TimeExceeded { code, packet: &text },
            Icmpv6Message::ParameterProblem { code, pointer: word, packet: &text },
            Icmpv6Message::EchoRequest { identifier: 0xfffe, sequence: u16::from(code), data: &text },
            Icmpv6Message::EchoReply { identifier: 0xfffe, sequence: u16::from(code), data: &text },
            Icmpv6Message::NeighbourSolicitation { target, source_link: link },
            Icmpv6Message::NeighbourAdvertisement {
                router, solicited, overrides, target, target_link: link,
            },
        ] {
            let mut octets = vec![0; message.encoded_len()];
            prop_assert_eq!(message.write(source, destination, &mut octets), Ok(octets.len()));
            prop_assert_eq!(Icmpv6Message::parse(source, destination, &octets), Ok(message));
        }
    }

    #[test]
    fn virtio_net(
        (hdr_len, csum_start, csum_offset) in any::<(u16, u16, u16)>(),
        gso_size in 1..=u16::MAX,
        gso_type in prop_oneof![Just(0), Just(1), Just(4), Just(5), Just(0x81), Just(0x84)],
        text in text(),
    ) {
        let header = VirtioNetHeader {
            flags: virtio_net::DATA_VALID, gso_type, hdr_len, gso_size, csum_start, csum_offset,
        };
        let mut octets = vec![0; virtio_net::HEADER_LEN];
        header.write(&mut octets).unwrap();
        octets.extend_from_slice(&text);
        prop_assert_eq!(VirtioNetHeader::parse(&octets), Ok((header, &text[..])));
    }
}
