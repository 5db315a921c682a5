//! Listeners, seen from the wire: options of the handshake, and a flood.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use etherparse::{SlicedPacket, TcpOptionElement, TransportSlice};
use woshou_stack::{
    Cidr, Config, Decision, Event, IncomingId, LinkConfig, LinkId, Medium, Packet, Stack,
};
use woshou_tcp::{Config as TcpConfig, Instant, State, SynCookies};

const NOW: Instant = Instant::from_millis(100_000);

fn stack(hosts: std::ops::RangeInclusive<u8>, tcp: TcpConfig) -> (Stack, LinkId) {
    let config = Config {
        tcp: Arc::new(tcp),
        ..Config::default()
    };
    let mut stack = Stack::new(Arc::new(config), [*hosts.start(); 32]);
    let link = stack.add_link(LinkConfig {
        medium: Medium::Ip,
        mtu: 1500,
        addresses: hosts
            .map(|host| Cidr {
                address: [10, 0, 0, host].into(),
                prefix: 24,
            })
            .collect(),
        checksum_offload: false,
        gso_max: 0,
    });
    (stack, link)
}

/// All that `from` owes goes over, shown to `seen` first.
fn flow(from: &mut Stack, to: &mut Stack, link: LinkId, seen: &mut impl FnMut(&[u8])) -> bool {
    let mut any = false;
    while let Some(transmit) = from.poll_transmit(NOW) {
        let octets = [transmit.headers, transmit.payload[0], transmit.payload[1]].concat();
        seen(&octets);
        let packet = Packet {
            octets: &octets,
            owner: None,
            checksum_valid: false,
            segment_size: None,
        };
        to.handle_packet(NOW, link, packet);
        any = true;
    }
    any
}

//= rfc9293 MUST-65 test
//= rfc9293 MAY-3 test
#[test]
fn the_mss_is_on_every_syn_and_on_nothing_else() {
    let cookies = TcpConfig {
        syn_cookies: SynCookies::Always,
        ..TcpConfig::default()
    };
    for config in [TcpConfig::default(), cookies] {
        let (mut client, link) = stack(1..=1, config.clone());
        let (mut server, _) = stack(2..=2, config);
        let listener = server.listen(([10, 0, 0, 2], 80).into(), 4).unwrap();
        let id = client
            .connect(NOW, ([10, 0, 0, 2], 80).into(), None)
            .unwrap();
        let mut kinds = [0, 0];
        let mut seen = |octets: &[u8]| {
            let sliced = SlicedPacket::from_ip(octets).unwrap();
            let Some(TransportSlice::Tcp(tcp)) = sliced.transport else {
                panic!("TCP")
            };
            let mss = tcp
                .options_iterator()
                .any(|option| matches!(option, Ok(TcpOptionElement::MaximumSegmentSize(1460))));
            assert_eq!(mss, tcp.syn(), "{tcp:?}");
            kinds[usize::from(tcp.syn())] += 1;
        };
        while flow(&mut client, &mut server, link, &mut seen)
            | flow(&mut server, &mut client, link, &mut seen)
        {}
        let accepted = server.accept(listener).unwrap();
        client.write(NOW, id, &[7; 5000]).unwrap();
        client.shutdown(NOW, id);
        server.shutdown(NOW, accepted);
        while flow(&mut client, &mut server, link, &mut seen)
            | flow(&mut server, &mut client, link, &mut seen)
        {}
        assert!(kinds[1] == 2 && kinds[0] > 5, "{kinds:?}");
    }
}

/// A table that is full of SYNs nobody means: others get in by cookies, with all that they offered.
#[test]
fn a_full_table_keeps_nobody_out() {
    let small = TcpConfig {
        half_open: 8,
        ..TcpConfig::default()
    };
    let (mut client, link) = stack(1..=1, TcpConfig::default());
    let (mut server, _) = stack(2..=2, small);
    let (mut flood, _) = stack(10..=200, TcpConfig::default());
    let listener = server.listen(([10, 0, 0, 2], 80).into(), 4).unwrap();
    for host in 10..=200 {
        let from = Some(([10, 0, 0, host], 4000).into());
        flood
            .connect(NOW, ([10, 0, 0, 2], 80).into(), from)
            .unwrap();
    }
    flow(&mut flood, &mut server, link, &mut |_| {});
    while server.poll_transmit(NOW).is_some() {}
    assert_eq!(
        server.connections().len(),
        4,
        "the flood's part of the table"
    );
    assert_eq!(server.counters().syn_cookies_sent, 191 - 4);
    let id = client
        .connect(NOW, ([10, 0, 0, 2], 80).into(), None)
        .unwrap();
    while flow(&mut client, &mut server, link, &mut |_| {})
        | flow(&mut server, &mut client, link, &mut |_| {})
    {}
    assert_eq!(client.state(id), State::Established);
    let accepted = server.accept(listener).unwrap();
    assert_eq!(server.counters().syn_cookies_received, 1);
    let (ours, theirs) = (
        client.info(NOW, id).unwrap(),
        server.info(NOW, accepted).unwrap(),
    );
    assert_eq!(
        (ours.snd_wscale, ours.rcv_wscale),
        (theirs.rcv_wscale, theirs.snd_wscale)
    );
    assert!(theirs.snd_wscale > 0);
    server.write(NOW, accepted, b"hello").unwrap();
    while flow(&mut server, &mut client, link, &mut |_| {})
        | flow(&mut client, &mut server, link, &mut |_| {})
    {}
    let mut into = [0; 9];
    assert_eq!(client.read(NOW, id, &mut into), Ok(5));
}

/// A server that asks, and a client's SYN that it was asked about.
fn asked() -> (
    Stack,
    Stack,
    LinkId,
    woshou_stack::ListenerId,
    woshou_stack::ConnId,
    IncomingId,
) {
    asked_by(TcpConfig::default())
}

fn asked_by(
    config: TcpConfig,
) -> (
    Stack,
    Stack,
    LinkId,
    woshou_stack::ListenerId,
    woshou_stack::ConnId,
    IncomingId,
) {
    let (mut client, link) = stack(1..=1, TcpConfig::default());
    let (mut server, _) = stack(2..=2, config);
    let listener = server.listen(([10, 0, 0, 2], 80).into(), 4).unwrap();
    server.set_deferred(listener, true);
    let id = client
        .connect(NOW, ([10, 0, 0, 2], 80).into(), None)
        .unwrap();
    let mut syn = Vec::new();
    flow(&mut client, &mut server, link, &mut |octets| {
        syn = octets.to_vec();
    });
    let Some(Event::Incoming(incoming)) = server.poll_event() else {
        panic!("asked")
    };
    assert!(
        server.poll_transmit(NOW).is_none(),
        "nothing is said before"
    );
    let packet = Packet {
        octets: &syn,
        owner: None,
        checksum_valid: false,
        segment_size: None,
    };
    server.handle_packet(NOW, link, packet);
    assert_eq!(
        server.poll_event(),
        None,
        "the same SYN is not asked about again"
    );
    let what = server.incoming(incoming).unwrap();
    assert_eq!((what.listener, what.endpoints.local.port()), (listener, 80));
    assert_eq!(what.header.options.mss, Some(1460));
    (client, server, link, listener, id, incoming)
}

#[test]
fn the_program_decides_about_each_syn() {
    for decision in [Decision::Accept, Decision::Refuse, Decision::Ignore] {
        let (mut client, mut server, link, listener, id, incoming) = asked();
        assert!(server.decide(NOW, incoming, decision));
        assert!(!server.decide(NOW, incoming, Decision::Accept), "once");
        assert_eq!(server.incoming(incoming), None);
        let mut packets = 0;
        while flow(&mut server, &mut client, link, &mut |_| packets += 1)
            | flow(&mut client, &mut server, link, &mut |_| {})
        {}
        let (state, answered) = match decision {
            Decision::Accept => (State::Established, 1),
            Decision::Refuse => (State::Closed, 1),
            Decision::Ignore => (State::SynSent, 0),
        };
        assert_eq!(
            (client.state(id), packets),
            (state, answered),
            "{decision:?}"
        );
        let ends = what_the_server_sees(&client, id);
        let accepted = ends.and_then(|ends| server.accept_incoming(listener, &ends));
        assert_eq!(accepted.is_some(), decision == Decision::Accept);
        assert!(!server.is_opening(incoming));
    }
}

/// Found by the fuzzer of two stacks: a cookie is remembered by nobody, so the SYN that comes again must not be taken for one
/// that is being answered.
#[test]
fn an_accepted_syn_whose_cookie_is_lost_gets_another() {
    let (mut client, mut server, link, listener, id, incoming) = asked_by(TcpConfig {
        syn_cookies: SynCookies::Always,
        ..TcpConfig::default()
    });
    assert!(server.decide(NOW, incoming, Decision::Accept));
    assert!(server.poll_transmit(NOW).is_some(), "lost");
    client.handle_timeout(client.poll_timeout().unwrap());
    while flow(&mut client, &mut server, link, &mut |_| {})
        | flow(&mut server, &mut client, link, &mut |_| {})
    {}
    assert_eq!(client.state(id), State::Established);
    assert_eq!(
        server.poll_event(),
        Some(Event::Acceptable(listener)),
        "not asked about again"
    );
    let ends = what_the_server_sees(&client, id).unwrap();
    assert!(server.accept_incoming(listener, &ends).is_some());
    assert!(!server.is_opening(incoming));
}

fn what_the_server_sees(client: &Stack, id: woshou_stack::ConnId) -> Option<woshou_tcp::Endpoints> {
    let ends = client.endpoints(id)?;
    Some(woshou_tcp::Endpoints {
        local: ends.remote,
        remote: ends.local,
    })
}

#[test]
fn a_syn_does_not_wait_for_ever() {
    // Nobody decides.
    let (_, mut server, _, _, _, incoming) = asked();
    let due = server.poll_timeout().unwrap();
    assert_eq!(due.since(NOW).as_secs(), 10);
    server.handle_timeout(due);
    assert_eq!(server.poll_event(), Some(Event::Cancelled(incoming)));
    assert!(!server.decide(due, incoming, Decision::Accept));
    // The listener is closed.
    let (_, mut server, _, listener, _, incoming) = asked();
    server.close_listener(NOW, listener);
    assert_eq!(server.poll_event(), Some(Event::Cancelled(incoming)));
    assert!(server.poll_transmit(NOW).is_none());
    // The peer's RST, with its number and with another.
    for (off, cancelled) in [(1, true), (0, false), (2, false)] {
        let (client, mut server, link, _, id, incoming) = asked();
        let ends = client.endpoints(id).unwrap();
        let seq = server.incoming(incoming).unwrap().header.seq + off;
        let mut reset = Vec::new();
        etherparse::PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .tcp(ends.local.port(), 80, seq.0, 0)
            .rst()
            .write(&mut reset, &[])
            .unwrap();
        let packet = Packet {
            octets: &reset,
            owner: None,
            checksum_valid: false,
            segment_size: None,
        };
        server.handle_packet(NOW, link, packet);
        let expected = cancelled.then_some(Event::Cancelled(incoming));
        assert_eq!(server.poll_event(), expected, "{off}");
    }
    // Too many.
    let (_, mut server, link, _, _, _) = asked();
    for port in 1..=1100 {
        let mut syn = Vec::new();
        etherparse::PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .tcp(port, 80, 7, 1000)
            .syn()
            .write(&mut syn, &[])
            .unwrap();
        let packet = Packet {
            octets: &syn,
            owner: None,
            checksum_valid: false,
            segment_size: None,
        };
        server.handle_packet(NOW, link, packet);
    }
    let asked = core::iter::from_fn(|| server.poll_event()).count();
    assert_eq!(
        (asked, server.counters().backlog_overflows),
        (1023, 1100 - 1023)
    );
}
