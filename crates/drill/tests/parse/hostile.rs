//! Arbitrary and broken scripts: they are read or refused, quickly, and never worse.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use woshou_drill::{MAX_SOURCE, parse};

/// Lines that together touch the whole grammar.
const LINES: [&str; 24] = [
    "--define=N=10\n",
    "`sysctl -q net.ipv4.tcp_timestamps=0`\n",
    "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n",
    "+0 setsockopt(3, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0\n",
    "+0 bind(3, {sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr(\"192.0.2.1\")}, ...) = 0\n",
    "+.1 < S 0:0(0) win 65535 <mss 1000,sackOK,nop,nop>\n",
    "+0 > [ect0, ttl 64] SEW. 0:0(0) ack 1 win 65535 urg 0 <...>\n",
    "+0~+.1 > P.5 1:11(N) ack 1 <nop,nop,TS val ... ecr 7!>\n",
    "* > F5. 11:11(0) ack 1 <nop,nop,sack 1:11 21:31>\n",
    "+0 < 8080 > 0 R 4294967290:4(10)! ack 1 win 0 <ECN e1b 1 ceb 2,eol> /udp(1 > 2)\n",
    "+0 > . ...(0) <FO TFO_COOKIE,md5 valid,gen-30 00,exp-AccECN0 ee0b 1>\n",
    "+0...0.1 accept(3, ..., ...) = 4\n",
    "+0 read(4, \"ab\" \"cd\", [1,2]) = -1 EAGAIN (Resource temporarily unavailable)\n",
    "+0 sendmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 10}], msg_flags=0}, A|0x2) = 10\n",
    "+0 < icmp unreachable frag_needed mtu 1200 id 5 [1:11(10)]\n",
    "+0 < icmp type_3 code_4 [udp (8)]\n",
    "+0 < udp 53 > 53 (100)\n",
    "+0 > ipv4 192.0.2.1 > 192.0.2.2 : gre : mpls (label 1, tc 0, [S], ttl 3) : . 1:1(0)\n",
    "+0 < ipv6 (hlim 3) 2001:db8::1 > ::ffff:1.2.3.4 : sctp: INIT[flgs=0, tsn=[1]]\n",
    "+0 > encap psp spi 1 - 1:1(0)\n",
    "+1 %{ assert tcpi_snd_cwnd == 10, tcpi_snd_cwnd }%\n",
    "2.5 `true` // comment\n",
    "/* comment */ +0 close(4) = 0\n",
    "`sysctl_restore`\n",
];

/// A script as the grammar has it, but perhaps not in its order.
fn lines() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&LINES[..]), 0..20).prop_map(|lines| lines.concat())
}

/// Printed events read again and print the same: nothing is lost, nothing is made up.
fn check(source: &str) {
    match parse(source, &BTreeMap::new()) {
        Ok(script) => {
            let printed: Vec<String> = script.events.iter().map(ToString::to_string).collect();
            let again = parse(&printed.join("\n"), &script.defines)
                .unwrap_or_else(|error| panic!("{printed:#?}\n{error}"));
            let twice: Vec<String> = again.events.iter().map(ToString::to_string).collect();
            assert_eq!(twice, printed);
            for event in &script.events {
                assert!(
                    source
                        .get(event.span.range())
                        .is_some_and(|text| !text.is_empty())
                );
            }
        }
        Err(error) => {
            assert!(!error.expected.is_empty(), "{error}");
            assert!(error.line() >= 1 && error.column() >= 1);
            assert!(error.span.end as usize <= source.len());
            assert!(error.found.chars().count() < 64, "{error}");
            assert_eq!(error.to_string().lines().count(), 3, "{error}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text(source in ".{0,200}") {
        check(&source);
    }

    #[test]
    fn arbitrary_octets(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&String::from_utf8_lossy(&octets));
    }

    #[test]
    fn signs_and_digits(source in "[-+*~.<>(){}\\[\\]:,0-9a-fSPx!|=\"`%/ \n]{0,120}") {
        check(&format!("0 `a`\n{source}"));
    }

    #[test]
    fn sound_lines_in_any_order(source in lines()) {
        check(&source);
    }

    #[test]
    fn mutated_scripts(
        source in lines(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..6),
    ) {
        let mut octets = source.into_bytes();
        for (index, octet, kind) in edits {
            if octets.is_empty() { break; }
            let at = index.index(octets.len());
            match kind {
                0 => octets[at] = octet & 0x7f,
                1 => octets.insert(at, octet & 0x7f),
                2 => { octets.remove(at); }
                _ => octets.truncate(at),
            }
        }
        check(&String::from_utf8_lossy(&octets));
    }

    #[test]
    fn the_same_script_is_read_the_same(source in lines()) {
        prop_assert_eq!(parse(&source, &BTreeMap::new()), parse(&source, &BTreeMap::new()));
    }

    #[test]
    fn symbols_of_any_value(value in ".{0,20}") {
        let symbols = super::defines(&[("SYM", &value)]);
        for source in ["0 f(SYM) = SYM", "0 > SYM 1:1(SYM) ack SYM <mss SYM,FO SYM>", "SYM 0 SYM", "0 < icmp SYM SYM mtu SYM"] {
            if let Err(error) = parse(source, &symbols) {
                prop_assert_eq!(error.to_string().lines().count(), 3);
            }
        }
    }
}

/// As long as a script may be, of what a careless reader would go over again and again.
#[test]
fn large_scripts_take_no_long_time() {
    let fill = |part: &str| part.repeat(MAX_SOURCE / part.len() - 2);
    let sources = [
        fill("("),
        fill("f("),
        fill("{"),
        fill("["),
        fill(":"),
        fill("1:"),
        fill("a:"),
        fill("1.1.1."),
        fill("--a=1 "),
        fill("\\\""),
        fill("`"),
        fill("/*"),
        fill("%{"),
        fill("."),
        fill("-"),
        fill("0x"),
        fill("1"),
        fill("a"),
        fill("exp-"),
        fill("::"),
        fill("1:1:1:1:1:1:1:"),
        fill("\n"),
        fill("\u{e4}"),
    ];
    let starts = [
        "",
        "0 ",
        "0 f(",
        "0 f(1, ",
        "0 f(\"",
        "0 > . 1:1(0) <",
        "0 > ",
        "0 f() = 0 (",
        "0 > gre ",
    ];
    for source in &sources {
        for start in starts {
            let before = Instant::now();
            let _ = parse(&format!("{start}{source}"), &BTreeMap::new());
            let took = before.elapsed();
            assert!(
                took < Duration::from_secs(5),
                "{start}{}: {took:?}",
                &source[..8]
            );
        }
    }
    let many = format!("0 `a`\n{}", "+0 > . 1:1(0)\n".repeat(60_000));
    assert_eq!(
        parse(&many, &BTreeMap::new())
            .expect("many events")
            .events
            .len(),
        60_001
    );
    let list = format!("0 f([{}1]) = 0", "1,".repeat(500_000));
    assert!(parse(&list, &BTreeMap::new()).is_ok());
}
