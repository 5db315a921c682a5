//! The shape of a file: options, symbols, comments, commands, code, and where events end.

use woshou_drill::ast::{Action, Cookie, ExprKind, OptionValue, Options, TcpOption, When};
use woshou_drill::parse;

use super::{defines, read, tcp};

fn text(value: &str) -> Option<OptionValue> {
    Some(OptionValue::Text(value.to_owned()))
}

fn define(name: &str, value: &str) -> Option<OptionValue> {
    Some(OptionValue::Define {
        name: name.to_owned(),
        value: value.to_owned(),
    })
}

#[test]
fn every_form_of_an_option_line() {
    let table = [
        ("--strict_segments", "strict_segments", None),
        ("--tolerance_usecs=10000", "tolerance_usecs", text("10000")),
        (
            "--tolerance_percent=12.5",
            "tolerance_percent",
            text("12.5"),
        ),
        ("--mtu=-1", "mtu", text("-1")),
        ("--flag=0x7f", "flag", text("0x7f")),
        ("--ip_version=ipv4", "ip_version", text("ipv4")),
        (
            "--ip_version = ipv4_mapped_ipv6",
            "ip_version",
            text("ipv4_mapped_ipv6"),
        ),
        ("--local_ip=192.168.0.1", "local_ip", text("192.168.0.1")),
        (
            "--remote_ip=fd3d:fa7b:d17d::1",
            "remote_ip",
            text("fd3d:fa7b:d17d::1"),
        ),
        (
            "--remote_ip=::ffff:192.0.2.1",
            "remote_ip",
            text("::ffff:192.0.2.1"),
        ),
        (
            "--wire_client_dev=\"eth 0\"",
            "wire_client_dev",
            text("eth 0"),
        ),
        (
            "--define=PROTO=IPPROTO_TCP",
            "define",
            define("PROTO", "IPPROTO_TCP"),
        ),
        ("--define=PROTO=6", "define", define("PROTO", "6")),
        ("--define=CC=\"reno\"", "define", define("CC", "\"reno\"")),
        ("--define=END=`true`", "define", define("END", "`true`")),
    ];
    for (line, name, value) in table {
        let script = read(&format!("{line}\n0 `true`"));
        assert_eq!(script.options.len(), 1, "{line}");
        assert_eq!(script.options[0].name.value, name, "{line}");
        assert_eq!(
            script.options[0]
                .value
                .as_ref()
                .map(|value| value.value.clone()),
            value,
            "{line}"
        );
        assert_eq!(script.events.len(), 1, "{line}");
    }
    let script = read("--ip_version=ipv6\n--mss=1000 --strict_segments\n0 `true`");
    let names: Vec<_> = script
        .options
        .iter()
        .map(|option| option.name.value.as_str())
        .collect();
    assert_eq!(names, ["ip_version", "mss", "strict_segments"]);
    assert_eq!(script.options[2].span.line, 2);
}

#[test]
fn comments_and_blanks_are_nothing() {
    let table = [
        "// one\n0 `a`\n// two\n0 `b`",
        "/* one */ 0 /* two\n lines */ `a` 0 `b` // the end",
        "\t0\r\n`a`\r\n\r\n0 `b`\r\n",
        "0 `a` /* a * b ** / c **/ 0 `b`",
        "/**/0 `a`//\n0 `b`//",
        "\u{feff}0 `a` 0 `b`",
    ];
    for source in table {
        assert_eq!(read(source).events.len(), 2, "{source}");
    }
}

#[test]
fn commands_before_between_and_behind() {
    let source = "--mss=1\n`first \"raw\" // $x`\n0 `second`\n+1 `third \\` on`\n`last`";
    let script = read(source);
    assert_eq!(
        script.init.map(|command| command.text).as_deref(),
        Some("first \"raw\" // $x")
    );
    assert_eq!(
        script.cleanup.map(|command| command.text).as_deref(),
        Some("last")
    );
    let texts: Vec<_> = script
        .events
        .iter()
        .map(|event| match &event.action {
            Action::Command(command) => command.text.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(texts, ["second", "third \\` on"]);
    let none = read("0 `only`");
    assert_eq!((none.init, none.cleanup), (None, None));
}

#[test]
fn commands_may_span_lines() {
    let script = read("`sysctl -q a=1\n  sysctl -q b=2`\n0 `x`");
    let init = script.init.expect("a command");
    assert_eq!(init.text, "sysctl -q a=1\n  sysctl -q b=2");
    assert_eq!((init.span.line, init.span.column), (1, 1));
    assert_eq!(script.events[0].span.line, 3);
}

#[test]
fn code_is_raw_and_knows_its_place() {
    let source =
        "0 %{  assert tcpi_x == 1, tcpi_x\t}%\n+1 %{\nassert { 1: 2 }\n  # \"}\" `\n}%\n+0 %{}%";
    let script = read(source);
    let codes: Vec<_> = script
        .events
        .iter()
        .map(|event| match &event.action {
            Action::Code(code) => code,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(codes[0].text, "assert tcpi_x == 1, tcpi_x");
    assert_eq!(&source[codes[0].text_span.range()], codes[0].text);
    assert_eq!((codes[0].text_span.line, codes[0].text_span.column), (1, 7));
    assert_eq!(codes[1].text, "\nassert { 1: 2 }\n  # \"}\" `\n");
    assert_eq!(&source[codes[1].text_span.range()], codes[1].text);
    assert_eq!(codes[2].text, "");
    assert_eq!(codes[0].to_string(), "%{ assert tcpi_x == 1, tcpi_x }%");
}

#[test]
fn an_event_ends_where_the_next_time_starts() {
    let source = "0 socket(..., SOCK_STREAM,\n IPPROTO_TCP) = 3 +0 bind(3, ..., ...)\n = 0 +0 listen(3, 1) = 0\n\
        +0 <\n S 0:0(0)\n win 65535\n <mss 1000> .1 > S. 0:0(0) ack 1 <...> * > . 1:1(0) ack 1\n 1 %{ a }% 2 `b`";
    let script = read(source);
    let whens: Vec<_> = script.events.iter().map(|event| event.when.value).collect();
    assert_eq!(
        whens,
        [
            When::Absolute(0),
            When::Relative(0),
            When::Relative(0),
            When::Relative(0),
            When::Absolute(100_000),
            When::Any,
            When::Absolute(1_000_000),
            When::Absolute(2_000_000),
        ]
    );
    assert_eq!(script.events[4].span.line, 7);
}

#[test]
fn events_print_as_they_read() {
    let table = [
        "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3",
        "+0 < S 0:0(0) win 65535 <mss 1000,nop,nop,sackOK>",
        "+0.1~+0.2 > P. 1:11(10) ack 1",
        "* > . 1:1(0) ack 1 <...>",
        "+0...0.5 read(4, ..., 10) = 10",
        "+1 `sysctl -q x=1`",
        "+1 %{ assert tcpi_x == 1 }%",
    ];
    let source = format!("0 `true`\n{}", table[1..].join("\n"));
    let printed: Vec<_> = read(&source)
        .events
        .iter()
        .skip(1)
        .map(ToString::to_string)
        .collect();
    assert_eq!(printed, table[1..]);
    assert_eq!(read(table[0]).events[0].to_string(), table[0]);
}

/// What a symbol stands for depends on how its value looks.
#[test]
fn symbols() {
    let number = |value, hex| ExprKind::Int { value, hex };
    let table = [
        ("\"text here\"", ExprKind::Str("text here".to_owned())),
        ("WORD", ExprKind::Word("WORD".to_owned())),
        ("17", number(17, false)),
        ("-3", number(-3, false)),
        ("+3", number(3, false)),
        ("0x1f", number(31, true)),
        ("0X1F", number(31, true)),
        ("-0x10", number(-16, true)),
        ("010", number(8, false)),
        ("0", number(0, false)),
        (" 5", number(5, false)),
        ("08", ExprKind::Word("08".to_owned())),
        ("5x", ExprKind::Word("5x".to_owned())),
        ("0x", ExprKind::Word("0x".to_owned())),
        ("", ExprKind::Word(String::new())),
        ("\"", ExprKind::Word("\"".to_owned())),
        (
            "99999999999999999999",
            ExprKind::Word("99999999999999999999".to_owned()),
        ),
    ];
    for (value, expected) in table {
        let script = parse("0 f(SYM) = 0", &defines(&[("SYM", value)])).expect(value);
        let Action::Call(call) = &script.events[0].action else {
            panic!("{value}")
        };
        assert_eq!(call.arguments[0].kind, expected, "{value}");
    }
}

#[test]
fn symbols_stand_for_commands_numbers_and_parts_of_packets() {
    let symbols = defines(&[
        ("RUN", "`sysctl -a`"),
        ("N", "1000"),
        ("COOKIE", "0102030405060708"),
        ("FL", "P."),
    ]);
    let source = "RUN\n0 RUN\n+0 > FL 1:1001(N) ack N <mss N,FO COOKIE,nop,nop>\nRUN";
    let script = parse(source, &symbols).expect("symbols");
    assert_eq!(
        script.init.map(|command| command.text).as_deref(),
        Some("sysctl -a")
    );
    assert_eq!(
        script.cleanup.map(|command| command.text).as_deref(),
        Some("sysctl -a")
    );
    assert_eq!(
        script.events[1].to_string(),
        "+0 > P. 1:1001(1000) ack 1000 <mss 1000,FO 0102030405060708,nop,nop>"
    );
}

#[test]
fn words_of_the_language_are_no_symbols() {
    let symbols = defines(&[("ack", "5"), ("mss", "7"), ("fd", "9"), ("udp", "icmp")]);
    let source =
        "0 > . 1:1(0) ack 1 <mss 1000>\n+0 poll([{fd=1, events=A}], 1, 0) = 0\n+0 > udp (4)";
    let script = parse(source, &symbols).expect("reserved");
    let printed: Vec<_> = script.events.iter().map(ToString::to_string).collect();
    assert_eq!(printed[0], "0 > . 1:1(0) ack 1 <mss 1000>");
    assert_eq!(printed[1], "+0 poll([{fd=1, events=A}], 1, 0) = 0");
    assert_eq!(printed[2], "+0 > udp (4)");
}

#[test]
fn the_command_line_wins_over_the_script() {
    let source = "--define=A=1\n--define=B=2\n0 f(A, B, C) = 0";
    let script = parse(source, &defines(&[("B", "3"), ("C", "4")])).expect("symbols");
    assert_eq!(script.events[0].to_string(), "0 f(1, 3, 4) = 0");
    assert_eq!(
        script.defines,
        defines(&[("A", "1"), ("B", "3"), ("C", "4")])
    );
}

#[test]
fn symbols_do_not_reach_into_option_lines_strings_and_commands() {
    let source = "--local_ip=A\n0 f(\"A\") = 0\n+0 `A`";
    let script = parse(source, &defines(&[("A", "1")])).expect("symbols");
    assert_eq!(
        script.options[0].value.as_ref().map(|v| v.value.clone()),
        text("A")
    );
    assert_eq!(script.events[0].to_string(), "0 f(\"A\") = 0");
    assert_eq!(script.events[1].to_string(), "+0 `A`");
}

#[test]
fn a_cookie_without_a_value_keeps_its_name() {
    let Options::Exact(list) = tcp("> S 0:0(0) <FO TFO_COOKIE,nop,nop>").options.value else {
        panic!("list")
    };
    let cookie = Cookie::Named("TFO_COOKIE".to_owned());
    assert_eq!(
        list[0].value,
        TcpOption::FastOpen {
            cookie,
            experimental: false
        }
    );
}

#[test]
fn numbers_with_colons_are_no_addresses() {
    // Each of these could start an IPv6 address.
    for line in [
        "> . 1:1001(1000) ack 1",
        "> . 12:34(22)",
        "< . 1:1(0) ack 1 win 9 <nop,nop,sack 1:2 3:4>",
    ] {
        assert_eq!(super::packet(line).to_string(), line);
    }
    let script = read("--local_ip=1:2:3:4:5:6:7:8\n--remote_ip=::\n--gateway_ip=a::b\n0 `x`");
    let values: Vec<_> = script
        .options
        .iter()
        .map(|o| o.value.clone().map(|v| v.value))
        .collect();
    assert_eq!(values, [text("1:2:3:4:5:6:7:8"), text("::"), text("a::b")]);
}

/// The reference of the language does not show what cannot be read.
#[test]
fn the_examples_of_the_reference_are_read() {
    let page = include_str!("../../../../docs/drill.md");
    let blocks = page.split("```").skip(1).step_by(2);
    let events: Vec<&str> = blocks
        .flat_map(str::lines)
        .filter(|line| line.starts_with(['+', '0']))
        .collect();
    assert!(events.len() > 18, "{events:#?}");
    for line in events {
        assert_eq!(read(&format!("0 `true`\n{line}")).events.len(), 2, "{line}");
    }
}
