//! What one segment does to a connection, and what it answers.

use alloc::vec::Vec;
use core::time::Duration;

use woshou_wire::tcp_option::Timestamps;

use super::super::*;
use super::bench::{Bench, Out};
use super::pair::ISS;
use crate::segment::{Flags, Header};

/// What, flags, seq and ack relative to both SYNs, text, what comes of it, why it is answered.
type Case = (
    &'static str,
    Flags,
    i64,
    i64,
    &'static [u8],
    Result<(), Refusal>,
    Option<Reason>,
);

#[rustfmt::skip]
const ACCEPTABILITY: &[Case] = &[
    ("at RCV.NXT", Flags::ACK, 1, 1, b"", Ok(()), None),
    ("before the window", Flags::ACK, 0, 1, b"", Err(Refusal::OutsideWindow), Some(Reason::OutsideWindow)),
    ("old text", Flags::ACK, -3, 1, b"abc", Err(Refusal::OutsideWindow), Some(Reason::Duplicate)),
    ("beyond the window", Flags::ACK, 1 << 21, 1, b"abc", Err(Refusal::OutsideWindow), Some(Reason::OutsideWindow)),
    ("RST beyond the window", Flags::RST, 1 << 21, 1, b"", Err(Refusal::OutsideWindow), None),
    ("RST in the window", Flags::RST, 2, 1, b"", Err(Refusal::BlindReset), Some(Reason::Challenge)),
    ("RST at RCV.NXT", Flags::RST, 1, 1, b"", Err(Refusal::ValidReset), None),
    ("SYN in the window", Flags::SYN, 9, 1, b"", Err(Refusal::BlindSyn), Some(Reason::Challenge)),
    ("no ACK", Flags::NONE, 1, 1, b"x", Err(Refusal::NoAck), None),
    ("ACK of unsent", Flags::ACK, 1, 2, b"x", Err(Refusal::AckOfUnsent), Some(Reason::Challenge)),
    ("ACK too old", Flags::ACK, 1, -(1 << 20), b"x", Err(Refusal::AckTooOld), Some(Reason::Challenge)),
    ("text after a gap", Flags::ACK, 3, 1, b"x", Ok(()), Some(Reason::Gap)),
];

#[test]
//= rfc9293 X-1 test
//= rfc9293 X-2 test
//= rfc9293 X-3 test
//= rfc9293 X-4 test
//= rfc9293 X-5 test
//= rfc9293 X-6 test
//= rfc9293 MUST-66 test
//= rfc9293 MAY-12 test
//= rfc9293 MAY-13 test
fn acceptability_and_its_answers() {
    for &(name, flags, seq, ack, text, expected, answer) in ACCEPTABILITY {
        let mut bench = Bench::new();
        assert_eq!(bench.segment(flags, seq, ack, text), expected, "{name}");
        let held = usize::from(answer == Some(Reason::Gap));
        assert_eq!(bench.connection.rcv.reassembly.octets(), held, "{name}");
        let answers: Vec<Out> = answer
            .map(|reason| (Flags::ACK, 1, 1, 0, reason))
            .into_iter()
            .collect();
        assert_eq!(bench.out(), answers, "{name}");
        let open = expected != Err(Refusal::ValidReset);
        let state = bench.connection.state();
        assert_eq!(state == State::Established, open, "{name}");
    }
}

#[test]
fn a_reset_when_only_our_fin_is_left_is_an_ordinary_end() {
    for (text, expected) in [(&b""[..], Ended::Closed), (b"unread", Ended::Reset)] {
        let mut bench = Bench::new();
        let mut cx = Context::unwatched(bench.now);
        bench.segment(Flags::ACK | Flags::FIN, 1, 1, b"").unwrap();
        bench.connection.write(&mut cx, text).unwrap();
        bench.connection.shutdown(&mut cx);
        assert!(!bench.out().is_empty());
        assert_eq!(bench.connection.state(), State::LastAck);
        let reset = bench.segment(Flags::RST, 2, 1, b"");
        assert_eq!(reset, Err(Refusal::ValidReset));
        assert_eq!(bench.connection.ended(), Some(expected), "{text:?}");
    }
}

#[test]
fn an_acknowledgement_just_behind_the_window_counts() {
    let mut bench = Bench::new();
    let mut cx = Context::unwatched(bench.now);
    bench.connection.write(&mut cx, b"x").unwrap();
    assert_eq!(bench.out().len(), 1);
    let edge = i64::from(bench.connection.rcv.adv.distance_from(ISS[0]));
    let outside = Err(Refusal::OutsideWindow);
    assert_eq!(
        bench.segment(Flags::RST, edge, 2, b""),
        outside,
        "a RST does not"
    );
    assert_eq!(
        bench.segment(Flags::ACK, edge + 1, 2, b""),
        outside,
        "nor what is farther"
    );
    assert_eq!(
        bench.segment(Flags::ACK, edge, 2, b"t"),
        outside,
        "nor text"
    );
    assert_eq!(bench.connection.unacknowledged(), 1);
    assert_eq!(bench.segment(Flags::ACK, edge, 2, b""), Ok(()));
    assert_eq!(bench.connection.unacknowledged(), 0);
}

#[test]
//= rfc9293 SHLD-31 test
fn overlaps_are_trimmed_and_the_first_wins() {
    let mut bench = Bench::new();
    bench.segment(Flags::ACK, 4, 1, b"DEF").unwrap();
    bench.segment(Flags::ACK, 3, 1, b"cdefgh").unwrap();
    bench.segment(Flags::ACK, 1, 1, b"ABxx").unwrap();
    let mut got = [0; 16];
    let n = bench.connection.read(&mut got).unwrap();
    assert_eq!(&got[..n], b"ABcDEFgh");
    bench.segment(Flags::ACK, 5, 1, b"EFghij").unwrap();
    let n = bench.connection.read(&mut got).unwrap();
    assert_eq!(&got[..n], b"ij", "the known part is trimmed");
}

#[test]
fn a_fin_before_missing_text_waits_for_it() {
    let mut bench = Bench::new();
    bench
        .segment(Flags::ACK | Flags::FIN, 4, 1, b"DEF")
        .unwrap();
    assert_eq!(bench.connection.state(), State::Established);
    bench.segment(Flags::ACK, 1, 1, b"ABC").unwrap();
    assert_eq!(bench.connection.state(), State::CloseWait);
    let out = bench.out();
    assert_eq!(
        out.last().map(|o| o.2),
        Some(8),
        "text and FIN acknowledged"
    );
    let mut got = [0; 16];
    assert_eq!(bench.connection.read(&mut got), Ok(6));
    assert_eq!(bench.connection.read(&mut got), Ok(0));
}

#[test]
//= rfc9293 X-7 test
fn challenges_are_limited() {
    let mut bench = Bench::new();
    let mut sent = 0;
    for round in 0..1000 {
        let seq = if round % 2 == 0 { 9 } else { -9 };
        let _ = bench.segment(Flags::SYN, seq, 1, b"");
        sent += bench.out().len();
    }
    assert_eq!(sent, 10);
    bench.now += Duration::from_secs(1);
    let _ = bench.segment(Flags::SYN, 9, 1, b"");
    assert_eq!(bench.out().len(), 1);
    // The stack's budget is asked too.
    bench.now += Duration::from_secs(1);
    let syn = Segment {
        header: Header {
            seq: ISS[0] + 9,
            flags: Flags::SYN,
            ..Header::default()
        },
        ..Segment::default()
    };
    let mut spent = crate::ChallengeBudget::new(0, [1; 16]);
    let mut cx = Context {
        challenges: Some(&mut spent),
        chunks: None,
        ..Context::unwatched(bench.now)
    };
    assert!(bench.connection.handle_segment(&mut cx, &syn).is_err());
    assert_eq!(bench.out(), []);
}

#[test]
//= rfc9293 MUST-34 test
//= rfc9293 SHLD-15 test
fn a_window_that_shrinks_is_survived() {
    let mut bench = Bench::new();
    let now = bench.now;
    let mut cx = Context::unwatched(now);
    bench.connection.set_nodelay(true);
    bench.connection.write(&mut cx, &[7; 900]).unwrap();
    assert_eq!(bench.out().len(), 1);
    let shrunk = Segment {
        header: Header {
            seq: ISS[0] + 1,
            ack: ISS[1] + 1,
            flags: Flags::ACK,
            window: 0,
            ..Header::default()
        },
        ..Segment::default()
    };
    bench.connection.handle_segment(&mut cx, &shrunk).unwrap();
    assert_eq!(bench.connection.snd.usable_window(), 0);
    bench.connection.write(&mut cx, &[8; 100]).unwrap();
    assert_eq!(bench.out(), []);
    bench.segment(Flags::ACK, 1, 901, b"").unwrap();
    assert_eq!(bench.out().len(), 1, "goes on when it opens");
}

#[test]
fn a_connection_is_small() {
    let size = size_of::<Connection>();
    assert!(size <= 648, "{size} octets");
}

/// TS.Recent from the future would make every segment of the peer's too old, for 24 days.
#[test]
fn a_refused_segment_leaves_no_timestamp_behind() {
    let cases = [
        ("RST in the window", Flags::RST, 2, 1),
        ("SYN", Flags::SYN, 1, 1),
        ("no ACK", Flags::NONE, 1, 1),
        ("ACK of unsent", Flags::ACK, 1, 2),
        ("ACK too old", Flags::ACK, 1, -(1 << 20)),
    ];
    for (name, flags, seq, ack) in cases {
        let ack: i32 = ack;
        let mut bench = Bench::new();
        let paws = Paws::new(u32::MAX, bench.now);
        bench.connection.paws = Some(paws);
        let heard = bench.connection.patience.heard_at;
        bench.now += Duration::from_millis(100);
        let mut segment = Segment {
            header: Header {
                seq: ISS[0] + seq,
                ack: ISS[1] + (i64::from(ack) as u32),
                flags,
                window: 1000,
                ..Header::default()
            },
            ..Segment::default()
        };
        segment.header.options.timestamps = Some(Timestamps {
            value: u32::MAX.wrapping_add(1 << 30),
            echo: 0,
        });
        let mut cx = Context::unwatched(bench.now);
        assert!(bench.connection.handle_segment(&mut cx, &segment).is_err());
        let kept = bench.connection.paws.unwrap();
        assert_eq!(kept.recent, u32::MAX, "{name}");
        assert_eq!(bench.connection.patience.heard_at, heard, "{name}");
    }
}
