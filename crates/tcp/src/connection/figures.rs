//! Figures about a connection: what is counted, and for how long it was busy with what.

use alloc::boxed::Box;
use core::time::Duration;

use super::Connection;
use crate::event::Timer;
use crate::info::TcpInfo;
use crate::options::Agreed;
use crate::time::Instant;

/// What every connection counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counters {
    pub(super) segs_in: u64,
    pub(super) segs_out: u64,
    pub(super) data_segs_in: u64,
    pub(super) data_segs_out: u64,
    pub(super) bytes_sent: u64,
    pub(super) bytes_acked: u64,
    pub(super) bytes_received: u64,
    pub(super) last_data_recv: Instant,
    /// Busy before `since`.
    busy: Nanos,
    /// Since when it does what it does.
    since: Instant,
    pub(super) delivered: u32,
    pub(super) doing: Doing,
}

/// Nanoseconds: half the size of a [`Duration`].
type Nanos = u64;

/// What holds the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// Nothing is unacknowledged or unsent.
    Nothing,
    /// The network, or nobody.
    Sending,
    /// The peer's window.
    Window,
    /// A user who waits for room, with everything sent.
    Buffer,
}

/// What only connections in trouble count.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trouble {
    pub(super) bytes_retrans: u64,
    pub(super) retrans: u64,
    pub(super) refused: u64,
    pub(super) rcv_ooopack: u32,
    pub(super) dsack_dups: u32,
    total_rto: u32,
    total_rto_recoveries: u32,
    total_rto_time: Duration,
    /// The first timeout of a run that is not over.
    rto_since: Option<Instant>,
    rwnd_limited: Duration,
    sndbuf_limited: Duration,
}

impl Counters {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            segs_in: 0,
            segs_out: 0,
            data_segs_in: 0,
            data_segs_out: 0,
            bytes_sent: 0,
            bytes_acked: 0,
            bytes_received: 0,
            last_data_recv: now,
            busy: 0,
            since: now,
            delivered: 0,
            doing: Doing::Nothing,
        }
    }
}

impl Connection {
    pub(super) fn trouble_mut(&mut self) -> &mut Trouble {
        self.trouble.get_or_insert_with(Box::default)
    }

    /// The retransmission timer fired.
    pub(super) fn count_timeout(&mut self, now: Instant) {
        let trouble = self.trouble_mut();
        trouble.total_rto = trouble.total_rto.saturating_add(1);
        if trouble.rto_since.is_none() {
            trouble.rto_since = Some(now);
            trouble.total_rto_recoveries = trouble.total_rto_recoveries.saturating_add(1);
        }
    }

    /// SND.UNA moved: a run of timeouts is over.
    pub(super) fn count_progress(&mut self, now: Instant) {
        if let Some(trouble) = &mut self.trouble
            && let Some(since) = trouble.rto_since.take()
        {
            trouble.total_rto_time += now.since(since);
        }
    }

    /// What holds the sender may have changed.
    pub(super) fn count_time(&mut self, now: Instant) {
        let doing = self.doing(now);
        if doing == self.counters.doing {
            return;
        }
        let lasted = now.since(self.counters.since);
        match self.counters.doing {
            Doing::Window => self.trouble_mut().rwnd_limited += lasted,
            Doing::Buffer => self.trouble_mut().sndbuf_limited += lasted,
            Doing::Nothing | Doing::Sending => {}
        }
        let counters = &mut self.counters;
        if counters.doing != Doing::Nothing {
            let nanos = u64::try_from(lasted.as_nanos()).unwrap_or(u64::MAX);
            counters.busy = counters.busy.saturating_add(nanos);
        }
        counters.doing = doing;
        counters.since = now;
    }

    fn doing(&self, now: Instant) -> Doing {
        let unsent = self.snd.unsent();
        if unsent > 0 {
            let usable = self.snd.usable_window();
            let shut = usable < unsent.min(self.snd.mss) && self.state.is_synchronized();
            return if shut && self.congestion_room(now) > u64::from(usable) {
                Doing::Window
            } else {
                Doing::Sending
            };
        }
        match self.snd.in_flight.is_empty() {
            true => Doing::Nothing,
            false if self.user.waits_to_write => Doing::Buffer,
            false => Doing::Sending,
        }
    }

    /// Figures about it, by the names and in the units of Linux's `tcp_info`.
    #[must_use]
    pub fn info(&self, now: Instant) -> TcpInfo {
        let counters = &self.counters;
        let mut info = TcpInfo {
            options: options(&self.agreed),
            snd_wscale: self.agreed.send_scale,
            rcv_wscale: self.agreed.receive_scale,
            ecn: self.agreed.ecn,
            ato: self.config.delayed_ack,
            rcv_mss: self.rcv.mss.into(),
            last_data_sent: now.since(self.snd.last_sent),
            last_data_recv: now.since(counters.last_data_recv),
            last_ack_recv: now.since(self.patience.heard_at),
            pmtu: u32::from(self.setup.send_mss) + self.setup.endpoints.fixed_headers(),
            rcv_ssthresh: self.rcv.capacity,
            rcv_space: self.rcv.space(),
            rcv_rtt: self.rcv.rtt().unwrap_or_default(),
            advmss: u32::from(self.advertised_mss()),
            reordering: u32::from(self.config.duplicate_threshold),
            bytes_acked: counters.bytes_acked,
            bytes_received: counters.bytes_received,
            segs_out: counters.segs_out,
            segs_in: counters.segs_in,
            data_segs_in: counters.data_segs_in,
            data_segs_out: counters.data_segs_out,
            delivered: counters.delivered,
            bytes_sent: counters.bytes_sent,
            snd_wnd: self.snd.wnd,
            rcv_wnd: self.rcv.wnd(),
            in_flight: self.recovery.pipe(&self.snd),
            unacked_octets: self.snd.buffer.len() as u64,
            notsent_bytes: self.snd.unsent(),
            rcv_ooo: self.rcv.reassembly.octets() as u64,
            ..TcpInfo::new(self.state)
        };
        self.figures_of_loss(&mut info);
        self.figures_of_time(&mut info, now);
        info
    }

    fn figures_of_loss(&self, info: &mut TcpInfo) {
        let mss = self.snd.mss.max(1);
        info.ca_state = self.loss_phase();
        let backoff = self.patience.backoff;
        info.backoff = backoff;
        if self.timers.runs(Timer::Persist) || self.owed.probe {
            info.probes = backoff;
        } else {
            info.probes = self.patience.keep_alives;
            info.retransmits = backoff;
        }
        info.snd_mss = self.snd.mss;
        let segments = |octets: u64| u32::try_from(octets / u64::from(mss)).unwrap_or(u32::MAX);
        info.cwnd = self.congestion.window();
        info.pacing_rate = self.pacing_rate().unwrap_or(u64::MAX);
        info.max_pacing_rate = self.config.max_pacing_rate.unwrap_or(u64::MAX);
        info.snd_cwnd = segments(info.cwnd).max(1);
        info.ssthresh = self.congestion.threshold();
        if info.ssthresh != u64::MAX {
            info.snd_ssthresh = segments(info.ssthresh).min(TcpInfo::NO_THRESHOLD);
        }
        self.snd.in_flight.count_segments(mss, info);
        let trouble = self.trouble.as_deref().copied().unwrap_or_default();
        info.total_retrans = trouble.retrans;
        info.bytes_retrans = trouble.bytes_retrans;
        info.refused = trouble.refused;
        info.dsack_dups = trouble.dsack_dups;
        info.rcv_ooopack = trouble.rcv_ooopack;
        info.total_rto = trouble.total_rto;
        info.total_rto_recoveries = trouble.total_rto_recoveries;
        info.total_rto_time = trouble.total_rto_time;
        info.rwnd_limited = trouble.rwnd_limited;
        info.sndbuf_limited = trouble.sndbuf_limited;
    }

    fn figures_of_time(&self, info: &mut TcpInfo, now: Instant) {
        info.rto = self.rtt.backed_off(self.patience.backoff);
        info.rtt = self.rtt.srtt().unwrap_or_default();
        info.rttvar = self.rtt.rttvar();
        info.min_rtt = self.rtt.min_rtt().unwrap_or_default();
        let sample = self.rates.as_deref().and_then(|rates| rates.flight.rate);
        if let Some(sample) = sample {
            info.delivery_rate = sample.rate().unwrap_or_default();
            info.delivery_rate_app_limited = sample.app_limited;
        }
        let lasts = now.since(self.counters.since);
        info.busy_time = Duration::from_nanos(self.counters.busy);
        match self.counters.doing {
            Doing::Nothing => return,
            Doing::Sending => {}
            Doing::Window => info.rwnd_limited += lasts,
            Doing::Buffer => info.sndbuf_limited += lasts,
        }
        info.busy_time += lasts;
    }
}

/// The bits of `tcpi_options`.
pub(crate) fn options(agreed: &Agreed) -> u8 {
    let bit = |on: bool, bit| if on { bit } else { 0 };
    bit(agreed.timestamps.is_some(), TcpInfo::TIMESTAMPS)
        | bit(agreed.sack, TcpInfo::SACK)
        | bit(agreed.scaling, TcpInfo::WSCALE)
        | bit(agreed.ecn, TcpInfo::ECN)
}
