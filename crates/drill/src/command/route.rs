//! `ip`, `ifconfig` and `tc`.

use core::time::Duration;

use super::{Effect, Turn, unsupported};

/// `ip [-4|-6] route|link|tcp_metrics|addr ...`
pub(super) fn ip(arguments: &[&str]) -> Vec<Effect> {
    let mut rest = arguments.iter().copied().filter(|a| !a.starts_with('-'));
    match rest.next() {
        Some(object) if is_short_for(object, "route") => route(&rest.collect::<Vec<_>>()),
        Some(object) if is_short_for(object, "link") => link(&rest.collect::<Vec<_>>()),
        Some(object) if is_short_for(object, "tcp_metrics") => {
            vec![Effect::Nothing(
                "nothing is remembered of earlier connections",
            )]
        }
        Some("addr" | "address" | "a") if matches!(rest.next(), None | Some("show" | "list")) => {
            vec![Effect::Nothing("it only prints")]
        }
        _ => unsupported("ip", arguments),
    }
}

fn is_short_for(word: &str, full: &str) -> bool {
    !word.is_empty() && full.starts_with(word)
}

/// Attributes of the one route that the drill has.
fn route(words: &[&str]) -> Vec<Effect> {
    match words.first() {
        None | Some(&("show" | "list" | "get")) => return vec![Effect::Nothing("it only prints")],
        Some(&"flush") if words.contains(&"cache") => {
            return vec![Effect::Nothing("there is no cache of routes")];
        }
        Some(&("add" | "change" | "replace" | "append" | "prepend")) => {}
        _ => return unsupported("ip route", words),
    }
    let mut effects = Vec::new();
    let mut rest = words.iter().skip(1);
    while let Some(word) = rest.next() {
        let effect = match *word {
            "via" | "dev" | "src" | "proto" | "scope" | "table" | "metric" | "nexthop" | "to" => {
                rest.next();
                continue;
            }
            "lock" | "onlink" => continue,
            "initcwnd" => number(rest.next()).map(Turn::InitialWindow),
            "advmss" => number(rest.next()).map(Turn::Mss),
            "rto_min" => rest.next().and_then(|t| time(t)).map(Turn::MinRto),
            "mtu" => {
                let value = rest
                    .next()
                    .filter(|value| **value != "lock")
                    .or_else(|| rest.next());
                number(value).map(Turn::Mtu)
            }
            "unreachable" | "blackhole" | "prohibit" | "features" | "congctl" | "quickack"
            | "initrwnd" | "window" | "rtt" | "rttvar" | "cwnd" | "ssthresh" | "reordering"
            | "fastopen_no_cookie" => None,
            _ => continue,
        };
        effects.push(match effect {
            Some(turn) => Effect::Set(turn),
            None => Effect::Unsupported(format!("ip route {word}")),
        });
    }
    if effects.is_empty() {
        effects.push(Effect::Nothing("the drill has one link and one route"));
    }
    effects
}

fn number<T: core::str::FromStr>(word: Option<&&str>) -> Option<T> {
    word?.parse().ok()
}

/// `200ms`, `1s`, `200` (milliseconds).
fn time(word: &str) -> Option<Duration> {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let value: u64 = digits.parse().ok()?;
    let unit = word.get(digits.len()..)?;
    Some(match unit {
        "" | "ms" | "msec" | "msecs" => Duration::from_millis(value),
        "s" | "sec" | "secs" => Duration::from_secs(value),
        "us" | "usec" | "usecs" => Duration::from_micros(value),
        _ => return None,
    })
}

fn link(words: &[&str]) -> Vec<Effect> {
    match words.first() {
        None | Some(&("show" | "list")) => return vec![Effect::Nothing("it only prints")],
        Some(&"set") => {}
        _ => return unsupported("ip link", words),
    }
    if let Some(at) = words.iter().position(|word| *word == "mtu") {
        return match number(words.get(at + 1)) {
            Some(octets) => vec![Effect::Set(Turn::Mtu(octets))],
            None => unsupported("ip link", words),
        };
    }
    if words.contains(&"down") {
        return vec![Effect::Unsupported("ip link set down".to_owned())];
    }
    vec![Effect::Nothing(
        "packets are compared as a device without offloads would send them",
    )]
}

pub(super) fn ifconfig(words: &[&str]) -> Vec<Effect> {
    if let Some(at) = words.iter().position(|word| *word == "mtu") {
        return match number(words.get(at + 1)) {
            Some(octets) => vec![Effect::Set(Turn::Mtu(octets))],
            None => unsupported("ifconfig", words),
        };
    }
    if words.contains(&"down") {
        return vec![Effect::Unsupported("ifconfig down".to_owned())];
    }
    vec![Effect::Nothing("the drill has one link without offloads")]
}

/// Queues without delay or loss change nothing: the drill's link has no queue.
pub(super) fn tc(words: &[&str]) -> Vec<Effect> {
    let harmless = |word: &&str| {
        [
            "pfifo",
            "bfifo",
            "pfifo_fast",
            "fq",
            "fq_codel",
            "codel",
            "noqueue",
            "mq",
            "clsact",
        ]
        .contains(word)
    };
    let verb = words.get(1).copied().unwrap_or("");
    match words.first().copied() {
        Some("qdisc" | "q") if matches!(verb, "show" | "list" | "del" | "delete") => {
            vec![Effect::Nothing("the drill's link has no queue")]
        }
        Some("qdisc" | "q") if words.iter().any(harmless) => {
            vec![Effect::Nothing("the drill's link has no queue")]
        }
        Some("qdisc" | "q") => {
            let known = ["netem", "tbf", "htb", "sfq", "red", "cake", "etf"];
            let kind = words
                .iter()
                .find(|w| known.contains(w))
                .copied()
                .unwrap_or("qdisc");
            vec![Effect::Unsupported(format!("tc {kind}"))]
        }
        _ => unsupported("tc", words),
    }
}
