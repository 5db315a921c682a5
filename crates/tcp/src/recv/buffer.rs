//! Text in order, waiting for the user: references to packets where they are worth keeping, copies where not.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use crate::segment::Text;

/// Texts below this are copied: a reference costs an entry and keeps a packet's headers and slack alive.
pub(crate) const LEAST_KEPT: usize = 4096;
/// The first chunk for copies.
const LEAST_CHUNK: usize = 2 * 1024;
/// Chunks stop doubling here.
const MOST_CHUNK: usize = 64 * 1024;

/// The owner of `text`, if the text is long and at least half of what the owner keeps alive: a peer whose segments
/// overlap must not hold 64 KiB with a few octets that count.
pub(crate) fn owner_to_keep<'a>(text: &Text<'a>) -> Option<&'a Bytes> {
    let len = text.octets.len();
    text.owner
        .filter(|owner| len >= LEAST_KEPT && len >= owner.len() / 2)
}

/// Text that lies in the queue.
#[derive(Debug)]
struct Piece {
    octets: Bytes,
    /// Heap memory that is counted for it until it is read.
    charged: usize,
}

/// The receive buffer. Given back, it is a word and holds no heap memory.
///
/// Read empty, it keeps its tail chunk, so that "a segment in, read, a segment in, read" allocates nothing.
/// The owner calls [`give_back`](Self::give_back) where the connection falls silent: when a timer of it fires,
/// and when the peer's FIN was read. It is harmless at any time.
#[derive(Debug, Default)]
pub(crate) struct ReceiveBuffer(Option<Box<Waiting>>);

/// What waits for the user: `queue` first, then `tail`.
#[derive(Debug, Default)]
struct Waiting {
    /// None empty.
    queue: VecDeque<Piece>,
    /// Where small texts are copied to.
    tail: BytesMut,
    /// Heap memory counted for `tail`: its whole chunk, which it keeps alive however much of it went to `queue` or to the user.
    tail_charged: usize,
    /// Octets in both.
    len: usize,
    /// Heap memory counted for the pieces in `queue`.
    queue_charged: usize,
}

impl ReceiveBuffer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Octets that can be read.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.0.as_deref().map_or(0, |waiting| waiting.len)
    }

    /// Appends `text`: by reference when its owner is worth keeping for it, else by copy.
    pub(crate) fn push(&mut self, text: Text<'_>) {
        match owner_to_keep(&text) {
            Some(owner) => self.push_bytes(owner.slice_ref(text.octets), owner.len()),
            None if text.octets.is_empty() => {}
            None => self.0.get_or_insert_default().copy(text.octets),
        }
    }

    /// Appends `octets` without a copy; they keep `charged` octets of memory alive.
    pub(crate) fn push_bytes(&mut self, octets: Bytes, charged: usize) {
        if !octets.is_empty() {
            self.0.get_or_insert_default().push_bytes(octets, charged);
        }
    }

    /// Moves text into `into`; returns how many octets.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> usize {
        self.0
            .as_deref_mut()
            .map_or(0, |waiting| waiting.read(into))
    }

    /// At most `max` octets without a copy; empty when there are none.
    pub(crate) fn read_chunk(&mut self, max: usize) -> Bytes {
        let waiting = self
            .0
            .as_deref_mut()
            .filter(|waiting| max > 0 && waiting.len > 0);
        waiting.map_or_else(Bytes::new, |waiting| waiting.read_chunk(max))
    }

    /// As `read`, leaving the text where it is.
    pub(crate) fn peek(&self, into: &mut [u8]) -> usize {
        self.0.as_deref().map_or(0, |waiting| waiting.peek(into))
    }

    /// Forgets all text and gives all memory back.
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }

    /// Gives back what an empty buffer keeps; does nothing while there is text.
    #[inline]
    pub(crate) fn give_back(&mut self) {
        if self.len() == 0 {
            self.clear();
        }
    }

    /// Octets of heap memory held.
    pub(crate) fn memory(&self) -> usize {
        self.0.as_deref().map_or(0, Waiting::memory)
    }
}

impl Waiting {
    fn push_bytes(&mut self, octets: Bytes, charged: usize) {
        self.len += octets.len();
        self.queue_tail();
        self.drop_scraps();
        self.enqueue(Piece { octets, charged });
    }

    fn copy(&mut self, mut octets: &[u8]) {
        // Room of what was read already serves again, where moving the rest costs less than was read.
        if self.tail.capacity() - self.tail.len() < octets.len()
            && self.tail.try_reclaim(octets.len())
        {
            self.tail_charged = self.tail.capacity();
        }
        while !octets.is_empty() {
            if self.tail.len() == self.tail.capacity() {
                self.new_tail(octets.len());
            }
            let room = self.tail.capacity() - self.tail.len();
            let (now, later) = octets.split_at(room.min(octets.len()));
            self.tail.extend_from_slice(now);
            self.len += now.len();
            octets = later;
        }
    }

    /// A new tail: twice the size of the one before where text piles up, else as small as will do.
    fn new_tail(&mut self, wanted: usize) {
        let doubled = if self.len == 0 {
            LEAST_CHUNK
        } else {
            self.tail_charged.saturating_mul(2)
        };
        let asked = wanted.min(MOST_CHUNK).next_power_of_two();
        let size = doubled.max(asked).clamp(LEAST_CHUNK, MOST_CHUNK);
        self.queue_tail();
        self.drop_tail();
        self.tail = BytesMut::with_capacity(size);
        self.tail_charged = self.tail.capacity();
    }

    /// Moves what the tail holds behind the queue; the room after it stays the tail's, and with it the charge.
    fn queue_tail(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        let octets = self.tail.split().freeze();
        self.enqueue(Piece { octets, charged: 0 });
    }

    /// Lets go of the tail, which is empty. Its chunk lives as long as the last piece of it, if there is one: no later than the
    /// last of all.
    fn drop_tail(&mut self) {
        let charged = core::mem::take(&mut self.tail_charged);
        self.tail = BytesMut::new();
        if let Some(last) = self.queue.back_mut() {
            last.charged += charged;
            self.queue_charged += charged;
        }
    }

    /// Lets go of an empty tail that keeps more alive than it has room.
    fn drop_scraps(&mut self) {
        if self.tail.is_empty() && self.tail.capacity() < self.tail_charged / 2 {
            self.drop_tail();
        }
    }

    fn enqueue(&mut self, piece: Piece) {
        self.queue_charged += piece.charged;
        self.queue.push_back(piece);
    }

    fn read(&mut self, into: &mut [u8]) -> usize {
        let copied = self.peek(into);
        self.skip(copied);
        copied
    }

    /// Forgets the first `octets`, which are there.
    fn skip(&mut self, octets: usize) {
        self.len -= octets;
        let mut left = octets;
        while let Some(front) = self.queue.front_mut() {
            let now = left.min(front.octets.len());
            front.octets.advance(now);
            left -= now;
            if !front.octets.is_empty() {
                return;
            }
            self.queue_charged -= front.charged;
            self.queue.pop_front();
        }
        self.tail.advance(left);
    }

    /// `max` and the text are not empty.
    fn read_chunk(&mut self, max: usize) -> Bytes {
        let octets = match self.queue.front_mut() {
            Some(front) => front.octets.split_to(max.min(front.octets.len())),
            // What is handed out is the user's memory from now on.
            None => self.tail.split_to(max.min(self.tail.len())).freeze(),
        };
        self.len -= octets.len();
        match self.queue.front() {
            Some(front) if front.octets.is_empty() => {
                self.queue_charged -= front.charged;
                self.queue.pop_front();
            }
            Some(_) => {}
            None => self.drop_scraps(),
        }
        octets
    }

    fn peek(&self, into: &mut [u8]) -> usize {
        let mut copied = 0;
        let pieces = self.queue.iter().map(|piece| &piece.octets[..]);
        for piece in pieces.chain([&self.tail[..]]) {
            let (_, rest) = into.split_at_mut(copied);
            let now = rest.len().min(piece.len());
            rest[..now].copy_from_slice(&piece[..now]);
            copied += now;
            if copied == into.len() {
                break;
            }
        }
        copied
    }

    /// Octets of heap memory held, itself included.
    fn memory(&self) -> usize {
        size_of::<Self>()
            + self.queue_charged
            + self.tail_charged
            + self.queue.capacity() * size_of::<Piece>()
    }
}

#[cfg(test)]
mod tests {
    use super::{LEAST_CHUNK, LEAST_KEPT, MOST_CHUNK, ReceiveBuffer, Waiting};
    use crate::segment::Text;
    use bytes::Bytes;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    #[derive(Clone, Debug)]
    enum Call {
        Push { len: usize, owned: bool },
        PushBytes(usize),
        Read(usize),
        ReadChunk(usize),
        Peek(usize),
        GiveBack,
        Clear,
    }

    fn call() -> impl Strategy<Value = Call> {
        let len = || prop_oneof![0..5usize, 0..3000usize, 4000..70_000usize];
        prop_oneof![
            8 => (len(), any::<bool>()).prop_map(|(len, owned)| Call::Push { len, owned }),
            2 => len().prop_map(Call::PushBytes),
            4 => len().prop_map(Call::Read),
            3 => len().prop_map(Call::ReadChunk),
            1 => len().prop_map(Call::Peek),
            1 => Just(Call::GiveBack),
            1 => Just(Call::Clear),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn it_is_a_queue_of_octets(calls in prop::collection::vec(call(), 1..60)) {
            let (mut buffer, mut model, mut next) = (ReceiveBuffer::new(), Vec::new(), 0usize);
            let mut chunks = Vec::new();
            let mut fresh = |len: usize| -> Vec<u8> {
                next += len;
                (next - len..next).map(|i| (i ^ (i >> 8)) as u8).collect()
            };
            for call in calls {
                match call {
                    Call::Push { len, owned } => {
                        let packet = Bytes::from([&[0xee; 40][..], &fresh(len)].concat());
                        let owner = owned.then_some(&packet);
                        buffer.push(Text { octets: &packet[40..], owner });
                        model.extend_from_slice(&packet[40..]);
                    }
                    Call::PushBytes(len) => {
                        let octets = fresh(len);
                        model.extend_from_slice(&octets);
                        buffer.push_bytes(Bytes::from(octets), len);
                    }
                    Call::Read(len) => {
                        let mut into = vec![0; len];
                        let read = buffer.read(&mut into);
                        prop_assert_eq!(read, len.min(model.len()));
                        prop_assert_eq!(&into[..read], &model[..read]);
                        model.drain(..read);
                    }
                    Call::ReadChunk(max) => {
                        let chunk = buffer.read_chunk(max);
                        prop_assert!(chunk.len() <= max);
                        prop_assert!(!chunk.is_empty() || max == 0 || model.is_empty());
                        prop_assert_eq!(&chunk[..], &model[..chunk.len()]);
                        model.drain(..chunk.len());
                        // Held on to: later text must not be written over it.
                        chunks.push((chunk.to_vec(), chunk));
                    }
                    Call::Peek(len) => {
                        let mut into = vec![0; len];
                        let seen = buffer.peek(&mut into);
                        prop_assert_eq!(seen, len.min(model.len()));
                        prop_assert_eq!(&into[..seen], &model[..seen]);
                    }
                    Call::GiveBack => {
                        buffer.give_back();
                        prop_assert!(!model.is_empty() || buffer.memory() == 0);
                    }
                    Call::Clear => {
                        buffer.clear();
                        model.clear();
                        prop_assert_eq!(buffer.memory(), 0);
                    }
                }
                prop_assert_eq!(buffer.len(), model.len());
                let room = 2 * model.len() + 4 * MOST_CHUNK + 8192;
                prop_assert!(buffer.memory() <= room, "{} for {}", buffer.memory(), model.len());
            }
            for (copy, chunk) in chunks {
                prop_assert_eq!(&copy[..], &chunk[..]);
            }
        }
    }

    #[test]
    fn a_million_single_octets_cost_little() {
        let mut buffer = ReceiveBuffer::new();
        for i in 0..1_000_000u32 {
            buffer.push(Text {
                octets: &[i as u8],
                owner: None,
            });
        }
        assert!(
            buffer.memory() < 1_000_000 + 3 * MOST_CHUNK,
            "{}",
            buffer.memory()
        );
        let mut into = vec![0; 1_000_001];
        assert_eq!(buffer.read(&mut into), 1_000_000);
        assert!(
            into[..1_000_000]
                .iter()
                .enumerate()
                .all(|(i, &octet)| octet == i as u8)
        );
    }

    #[test]
    fn segment_in_read_segment_in_read_keeps_one_chunk() {
        let mut buffer = ReceiveBuffer::new();
        let mut into = [0; 1500];
        for _ in 0..1000 {
            buffer.push(Text {
                octets: &[7; 1448],
                owner: None,
            });
            assert_eq!(buffer.read(&mut into), 1448);
            assert_eq!(buffer.memory(), LEAST_CHUNK + size_of::<Waiting>());
        }
        buffer.give_back();
        assert_eq!(buffer.memory(), 0);
    }

    #[test]
    fn long_texts_are_kept_by_reference_and_short_ones_copied() {
        let packet = Bytes::from(vec![1; LEAST_KEPT + 40]);
        let mut buffer = ReceiveBuffer::new();
        buffer.push(Text {
            octets: &packet[40..],
            owner: Some(&packet),
        });
        assert_eq!(
            buffer.read_chunk(usize::MAX).as_ptr(),
            packet[40..].as_ptr()
        );
        buffer.push(Text {
            octets: &packet[41..],
            owner: Some(&packet),
        });
        assert_ne!(
            buffer.read_chunk(usize::MAX).as_ptr(),
            packet[41..].as_ptr()
        );
        buffer.push(Text {
            octets: &packet[40..],
            owner: None,
        });
        assert_ne!(
            buffer.read_chunk(usize::MAX).as_ptr(),
            packet[40..].as_ptr()
        );
    }
}
