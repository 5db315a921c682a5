//! What is in the network, as figures.

use super::{Fate, InFlight};
use crate::info::TcpInfo;

impl InFlight {
    /// Fills in `unacked` and what it is made of: each transmission is as many segments as it has octets for.
    pub(crate) fn count_segments(&self, mss: u32, info: &mut TcpInfo) {
        for sent in self.records.iter() {
            let segments = sent.end.distance_from(sent.start).div_ceil(mss.max(1));
            info.unacked = info.unacked.saturating_add(segments);
            match sent.fate {
                Fate::Sacked => {
                    info.sacked += segments;
                    info.fackets = info.unacked;
                }
                Fate::Lost => info.lost += segments,
                Fate::Flying if sent.retransmitted => info.retrans += segments,
                Fate::Flying => {}
            }
        }
    }
}
