//! What is refused, where, and in which words.

use woshou_drill::Cause;

use super::refused;

/// Source, line, column, message.
type Case = (&'static str, u32, u32, &'static str);

fn check(cause: Cause, table: &[Case]) {
    for (source, line, column, message) in table {
        let error = refused(source);
        assert_eq!(error.message(), *message, "{source}");
        assert_eq!((error.line(), error.column()), (*line, *column), "{source}");
        assert_eq!(error.cause, cause, "{source}");
    }
}

#[test]
fn something_else_was_expected() {
    check(
        Cause::Syntax,
        &[
            (
                "",
                1,
                1,
                "found the end of the script, expected an option line, a command in backticks, `*`, `+` or a time in seconds (0 to 1000000000)",
            ),
            (
                "hello",
                1,
                1,
                "found `hello`, expected an option line, a command in backticks, `*`, `+` or a time in seconds (0 to 1000000000)",
            ),
            (
                "--x=",
                1,
                5,
                "found the end of the script, expected a value: a number, a word, a string or an address",
            ),
            (
                "--x=(",
                1,
                5,
                "found `(`, expected a value: a number, a word, a string or an address",
            ),
            (
                "--define=A=+",
                1,
                12,
                "found `+`, expected the value of the symbol",
            ),
            (
                "0",
                1,
                2,
                "found the end of the script, expected `~`, a packet (`<` or `>`), a system call, a command in backticks or `%{`",
            ),
            (
                "0 1",
                1,
                3,
                "found `1`, expected `~`, a packet (`<` or `>`), a system call, a command in backticks or `%{`",
            ),
            ("0 `a`\nx", 2, 1, "found `x`, expected the time of an event"),
            (
                "0 `a`\n`b` `c`",
                2,
                5,
                "found the command `c`, expected the end of the script",
            ),
            (
                "0 `a`\n+ `b`",
                2,
                3,
                "found the command `b`, expected a time in seconds (0 to 1000000000)",
            ),
            ("0 `a`\n+1~2 > . 1:1(0)", 2, 4, "found `2`, expected `+`"),
            (
                "0 < S 0:0(0)",
                1,
                13,
                "found the end of the script, expected `win`: an injected packet states its window",
            ),
            (
                "0 < S 0:0(0) <mss 1000>",
                1,
                14,
                "found `<`, expected `win`: an injected packet states its window",
            ),
            (
                "0 > S 0:0(0) <>",
                1,
                15,
                "found `>`, expected an option: `mss`, `wscale`, `sackOK`, `sack`, `TS`, `nop`, `eol`, `md5`, `FO`, `FOEXP`, `exp-FO`, `ECN`, `AccECN0`, `AccECN1`, `exp-AccECN0`, `exp-AccECN1`, `exp-tarr` or `gen-KIND`",
            ),
            (
                "0 > . 1:1(0) <nop nop>",
                1,
                19,
                "found `nop`, expected `>` or `,`",
            ),
            (
                "0 > . 1:1(0) <TS val 1>",
                1,
                23,
                "found `>`, expected `ecr`",
            ),
            (
                "0 > . 1:1(0) <sack>",
                1,
                19,
                "found `>`, expected a left edge (0 to 4294967295)",
            ),
            ("0 > . 1:1(0) <sack 1>", 1, 21, "found `>`, expected `:`"),
            (
                "0 > . 1:1(0) <md5 12>",
                1,
                19,
                "found `12`, expected `valid` or a digest of 32 hexadecimal digits",
            ),
            (
                "0 > . 1:1(0) <AccECN0 eceb 1>",
                1,
                23,
                "found `eceb`, expected `e0b`, `ee0b`, `>` or `,`",
            ),
            (
                "0 > . 1:1(0) ack",
                1,
                17,
                "found the end of the script, expected an acknowledgment number (0 to 4294967295)",
            ),
            (
                "0 > . 1:1(0) win 1 ack 1",
                1,
                20,
                "found `ack`, expected `urg`, `<`, `/` or the time of an event",
            ),
            (
                "0 > . 1:1",
                1,
                10,
                "found the end of the script, expected `(`",
            ),
            (
                "0 > . ack 1",
                1,
                7,
                "found `ack`, expected `...` or a sequence number (0 to 4294967295)",
            ),
            (
                "0 > X 1:1(0)",
                1,
                5,
                "found `X`, expected flags: letters of `.FSRPUEWA`, a digit 0 to 7 for ACE, or `-` for none",
            ),
            (
                "0 > 1 > 2 icmp unreachable",
                1,
                11,
                "found `i`, expected flags: letters of `.FSRPUEWA`, a digit 0 to 7 for ACE, or `-` for none",
            ),
            (
                "0 > SXF 1:1(0)",
                1,
                6,
                "found `X`, expected flags: letters of `.FSRPUEWA`, a digit 0 to 7 for ACE, or `-` for none",
            ),
            (
                "0 > .8 1:1(0)",
                1,
                6,
                "found `8`, expected flags: letters of `.FSRPUEWA`, a digit 0 to 7 for ACE, or `-` for none",
            ),
            (
                "0 > .12 1:1(0)",
                1,
                7,
                "found `2`, expected flags: letters of `.FSRPUEWA`, a digit 0 to 7 for ACE, or `-` for none",
            ),
            (
                "0 > [ect9] . 1:1(0)",
                1,
                6,
                "found `ect9`, expected `tos`, `class`, `ttl`, `hlim`, `flowlabel`, `dscp`, `ecn`, `ECN`, `noecn`, `ect0`, `ect1`, `ce` or `ect01`",
            ),
            (
                "0 > [ect0) . 1:1(0)",
                1,
                10,
                "found `)`, expected `]` or `,`",
            ),
            (
                "0 > [dscp af99] . 1:1(0)",
                1,
                11,
                "found `af99`, expected a code point such as `cs1`, `af11`, `ef` or 0x2e",
            ),
            (
                "0 > ipv4 ::1 > ::2 : . 1:1(0)",
                1,
                10,
                "found `::1`, expected `(`, `[` or an IPv4 address",
            ),
            ("0 < udp 10", 1, 9, "found `10`, expected `(`"),
            (
                "0 < icmp [1:1(0)]",
                1,
                10,
                "found `[`, expected the name of an ICMP type, or `type_N`",
            ),
            (
                "0 socket",
                1,
                9,
                "found the end of the script, expected `(`",
            ),
            (
                "0 f(",
                1,
                5,
                "found the end of the script, expected `)` or an argument: a number, name, string, list or structure",
            ),
            (
                "0 f(1",
                1,
                6,
                "found the end of the script, expected `|`, `)` or `,`",
            ),
            ("0 f(1 2) = 0", 1, 7, "found `2`, expected `|`, `)` or `,`"),
            ("0 f(1)", 1, 7, "found the end of the script, expected `=`"),
            (
                "0 f(1) = 0 (note",
                1,
                17,
                "found the end of the script, expected `)`",
            ),
            ("0 f(1) = 0 (note]", 1, 17, "found `]`, expected `)`"),
            (
                "0 f({fd=}) = 0",
                1,
                9,
                "found `}`, expected an argument: a number, name, string, list or structure",
            ),
            (
                "0 f(inet_addr(\"1.2.3\")) = 0",
                1,
                15,
                "found `\"1.2.3\"`, expected an IP address in quotes",
            ),
            (
                "0 f(inet6_addr(\"1.2.3.4\")) = 0",
                1,
                16,
                "found `\"1.2.3.4\"`, expected an IPv6 address in quotes",
            ),
            (
                "0 f({msg_iov(1, 2)=[]}) = 0",
                1,
                6,
                "found `msg_iov(1, 2)`, expected one count",
            ),
            (
                "0 ...0.1 > . 1:1(0)",
                1,
                10,
                "found `>`, expected the name of a system call",
            ),
        ],
    );
}

#[test]
fn numbers_that_do_not_fit() {
    check(
        Cause::OutOfRange,
        &[
            (
                "-1 `a`",
                1,
                1,
                "found `-1`, expected a time in seconds (0 to 1000000000)",
            ),
            (
                "0 `a`\n1000000000.000001 `b`",
                2,
                1,
                "found `1000000000.000001`, expected a time in seconds (0 to 1000000000)",
            ),
            (
                "0 `a`\n99999999999999999999 `b`",
                2,
                1,
                "found `99999999999999999999`, expected a time in seconds (0 to 1000000000)",
            ),
            (
                "0 `a`\n99999999999999999999.5 `b`",
                2,
                1,
                "found `99999999999999999999.5`, expected a time in seconds (0 to 1000000000)",
            ),
            (
                "0 > . 4294967296:1(0)",
                1,
                7,
                "found `4294967296`, expected a sequence number (0 to 4294967295)",
            ),
            (
                "0 > . 1:4294967296(0)",
                1,
                9,
                "found `4294967296`, expected a sequence number (0 to 4294967295)",
            ),
            (
                "0 > . 1:65537(65536)",
                1,
                15,
                "found `65536`, expected a payload length (0 to 65535)",
            ),
            (
                "0 > . -1:0(1)",
                1,
                7,
                "found `-1`, expected a sequence number (0 to 4294967295)",
            ),
            (
                "0 > . 1:1(0) ack 4294967296",
                1,
                18,
                "found `4294967296`, expected an acknowledgment number (0 to 4294967295)",
            ),
            (
                "0 > . 1:1(0) ack 1.5",
                1,
                18,
                "found `1.5`, expected an acknowledgment number (0 to 4294967295)",
            ),
            (
                "0 < . 1:1(0) ack 1 win 65536",
                1,
                24,
                "found `65536`, expected a window (0 to 65535)",
            ),
            (
                "0 < . 1:1(0) ack 1 win -1",
                1,
                24,
                "found `-1`, expected a window (0 to 65535)",
            ),
            (
                "0 > . 1:1(0) urg 65536",
                1,
                18,
                "found `65536`, expected an urgent pointer (0 to 65535)",
            ),
            (
                "0 > . 1:1(0) <mss 65536>",
                1,
                19,
                "found `65536`, expected a segment size (0 to 65535)",
            ),
            (
                "0 > . 1:1(0) <wscale 256>",
                1,
                22,
                "found `256`, expected a shift count (0 to 255)",
            ),
            (
                "0 > . 1:1(0) <TS val 4294967296 ecr 0>",
                1,
                22,
                "found `4294967296`, expected a timestamp (0 to 4294967295)",
            ),
            (
                "0 > . 1:1(0) <sack 1:4294967296>",
                1,
                22,
                "found `4294967296`, expected a right edge (0 to 4294967295)",
            ),
            (
                "0 > . 1:1(0) <ECN e0b 16777216>",
                1,
                23,
                "found `16777216`, expected a counter (0 to 16777215)",
            ),
            (
                "0 > . 1:1(0) <gen-256 00>",
                1,
                15,
                "found `gen-256`, expected `gen-` and a kind (0 to 255)",
            ),
            (
                "0 > . 1:1(0) <sack 1:2 3:4 5:6 7:8 9:10>",
                1,
                15,
                "found `sack 1:2 3:4 5:6 7:8 9:10`, expected at most 40 octets of options",
            ),
            (
                "0 > [tos 0x100] . 1:1(0)",
                1,
                10,
                "found `0x100`, expected a type of service (0 to 255)",
            ),
            (
                "0 > [ttl 256] . 1:1(0)",
                1,
                10,
                "found `256`, expected a time to live (0 to 255)",
            ),
            (
                "0 > [flowlabel 0x100000] . 1:1(0)",
                1,
                16,
                "found `0x100000`, expected a flow label (0 to 1048575)",
            ),
            (
                "0 > [dscp 64] . 1:1(0)",
                1,
                11,
                "found `64`, expected a code point (0 to 63)",
            ),
            (
                "0 < 65536 > 1 S 0:0(0) win 1",
                1,
                5,
                "found `65536`, expected a source port (0 to 65535)",
            ),
            (
                "0 < 1 > 65536 S 0:0(0) win 1",
                1,
                9,
                "found `65536`, expected a destination port (0 to 65535)",
            ),
            (
                "0 < udp (65536)",
                1,
                10,
                "found `65536`, expected a payload length (0 to 65535)",
            ),
            (
                "0 < icmp unreachable frag_needed mtu 4294967296",
                1,
                38,
                "found `4294967296`, expected an MTU (0 to 4294967295)",
            ),
            (
                "0 > encap psp spi 4294967296 . 1:1(0)",
                1,
                19,
                "found `4294967296`, expected a security parameters index (0 to 4294967295)",
            ),
            (
                "0 > mpls (label 1048576, tc 0, ttl 1) : . 1:1(0)",
                1,
                17,
                "found `1048576`, expected a label (0 to 1048575)",
            ),
            (
                "0 f(9223372036854775808) = 0",
                1,
                5,
                "found `9223372036854775808`, expected a number of 64 bits with a sign",
            ),
            (
                "0 f(0xffffffffffffffff) = 0",
                1,
                5,
                "found `0xffffffffffffffff`, expected a number of 64 bits with a sign",
            ),
            (
                "0 f(htons(65536)) = 0",
                1,
                11,
                "found `65536`, expected a port (0 to 65535)",
            ),
            (
                "0 f(htonl(-1)) = 0",
                1,
                11,
                "found `-1`, expected a number (0 to 4294967295)",
            ),
        ],
    );
}

#[test]
fn parts_that_contradict_each_other() {
    check(
        Cause::Inconsistent,
        &[
            ("0 > . 1:10(5)", 1, 7, "found `1:10(5)`, expected 1:6(5)"),
            ("0 > . 1:1(5)", 1, 7, "found `1:1(5)`, expected 1:6(5)"),
            (
                "0 > . 1:1(0) <mss 1,sackOK>",
                1,
                15,
                "found `mss 1,sackOK`, expected options of a multiple of 4 octets, not 6: add `nop` or `eol`",
            ),
            (
                "0 > . 4294967295:5(5)",
                1,
                7,
                "found `4294967295:5(5)`, expected 4294967295:4(5)",
            ),
            (
                "0 `a`\n2 `b`\n1 `c`",
                3,
                1,
                "found `1`, expected a time not before the 2 of the event above",
            ),
            (
                "0 `a`\n2~1 > . 1:1(0)",
                2,
                3,
                "found `1`, expected a time not before 2",
            ),
            (
                "0 `a`\n+.2~+.1 > . 1:1(0)",
                2,
                6,
                "found `.1`, expected a time not before 0.2",
            ),
            (
                "0 `a`\n+.2....1 f() = 0",
                2,
                7,
                "found `.1`, expected a time not before 0.2, when the call starts",
            ),
            (
                "0 > E5. 1:1(0)",
                1,
                5,
                "found `E5.`, expected either the letters E, W and A or one digit, not both",
            ),
            (
                "0 > A.0 1:1(0)",
                1,
                5,
                "found `A.0`, expected either the letters E, W and A or one digit, not both",
            ),
            (
                "0 > . 1:1(0) <nop>",
                1,
                15,
                "found `nop`, expected options of a multiple of 4 octets, not 1: add `nop` or `eol`",
            ),
            (
                "0 > . 1:1(0) <mss 1,wscale 2>",
                1,
                15,
                "found `mss 1,wscale 2`, expected options of a multiple of 4 octets, not 7: add `nop` or `eol`",
            ),
            (
                "0 > . 1:1(0) <FO abc>",
                1,
                18,
                "found `abc`, expected a cookie: an even number of hexadecimal digits",
            ),
            (
                "0 > . 1:1(0) <FO 123>",
                1,
                18,
                "found `123`, expected a cookie: an even number of hexadecimal digits",
            ),
            (
                "0 > [ect0, ce] . 1:1(0)",
                1,
                12,
                "found `ce`, expected each part of the IP header only once",
            ),
            (
                "0 > [tos 1, tos 2] . 1:1(0)",
                1,
                13,
                "found `tos 2`, expected each part of the IP header only once",
            ),
            (
                "0 > [tos 1, ect0] . 1:1(0)",
                1,
                13,
                "found `ect0`, expected each part of the IP header only once",
            ),
            (
                "0 > [dscp ef, tos 1] . 1:1(0)",
                1,
                15,
                "found `tos 1`, expected each part of the IP header only once",
            ),
            (
                "0 > [ttl 1, hlim 1] . 1:1(0)",
                1,
                13,
                "found `hlim 1`, expected each part of the IP header only once",
            ),
            (
                "0 f({sa_family=AF_INET, sin_port=htons(1), sin_addr=inet_addr(\"::1\")}) = 0",
                1,
                53,
                "found `inet_addr(\"::1\")`, expected an address of the family AF_INET",
            ),
            (
                "0 f({sa_family=AF_INET6, sin_port=htons(1), sin_addr=inet_addr(\"192.0.2.1\")}) = 0",
                1,
                54,
                "found `inet_addr(\"192.0.2.1\")`, expected an address of the family AF_INET6",
            ),
        ],
    );
}

#[test]
fn sound_but_in_the_wrong_place() {
    let single = "expected a single time: only an expected packet (`>`) may have `*` or a range";
    let first = "expected the first event to be at time 0";
    let table = [
        (
            "0 `a`\n* < . 1:1(0) ack 1 win 1",
            2,
            1,
            format!("found `*`, {single}"),
        ),
        ("0 `a`\n* f() = 0", 2, 1, format!("found `*`, {single}")),
        ("0 `a`\n* `b`", 2, 1, format!("found `*`, {single}")),
        ("0 `a`\n1~2 %{ b }%", 2, 1, format!("found `1~2`, {single}")),
        (
            "0 `a`\n+1~+2 < . 1:1(0) ack 1 win 1",
            2,
            1,
            format!("found `+1~+2`, {single}"),
        ),
        ("1 `a`", 1, 1, format!("found `1`, {first}")),
        ("+.5 `a`", 1, 1, format!("found `+.5`, {first}")),
        ("* > . 1:1(0)", 1, 1, format!("found `*`, {first}")),
        (
            "0 < . 1:1(0) ack 1 win 1 <...>",
            1,
            26,
            "found `<...>`, expected the options of an injected packet, or none".to_owned(),
        ),
        (
            "0 < . ...(0) ack 1 win 1",
            1,
            7,
            "found `...(0)`, expected the sequence numbers of an injected packet".to_owned(),
        ),
        (
            "0 < . 1:1(0) ack 1 win 1 <nop,nop,TS val ... ecr 1>",
            1,
            42,
            "found `...`, expected the timestamp of an injected packet".to_owned(),
        ),
        (
            "0 < [ect01] . 1:1(0) ack 1 win 1",
            1,
            6,
            "found `ect01`, expected one of `noecn`, `ect0`, `ect1` or `ce` in an injected packet"
                .to_owned(),
        ),
    ];
    for (source, line, column, message) in table {
        let error = refused(source);
        assert_eq!(error.message(), message, "{source}");
        assert_eq!((error.line(), error.column()), (line, column), "{source}");
        assert_eq!(error.cause, Cause::Misplaced, "{source}");
    }
}

#[test]
fn what_is_never_closed() {
    check(
        Cause::Unterminated,
        &[
            (
                "0 f(\"abc) = 0",
                1,
                5,
                "found `\"` without an end, expected a closing `\"`",
            ),
            (
                "0 `abc",
                1,
                3,
                "found ``` without an end, expected a closing backtick",
            ),
            (
                "0 `a`\n/* abc",
                2,
                1,
                "found `/*` without an end, expected `*/` at the end of the comment",
            ),
            (
                "0 `a`\n/*/",
                2,
                1,
                "found `/*` without an end, expected `*/` at the end of the comment",
            ),
            (
                "0 %{ abc }",
                1,
                3,
                "found `%{` without an end, expected `}%` at the end of the code",
            ),
        ],
    );
}

#[test]
fn too_much_of_anything() {
    let deep = format!("0 f({}{}) = 0", "[".repeat(33), "]".repeat(33));
    let error = refused(&deep);
    assert_eq!(error.cause, Cause::TooDeep);
    assert_eq!(
        error.message(),
        "found `[`, expected at most 32 levels of nesting"
    );
    assert_eq!(error.column(), 5 + 32);
    super::read(&format!("0 f({}{}) = 0", "[".repeat(31), "]".repeat(31)));
    let large = " ".repeat(woshou_drill::MAX_SOURCE + 1);
    let error = refused(&large);
    assert_eq!(error.cause, Cause::TooLarge);
    assert_eq!(
        error.message(),
        "found 1048577 octets, expected a script of at most 1048576 octets"
    );
    let full = format!("0 `a`{}", " ".repeat(woshou_drill::MAX_SOURCE - 5));
    super::read(&full);
}

#[test]
fn errors_show_the_line_and_the_place() {
    let error = refused("0 `a`\n  +0 < . 1:1(0) ack 1 win 70000 // too large\n+0 `b`");
    assert_eq!(
        error.to_string(),
        "line 2, column 27: found `70000`, expected a window (0 to 65535)\n\
         \x20   +0 < . 1:1(0) ack 1 win 70000 // too large\n\
         \x20                           ^^^^^"
    );
}

#[test]
fn errors_count_characters_and_keep_tabs_in_line() {
    let error = refused("0 `a`\n+0\t\"\u{e4}\u{f6}\"\tx");
    assert_eq!(
        error.to_string(),
        "line 2, column 4: found the string `\u{e4}\u{f6}`, expected `~`, a packet (`<` or `>`), \
         a system call, a command in backticks or `%{`\n\
         \x20 +0 \"\u{e4}\u{f6}\" x\n\
         \x20    ^^^^"
    );
}

#[test]
fn errors_cut_long_lines() {
    let padding = "x".repeat(500);
    let error = refused(&format!("0 `a` /*{padding}*/ +0 ! {padding}"));
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[1].chars().count(), 2 + 120);
    assert_eq!(lines[2], format!("{}^", " ".repeat(2 + 60)));
    let error = refused(&format!("0 {padding}"));
    assert_eq!(error.message(), "found the end of the script, expected `(`");
    let error = refused(&format!("0 f(1) = 0 (x) {padding}"));
    assert_eq!(error.found, format!("`{}...`", "x".repeat(39)));
}
