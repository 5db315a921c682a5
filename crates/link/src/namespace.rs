//! A private network namespace: a kernel TCP of one's own as the peer, the host's network untouched.
//!
//! One thread lives in the namespace and runs what has to run there: children inherit it, sockets made there
//! belong to it. The device's descriptor works from every thread. When the thread, the children and the
//! device are gone, the kernel frees everything.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Child, Command};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::process::{getegid, geteuid};
use rustix::thread::{CapabilitySet, capabilities};
use thiserror::Error;

use crate::netlink::Netlink;
use crate::sys::{self, Unshare};
use crate::tun::{Tun, TunError};
use crate::veth::{self, OurSide};
use crate::xdp::{Xdp, XdpError};
use crate::{Cidr, Device, MIN_MTU_V6, Packet, PrivateSpec, TunConfig, Way, XdpConfig};

/// The kernel's IPv4 address in a private namespace; its network is a /24.
pub const KERNEL_V4: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 1);
/// Our IPv4 address in a private namespace.
pub const WOSHOU_V4: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 2);
/// The kernel's IPv6 address in a private namespace; its network is a /64.
pub const KERNEL_V6: Ipv6Addr = Ipv6Addr::new(0xfd07, 0, 0, 0, 0, 0, 0, 1);
/// Our IPv6 address in a private namespace.
pub const WOSHOU_V6: Ipv6Addr = Ipv6Addr::new(0xfd07, 0, 0, 0, 0, 0, 0, 2);
/// Prefix lengths, bits.
const PREFIX_V4: u8 = 24;
const PREFIX_V6: u8 = 64;
/// Name of the device on the kernel's side.
const DEVICE: &str = "woshou0";

/// Why there is no private namespace.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NamespaceError {
    /// The system lets this user make no user namespace.
    #[error(
        "this system lets ordinary users make no user namespace ({0}): run as root, or have it allowed \
         (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone; in a container its seccomp profile)"
    )]
    NoUserNamespaces(io::Error),
    /// A user namespace was asked for by a process of several threads.
    #[error(
        "a user namespace can only be entered while the process has one thread: call \
         enter_user_namespace first in main, or run as root"
    )]
    SeveralThreads,
    /// The user namespace was made, but what it should allow is denied: AppArmor's mark.
    #[error(
        "a user namespace was made but is confined: {step} was denied ({source}): run as root, or lift the \
         restriction (sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for this program)"
    )]
    Confined {
        /// What was denied.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Neither root nor inside a user namespace.
    #[error(
        "no network namespace without privilege ({0}): run as root (CAP_SYS_ADMIN), or enter a user namespace first"
    )]
    NotPermitted(io::Error),
    /// No network namespace for a reason other than permission: a limit, or a kernel without them.
    #[error(
        "cannot make a network namespace: {0}: raise sysctl user.max_net_namespaces where it is a limit"
    )]
    NoNetworkNamespace(io::Error),
    /// The TUN device failed, and it had to be TUN.
    #[error(transparent)]
    Tun(TunError),
    /// The veth pair failed, and it had to be veth.
    #[error("no veth pair with a packet socket: {0}")]
    Veth(io::Error),
    /// The AF_XDP socket failed, and it had to be AF_XDP.
    #[error(transparent)]
    Xdp(XdpError),
    /// Neither way of reaching the kernel works.
    #[error("no way to reach a kernel in a private namespace: {tun}; and no veth pair: {veth}")]
    NoWay {
        /// Why not by TUN.
        tun: TunError,
        /// Why not by veth.
        veth: io::Error,
    },
    /// The device is there, the kernel's side of it could not be set up.
    #[error("cannot {step} in the private namespace: {source}")]
    Configure {
        /// What was tried.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The namespace's thread could not be started, or died.
    #[error("the thread of the private namespace: {0}")]
    Thread(io::Error),
}

/// Who is who in a private namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Ours, with the network's prefix.
    pub woshou_v4: Cidr,
    /// Ours, with the network's prefix; `None`: the link carries no IPv6.
    pub woshou_v6: Option<Cidr>,
    /// The kernel's.
    pub kernel_v4: Ipv4Addr,
    /// The kernel's; `None`: the link carries no IPv6.
    pub kernel_v6: Option<Ipv6Addr>,
}

type Job = Box<dyn FnOnce() + Send>;

/// A private network namespace with a kernel TCP in it.
///
/// One thread lives in it and runs what has to run there ([`Namespace::spawn`], [`Namespace::run`]). Keep it as
/// long as its device is used: once it is dropped and the children are gone, the kernel's side is gone too.
/// Dropping it waits for nothing.
#[derive(Debug)]
pub struct Namespace {
    jobs: Sender<Job>,
    /// Behind a lock only so that threads may share the namespace.
    devices: Mutex<Vec<Box<dyn DebugDevice>>>,
    addresses: Addresses,
    way: Way,
}

/// `Device + Debug`, so that [`Namespace`] is `Debug` too.
trait DebugDevice: Device + std::fmt::Debug {}
impl<D: Device + std::fmt::Debug> DebugDevice for D {}

struct Furnished {
    devices: Vec<Box<dyn DebugDevice>>,
    addresses: Addresses,
    way: Way,
}

impl Namespace {
    /// Makes the namespace, the device in it and the kernel's addresses ([`KERNEL_V4`], [`KERNEL_V6`]), all up.
    ///
    /// Needs CAP_SYS_ADMIN and CAP_NET_ADMIN: root, or a user namespace ([`enter_user_namespace`]).
    ///
    /// # Errors
    /// [`NamespaceError`], a variant per cause.
    pub fn new(spec: &PrivateSpec) -> Result<Self, NamespaceError> {
        let (jobs, inbox) = mpsc::channel();
        let (report, result) = mpsc::channel();
        let spec = *spec;
        thread::Builder::new()
            .name("woshou-netns".into())
            .spawn(move || live(&spec, &report, &inbox))
            .map_err(NamespaceError::Thread)?;
        let furnished = result
            .recv()
            .map_err(|_| NamespaceError::Thread(ended()))??;
        Ok(Self {
            jobs,
            devices: Mutex::new(furnished.devices),
            addresses: furnished.addresses,
            way: furnished.way,
        })
    }

    /// The device that leads to the kernel, once: `None` from the second time on. Of a device with several queues the
    /// first, which is then its only one.
    pub fn take_device(&mut self) -> Option<Box<dyn Device>> {
        self.take_devices().into_iter().next()
    }

    /// The queues of the device that leads to the kernel, once: none from the second time on. AF_XDP has one in any case.
    pub fn take_devices(&mut self) -> Vec<Box<dyn Device>> {
        let devices = self
            .devices
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let devices = std::mem::take(devices).into_iter();
        devices.map(|device| device as Box<dyn Device>).collect()
    }

    /// Who has which address.
    #[must_use]
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// How the kernel is reached: [`Way::Tun`], [`Way::Veth`] or [`Way::Xdp`].
    #[must_use]
    pub const fn way(&self) -> Way {
        self.way
    }

    /// Starts a command inside the namespace, on the kernel's side. The child is the caller's to wait for and
    /// to end; it keeps the namespace alive.
    ///
    /// # Errors
    /// Those of [`Command::spawn`].
    pub fn spawn(&self, mut command: Command) -> io::Result<Child> {
        self.run(move || command.spawn())?
    }

    /// Runs `job` on the thread inside the namespace and waits for its value. Sockets made there stay there.
    /// Jobs run one after the other.
    ///
    /// # Errors
    /// The job panicked, or one before it did.
    pub fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let (report, result) = mpsc::channel();
        let job = Box::new(move || {
            // Nobody to tell where the caller is gone.
            let _ = report.send(job());
        });
        self.jobs.send(job).map_err(|_| ended())?;
        result.recv().map_err(|_| ended())
    }
}

fn ended() -> io::Error {
    io::Error::other("it has ended")
}

/// The life of the namespace's thread: it ends when the [`Namespace`] is dropped. Nobody joins it, so that a
/// job that hangs can hold up no drop.
fn live(
    spec: &PrivateSpec,
    report: &Sender<Result<Furnished, NamespaceError>>,
    inbox: &Receiver<Job>,
) {
    let furnished = furnish(spec);
    let failed = furnished.is_err();
    if report.send(furnished).is_err() || failed {
        return;
    }
    for job in inbox {
        job();
    }
}

/// Turns the calling thread into an inhabitant of a new namespace with a device in it.
fn furnish(spec: &PrivateSpec) -> Result<Furnished, NamespaceError> {
    unshare_network()?;
    let (devices, way) = match spec.way {
        Way::Tun => (open_tun(spec).map_err(no_tun)?, Way::Tun),
        Way::Veth => (open_veth(spec).map_err(no_veth)?, Way::Veth),
        Way::Xdp => (vec![open_xdp(spec)?], Way::Xdp),
        Way::Any => match open_tun(spec) {
            Ok(queues) => (queues, Way::Tun),
            Err(tun) => match open_veth(spec).map_err(no_veth) {
                Ok(queues) => (queues, Way::Veth),
                Err(NamespaceError::Veth(veth)) => return Err(NamespaceError::NoWay { tun, veth }),
                Err(error) => return Err(error),
            },
        },
    };
    let addresses = set_up_kernel_side(spec)?;
    Ok(Furnished {
        devices,
        addresses,
        way,
    })
}

fn denied(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// In a namespace of one's own every device is allowed: who is denied one is confined.
fn confined(source: io::Error) -> NamespaceError {
    NamespaceError::Confined {
        step: "making a network device",
        source,
    }
}

fn no_tun(error: TunError) -> NamespaceError {
    match error {
        TunError::NotPermitted(_) => confined(io::ErrorKind::PermissionDenied.into()),
        error => NamespaceError::Tun(error),
    }
}

fn no_veth(error: io::Error) -> NamespaceError {
    if denied(&error) {
        confined(error)
    } else {
        NamespaceError::Veth(error)
    }
}

fn unshare_network() -> Result<(), NamespaceError> {
    sys::unshare(Unshare::Network).map_err(|source| {
        if !denied(&source) {
            return NamespaceError::NoNetworkNamespace(source);
        }
        let in_user_namespace = fs::read_to_string("/proc/self/uid_map")
            .is_ok_and(|map| !map.trim_end().ends_with("4294967295"));
        if in_user_namespace && geteuid().is_root() {
            NamespaceError::Confined {
                step: "making a network namespace",
                source,
            }
        } else {
            NamespaceError::NotPermitted(source)
        }
    })
}

fn open_tun(spec: &PrivateSpec) -> Result<Vec<Box<dyn DebugDevice>>, TunError> {
    let queues = Tun::open_queues(&TunConfig {
        mtu: Some(spec.mtu),
        offload: spec.offload,
        queues: spec.queues,
        ..TunConfig::new(DEVICE)
    })?;
    let boxed = |tun| Box::new(tun) as Box<dyn DebugDevice>;
    Ok(queues.into_iter().map(boxed).collect())
}

fn open_veth(spec: &PrivateSpec) -> io::Result<Vec<Box<dyn DebugDevice>>> {
    let PrivateSpec {
        mtu,
        offload,
        queues,
        ..
    } = *spec;
    let (ours, index) = pair(mtu, offload)?;
    let queues = ours.run(|| Packet::open_queues(index, veth::OUR_MAC, mtu, offload, queues))?;
    let boxed = |packet| Box::new(packet) as Box<dyn DebugDevice>;
    Ok(queues.into_iter().map(boxed).collect())
}

fn open_xdp(spec: &PrivateSpec) -> Result<Box<dyn DebugDevice>, NamespaceError> {
    // AF_XDP has no word for what offload leaves to others.
    let (ours, _) = pair(spec.mtu, false).map_err(no_veth)?;
    let config = XdpConfig::new(veth::OUR_DEVICE);
    match ours.run(|| Xdp::open(&config)) {
        Ok(device) => Ok(Box::new(device)),
        Err(error) => Err(NamespaceError::Xdp(error)),
    }
}

/// A veth pair: our end in the thread's first namespace, the kernel's in a second one where the thread then stays. The
/// kernel that holds our end is then not the peer, and neither its counters nor its answers are seen there.
fn pair(mtu: u16, offload: bool) -> io::Result<(OurSide, u32)> {
    let mut ours = OurSide::here()?;
    sys::unshare(Unshare::Network)?;
    let index = ours.join(&mut Netlink::open()?, DEVICE, mtu, offload)?;
    Ok((ours, index))
}

fn set_up_kernel_side(spec: &PrivateSpec) -> Result<Addresses, NamespaceError> {
    let failed = |step| move |source| NamespaceError::Configure { step, source };
    let mut netlink = Netlink::open().map_err(failed("open netlink"))?;
    let lo = netlink.link("lo").map_err(failed("find the loopback"))?;
    netlink
        .set_up(lo.index)
        .map_err(failed("bring the loopback up"))?;
    let link = netlink.link(DEVICE).map_err(failed("find the device"))?;
    // Best effort: without it the kernel only talks a little more.
    let _ = netlink.no_link_local(link.index);
    netlink
        .set_up(link.index)
        .map_err(failed("bring the device up"))?;
    let v4 = prefixed(KERNEL_V4.into(), PREFIX_V4);
    netlink
        .add_address(link.index, v4)
        .map_err(failed("add the kernel's IPv4 address"))?;
    let v6 = prefixed(KERNEL_V6.into(), PREFIX_V6);
    // A kernel without IPv6, or with it switched off, is still a peer over IPv4.
    let has_v6 = spec.mtu >= MIN_MTU_V6 && netlink.add_address(link.index, v6).is_ok();
    Ok(Addresses {
        woshou_v4: prefixed(WOSHOU_V4.into(), PREFIX_V4),
        woshou_v6: has_v6.then(|| prefixed(WOSHOU_V6.into(), PREFIX_V6)),
        kernel_v4: KERNEL_V4,
        kernel_v6: has_v6.then_some(KERNEL_V6),
    })
}

/// The constants' prefixes fit their families; a host's alone would be the harmless way to be wrong.
fn prefixed(address: IpAddr, prefix: u8) -> Cidr {
    Cidr::new(address, prefix).unwrap_or(Cidr::host(address))
}

/// Makes an ordinary user's process root of a new user namespace, so that [`Namespace::new`] works in it.
/// Does nothing where the process may make namespaces already.
///
/// Must be called first in `main`, while the process has one thread. The user becomes uid and gid 0 inside,
/// as with `unshare -r`: what commands in the namespace need to capture or to open low ports. Outside nothing
/// changes: files belong to and are opened as the same user.
///
/// # Errors
/// [`NamespaceError::SeveralThreads`], [`NamespaceError::NoUserNamespaces`], [`NamespaceError::Confined`].
pub fn enter_user_namespace() -> Result<(), NamespaceError> {
    let able = CapabilitySet::SYS_ADMIN | CapabilitySet::NET_ADMIN;
    if capabilities(None).is_ok_and(|sets| sets.effective.contains(able)) {
        return Ok(());
    }
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    sys::unshare(Unshare::User).map_err(|source| match source.raw_os_error() {
        Some(libc::EINVAL) if several_threads() => NamespaceError::SeveralThreads,
        _ => NamespaceError::NoUserNamespaces(source),
    })?;
    let write = |step, path, text: String| {
        fs::write(path, text).map_err(|source| NamespaceError::Confined { step, source })
    };
    // Groups first denied: an unprivileged gid map is only taken then (user_namespaces(7)).
    write("denying setgroups", "/proc/self/setgroups", "deny".into())?;
    write(
        "mapping the user",
        "/proc/self/uid_map",
        format!("0 {user} 1"),
    )?;
    write(
        "mapping the group",
        "/proc/self/gid_map",
        format!("0 {group} 1"),
    )
}

fn several_threads() -> bool {
    fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() > 1)
}
