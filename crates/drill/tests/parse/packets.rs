//! TCP and UDP packet lines.

use woshou_drill::ast::{Body, Direction, EcnFlags, Flags, Options, Seq, TcpOption};

use super::{packet, tcp};

fn letters(ece: bool, cwr: bool, ae: bool) -> EcnFlags {
    EcnFlags::Letters { ece, cwr, ae }
}

#[test]
fn every_flag_in_every_order() {
    let none = Flags::default();
    let ack = Flags { ack: true, ..none };
    let ace = |value| Flags {
        ecn: EcnFlags::Ace(value),
        ..ack
    };
    let push = Flags { psh: true, ..ack };
    let table = [
        ("-", none),
        (".", ack),
        ("F", Flags { fin: true, ..none }),
        ("S", Flags { syn: true, ..none }),
        ("R", Flags { rst: true, ..none }),
        ("P", Flags { psh: true, ..none }),
        ("U", Flags { urg: true, ..none }),
        (
            "E",
            Flags {
                ecn: letters(true, false, false),
                ..none
            },
        ),
        (
            "W",
            Flags {
                ecn: letters(false, true, false),
                ..none
            },
        ),
        (
            "A",
            Flags {
                ecn: letters(false, false, true),
                ..none
            },
        ),
        ("S.", Flags { syn: true, ..ack }),
        (".S", Flags { syn: true, ..ack }),
        ("FP.", Flags { fin: true, ..push }),
        ("PF.", Flags { fin: true, ..push }),
        ("P.F", Flags { fin: true, ..push }),
        ("R.", Flags { rst: true, ..ack }),
        (
            "SEW",
            Flags {
                syn: true,
                ecn: letters(true, true, false),
                ..none
            },
        ),
        (
            "SWE",
            Flags {
                syn: true,
                ecn: letters(true, true, false),
                ..none
            },
        ),
        (
            "SEWA",
            Flags {
                syn: true,
                ecn: letters(true, true, true),
                ..none
            },
        ),
        (
            "SE.",
            Flags {
                syn: true,
                ecn: letters(true, false, false),
                ..ack
            },
        ),
        (
            "S.E",
            Flags {
                syn: true,
                ecn: letters(true, false, false),
                ..ack
            },
        ),
        (
            "EP.",
            Flags {
                ecn: letters(true, false, false),
                ..push
            },
        ),
        ("UP.", Flags { urg: true, ..push }),
        (
            "FSRPU.EWA",
            Flags {
                fin: true,
                syn: true,
                rst: true,
                urg: true,
                ecn: letters(true, true, true),
                ..push
            },
        ),
        (".5", ace(5)),
        ("5.", ace(5)),
        (".0", ace(0)),
        (".7", ace(7)),
        (
            "P.5",
            Flags {
                psh: true,
                ..ace(5)
            },
        ),
        (
            "P5.",
            Flags {
                psh: true,
                ..ace(5)
            },
        ),
        (
            "5P.",
            Flags {
                psh: true,
                ..ace(5)
            },
        ),
        (
            ".5P",
            Flags {
                psh: true,
                ..ace(5)
            },
        ),
        (
            "F5.",
            Flags {
                fin: true,
                ..ace(5)
            },
        ),
        (
            "S.2",
            Flags {
                syn: true,
                ..ace(2)
            },
        ),
        (
            "S3",
            Flags {
                syn: true,
                ecn: EcnFlags::Ace(3),
                ..none
            },
        ),
        (
            "6",
            Flags {
                ecn: EcnFlags::Ace(6),
                ..none
            },
        ),
    ];
    for (text, expected) in table {
        assert_eq!(
            tcp(&format!("> {text} 1:1(0)")).flags.value,
            expected,
            "{text}"
        );
    }
}

#[test]
fn flags_print_canonically() {
    for text in [
        "-", ".", "S", "S.", "FP.", "R.", "SEWA", "SE.", "PU.", ".5", "P.5", "F.0", "S3", "6",
    ] {
        assert_eq!(
            tcp(&format!("> {text} 1:1(0)")).flags.value.to_string(),
            text
        );
    }
}

#[test]
fn letters_and_digits_of_ecn_have_the_same_bits() {
    let table = [
        (".E", 1),
        (".W", 2),
        (".EW", 3),
        (".A", 4),
        (".AE", 5),
        (".AWE", 7),
        (".", 0),
    ];
    for (text, bits) in table {
        assert_eq!(
            tcp(&format!("> {text} 1:1(0)")).flags.value.ecn.bits(),
            bits,
            "{text}"
        );
        assert_eq!(
            tcp(&format!("> .{bits} 1:1(0)")).flags.value.ecn.bits(),
            bits,
            "{text}"
        );
    }
}

#[test]
fn every_form_of_sequence_numbers() {
    let range = |start, length| Seq::Range {
        start,
        length,
        absolute: false,
    };
    let table = [
        ("0:0(0)", range(0, 0)),
        ("1:1001(1000)", range(1, 1000)),
        ("1:65536(65535)", range(1, 65535)),
        ("4294967295:4294967295(0)", range(u32::MAX, 0)),
        // Sequence numbers wrap (RFC 9293 3.4).
        ("4294967290:4(10)", range(4_294_967_290, 10)),
        ("1 : 11 ( 10 )", range(1, 10)),
        ("0x10:0x20(16)", range(16, 16)),
        (
            "1:1(0)!",
            Seq::Range {
                start: 1,
                length: 0,
                absolute: true,
            },
        ),
        (
            "1:6(5) !",
            Seq::Range {
                start: 1,
                length: 5,
                absolute: true,
            },
        ),
        ("...(0)", Seq::Any { length: 0 }),
        ("... (1460)", Seq::Any { length: 1460 }),
    ];
    for (text, expected) in table {
        let seq = tcp(&format!("> . {text} ack 1")).seq.value;
        assert_eq!(seq, expected, "{text}");
    }
    assert_eq!(range(4_294_967_290, 10).to_string(), "4294967290:4(10)");
    assert_eq!(Seq::Any { length: 7 }.to_string(), "...(7)");
    assert_eq!(Seq::Any { length: 7 }.length(), 7);
}

#[test]
fn fields_of_a_segment() {
    let table = [
        ("> . 1:1(0)", None, None, None),
        ("> . 1:1(0) ack 1", Some(1), None, None),
        ("> . 1:1(0) ack 4294967295", Some(u32::MAX), None, None),
        ("> . 1:1(0) win 0", None, Some(0), None),
        ("> . 1:1(0) ack 5 win 65535", Some(5), Some(65535), None),
        ("> U. 1:1(0) ack 5 urg 65535", Some(5), None, Some(65535)),
        (
            "< U. 1:2(1) ack 1 win 257 urg 1",
            Some(1),
            Some(257),
            Some(1),
        ),
        ("< R 1:1(0) win 0", None, Some(0), None),
    ];
    for (text, ack, window, urgent) in table {
        let tcp = tcp(text);
        assert_eq!(tcp.ack.map(|field| field.value), ack, "{text}");
        assert_eq!(tcp.window.map(|field| field.value), window, "{text}");
        assert_eq!(tcp.urgent.map(|field| field.value), urgent, "{text}");
        assert_eq!(packet(text).to_string(), text);
    }
}

#[test]
fn ports_direction_and_udp_around() {
    let line = "< 0 > 65535 S 0:0(0) win 65535";
    assert_eq!(packet(line).direction, Direction::In);
    let ports = tcp(line).ports.expect("ports");
    assert_eq!((ports.source.value, ports.destination.value), (0, 65535));
    assert_eq!(tcp("> . 1:1(0)").ports, None);
    assert_eq!(packet("> . 1:1(0)").direction, Direction::Out);
    let line = "> S. 0:0(0) ack 1 <mss 1000> /udp(9899 > 5000)";
    let udp = tcp(line).udp.expect("udp");
    assert_eq!((udp.source.value, udp.destination.value), (9899, 5000));
    assert_eq!(packet(line).to_string(), line);
    assert_eq!(
        packet("> 8080 > 5000 .5 1:1(0)").to_string(),
        "> 8080 > 5000 .5 1:1(0)"
    );
}

#[test]
fn no_options_differ_from_any_options() {
    assert_eq!(tcp("> . 1:1(0)").options.value, Options::Exact(vec![]));
    assert_eq!(tcp("> . 1:1(0) <...>").options.value, Options::Unchecked);
    assert_eq!(tcp("> . 1:1(0) < ... >").options.value.to_string(), "<...>");
    let Options::Exact(list) = tcp("> S 0:0(0) <mss 1460,nop,nop,sackOK>").options.value else {
        panic!("a list")
    };
    let values: Vec<_> = list.into_iter().map(|option| option.value).collect();
    let expected = [
        TcpOption::Mss(1460),
        TcpOption::Nop,
        TcpOption::Nop,
        TcpOption::SackPermitted,
    ];
    assert_eq!(values, expected);
}

#[test]
fn datagrams() {
    let table = [
        ("< udp (0)", None, 0),
        ("> udp (65535)", None, 65535),
        ("< udp 53 > 5353 (100)", Some((53, 5353)), 100),
        ("< 53 > 5353 udp (100)", Some((53, 5353)), 100),
    ];
    for (text, ports, length) in table {
        let Body::Udp(udp) = packet(text).body else {
            panic!("{text}")
        };
        let got = udp
            .ports
            .map(|ports| (ports.source.value, ports.destination.value));
        assert_eq!((got, udp.length.value), (ports, length), "{text}");
    }
    assert_eq!(
        packet("< 53 > 5353 udp (100)").to_string(),
        "< udp 53 > 5353 (100)"
    );
}

#[test]
fn fields_know_where_they_stand() {
    let source = "0 < S 0:0(0) win 10\n+.1\n   > P. 1:11(10)\n ack 1 <nop,nop,TS val 1 ecr 2>";
    let script = super::read(source);
    let text = |span: woshou_drill::Span| &source[span.range()];
    assert_eq!(text(script.events[0].span), "0 < S 0:0(0) win 10");
    assert_eq!(text(script.events[1].when.span), "+.1");
    assert_eq!(
        (script.events[1].span.line, script.events[1].span.column),
        (2, 1)
    );
    let woshou_drill::ast::Action::Packet(packet) = &script.events[1].action else {
        panic!("packet")
    };
    assert_eq!((packet.span.line, packet.span.column), (3, 4));
    let Body::Tcp(tcp) = &packet.body else {
        panic!("tcp")
    };
    assert_eq!(text(tcp.flags.span), "P.");
    assert_eq!(text(tcp.seq.span), "1:11(10)");
    assert_eq!(
        tcp.ack.map(|ack| (text(ack.span), ack.span.line)),
        Some(("1", 4))
    );
    let Options::Exact(list) = &tcp.options.value else {
        panic!("list")
    };
    assert_eq!(text(tcp.options.span), "<nop,nop,TS val 1 ecr 2>");
    assert_eq!(text(list[2].span), "TS val 1 ecr 2");
}
