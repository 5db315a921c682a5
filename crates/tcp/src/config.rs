//! How a connection behaves: defaults, units, costs. All of it is chosen at run time.

use alloc::sync::Arc;
use core::time::Duration;

use crate::congestion::{CongestionFactory, Cubic};
use crate::ecn::EcnPolicy;
use crate::segment::{Ecn, Flags};

/// Keep-alive probing (RFC 9293 section 3.8.4), off unless asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Silence before the first probe. Default 2 h (MUST-28).
    pub idle_after: Duration,
    /// Between probes. Default 75 s.
    pub interval: Duration,
    /// Unanswered probes that mean death; at least 2 (MUST-29). Default 9.
    pub probes: u8,
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self {
            //= rfc9293 MUST-28
            idle_after: Duration::from_secs(7200),
            interval: Duration::from_secs(75),
            probes: 9,
        }
    }
}

/// When a listener answers a SYN by a cookie (RFC 4987) instead of by an entry in its table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SynCookies {
    /// Never: a SYN that finds no room is dropped.
    Never,
    /// When the table is full, or the sender's part of it is.
    #[default]
    WhenFull,
    /// Always: no table at all. A SYN,ACK that is lost is then repeated only when the peer's SYN is.
    Always,
}

/// What happens to a handshake that is over while the accept queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AcceptOverflow {
    /// Its last acknowledgement is dropped, as if lost: the peer, who believes the connection open, sends its text again until
    /// there is room. As Linux.
    #[default]
    Drop,
    /// RST: the peer learns at once that we are overloaded (Linux's `tcp_abort_on_overflow`).
    Reset,
}

/// The behaviour of connections and listeners. Shared (`Arc`) by all that are made from it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Offer window scaling (RFC 7323 section 2). Off: windows end at 65,535 octets.
    pub window_scaling: bool,
    /// The shift to offer; `None`: the least that covers `receive_buffer`. At most 14.
    pub window_scale: Option<u8>,
    /// Offer timestamps (RFC 7323 section 3). 12 octets a segment; brings PAWS and an RTT sample an ACK.
    pub timestamps: bool,
    /// Offer SACK (RFC 2018).
    pub sack: bool,
    /// Explicit congestion notification (RFC 3168). Default: accepted, not asked for.
    pub ecn: EcnPolicy,
    /// Largest segment to advertise, octets without options; `None`: what the link carries (RFC 9293 MUST-67).
    pub mss: Option<u16>,
    /// Largest segment in either direction, octets without options: caps what is advertised and what is sent; `None`:
    /// the link, the path and the peer decide. For paths that drop what is larger and tell nobody.
    pub mss_clamp: Option<u16>,
    /// Search for what the path carries where no router tells (PLPMTUD; RFC 4821, RFC 8899): a full segment that times out
    /// goes again in small ones, and probes find the way up again. Default on.
    pub mtu_probing: bool,
    /// How long what a search found holds before larger segments are tried again. Default 10 min (RFC 4821 section 7.4).
    pub mtu_search_interval: Duration,
    /// Segments that may leave before the first acknowledgement. Default 10 (RFC 6928).
    pub initial_window: u16,
    /// Nagle's algorithm (RFC 9293 SHLD-7). Default on; per connection by `set_nodelay`.
    pub nagle: bool,
    /// The longest an acknowledgement waits for company. Default 40 ms; below 500 ms (MUST-40).
    pub delayed_ack: Duration,
    /// Full segments that force an acknowledgement. Default 2 (SHLD-19).
    pub ack_every: u8,
    /// Full-sized segments at the start that are acknowledged at once, so that the peer's slow start is not
    /// held up; zero: none. Default 0.
    pub quick_acks: u8,
    /// Least that the retransmission timeout exceeds the smoothed round trip by; what is above `max_rto` counts as that. Default
    /// 200 ms (RFC 6298 2.4 says 1 s in all; every kernel waits less, and Linux by this rule).
    pub min_rto: Duration,
    /// Retransmission timeout before the first sample. Default 1 s (RFC 6298 2.1).
    pub initial_rto: Duration,
    /// Most the timeout doubles to; at least a millisecond. Default 60 s (RFC 6298 2.5).
    pub max_rto: Duration,
    /// Retransmissions of one segment after which the path is reported doubtful ([`crate::Wake::DOUBTFUL`]): R1.
    /// Default 3 (SHLD-10); zero: never.
    //= rfc9293 SHLD-10
    pub r1: u8,
    /// How long text may stay unacknowledged before the connection is given up: R2. Default 924 s, what
    /// Linux's 15 retransmissions come to; at least 100 s is the RFC's advice (SHLD-11).
    pub user_timeout: Duration,
    /// The same for our SYN and SYN,ACK. Default 3 min (MUST-23).
    pub open_timeout: Duration,
    /// Repetitions of our SYN from which on it offers nothing but its MSS, for paths that drop what they do not know.
    /// Default never; FreeBSD's `rexmit_drop_options` is 3.
    pub bare_syn_after: Option<u8>,
    /// Give up opening at the first ICMP unreachable instead of at `open_timeout`.
    /// RFC 9293 MUST-56 says never; kernels do while opening (RFC 5461). Default off.
    pub open_fails_on_path_error: bool,
    /// Give up a connection that is not synchronized yet (SYN-SENT, SYN-RECEIVED) at an ICMP error that will not pass
    /// ([`crate::error::PathError::is_hard`]). Default on (RFC 9293 SHLD-26); once synchronized, nothing that ICMP says ends
    /// it (RFC 5461, RFC 5927).
    pub open_fails_on_hard_error: bool,
    /// Most octets of text held for a user who does not read, and so the largest window. Default 32 MiB, what 1 Gbit/s over
    /// 100 ms takes, twice and some more. Nothing is held before text arrives.
    pub receive_buffer: usize,
    /// Where the receive buffer begins, octets; it grows as the user keeps up, up to `receive_buffer`. That much or more: its
    /// size is fixed ([`Self::fix_receive_buffer`]). Default 128 KiB.
    pub receive_buffer_start: usize,
    /// Most octets of text held for a peer who does not acknowledge. Default 32 MiB.
    pub send_buffer: usize,
    /// Where the send buffer begins, octets; it takes twice what may be in flight, up to `send_buffer`. That much or more: its
    /// size is fixed ([`Self::fix_send_buffer`]). Default 128 KiB.
    pub send_buffer_start: usize,
    /// 2 MSL: how long TIME-WAIT lasts. Default 60 s as in every kernel (RFC 9293's MSL of 2 min gives 240 s).
    pub time_wait: Duration,
    /// How long FIN-WAIT-2 lasts once the user let go of the connection. Default 60 s.
    pub fin_wait_2: Duration,
    /// As `user_timeout`, once the user let go of the connection (the less of the two counts): nobody waits for it, and a
    /// peer who keeps its window shut would keep it for ever (RFC 6429). Every acknowledgement of new text starts it
    /// anew. Default 100 s, the least that RFC 9293 SHLD-11 advises.
    pub orphan_timeout: Duration,
    /// Keep-alive; `None`: off (MUST-25).
    pub keep_alive: Option<KeepAlive>,
    /// Keep-alives carry one octet of garbage, for peers that do not answer empty ones (MAY-6). Default off (SHLD-12).
    pub keep_alive_garbage: bool,
    /// Duplicate acknowledgements that mean loss. Default 3 (RFC 5681).
    pub duplicate_threshold: u8,
    /// Least octets of text a segment to the peer is cut to, whatever MSS it offers. Default 88 (48 + options).
    pub min_send_mss: u16,
    /// Challenge ACKs a connection sends in a second. Default 10 (RFC 5961 section 7).
    pub challenge_acks_per_second: u8,
    /// Half-open connections a listener holds. Default 1,024.
    pub half_open: usize,
    /// What becomes of SYNs that find no room there. Default: cookies when full.
    pub syn_cookies: SynCookies,
    /// What becomes of handshakes that are over when the accept queue is full; a SYN that comes then is dropped whatever this
    /// says. Default: dropped.
    pub accept_overflow: AcceptOverflow,
    /// The congestion control algorithm. Default: CUBIC with HyStart++.
    pub congestion: Arc<dyn CongestionFactory>,
    /// How losses are detected, and false alarms taken back.
    pub loss_detection: LossDetection,
    /// Whether segments are spread over time. Default: where the algorithm asks for it.
    pub pacing: Pacing,
    /// Most octets a second that a connection is paced at, whatever the algorithm says; `None`: no bound.
    pub max_pacing_rate: Option<u64>,
    /// Where an algorithm says no rate of its own: the window a round trip, times so many per cent, while the window is below
    /// half of the threshold. Default 200, so that slow start doubles.
    pub pacing_percent_slow_start: u16,
    /// The same from there on. Default 120, so that the window remains what limits.
    pub pacing_percent_avoidance: u16,
    /// Whether an idle time of more than a retransmission timeout brings slow start again (RFC 5681 section 4.1). Default true.
    pub slow_start_after_idle: bool,
    /// Whether expected text takes the short way (header prediction). Both ways lead to the same; this is for whoever wants to see
    /// that, or to measure it. Default true.
    pub header_prediction: bool,
}

impl Config {
    /// A receive buffer of `octets` from the beginning, which does not grow, as SO_RCVBUF makes one.
    pub fn fix_receive_buffer(&mut self, octets: usize) {
        self.receive_buffer = octets;
        self.receive_buffer_start = octets;
    }

    /// A send buffer of `octets` from the beginning, which does not grow, as SO_SNDBUF makes one.
    pub fn fix_send_buffer(&mut self, octets: usize) {
        self.send_buffer = octets;
        self.send_buffer_start = octets;
    }

    /// Octets of the receive buffer at the beginning of a connection.
    #[must_use]
    pub fn first_receive_buffer(&self) -> usize {
        self.receive_buffer_start.min(self.receive_buffer)
    }

    /// Octets of the send buffer at the beginning of a connection.
    #[must_use]
    pub fn first_send_buffer(&self) -> usize {
        self.send_buffer_start.min(self.send_buffer)
    }
}

/// How losses are detected, and false alarms taken back. The default has all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossDetection {
    /// RACK, where SACK was agreed (RFC 8985 section 6).
    pub rack: bool,
    /// RACK's reordering window stays at a quarter of the least round trip, and does not adapt. Default false.
    pub rack_static_window: bool,
    /// Three duplicate acknowledgements show a loss also where RACK runs and no reordering was seen (RFC 8985 section 6.2, step 4).
    /// Default true.
    pub rack_duplicate_threshold: bool,
    /// Tail loss probes, where SACK was agreed (RFC 8985 section 7).
    pub tail_loss_probe: bool,
    /// F-RTO (RFC 5682).
    pub frto: bool,
    /// Eifel: timestamps take back a false alarm (RFC 3522, RFC 4015).
    pub eifel: bool,
    /// D-SACK takes back a false alarm (RFC 3708); what arrives twice is reported (RFC 2883) where SACK was agreed.
    pub duplicate_sack: bool,
}

impl Default for LossDetection {
    fn default() -> Self {
        Self {
            rack: true,
            rack_static_window: false,
            rack_duplicate_threshold: true,
            tail_loss_probe: true,
            frto: true,
            eifel: true,
            duplicate_sack: true,
        }
    }
}

/// Whether segments are spread over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Pacing {
    /// Never: segments leave as soon as the window lets them.
    Off,
    /// Where the algorithm asks for it.
    #[default]
    Algorithm,
    /// Always: at what the algorithm says, or else at the window a round trip, a little faster.
    Always,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            window_scaling: true,
            window_scale: None,
            timestamps: true,
            sack: true,
            ecn: EcnPolicy::Accept,
            mss: None,
            mss_clamp: None,
            mtu_probing: true,
            mtu_search_interval: Duration::from_secs(600),
            initial_window: 10,
            nagle: true,
            delayed_ack: Duration::from_millis(40),
            ack_every: 2,
            quick_acks: 0,
            min_rto: Duration::from_millis(200),
            initial_rto: Duration::from_secs(1),
            max_rto: Duration::from_secs(60),
            r1: 3,
            //= rfc9293 SHLD-11
            user_timeout: Duration::from_secs(924),
            open_timeout: Duration::from_secs(180),
            bare_syn_after: None,
            open_fails_on_path_error: false,
            open_fails_on_hard_error: true,
            receive_buffer: 32 << 20,
            receive_buffer_start: 128 << 10,
            send_buffer: 32 << 20,
            send_buffer_start: 128 << 10,
            time_wait: Duration::from_secs(60),
            fin_wait_2: Duration::from_secs(60),
            orphan_timeout: Duration::from_secs(100),
            keep_alive: None,
            keep_alive_garbage: false,
            duplicate_threshold: 3,
            min_send_mss: 88,
            challenge_acks_per_second: 10,
            half_open: 1024,
            syn_cookies: SynCookies::default(),
            accept_overflow: AcceptOverflow::default(),
            congestion: Arc::new(Cubic::factory()),
            loss_detection: LossDetection::default(),
            pacing: Pacing::default(),
            max_pacing_rate: None,
            pacing_percent_slow_start: 200,
            pacing_percent_avoidance: 120,
            slow_start_after_idle: true,
            header_prediction: true,
        }
    }
}

impl Config {
    /// `ecn`, unless the algorithm cannot do without.
    pub(crate) fn ecn_policy(&self) -> EcnPolicy {
        if self.congestion.needs_ecn() {
            EcnPolicy::Request
        } else {
            self.ecn
        }
    }

    /// The ECN field of the packet of a SYN or SYN,ACK: with DCTCP it is capable too (RFC 8257 section 3.6).
    pub(crate) fn ecn_of_syn(&self, flags: Flags) -> Ecn {
        if flags.contains(Flags::SYN | Flags::ECE) && self.congestion.needs_ecn() {
            Ecn::Ect0
        } else {
            Ecn::NotEct
        }
    }
}
