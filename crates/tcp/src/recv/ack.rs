//! When to acknowledge (RFC 9293 section 3.8.6.3, RFC 5681 section 4.2).

use crate::event::Reason;

/// What acknowledgement is owed to the peer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AckState {
    /// Owed now, and why.
    now: Option<Reason>,
    /// Further duplicate acknowledgements owed after `now`.
    duplicates: u8,
    /// Octets of text received and not acknowledged.
    octets: u32,
    /// Acknowledgements still to be sent at once at the start of the connection.
    quick: u8,
}

impl AckState {
    pub(crate) const fn new(quick: u8) -> Self {
        Self {
            now: None,
            duplicates: 0,
            octets: 0,
            quick,
        }
    }

    /// Owes an acknowledgement at once, one for all that arrives before it leaves. The first reason stays, except that the
    /// news of a gap outranks the rest.
    //= rfc9293 MUST-59
    pub(crate) fn owe(&mut self, reason: Reason) {
        if self.now.is_none() || reason == Reason::Gap {
            self.now = Some(reason);
        }
    }

    /// Text arrived out of order. Without SACK every such segment is owed a duplicate acknowledgement of its own, however
    /// many arrive at once: the peer counts them (RFC 5681 section 4.2). With SACK one tells of them all.
    pub(crate) fn owe_gap(&mut self, sack: bool) {
        if self.now == Some(Reason::Gap) && !sack {
            self.duplicates = self.duplicates.saturating_add(1);
        }
        self.owe(Reason::Gap);
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

    /// An acknowledgement left, alone or riding on text; riding, it is none of the duplicates that the peer counts.
    pub(crate) fn sent(&mut self, alone: bool) {
        self.octets = 0;
        self.now = (self.duplicates > 0).then_some(Reason::Gap);
        if alone {
            self.duplicates = self.duplicates.saturating_sub(1);
        }
    }

    /// Nothing is owed any more: a RST or SYN,ACK says it all.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.quick);
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
        ack.sent(true);
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
            ack.sent(true);
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

    #[test]
    fn without_sack_every_segment_out_of_order_is_owed_its_own() {
        for (sack, expected) in [(false, 3), (true, 1)] {
            let mut ack = AckState::default();
            for _ in 0..3 {
                ack.owe_gap(sack);
            }
            let mut left = 0;
            while ack.owed() == Some(Reason::Gap) {
                ack.sent(true);
                left += 1;
            }
            assert_eq!(left, expected, "sack {sack}");
        }
        let mut ack = AckState::default();
        ack.owe_gap(false);
        ack.owe_gap(false);
        ack.sent(false);
        assert_eq!(
            ack.owed(),
            Some(Reason::Gap),
            "one that rides on text is not counted"
        );
    }
}
