//! What `--plot` and `--pcap` watch: one run of each cell.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use woshou_sim::{Experiment, HostId, LossCause, Samples, Sight, Watcher};
use woshou_tcp::{Endpoints, Instant, State, TraceEvent};
use woshou_trace::pcapng::{Direction, LinkType, PcapngWriter};
use woshou_trace::plot::{self, Tracks};
use woshou_trace::{Fate, Lang, Timeline, jsonl, ladder};

use super::keys::{Cell, Order};
use crate::failure::Failure;
use crate::teller::Teller;

/// Points of the queue's curve, in the whole run.
const QUEUE_POINTS: u32 = 2_000;

/// Watches a run, for a picture and for a capture.
pub(super) struct Recorder {
    tracks: Option<Tracks>,
    labels: Vec<String>,
    capture: Option<Capture>,
    teller: Option<Teller>,
}

/// The most that a ladder or a trace keeps; more is counted.
const MOST_RECORDS: usize = 2_000_000;
/// Of everyday segments in a row, a ladder shows so many.
const BRIEF: usize = 6;

impl Recorder {
    /// `None` when nobody wants anything.
    pub(super) fn new(cell: &Cell, order: &Order, axes: &[&str]) -> Result<Option<Self>, Failure> {
        let told = order.ladder.is_some() || order.trace.is_some();
        if order.plot.is_none() && order.pcap.is_none() && !told {
            return Ok(None);
        }
        let capture = match &order.pcap {
            Some(path) => Some(Capture::create(file_of(path, cell, axes))?),
            None => None,
        };
        Ok(Some(Self {
            tracks: order.plot.is_some().then(Tracks::new),
            labels: (0..cell.flows)
                .map(|number| cell.algorithm(number).to_string())
                .collect(),
            capture,
            teller: told.then(|| teller(cell.flows)),
        }))
    }

    /// What the experiment has to do for it.
    pub(super) fn prepare(&self, experiment: &mut Experiment) {
        if self.tracks.is_some() {
            let every = experiment.duration / QUEUE_POINTS;
            experiment.sample_every = Some(every.max(std::time::Duration::from_micros(10)));
        }
    }

    /// Completes the files; `file` is the one of this cell for what the user named.
    pub(super) fn finish(
        self,
        (experiment, samples): (&Experiment, &Samples),
        options: plot::Options,
        (order, file): (&Order, impl Fn(&Path) -> PathBuf),
    ) -> Result<(), Failure> {
        if let Some(capture) = self.capture {
            capture.finish()?;
        }
        if let Some(teller) = self.teller {
            tell(&teller.into_timeline(), (order, &file))?;
        }
        let (Some(mut tracks), Some(path)) = (self.tracks, &order.plot) else {
            return Ok(());
        };
        let path = file(path);
        for sample in &samples.queue {
            tracks.queue(sample.at, sample.octets);
        }
        let options = plot::Options {
            rate: experiment.forth.rate.map(|rate| rate.bits_per_second),
            queue: experiment.resolved_queue().octets,
            ..options
        };
        let picture = plot::svg(&tracks, &options)
            .map_err(|error| Failure::Usage(format!("--plot: {error}")))?;
        std::fs::write(&path, picture).map_err(Failure::file(&path))
    }
}

/// A teller that knows the hosts of an experiment: 10.0.0.1 sends to 10.128.0.1, and so on.
fn teller(flows: usize) -> Teller {
    let mut teller = Teller::new(Timeline::bounded(MOST_RECORDS));
    for (number, last) in (1..=flows).zip(1_u32..) {
        for (name, net) in [("sender", 10 << 24), ("receiver", 10 << 24 | 128 << 16)] {
            let address = Ipv4Addr::from_bits(net | last);
            teller.host(&format!("{name} {number}"), &[address.into()]);
        }
    }
    teller
}

/// Writes the ladder and the trace.
fn tell(
    timeline: &Timeline,
    (order, file): (&Order, impl Fn(&Path) -> PathBuf),
) -> Result<(), Failure> {
    let write = |path: &Path, text: String| {
        let path = file(path);
        std::fs::write(&path, text).map_err(Failure::file(&path))
    };
    if let Some(path) = &order.trace {
        write(path, jsonl::text(timeline, Lang::En))?;
    }
    if let Some(path) = &order.ladder {
        let options = ladder::Options {
            brief: Some(BRIEF),
            ..ladder::Options::default()
        };
        let is_svg = path.extension().is_some_and(|extension| extension == "svg");
        let text = if is_svg {
            ladder::svg(timeline, &options)
        } else {
            ladder::text(timeline, &options)
        };
        write(path, text)?;
    }
    Ok(())
}

/// The file of a cell: of several cells, each has its values in the name.
pub(super) fn file_of(path: &Path, cell: &Cell, axes: &[&str]) -> PathBuf {
    if axes.is_empty() {
        return path.to_owned();
    }
    let mut name = path
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    for axis in axes {
        name.push('-');
        // What a file name had better not have becomes a dash.
        let text = super::table::given(cell, axis);
        name.extend(text.chars().map(|c| {
            if c.is_alphanumeric() || matches!(c, '.' | '%' | '+') {
                c
            } else {
                '_'
            }
        }));
    }
    if let Some(extension) = path.extension() {
        name.push('.');
        name.push_str(&extension.to_string_lossy());
    }
    path.with_file_name(name)
}

impl Watcher for Recorder {
    fn left(&mut self, sight: &Sight<'_>) {
        if let Some(capture) = &mut self.capture {
            capture.left(sight);
        }
        if let Some(teller) = &mut self.teller {
            teller.left(sight);
        }
    }

    fn arrived(&mut self, sight: &Sight<'_>) {
        let is_receiver = sight.to.0 % 2 == 1;
        if let Some(tracks) = &mut self.tracks
            && is_receiver
            && is_marked(sight.octets)
        {
            tracks.marked(sight.at);
        }
        if let Some(teller) = &mut self.teller {
            teller.arrived(sight);
        }
    }

    fn lost(&mut self, sight: &Sight<'_>, cause: LossCause) {
        if let Some(tracks) = &mut self.tracks {
            let why = match cause {
                LossCause::QueueFull | LossCause::Managed | LossCause::Policed => Fate::QueueFull,
                LossCause::TooBig => Fate::TooBig,
                _ => Fate::Loss,
            };
            tracks.lost(sight.at, sight.octets, why);
        }
        if let Some(capture) = &mut self.capture {
            capture.lost(cause);
        }
        if let Some(teller) = &mut self.teller {
            teller.lost(sight, cause);
        }
    }

    fn tcp(&mut self, host: HostId, now: Instant, who: &Endpoints, event: &TraceEvent) {
        let is_sender = host.0.is_multiple_of(2);
        if let Some(tracks) = &mut self.tracks
            && is_sender
        {
            if let TraceEvent::StateChanged {
                to: State::SynSent, ..
            } = event
                && let Some(label) = self.labels.get(host.0 as usize / 2)
            {
                tracks.label(who, label.clone());
            }
            tracks.tcp(now, who, event);
        }
        if let Some(capture) = &mut self.capture {
            capture.tcp(host, event);
        }
        if let Some(teller) = &mut self.teller {
            teller.tcp(host, now, who, event);
        }
    }
}

/// Whether a router set CE in an IPv4 packet (RFC 3168 section 5); the flows of an experiment speak IPv4.
fn is_marked(octets: &Bytes) -> bool {
    octets.first().is_some_and(|first| first >> 4 == 4)
        && octets.get(1).is_some_and(|tos| tos & 3 == 3)
}

/// A capture file. A packet is written when the next one leaves: only then it is known whether it was lost.
struct Capture {
    path: PathBuf,
    writer: PcapngWriter<BufWriter<File>>,
    pending: Option<(Instant, Bytes, String)>,
    states: HashMap<HostId, State>,
    /// Why the last segment of each host was sent.
    reasons: HashMap<HostId, String>,
    failed: Option<io::Error>,
}

impl Capture {
    fn create(path: PathBuf) -> Result<Self, Failure> {
        let file = File::create(&path).map_err(Failure::file(&path))?;
        let writer = PcapngWriter::new(BufWriter::new(file), LinkType::Raw, "woshou sim")
            .map_err(Failure::file(&path))?;
        Ok(Self {
            path,
            writer,
            pending: None,
            states: HashMap::new(),
            reasons: HashMap::new(),
            failed: None,
        })
    }

    fn left(&mut self, sight: &Sight<'_>) {
        self.write();
        let host = sight.from;
        let side = if host.0.is_multiple_of(2) {
            "sender"
        } else {
            "receiver"
        };
        let mut comment = format!("{side} {}", host.0 / 2 + 1);
        if let Some(state) = self.states.get(&host) {
            comment = format!("{comment} {state}");
        }
        if let Some(reason) = self.reasons.get(&host) {
            comment = format!("{comment}, {reason}");
        }
        self.pending = Some((sight.at, sight.octets.clone(), comment));
    }

    fn lost(&mut self, cause: LossCause) {
        if let Some((_, _, comment)) = &mut self.pending {
            *comment = format!("{comment}; {cause}");
        }
    }

    fn tcp(&mut self, host: HostId, event: &TraceEvent) {
        match event {
            TraceEvent::StateChanged { to, .. } => {
                self.states.insert(host, *to);
            }
            TraceEvent::Sent { reason, .. } => {
                self.reasons.insert(host, Lang::En.reason(*reason));
            }
            _ => {}
        }
    }

    fn write(&mut self) {
        let Some((at, octets, comment)) = self.pending.take() else {
            return;
        };
        if self.failed.is_none()
            && let Err(error) =
                self.writer
                    .frame(at.as_nanos(), Direction::Outbound, &[&octets], &comment)
        {
            self.failed = Some(error);
        }
    }

    fn finish(mut self) -> Result<(), Failure> {
        self.write();
        let done = match self.failed.take() {
            Some(error) => Err(error),
            None => self.writer.flush(),
        };
        done.map_err(Failure::file(self.path))
    }
}
