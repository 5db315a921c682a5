//! One script: read, run strictly, and run again with as few leniencies as help.

use crate::ast::{OptionLine, OptionValue, Script};
use crate::lenient::Lenient;
use crate::profile::Profile;
use crate::report::{Report, Status, Stop, StopKind};
use crate::run::{self, Outcome};
use crate::settings::{Config, IpVersion, Settings};
use crate::{parse, span::Span};

/// Runs the script `source`.
///
/// Strictly at first. When that fails and `config` allows leniencies, every set of them is tried, smaller ones first;
/// the report names the set that helped. The same source and configuration give the same report.
#[must_use]
pub fn run(source: &str, config: &Config) -> Report {
    match parse(source, &config.defines) {
        Ok(script) => match own_profile(&script) {
            Some(profile) => run_script(
                source,
                &script,
                &Config {
                    profile,
                    ..config.clone()
                },
            ),
            None => run_script(source, &script, config),
        },
        Err(error) => Report {
            line: Some(error.line()),
            source: error
                .to_string()
                .lines()
                .skip(1)
                .collect::<Vec<_>>()
                .join("\n"),
            ..empty(
                config,
                Status::Error,
                format!("column {}: {}", error.column(), error.message()),
            )
        },
    }
}

/// The profile that the script names itself: it was written for that system and no other, whatever the caller says.
fn own_profile(script: &Script) -> Option<Profile> {
    let named = |line: &OptionLine| match line.value.as_ref().map(|value| &value.value) {
        Some(OptionValue::Text(text)) if line.name.value == "profile" => text.parse().ok(),
        _ => None,
    };
    script.options.iter().rev().find_map(named)
}

fn empty(config: &Config, status: Status, message: String) -> Report {
    Report {
        script: config.script.clone(),
        variant: config.ip_version.unwrap_or_default().name().to_owned(),
        status,
        line: None,
        message,
        lenient: Vec::new(),
        source: String::new(),
        fields: Vec::new(),
        output: String::new(),
        timeline: None,
    }
}

fn run_script(source: &str, script: &Script, config: &Config) -> Report {
    let mut used = Lenient::STRICT;
    let mut outcome = run::run(script, config, used, config.record);
    if is_failure(&outcome) {
        for set in config.lenient.subsets() {
            let other = run::run(script, config, set, config.record);
            if !is_failure(&other) {
                (used, outcome) = (set, other);
                break;
            }
        }
    }
    if is_failure(&outcome) {
        // Once more, to be looked at: with all that was allowed, so that what is left is what is wrong.
        outcome = run::run(script, config, config.lenient, true);
    }
    report(source, script, config, (used, outcome))
}

const fn is_failure(outcome: &Outcome) -> bool {
    matches!(
        &outcome.result,
        Err(Stop {
            kind: StopKind::Fail { .. },
            ..
        })
    )
}

fn report(
    source: &str,
    script: &Script,
    config: &Config,
    (used, outcome): (Lenient, Outcome),
) -> Report {
    let version =
        Settings::new(config, &script.options).map_or(IpVersion::V4, |settings| settings.version);
    let mut report = Report {
        variant: version.name().to_owned(),
        output: outcome.output,
        timeline: outcome.timeline,
        ..empty(config, Status::Pass, String::new())
    };
    let Err(stop) = outcome.result else {
        report.lenient = used.iter().collect();
        return report;
    };
    if let Some(span) = stop.span {
        report.line = Some(span.line);
        report.source = excerpt(source, span);
    }
    (report.status, report.message) = match stop.kind {
        StopKind::Fail { message, fields } => {
            report.fields = fields;
            (Status::Fail, message)
        }
        StopKind::Unsupported(name) => (Status::Unsupported, name),
        StopKind::Error(message) => (Status::Error, message),
    };
    report
}

/// The lines of the script on which `span` lies.
fn excerpt(source: &str, span: Span) -> String {
    let text = source.get(span.range()).unwrap_or("");
    let lines = text.lines().count().clamp(1, 20);
    let first = usize::try_from(span.line).unwrap_or(1).saturating_sub(1);
    let lines: Vec<String> = source
        .lines()
        .skip(first)
        .take(lines)
        .map(|line| line.chars().take(200).collect())
        .collect();
    lines.join("\n")
}

/// The report of a script that could not be read.
pub(crate) fn unreadable(config: &Config, why: String) -> Report {
    empty(config, Status::Error, why)
}
