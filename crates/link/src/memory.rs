//! A cable inside the process: two devices, each one's frames the other's arrivals.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use crate::gso::Segmenter;
use crate::{Device, DeviceInfo, Medium, Outgoing, Readiness, Received};

/// How a [`pair`] behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryOptions {
    /// What the frames are. With Ethernet, each end has this MAC address with its last octet
    /// raised by the end's number (0 and 1).
    pub medium: Medium,
    /// Largest IP packet, octets.
    pub mtu: usize,
    /// Frames that wait in each direction; at least 1. A super-frame counts as one.
    pub capacity: usize,
    /// Hand over super-frames and uncomputed checksums as they are. Without: cut and computed by [`crate::gso`].
    pub offload: bool,
}

impl Default for MemoryOptions {
    /// IP packets of 1,500 octets, 256 frames, with offload.
    fn default() -> Self {
        Self {
            medium: Medium::Ip,
            mtu: 1500,
            capacity: 256,
            offload: true,
        }
    }
}

/// Two devices joined by a cable. When one is dropped the cable is unplugged: the other's frames are
/// lost and nothing arrives any more, but neither is an error.
#[must_use]
pub fn pair(options: MemoryOptions) -> (Memory, Memory) {
    let (there, back) = (Arc::default(), Arc::default());
    let end = |number: u8, incoming: &Arc<_>, outgoing: &Arc<_>| Memory {
        options: MemoryOptions {
            medium: match options.medium {
                Medium::Ip => Medium::Ip,
                Medium::Ethernet { mut mac } => {
                    mac[5] = mac[5].wrapping_add(number);
                    Medium::Ethernet { mac }
                }
            },
            ..options
        },
        incoming: Arc::clone(incoming),
        outgoing: Arc::clone(outgoing),
        segmenter: Segmenter::new(),
    };
    (end(0, &back, &there), end(1, &there, &back))
}

/// One end of a [`pair`].
#[derive(Debug)]
pub struct Memory {
    options: MemoryOptions,
    incoming: Arc<Mutex<Queue>>,
    outgoing: Arc<Mutex<Queue>>,
    segmenter: Segmenter,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Frame>,
    /// Buffers of frames already read, for the next ones.
    spare: Vec<Vec<u8>>,
    /// Waits for a frame.
    reader: Option<Waker>,
    /// Waits for room; only woken after a full queue was met.
    writer: Option<Waker>,
    /// A sender met a full queue and has not been told of room since.
    was_full: bool,
    unplugged: bool,
}

#[derive(Debug)]
struct Frame {
    bytes: Vec<u8>,
    checksum_valid: bool,
    segment_size: Option<u16>,
}

impl Queue {
    fn push(&mut self, parts: &[&[u8]], checksum_valid: bool, segment_size: Option<u16>) {
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        for part in parts {
            bytes.extend_from_slice(part);
        }
        self.frames.push_back(Frame {
            bytes,
            checksum_valid,
            segment_size,
        });
    }
}

/// A poisoned queue is as whole as any: nothing that panics runs under its lock.
fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Device for Memory {
    fn info(&self) -> DeviceInfo {
        DeviceInfo {
            medium: self.options.medium,
            mtu: self.options.mtu,
            checksum_offload: self.options.offload,
            gso_max: if self.options.offload { 65_535 } else { 0 },
            queue: None,
        }
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut queue = lock(&self.incoming);
        let frame = queue
            .frames
            .pop_front()
            .ok_or_else(|| io::Error::from(io::ErrorKind::WouldBlock))?;
        let len = frame.bytes.len().min(buffer.len());
        buffer[..len].copy_from_slice(&frame.bytes[..len]);
        if queue.spare.len() < self.options.capacity {
            queue.spare.push(frame.bytes);
        }
        let waker = queue.was_full.then(|| queue.writer.take()).flatten();
        queue.was_full &= waker.is_none();
        drop(queue);
        // Outside the lock: a waker may run its task at once.
        waker.inspect(Waker::wake_by_ref);
        Ok(Received {
            len,
            checksum_valid: frame.checksum_valid,
            segment_size: frame.segment_size,
        })
    }

    fn send(&mut self, frame: &Outgoing<'_>) -> io::Result<()> {
        let limit = if frame.segment_size.is_some() {
            65_535
        } else {
            self.options.mtu
        };
        let header = match self.options.medium {
            Medium::Ip => 0,
            Medium::Ethernet { .. } => 14,
        };
        if frame.len() > limit + header {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "frame longer than the link takes",
            ));
        }
        let mut queue = lock(&self.outgoing);
        if queue.unplugged {
            return Ok(());
        }
        if queue.frames.len() >= self.options.capacity.max(1) {
            queue.was_full = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.options.offload {
            queue.push(&frame.parts, frame.checksum.is_some(), frame.segment_size);
        } else {
            // All segments of one frame go in, so that a frame is sent whole or not at all.
            self.segmenter
                .segments(frame, self.options.medium, |segment| {
                    queue.push(&[segment], false, None);
                    Ok(())
                })?;
        }
        let waker = queue.reader.take();
        drop(queue);
        waker.inspect(Waker::wake_by_ref);
        Ok(())
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Waker
    }

    fn register(&mut self, waker: &Waker) {
        let mut incoming = lock(&self.incoming);
        incoming.reader = Some(waker.clone());
        let mut ready = !incoming.frames.is_empty();
        drop(incoming);
        let mut outgoing = lock(&self.outgoing);
        outgoing.writer = Some(waker.clone());
        // A frame that came, or room that was made, between the last try and this call must not be missed.
        // Told once: a sender that lost interest is not woken for ever.
        if outgoing.was_full && outgoing.frames.len() < self.options.capacity.max(1) {
            outgoing.was_full = false;
            ready = true;
        }
        drop(outgoing);
        if ready {
            waker.wake_by_ref();
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let waker = {
            let mut incoming = lock(&self.incoming);
            incoming.unplugged = true;
            incoming.frames.clear();
            incoming.spare.clear();
            incoming.writer.take()
        };
        // Whoever waits for room need not wait any longer.
        waker.inspect(Waker::wake_by_ref);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Count(AtomicUsize);
    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn counter() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        (Arc::clone(&count), Waker::from(count))
    }

    fn plain(bytes: &[u8]) -> Outgoing<'_> {
        Outgoing {
            parts: [bytes, &[], &[]],
            checksum: None,
            segment_size: None,
        }
    }

    fn tcp(payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        etherparse::PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .tcp(1, 2, u32::MAX - 10, 9)
            .write(&mut out, payload)
            .unwrap();
        out
    }

    #[test]
    fn frames_cross_whole_and_in_order() {
        let (mut a, mut b) = pair(MemoryOptions::default());
        a.send(&Outgoing {
            parts: [&[1], &[2, 3], &[4]],
            checksum: Some((0, 2)),
            segment_size: None,
        })
        .unwrap();
        a.send(&plain(&[9])).unwrap();
        let mut buffer = [0; 100];
        let got = b.recv(&mut buffer).unwrap();
        assert_eq!(
            (&buffer[..got.len], got.checksum_valid),
            (&[1, 2, 3, 4][..], true)
        );
        let got = b.recv(&mut buffer).unwrap();
        assert_eq!((&buffer[..got.len], got.checksum_valid), (&[9][..], false));
        assert_eq!(
            b.recv(&mut buffer).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        assert!(
            a.recv(&mut buffer).is_err(),
            "nothing comes back to the sender"
        );
    }

    #[test]
    fn super_frames_are_handed_over_or_cut() {
        let whole = tcp(&[5; 4000]);
        for (offload, expected) in [(true, vec![4040]), (false, vec![1500, 1500, 1120])] {
            let (mut a, mut b) = pair(MemoryOptions {
                offload,
                ..MemoryOptions::default()
            });
            a.send(&Outgoing {
                parts: [&whole[..40], &whole[40..100], &whole[100..]],
                checksum: Some((20, 16)),
                segment_size: Some(1460),
            })
            .unwrap();
            let mut buffer = vec![0; 66_000];
            let mut lengths = Vec::new();
            while let Ok(got) = b.recv(&mut buffer) {
                assert_eq!(got.segment_size, offload.then_some(1460));
                lengths.push(got.len);
            }
            assert_eq!(lengths, expected);
        }
    }

    #[test]
    fn a_full_queue_says_so_and_wakes_when_there_is_room() {
        let (mut a, mut b) = pair(MemoryOptions {
            capacity: 2,
            ..MemoryOptions::default()
        });
        let (count, waker) = counter();
        a.register(&waker);
        a.send(&plain(&[1])).unwrap();
        a.send(&plain(&[2])).unwrap();
        assert_eq!(
            a.send(&plain(&[3])).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        let mut buffer = [0; 9];
        b.recv(&mut buffer).unwrap();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        a.send(&plain(&[3])).unwrap();
    }

    #[test]
    fn room_made_before_the_waker_is_registered_is_told_once() {
        let (mut a, mut b) = pair(MemoryOptions {
            capacity: 1,
            ..MemoryOptions::default()
        });
        a.send(&plain(&[1])).unwrap();
        assert!(a.send(&plain(&[2])).is_err());
        b.recv(&mut [0; 9]).unwrap();
        let (count, waker) = counter();
        a.register(&waker);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        a.register(&waker);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_waker_is_woken_by_a_frame_before_or_after_it_is_registered() {
        let (mut a, mut b) = pair(MemoryOptions::default());
        let (count, waker) = counter();
        b.register(&waker);
        a.send(&plain(&[1])).unwrap();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        a.send(&plain(&[2])).unwrap();
        b.register(&waker);
        assert_eq!(count.0.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn an_unplugged_cable_loses_frames_without_an_error() {
        let (mut a, b) = pair(MemoryOptions {
            capacity: 1,
            ..MemoryOptions::default()
        });
        a.send(&plain(&[1])).unwrap();
        drop(b);
        for _ in 0..5 {
            a.send(&plain(&[1])).unwrap();
        }
        assert_eq!(
            a.recv(&mut [0; 9]).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
    }

    #[test]
    fn a_frame_beyond_the_mtu_is_refused() {
        let (mut a, _b) = pair(MemoryOptions::default());
        assert_eq!(
            a.send(&plain(&[0; 1501])).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
        a.send(&plain(&[0; 1500])).unwrap();
    }
}
