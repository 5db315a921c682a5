//! `woshou demo`, as a user runs it.

use std::process::{Command, Output};

fn demo(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_woshou"))
        .arg("demo")
        .args(args)
        .output()
        .expect("it runs")
}

fn text(args: &[&str]) -> String {
    let output = demo(args);
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

const SCENARIOS: [&str; 10] = [
    "classic",
    "transfer",
    "loss",
    "reorder",
    "simultaneous-open",
    "simultaneous-close",
    "half-close",
    "refused",
    "reset",
    "zero-window",
];

#[test]
fn the_handshake_is_the_well_known_one() {
    let out = text(&["--format", "tcpdump"]);
    let mut lines = out.lines();
    for begins in [
        "IP 192.168.1.116.3337 > 192.168.1.123.7788: S 3626544836:3626544836",
        "IP 192.168.1.123.7788 > 192.168.1.116.3337: S 1739326486:1739326486 ack 3626544837",
        "IP 192.168.1.116.3337 > 192.168.1.123.7788: ack 1739326487",
    ] {
        let line = lines.next().expect("a line");
        assert!(line.starts_with(begins), "{line}");
    }
}

#[test]
fn the_ladder_shows_every_state_of_both_ends() {
    let out = text(&[]);
    for state in [
        "CLOSED",
        "LISTEN",
        "SYN-SENT",
        "SYN-RECEIVED",
        "ESTABLISHED",
        "FIN-WAIT-1",
        "FIN-WAIT-2",
        "CLOSE-WAIT",
        "LAST-ACK",
        "TIME-WAIT",
    ] {
        assert!(out.contains(state), "{state}");
    }
    assert!(!out.contains('\x1b'), "plain in a pipe");
}

#[test]
fn every_scenario_fits_the_page_and_repeats_itself() {
    for scenario in SCENARIOS {
        for lang in ["en", "zh"] {
            let args = [scenario, "--seed", "7", "--lang", lang];
            let out = text(&args);
            assert_eq!(out, text(&args), "{scenario}: same seed, same output");
            for line in out.lines() {
                // Chinese characters are two columns wide; the trace crate's own tests measure columns.
                assert!(line.chars().count() <= 100, "{scenario}: {line}");
            }
        }
    }
    assert_ne!(
        text(&["loss", "--seed", "1"]),
        text(&["loss", "--seed", "2"])
    );
}

#[test]
fn json_is_an_object_a_line() {
    for line in text(&["loss", "--format", "json"]).lines() {
        let value: serde_json::Value = serde_json::from_str(line).expect(line);
        assert!(value.is_object(), "{line}");
    }
}

#[test]
fn files_are_written_beside_the_text() {
    let folder = std::env::temp_dir().join(format!("woshou-demo-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (pcap, svg) = (folder.join("d.pcapng"), folder.join("d.svg"));
    let out = text(&[
        "reset",
        "--pcap",
        pcap.to_str().unwrap(),
        "--svg",
        svg.to_str().unwrap(),
    ]);
    assert!(out.contains("RST"));
    let pcap = std::fs::read(&pcap).unwrap();
    assert_eq!(
        pcap[..4],
        [0x0a, 0x0d, 0x0d, 0x0a],
        "a section header block"
    );
    assert!(std::fs::read_to_string(&svg).unwrap().starts_with("<svg"));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_picture_of_the_readme_is_what_the_demo_draws() {
    let folder = std::env::temp_dir().join(format!("woshou-picture-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let svg = folder.join("classic.svg");
    text(&["--svg", svg.to_str().unwrap()]);
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/images/classic.svg");
    let same = std::fs::read_to_string(kept).ok() == std::fs::read_to_string(&svg).ok();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(
        same,
        "draw it again: cargo run --release -- demo --svg docs/images/classic.svg"
    );
}

#[test]
fn bad_arguments_are_one_clear_line() {
    let cases: [(&[&str], i32, &str); 4] = [
        (&["nope"], 2, "classic, transfer"),
        (&["--seed", "x"], 2, "--seed"),
        (&["--lang", "fr"], 2, "en"),
        (&["--pcap", "/nonexistent/x"], 1, "/nonexistent/x"),
    ];
    for (args, status, says) in cases {
        let output = demo(args);
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {err}");
        assert!(err.contains(says), "{args:?}: {err}");
        assert!(!err.contains("panicked"), "{err}");
    }
}
