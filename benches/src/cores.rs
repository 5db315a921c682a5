//! Two nets of several shards in one process, shard by shard on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use tokio::io::AsyncWriteExt;
use tokio::runtime::{Builder, Handle};
use woshou::link::memory::pair;
use woshou::link::{Device, MemoryOptions};
use woshou::{Cidr, Net, TcpListener, TcpStream};

/// Send and receive buffer, octets each: as in row 1.
const BUFFER: usize = 256 << 10;

/// Frames that wait on a cable. With the buffers of one connection they stay in the cache of a processor.
const CAPACITY: usize = 64;

/// What a program hands over or takes at a time, octets.
const CHUNK: usize = 128 << 10;

/// Before the measurement: the handshakes and slow start.
const WARM_UP: Duration = Duration::from_millis(200);

const SERVER: &str = "10.0.0.2:80";

/// A thread for the shards of one number: of both nets, and of the tasks of their streams.
struct Core {
    handle: Handle,
    over: tokio::sync::oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// The processors that this process may use.
fn processors() -> Result<Vec<usize>> {
    let ours = sched_getaffinity(None)?;
    let all = (0..CpuSet::MAX_CPU).filter(|cpu| ours.is_set(*cpu));
    Ok(all.collect())
}

impl Core {
    fn start(cpu: usize) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (over, end) = tokio::sync::oneshot::channel();
        let thread = thread::spawn(move || {
            let mut one = CpuSet::new();
            one.set(cpu);
            // Where that is not allowed the scheduler places it.
            let _ = sched_setaffinity(None, &one);
            let _ = runtime.block_on(end);
        });
        Ok(Self {
            handle,
            over,
            thread,
        })
    }
}

/// What came of a measurement, Gbit/s.
pub(crate) struct Goodput {
    /// By the clock.
    pub(crate) by_clock: f64,
    /// By the time that the threads really ran, each for itself: what it would be by the clock if nobody else used their
    /// processors.
    pub(crate) by_processor: f64,
}

/// Processor time of this process so far, seconds.
fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// A net of as many shards as there are queues and threads. All nets have one seed, so that both ends of a connection are on
/// shards of one number.
fn net(queues: Vec<Box<dyn Device>>, address: [u8; 4], cores: &[Core]) -> Result<Net> {
    let handles: Vec<_> = cores.iter().map(|core| core.handle.clone()).collect();
    let ours = Cidr {
        address: address.into(),
        prefix: 24,
    };
    let shards = u16::try_from(queues.len())?;
    let mut tcp = woshou_tcp::Config::default();
    tcp.fix_send_buffer(BUFFER);
    tcp.fix_receive_buffer(BUFFER);
    let builder = Net::builder().queues(queues, [ours]).shards(shards);
    Ok(builder.tcp(tcp).seed([7; 32]).spawn_on(&handles)?)
}

/// MTU 1500, checksums, so many connections a shard, sockets and all.
pub(crate) fn goodput(shards: usize, flows: usize, secs: f64) -> Result<Goodput> {
    let cpus = processors()?;
    ensure!(cpus.len() >= shards, "{} processors", cpus.len());
    let cores: Vec<_> = cpus
        .into_iter()
        .take(shards)
        .map(Core::start)
        .collect::<Result<_>>()?;
    let cables = (0..shards).map(|_| {
        pair(MemoryOptions {
            offload: false,
            capacity: CAPACITY,
            ..MemoryOptions::default()
        })
    });
    let boxed = |one: woshou::link::Memory| Box::new(one) as Box<dyn Device>;
    let (here, there): (Vec<_>, Vec<_>) = cables.map(|(a, b)| (boxed(a), boxed(b))).unzip();
    let (client, server) = (
        net(here, [10, 0, 0, 1], &cores)?,
        net(there, [10, 0, 0, 2], &cores)?,
    );
    let read: Arc<[AtomicU64]> = (0..shards).map(|_| AtomicU64::new(0)).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let from = Builder::new_current_thread().enable_all().build()?;
    from.block_on(open((&client, &server), shards * flows, &read, &stop))?;
    thread::sleep(WARM_UP);
    let sum = || {
        read.iter()
            .map(|one| one.load(Ordering::Relaxed))
            .sum::<u64>()
    };
    let (before, started, ran) = (sum(), Instant::now(), processor_time());
    thread::sleep(Duration::from_secs_f64(secs));
    let moved = (sum() - before) as f64 * 8.0 / 1e9;
    let (elapsed, ran) = (started.elapsed().as_secs_f64(), processor_time() - ran);
    let counters = server.counters();
    ensure!(
        counters.handed_over == 0,
        "both ends on one thread: {counters:?}"
    );
    stop.store(true, Ordering::Relaxed);
    client.shutdown();
    server.shutdown();
    for core in cores {
        let _ = core.over.send(());
        core.thread
            .join()
            .map_err(|_| anyhow!("a thread panicked"))?;
    }
    Ok(Goodput {
        by_clock: moved / elapsed,
        by_processor: moved / (ran / shards as f64),
    })
}

/// Opens the connections, and starts a writer and a reader for each beside its drivers.
async fn open(
    (client, server): (&Net, &Net),
    flows: usize,
    read: &Arc<[AtomicU64]>,
    stop: &Arc<AtomicBool>,
) -> Result<()> {
    for (shard, listener) in (0..).zip(server.bind(SERVER).await?.per_shard()) {
        let read = Arc::clone(read);
        server.runtime(shard).spawn(accept(listener, read));
    }
    for _ in 0..flows {
        let stream = client.connect(SERVER).await?;
        let stop = Arc::clone(stop);
        client.runtime(stream.shard()).spawn(write(stream, stop));
    }
    Ok(())
}

async fn accept(listener: TcpListener, read: Arc<[AtomicU64]>) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(take(stream, Arc::clone(&read)));
    }
}

async fn take(stream: TcpStream, read: Arc<[AtomicU64]>) -> Result<()> {
    let shard = usize::from(stream.shard());
    let count = read.get(shard).context("a shard of this net")?;
    let mut text = vec![0; CHUNK];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut text) {
            Ok(0) => return Ok(()),
            Ok(len) => {
                count.fetch_add(len as u64, Ordering::Relaxed);
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        // Others on this thread have their turn: `try_read` does not count against tokio's budget.
        tokio::task::yield_now().await;
    }
}

async fn write(mut stream: TcpStream, stop: Arc<AtomicBool>) -> Result<()> {
    let text = vec![0; CHUNK];
    while !stop.load(Ordering::Relaxed) {
        stream.write_all(&text).await?;
    }
    Ok(())
}
