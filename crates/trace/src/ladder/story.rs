//! What both ladders draw: per connection, one row for everything that is worth a line.

mod build;

use std::collections::VecDeque;
use std::net::SocketAddr;

use woshou_tcp::event::Timer;
use woshou_tcp::{Ended, FalseAlarm, Flags, Header, Instant, Reason, Refusal, SeqNum, State};

use crate::numbers::Shown;
use crate::timeline::{Fate, PacketId};

pub(crate) use build::tell;

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
    /// A loss turned out to be none.
    Undone(FalseAlarm),
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
    expected: Option<SeqNum>,
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

    fn state_changed(&mut self, now: Instant, side: Side, from: State, to: State) {
        let memory = self.memory(side);
        memory.changes += 1;
        let change = (memory.changes, now, to);
        memory.pending.push_back(change);
        if memory.changes == 1 {
            memory.drawn = Some(from);
            self.before[side.index()] = Some(from);
        }
    }

    /// Remembers what TCP says it sends until the packet leaves.
    fn will_leave(&mut self, side: Side, said: Said) {
        let memory = self.memory(side);
        let changes = memory.changes;
        memory.said.push_back(Said { changes, ..said });
        if memory.said.len() > WAITING {
            memory.said.pop_front();
        }
    }
}
