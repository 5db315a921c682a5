//! Every rule of the language's meaning: a script that keeps it passes, and one that breaks it fails and says why.

use woshou_drill::{Config, Leniency, Profile, Report, Status, run};

/// A server's connection, without timestamps: the script's descriptor 4, MSS 1,000, times end at 0.2.
const SERVER: &str = "
`sysctl -q net.ipv4.tcp_timestamps=0 net.ipv4.tcp_early_retrans=0`
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+.1 < S 0:0(0) win 32792 <mss 1000,sackOK,nop,nop,nop,wscale 7>
+0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK,nop,wscale 8>
+.1 < . 1:1(0) ack 1 win 257
+0 accept(3, ..., ...) = 4
";

/// The same with timestamps: ours begin at 100 in the script.
const STAMPED: &str = "
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+.1 < S 0:0(0) win 32792 <mss 1000,sackOK,TS val 1000 ecr 0>
+0 > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 100 ecr 1000>
";

fn with(profile: Profile, source: &str) -> Report {
    run(
        source,
        &Config {
            profile,
            ..Config::default()
        },
    )
}

fn linux(source: &str) -> Report {
    with(Profile::Linux, source)
}

#[track_caller]
fn passes(source: &str) {
    let report = linux(source);
    assert_eq!(
        report.status,
        Status::Pass,
        "{}\n{}",
        report.line_text(),
        report.detail_text(true)
    );
}

/// Fails, and the message has all of `words`.
#[track_caller]
fn fails(source: &str, words: &[&str]) {
    let report = linux(source);
    let text = report.line_text();
    assert_eq!(
        report.status,
        Status::Fail,
        "{text}\n{}",
        report.detail_text(true)
    );
    assert!(
        words.iter().all(|word| text.contains(word)),
        "{words:?} in {text}"
    );
}

#[track_caller]
fn server(events: &str) {
    passes(&format!("{SERVER}{events}"));
}

#[track_caller]
fn server_fails(events: &str, words: &[&str]) {
    fails(&format!("{SERVER}{events}"), words);
}

#[track_caller]
fn unsupported(source: &str, name: &str) {
    let report = linux(source);
    assert_eq!(
        (report.status, report.message.as_str()),
        (Status::Unsupported, name),
        "{}",
        report.line_text()
    );
}

#[track_caller]
fn error(source: &str, word: &str) {
    let report = linux(source);
    assert_eq!(report.status, Status::Error, "{}", report.line_text());
    assert!(report.message.contains(word), "{}", report.message);
}

// ---- time ----

#[test]
fn relative_times_begin_when_the_event_before_was_over() {
    // The delayed acknowledgement comes 40 ms after the text; the next segment 10 ms after it.
    let delayed = "+0 < P. 1:11(10) ack 1 win 257\n+0 > . 1:1(0) ack 11\n";
    server(&format!(
        "{delayed}+.1 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 11\n+.2~+.4 > P. 1:11(10) ack 11\n"
    ));
    // An absolute time is since the start, whatever came before.
    server("0.35 write(4, ..., 10) = 10\n0.35 > P. 1:11(10) ack 1\n");
    server_fails(
        "0.35 write(4, ..., 10) = 10\n0.55 > P. 1:11(10) ack 1\n",
        &["time", "too early"],
    );
}

#[test]
fn a_late_packet_moves_the_base() {
    // The first retransmission is expected with much tolerance; the second comes twice as long after it, not after
    // the time at which it was expected.
    let events = "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1\n+.2~+.5 > P. 1:11(10) ack 1\n";
    server(&format!("{events}+.6 > P. 1:11(10) ack 1\n"));
    server_fails(&format!("{events}+.3 > P. 1:11(10) ack 1\n"), &["too late"]);
}

#[test]
fn tolerance_is_symmetric_and_a_share_of_the_wait() {
    let sent = "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1\n";
    // It comes after 0.3 s (RTO of a round trip of 0.1 s); 12.5 percent of the wait are allowed.
    server(&format!("{sent}+.3 > P. 1:11(10) ack 1\n"));
    server(&format!("{sent}+.34 > P. 1:11(10) ack 1\n"));
    server_fails(&format!("{sent}+.36 > P. 1:11(10) ack 1\n"), &["too early"]);
    server_fails(&format!("{sent}+.25 > P. 1:11(10) ack 1\n"), &["too late"]);
    let strict = format!("--tolerance_usecs=100\n--tolerance_percent=0.0\n{SERVER}");
    passes(&format!("{strict}{sent}+.3 > P. 1:11(10) ack 1\n"));
    fails(
        &format!("{strict}{sent}+.301 > P. 1:11(10) ack 1\n"),
        &["too early"],
    );
}

#[test]
fn star_and_ranges() {
    let sent = "+0 write(4, ..., 10) = 10\n* > P. 1:11(10) ack 1\n";
    server(&format!(
        "{sent}* > P. 1:11(10) ack 1\n* > P. 1:11(10) ack 1\n"
    ));
    server(&format!("{sent}+.1~+.5 > P. 1:11(10) ack 1\n"));
    server(&format!("{sent}.45~.55 > P. 1:11(10) ack 1\n"));
    server_fails(
        &format!("{sent}+.4~+.5 > P. 1:11(10) ack 1\n"),
        &["too early"],
    );
    server_fails(&format!("{sent}.2~.3 > P. 1:11(10) ack 1\n"), &["too late"]);
    // Nothing will ever come.
    server_fails("* > P. 1:11(10) ack 1\n", &["nothing left"]);
}

#[test]
fn nothing_comes_in_time() {
    server_fails(
        "+0 > . 1:1(0) ack 1\n",
        &["expected at 0.200000 s", "nothing left"],
    );
    // What comes more than two seconds late counts as nothing.
    let opened = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n\
        +0 connect(3, ..., ...) = -1 EINPROGRESS\n* > S 0:0(0) <...>\n* > S 0:0(0) <...>\n";
    fails(&format!("{opened}+0 > . 1:1(0) ack 1\n"), &["flags"]);
}

// ---- packets ----

#[test]
fn numbers_are_relative_but_those_of_syn() {
    let opened = "`sysctl -q net.ipv4.tcp_timestamps=0 net.ipv4.tcp_sack=0 net.ipv4.tcp_window_scaling=0`\n\
        0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n+0 listen(3, 1) = 0\n";
    // The remote number begins near the end of the circle; the script's own for ours is 700.
    let shake = "+0 < S 4294967290:4294967290(0) win 1000 <mss 1000>\n+0 > S. 700:700(0) ack 4294967291 <mss 1460>\n";
    passes(&format!(
        "{opened}{shake}+0 < . 1:1(0) ack 1 win 1000\n+0 accept(3, ..., ...) = 4\n+0 < P. 1:101(100) ack 1 win 1000\n\
         +0 > . 1:1(0) ack 101\n+0 write(4, ..., 50) = 50\n+0 > P. 1:51(50) ack 101\n+.2 > P. 1:51(50) ack 101\n"
    ));
    fails(
        &format!(
            "{opened}+0 < S 4294967290:4294967290(0) win 1000 <mss 1000>\n+0 > S. 700:700(0) ack 1 <mss 1460>\n"
        ),
        &["ack expected 1, got 4294967291"],
    );
    // The SYN,ACK again: its number must be the one that the script gave the first.
    passes(&format!(
        "{opened}{shake}+1 > S. 700:700(0) ack 4294967291 <mss 1460>\n"
    ));
    fails(
        &format!("{opened}{shake}+1 > S. 701:701(0) ack 4294967291 <mss 1460>\n"),
        &["seq expected 701, got 700"],
    );
}

#[test]
fn edges_of_sack_blocks_are_mapped_both_ways() {
    server("+0 < P. 1001:2001(1000) ack 1 win 257\n+0 > . 1:1(0) ack 1 <nop,nop,sack 1001:2001>\n");
    server_fails(
        "+0 < P. 1001:2001(1000) ack 1 win 257\n+0 > . 1:1(0) ack 1 <nop,nop,sack 1001:2002>\n",
        &["options expected <nop,nop,sack 1001:2002>, got <nop,nop,sack 1001:2001>"],
    );
    // What was selectively acknowledged is not sent again: three duplicates repair the first segment alone.
    let sent = "+0 write(4, ..., 4000) = 4000\n+0 > P. 1:4001(4000) ack 1\n";
    let sacks = "+.1 < . 1:1(0) ack 1 win 257 <sack 1001:2001,nop,nop>\n+0 < . 1:1(0) ack 1 win 257 <sack 1001:3001,nop,nop>\n\
        +0 < . 1:1(0) ack 1 win 257 <sack 1001:4001,nop,nop>\n";
    server(&format!(
        "{sent}{sacks}* > . 1:1001(1000) ack 1\n+.1 < . 1:1(0) ack 4001 win 257\n"
    ));
}

#[test]
fn segments_after_a_refused_syn_keep_their_numbers() {
    server(
        "+.1 < S 5000:5000(0) win 257 <mss 1000>\n+0 > . 1:1(0) ack 1\n+0 < P. 1:11(10) ack 1 win 257\n+0 > . 1:1(0) ack 11\n",
    );
}

#[test]
fn timestamps_are_paired() {
    // The echo 100 is that of our SYN,ACK; 150 was never sent.
    let talk =
        "+.05 < . 1:1(0) ack 1 win 257 <nop,nop,TS val 1050 ecr 100>\n+0 accept(3, ..., ...) = 4\n";
    passes(&format!(
        "{STAMPED}{talk}+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1 <nop,nop,TS val 777 ecr 1050>\n\
        +.1 < . 1:1(0) ack 11 win 257 <nop,nop,TS val 1150 ecr 777>\n+0 %{{ assert tcpi_rtt < 101000 }}%\n"
    ));
    error(
        &format!("{STAMPED}+.05 < . 1:1(0) ack 1 win 257 <nop,nop,TS val 1050 ecr 150>\n"),
        "no segment left with the timestamp 150",
    );
    // By distance from the first pair, where the script asks for it.
    passes(&format!(
        "--tcp_ts_ecr_scaled\n{STAMPED}+.05 < . 1:1(0) ack 1 win 257 <nop,nop,TS val 1050 ecr 110>\n"
    ));
    // The echo on the wire is a real one: the round trip that is measured from it is 50 ms.
    passes(&format!(
        "{STAMPED}{talk}+0 %{{ assert 49000 <= tcpi_rtt <= 51000, tcpi_rtt }}%\n"
    ));
}

#[test]
fn timestamps_are_compared_where_the_script_names_their_tick() {
    let talk = "+.05 < . 1:1(0) ack 1 win 257 <nop,nop,TS val 1050 ecr 100>\n+0 accept(3, ..., ...) = 4\n+0 write(4, ..., 10) = 10\n";
    let source = |tick: &str, value: u32| {
        format!("{tick}{STAMPED}{talk}+0 > P. 1:11(10) ack 1 <nop,nop,TS val {value} ecr 1050>\n")
    };
    passes(&source("", 999));
    passes(&source("--tcp_ts_tick_usecs=1000\n", 150));
    fails(
        &source("--tcp_ts_tick_usecs=1000\n", 999),
        &["TS val expected 999, got 150"],
    );
    let config = Config {
        check_echo: true,
        ..Config::default()
    };
    assert_eq!(run(&source("", 150), &config).status, Status::Pass);
    let wrong = source("", 150).replace("ecr 1050>\n", "ecr 1051>\n");
    let last = wrong.rfind("ecr 1051").unwrap();
    let wrong = format!(
        "{}{}",
        wrong[..last].replace("ecr 1051", "ecr 1050"),
        &wrong[last..]
    );
    // Only TSecr differs: packetdrill does not look, and neither does the default.
    let _ = last;
    assert_eq!(linux(&wrong).status, Status::Pass);
    assert!(
        run(&wrong, &config)
            .message
            .contains("TS ecr expected 1051, got 1050")
    );
}

#[test]
fn packets_of_other_connections_are_passed_over() {
    // The first connection's segment leaves while the second is under test.
    let second = "+0 write(4, ..., 10) = 10\n+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 5\n\
        +0 fcntl(5, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n+0 connect(5, ..., ...) = -1 EINPROGRESS\n";
    server(&format!(
        "{second}+0 > S 0:0(0) <mss 1460,nop,nop,sackOK,nop,wscale 8>\n"
    ));
    server_fails(&format!("{second}+0 > P. 1:11(10) ack 1\n"), &["flags"]);
}

#[test]
fn a_connection_is_told_by_both_of_its_ends() {
    // Both connections have our port 8080; only the peer's tells them apart.
    let second = "+0 close(3) = 0\n+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 5\n\
        +0 setsockopt(5, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0\n+0 bind(5, ..., ...) = 0\n\
        +0 fcntl(5, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n+0 write(4, ..., 10) = 10\n\
        +0 connect(5, ..., ...) = -1 EINPROGRESS\n";
    server(&format!("{second}+0 > S 0:0(0) <...>\n"));
    server_fails(&format!("{second}+0 > P. 1:11(10) ack 1\n"), &["flags"]);
}

#[test]
fn pieces_that_are_put_together_have_one_size() {
    let writes = "+0 setsockopt(4, SOL_TCP, TCP_NODELAY, [1], 4) = 0\n+0 write(4, ..., 500) = 500\n\
        +0 write(4, ..., 1000) = 1000\n+0 write(4, ..., 700) = 700\n";
    server_fails(
        &format!("{writes}+0 > P. 1:2201(2200) ack 1\n"),
        &["pieces of 500 and of 1000 octets"],
    );
    server(&format!(
        "{writes}+0 > P. 1:501(500) ack 1\n+0 > P. 501:2201(1700) ack 1\n"
    ));
}

#[test]
fn surplus_segments_are_not_passed_over() {
    // The acknowledgement of the first segment is not expected, and stands before the second.
    let text = "+0 < P. 1:1001(1000) ack 1 win 257\n+0 < P. 1001:2001(1000) ack 1 win 257\n";
    server(&format!(
        "{text}+0 > . 1:1(0) ack 1001\n+0 > . 1:1(0) ack 2001\n"
    ));
    server_fails(
        &format!("{text}+0 > . 1:1(0) ack 2001\n"),
        &["ack expected 2001, got 1001"],
    );
    // After the last expectation nobody looks.
    server(text);
}

#[test]
fn text_is_put_together_in_googles_dialect() {
    let write = "+0 write(4, ..., 2500) = 2500\n";
    let nodelay = "+0 setsockopt(4, SOL_TCP, TCP_NODELAY, [1], 4) = 0\n";
    let start = format!("{nodelay}{write}");
    server(&format!("{start}+0 > P. 1:2501(2500) ack 1\n"));
    server(&format!(
        "{start}+0 > . 1:1001(1000) ack 1\n+0 > . 1001:2001(1000) ack 1\n+0 > P. 2001:2501(500) ack 1\n"
    ));
    server(&format!(
        "{start}+0 > . 1:2001(2000) ack 1\n+0 > P. 2001:2501(500) ack 1\n"
    ));
    server_fails(
        &format!("{start}+0 > . 1:1501(1500) ack 1\n"),
        &["text expected 1500, got 2000"],
    );
    server_fails(
        &format!("{start}+0 > P. 1:3001(3000) ack 1\n"),
        &["text expected 3000"],
    );
    let strict = format!("--strict_segments\n{SERVER}{start}+0 > P. 1:2501(2500) ack 1\n");
    fails(&strict, &["text expected 2500, got 1000"]);
    // In nplab's dialect every line is one packet.
    let source = format!("{SERVER}{start}+0 > P. 1:2501(2500) ack 1\n")
        .replace("<mss 1460,nop,nop,sackOK,nop,wscale 8>", "<...>")
        .replace(
            "`sysctl -q net.ipv4.tcp_timestamps=0`",
            "`sysctl net.inet.tcp.rfc1323=2`",
        );
    let report = with(Profile::FreeBsd, &source);
    assert!(
        report.message.contains("text expected 2500, got 1000"),
        "{}",
        report.line_text()
    );
}

#[test]
fn an_injected_packet_may_be_larger_than_the_link_carries() {
    // One packet of 10,000 octets: one acknowledgement, for all of it.
    server(
        "+0 < P. 1:10001(10000) ack 1 win 257\n+0 > . 1:1(0) ack 10001\n+0 read(4, ..., 20000) = 10000\n",
    );
}

#[test]
fn what_is_not_said_of_a_packet_is_not_compared_and_all_else_is() {
    let sent = "+0 write(4, ..., 10) = 10\n";
    server(&format!("{sent}+0 > P. 1:11(10) ack 1 win 256\n"));
    server(&format!("{sent}+0 > [noecn, ttl 64] P. 1:11(10) ack 1\n"));
    let wrong = [
        ("+0 > . 1:11(10) ack 1\n", "flags expected ., got P."),
        ("+0 > FP. 1:11(10) ack 1\n", "flags expected FP., got P."),
        ("+0 > P. 2:12(10) ack 1\n", "seq expected 2, got 1"),
        ("+0 > P. 1:10(9) ack 1\n", "text expected 9, got 10"),
        ("+0 > P. 1:11(10) ack 2\n", "ack expected 2, got 1"),
        ("+0 > P. 1:11(10) ack 1 win 7\n", "win expected 7, got 256"),
        (
            "+0 > P. 1:11(10) ack 1 <nop,nop,nop,nop>\n",
            "options expected <nop,nop,nop,nop>, got <>",
        ),
        (
            "+0 > [ttl 63] P. 1:11(10) ack 1\n",
            "ttl expected 63, got 64",
        ),
        (
            "+0 > [tos 0x10] P. 1:11(10) ack 1\n",
            "tos expected 0x10, got 0x00",
        ),
        (
            "+0 > icmp unreachable port_unreachable [1:11(10)]\n",
            "protocol expected ICMP, got TCP",
        ),
    ];
    for (line, word) in wrong {
        server_fails(&format!("{sent}{line}"), &[word]);
    }
}

#[test]
fn icmp_is_injected_and_expected() {
    let opened = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n\
        +0 connect(3, ..., ...) = -1 EINPROGRESS\n+0 > S 0:0(0) <...>\n";
    passes(&format!(
        "{opened}+.1 < icmp unreachable host_unreachable [0:0(0)]\n\
        +0 getsockopt(3, SOL_SOCKET, SO_ERROR, [EHOSTUNREACH], [4]) = 0\n"
    ));
    fails(
        &format!(
            "{opened}+.1 < icmp unreachable host_unreachable [0:0(0)]\n\
            +0 getsockopt(3, SOL_SOCKET, SO_ERROR, [ECONNREFUSED], [4]) = 0\n"
        ),
        &["value"],
    );
    // A message that quotes what is not in flight is forged.
    passes(&format!(
        "{opened}+.1 < icmp unreachable host_unreachable [99999:99999(0)]\n\
        +0 getsockopt(3, SOL_SOCKET, SO_ERROR, [0], [4]) = 0\n"
    ));
    server(
        "+0 write(4, ..., 1000) = 1000\n+0 > P. 1:1001(1000) ack 1\n\
        +0 < icmp unreachable frag_needed mtu 600 [1:1001(1000)]\n* > . 1:561(560) ack 1\n",
    );
    passes("+0 < icmp echo_request id 7\n+0 > icmp echo_reply id 7\n");
    fails(
        "+0 < icmp echo_request id 7\n+0 > icmp echo_reply id 8\n",
        &["id expected 8, got 7"],
    );
}

#[test]
fn a_port_without_a_socket_answers_with_a_reset() {
    passes("0 < S 0:0(0) win 1000 <mss 1000>\n+0 > R. 0:0(0) ack 1\n");
    fails(
        "0 < S 0:0(0) win 1000 <mss 1000>\n+0 > R 0:0(0)\n",
        &["flags expected R, got R."],
    );
    // With `!` numbers are those of the wire.
    passes("0 < . 5:5(0) ack 77 win 1000\n+0 > R 77:77(0)!\n");
}

// ---- calls ----

#[test]
fn results_and_errors() {
    server(
        "+0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n+0 read(4, ..., 10) = -1 EAGAIN (nothing there)\n",
    );
    server_fails(
        "+0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n+0 read(4, ..., 10) = -1 EPIPE\n",
        &["read()", "result expected -1 EPIPE, got -1 EAGAIN"],
    );
    server_fails(
        "+0 write(4, ..., 10) = 9\n",
        &["write()", "result expected 9, got 10"],
    );
    server_fails("+0 close(9) = 0\n", &["result expected 0, got -1 EBADF"]);
    server("+0 close(9) = -1 EBADF\n");
    server(
        "+0 < P. 1:101(100) ack 1 win 257\n+0 ioctl(4, SIOCINQ, [100]) = 0\n+0 recv(4, ..., 50, MSG_PEEK) = 50\n+0 read(4, ..., 200) = 100\n",
    );
    server_fails(
        "+0 < P. 1:101(100) ack 1 win 257\n+0 ioctl(4, SIOCINQ, [99]) = 0\n",
        &["value expected 99, got 100"],
    );
    server("+0 poll([{fd=4, events=POLLIN|POLLOUT, revents=POLLOUT}], 1, 0) = 1\n");
    server_fails(
        "+0 poll([{fd=4, events=POLLIN|POLLOUT, revents=POLLIN}], 1, 0) = 1\n",
        &["revents"],
    );
    server(
        "+0 epoll_create(1) = 5\n+0 epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLOUT, fd=4}) = 0\n\
        +0 epoll_wait(5, {events=EPOLLOUT, fd=4}, 1, 0) = 1\n",
    );
    server_fails(
        "+0 epoll_create(1) = 5\n+0 epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLOUT, fd=4}) = 0\n\
        +0 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) = 1\n",
        &["event"],
    );
}

#[test]
fn blocking_calls_return_when_the_script_says() {
    let text = "+.1 < P. 1:11(10) ack 1 win 257\n+0 > . 1:1(0) ack 11\n";
    server(&format!("+0...0.1 read(4, ..., 100) = 10\n{text}"));
    server(&format!("0.2...0.3 read(4, ..., 100) = 10\n{text}"));
    server_fails(
        &format!("+0...0.2 read(4, ..., 100) = 10\n{text}"),
        &["return of read()", "too early"],
    );
    server_fails(
        &format!("+0...0.05 read(4, ..., 100) = 10\n{text}"),
        &["return of read()", "too late"],
    );
    server_fails(
        &format!("+0...0.1 read(4, ..., 100) = 11\n{text}"),
        &["result expected 11, got 10"],
    );
    // It does not block at all.
    server_fails(
        "+0...0.1 write(4, ..., 10) = 10\n",
        &["return of write()", "too early"],
    );
    // It still blocks when the script is over.
    server_fails(
        "+0...0.1 read(4, ..., 100) = 10\n",
        &["the script is over", "read()", "blocked"],
    );
}

#[test]
fn a_call_waits_for_the_blocking_one_before_it() {
    // The blocked read ends by SO_RCVTIMEO, and the next call waits for it.
    let timeout = "+0 setsockopt(4, SOL_SOCKET, SO_RCVTIMEO, {tv_sec=0, tv_usec=300000}, 16) = 0\n";
    server(&format!(
        "{timeout}+0...0.3 read(4, ..., 100) = -1 EAGAIN\n+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1\n"
    ));
    server_fails(
        "+0...0.1 read(4, ..., 100) = 10\n+0 write(4, ..., 10) = 10\n",
        &["read()", "still blocked at 1.200000 s"],
    );
}

#[test]
fn a_call_that_is_not_marked_and_blocks_stops_the_clock() {
    let timeout = "+0 setsockopt(4, SOL_SOCKET, SO_RCVTIMEO, {tv_sec=0, tv_usec=300000}, 16) = 0\n";
    server(&format!(
        "{timeout}+0 read(4, ..., 100) = -1 EAGAIN\n+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1\n"
    ));
    server_fails(
        &format!("{timeout}0.2 read(4, ..., 100) = -1 EAGAIN\n0.3 write(4, ..., 10) = 10\n"),
        &["the time of this event has passed"],
    );
    server_fails("+0 read(4, ..., 100) = 10\n", &["read() does not return"]);
}

// ---- code and commands ----

#[test]
fn snapshots_are_of_the_time_of_the_block() {
    let events = "+0 %{ before = tcpi_bytes_received; assert before == 0 }%\n+0 < P. 1:101(100) ack 1 win 257\n\
        +0 > . 1:1(0) ack 101\n+0 %{ assert tcpi_bytes_received == before + 100 }%\n+0 < F. 101:101(0) ack 1 win 257\n\
        +0 %{ assert tcpi_state == TCP_CLOSE_WAIT }%\n";
    server(events);
    server_fails(
        &events.replace("before + 100", "before"),
        &["assertion", "tcpi_bytes_received = 100", "before = 0"],
    );
    server_fails(
        "+0 %{ assert tcpi_state == TCP_CLOSE_WAIT }%\n+0 < F. 1:1(0) ack 1 win 257\n",
        &["tcpi_state = 1"],
    );
    fails(
        "0 < S 0:0(0) win 1000 <mss 1000>\n+0 %{ print 1 }%\n",
        &["TCP_INFO"],
    );
}

#[test]
fn a_failed_assertion_names_its_line() {
    let report = linux(&format!("{SERVER}+0 %{{\nx = 1\nassert x == 2\n}}%\n"));
    let line = SERVER.lines().count() + 3;
    assert_eq!(
        report.line,
        u32::try_from(line).ok(),
        "{}",
        report.line_text()
    );
}

#[test]
fn commands_turn_knobs_and_count_states() {
    let source = |command: &str| {
        format!(
            "{command}\n0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n+0 connect(3, ..., ...) = -1 EINPROGRESS\n"
        )
    };
    passes(&format!(
        "{}+0 > S 0:0(0) <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 8>\n",
        source("`./defaults.sh`")
    ));
    passes(&format!(
        "{}+0 > S 0:0(0) <mss 1460>\n",
        source(
            "`./defaults.sh\nsysctl -q -w net.ipv4.tcp_sack=0 net.ipv4.tcp_timestamps=0 net.ipv4.tcp_window_scaling=0`"
        )
    ));
    passes(
        &format!(
            "{}+0 > S 0:0(0) <mss 1360,...>\n",
            source("`ip link set dev tun0 mtu 1400`")
        )
        .replace(",...>", ",sackOK,TS val 1 ecr 0,nop,wscale 8>"),
    );
    let counted =
        |n: u32| format!("+0 `sockstat -s -p 8080 | grep -c ESTABLISHED | grep -q {n}`\n");
    server(&counted(1));
    server_fails(&counted(2), &["sockets in ESTABLISHED: expected 2, got 1"]);
    // A timed sysctl counts for connections made after it.
    passes(
        "0 `sysctl -w net.ipv4.tcp_timestamps=0`\n+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n\
        +0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n+0 connect(3, ..., ...) = -1 EINPROGRESS\n\
        +0 > S 0:0(0) <mss 1460,nop,nop,sackOK,nop,wscale 8>\n",
    );
}

#[test]
fn the_layout_of_options_is_the_profiles() {
    let syn = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n\
        +0 connect(3, ..., ...) = -1 EINPROGRESS\n+0 > S 0:0(0) win 65535 ";
    let (freebsd, linux) = (
        "<mss 1460,nop,wscale 6,sackOK,TS val 100 ecr 0>\n",
        "<mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 8>\n",
    );
    assert_eq!(
        with(Profile::FreeBsd, &format!("{syn}{freebsd}")).status,
        Status::Pass
    );
    assert_eq!(
        with(Profile::Linux, &format!("{syn}{linux}")).status,
        Status::Pass
    );
    assert_eq!(
        with(Profile::FreeBsd, &format!("{syn}{linux}")).status,
        Status::Fail
    );
    assert_eq!(
        with(Profile::Linux, &format!("{syn}{freebsd}")).status,
        Status::Fail
    );
}

// ---- leniency, and what is missing ----

#[test]
fn the_report_names_the_leniencies_that_were_needed() {
    let all = |source: &str| {
        let config = Config {
            lenient: Leniency::ALL.into_iter().collect(),
            ..Config::default()
        };
        let report = run(&format!("{SERVER}{source}"), &config);
        assert_eq!(report.status, Status::Pass, "{}", report.line_text());
        report.lenient
    };
    let sent = "+0 write(4, ..., 10) = 10\n";
    assert!(all(&format!("{sent}+0 > P. 1:11(10) ack 1 win 256\n")).is_empty());
    assert_eq!(
        all(&format!("{sent}+0 > P. 1:11(10) ack 1 win 9\n")),
        [Leniency::Window]
    );
    assert_eq!(
        all(&format!("{sent}+0 > P. 1:11(10) ack 1 <nop,nop,eol,eol>\n")),
        [Leniency::Options]
    );
    assert_eq!(
        all(&format!("{sent}+0 > . 1:11(10) ack 1\n")),
        [Leniency::Segmentation]
    );
    assert_eq!(
        all(&format!(
            "{sent}+0 > . 1:6(5) ack 1 win 9\n+0 > P. 6:11(5) ack 1\n"
        )),
        [Leniency::Window, Leniency::Segmentation]
    );
    let text = "+0 < P. 1:1001(1000) ack 1 win 257\n+0 < P. 1001:2001(1000) ack 1 win 257\n";
    assert_eq!(
        all(&format!("{text}+0 > . 1:1(0) ack 2001\n")),
        [Leniency::Acks]
    );
    assert_eq!(
        all(&format!("{text}+.5 > . 1:1(0) ack 1001\n")),
        [Leniency::Acks]
    );
}

#[test]
fn leniency_forgives_nothing_else() {
    let config = Config {
        lenient: Leniency::ALL.into_iter().collect(),
        ..Config::default()
    };
    let wrong = [
        "F. 1:11(10) ack 1",
        "P. 2:12(10) ack 1",
        "P. 1:12(11) ack 1",
        "P. 1:11(10) ack 2",
        "P. 1:11(10) ack 1 <mss 9>",
    ];
    for packet in wrong {
        let report = run(
            &format!("{SERVER}+0 write(4, ..., 10) = 10\n+0 > {packet}\n"),
            &config,
        );
        assert_eq!(report.status, Status::Fail, "{packet}");
    }
}

#[test]
fn what_woshou_cannot_do_is_named() {
    let cases = [
        ("+0 > SEWA 0:0(0) <...>\n", "AccECN"),
        ("+0 > .5 1:1(0) ack 1\n", "AccECN"),
        ("+0 > [ect1] . 1:1(0) ack 1\n", "ECT(1)"),
        (
            "+0 `sysctl net.ipv4.tcp_ecn=3`\n",
            "sysctl net.ipv4.tcp_ecn=3",
        ),
        ("+0 > S 0:0(0) <mss 1460,FO,nop,nop>\n", "TCP Fast Open"),
        ("+0 > S 0:0(0) <md5 valid,nop,nop>\n", "TCP MD5 signatures"),
        ("+0 sendfile(4, 5, [0], 10) = 10\n", "sendfile()"),
        ("+0 recv(4, ..., 9, MSG_WAITALL) = 9\n", "MSG_WAITALL"),
        (
            "+0 setsockopt(4, SOL_TCP, TCP_BRANDNEW, [1], 4) = 0\n",
            "the socket option TCP_BRANDNEW",
        ),
        ("+0 `iptables -A INPUT`\n", "iptables INPUT"),
        (
            "+0 `sysctl net.ipv4.tcp_mtu_probing=1`\n",
            "sysctl net.ipv4.tcp_mtu_probing=1",
        ),
        ("+0 %{ assert tcpi_received_ce > 0 }%\n", "tcpi_received_ce"),
        ("+0 > udp (10)\n", "UDP"),
    ];
    for (event, name) in cases {
        unsupported(&format!("{SERVER}{event}"), name);
    }
}

#[test]
fn reports() {
    let report = linux(&format!("{SERVER}+0 > P. 1:11(10) ack 1\n"));
    assert!(report.json().starts_with(
        "{\"script\":\"\",\"variant\":\"ipv4\",\"status\":\"fail\",\"line\":11,\"message\":"
    ));
    let text = report.detail_text(true);
    assert!(text.contains("   11 | +0 > P. 1:11(10) ack 1"), "{text}");
    assert!(
        text.contains("SYN,ACK") && text.contains(">>> line 11:"),
        "{text}"
    );
    let xml = woshou_drill::junit(&[report]);
    assert!(
        xml.contains("failures=\"1\"") && xml.contains("&gt; P. 1:11(10)"),
        "{xml}"
    );
    let report = linux("0 socket(..., SOCK_STREAM, IPPROTO_TCP) = ]\n");
    assert_eq!((report.status, report.line), (Status::Error, Some(1)));
    assert!(report.message.starts_with("column "), "{}", report.message);
}

#[test]
fn the_same_every_time() {
    let source = format!("{SERVER}+0 write(4, ..., 10) = 10\n+.2 > P. 1:11(10) ack 1\n");
    let text = || {
        let report = linux(&source);
        report.line_text() + &report.detail_text(true)
    };
    assert_eq!(text(), text());
}
