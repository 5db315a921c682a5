//! Stacks that share a link: ports, fragments, neighbours.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod pair;

use std::net::SocketAddr;
use std::sync::Arc;

use pair::{LINK, link};
use woshou_stack::{Config, ConnId, ConnectError, Event, Medium, Packet, Shard, Stack, Steering};
use woshou_tcp::{Endpoints, Instant, ReadError, State};

const SHARDS: u16 = 4;
const NOW: Instant = Instant::from_millis(1_000);

fn to(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 2], port))
}

struct Host {
    steering: Steering,
    shards: Vec<Stack>,
}

impl Host {
    fn new(medium: Medium, address: &str, ports: std::ops::RangeInclusive<u16>) -> Self {
        let seed = [address.len() as u8; 32];
        let steering = Steering::new(&seed, SHARDS);
        let config = Arc::new(Config {
            ephemeral_ports: ports,
            ..Config::default()
        });
        let shards = (0..SHARDS).map(|number| {
            let mut stack = Stack::new(Arc::clone(&config), Steering::seed(&seed, number));
            stack.add_link(link(medium, &[address]));
            stack.set_share(steering.clone(), number);
            stack
        });
        Self {
            shards: shards.collect(),
            steering,
        }
    }

    fn hand_in(&mut self, medium: Medium, octets: &[u8]) {
        let packet = Packet {
            octets,
            owner: None,
            checksum_valid: false,
            segment_size: None,
        };
        let owner = self.steering.packet(medium, octets);
        for (number, stack) in (0..).zip(&mut self.shards) {
            if matches!(owner, Shard::Every) || owner == Shard::One(number) {
                stack.handle_packet(NOW, LINK, packet);
            }
        }
        let strays: Vec<_> = self
            .shards
            .iter_mut()
            .filter_map(Stack::poll_stray)
            .collect();
        for stray in strays {
            self.shards[usize::from(stray.to())].handle_stray(NOW, &stray);
        }
    }

    fn packets(&mut self) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        for stack in &mut self.shards {
            while let Some(transmit) = stack.poll_transmit(NOW) {
                packets.push([transmit.headers, transmit.payload[0], transmit.payload[1]].concat());
            }
        }
        packets
    }
}

#[test]
fn each_opens_only_what_is_its_own_until_no_port_is_left() {
    let range = 40_000..=40_399;
    let mut host = Host::new(Medium::Ip, "10.0.0.1/24", range.clone());
    let mut ports = Vec::new();
    for number in 0..SHARDS {
        let stack = &mut host.shards[usize::from(number)];
        loop {
            match stack.connect(NOW, to(80), None) {
                Ok(id) => {
                    let who = stack.endpoints(id).unwrap();
                    assert_eq!(host.steering.connection(&who), number);
                    ports.push(who.local.port());
                }
                Err(error) => {
                    assert_eq!(error, ConnectError::NoPort);
                    break;
                }
            }
        }
    }
    ports.sort_unstable();
    assert_eq!(
        ports,
        range.collect::<Vec<_>>(),
        "each port once, by its owner"
    );
}

#[test]
fn a_given_port_has_one_owner() {
    let host = Host::new(Medium::Ip, "10.0.0.1/24", 40_000..=49_999);
    let from: SocketAddr = "0.0.0.0:1234".parse().unwrap();
    let who = Endpoints {
        local: "10.0.0.1:1234".parse().unwrap(),
        remote: to(80),
    };
    for stack in &host.shards {
        assert_eq!(
            stack.shard_of(to(80), from),
            Ok(host.steering.connection(&who))
        );
    }
}

/// IPv4 packets cut into fragments of so many octets.
fn cut(packet: &[u8], id: u16, size: usize) -> Vec<Vec<u8>> {
    let header = usize::from(packet[0] & 0xf) * 4;
    let text = &packet[header..];
    let pieces = text.chunks(size).enumerate().map(|(at, piece)| {
        let mut ip = etherparse::Ipv4Header::from_slice(packet).unwrap().0;
        ip.identification = id;
        ip.dont_fragment = false;
        ip.more_fragments = (at + 1) * size < text.len();
        ip.fragment_offset = ((at * size / 8) as u16).try_into().unwrap();
        ip.total_len = (header + piece.len()) as u16;
        ip.header_checksum = ip.calc_header_checksum();
        [&ip.to_bytes()[..], piece].concat()
    });
    pieces.collect()
}

#[test]
fn what_one_puts_together_reaches_its_owner() {
    let medium = Medium::Ip;
    let mut server = Host::new(medium, "10.0.0.2/24", 40_000..=49_999);
    let mut client = Stack::new(Arc::new(Config::default()), [9; 32]);
    client.add_link(link(medium, &["10.0.0.1/24"]));
    let listeners: Vec<_> = server
        .shards
        .iter_mut()
        .map(|stack| stack.listen(to(80), 99).unwrap())
        .collect();
    let ours: Vec<ConnId> = (0..40)
        .map(|_| client.connect(NOW, to(80), None).unwrap())
        .collect();
    let mut id = 0;
    for round in 0..8 {
        while let Some(out) = client.poll_transmit(NOW) {
            let packet = [out.headers, out.payload[0], out.payload[1]].concat();
            for piece in cut(&packet, id, 24) {
                server.hand_in(medium, &piece);
            }
            id += 1;
        }
        for packet in server.packets() {
            client.handle_packet(
                NOW,
                LINK,
                Packet {
                    octets: &packet,
                    owner: None,
                    checksum_valid: false,
                    segment_size: None,
                },
            );
        }
        if round == 3 {
            for id in &ours {
                assert_eq!(client.state(*id), State::Established);
                client.write(NOW, *id, &[7; 500]).unwrap();
            }
        }
    }
    let mut whole = 0;
    for (stack, listener) in server.shards.iter_mut().zip(listeners) {
        while let Some(id) = stack.accept(listener) {
            let mut text = [0; 999];
            assert_eq!(stack.read(NOW, id, &mut text), Ok(500));
            assert_eq!(text[..500], [7; 500]);
            assert_eq!(stack.read(NOW, id, &mut text), Err(ReadError::Empty));
            whole += 1;
        }
        let counters = stack.counters();
        assert!(
            counters.reassembled > 0,
            "every shard has put some together"
        );
        assert_eq!(counters.resets_sent, 0);
        while let Some(event) = stack.poll_event() {
            assert!(!matches!(event, Event::Cancelled(_)));
        }
    }
    assert_eq!(whole, ours.len());
}

#[test]
fn one_answers_for_all_and_all_remember() {
    let mac = [2, 0, 0, 0, 0, 2];
    let medium = Medium::Ethernet { mac };
    let mut host = Host::new(medium, "10.0.0.2/24", 40_000..=49_999);
    let mut asker = Stack::new(Arc::new(Config::default()), [9; 32]);
    let theirs = [2, 0, 0, 0, 0, 1];
    asker.add_link(link(Medium::Ethernet { mac: theirs }, &["10.0.0.1/24"]));
    asker.connect(NOW, to(80), None).unwrap();
    let question = asker.poll_transmit(NOW).unwrap().headers.to_vec();
    host.hand_in(medium, &question);
    let answers = host.packets();
    assert_eq!(answers.len(), 1);
    assert_eq!(&answers[0][..6], &theirs);
    for stack in &mut host.shards {
        let peer = SocketAddr::from(([10, 0, 0, 1], 80));
        stack.connect(NOW, peer, None).unwrap();
        let syn = stack.poll_transmit(NOW).unwrap();
        assert_eq!(syn.headers[..6], theirs, "known without asking");
        assert_eq!(syn.headers[12..14], [8, 0]);
    }
}
