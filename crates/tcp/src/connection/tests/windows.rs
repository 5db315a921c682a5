//! Windows as numbers, and whose algorithm opens them.

use alloc::boxed::Box;

use super::super::*;
use super::pair::{LONG, Pair, octets};
use crate::congestion::{AckSample, CongestionFactory, Trouble};

/// The greatest window that any peer can offer is taken for what it is: neither negative nor cut to 16 bits.
#[test]
//= rfc9293 MUST-1 test
//= rfc9293 REC-1 test
fn the_greatest_window_counts_in_full() {
    let config = Config {
        receive_buffer: 1 << 30,
        receive_buffer_start: 1 << 30,
        window_scale: Some(14),
        initial_window: 60,
        ..Config::default()
    };
    let mut pair = Pair::open(config);
    pair.write(0, &octets(60_000));
    let flies = pair.end(0).snd.in_flight.octets();
    assert!(
        flies > 50_000,
        "{flies}: more than a signed field could say"
    );
    pair.run_for(LONG);
    let now = pair.now;
    let window = pair.end(0).info(now).snd_wnd;
    assert!(window > 0x3fff_0000, "{window}");
    assert_eq!(pair.end(1).readable(), 60_000);
}

/// Some tenths of a segment, whatever happens.
#[derive(Clone, Copy, Debug)]
struct Tenths {
    mss: u32,
    tenths: u64,
}

impl CongestionControl for Tenths {
    fn on_ack(&mut self, _: &AckSample) {}
    fn on_trouble(&mut self, _: Instant, _: Trouble, _: u64) {}
    fn on_recovered(&mut self, _: Instant) {}
    fn undo(&mut self, _now: Instant) {}
    fn set_mss(&mut self, mss: u32) {
        self.mss = mss;
    }
    fn window(&self) -> u64 {
        u64::from(self.mss) * self.tenths / 10
    }
    fn threshold(&self) -> u64 {
        u64::MAX
    }
    fn name(&self) -> &'static str {
        "tenths"
    }
}

impl CongestionFactory for Tenths {
    fn make(&self, mss: u32, _: u64) -> Box<dyn CongestionControl> {
        Box::new(Self { mss, ..*self })
    }
    fn name(&self) -> &'static str {
        "tenths"
    }
}

#[test]
//= rfc9293 MAY-18 test
fn another_algorithm_may_open_the_window() {
    let config = Config {
        congestion: Arc::new(Tenths {
            mss: 0,
            tenths: 100,
        }),
        receive_buffer_start: 1 << 20,
        send_buffer_start: 1 << 20,
        ..Config::default()
    };
    let mut pair = Pair::open(config);
    let text = octets(200_000);
    pair.write(0, &text);
    pair.run_for(LONG);
    let info = pair.end(0).info(Instant::ZERO);
    assert_eq!(info.cwnd, 10 * u64::from(info.snd_mss));
    assert_eq!(pair.read(1, 300_000), text);
}

/// An algorithm that allows less than a segment slows a connection down; it does not stop it for good.
#[test]
fn one_segment_may_always_fly() {
    let config = Config {
        congestion: Arc::new(Tenths { mss: 0, tenths: 1 }),
        ..Config::default()
    };
    let mut pair = Pair::open(config);
    let text = octets(20_000);
    pair.write(0, &text);
    pair.run_for(LONG);
    assert_eq!(pair.read(1, 30_000), text);
}

/// Text that came twice is reported once, first of the blocks (RFC 2883 section 4).
#[test]
fn what_came_again_is_reported_first_and_once() {
    let mut pair = Pair::open(Config::default());
    // Its acknowledgements are lost, so the sender's timer repeats what is there already.
    pair.drop = Box::new(|side, count, _| side == 1 && count <= 2);
    pair.write(0, b"abc");
    pair.run_for(LONG);
    let reported = pair.log.iter().filter(|sent| sent.0 == 1);
    let blocks: usize = reported
        .map(|sent| sent.2.options.sack.as_slice().len())
        .sum();
    assert!(blocks > 0, "{:?}", pair.reasons(1));
    for (_, _, header, _) in pair.log.iter().filter(|sent| sent.0 == 1) {
        for block in header.options.sack.as_slice() {
            let (left, right) = (SeqNum(block.left), SeqNum(block.right));
            assert_eq!(right - left.0, SeqNum(3));
            assert!(right.at_or_before(header.ack), "below the acknowledgement");
        }
    }
}
