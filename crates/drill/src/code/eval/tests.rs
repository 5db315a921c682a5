use proptest::prelude::*;

use super::super::{CodeErrorKind, Named, Snapshot};
use super::Evaluator;

struct Figures(i64);

impl Snapshot for Figures {
    fn value(&self, name: &str) -> Named {
        match name {
            "tcpi_snd_cwnd" => Named::Value(self.0),
            "TCP_ESTABLISHED" => Named::Value(1),
            "tcpi_sacked" => Named::Missing,
            _ => Named::Unknown,
        }
    }
}

fn run(text: &str) -> Result<String, (CodeErrorKind, u32, String)> {
    let mut evaluator = Evaluator::default();
    evaluator
        .run(text, &Figures(10))
        .map(|()| evaluator.output().to_owned())
        .map_err(|e| (e.kind, e.line, e.message))
}

#[test]
fn what_holds() {
    let blocks = [
        "",
        "   \n\n",
        "assert tcpi_snd_cwnd == 10",
        "assert 9 < tcpi_snd_cwnd <= 10, 'far off'",
        "assert (tcpi_snd_cwnd ==\n 10)",
        "assert tcpi_snd_cwnd == \\\n   10",
        "x = 3; x += 4; x -= 1; assert x == 6 # and more",
        "assert tcpi_snd_cwnd & 2 | 1 == 3 and not 0",
        "assert 1 + 2 * 3 == 7 and (1 + 2) * 3 == 9 and 7 // 2 == 3 and -7 // 2 == -4",
        "assert 7 % 4 == 3 and -7 % 4 == 1 and 7 % -4 == -1 and 1 << 4 == 0x10 and ~0 == -1",
        "assert 7 / 2 == 3.5 and abs(-3) == 3 and min(3, 2) == 2 and max(1, 5, 2) == 5",
        "assert 0 or 'x'\nassert not ('' or 0 or None)",
        "assert 1 < 2 < 3 and not (1 < 3 < 2)",
        "assert True != False\nassert 'a' 'b' == \"ab\"",
        "assert tcpi_snd_cwnd == 10 or tcpi_sacked == 1",
        "assert -(-3) == 3 and not not 1",
    ];
    for block in blocks {
        assert_eq!(run(block), Ok(String::new()), "{block}");
    }
}

#[test]
fn what_does_not_hold_names_the_values() {
    let (kind, line, message) = run("x = 1\n\nassert tcpi_snd_cwnd == 12, 'cwnd'").unwrap_err();
    assert_eq!((kind, line), (CodeErrorKind::Assertion, 2));
    assert_eq!(
        message,
        "the assertion does not hold: tcpi_snd_cwnd = 10 (cwnd)"
    );
    for block in [
        "assert 2 < 1",
        "assert 1 < 3 < 2",
        "assert 3 & 4",
        "assert not 1",
        "assert 1 == 1 == 2",
    ] {
        assert_eq!(
            run(block).unwrap_err().0,
            CodeErrorKind::Assertion,
            "{block}"
        );
    }
}

#[test]
fn what_woshou_cannot_tell_is_named() {
    let (kind, _, message) = run("assert tcpi_sacked == 3").unwrap_err();
    assert_eq!(
        (kind, message.as_str()),
        (CodeErrorKind::Unsupported, "tcpi_sacked")
    );
}

#[test]
fn prints() {
    let cases = [
        ("print 'cwnd', tcpi_snd_cwnd", "cwnd 10\n"),
        ("print(tcpi_snd_cwnd)", "10\n"),
        (
            "print 'a %d b %s c %x d %5.2f %%' % (1, 'x', 255, 2.5)",
            "a 1 b x c ff d 2.5 %\n",
        ),
        ("print('%d' % 7)", "7\n"),
        ("print", "\n"),
        ("print (1,)", "1\n"),
    ];
    for (block, output) in cases {
        assert_eq!(run(block), Ok(output.to_owned()), "{block}");
    }
}

#[test]
fn variables_live_on_and_figures_are_stated_anew() {
    let mut evaluator = Evaluator::default();
    evaluator
        .run("before = tcpi_snd_cwnd; tcpi_snd_cwnd = 99", &Figures(10))
        .unwrap();
    evaluator
        .run("assert before + 5 == tcpi_snd_cwnd", &Figures(15))
        .unwrap();
    assert!(evaluator.run("assert before == 0", &Figures(15)).is_err());
}

#[test]
fn what_is_not_understood() {
    let nested = format!("x = {}1{}", "(".repeat(200), ")".repeat(200));
    let long = format!("x = 1{}", " + 1".repeat(100_000));
    let signs = format!("x = {}1", "-".repeat(100_000));
    let blocks = [
        "assert",
        "x = ",
        "import os",
        "x = 1 / 0",
        "x = 1 % 0",
        "x = 1 // 0",
        "'abc",
        "x = 1 2",
        "while 1:",
        "open('/etc/passwd')",
        "x = 'a' + 1",
        "assert y",
        "x = $",
        "print '%d' % 'x'",
        "print '%d %d' % 1",
        "print '%d' % (1, 2)",
        "x = 1 << 200",
        "x = 99999999999999999999 * 99999999999999999999",
        "x = 2 ** 9",
        "x = 'a' < 1",
        "x = (1",
        "x = \\ 1",
        nested.as_str(),
        long.as_str(),
        signs.as_str(),
    ];
    for block in blocks {
        let kind = run(block).map_err(|e| e.0);
        assert_eq!(
            kind,
            Err(CodeErrorKind::Error),
            "{}",
            &block[..block.len().min(50)]
        );
    }
}

#[test]
fn texts_do_not_grow_without_bound() {
    let block = format!("x = 'aaaaaaaaaaaaaaaa'\n{}", "x = x + x\n".repeat(100));
    assert_eq!(run(&block).unwrap_err().0, CodeErrorKind::Error);
    let block = format!("x = '{}'\n{}", "a".repeat(2000), "print x, x\n".repeat(100));
    assert_eq!(run(&block).unwrap_err().2, "too much is printed");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-z0-9 ()=<>+*%/&|~^'\",;\\\\#\n.-]{0,60}") {
        let _ = run(&text);
    }

    #[test]
    fn sums_and_comparisons_are_those_of_numbers(a in -1_000_i64..1_000, b in 1_i64..1_000) {
        let block = format!(
            "assert {a} + {b} == {} and {a} // {b} == {} and {a} % {b} == {} and ({a} < {b}) == {}",
            a + b, a.div_euclid(b), a.rem_euclid(b), i32::from(a < b),
        );
        prop_assert_eq!(run(&block), Ok(String::new()));
    }
}
