//! One connection against segments made by hand.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::super::*;
use super::pair::{End, ISS, Pair, setup};
use crate::segment::{Flags, Header, Text};

/// What left: flags, seq and ack relative to both SYNs, octets of text, why.
pub(super) type Out = (Flags, u32, u32, usize, Reason);

/// A connection in ESTABLISHED whose peer is the test: numbers relative to both SYNs.
pub(super) struct Bench {
    pub(super) now: Instant,
    pub(super) connection: Box<Connection>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let config = Config {
            timestamps: false,
            // What is sent again is whole: `sim` and the stories try what a timeout says of the path.
            mtu_probing: false,
            ..super::unprobed()
        };
        let mut pair = Pair::open(config);
        let End::Connection(connection) = core::mem::replace(
            &mut pair.ends[1],
            End::Opening(Box::new(Opening::new(
                &mut Context::unwatched(Instant::ZERO),
                setup(1),
                Arc::new(Config::default()),
            ))),
        ) else {
            panic!()
        };
        Self {
            now: pair.now,
            connection,
        }
    }

    pub(super) fn segment(
        &mut self,
        flags: Flags,
        seq: i64,
        ack: i64,
        text: &[u8],
    ) -> Result<(), Refusal> {
        let at = |base: SeqNum, n: i64| base + (n as u32);
        let segment = Segment {
            header: Header {
                seq: at(ISS[0], seq),
                ack: at(ISS[1], ack),
                flags,
                window: 1000,
                ..Header::default()
            },
            text: Text {
                octets: text,
                owner: None,
            },
            ..Segment::default()
        };
        self.connection
            .handle_segment(&mut Context::unwatched(self.now), &segment)
    }

    /// What leaves.
    pub(super) fn out(&mut self) -> Vec<Out> {
        let mut out = Vec::new();
        while let Some(plan) = self.connection.plan(self.now, 1460) {
            let t = self
                .connection
                .build(&mut Context::unwatched(self.now), plan);
            let relative = |a: SeqNum, b| a.distance_from(b);
            out.push((
                t.header.flags,
                relative(t.header.seq, ISS[1]),
                relative(t.header.ack, ISS[0]),
                t.text_len(),
                t.reason,
            ));
        }
        out
    }
}
