//! Times of events and of blocking calls.

use woshou_drill::ast::{Action, When};

use super::{event, read};

/// Reads a time in front of an expected packet that follows an event at 0.
fn when(time: &str) -> When {
    let script = read(&format!("0 `true`\n{time} > . 1:1(0) ack 1"));
    script.events[1].when.value
}

#[test]
fn every_form_of_a_time() {
    let table = [
        ("0", When::Absolute(0)),
        ("1", When::Absolute(1_000_000)),
        ("0.05", When::Absolute(50_000)),
        (".1", When::Absolute(100_000)),
        ("12.345678", When::Absolute(12_345_678)),
        ("0.0000019", When::Absolute(1)),
        ("0.000007", When::Absolute(7)),
        ("0.29", When::Absolute(290_000)),
        ("0x10", When::Absolute(16_000_000)),
        ("1000000000", When::Absolute(1_000_000_000_000_000)),
        ("+0", When::Relative(0)),
        ("+.1", When::Relative(100_000)),
        ("+ 2", When::Relative(2_000_000)),
        ("+0.000001", When::Relative(1)),
        ("*", When::Any),
        ("1~2", When::AbsoluteRange(1_000_000, 2_000_000)),
        (".1 ~ .2", When::AbsoluteRange(100_000, 200_000)),
        ("1.5~1.5", When::AbsoluteRange(1_500_000, 1_500_000)),
        ("+0~+0.04", When::RelativeRange(0, 40_000)),
        ("+.2~+.3", When::RelativeRange(200_000, 300_000)),
    ];
    for (text, expected) in table {
        assert_eq!(when(text), expected, "{text}");
    }
}

#[test]
fn times_print_as_they_read() {
    for text in [
        "0",
        "1",
        "0.05",
        "12.345678",
        "+0",
        "+0.1",
        "*",
        "1~2",
        "+0~+0.04",
        "+0.000001",
    ] {
        assert_eq!(when(text).to_string(), text);
    }
}

#[test]
fn three_points_make_a_call_block_until_a_time() {
    let table = [
        (
            "+0...0.1 connect(3, ..., ...) = 0",
            When::Relative(0),
            100_000,
        ),
        (
            "0...0.1 connect(3, ..., ...) = 0",
            When::Absolute(0),
            100_000,
        ),
        (
            "0....2 connect(3, ..., ...) = 0",
            When::Absolute(0),
            200_000,
        ),
        (
            "0 ... 3 accept(3, ..., ...) = 4",
            When::Absolute(0),
            3_000_000,
        ),
        ("+0.0...0.0 accept(3, ..., ...) = 4", When::Relative(0), 0),
    ];
    for (source, starts, returns) in table {
        let event = read(source).events.remove(0);
        assert_eq!(event.when.value, starts, "{source}");
        let Action::Call(call) = event.action else {
            panic!("{source}")
        };
        assert_eq!(
            call.returns.map(|time| time.value),
            Some(returns),
            "{source}"
        );
    }
    let script = read("0 `true`\n+.1...0.2 write(4, ..., 10) = 10");
    assert_eq!(script.events[1].when.value, When::Relative(100_000));
    assert_eq!(
        script.events[1].to_string(),
        "+0.1...0.2 write(4, ..., 10) = 10"
    );
}

#[test]
fn without_three_points_a_call_does_not_block() {
    let Action::Call(call) = event("read(4, ..., 10) = 10").action else {
        panic!("a call")
    };
    assert_eq!(call.returns, None);
}

#[test]
fn absolute_times_are_compared_with_adjacent_absolute_times_only() {
    // Behind a relative time the base is not known before the script runs.
    let script = read("0 `a`\n1 `b`\n+1 `c`\n0.5 `d`");
    assert_eq!(script.events.len(), 4);
}
