//! tokio's clock is the stack's clock: paused, hours pass in no time.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};
use woshou::link::MemoryOptions;
use woshou::link::memory::pair;
use woshou::{Net, tcp};

use crate::nets::{Cable, cidr, connected, kind, nets};

#[tokio::test(start_paused = true)]
async fn a_connect_nobody_answers_times_out_when_the_config_says() {
    // The other end of the cable swallows everything.
    let (device, _silent) = pair(MemoryOptions::default());
    let config = tcp::Config {
        open_timeout: Duration::from_secs(30),
        ..tcp::Config::default()
    };
    let net = Net::builder()
        .device(Box::new(device), [cidr("10.0.0.1", 24)])
        .tcp(config)
        .seed([9; 32])
        .spawn()
        .unwrap();
    let start = Instant::now();
    assert_eq!(kind(net.connect("10.0.0.2:80").await), ErrorKind::TimedOut);
    let took = start.elapsed();
    assert!(
        (Duration::from_secs(29)..Duration::from_secs(62)).contains(&took),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_vanishes_is_noticed_when_the_config_says() {
    let config = tcp::Config {
        user_timeout: Duration::from_secs(120),
        ..tcp::Config::default()
    };
    let (a, b) = pair(MemoryOptions::default());
    let cut = Arc::new(AtomicBool::new(false));
    let a = Cable {
        device: a,
        cut: Arc::clone(&cut),
        full: Arc::default(),
    };
    let client = Net::builder()
        .device(Box::new(a), [cidr("10.0.0.1", 24)])
        .tcp(config)
        .spawn()
        .unwrap();
    let server = Net::builder()
        .device(Box::new(b), [cidr("10.0.0.2", 24)])
        .spawn()
        .unwrap();
    let (mut ours, _theirs, _listener) = connected(&client, &server).await;
    cut.store(true, Ordering::SeqCst);
    let start = Instant::now();
    ours.write_all(b"anybody there?").await.unwrap();
    assert_eq!(kind(ours.read(&mut [0; 1]).await), ErrorKind::TimedOut);
    let took = start.elapsed().as_secs();
    assert!((119..=190).contains(&took), "{took} s");
    assert_eq!(kind(ours.write(b"x").await), ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_costs_no_time_and_stays() {
    let (client, server) = nets();
    let (mut ours, mut theirs, _listener) = connected(&client, &server).await;
    sleep(Duration::from_secs(24 * 3600)).await;
    ours.write_all(b"still there").await.unwrap();
    let mut text = [0; 11];
    theirs.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"still there");
}

#[tokio::test(start_paused = true)]
async fn timeouts_are_tokios_own() {
    let (client, server) = nets();
    let (mut ours, _theirs, _listener) = connected(&client, &server).await;
    let start = Instant::now();
    let read = timeout(Duration::from_secs(3600), ours.read(&mut [0; 1])).await;
    assert!(read.is_err());
    assert_eq!(start.elapsed().as_secs(), 3600);
}

#[tokio::test(start_paused = true)]
async fn delayed_acknowledgements_and_time_wait_run_by_it() {
    let (client, server) = nets();
    let (mut ours, mut theirs, listener) = connected(&client, &server).await;
    ours.write_all(b"x").await.unwrap();
    theirs.read_exact(&mut [0; 1]).await.unwrap();
    sleep(Duration::from_millis(200)).await;
    assert_eq!(ours.info().unwrap().unacked, 0, "the delayed ACK came");
    ours.shutdown().await.unwrap();
    assert_eq!(theirs.read(&mut [0; 1]).await.unwrap(), 0);
    drop(theirs);
    assert_eq!(ours.read(&mut [0; 1]).await.unwrap(), 0);
    drop(ours);
    client.idle().await;
    let waits = |net: &Net| {
        net.connections()
            .iter()
            .any(|(_, s)| *s == tcp::State::TimeWait)
    };
    assert!(waits(&client) && !waits(&server));
    sleep(Duration::from_secs(61)).await;
    assert!(!waits(&client));
    drop(listener);
}

#[tokio::test(start_paused = true)]
async fn a_full_device_that_never_says_when_is_tried_again_soon() {
    let (a, b) = pair(MemoryOptions::default());
    let full = Arc::new(AtomicUsize::new(0));
    let a = Cable {
        device: a,
        cut: Arc::default(),
        full: Arc::clone(&full),
    };
    let client = Net::builder()
        .device(Box::new(a), [cidr("10.0.0.1", 24)])
        .spawn()
        .unwrap();
    let server = Net::builder()
        .device(Box::new(b), [cidr("10.0.0.2", 24)])
        .spawn()
        .unwrap();
    let (mut ours, mut theirs, _listener) = connected(&client, &server).await;
    ours.set_nodelay(true).unwrap();
    for _ in 0..20 {
        let start = Instant::now();
        full.store(4, Ordering::SeqCst);
        ours.write_all(b"x").await.unwrap();
        theirs.read_exact(&mut [0; 1]).await.unwrap();
        assert_eq!(full.load(Ordering::SeqCst), 0);
        assert!(
            start.elapsed() < Duration::from_millis(10),
            "{:?}",
            start.elapsed()
        );
    }
}
