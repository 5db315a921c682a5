//! How a net is made.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::thread;

use tokio::runtime::Handle;
use woshou_link::Device;
use woshou_stack::{Cidr, Config};
use woshou_tcp::Observer;
use woshou_tcp::congestion::CongestionFactory;

use super::make::Plan;
use crate::Net;

/// TCP as a program for the kernel's sockets expects it: [`woshou_tcp::Config::default`], but an ICMP unreachable ends
/// a `connect` at once, as every kernel does (RFC 5461), instead of after three minutes (RFC 9293 MUST-56).
#[must_use]
pub fn socket_config() -> woshou_tcp::Config {
    woshou_tcp::Config {
        open_fails_on_path_error: true,
        ..woshou_tcp::Config::default()
    }
}

/// Collects what a [`Net`] is made of.
#[must_use = "a builder does nothing until it is spawned"]
pub struct Builder {
    pub(super) config: Config,
    pub(super) seed: Option<[u8; 32]>,
    pub(super) links: Vec<Link>,
    pub(super) observer: Option<Box<dyn Observer + Send>>,
    pub(super) precise_timers: Option<bool>,
    pub(super) shards: u16,
}

pub(super) struct Link {
    /// One for each shard, or one for all.
    pub(super) queues: Vec<Box<dyn Device>>,
    pub(super) addresses: Vec<Cidr>,
    pub(super) routes: Vec<(Cidr, Option<IpAddr>)>,
    pub(super) any_ip: bool,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("config", &self.config)
            .field("devices", &self.links.len())
            .finish_non_exhaustive()
    }
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            config: Config {
                tcp: Arc::new(socket_config()),
                ..Config::default()
            },
            seed: None,
            links: Vec::new(),
            observer: None,
            precise_timers: None,
            shards: 1,
        }
    }

    /// Adds a device and our addresses on it. May be called several times; at least once.
    pub fn device(
        self,
        device: Box<dyn Device>,
        addresses: impl IntoIterator<Item = Cidr>,
    ) -> Self {
        self.queues(vec![device], addresses)
    }

    /// As [`Builder::device`], a device of several queues ([`Tun::open_queues`](crate::link::Tun::open_queues)): one for each
    /// of [`Builder::shards`], or fewer; shards beyond the last share the first. Each shard reads its queue and writes to it. A
    /// packet may come by any of them.
    pub fn queues(
        mut self,
        queues: Vec<Box<dyn Device>>,
        addresses: impl IntoIterator<Item = Cidr>,
    ) -> Self {
        let addresses = addresses.into_iter().collect();
        self.links.push(Link {
            queues,
            addresses,
            routes: Vec::new(),
            any_ip: false,
        });
        self
    }

    /// Routes `to` out of the device added last, by the router `via` when given. What the addresses' own prefixes
    /// cover needs no route. Does nothing before the first [`Builder::device`].
    pub fn route(mut self, to: Cidr, via: Option<IpAddr>) -> Self {
        if let Some(link) = self.links.last_mut() {
            link.routes.push((to, via));
        }
        self
    }

    /// Routes everything of both families out of the device added last: right for a TUN device, whose other end
    /// takes every packet.
    pub fn default_route(self) -> Self {
        self.route(
            Cidr {
                address: Ipv4Addr::UNSPECIFIED.into(),
                prefix: 0,
            },
            None,
        )
        .route(
            Cidr {
                address: Ipv6Addr::UNSPECIFIED.into(),
                prefix: 0,
            },
            None,
        )
    }

    /// Takes TCP for every unicast address on the device added last, ours or not: for proxies, together with
    /// [`crate::TcpListener::bind_any`]. Does nothing before the first [`Builder::device`].
    pub fn any_ip(mut self) -> Self {
        if let Some(link) = self.links.last_mut() {
            link.any_ip = true;
        }
        self
    }

    /// The stack's behaviour. Default: [`Config::default`] with the TCP of [`socket_config`].
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// The behaviour of TCP, as a part of [`Builder::config`]. Default: [`socket_config`].
    pub fn tcp(mut self, config: woshou_tcp::Config) -> Self {
        self.config.tcp = Arc::new(config);
        self
    }

    /// The congestion control algorithm of its connections, as a part of [`Builder::tcp`]: one of
    /// [`woshou_tcp::congestion::by_name`], or your own. Default: CUBIC.
    pub fn congestion(mut self, factory: Arc<dyn CongestionFactory>) -> Self {
        Arc::make_mut(&mut self.config.tcp).congestion = factory;
        self
    }

    /// Most octets of memory that the stack holds, whatever its peers do ([`Config::memory`], as a part of
    /// [`Builder::config`]), with the driver's buffers. What the program holds itself is not in it: its own buffers and tasks, and
    /// what `read_chunk` handed over, which may keep 64 KiB alive with a few octets. Default: 256 MiB. What was done to keep it shows in [`Net::memory`].
    pub fn memory(mut self, octets: usize) -> Self {
        self.config.memory = octets;
        self
    }

    /// Divides the net among so many cores: each shard has a stack, a lock and a driver of its own and shares nothing, and
    /// each connection belongs to one of them by a keyed hash of its four-tuple. Default 1; 0 counts as 1.
    ///
    /// What is read where: [`Builder::spawn`] drives all shards as tasks of the current runtime, which runs them on as many
    /// threads as it has; [`Builder::spawn_thread`] makes a thread for each; [`Builder::spawn_on`] takes the runtimes that it is
    /// given. Streams work from any task of any runtime; a task next to its stream's driver
    /// ([`TcpStream::shard`](crate::TcpStream::shard), [`Net::runtime`]) never waits for its lock.
    ///
    /// A packet that comes by another shard's queue is handed over, at most 1,024 at a time
    /// ([`NetCounters::handed_over`](super::NetCounters::handed_over)). So a device with one queue works too: its first shard
    /// reads it for all.
    ///
    /// [`Builder::memory`] and the other limits of [`Config`] that count for the whole stack are divided by their number (at
    /// least 1 MiB of memory each); a listener has its backlog in each shard, as with `SO_REUSEPORT`.
    pub fn shards(mut self, shards: u16) -> Self {
        self.shards = shards.max(1);
        self
    }

    /// Where sequence numbers, ports and secrets come from. Default: the system's random numbers. A fixed seed is
    /// for tests only: a peer who knows it can guess every sequence number.
    pub fn seed(mut self, seed: [u8; 32]) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Who watches what happens inside TCP. Called under the net's lock: be quick.
    pub fn observer(mut self, observer: Box<dyn Observer + Send>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Whether deadlines less than ten milliseconds away are kept to the microsecond, by a `timerfd` (Linux; a
    /// descriptor for the net, and a runtime with `enable_io`), instead of tokio's milliseconds, always rounded up. Default:
    /// when a device has a descriptor, thus when its packets come from the real world. On paths of a few milliseconds loss
    /// recovery and pacing need it. A paused clock of tokio stays in force either way.
    pub fn precise_timers(mut self, precise: bool) -> Self {
        self.precise_timers = Some(precise);
        self
    }

    /// Makes the net, driven by a task (each shard by one) of the current tokio runtime, which needs its timer (`enable_time`) and,
    /// for devices with a descriptor, its I/O (`enable_io`).
    ///
    /// # Errors
    /// No device was added, or one with more queues than shards; there is no current runtime; no random numbers; no
    /// descriptor is free.
    ///
    /// # Panics
    /// As tokio does, when the runtime lacks its timer or I/O.
    pub fn spawn(self) -> io::Result<Net> {
        let runtime = Handle::try_current().map_err(|error| {
            io::Error::new(
                ErrorKind::NotConnected,
                format!("{error}; use Builder::spawn_thread outside of tokio"),
            )
        })?;
        Plan::new(self)?.spawn(&[runtime])
    }

    /// Makes the net, each shard driven by a task of one of `runtimes`, in turn. For runtimes of one thread, which the
    /// caller may have bound to a core: each drives its shards while it runs `block_on`.
    ///
    /// # Errors
    /// As [`Builder::spawn`]; there is no runtime.
    ///
    /// # Panics
    /// As [`Builder::spawn`].
    pub fn spawn_on(self, runtimes: &[Handle]) -> io::Result<Net> {
        if runtimes.is_empty() {
            let why = "Builder::spawn_on needs a runtime at least";
            return Err(io::Error::new(ErrorKind::InvalidInput, why));
        }
        Plan::new(self)?.spawn(runtimes)
    }

    /// Makes the net, driven by a thread of its own, each shard by one, with a runtime of one thread: for programs without
    /// tokio ([`crate::blocking`]), and to use several cores. Other tasks may be spawned there ([`Net::runtime`]); they are
    /// dropped when the net is over.
    ///
    /// # Errors
    /// As [`Builder::spawn`]; and when no thread can be made.
    pub fn spawn_thread(self) -> io::Result<Net> {
        let runtime = || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
        };
        let runtimes: Vec<_> = (0..self.shards)
            .map(|_| runtime())
            .collect::<io::Result<_>>()?;
        let handles: Vec<_> = runtimes.iter().map(|one| one.handle().clone()).collect();
        let (net, drivers) = Plan::new(self)?.drivers(&handles)?;
        for (runtime, driver) in runtimes.into_iter().zip(drivers) {
            thread::Builder::new()
                .name("woshou".to_owned())
                .spawn(move || runtime.block_on(driver))?;
        }
        Ok(net)
    }
}
