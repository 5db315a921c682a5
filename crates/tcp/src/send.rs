//! The sending side: SND.* of RFC 9293 section 3.3.1, what is queued, what flies, what the peer allows.

pub(crate) mod buffer;
pub(crate) mod flow;
pub(crate) mod in_flight;
pub(crate) mod pool;

use crate::seq::SeqNum;
use crate::time::Instant;

use buffer::SendBuffer;
use in_flight::InFlight;

/// The send sequence space and what belongs to it.
#[derive(Debug)]
pub(crate) struct Send {
    /// ISS: our SYN's number; text begins after it.
    pub(crate) iss: SeqNum,
    /// SND.UNA: oldest unacknowledged.
    pub(crate) una: SeqNum,
    /// Our SYN is acknowledged. (SND.UNA may come to ISS again, 4 GiB later.)
    syn_acknowledged: bool,
    /// SND.NXT: next to be sent.
    pub(crate) nxt: SeqNum,
    /// SND.WND: octets the peer takes from SND.UNA on, unscaled.
    pub(crate) wnd: u32,
    /// SND.WL1: SEG.SEQ of the last window update.
    pub(crate) wl1: SeqNum,
    /// SND.WL2: SEG.ACK of the last window update.
    pub(crate) wl2: SeqNum,
    /// MAX.SND.WND: the largest window ever offered.
    pub(crate) max_wnd: u32,
    /// Snd.Wind.Shift.
    pub(crate) scale: u8,
    /// Octets of text a segment may carry, timestamps taken off, SACK blocks not.
    pub(crate) mss: u32,
    /// Text written and not acknowledged.
    pub(crate) buffer: SendBuffer,
    /// Transmissions not acknowledged.
    pub(crate) in_flight: InFlight,
    /// The user closed: FIN follows the text.
    pub(crate) fin_queued: bool,
    /// The number of our FIN, once sent.
    pub(crate) fin: Option<SeqNum>,
    /// When text or FIN was last sent.
    pub(crate) last_sent: Instant,
}

impl Send {
    pub(crate) fn new(iss: SeqNum, scale: u8, mss: u32, now: Instant) -> Self {
        Self {
            iss,
            una: iss,
            syn_acknowledged: false,
            nxt: iss + 1,
            wnd: 0,
            wl1: SeqNum(0),
            wl2: SeqNum(0),
            max_wnd: 0,
            scale,
            mss,
            buffer: SendBuffer::new(),
            in_flight: InFlight::default(),
            fin_queued: false,
            fin: None,
            last_sent: now,
        }
    }

    /// The peer acknowledged our SYN.
    pub(crate) fn on_ack_of_syn(&mut self) {
        self.una = self.iss + 1;
        self.syn_acknowledged = true;
    }

    /// The number of the first octet in the buffer.
    #[inline]
    pub(crate) fn text_start(&self) -> SeqNum {
        if self.syn_acknowledged {
            self.una
        } else {
            self.iss + 1
        }
    }

    /// The number after the last octet in the buffer.
    #[inline]
    pub(crate) fn text_end(&self) -> SeqNum {
        // The buffer is far below 2^31 octets (the connection caps Config::send_buffer).
        self.text_start() + u32::try_from(self.buffer.len()).unwrap_or(u32::MAX >> 1)
    }

    /// Octets written and never sent.
    #[inline]
    pub(crate) fn unsent(&self) -> u32 {
        let end = self.text_end();
        // Once the connection is over the buffer is empty, whatever was in flight.
        if self.fin.is_some() || end.before(self.nxt) {
            0
        } else {
            end.distance_from(self.nxt)
        }
    }

    /// Whether a FIN is still to be sent for the first time.
    #[inline]
    pub(crate) fn fin_due(&self) -> bool {
        self.fin_queued && self.fin.is_none()
    }

    /// Whether the peer has acknowledged our FIN.
    pub(crate) fn fin_acknowledged(&self) -> bool {
        self.fin.is_some_and(|fin| self.una.after(fin))
    }

    /// Splits `start .. end` (which may include FIN) into octets of text and whether FIN is in it.
    pub(crate) fn text_and_fin(&self, start: SeqNum, end: SeqNum) -> (u32, bool) {
        let fin = self.fin.is_some_and(|fin| end == fin + 1);
        (end.distance_from(start) - u32::from(fin), fin)
    }

    /// The octets of `seq .. seq + len`.
    pub(crate) fn pieces(&self, seq: SeqNum, len: u32) -> [&[u8]; 2] {
        self.buffer
            .pieces(seq.distance_from(self.text_start()) as usize, len as usize)
    }
}
