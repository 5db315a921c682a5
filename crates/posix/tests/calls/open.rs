//! socket, bind, listen, accept, connect, and the names of both ends.

use std::net::SocketAddr;
use std::time::Duration;

use woshou_posix::constants::*;
use woshou_posix::{Errno, Fcntl, Opt, Policy, Stop, Value, Wait};
use woshou_stack::Medium;

use crate::pair::{Pair, fails, tcp};

fn at(address: &str) -> Option<SocketAddr> {
    Some(address.parse().unwrap())
}

#[test]
fn what_socket_takes() {
    let mut pair = Pair::new();
    let host = &mut pair.hosts[0];
    let unsupported = |name: &str| Err(Stop::Unsupported(name.to_owned()));
    let cases = [
        (AF_INET, SOCK_STREAM, 0, Ok(3)),
        (
            AF_INET6,
            SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
            IPPROTO_TCP,
            Ok(4),
        ),
        (99, SOCK_STREAM, 0, fails(Errno::EAFNOSUPPORT)),
        (AF_INET, SOCK_STREAM, 99, fails(Errno::EPROTONOSUPPORT)),
        (AF_INET, 77, 0, fails(Errno::EINVAL)),
        (AF_INET, SOCK_DGRAM, 0, unsupported("SOCK_DGRAM")),
        (
            AF_INET,
            SOCK_STREAM,
            IPPROTO_MPTCP,
            unsupported("IPPROTO_MPTCP"),
        ),
    ];
    for (domain, kind, protocol, expected) in cases {
        assert_eq!(
            host.socket(domain, kind, protocol),
            expected,
            "{domain} {kind:x} {protocol}"
        );
    }
    assert_eq!(host.fcntl(3, Fcntl::GetFlags), Ok(O_RDWR));
    assert_eq!(host.fcntl(4, Fcntl::GetFlags), Ok(O_RDWR | O_NONBLOCK));
    assert_eq!(host.fcntl(4, Fcntl::GetDescriptor), Ok(FD_CLOEXEC));
    assert_eq!(host.fcntl(4, Fcntl::SetFlags(0)), Ok(0));
    assert_eq!(host.fcntl(4, Fcntl::GetFlags), Ok(O_RDWR));
    assert_eq!(host.fcntl(9, Fcntl::GetFlags), fails(Errno::EBADF));
    assert_eq!(
        host.unsupported::<()>("splice"),
        unsupported("splice").map(|_: i32| ())
    );
}

#[test]
fn the_lowest_free_number_is_taken_and_there_is_a_limit() {
    let policy = Policy {
        descriptors: 3,
        ..Policy::default()
    };
    let mut pair = Pair::with(tcp(), policy, Medium::Ip);
    let now = pair.now;
    let host = &mut pair.hosts[0];
    for fd in 3..6 {
        assert_eq!(host.socket(AF_INET, SOCK_STREAM, 0), Ok(fd));
    }
    assert_eq!(host.socket(AF_INET, SOCK_STREAM, 0), fails(Errno::EMFILE));
    assert_eq!(host.close(now, 5), Ok(()));
    assert_eq!(host.close(now, 4), Ok(()));
    assert_eq!(host.close(now, 4), fails(Errno::EBADF));
    assert_eq!(host.epoll_create(1), Ok(4));
    assert_eq!(host.socket(AF_INET, SOCK_STREAM, 0), Ok(5));
}

#[test]
fn what_bind_takes() {
    let mut pair = Pair::new();
    pair.listener("10.0.0.2:80");
    let epoll = pair.hosts[1].epoll_create(1).unwrap();
    let cases = [
        (false, at("10.0.0.2:81"), Ok("10.0.0.2:81")),
        (false, at("0.0.0.0:82"), Ok("0.0.0.0:82")),
        (false, at("127.0.0.1:83"), Ok("127.0.0.1:83")),
        (true, at("[fd00::2]:81"), Ok("[fd00::2]:81")),
        (true, at("[::]:84"), Ok("[::]:84")),
        (true, at("[::ffff:10.0.0.2]:85"), Ok("[::ffff:10.0.0.2]:85")),
        (false, at("10.0.0.2:80"), Err(Errno::EADDRINUSE)),
        (false, at("0.0.0.0:80"), Err(Errno::EADDRINUSE)),
        (true, at("[::]:80"), Err(Errno::EADDRINUSE)),
        (true, at("[::ffff:10.0.0.2]:80"), Err(Errno::EADDRINUSE)),
        (false, at("10.0.0.1:81"), Err(Errno::EADDRNOTAVAIL)),
        (false, at("[fd00::2]:81"), Err(Errno::EAFNOSUPPORT)),
        (true, at("10.0.0.2:81"), Err(Errno::EINVAL)),
        (false, None, Err(Errno::EFAULT)),
    ];
    for (v6, address, expected) in cases {
        let fd = pair.socket(1, v6);
        let host = &mut pair.hosts[1];
        let result = host.bind(fd, address);
        assert_eq!(
            result,
            expected.map(|_| ()).map_err(Stop::Errno),
            "{address:?}"
        );
        if let Ok(name) = expected {
            assert_eq!(host.getsockname(fd), Ok(name.parse().unwrap()));
            assert_eq!(
                host.bind(fd, at("0.0.0.0:999")),
                fails(Errno::EINVAL),
                "twice"
            );
        }
        host.close(pair.now, fd).unwrap();
    }
    assert_eq!(pair.hosts[1].bind(99, at("0.0.0.0:1")), fails(Errno::EBADF));
    assert_eq!(
        pair.hosts[1].bind(epoll, at("0.0.0.0:1")),
        fails(Errno::ENOTSOCK)
    );
}

#[test]
fn port_zero_takes_a_free_one() {
    let mut pair = Pair::new();
    let mut ports = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let fd = pair.socket(0, false);
        pair.hosts[0].bind(fd, at("10.0.0.1:0")).unwrap();
        let port = pair.hosts[0].getsockname(fd).unwrap().port();
        assert!(port >= 49152 && ports.insert(port), "{port}");
    }
}

#[test]
fn reuse_of_addresses() {
    let mut pair = Pair::new();
    let reuse = |pair: &mut Pair, fd, on| {
        let value = Value::Int(on);
        pair.hosts[1]
            .setsockopt(pair.now, fd, Opt::SO_REUSEADDR, &value)
            .unwrap();
    };
    let [one, two, three] = [(); 3].map(|()| pair.socket(1, false));
    for fd in [one, two] {
        reuse(&mut pair, fd, 1);
        assert_eq!(
            pair.hosts[1].bind(fd, at("10.0.0.2:80")),
            Ok(()),
            "both agree"
        );
    }
    assert_eq!(
        pair.hosts[1].bind(three, at("10.0.0.2:80")),
        fails(Errno::EADDRINUSE)
    );
    pair.hosts[1].listen(one, 5).unwrap();
    assert_eq!(pair.hosts[1].listen(two, 5), fails(Errno::EADDRINUSE));
    reuse(&mut pair, three, 1);
    assert_eq!(
        pair.hosts[1].bind(three, at("10.0.0.2:80")),
        fails(Errno::EADDRINUSE),
        "it listens"
    );
}

#[test]
fn time_wait_holds_the_address_unless_it_is_reused() {
    let mut pair = Pair::new();
    let (client, server, listener) = pair.connected();
    pair.close(1, server).unwrap();
    pair.run(20);
    pair.close(0, client).unwrap();
    pair.run(20);
    pair.close(1, listener).unwrap();
    let fd = pair.socket(1, false);
    assert_eq!(
        pair.hosts[1].bind(fd, at("10.0.0.2:8080")),
        fails(Errno::EADDRINUSE)
    );
    pair.hosts[1]
        .setsockopt(pair.now, fd, Opt::SO_REUSEADDR, &Value::Int(1))
        .unwrap();
    assert_eq!(pair.hosts[1].bind(fd, at("10.0.0.2:8080")), Ok(()));
    assert_eq!(pair.hosts[1].listen(fd, 1), Ok(()));
}

#[test]
fn v6_only_leaves_ipv4_to_others() {
    let mut pair = Pair::new();
    let fd = pair.socket(1, true);
    let host = &mut pair.hosts[1];
    host.setsockopt(pair.now, fd, Opt::IPV6_V6ONLY, &Value::Int(1))
        .unwrap();
    assert_eq!(
        host.bind(fd, at("[::ffff:10.0.0.2]:80")),
        fails(Errno::EADDRNOTAVAIL)
    );
    host.bind(fd, at("[::]:80")).unwrap();
    host.listen(fd, 5).unwrap();
    let late = host.setsockopt(pair.now, fd, Opt::IPV6_V6ONLY, &Value::Int(0));
    assert_eq!(late, fails(Errno::EINVAL));
    let v4 = pair.socket(0, false);
    assert_eq!(pair.connect(v4, "10.0.0.2:80"), fails(Errno::ECONNREFUSED));
    let other = pair.listener("0.0.0.0:80");
    let again = pair.socket(0, false);
    assert_eq!(pair.connect(again, "10.0.0.2:80"), Ok(()));
    pair.run(20);
    assert!(pair.hosts[1].accept(pair.now, other).is_ok());
    let v6 = pair.socket(0, true);
    assert_eq!(pair.connect(v6, "[fd00::2]:80"), Ok(()));
    pair.run(20);
    assert!(pair.hosts[1].accept(pair.now, fd).is_ok());
    let own = pair.socket(0, true);
    pair.hosts[0]
        .setsockopt(pair.now, own, Opt::IPV6_V6ONLY, &Value::Int(1))
        .unwrap();
    assert_eq!(
        pair.connect(own, "[::ffff:10.0.0.2]:80"),
        fails(Errno::ENETUNREACH)
    );
}

#[test]
fn names_in_both_families() {
    // The listener's address, the client's family, whom it connects to, and the peer that the server sees.
    let cases = [
        ("10.0.0.2:80", false, "10.0.0.2:80", "10.0.0.1"),
        ("[::]:80", false, "10.0.0.2:80", "::ffff:10.0.0.1"),
        ("[::]:80", true, "[fd00::2]:80", "fd00::1"),
        ("[::]:80", true, "[::ffff:10.0.0.2]:80", "::ffff:10.0.0.1"),
        ("0.0.0.0:80", true, "[::ffff:10.0.0.2]:80", "10.0.0.1"),
    ];
    for (listens, v6, to, peer) in cases {
        let mut pair = Pair::new();
        let listener = pair.listener(listens);
        let client = pair.socket(0, v6);
        let none = pair.hosts[0].getsockname(client).unwrap();
        assert!(none.ip().is_unspecified() && none.port() == 0 && none.is_ipv6() == v6);
        assert_eq!(pair.hosts[0].getpeername(client), fails(Errno::ENOTCONN));
        assert_eq!(pair.connect(client, to), Ok(()));
        pair.run(20);
        let (server, from) = pair.hosts[1].accept(pair.now, listener).unwrap();
        assert_eq!(from.ip().to_string(), peer);
        let own = pair.hosts[0].getsockname(client).unwrap();
        assert_eq!((own.port(), own.is_ipv6()), (from.port(), v6));
        assert_eq!(pair.hosts[0].getpeername(client), Ok(to.parse().unwrap()));
        assert_eq!(pair.hosts[1].getpeername(server), Ok(from));
        let local = pair.hosts[1].getsockname(server).unwrap();
        assert_eq!(local.is_ipv6(), listens.starts_with('['));
        assert_eq!(local.port(), 80);
        assert_eq!(pair.hosts[1].getpeername(listener), fails(Errno::ENOTCONN));
    }
}

#[test]
fn accept_and_its_failures() {
    let mut pair = Pair::new();
    let now = pair.now;
    let listener = pair.listener("10.0.0.2:80");
    let idle = pair.socket(1, false);
    assert_eq!(pair.hosts[1].accept(now, idle), fails(Errno::EINVAL));
    assert_eq!(pair.hosts[1].accept(now, 99), fails(Errno::EBADF));
    assert_eq!(
        pair.hosts[1].accept4(now, listener, 1),
        fails(Errno::EINVAL)
    );
    let Err(Stop::Blocked(wait)) = pair.hosts[1].accept(now, listener) else {
        panic!("nobody is there");
    };
    assert_eq!((wait.fd, wait.what), (listener, Wait::Acceptable));
    assert!(!pair.hosts[1].is_over(&wait));
    let client = pair.socket(0, false);
    pair.connect(client, "10.0.0.2:80").unwrap();
    assert!(pair.wait(1, &wait));
    let (server, _) = pair.hosts[1]
        .accept4(pair.now, listener, SOCK_NONBLOCK)
        .unwrap();
    assert_eq!(
        pair.hosts[1].fcntl(server, Fcntl::GetFlags),
        Ok(O_RDWR | O_NONBLOCK)
    );
    pair.nonblocking(1, listener);
    assert_eq!(
        pair.hosts[1].accept(pair.now, listener),
        fails(Errno::EAGAIN)
    );
}

#[test]
fn children_inherit_what_the_listener_was_told() {
    for (mut pair, inherits) in [(Pair::new(), false), (Pair::freebsd(), true)] {
        let listener = pair.listener("10.0.0.2:80");
        pair.nonblocking(1, listener);
        for (option, value) in [
            (Opt::TCP_NODELAY, 1),
            (Opt::IP_TTL, 9),
            (Opt::SO_RCVBUF, 30_000),
        ] {
            pair.hosts[1]
                .setsockopt(pair.now, listener, option, &Value::Int(value))
                .unwrap();
        }
        let client = pair.socket(0, false);
        pair.connect(client, "10.0.0.2:80").unwrap();
        pair.run(20);
        let (server, _) = pair.hosts[1].accept(pair.now, listener).unwrap();
        let flags = pair.hosts[1].fcntl(server, Fcntl::GetFlags).unwrap();
        assert_eq!(flags & O_NONBLOCK != 0, inherits);
        let connection = pair.hosts[1].connection(server).unwrap();
        assert!(connection.nodelay());
        let buffer = if inherits { 30_000 } else { 60_000 };
        for (option, value) in [
            (Opt::TCP_NODELAY, 1),
            (Opt::IP_TTL, 9),
            (Opt::SO_RCVBUF, buffer),
        ] {
            let got = pair.hosts[1].getsockopt(pair.now, server, option);
            assert_eq!(got, Ok(Value::Int(value)), "{option:?}");
        }
    }
}

#[test]
fn listen_and_its_failures() {
    let mut pair = Pair::new();
    let (client, server, listener) = pair.connected();
    assert_eq!(pair.hosts[0].listen(client, 5), fails(Errno::EINVAL));
    assert_eq!(pair.hosts[1].listen(server, 5), fails(Errno::EINVAL));
    assert_eq!(
        pair.hosts[1].listen(listener, 1),
        Ok(()),
        "again, with another backlog"
    );
    assert_eq!(pair.hosts[0].listen(99, 5), fails(Errno::EBADF));
    // Unbound: a port is chosen.
    let fd = pair.socket(0, false);
    assert_eq!(pair.hosts[0].listen(fd, 5), Ok(()));
    let name = pair.hosts[0].getsockname(fd).unwrap();
    assert!(name.ip().is_unspecified() && name.port() >= 49152);
    // One more than the backlog may wait, as on Linux.
    let id = pair.hosts[1].listener_id(listener).unwrap();
    // A SYN that comes then is dropped, as on Linux.
    for (expected, connects) in [(1, Ok(())), (2, Ok(())), (2, fails(Errno::ETIMEDOUT))] {
        let fd = pair.socket(0, false);
        assert_eq!(pair.connect(fd, "10.0.0.2:8080"), connects);
        pair.run(20);
        assert_eq!(pair.hosts[1].stack.waiting(id), Some((expected, 2)));
    }
}

#[test]
fn connect_without_waiting() {
    let mut pair = Pair::new();
    pair.listener("10.0.0.2:80");
    let fd = pair.socket(0, false);
    pair.nonblocking(0, fd);
    let to = at("10.0.0.2:80");
    assert_eq!(
        pair.hosts[0].connect(pair.now, fd, to),
        fails(Errno::EINPROGRESS)
    );
    assert_eq!(
        pair.hosts[0].connect(pair.now, fd, to),
        fails(Errno::EALREADY)
    );
    assert_eq!(pair.hosts[0].getpeername(fd), fails(Errno::ENOTCONN));
    pair.run(20);
    assert_eq!(
        pair.hosts[0].getsockopt(pair.now, fd, Opt::SO_ERROR),
        Ok(Value::Int(0))
    );
    assert_eq!(
        pair.hosts[0].connect(pair.now, fd, to),
        Ok(()),
        "the result, once"
    );
    assert_eq!(
        pair.hosts[0].connect(pair.now, fd, to),
        fails(Errno::EISCONN)
    );
}

#[test]
fn connect_refused() {
    let mut pair = Pair::new();
    let to = at("10.0.0.2:80");
    let fd = pair.socket(0, false);
    // Blocking: the socket can try again.
    assert_eq!(pair.connect(fd, "10.0.0.2:80"), fails(Errno::ECONNREFUSED));
    assert_eq!(pair.connect(fd, "10.0.0.2:80"), fails(Errno::ECONNREFUSED));
    // The result by SO_ERROR, once; another connect learns only that it failed, and the one after it starts anew.
    pair.nonblocking(0, fd);
    assert_eq!(
        pair.hosts[0].connect(pair.now, fd, to),
        fails(Errno::EINPROGRESS)
    );
    pair.run(20);
    let refused = i64::from(Errno::ECONNREFUSED.number(pair.hosts[0].policy().personality));
    assert_eq!(
        pair.hosts[0].getsockopt(pair.now, fd, Opt::SO_ERROR),
        Ok(Value::Int(refused))
    );
    assert_eq!(
        pair.hosts[0].getsockopt(pair.now, fd, Opt::SO_ERROR),
        Ok(Value::Int(0))
    );
    assert_eq!(pair.hosts[0].recv(pair.now, fd, &mut [0; 9], 0), Ok(0));
    assert_eq!(
        pair.hosts[0].send(pair.now, fd, b"x", 0),
        fails(Errno::EPIPE)
    );
    assert_eq!(
        pair.hosts[0].connect(pair.now, fd, to),
        fails(Errno::ECONNABORTED)
    );
    pair.listener("10.0.0.2:80");
    assert_eq!(
        pair.hosts[0].connect(pair.now, fd, to),
        fails(Errno::EINPROGRESS)
    );
    pair.run(20);
    assert_eq!(pair.hosts[0].connect(pair.now, fd, to), Ok(()));
    assert_eq!(pair.hosts[0].send(pair.now, fd, b"x", 0), Ok(1));
}

#[test]
fn connect_times_out() {
    let mut pair = Pair::new();
    pair.cut = true;
    let fd = pair.socket(0, false);
    let count = Value::Int(2);
    pair.hosts[0]
        .setsockopt(pair.now, fd, Opt::TCP_SYNCNT, &count)
        .unwrap();
    let began = pair.now;
    assert_eq!(pair.connect(fd, "10.0.0.2:80"), fails(Errno::ETIMEDOUT));
    assert_eq!(pair.now.since(began), Duration::from_secs(7), "1 + 2 + 4 s");
    assert_eq!(pair.flags[0].len(), 3, "the SYN and two more");
    // SO_SNDTIMEO ends the wait, not the attempt.
    let timeout = Value::Time(Duration::from_millis(100));
    pair.hosts[0]
        .setsockopt(pair.now, fd, Opt::SO_SNDTIMEO, &timeout)
        .unwrap();
    let began = pair.now;
    assert_eq!(pair.connect(fd, "10.0.0.2:80"), fails(Errno::EINPROGRESS));
    assert_eq!(pair.now.since(began), Duration::from_millis(100));
}

#[test]
fn no_such_host() {
    let config = woshou_tcp::Config {
        open_fails_on_path_error: true,
        ..tcp()
    };
    let ethernet = Medium::Ethernet { mac: [0; 6] };
    for to in ["10.0.0.77:80", "[fd00::77]:80"] {
        let mut pair = Pair::with(config.clone(), Policy::default(), ethernet);
        let fd = pair.socket(0, to.starts_with('['));
        assert_eq!(pair.connect(fd, to), fails(Errno::EHOSTUNREACH), "{to}");
    }
}

#[test]
fn connect_fails_at_once() {
    let cases = [
        (
            false,
            at("192.0.2.1:80"),
            Errno::ENETUNREACH,
            Errno::EHOSTUNREACH,
        ),
        (
            false,
            at("10.0.0.255:80"),
            Errno::ENETUNREACH,
            Errno::EADDRNOTAVAIL,
        ),
        (
            false,
            at("224.0.0.1:80"),
            Errno::ENETUNREACH,
            Errno::EADDRNOTAVAIL,
        ),
        (
            false,
            at("10.0.0.2:0"),
            Errno::EADDRNOTAVAIL,
            Errno::EADDRNOTAVAIL,
        ),
        (
            false,
            at("[fd00::2]:80"),
            Errno::EAFNOSUPPORT,
            Errno::EAFNOSUPPORT,
        ),
        (true, at("10.0.0.2:80"), Errno::EINVAL, Errno::EINVAL),
        (false, None, Errno::EFAULT, Errno::EFAULT),
    ];
    for (v6, to, linux, freebsd) in cases {
        for (mut pair, expected) in [(Pair::new(), linux), (Pair::freebsd(), freebsd)] {
            let fd = pair.socket(0, v6);
            assert_eq!(
                pair.hosts[0].connect(pair.now, fd, to),
                fails(expected),
                "{to:?}"
            );
        }
    }
}

#[test]
fn connect_on_the_wrong_socket() {
    let mut pair = Pair::new();
    assert_eq!(
        pair.hosts[0].connect(pair.now, 99, at("10.0.0.2:80")),
        fails(Errno::EBADF)
    );
    let listener = pair.listener("10.0.0.2:80");
    assert_eq!(
        pair.hosts[1].connect(pair.now, listener, at("10.0.0.1:80")),
        fails(Errno::EISCONN)
    );
    // The same four-tuple twice.
    for expected in [Ok(()), fails(Errno::EADDRNOTAVAIL)] {
        let fd = pair.socket(0, false);
        pair.hosts[0]
            .setsockopt(pair.now, fd, Opt::SO_REUSEADDR, &Value::Int(1))
            .unwrap();
        pair.hosts[0].bind(fd, at("10.0.0.1:5000")).unwrap();
        assert_eq!(pair.connect(fd, "10.0.0.2:80"), expected);
    }
}

#[test]
fn freebsd_connects_in_its_own_way() {
    let mut pair = Pair::freebsd();
    let listener = pair.listener("10.0.0.2:80");
    let to = at("10.0.0.2:80");
    let refused = pair.hosts[1].connect(pair.now, listener, at("10.0.0.1:80"));
    assert_eq!(refused, fails(Errno::EOPNOTSUPP));
    let fd = pair.socket(0, false);
    pair.nonblocking(0, fd);
    assert_eq!(
        pair.hosts[0].connect(pair.now, fd, to),
        fails(Errno::EINPROGRESS)
    );
    assert_eq!(
        pair.hosts[0].connect(pair.now, fd, to),
        fails(Errno::EALREADY)
    );
    pair.run(20);
    assert_eq!(
        pair.hosts[0].connect(pair.now, fd, to),
        fails(Errno::EISCONN)
    );
    let blocking = pair.socket(0, false);
    assert_eq!(pair.connect(blocking, "10.0.0.2:80"), Ok(()));
    let refused = pair.socket(0, false);
    assert_eq!(
        pair.connect(refused, "10.0.0.2:81"),
        fails(Errno::ECONNREFUSED)
    );
    assert_eq!(
        Errno::ECONNREFUSED.number(pair.hosts[0].policy().personality),
        61
    );
}
