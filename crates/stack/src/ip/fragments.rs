//! Putting fragments together, with bounds on memory and time (RFC 791 section 3.2, RFC 8200 section 4.5).

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use woshou_tcp::{Ecn, Instant};
use woshou_wire::{ip_protocol, tcp};

use crate::config::LinkId;

/// Datagrams under way at most; the oldest goes first.
const MAX_DATAGRAMS: usize = 64;
/// Of them from one source: nobody pushes everybody else's out.
const MAX_OF_SOURCE: usize = 16;
/// Fragments of one datagram at most: 64 KiB in the 576 octets that RFC 791 promises take 119.
const MAX_PIECES: usize = 256;
/// Octets of one datagram at most.
const MAX_OCTETS: usize = 65_535;
/// How long the rest may take: 60 s is RFC 8200's, RFC 1122 asks for 60 to 120; Linux waits 30.
const PATIENCE: Duration = Duration::from_secs(30);
/// Octets of the first fragment kept to be quoted when time is over: what an ICMPv6 error holds.
const QUOTE: usize = 1_232;

/// Whether a first fragment with this much of `protocol` is too small to hold its header: made to slip past filters that
/// look at ports and flags (RFC 1858 section 3.1, RFC 7112).
pub(crate) fn is_tiny(protocol: u8, len: usize) -> bool {
    protocol == ip_protocol::TCP && len < tcp::HEADER_LEN
}

/// What fragments of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FragmentKey {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) id: u32,
    /// IPv4's protocol is part of the key; for IPv6 zero.
    pub(crate) protocol: u8,
}

/// A fragment that arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fragment<'a> {
    pub(crate) key: FragmentKey,
    pub(crate) link: LinkId,
    /// Of what is inside; the first fragment's counts.
    pub(crate) protocol: u8,
    /// Octets from the start of the datagram.
    pub(crate) offset: usize,
    /// More fragments follow.
    pub(crate) more: bool,
    pub(crate) ecn: Ecn,
    pub(crate) payload: &'a [u8],
    /// The packet it came in, from the IP header on.
    pub(crate) packet: &'a [u8],
}

/// A datagram that is whole.
pub(crate) struct Whole {
    pub(crate) protocol: u8,
    pub(crate) ecn: Ecn,
    pub(crate) octets: Vec<u8>,
    /// The start of its first fragment's packet, for ICMP errors to quote.
    pub(crate) quote: Vec<u8>,
}

/// A datagram whose rest did not come in time, and whose first fragment did.
pub(crate) struct Expired {
    pub(crate) link: LinkId,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) quote: Vec<u8>,
}

struct Datagram {
    key: FragmentKey,
    link: LinkId,
    expires_at: Instant,
    /// Spoilt by an overlap: later fragments are swallowed until it expires (RFC 5722 section 4).
    spoilt: bool,
    /// `start .. end` of what arrived, in order, without overlaps.
    pieces: Vec<(usize, usize)>,
    octets: Vec<u8>,
    /// Known once the last fragment is here.
    len: Option<usize>,
    protocol: u8,
    ecn: Ecn,
    quote: Vec<u8>,
}

/// The datagrams under way, oldest first.
pub(crate) struct Fragments {
    datagrams: Vec<Datagram>,
    /// Octets they hold, and may hold.
    held: usize,
    most: usize,
}

impl Fragments {
    /// At most `most` octets; one datagram finds room in any case.
    pub(crate) const fn new(most: usize) -> Self {
        Self {
            datagrams: Vec::new(),
            held: 0,
            most,
        }
    }

    /// Octets held.
    pub(crate) fn memory(&self) -> usize {
        self.held
    }

    /// Takes a fragment in; answers with the datagram when this was the missing piece. The oldest datagrams go where
    /// there is no room.
    pub(crate) fn add(&mut self, now: Instant, fragment: &Fragment<'_>) -> Option<Whole> {
        let whole = self.put(now, fragment);
        while self.held > self.most && self.datagrams.len() > 1 {
            self.take(0);
        }
        whole
    }

    /// Gives up the oldest datagrams, as long as `octets` are wanted back.
    pub(crate) fn give_back(&mut self, octets: usize) {
        let until = self.held.saturating_sub(octets);
        while self.held > until && !self.datagrams.is_empty() {
            self.take(0);
        }
    }

    fn take(&mut self, index: usize) -> Datagram {
        let datagram = self.datagrams.remove(index);
        self.held -= datagram.memory();
        datagram
    }

    /// The source's own oldest goes where it has many under way, else everybody's.
    fn make_room(&mut self, source: IpAddr) {
        let of_source = |datagram: &Datagram| datagram.key.source == source;
        let count = self.datagrams.iter().filter(|d| of_source(d)).count();
        if count >= MAX_OF_SOURCE {
            let oldest = self.datagrams.iter().position(of_source);
            self.take(oldest.unwrap_or(0));
        } else if self.datagrams.len() >= MAX_DATAGRAMS {
            self.take(0);
        }
    }

    fn put(&mut self, now: Instant, fragment: &Fragment<'_>) -> Option<Whole> {
        let at = match self
            .datagrams
            .iter()
            .position(|datagram| datagram.key == fragment.key)
        {
            Some(at) => at,
            None => {
                self.make_room(fragment.key.source);
                let datagram = Datagram::new(now, fragment);
                self.held += datagram.memory();
                self.datagrams.push(datagram);
                self.datagrams.len() - 1
            }
        };
        let datagram = self.datagrams.get_mut(at)?;
        if datagram.spoilt {
            return None;
        }
        let before = datagram.memory();
        let spoilt = datagram.add(fragment).is_err();
        if spoilt {
            datagram.spoil();
        }
        self.held = self.held - before + datagram.memory();
        if spoilt || !datagram.is_whole() {
            return None;
        }
        let datagram = self.take(at);
        Some(Whole {
            protocol: datagram.protocol,
            ecn: datagram.ecn,
            octets: datagram.octets,
            quote: datagram.quote,
        })
    }

    /// When [`Self::expire`] is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        // All wait equally long: the first in was the first to expire.
        self.datagrams.first().map(|datagram| datagram.expires_at)
    }

    /// Drops what is too old, one a call: `Some(None)` for one that nobody is told about.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Option<Expired>> {
        self.poll_timeout().filter(|&at| at <= now)?;
        let datagram = self.take(0);
        Some((!datagram.quote.is_empty()).then_some(Expired {
            link: datagram.link,
            source: datagram.key.source,
            destination: datagram.key.destination,
            quote: datagram.quote,
        }))
    }
}

/// The datagram can't be trusted or would be too large.
struct Spoilt;

impl Datagram {
    fn new(now: Instant, fragment: &Fragment<'_>) -> Self {
        Self {
            key: fragment.key,
            link: fragment.link,
            expires_at: now + PATIENCE,
            spoilt: false,
            pieces: Vec::new(),
            octets: Vec::new(),
            len: None,
            protocol: fragment.protocol,
            ecn: fragment.ecn,
            quote: Vec::new(),
        }
    }

    fn memory(&self) -> usize {
        let pieces = self.pieces.capacity() * size_of::<(usize, usize)>();
        size_of::<Self>() + pieces + self.octets.capacity() + self.quote.capacity()
    }

    fn spoil(&mut self) {
        self.spoilt = true;
        self.pieces = Vec::new();
        self.octets = Vec::new();
        self.quote = Vec::new();
    }

    fn add(&mut self, fragment: &Fragment<'_>) -> Result<(), Spoilt> {
        let (start, end) = (
            fragment.offset,
            fragment.offset.saturating_add(fragment.payload.len()),
        );
        if start == end || end > MAX_OCTETS {
            return Err(Spoilt);
        }
        let known_end = self.len.unwrap_or(MAX_OCTETS);
        let highest = self.pieces.last().map_or(0, |&(_, end)| end);
        let beyond = if fragment.more {
            end > known_end || Some(end) == self.len
        } else {
            end < highest
        };
        let second_end = !fragment.more && self.len.is_some_and(|len| len != end);
        let at = self.pieces.partition_point(|&(piece, _)| piece < start);
        if self.pieces.get(at) == Some(&(start, end)) {
            // A repeated packet, not an attack, when it says the same (RFC 8200 section 4.5).
            let same = self.octets.get(start..end) == Some(fragment.payload);
            return if same && !beyond && !second_end {
                Ok(())
            } else {
                Err(Spoilt)
            };
        }
        let over_previous = at > 0 && self.pieces.get(at - 1).is_some_and(|&(_, end)| end > start);
        let over_next = self.pieces.get(at).is_some_and(|&(next, _)| next < end);
        if over_previous || over_next || beyond || second_end || self.pieces.len() >= MAX_PIECES {
            return Err(Spoilt);
        }
        self.pieces.insert(at, (start, end));
        if self.octets.len() < end {
            self.octets.resize(end, 0);
        }
        if let Some(place) = self.octets.get_mut(start..end) {
            place.copy_from_slice(fragment.payload);
        }
        if !fragment.more {
            self.len = Some(end);
        }
        if start == 0 {
            self.protocol = fragment.protocol;
            self.quote = fragment.packet.iter().copied().take(QUOTE).collect();
        }
        self.merge_ecn(fragment.ecn)
    }

    /// CE on any fragment marks the datagram; a mixture with Not-ECT is dropped (RFC 3168 section 5.3).
    fn merge_ecn(&mut self, ecn: Ecn) -> Result<(), Spoilt> {
        self.ecn = match (self.ecn, ecn) {
            (ours, theirs) if ours == theirs => ours,
            (Ecn::NotEct, _) | (_, Ecn::NotEct) => return Err(Spoilt),
            (Ecn::Ce, _) | (_, Ecn::Ce) => Ecn::Ce,
            (ours, _) => ours,
        };
        Ok(())
    }

    fn is_whole(&self) -> bool {
        // Without overlaps, pieces that add up to the length leave no hole.
        let held: usize = self.pieces.iter().map(|(start, end)| end - start).sum();
        self.len == Some(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn fragment(id: u32, offset: usize, more: bool, payload: &[u8]) -> Fragment<'_> {
        Fragment {
            key: FragmentKey {
                source: "10.0.0.1".parse().unwrap(),
                destination: "10.0.0.2".parse().unwrap(),
                id,
                protocol: 6,
            },
            link: LinkId(0),
            protocol: 6,
            offset,
            more,
            ecn: Ecn::NotEct,
            payload,
            packet: b"header",
        }
    }

    /// Offset, more fragments, payload.
    type Step = (usize, bool, &'static [u8]);
    /// Name, fragments, and the datagram that comes of it.
    type Story = (&'static str, &'static [Step], Option<&'static [u8]>);

    const A: &[u8] = b"abcdefgh";
    const AA: &[u8] = b"abcdefghabcdefgh";
    const STORIES: [Story; 11] = [
        (
            "in order",
            &[(0, true, A), (8, false, b"ij")],
            Some(b"abcdefghij"),
        ),
        (
            "backwards",
            &[(8, false, b"ij"), (0, true, A)],
            Some(b"abcdefghij"),
        ),
        ("a hole", &[(0, true, A), (16, false, b"ij")], None),
        ("no end", &[(0, true, A), (8, true, A)], None),
        (
            "a repeat",
            &[(0, true, A), (0, true, A), (8, false, b"ij")],
            Some(b"abcdefghij"),
        ),
        (
            "a lie",
            &[(0, true, A), (0, true, b"abcdefgX"), (8, false, b"ij")],
            None,
        ),
        (
            "overlap behind",
            &[(0, true, AA), (8, true, A), (16, false, b"i")],
            None,
        ),
        (
            "overlap before",
            &[(8, true, A), (0, true, AA), (16, false, b"i")],
            None,
        ),
        (
            "beyond the end",
            &[(8, false, b"ij"), (16, true, A), (0, true, A)],
            None,
        ),
        (
            "two ends",
            &[(16, false, b"ij"), (8, false, b"ij"), (0, true, A)],
            None,
        ),
        (
            "more at the end",
            &[(8, false, A), (8, true, A), (0, true, A)],
            None,
        ),
    ];

    #[test]
    fn stories() {
        for (name, steps, expected) in STORIES {
            let mut fragments = Fragments::new(1 << 24);
            let mut whole = None;
            for &(offset, more, payload) in steps {
                whole = whole.or(fragments.add(Instant::ZERO, &fragment(1, offset, more, payload)));
            }
            assert_eq!(
                whole.as_ref().map(|whole| whole.octets.as_slice()),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn one_source_leaves_room_for_others() {
        let mut fragments = Fragments::new(1 << 20);
        let _ = fragments.add(Instant::ZERO, &fragment(0, 0, true, A));
        for id in 0..1000 {
            let mut flood = fragment(id, 8, true, A);
            flood.key.source = "10.0.0.66".parse().unwrap();
            let _ = fragments.add(Instant::ZERO, &flood);
        }
        assert_eq!(fragments.datagrams.len(), 1 + MAX_OF_SOURCE);
        let whole = fragments.add(Instant::ZERO, &fragment(0, 8, false, b"ij"));
        assert_eq!(whole.unwrap().octets, b"abcdefghij");
    }

    #[test]
    fn bounds() {
        let mut fragments = Fragments::new(1 << 24);
        for id in 0..1000 {
            let mut piece = fragment(id, 65_000, true, &[0; 8]);
            piece.key.source = core::net::Ipv4Addr::from_bits(id).into();
            assert!(fragments.add(Instant::ZERO, &piece).is_none());
        }
        assert_eq!(fragments.datagrams.len(), MAX_DATAGRAMS);
        let held: usize = fragments
            .datagrams
            .iter()
            .map(|datagram| datagram.octets.len())
            .sum();
        assert!(held <= MAX_DATAGRAMS * MAX_OCTETS);
        // Past 65,535 octets.
        assert!(
            fragments
                .add(Instant::ZERO, &fragment(2000, 65_528, false, &[0; 8]))
                .is_none()
        );
        assert!(fragments.datagrams.last().unwrap().spoilt);
    }

    /// FragmentSmack: the least pieces, in the worst order, one datagram after the other. Each costs what it may and no more.
    #[test]
    fn tiny_pieces_are_few() {
        let mut fragments = Fragments::new(1 << 24);
        for id in 0..MAX_OF_SOURCE as u32 {
            for at in (0..4000_usize).rev() {
                let add = fragments.add(Instant::ZERO, &fragment(id, 16 * at, true, A));
                assert!(add.is_none());
            }
        }
        let pieces = fragments.datagrams.iter().map(|d| d.pieces.capacity());
        assert_eq!(pieces.sum::<usize>(), 0, "spoilt, all of them");
        assert!(fragments.memory() < 4096, "{}", fragments.memory());
        for at in (0..MAX_PIECES).rev() {
            let _ = fragments.add(Instant::ZERO, &fragment(99, 16 * at, true, A));
        }
        let last = fragments.datagrams.last().unwrap();
        assert_eq!(last.pieces.len(), MAX_PIECES, "so many are kept");
    }

    #[test]
    fn time() {
        let mut fragments = Fragments::new(1 << 24);
        let _ = fragments.add(Instant::ZERO, &fragment(1, 0, true, b"abcdefgh"));
        let _ = fragments.add(Instant::from_millis(10), &fragment(2, 8, true, b"abcdefgh"));
        let due = Instant::from_millis(30_000);
        assert_eq!(fragments.poll_timeout(), Some(due));
        assert!(fragments.expire(Instant::from_millis(29_999)).is_none());
        assert_eq!(fragments.expire(due).unwrap().unwrap().quote, b"header");
        assert!(fragments.expire(due).is_none());
        // Without the first fragment nobody is told.
        assert!(
            fragments
                .expire(Instant::from_millis(40_000))
                .unwrap()
                .is_none()
        );
        assert_eq!(fragments.poll_timeout(), None);
    }

    proptest! {
        /// Cut anywhere, in any order, some twice: the same datagram comes out, once.
        #[test]
        fn any_order(len in 1usize..5000, cut in 1usize..60, order in proptest::collection::vec(any::<usize>(), 0..200)) {
            let octets: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let cut = (cut * 8).max(len.div_ceil(200).next_multiple_of(8));
            let mut pieces: Vec<usize> = (0..len).step_by(cut).collect();
            for (i, swap) in order.iter().enumerate() {
                let n = pieces.len();
                pieces.swap(i % n, swap % n);
            }
            let mut twice = vec![];
            for piece in pieces {
                twice.extend([piece, piece]);
            }
            let mut fragments = Fragments::new(1 << 24);
            let mut whole = None;
            for start in twice {
                let end = (start + cut).min(len);
                let added = fragments.add(Instant::ZERO, &fragment(1, start, end < len, &octets[start..end]));
                if whole.is_none() {
                    whole = added;
                }
            }
            prop_assert_eq!(whole.map(|whole| whole.octets), Some(octets));
        }
    }
}
