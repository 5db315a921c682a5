//! What the shards of a net share: whose a frame is, and a box at each one's door for frames that came to another
//! (decision 028).

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use woshou_stack::{LinkId, Medium, Packet, Shard, Stack, Steering, Stray};
use woshou_tcp::Instant;

use crate::wakers::WakeList;

/// Frames that wait in an inbox at most: as many as a device hands out in a few turns.
const FRAMES: usize = 1024;

/// Octets that wait in an inbox at most: this part of a shard's budget, within these bounds.
const PART: usize = 8;
const LEAST: usize = 128 << 10;
const MOST: usize = 4 << 20;

/// How a frame came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    pub(crate) link: LinkId,
    pub(crate) medium: Medium,
    pub(crate) checksum_valid: bool,
    pub(crate) segment_size: Option<u16>,
}

impl How {
    /// What the stack is handed.
    pub(crate) fn packet<'a>(&self, octets: &'a [u8], owner: Option<&'a Bytes>) -> Packet<'a> {
        Packet {
            octets,
            owner,
            checksum_valid: self.checksum_valid,
            segment_size: self.segment_size,
        }
    }
}

/// Something for another shard.
enum Item {
    /// So many of the parcel's octets.
    Frame(How, usize),
    /// A long frame, in its buffer.
    Lent(How, Bytes),
    /// What was put together from fragments.
    Stray(Stray),
}

/// Frames one behind the other, in buffers that are used again and again.
#[derive(Default)]
struct Parcel {
    items: Vec<Item>,
    octets: Vec<u8>,
    /// In `items`, wherever they lie.
    held: usize,
}

/// Where other shards leave what belongs to this one. On cache lines of its own (in pairs, as they are fetched): each driver
/// looks into its own in every turn.
#[derive(Default)]
#[repr(align(128))]
struct Inbox {
    parcel: Parcel,
    /// The driver that sleeps.
    driver: Option<Waker>,
}

/// All shards of a net.
pub(crate) struct Crew {
    steering: Steering,
    inboxes: Box<[Mutex<Inbox>]>,
    /// Octets that an inbox holds at most.
    most: usize,
    /// Shards of an abandoned net that have nothing left to do.
    done: AtomicUsize,
}

impl Crew {
    /// `memory`: the budget of one shard, octets.
    pub(crate) fn new(steering: Steering, memory: usize) -> Self {
        let inboxes = (0..steering.shards()).map(|_| Mutex::default());
        Self {
            inboxes: inboxes.collect(),
            steering,
            most: (memory / PART).clamp(LEAST, MOST),
            done: AtomicUsize::new(0),
        }
    }

    fn inbox(&self, number: u16) -> Option<MutexGuard<'_, Inbox>> {
        let inbox = self.inboxes.get(usize::from(number))?;
        Some(inbox.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A shard's place in its crew.
pub(crate) struct Member {
    crew: Arc<Crew>,
    number: u16,
    /// Whom it left something since it last rang, and whether anyone.
    left: Vec<bool>,
    left_any: bool,
    /// To be exchanged for the one in the inbox.
    empty: Parcel,
    /// Told the crew that it is done.
    is_done: bool,
    /// Frames and datagrams left with others.
    pub(crate) handed_over: u64,
    /// The same, where the inbox was full.
    pub(crate) lost: u64,
}

impl Member {
    pub(crate) fn new(crew: Arc<Crew>, number: u16) -> Self {
        Self {
            left: vec![false; crew.inboxes.len()],
            left_any: false,
            crew,
            number,
            empty: Parcel::default(),
            is_done: false,
            handed_over: 0,
            lost: 0,
        }
    }

    /// Whether a frame that came by a device is for this shard. What is for others is left with them.
    pub(crate) fn keeps(&mut self, how: &How, octets: &[u8], owner: Option<&Bytes>) -> bool {
        match self.crew.steering.packet(how.medium, octets) {
            Shard::Any => true,
            Shard::One(number) if number == self.number => true,
            Shard::One(number) => {
                self.leave_frame(number, how, octets, owner);
                false
            }
            Shard::Every => {
                let own = self.number;
                for number in (0..self.crew.steering.shards()).filter(|number| *number != own) {
                    self.leave_frame(number, how, octets, owner);
                }
                true
            }
        }
    }

    fn leave_frame(&mut self, to: u16, how: &How, octets: &[u8], owner: Option<&Bytes>) {
        self.leave(to, octets.len(), |parcel| match owner {
            Some(owner) => Item::Lent(*how, owner.clone()),
            None => {
                parcel.octets.extend_from_slice(octets);
                Item::Frame(*how, octets.len())
            }
        });
    }

    /// What this shard's stack has put together for others.
    pub(crate) fn leave_strays(&mut self, stack: &mut Stack) {
        while let Some(stray) = stack.poll_stray() {
            let (to, octets) = (stray.to(), stray.octets());
            self.leave(to, octets, |_| Item::Stray(stray));
        }
    }

    fn leave(&mut self, to: u16, octets: usize, item: impl FnOnce(&mut Parcel) -> Item) {
        let most = self.crew.most;
        let Some(mut inbox) = self.crew.inbox(to) else {
            return;
        };
        let parcel = &mut inbox.parcel;
        if parcel.items.len() >= FRAMES || parcel.held.saturating_add(octets) > most {
            self.lost = self.lost.saturating_add(1);
            return;
        }
        let item = item(parcel);
        parcel.items.push(item);
        parcel.held += octets;
        drop(inbox);
        self.handed_over = self.handed_over.saturating_add(1);
        if let Some(left) = self.left.get_mut(usize::from(to)) {
            *left = true;
            self.left_any = true;
        }
    }

    /// Wakes those who sleep and were left something.
    pub(crate) fn ring(&mut self, wakes: &mut WakeList) {
        if !mem::take(&mut self.left_any) {
            return;
        }
        for (number, left) in (0..).zip(&mut self.left) {
            if mem::take(left)
                && let Some(driver) = self.crew.inbox(number).and_then(|mut at| at.driver.take())
            {
                wakes.push(driver);
            }
        }
    }

    /// Takes what lies in the inbox into the stack. `true`: there was something.
    pub(crate) fn empty_inbox(&mut self, now: Instant, stack: &mut Stack) -> bool {
        if let Some(mut inbox) = self.crew.inbox(self.number) {
            mem::swap(&mut inbox.parcel, &mut self.empty);
        }
        let Parcel {
            items,
            octets,
            held,
        } = &mut self.empty;
        let some = !items.is_empty();
        let mut rest = octets.as_slice();
        for item in items.drain(..) {
            match item {
                Item::Frame(how, len) => {
                    let (frame, behind) = rest.split_at_checked(len).unwrap_or((rest, &[]));
                    rest = behind;
                    stack.handle_packet(now, how.link, how.packet(frame, None));
                }
                Item::Lent(how, frame) => {
                    stack.handle_packet(now, how.link, how.packet(&frame, Some(&frame)));
                }
                Item::Stray(stray) => stack.handle_stray(now, &stray),
            }
        }
        octets.clear();
        *held = 0;
        some
    }

    /// The driver goes to sleep, to be woken by who leaves something. `false`: something is there already.
    pub(crate) fn sleep(&self, driver: &Waker) -> bool {
        let Some(mut inbox) = self.crew.inbox(self.number) else {
            return true;
        };
        match &mut inbox.driver {
            Some(known) => known.clone_from(driver),
            none => *none = Some(driver.clone()),
        }
        inbox.parcel.items.is_empty()
    }

    /// Gives back memory that only waits for the next frames.
    pub(crate) fn give_back(&mut self) {
        self.empty = Parcel::default();
        if let Some(mut inbox) = self.crew.inbox(self.number)
            && inbox.parcel.items.is_empty()
        {
            inbox.parcel = Parcel::default();
        }
    }

    /// Nobody uses the net any more, and this shard has nothing left to do. Whether that is so for all: before, this one's
    /// devices may still be of use to others.
    pub(crate) fn is_last(&mut self) -> bool {
        if !self.is_done {
            self.is_done = true;
            self.crew.done.fetch_add(1, Ordering::AcqRel);
        }
        self.crew.done.load(Ordering::Acquire) >= self.crew.inboxes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;
    use woshou_stack::{Config, LinkConfig};

    const HOW: How = How {
        link: LinkId(0),
        medium: Medium::Ip,
        checksum_valid: false,
        segment_size: None,
    };

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Two members, and a packet whose flow belongs to the second.
    fn crew(memory: usize) -> (Member, Member, Vec<u8>) {
        let steering = Steering::new(&[1; 32], 2);
        let crew = Arc::new(Crew::new(steering.clone(), memory));
        let packet = |port: u16| {
            let mut packet = vec![0; 40];
            (packet[0], packet[9]) = (0x45, 6);
            packet[3] = 40;
            packet[20..22].copy_from_slice(&port.to_be_bytes());
            packet
        };
        let theirs = (1..)
            .map(packet)
            .find(|packet| steering.packet(Medium::Ip, packet) == Shard::One(1));
        let member = |number| Member::new(Arc::clone(&crew), number);
        (member(0), member(1), theirs.unwrap())
    }

    fn stack() -> Stack {
        let mut stack = Stack::new(Arc::new(Config::default()), [1; 32]);
        stack.add_link(LinkConfig {
            medium: Medium::Ip,
            mtu: 1500,
            addresses: Vec::new(),
            checksum_offload: false,
            gso_max: 0,
        });
        stack
    }

    #[test]
    fn what_is_left_is_taken_once_and_memory_is_given_back() {
        let (mut one, mut other, packet) = crew(1 << 20);
        let lent = Bytes::from(packet.clone());
        assert!(!one.keeps(&HOW, &packet, None));
        assert!(!one.keeps(&HOW, &packet, Some(&lent)));
        assert!(other.keeps(&HOW, &packet, None), "it is its own");
        assert!(one.keeps(&HOW, b"no packet", None), "counted where it came");
        let (now, mut stack) = (Instant::from_millis(1), stack());
        assert!(!one.empty_inbox(now, &mut stack));
        assert!(other.empty_inbox(now, &mut stack));
        assert_eq!(stack.counters().packets_in, 2);
        assert!(other.empty.octets.capacity() > 0, "kept for the next");
        assert!(!other.empty_inbox(now, &mut stack));
        let inbox = |member: &Member| member.crew.inbox(1).unwrap().parcel.octets.capacity();
        assert!(inbox(&other) > 0, "they change places");
        other.give_back();
        assert_eq!((inbox(&other), other.empty.octets.capacity()), (0, 0));
        assert_eq!((one.handed_over, one.lost), (2, 0));
    }

    #[test]
    fn a_full_inbox_loses_and_counts() {
        let (mut one, mut other, packet) = crew(1 << 20);
        for _ in 0..FRAMES + 7 {
            one.keeps(&HOW, &packet, None);
        }
        assert_eq!((one.handed_over, one.lost), (FRAMES as u64, 7));
        let mut stack = stack();
        other.empty_inbox(Instant::from_millis(1), &mut stack);
        assert_eq!(stack.counters().packets_in, FRAMES as u64);
        // By octets: an eighth of the budget.
        let mut long = packet;
        long.resize(60_000, 0);
        for _ in 0..9 {
            one.keeps(&HOW, &long, None);
        }
        assert_eq!(one.lost, 7 + 9 - LEAST as u64 / 60_000);
    }

    #[test]
    fn a_sleeper_is_woken_once_and_nothing_is_missed() {
        let (mut one, other, packet) = crew(1 << 20);
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let woken = || count.0.load(Ordering::SeqCst);
        assert!(other.sleep(&waker));
        one.keeps(&HOW, &packet, None);
        one.keeps(&HOW, &packet, None);
        assert_eq!(woken(), 0, "not before all of a batch is there");
        let mut wakes = WakeList::default();
        one.ring(&mut wakes);
        one.ring(&mut wakes);
        wakes.wake();
        assert_eq!(woken(), 1);
        assert!(!other.sleep(&waker), "there is something");
    }

    #[test]
    fn the_last_one_is_told_so() {
        let (mut one, mut other, _) = crew(1 << 20);
        assert!(!one.is_last());
        assert!(!one.is_last(), "asking again changes nothing");
        assert!(other.is_last());
        assert!(one.is_last());
    }
}
