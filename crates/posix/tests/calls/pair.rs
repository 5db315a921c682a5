//! Two hosts with sockets, joined by a link, in virtual time.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use woshou_posix::constants::{AF_INET, AF_INET6, O_NONBLOCK, SOCK_STREAM};
use woshou_posix::{
    Buffer, Errno, Fcntl, Fd, Message, Outcome, Personality, Policy, Sockets, Stop, WaitFor,
};
use woshou_stack::{Cidr, Config, LinkConfig, LinkId, Medium, Packet, Stack};
use woshou_tcp::{Instant, SeqNum};

const DELAY: Duration = Duration::from_millis(5);

/// Two hosts: 10.0.0.1 and 10.0.0.2, fd00::1 and fd00::2.
pub(crate) struct Pair {
    pub(crate) hosts: [Sockets; 2],
    pub(crate) now: Instant,
    flying: [VecDeque<(Instant, Vec<u8>)>; 2],
    /// Everything is lost.
    pub(crate) cut: bool,
    /// Segments handed over, and the flags octet of each, by sender.
    pub(crate) flags: [Vec<u8>; 2],
}

pub(crate) fn tcp() -> woshou_tcp::Config {
    woshou_tcp::Config::default()
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self::with(tcp(), Policy::default(), Medium::Ip)
    }

    pub(crate) fn freebsd() -> Self {
        let policy = Policy {
            personality: Personality::FreeBsd,
            ..Policy::default()
        };
        Self::with(tcp(), policy, Medium::Ip)
    }

    pub(crate) fn with(tcp: woshou_tcp::Config, policy: Policy, medium: Medium) -> Self {
        let config = Arc::new(Config {
            tcp: Arc::new(tcp),
            ..Config::default()
        });
        let host = |n: u8| {
            let mut stack = Stack::new(Arc::clone(&config), [n; 32]);
            // Sequence numbers wrap within the first octets of the first connection.
            stack.set_next_isn(SeqNum(0xffff_fff0));
            let cidr = |ip: String, prefix| Cidr {
                address: ip.parse().unwrap(),
                prefix,
            };
            let addresses = vec![
                cidr(format!("10.0.0.{n}"), 24),
                cidr(format!("fd00::{n}"), 64),
            ];
            let medium = match medium {
                Medium::Ip => Medium::Ip,
                Medium::Ethernet { .. } => Medium::Ethernet {
                    mac: [2, 0, 0, 0, 0, n],
                },
            };
            stack.add_link(LinkConfig {
                medium,
                mtu: 1500,
                addresses,
                checksum_offload: false,
                gso_max: 0,
            });
            Sockets::new(stack, policy.clone())
        };
        Self {
            hosts: [host(1), host(2)],
            now: Instant::from_millis(1000),
            flying: Default::default(),
            cut: false,
            flags: Default::default(),
        }
    }

    fn pump(&mut self) {
        for from in 0..2 {
            while let Some(transmit) = self.hosts[from].stack.poll_transmit(self.now) {
                let mut octets = transmit.headers.to_vec();
                octets.extend_from_slice(transmit.payload[0]);
                octets.extend_from_slice(transmit.payload[1]);
                if octets[0] >> 4 == 4 && octets[9] == 6 {
                    self.flags[from].push(octets[33]);
                }
                if !self.cut {
                    self.flying[1 - from].push_back((self.now + DELAY, octets));
                }
            }
            self.hosts[from].settle(self.now);
        }
    }

    /// The next thing to happen; `false`: nothing ever will.
    pub(crate) fn step(&mut self) -> bool {
        self.pump();
        let Some(next) = self.next() else {
            return false;
        };
        self.now = self.now.max(next);
        for to in 0..2 {
            while self.flying[to]
                .front()
                .is_some_and(|(at, _)| *at <= self.now)
            {
                let (_, octets) = self.flying[to].pop_front().unwrap();
                let packet = Packet {
                    octets: &octets,
                    owner: None,
                    checksum_valid: false,
                    segment_size: None,
                };
                self.hosts[to]
                    .stack
                    .handle_packet(self.now, LinkId(0), packet);
                self.pump();
            }
            self.hosts[to].stack.handle_timeout(self.now);
        }
        self.pump();
        true
    }

    fn next(&self) -> Option<Instant> {
        let arrivals = self
            .flying
            .iter()
            .filter_map(|queue| queue.front().map(|(at, _)| *at));
        let timeouts = self
            .hosts
            .iter()
            .filter_map(|host| host.stack.poll_timeout());
        arrivals.chain(timeouts).min()
    }

    pub(crate) fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        self.pump();
        while self.next().is_some_and(|next| next <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Lets time pass until `wait` is over; `false`: its time ran out first.
    pub(crate) fn wait(&mut self, side: usize, wait: &WaitFor) -> bool {
        for _ in 0..1_000_000 {
            self.pump();
            if self.hosts[side].is_over(wait) && wait.fd >= 0 {
                return true;
            }
            let next = self.next();
            match (wait.until, next) {
                (Some(until), next) if next.is_none_or(|next| next > until) => {
                    self.now = self.now.max(until);
                    return false;
                }
                (None, None) => panic!("nothing will ever happen, and {wait:?}"),
                _ => assert!(self.step()),
            }
            if wait.fd < 0 {
                return true;
            }
        }
        panic!("too long: {wait:?}");
    }

    /// A socket that listens at `at` on host 1.
    pub(crate) fn listener(&mut self, at: &str) -> Fd {
        let address: SocketAddr = at.parse().unwrap();
        let fd = self.socket(1, address.is_ipv6());
        self.hosts[1].bind(fd, Some(address)).unwrap();
        self.hosts[1].listen(fd, 5).unwrap();
        fd
    }

    pub(crate) fn socket(&mut self, side: usize, v6: bool) -> Fd {
        let domain = if v6 { AF_INET6 } else { AF_INET };
        self.hosts[side].socket(domain, SOCK_STREAM, 0).unwrap()
    }

    pub(crate) fn nonblocking(&mut self, side: usize, fd: Fd) {
        let set = Fcntl::SetFlags(O_NONBLOCK);
        assert_eq!(self.hosts[side].fcntl(fd, set), Ok(0));
    }

    /// A blocking `connect` of host 0.
    pub(crate) fn connect(&mut self, fd: Fd, to: &str) -> Outcome<()> {
        let to = Some(to.parse().unwrap());
        let mut result = self.hosts[0].connect(self.now, fd, to);
        while let Err(Stop::Blocked(wait)) = result {
            if !self.wait(0, &wait) {
                return self.hosts[0].give_up(&wait).map(|_| ());
            }
            result = self.hosts[0].finish_connect(self.now, fd);
        }
        result
    }

    /// Connected: the descriptors of host 0, of host 1, and of the listener there.
    pub(crate) fn connected(&mut self) -> (Fd, Fd, Fd) {
        let listener = self.listener("10.0.0.2:8080");
        let client = self.socket(0, false);
        self.connect(client, "10.0.0.2:8080").unwrap();
        self.run(20);
        let (server, _) = self.hosts[1].accept(self.now, listener).unwrap();
        (client, server, listener)
    }

    /// A blocking `write` of `side`.
    pub(crate) fn write(&mut self, side: usize, fd: Fd, octets: &[u8]) -> Outcome<usize> {
        let mut result = self.hosts[side].write(self.now, fd, octets);
        while let Err(Stop::Blocked(wait)) = result {
            if !self.wait(side, &wait) {
                return self.hosts[side].give_up(&wait);
            }
            let pieces = [Buffer::Octets(octets)];
            let message = Message {
                pieces: &pieces,
                done: wait.done,
                ..Message::default()
            };
            result = self.hosts[side].sendmsg(self.now, fd, &message);
        }
        result
    }

    /// A blocking `read` of `side`.
    pub(crate) fn read(&mut self, side: usize, fd: Fd, most: usize) -> Outcome<Vec<u8>> {
        let mut into = vec![0; most];
        loop {
            match self.hosts[side].read(self.now, fd, &mut into) {
                Ok(octets) => {
                    into.truncate(octets);
                    return Ok(into);
                }
                Err(Stop::Blocked(wait)) => {
                    if !self.wait(side, &wait) {
                        return self.hosts[side].give_up(&wait).map(|_| Vec::new());
                    }
                }
                Err(stop) => return Err(stop),
            }
        }
    }

    /// A blocking `close` of `side`.
    pub(crate) fn close(&mut self, side: usize, fd: Fd) -> Outcome<()> {
        match self.hosts[side].close(self.now, fd) {
            Err(Stop::Blocked(wait)) => {
                self.wait_lingering(side, &wait);
                Ok(())
            }
            result => result,
        }
    }

    fn wait_lingering(&mut self, side: usize, wait: &WaitFor) {
        self.pump();
        while !self.hosts[side].is_over(wait) {
            if self
                .next()
                .is_none_or(|next| wait.until.is_some_and(|until| next > until))
            {
                self.now = wait.until.unwrap();
                return;
            }
            self.step();
        }
    }

    /// Closes `fd` of `side` by RST.
    pub(crate) fn reset(&mut self, side: usize, fd: Fd) {
        use woshou_posix::{Opt, Value};
        let linger = Value::Linger {
            on: true,
            seconds: 0,
        };
        self.hosts[side]
            .setsockopt(self.now, fd, Opt::SO_LINGER, &linger)
            .unwrap();
        self.hosts[side].close(self.now, fd).unwrap();
        self.run(20);
    }
}

/// A failure with this errno.
pub(crate) fn fails<T>(errno: Errno) -> Outcome<T> {
    Err(Stop::Errno(errno))
}

pub(crate) fn text(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}
