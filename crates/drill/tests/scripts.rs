//! The scripts in `tests/scripts`: they pass, the same way every time; and wrong variants of them fail.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use woshou_drill::ast::{
    Action, Body, Call, Direction, Event, ExprKind, Options, Script as Ast, Seq, TcpOption,
    TcpPacket, When,
};
use woshou_drill::{Config, IpVersion, Lenient, Report, Spanned, Status};

type Defines = std::collections::BTreeMap<String, String>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scripts")
}

/// All scripts below `folder`, by their path, sorted.
fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            walk(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "pkt") {
            into.push(path);
        }
    }
}

struct Script {
    name: String,
    source: String,
    config: Config,
}

/// The leniency that the comments at the top of a script declare: `// lenient: window, acks`.
fn declared(source: &str) -> Lenient {
    let top = source.lines().take_while(|line| line.starts_with("//"));
    let words = top
        .filter_map(|line| line.strip_prefix("// lenient: "))
        .flat_map(|list| list.split(", "));
    words
        .map(|word| word.parse().expect("a leniency"))
        .collect()
}

/// The scripts of a folder of `tests`.
fn scripts_in(folder: &str) -> Vec<Script> {
    let root = root().with_file_name(folder);
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    let read = |path: PathBuf| {
        let name = path
            .strip_prefix(&root)
            .unwrap()
            .to_string_lossy()
            .replace('\\', "/");
        let source = fs::read_to_string(&path).unwrap();
        let config = Config {
            script: name.clone(),
            lenient: declared(&source),
            ..Config::default()
        };
        Script {
            name,
            source,
            config,
        }
    };
    paths.into_iter().map(read).collect()
}

fn scripts() -> Vec<Script> {
    scripts_in("scripts")
}

fn text(report: &Report) -> String {
    format!("{}\n{}", report.line_text(), report.detail_text(true))
}

#[test]
fn all_pass_and_twice_the_same() {
    let scripts = scripts();
    let mut failures = String::new();
    let mut failed = 0;
    for script in &scripts {
        let first = woshou_drill::run(&script.source, &script.config);
        let again = woshou_drill::run(&script.source, &script.config);
        assert_eq!(
            text(&first),
            text(&again),
            "{}: two runs differ",
            script.name
        );
        if first.status != Status::Pass {
            failed += 1;
            let _ = writeln!(failures, "{}", text(&first));
        }
    }
    assert!(
        failed == 0,
        "{failures}\n{failed} of {} scripts do not pass",
        scripts.len()
    );
    assert!(scripts.len() >= 150, "{} scripts", scripts.len());
}

#[test]
fn every_script_says_what_it_is_for() {
    for script in scripts() {
        let first = script.source.lines().next().unwrap_or_default();
        assert!(
            first.starts_with("// ") && first.len() > 20,
            "{}: {first}",
            script.name
        );
        assert!(
            script.source.lines().count() <= 40,
            "{}: too long",
            script.name
        );
    }
}

/// Unless a script says itself which version it is for, it holds for IPv6, and for IPv4 mapped into IPv6.
#[test]
fn what_holds_for_ipv4_holds_for_ipv6() {
    let mut run = 0;
    for script in scripts() {
        // The default MSS and the messages of ICMP are others.
        let own = script.source.contains("--ip_version") || script.source.contains("icmp");
        if own || script.name == "options/no-mss.pkt" || script.name == "options/small-mtu.pkt" {
            continue;
        }
        for version in [IpVersion::Mapped, IpVersion::V6] {
            let config = Config {
                ip_version: Some(version),
                ..script.config.clone()
            };
            let report = woshou_drill::run(&script.source, &config);
            assert_eq!(report.status, Status::Pass, "{}", text(&report));
            assert_eq!(report.variant, version.name());
        }
        run += 1;
    }
    assert!(run >= 150, "only {run} scripts");
}

/// `tests/known` holds what the stack is known not to do, or to do wrong. The day that one passes, it moves to `scripts`.
#[test]
fn what_is_known_to_be_wrong_still_is() {
    for script in scripts_in("known") {
        let status = woshou_drill::run(&script.source, &script.config).status;
        let name = &script.name;
        assert!(
            matches!(status, Status::Fail | Status::Unsupported),
            "{name}: {status}; move it if it passes"
        );
    }
}

#[test]
fn the_whole_directory_is_fast() {
    let scripts = scripts();
    let began = Instant::now();
    for script in &scripts {
        let _ = woshou_drill::run(&script.source, &script.config);
    }
    let took = began.elapsed();
    eprintln!("{} scripts in {took:?}", scripts.len());
    assert!(took < Duration::from_secs(2), "{took:?}");
}

// ---- wrong variants ----

/// In which way a script is made wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Flag,
    Sequence,
    Acknowledgement,
    Option,
    Time,
    Result,
    Errno,
    /// A segment leaves that the script does not expect.
    Unexpected,
    /// The script expects one more than leaves.
    NotSent,
    WindowOrLength,
}

const WRONGS: [Wrong; 10] = [
    Wrong::Flag,
    Wrong::Sequence,
    Wrong::Acknowledgement,
    Wrong::Option,
    Wrong::Time,
    Wrong::Result,
    Wrong::Errno,
    Wrong::Unexpected,
    Wrong::NotSent,
    Wrong::WindowOrLength,
];

fn expected(event: &mut Event) -> Option<&mut TcpPacket> {
    match &mut event.action {
        Action::Packet(packet) if packet.direction == Direction::Out => match &mut packet.body {
            Body::Tcp(tcp) => Some(tcp),
            _ => None,
        },
        _ => None,
    }
}

/// The places where `change` can change something, each with the script so changed.
fn variants(script: &Ast, change: impl Fn(&mut Event) -> bool) -> Vec<Ast> {
    let change_at = |index: usize| {
        let mut changed = script.clone();
        change(&mut changed.events[index]).then_some(changed)
    };
    (0..script.events.len()).filter_map(change_at).collect()
}

fn packets(script: &Ast, change: impl Fn(&mut TcpPacket) -> bool) -> Vec<Ast> {
    variants(script, |event| expected(event).is_some_and(&change))
}

/// Calls whose result is compared: a descriptor is only a name.
fn calls(script: &Ast, change: impl Fn(&mut Call) -> bool) -> Vec<Ast> {
    variants(script, |event| match &mut event.action {
        Action::Call(call)
            if !["socket", "accept", "epoll_create"].contains(&call.name.value.as_str()) =>
        {
            change(call)
        }
        _ => false,
    })
}

fn longer(tcp: &mut TcpPacket) -> bool {
    match &mut tcp.seq.value {
        Seq::Range { length, .. } | Seq::Any { length } => *length += 1,
    }
    true
}

fn without_option(options: &mut Options) -> bool {
    let Options::Exact(list) = options else {
        return false;
    };
    if list.is_empty() {
        *options = one_more_option();
        return true;
    }
    match &mut list[0].value {
        TcpOption::Mss(mss) => *mss += 1,
        _ => {
            list.clear();
        }
    }
    true
}

fn one_more_option() -> Options {
    let source = "0 > . 1:1(0) ack 1 <nop,nop,nop,nop>";
    let mut script = woshou_drill::parse(source, &Defines::new()).unwrap();
    expected(&mut script.events[0])
        .unwrap()
        .options
        .value
        .clone()
}

fn later(when: &mut When) -> bool {
    match when {
        When::Relative(after) => *after += 100_000 + *after / 2,
        _ => return false,
    }
    true
}

/// Whether two expected packets say the same.
fn alike(one: &TcpPacket, other: &TcpPacket) -> bool {
    let ack = |packet: &TcpPacket| packet.ack.map(|ack| ack.value);
    one.flags.value == other.flags.value
        && one.seq.value == other.seq.value
        && ack(one) == ack(other)
}

/// The script with each of its expected packets twice, if another expected one, not like it, comes after it.
fn twice(script: &Ast) -> Vec<Ast> {
    let again = |(at, _, _): (usize, TcpPacket, TcpPacket)| {
        let mut changed = script.clone();
        changed.events.insert(at + 1, script.events[at].clone());
        changed
    };
    with_next(script)
        .filter(|(_, packet, next)| !alike(packet, next))
        .map(again)
        .collect()
}

/// The script without each of its expected packets that would then be taken for the next one, and is not like it.
/// One that is waited for stays, or the script would go on earlier and the packet not leave; so do SYN and those with
/// timestamps, from which the script learns what its numbers stand for.
fn without(script: &Ast) -> Vec<Ast> {
    let teaches = |packet: &TcpPacket| {
        let stamped =
            |option: &Spanned<TcpOption>| matches!(option.value, TcpOption::Timestamp { .. });
        let options = &packet.options.value;
        packet.flags.value.syn
            || matches!(options, Options::Exact(list) if list.iter().any(stamped))
    };
    let is_told = |(at, packet, next): &(usize, TcpPacket, TcpPacket)| {
        let at_once = script.events[*at].when.value == When::Relative(0);
        at_once && !teaches(packet) && !alike(packet, next)
    };
    let remove = |(at, _, _): (usize, TcpPacket, TcpPacket)| {
        let mut changed = script.clone();
        changed.events.remove(at);
        changed
    };
    with_next(script).filter(is_told).map(remove).collect()
}

/// The expected packets, each with its place and the expected packet after it.
fn with_next(script: &Ast) -> impl Iterator<Item = (usize, TcpPacket, TcpPacket)> {
    let packet = |(at, event): (usize, &Event)| Some((at, expected(&mut event.clone())?.clone()));
    let all: Vec<_> = script
        .events
        .iter()
        .enumerate()
        .filter_map(packet)
        .collect();
    let next: Vec<_> = all
        .iter()
        .skip(1)
        .map(|(_, packet)| packet.clone())
        .collect();
    all.into_iter()
        .zip(next)
        .map(|((at, packet), next)| (at, packet, next))
}

fn wrong(script: &Ast, how: Wrong) -> Vec<Ast> {
    match how {
        Wrong::Flag => packets(script, |tcp| {
            tcp.flags.value.fin = !tcp.flags.value.fin;
            true
        }),
        // The numbers of a SYN are those that ours is mapped to.
        Wrong::Sequence => packets(script, |tcp| match &mut tcp.seq.value {
            Seq::Range { start, .. } if !tcp.flags.value.syn => {
                *start = start.wrapping_add(1);
                true
            }
            _ => false,
        }),
        Wrong::Acknowledgement => packets(script, |tcp| match &mut tcp.ack {
            Some(ack) => {
                ack.value = ack.value.wrapping_add(1);
                true
            }
            None => false,
        }),
        Wrong::Option => packets(script, |tcp| without_option(&mut tcp.options.value)),
        Wrong::Time => variants(script, |event| {
            expected(event).is_some() && later(&mut event.when.value)
        }),
        Wrong::Result => calls(script, |call| match &mut call.result.kind {
            ExprKind::Int { value, .. } if call.errno.is_none() => {
                *value += 1;
                true
            }
            _ => false,
        }),
        // Another error than the one that there is; or an error where there is none.
        Wrong::Errno => calls(script, |call| {
            let ExprKind::Int { value, .. } = &mut call.result.kind else {
                return false;
            };
            *value = -1;
            call.errno = Some(Spanned {
                value: String::from("EDOM"),
                span: call.name.span,
            });
            true
        }),
        Wrong::Unexpected => without(script),
        Wrong::NotSent => twice(script),
        Wrong::WindowOrLength => packets(script, |tcp| match &mut tcp.window {
            Some(window) => {
                window.value ^= 1;
                true
            }
            None => longer(tcp),
        }),
    }
}

/// The text of `script`, whose option lines are those of `source`.
fn print(script: &Ast, source: &str) -> String {
    let mut text = String::new();
    for option in &script.options {
        let _ = writeln!(text, "{}", &source[option.span.range()]);
    }
    if let Some(init) = &script.init {
        let _ = writeln!(text, "{init}");
    }
    for event in &script.events {
        let _ = writeln!(text, "{event}");
    }
    if let Some(cleanup) = &script.cleanup {
        let _ = writeln!(text, "{cleanup}");
    }
    text
}

/// Whether `report` names the difference, and nothing else where the change touches one field.
fn names(how: Wrong, report: &Report) -> bool {
    let differ: Vec<&str> = report
        .fields
        .iter()
        .filter(|field| !field.agree)
        .map(|field| field.name)
        .collect();
    let message = &report.message;
    match how {
        Wrong::Flag => differ == ["flags"],
        Wrong::Sequence => differ == ["seq"],
        Wrong::Acknowledgement => differ == ["ack"],
        Wrong::Option => differ == ["options"],
        Wrong::Result => differ == ["result"],
        Wrong::Errno => differ == ["result"] && message.contains("EDOM"),
        Wrong::Time => message.contains("time: expected at") && message.contains("too early"),
        // The next segment is compared with the wrong line, or there is none in time.
        Wrong::Unexpected | Wrong::NotSent => {
            !differ.is_empty()
                || message.contains("time: expected at")
                || message.contains("nothing left")
                || message.starts_with("text expected")
        }
        // A longer text waits for segments that do not come, or do not continue it.
        Wrong::WindowOrLength => {
            differ == ["win"] || differ == ["text"] || message.starts_with("text expected")
        }
    }
}

/// Issue 3, "what must be seen", 2: ten wrong variants of each of thirty scripts fail, and the report says why.
#[test]
fn wrong_variants_fail() {
    let mut used = 0;
    let mut made = 0;
    let mut other_errno = 0;
    let mut passed = String::new();
    for script in scripts() {
        let ast = woshou_drill::parse(&script.source, &Defines::new()).unwrap();
        let all: Vec<(Wrong, Vec<Ast>)> =
            WRONGS.iter().map(|how| (*how, wrong(&ast, *how))).collect();
        used += usize::from(all.iter().all(|(_, variants)| !variants.is_empty()));
        let report = woshou_drill::run(&print(&ast, &script.source), &script.config);
        assert_eq!(
            report.status,
            Status::Pass,
            "printed anew: {}",
            text(&report)
        );
        for (how, variants) in all {
            for variant in variants {
                made += 1;
                let source = print(&variant, &script.source);
                let report = woshou_drill::run(&source, &script.config);
                other_errno +=
                    usize::from(how == Wrong::Errno && report.message.contains("got -1 "));
                if report.status != Status::Fail || !names(how, &report) {
                    let _ = writeln!(passed, "---- {how:?}: {}\n{source}", text(&report));
                }
            }
        }
    }
    assert!(passed.is_empty(), "{passed}");
    assert!(
        used >= 30,
        "only {used} scripts can be made wrong in all ten ways"
    );
    assert!(
        other_errno >= 30,
        "only {other_errno} calls failed with another error"
    );
    eprintln!("{made} wrong variants fail; {used} scripts have all ten kinds");
}
