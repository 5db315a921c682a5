//! How a net is made.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::thread;

use tokio::runtime::Handle;
use woshou_link::Device;
use woshou_stack::{Cidr, Config, LinkConfig, LinkId, Medium, Stack};
use woshou_tcp::Observer;
use woshou_tcp::congestion::CongestionFactory;

use crate::Net;
use crate::driver::{Driver, descriptor};
use crate::port::Port;
use crate::shared::{Core, Shared};

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
    config: Config,
    seed: Option<[u8; 32]>,
    links: Vec<Link>,
    observer: Option<Box<dyn Observer + Send>>,
    precise_timers: Option<bool>,
}

struct Link {
    device: Box<dyn Device>,
    addresses: Vec<Cidr>,
    routes: Vec<(Cidr, Option<IpAddr>)>,
    any_ip: bool,
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
        }
    }

    /// Adds a device and our addresses on it. May be called several times; at least once.
    pub fn device(
        mut self,
        device: Box<dyn Device>,
        addresses: impl IntoIterator<Item = Cidr>,
    ) -> Self {
        let addresses = addresses.into_iter().collect();
        self.links.push(Link {
            device,
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
    /// [`Builder::config`]). Default: 256 MiB. What was done to keep it shows in [`Net::memory`].
    pub fn memory(mut self, octets: usize) -> Self {
        self.config.memory = octets;
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

    /// Makes the net, driven by a task of the current tokio runtime, which needs its timer (`enable_time`) and,
    /// for devices with a descriptor, its I/O (`enable_io`).
    ///
    /// # Errors
    /// No device was added; there is no current runtime; no random numbers; no descriptor is free.
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
        let (net, driver) = self.make()?;
        runtime.spawn(driver);
        Ok(net)
    }

    /// Makes the net, driven by a thread of its own: for programs without tokio ([`crate::blocking`]).
    ///
    /// # Errors
    /// As [`Builder::spawn`]; and when no thread can be made.
    pub fn spawn_thread(self) -> io::Result<Net> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (net, driver) = {
            let _entered = runtime.enter();
            self.make()?
        };
        thread::Builder::new()
            .name("woshou".to_owned())
            .spawn(move || runtime.block_on(driver))
            .map(|_running_until_the_net_is_over| net)
    }

    fn make(self) -> io::Result<(Net, Driver)> {
        if self.links.is_empty() {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "a woshou net needs a device: call Builder::device",
            ));
        }
        let seed = match self.seed {
            Some(seed) => seed,
            None => {
                let mut seed = [0; 32];
                getrandom::fill(&mut seed).map_err(io::Error::other)?;
                seed
            }
        };
        let mut stack = Stack::new(Arc::new(self.config), seed);
        stack.set_observer(self.observer);
        let mut descriptors = Vec::with_capacity(self.links.len());
        let mut ports = Vec::with_capacity(self.links.len());
        for link in self.links {
            descriptors.push(descriptor(link.device.as_ref())?);
            let id = add_link(&mut stack, &link);
            ports.push(Port::new(id, link.device));
        }
        let core = Arc::new(Core::new(Shared::new(stack, ports)));
        let precise = self
            .precise_timers
            .unwrap_or_else(|| descriptors.iter().any(Option::is_some));
        let driver = Driver::new(Arc::clone(&core), descriptors, precise)?;
        Ok((Net::new(core), driver))
    }
}

fn add_link(stack: &mut Stack, link: &Link) -> LinkId {
    let info = link.device.info();
    let id = stack.add_link(LinkConfig {
        medium: match info.medium {
            woshou_link::Medium::Ip => Medium::Ip,
            woshou_link::Medium::Ethernet { mac } => Medium::Ethernet { mac },
        },
        mtu: info.mtu,
        addresses: link.addresses.clone(),
        checksum_offload: info.checksum_offload,
        gso_max: info.gso_max,
    });
    stack.set_any_ip(id, link.any_ip);
    for (to, via) in &link.routes {
        stack.add_route(*to, id, *via);
    }
    id
}
