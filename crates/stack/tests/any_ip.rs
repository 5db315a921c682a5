//! Any-IP: connections to addresses that are not ours.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use etherparse::PacketBuilder;
use woshou_stack::{Cidr, Config, LinkConfig, LinkId, ListenError, Medium, Packet, Stack};
use woshou_tcp::{Instant, State};

const NOW: Instant = Instant::from_millis(1);

fn cidr(text: &str) -> Cidr {
    let (address, prefix) = text.split_once('/').unwrap();
    Cidr {
        address: address.parse().unwrap(),
        prefix: prefix.parse().unwrap(),
    }
}

fn stack(addresses: &[&str]) -> (Stack, LinkId) {
    let mut stack = Stack::new(Arc::new(Config::default()), [addresses.len() as u8; 32]);
    let link = stack.add_link(LinkConfig {
        medium: Medium::Ip,
        mtu: 1500,
        addresses: addresses.iter().map(|text| cidr(text)).collect(),
        checksum_offload: false,
        gso_max: 0,
    });
    for everywhere in ["0.0.0.0/0", "::/0"] {
        stack.add_route(cidr(everywhere), link, None);
    }
    (stack, link)
}

fn proxy() -> (Stack, LinkId) {
    let (mut stack, link) = stack(&["10.0.0.2/24", "fd00::2/64"]);
    stack.set_any_ip(link, true);
    (stack, link)
}

fn hand(to: &mut Stack, link: LinkId, octets: &[u8]) {
    let packet = Packet {
        octets,
        owner: None,
        checksum_valid: false,
        segment_size: None,
    };
    to.handle_packet(NOW, link, packet);
}

fn flow(from: &mut Stack, to: &mut Stack, link: LinkId) -> bool {
    let mut any = false;
    while let Some(transmit) = from.poll_transmit(NOW) {
        let octets = [transmit.headers, transmit.payload[0], transmit.payload[1]].concat();
        hand(to, link, &octets);
        any = true;
    }
    any
}

#[test]
fn a_proxy_accepts_for_others_and_hears_for_whom() {
    let (mut client, link) = stack(&["10.0.0.1/24", "fd00::1/64", "fd00::3/64"]);
    let (mut proxy, _) = proxy();
    let all = proxy.listen_any(None, 16).unwrap();
    let web = proxy.listen_any(Some(443), 16).unwrap();
    let own = proxy.listen(([0, 0, 0, 0], 80).into(), 16).unwrap();
    assert_eq!(proxy.listen_any(None, 1), Err(ListenError::InUse));
    let cases = [
        ("198.51.100.7:25", all),
        ("198.51.100.7:443", web),
        ("[2001:db8::7]:443", web),
        ("[2001:db8::7]:80", all),
        ("198.51.100.7:80", all),
        ("10.0.0.9:80", all),
        ("10.0.0.2:80", own),
        ("10.0.0.2:443", web),
    ];
    for (to, listener) in cases {
        let to: SocketAddr = to.parse().unwrap();
        let opened = client.connect(NOW, to, None).unwrap();
        while flow(&mut client, &mut proxy, link) | flow(&mut proxy, &mut client, link) {}
        assert_eq!(client.state(opened), State::Established, "{to}");
        let id = proxy.accept(listener).unwrap_or_else(|| panic!("{to}"));
        let ends = proxy.endpoints(id).unwrap();
        assert_eq!(ends.local, to);
        proxy.write(NOW, id, b"hello").unwrap();
        while flow(&mut client, &mut proxy, link) | flow(&mut proxy, &mut client, link) {}
        let mut into = [0; 9];
        assert_eq!(client.read(NOW, opened, &mut into), Ok(5), "{to}");
    }
    // It keeps no port from connections of its own, and goes when it is closed.
    assert!(
        proxy
            .connect(NOW, "10.0.0.1:1".parse().unwrap(), None)
            .is_ok()
    );
    proxy.close_listener(NOW, all);
    let opened = client
        .connect(NOW, "198.51.100.7:26".parse().unwrap(), None)
        .unwrap();
    while flow(&mut client, &mut proxy, link) | flow(&mut proxy, &mut client, link) {}
    assert!(client.ended(opened).is_some(), "refused");
    assert!(proxy.listen_any(None, 1).is_ok());
}

fn syn(source: &str, destination: &str) -> Vec<u8> {
    let ips: [IpAddr; 2] = [source.parse().unwrap(), destination.parse().unwrap()];
    let packet = match ips {
        [IpAddr::V4(from), IpAddr::V4(to)] => PacketBuilder::ipv4(from.octets(), to.octets(), 64),
        [IpAddr::V6(from), IpAddr::V6(to)] => PacketBuilder::ipv6(from.octets(), to.octets(), 64),
        _ => panic!("one family"),
    };
    let mut octets = Vec::new();
    packet
        .tcp(5000, 80, 7, 1000)
        .syn()
        .write(&mut octets, &[])
        .unwrap();
    octets
}

#[test]
fn what_nobody_can_be_is_not_taken_for_others() {
    let cases = [
        ("10.0.0.1", "198.51.100.7", true),
        ("fd00::1", "2001:db8::7", true),
        ("10.0.0.1", "10.0.0.255", false),
        ("10.0.0.1", "255.255.255.255", false),
        ("10.0.0.1", "224.0.0.1", false),
        ("10.0.0.1", "240.0.0.1", false),
        ("10.0.0.1", "0.0.0.0", false),
        ("10.0.0.1", "127.0.0.1", false),
        ("198.51.100.7", "198.51.100.7", false),
        ("224.0.0.1", "198.51.100.7", false),
        ("10.0.0.2", "198.51.100.7", false),
        ("fd00::1", "ff02::1", false),
        ("fd00::1", "::1", false),
        ("fd00::1", "::", false),
        ("fd00::1", "::ffff:10.0.0.9", false),
    ];
    for (source, destination, taken) in cases {
        let (mut proxy, link) = proxy();
        proxy.listen_any(None, 16).unwrap();
        hand(&mut proxy, link, &syn(source, destination));
        let answered = proxy.poll_transmit(NOW).is_some();
        assert_eq!(answered, taken, "{source} to {destination}");
        // Without the option only what is ours is.
        let (mut strict, link) = stack(&["10.0.0.2/24", "fd00::2/64"]);
        strict.listen_any(None, 16).unwrap();
        hand(&mut strict, link, &syn(source, destination));
        assert!(
            strict.poll_transmit(NOW).is_none(),
            "{source} to {destination}"
        );
    }
    // Nobody else's echo is answered, and no UDP refused in their name.
    let (mut proxy, link) = proxy();
    for (destination, answered) in [([198, 51, 100, 7], false), ([10, 0, 0, 2], true)] {
        let (mut echo, mut datagram) = (Vec::new(), Vec::new());
        let packet = || PacketBuilder::ipv4([10, 0, 0, 1], destination, 64);
        packet()
            .icmpv4_echo_request(1, 2)
            .write(&mut echo, b"hello")
            .unwrap();
        packet()
            .udp(5000, 53)
            .write(&mut datagram, b"hello")
            .unwrap();
        for octets in [echo, datagram] {
            hand(&mut proxy, link, &octets);
            assert_eq!(
                proxy.poll_transmit(NOW).is_some(),
                answered,
                "{destination:?}"
            );
        }
    }
}
