//! `tcp_info` and `SO_MEMINFO`: figures by the names that the kernels give them.

use std::time::Duration;

use woshou_stack::{ConnId, Stack};
use woshou_tcp::connection::LossPhase;
use woshou_tcp::{Connection, Instant, State, TcpInfo};

use crate::constants::{TCP_CA_Disorder, TCP_CA_Loss, TCP_CA_Open, TCP_CA_Recovery};
use crate::personality::Personality;

/// A structure: names in the order of the kernel's header, and their values where the stack knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures(Vec<(&'static str, Option<u64>)>);

/// One figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Its value.
    Known(u64),
    /// The structure has it, but the stack does not know it: not zero, but nothing.
    Absent,
    /// The structure has no such field.
    NoSuchField,
}

impl Figures {
    /// The figure called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Figure {
        match self.0.iter().find(|(known, _)| *known == name) {
            Some((_, Some(value))) => Figure::Known(*value),
            Some((_, None)) => Figure::Absent,
            None => Figure::NoSuchField,
        }
    }

    /// All of them, in the header's order; `None`: not known.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Option<u64>)> {
        self.0.iter().copied()
    }

    /// Every name of `names`, absent.
    fn absent(names: &[&'static str]) -> Self {
        Self(names.iter().map(|name| (*name, None)).collect())
    }

    fn set(&mut self, name: &str, value: impl Into<u64>) {
        if let Some((_, figure)) = self.0.iter_mut().find(|(known, _)| *known == name) {
            *figure = Some(value.into());
        }
    }
}

/// The fields of Linux's `struct tcp_info`, in its order.
pub const LINUX_TCP_INFO: &[&str] = &[
    "tcpi_state",
    "tcpi_ca_state",
    "tcpi_retransmits",
    "tcpi_probes",
    "tcpi_backoff",
    "tcpi_options",
    "tcpi_snd_wscale",
    "tcpi_rcv_wscale",
    "tcpi_delivery_rate_app_limited",
    "tcpi_fastopen_client_fail",
    "tcpi_rto",
    "tcpi_ato",
    "tcpi_snd_mss",
    "tcpi_rcv_mss",
    "tcpi_unacked",
    "tcpi_sacked",
    "tcpi_lost",
    "tcpi_retrans",
    "tcpi_fackets",
    "tcpi_last_data_sent",
    "tcpi_last_ack_sent",
    "tcpi_last_data_recv",
    "tcpi_last_ack_recv",
    "tcpi_pmtu",
    "tcpi_rcv_ssthresh",
    "tcpi_rtt",
    "tcpi_rttvar",
    "tcpi_snd_ssthresh",
    "tcpi_snd_cwnd",
    "tcpi_advmss",
    "tcpi_reordering",
    "tcpi_rcv_rtt",
    "tcpi_rcv_space",
    "tcpi_total_retrans",
    "tcpi_pacing_rate",
    "tcpi_max_pacing_rate",
    "tcpi_bytes_acked",
    "tcpi_bytes_received",
    "tcpi_segs_out",
    "tcpi_segs_in",
    "tcpi_notsent_bytes",
    "tcpi_min_rtt",
    "tcpi_data_segs_in",
    "tcpi_data_segs_out",
    "tcpi_delivery_rate",
    "tcpi_busy_time",
    "tcpi_rwnd_limited",
    "tcpi_sndbuf_limited",
    "tcpi_delivered",
    "tcpi_delivered_ce",
    "tcpi_bytes_sent",
    "tcpi_bytes_retrans",
    "tcpi_dsack_dups",
    "tcpi_reord_seen",
    "tcpi_rcv_ooopack",
    "tcpi_snd_wnd",
    "tcpi_rcv_wnd",
    "tcpi_rehash",
    "tcpi_total_rto",
    "tcpi_total_rto_recoveries",
    "tcpi_total_rto_time",
    "tcpi_received_ce",
    "tcpi_delivered_e1_bytes",
    "tcpi_delivered_e0_bytes",
    "tcpi_delivered_ce_bytes",
    "tcpi_received_e1_bytes",
    "tcpi_received_e0_bytes",
    "tcpi_received_ce_bytes",
    "tcpi_ecn_mode",
    "tcpi_accecn_opt_seen",
    "tcpi_accecn_fail_mode",
];

/// The fields of FreeBSD's `struct tcp_info`, in its order; windows and thresholds are octets there.
pub const FREEBSD_TCP_INFO: &[&str] = &[
    "tcpi_state",
    "tcpi_options",
    "tcpi_snd_wscale",
    "tcpi_rcv_wscale",
    "tcpi_rto",
    "tcpi_snd_mss",
    "tcpi_rcv_mss",
    "tcpi_last_data_recv",
    "tcpi_rtt",
    "tcpi_rttvar",
    "tcpi_snd_ssthresh",
    "tcpi_snd_cwnd",
    "tcpi_rcv_space",
    "tcpi_snd_wnd",
    "tcpi_snd_bwnd",
    "tcpi_snd_nxt",
    "tcpi_rcv_nxt",
    "tcpi_toe_tid",
    "tcpi_snd_rexmitpack",
    "tcpi_rcv_ooopack",
    "tcpi_snd_zerowin",
    "tcpi_delivered_ce",
    "tcpi_received_ce",
    "tcpi_rcv_adv",
    "tcpi_dupacks",
    "tcpi_rttmin",
];

/// The array of SO_MEMINFO, in its order.
pub const MEMINFO: &[&str] = &[
    "SK_MEMINFO_RMEM_ALLOC",
    "SK_MEMINFO_RCVBUF",
    "SK_MEMINFO_WMEM_ALLOC",
    "SK_MEMINFO_SNDBUF",
    "SK_MEMINFO_FWD_ALLOC",
    "SK_MEMINFO_WMEM_QUEUED",
    "SK_MEMINFO_OPTMEM",
    "SK_MEMINFO_BACKLOG",
    "SK_MEMINFO_DROPS",
];

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// TCP_INFO of a socket without a connection.
pub(crate) fn without_connection(personality: Personality, state: State) -> Figures {
    let mut figures = Figures::absent(match personality {
        Personality::Linux => LINUX_TCP_INFO,
        Personality::FreeBsd => FREEBSD_TCP_INFO,
    });
    figures.set("tcpi_state", personality.state_number(state));
    figures.set("tcpi_options", 0u8);
    figures
}

/// TCP_INFO of a listening socket: connections that wait, and how many may.
pub(crate) fn of_listener(personality: Personality, (waiting, most): (usize, usize)) -> Figures {
    let mut figures = without_connection(personality, State::Listen);
    figures.set("tcpi_unacked", waiting as u64);
    figures.set("tcpi_sacked", most.saturating_sub(1) as u64);
    figures
}

/// TCP_INFO of a connection.
pub(crate) fn of_connection(
    personality: Personality,
    stack: &Stack,
    now: Instant,
    id: ConnId,
) -> Figures {
    let Some(info) = stack.info(now, id) else {
        return without_connection(personality, State::Closed);
    };
    let mut figures = without_connection(personality, stack.state(id));
    common(&mut figures, &info);
    match personality {
        Personality::Linux => {
            linux(&mut figures, &info);
        }
        Personality::FreeBsd => {
            figures.set("tcpi_snd_cwnd", info.cwnd);
            figures.set("tcpi_snd_ssthresh", info.ssthresh.min(u64::from(u32::MAX)));
            figures.set("tcpi_rcv_space", info.rcv_wnd);
            figures.set("tcpi_snd_rexmitpack", info.total_retrans);
            figures.set("tcpi_rttmin", micros(info.min_rtt));
        }
    }
    figures
}

/// What both structures have with the same meaning.
fn common(figures: &mut Figures, info: &TcpInfo) {
    figures.set("tcpi_rto", micros(info.rto));
    figures.set("tcpi_rtt", micros(info.rtt));
    figures.set("tcpi_rttvar", micros(info.rttvar));
    figures.set("tcpi_snd_mss", info.snd_mss);
    figures.set("tcpi_snd_wnd", info.snd_wnd);
    figures.set("tcpi_snd_wscale", info.snd_wscale);
    figures.set("tcpi_rcv_wscale", info.rcv_wscale);
    figures.set("tcpi_options", info.options);
    figures.set("tcpi_rcv_mss", info.rcv_mss);
    figures.set("tcpi_rcv_ooopack", info.rcv_ooopack);
}

/// What Linux adds. What the stack does not measure stays absent.
fn linux(figures: &mut Figures, info: &TcpInfo) {
    let phase = match info.ca_state {
        LossPhase::Disorder => TCP_CA_Disorder,
        LossPhase::Recovery => TCP_CA_Recovery,
        LossPhase::Loss => TCP_CA_Loss,
        _ => TCP_CA_Open,
    };
    figures.set("tcpi_ca_state", phase.cast_unsigned());
    let numbers: [(&str, u64); 34] = [
        ("tcpi_retransmits", info.retransmits.into()),
        ("tcpi_probes", info.probes.into()),
        ("tcpi_backoff", info.backoff.into()),
        ("tcpi_unacked", info.unacked.into()),
        ("tcpi_sacked", info.sacked.into()),
        ("tcpi_lost", info.lost.into()),
        ("tcpi_retrans", info.retrans.into()),
        ("tcpi_fackets", info.fackets.into()),
        ("tcpi_pmtu", info.pmtu.into()),
        ("tcpi_rcv_ssthresh", info.rcv_ssthresh.into()),
        ("tcpi_snd_ssthresh", info.snd_ssthresh.into()),
        ("tcpi_snd_cwnd", info.snd_cwnd.into()),
        ("tcpi_advmss", info.advmss.into()),
        ("tcpi_reordering", info.reordering.into()),
        ("tcpi_rcv_space", info.rcv_space.into()),
        ("tcpi_total_retrans", info.total_retrans),
        ("tcpi_pacing_rate", info.pacing_rate),
        ("tcpi_max_pacing_rate", info.max_pacing_rate),
        ("tcpi_bytes_acked", info.bytes_acked),
        ("tcpi_bytes_received", info.bytes_received),
        ("tcpi_bytes_sent", info.bytes_sent),
        ("tcpi_bytes_retrans", info.bytes_retrans),
        ("tcpi_segs_out", info.segs_out),
        ("tcpi_segs_in", info.segs_in),
        ("tcpi_data_segs_out", info.data_segs_out),
        ("tcpi_data_segs_in", info.data_segs_in),
        ("tcpi_notsent_bytes", info.notsent_bytes.into()),
        ("tcpi_delivery_rate", info.delivery_rate),
        (
            "tcpi_delivery_rate_app_limited",
            info.delivery_rate_app_limited.into(),
        ),
        ("tcpi_delivered", info.delivered.into()),
        ("tcpi_dsack_dups", info.dsack_dups.into()),
        ("tcpi_rcv_wnd", info.rcv_wnd.into()),
        ("tcpi_total_rto", info.total_rto.into()),
        (
            "tcpi_total_rto_recoveries",
            info.total_rto_recoveries.into(),
        ),
    ];
    for (name, value) in numbers {
        figures.set(name, value);
    }
    linux_times(figures, info);
}

/// Microseconds and, since something was last sent or heard, milliseconds.
fn linux_times(figures: &mut Figures, info: &TcpInfo) {
    for (name, time) in [
        ("tcpi_ato", info.ato),
        ("tcpi_min_rtt", info.min_rtt),
        ("tcpi_busy_time", info.busy_time),
        ("tcpi_rwnd_limited", info.rwnd_limited),
        ("tcpi_sndbuf_limited", info.sndbuf_limited),
    ] {
        figures.set(name, micros(time));
    }
    for (name, time) in [
        ("tcpi_last_data_sent", info.last_data_sent),
        ("tcpi_last_ack_sent", info.last_ack_sent),
        ("tcpi_last_data_recv", info.last_data_recv),
        ("tcpi_last_ack_recv", info.last_ack_recv),
        ("tcpi_total_rto_time", info.total_rto_time),
    ] {
        figures.set(name, millis(time));
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// SO_MEMINFO: what lies in the buffers, and how much may.
pub(crate) fn memory(
    (receive_buffer, send_buffer): (u64, u64),
    connection: Option<&Connection>,
) -> Figures {
    let mut figures = Figures::absent(MEMINFO);
    figures.set("SK_MEMINFO_RCVBUF", receive_buffer);
    figures.set("SK_MEMINFO_SNDBUF", send_buffer);
    let readable = connection.map_or(0, Connection::readable);
    let queued = connection.map_or(0, Connection::unacknowledged);
    figures.set("SK_MEMINFO_RMEM_ALLOC", readable as u64);
    figures.set("SK_MEMINFO_WMEM_QUEUED", queued as u64);
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_absent_and_unheard_of() {
        let figures = without_connection(Personality::Linux, State::Listen);
        assert_eq!(figures.get("tcpi_state"), Figure::Known(10));
        assert_eq!(figures.get("tcpi_sacked"), Figure::Absent);
        assert_eq!(figures.get("tcpi_snd_bwnd"), Figure::NoSuchField);
        assert_eq!(figures.iter().count(), LINUX_TCP_INFO.len());
        let figures = of_listener(Personality::Linux, (2, 6));
        assert_eq!(figures.get("tcpi_unacked"), Figure::Known(2));
        assert_eq!(figures.get("tcpi_sacked"), Figure::Known(5));
        let figures = without_connection(Personality::FreeBsd, State::Closed);
        assert_eq!(figures.get("tcpi_state"), Figure::Known(0));
        assert_eq!(figures.get("tcpi_ca_state"), Figure::NoSuchField);
    }

    #[test]
    fn no_name_twice() {
        for names in [LINUX_TCP_INFO, FREEBSD_TCP_INFO, MEMINFO] {
            let unique: std::collections::BTreeSet<_> = names.iter().collect();
            assert_eq!(unique.len(), names.len());
        }
    }
}
