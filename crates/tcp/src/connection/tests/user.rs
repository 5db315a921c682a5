//! What the user of one connection asks for: push, flush, timeouts, keep-alive, reports, how much may wait.

use alloc::vec::Vec;
use core::time::Duration;

use super::super::*;
use super::bench::Bench;
use super::pair::{ISS, LONG, Pair, octets};
use crate::WriteError;
use crate::config::KeepAlive;
use crate::error::PathError;
use crate::segment::{Flags, Header};

/// The bench's peer acknowledges `ack` and offers `window`.
fn offer(bench: &mut Bench, ack: u32, window: u16) {
    let segment = Segment {
        header: Header {
            seq: ISS[0] + 1,
            ack: ISS[1] + ack,
            flags: Flags::ACK,
            window,
            ..Header::default()
        },
        ..Segment::default()
    };
    let mut cx = Context::unwatched(bench.now);
    bench.connection.snd.scale = 0;
    bench.connection.handle_segment(&mut cx, &segment).unwrap();
}

fn write(bench: &mut Bench, octets: &[u8]) -> Result<usize, WriteError> {
    let mut cx = Context::unwatched(bench.now);
    bench.connection.write(&mut cx, octets)
}

/// Number, octets and PSH of all text that leaves.
fn text(bench: &mut Bench) -> Vec<(u32, usize, bool)> {
    let out = bench.out().into_iter().filter(|o| o.3 > 0);
    out.map(|o| (o.1, o.3, o.0.contains(Flags::PSH))).collect()
}

fn fire(bench: &mut Bench) {
    bench.now = bench.connection.poll_timeout().unwrap();
    bench
        .connection
        .handle_timeout(&mut Context::unwatched(bench.now));
}

#[test]
//= rfc9293 MUST-60 test
//= rfc9293 MUST-61 test
//= rfc9293 MAY-16 test
fn text_without_a_push_is_gathered_but_not_without_end() {
    let mut bench = Bench::new();
    bench.connection.set_cork(bench.now, true);
    for _ in 0..3 {
        write(&mut bench, b"abc").unwrap();
        assert_eq!(text(&mut bench), []);
    }
    let before = bench.now;
    fire(&mut bench);
    assert_eq!(text(&mut bench), [(1, 9, true)]);
    assert!(bench.now.since(before) <= Duration::from_secs(1));
    let mut bench = Bench::new();
    write(&mut bench, &octets(3000)).unwrap();
    assert_eq!(
        text(&mut bench),
        [(1, 1460, false), (1461, 1460, false), (2921, 80, true)][..2]
    );
    offer(&mut bench, 2921, 9000);
    assert_eq!(text(&mut bench), [(2921, 80, true)]);
}

#[test]
//= rfc9293 MAY-15 test
//= rfc9293 SHLD-27 test
fn pushes_leave_at_once_and_become_one() {
    let mut bench = Bench::new();
    bench.connection.set_cork(bench.now, true);
    for _ in 0..3 {
        write(&mut bench, b"abc").unwrap();
        bench.connection.push(&mut Context::unwatched(bench.now));
    }
    write(&mut bench, &octets(2000)).unwrap();
    let all = text(&mut bench);
    assert_eq!(
        all,
        [(1, 1460, true)],
        "one full segment, one PSH, the rest is corked"
    );
    offer(&mut bench, 1461, 9000);
    assert!(
        bench
            .connection
            .user
            .choices
            .as_ref()
            .unwrap()
            .pushed
            .is_none()
    );
    assert_eq!(text(&mut bench), [], "what came after the push is corked");
    bench.connection.push(&mut Context::unwatched(bench.now));
    assert_eq!(text(&mut bench), [(1461, 549, true)]);
}

#[test]
//= rfc9293 MAY-17 test
fn what_the_peer_pushed_is_told_apart() {
    let mut bench = Bench::new();
    bench.segment(Flags::ACK, 1, 1, b"abc").unwrap();
    assert_eq!(bench.connection.pushed(), 0);
    bench.segment(Flags::ACK | Flags::PSH, 4, 1, b"de").unwrap();
    bench.segment(Flags::ACK, 6, 1, b"fg").unwrap();
    assert_eq!(bench.connection.pushed(), 5);
    let mut into = [0; 4];
    bench.connection.read(&mut into).unwrap();
    assert_eq!(bench.connection.pushed(), 1);
    bench.connection.read(&mut into).unwrap();
    assert_eq!(bench.connection.pushed(), 0);
    assert!(bench.connection.rcv.pushed.is_none());
}

#[test]
//= rfc9293 MAY-14 test
fn flush_takes_back_what_was_never_sent() {
    let mut bench = Bench::new();
    offer(&mut bench, 1, 500);
    bench.connection.set_nodelay(true);
    write(&mut bench, &octets(500)).unwrap();
    assert_eq!(text(&mut bench).len(), 1);
    write(&mut bench, &octets(5000)).unwrap();
    let mut cx = Context::unwatched(bench.now);
    bench.connection.write_urgent(&mut cx, b"!").unwrap();
    assert_eq!(bench.connection.flush(&mut cx), 5001);
    assert_eq!(bench.connection.flush(&mut cx), 0);
    assert_eq!(bench.connection.unacknowledged(), 500);
    assert!(!bench.connection.is_unsent_urgent());
    write(&mut bench, b"again").unwrap();
    offer(&mut bench, 501, 500);
    assert_eq!(text(&mut bench), [(501, 5, true)], "no number is left out");
}

#[test]
fn flush_makes_room_and_leaves_the_fin() {
    let mut bench = Bench::new();
    offer(&mut bench, 1, 0);
    write(&mut bench, &octets(128 << 10)).unwrap();
    assert_eq!(write(&mut bench, b"x"), Err(WriteError::Full));
    let mut cx = Context::unwatched(bench.now);
    bench.connection.shutdown(&mut cx);
    bench.connection.poll_event();
    assert_eq!(bench.connection.flush(&mut cx), 128 << 10);
    assert_eq!(bench.connection.memory(), 0);
    assert!(bench.connection.poll_event().intersects(Wake::WRITABLE));
    offer(&mut bench, 1, 500);
    let out = bench.out();
    assert!(out.len() == 1 && out[0].0.fin() && out[0].1 == 1, "{out:?}");
}

#[test]
fn nothing_is_left_to_flush_once_it_is_over() {
    let mut bench = Bench::new();
    offer(&mut bench, 1, 500);
    bench.connection.set_nodelay(true);
    write(&mut bench, &octets(500)).unwrap();
    assert_eq!(text(&mut bench).len(), 1);
    write(&mut bench, &octets(500)).unwrap();
    assert_eq!(bench.connection.unsent(), 500);
    let mut cx = Context::unwatched(bench.now);
    bench.connection.abort(&mut cx);
    assert_eq!(bench.connection.unsent(), 0);
    assert_eq!(bench.connection.flush(&mut cx), 0);
    assert_eq!(bench.connection.info(bench.now).unacked_octets, 0);
}

#[test]
//= rfc9293 MUST-21 test
//= rfc9293 SHLD-11 test
fn each_connection_has_its_own_patience() {
    let usual = Config::default().user_timeout;
    assert!(usual >= Duration::from_secs(100));
    let hour = Duration::from_secs(3600);
    for (chosen, expected) in [
        (None, Some(usual)),
        (Some(Duration::from_secs(7)), Some(Duration::from_secs(7))),
        (Some(10 * hour), Some(10 * hour)),
        (Some(Duration::MAX), None),
    ] {
        let mut bench = Bench::new();
        bench.connection.set_user_timeout(bench.now, chosen);
        assert_eq!(bench.connection.user_timeout(), chosen.unwrap_or(usual));
        write(&mut bench, b"x").unwrap();
        bench.out();
        let start = bench.now;
        while bench.connection.ended().is_none() && bench.now.since(start) < 100 * hour {
            fire(&mut bench);
            bench.out();
        }
        let lasted = bench.connection.ended().map(|_| bench.now.since(start));
        assert_eq!(lasted, expected, "{chosen:?}");
    }
    // Set while it runs, it counts from then.
    let mut bench = Bench::new();
    write(&mut bench, b"x").unwrap();
    bench.out();
    bench.now += Duration::from_secs(50);
    let second = Duration::from_secs(1);
    bench.connection.set_user_timeout(bench.now, Some(second));
    bench
        .connection
        .handle_timeout(&mut Context::unwatched(bench.now));
    assert_eq!(bench.connection.ended(), None);
    bench.now += second;
    bench
        .connection
        .handle_timeout(&mut Context::unwatched(bench.now));
    assert_eq!(bench.connection.ended(), Some(Ended::TimedOut(None)));
}

#[test]
//= rfc9293 MUST-24 test
//= rfc9293 MUST-28 test
//= rfc9293 MAY-5 test
fn keep_alive_is_off_until_it_is_switched_on_and_then_waits_two_hours() {
    let mut pair = Pair::open(Config::default());
    let day = Duration::from_secs(86_400);
    pair.run_for(day);
    assert_eq!((pair.log.len(), pair.end(0).keep_alive()), (0, None));
    let chosen = Some(KeepAlive::default());
    pair.call(0, |c, cx| c.set_keep_alive(cx.now, chosen));
    assert_eq!(pair.end(0).keep_alive(), chosen);
    pair.run_for(Duration::from_secs(7199));
    assert_eq!(pair.log.len(), 0);
    pair.run_for(Duration::from_secs(2));
    assert_eq!(pair.reasons(0), [Reason::KeepAlive]);
    pair.call(0, |c, cx| c.set_keep_alive(cx.now, None));
    pair.run_for(day);
    assert_eq!(pair.reasons(0), [Reason::KeepAlive]);
}

#[test]
//= rfc9293 MAY-6 test
fn a_keep_alive_may_carry_an_octet_of_garbage() {
    for garbage in [false, true] {
        let config = Config {
            keep_alive: Some(KeepAlive::default()),
            keep_alive_garbage: garbage,
            ..Config::default()
        };
        let mut pair = Pair::open(config);
        pair.write(0, b"abc");
        pair.run_for(LONG);
        assert_eq!(pair.read(1, 9), b"abc");
        pair.log.clear();
        let before = pair.end(0).info(Instant::ZERO).bytes_sent;
        pair.run_for(Duration::from_secs(7300));
        let probe = pair.log.iter().find(|l| l.1 == Reason::KeepAlive).unwrap();
        assert_eq!(probe.3, usize::from(garbage));
        assert_eq!(probe.2.flags, Flags::ACK);
        assert!(pair.log.len() >= 2, "answered");
        assert_eq!(pair.end(0).unanswered_keep_alives(), 0);
        assert_eq!(pair.end(0).info(Instant::ZERO).bytes_sent, before);
        assert_eq!(pair.end(1).readable(), 0);
        pair.write(0, b"def");
        pair.run_for(LONG);
        assert_eq!(pair.read(1, 9), b"def");
    }
}

#[test]
//= rfc9293 MUST-47 test
//= rfc9293 SHLD-20 test
fn soft_errors_are_told_unless_switched_off() {
    for reports in [true, false] {
        let mut bench = Bench::new();
        bench.connection.set_error_reports(reports);
        assert_eq!(bench.connection.error_reports(), reports);
        write(&mut bench, b"x").unwrap();
        bench.out();
        let una = bench.connection.snd.una;
        let mut cx = Context::unwatched(bench.now);
        let error = PathError::HostUnreachable;
        bench.connection.poll_event();
        bench.connection.handle_path_error(&mut cx, error, una - 1);
        assert!(bench.connection.poll_event().is_empty(), "not ours");
        bench.connection.handle_path_error(&mut cx, error, una);
        let wake = bench.connection.poll_event();
        assert_eq!(wake.intersects(Wake::SOFT_ERROR), reports);
        assert_eq!(bench.connection.path_error(), Some(error));
        assert_eq!(bench.connection.state(), State::Established);
        let mut heard = Wake::NONE;
        while bench.connection.ended().is_none() {
            fire(&mut bench);
            bench.out();
            heard |= bench.connection.poll_event();
        }
        assert_eq!(heard.intersects(Wake::DOUBTFUL), reports);
        assert!(heard.intersects(Wake::ENDED), "no soft error: always told");
        let ended = bench.connection.ended();
        assert_eq!(ended, Some(Ended::TimedOut(Some(error))));
    }
}

#[test]
fn what_waits_unsent_is_bounded_where_asked_for() {
    let mut bench = Bench::new();
    bench.connection.set_nodelay(true);
    offer(&mut bench, 1, 1460);
    bench.connection.set_not_sent_low(Some(4380));
    assert_eq!(bench.connection.writable(), 4380);
    assert_eq!(write(&mut bench, &octets(9000)), Ok(4380));
    assert_eq!(write(&mut bench, b"x"), Err(WriteError::Full));
    bench.connection.poll_event();
    bench.out();
    assert_eq!(bench.connection.unsent(), 2920);
    assert!(!bench.connection.poll_event().intersects(Wake::WRITABLE));
    offer(&mut bench, 1461, 1460);
    assert!(!bench.connection.poll_event().intersects(Wake::WRITABLE));
    bench.out();
    assert_eq!(bench.connection.unsent(), 1460);
    assert!(bench.connection.poll_event().intersects(Wake::WRITABLE));
    assert_eq!(bench.connection.writable(), 2920);
    bench.connection.set_not_sent_low(None);
    assert!(bench.connection.writable() > 100_000);
}

#[test]
//= rfc9293 SHLD-2 test
fn a_reset_may_carry_text_and_it_is_no_part_of_the_stream() {
    let mut bench = Bench::new();
    bench.segment(Flags::ACK, 1, 1, b"abc").unwrap();
    let reset = bench.segment(Flags::RST | Flags::ACK, 4, 1, b"because");
    assert_eq!(reset, Err(Refusal::ValidReset));
    assert_eq!(bench.connection.ended(), Some(Ended::Reset));
    let mut into = [0; 64];
    assert_eq!(bench.connection.read(&mut into), Ok(3));
    let over = Err(ReadError::Ended(Ended::Reset));
    assert_eq!(bench.connection.read(&mut into), over);
}

#[test]
//= rfc9293 SHLD-16 test
//= rfc9293 MAY-7 test
fn after_the_window_shrank_what_fits_is_sent_again_and_into_a_shut_one_the_head() {
    for (window, expected, reason) in [
        (2000, &[(1, 1460), (1461, 540)][..], Reason::Timeout),
        (0, &[(1, 1)], Reason::WindowProbe),
    ] {
        let mut bench = Bench::new();
        offer(&mut bench, 1, 60_000);
        write(&mut bench, &octets(5 * 1460)).unwrap();
        assert_eq!(text(&mut bench).len(), 5);
        offer(&mut bench, 1, window);
        let mut again = Vec::new();
        for _ in 0..2 {
            fire(&mut bench);
            let out = bench.out();
            assert!(
                out.iter()
                    .all(|o| o.1 + (o.3 as u32) <= u32::from(window.max(1)) + 1)
            );
            assert_eq!(out[0].4, reason);
            again = out;
        }
        let again: Vec<_> = again.iter().map(|o| (o.1, o.3)).collect();
        assert_eq!(again, expected[..again.len()]);
    }
}

#[test]
//= rfc9293 MAY-8 test
fn the_window_stays_shut_as_long_as_nobody_reads() {
    let config = Config {
        receive_buffer: 4000,
        ..Config::default()
    };
    let mut pair = Pair::open(config);
    pair.write(0, &octets(20_000));
    pair.run_for(Duration::from_secs(7 * 86_400));
    assert_eq!(pair.states(), [State::Established; 2]);
    assert_eq!(pair.end(1).rcv.wnd(), 0);
    assert_eq!(pair.end(1).readable(), 4000);
    let answers = pair.log.iter().filter(|l| l.0 == 1).collect::<Vec<_>>();
    assert!(answers.len() > 1000 && answers.iter().rev().take(1000).all(|l| l.2.window == 0));
    let mut got = Vec::new();
    for _ in 0..200 {
        got.extend(pair.read(1, 4000));
        pair.run_for(Duration::from_secs(1));
    }
    assert_eq!(got, octets(20_000));
}

#[test]
//= rfc9293 MUST-59 test
//= rfc9293 MUST-58 test
fn one_acknowledgement_for_all_that_was_handed_in_at_once() {
    let mut bench = Bench::new();
    let text = octets(1460);
    for n in 0..10 {
        bench.segment(Flags::ACK, 1 + 1460 * n, 1, &text).unwrap();
    }
    let end = 1 + 10 * 1460;
    assert_eq!(
        bench.out(),
        [(Flags::ACK, 1, end, 0, Reason::SecondSegment)]
    );
}
