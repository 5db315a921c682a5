//! The two ends of a measurement: a kernel in a namespace of its own, and a kernel or woshou on the other side of the wire.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use tokio::io::AsyncWriteExt;
use woshou::{Cidr, Net};
use woshou_link::memory::MemoryOptions;
use woshou_link::{Device, KERNEL_V4, Medium, Namespace, PrivateSpec, WOSHOU_V4, Way};

use crate::tun::unpaced;

/// Where the end that is compared listens, and where a second one does.
pub(crate) const PORT: u16 = 9000;
pub(crate) const SECOND_PORT: u16 = 9001;
const CHUNK: usize = 128 << 10;
const PATIENCE: Duration = Duration::from_millis(100);

/// Who sends: the end that is compared, or the kernel opposite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Sender,
    Receiver,
}

/// What the threads of a measurement share.
pub(crate) struct Shared {
    pub(crate) role: Role,
    /// The algorithm of the sender, as woshou calls it.
    pub(crate) algorithm: String,
    pub(crate) stop: AtomicBool,
    /// Octets that arrived at the receiving application.
    pub(crate) received: AtomicU64,
}

/// Ends the threads of a measurement when it is dropped, however the measurement ends.
pub(crate) struct Over<'a>(pub(crate) &'a Shared);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn count(&self, octets: usize) {
        self.received.fetch_add(octets as u64, Ordering::Relaxed);
    }

    /// As the kernel calls it.
    fn kernels_algorithm(&self) -> &str {
        match self.algorithm.as_str() {
            "newreno" => "reno",
            other => other,
        }
    }
}

/// A kernel of its own behind a TUN device with a long queue and large buffers.
pub(crate) fn kernel() -> Result<(Namespace, Box<dyn Device>)> {
    let spec = PrivateSpec {
        mtu: 1500,
        offload: false,
        way: Way::Tun,
        ..PrivateSpec::default()
    };
    let mut namespace = Namespace::new(&spec)?;
    let device = namespace
        .take_device()
        .context("the namespace has a device")?;
    // Where a socket begins: Linux goes on pacing one whose algorithm was bbr once, whatever it is told later.
    unpaced(&namespace)?;
    namespace.run(|| -> Result<()> {
        for (name, value) in [
            ("tcp_wmem", "4096 16384 67108864"),
            ("tcp_rmem", "4096 131072 67108864"),
            ("tcp_no_metrics_save", "1"),
        ] {
            std::fs::write(format!("/proc/sys/net/ipv4/{name}"), value).context(name)?;
        }
        let long = ["link", "set", "dev", "woshou0", "txqueuelen", "10000"];
        let status = Command::new("ip").args(long).status()?;
        if !status.success() {
            bail!("ip {long:?}: {status}");
        }
        Ok(())
    })??;
    Ok((namespace, device))
}

/// Packets that the TUN of this kernel dropped, in both directions, since it was made.
pub(crate) fn drops(namespace: &Namespace) -> Result<u64> {
    let devices = namespace.run(|| std::fs::read_to_string("/proc/thread-self/net/dev"))??;
    let line = devices
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("woshou0:"))
        .context("/proc/net/dev has no line of woshou0")?;
    let columns: Vec<u64> = line
        .split_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect();
    // Octets, packets, errors, drops and four more received; then as many sent.
    Ok([3, 11]
        .iter()
        .filter_map(|column| columns.get(*column))
        .sum())
}

/// The kernel opposite: connects, and sends or receives.
pub(crate) fn opposite(
    namespace: &Namespace,
    shared: &Arc<Shared>,
    port: u16,
) -> Result<JoinHandle<Result<()>>> {
    let to = SocketAddr::from((WOSHOU_V4, port));
    let start = Instant::now();
    let socket = loop {
        match namespace.run(move || TcpStream::connect_timeout(&to, Duration::from_secs(4)))? {
            Ok(socket) => break socket,
            Err(error) if start.elapsed() > Duration::from_secs(10) => return Err(error.into()),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    };
    let sends = shared.role == Role::Receiver;
    if sends {
        rustix::net::sockopt::set_tcp_congestion(&socket, shared.kernels_algorithm())?;
    }
    let shared = Arc::clone(shared);
    Ok(thread::spawn(move || use_socket(socket, sends, &shared)))
}

/// A kernel as the end that is compared: listens in its own namespace, and serves each who comes.
pub(crate) fn kernel_end(
    namespace: &Namespace,
    shared: &Arc<Shared>,
    port: u16,
) -> Result<JoinHandle<Result<()>>> {
    let at = SocketAddr::from((KERNEL_V4, port));
    let listener = namespace.run(move || TcpListener::bind(at))??;
    listener.set_nonblocking(true)?;
    let shared = Arc::clone(shared);
    Ok(thread::spawn(move || {
        thread::scope(|scope| {
            while !shared.is_over() {
                match listener.accept() {
                    Ok((socket, _)) => {
                        let shared = &shared;
                        scope.spawn(move || serve(socket, shared));
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        thread::sleep(Duration::from_millis(2));
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(())
        })
    }))
}

fn serve(socket: TcpStream, shared: &Shared) -> Result<()> {
    socket.set_nonblocking(false)?;
    let sends = shared.role == Role::Sender;
    if sends {
        rustix::net::sockopt::set_tcp_congestion(&socket, shared.kernels_algorithm())?;
    }
    use_socket(socket, sends, shared)
}

fn use_socket(mut socket: TcpStream, sends: bool, shared: &Shared) -> Result<()> {
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let mut chunk = vec![0; CHUNK];
    while !shared.is_over() {
        let result = match sends {
            true => socket.write(&chunk),
            false => socket
                .read(&mut chunk)
                .inspect(|octets| shared.count(*octets)),
        };
        match result {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) if shared.is_over() => return Ok(()),
            Err(error) => return Err(error).context("a kernel's socket"),
        }
    }
    Ok(())
}

/// woshou as the end that is compared, with its defaults, and the device that the wire takes.
pub(crate) fn woshou_end(shared: &Arc<Shared>) -> (Box<dyn Device>, JoinHandle<Result<()>>) {
    let options = MemoryOptions {
        medium: Medium::Ip,
        mtu: 1500,
        capacity: 10_000,
        offload: false,
    };
    let (ours, wires) = woshou_link::memory::pair(options);
    let shared = Arc::clone(shared);
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            tokio::select! {
                result = talk(Box::new(ours), &shared) => if shared.is_over() { Ok(()) } else { result },
                () = over(&shared) => Ok(()),
            }
        })
    });
    (Box::new(wires), thread)
}

async fn over(shared: &Shared) {
    while !shared.is_over() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn talk(device: Box<dyn Device>, shared: &Arc<Shared>) -> Result<()> {
    let address: Ipv4Addr = WOSHOU_V4;
    let ours = Cidr {
        address: address.into(),
        prefix: 24,
    };
    let algorithm = woshou_tcp::congestion::by_name(&shared.algorithm)
        .ok_or_else(|| anyhow!("no algorithm is called {:?}", shared.algorithm))?;
    let tcp = woshou_tcp::Config {
        congestion: algorithm,
        ..woshou_tcp::Config::default()
    };
    let net = Net::builder()
        .device(device, [ours])
        .tcp(tcp)
        .precise_timers(true)
        .spawn()?;
    let listener = net.bind((address, PORT)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve_woshou(stream, Arc::clone(shared)));
    }
}

async fn serve_woshou(mut stream: woshou::TcpStream, shared: Arc<Shared>) -> std::io::Result<()> {
    let chunk = vec![0; CHUNK];
    loop {
        if shared.role == Role::Sender {
            stream.write_all(&chunk).await?;
        } else {
            let chunk = stream.read_chunk(CHUNK).await?;
            if chunk.is_empty() {
                return Ok(());
            }
            shared.count(chunk.len());
        }
    }
}
