//! Much text, many connections.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::timeout;
use woshou::link::{Medium, MemoryOptions};
use woshou::{TcpStream, tcp};

use crate::nets::{SERVER, connected, nets, nets_with, pattern, rest};

/// Sends `out` and reads to the end at the same time.
async fn exchange(stream: TcpStream, out: Arc<Vec<u8>>) -> Vec<u8> {
    let (read, mut write) = stream.into_split();
    let writer = tokio::spawn(async move {
        write.write_all(&out).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let text = rest(read).await.unwrap();
    writer.await.unwrap();
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_at_once_over_every_kind_of_link() {
    let mac = [2, 0, 0, 0, 0, 1];
    for (offload, mtu, capacity, medium) in [
        (true, 1500, 256, Medium::Ip),
        (false, 1500, 256, Medium::Ip),
        (false, 1500, 4, Medium::Ip),
        (true, 9000, 1, Medium::Ip),
        (true, 1500, 256, Medium::Ethernet { mac }),
        (false, 1280, 64, Medium::Ethernet { mac }),
    ] {
        let options = MemoryOptions {
            medium,
            mtu,
            capacity,
            offload,
        };
        let (client, server) = nets_with(options, &tcp::Config::default());
        let (ours, theirs, _listener) = connected(&client, &server).await;
        let (up, down) = (Arc::new(pattern(8 << 20, 1)), Arc::new(pattern(5 << 20, 2)));
        let both = async {
            tokio::join!(
                exchange(ours, Arc::clone(&up)),
                exchange(theirs, Arc::clone(&down))
            )
        };
        let (got_down, got_up) = timeout(Duration::from_secs(60), both)
            .await
            .expect("a stall");
        assert!(got_up == *up && got_down == *down, "{options:?}");
        let lost = client.counters().frames_lost + server.counters().frames_lost;
        assert_eq!(lost, 0, "{options:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_at_once() {
    let (client, server) = nets();
    let listener = server.bind(SERVER).await.unwrap();
    let serve = tokio::spawn(async move {
        let mut streams = Vec::new();
        for _ in 0..1000 {
            streams.push(listener.accept().await.unwrap().0);
        }
        let mut tasks = JoinSet::new();
        for mut stream in streams {
            tasks.spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await.unwrap();
            });
        }
        tasks.join_all().await;
    });
    let mut tasks = JoinSet::new();
    for number in 0..1000_u32 {
        let client = client.clone();
        tasks.spawn(async move {
            let mut stream = client.connect(SERVER).await.unwrap();
            stream.write_all(&number.to_be_bytes()).await.unwrap();
            let mut back = [0; 4];
            stream.read_exact(&mut back).await.unwrap();
            assert_eq!(u32::from_be_bytes(back), number);
            stream.shutdown().await.unwrap();
            assert_eq!(stream.read(&mut back).await.unwrap(), 0);
        });
    }
    let all = async {
        tasks.join_all().await;
        serve.await.unwrap();
        client.idle().await;
        server.idle().await;
    };
    timeout(Duration::from_secs(60), all)
        .await
        .expect("a stall");
}

#[tokio::test]
async fn the_backlog_is_bounded_and_no_one_is_lost() {
    let (client, server) = nets();
    let socket = server.socket(crate::nets::addr(SERVER));
    socket.bind(crate::nets::addr(SERVER)).unwrap();
    let listener = socket.listen(4).unwrap();
    let mut attempts = JoinSet::new();
    for _ in 0..12 {
        let client = client.clone();
        attempts.spawn(async move { client.connect(SERVER).await });
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let waiting = server.connections();
    let established = waiting
        .iter()
        .filter(|(_, state)| *state == tcp::State::Established)
        .count();
    assert!((1..=5).contains(&established), "{waiting:?}");
    // Those who found no room try again by themselves (SYN or ACK is sent again).
    for _ in 0..12 {
        timeout(Duration::from_secs(30), listener.accept())
            .await
            .expect("lost")
            .unwrap();
    }
    for attempt in attempts.join_all().await {
        attempt.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn free_buffers_wait_for_the_next_write_and_are_given_back_when_all_is_still() {
    let (client, server) = nets();
    let (mut ours, theirs, _listener) = connected(&client, &server).await;
    let writer = tokio::spawn(async move {
        ours.write_all(&vec![7; 4 << 20]).await.unwrap();
        ours
    });
    let mut read = 0;
    while read < 4 << 20 {
        read += theirs.read_chunk(usize::MAX).await.unwrap().len();
    }
    let _ours = writer.await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await; // the last acknowledgement
    let busy = client.memory().now;
    assert!(busy >= 64 * 1024, "{busy}: a chunk waits");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let still = client.memory().now;
    assert!(still < 16 * 1024, "{still}: none waits");
}
