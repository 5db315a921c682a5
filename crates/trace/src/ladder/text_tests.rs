use proptest::prelude::*;
use woshou_tcp::{Event, FalseAlarm, Flags, Header, Reason, TraceEvent};
use woshou_wire::tcp_option::{SackBlock, SackBlocks};

use super::*;
use crate::Lang;
use crate::scene::{ACK, SYN, Scene, X, Y, classic, header, micros, trouble};

const PLAIN: Options = Options {
    lang: Lang::En,
    colour: false,
    brief: None,
};

#[test]
fn the_classic_handshake_and_teardown() {
    let expected = "  \
  time ms client 192.168.1.116:3337                                        server 192.168.1.123:7788
    0.000 CLOSED       │                                                              │ LISTEN
    0.000 SYN-SENT     ├─ SYN  seq 3626544836  win 65535 ────────────────────────────▶│
                       │  open: own ISN, options offered                              │
                       │  MSS 1460 · window scale 7 · SACK permitted · timestamps     │
   10.000              │◀──────── SYN,ACK  seq 1739326486  ack 3626544837  win 65535 ─┤ SYN-RECEIVED
                       │                             accept: own ISN, options agreed  │
                       │     MSS 1460 · window scale 7 · SACK permitted · timestamps  │
   20.000 ESTABLISHED  ├─ ACK  ack 1739326487  win 65535 ────────────────────────────▶│
                       │  the third: both numbers agreed                              │
   30.000              │                                     open in both directions  │ ESTABLISHED
   40.000              ├─ PSH,ACK  seq 1  ack 1  win 65535  len 100 · data ──────────▶│
   50.000              │◀──────── PSH,ACK  seq 1  ack 101  win 65535  len 200 · data ─┤
   60.000 FIN-WAIT-1   ├─ FIN,ACK  seq 101  ack 201  win 65535 ──────────────────────▶│
                       │  close: no more data from here                               │
   70.000              │◀─────────────────────────────────── ACK  ack 102  win 65535 ─┤ CLOSE-WAIT
                       │                                                  ack of FIN  │
   70.000              │◀────────────────────── FIN,ACK  seq 201  ack 102  win 65535 ─┤ LAST-ACK
                       │                               close: no more data from here  │
   80.000 FIN-WAIT-2   │  waits for the peer's FIN                                    │
   80.000 TIME-WAIT    ├─ ACK  ack 202  win 65535 ───────────────────────────────────▶│
                       │  ack of FIN                                                  │
   90.000              │                                               no connection  │ CLOSED
60080.000              │  ⏱ 2 MSL timer                                               │
60080.000 CLOSED       │  no connection                                               │
";
    // The backslash above eats the spaces that begin the first line.
    let expected = format!("  {}", expected.trim_start());
    assert_eq!(text(&classic().t, &PLAIN), expected);
}

#[test]
fn losses_copies_order_timers_and_refusals_are_marked() {
    let drawn = text(&trouble().t, &PLAIN);
    for line in [
        "   40.200              ├─ ACK  seq 1461  ack 1  win 65535  len 1460 · data ─✗ lost    │",
        "   44.100              ├─ ACK  seq 4381  ack 1  win 65535  len 1460 ─────────────────▶│",
        "                       │  copy made on the way                                        │",
        "                       │                                         SACK: has 5841–7300  │",
        "   50.700              │    ↯ seq 2921 len 1460 · out of order: overtaken on the way  │",
        "   50.900              │                       ⊘ refused: outside the receive window  │",
        "   60.800              ├─ ACK  seq 1461  ack 1  win 65535  len 1460 ───✗ corrupted    │",
        "  272.000              │  ⏱ retransmission timer                                      │",
    ] {
        assert!(
            drawn.lines().any(|l| l == line),
            "no line {line:?} in\n{drawn}"
        );
    }
}

#[test]
fn chinese_words_keep_the_columns() {
    let drawn = text(
        &trouble().t,
        &Options {
            lang: Lang::Zh,
            ..PLAIN
        },
    );
    for line in [
        "   20.000 ESTABLISHED  ├─ ACK  ack 1739326487  win 65535 ────────────────────────────▶│",
        "                       │  第三次握手：双方序号均已确认                                │",
        "  272.000              │  ⏱ 重传定时器到期                                            │",
    ] {
        assert!(
            drawn.lines().any(|l| l == line),
            "no line {line:?} in\n{drawn}"
        );
    }
}

#[test]
fn colours_change_nothing_but_colours() {
    let (scene, colour) = (
        trouble(),
        Options {
            colour: true,
            ..PLAIN
        },
    );
    let drawn = text(&scene.t, &colour);
    assert!(drawn.contains("\x1b[31m─ ACK  seq 1461"), "losses are red");
    let mut plain = String::new();
    for piece in drawn.split('\x1b') {
        plain.push_str(if plain.is_empty() {
            piece
        } else {
            piece.split_once('m').unwrap().1
        });
    }
    let plain: Vec<&str> = plain.lines().map(str::trim_end).collect();
    assert_eq!(plain, text(&scene.t, &PLAIN).lines().collect::<Vec<_>>());
}

/// Twenty segments in order, one of them the last word of the sender's state.
fn bulk() -> Scene {
    let mut scene = Scene::new("10.0.0.1:1", "10.0.0.2:2");
    scene.shake_hands();
    for n in 0..20_u32 {
        let data = header(ACK, X + 1 + n * 1000, Y + 1);
        let at = 40_000 + u64::from(n) * 100;
        let packet = scene.send(at, 0, data, 1000, Reason::Data);
        scene.arrive(at + 10_000, 1, packet);
    }
    scene
}

#[test]
fn brief_counts_what_it_leaves_out() {
    let scene = bulk();
    let whole = text(&scene.t, &PLAIN);
    assert_eq!(whole.lines().filter(|l| l.contains("len 1000")).count(), 20);
    let brief = text(
        &scene.t,
        &Options {
            brief: Some(3),
            ..PLAIN
        },
    );
    assert_eq!(brief.lines().filter(|l| l.contains("len 1000")).count(), 3);
    assert!(
        brief.contains("… 17 more segments, 17000 octets …"),
        "{brief}"
    );
}

#[test]
fn a_live_host_is_drawn_from_what_it_sent_and_received() {
    let mut scene = Scene::new("10.0.0.1:80", "10.0.0.2:9");
    scene.wire = false;
    scene.on(0, 0, Event::ActiveOpen);
    scene.send(0, 0, header(SYN, X, 0), 0, Reason::Open);
    let received = |header: Header, len| TraceEvent::Received { header, len };
    scene.tcp(5_000, 0, received(header(SYN | ACK, Y, X + 1), 0));
    scene.on(5_000, 0, Event::SynAck);
    scene.send(5_000, 0, header(ACK, X + 1, Y + 1), 0, Reason::Handshake);
    scene.tcp(6_000, 0, received(header(ACK, Y + 101, X + 1), 100));
    let drawn = text(&scene.t, &PLAIN);
    let rest = drawn.split_once('\n').unwrap().1;
    assert_eq!(
        rest,
        "    \
    0.000 CLOSED       │                                                              │
    0.000 SYN-SENT     ├─ SYN  seq 3626544836  win 65535 ────────────────────────────▶│
                       │  open: own ISN, options offered                              │
    5.000              │◀──────── SYN,ACK  seq 1739326486  ack 3626544837  win 65535 ─┤
    5.000 ESTABLISHED  ├─ ACK  ack 1739326487  win 65535 ────────────────────────────▶│
                       │  the third: both numbers agreed                              │
    6.000              │◀─────────────────── ACK  seq 101  ack 1  win 65535  len 100 ─┤
                       │                     out of order: ahead of what is expected  │
"
        .trim_start_matches(' ')
        .to_owned()
        .split_inclusive('\n')
        .enumerate()
        .map(|(n, l)| if n == 0 {
            format!("    {l}")
        } else {
            l.to_owned()
        })
        .collect::<String>()
    );
}

#[test]
fn each_connection_has_a_ladder_of_its_own() {
    let mut scene = classic();
    scene.ends[0].set_port(3338);
    let p = scene.send(61_000_000, 0, header(SYN, X, 0), 0, Reason::Open);
    scene.arrive(61_010_000, 1, p);
    let rst = Header {
        window: 0,
        ..header(Flags::RST | ACK, 0, X + 1)
    };
    scene.send(61_010_000, 1, rst, 0, Reason::NoConnection);
    let drawn = text(&scene.t, &PLAIN);
    let second = drawn.split_once("\n\n── connection 2 of 2 ──\n").unwrap().1;
    assert!(drawn.starts_with("── connection 1 of 2 ──\n"));
    assert!(second.starts_with("  time ms client 192.168.1.116:3338 "));
    assert!(
        second.contains("◀───────────────────── RST,ACK  seq 0  ack 3626544837  win 0 ─┤"),
        "{second}"
    );
    assert!(second.contains("nobody is listening there"));
}

#[test]
fn nothing_to_draw_is_said() {
    assert_eq!(
        text(&Timeline::new(), &PLAIN),
        "no TCP connection was seen\n"
    );
}

#[test]
fn state_changes_between_two_segments_of_one_instant_stay_with_their_segment() {
    let mut scene = Scene::new("10.0.0.1:1", "10.0.0.2:2");
    scene.shake_hands();
    // TCP says both before either packet leaves.
    let (ack, fin) = (
        header(ACK, Y + 1, X + 2),
        header(Flags::FIN | ACK, Y + 1, X + 2),
    );
    let sent = |header, reason| TraceEvent::Sent {
        header,
        len: 0,
        segment_size: None,
        reason,
    };
    scene.on(50_000, 1, Event::Fin);
    scene.tcp(50_000, 1, sent(ack, Reason::AckOfFin));
    scene.on(50_000, 1, Event::Close);
    scene.tcp(50_000, 1, sent(fin, Reason::Close));
    let who = scene.who(1);
    for (n, header) in [(91, ack), (92, fin)] {
        let octets = crate::scene::packet_octets(who.local, who.remote, &header, 0);
        let (packet, host) = (crate::PacketId(n), crate::HostId(1));
        scene.t.left(micros(50_000), packet, host, &octets);
    }
    let drawn = text(&scene.t, &PLAIN);
    let states: Vec<&str> = drawn
        .lines()
        .filter(|l| l.starts_with("   50.000"))
        .map(|l| l.rsplit(' ').next().unwrap())
        .collect();
    assert_eq!(states, ["CLOSE-WAIT", "LAST-ACK"], "{drawn}");
}

proptest! {
    /// Whatever the numbers, addresses and words: no line is wider than it may be, and nothing panics.
    #[test]
    fn no_line_is_too_wide(
        flags in 0_u16..512,
        numbers in any::<[u32; 4]>(),
        window in any::<u16>(),
        len in 0_u32..2000,
        at in any::<u64>(),
        name in ".{0,120}",
        zh in any::<bool>(),
        lost in any::<bool>(),
    ) {
        let long = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff1]:65535";
        let mut scene = Scene::new(long, &long.replace("fff1", "fff2"));
        let host = scene.t.host(&name, &[]);
        let mut sack = SackBlocks::EMPTY;
        for pair in numbers.windows(2) {
            sack.push(SackBlock { left: pair[0], right: pair[1] });
        }
        let mut first = Header { window, ..header(Flags::from_bits(flags), numbers[0], numbers[1]) };
        first.options.sack = sack;
        let at = at / 2000;
        let packet = scene.send(at, 0, first, len, Reason::Challenge);
        if lost {
            scene.lose(at, packet, crate::Fate::TooBig);
        } else {
            scene.arrive(at.saturating_add(10), 1, packet);
        }
        let strange = woshou_tcp::Endpoints { local: "[::9]:1".parse().unwrap(), ..scene.who(0) };
        let ended = woshou_tcp::Ended::TimedOut(Some(woshou_tcp::error::PathError::Prohibited));
        scene.t.tcp(micros(at), host, &strange, TraceEvent::Ended { reason: ended });
        let lang = if zh { Lang::Zh } else { Lang::En };
        let options = Options { lang, ..PLAIN };
        let drawn = text(&scene.t, &options);
        for line in drawn.lines() {
            prop_assert!(line.width() <= WIDTH, "{} columns: {line}", line.width());
        }
        prop_assert!(roxmltree::Document::parse(&super::super::svg(&scene.t, &options)).is_ok());
    }
}

#[test]
fn a_false_alarm_is_told_in_both_languages() {
    let mut scene = bulk();
    let by = FalseAlarm::Eifel;
    scene.tcp(60_000, 0, TraceEvent::Undone { by });
    for (lang, words) in [
        (
            Lang::En,
            "│ ↶ false alarm: the original arrived, by its timestamp",
        ),
        (Lang::Zh, "│ ↶ 误判，恢复原状：时间戳表明原段已到达"),
    ] {
        let drawn = text(&scene.t, &Options { lang, ..PLAIN });
        let told = |line: &str| line.replace("│  ", "│ ").contains(words);
        assert!(drawn.lines().any(told), "{drawn}");
    }
}
