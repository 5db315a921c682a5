//! woshou against the kernel's TCP, in private namespaces. Skips, with the reason, where none can be made;
//! with WOSHOU_REQUIRE_NET set that is a failure.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: a failure is the test's"
)]

mod common;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Folder, WOSHOU, ready, run, succeeds};

fn fails(folder: &Folder, args: &[&str], status: i32, says: &str) {
    let output = run(folder, args);
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{args:?}: {err}");
    let told = err
        .lines()
        .filter(|line| line.starts_with("woshou: "))
        .collect::<Vec<_>>();
    assert_eq!(told.len(), 1, "one line: {err}");
    assert!(told[0].contains(says), "{err}");
}

/// Every way to the kernel that this machine has.
const LINKS: [&str; 6] = [
    "private",
    "private,offload=off",
    "private,way=veth",
    "private,way=veth,offload=off,mtu=9000",
    "private,way=xdp",
    "private,way=xdp,mtu=3826,queues=2",
];

/// Whether this user may use AF_XDP: often only the root of the machine itself, so that doing without fails nothing.
fn xdp_ready() -> bool {
    let serve = Command::new(WOSHOU)
        .args(["serve", "/", "--link", "private,way=xdp", "--with", "true"])
        .output()
        .unwrap();
    let ready = serve.status.code() != Some(7);
    if !ready {
        eprintln!("skipped: {}", String::from_utf8_lossy(&serve.stderr));
    }
    ready
}

#[test]
fn curl_fetches_over_every_link_and_family() {
    if !ready(&["curl"]) {
        return;
    }
    for link in LINKS {
        if link.contains("xdp") && !xdp_ready() {
            continue;
        }
        let folder = Folder::new("serve", 8 << 20);
        let with = "curl -sf http://$WOSHOU_ADDR/f -o got && curl -sf \"http://[$WOSHOU_ADDR6]/f\" -o got6 \
                    && grep -E '^(Ip|Tcp):' /proc/net/snmp && cat /proc/net/netstat";
        let output = succeeds(&folder, &["serve", ".", "--link", link, "--with", with]);
        assert!(folder.same("got"), "{link}: IPv4");
        assert!(folder.same("got6"), "{link}: IPv6");
        let snmp = String::from_utf8_lossy(&output.stdout);
        for (group, name) in [
            ("Tcp", "InErrs"),
            ("Tcp", "InCsumErrors"),
            ("Ip", "InHdrErrors"),
        ] {
            assert_eq!(
                counter(&snmp, group, name),
                0,
                "{link}: {name} of the kernel"
            );
        }
        assert_eq!(
            counter(&snmp, "TcpExt", "TCPOFOQueue"),
            0,
            "{link}: out of order"
        );
    }
}

/// A counter of /proc/net/snmp or /proc/net/netstat: names in one line, values in the next.
fn counter(text: &str, group: &str, name: &str) -> u64 {
    let lines: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with(&format!("{group}: ")))
        .collect();
    let at = lines[0]
        .split_whitespace()
        .position(|n| n == name)
        .expect(name);
    lines[1]
        .split_whitespace()
        .nth(at)
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn sixty_four_curls_at_once() {
    if !ready(&["curl"]) {
        return;
    }
    let folder = Folder::new("many", 1 << 20);
    let with = "for i in $(seq 64); do curl -sf http://$WOSHOU_ADDR/f -o got$i & p=\"$p $!\"; done; \
                for i in $p; do wait $i || exit 1; done";
    // One queue; several, each with a stack and a core; several stacks on one queue.
    for link in [
        "private",
        "private,queues=2",
        "private,queues=4",
        "private,queues=4,offload=off",
        "private,queues=4,way=veth",
    ] {
        succeeds(&folder, &["serve", ".", "--link", link, "--with", with]);
        for i in 1..=64 {
            let got = format!("got{i}");
            assert!(folder.same(&got), "{link}: number {i}");
            std::fs::remove_file(folder.0.join(got)).unwrap();
        }
    }
}

#[test]
fn http_as_it_should_be() {
    if !ready(&["curl"]) {
        return;
    }
    let folder = Folder::new("http", 100_000);
    let with = "curl -sfD - -r 10-19 http://$WOSHOU_ADDR/f -o part; \
                curl -sfD - -H 'Connection: close' http://$WOSHOU_ADDR/f -o got; \
                curl -sf http://$WOSHOU_ADDR/f http://$WOSHOU_ADDR/f -o a -o b -w '%{num_connects} '; \
                curl -s -o /dev/null -w '%{http_code}' http://$WOSHOU_ADDR/../../etc/passwd --path-as-is";
    let output = succeeds(&folder, &["serve", ".", "--with", with]);
    let out = String::from_utf8_lossy(&output.stdout).to_lowercase();
    assert!(
        out.contains("206 partial") && out.contains("content-range: bytes 10-19/100000"),
        "{out}"
    );
    assert!(
        out.contains("content-length: 100000") && out.contains("connection: close"),
        "{out}"
    );
    assert!(
        out.contains("1 0 "),
        "the second fetch reused the connection: {out}"
    );
    assert!(out.ends_with("404") || out.ends_with("400"), "{out}");
    assert_eq!(std::fs::read(folder.0.join("part")).unwrap().len(), 10);
    assert!(folder.same("got"));
}

#[test]
fn get_fetches_from_the_kernel() {
    if !ready(&["python3"]) {
        return;
    }
    for (link, host, bind) in [
        ("private", "peer", "0.0.0.0"),
        ("private,offload=off", "peer6", "::"),
    ] {
        let folder = Folder::new("get", 8 << 20);
        let server = format!("exec python3 -m http.server 8000 --bind {bind} >/dev/null 2>&1");
        let url = format!("http://{host}:8000/f");
        succeeds(
            &folder,
            &["get", &url, "-o", "got", "--link", link, "--with", &server],
        );
        assert!(folder.same("got"), "{link} {host}");
    }
}

#[test]
fn sixty_four_mebibytes_each_way_by_af_xdp() {
    if !ready(&["curl", "python3"]) || !xdp_ready() {
        return;
    }
    let link = ["--link", "private,way=xdp"];
    let folder = Folder::new("xdp", 64 << 20);
    let with = "curl -sf http://$WOSHOU_ADDR/f -o got && grep -E '^Tcp:' /proc/net/snmp";
    let output = succeeds(
        &folder,
        &[&["serve", ".", "--with", with], &link[..]].concat(),
    );
    let snmp = String::from_utf8_lossy(&output.stdout);
    assert_eq!(counter(&snmp, "Tcp", "InCsumErrors"), 0);
    assert!(folder.same("got"), "to the kernel");
    let server = "exec python3 -m http.server 8000 --bind 0.0.0.0 >/dev/null 2>&1";
    let get = ["get", "http://peer:8000/f", "-o", "back", "--with", server];
    succeeds(&folder, &[&get, &link[..]].concat());
    assert!(folder.same("back"), "from the kernel");
}

#[test]
fn failures_are_told_apart() {
    if !ready(&["python3"]) {
        return;
    }
    let folder = Folder::new("fail", 3_000_000);
    let f = &folder;
    fails(f, &["get", "http://peer:9/x"], 3, "refused");
    fails(
        f,
        &["get", "http://10.7.0.77/x", "--timeout", "1"],
        4,
        "timed out",
    );
    fails(f, &["get", "ftp://peer/x"], 2, "http://");
    fails(f, &["get", "http://peer:65536/x"], 2, "port");
    fails(f, &["get", "http://nowhere.invalid/"], 2, "unknown host");
    fails(f, &["serve", "/nonexistent"], 1, "/nonexistent");
    let server = "exec python3 -m http.server 8000 >/dev/null 2>&1";
    fails(
        f,
        &["get", "http://peer:8000/none", "--with", server],
        9,
        "404",
    );
    fails(
        f,
        &[
            "get",
            "http://peer:8000/f",
            "-o",
            "/dev/full",
            "--with",
            server,
        ],
        1,
        "No space",
    );
}

#[test]
fn a_peer_that_resets_breaks_off_or_vanishes() {
    if !ready(&["python3"]) {
        return;
    }
    let folder = Folder::new("broken", 10);
    let f = &folder;
    let reset = script(
        f,
        "reset.py",
        "c.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack('ii', 1, 0))",
    );
    fails(
        f,
        &["get", "http://peer:8000/f", "-o", "cut", "--with", &reset],
        5,
        "reset",
    );
    let short = script(f, "short.py", "pass");
    fails(
        f,
        &["get", "http://peer:8000/f", "-o", "cut", "--with", &short],
        5,
        "end of file",
    );
    assert!(!f.0.join("cut").exists(), "half a file is not left behind");
    let vanish = script(
        f,
        "vanish.py",
        "time.sleep(.3); subprocess.run(['ip','addr','del','10.7.0.1/24','dev','woshou0']); time.sleep(60)",
    );
    if Command::new("ip").arg("-V").output().is_ok() {
        let url = "http://peer:8000/f";
        fails(
            f,
            &["get", url, "--timeout", "2", "-o", "cut", "--with", &vanish],
            4,
            "timed out",
        );
    }
}

/// A server that answers with three octets of a thousand, does `then`, and closes.
fn script(folder: &Folder, name: &str, then: &str) -> String {
    let text = format!(
        "import struct, subprocess, time\nfrom socket import *\n\
         s = socket(); s.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1); s.bind(('', 8000)); s.listen()\n\
         c, _ = s.accept(); c.recv(9999)\n\
         c.send(b'HTTP/1.1 200 OK\\r\\nContent-Length: 1000\\r\\n\\r\\nabc')\n{then}\nc.close()\ntime.sleep(9)\n"
    );
    std::fs::write(folder.0.join(name), text).unwrap();
    format!("exec python3 {name}")
}

#[test]
fn the_command_of_with_decides_the_status() {
    if !ready(&["curl"]) {
        return;
    }
    let folder = Folder::new("status", 10);
    for (with, status) in [("true", 0), ("exit 7", 7), ("kill -9 $$", 137)] {
        let output = run(&folder, &["serve", ".", "--with", with]);
        assert_eq!(output.status.code(), Some(status), "{with}");
    }
}

#[test]
fn listen_joins_standard_input_and_output_half_close_included() {
    if !ready(&["python3"]) {
        return;
    }
    let folder = Folder::new("pipe", 10);
    std::fs::write(
        folder.0.join("client.py"),
        "import os, socket\ns = socket.create_connection((os.environ['WOSHOU_ADDR'], 7))\n\
         s.sendall(b'from the kernel\\n'); s.shutdown(socket.SHUT_WR)\n\
         open('got', 'wb').write(s.makefile('rb').read())\n",
    )
    .unwrap();
    let mut woshou = Command::new(WOSHOU)
        .args(["listen", "7", "--with", "exec python3 client.py"])
        .current_dir(&folder.0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = woshou.stdin.take().unwrap();
    // Long after the kernel closed its direction.
    std::thread::sleep(Duration::from_millis(500));
    input.write_all(b"from woshou\n").unwrap();
    drop(input);
    let output = woshou.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout, b"from the kernel\n");
    assert_eq!(
        std::fs::read(folder.0.join("got")).unwrap(),
        b"from woshou\n"
    );
}

#[test]
fn the_capture_and_the_trace_tell_the_reasons() {
    if !ready(&["curl"]) {
        return;
    }
    let folder = Folder::new("pcap", 100_000);
    let with = "curl -sf http://$WOSHOU_ADDR/f -o got";
    let args = [
        "serve", ".", "--trace", "--pcap", "t.pcapng", "--with", with,
    ];
    let output = succeeds(&folder, &args);
    let trace = String::from_utf8_lossy(&output.stderr);
    for told in [
        ": S ",
        "accept: own ISN, options agreed",
        "LISTEN -> SYN-RECEIVED",
        "ended: closed",
    ] {
        assert!(trace.contains(told), "{told}: {trace}");
    }
    let pcap = std::fs::read(folder.0.join("t.pcapng")).unwrap();
    let says = |text: &str| pcap.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(says("SYN-RECEIVED accept: own ISN, options agreed"));
    assert!(says("ESTABLISHED data"));
}
