//! Stories of two connections in virtual time, and one connection against segments made by hand.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use super::*;
use crate::options::Offer;
use crate::segment::{Flags, Header, Text};

/// A segment on its way.
#[derive(Clone, Debug)]
struct Flying {
    arrives: Instant,
    header: Header,
    text: Vec<u8>,
    reason: Reason,
}

/// One end: SYN-SENT or later.
#[derive(Debug)]
enum End {
    Opening(Box<Opening>),
    Connection(Box<Connection>),
}

/// Two ends and the network between them: everything arrives after `delay`, unless `drop` says otherwise.
struct Pair {
    now: Instant,
    ends: [End; 2],
    wire: [VecDeque<Flying>; 2],
    delay: Duration,
    /// Decides by direction and count of segments so far.
    drop: Box<dyn FnMut(usize, u64, &Flying) -> bool>,
    sent: [u64; 2],
    log: Vec<(usize, Reason, Header, usize)>,
}

const A: &str = "192.0.2.1:40000";
const B: &str = "192.0.2.2:80";
/// Both sequence spaces wrap within the first octets.
const ISS: [SeqNum; 2] = [SeqNum(0xffff_ffff), SeqNum(0xffff_fff0)];

fn setup(side: usize) -> Setup {
    let addresses: [SocketAddr; 2] = [A.parse().unwrap(), B.parse().unwrap()];
    Setup {
        endpoints: Endpoints { local: addresses[side], remote: addresses[1 - side] },
        iss: ISS[side],
        timestamp_offset: 0xffff_fff0,
        send_mss: 1460,
        receive_mss: 1460,
    }
}

impl Pair {
    /// Both open at once towards each other.
    fn simultaneous(config: Config) -> Self {
        let config = Arc::new(config);
        let mut cx = Context::unwatched(Instant::ZERO);
        let end = |side| Opening::new(&mut cx, setup(side), Arc::clone(&config));
        let ends = [0, 1].map(end).map(|o| End::Opening(Box::new(o)));
        Self {
            now: Instant::ZERO,
            ends,
            wire: [VecDeque::new(), VecDeque::new()],
            delay: Duration::from_millis(10),
            drop: Box::new(|_, _, _| false),
            sent: [0, 0],
            log: Vec::new(),
        }
    }

    /// Open, with nothing owed: the passive side made as a listener makes it.
    fn open(config: Config) -> Self {
        let mut pair = Self::simultaneous(config.clone());
        let mut cx = Context::unwatched(Instant::ZERO);
        let End::Opening(opening) = &mut pair.ends[0] else { panic!() };
        let plan = opening.plan(Instant::ZERO, 0).expect("SYN");
        let syn = opening.build(&mut cx, plan).header;
        let config = Arc::new(config);
        let offer = Offer::new(&config, 1460);
        let agreed = offer.agree(&setup(1).endpoints, &syn);
        let header = Header {
            seq: ISS[1],
            ack: syn.seq + 1,
            flags: Flags::SYN | Flags::ACK,
            window: u16::try_from(window_of_syn(&config)).unwrap(),
            urgent: 0,
            options: offer.syn_ack(&syn.options, 0xffff_fff0),
        };
        pair.ends[1] = End::Connection(Connection::passive(&mut cx, setup(1), agreed, config));
        pair.wire[1].push_back(Flying {
            arrives: Instant::ZERO,
            header,
            text: vec![],
            reason: Reason::Accept,
        });
        pair.run_for(Duration::from_millis(50));
        assert_eq!(pair.states(), [State::Established; 2]);
        pair.log.clear();
        pair.sent = [0, 0];
        pair
    }

    fn states(&self) -> [State; 2] {
        [0, 1].map(|side| match &self.ends[side] {
            End::Opening(o) => o.state(),
            End::Connection(c) => c.state(),
        })
    }

    fn end(&mut self, side: usize) -> &mut Connection {
        match &mut self.ends[side] {
            End::Connection(c) => c,
            End::Opening(_) => panic!("still opening"),
        }
    }

    fn call<R>(&mut self, side: usize, f: impl FnOnce(&mut Connection, &mut Context<'_>) -> R) -> R {
        let mut cx = Context::unwatched(self.now);
        let result = f(self.end(side), &mut cx);
        self.transmit();
        result
    }

    fn write(&mut self, side: usize, octets: &[u8]) -> usize {
        self.call(side, |c, cx| c.write(cx, octets)).unwrap_or(0)
    }

    fn read(&mut self, side: usize, most: usize) -> Vec<u8> {
        let mut buffer = vec![0; most];
        let n = self.call(side, |c, _| c.read(&mut buffer)).unwrap_or(0);
        buffer.truncate(n);
        buffer
    }

    fn transmit(&mut self) {
        for side in 0..2 {
            loop {
                let mut cx = Context::unwatched(self.now);
                let segment = match &mut self.ends[side] {
                    End::Opening(o) => {
                        let Some(plan) = o.plan(self.now, 1460) else { break };
                        o.build(&mut cx, plan)
                    }
                    End::Connection(c) => {
                        let Some(plan) = c.plan(self.now, 1460) else { break };
                        c.build(&mut cx, plan)
                    }
                };
                let flying = Flying {
                    arrives: self.now + self.delay,
                    header: segment.header,
                    text: segment.text.concat(),
                    reason: segment.reason,
                };
                assert!(segment.segment_size.is_none(), "one segment was allowed");
                self.sent[side] += 1;
                self.log.push((side, flying.reason, flying.header, flying.text.len()));
                if !(self.drop)(side, self.sent[side], &flying) {
                    self.wire[side].push_back(flying);
                }
            }
        }
    }

    /// The next moment at which anything happens.
    fn next(&self) -> Option<Instant> {
        let arrivals = self.wire.iter().filter_map(|w| w.front().map(|f| f.arrives));
        let timers = self.ends.iter().filter_map(|end| match end {
            End::Opening(o) => o.poll_timeout(),
            End::Connection(c) => c.poll_timeout(),
        });
        arrivals.chain(timers).min()
    }

    fn step(&mut self) -> bool {
        self.transmit();
        let Some(next) = self.next() else { return false };
        self.now = self.now.max(next);
        let mut cx = Context::unwatched(self.now);
        for side in 0..2 {
            while self.wire[1 - side].front().is_some_and(|f| f.arrives <= self.now) {
                let flying = self.wire[1 - side].pop_front().unwrap();
                let segment = Segment {
                    header: flying.header,
                    text: Text { octets: &flying.text, owner: None },
                    ..Segment::default()
                };
                let opened = match &mut self.ends[side] {
                    End::Opening(o) => o.handle_segment(&mut cx, &segment).ok(),
                    End::Connection(c) => {
                        let _ = c.handle_segment(&mut cx, &segment);
                        None
                    }
                };
                if let Some(Opened::Connection(c)) = opened {
                    self.ends[side] = End::Connection(c);
                }
            }
            match &mut self.ends[side] {
                End::Opening(o) => o.handle_timeout(&mut cx),
                End::Connection(c) => c.handle_timeout(&mut cx),
            }
        }
        self.transmit();
        true
    }

    fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        self.transmit();
        while self.next().is_some_and(|at| at <= until) && self.step() {}
        self.now = until;
    }

    fn reasons(&self, side: usize) -> Vec<Reason> {
        self.log.iter().filter(|l| l.0 == side).map(|l| l.1).collect()
    }
}

fn octets(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 7 + i / 251) as u8).collect()
}

const LONG: Duration = Duration::from_secs(30);

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
    assert_eq!(pair.call(0, |c, _| c.read(&mut [0; 9])), Ok(0), "the end of the text");
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
    assert_eq!(kinds, [Flags::SYN, Flags::SYN, Flags::SYN | Flags::ACK, Flags::SYN | Flags::ACK]);
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
        let mut pair = Pair::open(Config { sack, ..Config::default() });
        let all = octets(40_000);
        pair.drop = Box::new(|side, n, f| side == 0 && n == 3 && f.text.len() > 1000);
        assert_eq!(pair.write(0, &all), all.len());
        pair.run_for(Duration::from_millis(190));
        assert_eq!(pair.read(1, 99_999), all, "sack {sack}: before the timer");
        let reasons = pair.reasons(0);
        assert_eq!(reasons.iter().filter(|r| r.is_retransmission()).count(), 1, "{reasons:?}");
        assert!(reasons.contains(&Reason::FastRetransmit), "sack {sack} {reasons:?}");
        assert_eq!(pair.end(0).info(Instant::ZERO).total_retrans, 1);
    }
}

#[test]
fn many_losses_in_a_window_are_repaired() {
    for sack in [false, true] {
        let mut pair = Pair::open(Config { sack, ..Config::default() });
        let all = octets(60_000);
        pair.drop = Box::new(|side, n, _| side == 0 && (n == 2 || n == 5 || n == 6));
        assert_eq!(pair.write(0, &all), all.len());
        pair.run_for(LONG);
        assert_eq!(pair.read(1, 99_999), all, "sack {sack}");
        let again = pair.reasons(0).iter().filter(|r| r.is_retransmission()).count();
        assert_eq!(again, 3, "sack {sack}: only what was lost is sent again");
        assert!(!pair.reasons(0).contains(&Reason::Timeout), "sack {sack}: no timer needed");
    }
}

#[test]
//= rfc9293 MUST-18 test
fn the_timer_repairs_and_backs_off() {
    let mut pair = Pair::open(Config::default());
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
//= rfc9293 MUST-20 test
fn silence_ends_the_connection_and_tells_why() {
    let config = Config { user_timeout: Duration::from_secs(100), ..Config::default() };
    let mut pair = Pair::open(config);
    pair.drop = Box::new(|side, _, _| side == 1);
    pair.write(0, b"hello?");
    let una = pair.end(0).snd.una;
    pair.call(0, |c, cx| c.handle_path_error(cx, PathError::HostUnreachable, una));
    pair.run_for(Duration::from_secs(99));
    assert_eq!(pair.states()[0], State::Established, "an unreachable host does not end it");
    pair.run_for(Duration::from_secs(2));
    let why = Ended::TimedOut(Some(PathError::HostUnreachable));
    assert_eq!(pair.end(0).ended(), Some(why));
    assert_eq!(pair.call(0, |c, _| c.read(&mut [0])), Err(ReadError::Ended(why)));
    assert_eq!(pair.states(), [State::Closed; 2], "the RST reached the other side");
    assert_eq!(pair.end(1).ended(), Some(Ended::Reset));
}

#[test]
//= rfc9293 MUST-35 test
//= rfc9293 MUST-37 test
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
    assert_eq!(pair.states(), [State::Established; 2], "stays open while probes are answered");
    let probes = pair.reasons(0).iter().filter(|r| **r == Reason::WindowProbe).count();
    assert!((5..30).contains(&probes), "backed off: {probes} probes in 400 s");
    let mut got = Vec::new();
    for _ in 0..100 {
        got.extend(pair.read(1, 3000));
        pair.run_for(Duration::from_millis(500));
    }
    assert_eq!(got, all);
}

#[test]
fn a_lost_window_update_does_not_stall() {
    let mut pair =
        Pair::open(Config { receive_buffer: 4000, window_scaling: false, ..Config::default() });
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
    let mut pair = Pair::open(Config { receive_buffer: 8000, ..Config::default() });
    let all = octets(100_000);
    let (mut written, mut got) = (0, Vec::new());
    while got.len() < all.len() {
        written += pair.write(0, &all[written..]);
        got.extend(pair.read(1, 100));
        pair.run_for(Duration::from_millis(1));
    }
    assert_eq!(got, all);
    let small = pair.log.iter().filter(|l| l.0 == 0 && l.3 > 0 && l.3 < 1448).count();
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
fn one_segment_waits_for_its_acknowledgement_two_do_not() {
    let mut pair = Pair::open(Config { nagle: false, ..Config::default() });
    pair.write(0, &octets(1448));
    pair.run_for(LONG);
    assert_eq!(pair.reasons(1), [Reason::DelayedAck]);
    pair.write(0, &octets(2896));
    pair.run_for(LONG);
    assert_eq!(pair.reasons(1), [Reason::DelayedAck, Reason::SecondSegment]);
}

#[test]
fn reset_is_told_from_the_end() {
    let mut pair = Pair::open(Config::default());
    pair.write(1, b"last words");
    pair.run_for(Duration::from_millis(20));
    pair.call(1, Connection::abort);
    pair.run_for(LONG);
    assert_eq!(pair.states(), [State::Closed; 2]);
    assert_eq!(pair.read(0, 99), b"last words", "what came before can be read");
    assert_eq!(pair.call(0, |c, _| c.read(&mut [0])), Err(ReadError::Ended(Ended::Reset)));
    assert_eq!(pair.call(0, |c, cx| c.write(cx, b"x")), Err(WriteError::Ended(Ended::Reset)));
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
fn keep_alive_finds_the_dead_and_keeps_the_living() {
    let keep_alive = KeepAlive {
        idle_after: Duration::from_secs(60),
        interval: Duration::from_secs(10),
        probes: 3,
    };
    let mut pair = Pair::open(Config { keep_alive: Some(keep_alive), ..Config::default() });
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

/// A connection in ESTABLISHED whose peer is the test: numbers relative to both SYNs.
struct Bench {
    now: Instant,
    connection: Box<Connection>,
}

impl Bench {
    fn new() -> Self {
        let config = Config { timestamps: false, ..Config::default() };
        let mut pair = Pair::open(config);
        let End::Connection(connection) = core::mem::replace(
            &mut pair.ends[1],
            End::Opening(Box::new(Opening::new(
                &mut Context::unwatched(Instant::ZERO),
                setup(1),
                Arc::new(Config::default()),
            ))),
        ) else {
            panic!()
        };
        Self { now: pair.now, connection }
    }

    fn segment(&mut self, flags: Flags, seq: i64, ack: i64, text: &[u8]) -> Result<(), Refusal> {
        let at = |base: SeqNum, n: i64| base + (n as u32);
        let segment = Segment {
            header: Header {
                seq: at(ISS[0], seq),
                ack: at(ISS[1], ack),
                flags,
                window: 1000,
                ..Header::default()
            },
            text: Text { octets: text, owner: None },
            ..Segment::default()
        };
        self.connection.handle_segment(&mut Context::unwatched(self.now), &segment)
    }

    /// What leaves: flags, seq and ack relative to both SYNs, text.
    fn out(&mut self) -> Vec<(Flags, u32, u32, usize, Reason)> {
        let mut out = Vec::new();
        while let Some(plan) = self.connection.plan(self.now, 1460) {
            let t = self.connection.build(&mut Context::unwatched(self.now), plan);
            let relative = |a: SeqNum, b| a.distance_from(b);
            out.push((
                t.header.flags,
                relative(t.header.seq, ISS[1]),
                relative(t.header.ack, ISS[0]),
                t.text_len(),
                t.reason,
            ));
        }
        out
    }
}

#[test]
fn acceptability_and_its_answers() {
    let ack = Flags::ACK;
    let challenge = |reason| vec![(ack, 1, 1, 0, reason)];
    type Case = (&'static str, Flags, i64, i64, &'static [u8], Result<(), Refusal>);
    let cases: [(Case, Vec<(Flags, u32, u32, usize, Reason)>); 12] = [
        (("at RCV.NXT", ack, 1, 1, b"", Ok(())), vec![]),
        (("before the window", ack, 0, 1, b"", Err(Refusal::OutsideWindow)), challenge(Reason::OutsideWindow)),
        (("old text", ack, -3, 1, b"abc", Err(Refusal::OutsideWindow)), challenge(Reason::Duplicate)),
        (("beyond the window", ack, 1 << 21, 1, b"abc", Err(Refusal::OutsideWindow)), challenge(Reason::OutsideWindow)),
        (("RST beyond the window", Flags::RST, 1 << 21, 1, b"", Err(Refusal::OutsideWindow)), vec![]),
        (("RST in the window", Flags::RST, 2, 1, b"", Err(Refusal::BlindReset)), challenge(Reason::Challenge)),
        (("RST at RCV.NXT", Flags::RST, 1, 1, b"", Err(Refusal::ValidReset)), vec![]),
        (("SYN in the window", Flags::SYN, 9, 1, b"", Err(Refusal::BlindSyn)), challenge(Reason::Challenge)),
        (("no ACK", Flags::NONE, 1, 1, b"x", Err(Refusal::NoAck)), vec![]),
        (("ACK of unsent", ack, 1, 2, b"x", Err(Refusal::AckOfUnsent)), challenge(Reason::Challenge)),
        (("ACK too old", ack, 1, -(1 << 20), b"x", Err(Refusal::AckTooOld)), challenge(Reason::Challenge)),
        (("text after a gap", ack, 3, 1, b"x", Ok(())), challenge(Reason::Gap)),
    ];
    for ((name, flags, seq, ack, text, expected), answers) in cases {
        let mut bench = Bench::new();
        assert_eq!(bench.segment(flags, seq, ack, text), expected, "{name}");
        let mut out = bench.out();
        if name == "text after a gap" {
            assert_eq!(bench.connection.rcv.reassembly.octets(), 1);
            out.iter_mut().for_each(|o| o.0 = Flags::ACK);
        }
        assert_eq!(out, answers, "{name}");
        let open = expected != Err(Refusal::ValidReset);
        assert_eq!(bench.connection.state() == State::Established, open, "{name}");
    }
}

#[test]
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
    bench.segment(Flags::ACK | Flags::FIN, 4, 1, b"DEF").unwrap();
    assert_eq!(bench.connection.state(), State::Established);
    bench.segment(Flags::ACK, 1, 1, b"ABC").unwrap();
    assert_eq!(bench.connection.state(), State::CloseWait);
    let out = bench.out();
    assert_eq!(out.last().map(|o| o.2), Some(8), "text and FIN acknowledged");
    let mut got = [0; 16];
    assert_eq!(bench.connection.read(&mut got), Ok(6));
    assert_eq!(bench.connection.read(&mut got), Ok(0));
}

#[test]
fn challenges_are_limited() {
    let mut bench = Bench::new();
    let mut sent = 0;
    for _ in 0..1000 {
        let _ = bench.segment(Flags::SYN, 9, 1, b"");
        sent += bench.out().len();
    }
    assert_eq!(sent, 10);
    bench.now += Duration::from_secs(1);
    let _ = bench.segment(Flags::SYN, 9, 1, b"");
    assert_eq!(bench.out().len(), 1);
}

#[test]
//= rfc9293 MUST-34 test
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
    assert!(size <= 864, "{size} octets");
}
