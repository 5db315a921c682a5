//! How connections end: shutdown, close, linger, resets, time-outs, and what each call says after it.

use std::time::Duration;

use woshou_posix::constants::*;
use woshou_posix::{Errno, Ioctl, Opt, Stop, Value, Wait};
use woshou_tcp::State;

use crate::pair::{Pair, fails, tcp, text};

const RST: u8 = 4;
const FIN: u8 = 1;

fn state(pair: &Pair, side: usize, fd: i32) -> State {
    let id = pair.hosts[side].connection_id(fd).unwrap();
    pair.hosts[side].stack.state(id)
}

#[test]
fn the_peer_closes() {
    let mut pair = Pair::new();
    let (client, server, _) = pair.connected();
    pair.hosts[1].write(pair.now, server, b"bye").unwrap();
    pair.close(1, server).unwrap();
    pair.run(20);
    assert_eq!(state(&pair, 0, client), State::CloseWait);
    let mut into = [0; 9];
    assert_eq!(pair.hosts[0].read(pair.now, client, &mut into), Ok(3));
    assert_eq!(pair.hosts[0].read(pair.now, client, &mut into), Ok(0));
    assert_eq!(
        pair.hosts[0].recv(pair.now, client, &mut into, MSG_DONTWAIT),
        Ok(0),
        "again"
    );
    // Nobody reads it: RST, and in CLOSE-WAIT that is EPIPE.
    assert_eq!(pair.hosts[0].write(pair.now, client, b"anyone?"), Ok(7));
    pair.run(20);
    assert_eq!(
        pair.hosts[0].read(pair.now, client, &mut into),
        Ok(0),
        "the FIN came first"
    );
    let error = pair.hosts[0].getsockopt(pair.now, client, Opt::SO_ERROR);
    assert_eq!(error, Ok(Value::Int(32)));
    assert_eq!(
        pair.hosts[0].write(pair.now, client, b"x"),
        fails(Errno::EPIPE)
    );
}

#[test]
fn a_reset_is_told_once() {
    type Call = fn(&mut Pair, i32) -> Result<usize, Stop>;
    /// A name, whether FreeBSD, and calls with their results.
    type Case<'a> = (&'a str, bool, &'a [(Call, Result<usize, Stop>)]);
    let read: Call = |pair, fd| pair.hosts[0].recv(pair.now, fd, &mut [0; 9], 0);
    let write: Call = |pair, fd| pair.hosts[0].send(pair.now, fd, b"x", 0);
    let reset = fails(Errno::ECONNRESET);
    let pipe = fails(Errno::EPIPE);
    #[rustfmt::skip]
    let cases: [Case<'_>; 6] = [
        ("read", false, &[(read, reset.clone()), (read, Ok(0)), (write, pipe.clone())]),
        ("write", false, &[(write, reset.clone()), (write, pipe.clone()), (read, Ok(0))]),
        ("read, write", false, &[(read, reset.clone()), (write, pipe.clone()), (read, Ok(0))]),
        ("FreeBSD reads", true, &[(read, reset.clone()), (read, Ok(0)), (write, pipe.clone())]),
        ("FreeBSD writes", true, &[(write, pipe.clone()), (write, pipe.clone()), (read, reset.clone()), (read, Ok(0))]),
        ("text first", false, &[(write, reset), (write, pipe)]),
    ];
    for (name, freebsd, calls) in cases {
        let mut pair = if freebsd {
            Pair::freebsd()
        } else {
            Pair::new()
        };
        let (client, server, _) = pair.connected();
        pair.reset(1, server);
        for (at, (call, expected)) in calls.iter().enumerate() {
            assert_eq!(call(&mut pair, client), *expected, "{name}, call {at}");
        }
        assert_eq!(
            pair.hosts[0].getpeername(client),
            fails(Errno::ENOTCONN),
            "{name}"
        );
    }
}

#[test]
fn text_before_a_reset_is_read_first() {
    let mut pair = Pair::new();
    let (client, server, _) = pair.connected();
    pair.hosts[1]
        .write(pair.now, server, b"last words")
        .unwrap();
    pair.run(20);
    pair.reset(1, server);
    let mut into = [0; 20];
    assert_eq!(pair.hosts[0].read(pair.now, client, &mut into), Ok(10));
    assert_eq!(
        pair.hosts[0].read(pair.now, client, &mut into),
        fails(Errno::ECONNRESET)
    );
    assert_eq!(pair.hosts[0].read(pair.now, client, &mut into), Ok(0));
}

#[test]
fn so_error_is_read_and_cleared() {
    for (mut pair, number) in [(Pair::new(), 104), (Pair::freebsd(), 54)] {
        let (client, server, _) = pair.connected();
        pair.reset(1, server);
        assert_eq!(pair.hosts[0].pending_error(client), Some(Errno::ECONNRESET));
        for expected in [number, 0] {
            let error = pair.hosts[0].getsockopt(pair.now, client, Opt::SO_ERROR);
            assert_eq!(error, Ok(Value::Int(expected)));
        }
        assert_eq!(pair.hosts[0].recv(pair.now, client, &mut [0; 9], 0), Ok(0));
        let set = pair.hosts[0].setsockopt(pair.now, client, Opt::SO_ERROR, &Value::Int(0));
        assert_eq!(set, fails(Errno::ENOPROTOOPT));
    }
}

#[test]
fn a_blocked_reader_and_writer_learn_of_a_reset() {
    let mut pair = Pair::new();
    let (client, server, _) = pair.connected();
    let Err(Stop::Blocked(wait)) = pair.hosts[0].read(pair.now, client, &mut [0; 9]) else {
        panic!("there is nothing");
    };
    assert!(!pair.hosts[0].is_over(&wait));
    pair.reset(1, server);
    assert!(pair.hosts[0].is_over(&wait));
    assert_eq!(pair.read(0, client, 9), fails(Errno::ECONNRESET));

    let mut pair = Pair::new();
    let (client, server, _) = pair.connected();
    pair.hosts[0]
        .setsockopt(pair.now, client, Opt::SO_SNDBUF, &Value::Int(10_000))
        .unwrap();
    let long = text(1 << 20);
    let Err(Stop::Blocked(wait)) = pair.hosts[0].write(pair.now, client, &long) else {
        panic!("there is no room for all of it");
    };
    pair.reset(1, server);
    assert!(pair.hosts[0].is_over(&wait));
    let pieces = [woshou_posix::Buffer::Octets(&long)];
    let rest = woshou_posix::Message {
        pieces: &pieces,
        done: wait.done,
        ..Default::default()
    };
    assert_eq!(
        pair.hosts[0].sendmsg(pair.now, client, &rest),
        Ok(wait.done),
        "what was taken"
    );
    assert_eq!(
        pair.hosts[0].write(pair.now, client, b"x"),
        fails(Errno::ECONNRESET)
    );
    assert_eq!(
        pair.hosts[0].write(pair.now, client, b"x"),
        fails(Errno::EPIPE)
    );
}

#[test]
fn silence_is_a_timeout() {
    let mut pair = Pair::new();
    let (client, _, _) = pair.connected();
    pair.hosts[0]
        .setsockopt(pair.now, client, Opt::TCP_USER_TIMEOUT, &Value::Int(3000))
        .unwrap();
    pair.hosts[0].write(pair.now, client, b"x").unwrap();
    pair.cut = true;
    pair.run(1);
    let began = pair.now;
    assert_eq!(pair.read(0, client, 9), fails(Errno::ETIMEDOUT));
    assert!(pair.now.since(began) >= Duration::from_millis(2990));
    assert!(pair.now.since(began) <= Duration::from_millis(3010));
    assert_eq!(pair.hosts[0].recv(pair.now, client, &mut [0; 9], 0), Ok(0));
}

#[test]
fn keep_alive_finds_a_dead_peer() {
    let mut pair = Pair::new();
    let (client, _, _) = pair.connected();
    for (option, value) in [
        (Opt::SO_KEEPALIVE, 1),
        (Opt::TCP_KEEPIDLE, 10),
        (Opt::TCP_KEEPINTVL, 2),
        (Opt::TCP_KEEPCNT, 3),
    ] {
        pair.hosts[0]
            .setsockopt(pair.now, client, option, &Value::Int(value))
            .unwrap();
        assert_eq!(
            pair.hosts[0].getsockopt(pair.now, client, option),
            Ok(Value::Int(value))
        );
    }
    let began = pair.now;
    pair.cut = true;
    assert_eq!(pair.read(0, client, 9), fails(Errno::ETIMEDOUT));
    assert_eq!(
        pair.now.since(began).as_secs(),
        16,
        "10 s, then three probes of 2 s"
    );
}

#[test]
fn shutdown_of_each_direction() {
    for mut pair in [Pair::new(), Pair::freebsd()] {
        let (client, server, _) = pair.connected();
        let idle = pair.socket(0, false);
        let now = pair.now;
        assert_eq!(pair.hosts[0].shutdown(now, client, 3), fails(Errno::EINVAL));
        assert_eq!(
            pair.hosts[0].shutdown(now, 99, SHUT_RD),
            fails(Errno::EBADF)
        );
        assert_eq!(
            pair.hosts[0].shutdown(now, idle, SHUT_RD),
            fails(Errno::ENOTCONN)
        );

        assert_eq!(pair.hosts[0].shutdown(now, client, SHUT_WR), Ok(()));
        assert_eq!(
            pair.hosts[0].shutdown(now, client, SHUT_WR),
            Ok(()),
            "twice"
        );
        assert_eq!(pair.hosts[0].write(now, client, b"x"), fails(Errno::EPIPE));
        pair.run(20);
        assert_eq!(state(&pair, 0, client), State::FinWait2);
        assert_eq!(pair.hosts[1].write(pair.now, server, b"still"), Ok(5));
        pair.run(20);
        assert_eq!(pair.hosts[0].recv(pair.now, client, &mut [0; 9], 0), Ok(5));

        assert_eq!(pair.hosts[0].shutdown(pair.now, client, SHUT_RD), Ok(()));
        assert_eq!(pair.hosts[0].recv(pair.now, client, &mut [0; 9], 0), Ok(0));
        pair.hosts[1].shutdown(pair.now, server, SHUT_RDWR).unwrap();
        pair.run(20);
        assert_eq!(
            pair.hosts[0].shutdown(pair.now, client, SHUT_RDWR),
            fails(Errno::ENOTCONN)
        );
    }
}

#[test]
fn shutdown_before_connect() {
    // Linux remembers it although it fails; FreeBSD does not.
    for (mut pair, expected) in [
        (Pair::new(), Ok(0)),
        (Pair::freebsd(), fails(Errno::EAGAIN)),
    ] {
        pair.listener("10.0.0.2:80");
        let fd = pair.socket(0, false);
        let early = pair.hosts[0].shutdown(pair.now, fd, SHUT_RD);
        assert_eq!(early, fails(Errno::ENOTCONN));
        pair.connect(fd, "10.0.0.2:80").unwrap();
        let read = pair.hosts[0].recv(pair.now, fd, &mut [0; 9], MSG_DONTWAIT);
        assert_eq!(read, expected);
    }
}

#[test]
fn text_after_the_reading_side_is_shut() {
    // Whether the writing side is shut too, and what a read gives when text comes after that.
    for (freebsd, both, expected) in [
        (false, false, Ok(4)),
        (true, false, Ok(0)),
        (false, true, fails(Errno::ECONNRESET)),
        (true, true, Ok(0)),
    ] {
        let mut pair = if freebsd {
            Pair::freebsd()
        } else {
            Pair::new()
        };
        let (client, server, _) = pair.connected();
        let how = if both { SHUT_RDWR } else { SHUT_RD };
        pair.hosts[0].shutdown(pair.now, client, how).unwrap();
        pair.run(100);
        pair.hosts[1].write(pair.now, server, b"late").unwrap();
        pair.run(100);
        let got = pair.hosts[0].recv(pair.now, client, &mut [0; 9], 0);
        assert_eq!(got, expected, "FreeBSD: {freebsd}, both: {both}");
        let reset = pair.flags[0].last().unwrap() & RST != 0;
        assert_eq!(reset, both && !freebsd);
    }
}

#[test]
fn shutdown_of_those_without_a_connection() {
    let mut pair = Pair::new();
    let listener = pair.listener("10.0.0.2:80");
    assert_eq!(
        pair.hosts[1].shutdown(pair.now, listener, SHUT_WR),
        Ok(()),
        "no matter"
    );
    let client = pair.socket(0, false);
    assert_eq!(pair.connect(client, "10.0.0.2:80"), Ok(()));
    assert_eq!(pair.hosts[1].shutdown(pair.now, listener, SHUT_RD), Ok(()));
    assert_eq!(
        pair.hosts[1].accept(pair.now, listener),
        fails(Errno::EINVAL)
    );
    pair.run(20);
    let reset = pair.hosts[0].recv(pair.now, client, &mut [0; 9], 0);
    assert_eq!(reset, fails(Errno::ECONNRESET), "it waited to be accepted");
    assert_eq!(
        pair.hosts[1].listen(listener, 5),
        Ok(()),
        "where it was bound"
    );
    // While opening, the attempt ends.
    let opening = pair.socket(0, false);
    pair.nonblocking(0, opening);
    pair.cut = true;
    let to = Some("10.0.0.2:80".parse().unwrap());
    pair.hosts[0].connect(pair.now, opening, to).unwrap_err();
    pair.run(10);
    assert_eq!(pair.hosts[0].shutdown(pair.now, opening, SHUT_RDWR), Ok(()));
    let error = pair.hosts[0].getsockopt(pair.now, opening, Opt::SO_ERROR);
    assert_eq!(error, Ok(Value::Int(104)));
    assert_eq!(
        pair.hosts[0].shutdown(pair.now, opening, SHUT_RDWR),
        fails(Errno::ENOTCONN)
    );
}

#[test]
fn close_in_order() {
    let mut pair = Pair::new();
    let (client, server, listener) = pair.connected();
    pair.hosts[0].write(pair.now, client, b"last").unwrap();
    assert_eq!(pair.hosts[0].close(pair.now, client), Ok(()));
    assert_eq!(
        pair.hosts[0].recv(pair.now, client, &mut [0; 9], 0),
        fails(Errno::EBADF)
    );
    pair.run(20);
    assert_eq!(pair.read(1, server, 9), Ok(b"last".to_vec()));
    assert_eq!(pair.read(1, server, 9), Ok(vec![]));
    assert_eq!(pair.hosts[1].close(pair.now, server), Ok(()));
    pair.run(100);
    assert_eq!(pair.hosts[1].stack.connections().len(), 0);
    assert_eq!(pair.hosts[0].stack.connections()[0].1, State::TimeWait);
    assert!(pair.flags.iter().flatten().all(|flags| flags & RST == 0));
    assert_eq!(pair.hosts[1].close(pair.now, listener), Ok(()));
    let late = pair.socket(0, false);
    assert_eq!(
        pair.connect(late, "10.0.0.2:8080"),
        fails(Errno::ECONNREFUSED)
    );
}

#[test]
fn close_with_text_unread() {
    // Linux tells the peer by RST that it is lost, FreeBSD does not.
    for (mut pair, resets) in [(Pair::new(), true), (Pair::freebsd(), false)] {
        let (client, server, _) = pair.connected();
        pair.hosts[0].write(pair.now, client, b"unread").unwrap();
        pair.run(100);
        pair.hosts[1].close(pair.now, server).unwrap();
        pair.run(20);
        let last = *pair.flags[1].last().unwrap();
        assert_eq!((last & RST != 0, last & FIN != 0), (resets, !resets));
        let read = pair.hosts[0].recv(pair.now, client, &mut [0; 9], 0);
        assert_eq!(
            read,
            if resets {
                fails(Errno::ECONNRESET)
            } else {
                Ok(0)
            }
        );
    }
}

#[test]
fn linger_of_zero_resets() {
    let mut pair = Pair::new();
    let (client, server, _) = pair.connected();
    pair.hosts[0]
        .write(pair.now, client, b"never read")
        .unwrap();
    pair.reset(0, client);
    assert_ne!(pair.flags[0].last().unwrap() & RST, 0);
    assert!(pair.hosts[0].stack.connections().is_empty());
    assert_eq!(
        pair.hosts[1].recv(pair.now, server, &mut [0; 99], 0),
        fails(Errno::ECONNRESET)
    );
}

#[test]
fn linger_waits_for_everything_to_be_acknowledged() {
    let linger = Value::Linger {
        on: true,
        seconds: 5,
    };
    for (cut, expected) in [(false, 10), (true, 5000)] {
        let mut pair = Pair::new();
        let (client, _, _) = pair.connected();
        pair.hosts[0]
            .setsockopt(pair.now, client, Opt::SO_LINGER, &linger)
            .unwrap();
        assert_eq!(
            pair.hosts[0].getsockopt(pair.now, client, Opt::SO_LINGER),
            Ok(linger.clone())
        );
        pair.nonblocking(0, client);
        pair.cut = cut;
        pair.hosts[0].write(pair.now, client, b"all of it").unwrap();
        let Err(Stop::Blocked(wait)) = pair.hosts[0].close(pair.now, client) else {
            panic!("Linux lingers on non-blocking sockets too");
        };
        assert!(matches!(wait.what, Wait::Flushed(_)));
        assert_eq!(wait.until, Some(pair.now + Duration::from_secs(5)));
        let began = pair.now;
        while !pair.hosts[0].is_over(&wait) && pair.now < wait.until.unwrap() {
            pair.run(1);
        }
        assert_eq!(pair.now.since(began).as_millis(), expected, "cut: {cut}");
        assert_eq!(pair.hosts[0].give_up(&wait), Ok(0));
    }
    // Nothing is owed: nothing to wait for.
    let mut pair = Pair::new();
    let (client, server, _) = pair.connected();
    pair.reset(1, server);
    pair.hosts[0]
        .setsockopt(pair.now, client, Opt::SO_LINGER, &linger)
        .unwrap();
    assert_eq!(pair.hosts[0].close(pair.now, client), Ok(()));
    // FreeBSD does not linger where O_NONBLOCK is set.
    let mut pair = Pair::freebsd();
    let (client, _, _) = pair.connected();
    pair.hosts[0]
        .setsockopt(pair.now, client, Opt::SO_LINGER, &linger)
        .unwrap();
    pair.nonblocking(0, client);
    pair.hosts[0].write(pair.now, client, b"all of it").unwrap();
    assert_eq!(pair.hosts[0].close(pair.now, client), Ok(()));
}

#[test]
fn a_blocking_close_comes_back() {
    let mut pair = Pair::new();
    let (client, server, _) = pair.connected();
    let linger = Value::Linger {
        on: true,
        seconds: 5,
    };
    pair.hosts[0]
        .setsockopt(pair.now, client, Opt::SO_LINGER, &linger)
        .unwrap();
    pair.hosts[0].write(pair.now, client, b"all of it").unwrap();
    assert_eq!(pair.close(0, client), Ok(()));
    assert_eq!(pair.read(1, server, 99), Ok(b"all of it".to_vec()));
}

#[test]
fn somebody_else_aborts_the_connection() {
    let mut pair = Pair::new();
    let (client, _, _) = pair.connected();
    let id = pair.hosts[0].connection_id(client).unwrap();
    let who = pair.hosts[0].stack.endpoints(id).unwrap();
    assert!(pair.hosts[0].stack.drop_connection(pair.now, &who));
    assert!(!pair.hosts[0].stack.drop_connection(pair.now, &who));
    let read = pair.hosts[0].recv(pair.now, client, &mut [0; 9], 0);
    assert_eq!(read, fails(Errno::ECONNABORTED));
    pair.run(20);
    assert_ne!(pair.flags[0].last().unwrap() & RST, 0);
}

#[test]
fn linger2_bounds_fin_wait_2() {
    let mut pair = Pair::with(tcp(), Default::default(), woshou_stack::Medium::Ip);
    let (client, _, _) = pair.connected();
    pair.hosts[0]
        .setsockopt(pair.now, client, Opt::TCP_LINGER2, &Value::Int(3))
        .unwrap();
    pair.close(0, client).unwrap();
    pair.run(2500);
    assert_eq!(pair.hosts[0].stack.connections().len(), 1);
    pair.run(1000);
    assert_eq!(pair.hosts[0].stack.connections().len(), 0);
}

#[test]
fn ioctl_of_those_without_a_connection() {
    let mut pair = Pair::new();
    let (_, server, listener) = pair.connected();
    let idle = pair.socket(1, false);
    let epoll = pair.hosts[1].epoll_create(1).unwrap();
    let host = &mut pair.hosts[1];
    for what in [Ioctl::InQueue, Ioctl::OutQueue, Ioctl::NotSent] {
        assert_eq!(host.ioctl(server, what), Ok(0));
        assert_eq!(host.ioctl(idle, what), Ok(0));
        assert_eq!(host.ioctl(listener, what), fails(Errno::EINVAL));
        assert_eq!(host.ioctl(epoll, what), fails(Errno::ENOTTY));
        assert_eq!(host.ioctl(99, what), fails(Errno::EBADF));
    }
}
