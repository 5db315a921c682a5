//! A veth pair between a namespace of our own and the kernel that is the peer, for AF_PACKET and AF_XDP: no device node needed.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;

use rustix::fs::{Mode, OFlags, open};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::netlink::{Netlink, VethEnd};
use crate::sys;

/// Name of our end of the pair.
pub(crate) const OUR_DEVICE: &str = "woshou1";
/// MAC address of the device at our end. Not the stack's: frames for the stack's address are then for some
/// other host in the eyes of the kernel that holds our end, and it drops them at once instead of
/// routing them, while a packet socket still gets them.
const OUR_DEVICE_MAC: [u8; 6] = [0x02, 0x77, 0x6f, 0x00, 0x00, 0x03];
/// MAC address of the stack.
pub(crate) const OUR_MAC: [u8; 6] = [0x02, 0x77, 0x6f, 0x00, 0x00, 0x02];
/// MAC address of the kernel's end.
const KERNEL_MAC: [u8; 6] = [0x02, 0x77, 0x6f, 0x00, 0x00, 0x01];
/// `ETHTOOL_STXCSUM` and `ETHTOOL_STSO` of linux/ethtool.h.
const ETHTOOL_STXCSUM: u32 = 0x17;
const ETHTOOL_STSO: u32 = 0x1f;

/// The namespace of our end: where its device lives, apart from the kernel that is the peer.
#[derive(Debug)]
pub(crate) struct OurSide {
    netlink: Netlink,
    namespace: OwnedFd,
}

impl OurSide {
    /// Takes hold of the calling thread's namespace, which the thread may leave afterwards.
    pub(crate) fn here() -> io::Result<Self> {
        Ok(Self {
            netlink: Netlink::open()?,
            namespace: open(
                "/proc/thread-self/ns/net",
                OFlags::RDONLY | OFlags::CLOEXEC,
                Mode::empty(),
            )?,
        })
    }

    /// Makes the pair, the kernel's end named `name` in the namespace of `kernel`, ours up; returns our end's index.
    ///
    /// Without `offload` the kernel's end computes every checksum and cuts every segment itself: nobody could say on our
    /// side that they are not there yet.
    pub(crate) fn join(
        &mut self,
        kernel: &mut Netlink,
        name: &str,
        mtu: u16,
        offload: bool,
    ) -> io::Result<u32> {
        let here = VethEnd {
            name,
            mac: KERNEL_MAC,
        };
        let there = VethEnd {
            name: OUR_DEVICE,
            mac: OUR_DEVICE_MAC,
        };
        kernel.add_veth(here, there, self.namespace.as_fd(), mtu)?;
        if !offload {
            sys::ethtool_set(&*kernel, name, ETHTOOL_STXCSUM, false)?;
            sys::ethtool_set(&*kernel, name, ETHTOOL_STSO, false)?;
        }
        let index = self.netlink.link(OUR_DEVICE)?.index;
        // Best effort: without it only a little more noise arrives.
        let _ = self.netlink.no_link_local(index);
        self.netlink.set_up(index)?;
        Ok(index)
    }

    /// Runs `job` in our namespace: what is opened there belongs to it.
    pub(crate) fn run<T: Send, E: Send + From<io::Error>>(
        &self,
        job: impl FnOnce() -> Result<T, E> + Send,
    ) -> Result<T, E> {
        let inside = || {
            move_into_link_name_space(self.namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .map_err(io::Error::from)?;
            job()
        };
        // A thread of its own: the calling one stays where it is.
        thread::scope(|scope| scope.spawn(inside).join())
            .unwrap_or_else(|_| Err(io::Error::other("the thread has ended").into()))
    }
}
