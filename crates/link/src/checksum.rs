//! The Internet checksum (RFC 1071), as far as a device without offload needs it.

/// Adds `bytes` to a running sum of 16-bit words in network order. `bytes` starts at an even offset of
/// what is summed; an odd last octet counts as the high half of a word.
///
/// Source: RFC 1071 section 2 (the sum may be taken in wider words and folded late).
pub(crate) fn add(sum: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut sum = words
        .iter()
        .fold(sum, |sum, word| sum + u64::from(u32::from_be_bytes(*word)));
    let mut tail = [0u8; 4];
    for (to, from) in tail.iter_mut().zip(rest) {
        *to = *from;
    }
    sum += u64::from(u32::from_be_bytes(tail));
    // Folding here keeps the sum far from 2^64 however often this is called.
    (sum >> 32) + (sum & 0xffff_ffff)
}

/// Folds a running sum to 16 bits, without complementing it.
pub(crate) fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_1071() {
        // Section 3: the sum of 0001 f203 f4f5 f6f7 is ddf2 (after the carry).
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(fold(add(0, &bytes)), 0xddf2);
    }

    proptest! {
        #[test]
        fn same_as_word_by_word(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut plain = 0u64;
            for pair in bytes.chunks(2) {
                plain += u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
            }
            prop_assert_eq!(fold(add(0, &bytes)), fold(plain));
        }
    }
}
