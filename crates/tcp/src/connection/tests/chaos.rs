//! Two ends that read, write and close at random, joined by a network that loses, repeats and reorders.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use super::super::*;
use super::dice::{Dice, for_seeds};
use crate::WriteError;
use crate::listener::Listener;
use crate::segment::{Flags, Header, Text, Transmit};
use crate::time_wait::TimeWaitAction;

/// Losses end here, so that everything must end.
const CALM: Instant = Instant::from_millis(400_000);

struct Flying {
    arrives: Instant,
    header: Header,
    text: Vec<u8>,
    coalesced: u16,
}

enum End {
    Listener(Box<Listener>),
    Opening(Box<Opening>),
    Connection(Box<Connection>),
}

/// What a user does with its end.
struct Script {
    to_write: usize,
    written: usize,
    read: usize,
    /// The most read and written at once.
    step: usize,
    /// The longest pause between two acts.
    pause: u64,
    acts_at: Instant,
    /// Lets go after its own text is written, instead of waiting for the peer's.
    leaves: bool,
    /// Aborts when so much was written.
    aborts_at: Option<usize>,
    shut: bool,
    at_end: bool,
    /// Acts in a row that came to nothing: it looks less often.
    idle: u64,
}

impl Script {
    fn new(dice: &mut Dice) -> Self {
        let most = dice.pick(&[0, 1, 300, 5_000, 60_000, 300_000]);
        Self {
            to_write: dice.size(most + 1),
            written: 0,
            read: 0,
            step: dice.pick(&[3_000, 30_000, 400_000]),
            pause: dice.pick(&[1, 20, 300, 3_000]),
            acts_at: Instant::ZERO,
            leaves: dice.chance(8),
            aborts_at: dice.chance(4).then(|| dice.size(most + 1)),
            shut: false,
            at_end: false,
            idle: 0,
        }
    }

    fn is_orderly(&self) -> bool {
        !self.leaves && self.aborts_at.is_none()
    }
}

struct World {
    dice: Dice,
    now: Instant,
    ends: [End; 2],
    time_wait: [Option<TimeWait>; 2],
    scripts: [Script; 2],
    wire: [Vec<Flying>; 2],
    setups: [Setup; 2],
    /// Percent.
    loss: u64,
    repeats: u64,
    delay: u64,
    jitter: u64,
    events: u64,
    /// Prints what is sent: `CHAOS_SHOW=1`.
    shows: bool,
}

/// What `side` writes at `offset`.
fn octet(side: usize, offset: usize) -> u8 {
    (offset * 31 + offset / 251 + side * 101) as u8
}

pub(super) fn config(dice: &mut Dice) -> Config {
    let buffers = [600, 3_000, 20_000, 100_000, 1 << 20];
    Config {
        sack: dice.chance(60),
        timestamps: dice.chance(60),
        window_scaling: dice.chance(60),
        window_scale: dice.chance(20).then(|| dice.below(15) as u8),
        nagle: dice.chance(50),
        mss: dice.chance(40).then(|| dice.pick(&[100, 536, 1000])),
        receive_buffer: dice.pick(&buffers),
        send_buffer: dice.pick(&buffers),
        delayed_ack: Duration::from_millis(dice.pick(&[0, 1, 40, 400])),
        ack_every: dice.pick(&[1, 2, 2, 4]),
        quick_acks: dice.pick(&[0, 0, 4]),
        initial_window: dice.pick(&[1, 4, 10]),
        open_timeout: Duration::from_secs(3_000),
        time_wait: Duration::from_secs(3_000),
        ..Config::default()
    }
}

fn setups(dice: &mut Dice) -> [Setup; 2] {
    let addresses: [SocketAddr; 2] = [
        "192.0.2.1:40000".parse().unwrap(),
        "192.0.2.2:80".parse().unwrap(),
    ];
    [0, 1].map(|side| Setup {
        endpoints: Endpoints {
            local: addresses[side],
            remote: addresses[1 - side],
        },
        iss: SeqNum(0) - (dice.below(100_000) as u32),
        timestamp_offset: 0u32.wrapping_sub(dice.below(2_000) as u32),
        send_mss: 1460,
        receive_mss: dice.pick(&[1460, 1460, 576]),
    })
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let setups = setups(&mut dice);
        let at_once = dice.chance(25);
        let mut cx = Context::unwatched(Instant::ZERO);
        let ends = [0, 1].map(|side| {
            let config = Arc::new(config(&mut dice));
            if side == 1 && !at_once {
                End::Listener(Box::new(Listener::new(config, 1, [7; 16])))
            } else {
                End::Opening(Box::new(Opening::new(&mut cx, setups[side], config)))
            }
        });
        Self {
            now: Instant::ZERO,
            ends,
            time_wait: [None, None],
            scripts: [Script::new(&mut dice), Script::new(&mut dice)],
            wire: [Vec::new(), Vec::new()],
            setups,
            loss: dice.pick(&[0, 0, 1, 5, 20]),
            repeats: dice.pick(&[0, 0, 5]),
            delay: dice.pick(&[0, 1, 20, 300]),
            jitter: dice.pick(&[0, 0, 2, 50]),
            events: 0,
            shows: std::env::var_os("CHAOS_SHOW").is_some(),
            dice,
        }
    }

    /// The network takes a segment.
    fn send(&mut self, side: usize, header: Header, text: Vec<u8>, coalesced: u16) {
        let stormy = self.now < CALM;
        let copies = match stormy {
            true if self.dice.chance(self.loss) => 0,
            true if self.dice.chance(self.repeats) => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let late = self.delay + self.dice.below(self.jitter + 1);
            let flying = Flying {
                arrives: self.now + Duration::from_millis(late),
                header,
                text: text.clone(),
                coalesced,
            };
            self.wire[side].push(flying);
        }
    }

    /// A device that cuts super-segments; now and then the other side's puts them together again.
    fn send_cut(&mut self, side: usize, header: Header, text: &[u8], size: Option<u16>) {
        let size = size.map_or(text.len(), usize::from).max(1);
        let pieces = text.len().div_ceil(size).max(1);
        let coalesces = self.dice.chance(30);
        if coalesces && pieces > 1 {
            return self.send(side, header, text.to_vec(), pieces as u16);
        }
        for piece in 0..pieces {
            let start = piece * size;
            let end = text.len().min(start + size);
            let mut header = header;
            header.seq += start as u32;
            if end < text.len() {
                header.flags = header.flags.without(Flags::FIN | Flags::PSH);
            }
            self.send(side, header, text[start..end].to_vec(), 1);
        }
    }

    /// Everything that an end owes leaves.
    fn transmit(&mut self, side: usize) {
        for count in 0.. {
            assert!(count < 5_000, "{} segments at once", count);
            let most = self.dice.pick(&[700, 1460, 1460, 10_000, 65_535]) as u32;
            let mut cx = Context::unwatched(self.now);
            let transmit = match &mut self.ends[side] {
                End::Listener(listener) => listener.poll_transmit(&mut cx).map(|(_, t)| t),
                End::Opening(opening) => opening
                    .plan(self.now, most)
                    .map(|p| opening.build(&mut cx, p)),
                End::Connection(connection) => {
                    let plan = connection.plan(self.now, most);
                    assert_eq!(plan, connection.plan(self.now, most), "plan is pure");
                    plan.map(|plan| connection.build(&mut cx, plan))
                }
            };
            let Some(Transmit {
                header,
                text,
                segment_size,
                reason,
                ..
            }) = transmit
            else {
                break;
            };
            let text = text.concat();
            assert!(
                text.len() <= 1460.max(most as usize),
                "{} octets, {most} allowed",
                text.len()
            );
            self.events += 1;
            if self.shows {
                let Header {
                    seq,
                    ack,
                    flags,
                    window,
                    ..
                } = header;
                let (now, len) = (self.now, text.len());
                let sack = header.options.sack;
                let sack = sack.as_slice();
                std::println!(
                    "{now} {side} {flags} {seq}+{len} ack {ack} win {window} {reason:?} {sack:?}"
                );
            }
            self.send_cut(side, header, &text, segment_size);
        }
        if let End::Connection(connection) = &mut self.ends[side] {
            connection.check();
            if self.time_wait[side].is_none() {
                self.time_wait[side] = connection.time_wait();
            }
        }
    }

    fn arrive(&mut self, side: usize, flying: &Flying) {
        let mut cx = Context::unwatched(self.now);
        let segment = Segment {
            header: flying.header,
            text: Text {
                octets: &flying.text,
                owner: None,
            },
            coalesced: flying.coalesced,
            ..Segment::default()
        };
        let endpoints = self.setups[side].endpoints;
        if let Some(time_wait) = &mut self.time_wait[side] {
            if let TimeWaitAction::Acknowledge(header) =
                time_wait.handle_segment(&mut cx, &endpoints, &segment)
            {
                self.send(side, header, vec![], 1);
            }
            return;
        }
        match &mut self.ends[side] {
            End::Listener(listener) => {
                let made = if listener.is_half_open(&endpoints) {
                    listener
                        .handle_segment(&mut cx, &endpoints, &segment)
                        .ok()
                        .flatten()
                } else {
                    let _ = listener.handle_syn(&mut cx, &self.setups[side], &segment);
                    None
                };
                if let Some(connection) = made {
                    self.ends[side] = End::Connection(connection);
                }
            }
            End::Opening(opening) => {
                if let Ok(Opened::Connection(made)) = opening.handle_segment(&mut cx, &segment) {
                    self.ends[side] = End::Connection(made);
                }
            }
            End::Connection(connection) => {
                let len = segment.text.octets.len() as u32;
                let end = flying.header.seq + len;
                let edge = connection.rcv.adv;
                let known = connection.state().receives_text() && len > 0;
                assert!(
                    !known || end.at_or_before(edge + 1),
                    "beyond the window: {end} {edge}"
                );
                let _ = connection.handle_segment(&mut cx, &segment);
            }
        }
    }

    fn timers(&mut self, side: usize) {
        let mut cx = Context::unwatched(self.now);
        match &mut self.ends[side] {
            End::Listener(listener) => listener.handle_timeout(&mut cx),
            End::Opening(opening) => opening.handle_timeout(&mut cx),
            End::Connection(connection) => {
                connection.handle_timeout(&mut cx);
                let next = connection.poll_timeout();
                assert!(next.is_none_or(|at| at > self.now), "spins");
            }
        }
    }

    /// The user of `side` reads, writes, closes.
    fn act(&mut self, side: usize) {
        let script = &mut self.scripts[side];
        let pause = 1 + self
            .dice
            .below((script.pause << script.idle.min(12)).min(20_000));
        script.acts_at = self.now + Duration::from_millis(pause);
        script.idle += 1;
        let End::Connection(connection) = &mut self.ends[side] else {
            return;
        };
        let mut cx = Context::unwatched(self.now);
        if self.dice.chance(60) {
            let mut into = vec![0; self.dice.size(script.step) + 1];
            match connection.read(&mut into) {
                Ok(0) => script.at_end = true,
                Ok(octets) => {
                    for (i, got) in into[..octets].iter().enumerate() {
                        assert_eq!(
                            *got,
                            octet(1 - side, script.read + i),
                            "at {}",
                            script.read + i
                        );
                    }
                    script.read += octets;
                    script.idle = 0;
                }
                Err(ReadError::Empty) => {}
                Err(ReadError::Ended(_)) => script.at_end = true,
            }
        }
        if script.aborts_at.is_some_and(|at| script.written >= at) {
            connection.abort(&mut cx);
            script.shut = true;
        }
        if script.written < script.to_write && self.dice.chance(60) {
            let size = (self.dice.size(script.step) + 1).min(script.to_write - script.written);
            let octets: Vec<u8> = (0..size).map(|i| octet(side, script.written + i)).collect();
            match connection.write(&mut cx, &octets) {
                Ok(taken) => {
                    script.written += taken;
                    script.idle = 0;
                }
                Err(WriteError::Full) => {}
                Err(_) => script.to_write = script.written,
            }
        }
        if script.written == script.to_write && !script.shut && self.dice.chance(50) {
            script.shut = true;
            connection.shutdown(&mut cx);
        }
        if script.leaves && script.shut || connection.ended().is_some() && script.at_end {
            connection.close(&mut cx);
        }
    }

    fn next(&self) -> Option<Instant> {
        let arrivals = self.wire.iter().flatten().map(|flying| flying.arrives);
        let timers = self.ends.iter().filter_map(|end| match end {
            End::Listener(listener) => listener.poll_timeout(),
            End::Opening(opening) => opening.poll_timeout(),
            End::Connection(connection) => connection.poll_timeout(),
        });
        let acts = self
            .scripts
            .iter()
            .filter(|s| !(s.shut && s.at_end))
            .map(|s| s.acts_at);
        arrivals.chain(timers).chain(acts).min()
    }

    /// One moment. `false`: nothing will ever happen again.
    fn step(&mut self) -> bool {
        let Some(next) = self
            .next()
            .filter(|at| *at < Instant::from_millis(20_000_000))
        else {
            return false;
        };
        self.now = self.now.max(next);
        self.events += 1;
        for side in 0..2 {
            let now = self.now;
            let (mut due, later) = core::mem::take(&mut self.wire[1 - side])
                .into_iter()
                .partition::<Vec<_>, _>(|flying| flying.arrives <= now);
            self.wire[1 - side] = later;
            due.sort_by_key(|flying| flying.arrives);
            for flying in due {
                self.arrive(side, &flying);
                if self.dice.chance(50) {
                    self.transmit(side);
                }
            }
            self.timers(side);
            if self.scripts[side].acts_at <= self.now {
                self.act(side);
            }
            self.transmit(side);
            if let End::Connection(connection) = &self.ends[side] {
                let at_once = connection.config.delayed_ack.is_zero();
                let next = connection.poll_timeout();
                assert!(
                    next.is_none_or(|at| at > now || at_once),
                    "due and not served"
                );
            }
        }
        true
    }

    fn connection(&self, side: usize) -> &Connection {
        match &self.ends[side] {
            End::Connection(connection) => connection,
            _ => panic!("side {side} never opened"),
        }
    }
}

impl Connection {
    /// What always holds.
    pub(super) fn check(&self) {
        let space = u64::from(self.snd.nxt.distance_from(self.snd.una));
        let over = matches!(
            self.state,
            State::Closed | State::TimeWait | State::SynReceived
        );
        assert!(over || self.snd.in_flight.octets() == space);
        self.snd.in_flight.check();
        let held = self.rcv.buffer.len() + self.rcv.reassembly.octets();
        assert!(
            held <= self.config.receive_buffer + (1 << self.rcv.scale),
            "{held} octets held"
        );
        assert!(self.snd.buffer.len() <= self.config.send_buffer);
    }
}

fn one(seed: u64) {
    let mut world = World::new(seed);
    let orderly = world.scripts.iter().all(Script::is_orderly);
    while world.step() {
        let octets: usize = world.scripts.iter().map(|s| s.written).sum();
        let most = 60_000 + 60 * octets as u64;
        assert!(
            world.events < most,
            "{} events at {}",
            world.events,
            world.now
        );
    }
    if !orderly {
        return;
    }
    for side in 0..2 {
        let connection = world.connection(side);
        let (script, peer) = (&world.scripts[side], &world.scripts[1 - side]);
        assert_eq!(
            connection.ended(),
            Some(Ended::Closed),
            "side {side}: {:?}",
            connection.state()
        );
        assert_eq!(
            script.read, peer.written,
            "all that was written before FIN was read"
        );
        assert_eq!(connection.memory(), 0);
        assert_eq!(connection.poll_timeout(), None);
    }
    assert!(world.time_wait.iter().any(Option::is_some));
}

#[test]
//= rfc9293 MUST-10 test
fn chaos() {
    for_seeds("CHAOS", 1_000, one);
}
