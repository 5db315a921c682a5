//! `--pcap FILE`: every frame as it crosses the link, with what TCP thought at that moment.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, BufWriter};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use woshou_link::{Device, Direction, Medium, Record, Recorded};
use woshou_tcp::{Endpoints, Reason, SeqNum, State, TraceEvent};
use woshou_trace::Lang;
use woshou_trace::pcapng::{self, LinkType, PcapngWriter};
use woshou_wire::ethernet;
use woshou_wire::ip_protocol;
use woshou_wire::ipv4::Ipv4Packet;
use woshou_wire::ipv6::Ipv6Packet;
use woshou_wire::tcp::TcpSegment;

use crate::failure::Failure;

/// A capture file; clones write to the same one.
#[derive(Clone)]
pub(crate) struct Capture(Arc<Mutex<Inner>>);

struct Inner {
    path: PathBuf,
    /// `None` once the file could not be written any more.
    writer: Option<PcapngWriter<BufWriter<File>>>,
    failed: Option<io::Error>,
    states: HashMap<Endpoints, State>,
    /// Segments that TCP sent and whose frames are still to be seen.
    sent: VecDeque<(Endpoints, SeqNum, Reason)>,
}

/// Sent segments that wait for their frame; more are forgotten, oldest first.
const WAITING: usize = 1024;

impl Capture {
    pub(crate) fn create(path: &Path, medium: Medium) -> Result<Self, Failure> {
        let link = if is_ethernet(medium) {
            LinkType::Ethernet
        } else {
            LinkType::Raw
        };
        let file = File::create(path).map_err(Failure::file(path))?;
        let writer =
            PcapngWriter::new(BufWriter::new(file), link, "woshou").map_err(Failure::file(path))?;
        Ok(Self(Arc::new(Mutex::new(Inner {
            path: path.into(),
            writer: Some(writer),
            failed: None,
            states: HashMap::new(),
            sent: VecDeque::new(),
        }))))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The device with a recorder in front of it.
    pub(crate) fn wrap(&self, device: Box<dyn Device>) -> Box<dyn Device> {
        let capture = self.clone();
        Box::new(Record::new(device, move |frame: &Recorded<'_>| {
            capture.lock().frame(frame);
        }))
    }

    /// What TCP says, for the comments.
    pub(crate) fn observe(&self, who: &Endpoints, event: &TraceEvent) {
        let mut inner = self.lock();
        match event {
            TraceEvent::StateChanged {
                to: State::Closed, ..
            } => {
                inner.states.remove(who);
            }
            TraceEvent::StateChanged { to, .. } => {
                inner.states.insert(*who, *to);
            }
            TraceEvent::Sent { header, reason, .. } => {
                inner.sent.push_back((*who, header.seq, *reason));
                if inner.sent.len() > WAITING {
                    inner.sent.pop_front();
                }
            }
            _ => {}
        }
    }

    /// Completes the file.
    pub(crate) fn finish(&self) -> Result<(), Failure> {
        let mut inner = self.lock();
        let path = inner.path.clone();
        if let Some(error) = inner.failed.take() {
            return Err(Failure::file(path)(error));
        }
        match inner.writer.as_mut() {
            Some(writer) => writer.flush().map_err(Failure::file(path)),
            None => Ok(()),
        }
    }
}

impl Inner {
    fn frame(&mut self, frame: &Recorded<'_>) {
        let comment = self.comment(frame);
        let Some(writer) = &mut self.writer else {
            return;
        };
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let direction = match frame.direction {
            Direction::Received => pcapng::Direction::Inbound,
            Direction::Sent => pcapng::Direction::Outbound,
        };
        if let Err(error) = writer.frame(now, direction, &[frame.bytes], &comment) {
            // A full disk ends the capture, not the transfer; told at the end.
            self.failed = Some(error);
            self.writer = None;
        }
    }

    /// Our state, and for a segment of ours the reason.
    fn comment(&mut self, frame: &Recorded<'_>) -> String {
        let Some((source, destination, seq)) = tcp_of(frame.bytes, frame.medium) else {
            return String::new();
        };
        let who = match frame.direction {
            Direction::Received => Endpoints {
                local: destination,
                remote: source,
            },
            Direction::Sent => Endpoints {
                local: source,
                remote: destination,
            },
        };
        let state = self.states.get(&who).map_or("", |state| state.name());
        if frame.direction == Direction::Received {
            return state.to_owned();
        }
        let Some(at) = self
            .sent
            .iter()
            .position(|(w, s, _)| *w == who && *s == seq)
        else {
            return state.to_owned();
        };
        let reason = self
            .sent
            .remove(at)
            .map(|(_, _, reason)| Lang::En.reason(reason));
        [state, &reason.unwrap_or_default()]
            .join(" ")
            .trim()
            .to_owned()
    }
}

/// Both ends and SEG.SEQ, when the frame carries TCP.
fn tcp_of(frame: &[u8], medium: Medium) -> Option<(SocketAddr, SocketAddr, SeqNum)> {
    let packet = if is_ethernet(medium) {
        frame.get(ethernet::HEADER_LEN..)?
    } else {
        frame
    };
    let (source, destination, segment): (IpAddr, IpAddr, &[u8]) = match packet.first()? >> 4 {
        4 => {
            let packet = Ipv4Packet::parse(packet).ok()?;
            let header = packet.header;
            if header.protocol != ip_protocol::TCP || packet.is_fragment() {
                return None;
            }
            (
                header.source.into(),
                header.destination.into(),
                packet.payload,
            )
        }
        _ => {
            let packet = Ipv6Packet::parse(packet).ok()?;
            if packet.upper.protocol != ip_protocol::TCP || packet.upper.fragment.is_some() {
                return None;
            }
            (
                packet.header.source.into(),
                packet.header.destination.into(),
                packet.upper.payload,
            )
        }
    };
    let header = TcpSegment::parse(segment).ok()?.header;
    Some((
        (source, header.source_port).into(),
        (destination, header.destination_port).into(),
        SeqNum(header.sequence),
    ))
}

/// Whether frames of `medium` begin with an Ethernet header.
fn is_ethernet(medium: Medium) -> bool {
    matches!(medium, Medium::Ethernet { .. })
}
