use roxmltree::{Document, Node};
use woshou_tcp::{Flags, Reason};

use super::*;
use crate::scene::{Scene, classic, trouble};
use crate::words::Lang;

fn number(node: Node<'_, '_>, name: &str) -> f64 {
    node.attribute(name)
        .and_then(|v| v.parse().ok())
        .unwrap_or(f64::NAN)
}

fn texts(document: &Document<'_>) -> Vec<String> {
    let all = document.descendants().filter(|n| n.has_tag_name("text"));
    all.map(|n| n.text().unwrap_or("").to_owned()).collect()
}

#[test]
fn the_picture_is_well_formed_and_says_what_the_text_says() {
    let options = Options::default();
    let picture = svg(&classic().t, &options);
    let document = Document::parse(&picture).unwrap();
    let texts = texts(&document);
    for words in [
        "client",
        "192.168.1.123:7788",
        "SYN  seq 3626544836  win 65535",
        "the third: both numbers agreed",
        "TIME-WAIT",
        "2 MSL timer",
        "60080.000",
    ] {
        assert!(texts.iter().any(|t| t == words), "{words:?} in {texts:?}");
    }
    let badges = document
        .descendants()
        .filter(|n| n.attribute("rx") == Some("9"))
        .count();
    assert_eq!(badges, 13, "two at the top, and eleven changes");
}

#[test]
fn arrows_never_point_upward_and_stay_in_the_picture() {
    for scene in [classic(), trouble()] {
        let picture = svg(&scene.t, &Options::default());
        let document = Document::parse(&picture).unwrap();
        let height = number(document.root_element(), "height");
        let lines: Vec<_> = document
            .descendants()
            .filter(|n| n.has_tag_name("line"))
            .collect();
        assert!(lines.len() > 10);
        for line in lines {
            let (y1, y2) = (number(line, "y1"), number(line, "y2"));
            assert!(
                y1 >= HEAD && y1 <= y2 && y2 < height,
                "{y1} to {y2} of {height}"
            );
            if number(line, "x1") != number(line, "x2") {
                assert!(y2 - y1 >= 24.0, "an arrow takes time: {y1} to {y2}");
            }
        }
    }
}

#[test]
fn losses_have_a_cross_and_fall_short() {
    let picture = svg(&trouble().t, &Options::default());
    let document = Document::parse(&picture).unwrap();
    let red = |n: &Node<'_, '_>| n.attribute("stroke") == Some("#dc2626");
    let crosses = document
        .descendants()
        .filter(|n| n.has_tag_name("path") && red(n))
        .count();
    let short: Vec<f64> = document
        .descendants()
        .filter(|n| n.has_tag_name("line") && red(n))
        .map(|n| number(n, "x2"))
        .collect();
    assert_eq!((crosses, short.len()), (2, 2));
    assert!(short.iter().all(|x| *x < RIGHT - 100.0), "{short:?}");
}

#[test]
fn the_same_timeline_gives_the_same_octets_in_both_languages() {
    for lang in [Lang::En, Lang::Zh] {
        let options = Options {
            lang,
            ..Options::default()
        };
        assert_eq!(svg(&trouble().t, &options), svg(&trouble().t, &options));
    }
}

#[test]
fn names_are_escaped() {
    let mut scene = Scene::new("10.0.0.1:1", "10.0.0.2:2");
    scene.t = Timeline::new();
    scene.t.host("<&\"\u{1}>", &[scene.ends[0].ip()]);
    scene.shake_hands();
    let picture = svg(&scene.t, &Options::default());
    let document = Document::parse(&picture).unwrap();
    assert!(texts(&document).iter().any(|t| t == "<&\" >"));
}

#[test]
fn what_brief_leaves_out_is_counted_beside_the_sender() {
    let mut scene = Scene::new("10.0.0.1:1", "10.0.0.2:2");
    scene.shake_hands();
    for n in 0..9_u32 {
        let data = crate::scene::header(Flags::ACK, crate::scene::X + 1 + n, crate::scene::Y + 1);
        let packet = scene.send(40_000, 0, data, 1, Reason::Data);
        scene.arrive(50_000, 1, packet);
    }
    let picture = svg(
        &scene.t,
        &Options {
            brief: Some(2),
            ..Options::default()
        },
    );
    let document = Document::parse(&picture).unwrap();
    let words = "… 7 more segments, 7 octets …";
    let counted = document
        .descendants()
        .find(|n| n.text() == Some(words))
        .unwrap();
    assert_eq!(counted.attribute("text-anchor"), Some("start"));
    assert_eq!(
        texts(&document)
            .iter()
            .filter(|t| t.contains("len 1"))
            .count(),
        2
    );
}

#[test]
fn a_long_wait_is_cut_but_never_through_an_arrow() {
    let cuts = |scene: &Scene| svg(&scene.t, &Options::default()).matches(" ms ⋯").count();
    let mut scene = Scene::new("10.0.0.1:1", "10.0.0.2:2");
    scene.shake_hands();
    let data = crate::scene::header(Flags::ACK, crate::scene::X + 1, crate::scene::Y + 1);
    let slow = scene.send(40_000, 0, data, 1, Reason::Data);
    scene.arrive(440_000, 1, slow);
    assert_eq!(cuts(&scene), 0, "400 ms on the way");
    scene.send(900_000, 0, data, 1, Reason::Timeout);
    assert_eq!(cuts(&scene), 1, "460 ms of silence");
}
