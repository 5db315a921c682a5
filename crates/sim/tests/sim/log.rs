//! What happened in a world, as lines: to compare two runs, and to read when one went wrong.

use std::hash::{DefaultHasher, Hash, Hasher};

use woshou_sim::{HostId, LossCause, Sight, Watcher};
use woshou_tcp::{Endpoints, Instant, TraceEvent};

/// Hashes everything, and keeps lines when asked to.
#[derive(Default)]
pub(crate) struct Log {
    hasher: DefaultHasher,
    pub(crate) lines: Option<Vec<String>>,
}

impl Log {
    /// Keeps lines.
    pub(crate) fn verbose() -> Self {
        Self {
            lines: Some(Vec::new()),
            ..Self::default()
        }
    }

    /// Of everything so far.
    pub(crate) fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    fn wire(&mut self, what: &str, sight: &Sight<'_>) {
        (what, sight.id, sight.at, sight.octets, sight.from, sight.to).hash(&mut self.hasher);
        let trouble = sight.trouble;
        (trouble.corrupted, trouble.duplicate, trouble.held).hash(&mut self.hasher);
        if let Some(lines) = &mut self.lines {
            let (id, size) = (sight.id.0, sight.octets.len());
            let (from, to) = (sight.from.0, sight.to.0);
            lines.push(format!(
                "{} #{id} {from}>{to} {size} B {what} {trouble:?}",
                sight.at
            ));
        }
    }
}

impl Watcher for Log {
    fn left(&mut self, sight: &Sight<'_>) {
        self.wire("left", sight);
    }
    fn arrived(&mut self, sight: &Sight<'_>) {
        self.wire("arrived", sight);
    }
    fn lost(&mut self, sight: &Sight<'_>, cause: LossCause) {
        self.wire(&cause.to_string(), sight);
    }
    fn tcp(&mut self, host: HostId, now: Instant, who: &Endpoints, event: &TraceEvent) {
        let line = format!(
            "{now} host {} {}>{} {event:?}",
            host.0, who.local, who.remote
        );
        line.hash(&mut self.hasher);
        if let Some(lines) = &mut self.lines {
            lines.push(line);
        }
    }
}
