//! From flags and file to cells: who says what, and the cartesian product.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Command};
use toml::de::{DeTable, DeValue};

use super::keys::{Cell, KEYS, Key, Order, What, key};
use crate::failure::Failure;

/// The most cells of a matrix.
const MOST_CELLS: usize = 10_000;

/// What the user said: the file, and the flags as they were written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sim {
    file: Option<PathBuf>,
    flags: Vec<(&'static str, String)>,
}

/// What is to be run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) cells: Vec<Cell>,
    /// The keys that have several values: what tells the cells apart.
    pub(super) axes: Vec<&'static str>,
    pub(super) order: Order,
}

/// A key with its values, and who gave them.
struct Said {
    key: &'static Key,
    values: Vec<String>,
    whence: String,
}

impl clap::FromArgMatches for Sim {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let flags = KEYS
            .iter()
            .filter_map(|key| {
                let value = matches.get_one::<String>(key.name)?;
                Some((key.name, value.clone()))
            })
            .collect();
        Ok(Self {
            file: matches.get_one::<PathBuf>("file").cloned(),
            flags,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for Sim {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new("file")
            .value_name("FILE.toml")
            .value_parser(clap::value_parser!(PathBuf))
            .help("A file with the same keys; flags win over it");
        let flags = KEYS.iter().map(|key| {
            let flag = Arg::new(key.name)
                .long(key.name)
                .value_name(key.value)
                .help(key.help);
            // `--ecn` alone says yes.
            if key.value == "on|off" {
                flag.num_args(0..=1)
                    .require_equals(true)
                    .default_missing_value("on")
            } else {
                flag
            }
        });
        command.arg(file).args(flags).after_help(EXAMPLES)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

const EXAMPLES: &str = "\
Several values, separated by commas, make a matrix: each is run with each, and every cell with every
seed. The table has the median over the seeds, and from the least to the most.

Examples:
  woshou sim                                    one flow, 100 Mbit/s, 20 ms, for 10 s
  woshou sim --rate 10M,100M,1G --loss 0,1%     six cells
  woshou sim --loss 1% --reorder 1%:5ms --seeds 5 --json runs.jsonl
  woshou sim --flows 4 --stagger 1s --duration 20s --plot four.svg
  woshou sim --loss 0.1% --plot run.svg --window 1s-1.5s --pcap run.pcapng
  woshou sim path.toml --queue 4bdp

All keys, the columns of the table and the objects of --json: docs/sim.md";

impl Plan {
    /// Reads the file, lets the flags win, and multiplies.
    pub(super) fn new(sim: &Sim) -> Result<Self, Failure> {
        let mut said = match &sim.file {
            Some(path) => read(path)?,
            None => Vec::new(),
        };
        for (name, text) in &sim.flags {
            let Some(key) = key(name) else { continue };
            said.retain(|said| said.key.name != *name);
            said.push(Said {
                key,
                values: values(key, text),
                whence: format!("--{name}"),
            });
        }
        let mut order = Order::default();
        let mut cells = vec![Cell::default()];
        let mut axes = Vec::new();
        // In the order of the table, whoever said it first.
        for key in &KEYS {
            let Some(said) = said.iter().find(|said| said.key.name == key.name) else {
                continue;
            };
            if said.values.is_empty() || said.values.iter().any(String::is_empty) {
                return Err(said.wrong("a value is missing"));
            }
            let mut others = said.values.iter();
            while let Some(value) = others.next() {
                if others.as_slice().contains(value) {
                    return Err(said.wrong(&format!("{value:?} is there twice")));
                }
            }
            match key.what {
                What::Once(set) => {
                    let [text] = said.values.as_slice() else {
                        return Err(said.wrong("only one value is possible"));
                    };
                    set(&mut order, text).map_err(|why| said.wrong(&why))?;
                }
                What::Axis(set) => {
                    if said.values.len() > 1 {
                        axes.push(key.name);
                    }
                    cells = multiply(&cells, said, set)?;
                }
            }
        }
        for cell in &cells {
            cell.check()?;
        }
        Ok(Self { cells, axes, order })
    }
}

impl Said {
    fn wrong(&self, why: &str) -> Failure {
        Failure::Usage(format!("{}: {why}", self.whence))
    }
}

/// Every cell with every value.
fn multiply(
    cells: &[Cell],
    said: &Said,
    set: fn(&mut Cell, &str) -> Result<(), String>,
) -> Result<Vec<Cell>, Failure> {
    if cells.len().saturating_mul(said.values.len()) > MOST_CELLS {
        return Err(said.wrong(&format!("more than {MOST_CELLS} cells")));
    }
    let mut product = Vec::with_capacity(cells.len() * said.values.len());
    for cell in cells {
        for text in &said.values {
            let mut cell = cell.clone();
            set(&mut cell, text).map_err(|why| said.wrong(&why))?;
            cell.given.push((said.key.name, text.clone()));
            product.push(cell);
        }
    }
    Ok(product)
}

/// The values of a flag: of a file name, the whole.
fn values(key: &Key, text: &str) -> Vec<String> {
    match key.what {
        What::Axis(_) => text
            .split(',')
            .map(|value| value.trim().to_owned())
            .collect(),
        What::Once(_) => vec![text.to_owned()],
    }
}

/// Reads a file. Its keys are the names of the flags; its values strings, numbers, booleans, or lists of them.
fn read(path: &Path) -> Result<Vec<Said>, Failure> {
    let text = std::fs::read_to_string(path).map_err(Failure::file(path))?;
    let wrong = |place: usize, why: &str| {
        let line = text.bytes().take(place).filter(|&b| b == b'\n').count() + 1;
        Failure::Usage(format!("{}:{line}: {why}", path.display()))
    };
    let table = DeTable::parse(&text)
        .map_err(|error| wrong(error.span().map_or(0, |span| span.start), error.message()))?;
    let mut all = Vec::new();
    for (name, value) in table.get_ref() {
        let place = name.span().start;
        let Some(key) = key(name.get_ref()) else {
            let why = format!(
                "there is no key {:?}; `woshou sim --help` lists them",
                name.get_ref()
            );
            return Err(wrong(place, &why));
        };
        let Some(values) = texts(key, value.get_ref()) else {
            let why = format!(
                "{}: neither a string, a number from 0 up, a boolean nor a list of them",
                key.name
            );
            return Err(wrong(value.span().start, &why));
        };
        let line = text.bytes().take(place).filter(|&b| b == b'\n').count() + 1;
        all.push(Said {
            key,
            values,
            whence: format!("{}:{line}: {}", path.display(), key.name),
        });
    }
    Ok(all)
}

/// The values of a key as a flag would have them.
fn texts(key: &Key, value: &DeValue<'_>) -> Option<Vec<String>> {
    Some(match value {
        DeValue::String(text) => values(key, text),
        DeValue::Integer(number) => {
            let number = u64::from_str_radix(number.as_str(), number.radix()).ok()?;
            vec![number.to_string()]
        }
        // Written out: flags have no exponents.
        DeValue::Float(number) => vec![number.as_str().parse::<f64>().ok()?.to_string()],
        DeValue::Boolean(yes) => vec![if *yes { "on" } else { "off" }.to_owned()],
        DeValue::Array(list) => {
            let mut all = Vec::new();
            for value in list {
                if matches!(value.get_ref(), DeValue::Array(_)) {
                    return None;
                }
                all.extend(texts(key, value.get_ref())?);
            }
            all
        }
        DeValue::Datetime(_) | DeValue::Table(_) => return None,
    })
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
