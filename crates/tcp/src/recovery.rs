//! "Which ranges are lost now?": duplicate acknowledgements, SACK, the timer (RFC 5681, 6582, 6675, 6298).

use crate::congestion::{CongestionControl, Trouble};
use crate::event::Reason;
use crate::send::Send;
use crate::seq::SeqNum;
use crate::time::Instant;

/// Where the sender stands with losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No loss is known.
    Open,
    /// Acknowledgements showed a loss; over when SND.UNA reaches `until`.
    Recovery {
        /// "recover" of RFC 6582: SND.NXT when it began.
        until: SeqNum,
    },
    /// The timer fired; over when SND.UNA reaches `until`.
    Loss {
        /// SND.NXT when the timer fired.
        until: SeqNum,
    },
}

/// What loss detection remembers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recovery {
    pub(crate) phase: Phase,
    /// Duplicate acknowledgements in a row.
    pub(crate) duplicates: u32,
    /// Octets that left the network by duplicate acknowledgements, where no SACK says which (RFC 6582's inflation).
    pub(crate) departed: u64,
    /// The next retransmission goes whatever the congestion window says, for this reason: it is the first after a
    /// loss was shown (RFC 6675 section 5, 4.3; RFC 6582 section 3.2, 3).
    pub(crate) owed: Option<Reason>,
}

/// What an acknowledgement brought, as far as losses go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence {
    /// SND.UNA moved by so many octets.
    pub(crate) acked: u64,
    /// SACK newly reported so many.
    pub(crate) sacked: u64,
    /// It is a duplicate acknowledgement (RFC 5681 section 2).
    pub(crate) duplicate: bool,
    /// SACK was agreed.
    pub(crate) sack: bool,
    /// DupThresh.
    pub(crate) threshold: u8,
}

impl Recovery {
    pub(crate) const fn new() -> Self {
        Self {
            phase: Phase::Open,
            duplicates: 0,
            departed: 0,
            owed: None,
        }
    }

    pub(crate) const fn in_recovery(&self) -> bool {
        matches!(self.phase, Phase::Recovery { .. })
    }

    /// Octets in the network: "pipe".
    pub(crate) fn pipe(&self, send: &Send) -> u64 {
        send.in_flight.pipe().saturating_sub(self.departed)
    }

    /// Draws the conclusions from an acknowledgement: marks losses, enters and leaves recovery.
    pub(crate) fn on_ack(
        &mut self,
        now: Instant,
        evidence: &Evidence,
        send: &mut Send,
        congestion: &mut dyn CongestionControl,
    ) {
        if evidence.acked > 0 {
            self.on_progress(now, evidence, send, congestion);
        } else if evidence.duplicate {
            self.duplicates += 1;
            if !evidence.sack {
                // Each duplicate says that a segment arrived somewhere after the hole.
                let most = send.in_flight.pipe().saturating_sub(u64::from(send.mss));
                self.departed = (self.departed + u64::from(send.mss)).min(most);
            }
        }
        let mut lost = false;
        if evidence.sack && evidence.sacked > 0 {
            lost = send
                .in_flight
                .mark_lost_below_sacks(evidence.threshold, send.mss)
                > 0;
        }
        if self.phase == Phase::Open && self.duplicates >= u32::from(evidence.threshold) {
            lost |= send.in_flight.mark_first_lost(send.mss);
        }
        if lost && self.phase == Phase::Open {
            self.enter(now, send, congestion);
        }
    }

    /// SND.UNA moved.
    fn on_progress(
        &mut self,
        now: Instant,
        evidence: &Evidence,
        send: &mut Send,
        congestion: &mut dyn CongestionControl,
    ) {
        self.duplicates = 0;
        match self.phase {
            Phase::Open => self.departed = 0,
            Phase::Recovery { until } | Phase::Loss { until } if send.una.at_or_after(until) => {
                if self.in_recovery() {
                    congestion.on_recovered(now);
                }
                *self = Self::new();
            }
            Phase::Recovery { .. } => {
                // RFC 6582 section 3.2 step 3, partial acknowledgement: the next hole begins at SND.UNA; deflate by
                // what was acknowledged, one segment of it having been the retransmission itself.
                let inflation = evidence.acked.saturating_sub(u64::from(send.mss));
                self.departed = self.departed.saturating_sub(inflation);
                if !evidence.sack && send.in_flight.mark_first_lost(send.mss) {
                    self.owed = Some(Reason::LossRecovery);
                }
            }
            Phase::Loss { .. } => self.departed = 0,
        }
    }

    fn enter(&mut self, now: Instant, send: &Send, congestion: &mut dyn CongestionControl) {
        congestion.on_trouble(now, Trouble::Loss, send.in_flight.octets());
        self.phase = Phase::Recovery { until: send.nxt };
        self.owed = Some(Reason::FastRetransmit);
    }

    /// What flew is gone for another reason than congestion (the window shut on it, the path's MTU fell): send it again.
    pub(crate) fn resend_all(&mut self, send: &mut Send) {
        send.in_flight.mark_all_lost(false);
        self.owed = (!send.in_flight.is_empty()).then_some(Reason::LossRecovery);
    }

    /// The retransmission timer fired: all that flies is lost (RFC 6298 5.4, RFC 5681 section 3.1).
    ///
    /// ssthresh falls once for a loss, not at each repetition of the same segment (RFC 5681 section 3.1, equation 4).
    pub(crate) fn on_timeout(
        &mut self,
        now: Instant,
        repeated: bool,
        send: &mut Send,
        congestion: &mut dyn CongestionControl,
    ) {
        // The oldest was reported by SACK, and still is not acknowledged: the peer reneged (RFC 2018 section 8).
        let reneged = send
            .in_flight
            .oldest()
            .is_some_and(|s| s.fate == crate::send::in_flight::Fate::Sacked);
        if !repeated {
            congestion.on_trouble(now, Trouble::Timeout, send.in_flight.octets());
        }
        send.in_flight.mark_all_lost(reneged);
        let phase = Phase::Loss { until: send.nxt };
        *self = Self {
            phase,
            owed: Some(Reason::Timeout),
            ..Self::new()
        };
    }
}
