//! Losses, round trips, windows that shut: each story a defect that was, or nearly was.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::super::*;
use super::bench::Bench;
use super::pair::{ISS, LONG, Pair, octets};
use crate::segment::{Flags, Header, Text};

/// Neither SACK nor timestamps: the Internet of 1990.
fn bare() -> Config {
    Config {
        sack: false,
        timestamps: false,
        ..Config::default()
    }
}

fn retransmissions(pair: &Pair) -> usize {
    let reasons = pair.reasons(0);
    reasons
        .iter()
        .filter(|reason| reason.is_retransmission())
        .count()
}

#[test]
//= rfc9293 MUST-18 test
fn a_path_that_became_slow_is_learnt_without_timestamps() {
    let mut pair = Pair::open(bare());
    for _ in 0..3 {
        pair.write(0, b"fast");
        pair.run_for(LONG);
    }
    // 3 s a round trip from now on: fifteen timeouts.
    pair.delay = Duration::from_millis(1500);
    for round in 0..10 {
        let before = retransmissions(&pair);
        pair.write(0, b"slow");
        pair.run_for(LONG);
        let again = retransmissions(&pair) - before;
        assert!(
            round < 2 || again == 0,
            "round {round}: {again} sent again in vain"
        );
    }
}

#[test]
fn text_goes_on_when_the_numbers_come_round_to_iss() {
    let mut bench = Bench::new();
    let mut cx = Context::unwatched(bench.now);
    bench.connection.set_nodelay(true);
    // As if the first of what follows were number 2^32 - 499.
    bench.connection.snd.iss = bench.connection.snd.una + 500;
    bench.connection.write(&mut cx, &octets(900)).unwrap();
    assert_eq!(bench.out().len(), 1);
    bench.segment(Flags::ACK, 1, 501, b"").unwrap();
    assert_eq!(bench.connection.snd.una, bench.connection.snd.iss);
    bench
        .connection
        .recovery
        .resend_all(&mut bench.connection.snd);
    let plan = bench.connection.plan(bench.now, 1460).unwrap();
    assert_eq!((plan.seq, plan.len), (ISS[1] + 501, 400));
    assert_eq!(
        bench.connection.build(&mut cx, plan).text.concat(),
        octets(900)[500..]
    );
}

#[test]
fn rounding_does_not_stretch_the_window_for_ever() {
    let mut bench = Bench::new();
    let scale = bench.connection.rcv.scale;
    assert_eq!(scale, 10);
    bench.connection.rcv.capacity = 1000;
    bench.connection.rcv.adv = bench.connection.rcv.nxt + 1000;
    for _ in 0..3000 {
        let seq = i64::from(bench.connection.rcv.nxt.distance_from(ISS[0]));
        let _ = bench.segment(Flags::ACK, seq, 1, b"x");
        bench.now += Duration::from_millis(50);
        bench
            .connection
            .handle_timeout(&mut Context::unwatched(bench.now));
        bench.out();
    }
    let held = bench.connection.readable();
    assert!((1000..1000 + (1 << scale)).contains(&held), "{held} octets");
}

#[test]
fn an_old_segment_that_acknowledges_more_tells_the_window() {
    let mut bench = Bench::new();
    let mut cx = Context::unwatched(bench.now);
    bench.connection.write(&mut cx, &[7; 900]).unwrap();
    bench.out();
    // Text after a hole, then the hole's, sent again: its number is lower, what it acknowledges is not.
    bench.segment(Flags::ACK, 3, 1, b"c").unwrap();
    let segment = Segment {
        header: Header {
            seq: ISS[0] + 1,
            ack: ISS[1] + 901,
            flags: Flags::ACK,
            window: 100 >> bench.connection.snd.scale,
            ..Header::default()
        },
        text: Text {
            octets: b"ab",
            owner: None,
        },
        ..Segment::default()
    };
    bench.connection.handle_segment(&mut cx, &segment).unwrap();
    assert!(
        bench.connection.snd.wnd <= 100,
        "the edge must not move with SND.UNA"
    );
}

#[test]
fn a_lost_fin_is_sent_again() {
    for text in [0, 100, 5000] {
        for lost in 1..=4 {
            let mut pair = Pair::open(Config::default());
            let all = octets(text);
            pair.drop = Box::new(move |side, n, _| side == 0 && n >= lost && n < lost + 2);
            pair.write(0, &all);
            pair.call(0, Connection::shutdown);
            pair.run_for(LONG);
            assert_eq!(
                pair.states(),
                [State::FinWait2, State::CloseWait],
                "{text} {lost}"
            );
            assert_eq!(pair.read(1, 9999), all);
            assert!(pair.end(1).at_end());
        }
    }
}

#[test]
fn fin_goes_into_a_shut_window_as_the_probe() {
    let config = Config {
        receive_buffer: 1000,
        window_scaling: false,
        ..Config::default()
    };
    let mut pair = Pair::open(config);
    pair.write(0, &octets(1000));
    pair.run_for(Duration::from_secs(1));
    pair.call(0, Connection::shutdown);
    assert_eq!(pair.states()[0], State::FinWait1);
    pair.run_for(LONG);
    assert_eq!(pair.states(), [State::FinWait2, State::CloseWait]);
    let reasons = pair.reasons(0);
    assert_eq!(reasons.last(), Some(&Reason::WindowProbe), "{reasons:?}");
}

#[test]
//= rfc9293 MUST-37 test
fn a_user_timeout_shorter_than_the_probes_apart_spares_a_peer_that_answers() {
    let config = Config {
        receive_buffer: 3000,
        user_timeout: Duration::from_secs(10),
        ..Config::default()
    };
    let mut pair = Pair::open(config);
    pair.write(0, &octets(9000));
    pair.run_for(Duration::from_secs(1000));
    assert_eq!(pair.states(), [State::Established; 2]);
    pair.drop = Box::new(|_, _, _| true);
    pair.run_for(Duration::from_secs(80));
    assert_eq!(
        pair.end(0).ended(),
        Some(Ended::TimedOut(None)),
        "silent since the next probe"
    );
}

#[test]
fn a_peer_that_never_opens_its_window_does_not_hold_what_its_user_left() {
    let config = Config {
        receive_buffer: 3000,
        user_timeout: Duration::from_secs(100),
        ..Config::default()
    };
    let mut pair = Pair::open(config);
    pair.write(0, &octets(9000));
    pair.run_for(LONG);
    pair.call(0, Connection::close);
    pair.run_for(Duration::from_secs(60));
    assert_eq!(pair.states()[0], State::FinWait1);
    pair.run_for(Duration::from_secs(50));
    assert_eq!(pair.end(0).ended(), Some(Ended::TimedOut(None)));
    assert_eq!(pair.end(0).memory(), 0);
}

#[test]
fn the_last_hole_needs_no_timer() {
    let mut pair = Pair::open(Config::default());
    // Ten segments: the first and the ninth are lost; one only comes after the ninth.
    let all = octets(14_480);
    pair.drop = Box::new(|side, n, _| side == 0 && (n == 1 || n == 9));
    pair.write(0, &all);
    pair.run_for(Duration::from_millis(190));
    assert_eq!(pair.read(1, 99_999), all, "{:?}", pair.reasons(0));
}

#[test]
fn duplicates_of_a_finished_repair_start_no_other() {
    let mut pair = Pair::open(bare());
    let all = octets(14_600);
    // Everything arrives, no acknowledgement does: all is sent again in vain.
    pair.drop = Box::new(|side, n, _| side == 1 && n <= 5);
    pair.write(0, &all);
    pair.run_for(LONG);
    assert_eq!(pair.read(1, 99_999), all);
    let reasons = pair.reasons(0);
    assert!(reasons.contains(&Reason::Timeout));
    assert!(!reasons.contains(&Reason::FastRetransmit), "{reasons:?}");
}

#[test]
fn with_sack_a_repeated_acknowledgement_shows_no_loss() {
    let mut bench = Bench::new();
    assert!(bench.connection.agreed.sack);
    let mut cx = Context::unwatched(bench.now);
    bench.connection.snd.wnd = 1 << 20;
    bench.connection.write(&mut cx, &octets(14_600)).unwrap();
    bench.segment(Flags::ACK, 1, 1, b"").unwrap();
    bench.out();
    for _ in 0..9 {
        bench.segment(Flags::ACK, 1, 1, b"").unwrap();
    }
    assert_eq!(bench.connection.recovery.phase, Phase::Open);
    assert_eq!(bench.connection.recovery.duplicates, 0);
}

#[test]
//= rfc9293 SHLD-17 test
fn what_a_window_shut_on_goes_again_as_soon_as_it_opens() {
    let mut bench = Bench::new();
    bench.connection.snd.scale = 0;
    let window = |bench: &mut Bench, window| {
        let header = Header {
            seq: ISS[0] + 1,
            ack: ISS[1] + 1,
            flags: Flags::ACK,
            window,
            ..Header::default()
        };
        let segment = Segment {
            header,
            ..Segment::default()
        };
        let mut cx = Context::unwatched(bench.now);
        bench.connection.handle_segment(&mut cx, &segment).unwrap();
    };
    window(&mut bench, 5000);
    let mut cx = Context::unwatched(bench.now);
    bench.connection.write(&mut cx, &octets(4380)).unwrap();
    assert_eq!(bench.out().len(), 3);
    window(&mut bench, 0);
    assert_eq!(bench.out(), []);
    window(&mut bench, 5000);
    let again: Vec<_> = bench
        .out()
        .iter()
        .map(|out| (out.1, out.3, out.4))
        .collect();
    let lost = Reason::LossRecovery;
    assert_eq!(
        again,
        [(1, 1460, lost), (1461, 1460, lost), (2921, 1460, lost)]
    );
}

#[test]
fn a_probe_that_is_needed_no_more_is_not_sent() {
    let mut bench = Bench::new();
    bench.connection.snd.scale = 0;
    bench.connection.snd.max_wnd = 1000;
    bench.connection.snd.wnd = 100;
    let mut cx = Context::unwatched(bench.now);
    bench.connection.write(&mut cx, &octets(5000)).unwrap();
    assert_eq!(bench.out(), [], "100 octets are a silly window");
    let at = bench.connection.poll_timeout().unwrap();
    bench.connection.handle_timeout(&mut Context::unwatched(at));
    assert!(bench.connection.owed.probe);
    // The window opens (to 1000) before it leaves.
    bench.segment(Flags::ACK, 1, 1, b"").unwrap();
    assert!(!bench.connection.owed.probe);
    assert_eq!(
        bench.out().first().map(|out| (out.3, out.4)),
        Some((1000, Reason::Data))
    );
}

#[test]
fn what_is_lost_twice_is_sent_thrice() {
    for sack in [false, true] {
        let mut pair = Pair::open(Config {
            sack,
            ..Config::default()
        });
        let all = octets(14_480);
        let mut losses = 3;
        let first = ISS[0] + 1;
        pair.drop = Box::new(move |side, _, f| {
            let hit = side == 0 && f.header.seq == first && losses > 0;
            losses -= u32::from(hit);
            hit
        });
        pair.write(0, &all);
        pair.run_for(LONG);
        assert_eq!(pair.read(1, 99_999), all, "sack {sack}");
        assert_eq!(pair.end(0).recovery.phase, Phase::Open);
    }
}

#[test]
fn splitting_acknowledgements_opens_the_window_no_faster() {
    let window = |pieces: u32| {
        let mut bench = Bench::new();
        let mut cx = Context::unwatched(bench.now);
        bench.connection.snd.wnd = 1 << 20;
        bench.connection.write(&mut cx, &[7; 60_000]).unwrap();
        bench.out();
        let before = bench.connection.congestion.window();
        for piece in 1..=pieces {
            let ack = i64::from(1 + 1460 * piece / pieces);
            bench.segment(Flags::ACK, 1, ack, b"").unwrap();
        }
        bench.connection.congestion.window() - before
    };
    assert_eq!(window(1), 1460);
    assert_eq!(window(146), window(1));
}

#[test]
fn single_octets_share_records() {
    let mut bench = Bench::new();
    bench.connection.set_nodelay(true);
    bench.connection.snd.wnd = 1 << 20;
    bench.connection.congestion.set_mss(1 << 20);
    for _ in 0..20_000 {
        bench
            .connection
            .write(&mut Context::unwatched(bench.now), b"x")
            .unwrap();
        assert_eq!(bench.out().len(), 1);
    }
    let memory = bench.connection.snd.in_flight.memory();
    assert!(memory < 16 * 1024, "{memory} octets of records");
}

#[test]
fn an_abort_with_text_still_queued_tells_the_peer() {
    let config = Config {
        receive_buffer: 3000,
        ..Config::default()
    };
    let mut pair = Pair::open(config);
    pair.call(1, Connection::shutdown);
    pair.run_for(LONG);
    pair.write(0, &octets(9000));
    pair.call(0, Connection::shutdown);
    assert_eq!(pair.states()[0], State::LastAck, "and FIN is not sent yet");
    pair.run_for(LONG);
    pair.call(0, Connection::abort);
    pair.run_for(LONG);
    assert_eq!(pair.end(1).ended(), Some(Ended::Reset));
}

#[test]
//= rfc9293 MUST-66 test
fn two_that_probe_each_other_hear_each_other() {
    let config = Config {
        receive_buffer: 1000,
        window_scaling: false,
        ..Config::default()
    };
    let mut pair = Pair::open(config);
    let all = octets(3000);
    for side in 0..2 {
        pair.write(side, &all);
    }
    pair.run_for(Duration::from_secs(600));
    // Both probe once a minute by now; one reads, and tells at once.
    let mut got = pair.read(0, 1000);
    pair.run_for(Duration::from_millis(300));
    assert_eq!(pair.end(0).readable(), 1000, "the window update was heard");
    for _ in 0..4 {
        got.extend(pair.read(0, 1000));
        pair.run_for(Duration::from_millis(300));
    }
    assert_eq!(got, all);
    // A RST that counts the probe is challenged, and then exact.
    let connection = pair.end(1);
    assert_eq!(connection.rcv.wnd(), 0);
    let header = Header {
        seq: connection.rcv.nxt + 1,
        flags: Flags::RST,
        ..Header::default()
    };
    let segment = Segment {
        header,
        ..Segment::default()
    };
    let mut cx = Context::unwatched(pair.now);
    let refused = pair.end(1).handle_segment(&mut cx, &segment);
    assert_eq!(refused, Err(Refusal::BlindReset));
}

#[test]
fn nothing_follows_a_fin() {
    // FIN at 4; then text that claims to go on.
    let mut bench = Bench::new();
    bench.segment(Flags::ACK | Flags::FIN, 4, 1, b"").unwrap();
    bench.segment(Flags::ACK, 1, 1, b"abcdef").unwrap();
    assert_eq!(bench.connection.state(), State::CloseWait);
    let mut into = [0; 9];
    assert_eq!(bench.connection.read(&mut into), Ok(3));
    assert_eq!(bench.connection.read(&mut into), Ok(0));
    // Text after it first: then it is no FIN.
    let mut bench = Bench::new();
    bench.segment(Flags::ACK, 5, 1, b"ef").unwrap();
    bench.segment(Flags::ACK | Flags::FIN, 4, 1, b"").unwrap();
    bench.segment(Flags::ACK, 1, 1, b"abcd").unwrap();
    assert_eq!(bench.connection.state(), State::Established);
    assert_eq!(bench.connection.read(&mut into), Ok(6));
}

#[test]
//= rfc9293 SHLD-19 test
fn coalesced_segments_are_acknowledged_like_those_they_stand_for() {
    let mut bench = Bench::new();
    for (segments, expected) in [(3u16, true), (1, false), (1, true)] {
        let text = vec![7; 500 * usize::from(segments)];
        let header = Header {
            seq: bench.connection.rcv.nxt,
            ack: ISS[1] + 1,
            flags: Flags::ACK,
            window: 1000,
            ..Header::default()
        };
        let segment = Segment {
            header,
            text: Text {
                octets: &text,
                owner: None,
            },
            coalesced: segments,
            ..Segment::default()
        };
        let mut cx = Context::unwatched(bench.now);
        bench.connection.rcv.mss = 500;
        bench.connection.handle_segment(&mut cx, &segment).unwrap();
        assert_eq!(!bench.out().is_empty(), expected, "{segments}");
        assert_eq!(bench.connection.rcv.mss, 500);
    }
}

#[test]
fn a_super_segment_acknowledged_in_part_is_repaired_in_part() {
    let mut bench = Bench::new();
    let mut cx = Context::unwatched(bench.now);
    bench.connection.snd.wnd = 1 << 20;
    bench.connection.write(&mut cx, &octets(14_600)).unwrap();
    let plan = bench.connection.plan(bench.now, 65_535).unwrap();
    assert_eq!(plan.len, 14_600);
    assert_eq!(
        bench.connection.build(&mut cx, plan).segment_size,
        Some(1460)
    );
    // The first 700 octets, and then silence.
    bench.segment(Flags::ACK, 1, 701, b"").unwrap();
    let at = bench.connection.poll_timeout().unwrap();
    bench.connection.handle_timeout(&mut Context::unwatched(at));
    bench.connection.snd.wnd = 1 << 20;
    let sent = bench.connection.plan(at, 65_535).unwrap();
    assert_eq!(
        (sent.seq, sent.len),
        (ISS[1] + 701, 1460),
        "one segment after a timeout"
    );
    let mut cx = Context::unwatched(at);
    assert_eq!(
        bench.connection.build(&mut cx, sent).text.concat(),
        octets(14_600)[700..2160]
    );
}

#[test]
fn losses_of_every_single_segment_and_pair_are_repaired() {
    for config in [bare(), Config::default()] {
        for (a, b) in (1..12).flat_map(|a| (a..14).map(move |b| (a, b))) {
            let mut pair = Pair::open(config.clone());
            let all = octets(16_000);
            pair.drop = Box::new(move |side, n, _| side == 0 && (n == a || n == b));
            pair.write(0, &all);
            pair.call(0, Connection::shutdown);
            pair.run_for(LONG);
            assert_eq!(pair.read(1, 99_999), all, "{a} {b}");
            let again: Vec<_> = pair.reasons(0);
            let again = again.iter().filter(|r| r.is_retransmission()).count();
            assert!(again <= 14, "{a} {b}: {again} sent again");
            assert_eq!(pair.states(), [State::FinWait2, State::CloseWait]);
        }
    }
}

#[test]
fn beside_a_probe_both_numbers_are_right() {
    let mut bench = Bench::new();
    let mut cx = Context::unwatched(bench.now);
    let connection = &mut bench.connection;
    connection.snd.scale = 0;
    connection.snd.wnd = 0;
    connection.rcv.adv = connection.rcv.nxt;
    connection.rcv.capacity = 0;
    connection.write(&mut cx, b"shut").unwrap();
    cx.now = connection.poll_timeout().unwrap();
    connection.handle_timeout(&mut cx);
    let probe = connection.plan(cx.now, 1460).unwrap();
    assert_eq!((probe.reason, probe.len), (Reason::WindowProbe, 1));
    let _ = connection.build(&mut cx, probe);
    // Ours counts the probe: had the peer taken it, it would refuse anything less.
    connection.rcv.ack.owe(Reason::Challenge);
    assert_eq!(connection.plan(cx.now, 1460).unwrap().seq, ISS[1] + 2);
    // The peer's counts its own, which our window cut off; what it says next does not.
    for (seq, window) in [(2, 0), (1, 700), (2, 0), (1, 900)] {
        let header = Header {
            seq: ISS[0] + seq,
            ack: ISS[1] + 1,
            flags: Flags::ACK,
            window,
            ..Header::default()
        };
        let segment = Segment {
            header,
            ..Segment::default()
        };
        connection.handle_segment(&mut cx, &segment).unwrap();
        assert_eq!(connection.snd.wnd, u32::from(window));
    }
}
