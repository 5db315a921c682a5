//! Figures about a connection: those of Linux's `struct tcp_info`, named as there, and some of our own.
//!
//! Segments are segments and octets are octets as in the kernel; times are [`Duration`]s. What this stack does not measure
//! has a value that says so.

use core::time::Duration;

use crate::connection::LossPhase;
use crate::state::State;

/// A snapshot of a connection's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpInfo {
    /// State.
    pub state: State,
    /// Where the sender stands with losses.
    pub ca_state: LossPhase,
    /// Timeouts in a row without an answer.
    pub retransmits: u8,
    /// Window probes or keep-alives in a row without an answer.
    pub probes: u8,
    /// Doublings of the retransmission or persist timer.
    pub backoff: u8,
    /// Options that both SYNs agreed on: [`Self::TIMESTAMPS`], [`Self::SACK`], [`Self::WSCALE`],
    /// [`Self::ECN`].
    pub options: u8,
    /// Shift applied to windows that arrive.
    pub snd_wscale: u8,
    /// Shift applied to windows that we send.
    pub rcv_wscale: u8,
    /// Whether `delivery_rate` was held down by the user (draft-ietf-ccwg-bbr section 4.1.1.3).
    pub delivery_rate_app_limited: bool,
    /// Retransmission timeout, backoff included.
    pub rto: Duration,
    /// The longest that an acknowledgement waits for company.
    pub ato: Duration,
    /// Octets a segment may carry to the peer, options taken off.
    pub snd_mss: u32,
    /// The largest text that a segment of the peer brought; 536 before there was any.
    pub rcv_mss: u32,
    /// Segments sent and not acknowledged, FIN counted as one.
    pub unacked: u32,
    /// Of `unacked`: reported by SACK.
    pub sacked: u32,
    /// Of `unacked`: believed lost, and not sent again yet.
    pub lost: u32,
    /// Of `unacked`: sent again, and in the network.
    pub retrans: u32,
    /// Of `unacked`: up to the last that SACK reported.
    pub fackets: u32,
    /// Since text, SYN or FIN was last sent.
    pub last_data_sent: Duration,
    /// Not remembered, as in the kernel: zero.
    pub last_ack_sent: Duration,
    /// Since text of the peer was last heard, or since the connection began.
    pub last_data_recv: Duration,
    /// Since a segment of the peer was last heard.
    pub last_ack_recv: Duration,
    /// The largest IP packet on the way to the peer, octets.
    pub pmtu: u32,
    /// The most that the window offered may become, octets.
    pub rcv_ssthresh: u32,
    /// Smoothed round trip; zero before the first sample.
    pub rtt: Duration,
    /// Its variance.
    pub rttvar: Duration,
    /// Slow-start threshold, segments; [`Self::NO_THRESHOLD`] before a loss set it.
    pub snd_ssthresh: u32,
    /// Congestion window, segments, at least one.
    pub snd_cwnd: u32,
    /// The MSS we advertised.
    pub advmss: u32,
    /// Segments by which others may overtake one before it counts as lost.
    pub reordering: u32,
    /// The round trip as the receiver sees it; zero before it was measured.
    pub rcv_rtt: Duration,
    /// The most that the user read in a round trip, octets; before that is known, what is held at most for one who does not
    /// read.
    pub rcv_space: u32,
    /// Retransmissions, in segments.
    pub total_retrans: u64,
    /// Octets a second at which text leaves at most; `u64::MAX`: it is not paced.
    pub pacing_rate: u64,
    /// The most that `pacing_rate` may become; `u64::MAX`: no limit.
    pub max_pacing_rate: u64,
    /// Octets acknowledged by the peer.
    pub bytes_acked: u64,
    /// Octets received in order.
    pub bytes_received: u64,
    /// Segments sent.
    pub segs_out: u64,
    /// Segments received.
    pub segs_in: u64,
    /// Octets written and never sent.
    pub notsent_bytes: u32,
    /// Least round trip seen; zero before the first sample.
    pub min_rtt: Duration,
    /// Segments received with text.
    pub data_segs_in: u64,
    /// Segments sent with text.
    pub data_segs_out: u64,
    /// Octets a second that the network delivered of late (draft-ietf-ccwg-bbr section 4.1); zero before the first sample.
    pub delivery_rate: u64,
    /// Time in which something was unacknowledged or unsent.
    pub busy_time: Duration,
    /// Of `busy_time`: the peer's window held text back.
    pub rwnd_limited: Duration,
    /// Of `busy_time`: the user waited for room in the send buffer, with all of it sent.
    pub sndbuf_limited: Duration,
    /// Segments that reached the peer, in whole segments an acknowledgement.
    pub delivered: u32,
    /// Of `delivered`: with a congestion mark. Not counted: zero.
    pub delivered_ce: u32,
    /// Octets sent, retransmissions included.
    pub bytes_sent: u64,
    /// Octets retransmitted.
    pub bytes_retrans: u64,
    /// Duplicates that the peer reported by SACK (RFC 2883).
    pub dsack_dups: u32,
    /// Times that the network was seen to reorder. Not looked for: zero.
    pub reord_seen: u32,
    /// Segments received out of order.
    pub rcv_ooopack: u32,
    /// SND.WND, octets.
    pub snd_wnd: u32,
    /// RCV.WND, octets.
    pub rcv_wnd: u32,
    /// Times that the flow label was changed for another path. Never: zero.
    pub rehash: u32,
    /// Retransmission timeouts.
    pub total_rto: u32,
    /// Runs of them.
    pub total_rto_recoveries: u32,
    /// Time from the first timeout of a run to the acknowledgement that ended it; finished runs only.
    pub total_rto_time: Duration,
    /// Congestion window, octets (ours).
    pub cwnd: u64,
    /// Slow-start threshold, octets; `u64::MAX` before a loss set it (ours).
    pub ssthresh: u64,
    /// ECN was agreed on (RFC 3168; ours).
    pub ecn: bool,
    /// Octets believed to be in the network (ours).
    pub in_flight: u64,
    /// Octets written and not acknowledged, sent or not (ours).
    pub unacked_octets: u64,
    /// Octets held out of order (ours).
    pub rcv_ooo: u64,
    /// Segments refused (ours).
    pub refused: u64,
}

impl TcpInfo {
    /// Timestamps were agreed (TCPI_OPT_TIMESTAMPS).
    pub const TIMESTAMPS: u8 = 1;
    /// SACK was agreed (TCPI_OPT_SACK).
    pub const SACK: u8 = 2;
    /// Window scaling was agreed (TCPI_OPT_WSCALE).
    pub const WSCALE: u8 = 4;
    /// ECN was agreed (TCPI_OPT_ECN).
    pub const ECN: u8 = 8;
    /// A threshold that no loss has set (TCP_INFINITE_SSTHRESH).
    pub const NO_THRESHOLD: u32 = 0x7fff_ffff;

    #[expect(clippy::too_many_lines, reason = "a field a line")]
    pub(crate) const fn new(state: State) -> Self {
        Self {
            state,
            ca_state: LossPhase::Open,
            retransmits: 0,
            probes: 0,
            backoff: 0,
            options: 0,
            snd_wscale: 0,
            rcv_wscale: 0,
            delivery_rate_app_limited: false,
            rto: Duration::ZERO,
            ato: Duration::ZERO,
            snd_mss: 0,
            rcv_mss: 0,
            unacked: 0,
            sacked: 0,
            lost: 0,
            retrans: 0,
            fackets: 0,
            last_data_sent: Duration::ZERO,
            last_ack_sent: Duration::ZERO,
            last_data_recv: Duration::ZERO,
            last_ack_recv: Duration::ZERO,
            pmtu: 0,
            rcv_ssthresh: 0,
            rtt: Duration::ZERO,
            rttvar: Duration::ZERO,
            snd_ssthresh: Self::NO_THRESHOLD,
            snd_cwnd: 0,
            advmss: 0,
            reordering: 0,
            rcv_rtt: Duration::ZERO,
            rcv_space: 0,
            total_retrans: 0,
            pacing_rate: u64::MAX,
            max_pacing_rate: u64::MAX,
            bytes_acked: 0,
            bytes_received: 0,
            segs_out: 0,
            segs_in: 0,
            notsent_bytes: 0,
            min_rtt: Duration::ZERO,
            data_segs_in: 0,
            data_segs_out: 0,
            delivery_rate: 0,
            busy_time: Duration::ZERO,
            rwnd_limited: Duration::ZERO,
            sndbuf_limited: Duration::ZERO,
            delivered: 0,
            delivered_ce: 0,
            bytes_sent: 0,
            bytes_retrans: 0,
            dsack_dups: 0,
            reord_seen: 0,
            rcv_ooopack: 0,
            snd_wnd: 0,
            rcv_wnd: 0,
            rehash: 0,
            total_rto: 0,
            total_rto_recoveries: 0,
            total_rto_time: Duration::ZERO,
            cwnd: 0,
            ssthresh: u64::MAX,
            ecn: false,
            in_flight: 0,
            unacked_octets: 0,
            rcv_ooo: 0,
            refused: 0,
        }
    }
}
