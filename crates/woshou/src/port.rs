//! A device of a net, and the frames it could not take yet.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};

use woshou_link::{Device, Outgoing};
use woshou_stack::{LinkId, Transmit};

/// Frames that wait for a full device; more are dropped and counted.
const QUEUE: usize = 64;

/// A frame that the device had no room for, copied out of the stack.
struct Frame {
    octets: Vec<u8>,
    checksum: Option<(u16, u16)>,
    segment_size: Option<u16>,
}

/// A device and its link in the stack.
pub(crate) struct Port {
    pub(crate) id: LinkId,
    pub(crate) device: Box<dyn Device>,
    waiting: VecDeque<Frame>,
    spare: Vec<u8>,
    /// Frames that the device refused or that found its queue full.
    pub(crate) lost: u64,
    /// Its reading side failed: nothing comes from there any more.
    pub(crate) broken: bool,
}

impl Port {
    pub(crate) fn new(id: LinkId, device: Box<dyn Device>) -> Self {
        Self {
            id,
            device,
            waiting: VecDeque::new(),
            spare: Vec::new(),
            lost: 0,
            broken: false,
        }
    }

    /// Whether frames wait for the device.
    pub(crate) fn is_full(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Sends `frame`, or keeps it until the device has room.
    pub(crate) fn send(&mut self, frame: &Transmit<'_>) {
        let [first, second] = frame.payload;
        let outgoing = Outgoing {
            parts: [frame.headers, first, second],
            checksum: frame
                .checksum
                .map(|partial| (partial.start, partial.offset)),
            segment_size: frame.segment_size,
        };
        if self.waiting.is_empty() {
            match send(self.device.as_mut(), &outgoing) {
                Ok(()) => return,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return self.count_lost(),
            }
        }
        if self.waiting.len() < QUEUE {
            let mut octets = std::mem::take(&mut self.spare);
            octets.clear();
            outgoing
                .parts
                .iter()
                .for_each(|part| octets.extend_from_slice(part));
            let (checksum, segment_size) = (outgoing.checksum, outgoing.segment_size);
            self.waiting.push_back(Frame {
                octets,
                checksum,
                segment_size,
            });
        } else {
            self.count_lost();
        }
    }

    /// Tries again what waits. `false`: the device is still full.
    pub(crate) fn send_waiting(&mut self) -> bool {
        while let Some(frame) = self.waiting.front() {
            let outgoing = Outgoing {
                parts: [&frame.octets, &[], &[]],
                checksum: frame.checksum,
                segment_size: frame.segment_size,
            };
            match send(self.device.as_mut(), &outgoing) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(_) => self.count_lost(),
            }
            if let Some(sent) = self.waiting.pop_front() {
                self.spare = sent.octets;
            }
        }
        true
    }

    fn count_lost(&mut self) {
        self.lost = self.lost.saturating_add(1);
    }
}

/// `Device::send`, again when a signal interrupted it.
fn send(device: &mut dyn Device, outgoing: &Outgoing<'_>) -> io::Result<()> {
    loop {
        match device.send(outgoing) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
