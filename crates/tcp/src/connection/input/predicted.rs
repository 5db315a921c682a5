//! Header prediction (Van Jacobson; RFC 1323 appendix A): the next text of a peer that only sends, which is what nearly all
//! segments of a bulk transfer are, goes by a short way to where the long one would take it.
//!
//! Nothing is decided here: what is not wholly as expected goes the long way, and `tests/prediction.rs` holds both ways
//! against each other.

use super::super::Connection;
use super::super::figures::Doing;
use crate::memory::Pressure;
use crate::recovery::Phase;
use crate::segment::{Flags, Segment};
use crate::state::State;
use crate::time::Instant;

impl Connection {
    /// Takes the segment if it is the next text and nothing else, and this side has nothing under way. `false`: nothing was
    /// done.
    pub(in crate::connection) fn take_predicted(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
    ) -> bool {
        if !self.predicts(now, segment) {
            return false;
        }
        self.check_app_limited();
        self.is_congestion_limited(now, 0); // a time of little use goes by (RFC 7661)
        self.heard(now, segment);
        let window = u32::from(segment.header.window) << self.snd.scale;
        self.update_send_window(now, segment, window);
        let len = segment.len_of_text();
        self.note_pushed(segment);
        self.counters.last_data_recv = now;
        self.grow_receive_buffer(now, segment);
        self.note_segment_size(len, segment);
        self.rcv.buffer.push(segment.text);
        self.rcv.nxt += len;
        self.took_text(now, len, false);
        true
    }

    /// Whether the segment may take the short way.
    pub(in crate::connection) fn predicts(&self, now: Instant, segment: &Segment<'_>) -> bool {
        self.only_receives() && self.is_next_text(now, segment)
    }

    /// Nothing of ours flies, waits or is being repaired, and nothing makes an arrival special.
    fn only_receives(&self) -> bool {
        self.state == State::Established
            && self.at_rest
            && self.snd.in_flight.is_empty()
            && self.snd.unsent() == 0
            && !self.snd.fin_due()
            && self.snd.wnd > 0
            && self.recovery.phase == Phase::Open
            && self.counters.doing == Doing::Nothing
            && self.rcv.reassembly.is_empty()
            && self.rcv.fin.is_none()
            && self.rcv.pressure == Pressure::Plenty
            && !self.user.released
            && !self.agreed.ecn
            && self.keep_alive().is_none()
    }

    /// In order, whole inside the window, with no other flag, and no report of what came.
    fn is_next_text(&self, now: Instant, segment: &Segment<'_>) -> bool {
        let header = &segment.header;
        let len = segment.text.octets.len();
        let fits = u32::try_from(len).is_ok_and(|len| len <= self.rcv.wnd());
        let in_time = self
            .paws
            .as_ref()
            .is_none_or(|paws| paws.check(now, header).is_ok());
        len > 0
            && fits
            && header.flags.without(Flags::PSH) == Flags::ACK
            && header.seq == self.rcv.nxt
            && header.ack == self.snd.una
            && header.window > 0
            && header.options.sack.as_slice().is_empty()
            && in_time
    }
}
