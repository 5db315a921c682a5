//! Single packets, built by another implementation (etherparse): what is answered, what is dropped, what is believed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod pair;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use etherparse::{
    IcmpEchoHeader, Icmpv4Slice, Icmpv4Type, Icmpv6Slice, Icmpv6Type, PacketBuilder, SlicedPacket,
    TransportSlice, icmpv4, icmpv6,
};
use pair::{Flying, Pair, at, pattern};
use proptest::prelude::*;
use woshou_stack::{Config, LinkConfig, Medium};
use woshou_tcp::error::PathError;
use woshou_tcp::{Config as TcpConfig, Ended, State};

const PEER4: [u8; 4] = [10, 0, 0, 2];
const OURS4: [u8; 4] = [10, 0, 0, 1];

fn peer6() -> [u8; 16] {
    "fd00::2".parse::<Ipv6Addr>().unwrap().octets()
}

fn ours6() -> [u8; 16] {
    "fd00::1".parse::<Ipv6Addr>().unwrap().octets()
}

/// What stack 0 sends when it is given `octets`.
fn answers(pair: &mut Pair, octets: &[u8]) -> Vec<Vec<u8>> {
    pair.inject(0, octets);
    let before = pair.log.len();
    pair.pump();
    pair.log[before..]
        .iter()
        .filter(|(from, _)| *from == 0)
        .map(|(_, f)| f.octets.clone())
        .collect()
}

fn syn(source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
    let builder = PacketBuilder::ipv4(source, destination, 64)
        .tcp(1234, 80, 0xffff_fff0, 1000)
        .syn();
    let mut octets = Vec::new();
    builder.write(&mut octets, &[]).unwrap();
    octets
}

fn udp(source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
    let mut octets = Vec::new();
    PacketBuilder::ipv4(source, destination, 64)
        .udp(53, 5353)
        .write(&mut octets, b"hello")
        .unwrap();
    octets
}

fn udp6(len: usize) -> Vec<u8> {
    let mut octets = Vec::new();
    PacketBuilder::ipv6(peer6(), ours6(), 64)
        .udp(53, 5353)
        .write(&mut octets, &pattern(len))
        .unwrap();
    octets
}

fn echo4(data: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    let builder = PacketBuilder::ipv4(PEER4, OURS4, 64).icmpv4_echo_request(7, 9);
    builder.write(&mut octets, data).unwrap();
    octets
}

/// Smurf's: everybody on the link is asked.
fn echo_to(destination: [u8; 4]) -> Vec<u8> {
    let mut octets = Vec::new();
    let builder = PacketBuilder::ipv4(PEER4, destination, 64).icmpv4_echo_request(7, 9);
    builder.write(&mut octets, b"smurf").unwrap();
    octets
}

fn echo6(data: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    let builder = PacketBuilder::ipv6(peer6(), ours6(), 64).icmpv6_echo_request(7, 9);
    builder.write(&mut octets, data).unwrap();
    octets
}

fn transport(octets: &[u8]) -> TransportSlice<'_> {
    SlicedPacket::from_ip(octets).unwrap().transport.unwrap()
}

fn icmp4(octets: &[u8]) -> Icmpv4Slice<'_> {
    match transport(octets) {
        TransportSlice::Icmpv4(slice) => slice,
        other => panic!("{other:?}"),
    }
}

fn icmp6(octets: &[u8]) -> Icmpv6Slice<'_> {
    match transport(octets) {
        TransportSlice::Icmpv6(slice) => slice,
        other => panic!("{other:?}"),
    }
}

#[test]
fn echo_is_answered() {
    let mut pair = Pair::new();
    let sent = answers(&mut pair, &echo4(b"data"));
    assert_eq!(sent.len(), 1);
    assert_eq!(
        icmp4(&sent[0]).icmp_type(),
        Icmpv4Type::EchoReply(IcmpEchoHeader { id: 7, seq: 9 })
    );
    assert_eq!(icmp4(&sent[0]).payload(), b"data");
    let sent = answers(&mut pair, &echo6(b"data6"));
    assert_eq!(sent.len(), 1);
    assert_eq!(
        icmp6(&sent[0]).icmp_type(),
        Icmpv6Type::EchoReply(IcmpEchoHeader { id: 7, seq: 9 })
    );
    assert_eq!(icmp6(&sent[0]).payload(), b"data6");
    // etherparse computed the checksums of what it built; of what we built, it is asked.
    let SlicedPacket {
        net: Some(etherparse::NetSlice::Ipv6(ip)),
        ..
    } = SlicedPacket::from_ip(&sent[0]).unwrap()
    else {
        panic!()
    };
    let header = ip.header();
    assert!(icmp6(&sent[0]).is_checksum_valid(header.source(), header.destination()));
}

/// Large ones come in fragments and go out in fragments: the other stack puts ours together again, and answers with
/// nothing, because it is a reply; so it is told to echo what stack 0 sends.
#[test]
fn nobody_is_made_to_answer_for_a_whole_link() {
    for (to, expected) in [
        ([10, 0, 0, 255], 0),
        ([255; 4], 0),
        ([224, 0, 0, 1], 0),
        (OURS4, 1),
    ] {
        let mut pair = Pair::new();
        assert_eq!(answers(&mut pair, &echo_to(to)).len(), expected, "{to:?}");
    }
}

#[test]
fn large_echoes_in_fragments() {
    for v6 in [false, true] {
        let data = pattern(20_000);
        let whole = if v6 { echo6(&data) } else { echo4(&data) };
        let mut pair = Pair::new();
        let mut sent = Vec::new();
        for piece in fragments(&whole, v6) {
            assert!(sent.is_empty(), "answered before it was whole");
            sent = answers(&mut pair, &piece);
        }
        assert!(sent.len() >= 14, "{}", sent.len());
        assert!(sent.iter().all(|packet| packet.len() <= 1500));
        let payload = reassemble(&sent, v6);
        assert_eq!(payload[0], if v6 { 129 } else { 0 });
        assert!(payload[8..] == data);
        let counters = pair.stacks[0].counters();
        assert_eq!(
            (counters.reassembled, counters.bad_checksum, counters.bad_ip),
            (1, 0, 0)
        );
    }
}

/// `packet` in fragments of 1,000 octets, last first.
fn fragments(packet: &[u8], v6: bool) -> Vec<Vec<u8>> {
    let (header_len, next) = if v6 { (40, packet[6]) } else { (20, 0) };
    let payload = &packet[header_len..];
    let cut = payload.chunks(1000).enumerate().map(|(index, piece)| {
        let offset = index * 1000;
        let more = offset + piece.len() < payload.len();
        one_fragment(&packet[..header_len], next, (offset, more), piece)
    });
    let mut pieces: Vec<_> = cut.collect();
    pieces.reverse();
    pieces
}

/// A fragment at this offset, behind the IP header of the whole; whether more follow.
fn one_fragment(header: &[u8], next: u8, (offset, more): (usize, bool), piece: &[u8]) -> Vec<u8> {
    let v6 = header.len() == 40;
    let mut octets = header.to_vec();
    if v6 {
        octets[4..6].copy_from_slice(&((piece.len() + 8) as u16).to_be_bytes());
        octets[6] = 44;
        octets.extend_from_slice(&[next, 0]);
        octets.extend_from_slice(&(offset as u16 | u16::from(more)).to_be_bytes());
        octets.extend_from_slice(&[1, 2, 3, 4]);
    } else {
        octets[2..4].copy_from_slice(&((piece.len() + 20) as u16).to_be_bytes());
        octets[4..6].copy_from_slice(&[1, 2]);
        let field = (offset / 8) as u16 | u16::from(more) << 13;
        octets[6..8].copy_from_slice(&field.to_be_bytes());
        let checksum = etherparse::Ipv4HeaderSlice::from_slice(&octets)
            .unwrap()
            .to_header()
            .calc_header_checksum();
        octets[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
    octets.extend_from_slice(piece);
    octets
}

/// The payload of fragments, by offset; they must fit without gap or overlap.
fn reassemble(packets: &[Vec<u8>], v6: bool) -> Vec<u8> {
    let mut pieces: Vec<(usize, bool, Vec<u8>)> = packets
        .iter()
        .map(|packet| {
            if v6 {
                assert_eq!((packet[6], packet[40]), (44, 58));
                let field = u16::from_be_bytes([packet[42], packet[43]]);
                (
                    usize::from(field & !7),
                    field & 1 != 0,
                    packet[48..].to_vec(),
                )
            } else {
                let field = u16::from_be_bytes([packet[6], packet[7]]);
                (
                    usize::from(field & 0x1fff) * 8,
                    field & 0x2000 != 0,
                    packet[20..].to_vec(),
                )
            }
        })
        .collect();
    pieces.sort();
    let mut payload = Vec::new();
    let last = pieces.len() - 1;
    for (index, (offset, more, piece)) in pieces.into_iter().enumerate() {
        assert_eq!((offset, more), (payload.len(), index < last));
        payload.extend(piece);
    }
    payload
}

#[test]
fn udp_finds_nobody() {
    let mut pair = Pair::new();
    let sent = answers(&mut pair, &udp(PEER4, OURS4));
    let expected = Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Port);
    assert_eq!(icmp4(&sent[0]).icmp_type(), expected);
    assert_eq!(
        icmp4(&sent[0]).payload(),
        udp(PEER4, OURS4),
        "the packet is quoted"
    );
    let sent = answers(&mut pair, &udp6(3000));
    let expected = Icmpv6Type::DestinationUnreachable(icmpv6::DestUnreachableCode::Port);
    assert_eq!(icmp6(&sent[0]).icmp_type(), expected);
    assert_eq!(sent[0].len(), 1280, "as much as fits");
    // Damaged: nobody is told.
    let mut damaged = udp(PEER4, OURS4);
    *damaged.last_mut().unwrap() ^= 1;
    assert!(answers(&mut pair, &damaged).is_empty());
    assert_eq!(pair.stacks[0].counters().bad_checksum, 1);
}

#[test]
fn an_unknown_protocol_is_unreachable() {
    let mut pair = Pair::new();
    let mut octets = Vec::new();
    let number = etherparse::IpNumber(200);
    PacketBuilder::ipv4(PEER4, OURS4, 64)
        .write(&mut octets, number, &[1, 2, 3])
        .unwrap();
    let sent = answers(&mut pair, &octets);
    let expected = Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Protocol);
    assert_eq!(icmp4(&sent[0]).icmp_type(), expected);
    let mut octets = Vec::new();
    PacketBuilder::ipv6(peer6(), ours6(), 64)
        .write(&mut octets, number, &[1, 2, 3])
        .unwrap();
    let sent = answers(&mut pair, &octets);
    let Icmpv6Type::ParameterProblem(problem) = icmp6(&sent[0]).icmp_type() else {
        panic!()
    };
    assert_eq!(
        (problem.code, problem.pointer),
        (icmpv6::ParameterProblemCode::UnrecognizedNextHeader, 6)
    );
}

//= rfc9293 MUST-57 test
//= rfc9293 MUST-63 test
#[test]
fn who_gets_no_answer() {
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("SYN to the link's broadcast", syn(PEER4, [10, 0, 0, 255])),
        ("SYN to broadcast", syn(PEER4, [255; 4])),
        ("SYN to multicast", syn(PEER4, [224, 0, 0, 1])),
        ("SYN to another", syn(PEER4, [10, 0, 0, 3])),
        ("SYN from broadcast", syn([255; 4], OURS4)),
        ("SYN from the link's broadcast", syn([10, 0, 0, 255], OURS4)),
        ("SYN from multicast", syn([224, 0, 0, 5], OURS4)),
        ("SYN from nobody", syn([0; 4], OURS4)),
        ("SYN from ourselves (LAND)", syn(OURS4, OURS4)),
        ("SYN from loopback", syn([127, 0, 0, 1], OURS4)),
        ("SYN to loopback", syn(PEER4, [127, 0, 0, 1])),
        ("UDP to broadcast", udp(PEER4, [255; 4])),
        ("UDP from nobody", udp([0; 4], OURS4)),
        ("nothing", vec![]),
        ("garbage", vec![0x45; 19]),
        ("version 5", vec![0x55; 40]),
    ];
    for (name, octets) in cases {
        let mut pair = Pair::new();
        let listener = pair.stacks[0].listen(at("::", 80), 10).unwrap();
        assert!(answers(&mut pair, &octets).is_empty(), "{name}");
        assert_eq!(pair.stacks[0].accept(listener), None);
        let counters = pair.stacks[0].counters();
        assert_eq!(counters.bad_ip + counters.not_ours, 1, "{name}");
    }
    // The template itself is answered, so the cases above differ in what they name only.
    let mut pair = Pair::new();
    pair.stacks[0].listen(at("::", 80), 10).unwrap();
    assert_eq!(answers(&mut pair, &syn(PEER4, OURS4)).len(), 1);
}

#[test]
fn damaged_segments_are_dropped_unless_the_device_vouches() {
    let mut damaged = syn(PEER4, OURS4);
    damaged[36] ^= 0x55;
    for valid in [false, true] {
        let mut pair = Pair::new();
        pair.stacks[0].listen(at("::", 80), 10).unwrap();
        let checksum = valid.then_some((20, 16));
        let now = pair.now;
        pair.deliver(
            0,
            &Flying {
                octets: damaged.clone(),
                arrives_at: now,
                checksum,
                segment_size: None,
            },
        );
        pair.pump();
        assert_eq!(pair.log.len(), usize::from(valid));
        assert_eq!(pair.stacks[0].counters().bad_checksum, u64::from(!valid));
    }
}

#[test]
fn resets_are_limited_in_number() {
    let config = Config {
        replies_per_second: 10,
        ..Config::default()
    };
    let mut pair = Pair::with(config, |_, link| link);
    for _ in 0..100 {
        pair.inject(0, &syn(PEER4, OURS4));
        pair.inject(0, &udp(PEER4, OURS4));
        pair.inject(0, &echo4(b""));
    }
    pair.pump();
    let sent = pair.log.iter().filter(|(from, _)| *from == 0).count();
    assert!((10..=30).contains(&sent), "errors and RSTs, and echoes");
    pair.now += Duration::from_millis(999);
    assert_eq!(answers(&mut pair, &syn(PEER4, OURS4)).len(), 0);
    assert_eq!(answers(&mut pair, &echo4(b"")).len(), 0);
    pair.now += Duration::from_millis(1);
    assert_eq!(answers(&mut pair, &syn(PEER4, OURS4)).len(), 1);
    assert_eq!(answers(&mut pair, &echo4(b"")).len(), 1);
}

/// How many of 200 `probes`, one kind after the other, are answered in each of `seconds`.
fn answered(seed: u8, seconds: usize, probes: &[Vec<u8>]) -> Vec<usize> {
    let config = Config {
        replies_per_second: 100,
        ..Config::default()
    };
    let mut pair = Pair::with(config.clone(), |_, link| link);
    pair.stacks[0] = woshou_stack::Stack::new(Arc::new(config), [seed; 32]);
    pair.stacks[0].add_link(pair::link(Medium::Ip, &["10.0.0.1/24", "fd00::1/64"]));
    let second = |_| {
        pair.now += Duration::from_secs(1);
        (0..200)
            .map(|i| answers(&mut pair, &probes[i % probes.len()]).len())
            .sum()
    };
    (0..seconds).map(second).collect()
}

/// CVE-2020-25705: who has a hundred guesses answered to a forged source, and then counts what a probe of their own gets, must
/// not learn how many of the guesses were right.
#[test]
fn how_many_errors_leave_in_a_second_cannot_be_told_in_advance() {
    let kinds: [&[Vec<u8>]; 3] = [
        &[udp(PEER4, OURS4)],
        &[udp(PEER4, OURS4), syn(PEER4, OURS4)],
        &[echo4(b"")],
    ];
    for probes in kinds {
        let all = answered(1, 60, probes);
        assert!(all.iter().all(|&sent| (50..=150).contains(&sent)));
        let distinct: BTreeSet<_> = all.iter().collect();
        assert!(distinct.len() > 25, "{all:?}");
        let mean = all.iter().sum::<usize>() / all.len();
        assert!((88..112).contains(&mean), "{mean}");
        assert_eq!(answered(1, 5, probes), all[..5], "same seed, same limits");
        let other = answered(2, 60, probes);
        let same = all.iter().zip(&other).filter(|(a, b)| a == b).count();
        assert!(same < 10, "{same}");
    }
}

/// What an ICMP error from a router says about `packet`.
fn unreachable(code: u8, mtu: u16, packet: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    let bytes = [0, 0, mtu.to_be_bytes()[0], mtu.to_be_bytes()[1]];
    PacketBuilder::ipv4([10, 0, 0, 77], OURS4, 64)
        .icmpv4_raw(3, code, bytes)
        .write(&mut octets, &packet[..packet.len().min(28)])
        .unwrap();
    octets
}

#[test]
fn path_errors_reach_an_opening() {
    for fails in [false, true] {
        let tcp = Arc::new(TcpConfig {
            open_fails_on_path_error: fails,
            ..TcpConfig::default()
        });
        let mut pair = Pair::with(
            Config {
                tcp,
                ..Config::default()
            },
            |_, link| link,
        );
        pair.lose = Box::new(|_, _| true);
        let client = pair.stacks[0]
            .connect(pair.now, at("10.0.0.2", 80), None)
            .unwrap();
        pair.pump();
        let syn = pair.log[0].1.octets.clone();
        // Forged: another sequence number, another port.
        for place in [27, 21] {
            let mut forged = syn.clone();
            forged[place] ^= 1;
            assert!(answers(&mut pair, &unreachable(1, 0, &forged)).is_empty());
            assert_eq!(pair.stacks[0].ended(client), None);
        }
        assert!(answers(&mut pair, &unreachable(1, 0, &syn)).is_empty());
        assert_eq!(pair.stacks[0].ended(client).is_some(), fails);
        pair.settle();
        let expected = if fails {
            Ended::Unreachable(PathError::HostUnreachable)
        } else {
            Ended::TimedOut(Some(PathError::HostUnreachable))
        };
        assert_eq!(pair.stacks[0].ended(client), Some(expected));
    }
}

/// An ICMP error of a router about `packet`, IPv4.
fn icmp_error(kind: u8, code: u8, packet: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    PacketBuilder::ipv4([10, 0, 0, 77], OURS4, 64)
        .icmpv4_raw(kind, code, [0; 4])
        .write(&mut octets, &packet[..28])
        .unwrap();
    octets
}

/// Type, code, what it says, and whether it ends what is not synchronized yet. Code 4 is path MTU discovery's.
const ICMP_ERRORS: [(u8, u8, PathError, bool); 13] = [
    (3, 0, PathError::NetworkUnreachable, false),
    (3, 1, PathError::HostUnreachable, false),
    (3, 2, PathError::ProtocolUnreachable, true),
    (3, 3, PathError::PortUnreachable, true),
    (3, 5, PathError::HostUnreachable, false),
    (3, 6, PathError::NetworkUnreachable, false),
    (3, 9, PathError::Prohibited, false),
    (3, 11, PathError::NetworkUnreachable, false),
    (3, 13, PathError::Prohibited, false),
    (11, 0, PathError::TimeExceeded, false),
    (11, 1, PathError::TimeExceeded, false),
    (12, 0, PathError::ParameterProblem, false),
    (12, 1, PathError::ParameterProblem, false),
];

//= rfc9293 SHLD-25 test
//= rfc9293 SHLD-26 test
#[test]
fn icmp_errors_by_state() {
    for (kind, code, why, hard) in ICMP_ERRORS {
        // SYN-SENT.
        let mut pair = Pair::new();
        pair.lose = Box::new(|_, _| true);
        let client = pair.stacks[0].connect(pair.now, at("10.0.0.2", 80), None);
        let client = client.unwrap();
        pair.pump();
        let first = pair.log[0].1.octets.clone();
        assert!(answers(&mut pair, &icmp_error(kind, code, &first)).is_empty());
        assert_eq!(
            pair.stacks[0].path_error(client),
            Some(why),
            "{kind} {code}"
        );
        let expected = hard.then_some(Ended::Unreachable(why));
        assert_eq!(pair.stacks[0].ended(client), expected, "{kind} {code}");

        // SYN-RECEIVED, in a listener: forged first.
        let mut pair = Pair::new();
        pair.stacks[0].listen(at("10.0.0.1", 80), 1).unwrap();
        let syn_ack = answers(&mut pair, &syn(PEER4, OURS4)).remove(0);
        let mut forged = syn_ack.clone();
        forged[27] ^= 1;
        for (quoted, left) in [(&forged, 1), (&syn_ack, usize::from(!hard))] {
            assert!(answers(&mut pair, &icmp_error(kind, code, quoted)).is_empty());
            let open = pair.stacks[0].connections().len();
            assert_eq!(open, left, "{kind} {code}");
        }

        // SYN-RECEIVED of a simultaneous open.
        let mut pair = Pair::new();
        let (ours, theirs) = (at("10.0.0.1", 80), at("10.0.0.2", 1234));
        let both = pair.stacks[0]
            .connect(pair.now, theirs, Some(ours))
            .unwrap();
        pair.pump();
        let syn_ack = answers(&mut pair, &syn(PEER4, OURS4)).remove(0);
        assert_eq!(pair.stacks[0].state(both), State::SynReceived);
        assert!(answers(&mut pair, &icmp_error(kind, code, &syn_ack)).is_empty());
        assert_eq!(pair.stacks[0].ended(both), expected, "{kind} {code}");

        // ESTABLISHED: it lives, whatever is said.
        let mut pair = Pair::new();
        let (client, server, _) = pair.connected(at("10.0.0.2", 80));
        pair.stacks[0].write(pair.now, client, b"text").unwrap();
        pair.pump();
        let data = pair.log.last().unwrap().1.octets.clone();
        assert!(answers(&mut pair, &icmp_error(kind, code, &data)).is_empty());
        assert_eq!(
            pair.stacks[0].path_error(client),
            Some(why),
            "{kind} {code}"
        );
        assert_eq!(pair.stacks[0].state(client), State::Established);
        assert!(pair.transfer(1, (server, client), b"alive") == b"alive");
    }
}

#[test]
fn a_narrow_link_on_the_path_makes_segments_smaller() {
    let mut pair = Pair::new();
    let (client, server, _) = pair.connected(at("10.0.0.2", 80));
    // A router that carries 700 octets.
    pair.lose = Box::new(|from, flying| from == 0 && flying.octets.len() > 700);
    pair.stacks[0]
        .write(pair.now, client, &pattern(5000))
        .unwrap();
    pair.pump();
    let packet = pair
        .log
        .iter()
        .find(|(_, f)| f.octets.len() > 700)
        .unwrap()
        .1
        .octets
        .clone();
    // Forged: a sequence number that is not in flight.
    let mut forged = packet.clone();
    forged[24] ^= 0x40;
    let _ = answers(&mut pair, &unreachable(4, 700, &forged));
    assert_eq!(pair.stacks[0].info(pair.now, client).unwrap().snd_mss, 1448);
    let sent = answers(&mut pair, &unreachable(4, 700, &packet));
    assert_eq!(
        pair.stacks[0].info(pair.now, client).unwrap().snd_mss,
        700 - 40 - 12
    );
    assert!(!sent.is_empty() && sent.iter().all(|packet| packet.len() <= 700));
    let mut got = Vec::new();
    while got.len() < 5000 {
        let mut buffer = [0; 5000];
        if let Ok(n) = pair.stacks[1].read(pair.now, server, &mut buffer) {
            got.extend_from_slice(&buffer[..n]);
        } else {
            assert!(pair.step());
        }
    }
    assert!(got == pattern(5000));
}

#[test]
fn fragments_that_stay_alone_are_reported() {
    let mut pair = Pair::new();
    let pieces = fragments(&udp6(4000), true);
    let first = pieces.last().unwrap();
    assert!(answers(&mut pair, first).is_empty());
    let due = pair.stacks[0].poll_timeout().unwrap();
    assert_eq!(due - pair.now, Duration::from_secs(30));
    let before = pair.log.len();
    pair.now = due;
    pair.stacks[0].handle_timeout(due);
    pair.pump();
    let sent = &pair.log[before..];
    assert_eq!(sent.len(), 1);
    let kind = icmp6(&sent[0].1.octets).icmp_type();
    assert_eq!(
        kind,
        Icmpv6Type::TimeExceeded(icmpv6::TimeExceededCode::FragmentReassemblyTimeExceeded)
    );
    assert_eq!(pair.stacks[0].poll_timeout(), None);
}

#[test]
fn segments_in_fragments_are_segments() {
    let mut pair = Pair::new();
    pair.stacks[0].listen(at("::", 80), 10).unwrap();
    let mut octets = Vec::new();
    PacketBuilder::ipv4(PEER4, OURS4, 64)
        .tcp(1234, 80, 5, 1000)
        .syn()
        .write(&mut octets, &pattern(2500))
        .unwrap();
    let sent: Vec<_> = fragments(&octets, false)
        .iter()
        .flat_map(|piece| answers(&mut pair, piece))
        .collect();
    assert_eq!(sent.len(), 1);
    let TransportSlice::Tcp(tcp) = transport(&sent[0]) else {
        panic!()
    };
    assert!(tcp.syn() && tcp.ack() && tcp.acknowledgment_number() == 6);
    // Our own packets pass another implementation's verification, and are not to be cut.
    let Some(etherparse::NetSlice::Ipv4(ip)) = SlicedPacket::from_ip(&sent[0]).unwrap().net else {
        panic!()
    };
    let header = ip.header().to_header();
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    assert!(header.dont_fragment && header.identification == 0 && header.time_to_live == 64);
    let checksum = tcp
        .to_header()
        .calc_checksum_ipv4(&header, tcp.payload())
        .unwrap();
    assert_eq!(tcp.checksum(), checksum);
}

/// A SYN of either family between these addresses, from and to the same port: LAND, where they are one.
fn syn_between(from: &str, to: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    match (from.parse().unwrap(), to.parse().unwrap()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), 64)
            .tcp(80, 80, 1, 1000)
            .syn()
            .write(&mut octets, &[])
            .unwrap(),
        (IpAddr::V6(from), IpAddr::V6(to)) => PacketBuilder::ipv6(from.octets(), to.octets(), 64)
            .tcp(80, 80, 1, 1000)
            .syn()
            .write(&mut octets, &[])
            .unwrap(),
        _ => panic!("two families"),
    }
    octets
}

#[test]
fn hostile_sources_are_counted_by_cause() {
    const OURS: &str = "10.0.0.1";
    // From, to, and what is counted: from ourselves, martians, not ours.
    for (from, to, expected) in [
        (OURS, OURS, (1, 0, 0)),
        ("fd00::1", "fd00::1", (1, 0, 0)),
        ("127.0.0.1", OURS, (1, 0, 0)),
        ("127.255.255.254", OURS, (1, 0, 0)),
        ("::1", "fd00::1", (1, 0, 0)),
        ("0.0.0.0", OURS, (0, 1, 0)),
        ("0.1.2.3", OURS, (0, 1, 0)),
        ("224.0.0.1", OURS, (0, 1, 0)),
        ("239.255.255.255", OURS, (0, 1, 0)),
        ("240.0.0.1", OURS, (0, 1, 0)),
        ("255.255.255.255", OURS, (0, 1, 0)),
        ("10.0.0.255", OURS, (0, 1, 0)),
        ("10.0.0.0", OURS, (0, 1, 0)),
        ("10.0.0.2", "127.0.0.1", (0, 1, 0)),
        ("::", "fd00::1", (0, 1, 0)),
        ("ff02::1", "fd00::1", (0, 1, 0)),
        ("::ffff:10.0.0.2", "fd00::1", (0, 1, 0)),
        ("fd00::2", "::1", (0, 1, 0)),
        ("10.0.0.2", "10.0.0.255", (0, 0, 1)),
        ("10.0.0.2", "255.255.255.255", (0, 0, 1)),
        ("10.0.0.2", "224.0.0.1", (0, 0, 1)),
        ("fd00::2", "ff02::1", (0, 0, 1)),
    ] {
        let mut pair = Pair::new();
        pair.stacks[0].listen(at("::", 80), 3).unwrap();
        let sent = answers(&mut pair, &syn_between(from, to));
        assert!(sent.is_empty(), "{from} to {to}");
        let c = pair.stacks[0].counters();
        assert_eq!(
            (c.from_ourselves, c.martians, c.not_ours),
            expected,
            "{from} to {to}"
        );
        assert_eq!(c.bad_ip, c.from_ourselves + c.martians);
        assert!(pair.stacks[0].connections().is_empty());
    }
    for (from, to) in [("10.0.0.2", OURS), ("fd00::2", "fd00::1")] {
        let mut pair = Pair::new();
        pair.stacks[0].listen(at("::", 80), 3).unwrap();
        assert_eq!(
            answers(&mut pair, &syn_between(from, to)).len(),
            1,
            "the template"
        );
    }
}

/// The first fragment must hold the header of TCP (RFC 1858, RFC 7112).
#[test]
fn tiny_first_fragments_are_dropped() {
    for v6 in [false, true] {
        for (first, expected) in [(8, false), (16, false), (24, true)] {
            let whole = syn_with_text(v6);
            let mut pair = Pair::new();
            pair.stacks[0].listen(at("::", 80), 3).unwrap();
            let sent: usize = cut_at(&whole, v6, first)
                .iter()
                .map(|piece| answers(&mut pair, piece).len())
                .sum();
            assert_eq!(sent, usize::from(expected), "{first} octets, IPv6: {v6}");
            assert_eq!(pair.stacks[0].counters().bad_ip, u64::from(!expected));
        }
    }
}

/// RFC 5722 for IPv6, and IPv4 alike (Teardrop): what overlaps is nobody's, and nobody is told.
#[test]
fn fragments_that_overlap_reach_nobody() {
    for v6 in [false, true] {
        for (second, expected) in [(24, true), (16, false), (8, false)] {
            let whole = syn_with_text(v6);
            let (header_len, next) = if v6 { (40, whole[6]) } else { (20, 0) };
            let payload = &whole[header_len..];
            let mut pair = Pair::new();
            pair.stacks[0].listen(at("::", 80), 3).unwrap();
            let pieces = [(0, 24), (second, payload.len())].map(|(start, end)| {
                let more = end < payload.len();
                one_fragment(
                    &whole[..header_len],
                    next,
                    (start, more),
                    &payload[start..end],
                )
            });
            let sent: usize = pieces
                .iter()
                .map(|piece| answers(&mut pair, piece).len())
                .sum();
            assert_eq!(sent, usize::from(expected), "at {second}, IPv6: {v6}");
            let again = answers(&mut pair, &pieces[1]).len();
            assert_eq!(again, 0, "nor does the rest come through later");
        }
    }
}

/// RFC 6946: a fragment that is the whole is not put together with others of its identification, nor do they spoil it.
#[test]
fn atomic_fragments_are_whole() {
    let whole = syn_with_text(true);
    let payload = &whole[40..];
    let mut pair = Pair::new();
    pair.stacks[0].listen(at("::", 80), 3).unwrap();
    let forged = one_fragment(&whole[..40], whole[6], (8, true), &[0; 16]);
    assert!(answers(&mut pair, &forged).is_empty());
    let atomic = one_fragment(&whole[..40], whole[6], (0, false), payload);
    assert_eq!(answers(&mut pair, &atomic).len(), 1, "a SYN,ACK");
}

/// RFC 5095: we send nothing on, and a routing header that is used up says nothing.
#[test]
fn routing_headers_of_type_0_take_no_packet_further() {
    for (left, answered) in [(0, "SYN,ACK"), (1, "parameter problem")] {
        let whole = syn_with_text(true);
        let mut octets = whole[..40].to_vec();
        let next = octets[6];
        octets[4..6].copy_from_slice(&((whole.len() - 40 + 24) as u16).to_be_bytes());
        octets[6] = 43;
        octets.extend([next, 2, 0, left, 0, 0, 0, 0]);
        octets.extend(peer6());
        octets.extend(&whole[40..]);
        let mut pair = Pair::new();
        pair.stacks[0].listen(at("::", 80), 3).unwrap();
        let sent = answers(&mut pair, &octets);
        assert_eq!(sent.len(), 1, "{answered}");
        assert_eq!(sent[0][24..40], peer6(), "to who asked, nobody else");
        match transport(&sent[0]) {
            TransportSlice::Tcp(tcp) => assert!(left == 0 && tcp.syn() && tcp.ack()),
            TransportSlice::Icmpv6(icmp) => {
                let kind = icmp.header().icmp_type;
                assert!(left == 1 && matches!(kind, Icmpv6Type::ParameterProblem(_)));
            }
            other => panic!("{other:?}"),
        }
    }
}

/// RFC 7739: who gets one cannot tell the next, nor how many others got.
#[test]
fn identifications_of_fragments_are_drawn() {
    let mut pair = Pair::new();
    for v6 in [false, true] {
        let data = pattern(3000);
        let whole = if v6 { echo6(&data) } else { echo4(&data) };
        let ids: Vec<u32> = (0..50)
            .map(|_| {
                let pieces = fragments(&whole, v6);
                let sent = pieces.iter().flat_map(|piece| answers(&mut pair, piece));
                let sent: Vec<_> = sent.collect();
                let id = |octets: &Vec<u8>| match v6 {
                    true => u32::from_be_bytes(*octets[44..].first_chunk().unwrap()),
                    false => u16::from_be_bytes([octets[4], octets[5]]).into(),
                };
                let first = id(&sent[0]);
                assert!(sent.len() > 1 && sent.iter().all(|octets| id(octets) == first));
                first
            })
            .collect();
        let steps: BTreeSet<u32> = ids
            .windows(2)
            .map(|two| two[1].wrapping_sub(two[0]))
            .collect();
        assert!(steps.len() >= 48, "{ids:?}");
    }
}

/// A SYN with 20 octets of text.
fn syn_with_text(v6: bool) -> Vec<u8> {
    let text = [7; 20];
    let mut octets = Vec::new();
    if v6 {
        PacketBuilder::ipv6(peer6(), ours6(), 64)
            .tcp(80, 80, 1, 1000)
            .syn()
            .write(&mut octets, &text)
            .unwrap();
    } else {
        PacketBuilder::ipv4(PEER4, OURS4, 64)
            .tcp(1234, 80, 1, 1000)
            .syn()
            .write(&mut octets, &text)
            .unwrap();
    }
    octets
}

/// `packet` in two fragments, the first with so many octets of its payload.
fn cut_at(packet: &[u8], v6: bool, first: usize) -> Vec<Vec<u8>> {
    let (header_len, next) = if v6 { (40, packet[6]) } else { (20, 0) };
    let payload = &packet[header_len..];
    [(0, &payload[..first]), (first, &payload[first..])]
        .into_iter()
        .map(|(offset, piece)| {
            one_fragment(&packet[..header_len], next, (offset, offset == 0), piece)
        })
        .collect()
}

// ---- what the network says about a path ----

/// An ICMP error of either family from a router, about `packet`.
fn report(kind: (u8, u8), field: u32, packet: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    let bytes = field.to_be_bytes();
    let quoted = &packet[..packet.len().min(100)];
    if packet[0] >> 4 == 4 {
        let builder = PacketBuilder::ipv4([10, 0, 0, 77], OURS4, 64);
        let builder = builder.icmpv4_raw(kind.0, kind.1, bytes);
        builder.write(&mut octets, quoted).unwrap();
    } else {
        let router: Ipv6Addr = "fd00::77".parse().unwrap();
        let builder = PacketBuilder::ipv6(router.octets(), ours6(), 64);
        let builder = builder.icmpv6_raw(kind.0, kind.1, bytes);
        builder.write(&mut octets, quoted).unwrap();
    }
    octets
}

/// A connection to `to` whose full segments are lost, and the first of them.
fn with_text_in_flight(to: &str) -> (Pair, woshou_stack::ConnId, Vec<u8>) {
    let mut pair = Pair::new();
    let (client, _, _) = pair.connected(at(to, 80));
    pair.lose = Box::new(|from, flying| from == 0 && flying.octets.len() > 600);
    let before = pair.log.len();
    pair.stacks[0]
        .write(pair.now, client, &pattern(5000))
        .unwrap();
    pair.pump();
    let first = pair.log[before..]
        .iter()
        .find(|(from, f)| *from == 0 && f.octets.len() > 600);
    let first = first.unwrap().1.octets.clone();
    (pair, client, first)
}

//= rfc9293 MUST-54 test
#[test]
fn an_icmp_error_reaches_the_connection_that_caused_it_and_no_other() {
    for (to, kind, error) in [
        ("10.0.0.2", (3, 1), PathError::HostUnreachable),
        ("fd00::2", (1, 3), PathError::HostUnreachable),
    ] {
        let (mut pair, client, first) = with_text_in_flight(to);
        let other = pair.stacks[0].connect(pair.now, at(to, 81), None).unwrap();
        pair.pump();
        let before = pair.stacks[0].counters();
        assert!(answers(&mut pair, &report(kind, 0, &first)).is_empty());
        let stack = &pair.stacks[0];
        assert_eq!(stack.connection(client).unwrap().path_error(), Some(error));
        assert!(
            stack
                .connection(other)
                .is_none_or(|c| c.path_error().is_none())
        );
        assert_eq!(stack.counters().icmp_errors_in, before.icmp_errors_in + 1);
        // One octet beyond what flies, and one before: forged.
        let seq_at = if to.contains(':') { 44 } else { 24 };
        let seq = u32::from_be_bytes(first[seq_at..seq_at + 4].try_into().unwrap());
        for wrong in [seq.wrapping_sub(1), seq.wrapping_add(5000)] {
            let mut forged = first.clone();
            forged[seq_at..seq_at + 4].copy_from_slice(&wrong.to_be_bytes());
            let ignored = pair.stacks[0].counters().icmp_errors_ignored;
            assert!(answers(&mut pair, &report(kind, 0, &forged)).is_empty());
            assert_eq!(pair.stacks[0].counters().icmp_errors_ignored, ignored + 1);
        }
    }
}

//= rfc9293 MUST-55 test
#[test]
fn source_quench_is_dropped_without_a_word() {
    let (mut pair, client, first) = with_text_in_flight("10.0.0.2");
    let before = (
        pair.stacks[0].info(pair.now, client),
        pair.stacks[0].counters(),
    );
    assert!(answers(&mut pair, &report((4, 0), 0, &first)).is_empty());
    let mut after = pair.stacks[0].counters();
    after.packets_in -= 1;
    assert_eq!((pair.stacks[0].info(pair.now, client), after), before);
    assert_eq!(
        pair.stacks[0].connection(client).unwrap().path_error(),
        None
    );
}

/// What a report makes of the segments of a path of 1,500 octets; zero: nothing.
#[test]
fn what_routers_may_say_of_a_path() {
    let v4 = |mtu| ("10.0.0.2", (3, 4), mtu);
    let v6 = |mtu| ("fd00::2", (2, 0), mtu);
    for ((to, kind, mtu), expected) in [
        (v4(1400), 1400),
        (v4(1500), 0),
        (v4(9000), 0),
        (v4(68), 552),
        (v4(551), 552),
        (v4(0), 1492),
        (v6(1400), 1400),
        (v6(1280), 1280),
        (v6(1279), 0),
        (v6(0), 0),
        (v6(u32::MAX), 0),
    ] {
        let (mut pair, client, first) = with_text_in_flight(to);
        answers(&mut pair, &report(kind, mtu, &first));
        let expected = if expected == 0 { 1500 } else { expected };
        assert_eq!(
            pair.stacks[0].path_mtu(client),
            Some(expected),
            "{to} {mtu}"
        );
        let headers = if to.contains(':') { 72 } else { 52 };
        let info = pair.stacks[0].info(pair.now, client).unwrap();
        assert_eq!(info.snd_mss, expected - headers, "{to} {mtu}");
    }
}

#[test]
fn a_small_segment_is_never_too_big() {
    let mut pair = Pair::new();
    let (client, _, _) = pair.connected(at("10.0.0.2", 80));
    pair.lose = Box::new(|_, _| true);
    pair.stacks[0].write(pair.now, client, b"small").unwrap();
    let before = pair.log.len();
    pair.pump();
    let packet = pair.log[before].1.octets.clone();
    answers(&mut pair, &report((3, 4), 600, &packet));
    assert_eq!(pair.stacks[0].path_mtu(client), Some(1500));
}

/// A SYN from the peer with `options` as they stand.
fn syn_with(options: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ipv4(PEER4, OURS4, 64)
        .tcp(1234, 80, 0xffff_fff0, 1000)
        .syn()
        .options_raw(options)
        .unwrap();
    let mut octets = Vec::new();
    builder.write(&mut octets, &[]).unwrap();
    octets
}

//= rfc9293 MUST-7 test
#[test]
fn options_end_at_an_illegal_length_and_the_segment_counts() {
    let timestamps = [8, 10, 0, 0, 0, 5, 0, 0, 0, 0];
    for illegal in [[3, 0, 7, 0, 0, 0], [3, 1, 7, 0, 0, 0], [3, 40, 7, 0, 0, 0]] {
        let mut pair = Pair::new();
        pair.stacks[0].listen(at("::", 80), 10).unwrap();
        let out = answers(&mut pair, &syn_with(&[&timestamps[..], &illegal].concat()));
        let TransportSlice::Tcp(tcp) = transport(&out[0]) else {
            panic!("{out:?}")
        };
        assert!(tcp.syn() && tcp.ack(), "{illegal:?}");
        let options: Vec<_> = tcp.options_iterator().flatten().collect();
        assert!(
            options
                .iter()
                .any(|option| matches!(option, etherparse::TcpOptionElement::Timestamp(_, 5))),
            "what came before it was understood: {options:?}"
        );
        assert!(
            !options
                .iter()
                .any(|option| matches!(option, etherparse::TcpOptionElement::WindowScale(_))),
            "what came after it was not: {options:?}"
        );
    }
}

//= rfc9293 SHLD-6 test
#[test]
fn new_connections_know_the_path_and_advertise_the_link() {
    for (to, kind, headers) in [("10.0.0.2", (3, 4), 40), ("fd00::2", (2, 0), 60)] {
        let (mut pair, _, first) = with_text_in_flight(to);
        answers(&mut pair, &report(kind, 1400, &first));
        pair.lose = Box::new(|_, _| false);
        let start = pair.now;
        let fresh = pair.stacks[0].connect(pair.now, at(to, 80), None).unwrap();
        let before = pair.log.len();
        pair.pump();
        let syn = pair.log[before..]
            .iter()
            .map(|(_, f)| &f.octets)
            .find_map(|octets| match transport(octets) {
                TransportSlice::Tcp(tcp) if tcp.syn() && !tcp.ack() => Some(
                    tcp.options_iterator()
                        .flatten()
                        .find_map(|option| match option {
                            etherparse::TcpOptionElement::MaximumSegmentSize(mss) => Some(mss),
                            _ => None,
                        }),
                ),
                _ => None,
            });
        assert_eq!(syn, Some(Some(1500 - headers)), "the link's");
        pair.run_for(Duration::from_millis(100));
        assert_eq!(pair.stacks[0].path_mtu(fresh), Some(1400));
        let mss = |pair: &Pair| pair.stacks[0].info(pair.now, fresh).unwrap().snd_mss;
        assert_eq!(mss(&pair), u32::from(1400 - headers - 12), "the path's");
        // Ten minutes later the report is forgotten, when something is sent.
        pair.run_for(Duration::from_secs(601) - pair.now.since(start));
        pair.stacks[0].write(pair.now, fresh, b"x").unwrap();
        pair.pump();
        assert_eq!(pair.stacks[0].path_mtu(fresh), Some(1500));
    }
}

//= rfc9293 MAY-4 test
#[test]
fn what_is_sent_again_has_the_same_identification() {
    let mut pair = Pair::new();
    let (client, _, _) = pair.connected(at("10.0.0.2", 80));
    pair.lose = Box::new(|from, _| from == 0);
    let before = pair.log.len();
    pair.stacks[0].write(pair.now, client, b"again").unwrap();
    pair.run_for(Duration::from_secs(2));
    let sent: Vec<_> = pair.log[before..].iter().map(|(_, f)| &f.octets).collect();
    assert!(sent.len() >= 2);
    for packet in sent {
        assert_eq!(packet[4..8], [0, 0, 0x40, 0], "identification, DF");
    }
}

// ---- Ethernet ----

const MAC1: [u8; 6] = [2, 0, 0, 0, 0, 1];
const MAC9: [u8; 6] = [2, 0, 0, 0, 0, 9];

fn arp(operation: u16, sender: (u32, [u8; 6]), target: [u8; 4]) -> Vec<u8> {
    let mut octets = [[255; 6], sender.1].concat();
    octets.extend([8, 6, 0, 1, 8, 0, 6, 4]);
    octets.extend(operation.to_be_bytes());
    octets.extend(sender.1);
    octets.extend(sender.0.to_be_bytes());
    octets.extend([0; 6]);
    octets.extend(target);
    octets
}

fn host(n: u32) -> u32 {
    u32::from(Ipv4Addr::new(10, 0, 0, 0)) + n
}

#[test]
fn arp_questions() {
    let mut pair = Pair::ethernet();
    let sent = answers(&mut pair, &arp(1, (host(9), MAC9), OURS4));
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0][..14], [&MAC9[..], &MAC1[..], &[8, 6]].concat());
    assert_eq!(sent[0][20..22], [0, 2], "a reply");
    assert_eq!(
        (&sent[0][22..28], &sent[0][28..32]),
        (&MAC1[..], &OURS4[..])
    );
    assert_eq!(
        (&sent[0][32..38], &sent[0][38..42]),
        (&MAC9[..], &host(9).to_be_bytes()[..])
    );
    // Who asked is known now: no question goes before the SYN.
    pair.stacks[0]
        .connect(pair.now, at("10.0.0.9", 80), None)
        .unwrap();
    let before = pair.log.len();
    pair.pump();
    assert_eq!(
        pair.log[before].1.octets[..14],
        [&MAC9[..], &MAC1[..], &[8, 0]].concat()
    );
    // A probe (RFC 5227) is answered, and nobody learned from it; questions for others are not answered.
    assert_eq!(answers(&mut pair, &arp(1, (0, MAC9), OURS4)).len(), 1);
    assert!(answers(&mut pair, &arp(1, (host(9), MAC9), [10, 0, 0, 3])).is_empty());
    assert!(
        answers(&mut pair, &arp(1, (host(1), MAC9), OURS4)).is_empty(),
        "our own address"
    );
    assert!(
        answers(&mut pair, &arp(1, (0xc000_0201, MAC9), OURS4)).is_empty(),
        "not of this link"
    );
    assert!(answers(&mut pair, &arp(2, (host(44), MAC9), OURS4)).is_empty());
    pair.stacks[0]
        .connect(pair.now, at("10.0.0.44", 80), None)
        .unwrap();
    let before = pair.log.len();
    pair.pump();
    assert_eq!(
        pair.log[before].1.octets[..6],
        [255; 6],
        "an answer nobody asked for is not believed"
    );
}

#[test]
fn a_neighbour_that_is_not_there() {
    for to in ["10.0.0.200", "fd00::200"] {
        let tcp = Arc::new(TcpConfig {
            open_fails_on_path_error: true,
            ..TcpConfig::default()
        });
        let config = Config {
            tcp,
            ..Config::default()
        };
        let mut pair = Pair::with(config, |n, link| LinkConfig {
            medium: Medium::Ethernet {
                mac: [2, 0, 0, 0, 0, n],
            },
            ..link
        });
        let start = pair.now;
        let client = pair.stacks[0].connect(pair.now, at(to, 80), None).unwrap();
        pair.run_for(Duration::from_millis(2999));
        assert_eq!(pair.log.len(), 3, "three questions, no SYN");
        assert_eq!(pair.stacks[0].state(client), State::SynSent);
        pair.run_for(Duration::from_millis(1));
        assert_eq!(
            pair.stacks[0].ended(client),
            Some(Ended::Unreachable(PathError::HostUnreachable))
        );
        assert_eq!(pair.now - start, Duration::from_secs(3));
        pair.stacks[0].close(pair.now, client);
        pair.settle();
    }
}

#[test]
fn frames_for_others_are_left_alone() {
    let mut frame = [&[2, 0, 0, 0, 0, 7][..], &MAC9[..], &[8, 0]].concat();
    frame.extend(syn(PEER4, OURS4));
    let mut pair = Pair::ethernet();
    assert!(answers(&mut pair, &frame).is_empty());
    assert_eq!(pair.stacks[0].counters().not_ours, 1);
    // An IP packet for us in a broadcast frame reaches no TCP either (RFC 1122 section 3.3.6).
    frame[..6].copy_from_slice(&[255; 6]);
    assert!(answers(&mut pair, &frame).is_empty());
    assert_eq!(pair.stacks[0].counters().not_ours, 2);
}

#[test]
fn duplicate_address_detection_is_answered() {
    // What the kernel sends before it takes fd00::1: a solicitation from nobody to the solicited-node group.
    let target: Ipv6Addr = "fd00::1".parse().unwrap();
    let group: Ipv6Addr = "ff02::1:ff00:1".parse().unwrap();
    let mut ip = Vec::new();
    PacketBuilder::ipv6([0; 16], group.octets(), 255)
        .icmpv6_raw(135, 0, [0; 4])
        .write(&mut ip, &target.octets())
        .unwrap();
    let mut frame = [&[0x33, 0x33, 255, 0, 0, 1][..], &MAC9[..], &[0x86, 0xdd]].concat();
    frame.extend(&ip);
    let mut pair = Pair::ethernet();
    let sent = answers(&mut pair, &frame);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0][..6], [0x33, 0x33, 0, 0, 0, 1], "to all nodes");
    assert_eq!(icmp6(&sent[0][14..]).type_u8(), 136);
    // From beyond a router it would be a lie.
    frame[14 + 7] = 254;
    assert!(answers(&mut pair, &frame).is_empty());
}

// ---- anything at all ----

/// Packets that get far: sound headers around arbitrary content, then a few octets changed.
fn nearly_packets() -> impl Strategy<Value = Vec<u8>> {
    let base = prop_oneof![
        any::<(u16, u32, u32, u16, u16)>().prop_map(|(port, seq, ack, window, flags)| {
            let mut octets = Vec::new();
            let mut tcp = PacketBuilder::ipv4(PEER4, OURS4, 64).tcp(port, 80, seq, window);
            if flags & 1 != 0 {
                tcp = tcp.syn();
            }
            if flags & 2 != 0 {
                tcp = tcp.ack(ack);
            }
            if flags & 4 != 0 {
                tcp = tcp.fin();
            }
            if flags & 8 != 0 {
                tcp = tcp.rst();
            }
            tcp.write(&mut octets, &[7; 9]).unwrap();
            octets
        }),
        Just(echo4(b"abc")),
        Just(echo6(b"abc")),
        Just(udp6(50)),
        Just(unreachable(4, 700, &syn(OURS4, PEER4))),
        Just(fragments(&echo4(&pattern(1500)), false)[0].clone()),
        Just(fragments(&echo6(&pattern(1500)), true)[0].clone()),
        Just([&[255; 6][..], &MAC9, &[0x08, 0], &echo4(b"x")].concat()),
        Just([&MAC1[..], &MAC9, &[0x86, 0xdd], &echo6(b"x")].concat()),
        Just(arp(1, (host(9), MAC9), OURS4)),
        proptest::collection::vec(any::<u8>(), 0..120),
    ];
    (
        base,
        proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        any::<bool>(),
    )
        .prop_map(|(mut octets, changes, cut)| {
            for (index, value) in changes {
                if !octets.is_empty() {
                    let at = index.index(octets.len());
                    octets[at] = value;
                    if cut && at % 5 == 0 {
                        octets.truncate(at);
                    }
                }
            }
            octets
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever arrives, nothing panics, memory stays bounded, and every answer is a packet that others can read.
    #[test]
    fn arbitrary_packets(packets in proptest::collection::vec((nearly_packets(), any::<bool>(), 0u64..500), 1..60), ethernet in any::<bool>()) {
        let mut pair = if ethernet { Pair::ethernet() } else { Pair::new() };
        pair.stacks[0].listen(at("::", 80), 3).unwrap();
        let client = pair.stacks[0].connect(pair.now, at("10.0.0.2", 1), None).unwrap();
        pair.pump();
        for (octets, checksum_valid, wait) in packets {
            pair.now += Duration::from_millis(wait);
            pair.stacks[0].handle_timeout(pair.now);
            let checksum = checksum_valid.then_some((0, 0));
            let flying = Flying { octets, arrives_at: pair.now, checksum, segment_size: None };
            pair.deliver(0, &flying);
            let before = pair.log.len();
            pair.pump();
            for (from, flying) in &pair.log[before..] {
                let read = if ethernet { SlicedPacket::from_ethernet(&flying.octets) } else { SlicedPacket::from_ip(&flying.octets) };
                prop_assert!(*from != 0 || read.is_ok(), "{:?}", read);
            }
        }
        pair.stacks[0].close(pair.now, client);
        pair.lose = Box::new(|_, _| true);
        pair.flying = Default::default();
        pair.settle();
        prop_assert!(pair.stacks[0].poll_timeout().is_none());
    }
}

#[test]
fn addresses_are_what_they_seem() {
    assert_eq!(IpAddr::from(ours6()), "fd00::1".parse::<IpAddr>().unwrap());
    assert_eq!(IpAddr::from(peer6()), "fd00::2".parse::<IpAddr>().unwrap());
}
