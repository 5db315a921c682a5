//! In which respects the comparison may be lenient.

use core::fmt;
use core::str::FromStr;

/// One leniency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leniency {
    /// TCP options are compared as a set, without padding, the value of window scale left out.
    Options,
    /// The window of segments that leave is not compared.
    Window,
    /// Surplus pure acknowledgements are skipped, and the time of expected ones is not compared.
    Acks,
    /// Text is compared as a range of octets, however it is cut; PSH is not compared.
    Segmentation,
}

impl Leniency {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Options, Self::Window, Self::Acks, Self::Segmentation];

    /// `options`, `window`, `acks`, `segmentation`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Options => "options",
            Self::Window => "window",
            Self::Acks => "acks",
            Self::Segmentation => "segmentation",
        }
    }
}

impl fmt::Display for Leniency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No leniency has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownLeniency(pub String);

impl fmt::Display for UnknownLeniency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "there is no leniency `{}`: options, window, acks, segmentation",
            self.0
        )
    }
}

impl core::error::Error for UnknownLeniency {}

impl FromStr for Leniency {
    type Err = UnknownLeniency;

    fn from_str(name: &str) -> Result<Self, UnknownLeniency> {
        let found = Self::ALL
            .into_iter()
            .find(|leniency| leniency.name() == name);
        found.ok_or_else(|| UnknownLeniency(name.to_owned()))
    }
}

/// A set of leniencies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lenient(u8);

impl Lenient {
    /// None: strict.
    pub const STRICT: Self = Self(0);

    /// Whether `leniency` is in it.
    #[must_use]
    pub const fn has(self, leniency: Leniency) -> bool {
        self.0 & 1 << leniency as u8 != 0
    }

    /// With `leniency`.
    #[must_use]
    pub const fn with(self, leniency: Leniency) -> Self {
        Self(self.0 | 1 << leniency as u8)
    }

    /// What is in it, in the order of [`Leniency::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Leniency> {
        Leniency::ALL
            .into_iter()
            .filter(move |leniency| self.has(*leniency))
    }

    /// All sets of what is in it, smaller ones first; the empty one is left out.
    pub(crate) fn subsets(self) -> Vec<Self> {
        let mut sets: Vec<Self> = (1..16)
            .filter(|set| set & self.0 == *set)
            .map(Self)
            .collect();
        sets.sort_by_key(|set| (set.0.count_ones(), set.0));
        sets
    }
}

impl FromIterator<Leniency> for Lenient {
    fn from_iter<I: IntoIterator<Item = Leniency>>(all: I) -> Self {
        all.into_iter().fold(Self::STRICT, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for leniency in Leniency::ALL {
            assert_eq!(leniency.name().parse(), Ok(leniency));
        }
        assert!("all".parse::<Leniency>().is_err());
    }

    #[test]
    fn smaller_sets_come_first() {
        let set: Lenient = [Leniency::Window, Leniency::Options].into_iter().collect();
        let subsets: Vec<Vec<_>> = set
            .subsets()
            .into_iter()
            .map(|s| s.iter().collect())
            .collect();
        assert_eq!(
            subsets,
            [
                vec![Leniency::Options],
                vec![Leniency::Window],
                vec![Leniency::Options, Leniency::Window]
            ]
        );
        assert!(Lenient::STRICT.subsets().is_empty());
    }
}
