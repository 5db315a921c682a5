//! Devices with a descriptor: tokio's readiness, both ways.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use woshou::Net;
use woshou::link::{Device, DeviceInfo, Medium, Outgoing, Readiness, Received};

use crate::nets::{cidr, connected, pattern, rest};

/// One frame a datagram, between two ends in this process. The kernel queues a few hundred at most.
struct Datagrams {
    socket: UnixDatagram,
    /// How often it was found full.
    full: Arc<AtomicUsize>,
}

impl Device for Datagrams {
    fn info(&self) -> DeviceInfo {
        DeviceInfo {
            medium: Medium::Ip,
            mtu: 1500,
            checksum_offload: false,
            gso_max: 0,
            queue: None,
        }
    }
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        let len = self.socket.recv(buffer)?;
        Ok(Received {
            len,
            checksum_valid: false,
            segment_size: None,
        })
    }
    fn send(&mut self, frame: &Outgoing<'_>) -> io::Result<()> {
        match self.socket.send(&frame.parts.concat()) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.full.fetch_add(1, Ordering::SeqCst);
                Err(error)
            }
            Err(_) => Ok(()), // the other end is gone: a cable without a plug
        }
    }
    fn readiness(&self) -> Readiness<'_> {
        Readiness::Fd(self.socket.as_fd())
    }
    fn register(&mut self, _: &Waker) {
        unreachable!("it has a descriptor");
    }
}

fn nets() -> (Net, Net) {
    let (a, b) = UnixDatagram::pair().unwrap();
    let net = |socket: UnixDatagram, address| {
        socket.set_nonblocking(true).unwrap();
        Net::builder()
            .device(
                Box::new(Datagrams {
                    socket,
                    full: Arc::default(),
                }),
                [cidr(address, 24)],
            )
            .spawn()
            .unwrap()
    };
    (net(a, "10.0.0.1"), net(b, "10.0.0.2"))
}

#[tokio::test]
async fn text_crosses_and_a_full_device_loses_nothing() {
    let (client, server) = nets();
    let (mut ours, mut theirs, _listener) = connected(&client, &server).await;
    let text = pattern(3 << 20, 11);
    let send = async {
        ours.write_all(&text).await.unwrap();
        ours.shutdown().await.unwrap();
    };
    let both = async { tokio::join!(send, rest(&mut theirs)) };
    let ((), got) = timeout(Duration::from_secs(30), both)
        .await
        .expect("a stall");
    assert!(got.unwrap() == text);
    assert_eq!(client.counters().frames_lost, 0);
    assert_eq!(
        ours.info().map_or(0, |info| info.total_retrans),
        0,
        "nothing was lost on the way"
    );
}

#[tokio::test]
async fn a_full_device_goes_on_as_soon_as_there_is_room() {
    // More SYNs than the kernel queues, and nothing ever comes back to wake the driver.
    const ATTEMPTS: usize = 1000;
    let (ours, wire) = UnixDatagram::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    wire.set_nonblocking(true).unwrap();
    let full = Arc::new(AtomicUsize::new(0));
    let device = Box::new(Datagrams {
        socket: ours,
        full: Arc::clone(&full),
    });
    let net = Net::builder()
        .device(device, [cidr("10.0.0.1", 24)])
        .spawn()
        .unwrap();
    let mut attempts = tokio::task::JoinSet::new();
    for _ in 0..ATTEMPTS {
        let net = net.clone();
        attempts.spawn(async move { net.connect("10.0.0.2:80").await });
    }
    let mut ports = BTreeSet::new();
    let start = Instant::now();
    while ports.len() < ATTEMPTS && start.elapsed() < Duration::from_secs(5) {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let mut frame = [0; 2000];
        while let Ok(len) = wire.recv(&mut frame) {
            assert!(len >= 40 && frame[0] == 0x45, "an IPv4 packet with TCP");
            ports.insert([frame[20], frame[21]]);
        }
    }
    assert_eq!(ports.len(), ATTEMPTS);
    assert!(full.load(Ordering::SeqCst) > 0, "it was never full");
    let took = start.elapsed();
    assert!(
        took < Duration::from_millis(800),
        "before any SYN is sent again: {took:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_other_threads_too() {
    let (client, server) = nets();
    let (mut ours, theirs, _listener) = connected(&client, &server).await;
    let text = pattern(2 << 20, 12);
    let reader = tokio::spawn(rest(theirs));
    ours.write_all(&text).await.unwrap();
    drop(ours);
    assert!(reader.await.unwrap().unwrap() == text);
    client.idle().await;
}
