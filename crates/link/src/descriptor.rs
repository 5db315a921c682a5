//! Frames through a non-blocking descriptor, one frame a call: what TUN and AF_PACKET share.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, readv, retry_on_intr, writev};

use woshou_wire::virtio_net::HEADER_LEN;

use crate::gso::Segmenter;
use crate::{Device, DeviceInfo, Medium, Outgoing, Readiness, Received, virtio};

/// Largest IP packet that TUN or AF_PACKET is given to cut, octets: what both families' length fields hold.
const GSO_MAX: u32 = 65_535;

/// An open TUN or packet socket.
#[derive(Debug)]
pub(crate) struct Descriptor {
    fd: OwnedFd,
    medium: Medium,
    mtu: usize,
    /// Frames carry the virtio-net header.
    offload: bool,
    segmenter: Segmenter,
    /// [`DeviceInfo::queue`].
    pub(crate) queue: Option<u32>,
}

impl Descriptor {
    /// `fd` must be non-blocking, and have the virtio-net header switched on exactly where `offload` is set.
    pub(crate) fn new(fd: OwnedFd, medium: Medium, mtu: u16, offload: bool) -> Self {
        Self {
            fd,
            medium,
            mtu: usize::from(mtu),
            offload,
            segmenter: Segmenter::new(),
            queue: None,
        }
    }
}

impl Descriptor {
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Device for Descriptor {
    fn info(&self) -> DeviceInfo {
        DeviceInfo {
            medium: self.medium,
            mtu: self.mtu,
            checksum_offload: self.offload,
            gso_max: if self.offload { GSO_MAX } else { 0 },
            queue: self.queue,
        }
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        if !self.offload {
            let len = retry_on_intr(|| rustix::io::read(&self.fd, &mut *buffer))?;
            return Ok(Received {
                len,
                checksum_valid: false,
                segment_size: None,
            });
        }
        let mut header = [0; HEADER_LEN];
        let len = retry_on_intr(|| {
            readv(
                &self.fd,
                &mut [IoSliceMut::new(&mut header), IoSliceMut::new(buffer)],
            )
        })?;
        let len = len
            .checked_sub(HEADER_LEN)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        let (checksum_valid, segment_size) = virtio::decode(&header);
        Ok(Received {
            len,
            checksum_valid,
            segment_size,
        })
    }

    fn send(&mut self, frame: &Outgoing<'_>) -> io::Result<()> {
        let fd = self.fd.as_fd();
        let in_software = if self.offload {
            // The kernel cuts only what it also checksums.
            frame.segment_size.is_some() && frame.checksum.is_none()
        } else {
            frame.segment_size.is_some() || frame.checksum.is_some()
        };
        if in_software {
            let blank = [0; HEADER_LEN];
            let header = if self.offload { &blank[..] } else { &[] };
            return self
                .segmenter
                .segments(frame, self.medium, |segment| write(fd, [header, segment]));
        }
        let [first, second, third] = frame.parts;
        if self.offload {
            let header = virtio::encode(frame, self.medium)?;
            write(fd, [&header, first, second, third])
        } else {
            write(fd, frame.parts)
        }
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Fd(self.fd.as_fd())
    }

    fn register(&mut self, _waker: &std::task::Waker) {}
}

/// One frame in one call. A frame is taken whole or not at all.
fn write<const N: usize>(fd: BorrowedFd<'_>, parts: [&[u8]; N]) -> io::Result<()> {
    let parts = parts.map(IoSlice::new);
    match retry_on_intr(|| writev(fd, &parts)) {
        Ok(_) => Ok(()),
        // The other side's queue was full: lost, as on any wire. Polling would not tell when to try again.
        Err(Errno::NOBUFS) => Ok(()),
        // Longer than the device's MTU: the frame is at fault, not the device.
        Err(Errno::MSGSIZE) => Err(io::ErrorKind::InvalidInput.into()),
        Err(error) => Err(error.into()),
    }
}
