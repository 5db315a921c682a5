//! Chance that can be replayed, for `chaos` and `hostile`.

use std::string::String;

/// SplitMix64: small, and the same everywhere.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `0 .. n`, or 0.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub(super) fn size(&mut self, n: usize) -> usize {
        self.below(n as u64) as usize
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.size(from.len())]
    }
}

/// Runs `one` for many seeds; names the seed that fails. `{name}_SEED=n` replays one, `{name}_SEEDS=n` runs so many.
pub(super) fn for_seeds(name: &str, count: u64, one: fn(u64)) {
    let number = |suffix| {
        let variable: String = std::format!("{name}_{suffix}");
        std::env::var(variable)
            .ok()
            .and_then(|n| n.parse::<u64>().ok())
    };
    if let Some(seed) = number("SEED") {
        return one(seed);
    }
    for seed in 0..number("SEEDS").unwrap_or(count) {
        if std::panic::catch_unwind(|| one(seed)).is_err() {
            panic!("seed {seed} failed: replay it with {name}_SEED={seed}");
        }
    }
}
