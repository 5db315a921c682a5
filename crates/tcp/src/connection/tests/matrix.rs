//! Every kind of segment and every timeout in every state: the whole of RFC 9293 section 3.10.7 and 3.10.8 as one table.
//!
//! `cells` says what is to be seen, in the RFC's words and by hand; this file makes the states, sends the segments and
//! says what was seen. CLOSED, where a segment finds nobody, and the user's calls are in `crates/stack/tests/matrix.rs`.

mod cells;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use woshou_wire::tcp_option::Timestamps;

use super::super::*;
use super::pair::{ISS as FIRST, setup};
use crate::listener::Listener;
use crate::segment::{Flags, Header, Text};
use crate::time_wait::TimeWaitAction;
use cells::{CELLS, Col};

/// The peer's SYN and ours: both spaces wrap soon.
const IRS: SeqNum = FIRST[0];
const ISS: SeqNum = FIRST[1];

/// The window that the peer offers, and the largest that it ever offered: MAX.SND.WND.
const THEIRS: u16 = 1000;
/// RCV.WND at first.
const OURS: u32 = 4000;

/// Where a segment begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum At {
    /// So far from RCV.NXT.
    Next(i64),
    /// So far from RCV.NXT + RCV.WND.
    Edge(i64),
    /// On the peer's SYN.
    Irs,
}

/// What a segment acknowledges.
#[derive(Clone, Copy, Debug)]
pub(super) enum Acks {
    /// Nothing: the field is zero.
    No,
    /// So far from SND.UNA.
    Una(i64),
    /// So far from SND.NXT.
    Nxt(i64),
    /// One octet less than RFC 5961 allows: SND.UNA - MAX.SND.WND - 1.
    TooOld,
}

/// What its timestamp says, in a connection that agreed on them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stamp {
    /// There are none in this connection.
    Off,
    /// Newer than the last.
    New,
    /// Older than the last.
    Old,
    /// It has none, and should.
    Missing,
}

/// What comes before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Before {
    Nothing,
    /// The peer's text filled our window, and nobody read.
    Full,
    /// Text behind a hole of ten octets is held, or (where text is not taken any more) was seen.
    Held,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Len {
    Is(usize),
    /// To five octets beyond the window.
    Spans,
}

/// One event, the same in all states.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Segment {
        flags: Flags,
        at: At,
        acks: Acks,
        len: Len,
        window: u16,
        urgent: u16,
        stamp: Stamp,
        before: Before,
    },
    /// Nobody answers until the first timer fires.
    Silence,
    /// Nobody answers, ever.
    SilenceForEver,
    /// 2 MSL pass, and no other timer is looked at.
    TwoMsl,
}

/// Who is in the state.
#[derive(Debug)]
enum Subject {
    Listener(Box<Listener>),
    Opening(Box<Opening>),
    Connection(Box<Connection>),
    TimeWait(Box<TimeWait>),
}

struct Bench {
    now: Instant,
    subject: Subject,
    stamped: bool,
    /// RCV.NXT, and RCV.NXT + RCV.WND as they were last told to the peer.
    nxt: SeqNum,
    edge: SeqNum,
    /// SND.UNA and SND.NXT, as the peer knows them.
    una: SeqNum,
    snd_nxt: SeqNum,
    /// TSval of the last segment.
    clock: u32,
}

/// What left: header and octets of text.
type Out = (Header, usize);

fn config(stamped: bool) -> Arc<Config> {
    Arc::new(Config {
        timestamps: stamped,
        window_scaling: false,
        sack: false,
        receive_buffer: OURS as usize,
        // At once, so that the table need not wait.
        ack_every: 1,
        quick_acks: u8::MAX,
        open_timeout: Duration::from_secs(180),
        user_timeout: Duration::from_secs(300),
        ..Config::default()
    })
}

fn header_of(flags: Flags, seq: SeqNum, ack: SeqNum) -> Header {
    Header {
        seq,
        ack,
        flags,
        window: THEIRS,
        ..Header::default()
    }
}

const FIN_ACK: Flags = Flags::from_bits(Flags::FIN.bits() | Flags::ACK.bits());

// ---- into the states ----

impl Bench {
    /// A subject in the state of `column`, its peer's numbers beside it.
    fn new(column: Col, stamped: bool, before: Before) -> Self {
        let mut bench = Self::listening(stamped);
        match column {
            Col::Listen => return bench,
            Col::SynSent | Col::SynRcvdActive => bench.open(),
            _ => {}
        }
        if column != Col::SynSent {
            bench.arrives(header_of(Flags::SYN, IRS, SeqNum(0)), &[]);
            bench.drain();
        }
        (bench.una, bench.snd_nxt) = (ISS, ISS + 1);
        if !matches!(
            column,
            Col::SynSent | Col::SynRcvdActive | Col::SynRcvdPassive
        ) {
            bench.establish();
            bench.move_on(column, before);
        }
        bench
    }

    fn listening(stamped: bool) -> Self {
        Self {
            now: Instant::from_millis(1000),
            subject: Subject::Listener(Box::new(Listener::new(config(stamped), 1, [1; 16]))),
            stamped,
            nxt: IRS + 1,
            edge: IRS + 1 + OURS,
            una: ISS,
            snd_nxt: ISS,
            clock: 10_000,
        }
    }

    fn open(&mut self) {
        let mut cx = Context::unwatched(self.now);
        let opening = Opening::new(&mut cx, setup(1), config(self.stamped));
        self.subject = Subject::Opening(Box::new(opening));
        self.drain();
    }

    /// Ten octets went each way, ours acknowledged and the peer's read; twenty of ours fly in two segments.
    fn establish(&mut self) {
        self.arrives(header_of(Flags::ACK, IRS + 1, ISS + 1), &[0; 10]);
        self.nxt += 10;
        let connection = self.connection();
        assert_eq!(connection.read(&mut [0; 99]), Ok(10));
        connection.set_nodelay(true);
        self.drain();
        self.una = self.snd_nxt;
        self.send(10);
        self.arrives(header_of(Flags::ACK, self.nxt, self.snd_nxt), &[]);
        self.una = self.snd_nxt;
        self.send(10);
        self.send(10);
    }

    fn send(&mut self, len: u32) {
        let mut cx = Context::unwatched(self.now);
        let taken = self.connection().write(&mut cx, &vec![0; len as usize]);
        assert_eq!(taken, Ok(len as usize));
        self.drain();
        self.snd_nxt += len;
    }

    fn move_on(&mut self, column: Col, before: Before) {
        let fill = match before {
            Before::Full => self.edge.distance_from(self.nxt),
            _ => 0,
        };
        let we_first = matches!(
            column,
            Col::FinWait1 | Col::FinWait2 | Col::Closing | Col::TimeWait
        );
        let peer_closes = matches!(
            column,
            Col::CloseWait | Col::Closing | Col::LastAck | Col::TimeWait
        );
        if we_first {
            self.close();
        }
        if matches!(column, Col::FinWait2 | Col::TimeWait) {
            self.arrives(header_of(Flags::ACK, self.nxt, self.snd_nxt), &[]);
            self.una = self.snd_nxt;
        }
        if peer_closes || fill > 0 {
            let flags = if peer_closes { FIN_ACK } else { Flags::ACK };
            let text = vec![0; fill as usize];
            self.arrives(header_of(flags, self.nxt, self.una), &text);
            self.nxt += fill + u32::from(peer_closes);
            self.drain();
        }
        if column == Col::LastAck {
            self.close();
        }
        if let Some(time_wait) = self.connection().time_wait() {
            self.subject = Subject::TimeWait(Box::new(time_wait));
            // Later, so that it can be seen when 2 MSL begin anew.
            self.now += Duration::from_secs(1);
        }
        if before == Before::Held {
            let ahead = header_of(Flags::ACK, self.nxt + 10, self.una);
            self.arrives(ahead, &[0; 10]);
            self.drain();
        }
    }

    /// CLOSE: our FIN leaves.
    fn close(&mut self) {
        let mut cx = Context::unwatched(self.now);
        self.connection().shutdown(&mut cx);
        self.drain();
        self.snd_nxt += 1;
    }

    fn connection(&mut self) -> &mut Connection {
        match &mut self.subject {
            Subject::Connection(connection) => connection,
            other => panic!("{other:?}"),
        }
    }

    /// A segment of the peer, stamped when the connection is.
    fn arrives(&mut self, mut header: Header, text: &[u8]) {
        if self.stamped {
            self.clock += 1;
            header.options.timestamps = Some(Timestamps {
                value: self.clock,
                echo: 0,
            });
        }
        self.hand_in(header, text);
    }
}

// ---- what the stack does with them ----

impl Bench {
    /// Hands a segment in as the stack does, and changes the type where the stack does.
    fn hand_in(&mut self, header: Header, text: &[u8]) -> Vec<Out> {
        let segment = Segment {
            header,
            text: Text {
                octets: text,
                owner: None,
            },
            ..Segment::default()
        };
        let mut cx = Context::unwatched(self.now);
        let who = setup(1).endpoints;
        let mut out = Vec::new();
        let mut became = None;
        match &mut self.subject {
            Subject::Listener(listener) if listener.is_half_open(&who) => {
                let made = listener.handle_segment(&mut cx, &who, &segment);
                became = made.ok().flatten().map(Subject::Connection);
            }
            Subject::Listener(listener) => {
                let result = listener.handle_syn(&mut cx, &setup(1), &segment);
                if result.as_ref().err() == Some(&Refusal::AckToListener) {
                    // "Answer with a stateless RST": the stack's.
                    out.push((header_of(Flags::RST, header.ack, SeqNum(0)), 0));
                }
            }
            Subject::Opening(opening) => {
                if let Ok(Opened::Connection(c)) = opening.handle_segment(&mut cx, &segment) {
                    became = Some(Subject::Connection(c));
                }
            }
            Subject::Connection(c) => drop(c.handle_segment(&mut cx, &segment)),
            Subject::TimeWait(time_wait) => {
                match time_wait.handle_segment(&mut cx, &who, &segment) {
                    TimeWaitAction::Acknowledge(ack) => out.push((ack, 0)),
                    TimeWaitAction::Reopen(after) => {
                        assert_eq!(after, self.snd_nxt);
                        let mut again = Self::listening(self.stamped);
                        again.hand_in(header, text);
                        became = Some(again.subject);
                    }
                    TimeWaitAction::Ignore => {}
                    TimeWaitAction::Delete => panic!("2 MSL are not over"),
                }
            }
        }
        if let Some(became) = became {
            self.subject = became;
        }
        out
    }

    /// What is owed leaves.
    fn drain(&mut self) -> Vec<Out> {
        let mut cx = Context::unwatched(self.now);
        let mut out = Vec::new();
        loop {
            let next = match &mut self.subject {
                Subject::Listener(listener) => listener
                    .poll_transmit(&mut cx)
                    .map(|(_, t)| (t.header, t.text_len())),
                Subject::Opening(opening) => opening.plan(cx.now, 0).map(|plan| {
                    let t = opening.build(&mut cx, plan);
                    (t.header, t.text_len())
                }),
                Subject::Connection(c) => c.plan(cx.now, 1460).map(|plan| {
                    let t = c.build(&mut cx, plan);
                    (t.header, t.text_len())
                }),
                Subject::TimeWait(_) => None,
            };
            let Some(next) = next else { return out };
            if next.0.flags.ack() && !next.0.flags.rst() {
                self.edge = next.0.ack + u32::from(next.0.window);
            }
            out.push(next);
            assert!(out.len() < 100, "it goes on for ever");
        }
    }

    fn next_timer(&self) -> Option<Instant> {
        match &self.subject {
            Subject::Listener(l) => l.poll_timeout(),
            Subject::Opening(o) => o.poll_timeout(),
            Subject::Connection(c) => c.poll_timeout(),
            Subject::TimeWait(t) => Some(t.expires_at()),
        }
    }

    fn time_passes(&mut self) {
        let mut cx = Context::unwatched(self.now);
        match &mut self.subject {
            Subject::Listener(l) => l.handle_timeout(&mut cx),
            Subject::Opening(o) => o.handle_timeout(&mut cx),
            Subject::Connection(c) => c.handle_timeout(&mut cx),
            Subject::TimeWait(_) => {}
        }
    }

    /// Waits for a timer that does something, and says what left then; `None`: there is no such timer.
    fn waits(&mut self) -> Option<Vec<Out>> {
        let before = (self.state(), self.user());
        if before.0 == State::Closed {
            return None;
        }
        loop {
            self.now = self.now.max(self.next_timer()?);
            self.time_passes();
            let out = self.drain();
            if !out.is_empty() || (self.state(), self.user()) != before {
                return Some(out);
            }
        }
    }
}

// ---- what is seen ----

/// What the user can see.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct User {
    readable: usize,
    end: bool,
    urgent: Option<u32>,
    ended: Option<Ended>,
}

impl Bench {
    fn state(&self) -> State {
        match &self.subject {
            Subject::Listener(l) if l.half_open() > 0 => State::SynReceived,
            Subject::Listener(_) => State::Listen,
            Subject::Opening(o) => o.state(),
            Subject::Connection(c) => c.state(),
            Subject::TimeWait(t) if self.now >= t.expires_at() => State::Closed,
            Subject::TimeWait(_) => State::TimeWait,
        }
    }

    fn user(&self) -> User {
        match &self.subject {
            Subject::Connection(c) => User {
                readable: c.readable(),
                end: c.rcv.finished(),
                urgent: c.urgent_unread(),
                ended: c.ended(),
            },
            Subject::Opening(o) => User {
                ended: o.ended(),
                ..User::default()
            },
            _ => User::default(),
        }
    }

    /// SND.UNA and SND.WND.
    fn send_side(&self) -> Option<(SeqNum, u32)> {
        match &self.subject {
            Subject::Connection(c) => Some((c.snd.una, c.snd.wnd)),
            _ => None,
        }
    }

    fn two_msl(&self) -> Option<Instant> {
        match &self.subject {
            Subject::TimeWait(t) => Some(t.expires_at()),
            _ => None,
        }
    }

    /// The segment of `what` arrives. Returns its header, and what leaves.
    fn event(&mut self, what: &What) -> (Header, Vec<Out>) {
        let What::Segment {
            flags,
            at,
            acks,
            len,
            window,
            urgent,
            stamp,
            ..
        } = *what
        else {
            return (Header::default(), self.time(what));
        };
        let off = |base: SeqNum, n: i64| base + (n as u32);
        let seq = match at {
            At::Next(n) => off(self.nxt, n),
            At::Edge(n) => off(self.edge, n),
            At::Irs => IRS,
        };
        let ack = match acks {
            Acks::No => SeqNum(0),
            Acks::Una(n) => off(self.una, n),
            Acks::Nxt(n) => off(self.snd_nxt, n),
            Acks::TooOld => self.una - u32::from(THEIRS) - 1,
        };
        let len = match len {
            Len::Is(len) => len,
            Len::Spans => self.edge.distance_from(seq) as usize + 5,
        };
        let mut header = Header {
            window,
            urgent,
            ..header_of(flags, seq, ack)
        };
        let value = match stamp {
            Stamp::New => Some(self.clock + 1),
            Stamp::Old => Some(self.clock - 5000),
            Stamp::Off | Stamp::Missing => None,
        };
        header.options.timestamps = value.map(|value| Timestamps { value, echo: 0 });
        let mut out = self.hand_in(header, &vec![0; len]);
        out.extend(self.drain());
        (header, out)
    }

    fn time(&mut self, what: &What) -> Vec<Out> {
        match what {
            What::Silence => self.waits().unwrap_or_default(),
            What::SilenceForEver => {
                let most = 1000;
                let waited = core::iter::from_fn(|| self.waits()).take(most);
                waited.last().unwrap_or_default()
            }
            _ => {
                self.now += config(false).time_wait;
                Vec::new()
            }
        }
    }
}

/// What is seen when `what` happens in the state of `column`: the words of `cells`.
fn seen(column: Col, what: &What) -> String {
    let (stamped, before) = match *what {
        What::Segment { stamp, before, .. } => (stamp != Stamp::Off, before),
        _ => (false, Before::Nothing),
    };
    let mut bench = Bench::new(column, stamped, before);
    let was = bench.state();
    assert_eq!(was, column.state(), "{column:?} is not reached");
    let (heard, sends, expires) = (bench.user(), bench.send_side(), bench.two_msl());
    let (arrived, out) = bench.event(what);
    let mut words = Vec::new();
    if bench.state() != was {
        words.push(short(bench.state()).to_string());
    }
    let now = bench.user();
    let octets = now.readable.saturating_sub(heard.readable) as u32;
    let end = u32::from(now.end && !heard.end);
    // A new connection counts from the SYN that made it.
    let reopened = was == State::TimeWait && expires.is_some() && bench.two_msl().is_none();
    let opened = arrived.flags.syn() && matches!(column, Col::Listen | Col::SynSent);
    let next = if opened || reopened {
        arrived.seq + 1
    } else {
        bench.nxt
    };
    let known = Known {
        acked: arrived.ack,
        rcv_nxt: next + octets + end,
        snd_nxt: bench.snd_nxt,
    };
    words.extend(out.iter().map(|(header, text)| known.name(header, *text)));
    if octets > 0 {
        words.push(format!("+{octets}"));
    }
    if end > 0 {
        words.push("end".to_string());
    }
    if let Some(urgent) = now.urgent.filter(|_| heard.urgent.is_none()) {
        words.push(format!("urg{urgent}"));
    }
    if let Some(ended) = now.ended.filter(|_| heard.ended.is_none()) {
        words.push(format!("({ended})"));
    }
    if let (Some((una, wnd)), Some((una_now, wnd_now))) = (sends, bench.send_side()) {
        if una != una_now {
            words.push(format!("una+{}", una_now.distance_from(una)));
        }
        if wnd != wnd_now {
            words.push(format!("wnd={wnd_now}"));
        }
    }
    if bench.two_msl().is_some() && bench.two_msl() != expires && expires.is_some() {
        words.push("2msl".to_string());
    }
    if words.is_empty() {
        words.push("-".to_string());
    }
    words.join(" ")
}

fn short(state: State) -> &'static str {
    match state {
        State::SynReceived => "SYN-RCVD",
        State::Established => "ESTAB",
        State::FinWait1 => "FW1",
        State::FinWait2 => "FW2",
        State::CloseWait => "CW",
        State::TimeWait => "TW",
        other => other.name(),
    }
}

/// What the peer may expect in an answer.
struct Known {
    acked: SeqNum,
    rcv_nxt: SeqNum,
    snd_nxt: SeqNum,
}

impl Known {
    /// The word for an answer; all of it where its numbers are not those that the RFC gives it.
    fn name(&self, header: &Header, text: usize) -> String {
        let flags = header.flags.without(Flags::PSH);
        let both = |seq, ack| header.seq == seq && header.ack == ack;
        let right = if flags == Flags::SYN {
            both(ISS, SeqNum(0)).then_some("S")
        } else if flags == Flags::RST {
            both(self.acked, SeqNum(0)).then_some("R")
        } else if flags == Flags::SYN | Flags::ACK {
            both(ISS, self.rcv_nxt).then_some("SA")
        } else if flags == Flags::RST | Flags::ACK {
            both(self.snd_nxt, self.rcv_nxt).then_some("RA")
        } else if flags == Flags::ACK && text == 0 {
            both(self.snd_nxt, self.rcv_nxt).then_some("A")
        } else {
            // The head of what flies.
            (text > 0 && both(ISS + 11, self.rcv_nxt)).then_some("T")
        };
        right.map_or_else(
            || {
                let (seq, ack) = (header.seq.distance_from(ISS), header.ack.distance_from(IRS));
                format!("<{flags} ISS+{seq} IRS+{ack} text {text}>")
            },
            ToString::to_string,
        )
    }
}

// ---- the tests ----

/// Each state with each event: what the table says is what is seen. A cell without a word fails.
#[test]
fn every_event_in_every_state() {
    let mut wrong = String::new();
    let mut cells = 0;
    for row in CELLS {
        for (column, expected) in Col::ALL.into_iter().zip(row.cells) {
            cells += 1;
            let seen = seen(column, &row.what);
            if expected != seen {
                let name = row.name;
                wrong += &format!("{name} in {column:?}: expected `{expected}`, seen `{seen}`\n");
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(cells >= 1000, "{cells} cells");
}

/// No row is there twice, and none of the sixteen combinations of SYN, RST, FIN and ACK is forgotten, nor any timeout.
#[test]
fn no_event_is_missing() {
    let mut names: Vec<&str> = CELLS.iter().map(|row| row.name).collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all, "a row is there twice");
    let four = Flags::SYN | Flags::RST | Flags::FIN | Flags::ACK;
    for bits in (0..64).filter(|bits| bits & four.bits() == *bits) {
        let is = |row: &cells::Row| match row.what {
            What::Segment { flags, .. } => flags.bits() & four.bits() == bits,
            _ => false,
        };
        let flags = Flags::from_bits(bits);
        assert!(CELLS.iter().any(is), "no segment with {flags}");
    }
    let timeouts = CELLS
        .iter()
        .filter(|row| !matches!(row.what, What::Segment { .. }));
    assert_eq!(timeouts.count(), 3);
}
