//! What the other stories pass by: each of these was found by breaking the code and seeing every test pass.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use super::super::*;
use super::bench::Bench;
use super::pair::{ISS, LONG, Pair, octets, setup};
use crate::config::KeepAlive;
use crate::congestion::{AckSample, CongestionControl, CongestionFactory, Trouble};
use crate::error::PathError;
use crate::options::Offer;
use crate::segment::{Flags, Header};

fn second() -> Duration {
    Duration::from_secs(1)
}

/// Both in SYN-RECEIVED.
fn crossed(config: Config) -> Pair {
    let mut pair = Pair::simultaneous(config);
    while pair.states() != [State::SynReceived; 2] {
        assert!(pair.step());
    }
    pair
}

#[test]
//= rfc9293 SHLD-26 test
fn a_hard_error_ends_a_handshake_where_it_is_heeded_and_nothing_later() {
    let why = PathError::PortUnreachable;
    for (heeded, error, ended) in [
        (true, why, Some(Ended::Unreachable(why))),
        (true, PathError::HostUnreachable, None),
        (false, why, None),
    ] {
        let mut pair = crossed(Config {
            open_fails_on_hard_error: heeded,
            ..Config::default()
        });
        pair.call(0, |c, cx| c.handle_path_error(cx, error, ISS[0]));
        assert_eq!(pair.end(0).ended(), ended, "{heeded} {error}");
    }
    let mut bench = Bench::new();
    let mut cx = Context::unwatched(bench.now);
    bench.connection.write(&mut cx, b"x").unwrap();
    bench.out();
    bench.connection.handle_path_error(&mut cx, why, ISS[1] + 1);
    assert_eq!(bench.connection.path_error(), Some(why));
    assert_eq!(bench.connection.ended(), None, "MUST-56");
}

#[test]
//= rfc9293 MUST-24 test
fn keep_alive_set_anew_begins_anew() {
    let keep_alive = KeepAlive {
        idle_after: 60 * second(),
        interval: 10 * second(),
        probes: 3,
    };
    let mut pair = Pair::open(Config::default());
    pair.call(0, |c, cx| c.set_keep_alive(cx.now, Some(keep_alive)));
    pair.drop = Box::new(|_, _, _| true);
    pair.run_for(75 * second());
    assert_eq!(pair.end(0).unanswered_keep_alives(), 2);
    pair.call(0, |c, cx| c.set_keep_alive(cx.now, Some(keep_alive)));
    assert_eq!(pair.end(0).unanswered_keep_alives(), 0);
    pair.run_for(85 * second());
    assert_eq!(pair.end(0).ended(), None, "all three, from now on");
    pair.run_for(10 * second());
    assert_eq!(pair.end(0).ended(), Some(Ended::TimedOut(None)));
}

#[test]
//= rfc9293 SHLD-20 test
fn reports_that_were_switched_off_come_back() {
    let mut bench = Bench::new();
    bench.connection.set_error_reports(false);
    bench.connection.set_error_reports(true);
    assert!(bench.connection.error_reports());
    let mut cx = Context::unwatched(bench.now);
    bench.connection.write(&mut cx, b"x").unwrap();
    bench.out();
    let una = bench.connection.snd.una;
    bench
        .connection
        .handle_path_error(&mut cx, PathError::HostUnreachable, una);
    assert!(bench.connection.poll_event().intersects(Wake::SOFT_ERROR));
}

#[test]
//= rfc9293 SHLD-3 test
fn text_behind_a_hole_is_unread_too() {
    let mut bench = Bench::new();
    bench.segment(Flags::ACK, 2, 1, b"bc").unwrap();
    assert_eq!(bench.connection.readable(), 0);
    bench.connection.close(&mut Context::unwatched(bench.now));
    assert_eq!(bench.connection.ended(), Some(Ended::Aborted));
    let out = bench.out();
    assert!(out.len() == 1 && out[0].0.rst(), "{out:?}");
}

#[test]
//= rfc9293 MAY-1 test
fn a_user_who_leaves_a_half_closed_connection_leaves_it_a_minute() {
    let mut pair = Pair::open(Config::default());
    pair.call(1, Connection::shutdown);
    pair.run_for(3600 * second());
    assert_eq!(pair.states(), [State::CloseWait, State::FinWait2]);
    pair.call(1, Connection::close);
    pair.run_for(59 * second());
    assert_eq!(pair.states()[1], State::FinWait2);
    pair.run_for(2 * second());
    assert_eq!(pair.states()[1], State::Closed);
}

/// The passive side in SYN-RECEIVED, its SYN,ACK sent by the listener.
fn passive() -> Box<Connection> {
    let config = Arc::new(Config {
        timestamps: false,
        ..Config::default()
    });
    let syn = Header {
        seq: ISS[0],
        ..Header::default()
    };
    let agreed = Offer::new(&config, 1460).agree(&setup(1).endpoints, &syn);
    let syn_ack = SynAck {
        sent_at: Some(Instant::ZERO),
        repeats: 0,
    };
    let mut cx = Context::unwatched(Instant::ZERO);
    Connection::passive(&mut cx, setup(1), agreed, config, syn_ack)
}

#[test]
//= rfc9293 X-4 test
//= rfc9293 MUST-11 test
fn a_syn_in_syn_received_sends_a_passive_open_back_to_listen_and_challenges_an_active_one() {
    let syn = |seq| Segment {
        header: Header {
            seq,
            flags: Flags::SYN,
            ..Header::default()
        },
        ..Segment::default()
    };
    let mut connection = passive();
    let mut cx = Context::unwatched(Instant::from_millis(20));
    let refused = connection.handle_segment(&mut cx, &syn(ISS[0] + 1));
    assert_eq!(refused, Err(Refusal::BlindSyn));
    assert_eq!(connection.ended(), Some(Ended::Reset));
    assert_eq!(connection.plan(cx.now, 0), None, "without a word");
    let mut pair = crossed(Config {
        timestamps: false,
        ..Config::default()
    });
    let in_window = pair.end(0).rcv.nxt + 5;
    let refused = pair.call(0, |c, cx| c.handle_segment(cx, &syn(in_window)));
    assert_eq!(refused, Err(Refusal::BlindSyn));
    assert_eq!(pair.end(0).ended(), None);
    pair.run_for(LONG);
    assert_eq!(pair.states(), [State::Established; 2]);
}

/// A SYN,ACK towards [`setup`]'s first side.
fn syn_ack() -> Segment<'static> {
    Segment {
        header: Header {
            seq: ISS[1],
            ack: ISS[0] + 1,
            flags: Flags::SYN | Flags::ACK,
            window: 1000,
            ..Header::default()
        },
        ..Segment::default()
    }
}

#[test]
//= rfc9293 X-8 test
fn a_syn_that_has_not_left_cannot_be_acknowledged() {
    let config = Arc::new(Config::default());
    let mut cx = Context::unwatched(Instant::ZERO);
    let mut opening = Opening::new(&mut cx, setup(0), config);
    let refused = opening.handle_segment(&mut cx, &syn_ack());
    assert_eq!(refused.err(), Some(Refusal::AckOfUnsent));
    assert_eq!(opening.state(), State::SynSent);
}

#[test]
//= rfc9293 SHLD-25 test
fn the_first_cause_of_an_opens_end_stays() {
    let config = Arc::new(Config::default());
    let mut cx = Context::unwatched(Instant::ZERO);
    let mut opening = Opening::new(&mut cx, setup(0), config);
    let plan = opening.plan(Instant::ZERO, 0).expect("SYN");
    opening.build(&mut cx, plan);
    let mut refusal = syn_ack();
    refusal.header.flags = Flags::RST | Flags::ACK;
    opening.handle_segment(&mut cx, &refusal).unwrap();
    opening.poll_event();
    opening.handle_path_error(&mut cx, PathError::PortUnreachable, ISS[0]);
    assert_eq!(opening.ended(), Some(Ended::Refused));
    assert!(opening.poll_event().is_empty());
}

/// Acknowledges `ack` and offers `window`; returns numbers and octets of what leaves then.
fn offer(bench: &mut Bench, ack: u32, window: u16) -> Vec<(u32, usize)> {
    bench.connection.snd.scale = 0;
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
    bench.connection.handle_segment(&mut cx, &segment).unwrap();
    text(bench)
}

fn text(bench: &mut Bench) -> Vec<(u32, usize)> {
    let out = bench.out().into_iter().filter(|o| o.3 > 0);
    out.map(|o| (o.1, o.3)).collect()
}

fn write(bench: &mut Bench, octets: &[u8]) {
    let mut cx = Context::unwatched(bench.now);
    let taken = bench.connection.write(&mut cx, octets);
    assert_eq!(taken, Ok(octets.len()));
}

fn push(bench: &mut Bench) {
    bench.connection.push(&mut Context::unwatched(bench.now));
}

fn flush(bench: &mut Bench) -> usize {
    bench.connection.flush(&mut Context::unwatched(bench.now))
}

fn fire(bench: &mut Bench) {
    bench.now = bench.connection.poll_timeout().unwrap();
    bench
        .connection
        .handle_timeout(&mut Context::unwatched(bench.now));
}

#[test]
//= rfc9293 SHLD-16 test
fn what_is_sent_again_stays_inside_a_window_that_shrank() {
    let mut bench = Bench::new();
    offer(&mut bench, 1, 60_000);
    write(&mut bench, &octets(5 * 1460));
    assert_eq!(text(&mut bench).len(), 5);
    fire(&mut bench);
    assert_eq!(text(&mut bench), [(1, 1460)]);
    assert_eq!(offer(&mut bench, 1461, 540), [(1461, 540)]);
    assert_eq!(offer(&mut bench, 2001, 1000), [(2001, 1000)]);
}

#[test]
//= rfc9293 SHLD-27 test
fn a_second_push_moves_the_first_on() {
    let mut bench = Bench::new();
    offer(&mut bench, 1, 9000);
    bench.connection.set_cork(bench.now, true);
    for _ in 0..2 {
        write(&mut bench, &octets(1000));
        push(&mut bench);
    }
    assert_eq!(text(&mut bench), [(1, 1460)]);
    assert_eq!(
        offer(&mut bench, 1461, 9000),
        [(1461, 540)],
        "all of it was pushed"
    );
}

#[test]
//= rfc9293 MAY-14 test
fn a_push_is_taken_back_with_its_text() {
    let mut bench = Bench::new();
    offer(&mut bench, 1, 9000);
    bench.connection.set_cork(bench.now, true);
    write(&mut bench, &octets(100));
    push(&mut bench);
    assert_eq!(flush(&mut bench), 100);
    write(&mut bench, &octets(50));
    assert_eq!(text(&mut bench), [], "this was not pushed");
}

#[test]
//= rfc9293 MAY-14 test
fn after_a_flush_with_nothing_in_flight_all_is_told_to_be_through() {
    let mut bench = Bench::new();
    offer(&mut bench, 1, 500);
    bench.connection.set_cork(bench.now, true);
    bench.connection.poll_event();
    write(&mut bench, &octets(100));
    assert_eq!(flush(&mut bench), 100);
    assert!(bench.connection.poll_event().intersects(Wake::FLUSHED));
    bench.connection.set_cork(bench.now, false);
    write(&mut bench, &octets(500));
    assert_eq!(text(&mut bench), [(1, 500)]);
    write(&mut bench, &octets(1000));
    assert_eq!(flush(&mut bench), 1000);
    assert!(
        !bench.connection.poll_event().intersects(Wake::FLUSHED),
        "500 octets are on their way"
    );
    offer(&mut bench, 501, 500);
    assert!(bench.connection.poll_event().intersects(Wake::FLUSHED));
}

#[test]
//= rfc9293 MUST-29 test
fn one_lost_keep_alive_is_never_death() {
    for probes in [0, 1] {
        let mut pair = Pair::open(Config::default());
        let keep_alive = KeepAlive {
            idle_after: 60 * second(),
            interval: 10 * second(),
            probes,
        };
        pair.call(0, |c, cx| c.set_keep_alive(cx.now, Some(keep_alive)));
        // The first is lost, the second comes through.
        pair.drop = Box::new(|side, n, _| side == 0 && n == 1);
        pair.run_for(600 * second());
        assert_eq!(pair.states(), [State::Established; 2], "{probes}");
        assert_eq!(pair.end(0).unanswered_keep_alives(), 0);
        pair.drop = Box::new(|_, _, _| true);
        pair.run_for(600 * second());
        assert_eq!(pair.end(0).ended(), Some(Ended::TimedOut(None)));
    }
}

#[test]
//= rfc9293 MUST-25 test
fn keep_alive_keeps_quiet_while_anything_is_unacknowledged() {
    let mut pair = Pair::open(Config {
        keep_alive: Some(KeepAlive {
            idle_after: second() / 10,
            interval: second() / 10,
            probes: 200,
        }),
        ..Config::default()
    });
    pair.run_for(second());
    assert!(pair.reasons(0).contains(&Reason::KeepAlive));
    pair.log.clear();
    pair.drop = Box::new(|_, _, _| true);
    pair.write(0, b"x");
    pair.run_for(10 * second());
    assert!(pair.reasons(0).contains(&Reason::Timeout));
    assert!(!pair.reasons(0).contains(&Reason::KeepAlive));
}

#[test]
fn the_figures_of_an_open_that_takes_time() {
    let config = Arc::new(Config::default());
    let mut cx = Context::unwatched(Instant::ZERO);
    let mut opening = Opening::new(&mut cx, setup(0), Arc::clone(&config));
    let send = |opening: &mut Opening, now| {
        let plan = opening.plan(now, 0).expect("SYN");
        opening.build(&mut Context::unwatched(now), plan);
    };
    let info = opening.info(cx.now);
    assert_eq!((info.unacked, info.segs_out, info.advmss), (0, 0, 1460));
    send(&mut opening, cx.now);
    let info = opening.info(cx.now);
    assert_eq!((info.unacked, info.segs_out, info.pmtu), (1, 1, 1500));
    assert_eq!((info.total_retrans, info.total_rto_recoveries), (0, 0));
    opening.set_send_mss(1240);
    for again in 1..=2 {
        cx.now = opening.poll_timeout().unwrap();
        opening.handle_timeout(&mut cx);
        send(&mut opening, cx.now);
        let info = opening.info(cx.now + second());
        assert_eq!(info.unacked, 1);
        assert_eq!((info.retransmits, info.backoff), (again, again));
        assert_eq!(info.total_rto, u32::from(again));
        assert_eq!(info.total_rto_recoveries, 1);
        assert_eq!(info.total_retrans, u64::from(again));
        assert_eq!(info.segs_out, 1 + u64::from(again));
        assert_eq!(info.last_data_sent, second());
        assert_eq!(
            (info.pmtu, info.rto),
            (1280, second() * 2u32.pow(u32::from(again)))
        );
    }
    // What was learnt while it opened is the connection's.
    let Ok(Opened::Connection(connection)) = opening.handle_segment(&mut cx, &syn_ack()) else {
        panic!()
    };
    let info = connection.info(cx.now);
    assert_eq!((info.total_retrans, info.segs_out), (2, 3));
    assert_eq!(connection.snd.mss, 536, "no MSS in the SYN,ACK: the peer's");
}

#[test]
fn a_path_that_narrows_while_opening_counts_from_the_first_segment() {
    let config = Arc::new(Config {
        timestamps: false,
        ..Config::default()
    });
    let mut cx = Context::unwatched(Instant::ZERO);
    let mut opening = Opening::new(&mut cx, setup(0), config);
    let plan = opening.plan(cx.now, 0).expect("SYN");
    opening.build(&mut cx, plan);
    opening.set_send_mss(1240);
    let mut answer = syn_ack();
    answer.header.options.mss = Some(1460);
    let Ok(Opened::Connection(connection)) = opening.handle_segment(&mut cx, &answer) else {
        panic!()
    };
    assert_eq!(connection.snd.mss, 1240);
    assert!(connection.trouble.is_none(), "nothing happened to it");
}

#[test]
fn what_has_ended_asks_for_no_more_time() {
    for end in [Connection::abort, Connection::close] {
        let mut bench = Bench::new();
        bench.segment(Flags::ACK, 1, 1, b"unread").unwrap();
        write(&mut bench, b"x");
        bench.out();
        assert!(bench.connection.poll_timeout().is_some());
        end(&mut bench.connection, &mut Context::unwatched(bench.now));
        assert_eq!(bench.connection.poll_timeout(), None);
    }
    let mut bench = Bench::new();
    write(&mut bench, b"x");
    bench.out();
    let reset = bench.segment(Flags::RST, 1, 1, b"");
    assert_eq!(reset, Err(Refusal::ValidReset));
    assert_eq!(bench.connection.poll_timeout(), None);
}

#[test]
//= rfc9293 MUST-26 test
fn to_ask_for_timeouts_too_often_does_not_put_keep_alive_off() {
    let mut bench = Bench::new();
    let keep_alive = Some(KeepAlive {
        idle_after: 60 * second(),
        ..KeepAlive::default()
    });
    bench.connection.set_keep_alive(bench.now, keep_alive);
    for n in 1..=60 {
        assert_eq!(bench.out(), [], "{n}");
        bench.now += second();
        let mut cx = Context::unwatched(bench.now);
        bench.connection.handle_timeout(&mut cx);
    }
    let out = bench.out();
    assert!(out.len() == 1 && out[0].4 == Reason::KeepAlive, "{out:?}");
}

#[test]
fn all_is_through_when_all_is_acknowledged_and_no_sooner() {
    let mut bench = Bench::new();
    offer(&mut bench, 1, 9000);
    bench.connection.set_nodelay(true);
    write(&mut bench, b"abc");
    text(&mut bench);
    write(&mut bench, b"def");
    text(&mut bench);
    bench.connection.poll_event();
    offer(&mut bench, 4, 9000);
    assert!(!bench.connection.poll_event().intersects(Wake::FLUSHED));
    offer(&mut bench, 7, 9000);
    assert!(bench.connection.poll_event().intersects(Wake::FLUSHED));
}

#[test]
//= rfc9293 MUST-19 test
fn a_sender_who_does_not_use_the_window_does_not_widen_it() {
    let mut pair = Pair::open(Config::default());
    // A loss ends slow start.
    pair.drop = Box::new(|side, n, _| side == 0 && n == 3);
    pair.write(0, &octets(20_000));
    pair.run_for(LONG);
    pair.drop = Box::new(|_, _, _| false);
    let before = pair.end(0).congestion.window();
    let figures = (before, pair.end(0).congestion.threshold());
    assert!(figures.0 >= figures.1, "congestion avoidance: {figures:?}");
    for _ in 0..200 {
        pair.read(1, 99_999);
        pair.write(0, &octets(1448));
        pair.run_for(second() / 5);
    }
    assert_eq!(pair.end(0).congestion.window(), before);
}

/// A crossed SYN,ACK without ECE takes back what the peer's SYN had offered (RFC 3168 section 6.1.1).
#[test]
fn ecn_needs_the_crossed_syn_ack_too() {
    for (ece, agreed) in [(true, true), (false, false)] {
        let mut pair = crossed(Config {
            ecn: crate::ecn::EcnPolicy::Request,
            ..Config::default()
        });
        assert!(pair.end(0).agreed.ecn);
        pair.transmit();
        for flying in pair.wire[1].iter_mut().filter(|_| !ece) {
            flying.header.flags = flying.header.flags.without(Flags::ECE);
        }
        while pair.states()[0] != State::Established {
            assert!(pair.step());
        }
        assert_eq!(pair.end(0).agreed.ecn, agreed);
    }
}

/// Three duplicates are enough, however short the segments behind the loss (RFC 6675 section 5).
#[test]
fn the_loss_of_a_short_segment_shows_after_three_more() {
    let mut pair = Pair::open(Config::default());
    pair.call(0, |c, _| c.set_nodelay(true));
    pair.drop = Box::new(|side, n, _| side == 0 && n == 1);
    for _ in 0..4 {
        pair.write(0, b"short");
        pair.run_for(second() / 1000);
    }
    pair.run_for(second() / 20);
    assert!(pair.reasons(0).contains(&Reason::FastRetransmit));
    assert_eq!(pair.read(1, 99).len(), 20);
}

#[test]
fn two_holes_are_no_duplicates() {
    let mut pair = Pair::open(super::unprobed());
    pair.drop = Box::new(|side, n, _| side == 0 && (n == 2 || n == 5));
    pair.write(0, &octets(8 * 1448));
    pair.run_for(LONG);
    let blocks = pair.log.iter().map(|l| l.2.options.sack.as_slice().len());
    assert_eq!(blocks.max(), Some(2));
    let now = pair.now;
    assert_eq!(pair.end(0).info(now).dsack_dups, 0);
}

/// Counts the octets that SACK told it of.
#[derive(Debug)]
struct Told(Arc<AtomicU64>);

impl CongestionControl for Told {
    fn on_ack(&mut self, sample: &AckSample) {
        self.0.fetch_add(sample.sacked, Ordering::Relaxed);
    }
    fn on_trouble(&mut self, _: Instant, _: Trouble, _: u64) {}
    fn on_recovered(&mut self, _: Instant) {}
    fn undo(&mut self, _now: Instant) {}
    fn set_mss(&mut self, _: u32) {}
    fn window(&self) -> u64 {
        1 << 20
    }
    fn threshold(&self) -> u64 {
        u64::MAX
    }
    fn name(&self) -> &'static str {
        "told"
    }
}

impl CongestionFactory for Told {
    fn make(&self, _: u32, _: u64) -> Box<dyn CongestionControl> {
        Box::new(Self(Arc::clone(&self.0)))
    }
    fn name(&self) -> &'static str {
        "told"
    }
}

#[test]
//= rfc9293 MAY-18 test
fn an_algorithm_of_the_users_hears_of_what_sack_reports() {
    let told = Arc::new(AtomicU64::new(0));
    let mut pair = Pair::open(Config {
        congestion: Arc::new(Told(Arc::clone(&told))),
        ..Config::default()
    });
    pair.drop = Box::new(|side, n, _| side == 0 && n == 1);
    pair.write(0, &octets(5 * 1448));
    pair.run_for(LONG);
    assert_eq!(told.load(Ordering::Relaxed), 4 * 1448);
}
