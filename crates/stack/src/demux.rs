//! Whose is this segment? The map from four-tuples to their owners.

use core::hash::{BuildHasher, Hash, Hasher};
use core::net::{IpAddr, SocketAddr};

use hashbrown::HashMap;
use siphasher::sip::SipHasher13;
use woshou_tcp::Endpoints;

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

const MAPPED: u128 = 0xffff << 32;

/// A four-tuple, packed. The scope tells link-local peers of different links apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    local: u128,
    remote: u128,
    ports: u32,
    scope: u32,
}

impl Key {
    pub(crate) fn new(endpoints: &Endpoints) -> Self {
        let scope = |end: &SocketAddr| match end {
            SocketAddr::V4(_) => 0,
            SocketAddr::V6(end) => end.scope_id(),
        };
        Self {
            local: address_bits(endpoints.local.ip()),
            remote: address_bits(endpoints.remote.ip()),
            ports: u32::from(endpoints.local.port()) << 16 | u32::from(endpoints.remote.port()),
            scope: scope(&endpoints.remote).max(scope(&endpoints.local)),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low halves are wanted")]
impl Hash for Key {
    /// IPv4 takes two words instead of five: less than half the time (dependencies.md B.6).
    fn hash<H: Hasher>(&self, state: &mut H) {
        if self.local >> 32 == MAPPED >> 32 && self.remote >> 32 == MAPPED >> 32 {
            state.write_u64(u64::from(self.local as u32) << 32 | u64::from(self.remote as u32));
            state.write_u32(self.ports);
        } else {
            for bits in [self.local, self.remote] {
                state.write_u64((bits >> 64) as u64);
                state.write_u64(bits as u64);
            }
            state.write_u64(u64::from(self.ports) << 32 | u64::from(self.scope));
        }
    }
}

/// Who owns a four-tuple: an index into its table. Those in TIME-WAIT are not here: see [`crate::time_waits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// An opening or a connection: slot of [`crate::table::Table`].
    Connection(u32),
}

/// The map. Nothing iterates over it, so its order reaches no output.
pub(crate) struct Demux {
    owners: HashMap<Key, Owner, KeyedHash>,
    /// What was looked for last: segments of one connection come one after the other.
    last: Option<(Key, Owner)>,
}

impl Demux {
    pub(crate) fn new(hash: KeyedHash) -> Self {
        Self {
            owners: HashMap::with_hasher(hash),
            last: None,
        }
    }

    pub(crate) fn owner(&self, endpoints: &Endpoints) -> Option<Owner> {
        self.owners.get(&Key::new(endpoints)).copied()
    }

    /// As [`Self::owner`], remembered for the next segment.
    pub(crate) fn owner_of_segment(&mut self, endpoints: &Endpoints) -> Option<Owner> {
        let key = Key::new(endpoints);
        if let Some((last, owner)) = self.last
            && last == key
        {
            return Some(owner);
        }
        let owner = self.owners.get(&key).copied()?;
        self.last = Some((key, owner));
        Some(owner)
    }

    pub(crate) fn insert(&mut self, endpoints: &Endpoints, owner: Owner) {
        self.last = None;
        self.owners.insert(Key::new(endpoints), owner);
    }

    /// Forgets the four-tuple if it is still `owner`'s.
    pub(crate) fn remove(&mut self, endpoints: &Endpoints, owner: Owner) {
        let key = Key::new(endpoints);
        self.last = None;
        if self.owners.get(&key) == Some(&owner) {
            self.owners.remove(&key);
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
        let mut demux = Demux::new(KeyedHash::new([7; 16]));
        for (index, endpoints) in (0..).zip(&all) {
            assert_eq!(demux.owner(endpoints), None);
            demux.insert(endpoints, Owner::Connection(index));
        }
        for (index, endpoints) in (0..).zip(&all) {
            let owner = Some(Owner::Connection(index));
            assert_eq!(demux.owner(endpoints), owner, "{endpoints:?}");
            for _ in 0..2 {
                assert_eq!(demux.owner_of_segment(endpoints), owner, "{endpoints:?}");
            }
        }
    }

    #[test]
    fn only_the_owner_removes() {
        let mut demux = Demux::new(KeyedHash::new([7; 16]));
        let who = ends("10.0.0.1:80", "10.0.0.2:5000");
        demux.insert(&who, Owner::Connection(3));
        demux.remove(&who, Owner::Connection(4));
        assert_eq!(demux.owner(&who), Some(Owner::Connection(3)));
        assert_eq!(demux.owner_of_segment(&who), Some(Owner::Connection(3)));
        demux.remove(&who, Owner::Connection(3));
        assert_eq!(
            (demux.owner(&who), demux.owner_of_segment(&who)),
            (None, None)
        );
        demux.insert(&who, Owner::Connection(5));
        assert_eq!(demux.owner_of_segment(&who), Some(Owner::Connection(5)));
        demux.insert(&who, Owner::Connection(6));
        assert_eq!(demux.owner_of_segment(&who), Some(Owner::Connection(6)));
    }
}
