use super::*;
use crate::scene::{ACK, SYN, header, offer};
use woshou_tcp::FalseAlarm;
use woshou_wire::tcp_option::SackBlock;

const MS: fn(u64) -> Instant = Instant::from_millis;

fn who() -> Endpoints {
    Endpoints {
        local: "10.0.0.1:1".parse().unwrap(),
        remote: "10.0.0.2:2".parse().unwrap(),
    }
}

fn sent(header: Header, len: u32, reason: Reason) -> TraceEvent {
    TraceEvent::Sent {
        header,
        len,
        segment_size: None,
        reason,
    }
}

fn congestion(cwnd: u64, recovery: bool, phase: &'static str) -> TraceEvent {
    TraceEvent::Congestion {
        cwnd,
        ssthresh: u64::MAX,
        in_flight: 0,
        recovery,
        pacing_rate: Some(1000),
        phase,
    }
}

/// A connection whose numbers wrap after 100 octets, with scaled windows.
fn opened() -> Tracks {
    let mut tracks = Tracks::new();
    let isn = 0u32.wrapping_sub(101);
    let syn = Header {
        options: offer(),
        ..header(SYN, isn, 0)
    };
    let syn_ack = Header {
        options: offer(),
        ..header(SYN | ACK, 7, isn + 1)
    };
    tracks.tcp(MS(0), &who(), &sent(syn, 0, Reason::Open));
    let received = TraceEvent::Received {
        header: syn_ack,
        len: 0,
    };
    tracks.tcp(MS(1), &who(), &received);
    tracks
}

#[test]
fn places_count_on_where_numbers_wrap() {
    let mut tracks = opened();
    let first = 0u32.wrapping_sub(100);
    for n in 0..4 {
        let data = header(ACK, first.wrapping_add(n * 60), 8);
        tracks.tcp(MS(2), &who(), &sent(data, 60, Reason::Data));
    }
    let again = header(ACK, first, 8);
    tracks.tcp(MS(3), &who(), &sent(again, 60, Reason::TailLossProbe));
    let flow = tracks.senders()[0];
    let places: Vec<_> = flow.sent.iter().map(|s| (s.from, s.to, s.again)).collect();
    assert_eq!(
        places,
        [
            (1, 61, false),
            (61, 121, false),
            (121, 181, false),
            (181, 241, false),
            (1, 61, true)
        ]
    );
}

#[test]
fn acknowledgements_windows_and_blocks_are_places_too() {
    let mut tracks = opened();
    let first = 0u32.wrapping_sub(100);
    let data = header(ACK, first, 8);
    tracks.tcp(MS(2), &who(), &sent(data, 1000, Reason::Data));
    let mut ack = header(ACK, 8, first.wrapping_add(200));
    ack.window = 2;
    for (left, right) in [(0, 100), (300, 400)] {
        ack.options.sack.push(SackBlock {
            left: first.wrapping_add(left),
            right: first.wrapping_add(right),
        });
    }
    let received = TraceEvent::Received {
        header: ack,
        len: 0,
    };
    tracks.tcp(MS(3), &who(), &received);
    tracks.tcp(MS(4), &who(), &received);
    let flow = tracks.senders()[0];
    assert_eq!(flow.acked, [(MS(1), 1), (MS(3), 201)], "said once");
    // The window of a SYN is never shifted (RFC 7323 section 2.2); the scale is 7.
    assert_eq!(flow.window, [(MS(1), 1 + 65535), (MS(3), 201 + (2 << 7))]);
    let blocks: Vec<_> = flow
        .sacked
        .iter()
        .take(2)
        .map(|b| (b.from, b.to, b.duplicate))
        .collect();
    assert_eq!(blocks, [(1, 101, true), (301, 401, false)]);
}

#[test]
fn phases_and_recoveries_are_stretches_of_time() {
    let mut tracks = opened();
    for (at, recovery, phase) in [
        (2, false, "Startup"),
        (3, false, "Startup"),
        (4, true, "Drain"),
        (5, true, "Drain"),
        (6, false, "Drain"),
        (7, true, "ProbeBW"),
    ] {
        tracks.tcp(MS(at), &who(), &congestion(at, recovery, phase));
    }
    let by = FalseAlarm::Eifel;
    tracks.tcp(MS(8), &who(), &TraceEvent::Undone { by });
    let data = header(ACK, 0, 8);
    tracks.tcp(MS(9), &who(), &sent(data, 1, Reason::Data));
    let flow = tracks.senders()[0];
    let spans = |spans: &[Span]| {
        spans
            .iter()
            .map(|s| {
                (
                    s.from.as_millis(),
                    s.to.map(Instant::as_millis),
                    s.name.clone(),
                )
            })
            .collect::<Vec<_>>()
    };
    let span = |from, to, name: &str| (from, to, name.to_owned());
    assert_eq!(
        spans(&flow.phases),
        [
            span(2, Some(4), "Startup"),
            span(4, Some(7), "Drain"),
            span(7, None, "ProbeBW")
        ]
    );
    assert_eq!(
        spans(&flow.recoveries),
        [span(4, Some(6), "recovery"), span(7, None, "recovery")]
    );
    assert_eq!(flow.undone, [MS(8)]);
    assert_eq!(flow.pacing, [(MS(2), 8000)], "bits, and only changes");
}
