//! What many small exchanges cost: a ping-pong of one octet, and connections for one request each. The client is a
//! kernel socket in a private namespace; the server a stack behind the namespace's TUN device, or the kernel itself in a
//! second namespace behind a veth.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use woshou_link::{Namespace, PrivateSpec, WOSHOU_V4, Way};

use super::woshou::ANSWER;
use super::{Direction, PORT, Serve, Shared, unpaced};

/// Addresses of the veth's ends.
const CLIENT: &str = "10.77.0.1/24";
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// A client's work: how long, against whom.
pub(crate) type Client<T> = fn(SocketAddr, Duration) -> Result<T>;

fn namespace() -> Result<Namespace> {
    let spec = PrivateSpec {
        mtu: 1500,
        offload: true,
        way: Way::Tun,
        ..PrivateSpec::default()
    };
    let namespace = Namespace::new(&spec)?;
    unpaced(&namespace)?;
    Ok(namespace)
}

/// The client's figures against a stack behind a TUN device.
pub(crate) fn with_stack<T: Send + 'static>(
    serve: Serve,
    client: Client<T>,
    duration: Duration,
) -> Result<T> {
    let mut namespace = namespace()?;
    let device = namespace.take_device().context("no device")?;
    let shared = Arc::new(Shared {
        direction: Direction::FromKernel,
        stop: AtomicBool::new(false),
        received: AtomicU64::new(0),
    });
    let ours = shared.clone();
    let stack = thread::spawn(move || serve(device, &ours));
    let figures = namespace.run(move || client((WOSHOU_V4, PORT).into(), duration))?;
    shared.stop.store(true, Ordering::Relaxed);
    stack
        .join()
        .map_err(|_| anyhow!("the stack's side panicked"))??;
    figures
}

/// The client's figures against the kernel over a veth, each end in a namespace of its own; `serve` has one connection.
pub(crate) fn with_kernel<T: Send + 'static>(
    serve: fn(TcpStream),
    client: Client<T>,
    duration: Duration,
) -> Result<T> {
    let (near, far) = (namespace()?, namespace()?);
    let task = far.run(|| std::fs::read_link("/proc/thread-self"))??;
    let task = task.file_name().context("no thread")?.to_owned();
    let task = task.to_str().context("a thread has a number")?;
    ip(
        &near,
        &format!("link add near type veth peer name far netns {task}"),
    )?;
    ip(&near, &format!("addr add {CLIENT} dev near"))?;
    ip(&near, "link set near up")?;
    ip(&far, &format!("addr add {SERVER}/24 dev far"))?;
    ip(&far, "link set far up")?;
    let at = SocketAddr::from((SERVER, PORT));
    let listener = far.run(move || TcpListener::bind(at))??;
    let stop = Arc::new(AtomicBool::new(false));
    let theirs = stop.clone();
    let server = thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if theirs.load(Ordering::Relaxed) {
                break;
            }
            serve(stream);
        }
    });
    let figures = near.run(move || client(at, duration))?;
    stop.store(true, Ordering::Relaxed);
    // Wakes the server, which then sees that it is over.
    near.run(move || TcpStream::connect_timeout(&at, Duration::from_secs(2)))??;
    server
        .join()
        .map_err(|_| anyhow!("the kernel's server panicked"))?;
    figures
}

/// `ip` with these words, inside.
fn ip(namespace: &Namespace, words: &str) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(words.split(' '));
    let status = namespace.spawn(command).context("ip")?.wait()?;
    ensure!(status.success(), "ip {words}: {status}");
    Ok(())
}

/// A stack may need a moment before it listens.
fn connect(to: SocketAddr) -> Result<TcpStream> {
    for _ in 0..100 {
        if let Ok(stream) = TcpStream::connect_timeout(&to, Duration::from_secs(2)) {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            return Ok(stream);
        }
        thread::sleep(Duration::from_millis(20));
    }
    Err(anyhow!("nobody listens at {to}"))
}

/// The kernel's end of a ping-pong.
pub(crate) fn echo(mut stream: TcpStream) {
    let mut octets = [0; 4096];
    let _ = stream.set_nodelay(true);
    // An error is the end of it too.
    while let Ok(read @ 1..) = stream.read(&mut octets) {
        if stream.write_all(&octets[..read]).is_err() {
            break;
        }
    }
}

/// The kernel's end of a request: it closes first.
pub(crate) fn answer(mut stream: TcpStream) {
    let mut octets = [0; 256];
    if let Ok(1..) = stream.read(&mut octets) {
        // Who does not take it is counted by the client.
        let _ = stream.write_all(&octets[..ANSWER]);
    }
}

/// The round trips' median and 99th percentile, microseconds.
pub(crate) fn ping_pong(to: SocketAddr, duration: Duration) -> Result<[f64; 2]> {
    let mut stream = connect(to)?;
    let mut octet = [1];
    let mut took = Vec::new();
    let started = Instant::now();
    let warm_up = duration / 5;
    while started.elapsed() < duration + warm_up {
        let sent = Instant::now();
        stream.write_all(&octet)?;
        stream.read_exact(&mut octet)?;
        if started.elapsed() > warm_up {
            took.push(sent.elapsed().as_secs_f64() * 1e6);
        }
    }
    took.sort_by(f64::total_cmp);
    let at = |share: usize| took.get(took.len() * share / 100).copied();
    let (median, tail) = (at(50).context("no round trip")?, at(99).context("none")?);
    Ok([median, tail])
}

/// Connections a second that connect, ask, read the answer to its end and close.
pub(crate) fn requests(to: SocketAddr, duration: Duration) -> Result<f64> {
    drop(connect(to)?);
    let mut answer = Vec::new();
    let started = Instant::now();
    let mut done = 0_u32;
    while started.elapsed() < duration {
        let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(2))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(&[7; 64])?;
        answer.clear();
        stream.read_to_end(&mut answer)?;
        ensure!(
            answer.len() == ANSWER,
            "an answer of {} octets",
            answer.len()
        );
        done += 1;
    }
    Ok(f64::from(done) / started.elapsed().as_secs_f64())
}
