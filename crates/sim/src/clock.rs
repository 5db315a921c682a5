//! Virtual time: what happens next, and when. Time jumps from one happening to the next.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, VecDeque};

use woshou_tcp::Instant;

/// The happenings to come. Of two at the same moment, the one put in first comes first.
///
/// Those of a *lane* (packets on one path) mostly come in the order in which they were put in: they wait in a queue, only the
/// first of which stands in the heap. That keeps the heap as small as there are lanes, however much is under way.
#[derive(Debug)]
pub struct Agenda<T> {
    now: Instant,
    next_number: u64,
    heap: BinaryHeap<Reverse<Entry>>,
    /// What stands in the heap alone, by place; `None` is free.
    items: Vec<Option<T>>,
    free: Vec<u32>,
    lanes: Vec<VecDeque<(Instant, u64, T)>>,
}

/// In the order of time, and then of insertion; the place never decides, for numbers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at: Instant,
    number: u64,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Item(u32),
    Lane(u32),
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self {
            now: Instant::ZERO,
            next_number: 0,
            heap: BinaryHeap::new(),
            items: Vec::new(),
            free: Vec::new(),
            lanes: Vec::new(),
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

    /// The next happening, and when it is due.
    #[must_use]
    pub fn peek(&self) -> Option<(Instant, &T)> {
        let Reverse(entry) = self.heap.peek()?;
        let what = match entry.place {
            Place::Item(place) => self.items.get(place as usize)?.as_ref()?,
            Place::Lane(lane) => &self.lanes.get(lane as usize)?.front()?.2,
        };
        Some((entry.at, what))
    }

    /// Puts `what` in at `at`; at once when that has passed.
    pub fn push(&mut self, at: Instant, what: T) {
        let number = self.number();
        self.push_alone(at.max(self.now), number, what);
    }

    /// The same for something that mostly comes after all that `lane` (counted from 0) has.
    pub fn push_in_lane(&mut self, lane: u32, at: Instant, what: T) {
        let (at, number) = (at.max(self.now), self.number());
        let index = lane as usize;
        if self.lanes.len() <= index {
            self.lanes.resize_with(index + 1, VecDeque::new);
        }
        let Some(queue) = self.lanes.get_mut(index) else {
            return;
        };
        match queue.back() {
            Some(&(last_at, ..)) if last_at > at => self.push_alone(at, number, what),
            Some(_) => queue.push_back((at, number, what)),
            None => {
                queue.push_back((at, number, what));
                let place = Place::Lane(lane);
                self.heap.push(Reverse(Entry { at, number, place }));
            }
        }
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn push_alone(&mut self, at: Instant, number: u64, what: T) {
        let place = match self.free.pop() {
            Some(place) => {
                self.items[place as usize] = Some(what); // It was taken from there.
                place
            }
            None => {
                self.items.push(Some(what));
                u32::try_from(self.items.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let place = Place::Item(place);
        self.heap.push(Reverse(Entry { at, number, place }));
    }

    /// Takes the next happening out and sets the clock to its time.
    pub fn pop(&mut self) -> Option<T> {
        let at = self.next_at()?;
        let what = self.remove_next()?;
        self.now = at;
        Some(what)
    }

    /// Takes the next happening out as if it had never been put in: no time passes.
    pub fn remove_next(&mut self) -> Option<T> {
        let mut top = self.heap.peek_mut()?;
        match top.0.place {
            Place::Item(place) => {
                PeekMut::pop(top);
                self.free.push(place);
                self.items.get_mut(place as usize)?.take()
            }
            Place::Lane(lane) => {
                let queue = self.lanes.get_mut(lane as usize)?;
                let (.., what) = queue.pop_front()?;
                match queue.front() {
                    Some(&(at, number, _)) => {
                        top.0.at = at;
                        top.0.number = number;
                    }
                    None => {
                        PeekMut::pop(top);
                    }
                }
                Some(what)
            }
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
    fn what_is_removed_never_happens() {
        let mut agenda = Agenda::default();
        for (at, what) in [(1, 'a'), (2, 'b'), (3, 'c')] {
            agenda.push(Instant::from_millis(at), what);
        }
        assert_eq!(agenda.peek(), Some((Instant::from_millis(1), &'a')));
        assert_eq!(agenda.remove_next(), Some('a'));
        assert_eq!(agenda.now(), Instant::ZERO);
        assert_eq!(
            [agenda.pop(), agenda.pop(), agenda.pop()],
            [Some('b'), Some('c'), None]
        );
    }

    #[test]
    fn lanes_change_nothing_but_the_cost() {
        let mut chance = crate::seed::Chance::new(1, crate::seed::Stream::Scenario);
        let (mut plain, mut laned) = (Agenda::default(), Agenda::default());
        let mut largest = 0;
        for what in 0..20_000_u64 {
            // Three lanes that mostly go forward, and some that stand alone.
            let lane = chance.draw().below(4);
            let late = chance.draw().hits(0.05);
            let after = if late { 0 } else { 50 } + chance.draw().below(3);
            let at = plain.now() + std::time::Duration::from_nanos(after);
            plain.push(at, what);
            match u32::try_from(lane) {
                Ok(lane @ 0..3) => laned.push_in_lane(lane, at, what),
                _ => laned.push(at, what),
            }
            largest = largest.max(laned.heap.len());
            while plain.next_at().is_some() && chance.draw().hits(0.5) {
                assert_eq!(plain.peek(), laned.peek());
                assert_eq!(plain.pop(), laned.pop());
                assert_eq!(plain.now(), laned.now());
            }
        }
        while let Some(what) = plain.pop() {
            assert_eq!(laned.pop(), Some(what));
        }
        assert_eq!(laned.pop(), None);
        assert!(largest > 4);
        assert!(laned.items.len() < 10_000, "places are used again");
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
