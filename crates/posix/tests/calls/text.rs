//! read and write in all their forms.

use std::time::Duration;

use woshou_posix::constants::*;
use woshou_posix::{
    Buffer, BufferMut, Errno, Ioctl, Message, Opt, Received, Stop, Value, Wait, WaitFor,
};

use crate::pair::{Pair, fails, text};

#[test]
fn every_form_of_writing_and_reading() {
    let mut pair = Pair::new();
    let (client, server, _) = pair.connected();
    let now = pair.now;
    let host = &mut pair.hosts[0];
    assert_eq!(host.write(now, client, b"write "), Ok(6));
    let pieces = [
        Buffer::Octets(b"wri"),
        Buffer::Octets(b""),
        Buffer::Octets(b"tev "),
    ];
    assert_eq!(host.writev(now, client, &pieces), Ok(7));
    let flags = MSG_NOSIGNAL | MSG_DONTWAIT | MSG_EOR | MSG_ZEROCOPY;
    assert_eq!(host.send(now, client, b"send ", flags), Ok(5));
    let elsewhere = Some("192.0.2.1:9".parse().unwrap());
    assert_eq!(
        host.sendto(now, client, (b"sendto ", 0), elsewhere),
        Ok(7),
        "whom is fixed"
    );
    let message = Message {
        pieces: &[Buffer::Octets(b"sendmsg")],
        ..Message::default()
    };
    assert_eq!(host.sendmsg(now, client, &message), Ok(7));
    assert_eq!(host.write(now, client, b""), Ok(0));
    pair.run(300);

    let now = pair.now;
    let host = &mut pair.hosts[1];
    let mut into = [0; 6];
    assert_eq!(host.ioctl(server, Ioctl::InQueue), Ok(32));
    assert_eq!(host.recv(now, server, &mut into, MSG_PEEK), Ok(6));
    assert_eq!(host.read(now, server, &mut into), Ok(6));
    assert_eq!(&into, b"write ");
    let (mut one, mut two) = ([0; 3], [0; 4]);
    let mut pieces = [BufferMut::Octets(&mut one), BufferMut::Octets(&mut two)];
    let received = host.recvmsg(now, server, &mut pieces, MSG_PEEK).unwrap();
    assert_eq!((received.octets, &one, &two), (7, b"wri", b"tev "));
    let mut pieces = [BufferMut::Octets(&mut one), BufferMut::Octets(&mut two)];
    assert_eq!(host.readv(now, server, &mut pieces), Ok(7));
    assert_eq!((&one, &two), (b"wri", b"tev "));
    let mut into = [7; 5];
    assert_eq!(
        host.recv(now, server, &mut into, MSG_TRUNC | MSG_PEEK),
        Ok(5)
    );
    assert_eq!(host.recv(now, server, &mut into, MSG_TRUNC), Ok(5));
    assert_eq!(into, [7; 5], "thrown away, not copied");
    assert_eq!(host.recvfrom(now, server, &mut [0; 7], 0), Ok((7, None)));
    assert_eq!(
        host.recv(now, server, &mut [0; 99], 0),
        Ok(7),
        "what there is"
    );
    assert_eq!(host.ioctl(server, Ioctl::InQueue), Ok(0));
}

#[test]
fn addresses_that_cannot_be_used() {
    let mut pair = Pair::new();
    let (client, server, _) = pair.connected();
    let now = pair.now;
    let host = &mut pair.hosts[0];
    assert_eq!(
        host.writev(now, client, &[Buffer::Invalid(10)]),
        fails(Errno::EFAULT)
    );
    let mixed = [Buffer::Octets(b"abc"), Buffer::Invalid(10)];
    assert_eq!(
        host.writev(now, client, &mixed),
        fails(Errno::EFAULT),
        "and nothing is sent"
    );
    assert_eq!(host.writev(now, client, &[Buffer::Invalid(0)]), Ok(0));
    assert_eq!(host.write(now, client, b"hello"), Ok(5));
    let server_now = now + Duration::from_millis(50);
    pair.run(50);
    let host = &mut pair.hosts[1];
    let null = |len| [BufferMut::Invalid(len)];
    assert_eq!(
        host.readv(server_now, server, &mut null(10)),
        fails(Errno::EFAULT)
    );
    assert_eq!(
        host.recvmsg(server_now, server, &mut null(10), MSG_PEEK),
        fails(Errno::EFAULT)
    );
    let mut some = [0; 2];
    let mut mixed = [BufferMut::Octets(&mut some), BufferMut::Invalid(10)];
    assert_eq!(
        host.recvmsg(server_now, server, &mut mixed, MSG_PEEK)
            .unwrap()
            .octets,
        2
    );
    let mut mixed = [BufferMut::Octets(&mut some), BufferMut::Invalid(10)];
    assert_eq!(host.readv(server_now, server, &mut mixed), Ok(2));
    let thrown = host.recvmsg(server_now, server, &mut null(2), MSG_TRUNC);
    assert_eq!(
        thrown.unwrap().octets,
        2,
        "NULL is no matter where nothing is copied"
    );
    assert_eq!(host.read(server_now, server, &mut some), Ok(1));
    assert_eq!(host.readv(server_now, server, &mut null(0)), Ok(0));
}

#[test]
fn nothing_to_read() {
    let mut pair = Pair::new();
    let (_, server, listener) = pair.connected();
    let idle = pair.socket(1, false);
    let epoll = pair.hosts[1].epoll_create(1).unwrap();
    let now = pair.now;
    let host = &mut pair.hosts[1];
    let mut into = [0; 9];
    assert_eq!(
        host.recv(now, server, &mut into, MSG_DONTWAIT),
        fails(Errno::EAGAIN)
    );
    assert_eq!(
        host.recv(now, server, &mut into, MSG_ERRQUEUE),
        fails(Errno::EAGAIN)
    );
    assert_eq!(host.recv(now, server, &mut [], 0), Ok(0));
    assert_eq!(
        host.recv(now, server, &mut into, MSG_OOB),
        fails(Errno::EINVAL)
    );
    assert_eq!(host.recv(now, idle, &mut into, 0), fails(Errno::ENOTCONN));
    assert_eq!(
        host.recv(now, listener, &mut into, 0),
        fails(Errno::ENOTCONN)
    );
    assert_eq!(host.recv(now, 99, &mut into, 0), fails(Errno::EBADF));
    assert_eq!(host.recv(now, epoll, &mut into, 0), fails(Errno::ENOTSOCK));
    assert_eq!(host.read(now, epoll, &mut into), fails(Errno::EINVAL));
    let wait = |until| WaitFor {
        fd: server,
        what: Wait::Readable(1),
        done: 0,
        until,
    };
    assert_eq!(
        host.read(now, server, &mut into),
        Err(Stop::Blocked(wait(None)))
    );
    let timeout = Duration::from_millis(30);
    host.setsockopt(now, server, Opt::SO_RCVTIMEO, &Value::Time(timeout))
        .unwrap();
    let wait = wait(Some(now + timeout));
    assert_eq!(host.read(now, server, &mut into), Err(Stop::Blocked(wait)));
    assert_eq!(pair.read(1, server, 9), fails(Errno::EAGAIN));
    assert_eq!(pair.now, now + timeout);
}

#[test]
fn reading_waits_for_the_low_water_mark() {
    let mut pair = Pair::new();
    let (client, server, _) = pair.connected();
    pair.hosts[1]
        .setsockopt(pair.now, server, Opt::SO_RCVLOWAT, &Value::Int(10))
        .unwrap();
    pair.hosts[0].write(pair.now, client, b"1234").unwrap();
    pair.run(50);
    let Err(Stop::Blocked(wait)) = pair.hosts[1].read(pair.now, server, &mut [0; 20]) else {
        panic!("four octets are not ten");
    };
    assert_eq!(wait.what, Wait::Readable(10));
    assert!(!pair.hosts[1].is_over(&wait) && pair.hosts[1].readiness(server) & POLLIN == 0);
    let peek = pair.hosts[1].recv(pair.now, server, &mut [0; 20], MSG_PEEK);
    assert!(
        matches!(peek, Err(Stop::Blocked(_))),
        "looking waits as well"
    );
    let dont_wait = MSG_PEEK | MSG_DONTWAIT;
    let peek = pair.hosts[1].recv(pair.now, server, &mut [0; 20], dont_wait);
    assert_eq!(peek, Ok(4));
    // Less is asked for than the mark: that is enough.
    assert_eq!(
        pair.hosts[1].recv(pair.now, server, &mut [0; 4], MSG_PEEK),
        Ok(4)
    );
    pair.hosts[0].write(pair.now, client, b"567890").unwrap();
    pair.run(50);
    assert!(pair.hosts[1].is_over(&wait) && pair.hosts[1].readiness(server) & POLLIN != 0);
    assert_eq!(pair.hosts[1].read(pair.now, server, &mut [0; 20]), Ok(10));
    pair.hosts[0].write(pair.now, client, b"end").unwrap();
    pair.hosts[0].shutdown(pair.now, client, SHUT_WR).unwrap();
    pair.run(50);
    assert_eq!(
        pair.hosts[1].read(pair.now, server, &mut [0; 20]),
        Ok(3),
        "there is no more"
    );
}

#[test]
fn a_blocking_write_takes_everything() {
    let mut pair = Pair::new();
    let (client, server, _) = pair.connected();
    let size = Value::Int(10_000);
    pair.hosts[0]
        .setsockopt(pair.now, client, Opt::SO_SNDBUF, &size)
        .unwrap();
    let long = text(200_000);
    let Err(Stop::Blocked(wait)) = pair.hosts[0].write(pair.now, client, &long) else {
        panic!("there is room for 20,000 octets only");
    };
    assert_eq!((wait.what, wait.done), (Wait::Writable, 20_000));
    assert_eq!(
        pair.hosts[0].give_up(&wait),
        Ok(20_000),
        "what was sent until time is up"
    );
    let pieces = [Buffer::Octets(&long[..77]), Buffer::Octets(&long[77..])];
    let mut done = wait.done;
    let mut got = Vec::new();
    loop {
        let mut into = vec![0; 70_000];
        while let Ok(octets) = pair.hosts[1].recv(pair.now, server, &mut into, MSG_DONTWAIT) {
            got.extend_from_slice(&into[..octets]);
        }
        let message = Message {
            pieces: &pieces,
            done,
            ..Message::default()
        };
        match pair.hosts[0].sendmsg(pair.now, client, &message) {
            Ok(sent) => {
                assert_eq!(sent, long.len());
                break;
            }
            Err(Stop::Blocked(wait)) => {
                assert!(wait.done >= done);
                done = wait.done;
                assert!(pair.wait(0, &wait));
            }
            Err(stop) => panic!("{stop}"),
        }
    }
    pair.run(500);
    let mut into = vec![0; 70_000];
    while let Ok(octets) = pair.hosts[1].recv(pair.now, server, &mut into, MSG_DONTWAIT) {
        got.extend_from_slice(&into[..octets]);
    }
    assert!(got == long, "each octet once, in order");
}

#[test]
fn a_write_that_does_not_wait_takes_what_fits() {
    let mut pair = Pair::new();
    let (client, server, _) = pair.connected();
    pair.hosts[0]
        .setsockopt(pair.now, client, Opt::SO_SNDBUF, &Value::Int(10_000))
        .unwrap();
    let long = text(50_000);
    let dont_wait = pair.hosts[0].send(pair.now, client, &long, MSG_DONTWAIT);
    assert_eq!(dont_wait, Ok(20_000));
    pair.nonblocking(0, client);
    assert_eq!(
        pair.hosts[0].write(pair.now, client, &long),
        fails(Errno::EAGAIN)
    );
    assert_eq!(pair.hosts[0].ioctl(client, Ioctl::OutQueue), Ok(20_000));
    assert_eq!(pair.hosts[0].ioctl(client, Ioctl::NotSent), Ok(20_000));
    pair.cut = true;
    pair.run(1);
    let not_sent = pair.hosts[0].ioctl(client, Ioctl::NotSent).unwrap();
    assert!(
        not_sent > 0 && not_sent < 20_000,
        "a window's worth is sent: {not_sent}"
    );
    pair.cut = false;
    pair.run(2000);
    assert_eq!(pair.hosts[0].ioctl(client, Ioctl::OutQueue), Ok(0));
    assert_eq!(pair.hosts[1].ioctl(server, Ioctl::InQueue), Ok(20_000));
    pair.hosts[0].shutdown(pair.now, client, SHUT_WR).unwrap();
    assert_eq!(
        pair.hosts[0].ioctl(client, Ioctl::OutQueue),
        Ok(1),
        "the FIN"
    );
    pair.run(20);
    assert_eq!(pair.hosts[0].ioctl(client, Ioctl::OutQueue), Ok(0));
}

#[test]
fn writing_where_it_cannot_be() {
    let unsupported = |name: &str| Err(Stop::Unsupported(name.to_owned()));
    for (mut pair, expected) in [
        (Pair::new(), Errno::EPIPE),
        (Pair::freebsd(), Errno::ENOTCONN),
    ] {
        let (client, _, listener) = pair.connected();
        let idle = pair.socket(1, false);
        let now = pair.now;
        assert_eq!(
            pair.hosts[0].send(now, client, b"x", MSG_FASTOPEN),
            unsupported("MSG_FASTOPEN")
        );
        let host = &mut pair.hosts[1];
        assert_eq!(host.send(now, idle, b"x", 0), fails(expected));
        assert_eq!(host.send(now, listener, b"x", 0), fails(expected));
        assert_eq!(host.send(now, 99, b"x", 0), fails(Errno::EBADF));
    }
    // While opening: wait, or EAGAIN.
    let mut pair = Pair::new();
    pair.listener("10.0.0.2:80");
    let fd = pair.socket(0, false);
    pair.nonblocking(0, fd);
    let to = Some("10.0.0.2:80".parse().unwrap());
    pair.hosts[0].connect(pair.now, fd, to).unwrap_err();
    assert_eq!(
        pair.hosts[0].send(pair.now, fd, b"x", 0),
        fails(Errno::EAGAIN)
    );
    assert_eq!(
        pair.hosts[0].recv(pair.now, fd, &mut [0; 1], 0),
        fails(Errno::EAGAIN)
    );
    pair.hosts[0].ioctl(fd, Ioctl::NonBlocking(false)).unwrap();
    assert_eq!(pair.write(0, fd, b"x"), Ok(1), "waits for the handshake");
}

#[test]
fn unsent_text_is_limited() {
    let mut pair = Pair::new();
    let (client, _, _) = pair.connected();
    pair.nonblocking(0, client);
    pair.hosts[0]
        .setsockopt(pair.now, client, Opt::TCP_NOTSENT_LOWAT, &Value::Int(8000))
        .unwrap();
    // As nothing leaves before the runner lets it, all of it is unsent.
    let taken = pair.hosts[0]
        .write(pair.now, client, &text(100_000))
        .unwrap();
    assert!((8000..8000 + 1448).contains(&taken), "{taken}");
    assert_eq!(pair.hosts[0].readiness(client) & POLLOUT, 0);
    assert_eq!(
        pair.hosts[0].write(pair.now, client, &text(10)),
        fails(Errno::EAGAIN)
    );
    pair.run(1);
    assert_ne!(
        pair.hosts[0].readiness(client) & POLLOUT,
        0,
        "sent, though not acknowledged"
    );
    let low = pair.hosts[0].getsockopt(pair.now, client, Opt::TCP_NOTSENT_LOWAT);
    assert_eq!(low, Ok(Value::Int(8000)));
}

#[test]
fn more_and_cork_hold_small_segments() {
    // How the text is written, and how many segments with text it leaves in at once.
    for cork in [false, true] {
        let mut pair = Pair::new();
        let (client, server, _) = pair.connected();
        pair.hosts[0]
            .setsockopt(pair.now, client, Opt::TCP_NODELAY, &Value::Int(1))
            .unwrap();
        let set = |pair: &mut Pair, on| {
            pair.hosts[0]
                .setsockopt(pair.now, client, Opt::TCP_CORK, &Value::Int(on))
                .unwrap();
        };
        let readable = |pair: &Pair| pair.hosts[1].connection(server).unwrap().readable();
        let flags = if cork { 0 } else { MSG_MORE };
        if cork {
            set(&mut pair, 1);
        }
        assert_eq!(
            pair.hosts[0].send(pair.now, client, &text(2000), flags),
            Ok(2000)
        );
        pair.run(50);
        let whole = readable(&pair);
        assert_eq!(whole, 1448, "a whole segment went, the rest waits");
        if cork {
            set(&mut pair, 0);
        } else {
            pair.hosts[0].send(pair.now, client, b"x", 0).unwrap();
        }
        pair.run(20);
        assert_eq!(readable(&pair), 2000 + usize::from(!cork));
        // Nobody takes the cork out: time does.
        if cork {
            set(&mut pair, 1);
        }
        pair.hosts[0]
            .send(pair.now, client, b"late", flags)
            .unwrap();
        pair.run(150);
        assert_eq!(readable(&pair), 2000 + usize::from(!cork));
        pair.run(150);
        assert_eq!(readable(&pair), 2004 + usize::from(!cork));
    }
}

#[test]
fn inq_tells_what_is_left() {
    let mut pair = Pair::new();
    let (client, server, _) = pair.connected();
    pair.hosts[0]
        .write(pair.now, client, b"0123456789")
        .unwrap();
    pair.run(50);
    let now = pair.now;
    let host = &mut pair.hosts[1];
    assert_eq!(
        host.setsockopt(now, server, Opt::TCP_INQ, &Value::Int(2)),
        fails(Errno::EINVAL)
    );
    host.setsockopt(now, server, Opt::TCP_INQ, &Value::Int(1))
        .unwrap();
    let mut into = [0; 4];
    let received = host.recvmsg(now, server, &mut [BufferMut::Octets(&mut into)], 0);
    let expected = Received {
        octets: 4,
        flags: 0,
        inq: Some(6),
    };
    assert_eq!(received, Ok(expected));
}

/// The octet that MSG_OOB reads is the one, and the rest has it not.
#[test]
fn urgent_octets() {
    for (mut pair, rest) in [
        (Pair::new(), &b"abCdef"[..]),
        (Pair::freebsd(), &b"abdef"[..]),
    ] {
        let (client, server, _) = pair.connected();
        let send = |pair: &mut Pair, octets: &[u8], flags| {
            let now = pair.now;
            assert_eq!(
                pair.hosts[0].send(now, client, octets, flags),
                Ok(octets.len())
            );
            pair.run(300);
        };
        send(&mut pair, b"abC", MSG_OOB);
        send(&mut pair, b"defG", MSG_OOB);
        send(&mut pair, b"hi", 0);
        let now = pair.now;
        let host = &mut pair.hosts[1];
        let mut into = [0; 20];
        assert_eq!(host.recv(now, server, &mut into, MSG_OOB), Ok(1));
        assert_eq!(into[0], b'G');
        let most = host.recv(now, server, &mut into, 0).unwrap();
        assert_eq!(&into[..most], rest);
        assert_eq!(host.ioctl(server, Ioctl::AtMark), Ok(1));
        let most = host.recv(now, server, &mut into, 0).unwrap();
        assert_eq!(&into[..most], b"hi");
        assert_eq!(host.ioctl(server, Ioctl::AtMark), Ok(0));

        let on = Value::Int(1);
        host.setsockopt(now, server, Opt::SO_OOBINLINE, &on)
            .unwrap();
        send(&mut pair, b"jK", MSG_OOB);
        send(&mut pair, b"l", 0);
        let now = pair.now;
        let host = &mut pair.hosts[1];
        assert_eq!(
            host.recv(now, server, &mut into, MSG_OOB),
            fails(Errno::EINVAL)
        );
        assert_eq!(host.recv(now, server, &mut into, 0), Ok(1));
        assert_eq!(host.ioctl(server, Ioctl::AtMark), Ok(1));
        assert_eq!(host.recv(now, server, &mut into, 0), Ok(2));
        assert_eq!(&into[..2], b"Kl");
    }
}
