//! What both ladders draw: per connection, one row for everything that is worth a line.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use woshou_tcp::event::Timer;
use woshou_tcp::{Ended, Endpoints, Flags, Header, Instant, Reason, Refusal, State, TraceEvent};

use crate::numbers::{Numbers, Shown};
use crate::packet::{Body, Packet};
use crate::timeline::{Fate, HostId, PacketId, Record, Timeline, What};

/// Sent segments that wait for their packet to leave; more are forgotten, oldest first.
const WAITING: usize = 256;

/// An end of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

impl Side {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Left => 0,
            Self::Right => 1,
        }
    }
}

/// How the way of a packet ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// Nothing is known of its end: still on its way, or nobody watches the wire.
    Unknown,
    Arrives(Instant),
    Lost(Fate),
}

/// A segment on its way.
#[derive(Clone, Debug)]
pub(crate) struct Arrow {
    pub(crate) header: Header,
    pub(crate) len: u32,
    pub(crate) shown: Shown,
    pub(crate) reason: Option<Reason>,
    pub(crate) course: Course,
    /// A second copy that the wire made.
    pub(crate) copy: bool,
    /// Seen only where it arrived, and ahead of what was expected there.
    pub(crate) early: bool,
    /// The packet that carries it, when the wire is watched.
    pub(crate) packet: Option<PacketId>,
    /// The sender's state when it left, where known.
    pub(crate) state: Option<State>,
    /// Its number in the order of leaving, for finding out who was overtaken.
    order: u64,
}

/// What a row is about.
#[derive(Clone, Debug)]
pub(crate) enum Mark {
    /// The state only.
    State,
    Arrow(Box<Arrow>),
    Timer(Timer),
    Refused(Refusal),
    Ended(Ended),
    /// A segment arrives after one that left later; its SEG.SEQ as shown, and its length.
    Late(u32, u32),
}

/// One line of the ladder.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) at: Instant,
    /// Where it happens; for an arrow, where it leaves.
    pub(crate) side: Side,
    /// The state that this side has now, when it changed.
    pub(crate) state: Option<State>,
    pub(crate) mark: Mark,
}

/// An end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) name: String,
    pub(crate) at: SocketAddr,
}

/// One connection from the first sign of it to the last.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) left: End,
    pub(crate) right: End,
    /// The states before the first change, where known.
    pub(crate) before: [Option<State>; 2],
    pub(crate) rows: Vec<Row>,
    sides: [SideMemory; 2],
    departures: u64,
}

/// What TCP said it sends, until the packet leaves.
#[derive(Clone, Copy, Debug)]
struct Said {
    at: Instant,
    header: Header,
    len: u32,
    reason: Reason,
    /// How many state changes came before it.
    changes: u64,
}

/// What the builder remembers of one side.
#[derive(Clone, Debug, Default)]
struct SideMemory {
    /// State changes not drawn yet: number, time, state.
    pending: VecDeque<(u64, Instant, State)>,
    changes: u64,
    /// The state of the last change drawn.
    drawn: Option<State>,
    said: VecDeque<Said>,
    /// Whether TCP events of this side are heard.
    watched: bool,
    /// The latest departure that arrived here.
    newest_arrival: Option<u64>,
    /// What is expected here next, when only arrivals are seen.
    expected: Option<woshou_tcp::SeqNum>,
}

impl Story {
    fn side_of(&self, address: SocketAddr) -> Side {
        if self.left.at == address {
            Side::Left
        } else {
            Side::Right
        }
    }

    fn memory(&mut self, side: Side) -> &mut SideMemory {
        &mut self.sides[side.index()]
    }

    /// Draws the state changes of `side` that are older than `now`, or all up to number `until`.
    fn flush(&mut self, side: Side, now: Instant, until: u64) {
        while let Some(&(number, at, state)) = self.memory(side).pending.front() {
            if at >= now && number > until {
                break;
            }
            self.memory(side).pending.pop_front();
            self.memory(side).drawn = Some(state);
            self.rows.push(Row {
                at,
                side,
                state: Some(state),
                mark: Mark::State,
            });
        }
    }

    /// Adds a row; a state change of the same side and instant up to number `until` goes on the same line.
    fn push(&mut self, at: Instant, side: Side, mut mark: Mark, until: u64) -> usize {
        for each in [side.other(), side] {
            self.flush(each, at, 0);
        }
        let ready = self
            .memory(side)
            .pending
            .iter()
            .take_while(|p| p.0 <= until)
            .count();
        let mut state = None;
        for left in (0..ready).rev() {
            let Some((_, at, to)) = self.memory(side).pending.pop_front() else {
                break;
            };
            if left == 0 {
                state = Some(to);
            } else {
                self.rows.push(Row {
                    at,
                    side,
                    state: Some(to),
                    mark: Mark::State,
                });
            }
        }
        let memory = self.memory(side);
        memory.drawn = state.or(memory.drawn);
        if let Mark::Arrow(arrow) = &mut mark {
            arrow.state = memory.drawn;
        }
        self.rows.push(Row {
            at,
            side,
            state,
            mark,
        });
        self.rows.len() - 1
    }

    fn arrow(&self, row: usize) -> Option<&Arrow> {
        match &self.rows.get(row)?.mark {
            Mark::Arrow(arrow) => Some(arrow),
            _ => None,
        }
    }

    fn arrow_mut(&mut self, row: usize) -> Option<&mut Arrow> {
        match &mut self.rows.get_mut(row)?.mark {
            Mark::Arrow(arrow) => Some(arrow),
            _ => None,
        }
    }

    /// What TCP said about a segment that leaves now. It stays remembered while the rest of it (GSO) may follow.
    fn said(&mut self, side: Side, header: &Header, len: u32) -> Option<Said> {
        let said = &mut self.memory(side).said;
        let matches = |s: &Said| {
            let offset = header.seq.distance_from(s.header.seq);
            let whole = offset.wrapping_add(len) >= s.len;
            let control = Flags::SYN | Flags::RST | if whole { Flags::FIN } else { Flags::NONE };
            let common = |flags: Flags| Flags::from_bits(flags.bits() & control.bits());
            (offset == 0 || offset < s.len)
                && len <= s.len
                && s.header.ack == header.ack
                && common(s.header.flags) == common(header.flags)
        };
        // The newest instant, since what was said before may never have left; of that instant the first, since
        // packets leave in order.
        let newest = said.iter().rfind(|s| matches(s))?.at;
        let at = said.iter().position(|s| s.at == newest && matches(s))?;
        let found = *said.get(at)?;
        // What was said before and did not leave will not leave any more.
        let whole = header.seq.distance_from(found.header.seq).wrapping_add(len) >= found.len;
        said.drain(..if whole { at + 1 } else { at });
        Some(found)
    }
}

/// Reads a timeline into one [`Story`] a connection, in order of their first sign.
pub(crate) fn tell(timeline: &Timeline) -> Vec<Story> {
    let mut builder = Builder {
        timeline,
        wire: timeline.has_wire(),
        stories: Vec::new(),
        index: BTreeMap::new(),
        packets: BTreeMap::new(),
        numbers: Numbers::default(),
    };
    for record in timeline.records() {
        builder.record(record);
    }
    for story in &mut builder.stories {
        for side in [Side::Left, Side::Right] {
            story.flush(side, Instant::MAX, u64::MAX);
        }
        story.rows.sort_by_key(|row| row.at);
    }
    builder.stories
}

struct Builder<'a> {
    timeline: &'a Timeline,
    wire: bool,
    stories: Vec<Story>,
    index: BTreeMap<(SocketAddr, SocketAddr), usize>,
    /// Where each packet is drawn: story and row.
    packets: BTreeMap<PacketId, (usize, usize)>,
    numbers: Numbers,
}

impl Builder<'_> {
    fn record(&mut self, record: &Record) {
        let now = record.now;
        match &record.what {
            What::Tcp { host, who, event } => self.tcp(now, *host, who, event),
            What::Left {
                packet,
                from,
                octets,
            } => self.left(now, *packet, *from, octets),
            What::Arrived { packet, .. } => self.arrived(now, *packet),
            What::Lost { packet, why } => {
                if let Some(arrow) = self.arrow_of(*packet) {
                    arrow.course = Course::Lost(*why);
                }
            }
            What::Duplicated { packet, copy } => self.duplicated(now, *packet, *copy),
        }
    }

    /// The story of the connection between the two, made when there is none. Hosts registered first are left;
    /// among strangers, `first` is.
    fn story(&mut self, host: HostId, first: SocketAddr, second: SocketAddr) -> usize {
        let key = if first <= second {
            (first, second)
        } else {
            (second, first)
        };
        if let Some(&at) = self.index.get(&key) {
            return at;
        }
        let known = |a: SocketAddr| self.timeline.host_at(a.ip());
        let left_first = known(second).is_none_or(|b| known(first).unwrap_or(host) <= b);
        let name = |a: SocketAddr| End {
            name: known(a).map_or(String::new(), |id| self.timeline.name(id).to_owned()),
            at: a,
        };
        let mut own = name(first);
        if own.name.is_empty() {
            self.timeline.name(host).clone_into(&mut own.name);
        }
        let (left, right) = if left_first {
            (own, name(second))
        } else {
            (name(second), own)
        };
        self.stories.push(Story {
            left,
            right,
            before: [None; 2],
            rows: Vec::new(),
            sides: Default::default(),
            departures: 0,
        });
        self.index.insert(key, self.stories.len() - 1);
        self.stories.len() - 1
    }

    fn tcp(&mut self, now: Instant, host: HostId, who: &Endpoints, event: &TraceEvent) {
        if who.remote.port() == 0 {
            return; // A listener as such: no connection yet.
        }
        let at = self.story(host, who.local, who.remote);
        let wire = self.wire;
        let Some(story) = self.stories.get_mut(at) else {
            return;
        };
        let side = story.side_of(who.local);
        story.memory(side).watched = true;
        match *event {
            TraceEvent::StateChanged { from, to, .. } => {
                let memory = story.memory(side);
                memory.changes += 1;
                let change = (memory.changes, now, to);
                memory.pending.push_back(change);
                if memory.changes == 1 {
                    memory.drawn = Some(from);
                    story.before[side.index()] = Some(from);
                }
            }
            TraceEvent::Sent {
                header,
                len,
                reason,
                ..
            } if wire => {
                let memory = story.memory(side);
                let changes = memory.changes;
                memory.said.push_back(Said {
                    at: now,
                    header,
                    len,
                    reason,
                    changes,
                });
                if memory.said.len() > WAITING {
                    memory.said.pop_front();
                }
            }
            TraceEvent::Sent {
                header,
                len,
                reason,
                ..
            } => {
                let draft = Draft {
                    header,
                    len,
                    reason: Some(reason),
                    until: u64::MAX,
                };
                self.draw(now, at, side, draft);
            }
            TraceEvent::Received { header, len } if !wire => {
                self.received(
                    now,
                    at,
                    side.other(),
                    Draft {
                        header,
                        len,
                        reason: None,
                        until: 0,
                    },
                );
            }
            TraceEvent::TimerFired { timer } => {
                story.push(now, side, Mark::Timer(timer), 0);
            }
            TraceEvent::Refused { refusal } => {
                story.push(now, side, Mark::Refused(refusal), 0);
            }
            TraceEvent::Ended { reason } if reason != Ended::Closed => {
                story.push(now, side, Mark::Ended(reason), u64::MAX);
            }
            _ => {}
        }
    }
}

/// A segment to draw.
struct Draft {
    header: Header,
    len: u32,
    reason: Option<Reason>,
    /// State changes of the sender up to this number belong to it.
    until: u64,
}

impl Builder<'_> {
    /// Draws a segment that leaves `side`; returns its row.
    fn draw(&mut self, now: Instant, at: usize, side: Side, draft: Draft) -> Option<usize> {
        let story = self.stories.get_mut(at)?;
        let (left, right) = (story.left.at, story.right.at);
        let way = if side == Side::Left {
            (left, right)
        } else {
            (right, left)
        };
        let Draft {
            header,
            len,
            reason,
            until,
        } = draft;
        let shown = self.numbers.show(way, &header, len == 0);
        let order = story.departures;
        story.departures += 1;
        let course = Course::Unknown;
        let arrow = Arrow {
            header,
            len,
            shown,
            reason,
            course,
            copy: false,
            early: false,
            packet: None,
            state: None,
            order,
        };
        Some(story.push(now, side, Mark::Arrow(Box::new(arrow)), until))
    }

    /// Draws a segment that is only seen where it arrives; `side` is where it came from.
    fn received(&mut self, now: Instant, at: usize, side: Side, draft: Draft) {
        let (header, len) = (draft.header, draft.len);
        let Some(story) = self.stories.get_mut(at) else {
            return;
        };
        if story.memory(side).watched {
            return; // Drawn when it was sent.
        }
        let control = u32::from(header.flags.syn()) + u32::from(header.flags.fin());
        let end = header.seq + len + control;
        let memory = story.memory(side.other());
        let early = len > 0 && memory.expected.is_some_and(|e| header.seq.after(e));
        if !early && !header.flags.rst() {
            memory.expected = Some(memory.expected.map_or(end, |e| e.later(end)));
        }
        if let Some(row) = self.draw(now, at, side, draft)
            && let Some(arrow) = self.stories.get_mut(at).and_then(|s| s.arrow_mut(row))
        {
            arrow.early = early;
            arrow.course = Course::Arrives(now);
        }
    }

    fn left(&mut self, now: Instant, packet: PacketId, from: HostId, octets: &[u8]) {
        let Some(Packet {
            body: Body::Tcp(tcp),
            ..
        }) = Packet::parse(octets)
        else {
            return;
        };
        let at = self.story(from, tcp.source, tcp.destination);
        let Some(story) = self.stories.get_mut(at) else {
            return;
        };
        let side = story.side_of(tcp.source);
        let said = story.said(side, &tcp.header, tcp.len);
        let draft = Draft {
            header: tcp.header,
            len: tcp.len,
            reason: said.map(|s| s.reason),
            until: said.map_or(0, |s| s.changes),
        };
        if let Some(row) = self.draw(now, at, side, draft) {
            self.packets.insert(packet, (at, row));
            if let Some(arrow) = self.arrow_of(packet) {
                arrow.packet = Some(packet);
            }
        }
    }

    fn arrow_of(&mut self, packet: PacketId) -> Option<&mut Arrow> {
        let (at, row) = *self.packets.get(&packet)?;
        self.stories.get_mut(at)?.arrow_mut(row)
    }

    fn arrived(&mut self, now: Instant, packet: PacketId) {
        let Some(&(at, row)) = self.packets.get(&packet) else {
            return;
        };
        let Some(story) = self.stories.get_mut(at) else {
            return;
        };
        let from = story.rows.get(row).map_or(Side::Left, |r| r.side);
        let Some(arrow) = story.arrow_mut(row) else {
            return;
        };
        if matches!(arrow.course, Course::Lost(_)) {
            return; // It arrives spoilt: the cross says more than the arrow.
        }
        arrow.course = Course::Arrives(now);
        let (order, seq, len) = (arrow.order, arrow.shown.seq, arrow.len);
        let copy = arrow.copy;
        let newest = &mut story.memory(from.other()).newest_arrival;
        let late = newest.is_some_and(|n| n > order);
        *newest = Some(newest.map_or(order, |n| n.max(order)));
        if late && !copy {
            story.push(now, from.other(), Mark::Late(seq, len), 0);
        }
    }

    fn duplicated(&mut self, now: Instant, packet: PacketId, copy: PacketId) {
        let Some(&(at, row)) = self.packets.get(&packet) else {
            return;
        };
        let Some(story) = self.stories.get_mut(at) else {
            return;
        };
        let side = story.rows.get(row).map_or(Side::Left, |r| r.side);
        let Some(first) = story.arrow(row) else {
            return;
        };
        let mut second = first.clone();
        second.copy = true;
        second.packet = Some(copy);
        second.course = Course::Unknown;
        let row = story.push(now, side, Mark::Arrow(Box::new(second)), 0);
        self.packets.insert(copy, (at, row));
    }
}
