//! AF_PACKET: Ethernet frames to and from the kernel, no device node needed.

use std::io;
use std::task::Waker;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

use crate::descriptor::Descriptor;
use crate::sys::{self, PacketAddress};
use crate::{Device, DeviceInfo, Medium, Outgoing, Readiness, Received};

/// Room for arrivals, octets: a window's worth of 64 KiB frames.
const RECEIVE_BUFFER: usize = 8 << 20;
/// `PACKET_IGNORE_OUTGOING` of linux/if_packet.h.
const PACKET_IGNORE_OUTGOING: i32 = 23;
/// A packet socket on a device: our end of a veth pair.
#[derive(Debug)]
pub struct Packet {
    descriptor: Descriptor,
}

impl Packet {
    /// Everything that arrives on the device `index` of the calling thread's namespace, as the stack with the address
    /// `mac` sees it. With `offload`, frames have the virtio-net header.
    pub(crate) fn open(index: u32, mac: [u8; 6], mtu: u16, offload: bool) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // No protocol yet: nothing arrives before it is bound to the device.
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?;
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
        let medium = Medium::Ethernet { mac };
        Ok(Self {
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
