//! Text that came before what precedes it.

mod inserted;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::recv::buffer::{LEAST_KEPT, ReceiveBuffer, owner_to_keep};
use crate::segment::Text;
use crate::seq::SeqNum;
pub(crate) use inserted::Inserted;

mod known;
mod reports;

/// As many ranges may be held whatever the memory.
pub(crate) const MOST_RANGES: usize = 4096;
/// Beyond them, a range for so many octets of the memory that is allowed (a window and half of it): every second full segment of
/// a large window may be missing, and a peer's single octets do not make the search and the move of each segment longer.
const OCTETS_A_RANGE: usize = 4096;
/// Text this far beyond RCV.NXT is outside any window (RFC 7323 section 2.3).
const FARTHEST: u32 = 1 << 30;
/// Copies below this share a growing chunk; longer ones get an exact allocation.
const SMALL: usize = 512;
/// Sizes of a shared chunk.
const LEAST_CHUNK: usize = 64;
const MOST_CHUNK: usize = 4096;
/// Charged for a piece beside its octets: its entry in a deque that doubles, and the allocator's header.
const PIECE_OVERHEAD: usize = 2 * size_of::<Piece>() + 16;
/// Charged for a range: the same.
const RANGE_OVERHEAD: usize = 2 * size_of::<Range>() + 16;
/// What a deque of ranges begins with.
const FIRST_ROOM: usize = 4 * size_of::<Range>();
/// Ranges remembered as recently changed; a SACK option holds four.
const RECENT: usize = 32;

/// Octets of a range. Not empty.
#[derive(Debug)]
enum Piece {
    /// Copied; room behind the octets serves what continues them.
    Copied(Vec<u8>),
    /// Part of the packet that brought it, which is this large.
    Kept(Bytes, usize),
}

impl Piece {
    fn octets(&self) -> &[u8] {
        match self {
            Self::Copied(octets) => octets,
            Self::Kept(octets, _) => octets,
        }
    }

    /// Memory it counts for.
    fn charge(&self) -> usize {
        PIECE_OVERHEAD
            + match self {
                Self::Copied(octets) => octets.capacity(),
                Self::Kept(_, owner) => *owner,
            }
    }

    /// Hands over the octets after the first `skip`.
    fn move_into(self, skip: usize, into: &mut ReceiveBuffer) {
        match self {
            Self::Kept(octets, owner) => {
                into.push_bytes(octets.slice(skip.min(octets.len())..), owner);
            }
            Self::Copied(octets) if octets.len() >= LEAST_KEPT && skip == 0 => {
                let charged = octets.capacity();
                into.push_bytes(Bytes::from(octets), charged);
            }
            Self::Copied(octets) => {
                let octets = octets.get(skip..).unwrap_or_default();
                into.push(Text {
                    octets,
                    owner: None,
                });
            }
        }
    }
}

/// `start .. end` is here, in `pieces`.
#[derive(Debug)]
struct Range {
    start: SeqNum,
    end: SeqNum,
    pieces: VecDeque<Piece>,
}

impl Range {
    fn contains(&self, seq: SeqNum) -> bool {
        seq.between(self.start, self.end)
    }
}

/// Out-of-order text. Most connections never hold any: it takes no room in them until then.
#[derive(Debug, Default)]
pub(crate) struct Reassembly(Option<Box<Held>>);

impl Reassembly {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Octets held.
    pub(crate) fn octets(&self) -> usize {
        self.0.as_ref().map_or(0, |held| held.octets)
    }

    /// Heap memory held, octets, with what the entries cost.
    pub(crate) fn memory(&self) -> usize {
        self.0
            .as_ref()
            .map_or(0, |held| size_of::<Held>() + held.memory())
    }

    /// Ranges held.
    pub(crate) fn ranges(&self) -> usize {
        self.0.as_ref().map_or(0, |held| held.ranges.len())
    }

    /// The number of the first octet held.
    pub(crate) fn lowest(&self) -> Option<SeqNum> {
        self.0.as_ref()?.ranges.front().map(|range| range.start)
    }

    /// Forgets everything and gives the memory back.
    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    /// As [`Held::insert`].
    pub(crate) fn insert(
        &mut self,
        rcv_nxt: SeqNum,
        seq: SeqNum,
        text: Text<'_>,
        budget: usize,
    ) -> Inserted {
        let budget = budget.saturating_sub(size_of::<Held>());
        let held = self.0.get_or_insert_default();
        let inserted = held.insert(rcv_nxt, seq, text, budget);
        self.0.take_if(|held| held.ranges.is_empty());
        inserted
    }

    /// As [`Held::take_contiguous`].
    pub(crate) fn take_contiguous(&mut self, rcv_nxt: SeqNum, into: &mut ReceiveBuffer) -> u32 {
        let taken = self
            .0
            .as_mut()
            .map_or(0, |held| held.take_contiguous(rcv_nxt, into));
        self.0.take_if(|held| held.ranges.is_empty());
        taken
    }
}

/// Out-of-order text: sorted ranges that neither overlap nor touch. What arrived first stays.
#[derive(Debug, Default)]
struct Held {
    ranges: VecDeque<Range>,
    /// One sequence number in each of the ranges touched last, the newest first.
    recent: [Option<SeqNum>; RECENT],
    /// So many of them, the newest, changed since an acknowledgement reported them.
    unreported: usize,
    octets: usize,
    /// Heap memory charged.
    charged: usize,
}

impl Held {
    fn new() -> Self {
        Self::default()
    }

    /// Heap memory held, octets, with what the entries cost.
    fn memory(&self) -> usize {
        // The deque keeps the room of ranges that have gone, until the last has.
        let charged = (self.ranges.len() * RANGE_OVERHEAD).max(FIRST_ROOM);
        self.charged + (self.ranges.capacity() * size_of::<Range>()).saturating_sub(charged)
    }

    /// Forgets everything and gives the memory back.
    fn clear(&mut self) {
        *self = Self::new();
    }

    /// Stores what is new of `text`, which begins at `seq`, as long as `memory()` stays at or below `budget`.
    ///
    /// What lies before `rcv_nxt` (the user has it already) or 2^30 beyond it is left out.
    fn insert(&mut self, rcv_nxt: SeqNum, seq: SeqNum, text: Text<'_>, budget: usize) -> Inserted {
        let length = text.octets.len();
        let Some((start, text)) = trim(rcv_nxt, seq, text) else {
            return Inserted::Duplicate;
        };
        let octets_before = self.octets;
        let insertion = Insertion {
            start,
            text,
            budget,
        };
        let complete = insertion.run(self);
        match self.octets - octets_before {
            0 if complete => Inserted::Duplicate,
            0 => Inserted::NoMemory,
            stored if stored == length => Inserted::New,
            _ => Inserted::Partly,
        }
    }

    /// Moves the text that continues `rcv_nxt` to `into` and forgets what lies before it; returns how many
    /// octets `into` got.
    fn take_contiguous(&mut self, rcv_nxt: SeqNum, into: &mut ReceiveBuffer) -> u32 {
        let mut next = rcv_nxt;
        while self
            .ranges
            .front()
            .is_some_and(|range| range.start.at_or_before(next))
        {
            let Some(range) = self.ranges.pop_front() else {
                break;
            };
            self.charged -= RANGE_OVERHEAD;
            self.octets -= octets(range.end.distance_from(range.start));
            let mut skip = octets(next.distance_from(range.start));
            for piece in range.pieces {
                self.charged -= piece.charge();
                let length = piece.octets().len();
                if skip < length {
                    piece.move_into(skip, into);
                }
                skip = skip.saturating_sub(length);
            }
            next = next.later(range.end);
        }
        if self.ranges.len() < self.ranges.capacity() / 8 {
            self.ranges.shrink_to(2 * self.ranges.len());
        }
        if self.ranges.is_empty() {
            self.clear();
        } else if next != rcv_nxt {
            self.forget_recent(|point| point.before(next));
        }
        next.distance_from(rcv_nxt)
    }
}

/// A text on its way in: starts at `start`, not empty, wholly after RCV.NXT.
struct Insertion<'a> {
    start: SeqNum,
    text: Text<'a>,
    budget: usize,
}

impl Insertion<'_> {
    fn end(&self) -> SeqNum {
        self.start + self.text.octets.len() as u32
    }

    /// Fills every hole that the text covers, joining the ranges around it; returns false where memory ran out.
    fn run(&self, all: &mut Held) -> bool {
        let first = all
            .ranges
            .partition_point(|range| range.end.before(self.start));
        if !self.begin(all, first) {
            return false;
        }
        let mut joined = 0;
        let complete = loop {
            let Some(base) = all.ranges.get(first) else {
                break true;
            };
            let (from, next) = (base.end, first + 1 + joined);
            let next_start = all.ranges.get(next).map(|range| range.start);
            let next_start = next_start.filter(|start| start.at_or_before(self.end()));
            let until = next_start.unwrap_or(self.end());
            if from.before(until) && !self.append(all, first, until) {
                break false;
            }
            if next_start.is_none() {
                break true;
            }
            join(&mut all.ranges, first, next);
            joined += 1;
        };
        all.ranges.drain(first + 1..first + 1 + joined);
        all.charged -= joined * RANGE_OVERHEAD;
        all.note(first, self.start);
        complete
    }

    /// Sees to it that the range at `first` contains the text's first octet, by a new range if need be.
    fn begin(&self, all: &mut Held, first: usize) -> bool {
        let next = all.ranges.get(first).map(|range| range.start);
        if next.is_some_and(|start| start.at_or_before(self.start)) {
            return true;
        }
        let until = next.unwrap_or(self.end()).earlier(self.end());
        let piece = self.piece(self.start, until);
        // Touching the next range, it becomes part of it and costs no range.
        let extends = next == Some(until);
        let cost = piece.charge() + if extends { 0 } else { RANGE_OVERHEAD };
        let most_ranges = MOST_RANGES.max(self.budget / OCTETS_A_RANGE);
        let full = !extends && all.ranges.len() >= most_ranges;
        if full || all.memory() + cost > self.budget {
            return false;
        }
        all.charged += cost;
        all.octets += piece.octets().len();
        match all.ranges.get_mut(first).filter(|_| extends) {
            Some(range) => {
                range.start = self.start;
                range.pieces.push_front(piece);
            }
            None => {
                let mut pieces = VecDeque::with_capacity(1);
                pieces.push_back(piece);
                all.ranges.insert(
                    first,
                    Range {
                        start: self.start,
                        end: until,
                        pieces,
                    },
                );
            }
        }
        true
    }

    /// Lengthens the range at `index` up to `until` by text that begins where it ends.
    fn append(&self, all: &mut Held, index: usize, until: SeqNum) -> bool {
        let held = all.memory();
        let Some(range) = all.ranges.get_mut(index) else {
            return false;
        };
        let new = self.octets(range.end, until);
        let mut previous = 0;
        if let Some(Piece::Copied(last)) = range.pieces.back_mut() {
            if new.len() <= last.capacity() - last.len() {
                last.extend_from_slice(new);
                all.octets += new.len();
                range.end = until;
                return true;
            }
            previous = last.len();
        }
        let piece = if new.len() < SMALL {
            let size = (2 * previous).clamp(LEAST_CHUNK, MOST_CHUNK).max(new.len());
            let fits = held + size + PIECE_OVERHEAD <= self.budget;
            let mut chunk = Vec::with_capacity(if fits { size } else { new.len() });
            chunk.extend_from_slice(new);
            Piece::Copied(chunk)
        } else {
            self.piece(range.end, until)
        };
        if held + piece.charge() > self.budget {
            return false;
        }
        all.charged += piece.charge();
        all.octets += new.len();
        range.end = until;
        range.pieces.push_back(piece);
        true
    }

    /// The text's octets `from .. until`.
    fn octets(&self, from: SeqNum, until: SeqNum) -> &[u8] {
        let (skip, end) = (
            from.distance_from(self.start),
            until.distance_from(self.start),
        );
        self.text
            .octets
            .get(octets(skip)..octets(end))
            .unwrap_or_default()
    }

    /// The same, kept by reference where that is worth it, else copied to an exact allocation.
    fn piece(&self, from: SeqNum, until: SeqNum) -> Piece {
        let octets = self.octets(from, until);
        let owner = self.text.owner;
        match owner_to_keep(&Text { octets, owner }) {
            Some(owner) => Piece::Kept(owner.slice_ref(octets), owner.len()),
            None => Piece::Copied(octets.to_vec()),
        }
    }
}

/// A length on the circle as a length in memory.
fn octets(distance: u32) -> usize {
    usize::try_from(distance).unwrap_or(usize::MAX)
}

/// The part of a text that lies in `rcv_nxt .. rcv_nxt + FARTHEST`.
fn trim(rcv_nxt: SeqNum, seq: SeqNum, text: Text<'_>) -> Option<(SeqNum, Text<'_>)> {
    let behind = octets(rcv_nxt.later(seq).distance_from(seq));
    let octets_left = text.octets.get(behind..)?;
    let start = rcv_nxt.later(seq);
    let room = octets(FARTHEST.checked_sub(start.distance_from(rcv_nxt))?);
    let (octets, _) = octets_left.split_at(octets_left.len().min(room));
    (!octets.is_empty()).then_some((
        start,
        Text {
            octets,
            owner: text.owner,
        },
    ))
}

/// Moves the pieces of the range at `next` behind those of `base`, which ends where it starts; leaves a shell.
///
/// The shorter of the two lists moves, so that a piece moves at most log2(pieces) times however ranges meet.
fn join(ranges: &mut VecDeque<Range>, base: usize, next: usize) {
    let Some(range) = ranges.get_mut(next) else {
        return;
    };
    let (mut right, end) = (core::mem::take(&mut range.pieces), range.end);
    let Some(base) = ranges.get_mut(base) else {
        return;
    };
    base.end = end;
    if base.pieces.len() >= right.len() {
        base.pieces.append(&mut right);
        return;
    }
    while let Some(piece) = base.pieces.pop_back() {
        right.push_front(piece);
    }
    base.pieces = right;
}

#[cfg(test)]
mod tests {
    use super::{Inserted, MOST_RANGES, RECENT, Reassembly};
    use crate::recv::buffer::ReceiveBuffer;
    use crate::segment::Text;
    use crate::seq::SeqNum;
    use bytes::Bytes;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    /// RCV.NXT at the start: everything wraps soon after it.
    const IRS: SeqNum = SeqNum(0xffff_ff00);
    const ROOMY: usize = 1 << 30;

    /// The naive picture of the same: an octet a place from `IRS` on, and every place that arrived, newest last.
    #[derive(Default)]
    struct Model {
        places: Vec<Option<u8>>,
        next: usize,
        arrivals: Vec<usize>,
    }

    impl Model {
        /// The runs of places that are filled, after `next`.
        fn runs(&self) -> Vec<(usize, usize)> {
            let mut runs: Vec<(usize, usize)> = Vec::new();
            for at in self.next..self.places.len() {
                match runs.last_mut() {
                    _ if self.places[at].is_none() => {}
                    Some(run) if run.1 == at => run.1 = at + 1,
                    _ => runs.push((at, at + 1)),
                }
            }
            runs
        }

        fn insert(&mut self, at: isize, octets: &[u8]) -> usize {
            let mut new = 0;
            for (i, &octet) in octets.iter().enumerate() {
                let place = at + i as isize;
                if place < self.next as isize {
                    continue;
                }
                let place = place as usize;
                if self.places.len() <= place {
                    self.places.resize(place + 1, None);
                }
                new += usize::from(self.places[place].is_none());
                self.places[place].get_or_insert(octet);
            }
            let first = at.max(self.next as isize);
            if first < at + octets.len() as isize {
                self.arrivals.push(first as usize);
            }
            new
        }

        /// All runs, the one that changed last first.
        fn runs_by_age(&self) -> Vec<(usize, usize)> {
            let (runs, mut ordered) = (self.runs(), Vec::new());
            for at in self.arrivals.iter().rev() {
                let run = runs.iter().find(|run| run.0 <= *at && *at < run.1);
                ordered.extend(
                    run.filter(|run| !ordered.contains(*run))
                        .copied()
                        .into_iter()
                        .collect::<Vec<_>>(),
                );
            }
            ordered
        }
    }

    fn blocks(held: &Reassembly, max: usize) -> Vec<(usize, usize)> {
        let place = |seq: u32| SeqNum(seq).distance_from(IRS) as usize;
        held.sack_blocks(max)
            .as_slice()
            .iter()
            .map(|b| (place(b.left), place(b.right)))
            .collect()
    }

    fn filler(at: isize, len: usize, salt: u8) -> Vec<u8> {
        (0..len)
            .map(|i| (at as usize).wrapping_add(i) as u8 ^ salt)
            .collect()
    }

    #[derive(Clone, Debug)]
    enum Call {
        Insert {
            at: isize,
            len: usize,
            salt: u8,
            owned: bool,
        },
        /// Text in order came some other way: RCV.NXT moves on by so many octets.
        Take { forward: usize },
    }

    fn call(span: isize, longest: usize) -> impl Strategy<Value = Call> {
        let insert = (-20..span, 0..longest, any::<u8>(), any::<bool>());
        let insert = insert.prop_map(|(at, len, salt, owned)| Call::Insert {
            at,
            len,
            salt,
            owned,
        });
        prop_oneof![9 => insert, 1 => (0..30usize).prop_map(|forward| Call::Take { forward })]
    }

    /// The real one and the naive one, side by side.
    #[derive(Default)]
    struct Both {
        held: Reassembly,
        model: Model,
        /// The most ranges there ever were.
        most: usize,
    }

    impl Both {
        fn rcv_nxt(&self) -> SeqNum {
            IRS + self.model.next as u32
        }

        fn call(&mut self, call: Call) -> Result<(), TestCaseError> {
            match call {
                Call::Insert {
                    at,
                    len,
                    salt,
                    owned,
                } => {
                    let at = at + self.model.next as isize;
                    let octets = Bytes::from(filler(at, len, salt));
                    let text = Text {
                        octets: &octets,
                        owner: owned.then_some(&octets),
                    };
                    let inserted = self
                        .held
                        .insert(self.rcv_nxt(), IRS + at as u32, text, ROOMY);
                    let expected = match self.model.insert(at, &octets) {
                        0 => Inserted::Duplicate,
                        new if new == len => Inserted::New,
                        _ => Inserted::Partly,
                    };
                    prop_assert_eq!(inserted, expected);
                }
                Call::Take { forward } => {
                    let next = self.model.next + forward;
                    let places = &mut self.model.places;
                    places.resize(places.len().max(next + 1), None);
                    let expected: Vec<u8> = places[next..].iter().map_while(|p| *p).collect();
                    let mut into = ReceiveBuffer::new();
                    let moved = self.held.take_contiguous(IRS + next as u32, &mut into);
                    prop_assert_eq!(moved as usize, expected.len());
                    prop_assert_eq!(drained(&mut into), expected);
                    self.model.next = next + moved as usize;
                }
            }
            Ok(())
        }

        fn compare(&mut self) -> Result<(), TestCaseError> {
            let (held, runs) = (&self.held, self.model.runs());
            self.most = self.most.max(runs.len());
            prop_assert_eq!(held.ranges(), runs.len());
            prop_assert_eq!(held.is_empty(), runs.is_empty());
            prop_assert_eq!(
                held.octets(),
                runs.iter().map(|run| run.1 - run.0).sum::<usize>()
            );
            prop_assert!(held.memory() >= held.octets());
            prop_assert!(!runs.is_empty() || held.memory() == 0);
            let reported = blocks(held, 4);
            prop_assert_eq!(reported.len(), runs.len().min(4));
            prop_assert!(reported.iter().all(|block| runs.contains(block)));
            if self.most <= RECENT {
                prop_assert_eq!(&reported[..], &self.model.runs_by_age()[..reported.len()]);
            }
            Ok(())
        }

        /// Fills every hole: all that came first must come out, in order.
        fn finish(mut self) -> Result<(), TestCaseError> {
            let rcv_nxt = self.rcv_nxt();
            let places = self.model.places.get(self.model.next..).unwrap_or_default();
            let zeros = vec![0; places.len() + 1];
            self.held.insert(
                rcv_nxt,
                rcv_nxt,
                Text {
                    octets: &zeros,
                    owner: None,
                },
                ROOMY,
            );
            let mut into = ReceiveBuffer::new();
            self.held.take_contiguous(rcv_nxt, &mut into);
            let places = places.iter().chain([&None]);
            prop_assert_eq!(
                drained(&mut into),
                places.map(|p| p.unwrap_or(0)).collect::<Vec<_>>()
            );
            prop_assert_eq!(self.held.memory(), 0);
            Ok(())
        }
    }

    fn drained(buffer: &mut ReceiveBuffer) -> Vec<u8> {
        let mut octets = vec![0; buffer.len()];
        buffer.read(&mut octets);
        octets
    }

    fn check(calls: Vec<Call>) -> Result<(), TestCaseError> {
        let mut both = Both::default();
        for call in calls {
            both.call(call)?;
            both.compare()?;
        }
        both.finish()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn small_texts_as_places(calls in prop::collection::vec(call(400, 12), 1..80)) {
            check(calls)?;
        }
        #[test]
        fn long_texts_as_places(calls in prop::collection::vec(call(20_000, 9000), 1..20)) {
            check(calls)?;
        }
        #[test]
        fn a_budget_is_kept(
            texts in prop::collection::vec((1..5000u32, 1..300usize), 1..60),
            budget in 0..8000usize,
        ) {
            let mut held = Reassembly::new();
            for (at, len) in texts {
                let (octets, before) = (filler(at as isize, len, 0), held.octets());
                let text = Text { octets: &octets, owner: None };
                let inserted = held.insert(IRS, IRS + at, text, budget);
                prop_assert!(held.memory() <= budget);
                let stored = held.octets() - before;
                match inserted {
                    Inserted::New => prop_assert_eq!(stored, len),
                    Inserted::Partly => prop_assert!(stored > 0 && stored < len),
                    Inserted::Duplicate | Inserted::NoMemory => prop_assert_eq!(stored, 0),
                }
            }
            // What is held is still whole and in its place.
            let first = held.sack_blocks(4).as_slice().iter().map(|block| SeqNum(block.left)).next();
            if let Some(start) = first {
                let mut into = ReceiveBuffer::new();
                let moved = held.take_contiguous(start, &mut into) as usize;
                let mut read = vec![0; moved];
                into.read(&mut read);
                prop_assert_eq!(read, filler(start.distance_from(IRS) as isize, moved, 0));
            }
        }
    }

    fn one(held: &mut Reassembly, at: u32) -> Inserted {
        one_within(held, at, ROOMY)
    }

    fn one_within(held: &mut Reassembly, at: u32, budget: usize) -> Inserted {
        held.insert(
            IRS,
            IRS + at,
            Text {
                octets: &[at as u8],
                owner: None,
            },
            budget,
        )
    }

    #[test]
    fn holes_are_bounded_and_single_octets_cheap() {
        let mut held = Reassembly::new();
        for at in 0..100_000 {
            let expected = if at < MOST_RANGES as u32 {
                Inserted::New
            } else {
                Inserted::NoMemory
            };
            let budget = MOST_RANGES * super::OCTETS_A_RANGE;
            assert_eq!(one_within(&mut held, 1 + 2 * at, budget), expected);
        }
        assert_eq!(held.ranges(), MOST_RANGES);
        // One long text fills them all.
        let octets = vec![0xff; 2 * MOST_RANGES];
        let text = Text {
            octets: &octets,
            owner: None,
        };
        assert_eq!(held.insert(IRS, IRS, text, ROOMY), Inserted::Partly);
        assert_eq!(held.ranges(), 1);
        assert_eq!(held.octets(), 2 * MOST_RANGES);

        let mut held = Reassembly::new();
        for at in 1..=1_000_000 {
            assert_eq!(one(&mut held, at), Inserted::New);
        }
        assert!(held.memory() < 1_100_000, "{}", held.memory());
        assert_eq!(
            held.take_contiguous(IRS + 1, &mut ReceiveBuffer::new()),
            1_000_000
        );
    }

    /// Backwards, and every second one with the gaps filled from the far end: slow if a join moved the longer list.
    #[test]
    fn hostile_orders_stay_linear() {
        let mut held = Reassembly::new();
        for at in (1..=300_000).rev() {
            assert_eq!(one(&mut held, at), Inserted::New);
        }
        assert_eq!((held.ranges(), held.octets()), (1, 300_000));
        let mut held = Reassembly::new();
        for at in (1..=300_000).rev().step_by(2) {
            assert_eq!(one(&mut held, at - 1), Inserted::New);
            assert_eq!(one(&mut held, at), Inserted::New);
        }
        assert_eq!((held.ranges(), held.octets()), (1, 300_000));
    }

    #[test]
    fn outside_is_left_out() {
        let mut held = Reassembly::new();
        let text = Text {
            octets: &[7; 100],
            owner: None,
        };
        assert_eq!(
            held.insert(IRS, IRS - 100, text, ROOMY),
            Inserted::Duplicate
        );
        assert_eq!(
            held.insert(IRS, IRS + (1 << 30), text, ROOMY),
            Inserted::Duplicate
        );
        assert_eq!(
            held.insert(IRS, IRS + (1 << 31), text, ROOMY),
            Inserted::Duplicate
        );
        assert!(held.is_empty());
        assert_eq!(
            held.insert(IRS, IRS + (1 << 30) - 1, text, ROOMY),
            Inserted::Partly
        );
        assert_eq!(held.insert(IRS, IRS - 99, text, ROOMY), Inserted::Partly);
        assert_eq!(held.octets(), 2);
    }

    #[test]
    fn long_texts_are_kept_by_reference() {
        let packet = Bytes::from(vec![1; 5000]);
        let mut held = Reassembly::new();
        let text = Text {
            octets: &packet[40..],
            owner: Some(&packet),
        };
        held.insert(IRS, IRS + 10, text, ROOMY);
        let mut into = ReceiveBuffer::new();
        held.take_contiguous(IRS + 12, &mut into);
        assert_eq!(into.read_chunk(usize::MAX).as_ptr(), packet[42..].as_ptr());
    }

    /// A 32 MiB window of full segments, of which every second is lost, and every one of the ranges is held.
    #[test]
    fn a_large_window_may_lack_every_second_segment() {
        let (window, mss) = (32 << 20, 1448);
        let mut held = Reassembly::new();
        let octets = [7; 1448];
        let ranges = window / mss / 2;
        for n in 0..ranges {
            let text = Text {
                octets: &octets,
                owner: None,
            };
            let at = IRS + (2 * n + 1) * mss;
            let inserted = held.insert(IRS, at, text, window as usize / 2 * 3);
            assert_eq!(inserted, Inserted::New, "{n}");
        }
        assert_eq!(held.ranges(), ranges as usize);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        /// However many holes, and however segments come in batches: a sender that hears every acknowledgement knows all that
        /// is held, and each block of a batch that fits was reported in three acknowledgements in a row (RFC 2018 section 4).
        #[test]
        fn a_sender_learns_of_every_hole(
            order in Just((0..3000u32).collect::<Vec<_>>()).prop_shuffle(),
            lost in prop::collection::vec(any::<bool>(), 3000),
            batches in prop::collection::vec(1..=RECENT, 3000),
            fits in 3..=4usize,
        ) {
            let mut held = Reassembly::new();
            let mut known = vec![false; 3001];
            let mut arrivals = order.into_iter().filter(|n| !lost[*n as usize]);
            'all: for batch in batches {
                for _ in 0..batch {
                    let Some(n) = arrivals.next() else { break 'all };
                    one(&mut held, n + 1);
                }
                let mut acknowledgements = 0;
                while held.is_unreported() {
                    for block in held.report(fits, false).as_slice() {
                        let place = |seq: u32| SeqNum(seq).distance_from(IRS) as usize;
                        known[place(block.left)..place(block.right)].fill(true);
                    }
                    acknowledgements += 1;
                }
                prop_assert!(acknowledgements <= batch.div_ceil(fits));
                let there = known.iter().filter(|known| **known).count();
                prop_assert_eq!(there, held.octets());
            }
        }

        #[test]
        fn a_block_is_reported_three_times(places in Just((1..200u32).collect::<Vec<_>>()).prop_shuffle()) {
            let mut held = Reassembly::new();
            let mut before: Vec<Vec<(usize, usize)>> = Vec::new();
            for at in places {
                assert_eq!(one(&mut held, 2 * at), Inserted::New);
                let reported = held.report(3, false);
                let place = |seq: u32| SeqNum(seq).distance_from(IRS) as usize;
                let reported: Vec<_> = reported.as_slice().iter().map(|b| (place(b.left), place(b.right))).collect();
                prop_assert_eq!(reported[0].0, 2 * at as usize, "the segment that came is in the first");
                for (age, earlier) in before.iter().rev().take(2).enumerate() {
                    prop_assert_eq!(reported[age + 1], earlier[0]);
                }
                before.push(reported);
            }
        }
    }
}
