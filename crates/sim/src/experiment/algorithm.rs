//! Congestion control algorithms by name.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use woshou_tcp::congestion::{CongestionFactory, NewReno};

/// A congestion control algorithm that comes with woshou.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// RFC 5681 and RFC 6582.
    NewReno,
}

impl Algorithm {
    /// All of them.
    pub const ALL: &[Self] = &[Self::NewReno];

    /// Its name, as a user writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewReno => "newreno",
        }
    }

    /// What makes its state for a connection.
    #[must_use]
    pub fn factory(self) -> Arc<dyn CongestionFactory> {
        match self {
            Self::NewReno => Arc::new(NewReno::factory()),
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
