//! ICMP packet lines and the numbers of their names.

use woshou_drill::ast::{Body, IcmpPacket, Quoted, Seq};
use woshou_drill::icmp::{UnknownName, Version, resolve};

use super::packet;

fn icmp(text: &str) -> IcmpPacket {
    match packet(text).body {
        Body::Icmp(icmp) => icmp,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn every_part_of_a_message() {
    let seq = |start, length| {
        Quoted::Tcp(Seq::Range {
            start,
            length,
            absolute: false,
        })
    };
    let table = [
        ("< icmp unreachable", "unreachable", None, None, None, None),
        (
            "< icmp unreachable host_unreachable",
            "unreachable",
            Some("host_unreachable"),
            None,
            None,
            None,
        ),
        (
            "< icmp unreachable frag_needed mtu 1200 [1:1461(1460)]",
            "unreachable",
            Some("frag_needed"),
            Some(1200),
            None,
            Some(seq(1, 1460)),
        ),
        (
            "< icmp packet_too_big mtu 1280 [5:5(0)]",
            "packet_too_big",
            None,
            Some(1280),
            None,
            Some(seq(5, 0)),
        ),
        (
            "< icmp time_exceeded ttl_exceeded_in_transit",
            "time_exceeded",
            Some("ttl_exceeded_in_transit"),
            None,
            None,
            None,
        ),
        (
            "< icmp type_3 code_13 [1:2(1)]",
            "type_3",
            Some("code_13"),
            None,
            None,
            Some(seq(1, 1)),
        ),
        (
            "< icmp echo_request id 77",
            "echo_request",
            None,
            None,
            Some(77),
            None,
        ),
        (
            "< icmp unreachable port_unreachable [udp (100)]",
            "unreachable",
            Some("port_unreachable"),
            None,
            None,
            Some(Quoted::Udp(100)),
        ),
        (
            "< icmp router_advertisement [raw (8)]",
            "router_advertisement",
            None,
            None,
            None,
            Some(Quoted::Raw(8)),
        ),
        (
            "> icmp source_quench code_0 mtu 1 id 2 [...(3)]",
            "source_quench",
            Some("code_0"),
            Some(1),
            Some(2),
            Some(Quoted::Tcp(Seq::Any { length: 3 })),
        ),
    ];
    for (text, kind, code, mtu, id, quoted) in table {
        let message = icmp(text);
        assert_eq!(message.kind.value, kind, "{text}");
        assert_eq!(
            message.code.as_ref().map(|code| code.value.as_str()),
            code,
            "{text}"
        );
        assert_eq!(message.mtu.map(|mtu| mtu.value), mtu, "{text}");
        assert_eq!(message.id.map(|id| id.value), id, "{text}");
        assert_eq!(message.quoted.map(|quoted| quoted.value), quoted, "{text}");
        assert_eq!(packet(text).to_string(), text);
    }
}

#[test]
fn a_quoted_segment_may_be_carried_in_udp() {
    let line = "< icmp unreachable port_unreachable [1:1(0) /udp(9899 > 9900)]";
    let udp = icmp(line).udp.expect("ports");
    assert_eq!((udp.source.value, udp.destination.value), (9899, 9900));
    assert_eq!(packet(line).to_string(), line);
}

#[test]
fn numbers_of_names() {
    use Version::{V4, V6};
    let table = [
        (V4, "unreachable", None, (3, 0)),
        (V4, "unreachable", Some("net_unreachable"), (3, 0)),
        (V4, "unreachable", Some("port_unreachable"), (3, 3)),
        (V4, "unreachable", Some("frag_needed"), (3, 4)),
        (V4, "unreachable", Some("net_unreachable_for_tos"), (3, 11)),
        (V4, "unreachable", Some("precedence_cutoff"), (3, 15)),
        (V4, "source_quench", None, (4, 0)),
        (V4, "echo_request", None, (8, 0)),
        (V4, "router_advertisement", None, (9, 0)),
        (V4, "time_exceeded", Some("frag_reass_exceeded"), (11, 1)),
        (V4, "parameter_problem", Some("code_2"), (12, 2)),
        (V4, "type_3", Some("frag_needed"), (3, 4)),
        (V4, "type_255", Some("code_255"), (255, 255)),
        (V6, "unreachable", Some("no_route"), (1, 0)),
        (V6, "unreachable", Some("port_unreachable"), (1, 4)),
        (V6, "packet_too_big", None, (2, 0)),
        (V6, "time_exceeded", Some("exceeded_hop_limit"), (3, 0)),
        (V6, "parameter_problem", Some("unknown_option"), (4, 2)),
        (V6, "echo_reply", None, (129, 0)),
        (V6, "router_advertisement", None, (134, 0)),
        (V6, "redirect", None, (137, 0)),
        (V4, "redirect", None, (5, 0)),
        (V4, "address_mask_reply", None, (18, 0)),
    ];
    for (version, kind, code, expected) in table {
        assert_eq!(
            resolve(version, kind, code),
            Ok(expected),
            "{version:?} {kind} {code:?}"
        );
    }
}

#[test]
fn unknown_names_are_named() {
    let kind = |name: &str| Err(UnknownName::Type(name.to_owned()));
    let code = |name: &str| Err(UnknownName::Code(name.to_owned()));
    assert_eq!(
        resolve(Version::V4, "packet_too_big", None),
        kind("packet_too_big")
    );
    assert_eq!(
        resolve(Version::V6, "source_quench", None),
        kind("source_quench")
    );
    assert_eq!(resolve(Version::V4, "type_256", None), kind("type_256"));
    assert_eq!(
        resolve(Version::V4, "unreachable", Some("no_route")),
        code("no_route")
    );
    assert_eq!(
        resolve(Version::V4, "redirect", Some("code_x")),
        code("code_x")
    );
    assert_eq!(UnknownName::Type("x".to_owned()).to_string(), "ICMP type x");
    assert_eq!(UnknownName::Code("y".to_owned()).to_string(), "ICMP code y");
}
