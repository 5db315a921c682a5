//! Whose is this segment? The map from four-tuples to their owners.

use core::hash::BuildHasher;
use core::net::IpAddr;

use hashbrown::HashTable;
use siphasher::sip::SipHasher13;
use woshou_tcp::{Endpoints, PackedEndpoints, TupleHash};

/// A keyed hash, so that nobody outside can aim at one bucket: SipHash-1-3.
#[derive(Clone, Copy)]
pub(crate) struct KeyedHash {
    key: [u8; 16],
}

impl KeyedHash {
    pub(crate) const fn new(key: [u8; 16]) -> Self {
        Self { key }
    }
}

impl BuildHasher for KeyedHash {
    type Hasher = SipHasher13;
    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.key)
    }
}

/// An address as 128 bits; IPv4 is v4-mapped.
pub(crate) fn address_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// What tables know a four-tuple by: packed, and hashed once for all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) who: PackedEndpoints,
    /// Half of the hash is enough for less than 2^32 entries.
    pub(crate) hash: u32,
}

impl Key {
    #[inline]
    pub(crate) fn new(hash: &TupleHash, endpoints: &Endpoints) -> Self {
        let who = PackedEndpoints::new(endpoints);
        #[expect(clippy::cast_possible_truncation, reason = "half of it")]
        let hash = hash.of(&who) as u32;
        Self { who, hash }
    }
}

/// An owner: its hash, and its slot in [`crate::table::Table`]. The four-tuple itself is the slot's to know.
#[derive(Clone, Copy)]
struct Owner {
    hash: u32,
    index: u32,
}

/// For `hashbrown`, which takes the place from the lower bits and a tag from the highest.
#[inline]
const fn spread(hash: u32) -> u64 {
    (hash as u64) << 32 | hash as u64
}

/// The map from four-tuples to slots. Those in TIME-WAIT are not here: see [`crate::time_waits`]. Nothing iterates over it, so
/// its order reaches no output.
#[derive(Default)]
pub(crate) struct Demux {
    owners: HashTable<Owner>,
}

impl Demux {
    /// The slot of a four-tuple with `hash` that `is_it`.
    #[inline]
    pub(crate) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let is_it = |owner: &Owner| owner.hash == hash && is_it(owner.index);
        self.owners
            .find(spread(hash), is_it)
            .map(|owner| owner.index)
    }

    /// Adds a four-tuple that is not there.
    pub(crate) fn insert(&mut self, hash: u32, index: u32) {
        let rehash = |owner: &Owner| spread(owner.hash);
        self.owners
            .insert_unique(spread(hash), Owner { hash, index }, rehash);
    }

    /// Forgets the four-tuple of a slot.
    pub(crate) fn remove(&mut self, hash: u32, index: u32) {
        let is_it = |owner: &Owner| owner.index == index;
        if let Ok(found) = self.owners.find_entry(spread(hash), is_it) {
            found.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(local: &str, remote: &str) -> Endpoints {
        Endpoints {
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
        }
    }

    #[test]
    fn every_part_of_the_four_tuple_counts() {
        let all = [
            ends("10.0.0.1:80", "10.0.0.2:5000"),
            ends("10.0.0.2:80", "10.0.0.1:5000"),
            ends("10.0.0.1:80", "10.0.0.3:5000"),
            ends("10.0.0.1:81", "10.0.0.2:5000"),
            ends("10.0.0.1:80", "10.0.0.2:5001"),
            ends("10.0.0.1:5000", "10.0.0.2:80"),
            ends("[fd00::1]:80", "[fd00::2]:5000"),
            ends("[fe80::1%1]:80", "[fe80::2%1]:5000"),
            ends("[fe80::1%2]:80", "[fe80::2%2]:5000"),
        ];
        let hash = TupleHash::new([7; 16]);
        let mut demux = Demux::default();
        let key = |who: &Endpoints| Key::new(&hash, who);
        let owner = |demux: &Demux, who: &Endpoints| {
            let known = |index: u32| all.get(index as usize) == Some(who);
            demux.find(key(who).hash, known)
        };
        for (index, endpoints) in (0..).zip(&all) {
            assert_eq!(owner(&demux, endpoints), None);
            demux.insert(key(endpoints).hash, index);
        }
        for (index, endpoints) in (0..).zip(&all) {
            assert_eq!(owner(&demux, endpoints), Some(index), "{endpoints:?}");
        }
        // Only the slot that has it gives it up.
        demux.remove(key(&all[0]).hash, 1);
        assert_eq!(owner(&demux, &all[0]), Some(0));
        demux.remove(key(&all[0]).hash, 0);
        assert_eq!(owner(&demux, &all[0]), None);
        assert_eq!(owner(&demux, &all[1]), Some(1));
    }
}
