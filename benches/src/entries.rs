//! What small entries cost: octets on the heap for each connection in TIME-WAIT, and for each that is half open.

use std::alloc::System;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use woshou_stack::{Cidr, Config, ConnId, LinkConfig, LinkId, ListenerId, Medium, Packet, Stack};
use woshou_tcp::{Instant, State};

/// Every allocation of this program is counted: what is measured is what the allocator was asked for, tables and indices
/// included.
#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 255, 0, 1);
/// Most octets that an entry may cost.
const TIME_WAIT_LIMIT: f64 = 96.0;
const HALF_OPEN_LIMIT: f64 = 160.0;
/// Ports of one client address that are used.
const PORTS: u32 = 10_000;

/// Octets on the heap now.
pub(crate) fn heap() -> usize {
    let stats = HEAP.stats();
    // What reallocations added or took is in both sums.
    stats
        .bytes_allocated
        .saturating_sub(stats.bytes_deallocated)
}

/// A server, and clients at as many addresses as there must be.
struct Bench {
    client: Stack,
    server: Stack,
    link: LinkId,
    listener: ListenerId,
    now: Instant,
}

impl Bench {
    fn new(entries: u32) -> Result<Self> {
        let clients = (0..entries.div_ceil(PORTS)).map(|index| {
            let [.., high, low] = index.to_be_bytes();
            Ipv4Addr::new(10, high, low, 2)
        });
        let count = usize::try_from(entries)?;
        let stack = |addresses: Vec<Ipv4Addr>| {
            let config = Config {
                tcp: Arc::new(woshou_tcp::Config {
                    // Half of it is used: above, one part of the network would have its share only.
                    half_open: 2 * count + 2,
                    time_wait: Duration::from_secs(3600),
                    ..woshou_tcp::Config::default()
                }),
                time_wait_entries: count + 1,
                ..Config::default()
            };
            let mut stack = Stack::new(Arc::new(config), [7; 32]);
            let addresses = addresses.into_iter().map(|address| Cidr {
                address: address.into(),
                prefix: 8,
            });
            let link = stack.add_link(LinkConfig {
                medium: Medium::Ip,
                mtu: 1500,
                addresses: addresses.collect(),
                checksum_offload: false,
                gso_max: 0,
            });
            (stack, link)
        };
        let (client, link) = stack(clients.collect());
        let (mut server, _) = stack(vec![SERVER]);
        let listener = server.listen((SERVER, 80).into(), 16)?;
        let now = Instant::from_millis(1);
        Ok(Self {
            client,
            server,
            link,
            listener,
            now,
        })
    }

    /// A connection from the client's end number `index`.
    fn connect(&mut self, index: u32) -> Result<ConnId> {
        let [.., high, low] = (index / PORTS).to_be_bytes();
        let address = IpAddr::from([10, high, low, 2]);
        let from = SocketAddr::new(address, u16::try_from(20_000 + index % PORTS)?);
        Ok(self
            .client
            .connect(self.now, (SERVER, 80).into(), Some(from))?)
    }

    /// Packets go both ways until none is left.
    fn carry(&mut self) {
        while hand_over(&mut self.client, &mut self.server, (self.now, self.link))
            | hand_over(&mut self.server, &mut self.client, (self.now, self.link))
        {}
    }

    /// Opens, and closes from the server's side first.
    fn time_wait(&mut self, index: u32) -> Result<()> {
        self.now += Duration::from_millis(1);
        let id = self.connect(index)?;
        self.carry();
        let accepted = self.server.accept(self.listener).context("no connection")?;
        self.server.close(self.now, accepted);
        self.carry();
        self.client.close(self.now, id);
        self.carry();
        Ok(())
    }

    /// A SYN goes over, and the client forgets that it sent one.
    fn half_open(&mut self, index: u32) -> Result<()> {
        let id = self.connect(index)?;
        hand_over(&mut self.client, &mut self.server, (self.now, self.link));
        self.client.close(self.now, id);
        while self.client.poll_transmit(self.now).is_some() {}
        while self.client.poll_event().is_some() {}
        while self.server.poll_transmit(self.now).is_some() {}
        Ok(())
    }

    /// Makes so many entries in `state`, and says what one costs on the heap.
    fn cost(
        entries: u32,
        state: State,
        make: impl Fn(&mut Self, u32) -> Result<()>,
    ) -> Result<f64> {
        let mut bench = Self::new(entries)?;
        let before = heap();
        for index in 0..entries {
            make(&mut bench, index)?;
        }
        let grown = heap().saturating_sub(before);
        let all = bench.server.connections();
        let made = all.iter().filter(|(_, is)| *is == state).count();
        ensure!(
            made == usize::try_from(entries)? && all.len() == made,
            "{made} of {} are in {state}",
            all.len()
        );
        Ok(grown as f64 / f64::from(entries))
    }
}

/// All that `from` owes, to `to`; whether there was something.
fn hand_over(from: &mut Stack, to: &mut Stack, (now, link): (Instant, LinkId)) -> bool {
    let mut any = false;
    while let Some(transmit) = from.poll_transmit(now) {
        let octets = [transmit.headers, transmit.payload[0], transmit.payload[1]].concat();
        let packet = Packet {
            octets: &octets,
            owner: None,
            checksum_valid: false,
            segment_size: None,
        };
        to.handle_packet(now, link, packet);
        any = true;
    }
    while from.poll_event().is_some() {}
    any
}

/// Both kinds at several counts around `entries`, as a Markdown table.
///
/// # Errors
/// An entry costs more than it may.
pub(crate) fn measure(entries: u32) -> Result<String> {
    let mut table = String::from("### Octets on the heap for each entry\n\n");
    writeln!(
        table,
        "| entries | TIME-WAIT (at most {TIME_WAIT_LIMIT}) | half open (at most {HALF_OPEN_LIMIT}) |\n|---:|---:|---:|"
    )?;
    // Also just before and just after a table of a power of two, filled to 7/8, is full.
    let (mut dearest, doubles) = ((0.0_f64, 0.0_f64), entries.next_power_of_two() / 8 * 7);
    let counts = [
        entries / 10,
        doubles / 2,
        doubles / 2 + 1,
        entries,
        doubles,
        doubles + 1,
    ];
    for count in counts {
        let time_wait = Bench::cost(count, State::TimeWait, Bench::time_wait)?;
        let half_open = Bench::cost(count, State::SynReceived, Bench::half_open)?;
        writeln!(table, "| {count} | {time_wait:.1} | {half_open:.1} |")?;
        dearest = (dearest.0.max(time_wait), dearest.1.max(half_open));
    }
    table.push('\n');
    ensure!(
        dearest.0 <= TIME_WAIT_LIMIT && dearest.1 <= HALF_OPEN_LIMIT,
        "an entry costs too much:\n{table}"
    );
    Ok(table)
}
