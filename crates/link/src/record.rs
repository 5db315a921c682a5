//! Middleware that shows every frame, both directions, to a callback: what a capture is made from.

use std::io;
use std::task::Waker;

use crate::gso::{self, Segmenter};
use crate::{Device, DeviceInfo, Medium, Outgoing, Readiness, Received};

/// Which way a frame went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the device to the stack.
    Received,
    /// From the stack to the device.
    Sent,
}

/// A frame as the callback sees it.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// Which way it went.
    pub direction: Direction,
    /// The whole frame. A checksum that was left to the device is filled in here; a super-frame is left
    /// whole, as a capture on the host would show it.
    pub bytes: &'a [u8],
    /// Octets of payload of each segment, where it is a super-frame.
    pub segment_size: Option<u16>,
    /// What the frame is.
    pub medium: Medium,
}

/// A device that calls `F` with each frame received and each frame that was really sent.
#[derive(Debug)]
pub struct Record<D, F> {
    device: D,
    callback: F,
    medium: Medium,
    scratch: Vec<u8>,
    segmenter: Segmenter,
}

impl<D: Device, F: FnMut(&Recorded<'_>) + Send> Record<D, F> {
    /// Wraps `device`. The callback runs in the thread that drives the device, between frames: keep it short.
    pub fn new(device: D, callback: F) -> Self {
        let medium = device.info().medium;
        Self {
            device,
            callback,
            medium,
            scratch: Vec::new(),
            segmenter: Segmenter::new(),
        }
    }

    /// The device inside.
    #[must_use]
    pub fn into_inner(self) -> D {
        self.device
    }
}

impl<D: Device, F: FnMut(&Recorded<'_>) + Send> Device for Record<D, F> {
    fn info(&self) -> DeviceInfo {
        self.device.info()
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        let received = self.device.recv(buffer)?;
        let mut bytes = buffer.get(..received.len).unwrap_or_default();
        if received.checksum_valid {
            // It may never have been computed: the stack does not look, a reader of the capture does.
            self.scratch.clear();
            self.scratch.extend_from_slice(bytes);
            let _ = gso::rewrite_checksum(&mut self.scratch, self.medium);
            bytes = &self.scratch;
        }
        (self.callback)(&Recorded {
            direction: Direction::Received,
            bytes,
            segment_size: received.segment_size,
            medium: self.medium,
        });
        Ok(received)
    }

    fn send(&mut self, frame: &Outgoing<'_>) -> io::Result<()> {
        self.device.send(frame)?;
        let whole = Outgoing {
            segment_size: None,
            ..*frame
        };
        let (callback, medium) = (&mut self.callback, self.medium);
        let shown = self.segmenter.segments(&whole, medium, |bytes| {
            callback(&Recorded {
                direction: Direction::Sent,
                bytes,
                segment_size: frame.segment_size,
                medium,
            });
            Ok(())
        });
        // The device took the frame; that it cannot be shown is no reason to send it again.
        drop(shown);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.device.flush()
    }

    fn readiness(&self) -> Readiness<'_> {
        self.device.readiness()
    }

    fn register(&mut self, waker: &Waker) {
        self.device.register(waker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryOptions;
    use std::sync::{Arc, Mutex};

    #[test]
    fn both_directions_are_shown_once_with_checksums_filled_in() {
        let (a, mut b) = crate::memory::pair(MemoryOptions {
            capacity: 1,
            ..MemoryOptions::default()
        });
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let mut a = Record::new(a, move |frame: &Recorded<'_>| {
            log.lock()
                .unwrap()
                .push((frame.direction, frame.bytes.to_vec(), frame.segment_size));
        });
        let mut right = Vec::new();
        etherparse::PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .tcp(1, 2, u32::MAX - 10, 9)
            .write(&mut right, &[3; 3000])
            .unwrap();
        let mut partial = right.clone();
        // The sum of the pseudo-header: addresses, protocol 6, length 3020.
        let pseudo = (0x0a00u32 + 1 + 0x0a00 + 2 + 6 + 3020) as u16;
        partial[36..38].copy_from_slice(&pseudo.to_be_bytes());
        let outgoing = Outgoing {
            parts: [&partial[..40], &partial[40..1000], &partial[1000..]],
            checksum: Some((20, 16)),
            segment_size: Some(1460),
        };
        a.send(&outgoing).unwrap();
        assert!(a.send(&outgoing).is_err(), "full: not sent, so not shown");
        b.send(&outgoing).unwrap();
        a.recv(&mut [0; 66_000]).unwrap();
        assert_eq!(
            *seen.lock().unwrap(),
            [
                (Direction::Sent, right.clone(), Some(1460)),
                (Direction::Received, right, Some(1460)),
            ]
        );
    }
}
