//! Receive buffers, used again and again.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Octets of a receive buffer: the largest IP packet and room for an Ethernet header and more.
pub(crate) const FRAME: usize = 65_536 + 64;

/// A frame at least this long is handed over with its buffer: it fills half of it, so that holding on to it
/// costs at most twice what a copy would.
pub(crate) const LEND_FROM: usize = FRAME / 2;

/// Most buffers remembered while the stack still holds text in them. 16 are 1 MiB.
const LENT: usize = 16;

/// One buffer for small frames, and those lent to the stack, which come back when the text was read.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    free: Option<BytesMut>,
    lent: VecDeque<Bytes>,
}

impl Buffers {
    /// A buffer of [`FRAME`] octets.
    pub(crate) fn take(&mut self) -> BytesMut {
        let mut buffer = match self.free.take() {
            Some(buffer) => buffer,
            None => self
                .reclaim()
                .unwrap_or_else(|| BytesMut::with_capacity(FRAME)),
        };
        buffer.resize(FRAME, 0);
        buffer
    }

    /// Takes back what `take` gave.
    pub(crate) fn give(&mut self, buffer: BytesMut) {
        self.free = Some(buffer);
    }

    /// Remembers a frame that the stack may hold on to.
    pub(crate) fn lend(&mut self, frame: Bytes) {
        if self.lent.len() == LENT {
            self.lent.pop_front();
        }
        self.lent.push_back(frame);
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
        let mut buffers = Buffers::default();
        let mut buffer = buffers.take();
        assert_eq!(buffer.len(), FRAME);
        let place = buffer.as_ptr();
        buffer.truncate(LEND_FROM);
        let frame = buffer.freeze();
        let text = frame.slice(40..);
        buffers.lend(frame);
        let other = buffers.take();
        assert_ne!(other.as_ptr(), place, "the stack still holds its text");
        buffers.give(other);
        buffers.free = None;
        drop(text);
        let again = buffers.take();
        assert_eq!((again.as_ptr(), again.len()), (place, FRAME));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut buffers = Buffers::default();
        for _ in 0..10 * LENT {
            buffers.lend(Bytes::from_static(b"held for ever"));
        }
        assert_eq!(buffers.lent.len(), LENT);
    }
}
