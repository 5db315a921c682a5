//! Octets that the user wrote and the peer has not acknowledged yet, from SND.UNA on.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::cell::Cell;

use bytes::{Buf, Bytes};

use super::pool::{CHUNK as MOST_CHUNK, FIRST as LEAST_CHUNK, Pool};

/// Octets handed over by reference are copied when they are fewer: a packet is taken from two chunks at most.
const LEAST_GIVEN: usize = 16 * 1024;
/// Queues with room for more chunks than this are not kept for others: bulk transfers end rarely.
const MOST_KEPT: usize = 8;

/// Where the octets of a chunk lie.
#[derive(Debug)]
enum Octets {
    /// Copied from the user: filled up to its capacity and never beyond, so that it is allocated once.
    Copied(Vec<u8>),
    /// The user's own memory.
    Given(Bytes),
}

/// A run of octets that never moves: what is sent may be borrowed from it.
#[derive(Debug)]
struct Chunk {
    /// Where its first octet lies in the whole stream.
    start: u64,
    octets: Octets,
}

impl Chunk {
    fn octets(&self) -> &[u8] {
        match &self.octets {
            Octets::Copied(octets) => octets,
            Octets::Given(octets) => octets,
        }
    }

    fn end(&self) -> u64 {
        self.start + self.octets().len() as u64
    }

    fn capacity(&self) -> usize {
        match &self.octets {
            Octets::Copied(octets) => octets.capacity(),
            Octets::Given(octets) => octets.len(),
        }
    }

    /// Octets that still fit in.
    fn room(&self) -> usize {
        self.capacity() - self.octets().len()
    }
}

/// The send buffer. Offsets are octets after SND.UNA. Empty, it is a word and holds no heap memory.
#[derive(Debug, Default)]
pub(crate) struct SendBuffer {
    queue: Option<Box<Queue>>,
    /// As the queue's own: asked for more often than anything else.
    len: u32,
}

/// What waits in a send buffer.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// In stream order, none empty, only the last with room.
    chunks: VecDeque<Chunk>,
    /// Stream position of the first unacknowledged octet: it lies in the first chunk.
    una: u64,
    /// Octets from there to the last one written.
    len: u32,
    /// The chunk that was looked for last: the next look is for the same, or for the one after it.
    last_look: Cell<u32>,
}

impl SendBuffer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Octets written and not yet acknowledged.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// The queue, one that served before if there is.
    fn queue(&mut self, pool: &mut Pool<'_>) -> &mut Queue {
        self.queue.get_or_insert_with(|| {
            let known = pool.as_deref_mut().and_then(|pool| pool.queues.take());
            known.unwrap_or_default()
        })
    }

    /// Takes as many of `octets` as keep `len()` at or below `limit`; returns how many.
    pub(crate) fn write(&mut self, octets: &[u8], limit: usize, pool: &mut Pool<'_>) -> usize {
        if octets.is_empty() || limit == 0 {
            return 0;
        }
        let queue = self.queue(pool);
        let taken = queue.write(octets, limit, pool);
        self.len = queue.len;
        taken
    }

    /// As [`Self::write`], without a copy where that pays; what is taken is taken off `chunk`.
    pub(crate) fn write_chunk(
        &mut self,
        chunk: &mut Bytes,
        limit: usize,
        pool: &mut Pool<'_>,
    ) -> usize {
        if chunk.is_empty() || limit == 0 {
            return 0;
        }
        let queue = self.queue(pool);
        let taken = queue.write_chunk(chunk, limit, pool);
        self.len = queue.len;
        taken
    }

    /// The first `octets` octets are acknowledged: forgets them.
    pub(crate) fn release(&mut self, octets: usize, pool: &mut Pool<'_>) {
        let Some(queue) = self.queue.as_deref_mut() else {
            return;
        };
        queue.release(octets, pool);
        self.len = queue.len;
        self.give_back(pool);
    }

    /// An idle connection holds no buffers.
    #[inline]
    fn give_back(&mut self, pool: &mut Pool<'_>) {
        let Some(mut queue) = self.queue.take_if(|queue| queue.len == 0) else {
            return;
        };
        if let Some(pool) = pool
            .as_deref_mut()
            .filter(|_| queue.chunks.capacity() <= MOST_KEPT)
        {
            queue.last_look = Cell::new(0);
            pool.queues.give(queue);
        }
    }

    /// `len` octets from `offset` on, as at most two slices; fewer where a third would be needed or the text ends.
    #[inline]
    pub(crate) fn pieces(&self, offset: usize, len: usize) -> [&[u8]; 2] {
        let queue = self.queue.as_deref();
        queue.map_or([&[], &[]], |queue| queue.pieces(offset, len))
    }

    /// Octets from `offset` on that two pieces cover.
    #[inline]
    pub(crate) fn contiguous(&self, offset: usize) -> usize {
        self.queue
            .as_deref()
            .map_or(0, |queue| queue.contiguous(offset))
    }

    /// Forgets what lies behind the first `len` octets.
    pub(crate) fn truncate(&mut self, len: usize) {
        if let Some(queue) = self.queue.as_deref_mut() {
            queue.truncate(len);
            self.len = queue.len;
            self.give_back(&mut None);
        }
    }

    /// Forgets everything: nobody will ask for it again.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Octets of heap memory held.
    pub(crate) fn memory(&self) -> usize {
        self.queue.as_deref().map_or(0, Queue::memory)
    }
}

impl Queue {
    /// Octets that an empty one takes, at most.
    pub(super) const MOST_IDLE: usize = size_of::<Self>() + MOST_KEPT * size_of::<Chunk>();

    fn len(&self) -> usize {
        self.len as usize
    }

    /// Stream position after the last octet written.
    fn end(&self) -> u64 {
        self.una + u64::from(self.len)
    }

    /// How many of `octets` keep [`Self::len`] at or below `limit`.
    fn fitting(&self, octets: usize, limit: usize) -> usize {
        let limit = limit.min(u32::MAX as usize);
        limit.saturating_sub(self.len()).min(octets)
    }

    /// `octets` were appended, no more than [`Self::fitting`] said.
    fn grow(&mut self, octets: usize) {
        self.len = self
            .len
            .saturating_add(u32::try_from(octets).unwrap_or(u32::MAX));
    }

    fn write(&mut self, octets: &[u8], limit: usize, pool: &mut Pool<'_>) -> usize {
        let taken = self.fitting(octets.len(), limit);
        let (mut rest, _) = octets.split_at(taken);
        while !rest.is_empty() {
            let room = self.room_for(rest.len(), pool);
            let (now, later) = rest.split_at(room.min(rest.len()));
            let Some(Octets::Copied(last)) = self.chunks.back_mut().map(|last| &mut last.octets)
            else {
                break; // a chunk with room is one of copies
            };
            last.extend_from_slice(now);
            rest = later;
            self.grow(now.len());
        }
        taken - rest.len()
    }

    fn write_chunk(&mut self, chunk: &mut Bytes, limit: usize, pool: &mut Pool<'_>) -> usize {
        let taken = self.fitting(chunk.len(), limit);
        if taken < LEAST_GIVEN {
            let taken = self.write(chunk, limit, pool);
            chunk.advance(taken);
            return taken;
        }
        if let Some(Octets::Copied(last)) = self.chunks.back_mut().map(|last| &mut last.octets) {
            last.shrink_to_fit();
        }
        self.chunks.push_back(Chunk {
            start: self.end(),
            octets: Octets::Given(chunk.split_to(taken)),
        });
        self.grow(taken);
        taken
    }

    /// The room of the last chunk, or of a new one of twice its size, or of the size that a bulk write asks for.
    fn room_for(&mut self, wanted: usize, pool: &mut Pool<'_>) -> usize {
        let last = self.chunks.back().map(|c| (c.room(), c.capacity()));
        if let Some((room @ 1.., _)) = last {
            return room;
        }
        let doubled = last.map_or(LEAST_CHUNK, |(_, capacity)| capacity.saturating_mul(2));
        let asked = doubled.max(wanted).min(MOST_CHUNK);
        let size = asked.next_power_of_two();
        let octets = pool.as_deref_mut().and_then(|pool| pool.take(size));
        let octets = octets.unwrap_or_else(|| Vec::with_capacity(size));
        let room = octets.capacity();
        self.chunks.push_back(Chunk {
            start: self.end(),
            octets: Octets::Copied(octets),
        });
        room
    }

    fn release(&mut self, octets: usize, pool: &mut Pool<'_>) {
        let gone = u32::try_from(octets).unwrap_or(u32::MAX).min(self.len);
        self.una += u64::from(gone);
        self.len -= gone;
        let all = self.len == 0;
        while let Some(chunk) = self
            .chunks
            .pop_front_if(|chunk| all || chunk.end() <= self.una)
        {
            if let (Octets::Copied(octets), Some(pool)) = (chunk.octets, pool.as_deref_mut()) {
                pool.give(octets);
            }
            // What it named is one place further to the front now.
            let look = self.last_look.get();
            self.last_look.set(look.saturating_sub(1));
        }
    }

    fn pieces(&self, offset: usize, len: usize) -> [&[u8]; 2] {
        let [first, second] = self.two_chunks(offset);
        let (first, _) = first.split_at(first.len().min(len));
        let (second, _) = second.split_at(second.len().min(len - first.len()));
        [first, second]
    }

    fn contiguous(&self, offset: usize) -> usize {
        let [first, second] = self.two_chunks(offset);
        first.len() + second.len()
    }

    /// What the chunk with `offset` holds from there on, and the whole chunk after it.
    #[inline]
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
        let first = chunk.octets().get(skip..).unwrap_or_default();
        let second = self.chunks.get(index + 1).map_or(&[][..], Chunk::octets);
        [first, second]
    }

    /// The chunk that holds stream position `at`: usually where the last look was, or just behind.
    fn chunk_at(&self, at: u64) -> Option<(usize, &Chunk)> {
        let holds = |index: &usize| {
            let chunk = self.chunks.get(*index);
            chunk.is_some_and(|chunk| chunk.start <= at && at < chunk.end())
        };
        let near = self.last_look.get() as usize;
        let index = [near, near.saturating_add(1)].into_iter().find(holds);
        let index = index.unwrap_or_else(|| self.chunks.partition_point(|chunk| chunk.end() <= at));
        self.last_look.set(u32::try_from(index).unwrap_or(0));
        Some((index, self.chunks.get(index)?))
    }

    fn truncate(&mut self, len: usize) {
        self.len = self.len.min(u32::try_from(len).unwrap_or(u32::MAX));
        let end = self.end();
        while let Some(last) = self.chunks.back_mut() {
            if last.start < end {
                let keep = usize::try_from(end - last.start).unwrap_or(usize::MAX);
                match &mut last.octets {
                    Octets::Copied(octets) => octets.truncate(keep),
                    Octets::Given(octets) => octets.truncate(keep),
                }
                break;
            }
            self.chunks.pop_back();
        }
        // Gives the chunks back where nothing is left.
        self.release(0, &mut None);
    }

    /// Octets of heap memory, itself included.
    fn memory(&self) -> usize {
        // All but the last are full: the stream itself tells how long they are.
        let chunks = match (self.chunks.front(), self.chunks.back()) {
            (Some(first), Some(last)) => last.start - first.start + last.capacity() as u64,
            _ => 0,
        };
        let chunks = usize::try_from(chunks).unwrap_or(usize::MAX);
        chunks + size_of::<Self>() + self.chunks.capacity() * size_of::<Chunk>()
    }
}

#[cfg(test)]
mod tests {
    use super::{LEAST_CHUNK, LEAST_GIVEN, MOST_CHUNK, Queue, SendBuffer};
    use crate::send::pool::ChunkPool;
    use bytes::Bytes;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    /// What call was made; the lengths are of octets.
    #[derive(Clone, Debug)]
    enum Call {
        Write(usize),
        WriteChunk(usize),
        Release(usize),
        Truncate(usize),
        Clear,
    }

    fn call() -> impl Strategy<Value = Call> {
        prop_oneof![
            6 => prop_oneof![0..9usize, 0..3000usize, 60_000..200_000usize].prop_map(Call::Write),
            3 => prop_oneof![0..9usize, 10_000..70_000usize].prop_map(Call::WriteChunk),
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
            kept in prop::option::of(0..4usize),
        ) {
            let mut pool = kept.map(|chunks| {
                let mut pool = ChunkPool::default();
                pool.keep(chunks * MOST_CHUNK);
                pool
            });
            let (mut buffer, mut model, mut written) = (SendBuffer::new(), Vec::new(), 0);
            for call in calls {
                match call {
                    Call::Write(len) => {
                        let octets = stream(written, len);
                        let taken = buffer.write(&octets, limit, &mut pool.as_mut());
                        prop_assert_eq!(taken, len.min(limit - model.len()));
                        model.extend_from_slice(&octets[..taken]);
                        written += taken;
                    }
                    Call::WriteChunk(len) => {
                        let octets = stream(written, len);
                        let mut chunk = Bytes::from(octets.clone());
                        let taken = buffer.write_chunk(&mut chunk, limit, &mut pool.as_mut());
                        prop_assert_eq!(taken, len.min(limit - model.len()));
                        prop_assert_eq!(&chunk[..], &octets[taken..]);
                        model.extend_from_slice(&octets[..taken]);
                        written += taken;
                    }
                    Call::Release(octets) => {
                        buffer.release(octets, &mut pool.as_mut());
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
                let held = buffer.queue.as_deref().map_or(0, |queue| {
                    let held: usize = queue.chunks.iter().map(super::Chunk::capacity).sum();
                    let deque = queue.chunks.capacity() * size_of::<super::Chunk>();
                    held + deque + size_of::<Queue>()
                });
                prop_assert_eq!(buffer.memory(), held);
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
        buffer.write(b"GET / HTTP/1.1\r\n\r\n", 1 << 20, &mut None);
        assert!(
            (LEAST_CHUNK..2 * LEAST_CHUNK).contains(&buffer.memory()),
            "{}",
            buffer.memory()
        );
        for _ in 0..1 << 18 {
            assert_eq!(buffer.write(b"x", 1 << 20, &mut None), 1);
        }
        assert!(
            buffer.memory() < (1 << 18) + 2 * MOST_CHUNK,
            "{}",
            buffer.memory()
        );
        let mut buffer = SendBuffer::new();
        assert_eq!(
            buffer.write(&vec![7; 1 << 20], 256 * 1024, &mut None),
            256 * 1024
        );
        assert_eq!(buffer.contiguous(0), 2 * MOST_CHUNK);
        assert_eq!(buffer.contiguous(MOST_CHUNK + 1), 2 * MOST_CHUNK - 1);
        assert_eq!(buffer.write(b"more", 256 * 1024, &mut None), 0);
    }

    #[test]
    fn long_octets_are_sent_from_where_they_lie_and_short_ones_copied() {
        for (len, same) in [(LEAST_GIVEN - 1, false), (LEAST_GIVEN, true)] {
            let mut buffer = SendBuffer::new();
            let octets = Bytes::from(vec![7; len]);
            let mut chunk = octets.clone();
            assert_eq!(buffer.write_chunk(&mut chunk, 1 << 20, &mut None), len);
            assert!(chunk.is_empty());
            let [first, _] = buffer.pieces(0, len);
            assert_eq!(first.as_ptr() == octets.as_ptr(), same, "{len}");
        }
    }

    #[test]
    fn whole_chunks_come_back_from_the_pool() {
        let mut pool = ChunkPool::default();
        pool.keep(MOST_CHUNK);
        let mut buffer = SendBuffer::new();
        let mut places = Vec::new();
        for _ in 0..3 {
            buffer.write(&[7; MOST_CHUNK], 1 << 20, &mut Some(&mut pool));
            places.push(buffer.pieces(0, 1)[0].as_ptr());
            buffer.release(MOST_CHUNK, &mut Some(&mut pool));
            let kept = MOST_CHUNK + Queue::MOST_IDLE;
            assert_eq!((buffer.memory(), pool.memory()), (0, kept));
        }
        places.dedup();
        assert_eq!(places.len(), 1);
    }
}
