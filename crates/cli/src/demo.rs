//! `woshou demo`: a story of the simulator, told.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, IsTerminal as _, Write as _};
use std::process::ExitCode;

use woshou_sim::Side;
use woshou_sim::scenario::{self, Scenario};
use woshou_trace::Timeline;
use woshou_trace::{jsonl, ladder, pcapng, tcpdump};

use crate::args::{Demo, Format};
use crate::failure::Failure;
use crate::teller::Teller;

pub(crate) fn run(args: &Demo) -> Result<ExitCode, Failure> {
    let ends = args.scenario.endpoints();
    let mut teller = Teller::new(Timeline::new());
    for (side, end) in Side::BOTH.into_iter().zip(ends) {
        teller.host(name(args.scenario, side), &[end.ip()]);
    }
    let outcome = scenario::run(args.scenario, args.seed, &mut teller);
    let timeline = teller.into_timeline();
    if let Some(path) = &args.pcap {
        let file = File::create(path).map_err(Failure::file(path))?;
        pcapng::write(&timeline, args.lang, BufWriter::new(file))
            .and_then(|mut file| file.flush())
            .map_err(Failure::file(path))?;
    }
    let mut options = ladder::Options {
        lang: args.lang,
        colour: false,
        brief: args.brief,
    };
    if let Some(path) = &args.svg {
        std::fs::write(path, ladder::svg(&timeline, &options)).map_err(Failure::file(path))?;
    }
    options.colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let text = match args.format {
        Format::Ladder => ladder::text(&timeline, &options),
        Format::Tcpdump => tcpdump::text(&timeline, &tcpdump::Options::default()),
        Format::Json => jsonl::text(&timeline, args.lang),
    };
    print(&text)?;
    outcome
        .check()
        .map_err(|fault| Failure::Story(fault.to_string()))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints to standard output; a reader who has seen enough (`| head`) is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::Stdio {
            name: "standard output",
            source: error,
        }),
        _ => Ok(()),
    }
}

/// What a host is in the story; where both do the same, only where it stands.
fn name(story: Scenario, side: Side) -> &'static str {
    let equals = matches!(
        story,
        Scenario::SimultaneousOpen | Scenario::SimultaneousClose
    );
    match (side, equals) {
        (Side::Left, true) => "left",
        (Side::Right, true) => "right",
        (Side::Left, false) => "client",
        (Side::Right, false) => "server",
    }
}
