//! When to acknowledge (RFC 9293 section 3.8.6.3, RFC 5681 section 4.2).

use crate::event::Reason;

/// What acknowledgement is owed to the peer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AckState {
    /// Owed now, and why.
    now: Option<Reason>,
    /// Octets of text received and not acknowledged.
    octets: u32,
    /// Acknowledgements still to be sent at once at the start of the connection.
    quick: u8,
}

impl AckState {
    pub(crate) const fn new(quick: u8) -> Self {
        Self {
            now: None,
            octets: 0,
            quick,
        }
    }

    /// Owes an acknowledgement at once. The first reason stays, except that the news of a gap outranks the rest.
    pub(crate) fn owe(&mut self, reason: Reason) {
        if self.now.is_none() || reason == Reason::Gap {
            self.now = Some(reason);
        }
    }

    /// Text arrived in order: `every` full segments of `mss` octets are not kept waiting (SHLD-19); less may be (SHLD-18).
    //= rfc9293 SHLD-18
    //= rfc9293 SHLD-19
    //= rfc9293 MUST-58
    pub(crate) fn text_arrived(&mut self, octets: u32, mss: u32, every: u8) {
        self.octets = self.octets.saturating_add(octets);
        if self.octets >= mss.saturating_mul(u32::from(every.max(1))) {
            self.owe(Reason::SecondSegment);
        } else if self.quick > 0 {
            self.quick -= 1;
            self.owe(Reason::SecondSegment);
        }
    }

    /// Why an acknowledgement is owed now, if one is.
    pub(crate) const fn owed(&self) -> Option<Reason> {
        self.now
    }

    /// Whether text waits for its acknowledgement.
    pub(crate) const fn pending(&self) -> bool {
        self.octets > 0 || self.now.is_some()
    }

    /// An acknowledgement left, alone or riding on text.
    pub(crate) fn sent(&mut self) {
        self.now = None;
        self.octets = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    //= rfc9293 SHLD-19 test
    fn every_second_full_segment() {
        let mut ack = AckState::new(0);
        ack.text_arrived(1000, 1000, 2);
        assert_eq!(ack.owed(), None, "the first waits");
        ack.text_arrived(1000, 1000, 2);
        assert_eq!(ack.owed(), Some(Reason::SecondSegment));
        ack.sent();
        assert!(!ack.pending());
        ack.text_arrived(1, 1000, 2);
        assert!(ack.owed().is_none() && ack.pending());
    }

    #[test]
    fn quick_acknowledgements_at_the_start() {
        let mut ack = AckState::new(2);
        for _ in 0..2 {
            ack.text_arrived(10, 1000, 2);
            assert!(ack.owed().is_some());
            ack.sent();
        }
        ack.text_arrived(10, 1000, 2);
        assert_eq!(ack.owed(), None);
    }

    #[test]
    fn a_gap_outranks() {
        let mut ack = AckState::default();
        ack.owe(Reason::Duplicate);
        ack.owe(Reason::WindowUpdate);
        assert_eq!(ack.owed(), Some(Reason::Duplicate));
        ack.owe(Reason::Gap);
        assert_eq!(ack.owed(), Some(Reason::Gap));
    }
}
