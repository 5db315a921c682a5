//! Frames from the devices into the stack, a batch at a time.

use std::io::{self, ErrorKind};

use bytes::Bytes;
use woshou_tcp::Instant;

use crate::buffers::LEND_FROM;
use crate::crew::How;
use crate::shared::Shared;

/// Frames taken from a device before others get the lock, and other tasks the thread. Each batch is acknowledged once.
const BATCH: usize = 256;

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
            let Some(port) = self.ports.get_mut(index).filter(|port| port.reads) else {
                return Reading::Dry;
            };
            let (link, medium) = (port.id, port.medium);
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
            let how = How {
                link,
                medium,
                checksum_valid: received.checksum_valid,
                segment_size: received.segment_size,
            };
            if received.len >= LEND_FROM {
                let whole = self.buffers.lend(buffer);
                let frame = whole.get(..received.len).unwrap_or_default();
                self.take_in(now, &how, frame, Some(&whole));
            } else {
                let frame = buffer.get(..received.len).unwrap_or_default();
                self.take_in(now, &how, frame, None);
                self.buffers.give(buffer);
            }
        }
        // `settle` sends what the batch calls for: everything is processed before it is acknowledged (RFC 9293 MUST-59).
        Reading::More
    }

    /// A frame from a device: for this shard's stack, or for another's.
    fn take_in(&mut self, now: Instant, how: &How, octets: &[u8], owner: Option<&Bytes>) {
        if let Some(member) = &mut self.member
            && !member.keeps(how, octets, owner)
        {
            return;
        }
        let packet = how.packet(octets, owner);
        self.stack.handle_packet(now, how.link, packet);
        if let Some(member) = &mut self.member {
            member.leave_strays(&mut self.stack);
        }
    }

    /// Takes what other shards left for this one.
    pub(crate) fn receive_from_others(&mut self, now: Instant) {
        if let Some(member) = &mut self.member {
            self.heard |= member.empty_inbox(now, &mut self.stack);
        }
    }
}
