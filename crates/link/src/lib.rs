//! Devices for woshou: TUN, AF_PACKET and AF_XDP, memory; private network namespaces.
//!
//! Every device is a [`Device`]: frames in, frames out, never blocking. [`Tun`] and [`Packet`] talk to
//! the Linux kernel, with the virtio-net header where they can: a frame of up to 64 KiB crosses in one
//! call and the other side cuts it or leaves it whole. [`Xdp`] takes a device's frames from in front of the kernel. [`memory`] joins two stacks in one process,
//! [`Record`] shows every frame to a callback, [`gso`] does in software what a device cannot.
//! [`Namespace`] makes a private network namespace: a real kernel TCP as the peer, and the host's
//! network untouched.
//!
//! The only `unsafe` code of the workspace is in the `sys` module here.
#![deny(unsafe_op_in_unsafe_fn)]

mod device;
pub mod gso;
pub mod memory;
mod record;
mod spec;

#[cfg(target_os = "linux")]
mod descriptor;
#[cfg(target_os = "linux")]
mod namespace;
#[cfg(target_os = "linux")]
mod netlink;
#[cfg(target_os = "linux")]
mod packet;
#[cfg(target_os = "linux")]
mod sys;
#[cfg(target_os = "linux")]
mod tun;
#[cfg(target_os = "linux")]
mod veth;
#[cfg(target_os = "linux")]
mod virtio;
#[cfg(target_os = "linux")]
mod xdp;

pub use device::{Device, DeviceInfo, Medium, Outgoing, Readiness, Received};
pub use memory::{Memory, MemoryOptions};
pub use record::{Direction, Record, Recorded};
pub use spec::{
    Cidr, LinkSpec, LinkSpecError, MAX_MTU, MAX_QUEUES, MIN_MTU, MIN_MTU_V6, PrivateSpec,
    TunConfig, Way, XdpConfig,
};

#[cfg(target_os = "linux")]
pub use namespace::{
    Addresses, KERNEL_V4, KERNEL_V6, Namespace, NamespaceError, WOSHOU_V4, WOSHOU_V6,
    enter_user_namespace,
};
#[cfg(target_os = "linux")]
pub use packet::Packet;
#[cfg(target_os = "linux")]
pub use tun::{Tun, TunError};
#[cfg(target_os = "linux")]
pub use xdp::{MAX_XDP_MTU, Xdp, XdpError};
