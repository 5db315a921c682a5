//! The kernel's side of a measurement over a TUN device in a private namespace, whatever stack is on the other. `benches/peers` has it
//! too.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use woshou_link::{Device, Namespace, PrivateSpec, WOSHOU_V4, Way};

/// Who sends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    FromKernel,
    ToKernel,
}

/// What is measured.
pub(crate) struct Flow {
    /// By which device.
    pub(crate) way: Way,
    pub(crate) direction: Direction,
    /// Checksums and segmentation left to the device.
    pub(crate) offload: bool,
    /// Connections at once.
    pub(crate) flows: usize,
    pub(crate) duration: Duration,
}

/// What the threads of a measurement share.
pub(crate) struct Shared {
    pub(crate) direction: Direction,
    /// Set when it is over.
    pub(crate) stop: AtomicBool,
    /// Octets that arrived at the receiving application.
    pub(crate) received: AtomicU64,
}

impl Shared {
    pub(crate) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self, octets: usize) {
        self.received.fetch_add(octets as u64, Ordering::Relaxed);
    }
}

/// A stack under test: takes the device, accepts what connects to [`PORT`] and does its work until it is over.
pub(crate) type Serve = fn(Box<dyn Device>, &Arc<Shared>) -> Result<()>;

pub(crate) const PORT: u16 = 9000;

/// What the applications hand over at a time, octets.
pub(crate) const CHUNK: usize = 128 << 10;

/// Before the measurement: slow start, and the kernel's buffers growing.
const WARM_UP: Duration = Duration::from_millis(300);

/// Goodput in Gbit/s, at the receiving application.
pub(crate) fn goodput(flow: &Flow, serve: Serve) -> Result<f64> {
    goodput_by(flow, 1, move |queues, shared| {
        let device = queues.into_iter().next();
        serve(device.context("the namespace has a device")?, shared)
    })
}

/// The same with a device of so many queues, whoever serves them.
pub(crate) fn goodput_by(
    flow: &Flow,
    queues: u16,
    serve: impl FnOnce(Vec<Box<dyn Device>>, &Arc<Shared>) -> Result<()> + Send + 'static,
) -> Result<f64> {
    let spec = PrivateSpec {
        mtu: 1500,
        offload: flow.offload,
        way: flow.way,
        queues,
    };
    let mut namespace = Namespace::new(&spec)?;
    unpaced(&namespace)?;
    let devices = namespace.take_devices();
    let shared = Arc::new(Shared {
        direction: flow.direction,
        stop: AtomicBool::new(false),
        received: AtomicU64::new(0),
    });
    let ours = shared.clone();
    let stack = thread::spawn(move || serve(devices, &ours));
    // All before any of them sends: in a full device a SYN would be lost, and come again after a second.
    let sockets: Vec<_> = (0..flow.flows)
        .map(|_| connect(&namespace))
        .collect::<Result<_>>()?;
    let begin = |socket| {
        let theirs = shared.clone();
        thread::spawn(move || use_kernel(socket, &theirs))
    };
    let kernel: Vec<_> = sockets.into_iter().map(begin).collect();

    thread::sleep(WARM_UP);
    let (before, started) = (shared.received.load(Ordering::Relaxed), Instant::now());
    thread::sleep(flow.duration);
    let moved = shared.received.load(Ordering::Relaxed) - before;
    let elapsed = started.elapsed();

    shared.stop.store(true, Ordering::Relaxed);
    for one in kernel {
        one.join()
            .map_err(|_| anyhow!("the kernel's side panicked"))??;
    }
    stack
        .join()
        .map_err(|_| anyhow!("the stack's side panicked"))??;
    Ok(moved as f64 * 8.0 / elapsed.as_secs_f64() / 1e9)
}

/// The kernel's sockets begin with reno. Where the machine's default is bbr, the kernel paces them by timers of its own, on whichever core
/// is at hand, and what is measured is the pacing.
pub(crate) fn unpaced(namespace: &Namespace) -> Result<()> {
    let set = || fs::write("/proc/sys/net/ipv4/tcp_congestion_control", "reno");
    namespace.run(set)?.context("tcp_congestion_control")
}

/// Connects a kernel socket to the stack; the stack may need a moment to listen.
pub(crate) fn connect(namespace: &Namespace) -> Result<TcpStream> {
    let to = SocketAddr::from((WOSHOU_V4, PORT));
    let mut last = None;
    for _ in 0..100 {
        match namespace.run(move || TcpStream::connect_timeout(&to, Duration::from_secs(2)))? {
            Ok(socket) => return Ok(socket),
            Err(error) => last = Some(error),
        }
        thread::sleep(Duration::from_millis(20));
    }
    Err(last.map_or_else(|| anyhow!("no attempt"), Into::into)).context("connecting to the stack")
}

/// The application on the kernel's side.
fn use_kernel(mut socket: TcpStream, shared: &Shared) -> Result<()> {
    let patience = Some(Duration::from_millis(100));
    socket.set_read_timeout(patience)?;
    socket.set_write_timeout(patience)?;
    let mut chunk = vec![0; CHUNK];
    while !shared.is_over() {
        let result = match shared.direction {
            Direction::FromKernel => socket.write(&chunk),
            Direction::ToKernel => socket
                .read(&mut chunk)
                .inspect(|octets| shared.count(*octets)),
        };
        match result {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            // Its peer may see the end first.
            Err(_) if shared.is_over() => break,
            Err(error) => return Err(error).context("the kernel's socket"),
        }
    }
    Ok(())
}
