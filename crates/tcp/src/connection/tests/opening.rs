//! SYN-SENT and SYN-RECEIVED: what answers do, what silence does, and how the first round trip counts.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::super::*;
use super::pair::{End, ISS, LONG, Pair, octets, setup};
use crate::WriteError;
use crate::listener::Listener;
use crate::segment::{Flags, Header, Text};

const NOW: Instant = Instant::from_millis(20);
const SYN_ACK: Flags = Flags::from_bits(Flags::SYN.bits() | Flags::ACK.bits());
const RST_ACK: Flags = Flags::from_bits(Flags::RST.bits() | Flags::ACK.bits());
const SYN_ACK_FIN: Flags = Flags::from_bits(SYN_ACK.bits() | Flags::FIN.bits());

/// An `Opening` whose SYN left at 0.
fn opening(config: &Config) -> Opening {
    let mut cx = Context::unwatched(Instant::ZERO);
    let mut opening = Opening::new(&mut cx, setup(0), Arc::new(config.clone()));
    let plan = opening.plan(Instant::ZERO, 0).expect("SYN");
    let syn = opening.build(&mut cx, plan).header;
    assert_eq!((syn.flags, syn.seq), (Flags::SYN, ISS[0]));
    assert_eq!(opening.plan(Instant::ZERO, 0), None);
    opening
}

fn bare() -> Config {
    Config {
        timestamps: false,
        ..Config::default()
    }
}

/// What a segment made of it: the state, or why it was refused.
type Becomes = Result<State, Refusal>;
/// What, flags, ack less ISS, text, what it becomes, number of the RST that is owed less ISS.
type Case = (
    &'static str,
    Flags,
    u32,
    &'static [u8],
    Becomes,
    Option<u32>,
);

const BEFORE: u32 = u32::MAX;

#[rustfmt::skip]
const SYN_SENT: &[Case] = &[
    ("SYN,ACK", SYN_ACK, 1, b"", Ok(State::Established), None),
    ("SYN,ACK with text", SYN_ACK, 1, b"hello", Ok(State::Established), None),
    ("SYN,ACK with text and FIN", SYN_ACK_FIN, 1, b"hello", Ok(State::CloseWait), None),
    ("SYN,ACK of nothing", SYN_ACK, 0, b"", Err(Refusal::AckOfUnsent), Some(0)),
    ("SYN,ACK of more", SYN_ACK, 2, b"", Err(Refusal::AckOfUnsent), Some(2)),
    ("SYN,ACK of less", SYN_ACK, BEFORE, b"", Err(Refusal::AckOfUnsent), Some(BEFORE)),
    ("SYN", Flags::SYN, 0, b"", Ok(State::SynReceived), None),
    ("SYN with text", Flags::SYN, 0, b"hello", Ok(State::SynReceived), None),
    ("ACK of an old connection", Flags::ACK, 77, b"", Err(Refusal::AckOfUnsent), Some(77)),
    ("ACK of our SYN alone", Flags::ACK, 1, b"", Err(Refusal::NotSyn), None),
    ("nothing", Flags::NONE, 0, b"x", Err(Refusal::NotSyn), None),
    ("FIN", Flags::FIN, 0, b"", Err(Refusal::NotSyn), None),
    ("RST of our SYN", RST_ACK, 1, b"", Ok(State::Closed), None),
    ("RST of another", RST_ACK, 2, b"", Err(Refusal::AckOfUnsent), None),
    ("RST of nothing", RST_ACK, 0, b"", Err(Refusal::AckOfUnsent), None),
    ("RST without ACK", Flags::RST, 0, b"", Err(Refusal::ResetWithoutAck), None),
];

#[test]
//= rfc9293 MUST-10 test
//= rfc9293 X-8 test
//= rfc9293 MUST-12 test
fn syn_sent_answers_as_section_3_10_7_3_says() {
    for &(name, flags, ack, text, becomes, reset) in SYN_SENT {
        let mut opening = opening(&bare());
        let header = Header {
            seq: ISS[1],
            ack: ISS[0] + ack,
            flags,
            window: 5000,
            ..Header::default()
        };
        let segment = Segment {
            header,
            text: Text {
                octets: text,
                owner: None,
            },
            ..Segment::default()
        };
        let mut cx = Context::unwatched(NOW);
        let opened = opening.handle_segment(&mut cx, &segment);
        let state = opened.as_ref().map(|opened| match opened {
            Opened::Waiting => State::SynSent,
            Opened::Connection(connection) => connection.state(),
            Opened::Ended => State::Closed,
        });
        assert_eq!(state.map_err(|refusal| *refusal), becomes, "{name}");
        let owed = opening.plan(NOW, 0).map(|plan| (plan.reason, plan.seq));
        assert_eq!(
            owed,
            reset.map(|at| (Reason::WrongAck, ISS[0] + at)),
            "{name}"
        );
        match opened {
            Ok(Opened::Connection(mut connection)) if flags.ack() => {
                let mut got = [0; 9];
                let read = connection.read(&mut got).unwrap_or(0);
                assert_eq!(&got[..read], text, "{name}");
                let plan = connection.plan(NOW, 1460).expect("the third");
                let space = text.len() as u32 + 1 + u32::from(flags.fin());
                assert_eq!((plan.seq, plan.len), (ISS[0] + 1, 0), "{name}");
                assert_eq!(
                    connection.build(&mut cx, plan).header.ack,
                    ISS[1] + space,
                    "{name}"
                );
                assert_eq!(
                    connection.rtt.srtt(),
                    Some(Duration::from_millis(20)),
                    "{name}"
                );
            }
            Ok(Opened::Ended) => assert_eq!(opening.ended(), Some(Ended::Refused), "{name}"),
            _ => assert_eq!(opening.ended(), None, "{name}"),
        }
    }
}

#[test]
//= rfc9293 MUST-22 test
//= rfc9293 MUST-23 test
fn an_open_that_nobody_answers_takes_three_minutes() {
    let mut opening = opening(&Config::default());
    let mut cx = Context::unwatched(Instant::ZERO);
    let mut at = Vec::new();
    opening.handle_path_error(&mut cx, PathError::HostUnreachable, ISS[0] + 1);
    assert_eq!(opening.ended(), None);
    while let Some(next) = opening.poll_timeout() {
        assert!(next > cx.now);
        cx.now = next;
        opening.handle_timeout(&mut cx);
        if let Some(plan) = opening.plan(cx.now, 0) {
            assert_eq!(plan.reason, Reason::Timeout);
            let _ = opening.build(&mut cx, plan);
            at.push(cx.now.as_millis() / 1000);
        }
    }
    assert_eq!(at, [1, 3, 7, 15, 31, 63, 123]);
    assert_eq!(cx.now.as_millis(), 180_000);
    assert_eq!(opening.ended(), Some(Ended::TimedOut(None)));
    assert_eq!(opening.state(), State::Closed);
}

#[test]
//= rfc9293 MUST-56 test
fn a_path_error_ends_an_open_only_where_asked_for() {
    let why = PathError::HostUnreachable;
    for (fails, ended) in [(false, None), (true, Some(Ended::Unreachable(why)))] {
        let config = Config {
            open_fails_on_path_error: fails,
            ..Config::default()
        };
        let mut opening = opening(&config);
        let mut cx = Context::unwatched(NOW);
        opening.handle_path_error(&mut cx, why, ISS[0] + 1);
        assert_eq!(opening.ended(), None, "it names another segment");
        opening.handle_path_error(&mut cx, why, ISS[0]);
        assert_eq!(opening.ended(), ended);
        while let Some(next) = opening.poll_timeout() {
            cx.now = next;
            opening.handle_timeout(&mut cx);
        }
        assert_eq!(opening.ended(), ended.or(Some(Ended::TimedOut(Some(why)))));
    }
}

/// Port and protocol unreachable say what will not change; the others may pass.
#[test]
//= rfc9293 SHLD-25 test
//= rfc9293 SHLD-26 test
fn a_hard_error_ends_an_open_and_a_soft_one_is_shown() {
    use PathError as P;
    let cases = [
        (P::NetworkUnreachable, false),
        (P::HostUnreachable, false),
        (P::ProtocolUnreachable, true),
        (P::PortUnreachable, true),
        (P::Prohibited, false),
        (P::TimeExceeded, false),
        (P::ParameterProblem, false),
    ];
    for (why, hard) in cases {
        for heeded in [true, false] {
            let config = Config {
                open_fails_on_hard_error: heeded,
                ..Config::default()
            };
            let mut opening = opening(&config);
            let mut cx = Context::unwatched(NOW);
            opening.handle_path_error(&mut cx, why, ISS[0]);
            let expected = (hard && heeded).then_some(Ended::Unreachable(why));
            assert_eq!(opening.ended(), expected, "{why} {heeded}");
            assert_eq!(opening.path_error(), Some(why));
            assert!(opening.poll_event().intersects(Wake::SOFT_ERROR), "{why}");
        }
    }
}

#[test]
fn an_abort_while_opening_sends_nothing() {
    let mut opening = opening(&Config::default());
    let mut cx = Context::unwatched(NOW);
    opening.abort(&mut cx);
    assert_eq!(opening.ended(), Some(Ended::Aborted));
    assert_eq!((opening.plan(NOW, 0), opening.poll_timeout()), (None, None));
    let segment = Segment::default();
    let late = opening.handle_segment(&mut cx, &segment).map(|_| ());
    assert_eq!(late, Err(Refusal::Closed));
}

#[test]
fn a_lost_syn_means_care_and_a_sample_only_by_timestamps() {
    for (timestamps, rto) in [(false, 3000), (true, 210)] {
        let mut pair = Pair::simultaneous(Config {
            timestamps,
            ..Config::default()
        });
        let End::Opening(opening) = &mut pair.ends[0] else {
            panic!()
        };
        let mut cx = Context::unwatched(Instant::ZERO);
        let plan = opening.plan(Instant::ZERO, 0).unwrap();
        let _ = opening.build(&mut cx, plan);
        cx.now = Instant::from_millis(1000);
        opening.handle_timeout(&mut cx);
        let plan = opening.plan(cx.now, 0).unwrap();
        let syn = opening.build(&mut cx, plan).header;
        cx.now += Duration::from_millis(10);
        let mut options = syn.options;
        if let Some(ours) = options.timestamps {
            options.timestamps = Some(woshou_wire::tcp_option::Timestamps {
                value: 5,
                echo: ours.value,
            });
        }
        let header = Header {
            seq: ISS[1],
            ack: ISS[0] + 1,
            flags: SYN_ACK,
            window: 60_000,
            options,
            ..Header::default()
        };
        let segment = Segment {
            header,
            ..Segment::default()
        };
        let Ok(Opened::Connection(connection)) = opening.handle_segment(&mut cx, &segment) else {
            panic!()
        };
        assert_eq!(
            connection.congestion.window(),
            u64::from(connection.snd.mss)
        );
        assert_eq!(
            connection.rtt.rto(),
            Duration::from_millis(rto),
            "{timestamps}"
        );
    }
}

/// The connection that a listener makes when the third comes 30 ms after the last of `syns` SYN,ACKs.
fn accepted(syns: u32, timestamps: bool) -> Box<Connection> {
    let config = Config {
        timestamps,
        ..Config::default()
    };
    let mut listener = Listener::new(Arc::new(config.clone()), 1, [3; 16]);
    let mut cx = Context::unwatched(Instant::from_millis(100));
    let offer = Offer::new(&config, 1460);
    let syn = Header {
        seq: ISS[0],
        flags: Flags::SYN,
        window: 60_000,
        options: offer.syn(9),
        ..Header::default()
    };
    let of = |header| Segment {
        header,
        ..Segment::default()
    };
    listener.handle_syn(&mut cx, &setup(1), &of(syn)).unwrap();
    let mut answer = listener.poll_transmit(&mut cx).unwrap().1.header;
    for _ in 1..syns {
        cx.now = listener.poll_timeout().unwrap();
        listener.handle_timeout(&mut cx);
        answer = listener.poll_transmit(&mut cx).unwrap().1.header;
    }
    cx.now += Duration::from_millis(30);
    let mut options = woshou_wire::tcp_option::TcpOptions::default();
    options.timestamps = answer
        .options
        .timestamps
        .map(|t| woshou_wire::tcp_option::Timestamps {
            value: 10,
            echo: t.value,
        });
    let third = Header {
        seq: ISS[0] + 1,
        ack: answer.seq + 1,
        flags: Flags::ACK,
        window: 1000,
        options,
        ..Header::default()
    };
    let made = listener.handle_segment(&mut cx, &setup(1).endpoints, &of(third));
    made.unwrap().expect("established")
}

#[test]
fn the_first_round_trip_of_a_passive_open_counts_when_it_is_sure() {
    let measured = Some(Duration::from_millis(30));
    let cases = [
        ("once", 1, false, measured, 10),
        ("once, timestamps", 1, true, measured, 10),
        ("again", 2, false, None, 1),
        ("again, timestamps", 3, true, measured, 1),
    ];
    for (name, syns, timestamps, srtt, segments) in cases {
        let connection = accepted(syns, timestamps);
        assert_eq!(connection.state(), State::Established, "{name}");
        assert_eq!(connection.rtt.srtt(), srtt, "{name}");
        let window = connection.congestion.window();
        assert_eq!(window, segments * u64::from(connection.snd.mss), "{name}");
        let three_seconds = Duration::from_secs(3);
        assert_eq!(
            connection.rtt.rto() == three_seconds,
            srtt.is_none(),
            "{name}"
        );
        assert_eq!(connection.patience.backoff, 0, "{name}");
    }
}

#[test]
fn what_is_written_and_closed_before_the_handshake_is_over_follows_it() {
    let mut pair = Pair::simultaneous(Config::default());
    let early = octets(3000);
    while pair.states() != [State::SynReceived; 2] {
        pair.step();
    }
    assert_eq!(pair.write(0, &early), 3000);
    pair.call(0, Connection::shutdown);
    assert_eq!(pair.states()[0], State::SynReceived);
    let more = pair.call(0, |c, cx| c.write(cx, b"more"));
    assert_eq!(more, Err(WriteError::Finished));
    pair.run_for(LONG);
    assert_eq!(pair.states(), [State::FinWait2, State::CloseWait]);
    assert_eq!(pair.read(1, 9999), early);
}

#[test]
fn the_window_beside_a_crossed_syn_is_not_scaled() {
    let mut pair = Pair::simultaneous(Config::default());
    while pair.states() != [State::Established; 2] {
        assert!(pair.step());
    }
    for side in 0..2 {
        let scale = pair.end(side).snd.scale;
        assert!(scale > 0);
        assert!(
            pair.end(side).snd.wnd <= 65_535,
            "{}",
            pair.end(side).snd.wnd
        );
    }
}

#[test]
fn a_wrong_acknowledgement_in_syn_received_is_reset_once_and_changes_nothing() {
    let mut pair = Pair::simultaneous(Config::default());
    while pair.states() != [State::SynReceived; 2] {
        pair.step();
    }
    let connection = pair.end(0);
    let header = Header {
        seq: connection.rcv.nxt,
        ack: ISS[0] + 9,
        flags: Flags::ACK,
        options: woshou_wire::tcp_option::TcpOptions {
            timestamps: connection
                .paws
                .map(|p| woshou_wire::tcp_option::Timestamps {
                    value: p.recent,
                    echo: 0,
                }),
            ..Default::default()
        },
        ..Header::default()
    };
    let segment = Segment {
        header,
        ..Segment::default()
    };
    let mut cx = Context::unwatched(NOW);
    let refused = connection.handle_segment(&mut cx, &segment);
    assert_eq!(refused, Err(Refusal::AckOfUnsent));
    assert_eq!(connection.state(), State::SynReceived);
    let plan = connection.plan(NOW, 0).unwrap();
    assert_eq!((plan.reason, plan.seq), (Reason::WrongAck, ISS[0] + 9));
    assert_eq!(connection.build(&mut cx, plan).header.flags, Flags::RST);
    assert_ne!(
        connection.plan(NOW, 0).map(|plan| plan.reason),
        Some(Reason::WrongAck)
    );
    pair.run_for(LONG);
    assert_eq!(pair.states(), [State::Established; 2]);
}

#[test]
//= rfc9293 MUST-16 test
fn segments_are_as_long_as_peer_path_and_options_allow() {
    let cases = [
        ("the path", Some(9000), 1460, false, 1460),
        ("the peer", Some(1000), 1460, false, 1000),
        ("timestamps take twelve", Some(1000), 1460, true, 988),
        ("no offer", None, 1460, false, 536),
        ("a silly offer", Some(0), 1460, false, 88),
    ];
    for (name, mss, send_mss, timestamps, expected) in cases {
        let config = Config {
            timestamps,
            ..Config::default()
        };
        let mut header = Header::default();
        header.options.mss = mss;
        header.options.timestamps =
            timestamps.then_some(woshou_wire::tcp_option::Timestamps { value: 1, echo: 0 });
        let offer = Offer::new(&config, 1460);
        let agreed = offer.agree(&setup(0).endpoints, &header);
        assert_eq!(
            effective_mss(&config, &agreed, send_mss),
            expected,
            "{name}"
        );
    }
}
