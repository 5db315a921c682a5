//! What a picture is drawn from: curves and marks, collected while things happen.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use woshou_tcp::{Endpoints, Header, Instant, Reason, SeqNum, TraceEvent};

use crate::packet::{Body, Packet};
use crate::timeline::{Fate, Timeline, What};

/// A curve: when, and how much from then on.
pub(super) type Curve = Vec<(Instant, u64)>;

/// Curves and marks of every connection, and of the bottleneck.
///
/// Feed it in the order of time, while things run ([`tcp`](Self::tcp) and the others), or make it of a [`Timeline`]. It
/// keeps some 30 octets for each segment and acknowledgement; give a run of many gigabytes a window in time instead.
#[derive(Clone, Debug, Default)]
pub struct Tracks {
    flows: Vec<Flow>,
    index: BTreeMap<(SocketAddr, SocketAddr), usize>,
    pub(super) bottleneck: Bottleneck,
}

/// The queue that all share.
#[derive(Clone, Debug, Default)]
pub(super) struct Bottleneck {
    /// Octets in the queue.
    pub(super) queue: Curve,
    /// Packets that the full queue (or its manager) refused.
    pub(super) dropped: Vec<Instant>,
    /// Packets lost otherwise.
    pub(super) lost: Vec<Instant>,
    /// Packets marked with CE.
    pub(super) marked: Vec<Instant>,
}

impl Bottleneck {
    /// Whether nobody told of it.
    pub(super) const fn is_silent(&self) -> bool {
        self.queue.is_empty()
            && self.dropped.is_empty()
            && self.lost.is_empty()
            && self.marked.is_empty()
    }
}

/// A segment with text, as it was sent. Places count from the first octet after the SYN, as 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) at: Instant,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) reason: Reason,
    /// Some of it had been sent before.
    pub(super) again: bool,
}

/// A range that an acknowledgement names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) at: Instant,
    pub(super) from: u64,
    pub(super) to: u64,
    /// It was received twice (RFC 2883).
    pub(super) duplicate: bool,
}

/// A stretch of time with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Instant,
    /// `None`: to the end.
    pub(super) to: Option<Instant>,
    pub(super) name: String,
}

/// One direction of a connection, as its sender sees it.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    pub(super) label: Option<String>,
    /// Our initial sequence number, and the highest place seen: what the next number is counted from.
    isn: Option<SeqNum>,
    highest: u64,
    /// What the peer's window is shifted by, once both have offered to.
    peer_scale: Option<u8>,
    scaling_offered: bool,
    pub(super) cwnd: Curve,
    pub(super) ssthresh: Curve,
    pub(super) in_flight: Curve,
    /// Nanoseconds.
    pub(super) rtt: Curve,
    pub(super) srtt: Curve,
    /// Bits a second.
    pub(super) pacing: Curve,
    pub(super) sent: Vec<Sent>,
    /// The cumulative acknowledgement.
    pub(super) acked: Curve,
    /// The first place beyond the peer's window.
    pub(super) window: Curve,
    pub(super) sacked: Vec<Block>,
    /// Segments of it that did not arrive: when they left, and where they began.
    pub(super) lost: Vec<(Instant, u64)>,
    /// When congestion control took back what it did for a loss that was none.
    pub(super) undone: Vec<Instant>,
    pub(super) recoveries: Vec<Span>,
    pub(super) phases: Vec<Span>,
}

impl Flow {
    fn new() -> Self {
        Self {
            label: None,
            isn: None,
            highest: 0,
            peer_scale: None,
            scaling_offered: false,
            cwnd: Curve::new(),
            ssthresh: Curve::new(),
            in_flight: Curve::new(),
            rtt: Curve::new(),
            srtt: Curve::new(),
            pacing: Curve::new(),
            sent: Vec::new(),
            acked: Curve::new(),
            window: Curve::new(),
            sacked: Vec::new(),
            lost: Vec::new(),
            undone: Vec::new(),
            recoveries: Vec::new(),
            phases: Vec::new(),
        }
    }

    /// The place of `seq`: the one nearest to the highest that was seen, so that numbers may wrap.
    fn place(&self, seq: SeqNum) -> u64 {
        let Some(isn) = self.isn else { return 0 };
        let low = u32::try_from(self.highest & u64::from(u32::MAX)).unwrap_or(0);
        let offset = i64::from(seq.offset_from(isn + low));
        self.highest.saturating_add_signed(offset)
    }

    fn on_sent(&mut self, now: Instant, header: &Header, len: u32, reason: Reason) {
        if header.flags.syn() {
            self.isn = Some(header.seq);
            self.highest = 0;
            self.scaling_offered = header.options.window_scale.is_some();
        }
        if len == 0 || header.flags.syn() {
            return;
        }
        // A connection whose SYN was not seen begins at its first octet.
        self.isn.get_or_insert(header.seq + u32::MAX);
        let from = self.place(header.seq);
        let to = from + u64::from(len);
        let again = from < self.highest;
        self.highest = self.highest.max(to);
        self.sent.push(Sent {
            at: now,
            from,
            to,
            reason,
            again,
        });
    }

    fn on_received(&mut self, now: Instant, header: &Header) {
        if header.flags.syn() {
            self.peer_scale = header.options.window_scale;
        }
        if !header.flags.ack() || self.isn.is_none() {
            return;
        }
        let ack = self.place(header.ack);
        let scale = match (header.flags.syn(), self.scaling_offered) {
            (false, true) => self.peer_scale.unwrap_or(0),
            _ => 0,
        };
        let edge = ack + (u64::from(header.window) << scale.min(14));
        change(&mut self.acked, now, ack);
        change(&mut self.window, now, edge);
        let mut first = true;
        for block in header.options.sack.as_slice() {
            let from = self.place(SeqNum(block.left));
            let to = self.place(SeqNum(block.right));
            // RFC 2883 section 4: the first block, below the acknowledgement or inside the second one.
            let duplicate = first && to <= ack;
            first = false;
            self.sacked.push(Block {
                at: now,
                from,
                to,
                duplicate,
            });
        }
    }

    fn on_congestion(&mut self, now: Instant, recovery: bool, phase: &str) {
        enter(&mut self.recoveries, now, recovery.then_some("recovery"));
        enter(&mut self.phases, now, Some(phase));
    }

    /// Its name for people.
    pub(super) fn name(&self, number: usize) -> String {
        self.label
            .clone()
            .unwrap_or_else(|| format!("flow {}", number + 1))
    }
}

/// From `now` on it is in `name`.
fn enter(spans: &mut Vec<Span>, now: Instant, name: Option<&str>) {
    let open = spans.last_mut().filter(|span| span.to.is_none());
    if open.as_ref().map(|span| span.name.as_str()) == name {
        return;
    }
    if let Some(span) = open {
        span.to = Some(now);
    }
    if let Some(name) = name {
        spans.push(Span {
            from: now,
            to: None,
            name: name.to_owned(),
        });
    }
}

/// Adds a point when the value is another one.
fn change(curve: &mut Curve, now: Instant, value: u64) {
    if curve.last().is_none_or(|&(_, last)| last != value) {
        curve.push((now, value));
    }
}

impl Tracks {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a timeline tells; the queue is not among it.
    #[must_use]
    pub fn of(timeline: &Timeline) -> Self {
        let mut tracks = Self::new();
        let mut under_way = BTreeMap::new();
        for record in timeline.records() {
            match &record.what {
                What::Tcp { who, event, .. } => tracks.tcp(record.now, who, event),
                What::Left { packet, octets, .. } => {
                    under_way.insert(*packet, octets);
                }
                What::Arrived { packet, .. } => {
                    under_way.remove(packet);
                }
                What::Lost { packet, why } => {
                    if let Some(octets) = under_way.remove(packet) {
                        tracks.lost(record.now, octets, *why);
                    }
                }
                What::Duplicated { .. } => {}
            }
        }
        tracks
    }

    fn flow(&mut self, who: &Endpoints) -> &mut Flow {
        let next = self.flows.len();
        let at = *self
            .index
            .entry((who.local, who.remote))
            .or_insert_with(|| {
                self.flows.push(Flow::new());
                next
            });
        &mut self.flows[at] // Entered right above.
    }

    /// Names the direction that `who.local` sends; otherwise it is called by its number.
    pub fn label(&mut self, who: &Endpoints, label: impl Into<String>) {
        self.flow(who).label = Some(label.into());
    }

    /// `event` happened to the connection between `who`.
    pub fn tcp(&mut self, now: Instant, who: &Endpoints, event: &TraceEvent) {
        match event {
            TraceEvent::Sent {
                header,
                len,
                reason,
                ..
            } => self.flow(who).on_sent(now, header, *len, *reason),
            TraceEvent::Received { header, .. } => self.flow(who).on_received(now, header),
            TraceEvent::RttMeasured { sample, srtt, .. } => {
                let flow = self.flow(who);
                flow.rtt.push((now, nanos(*sample)));
                change(&mut flow.srtt, now, nanos(*srtt));
            }
            TraceEvent::Congestion {
                cwnd,
                ssthresh,
                in_flight,
                recovery,
                pacing_rate,
                phase,
                ..
            } => {
                let flow = self.flow(who);
                change(&mut flow.cwnd, now, *cwnd);
                change(&mut flow.ssthresh, now, *ssthresh);
                change(&mut flow.in_flight, now, *in_flight);
                if let Some(octets) = pacing_rate {
                    change(&mut flow.pacing, now, octets.saturating_mul(8));
                }
                flow.on_congestion(now, *recovery, phase);
            }
            TraceEvent::Undone { .. } => self.flow(who).undone.push(now),
            _ => {}
        }
    }

    /// So many octets are in the queue of the bottleneck from now on.
    pub fn queue(&mut self, now: Instant, octets: u64) {
        change(&mut self.bottleneck.queue, now, octets);
    }

    /// The IP packet `octets` will not arrive.
    pub fn lost(&mut self, now: Instant, octets: &[u8], why: Fate) {
        match why {
            Fate::QueueFull => self.bottleneck.dropped.push(now),
            _ => self.bottleneck.lost.push(now),
        }
        if let Some(Packet {
            body: Body::Tcp(tcp),
            ..
        }) = Packet::parse(octets)
            && tcp.len > 0
        {
            let who = Endpoints {
                local: tcp.source,
                remote: tcp.destination,
            };
            let flow = self.flow(&who);
            let place = flow.place(tcp.header.seq);
            flow.lost.push((now, place));
        }
    }

    /// A packet was marked with CE (RFC 3168).
    pub fn marked(&mut self, now: Instant) {
        self.bottleneck.marked.push(now);
    }

    /// Whether there is nothing to draw.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.senders().is_empty()
    }

    /// The directions that carried text, in the order in which they were first seen.
    pub(super) fn senders(&self) -> Vec<&Flow> {
        self.flows
            .iter()
            .filter(|flow| !flow.sent.is_empty())
            .collect()
    }

    /// When the last thing happened.
    pub(super) fn end(&self) -> Instant {
        let mut end = Instant::ZERO;
        for flow in self.senders() {
            for curve in [&flow.acked, &flow.cwnd, &flow.rtt] {
                end = end.max(curve.last().map_or(end, |&(at, _)| at));
            }
            end = end.max(flow.sent.last().map_or(end, |sent| sent.at));
        }
        end
    }
}

fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "tracks_tests.rs"]
mod tests;
