//! What the sysctls of Linux and FreeBSD mean for woshou.

use core::time::Duration;

use woshou_stack::ClosedPorts;
use woshou_tcp::EcnPolicy;
use woshou_tcp::congestion;

use crate::profile::{Knobs, backoff_sum, linux_receive_buffer};

/// What became of a sysctl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Set,
    /// It changes nothing, and why.
    Nothing(&'static str),
    Unsupported,
}

use Outcome::{Nothing, Set, Unsupported};

const NO_OFFLOAD: Outcome =
    Nothing("packets are compared as a device without offloads would send them");
const NO_MEMORY: Outcome = Nothing("a drill starts anew");
const USED_ELSEWHERE: Outcome = Nothing("a script that uses it is told so where it does");
const DEFAULT: Outcome = Nothing("woshou does the same");

/// Turns the knob that `name` means.
pub(super) fn apply(knobs: &mut Knobs, name: &str, value: &str) -> Outcome {
    let numbers: Vec<i64> = value.split(' ').filter_map(number).collect();
    let first = numbers.first().copied();
    if let Some(name) = name.strip_prefix("net.ipv4.") {
        return match first {
            Some(first) => linux(knobs, name, &numbers, first),
            None => linux_words(knobs, name, value),
        };
    }
    if let Some(name) = name.strip_prefix("net.inet.tcp.") {
        return match first {
            Some(first) => freebsd(knobs, name, first),
            None => freebsd_words(knobs, name, value),
        };
    }
    match (name, first) {
        ("kern.ipc.maxsockbuf", Some(octets)) => {
            knobs.tcp.window_scale = Some(scale_for(octets.saturating_sub(1)));
            Set
        }
        ("net.inet.ip.ttl" | "net.inet6.ip6.hlim", Some(ttl)) => set_ttl(knobs, ttl),
        ("net.inet.icmp.icmplim" | "net.inet6.icmp6.errppslimit", Some(rate)) => {
            knobs.stack.replies_per_second = u32::try_from(rate)
                .ok()
                .filter(|rate| *rate > 0)
                .unwrap_or(u32::MAX);
            Set
        }
        ("net.ipv6.conf.all.hop_limit" | "net.ipv6.conf.default.hop_limit", Some(ttl)) => {
            set_ttl(knobs, ttl)
        }
        _ if other_is_harmless(name) => Nothing("it is not TCP's"),
        _ => Unsupported,
    }
}

fn number(word: &str) -> Option<i64> {
    match word.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None => word.parse().ok(),
    }
}

fn set_ttl(knobs: &mut Knobs, ttl: i64) -> Outcome {
    match u8::try_from(ttl) {
        Ok(ttl) if ttl > 0 => {
            knobs.stack.ttl = ttl;
            Set
        }
        _ => Unsupported,
    }
}

fn other_is_harmless(name: &str) -> bool {
    const PREFIXES: [&str; 9] = [
        "net.core.",
        "net.unix.",
        "kern.ipc.",
        "kern.timecounter.",
        "net.ipv6.auto_flowlabels",
        "net.ipv6.flowlabel",
        "net.inet.ip.portrange.",
        "net.inet6.ip6.dad_count",
        "kernel.",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The least shift that makes a window of `octets` sayable.
fn scale_for(octets: i64) -> u8 {
    (0..14)
        .find(|shift| (65_535_i64 << shift) >= octets)
        .unwrap_or(14)
}

fn millis(value: i64) -> Duration {
    Duration::from_millis(u64::try_from(value).unwrap_or(0))
}

fn seconds(value: i64) -> Duration {
    Duration::from_secs(u64::try_from(value).unwrap_or(0))
}

fn set_bool(knob: &mut bool, value: i64) -> Outcome {
    *knob = value != 0;
    Set
}

/// The values mean the same in both systems; above 2 there is AccECN (RFC 9768).
fn set_ecn(tcp: &mut woshou_tcp::Config, value: i64) -> Outcome {
    tcp.ecn = match value {
        0 => EcnPolicy::Off,
        1 => EcnPolicy::Request,
        2 => EcnPolicy::Accept,
        _ => return Unsupported,
    };
    Set
}

fn set_duration(knob: &mut Duration, value: Duration) -> Outcome {
    *knob = value;
    Set
}

/// Only `value` is what woshou does.
fn only(value: i64, does: &[i64]) -> Outcome {
    if does.contains(&value) {
        DEFAULT
    } else {
        Unsupported
    }
}

/// `net.ipv4.`, the value a number or several.
#[expect(clippy::too_many_lines, reason = "a table, a sysctl a row")]
fn linux(knobs: &mut Knobs, name: &str, numbers: &[i64], value: i64) -> Outcome {
    let tcp = &mut knobs.tcp;
    match name {
        "tcp_timestamps" => set_bool(&mut tcp.timestamps, value),
        "tcp_sack" => set_bool(&mut tcp.sack, value),
        "tcp_window_scaling" => set_bool(&mut tcp.window_scaling, value),
        "tcp_rmem" => match numbers {
            [_, default, most] => {
                let default = u64::try_from(*default).unwrap_or(0);
                tcp.fix_receive_buffer(linux_receive_buffer(default).max(1));
                tcp.window_scale = Some(scale_for(*most));
                Set
            }
            _ => Unsupported,
        },
        "tcp_wmem" => match numbers {
            [_, default, _] => {
                tcp.fix_send_buffer(usize::try_from(*default).unwrap_or(0).max(4096));
                Set
            }
            _ => Unsupported,
        },
        "tcp_syn_retries" | "tcp_synack_retries" => {
            let retries = u32::try_from(value).unwrap_or(0);
            tcp.open_timeout = backoff_sum(tcp.initial_rto, retries, tcp.max_rto);
            Set
        }
        "tcp_retries2" => {
            let retries = u32::try_from(value).unwrap_or(0);
            tcp.user_timeout = backoff_sum(
                Duration::from_millis(200),
                retries,
                Duration::from_secs(120),
            );
            Set
        }
        "tcp_retries1" => {
            tcp.r1 = u8::try_from(value).unwrap_or(u8::MAX);
            Set
        }
        "tcp_rto_min_us" => set_duration(
            &mut tcp.min_rto,
            Duration::from_micros(u64::try_from(value).unwrap_or(0)),
        ),
        "tcp_rto_max_ms" => set_duration(&mut tcp.max_rto, millis(value)),
        "tcp_fin_timeout" => set_duration(&mut tcp.fin_wait_2, seconds(value)),
        "tcp_reordering" => {
            tcp.duplicate_threshold = u8::try_from(value).unwrap_or(u8::MAX).max(1);
            Set
        }
        "tcp_min_snd_mss" => {
            tcp.min_send_mss = u16::try_from(value).unwrap_or(u16::MAX);
            Set
        }
        "tcp_max_syn_backlog" => {
            tcp.half_open = usize::try_from(value).unwrap_or(1).clamp(1, 1 << 20);
            Set
        }
        "tcp_ecn" => set_ecn(tcp, value),
        "ip_default_ttl" => set_ttl(knobs, value),
        _ => linux_of_loss(tcp, name, value),
    }
}

/// `net.ipv4.`: how losses are found and taken back, how text is paced.
fn linux_of_loss(tcp: &mut woshou_tcp::Config, name: &str, value: i64) -> Outcome {
    let loss = &mut tcp.loss_detection;
    match name {
        "tcp_recovery" => {
            loss.rack = value & 1 != 0;
            loss.rack_static_window = value & 2 != 0;
            loss.rack_duplicate_threshold = value & 4 == 0;
            Set
        }
        // 1 and 2 were an early retransmit that no kernel has any more.
        "tcp_early_retrans" => {
            loss.tail_loss_probe = value >= 3;
            Set
        }
        "tcp_frto" => set_bool(&mut loss.frto, value),
        "tcp_dsack" => set_bool(&mut loss.duplicate_sack, value),
        "tcp_slow_start_after_idle" => set_bool(&mut tcp.slow_start_after_idle, value),
        "tcp_pacing_ss_ratio" => {
            tcp.pacing_percent_slow_start = u16::try_from(value).unwrap_or(u16::MAX);
            Set
        }
        "tcp_pacing_ca_ratio" => {
            tcp.pacing_percent_avoidance = u16::try_from(value).unwrap_or(u16::MAX);
            Set
        }
        _ => linux_fixed(name, value),
    }
}

/// `net.ipv4.`: what woshou has one way of, or none.
#[expect(clippy::too_many_lines, reason = "a table, a sysctl a row")]
fn linux_fixed(name: &str, value: i64) -> Outcome {
    match name {
        "tcp_fack"
        | "tcp_moderate_rcvbuf"
        | "tcp_thin_linear_timeouts"
        | "tcp_ecn_option"
        | "tcp_ecn_fallback"
        | "tcp_ecn_option_beacon"
        | "tcp_comp_sack_nr"
        | "tcp_comp_sack_delay_ns"
        | "tcp_comp_sack_slack_ns"
        | "tcp_max_reordering" => Nothing("what woshou does of it shows in its packets"),
        "tcp_min_tso_segs"
        | "tcp_tso_win_divisor"
        | "tcp_tso_rtt_log"
        | "tcp_autocorking"
        | "tcp_limit_output_bytes"
        | "tcp_backlog_ack_defer" => NO_OFFLOAD,
        "tcp_no_metrics_save"
        | "tcp_no_ssthresh_metrics_save"
        | "tcp_low_latency"
        | "tcp_mem"
        | "tcp_pingpong_thresh"
        | "tcp_app_win"
        | "tcp_max_orphans"
        | "tcp_max_tw_buckets"
        | "tcp_reflect_tos"
        | "tcp_challenge_ack_limit"
        | "tcp_invalid_ratelimit"
        | "tcp_tw_reuse"
        | "tcp_tw_reuse_delay"
        | "tcp_probe_interval"
        | "tcp_probe_threshold"
        | "tcp_base_mss"
        | "tcp_mtu_probe_floor"
        | "ip_local_port_range"
        | "ip_local_reserved_ports"
        | "route.flush"
        | "tcp_migrate_req"
        | "tcp_plb_enabled"
        | "tcp_l3mdev_accept"
        | "tcp_child_ehash_entries"
        | "tcp_adv_win_scale" => NO_MEMORY,
        "tcp_fastopen"
        | "tcp_fastopen_blackhole_timeout_sec"
        | "tcp_fastopen_key"
        | "tcp_fastopen_cookies" => USED_ELSEWHERE,
        "tcp_mtu_probing"
        | "tcp_shrink_window"
        | "tcp_abort_on_overflow"
        | "tcp_rfc1337"
        | "tcp_stdurg"
        | "tcp_workaround_signed_windows"
        | "tcp_orphan_retries"
        | "ip_no_pmtu_disc"
        | "tcp_syn_linear_timeouts" => only(value, &[0]),
        "tcp_syncookies" => only(value, &[0, 1]),
        "tcp_keepalive_time" => only(value, &[7200]),
        "tcp_keepalive_intvl" => only(value, &[75]),
        "tcp_keepalive_probes" => only(value, &[9]),
        // Unset is the most that the type can say.
        "tcp_notsent_lowat" => only(value, &[-1, 4_294_967_295, 2_147_483_647]),
        _ if name.starts_with("icmp_")
            || name.starts_with("conf.")
            || name.starts_with("neigh.") =>
        {
            Nothing("it is not TCP's")
        }
        _ => Unsupported,
    }
}

/// `net.ipv4.`, the value a word.
fn linux_words(knobs: &mut Knobs, name: &str, value: &str) -> Outcome {
    match name {
        "tcp_congestion_control" => congestion_control(knobs, value),
        "tcp_fastopen_key" => USED_ELSEWHERE,
        "tcp_allowed_congestion_control" | "tcp_available_congestion_control" => DEFAULT,
        _ => Unsupported,
    }
}

fn congestion_control(knobs: &mut Knobs, name: &str) -> Outcome {
    match congestion::by_name(name.trim_matches('"')) {
        Some(factory) => {
            knobs.tcp.congestion = factory;
            Set
        }
        None => Unsupported,
    }
}

/// By the value of `blackhole`.
const CLOSED_PORTS: [ClosedPorts; 3] = [
    ClosedPorts::Reset,
    ClosedPorts::SilentToSyn,
    ClosedPorts::Silent,
];

/// `net.inet.tcp.`, the value a number.
fn freebsd(knobs: &mut Knobs, name: &str, value: i64) -> Outcome {
    let tcp = &mut knobs.tcp;
    match name {
        "rfc1323" => {
            tcp.window_scaling = matches!(value, 1 | 2);
            tcp.timestamps = matches!(value, 1 | 3);
            Set
        }
        "sack.enable" => set_bool(&mut tcp.sack, value),
        "recvspace" => {
            tcp.fix_receive_buffer(usize::try_from(value).unwrap_or(0).clamp(1, 1 << 30));
            Set
        }
        "sendspace" => {
            tcp.fix_send_buffer(usize::try_from(value).unwrap_or(0).clamp(1, 1 << 30));
            Set
        }
        "ecn.enable" => set_ecn(tcp, value),
        "rexmit_initial" => set_duration(&mut tcp.initial_rto, millis(value)),
        "rexmit_min" => set_duration(&mut tcp.min_rto, millis(value.saturating_add(200))),
        // FreeBSD adds the slop to every timeout; the least timeout is where it shows.
        "rexmit_slop" => set_duration(&mut tcp.min_rto, millis(value.saturating_add(30))),
        "keepinit" => set_duration(&mut tcp.open_timeout, millis(value)),
        "delacktime" => set_duration(&mut tcp.delayed_ack, millis(value)),
        "delayed_ack" => {
            tcp.ack_every = if value == 0 { 1 } else { 2 };
            Set
        }
        "icmp_may_rst" => {
            set_bool(&mut tcp.open_fails_on_hard_error, value);
            set_bool(&mut tcp.open_fails_on_path_error, value)
        }
        "initcwnd_segments" => {
            tcp.initial_window = u16::try_from(value).unwrap_or(u16::MAX).max(1);
            Set
        }
        "rexmit_drop_options" => {
            tcp.bare_syn_after = (value != 0).then_some(3);
            Set
        }
        "drop_synfin" => set_bool(&mut knobs.stack.drop_syn_fin, value),
        "blackhole" => {
            let Some(closed) = usize::try_from(value)
                .ok()
                .and_then(|value| CLOSED_PORTS.get(value))
            else {
                return Unsupported;
            };
            knobs.stack.closed_ports = *closed;
            Set
        }
        "minmss" => {
            tcp.min_send_mss = u16::try_from(value).unwrap_or(u16::MAX);
            Set
        }
        "msl" => set_duration(&mut tcp.time_wait, millis(value.saturating_mul(2))),
        "finwait2_timeout" => set_duration(&mut tcp.fin_wait_2, millis(value)),
        _ => freebsd_fixed(name, value),
    }
}

/// `net.inet.tcp.`: what woshou has one way of, or none.
fn freebsd_fixed(name: &str, value: i64) -> Outcome {
    match name {
        "insecure_rst"
        | "insecure_syn"
        | "insecure_ack"
        | "syncookies_only"
        | "always_keepalive"
        | "ts_offset_per_conn"
        | "tolerate_missing_ts"
        | "nolocaltimewait"
        | "fast_finwait2_recycle"
        | "pmtud_blackhole_detection"
        | "log_in_vain"
        | "udp_tunneling_port"
        | "fastopen.server_enable" => only(value, &[0]),
        "path_mtu_discovery" | "rfc3042" | "rfc3390" | "do_prr" | "rfc6675_pipe" | "rfc3465" => {
            Nothing("what woshou does of it shows in its packets")
        }
        "syncookies" | "syncache.rst_on_sock_fail" => only(value, &[0, 1]),
        "keepidle" => only(value, &[7_200_000]),
        "keepintvl" => only(value, &[75_000]),
        "keepcnt" => only(value, &[8, 9]),
        "mssdflt" => only(value, &[536]),
        "v6mssdflt" => only(value, &[1220]),
        _ => freebsd_harmless(name),
    }
}

fn freebsd_harmless(name: &str) -> Outcome {
    const NO_CACHE: [&str; 3] = ["hostcache.", "hc.", "syncache."];
    const PREFIXES: [&str; 13] = [
        "fastopen.",
        "recvbuf_",
        "sendbuf_",
        "tso",
        "log_debug",
        "lro",
        "sack.",
        "ecn.",
        "bb.",
        "abc_l_var",
        "cc.cubic.",
        "cc.newreno.",
        "maxtcptw",
    ];
    if NO_CACHE.iter().any(|prefix| name.starts_with(prefix)) {
        return NO_MEMORY;
    }
    if PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return USED_ELSEWHERE;
    }
    Unsupported
}

/// `net.inet.tcp.`, the value a word.
fn freebsd_words(knobs: &mut Knobs, name: &str, value: &str) -> Outcome {
    match name {
        "cc.algorithm" => congestion_control(knobs, value),
        "functions_default" if value == "freebsd" => DEFAULT,
        _ if name.starts_with("fastopen.") => USED_ELSEWHERE,
        _ => Unsupported,
    }
}
