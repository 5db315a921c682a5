//! A keyed hash for the tables that segments are looked up in.
//!
//! SipHash costs as much as all other steps of a lookup together (decision 026). What a table needs is less: that nobody
//! who cannot see the hashes can aim at one bucket.

use core::fmt;

use siphasher::sip::SipHasher24;

use crate::packed::PackedEndpoints;

/// Hashes four-tuples and single numbers, keyed by 384 bits that are drawn from 128.
///
/// Products of two 64-bit numbers, each covered by a secret one, folded in half: of two different inputs nobody can tell
/// whether they fall together who neither knows the key nor sees hashes. Not for what leaves the host: there the output
/// would be seen ([`crate::isn`]).
#[derive(Clone)]
pub struct TupleHash([u64; 6]);

/// Does not show the key.
impl fmt::Debug for TupleHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TupleHash(..)")
    }
}

/// Both halves of the product, one folded over the other.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the lower half, and then the upper"
    )]
    let halves = (product as u64, (product >> 64) as u64);
    halves.0 ^ halves.1
}

impl TupleHash {
    /// `key`: 128 random bits that nobody outside knows.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        let hasher = SipHasher24::new_with_key(&key);
        Self([0u8, 1, 2, 3, 4, 5].map(|word| hasher.hash(&[word])))
    }

    /// All 64 bits are equally good.
    #[inline]
    #[must_use]
    pub fn of(&self, who: &PackedEndpoints) -> u64 {
        let [k0, k1, k2, k3, k4, k5] = self.0;
        let [l0, l1, r0, r1, ports] = who.words();
        let (local, remote) = (fold(l0 ^ k0, l1 ^ k1), fold(r0 ^ k2, r1 ^ k3));
        fold(local ^ ports ^ k4, remote ^ k5)
    }

    /// The hash of a number, such as a prefix or a port.
    #[inline]
    #[must_use]
    pub fn of_number(&self, number: u64) -> u64 {
        let [k0, k1, k2, k3, ..] = self.0;
        fold(fold(number ^ k0, k1) ^ k2, k3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::Endpoints;
    use core::net::{Ipv6Addr, SocketAddr};
    use std::vec;
    use std::vec::Vec;

    /// Four-tuples as they come: neighbours in every part.
    fn tuples(v6: bool) -> Vec<PackedEndpoints> {
        let end = |host: u32, port: u16| match v6 {
            false => SocketAddr::from(((0x0a00_0000 | host).to_be_bytes(), port)),
            true => SocketAddr::from((Ipv6Addr::from(0xfd00 << 112 | u128::from(host)), port)),
        };
        let all = (0..16u32).flat_map(|ours| {
            (0..32u32).flat_map(move |host| (0..128u16).map(move |port| (ours, host, port)))
        });
        let all = all.map(|(ours, host, port)| Endpoints {
            local: end(ours % 4, 80 + u16::try_from(ours / 4).unwrap()),
            remote: end(1 << 16 | host << (host % 2 * 8), 40_000 + port),
        });
        all.map(|who| PackedEndpoints::new(&who)).collect()
    }

    /// The fullest of 4,096 buckets for 65,536 four-tuples, by 12 bits of the hash: 16 on average; a random function goes
    /// to 35 or so.
    #[test]
    fn neighbours_fall_far_apart_by_any_bits() {
        for v6 in [false, true] {
            let tuples = tuples(v6);
            for key in 0..4u8 {
                let hash = TupleHash::new([key; 16]);
                for shift in [0, 7, 20, 32, 52] {
                    let mut buckets = vec![0u32; 4096];
                    for words in &tuples {
                        buckets[(hash.of(words) >> shift & 0xfff) as usize] += 1;
                    }
                    let fullest = *buckets.iter().max().unwrap();
                    assert!(fullest <= 48, "{v6} {key} {shift}: {fullest}");
                }
            }
        }
    }

    #[test]
    fn numbers_fall_far_apart_too() {
        let hash = TupleHash::new([5; 16]);
        for step in [1u64, 256, 1 << 32, 1 << 48] {
            let mut buckets = [0u32; 256];
            for number in 0..4096 {
                buckets[(hash.of_number(number * step) % 256) as usize] += 1;
            }
            assert!(buckets.iter().all(|&held| held < 48), "{step}");
        }
    }

    #[test]
    fn another_key_is_another_hash() {
        let (one, other) = (TupleHash::new([1; 16]), TupleHash::new([2; 16]));
        let same = tuples(false)
            .iter()
            .filter(|t| one.of(t) as u8 == other.of(t) as u8)
            .count();
        assert!(same < 512, "{same} of 65,536");
        assert_ne!(one.of_number(7), other.of_number(7));
    }
}
