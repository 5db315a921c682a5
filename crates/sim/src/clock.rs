//! Virtual time: what happens next, and when. Time jumps from one happening to the next.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use woshou_tcp::Instant;

/// The happenings to come. Of two at the same moment, the one put in first comes first.
#[derive(Debug)]
pub struct Agenda<T> {
    now: Instant,
    next_number: u64,
    heap: BinaryHeap<Reverse<Entry<T>>>,
}

#[derive(Debug)]
struct Entry<T> {
    at: Instant,
    number: u64,
    what: T,
}

impl<T> Entry<T> {
    fn key(&self) -> (Instant, u64) {
        (self.at, self.number)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl<T> Eq for Entry<T> {}
impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self {
            now: Instant::ZERO,
            next_number: 0,
            heap: BinaryHeap::new(),
        }
    }
}

impl<T> Agenda<T> {
    /// The virtual time; starts at [`Instant::ZERO`].
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// When the next happening is due.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// Puts `what` in at `at`; at once when that has passed.
    pub fn push(&mut self, at: Instant, what: T) {
        let number = self.next_number;
        self.next_number += 1;
        self.heap.push(Reverse(Entry {
            at: at.max(self.now),
            number,
            what,
        }));
    }

    /// Takes the next happening out and sets the clock to its time.
    pub fn pop(&mut self) -> Option<T> {
        let Reverse(entry) = self.heap.pop()?;
        self.now = entry.at;
        Some(entry.what)
    }

    /// Throws away what comes next, as long as it is `stale`.
    pub fn discard(&mut self, stale: impl Fn(Instant, &T) -> bool) {
        while self
            .heap
            .peek()
            .is_some_and(|Reverse(entry)| stale(entry.at, &entry.what))
        {
            self.heap.pop();
        }
    }

    /// Sets the clock forward to `to`, but never past the next happening, and never back.
    pub fn advance(&mut self, to: Instant) {
        let to = self.next_at().map_or(to, |next| to.min(next));
        self.now = self.now.max(to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_first_then_the_order_of_insertion() {
        let mut agenda = Agenda::default();
        for (at, what) in [(5, 'c'), (3, 'a'), (5, 'd'), (3, 'b'), (9, 'e')] {
            agenda.push(Instant::from_millis(at), what);
        }
        let mut order = Vec::new();
        while let Some(what) = agenda.pop() {
            order.push((agenda.now().as_millis(), what));
        }
        assert_eq!(order, [(3, 'a'), (3, 'b'), (5, 'c'), (5, 'd'), (9, 'e')]);
    }

    #[test]
    fn what_is_discarded_never_happens() {
        let mut agenda = Agenda::default();
        for (at, what) in [(1, 'a'), (2, 'b'), (3, 'c'), (4, 'a')] {
            agenda.push(Instant::from_millis(at), what);
        }
        agenda.discard(|at, &what| what == 'a' || at == Instant::from_millis(2));
        assert_eq!(agenda.now(), Instant::ZERO);
        assert_eq!(
            [agenda.pop(), agenda.pop(), agenda.pop()],
            [Some('c'), Some('a'), None]
        );
    }

    #[test]
    fn the_clock_never_goes_back() {
        let mut agenda = Agenda::default();
        agenda.push(Instant::from_millis(4), 'a');
        agenda.advance(Instant::from_millis(9));
        assert_eq!(
            agenda.now(),
            Instant::from_millis(4),
            "not past what is still to happen"
        );
        agenda.pop();
        agenda.push(Instant::from_millis(1), 'b');
        assert_eq!(
            agenda.next_at(),
            Some(Instant::from_millis(4)),
            "late comers happen at once"
        );
        agenda.pop();
        agenda.advance(Instant::from_millis(2));
        assert_eq!(agenda.now(), Instant::from_millis(4));
        agenda.advance(Instant::from_millis(9));
        assert_eq!(agenda.now(), Instant::from_millis(9));
    }
}
