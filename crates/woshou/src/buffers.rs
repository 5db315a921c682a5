//! Receive buffers, used again and again.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Octets of a receive buffer: the largest IP packet and room for an Ethernet header and more.
pub(crate) const FRAME: usize = 65_536 + 64;

/// A frame at least this long is handed over with its buffer: its text fills half of it behind whatever headers, so that holding
/// on to it costs at most twice what a copy would.
pub(crate) const LEND_FROM: usize = FRAME / 2 + 256;

/// Most buffers remembered while the stack still holds text in them. 16 are 1 MiB.
const LENT: usize = 16;

/// One buffer for small frames, and those lent to the stack, which come back when the text was read.
///
/// A buffer always has its full length, so that it is filled with zeros only once, not for each frame.
#[derive(Debug)]
pub(crate) struct Buffers {
    free: Option<BytesMut>,
    lent: VecDeque<Bytes>,
    /// Most buffers in `lent`.
    most: usize,
}

impl Buffers {
    /// With a stack that may hold `budget` octets, of which a small part is kept for the next frames.
    pub(crate) fn new(budget: usize) -> Self {
        Self {
            free: None,
            lent: VecDeque::new(),
            most: (budget / 32 / FRAME).min(LENT),
        }
    }

    /// Octets of memory that are kept. What the stack still holds of them is counted there as well.
    pub(crate) fn memory(&self) -> usize {
        (usize::from(self.free.is_some()) + self.lent.len()) * FRAME
    }

    /// A buffer of [`FRAME`] octets.
    pub(crate) fn take(&mut self) -> BytesMut {
        let known = self.free.take().or_else(|| self.reclaim());
        known.unwrap_or_else(|| BytesMut::zeroed(FRAME))
    }

    /// Takes back what `take` gave.
    pub(crate) fn give(&mut self, buffer: BytesMut) {
        self.free = Some(buffer);
    }

    /// `buffer`, to be held on to for as long as the stack likes, and remembered. All of it, so that the stack knows how much it
    /// holds on to.
    pub(crate) fn lend(&mut self, buffer: BytesMut) -> Bytes {
        let buffer = buffer.freeze();
        if self.most > 0 {
            if self.lent.len() == self.most {
                self.lent.pop_front();
            }
            self.lent.push_back(buffer.clone());
        }
        buffer
    }

    /// Whether a buffer is kept.
    pub(crate) fn holds_any(&self) -> bool {
        self.free.is_some() || !self.lent.is_empty()
    }

    /// Gives all memory back.
    pub(crate) fn give_back(&mut self) {
        self.free = None;
        self.lent = VecDeque::new();
    }

    /// The oldest lent buffer, if nobody holds it any more.
    fn reclaim(&mut self) -> Option<BytesMut> {
        match self.lent.pop_front()?.try_into_mut() {
            Ok(buffer) => Some(buffer),
            Err(held) => {
                self.lent.push_back(held);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_nobody_holds_it() {
        let mut buffers = Buffers::new(1 << 30);
        let buffer = buffers.take();
        assert_eq!(buffer.len(), FRAME);
        let place = buffer.as_ptr();
        let frame = buffers.lend(buffer);
        assert_eq!((frame.as_ptr(), frame.len()), (place, FRAME));
        let text = frame.slice(40..);
        drop(frame);
        let other = buffers.take();
        assert_ne!(other.as_ptr(), place, "the stack still holds its text");
        buffers.give(other);
        buffers.free = None;
        drop(text);
        let again = buffers.take();
        assert_eq!((again.as_ptr(), again.len()), (place, FRAME));
        buffers.give(again);
        assert!(buffers.holds_any());
        buffers.give_back();
        assert!(!buffers.holds_any());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut buffers = Buffers::new(1 << 30);
        for _ in 0..10 * LENT {
            std::mem::forget(buffers.lend(BytesMut::zeroed(9))); // held for ever
        }
        assert_eq!(buffers.lent.len(), LENT);
    }
}
