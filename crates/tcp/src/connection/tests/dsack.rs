//! What a receiver reports by SACK when text comes again (RFC 2883), by the RFC's own examples and at its edges.

use alloc::vec::Vec;

use super::super::*;
use super::pair::{End, ISS, Pair, octets};
use crate::segment::{Flags, Header, Text};
use woshou_wire::tcp_option::{TcpOptions, Timestamps};

/// TSval of the next segment of the peer's; the pair's own clock begins here.
const RECENT: u32 = 0xffff_fff0;

/// Side 1 of an open pair, and the test in the place of side 0.
struct Receiver {
    pair: Pair,
    stamps: bool,
}

/// An acknowledgement, its SACK blocks in octets of text.
type Ack = (u32, Vec<(u32, u32)>);

impl Receiver {
    fn new(sack: bool, stamps: bool) -> Self {
        let pair = Pair::open(Config {
            sack,
            timestamps: stamps,
            ..Config::default()
        });
        Self { pair, stamps }
    }

    /// Octets `start .. end` of text arrive with `flags` beside ACK, sent `age` milliseconds ago; what is answered at once.
    fn hears(&mut self, start: u32, end: u32, flags: Flags, age: u32) -> Option<Ack> {
        let stamps = self.stamps.then_some(Timestamps {
            value: RECENT.wrapping_sub(age),
            echo: RECENT,
        });
        let all = octets(10_000);
        let segment = Segment {
            header: Header {
                seq: ISS[0] + 1 + start,
                ack: ISS[1] + 1,
                flags: Flags::ACK | flags,
                window: 1000,
                options: TcpOptions {
                    timestamps: stamps,
                    ..TcpOptions::default()
                },
                ..Header::default()
            },
            text: Text {
                octets: &all[start as usize..end as usize],
                owner: None,
            },
            ..Segment::default()
        };
        let now = self.pair.now;
        let End::Connection(connection) = &mut self.pair.ends[1] else {
            panic!("not open")
        };
        let mut cx = Context::unwatched(now);
        let _ = connection.handle_segment(&mut cx, &segment);
        // An acknowledgement that is not owed at once is none of ours to look at, but says what it would.
        connection.rcv.ack.owe(Reason::DelayedAck);
        let plan = connection.plan(now, 1460)?;
        let header = connection.build(&mut cx, plan).header;
        let relative = |number: u32| SeqNum(number).distance_from(ISS[0] + 1);
        let blocks = header.options.sack.as_slice().iter();
        let blocks = blocks.map(|block| (relative(block.left), relative(block.right)));
        Some((relative(header.ack.0), blocks.collect()))
    }
}

/// Name, and the segments that arrive, each with its acknowledgement.
type Example = (&'static str, &'static [Step]);
type Step = ((u32, u32), u32, &'static [(u32, u32)]);

const EXAMPLES: &[Example] = &[
    (
        "4.1.1 a duplicate segment",
        &[
            ((0, 3000), 3000, &[]),
            ((3000, 3500), 3500, &[]),
            ((3500, 4000), 4000, &[]),
            ((3000, 3500), 4000, &[(3000, 3500)]),
            ((4000, 4500), 4500, &[]),
        ],
    ),
    (
        "4.1.2 out of order, then a duplicate",
        &[
            ((0, 4000), 4000, &[]),
            ((4500, 5000), 4000, &[(4500, 5000)]),
            ((3000, 3500), 4000, &[(3000, 3500), (4500, 5000)]),
            ((5000, 5500), 4000, &[(4500, 5500)]),
        ],
    ),
    (
        "4.1.3 a duplicate of what is out of order",
        &[
            ((0, 4000), 4000, &[]),
            ((4500, 5000), 4000, &[(4500, 5000)]),
            ((5000, 5500), 4000, &[(4500, 5500)]),
            ((5000, 5500), 4000, &[(5000, 5500), (4500, 5500)]),
        ],
    ),
    (
        "4.2.1 one part",
        &[
            ((0, 1000), 1000, &[]),
            ((2000, 2500), 1000, &[(2000, 2500)]),
            ((1000, 1500), 1500, &[(2000, 2500)]),
            ((1000, 2000), 2500, &[(1000, 1500)]),
        ],
    ),
    (
        "4.2.2 two parts below the acknowledgement",
        &[
            ((0, 1000), 1000, &[]),
            ((3000, 3500), 1000, &[(3000, 3500)]),
            ((1000, 1500), 1500, &[(3000, 3500)]),
            ((2000, 2500), 1500, &[(2000, 2500), (3000, 3500)]),
            ((1000, 2500), 2500, &[(1000, 1500), (3000, 3500)]),
        ],
    ),
    (
        "4.2.3 two parts above it",
        &[
            ((0, 1000), 1000, &[]),
            ((3500, 4000), 1000, &[(3500, 4000)]),
            ((1500, 2000), 1000, &[(1500, 2000), (3500, 4000)]),
            (
                (2500, 3000),
                1000,
                &[(2500, 3000), (1500, 2000), (3500, 4000)],
            ),
            (
                (1500, 3000),
                1000,
                &[(1500, 2000), (1500, 3000), (3500, 4000)],
            ),
        ],
    ),
    (
        "the block around it comes second, though it is not the newest",
        &[
            ((1000, 2000), 0, &[(1000, 2000)]),
            ((3000, 4000), 0, &[(3000, 4000), (1000, 2000)]),
            ((1500, 1600), 0, &[(1500, 1600), (1000, 2000), (3000, 4000)]),
        ],
    ),
    (
        "the same again is reported again",
        &[
            ((0, 100), 100, &[]),
            ((0, 100), 100, &[(0, 100)]),
            ((0, 100), 100, &[(0, 100)]),
        ],
    ),
    (
        "a keep-alive's octet is reported as in the kernels, and none is not",
        &[
            ((0, 100), 100, &[]),
            ((99, 100), 100, &[(99, 100)]),
            ((99, 99), 100, &[]),
        ],
    ),
];

#[test]
fn the_examples_of_rfc_2883() {
    for stamps in [false, true] {
        for (name, steps) in EXAMPLES {
            let mut receiver = Receiver::new(true, stamps);
            for &((start, end), ack, blocks) in *steps {
                let said = receiver.hears(start, end, Flags::NONE, 0);
                assert_eq!(said, Some((ack, blocks.to_vec())), "{name}: {start}..{end}");
            }
        }
    }
}

#[test]
fn what_is_not_reported() {
    let mut receiver = Receiver::new(false, true);
    receiver.hears(0, 100, Flags::NONE, 0);
    let plain = Some((100, Vec::new()));
    assert_eq!(receiver.hears(0, 100, Flags::NONE, 0), plain, "no SACK");

    let mut receiver = Receiver::new(true, true);
    receiver.hears(0, 100, Flags::NONE, 0);
    let old = receiver.hears(0, 100, Flags::NONE, 50);
    assert_eq!(
        old, plain,
        "PAWS refused it: it may be a wrapped-around ghost"
    );

    // A FIN alone is no text; beside text it is none of the octets that came again.
    receiver.hears(100, 100, Flags::FIN, 0);
    let fin = receiver.hears(100, 100, Flags::FIN, 0);
    assert_eq!(fin, Some((101, Vec::new())), "the FIN again");
    let both = receiver.hears(60, 100, Flags::FIN, 0);
    assert_eq!(both, Some((101, Vec::from([(60, 100)]))), "with text");

    let mut receiver = Receiver::new(true, false);
    receiver.hears(0, 100, Flags::NONE, 0);
    assert_eq!(receiver.hears(0, 100, Flags::RST, 0), plain, "a RST");
    // The SYN takes the number before its text.
    let syn = receiver.hears(20, 30, Flags::SYN, 0);
    assert_eq!(syn, Some((100, Vec::from([(21, 31)]))), "a SYN with text");
}

/// A batch of segments with more holes than an acknowledgement reports: as many leave at once as tell of them all, the newest
/// last, and then none.
#[test]
fn the_holes_of_a_batch_are_all_reported() {
    let mut pair = Pair::open(Config::default());
    let now = pair.now;
    let End::Connection(connection) = &mut pair.ends[1] else {
        panic!("not open")
    };
    let mut cx = Context::unwatched(now);
    for n in 0..8u32 {
        let segment = Segment {
            header: Header {
                seq: ISS[0] + 101 + 200 * n,
                ack: ISS[1] + 1,
                flags: Flags::ACK,
                window: 1000,
                options: TcpOptions {
                    timestamps: Some(Timestamps {
                        value: RECENT,
                        echo: RECENT,
                    }),
                    ..TcpOptions::default()
                },
                ..Header::default()
            },
            text: Text {
                octets: &[7; 100],
                owner: None,
            },
            ..Segment::default()
        };
        connection.handle_segment(&mut cx, &segment).unwrap();
    }
    let mut reports = Vec::new();
    while let Some(plan) = connection.plan(now, 1460) {
        let header = connection.build(&mut cx, plan).header;
        let blocks = header.options.sack.as_slice().iter();
        let holes: Vec<_> = blocks
            .map(|block| (SeqNum(block.left).distance_from(ISS[0] + 101)) / 200)
            .collect();
        reports.push(holes);
    }
    assert_eq!(reports, [[2, 1, 0], [5, 4, 3], [7, 6, 5]]);
}
