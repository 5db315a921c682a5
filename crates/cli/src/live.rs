//! `--trace`: what TCP does, as it does it, on standard error.

use std::io::Write as _;

use woshou_tcp::{Endpoints, Instant, Observer, TraceEvent};
use woshou_trace::{Lang, Timeline, tcpdump};

use crate::capture::Capture;

/// Tells the terminal and the capture what happens inside TCP.
pub(crate) struct Watch {
    print: bool,
    capture: Option<Capture>,
    start: Option<Instant>,
}

impl Watch {
    /// `None` when nobody wants to know.
    pub(crate) fn new(print: bool, capture: Option<Capture>) -> Option<Self> {
        (print || capture.is_some()).then_some(Self {
            print,
            capture,
            start: None,
        })
    }
}

impl Observer for Watch {
    fn observe(&mut self, now: Instant, who: &Endpoints, event: &TraceEvent) {
        if let Some(capture) = &self.capture {
            capture.observe(who, event);
        }
        if self.print {
            let start = *self.start.get_or_insert(now);
            let since = Instant::ZERO + now.since(start);
            if let Some(line) = line(since, who, event) {
                // Standard error may be closed; the transfer goes on.
                let _ = writeln!(std::io::stderr(), "{line}");
            }
        }
    }
}

/// One line about `event`: segments in tcpdump's style with the reason behind, the rest in words.
fn line(now: Instant, who: &Endpoints, event: &TraceEvent) -> Option<String> {
    let lang = Lang::En;
    let told = match event {
        TraceEvent::Sent { reason, .. } => {
            return Some(format!(
                "{}  ; {}",
                segment(now, who, event),
                lang.reason(*reason)
            ));
        }
        TraceEvent::Received { .. } => return Some(segment(now, who, event)),
        TraceEvent::StateChanged { from, to, event } => {
            format!("{from} -> {to}: {}", lang.event(*event))
        }
        TraceEvent::Refused { refusal } => format!("refused: {}", lang.refusal(*refusal)),
        TraceEvent::TimerFired { timer } => format!("timer: {}", lang.timer(*timer)),
        TraceEvent::Congestion {
            cwnd,
            ssthresh,
            in_flight,
            recovery,
            phase,
            ..
        } => {
            let threshold = if *ssthresh == u64::MAX {
                "none".into()
            } else {
                ssthresh.to_string()
            };
            let recovery = if *recovery { ", repairing" } else { "" };
            format!("cwnd {cwnd}, ssthresh {threshold}, in flight {in_flight}{recovery}; {phase}")
        }
        TraceEvent::Lost {
            start,
            octets,
            reason,
        } => format!("lost: {octets} from {start}: {}", lang.reason(*reason)),
        TraceEvent::Undone { by } => format!("undone: {}", lang.false_alarm(*by)),
        TraceEvent::Ended { reason } => format!("ended: {}", lang.ended(*reason)),
        _ => return None,
    };
    Some(format!("{now} {} - {}: {told}", who.local, who.remote))
}

fn segment(now: Instant, who: &Endpoints, event: &TraceEvent) -> String {
    let mut one = Timeline::new();
    let host = one.host("woshou", &[who.local.ip()]);
    one.tcp(now, host, who, *event);
    let options = tcpdump::Options {
        timestamps: true,
        absolute: true,
    };
    tcpdump::text(&one, &options).trim_end().to_owned()
}
