//! Whose packets a script talks about: one four-tuple at a time.

use std::net::SocketAddr;

use crate::observed::Observed;
use crate::settings::Settings;
use crate::wire_map::WireMap;

/// Ephemeral ports of the remote side begin here.
const FIRST_REMOTE_PORT: u16 = 32_768;

/// What a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A socket that does nothing yet.
    New,
    /// It listens: the next packet that is injected makes a flow of its own.
    Listening,
    /// It has two ends.
    Talking,
}

/// A socket under test, or a connection made by a packet.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    /// The script's descriptor, once there is one.
    pub(crate) fd: Option<i64>,
    pub(crate) stage: Stage,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) map: WireMap,
    /// Our side has answered the peer's SYN: the numbers are settled.
    settled: bool,
    /// The number of the last SYN without ACK that was injected.
    syn: Option<u32>,
    /// The number of our SYN, once it has left.
    learnt: Option<u32>,
}

impl Flow {
    fn new(fd: Option<i64>, stage: Stage) -> Self {
        let map = WireMap::default();
        Self {
            fd,
            stage,
            local: None,
            remote: None,
            map,
            settled: false,
            syn: None,
            learnt: None,
        }
    }

    /// A segment with SYN is injected. Its number counts from then on, unless the connection has begun: then it may
    /// be refused, and only a SYN,ACK that answers it says otherwise.
    pub(crate) fn injected_syn(&mut self, seq: u32, ack: bool) {
        if !ack {
            self.syn = Some(seq);
        }
        if !self.settled {
            self.map.learn_remote(seq);
        }
    }

    /// A segment leaves where the script has the number `script`, if it has one.
    pub(crate) fn leaves(&mut self, header: &woshou_wire::tcp::TcpHeader, script: Option<u32>) {
        const SYN: u16 = 1 << 1;
        const RST: u16 = 1 << 2;
        const ACK: u16 = 1 << 4;
        self.settled |= header.flags & RST == 0 && header.flags & (SYN | ACK) != SYN;
        if header.flags & SYN == 0 {
            return;
        }
        // A SYN that is sent again has the number that the script gave the first.
        if self.learnt != Some(header.sequence) {
            self.learnt = Some(header.sequence);
            // Another attempt: nothing of the one before holds.
            self.settled &= header.flags & ACK != 0;
            self.map.learn_local(script.unwrap_or(0), header.sequence);
        }
        if header.flags & ACK != 0
            && let Some(seq) = self.syn
            && header.acknowledgement == seq.wrapping_add(1)
        {
            self.map.learn_remote(seq);
        }
    }
}

/// All flows of a script; the last that was made is the one under test.
#[derive(Debug)]
pub(crate) struct Flows {
    flows: Vec<Flow>,
    under_test: Option<usize>,
    next_port: u16,
}

/// Flows that are remembered at most.
const MAX_FLOWS: usize = 65_536;

impl Flows {
    pub(crate) const fn new() -> Self {
        Self {
            flows: Vec::new(),
            under_test: None,
            next_port: FIRST_REMOTE_PORT,
        }
    }

    fn add(&mut self, flow: Flow) {
        if self.flows.len() < MAX_FLOWS {
            self.under_test = Some(self.flows.len());
            self.flows.push(flow);
        }
    }

    /// `socket()` gave the script `fd`: it is under test from now on.
    pub(crate) fn opened(&mut self, fd: i64) {
        self.add(Flow::new(Some(fd), Stage::New));
    }

    /// The flow that the script calls `fd`.
    pub(crate) fn by_fd(&mut self, fd: i64) -> Option<&mut Flow> {
        self.flows.iter_mut().rev().find(|flow| flow.fd == Some(fd))
    }

    /// `accept()` gave the script `fd` for the connection with `remote`.
    pub(crate) fn accepted(&mut self, fd: i64, remote: SocketAddr) {
        let same = |flow: &&mut Flow| flow.remote.is_some_and(|known| known == remote);
        if let Some(flow) = self.flows.iter_mut().rev().find(same) {
            flow.fd = Some(fd);
        }
    }

    /// `close()`: the descriptor may be given again.
    pub(crate) fn closed(&mut self, fd: i64) {
        for flow in self.flows.iter_mut().filter(|flow| flow.fd == Some(fd)) {
            flow.fd = None;
            if flow.stage == Stage::Listening {
                flow.stage = Stage::New;
            }
        }
    }

    pub(crate) fn under_test(&mut self) -> Option<&mut Flow> {
        self.flows.get_mut(self.under_test?)
    }

    /// The flow of a packet that the script injects: the one under test, or a new one where that listens or has no
    /// peer.
    pub(crate) fn of_injected(&mut self, settings: &Settings) -> Option<&mut Flow> {
        let talking = self
            .under_test()
            .is_some_and(|flow| flow.stage == Stage::Talking);
        if !talking {
            let listener = self.under_test().and_then(|flow| flow.local);
            let port = listener.map_or(settings.bind_port, |local| local.port());
            let remote = SocketAddr::new(settings.remote_ip, self.next_port);
            self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_REMOTE_PORT);
            self.add(Flow {
                local: Some(SocketAddr::new(settings.local_ip, port)),
                remote: Some(remote),
                ..Flow::new(None, Stage::Talking)
            });
        }
        self.under_test()
    }

    /// Whether `packet` leaves the flow under test. `ports`: those that the script names instead.
    pub(crate) fn is_ours(&mut self, packet: &Observed, ports: Option<(u16, u16)>) -> bool {
        let (source, destination) = (packet.ip.source, packet.ip.destination);
        if let Some(ports) = ports {
            return (source.port(), destination.port()) == ports;
        }
        let Some(flow) = self.under_test() else {
            return true;
        };
        let Some(remote) = flow.remote else {
            return false;
        };
        // ICMP has no ports.
        if source.port() == 0 && destination.port() == 0 {
            return destination.ip() == remote.ip();
        }
        if destination != remote {
            return false;
        }
        // The port of a socket that was not bound is chosen by the stack: the first packet tells it.
        let local = *flow.local.get_or_insert(source);
        source.port() == local.port() && (local.ip().is_unspecified() || source.ip() == local.ip())
    }
}
