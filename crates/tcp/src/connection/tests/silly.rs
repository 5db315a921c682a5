//! Windows that are odd: shut with text in the segment, scaled too far, opened by an octet at a time; and duplicates forged where
//! nothing was agreed.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use woshou_wire::tcp_option::TcpOptions;

use super::super::*;
use super::bench::Bench;
use super::pair::{ISS, Pair, octets, setup};
use crate::segment::{Flags, Header};

/// The peer acknowledges `ack` and offers `window`, unscaled.
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

fn write(bench: &mut Bench, len: usize) {
    let mut cx = Context::unwatched(bench.now);
    bench.connection.set_nodelay(true);
    assert_eq!(bench.connection.write(&mut cx, &vec![7; len]), Ok(len));
}

fn sent(bench: &mut Bench) -> usize {
    bench.out().iter().map(|out| out.3).sum()
}

/// Text at RCV.NXT while our window is shut: not taken, answered by an acknowledgement of what was expected, and what it
/// acknowledges and offers counts (RFC 9293 section 3.10.7.4, first check).
#[test]
fn text_into_a_shut_window_is_answered_and_not_taken() {
    for len in [1usize, 2, 500, 1460] {
        let mut bench = Bench::new();
        let mut config = Config::clone(bench.connection.config());
        config.receive_buffer = 3000;
        bench.connection.set_config(bench.now, Arc::new(config));
        let mut next = 1;
        while bench.connection.rcv.offer().0 > 0 || bench.connection.rcv.wnd() > 0 {
            let fits = bench.connection.rcv.wnd().min(1000) as usize;
            bench
                .segment(Flags::ACK, next, 1, &vec![b'a'; fits])
                .unwrap();
            next += i64::try_from(fits).unwrap();
            bench.out();
        }
        let held = bench.connection.readable();
        let _ = bench.segment(Flags::ACK, next, 1, &vec![b'x'; len]);
        assert_eq!(bench.connection.readable(), held, "{len}");
        let out = bench.out();
        assert_eq!(out.len(), 1, "{len}: {out:?}");
        assert_eq!((i64::from(out[0].2), out[0].3), (next, 0));
        // Once there is room the same text is taken.
        while bench.connection.read(&mut [0; 4000]).is_ok() {}
        bench.out();
        bench
            .segment(Flags::ACK, next, 1, &vec![b'x'; len])
            .unwrap();
        assert_eq!(bench.connection.readable(), len);
    }
}

/// RFC 7323 section 2.3: what is above 14 counts as 14, whatever the field holds.
#[test]
fn a_window_scale_of_any_size() {
    for scale in [0u8, 1, 7, 13, 14, 15, 16, 31, 32, 64, 255] {
        let now = Instant::from_millis(5);
        let mut cx = Context::unwatched(now);
        let config = Arc::new(Config::default());
        let mut opening = Opening::new(&mut cx, setup(0), config);
        let plan = opening.plan(now, 1460).unwrap();
        opening.build(&mut cx, plan);
        let mut header = Header {
            seq: ISS[1],
            ack: ISS[0] + 1,
            flags: Flags::SYN | Flags::ACK,
            window: 65_535,
            options: TcpOptions {
                mss: Some(1460),
                window_scale: Some(scale),
                ..TcpOptions::default()
            },
            ..Header::default()
        };
        let segment = |header| Segment {
            header,
            ..Segment::default()
        };
        let Ok(Opened::Connection(mut connection)) =
            opening.handle_segment(&mut cx, &segment(header))
        else {
            panic!("{scale}");
        };
        // A SYN's own window is never scaled.
        assert_eq!(connection.info(now).snd_wnd, 65_535, "{scale}");
        for window in [0u16, 1, 3, 65_535] {
            header.seq = ISS[1] + 1;
            header.flags = Flags::ACK;
            header.window = window;
            header.options = TcpOptions::default();
            connection
                .handle_segment(&mut cx, &segment(header))
                .unwrap();
            let expected = u32::from(window) << scale.min(14);
            assert_eq!(connection.info(now).snd_wnd, expected, "{scale}");
        }
    }
}

/// RFC 9293 section 3.8.6.2.1: a peer that opens its window by an octet at a time does not get segments of an octet.
#[test]
fn a_window_that_opens_by_single_octets_gets_no_silly_segments() {
    let mut bench = Bench::new();
    offer(&mut bench, 1, 1460);
    write(&mut bench, 20_000);
    assert_eq!(sent(&mut bench), 1460);
    for window in 0..1460 {
        offer(&mut bench, 1461, window);
        assert_eq!(sent(&mut bench), 0, "{window}");
        bench.now += Duration::from_micros(50);
    }
    offer(&mut bench, 1461, 1460);
    assert_eq!(sent(&mut bench), 1460);
    offer(&mut bench, 2921, 10);
    assert_eq!(sent(&mut bench), 0);
    // What waits longer than that goes all the same (the override timer is the probe's).
    bench.now = bench.connection.poll_timeout().unwrap();
    let mut cx = Context::unwatched(bench.now);
    bench.connection.handle_timeout(&mut cx);
    assert_eq!(sent(&mut bench), 10);
}

/// The other side of it: our window opens by segments, however little is read at a time (RFC 9293 section 3.8.6.2.2).
#[test]
fn our_window_opens_by_segments_to_a_user_who_reads_single_octets() {
    let mut pair = Pair::open(Config {
        receive_buffer: 8000,
        ..Config::default()
    });
    pair.write(0, &octets(8000));
    pair.run_for(Duration::from_secs(1));
    pair.log.clear();
    let (mut updates, mut got) = (0, Vec::new());
    for _ in 0..4000 {
        got.extend(pair.read(1, 1));
        pair.run_for(Duration::from_millis(1));
        updates += pair.log.iter().filter(|sent| sent.0 == 1).count();
        pair.log.clear();
    }
    assert_eq!(got.len(), 4000);
    assert!(
        updates > 0 && updates <= 8,
        "{updates} updates for 4,000 reads"
    );
}

/// DupACK spoofing (Savage et al. 1999): without SACK each duplicate may stand for a segment that left. What that may send is
/// bounded by the window, and what is repeated is one segment.
#[test]
fn forged_duplicates_without_sack_repeat_one_segment() {
    let mut bench = Bench::new();
    let mut config = Config::clone(bench.connection.config());
    config.fix_send_buffer(1 << 20);
    bench.connection.set_config(bench.now, Arc::new(config));
    bench.connection.agreed.sack = false;
    offer(&mut bench, 1, 60_000);
    write(&mut bench, 200_000);
    let first = sent(&mut bench);
    let window = bench.connection.info(bench.now).cwnd;
    let (mut repeated, mut new) = (0, 0);
    for _ in 0..10_000 {
        let mut cx = Context::unwatched(bench.now);
        let segment = Segment {
            header: Header {
                seq: ISS[0] + 1,
                ack: ISS[1] + 1,
                flags: Flags::ACK,
                window: 60_000,
                ..Header::default()
            },
            ..Segment::default()
        };
        let _ = bench.connection.handle_segment(&mut cx, &segment);
        for out in bench.out() {
            if out.1 == 1 {
                repeated += 1;
            } else {
                new += out.3;
            }
        }
    }
    assert_eq!(repeated, 1);
    // Never more than was offered, and no more than what flew before gave duplicates for.
    assert!(first + new <= 60_000, "{first} and {new}");
    assert!(new as u64 <= window + 3 * 1460, "{new} of {window}");
    assert!(bench.connection.info(bench.now).cwnd <= window + first as u64 + 3 * 1460);
}
