//! getsockopt.

use woshou_tcp::{Config, Connection, Instant, State};

use crate::address::Domain;
use crate::constants::{AF_INET, AF_INET6, IP_PMTUDISC_WANT, IPPROTO_TCP, SOCK_STREAM};
use crate::errno::Errno;
use crate::info::{self, Figures};
use crate::option::{Opt, Value};
use crate::outcome::{Outcome, Stop};
use crate::personality::Personality;
use crate::socket::{Role, Socket};
use crate::sockets::{Fd, Sockets};

/// The MSS that nobody negotiated (RFC 9293 MUST-15).
const USUAL_MSS: i64 = 536;

impl Sockets {
    /// `getsockopt(2)`. SO_ERROR is fetched and cleared.
    ///
    /// # Errors
    /// EBADF, ENOTSOCK, ENOTCONN (IP_MTU), ENOPROTOOPT (an option of IPv6 on an IPv4 socket); what the stack cannot do is
    /// unsupported by name.
    pub fn getsockopt(&mut self, now: Instant, fd: Fd, option: Opt) -> Outcome<Value> {
        if option == Opt::SO_ERROR {
            let personality = self.personality();
            let error = self.socket_mut(fd)?.error.take();
            let number = error.map_or(0, |errno| errno.number(personality));
            return Ok(Value::Int(i64::from(number)));
        }
        let socket = self.socket_mut(fd)?;
        if option.level() == "IPPROTO_IPV6" && socket.domain == Domain::Inet {
            return Err(Errno::ENOPROTOOPT.into());
        }
        let socket = self.socket_ref(fd)?;
        if option.harmless().is_some() {
            let value = socket.settings.harmless.get(&option).copied();
            return Ok(Value::Int(value.unwrap_or(0)));
        }
        let value = match option.level() {
            "SOL_SOCKET" => self.get_socket_option(fd, option)?,
            "IPPROTO_TCP" => self.get_tcp_option(now, fd, option)?,
            _ => self.get_ip_option(fd, option)?,
        };
        value.ok_or_else(|| Stop::unsupported(option.name()))
    }

    /// The error that SO_ERROR would fetch, left where it is.
    #[must_use]
    pub fn pending_error(&mut self, fd: Fd) -> Option<Errno> {
        self.socket_mut(fd).ok()?.error
    }

    /// How the socket's connection behaves, or would.
    fn config_of(&self, socket: &Socket) -> Config {
        let present = socket.connection(&self.stack).map(Connection::config);
        let config = present.cloned().unwrap_or_else(|| {
            socket
                .settings
                .config(self.stack.tcp_config(), self.personality())
        });
        Config::clone(&config)
    }

    fn get_socket_option(&self, fd: Fd, option: Opt) -> Outcome<Option<Value>> {
        let socket = self.socket_ref(fd)?;
        let settings = &socket.settings;
        let int = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        let value = match option {
            Opt::SO_REUSEADDR => i64::from(settings.reuse_address),
            Opt::SO_TYPE => i64::from(SOCK_STREAM),
            Opt::SO_PROTOCOL => i64::from(IPPROTO_TCP),
            Opt::SO_DOMAIN => i64::from(match socket.domain {
                Domain::Inet => AF_INET,
                Domain::Inet6 => AF_INET6,
            }),
            Opt::SO_ACCEPTCONN => i64::from(matches!(socket.role, Role::Listening(_))),
            Opt::SO_SNDBUF => int(self.send_buffer(socket)),
            Opt::SO_RCVBUF => int(self.receive_buffer(socket)),
            Opt::SO_KEEPALIVE => i64::from(self.config_of(socket).keep_alive.is_some()),
            Opt::SO_OOBINLINE => i64::from(settings.urgent_inline),
            Opt::SO_RCVLOWAT => int(settings.low_water()),
            Opt::SO_SNDLOWAT => 1,
            Opt::SO_MAX_PACING_RATE => {
                let rate = self.config_of(socket).max_pacing_rate;
                rate.map_or(-1, u64::cast_signed)
            }
            Opt::SO_LINGER => {
                return Ok(Some(Value::Linger {
                    on: settings.linger.is_some(),
                    seconds: settings.linger.unwrap_or(0),
                }));
            }
            Opt::SO_RCVTIMEO => {
                return Ok(Some(Value::Time(
                    settings.receive_timeout.unwrap_or_default(),
                )));
            }
            Opt::SO_SNDTIMEO => {
                return Ok(Some(Value::Time(settings.send_timeout.unwrap_or_default())));
            }
            Opt::SO_MEMINFO => return Ok(Some(Value::Figures(self.memory(socket)))),
            _ => return Ok(None),
        };
        Ok(Some(Value::Int(value)))
    }

    fn send_buffer(&self, socket: &Socket) -> usize {
        let set = socket.settings.send_buffer;
        set.unwrap_or_else(|| self.config_of(socket).first_send_buffer())
    }

    fn receive_buffer(&self, socket: &Socket) -> usize {
        let set = socket.settings.receive_buffer;
        set.unwrap_or_else(|| {
            let window = self.config_of(socket).first_receive_buffer();
            self.personality().buffer_of(window)
        })
    }

    fn memory(&self, socket: &Socket) -> Figures {
        let buffers = (
            self.receive_buffer(socket) as u64,
            self.send_buffer(socket) as u64,
        );
        info::memory(buffers, socket.connection(&self.stack))
    }

    /// `getsockopt(SO_MEMINFO)` to look at, without a call.
    #[must_use]
    pub fn memory_info(&self, fd: Fd) -> Option<Figures> {
        Some(self.memory(self.socket_ref(fd).ok()?))
    }

    /// `getsockopt(TCP_INFO)` to look at, without a call; `None` where `fd` is no socket.
    #[must_use]
    pub fn tcp_info(&self, now: Instant, fd: Fd) -> Option<Figures> {
        let personality = self.personality();
        Some(match self.socket_ref(fd).ok()?.role {
            Role::Idle => info::without_connection(personality, State::Closed),
            Role::Listening(id) => {
                info::of_listener(personality, self.stack.waiting(id).unwrap_or_default())
            }
            Role::Connection(id) => info::of_connection(personality, &self.stack, now, id),
        })
    }

    /// The algorithm of the socket's connection, or of those to come, by the system's name for it.
    fn congestion_name(&self, fd: Fd, config: &Config) -> String {
        let present = self.connection_id(fd);
        let present = present.and_then(|id| self.stack.congestion_name(id));
        let name = match present.unwrap_or_else(|| config.congestion.name()) {
            "newreno" if self.personality() == Personality::Linux => "reno",
            name => name,
        };
        name.to_owned()
    }

    fn get_tcp_option(&self, now: Instant, fd: Fd, option: Opt) -> Outcome<Option<Value>> {
        let socket = self.socket_ref(fd)?;
        let settings = &socket.settings;
        let config = self.config_of(socket);
        let keep = settings.keep_alive_of(&config);
        let seconds = |time: std::time::Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let value = match option {
            Opt::TCP_INFO => return Ok(self.tcp_info(now, fd).map(Value::Figures)),
            Opt::TCP_CONGESTION => {
                return Ok(Some(Value::Name(self.congestion_name(fd, &config))));
            }
            Opt::TCP_NODELAY => i64::from(
                socket
                    .connection(&self.stack)
                    .map_or(!config.nagle, Connection::nodelay),
            ),
            Opt::TCP_CORK | Opt::TCP_NOPUSH => i64::from(settings.corked),
            Opt::TCP_MAXSEG => self.segment_size(now, socket),
            Opt::TCP_KEEPIDLE => seconds(keep.idle_after),
            Opt::TCP_KEEPINTVL => seconds(keep.interval),
            Opt::TCP_KEEPCNT => i64::from(keep.probes),
            Opt::TCP_KEEPINIT => seconds(config.open_timeout),
            Opt::TCP_SYNCNT => match settings.syn_count {
                Some(count) => i64::from(count),
                None => return Ok(None),
            },
            Opt::TCP_LINGER2 => settings
                .linger2
                .map_or_else(|| seconds(config.fin_wait_2), i64::from),
            Opt::TCP_WINDOW_CLAMP => {
                i64::try_from(settings.window_clamp.unwrap_or(0)).unwrap_or(i64::MAX)
            }
            Opt::TCP_QUICKACK => i64::from(settings.quick_ack.unwrap_or(config.quick_acks > 0)),
            Opt::TCP_USER_TIMEOUT => {
                i64::try_from(settings.user_timeout.as_millis()).unwrap_or(i64::MAX)
            }
            Opt::TCP_NOTSENT_LOWAT => {
                let low = settings.not_sent_low.or(self.policy.not_sent_low);
                i64::from(low.unwrap_or(u32::MAX))
            }
            Opt::TCP_INQ => i64::from(settings.tells_inq),
            Opt::TCP_RTO_MAX_MS => i64::try_from(config.max_rto.as_millis()).unwrap_or(i64::MAX),
            Opt::TCP_RTO_MIN_US => i64::try_from(config.min_rto.as_micros()).unwrap_or(i64::MAX),
            Opt::TCP_DELACK_MAX_US => {
                i64::try_from(config.delayed_ack.as_micros()).unwrap_or(i64::MAX)
            }
            // Off, and cannot be switched on: see `setsockopt`.
            Opt::TCP_REMOTE_UDP_ENCAPS_PORT
            | Opt::TCP_DEFER_ACCEPT
            | Opt::TCP_FASTOPEN
            | Opt::TCP_FASTOPEN_CONNECT
            | Opt::TCP_MD5SIG
            | Opt::TCP_NOOPT
            | Opt::TCP_REPAIR
            | Opt::TCP_SAVE_SYN => 0,
            _ => return Ok(None),
        };
        Ok(Some(Value::Int(value)))
    }

    /// TCP_MAXSEG: what was asked for before there is a connection, what segments carry then.
    fn segment_size(&self, now: Instant, socket: &Socket) -> i64 {
        let id = socket
            .id()
            .filter(|_| socket.state(&self.stack) != State::Closed);
        let info = id.and_then(|id| self.stack.info(now, id));
        let stamps = socket
            .connection(&self.stack)
            .is_some_and(|connection| connection.agreed().timestamps.is_some());
        let Some(info) = info.filter(|info| info.snd_mss > 0) else {
            return socket.settings.max_segment.map_or(USUAL_MSS, i64::from);
        };
        match self.personality() {
            Personality::Linux => i64::from(info.snd_mss),
            // FreeBSD does not take the timestamps off.
            Personality::FreeBsd => i64::from(info.snd_mss) + if stamps { 12 } else { 0 },
        }
    }

    fn get_ip_option(&self, fd: Fd, option: Opt) -> Outcome<Option<Value>> {
        let socket = self.socket_ref(fd)?;
        let settings = &socket.settings;
        let value = match option {
            Opt::IP_TTL | Opt::IPV6_UNICAST_HOPS => {
                let present = socket.id().and_then(|id| self.stack.ttl(id));
                match settings.ttl.or(present) {
                    Some(ttl) => i64::from(ttl),
                    None => return Ok(Some(Value::Int(i64::from(self.stack.usual_ttl())))),
                }
            }
            Opt::IP_TOS => i64::from(settings.tos.unwrap_or(self.stack.usual_tos())),
            Opt::IPV6_TCLASS => i64::from(settings.traffic_class.unwrap_or(self.stack.usual_tos())),
            Opt::IP_MTU_DISCOVER | Opt::IPV6_MTU_DISCOVER => i64::from(IP_PMTUDISC_WANT),
            Opt::IP_MTU | Opt::IPV6_MTU => {
                let mtu = socket.id().and_then(|id| self.stack.path_mtu(id));
                i64::from(mtu.ok_or(Errno::ENOTCONN)?)
            }
            Opt::IP_FREEBIND | Opt::IPV6_FREEBIND | Opt::IP_TRANSPARENT => {
                i64::from(settings.free_bind)
            }
            Opt::IPV6_V6ONLY => i64::from(settings.v6_only),
            _ => return Ok(None),
        };
        Ok(Some(Value::Int(value)))
    }
}
