//! Scripts: any text, and our own scripts with their lines mixed and their numbers changed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use woshou_drill::{Config, IpVersion, Profile, run};
use woshou_fuzz::Input;

const SEEDS: [&str; 10] = [
    include_str!("../seeds/drill_script/active.pkt"),
    include_str!("../seeds/drill_script/active-close.pkt"),
    include_str!("../seeds/drill_script/icmp-frag-needed.pkt"),
    include_str!("../seeds/drill_script/out-of-order.pkt"),
    include_str!("../seeds/drill_script/passive.pkt"),
    include_str!("../seeds/drill_script/paws.pkt"),
    include_str!("../seeds/drill_script/persist.pkt"),
    include_str!("../seeds/drill_script/poll.pkt"),
    include_str!("../seeds/drill_script/sack-loss.pkt"),
    include_str!("../seeds/drill_script/timeout.pkt"),
];
const NUMBERS: [&str; 8] = [
    "0",
    "1",
    "-1",
    "65535",
    "65536",
    "4294967295",
    "9223372036854775807",
    "99999999999999999999",
];

fuzz_target!(|octets: &[u8]| {
    let mut input = Input::new(octets);
    let config = Config {
        profile: input.pick(&Profile::ALL),
        ip_version: input.chance(30).then(|| input.pick(&IpVersion::ALL)),
        record: input.octet() % 2 == 1,
        ..Config::default()
    };
    let script = if input.octet().is_multiple_of(2) {
        mutated(&mut input)
    } else {
        String::from_utf8_lossy(input.take(usize::MAX)).into_owned()
    };
    let report = run(&script, &config);
    let again = run(&script, &config);
    assert_eq!(format!("{report:?}"), format!("{again:?}"), "{script}");
});

/// One of our scripts, changed as the input says.
fn mutated(input: &mut Input<'_>) -> String {
    let mut lines: Vec<String> = input.pick(&SEEDS).lines().map(str::to_owned).collect();
    for _ in 0..16 {
        if input.is_over() || lines.is_empty() {
            break;
        }
        let at = input.below(lines.len());
        match input.octet() % 6 {
            0 => {
                lines.remove(at);
            }
            1 => lines.insert(at, lines[at].clone()),
            2 => {
                let other = input.below(lines.len());
                lines.swap(at, other);
            }
            3 => {
                let other = input.pick(&SEEDS);
                let from = input.below(other.lines().count());
                lines.insert(at, other.lines().nth(from).unwrap_or("").to_owned());
            }
            4 => lines[at] = with_number(&lines[at], input),
            _ => {
                let from = input.below(lines[at].len() + 1);
                let new = String::from_utf8_lossy(input.take(4)).into_owned();
                if lines[at].is_char_boundary(from) {
                    lines[at].insert_str(from, &new);
                }
            }
        }
    }
    lines.join("\n")
}

/// `line` with another number instead of one of its own.
fn with_number(line: &str, input: &mut Input<'_>) -> String {
    let starts: Vec<usize> = (0..line.len())
        .filter(|&i| line.as_bytes()[i].is_ascii_digit())
        .filter(|&i| i == 0 || !line.as_bytes()[i - 1].is_ascii_digit())
        .collect();
    if starts.is_empty() {
        return line.to_owned();
    }
    let start = input.pick(&starts);
    let rest = line[start..].trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{}{}{rest}", &line[..start], input.pick(&NUMBERS))
}
