//! From records to stories: who said what, which packet carried it, and how it fared.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use woshou_tcp::{Ended, Endpoints, Header, Instant, Reason, TraceEvent};

use super::{Arrow, Course, End, Mark, Said, Side, Story};
use crate::numbers::Numbers;
use crate::packet::{Body, Packet};
use crate::timeline::{HostId, PacketId, Record, Timeline, What};

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
            TraceEvent::StateChanged { from, to, .. } => story.state_changed(now, side, from, to),
            TraceEvent::Sent {
                header,
                len,
                reason,
                ..
            } if wire => {
                let said = Said {
                    at: now,
                    header,
                    len,
                    reason,
                    changes: 0,
                };
                story.will_leave(side, said);
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
                let draft = Draft {
                    header,
                    len,
                    reason: None,
                    until: 0,
                };
                self.received(now, at, side.other(), draft);
            }
            _ => {
                if let Some((mark, until)) = beside(event) {
                    story.push(now, side, mark, until);
                }
            }
        }
    }
}

/// What is written beside a time line, and up to which state change it belongs to.
fn beside(event: &TraceEvent) -> Option<(Mark, u64)> {
    match *event {
        TraceEvent::TimerFired { timer } => Some((Mark::Timer(timer), 0)),
        TraceEvent::Refused { refusal } => Some((Mark::Refused(refusal), 0)),
        TraceEvent::Undone { by } => Some((Mark::Undone(by), 0)),
        TraceEvent::Ended { reason } if reason != Ended::Closed => {
            Some((Mark::Ended(reason), u64::MAX))
        }
        _ => None,
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
