//! Where events go while things run: a [`Timeline`] behind a lock, shared by every host and the wire.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use woshou_tcp::{Endpoints, Instant, Observer, TraceEvent};

use crate::timeline::{Fate, HostId, PacketId, Timeline};

/// Collects a [`Timeline`]. Clones share it; cheap to clone, may be used from any thread.
#[derive(Clone, Debug, Default)]
pub struct Sink(Arc<Mutex<Timeline>>);

impl Sink {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One that keeps at most `records` records (about 200 octets each, and the packets); later ones are counted.
    #[must_use]
    pub fn bounded(records: usize) -> Self {
        Self(Arc::new(Mutex::new(Timeline::bounded(records))))
    }

    /// Registers a host; the first one is drawn on the left.
    pub fn host(&self, name: &str, addresses: &[IpAddr]) -> HostId {
        self.lock().host(name, addresses)
    }

    /// A watcher to hand to the stack of `host`.
    #[must_use]
    pub fn observer(&self, host: HostId) -> Box<dyn Observer + Send> {
        Box::new(Watcher {
            sink: self.clone(),
            host,
        })
    }

    /// See [`Timeline::left`].
    pub fn left(&self, now: Instant, packet: PacketId, from: HostId, octets: &[u8]) {
        self.lock().left(now, packet, from, octets);
    }

    /// See [`Timeline::arrived`].
    pub fn arrived(&self, now: Instant, packet: PacketId, to: HostId) {
        self.lock().arrived(now, packet, to);
    }

    /// See [`Timeline::lost`].
    pub fn lost(&self, now: Instant, packet: PacketId, why: Fate) {
        self.lock().lost(now, packet, why);
    }

    /// See [`Timeline::duplicated`].
    pub fn duplicated(&self, now: Instant, packet: PacketId, copy: PacketId) {
        self.lock().duplicated(now, packet, copy);
    }

    /// A copy of what was collected so far.
    #[must_use]
    pub fn timeline(&self) -> Timeline {
        self.lock().clone()
    }

    /// Takes what was collected so far. Hosts stay registered: what follows is collected anew.
    #[must_use]
    pub fn take(&self) -> Timeline {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Timeline> {
        // A panic elsewhere cannot leave a Vec half pushed: what was collected is still good to look at.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One host's way into a [`Sink`].
struct Watcher {
    sink: Sink,
    host: HostId,
}

impl Observer for Watcher {
    fn observe(&mut self, now: Instant, who: &Endpoints, event: &TraceEvent) {
        self.sink.lock().tcp(now, self.host, who, *event);
    }
}

#[cfg(test)]
mod tests {
    use super::Sink;
    use crate::timeline::What;
    use woshou_tcp::event::Timer;
    use woshou_tcp::{Endpoints, Instant, TraceEvent};

    #[test]
    fn observers_of_other_threads_write_into_one_timeline() {
        let sink = Sink::new();
        let host = sink.host("woshou", &[]);
        let mut observer = sink.observer(host);
        let who = Endpoints {
            local: "10.0.0.1:80".parse().unwrap(),
            remote: "10.0.0.2:9".parse().unwrap(),
        };
        let event = TraceEvent::TimerFired {
            timer: Timer::Persist,
        };
        std::thread::spawn(move || observer.observe(Instant::from_millis(7), &who, &event))
            .join()
            .unwrap();
        let timeline = sink.take();
        assert_eq!(timeline.records().len(), 1);
        assert_eq!(timeline.records()[0].what, What::Tcp { host, who, event });
        assert!(sink.timeline().records().is_empty());
    }
}
