//! What applications send: octets that both ends can compute, so that every one can be checked.

/// A run of octets, known by both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// `len` octets that look random, made from `seed`.
    Random {
        /// Two seeds have nothing in common.
        seed: u64,
        /// Octets.
        len: u64,
    },
    /// These octets.
    Literal(&'static [u8]),
}

impl Content {
    /// Nothing.
    pub const NONE: Self = Self::Literal(&[]);

    /// Octets in all.
    #[must_use]
    pub fn len(&self) -> u64 {
        match *self {
            Self::Random { len, .. } => len,
            Self::Literal(octets) => octets.len() as u64,
        }
    }

    /// Whether there are no octets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The octet at `place`, `None` past the end.
    #[must_use]
    pub fn octet(&self, place: u64) -> Option<u8> {
        match *self {
            Self::Random { seed, len } => (place < len).then(|| {
                let shift = place % 8 * 8;
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "the lowest octet is wanted"
                )]
                let octet = (mix(seed, place / 8) >> shift) as u8;
                octet
            }),
            Self::Literal(octets) => usize::try_from(place)
                .ok()
                .and_then(|place| octets.get(place).copied()),
        }
    }

    /// At most `max` octets from `place` on; fewer at the end.
    #[must_use]
    pub fn piece(&self, place: u64, max: usize) -> Vec<u8> {
        (place..)
            .map_while(|place| self.octet(place))
            .take(max)
            .collect()
    }

    /// The place of the first of `octets`, which begin at `place`, that is not as it should be.
    #[must_use]
    pub fn first_wrong(&self, place: u64, octets: &[u8]) -> Option<u64> {
        (place..)
            .zip(octets)
            .find(|&(place, &octet)| self.octet(place) != Some(octet))
            .map(|(at, _)| at)
    }
}

/// Eight octets of content: SplitMix64, at any place without those before it.
fn mix(seed: u64, block: u64) -> u64 {
    let mut z = seed
        .wrapping_mul(0xd134_2543_de82_ef95)
        .wrapping_add(block.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_and_every_wrong_octet_is_found() {
        for content in [
            Content::Random { seed: 3, len: 1000 },
            Content::Literal(&[7; 1000]),
        ] {
            let whole = content.piece(0, usize::MAX);
            assert_eq!(whole.len(), 1000);
            let mut joined = Vec::new();
            for size in [1, 7, 8, 9, 300, 2000] {
                joined.extend(content.piece(joined.len() as u64, size));
            }
            assert_eq!(joined, whole);
            assert_eq!(content.first_wrong(0, &whole), None);
            for wrong in [0, 1, 499, 999] {
                let mut changed = whole.clone();
                changed[wrong] ^= 0x10;
                assert_eq!(content.first_wrong(0, &changed), Some(wrong as u64));
                assert_eq!(content.first_wrong(200, &changed[200..]), {
                    (wrong >= 200).then_some(wrong as u64)
                });
            }
            assert_eq!(
                content.first_wrong(999, &[whole[999], 0]),
                Some(1000),
                "past the end"
            );
        }
    }

    #[test]
    fn an_octet_in_the_wrong_place_or_of_another_seed_is_wrong() {
        let content = Content::Random { seed: 3, len: 64 };
        let other = Content::Random { seed: 4, len: 64 };
        let piece = content.piece(8, 16);
        assert!(content.first_wrong(9, &piece).is_some());
        assert!(other.first_wrong(8, &piece).is_some());
    }
}
