//! What a socket was told by `setsockopt`, and the configuration that it makes of the stack's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use woshou_tcp::Config;
use woshou_tcp::config::KeepAlive;
use woshou_tcp::congestion::CongestionFactory;

use crate::option::Opt;
use crate::personality::Personality;

/// Full-sized segments that TCP_QUICKACK acknowledges at once at the start of a connection, as Linux.
const QUICK_ACKS: u8 = 16;

/// What was set; `None`: as the stack is configured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// What SO_RCVBUF reports.
    pub(crate) receive_buffer: Option<usize>,
    /// What SO_SNDBUF reports.
    pub(crate) send_buffer: Option<usize>,
    /// SO_RCVLOWAT; zero stands for one.
    pub(crate) receive_low: usize,
    pub(crate) receive_timeout: Option<Duration>,
    pub(crate) send_timeout: Option<Duration>,
    pub(crate) linger: Option<u16>,
    pub(crate) reuse_address: bool,
    /// SO_OOBINLINE.
    pub(crate) urgent_inline: bool,
    pub(crate) keep_alive: Option<bool>,
    pub(crate) keep_idle: Option<Duration>,
    pub(crate) keep_interval: Option<Duration>,
    pub(crate) keep_count: Option<u8>,
    /// TCP_KEEPINIT.
    pub(crate) keep_init: Option<Duration>,
    pub(crate) nodelay: Option<bool>,
    pub(crate) corked: bool,
    pub(crate) max_segment: Option<u16>,
    /// Zero: not set.
    pub(crate) user_timeout: Duration,
    pub(crate) syn_count: Option<u8>,
    /// TCP_LINGER2, seconds.
    pub(crate) linger2: Option<i32>,
    pub(crate) window_clamp: Option<usize>,
    pub(crate) not_sent_low: Option<u32>,
    pub(crate) quick_ack: Option<bool>,
    pub(crate) congestion: Option<Arc<dyn CongestionFactory>>,
    pub(crate) most_rto: Option<Duration>,
    pub(crate) least_rto: Option<Duration>,
    pub(crate) delayed_ack: Option<Duration>,
    /// SO_MAX_PACING_RATE, octets a second; `u64::MAX`: no bound.
    pub(crate) most_rate: Option<u64>,
    pub(crate) ttl: Option<u8>,
    /// IP_TOS.
    pub(crate) tos: Option<u8>,
    /// IPV6_TCLASS.
    pub(crate) traffic_class: Option<u8>,
    pub(crate) v6_only: bool,
    pub(crate) free_bind: bool,
    /// TCP_INQ.
    pub(crate) tells_inq: bool,
    /// What was set without effect.
    pub(crate) harmless: BTreeMap<Opt, i64>,
    /// Whether any of it changes the configuration.
    pub(crate) tuned: bool,
}

impl Settings {
    /// The behaviour of the socket's connections, where the stack's is `base`.
    pub(crate) fn config(&self, base: &Arc<Config>, personality: Personality) -> Arc<Config> {
        if !self.tuned {
            return Arc::clone(base);
        }
        let mut config = Config::clone(base);
        self.tune_buffers(&mut config, personality);
        self.tune_times(&mut config);
        if let Some(nodelay) = self.nodelay {
            config.nagle = !nodelay;
        }
        if let Some(mss) = self.max_segment {
            config.mss = Some(mss);
            config.mss_clamp = Some(mss);
        }
        if let Some(rate) = self.most_rate {
            config.max_pacing_rate = Some(rate).filter(|rate| *rate != u64::MAX);
        }
        if let Some(congestion) = &self.congestion {
            config.congestion = Arc::clone(congestion);
        }
        match self.quick_ack {
            Some(true) => config.quick_acks = config.quick_acks.max(QUICK_ACKS),
            Some(false) => config.quick_acks = 0,
            None => {}
        }
        Arc::new(config)
    }

    fn tune_buffers(&self, config: &mut Config, personality: Personality) {
        if let Some(buffer) = self.receive_buffer {
            config.fix_receive_buffer(personality.window_of(buffer));
        }
        if let Some(clamp) = self.window_clamp {
            config.receive_buffer = config.receive_buffer.min(clamp);
        }
        if let Some(buffer) = self.send_buffer {
            config.fix_send_buffer(buffer);
        }
    }

    fn tune_times(&self, config: &mut Config) {
        config.keep_alive = match self.keep_alive {
            Some(false) => None,
            Some(true) => Some(self.keep_alive_of(config)),
            None => config.keep_alive.map(|_| self.keep_alive_of(config)),
        };
        if let Some(init) = self.keep_init {
            config.open_timeout = init;
        }
        if let Some(rto) = self.least_rto {
            config.min_rto = rto;
        }
        if let Some(rto) = self.most_rto {
            config.max_rto = rto;
            config.initial_rto = config.initial_rto.min(rto);
        }
        if let Some(delay) = self.delayed_ack {
            config.delayed_ack = delay;
        }
        if let Some(count) = self.syn_count {
            config.open_timeout = patience(config, count);
        }
        if !self.user_timeout.is_zero() {
            config.user_timeout = self.user_timeout;
        }
        match self.linger2 {
            Some(seconds @ 1..) => {
                config.fin_wait_2 = Duration::from_secs(u64::from(seconds.cast_unsigned()));
            }
            Some(i32::MIN..0) => config.fin_wait_2 = Duration::ZERO,
            Some(0) | None => {}
        }
    }

    /// The keep-alive that SO_KEEPALIVE switches on.
    pub(crate) fn keep_alive_of(&self, config: &Config) -> KeepAlive {
        let usual = config.keep_alive.unwrap_or_default();
        KeepAlive {
            idle_after: self.keep_idle.unwrap_or(usual.idle_after),
            interval: self.keep_interval.unwrap_or(usual.interval),
            probes: self.keep_count.unwrap_or(usual.probes),
        }
    }

    /// TOS or traffic class of packets between addresses of this family.
    pub(crate) fn tos_of(&self, v6: bool) -> Option<u8> {
        if v6 { self.traffic_class } else { self.tos }
    }

    /// SO_RCVLOWAT: octets that make a socket readable.
    pub(crate) fn low_water(&self) -> usize {
        self.receive_low.max(1)
    }
}

/// How long opening lasts with `count` SYNs after the first: each waits twice as long as the one before.
fn patience(config: &Config, count: u8) -> Duration {
    let mut total = Duration::ZERO;
    let mut wait = config.initial_rto;
    for _ in 0..=count {
        total = total.saturating_add(wait);
        wait = wait.saturating_mul(2).min(config.max_rto);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuned(change: impl FnOnce(&mut Settings)) -> Arc<Config> {
        let mut settings = Settings {
            tuned: true,
            ..Settings::default()
        };
        change(&mut settings);
        settings.config(&Arc::new(Config::default()), Personality::Linux)
    }

    #[test]
    fn untouched_settings_share_the_configuration() {
        let base = Arc::new(Config::default());
        let config = Settings::default().config(&base, Personality::Linux);
        assert!(Arc::ptr_eq(&base, &config));
    }

    #[test]
    fn what_each_changes() {
        assert_eq!(
            tuned(|s| s.receive_buffer = Some(20_000)).receive_buffer,
            10_000
        );
        let clamped = tuned(|s| (s.receive_buffer, s.window_clamp) = (Some(20_000), Some(5000)));
        assert_eq!(clamped.receive_buffer, 5000);
        assert_eq!(tuned(|s| s.send_buffer = Some(20_000)).send_buffer, 20_000);
        let slow = tuned(|s| s.most_rate = Some(9_000));
        assert_eq!(slow.max_pacing_rate, Some(9_000));
        let unbound = tuned(|s| s.most_rate = Some(u64::MAX));
        assert_eq!(unbound.max_pacing_rate, None);
        assert!(!tuned(|s| s.nodelay = Some(true)).nagle);
        assert_eq!(tuned(|s| s.max_segment = Some(700)).mss, Some(700));
        // 1 + 2 + 4 s: two SYNs after the first, and the wait after the last.
        assert_eq!(
            tuned(|s| s.syn_count = Some(2)).open_timeout,
            Duration::from_secs(7)
        );
        assert_eq!(
            tuned(|s| s.syn_count = Some(127)).open_timeout,
            Duration::from_secs(63 + 60 * 122)
        );
        let minute = Duration::from_secs(60);
        assert_eq!(tuned(|s| s.user_timeout = minute).user_timeout, minute);
        assert_eq!(tuned(|s| s.keep_idle = Some(minute)).keep_alive, None);
        let keep = tuned(|s| (s.keep_alive, s.keep_idle) = (Some(true), Some(minute))).keep_alive;
        assert_eq!(keep.unwrap().idle_after, minute);
        assert_eq!(keep.unwrap().probes, KeepAlive::default().probes);
        assert_eq!(
            tuned(|s| s.linger2 = Some(5)).fin_wait_2,
            Duration::from_secs(5)
        );
        assert_eq!(tuned(|s| s.linger2 = Some(-1)).fin_wait_2, Duration::ZERO);
        assert_eq!(tuned(|s| s.quick_ack = Some(true)).quick_acks, QUICK_ACKS);
        assert_eq!(tuned(|s| s.quick_ack = Some(false)).quick_acks, 0);
        assert_eq!(
            tuned(|s| s.most_rto = Some(Duration::from_millis(500))).initial_rto,
            Duration::from_millis(500)
        );
    }
}
