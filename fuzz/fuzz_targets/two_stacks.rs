//! Two stacks and a link between them that loses, repeats, reorders and corrupts as the input says.
//!
//! What is read is always the next of what was written. Once the input is over the link is perfect: what was written before
//! the users shut their directions arrives, and both ends end.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use woshou_fuzz::{Input, ecn_of, octet_at, set_ecn, tcp_config, text_at};
use woshou_stack::{
    Cidr, Config, ConnId, Decision, Event, IncomingId, LinkConfig, LinkId, ListenerId, Medium,
    Packet, Stack, Transmit,
};
use woshou_tcp::{Ended, Instant, ReadError, State, SynCookies};

const MOST: usize = 20_000;
/// The most where memory is to run short.
const MUCH: usize = 1 << 20;
const STEPS: usize = 1_000;
/// Of memory, for each stack.
const BUDGET: usize = 1 << 20;
/// So long is the link bad: less than any attempt's patience.
const STORMY: Duration = Duration::from_secs(60);
const LINK: LinkId = LinkId(0);
const ETHERNET_HEADER: usize = 14;

struct Flying {
    arrives: Instant,
    octets: Vec<u8>,
}

#[derive(Default)]
struct User {
    connection: Option<ConnId>,
    written: u32,
    read: u32,
    at_end: bool,
    shut: bool,
}

struct World<'a> {
    input: Input<'a>,
    now: Instant,
    calm_at: Instant,
    stacks: [Stack; 2],
    listener: ListenerId,
    incoming: Vec<IncomingId>,
    users: [User; 2],
    /// To each stack.
    wire: [Vec<Flying>; 2],
    ethernet: bool,
    /// Nobody aborted or left with text unread.
    orderly: bool,
    calm: bool,
    /// The listener's answers are cookies.
    cookies: bool,
}

fuzz_target!(|octets: &[u8]| {
    let mut world = World::new(Input::new(octets));
    for _ in 0..STEPS {
        if world.input.is_over() || world.now > world.calm_at {
            break;
        }
        world.act();
        world.transmit();
        world.conserved();
    }
    world.finish();
});

fn link(side: usize, ethernet: bool, mtu: usize) -> LinkConfig {
    let n = side as u8 + 1;
    let cidr = |address: String, prefix| Cidr {
        address: address.parse().expect("an address"),
        prefix,
    };
    LinkConfig {
        medium: if ethernet {
            Medium::Ethernet {
                mac: [2, 0, 0, 0, 0, n],
            }
        } else {
            Medium::Ip
        },
        mtu,
        addresses: vec![
            cidr(format!("10.0.0.{n}"), 24),
            cidr(format!("fd00::{n}"), 64),
        ],
        checksum_offload: false,
        gso_max: 0,
    }
}

impl<'a> World<'a> {
    fn new(mut input: Input<'a>) -> Self {
        let ethernet = input.octet() % 4 == 1;
        let mtu = input.pick(&[1500, 1280, 9000]);
        let now = Instant::from_millis(1_000);
        let mut stacks = [0, 1].map(|side| {
            let most = input.pick(&[MOST, MOST, MOST, MUCH]);
            let mut tcp = tcp_config(&mut input, most);
            // Longer than the longest timeout doubled: what comes again finds TIME-WAIT and not a RST, which would
            // rightly tell a user whose text is still unacknowledged that its fate is unknown.
            tcp.time_wait = Duration::from_secs(240);
            let config = Config {
                tcp: Arc::new(tcp),
                memory: BUDGET,
                ..Config::default()
            };
            let mut stack = Stack::new(Arc::new(config), [side as u8 + 1; 32]);
            stack.add_link(link(side, ethernet, mtu));
            stack.set_next_isn(woshou_tcp::SeqNum(u32::MAX - input.long() % 50_000));
            stack
        });
        let address = if input.octet().is_multiple_of(2) {
            "10.0.0.2:80"
        } else {
            "[fd00::2]:80"
        };
        let cookies = stacks[1].tcp_config().syn_cookies != SynCookies::Never;
        let to = address.parse().expect("an address");
        let listener = if input.octet() % 4 == 3 {
            stacks[1].set_any_ip(LINK, true);
            stacks[1].listen_any(None, 4).expect("the first")
        } else {
            stacks[1].listen(to, 4).expect("the port is free")
        };
        stacks[1].set_deferred(listener, input.octet() % 4 == 3);
        let client = stacks[0].connect(now, to, None).expect("there is a route");
        let users = [
            User {
                connection: Some(client),
                ..User::default()
            },
            User::default(),
        ];
        let mut world = Self {
            input,
            now,
            calm_at: now + STORMY,
            stacks,
            listener,
            incoming: Vec::new(),
            users,
            wire: [Vec::new(), Vec::new()],
            ethernet,
            orderly: true,
            calm: false,
            cookies,
        };
        world.transmit();
        world
    }

    /// Memory is within the budget, and the sum of sequence space is conserved: what one side has seen acknowledged the
    /// other has received, and what that has received was sent.
    fn conserved(&mut self) {
        for stack in &self.stacks {
            let memory = stack.memory();
            assert!(memory.now <= BUDGET, "{memory:?}");
            // Who holds all the memory and gets nowhere is reset; nobody else.
            assert!(memory.killed == 0 || memory.peak > BUDGET / 2, "{memory:?}");
            self.orderly &= memory.killed == 0;
        }
        for side in 0..2 {
            let connection = |side: usize| {
                let connection = self.stacks[side].connection(self.users[side].connection?)?;
                connection.ended().is_none().then_some(connection)
            };
            let (Some(from), Some(to)) = (connection(side), connection(1 - side)) else {
                continue;
            };
            let written = self.users[side].written as usize;
            let acknowledged = written - from.unacknowledged();
            let received = self.users[1 - side].read as usize + to.readable();
            assert!(acknowledged <= received, "{acknowledged} of {received}");
            assert!(
                received <= written - from.unsent(),
                "{received} of {written}"
            );
        }
    }

    /// Everything owed leaves, and it is not much.
    fn transmit(&mut self) {
        for side in 0..2 {
            for count in 0.. {
                assert!(count < 4_000, "{count} packets at once");
                let Some(sent) = self.stacks[side].poll_transmit(self.now) else {
                    break;
                };
                let octets = whole(&sent);
                self.carry(1 - side, octets);
            }
            while let Some(event) = self.stacks[side].poll_event() {
                match event {
                    Event::Incoming(id) => self.incoming.push(id),
                    Event::Cancelled(id) => self.incoming.retain(|&other| other != id),
                    _ => {}
                }
            }
        }
        if self.calm {
            self.decide(Decision::Accept);
        }
        if self.users[1].connection.is_none() {
            self.users[1].connection = self.stacks[1].accept(self.listener);
        }
    }

    fn carry(&mut self, to: usize, mut octets: Vec<u8>) {
        let mut delay = 5;
        let mut copies = 1;
        if !self.calm {
            match self.input.octet() {
                200..220 => copies = 0,
                220..230 => copies = 2,
                230..243 => delay = u64::from(self.input.short()) % 3_000,
                243..250 => self.corrupt(&mut octets),
                250.. => {
                    let packet = if self.ethernet { ETHERNET_HEADER } else { 0 };
                    if ecn_of(&octets[packet..]) != 0 {
                        set_ecn(&mut octets[packet..], 3);
                    }
                }
                _ => {}
            }
            if self.wire[to].len() > 500 {
                copies = 0;
            }
        }
        for copy in 0..copies {
            self.wire[to].push(Flying {
                arrives: self.now + Duration::from_millis(delay * (1 + copy * 7)),
                octets: octets.clone(),
            });
        }
    }

    /// One octet: no sum of sixteen-bit words survives that. ARP has no checksum and is spared.
    fn corrupt(&mut self, octets: &mut [u8]) {
        let header = if self.ethernet { ETHERNET_HEADER } else { 0 };
        if self.ethernet && octets[12..14] == [8, 6] {
            return;
        }
        let at = header + self.input.below(octets.len() - header);
        octets[at] ^= self.input.octet();
    }

    /// The next arrival or timer.
    fn next(&self) -> Option<Instant> {
        let arrivals = self.wire.iter().flatten().map(|flying| flying.arrives);
        let timers = self.stacks.iter().filter_map(Stack::poll_timeout);
        arrivals.chain(timers).min()
    }

    /// Goes on to `at`, or to the next thing that happens when that is earlier.
    fn advance(&mut self, at: Instant) {
        let next = self.next().map_or(at, |next| next.min(at));
        self.now = self.now.max(next);
        for side in 0..2 {
            let now = self.now;
            let (mut due, later) = std::mem::take(&mut self.wire[side])
                .into_iter()
                .partition::<Vec<_>, _>(|flying| flying.arrives <= now);
            self.wire[side] = later;
            due.sort_by_key(|flying| flying.arrives);
            for flying in due {
                let packet = Packet {
                    octets: &flying.octets,
                    owner: None,
                    checksum_valid: false,
                    segment_size: None,
                };
                self.stacks[side].handle_packet(now, LINK, packet);
            }
            self.stacks[side].handle_timeout(now);
            let next = self.stacks[side].poll_timeout();
            assert!(next.is_none_or(|at| at > now), "spins");
        }
    }

    fn write(&mut self, side: usize, len: usize, urgent: bool) {
        let user = &mut self.users[side];
        let Some(id) = user.connection.filter(|_| !user.shut) else {
            return;
        };
        let text = text_at(side, user.written, len);
        let taken = if urgent {
            self.stacks[side].write_urgent(self.now, id, &text)
        } else {
            self.stacks[side].write(self.now, id, &text)
        };
        if let Ok(taken) = taken {
            user.written += u32::try_from(taken).expect("few");
        }
    }

    /// Whether the user got anything.
    fn read(&mut self, side: usize, most: usize) -> bool {
        let user = &mut self.users[side];
        let Some(id) = user.connection else {
            return false;
        };
        let mut into = vec![0; most];
        match self.stacks[side].read(self.now, id, &mut into) {
            Ok(0) if most > 0 => user.at_end = true,
            Ok(read) => {
                assert!(!user.at_end || read == 0, "text after the end");
                for octet in &into[..read] {
                    assert_eq!(*octet, octet_at(1 - side, user.read), "at {}", user.read);
                    user.read += 1;
                }
                assert!(self.users[side].read <= self.users[1 - side].written);
                return read > 0;
            }
            Err(ReadError::Ended(_)) => assert!(!user.at_end),
            Err(_) => {}
        }
        if self.users[side].at_end {
            assert!(self.users[1 - side].shut || !self.orderly);
            assert_eq!(self.users[side].read, self.users[1 - side].written);
        }
        false
    }

    fn shut(&mut self, side: usize) {
        let Some(id) = self.users[side].connection else {
            return;
        };
        // While still opening this is an abort.
        if self.stacks[side].state(id) != State::SynSent {
            self.stacks[side].shutdown(self.now, id);
            self.users[side].shut = true;
        }
    }

    fn act(&mut self) {
        let side = usize::from(self.input.octet() % 2);
        let id = self.users[side].connection;
        match self.input.octet() % 32 {
            0..8 => {
                let len = self.input.pick(&[1, 30, 3_000, MOST, MUCH]);
                let urgent = self.input.chance(5);
                self.write(side, len, urgent);
            }
            8..14 => {
                let most = self.input.pick(&[MOST, 1, 0, 600]);
                self.read(side, most);
            }
            14 if self.input.octet() % 8 == 1 => self.shut(side),
            15 if self.input.octet() % 32 == 1 => {
                if let Some(id) = id {
                    self.orderly = false;
                    self.stacks[side].abort(self.now, id);
                    self.users[side].shut = true;
                }
            }
            16 => {
                if let Some(id) = id {
                    self.stacks[side].set_nodelay(
                        self.now,
                        id,
                        self.input.octet().is_multiple_of(2),
                    );
                }
            }
            17 => {
                if let Some(id) = id {
                    let mss = self.input.pick(&[536, 100, 1460]);
                    self.stacks[side].limit_send_mss(self.now, id, mss);
                }
            }
            20 => {
                if let Some(id) = id {
                    self.choose(side, id);
                }
            }
            21 => {
                let decision = self.input.pick(&[Decision::Accept, Decision::Ignore]);
                self.decide(decision);
            }
            18..20 => self.now += Duration::from_millis(u64::from(self.input.octet())),
            _ => self.advance(self.calm_at),
        }
    }

    /// What a user may do and set that costs no text that was sent.
    fn choose(&mut self, side: usize, id: ConnId) {
        let (stack, now) = (&mut self.stacks[side], self.now);
        match self.input.below(7) {
            0 => stack.push(now, id),
            1 => {
                let flushed = stack.flush(now, id);
                self.users[side].written -= u32::try_from(flushed).expect("few");
            }
            2 => stack.set_error_reports(now, id, self.input.octet() % 2 == 1),
            3 => {
                let octets = self.input.pick(&[None, Some(0), Some(1), Some(5_000)]);
                stack.set_not_sent_low(now, id, octets);
            }
            4 => {
                let corked = self.input.octet() % 2 == 1;
                stack.set_cork(now, id, corked);
            }
            5 => stack.tune(now, id, |config| config.mtu_probing = !config.mtu_probing),
            _ => stack.acknowledge_now(now, id),
        }
    }

    fn decide(&mut self, decision: Decision) {
        for id in std::mem::take(&mut self.incoming) {
            self.stacks[1].decide(self.now, id, decision);
        }
    }

    /// The link is perfect, and the users read and shut their directions.
    fn finish(&mut self) {
        self.calm = true;
        let end = self.now + Duration::from_secs(3_600);
        for step in 0.. {
            assert!(step < 30_000, "it goes on for ever: {}", self.story());
            self.transmit();
            for side in 0..2 {
                while self.read(side, MOST) {}
                self.shut(side);
            }
            self.transmit();
            if self.next().is_none_or(|at| at > end) {
                break;
            }
            self.advance(end);
        }
        // A cookie's connection is made by the first segment behind the SYN alone. Where all copies of it are lost, what
        // comes instead finds a listener that remembers nothing, and is reset (RFC 9293 section 3.10.7.2).
        let unknown = self.cookies && self.stacks[1].counters().resets_sent > 0;
        if !self.orderly || unknown {
            return;
        }
        for side in 0..2 {
            let id = self.users[side].connection.expect("it was opened");
            let ended = self.stacks[side].ended(id);
            assert_eq!(ended, Some(Ended::Closed), "{}", self.story());
            assert!(self.users[side].at_end, "{}", self.story());
            self.stacks[side].close(self.now, id);
        }
        self.transmit();
        // A copy of the handshake's last segment that comes after the end opens another one where its cookie still holds:
        // nothing is remembered that could tell.
        while let Some(ghost) = self.stacks[1].accept(self.listener) {
            assert!(self.cookies, "{}", self.story());
            self.stacks[1].abort(self.now, ghost);
            self.stacks[1].close(self.now, ghost);
        }
        for stack in &self.stacks {
            let left = stack.connections();
            assert!(left.is_empty(), "{left:?}");
        }
    }

    fn story(&self) -> String {
        let side = |side: usize| {
            let user = &self.users[side];
            let state = user.connection.map(|id| {
                let stack = &self.stacks[side];
                (stack.state(id), stack.ended(id))
            });
            format!(
                "{side}: wrote {} read {} {state:?}",
                user.written, user.read
            )
        };
        format!("{}; {}; at {}", side(0), side(1), self.now)
    }
}

/// A packet in one piece.
fn whole(sent: &Transmit<'_>) -> Vec<u8> {
    [sent.headers, sent.payload[0], sent.payload[1]].concat()
}
