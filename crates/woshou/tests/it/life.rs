//! How long a net lives.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use woshou::Net;
use woshou::link::memory::pair;
use woshou::link::{Device, DeviceInfo, Medium, MemoryOptions, Outgoing, Readiness, Received};

use crate::nets::{SERVER, cidr, connected, kind, nets, rest, roomy_nets};

/// A device that breaks after a while, and counts itself.
struct Mortal {
    alive: Arc<AtomicUsize>,
    broken: bool,
}

impl Device for Mortal {
    fn info(&self) -> DeviceInfo {
        DeviceInfo {
            medium: Medium::Ip,
            mtu: 1500,
            checksum_offload: false,
            gso_max: 0,
            queue: None,
        }
    }
    fn recv(&mut self, _: &mut [u8]) -> io::Result<Received> {
        let kind = if self.broken {
            ErrorKind::NotFound
        } else {
            ErrorKind::WouldBlock
        };
        Err(io::Error::new(kind, "the cable was eaten"))
    }
    fn send(&mut self, _: &Outgoing<'_>) -> io::Result<()> {
        Ok(())
    }
    fn readiness(&self) -> Readiness<'_> {
        Readiness::Waker
    }
    fn register(&mut self, _: &Waker) {}
}

impl Drop for Mortal {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

fn mortal(broken: bool) -> (Box<Mortal>, Arc<AtomicUsize>) {
    let alive = Arc::new(AtomicUsize::new(1));
    (
        Box::new(Mortal {
            alive: Arc::clone(&alive),
            broken,
        }),
        alive,
    )
}

pub(crate) async fn until_gone(alive: &AtomicUsize) {
    let gone = async {
        while alive.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(5), gone)
        .await
        .expect("a driver lives on");
}

#[tokio::test]
async fn the_driver_goes_with_the_last_handle() {
    let (device, alive) = mortal(false);
    let net = Net::builder()
        .device(device, [cidr("10.0.0.1", 24)])
        .spawn()
        .unwrap();
    let listener = net.bind("10.0.0.1:80").await.unwrap();
    drop(net);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(alive.load(Ordering::SeqCst), 1, "a listener holds it");
    drop(listener);
    until_gone(&alive).await;
}

#[tokio::test]
async fn the_last_handle_may_go_before_everything_is_delivered() {
    let (client, server) = roomy_nets();
    let (mut ours, theirs, _listener) = connected(&client, &server).await;
    let text = vec![1; 700_000];
    ours.write_all(&text).await.unwrap();
    drop((ours, client));
    assert_eq!(rest(theirs).await.unwrap(), text);
}

#[tokio::test]
async fn idle_waits_for_the_end_of_the_last_connection() {
    let (client, server) = nets();
    timeout(Duration::from_secs(1), client.idle())
        .await
        .expect("nothing to wait for");
    let (mut ours, theirs, _listener) = connected(&client, &server).await;
    ours.write_all(b"bye").await.unwrap();
    assert!(
        timeout(Duration::from_millis(30), client.idle())
            .await
            .is_err()
    );
    drop(ours);
    assert_eq!(rest(theirs).await.unwrap(), b"bye");
    timeout(Duration::from_secs(5), client.idle())
        .await
        .expect("both closed");
    timeout(Duration::from_secs(5), server.idle())
        .await
        .expect("both closed");
}

#[tokio::test(start_paused = true)]
async fn idle_notices_aborts_that_nothing_follows() {
    let (client, server) = nets();
    let (first, _theirs, listener) = connected(&client, &server).await;
    let (second, _accepted) = tokio::join!(client.connect(SERVER), listener.accept());
    let second = second.unwrap();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.idle().await }
    });
    tokio::time::sleep(Duration::from_secs(3600)).await;
    // The one right after the other: the second look must be put off, and taken all the same.
    first.abort();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    second.abort();
    timeout(Duration::from_secs(1), waiting)
        .await
        .expect("unnoticed")
        .unwrap();
}

#[tokio::test]
async fn shutdown_resets_what_is_open_and_wakes_all() {
    let (client, server) = nets();
    let (mut ours, mut theirs, listener) = connected(&client, &server).await;
    let waiting = tokio::spawn(async move {
        let accepted = listener.accept().await.map(|_| ());
        (kind(theirs.read(&mut [0; 1]).await), kind(accepted))
    });
    tokio::task::yield_now().await;
    server.shutdown();
    server.shutdown();
    assert_eq!(
        waiting.await.unwrap(),
        (ErrorKind::NotConnected, ErrorKind::NotConnected)
    );
    assert_eq!(
        kind(ours.read(&mut [0; 1]).await),
        ErrorKind::ConnectionReset
    );
    assert_eq!(kind(server.bind(SERVER).await), ErrorKind::NotConnected);
    assert_eq!(
        kind(server.connect("10.0.0.1:1").await),
        ErrorKind::NotConnected
    );
    assert!(server.ended().await.to_string().contains("shut down"));
    server.idle().await;
}

#[tokio::test]
async fn a_broken_device_ends_the_net() {
    let (device, alive) = mortal(true);
    let net = Net::builder()
        .device(device, [cidr("10.0.0.1", 24)])
        .spawn()
        .unwrap();
    let error = timeout(Duration::from_secs(5), net.ended())
        .await
        .expect("unnoticed");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("eaten"), "{error}");
    assert_eq!(kind(net.connect("10.0.0.2:1").await), ErrorKind::NotFound);
    until_gone(&alive).await;
}

#[tokio::test]
async fn one_of_two_devices_may_break() {
    let (device, _alive) = mortal(true);
    let (a, b) = pair(MemoryOptions::default());
    let client = Net::builder()
        .device(device, [cidr("192.168.0.1", 24)])
        .device(Box::new(a), [cidr("10.0.0.1", 24)])
        .spawn()
        .unwrap();
    let server = Net::builder()
        .device(Box::new(b), [cidr("10.0.0.2", 24)])
        .spawn()
        .unwrap();
    let (mut ours, theirs, _listener) = connected(&client, &server).await;
    ours.write_all(b"on the other").await.unwrap();
    drop(ours);
    assert_eq!(rest(theirs).await.unwrap(), b"on the other");
}

#[test]
fn without_a_runtime_or_a_device_it_says_so() {
    let (a, _b) = pair(MemoryOptions::default());
    let error = Net::builder().device(Box::new(a), []).spawn().unwrap_err();
    assert!(error.to_string().contains("spawn_thread"), "{error}");
    let error = Net::builder().spawn_thread().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn when_the_runtime_ends_streams_say_so() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (stream, net) = runtime.block_on(async {
        let (client, server) = nets();
        let (ours, _theirs, _listener) = connected(&client, &server).await;
        (ours, client)
    });
    drop(runtime);
    let error = stream.try_write(b"x").unwrap_err();
    assert!(error.to_string().contains("runtime"), "{error}");
    drop((stream, net));
}
