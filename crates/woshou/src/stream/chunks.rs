//! Reading and writing by reference: [`Bytes`] change hands, no octet is copied.

use std::io;

use bytes::Bytes;
use tokio::task::coop;

use super::TcpStream;
use crate::error;

impl TcpStream {
    /// Takes at most `max` octets, without a copy where they lie in one piece; empty: the end of the peer's text (or `max` is
    /// zero). Where the device hands over long packets (offload), the chunk is the packet's own buffer: drop it soon, or copy
    /// what is to be kept. Safe to cancel.
    ///
    /// ```no_run
    /// # async fn example(from: woshou::TcpStream, to: woshou::TcpStream) -> std::io::Result<()> {
    /// // A relay that copies nothing.
    /// loop {
    ///     let chunk = from.read_chunk(256 * 1024).await?;
    ///     if chunk.is_empty() {
    ///         break; // the peer has closed
    ///     }
    ///     to.write_chunk(chunk).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As reading.
    pub async fn read_chunk(&self, max: usize) -> io::Result<Bytes> {
        coop::consume_budget().await;
        loop {
            match self.try_read_chunk(max) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable().await?,
                result => return result,
            }
        }
    }

    /// As [`TcpStream::read_chunk`], if there is something.
    ///
    /// # Errors
    /// As [`TcpStream::try_read`].
    pub fn try_read_chunk(&self, max: usize) -> io::Result<Bytes> {
        if max == 0 || self.is_deaf() {
            return Ok(Bytes::new());
        }
        self.try_input(|stack, now, id| stack.read_chunk(now, id, max))
    }

    /// Writes all of `chunk`, waiting for room. 16 KiB and more in one piece are not copied: the connection holds on to them
    /// until the peer has acknowledged them, and the device sends them from where they lie.
    ///
    /// Where the future is dropped, a first part may have been written: [`TcpStream::try_write_chunk`] tells how much.
    ///
    /// # Errors
    /// As writing: `BrokenPipe`, `ConnectionReset`, `TimedOut`, ...
    pub async fn write_chunk(&self, mut chunk: Bytes) -> io::Result<()> {
        loop {
            coop::consume_budget().await;
            match self.try_write_chunk(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) => return Err(error),
                Ok(_) if chunk.is_empty() => return Ok(()),
                Ok(_) => {}
            }
        }
    }

    /// As [`TcpStream::write_chunk`], as much as there is room for: it is taken off `chunk`, and counted.
    ///
    /// # Errors
    /// As [`TcpStream::try_write`].
    pub fn try_write_chunk(&self, chunk: &mut Bytes) -> io::Result<usize> {
        if chunk.is_empty() {
            return self.try_write(&[]);
        }
        self.call(|shared, now, id| {
            shared.check()?;
            let written = shared.stack.write_chunk(now, id, chunk);
            written.map_err(error::write)
        })
    }
}
