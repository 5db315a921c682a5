//! Sequence numbers: points on a circle of 2^32 (RFC 9293 section 3.4).

use core::fmt;
use core::ops::{Add, AddAssign, Sub};

/// A sequence number. It has no order: [`before`](Self::before) and [`after`](Self::after) hold only within
/// half the circle, so there is no `Ord` to misuse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeqNum(pub u32);

impl SeqNum {
    /// Whether `self` comes before `other` (`self < other` on the circle).
    #[must_use]
    pub const fn before(self, other: Self) -> bool {
        self.0.wrapping_sub(other.0).cast_signed() < 0
    }

    /// Whether `self` comes after `other`.
    #[must_use]
    pub const fn after(self, other: Self) -> bool {
        other.before(self)
    }

    /// `self <= other` on the circle.
    #[must_use]
    pub const fn at_or_before(self, other: Self) -> bool {
        !self.after(other)
    }

    /// `self >= other` on the circle.
    #[must_use]
    pub const fn at_or_after(self, other: Self) -> bool {
        !self.before(other)
    }

    /// Whether `self` lies in `start .. end` (end excluded), going up from `start`.
    #[must_use]
    pub const fn between(self, start: Self, end: Self) -> bool {
        self.0.wrapping_sub(start.0) < end.0.wrapping_sub(start.0)
    }

    /// Octets from `earlier` up to `self`, going up the circle.
    #[must_use]
    pub const fn distance_from(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// Signed octets from `other` to `self`: negative when `self` is before `other`.
    #[must_use]
    pub const fn offset_from(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0).cast_signed()
    }

    /// The later of the two.
    #[must_use]
    pub const fn later(self, other: Self) -> Self {
        if self.before(other) { other } else { self }
    }

    /// The earlier of the two.
    #[must_use]
    pub const fn earlier(self, other: Self) -> Self {
        if other.before(self) { other } else { self }
    }
}

impl Add<u32> for SeqNum {
    type Output = Self;
    fn add(self, octets: u32) -> Self {
        Self(self.0.wrapping_add(octets))
    }
}

impl Sub<u32> for SeqNum {
    type Output = Self;
    fn sub(self, octets: u32) -> Self {
        Self(self.0.wrapping_sub(octets))
    }
}

impl AddAssign<u32> for SeqNum {
    fn add_assign(&mut self, octets: u32) {
        *self = *self + octets;
    }
}

impl fmt::Display for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::SeqNum;

    #[test]
    fn the_circle_wraps() {
        let cases = [
            (0xffff_fff0u32, 0x10u32),
            (0, 1),
            (0x7fff_ffff, 0x8000_0000),
            (5, 0x8000_0004),
        ];
        for (a, b) in cases {
            let (a, b) = (SeqNum(a), SeqNum(b));
            assert!(
                a.before(b) && b.after(a) && !b.before(a) && a.at_or_before(b),
                "{a} before {b}"
            );
            assert_eq!(a.later(b), b);
            assert_eq!(a.earlier(b), a);
            assert_eq!(a + b.distance_from(a), b);
            assert_eq!(b - b.distance_from(a), a);
        }
        assert!(SeqNum(3).at_or_before(SeqNum(3)) && SeqNum(3).at_or_after(SeqNum(3)));
    }

    #[test]
    fn between_excludes_its_end() {
        let (start, end) = (SeqNum(0xffff_fffe), SeqNum(2));
        assert!(start.between(start, end) && SeqNum(1).between(start, end));
        assert!(!end.between(start, end) && !SeqNum(0xffff_fffd).between(start, end));
        assert!(!start.between(start, start));
        assert_eq!(SeqNum(1).offset_from(SeqNum(0xffff_ffff)), 2);
        assert_eq!(SeqNum(0xffff_ffff).offset_from(SeqNum(1)), -2);
    }
}
