//! One connection against anything: segments near its window, and a user who calls what it likes.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use core::time::Duration;

use woshou_wire::tcp_option::{SackBlock, TcpOptions, Timestamps};

use super::super::*;
use super::chaos::config;
use super::dice::{Dice, for_seeds};
use super::pair::{ISS, setup};
use crate::config::KeepAlive;
use crate::event::Observer;
use crate::memory::Pressure;
use crate::segment::{Ecn, Flags, Header, Text};

/// The most that either buffer is set to.
const MOST: usize = 100_000;

pub(super) struct Target {
    dice: Dice,
    now: Instant,
    pub(super) connection: Box<Connection>,
    /// Segments that could take a short way: of text, and without.
    pub(super) predicted: [u32; 2],
    /// What a watcher sees of each segment, where there is one.
    pub(super) seen: Option<Seen>,
    /// How it ended, once it did.
    ended: Option<(Ended, State)>,
}

/// The events of one segment.
#[derive(Debug, Default)]
pub(super) struct Seen(pub(super) String);

impl Observer for Seen {
    fn observe(&mut self, now: Instant, _endpoints: &Endpoints, event: &TraceEvent) {
        self.0 += &format!("{now:?} {event:?}\n");
    }
}

impl Target {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let config = Config {
            receive_buffer: dice.pick(&[600, 20_000, MOST]),
            send_buffer: dice.pick(&[600, 20_000, MOST]),
            open_timeout: Duration::from_secs(180),
            min_send_mss: 40,
            keep_alive: dice.chance(30).then(KeepAlive::default),
            ..config(&mut dice)
        };
        let agreed = Agreed {
            irs: ISS[0],
            peer_mss: dice.pick(&[0, 88, 536, 1460, 65_535]),
            scaling: config.window_scaling,
            send_scale: match config.window_scaling {
                true => dice.pick(&[0, 7, 14]),
                false => 0,
            },
            receive_scale: match config.window_scaling {
                true => dice.pick(&[0, 7]),
                false => 0,
            },
            sack: config.sack,
            timestamps: config.timestamps.then_some(u32::MAX),
            ecn: dice.chance(50),
        };
        let now = Instant::from_millis(5);
        let mut cx = Context::unwatched(now);
        let syn_ack = SynAck {
            sent_at: Some(Instant::ZERO),
            repeats: dice.pick(&[0, 0, 1, 255]),
        };
        let mut connection =
            Connection::passive(&mut cx, setup(1), agreed, Arc::new(config), syn_ack);
        if dice.chance(90) {
            let header = Header {
                seq: ISS[0] + 1,
                ack: ISS[1] + 1,
                flags: Flags::ACK,
                window: 5000,
                options: TcpOptions {
                    timestamps: agreed.timestamps.map(|value| Timestamps { value, echo: 0 }),
                    ..TcpOptions::default()
                },
                ..Header::default()
            };
            let segment = Segment {
                header,
                ..Segment::default()
            };
            connection.handle_segment(&mut cx, &segment).unwrap();
            assert_eq!(connection.state(), State::Established);
        }
        Self {
            dice,
            now,
            connection,
            predicted: [0; 2],
            seen: None,
            ended: None,
        }
    }

    /// A number at or near one that matters.
    fn near(&mut self) -> SeqNum {
        let (snd, rcv) = (&self.connection.snd, &self.connection.rcv);
        let places = [
            rcv.nxt, rcv.nxt, rcv.nxt, rcv.adv, rcv.irs, snd.una, snd.una, snd.nxt, snd.nxt,
            snd.iss,
        ];
        let at = self.dice.pick(&places);
        match self.dice.below(8) {
            0 => at + self.dice.next() as u32,
            2 | 5 => at + (self.dice.below(5_000) as u32),
            3 => at - (self.dice.below(2_000) as u32),
            4 => at + (self.dice.below(4) as u32) - 2,
            _ => at,
        }
    }

    fn options(&mut self) -> TcpOptions {
        let mut options = TcpOptions::default();
        if let Some(paws) = self.connection.paws.filter(|_| self.dice.chance(95)) {
            let step = self.dice.pick(&[0, 0, 1, 50, u32::MAX, 1 << 31]);
            options.timestamps = Some(Timestamps {
                value: paws.recent.wrapping_add(step),
                echo: self.dice.pick(&[0, 0xffff_fff0, u32::MAX]),
            });
        }
        for _ in 0..self.dice.pick(&[0, 0, 1, 4]) {
            let (left, right) = (self.near().0, self.near().0);
            options.sack.push(SackBlock { left, right });
        }
        options
    }

    fn segment(&mut self) {
        let flags = match self.dice.below(12) {
            0 if self.dice.chance(5) => Flags::from_bits(self.dice.next() as u16),
            0 => Flags::from_bits(self.dice.next() as u16).without(Flags::RST),
            1 if self.dice.chance(20) => Flags::ACK | Flags::FIN,
            _ => Flags::ACK,
        };
        // Mostly what a peer would send: at RCV.NXT, an acknowledgement of what flies.
        let (seq, ack) = if self.dice.chance(60) {
            let flying = self
                .connection
                .snd
                .nxt
                .distance_from(self.connection.snd.una);
            let acked = self.dice.below(u64::from(flying) + 1) as u32;
            (self.connection.rcv.nxt, self.connection.snd.una + acked)
        } else {
            (self.near(), self.near())
        };
        let header = Header {
            seq,
            ack,
            flags,
            window: self.dice.pick(&[0, 0, 1, 50, 5000, 65_535]),
            urgent: self.dice.pick(&[0, 0, 1, 65_535]),
            options: self.options(),
        };
        let text = vec![7; self.dice.pick(&[0, 0, 0, 1, 1, 500, 1460, 65_000])];
        let segment = Segment {
            header,
            text: Text {
                octets: &text,
                owner: None,
            },
            coalesced: self.dice.below(3) as u16,
            ecn: self.dice.pick(&[Ecn::NotEct, Ecn::Ect0, Ecn::Ce]),
        };
        self.hand_over(&segment);
    }

    fn hand_over(&mut self, segment: &Segment<'_>) {
        let text = self.connection.predicts(self.now, segment);
        let plain = self.connection.predicts_plain(self.now, segment);
        self.predicted[0] += u32::from(text);
        self.predicted[1] += u32::from(plain);
        let mut cx = Context::unwatched(self.now);
        cx.observer = self.seen.as_mut().map(|seen| {
            seen.0.clear();
            seen as &mut dyn Observer
        });
        let _ = self.connection.handle_segment(&mut cx, segment);
    }

    /// What the peer of a sender sends: an acknowledgement of some of what flies.
    pub(super) fn next_ack(&mut self) {
        let mut cx = Context::unwatched(self.now);
        if self.dice.chance(40) {
            let text = vec![9; self.dice.pick(&[500, 5_000, MOST])];
            let _ = self.connection.write(&mut cx, &text);
            self.drain();
        }
        self.now += Duration::from_millis(self.dice.pick(&[0, 1, 1, 20, 90]));
        let (snd, rcv) = (&self.connection.snd, &self.connection.rcv);
        let flying = snd.nxt.distance_from(snd.una);
        let some = self.dice.below(u64::from(flying) + 1) as u32;
        let acked = self.dice.pick(&[536, 1460, 2920, some, flying]).min(flying);
        let offset = self.connection.setup.timestamp_offset;
        let clock = crate::options::timestamp(self.now, offset);
        let echo = clock.wrapping_sub(self.dice.pick(&[0, 0, 1, 50]));
        let recent = self.connection.paws.map(|paws| paws.recent);
        let header = Header {
            seq: rcv.nxt,
            ack: snd.una + acked,
            flags: Flags::ACK,
            window: self.dice.pick(&[5_000, 65_535, 65_535]),
            urgent: 0,
            options: TcpOptions {
                timestamps: recent.map(|recent| Timestamps {
                    value: recent.wrapping_add(self.dice.pick(&[0, 1])),
                    echo,
                }),
                ..TcpOptions::default()
            },
        };
        self.hand_over(&Segment {
            header,
            ..Segment::default()
        });
        self.after();
    }

    /// What a peer in its right mind sends: text at RCV.NXT, and everything of ours is acknowledged.
    pub(super) fn next_text(&mut self) {
        let (snd, rcv) = (&self.connection.snd, &self.connection.rcv);
        let paws = self.connection.paws;
        let header = Header {
            seq: rcv.nxt,
            ack: snd.nxt,
            flags: self.dice.pick(&[Flags::ACK, Flags::ACK | Flags::PSH]),
            window: self.dice.pick(&[5_000, 5_000, 65_535]),
            urgent: 0,
            options: TcpOptions {
                timestamps: paws.map(|paws| Timestamps {
                    value: paws.recent.wrapping_add(self.dice.pick(&[0, 1])),
                    echo: 0xffff_fff0,
                }),
                ..TcpOptions::default()
            },
        };
        let text = vec![7; self.dice.pick(&[1, 500, 500, 1460, 4_380])];
        let coalesced = self.dice.below(4) as u16;
        self.hand_over(&Segment {
            header,
            text: Text {
                octets: &text,
                owner: None,
            },
            coalesced,
            ecn: Ecn::NotEct,
        });
        self.now += Duration::from_millis(self.dice.pick(&[0, 0, 1, 20]));
        if self.dice.chance(60) {
            let mut into = vec![0; self.dice.pick(&[100, 2_000, 10_000])];
            let _ = self.connection.read(&mut into);
        }
        self.after();
    }

    fn user(&mut self) {
        let mut cx = Context::unwatched(self.now);
        let (dice, connection) = (&mut self.dice, &mut self.connection);
        match dice.below(48) {
            0..10 => {
                let _ = connection.write(&mut cx, &vec![9; dice.pick(&[0, 1, 1, 1, 3_000, MOST])]);
            }
            10..20 => {
                let _ = connection.read(&mut vec![0; dice.pick(&[0, 1, 5_000, MOST])]);
            }
            20 => {
                let _ = connection.read_chunk(dice.size(10_000));
            }
            21 if dice.chance(20) => connection.shutdown(&mut cx),
            22 if dice.chance(20) => connection.close(&mut cx),
            23 if dice.chance(10) => connection.abort(&mut cx),
            24 => connection.set_nodelay(dice.chance(80)),
            25 => connection.set_send_mss(&mut cx, dice.next() as u16),
            26 => connection.set_keep_alive(self.now, dice.chance(50).then(KeepAlive::default)),
            27 => {
                let seq = connection.snd.una;
                connection.handle_path_error(&mut cx, PathError::HostUnreachable, seq);
            }
            36 => connection.set_cork(self.now, dice.chance(50)),
            37 => connection.acknowledge_now(),
            28..32 => self.now += Duration::from_millis(dice.below(100)),
            32 => self.now += Duration::from_secs(dice.below(70)),
            33..36 => self.now = connection.poll_timeout().unwrap_or(self.now).max(self.now),
            38 => {
                let _ = connection.write_urgent(&mut cx, &vec![9; dice.pick(&[0, 1, 3_000, MOST])]);
            }
            39 => connection.push(&mut cx),
            40 => {
                let unsent = connection.unsent();
                assert_eq!(connection.flush(&mut cx), unsent);
            }
            41..44 => self.choose(),
            44 => connection.set_pressure(dice.pick(&[
                Pressure::Plenty,
                Pressure::Pressure,
                Pressure::Critical,
            ])),
            45 => connection.on_relief(),
            46 => {
                connection.drop_out_of_order(&mut cx);
                assert_eq!(connection.out_of_order(), 0);
            }
            _ => {}
        }
    }

    /// What a user may set.
    fn choose(&mut self) {
        let (dice, connection) = (&mut self.dice, &mut self.connection);
        match dice.below(5) {
            0 => {
                let after = dice.pick(&[None, Some(100), Some(1_000)]);
                connection.set_user_timeout(self.now, after.map(Duration::from_secs));
            }
            1 => connection.set_error_reports(dice.chance(50)),
            2 => connection.set_not_sent_low(dice.pick(&[None, Some(0), Some(1), Some(5_000)])),
            3 => connection.refuse_text_after_close(),
            _ => {
                let mut config = Config::clone(connection.config());
                config.mtu_probing = !config.mtu_probing;
                connection.set_config(self.now, Arc::new(config));
            }
        }
    }

    pub(super) fn step(&mut self, step: u32) {
        if self.ended.is_some() && !step.is_multiple_of(8) {
            return;
        }
        if self.dice.chance(60) {
            self.segment();
        } else {
            self.user();
        }
        self.after();
    }

    fn after(&mut self) {
        let mut cx = Context::unwatched(self.now);
        self.connection.handle_timeout(&mut cx);
        assert!(
            self.connection
                .poll_timeout()
                .is_none_or(|at| at > self.now),
            "spins"
        );
        if self.dice.chance(80) {
            self.drain();
        }
        self.connection.check();
        let (config, mss) = (&self.connection.config, self.connection.snd.mss as usize);
        let buffers = config.send_buffer + config.receive_buffer;
        let records = 256 + 4 * config.send_buffer / mss;
        let most = 3 * buffers + 140_000 + 48 * records;
        let memory = self.connection.memory();
        assert!(memory <= most, "{memory} octets, {most} allowed");
        if let Some(ended) = self.connection.ended() {
            let now = (ended, self.connection.state());
            assert!(
                self.ended.is_none_or(|before| before == now),
                "an end is the end"
            );
            assert!(matches!(now.1, State::Closed | State::TimeWait));
            self.ended = Some(now);
        }
    }

    /// Everything owed leaves, and it is not much.
    fn drain(&mut self) {
        let mss = self.connection.snd.mss as usize;
        let most = 300 + 4 * self.connection.snd.buffer.len() / mss.min(1000);
        for count in 0.. {
            assert!(count <= most, "more than {most} segments at once");
            let max_text = self.dice.pick(&[700, 1460, 65_535]) as u32;
            let mut cx = Context::unwatched(self.now);
            let Some(plan) = self.connection.plan(self.now, max_text) else {
                break;
            };
            let sent = self.connection.build(&mut cx, plan);
            let len = sent.text_len();
            assert_eq!(len, plan.len as usize);
            assert!(sent.segment_size.is_some() || len <= 65_535);
        }
    }
}

fn one(seed: u64) {
    let mut target = Target::new(seed);
    for step in 0..400 {
        target.step(step);
    }
}

#[test]
fn hostile() {
    for_seeds("HOSTILE", 3_000, one);
}
