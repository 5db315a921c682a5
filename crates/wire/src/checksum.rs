//! The Internet checksum (RFC 1071): sums over pieces of any length, pseudo-headers, partial sums for offload.
//!
//! A checksum is verified by summing over everything, the field included, and looking for all ones: never by
//! computing it again and comparing, because 0x0000 and 0xffff both stand for zero and senders write either.

use core::net::IpAddr;

use crate::WriteError;

/// A ones' complement sum of big-endian 16-bit words, under way.
///
/// Pieces may be of odd length: the next piece goes on in the middle of a word, as if both were one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Congruent to the sum modulo 65535; zero only if every octet was zero.
    total: u64,
    /// The next octet is the low half of a word.
    odd: bool,
}

impl Sum {
    /// The sum over nothing.
    pub const ZERO: Self = Self {
        total: 0,
        odd: false,
    };

    /// The sum over what came before, followed by `octets`.
    #[must_use]
    #[inline]
    pub fn with(self, octets: &[u8]) -> Self {
        if octets.is_empty() {
            // Most segments have one piece of text, or none.
            return self;
        }
        let word = sum_words(octets);
        // A piece that begins in the middle of a word has its octets in the other halves (RFC 1071 section 2).
        let word = if self.odd { word.swap_bytes() } else { word };
        Self {
            // Cannot overflow before 2^48 pieces.
            total: self.total.wrapping_add(u64::from(word)),
            odd: self.odd ^ (octets.len() % 2 == 1),
        }
    }

    /// The sum over what came before, followed by the four octets of `word`, the highest first.
    #[must_use]
    pub fn with_word(self, word: u32) -> Self {
        if self.odd {
            return self.with(&word.to_be_bytes());
        }
        // 2^32 is congruent to one, 2^16 too: halves need not be added apart.
        Self {
            total: self.total.wrapping_add(u64::from(word)),
            odd: false,
        }
    }

    /// The sum over what came before, followed by what `other` sums: where both begin at an even octet, and this one ends at one.
    #[must_use]
    pub const fn with_sum(self, other: Self) -> Self {
        Self {
            total: self.total.wrapping_add(other.total),
            odd: self.odd ^ other.odd,
        }
    }

    /// The folded sum, not complemented.
    ///
    /// Of a pseudo-header alone, this is what belongs in the checksum field when a device is to finish the
    /// checksum ([`crate::virtio_net::NEEDS_CSUM`]).
    #[must_use]
    pub fn partial(self) -> u16 {
        fold(self.total)
    }

    /// The checksum: the ones' complement of the sum.
    #[must_use]
    pub fn checksum(self) -> u16 {
        !self.partial()
    }

    /// Whether what was summed, its checksum field included, is whole.
    #[must_use]
    pub fn is_valid(self) -> bool {
        self.partial() == u16::MAX
    }
}

/// The sum over the pseudo-header that TCP, UDP and ICMPv6 share.
///
/// `length` is that of the header and the text of the upper layer, in octets. One function serves both
/// families, because the fields differ in width and place only, and a sum sees neither. Both addresses are of
/// one family.
///
/// Source: RFC 9293 section 3.1, RFC 768, RFC 8200 section 8.1.
#[must_use]
pub fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, length: u32) -> Sum {
    let total = address(source) + address(destination) + u64::from(protocol) + u64::from(length);
    Sum { total, odd: false }
}

/// Finishes a checksum that was left to a device: sums `packet[start..]`, whose checksum field at
/// `start + offset` holds the [partial](Sum::partial) sum of the pseudo-header, and stores the result there.
///
/// `zero_means_none` is for UDP, where a checksum of zero is sent as 0xffff (RFC 768).
///
/// # Errors
/// [`WriteError::BufferTooShort`] when the field lies outside of the packet: drop the packet.
pub fn complete(
    packet: &mut [u8],
    start: usize,
    offset: usize,
    zero_means_none: bool,
) -> Result<(), WriteError> {
    let needed = start.saturating_add(offset).saturating_add(2);
    let covered = packet
        .get_mut(start..)
        .ok_or(WriteError::BufferTooShort { needed })?;
    let checksum = match Sum::ZERO.with(covered).checksum() {
        0 if zero_means_none => u16::MAX,
        checksum => checksum,
    };
    let field = covered.get_mut(offset..).and_then(<[u8]>::first_chunk_mut);
    *field.ok_or(WriteError::BufferTooShort { needed })? = checksum.to_be_bytes();
    Ok(())
}

fn address(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => {
            let octets = v6.octets();
            octets
                .as_chunks()
                .0
                .iter()
                .map(|word| u64::from(u32::from_be_bytes(*word)))
                .sum()
        }
    }
}

/// The folded sum over `octets`, in big-endian words, the last padded with zero.
///
/// It adds 64-bit words of the machine's own byte order, because the sum is the same in any order once its octets are
/// swapped, and 2^64 is congruent to one (RFC 1071 section 2 B). A sum of 128 bits takes two instructions a word, an
/// addition and one of its carry; two sums, so that one need not wait for the other. Vectors of 32-bit words take a
/// fifth longer and twice the instructions, measured.
#[inline]
fn sum_words(octets: &[u8]) -> u16 {
    if octets.len() <= FEW {
        sum_few(octets)
    } else {
        sum_many(octets)
    }
}

/// Headers: what many words need at the end would take longer than the words.
const FEW: usize = 64;

#[inline]
fn sum_few(octets: &[u8]) -> u16 {
    let (words, tail) = octets.as_chunks::<4>();
    let mut last = [0; 4];
    for (to, from) in last.iter_mut().zip(tail) {
        *to = *from;
    }
    let word = |octets: [u8; 4]| u64::from(u32::from_ne_bytes(octets));
    let sum: u64 = words.iter().map(|octets| word(*octets)).sum();
    u16::from_be(fold(sum + word(last)))
}

// By itself, so that profiles tell what checksums take. A call is nothing beside 64 octets.
#[inline(never)]
fn sum_many(octets: &[u8]) -> u16 {
    let word = |octets: [u8; 8]| u128::from(u64::from_ne_bytes(octets));
    let (words, tail) = octets.as_chunks::<8>();
    let (pairs, single) = words.as_chunks::<2>();
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(tail) {
        *to = *from;
    }
    let mut even = word(last);
    let mut odd = single.first().map_or(0, |octets| word(*octets));
    for [first, second] in pairs {
        // They overflow after 2^64 words. A check here would take longer than the sum.
        even = even.wrapping_add(word(*first));
        odd = odd.wrapping_add(word(*second));
    }
    let total = even.wrapping_add(odd);
    // In parts of 32 bits, so that nothing overflows.
    let parts = [total, total >> 32, total >> 64, total >> 96];
    let sum: u128 = parts.iter().map(|part| part & u128::from(u32::MAX)).sum();
    u16::from_be(fold(u64::try_from(sum).unwrap_or(u64::MAX)))
}

/// Adds the carries back in until none is left: zero only for zero.
const fn fold(mut total: u64) -> u16 {
    while total > 0xffff {
        total = (total >> 16) + (total & 0xffff);
    }
    #[expect(clippy::cast_possible_truncation, reason = "the loop left 16 bits")]
    let folded = total as u16;
    folded
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    /// The example of RFC 1071 section 3.
    #[test]
    fn rfc_1071_example() {
        let sum = Sum::ZERO.with(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.partial(), 0xddf2);
        assert_eq!(sum.checksum(), 0x220d);
    }

    #[test]
    fn both_zeroes_are_valid() {
        for field in [[0x00, 0x00], [0xff, 0xff]] {
            assert!(
                Sum::ZERO
                    .with(&[0xff, 0xfe, 0x00, 0x01])
                    .with(&field)
                    .is_valid(),
                "{field:?}"
            );
        }
        assert!(
            !Sum::ZERO
                .with(&[0xff, 0xfe, 0x00, 0x01])
                .with(&[0, 1])
                .is_valid()
        );
        assert!(
            !Sum::ZERO.with(&[0; 8]).is_valid(),
            "nothing but zeroes is not a checksum"
        );
    }

    #[test]
    fn odd_pieces_go_on_in_the_middle_of_a_word() {
        let whole = Sum::ZERO.with(&[0x12, 0x34, 0x56, 0x78, 0x9a]);
        let pieces: [&[&[u8]]; 4] = [
            &[&[0x12], &[0x34, 0x56, 0x78, 0x9a]],
            &[&[0x12], &[0x34], &[], &[0x56], &[0x78], &[0x9a]],
            &[&[0x12, 0x34, 0x56], &[0x78, 0x9a]],
            &[&[], &[0x12, 0x34], &[0x56], &[0x78, 0x9a]],
        ];
        assert_eq!(whole.partial(), 0x02ad);
        for pieces in pieces {
            let sum = pieces.iter().fold(Sum::ZERO, |sum, piece| sum.with(piece));
            assert_eq!(sum.partial(), whole.partial(), "{pieces:?}");
        }
    }

    #[test]
    fn pseudo_headers_are_summed_as_they_are_drawn() {
        let (a, b) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(203, 0, 113, 254));
        let drawn = [192, 0, 2, 1, 203, 0, 113, 254, 0, 6, 0xff, 0xeb];
        let sum = pseudo_header(a.into(), b.into(), 6, 0xffeb);
        assert_eq!(sum.partial(), Sum::ZERO.with(&drawn).partial());

        let (a, b) = (Ipv6Addr::from([0xab; 16]), Ipv6Addr::LOCALHOST);
        let drawn = Sum::ZERO
            .with(&a.octets())
            .with(&b.octets())
            .with(&[0, 1, 0, 2, 0, 0, 0, 58]);
        assert_eq!(
            pseudo_header(a.into(), b.into(), 58, 0x1_0002).partial(),
            drawn.partial()
        );
    }

    #[test]
    fn complete_stays_inside_of_the_packet() {
        let cases = [
            // start, offset, length of the packet, needed
            (0, 0, 1, Some(2)),
            (0, 7, 8, Some(9)),
            (9, 0, 8, Some(11)),
            (usize::MAX, usize::MAX, 8, Some(usize::MAX)),
            (0, 6, 8, None),
            (4, 2, 8, None),
        ];
        for (start, offset, len, needed) in cases {
            let mut packet = [7; 8];
            let result = complete(&mut packet[..len], start, offset, false);
            let expected =
                needed.map_or(Ok(()), |needed| Err(WriteError::BufferTooShort { needed }));
            assert_eq!(result, expected, "{start} {offset} {len}");
        }
    }

    #[test]
    fn complete_never_sends_udp_without_checksum() {
        for (zero_means_none, expected) in [(false, [0, 0]), (true, [0xff, 0xff])] {
            let mut packet = [0x55, 0xff, 0xf0, 0x00, 0x0f];
            complete(&mut packet, 1, 2, zero_means_none).unwrap();
            assert_eq!(packet[3..], expected);
        }
    }
}
