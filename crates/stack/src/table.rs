//! The connections: a slab with generations, who has output, who has news, who is due when.

mod body;

use alloc::collections::VecDeque;

use slab::Slab;
use woshou_tcp::{Endpoints, Instant, Pressure, Wake};

use crate::deadlines::Deadlines;
use crate::ip::route::Path;
use crate::listeners::ListenerId;
use crate::marks::Marks;
use crate::time_waits::TimeWaitId;

pub(crate) use body::Body;

/// A connection: index and generation, so that a stale id names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
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

/// What looking at a connection found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It is over, and still answers for its four-tuple: nothing was done.
    Over,
    /// Its queues hold more or less than when last looked at, or this is the first look.
    Changed,
    /// Nothing that concerns the memory of all.
    Same,
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
    /// In the ready queue.
    ready: bool,
    /// Its output waits for a neighbour's address.
    pub(crate) held: bool,
    /// News for the user, not told yet.
    wake: Wake,
    /// In the event queue.
    told: bool,
    /// Octets that its queues held when last looked at.
    pub(crate) queued: usize,
    /// Octets that it holds beside its queues and itself, when last looked at.
    beside: u16,
    /// When it last gave some of them back, or had none.
    pub(crate) gave_at: Instant,
    /// It was settled.
    seen: bool,
    /// In the queue of those that were told that memory is short.
    pressed: bool,
    /// Among the orphans.
    orphan: bool,
}

impl Slot {
    /// Nobody needs it: over, and nobody holds its id.
    pub(crate) fn is_spent(&self) -> bool {
        self.holder == Holder::Nobody && self.place != Place::Here
    }
}

/// All connections.
#[derive(Default)]
pub(crate) struct Table {
    slots: Slab<Slot>,
    next_generation: u32,
    ready: VecDeque<ConnId>,
    news: VecDeque<ConnId>,
    pub(crate) deadlines: Deadlines,
    /// Sum of what the slots' queues hold, and of what is beside them.
    queued: usize,
    /// Those that were told that memory is short.
    pressed: VecDeque<ConnId>,
    /// Connections whose user let go of them, the oldest first; some may be over.
    orphans: VecDeque<ConnId>,
    /// How many of them are not.
    living_orphans: usize,
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
            ready: false,
            held: false,
            wake: Wake::NONE,
            told: false,
            queued: 0,
            beside: 0,
            gave_at: Instant::ZERO,
            seen: false,
            pressed: false,
            orphan: false,
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

    /// Both ends of the slot at `index`.
    #[inline]
    pub(crate) fn endpoints(&self, index: u32) -> Option<&Endpoints> {
        let slot = self.slots.get(index as usize)?;
        Some(slot.body.endpoints())
    }

    /// Whether the slot at `index` answers for `endpoints`.
    #[inline]
    pub(crate) fn answers(&self, index: u32, endpoints: &Endpoints) -> bool {
        let slot = self.slots.get(index as usize);
        slot.is_some_and(|slot| slot.place == Place::Here && slot.body.endpoints() == endpoints)
    }

    /// Whether `id` answers for its four-tuple.
    #[inline]
    pub(crate) fn is_here(&self, id: ConnId) -> bool {
        self.get(id).is_some_and(|slot| slot.place == Place::Here)
    }

    /// The id of the slot at `index`.
    pub(crate) fn id(&self, index: u32) -> Option<ConnId> {
        let generation = self.slots.get(index as usize)?.generation;
        Some(ConnId { index, generation })
    }

    pub(crate) fn remove(&mut self, id: ConnId) -> Option<Slot> {
        self.get(id)?;
        self.deadlines.set(id.index, None);
        self.forget_orphan(id);
        let slot = self.slots.try_remove(id.index as usize)?;
        self.queued -= slot.queued + usize::from(slot.beside);
        Some(slot)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Octets that their queues hold, and what is beside them.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// `id` was told something: when it is due, what the user hears, what its queues hold; and its turn to send comes if it
    /// may have something to send, or is over (not where it had its `turn` just now).
    pub(crate) fn settle(&mut self, now: Instant, id: ConnId, turn: bool) -> Settled {
        let slot = self.slots.get_mut(id.index as usize);
        let Some(slot) = slot.filter(|slot| slot.generation == id.generation) else {
            return Settled::Same;
        };
        let here = slot.place == Place::Here;
        if here && slot.body.ended().is_some() {
            return Settled::Over;
        }
        let (wake, due, queued) = slot.body.news();
        let due = due.filter(|_| here);
        self.deadlines.set(id.index, due);
        if !wake.is_empty() {
            slot.wake |= wake;
        }
        if !slot.wake.is_empty() && !slot.told && slot.holder == Holder::User {
            slot.told = true;
            self.news.push_back(id);
        }
        debug_assert!(
            !slot.body.is_quiet() || slot.body.plan(now, u32::MAX).is_none(),
            "it has something to send"
        );
        let waits = turn || slot.ready || slot.held;
        if !waits && (!slot.body.is_quiet() || slot.is_spent()) {
            slot.ready = true;
            self.ready.push_back(id);
        }
        let before = core::mem::replace(&mut slot.queued, queued);
        if queued < before || before == 0 {
            slot.gave_at = now;
        }
        self.queued = self.queued - before + queued;
        if core::mem::replace(&mut slot.seen, true) && queued == before {
            return Settled::Same;
        }
        let beside = u16::try_from(slot.body.beside()).unwrap_or(u16::MAX);
        let before = core::mem::replace(&mut slot.beside, beside);
        self.queued = self.queued - usize::from(before) + usize::from(beside);
        Settled::Changed
    }

    /// Tells `id` that memory is short, and remembers to tell when it is not any more.
    pub(crate) fn press(&mut self, id: ConnId, level: Pressure) {
        let Some(slot) = self.get_mut(id) else { return };
        let Body::Connection(connection) = &mut slot.body else {
            return;
        };
        connection.set_pressure(level);
        if !core::mem::replace(&mut slot.pressed, true) {
            self.pressed.push_back(id);
        }
    }

    /// Whether any is to hear when there is memory again.
    #[inline]
    pub(crate) fn has_pressed(&self) -> bool {
        self.pressed.capacity() > 0
    }

    /// The next that hears that there is memory again.
    pub(crate) fn next_pressed(&mut self) -> Option<ConnId> {
        loop {
            let Some(id) = self.pressed.pop_front() else {
                self.pressed = VecDeque::new();
                return None;
            };
            let Some(slot) = self.get_mut(id) else {
                continue;
            };
            slot.pressed = false;
            if let Body::Connection(connection) = &mut slot.body {
                connection.on_relief();
            }
            return Some(id);
        }
    }

    /// The user of `id`, which is not over, let go of it.
    pub(crate) fn note_orphan(&mut self, id: ConnId) {
        let Some(slot) = self.get_mut(id) else { return };
        if core::mem::replace(&mut slot.orphan, true) {
            return;
        }
        self.living_orphans += 1;
        // Twice the number that can be true, so that clearing up is rare.
        if self.orphans.len() > 2 * self.living_orphans + 16 {
            let slots = &self.slots;
            self.orphans.retain(|id| {
                let slot = slots.get(id.index as usize);
                slot.is_some_and(|slot| slot.generation == id.generation && slot.orphan)
            });
        }
        self.orphans.push_back(id);
    }

    /// It is over: it needs nothing any more.
    pub(crate) fn forget_orphan(&mut self, id: ConnId) {
        if let Some(slot) = self.get_mut(id)
            && core::mem::replace(&mut slot.orphan, false)
        {
            self.living_orphans -= 1;
        }
    }

    /// Connections that live on without a user.
    pub(crate) fn orphans(&self) -> usize {
        self.living_orphans
    }

    /// The one that has done so for longest.
    pub(crate) fn oldest_orphan(&mut self) -> Option<ConnId> {
        loop {
            let id = self.orphans.pop_front()?;
            if self.get(id).is_some_and(|slot| slot.orphan) {
                return Some(id);
            }
        }
    }

    /// As [`Self::iter`], with ids.
    pub(crate) fn iter_ids(&self) -> impl Iterator<Item = (ConnId, &Slot)> {
        self.slots.iter().map(|(index, slot)| {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            let generation = slot.generation;
            (ConnId { index, generation }, slot)
        })
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

    /// Whether a connection waits for its turn.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
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
