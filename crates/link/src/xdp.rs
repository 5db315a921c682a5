//! AF_XDP: Ethernet frames to and from a device's queue, past the kernel's network stack.

use std::io;
use std::os::fd::OwnedFd;
use std::task::Waker;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use thiserror::Error;

use crate::gso::Segmenter;
use crate::netlink::{Link, Netlink};
use crate::sys;
use crate::sys::bpf::{Redirect, SocketMap};
use crate::sys::xsk::{HEADROOM, Sizes, XdpSocket};
use crate::{Device, DeviceInfo, Medium, Outgoing, Readiness, Received, XdpConfig};

/// Octets of an Ethernet header.
const ETHERNET: usize = 14;
/// Octets of a chunk, where the MTU lets it be so small, and otherwise.
const SMALL: u32 = 2048;
const LARGE: u32 = 4096;
/// Frames that may wait for us: a burst of the kernel's, 6 MB in full segments. With half as many it lost some.
const ARRIVALS: u32 = 4096;
/// Frames that may wait for the device.
const OUTGOING: u32 = 1024;
/// `XDP_FLAGS_SKB_MODE` of linux/if_link.h.
const XDP_FLAGS_SKB_MODE: u32 = 2;

/// Why there is no AF_XDP link.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum XdpError {
    /// There is no device of this name.
    #[error("there is no device `{0}`: `ip link` lists those that are there")]
    NoDevice(String),
    /// AF_XDP sockets and XDP programs are not for this user.
    #[error(
        "this user may not {step} ({source}): AF_XDP takes root of the machine itself (CAP_NET_ADMIN, CAP_NET_RAW and \
         CAP_BPF); a user namespace is not enough"
    )]
    NotPermitted {
        /// What was tried.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Another program has the device or its queue.
    #[error(
        "an XDP program or socket has `{0}` already: end it, or detach it (`ip link set {0} xdp off`)"
    )]
    Busy(String),
    /// Frames of this MTU do not fit into a chunk.
    #[error(
        "`{name}` has an MTU of {mtu}, AF_XDP takes {} at most: `ip link set {name} mtu 1500`",
        MAX_XDP_MTU
    )]
    Mtu {
        /// The device.
        name: String,
        /// Its MTU, octets.
        mtu: u32,
    },
    /// The kernel or the device cannot, or refused for another reason.
    #[error("cannot {step} for AF_XDP: {source}")]
    Failed {
        /// What was tried.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl From<io::Error> for XdpError {
    fn from(source: io::Error) -> Self {
        Self::Failed {
            step: "enter the namespace of the device",
            source,
        }
    }
}

/// Largest MTU of an AF_XDP link, octets: a frame lies in one chunk of 4,096 octets, behind the headroom of XDP programs.
pub const MAX_XDP_MTU: u16 = LARGE as u16 - HEADROOM as u16 - ETHERNET as u16;

/// An AF_XDP socket on a queue of a device, and the XDP program that sends it what arrives by that queue.
///
/// While it lives, the kernel sees nothing of what arrives by that queue. The program is taken off the device
/// when this is dropped, and also when the process is killed. Frames are copied once between the shared memory and the
/// stack's buffers.
///
/// # Checksums
/// AF_XDP has no offload: the stack computes and verifies all checksums. A real network card hands over frames as they came.
/// The other end of a *veth* leaves the checksums of TCP and UDP out unless told not to (`ethtool -K DEVICE tx off`, in
/// its namespace), and such frames are refused as corrupt. In a private namespace ([`crate::Way::Xdp`]) this is seen to.
#[derive(Debug)]
pub struct Xdp {
    socket: XdpSocket,
    mac: [u8; 6],
    mtu: usize,
    segmenter: Segmenter,
    /// Its end takes the program off the device.
    _attached: OwnedFd,
    /// Its end lets the device ask for its own multicast groups only.
    _groups: Option<OwnedFd>,
}

impl Xdp {
    /// Takes over a queue of the device of `config`, in the calling thread's network namespace, and brings it up.
    /// The stack has the device's MAC address.
    ///
    /// # Errors
    /// [`XdpError`], a variant per cause.
    pub fn open(config: &XdpConfig) -> Result<Self, XdpError> {
        let failed = |step| move |source| XdpError::Failed { step, source };
        let mut netlink = Netlink::open().map_err(failed("ask for the device"))?;
        let link = netlink
            .link(&config.name)
            .map_err(|error| match error.raw_os_error() {
                Some(libc::ENODEV) => XdpError::NoDevice(config.name.clone()),
                _ => failed("ask for the device")(error),
            })?;
        if !link.up {
            netlink
                .set_up(link.index)
                .map_err(failed("bring the device up"))?;
        }
        Self::on(config, link)
    }

    fn on(config: &XdpConfig, link: Link) -> Result<Self, XdpError> {
        let Link {
            index, mtu, mac, ..
        } = link;
        let name = &config.name;
        let refused = |step| {
            move |source: io::Error| match source.raw_os_error() {
                Some(libc::EPERM | libc::EACCES) => XdpError::NotPermitted { step, source },
                Some(libc::EBUSY) => XdpError::Busy(name.clone()),
                _ => XdpError::Failed { step, source },
            }
        };
        let Some(chunk) = chunk(mtu) else {
            let name = name.clone();
            return Err(XdpError::Mtu { name, mtu });
        };
        let sizes = Sizes {
            chunk,
            arrivals: ARRIVALS,
            outgoing: OUTGOING,
        };
        let queue = u32::from(config.queue);
        let map = SocketMap::new(queue + 1).map_err(refused("make a map of sockets"))?;
        let program = Redirect::load(&map).map_err(refused("load an XDP program"))?;
        let attached = attach(&program, index, config.generic)
            .map_err(refused("attach an XDP program to the device"))?;
        let socket =
            XdpSocket::open(index, queue, sizes).map_err(refused("bind a socket to the queue"))?;
        // Last: from now on the kernel gets nothing.
        map.insert(queue, socket.descriptor())
            .map_err(refused("hand the queue to the socket"))?;
        Ok(Self {
            socket,
            mac,
            mtu: mtu as usize,
            segmenter: Segmenter::new(),
            _attached: attached,
            // Best effort: IPv4 does without.
            _groups: all_groups(index).ok(),
        })
    }
}

/// Octets of a chunk for frames of this MTU; `None`: they do not fit.
fn chunk(mtu: u32) -> Option<u32> {
    [SMALL, LARGE]
        .into_iter()
        .find(|chunk| mtu as usize + ETHERNET + HEADROOM <= *chunk as usize)
}

/// Has the device take frames to every multicast group: it knows only of those of the kernel, and who looks for an IPv6 address of
/// ours asks another (RFC 4291 section 2.7.1).
fn all_groups(index: u32) -> io::Result<OwnedFd> {
    // No protocol: nothing ever arrives by this socket.
    let socket = socket_with(
        AddressFamily::PACKET,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;
    sys::packet_all_multicast(&socket, index)?;
    Ok(socket)
}

/// By the device's driver where it has XDP, or else (or where `generic` is asked for) in front of the kernel's stack.
fn attach(program: &Redirect, index: u32, generic: bool) -> io::Result<OwnedFd> {
    if !generic {
        match program.attach(index, 0) {
            Err(error) if !matches!(error.raw_os_error(), Some(libc::EPERM | libc::EBUSY)) => {}
            result => return result,
        }
    }
    program.attach(index, XDP_FLAGS_SKB_MODE)
}

impl Device for Xdp {
    fn info(&self) -> DeviceInfo {
        DeviceInfo {
            medium: Medium::Ethernet { mac: self.mac },
            mtu: self.mtu,
            checksum_offload: false,
            gso_max: 0,
            queue: None,
        }
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        let len = self.socket.receive(buffer)?;
        Ok(Received {
            len,
            checksum_valid: false,
            segment_size: None,
        })
    }

    fn send(&mut self, frame: &Outgoing<'_>) -> io::Result<()> {
        let longest = self.mtu + ETHERNET;
        let socket = &mut self.socket;
        let mut write = |parts: &[&[u8]]| {
            let len: usize = parts.iter().map(|part| part.len()).sum();
            if len > longest {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            socket.write(parts)
        };
        if frame.checksum.is_none() && frame.segment_size.is_none() {
            return write(&frame.parts);
        }
        let medium = Medium::Ethernet { mac: self.mac };
        self.segmenter
            .segments(frame, medium, |segment| write(&[segment]))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Fd(self.socket.descriptor())
    }

    fn register(&mut self, _waker: &Waker) {}
}
