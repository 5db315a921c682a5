//! Numbers with units, as people write them: `100M`, `20ms`, `1%`, `64k`.

use std::time::Duration;

/// What is wrong with a value, and how it is written.
type Parsed<T> = Result<T, String>;

/// A number and what follows it.
fn split(text: &str) -> Option<(f64, &str)> {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().ok()?;
    number.is_finite().then_some((number, unit.trim_start()))
}

/// The nearest whole number; `None` when it is too large.
fn whole(number: f64) -> Option<u64> {
    let rounded = number.round();
    if !(0.0..9e18).contains(&rounded) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole and in range, by the condition"
    )]
    let whole = rounded as u64;
    Some(whole)
}

/// Bits a second, at least one.
pub(super) fn rate(text: &str) -> Parsed<u64> {
    split(text)
        .and_then(|(number, unit)| {
            let unit = unit.to_ascii_lowercase();
            let unit = unit
                .strip_suffix("bit/s")
                .or_else(|| unit.strip_suffix("bit"))
                .unwrap_or(&unit);
            let factor = match unit {
                "" => 1.0,
                "k" => 1e3,
                "m" => 1e6,
                "g" => 1e9,
                _ => return None,
            };
            whole(number * factor)
        })
        .filter(|&bits| bits > 0)
        .ok_or_else(|| format!("{text:?} is no rate; write 100M, 1.5G or 800k (bits a second)"))
}

/// Octets.
pub(super) fn octets(text: &str) -> Parsed<u64> {
    split(text)
        .and_then(|(number, unit)| {
            let unit = unit.strip_suffix('B').unwrap_or(unit);
            let factor = match unit {
                "" => 1.0,
                "k" | "K" => 1e3,
                "M" => 1e6,
                "G" => 1e9,
                "Ki" => 1024.0,
                "Mi" => 1024.0 * 1024.0,
                "Gi" => 1024.0 * 1024.0 * 1024.0,
                _ => return None,
            };
            whole(number * factor)
        })
        .ok_or_else(|| format!("{text:?} is no size; write 64k, 100M or 1Mi (octets)"))
}

/// A time; its unit may be missing from 0 only.
pub(super) fn time(text: &str) -> Parsed<Duration> {
    split(text)
        .and_then(|(number, unit)| {
            let nanos = match unit {
                "" if number == 0.0 => 1.0,
                "ns" => 1.0,
                "us" | "µs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "min" => 60e9,
                _ => return None,
            };
            whole(number * nanos)
        })
        .map(Duration::from_nanos)
        .ok_or_else(|| format!("{text:?} is no time; write 20ms, 1.5s or 300us"))
}

/// A share of all packets, 0 to 1.
pub(super) fn share(text: &str) -> Parsed<f64> {
    split(text)
        .and_then(|(number, unit)| match unit {
            "" => Some(number),
            "%" => Some(number / 100.0),
            _ => None,
        })
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| format!("{text:?} is no share of packets; write 1% or 0.01"))
}

/// A whole number from `least` to `most`.
pub(super) fn count(text: &str, least: u64, most: u64) -> Parsed<u64> {
    text.parse()
        .ok()
        .filter(|count| (least..=most).contains(count))
        .ok_or_else(|| format!("{text:?} is no number from {least} to {most}"))
}

/// Both sides of the first `:`.
pub(super) fn pair<'t>(text: &'t str, example: &str) -> Parsed<(&'t str, &'t str)> {
    text.split_once(':')
        .ok_or_else(|| format!("{text:?} has two parts; write {example}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write() {
        for (text, bits) in [
            ("100M", 100_000_000),
            ("1.5G", 1_500_000_000),
            ("800k", 800_000),
            ("64000", 64_000),
            ("10Mbit", 10_000_000),
            ("10 mbit/s", 10_000_000),
        ] {
            assert_eq!(rate(text), Ok(bits), "{text}");
        }
        for (text, size) in [
            ("1500", 1500),
            ("64k", 64_000),
            ("64Ki", 65_536),
            ("1.5MB", 1_500_000),
            ("2GiB", 2 << 30),
        ] {
            assert_eq!(octets(text), Ok(size), "{text}");
        }
        for (text, nanos) in [
            ("0", 0),
            ("20ms", 20_000_000),
            ("0.3s", 300_000_000),
            ("300us", 300_000),
            ("7ns", 7),
            ("1min", 60_000_000_000),
        ] {
            assert_eq!(time(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
        for (text, part) in [("1%", 0.01), ("0.5", 0.5), ("100%", 1.0), ("0", 0.0)] {
            assert_eq!(share(text), Ok(part), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let wrong = [
            "", "x", "M", "-1", "1..2", "1e999", "nan", "inf", "1%%", "5 5",
        ];
        for text in wrong {
            assert!(rate(text).is_err(), "{text}");
            assert!(octets(text).is_err(), "{text}");
            assert!(time(text).is_err(), "{text}");
            assert!(share(text).is_err(), "{text}");
            assert!(count(text, 0, 9).is_err(), "{text}");
        }
        let huge = "9".repeat(400);
        for text in ["0", "1ms", huge.as_str()] {
            assert!(rate(text).is_err(), "{text}");
        }
        for text in ["20", "1h", huge.as_str()] {
            assert!(time(text).is_err(), "{text}");
        }
        for text in ["101%", "1.5", "2%x"] {
            assert!(share(text).is_err(), "{text}");
        }
        assert!(count("10", 0, 9).is_err() && count("9", 0, 9) == Ok(9));
    }
}
