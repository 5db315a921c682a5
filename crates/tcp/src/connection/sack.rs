//! The SACK option of what is sent.

use woshou_wire::tcp_option::{SackBlock, SackBlocks};

use super::Connection;
use crate::event::Reason;

impl Connection {
    /// Octets of the option that the next segment carries.
    pub(super) fn sack_len(&self) -> u32 {
        if !self.agreed.sack || (self.rcv.reassembly.is_empty() && self.rcv.repeated.is_none()) {
            return 0;
        }
        let blocks = self.rcv.reassembly.ranges() + usize::from(self.rcv.repeated.is_some());
        let blocks = blocks.min(self.most_sack_blocks());
        u32::try_from(4 + 8 * blocks).unwrap_or(0)
    }

    /// First what came again, once (RFC 2883 section 4); then what is held. Where a batch changed more than fits, another
    /// acknowledgement is owed.
    pub(super) fn take_sack_blocks(&mut self) -> SackBlocks {
        let blocks = self.make_sack_blocks();
        if self.rcv.reassembly.is_unreported() {
            self.rcv.ack.owe(Reason::Gap);
        }
        blocks
    }

    fn make_sack_blocks(&mut self) -> SackBlocks {
        let most = self.most_sack_blocks();
        let Some((left, right)) = self.rcv.repeated.take() else {
            return self.rcv.reassembly.report(most, false);
        };
        let mut blocks = SackBlocks::EMPTY;
        blocks.push(SackBlock {
            left: left.0,
            right: right.0,
        });
        for block in self.rcv.reassembly.report(most - 1, true).as_slice() {
            blocks.push(*block);
        }
        blocks
    }

    /// Four blocks fit beside nothing, three beside timestamps (RFC 2018 section 3).
    fn most_sack_blocks(&self) -> usize {
        if self.paws.is_some() { 3 } else { 4 }
    }
}
