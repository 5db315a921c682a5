//! Urgent data (RFC 9293 section 3.8.5): a mark in the stream, up to which text is urgent.
//!
//! New programs should not use it (SHLD-13): stacks read the pointer differently, and boxes on the way erase it
//! (RFC 6093). What is here stays in the stream, in order, as the RFC has it; nothing is taken out of band.

use alloc::boxed::Box;

use super::Connection;
use crate::error::WriteError;
use crate::event::{Context, Wake};
use crate::segment::Segment;
use crate::seq::SeqNum;

/// What is known of urgent data in both directions. Only connections that have some hold one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Urgent {
    /// SND.UP: the number after our urgent text, while some of it is not acknowledged.
    up: Option<SeqNum>,
    /// The peer has not been told of SND.UP yet.
    untold: bool,
    /// RCV.UP: the number after the peer's urgent text, until the user has read past it.
    mark: Option<SeqNum>,
}

impl Connection {
    /// SEND with the URGENT flag: as [`Self::write`], and everything written so far is urgent up to the last octet taken.
    ///
    /// The peer is told at once, even where its window is shut and none of the text can leave. Any length; a
    /// call that continues a long one moves the end on. Without octets nothing happens.
    ///
    /// New programs should not use it (RFC 9293 SHLD-13, RFC 6093).
    ///
    /// # Errors
    /// As [`Self::write`].
    //= rfc9293 MUST-30
    //= rfc9293 SHLD-13
    pub fn write_urgent(
        &mut self,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Result<usize, WriteError> {
        let taken = self.write(cx, octets)?;
        if taken > 0 {
            let up = self.snd.text_end();
            let urgent = self.urgent.get_or_insert_default();
            //= rfc9293 MUST-62
            urgent.up = Some(up);
            urgent.untold = true;
        }
        Ok(taken)
    }

    /// Octets of urgent text that the user has not read yet, whether they have arrived or not; `None`: there are none.
    ///
    /// The peer may move the end on while this is read ([`Wake::URGENT`] tells); where its text ends before its urgent
    /// pointer, only what there is counts.
    //= rfc9293 MUST-33
    #[must_use]
    pub fn urgent_unread(&self) -> Option<u32> {
        let mark = self.mark()?;
        let read = self.read_up_to();
        mark.after(read).then(|| mark.distance_from(read))
    }

    /// Whether what was read ends at the mark: all urgent text known of was read, and nothing after it.
    #[must_use]
    pub fn at_mark(&self) -> bool {
        self.mark() == Some(self.read_up_to())
    }

    /// RCV.UP, no further than the peer's text goes.
    fn mark(&self) -> Option<SeqNum> {
        let mark = self.urgent.as_ref()?.mark?;
        Some(self.rcv.fin.map_or(mark, |fin| fin.earlier(mark)))
    }

    /// The number of the next octet that the user reads.
    pub(super) fn read_up_to(&self) -> SeqNum {
        let after = u32::from(self.rcv.finished());
        let unread = u32::try_from(self.rcv.buffer.len()).unwrap_or(u32::MAX);
        self.rcv.nxt - after - unread
    }

    /// Octets that one RECEIVE hands out at most: urgent text and what follows it never come together (RFC 9293
    /// section 3.9.1.3).
    pub(super) fn until_mark(&self) -> usize {
        if self.urgent.is_none() {
            return usize::MAX;
        }
        self.urgent_unread().map_or(usize::MAX, |n| n as usize)
    }

    /// The user read: a mark that lies behind is forgotten.
    pub(super) fn forget_mark(&mut self) {
        let read = self.read_up_to();
        if let Some(urgent) = &mut self.urgent {
            urgent.mark = urgent.mark.filter(|mark| mark.at_or_after(read));
            self.forget_urgent();
        }
    }

    /// SND.UNA moved.
    pub(super) fn forget_up(&mut self) {
        let una = self.snd.una;
        if let Some(urgent) = &mut self.urgent {
            urgent.up = urgent.up.filter(|up| up.after(una));
            self.forget_urgent();
        }
    }

    fn forget_urgent(&mut self) {
        self.urgent = self
            .urgent
            .take()
            .filter(|urgent| urgent.up.is_some() || urgent.mark.is_some());
    }

    /// Text from `end` on was taken back before it was sent: what is urgent ends there.
    pub(super) fn cut_up(&mut self, end: SeqNum) {
        if let Some(urgent) = &mut self.urgent {
            urgent.up = urgent.up.map(|up| up.earlier(end));
        }
        self.forget_up();
    }

    /// Whether text that was not sent yet is urgent: it waits for no company.
    pub(super) fn is_unsent_urgent(&self) -> bool {
        let up = self.urgent.as_ref().and_then(|urgent| urgent.up);
        up.is_some_and(|up| up.after(self.snd.nxt))
    }

    /// Whether segments carry URG: from one to the next the pointer differs, so each is made on its own.
    pub(super) fn sends_urgent(&self) -> bool {
        self.urgent
            .as_ref()
            .is_some_and(|urgent| urgent.up.is_some())
    }

    /// Whether the peer is still to be told of urgent text that cannot leave: an empty segment does it.
    pub(super) fn urgent_notice_due(&self) -> bool {
        let untold = self.urgent.as_ref().is_some_and(|urgent| urgent.untold);
        untold && self.is_unsent_urgent()
    }

    /// SEG.UP of a segment that begins at `seq`, when it carries URG: how far SND.UP lies beyond it, as far as the field
    /// reaches. Segments further on take the rest of the way, so that urgent text may have any length.
    //= rfc9293 MUST-31
    pub(super) fn urgent_pointer(&mut self, seq: SeqNum) -> Option<u16> {
        let urgent = self.urgent.as_deref_mut()?;
        let up = urgent.up.filter(|up| up.after(seq))?;
        urgent.untold = false;
        Some(u16::try_from(up.distance_from(seq)).unwrap_or(u16::MAX))
    }

    /// Sixth of SEGMENT ARRIVES: RCV.UP never recedes, and the user hears of every step that it takes beyond what was
    /// read. `segment` is acceptable; its pointer may still be anything, and means at worst that text is called urgent
    /// that is not.
    //= rfc9293 MUST-32
    pub(super) fn process_urgent(&mut self, segment: &Segment<'_>) {
        if !segment.header.flags.urg() || !self.state.receives_text() || self.user.released {
            return;
        }
        let up = segment.header.seq + u32::from(segment.header.urgent);
        let read = self.read_up_to();
        let before = self.urgent.as_ref().and_then(|urgent| urgent.mark);
        let known = before.is_some_and(|mark| mark.at_or_after(up));
        if known || up.at_or_before(read) {
            return;
        }
        self.urgent.get_or_insert_with(Box::default).mark = Some(up);
        self.wake |= Wake::URGENT;
    }
}
