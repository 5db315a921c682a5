//! `woshou demo`: a story of the simulator, told.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, IsTerminal as _, Write as _};
use std::process::ExitCode;

use woshou_sim::scenario::{self, Scenario};
use woshou_sim::{HostId, LossCause, PacketId, Side, Sight, Watcher};
use woshou_tcp::{Endpoints, Instant, TraceEvent};
use woshou_trace::timeline::{self, Fate, Timeline};
use woshou_trace::{jsonl, ladder, pcapng, tcpdump};

use crate::args::{Demo, Format};
use crate::failure::Failure;

pub(crate) fn run(args: &Demo) -> Result<ExitCode, Failure> {
    let mut teller = Teller::new(args);
    let outcome = scenario::run(args.scenario, args.seed, &mut teller);
    let timeline = teller.timeline;
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

/// Writes down what the simulator shows.
struct Teller {
    timeline: Timeline,
    hosts: [timeline::HostId; 2],
    /// Second copies have numbers of their own in the timeline.
    copies: HashMap<PacketId, timeline::PacketId>,
}

/// Above every number that the simulator gives.
const COPY: u64 = 1 << 63;

impl Teller {
    fn new(args: &Demo) -> Self {
        let mut timeline = Timeline::new();
        let ends = args.scenario.endpoints();
        let hosts = Side::BOTH.map(|side| {
            let address = match side {
                Side::Left => ends[0],
                Side::Right => ends[1],
            };
            timeline.host(name(args.scenario, side), &[address.ip()])
        });
        Self {
            timeline,
            hosts,
            copies: HashMap::new(),
        }
    }

    fn host(&self, id: HostId) -> timeline::HostId {
        self.hosts[usize::from(id != HostId(0))]
    }
}

impl Watcher for Teller {
    fn left(&mut self, sight: &Sight<'_>) {
        let from = self.host(sight.from);
        self.timeline
            .left(sight.at, timeline::PacketId(sight.id.0), from, sight.octets);
    }

    fn arrived(&mut self, sight: &Sight<'_>) {
        let mut packet = timeline::PacketId(sight.id.0);
        if sight.trouble.duplicate {
            let copy = timeline::PacketId(packet.0 | COPY);
            if self.copies.insert(sight.id, copy).is_none() {
                self.timeline.duplicated(sight.at, packet, copy);
            }
            packet = copy;
        }
        if sight.trouble.corrupted {
            self.timeline.lost(sight.at, packet, Fate::Corrupted);
        }
        let to = self.host(sight.to);
        self.timeline.arrived(sight.at, packet, to);
    }

    fn lost(&mut self, sight: &Sight<'_>, cause: LossCause) {
        let why = match cause {
            LossCause::TooBig => Fate::TooBig,
            LossCause::QueueFull => Fate::QueueFull,
            _ => Fate::Loss,
        };
        self.timeline
            .lost(sight.at, timeline::PacketId(sight.id.0), why);
    }

    fn tcp(&mut self, host: HostId, now: Instant, who: &Endpoints, event: &TraceEvent) {
        let host = self.host(host);
        self.timeline.tcp(now, host, who, *event);
    }
}
