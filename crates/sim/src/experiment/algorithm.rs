//! Congestion control algorithms by name.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use woshou_tcp::congestion::{Bbr, CongestionFactory, Cubic, Dctcp, NewReno};

/// A congestion control algorithm that comes with woshou.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// RFC 5681 and RFC 6582.
    NewReno,
    /// RFC 9438, with HyStart++ (RFC 9406).
    Cubic,
    /// BBRv3 (draft-ietf-ccwg-bbr).
    Bbr,
    /// RFC 8257; its connections ask for ECN, and the path should mark.
    Dctcp,
}

impl Algorithm {
    /// All of them.
    pub const ALL: &[Self] = &[Self::NewReno, Self::Cubic, Self::Bbr, Self::Dctcp];

    /// Its name, as a user writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewReno => "newreno",
            Self::Cubic => "cubic",
            Self::Bbr => "bbr",
            Self::Dctcp => "dctcp",
        }
    }

    /// What makes its state for a connection.
    #[must_use]
    pub fn factory(self) -> Arc<dyn CongestionFactory> {
        match self {
            Self::NewReno => Arc::new(NewReno::factory()),
            Self::Cubic => Arc::new(Cubic::factory()),
            Self::Bbr => Arc::new(Bbr::factory()),
            Self::Dctcp => Arc::new(Dctcp::factory()),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No algorithm has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no congestion control is called {0:?}; choose one of: {names}", names = names())]
pub struct UnknownAlgorithm(pub String);

fn names() -> String {
    let names: Vec<_> = Algorithm::ALL.iter().map(|each| each.name()).collect();
    names.join(", ")
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.iter().copied();
        all.find(|each| each.name() == name)
            .ok_or_else(|| UnknownAlgorithm(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for &algorithm in Algorithm::ALL {
            assert_eq!(algorithm.name().parse(), Ok(algorithm));
            assert_eq!(algorithm.factory().name(), algorithm.name());
        }
        let error = "vegas".parse::<Algorithm>().unwrap_err();
        assert!(error.to_string().contains("newreno, cubic"), "{error}");
    }
}
