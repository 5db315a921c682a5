//! The stack under test, its link, and virtual time.

use std::collections::VecDeque;
use std::sync::Arc;

use woshou_posix::{Personality, Policy, Sockets};
use woshou_stack::{Cidr, LinkConfig, LinkId, Medium, Packet, Stack};
use woshou_tcp::Instant;
use woshou_trace::{HostId, PacketId, Sink};

use crate::ast::Micros;
use crate::observed::{self, Observed};
use crate::profile::{Knobs, Profile};
use crate::settings::{IpVersion, Settings};

/// When scripts begin: some time after the origin, so that no clock stands at zero.
const START: Instant = Instant::from_millis(1_000);
/// Timers that fire in one script at most.
const MAX_STEPS: u32 = 400_000;
/// Packets that wait to be looked at, at most, and octets of text in them.
const MAX_QUEUE: usize = 200_000;
/// Records that are kept to be shown.
const MAX_RECORDS: usize = 20_000;

/// Why time cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overrun {
    /// Too many timers fired.
    Steps,
    /// Too many packets left.
    Packets,
}

impl core::fmt::Display for Overrun {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Steps => write!(
                f,
                "more than {MAX_STEPS} timers fired: the script has no end"
            ),
            Self::Packets => write!(f, "more than {MAX_QUEUE} packets left that nobody expects"),
        }
    }
}

/// Writes down what happens.
struct Recorder {
    sink: Sink,
    stack: HostId,
    script: HostId,
    next: u64,
}

pub(crate) struct World {
    pub(crate) sockets: Sockets,
    link: LinkId,
    mtu: usize,
    /// Exact; at least as late as any timer that fired.
    now: Instant,
    /// What left and was not looked at yet.
    pub(crate) sniffed: VecDeque<Observed>,
    recorder: Option<Recorder>,
    steps: u32,
}

impl World {
    pub(crate) fn new(knobs: &Knobs, settings: &Settings, profile: Profile, record: bool) -> Self {
        let mut stack = Stack::new(Arc::new(knobs.stack_config()), [0x5a; 32]);
        let v6 = settings.version == IpVersion::V6;
        let mtu = settings.mtu.unwrap_or(knobs.mtu) + if v6 { knobs.mtu_v6 } else { 0 };
        let prefix = if v6 { 64 } else { 16 };
        let link = stack.add_link(LinkConfig {
            medium: Medium::Ip,
            mtu,
            addresses: vec![Cidr {
                address: settings.local_ip,
                prefix,
            }],
            checksum_offload: false,
            gso_max: 0,
        });
        let any: std::net::IpAddr = if v6 { [0; 16].into() } else { [0; 4].into() };
        stack.add_route(
            Cidr {
                address: any,
                prefix: 0,
            },
            link,
            None,
        );
        let recorder = record.then(|| {
            let sink = Sink::bounded(MAX_RECORDS);
            let ours = sink.host("woshou", &[settings.local_ip]);
            let script = sink.host("script", &[settings.remote_ip]);
            stack.set_observer(Some(sink.observer(ours)));
            Recorder {
                sink,
                stack: ours,
                script,
                next: 0,
            }
        });
        let personality = match profile {
            Profile::FreeBsd => Personality::FreeBsd,
            Profile::Linux | Profile::Woshou => Personality::Linux,
        };
        let policy = Policy {
            personality,
            ..Policy::default()
        };
        Self {
            sockets: Sockets::new(stack, policy),
            link,
            mtu,
            now: START,
            sniffed: VecDeque::new(),
            recorder,
            steps: 0,
        }
    }

    /// The longest IP packet of the link, octets.
    pub(crate) const fn mtu(&self) -> usize {
        self.mtu
    }

    /// Now, as the stack has it.
    pub(crate) const fn instant(&self) -> Instant {
        self.now
    }

    /// Now, in microseconds since the start of the script.
    pub(crate) const fn now(&self) -> Micros {
        self.now.as_micros() - START.as_micros()
    }

    /// `at` as the stack has it.
    pub(crate) const fn to_instant(at: Micros) -> Instant {
        Instant::from_micros(START.as_micros().saturating_add(at))
    }

    /// `at` in microseconds since the start of the script.
    pub(crate) const fn since_start(at: Instant) -> Micros {
        at.as_micros().saturating_sub(START.as_micros())
    }

    /// What was written down.
    pub(crate) fn timeline(&self) -> Option<woshou_trace::Timeline> {
        self.recorder
            .as_ref()
            .map(|recorder| recorder.sink.timeline())
    }

    /// The next timer that is due at or before `limit` fires; `false`: there is none, and the clock stands where it did.
    pub(crate) fn step(&mut self, limit: Micros) -> Result<bool, Overrun> {
        let limit = Self::to_instant(limit);
        let Some(due) = self
            .sockets
            .stack
            .poll_timeout()
            .filter(|due| *due <= limit)
        else {
            return Ok(false);
        };
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(Overrun::Steps);
        }
        self.now = self.now.max(due);
        self.sockets.stack.handle_timeout(self.now);
        self.settle()?;
        Ok(true)
    }

    /// The clock goes to `at`, unless it is later. No timer may be due before.
    pub(crate) fn set_clock(&mut self, at: Micros) {
        self.now = self.now.max(Self::to_instant(at));
    }

    /// When the next timer fires, in microseconds since the start of the script.
    pub(crate) fn next_timer(&self) -> Option<Micros> {
        let due = self.sockets.stack.poll_timeout()?;
        Some(due.as_micros().saturating_sub(START.as_micros()))
    }

    /// Hands a packet to the stack. `segment_size`: it was put together from segments of so many octets.
    pub(crate) fn inject(
        &mut self,
        octets: &[u8],
        segment_size: Option<u16>,
    ) -> Result<(), Overrun> {
        if let Some(recorder) = &mut self.recorder {
            recorder.next += 1;
            let packet = PacketId(recorder.next);
            recorder
                .sink
                .left(self.now, packet, recorder.script, octets);
            recorder.sink.arrived(self.now, packet, recorder.stack);
        }
        let packet = Packet {
            octets,
            owner: None,
            checksum_valid: false,
            segment_size,
        };
        self.sockets
            .stack
            .handle_packet(self.now, self.link, packet);
        self.settle()
    }

    /// Takes everything that leaves, and the stack's news: after each input and each call.
    pub(crate) fn settle(&mut self) -> Result<(), Overrun> {
        loop {
            let mut sent = false;
            while let Some(transmit) = self.sockets.stack.poll_transmit(self.now) {
                let [first, second] = transmit.payload;
                let octets = [transmit.headers, first, second].concat();
                sent = true;
                if let Some(recorder) = &mut self.recorder {
                    recorder.next += 1;
                    let packet = PacketId(recorder.next);
                    recorder
                        .sink
                        .left(self.now, packet, recorder.stack, &octets);
                    recorder.sink.arrived(self.now, packet, recorder.script);
                }
                let at = self.now.as_micros() - START.as_micros();
                self.sniffed.extend(observed::read(at, &octets));
                if self.sniffed.len() > MAX_QUEUE {
                    return Err(Overrun::Packets);
                }
            }
            self.sockets.settle(self.now);
            if !sent {
                return Ok(());
            }
        }
    }
}
