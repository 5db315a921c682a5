//! A TUN device: IP packets to and from the kernel of this network namespace.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::task::Waker;

use rustix::fs::{Mode, OFlags, open};
use thiserror::Error;

use crate::descriptor::Descriptor;
use crate::netlink::{Link, Netlink};
use crate::{
    Cidr, Device, DeviceInfo, MIN_MTU_V6, Medium, Outgoing, Readiness, Received, TunConfig,
};
use crate::{MAX_MTU, sys};

const NODE: &str = "/dev/net/tun";

/// Why a TUN device could not be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TunError {
    /// `/dev/net/tun` is not there.
    #[error("{NODE} is missing: load the `tun` module, or hand the device to this container")]
    Missing,
    /// `/dev/net/tun` may not be opened.
    #[error(
        "{NODE} may not be opened by this user: run as root, or let the user read and write it"
    )]
    Denied,
    /// `/dev/net/tun` could not be opened for another reason.
    #[error("{NODE} cannot be opened: {0}")]
    Open(io::Error),
    /// The device may not be attached to or made.
    #[error(
        "no permission for the TUN device `{0}`: run as root (CAP_NET_ADMIN), or have root make it once \
         for this user (`ip tuntap add {0} mode tun user NAME`)"
    )]
    NotPermitted(String),
    /// Another process has it.
    #[error("the TUN device `{0}` is in use by another process: end it, or use another name")]
    Busy(String),
    /// A device of this name is there, but of another kind.
    #[error("`{0}` is there but is not a TUN device: use another name")]
    NotTun(String),
    /// A device of this name is there, but was not made for several queues (or is none).
    #[error(
        "`{0}` is there but is not a TUN device of several queues: have it made so \
         (`ip tuntap add {0} mode tun multi_queue`), or use queues=1"
    )]
    OneQueue(String),
    /// The kernel refused for another reason.
    #[error("the TUN device `{name}` cannot be attached to: {source}")]
    Attach {
        /// The device.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel does not hand over checksums and super-frames.
    #[error("this kernel's TUN has no offload ({0}): use offload=off")]
    Offload(io::Error),
    /// The device is attached but could not be set up.
    #[error("cannot {step} on the TUN device `{name}`: {source}")]
    Configure {
        /// The device.
        name: String,
        /// What was tried.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// A queue of an attached TUN device, most often its only one. The device goes away when its last queue is dropped, unless
/// it was made persistent by someone else.
#[derive(Debug)]
pub struct Tun {
    descriptor: Descriptor,
}

impl Tun {
    /// Attaches to the device of `config` in the calling thread's network namespace, made if it is missing,
    /// and brings it to what `config` says. What already is as asked for is not touched, so that a
    /// device that root prepared for this user needs no privilege.
    ///
    /// One queue, whatever [`TunConfig::queues`] says.
    ///
    /// # Errors
    /// [`TunError`], a variant per cause.
    pub fn open(config: &TunConfig) -> Result<Self, TunError> {
        let fd = open_queue(config, false)?;
        let (mtu, queue) = configure(config)?;
        Ok(Self::new(fd, config, (mtu, queue)))
    }

    /// As [`Tun::open`], [`TunConfig::queues`] of them. The kernel sends each packet by one of them: by the one that
    /// packets of the same flow were last written to, and else by a hash of the flow (`tun_select_queue`). So who reads
    /// them must be ready to see any packet on any queue.
    ///
    /// All have the same virtio-net header and offload, which are the device's. One that is dropped is left out by the
    /// kernel from then on; what waited in it is lost.
    ///
    /// # Errors
    /// As [`Tun::open`]; [`TunError::OneQueue`].
    pub fn open_queues(config: &TunConfig) -> Result<Vec<Self>, TunError> {
        if config.queues <= 1 {
            return Self::open(config).map(|one| vec![one]);
        }
        let queues = (0..config.queues).map(|_| open_queue(config, true));
        let queues = queues.collect::<Result<Vec<_>, _>>()?;
        // Once all are there: a device that is up sends.
        let found = configure(config)?;
        let tuns = queues.into_iter().map(|fd| Self::new(fd, config, found));
        Ok(tuns.collect())
    }

    fn new(fd: OwnedFd, config: &TunConfig, (mtu, queue): (u16, u32)) -> Self {
        let mut descriptor = Descriptor::new(fd, Medium::Ip, mtu, config.offload);
        descriptor.queue = Some(queue).filter(|queue| *queue > 0);
        Self { descriptor }
    }
}

/// A descriptor, attached, that has or has not the virtio-net header; `several`: one of many.
fn open_queue(config: &TunConfig, several: bool) -> Result<OwnedFd, TunError> {
    let fd = open_node()?;
    attach(&fd, config, several)?;
    if config.offload {
        let flags = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
        sys::tun_offload(&fd, flags).map_err(TunError::Offload)?;
    } else {
        // A persistent device keeps what its last owner could take. Before the virtio header it fails
        // on no kernel; were it to, the device never had offload.
        let _ = sys::tun_offload(&fd, 0);
    }
    Ok(fd)
}

fn open_node() -> Result<OwnedFd, TunError> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    open(NODE, flags, Mode::empty()).map_err(|errno| match io::Error::from(errno) {
        // ENODEV and ENXIO: the node is there, the module is not.
        error if error.kind() == io::ErrorKind::NotFound => TunError::Missing,
        error if matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENXIO)) => {
            TunError::Missing
        }
        error if error.kind() == io::ErrorKind::PermissionDenied => TunError::Denied,
        error => TunError::Open(error),
    })
}

fn attach(fd: &OwnedFd, config: &TunConfig, several: bool) -> Result<(), TunError> {
    let mut flags = libc::IFF_TUN | libc::IFF_NO_PI;
    if several {
        flags |= libc::IFF_MULTI_QUEUE;
    }
    if config.offload {
        flags |= libc::IFF_VNET_HDR;
    }
    let name = || config.name.clone();
    let result = match sys::tun_attach(fd, &config.name, flags) {
        // A persistent device made with several queues wants each opener to say so.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) && !several => {
            sys::tun_attach(fd, &config.name, flags | libc::IFF_MULTI_QUEUE)
        }
        result => result,
    };
    result.map_err(|source| match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => TunError::NotPermitted(name()),
        Some(libc::EBUSY) => TunError::Busy(name()),
        Some(libc::EINVAL) if several => TunError::OneQueue(name()),
        Some(libc::EINVAL) => TunError::NotTun(name()),
        _ => TunError::Attach {
            name: name(),
            source,
        },
    })
}

/// Brings the device to what `config` says and returns its MTU and the length of its queue.
fn configure(config: &TunConfig) -> Result<(u16, u32), TunError> {
    let failed = |step| {
        move |source| TunError::Configure {
            name: config.name.clone(),
            step,
            source,
        }
    };
    let mut netlink = Netlink::open().map_err(failed("ask for the state"))?;
    let link = netlink
        .link(&config.name)
        .map_err(failed("ask for the state"))?;
    let current = u16::try_from(link.mtu).unwrap_or(MAX_MTU);
    let mtu = config.mtu.unwrap_or(current);
    if mtu != current {
        netlink
            .set_mtu(link.index, mtu)
            .map_err(failed("set the MTU"))?;
    }
    if !link.up {
        // Best effort: without it the kernel only talks a little more.
        let _ = netlink.no_link_local(link.index);
        netlink.set_up(link.index).map_err(failed("bring it up"))?;
    }
    let has = netlink
        .addresses(link.index)
        .map_err(failed("list the addresses"))?;
    add_peers(config, &mut netlink, link, &has, mtu)?;
    Ok((mtu, link.queue))
}

/// Gives the kernel its addresses, and routes to ours that their prefixes do not cover.
fn add_peers(
    config: &TunConfig,
    netlink: &mut Netlink,
    link: Link,
    has: &[IpAddr],
    mtu: u16,
) -> Result<(), TunError> {
    let failed = |step| {
        move |source| TunError::Configure {
            name: config.name.clone(),
            step,
            source,
        }
    };
    for &peer in config.peers.iter().filter(|peer| !has.contains(peer)) {
        if peer.is_ipv6() && mtu < MIN_MTU_V6 {
            let reason = io::Error::other("IPv6 needs an MTU of 1280 or more");
            return Err(failed("add the IPv6 address")(reason));
        }
        let ours = config
            .addresses
            .iter()
            .find(|ours| ours.address().is_ipv4() == peer.is_ipv4());
        let covering = ours
            .filter(|ours| ours.contains(peer))
            .and_then(|ours| Cidr::new(peer, ours.prefix()));
        netlink
            .add_address(link.index, covering.unwrap_or(Cidr::host(peer)))
            .map_err(failed("add the kernel's address"))?;
        if let (None, Some(ours)) = (covering, ours) {
            netlink
                .add_route(link.index, Cidr::host(ours.address()))
                .map_err(failed("add the route to our address"))?;
        }
    }
    Ok(())
}

impl Device for Tun {
    fn info(&self) -> DeviceInfo {
        self.descriptor.info()
    }
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        self.descriptor.recv(buffer)
    }
    fn send(&mut self, frame: &Outgoing<'_>) -> io::Result<()> {
        self.descriptor.send(frame)
    }
    fn readiness(&self) -> Readiness<'_> {
        self.descriptor.readiness()
    }
    fn register(&mut self, waker: &Waker) {
        self.descriptor.register(waker);
    }
}
