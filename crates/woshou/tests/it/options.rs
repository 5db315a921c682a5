//! Options and listeners.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use woshou::tcp::State;
use woshou::{SockRef, TcpSocket};

use crate::nets::{SERVER, SERVER6, addr, connected, kind, nets};

#[tokio::test]
async fn ttl_nodelay_linger_and_figures() {
    let (client, server) = nets();
    let (ours, theirs, _listener) = connected(&client, &server).await;
    assert_eq!(ours.ttl().unwrap(), 64);
    ours.set_ttl(7).unwrap();
    assert_eq!(ours.ttl().unwrap(), 7);
    assert_eq!(kind(ours.set_ttl(0)), ErrorKind::InvalidInput);
    assert_eq!(kind(ours.set_ttl(256)), ErrorKind::InvalidInput);
    assert!(!ours.nodelay().unwrap());
    ours.set_nodelay(true).unwrap();
    assert!(ours.nodelay().unwrap());
    ours.set_linger(Some(Duration::from_secs(3))).unwrap();
    assert_eq!(ours.linger().unwrap(), Some(Duration::from_secs(3)));
    assert_eq!(ours.try_write(b"12345").unwrap(), 5);
    theirs.readable().await.unwrap();
    assert_eq!(ours.info().unwrap().state, State::Established);
    assert_eq!(theirs.info().unwrap().bytes_received, 5);
    assert_eq!(client.counters().stack.bad_checksum, 0);
}

#[tokio::test]
async fn a_socket_with_options_connects_from_its_own_address() {
    let (client, server) = nets();
    let listener = server.bind(SERVER).await.unwrap();
    listener.set_ttl(33).unwrap();
    let socket = client.socket(addr(SERVER));
    socket.set_nodelay(true).unwrap();
    socket.set_ttl(9).unwrap();
    socket.set_zero_linger().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(addr("10.0.0.1:4000")).unwrap();
    assert_eq!(
        kind(socket.bind(addr("10.0.0.1:4001"))),
        ErrorKind::InvalidInput
    );
    let (ours, theirs) = tokio::join!(socket.connect(addr(SERVER)), listener.accept());
    let (ours, (mut theirs, peer)) = (ours.unwrap(), theirs.unwrap());
    assert_eq!(peer, addr("10.0.0.1:4000"));
    assert!(ours.nodelay().unwrap());
    assert_eq!((ours.ttl().unwrap(), theirs.ttl().unwrap()), (9, 33));
    drop(ours);
    assert_eq!(
        kind(theirs.read(&mut [0; 1]).await),
        ErrorKind::ConnectionReset
    );
}

#[tokio::test]
async fn bind_says_what_is_wrong() {
    let (client, server) = nets();
    let first = server.bind(SERVER).await.unwrap();
    assert_eq!(kind(server.bind(SERVER).await), ErrorKind::AddrInUse);
    assert_eq!(
        kind(server.bind("10.0.0.9:80").await),
        ErrorKind::AddrNotAvailable
    );
    drop(first);
    let again = server.bind(SERVER).await.unwrap();
    assert_eq!(again.local_addr().unwrap(), addr(SERVER));

    let socket = client.socket(addr(SERVER));
    socket.bind(addr("10.0.0.77:0")).unwrap();
    assert_eq!(
        kind(socket.connect(addr(SERVER)).await),
        ErrorKind::AddrNotAvailable
    );
    let socket = TcpSocket::new_v6().unwrap();
    assert_eq!(kind(socket.bind(addr(SERVER))), ErrorKind::InvalidInput);
    assert_eq!(kind(socket.local_addr()), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn an_unspecified_address_listens_on_all() {
    let (client, server) = nets();
    let listener = server.bind("[::]:80").await.unwrap();
    for at in [SERVER, SERVER6] {
        let (ours, theirs) = tokio::join!(client.connect(at), listener.accept());
        let (ours, (_, peer)) = (ours.unwrap(), theirs.unwrap());
        assert_eq!(
            peer.ip().to_canonical(),
            ours.local_addr().unwrap().ip(),
            "{at}"
        );
    }
}

#[tokio::test]
async fn a_dropped_listener_resets_those_who_wait_and_refuses_the_next() {
    let (client, server) = nets();
    let listener = server.bind(SERVER).await.unwrap();
    let mut waiting = client.connect(SERVER).await.unwrap();
    drop(listener);
    assert_eq!(
        kind(waiting.read(&mut [0; 1]).await),
        ErrorKind::ConnectionReset
    );
    assert_eq!(
        kind(client.connect(SERVER).await),
        ErrorKind::ConnectionRefused
    );
}

#[tokio::test]
async fn an_accept_that_is_dropped_loses_no_connection() {
    let (client, server) = nets();
    let listener = server.bind(SERVER).await.unwrap();
    let short = tokio::time::timeout(Duration::from_millis(5), listener.accept()).await;
    assert!(short.is_err());
    let (ours, first, second) = tokio::join!(
        async {
            let first = client.connect(SERVER).await.unwrap();
            (first, client.connect(SERVER).await.unwrap())
        },
        listener.accept(),
        listener.accept()
    );
    let mut peers = [first.unwrap().1, second.unwrap().1];
    let mut locals = [ours.0.local_addr().unwrap(), ours.1.local_addr().unwrap()];
    peers.sort();
    locals.sort();
    assert_eq!(peers, locals);
}

/// Tokio's clock has steps of a millisecond and rings late: the rate is kept all the same.
#[tokio::test]
async fn a_rate_is_kept_by_a_coarse_clock() {
    const RATE: u64 = 5_000_000;
    let (client, server) = nets();
    let (mut ours, mut theirs, _listener) = connected(&client, &server).await;
    let socket = SockRef::from(&ours);
    assert_eq!(socket.max_pacing_rate().unwrap(), None);
    socket.set_max_pacing_rate(Some(RATE)).unwrap();
    assert_eq!(socket.max_pacing_rate().unwrap(), Some(RATE));
    let start = tokio::time::Instant::now();
    let writing = async {
        ours.write_all(&vec![0; 2_000_000]).await.unwrap();
        ours.shutdown().await.unwrap();
    };
    let reading = async {
        let mut octets = 0;
        let mut buffer = vec![0; 65_536];
        loop {
            match theirs.read(&mut buffer).await.unwrap() {
                0 => return octets,
                more => octets += more,
            }
        }
    };
    let ((), octets) = tokio::join!(writing, reading);
    let took = start.elapsed();
    assert_eq!(octets, 2_000_000);
    // 400 ms; never faster, and a busy machine may be slower.
    assert!(took >= Duration::from_millis(385), "{took:?}");
    assert!(took < Duration::from_secs(4), "{took:?}");
}
