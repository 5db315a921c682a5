//! A sender with SACK against acknowledgements made by hand: false alarms, probes of the tail, marks, and what each leaves behind.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use woshou_wire::tcp_option::{SackBlock, TcpOptions};

use super::super::*;
use super::pair::{End, ISS, Pair, octets, setup};
use crate::EcnPolicy;
use crate::config::Pacing;
use crate::congestion::{CongestionFactory, Cubic, NewReno};
use crate::segment::{Flags, Header};

const MSS: u32 = 1460;

/// What left: where it begins and ends in segments of the text (FIN is a hundredth), and why.
type Out = (f64, f64, Reason);

/// A connection whose peer is the test. Numbers are of text, in segments.
struct Peer {
    now: Instant,
    connection: Box<Connection>,
    window: u32,
}

impl Peer {
    fn new(config: Config) -> Self {
        let config = Config {
            timestamps: false,
            window_scaling: false,
            mtu_probing: false,
            ..config
        };
        let mut pair = Pair::open(config);
        let opening = Opening::new(
            &mut Context::unwatched(Instant::ZERO),
            setup(1),
            Arc::new(Config::default()),
        );
        let End::Connection(connection) =
            core::mem::replace(&mut pair.ends[1], End::Opening(Box::new(opening)))
        else {
            panic!()
        };
        Self {
            now: pair.now,
            connection,
            window: 60_000,
        }
    }

    fn reno() -> Config {
        Config {
            congestion: Arc::new(NewReno::factory()),
            ..Config::default()
        }
    }

    /// The user writes so many octets; what leaves.
    fn write(&mut self, count: u32) -> Vec<Out> {
        let mut cx = Context::unwatched(self.now);
        let text = octets(count as usize);
        assert_eq!(self.connection.write(&mut cx, &text), Ok(text.len()));
        self.out()
    }

    /// An acknowledgement of `una` segments with the blocks, and with `flags` beside ACK.
    fn hear(&mut self, flags: Flags, una: f64, blocks: &[(f64, f64)]) -> Vec<Out> {
        let at = |segments: f64| ISS[1] + 1 + ((segments * f64::from(MSS)).round() as u32);
        let mut options = TcpOptions::default();
        for (left, right) in blocks {
            options.sack.push(SackBlock {
                left: at(*left).0,
                right: at(*right).0,
            });
        }
        let segment = Segment {
            header: Header {
                seq: ISS[0] + 1,
                ack: at(una),
                flags: Flags::ACK | flags,
                window: u16::try_from(self.window).unwrap(),
                options,
                ..Header::default()
            },
            ..Segment::default()
        };
        let mut cx = Context::unwatched(self.now);
        let _ = self.connection.handle_segment(&mut cx, &segment);
        self.out()
    }

    fn ack(&mut self, una: f64, blocks: &[(f64, f64)]) -> Vec<Out> {
        self.hear(Flags::NONE, una, blocks)
    }

    /// What leaves.
    fn out(&mut self) -> Vec<Out> {
        let mut out = Vec::new();
        while let Some(plan) = self.connection.plan(self.now, MSS) {
            let from = plan.seq.distance_from(ISS[1] + 1);
            let mut cx = Context::unwatched(self.now);
            let _ = self.connection.build(&mut cx, plan);
            let segments = |octets: u32| f64::from(octets) / f64::from(MSS);
            let fin = if plan.fin { 0.01 } else { 0.0 };
            out.push((segments(from), segments(from + plan.len) + fin, plan.reason));
            assert!(out.len() < 1000, "no end of it");
        }
        out
    }

    fn wait(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }

    /// The next timer fires; what leaves.
    fn fire(&mut self) -> Vec<Out> {
        let at = self.connection.poll_timeout().expect("a timer runs");
        assert!(at > self.now, "it would spin");
        self.now = at;
        self.connection.handle_timeout(&mut Context::unwatched(at));
        self.out()
    }

    fn cwnd(&self) -> u64 {
        self.connection.congestion.window() / u64::from(MSS)
    }
}

fn kinds(out: &[Out]) -> Vec<Reason> {
    out.iter().map(|out| out.2).collect()
}

/// RFC 3708 section 3: all that went again in the last window came twice. The D-SACK comes after the repair is over.
#[test]
fn a_repair_that_is_over_is_undone_by_the_dsack_that_follows_it() {
    for (congestion, fell) in [
        (
            Arc::new(NewReno::factory()) as Arc<dyn CongestionFactory>,
            5,
        ),
        (Arc::new(Cubic::factory()), 7),
    ] {
        for late in [false, true] {
            let mut peer = Peer::new(Config {
                congestion: Arc::clone(&congestion),
                ..Config::default()
            });
            assert_eq!(peer.write(10 * MSS).len(), 10);
            peer.wait(20);
            let again = peer.ack(0.0, &[(1.0, 4.0)]);
            assert_eq!(again, [(0.0, 1.0, Reason::FastRetransmit)]);
            assert_eq!(peer.cwnd(), fell);
            // The first was only late: all of the flight is acknowledged, and the repair is over.
            peer.ack(10.0, &[]);
            assert_eq!(peer.connection.recovery.phase, Phase::Open);
            assert_eq!(peer.cwnd(), fell);
            if late {
                // More than a round trip later it is about something else.
                peer.write(2 * MSS);
                peer.wait(20);
                peer.ack(12.0, &[]);
            }
            let now = peer.cwnd();
            peer.ack(if late { 12.0 } else { 10.0 }, &[(0.0, 1.0)]);
            assert_eq!(peer.cwnd(), if late { now } else { 10 }, "{late}");
        }
    }
}

/// RFC 4015 section 3.4: the window is as before, and what it lets go leaves by and by; a pacer spreads it anyway.
#[test]
fn what_an_undone_alarm_lets_go_is_no_burst() {
    for pacing in [Pacing::Algorithm, Pacing::Always] {
        let mut peer = Peer::new(Config {
            pacing,
            ..Peer::reno()
        });
        peer.window = 65_000;
        let grow = |peer: &mut Peer, from: u32, to: u32| {
            let text = octets(((to - from) * MSS) as usize);
            let mut cx = Context::unwatched(peer.now);
            assert_eq!(peer.connection.write(&mut cx, &text), Ok(text.len()));
            while peer.connection.snd.unsent() > 0 {
                peer.out();
                peer.wait(2);
                peer.connection
                    .handle_timeout(&mut Context::unwatched(peer.now));
            }
            peer.wait(20);
        };
        grow(&mut peer, 0, 10);
        for una in 1..=10 {
            peer.ack(f64::from(una), &[]);
        }
        grow(&mut peer, 10, 30);
        for una in 11..=30 {
            peer.ack(f64::from(una), &[]);
        }
        assert_eq!(peer.cwnd(), 40);
        grow(&mut peer, 30, 70);
        peer.ack(30.0, &[(31.0, 34.0)]);
        peer.ack(70.0, &[]);
        assert_eq!(peer.cwnd(), 20);
        peer.ack(70.0, &[(30.0, 31.0)]);
        assert_eq!(peer.cwnd(), 40, "undone");
        if pacing == Pacing::Always {
            assert_eq!(peer.connection.cwnd(), 40 * u64::from(MSS));
            continue;
        }
        assert_eq!(peer.write(40 * MSS).len(), 20, "no more than before");
        peer.wait(20);
        peer.write(20 * MSS);
        for una in 71..=90 {
            let out = peer.ack(f64::from(una), &[]);
            assert_eq!(out.len(), 2, "{una}: as in slow start");
        }
        assert_eq!(peer.cwnd(), 40);
        assert_eq!(peer.connection.cwnd(), 40 * u64::from(MSS));
    }
}

/// What was before the first repair is not what a D-SACK of the second brings back.
#[test]
fn a_second_repair_is_undone_to_what_the_first_left() {
    let mut peer = Peer::new(Peer::reno());
    peer.write(10 * MSS);
    peer.wait(20);
    peer.ack(0.0, &[(1.0, 4.0)]);
    peer.ack(10.0, &[]);
    assert_eq!(peer.cwnd(), 5);
    peer.write(5 * MSS);
    peer.wait(20);
    peer.ack(10.0, &[(11.0, 14.0)]);
    peer.ack(15.0, &[]);
    assert_eq!(peer.cwnd(), 2);
    peer.ack(15.0, &[(10.0, 11.0)]);
    assert_eq!(peer.cwnd(), 5);
}

/// RFC 5682 section 3.1, 2 b: where no new text can go, the losses go again at once. Nagle's algorithm holds what is less than a
/// segment, and so does a window that has not room for one.
#[test]
fn frto_does_not_wait_for_text_that_cannot_go() {
    for (unsent, window) in [(100, 60_000), (2 * MSS, 9 * MSS + 100)] {
        let mut peer = Peer::new(Config {
            congestion: Arc::new(NewReno::factory()),
            ..super::unprobed()
        });
        peer.write(10 * MSS);
        peer.wait(20);
        peer.window = window;
        // A window update, lest it come with the acknowledgement.
        peer.ack(0.0, &[]);
        peer.write(unsent);
        assert_eq!(peer.fire(), [(0.0, 1.0, Reason::Timeout)]);
        let again = peer.ack(1.0, &[]);
        assert!(kinds(&again).contains(&Reason::LossRecovery), "{again:?}");
        assert_eq!(again[0].0, 1.0, "{again:?}");
    }
}

/// The window of the very acknowledgement that would let new text go does not: nothing is waited for.
#[test]
fn frto_does_not_wait_for_a_window_that_shrinks() {
    let mut peer = Peer::new(Config {
        congestion: Arc::new(NewReno::factory()),
        ..super::unprobed()
    });
    peer.write(12 * MSS);
    peer.wait(20);
    assert_eq!(peer.fire(), [(0.0, 1.0, Reason::Timeout)]);
    peer.window = 9 * MSS;
    let again = peer.ack(1.0, &[]);
    assert_eq!(again[0], (1.0, 2.0, Reason::LossRecovery));
    // And what this repeats is no sign of a false alarm.
    peer.ack(2.0, &[]);
    assert!(peer.cwnd() < 6);
}

/// RFC 5682 section 3.1: a timer that fires again begins it anew.
#[test]
fn frto_begins_anew_when_the_timer_fires_again() {
    let mut peer = Peer::new(Config {
        congestion: Arc::new(NewReno::factory()),
        ..super::unprobed()
    });
    peer.write(12 * MSS);
    peer.wait(20);
    for _ in 0..2 {
        assert_eq!(peer.fire(), [(0.0, 1.0, Reason::Timeout)]);
    }
    // The path had stopped for a while, and goes on: all that flew arrives.
    let probes = peer.ack(1.0, &[]);
    assert_eq!(kinds(&probes), [Reason::FrtoProbe; 2]);
    peer.ack(2.0, &[]);
    assert!(peer.cwnd() >= 10, "undone");
}

/// RFC 3168 section 6.1.2: whatever reduced the window is told, and a mark of the same window is the same congestion.
#[test]
fn a_loss_that_a_probe_repaired_is_told_by_cwr_and_pays_for_marks() {
    let mut peer = Peer::new(Config {
        ecn: EcnPolicy::Request,
        ..Peer::reno()
    });
    assert!(peer.connection.agreed.ecn);
    peer.write(4 * MSS);
    assert_eq!(peer.fire(), [(3.0, 4.0, Reason::TailLossProbe)]);
    peer.wait(20);
    peer.ack(4.0, &[]);
    peer.write(2 * MSS);
    peer.wait(20);
    assert_eq!(peer.cwnd(), 10);
    peer.ack(5.0, &[]);
    let cwnd = peer.cwnd();
    assert!(cwnd < 10, "the probe repaired a loss");
    assert!(peer.connection.ecn.cwr);
    peer.hear(Flags::ECE, 6.0, &[]);
    assert_eq!(peer.cwnd(), cwnd, "the same congestion");
}

/// A false alarm pays for nothing: what is lost after it is congestion.
#[test]
fn a_loss_after_a_false_alarm_is_paid_for() {
    let mut peer = Peer::new(Config {
        ecn: EcnPolicy::Request,
        ..Peer::reno()
    });
    peer.write(10 * MSS);
    peer.wait(20);
    peer.ack(0.0, &[(1.0, 4.0)]);
    assert_eq!(peer.cwnd(), 5);
    peer.ack(4.0, &[]);
    peer.ack(4.0, &[(0.0, 1.0)]);
    assert_eq!(peer.cwnd(), 10, "undone");
    peer.wait(1);
    peer.ack(4.0, &[(5.0, 9.0)]);
    peer.wait(20);
    peer.connection
        .handle_timeout(&mut Context::unwatched(peer.now));
    assert!(peer.connection.recovery.in_recovery());
    assert!(peer.cwnd() < 10, "a loss indeed");
}

/// RFC 8985 section 7.3: a probe that cannot go is not owed later.
#[test]
fn a_probe_that_cannot_go_is_not_owed() {
    let mut peer = Peer::new(Peer::reno());
    peer.write(4 * MSS);
    peer.window = 2 * MSS;
    peer.ack(0.0, &[]);
    assert_eq!(peer.fire(), []);
    peer.window = 60_000;
    assert_eq!(peer.ack(0.0, &[]), []);
    assert_eq!(kinds(&peer.write(MSS)), [Reason::Data]);
}

/// RFC 8985 section 7.4.2: only a D-SACK of the probe says that both came.
#[test]
fn a_dsack_of_something_else_says_nothing_of_the_probe() {
    for (dsack, excused) in [((3.0, 4.0), true), ((0.0, 1.0), false)] {
        let mut peer = Peer::new(Peer::reno());
        peer.write(4 * MSS);
        assert_eq!(peer.fire(), [(3.0, 4.0, Reason::TailLossProbe)]);
        peer.wait(20);
        peer.ack(4.0, &[]);
        peer.ack(4.0, &[dsack]);
        peer.write(2 * MSS);
        peer.wait(20);
        peer.ack(6.0, &[]);
        assert_eq!(peer.cwnd() >= 10, excused, "{dsack:?}");
    }
}

/// The last segment goes again as it went: with its FIN.
#[test]
fn a_probe_of_text_and_fin_has_both() {
    for text in [3 * MSS, 3 * MSS - 100] {
        let mut peer = Peer::new(Peer::reno());
        let mut cx = Context::unwatched(peer.now);
        let all = octets(text as usize);
        assert_eq!(peer.connection.write(&mut cx, &all), Ok(all.len()));
        peer.connection.shutdown(&mut cx);
        peer.out();
        let end = f64::from(text) / f64::from(MSS) + 0.01;
        assert_eq!(peer.fire(), [(2.0, end, Reason::TailLossProbe)]);
    }
}

/// FIN alone flies: it is probed, and repeated.
#[test]
fn a_lonely_fin_is_probed_and_repeated() {
    let mut peer = Peer::new(Peer::reno());
    let mut cx = Context::unwatched(peer.now);
    peer.connection.shutdown(&mut cx);
    assert_eq!(peer.out(), [(0.0, 0.01, Reason::Close)]);
    for reason in [Reason::TailLossProbe, Reason::Timeout, Reason::Timeout] {
        assert_eq!(peer.fire(), [(0.0, 0.01, reason)]);
    }
}

/// A window that stays shut is probed for ever, and each probe goes again: their memory does not grow.
#[test]
fn probes_of_a_shut_window_hold_no_more_room_with_each() {
    let mut peer = Peer::new(super::unprobed());
    peer.write(MSS);
    peer.window = 0;
    peer.ack(0.0, &[]);
    for _ in 0..200 {
        assert_eq!(kinds(&peer.fire()), [Reason::WindowProbe]);
        peer.ack(0.0, &[]);
    }
    let flight = &peer.connection.rates.as_deref().unwrap().flight;
    assert!(flight.memory() < 1000, "{}", flight.memory());
}

/// A route that became longer is the round trip after some minutes: late text is waited for as long as it takes there.
#[test]
fn racks_round_trip_is_of_the_last_minutes() {
    let mut peer = Peer::new(Peer::reno());
    for minute in 0..10 {
        peer.write(1000);
        peer.wait(if minute == 0 { 20 } else { 200 });
        let una = f64::from((minute + 1) * 1000) / f64::from(MSS);
        peer.ack(una, &[]);
        let rates = peer.connection.rates.as_deref().unwrap();
        let least = rates.flight.least.get().unwrap().as_millis();
        assert_eq!(least >= 200, minute >= 6, "{minute}: {least}");
        peer.wait(60_000);
    }
}
