//! Two nets on one cable, and what tests need again and again.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;

use tokio::io::{AsyncRead, AsyncReadExt};
use woshou::link::memory::pair;
use woshou::link::{Device, DeviceInfo, MemoryOptions, Outgoing, Readiness, Received};
use woshou::{Cidr, Net, TcpListener, TcpStream, tcp};

/// The server's side listens here.
pub(crate) const SERVER: &str = "10.0.0.2:80";
pub(crate) const SERVER6: &str = "[fd00::2]:80";

pub(crate) fn cidr(address: &str, prefix: u8) -> Cidr {
    Cidr {
        address: address.parse().unwrap(),
        prefix,
    }
}

/// A client's net (10.0.0.1, fd00::1) and a server's (10.0.0.2, fd00::2).
pub(crate) fn nets() -> (Net, Net) {
    nets_with(MemoryOptions::default(), &tcp::Config::default())
}

/// Two nets whose buffers are 1 MiB from the beginning: what is said fits in them, whether or not anybody reads.
pub(crate) fn roomy_nets() -> (Net, Net) {
    let mut config = tcp::Config::default();
    config.fix_receive_buffer(1 << 20);
    config.fix_send_buffer(1 << 20);
    nets_with(MemoryOptions::default(), &config)
}

pub(crate) fn nets_with(link: MemoryOptions, config: &tcp::Config) -> (Net, Net) {
    let (a, b) = pair(link);
    let net = |device, number: u8| {
        let addresses = [
            cidr(&format!("10.0.0.{number}"), 24),
            cidr(&format!("fd00::{number}"), 64),
        ];
        Net::builder()
            .device(Box::new(device), addresses)
            .tcp(config.clone())
            .seed([number; 32])
            .spawn()
            .unwrap()
    };
    (net(a, 1), net(b, 2))
}

/// A connection: the client's end and the server's, and the listener.
pub(crate) async fn connected(client: &Net, server: &Net) -> (TcpStream, TcpStream, TcpListener) {
    let listener = server.bind(SERVER).await.unwrap();
    let (ours, theirs) = tokio::join!(client.connect(SERVER), listener.accept());
    (ours.unwrap(), theirs.unwrap().0, listener)
}

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> io::ErrorKind {
    result.unwrap_err().kind()
}

/// Octets that repeat nowhere soon, so that a swap or a gap shows.
pub(crate) fn pattern(len: usize, salt: u64) -> Vec<u8> {
    let mut state = salt | 1;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    })
    .take(len)
    .collect()
}

/// Reads to the end.
pub(crate) async fn rest(mut from: impl AsyncRead + Unpin) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    from.read_to_end(&mut text).await.map(|_| text)
}

/// A device with a troubled cable.
pub(crate) struct Cable<D> {
    pub(crate) device: D,
    /// From then on what it sends is lost, silently.
    pub(crate) cut: Arc<AtomicBool>,
    /// It is found full so many times more; nobody says when there is room again.
    pub(crate) full: Arc<AtomicUsize>,
}

impl<D: Device> Device for Cable<D> {
    fn info(&self) -> DeviceInfo {
        self.device.info()
    }
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        self.device.recv(buffer)
    }
    fn send(&mut self, frame: &Outgoing<'_>) -> io::Result<()> {
        let less = |times: usize| times.checked_sub(1);
        if self
            .full
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
            .is_ok()
        {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.cut.load(Ordering::SeqCst) {
            Ok(())
        } else {
            self.device.send(frame)
        }
    }
    fn readiness(&self) -> Readiness<'_> {
        Readiness::Waker
    }
    fn register(&mut self, waker: &Waker) {
        self.device.register(waker);
    }
}
