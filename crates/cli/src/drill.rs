//! `woshou drill`: packetdrill scripts, in process, in virtual time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use woshou_drill::{Config, IpVersion, Report, Status, Totals, find, junit, run_files};
use woshou_trace::{Lang, pcapng};

use crate::args::{Drill, DrillFormat, Variant};
use crate::failure::Failure;

pub(crate) fn run(args: &Drill) -> Result<ExitCode, Failure> {
    let files = find(&args.paths).map_err(|error| Failure::Usage(error.to_string()))?;
    if files.is_empty() {
        return Err(Failure::Usage(
            "there is no script: files end in .pkt".to_owned(),
        ));
    }
    if let Some(folder) = &args.pcap {
        std::fs::create_dir_all(folder).map_err(Failure::file(folder))?;
    }
    let configs = configs(args);
    let jobs = args.jobs.map_or_else(
        || std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        NonZeroUsize::get,
    );
    let mut page = Page::new(args, files.len() * configs.len());
    let mut result = Ok(());
    run_files(&files, &configs, jobs, |report| {
        if result.is_ok() {
            result = page.report(report);
        }
    });
    result?;
    page.end()
}

fn configs(args: &Drill) -> Vec<Config> {
    let versions: Vec<Option<IpVersion>> = match args.ip_version {
        None => vec![None],
        Some(Variant::All) => IpVersion::ALL.map(Some).to_vec(),
        Some(Variant::Ipv4) => vec![Some(IpVersion::V4)],
        Some(Variant::Mapped) => vec![Some(IpVersion::Mapped)],
        Some(Variant::Ipv6) => vec![Some(IpVersion::V6)],
    };
    let config = |ip_version| Config {
        profile: args.profile,
        lenient: args.lenient.iter().copied().collect(),
        ip_version,
        defines: args.define.iter().cloned().collect::<BTreeMap<_, _>>(),
        record: args.pcap.is_some() || args.ladder,
        ..Config::default()
    };
    versions.into_iter().map(config).collect()
}

/// What is printed as reports come.
struct Page<'a> {
    args: &'a Drill,
    bar: ProgressBar,
    totals: Totals,
    /// For JUnit, whose first line counts them.
    reports: Vec<Report>,
}

impl<'a> Page<'a> {
    fn new(args: &'a Drill, total: usize) -> Self {
        let bar = if io::stderr().is_terminal() {
            let bar = ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX));
            if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}") {
                bar.set_style(style);
            }
            bar
        } else {
            ProgressBar::hidden()
        };
        Self {
            args,
            bar,
            totals: Totals::default(),
            reports: Vec::new(),
        }
    }

    fn report(&mut self, mut report: Report) -> Result<(), Failure> {
        self.totals.add(&report);
        self.bar.inc(1);
        self.bar
            .set_message(format!("{} failed", self.totals.fail + self.totals.error));
        if let Some(folder) = &self.args.pcap {
            write_pcap(folder, &report)?;
        }
        match self.args.format {
            DrillFormat::Text => {
                let mut text = report.line_text();
                text.push('\n');
                if report.status != Status::Pass || self.args.ladder {
                    let ladder = self.args.ladder || report.status == Status::Fail;
                    text.push_str(&report.detail_text(ladder));
                }
                self.print(&text)
            }
            DrillFormat::Json => self.print(&(report.json() + "\n")),
            DrillFormat::Junit => {
                report.timeline = None;
                self.reports.push(report);
                Ok(())
            }
        }
    }

    fn print(&self, text: &str) -> Result<(), Failure> {
        self.bar
            .suspend(|| match io::stdout().lock().write_all(text.as_bytes()) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Stdio {
                    name: "standard output",
                    source: error,
                }),
                _ => Ok(()),
            })
    }

    fn end(self) -> Result<ExitCode, Failure> {
        self.bar.finish_and_clear();
        let totals = self.totals;
        match self.args.format {
            DrillFormat::Text => {
                let lenient = match totals.lenient {
                    0 => String::new(),
                    count => format!(" ({count} of them leniently)"),
                };
                self.print(&format!(
                    "{} passed{lenient}, {} failed, {} unsupported, {} errors\n",
                    totals.pass, totals.fail, totals.unsupported, totals.error,
                ))?;
            }
            DrillFormat::Json => {}
            DrillFormat::Junit => self.print(&junit(&self.reports))?,
        }
        Ok(if totals.all_passed() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// The packets of one script, in a file that is called after it.
fn write_pcap(folder: &Path, report: &Report) -> Result<(), Failure> {
    let Some(timeline) = &report.timeline else {
        return Ok(());
    };
    let path = Path::new(&report.script);
    let mut name: String = path
        .components()
        .filter_map(|part| match part {
            std::path::Component::Normal(part) => Some(part.to_string_lossy()),
            _ => None,
        })
        .collect::<Vec<_>>()
        .join("-");
    name = format!(
        "{}-{}.pcapng",
        name.trim_end_matches(".pkt"),
        report.variant
    );
    let path: PathBuf = folder.join(name);
    let file = File::create(&path).map_err(Failure::file(&path))?;
    pcapng::write(timeline, Lang::default(), BufWriter::new(file))
        .and_then(|mut file| file.flush())
        .map_err(Failure::file(&path))
}
