use proptest::prelude::*;
use woshou_tcp::Reason;
use woshou_wire::icmpv4::Icmpv4Message;
use woshou_wire::ipv4::Ipv4Header;
use woshou_wire::udp::UdpHeader;

use super::*;
use crate::scene::{ACK, Scene, X, Y, classic, header, trouble};

#[test]
fn the_well_known_text() {
    let expected = "\
IP 192.168.1.116.3337 > 192.168.1.123.7788: S 3626544836:3626544836 win 65535 <mss 1460,sackOK,timestamp 1 0,wscale 7>
IP 192.168.1.123.7788 > 192.168.1.116.3337: S 1739326486:1739326486 ack 3626544837 win 65535 <mss 1460,sackOK,timestamp 1 0,wscale 7>
IP 192.168.1.116.3337 > 192.168.1.123.7788: ack 1739326487 win 65535
IP 192.168.1.116.3337 > 192.168.1.123.7788: P 1:101(100) ack 1 win 65535
IP 192.168.1.123.7788 > 192.168.1.116.3337: P 1:201(200) ack 101 win 65535
IP 192.168.1.116.3337 > 192.168.1.123.7788: F 101:101 ack 201 win 65535
IP 192.168.1.123.7788 > 192.168.1.116.3337: ack 102 win 65535
IP 192.168.1.123.7788 > 192.168.1.116.3337: F 201:201 ack 102 win 65535
IP 192.168.1.116.3337 > 192.168.1.123.7788: ack 202 win 65535
";
    assert_eq!(text(&classic().t, &Options::default()), expected);
}

#[test]
fn sack_blocks_count_from_the_handshake_too() {
    let lines = text(&trouble().t, &Options::default());
    let line =
        "IP 192.168.1.123.7788 > 192.168.1.116.3337: ack 1461 win 65535 <sack 1 {5841:7301}>";
    assert!(lines.lines().any(|l| l == line), "{lines}");
}

#[test]
fn timestamps_and_absolute_numbers_on_demand() {
    let options = Options {
        timestamps: true,
        absolute: true,
    };
    let lines = text(&classic().t, &options);
    let line = "0.040000 IP 192.168.1.116.3337 > 192.168.1.123.7788: \
                P 3626544837:3626544937(100) ack 1739326487 win 65535";
    assert_eq!(lines.lines().nth(3), Some(line));
}

#[test]
fn without_a_wire_the_events_speak() {
    let mut scene = Scene::new("[fd00::1]:80", "[fd00::2]:9");
    scene.wire = false;
    scene.send(0, 0, header(ACK, X, Y), 5, Reason::Data);
    let received = TraceEvent::Received {
        header: header(Flags::RST, Y, 0),
        len: 0,
    };
    scene.tcp(1, 0, received);
    let expected = format!(
        "IP6 fd00::1.80 > fd00::2.9: . {X}:{}(5) ack {Y} win 65535\n\
         IP6 fd00::2.9 > fd00::1.80: R {Y}:{Y} win 65535\n",
        X + 5
    );
    assert_eq!(text(&scene.t, &Options::default()), expected);
}

/// An IPv4 packet from 10.0.0.1 to 10.0.0.2.
fn packet(protocol: u8, body: &[u8], fragment_offset: u16) -> Vec<u8> {
    let header = Ipv4Header {
        source: [10, 0, 0, 1].into(),
        destination: [10, 0, 0, 2].into(),
        protocol,
        ttl: 64,
        tos: 0,
        id: 1,
        dont_fragment: false,
        more_fragments: false,
        fragment_offset,
    };
    let mut octets = vec![0; 20];
    header.write(body.len(), &mut octets).unwrap();
    octets.extend_from_slice(body);
    octets
}

#[test]
fn udp_icmp_and_others_in_short_form() {
    let icmp = |message: Icmpv4Message<'_>| {
        let mut octets = vec![0; 200];
        let len = message.write(&mut octets).unwrap();
        octets.truncate(len);
        octets
    };
    let mut udp = vec![0; 13];
    UdpHeader {
        source_port: 7,
        destination_port: 53,
    }
    .write(5, &mut udp)
    .unwrap();
    let echo = icmp(Icmpv4Message::EchoRequest {
        identifier: 3,
        sequence: 4,
        data: &[9],
    });
    let lost = packet(17, &udp, 0);
    let closed = icmp(Icmpv4Message::DestinationUnreachable {
        code: 3,
        next_hop_mtu: 0,
        packet: &lost,
    });
    let cases = [
        (lost.clone(), "IP 10.0.0.1.7 > 10.0.0.2.53: udp 5"),
        (
            packet(1, &echo, 0),
            "IP 10.0.0.1 > 10.0.0.2: icmp: echo request id 3 seq 4",
        ),
        (
            packet(1, &closed, 0),
            "IP 10.0.0.1 > 10.0.0.2: icmp: 10.0.0.2 port unreachable",
        ),
        (
            packet(47, &[0; 6], 0),
            "IP 10.0.0.1 > 10.0.0.2: ip-proto-47 6",
        ),
        (
            packet(6, &[0; 8], 16),
            "IP 10.0.0.1 > 10.0.0.2: ip-proto-6 frag 8@16",
        ),
        (
            packet(6, &[0; 8], 0),
            "IP 10.0.0.1 > 10.0.0.2: ip-proto-6 8",
        ),
        (vec![0x99; 3], "[not an IP packet, 3 octets]"),
    ];
    for (octets, expected) in cases {
        assert_eq!(line(None, &octets), expected);
    }
}

proptest! {
    /// Hostile octets: one line, whatever they are.
    #[test]
    fn any_octets_make_one_line(mut octets in proptest::collection::vec(any::<u8>(), 0..120), six: bool) {
        if let Some(first) = octets.first_mut() {
            *first = if six { 0x60 } else { 0x45 };
        }
        prop_assert!(!line(None, &octets).contains('\n'));
    }
}
