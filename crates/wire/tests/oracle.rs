//! Another author's builder and parser (etherparse) agree with ours, in both directions.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use proptest::collection::vec;
use proptest::prelude::*;
use woshou_wire::arp::{self, ArpPacket, Operation};
use woshou_wire::checksum::{Sum, pseudo_header};
use woshou_wire::ethernet::{self, EthernetFrame, EthernetHeader, MacAddr};
use woshou_wire::icmpv4::Icmpv4Message;
use woshou_wire::icmpv6::Icmpv6Message;
use woshou_wire::ip_protocol;
use woshou_wire::ipv4::{Ipv4Header, Ipv4Packet};
use woshou_wire::ipv6::{Ipv6Header, Ipv6Packet};
use woshou_wire::tcp::{self, TcpHeader, TcpSegment, tcp_checksum};
use woshou_wire::tcp_option::{Layout, TcpOptions, Timestamps};
use woshou_wire::udp::{self, UdpDatagram, UdpHeader, udp_checksum};

/// The two ends, in either family.
#[derive(Clone, Copy, Debug)]
struct Ends {
    source: IpAddr,
    destination: IpAddr,
}

fn ends() -> impl Strategy<Value = Ends> {
    let v4 = any::<(Ipv4Addr, Ipv4Addr)>().prop_map(|(a, b)| (IpAddr::V4(a), IpAddr::V4(b)));
    let v6 = any::<(Ipv6Addr, Ipv6Addr)>().prop_map(|(a, b)| (IpAddr::V6(a), IpAddr::V6(b)));
    prop_oneof![v4, v6].prop_map(|(source, destination)| Ends {
        source,
        destination,
    })
}

impl Ends {
    fn pseudo(self, protocol: u8, payload: &[u8]) -> Sum {
        let len = u32::try_from(payload.len()).expect("the text is short");
        pseudo_header(self.source, self.destination, protocol, len)
    }

    /// A packet of ours around `payload`.
    fn packet(self, protocol: u8, hops: u8, payload: &[u8]) -> Vec<u8> {
        let mut header = [0; 40];
        let len = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let ip = Ipv4Header {
                    source,
                    destination,
                    protocol,
                    ttl: hops,
                    tos: 0,
                    id: 0,
                    dont_fragment: true,
                    more_fragments: false,
                    fragment_offset: 0,
                };
                ip.write(payload.len(), &mut header)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let ip = Ipv6Header {
                    source,
                    destination,
                    next_header: protocol,
                    hop_limit: hops,
                    traffic_class: 0,
                    flow_label: 0,
                };
                ip.write(payload.len(), &mut header)
            }
            _ => unreachable!("both ends are of one family"),
        };
        [&header[..len.expect("40 octets are enough")], payload].concat()
    }

    /// What our parser finds in a packet of theirs: protocol, hops, payload.
    fn open(self, packet: &[u8]) -> (u8, u8, &[u8]) {
        if self.source.is_ipv4() {
            let packet = Ipv4Packet::parse(packet).expect("a whole packet");
            let header = packet.header;
            assert_eq!(
                (IpAddr::V4(header.source), IpAddr::V4(header.destination)),
                (self.source, self.destination)
            );
            (header.protocol, header.ttl, packet.payload)
        } else {
            let packet = Ipv6Packet::parse(packet).expect("a whole packet");
            let header = packet.header;
            assert_eq!(
                (IpAddr::V6(header.source), IpAddr::V6(header.destination)),
                (self.source, self.destination)
            );
            (
                packet.upper.protocol,
                header.hop_limit,
                packet.upper.payload,
            )
        }
    }

    /// Their builder.
    fn build(self, hops: u8) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
        match (self.source, self.destination) {
            (IpAddr::V4(a), IpAddr::V4(b)) => PacketBuilder::ipv4(a.octets(), b.octets(), hops),
            (IpAddr::V6(a), IpAddr::V6(b)) => PacketBuilder::ipv6(a.octets(), b.octets(), hops),
            _ => unreachable!("both ends are of one family"),
        }
    }
}

/// Their header of the fields of ours.
fn theirs(ours: &TcpHeader) -> etherparse::TcpHeader {
    let flag = |bit: u16| ours.flags & bit != 0;
    let mut header = etherparse::TcpHeader::new(
        ours.source_port,
        ours.destination_port,
        ours.sequence,
        ours.window,
    );
    header.acknowledgment_number = ours.acknowledgement;
    header.urgent_pointer = ours.urgent;
    (header.fin, header.syn, header.rst, header.psh) = (flag(1), flag(2), flag(4), flag(8));
    (header.ack, header.urg, header.ece, header.cwr) = (flag(16), flag(32), flag(64), flag(128));
    header.ns = flag(256);
    header
}

prop_compose! {
    fn tcp_header()(
        (source_port, destination_port, window, urgent) in any::<(u16, u16, u16, u16)>(),
        (sequence, acknowledgement) in any::<(u32, u32)>(),
        flags in 0..=tcp::FLAGS_MASK,
    ) -> TcpHeader {
        TcpHeader { source_port, destination_port, sequence, acknowledgement, flags, window, urgent }
    }
}

fn syn_options() -> impl Strategy<Value = TcpOptions> {
    any::<(u16, u8, u32, u32)>().prop_map(|(mss, shift, value, echo)| TcpOptions {
        mss: Some(mss),
        window_scale: Some(shift),
        sack_permitted: true,
        timestamps: Some(Timestamps { value, echo }),
        ..TcpOptions::default()
    })
}

proptest! {
    #[test]
    fn tcp_ours_to_theirs(
        ends in ends(),
        header in tcp_header(),
        options in syn_options(),
        hops in any::<u8>(),
        text in vec(any::<u8>(), 0..100),
    ) {
        let mut segment = vec![0; tcp::MAX_HEADER_LEN];
        let len = header.write(&options, Layout::Linux, &mut segment).unwrap();
        segment.truncate(len);
        segment.extend_from_slice(&text);
        let checksum = tcp_checksum(ends.pseudo(ip_protocol::TCP, &segment), &[&segment]);
        tcp::set_checksum(&mut segment, checksum).unwrap();
        let packet = ends.packet(ip_protocol::TCP, hops, &segment);

        let sliced = SlicedPacket::from_ip(&packet).unwrap();
        match sliced.net.unwrap() {
            NetSlice::Ipv4(ip) => {
                let header = ip.header().to_header();
                prop_assert_eq!(header.header_checksum, header.calc_header_checksum());
                prop_assert_eq!(IpAddr::V4(header.source.into()), ends.source);
                prop_assert_eq!(IpAddr::V4(header.destination.into()), ends.destination);
                prop_assert_eq!((header.time_to_live, header.dont_fragment), (hops, true));
            }
            NetSlice::Ipv6(ip) => {
                let header = ip.header().to_header();
                prop_assert_eq!(IpAddr::V6(header.source.into()), ends.source);
                prop_assert_eq!(IpAddr::V6(header.destination.into()), ends.destination);
                prop_assert_eq!(header.hop_limit, hops);
            }
            NetSlice::Arp(_) => prop_assert!(false, "not IP"),
        }
        let Some(TransportSlice::Tcp(slice)) = sliced.transport else {
            return Err(TestCaseError::fail("not TCP"));
        };
        let expected = match (ends.source, ends.destination) {
            (IpAddr::V4(a), IpAddr::V4(b)) => slice.calc_checksum_ipv4(a.octets(), b.octets()),
            (IpAddr::V6(a), IpAddr::V6(b)) => slice.calc_checksum_ipv6(a.octets(), b.octets()),
            _ => unreachable!("both ends are of one family"),
        };
        prop_assert_eq!(checksum, expected.unwrap());
        let mut expected = theirs(&header);
        expected.checksum = checksum;
        expected.set_options_raw(slice.options()).unwrap();
        prop_assert_eq!(slice.to_header(), expected);
        prop_assert_eq!(slice.payload(), &text[..]);
        use etherparse::TcpOptionElement::*;
        let Timestamps { value, echo } = options.timestamps.unwrap();
        let elements: Vec<_> = slice.options_iterator().map(Result::unwrap).collect();
        let expected = [
            MaximumSegmentSize(options.mss.unwrap()),
            SelectiveAcknowledgementPermitted,
            Timestamp(value, echo),
            Noop,
            WindowScale(options.window_scale.unwrap()),
        ];
        prop_assert_eq!(&elements[..], &expected[..]);
    }

    #[test]
    fn tcp_theirs_to_ours(
        ends in ends(),
        header in tcp_header(),
        (value, echo, left, right) in any::<(u32, u32, u32, u32)>(),
        hops in any::<u8>(),
        text in vec(any::<u8>(), 0..100),
    ) {
        use etherparse::TcpOptionElement::*;
        let mut theirs = theirs(&header);
        let elements = [
            Noop,
            Timestamp(value, echo),
            SelectiveAcknowledgement((left, right), [Some((right, left)), None, None]),
        ];
        theirs.set_options(&elements).unwrap();
        let mut packet = Vec::new();
        ends.build(hops).tcp_header(theirs).write(&mut packet, &text).unwrap();

        let (protocol, found_hops, segment) = ends.open(&packet);
        prop_assert_eq!((protocol, found_hops), (ip_protocol::TCP, hops));
        prop_assert!(tcp::verify(ends.pseudo(ip_protocol::TCP, segment), segment));
        let segment = TcpSegment::parse(segment).unwrap();
        prop_assert_eq!((segment.header, segment.payload), (header, &text[..]));
        let options = TcpOptions::parse(segment.options).unwrap();
        prop_assert_eq!(options.timestamps, Some(Timestamps { value, echo }));
        let blocks: Vec<_> = options.sack.as_slice().iter().map(|b| (b.left, b.right)).collect();
        prop_assert_eq!(blocks, [(left, right), (right, left)]);
    }

    #[test]
    fn udp_both_ways(
        ends in ends(),
        (source_port, destination_port, hops) in any::<(u16, u16, u8)>(),
        text in vec(any::<u8>(), 0..100),
    ) {
        let mut built = Vec::new();
        ends.build(hops).udp(source_port, destination_port).write(&mut built, &text).unwrap();
        let (protocol, _, datagram) = ends.open(&built);
        prop_assert_eq!(protocol, ip_protocol::UDP);
        prop_assert_eq!(udp::verify(ends.source, ends.destination, datagram), Ok(()));
        let parsed = UdpDatagram::parse(datagram).unwrap();
        let header = UdpHeader { source_port, destination_port };
        prop_assert_eq!((parsed.header, parsed.payload), (header, &text[..]));

        let mut ours = vec![0; udp::HEADER_LEN];
        header.write(text.len(), &mut ours).unwrap();
        ours.extend_from_slice(&text);
        let checksum = udp_checksum(ends.pseudo(ip_protocol::UDP, &ours), &[&ours]);
        udp::set_checksum(&mut ours, checksum).unwrap();
        prop_assert_eq!(&ours, datagram);
    }

    #[test]
    fn echo_both_ways(
        ends in ends(),
        (identifier, sequence, hops, reply) in any::<(u16, u16, u8, bool)>(),
        data in vec(any::<u8>(), 0..100),
    ) {
        let mut built = Vec::new();
        let mut ours = vec![0; 8 + data.len()];
        match (ends.source, ends.destination) {
            (IpAddr::V4(_), _) => {
                let message = if reply {
                    ends.build(hops).icmpv4_echo_reply(identifier, sequence).write(&mut built, &data).unwrap();
                    Icmpv4Message::EchoReply { identifier, sequence, data: &data }
                } else {
                    ends.build(hops).icmpv4_echo_request(identifier, sequence).write(&mut built, &data).unwrap();
                    Icmpv4Message::EchoRequest { identifier, sequence, data: &data }
                };
                message.write(&mut ours).unwrap();
                prop_assert_eq!(Icmpv4Message::parse(ends.open(&built).2), Ok(message));
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let message = if reply {
                    ends.build(hops).icmpv6_echo_reply(identifier, sequence).write(&mut built, &data).unwrap();
                    Icmpv6Message::EchoReply { identifier, sequence, data: &data }
                } else {
                    ends.build(hops).icmpv6_echo_request(identifier, sequence).write(&mut built, &data).unwrap();
                    Icmpv6Message::EchoRequest { identifier, sequence, data: &data }
                };
                message.write(from, to, &mut ours).unwrap();
                prop_assert_eq!(Icmpv6Message::parse(from, to, ends.open(&built).2), Ok(message));
            }
            _ => unreachable!("both ends are of one family"),
        }
        prop_assert_eq!(&ours, ends.open(&built).2);
    }

    #[test]
    fn errors_ours_to_theirs(
        (from, to, mtu, pointer) in any::<(Ipv6Addr, Ipv6Addr, u16, u8)>(),
        packet in vec(any::<u8>(), 20..60),
    ) {
        use etherparse::{Icmpv4Slice, Icmpv4Type, Icmpv6Slice, Icmpv6Type};
        use etherparse::{icmpv4, icmpv6};
        let unreachable = |code, next_hop_mtu| Icmpv4Message::DestinationUnreachable {
            code, next_hop_mtu, packet: &packet,
        };
        let v4 = [
            (unreachable(3, 0), Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Port)),
            (unreachable(4, mtu), Icmpv4Type::DestinationUnreachable(
                icmpv4::DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: mtu })),
            (Icmpv4Message::TimeExceeded { code: 0, packet: &packet },
                Icmpv4Type::TimeExceeded(icmpv4::TimeExceededCode::TtlExceededInTransit)),
            (Icmpv4Message::ParameterProblem { code: 0, pointer, packet: &packet },
                Icmpv4Type::ParameterProblem(icmpv4::ParameterProblemHeader::PointerIndicatesError(pointer))),
        ];
        for (message, expected) in v4 {
            let mut octets = vec![0; message.encoded_len()];
            message.write(&mut octets).unwrap();
            let slice = Icmpv4Slice::from_slice(&octets).unwrap();
            prop_assert_eq!(slice.icmp_type(), expected.clone());
            prop_assert_eq!(slice.payload(), &packet[..]);
            prop_assert_eq!(slice.checksum(), expected.calc_checksum(&packet));
        }
        let v6 = [
            (Icmpv6Message::DestinationUnreachable { code: 4, packet: &packet },
                Icmpv6Type::DestinationUnreachable(icmpv6::DestUnreachableCode::Port)),
            (Icmpv6Message::PacketTooBig { mtu: u32::from(mtu), packet: &packet },
                Icmpv6Type::PacketTooBig { mtu: u32::from(mtu) }),
            (Icmpv6Message::TimeExceeded { code: 0, packet: &packet },
                Icmpv6Type::TimeExceeded(icmpv6::TimeExceededCode::HopLimitExceeded)),
        ];
        for (message, expected) in v6 {
            let mut octets = vec![0; message.encoded_len()];
            message.write(from, to, &mut octets).unwrap();
            let slice = Icmpv6Slice::from_slice(&octets).unwrap();
            prop_assert_eq!(slice.icmp_type(), expected);
            prop_assert_eq!(slice.payload(), &packet[..]);
            prop_assert!(slice.is_checksum_valid(from.octets(), to.octets()));
        }
    }

    #[test]
    fn ethernet_and_arp_both_ways(
        (sender, target) in any::<([u8; 6], [u8; 6])>(),
        (sender_ip, target_ip) in any::<(Ipv4Addr, Ipv4Addr)>(),
    ) {
        let arp = etherparse::ArpPacket::new(
            etherparse::ArpHardwareId::ETHERNET,
            etherparse::EtherType::IPV4,
            etherparse::ArpOperation::REPLY,
            &sender, &sender_ip.octets(), &target, &target_ip.octets(),
        ).unwrap();
        let mut built = Vec::new();
        PacketBuilder::ethernet2(sender, target).arp(arp).write(&mut built).unwrap();

        let header = EthernetHeader {
            destination: MacAddr(target),
            source: MacAddr(sender),
            ether_type: ethernet::ETHER_TYPE_ARP,
        };
        let packet = ArpPacket {
            operation: Operation::Reply,
            sender_mac: MacAddr(sender),
            sender_ip,
            target_mac: MacAddr(target),
            target_ip,
        };
        let frame = EthernetFrame::parse(&built).unwrap();
        prop_assert_eq!(frame.header, header);
        prop_assert_eq!(ArpPacket::parse(frame.payload), Ok(packet));

        let mut ours = vec![0; ethernet::HEADER_LEN + arp::LEN];
        let at = header.write(&mut ours).unwrap();
        packet.write(&mut ours[at..]).unwrap();
        prop_assert_eq!(&ours, &built);
    }
}
