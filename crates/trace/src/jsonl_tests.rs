use serde_json::Value;
use woshou_tcp::{Ended, Reason};

use super::*;
use crate::scene::{classic, trouble};

fn parsed(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn fields_keep_their_order() {
    let lines = text(&classic().t, Lang::En);
    let expected = [
        r#"{"kind":"host","name":"client","addresses":["192.168.1.116"]}"#,
        r#"{"kind":"host","name":"server","addresses":["192.168.1.123"]}"#,
        r#"{"time_ns":0,"kind":"state","host":"client","local":"192.168.1.116:3337","remote":"192.168.1.123:7788","from":"CLOSED","to":"SYN-SENT","event":"active-open"}"#,
        r#"{"time_ns":0,"kind":"sent","host":"client","local":"192.168.1.116:3337","remote":"192.168.1.123:7788","flags":"SYN","seq":3626544836,"ack":null,"window":65535,"len":0,"mss":1460,"window_scale":7,"sack_permitted":true,"timestamp":[1,0],"reason":"open","why":"open: own ISN, options offered"}"#,
        r#"{"time_ns":0,"kind":"left","packet":1,"host":"client","octets":60,"source":"192.168.1.116:3337","destination":"192.168.1.123:7788","flags":"SYN","seq":3626544836,"ack":null,"window":65535,"len":0,"mss":1460,"window_scale":7,"sack_permitted":true,"timestamp":[1,0]}"#,
        r#"{"time_ns":10000000,"kind":"arrived","packet":1,"host":"server"}"#,
    ];
    for (line, expected) in lines.lines().zip(expected) {
        assert_eq!(line, expected);
    }
}

#[test]
fn every_record_parses_back_and_kinds_match() {
    let scene = trouble();
    let values = parsed(&text(&scene.t, Lang::Zh));
    assert_eq!(
        values.len(),
        scene.t.hosts().len() + scene.t.records().len()
    );
    let find = |kind: &str| values.iter().find(|v| v["kind"] == kind).unwrap();
    assert_eq!(
        (&find("lost")["fate"], &find("lost")["why"]),
        (&"loss".into(), &"丢失".into())
    );
    assert_eq!(find("duplicated")["packet"], 7);
    assert_eq!(find("refused")["refusal"], "outside-window");
    assert_eq!(find("timer")["timer"], "retransmission");
    let sack = values.iter().find(|v| v["sack"].is_array()).unwrap();
    assert_eq!(
        sack["sack"][0][1].as_u64().unwrap(),
        u64::from(crate::scene::X) + 1 + 7300
    );
}

#[test]
fn numbers_of_the_estimators_are_there() {
    let mut scene = classic();
    let rtt = std::time::Duration::from_millis(20);
    scene.tcp(
        1,
        0,
        TraceEvent::RttMeasured {
            sample: rtt,
            srtt: rtt,
            rttvar: rtt / 2,
            rto: rtt * 3,
        },
    );
    let unset = u64::MAX;
    let window = TraceEvent::Congestion {
        cwnd: 14600,
        ssthresh: unset,
        in_flight: 5,
        recovery: true,
        pacing_rate: None,
        phase: "slow start",
    };
    scene.tcp(1, 0, window);
    scene.tcp(
        1,
        0,
        TraceEvent::Ended {
            reason: Ended::TimedOut(None),
        },
    );
    let values = parsed(&text(&scene.t, Lang::En));
    let find = |kind: &str| values.iter().find(|v| v["kind"] == kind).unwrap();
    assert_eq!(find("rtt")["rto_ns"], 60_000_000);
    assert!(find("congestion")["ssthresh"].is_null() && find("congestion")["cwnd"] == 14600);
    assert_eq!(find("ended")["reason"], "timed-out");
    assert_eq!(code(Reason::FastRetransmit), "fast-retransmit");
}
