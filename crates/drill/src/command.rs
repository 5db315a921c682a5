//! Back-quoted commands: recognised, never run.
//!
//! [`recognise`] reads what a shell would, as far as scripts go (several commands, quotes, pipes, redirections), and
//! says what each means for woshou: a knob is turned, nothing changes (and why), something is asked about the
//! state of connections, or woshou cannot do it. What is not known is [`Effect::Unsupported`], by its name.

mod route;
mod shell;
mod sysctl;

use core::time::Duration;

use crate::profile::{Knobs, Profile};

/// What a command means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A knob is turned.
    Set(Turn),
    /// All knobs go to what the suite takes for granted.
    Defaults(Profile),
    /// It changes nothing that a script could see.
    Nothing(&'static str),
    /// Exactly `count` sockets must be in `state` (as `sockstat` spells it).
    Count {
        /// The name of the state, such as `TIME_WAIT` or `LISTEN`.
        state: String,
        /// How many.
        count: usize,
    },
    /// Connections in `state` are dropped without a word (`tcpdrop -s`).
    Drop(String),
    /// Time passes.
    Sleep(Duration),
    /// woshou cannot do it; the name says what.
    Unsupported(String),
}

/// A knob and its new value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// A sysctl.
    Sysctl {
        /// With dots: `net.ipv4.tcp_sack`.
        name: String,
        /// The value, words separated by single spaces.
        value: String,
    },
    /// `ip route ... initcwnd N`, segments.
    InitialWindow(u16),
    /// `ip route ... advmss N`.
    Mss(u16),
    /// `ip route ... rto_min N`.
    MinRto(Duration),
    /// `ip link set ... mtu N`, `ifconfig ... mtu N`.
    Mtu(usize),
}

impl Turn {
    /// Turns the knob.
    ///
    /// # Errors
    /// The name of what woshou cannot do.
    pub fn apply(&self, knobs: &mut Knobs) -> Result<(), String> {
        match self {
            Self::Sysctl { name, value } => {
                return match sysctl::apply(knobs, name, value) {
                    sysctl::Outcome::Set | sysctl::Outcome::Nothing(_) => Ok(()),
                    sysctl::Outcome::Unsupported => Err(format!("sysctl {name}={value}")),
                };
            }
            Self::InitialWindow(segments) => knobs.tcp.initial_window = *segments,
            Self::Mss(mss) => knobs.tcp.mss = Some(*mss),
            Self::MinRto(time) => knobs.tcp.min_rto = *time,
            Self::Mtu(octets) => knobs.mtu = *octets,
        }
        Ok(())
    }
}

/// The longest command that is read, in octets.
const MAX_COMMAND: usize = 64 * 1024;

/// What the commands of `text` mean, in order.
#[must_use]
pub fn recognise(text: &str) -> Vec<Effect> {
    if text.len() > MAX_COMMAND {
        return vec![Effect::Unsupported(
            "a command of more than 64 KiB".to_owned(),
        )];
    }
    match shell::pipelines(text) {
        Ok(pipelines) => pipelines
            .iter()
            .flat_map(|pipeline| pipeline_effects(pipeline))
            .collect(),
        Err(construct) => vec![Effect::Unsupported(construct)],
    }
}

fn pipeline_effects(pipeline: &[shell::Simple]) -> Vec<Effect> {
    let [first, filters @ ..] = pipeline else {
        return Vec::new();
    };
    let Some(program) = first.words.first() else {
        // Assignments and redirections alone.
        return Vec::new();
    };
    let program = program.rsplit('/').next().unwrap_or(program).to_owned();
    let arguments: Vec<&str> = first.words.iter().skip(1).map(String::as_str).collect();
    match program.as_str() {
        "sockstat" => return vec![state_query(filters)],
        "nstat" if filters.is_empty() => {
            return vec![Effect::Nothing("counters are not compared")];
        }
        _ => {}
    }
    // Filters that only trim what is printed ask nothing; others would decide whether the command succeeds.
    if let Some(filter) = filters.iter().find_map(|f| f.words.first()) {
        let name = filter.rsplit('/').next().unwrap_or(filter);
        if !matches!(name, "cat" | "tee" | "head" | "tail" | "sort" | "true") {
            return vec![Effect::Unsupported(format!("{program} | {name}"))];
        }
    }
    command(&program, &arguments, first)
}

fn command(program: &str, arguments: &[&str], simple: &shell::Simple) -> Vec<Effect> {
    let nothing = |why| vec![Effect::Nothing(why)];
    match program {
        "." | "source" => match arguments.first() {
            Some(file) => {
                defaults(file).map_or_else(|| unsupported(program, arguments), |e| vec![e])
            }
            None => unsupported(program, arguments),
        },
        "sh" | "bash" => match arguments.first() {
            Some(file) => {
                defaults(file).map_or_else(|| unsupported(program, arguments), |e| vec![e])
            }
            None => unsupported(program, arguments),
        },
        "sudo" | "env" | "exec" | "command" => match arguments {
            [inner, rest @ ..] => {
                let name = inner.rsplit('/').next().unwrap_or(inner);
                command(name, rest, simple)
            }
            [] => unsupported(program, arguments),
        },
        "sysctl" | "set_sysctls.py" => sysctls(arguments),
        "echo" | "printf" => echo(arguments, simple),
        "ip" => route::ip(arguments),
        "ifconfig" => route::ifconfig(arguments),
        "route" => nothing("the drill has one link and one route"),
        "ethtool" => nothing("packets are compared as a device without offloads would send them"),
        "tc" => route::tc(arguments),
        "tcpdrop" => tcpdrop(arguments),
        "ss" | "netstat" if simple.silent => nothing("it only prints"),
        "cat" | "ls" | "date" | "uname" | "true" | ":" | "sync" | "test" | "[" | "hostname" => {
            nothing("it only looks")
        }
        "cd" | "export" | "set" | "unset" | "umask" | "ulimit" => nothing("there is no shell"),
        "rm" | "touch" | "mkdir" | "dd" | "truncate" => {
            nothing("calls that open files are reported by name")
        }
        "sleep" => sleep(arguments),
        _ => defaults(program).map_or_else(|| unsupported(program, arguments), |e| vec![e]),
    }
}

fn unsupported(program: &str, arguments: &[&str]) -> Vec<Effect> {
    let mut name: String = program.chars().take(60).collect();
    if let Some(argument) = arguments.iter().find(|a| !a.starts_with('-')) {
        name.push(' ');
        name.extend(argument.chars().take(60));
    }
    vec![Effect::Unsupported(name)]
}

/// The suites' own files: those that set everything, and those that set everything back.
fn defaults(file: &str) -> Option<Effect> {
    let name = file.rsplit('/').next().unwrap_or(file);
    if name == "defaults.sh" {
        return Some(Effect::Defaults(Profile::Linux));
    }
    if name.starts_with("sysctl_restore") {
        return Some(Effect::Nothing("every drill starts anew"));
    }
    None
}

/// `name=value`, `name = value`, and the paths of `/proc/sys`, each argument one.
fn sysctls(arguments: &[&str]) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut rest = arguments.iter().filter(|a| !a.starts_with('-')).peekable();
    while let Some(argument) = rest.next() {
        let (name, value) = match argument.split_once('=') {
            Some((name, "")) => match rest.next() {
                Some(value) => (name, (*value).to_owned()),
                None => (name, String::new()),
            },
            Some((name, value)) => (name, value.to_owned()),
            None => match rest.peek().and_then(|next| next.strip_prefix('=')) {
                Some("") => {
                    rest.next();
                    (
                        *argument,
                        rest.next().map_or_else(String::new, |v| (*v).to_owned()),
                    )
                }
                Some(value) => {
                    let value = value.to_owned();
                    rest.next();
                    (*argument, value)
                }
                None => {
                    effects.push(Effect::Nothing("it only prints"));
                    continue;
                }
            },
        };
        effects.push(sysctl(name, &value));
    }
    effects
}

fn sysctl(name: &str, value: &str) -> Effect {
    let name = match name.strip_prefix("/proc/sys/") {
        Some(path) => path.replace('/', "."),
        None => name.replace('/', "."),
    };
    let value: Vec<&str> = value.split_whitespace().collect();
    Effect::Set(Turn::Sysctl {
        name,
        value: value.join(" "),
    })
}

fn echo(arguments: &[&str], simple: &shell::Simple) -> Vec<Effect> {
    match &simple.output {
        Some(file) if file.starts_with("/proc/sys/") => {
            let words: Vec<&str> = arguments
                .iter()
                .copied()
                .filter(|a| !a.starts_with("-n"))
                .collect();
            vec![sysctl(file, &words.join(" "))]
        }
        Some(file) if file.starts_with("/sys/") || file.starts_with("/proc/") => {
            vec![Effect::Unsupported(format!("echo > {file}"))]
        }
        _ => vec![Effect::Nothing("it only prints")],
    }
}

/// `tcpdrop -s STATE`, `tcpdrop -l -s STATE`.
fn tcpdrop(arguments: &[&str]) -> Vec<Effect> {
    if arguments.contains(&"-l") {
        return vec![Effect::Nothing("it only prints")];
    }
    let state = arguments
        .iter()
        .position(|a| *a == "-s")
        .and_then(|at| arguments.get(at + 1));
    match state {
        Some(state) => vec![Effect::Drop((*state).to_owned())],
        None => unsupported("tcpdrop", arguments),
    }
}

fn sleep(arguments: &[&str]) -> Vec<Effect> {
    let seconds = arguments.first().and_then(|a| a.parse::<f64>().ok());
    match seconds.map(Duration::try_from_secs_f64) {
        Some(Ok(time)) if time <= Duration::from_secs(86_400) => vec![Effect::Sleep(time)],
        _ => unsupported("sleep", arguments),
    }
}

/// `sockstat ... | grep -c STATE | grep N`: the last pattern is the number, the one before with `-c` the state.
/// Without a number, at least one is not asked for in any script: it is not guessed.
fn state_query(filters: &[shell::Simple]) -> Effect {
    let greps: Vec<Vec<&str>> = filters
        .iter()
        .filter(|f| f.words.first().is_some_and(|w| w.ends_with("grep")))
        .map(|f| f.words.iter().skip(1).map(String::as_str).collect())
        .collect();
    let pattern = |grep: &Vec<&str>| {
        grep.iter()
            .find(|word| !word.starts_with('-'))
            .map(|word| word.trim_matches(['^', '$']).to_owned())
    };
    let counting = |grep: &Vec<&str>| {
        grep.iter()
            .any(|word| word.starts_with('-') && word.contains('c'))
    };
    if let [.., states, numbers] = greps.as_slice()
        && counting(states)
        && let (Some(state), Some(Ok(count))) =
            (pattern(states), pattern(numbers).map(|n| n.parse()))
    {
        return Effect::Count { state, count };
    }
    Effect::Unsupported("sockstat without a count of one state".to_owned())
}

#[cfg(test)]
mod tests;
