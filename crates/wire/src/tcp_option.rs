//! TCP options: kinds, parsing at any alignment, writing in the field's usual layout.

/// Timestamps option, kind 8 (RFC 7323 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamps {
    /// TSval: the sender's clock.
    pub value: u32,
    /// TSecr: the newest clock of the other side that the sender echoes; meaningful with ACK only.
    pub echo: u32,
}

/// One SACK block: octets `left .. right` arrived (RFC 2018 section 3). Both are sequence numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SackBlock {
    /// First sequence number of the block.
    pub left: u32,
    /// The sequence number that follows the block.
    pub right: u32,
}

/// At most four SACK blocks, in the order of the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SackBlocks {
    blocks: [SackBlock; 4],
    len: u8,
}

impl SackBlocks {
    /// The most blocks that fit in 40 octets of options.
    pub const MAX: usize = 4;

    /// No blocks.
    pub const EMPTY: Self = Self { blocks: [SackBlock { left: 0, right: 0 }; 4], len: 0 };

    /// Appends a block; returns `false` (and drops it) when four are held already.
    pub fn push(&mut self, block: SackBlock) -> bool {
        let Some(slot) = self.blocks.get_mut(usize::from(self.len)) else { return false };
        *slot = block;
        self.len += 1;
        true
    }

    /// The blocks, in the order of the wire.
    #[must_use]
    pub fn as_slice(&self) -> &[SackBlock] {
        &self.blocks[..usize::from(self.len)]
    }

    /// Whether there is no block.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Keeps the first `n` blocks.
    pub fn truncate(&mut self, n: usize) {
        self.len = self.len.min(u8::try_from(n).unwrap_or(u8::MAX));
    }
}

/// The options of one TCP header, as values.
///
/// What a parser did not understand is skipped by its length (RFC 9293 MUST-6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpOptions {
    /// Maximum Segment Size, kind 2; octets of text a segment may carry, without options (RFC 9293 3.7.1).
    pub mss: Option<u16>,
    /// Window Scale shift, kind 3 (RFC 7323 section 2). As on the wire: may exceed 14.
    pub window_scale: Option<u8>,
    /// SACK-permitted, kind 4 (RFC 2018 section 2).
    pub sack_permitted: bool,
    /// SACK, kind 5.
    pub sack: SackBlocks,
    /// Timestamps, kind 8.
    pub timestamps: Option<Timestamps>,
}
