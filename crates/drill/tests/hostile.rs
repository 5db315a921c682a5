//! Whatever a script says: it is read and run to an end, without a panic, in bounded time and memory.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use woshou_drill::{Config, Leniency, Profile, Status, run};

const SCRIPT: &str = "`sysctl -q net.ipv4.tcp_timestamps=0`
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+.1 < S 0:0(0) win 32792 <mss 1000,sackOK,nop,nop,nop,wscale 7>
+0 > S. 0:0(0) ack 1 <...>
+.1 < . 1:1(0) ack 1 win 257
+0 accept(3, ..., ...) = 4
+0 write(4, ..., 3000) = 3000
+0 > P. 1:3001(3000) ack 1
+0...0.1 read(4, ..., 1000) = 100
+.1 < P. 1:101(100) ack 3001 win 257
+0 > . 3001:3001(0) ack 101
+0 %{ assert tcpi_snd_cwnd > 1 }%
+0 close(4) = 0
* > F. 3001:3001(0) ack 101
";

fn lines() -> Vec<&'static str> {
    let more = [
        "+1000000 < . 1:1(0) ack 1 win 0",
        "+0 < P. 1:65001(65000) ack 1 win 257",
        "+0 < R. 1:1(0) ack 1 win 0",
        "+0 < F. 1:1(0) ack 1 win 257",
        "+0 < . 4294967295:4294967295(0) ack 4294967295 win 65535 <sack 1:4294967295,nop,nop>",
        "+0 < icmp unreachable frag_needed mtu 1 [1:1(0)]",
        "+0 < S. 0:0(0) ack 1 win 1 <mss 1>",
        "* > . 1:1(0) ack 1",
        "* > R 1:1(0)",
        "+9999999 write(4, ..., 67108864) = 67108864",
        "+0 read(4, ..., 67108864) = 1",
        "+0 setsockopt(4, SOL_SOCKET, SO_SNDBUF, [2147483647], 4) = 0",
        "+0 setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=65535}, 8) = 0",
        "+0 setsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [1], 4) = 0",
        "+0 poll([{fd=4, events=POLLIN}], 1, -1) = 1",
        "+0 `sleep 86400`",
        "+0 `sysctl -w net.ipv4.tcp_rmem=\"1 1 1\" net.ipv4.tcp_rto_min_us=0 net.ipv4.tcp_syn_retries=255`",
        "+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3",
        "+0 connect(3, ..., ...) = 0",
        "+0 close(3) = 0",
    ];
    SCRIPT.lines().chain(more).collect()
}

/// Runs it with every leniency, which runs it many times, and in little time.
fn survive(source: &str, profile: Profile) -> Result<(), TestCaseError> {
    let lenient = [Leniency::Acks, Leniency::Segmentation]
        .into_iter()
        .collect();
    let config = Config {
        profile,
        lenient,
        ..Config::default()
    };
    let start = Instant::now();
    let report = run(source, &config);
    prop_assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}\n{source}",
        start.elapsed()
    );
    prop_assert!(report.status == Status::Pass || !report.message.is_empty());
    let _ = report.line_text() + &report.detail_text(true) + &report.json();
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn lines_in_any_order(order in prop::collection::vec(any::<prop::sample::Index>(), 0..40), freebsd in any::<bool>()) {
        let lines = lines();
        let picked: Vec<&str> = order.iter().map(|index| *index.get(&lines)).collect();
        let profile = if freebsd { Profile::FreeBsd } else { Profile::Linux };
        survive(&picked.join("\n"), profile)?;
        survive(&format!("{}\n{}", SCRIPT.lines().take(8).collect::<Vec<_>>().join("\n"), picked.join("\n")), profile)?;
    }

    #[test]
    fn octets_changed(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut octets = SCRIPT.as_bytes().to_vec();
        for (index, octet) in changes {
            *index.get_mut(&mut octets) = octet;
        }
        survive(&String::from_utf8_lossy(&octets), Profile::Linux)?;
    }

    #[test]
    fn numbers_changed(which in any::<prop::sample::Index>(), to in prop::sample::select(vec!["0", "1", "65535", "2147483647", "4294967295", "99999999999999999999"])) {
        let starts: Vec<usize> = SCRIPT.char_indices().filter(|(at, c)| {
            c.is_ascii_digit() && !SCRIPT[..*at].ends_with(|c: char| c.is_ascii_digit())
        }).map(|(at, _)| at).collect();
        let at = *which.get(&starts);
        let rest = SCRIPT[at..].trim_start_matches(|c: char| c.is_ascii_digit());
        survive(&format!("{}{to}{rest}", &SCRIPT[..at]), Profile::Linux)?;
    }
}

#[test]
fn the_script_itself_passes() {
    let report = run(SCRIPT, &Config::default());
    assert_eq!(
        report.status,
        Status::Pass,
        "{}\n{}",
        report.line_text(),
        report.detail_text(true)
    );
}
