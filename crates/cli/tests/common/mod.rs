//! What the tests with a kernel share: a folder with a file, whether a private namespace can be made, and woshou run in it.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test program uses a part of it"
)]

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

pub const WOSHOU: &str = env!("CARGO_BIN_EXE_woshou");

/// A folder of its own for a test, with a file `f` of `size` octets that repeat late.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str, size: usize) -> Self {
        let path = std::env::temp_dir().join(format!("woshou-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let octets: Vec<u8> = (0..size)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 32) as u8
            })
            .collect();
        std::fs::write(path.join("f"), octets).unwrap();
        Self(path)
    }

    pub fn same(&self, name: &str) -> bool {
        std::fs::read(self.0.join(name)).ok() == std::fs::read(self.0.join("f")).ok()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whether private namespaces and these tools are there.
pub fn ready(tools: &[&str]) -> bool {
    let mut why = None;
    for tool in tools {
        if Command::new(tool).arg("--version").output().is_err() {
            why = Some(format!("no {tool}"));
        }
    }
    let serve = Command::new(WOSHOU)
        .args(["serve", "/", "--with", "true"])
        .output()
        .unwrap();
    if serve.status.code() == Some(7) {
        why = Some(String::from_utf8_lossy(&serve.stderr).into_owned());
    }
    match why {
        None => true,
        Some(why) if std::env::var_os("WOSHOU_REQUIRE_NET").is_some() => panic!("{why}"),
        Some(why) => {
            eprintln!("skipped: {why}");
            false
        }
    }
}

pub fn run(folder: &Folder, args: &[&str]) -> Output {
    let start = Instant::now();
    let output = Command::new(WOSHOU)
        .args(args)
        .current_dir(&folder.0)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(start.elapsed() < Duration::from_secs(60), "{args:?} hung");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!err.contains("panicked"), "{err}");
    output
}

pub fn succeeds(folder: &Folder, args: &[&str]) -> Output {
    let output = run(folder, args);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{args:?}: {:?} {err}",
        output.status
    );
    output
}
