//! Which net `connect` and `bind` mean.

use std::io::ErrorKind;

use woshou::{Net, TcpListener, TcpSocket, TcpStream};

use crate::nets::{SERVER, kind, nets};

/// One test, because the process-wide net is one for all tests; the others name their nets.
#[tokio::test]
async fn task_before_thread_before_process() {
    let error = TcpStream::connect(SERVER).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected);
    assert!(error.to_string().contains("Net::set_global"), "{error}");
    assert_eq!(
        kind(TcpListener::bind(SERVER).await),
        ErrorKind::NotConnected
    );

    let socket = TcpSocket::new_v6().unwrap();
    assert_eq!(kind(socket.listen(1)), ErrorKind::NotConnected);

    let (client, server) = nets();
    assert!(client.set_global().is_none());
    assert_eq!(
        kind(TcpListener::bind(SERVER).await),
        ErrorKind::AddrNotAvailable
    );
    let listener = {
        let _entered = server.enter();
        TcpListener::bind(SERVER).await.unwrap()
    };
    let (ours, theirs) = tokio::join!(TcpStream::connect(SERVER), listener.accept());
    assert_eq!(
        ours.unwrap().peer_addr().unwrap(),
        theirs.unwrap().0.local_addr().unwrap()
    );

    let _entered = client.enter();
    let other = server
        .scope(async { TcpListener::bind("10.0.0.2:0").await.unwrap() })
        .await;
    assert_ne!(other.local_addr().unwrap().port(), 0);
    assert!(Net::clear_global().is_some());
    assert!(Net::current().is_ok(), "entered still");
}
