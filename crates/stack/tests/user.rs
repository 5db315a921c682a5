//! The user's side of RFC 9293 sections 3.9.1.1, 3.9.1.9 and 3.9.2: addresses, TTL, Diffserv field.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod pair;

use std::time::Duration;

use pair::{LINK, Pair, at, cidr, link, pattern};
use woshou_stack::{ConnectError, LinkId, ListenError, ListenOptions, Medium};
use woshou_tcp::State;

/// TOS or traffic class, and TTL or hop limit.
fn marks(octets: &[u8]) -> (u8, u8) {
    if octets[0] >> 4 == 4 {
        (octets[1], octets[8])
    } else {
        (octets[0] << 4 | octets[1] >> 4, octets[7])
    }
}

fn flow_label(octets: &[u8]) -> u32 {
    u32::from_be_bytes([0, octets[1] & 15, octets[2], octets[3]])
}

/// Source address of an IPv4 packet.
fn source(octets: &[u8]) -> [u8; 4] {
    octets[12..16].try_into().unwrap()
}

//= rfc9293 MUST-48 test
//= rfc9293 MUST-49 test
//= rfc9293 SHLD-22 test
//= rfc9293 SHLD-23 test
#[test]
fn what_the_user_chose_is_in_every_packet_from_syn_to_time_wait() {
    for to in [at("10.0.0.2", 80), at("fd00::2", 80)] {
        let mut pair = Pair::new();
        let tcp = pair.stacks[1].tcp_config().clone();
        let options = ListenOptions {
            backlog: 1,
            config: tcp,
            v6_only: false,
            ttl: Some(9),
            // The bits of ECN are not the user's.
            tos: Some(0x2b),
        };
        let listener = pair.stacks[1].listen_with(to, options).unwrap();
        let client = pair.stacks[0].connect(pair.now, to, None).unwrap();
        pair.stacks[0].set_tos(client, 0xb9);
        pair.stacks[0].set_ttl(client, 7);
        pair.run_for(Duration::from_millis(100));
        let server = pair.stacks[1].accept(listener).unwrap();
        let text = pattern(5000);
        assert!(pair.transfer(0, (client, server), &text) == text);
        assert!(pair.transfer(1, (server, client), &text) == text);
        pair.stacks[0].shutdown(pair.now, client);
        pair.run_for(Duration::from_millis(100));
        pair.stacks[1].shutdown(pair.now, server);
        pair.run_for(Duration::from_millis(100));
        assert_eq!(pair.stacks[0].state(client), State::TimeWait);
        // A repeated FIN is answered from TIME-WAIT.
        let fin = pair.log.iter().rev().find(|(from, _)| *from == 1).unwrap();
        let fin = fin.1.octets.clone();
        let before = pair.log.len();
        pair.inject(0, &fin);
        pair.pump();
        assert_eq!(pair.log.len(), before + 1);
        for (from, flying) in &pair.log {
            let expected = [(0xb8, 7), (0x28, 9)][*from];
            assert_eq!(marks(&flying.octets), expected, "from {from}");
        }
        if to.is_ipv6() {
            let labels: Vec<_> = [0, 1]
                .map(|side| {
                    let sent = pair.log.iter().filter(|(from, _)| *from == side);
                    let mut labels: Vec<_> = sent.map(|(_, f)| flow_label(&f.octets)).collect();
                    labels.dedup();
                    labels
                })
                .concat();
            assert_eq!(labels.len(), 2, "{labels:?}");
            assert!(labels[0] != labels[1] && !labels.contains(&0), "{labels:?}");
        }
    }
}

//= rfc9293 SHLD-21 test
//= rfc9293 MAY-9 test
#[test]
fn the_diffserv_field_is_changed_while_the_connection_lives_and_the_peer_reads_it() {
    let mut pair = Pair::new();
    let (client, server, _) = pair.connected(at("10.0.0.2", 80));
    assert_eq!(pair.stacks[0].tos(client), Some(0));
    assert_eq!(pair.stacks[1].received_tos(server), Some(0));
    for tos in [0x20, 0xb8, 0] {
        pair.stacks[0].set_tos(client, tos);
        assert!(pair.transfer(0, (client, server), b"text") == b"text");
        assert_eq!(pair.stacks[0].tos(client), Some(tos));
        assert_eq!(pair.stacks[1].received_tos(server), Some(tos));
        // Each direction for itself.
        assert_eq!(pair.stacks[1].tos(server), Some(0));
        assert_eq!(pair.stacks[0].received_tos(client), Some(0));
    }
}

/// Two links that both lead to 192.0.2.0/24, one by a route that comes later.
fn two_links() -> (Pair, LinkId) {
    let mut pair = Pair::new();
    pair.stacks[0].add_route(cidr("192.0.2.0/24"), LINK, None);
    let second = pair.stacks[0].add_link(link(Medium::Ip, &["10.0.5.1/24", "10.0.5.9/24"]));
    (pair, second)
}

//= rfc9293 MUST-43 test
//= rfc9293 MUST-44 test
#[test]
fn the_local_address_is_the_users_or_the_routes() {
    // From where the user asks; what is in the SYN.
    let cases = [
        (None, [10, 0, 0, 1]),
        (Some(at("0.0.0.0", 0)), [10, 0, 0, 1]),
        (Some(at("0.0.0.0", 4000)), [10, 0, 0, 1]),
        (Some(at("10.0.5.1", 0)), [10, 0, 5, 1]),
        (Some(at("10.0.5.9", 4000)), [10, 0, 5, 9]),
        (Some(at("::ffff:10.0.5.9", 4000)), [10, 0, 5, 9]),
    ];
    for (from, expected) in cases {
        let (mut pair, _) = two_links();
        let to = at("192.0.2.7", 80);
        let client = pair.stacks[0].connect(pair.now, to, from).unwrap();
        pair.pump();
        let syn = &pair.log.last().unwrap().1.octets;
        assert_eq!(source(syn), expected, "{from:?}");
        let port = u16::from_be_bytes([syn[20], syn[21]]);
        let asked = from.map_or(0, |from| from.port());
        assert!(asked == 0 || asked == port, "{from:?}: {port}");
        // It is known from the beginning.
        let local = pair.stacks[0].endpoints(client).unwrap().local;
        assert_eq!(
            local,
            at(&format!("{}", std::net::Ipv4Addr::from(expected)), port)
        );
    }
    let (mut pair, _) = two_links();
    for (to, from) in [
        ("192.0.2.7", "192.0.2.1"),
        ("192.0.2.7", "fd00::1"),
        ("fd00::2", "10.0.0.1"),
        ("192.0.2.7", "224.0.0.1"),
        ("192.0.2.7", "255.255.255.255"),
    ] {
        let from = at(from, 0);
        let result = pair.stacks[0].connect(pair.now, at(to, 80), Some(from));
        assert_eq!(result, Err(ConnectError::NotLocal(from)));
    }
}

//= rfc9293 MUST-45 test
#[test]
fn a_connection_keeps_its_local_address_when_the_routes_change() {
    let mut pair = Pair::new();
    let (client, server, _) = pair.connected(at("10.0.0.2", 80));
    // A host route by another link: who connects now has another source address.
    let second = pair.stacks[0].add_link(link(Medium::Ip, &["10.0.5.1/24"]));
    pair.stacks[0].add_route(cidr("10.0.0.2/32"), second, None);
    let other = pair.stacks[0]
        .connect(pair.now, at("10.0.0.2", 80), None)
        .unwrap();
    assert_eq!(
        pair.stacks[0].endpoints(other).unwrap().local.ip(),
        at("10.0.5.1", 0).ip()
    );
    pair.stacks[0].abort(pair.now, other);
    pair.log.clear();
    assert!(pair.transfer(0, (client, server), b"as before") == b"as before");
    pair.stacks[0].shutdown(pair.now, client);
    pair.run_for(Duration::from_millis(100));
    let sent = pair.log.iter().filter(|(from, _)| *from == 0);
    let sources: Vec<_> = sent.map(|(_, f)| source(&f.octets)).collect();
    assert!(sources.len() >= 2);
    assert!(sources.iter().all(|source| *source == [10, 0, 0, 1]));
}

//= rfc9293 MUST-41 test
//= rfc9293 MUST-42 test
#[test]
fn listening_leaves_the_connections_of_its_port_alone() {
    let local = at("10.0.0.1", 4000);
    let mut pair = Pair::new();
    let sinks = [80, 81].map(|port| pair.stacks[1].listen(at("10.0.0.2", port), 4).unwrap());
    // One open, one in SYN-SENT, one in SYN-RECEIVED (of a simultaneous open), all with the port.
    let open = pair.stacks[0].connect(pair.now, at("10.0.0.2", 80), Some(local));
    let open = open.unwrap();
    pair.run_for(Duration::from_millis(100));
    let opening = pair.stacks[0].connect(pair.now, at("10.0.0.2", 81), Some(local));
    let opening = opening.unwrap();
    let both = pair.stacks[0].connect(pair.now, at("10.0.0.2", 4001), Some(local));
    let both = both.unwrap();
    let theirs = pair.stacks[1]
        .connect(pair.now, local, Some(at("10.0.0.2", 4001)))
        .unwrap();
    pair.run_for(Duration::from_millis(6));
    assert_eq!(pair.stacks[0].state(open), State::Established);
    assert_eq!(pair.stacks[0].state(both), State::SynReceived);
    let third = pair.stacks[0].connect(pair.now, at("10.0.0.2", 82), Some(local));
    assert_eq!(pair.stacks[0].state(third.unwrap()), State::SynSent);

    let listener = pair.stacks[0].listen(local, 4).unwrap();
    assert_eq!(pair.stacks[0].listen(local, 4), Err(ListenError::InUse));
    let new = pair.stacks[1].connect(pair.now, local, None).unwrap();
    pair.run_for(Duration::from_millis(100));

    // The listener has the one that is new, and no other.
    let accepted = pair.stacks[0].accept(listener).unwrap();
    assert_eq!(pair.stacks[0].accept(listener), None);
    assert!(pair.transfer(1, (new, accepted), b"new") == b"new");
    for (id, peer) in [
        (open, pair.stacks[1].accept(sinks[0]).unwrap()),
        (opening, pair.stacks[1].accept(sinks[1]).unwrap()),
        (both, theirs),
    ] {
        assert_eq!(pair.stacks[0].state(id), State::Established);
        assert!(pair.transfer(0, (id, peer), b"here") == b"here");
        assert!(pair.transfer(1, (peer, id), b"there") == b"there");
    }
}

//= rfc9293 MUST-46 test
#[test]
fn addresses_that_are_no_ones() {
    let mut pair = Pair::new();
    for to in [
        "255.255.255.255",
        "10.0.0.255",
        "10.0.0.0",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "ff02::1",
        "ff0e::1",
        "::ffff:224.0.0.1",
        "::ffff:10.0.0.255",
    ] {
        let to = at(to, 80);
        let result = pair.stacks[0].connect(pair.now, to, None);
        assert_eq!(result, Err(ConnectError::InvalidAddress(to)));
    }
    let to = at("10.0.0.2", 0);
    let result = pair.stacks[0].connect(pair.now, to, None);
    assert_eq!(result, Err(ConnectError::InvalidAddress(to)));
    let to = at("192.0.2.1", 80);
    let result = pair.stacks[0].connect(pair.now, to, None);
    assert_eq!(result, Err(ConnectError::NoRoute(to.ip())));
    for local in ["255.255.255.255", "10.0.0.255", "224.0.0.1", "ff02::1"] {
        let local = at(local, 80);
        let result = pair.stacks[0].listen(local, 1);
        assert_eq!(result, Err(ListenError::NotLocal(local)));
    }
    pair.pump();
    assert!(pair.log.is_empty() && pair.stacks[0].connections().is_empty());
}

/// One row each for who opens, is half open, is open, waits to be accepted, was let go, and is in TIME-WAIT.
#[test]
fn figures_of_all_connections() {
    let mut pair = Pair::new();
    let to = at("10.0.0.2", 80);
    let listener = pair.stacks[1].listen(to, 8).unwrap();
    let clients: Vec<_> = (0..4)
        .map(|_| pair.stacks[0].connect(pair.now, to, None).unwrap())
        .collect();
    pair.run_for(Duration::from_millis(100));
    let ends: Vec<_> = (0..3)
        .map(|_| pair.stacks[1].accept(listener).unwrap())
        .collect();
    // One ends in TIME-WAIT at the server, one is let go with text on its way, one stays, one waits to be accepted.
    pair.stacks[1].close(pair.now, ends[0]);
    pair.run_for(Duration::from_millis(50));
    pair.stacks[0].close(pair.now, clients[0]);
    pair.run_for(Duration::from_millis(50));
    // And one more whose last acknowledgement is lost.
    pair.lose = Box::new(|from, _| from == 0);
    pair.stacks[1]
        .write(pair.now, ends[1], &pattern(5000))
        .unwrap();
    pair.stacks[1].close(pair.now, ends[1]);
    pair.run_for(Duration::from_millis(50));
    let infos = pair.stacks[1].connection_infos(pair.now);
    let listed = pair.stacks[1].connections();
    assert_eq!(infos.len(), listed.len());
    for ((_, who, info), (again, state)) in infos.iter().zip(&listed) {
        assert_eq!((who, info.state), (again, *state), "in the same order");
    }
    let mut seen: Vec<_> = infos
        .iter()
        .map(|(id, _, info)| (info.state.to_string(), id.is_some(), info.unacked_octets))
        .collect();
    seen.sort();
    let expected = [
        ("ESTABLISHED", false, 0),
        ("ESTABLISHED", true, 0),
        ("FIN-WAIT-1", false, 5000),
        ("TIME-WAIT", false, 0),
    ];
    assert_eq!(
        seen,
        expected.map(|(state, held, octets)| (state.to_owned(), held, octets))
    );
    assert!(infos.iter().any(|(id, ..)| *id == Some(ends[2])));
    assert!(pair.stacks[1].info(pair.now, ends[2]).unwrap().pmtu == 1500);
}
