//! `std`'s calls.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use woshou::Net;
use woshou::blocking::{TcpListener, TcpStream};
use woshou::link::MemoryOptions;
use woshou::link::memory::pair;

use crate::nets::{SERVER, addr, cidr, kind, pattern};

fn nets() -> (Net, Net) {
    let (a, b) = pair(MemoryOptions::default());
    let net = |device, address| {
        Net::builder()
            .device(Box::new(device), [cidr(address, 24)])
            .spawn_thread()
            .unwrap()
    };
    (net(a, "10.0.0.1"), net(b, "10.0.0.2"))
}

#[test]
fn threads_exchange_text() {
    let (client, server) = nets();
    let listener = TcpListener::bind_on(&server, SERVER).unwrap();
    let serve = thread::spawn(move || {
        for stream in listener.incoming().take(2) {
            let mut stream = stream.unwrap();
            let mut text = Vec::new();
            stream.read_to_end(&mut text).unwrap();
            stream.write_all(&text).unwrap();
        }
    });
    for salt in [1, 2] {
        let mut stream = TcpStream::connect_on(&client, SERVER).unwrap();
        let text = pattern(900_000, salt);
        stream.write_all(&text).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(kind(stream.write(b"x")), ErrorKind::BrokenPipe);
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        assert!(back == text);
    }
    serve.join().unwrap();
}

#[test]
fn timeouts_nonblocking_and_shutdown_of_reading() {
    let (client, server) = nets();
    let listener = TcpListener::bind_on(&server, SERVER).unwrap();
    listener.set_nonblocking(true).unwrap();
    assert_eq!(kind(listener.accept()), ErrorKind::WouldBlock);
    listener.set_nonblocking(false).unwrap();
    let mut stream = TcpStream::connect_on(&client, SERVER).unwrap();
    let (mut theirs, peer) = listener.accept().unwrap();
    assert_eq!(peer, stream.local_addr().unwrap());

    assert_eq!(
        kind(stream.set_read_timeout(Some(Duration::ZERO))),
        ErrorKind::InvalidInput
    );
    stream
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let start = Instant::now();
    assert_eq!(kind(stream.read(&mut [0; 1])), ErrorKind::WouldBlock);
    assert!(start.elapsed() >= Duration::from_millis(20));
    stream.set_read_timeout(None).unwrap();
    stream.set_nonblocking(true).unwrap();
    assert_eq!(kind(stream.peek(&mut [0; 1])), ErrorKind::WouldBlock);
    stream.set_nonblocking(false).unwrap();

    theirs.write_all(b"ab").unwrap();
    let mut two = [0; 2];
    assert!(stream.peek(&mut two).unwrap() > 0);
    stream.read_exact(&mut two).unwrap();
    assert_eq!(&two, b"ab");

    let mut other = stream.try_clone().unwrap();
    let reader = thread::spawn(move || other.read(&mut [0; 1]).unwrap());
    thread::sleep(Duration::from_millis(20));
    stream.shutdown(Shutdown::Read).unwrap();
    assert_eq!(reader.join().unwrap(), 0);

    let refused = TcpStream::connect_on(&client, "10.0.0.2:81");
    assert_eq!(kind(refused), ErrorKind::ConnectionRefused);
    let _entered = client.enter();
    let silent = TcpStream::connect_timeout(&addr("10.0.0.77:1"), Duration::from_millis(30));
    assert_eq!(kind(silent), ErrorKind::TimedOut);
}
