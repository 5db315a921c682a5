//! woshou to woshou: two stacks driven by hand.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use woshou_stack::{Cidr, Config, ConnId, LinkConfig, LinkId, ListenerId, Medium, Packet, Stack};
use woshou_tcp::{Instant, ReadError, State, WriteError};

use crate::link::{CAPACITY, Link};
use crate::memory::{Bulk, CHUNK, Cycles, OCTET, Peer};

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// Ports that the server of a measurement of cycles listens at.
const SERVER_PORTS: u16 = 16;

/// A stack and its only link.
struct Host {
    stack: Stack,
    link: LinkId,
    /// The link vouches for checksums, and frames are handed in by reference.
    gso: bool,
}

impl Host {
    fn new(address: Ipv4Addr, mtu: usize, gso: bool, config: &Arc<Config>) -> Self {
        let mut stack = Stack::new(config.clone(), [address.octets()[3]; 32]);
        let link = stack.add_link(LinkConfig {
            medium: Medium::Ip,
            mtu,
            addresses: vec![Cidr {
                address: address.into(),
                prefix: 24,
            }],
            checksum_offload: gso,
            gso_max: if gso { 65_535 } else { 0 },
        });
        Self { stack, link, gso }
    }

    /// Sends all that is owed, or what the link takes.
    fn transmit(&mut self, now: Instant, onto: &mut Link) {
        while onto.has_room() {
            let mut buffer = onto.buffer();
            let Some(transmit) = self.stack.poll_transmit(now) else {
                onto.give_back(buffer);
                break;
            };
            buffer.clear();
            buffer.extend_from_slice(transmit.headers);
            buffer.extend_from_slice(transmit.payload[0]);
            buffer.extend_from_slice(transmit.payload[1]);
            onto.send(buffer, transmit.segment_size);
        }
        while self.stack.poll_event().is_some() {}
    }

    /// Takes what arrived, `batch` packets at most.
    fn receive(&mut self, now: Instant, from: &mut Link, batch: usize) {
        for _ in 0..batch {
            let Some(frame) = from.receive() else { break };
            let segment_size = frame.segment_size;
            if self.gso {
                let owner = frame.octets.freeze();
                let packet = Packet {
                    octets: &owner,
                    owner: Some(&owner),
                    checksum_valid: true,
                    segment_size,
                };
                self.stack.handle_packet(now, self.link, packet);
                from.lend(owner);
            } else {
                let packet = Packet {
                    octets: &frame.octets,
                    owner: None,
                    checksum_valid: false,
                    segment_size,
                };
                self.stack.handle_packet(now, self.link, packet);
                from.give_back(frame.octets);
            }
        }
        if self.stack.poll_timeout().is_some_and(|at| at <= now) {
            self.stack.handle_timeout(now);
        }
    }
}

/// Two stacks and the link between them.
struct Wire {
    client: Host,
    server: Host,
    forth: Link,
    back: Link,
}

impl Wire {
    fn new(mtu: usize, gso: bool, config: Config) -> Self {
        let config = Arc::new(config);
        Self {
            client: Host::new(CLIENT, mtu, gso, &config),
            server: Host::new(SERVER, mtu, gso, &config),
            forth: Link::default(),
            back: Link::default(),
        }
    }

    /// What the client owes goes over, and what the server answers comes back.
    fn carry(&mut self, now: Instant) {
        self.client.transmit(now, &mut self.forth);
        self.server.receive(now, &mut self.forth, CAPACITY);
        self.server.transmit(now, &mut self.back);
        self.client.receive(now, &mut self.back, CAPACITY);
    }

    /// Listeners, and idle connections to them in turn.
    fn hold_idle(&mut self, bulk: &Bulk) -> Result<Vec<[ConnId; 2]>> {
        const FIRST: u16 = 10_000;
        let listeners: Vec<ListenerId> = (0..bulk.listeners)
            .map(|index| self.server.stack.listen((SERVER, FIRST + index).into(), 16))
            .collect::<Result<_, _>>()?;
        let mut held = Vec::new();
        for index in 0..bulk.idle {
            let which = (index % u32::from(bulk.listeners)) as u16;
            let port = 1025 + (index / u32::from(bulk.listeners)) as u16;
            let (from, to) = ((CLIENT, port).into(), (SERVER, FIRST + which).into());
            let ours = self.client.stack.connect(Instant::ZERO, to, Some(from))?;
            self.carry(Instant::ZERO);
            self.carry(Instant::ZERO);
            let accepted = self.server.stack.accept(listeners[usize::from(which)]);
            let theirs = accepted.context("an idle connection was not accepted")?;
            held.push([ours, theirs]);
        }
        Ok(held)
    }
}

/// Two stacks and a connection between them.
pub(crate) struct Pair {
    wire: Wire,
    sender: ConnId,
    receiver: ConnId,
    batch: usize,
    /// What is written, where it is handed over by reference.
    given: Option<Bytes>,
}

impl Pair {
    /// Writes until there is no more room.
    fn write(&mut self, now: Instant, chunk: &[u8]) -> Result<()> {
        let stack = &mut self.wire.client.stack;
        loop {
            let written = match &self.given {
                Some(given) => stack.write_chunk(now, self.sender, &mut given.clone()),
                None => stack.write(now, self.sender, chunk),
            };
            match written {
                Ok(_) => {}
                Err(WriteError::Full) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads all that is there.
    fn read(&mut self, now: Instant, into: &mut [u8], mut seen: impl FnMut(&[u8])) -> Result<u64> {
        let stack = &mut self.wire.server.stack;
        let mut read = 0;
        loop {
            let octets = if self.given.is_some() {
                stack.read_chunk(now, self.receiver, CHUNK).map(|chunk| {
                    seen(&chunk);
                    chunk.len()
                })
            } else {
                stack
                    .read(now, self.receiver, into)
                    .inspect(|octets| seen(&into[..*octets]))
            };
            match octets {
                Ok(octets) => read += octets as u64,
                Err(ReadError::Empty) => return Ok(read),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Peer for Pair {
    const NAME: &'static str = "woshou";

    fn connect(bulk: &Bulk) -> Result<Self> {
        let tcp = woshou_tcp::Config {
            send_buffer: bulk.buffer,
            receive_buffer: bulk.buffer,
            ..woshou_tcp::Config::default()
        };
        let config = Config {
            tcp: Arc::new(tcp),
            // Enough that what is held beside the flow takes no room from it.
            memory: 4 << 30,
            ..Config::default()
        };
        let mut wire = Wire::new(bulk.mtu, bulk.gso, config);
        wire.hold_idle(bulk)?;
        let listener = wire
            .server
            .stack
            .listen(SocketAddr::from((SERVER, 80)), 1)?;
        let sender =
            wire.client
                .stack
                .connect(Instant::ZERO, SocketAddr::from((SERVER, 80)), None)?;
        for _ in 0..10 {
            wire.carry(Instant::ZERO);
        }
        let receiver = wire.server.stack.accept(listener);
        let Some(receiver) = receiver else {
            anyhow::bail!("woshou did not connect")
        };
        Ok(Self {
            wire,
            sender,
            receiver,
            batch: bulk.batch,
            given: bulk.borrows.then(|| vec![OCTET; CHUNK].into()),
        })
    }

    fn packets(&self) -> [u64; 2] {
        [self.wire.forth.sent, self.wire.back.sent]
    }

    fn turn(
        &mut self,
        now: Duration,
        chunk: &[u8],
        into: &mut [u8],
        seen: impl FnMut(&[u8]),
    ) -> Result<u64> {
        let now = instant(now);
        self.write(now, chunk)?;
        self.wire.client.transmit(now, &mut self.wire.forth);
        while {
            let batch = self.batch;
            self.wire.server.receive(now, &mut self.wire.forth, batch);
            self.wire.server.transmit(now, &mut self.wire.back);
            !self.wire.forth.is_empty()
        } {}
        let read = self.read(now, into, seen)?;
        self.wire.server.transmit(now, &mut self.wire.back);
        self.wire.client.receive(now, &mut self.wire.back, CAPACITY);
        Ok(read)
    }

    fn corrupt_next(&mut self) {
        self.wire.forth.corrupt_next = true;
    }

    fn cycles(cycles: &Cycles) -> Result<f64> {
        let time_wait = if cycles.held == 0 {
            Duration::from_millis(1)
        } else {
            Duration::from_secs(60)
        };
        let tcp = woshou_tcp::Config {
            time_wait,
            ..woshou_tcp::Config::default()
        };
        let config = Config {
            tcp: Arc::new(tcp),
            time_wait_entries: 1_000_000,
            ..Config::default()
        };
        let mut wire = Wire::new(1500, false, config);
        let listeners: Vec<ListenerId> = (0..SERVER_PORTS)
            .map(|index| wire.server.stack.listen((SERVER, 80 + index).into(), 16))
            .collect::<Result<_, _>>()?;
        let mut now = Instant::ZERO;
        let mut started = Clock::now();
        for cycle in 0..cycles.held + cycles.count {
            if cycle == cycles.held {
                started = Clock::now();
            }
            // Each pair of ports is used once while it is in TIME-WAIT.
            let from = (CLIENT, 1025 + (cycle % 60_000) as u16).into();
            let which = (cycle / 60_000) as u16 % SERVER_PORTS;
            let to = (SERVER, 80 + which).into();
            let opener = wire.client.stack.connect(now, to, Some(from))?;
            open_and_close(&mut wire, opener, listeners[usize::from(which)], &mut now)?;
        }
        let took = started.elapsed();
        let all = wire.client.stack.connections();
        let held = all.iter().filter(|it| it.1 == State::TimeWait).count();
        ensure!(
            held >= cycles.held as usize,
            "only {held} are held in TIME-WAIT"
        );
        Ok(f64::from(cycles.count) / took.as_secs_f64())
    }
}

/// Connections, both ends in hand, that say little.
pub(crate) struct Held {
    wire: Wire,
    connections: Vec<[ConnId; 2]>,
    now: Instant,
}

impl Held {
    /// So many connections.
    pub(crate) fn new(connections: u32) -> Result<Self> {
        let mut wire = Wire::new(1500, false, Config::default());
        let connections = wire.hold_idle(&Bulk {
            idle: connections,
            listeners: 1,
            ..Bulk::mtu_1500(0.0)
        })?;
        let now = Instant::from_millis(1);
        Ok(Self {
            wire,
            connections,
            now,
        })
    }

    /// An octet there and back, `count` times on the first connection.
    pub(crate) fn echo(&mut self, count: u64) -> Result<u64> {
        let [client, server] = self.connections[0];
        let mut octet = [0x5a];
        for _ in 0..count {
            self.now += Duration::from_micros(20);
            self.wire.client.stack.write(self.now, client, &octet)?;
            self.wire.carry(self.now);
            self.wire.server.stack.read(self.now, server, &mut octet)?;
            self.wire.server.stack.write(self.now, server, &octet)?;
            self.wire.carry(self.now);
            self.wire.client.stack.read(self.now, client, &mut octet)?;
        }
        Ok(count)
    }

    /// An octet one way, acknowledged when a timer says so; all connections in turn, `count` octets or a few more.
    pub(crate) fn delayed_acks(&mut self, count: u64) -> Result<u64> {
        let mut octet = [0x5a];
        let mut done = 0;
        while done < count {
            for [client, server] in self.connections.clone() {
                self.now += Duration::from_micros(20);
                self.wire.client.stack.write(self.now, client, &octet)?;
                self.wire.carry(self.now);
                self.wire.server.stack.read(self.now, server, &mut octet)?;
                done += 1;
            }
            self.now += Duration::from_secs(1);
            self.wire.carry(self.now);
            self.wire.carry(self.now);
        }
        Ok(done)
    }
}

fn instant(now: Duration) -> Instant {
    Instant::from_nanos(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

/// Handshake, FIN, FIN; until the client is in TIME-WAIT and the server closed.
fn open_and_close(
    wire: &mut Wire,
    opener: ConnId,
    listener: ListenerId,
    now: &mut Instant,
) -> Result<()> {
    let mut accepted = None;
    for round in 0..100 {
        // A microsecond a round; more when an acknowledgement is delayed.
        *now += Duration::from_micros(if round < 20 { 1 } else { 1000 });
        wire.carry(*now);
        if wire.client.stack.state(opener) == State::Established {
            wire.client.stack.shutdown(*now, opener);
        }
        accepted = accepted.or_else(|| wire.server.stack.accept(listener));
        let Some(server) = accepted else { continue };
        if wire.server.stack.state(server) == State::CloseWait {
            wire.server.stack.shutdown(*now, server);
        }
        if wire.client.stack.state(opener) == State::TimeWait
            && wire.server.stack.state(server) == State::Closed
        {
            wire.client.stack.close(*now, opener);
            wire.server.stack.close(*now, server);
            ensure!(
                wire.forth.is_empty() && wire.back.is_empty(),
                "a packet was left over"
            );
            return Ok(());
        }
    }
    Err(anyhow::anyhow!("woshou did not close"))
}
