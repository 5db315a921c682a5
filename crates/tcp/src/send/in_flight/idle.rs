//! Room for records only where something flies: an idle connection has none, and takes no more than a word for it.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::ops::{Deref, DerefMut};

use super::Sent;
use crate::send::pool::Pool;

/// Room for more transmissions than this is not kept for others: bulk transfers end rarely.
const MOST_KEPT: usize = 16;

/// The records of what flies, oldest first.
pub(crate) type Records = VecDeque<Sent>;

/// The records, or a word while there are none.
#[derive(Clone, Debug, Default)]
pub(super) struct Room(Option<Box<Records>>);

/// Octets that empty records take in a pool, at most.
pub(crate) const MOST_IDLE: usize = size_of::<Records>() + MOST_KEPT * size_of::<Sent>();

impl Room {
    const NONE: &Records = &Records::new();

    /// All records, with their room.
    pub(super) fn take(&mut self) -> Records {
        self.0.take().map_or_else(Records::new, |records| *records)
    }

    #[inline]
    pub(super) fn take_from(&mut self, pool: &mut Pool<'_>) {
        if self.0.is_none() {
            self.0 = pool.as_deref_mut().and_then(|pool| pool.records.take());
        }
    }

    /// If there are none.
    #[inline]
    pub(super) fn give_to(&mut self, pool: &mut Pool<'_>) {
        let Some(room) = self.0.take_if(|records| records.is_empty()) else {
            return;
        };
        if let Some(pool) = pool.as_deref_mut().filter(|_| room.capacity() <= MOST_KEPT) {
            pool.records.give(room);
        }
    }

    /// Octets of heap memory held.
    pub(super) fn memory(&self) -> usize {
        self.0.as_deref().map_or(0, |records| {
            size_of::<Records>() + records.capacity() * size_of::<Sent>()
        })
    }
}

impl Deref for Room {
    type Target = Records;
    #[inline]
    fn deref(&self) -> &Records {
        self.0.as_deref().unwrap_or(Self::NONE)
    }
}

impl DerefMut for Room {
    #[inline]
    fn deref_mut(&mut self) -> &mut Records {
        self.0.get_or_insert_default()
    }
}
