//! The system calls that need `unsafe`: the only such code of the workspace.
//!
//! Why not `tun-rs` for TUN: its offload always turns UDP super-frames on (which a TCP stack must not be
//! handed) and leaves ECN segmentation out, it makes `/dev/net/tun` on the host where that is missing, and
//! addresses, routes and veth pairs need our own netlink anyway. What is left is two ioctls.
#![expect(
    unsafe_code,
    reason = "system calls that neither std nor rustix wraps safely"
)]

pub(crate) mod bpf;
mod ring;
pub(crate) mod xsk;

use std::ffi::{c_int, c_short, c_uint};
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd};

use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};
use rustix::thread::UnshareFlags;

/// Moves the calling thread into new namespaces: network (this thread only) or user (needs a process of
/// one thread).
pub(crate) fn unshare(flags: Unshare) -> io::Result<()> {
    let flags = match flags {
        Unshare::Network => UnshareFlags::NEWNET,
        Unshare::User => UnshareFlags::NEWUSER,
    };
    // SAFETY: only CLONE_FILES can make descriptors of other threads dangle, and it is never passed.
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(Into::into)
}

/// What [`unshare`] makes anew.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unshare {
    Network,
    User,
}

/// An `ifreq` for the device `name`; fails with `InvalidInput` where the name does not fit.
fn ifreq(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: `ifreq` is plain C data (an array and a union of integers, structs and pointers): all
    // zeroes is a valid value of it.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    // The last octet stays zero: the name is terminated.
    if name.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed() as libc::c_char;
    }
    Ok(request)
}

/// Attaches an open `/dev/net/tun` to the device `name` of the calling thread's namespace, made if missing.
pub(crate) fn tun_attach(fd: impl AsFd, name: &str, flags: c_int) -> io::Result<()> {
    let mut request = ifreq(name)?;
    request.ifr_ifru.ifru_flags = flags as c_short;
    // SAFETY: the descriptor is open for the call (borrowed); TUNSETIFF reads and writes one `ifreq`,
    // which `request` is, and keeps no pointer to it.
    let result = unsafe {
        libc::ioctl(
            fd.as_fd().as_raw_fd(),
            libc::TUNSETIFF as _,
            &raw mut request,
        )
    };
    check(result)
}

/// Tells a TUN device what its reader can take (`TUN_F_*`).
pub(crate) fn tun_offload(fd: impl AsFd, flags: c_uint) -> io::Result<()> {
    // SAFETY: the descriptor is open for the call; TUNSETOFFLOAD takes its argument by value.
    let result = unsafe {
        libc::ioctl(
            fd.as_fd().as_raw_fd(),
            libc::TUNSETOFFLOAD as _,
            libc::c_ulong::from(flags),
        )
    };
    check(result)
}

/// Sets one on-off property of the device `name` by ethtool (`ETHTOOL_S*`), through any socket of its namespace.
pub(crate) fn ethtool_set(socket: impl AsFd, name: &str, command: u32, on: bool) -> io::Result<()> {
    /// `struct ethtool_value` of linux/ethtool.h.
    #[repr(C)]
    struct Value {
        command: u32,
        data: u32,
    }
    let mut value = Value {
        command,
        data: u32::from(on),
    };
    let mut request = ifreq(name)?;
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: the descriptor is open for the call; SIOCETHTOOL with the value commands reads one
    // `ethtool_value` through `ifru_data`; `value` and `request` outlive the call and no pointer is kept.
    let result = unsafe {
        libc::ioctl(
            socket.as_fd().as_raw_fd(),
            libc::SIOCETHTOOL as _,
            &raw mut request,
        )
    };
    check(result)
}

/// Switches an integer option of a packet socket (`PACKET_*`).
pub(crate) fn packet_option(socket: impl AsFd, option: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open for the call; the option's value is `size_of::<c_int>()` octets at
    // `&value`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_PACKET,
            option,
            (&raw const value).cast(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
    check(result)
}

/// Has the device `index` take the frames of every multicast group, for as long as the packet socket is open.
pub(crate) fn packet_all_multicast(socket: impl AsFd, index: u32) -> io::Result<()> {
    let request = libc::packet_mreq {
        mr_ifindex: index.cast_signed(),
        mr_type: libc::PACKET_MR_ALLMULTI as u16,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    // SAFETY: the descriptor is open for the call, which reads one `packet_mreq` at `&request`; it outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_ADD_MEMBERSHIP,
            (&raw const request).cast(),
            size_of::<libc::packet_mreq>() as libc::socklen_t,
        )
    };
    check(result)
}

/// The group that a packet socket divides arrivals with (`PACKET_FANOUT`): its number, and how in the upper half.
pub(crate) fn packet_fanout(socket: impl AsFd) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut len = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open for the call, which writes at most `len` octets to `value` and what it wrote to `len`; both
    // outlive it.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_FANOUT,
            (&raw mut value).cast(),
            &raw mut len,
        )
    };
    check(result).map(|()| value)
}

fn check(result: c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// The address of a packet socket: every protocol on one device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PacketAddress {
    /// The device's index.
    pub(crate) index: u32,
}

// SAFETY: `with_sockaddr` hands on a pointer to a `sockaddr_ll` on its stack with that type's length; it is
// readable for the whole of the callback.
unsafe impl SocketAddrArg for PacketAddress {
    unsafe fn with_sockaddr<R>(
        &self,
        f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R,
    ) -> R {
        // SAFETY: `sockaddr_ll` is plain C data: all zeroes is a valid value of it.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = self.index.cast_signed();
        f(
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as SocketAddrLen,
        )
    }
}
