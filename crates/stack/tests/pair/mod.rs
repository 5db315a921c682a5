//! Two stacks joined by handing packets across, in virtual time.
#![allow(dead_code, reason = "each test file uses its part")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use woshou_stack::{
    Cidr, Config, ConnId, Event, LinkConfig, LinkId, ListenerId, Medium, Packet, Stack, Transmit,
};
use woshou_tcp::{Instant, ReadError, State, WriteError};

/// A packet on the way, with what virtio-net's header would say.
#[derive(Clone, Debug)]
pub(crate) struct Flying {
    pub(crate) octets: Vec<u8>,
    pub(crate) arrives_at: Instant,
    pub(crate) checksum: Option<(usize, usize)>,
    pub(crate) segment_size: Option<u16>,
}

/// Whether a packet from this side is lost.
type Lose = Box<dyn FnMut(usize, &Flying) -> bool>;

pub(crate) struct Pair {
    pub(crate) stacks: [Stack; 2],
    pub(crate) now: Instant,
    pub(crate) delay: Duration,
    /// To each stack.
    pub(crate) flying: [VecDeque<Flying>; 2],
    /// Everything that ever flew: from whom, and what.
    pub(crate) log: Vec<(usize, Flying)>,
    pub(crate) keep_log: bool,
    pub(crate) lose: Lose,
    pub(crate) events: [Vec<Event>; 2],
}

pub(crate) fn cidr(text: &str) -> Cidr {
    let (address, prefix) = text.split_once('/').unwrap();
    Cidr {
        address: address.parse().unwrap(),
        prefix: prefix.parse().unwrap(),
    }
}

pub(crate) fn link(medium: Medium, addresses: &[&str]) -> LinkConfig {
    LinkConfig {
        medium,
        mtu: 1500,
        addresses: addresses.iter().map(|text| cidr(text)).collect(),
        checksum_offload: false,
        gso_max: 0,
    }
}

pub(crate) const LINK: LinkId = LinkId(0);

impl Pair {
    /// 10.0.0.1 and 10.0.0.2, fd00::1 and fd00::2, joined by a link that carries IP.
    pub(crate) fn new() -> Self {
        Self::with(Config::default(), |_, link| link)
    }

    pub(crate) fn ethernet() -> Self {
        Self::with(Config::default(), |n, link| {
            let medium = Medium::Ethernet {
                mac: [2, 0, 0, 0, 0, n],
            };
            LinkConfig { medium, ..link }
        })
    }

    pub(crate) fn with(config: Config, change: impl Fn(u8, LinkConfig) -> LinkConfig) -> Self {
        let config = Arc::new(config);
        let stack = |n: u8| {
            let mut stack = Stack::new(Arc::clone(&config), [n; 32]);
            let addresses = [format!("10.0.0.{n}/24"), format!("fd00::{n}/64")];
            let link = link(Medium::Ip, &[&addresses[0], &addresses[1]]);
            stack.add_link(change(n, link));
            stack
        };
        Self {
            stacks: [stack(1), stack(2)],
            now: Instant::from_millis(1000),
            delay: Duration::from_millis(5),
            flying: Default::default(),
            log: Vec::new(),
            keep_log: true,
            lose: Box::new(|_, _| false),
            events: Default::default(),
        }
    }

    /// Hands out everything that is owed.
    pub(crate) fn pump(&mut self) {
        for from in 0..2 {
            while let Some(transmit) = self.stacks[from].poll_transmit(self.now) {
                let flying = flying(&transmit, self.now + self.delay);
                if self.keep_log {
                    self.log.push((from, flying.clone()));
                }
                if !(self.lose)(from, &flying) {
                    self.flying[1 - from].push_back(flying);
                }
            }
            while let Some(event) = self.stacks[from].poll_event() {
                self.events[from].push(event);
            }
        }
    }

    /// The next thing to happen; `false`: nothing ever will.
    pub(crate) fn step(&mut self) -> bool {
        self.pump();
        let arrivals = self
            .flying
            .iter()
            .filter_map(|queue| queue.front().map(|f| f.arrives_at));
        let timeouts = self.stacks.iter().filter_map(Stack::poll_timeout);
        let Some(next) = arrivals.chain(timeouts).min() else {
            return false;
        };
        assert!(next >= self.now || self.stacks.iter().any(|s| s.poll_timeout() == Some(next)));
        self.now = self.now.max(next);
        for to in 0..2 {
            while self.flying[to]
                .front()
                .is_some_and(|f| f.arrives_at <= self.now)
            {
                let flying = self.flying[to].pop_front().unwrap();
                self.deliver(to, &flying);
                self.pump();
            }
            self.stacks[to].handle_timeout(self.now);
        }
        self.pump();
        true
    }

    pub(crate) fn deliver(&mut self, to: usize, flying: &Flying) {
        let packet = Packet {
            octets: &flying.octets,
            owner: None,
            checksum_valid: flying.checksum.is_some(),
            segment_size: flying.segment_size,
        };
        self.stacks[to].handle_packet(self.now, LINK, packet);
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        self.pump();
        loop {
            let arrivals = self
                .flying
                .iter()
                .filter_map(|q| q.front().map(|f| f.arrives_at));
            let timeouts = self.stacks.iter().filter_map(Stack::poll_timeout);
            match arrivals.chain(timeouts).min() {
                Some(next) if next <= end => assert!(self.step()),
                _ => break,
            }
        }
        self.now = end;
    }

    /// Until nothing is left to happen; at most so many steps.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100_000 {
            if !self.step() {
                return;
            }
        }
        panic!("it goes on forever");
    }

    pub(crate) fn inject(&mut self, to: usize, octets: &[u8]) {
        let packet = Packet {
            octets,
            owner: None,
            checksum_valid: false,
            segment_size: None,
        };
        self.stacks[to].handle_packet(self.now, LINK, packet);
    }

    /// Connects stack 0 to a new listener of stack 1 at `to`, as far as ESTABLISHED on both sides.
    pub(crate) fn connected(&mut self, to: SocketAddr) -> (ConnId, ConnId, ListenerId) {
        let listener = self.stacks[1].listen(to, 16).unwrap();
        let client = self.stacks[0].connect(self.now, to, None).unwrap();
        for _ in 0..50 {
            self.step();
            if let Some(server) = self.stacks[1].accept(listener) {
                assert_eq!(self.stacks[0].state(client), State::Established);
                return (client, server, listener);
            }
        }
        panic!("no connection: {:?}", self.stacks[0].state(client));
    }

    /// Sends `text` from one side's connection to the other's and returns what arrived.
    pub(crate) fn transfer(
        &mut self,
        from: usize,
        (sender, receiver): (ConnId, ConnId),
        text: &[u8],
    ) -> Vec<u8> {
        let (mut sent, mut got) = (0, Vec::new());
        let mut buffer = vec![0; 65_536];
        for _ in 0..100_000 {
            if sent < text.len() {
                match self.stacks[from].write(self.now, sender, &text[sent..]) {
                    Ok(n) => sent += n,
                    Err(WriteError::Full) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            loop {
                match self.stacks[1 - from].read(self.now, receiver, &mut buffer) {
                    Ok(0) | Err(ReadError::Empty) => break,
                    Ok(n) => got.extend_from_slice(&buffer[..n]),
                    Err(error) => panic!("{error}"),
                }
            }
            if got.len() >= text.len() {
                return got;
            }
            assert!(self.step(), "stuck at {} of {}", got.len(), text.len());
        }
        panic!("too slow: {} of {}", got.len(), text.len());
    }
}

/// A transmit as a packet of its own.
pub(crate) fn flying(transmit: &Transmit<'_>, arrives_at: Instant) -> Flying {
    let mut octets = transmit.headers.to_vec();
    octets.extend_from_slice(transmit.payload[0]);
    octets.extend_from_slice(transmit.payload[1]);
    Flying {
        octets,
        arrives_at,
        checksum: transmit
            .checksum
            .map(|c| (usize::from(c.start), usize::from(c.offset))),
        segment_size: transmit.segment_size,
    }
}

pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

pub(crate) fn at(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse::<IpAddr>().unwrap(), port)
}
