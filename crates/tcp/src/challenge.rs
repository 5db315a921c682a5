//! How many challenge ACKs a whole stack sends: a budget that cannot be measured from outside.

use core::fmt;
use core::time::Duration;

use siphasher::sip::SipHasher24;

use crate::time::Instant;

/// How long one draw lasts.
const INTERVAL: Duration = Duration::from_secs(1);

/// The global limit of RFC 5961 section 7, for all connections, listeners and TIME-WAIT entries of a stack together.
///
/// A fixed limit that everyone shares tells an attacker who counts the challenges on a connection of their own how many some
/// other connection was sent, and so whether a guess was right (CVE-2016-5696). So:
///
/// - every interval has a limit of its own, drawn from a secret: between half and one and a half times the mean;
/// - an interval begins with the first challenge in it, not with the clock's second, which an attacker could find;
/// - each connection has a small limit of its own before this one ([`crate::Config::challenge_acks_per_second`]), so that one
///   connection cannot use the budget up: it takes more than fifty at the defaults.
///
/// A stack counts its stateless replies (RST, ICMP errors) by budgets of the same kind, each with a key of its own: their limit
/// was the same side channel for UDP ports (SAD DNS, CVE-2020-25705).
#[derive(Clone)]
pub struct ChallengeBudget {
    key: [u8; 16],
    /// On average, an interval.
    mean: u32,
    /// In this interval.
    left: u32,
    ends_at: Instant,
    /// Counts the intervals.
    drawn: u64,
}

/// Shows neither the secret nor what is left.
impl fmt::Debug for ChallengeBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChallengeBudget")
            .field("mean", &self.mean)
            .finish_non_exhaustive()
    }
}

impl ChallengeBudget {
    /// `mean` challenges a second on average (zero: never one), drawn with `key`: 128 random bits.
    #[must_use]
    pub const fn new(mean: u32, key: [u8; 16]) -> Self {
        Self {
            key,
            mean,
            left: 0,
            ends_at: Instant::ZERO,
            drawn: 0,
        }
    }

    /// Takes one, if there is one left.
    //= rfc9293 X-7
    pub fn take(&mut self, now: Instant) -> bool {
        if now >= self.ends_at {
            self.ends_at = now + INTERVAL;
            self.left = self.draw();
        }
        let enough = self.left > 0;
        self.left = self.left.saturating_sub(1);
        enough
    }

    /// The limit of the next interval: mean/2 .. 3*mean/2.
    fn draw(&mut self) -> u32 {
        self.drawn = self.drawn.wrapping_add(1);
        let hash = SipHasher24::new_with_key(&self.key).hash(&self.drawn.to_be_bytes());
        let extra = hash % (u64::from(self.mean) + 1);
        u32::try_from(u64::from(self.mean / 2) + extra).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    /// How many go in each of so many intervals, one after the other.
    fn limits(budget: &mut ChallengeBudget, intervals: u64) -> Vec<u32> {
        (0..intervals)
            .map(|second| {
                let at = Instant::from_millis(second * 1000);
                (0..5000).map(|_| u32::from(budget.take(at))).sum()
            })
            .collect()
    }

    //= rfc9293 X-7 test
    #[test]
    fn each_interval_has_a_limit_that_the_last_does_not_tell() {
        let all = limits(&mut ChallengeBudget::new(1000, [3; 16]), 400);
        assert!(all.iter().all(|&limit| (500..=1500).contains(&limit)));
        let distinct: BTreeSet<_> = all.iter().collect();
        assert!(distinct.len() > 250, "{}", distinct.len());
        let mean = all.iter().sum::<u32>() / 400;
        assert!((950..1050).contains(&mean), "{mean}");
        let again = limits(&mut ChallengeBudget::new(1000, [3; 16]), 400);
        assert_eq!(all, again, "same secret, same limits");
        let other = limits(&mut ChallengeBudget::new(1000, [4; 16]), 400);
        let same = all.iter().zip(&other).filter(|(a, b)| a == b).count();
        assert!(same < 10, "{same}");
    }

    #[test]
    fn shown_without_the_secret() {
        let shown = std::format!("{:?}", ChallengeBudget::new(1000, [173; 16]));
        assert!(shown.contains("1000") && !shown.contains("173"), "{shown}");
    }

    #[test]
    fn an_interval_begins_with_its_first_challenge() {
        let mut budget = ChallengeBudget::new(1, [3; 16]);
        let at = Instant::from_millis;
        while budget.take(at(700)) {}
        assert!((0..9).all(|_| !budget.take(at(1699))));
        // Some of the next intervals allow one.
        assert!((2..40).any(|second| budget.take(at(second * 1000))));
        let mut never = ChallengeBudget::new(0, [3; 16]);
        assert!((0..40).all(|second| !never.take(at(second * 1000))));
    }
}
