//! The link in memory: a queue of packets whose buffers are used again, so that the link itself costs a push and a
//! pop a packet.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Packets that the link holds before the sender must wait.
pub(crate) const CAPACITY: usize = 1024;

/// A packet on the link.
pub(crate) struct Frame {
    /// From the IP header on.
    pub(crate) octets: BytesMut,
    /// The size of the segments that a super-packet stands for.
    pub(crate) segment_size: Option<u16>,
}

/// One direction.
#[derive(Default)]
pub(crate) struct Link {
    /// Packets that were sent.
    pub(crate) sent: u64,
    queue: VecDeque<Frame>,
    /// Buffers that are free.
    pool: Vec<BytesMut>,
    /// Buffers that a receiver may still hold on to.
    lent: VecDeque<Bytes>,
    /// Flip a bit of the payload of the next packet that has one.
    pub(crate) corrupt_next: bool,
}

/// A packet shorter than this has no payload worth spoiling.
const LONG: usize = 200;

impl Link {
    pub(crate) fn has_room(&self) -> bool {
        self.queue.len() < CAPACITY
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// A buffer, with whatever it held last: clearing it costs smoltcp, which wants a length, the zeros to fill it.
    pub(crate) fn buffer(&mut self) -> BytesMut {
        if let Some(buffer) = self.pool.pop() {
            return buffer;
        }
        match self.lent.pop_front().map(Bytes::try_into_mut) {
            Some(Ok(buffer)) => buffer,
            Some(Err(still_held)) => {
                self.lent.push_back(still_held);
                BytesMut::new()
            }
            None => BytesMut::new(),
        }
    }

    pub(crate) fn send(&mut self, mut octets: BytesMut, segment_size: Option<u16>) {
        if self.corrupt_next && octets.len() > LONG {
            self.corrupt_next = false;
            if let Some(last) = octets.last_mut() {
                *last ^= 0x10;
            }
        }
        self.sent += 1;
        self.queue.push_back(Frame {
            octets,
            segment_size,
        });
    }

    pub(crate) fn receive(&mut self) -> Option<Frame> {
        self.queue.pop_front()
    }

    /// Takes back the buffer of a packet that nobody holds.
    pub(crate) fn give_back(&mut self, buffer: BytesMut) {
        self.pool.push(buffer);
    }

    /// Takes back a buffer that the receiver may have kept references to.
    pub(crate) fn lend(&mut self, buffer: Bytes) {
        self.lent.push_back(buffer);
    }
}
