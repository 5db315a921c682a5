//! nmap at woshou's address.

use std::fmt::Write as _;

use crate::common::{Folder, ready, succeeds};
use crate::full;

/// Runs nmap once for each of `scans`, at the same time, and returns what each said. Port 80 is open.
fn nmap(name: &str, scans: &[&str]) -> Vec<String> {
    let folder = Folder::new(name, 10);
    let mut with = String::new();
    for (at, scan) in scans.iter().enumerate() {
        write!(
            with,
            "nmap -n -Pn --reason {scan} >scan{at} 2>&1 & p=\"$p $!\"; "
        )
        .unwrap();
    }
    with.push_str("for i in $p; do wait $i || exit 1; done");
    succeeds(&folder, &["serve", ".", "--with", &with]);
    let read = |at| std::fs::read_to_string(folder.0.join(format!("scan{at}"))).unwrap();
    (0..scans.len()).map(read).collect()
}

/// RFC 9293, 3.10.7: what a scan sees of port 79 (closed), of 80 (listening) and of 81 (closed).
const SEEN: [(&str, &str, &str, &str, &str); 5] = [
    // A closed port answers with a reset, and SYN with SYN,ACK where somebody listens.
    ("-sS", "open", "syn-ack", "closed", "reset"),
    // An ACK is reset in LISTEN as well as in CLOSED: nothing can be told.
    ("-sA", "unfiltered", "reset", "unfiltered", "reset"),
    // No ACK, no SYN: silence in LISTEN, a reset in CLOSED.
    ("-sF", "open|filtered", "no-response", "closed", "reset"),
    ("-sN", "open|filtered", "no-response", "closed", "reset"),
    ("-sX", "open|filtered", "no-response", "closed", "reset"),
];

#[test]
fn nmap_sees_the_states_that_the_rfc_gives() {
    if !ready(&["nmap"]) {
        return;
    }
    let mut scans = Vec::new();
    for (scan, ..) in SEEN {
        scans.push(format!("{scan} -p 79-81 $WOSHOU_ADDR"));
        scans.push(format!("{scan} -6 -p 79-81 $WOSHOU_ADDR6"));
    }
    let scans: Vec<_> = scans.iter().map(String::as_str).collect();
    let said = nmap("nmap", &scans);
    for (at, text) in said.iter().enumerate() {
        let (scan, open, open_why, closed, closed_why) = SEEN[at / 2];
        for (port, state, why) in [
            (79, closed, closed_why),
            (80, open, open_why),
            (81, closed, closed_why),
        ] {
            let line = text
                .lines()
                .find(|line| line.starts_with(&format!("{port}/tcp ")));
            let words: Vec<_> = line.unwrap_or_default().split_whitespace().collect();
            assert!(
                words.len() >= 4,
                "{scan}: nothing about port {port}: {text}"
            );
            assert_eq!(
                (words[1], words[3]),
                (state, why),
                "{scan}, port {port}: {text}"
            );
        }
    }
    if full() {
        every_port();
    }
}

fn every_port() {
    for scan in ["-sS", "-sS -6"] {
        let to = if scan.ends_with('6') {
            "$WOSHOU_ADDR6"
        } else {
            "$WOSHOU_ADDR"
        };
        let said = nmap("nmap-all", &[&format!("{scan} -p- --min-rate 20000 {to}")]);
        // How many of the others are told closed depends on the rate: resets to strangers are limited.
        let open = said[0].lines().filter(|line| line.contains("/tcp "));
        let open: Vec<_> = open.filter(|line| line.contains(" open")).collect();
        assert!(
            open.len() == 1 && open[0].starts_with("80/tcp "),
            "{}",
            said[0]
        );
        eprintln!(
            "{scan} of all ports: {}",
            said[0].lines().last().unwrap_or_default()
        );
    }
}

#[test]
fn nmap_finds_the_sequence_numbers_hard_to_predict() {
    if !ready(&["nmap"]) {
        return;
    }
    let scans = [
        "-sS -O -v -p 80,81 $WOSHOU_ADDR",
        "-6 -sS -O -v -p 80,81 $WOSHOU_ADDR6",
    ];
    for (scan, text) in scans.iter().zip(nmap("nmap-os", &scans)) {
        assert!(
            text.contains("Nmap done: 1 IP address (1 host up)"),
            "{scan}: {text}"
        );
        let line = |start: &str| text.lines().find(|line| line.starts_with(start));
        for start in ["TCP Sequence Prediction", "IP ID Sequence", "Uptime guess"] {
            eprintln!(
                "nmap {scan}: {}",
                line(start).unwrap_or("nothing about this").trim()
            );
        }
        // nmap's word for IPv6 is missing where its classifier finds nothing to say.
        if let Some(line) = line("TCP Sequence Prediction") {
            assert!(line.contains("(Good luck!)"), "{line}");
        } else {
            assert!(scan.starts_with("-6"), "{text}");
        }
        if let Some(line) = line("IP ID Sequence") {
            assert!(
                line.ends_with("All zeros") || line.ends_with("Randomized"),
                "{line}"
            );
        }
    }
}
