//! Urgent data: the pointer out, the mark in, and both through a network.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use proptest::prelude::*;

use super::super::*;
use super::bench::Bench;
use super::pair::{ISS, LONG, Pair, octets};
use crate::WriteError;
use crate::segment::{Flags, Header, Text};

/// A segment of the bench's peer with URG: where it begins and points to, relative to its SYN.
fn urgent(bench: &mut Bench, seq: u32, to: u32, text: &[u8]) -> Result<(), Refusal> {
    let segment = Segment {
        header: Header {
            seq: ISS[0] + seq,
            ack: bench.connection.snd.una,
            flags: Flags::ACK | Flags::URG,
            window: 1000,
            urgent: u16::try_from(to - seq).unwrap(),
            ..Header::default()
        },
        text: Text {
            octets: text,
            owner: None,
        },
        ..Segment::default()
    };
    let mut cx = Context::unwatched(bench.now);
    bench.connection.handle_segment(&mut cx, &segment)
}

/// What leaves: SEG.SEQ relative to our SYN, octets of text, SEG.UP where URG is set, why.
fn out(bench: &mut Bench, max_text: u32) -> Vec<(u32, usize, Option<u16>, Reason)> {
    let mut out = Vec::new();
    while let Some(plan) = bench.connection.plan(bench.now, max_text) {
        let mut cx = Context::unwatched(bench.now);
        let t = bench.connection.build(&mut cx, plan);
        let up = t.header.flags.urg().then_some(t.header.urgent);
        assert!(up.is_none() || t.segment_size.is_none(), "cut by a device");
        assert!(up.is_some() || t.header.urgent == 0);
        let seq = t.header.seq.distance_from(ISS[1]);
        out.push((seq, t.text_len(), up, t.reason));
    }
    out
}

fn wakes(bench: &mut Bench) -> bool {
    bench.connection.poll_event().intersects(Wake::URGENT)
}

fn read(bench: &mut Bench) -> Vec<u8> {
    let mut into = [0; 64];
    let n = bench.connection.read(&mut into).unwrap();
    into[..n].to_vec()
}

#[test]
//= rfc9293 MUST-30 test
//= rfc9293 MUST-62 test
//= rfc9293 SHLD-13 test
fn the_pointer_names_the_octet_after_the_urgent_text() {
    let mut bench = Bench::new();
    let mut cx = Context::unwatched(bench.now);
    bench.connection.write(&mut cx, b"abc").unwrap();
    assert_eq!(out(&mut bench, 1460), [(1, 3, None, Reason::Data)]);
    bench.connection.write_urgent(&mut cx, b"DEF").unwrap();
    // Nagle's algorithm would keep it.
    assert_eq!(out(&mut bench, 1460), [(4, 3, Some(3), Reason::Data)]);
    bench.connection.set_nodelay(true);
    bench.connection.write(&mut cx, b"ghi").unwrap();
    assert_eq!(out(&mut bench, 1460), [(7, 3, None, Reason::Data)]);
    // Sent again from SND.UNA on, with the pointer where it was.
    bench.now = bench.connection.poll_timeout().unwrap();
    bench
        .connection
        .handle_timeout(&mut Context::unwatched(bench.now));
    let again = out(&mut bench, 1460);
    assert_eq!(again[0], (1, 9, Some(6), Reason::Timeout));
    let seq = i64::from(ISS[0].distance_from(ISS[0])) + 1;
    bench.segment(Flags::ACK, seq, 7, b"").unwrap();
    assert!(bench.connection.urgent.is_none(), "acknowledged: forgotten");
}

#[test]
fn without_octets_nothing_is_urgent() {
    let mut bench = Bench::new();
    let mut cx = Context::unwatched(bench.now);
    assert_eq!(bench.connection.write_urgent(&mut cx, b""), Ok(0));
    assert!(bench.connection.urgent.is_none());
    bench.connection.abort(&mut cx);
    let over = Err(WriteError::Ended(Ended::Aborted));
    assert_eq!(bench.connection.write_urgent(&mut cx, b"x"), over);
}

#[test]
//= rfc9293 MUST-31 test
fn urgent_text_may_be_longer_than_the_field_reaches() {
    let mut pair = Pair::open(Config::default());
    let text = octets(200_000);
    let (mut written, mut got) = (0, Vec::new());
    let mut notices = 0;
    while got.len() < text.len() {
        let rest = &text[written..];
        written += pair.call(0, |c, cx| c.write_urgent(cx, rest)).unwrap_or(0);
        pair.run_for(Duration::from_millis(5));
        notices += u32::from(pair.end(1).poll_event().intersects(Wake::URGENT));
        got.extend(pair.read(1, 3000));
    }
    assert_eq!(got, text);
    assert!(notices > 4, "the mark moved on {notices} times");
    assert!(pair.end(1).at_mark());
    let ups: Vec<_> = pair.log.iter().filter(|l| l.3 > 0).collect();
    assert!(ups.iter().all(|l| l.2.flags.urg()));
    let farthest = ups.iter().filter(|l| l.2.urgent == u16::MAX).count();
    assert!(farthest > 50, "{farthest} reach as far as the field does");
    let last = ups.last().unwrap();
    assert_eq!(usize::from(last.2.urgent), last.3);
}

#[test]
fn the_pointer_goes_ahead_of_text_that_a_shut_window_keeps() {
    let mut bench = Bench::new();
    let mut cx = Context::unwatched(bench.now);
    bench.connection.snd.wnd = 0;
    bench.connection.write(&mut cx, b"abc").unwrap();
    assert_eq!(out(&mut bench, 1460), []);
    bench.connection.write_urgent(&mut cx, b"!").unwrap();
    assert_eq!(out(&mut bench, 1460), [(1, 0, Some(4), Reason::Urgent)]);
    // The probe repeats what may be lost.
    bench.now = bench.connection.poll_timeout().unwrap();
    bench
        .connection
        .handle_timeout(&mut Context::unwatched(bench.now));
    assert_eq!(
        out(&mut bench, 1460),
        [(1, 1, Some(4), Reason::WindowProbe)]
    );
}

#[test]
//= rfc9293 MUST-32 test
//= rfc9293 MUST-33 test
fn the_user_hears_of_the_mark_and_of_every_step_it_takes() {
    let mut bench = Bench::new();
    bench.segment(Flags::ACK, 1, 1, b"abc").unwrap();
    assert!(!wakes(&mut bench));
    assert_eq!(bench.connection.urgent_unread(), None);
    urgent(&mut bench, 4, 9, b"DE").unwrap();
    assert!(wakes(&mut bench), "before the text is there");
    assert_eq!(bench.connection.urgent_unread(), Some(8));
    urgent(&mut bench, 6, 9, b"FGH").unwrap();
    assert!(!wakes(&mut bench), "told already");
    urgent(&mut bench, 9, 11, b"IJkl").unwrap();
    assert!(wakes(&mut bench), "it moved on");
    urgent(&mut bench, 9, 10, b"IJkl").unwrap_err();
    assert_eq!(bench.connection.urgent_unread(), Some(10));
    let mut into = [0; 64];
    assert_eq!(bench.connection.peek(&mut into), Ok(10));
    assert_eq!(read(&mut bench), b"abcDEFGHIJ", "a read stops at the mark");
    assert!(bench.connection.at_mark());
    assert_eq!(bench.connection.urgent_unread(), None);
    assert_eq!(read(&mut bench), b"kl");
    assert!(!bench.connection.at_mark());
    assert!(bench.connection.urgent.is_none(), "nothing is kept of it");
    urgent(&mut bench, 13, 14, b"M").unwrap();
    assert!(wakes(&mut bench), "another run");
    assert_eq!(bench.connection.read_chunk(9).unwrap(), &b"M"[..]);
}

#[test]
//= rfc9293 MUST-66 test
fn urg_counts_in_a_shut_window() {
    let mut bench = Bench::new();
    let mut at = 1;
    while bench.connection.rcv.wnd() > 0 {
        let len = bench.connection.rcv.wnd().min(60_000);
        bench
            .segment(Flags::ACK, at, 1, &vec![7; len as usize])
            .unwrap();
        at += i64::from(len);
        bench.out();
    }
    let end = u32::try_from(at).unwrap();
    assert!(!wakes(&mut bench));
    urgent(&mut bench, end, end + 5, b"!").unwrap();
    assert!(wakes(&mut bench));
    assert_eq!(bench.connection.urgent_unread(), Some(end - 1 + 5));
}

#[test]
fn urg_is_ignored_once_the_peer_has_finished_and_its_pointer_ends_with_its_text() {
    let mut bench = Bench::new();
    urgent(&mut bench, 1, 100, b"ab").unwrap();
    assert_eq!(bench.connection.urgent_unread(), Some(99));
    bench.segment(Flags::ACK | Flags::FIN, 3, 1, b"c").unwrap();
    assert_eq!(bench.connection.urgent_unread(), Some(3));
    assert!(wakes(&mut bench));
    urgent(&mut bench, 5, 500, b"").unwrap();
    assert!(!wakes(&mut bench));
    assert_eq!(read(&mut bench), b"abc");
    assert!(bench.connection.at_mark() && bench.connection.at_end());
}

#[test]
fn the_mark_survives_a_simultaneous_open_and_loss() {
    let mut pair = Pair::simultaneous(Config::default());
    pair.run_for(LONG);
    let mut lost = 0;
    pair.drop = Box::new(move |side, _, flying| {
        lost += u32::from(side == 0 && !flying.text.is_empty());
        (1..=2).contains(&lost) && side == 0 && !flying.text.is_empty()
    });
    pair.write(0, b"abc");
    pair.call(0, |c, cx| c.write_urgent(cx, b"DE")).unwrap();
    pair.write(0, b"fg");
    pair.run_for(LONG);
    assert_eq!(pair.end(1).urgent_unread(), Some(5));
    assert_eq!(pair.read(1, 99), b"abcDE");
    assert!(pair.end(1).at_mark());
    assert_eq!(pair.read(1, 99), b"fg");
}

proptest! {
    /// Pointers anywhere: the stream is what it is, reads stop at the mark, nothing is urgent for ever.
    #[test]
    fn pointers_may_be_anything(
        segments in prop::collection::vec((0..40u32, 0..12usize, any::<u16>(), any::<bool>(), 0..20usize), 1..60),
    ) {
        let mut bench = Bench::new();
        let stream = octets(70_000);
        let mut got = Vec::new();
        for (back, len, up, near, most) in segments {
            let next = bench.connection.rcv.nxt.distance_from(ISS[0]);
            let seq = (next + 4).saturating_sub(back).max(1);
            let up = if near { u32::from(up % 64) } else { u32::from(up) };
            let text = &stream[seq as usize..][..len];
            let before = bench.connection.urgent_unread();
            let taken = urgent(&mut bench, seq, seq + up, text).is_ok();
            let unread = bench.connection.urgent_unread();
            prop_assert_eq!(wakes(&mut bench), unread > before, "{:?} {:?}", before, unread);
            let read_up_to = u32::try_from(got.len()).unwrap() + 1;
            let points_to = (seq + up).checked_sub(read_up_to).filter(|n| *n > 0);
            prop_assert_eq!(unread, if taken { before.max(points_to) } else { before });
            let most = most.min(unread.map_or(most, |n| n as usize));
            if let Ok(chunk) = bench.connection.read_chunk(most) {
                got.extend_from_slice(&chunk);
            }
            let left = unread.map(|n| n + read_up_to - 1 - u32::try_from(got.len()).unwrap());
            prop_assert_eq!(bench.connection.urgent_unread(), left.filter(|n| *n > 0));
        }
        prop_assert_eq!(&got[..], &stream[1..][..got.len()]);
    }

    /// Writes, urgent ones among them, through a network that loses: at every mark that the reader meets, urgent text
    /// was written.
    #[test]
    fn marks_arrive_where_they_were_set(
        writes in prop::collection::vec((1..4000usize, any::<bool>()), 1..12),
        losses in prop::collection::vec(any::<bool>(), 0..12),
    ) {
        let mut pair = Pair::open(Config::default());
        pair.drop = Box::new(move |_, count, _| {
            losses.get(count as usize).copied().unwrap_or_default()
        });
        let (mut at, mut marks, mut got) = (0, Vec::new(), Vec::new());
        let stream = octets(60_000);
        for (len, is_urgent) in writes {
            let text = &stream[at..at + len];
            let call = if is_urgent { Connection::write_urgent } else { Connection::write };
            prop_assert_eq!(pair.call(0, |c, cx| call(c, cx, text)), Ok(len));
            at += len;
            marks.extend(is_urgent.then_some(at));
            pair.run_for(Duration::from_millis(3));
            got.extend(pair.read(1, 1500));
            if pair.end(1).at_mark() {
                prop_assert!(marks.contains(&got.len()));
            }
        }
        // Eleven losses of the same segment in a row, each wait twice the one before and no longer than two minutes.
        pair.run_for(40 * LONG);
        let last = marks.last().copied().filter(|mark| *mark > got.len());
        prop_assert_eq!(pair.end(1).urgent_unread().map(|n| got.len() + n as usize), last);
        for _ in 0..2 {
            got.extend(pair.read(1, 60_000));
        }
        prop_assert_eq!(&got[..], &stream[..at]);
        prop_assert!(pair.end(0).urgent.is_none());
    }
}
