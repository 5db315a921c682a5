//! One flow between a stack and the Linux kernel, through a TUN device or another link in a private namespace.

mod kernel;
pub(crate) mod null;
pub(crate) mod shards;
pub(crate) mod smol;
pub(crate) mod talk;
pub(crate) mod woshou;

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Result, anyhow};
pub(crate) use kernel::{
    CHUNK, Direction, Flow, PORT, Serve, Shared, goodput, goodput_by, unpaced,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use woshou_link::{Device, Readiness};

/// Sleeps until the device has a packet, or `most` is over; whether it has one.
pub(crate) fn wait(device: &dyn Device, most: Duration) -> Result<bool> {
    let Readiness::Fd(descriptor) = device.readiness() else {
        return Err(anyhow!("a TUN device has a descriptor"));
    };
    let mut waited_for = [PollFd::new(&descriptor, PollFlags::IN)];
    match poll(&mut waited_for, Some(&Timespec::try_from(most)?)) {
        Ok(ready) => Ok(ready > 0),
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(false),
        Err(error) => Err(error.into()),
    }
}
