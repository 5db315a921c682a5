//! Packets that never arrive: by chance, in bursts, or because a list or a test says so.

use std::fmt;
use std::sync::Arc;

use crate::seed::Luck;
use crate::segment;

/// Which packets the wire loses.
#[derive(Clone, Default)]
pub struct Loss {
    /// Probability for each packet, 0 to 1.
    pub chance: f64,
    /// Probability, 0 to 1, for each bare acknowledgement: a TCP segment without text, SYN, FIN or RST. On top of that.
    pub bare_acks: f64,
    /// Bursts on top of that.
    pub bursts: Option<Bursts>,
    /// These packets of this direction, counted from 0 as the wire takes them up (what the MTU or the queue
    /// refused is not counted).
    pub listed: Vec<u64>,
    /// Packets for which this returns true.
    pub matching: Option<Predicate>,
}

/// Decides over a packet by its number in this direction, from 0, and its octets.
pub type Predicate = Arc<dyn Fn(u64, &[u8]) -> bool + Send + Sync>;

impl fmt::Debug for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loss")
            .field("chance", &self.chance)
            .field("bare_acks", &self.bare_acks)
            .field("bursts", &self.bursts)
            .field("listed", &self.listed)
            .field("matching", &self.matching.is_some())
            .finish()
    }
}

/// The Gilbert-Elliott model: a good and a bad state; each packet may move from one to the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bursts {
    /// Probability a packet that the bad state begins.
    pub begin: f64,
    /// Probability a packet that it ends.
    pub end: f64,
    /// Probability that a packet is lost while it lasts.
    pub chance: f64,
}

impl Bursts {
    /// Bursts of `length` packets in the mean, at least 1, everything in them lost, so that `rate` of all packets (0 to
    /// below 1) is lost.
    ///
    /// The share of the bad state is `begin / (begin + end)`, and its mean length `1 / end` (Gilbert 1960).
    #[must_use]
    pub fn of(rate: f64, length: f64) -> Self {
        let end = 1.0 / length.max(1.0);
        let rate = rate.clamp(0.0, 0.999);
        Self {
            begin: (rate * end / (1.0 - rate)).min(1.0),
            end,
            chance: 1.0,
        }
    }
}

/// Why a packet did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LossCause {
    /// Larger than the MTU of the path.
    TooBig,
    /// The queue at the bottleneck was full.
    QueueFull,
    /// The policer had no tokens for it.
    Policed,
    /// Active queue management dropped it, before the queue was full.
    Managed,
    /// By chance.
    Chance,
    /// In a burst.
    Burst,
    /// By chance, as a bare acknowledgement.
    Ack,
    /// The list or the predicate named it.
    Listed,
}

/// In words, for a person to read.
impl fmt::Display for LossCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::TooBig => "larger than the MTU",
            Self::QueueFull => "the queue was full",
            Self::Policed => "more than the policer lets pass",
            Self::Managed => "dropped so that the queue stays short",
            Self::Chance => "lost by chance",
            Self::Burst => "lost in a burst",
            Self::Ack => "a bare acknowledgement, lost by chance",
            Self::Listed => "lost on purpose",
        })
    }
}

/// The state of the bursts.
#[derive(Debug, Default)]
pub(super) struct Weather {
    bad: bool,
}

impl Weather {
    /// What becomes of packet `number`. The four draws are: by chance, change of state, in a burst, as a bare
    /// acknowledgement.
    pub(super) fn verdict(
        &mut self,
        loss: &Loss,
        luck: [Luck; 4],
        number: u64,
        octets: &[u8],
    ) -> Option<LossCause> {
        let [by_chance, change, in_burst, bare] = luck;
        let burst_chance = loss.bursts.map_or(0.0, |bursts| {
            let turns = change.hits(if self.bad { bursts.end } else { bursts.begin });
            self.bad ^= turns;
            if self.bad { bursts.chance } else { 0.0 }
        });
        let named = loss.listed.contains(&number)
            || loss
                .matching
                .as_ref()
                .is_some_and(|matches| matches(number, octets));
        if named {
            Some(LossCause::Listed)
        } else if by_chance.hits(loss.chance) {
            Some(LossCause::Chance)
        } else if in_burst.hits(burst_chance) {
            Some(LossCause::Burst)
        } else if bare.hits(loss.bare_acks) && segment::is_bare_ack(octets) {
            Some(LossCause::Ack)
        } else {
            None
        }
    }
}
