//! Socket options that `std` and tokio have no calls for, named as in the crate `socket2`.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use woshou_stack::{ConnId, Stack};
use woshou_tcp::config::KeepAlive;
use woshou_tcp::congestion::{self, CongestionFactory};
use woshou_tcp::error::PathError;
use woshou_tcp::{Config, Ended, Instant};

use crate::shared::Shared;
use crate::{TcpStream, blocking, error};

/// Keep-alive: when and how often a silent peer is asked whether it is there (RFC 9293 section 3.8.4), as
/// `socket2::TcpKeepalive`.
///
/// ```
/// use std::time::Duration;
/// let keepalive = woshou::TcpKeepalive::new()
///     .with_time(Duration::from_secs(60))
///     .with_interval(Duration::from_secs(10))
///     .with_retries(3);
/// # let _ = keepalive;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpKeepalive {
    time: Option<Duration>,
    interval: Option<Duration>,
    retries: Option<u32>,
}

impl TcpKeepalive {
    /// As the net is configured; by default 2 h, 75 s, 9 probes.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            time: None,
            interval: None,
            retries: None,
        }
    }

    /// Silence before the first probe.
    #[must_use]
    pub const fn with_time(self, time: Duration) -> Self {
        Self {
            time: Some(time),
            ..self
        }
    }

    /// Time between probes.
    #[must_use]
    pub const fn with_interval(self, interval: Duration) -> Self {
        Self {
            interval: Some(interval),
            ..self
        }
    }

    /// Unanswered probes that mean that the peer is gone; 1 to 255.
    #[must_use]
    pub const fn with_retries(self, retries: u32) -> Self {
        Self {
            retries: Some(retries),
            ..self
        }
    }

    fn applied(self, to: KeepAlive) -> KeepAlive {
        let probes = self.retries.map(|n| u8::try_from(n).unwrap_or(u8::MAX));
        KeepAlive {
            idle_after: self.time.unwrap_or(to.idle_after),
            interval: self.interval.unwrap_or(to.interval),
            probes: probes.unwrap_or(to.probes).max(1),
        }
    }
}

/// What a socket was told before there is a connection; `None`: as the net is configured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tuning {
    pub(crate) keepalive: Option<bool>,
    pub(crate) keepalive_times: TcpKeepalive,
    pub(crate) user_timeout: Option<Duration>,
    pub(crate) send_buffer: Option<u32>,
    pub(crate) recv_buffer: Option<u32>,
    pub(crate) mss: Option<u16>,
    pub(crate) notsent_lowat: Option<u32>,
    pub(crate) ttl: Option<u8>,
    pub(crate) tos: Option<u8>,
    pub(crate) congestion: Option<Arc<dyn CongestionFactory>>,
}

impl Tuning {
    /// The behaviour of its connections where the net's is `base`.
    pub(crate) fn config(&self, base: &Arc<Config>) -> Arc<Config> {
        let tuned = self.user_timeout.is_some()
            || self.keepalive.is_some()
            || self.send_buffer.is_some()
            || self.recv_buffer.is_some()
            || self.mss.is_some()
            || self.congestion.is_some();
        if !tuned {
            return Arc::clone(base);
        }
        let mut config = Config::clone(base);
        if let Some(on) = self.keepalive {
            let usual = config.keep_alive.unwrap_or_default();
            config.keep_alive = on.then(|| self.keepalive_times.applied(usual));
        }
        if let Some(after) = self.user_timeout {
            config.user_timeout = after;
        }
        if let Some(octets) = self.send_buffer {
            config.fix_send_buffer(octets as usize);
        }
        if let Some(octets) = self.recv_buffer {
            config.fix_receive_buffer(octets as usize);
        }
        config.mss = self.mss.or(config.mss);
        if let Some(factory) = &self.congestion {
            config.congestion = Arc::clone(factory);
        }
        Arc::new(config)
    }

    /// What no configuration holds.
    pub(crate) fn apply(&self, stack: &mut Stack, now: Instant, id: ConnId) {
        if let Some(ttl) = self.ttl {
            stack.set_ttl(id, ttl);
        }
        if let Some(tos) = self.tos {
            stack.set_tos(id, tos);
        }
        if self.notsent_lowat.is_some() {
            stack.set_not_sent_low(now, id, self.notsent_lowat);
        }
    }
}

/// A congestion control algorithm by the name that a user gave.
pub(crate) fn congestion(name: &[u8]) -> io::Result<Arc<dyn CongestionFactory>> {
    let name = String::from_utf8_lossy(name);
    congestion::by_name(&name).ok_or_else(|| {
        let known = congestion::NAMES.join(", ");
        io::Error::new(
            ErrorKind::NotFound,
            format!("no congestion control is called {name:?}; there is {known}"),
        )
    })
}

/// An MSS as sockets take it.
pub(crate) fn mss(mss: u32) -> io::Result<u16> {
    match u16::try_from(mss) {
        Ok(mss @ 88..=32_767) => Ok(mss),
        _ => Err(io::Error::new(
            ErrorKind::InvalidInput,
            "an MSS is 88 to 32,767 octets",
        )),
    }
}

/// The options of a stream that `std` and tokio have no calls for, with the names of `socket2::SockRef`: of an async
/// stream and of a blocking one alike.
///
/// ```no_run
/// # fn example(stream: &woshou::TcpStream) -> std::io::Result<()> {
/// use std::time::Duration;
/// use woshou::{SockRef, TcpKeepalive};
///
/// let socket = SockRef::from(stream);
/// socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(60)))?;
/// socket.set_tcp_user_timeout(Some(Duration::from_secs(30)))?;
/// socket.set_tcp_notsent_lowat(16 * 1024)?;
/// # Ok(())
/// # }
/// ```
///
/// Every call fails with `NotConnected` when nothing is left of the connection, or the net is over.
#[derive(Clone, Copy, Debug)]
pub struct SockRef<'a> {
    stream: &'a TcpStream,
}

impl<'a> From<&'a TcpStream> for SockRef<'a> {
    fn from(stream: &'a TcpStream) -> Self {
        Self { stream }
    }
}

impl<'a> From<&'a blocking::TcpStream> for SockRef<'a> {
    fn from(stream: &'a blocking::TcpStream) -> Self {
        Self {
            stream: stream.inner(),
        }
    }
}

#[expect(
    clippy::missing_errors_doc,
    reason = "all fail alike; the type says how"
)]
impl SockRef<'_> {
    fn set(&self, set: impl FnOnce(&mut Shared, Instant, ConnId)) -> io::Result<()> {
        self.stream.call(|shared, now, id| {
            shared.check()?;
            if shared.stack.endpoints(id).is_none() {
                return Err(error::ended(Ended::Closed));
            }
            set(shared, now, id);
            Ok(())
        })
    }

    fn get<R>(&self, get: impl FnOnce(&Shared, ConnId) -> Option<R>) -> io::Result<R> {
        self.stream.look(|shared, id| {
            shared.check()?;
            get(shared, id).ok_or_else(|| error::ended(Ended::Closed))
        })
    }

    fn config<R>(&self, get: impl FnOnce(&Config) -> R) -> io::Result<R> {
        self.get(|shared, id| shared.stack.config_of(id).map(|config| get(config)))
    }

    fn keep_alive_now(&self) -> io::Result<Option<KeepAlive>> {
        self.get(|shared, id| Some(shared.stack.connection(id)?.keep_alive()))
    }

    /// Whether keep-alive is on.
    pub fn keepalive(&self) -> io::Result<bool> {
        self.keep_alive_now().map(|now| now.is_some())
    }

    /// Keep-alive on or off. Off is the default.
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        self.set(|shared, now, id| {
            let usual = usual_keep_alive(shared, id);
            let times = shared.sockets.entry(id).or_default().keepalive;
            let wanted = keepalive.then(|| times.applied(usual));
            shared.stack.set_keep_alive(now, id, wanted);
        })
    }

    /// Keep-alive on, by these times; what `params` leaves open is as the net is configured.
    pub fn set_tcp_keepalive(&self, params: &TcpKeepalive) -> io::Result<()> {
        self.set(|shared, now, id| {
            let usual = usual_keep_alive(shared, id);
            shared.sockets.entry(id).or_default().keepalive = *params;
            let wanted = Some(params.applied(usual));
            shared.stack.set_keep_alive(now, id, wanted);
        })
    }

    fn keepalive_params(&self) -> io::Result<KeepAlive> {
        self.get(|shared, id| {
            let now = shared.stack.connection(id)?.keep_alive();
            let times = shared.sockets.get(&id).map(|socket| socket.keepalive);
            Some(now.unwrap_or_else(|| {
                times
                    .unwrap_or_default()
                    .applied(usual_keep_alive(shared, id))
            }))
        })
    }

    /// Silence before the first keep-alive probe.
    pub fn tcp_keepalive_time(&self) -> io::Result<Duration> {
        self.keepalive_params().map(|keep| keep.idle_after)
    }

    /// Time between keep-alive probes.
    pub fn tcp_keepalive_interval(&self) -> io::Result<Duration> {
        self.keepalive_params().map(|keep| keep.interval)
    }

    /// Unanswered keep-alive probes that mean that the peer is gone.
    pub fn tcp_keepalive_retries(&self) -> io::Result<u32> {
        self.keepalive_params().map(|keep| u32::from(keep.probes))
    }

    /// How long text may stay unacknowledged before the connection is given up with `TimedOut` (R2, RFC 9293 section
    /// 3.8.3).
    pub fn tcp_user_timeout(&self) -> io::Result<Option<Duration>> {
        self.get(|shared, id| Some(Some(shared.stack.connection(id)?.user_timeout())))
    }

    /// Sets the user timeout; `None`: as the net is configured ([`woshou_tcp::Config::user_timeout`]).
    pub fn set_tcp_user_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.set(|shared, now, id| shared.stack.set_user_timeout(now, id, timeout))
    }

    /// Whether the stream is corked.
    pub fn tcp_cork(&self) -> io::Result<bool> {
        self.get(|shared, id| Some(shared.stack.connection(id)?.corked()))
    }

    /// Corked (`true`), only whole segments leave; what is left after them waits for more, for the cork to come out, or for
    /// [`SockRef::push`].
    pub fn set_tcp_cork(&self, cork: bool) -> io::Result<()> {
        self.set(|shared, now, id| shared.stack.set_cork(now, id, cork))
    }

    /// Octets that segments to the peer carry at most, options taken off (TCP_MAXSEG).
    pub fn tcp_mss(&self) -> io::Result<u32> {
        self.stream
            .info()
            .map(|info| info.snd_mss)
            .ok_or_else(|| error::ended(Ended::Closed))
    }

    /// Limits what segments to the peer carry; what our SYN offered the peer stays: see
    /// [`TcpSocket::set_tcp_mss`](crate::TcpSocket::set_tcp_mss). `InvalidInput`: not 88 to 32,767.
    pub fn set_tcp_mss(&self, mss: u32) -> io::Result<()> {
        let mss = self::mss(mss)?;
        self.set(|shared, now, id| shared.stack.limit_send_mss(now, id, mss))
    }

    /// Most octets that wait to be sent for the first time; `u32::MAX`: what the buffer takes.
    pub fn tcp_notsent_lowat(&self) -> io::Result<u32> {
        self.get(|shared, id| {
            let low = shared.stack.connection(id)?.not_sent_low();
            Some(low.unwrap_or(u32::MAX))
        })
    }

    /// Writing waits where so many octets wait to be sent for the first time, so that what is written late can still
    /// overtake; `u32::MAX`: no limit but the buffer's.
    pub fn set_tcp_notsent_lowat(&self, octets: u32) -> io::Result<()> {
        let octets = Some(octets).filter(|octets| *octets != u32::MAX);
        self.set(|shared, now, id| shared.stack.set_not_sent_low(now, id, octets))
    }

    /// The name of the congestion control algorithm: `cubic` (TCP_CONGESTION).
    pub fn tcp_congestion(&self) -> io::Result<Vec<u8>> {
        self.get(|shared, id| {
            let name = shared.stack.congestion_name(id)?;
            Some(name.as_bytes().to_vec())
        })
    }

    /// Another congestion control algorithm from now on, by its name ([`woshou_tcp::congestion::NAMES`]). The congestion window
    /// stays. `NotFound`: there is none of this name.
    pub fn set_tcp_congestion(&self, name: &[u8]) -> io::Result<()> {
        self.set_congestion(congestion(name)?)
    }

    /// As [`Self::set_tcp_congestion`], for an algorithm of your own.
    pub fn set_congestion(&self, factory: Arc<dyn CongestionFactory>) -> io::Result<()> {
        self.set(|shared, now, id| shared.stack.set_congestion(now, id, &factory))
    }

    /// Octets a second that text is paced at, at most; `None`: no bound (SO_MAX_PACING_RATE).
    pub fn max_pacing_rate(&self) -> io::Result<Option<u64>> {
        self.config(|config| config.max_pacing_rate)
    }

    /// Bounds the rate, octets a second, and so has text spread over time where the algorithm would not
    /// ([`woshou_tcp::Config::max_pacing_rate`]); `None`: no bound.
    pub fn set_max_pacing_rate(&self, rate: Option<u64>) -> io::Result<()> {
        self.set(|shared, now, id| {
            shared
                .stack
                .tune(now, id, |config| config.max_pacing_rate = rate);
        })
    }

    /// An acknowledgement that waits for company goes now; `false` does nothing. Not lasting, as on Linux.
    pub fn set_tcp_quickack(&self, quickack: bool) -> io::Result<()> {
        self.set(|shared, now, id| {
            if quickack {
                shared.stack.acknowledge_now(now, id);
            }
        })
    }

    /// Most octets that are held for a peer who does not acknowledge.
    pub fn send_buffer_size(&self) -> io::Result<usize> {
        self.config(|config| config.send_buffer)
    }

    /// Sets the size of the send buffer, octets (not doubled, unlike Linux's).
    pub fn set_send_buffer_size(&self, size: usize) -> io::Result<()> {
        self.set(|shared, now, id| {
            shared
                .stack
                .tune(now, id, |config| config.fix_send_buffer(size));
        })
    }

    /// Most octets that are held for a user who does not read, and so the largest window.
    pub fn recv_buffer_size(&self) -> io::Result<usize> {
        self.config(|config| config.receive_buffer)
    }

    /// Sets the size of the receive buffer, octets (not doubled, unlike Linux's). The window scale was settled by the
    /// handshake: a buffer larger than it reaches is of no use.
    pub fn set_recv_buffer_size(&self, size: usize) -> io::Result<()> {
        self.set(|shared, now, id| {
            shared
                .stack
                .tune(now, id, |config| config.fix_receive_buffer(size));
        })
    }

    /// TOS or traffic class of what is sent: the Diffserv field in the six upper bits. IPv4 and IPv6.
    pub fn tos(&self) -> io::Result<u32> {
        self.get(|shared, id| shared.stack.tos(id).map(u32::from))
    }

    /// Sets TOS or traffic class, 0 to 255; the two low bits are ECN's and ignored. Best chosen once, before connecting
    /// (RFC 9293 SHLD-23). `InvalidInput`: out of range.
    pub fn set_tos(&self, tos: u32) -> io::Result<()> {
        let tos = error::tos(tos)?;
        self.set(|shared, _, id| shared.stack.set_tos(id, tos))
    }

    /// TOS or traffic class of the segment that came last, ECN's bits included.
    pub fn received_tos(&self) -> io::Result<u32> {
        self.get(|shared, id| shared.stack.received_tos(id).map(u32::from))
    }

    /// Sends urgent data: what is written so far is urgent up to the last of `buf`. It stays in the stream, in order.
    /// Returns how many octets there was room for.
    ///
    /// New programs should not use it (RFC 9293 SHLD-13, RFC 6093). `WouldBlock`: no room.
    pub fn send_out_of_band(&self, buf: &[u8]) -> io::Result<usize> {
        self.stream.call(|shared, now, id| {
            shared.check()?;
            let result = shared.stack.write_urgent(now, id, buf);
            result.map_err(error::write)
        })
    }

    /// Octets of urgent data not read yet, arrived or not; `None`: there are none. To wait for them:
    /// [`TcpStream::urgent`].
    pub fn urgent_unread(&self) -> io::Result<Option<u32>> {
        self.get(|shared, id| Some(shared.stack.connection(id)?.urgent_unread()))
    }

    /// Whether everything urgent, and nothing after it, was read (`sockatmark`). Reads never cross the mark.
    pub fn at_mark(&self) -> io::Result<bool> {
        self.get(|shared, id| Some(shared.stack.connection(id)?.at_mark()))
    }

    /// PUSH of all that was written so far: it leaves in spite of the cork, and its last segment carries PSH.
    pub fn push(&self) -> io::Result<()> {
        self.set(|shared, now, id| shared.stack.push(now, id))
    }

    /// FLUSH (RFC 9293 section 3.9.1.7): takes back what was written and never sent; returns how many octets.
    pub fn discard_unsent(&self) -> io::Result<usize> {
        self.stream.call(|shared, now, id| {
            shared.check()?;
            Ok(shared.stack.flush(now, id))
        })
    }

    /// What the network last reported about the path (an ICMP error), since the peer last acknowledged anything. It ends
    /// no open connection; should this one time out, the error tells.
    pub fn path_error(&self) -> io::Result<Option<PathError>> {
        self.get(|shared, id| Some(shared.stack.path_error(id)))
    }
}

fn usual_keep_alive(shared: &Shared, id: ConnId) -> KeepAlive {
    let config = shared.stack.config_of(id);
    config
        .and_then(|config| config.keep_alive)
        .unwrap_or_default()
}
