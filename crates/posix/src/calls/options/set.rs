//! setsockopt.

use std::time::Duration;

use woshou_tcp::Instant;

use crate::address::{Domain, bare};
use crate::constants::{IP_PMTUDISC_DO, IP_PMTUDISC_WANT};
use crate::errno::Errno;
use crate::option::{Opt, Value};
use crate::outcome::{Outcome, Stop};
use crate::personality::Personality;
use crate::settings::Settings;
use crate::socket::Role;
use crate::sockets::{Fd, Sockets};

/// The least that SO_SNDBUF and SO_RCVBUF report on Linux (SOCK_MIN_SNDBUF, SOCK_MIN_RCVBUF).
const LEAST_SEND_BUFFER: usize = 4608;
const LEAST_RECEIVE_BUFFER: usize = 2304;
/// What TCP_MAXSEG takes (Linux's TCP_MIN_MSS and MAX_TCP_WINDOW).
const SEGMENTS: std::ops::RangeInclusive<i64> = 88..=32_767;
/// Most seconds of keep-alive (Linux's MAX_TCP_KEEPIDLE) and most probes and SYNs.
const MOST_SECONDS: i64 = 32_767;
const MOST_PROBES: i64 = 127;

impl Sockets {
    /// `setsockopt(2)`.
    ///
    /// # Errors
    /// EBADF, ENOTSOCK, EFAULT, EINVAL (a value out of range, or of another type), EDOM (a timeout below zero), ENOENT (no
    /// such congestion control), ENOPROTOOPT (an option of IPv6 on an IPv4 socket, or one that can only be read); what the
    /// stack cannot do is unsupported by name.
    pub fn setsockopt(&mut self, now: Instant, fd: Fd, option: Opt, value: &Value) -> Outcome<()> {
        let socket = self.socket_mut(fd)?;
        if option.level() == "IPPROTO_IPV6" && socket.domain == Domain::Inet {
            return Err(Errno::ENOPROTOOPT.into());
        }
        if *value == Value::Invalid {
            return Err(Errno::EFAULT.into());
        }
        if option.harmless().is_some() {
            let value = int(value)?;
            socket.settings.harmless.insert(option, value);
            return Ok(());
        }
        match option.level() {
            "SOL_SOCKET" => self.set_socket_option(fd, option, value)?,
            "IPPROTO_TCP" => self.set_tcp_option(now, fd, option, value)?,
            _ => self.set_ip_option(fd, option, value)?,
        }
        self.apply(now, fd)
    }

    /// Tells the stack what changed.
    fn apply(&mut self, now: Instant, fd: Fd) -> Outcome<()> {
        let personality = self.personality();
        let base = std::sync::Arc::clone(self.stack.tcp_config());
        let socket = self.socket_ref(fd)?;
        let settings = &socket.settings;
        let (ttl, corked) = (settings.ttl, settings.corked);
        let v6 = bare(socket.local(&self.stack)).is_ipv6();
        let (tos, tos_v4) = (settings.tos_of(v6), settings.tos);
        let config = settings.tuned.then(|| settings.config(&base, personality));
        match socket.role {
            Role::Idle => {}
            Role::Listening(id) => {
                if let Some(config) = config {
                    self.stack.set_listener_config(id, config);
                }
                self.stack.set_listener_ttl(id, ttl);
                self.stack.set_listener_tos(id, tos);
                self.stack.set_listener_tos_v4(id, tos_v4);
            }
            Role::Connection(id) => {
                let was_corked = self
                    .connection(fd)
                    .is_some_and(woshou_tcp::Connection::corked);
                if let Some(config) = config {
                    self.stack.set_config(now, id, config);
                }
                if let Some(ttl) = ttl {
                    self.stack.set_ttl(id, ttl);
                }
                if let Some(tos) = tos {
                    self.stack.set_tos(id, tos);
                }
                if was_corked != corked {
                    self.stack.set_cork(now, id, corked);
                }
            }
        }
        Ok(())
    }

    fn set_socket_option(&mut self, fd: Fd, option: Opt, value: &Value) -> Outcome<()> {
        let linux = self.personality() == Personality::Linux;
        let most = (
            self.policy.most_receive_buffer,
            self.policy.most_send_buffer,
        );
        let unless = |forced, most| if forced { usize::MAX / 4 } else { most };
        let settings = &mut self.socket_mut(fd)?.settings;
        match option {
            Opt::SO_REUSEADDR => settings.reuse_address = int(value)? != 0,
            Opt::SO_KEEPALIVE => {
                settings.keep_alive = Some(int(value)? != 0);
                settings.tuned = true;
            }
            Opt::SO_LINGER => {
                let Value::Linger { on, seconds } = value else {
                    return Err(Errno::EINVAL.into());
                };
                settings.linger = on.then_some(*seconds);
            }
            Opt::SO_RCVBUF | Opt::SO_RCVBUFFORCE => {
                let most = unless(option == Opt::SO_RCVBUFFORCE, most.0);
                let size = buffer(int(value)?, most, (linux, LEAST_RECEIVE_BUFFER))?;
                settings.receive_buffer = Some(size);
                settings.tuned = true;
            }
            Opt::SO_SNDBUF | Opt::SO_SNDBUFFORCE => {
                let most = unless(option == Opt::SO_SNDBUFFORCE, most.1);
                let size = buffer(int(value)?, most, (linux, LEAST_SEND_BUFFER))?;
                settings.send_buffer = Some(size);
                settings.tuned = true;
            }
            Opt::SO_RCVLOWAT => {
                let value = int(value)?;
                // Linux: below zero means all there is.
                settings.receive_low = usize::try_from(value).unwrap_or(i32::MAX as usize);
            }
            Opt::SO_RCVTIMEO => settings.receive_timeout = time(value)?,
            Opt::SO_SNDTIMEO => settings.send_timeout = time(value)?,
            Opt::SO_OOBINLINE => settings.urgent_inline = int(value)? != 0,
            Opt::SO_MAX_PACING_RATE => {
                settings.most_rate = Some(rate(int(value)?));
                settings.tuned = true;
            }
            Opt::SO_TYPE
            | Opt::SO_PROTOCOL
            | Opt::SO_DOMAIN
            | Opt::SO_ACCEPTCONN
            | Opt::SO_ERROR
            | Opt::SO_MEMINFO
            | Opt::SO_SNDLOWAT => {
                return Err(Errno::ENOPROTOOPT.into());
            }
            _ => return Err(Stop::unsupported(option.name())),
        }
        Ok(())
    }

    fn set_tcp_option(&mut self, now: Instant, fd: Fd, option: Opt, value: &Value) -> Outcome<()> {
        match option {
            Opt::TCP_CONGESTION => return self.set_congestion(now, fd, value),
            Opt::TCP_QUICKACK => return self.set_quick_ack(now, fd, int(value)?),
            Opt::TCP_MAXSEG => return self.set_segment_size(now, fd, int(value)?),
            Opt::TCP_INFO | Opt::TCP_CC_INFO => return Err(Errno::ENOPROTOOPT.into()),
            _ => {}
        }
        let settings = &mut self.socket_mut(fd)?.settings;
        if set_time_option(settings, option, value)? {
            settings.tuned = true;
            return Ok(());
        }
        let number = match value {
            Value::Int(number) => *number,
            _ => return Err(Stop::unsupported(option.name())),
        };
        match option {
            Opt::TCP_NODELAY => settings.nodelay = Some(number != 0),
            Opt::TCP_CORK | Opt::TCP_NOPUSH => settings.corked = number != 0,
            Opt::TCP_INQ => {
                settings.tells_inq = match number {
                    0 | 1 => number == 1,
                    _ => return Err(Errno::EINVAL.into()),
                };
            }
            Opt::TCP_NOTSENT_LOWAT => {
                let low = u32::try_from(number & i64::from(u32::MAX)).unwrap_or(u32::MAX);
                settings.not_sent_low = Some(low).filter(|low| *low != 0);
            }
            Opt::TCP_WINDOW_CLAMP => {
                let clamp = usize::try_from(number).map_err(|_| Errno::EINVAL)?;
                settings.window_clamp = Some(clamp)
                    .filter(|clamp| *clamp != 0)
                    .map(|clamp| clamp.max(LEAST_RECEIVE_BUFFER / 2));
            }
            // Off is what they are.
            Opt::TCP_DEFER_ACCEPT
            | Opt::TCP_FASTOPEN
            | Opt::TCP_FASTOPEN_CONNECT
            | Opt::TCP_FASTOPEN_NO_COOKIE
            | Opt::TCP_MD5SIG
            | Opt::TCP_NOOPT
            | Opt::TCP_REMOTE_UDP_ENCAPS_PORT
            | Opt::TCP_REPAIR
            | Opt::TCP_SAVE_SYN
            | Opt::TCP_TX_DELAY
                if number == 0 => {}
            _ => return Err(Stop::unsupported(option.name())),
        }
        settings.tuned = true;
        Ok(())
    }

    /// At once where there is a connection, which keeps its window; else for those to come.
    fn set_congestion(&mut self, now: Instant, fd: Fd, value: &Value) -> Outcome<()> {
        let Value::Name(name) = value else {
            return Err(Errno::EINVAL.into());
        };
        let wanted = if name == "reno" { "newreno" } else { name };
        let known = &self.policy.congestion;
        let found = known
            .iter()
            .find(|factory| factory.name() == wanted)
            .cloned();
        let factory = found.ok_or(Errno::ENOENT)?;
        if let Some(id) = self.connection_id(fd) {
            self.stack.set_congestion(now, id, &factory);
        }
        let settings = &mut self.socket_mut(fd)?.settings;
        settings.congestion = Some(factory);
        settings.tuned = true;
        Ok(())
    }

    /// On: what waits to be acknowledged is, and the start of connections to come is acknowledged at once.
    fn set_quick_ack(&mut self, now: Instant, fd: Fd, number: i64) -> Outcome<()> {
        let quick = number != 0;
        if let Some(id) = self.connection_id(fd) {
            let present = self
                .connection(fd)
                .is_some_and(|it| it.config().quick_acks > 0);
            if !quick && present {
                return Err(Stop::unsupported("TCP_QUICKACK off in an open connection"));
            }
            if quick {
                self.stack.acknowledge_now(now, id);
            }
            return Ok(());
        }
        let settings = &mut self.socket_mut(fd)?.settings;
        settings.quick_ack = Some(quick);
        settings.tuned = true;
        Ok(())
    }

    fn set_segment_size(&mut self, now: Instant, fd: Fd, number: i64) -> Outcome<()> {
        let size = match self.personality() {
            Personality::Linux if number == 0 => None,
            _ if SEGMENTS.contains(&number) => u16::try_from(number).ok(),
            _ => return Err(Errno::EINVAL.into()),
        };
        let settings = &mut self.socket_mut(fd)?.settings;
        settings.max_segment = size;
        settings.tuned = true;
        if let Some((id, size)) = self.connection_id(fd).zip(size) {
            self.stack.limit_send_mss(now, id, size);
        }
        Ok(())
    }

    fn set_ip_option(&mut self, fd: Fd, option: Opt, value: &Value) -> Outcome<()> {
        let number = int(value)?;
        let socket = self.socket_mut(fd)?;
        let idle = socket.role == Role::Idle && socket.bound.is_none();
        let settings = &mut socket.settings;
        match option {
            Opt::IP_TTL | Opt::IPV6_UNICAST_HOPS => {
                settings.ttl = match number {
                    -1 => None,
                    1..=255 => u8::try_from(number).ok(),
                    _ => return Err(Errno::EINVAL.into()),
                };
            }
            Opt::IPV6_V6ONLY if idle => settings.v6_only = number != 0,
            Opt::IPV6_V6ONLY => return Err(Errno::EINVAL.into()),
            Opt::IP_FREEBIND | Opt::IPV6_FREEBIND | Opt::IP_TRANSPARENT => {
                settings.free_bind = number != 0;
            }
            // Path MTU discovery is always on.
            Opt::IP_MTU_DISCOVER | Opt::IPV6_MTU_DISCOVER
                if number == i64::from(IP_PMTUDISC_WANT) || number == i64::from(IP_PMTUDISC_DO) => {
            }
            // The ECN bits are TCP's own; Linux masks them away too, and keeps the low octet.
            Opt::IP_TOS => settings.tos = Some(number.to_le_bytes()[0] & !3),
            Opt::IPV6_TCLASS => {
                settings.traffic_class = match number {
                    -1 => Some(0),
                    0..=255 => u8::try_from(number & !3).ok(),
                    _ => return Err(Errno::EINVAL.into()),
                };
            }
            Opt::IPV6_USE_MIN_MTU if number <= 0 => {}
            Opt::IP_MTU => return Err(Errno::ENOPROTOOPT.into()),
            _ => return Err(Stop::unsupported(option.name())),
        }
        Ok(())
    }
}

/// The options of TCP that are times or counts of them; whether `option` is one.
fn set_time_option(settings: &mut Settings, option: Opt, value: &Value) -> Outcome<bool> {
    let within = |most: i64| match int(value)? {
        number if (1..=most).contains(&number) => Ok(number.cast_unsigned()),
        _ => Err(Stop::Errno(Errno::EINVAL)),
    };
    let seconds = || within(MOST_SECONDS).map(Duration::from_secs);
    let count = || within(MOST_PROBES).map(|number| u8::try_from(number).unwrap_or(u8::MAX));
    match option {
        Opt::TCP_KEEPIDLE => settings.keep_idle = Some(seconds()?),
        Opt::TCP_KEEPINTVL => settings.keep_interval = Some(seconds()?),
        Opt::TCP_KEEPINIT => settings.keep_init = Some(seconds()?),
        Opt::TCP_KEEPCNT => settings.keep_count = Some(count()?),
        Opt::TCP_SYNCNT => settings.syn_count = Some(count()?),
        Opt::TCP_LINGER2 => {
            settings.linger2 = Some(i32::try_from(int(value)?).map_err(|_| Errno::EINVAL)?);
        }
        Opt::TCP_USER_TIMEOUT => {
            let millis = u64::try_from(int(value)?).map_err(|_| Errno::EINVAL)?;
            settings.user_timeout = Duration::from_millis(millis);
        }
        Opt::TCP_RTO_MAX_MS => {
            let millis = within(120_000)?;
            if millis < 1000 {
                return Err(Errno::EINVAL.into());
            }
            settings.most_rto = Some(Duration::from_millis(millis));
        }
        Opt::TCP_RTO_MIN_US => settings.least_rto = Some(Duration::from_micros(within(200_000)?)),
        Opt::TCP_DELACK_MAX_US => {
            settings.delayed_ack = Some(Duration::from_micros(within(200_000)?));
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn int(value: &Value) -> Outcome<i64> {
    match value {
        Value::Int(number) => Ok(*number),
        Value::Invalid => Err(Errno::EFAULT.into()),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// Octets a second; all bits set mean no bound, in an `int` as in an `unsigned long`.
fn rate(number: i64) -> u64 {
    let unbound = number == -1 || number == i64::from(u32::MAX);
    if unbound {
        u64::MAX
    } else {
        number.cast_unsigned()
    }
}

/// A `struct timeval`; zero waits for ever.
fn time(value: &Value) -> Outcome<Option<Duration>> {
    match value {
        Value::Time(time) => Ok(Some(*time).filter(|time| !time.is_zero())),
        Value::Invalid => Err(Errno::EFAULT.into()),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// A buffer's size as it is reported: Linux cuts it to `most`, doubles it and raises it to the least; FreeBSD takes it or
/// fails.
fn buffer(number: i64, most: usize, (linux, least): (bool, usize)) -> Outcome<usize> {
    if linux {
        // A negative number is a very large one to the kernel.
        let asked = usize::try_from(number).unwrap_or(usize::MAX).min(most);
        return Ok(asked.saturating_mul(2).max(least));
    }
    match usize::try_from(number) {
        Ok(size @ 1..) if size <= most => Ok(size),
        Ok(1..) => Err(Errno::ENOBUFS.into()),
        _ => Err(Errno::EINVAL.into()),
    }
}
