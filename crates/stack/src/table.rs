//! The connections: a slab with generations, who has output, who has news, who is due when.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use slab::Slab;
use woshou_tcp::connection::Plan;
use woshou_tcp::error::PathError;
use woshou_tcp::{
    Connection, Context, Ended, Endpoints, Instant, Opening, SeqNum, State, TcpInfo, Transmit, Wake,
};

use crate::deadlines::Deadlines;
use crate::ip::route::Path;
use crate::listeners::ListenerId;
use crate::marks::Marks;
use crate::time_waits::TimeWaitId;

/// A connection: index and generation, so that a stale id names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// What a slot holds: both are driven alike.
pub(crate) enum Body {
    Opening(Box<Opening>),
    Connection(Box<Connection>),
}

impl Body {
    pub(crate) fn plan(&self, now: Instant, max_text: u32) -> Option<Plan> {
        match self {
            Self::Opening(opening) => opening.plan(now, max_text),
            Self::Connection(connection) => connection.plan(now, max_text),
        }
    }

    pub(crate) fn build(&mut self, cx: &mut Context<'_>, plan: Plan) -> Transmit<'_> {
        match self {
            Self::Opening(opening) => opening.build(cx, plan),
            Self::Connection(connection) => connection.build(cx, plan),
        }
    }

    pub(crate) fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        match self {
            Self::Opening(opening) => opening.handle_timeout(cx),
            Self::Connection(connection) => connection.handle_timeout(cx),
        }
    }

    pub(crate) fn handle_path_error(
        &mut self,
        cx: &mut Context<'_>,
        error: PathError,
        seq: SeqNum,
    ) {
        match self {
            Self::Opening(opening) => opening.handle_path_error(cx, error, seq),
            Self::Connection(connection) => connection.handle_path_error(cx, error, seq),
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Opening(opening) => opening.poll_timeout(),
            Self::Connection(connection) => connection.poll_timeout(),
        }
    }

    pub(crate) fn poll_event(&mut self) -> Wake {
        match self {
            Self::Opening(opening) => opening.poll_event(),
            Self::Connection(connection) => connection.poll_event(),
        }
    }

    pub(crate) fn ended(&self) -> Option<Ended> {
        match self {
            Self::Opening(opening) => opening.ended(),
            Self::Connection(connection) => connection.ended(),
        }
    }

    pub(crate) fn endpoints(&self) -> &Endpoints {
        match self {
            Self::Opening(opening) => opening.endpoints(),
            Self::Connection(connection) => connection.endpoints(),
        }
    }

    pub(crate) fn info(&self, now: Instant) -> TcpInfo {
        match self {
            Self::Opening(opening) => opening.info(now),
            Self::Connection(connection) => connection.info(now),
        }
    }

    pub(crate) fn abort(&mut self, cx: &mut Context<'_>) {
        match self {
            Self::Opening(opening) => opening.abort(cx),
            Self::Connection(connection) => connection.abort(cx),
        }
    }

    pub(crate) fn state(&self) -> State {
        match self {
            Self::Opening(opening) if opening.ended().is_some() => State::Closed,
            Self::Opening(_) => State::SynSent,
            Self::Connection(connection) => connection.state(),
        }
    }
}

/// Who would still call with the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// The user.
    User,
    /// The accept queue of this listener.
    Queue(ListenerId),
    /// Nobody: the slot goes as soon as the connection is over and nothing is owed.
    Nobody,
}

/// Who answers for the four-tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// This slot.
    Here,
    /// A TIME-WAIT entry: the slot holds only what the user may still read.
    TimeWait(TimeWaitId),
    /// Nobody: it ended.
    Gone,
}

/// One connection and what the stack knows of it.
pub(crate) struct Slot {
    pub(crate) generation: u32,
    pub(crate) body: Body,
    pub(crate) path: Path,
    pub(crate) marks: Marks,
    /// IPv6's.
    pub(crate) flow_label: u32,
    /// TOS or traffic class of the segment that came last; `None`: none yet.
    pub(crate) received_tos: Option<u8>,
    /// Asked for while it was still opening.
    pub(crate) nodelay: Option<bool>,
    pub(crate) holder: Holder,
    pub(crate) place: Place,
    /// The sequence number after the last octet sent, to tell forged ICMP errors from others.
    pub(crate) sent_up_to: Option<SeqNum>,
    /// In the ready queue.
    ready: bool,
    /// Its output waits for a neighbour's address.
    pub(crate) held: bool,
    /// News for the user, not told yet.
    wake: Wake,
    /// In the event queue.
    told: bool,
}

/// All connections.
#[derive(Default)]
pub(crate) struct Table {
    slots: Slab<Slot>,
    next_generation: u32,
    ready: VecDeque<ConnId>,
    news: VecDeque<ConnId>,
    pub(crate) deadlines: Deadlines,
}

impl Table {
    /// Puts a connection in; it is in nobody's queue yet.
    pub(crate) fn insert(
        &mut self,
        body: Body,
        path: Path,
        marks: Marks,
        holder: Holder,
    ) -> ConnId {
        let generation = self.next_generation;
        self.next_generation = generation.wrapping_add(1);
        let index = self.slots.insert(Slot {
            generation,
            body,
            path,
            marks,
            flow_label: 0,
            received_tos: None,
            nodelay: None,
            holder,
            place: Place::Here,
            sent_up_to: None,
            ready: false,
            held: false,
            wake: Wake::NONE,
            told: false,
        });
        // 2^32 slots would need more memory than there is: the index fits.
        ConnId {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            generation,
        }
    }

    pub(crate) fn get(&self, id: ConnId) -> Option<&Slot> {
        self.slots
            .get(id.index as usize)
            .filter(|slot| slot.generation == id.generation)
    }

    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut Slot> {
        self.slots
            .get_mut(id.index as usize)
            .filter(|slot| slot.generation == id.generation)
    }

    /// The slot when `id` is the user's to use.
    pub(crate) fn of_user(&self, id: ConnId) -> Option<&Slot> {
        self.get(id).filter(|slot| slot.holder == Holder::User)
    }

    /// As [`Self::of_user`].
    pub(crate) fn of_user_mut(&mut self, id: ConnId) -> Option<&mut Slot> {
        self.get_mut(id).filter(|slot| slot.holder == Holder::User)
    }

    /// The id of the slot at `index`.
    pub(crate) fn id(&self, index: u32) -> Option<ConnId> {
        let generation = self.slots.get(index as usize)?.generation;
        Some(ConnId { index, generation })
    }

    pub(crate) fn remove(&mut self, id: ConnId) -> Option<Slot> {
        self.get(id)?;
        self.deadlines.set(id.index, None);
        self.slots.try_remove(id.index as usize)
    }

    /// Every connection, by index: an order that does not depend on chance.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().map(|(_, slot)| slot)
    }

    /// It may have output: it is asked in its turn.
    pub(crate) fn mark_ready(&mut self, id: ConnId) {
        if let Some(slot) = self.get_mut(id)
            && !slot.ready
            && !slot.held
        {
            slot.ready = true;
            self.ready.push_back(id);
        }
    }

    /// The one whose turn it is, taken out of the queue.
    pub(crate) fn next_ready(&mut self) -> Option<ConnId> {
        loop {
            let id = self.ready.pop_front()?;
            if let Some(slot) = self.get_mut(id) {
                slot.ready = false;
                return Some(id);
            }
        }
    }

    /// Adds news for the user of `id`; they are told together, once.
    pub(crate) fn wake(&mut self, id: ConnId, wake: Wake) {
        let Some(slot) = self.get_mut(id) else { return };
        slot.wake |= wake;
        if !slot.wake.is_empty() && !slot.told && slot.holder == Holder::User {
            slot.told = true;
            self.news.push_back(id);
        }
    }

    /// The next connection with news.
    pub(crate) fn poll_event(&mut self) -> Option<(ConnId, Wake)> {
        loop {
            let id = self.news.pop_front()?;
            let Some(slot) = self.get_mut(id) else {
                continue;
            };
            slot.told = false;
            let wake = core::mem::take(&mut slot.wake);
            if slot.holder == Holder::User && !wake.is_empty() {
                return Some((id, wake));
            }
        }
    }
}
