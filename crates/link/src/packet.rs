//! AF_PACKET: Ethernet frames to and from the kernel, no device node needed.

use std::io;
use std::os::fd::AsFd;
use std::task::Waker;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

use crate::descriptor::Descriptor;
use crate::sys::{self, PacketAddress};
use crate::{Device, DeviceInfo, Medium, Outgoing, Readiness, Received};

/// Room for arrivals, octets: a window's worth of 64 KiB frames.
const RECEIVE_BUFFER: usize = 8 << 20;
/// `PACKET_IGNORE_OUTGOING` of linux/if_packet.h.
const PACKET_IGNORE_OUTGOING: i32 = 23;
/// Of linux/if_packet.h, for `PACKET_FANOUT`: by a hash of the flow; a group of its own number; without what this host sends.
const FANOUT_HASH: i32 = 0;
const FANOUT_UNIQUEID: i32 = 0x2000;
const FANOUT_IGNORE_OUTGOING: i32 = 0x4000;

/// A packet socket on a device: our end of a veth pair.
#[derive(Debug)]
pub struct Packet {
    descriptor: Descriptor,
}

impl Packet {
    /// What arrives on the device `index` of the calling thread's namespace, for a stack with the address `mac`, divided
    /// among so many sockets: the packets of a flow come by the same one. With `offload`, frames have the virtio-net header.
    pub(crate) fn open_queues(
        index: u32,
        mac: [u8; 6],
        mtu: u16,
        offload: bool,
        queues: u16,
    ) -> io::Result<Vec<Self>> {
        let mut group: Option<i32> = None;
        let mut open = || {
            let packet = Self::open(index, mac, mtu, offload)?;
            if queues > 1 {
                let joined = join_fanout(packet.descriptor.fd(), group)?;
                group.get_or_insert(joined);
            }
            Ok(packet)
        };
        (0..queues.max(1)).map(|_| open()).collect()
    }

    fn open(index: u32, mac: [u8; 6], mtu: u16, offload: bool) -> io::Result<Self> {
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

/// Makes a bound packet socket one of a group among whom arrivals are divided, a new one where `group` says none; returns its number.
fn join_fanout(socket: impl AsFd, group: Option<i32>) -> io::Result<i32> {
    let (number, unique) = group.map_or((0, FANOUT_UNIQUEID), |number| (number, 0));
    let join = |flags: i32| {
        let value = number | (FANOUT_HASH | unique | flags) << 16;
        sys::packet_option(&socket, libc::PACKET_FANOUT, value)
    };
    // What its own sockets send no group sees; this is for the kernel that holds the device. The option of each socket does not
    // hold for a group, and kernels before 6.1 have no such flag: best effort.
    join(FANOUT_IGNORE_OUTGOING).or_else(|_| join(0))?;
    match group {
        Some(number) => Ok(number),
        None => sys::packet_fanout(&socket).map(|value| value & 0xffff),
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
