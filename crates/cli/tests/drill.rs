//! `woshou drill` as a user runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of this test's own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("inner")).expect("it works");
        Self(path)
    }

    fn write(&self, name: &str, source: &str) {
        fs::write(self.0.join(name), source).expect("it works");
    }
}

fn drill(folder: &Folder, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_woshou"))
        .arg("drill")
        .args(arguments)
        .current_dir(&folder.0)
        .output()
        .expect("it works")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("it works")
}

const OPEN: &str = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS
+0 > S 0:0(0) <mss MSS,sackOK,TS val 1 ecr 0,nop,wscale 8>
";

fn open(mss: &str) -> String {
    OPEN.replace("MSS", mss)
}

#[test]
fn scripts_that_pass() {
    let folder = Folder::new("drill-pass");
    folder.write("b.pkt", &open("1460"));
    folder.write("inner/a.pkt", &open("1460"));
    folder.write("notes.txt", "not a script");
    let output = drill(&folder, &["."]);
    assert_eq!(
        stdout(&output),
        "pass        ./b.pkt\npass        ./inner/a.pkt\n2 passed, 0 failed, 0 unsupported, 0 errors\n"
    );
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
}

#[test]
fn scripts_that_do_not() {
    let folder = Folder::new("drill-fail");
    folder.write("a.pkt", &open("1459"));
    folder.write("b.pkt", "0 soket = 3\n");
    folder.write("c.pkt", &(open("1460") + "+0 pipe([3, 4]) = 0\n"));
    folder.write("d.pkt", &open("1460"));
    let output = drill(
        &folder,
        &["a.pkt", "b.pkt", "c.pkt", "d.pkt", "--jobs", "3"],
    );
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1));
    let expected = [
        "fail        a.pkt:4: packet at 0.000000 s: options expected <mss 1459,",
        "      4 | +0 > S 0:0(0) <mss 1459",
        "! options",
        "SYN  seq",
        ">>> line 4:",
        "error       b.pkt:1: column 9: found",
        "unsupported c.pkt:5: pipe()",
        "pass        d.pkt",
        "1 passed, 1 failed, 1 unsupported, 1 errors",
    ];
    let mut rest = text.as_str();
    for part in expected {
        let at = rest
            .find(part)
            .unwrap_or_else(|| panic!("{part} in order in\n{text}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn json_and_junit() {
    let folder = Folder::new("drill-json");
    folder.write("a.pkt", &open("1460"));
    folder.write("b.pkt", &open("1459"));
    let text = stdout(&drill(&folder, &["a.pkt", "b.pkt", "--format", "json"]));
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["status"], "pass");
    assert_eq!(
        (&lines[1]["script"], &lines[1]["line"]),
        (&"b.pkt".into(), &4.into())
    );
    let text = stdout(&drill(&folder, &["a.pkt", "b.pkt", "--format", "junit"]));
    assert!(
        text.contains("tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\""),
        "{text}"
    );
}

#[test]
fn switches() {
    let folder = Folder::new("drill-switches");
    folder.write(
        "a.pkt",
        &open("1459").replace("mss 1459,sackOK", "sackOK,mss VALUE"),
    );
    let lenient = ["a.pkt", "-D", "VALUE=1460", "--lenient", "window,options"];
    let output = drill(&folder, &lenient);
    assert!(
        stdout(&output)
            .starts_with("pass        a.pkt (lenient: options)\n1 passed (1 of them leniently)")
    );
    folder.write("b.pkt", &open("1460"));
    let output = drill(
        &folder,
        &[
            "b.pkt",
            "--ip-version",
            "all",
            "--pcap",
            "caught",
            "--ladder",
        ],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let text = stdout(&output);
    assert!(
        text.contains("[ipv6]") && text.contains("[ipv4-mapped-ipv6]") && text.contains("SYN  seq")
    );
    for variant in ["ipv4", "ipv4-mapped-ipv6", "ipv6"] {
        let file = folder.0.join(format!("caught/b-{variant}.pcapng"));
        assert!(
            fs::metadata(&file).unwrap().len() > 100,
            "{}",
            file.display()
        );
    }
    let output = drill(&folder, &["b.pkt", "--profile", "freebsd"]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_same_bytes_however_many_threads() {
    let folder = Folder::new("drill-same");
    for number in 0..20 {
        folder.write(
            &format!("{number}.pkt"),
            &open(if number % 3 == 0 { "1459" } else { "1460" }),
        );
    }
    let one = drill(&folder, &[".", "--jobs", "1"]);
    let many = drill(&folder, &[".", "--jobs", "7"]);
    assert_eq!(one.stdout, many.stdout);
    assert_eq!(one.status.code(), Some(1));
}

#[test]
fn nothing_to_drill() {
    let folder = Folder::new("drill-nothing");
    let output = drill(&folder, &["."]);
    assert_eq!(output.status.code(), Some(2));
    let output = drill(&folder, &["absent.pkt"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("absent.pkt"));
}
