//! Figures about a connection.

use super::Connection;
use crate::info::TcpInfo;
use crate::time::Instant;

impl Connection {
    /// Figures about it.
    #[must_use]
    pub fn info(&self, now: Instant) -> TcpInfo {
        TcpInfo {
            last_ack_recv: now.since(self.patience.heard_at),
            backoff: self.patience.backoff,
            rto: self.rtt.backed_off(self.patience.backoff),
            rtt: self.rtt.srtt().unwrap_or_default(),
            rttvar: self.rtt.rttvar(),
            min_rtt: self.rtt.min_rtt().unwrap_or_default(),
            snd_mss: self.snd.mss,
            advmss: u32::from(self.advertised_mss()),
            snd_cwnd: self.congestion.window(),
            snd_ssthresh: self.congestion.threshold(),
            snd_wnd: self.snd.wnd,
            rcv_wnd: self.rcv.wnd(),
            snd_wscale: self.agreed.send_scale,
            rcv_wscale: self.agreed.receive_scale,
            ecn: self.agreed.ecn,
            in_flight: self.recovery.pipe(&self.snd),
            unacked: self.snd.buffer.len() as u64,
            bytes_sent: self.counters.bytes_sent,
            bytes_retrans: self.counters.bytes_retrans,
            bytes_acked: self.counters.bytes_acked,
            bytes_received: self.counters.bytes_received,
            segs_out: self.counters.segs_out,
            segs_in: self.counters.segs_in,
            total_retrans: self.counters.retrans,
            rcv_ooo: self.rcv.reassembly.octets() as u64,
            refused: self.counters.refused,
            ..TcpInfo::new(self.state)
        }
    }
}
