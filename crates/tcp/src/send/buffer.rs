//! Octets that the user wrote and the peer has not acknowledged yet, from SND.UNA on.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::cell::Cell;

/// The first chunk: a short request costs no more.
const LEAST_CHUNK: usize = 2 * 1024;
/// Chunks stop doubling here: 64 KiB is one super-segment.
const MOST_CHUNK: usize = 64 * 1024;

/// A run of octets that never moves: what is sent may be borrowed from it.
#[derive(Debug)]
struct Chunk {
    /// Where its first octet lies in the whole stream.
    start: u64,
    /// Filled up to its capacity and never beyond, so that it is allocated once.
    octets: Vec<u8>,
}

impl Chunk {
    fn end(&self) -> u64 {
        self.start + self.octets.len() as u64
    }
}

/// The send buffer. Offsets are octets after SND.UNA. Empty, it holds no heap memory.
#[derive(Debug, Default)]
pub(crate) struct SendBuffer {
    /// In stream order, none empty.
    chunks: VecDeque<Chunk>,
    /// Stream position of the first unacknowledged octet: it lies in the first chunk.
    una: u64,
    /// Stream position after the last octet written.
    end: u64,
    /// The chunk that was looked for last: the next look is for the same, or for the one after it.
    last_look: Cell<usize>,
}

impl SendBuffer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Octets written and not yet acknowledged.
    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.end - self.una).unwrap_or(usize::MAX)
    }

    /// Takes as many of `octets` as keep `len()` at or below `limit`; returns how many.
    pub(crate) fn write(&mut self, octets: &[u8], limit: usize) -> usize {
        let taken = limit.saturating_sub(self.len()).min(octets.len());
        let (mut rest, _) = octets.split_at(taken);
        while !rest.is_empty() {
            let chunk = self.chunk_with_room(rest.len());
            let room = chunk.octets.capacity() - chunk.octets.len();
            let (now, later) = rest.split_at(room.min(rest.len()));
            chunk.octets.extend_from_slice(now);
            rest = later;
            self.end += now.len() as u64;
        }
        taken
    }

    /// The last chunk, or a new one of twice its size, or of the size that a bulk write asks for.
    fn chunk_with_room(&mut self, wanted: usize) -> &mut Chunk {
        let last = self
            .chunks
            .back()
            .map(|c| (c.octets.len(), c.octets.capacity()));
        if last.is_none_or(|(len, capacity)| len >= capacity) {
            let doubled = last.map_or(LEAST_CHUNK, |(_, capacity)| capacity.saturating_mul(2));
            let asked = wanted.min(MOST_CHUNK).next_power_of_two();
            let size = doubled.max(asked).min(MOST_CHUNK);
            self.chunks.push_back(Chunk {
                start: self.end,
                octets: Vec::with_capacity(size),
            });
        }
        let index = self.chunks.len() - 1;
        &mut self.chunks[index]
    }

    /// The first `octets` octets are acknowledged: forgets them.
    pub(crate) fn release(&mut self, octets: usize) {
        self.una += octets.min(self.len()) as u64;
        if self.una == self.end {
            // Gives the deque back too: an idle connection holds no buffers.
            self.chunks = VecDeque::new();
            return;
        }
        while self
            .chunks
            .front()
            .is_some_and(|chunk| chunk.end() <= self.una)
        {
            self.chunks.pop_front();
            // What it named is one place further to the front now.
            let look = self.last_look.get();
            self.last_look.set(look.saturating_sub(1));
        }
    }

    /// `len` octets from `offset` on, as at most two slices; fewer where a third would be needed or the text ends.
    pub(crate) fn pieces(&self, offset: usize, len: usize) -> [&[u8]; 2] {
        let [first, second] = self.two_chunks(offset);
        let (first, _) = first.split_at(first.len().min(len));
        let (second, _) = second.split_at(second.len().min(len - first.len()));
        [first, second]
    }

    /// Octets from `offset` on that two pieces cover.
    pub(crate) fn contiguous(&self, offset: usize) -> usize {
        let [first, second] = self.two_chunks(offset);
        first.len() + second.len()
    }

    /// What the chunk with `offset` holds from there on, and the whole chunk after it.
    fn two_chunks(&self, offset: usize) -> [&[u8]; 2] {
        const NOTHING: [&[u8]; 2] = [&[], &[]];
        if offset >= self.len() {
            return NOTHING;
        }
        let at = self.una + offset as u64;
        let Some((index, chunk)) = self.chunk_at(at) else {
            return NOTHING;
        };
        let skip = usize::try_from(at - chunk.start).unwrap_or(usize::MAX);
        let first = chunk.octets.get(skip..).unwrap_or_default();
        let second = self
            .chunks
            .get(index + 1)
            .map_or(&[][..], |next| &next.octets);
        [first, second]
    }

    /// The chunk that holds stream position `at`: usually where the last look was, or just behind.
    fn chunk_at(&self, at: u64) -> Option<(usize, &Chunk)> {
        let holds = |index: &usize| {
            let chunk = self.chunks.get(*index);
            chunk.is_some_and(|chunk| chunk.start <= at && at < chunk.end())
        };
        let near = self.last_look.get();
        let index = [near, near.saturating_add(1)].into_iter().find(holds);
        let index = index.unwrap_or_else(|| self.chunks.partition_point(|chunk| chunk.end() <= at));
        self.last_look.set(index);
        Some((index, self.chunks.get(index)?))
    }

    /// Forgets what lies behind the first `len` octets.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.end = self.end.min(self.una + len as u64);
        while let Some(last) = self.chunks.back_mut() {
            if last.start < self.end {
                let keep = usize::try_from(self.end - last.start).unwrap_or(usize::MAX);
                last.octets.truncate(keep);
                break;
            }
            self.chunks.pop_back();
        }
        // Gives the chunks back where nothing is left.
        self.release(0);
    }

    /// Forgets everything: nobody will ask for it again.
    pub(crate) fn clear(&mut self) {
        self.release(usize::MAX);
    }

    /// Octets of heap memory held.
    pub(crate) fn memory(&self) -> usize {
        // All but the last are full: the stream itself tells how long they are.
        let chunks = match (self.chunks.front(), self.chunks.back()) {
            (Some(first), Some(last)) => last.start - first.start + last.octets.capacity() as u64,
            _ => 0,
        };
        usize::try_from(chunks).unwrap_or(usize::MAX) + self.chunks.capacity() * size_of::<Chunk>()
    }
}

#[cfg(test)]
mod tests {
    use super::{LEAST_CHUNK, MOST_CHUNK, SendBuffer};
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    /// What call was made; the lengths are of octets.
    #[derive(Clone, Debug)]
    enum Call {
        Write(usize),
        Release(usize),
        Truncate(usize),
        Clear,
    }

    fn call() -> impl Strategy<Value = Call> {
        prop_oneof![
            6 => prop_oneof![0..9usize, 0..3000usize, 60_000..200_000usize].prop_map(Call::Write),
            5 => prop_oneof![0..9usize, 0..3000usize, 0..200_000usize].prop_map(Call::Release),
            1 => Just(Call::Clear),
            2 => (0..200_000usize).prop_map(Call::Truncate),
        ]
    }

    /// Octets of a stream from `start` on, each telling where it stands.
    fn stream(start: usize, len: usize) -> Vec<u8> {
        (start..start + len)
            .map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8)
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn it_is_a_queue_of_octets(
            calls in prop::collection::vec(call(), 1..40),
            limit in 1..400_000usize,
            looks in prop::collection::vec((0.0..1.05f64, 0..100_000usize), 3),
        ) {
            let (mut buffer, mut model, mut written) = (SendBuffer::new(), Vec::new(), 0);
            for call in calls {
                match call {
                    Call::Write(len) => {
                        let octets = stream(written, len);
                        let taken = buffer.write(&octets, limit);
                        prop_assert_eq!(taken, len.min(limit - model.len()));
                        model.extend_from_slice(&octets[..taken]);
                        written += taken;
                    }
                    Call::Release(octets) => {
                        buffer.release(octets);
                        model.drain(..octets.min(model.len()));
                    }
                    Call::Truncate(len) => {
                        buffer.truncate(len);
                        written -= model.len().saturating_sub(len);
                        model.truncate(len);
                    }
                    Call::Clear => {
                        buffer.clear();
                        model.clear();
                    }
                }
                prop_assert_eq!(buffer.len(), model.len());
                let held: usize = buffer.chunks.iter().map(|chunk| chunk.octets.capacity()).sum();
                let deque = buffer.chunks.capacity() * size_of::<super::Chunk>();
                prop_assert_eq!(buffer.memory(), held + deque);
                prop_assert!(buffer.memory() <= 4 * model.len() + 2 * MOST_CHUNK + 4096);
                prop_assert!(!model.is_empty() || buffer.memory() == 0);
                let mut at = 0;
                while at < model.len() {
                    let covered = buffer.contiguous(at);
                    prop_assert!(covered > 0);
                    prop_assert_eq!(&buffer.pieces(at, usize::MAX).concat(), &model[at..at + covered]);
                    at += covered;
                }
                for &(part, len) in &looks {
                    let offset = (model.len() as f64 * part) as usize;
                    let covered = buffer.contiguous(offset).min(len);
                    let expected = model.get(offset..).unwrap_or_default();
                    prop_assert_eq!(&buffer.pieces(offset, len).concat(), &expected[..covered]);
                }
            }
        }
    }

    #[test]
    fn small_writes_start_small_and_bulk_gets_whole_chunks() {
        let mut buffer = SendBuffer::new();
        assert_eq!(buffer.memory(), 0);
        buffer.write(b"GET / HTTP/1.1\r\n\r\n", 1 << 20);
        assert!(
            (LEAST_CHUNK..2 * LEAST_CHUNK).contains(&buffer.memory()),
            "{}",
            buffer.memory()
        );
        for _ in 0..1 << 18 {
            assert_eq!(buffer.write(b"x", 1 << 20), 1);
        }
        assert!(
            buffer.memory() < (1 << 18) + 2 * MOST_CHUNK,
            "{}",
            buffer.memory()
        );
        let mut buffer = SendBuffer::new();
        assert_eq!(buffer.write(&vec![7; 1 << 20], 256 * 1024), 256 * 1024);
        assert_eq!(buffer.contiguous(0), 2 * MOST_CHUNK);
        assert_eq!(buffer.contiguous(MOST_CHUNK + 1), 2 * MOST_CHUNK - 1);
        assert_eq!(buffer.write(b"more", 256 * 1024), 0);
    }
}
