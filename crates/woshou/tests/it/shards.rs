//! Nets of several shards: whatever queue a packet comes by, its connection does not notice.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Wake, Waker};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::timeout;
use woshou::link::memory::pair;
use woshou::link::{Device, DeviceInfo, Memory, MemoryOptions, Outgoing, Readiness, Received};
use woshou::{Net, TcpListener, TcpSocket, TcpStream, blocking, tcp};

use crate::life::until_gone;
use crate::nets::{SERVER, SERVER6, addr, cidr, kind, pattern, rest};

const SHARDS: u16 = 4;

/// A device that hands each frame to any of its queues, cuts some in fragments, and says of some that leave that they
/// did not arrive.
struct Hub {
    device: Memory,
    state: u64,
    queues: Vec<VecDeque<Vec<u8>>>,
    wakers: Vec<Option<Waker>>,
    /// Fragments and errors are made.
    hostile: bool,
    /// Of the fragments made last.
    id: u16,
}

impl Hub {
    fn draw(&mut self, below: usize) -> usize {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) as usize % below
    }

    fn put(&mut self, frame: Vec<u8>) {
        let queue = self.draw(self.queues.len());
        self.queues[queue].push_back(frame);
        self.wakers[queue].iter().for_each(Waker::wake_by_ref);
    }

    /// Everything that came is dealt out.
    fn deal(&mut self) {
        let mut buffer = vec![0; 65_600];
        while let Ok(received) = self.device.recv(&mut buffer) {
            let frame = &buffer[..received.len];
            if self.hostile && frame[0] == 0x45 && self.draw(4) == 0 {
                // None twice while fragments may wait: pieces of two datagrams would be put together.
                self.id = self.id.wrapping_add(1);
                for fragment in cut(frame, self.id) {
                    self.put(fragment);
                }
            } else {
                let frame = frame.to_vec();
                self.put(frame);
            }
        }
    }

    fn send(&mut self, frame: &Outgoing<'_>) -> io::Result<()> {
        self.device.send(frame)?;
        let octets = frame.parts.concat();
        if self.hostile && octets[0] == 0x45 && octets.len() > 100 && self.draw(8) == 0 {
            let error = host_unreachable(&octets);
            self.put(error);
        }
        Ok(())
    }
}

fn checksum(octets: &[u8]) -> [u8; 2] {
    let words = octets.chunks(2);
    let sum: u32 = words
        .map(|w| u32::from(w[0]) << 8 | u32::from(w.get(1).copied().unwrap_or(0)))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    (!((folded & 0xffff) + (folded >> 16)) as u16).to_be_bytes()
}

/// An IPv4 packet in fragments, the last of them first.
fn cut(packet: &[u8], id: u16) -> Vec<Vec<u8>> {
    let (header, text) = packet.split_at(20);
    let size = if text.len() > 400 { 400 } else { 24 };
    let pieces = text.chunks(size).enumerate().map(|(at, piece)| {
        let mut header = header.to_vec();
        let offset = (at * size / 8) as u16;
        let more = u16::from((at + 1) * size < text.len()) << 13;
        header[2..4].copy_from_slice(&(20 + piece.len() as u16).to_be_bytes());
        header[4..6].copy_from_slice(&id.to_be_bytes());
        header[6..8].copy_from_slice(&(offset | more).to_be_bytes());
        header[10..12].fill(0);
        let sum = checksum(&header);
        header[10..12].copy_from_slice(&sum);
        [&header[..], piece].concat()
    });
    pieces.rev().collect()
}

/// What a router says about an IPv4 packet.
fn host_unreachable(quoted: &[u8]) -> Vec<u8> {
    let mut message = vec![3, 1, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(&quoted[..48]);
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum);
    let mut header = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 9, 1, 0, 0];
    header[2..4].copy_from_slice(&(20 + message.len() as u16).to_be_bytes());
    header.extend_from_slice(&[192, 0, 2, 1]);
    header.extend_from_slice(&quoted[12..16]);
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum);
    [header, message].concat()
}

/// Wakes whoever waits at any queue.
struct All(Mutex<Vec<Waker>>);

impl Wake for All {
    fn wake(self: Arc<Self>) {
        self.0.lock().unwrap().iter().for_each(Waker::wake_by_ref);
    }
}

struct Queue {
    hub: Arc<Mutex<Hub>>,
    number: usize,
    /// Counts the queues that are left.
    alive: Arc<AtomicUsize>,
}

impl Queue {
    fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Device for Queue {
    fn info(&self) -> DeviceInfo {
        self.hub().device.info()
    }
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut hub = self.hub();
        hub.deal();
        let frame = hub.queues[self.number].pop_front();
        let frame = frame.ok_or(ErrorKind::WouldBlock)?;
        buffer[..frame.len()].copy_from_slice(&frame);
        Ok(Received {
            len: frame.len(),
            checksum_valid: false,
            segment_size: None,
        })
    }
    fn send(&mut self, frame: &Outgoing<'_>) -> io::Result<()> {
        self.hub().send(frame)
    }
    fn readiness(&self) -> Readiness<'_> {
        Readiness::Waker
    }
    fn register(&mut self, waker: &Waker) {
        let mut hub = self.hub();
        hub.wakers[self.number] = Some(waker.clone());
        let all = hub.wakers.iter().flatten().cloned().collect();
        hub.device
            .register(&Waker::from(Arc::new(All(Mutex::new(all)))));
        if !hub.queues[self.number].is_empty() {
            waker.wake_by_ref();
        }
    }
}

fn queues(device: Memory, hostile: bool) -> (Vec<Box<dyn Device>>, Arc<AtomicUsize>) {
    let count = usize::from(SHARDS);
    let alive = Arc::new(AtomicUsize::new(count));
    let hub = Arc::new(Mutex::new(Hub {
        device,
        state: 7,
        queues: vec![VecDeque::new(); count],
        wakers: vec![None; count],
        hostile,
        id: 0,
    }));
    let queue = |number| {
        Box::new(Queue {
            hub: Arc::clone(&hub),
            number,
            alive: Arc::clone(&alive),
        }) as Box<dyn Device>
    };
    ((0..count).map(queue).collect(), alive)
}

fn plain() -> MemoryOptions {
    MemoryOptions {
        offload: false,
        ..MemoryOptions::default()
    }
}

fn addresses(number: u8) -> [woshou::Cidr; 2] {
    [
        cidr(&format!("10.0.0.{number}"), 24),
        cidr(&format!("fd00::{number}"), 64),
    ]
}

/// A client of one shard, and a server of several, whose device deals its frames out at random.
fn nets(hostile: bool) -> (Net, Net, Arc<AtomicUsize>) {
    let (a, b) = pair(plain());
    let client = Net::builder()
        .device(Box::new(a), addresses(1))
        .tcp(tcp::Config::default())
        .spawn()
        .unwrap();
    let (queues, alive) = queues(b, hostile);
    let server = Net::builder()
        .queues(queues, addresses(2))
        .shards(SHARDS)
        .tcp(tcp::Config::default())
        .spawn()
        .unwrap();
    (client, server, alive)
}

/// A net of several shards on one queue, and a peer of one shard.
fn one_queue(with: impl FnOnce(woshou::net::Builder) -> woshou::net::Builder) -> (Net, Net) {
    let (a, b) = pair(MemoryOptions::default());
    let peer = Net::builder().device(Box::new(a), addresses(1));
    let several = Net::builder()
        .device(Box::new(b), addresses(2))
        .shards(SHARDS);
    (peer.spawn().unwrap(), with(several).spawn().unwrap())
}

fn echo(listener: TcpListener) {
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await.unwrap();
                to.shutdown().await.unwrap();
            });
        }
    });
}

/// So many connections send text and get it back; they are still open.
async fn talk(client: &Net, to: &[&str], flows: u64, len: usize) -> Vec<TcpStream> {
    let mut all = JoinSet::new();
    for flow in 0..flows {
        let to = to[flow as usize % to.len()].to_owned();
        let client = client.clone();
        all.spawn(async move {
            let mut stream = client.connect(to).await.unwrap();
            let text = pattern(len, flow);
            let mut got = vec![0; len];
            let (mut from, mut out) = stream.split();
            let (sent, read) = tokio::join!(out.write_all(&text), from.read_exact(&mut got));
            sent.unwrap();
            read.unwrap();
            assert!(got == text, "flow {flow}");
            stream
        });
    }
    let mut open = Vec::new();
    let done = async {
        while let Some(one) = all.join_next().await {
            open.push(one.unwrap());
        }
    };
    timeout(Duration::from_secs(60), done)
        .await
        .expect("a stall");
    open
}

/// `in_step`: an error about a segment mostly arrives before its acknowledgement does. By chance one in four would.
async fn adversarial(in_step: bool) {
    let (client, server, _) = nets(true);
    echo(server.bind("[::]:80").await.unwrap());
    let open = talk(&client, &[SERVER, SERVER6], 40, 100_000).await;
    let counters = server.counters();
    assert!(counters.handed_over > 1_000, "{counters:?}");
    assert_eq!(counters.handed_over_lost, 0);
    assert!(counters.stack.reassembled > 100, "{counters:?}");
    assert_eq!(counters.stack.resets_sent, 0, "{counters:?}");
    assert_eq!(counters.stack.bad_ip + counters.stack.bad_checksum, 0);
    let (known, unknown) = (
        counters.stack.icmp_errors_in,
        counters.stack.icmp_errors_ignored,
    );
    assert!(known > 20 && (known > unknown || !in_step), "{counters:?}");
    assert_eq!(client.counters().stack.resets_sent, 0);
    drop(open);
    timeout(Duration::from_secs(5), server.idle())
        .await
        .expect("all closed");
}

#[tokio::test]
async fn any_packet_by_any_queue() {
    adversarial(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn any_packet_by_any_queue_on_any_thread() {
    adversarial(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_device_with_one_queue_serves_all() {
    let (peer, several) = one_queue(|builder| builder);
    echo(several.bind("[::]:80").await.unwrap());
    let _open = talk(&peer, &[SERVER, SERVER6], 40, 300_000).await;
    echo(peer.bind("[::]:80").await.unwrap());
    let _too = talk(&several, &["10.0.0.1:80", "[fd00::1]:80"], 40, 300_000).await;
    assert!(several.counters().handed_over > 0);
    assert_eq!(several.counters().stack.resets_sent, 0);
}

#[tokio::test]
async fn one_listener_hears_of_all_shards_and_can_be_taken_apart() {
    let (client, server, _) = nets(false);
    let listener = server.bind("10.0.0.2:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    assert_ne!(to.port(), 0);
    assert_eq!(kind(server.bind(to).await), ErrorKind::AddrInUse);
    let mut held = Vec::new();
    let mut shards = BTreeSet::new();
    for _ in 0..64 {
        let (ours, theirs) = tokio::join!(client.connect(to), listener.accept());
        let (ours, (theirs, from)) = (ours.unwrap(), theirs.unwrap());
        assert_eq!(from, ours.local_addr().unwrap());
        shards.insert(theirs.shard());
        held.push((ours, theirs));
    }
    assert_eq!(shards, (0..SHARDS).collect());
    assert_eq!(server.connections().len(), 64);
    let apart = listener.per_shard();
    assert_eq!(apart.len(), usize::from(SHARDS));
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let mut accepting = JoinSet::new();
    let mut first = None;
    for (number, listener) in (0..).zip(apart) {
        assert_eq!(listener.local_addr().unwrap(), to);
        let tell = tell.clone();
        let task = accepting.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                assert_eq!(stream.shard(), number);
                tell.send(number).unwrap();
            }
        });
        first.get_or_insert(task);
    }
    let mut shards = BTreeSet::new();
    for _ in 0..64 {
        client.connect(to).await.unwrap();
        shards.insert(told.recv().await.unwrap());
    }
    assert_eq!(shards, (0..SHARDS).collect());
    // Without one of them, what falls to its shard is refused, and nothing else.
    first.unwrap().abort();
    accepting.join_next().await.unwrap().unwrap_err();
    let mut refused = 0;
    for _ in 0..64 {
        match client.connect(to).await {
            Ok(_) => assert_ne!(told.recv().await.unwrap(), 0),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
                refused += 1;
            }
        }
    }
    assert!((1..48).contains(&refused), "{refused} of 64");
    accepting.shutdown().await;
    assert_eq!(kind(client.connect(to).await), ErrorKind::ConnectionRefused);
    let again = server.bind(to).await.unwrap();
    assert_eq!(again.local_addr().unwrap(), to);
}

#[tokio::test]
async fn accept_takes_from_each_shard_in_turn() {
    let (client, server, _) = nets(false);
    let listener = server.bind(SERVER).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..64 {
        held.push(client.connect(SERVER).await.unwrap());
    }
    // The last handshakes end on the server's side as well.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut order = Vec::new();
    for _ in 0..3 * SHARDS {
        order.push(listener.accept().await.unwrap().0.shard());
    }
    for turn in order.chunks(usize::from(SHARDS)) {
        let shards: BTreeSet<_> = turn.iter().copied().collect();
        assert_eq!(shards.len(), turn.len(), "{order:?}");
    }
}

#[tokio::test]
async fn each_port_is_used_once_and_then_none_is_left() {
    let (peer, several) = one_queue(|builder| {
        let config = woshou::Config {
            ephemeral_ports: 40_000..=40_063,
            ..woshou::Config::default()
        };
        builder.config(config)
    });
    let _listener = peer.bind("10.0.0.1:80").await.unwrap();
    let mut held = Vec::new();
    let mut shards = BTreeSet::new();
    for _ in 0..64 {
        let stream = several.connect("10.0.0.1:80").await.unwrap();
        shards.insert(stream.shard());
        held.push(stream);
    }
    let ports: BTreeSet<_> = held
        .iter()
        .map(|one| one.local_addr().unwrap().port())
        .collect();
    assert_eq!((ports.len(), shards.len()), (64, usize::from(SHARDS)));
    assert_eq!(
        kind(several.connect("10.0.0.1:80").await),
        ErrorKind::AddrNotAvailable
    );
    // A port that is asked for is had from its owner, whoever that is.
    for port in 50_000..50_016 {
        let socket = || {
            let socket = several.socket(addr("10.0.0.2:0"));
            socket
                .bind(SocketAddr::from(([10, 0, 0, 2], port)))
                .unwrap();
            socket
        };
        let connect = |socket: TcpSocket| socket.connect(addr("10.0.0.1:80"));
        held.push(connect(socket()).await.unwrap());
        assert_eq!(kind(connect(socket()).await), ErrorKind::AddrInUse);
    }
}

#[tokio::test]
async fn from_us_to_us() {
    let (_peer, several) = one_queue(|builder| builder);
    echo(several.bind("[::]:80").await.unwrap());
    talk(&several, &[SERVER, SERVER6], 20, 50_000).await;
}

#[tokio::test]
async fn a_proxy_asks_about_syns_of_all_shards() {
    let (a, b) = pair(plain());
    let client = Net::builder()
        .device(Box::new(a), addresses(1))
        .default_route()
        .spawn()
        .unwrap();
    let (queues, _) = queues(b, false);
    let proxy = Net::builder()
        .queues(queues, addresses(2))
        .any_ip()
        .shards(SHARDS)
        .spawn()
        .unwrap();
    let listener = proxy.bind_any(None).unwrap().deferred();
    let mut shards = BTreeSet::new();
    for host in 0..32 {
        let to = SocketAddr::from(([198, 51, 100, host], 443));
        let decided = async {
            let incoming = listener.incoming().await.unwrap();
            assert_eq!(incoming.local_addr(), to);
            if host % 2 == 0 {
                incoming.refuse();
                return None;
            }
            Some(incoming.accept().await.unwrap())
        };
        let (ours, theirs) = tokio::join!(client.connect(to), decided);
        match theirs {
            None => assert_eq!(kind(ours), ErrorKind::ConnectionRefused),
            Some(theirs) => {
                shards.insert(theirs.shard());
                assert_eq!(theirs.local_addr().unwrap(), to);
                drop(ours.unwrap());
                assert_eq!(rest(theirs).await.unwrap(), b"");
            }
        }
    }
    assert!(shards.len() > 1, "{shards:?}");
}

#[tokio::test]
async fn it_ends_as_one() {
    let (client, server, alive) = nets(false);
    let listener = server.bind(SERVER).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..16 {
        let (ours, theirs) = tokio::join!(client.connect(SERVER), listener.accept());
        held.push((ours.unwrap(), theirs.unwrap().0));
    }
    let waiting = tokio::spawn(async move { kind(listener.accept().await.map(|_| ())) });
    let ended = tokio::spawn({
        let server = server.clone();
        async move { server.ended().await.to_string() }
    });
    tokio::task::yield_now().await;
    server.shutdown();
    assert_eq!(waiting.await.unwrap(), ErrorKind::NotConnected);
    assert!(ended.await.unwrap().contains("shut down"));
    for (mut ours, theirs) in held {
        assert_eq!(
            kind(ours.read(&mut [0; 1]).await),
            ErrorKind::ConnectionReset
        );
        assert_eq!(kind(theirs.try_read(&mut [0; 1])), ErrorKind::NotConnected);
    }
    assert_eq!(
        kind(server.connect("10.0.0.1:1").await),
        ErrorKind::NotConnected
    );
    server.idle().await;
    until_gone(&alive).await;
}

#[tokio::test]
async fn the_drivers_go_together_and_not_before_all_is_delivered() {
    let (client, server, alive) = nets(false);
    let mut config = tcp::Config::default();
    config.fix_send_buffer(1 << 20);
    server.set_tcp_config(Arc::new(config));
    let listener = client.bind("10.0.0.1:80").await.unwrap();
    let mut readers = Vec::new();
    for _ in 0..8 {
        let (ours, theirs) = tokio::join!(server.connect("10.0.0.1:80"), listener.accept());
        let (mut ours, theirs) = (ours.unwrap(), theirs.unwrap().0);
        ours.write_all(&vec![1; 500_000]).await.unwrap();
        readers.push(theirs);
    }
    drop(server);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(
        alive.load(Ordering::SeqCst),
        usize::from(SHARDS),
        "there is text left"
    );
    for theirs in readers {
        assert_eq!(rest(theirs).await.unwrap().len(), 500_000);
    }
    until_gone(&alive).await;
}

#[tokio::test]
async fn limits_are_divided() {
    let (_peer, several) = one_queue(|builder| builder.memory(64 << 20));
    assert_eq!(several.memory().budget, 64 << 20);
    assert_eq!(several.shards(), SHARDS);
    let (a, _b) = pair(MemoryOptions::default());
    let (c, _d) = pair(MemoryOptions::default());
    let too_many = Net::builder()
        .queues(vec![Box::new(a), Box::new(c)], addresses(1))
        .spawn();
    assert_eq!(kind(too_many.map(|_| ())), ErrorKind::InvalidInput);
    let none = Net::builder().queues(Vec::new(), addresses(1)).spawn();
    assert_eq!(kind(none.map(|_| ())), ErrorKind::InvalidInput);
}

#[test]
fn threads_of_their_own() {
    let (a, b) = pair(MemoryOptions::default());
    let peer = Net::builder()
        .device(Box::new(a), addresses(1))
        .spawn_thread()
        .unwrap();
    let several = Net::builder()
        .device(Box::new(b), addresses(2))
        .shards(SHARDS)
        .spawn_thread()
        .unwrap();
    let listener = blocking::TcpListener::bind_on(&several, SERVER).unwrap();
    let server = std::thread::spawn(move || {
        for _ in 0..16 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut text = Vec::new();
            stream.read_to_end(&mut text).unwrap();
            stream.write_all(&text).unwrap();
        }
    });
    for flow in 0..16 {
        let mut stream = blocking::TcpStream::connect_on(&peer, SERVER).unwrap();
        let text = pattern(10_000, flow);
        stream.write_all(&text).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        assert_eq!(back, text);
    }
    server.join().unwrap();
    // A task beside the driver of its stream.
    let threads: BTreeSet<_> = (0..SHARDS)
        .map(|shard| {
            let (tell, told) = std::sync::mpsc::channel();
            several.runtime(shard).spawn(async move {
                tell.send(format!("{:?}", std::thread::current().id()))
                    .unwrap();
            });
            told.recv_timeout(Duration::from_secs(5)).unwrap()
        })
        .collect();
    assert_eq!(threads.len(), usize::from(SHARDS));
    several.shutdown();
}
