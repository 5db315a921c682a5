//! TCP options of packet lines as octets, and octets in words.

use core::fmt::Write as _;

use woshou_wire::tcp_option::{self as kind, RawOptions};

use crate::ast::{AccEcnOrder, Cookie, Md5, TcpOption};

/// TCP Fast Open (RFC 7413).
pub(crate) const KIND_FAST_OPEN: u8 = 34;
/// MD5 signature (RFC 2385).
pub(crate) const KIND_MD5: u8 = 19;
/// AccECN, E0B first and E1B first (RFC 9768).
pub(crate) const KIND_ACC_ECN_0: u8 = 172;
pub(crate) const KIND_ACC_ECN_1: u8 = 174;
/// Shared experimental options (RFC 6994); two octets of magic follow the length.
pub(crate) const KIND_EXPERIMENTAL: u8 = 254;
const MAGIC_FAST_OPEN: u16 = 0xf989;
const MAGIC_ACC_ECN_0: u16 = 0xacc0;
const MAGIC_ACC_ECN_1: u16 = 0xacc1;

/// How the numbers of an option become those of the wire.
pub(crate) trait Numbers {
    /// An edge of a SACK block.
    fn edge(&self, script: u32) -> u32;
    /// TSecr; why there is none.
    fn echo(&self, script: u32, absolute: bool) -> Result<u32, String>;
}

/// What `option` cannot be sent without, by name; `None`: woshou's drill can build it.
pub(crate) fn needs(option: &TcpOption) -> Option<&'static str> {
    match option {
        TcpOption::FastOpen {
            cookie: Cookie::Named(_),
            ..
        } => Some("TCP Fast Open cookies by name"),
        TcpOption::Md5(Md5::Valid) => Some("TCP MD5 signatures"),
        TcpOption::AckRate(_) => Some("TCP ACK rate request"),
        _ => None,
    }
}

/// What `option` asks of the stack that sends it, by name; `None`: woshou sends it.
pub(crate) fn feature(option: &TcpOption) -> Option<&'static str> {
    match option {
        TcpOption::FastOpen { .. } => Some("TCP Fast Open"),
        TcpOption::Md5(_) => Some("TCP MD5 signatures"),
        TcpOption::AccEcn { .. } => Some("AccECN"),
        TcpOption::AckRate(_) => Some("TCP ACK rate request"),
        _ => None,
    }
}

fn put(into: &mut Vec<u8>, kind: u8, data: &[u8]) {
    into.push(kind);
    into.push(u8::try_from(data.len() + 2).unwrap_or(u8::MAX));
    into.extend_from_slice(data);
}

/// As [`put`], for a shared experimental option.
fn put_experimental(into: &mut Vec<u8>, magic: u16, data: &[u8]) {
    put(
        into,
        KIND_EXPERIMENTAL,
        &[&magic.to_be_bytes(), data].concat(),
    );
}

/// Counters of AccECN, 24 bits each.
fn counter_octets(counters: &[u32]) -> Vec<u8> {
    let octets = counters.iter().map(|counter| counter.to_be_bytes());
    octets.flat_map(|[_, a, b, c]| [a, b, c]).collect()
}

/// The octets of an injected option, appended to `into`.
pub(crate) fn encode(
    option: &TcpOption,
    numbers: &dyn Numbers,
    into: &mut Vec<u8>,
) -> Result<(), String> {
    match option {
        TcpOption::Nop => into.push(kind::KIND_NOP),
        TcpOption::Eol => into.push(kind::KIND_EOL),
        TcpOption::Mss(mss) => put(into, kind::KIND_MSS, &mss.to_be_bytes()),
        TcpOption::WindowScale(shift) => put(into, kind::KIND_WINDOW_SCALE, &[*shift]),
        TcpOption::SackPermitted => put(into, kind::KIND_SACK_PERMITTED, &[]),
        TcpOption::Sack(blocks) => {
            let edges = blocks.iter().flat_map(|block| [block.left, block.right]);
            let octets = edges.flat_map(|edge| numbers.edge(edge).to_be_bytes());
            put(into, kind::KIND_SACK, &octets.collect::<Vec<u8>>());
        }
        TcpOption::Timestamp {
            value,
            echo,
            echo_absolute,
        } => {
            let value = value.ok_or("an injected timestamp without a value")?;
            let echo = numbers.echo(*echo, *echo_absolute)?;
            let data = [value.to_be_bytes(), echo.to_be_bytes()].concat();
            put(into, kind::KIND_TIMESTAMPS, &data);
        }
        TcpOption::Md5(Md5::Digest(digest)) => put(into, KIND_MD5, digest),
        TcpOption::FastOpen {
            cookie,
            experimental,
        } => {
            let octets: &[u8] = match cookie {
                Cookie::Octets(octets) => octets,
                Cookie::Request | Cookie::Named(_) => &[],
            };
            if *experimental {
                put_experimental(into, MAGIC_FAST_OPEN, octets);
            } else {
                put(into, KIND_FAST_OPEN, octets);
            }
        }
        TcpOption::AccEcn {
            order,
            counters,
            experimental,
        } => {
            let (kind, magic) = match order {
                AccEcnOrder::E0First => (KIND_ACC_ECN_0, MAGIC_ACC_ECN_0),
                AccEcnOrder::E1First => (KIND_ACC_ECN_1, MAGIC_ACC_ECN_1),
            };
            let octets = counter_octets(counters);
            if *experimental {
                put_experimental(into, magic, &octets);
            } else {
                put(into, kind, &octets);
            }
        }
        TcpOption::Generic { kind, data } => put(into, *kind, data),
        TcpOption::Md5(Md5::Valid) | TcpOption::AckRate(_) => {
            return Err(needs(option).unwrap_or("an option").to_owned());
        }
    }
    Ok(())
}

/// An option that left, in the script's numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Nop,
    Eol,
    Timestamp {
        value: u32,
        echo: u32,
    },
    /// Anything else: kind and data, edges of SACK blocks mapped.
    Other {
        kind: u8,
        data: Vec<u8>,
    },
}

/// The options of a segment that left; edges are mapped with `edge`. `Err`: what of them cannot be read.
pub(crate) fn read(octets: &[u8], edge: &dyn Fn(u32) -> u32) -> Result<Vec<Seen>, String> {
    let mut seen = Vec::new();
    let mut used = 0;
    for option in RawOptions::new(octets) {
        let option = option.map_err(|fault| fault.to_string())?;
        used += if option.kind == kind::KIND_NOP {
            1
        } else {
            2 + option.data.len()
        };
        seen.push(match (option.kind, option.data) {
            (kind::KIND_NOP, _) => Seen::Nop,
            (kind::KIND_TIMESTAMPS, &[a, b, c, d, e, f, g, h]) => Seen::Timestamp {
                value: u32::from_be_bytes([a, b, c, d]),
                echo: u32::from_be_bytes([e, f, g, h]),
            },
            (kind::KIND_SACK, data) => Seen::Other {
                kind: kind::KIND_SACK,
                data: edges(data, edge),
            },
            (kind, data) => Seen::Other {
                kind,
                data: data.to_vec(),
            },
        });
    }
    // What follows EOL is padding.
    seen.extend(octets.get(used..).unwrap_or(&[]).iter().map(|_| Seen::Eol));
    Ok(seen)
}

fn edges(data: &[u8], edge: &dyn Fn(u32) -> u32) -> Vec<u8> {
    let (words, rest) = data.as_chunks::<4>();
    let mapped = words
        .iter()
        .flat_map(|word| edge(u32::from_be_bytes(*word)).to_be_bytes());
    mapped.chain(rest.iter().copied()).collect()
}

/// `options` in the script's words.
pub(crate) fn words(options: &[Seen]) -> String {
    let words: Vec<String> = options.iter().map(word).collect();
    format!("<{}>", words.join(","))
}

fn word(option: &Seen) -> String {
    match option {
        Seen::Nop => "nop".to_owned(),
        Seen::Eol => "eol".to_owned(),
        Seen::Timestamp { value, echo } => format!("TS val {value} ecr {echo}"),
        Seen::Other {
            kind: kind::KIND_MSS,
            data,
        } => match data.as_slice() {
            &[high, low] => format!("mss {}", u16::from_be_bytes([high, low])),
            _ => raw(kind::KIND_MSS, data),
        },
        Seen::Other {
            kind: kind::KIND_WINDOW_SCALE,
            data,
        } => match data.as_slice() {
            [shift] => format!("wscale {shift}"),
            _ => raw(kind::KIND_WINDOW_SCALE, data),
        },
        Seen::Other {
            kind: kind::KIND_SACK_PERMITTED,
            ..
        } => "sackOK".to_owned(),
        Seen::Other {
            kind: kind::KIND_SACK,
            data,
        } => {
            let (words, _) = data.as_chunks::<4>();
            let edges: Vec<u32> = words.iter().map(|word| u32::from_be_bytes(*word)).collect();
            let blocks: Vec<String> = edges
                .chunks(2)
                .map(|pair| match pair {
                    [left, right] => format!("{left}:{right}"),
                    _ => "?".to_owned(),
                })
                .collect();
            format!("sack {}", blocks.join(" "))
        }
        Seen::Other { kind, data } => raw(*kind, data),
    }
}

fn raw(kind: u8, data: &[u8]) -> String {
    let mut text = format!("gen-{kind} ");
    for octet in data {
        let _ = write!(text, "{octet:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ast::SackBlock;

    struct Plus(u32);

    impl Numbers for Plus {
        fn edge(&self, script: u32) -> u32 {
            script.wrapping_add(self.0)
        }
        fn echo(&self, script: u32, _: bool) -> Result<u32, String> {
            Ok(script + 7)
        }
    }

    fn octets(option: &TcpOption) -> Vec<u8> {
        let mut into = Vec::new();
        encode(option, &Plus(0x100), &mut into).unwrap();
        into
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn every_option_octet_by_octet() {
        let cases: [(TcpOption, &[u8]); 14] = [
            (TcpOption::Nop, &[1]),
            (TcpOption::Eol, &[0]),
            (TcpOption::Mss(1460), &[2, 4, 5, 0xb4]),
            (TcpOption::WindowScale(8), &[3, 3, 8]),
            (TcpOption::SackPermitted, &[4, 2]),
            (
                TcpOption::Sack(vec![SackBlock { left: 1, right: 2 }]),
                &[5, 10, 0, 0, 1, 1, 0, 0, 1, 2],
            ),
            (
                TcpOption::Timestamp {
                    value: Some(1),
                    echo: 2,
                    echo_absolute: false,
                },
                &[8, 10, 0, 0, 0, 1, 0, 0, 0, 9],
            ),
            (
                TcpOption::FastOpen {
                    cookie: Cookie::Request,
                    experimental: false,
                },
                &[34, 2],
            ),
            (
                TcpOption::FastOpen {
                    cookie: Cookie::Octets(vec![1, 2]),
                    experimental: true,
                },
                &[254, 6, 0xf9, 0x89, 1, 2],
            ),
            (
                TcpOption::AccEcn {
                    order: AccEcnOrder::E0First,
                    counters: vec![1, 0x10203],
                    experimental: false,
                },
                &[172, 8, 0, 0, 1, 1, 2, 3],
            ),
            (
                TcpOption::AccEcn {
                    order: AccEcnOrder::E1First,
                    counters: vec![],
                    experimental: false,
                },
                &[174, 2],
            ),
            (
                TcpOption::AccEcn {
                    order: AccEcnOrder::E1First,
                    counters: vec![5],
                    experimental: true,
                },
                &[254, 7, 0xac, 0xc1, 0, 0, 5],
            ),
            (
                TcpOption::Generic {
                    kind: 77,
                    data: vec![9],
                },
                &[77, 3, 9],
            ),
            (
                TcpOption::Md5(Md5::Digest([3; 16])),
                &[19, 18, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3],
            ),
        ];
        for (option, expected) in cases {
            assert_eq!(octets(&option), expected, "{option}");
            assert_eq!(Some(expected.len()), option.wire_length(), "{option}");
        }
    }

    #[test]
    fn in_words() {
        let octets = [
            2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 8, 77, 3, 9, 0,
        ];
        let seen = read(&octets, &|edge| edge).unwrap();
        assert_eq!(
            words(&seen),
            "<mss 1460,sackOK,TS val 1 ecr 2,nop,wscale 8,gen-77 09,eol>"
        );
        let sack = [
            1, 1, 5, 18, 0, 0, 0, 11, 0, 0, 0, 21, 0, 0, 0, 31, 0, 0, 0, 41,
        ];
        let seen = read(&sack, &|edge| edge - 10).unwrap();
        assert_eq!(words(&seen), "<nop,nop,sack 1:11 21:31>");
        assert!(read(&[2, 9, 1], &|edge| edge).is_err());
        assert_eq!(words(&[]), "<>");
    }
}
