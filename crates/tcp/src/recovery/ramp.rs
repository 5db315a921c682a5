//! After a false alarm the window is what it was, but not all that it lets go leaves at once (RFC 4015 section 3.4).

/// The limit of cwnd from a false alarm on, until cwnd itself is lower; octets. It rises as in slow start, by what is delivered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ramp(Option<u64>);

impl Ramp {
    /// A false alarm was taken back: `window` is what counted until then.
    pub(crate) fn begin(&mut self, window: u64) {
        self.0 = Some(window);
    }

    /// So much may fly at once, where `window` of before is less.
    pub(crate) fn allow(&mut self, octets: u64) {
        self.0 = self.0.map(|limit| limit.max(octets));
    }

    /// An acknowledgement delivered so many octets; cwnd is `window`.
    pub(crate) fn on_delivered(&mut self, octets: u64, window: u64) {
        self.0 = self
            .0
            .map(|limit| limit.saturating_add(octets))
            .filter(|limit| *limit < window);
    }

    /// There is no limit any more: cwnd fell for another reason, or a pacer spreads what it lets go.
    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }

    /// Whether there is a limit.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// `window`, limited.
    pub(crate) fn limit(&self, window: u64) -> u64 {
        self.0.map_or(window, |limit| limit.min(window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_by_what_is_delivered_until_the_window_is_lower() {
        let mut ramp = Ramp::default();
        ramp.allow(3_000);
        assert_eq!(ramp.limit(40_000), 40_000, "no alarm was false");
        assert!(!ramp.is_on());
        ramp.begin(10_000);
        ramp.allow(9_000);
        assert_eq!(ramp.limit(40_000), 10_000, "never below what was");
        assert!(ramp.is_on());
        ramp.allow(12_000);
        assert_eq!(ramp.limit(11_000), 11_000);
        for (delivered, limit) in [(0, 12_000), (2_000, 14_000), (25_999, 39_999), (1, 99_999)] {
            ramp.on_delivered(delivered, 40_000);
            assert_eq!(ramp.limit(99_999), limit, "{delivered}");
        }
        ramp.begin(1);
        ramp.forget();
        assert_eq!(ramp.limit(5), 5);
    }
}
