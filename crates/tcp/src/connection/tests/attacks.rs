//! A peer that completes the handshake and then does what serves an attacker.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;
use core::time::Duration;

use woshou_wire::tcp_option::{SackBlock, TcpOptions};

use super::super::*;
use super::pair::{ISS, Pair, octets, setup};
use crate::memory::Pressure;
use crate::segment::{Flags, Header, Text};

const MSS: u32 = 1000;

/// Our connection, and the numbers of a peer who is the test. All are octets of text from the start.
struct Attack {
    now: Instant,
    connection: Box<Connection>,
    /// The peer's window, unscaled.
    window: u32,
    sent: u64,
    segments: u64,
}

impl Attack {
    fn new(config: Config, peer_mss: u16) -> Self {
        let now = Instant::from_millis(5);
        let agreed = Agreed {
            irs: ISS[0],
            peer_mss,
            scaling: true,
            send_scale: 14,
            receive_scale: 0,
            sack: true,
            timestamps: None,
            ecn: false,
        };
        let syn_ack = SynAck {
            sent_at: Some(Instant::ZERO),
            repeats: 0,
        };
        let config = Config {
            timestamps: false,
            ..config
        };
        let mut cx = Context::unwatched(now);
        let connection = Connection::passive(&mut cx, setup(1), agreed, Arc::new(config), syn_ack);
        let mut attack = Self {
            now,
            connection,
            window: 1 << 20,
            sent: 0,
            segments: 0,
        };
        attack.ack(0, &[]).unwrap();
        attack
    }

    fn default() -> Self {
        Self::new(Config::default(), 1000)
    }

    fn write(&mut self, octets: usize) -> usize {
        let mut cx = Context::unwatched(self.now);
        let written = self.connection.write(&mut cx, &vec![7; octets]);
        written.unwrap_or(0)
    }

    /// Everything owed leaves; returns octets of text.
    fn drain(&mut self) -> u64 {
        let before = self.sent;
        while let Some(plan) = self.connection.plan(self.now, MSS) {
            let mut cx = Context::unwatched(self.now);
            self.sent += self.connection.build(&mut cx, plan).text_len() as u64;
            self.segments += 1;
        }
        self.sent - before
    }

    fn hear(
        &mut self,
        seq: u32,
        ack: u32,
        sack: &[(u32, u32)],
        text: &[u8],
    ) -> Result<(), Refusal> {
        let ours = ISS[1] + 1;
        let mut options = TcpOptions::default();
        for (left, right) in sack {
            options.sack.push(SackBlock {
                left: (ours + *left).0,
                right: (ours + *right).0,
            });
        }
        let segment = Segment {
            header: Header {
                seq: ISS[0] + 1 + seq,
                ack: ours + ack,
                flags: Flags::ACK,
                window: u16::try_from(self.window >> 14).unwrap(),
                options,
                ..Header::default()
            },
            text: Text {
                octets: text,
                owner: None,
            },
            ..Segment::default()
        };
        let mut cx = Context::unwatched(self.now);
        self.connection.handle_segment(&mut cx, &segment)
    }

    fn ack(&mut self, ack: u32, sack: &[(u32, u32)]) -> Result<(), Refusal> {
        self.hear(0, ack, sack, b"")
    }

    fn cwnd(&self) -> u64 {
        self.connection.congestion.window()
    }

    /// Octets that stand between SND.UNA and SND.NXT.
    fn flight(&self) -> u32 {
        self.connection
            .snd
            .nxt
            .distance_from(self.connection.snd.una)
    }
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_grows_nothing() {
    let mut attack = Attack::default();
    attack.write(100_000);
    let sent = u32::try_from(attack.drain()).unwrap();
    let cwnd = attack.cwnd();
    for beyond in [1, 1000, 1 << 20, 1 << 30] {
        assert_eq!(attack.ack(sent + beyond, &[]), Err(Refusal::AckOfUnsent));
    }
    assert_eq!((attack.cwnd(), attack.flight()), (cwnd, sent));
}

#[test]
fn optimistic_acknowledgements_grow_the_window_no_further_than_the_buffer() {
    // Of text that is on its way, at once: the sender cannot know. What it sends ahead is what it was allowed anyway.
    let config = Config {
        send_buffer: 100_000,
        ..Config::default()
    };
    let mut attack = Attack::new(config, 1000);
    let mut acked = 0;
    for _ in 0..300 {
        attack.write(200_000);
        let sent = attack.drain();
        assert!(sent <= 100_000, "{sent}");
        acked += attack.flight();
        attack.ack(acked, &[]).unwrap();
    }
    assert!(attack.cwnd() <= 202_000, "{}", attack.cwnd());
}

#[test]
fn forged_duplicates_send_no_more_than_the_window() {
    let mut attack = Attack::default();
    attack.write(1 << 20);
    attack.window = 1 << 15;
    let first = attack.drain();
    attack.ack(0, &[]).unwrap();
    for _ in 0..10_000 {
        let _ = attack.ack(0, &[]);
        attack.drain();
    }
    // The initial window, what limited transmit may add, and what was repaired once.
    assert!(
        attack.sent <= first + 3 * u64::from(MSS),
        "{} after {first}",
        attack.sent
    );
}

#[test]
fn reneging_is_seen_when_una_comes_there() {
    let mut attack = Attack::default();
    attack.write(10_000);
    assert_eq!(attack.drain(), 10_000);
    attack.now += Duration::from_millis(50);
    attack.ack(1000, &[(3000, 6000)]).unwrap();
    attack.drain();
    // The hole is filled, and what was reported behind it is gone.
    attack.now += Duration::from_millis(50);
    attack.ack(3000, &[]).unwrap();
    assert_eq!(
        attack
            .connection
            .snd
            .in_flight
            .next_lost()
            .map(|(_, len)| len),
        Some(3000)
    );
    let again = attack.drain();
    assert!(again >= 1000, "sent again without a timeout: {again}");
    attack.ack(10_000, &[]).unwrap();
    assert_eq!(attack.connection.snd.in_flight.octets(), 0);
}

#[test]
fn reneging_at_a_timeout_forgets_all_reports() {
    let mut attack = Attack::default();
    attack.write(10_000);
    attack.drain();
    // Reported by SACK from the second octet on, then silence.
    attack.ack(0, &[(1, 10_000)]).unwrap();
    attack.drain();
    assert_eq!(attack.ack(1, &[]), Ok(()));
    attack.drain();
    for _ in 0..3 {
        attack.now = attack.connection.poll_timeout().unwrap();
        attack
            .connection
            .handle_timeout(&mut Context::unwatched(attack.now));
        assert!(attack.drain() > 0, "goes again");
    }
}

#[test]
fn a_block_at_una_says_nothing() {
    let mut attack = Attack::default();
    attack.write(5_000);
    attack.drain();
    attack.ack(0, &[(0, 5000)]).unwrap();
    assert!(!attack.connection.snd.in_flight.has_sacked());
}

#[test]
fn a_window_that_flaps_has_everything_sent_again_once_a_round_trip() {
    let mut attack = Attack::default();
    attack.write(200_000);
    attack.drain();
    attack.now += Duration::from_millis(100);
    // SRTT is some 17 ms now: a sixth of the time that follows.
    attack.ack(1000, &[]).unwrap();
    attack.drain();
    let before = attack.sent;
    for _ in 0..100 {
        attack.now += Duration::from_millis(1);
        for window in [0, 1 << 20] {
            attack.window = window;
            let _ = attack.ack(1000, &[]);
            attack.drain();
        }
    }
    let again = attack.sent - before;
    assert!(
        again <= 8 * attack.cwnd(),
        "{again} octets for 200 acknowledgements"
    );
}

#[test]
fn a_window_that_shrinks_is_obeyed_and_harms_nothing() {
    let mut attack = Attack::default();
    attack.write(100_000);
    attack.drain();
    for shift in (14..20).rev() {
        attack.window = 1 << shift;
        attack.ack(0, &[]).unwrap();
        assert_eq!(attack.drain(), 0, "nothing new beyond the edge");
    }
    assert_eq!(attack.connection.state(), State::Established);
}

#[test]
fn sack_panic_small_segments_and_many_blocks() {
    // CVE-2019-11477, -11478, -11479: MSS 48 (here 1, which the floor lifts), SACK in fragments of it.
    let config = Config {
        send_buffer: 1 << 20,
        ..Config::default()
    };
    let mut attack = Attack::new(config, 1);
    attack.write(1 << 20);
    let mut acked = 0;
    for _ in 0..200 {
        attack.drain();
        let flight = attack.flight();
        let most = flight.saturating_sub(200);
        for at in (acked + 1..acked + most).step_by(177).take(400) {
            let blocks = [(at, at + 1), (at + 40, at + 41), (at + 90, at + 133)];
            attack.ack(acked, &blocks).unwrap();
        }
        attack.drain();
        acked += flight / 2;
        attack.ack(acked, &[]).unwrap();
        let records = attack.connection.snd.in_flight.memory() / 40;
        assert!(
            records <= 4096 + flight as usize / 10,
            "{records} records for {flight} octets"
        );
    }
    assert!(
        attack.connection.snd.mss >= 40,
        "the floor: {}",
        attack.connection.snd.mss
    );
}

#[test]
fn a_peer_that_acknowledges_single_octets_costs_no_more_than_it_gets() {
    let mut attack = Attack::default();
    attack.write(5_000);
    attack.drain();
    let (before, segments) = (attack.cwnd(), attack.segments);
    for acked in 1..=5_000 {
        attack.ack(acked, &[]).unwrap();
        attack.drain();
    }
    assert!(
        attack.cwnd() <= before + 5_000,
        "RFC 3465: by octets, not by acknowledgements"
    );
    assert_eq!(attack.segments, segments, "nothing leaves for it");
    assert_eq!(attack.connection.memory(), 0);
}

#[test]
fn single_octets_with_holes_are_bounded() {
    // SegmentSmack, CVE-2018-5390: every other octet.
    let mut attack = Attack::default();
    let mut refused = 0;
    for at in (1..60_000).step_by(2) {
        refused += usize::from(attack.hear(at, 0, &[], b"x").is_err());
        attack.drain();
    }
    let most = attack.connection.config.receive_buffer * 3 / 2;
    assert!(
        attack.connection.memory() <= most,
        "{}",
        attack.connection.memory()
    );
    assert!(refused > 20_000 && attack.connection.rcv.reassembly.ranges() <= 4096);
    // The rest comes at last, in order.
    attack.hear(0, 0, &[], &vec![b'x'; 60_000]).unwrap();
    assert_eq!(attack.connection.readable(), 60_000);
    assert!(attack.connection.rcv.reassembly.is_empty());
}

#[test]
fn holes_in_a_small_buffer_cost_half_of_it_more_and_no_more() {
    let config = Config {
        receive_buffer: 20_000,
        ..Config::default()
    };
    let mut attack = Attack::new(config, 1000);
    for at in (1..20_000).step_by(2) {
        let _ = attack.hear(at, 0, &[], b"x");
        attack.drain();
        assert!(attack.connection.memory() <= 30_000, "{at}");
    }
}

#[test]
fn overlapping_text_that_differs_the_first_wins() {
    let mut attack = Attack::default();
    attack.hear(5, 0, &[], b"FIRST").unwrap();
    attack.hear(3, 0, &[], b"second!!!!").unwrap();
    attack.hear(0, 0, &[], b"0123456789abcdefg").unwrap();
    let mut read = [0; 32];
    let len = attack.connection.read(&mut read).unwrap();
    assert_eq!(&read[..len], b"012seFIRST!!!defg");
    // Nor does what was read already change, nor what waits to be read.
    attack.hear(10, 0, &[], b"XXXXXXXmore").unwrap();
    let len = attack.connection.read(&mut read).unwrap();
    assert_eq!(&read[..len], b"more");
}

#[test]
fn under_pressure_the_edge_stays_and_text_waits() {
    let mut attack = Attack::default();
    let text = vec![7; 1000];
    attack.hear(0, 0, &[], &text).unwrap();
    attack.drain();
    let edge = attack.connection.rcv.adv;
    attack.connection.set_pressure(Pressure::Pressure);
    for segment in 1..65 {
        attack.hear(segment * 1000, 0, &[], &text).unwrap();
        let _ = attack.connection.read(&mut [0; 2000]);
        attack.drain();
        assert!(attack.connection.rcv.adv.at_or_after(edge), "SHLD-14");
    }
    assert!(
        attack.connection.rcv.wnd() >= 1000,
        "some segments are always welcome"
    );
    assert!(
        attack.connection.rcv.wnd() <= 4000,
        "{}",
        attack.connection.rcv.wnd()
    );
    // Near the end: only what the user has room in mind for.
    attack.connection.set_pressure(Pressure::Critical);
    while attack.connection.read(&mut [0; 2000]).is_ok() {}
    assert_eq!(attack.hear(66_000, 0, &[], &text), Err(Refusal::NoMemory));
    attack.hear(65_000, 0, &[], &text).unwrap();
    assert_eq!(attack.hear(66_000, 0, &[], &text), Err(Refusal::NoMemory));
    attack.connection.read(&mut [0; 2000]).unwrap();
    attack.hear(66_000, 0, &[], &text).unwrap();
    attack.connection.read(&mut [0; 2000]).unwrap();
    attack.connection.on_relief();
    assert!(attack.segments > 0 && attack.drain() == 0);
    assert!(
        attack.connection.rcv.wnd() > 60_000,
        "the peer hears that there is room"
    );
}

#[test]
fn where_memory_is_all_but_used_up_no_whole_train_of_segments_is_taken() {
    for (pressure, taken) in [(Pressure::Pressure, 20_000), (Pressure::Critical, 2_048)] {
        let mut attack = Attack::default();
        attack.connection.set_pressure(pressure);
        attack.hear(0, 0, &[], &vec![7; 20_000]).unwrap();
        assert_eq!(attack.connection.readable(), taken, "{pressure:?}");
    }
}

/// The "shrew": a pulse whenever the timer fires. No sender can tell it from congestion, and while it lasts little gets
/// through; but the connection survives, and is as fast as ever soon after.
#[test]
fn pulses_at_every_timeout_starve_a_connection_and_do_not_end_it() {
    let mut pair = Pair::open(Config::default());
    let all = octets(60_000);
    // Everything that leaves within 50 ms of every multiple of 200 ms is lost: the least timeout and all its doublings.
    let clock = Rc::new(Cell::new(pair.now));
    let hit = Rc::clone(&clock);
    let begun = pair.now;
    pair.drop = Box::new(move |_, _, _| {
        let since = hit.get().since(begun);
        since < Duration::from_secs(20) && since.as_millis() % 200 < 50
    });
    pair.write(0, &all);
    let mut got = Vec::new();
    while got.len() < all.len() {
        pair.step();
        clock.set(pair.now);
        got.extend(pair.read(1, 100_000));
        assert!(
            pair.now.since(begun) < Duration::from_secs(60),
            "{}",
            got.len()
        );
    }
    assert!(got == all);
    let now = pair.now;
    assert!(pair.end(0).info(now).total_retrans >= 5);
}
