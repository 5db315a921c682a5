//! Explicit congestion notification (RFC 3168): the handshake, the marks, the answer to them.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use super::super::*;
use super::pair::{ISS, LONG, Pair, octets, setup};
use crate::congestion::NewReno;
use crate::ecn::EcnPolicy;
use crate::segment::{Ecn, Flags, Header, Text};
use woshou_wire::tcp_option::{TcpOptions, Timestamps};

fn config(ecn: EcnPolicy) -> Config {
    Config {
        ecn,
        // Whose window falls by half.
        congestion: Arc::new(NewReno::factory()),
        ..super::unprobed()
    }
}

const SETUP: Flags = Flags::ECE;

/// The ECN flags of a side's segments, in order.
fn marks(pair: &Pair, side: usize) -> Vec<Flags> {
    let sent = pair.log.iter().filter(|sent| sent.0 == side);
    sent.map(|sent| {
        let mut flags = Flags::NONE;
        for flag in [Flags::ECE, Flags::CWR] {
            if sent.2.flags.contains(flag) {
                flags = flags | flag;
            }
        }
        flags
    })
    .collect()
}

/// SYN,ACK with `flags` beside for an active open whose first `repeats` SYNs get no answer: whether ECN is agreed, and the flags of
/// all SYNs.
fn opened(ecn: EcnPolicy, repeats: u8, flags: Flags) -> (bool, Vec<Flags>) {
    let mut cx = Context::unwatched(Instant::ZERO);
    let mut opening = Opening::new(&mut cx, setup(0), Arc::new(config(ecn)));
    let mut syns = Vec::new();
    for _ in 0..=repeats {
        let plan = opening.plan(cx.now, 0).unwrap();
        syns.push(opening.build(&mut cx, plan).header.flags);
        cx.now = opening.poll_timeout().unwrap();
        if syns.len() <= usize::from(repeats) {
            opening.handle_timeout(&mut cx);
        }
    }
    let header = Header {
        seq: ISS[1],
        ack: ISS[0] + 1,
        flags: Flags::SYN | Flags::ACK | flags,
        window: 5000,
        ..Header::default()
    };
    let segment = Segment {
        header,
        ..Segment::default()
    };
    let Ok(Opened::Connection(connection)) = opening.handle_segment(&mut cx, &segment) else {
        panic!("not open")
    };
    (connection.info(cx.now).ecn, syns)
}

#[test]
fn the_first_syn_asks_and_the_next_do_not() {
    let asks = Flags::SYN | Flags::ECE | Flags::CWR;
    for (ecn, repeats, flags, agreed, syns) in [
        (EcnPolicy::Request, 0, SETUP, true, &[asks][..]),
        (EcnPolicy::Request, 0, Flags::NONE, false, &[asks]),
        (EcnPolicy::Request, 0, SETUP | Flags::CWR, false, &[asks]),
        (EcnPolicy::Request, 1, SETUP, false, &[asks, Flags::SYN]),
        (EcnPolicy::Accept, 0, SETUP, false, &[Flags::SYN]),
        (EcnPolicy::Off, 0, SETUP, false, &[Flags::SYN]),
    ] {
        let (found, sent) = opened(ecn, repeats, flags);
        assert_eq!((found, sent.as_slice()), (agreed, syns), "{ecn:?} {flags}");
    }
}

#[test]
fn opened_from_both_sides_at_once() {
    for (ecn, agreed) in [
        (EcnPolicy::Request, true),
        (EcnPolicy::Accept, false),
        (EcnPolicy::Off, false),
    ] {
        let mut pair = Pair::simultaneous(config(ecn));
        pair.run_for(LONG);
        assert_eq!(pair.states(), [State::Established; 2]);
        for side in 0..2 {
            let now = pair.now;
            assert_eq!(pair.end(side).info(now).ecn, agreed, "{ecn:?}");
        }
        pair.write(0, b"text");
        pair.run_for(LONG);
        assert_eq!(pair.read(1, 9), b"text");
    }
}

/// Congestion window and threshold of side 0.
fn figures(pair: &mut Pair) -> (u64, u64) {
    let info = pair.end(0).info(Instant::ZERO);
    (info.cwnd, info.ssthresh)
}

#[test]
//= rfc9293 SHLD-8 test
fn a_mark_halves_the_window_once_and_is_echoed_until_cwr() {
    let mut pair = Pair::open(config(EcnPolicy::Request));
    assert!(pair.end(0).info(Instant::ZERO).ecn && pair.end(1).info(Instant::ZERO).ecn);
    // The first two segments are marked: one congestion, one answer.
    pair.mark = Box::new(|side, count, _| side == 0 && count <= 2);
    let text = octets(40_000);
    let (before, _) = figures(&mut pair);
    assert_eq!(pair.write(0, &text[..1448]), 1448);
    pair.run_for(Duration::from_millis(5));
    assert_eq!(pair.write(0, &text[1448..]), text.len() - 1448);
    pair.run_for(Duration::from_millis(16));
    let (window, threshold) = figures(&mut pair);
    assert_eq!((window, threshold), (before / 2, before / 2));
    pair.run_for(Duration::from_millis(5));
    let unchanged = (window, threshold);
    assert_eq!(figures(&mut pair), unchanged, "nor does it grow by them");
    pair.run_for(LONG);
    assert_eq!(pair.read(1, 50_000), text, "nothing was lost");
    let cwr = |flags: &&Flags| flags.contains(Flags::CWR);
    assert_eq!(marks(&pair, 0).iter().filter(cwr).count(), 1, "told once");
    let echoes = marks(&pair, 1);
    let first = echoes.iter().position(|flags| *flags == Flags::ECE);
    let last = echoes
        .iter()
        .rposition(|flags| *flags == Flags::ECE)
        .unwrap();
    assert_eq!(first, Some(0), "the first mark is acknowledged at once");
    let together = echoes[..=last].iter().all(|flags| *flags == Flags::ECE);
    assert!(
        together && last > 0 && last + 1 < echoes.len(),
        "{echoes:?}"
    );
    assert_eq!(pair.end(0).info(Instant::ZERO).total_retrans, 0);
}

#[test]
fn only_new_text_is_capable() {
    let mut pair = Pair::open(config(EcnPolicy::Request));
    pair.drop = Box::new(|side, count, _| side == 0 && count == 1);
    let mut seen = Vec::new();
    pair.write(0, b"a");
    pair.run_for(Duration::from_millis(5));
    pair.write(1, b"answer");
    for _ in 0..40 {
        seen.extend(pair.wire.iter().flatten().map(|f| (f.reason, f.ecn)));
        pair.step();
    }
    assert!(seen.contains(&(Reason::Timeout, Ecn::NotEct)), "{seen:?}");
    assert!(seen.contains(&(Reason::Data, Ecn::Ect0)));
    for (reason, ecn) in seen {
        assert_eq!(ecn == Ecn::Ect0, reason == Reason::Data, "{reason}");
    }
}

#[test]
fn a_loss_is_told_by_cwr_too() {
    let mut pair = Pair::open(config(EcnPolicy::Request));
    pair.drop = Box::new(|side, count, _| side == 0 && count == 1);
    pair.write(0, &octets(30_000));
    pair.run_for(LONG);
    let cwr = pair.log.iter().find(|l| l.2.flags.contains(Flags::CWR));
    let (_, reason, header, _) = cwr.expect("CWR");
    assert!(!reason.is_retransmission() && header.seq.after(ISS[0] + 1));
}

#[test]
fn nobody_listens_to_ece_that_was_not_agreed() {
    let mut pair = Pair::open(config(EcnPolicy::Off));
    pair.write(0, &octets(5_000));
    let (before, una) = (figures(&mut pair), pair.end(0).snd.una);
    let ack = Header {
        seq: ISS[1] + 1,
        ack: una + 1000,
        flags: Flags::ACK | Flags::ECE,
        window: 65_535,
        options: TcpOptions {
            timestamps: Some(Timestamps {
                value: 0xffff_fff0 + 10,
                echo: 0xffff_fff0,
            }),
            ..TcpOptions::default()
        },
        ..Header::default()
    };
    let segment = Segment {
        header: ack,
        text: Text {
            octets: b"x",
            owner: None,
        },
        ecn: Ecn::Ce,
        ..Segment::default()
    };
    pair.call(0, |c, cx| c.handle_segment(cx, &segment))
        .unwrap();
    assert!(figures(&mut pair).0 >= before.0);
    assert!(!pair.end(0).ecn.echo, "nor to CE");
    pair.run_for(LONG);
    assert!(marks(&pair, 0).iter().all(|flags| *flags == Flags::NONE));
}

/// RFC 3168 section 6.1.2: marks and losses of one window are one congestion.
#[test]
fn a_loss_in_the_window_of_a_mark_is_paid_for() {
    let mut pair = Pair::open(config(EcnPolicy::Request));
    pair.mark = Box::new(|side, count, _| side == 0 && count == 1);
    pair.drop = Box::new(|side, count, _| side == 0 && count == 5);
    let (before, _) = figures(&mut pair);
    let text = octets(14_480);
    pair.write(0, &text[..1448]);
    pair.run_for(Duration::from_millis(5));
    pair.write(0, &text[1448..]);
    pair.run_for(Duration::from_millis(16));
    assert_eq!(figures(&mut pair), (before / 2, before / 2), "the mark");
    pair.run_for(Duration::from_millis(10));
    assert_ne!(pair.end(0).recovery.phase, Phase::Open, "the loss");
    assert_eq!(figures(&mut pair), (before / 2, before / 2), "paid for");
    pair.run_for(LONG);
    assert_eq!(pair.read(1, 20_000), text);
}

/// The segment that says CWR is lost: the echo goes on, the window falls again, and another one says it.
#[test]
fn a_lost_cwr_is_told_again() {
    let mut pair = Pair::open(config(EcnPolicy::Request));
    pair.mark = Box::new(|side, count, _| side == 0 && count == 1);
    let mut lost = false;
    pair.drop = Box::new(move |_, _, flying| {
        let first = flying.header.flags.contains(Flags::CWR) && !lost;
        lost |= first;
        first
    });
    let text = octets(60_000);
    let (before, _) = figures(&mut pair);
    let mut sent = 0;
    for _ in 0..400 {
        sent += pair.write(0, &text[sent..]);
        pair.run_for(Duration::from_millis(5));
    }
    assert_eq!(pair.read(1, 70_000), text);
    let cwr: Vec<_> = pair
        .log
        .iter()
        .filter(|l| l.2.flags.contains(Flags::CWR))
        .collect();
    assert_eq!(cwr.len(), 2);
    assert!(cwr.iter().all(|sent| !sent.1.is_retransmission()));
    assert_eq!(
        marks(&pair, 1).last(),
        Some(&Flags::NONE),
        "the echo has ended"
    );
    let (_, threshold) = figures(&mut pair);
    assert!(threshold < before / 2, "two congestions: {threshold}");
}

/// RFC 3168 sections 6.1.4 and 6.1.6: neither acknowledgements nor probes are capable, and a mark on one that was all the
/// same means nothing.
#[test]
fn acknowledgements_and_probes_are_not_capable() {
    let mut pair = Pair::open(Config {
        receive_buffer: 3000,
        ..config(EcnPolicy::Request)
    });
    let text = octets(9_000);
    pair.write(0, &text);
    let mut probes = 0;
    let mut got = Vec::new();
    for turn in 0..4_000 {
        for (side, flying) in [0, 1].map(|side| (side, pair.wire[side].clone())) {
            for flying in flying {
                let probe = flying.reason == Reason::WindowProbe;
                probes += usize::from(probe);
                let new = side == 0 && !flying.text.is_empty() && !probe;
                assert!(new || flying.ecn == Ecn::NotEct, "{}", flying.reason);
            }
        }
        if turn > 2_000 {
            got.extend(pair.read(1, 1000));
        }
        pair.run_for(Duration::from_millis(1));
    }
    assert!(probes > 0 && got == text);

    let una = pair.end(0).snd.una;
    let ack = Header {
        seq: pair.end(0).rcv.nxt,
        ack: una,
        flags: Flags::ACK,
        window: 1000,
        options: TcpOptions {
            timestamps: Some(Timestamps {
                value: 0xffff_fff0 + 10,
                echo: 0xffff_fff0,
            }),
            ..TcpOptions::default()
        },
        ..Header::default()
    };
    let segment = Segment {
        header: ack,
        ecn: Ecn::Ce,
        ..Segment::default()
    };
    let _ = pair.call(0, |c, cx| c.handle_segment(cx, &segment));
    pair.write(0, b"more");
    pair.run_for(LONG);
    assert!(marks(&pair, 0).iter().all(|flags| *flags == Flags::NONE));
}

/// Both asked, and the SYN,ACK that crosses ours decides (RFC 3168 section 6.1.1).
#[test]
fn a_crossed_syn_ack_decides() {
    for (flags, agreed) in [
        (Flags::ECE, true),
        (Flags::NONE, false),
        (Flags::ECE | Flags::CWR, false),
    ] {
        let mut cx = Context::unwatched(Instant::ZERO);
        let mut opening = Opening::new(&mut cx, setup(0), Arc::new(config(EcnPolicy::Request)));
        let plan = opening.plan(cx.now, 0).unwrap();
        opening.build(&mut cx, plan);
        let segment = |flags, ack| Segment {
            header: Header {
                seq: ISS[1],
                ack,
                flags,
                window: 5000,
                ..Header::default()
            },
            ..Segment::default()
        };
        let syn = segment(Flags::SYN | Flags::ECE | Flags::CWR, SeqNum(0));
        let Ok(Opened::Connection(mut connection)) = opening.handle_segment(&mut cx, &syn) else {
            panic!("not SYN-RECEIVED")
        };
        assert!(connection.info(cx.now).ecn, "so far");
        let syn_ack = segment(Flags::SYN | Flags::ACK | flags, ISS[0] + 1);
        connection.handle_segment(&mut cx, &syn_ack).unwrap();
        assert_eq!(connection.state(), State::Established);
        assert_eq!(connection.info(cx.now).ecn, agreed, "{flags}");
    }
}

#[test]
fn a_timeout_is_told_by_cwr_too() {
    let mut pair = Pair::open(config(EcnPolicy::Request));
    pair.drop = Box::new(|side, count, _| side == 0 && count == 1);
    pair.write(0, b"a");
    pair.run_for(LONG);
    assert!(pair.reasons(0).contains(&Reason::Timeout));
    assert!(!marks(&pair, 0).contains(&Flags::CWR), "nothing new yet");
    pair.write(0, b"b");
    pair.write(0, b"c");
    pair.run_for(LONG);
    let told = marks(&pair, 0);
    assert_eq!(told.iter().filter(|flags| **flags == Flags::CWR).count(), 1);
}

/// Echoes beside text of the peer's, long after our own was acknowledged: there is nothing to slow down.
#[test]
fn an_echo_with_nothing_in_flight_changes_nothing() {
    let mut pair = Pair::open(config(EcnPolicy::Request));
    pair.write(0, &octets(3_000));
    pair.run_for(LONG);
    let before = figures(&mut pair);
    pair.end(1).ecn.echo = true;
    pair.write(1, b"text");
    pair.run_for(Duration::from_millis(15));
    assert_eq!(marks(&pair, 1).last(), Some(&Flags::ECE));
    assert_eq!(figures(&mut pair), before);
}

/// A loss slows the sender down, and nobody is told by bits that were not agreed.
#[test]
fn without_agreement_nothing_is_capable_and_nothing_told() {
    let mut pair = Pair::open(config(EcnPolicy::Off));
    pair.drop = Box::new(|side, count, _| side == 0 && count == 2);
    let text = octets(60_000);
    pair.write(0, &text[..20_000]);
    assert!(pair.wire[0].iter().all(|flying| flying.ecn == Ecn::NotEct));
    pair.run_for(LONG);
    pair.write(0, &text[20_000..]);
    pair.run_for(LONG);
    assert!(pair.end(0).info(Instant::ZERO).total_retrans > 0);
    assert_eq!(pair.read(1, 70_000), text);
    assert!(marks(&pair, 0).iter().all(|flags| *flags == Flags::NONE));
}
