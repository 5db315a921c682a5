//! What `std` and tokio have no calls for: `SockRef`, urgent data, and errors told apart.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use woshou::link::MemoryOptions;
use woshou::link::memory::pair;
use woshou::tcp::Ended;
use woshou::{Net, SockRef, TcpKeepalive, blocking, how_it_ended};

use crate::nets::{SERVER, addr, cidr, connected, kind, nets};

#[tokio::test(start_paused = true)]
async fn every_option_is_read_back() {
    let (client, server) = nets();
    let (ours, _theirs, _listener) = connected(&client, &server).await;
    let socket = SockRef::from(&ours);
    assert!(!socket.keepalive().unwrap());
    assert_eq!(socket.tcp_keepalive_retries().unwrap(), 9);
    let minute = Duration::from_secs(60);
    let keep = TcpKeepalive::new().with_time(minute).with_retries(3);
    socket.set_tcp_keepalive(&keep).unwrap();
    assert!(socket.keepalive().unwrap());
    assert_eq!(socket.tcp_keepalive_time().unwrap(), minute);
    assert_eq!(socket.tcp_keepalive_interval().unwrap().as_secs(), 75);
    socket.set_keepalive(false).unwrap();
    assert!(!socket.keepalive().unwrap());
    socket.set_keepalive(true).unwrap();
    assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);

    socket.set_tcp_user_timeout(Some(minute)).unwrap();
    assert_eq!(socket.tcp_user_timeout().unwrap(), Some(minute));
    socket.set_tcp_cork(true).unwrap();
    assert!(socket.tcp_cork().unwrap());
    assert_eq!(socket.tcp_mss().unwrap(), 1448);
    socket.set_tcp_mss(600).unwrap();
    assert_eq!(socket.tcp_mss().unwrap(), 588);
    assert_eq!(kind(socket.set_tcp_mss(1)), ErrorKind::InvalidInput);
    assert_eq!(socket.tcp_notsent_lowat().unwrap(), u32::MAX);
    assert_eq!(socket.tcp_congestion().unwrap(), b"cubic");
    socket.set_tcp_congestion(b"reno").unwrap();
    assert_eq!(socket.tcp_congestion().unwrap(), b"newreno");
    let unknown = socket.set_tcp_congestion(b"vegas").unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    socket.set_tcp_notsent_lowat(5000).unwrap();
    assert_eq!(socket.tcp_notsent_lowat().unwrap(), 5000);
    socket.set_send_buffer_size(70_000).unwrap();
    assert_eq!(socket.send_buffer_size().unwrap(), 70_000);
    socket.set_recv_buffer_size(80_000).unwrap();
    assert_eq!(socket.recv_buffer_size().unwrap(), 80_000);
    socket.set_tos(0xbb).unwrap();
    assert_eq!(socket.tos().unwrap(), 0xb8);
    assert_eq!(kind(socket.set_tos(256)), ErrorKind::InvalidInput);
    assert_eq!(socket.path_error().unwrap(), None);
    socket.set_tcp_quickack(true).unwrap();
    client.shutdown();
    assert_eq!(kind(socket.tos()), ErrorKind::NotConnected);
    assert_eq!(kind(socket.set_tos(0)), ErrorKind::NotConnected);
}

#[tokio::test(start_paused = true)]
async fn what_a_socket_is_told_holds_for_its_connections() {
    let (client, server) = nets();
    let listening = server.socket(addr(SERVER));
    listening.bind(addr(SERVER)).unwrap();
    listening.set_tos_v4(0x20).unwrap();
    listening.set_recv_buffer_size(9000).unwrap();
    assert_eq!(listening.recv_buffer_size().unwrap(), 9000);
    listening.set_keepalive(true).unwrap();
    listening.set_tcp_mss(700).unwrap();
    listening.set_tcp_notsent_lowat(4000).unwrap();
    assert_eq!(listening.tcp_congestion().unwrap(), b"cubic");
    listening.set_tcp_congestion(b"bbr").unwrap();
    assert_eq!(listening.tcp_congestion().unwrap(), b"bbr");
    assert!(listening.set_tcp_congestion(b"vegas").is_err());
    let listener = listening.listen(8).unwrap();

    let socket = client.socket(addr(SERVER));
    // Ours to choose: address and port.
    socket.bind(addr("10.0.0.1:4321")).unwrap();
    socket.set_tos_v4(0xb8).unwrap();
    socket
        .set_tcp_user_timeout(Some(Duration::from_secs(9)))
        .unwrap();
    socket.set_send_buffer_size(12_345).unwrap();
    let (ours, theirs) = tokio::join!(socket.connect(addr(SERVER)), listener.accept());
    let (ours, (theirs, peer)) = (ours.unwrap(), theirs.unwrap());
    assert_eq!(peer, addr("10.0.0.1:4321"));
    let (here, there) = (SockRef::from(&ours), SockRef::from(&theirs));
    assert_eq!((here.tos().unwrap(), there.tos().unwrap()), (0xb8, 0x20));
    assert_eq!(here.received_tos().unwrap(), 0x20);
    assert_eq!(there.received_tos().unwrap(), 0xb8);
    assert_eq!(here.tcp_user_timeout().unwrap().unwrap().as_secs(), 9);
    assert_eq!(here.send_buffer_size().unwrap(), 12_345);
    assert_eq!(there.recv_buffer_size().unwrap(), 9000);
    assert!(there.keepalive().unwrap() && !here.keepalive().unwrap());
    assert_eq!(there.tcp_notsent_lowat().unwrap(), 4000);
    assert_eq!(there.tcp_congestion().unwrap(), b"bbr");
    assert_eq!(here.tcp_congestion().unwrap(), b"cubic");
    assert_eq!(here.tcp_mss().unwrap(), 688);
}

#[tokio::test(start_paused = true)]
async fn urgent_data_wakes_who_waits_and_reads_stop_at_the_mark() {
    let (client, server) = nets();
    let (mut ours, mut theirs, _listener) = connected(&client, &server).await;
    let socket = SockRef::from(&ours);
    let waiting = timeout(Duration::from_secs(5), theirs.urgent());
    let (urgent, ()) = tokio::join!(waiting, async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(socket.send_out_of_band(b"stop").unwrap(), 4);
    });
    assert_eq!(urgent.unwrap().unwrap(), 4);
    ours.write_all(b"and go on").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(SockRef::from(&theirs).urgent_unread().unwrap(), Some(4));
    let mut text = [0; 100];
    let len = theirs.read(&mut text).await.unwrap();
    assert_eq!(&text[..len], b"stop");
    assert!(SockRef::from(&theirs).at_mark().unwrap());
    let len = theirs.read(&mut text).await.unwrap();
    assert_eq!(&text[..len], b"and go on");
    assert!(!SockRef::from(&theirs).at_mark().unwrap());
    // It comes no more: who waits is told.
    let waiting = timeout(Duration::from_secs(5), theirs.urgent());
    let (urgent, shut) = tokio::join!(waiting, ours.shutdown());
    shut.unwrap();
    assert_eq!(kind(urgent.unwrap()), ErrorKind::UnexpectedEof);
}

#[tokio::test(start_paused = true)]
async fn a_push_leaves_in_spite_of_the_cork_and_a_flush_takes_back() {
    let (client, server) = nets();
    let (mut ours, mut theirs, _listener) = connected(&client, &server).await;
    SockRef::from(&ours).set_tcp_cork(true).unwrap();
    ours.write_all(b"pushed").await.unwrap();
    SockRef::from(&ours).push().unwrap();
    let mut text = [0; 100];
    let read = timeout(Duration::from_millis(100), theirs.read(&mut text)).await;
    assert_eq!(&text[..read.unwrap().unwrap()], b"pushed");
    ours.write_all(b"taken back").await.unwrap();
    assert_eq!(SockRef::from(&ours).discard_unsent().unwrap(), 10);
    ours.shutdown().await.unwrap();
    assert_eq!(theirs.read(&mut text).await.unwrap(), 0);
}

/// By the blocking stream: a FIN reads as the end, a RST as an error that says so.
#[test]
fn a_reset_is_told_from_the_end_without_async() {
    let (a, b) = pair(MemoryOptions::default());
    let net = |device, number: u8| {
        Net::builder()
            .device(Box::new(device), [cidr(&format!("10.0.0.{number}"), 24)])
            .spawn_thread()
            .unwrap()
    };
    let (client, server) = (net(a, 1), net(b, 2));
    let listener = blocking::TcpListener::bind_on(&server, SERVER).unwrap();
    for reset in [false, true] {
        let socket = client.socket(addr(SERVER));
        socket.set_tos_v4(0x20).unwrap();
        let mut ours = blocking::TcpStream::connect_socket(socket, addr(SERVER)).unwrap();
        ours.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        assert_eq!(SockRef::from(&ours).tos().unwrap(), 0x20);
        let (theirs, _) = listener.accept().unwrap();
        if reset {
            theirs.set_linger(Some(Duration::ZERO)).unwrap();
        }
        drop(theirs);
        match ours.read(&mut [0; 10]) {
            Ok(len) => assert_eq!((reset, len), (false, 0)),
            Err(error) => {
                assert!(reset, "{error}");
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                assert_eq!(how_it_ended(&error), Some(Ended::Reset));
            }
        }
    }
}

/// SHLD-3 through the socket: closing with text unread tells the peer that it was lost.
#[tokio::test(start_paused = true)]
async fn dropping_with_text_unread_resets() {
    let (client, server) = nets();
    let (mut ours, theirs, _listener) = connected(&client, &server).await;
    ours.write_all(b"nobody reads this").await.unwrap();
    theirs.readable().await.unwrap();
    drop(theirs);
    let error = ours.read(&mut [0; 10]).await.unwrap_err();
    assert_eq!(how_it_ended(&error), Some(Ended::Reset));
}
