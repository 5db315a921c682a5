//! Figures about a connection, named as in Linux's `tcp_info`.

use core::time::Duration;

use crate::state::State;

/// A snapshot of a connection's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpInfo {
    /// State.
    pub state: State,
    /// Segments without progress since the last acknowledgement: backoff of the timer.
    pub backoff: u8,
    /// Retransmission timeout, backoff included.
    pub rto: Duration,
    /// Smoothed round trip; zero before the first sample.
    pub rtt: Duration,
    /// Its variance.
    pub rttvar: Duration,
    /// Least round trip seen.
    pub min_rtt: Duration,
    /// Octets a segment may carry to the peer, options taken off.
    pub snd_mss: u32,
    /// The MSS we advertised.
    pub advmss: u32,
    /// Congestion window, octets.
    pub snd_cwnd: u64,
    /// Slow-start threshold, octets; `u64::MAX` when not set yet.
    pub snd_ssthresh: u64,
    /// SND.WND, octets.
    pub snd_wnd: u32,
    /// RCV.WND, octets.
    pub rcv_wnd: u32,
    /// Shift applied to windows that arrive.
    pub snd_wscale: u8,
    /// Shift applied to windows that we send.
    pub rcv_wscale: u8,
    /// ECN was agreed on (RFC 3168).
    pub ecn: bool,
    /// Octets in flight.
    pub in_flight: u64,
    /// Octets written and not acknowledged.
    pub unacked: u64,
    /// Octets sent, retransmissions included.
    pub bytes_sent: u64,
    /// Octets retransmitted.
    pub bytes_retrans: u64,
    /// Octets acknowledged by the peer.
    pub bytes_acked: u64,
    /// Octets received in order.
    pub bytes_received: u64,
    /// Segments sent.
    pub segs_out: u64,
    /// Segments received.
    pub segs_in: u64,
    /// Retransmissions, in segments.
    pub total_retrans: u64,
    /// Octets held out of order.
    pub rcv_ooo: u64,
    /// Segments refused.
    pub refused: u64,
    /// Since a segment of the peer was last heard.
    pub last_ack_recv: Duration,
}

impl TcpInfo {
    pub(crate) const fn new(state: State) -> Self {
        Self {
            state,
            backoff: 0,
            rto: Duration::ZERO,
            rtt: Duration::ZERO,
            rttvar: Duration::ZERO,
            min_rtt: Duration::ZERO,
            snd_mss: 0,
            advmss: 0,
            snd_cwnd: 0,
            snd_ssthresh: 0,
            snd_wnd: 0,
            rcv_wnd: 0,
            snd_wscale: 0,
            rcv_wscale: 0,
            ecn: false,
            in_flight: 0,
            unacked: 0,
            bytes_sent: 0,
            bytes_retrans: 0,
            bytes_acked: 0,
            bytes_received: 0,
            segs_out: 0,
            segs_in: 0,
            total_retrans: 0,
            rcv_ooo: 0,
            refused: 0,
            last_ack_recv: Duration::ZERO,
        }
    }
}
