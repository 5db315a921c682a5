//! An AF_XDP socket: frames in memory shared with the kernel (Documentation/networking/af_xdp.rst).
//!
//! A part of the memory belongs to arrivals: a chunk is in the ring of free chunks, with the kernel, or in the ring of
//! arrivals. The rest is for what we send: a chunk is in `free`, in the ring of what is to be sent, with the kernel, or
//! in the ring of what was sent.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::xdp::{
    SocketAddrXdp, SocketAddrXdpFlags, XDP_PGOFF_RX_RING, XDP_PGOFF_TX_RING,
    XDP_UMEM_PGOFF_COMPLETION_RING, XDP_UMEM_PGOFF_FILL_RING, XdpUmemReg, XdpUmemRegFlags,
};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
    sockopt,
};

use super::ring::{Frame, Mapping, Ring};

/// Room in front of an arrival that the kernel keeps for XDP programs (`XDP_PACKET_HEADROOM`), octets.
pub(crate) const HEADROOM: usize = 256;
/// Frames that one call sends at most: as many as the kernel takes in one (`TX_BATCH_SIZE`).
const BATCH: u32 = 32;

/// How much memory a socket has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Octets of a chunk: 2,048 or 4,096.
    pub(crate) chunk: u32,
    /// Chunks for arrivals; a power of two.
    pub(crate) arrivals: u32,
    /// Chunks for what is sent; a power of two.
    pub(crate) outgoing: u32,
}

/// A socket that is bound to a queue of a device.
#[derive(Debug)]
pub(crate) struct XdpSocket {
    fd: OwnedFd,
    memory: Mapping,
    sizes: Sizes,
    arrivals: Ring<Frame>,
    fill: Ring<u64>,
    outgoing: Ring<Frame>,
    sent: Ring<u64>,
    /// Offsets of chunks to send with.
    free: Vec<u64>,
    /// Frames written that the kernel has not taken, as far as we know.
    unflushed: u32,
    /// The last look found nothing.
    dry: bool,
}

impl XdpSocket {
    /// Binds to `queue` of the device `index` in the calling thread's namespace.
    pub(crate) fn open(index: u32, queue: u32, sizes: Sizes) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(AddressFamily::XDP, SocketType::RAW, flags, None)?;
        let middle = u64::from(sizes.chunk) * u64::from(sizes.arrivals);
        let end = middle + u64::from(sizes.chunk) * u64::from(sizes.outgoing);
        let memory = Mapping::anonymous(usize::try_from(end).map_err(io::Error::other)?)?;
        sockopt::set_xdp_umem_reg(
            &fd,
            XdpUmemReg {
                addr: memory.address(),
                len: end,
                chunk_size: sizes.chunk,
                headroom: 0,
                flags: XdpUmemRegFlags::empty(),
                tx_metadata_len: 0,
            },
        )?;
        sockopt::set_xdp_umem_fill_ring_size(&fd, sizes.arrivals)?;
        sockopt::set_xdp_umem_completion_ring_size(&fd, sizes.outgoing)?;
        sockopt::set_xdp_rx_ring_size(&fd, sizes.arrivals)?;
        sockopt::set_xdp_tx_ring_size(&fd, sizes.outgoing)?;
        // What is under way counts against the socket's buffer. Best effort: with less, fewer frames are under way.
        let _ = sockopt::set_socket_send_buffer_size_force(&fd, memory.len());
        let at = sockopt::xdp_mmap_offsets(&fd)?;
        let (on, arrivals, outgoing) = (fd.as_fd(), sizes.arrivals, sizes.outgoing);
        let mut fill = Ring::map(on, XDP_UMEM_PGOFF_FILL_RING, &at.fr, arrivals)?;
        let sent = Ring::map(on, XDP_UMEM_PGOFF_COMPLETION_RING, &at.cr, outgoing)?;
        let arrivals = Ring::map(on, XDP_PGOFF_RX_RING, &at.rx, arrivals)?;
        let outgoing = Ring::map(on, XDP_PGOFF_TX_RING, &at.tx, outgoing)?;
        let step = sizes.chunk as usize;
        for chunk in (0..middle).step_by(step) {
            fill.push(chunk);
        }
        fill.publish();
        let wakeup = SocketAddrXdpFlags::XDP_USE_NEED_WAKEUP;
        bind(&fd, &SocketAddrXdp::new(wakeup, index, queue))?;
        Ok(Self {
            fd,
            memory,
            sizes,
            arrivals,
            fill,
            outgoing,
            sent,
            free: (middle..end).step_by(step).collect(),
            unflushed: 0,
            dry: false,
        })
    }

    /// Copies the next frame into `buffer` (what does not fit is cut off) and returns its octets.
    ///
    /// # Errors
    /// `WouldBlock`: nothing there; others: the device is gone or down.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(frame) = self.arrivals.pop() else {
                return Err(self.nothing());
            };
            self.dry = false;
            let len = (frame.len as usize).min(buffer.len());
            let whole = usize::try_from(frame.address)
                .ok()
                .zip(buffer.get_mut(..len))
                .is_some_and(|(at, to)| self.memory.read(at, to));
            let chunk = frame.address & !u64::from(self.sizes.chunk - 1);
            // As many chunks as entries: there is room.
            self.fill.push(chunk);
            if whole {
                return Ok(len);
            }
        }
    }

    /// Nothing arrived: the kernel gets back what was taken, and is asked whether there is still a device.
    fn nothing(&mut self) -> io::Error {
        self.give_back();
        if std::mem::replace(&mut self.dry, true)
            && let Ok(Err(error)) = sockopt::socket_error(&self.fd)
        {
            return error.into();
        }
        io::ErrorKind::WouldBlock.into()
    }

    /// Gives the kernel the chunks and the entries of all arrivals that were taken.
    fn give_back(&self) {
        self.arrivals.release();
        self.fill.publish();
        if self.fill.wants_wakeup() {
            // To a driver that stopped for want of chunks. It says nothing of use.
            let _ = recv(&self.fd, &mut [0_u8; 0][..], RecvFlags::DONTWAIT);
        }
    }

    /// Writes a frame of these pieces, to go with the next [`XdpSocket::flush`] or sooner.
    ///
    /// # Errors
    /// `WouldBlock`: no chunk is free; `InvalidInput`: longer than a chunk; others: the device is gone or down.
    pub(crate) fn write(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if len > self.sizes.chunk as usize {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let address = match self.free.pop() {
            Some(address) => address,
            None => self.reclaim()?,
        };
        // Inside of the mapping by the making of `free`: 64 bits there, as the memory was mapped.
        let mut at = address as usize;
        for part in parts {
            self.memory.write(at, part);
            at += part.len();
        }
        // As many chunks as entries: there is room.
        self.outgoing.push(Frame {
            address,
            len: len as u32,
            options: 0,
        });
        self.unflushed += 1;
        if self.unflushed >= BATCH {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// A chunk that the kernel has sent.
    fn reclaim(&mut self) -> io::Result<u64> {
        self.flush()?;
        let limit = self.memory.len() as u64;
        while let Some(address) = self.sent.pop() {
            let chunk = address & !u64::from(self.sizes.chunk - 1);
            self.free.extend((chunk < limit).then_some(chunk));
        }
        self.sent.release();
        self.free.pop().ok_or(io::ErrorKind::WouldBlock.into())
    }

    /// Has the kernel send what was written. What it does not take now it takes later: it is asked again by the next call of
    /// this, and looks by itself whenever someone polls the descriptor.
    ///
    /// # Errors
    /// The device is gone or down.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.unflushed == 0 {
            return Ok(());
        }
        self.outgoing.publish();
        let mut left = self.outgoing.untaken();
        while left > 0 && self.outgoing.wants_wakeup() {
            let result = send(&self.fd, &[], SendFlags::DONTWAIT);
            let before = std::mem::replace(&mut left, self.outgoing.untaken());
            match result {
                Ok(_) | Err(Errno::INTR) => {}
                // Its share for one call is sent, or the queue behind is full: which of them shows in what is left.
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::BUSY) if left < before => {}
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::BUSY) => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.unflushed = left;
        Ok(())
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
