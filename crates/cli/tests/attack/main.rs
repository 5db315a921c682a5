//! Attacks on woshou from the kernel's side of a private namespace: nmap, floods, forged segments and ICMP, and a path
//! whose MTU drops. Short here; WOSHOU_FULL=1 makes them as large as docs/security.md says. `--nocapture` shows figures.
//!
//! Skips, with the reason, where no namespace can be made; with WOSHOU_REQUIRE_NET set that is a failure.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: a failure is the test's"
)]

#[path = "../common/mod.rs"]
mod common;
mod flood;
mod inject;
mod nmap;
mod packet;
mod path;
mod sniff;

use std::io::Write as _;
use std::net::IpAddr;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use common::{Folder, WOSHOU};

/// Whether everything runs at full size.
fn full() -> bool {
    std::env::var_os("WOSHOU_FULL").is_some()
}

/// The name of the variable that tells the attacker what to do.
const ROLE: &str = "WOSHOU_ATTACK";

/// Runs woshou with this program as the `--with` command: the attacker, told its `role`. woshou's standard input and
/// output are the files `in` and `out` of the folder, where they are there. It is ended after `limit`.
fn attack(folder: &Folder, args: &[&str], role: &str, limit: Duration) -> Output {
    let me = std::env::current_exe().unwrap();
    let with = format!(
        "exec {} attacker --exact --ignored --nocapture",
        me.display()
    );
    let input =
        std::fs::File::open(folder.0.join("in")).map_or_else(|_| Stdio::null(), Stdio::from);
    let output = Command::new("timeout")
        .args(["-k", "5", &limit.as_secs().to_string(), WOSHOU])
        .args(args)
        .args(["--with", &with])
        .current_dir(&folder.0)
        .env(ROLE, role)
        .stdin(input)
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    // With `listen` and `connect` it is what the connection brought.
    let out = if args[0] == "serve" {
        String::from_utf8_lossy(&output.stdout)
    } else {
        "".into()
    };
    // With `listen` and `connect` the attacker's words are on standard error.
    for line in out.lines().chain(err.lines()) {
        if let Some(figure) = line.strip_prefix("figure: ") {
            let _ = writeln!(std::io::stderr(), "{role}: {figure}");
        }
    }
    assert!(
        !err.contains("panicked") && !out.contains("panicked"),
        "{args:?} {role}: {out}\n{err}"
    );
    assert!(
        output.status.success(),
        "{args:?} {role}: {:?}\n{err}",
        output.status
    );
    output
}

/// Not a test: what the tests run inside woshou's namespace.
#[test]
#[ignore = "the attacker, which the tests start"]
fn attacker() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    // Where woshou ends by a signal, nobody else would end us.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    // A failure in one thread ends the program: others may wait for it for ever.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        hook(info);
        std::process::exit(101);
    }));
    let words: Vec<_> = role.split(' ').collect();
    match words[0] {
        "flood" => flood::attacker(words[1], words[2].parse().unwrap()),
        "inject" => inject::attacker(words[1], words[2]),
        "path" => path::attacker(words[1], words[2], words[3]),
        other => panic!("{other}?"),
    }
}

/// woshou's address in the namespace, and the kernel's.
fn who(v6: bool) -> (IpAddr, IpAddr) {
    let of = |name: &str| std::env::var(name).unwrap().parse().unwrap();
    if v6 {
        (of("WOSHOU_ADDR6"), of("WOSHOU_PEER6"))
    } else {
        (of("WOSHOU_ADDR"), of("WOSHOU_PEER"))
    }
}

/// A line that the test shows: what was measured.
macro_rules! figure {
    ($($what:tt)*) => {
        // Each on a line of its own, also after libtest's "test attacker ... ".
        println!("\nfigure: {}", format!($($what)*))
    };
}
pub(crate) use figure;
