//! HyStart++ (RFC 9406): CUBIC leaves standard slow start before the queue overflows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use woshou_sim::{Experiment, Figures, Flow, QueueSize};
use woshou_tcp::Instant;
use woshou_tcp::congestion::{
    AckSample, CongestionControl, CongestionFactory, Cubic, LostText, SentText, Trouble,
};

/// When each phase of slow start began, and the first loss was noticed.
type Log = Arc<Mutex<BTreeMap<&'static str, Instant>>>;

/// CUBIC, watched.
#[derive(Debug)]
struct Watched {
    inner: Box<dyn CongestionControl>,
    log: Log,
}

#[derive(Debug)]
struct Factory {
    inner: Arc<dyn CongestionFactory>,
    log: Log,
}

impl CongestionFactory for Factory {
    fn make(&self, mss: u32, initial_window: u64) -> Box<dyn CongestionControl> {
        Box::new(Watched {
            inner: self.inner.make(mss, initial_window),
            log: Arc::clone(&self.log),
        })
    }

    fn name(&self) -> &'static str {
        "cubic"
    }
}

impl Watched {
    fn note(&self, what: &'static str, now: Instant) {
        self.log
            .lock()
            .expect("nobody panicked")
            .entry(what)
            .or_insert(now);
    }
}

impl CongestionControl for Watched {
    fn on_ack(&mut self, sample: &AckSample) {
        self.inner.on_ack(sample);
        self.note(self.inner.phase(), sample.now);
    }

    fn on_trouble(&mut self, now: Instant, trouble: Trouble, in_flight: u64) {
        self.inner.on_trouble(now, trouble, in_flight);
    }

    fn on_recovered(&mut self, now: Instant) {
        self.inner.on_recovered(now);
    }

    fn undo(&mut self, now: Instant) {
        self.inner.undo(now);
    }

    fn on_sent(&mut self, sent: &SentText) {
        self.inner.on_sent(sent);
    }

    fn on_lost(&mut self, now: Instant, lost: &LostText) {
        self.note("loss", now);
        self.inner.on_lost(now, lost);
    }

    fn set_mss(&mut self, mss: u32) {
        self.inner.set_mss(mss);
    }

    fn window(&self) -> u64 {
        self.inner.window()
    }

    fn threshold(&self) -> u64 {
        self.inner.threshold()
    }

    fn name(&self) -> &'static str {
        "cubic"
    }
}

/// The first five seconds over a queue of so many bandwidth-delay products.
fn start(
    (megabits, round_trip, queue): (u64, u64, f64),
    inner: impl CongestionFactory + 'static,
) -> (Figures, BTreeMap<&'static str, Instant>) {
    let log = Log::default();
    let factory = Factory {
        inner: Arc::new(inner),
        log: Arc::clone(&log),
    };
    let experiment = Experiment {
        queue: QueueSize::Bdp(queue),
        ..Experiment::new(megabits * 1_000_000, Duration::from_millis(round_trip))
    };
    let experiment = experiment
        .with_flow(Flow::of_own(Arc::new(factory)))
        .lasting(Duration::from_secs(5));
    let figures = experiment.run(1).figures;
    let log = log.lock().expect("nobody panicked").clone();
    (figures, log)
}

/// A queue shows in the least round trip of a round only when a whole round was sent into it: the window has doubled twice since
/// the link was full. Where the queue holds that, slow start is left before it overflows; where it holds one window, no more is
/// lost than without (decision 015).
#[test]
fn slow_start_is_left_before_the_queue_overflows() {
    for (megabits, round_trip) in [(10, 100), (50, 40), (100, 100)] {
        for (queue, in_time) in [(4.0, true), (1.0, false)] {
            let path = (megabits, round_trip, queue);
            let (careful, log) = start(path, Cubic::factory());
            let (plain, without) = start(path, Cubic::factory_without_hystart());
            let conservative = "conservative slow start";
            assert!(!without.contains_key(conservative));
            let left = log[conservative];
            // A packet that was dropped is missed when the full queue before it has passed and its round trip is over.
            let full = Duration::from_millis(round_trip).mul_f64(queue + 1.0);
            let overflowed = log["loss"];
            assert_eq!(left + full < overflowed, in_time, "{path:?}: {log:?}");
            let resent = |figures: &Figures| figures.flows[0].retransmitted_segments;
            let (careful, plain) = (resent(&careful), resent(&plain));
            let least = if in_time { plain / 2 } else { plain };
            assert!(careful <= least, "{path:?}: {careful} against {plain}");
        }
    }
}
