//! The scripts in `tests/scripts`: they pass, the same way every time; and wrong variants of them fail.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use woshou_drill::{Config, Lenient, Report, Status};

/// Scripts whose stack is known to be wrong, kept out of the count.
const KNOWN: &str = "known";

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

fn scripts() -> Vec<Script> {
    let root = root();
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
    let known = format!("{KNOWN}/");
    paths
        .into_iter()
        .map(read)
        .filter(|script| !script.name.starts_with(&known))
        .collect()
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

/// Each of them, unless it says itself which version it is for, over IPv4 mapped into IPv6, too.
#[test]
fn mapped_addresses_change_nothing() {
    for script in scripts() {
        if script.source.contains("--ip_version") || script.source.contains("icmp") {
            continue;
        }
        let config = Config {
            ip_version: Some(woshou_drill::IpVersion::Mapped),
            ..script.config
        };
        let report = woshou_drill::run(&script.source, &config);
        assert_eq!(report.status, Status::Pass, "{}", text(&report));
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
    // Without optimization, and on a busy machine, it may take longer.
    let limit = if cfg!(debug_assertions) { 20 } else { 2 };
    assert!(took < Duration::from_secs(limit), "{took:?}");
}
