//! TCP options.

use woshou_drill::ast::{AccEcnOrder, Cookie, Md5, Options, SackBlock, TcpOption};

use super::tcp;

/// Reads one option, padded to a multiple of four octets.
fn option(text: &str) -> TcpOption {
    let read = |line: String| match tcp(&line).options.value {
        Options::Exact(mut list) => list.remove(0).value,
        Options::Unchecked => panic!("{line}"),
    };
    // Behind a cookie without a value nothing is known of the length, and any padding will do.
    let length = ["", ",nop", ",nop,nop", ",nop,nop,nop"]
        .into_iter()
        .find(|pad| {
            woshou_drill::parse(&format!("0 > . 1:1(0) <{text}{pad}>"), &super::defines(&[]))
                .is_ok()
        });
    read(format!("> . 1:1(0) <{text}{}>", length.unwrap_or("")))
}

fn sack(blocks: &[(u32, u32)]) -> TcpOption {
    TcpOption::Sack(
        blocks
            .iter()
            .map(|&(left, right)| SackBlock { left, right })
            .collect(),
    )
}

fn stamp(value: Option<u32>, echo: u32, echo_absolute: bool) -> TcpOption {
    TcpOption::Timestamp {
        value,
        echo,
        echo_absolute,
    }
}

fn fast_open(cookie: Cookie, experimental: bool) -> TcpOption {
    TcpOption::FastOpen {
        cookie,
        experimental,
    }
}

fn acc_ecn(order: AccEcnOrder, counters: &[u32], experimental: bool) -> TcpOption {
    TcpOption::AccEcn {
        order,
        counters: counters.to_vec(),
        experimental,
    }
}

#[test]
fn plain_options() {
    let table = [
        ("nop", TcpOption::Nop, 1),
        ("eol", TcpOption::Eol, 1),
        ("mss 0", TcpOption::Mss(0), 4),
        ("mss 65535", TcpOption::Mss(65535), 4),
        ("wscale 8", TcpOption::WindowScale(8), 3),
        ("wscale 255", TcpOption::WindowScale(255), 3),
        ("sackOK", TcpOption::SackPermitted, 2),
        ("sack 1:1001", sack(&[(1, 1001)]), 10),
        (
            "sack 1:1001 2001:3001",
            sack(&[(1, 1001), (2001, 3001)]),
            18,
        ),
        ("sack 9:8 7:6 5:4", sack(&[(9, 8), (7, 6), (5, 4)]), 26),
        (
            "sack 1:2 3:4 5:6 4294967295:0",
            sack(&[(1, 2), (3, 4), (5, 6), (u32::MAX, 0)]),
            34,
        ),
        ("TS val 100 ecr 0", stamp(Some(100), 0, false), 10),
        (
            "TS val 4294967295 ecr 4294967295",
            stamp(Some(u32::MAX), u32::MAX, false),
            10,
        ),
        ("TS val ... ecr 5", stamp(None, 5, false), 10),
        ("TS val 1 ecr 5!", stamp(Some(1), 5, true), 10),
        ("TS val ... ecr 0!", stamp(None, 0, true), 10),
        ("exp-tarr", TcpOption::AckRate(None), 4),
        ("exp-tarr 2047", TcpOption::AckRate(Some(2047)), 6),
        (
            "gen-30 0c00",
            TcpOption::Generic {
                kind: 30,
                data: vec![0x0c, 0],
            },
            4,
        ),
        (
            "gen-253 12345678",
            TcpOption::Generic {
                kind: 253,
                data: vec![0x12, 0x34, 0x56, 0x78],
            },
            6,
        ),
        (
            "gen-0xfe 0xF989",
            TcpOption::Generic {
                kind: 254,
                data: vec![0xf9, 0x89],
            },
            4,
        ),
        (
            "gen-255",
            TcpOption::Generic {
                kind: 255,
                data: vec![],
            },
            2,
        ),
    ];
    for (text, expected, length) in table {
        let got = option(text);
        assert_eq!(got, expected, "{text}");
        assert_eq!(got.wire_length(), Some(length), "{text}");
        assert_eq!(option(&got.to_string()), expected, "{got}");
    }
}

#[test]
fn digests() {
    let text = "md5 00112233445566778899aabbccddeeff";
    let digest = [
        0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
    ];
    assert_eq!(option(text), TcpOption::Md5(Md5::Digest(digest)));
    assert_eq!(option(text).to_string(), text);
    // All digits: a number to the lexer, and one that fits nowhere.
    assert_eq!(
        option("md5 11111111111111111111111111111111"),
        TcpOption::Md5(Md5::Digest([0x11; 16]))
    );
    assert_eq!(option("md5 valid"), TcpOption::Md5(Md5::Valid));
    assert_eq!(option("md5 valid").wire_length(), Some(18));
}

#[test]
fn cookies() {
    let octets = |octets: &[u8]| Cookie::Octets(octets.to_vec());
    let table = [
        ("FO", fast_open(Cookie::Request, false), Some(2)),
        (
            "FO a1b2c3d4",
            fast_open(octets(&[0xa1, 0xb2, 0xc3, 0xd4]), false),
            Some(6),
        ),
        (
            "FO 12345678",
            fast_open(octets(&[0x12, 0x34, 0x56, 0x78]), false),
            Some(6),
        ),
        ("FO 00", fast_open(octets(&[0]), false), Some(3)),
        (
            "FO 12ab34cd",
            fast_open(octets(&[0x12, 0xab, 0x34, 0xcd]), false),
            Some(6),
        ),
        (
            "FO 12345678901234567890123456789012",
            fast_open(
                octets(&[
                    0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56,
                    0x78, 0x90, 0x12,
                ]),
                false,
            ),
            Some(18),
        ),
        (
            "FO TFO_COOKIE",
            fast_open(Cookie::Named("TFO_COOKIE".to_owned()), false),
            None,
        ),
        ("FOEXP", fast_open(Cookie::Request, true), Some(4)),
        ("exp-FO", fast_open(Cookie::Request, true), Some(4)),
        (
            "FOEXP abcd",
            fast_open(octets(&[0xab, 0xcd]), true),
            Some(6),
        ),
        (
            "exp-FO abcd",
            fast_open(octets(&[0xab, 0xcd]), true),
            Some(6),
        ),
    ];
    for (text, expected, length) in table {
        let got = option(text);
        assert_eq!(got, expected, "{text}");
        assert_eq!(got.wire_length(), length, "{text}");
        assert_eq!(option(&got.to_string()), expected, "{got}");
    }
}

#[test]
fn counters_of_accurate_ecn() {
    use AccEcnOrder::{E0First, E1First};
    let table = [
        ("ECN e0b 1", acc_ecn(E0First, &[1], false), 5),
        ("ECN e1b 1", acc_ecn(E1First, &[1], false), 5),
        ("ECN e0b 1 ceb 2", acc_ecn(E0First, &[1, 2], false), 8),
        (
            "ECN e1b 1 ceb 2 e0b 3",
            acc_ecn(E1First, &[1, 2, 3], false),
            11,
        ),
        (
            "ECN e0b 1 ceb 2 e1b 16777215",
            acc_ecn(E0First, &[1, 2, 0xff_ffff], false),
            11,
        ),
        ("ECN", acc_ecn(E0First, &[], false), 2),
        ("AccECN0", acc_ecn(E0First, &[], false), 2),
        ("AccECN1", acc_ecn(E1First, &[], false), 2),
        (
            "AccECN0 ee0b 1 eceb 2 ee1b 3",
            acc_ecn(E0First, &[1, 2, 3], false),
            11,
        ),
        ("AccECN1 ee1b 1 eceb 2", acc_ecn(E1First, &[1, 2], false), 8),
        ("exp-AccECN0 ee0b 1", acc_ecn(E0First, &[1], true), 7),
        (
            "exp-AccECN1 ee1b 1 eceb 2 ee0b 3",
            acc_ecn(E1First, &[1, 2, 3], true),
            13,
        ),
    ];
    for (text, expected, length) in table {
        let got = option(text);
        assert_eq!(got, expected, "{text}");
        assert_eq!(got.wire_length(), Some(length), "{text}");
        assert_eq!(option(&got.to_string()), expected, "{got}");
    }
}

#[test]
fn forty_octets_of_options_fit() {
    for text in [
        "mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 8",
        "nop,nop,TS val 1 ecr 2,nop,nop,sack 1:2 3:4 5:6",
        "mss 1460,nop,wscale 6,sackOK,TS val 1 ecr 0,FO,eol,eol",
    ] {
        let line = format!("> S 0:0(0) <{text}>");
        assert_eq!(super::packet(&line).to_string(), line);
    }
    let nops = vec!["nop"; 40].join(",");
    assert!(
        matches!(tcp(&format!("> . 1:1(0) <{nops}>")).options.value, Options::Exact(l) if l.len() == 40)
    );
}
