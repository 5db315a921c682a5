//! Memory within the budget, whoever attacks: slow readers, shut windows, holes, orphans, TIME-WAIT, half-open.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod pair;

use std::sync::Arc;
use std::time::Duration;

use pair::{Pair, at, link, pattern};
use woshou_stack::{Config, ConnId, ConnectError, ListenerId, Medium, Stack};
use woshou_tcp::{Ended, Pressure, ReadError, State, WriteError};

const BUDGET: usize = 4 << 20;
/// What one packet may bring before room is made for it: its text, and the chunk that it is copied to.
const PACKET: usize = 128 << 10;

/// A host without bounds, and one with 4 MiB.
fn small(change: impl Fn(&mut Config, &mut woshou_tcp::Config)) -> Pair {
    let mut pair = Pair::new();
    pair.keep_log = false;
    let mut tcp = woshou_tcp::Config::default();
    // A few connections shall be able to take all of it, whether or not they would have grown so far.
    tcp.fix_receive_buffer(1 << 20);
    tcp.fix_send_buffer(1 << 20);
    let unbounded = Config {
        tcp: Arc::new(tcp.clone()),
        ..Config::default()
    };
    pair.stacks[0] = Stack::new(Arc::new(unbounded), [1; 32]);
    pair.stacks[0].add_link(link(Medium::Ip, &["10.0.0.1/24", "fd00::1/64"]));
    let mut config = Config {
        memory: BUDGET,
        ..Config::default()
    };
    change(&mut config, &mut tcp);
    config.tcp = Arc::new(tcp);
    pair.stacks[1] = Stack::new(Arc::new(config), [2; 32]);
    pair.stacks[1].add_link(link(Medium::Ip, &["10.0.0.2/24", "fd00::2/64"]));
    pair
}

/// Lets time pass; the small host stays within its budget all the while.
fn run(pair: &mut Pair, time: Duration) {
    let end = pair.now + time;
    while pair.now < end {
        pair.run_for(Duration::from_millis(1).min(end.since(pair.now)));
        within_budget(pair);
        for side in 0..2 {
            pair.events[side].clear();
        }
    }
}

fn within_budget(pair: &Pair) {
    let memory = pair.stacks[1].memory();
    assert!(memory.now <= memory.budget, "{memory:?}");
    assert!(memory.peak <= memory.budget + PACKET, "{memory:?}");
}

/// Opens so many connections to port 80 of the small host; as many as it takes.
fn open(pair: &mut Pair, listener: ListenerId, count: usize) -> Vec<(ConnId, ConnId)> {
    let mut open = Vec::new();
    for _ in 0..count {
        let to = at("10.0.0.2", 80);
        let client = pair.stacks[0].connect(pair.now, to, None).unwrap();
        run(pair, Duration::from_millis(20));
        if let Some(server) = pair.stacks[1].accept(listener) {
            open.push((client, server));
        }
    }
    open
}

fn fill(pair: &mut Pair, from: usize, connections: &[ConnId]) {
    for &id in connections {
        while pair.stacks[from].write(pair.now, id, &[7; 10_000]).is_ok() {}
    }
}

/// A connection that behaves still gets through, both ways.
fn still_serves(pair: &mut Pair, listener: ListenerId) {
    let to = at("10.0.0.2", 80);
    let client = pair.stacks[0].connect(pair.now, to, None).unwrap();
    let mut server = None;
    for _ in 0..1000 {
        run(pair, Duration::from_millis(100));
        server = pair.stacks[1].accept(listener);
        if server.is_some() {
            break;
        }
    }
    let text = pattern(300_000);
    let server = server.expect("it is taken in at last");
    assert_eq!(pair.transfer(0, (client, server), &text), text);
    assert_eq!(pair.transfer(1, (server, client), &text), text);
    within_budget(pair);
}

fn ended_for_memory(pair: &Pair, servers: &[(ConnId, ConnId)]) -> usize {
    let ended = |(_, id): &&(ConnId, ConnId)| pair.stacks[1].ended(*id) == Some(Ended::NoMemory);
    servers.iter().filter(ended).count()
}

#[test]
fn text_that_nobody_reads() {
    let mut pair = small(|_, _| ());
    let listener = pair.stacks[1].listen(at("10.0.0.2", 80), 64).unwrap();
    let attackers = open(&mut pair, listener, 40);
    let clients: Vec<_> = attackers.iter().map(|(client, _)| *client).collect();
    for _ in 0..40 {
        fill(&mut pair, 0, &clients);
        run(&mut pair, Duration::from_millis(100));
    }
    still_serves(&mut pair, listener);
    let memory = pair.stacks[1].memory();
    assert!(
        memory.killed > 0 && memory.peak > BUDGET / 4 * 3,
        "{memory:?}"
    );
    assert_eq!(ended_for_memory(&pair, &attackers) as u64, memory.killed);
    // Who is given up hears so: nothing that looks like the end of the text.
    let (_, id) = attackers[attackers
        .iter()
        .position(|(_, id)| pair.stacks[1].ended(*id).is_some())
        .unwrap()];
    let read = pair.stacks[1].read(pair.now, id, &mut [0; 100]);
    assert_eq!(read, Err(ReadError::Ended(Ended::NoMemory)));
}

#[test]
fn windows_shut_for_ever() {
    let mut pair = small(|_, _| ());
    let listener = pair.stacks[1].listen(at("10.0.0.2", 80), 64).unwrap();
    // sockstress, CVE-2008-4609: peers who ask for much and read nothing.
    let attackers = open(&mut pair, listener, 40);
    let servers: Vec<_> = attackers.iter().map(|(_, server)| *server).collect();
    for _ in 0..40 {
        fill(&mut pair, 1, &servers);
        run(&mut pair, Duration::from_millis(100));
    }
    still_serves(&mut pair, listener);
    // Nobody was reset who may still go on; those that do not for long make room.
    // The probes double from SRTT and 200 ms (decision 023).
    run(&mut pair, Duration::from_secs(30));
    assert!(ended_for_memory(&pair, &attackers) > 0);
    assert_eq!(pair.stacks[1].memory().pressure, Pressure::Plenty);
}

#[test]
fn windows_shut_within_the_budget_are_kept_for_ever() {
    // RFC 9293 MUST-37: as long as there is memory, a peer who answers probes may stay shut.
    let mut pair = small(|_, _| ());
    let listener = pair.stacks[1].listen(at("10.0.0.2", 80), 64).unwrap();
    let quiet = open(&mut pair, listener, 1);
    fill(&mut pair, 1, &[quiet[0].1]);
    run(&mut pair, Duration::from_secs(2));
    pair.run_for(Duration::from_secs(20_000));
    within_budget(&pair);
    assert_eq!(pair.stacks[1].state(quiet[0].1), State::Established);
    assert_eq!(pair.stacks[1].memory().killed, 0);
}

#[test]
fn text_out_of_order_goes_first() {
    let mut pair = small(|_, tcp| tcp.receive_buffer = 2 << 20);
    let listener = pair.stacks[1].listen(at("10.0.0.2", 80), 64).unwrap();
    let attackers = open(&mut pair, listener, 50);
    // The head of each is lost, again and again: all the rest waits for it.
    let mut heads = std::collections::BTreeMap::new();
    pair.lose = Box::new(move |from, packet| {
        let octets = &packet.octets;
        if from != 0 || octets.len() < 100 {
            return false;
        }
        let seq = u32::from_be_bytes(octets[24..28].try_into().unwrap());
        *heads.entry([octets[20], octets[21]]).or_insert(seq) == seq
    });
    let clients: Vec<_> = attackers.iter().map(|(client, _)| *client).collect();
    for _ in 0..30 {
        fill(&mut pair, 0, &clients);
        run(&mut pair, Duration::from_millis(100));
    }
    let memory = pair.stacks[1].memory();
    assert!(memory.pruned_octets > 100_000, "{memory:?}");
    // What was dropped though SACK had reported it comes again, and the text is whole.
    pair.lose = Box::new(|_, _| false);
    let mut buffer = vec![0; 65_536];
    for _ in 0..100 {
        run(&mut pair, Duration::from_millis(100));
        for (_, id) in &attackers {
            while let Ok(read) = pair.stacks[1].read(pair.now, *id, &mut buffer) {
                assert!(read > 0 && buffer[..read].iter().all(|octet| *octet == 7));
            }
        }
    }
    let delivered: u64 = attackers
        .iter()
        .map(|(_, id)| pair.stacks[1].info(pair.now, *id).unwrap().bytes_received)
        .sum();
    assert!(delivered > 3 << 20, "{delivered}");
    still_serves(&mut pair, listener);
}

#[test]
fn windows_open_again_when_there_is_memory() {
    let mut pair = small(|_, _| ());
    let listener = pair.stacks[1].listen(at("10.0.0.2", 80), 64).unwrap();
    let all = open(&mut pair, listener, 8);
    let clients: Vec<_> = all.iter().map(|(client, _)| *client).collect();
    for _ in 0..10 {
        fill(&mut pair, 0, &clients);
        run(&mut pair, Duration::from_millis(100));
    }
    let pressed = pair.stacks[1].memory();
    assert!(pressed.pressure >= Pressure::Pressure, "{pressed:?}");
    let read_all = |pair: &mut Pair| {
        let mut buffer = vec![0; 65_536];
        for (_, id) in &all {
            while pair.stacks[1]
                .read(pair.now, *id, &mut buffer)
                .is_ok_and(|n| n > 0)
            {}
        }
    };
    read_all(&mut pair);
    run(&mut pair, Duration::from_millis(50));
    assert_eq!(pair.stacks[1].memory().pressure, Pressure::Plenty);
    for (client, server) in &all {
        if pair.stacks[1].ended(*server).is_none() {
            let info = pair.stacks[1].info(pair.now, *server).unwrap();
            assert!(info.rcv_wnd > 100_000, "{info:?}");
            assert_eq!(pair.stacks[0].state(*client), State::Established);
        }
    }
}

#[test]
fn orphans_are_few_and_do_not_last() {
    let mut pair = small(|config, _| (config.orphans, config.memory) = (10, 256 << 20));
    let listener = pair.stacks[1].listen(at("10.0.0.2", 80), 64).unwrap();
    let attackers = open(&mut pair, listener, 30);
    for (_, id) in &attackers {
        // More than the peer's window takes, and nobody reads it there.
        let _ = pair.stacks[1].write(pair.now, *id, &[7; 100_000]);
    }
    run(&mut pair, Duration::from_secs(3));
    for (_, id) in &attackers {
        while pair.stacks[1].write(pair.now, *id, &[7; 10_000]).is_ok() {}
        pair.stacks[1].close(pair.now, *id);
    }
    pair.pump();
    assert_eq!(pair.stacks[1].connections().len(), 10);
    assert_eq!(pair.stacks[1].memory().killed, 20);
    // FIN-WAIT-1 behind a window that stays shut: the peer answers probes, and nobody waits for it.
    let here = pair.stacks[1].connections();
    assert!(
        here.iter().all(|(_, state)| *state == State::FinWait1),
        "{here:?}"
    );
    run(&mut pair, Duration::from_secs(95));
    assert_eq!(pair.stacks[1].connections().len(), 10);
    run(&mut pair, Duration::from_secs(20));
    assert_eq!(
        pair.stacks[1].connections().len(),
        0,
        "100 s without progress"
    );
}

#[test]
fn half_closed_peers_do_not_pile_up() {
    let mut pair = small(|_, _| ());
    let listener = pair.stacks[1].listen(at("10.0.0.2", 80), 64).unwrap();
    // Our users close; the peers acknowledge FIN, and never close.
    for (_, id) in open(&mut pair, listener, 50) {
        pair.stacks[1].close(pair.now, id);
    }
    run(&mut pair, Duration::from_millis(100));
    let here = pair.stacks[1].connections();
    assert!(here.len() == 50 && here.iter().all(|(_, state)| *state == State::FinWait2));
    run(&mut pair, Duration::from_secs(61));
    assert_eq!(pair.stacks[1].connections().len(), 0);
}

#[test]
fn time_wait_takes_its_share_and_no_more() {
    let mut pair = small(|config, _| config.memory = 1 << 20);
    pair.delay = Duration::from_micros(10);
    let listener = pair.stacks[1].listen(at("10.0.0.2", 80), 64).unwrap();
    for _ in 0..3000 {
        let to = at("10.0.0.2", 80);
        let client = pair.stacks[0].connect(pair.now, to, None).unwrap();
        pair.run_for(Duration::from_micros(100));
        let server = pair.stacks[1].accept(listener).unwrap();
        pair.stacks[1].close(pair.now, server);
        pair.run_for(Duration::from_micros(100));
        pair.stacks[0].close(pair.now, client);
        pair.run_for(Duration::from_micros(100));
        assert!(pair.stacks[1].memory().now < 1 << 19);
        pair.events = Default::default();
    }
    let waiting = pair.stacks[1].connections().len();
    assert!((800..3000).contains(&waiting), "{waiting}");
}

#[test]
fn half_open_goes_first() {
    let mut pair = small(|config, tcp| {
        config.memory = 1 << 20;
        tcp.half_open = 1_000_000;
    });
    let listener = pair.stacks[1].listen(at("10.0.0.2", 80), 64).unwrap();
    // Nobody answers the SYN,ACKs.
    pair.lose = Box::new(|from, _| from == 1);
    for batch in 0..20 {
        for _ in 0..500 {
            let from = at("10.0.0.1", 0);
            let connect = pair.stacks[0].connect(pair.now, at("10.0.0.2", 80), Some(from));
            let id = connect.unwrap();
            pair.pump();
            pair.stacks[0].close(pair.now, id);
        }
        pair.run_for(Duration::from_millis(10));
        let memory = pair.stacks[1].memory();
        assert!(memory.now < 1 << 18, "batch {batch}: {memory:?}");
    }
    assert!(pair.stacks[1].counters().syn_cookies_sent > 1000);
    pair.lose = Box::new(|_, _| false);
    pair.run_for(Duration::from_secs(200));
    let client = pair.stacks[0]
        .connect(pair.now, at("10.0.0.2", 80), None)
        .unwrap();
    pair.run_for(Duration::from_secs(1));
    assert!(pair.stacks[1].accept(listener).is_some());
    assert_eq!(pair.stacks[0].state(client), State::Established);
}

#[test]
fn our_own_user_is_bounded_too() {
    let mut pair = small(|_, _| ());
    let mut opened = Vec::new();
    let refusal = loop {
        match pair.stacks[1].connect(pair.now, at("10.0.0.1", 81), None) {
            Ok(id) => opened.push(id),
            Err(refusal) => break refusal,
        }
        within_budget(&pair);
    };
    assert_eq!(refusal, ConnectError::NoMemory);
    assert!(opened.len() > 1000, "{}", opened.len());
    for id in opened {
        pair.stacks[1].close(pair.now, id);
    }
    pair.run_for(Duration::from_secs(1));
    // One that writes more than there is gets as much as there is.
    let mut pair = small(|_, tcp| tcp.send_buffer = 1 << 30);
    let (_, server, _) = pair.connected(at("10.0.0.2", 80));
    let mut last = Ok(0);
    for _ in 0..100 {
        last = pair.stacks[1].write(pair.now, server, &vec![7; 3 << 20]);
        within_budget(&pair);
    }
    assert_eq!(last, Err(WriteError::Full));
    assert_eq!(pair.stacks[1].ended(server), None, "nobody dies for it");
}

/// Found by the fuzzer: fragments have a share, but no more than is left.
#[test]
fn fragments_take_what_is_left_and_no_more() {
    let mut pair = small(|_, _| ());
    let listener = pair.stacks[1].listen(at("10.0.0.2", 80), 64).unwrap();
    let open = open(&mut pair, listener, 40);
    // Text that nobody reads, for less than the time after which somebody goes; and then as much as our own user can get rid of.
    let clients: Vec<_> = open.iter().map(|(client, _)| *client).collect();
    for _ in 0..10 {
        fill(&mut pair, 0, &clients);
        run(&mut pair, Duration::from_millis(100));
    }
    for &(_, server) in &open {
        while pair.stacks[1].write(pair.now, server, &[7; 1_000]).is_ok() {}
    }
    let before = pair.stacks[1].memory().now;
    assert!(
        before > BUDGET / 8 * 7,
        "{before}: less than its share is left"
    );
    // First pieces of datagrams that never come to their end, from many sources.
    for id in 0..1_000u16 {
        let [high, low] = id.to_be_bytes();
        let mut piece = vec![0; 8_020];
        piece[..10].copy_from_slice(&[0x45, 0, 0x1f, 0x54, high, low, 0x20, 0, 64, 17]);
        piece[12..20].copy_from_slice(&[10, 0, 0, low.clamp(3, 200), 10, 0, 0, 2]);
        let words = piece[..20].as_chunks().0.iter();
        let sum: u32 = words.map(|word| u32::from(u16::from_be_bytes(*word))).sum();
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        piece[10..12].copy_from_slice(&sum.to_be_bytes());
        pair.inject(1, &piece);
        within_budget(&pair);
    }
    assert_eq!(pair.stacks[1].counters().fragments_in, 1_000);
}

/// Urgent text counts as any other: the fuzzer found that it was taken without a look at the budget.
#[test]
fn urgent_text_is_within_the_budget() {
    let tcp = woshou_tcp::Config {
        send_buffer: 4 << 20,
        ..woshou_tcp::Config::default()
    };
    let config = Config {
        memory: 1 << 20,
        tcp: Arc::new(tcp),
        ..Config::default()
    };
    let mut pair = Pair::with(config, |_, link| link);
    let to = at("10.0.0.2", 80);
    pair.stacks[1].listen(to, 8).unwrap();
    let client = pair.stacks[0].connect(pair.now, to, None).unwrap();
    pair.run_for(Duration::from_millis(10));
    let text = vec![1; 3 << 20];
    let taken = pair.stacks[0]
        .write_urgent(pair.now, client, &text)
        .unwrap();
    let memory = pair.stacks[0].memory();
    assert!(
        taken > 0 && memory.now <= memory.budget + (64 << 10),
        "{memory:?}"
    );
}
