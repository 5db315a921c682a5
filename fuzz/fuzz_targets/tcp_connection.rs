//! One connection against anything: segments near its window, and a user who calls what it likes.
//!
//! The peer's text is a function of its sequence numbers, so that whatever is read can be checked, and so is ours.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use woshou_fuzz::{Input, octet_at, tcp_config, text_at};
use woshou_tcp::config::KeepAlive;
use woshou_tcp::connection::Opened;
use woshou_tcp::error::PathError;
use woshou_tcp::options::Setup;
use woshou_tcp::{
    Config, Connection, Context, Ecn, Ended, Endpoints, Flags, Header, Instant, Listener, Opening,
    Pressure, Segment, SeqNum, State, SynCookies, Text,
};
use woshou_wire::tcp_option::{SackBlock, TcpOptions, Timestamps};

/// The most that either buffer holds.
const MOST: usize = 100_000;
/// The most that is decided about one connection.
const STEPS: usize = 2_000;
const ISS: SeqNum = SeqNum(0xffff_ff00);
const IRS: SeqNum = SeqNum(0xffff_f000);
const OURS: usize = 0;
const THEIRS: usize = 1;

struct Target<'a> {
    input: Input<'a>,
    now: Instant,
    connection: Box<Connection>,
    /// How it ended, once it did.
    ended: Option<(Ended, State)>,
    written: u32,
    read: u32,
    /// The highest number that it sent, and the last acknowledgement and window edge.
    sent_to: SeqNum,
    acked: SeqNum,
    edge: SeqNum,
    /// The peer's clock, and ours as the peer saw it last.
    clock: u32,
    echo: u32,
}

fuzz_target!(|octets: &[u8]| {
    let Some(mut target) = Target::new(Input::new(octets)) else {
        return;
    };
    for _ in 0..STEPS {
        if target.input.is_over() {
            break;
        }
        if target.input.octet() % 5 < 3 {
            target.segment();
        } else {
            target.user();
        }
        target.after();
    }
});

fn setup() -> Setup {
    Setup {
        endpoints: Endpoints {
            local: "192.0.2.1:80".parse().expect("an address"),
            remote: "192.0.2.2:40000".parse().expect("an address"),
        },
        iss: ISS,
        timestamp_offset: u32::MAX - 50,
        send_mss: 1460,
        receive_mss: 1460,
    }
}

/// A connection by either open; `None` when the handshake was one that fails.
fn opened(
    input: &mut Input<'_>,
    cx: &mut Context<'_>,
    config: Arc<Config>,
) -> Option<Box<Connection>> {
    let options = TcpOptions {
        mss: input
            .chance(90)
            .then(|| input.pick(&[1460, 0, 88, 536, 65_535])),
        window_scale: input.chance(80).then(|| input.pick(&[7, 0, 14, 255])),
        sack_permitted: input.chance(80),
        timestamps: input.chance(80).then_some(Timestamps {
            value: u32::MAX,
            echo: 0,
        }),
        ..TcpOptions::default()
    };
    let mut header = Header {
        seq: IRS,
        flags: Flags::SYN,
        window: input.pick(&[65_535, 0, 1, 5_000]),
        options,
        ..Header::default()
    };
    let segment = |header| Segment {
        header,
        ..Segment::default()
    };
    if input.octet().is_multiple_of(2) {
        let mut opening = Opening::new(cx, setup(), config);
        let plan = opening.plan(cx.now, 1460).expect("a SYN is owed");
        opening.build(cx, plan);
        header.ack = ISS + 1;
        if input.octet() % 4 != 3 {
            header.flags = Flags::SYN | Flags::ACK;
        }
        return match opening.handle_segment(cx, &segment(header)) {
            Ok(Opened::Connection(connection)) => Some(connection),
            _ => None,
        };
    }
    let mut listener = Listener::new(config, 1, [7; 16]);
    listener
        .handle_syn(cx, &setup(), &segment(header))
        .expect("there is room");
    assert!(listener.poll_transmit(cx).is_some(), "a SYN,ACK is owed");
    let header = Header {
        seq: IRS + 1,
        ack: ISS + 1,
        flags: Flags::ACK,
        options: TcpOptions {
            timestamps: options.timestamps,
            ..TcpOptions::default()
        },
        ..header
    };
    listener
        .handle_segment(cx, &setup().endpoints, &segment(header))
        .expect("the handshake's last")
}

impl<'a> Target<'a> {
    fn new(mut input: Input<'a>) -> Option<Self> {
        let config = Config {
            min_send_mss: 40,
            // Our numbers are to be known; `stack_packets` and `two_stacks` have cookies.
            syn_cookies: SynCookies::WhenFull,
            ..tcp_config(&mut input, MOST)
        };
        let now = Instant::from_millis(5);
        let mut cx = Context::unwatched(now);
        let connection = opened(&mut input, &mut cx, Arc::new(config))?;
        Some(Self {
            input,
            now,
            connection,
            ended: None,
            written: 0,
            read: 0,
            sent_to: ISS + 1,
            acked: IRS + 1,
            edge: IRS + 1,
            clock: u32::MAX,
            echo: u32::MAX - 45,
        })
    }

    /// A number at or near one that matters.
    fn near(&mut self) -> SeqNum {
        let unacknowledged = u32::try_from(self.connection.unacknowledged()).expect("few");
        let una = ISS + 1 + (self.written - unacknowledged);
        let places = [self.acked, self.sent_to, una, self.edge, IRS, ISS];
        let at = self.input.pick(&places);
        match self.input.below(8) {
            0 => at + self.input.long(),
            1 => at + u32::from(self.input.short()),
            2 => at - u32::from(self.input.short()),
            3 => at + u32::from(self.input.octet() % 5) - 2,
            _ => at,
        }
    }

    fn options(&mut self) -> TcpOptions {
        let mut options = TcpOptions::default();
        if self.connection.agreed().timestamps.is_some() && self.input.octet() % 16 != 15 {
            let step = self
                .input
                .pick(&[0, 0, 1, 1, 50, 1000, u32::MAX, 1 << 31, 1 << 30]);
            if step < 1 << 20 {
                self.clock = self.clock.wrapping_add(step);
            }
            options.timestamps = Some(Timestamps {
                value: self
                    .clock
                    .wrapping_add(if step < 1 << 20 { 0 } else { step }),
                echo: self.input.pick(&[self.echo, 0, u32::MAX]),
            });
        }
        for _ in 0..self.input.pick(&[0, 0, 0, 1, 4]) {
            let (left, right) = (self.near().0, self.near().0);
            options.sack.push(SackBlock { left, right });
        }
        options
    }

    fn segment(&mut self) {
        let flags = match self.input.below(16) {
            0 => Flags::from_bits(self.input.short()),
            1 => Flags::ACK | Flags::FIN,
            2 => Flags::from_bits(self.input.short()).without(Flags::RST | Flags::SYN) | Flags::ACK,
            _ => Flags::ACK,
        };
        let (seq, ack) = if self.input.octet().is_multiple_of(3) {
            (self.near(), self.near())
        } else {
            (self.acked, self.sent_to)
        };
        let header = Header {
            seq,
            ack,
            flags,
            window: self.input.pick(&[5_000, 0, 0, 1, 50, 65_535]),
            urgent: self.input.pick(&[0, 0, 1, 65_535]),
            options: self.options(),
        };
        let len = match self.input.below(4) {
            0 | 1 => 0,
            2 => usize::from(self.input.octet()),
            _ => self.input.pick(&[1, 500, 1460, 65_000]),
        };
        let start = seq + u32::from(flags.syn());
        let text = text_at(THEIRS, start.distance_from(IRS + 1), len);
        let segment = Segment {
            header,
            text: Text {
                octets: &text,
                owner: None,
            },
            coalesced: u16::from(self.input.octet() % 4),
            ecn: self.input.pick(&[Ecn::NotEct, Ecn::Ect0, Ecn::Ce]),
        };
        let mut cx = Context::unwatched(self.now);
        let _ = self.connection.handle_segment(&mut cx, &segment);
    }

    fn write(&mut self, urgent: bool) {
        let len = self.input.pick(&[1, 0, 1, 30, 3_000, MOST]);
        let text = text_at(OURS, self.written, len);
        let mut cx = Context::unwatched(self.now);
        let writable = self.connection.writable();
        let taken = if urgent {
            self.connection.write_urgent(&mut cx, &text)
        } else {
            self.connection.write(&mut cx, &text)
        };
        if let Ok(taken) = taken {
            assert!(taken <= writable, "{taken} of {writable}");
            assert!(taken <= len);
            self.written += u32::try_from(taken).expect("few");
        }
    }

    fn got(&mut self, octets: &[u8]) {
        for octet in octets {
            assert_eq!(*octet, octet_at(THEIRS, self.read), "at {}", self.read);
            self.read += 1;
        }
    }

    fn read(&mut self) {
        let mut into = vec![0; self.input.pick(&[5_000, 0, 1, MOST])];
        let before = self.connection.readable();
        if let Ok(peeked) = self.connection.peek(&mut into) {
            let seen = into[..peeked].to_vec();
            let read = self.connection.read(&mut into).expect("it was peeked");
            assert_eq!(seen, into[..read]);
            assert_eq!(before - read, self.connection.readable());
            self.got(&into[..read]);
        }
    }

    fn user(&mut self) {
        let now = self.now;
        let mut cx = Context::unwatched(now);
        match self.input.below(36) {
            0..6 => self.write(false),
            6..11 => self.read(),
            11 => {
                if let Ok(chunk) = self.connection.read_chunk(self.input.below(10_000)) {
                    self.got(&chunk);
                }
            }
            12 => self.connection.shutdown(&mut cx),
            13 if self.input.octet() % 4 == 1 => self.connection.close(&mut cx),
            14 if self.input.octet() % 4 == 1 => self.connection.abort(&mut cx),
            15 => self.connection.set_nodelay(self.input.octet() % 4 != 3),
            16 => self.connection.set_send_mss(&mut cx, self.input.short()),
            17 => {
                let keep_alive = self.input.chance(50).then(KeepAlive::default);
                self.connection.set_keep_alive(now, keep_alive);
            }
            18 => {
                let seq = self.near();
                self.connection
                    .handle_path_error(&mut cx, PathError::HostUnreachable, seq);
            }
            19 => self
                .connection
                .set_cork(now, self.input.octet().is_multiple_of(2)),
            20 => self.connection.acknowledge_now(),
            21 => {
                let mut config = Config::clone(self.connection.config());
                config.user_timeout = Duration::from_secs(self.input.pick(&[924, 0, 1, 100]));
                config.receive_buffer = self.input.pick(&[MOST, 600, 0]);
                self.connection.set_config(now, Arc::new(config));
            }
            22 => self.connection.refuse_text_after_close(),
            23 => {
                let _ = self.connection.poll_event();
            }
            24 => {
                let levels = [Pressure::Plenty, Pressure::Pressure, Pressure::Critical];
                self.connection.set_pressure(self.input.pick(&levels));
            }
            25 => match self.input.octet() % 16 {
                // What has ended would end anew, for those who had not read all.
                0 if self.connection.ended().is_none() => self.connection.give_up_memory(&mut cx),
                0..8 => self.connection.on_relief(),
                _ => {
                    let held = self.connection.out_of_order();
                    assert_eq!(self.connection.drop_out_of_order(&mut cx), held);
                    assert_eq!(self.connection.out_of_order(), 0);
                }
            },
            26 => self.now += Duration::from_millis(u64::from(self.input.octet())),
            27 => self.now += Duration::from_secs(u64::from(self.input.octet())),
            28 => self.write(true),
            29 => self.connection.push(&mut cx),
            30 => {
                let unsent = self.connection.unsent();
                assert_eq!(self.connection.flush(&mut cx), unsent);
                assert_eq!(self.connection.unsent(), 0);
                self.written -= u32::try_from(unsent).expect("few");
            }
            31 => self.choose(),
            _ => self.now = self.connection.poll_timeout().unwrap_or(now).max(now),
        }
    }

    /// What a user may set.
    fn choose(&mut self) {
        match self.input.below(4) {
            0 => {
                let choices = [0, 1, 100, 3_600].map(Duration::from_secs).map(Some);
                let after = self.input.pick(&[choices[1], choices[0], choices[2], None]);
                self.connection.set_user_timeout(self.now, after);
            }
            1 => {
                let on = self.input.octet().is_multiple_of(2);
                self.connection.set_error_reports(on);
            }
            2 => {
                let octets =
                    self.input
                        .pick(&[None, Some(0), Some(1), Some(5_000), Some(u32::MAX)]);
                self.connection.set_not_sent_low(octets);
            }
            _ => {
                let mut config = Config::clone(self.connection.config());
                config.mtu_probing = !config.mtu_probing;
                config.min_send_mss = self.input.pick(&[40, 88, 1]);
                self.connection.set_config(self.now, Arc::new(config));
            }
        }
    }

    fn after(&mut self) {
        let mut cx = Context::unwatched(self.now);
        self.connection.handle_timeout(&mut cx);
        let next = self.connection.poll_timeout();
        assert!(next.is_none_or(|at| at > self.now), "spins");
        if self.input.octet() % 8 != 7 {
            self.drain();
        }
        let info = self.connection.info(self.now);
        let records = 256 + 4 * MOST / info.snd_mss.max(40) as usize;
        let most = 3 * 2 * MOST + 140_000 + 48 * records;
        let memory = self.connection.memory();
        assert!(memory <= most, "{memory} octets, {most} allowed");
        assert!(self.connection.unacknowledged() <= MOST);
        // A window may have been offered to the octet of its scale.
        assert!(self.connection.readable() <= MOST + (1 << 14));
        if let Some(ended) = self.connection.ended() {
            let now = (ended, self.connection.state());
            assert!(
                self.ended.is_none_or(|before| before == now),
                "an end is the end"
            );
            assert!(matches!(now.1, State::Closed | State::TimeWait));
            self.ended = Some(now);
        }
        assert_eq!(
            self.connection.time_wait().is_some(),
            self.connection.state() == State::TimeWait
        );
    }

    /// Everything owed leaves, it is not much, and its text is what was written.
    fn drain(&mut self) {
        let mss = self.connection.info(self.now).snd_mss as usize;
        let most = 300 + 4 * self.connection.unacknowledged() / mss.clamp(1, 1000);
        for count in 0.. {
            assert!(count <= most, "more than {most} segments at once");
            let max_text = self.input.pick(&[1460, 700, 65_535]);
            let Some(plan) = self.connection.plan(self.now, max_text) else {
                break;
            };
            assert_eq!(Some(plan), self.connection.plan(self.now, max_text));
            let mut cx = Context::unwatched(self.now);
            let sent = self.connection.build(&mut cx, plan);
            let (header, text) = (sent.header, sent.text.concat());
            assert!(text.len() <= 65_535);
            let start = header.seq.distance_from(ISS + 1);
            if !text.is_empty() && start != u32::MAX {
                assert!(start as usize + text.len() <= self.written as usize);
                assert_eq!(text, text_at(OURS, start, text.len()));
            }
            self.sent(&header, text.len());
        }
    }

    fn sent(&mut self, header: &Header, len: usize) {
        let end = header.seq + (u32::try_from(len).expect("few") + u32::from(header.flags.fin()));
        self.sent_to = self.sent_to.later(end);
        if let Some(timestamps) = header.options.timestamps {
            self.echo = timestamps.value;
        }
        if header.flags.ack() && !header.flags.rst() && !header.flags.syn() {
            assert!(
                header.ack.at_or_after(self.acked),
                "RCV.NXT never goes back"
            );
            self.acked = header.ack;
            let window = u32::from(header.window) << self.connection.agreed().receive_scale;
            self.edge = header.ack + window;
        }
    }
}
