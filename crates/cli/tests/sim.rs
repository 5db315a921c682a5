//! `woshou sim`, as a user runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn sim(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_woshou"))
        .arg("sim")
        .args(args)
        .output()
        .expect("it runs")
}

fn text(args: &[&str]) -> String {
    let output = sim(args);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {err}");
    assert!(err.is_empty(), "no progress bar in a pipe: {err}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// A folder that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("woshou-sim-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("a folder").to_owned()
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.0.join(name), text).expect("a folder");
        self.path(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).expect("a folder");
        let mut names: Vec<_> = entries
            .map(|entry| {
                entry
                    .expect("a folder")
                    .file_name()
                    .into_string()
                    .expect("a folder")
            })
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn objects(lines: &str) -> Vec<serde_json::Value> {
    lines
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

/// Short, slow and lossy: quick to run.
const SMALL: [&str; 6] = ["--rate", "5M", "--duration", "2s", "--loss", "1%"];

fn small<'a>(more: &[&'a str]) -> Vec<&'a str> {
    SMALL.iter().chain(more).copied().collect()
}

#[test]
fn the_table_has_a_row_a_cell_and_lines_up() {
    let out = text(&small(&[
        "--rtt",
        "10ms,40ms",
        "--queue",
        "0.5bdp,2bdp",
        "--seeds",
        "3",
        "--cc",
        "newreno",
    ]));
    let mut lines = out.lines();
    assert_eq!(
        lines.next(),
        Some("rate 5M · loss 1% · cc newreno · flows 1 · duration 2s · seeds 1 to 3")
    );
    assert_eq!(lines.next(), Some(""));
    let head = lines.next().unwrap();
    for column in [
        "rtt",
        "queue",
        "goodput Mbit/s",
        "% of link",
        "retrans %",
        "RTOs",
        "RTT ms",
    ] {
        assert!(head.contains(column), "{column} in {head}");
    }
    assert!(!head.contains("Jain") && !head.contains("loss"), "{head}");
    let rows: Vec<&str> = lines.collect();
    assert_eq!(rows.len(), 4, "{out}");
    for (row, begins) in
        rows.iter()
            .zip(["10ms  0.5bdp", "10ms  2bdp", "40ms  0.5bdp", "40ms  2bdp"])
    {
        assert!(row.starts_with(begins), "{row}");
        assert!(row.contains(".."), "from the least to the most: {row}");
    }
    let ends = |line: &str| line.find("Mbit/s").map(|at| at + "Mbit/s".len());
    let at = ends(head).unwrap();
    for row in rows {
        assert_eq!(&row[at - 1..at], ")", "{head}\n{row}");
    }
}

#[test]
fn the_same_seeds_give_the_same_octets_whatever_the_jobs() {
    let folder = Folder::new("same");
    let run = |jobs: &str| {
        let (json, plot, pcap) = (
            folder.path(&format!("{jobs}.jsonl")),
            folder.path(&format!("{jobs}.svg")),
            folder.path(&format!("{jobs}.pcapng")),
        );
        let files = ["--json", &json, "--plot", &plot, "--pcap", &pcap];
        let matrix = [
            "--rtt", "5ms,10ms", "--flows", "1,3", "--seeds", "2", "--jobs", jobs,
        ];
        let out = text(&small(&[matrix.as_slice(), &files].concat()));
        let files: Vec<Vec<u8>> = folder
            .names()
            .iter()
            .filter(|name| name.starts_with(jobs))
            .map(|name| std::fs::read(folder.path(name)).unwrap())
            .collect();
        assert_eq!(files.len(), 1 + 4 + 4, "{:?}", folder.names());
        (out, files)
    };
    assert!(run("1") == run("4"), "the jobs show");
    let two = text(&small(&["--seed", "2", "--json", "-"]));
    assert_ne!(text(&small(&["--json", "-"])), two, "a seed matters");
}

#[test]
fn json_has_an_object_a_run() {
    let path = ["--rate", "5M", "--duration", "2s", "--loss", "0,1%"];
    let runs = ["--flows", "2", "--seeds", "2", "--seed", "7", "--json", "-"];
    let out = text(&[path.as_slice(), &runs].concat());
    let runs = objects(&out);
    let of = |run: &serde_json::Value| {
        (
            run["cell"]["loss"].as_f64().unwrap(),
            run["seed"].as_u64().unwrap(),
        )
    };
    let order: Vec<_> = runs.iter().map(of).collect();
    assert_eq!(order, [(0.0, 7), (0.0, 8), (0.01, 7), (0.01, 8)]);
    for run in &runs {
        assert_eq!(run["schema"], 1);
        assert_eq!(run["cell"]["rate_bps"], 5_000_000);
        let flows = run["flows"].as_array().unwrap();
        assert_eq!(flows.len(), 2);
        let sum: f64 = flows
            .iter()
            .map(|flow| flow["goodput_bps"].as_f64().unwrap())
            .sum();
        let all = run["goodput_bps"].as_f64().unwrap();
        assert!((sum - all).abs() < 1.0 && all > 1e6 && all < 5e6, "{run}");
        assert!(run["jain"].as_f64().unwrap() <= 1.0);
    }
    let lost =
        |run: &serde_json::Value| run["flows"][0]["retransmitted_segments"].as_u64().unwrap();
    assert!(lost(&runs[2]) > 0, "{}", runs[2]);
}

#[test]
fn a_file_says_the_same_as_flags_and_flags_win() {
    let folder = Folder::new("toml");
    let file = folder.write(
        "path.toml",
        "# A path.\nrate = \"5M\"\nduration = \"2s\"\nloss = [0, 0.01]\nflows = 2\necn = true\nseeds = 2\n\
         reorder = \"1%:2ms\"\nqueue = [\"1bdp\", \"20p\"]\n",
    );
    let flags = [
        "--rate",
        "5M",
        "--duration",
        "2s",
        "--flows",
        "2",
        "--ecn",
        "--seeds",
        "2",
        "--reorder",
        "1%:2ms",
        "--queue",
        "1bdp,20p",
    ];
    let both = ["--loss", "0,0.01"];
    assert_eq!(text(&[&file]), text(&[flags.as_slice(), &both].concat()));
    let won = text(&[&file, "--loss", "3%"]);
    assert_eq!(won, text(&[flags.as_slice(), &["--loss", "3%"]].concat()));
    assert!(won.starts_with("rate 5M"), "{won}");
}

#[test]
fn a_bad_file_is_told_with_its_line() {
    let folder = Folder::new("bad");
    for (toml, says) in [
        ("rate = \"1M\"\nlos = 1\n", ":2: there is no key \"los\""),
        ("\n\nrate = \"x\"\n", ":3: rate: \"x\" is no rate"),
        (
            "rate = 1e6\nflows = [1, 0]\n",
            ":2: flows: \"0\" is no number",
        ),
        ("[path]\nrate = 1\n", ":1: there is no key \"path\""),
        ("rate = {a = 1}\n", ":1: rate: neither"),
        ("loss = -1\n", ":1: loss: neither"),
        ("mtu = 0x64\n", ":1: mtu: \"100\" is no number"),
        ("seeds = [1, 2]\n", ":1: seeds: only one value"),
        ("rate = \n", ":1: "),
        ("rate = 1\nrate = 2\n", ":2: "),
        ("loss = []\n", ":1: loss: a value is missing"),
    ] {
        let file = folder.write("bad.toml", toml);
        let output = sim(&[&file]);
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{toml:?}: {err}");
        assert!(err.contains(&format!("{file}{says}")), "{toml:?}: {err}");
        assert_eq!(err.lines().count(), 1, "{err}");
    }
}

#[test]
fn bad_arguments_are_one_clear_line() {
    let cases: [(&[&str], i32, &str); 7] = [
        (&["--rate", "fast"], 2, "--rate: \"fast\" is no rate"),
        (&["--cc", "vegas"], 2, "vegas"),
        (&["--nope"], 2, "--nope"),
        (&["/nonexistent.toml"], 1, "/nonexistent.toml"),
        (
            &["--duration", "1s", "--json", "/nonexistent/x"],
            1,
            "/nonexistent/x",
        ),
        (
            &["--duration", "1s", "--plot", "/nonexistent/x"],
            1,
            "/nonexistent/x",
        ),
        (
            &["--duration", "1s", "--plot", "x.svg", "--plot-flow", "2"],
            2,
            "--plot",
        ),
    ];
    for (args, status, says) in cases {
        let output = sim(args);
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {err}");
        assert!(err.contains(says), "{args:?}: {err}");
        assert!(!err.contains("panicked"), "{err}");
    }
    assert!(!Path::new("x.svg").exists());
}

#[test]
fn pictures_and_captures_are_called_after_their_cells() {
    let folder = Folder::new("names");
    let (plot, pcap) = (folder.path("p.svg"), folder.path("p.pcapng"));
    text(&small(&[
        "--plot",
        &plot,
        "--pcap",
        &pcap,
        "--reorder",
        "off,1%:2ms",
        "--flows",
        "1,2",
    ]));
    assert_eq!(
        folder.names(),
        [
            "p-1%_2ms-1.pcapng",
            "p-1%_2ms-1.svg",
            "p-1%_2ms-2.pcapng",
            "p-1%_2ms-2.svg",
            "p-off-1.pcapng",
            "p-off-1.svg",
            "p-off-2.pcapng",
            "p-off-2.svg",
        ]
    );
    let svg = std::fs::read_to_string(folder.path("p-off-1.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("queue at the bottleneck"));
    assert!(svg.contains("lost by the network"), "1 % of loss shows");
    let pcap = std::fs::read(folder.path("p-off-2.pcapng")).unwrap();
    assert_eq!(
        pcap[..4],
        [0x0a, 0x0d, 0x0d, 0x0a],
        "a section header block"
    );
    for words in [
        "sender 2 ESTABLISHED, data",
        "receiver 1 ESTABLISHED",
        "lost by chance",
    ] {
        let found = pcap
            .windows(words.len())
            .any(|part| part == words.as_bytes());
        assert!(found, "{words:?}");
    }
}

#[test]
fn the_picture_shows_the_phases_of_bbr() {
    let folder = Folder::new("bbr");
    let plot = folder.path("bbr.svg");
    let path = ["--rate", "20M", "--duration", "7s", "--cc", "bbr"];
    text(&[path.as_slice(), &["--plot", &plot]].concat());
    let svg = std::fs::read_to_string(&plot).unwrap();
    let texts: Vec<&str> = svg.lines().collect();
    for phase in [
        "startup",
        "drain",
        "probe bw: down",
        "probe bw: cruise",
        "probe bw: refill",
        "probe bw: up",
        "probe rtt",
        "pacing rate",
    ] {
        assert!(texts.contains(&phase), "{phase}");
    }
    assert!(!texts.contains(&"slow start"), "of another algorithm");
}

#[test]
fn a_short_transfer_can_be_told_segment_by_segment() {
    let folder = Folder::new("ladder");
    let (ladder, svg, trace) = (
        folder.path("l.txt"),
        folder.path("l.svg"),
        folder.path("t.jsonl"),
    );
    let short = ["--rate", "5M", "--bytes", "20k", "--duration", "5s"];
    text(&[short.as_slice(), &["--ladder", &ladder, "--trace", &trace]].concat());
    text(&[short.as_slice(), &["--ladder", &svg]].concat());
    let told = std::fs::read_to_string(&ladder).unwrap();
    for words in ["sender 1", "receiver 1", "ESTABLISHED", "data"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(std::fs::read_to_string(&svg).unwrap().starts_with("<svg"));
    let trace = objects(&std::fs::read_to_string(&trace).unwrap());
    assert!(trace.iter().any(|event| event["kind"] == "congestion"));
}

#[test]
fn a_transfer_ends_and_tells_when() {
    let out = text(&["--rate", "8M", "--bytes", "1M", "--json", "-"]);
    let finished = objects(&out)[0]["flows"][0]["finished_s"].as_f64().unwrap();
    assert!((1.0..1.5).contains(&finished), "1 MB at 1 MB/s: {finished}");
    let out = text(&["--rate", "8M", "--bytes", "1M"]);
    assert!(out.contains("done s"), "{out}");
    let out = text(&["--rate", "8M", "--bytes", "10M", "--duration", "2s"]);
    assert!(out.contains("1 flows did not end in time"), "{out}");
}

#[test]
fn flows_that_begin_later_do_not_fill_more_than_the_link() {
    let out = text(&[
        "--rate",
        "5M",
        "--flows",
        "6",
        "--stagger",
        "900ms",
        "--duration",
        "5s",
        "--json",
        "-",
    ]);
    let run = &objects(&out)[0];
    let flows = run["flows"].as_array().unwrap();
    let sum: f64 = flows
        .iter()
        .map(|flow| flow["goodput_bps"].as_f64().unwrap())
        .sum();
    assert!(sum > 5e6, "each counts from its own start: {sum}");
    let octets: f64 = flows
        .iter()
        .map(|flow| flow["delivered"].as_f64().unwrap())
        .sum();
    let all = run["goodput_bps"].as_f64().unwrap();
    assert!(
        (all - octets * 8.0 / 5.0).abs() < 1.0,
        "{all} is not {octets} in 5 s"
    );
}

#[test]
fn help_lists_every_key_with_examples() {
    let out = text(&["--help"]);
    let words = [
        "--rate <RATE>",
        "--reorder",
        "--ack-compression",
        "--policer",
        "--aqm",
        "--ecn",
        "Examples:",
        "docs/sim.md",
    ];
    for word in words {
        assert!(out.contains(word), "{word}");
    }
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/sim.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    for line in out.lines() {
        if let Some(flag) = line.trim_start().strip_prefix("--") {
            let flag = flag.split([' ', '[', '=']).next().unwrap();
            assert!(
                flag == "help" || docs.contains(&format!("`{flag}`")),
                "{flag} is not in docs/sim.md"
            );
        }
    }
}
