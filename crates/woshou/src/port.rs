//! A device of a net, and the frames it could not take yet.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::time::Duration;

use woshou_link::{Device, DeviceInfo, Outgoing};
use woshou_stack::{LinkId, Medium, Transmit};
use woshou_tcp::Instant;

/// Frames that wait for a full device; more are dropped and counted.
const QUEUE: usize = 64;

/// How soon a device with a short queue gets its next frames.
pub(crate) const REFILL: Duration = Duration::from_millis(1);

/// A device whose queue drops without a word gets half of it at once, as much again each [`REFILL`], and what peers acknowledge:
/// the other half is for the reader who comes late (decision 018).
#[derive(Debug)]
struct Bucket {
    depth: u32,
    left: u32,
    filled_at: Instant,
}

impl Bucket {
    fn new(queue: u32) -> Self {
        let depth = (queue / 2).max(1);
        Self {
            depth,
            left: depth,
            filled_at: Instant::ZERO,
        }
    }

    /// Whether a frame may go.
    fn has_any(&mut self, now: Instant) -> bool {
        let a_frame = REFILL / self.depth;
        let since = now.since(self.filled_at);
        if since >= REFILL {
            (self.left, self.filled_at) = (self.depth, now);
        } else if since >= a_frame {
            let frames = since.as_nanos() / a_frame.as_nanos().max(1);
            let earned = u32::try_from(frames).unwrap_or(u32::MAX);
            // What is less than a frame stays to be earned.
            self.filled_at += a_frame * earned;
            self.left = self.left.saturating_add(earned).min(self.depth);
        }
        self.left > 0
    }

    /// So many frames have arrived at their peers, and lie in no queue any more.
    fn earn(&mut self, frames: u64) {
        let frames = u32::try_from(frames).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(frames).min(self.depth);
    }
}

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
    /// What its frames are.
    pub(crate) medium: Medium,
    waiting: VecDeque<Frame>,
    spare: Vec<u8>,
    /// Frames that the device refused or that found its queue full.
    pub(crate) lost: u64,
    /// Frames are read from it; not where another shard does that, or once it failed.
    pub(crate) reads: bool,
    /// Its reading side failed: nothing comes from there any more.
    pub(crate) broken: bool,
    bucket: Option<Bucket>,
    /// Octets of text that a frame holds at most, more or less.
    text: u64,
}

impl Port {
    pub(crate) fn new(id: LinkId, device: Box<dyn Device>) -> Self {
        let info = device.info();
        Self {
            id,
            bucket: info.queue.map(Bucket::new),
            medium: medium(&info),
            text: (info.mtu as u64).max(u64::from(info.gso_max)).max(1),
            device,
            waiting: VecDeque::new(),
            spare: Vec::new(),
            lost: 0,
            reads: true,
            broken: false,
        }
    }

    /// Nothing comes from there any more.
    pub(crate) fn break_off(&mut self) {
        (self.broken, self.reads) = (true, false);
    }

    /// Whether frames wait for the device.
    pub(crate) fn is_full(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether its queue had as much as it takes for now: the next frames go within [`REFILL`].
    pub(crate) fn is_sated(&mut self, now: Instant) -> bool {
        let bucket = self.bucket.as_mut();
        bucket.is_some_and(|bucket| !bucket.has_any(now))
    }

    /// So many octets of text have arrived at their peers.
    pub(crate) fn earn(&mut self, octets: u64) {
        if let Some(bucket) = &mut self.bucket {
            bucket.earn(octets.div_ceil(self.text));
        }
    }

    /// Sends `frame`, or keeps it until the device has room; returns its octets.
    pub(crate) fn send(&mut self, frame: &Transmit<'_>) -> usize {
        if let Some(bucket) = &mut self.bucket {
            bucket.left = bucket.left.saturating_sub(1);
        }
        let [first, second] = frame.payload;
        let outgoing = Outgoing {
            parts: [frame.headers, first, second],
            checksum: frame
                .checksum
                .map(|partial| (partial.start, partial.offset)),
            segment_size: frame.segment_size,
        };
        let len = outgoing.len();
        if self.waiting.is_empty() {
            match send(self.device.as_mut(), &outgoing) {
                Ok(()) => return len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => {
                    self.count_lost();
                    return len;
                }
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
        len
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
        self.flush();
        true
    }

    /// Has the device send what it kept.
    pub(crate) fn flush(&mut self) {
        // A device that is broken says so when it is read.
        let _ = self.device.flush();
    }

    fn count_lost(&mut self) {
        self.lost = self.lost.saturating_add(1);
    }
}

/// What the stack calls the device's frames.
pub(crate) const fn medium(info: &DeviceInfo) -> Medium {
    match info.medium {
        woshou_link::Medium::Ip => Medium::Ip,
        woshou_link::Medium::Ethernet { mac } => Medium::Ethernet { mac },
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use std::task::Waker;
    use woshou_link::{Medium, Readiness, Received};
    use woshou_stack::PartialChecksum;

    /// What a device saw, and how much room it has.
    #[derive(Default)]
    struct Seen {
        room: usize,
        frames: Vec<Sent>,
    }

    /// Octets, partial checksum, segment size.
    type Sent = (Vec<u8>, Option<(u16, u16)>, Option<u16>);

    struct Narrow(Arc<Mutex<Seen>>);

    impl Device for Narrow {
        fn info(&self) -> DeviceInfo {
            DeviceInfo {
                medium: Medium::Ip,
                mtu: 1500,
                checksum_offload: true,
                gso_max: 65_535,
                queue: None,
            }
        }
        fn recv(&mut self, _: &mut [u8]) -> io::Result<Received> {
            Err(ErrorKind::WouldBlock.into())
        }
        fn send(&mut self, frame: &Outgoing<'_>) -> io::Result<()> {
            let mut seen = self.0.lock().unwrap();
            let octets = frame.parts.concat();
            if octets.starts_with(b"bad") {
                return Err(ErrorKind::InvalidInput.into());
            }
            seen.room = seen.room.checked_sub(1).ok_or(ErrorKind::WouldBlock)?;
            seen.frames
                .push((octets, frame.checksum, frame.segment_size));
            Ok(())
        }
        fn readiness(&self) -> Readiness<'_> {
            Readiness::Waker
        }
        fn register(&mut self, _: &Waker) {}
    }

    fn frame(headers: &[u8]) -> Transmit<'_> {
        Transmit {
            link: LinkId(0),
            headers,
            payload: [b"one", b"two"],
            checksum: Some(PartialChecksum {
                start: 20,
                offset: 16,
            }),
            segment_size: Some(3),
        }
    }

    #[test]
    fn what_finds_no_room_waits_in_order_with_all_that_belongs_to_it() {
        let seen = Arc::new(Mutex::new(Seen {
            room: 1,
            ..Seen::default()
        }));
        let mut port = Port::new(LinkId(0), Box::new(Narrow(Arc::clone(&seen))));
        for headers in [&b"a"[..], b"b", b"c"] {
            port.send(&frame(headers));
        }
        assert!(port.is_full());
        assert!(!port.send_waiting());
        seen.lock().unwrap().room = 1;
        port.send(&frame(b"d")); // must not overtake
        assert!(!port.send_waiting());
        seen.lock().unwrap().room = 9;
        assert!(port.send_waiting());
        assert!(!port.is_full());
        let expected: Vec<_> = [b"aonetwo", b"bonetwo", b"conetwo", b"donetwo"]
            .map(|octets| (octets.to_vec(), Some((20, 16)), Some(3)))
            .into();
        assert_eq!(seen.lock().unwrap().frames, expected);
        assert_eq!(port.lost, 0);
    }

    #[test]
    fn what_the_device_refuses_or_the_queue_cannot_hold_is_counted() {
        let seen = Arc::new(Mutex::new(Seen {
            room: 1,
            ..Seen::default()
        }));
        let mut port = Port::new(LinkId(0), Box::new(Narrow(Arc::clone(&seen))));
        port.send(&frame(b"bad"));
        assert_eq!((port.lost, port.is_full()), (1, false));
        for _ in 0..QUEUE + 3 {
            port.send(&frame(b"a"));
        }
        assert_eq!((port.lost, port.waiting.len()), (3, QUEUE));
    }

    #[test]
    fn half_of_a_short_queue_a_millisecond() {
        let micros = Instant::from_micros;
        let mut bucket = Bucket::new(100);
        let mut take = |at: u64| {
            let mut frames = 0;
            while bucket.has_any(micros(at)) {
                bucket.left -= 1;
                frames += 1;
            }
            frames
        };
        let turns = [(5_000, 50), (5_000, 0), (5_019, 0), (5_020, 1), (5_520, 25)];
        for (at, frames) in turns {
            assert_eq!(take(at), frames, "{at}");
        }
        assert_eq!(take(90_000), 50, "no more however long nothing went");
        assert_eq!(
            take(90_999) + take(91_000),
            50,
            "and all of it in a millisecond"
        );
    }

    #[test]
    fn what_has_arrived_lies_in_no_queue() {
        let now = Instant::from_millis(5);
        let mut bucket = Bucket::new(100);
        assert!(bucket.has_any(now));
        bucket.left = 0;
        assert!(!bucket.has_any(now));
        bucket.earn(20);
        assert!(bucket.has_any(now));
        assert_eq!(bucket.left, 20);
        bucket.earn(u64::MAX);
        assert_eq!(bucket.left, 50, "never more than half of the queue");
    }

    #[test]
    fn a_frame_too_many_waits() {
        struct Short(Narrow);
        impl Device for Short {
            fn info(&self) -> DeviceInfo {
                DeviceInfo {
                    queue: Some(4),
                    ..self.0.info()
                }
            }
            fn recv(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
                self.0.recv(buffer)
            }
            fn send(&mut self, frame: &Outgoing<'_>) -> io::Result<()> {
                self.0.send(frame)
            }
            fn readiness(&self) -> Readiness<'_> {
                self.0.readiness()
            }
            fn register(&mut self, _: &Waker) {}
        }
        let seen = Arc::new(Mutex::new(Seen {
            room: 9,
            ..Seen::default()
        }));
        let mut port = Port::new(LinkId(0), Box::new(Short(Narrow(seen))));
        let now = Instant::from_millis(7);
        for sated in [false, false, true] {
            assert_eq!(port.is_sated(now), sated);
            port.send(&frame(b"a"));
        }
        assert!(!port.is_sated(now + REFILL));
    }
}
