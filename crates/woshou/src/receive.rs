//! Frames from the devices into the stack, a batch at a time.

use std::io::{self, ErrorKind};

use woshou_stack::Packet;
use woshou_tcp::Instant;

use crate::buffers::LEND_FROM;
use crate::shared::Shared;

/// Frames taken from a device before others get the lock, and other tasks the thread. Each batch is acknowledged once.
const BATCH: usize = 128;

/// The same in octets: super-frames are long.
const BATCH_OCTETS: usize = 512 * 1024;

/// Why the reading of a device stopped.
pub(crate) enum Reading {
    /// Nothing there: a waker is registered, or has to be.
    Dry,
    /// There may be more.
    More,
    Failed(io::Error),
}

impl Shared {
    /// Takes at most [`BATCH`] frames or a little more than [`BATCH_OCTETS`] from a device into the stack.
    pub(crate) fn receive(&mut self, index: usize, now: Instant) -> Reading {
        self.sent = 0;
        let mut octets = 0;
        for _ in 0..BATCH {
            if octets >= BATCH_OCTETS {
                break;
            }
            let Some(port) = self.ports.get_mut(index).filter(|port| !port.broken) else {
                return Reading::Dry;
            };
            let link = port.id;
            let mut buffer = self.buffers.take();
            let received = match port.device.recv(&mut buffer) {
                Ok(received) => received,
                Err(error) => {
                    self.buffers.give(buffer);
                    match error.kind() {
                        ErrorKind::WouldBlock => return Reading::Dry,
                        ErrorKind::Interrupted => continue,
                        _ => return Reading::Failed(error),
                    }
                }
            };
            self.heard = true;
            octets += received.len;
            let packet = |octets, owner| Packet {
                octets,
                owner,
                checksum_valid: received.checksum_valid,
                segment_size: received.segment_size,
            };
            if received.len >= LEND_FROM {
                let frame = self.buffers.lend(buffer, received.len);
                let packet = packet(&frame, Some(&frame));
                self.stack.handle_packet(now, link, packet);
            } else {
                let frame = buffer.get(..received.len).unwrap_or_default();
                self.stack.handle_packet(now, link, packet(frame, None));
                self.buffers.give(buffer);
            }
        }
        // `settle` sends what the batch calls for: everything is processed before it is acknowledged (RFC 9293 MUST-59).
        Reading::More
    }
}
