//! Room of send buffers and records that waits to be used again.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::buffer::Queue;
use super::in_flight::{MOST_IDLE, Records};

/// Octets of the chunks of bulk transfers, which are kept by the megabyte.
pub(crate) const CHUNK: usize = 64 * 1024;
/// Octets of the first chunk: a short request costs no more. A few are kept.
pub(crate) const FIRST: usize = 2 * 1024;

/// Most things of a small kind that are kept: those of a few connections that ask and answer in turn.
const FEW: usize = 8;

/// Where room comes from and goes to, if there is such a place.
pub(crate) type Pool<'a> = Option<&'a mut ChunkPool>;

/// Free chunks of send buffers, for all connections of a stack, and what else a connection needs while something of its flies. A
/// busy sender frees and needs some thousands of them a second, and an allocator may give each back to the system, to be filled
/// with zeros again.
///
/// It keeps a few small ones, and of 64 KiB nothing unless it is told how much: whoever lets it keep something takes it away again
/// when nothing moves.
#[derive(Debug, Default)]
pub struct ChunkPool {
    free: Vec<Vec<u8>>,
    /// Chunks of 64 KiB that may be kept.
    most: usize,
    /// First chunks.
    first: Few<Vec<u8>>,
    /// Of connections that have nothing to send.
    pub(super) queues: Few<Box<Queue>>,
    /// Of connections of which nothing flies.
    pub(super) records: Few<Box<Records>>,
}

/// No more than [`FEW`] of a kind.
#[derive(Debug)]
pub(super) struct Few<T>(Vec<T>);

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Few<T> {
    #[inline]
    pub(super) fn take(&mut self) -> Option<T> {
        self.0.pop()
    }

    /// Keeps `it` if there are few.
    #[inline]
    pub(super) fn give(&mut self, it: T) {
        if self.0.len() < FEW {
            self.0.push(it);
        }
    }
}

impl ChunkPool {
    /// Keeps at most `octets` of chunks of 64 KiB from now on; what is more is freed. Zero frees all that is kept.
    pub fn keep(&mut self, octets: usize) {
        self.most = octets / CHUNK;
        self.free.truncate(self.most);
        if self.most == 0 {
            *self = Self::default();
        }
    }

    /// Octets of heap memory that wait, at most.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.free.len() * CHUNK
            + self.first.0.len() * FIRST
            + self.queues.0.len() * Queue::MOST_IDLE
            + self.records.0.len() * MOST_IDLE
    }

    /// An empty chunk of `size` octets.
    pub(crate) fn take(&mut self, size: usize) -> Option<Vec<u8>> {
        match size {
            CHUNK => self.free.pop(),
            FIRST => self.first.take(),
            _ => None,
        }
    }

    /// Keeps `chunk` if it is of the right size and there is room.
    pub(crate) fn give(&mut self, mut chunk: Vec<u8>) {
        chunk.clear();
        match chunk.capacity() {
            CHUNK if self.free.len() < self.most => self.free.push(chunk),
            FIRST => self.first.give(chunk),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_what_it_may_and_nothing_of_another_size() {
        let mut pool = ChunkPool::default();
        pool.give(Vec::with_capacity(CHUNK));
        assert!(pool.take(CHUNK).is_none(), "it may keep nothing");
        pool.keep(2 * CHUNK + 1);
        pool.give(Vec::with_capacity(CHUNK - 1));
        assert_eq!(pool.memory(), 0);
        for _ in 0..3 {
            let mut chunk = Vec::with_capacity(CHUNK);
            chunk.push(7);
            pool.give(chunk);
        }
        assert_eq!(pool.memory(), 2 * CHUNK);
        assert_eq!(
            pool.take(CHUNK)
                .map(|chunk| (chunk.len(), chunk.capacity())),
            Some((0, CHUNK))
        );
        pool.keep(0);
        assert!(pool.take(CHUNK).is_none());
    }

    #[test]
    fn it_keeps_a_few_first_chunks_unasked() {
        let mut pool = ChunkPool::default();
        for _ in 0..=FEW {
            pool.give(Vec::with_capacity(FIRST));
        }
        assert_eq!(pool.memory(), FEW * FIRST);
        assert!(pool.take(CHUNK).is_none());
        assert_eq!(pool.take(FIRST).map(|chunk| chunk.capacity()), Some(FIRST));
        pool.keep(0);
        assert_eq!(pool.memory(), 0);
    }
}
