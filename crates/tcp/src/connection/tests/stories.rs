//! Stories of two connections in virtual time.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use super::super::*;
use super::pair::{LONG, Pair, octets};
use crate::WriteError;
use crate::config::KeepAlive;
use crate::segment::Flags;

#[test]
fn text_goes_both_ways_and_both_close() {
    let mut pair = Pair::open(Config::default());
    let (request, response) = (octets(100), octets(5000));
    assert_eq!(pair.write(0, &request), 100);
    pair.run_for(Duration::from_millis(15));
    assert_eq!(pair.read(1, 200), request);
    assert_eq!(pair.write(1, &response), 5000);
    pair.call(1, Connection::shutdown);
    pair.run_for(LONG);
    assert_eq!(pair.states(), [State::CloseWait, State::FinWait2]);
    assert_eq!(pair.read(0, 9000), response);
    assert_eq!(
        pair.call(0, |c, _| c.read(&mut [0; 9])),
        Ok(0),
        "the end of the text"
    );
    assert_eq!(pair.write(0, b"half-close"), 10);
    pair.call(0, Connection::shutdown);
    pair.run_for(LONG);
    assert_eq!(pair.read(1, 99), b"half-close");
    assert_eq!(pair.states(), [State::Closed, State::TimeWait]);
    assert_eq!(pair.end(0).ended(), Some(Ended::Closed));
    assert!(pair.end(1).time_wait().is_some());
    assert!(pair.end(0).time_wait().is_none());
}

#[test]
//= rfc9293 MUST-10 test
fn both_open_at_once() {
    let mut pair = Pair::simultaneous(Config::default());
    pair.run_for(LONG);
    assert_eq!(pair.states(), [State::Established; 2]);
    assert_eq!(pair.write(0, b"hello"), 5);
    pair.run_for(LONG);
    assert_eq!(pair.read(1, 9), b"hello");
    let kinds: Vec<_> = pair.log.iter().take(4).map(|l| l.2.flags).collect();
    assert_eq!(
        kinds,
        [
            Flags::SYN,
            Flags::SYN,
            Flags::SYN | Flags::ACK,
            Flags::SYN | Flags::ACK
        ]
    );
}

#[test]
fn both_open_at_once_and_one_answer_is_lost() {
    let mut pair = Pair::simultaneous(Config::default());
    pair.drop = Box::new(|side, n, _| side == 0 && n == 2);
    pair.run_for(LONG);
    assert_eq!(pair.states(), [State::Established; 2]);
}

#[test]
fn both_close_at_once() {
    let mut pair = Pair::open(Config::default());
    pair.call(0, Connection::shutdown);
    pair.call(1, Connection::shutdown);
    pair.run_for(Duration::from_millis(11));
    assert_eq!(pair.states(), [State::Closing; 2]);
    pair.run_for(LONG);
    assert_eq!(pair.states(), [State::TimeWait; 2]);
}

#[test]
fn a_lost_segment_is_repaired_by_duplicates_or_sack() {
    for sack in [false, true] {
        let mut pair = Pair::open(Config {
            sack,
            ..Config::default()
        });
        let all = octets(40_000);
        pair.drop = Box::new(|side, n, f| side == 0 && n == 3 && f.text.len() > 1000);
        assert_eq!(pair.write(0, &all), all.len());
        pair.run_for(Duration::from_millis(190));
        assert_eq!(pair.read(1, 99_999), all, "sack {sack}: before the timer");
        let reasons = pair.reasons(0);
        assert_eq!(
            reasons.iter().filter(|r| r.is_retransmission()).count(),
            1,
            "{reasons:?}"
        );
        assert!(
            reasons.contains(&Reason::FastRetransmit),
            "sack {sack} {reasons:?}"
        );
        assert_eq!(pair.end(0).info(Instant::ZERO).total_retrans, 1);
    }
}

#[test]
fn many_losses_in_a_window_are_repaired() {
    for sack in [false, true] {
        let mut pair = Pair::open(Config {
            sack,
            ..Config::default()
        });
        let all = octets(60_000);
        pair.drop = Box::new(|side, n, _| side == 0 && (n == 2 || n == 5 || n == 6));
        assert_eq!(pair.write(0, &all), all.len());
        pair.run_for(LONG);
        assert_eq!(pair.read(1, 99_999), all, "sack {sack}");
        let again = pair
            .reasons(0)
            .iter()
            .filter(|r| r.is_retransmission())
            .count();
        assert_eq!(again, 3, "sack {sack}: only what was lost is sent again");
        assert!(
            !pair.reasons(0).contains(&Reason::Timeout),
            "sack {sack}: no timer needed"
        );
    }
}

#[test]
//= rfc9293 MUST-18 test
fn the_timer_repairs_and_backs_off() {
    let mut pair = Pair::open(super::unprobed());
    pair.drop = Box::new(|side, n, _| side == 0 && n <= 4);
    let start = pair.now;
    pair.write(0, b"x");
    let mut at = Vec::new();
    while pair.sent[0] < 5 {
        let before = pair.sent[0];
        pair.step();
        if pair.sent[0] > before {
            at.push(pair.now.since(start).as_millis());
        }
    }
    assert_eq!(at, [200, 600, 1400, 3000], "200 ms, doubled each time");
    pair.run_for(LONG);
    assert_eq!(pair.read(1, 9), b"x");
    assert_eq!(pair.end(0).info(Instant::ZERO).backoff, 0);
}

#[test]
//= rfc9293 SHLD-9 test
//= rfc9293 SHLD-10 test
fn the_third_retransmission_makes_the_path_doubtful() {
    let mut pair = Pair::open(super::unprobed());
    pair.end(0).poll_event();
    pair.drop = Box::new(|side, _, _| side == 0);
    pair.write(0, b"x");
    let mut doubtful_after = Vec::new();
    while pair.sent[0] < 6 {
        pair.step();
        if pair.end(0).poll_event().intersects(Wake::DOUBTFUL) {
            doubtful_after.push(pair.sent[0] - 1);
        }
    }
    assert_eq!(doubtful_after, [3], "once, at the third");
}

#[test]
//= rfc9293 MUST-20 test
fn silence_ends_the_connection_and_tells_why() {
    let config = Config {
        user_timeout: Duration::from_secs(100),
        ..Config::default()
    };
    let mut pair = Pair::open(config);
    pair.drop = Box::new(|side, _, _| side == 1);
    pair.write(0, b"hello?");
    let una = pair.end(0).snd.una;
    pair.call(0, |c, cx| {
        c.handle_path_error(cx, PathError::HostUnreachable, una);
    });
    pair.run_for(Duration::from_secs(99));
    assert_eq!(
        pair.states()[0],
        State::Established,
        "an unreachable host does not end it"
    );
    pair.run_for(Duration::from_secs(2));
    let why = Ended::TimedOut(Some(PathError::HostUnreachable));
    assert_eq!(pair.end(0).ended(), Some(why));
    assert_eq!(
        pair.call(0, |c, _| c.read(&mut [0])),
        Err(ReadError::Ended(why))
    );
    assert_eq!(
        pair.states(),
        [State::Closed; 2],
        "the RST reached the other side"
    );
    assert_eq!(pair.end(1).ended(), Some(Ended::Reset));
}

#[test]
//= rfc9293 MUST-35 test
//= rfc9293 MUST-37 test
//= rfc9293 MUST-36 test
//= rfc9293 SHLD-29 test
//= rfc9293 SHLD-30 test
//= rfc9293 MAY-8 test
fn a_shut_window_is_probed_until_it_opens() {
    let config = Config {
        receive_buffer: 4000,
        window_scaling: false,
        user_timeout: Duration::from_secs(100),
        ..Config::default()
    };
    let mut pair = Pair::open(config);
    let all = octets(10_000);
    pair.write(0, &all);
    pair.run_for(Duration::from_secs(400));
    assert_eq!(
        pair.states(),
        [State::Established; 2],
        "stays open while probes are answered"
    );
    let probes = pair
        .reasons(0)
        .iter()
        .filter(|r| **r == Reason::WindowProbe)
        .count();
    assert!(
        (5..30).contains(&probes),
        "backed off: {probes} probes in 400 s"
    );
    let mut got = Vec::new();
    for _ in 0..100 {
        got.extend(pair.read(1, 3000));
        pair.run_for(Duration::from_millis(500));
    }
    assert_eq!(got, all);
}

#[test]
fn a_lost_window_update_does_not_stall() {
    let mut pair = Pair::open(Config {
        receive_buffer: 4000,
        window_scaling: false,
        ..Config::default()
    });
    let all = octets(6000);
    pair.write(0, &all);
    pair.run_for(Duration::from_secs(1));
    let sent = pair.sent[1];
    pair.drop = Box::new(move |side, n, _| side == 1 && n == sent + 1);
    let mut got = pair.read(1, 4000);
    pair.run_for(LONG);
    got.extend(pair.read(1, 4000));
    assert_eq!(got, all);
}

#[test]
//= rfc9293 MUST-38 test
fn no_silly_windows_between_a_fast_writer_and_a_slow_reader() {
    let mut pair = Pair::open(Config {
        receive_buffer: 8000,
        ..Config::default()
    });
    let all = octets(100_000);
    let (mut written, mut got) = (0, Vec::new());
    while got.len() < all.len() {
        written += pair.write(0, &all[written..]);
        got.extend(pair.read(1, 100));
        pair.run_for(Duration::from_millis(1));
    }
    assert_eq!(got, all);
    let small = pair
        .log
        .iter()
        .filter(|l| l.0 == 0 && l.3 > 0 && l.3 < 1448)
        .count();
    assert!(small <= 3, "{small} small segments");
}

#[test]
//= rfc9293 MUST-17 test
fn nagle_gathers_and_nodelay_does_not() {
    for (nodelay, expected) in [(false, 2), (true, 5)] {
        let mut pair = Pair::open(Config::default());
        pair.end(0).set_nodelay(nodelay);
        for _ in 0..5 {
            pair.write(0, b"tick");
        }
        pair.run_for(LONG);
        let segments = pair.log.iter().filter(|l| l.0 == 0 && l.3 > 0).count();
        assert_eq!(segments, expected, "nodelay {nodelay}");
        assert_eq!(pair.read(1, 99).len(), 20);
    }
}

#[test]
//= rfc9293 MUST-40 test
//= rfc9293 SHLD-18 test
//= rfc9293 MUST-58 test
fn one_segment_waits_for_its_acknowledgement_two_do_not() {
    let mut pair = Pair::open(Config {
        nagle: false,
        ..super::unprobed()
    });
    pair.write(0, &octets(1448));
    pair.run_for(LONG);
    assert_eq!(pair.reasons(1), [Reason::DelayedAck]);
    pair.write(0, &octets(2896));
    pair.run_for(LONG);
    assert_eq!(pair.reasons(1), [Reason::DelayedAck, Reason::SecondSegment]);
}

#[test]
//= rfc9293 MUST-12 test
fn reset_is_told_from_the_end() {
    let mut pair = Pair::open(Config::default());
    pair.write(1, b"last words");
    pair.run_for(Duration::from_millis(20));
    pair.call(1, Connection::abort);
    pair.run_for(LONG);
    assert_eq!(pair.states(), [State::Closed; 2]);
    assert_eq!(
        pair.read(0, 99),
        b"last words",
        "what came before can be read"
    );
    assert_eq!(
        pair.call(0, |c, _| c.read(&mut [0])),
        Err(ReadError::Ended(Ended::Reset))
    );
    assert_eq!(
        pair.call(0, |c, cx| c.write(cx, b"x")),
        Err(WriteError::Ended(Ended::Reset))
    );
    assert_eq!(pair.end(1).ended(), Some(Ended::Aborted));
}

#[test]
//= rfc9293 SHLD-3 test
fn closing_with_text_unread_resets() {
    let mut pair = Pair::open(Config::default());
    pair.write(0, b"unread");
    pair.run_for(LONG);
    pair.call(1, Connection::close);
    pair.run_for(LONG);
    assert_eq!(pair.end(0).ended(), Some(Ended::Reset));
}

#[test]
//= rfc9293 MAY-1 test
fn text_for_a_user_who_left_resets() {
    let mut pair = Pair::open(Config::default());
    pair.call(1, Connection::close);
    pair.run_for(Duration::from_millis(100));
    assert_eq!(pair.states(), [State::CloseWait, State::FinWait2]);
    pair.write(0, b"anyone?");
    pair.run_for(LONG);
    assert_eq!(pair.states(), [State::Closed; 2]);
    assert_eq!(pair.end(0).ended(), Some(Ended::Reset));
}

#[test]
fn fin_wait_2_ends_when_its_user_left() {
    let mut pair = Pair::open(Config::default());
    pair.call(1, Connection::close);
    pair.run_for(Duration::from_secs(59));
    assert_eq!(pair.states()[1], State::FinWait2);
    pair.run_for(Duration::from_secs(2));
    assert_eq!(pair.states()[1], State::Closed);
}

#[test]
//= rfc9293 MUST-25 test
//= rfc9293 MUST-29 test
//= rfc9293 MUST-26 test
//= rfc9293 MUST-27 test
//= rfc9293 SHLD-12 test
fn keep_alive_finds_the_dead_and_keeps_the_living() {
    let keep_alive = KeepAlive {
        idle_after: Duration::from_secs(60),
        interval: Duration::from_secs(10),
        probes: 3,
    };
    let mut pair = Pair::open(Config {
        keep_alive: Some(keep_alive),
        ..Config::default()
    });
    pair.run_for(Duration::from_secs(1000));
    assert_eq!(pair.states(), [State::Established; 2]);
    assert!(pair.reasons(0).contains(&Reason::KeepAlive));
    pair.drop = Box::new(|_, _, _| true);
    pair.run_for(Duration::from_secs(120));
    assert_eq!(pair.end(0).ended(), Some(Ended::TimedOut(None)));
    let mut quiet = Pair::open(Config::default());
    quiet.run_for(Duration::from_secs(100_000));
    assert_eq!(quiet.sent, [0, 0], "off unless asked for");
}

#[test]
fn an_idle_connection_has_no_timer() {
    let mut pair = Pair::open(Config::default());
    pair.write(0, &octets(9000));
    pair.run_for(LONG);
    assert_eq!(pair.read(1, 9999).len(), 9000);
    pair.run_for(LONG);
    assert_eq!(pair.end(0).poll_timeout(), None);
    assert_eq!(pair.end(1).poll_timeout(), None);
    assert_eq!(pair.end(0).memory(), 0, "no buffers either");
    assert_eq!(pair.end(1).memory(), 0);
}

/// Given up for lack of memory: text that was dropped is no end, but an end that was read stays one.
#[test]
fn memory_takes_text_but_no_end_that_was_read() {
    for all_read in [false, true] {
        let mut pair = Pair::open(Config::default());
        pair.write(0, b"hello");
        pair.call(0, Connection::shutdown);
        pair.run_for(LONG);
        if all_read {
            assert_eq!(pair.read(1, 9), b"hello");
            assert_eq!(pair.call(1, |c, _| c.read(&mut [0; 9])), Ok(0));
        }
        pair.call(1, Connection::give_up_memory);
        let expected = match all_read {
            true => Ok(0),
            false => Err(ReadError::Ended(Ended::NoMemory)),
        };
        assert_eq!(pair.call(1, |c, _| c.read(&mut [0; 9])), expected);
    }
}
