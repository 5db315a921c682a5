//! What packet lines say of IP headers, and the headers around packets.

use woshou_drill::ast::{Body, Encapsulation, IpEcn, IpInfo};

use super::packet;

/// tos, dscp, ecn, ttl, flow label.
type Said = (
    Option<u8>,
    Option<u8>,
    Option<IpEcn>,
    Option<u8>,
    Option<u32>,
);

fn said(ip: &IpInfo) -> Said {
    (
        ip.tos.map(|field| field.value),
        ip.dscp.map(|field| field.value),
        ip.ecn.map(|field| field.value),
        ip.ttl.map(|field| field.value),
        ip.flow_label.map(|field| field.value),
    )
}

#[test]
fn every_part_of_an_ip_header() {
    use IpEcn::{Ce, Ect0, Ect0Or1, Ect1, NotEct};
    let table: [(&str, Said); 26] = [
        ("", (None, None, None, None, None)),
        ("(ect0)", (None, None, Some(Ect0), None, None)),
        ("[ect0]", (None, None, Some(Ect0), None, None)),
        ("[ect1]", (None, None, Some(Ect1), None, None)),
        ("[ce]", (None, None, Some(Ce), None, None)),
        ("(noecn)", (None, None, Some(NotEct), None, None)),
        ("[ect01]", (None, None, Some(Ect0Or1), None, None)),
        ("[tos 0x7b]", (Some(0x7b), None, None, None, None)),
        ("(tos 0)", (Some(0), None, None, None, None)),
        ("[class 0xff]", (Some(255), None, None, None, None)),
        ("(ttl 64)", (None, None, None, Some(64), None)),
        ("[hlim 1]", (None, None, None, Some(1), None)),
        ("[flowlabel 0x1]", (None, None, None, None, Some(1))),
        (
            "(flowlabel 0xfffff)",
            (None, None, None, None, Some(0xf_ffff)),
        ),
        (
            "[tos 0x10, flowlabel 0x5]",
            (Some(16), None, None, None, Some(5)),
        ),
        (
            "[ect0,flowlabel 0x5]",
            (None, None, Some(Ect0), None, Some(5)),
        ),
        ("[tos 0x10, ttl 63]", (Some(16), None, None, Some(63), None)),
        ("[dscp 0x2e]", (None, Some(46), None, None, None)),
        ("[dscp ef]", (None, Some(46), None, None, None)),
        (
            "[dscp CS1, ecn ect0]",
            (None, Some(8), Some(Ect0), None, None),
        ),
        (
            "[dscp af43, ecn ect01, hlim 255]",
            (None, Some(38), Some(Ect0Or1), Some(255), None),
        ),
        ("[dscp voice-admit]", (None, Some(44), None, None, None)),
        (
            "[dscp le, flowlabel 0x2, hlim 3]",
            (None, Some(1), None, Some(3), Some(2)),
        ),
        ("[ecn ce]", (None, None, Some(Ce), None, None)),
        ("[ECN noecn]", (None, None, Some(NotEct), None, None)),
        ("[ecn ect1, ttl 9]", (None, None, Some(Ect1), Some(9), None)),
    ];
    for (text, expected) in table {
        let packet = packet(&format!("> {text} . 1:1(0) ack 1"));
        assert_eq!(said(&packet.ip), expected, "{text}");
    }
}

#[test]
fn headers_print_canonically() {
    let table = [
        ("(ect0)", "[ect0]"),
        ("(class 0x4)", "[tos 0x04]"),
        ("[dscp ef, ecn ce]", "[dscp 0x2e, ecn ce]"),
        ("(hlim 7, flowlabel 0xa)", "[flowlabel 0xa, ttl 7]"),
    ];
    for (text, expected) in table {
        let packet = packet(&format!("> {text} . 1:1(0) ack 1"));
        assert_eq!(packet.to_string(), format!("> {expected} . 1:1(0) ack 1"));
    }
}

#[test]
fn headers_around_a_packet() {
    let table = [
        "ipv4 192.0.2.1 > 192.0.2.2 :",
        "ipv6 2001:db8::1 > 2001:db8::2 :",
        "ipv4 [ttl 3] 192.0.2.1 > 192.0.2.2 :",
        "gre :",
        "gre flags [key present, sequence# present], sum 0, off 0, key = 7, seq 1 :",
        "mpls (label 16, tc 0, ttl 64) :",
        "mpls (label 16, tc 7, ttl 64) (label 1048575, tc 0, [S], ttl 255) :",
        "ipv4 192.0.2.1 > 192.0.2.2 : ipv6 ::1 > ::2 : gre :",
    ];
    for text in table {
        let line = format!("> {text} [ect0] P. 1:11(10) ack 1");
        assert_eq!(packet(&line).to_string(), line);
    }
    let packet = packet(
        "< ipv6 ::ffff:192.0.2.1 > fe80::1: GREv0: mpls (label 5, tc 1, [S], ttl 2) : udp (3)",
    );
    assert_eq!(packet.outer.len(), 3);
    let Encapsulation::Ipv6 {
        source,
        destination,
        ..
    } = &packet.outer[0]
    else {
        panic!("ipv6")
    };
    assert_eq!(source.value.to_string(), "::ffff:192.0.2.1");
    assert_eq!(destination.value.to_string(), "fe80::1");
    let Encapsulation::Mpls(labels) = &packet.outer[2] else {
        panic!("mpls")
    };
    assert_eq!((labels[0].label, labels[0].traffic_class), (5, 1));
    assert!(labels[0].bottom);
    assert_eq!(labels[0].ttl, 2);
}

#[test]
fn psp_stands_between_ip_header_and_ports() {
    let packet = packet("> [ect0] encap psp spi 0x1f 8080 > 5000 P. 1:11(10) ack 1");
    assert_eq!(packet.psp_spi.map(|spi| spi.value), Some(31));
    assert_eq!(
        packet.to_string(),
        "> [ect0] encap psp spi 31 8080 > 5000 P. 1:11(10) ack 1"
    );
}

#[test]
fn other_protocols_are_kept_by_name() {
    let table = [
        (
            "< sctp: INIT[flgs=0, tag=1, a_rwnd=1500, os=1, is=1, tsn=1]",
            "sctp",
        ),
        (
            "> sctp(tag=5)/udp(1 > 2): I-DATA[flgs=BE], SACK[gaps=[1:2], dups=[]]",
            "sctp",
        ),
        ("< sctp (bad_crc32c): [0x01, 0x02]", "sctp"),
        ("> udplite (10, 8)", "udplite"),
    ];
    for (text, protocol) in table {
        let packet = packet(text);
        let Body::Foreign(foreign) = &packet.body else {
            panic!("{text}")
        };
        assert_eq!(foreign.protocol.value, protocol, "{text}");
        assert_eq!(packet.to_string(), text);
    }
}
