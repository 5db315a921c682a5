//! IP headers that are odd: extension headers of IPv6, options of IPv4. Each carries a SYN for a port that nobody has open, so
//! that what got through shows: a RST.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod pair;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{PacketBuilder, TcpHeader};
use pair::Pair;
use woshou_stack::Config;
use woshou_wire::checksum::Sum;

const TCP: u8 = 6;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

/// What comes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Nothing,
    /// It got through.
    Reset,
    /// ICMPv6 Parameter Problem: code and pointer.
    Problem(u8, u32),
}

fn answer(pair: &mut Pair, packet: &[u8]) -> Answer {
    pair.inject(0, packet);
    let before = pair.log.len();
    pair.pump();
    let ours = pair.log[before..].iter().filter(|(from, _)| *from == 0);
    let sent: Vec<_> = ours.map(|(_, flying)| flying.octets.clone()).collect();
    assert!(sent.len() <= 1);
    let Some(sent) = sent.first() else {
        return Answer::Nothing;
    };
    let (protocol, upper) = if sent[0] >> 4 == 6 {
        (sent[6], &sent[40..])
    } else {
        (sent[9], &sent[20..])
    };
    if protocol == TCP {
        assert_eq!(upper[13] & 0x04, 0x04, "a RST");
        return Answer::Reset;
    }
    assert_eq!((protocol, upper[0]), (58, 4), "a Parameter Problem");
    let pointer = u32::from_be_bytes(*upper[4..].first_chunk().unwrap());
    Answer::Problem(upper[1], pointer)
}

fn addresses6() -> (Ipv6Addr, Ipv6Addr) {
    ("fd00::2".parse().unwrap(), "fd00::1".parse().unwrap())
}

fn syn6() -> Vec<u8> {
    let (from, to) = addresses6();
    let mut header = TcpHeader::new(1234, 80, 0xffff_fff0, 1000);
    header.syn = true;
    header.checksum = header
        .calc_checksum_ipv6_raw(from.octets(), to.octets(), &[])
        .unwrap();
    let mut octets = Vec::new();
    header.write(&mut octets).unwrap();
    octets
}

/// `payload` behind an IPv6 header that names `first`.
fn ipv6(to: Ipv6Addr, first: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 0, first, 64];
    packet[4..6].copy_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
    packet.extend(addresses6().0.octets());
    packet.extend(to.octets());
    packet.extend_from_slice(payload);
    packet
}

/// An extension header of eight octets: what follows it, and what is in it.
fn extension(next: u8, data: [u8; 6]) -> Vec<u8> {
    [&[next, 0][..], &data].concat()
}

/// An option of `kind` with four octets, in a header of its own.
fn option(next: u8, kind: u8) -> Vec<u8> {
    extension(next, [kind, 4, 0, 0, 0, 0])
}

const PAD: [u8; 6] = [1, 4, 0, 0, 0, 0];

/// Headers of `kind`, then the SYN.
fn chain(kind: u8, count: usize) -> (u8, Vec<u8>) {
    let mut octets = Vec::new();
    for left in (0..count).rev() {
        octets.extend(extension(if left == 0 { TCP } else { kind }, PAD));
    }
    octets.extend(syn6());
    (if count == 0 { TCP } else { kind }, octets)
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn extension_headers_of_ipv6() {
    use Answer::{Nothing, Problem, Reset};
    let with = |header: Vec<u8>| [header, syn6()].concat();
    let routing = |kind, left| with(extension(TCP, [kind, left, 0, 0, 0, 0]));
    let rh0 = [
        &[TCP, 2, 0, 1, 0, 0, 0, 0][..],
        &addresses6().0.octets(),
        &syn6(),
    ]
    .concat();
    let cases: Vec<(&str, u8, Vec<u8>, Answer)> = vec![
        ("none", TCP, syn6(), Reset),
        (
            "hop-by-hop, padding",
            HOP_BY_HOP,
            with(extension(TCP, PAD)),
            Reset,
        ),
        // RFC 8200 section 4.2: the two highest bits say what to do with an option that is not known.
        (
            "unknown, 00: skip",
            HOP_BY_HOP,
            with(option(TCP, 0x1e)),
            Reset,
        ),
        (
            "unknown, 01: discard",
            HOP_BY_HOP,
            with(option(TCP, 0x5e)),
            Nothing,
        ),
        (
            "unknown, 10: discard and tell",
            HOP_BY_HOP,
            with(option(TCP, 0x9e)),
            Problem(2, 42),
        ),
        (
            "unknown, 11: and tell, unicast",
            HOP_BY_HOP,
            with(option(TCP, 0xde)),
            Problem(2, 42),
        ),
        (
            "in destination options",
            DESTINATION,
            with(option(TCP, 0x9e)),
            Problem(2, 42),
        ),
        (
            "destination, skip",
            DESTINATION,
            with(option(TCP, 0x1e)),
            Reset,
        ),
        // RFC 8200 section 4.1: hop-by-hop options come first.
        (
            "hop-by-hop second",
            DESTINATION,
            [extension(HOP_BY_HOP, PAD), with(extension(TCP, PAD))].concat(),
            Problem(1, 40),
        ),
        // RFC 5095: as a type that is not known.
        ("RH0 with a segment left", ROUTING, rh0, Problem(0, 42)),
        ("RH0, none left", ROUTING, routing(0, 0), Reset),
        (
            "RH4 with a segment left",
            ROUTING,
            routing(4, 1),
            Problem(0, 42),
        ),
        // RFC 2675: 194 is an option of those whose packets are told of.
        (
            "a jumbogram's option in a small packet",
            HOP_BY_HOP,
            with(extension(TCP, [0xc2, 4, 0, 1, 0, 0])),
            Problem(2, 42),
        ),
        // RFC 6946: an atomic fragment is whole, at once.
        (
            "an atomic fragment",
            FRAGMENT,
            with(vec![TCP, 0, 0, 0, 0, 0, 0, 9]),
            Reset,
        ),
        (
            "an atomic fragment, then options",
            FRAGMENT,
            [
                vec![DESTINATION, 0, 0, 0, 0, 0, 0, 9],
                with(extension(TCP, PAD)),
            ]
            .concat(),
            Reset,
        ),
        (
            "past the end",
            HOP_BY_HOP,
            vec![TCP, 9, 1, 4, 0, 0, 0, 0],
            Nothing,
        ),
        ("no next header", 59, syn6(), Nothing),
    ];
    for (name, first, payload, expected) in cases {
        let packet = ipv6(addresses6().1, first, &payload);
        assert_eq!(answer(&mut Pair::new(), &packet), expected, "{name}");
    }
}

#[test]
fn chains_of_headers_end() {
    // As many as RFC 8504 section 5.3 lets a host limit to and more pass; a packet full of them does not.
    for (count, expected) in [(0, Answer::Reset), (1, Answer::Reset), (8, Answer::Reset)] {
        let (first, payload) = chain(DESTINATION, count);
        let packet = ipv6(addresses6().1, first, &payload);
        assert_eq!(answer(&mut Pair::new(), &packet), expected, "{count}");
    }
    for count in [17, 100, 8_000] {
        let (first, payload) = chain(DESTINATION, count);
        let packet = ipv6(addresses6().1, first, &payload);
        let mut pair = Pair::new();
        assert_eq!(answer(&mut pair, &packet), Answer::Nothing, "{count}");
        assert_eq!(pair.stacks[0].counters().bad_ip, 1);
    }
}

/// RFC 8200 section 4.2: 11 says that nobody is told where many would be; RFC 4443 section 2.4 (e.3) makes 10 an exception.
#[test]
fn options_in_packets_for_many() {
    let all_nodes = "ff02::1".parse().unwrap();
    for (kind, expected) in [(0xde, Answer::Nothing), (0x9e, Answer::Problem(2, 42))] {
        let payload = [option(TCP, kind), syn6()].concat();
        let packet = ipv6(all_nodes, HOP_BY_HOP, &payload);
        assert_eq!(answer(&mut Pair::new(), &packet), expected, "{kind:#x}");
    }
}

/// RFC 2675: the length is in the option, and in the header there is none. We take no jumbograms.
#[test]
fn jumbograms_are_refused() {
    let payload = [extension(TCP, [0xc2, 4, 0, 1, 0, 8]), syn6()].concat();
    let mut packet = ipv6(addresses6().1, HOP_BY_HOP, &payload);
    packet[4..6].fill(0);
    packet.resize(40 + 65_544, 0);
    let mut pair = Pair::new();
    assert_eq!(answer(&mut pair, &packet), Answer::Nothing);
    assert_eq!(pair.stacks[0].counters().bad_ip, 1);
}

/// Atomic fragments with the number of a datagram that is not complete are no part of it (RFC 6946 section 4).
#[test]
fn atomic_fragments_are_alone() {
    let mut pair = Pair::new();
    let first = [vec![TCP, 0, 0, 1, 0, 0, 0, 9], vec![0; 64]].concat();
    let packet = ipv6(addresses6().1, FRAGMENT, &first);
    assert_eq!(answer(&mut pair, &packet), Answer::Nothing);
    let atomic = [vec![TCP, 0, 0, 0, 0, 0, 0, 9], syn6()].concat();
    let packet = ipv6(addresses6().1, FRAGMENT, &atomic);
    assert_eq!(answer(&mut pair, &packet), Answer::Reset);
}

/// A SYN with `options` in its IPv4 header.
fn syn4(options: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4([10, 0, 0, 2], [10, 0, 0, 1], 64)
        .tcp(1234, 80, 0xffff_fff0, 1000)
        .syn()
        .write(&mut packet, &[])
        .unwrap();
    packet.splice(20..20, options.iter().copied());
    packet[0] = 0x45 + u8::try_from(options.len() / 4).unwrap();
    let len = u16::try_from(packet.len()).unwrap();
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    packet[10..12].fill(0);
    let checksum = Sum::ZERO.with(&packet[..20 + options.len()]).checksum();
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet
}

#[test]
fn source_routed_packets_of_ipv4() {
    let cases: [(&str, &[u8], bool); 8] = [
        ("no options", &[], true),
        ("no operation", &[1, 1, 1, 0], true),
        ("router alert", &[148, 4, 0, 0], true),
        ("record route", &[7, 7, 4, 0, 0, 0, 0, 0], true),
        ("timestamp", &[68, 8, 5, 0, 0, 0, 0, 0], true),
        ("loose, used up", &[131, 7, 8, 10, 0, 0, 9, 0], false),
        ("strict", &[137, 7, 4, 10, 0, 0, 9, 0], false),
        ("behind others", &[1, 148, 4, 0, 0, 131, 3, 4], false),
    ];
    for accept_source_routed in [false, true] {
        let config = Config {
            accept_source_routed,
            ..Config::default()
        };
        for (name, options, is_usual) in cases {
            let mut pair = Pair::with(config.clone(), |_, link| link);
            let passes = is_usual || accept_source_routed;
            let expected = if passes {
                Answer::Reset
            } else {
                Answer::Nothing
            };
            assert_eq!(answer(&mut pair, &syn4(options)), expected, "{name}");
            assert_eq!(pair.stacks[0].counters().bad_ip, u64::from(!passes));
            // Answers go by our own routes, without options.
            let sent = pair.log.iter().filter(|(from, _)| *from == 0);
            for (_, flying) in sent {
                assert_eq!(flying.octets[0], 0x45);
                let to: [u8; 4] = *flying.octets[16..].first_chunk().unwrap();
                assert_eq!(IpAddr::from(to), IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)));
            }
        }
    }
}
