use roxmltree::Document;

use super::{Options, Tracks, Undrawable, svg};
use crate::scene::{ACK, Scene, X, Y, header, trouble};
use woshou_tcp::{Reason, TraceEvent};
use woshou_wire::tcp_option::SackBlock;

fn texts(picture: &str) -> Vec<String> {
    let document = Document::parse(picture).expect("well-formed");
    let all = document.descendants().filter(|n| n.has_tag_name("text"));
    all.map(|n| n.text().unwrap_or("").trim().to_owned())
        .collect()
}

#[test]
fn the_picture_names_what_happened() {
    let mut scene = trouble();
    let mut header = header(ACK, Y + 1, X + 1461);
    let (left, right) = (X + 1 + 2 * 1460, X + 1 + 5 * 1460);
    header.options.sack.push(SackBlock { left, right });
    scene.tcp(60_600, 0, TraceEvent::Received { header, len: 0 });
    let tracks = Tracks::of(&scene.t);
    let options = Options {
        title: "a < b & c".to_owned(),
        subtitle: "1 % loss".to_owned(),
        ..Options::default()
    };
    let picture = svg(&tracks, &options).unwrap();
    let texts = texts(&picture);
    for words in [
        "a < b & c",
        "1 % loss",
        "congestion window, octets",
        "round-trip time, ms",
        "goodput, Mbit/s",
        "flow 1: sequence number, octets",
        "new data",
        "fast retransmit",
        "timeout (RTO)",
        "SACK",
        "acknowledged",
        "lost by the network",
        "lost on the way",
        "0.05 s",
    ] {
        assert!(texts.iter().any(|t| t == words), "{words:?} in {texts:?}");
    }
    for absent in ["tail loss probe", "D-SACK", "dropped", "marked (ECN)"] {
        assert!(!texts.iter().any(|t| t == absent), "{absent:?}");
    }
    let same = svg(&Tracks::of(&scene.t), &options).unwrap();
    assert_eq!(picture, same, "the same octets");
}

#[test]
fn a_window_shows_a_part() {
    let tracks = Tracks::of(&trouble().t);
    let part = Options {
        window: Some((0.2, 0.3)),
        ..Options::default()
    };
    let texts = texts(&svg(&tracks, &part).unwrap());
    assert!(texts.iter().any(|t| t == "timeout (RTO)"), "{texts:?}");
    assert!(!texts.iter().any(|t| t == "fast retransmit"), "{texts:?}");
}

#[test]
fn flows_are_called_by_their_labels() {
    let mut scene = Scene::new("10.0.0.1:1", "10.0.0.2:2");
    scene.shake_hands();
    let data = header(ACK, X + 1, Y + 1);
    scene.send(40_000, 0, data, 1000, Reason::Data);
    let data = header(ACK, Y + 1, X + 1);
    scene.send(50_000, 1, data, 1000, Reason::Data);
    let mut tracks = Tracks::of(&scene.t);
    tracks.label(&scene.who(1), "the answer");
    let options = Options {
        flow: 1,
        ..Options::default()
    };
    let texts = texts(&svg(&tracks, &options).unwrap());
    for words in ["flow 1", "the answer (2 of 2): sequence number, octets"] {
        assert!(texts.iter().any(|t| t == words), "{words:?} in {texts:?}");
    }
}

#[test]
fn what_cannot_be_drawn_is_said() {
    let tracks = Tracks::of(&trouble().t);
    for (tracks, options, says) in [
        (&Tracks::new(), Options::default(), "nothing was sent"),
        (
            &tracks,
            Options {
                flow: 1,
                ..Options::default()
            },
            "there is no flow 2, only 1",
        ),
        (
            &tracks,
            Options {
                window: Some((2.0, 1.0)),
                ..Options::default()
            },
            "no time",
        ),
        (
            &tracks,
            Options {
                window: Some((0.0, f64::NAN)),
                ..Options::default()
            },
            "no time",
        ),
    ] {
        let error: Undrawable = svg(tracks, &options).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}
