use super::*;
use etherparse::PacketBuilder;
use proptest::prelude::*;
use std::vec::Vec;

fn who(local: &str, remote: &str) -> Endpoints {
    Endpoints {
        local: local.parse().unwrap(),
        remote: remote.parse().unwrap(),
    }
}

/// A segment from the remote end.
fn segment(who: &Endpoints) -> Vec<u8> {
    let mut packet = Vec::new();
    let (from, to) = (who.remote, who.local);
    let builder = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), 9),
        (IpAddr::V6(from), IpAddr::V6(to)) => PacketBuilder::ipv6(from.octets(), to.octets(), 9),
        _ => panic!("one family"),
    };
    let tcp = builder.tcp(from.port(), to.port(), u32::MAX, 7);
    tcp.write(&mut packet, b"text").unwrap();
    packet
}

fn flows() -> Vec<Endpoints> {
    let v4 = (0..40u16).map(|n| who("10.0.0.1:80", "10.0.0.2:0").with_port(1_000 + n));
    let v6 = (0..40u16).map(|n| who("[fd00::1]:80", "[fe80::2]:0").with_port(1_000 + n));
    v4.chain(v6).collect()
}

trait WithPort {
    fn with_port(self, port: u16) -> Self;
}

impl WithPort for Endpoints {
    fn with_port(mut self, port: u16) -> Self {
        self.remote.set_port(port);
        self
    }
}

fn reversed(who: &Endpoints) -> Endpoints {
    Endpoints {
        local: who.remote,
        remote: who.local,
    }
}

/// The ICMP error that a router sends about a segment of ours.
fn error_about(quoted: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    let quoted = &quoted[..quoted.len().min(60)];
    if quoted[0] >> 4 == 4 {
        let from = PacketBuilder::ipv4([192, 0, 2, 9], [10, 0, 0, 1], 9);
        let error = from.icmpv4_raw(3, 1, [0; 4]);
        error.write(&mut packet, quoted).unwrap();
    } else {
        let from = PacketBuilder::ipv6([9; 16], [1; 16], 9);
        let error = from.icmpv6_raw(1, 0, [0; 4]);
        error.write(&mut packet, quoted).unwrap();
    }
    packet
}

#[test]
fn both_directions_and_what_is_said_about_them_fall_together() {
    let steering = Steering::new(&[3; 32], 4);
    let mac = Medium::Ethernet { mac: [2; 6] };
    let mut used = [0; 4];
    for who in flows() {
        let shard = steering.connection(&who);
        used[usize::from(shard)] += 1;
        assert_eq!(steering.connection(&reversed(&who)), shard);
        let (comes, goes) = (segment(&who), segment(&reversed(&who)));
        assert_eq!(steering.packet(Medium::Ip, &comes), Shard::One(shard));
        assert_eq!(steering.packet(Medium::Ip, &goes), Shard::One(shard));
        let error = error_about(&goes);
        assert_eq!(steering.packet(Medium::Ip, &error), Shard::One(shard));
        let mut frame = [[2; 6], [4; 6]].concat();
        frame.extend(if who.local.is_ipv4() {
            [8, 0]
        } else {
            [0x86, 0xdd]
        });
        frame.extend(comes);
        assert_eq!(steering.packet(mac, &frame), Shard::One(shard));
    }
    assert!(
        used.iter().all(|flows| (8..=36).contains(flows)),
        "{used:?}"
    );
}

/// With any key each of four shards has its part of 64 flows whose ports are neighbours: 16 on average, less than 5 once in
/// 6,000 times.
#[test]
fn neighbouring_ports_are_spread_by_any_key() {
    let mut least = Vec::new();
    for key in 0..=255 {
        let steering = Steering::new(&[key; 32], 4);
        for first in [1_000, 40_001] {
            let mut held = [0; 4];
            for port in 0..64 {
                let who = who("10.0.0.1:80", "10.0.0.2:0").with_port(first + port);
                held[usize::from(steering.connection(&who))] += 1;
            }
            least.push(held.into_iter().min().unwrap());
        }
    }
    let few = least.iter().filter(|held| **held < 5).count();
    assert!(few <= 4, "{few} of {}", least.len());
    assert!(least.iter().all(|held| *held > 1));
}

#[test]
fn a_scope_and_a_mapped_address_change_nothing() {
    let steering = Steering::new(&[3; 32], 64);
    let same = [
        (
            "[fe80::1%7]:80",
            "[fe80::2%7]:9",
            "[fe80::1]:80",
            "[fe80::2]:9",
        ),
        (
            "[::ffff:10.0.0.1]:80",
            "10.0.0.2:9",
            "10.0.0.1:80",
            "10.0.0.2:9",
        ),
    ];
    for (local, remote, plain, peer) in same {
        let (one, other) = (who(local, remote), who(plain, peer));
        assert_eq!(steering.connection(&one), steering.connection(&other));
    }
}

#[test]
fn fragments_of_a_datagram_fall_together() {
    let steering = Steering::new(&[3; 32], 64);
    let whole = segment(&who("10.0.0.1:80", "10.0.0.2:9"));
    let fragment = |id: u16, at: u16, more: bool| {
        let mut packet = whole.clone();
        packet[4..6].copy_from_slice(&id.to_be_bytes());
        let field = (u16::from(more) << 13) | (at / 8);
        packet[6..8].copy_from_slice(&field.to_be_bytes());
        let mut header = etherparse::Ipv4Header::from_slice(&packet).unwrap().0;
        header.header_checksum = header.calc_header_checksum();
        packet[..20].copy_from_slice(&header.to_bytes());
        steering.packet(Medium::Ip, &packet)
    };
    let mut elsewhere = 0;
    for id in 0..100 {
        let first = fragment(id, 0, true);
        assert!(matches!(first, Shard::One(_)));
        assert_eq!(fragment(id, 24, true), first);
        assert_eq!(fragment(id, 48, false), first);
        elsewhere += usize::from(fragment(id + 1, 0, true) != first);
    }
    assert!(elsewhere > 80, "{elsewhere} of 100 are spread");
}

#[test]
fn neighbours_are_everybodys() {
    let steering = Steering::new(&[3; 32], 4);
    let mut arp = [[0xff; 6], [4; 6]].concat();
    arp.extend([8, 6]);
    arp.extend([0; 28]);
    let mac = Medium::Ethernet { mac: [2; 6] };
    assert_eq!(steering.packet(mac, &arp), Shard::Every);
    for (hops, kind, every) in [
        (255, 135, true),
        (255, 136, true),
        (64, 135, false),
        (255, 128, false),
    ] {
        let mut packet = Vec::new();
        let builder = PacketBuilder::ipv6([1; 16], [2; 16], hops).icmpv6_raw(kind, 0, [0; 4]);
        builder.write(&mut packet, &[0; 16]).unwrap();
        let shard = steering.packet(Medium::Ip, &packet);
        assert_eq!(shard == Shard::Every, every, "{hops} {kind} {shard:?}");
    }
}

#[test]
fn one_shard_owns_all_and_seeds_differ() {
    let steering = Steering::new(&[3; 32], 0);
    assert_eq!(steering.shards(), 1);
    assert!(flows().iter().all(|who| steering.connection(who) == 0));
    let seeds: Vec<_> = (0..4)
        .map(|shard| Steering::seed(&[3; 32], shard))
        .collect();
    assert_eq!(seeds[0], [3; 32]);
    for (at, seed) in seeds.iter().enumerate().skip(1) {
        assert!(!seeds[..at].contains(seed));
        assert_ne!(seed[..16], seed[16..]);
    }
}

/// A packet with what may lie between the IP header and the segment.
fn any_packet() -> impl Strategy<Value = Vec<u8>> {
    let base = (any::<bool>(), 0..4usize, any::<u16>());
    let base = base.prop_map(|(v6, extra, port)| {
        let ends = if v6 {
            who("[fd00::1]:80", "[fe80::2]:1")
        } else {
            who("10.0.0.1:80", "10.0.0.2:1")
        };
        let mut packet = segment(&ends.with_port(port));
        if v6 && extra > 0 {
            // Hop-by-hop options, destination options, an atomic fragment.
            let (kind, header) = [
                (0, [6, 0, 1, 4, 0, 0, 0, 0]),
                (60, [6, 0, 1, 4, 0, 0, 0, 0]),
                (44, [6, 0, 0, 0, 1, 2, 3, 4]),
            ][extra - 1];
            packet[6] = kind;
            packet.splice(40..40, header);
            packet[5] += 8;
        } else if !v6 && extra > 0 {
            packet.splice(20..20, std::iter::repeat_n(1, 4 * extra));
            packet[0] += extra as u8;
            packet[3] += 4 * extra as u8;
        }
        packet
    });
    let flips = proptest::collection::vec((0..80usize, any::<u8>()), 0..3);
    (base, flips, 0..90usize).prop_map(|(mut packet, flips, len)| {
        for (at, octet) in flips {
            if let Some(place) = packet.get_mut(at) {
                *place = octet;
            }
        }
        if len < 60 {
            packet.truncate(len.max(20));
        }
        if packet[0] >> 4 == 4 && packet.len() >= 20 {
            let header = usize::from(packet[0] & 0xf) * 4;
            if let Some(header) = packet.get_mut(..header).filter(|header| header.len() >= 20) {
                header[10..12].fill(0);
                let sum = woshou_wire::checksum::Sum::default()
                    .with(header)
                    .checksum();
                header[10..12].copy_from_slice(&sum.to_be_bytes());
            }
        }
        packet
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// What the stack takes for a segment of a flow is handed to the flow's shard: else it would be answered by RST.
    #[test]
    fn steering_and_the_stack_read_the_same(packet in any_packet()) {
        let steering = Steering::new(&[3; 32], 64);
        let shard = steering.packet(Medium::Ip, &packet);
        let parsed = match ip_version(&packet) {
            Some(4) => v4::parse(&packet, LinkId(0), true),
            Some(6) => v6::parse(&packet, LinkId(0)).ok(),
            _ => None,
        };
        if let Some(Parsed::Whole(datagram)) = parsed
            && datagram.protocol == ip_protocol::TCP
            && let [s0, s1, d0, d1, ..] = *datagram.payload
        {
            let who = Endpoints {
                local: SocketAddr::new(datagram.destination, u16::from_be_bytes([d0, d1])),
                remote: SocketAddr::new(datagram.source, u16::from_be_bytes([s0, s1])),
            };
            prop_assert_eq!(shard, Shard::One(steering.connection(&who)));
        }
    }

    #[test]
    fn no_packet_makes_it_panic(packet in proptest::collection::vec(any::<u8>(), 0..120)) {
        let steering = Steering::new(&[3; 32], 64);
        let shard = steering.packet(Medium::Ip, &packet);
        prop_assert!(!matches!(shard, Shard::One(64..)));
        let _ = steering.packet(Medium::Ethernet { mac: [2; 6] }, &packet);
    }
}
