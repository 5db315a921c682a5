//! What one receiver has of one flow's text, kept beside the protocol so that its mistakes cannot hide.

use std::collections::BTreeMap;
use std::time::Duration;

use woshou_tcp::Instant;

use crate::segment::Glance;

/// The text that has come, and what came for nothing.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// The sequence number of the first octet of text; `None` before the SYN came.
    first: Option<u32>,
    /// All octets before this have come.
    next: u64,
    /// Beyond `next`: start and end of each run, neither touching nor overlapping.
    beyond: BTreeMap<u64, u64>,
    /// When `next` last moved, and when the SYN came.
    moved_at: Instant,
    /// The longest that `next` stood still.
    pub(super) longest_stall: Duration,
    /// Segments with text, those all of whose octets had come before, and the octets that had.
    pub(super) segments: u64,
    pub(super) repeated_segments: u64,
    pub(super) repeated_octets: u64,
    /// From when on the next two count.
    measured_from: Instant,
    /// Of `segments` and `repeated_segments`: since then.
    pub(super) measured_segments: u64,
    pub(super) measured_repeated: u64,
    /// Segments, not all of which had come before, that came after text beyond their end.
    pub(super) late_segments: u64,
}

impl Arrivals {
    /// Nothing yet.
    pub(super) fn new(measured_from: Instant) -> Self {
        Self {
            measured_from,
            ..Self::default()
        }
    }

    /// A segment came at `now`; `copied`: the network had doubled it, so that it is nobody's fault if it came before.
    pub(super) fn take(&mut self, now: Instant, segment: Glance, copied: bool) {
        if segment.is_syn() {
            if self.first.is_none() {
                self.first = Some(segment.seq.wrapping_add(1));
                self.moved_at = now;
            }
            return;
        }
        let Some(first) = self.first.filter(|_| segment.len > 0) else {
            return;
        };
        let Some(start) = self.place(first, segment.seq) else {
            return;
        };
        let end = start + u64::from(segment.len);
        self.segments += 1;
        let measured = u64::from(now >= self.measured_from);
        self.measured_segments += measured;
        let top = self
            .beyond
            .last_key_value()
            .map_or(self.next, |(_, &end)| end);
        let new = self.add(now, start, end);
        if copied {
            return;
        }
        self.repeated_octets += u64::from(segment.len) - new;
        let repeated = u64::from(new == 0);
        self.repeated_segments += repeated;
        self.measured_repeated += repeated * measured;
        self.late_segments += u64::from(new > 0 && end <= top);
    }

    /// When the last octet in order came.
    pub(super) const fn moved_at(&self) -> Instant {
        self.moved_at
    }

    /// The longest time without progress, the one that lasts at `now` included.
    pub(super) fn stall_at(&self, now: Instant) -> Duration {
        self.longest_stall.max(now.since(self.moved_at))
    }

    /// Where `seq` lies in the text: the place nearest to what is expected next.
    fn place(&self, first: u32, seq: u32) -> Option<u64> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the circle of sequence numbers"
        )]
        let expected = first.wrapping_add(self.next as u32);
        let distance = seq.wrapping_sub(expected).cast_signed();
        self.next.checked_add_signed(i64::from(distance))
    }

    /// Octets of `start..end` that had not come.
    fn add(&mut self, now: Instant, start: u64, end: u64) -> u64 {
        if end <= self.next {
            return 0;
        }
        let (start, mut end) = (start.max(self.next), end);
        let mut new = end - start;
        let mut from = start;
        // A run that begins before `start` and reaches it.
        if let Some((&before, &until)) = self.beyond.range(..start).next_back()
            && until >= start
        {
            new -= until.min(end) - start;
            from = before;
            end = end.max(until);
        }
        // Runs that begin inside.
        while let Some((&inside, &until)) = self.beyond.range(start..=end).next() {
            new -= until.min(end) - inside;
            end = end.max(until);
            self.beyond.remove(&inside);
        }
        if from == self.next {
            self.next = end;
            self.longest_stall = self.longest_stall.max(now.since(self.moved_at));
            self.moved_at = now;
        } else {
            self.beyond.insert(from, end);
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISN: u32 = 0xffff_ff00;

    /// Segments by place and length, one a millisecond from 1 ms on.
    fn arrivals(segments: &[(u64, u32)]) -> Arrivals {
        let mut arrivals = Arrivals::default();
        let syn = Glance::at(&packet(ISN, 0x02, 0)).unwrap();
        arrivals.take(Instant::ZERO, syn, false);
        for (&(place, len), at) in segments.iter().zip(1..) {
            let seq = ISN
                .wrapping_add(1)
                .wrapping_add(u32::try_from(place).unwrap());
            let segment = Glance::at(&packet(seq, 0x10, len)).unwrap();
            arrivals.take(Instant::from_millis(at), segment, false);
        }
        arrivals
    }

    fn packet(seq: u32, flags: u8, len: u32) -> Vec<u8> {
        let total = 40 + u16::try_from(len).unwrap();
        let mut packet = vec![0; usize::from(total)];
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&total.to_be_bytes());
        packet[9] = 6;
        packet[24..28].copy_from_slice(&seq.to_be_bytes());
        packet[32] = 0x50;
        packet[33] = flags;
        packet
    }

    #[test]
    fn what_comes_twice_is_counted() {
        // Segments, next, runs beyond, repeated segments and octets, late segments.
        for (segments, next, beyond, repeated, octets, late) in [
            (&[(0, 100), (100, 100), (200, 100)][..], 300, 0, 0, 0, 0),
            (&[(0, 100), (200, 100), (100, 100)], 300, 0, 0, 0, 1),
            (&[(0, 100), (0, 100)], 100, 0, 1, 100, 0),
            (&[(100, 100), (100, 100)], 0, 1, 1, 100, 0),
            (&[(100, 100), (300, 100), (50, 300)], 0, 1, 0, 150, 1),
            (&[(100, 100), (300, 100), (0, 500)], 500, 0, 0, 200, 0),
            (&[(100, 100), (150, 100), (250, 10)], 0, 1, 0, 50, 0),
            (
                &[(100, 100), (120, 30), (0, 100), (10, 30)],
                200,
                0,
                2,
                60,
                1,
            ),
            (&[(0, 300), (100, 300)], 400, 0, 0, 200, 0),
        ] {
            let seen = arrivals(segments);
            assert_eq!(
                (seen.next, seen.beyond.len()),
                (next, beyond),
                "{segments:?}"
            );
            assert_eq!(
                (
                    seen.repeated_segments,
                    seen.repeated_octets,
                    seen.late_segments
                ),
                (repeated, octets, late),
                "{segments:?}"
            );
        }
    }

    #[test]
    fn a_copy_that_the_network_made_is_nobodys_fault() {
        let mut seen = arrivals(&[(0, 100)]);
        let again = Glance::at(&packet(ISN + 1, 0x10, 100)).unwrap();
        seen.take(Instant::from_millis(5), again, true);
        assert_eq!((seen.repeated_segments, seen.segments), (0, 2));
    }

    #[test]
    fn what_came_before_the_measurement_is_not_measured() {
        let mut seen = arrivals(&[]);
        seen.measured_from = Instant::from_millis(3);
        for at in 1..=4 {
            let segment = Glance::at(&packet(ISN + 1, 0x10, 100)).unwrap();
            seen.take(Instant::from_millis(at), segment, false);
        }
        assert_eq!((seen.segments, seen.repeated_segments), (4, 3));
        assert_eq!((seen.measured_segments, seen.measured_repeated), (2, 2));
    }

    #[test]
    fn stalls_last_until_the_gap_is_filled() {
        // In order at 1 ms; the gap is filled at 5 ms; then nothing until 8 ms.
        let seen = arrivals(&[(0, 10), (20, 10), (30, 10), (40, 10), (10, 10)]);
        assert_eq!(seen.longest_stall, Duration::from_millis(4));
        assert_eq!(seen.moved_at(), Instant::from_millis(5));
        assert_eq!(
            seen.stall_at(Instant::from_millis(8)),
            Duration::from_millis(4)
        );
        assert_eq!(
            seen.stall_at(Instant::from_millis(11)),
            Duration::from_millis(6)
        );
    }
}
