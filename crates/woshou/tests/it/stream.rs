//! What a stream does, call by call.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::time::timeout;
use woshou::tcp::{Ended, State};

use crate::nets::{SERVER, SERVER6, addr, connected, kind, nets, rest, roomy_nets};

#[tokio::test]
async fn echo_over_both_families() {
    let (client, server) = nets();
    for at in [SERVER, SERVER6] {
        let listener = server.bind(at).await.unwrap();
        let (ours, theirs) = tokio::join!(client.connect(at), listener.accept());
        let (mut ours, (mut theirs, peer)) = (ours.unwrap(), theirs.unwrap());
        assert_eq!(ours.peer_addr().unwrap(), addr(at));
        assert_eq!(ours.local_addr().unwrap(), peer);
        assert_eq!(theirs.peer_addr().unwrap(), peer);
        assert_eq!(theirs.local_addr().unwrap(), addr(at));
        let echo = tokio::spawn(async move {
            let (mut from, mut to) = theirs.split();
            tokio::io::copy(&mut from, &mut to).await.unwrap();
            to.shutdown().await.unwrap();
        });
        ours.write_all(b"hello").await.unwrap();
        let mut text = [0; 5];
        ours.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"hello");
        ours.shutdown().await.unwrap();
        assert_eq!(rest(&mut ours).await.unwrap(), b"");
        echo.await.unwrap();
    }
}

#[tokio::test]
async fn half_close_leaves_the_other_direction_open() {
    let (client, server) = nets();
    let (mut ours, mut theirs, _listener) = connected(&client, &server).await;
    ours.write_all(b"question").await.unwrap();
    ours.shutdown().await.unwrap();
    assert_eq!(rest(&mut theirs).await.unwrap(), b"question");
    assert_eq!(kind(ours.write(b"more").await), ErrorKind::BrokenPipe);
    theirs.write_all(b"a long answer").await.unwrap();
    drop(theirs);
    assert_eq!(rest(&mut ours).await.unwrap(), b"a long answer");
}

#[tokio::test]
async fn nobody_listening_is_refused() {
    let (client, _server) = nets();
    let error = client.connect(SERVER).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    let cause = error.get_ref().unwrap().downcast_ref::<Ended>();
    assert_eq!(cause, Some(&Ended::Refused));
}

#[tokio::test]
async fn the_first_address_that_answers_is_taken() {
    let (client, server) = nets();
    let _listener = server.bind(SERVER).await.unwrap();
    let stream = client
        .connect(&[addr("10.0.0.2:81"), addr(SERVER)][..])
        .await
        .unwrap();
    assert_eq!(stream.peer_addr().unwrap(), addr(SERVER));
    assert_eq!(kind(client.connect(&[][..]).await), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_reset_is_told_from_the_end() {
    let (client, server) = nets();
    let (mut ours, mut theirs, listener) = connected(&client, &server).await;
    theirs.shutdown().await.unwrap();
    assert_eq!(ours.read(&mut [0; 9]).await.unwrap(), 0, "closed: the end");
    assert!(ours.take_error().unwrap().is_none());

    let (ours, theirs) = tokio::join!(client.connect(SERVER), listener.accept());
    let (mut ours, (theirs, _)) = (ours.unwrap(), theirs.unwrap());
    theirs.abort();
    assert_eq!(
        kind(ours.read(&mut [0; 9]).await),
        ErrorKind::ConnectionReset
    );
    assert_eq!(kind(ours.write(b"x").await), ErrorKind::ConnectionReset);
    assert_eq!(
        ours.take_error().unwrap().unwrap().kind(),
        ErrorKind::ConnectionReset
    );
    assert!(ours.take_error().unwrap().is_none(), "told once");
    assert_eq!(
        kind(theirs.try_read(&mut [0; 9])),
        ErrorKind::ConnectionAborted
    );
}

#[tokio::test]
async fn zero_linger_resets_and_none_delivers() {
    let (client, server) = roomy_nets();
    let (ours, mut theirs, listener) = connected(&client, &server).await;
    assert_eq!(ours.linger().unwrap(), None);
    ours.set_zero_linger().unwrap();
    assert_eq!(ours.linger().unwrap(), Some(Duration::ZERO));
    drop(ours);
    assert_eq!(
        kind(theirs.read(&mut [0; 9]).await),
        ErrorKind::ConnectionReset
    );

    for linger in [None, Some(Duration::from_secs(3))] {
        let (ours, theirs) = tokio::join!(client.connect(SERVER), listener.accept());
        let (mut ours, (theirs, _)) = (ours.unwrap(), theirs.unwrap());
        ours.set_linger(linger).unwrap();
        let text = vec![7; 300_000];
        ours.write_all(&text).await.unwrap();
        drop(ours);
        assert_eq!(rest(theirs).await.unwrap(), text, "{linger:?}");
    }
}

#[tokio::test]
async fn dropping_with_unread_text_resets() {
    let (client, server) = nets();
    let (mut ours, theirs, _listener) = connected(&client, &server).await;
    ours.write_all(b"never read").await.unwrap();
    theirs.readable().await.unwrap();
    drop(theirs);
    assert_eq!(
        kind(ours.read(&mut [0; 9]).await),
        ErrorKind::ConnectionReset
    );
}

#[tokio::test]
async fn peek_leaves_the_text_there() {
    let (client, server) = nets();
    let (mut ours, mut theirs, _listener) = connected(&client, &server).await;
    let writer = tokio::spawn(async move {
        tokio::task::yield_now().await;
        ours.write_all(b"abc").await.unwrap();
        ours
    });
    let mut text = [0; 9];
    assert_eq!(theirs.peek(&mut text).await.unwrap(), 3);
    assert_eq!(theirs.peek(&mut text[..2]).await.unwrap(), 2);
    assert_eq!(theirs.read(&mut text).await.unwrap(), 3);
    assert_eq!(&text[..3], b"abc");
    drop(writer.await.unwrap());
    assert_eq!(theirs.peek(&mut text).await.unwrap(), 0, "the end");
}

#[tokio::test]
async fn try_calls_and_readiness() {
    let (client, server) = nets();
    let (ours, theirs, _listener) = connected(&client, &server).await;
    assert_eq!(kind(theirs.try_read(&mut [0; 9])), ErrorKind::WouldBlock);
    assert_eq!(
        kind(theirs.try_io(Interest::READABLE, || Ok(()))),
        ErrorKind::WouldBlock
    );
    let both = Interest::READABLE | Interest::WRITABLE;
    let ready = theirs.ready(both).await.unwrap();
    assert!(ready.is_writable() && !ready.is_readable());

    let sent =
        ours.try_write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"c")]);
    assert_eq!(sent.unwrap(), 3);
    theirs.readable().await.unwrap();
    theirs.try_io(Interest::READABLE, || Ok(())).unwrap();
    let (mut first, mut second) = ([0; 2], [0; 2]);
    let mut bufs = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
    assert_eq!(theirs.try_read_vectored(&mut bufs).unwrap(), 3);
    assert_eq!((&first, second[0]), (b"ab", b'c'));

    assert_eq!(ours.try_write(b"later").unwrap(), 5);
    theirs.readable().await.unwrap();
    let mut text = Vec::new();
    assert_eq!(theirs.try_read_buf(&mut text).unwrap(), 5);
    assert_eq!(text, b"later");
    drop(ours);
    let ready = theirs.ready(Interest::READABLE).await.unwrap();
    assert!(ready.is_readable() && ready.is_read_closed());
    assert_eq!(theirs.try_read(&mut [0; 9]).unwrap(), 0);
}

#[tokio::test]
async fn many_tasks_may_wait_for_one_stream() {
    let (client, server) = nets();
    let (ours, theirs, _listener) = connected(&client, &server).await;
    let waiting = async {
        tokio::join!(
            theirs.readable(),
            theirs.readable(),
            theirs.ready(Interest::READABLE)
        )
    };
    let (_, written) = tokio::join!(waiting, async { ours.try_write(b"!") });
    assert_eq!(written.unwrap(), 1);
    // A future that is dropped while it waits takes nothing with it.
    theirs.try_read(&mut [0; 9]).unwrap();
    assert!(
        timeout(Duration::from_millis(5), theirs.readable())
            .await
            .is_err()
    );
    ours.try_write(b"!").unwrap();
    theirs.readable().await.unwrap();
}

#[tokio::test]
async fn a_full_buffer_waits_for_the_reader() {
    let (client, server) = roomy_nets();
    let (ours, mut theirs, _listener) = connected(&client, &server).await;
    let block = [5; 65_536];
    let mut written = 0;
    loop {
        match ours.try_write(&block) {
            Ok(len) => written += len,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                let more = timeout(Duration::from_millis(50), ours.writable()).await;
                if more.is_err() {
                    break; // full on both ends
                }
            }
        }
    }
    assert!(written >= 2 << 20, "both buffers: {written}");
    let mut into = vec![0; 3 << 20];
    let read = async {
        theirs.read_exact(&mut into[..written]).await.unwrap();
    };
    let (_, writable) = tokio::join!(read, ours.writable());
    writable.unwrap();
    assert!(ours.try_write(&block).is_ok());
}

#[tokio::test]
async fn halves_reunite_and_the_writing_half_ends_its_direction() {
    let (client, server) = nets();
    let (ours, mut theirs, listener) = connected(&client, &server).await;
    let (read, write) = ours.into_split();
    let stream = read.reunite(write).unwrap();
    let (mut read, mut write) = stream.into_split();
    write.write_all(b"last words").await.unwrap();
    drop(write);
    assert_eq!(rest(&mut theirs).await.unwrap(), b"last words");
    theirs.write_all(b"heard").await.unwrap();
    theirs.shutdown().await.unwrap();
    assert_eq!(rest(&mut read).await.unwrap(), b"heard");

    let (a, b) = tokio::join!(client.connect(SERVER), listener.accept());
    let (a, b) = (a.unwrap(), b.unwrap().0);
    let (a_read, a_write) = a.into_split();
    let (b_read, b_write) = b.into_split();
    let error = a_read.reunite(b_write).unwrap_err();
    error.1.forget();
    assert_eq!(kind(b_read.try_read(&mut [0; 1])), ErrorKind::WouldBlock);
    a_write.forget();
    assert_eq!(
        kind(b_read.try_read(&mut [0; 1])),
        ErrorKind::WouldBlock,
        "no FIN: forgotten"
    );
}

#[tokio::test]
async fn chunks_come_without_a_copy_in_order() {
    let (client, server) = nets();
    let (mut ours, theirs, _listener) = connected(&client, &server).await;
    let text = crate::nets::pattern(500_000, 3);
    let sent = text.clone();
    let writer = tokio::spawn(async move {
        ours.write_all(&sent).await.unwrap();
        ours.shutdown().await.unwrap();
        ours
    });
    let mut got = Vec::new();
    loop {
        let chunk = theirs.read_chunk(40_000).await.unwrap();
        assert!(chunk.len() <= 40_000);
        if chunk.is_empty() {
            break;
        }
        got.extend_from_slice(&chunk);
    }
    assert!(got == text);
    writer.await.unwrap();
}

#[tokio::test]
async fn chunks_go_without_a_copy_in_order() {
    let (client, server) = nets();
    let (ours, mut theirs, _listener) = connected(&client, &server).await;
    let text = Bytes::from(crate::nets::pattern(3_000_000, 5));
    let sent = text.clone();
    let writer = tokio::spawn(async move {
        let (read, mut write) = ours.into_split();
        let mut rest = sent;
        for len in [1, 5, 100, 20_000, 3, 70_000, 200_000, 16_384, 16_383] {
            write.write_chunk(rest.split_to(len)).await.unwrap();
        }
        write.write_chunk(Bytes::new()).await.unwrap();
        write.write_chunk(rest).await.unwrap();
        write.shutdown().await.unwrap();
        let late = write.write_chunk(Bytes::from_static(b"late")).await;
        assert_eq!(
            late.map_err(|error| error.kind()),
            Err(ErrorKind::BrokenPipe)
        );
        drop(read);
    });
    let mut got = Vec::new();
    theirs.read_to_end(&mut got).await.unwrap();
    assert!(got == text);
    writer.await.unwrap();
}

#[tokio::test]
async fn what_is_written_by_reference_is_let_go_once_it_arrived() {
    let (client, server) = nets();
    let (ours, theirs, _listener) = connected(&client, &server).await;
    let mut rest = Bytes::from(vec![7; 64 << 20]);
    let all = rest.clone();
    let taken = ours.try_write_chunk(&mut rest).unwrap();
    assert!((16_384..all.len()).contains(&taken), "{taken}");
    assert_eq!(rest.len(), all.len() - taken);
    let full = ours
        .try_write_chunk(&mut rest)
        .map_err(|error| error.kind());
    assert_eq!(full, Err(ErrorKind::WouldBlock));
    drop((rest, all.clone()));
    assert!(!all.is_unique(), "the connection holds on to it");
    let mut read = 0;
    while read < taken {
        read += theirs.read_chunk(usize::MAX).await.unwrap().len();
    }
    timeout(Duration::from_secs(10), async {
        while !all.is_unique() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .expect("the connection lets go of it");
}

#[tokio::test]
async fn dropping_connect_gives_it_up() {
    let (client, server) = nets();
    // Nobody answers for this address, and nobody refuses.
    let attempt = timeout(Duration::from_millis(20), client.connect("10.0.0.77:9"));
    assert!(attempt.await.is_err());
    let open = client.connections();
    assert!(
        open.iter().all(|(_, state)| *state != State::SynSent),
        "{open:?}"
    );
    drop(server);
}

#[tokio::test]
async fn empty_reads_and_writes_do_not_wait() {
    let (client, server) = nets();
    let (mut ours, mut theirs, _listener) = connected(&client, &server).await;
    assert_eq!(theirs.read(&mut []).await.unwrap(), 0);
    assert_eq!(theirs.peek(&mut []).await.unwrap(), 0);
    assert_eq!(ours.write(&[]).await.unwrap(), 0);
    assert!(theirs.read_chunk(0).await.unwrap().is_empty());
}

#[tokio::test]
async fn connect_to_what_is_no_address() -> io::Result<()> {
    let (client, _server) = nets();
    for (to, expected) in [
        ("10.0.0.2:0", ErrorKind::InvalidInput),
        ("224.0.0.1:80", ErrorKind::InvalidInput),
        ("255.255.255.255:80", ErrorKind::InvalidInput),
        ("0.0.0.0:80", ErrorKind::InvalidInput),
        ("192.0.2.1:80", ErrorKind::NetworkUnreachable),
    ] {
        assert_eq!(kind(client.connect(to).await), expected, "{to}");
    }
    Ok(())
}
