use super::answers::SPARE;
use super::{Heard, Listener};
use crate::config::{AcceptOverflow, Config, SynCookies};
use crate::connection::Connection;
use crate::error::PathError;
use crate::error::Refusal::{self, *};
use crate::event::{Context, Observer, Reason, TraceEvent};
use crate::options::Setup;
use crate::segment::{Endpoints, Flags, Header, Segment, Text};
use crate::seq::SeqNum;
use crate::state::{Event, State};
use crate::time::Instant;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::time::Duration;
use proptest::prelude::*;
use std::vec::Vec;
use woshou_wire::tcp_option::{TcpOptions, Timestamps};

/// Our and the peer's first number: both wrap with the SYN.
const ISS: SeqNum = SeqNum(u32::MAX);
const IRS: SeqNum = SeqNum(u32::MAX);
/// RCV.NXT and SND.NXT once the SYNs are exchanged.
const NEXT: SeqNum = SeqNum(0);
const SYN_ACK: Flags = Flags::from_bits(Flags::SYN.bits() | Flags::ACK.bits());
const FIN_ACK: Flags = Flags::from_bits(Flags::FIN.bits() | Flags::ACK.bits());
const RECENT: u32 = 500;

fn setup(port: u16) -> Setup {
    Setup {
        endpoints: Endpoints {
            local: ([192, 0, 2, 1], 80).into(),
            remote: ([192, 0, 2, 2], port).into(),
        },
        iss: ISS,
        timestamp_offset: 77,
        send_mss: 1460,
        receive_mss: 1460,
    }
}

#[derive(Default)]
struct Watcher(Vec<(u16, TraceEvent)>);

impl Observer for Watcher {
    fn observe(&mut self, _: Instant, who: &Endpoints, event: &TraceEvent) {
        self.0.push((who.remote.port(), *event));
    }
}

/// A listener, its clock, and who watches.
struct Bench {
    listener: Listener,
    now: Instant,
    watcher: Watcher,
}

impl Bench {
    fn new(config: Config, backlog: usize) -> Self {
        let listener = Listener::new(Arc::new(config), backlog, [1; 16]);
        Self {
            listener,
            now: Instant::from_millis(1000),
            watcher: Watcher::default(),
        }
    }

    fn with<T>(&mut self, call: impl FnOnce(&mut Listener, &mut Context<'_>) -> T) -> T {
        let mut cx = Context {
            now: self.now,
            observer: Some(&mut self.watcher),
            challenges: None,
            chunks: None,
        };
        call(&mut self.listener, &mut cx)
    }

    fn syn(&mut self, port: u16, header: Header) -> Result<(), Refusal> {
        self.hears(port, header, b"").map(|_| ())
    }

    fn hears(&mut self, port: u16, header: Header, text: &[u8]) -> Result<Heard, Refusal> {
        let text = Text {
            octets: text,
            owner: None,
        };
        let segment = Segment {
            header,
            text,
            ..Segment::default()
        };
        self.with(|listener, cx| listener.handle_syn(cx, &setup(port), &segment))
    }

    fn arrives(
        &mut self,
        port: u16,
        header: Header,
        text: &[u8],
    ) -> Result<Option<Box<Connection>>, Refusal> {
        let text = Text {
            octets: text,
            owner: None,
        };
        let segment = Segment {
            header,
            text,
            ..Segment::default()
        };
        self.with(|listener, cx| listener.handle_segment(cx, &setup(port).endpoints, &segment))
    }

    fn sent(&mut self) -> Vec<(u16, Header, Reason)> {
        let mut all = Vec::new();
        while let Some((who, transmit)) = self.with(Listener::poll_transmit) {
            assert_eq!(transmit.text_len(), 0);
            all.push((who.remote.port(), transmit.header, transmit.reason));
        }
        all
    }

    fn reasons(&mut self) -> Vec<Reason> {
        self.sent().iter().map(|sent| sent.2).collect()
    }

    fn after(&mut self, pause: Duration) {
        self.now += pause;
        self.with(Listener::handle_timeout);
    }

    /// One half-open connection, its SYN,ACK sent.
    fn half_open(config: Config, syn: Header) -> Self {
        let mut bench = Self::new(config, 1);
        bench.syn(1, syn).unwrap();
        assert_eq!(bench.reasons(), [Reason::Accept]);
        bench
    }

    /// The state changes traced, oldest first.
    fn arrows(&self) -> Vec<(State, Event, State)> {
        let arrow = |event: &TraceEvent| match *event {
            TraceEvent::StateChanged { from, to, event } => Some((from, event, to)),
            _ => None,
        };
        self.watcher
            .0
            .iter()
            .filter_map(|(_, event)| arrow(event))
            .collect()
    }
}

fn header(seq: SeqNum, ack: SeqNum, flags: Flags) -> Header {
    Header {
        seq,
        ack,
        flags,
        window: 5000,
        ..Header::default()
    }
}

fn syn() -> Header {
    header(IRS, SeqNum(0), Flags::SYN)
}

fn stamped(header: Header, value: u32) -> Header {
    let timestamps = Some(Timestamps { value, echo: 0 });
    Header {
        options: TcpOptions {
            timestamps,
            ..header.options
        },
        ..header
    }
}

fn third() -> Header {
    header(NEXT, NEXT, Flags::ACK)
}

//= rfc9293 MUST-11 test
#[test]
fn the_handshake() {
    let mut bench = Bench::new(Config::default(), 1);
    let options = TcpOptions {
        mss: Some(1000),
        window_scale: Some(0),
        sack_permitted: true,
        timestamps: Some(Timestamps {
            value: RECENT,
            echo: 0,
        }),
        ..TcpOptions::default()
    };
    assert_eq!(bench.syn(1, Header { options, ..syn() }), Ok(()));
    assert!(bench.listener.is_half_open(&setup(1).endpoints));
    let [(1, answer, Reason::Accept)] = bench.sent()[..] else {
        panic!("one SYN,ACK")
    };
    assert_eq!((answer.seq, answer.ack, answer.flags), (ISS, NEXT, SYN_ACK));
    assert_eq!(answer.window, u16::MAX);
    let expected = TcpOptions {
        mss: Some(1460),
        window_scale: Some(10),
        timestamps: Some(Timestamps {
            value: 1077,
            echo: RECENT,
        }),
        ..options
    };
    assert_eq!(answer.options, expected);
    let connection = bench
        .arrives(1, stamped(third(), RECENT), b"hello")
        .unwrap()
        .unwrap();
    assert_eq!(
        (connection.state(), connection.readable()),
        (State::Established, 5)
    );
    assert!(!bench.listener.is_half_open(&setup(1).endpoints));
    assert_eq!(
        (bench.listener.half_open(), bench.listener.poll_timeout()),
        (0, None)
    );
    let arrows = [
        (State::Listen, Event::Syn, State::SynReceived),
        (State::SynReceived, Event::AckOfSyn, State::Established),
    ];
    assert_eq!(bench.arrows(), arrows);
    let received = |e: &&(u16, TraceEvent)| matches!(e.1, TraceEvent::Received { .. });
    assert_eq!(bench.watcher.0.iter().filter(received).count(), 2);
}

#[test]
fn a_fin_with_the_third() {
    let mut bench = Bench::half_open(Config::default(), syn());
    let last = Header {
        flags: FIN_ACK,
        ..third()
    };
    let connection = bench.arrives(1, last, b"bye").unwrap().unwrap();
    assert_eq!(
        (connection.state(), connection.readable()),
        (State::CloseWait, 3)
    );
}

#[test]
fn what_the_syn_lacks_the_answer_lacks() {
    let mut bench = Bench::new(Config::default(), 1);
    bench.syn(1, syn()).unwrap();
    let expected = TcpOptions {
        mss: Some(1460),
        ..TcpOptions::default()
    };
    assert_eq!(bench.sent()[0].1.options, expected);
    let mut bench = Bench::new(
        Config {
            receive_buffer: 100,
            ..Config::default()
        },
        1,
    );
    bench.syn(1, syn()).unwrap();
    assert_eq!(bench.sent()[0].1.window, 100);
}

#[test]
fn listen_state() {
    #[rustfmt::skip]
    let cases = [
        ("SYN", Flags::SYN, Ok(()), true),
        ("SYN with FIN", Flags::SYN | Flags::FIN, Ok(()), true),
        ("RST", Flags::RST, Ok(()), false),
        ("RST,ACK", Flags::RST | Flags::ACK, Ok(()), false),
        ("SYN,RST", Flags::RST | Flags::SYN, Ok(()), false),
        ("ACK", Flags::ACK, Err(AckToListener), false),
        ("SYN,ACK", SYN_ACK, Err(AckToListener), false),
        ("FIN", Flags::FIN, Err(NoSyn), false),
        ("nothing", Flags::NONE, Err(NoSyn), false),
    ];
    for (name, flags, result, half_open) in cases {
        let mut bench = Bench::new(Config::default(), 1);
        assert_eq!(bench.syn(1, Header { flags, ..syn() }), result, "{name}");
        assert_eq!(bench.listener.half_open(), usize::from(half_open), "{name}");
        let sent = bench.sent();
        assert_eq!(sent.len(), usize::from(half_open), "{name}");
        // Text and FIN of the SYN are not acknowledged.
        assert!(sent.iter().all(|sent| sent.1.ack == NEXT), "{name}");
        let refused = bench.watcher.0.iter().filter_map(|(_, event)| match event {
            TraceEvent::Refused { refusal } => Some(*refusal),
            _ => None,
        });
        assert_eq!(
            refused.collect::<Vec<_>>(),
            result.err().into_iter().collect::<Vec<_>>()
        );
    }
}

/// What, SEG.SEQ, SEG.ACK, flags, text, why refused, what is sent, whether it is half open still.
type Case = (
    &'static str,
    u32,
    u32,
    Flags,
    &'static [u8],
    Refusal,
    Option<Reason>,
    bool,
);

const LEFT: u32 = u32::MAX;
const OUTSIDE: Option<Reason> = Some(Reason::OutsideWindow);
const CHALLENGE: Option<Reason> = Some(Reason::Challenge);

#[rustfmt::skip]
const REFUSED: &[Case] = &[
    ("RST at RCV.NXT", 0, 0, Flags::RST, b"", ValidReset, None, false),
    ("RST in the window", 1, 0, Flags::RST, b"", BlindReset, CHALLENGE, true),
    ("RST at its end", 65534, 0, Flags::RST, b"", BlindReset, CHALLENGE, true),
    ("RST beyond", 65535, 0, Flags::RST, b"", OutsideWindow, None, true),
    ("RST on the SYN", LEFT, 0, Flags::RST, b"", OutsideWindow, None, true),
    ("old ACK", LEFT, 0, Flags::ACK, b"", OutsideWindow, OUTSIDE, true),
    ("old text", LEFT, 0, Flags::ACK, b"x", OutsideWindow, OUTSIDE, true),
    ("ACK beyond", 65535, 0, Flags::ACK, b"", OutsideWindow, OUTSIDE, true),
    ("SYN,ACK", LEFT, 0, SYN_ACK, b"", OutsideWindow, OUTSIDE, true),
    ("SYN before", LEFT - 9, 0, Flags::SYN, b"", OutsideWindow, OUTSIDE, true),
    ("SYN in the window", 7, 0, Flags::SYN, b"", BlindSyn, None, false),
    ("no ACK", 0, 0, Flags::FIN, b"", NoAck, None, true),
    ("ACK of nothing", 0, LEFT, Flags::ACK, b"", AckOfUnsent, Some(Reason::WrongAck), true),
    ("ACK of unsent", 0, 1, Flags::ACK, b"", AckOfUnsent, Some(Reason::WrongAck), true),
];

#[test]
fn syn_received_refuses() {
    for &(name, seq, ack, flags, text, refusal, answer, stays) in REFUSED {
        let mut bench = Bench::half_open(Config::default(), syn());
        let result = bench.arrives(1, header(SeqNum(seq), SeqNum(ack), flags), text);
        assert_eq!(result.err(), Some(refusal), "{name}");
        let sent = bench.sent();
        assert_eq!(sent.iter().map(|sent| sent.2).next(), answer, "{name}");
        for (port, header, reason) in sent {
            let expected = match reason {
                Reason::WrongAck => (SeqNum(ack), SeqNum(0), Flags::RST),
                _ => (NEXT, NEXT, Flags::ACK),
            };
            assert_eq!(
                (port, (header.seq, header.ack, header.flags)),
                (1, expected),
                "{name}"
            );
        }
        assert_eq!(
            bench.listener.is_half_open(&setup(1).endpoints),
            stays,
            "{name}"
        );
        let ended = (State::SynReceived, Event::Abort, State::Closed);
        assert_eq!(bench.arrows().contains(&ended), !stays, "{name}");
        // Whatever it was, the true third still completes what is left.
        let result = bench.arrives(1, third(), b"");
        assert_eq!(result.is_ok_and(|done| done.is_some()), stays, "{name}");
    }
}

#[test]
fn timestamps_guard_the_handshake() {
    let mut bench = Bench::half_open(Config::default(), stamped(syn(), RECENT));
    assert_eq!(bench.arrives(1, third(), b"").err(), Some(MissingTimestamp));
    assert_eq!(bench.reasons(), []);
    let old = stamped(third(), RECENT - 1);
    assert_eq!(bench.arrives(1, old, b"").err(), Some(OldTimestamp));
    assert_eq!(bench.reasons(), [Reason::Duplicate]);
    // The SYN again, later: the next SYN,ACK echoes it.
    assert!(
        bench
            .arrives(1, stamped(syn(), RECENT + 9), b"")
            .unwrap()
            .is_none()
    );
    let [(_, again, Reason::Accept)] = bench.sent()[..] else {
        panic!("one SYN,ACK")
    };
    assert_eq!(again.flags, SYN_ACK);
    assert_eq!(again.options.timestamps.map(|t| t.echo), Some(RECENT + 9));
    assert_eq!(
        bench.arrives(1, stamped(third(), RECENT), b"").err(),
        Some(OldTimestamp)
    );
    assert!(
        bench
            .arrives(1, stamped(third(), RECENT + 9), b"")
            .unwrap()
            .is_some()
    );
}

//= rfc9293 MUST-23 test
#[test]
fn the_syn_ack_is_repeated_and_given_up() {
    let mut bench = Bench::half_open(Config::default(), syn());
    let start = bench.now;
    let mut at = Vec::new();
    while let Some(due) = bench.listener.poll_timeout() {
        bench.after(due.since(bench.now).saturating_sub(Duration::from_nanos(1)));
        assert_eq!(bench.reasons(), [], "too early");
        bench.after(Duration::from_nanos(1));
        if bench.reasons() == [Reason::Timeout] {
            at.push(bench.now.since(start).as_secs());
        }
    }
    assert_eq!(at, [1, 3, 7, 15, 31, 63, 123]);
    assert_eq!(bench.now.since(start).as_secs(), 183);
    assert_eq!(bench.listener.half_open(), 0);
    let last = (State::SynReceived, Event::Abort, State::Closed);
    assert_eq!(bench.arrows().last(), Some(&last));
    assert_eq!(bench.arrives(1, third(), b"").err(), Some(Closed));
}

#[test]
fn both_queues_are_bounded() {
    let config = Config {
        half_open: 2,
        syn_cookies: SynCookies::Never,
        ..Config::default()
    };
    let mut bench = Bench::new(config, 1);
    assert_eq!((bench.syn(1, syn()), bench.syn(2, syn())), (Ok(()), Ok(())));
    assert_eq!(bench.syn(3, syn()), Err(BacklogFull));
    assert_eq!(bench.reasons(), [Reason::Accept; 2]);
    assert!(bench.arrives(1, third(), b"").unwrap().is_some());
    // No handshake begins that could not end.
    assert_eq!(bench.syn(3, syn()), Err(AcceptQueueFull));
    assert_eq!(bench.arrives(2, third(), b"").err(), Some(AcceptQueueFull));
    assert!(bench.listener.is_half_open(&setup(2).endpoints));
    bench.listener.accepted();
    assert!(bench.arrives(2, third(), b"").unwrap().is_some());
    bench.listener.accepted();
    assert_eq!(bench.syn(3, syn()), Ok(()));
    bench.with(Listener::close);
    assert_eq!(
        (bench.listener.half_open(), bench.reasons()),
        (0, Vec::new())
    );
}

#[test]
fn challenges_are_bounded_in_a_second() {
    let mut bench = Bench::half_open(Config::default(), syn());
    let blind = header(NEXT + 9, NEXT, Flags::RST);
    let flood = |bench: &mut Bench| {
        let answers = (0..100).map(|_| {
            assert_eq!(bench.arrives(1, blind, b"").err(), Some(BlindReset));
            bench.sent().len()
        });
        answers.sum::<usize>()
    };
    assert_eq!(flood(&mut bench), 10);
    bench.now += Duration::from_millis(999);
    assert_eq!(flood(&mut bench), 0);
    bench.now += Duration::from_millis(1);
    assert_eq!(flood(&mut bench), 10);
}

/// Were the limit the listener's, who counts their own challenges would learn of others' (CVE-2016-5696).
//= rfc9293 X-7 test
#[test]
fn each_has_its_own_limit_of_challenges() {
    let mut bench = Bench::half_open(Config::default(), syn());
    bench.syn(2, syn()).unwrap();
    bench.sent();
    let blind = header(NEXT + 9, NEXT, Flags::RST);
    let mut answers = [0, 0];
    for round in 0..60 {
        let port = 1 + round / 40;
        assert_eq!(bench.arrives(port, blind, b"").err(), Some(BlindReset));
        answers[usize::from(port) - 1] += bench.sent().len();
    }
    assert_eq!(answers, [10, 10]);
    // And the stack's budget is asked.
    bench.now += Duration::from_secs(2);
    let mut spent = crate::ChallengeBudget::new(0, [1; 16]);
    let mut cx = Context {
        challenges: Some(&mut spent),
        chunks: None,
        ..Context::unwatched(bench.now)
    };
    let segment = Segment {
        header: blind,
        ..Segment::default()
    };
    let who = setup(2).endpoints;
    assert!(
        bench
            .listener
            .handle_segment(&mut cx, &who, &segment)
            .is_err()
    );
    assert_eq!(bench.sent(), []);
}

/// A listener that sends nothing but cookies.
fn always(overflow: AcceptOverflow) -> Bench {
    let config = Config {
        syn_cookies: SynCookies::Always,
        accept_overflow: overflow,
        ..Config::default()
    };
    Bench::new(config, 1)
}

fn offered() -> Header {
    let options = TcpOptions {
        mss: Some(1400),
        window_scale: Some(7),
        sack_permitted: true,
        ..TcpOptions::default()
    };
    let header = Header { options, ..syn() };
    stamped(header, RECENT)
}

/// The acknowledgement of the one SYN,ACK that is owed.
fn third_of(bench: &mut Bench) -> Header {
    let [(_, answer, Reason::Accept)] = bench.sent()[..] else {
        panic!("one SYN,ACK")
    };
    assert_eq!((answer.ack, answer.flags), (NEXT, SYN_ACK));
    let timestamps = answer.options.timestamps.map(|stamps| Timestamps {
        value: RECENT + 40,
        echo: stamps.value,
    });
    Header {
        ack: answer.seq + 1,
        options: TcpOptions {
            timestamps,
            ..TcpOptions::default()
        },
        ..third()
    }
}

#[test]
fn a_cookie_makes_the_connection_that_an_entry_would_have_made() {
    let mut by_entry = Bench::half_open(Config::default(), offered());
    by_entry.now += Duration::from_millis(100);
    let known = by_entry
        .arrives(1, stamped(third(), RECENT + 40), b"hello")
        .unwrap()
        .unwrap();
    let mut bench = always(AcceptOverflow::Drop);
    assert!(matches!(bench.hears(1, offered(), b""), Ok(Heard::Cookie)));
    assert_eq!(
        (bench.listener.half_open(), bench.listener.poll_timeout()),
        (0, None)
    );
    let last = third_of(&mut bench);
    bench.now += Duration::from_millis(100);
    let Ok(Heard::Connection(made)) = bench.hears(1, last, b"hello") else {
        panic!("a connection")
    };
    assert_eq!(bench.listener.waiting(), (1, 1));
    let (one, other) = (known.info(bench.now), made.info(bench.now));
    assert_eq!((made.state(), made.readable()), (State::Established, 5));
    assert_eq!(
        (
            one.snd_mss,
            one.snd_wscale,
            one.rcv_wscale,
            one.snd_wnd,
            one.rcv_wnd
        ),
        (
            other.snd_mss,
            other.snd_wscale,
            other.rcv_wscale,
            other.snd_wnd,
            other.rcv_wnd
        )
    );
    assert_eq!(one.rtt, Duration::from_millis(100));
    let more = other.rtt.saturating_sub(one.rtt);
    assert!(
        other.rtt >= one.rtt && more < Duration::from_millis(65),
        "{more:?}"
    );
    assert_eq!(one.snd_cwnd, other.snd_cwnd, "no SYN,ACK was lost");
    let (from, event, to) = (State::Listen, Event::Syn, State::SynReceived);
    assert_eq!(bench.arrows()[0], (from, event, to));
    assert_eq!(bench.arrows(), by_entry.arrows());
}

/// PAWS and our timestamps go on from the handshake that nobody kept.
#[test]
fn a_connection_by_cookie_has_timestamps() {
    let mut bench = always(AcceptOverflow::Drop);
    bench.syn(1, offered()).unwrap();
    let last = third_of(&mut bench);
    bench.now += Duration::from_millis(100);
    let Ok(Heard::Connection(mut made)) = bench.hears(1, last, b"hello") else {
        panic!("a connection")
    };
    let old = stamped(
        Header {
            seq: NEXT + 5,
            ..last
        },
        RECENT + 39,
    );
    let segment = Segment {
        header: old,
        ..Segment::default()
    };
    let mut cx = Context::unwatched(bench.now);
    assert_eq!(made.handle_segment(&mut cx, &segment), Err(OldTimestamp));
    let plan = made.plan(bench.now, 1400).unwrap();
    let answer = made.build(&mut cx, plan).header;
    let stamps = answer.options.timestamps.unwrap();
    assert_eq!((stamps.value, stamps.echo), (1100 + 77, RECENT + 40));
    assert_eq!((answer.seq, answer.ack), (last.ack, NEXT + 5));
}

#[test]
fn a_cookie_without_timestamps_promises_nothing_else() {
    let mut bench = always(AcceptOverflow::Drop);
    let options = TcpOptions {
        timestamps: None,
        ..offered().options
    };
    bench
        .syn(
            1,
            Header {
                options,
                ..offered()
            },
        )
        .unwrap();
    let [(_, answer, _)] = bench.sent()[..] else {
        panic!("one SYN,ACK")
    };
    let expected = TcpOptions {
        mss: Some(1460),
        ..TcpOptions::default()
    };
    assert_eq!(answer.options, expected);
    bench.now += Duration::from_millis(100);
    let last = Header {
        ack: answer.seq + 1,
        ..third()
    };
    let Ok(Heard::Connection(made)) = bench.hears(1, last, b"") else {
        panic!("a connection")
    };
    let info = made.info(bench.now);
    assert_eq!(
        (info.snd_mss, info.snd_wscale, info.rcv_wscale),
        (1400, 0, 0)
    );
    assert_eq!(
        info.rtt,
        Duration::ZERO,
        "nobody knows when the SYN,ACK left"
    );
    assert!(info.cwnd > 1400, "and nothing says that it was lost");
}

#[test]
fn a_forged_acknowledgement_is_for_nobody() {
    let mut bench = always(AcceptOverflow::Drop);
    assert_eq!(
        bench.hears(1, third(), b"").err(),
        Some(AckToListener),
        "no cookie is out"
    );
    bench.syn(1, offered()).unwrap();
    let last = third_of(&mut bench);
    assert!(bench.listener.sends_cookies(bench.now));
    let forged = [
        (
            "its number",
            1,
            Header {
                ack: last.ack + 32,
                ..last
            },
        ),
        (
            "its sequence number",
            1,
            Header {
                seq: last.seq + 1,
                ..last
            },
        ),
        ("another port", 2, last),
        (
            "SYN,ACK",
            1,
            Header {
                flags: SYN_ACK,
                ..last
            },
        ),
    ];
    for (name, port, header) in forged {
        assert_eq!(
            bench.hears(port, header, b"x").err(),
            Some(AckToListener),
            "{name}"
        );
    }
    let reset = Header {
        flags: Flags::RST | Flags::ACK,
        ..last
    };
    assert!(matches!(bench.hears(1, reset, b""), Ok(Heard::Nothing)));
    assert_eq!(bench.reasons(), []);
}

#[test]
fn a_cookie_counts_with_fin_and_text_and_for_a_while() {
    let mut bench = always(AcceptOverflow::Drop);
    bench.syn(1, offered()).unwrap();
    let last = third_of(&mut bench);
    let fin = Header {
        flags: FIN_ACK,
        ..last
    };
    let Ok(Heard::Connection(made)) = bench.hears(1, fin, b"bye") else {
        panic!("a connection")
    };
    assert_eq!((made.state(), made.readable()), (State::CloseWait, 3));
    bench.listener.accepted();
    bench.now += Duration::from_secs(128);
    assert_eq!(
        bench.hears(1, last, b"").err(),
        Some(AckToListener),
        "too late"
    );
}

//= rfc9293 SHLD-26 test
#[test]
fn a_hard_error_about_the_syn_ack_ends_the_entry_where_it_is_heeded() {
    let (hard, soft) = (PathError::PortUnreachable, PathError::HostUnreachable);
    for (heeded, error, seq, left) in [
        (true, hard, ISS, 0),
        (true, hard, ISS + 1, 1),
        (true, soft, ISS, 1),
        (false, hard, ISS, 1),
    ] {
        let config = Config {
            open_fails_on_hard_error: heeded,
            ..Config::default()
        };
        let mut bench = Bench::half_open(config, syn());
        let who = setup(1).endpoints;
        bench.with(|listener, cx| listener.handle_path_error(cx, &who, error, seq));
        assert_eq!(bench.listener.half_open(), left, "{heeded} {error} {seq:?}");
    }
}

#[test]
fn a_flood_keeps_nobody_out() {
    let config = Config {
        half_open: 100,
        ..Config::default()
    };
    let mut bench = Bench::new(config, 1);
    let mut cookies = 0;
    for port in 1..=200 {
        let heard = bench.hears(port, offered(), b"").unwrap();
        cookies += usize::from(matches!(heard, Heard::Cookie));
    }
    // All from one /24: its part is half of the table.
    assert_eq!((bench.listener.half_open(), cookies), (50, 150));
    assert_eq!(bench.listener.half_open_endpoints().count(), 50);
    assert_eq!(bench.sent().len(), 200);
    bench.syn(999, offered()).unwrap();
    let last = third_of(&mut bench);
    assert!(matches!(
        bench.hears(999, last, b""),
        Ok(Heard::Connection(_))
    ));
    bench.listener.accepted();
    // The entries are as good as before, and leave room for others when they go.
    assert!(
        bench
            .arrives(1, stamped(third(), RECENT), b"")
            .unwrap()
            .is_some()
    );
    bench.listener.accepted();
    assert!(matches!(
        bench.hears(998, offered(), b""),
        Ok(Heard::HalfOpen)
    ));
    assert!(matches!(
        bench.hears(997, offered(), b""),
        Ok(Heard::Cookie)
    ));
}

#[test]
fn a_full_accept_queue_drops_or_resets() {
    for (overflow, resets) in [(AcceptOverflow::Drop, false), (AcceptOverflow::Reset, true)] {
        // By entry.
        let config = Config {
            accept_overflow: overflow,
            ..Config::default()
        };
        let mut bench = Bench::new(config, 1);
        bench.syn(1, syn()).unwrap();
        bench.syn(2, syn()).unwrap();
        bench.sent();
        assert!(bench.arrives(1, third(), b"").unwrap().is_some());
        assert_eq!(bench.syn(3, syn()), Err(AcceptQueueFull));
        assert_eq!(bench.arrives(2, third(), b"").err(), Some(AcceptQueueFull));
        assert_eq!(bench.listener.is_half_open(&setup(2).endpoints), !resets);
        let reset: Vec<_> = bench
            .sent()
            .iter()
            .map(|sent| (sent.1.flags, sent.1.seq))
            .collect();
        let expected: &[_] = if resets { &[(Flags::RST, NEXT)] } else { &[] };
        assert_eq!(reset, expected);
        // By cookie.
        let mut bench = always(overflow);
        bench.syn(1, offered()).unwrap();
        let last = third_of(&mut bench);
        bench.syn(2, offered()).unwrap();
        let other = third_of(&mut bench);
        assert!(matches!(
            bench.hears(1, last, b""),
            Ok(Heard::Connection(_))
        ));
        assert_eq!(bench.hears(2, other, b"").err(), Some(AcceptQueueFull));
        let reset: Vec<_> = bench
            .sent()
            .iter()
            .map(|sent| (sent.1.flags, sent.1.seq))
            .collect();
        let expected: &[_] = if resets {
            &[(Flags::RST, other.ack)]
        } else {
            &[]
        };
        assert_eq!(reset, expected);
        // The peer tries again, and there is room.
        bench.listener.accepted();
        assert!(matches!(
            bench.hears(2, other, b""),
            Ok(Heard::Connection(_))
        ));
    }
}

proptest! {
    /// An owner that never polls, and a peer that sends anything: bounded, and no panic.
    #[test]
    fn anything_may_arrive(
        segments in prop::collection::vec(
            (0..6u16, 0..0x200u16, 0..4u32, 0..4u32, prop::option::of(0..3u32), 0..9u64), 1..300
        ),
        polls: bool,
    ) {
        let config = Config { half_open: 4, ..Config::default() };
        let mut bench = Bench::new(config, 3);
        for (port, bits, seq, ack, stamp, pause) in segments {
            let mut header = header(IRS + seq - 1, ISS + ack - 1, Flags::from_bits(bits));
            if let Some(value) = stamp {
                header = stamped(header, value);
            }
            if bench.listener.is_half_open(&setup(port).endpoints) {
                if bench.arrives(port, header, b"text").is_ok_and(|done| done.is_some()) {
                    prop_assert!(!bench.listener.is_half_open(&setup(port).endpoints));
                    bench.listener.accepted();
                }
            } else {
                let _ = bench.syn(port, header);
            }
            bench.after(Duration::from_secs(pause));
            prop_assert!(bench.listener.half_open() <= 4);
            prop_assert!(bench.listener.answers.len() <= 4 + 2 * SPARE);
            prop_assert_eq!(bench.listener.poll_timeout().is_some(), bench.listener.half_open() > 0);
            if polls {
                bench.sent();
            }
        }
    }
}

/// RFC 3168 section 6.1.1: the peer gave up asking, and would echo no marks.
#[test]
fn a_syn_again_that_does_not_ask_ends_ecn() {
    let asks = Header {
        flags: Flags::SYN | Flags::ECE | Flags::CWR,
        ..syn()
    };
    for (again, agreed) in [(None, true), (Some(asks), true), (Some(syn()), false)] {
        let mut bench = Bench::half_open(Config::default(), asks);
        if let Some(again) = again {
            assert!(bench.arrives(1, again, b"").unwrap().is_none());
        }
        let connection = bench.arrives(1, third(), b"").unwrap().unwrap();
        assert_eq!(connection.info(bench.now).ecn, agreed);
    }
}
