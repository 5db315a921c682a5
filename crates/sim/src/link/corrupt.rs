//! One bit of a packet, flipped: what a checksum is for.

use bytes::Bytes;

use crate::seed::Luck;

/// `octets` with one bit flipped, anywhere in the packet. A packet without octets stays as it is.
pub(super) fn flip_a_bit(octets: &Bytes, luck: Luck) -> Bytes {
    let bit = luck.below(octets.len() as u64 * 8);
    let mut octets = octets.to_vec();
    let place = usize::try_from(bit / 8).unwrap_or(usize::MAX);
    if let Some(octet) = octets.get_mut(place) {
        *octet ^= 1 << (bit % 8);
    }
    Bytes::from(octets)
}
