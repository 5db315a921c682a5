//! TIME-WAIT: a few numbers that only answer (RFC 9293 sections 3.6.1 and 3.10.7.4).

use core::time::Duration;

use woshou_wire::tcp_option::{TcpOptions, Timestamps};

use crate::error::Refusal;
use crate::event::{Context, Reason, TraceEvent};
use crate::info::TcpInfo;
use crate::options;
use crate::segment::{Endpoints, Flags, Header, Segment};
use crate::seq::SeqNum;
use crate::state::State;
use crate::time::Instant;

/// How old TS.Recent may be and still refuse a segment (RFC 7323 section 5.5).
const TIMESTAMPS_LAST: Duration = Duration::from_secs(24 * 24 * 3600);

/// What a connection hands over to its TIME-WAIT.
#[derive(Clone, Copy, Debug)]
pub struct TimeWaitSetup {
    /// SND.NXT: after our FIN.
    pub snd_nxt: SeqNum,
    /// RCV.NXT: after the peer's FIN.
    pub rcv_nxt: SeqNum,
    /// SEG.WND of our last acknowledgement, as on the wire.
    pub window: u16,
    /// Timestamps, where they were agreed.
    pub timestamps: Option<TimeWaitTimestamps>,
    /// Whether a new incarnation would have timestamps if its SYN had them: [`crate::Config::timestamps`].
    pub wants_timestamps: bool,
    /// 2 MSL: [`crate::Config::time_wait`].
    pub lasts: Duration,
}

/// The timestamps of a connection in TIME-WAIT (RFC 7323).
#[derive(Clone, Copy, Debug)]
pub struct TimeWaitTimestamps {
    /// TS.Recent.
    pub recent: u32,
    /// When TS.Recent was set.
    pub recent_at: Instant,
    /// Added to our clock, as in [`crate::options::Setup`].
    pub offset: u32,
}

/// What is known of the peer's timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stamps {
    /// None were agreed, and we would not agree to any.
    Unwanted,
    /// None were agreed.
    Unused,
    /// TS.Recent was so old when TIME-WAIT began that it refuses nothing (RFC 7323 section 5.5).
    Outdated,
    /// TS.Recent counts; TIME-WAIT is far shorter than the 24 days in which it grows old.
    Recent,
}

/// TIME-WAIT. 32 octets, no heap memory: a busy server holds many.
///
/// A RST does not end it: RFC 9293 section 3.10.7.4 (second) would delete it, and RFC 1337 section 3 shows that an old
/// duplicate segment can so bring its end about ("TIME-WAIT assassination"); this type takes that section's fix (F1) and
/// ignores every RST.
#[derive(Clone, Copy, Debug)]
pub struct TimeWait {
    snd_nxt: SeqNum,
    rcv_nxt: SeqNum,
    /// TS.Recent.
    recent: u32,
    /// Added to our clock.
    offset: u32,
    expires_at: Instant,
    /// 2 MSL, ms; 49 days at most.
    lasts: u32,
    window: u16,
    stamps: Stamps,
}

/// What the owner does after a segment for TIME-WAIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeWaitAction {
    /// Nothing.
    Ignore,
    /// Send this header, without text. It was within the budget of challenge ACKs (RFC 5961 section 7;
    /// [`Context::challenges`]) unless it answers the peer's very FIN, whose sender waits for it.
    Acknowledge(Header),
    /// 2 MSL were over when the segment came: forget the entry, and treat the segment as one for a
    /// four-tuple that nobody knows. It was not looked at.
    Delete,
    /// A new SYN may reuse the four-tuple (MAY-2, RFC 6191): forget the entry, hand the segment to the
    /// listener (which traces it), with an initial sequence number after this one.
    Reopen(SeqNum),
}

impl TimeWait {
    /// Starts 2 MSL.
    #[must_use]
    pub fn new(now: Instant, setup: TimeWaitSetup) -> Self {
        let TimeWaitSetup {
            snd_nxt,
            rcv_nxt,
            window,
            timestamps,
            wants_timestamps,
            lasts,
        } = setup;
        let stamps = match timestamps {
            Some(ours) if now.since(ours.recent_at) < TIMESTAMPS_LAST => Stamps::Recent,
            Some(_) => Stamps::Outdated,
            None if wants_timestamps => Stamps::Unused,
            None => Stamps::Unwanted,
        };
        let lasts = u32::try_from(lasts.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX);
        Self {
            snd_nxt,
            rcv_nxt,
            window,
            recent: timestamps.map_or(0, |ours| ours.recent),
            offset: timestamps.map_or(0, |ours| ours.offset),
            stamps,
            lasts,
            expires_at: now + Duration::from_millis(lasts.into()),
        }
    }

    /// When 2 MSL are over.
    //= rfc9293 MUST-13
    #[must_use]
    pub const fn expires_at(&self) -> Instant {
        self.expires_at
    }

    /// 2 MSL, in whole milliseconds.
    #[must_use]
    pub const fn lasts(&self) -> u32 {
        self.lasts
    }

    /// Whether timestamps were agreed.
    const fn stamped(&self) -> bool {
        matches!(self.stamps, Stamps::Outdated | Stamps::Recent)
    }

    /// Figures about it: the few that are left.
    #[must_use]
    pub fn info(&self) -> TcpInfo {
        let timestamps = if self.stamped() {
            TcpInfo::TIMESTAMPS
        } else {
            0
        };
        TcpInfo {
            options: timestamps,
            ..TcpInfo::new(State::TimeWait)
        }
    }

    /// A segment arrived. May move [`expires_at`](Self::expires_at).
    ///
    /// An acceptable acknowledgement is not answered, so that two sides in TIME-WAIT do not answer each other forever.
    pub fn handle_segment(
        &mut self,
        cx: &mut Context<'_>,
        who: &Endpoints,
        segment: &Segment<'_>,
    ) -> TimeWaitAction {
        if cx.now >= self.expires_at {
            return TimeWaitAction::Delete;
        }
        let header = segment.header;
        let others = Flags::RST | Flags::ACK | Flags::FIN;
        if header.flags.syn() && !header.flags.intersects(others) && self.reopens(&header) {
            return TimeWaitAction::Reopen(self.snd_nxt);
        }
        let len = u32::try_from(segment.text.octets.len()).unwrap_or(u32::MAX);
        cx.trace(who, || TraceEvent::Received { header, len });
        if header.flags.rst() {
            return TimeWaitAction::Ignore;
        }
        let refusal = match self.check(segment) {
            // Acceptable, and everything was said before.
            Ok(()) => {
                self.note_timestamp(&header);
                return TimeWaitAction::Ignore;
            }
            Err(refusal) => refusal,
        };
        cx.trace(who, || TraceEvent::Refused { refusal });
        let repeats_fin = header.flags.fin()
            && refusal == Refusal::OutsideWindow
            && header.seq + segment.len() == self.rcv_nxt;
        if repeats_fin {
            self.note_timestamp(&header);
            self.expires_at = cx.now + Duration::from_millis(self.lasts.into());
            return self.acknowledge(cx, who, Reason::TimeWait);
        }
        let reason = match refusal {
            Refusal::OutsideWindow => Reason::TimeWait,
            //= rfc9293 X-5
            Refusal::OldTimestamp | Refusal::BlindSyn | Refusal::AckOfUnsent => Reason::Challenge,
            _ => return TimeWaitAction::Ignore,
        };
        if !cx.may_challenge() {
            return TimeWaitAction::Ignore;
        }
        self.acknowledge(cx, who, reason)
    }

    /// Whether a SYN starts a new incarnation: nothing of the old one can be mistaken for a part of it.
    ///
    /// Source: RFC 6191 section 2, case by case.
    //= rfc9293 MAY-2
    //= rfc9293 SHLD-4
    fn reopens(&self, syn: &Header) -> bool {
        let later = syn.seq.at_or_after(self.rcv_nxt);
        match (self.stamps, syn.options.timestamps) {
            (Stamps::Recent | Stamps::Outdated, Some(theirs)) if theirs.value != self.recent => {
                SeqNum(theirs.value).after(SeqNum(self.recent))
            }
            // PAWS will refuse what is left of the old incarnation: it has no timestamps.
            (Stamps::Unused, Some(_)) => true,
            _ => later,
        }
    }

    /// PAWS, then the first, fourth and fifth checks of RFC 9293 section 3.10.7.4.
    fn check(&self, segment: &Segment<'_>) -> Result<(), Refusal> {
        let header = &segment.header;
        match (self.stamped(), header.options.timestamps) {
            (true, None) if !header.flags.syn() => return Err(Refusal::MissingTimestamp),
            (true, Some(theirs))
                if self.stamps == Stamps::Recent
                    && SeqNum(theirs.value).before(SeqNum(self.recent)) =>
            {
                return Err(Refusal::OldTimestamp);
            }
            _ => {}
        }
        if header.flags.syn() {
            return Err(Refusal::BlindSyn);
        }
        // The window as on the wire, not scaled: nothing of the peer's lies beyond its FIN anyway.
        let end = self.rcv_nxt + u32::from(self.window);
        let acceptable = header.seq == self.rcv_nxt || header.seq.between(self.rcv_nxt, end);
        if !acceptable {
            return Err(Refusal::OutsideWindow);
        }
        if !header.flags.ack() {
            return Err(Refusal::NoAck);
        }
        if header.ack.after(self.snd_nxt) {
            return Err(Refusal::AckOfUnsent);
        }
        // Text and FIN behind the peer's FIN: their sender waits to hear where it stands. The kernels tell it, too.
        if segment.is_empty() {
            Ok(())
        } else {
            Err(Refusal::OutsideWindow)
        }
    }

    /// TS.Recent follows what does not lie beyond our last acknowledgement (RFC 7323 section 4.3).
    fn note_timestamp(&mut self, header: &Header) {
        let Some(theirs) = header.options.timestamps.filter(|_| self.stamped()) else {
            return;
        };
        let newer = SeqNum(theirs.value).at_or_after(SeqNum(self.recent));
        if newer && header.seq.at_or_before(self.rcv_nxt) {
            (self.recent, self.stamps) = (theirs.value, Stamps::Recent);
        }
    }

    fn acknowledge(&self, cx: &mut Context<'_>, who: &Endpoints, reason: Reason) -> TimeWaitAction {
        let timestamps = self.stamped().then(|| Timestamps {
            value: options::timestamp(cx.now, self.offset),
            echo: self.recent,
        });
        let header = Header {
            seq: self.snd_nxt,
            ack: self.rcv_nxt,
            flags: Flags::ACK,
            window: self.window,
            urgent: 0,
            options: TcpOptions {
                timestamps,
                ..TcpOptions::default()
            },
        };
        cx.trace(who, || TraceEvent::Sent {
            header,
            len: 0,
            segment_size: None,
            reason,
        });
        TimeWaitAction::Acknowledge(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::Text;
    use proptest::prelude::*;
    use std::vec::Vec;

    const SND_NXT: SeqNum = SeqNum(5);
    const RCV_NXT: SeqNum = SeqNum(2);
    const WHO: Endpoints = Endpoints {
        local: core::net::SocketAddr::V4(core::net::SocketAddrV4::new(
            core::net::Ipv4Addr::new(192, 0, 2, 1),
            80,
        )),
        remote: core::net::SocketAddr::V4(core::net::SocketAddrV4::new(
            core::net::Ipv4Addr::new(192, 0, 2, 2),
            9,
        )),
    };
    const LASTS: Duration = Duration::from_secs(60);
    const START: Instant = Instant::from_millis(1000);
    /// TS.Recent: about to wrap.
    const RECENT: u32 = 0xffff_fffe;

    fn time_wait(timestamps: bool) -> TimeWait {
        let timestamps = timestamps.then_some(TimeWaitTimestamps {
            recent: RECENT,
            recent_at: START,
            offset: 77,
        });
        TimeWait::new(
            START,
            TimeWaitSetup {
                snd_nxt: SND_NXT,
                rcv_nxt: RCV_NXT,
                window: 1000,
                timestamps,
                wants_timestamps: true,
                lasts: LASTS,
            },
        )
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Answer {
        Nothing,
        Ack(Reason),
        Reopen,
    }
    use Answer::{Ack, Nothing, Reopen};

    struct Watcher(Vec<TraceEvent>);
    impl crate::event::Observer for Watcher {
        fn observe(&mut self, _: Instant, _: &Endpoints, event: &TraceEvent) {
            self.0.push(*event);
        }
    }

    /// Hands in a segment 10 s after the start; says what came of it, and whether 2 MSL started again.
    fn arrives(entry: &mut TimeWait, header: Header, text: &[u8]) -> (Answer, bool) {
        let now = START + Duration::from_secs(10);
        let mut watcher = Watcher(Vec::new());
        let mut cx = Context {
            now,
            observer: Some(&mut watcher),
            challenges: None,
            chunks: None,
        };
        let segment = Segment {
            header,
            text: Text {
                octets: text,
                owner: None,
            },
            ..Segment::default()
        };
        let answer = match entry.handle_segment(&mut cx, &WHO, &segment) {
            TimeWaitAction::Ignore => Nothing,
            TimeWaitAction::Acknowledge(ack) => {
                assert_eq!(
                    (ack.seq, ack.ack, ack.flags, ack.window),
                    (SND_NXT, RCV_NXT, Flags::ACK, 1000)
                );
                let ours = entry.stamped().then_some((11_000 + 77, entry.recent));
                assert_eq!(ack.options.timestamps.map(|t| (t.value, t.echo)), ours);
                let sent = watcher.0.last();
                let Some(TraceEvent::Sent { header, reason, .. }) = sent else {
                    panic!("{sent:?}")
                };
                assert_eq!(*header, ack);
                Ack(*reason)
            }
            TimeWaitAction::Reopen(after) => {
                assert_eq!(after, SND_NXT);
                Reopen
            }
            TimeWaitAction::Delete => panic!("2 MSL are not over"),
        };
        let received = watcher
            .0
            .iter()
            .filter(|e| matches!(e, TraceEvent::Received { .. }))
            .count();
        assert_eq!(received, usize::from(answer != Reopen));
        (answer, entry.expires_at() == now + LASTS)
    }

    fn stamped(header: Header, value: Option<u32>) -> Header {
        let timestamps = value.map(|value| Timestamps { value, echo: 0 });
        Header {
            options: TcpOptions {
                timestamps,
                ..TcpOptions::default()
            },
            ..header
        }
    }

    const FIN: Flags = Flags::from_bits(Flags::FIN.bits() | Flags::ACK.bits());
    const SYN_ACK: Flags = Flags::from_bits(Flags::SYN.bits() | Flags::ACK.bits());
    const SYN_FIN: Flags = Flags::from_bits(Flags::SYN.bits() | Flags::FIN.bits());
    const SYN_RST: Flags = Flags::from_bits(Flags::SYN.bits() | Flags::RST.bits());
    /// The sequence number of the FIN, counted from RCV.NXT.
    const BEFORE: u32 = u32::MAX;
    const AGAIN: Answer = Ack(Reason::TimeWait);
    const CHALLENGED: Answer = Ack(Reason::Challenge);
    /// What, SEG.SEQ less RCV.NXT, flags, text, what comes of it, whether 2 MSL start again.
    type Case = (&'static str, u32, Flags, &'static [u8], Answer, bool);
    /// The same, with TSval instead of text.
    type StampedCase = (&'static str, u32, Flags, Option<u32>, Answer, bool);

    #[rustfmt::skip]
    const WITHOUT_TIMESTAMPS: &[Case] = &[
        ("the last ACK again", 0, Flags::ACK, b"", Nothing, false),
        ("FIN again", BEFORE, FIN, b"", AGAIN, true),
        ("FIN with text again", BEFORE - 3, FIN, b"end", AGAIN, true),
        ("some other FIN", BEFORE - 8, FIN, b"end", AGAIN, false),
        ("old text", BEFORE - 8, Flags::ACK, b"old", AGAIN, false),
        ("keep-alive", BEFORE, Flags::ACK, b"", AGAIN, false),
        ("text after the FIN", 0, Flags::ACK, b"more", AGAIN, false),
        ("FIN after the FIN", 0, FIN, b"", AGAIN, false),
        ("the end of the window", 999, Flags::ACK, b"x", AGAIN, false),
        ("beyond the window", 1000, Flags::ACK, b"x", AGAIN, false),
        ("no ACK", 0, Flags::NONE, b"", Nothing, false),
        ("RST", 0, Flags::RST, b"", Nothing, false),
        ("RST elsewhere", 5000, Flags::RST, b"", Nothing, false),
        ("new SYN", 0, Flags::SYN, b"", Reopen, false),
        ("new SYN far on", 0x7000_0000, Flags::SYN, b"", Reopen, false),
        ("old SYN", BEFORE, Flags::SYN, b"", CHALLENGED, false),
        ("SYN,ACK", 0, SYN_ACK, b"", CHALLENGED, false),
        ("SYN,FIN", 0, SYN_FIN, b"", CHALLENGED, false),
        ("SYN,RST", 0, SYN_RST, b"", Nothing, false),
    ];

    //= rfc9293 MUST-13 test
    #[test]
    fn without_timestamps() {
        for &(name, seq, flags, text, answer, restarts) in WITHOUT_TIMESTAMPS {
            let header = Header {
                seq: RCV_NXT + seq,
                ack: SND_NXT,
                flags,
                ..Header::default()
            };
            assert_eq!(
                arrives(&mut time_wait(false), header, text),
                (answer, restarts),
                "{name}"
            );
        }
    }

    #[rustfmt::skip]
    const WITH_TIMESTAMPS: &[StampedCase] = &[
        ("FIN again", BEFORE, FIN, Some(1), AGAIN, true),
        ("FIN of a forger or a ghost", BEFORE, FIN, Some(RECENT - 1), CHALLENGED, false),
        ("no timestamp", BEFORE, FIN, None, Nothing, false),
        ("ACK", 0, Flags::ACK, Some(RECENT), Nothing, false),
        ("old ACK", 0, Flags::ACK, Some(RECENT - 1), CHALLENGED, false),
        ("SYN, later timestamp", BEFORE - 999, Flags::SYN, Some(1), Reopen, false),
        ("SYN, same timestamp, later", 0, Flags::SYN, Some(RECENT), Reopen, false),
        ("SYN, same timestamp, old", BEFORE, Flags::SYN, Some(RECENT), CHALLENGED, false),
        ("SYN, older timestamp, later", 0, Flags::SYN, Some(RECENT - 1), CHALLENGED, false),
        ("SYN, no timestamp, later", 0, Flags::SYN, None, Reopen, false),
        ("SYN, no timestamp, old", BEFORE, Flags::SYN, None, CHALLENGED, false),
    ];

    //= rfc9293 MAY-2 test
    //= rfc9293 SHLD-4 test
    #[test]
    fn with_timestamps() {
        for &(name, seq, flags, value, answer, restarts) in WITH_TIMESTAMPS {
            let header = stamped(
                Header {
                    seq: RCV_NXT + seq,
                    ack: SND_NXT,
                    flags,
                    ..Header::default()
                },
                value,
            );
            assert_eq!(
                arrives(&mut time_wait(true), header, b""),
                (answer, restarts),
                "{name}"
            );
        }
    }

    #[test]
    fn the_echo_follows_the_newest() {
        let mut entry = time_wait(true);
        let fin = Header {
            seq: RCV_NXT - 1,
            flags: Flags::FIN | Flags::ACK,
            ..Header::default()
        };
        arrives(&mut entry, stamped(fin, Some(3)), b"");
        assert_eq!(entry.recent, 3);
        arrives(&mut entry, stamped(fin, Some(2)), b"");
        assert_eq!(entry.recent, 3);
        let ahead = Header {
            seq: RCV_NXT + 1,
            flags: Flags::ACK,
            ..Header::default()
        };
        for text in [&b"x"[..], b""] {
            arrives(&mut entry, stamped(ahead, Some(9)), text);
            assert_eq!(entry.recent, 3, "beyond our last acknowledgement");
        }
    }

    /// RFC 6191 section 2: the four cases of which incarnation has timestamps.
    #[test]
    fn a_syn_with_timestamps_reopens_what_had_none() {
        let (old, new) = (RCV_NXT - 999, RCV_NXT);
        let cases = [
            ("would agree", true, old, Some(1), true),
            ("SYN has none, old", true, old, None, false),
            ("SYN has none, later", true, new, None, true),
            ("would not agree, old", false, old, Some(1), false),
            ("would not agree, later", false, new, Some(1), true),
        ];
        for (name, wants_timestamps, seq, value, reopens) in cases {
            let mut entry = TimeWait::new(
                START,
                TimeWaitSetup {
                    snd_nxt: SND_NXT,
                    rcv_nxt: RCV_NXT,
                    window: 1000,
                    timestamps: None,
                    wants_timestamps,
                    lasts: LASTS,
                },
            );
            let syn = Header {
                seq,
                flags: Flags::SYN,
                ..Header::default()
            };
            let (answer, _) = arrives(&mut entry, stamped(syn, value), b"");
            assert_eq!(answer == Reopen, reopens, "{name}");
        }
    }

    /// What the budget does not allow is neither sent nor traced; the peer's own FIN is always answered.
    //= rfc9293 X-7 test
    #[test]
    fn answers_are_within_the_budget() {
        for (name, seq, flags, answered) in [
            ("old text", RCV_NXT - 9, Flags::ACK, false),
            ("old SYN", RCV_NXT - 9, Flags::SYN, false),
            ("FIN again", RCV_NXT - 1, FIN, true),
        ] {
            let mut spent = crate::ChallengeBudget::new(0, [1; 16]);
            let mut watcher = Watcher(Vec::new());
            let mut cx = Context {
                now: START,
                observer: Some(&mut watcher),
                challenges: Some(&mut spent),
                chunks: None,
            };
            let header = Header {
                seq,
                ack: SND_NXT,
                flags,
                ..Header::default()
            };
            let segment = Segment {
                header,
                ..Segment::default()
            };
            let action = time_wait(false).handle_segment(&mut cx, &WHO, &segment);
            assert_eq!(action != TimeWaitAction::Ignore, answered, "{name}");
            let sent = |event: &TraceEvent| matches!(event, TraceEvent::Sent { .. });
            assert_eq!(watcher.0.iter().any(sent), answered, "{name}");
        }
    }

    #[test]
    fn timestamps_a_month_old_refuse_nothing() {
        let month = Duration::from_secs(30 * 24 * 3600);
        let timestamps = Some(TimeWaitTimestamps {
            recent: RECENT,
            recent_at: START,
            offset: 77,
        });
        let setup = TimeWaitSetup {
            snd_nxt: SND_NXT,
            rcv_nxt: RCV_NXT,
            window: 1000,
            timestamps,
            wants_timestamps: true,
            lasts: LASTS,
        };
        let mut entry = TimeWait::new(START + month, setup);
        let header = stamped(
            Header {
                seq: RCV_NXT,
                ack: SND_NXT,
                flags: Flags::ACK,
                ..Header::default()
            },
            Some(RECENT - 1),
        );
        assert_eq!(
            entry.check(&Segment {
                header,
                ..Segment::default()
            }),
            Ok(())
        );
        entry.stamps = Stamps::Recent;
        let refused = entry.check(&Segment {
            header,
            ..Segment::default()
        });
        assert_eq!(refused, Err(Refusal::OldTimestamp));
    }

    #[test]
    fn timestamps_count_for_24_days() {
        let days = |days: u64| Duration::from_secs(days * 24 * 3600);
        let after = |silence| {
            let timestamps = Some(TimeWaitTimestamps {
                recent: RECENT,
                recent_at: START,
                offset: 77,
            });
            let setup = TimeWaitSetup {
                snd_nxt: SND_NXT,
                rcv_nxt: RCV_NXT,
                window: 1000,
                timestamps,
                wants_timestamps: true,
                lasts: LASTS,
            };
            TimeWait::new(START + silence, setup)
        };
        let second = Duration::from_secs(1);
        assert_eq!(after(days(24) - second).stamps, Stamps::Recent);
        assert_eq!(after(days(24)).stamps, Stamps::Outdated);
        assert_eq!(after(days(24)).info().options, TcpInfo::TIMESTAMPS);
        assert_eq!(time_wait(false).info().options, 0);
    }

    #[test]
    fn after_2_msl_it_is_gone() {
        let mut entry = time_wait(false);
        assert_eq!(entry.expires_at(), START + LASTS);
        let mut cx = Context::unwatched(START + LASTS);
        assert_eq!(
            entry.handle_segment(&mut cx, &WHO, &Segment::default()),
            TimeWaitAction::Delete
        );
    }

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<TimeWait>(), 32);
    }

    proptest! {
        /// Two sides in TIME-WAIT: an answer to an answer does not exist, whatever started it.
        #[test]
        fn answers_are_not_answered(seq: u32, bits in 0..0x200u16, value: Option<u32>, stamps: bool) {
            let header = Header { seq: SeqNum(seq), ack: SND_NXT, flags: Flags::from_bits(bits), ..Header::default() };
            let segment = Segment { header: stamped(header, value), ..Segment::default() };
            let mut cx = Context::unwatched(START);
            let answer = time_wait(stamps).handle_segment(&mut cx, &WHO, &segment);
            if let TimeWaitAction::Acknowledge(header) = answer {
                let mut peer = TimeWait { snd_nxt: RCV_NXT, rcv_nxt: SND_NXT, ..time_wait(stamps) };
                peer.recent = options::timestamp(START, 77);
                let segment = Segment { header, ..Segment::default() };
                prop_assert_eq!(peer.handle_segment(&mut cx, &WHO, &segment), TimeWaitAction::Ignore);
            }
        }
    }
}
