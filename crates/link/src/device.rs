//! What a device is: frames in, frames out, and a way to wait.

use std::io;
#[cfg(unix)]
use std::os::fd::BorrowedFd;
#[cfg(windows)]
use std::os::windows::io::BorrowedSocket as BorrowedFd;
use std::task::Waker;

/// What the frames of a device are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// IP packets.
    Ip,
    /// Ethernet frames.
    Ethernet {
        /// The MAC address the stack should use.
        mac: [u8; 6],
    },
}

/// What a device is able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Its frames.
    pub medium: Medium,
    /// Largest IP packet, octets.
    pub mtu: usize,
    /// It completes and vouches for TCP checksums (virtio-net header).
    pub checksum_offload: bool,
    /// Largest IP packet that it cuts into segments itself; zero: it does not.
    pub gso_max: u32,
    /// Frames that queues of its kind take before they drop without a word (a TUN's txqueuelen): who sends more than that at once
    /// may lose them, here or at the next of its kind. `None`: it says `WouldBlock` instead, or it is not known.
    pub queue: Option<u32>,
}

/// A frame that arrived: `buffer[..len]` holds it, without the virtio-net header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Octets.
    pub len: usize,
    /// The device vouches for the transport checksum (or it is a local packet whose checksum was never computed).
    pub checksum_valid: bool,
    /// Segments of this many octets were coalesced into one.
    pub segment_size: Option<u16>,
}

/// A frame to send.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Headers, then two pieces of payload.
    pub parts: [&'a [u8]; 3],
    /// Complete the checksum: sum from this octet of the frame on, store it so many octets later.
    ///
    /// The field must already hold the folded, uncomplemented sum of the pseudo-header, as for a
    /// device's partial checksum (virtio 1.2, 5.1.6.2).
    pub checksum: Option<(u16, u16)>,
    /// Cut into segments of this many octets of payload. TCP only.
    pub segment_size: Option<u16>,
}

impl Outgoing<'_> {
    /// Octets of the whole frame.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    /// Whether there is no octet in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How to wait for a device.
#[derive(Clone, Copy, Debug)]
pub enum Readiness<'a> {
    /// Poll this descriptor for reading and writing.
    Fd(BorrowedFd<'a>),
    /// Ask by [`Device::register`].
    Waker,
}

/// Something that carries frames. Never blocks: `WouldBlock` where nothing can be done now.
pub trait Device: Send {
    /// What it is able to do.
    fn info(&self) -> DeviceInfo;
    /// Takes the next frame into `buffer` (at least 65,536 + 64 octets long).
    ///
    /// # Errors
    /// `WouldBlock`: nothing there; others: the device is broken.
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<Received>;
    /// Sends a frame, which may wait for the next [`Device::flush`].
    ///
    /// # Errors
    /// `WouldBlock`: its queue is full, try the same frame later; `InvalidInput`: the frame is not what
    /// its fields say, or longer than the device takes (only this frame is lost); others: the device is broken.
    fn send(&mut self, frame: &Outgoing<'_>) -> io::Result<()>;
    /// Sends what `send` took and kept to send more at once: to be called before one waits. Most devices keep nothing; a
    /// device around another has to pass it on.
    ///
    /// # Errors
    /// The device is broken.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
    /// How to wait for it.
    fn readiness(&self) -> Readiness<'_>;
    /// Wake `waker` when `recv` may succeed again, and when `send` may after a `WouldBlock`.
    /// Only for [`Readiness::Waker`].
    fn register(&mut self, waker: &Waker);
}

impl<D: Device + ?Sized> Device for Box<D> {
    fn info(&self) -> DeviceInfo {
        (**self).info()
    }
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        (**self).recv(buffer)
    }
    fn send(&mut self, frame: &Outgoing<'_>) -> io::Result<()> {
        (**self).send(frame)
    }
    fn flush(&mut self) -> io::Result<()> {
        (**self).flush()
    }
    fn readiness(&self) -> Readiness<'_> {
        (**self).readiness()
    }
    fn register(&mut self, waker: &Waker) {
        (**self).register(waker);
    }
}
