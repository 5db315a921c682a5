//! The search for the largest segment that a path carries, where no router tells (PLPMTUD: RFC 4821, RFC 8899).
//!
//! Sizes are in octets of text without TCP options, as an MSS option counts them. A connection has a search only from the
//! first suspicion on, and until it sends as much as its link carries again.

use core::time::Duration;

use crate::seq::SeqNum;
use crate::time::Instant;

/// Probes of one size that must be lost before the size counts as too large: one may be lost by congestion
/// (MAX_PROBES, RFC 8899 section 5.1.2).
const MAX_PROBES: u8 = 3;
/// Sizes closer than this are not told apart, octets.
const STEP: u16 = 8;

/// A probe in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    /// Its first octet.
    pub(crate) start: SeqNum,
    /// After its last.
    pub(crate) end: SeqNum,
    /// What it tries.
    pub(crate) size: u16,
}

/// A search between what passes and what does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MtuSearch {
    /// The largest size believed to pass: segments are cut to it.
    low: u16,
    /// The least size believed not to pass, or one more than the largest allowed.
    high: u16,
    /// To be tried before any other.
    first: Option<u16>,
    /// Probes of the present size that were lost.
    failures: u8,
    flying: Option<Probe>,
    /// No probe leaves before.
    not_before: Instant,
}

impl MtuSearch {
    /// Segments are cut to `low`; `first` is tried at once, and nothing above `ceiling` ever.
    pub(crate) fn new(low: u16, first: u16, ceiling: u16) -> Self {
        Self {
            low,
            high: ceiling.saturating_add(1),
            first: Some(first.min(ceiling)).filter(|&size| size > low),
            failures: 0,
            flying: None,
            not_before: Instant::ZERO,
        }
    }

    /// What segments are cut to.
    pub(crate) const fn low(&self) -> u16 {
        self.low
    }

    /// Whether there is nothing more to find below `ceiling`.
    pub(crate) const fn is_over(&self, ceiling: u16) -> bool {
        self.low >= ceiling
    }

    /// The probe in the network.
    pub(crate) const fn flying(&self) -> Option<Probe> {
        self.flying
    }

    /// The size to try next; `None`: a probe flies, or it is too early.
    pub(crate) fn candidate(&self, now: Instant, ceiling: u16) -> Option<u16> {
        if self.flying.is_some() || now < self.not_before {
            return None;
        }
        if self.is_settled() {
            // The last search is long ago: the path may have changed (RFC 4821 section 7.4).
            return Some(ceiling).filter(|&size| size > self.low);
        }
        Some(self.first.unwrap_or(self.low.midpoint(self.high)))
    }

    const fn is_settled(&self) -> bool {
        self.first.is_none() && self.high.saturating_sub(self.low) <= STEP
    }

    /// What the search has found, once it is over.
    pub(crate) fn found(&self) -> Option<u16> {
        self.is_settled().then_some(self.low)
    }

    /// A probe left.
    pub(crate) fn on_sent(&mut self, probe: Probe) {
        if self.is_settled() {
            self.high = probe.size.saturating_add(1);
            self.first = Some(probe.size);
        }
        self.flying = Some(probe);
    }

    /// It arrived. `again_after`: until the next search, when this one is over.
    pub(crate) fn on_success(&mut self, now: Instant, again_after: Duration) {
        if let Some(probe) = self.flying.take() {
            self.low = self.low.max(probe.size);
            self.decided(now, again_after);
        }
    }

    /// It was lost.
    pub(crate) fn on_failure(&mut self, now: Instant, again_after: Duration) {
        let Some(probe) = self.flying.take() else {
            return;
        };
        self.failures += 1;
        if self.failures >= MAX_PROBES {
            self.high = self.high.min(probe.size);
            self.decided(now, again_after);
        }
    }

    fn decided(&mut self, now: Instant, again_after: Duration) {
        self.failures = 0;
        self.first = None;
        if self.is_settled() {
            self.not_before = now + again_after;
        }
    }

    /// Nobody knows what became of it: the timer fired with other losses before it.
    pub(crate) fn forget(&mut self) {
        self.flying = None;
    }

    /// It was congestion that lost what made it fall: back to what passed before.
    pub(crate) fn stand_up(&mut self) {
        if let Some(first) = self.first.take() {
            self.low = first;
        }
    }

    /// What passed does not pass any more: down to `base`, and from there to where it was, or to what is left below
    /// what was found too large (RFC 4821 section 7.7).
    pub(crate) fn fall(&mut self, base: u16) {
        *self = Self {
            first: Some(self.low),
            low: base,
            failures: 0,
            flying: None,
            not_before: Instant::ZERO,
            high: self.high.max(self.low.saturating_add(1)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LATER: Duration = Duration::from_secs(600);
    const NOW: Instant = Instant::from_millis(1000);

    /// Searches on a path that carries `truth`; what was tried, in order, and what was found.
    fn search(
        search: &mut MtuSearch,
        now: Instant,
        ceiling: u16,
        truth: u16,
    ) -> alloc::vec::Vec<u16> {
        let mut tried = alloc::vec::Vec::new();
        while let Some(size) = search.candidate(now, ceiling) {
            assert!(size > search.low() && size <= ceiling);
            tried.push(size);
            let (start, end) = (SeqNum(u32::MAX), SeqNum(u32::from(size)));
            search.on_sent(Probe { start, end, size });
            assert_eq!(search.candidate(now, ceiling), None, "one at a time");
            if size <= truth {
                search.on_success(now, LATER);
            } else {
                search.on_failure(now, LATER);
            }
        }
        tried
    }

    #[test]
    fn back_to_the_full_size_in_one_probe() {
        let mut it = MtuSearch::new(1024, 1460, 1460);
        assert_eq!(search(&mut it, NOW, 1460, 1460), [1460]);
        assert!(it.is_over(1460));
    }

    #[test]
    fn finds_what_a_tunnel_leaves_and_looks_again_later() {
        let mut it = MtuSearch::new(1024, 1460, 1460);
        let tried = search(&mut it, NOW, 1460, 1240);
        assert_eq!(tried[..4], [1460, 1460, 1460, 1242]);
        assert_eq!(it.low(), 1235);
        assert!(!it.is_over(1460));
        assert_eq!(
            it.candidate(NOW + (LATER - Duration::from_nanos(1)), 1460),
            None
        );
        // The path has become whole.
        assert_eq!(search(&mut it, NOW + LATER, 1460, 1460), [1460]);
        assert!(it.is_over(1460));
    }

    #[test]
    fn one_lost_probe_decides_nothing() {
        let mut it = MtuSearch::new(1024, 1460, 1460);
        for expected in [1460, 1460] {
            assert_eq!(it.candidate(NOW, 1460), Some(expected));
            let (start, end) = (SeqNum(0), SeqNum(9));
            it.on_sent(Probe {
                start,
                end,
                size: expected,
            });
            it.on_failure(NOW, LATER);
        }
        assert_eq!(search(&mut it, NOW, 1460, 1460), [1460]);
        assert!(it.is_over(1460));
    }

    #[test]
    fn after_a_fall_what_was_found_before_comes_first() {
        let mut it = MtuSearch::new(1024, 1460, 1460);
        search(&mut it, NOW, 1460, 1240);
        let found = it.low();
        it.fall(1024);
        assert_eq!(it.low(), 1024);
        let tried = search(&mut it, NOW, 1460, 1240);
        assert_eq!(tried, [found], "and not again what was too large");
    }

    proptest! {
        /// Whatever the path carries, the search ends, close below it, and soon.
        #[test]
        fn ends_close_below(base in 88u16..1220, truth in 0u16..9000, ceiling in 0u16..9000) {
            let truth = truth.max(base);
            let ceiling = ceiling.max(base);
            let mut it = MtuSearch::new(base, ceiling, ceiling);
            let tried = search(&mut it, NOW, ceiling, truth);
            prop_assert!(tried.len() <= 3 * 12, "{}", tried.len());
            prop_assert!(it.low() <= truth.min(ceiling).max(base));
            prop_assert!(it.low() + STEP >= truth.min(ceiling), "{} of {}", it.low(), truth);
        }
    }
}
