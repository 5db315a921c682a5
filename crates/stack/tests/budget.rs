//! The budget is kept by what the allocator gave, not only by the stack's own count: fifty busy connections and a user who is
//! slower than they are, with every allocation counted. A test alone in its program: nobody else allocates.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::alloc::System;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use woshou_stack::{
    Cidr, Config, ConnId, LinkConfig, LinkId, ListenerId, Medium, Packet, Stack, Transmit,
};
use woshou_tcp::{Instant, State};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CONNECTIONS: usize = 50;
const BUDGET: usize = 2_500_000;
/// Octets that each client sends, and gets back.
const OCTETS: usize = 200_000;
/// A device's buffer, and from when on a frame is handed over with it.
const FRAME: usize = 65_536 + 64;
const LEND_FROM: usize = FRAME / 2 + 256;
/// What the count may miss: the stack's tables that do not grow with its connections, and the packet in hand.
const UNCOUNTED: usize = 100_000;
/// The user looks at so many connections a millisecond.
const SERVED: usize = 3;
const MILLISECOND: Duration = Duration::from_millis(1);

/// Octets on the heap now.
fn heap() -> isize {
    let stats = HEAP.stats();
    stats.bytes_allocated.cast_signed() - stats.bytes_deallocated.cast_signed()
}

/// A super-packet on the way.
struct Flying {
    octets: Vec<u8>,
    segment_size: Option<u16>,
}

impl Flying {
    fn new(transmit: &Transmit<'_>) -> Self {
        let [first, second] = transmit.payload;
        Self {
            octets: [transmit.headers, first, second].concat(),
            segment_size: transmit.segment_size,
        }
    }
}

/// One connection's user at the server: reads a little, sends it back, reads on.
struct Echo {
    id: ConnId,
    copies: bool,
    buffer: [u8; 4096],
    from: usize,
    to: usize,
    ended: bool,
}

impl Echo {
    /// Half of them without a copy, and copied then: what one call reads is not held on to.
    fn read(&mut self, now: Instant, server: &mut Stack) -> Option<usize> {
        if self.copies {
            return server.read(now, self.id, &mut self.buffer).ok();
        }
        let chunk = server.read_chunk(now, self.id, self.buffer.len()).ok()?;
        self.buffer[..chunk.len()].copy_from_slice(&chunk);
        Some(chunk.len())
    }

    fn serve(&mut self, now: Instant, server: &mut Stack) {
        while !self.ended {
            if self.from == self.to {
                match self.read(now, server) {
                    Some(0) => {
                        self.ended = true;
                        server.shutdown(now, self.id);
                        return;
                    }
                    Some(read) => (self.from, self.to) = (0, read),
                    None => return,
                }
            }
            match server.write(now, self.id, &self.buffer[self.from..self.to]) {
                Ok(taken) => self.from += taken,
                Err(_) => return,
            }
        }
    }
}

/// One connection's user at the client.
struct Client {
    id: ConnId,
    sent: usize,
    read: usize,
    ended: bool,
}

fn octet(connection: usize, index: usize) -> u8 {
    (index.wrapping_mul(2 * connection + 1) >> 7) as u8
}

impl Client {
    fn act(&mut self, number: usize, now: Instant, stack: &mut Stack) {
        // Frames of all sizes: some write all they can at once, some a few octets at a time.
        let piece = [8192, 300, 1448, 40_000, 5000][number % 5];
        let end = OCTETS.min(
            self.sent
                .saturating_add(piece * [1000, 1, 2, 1, 3][number % 5]),
        );
        while self.sent < end {
            let end = end.min(self.sent + piece);
            let octets: Vec<u8> = (self.sent..end).map(|index| octet(number, index)).collect();
            match stack.write(now, self.id, &octets) {
                Ok(taken) => self.sent += taken,
                Err(_) => break,
            }
            if self.sent == OCTETS {
                stack.shutdown(now, self.id);
            }
        }
        let mut into = [0; 8192];
        while let Ok(read) = stack.read(now, self.id, &mut into) {
            self.ended |= read == 0;
            if read == 0 {
                break;
            }
            for (at, &is) in into[..read].iter().enumerate() {
                assert_eq!(is, octet(number, self.read + at), "client {number}");
            }
            self.read += read;
        }
    }
}

/// A server whose heap is counted, and everything else.
struct World {
    server: Stack,
    client: Stack,
    link: LinkId,
    listener: ListenerId,
    now: Instant,
    /// What the server holds on the heap.
    held: isize,
    most: isize,
    clients: Vec<Client>,
    echoes: Vec<Echo>,
}

fn stack(number: u8, memory: usize) -> (Stack, LinkId) {
    let config = Config {
        memory,
        ..Config::default()
    };
    let mut stack = Stack::new(Arc::new(config), [number; 32]);
    let address = Cidr {
        address: [10, 0, 0, number].into(),
        prefix: 24,
    };
    let link = stack.add_link(LinkConfig {
        medium: Medium::Ip,
        mtu: 1500,
        addresses: vec![address],
        checksum_offload: true,
        gso_max: 65_535,
    });
    (stack, link)
}

impl World {
    fn new() -> Self {
        let (client, link) = stack(1, 1 << 30);
        let before = heap();
        let (mut server, _) = stack(2, BUDGET);
        let listener = server
            .listen(SocketAddr::from(([10, 0, 0, 2], 80)), 2 * CONNECTIONS)
            .unwrap();
        Self {
            server,
            client,
            link,
            listener,
            now: Instant::from_millis(1),
            held: heap() - before,
            most: 0,
            clients: Vec::with_capacity(CONNECTIONS),
            echoes: Vec::with_capacity(CONNECTIONS),
        }
    }

    /// A call into the server; what it allocates and frees is the server's.
    fn on_server<R>(&mut self, call: impl FnOnce(&mut Stack, Instant) -> R) -> R {
        let before = heap();
        let result = call(&mut self.server, self.now);
        self.held += heap() - before;
        self.most = self.most.max(self.held);
        let counted = self.server.memory().now;
        let held = self.held.cast_unsigned();
        assert!(held <= BUDGET, "{held} octets held, {counted} counted");
        assert!(
            held <= counted + UNCOUNTED,
            "{held} octets held, {counted} counted"
        );
        result
    }

    /// As a driver does: long frames are handed over with their buffers.
    fn deliver(&mut self, flying: &Flying) {
        let link = self.link;
        self.on_server(|server, now| {
            let whole = (flying.octets.len() >= LEND_FROM).then(|| {
                let mut buffer = BytesMut::zeroed(FRAME);
                buffer[..flying.octets.len()].copy_from_slice(&flying.octets);
                buffer.freeze()
            });
            let frame = |whole: &Bytes| whole.slice(..flying.octets.len());
            let lent = whole.as_ref().map(frame);
            let packet = Packet {
                octets: lent.as_deref().unwrap_or(&flying.octets),
                owner: whole.as_ref(),
                checksum_valid: true,
                segment_size: flying.segment_size,
            };
            server.handle_packet(now, link, packet);
        });
    }

    /// What the server sends next. The copy is not the server's.
    fn sent(&mut self) -> Option<Flying> {
        let mut copy = Vec::with_capacity(FRAME);
        let segment_size = self.on_server(|server, now| {
            while server.poll_event().is_some() {}
            let transmit = server.poll_transmit(now)?;
            let [first, second] = transmit.payload;
            for part in [transmit.headers, first, second] {
                copy.extend_from_slice(part);
            }
            Some(transmit.segment_size)
        })?;
        Some(Flying {
            octets: copy,
            segment_size,
        })
    }

    /// A millisecond: packets, timers, users.
    fn step(&mut self, turn: usize) {
        self.now += MILLISECOND;
        let mut there = VecDeque::new();
        while let Some(transmit) = self.client.poll_transmit(self.now) {
            there.push_back(Flying::new(&transmit));
        }
        for flying in there {
            self.deliver(&flying);
        }
        self.on_server(Stack::handle_timeout);
        let listener = self.listener;
        while let Some(id) = self.on_server(|server, _| server.accept(listener)) {
            self.echoes.push(Echo {
                id,
                copies: self.echoes.len().is_multiple_of(2),
                buffer: [0; 4096],
                from: 0,
                to: 0,
                ended: false,
            });
        }
        while let Some(flying) = self.sent() {
            let packet = Packet {
                octets: &flying.octets,
                owner: None,
                checksum_valid: true,
                segment_size: flying.segment_size,
            };
            self.client.handle_packet(self.now, self.link, packet);
        }
        self.client.handle_timeout(self.now);
        for (number, client) in self.clients.iter_mut().enumerate() {
            client.act(number, self.now, &mut self.client);
        }
        let mut echoes = std::mem::take(&mut self.echoes);
        let count = echoes.len().max(1);
        for offset in 0..SERVED.min(echoes.len()) {
            let echo = &mut echoes[(turn * SERVED + offset) % count];
            self.on_server(|server, now| echo.serve(now, server));
        }
        self.echoes = echoes;
    }
}

#[test]
fn fifty_busy_connections_stay_within_the_budget() {
    let mut world = World::new();
    for _ in 0..CONNECTIONS {
        let to = SocketAddr::from(([10, 0, 0, 2], 80));
        let id = world.client.connect(world.now, to, None).unwrap();
        world.clients.push(Client {
            id,
            sent: 0,
            read: 0,
            ended: false,
        });
    }
    let mut turn = 0;
    while world.clients.iter().any(|client| !client.ended) {
        world.step(turn);
        turn += 1;
        assert!(turn < 600_000, "it stands still");
        let memory = world.server.memory();
        assert_eq!((memory.killed, memory.refused), (0, 0), "{memory:?}");
    }
    assert!(world.clients.iter().all(|client| client.read == OCTETS));
    assert!(
        world.most > (BUDGET / 2).cast_signed(),
        "{}: that much is nothing to be short of",
        world.most
    );
    let open = world.server.connections();
    assert!(open.iter().all(|(_, state)| *state != State::Established));
    println!("at most {} octets of {BUDGET}, {turn} ms", world.most);
}
