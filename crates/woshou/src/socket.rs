//! [`TcpSocket`]: options before connecting or listening.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::shared::Socket;
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

#[derive(Clone, Copy, Debug, Default)]
struct Options {
    local: Option<SocketAddr>,
    nodelay: bool,
    linger: Option<Duration>,
    ttl: Option<u8>,
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
        let options = *self.options();
        let net = self.net()?;
        let adopted = net.call(|shared, now| {
            shared.check()?;
            let id = shared
                .stack
                .connect(now, addr, options.local)
                .map_err(error::connect)?;
            if let Some(ttl) = options.ttl {
                shared.stack.set_ttl(id, ttl);
            }
            let adopted = net.adopt(shared, id);
            if let Some(Socket { linger, .. }) = shared.sockets.get_mut(&id) {
                *linger = options.linger;
            }
            adopted.ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionAborted))
        })?;
        let stream = TcpStream::new(net.clone(), &adopted);
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
        let options = *self.options();
        let any = if self.v6 {
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))
        } else {
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
        };
        let listener = TcpListener::listen(self.net()?, options.local.unwrap_or(any), backlog)?;
        Ok(listener.with_options(options.ttl, options.nodelay))
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
        self.options().ttl = Some(error::ttl(ttl)?);
        Ok(())
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
