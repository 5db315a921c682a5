//! What a sender remembers of what it sent, besides the records: in one box, made with the first text.

use alloc::vec::Vec;
use core::time::Duration;

use super::least::Least;
use super::prr::Prr;
use super::rack::{Rack, Surroundings};
use super::ramp::Ramp;
use super::tlp::Tlp;
use super::undo::{Frto, Undo};
use crate::congestion::{CongestionControl, RateSample};
use crate::delivery::Delivery;
use crate::send::in_flight::Sent;
use crate::seq::SeqNum;
use crate::time::Instant;

/// Records of what was declared lost that there is room for from one input to the next.
const KEPT: usize = 64;

/// The memory of loss recovery and of rate samples.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) delivery: Delivery,
    pub(crate) rack: Rack,
    /// RACK.min_RTT.
    pub(crate) least: Least,
    pub(crate) tlp: Tlp,
    pub(crate) prr: Prr,
    pub(crate) undo: Undo,
    pub(crate) frto: Frto,
    pub(crate) ramp: Ramp,
    /// When RACK has to look again: what is only late so far is lost then.
    pub(crate) reorder_at: Instant,
    /// The last sample that tells a rate.
    pub(crate) rate: Option<RateSample>,
    /// What the input under way declared lost; those below `told` congestion control knows of.
    pub(crate) declared: Vec<Sent>,
    told: usize,
}

/// What an acknowledgement says to each transmission that it reports.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) now: Instant,
    /// TSecr.
    pub(crate) echo: Option<u32>,
    /// The offset of our timestamp clock.
    pub(crate) offset: u32,
    pub(crate) min_rtt: Duration,
}

impl Flight {
    pub(crate) fn new(una: SeqNum, least: Least) -> Self {
        Self {
            delivery: Delivery::default(),
            rack: Rack::new(una),
            least,
            tlp: Tlp::new(),
            prr: Prr::default(),
            undo: Undo::default(),
            frto: Frto::Off,
            ramp: Ramp::default(),
            reorder_at: Instant::MAX,
            rate: None,
            declared: Vec::new(),
            told: 0,
        }
    }

    /// Octets of heap memory that its lists hold; none while nothing flies.
    pub(crate) fn memory(&self) -> usize {
        self.rack.memory() + self.undo.memory() + self.declared.capacity() * size_of::<Sent>()
    }

    /// Nothing flies any more.
    pub(crate) fn on_idle(&mut self) {
        self.rack.on_idle();
        self.undo.on_idle();
        self.declared = Vec::new();
        self.tlp.stop();
        self.reorder_at = Instant::MAX;
    }

    /// Nothing is in doubt or probed for, and all that flies, of which `oldest` left first, left once and after what has arrived.
    pub(crate) fn is_calm(&self, oldest: Option<&Sent>) -> bool {
        self.declared.is_empty()
            && !self.tlp.flies()
            && !self.undo.doubts()
            && self.frto == Frto::Off
            && !self.ramp.is_on()
            && self.rack.is_calm(oldest)
    }

    /// What [`Recovery::on_ack`](super::Recovery::on_ack) does where all is calm.
    pub(crate) fn on_plain_progress(&mut self, here: &Surroundings) {
        self.rack.update_window(here);
        self.rack.on_una(here.una);
        self.reorder_at = Instant::MAX;
        self.prr.leave();
    }

    /// The next deadline, the end of time where there is none.
    pub(crate) fn next(&self) -> Instant {
        self.reorder_at.min(self.tlp.due)
    }

    /// A piece that flew, or was thought lost, was reported for the first time.
    pub(crate) fn on_delivered(&mut self, arrival: &Arrival, sent: &Sent) {
        self.tlp.on_heard();
        self.delivery
            .on_delivered(arrival.now, &sent.path, sent.at, sent.len());
        let left = crate::options::timestamp(sent.at, arrival.offset);
        let older = |echo: u32| echo.wrapping_sub(left).cast_signed() < 0;
        let echo_is_older = arrival.echo.is_some_and(older);
        self.rack
            .on_delivered(arrival.now, sent, echo_is_older, arrival.min_rtt);
    }

    /// Tells congestion control of what was declared lost since it was told last; returns all octets of the input under way.
    pub(crate) fn tell_losses(
        &mut self,
        now: Instant,
        congestion: &mut dyn CongestionControl,
    ) -> u64 {
        for sent in self.declared.iter().skip(self.told) {
            let lost = self.delivery.on_lost(&sent.path, sent.len());
            congestion.on_lost(now, &lost);
        }
        self.told = self.declared.len();
        self.declared.iter().map(Sent::len).sum()
    }

    /// The input is over: its losses, for those who watch.
    pub(crate) fn forget_declared(&mut self) {
        self.told = 0;
        self.declared.clear();
        if self.declared.capacity() > KEPT {
            // One great loss is no reason to hold room for the next.
            self.declared = Vec::new();
        }
    }
}
