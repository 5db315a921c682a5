//! [`TcpSocket`]: options before connecting or listening.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use woshou_tcp::congestion::CongestionFactory;

use crate::options::{self, TcpKeepalive, Tuning};
use crate::{Net, TcpListener, TcpStream, error};

/// As in tokio and `std`.
const DEFAULT_BACKLOG: u32 = 1024;

/// A socket that neither connects nor listens yet, as `tokio::net::TcpSocket`.
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// let socket = woshou::TcpSocket::new_v4()?;
/// socket.set_nodelay(true)?;
/// socket.bind("10.9.0.2:4000".parse().expect("an address"))?;
/// let stream = socket.connect("10.9.0.1:80".parse().expect("an address")).await?;
/// # drop(stream); Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TcpSocket {
    /// `None`: the current one when it connects or listens.
    net: Option<Net>,
    v6: bool,
    options: Mutex<Options>,
}

#[derive(Clone, Debug, Default)]
struct Options {
    local: Option<SocketAddr>,
    nodelay: bool,
    linger: Option<Duration>,
    tuning: Tuning,
    reuseaddr: bool,
}

impl TcpSocket {
    pub(crate) fn new(net: Option<Net>, v6: bool) -> Self {
        Self {
            net,
            v6,
            options: Mutex::default(),
        }
    }

    /// For IPv4, on the net that is current when it connects or listens. See [`Net::socket`] for a certain net.
    ///
    /// # Errors
    /// None; the result is tokio's form.
    pub fn new_v4() -> io::Result<Self> {
        Ok(Self::new(None, false))
    }

    /// For IPv6, on the net that is current when it connects or listens.
    ///
    /// # Errors
    /// None; the result is tokio's form.
    pub fn new_v6() -> io::Result<Self> {
        Ok(Self::new(None, true))
    }

    fn options(&self) -> MutexGuard<'_, Options> {
        self.options.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which of our addresses and ports to connect from or to listen on; port 0 for a free one. Whether they can be
    /// had is found out by `connect` or `listen`.
    ///
    /// # Errors
    /// `InvalidInput`: bound already, or an address of the other family.
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        if addr.is_ipv6() != self.v6 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "an address of the other family",
            ));
        }
        let mut options = self.options();
        if options.local.is_some() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "bound already"));
        }
        options.local = Some(addr);
        Ok(())
    }

    /// Connects. Dropping the future gives the attempt up.
    ///
    /// # Errors
    /// As [`Net::connect`]; `AddrInUse` and `AddrNotAvailable` for the address it was bound to; `NotConnected`:
    /// there is no current net.
    pub async fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        let options = self.options().clone();
        let net = self.net()?;
        let adopted = net.open(addr, options.local, |shared, now| {
            let config = options.tuning.config(shared.stack.tcp_config());
            let id = shared
                .stack
                .connect_with(now, addr, options.local, config)?;
            options.tuning.apply(&mut shared.stack, now, id);
            Ok(id)
        })?;
        let stream = TcpStream::new(net.clone(), &adopted);
        let times = options.tuning.keepalive_times;
        if options.linger.is_some() || times != TcpKeepalive::default() {
            stream.look(|shared, id| {
                if let Some(socket) = shared.sockets.get_mut(&id) {
                    (socket.linger, socket.keepalive) = (options.linger, times);
                }
            });
        }
        stream.opened().await?;
        if options.nodelay {
            stream.set_nodelay(true)?;
        }
        Ok(stream)
    }

    /// Listens; at most `backlog` connections wait to be accepted. Not bound: on every address, a free port.
    ///
    /// # Errors
    /// `AddrInUse`, `AddrNotAvailable` (not an address of this net), `NotConnected`: there is no current net.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        let options = self.options().clone();
        let any = if self.v6 {
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))
        } else {
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
        };
        let at = options.local.unwrap_or(any);
        TcpListener::listen(self.net()?, at, backlog, (options.tuning, options.nodelay))
    }

    /// `bind`, then `listen` with the backlog of `TcpListener::bind`.
    pub(crate) fn bind_and_listen(self, addr: SocketAddr) -> io::Result<TcpListener> {
        self.bind(addr)?;
        self.listen(DEFAULT_BACKLOG)
    }

    fn net(&self) -> io::Result<Net> {
        self.net.clone().map_or_else(Net::current, Ok)
    }

    /// What [`TcpSocket::bind`] was told.
    ///
    /// # Errors
    /// `InvalidInput`: not bound.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let unbound = || io::Error::new(io::ErrorKind::InvalidInput, "not bound");
        self.options().local.ok_or_else(unbound)
    }

    /// Whether Nagle's algorithm will be off.
    ///
    /// # Errors
    /// None; the result is tokio's form.
    pub fn nodelay(&self) -> io::Result<bool> {
        Ok(self.options().nodelay)
    }

    /// Switches Nagle's algorithm off for the connection, or for those accepted. See [`TcpStream::set_nodelay`].
    ///
    /// # Errors
    /// None; the result is tokio's form.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.options().nodelay = nodelay;
        Ok(())
    }

    /// What [`TcpSocket::set_linger`] set.
    ///
    /// # Errors
    /// None; the result is tokio's form.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        Ok(self.options().linger)
    }

    /// What dropping the connection does. See [`TcpStream::set_linger`]; accepted connections do not inherit it.
    ///
    /// # Errors
    /// None; the result is tokio's form.
    pub fn set_linger(&self, dur: Option<Duration>) -> io::Result<()> {
        self.options().linger = dur;
        Ok(())
    }

    /// As `set_linger(Some(0))`.
    ///
    /// # Errors
    /// None; the result is tokio's form.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// Sets TTL or hop limit of the connection, the SYN included, or of those accepted; 1 to 255.
    ///
    /// # Errors
    /// `InvalidInput`: out of range.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.options().tuning.ttl = Some(error::ttl(ttl)?);
        Ok(())
    }

    /// Sets TOS of the connection, the SYN included, or of the listener and those accepted, 0 to 255: the Diffserv field in
    /// the six upper bits; the two low ones are ECN's and ignored.
    ///
    /// # Errors
    /// `InvalidInput`: out of range.
    pub fn set_tos_v4(&self, tos: u32) -> io::Result<()> {
        self.options().tuning.tos = Some(error::tos(tos)?);
        Ok(())
    }

    /// What [`TcpSocket::set_tos_v4`] or [`TcpSocket::set_tclass_v6`] set; 0 before.
    ///
    /// # Errors
    /// None; the result is tokio's form.
    pub fn tos_v4(&self) -> io::Result<u32> {
        Ok(self.options().tuning.tos.map_or(0, u32::from))
    }

    /// As [`TcpSocket::set_tos_v4`], IPv6's traffic class: a socket speaks one family, so that they are the same.
    ///
    /// # Errors
    /// `InvalidInput`: out of range.
    pub fn set_tclass_v6(&self, tclass: u32) -> io::Result<()> {
        self.set_tos_v4(tclass)
    }

    /// As [`TcpSocket::tos_v4`].
    ///
    /// # Errors
    /// None; the result is tokio's form.
    pub fn tclass_v6(&self) -> io::Result<u32> {
        self.tos_v4()
    }

    /// Keep-alive on or off (RFC 9293 section 3.8.4). Accepted connections inherit it.
    ///
    /// # Errors
    /// None; the result is tokio's form.
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        self.options().tuning.keepalive = Some(keepalive);
        Ok(())
    }

    /// Whether keep-alive will be on.
    ///
    /// # Errors
    /// None; the result is tokio's form.
    pub fn keepalive(&self) -> io::Result<bool> {
        Ok(self.options().tuning.keepalive == Some(true))
    }

    /// Keep-alive on, by these times.
    ///
    /// # Errors
    /// None; the result is `socket2`'s form.
    pub fn set_tcp_keepalive(&self, params: &TcpKeepalive) -> io::Result<()> {
        let tuning = &mut self.options().tuning;
        tuning.keepalive = Some(true);
        tuning.keepalive_times = *params;
        Ok(())
    }

    /// How long text may stay unacknowledged before the connection is given up; `None`: as the net is configured.
    ///
    /// # Errors
    /// None; the result is `socket2`'s form.
    pub fn set_tcp_user_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.options().tuning.user_timeout = timeout;
        Ok(())
    }

    /// The largest segment that our SYN offers and that is sent, octets without options (TCP_MAXSEG).
    ///
    /// # Errors
    /// `InvalidInput`: not 88 to 32,767.
    pub fn set_tcp_mss(&self, mss: u32) -> io::Result<()> {
        self.options().tuning.mss = Some(options::mss(mss)?);
        Ok(())
    }

    /// The congestion control algorithm, by its name ([`woshou_tcp::congestion::NAMES`]). Accepted connections inherit it.
    ///
    /// # Errors
    /// `NotFound`: there is none of this name.
    pub fn set_tcp_congestion(&self, name: &[u8]) -> io::Result<()> {
        self.set_congestion(options::congestion(name)?)
    }

    /// As [`Self::set_tcp_congestion`], for an algorithm of your own.
    ///
    /// # Errors
    /// None; the result is `socket2`'s form.
    pub fn set_congestion(&self, factory: Arc<dyn CongestionFactory>) -> io::Result<()> {
        self.options().tuning.congestion = Some(factory);
        Ok(())
    }

    /// The name of the algorithm that it will have.
    ///
    /// # Errors
    /// `NotConnected`: there is no current net to ask for its own.
    pub fn tcp_congestion(&self) -> io::Result<Vec<u8>> {
        let chosen = self.options().tuning.congestion.clone();
        let name = match chosen {
            Some(factory) => factory.name(),
            None => self
                .net()?
                .call(|shared, _| shared.stack.tcp_config().congestion.name()),
        };
        Ok(name.as_bytes().to_vec())
    }

    /// As [`SockRef::set_tcp_notsent_lowat`](crate::SockRef::set_tcp_notsent_lowat).
    ///
    /// # Errors
    /// None; the result is `socket2`'s form.
    pub fn set_tcp_notsent_lowat(&self, octets: u32) -> io::Result<()> {
        self.options().tuning.notsent_lowat = Some(octets).filter(|octets| *octets != u32::MAX);
        Ok(())
    }

    /// Sets the size of the send buffer, octets (not doubled, unlike Linux's).
    ///
    /// # Errors
    /// None; the result is tokio's form.
    pub fn set_send_buffer_size(&self, size: u32) -> io::Result<()> {
        self.options().tuning.send_buffer = Some(size);
        Ok(())
    }

    /// The size of the send buffer, octets.
    ///
    /// # Errors
    /// `NotConnected`: there is no current net to ask for its own.
    pub fn send_buffer_size(&self) -> io::Result<u32> {
        let set = self.options().tuning.send_buffer;
        set.map_or_else(|| self.usual(|config| config.send_buffer), Ok)
    }

    /// Sets the size of the receive buffer, octets (not doubled, unlike Linux's): the largest window, and the window scale
    /// that the SYN offers.
    ///
    /// # Errors
    /// None; the result is tokio's form.
    pub fn set_recv_buffer_size(&self, size: u32) -> io::Result<()> {
        self.options().tuning.recv_buffer = Some(size);
        Ok(())
    }

    /// The size of the receive buffer, octets.
    ///
    /// # Errors
    /// `NotConnected`: there is no current net to ask for its own.
    pub fn recv_buffer_size(&self) -> io::Result<u32> {
        let set = self.options().tuning.recv_buffer;
        set.map_or_else(|| self.usual(|config| config.receive_buffer), Ok)
    }

    fn usual(&self, figure: impl FnOnce(&woshou_tcp::Config) -> usize) -> io::Result<u32> {
        let net = self.net()?;
        let octets = figure(net.core().lock().stack.tcp_config());
        Ok(u32::try_from(octets).unwrap_or(u32::MAX))
    }

    /// What [`TcpSocket::set_reuseaddr`] set.
    ///
    /// # Errors
    /// None; the result is tokio's form.
    pub fn reuseaddr(&self) -> io::Result<bool> {
        Ok(self.options().reuseaddr)
    }

    /// Changes nothing: connections in TIME-WAIT never keep a port from a listener of this stack.
    ///
    /// # Errors
    /// None; the result is tokio's form.
    pub fn set_reuseaddr(&self, reuseaddr: bool) -> io::Result<()> {
        self.options().reuseaddr = reuseaddr;
        Ok(())
    }
}
