//! One device with one queue for several shards: the first reads it, all write to it in turn.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use woshou_link::{Device, DeviceInfo, Outgoing, Readiness, Received};

/// A share in a device.
struct Spread {
    device: Arc<Mutex<Box<dyn Device>>>,
    info: DeviceInfo,
    /// Names the same open file as the device's own, which can't be lent out from behind the lock.
    descriptor: Option<OwnedFd>,
}

/// `device` for so many shards.
///
/// # Errors
/// No descriptor is free.
pub(crate) fn spread(device: Box<dyn Device>, shards: u16) -> io::Result<Vec<Box<dyn Device>>> {
    if shards == 1 {
        return Ok(vec![device]);
    }
    let mut info = device.info();
    // Each may fill its part of the next queue.
    info.queue = info.queue.map(|queue| (queue / u32::from(shards)).max(1));
    let descriptor = match device.readiness() {
        Readiness::Fd(fd) => Some(fd.try_clone_to_owned()?),
        Readiness::Waker => None,
    };
    let device = Arc::new(Mutex::new(device));
    let share = || -> io::Result<Box<dyn Device>> {
        let descriptor = descriptor.as_ref().map(OwnedFd::try_clone).transpose()?;
        Ok(Box::new(Spread {
            device: Arc::clone(&device),
            info,
            descriptor,
        }))
    };
    (0..shards).map(|_| share()).collect()
}

impl Spread {
    fn device(&self) -> MutexGuard<'_, Box<dyn Device>> {
        self.device.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Device for Spread {
    fn info(&self) -> DeviceInfo {
        self.info
    }
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        self.device().recv(buffer)
    }
    fn send(&mut self, frame: &Outgoing<'_>) -> io::Result<()> {
        self.device().send(frame)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.device().flush()
    }
    fn readiness(&self) -> Readiness<'_> {
        match &self.descriptor {
            Some(descriptor) => Readiness::Fd(descriptor.as_fd()),
            None => Readiness::Waker,
        }
    }
    fn register(&mut self, waker: &Waker) {
        self.device().register(waker);
    }
}
