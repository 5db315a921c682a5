//! The receiving side: RCV.* of RFC 9293 section 3.3.1, text in order and out of order, the window we offer.

pub(crate) mod ack;
pub(crate) mod buffer;
pub(crate) mod growth;
pub(crate) mod reassembly;
pub(crate) mod window;

use alloc::boxed::Box;

use crate::memory::Pressure;
use crate::seq::SeqNum;

use ack::AckState;
use buffer::ReceiveBuffer;
use growth::Growth;
use reassembly::Reassembly;

/// The receive sequence space and what belongs to it.
#[derive(Debug)]
pub(crate) struct Receive {
    /// IRS: the peer's SYN.
    pub(crate) irs: SeqNum,
    /// RCV.NXT: next expected.
    pub(crate) nxt: SeqNum,
    /// The right edge that we offered: RCV.NXT + RCV.WND. It never moves back.
    pub(crate) adv: SeqNum,
    /// The largest RCV.WND offered so far.
    pub(crate) most_offered: u32,
    /// Rcv.Wind.Shift.
    pub(crate) scale: u8,
    /// Most octets held for the user; grows as the user keeps up, never shrinks by itself.
    pub(crate) capacity: u32,
    /// What makes it grow; nothing until that much text came that growth may be worth it.
    pub(crate) growth: Option<Box<Growth>>,
    /// The largest text a segment brought; what counts as "full-sized".
    pub(crate) mss: u16,
    /// How short of memory the owner is.
    pub(crate) pressure: Pressure,
    /// Text in order.
    pub(crate) buffer: ReceiveBuffer,
    /// Text out of order.
    pub(crate) reassembly: Reassembly,
    /// What arrived again and was not reported yet (D-SACK, RFC 2883): the newest such text.
    pub(crate) repeated: Option<(SeqNum, SeqNum)>,
    /// The number of the peer's FIN, once seen, in order or not.
    pub(crate) fin: Option<SeqNum>,
    /// The number after the last octet that came with PSH, until the user has read it.
    pub(crate) pushed: Option<SeqNum>,
    /// What is owed.
    pub(crate) ack: AckState,
    /// Last.ACK.sent of RFC 7323 section 4.3.
    pub(crate) last_ack_sent: SeqNum,
}

/// Largest buffer that RFC 7323 section 2.3 lets a window describe.
const MAX_WINDOW: u32 = 1 << 30;

/// The window that a buffer of `octets` describes.
pub(crate) fn window_of(octets: usize) -> u32 {
    u32::try_from(octets).unwrap_or(MAX_WINDOW).min(MAX_WINDOW)
}

impl Receive {
    /// `window`: what our SYN or SYN,ACK offered.
    pub(crate) fn new(irs: SeqNum, scale: u8, capacity: usize, window: u32) -> Self {
        Self {
            irs,
            nxt: irs + 1,
            adv: irs + 1 + window,
            most_offered: window,
            scale,
            capacity: window_of(capacity),
            growth: None,
            mss: 536,
            pressure: Pressure::Plenty,
            buffer: ReceiveBuffer::new(),
            reassembly: Reassembly::new(),
            repeated: None,
            fin: None,
            pushed: None,
            ack: AckState::default(),
            last_ack_sent: irs + 1,
        }
    }

    /// Text `start .. end` arrived: remembers the first part of it that is here already (RFC 2883 section 4).
    pub(crate) fn note_repeated(&mut self, start: SeqNum, end: SeqNum) {
        let known = if start.before(self.nxt) {
            Some((start, end.earlier(self.nxt)))
        } else {
            self.reassembly.first_known(start, end)
        };
        self.repeated = known.or(self.repeated);
    }

    /// RCV.WND.
    pub(crate) fn wnd(&self) -> u32 {
        self.adv.distance_from(self.nxt)
    }

    /// Whether the peer's FIN was received, everything before it too.
    pub(crate) fn finished(&self) -> bool {
        self.fin.is_some_and(|fin| self.nxt.after(fin))
    }
}
