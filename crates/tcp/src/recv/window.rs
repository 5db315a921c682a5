//! The window we offer, and when a larger one is worth telling (RFC 9293 section 3.8.6.2.2).

use super::Receive;
use crate::seq::SeqNum;

impl Receive {
    /// Octets that still fit.
    fn free(&self) -> u32 {
        self.pressure
            .receive_limit(self.capacity, self.mss.into())
            .saturating_sub(u32::try_from(self.buffer.len()).unwrap_or(u32::MAX))
    }

    /// The right edge to offer now. It never moves back (SHLD-14), and forward only by steps worth a segment.
    //= rfc9293 MUST-39
    //= rfc9293 SHLD-14
    //= rfc9293 MAY-8
    fn edge(&self) -> SeqNum {
        let edge = self.nxt + self.free();
        let step = edge.offset_from(self.adv);
        // min(Fr * RCV.BUFF, Eff.snd.MSS) with Fr = 1/2.
        let worth = (self.capacity / 2).min(self.mss.into()).max(1);
        if step >= worth.cast_signed() {
            edge
        } else {
            self.adv
        }
    }

    /// SEG.WND for the next segment, `RCV.WND >> shift`, and the right edge that is offered then.
    ///
    /// Rounded up, so that the edge never moves back by the rounding; but down where it would pass what fits by a
    /// whole step (RFC 7323 section 2.4), or single octets would push it on for ever. What was offered is taken
    /// all the same.
    pub(crate) fn offer(&self) -> (u16, SeqNum) {
        let window = self.edge().distance_from(self.nxt);
        let mut raw = window.div_ceil(1 << self.scale).min(u32::from(u16::MAX));
        let held = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        let beyond = held.saturating_add(u64::from(raw << self.scale));
        if beyond >= u64::from(self.capacity) + (1 << self.scale) {
            raw = (window >> self.scale).min(u32::from(u16::MAX));
        }
        let edge = self.adv.later(self.nxt + (raw << self.scale));
        (u16::try_from(raw).unwrap_or(u16::MAX), edge)
    }

    /// Whether the user read so much that the peer should hear of it although nothing else is to be said: the peer
    /// has little left to send into, and the step is worth a segment. Otherwise the next acknowledgement tells.
    pub(crate) fn update_is_due(&self) -> bool {
        if self.fin.is_some() {
            return false;
        }
        let step = self.edge().offset_from(self.adv).max(0).cast_unsigned();
        let left = self.wnd();
        let two_segments = 2 * u32::from(self.mss);
        (left < two_segments && step >= (self.capacity / 2).min(two_segments).max(1))
            || (left <= self.most_offered / 4 && step >= (self.capacity / 4).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::Text;

    /// 8,000 octets of room, MSS 1,000, at the end of the circle.
    fn receive(held: usize) -> Receive {
        let mut receive = Receive::new(SeqNum(0xffff_fff0), 0, 8000, 8000);
        receive.mss = 1000;
        receive.buffer.push(Text {
            octets: &alloc::vec![1; held],
            owner: None,
        });
        receive.nxt += u32::try_from(held).unwrap();
        receive
    }

    #[test]
    //= rfc9293 SHLD-14 test
    fn the_edge_never_moves_back() {
        let receive = receive(3000);
        let edge = receive.adv;
        assert_eq!(
            receive.offer(),
            (5000, edge),
            "what was offered stays offered"
        );
    }

    #[test]
    //= rfc9293 MUST-39 test
    fn the_edge_moves_by_whole_segments() {
        let mut receive = receive(3000);
        let mut some = [0; 999];
        assert_eq!(receive.buffer.read(&mut some), 999);
        assert_eq!(receive.offer().0, 5000, "999 octets are a silly step");
        assert_eq!(receive.buffer.read(&mut some[..1]), 1);
        assert_eq!(receive.offer().0, 6000);
        assert!(!receive.update_is_due(), "not worth a segment of its own");
        let mut more = [0; 2000];
        assert_eq!(receive.buffer.read(&mut more), 2000);
        assert!(
            !receive.update_is_due(),
            "5,000 octets are left to send into"
        );
    }

    #[test]
    fn a_window_nearly_used_up_is_opened_without_waiting() {
        let mut receive = Receive::new(SeqNum(0xffff_fff0), 5, 1 << 20, 65_535);
        receive.mss = 1000;
        let arrive = |receive: &mut Receive, octets: usize| {
            receive.buffer.push(Text {
                octets: &alloc::vec![1; octets],
                owner: None,
            });
            receive.nxt += u32::try_from(octets).unwrap();
            receive.buffer.read(&mut alloc::vec![0; octets]);
        };
        arrive(&mut receive, 100);
        assert!(!receive.update_is_due(), "most of the first window is left");
        arrive(&mut receive, 50_000);
        assert!(receive.update_is_due(), "15,435 octets are left of 65,535");
    }

    #[test]
    fn a_shut_window_opens_with_two_segments() {
        let mut receive = receive(8000);
        assert_eq!(receive.offer().0, 0);
        let mut some = [0; 1999];
        receive.buffer.read(&mut some);
        assert!(!receive.update_is_due());
        receive.buffer.read(&mut some[..1]);
        assert!(receive.update_is_due());
    }

    /// However large the buffer: a sender who is shut out needs two segments, not a quarter of it.
    #[test]
    fn a_shut_window_of_a_large_buffer_opens_with_two_segments() {
        let mut receive = Receive::new(SeqNum(0xffff_fff0), 2, 100_000, 100_000);
        receive.mss = 1000;
        receive.buffer.push(Text {
            octets: &alloc::vec![1; 100_000],
            owner: None,
        });
        receive.nxt += 100_000;
        let mut some = [0; 1999];
        receive.buffer.read(&mut some);
        assert!(!receive.update_is_due());
        receive.buffer.read(&mut some[..1]);
        assert!(receive.update_is_due());
        // With two segments left to send into, the next acknowledgement will tell.
        receive.adv = receive.offer().1;
        assert_eq!(receive.wnd(), 2000);
        receive.buffer.read(&mut some);
        receive.buffer.read(&mut some[..1]);
        assert!(!receive.update_is_due());
    }

    #[test]
    fn rounding_to_the_scale_does_not_move_the_edge_back() {
        let mut receive = Receive::new(SeqNum(0xffff_fff0), 7, 1 << 20, 65_535);
        let mut edge = receive.adv;
        for step in [1u32, 127, 128, 129, 5000, 60_000] {
            receive.buffer.push(Text {
                octets: &alloc::vec![1; step as usize],
                owner: None,
            });
            receive.nxt += step;
            let (_, offered) = receive.offer();
            assert!(offered.at_or_after(edge));
            edge = offered;
            receive.adv = offered;
        }
    }
}
