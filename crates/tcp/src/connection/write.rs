//! SEND (RFC 9293 section 3.10.2): by copy, and by reference.

use bytes::Bytes;

use super::Connection;
use crate::error::WriteError;
use crate::event::Context;
use crate::time::Instant;

impl Connection {
    /// SEND (RFC 9293 section 3.10.2): takes as many octets as there is room for.
    ///
    /// # Errors
    /// [`WriteError`]: the buffer is full, the direction closed, or the connection over.
    pub fn write(&mut self, cx: &mut Context<'_>, octets: &[u8]) -> Result<usize, WriteError> {
        let limit = self.may_write()?;
        let taken = self.snd.buffer.write(octets, limit, &mut cx.chunks);
        self.after_write(cx.now, taken, octets.is_empty())
    }

    /// As [`Self::write`], but 16 KiB and more are not copied: the connection holds on to them until they are
    /// acknowledged. What is taken is taken off `chunk`.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_chunk(
        &mut self,
        cx: &mut Context<'_>,
        chunk: &mut Bytes,
    ) -> Result<usize, WriteError> {
        let limit = self.may_write()?;
        let empty = chunk.is_empty();
        let taken = self.snd.buffer.write_chunk(chunk, limit, &mut cx.chunks);
        self.after_write(cx.now, taken, empty)
    }

    /// Octets that the buffer may hold once it was written to.
    fn may_write(&mut self) -> Result<usize, WriteError> {
        if let Some(ended) = self.ended {
            return Err(WriteError::Ended(ended));
        }
        if !self.state.sends_text() || self.user.close_when_open || self.user.released {
            return Err(WriteError::Finished);
        }
        self.check_app_limited();
        Ok(self.snd.buffer.len().saturating_add(self.writable()))
    }

    fn after_write(
        &mut self,
        now: Instant,
        taken: usize,
        empty: bool,
    ) -> Result<usize, WriteError> {
        if taken == 0 && !empty {
            self.user.waits_to_write = true;
            self.count_time(now);
            return Err(WriteError::Full);
        }
        self.rearm(now);
        Ok(taken)
    }
}
