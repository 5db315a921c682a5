//! Any-IP accept, and SYNs that the program decides about.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use woshou::link::MemoryOptions;
use woshou::link::memory::pair;
use woshou::{Net, tcp};

use crate::nets::{SERVER, addr, cidr, kind, nets};

#[tokio::test]
async fn a_proxy_learns_where_its_clients_wanted_to_go() {
    let (a, b) = pair(MemoryOptions::default());
    let client = Net::builder()
        .device(Box::new(a), [cidr("10.0.0.1", 24), cidr("fd00::1", 64)])
        .default_route()
        .tcp(tcp::Config::default())
        .spawn()
        .unwrap();
    let proxy = Net::builder()
        .device(Box::new(b), [cidr("10.0.0.2", 24), cidr("fd00::2", 64)])
        .any_ip()
        .spawn()
        .unwrap();
    let listener = proxy.bind_any(None).unwrap();
    assert_eq!(kind(proxy.bind_any(None)), std::io::ErrorKind::AddrInUse);
    for to in ["198.51.100.7:443", "[2001:db8::7]:8080"] {
        let (ours, theirs) = tokio::join!(client.connect(to), listener.accept());
        let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap().0);
        assert_eq!(theirs.local_addr().unwrap(), addr(to));
        theirs.write_all(b"hello").await.unwrap();
        let mut into = [0; 5];
        ours.read_exact(&mut into).await.unwrap();
        assert_eq!(&into, b"hello");
    }
}

#[tokio::test]
async fn the_program_decides_about_a_syn() {
    let (client, server) = nets();
    let listener = server.bind(SERVER).await.unwrap().deferred();
    // Accepted.
    let decide = async {
        let incoming = listener.incoming().await.unwrap();
        assert_eq!(incoming.local_addr(), addr(SERVER));
        assert!(incoming.header().options.mss.is_some());
        incoming.accept().await.unwrap()
    };
    let (ours, mut theirs) = tokio::join!(client.connect(SERVER), decide);
    let mut ours = ours.unwrap();
    theirs.write_all(b"hello").await.unwrap();
    let mut into = [0; 5];
    ours.read_exact(&mut into).await.unwrap();
    assert_eq!(&into, b"hello");
    // Refused, and dropped.
    for refuse in [true, false] {
        let decide = async {
            let incoming = listener.incoming().await.unwrap();
            if refuse {
                incoming.refuse();
            }
        };
        let (ours, ()) = tokio::join!(client.connect(SERVER), decide);
        assert_eq!(kind(ours), std::io::ErrorKind::ConnectionRefused);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_not_answered_asks_again_and_who_is_left_waiting_is_forgotten() {
    let (client, server) = nets();
    let listener = server.bind(SERVER).await.unwrap().deferred();
    let connect = tokio::spawn({
        let client = client.clone();
        async move { client.connect(SERVER).await }
    });
    listener.incoming().await.unwrap().ignore();
    let again = listener.incoming().await.unwrap();
    again.cancelled().await;
    assert_eq!(
        kind(again.accept().await),
        std::io::ErrorKind::ConnectionAborted
    );
    let last = listener.incoming().await.unwrap();
    let stream = last.accept().await.unwrap();
    assert_eq!(
        connect.await.unwrap().unwrap().local_addr().unwrap(),
        stream.peer_addr().unwrap()
    );
}
