//! Protection against wrapped sequence numbers (RFC 7323 section 5).

use core::time::Duration;

use crate::error::Refusal;
use crate::segment::{Header, Segment};
use crate::seq::SeqNum;
use crate::time::Instant;

/// After this much silence TS.Recent says nothing any more (RFC 7323 section 5.5).
const OUTDATED_AFTER: Duration = Duration::from_secs(24 * 24 * 3600);

/// Ticks that text for a known hole may be older than TS.Recent (decision 024).
const OVERTAKEN: u32 = 64;

/// TS.Recent and Last.ACK.sent of a connection that agreed on timestamps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paws {
    /// TS.Recent.
    pub(crate) recent: u32,
    /// When it was taken.
    pub(crate) recent_at: Instant,
    #[expect(dead_code, reason = "it is there for the size of `Option<Paws>` alone")]
    there: There,
}

/// A value that leaves others unused: an `Option` of what holds it is no larger.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum There {
    Yes = 1,
}

impl Paws {
    pub(crate) const fn new(recent: u32, recent_at: Instant) -> Self {
        Self {
            recent,
            recent_at,
            there: There::Yes,
        }
    }

    /// RFC 7323 section 5.3, R1, and section 3.2 for the missing option. A RST is never refused for its timestamp, and a SYN
    /// not for lacking one: a peer that started anew may offer other options, and learns from the challenge (RFC 5961
    /// section 4.2) that it must reset first.
    pub(crate) fn check(&self, now: Instant, header: &Header) -> Result<(), Refusal> {
        if header.flags.rst() {
            return Ok(());
        }
        let Some(timestamps) = header.options.timestamps else {
            return if header.flags.syn() {
                Ok(())
            } else {
                Err(Refusal::MissingTimestamp)
            };
        };
        let old = timestamps.value.wrapping_sub(self.recent).cast_signed() < 0;
        if old && now.since(self.recent_at) < OUTDATED_AFTER {
            return Err(Refusal::OldTimestamp);
        }
        Ok(())
    }

    /// Whether the timestamp is older than TS.Recent by so little that the segment was overtaken on its way by what made
    /// TS.Recent newer: no numbers wrap in that time.
    pub(crate) fn is_overtaken(&self, header: &Header) -> bool {
        let stamps = header.options.timestamps;
        stamps.is_some_and(|stamps| self.recent.wrapping_sub(stamps.value) <= OVERTAKEN)
    }

    /// RFC 7323 section 4.3: takes TSval of a segment that spans Last.ACK.sent.
    pub(crate) fn update(&mut self, now: Instant, segment: &Segment<'_>, last_ack_sent: SeqNum) {
        let Some(timestamps) = segment.header.options.timestamps else {
            return;
        };
        let newer = timestamps.value.wrapping_sub(self.recent).cast_signed() >= 0
            || now.since(self.recent_at) >= OUTDATED_AFTER;
        if newer && segment.header.seq.at_or_before(last_ack_sent) {
            self.recent = timestamps.value;
            self.recent_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::Flags;
    use woshou_wire::tcp_option::{TcpOptions, Timestamps};

    fn header(value: Option<u32>, flags: Flags) -> Header {
        let timestamps = value.map(|value| Timestamps { value, echo: 0 });
        Header {
            seq: SeqNum(0xffff_fff0),
            flags,
            options: TcpOptions {
                timestamps,
                ..TcpOptions::default()
            },
            ..Header::default()
        }
    }

    #[test]
    fn old_and_missing_timestamps_are_refused() {
        let at = Instant::from_millis(5);
        let paws = Paws::new(0xffff_fffe, at);
        let cases = [
            ("same", Some(0xffff_fffe), Flags::ACK, Ok(())),
            ("newer, wrapped", Some(3), Flags::ACK, Ok(())),
            (
                "older",
                Some(0xffff_fffd),
                Flags::ACK,
                Err(Refusal::OldTimestamp),
            ),
            ("none", None, Flags::ACK, Err(Refusal::MissingTimestamp)),
            ("old RST", Some(0xffff_fffd), Flags::RST, Ok(())),
            ("RST without", None, Flags::RST, Ok(())),
            ("SYN without", None, Flags::SYN, Ok(())),
            (
                "old SYN",
                Some(0xffff_fffd),
                Flags::SYN,
                Err(Refusal::OldTimestamp),
            ),
        ];
        for (name, value, flags, expected) in cases {
            assert_eq!(paws.check(at, &header(value, flags)), expected, "{name}");
        }
        let month_later = at + Duration::from_secs(30 * 24 * 3600);
        assert_eq!(
            paws.check(month_later, &header(Some(0xffff_fffd), Flags::ACK)),
            Ok(())
        );
    }

    /// After 24 days of silence the peer's clock may stand anywhere; a second before, an old timestamp is an old segment.
    #[test]
    fn timestamps_count_for_24_days() {
        let at = Instant::from_millis(5);
        let days = at + Duration::from_secs(24 * 24 * 3600);
        let before = at + Duration::from_secs(24 * 24 * 3600 - 1);
        let older = Segment {
            header: header(Some(9), Flags::ACK),
            ..Segment::default()
        };
        for (now, counts) in [(before, true), (days, false)] {
            let mut paws = Paws::new(10, at);
            assert_eq!(paws.check(now, &older.header).is_err(), counts);
            paws.update(now, &older, older.header.seq);
            let (recent, recent_at) = if counts { (10, at) } else { (9, now) };
            assert_eq!((paws.recent, paws.recent_at), (recent, recent_at));
        }
    }

    #[test]
    fn only_a_segment_that_spans_the_last_ack_is_taken() {
        let mut paws = Paws::new(10, Instant::ZERO);
        let segment = Segment {
            header: header(Some(20), Flags::ACK),
            ..Segment::default()
        };
        paws.update(Instant::ZERO, &segment, SeqNum(0xffff_ffe0));
        assert_eq!(paws.recent, 10, "text after a hole must not move TS.Recent");
        paws.update(Instant::ZERO, &segment, SeqNum(0xffff_fff0));
        assert_eq!(paws.recent, 20);
        let older = Segment {
            header: header(Some(15), Flags::ACK),
            ..Segment::default()
        };
        paws.update(Instant::ZERO, &older, SeqNum(0xffff_fff0));
        assert_eq!(paws.recent, 20, "TS.Recent never goes back");
    }
}
