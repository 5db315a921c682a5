//! The stories of the demo: each goes as it should, and shows what it is there to show.

use crate::log::Log;
use woshou_sim::scenario::{CLASSIC_ISNS, Scenario, run};
use woshou_sim::{HostId, LossCause, Outcome, Sight, Watcher};
use woshou_tcp::{Ended, Endpoints, Flags, Instant, Reason, State, TraceEvent};

/// The events of TCP, with host and time.
#[derive(Default)]
struct Events(Vec<(u32, u64, TraceEvent)>, Vec<LossCause>);

impl Watcher for Events {
    fn tcp(&mut self, host: HostId, now: Instant, _: &Endpoints, event: &TraceEvent) {
        self.0.push((host.0, now.as_millis(), *event));
    }
    fn lost(&mut self, _: &Sight<'_>, cause: LossCause) {
        self.1.push(cause);
    }
}

impl Events {
    fn of(scenario: Scenario) -> (Self, Outcome) {
        let mut events = Self::default();
        let outcome = run(scenario, 1, &mut events);
        assert_eq!(outcome.check(), Ok(()), "{scenario}");
        (events, outcome)
    }

    /// The states a host went through.
    fn states(&self, host: u32) -> Vec<State> {
        let changes = self.0.iter().filter(|event| event.0 == host);
        changes
            .filter_map(|event| match event.2 {
                TraceEvent::StateChanged { to, .. } => Some(to),
                _ => None,
            })
            .collect()
    }

    /// Flags and text of the segments sent: host, milliseconds, flags, octets.
    fn sent(&self) -> Vec<(u32, u64, Flags, u32)> {
        let sent = self.0.iter().filter_map(|&(host, at, event)| match event {
            TraceEvent::Sent { header, len, .. } => Some((host, at, header.flags, len)),
            _ => None,
        });
        sent.collect()
    }

    fn reasons(&self) -> Vec<Reason> {
        let sent = self.0.iter().filter_map(|event| match event.2 {
            TraceEvent::Sent { reason, .. } => Some(reason),
            _ => None,
        });
        sent.collect()
    }
}

#[test]
fn every_story_goes_well_whatever_the_seed() {
    for scenario in Scenario::ALL {
        for seed in (0..40).chain([u64::MAX]) {
            let outcome = run(scenario, seed, &mut ());
            assert_eq!(outcome.check(), Ok(()), "{scenario} {seed}: {outcome:?}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_log_and_another_one_another() {
    for scenario in Scenario::ALL {
        let hash = |seed| {
            let mut log = Log::default();
            run(scenario, seed, &mut log);
            log.hash()
        };
        assert_eq!(hash(1), hash(1), "{scenario}");
        assert_ne!(
            hash(1),
            hash(2),
            "{scenario}: ISNs or timestamps differ at least"
        );
    }
}

#[test]
fn names_lead_back_to_stories() {
    for scenario in Scenario::ALL {
        assert_eq!(scenario.name().parse(), Ok(scenario));
        assert!(
            !scenario.english().is_empty() && !scenario.chinese().is_ascii(),
            "{scenario}"
        );
    }
    let error = "clasic".parse::<Scenario>().unwrap_err().to_string();
    assert!(
        error.contains("clasic") && error.contains("zero-window"),
        "{error}"
    );
}

#[test]
fn classic_is_the_well_known_example() {
    use State::*;
    let (events, outcome) = Events::of(Scenario::Classic);
    assert_eq!(
        events.states(0),
        [SynSent, Established, FinWait1, FinWait2, TimeWait, Closed]
    );
    assert_eq!(
        events.states(1),
        [SynReceived, Established, CloseWait, LastAck, Closed]
    );
    let headers = events.0.iter().filter_map(|event| match event.2 {
        TraceEvent::Sent { header, .. } => Some((header.seq, header.ack)),
        _ => None,
    });
    let headers = headers.collect::<Vec<_>>();
    let [left, right] = CLASSIC_ISNS;
    assert_eq!(headers[0].0, left);
    assert_eq!(headers[1], (right, left + 1));
    assert_eq!(headers[2], (left + 1, right + 1));
    let (syn, ack, fin) = (Flags::SYN, Flags::ACK, Flags::FIN);
    let sent: Vec<_> = events
        .sent()
        .into_iter()
        .map(|(host, at, flags, len)| (host, at, flags.without(Flags::PSH), len))
        .collect();
    assert_eq!(
        sent,
        [
            (0, 0, syn, 0),
            (1, 10, syn | ack, 0),
            (0, 20, ack, 0),
            (0, 20, ack, 22),
            (1, 30, ack, 44),
            (0, 40, fin | ack, 0),
            (1, 50, ack, 0),
            (1, 50, fin | ack, 0),
            (0, 60, ack, 0),
        ]
    );
    assert_eq!(outcome.took.as_millis(), 60_060, "2 MSL after the last FIN");
    let [left, right] = outcome.sides.map(|side| side.report.endpoints.unwrap());
    assert_eq!(left.local.to_string(), "192.168.1.116:3337");
    assert_eq!(right.local.to_string(), "192.168.1.123:7788");
}

#[test]
fn simultaneous_open_and_close_cross() {
    use State::*;
    let (events, _) = Events::of(Scenario::SimultaneousOpen);
    for host in [0, 1] {
        assert_eq!(
            events.states(host)[..3],
            [SynSent, SynReceived, Established]
        );
    }
    let (events, _) = Events::of(Scenario::SimultaneousClose);
    for host in [0, 1] {
        assert!(
            events
                .states(host)
                .ends_with(&[FinWait1, Closing, TimeWait, Closed])
        );
    }
}

#[test]
fn half_close_talks_on() {
    let (events, outcome) = Events::of(Scenario::HalfClose);
    let fin_at = events
        .sent()
        .iter()
        .position(|sent| sent.0 == 0 && sent.2.fin())
        .unwrap();
    let text_after = events.sent()[fin_at..]
        .iter()
        .filter(|sent| sent.0 == 1)
        .map(|sent| sent.3)
        .sum::<u32>();
    assert_eq!(text_after, 6_000);
    assert_eq!(outcome.sides[0].report.received, 6_000);
}

#[test]
fn refused_and_reset_are_told_apart() {
    let (events, outcome) = Events::of(Scenario::Refused);
    assert_eq!(outcome.sides[0].report.ended, Some(Ended::Refused));
    assert_eq!(outcome.took.as_millis(), 20);
    assert_eq!(events.sent()[0].2, Flags::SYN);
    let (events, outcome) = Events::of(Scenario::Reset);
    assert_eq!(
        outcome.sides.map(|side| side.report.ended),
        [Some(Ended::Aborted), Some(Ended::Reset)]
    );
    assert_eq!(events.reasons().last(), Some(&Reason::Abort));
}

#[test]
fn the_zero_window_is_probed_and_opens() {
    let (events, _) = Events::of(Scenario::ZeroWindow);
    let reasons = events.reasons();
    assert!(
        reasons
            .iter()
            .filter(|&&reason| reason == Reason::WindowProbe)
            .count()
            >= 2
    );
    assert!(reasons.contains(&Reason::WindowUpdate));
}

#[test]
fn losses_are_repaired_fast_and_reordering_repairs_itself() {
    let (events, outcome) = Events::of(Scenario::Loss);
    assert!(events.1.contains(&LossCause::Listed));
    assert!(outcome.traffic.lost >= 1);
    assert!(events.reasons().contains(&Reason::FastRetransmit));
    let (events, outcome) = Events::of(Scenario::Reorder);
    assert!(outcome.traffic.held > 3);
    assert!(events.reasons().contains(&Reason::Gap));
    assert!(events.reasons().contains(&Reason::HoleFilled));
    let (events, outcome) = Events::of(Scenario::Transfer);
    assert_eq!(outcome.traffic.lost, 0);
    assert!(
        !events
            .reasons()
            .iter()
            .any(|reason| reason.is_retransmission())
    );
    assert!(events.reasons().contains(&Reason::SecondSegment));
}
