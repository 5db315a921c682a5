//! Figures: each where something happens that it counts.

use alloc::boxed::Box;
use core::time::Duration;

use woshou_wire::tcp_option::SackBlock;

use super::super::*;
use super::bench::Bench;
use super::pair::{ISS, LONG, Pair, octets};
use crate::info::TcpInfo;
use crate::segment::{Flags, Header};

fn info(pair: &mut Pair, side: usize) -> TcpInfo {
    let now = pair.now;
    pair.end(side).info(now)
}

#[test]
fn a_quiet_connection() {
    let mut pair = Pair::open(Config::default());
    pair.run_for(Duration::from_secs(5));
    let info = info(&mut pair, 0);
    let all = TcpInfo::TIMESTAMPS | TcpInfo::SACK | TcpInfo::WSCALE;
    assert_eq!((info.state, info.options), (State::Established, all));
    assert_eq!((info.snd_mss, info.advmss, info.pmtu), (1448, 1460, 1500));
    assert_eq!((info.snd_cwnd, info.cwnd), (10, 14_480));
    assert_eq!(info.snd_ssthresh, TcpInfo::NO_THRESHOLD);
    assert_eq!((info.rcv_mss, info.reordering), (536, 3));
    assert_eq!((info.unacked, info.busy_time), (0, Duration::ZERO));
    assert_eq!((info.data_segs_in, info.data_segs_out), (0, 0));
    assert_eq!((info.segs_in, info.segs_out), (1, 2));
    assert!(info.last_ack_recv >= Duration::from_secs(5));
    assert_eq!(info.rcv_ssthresh, 128 << 10);
}

#[test]
fn text_is_counted_in_segments_and_octets() {
    let mut pair = Pair::open(super::unprobed());
    pair.call(0, |c, _| c.set_nodelay(true));
    pair.write(0, &octets(10_000));
    pair.write(0, b"abc");
    let flying = info(&mut pair, 0);
    assert_eq!(flying.unacked, 8, "seven of a write, one of the other");
    assert_eq!((flying.unacked_octets, flying.notsent_bytes), (10_003, 0));
    assert_eq!((flying.data_segs_out, flying.bytes_sent), (8, 10_003));
    assert_eq!((flying.sacked, flying.lost, flying.retrans), (0, 0, 0));
    pair.run_for(Duration::from_secs(3));
    let sender = info(&mut pair, 0);
    assert_eq!((sender.unacked, sender.bytes_acked), (0, 10_003));
    assert!((7..=8).contains(&sender.delivered), "{}", sender.delivered);
    assert!(sender.last_data_sent >= Duration::from_millis(2900));
    assert!(sender.last_data_recv >= Duration::from_secs(3));
    let (least, most) = (Duration::from_millis(20), Duration::from_millis(70));
    let busy = sender.busy_time;
    assert!(busy >= least && busy <= most, "{busy:?}");
    let receiver = info(&mut pair, 1);
    assert_eq!(
        (receiver.data_segs_in, receiver.bytes_received),
        (8, 10_003)
    );
    assert_eq!(receiver.rcv_mss, 1448);
    assert!(receiver.last_data_recv < Duration::from_secs(3));
    assert_eq!(receiver.data_segs_out, 0);
}

#[test]
fn losses_and_timeouts() {
    let mut pair = Pair::open(super::unprobed());
    pair.drop = Box::new(|side, count, _| side == 0 && count == 2);
    pair.write(0, &octets(8 * 1448));
    pair.run_for(Duration::from_millis(15));
    let receiver = info(&mut pair, 1);
    assert_eq!((receiver.rcv_ooopack, receiver.rcv_ooo), (6, 6 * 1448));
    pair.run_for(Duration::from_millis(6));
    let sender = info(&mut pair, 0);
    assert_eq!(sender.ca_state, LossPhase::Recovery);
    assert_eq!((sender.sacked, sender.fackets), (6, 7));
    assert_eq!((sender.unacked, sender.retrans, sender.lost), (7, 1, 0));
    assert_eq!((sender.total_retrans, sender.total_rto), (1, 0));
    assert!(sender.snd_ssthresh < 10 && sender.ssthresh < 14_480);
    pair.run_for(LONG);
    assert_eq!(info(&mut pair, 0).delivered, 8);
    let cut = pair.now + Duration::from_secs(2);
    pair.drop = Box::new(move |side, _, flying| side == 0 && flying.arrives < cut);
    pair.write(0, b"x");
    pair.run_for(Duration::from_secs(1));
    let sender = info(&mut pair, 0);
    assert_eq!(sender.ca_state, LossPhase::Loss);
    assert!(sender.total_rto >= 2 && sender.total_rto_recoveries == 1);
    assert_eq!(u32::from(sender.retransmits), sender.total_rto);
    assert_eq!(sender.total_rto_time, Duration::ZERO);
    assert_eq!(sender.snd_cwnd, 1);
    pair.run_for(LONG);
    let sender = info(&mut pair, 0);
    let lasted = sender.total_rto_time;
    assert!(lasted > Duration::from_secs(1) && lasted < Duration::from_secs(5));
    assert_eq!((sender.retransmits, sender.total_rto_recoveries), (0, 1));
}

/// draft-ietf-ccwg-bbr sections 4.1.1.3, 4.1.2.4: what left while the user left nothing more to send says what he wrote; what left
/// while there was more says what the path takes.
#[test]
fn what_the_rate_says() {
    let mut pair = Pair::open(super::unprobed());
    pair.write(0, &octets(1000));
    pair.run_for(Duration::from_secs(1));
    pair.write(0, &octets(1000));
    pair.run_for(Duration::from_secs(1));
    let little = info(&mut pair, 0);
    assert!(little.delivery_rate_app_limited);
    assert!(little.delivery_rate > 0 && little.delivery_rate < 1000 * 1000);
    // More than the window lets go: from the second round trip on, the window is what holds back.
    pair.write(0, &octets(60_000));
    let much = loop {
        assert!(
            pair.step(),
            "all is acknowledged, and the rate was always the user's"
        );
        let much = info(&mut pair, 0);
        if !much.delivery_rate_app_limited {
            break much;
        }
    };
    assert!(much.delivery_rate > little.delivery_rate);
    pair.run_for(Duration::from_secs(1));
    pair.write(0, &octets(1000));
    pair.run_for(Duration::from_secs(1));
    assert!(info(&mut pair, 0).delivery_rate_app_limited);
}

#[test]
fn what_held_the_sender_back() {
    let config = Config {
        receive_buffer: 20_000,
        send_buffer: 4000,
        ..Config::default()
    };
    let mut pair = Pair::open(config);
    pair.call(0, |c, _| c.set_nodelay(true));
    pair.write(0, &octets(4000));
    assert_eq!(pair.write(0, b"more"), 0);
    pair.run_for(Duration::from_millis(15));
    let first = info(&mut pair, 0);
    assert!(first.sndbuf_limited >= Duration::from_millis(15));
    assert_eq!(first.rwnd_limited, Duration::ZERO);
    for _ in 0..10 {
        pair.write(0, &octets(4000));
        pair.run_for(Duration::from_secs(1));
    }
    let second = info(&mut pair, 0);
    assert!(second.rwnd_limited > Duration::from_secs(3));
    assert!(second.rwnd_limited + second.sndbuf_limited <= second.busy_time);
    assert!(second.probes > 0 && second.retransmits == 0);
    for _ in 0..10 {
        pair.read(1, 30_000);
        pair.run_for(Duration::from_secs(1));
    }
    let third = info(&mut pair, 0);
    pair.run_for(LONG);
    let last = info(&mut pair, 0);
    assert_eq!(last.busy_time, third.busy_time, "nothing is left to do");
    assert_eq!(last.rwnd_limited, third.rwnd_limited);
}

#[test]
fn duplicates_that_the_peer_reports() {
    let mut bench = Bench::new();
    let mut cx = Context::unwatched(bench.now);
    bench.connection.write(&mut cx, &octets(5000)).unwrap();
    bench.out();
    let block = |left, right| SackBlock {
        left: (ISS[1] + left).0,
        right: (ISS[1] + right).0,
    };
    let mut report = |ack: u32, blocks: &[SackBlock]| {
        let mut header = Header {
            seq: ISS[0] + 1,
            ack: ISS[1] + ack,
            flags: Flags::ACK,
            window: 1000,
            ..Header::default()
        };
        for block in blocks {
            header.options.sack.push(*block);
        }
        let segment = Segment {
            header,
            ..Segment::default()
        };
        let mut cx = Context::unwatched(bench.now);
        bench.connection.handle_segment(&mut cx, &segment).unwrap();
        bench.connection.info(bench.now).dsack_dups
    };
    assert_eq!(report(1, &[block(1461, 2921)]), 0);
    assert_eq!(report(1461, &[block(1, 1461)]), 1);
    assert_eq!(report(1461, &[block(3000, 3100), block(2921, 4381)]), 2);
    assert_eq!(report(1461, &[block(4381, 4381)]), 2, "nothing");
}
