//! A packet of the flow that was heard last goes a short way through IP: to where the long one would take it, whatever is
//! wrong with it.

mod pair;

use pair::{Flying, LINK, Pair, at, pattern};
use proptest::prelude::*;
use woshou_stack::{ConnId, Stack};
use woshou_wire::checksum::{Sum, pseudo_header};

/// What becomes of a packet on the way.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Whole,
    /// The octet at a place within the headers is another, and all checksums are right.
    Forged(usize, u8),
    /// As that, and the checksums are left as they were.
    Damaged(usize, u8),
    /// The end is missing.
    Cut(usize),
    /// A link's padding follows.
    Padded(usize),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Whole),
        // Addresses, ports, flags, length, protocol, numbers: all of them lie there.
        3 => (0usize..64, any::<u8>()).prop_map(|(at, xor)| Fate::Forged(at, xor)),
        1 => (0usize..64, 1u8..).prop_map(|(at, xor)| Fate::Damaged(at, xor)),
        1 => (0usize..60).prop_map(Fate::Cut),
        1 => (1usize..30).prop_map(Fate::Padded),
    ]
}

/// What the wire makes of `octets`.
fn suffer(octets: &mut Vec<u8>, fate: Fate) {
    let len = octets.len();
    match fate {
        Fate::Whole => {}
        Fate::Cut(by) => octets.truncate(len - by.min(len)),
        Fate::Padded(by) => octets.resize(len + by, 0),
        Fate::Damaged(at, xor) => octets[at.min(len - 1)] ^= xor,
        Fate::Forged(at, xor) => {
            octets[at.min(len - 1)] ^= xor;
            sum_anew(octets);
        }
    }
}

/// Both checksums, as far as the packet still has a place for them.
fn sum_anew(octets: &mut [u8]) {
    let (v4, v6) = (octets[0] >> 4 == 4, octets[0] >> 4 == 6);
    let header = if v4 {
        usize::from(octets[0] & 15) * 4
    } else {
        40
    };
    if !(v4 && header >= 20 || v6) || octets.len() < header + 18 {
        return;
    }
    let (ip, tcp) = octets.split_at_mut(header);
    let pseudo = if v4 {
        ip[10..12].fill(0);
        let sum = Sum::ZERO.with(ip).checksum().to_be_bytes();
        ip[10..12].copy_from_slice(&sum);
        let address = |at: usize| <[u8; 4]>::try_from(&ip[at..at + 4]).expect("four").into();
        pseudo_header(address(12), address(16), 6, tcp.len() as u32)
    } else {
        let address = |at: usize| {
            <[u8; 16]>::try_from(&ip[at..at + 16])
                .expect("sixteen")
                .into()
        };
        pseudo_header(address(8), address(24), 6, tcp.len() as u32)
    };
    tcp[16..18].fill(0);
    let sum = pseudo.with(tcp).checksum().to_be_bytes();
    tcp[16..18].copy_from_slice(&sum);
}

#[derive(Clone, Debug)]
enum Step {
    /// On a connection, so many octets from one side.
    Write(usize, usize, usize),
    /// What waits for a side arrives, the first so, the others whole.
    Arrive(usize, Fate),
    /// The last packet once more, from whomever it was, so.
    Again(Fate),
    /// A connection ends.
    Close(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0usize..3, 0usize..2, 1usize..6_000).prop_map(|(c, s, n)| Step::Write(c, s, n)),
        6 => (0usize..2, fate()).prop_map(|(side, fate)| Step::Arrive(side, fate)),
        4 => fate().prop_map(Step::Again),
        1 => (0usize..3, 0usize..2).prop_map(|(c, s)| Step::Close(c, s)),
    ]
}

/// Two stacks with three connections, one of them over IPv6.
struct World {
    pair: Pair,
    connections: Vec<[ConnId; 2]>,
    /// Forget the flow before each packet.
    forget: bool,
    last: Option<(usize, Flying)>,
}

impl World {
    fn new(forget: bool) -> Self {
        let mut pair = Pair::new();
        let ends = [("10.0.0.2", 80), ("10.0.0.2", 81), ("fd00::2", 80)];
        let connections = ends.map(|(ip, port)| {
            let (client, server, _) = pair.connected(at(ip, port));
            [client, server]
        });
        Self {
            pair,
            connections: connections.into(),
            forget,
            last: None,
        }
    }

    fn deliver(&mut self, to: usize, flying: &Flying) {
        if self.forget {
            self.pair.stacks[to].set_any_ip(LINK, false);
        }
        self.pair.deliver(to, flying);
        self.pair.pump();
    }

    fn live(&mut self, step: &Step) {
        let now = self.pair.now;
        match *step {
            Step::Write(connection, side, len) => {
                let id = self.connections[connection][side];
                let _ = self.pair.stacks[side].write(now, id, &pattern(len));
            }
            Step::Arrive(to, fate) => {
                let mut first = true;
                while let Some(mut flying) = self.pair.flying[to].pop_front() {
                    if core::mem::take(&mut first) {
                        self.last = Some((to, flying.clone()));
                        suffer(&mut flying.octets, fate);
                    }
                    self.deliver(to, &flying);
                }
            }
            Step::Again(fate) => {
                if let Some((to, mut flying)) = self.last.clone() {
                    suffer(&mut flying.octets, fate);
                    self.deliver(to, &flying);
                }
            }
            Step::Close(connection, side) => {
                let id = self.connections[connection][side];
                self.pair.stacks[side].shutdown(now, id);
            }
        }
        self.pair.pump();
        self.pair.now += std::time::Duration::from_millis(1);
        for stack in &mut self.pair.stacks {
            stack.handle_timeout(self.pair.now);
        }
    }

    /// All that can be seen from outside.
    fn seen(&self) -> String {
        let connections = self.connections.iter().map(|ids| {
            let of = |side: usize| {
                let stack = &self.pair.stacks[side];
                (stack.state(ids[side]), stack.info(self.pair.now, ids[side]))
            };
            (of(0), of(1))
        });
        let counters = self.pair.stacks.each_ref().map(Stack::counters);
        format!("{:?}\n{counters:?}", connections.collect::<Vec<_>>())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn both_ways_lead_to_the_same(steps in proptest::collection::vec(step(), 1..120)) {
        let [mut short, mut long] = [false, true].map(World::new);
        for step in &steps {
            short.live(step);
            long.live(step);
            prop_assert_eq!(short.seen(), long.seen(), "{:?}", step);
        }
        let sent = |world: &World| world.pair.log.iter().map(|(from, flying)| (*from, flying.octets.clone())).collect::<Vec<_>>();
        prop_assert!(sent(&short) == sent(&long), "they sent the same");
    }
}

/// A packet from an address of our own that came by the link (LAND), or of a flow that a packet to ourselves was of, goes no short
/// way.
#[test]
fn what_is_said_to_oneself_opens_no_way_for_a_link() {
    let mut pair = Pair::new();
    let here = at("10.0.0.1", 90);
    let listener = pair.stacks[0].listen(here, 4).expect("a free port");
    let client = pair.stacks[0]
        .connect(pair.now, here, None)
        .expect("a connection");
    pair.pump();
    let server = pair.stacks[0].accept(listener).expect("it is there");
    pair.stacks[0]
        .write(pair.now, client, b"hello")
        .expect("room");
    pair.pump();
    let mut into = [0; 9];
    assert_eq!(pair.stacks[0].read(pair.now, server, &mut into), Ok(5));
    let ends = pair.stacks[0].endpoints(server).expect("both ends");
    let info = pair.stacks[0].info(pair.now, server).expect("it lives");
    let before = pair.stacks[0].counters();
    // An acknowledgement as the client might send it, but it comes by the link.
    let mut packet = vec![
        0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 1,
    ];
    packet.extend(ends.remote.port().to_be_bytes());
    packet.extend(ends.local.port().to_be_bytes());
    packet.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
    sum_anew(&mut packet);
    for _ in 0..2 {
        pair.inject(0, &packet);
    }
    let after = pair.stacks[0].counters();
    assert_eq!(after.from_ourselves, before.from_ourselves + 2);
    let heard = pair.stacks[0].info(pair.now, server).expect("it lives");
    assert_eq!(heard.segs_in, info.segs_in, "nobody heard it");
}

/// What is known of a flow does not outlive what it follows from: here the link takes packets for others no more.
#[test]
fn what_a_flow_is_known_by_may_change() {
    let mut pair = Pair::new();
    let elsewhere = at("192.0.2.9", 80);
    pair.stacks[0].add_route(pair::cidr("0.0.0.0/0"), LINK, None);
    pair.stacks[1].add_route(pair::cidr("0.0.0.0/0"), LINK, None);
    pair.stacks[1].set_any_ip(LINK, true);
    let listener = pair.stacks[1].listen_any(Some(80), 4).expect("a free port");
    let client = pair.stacks[0].connect(pair.now, elsewhere, None);
    let client = client.expect("a connection");
    for _ in 0..4 {
        pair.step();
    }
    let server = pair.stacks[1].accept(listener).expect("it is there");
    assert_eq!(
        pair.transfer(0, (client, server), &pattern(5_000)),
        pattern(5_000)
    );
    pair.settle();
    let seen = |pair: &Pair| {
        let info = pair.stacks[1].info(pair.now, server).expect("it lives");
        (info.segs_in, pair.stacks[1].counters().not_ours)
    };
    let (heard, others) = seen(&pair);
    pair.stacks[1].set_any_ip(LINK, false);
    pair.stacks[0]
        .write(pair.now, client, b"once more")
        .expect("room");
    pair.step();
    assert_eq!(seen(&pair), (heard, others + 1));
}
