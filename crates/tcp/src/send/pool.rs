//! Chunks of send buffers that wait to be used again.

use alloc::vec::Vec;

/// Octets of the chunks that are kept: those of bulk transfers. Smaller ones are not worth it.
pub(crate) const CHUNK: usize = 64 * 1024;

/// Free chunks of 64 KiB, for all connections of a stack. A busy sender frees and needs some thousands of them a second, and an
/// allocator may give each back to the system, to be filled with zeros again.
///
/// It keeps nothing unless it is told how much: whoever lets it keep something takes it away again when nothing moves.
#[derive(Debug, Default)]
pub struct ChunkPool {
    free: Vec<Vec<u8>>,
    /// Chunks that may be kept.
    most: usize,
}

impl ChunkPool {
    /// Keeps at most `octets` from now on; what is more is freed. Zero frees all.
    pub fn keep(&mut self, octets: usize) {
        self.most = octets / CHUNK;
        self.free.truncate(self.most);
        if self.most == 0 {
            self.free = Vec::new();
        }
    }

    /// Octets of heap memory that wait.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.free.len() * CHUNK
    }

    /// An empty chunk of [`CHUNK`] octets.
    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        self.free.pop()
    }

    /// Keeps `chunk` if it is of the right size and there is room.
    pub(crate) fn give(&mut self, mut chunk: Vec<u8>) {
        if chunk.capacity() == CHUNK && self.free.len() < self.most {
            chunk.clear();
            self.free.push(chunk);
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
        assert!(pool.take().is_none(), "it may keep nothing");
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
            pool.take().map(|chunk| (chunk.len(), chunk.capacity())),
            Some((0, CHUNK))
        );
        pool.keep(0);
        assert!(pool.take().is_none());
    }
}
