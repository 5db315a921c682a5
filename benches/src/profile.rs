//! A profile of callgrind's, read: instructions by function, by object and by source file.

use std::collections::BTreeMap;
use std::path::Path;

/// What a run cost.
pub(crate) struct Profile {
    /// Steps that the run did.
    pub(crate) steps: f64,
    /// Instructions of the program itself.
    pub(crate) own: u64,
    /// Of these, what sums checksums.
    pub(crate) checksums: u64,
    /// Copying and filling, by the C library.
    pub(crate) copies: u64,
    /// The rest of the C library.
    pub(crate) rest: u64,
    /// Instructions of each function without those it calls.
    pub(crate) functions: BTreeMap<String, u64>,
}

/// Names are written once, with a number, and then by number alone: `(7) name`, `(7)`.
#[derive(Default)]
struct Names(BTreeMap<String, String>);

impl Names {
    fn of(&mut self, text: &str) -> String {
        let Some((number, name)) = text.split_once(')') else {
            return text.to_owned();
        };
        let name = name.trim();
        if !name.is_empty() {
            self.0.insert(number.to_owned(), name.to_owned());
        }
        self.0.get(number).cloned().unwrap_or_default()
    }
}

impl Profile {
    /// Reads what callgrind wrote about `program`.
    pub(crate) fn read(text: &str, program: &Path, steps: f64) -> Self {
        let mut profile = Self {
            steps,
            own: 0,
            checksums: 0,
            copies: 0,
            rest: 0,
            functions: BTreeMap::new(),
        };
        let program = program.display().to_string();
        let (mut objects, mut files, mut functions) = <(Names, Names, Names)>::default();
        let (mut object, mut file, mut function) = <(String, String, String)>::default();
        let mut is_of_a_call = false;
        for line in text.lines() {
            if let Some((key, value)) = line.split_once('=') {
                match key {
                    "ob" => object = objects.of(value),
                    "cob" => drop(objects.of(value)),
                    "fl" | "fi" | "fe" => file = files.of(value),
                    "cfi" | "cfl" => drop(files.of(value)),
                    "fn" => function = functions.of(value),
                    "cfn" => drop(functions.of(value)),
                    // The line after it says what the call cost: the callee has that too.
                    "calls" => is_of_a_call = true,
                    _ => {}
                }
                continue;
            }
            let Some(cost) = cost_of(line) else { continue };
            if std::mem::take(&mut is_of_a_call) {
                continue;
            }
            profile.add(cost, object == program, &file, &function);
        }
        profile
    }

    fn add(&mut self, cost: u64, is_ours: bool, file: &str, function: &str) {
        let copies = ["memcpy", "memmove", "memset"];
        if copies.iter().any(|name| function.contains(name)) {
            self.copies += cost;
        } else if is_ours {
            self.own += cost;
            if function.contains("checksum") || file.ends_with("checksum.rs") {
                self.checksums += cost;
            }
        } else {
            self.rest += cost;
        }
        *self.functions.entry(function.to_owned()).or_default() += cost;
    }
}

/// Of a line `position cost`; the position is a number, alone or after a sign, or a star.
fn cost_of(line: &str) -> Option<u64> {
    let (position, cost) = line.split_once(' ')?;
    let is_position = position == "*"
        || position
            .trim_start_matches(['+', '-'])
            .bytes()
            .all(|octet| octet.is_ascii_digit());
    is_position.then(|| cost.trim().parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn self_cost_by_kind() {
        let text = "events: Ir\n\nob=(1) /bin/us\nfl=(1) a.rs\nfn=(1) us::send\n10 100\n+2 20\ncob=(2) /lib/libc.so\n\
                    cfn=(2) memcpy\ncalls=3 0\n* 900\nfi=(2) wire/src/checksum.rs\n7 30\nfe=(1)\n-1 1\n\n\
                    ob=(2)\nfl=(3) ???\nfn=(2)\n0 900\nfn=(3) malloc\n0 50\ntotals: 1101\n";
        let profile = Profile::read(text, Path::new("/bin/us"), 1.0);
        assert_eq!(profile.own, 151);
        assert_eq!(profile.checksums, 30);
        assert_eq!(profile.copies, 900);
        assert_eq!(profile.rest, 50);
        assert_eq!(profile.functions["us::send"], 151);
    }
}
