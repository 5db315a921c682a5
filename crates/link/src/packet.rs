//! A veth pair with AF_PACKET on our end: Ethernet frames to and from the kernel, no device node needed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::Waker;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

use crate::descriptor::Descriptor;
use crate::netlink::{Netlink, VethEnd};
use crate::sys::{self, PacketAddress};
use crate::{Device, DeviceInfo, Medium, Outgoing, Readiness, Received};

/// Name of our end of the pair.
const OUR_DEVICE: &str = "woshou1";
/// MAC address of the device at our end. Not the stack's: frames for the stack's address are then for some
/// other host in the eyes of the kernel that holds our end, and it drops them at once instead of
/// routing them, while a packet socket still gets them.
const OUR_DEVICE_MAC: [u8; 6] = [0x02, 0x77, 0x6f, 0x00, 0x00, 0x03];
/// MAC address of the stack.
const OUR_MAC: [u8; 6] = [0x02, 0x77, 0x6f, 0x00, 0x00, 0x02];
/// MAC address of the kernel's end.
const KERNEL_MAC: [u8; 6] = [0x02, 0x77, 0x6f, 0x00, 0x00, 0x01];
/// Room for arrivals, octets: a window's worth of 64 KiB frames.
const RECEIVE_BUFFER: usize = 8 << 20;
/// `PACKET_IGNORE_OUTGOING` of linux/if_packet.h.
const PACKET_IGNORE_OUTGOING: i32 = 23;
/// `ETHTOOL_STXCSUM` and `ETHTOOL_STSO` of linux/ethtool.h.
const ETHTOOL_STXCSUM: u32 = 0x17;
const ETHTOOL_STSO: u32 = 0x1f;

/// Our end of a veth pair.
#[derive(Debug)]
pub struct Packet {
    descriptor: Descriptor,
}

/// The namespace of our end: where its device lives, apart from the kernel that is the peer.
#[derive(Debug)]
pub(crate) struct OurSide {
    netlink: Netlink,
    socket: OwnedFd,
    namespace: OwnedFd,
}

impl OurSide {
    /// Takes hold of the calling thread's namespace, which the thread may leave afterwards: the sockets keep it.
    pub(crate) fn open() -> io::Result<Self> {
        use rustix::fs::{Mode, OFlags, open};
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        Ok(Self {
            netlink: Netlink::open()?,
            // No protocol yet: nothing arrives before it is bound to the device.
            socket: socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?,
            namespace: open(
                "/proc/thread-self/ns/net",
                OFlags::RDONLY | OFlags::CLOEXEC,
                Mode::empty(),
            )?,
        })
    }

    fn namespace(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }

    /// Makes the pair, the kernel's end named `name` in the namespace of `kernel`, both ends up.
    pub(crate) fn join(
        mut self,
        kernel: &mut Netlink,
        name: &str,
        mtu: u16,
        offload: bool,
    ) -> io::Result<Packet> {
        let here = VethEnd {
            name,
            mac: KERNEL_MAC,
        };
        let there = VethEnd {
            name: OUR_DEVICE,
            mac: OUR_DEVICE_MAC,
        };
        kernel.add_veth(here, there, self.namespace(), mtu)?;
        if !offload {
            // Without the virtio header nobody could say that a frame's checksum is not there yet, so
            // the kernel's end must not leave it out.
            sys::ethtool_set(&*kernel, name, ETHTOOL_STXCSUM, false)?;
            sys::ethtool_set(&*kernel, name, ETHTOOL_STSO, false)?;
        }
        let index = self.netlink.link(OUR_DEVICE)?.index;
        // Best effort: without it only a little more noise arrives.
        let _ = self.netlink.no_link_local(index);
        self.netlink.set_up(index)?;
        let socket = self.socket;
        if offload {
            sys::packet_option(&socket, libc::PACKET_VNET_HDR, 1)?;
        }
        // Best effort, all three: older kernels and ordinary users have to do without.
        let _ = sys::packet_option(&socket, PACKET_IGNORE_OUTGOING, 1);
        let _ = sys::packet_option(&socket, libc::PACKET_QDISC_BYPASS, 1);
        if sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER).is_err() {
            // Only the real root may pass net.core.rmem_max: others get as much as that.
            let _ = sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER);
        }
        bind(&socket, &PacketAddress { index })?;
        let medium = Medium::Ethernet { mac: OUR_MAC };
        Ok(Packet {
            descriptor: Descriptor::new(socket, medium, mtu, offload),
        })
    }
}

impl Device for Packet {
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
