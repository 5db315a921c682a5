//! getsockopt and setsockopt: every option is taken and reported, refused with its errno, or unsupported by name.

use std::time::Duration;

use woshou_posix::constants::*;
use woshou_posix::option::HARMLESS;
use woshou_posix::{Errno, Figure, Opt, Stop, Value};
use woshou_tcp::State;

use crate::pair::{Pair, fails, text};

/// What setting does, and what getting gives after it.
#[derive(Debug)]
enum Then {
    /// It is set, and reported so.
    Is(i64),
    Fails(Errno),
    /// Unsupported by its own name.
    Unsupported,
}
use Then::{Fails, Is, Unsupported};

#[rustfmt::skip]
const ON_LINUX: &[(Opt, i64, Then)] = &[
    (Opt::SO_REUSEADDR, 1, Is(1)),
    (Opt::SO_KEEPALIVE, 7, Is(1)),
    (Opt::SO_RCVBUF, 20_000, Is(40_000)),
    (Opt::SO_RCVBUF, 1, Is(2304)),
    (Opt::SO_RCVBUF, 1 << 30, Is(8 << 20)),
    (Opt::SO_RCVBUF, -1, Is(8 << 20)),
    (Opt::SO_RCVBUFFORCE, 10 << 20, Unsupported),
    (Opt::SO_SNDBUF, 20_000, Is(40_000)),
    (Opt::SO_SNDBUF, 1, Is(4608)),
    (Opt::SO_RCVLOWAT, 0, Is(1)),
    (Opt::SO_RCVLOWAT, 9, Is(9)),
    (Opt::SO_SNDLOWAT, 9, Fails(Errno::ENOPROTOOPT)),
    (Opt::SO_TYPE, 9, Fails(Errno::ENOPROTOOPT)),
    (Opt::SO_LINGER, 1, Fails(Errno::EINVAL)),
    (Opt::SO_OOBINLINE, 0, Is(0)),
    (Opt::SO_OOBINLINE, 1, Is(1)),
    (Opt::SO_MAX_PACING_RATE, 1000, Is(1000)),
    (Opt::SO_MAX_PACING_RATE, -1, Is(-1)),
    (Opt::SO_MAX_PACING_RATE, 0xffff_ffff, Is(-1)),
    (Opt::SO_BINDTODEVICE, 1, Unsupported),
    (Opt::TCP_NODELAY, 1, Is(1)),
    (Opt::TCP_NODELAY, 0, Is(0)),
    (Opt::TCP_CORK, 1, Is(1)),
    (Opt::TCP_MAXSEG, 1000, Is(1000)),
    (Opt::TCP_MAXSEG, 0, Is(536)),
    (Opt::TCP_MAXSEG, 87, Fails(Errno::EINVAL)),
    (Opt::TCP_MAXSEG, 32_768, Fails(Errno::EINVAL)),
    (Opt::TCP_KEEPIDLE, 10, Is(10)),
    (Opt::TCP_KEEPIDLE, 0, Fails(Errno::EINVAL)),
    (Opt::TCP_KEEPIDLE, 32_768, Fails(Errno::EINVAL)),
    (Opt::TCP_KEEPINTVL, 10, Is(10)),
    (Opt::TCP_KEEPCNT, 127, Is(127)),
    (Opt::TCP_KEEPCNT, 128, Fails(Errno::EINVAL)),
    (Opt::TCP_KEEPINIT, 20, Is(20)),
    (Opt::TCP_SYNCNT, 3, Is(3)),
    (Opt::TCP_SYNCNT, 0, Fails(Errno::EINVAL)),
    (Opt::TCP_LINGER2, 9, Is(9)),
    (Opt::TCP_USER_TIMEOUT, 1500, Is(1500)),
    (Opt::TCP_USER_TIMEOUT, -1, Fails(Errno::EINVAL)),
    (Opt::TCP_NOTSENT_LOWAT, 1000, Is(1000)),
    (Opt::TCP_NOTSENT_LOWAT, -1, Is(0xffff_ffff)),
    (Opt::TCP_NOTSENT_LOWAT, 0, Is(0xffff_ffff)),
    (Opt::TCP_WINDOW_CLAMP, 5000, Is(5000)),
    (Opt::TCP_QUICKACK, 1, Is(1)),
    (Opt::TCP_INQ, 1, Is(1)),
    (Opt::TCP_RTO_MAX_MS, 2000, Is(2000)),
    (Opt::TCP_RTO_MAX_MS, 999, Fails(Errno::EINVAL)),
    (Opt::TCP_RTO_MIN_US, 50_000, Is(50_000)),
    (Opt::TCP_DELACK_MAX_US, 10_000, Is(10_000)),
    (Opt::TCP_INFO, 1, Fails(Errno::ENOPROTOOPT)),
    (Opt::TCP_DEFER_ACCEPT, 0, Is(0)),
    (Opt::TCP_DEFER_ACCEPT, 1, Unsupported),
    (Opt::TCP_FASTOPEN, 0, Is(0)),
    (Opt::TCP_FASTOPEN, 1, Unsupported),
    (Opt::TCP_FASTOPEN_CONNECT, 1, Unsupported),
    (Opt::TCP_FASTOPEN_KEY, 1, Unsupported),
    (Opt::TCP_MD5SIG, 1, Unsupported),
    (Opt::TCP_NOOPT, 1, Unsupported),
    (Opt::TCP_FUNCTION_BLK, 1, Unsupported),
    (Opt::TCP_REMOTE_UDP_ENCAPS_PORT, 9899, Unsupported),
    (Opt::TCP_RACK_PACE_ALWAYS, 1, Unsupported),
    (Opt::TCP_ULP, 1, Unsupported),
    (Opt::TCP_REPAIR, 1, Unsupported),
    (Opt::IP_TTL, 9, Is(9)),
    (Opt::IP_TTL, -1, Is(64)),
    (Opt::IP_TTL, 0, Fails(Errno::EINVAL)),
    (Opt::IP_TTL, 256, Fails(Errno::EINVAL)),
    (Opt::IP_TOS, 3, Is(0)),
    (Opt::IP_TOS, 0x10, Is(0x10)),
    (Opt::IP_FREEBIND, 1, Is(1)),
    (Opt::IP_MTU_DISCOVER, 2, Is(1)),
    (Opt::IP_MTU_DISCOVER, 0, Unsupported),
    (Opt::IP_MTU, 1, Fails(Errno::ENOPROTOOPT)),
    (Opt::IPV6_V6ONLY, 1, Fails(Errno::ENOPROTOOPT)),
];

#[test]
fn integers_on_linux() {
    for (option, value, then) in ON_LINUX {
        let (option, value) = (*option, *value);
        let mut pair = Pair::new();
        let fd = pair.socket(0, false);
        let set = pair.hosts[0].setsockopt(pair.now, fd, option, &Value::Int(value));
        match then {
            Is(expected) => {
                assert_eq!(set, Ok(()), "{option:?} {value}");
                let got = pair.hosts[0].getsockopt(pair.now, fd, option);
                assert_eq!(got, Ok(Value::Int(*expected)), "{option:?} {value}");
            }
            Fails(errno) => assert_eq!(set, fails(*errno), "{option:?} {value}"),
            Unsupported if option == Opt::SO_RCVBUFFORCE => assert_eq!(set, Ok(())),
            Unsupported => {
                let name = option.name().to_owned();
                assert_eq!(set, Err(Stop::Unsupported(name)), "{option:?} {value}");
            }
        }
        let invalid = pair.hosts[0].setsockopt(pair.now, fd, option, &Value::Invalid);
        let expected = if option == Opt::IPV6_V6ONLY {
            Errno::ENOPROTOOPT
        } else {
            Errno::EFAULT
        };
        assert_eq!(invalid, fails(expected), "{option:?}");
    }
}

#[test]
fn every_option_has_an_answer() {
    // None panics, and none that cannot be set is silently accepted.
    for v6 in [false, true] {
        for connected in [false, true] {
            let mut pair = Pair::new();
            let fd = if connected {
                pair.connected().0
            } else {
                pair.socket(0, v6)
            };
            for option in Opt::ALL.iter().copied() {
                for value in [Value::Int(12_345), Value::Name("none".into())] {
                    let set = pair.hosts[0].setsockopt(pair.now, fd, option, &value);
                    let got = pair.hosts[0].getsockopt(pair.now, fd, option);
                    if set.is_ok() {
                        assert!(
                            got.is_ok() || option.name().ends_with("FORCE"),
                            "{option:?} {got:?}"
                        );
                    }
                    if let Err(Stop::Unsupported(name)) = &set {
                        assert!(name.contains(option.name()), "{name}");
                    }
                }
            }
        }
    }
}

#[test]
fn harmless_ones_are_remembered() {
    let mut pair = Pair::new();
    let fd = pair.socket(0, true);
    for (option, reason) in HARMLESS {
        assert!(!reason.is_empty());
        for value in [0, 5] {
            assert_eq!(
                pair.hosts[0].setsockopt(pair.now, fd, *option, &Value::Int(value)),
                Ok(())
            );
            assert_eq!(
                pair.hosts[0].getsockopt(pair.now, fd, *option),
                Ok(Value::Int(value))
            );
        }
    }
}

#[test]
fn integers_on_freebsd() {
    #[rustfmt::skip]
    let cases = [
        (Opt::SO_RCVBUF, 20_000, Is(20_000)),
        (Opt::SO_RCVBUF, 0, Fails(Errno::EINVAL)),
        (Opt::SO_RCVBUF, 5 << 20, Fails(Errno::ENOBUFS)),
        (Opt::SO_SNDBUF, 20_000, Is(20_000)),
        (Opt::TCP_NOPUSH, 1, Is(1)),
        (Opt::TCP_MAXSEG, 0, Fails(Errno::EINVAL)),
        (Opt::TCP_MAXSEG, 700, Is(700)),
    ];
    for (option, value, then) in cases {
        let mut pair = Pair::freebsd();
        let fd = pair.socket(0, false);
        let set = pair.hosts[0].setsockopt(pair.now, fd, option, &Value::Int(value));
        match then {
            Is(expected) => {
                assert_eq!(set, Ok(()), "{option:?} {value}");
                let got = pair.hosts[0].getsockopt(pair.now, fd, option);
                assert_eq!(got, Ok(Value::Int(expected)), "{option:?} {value}");
            }
            Fails(errno) => assert_eq!(set, fails(errno), "{option:?} {value}"),
            Unsupported => panic!("{option:?}"),
        }
    }
}

#[test]
fn other_types_of_values() {
    let mut pair = Pair::new();
    let fd = pair.socket(0, false);
    let now = pair.now;
    let host = &mut pair.hosts[0];
    let name = |name: &str| Value::Name(name.to_owned());
    assert_eq!(
        host.getsockopt(now, fd, Opt::TCP_CONGESTION),
        Ok(name("cubic"))
    );
    for algorithm in ["reno", "dctcp", "cubic"] {
        assert_eq!(
            host.setsockopt(now, fd, Opt::TCP_CONGESTION, &name(algorithm)),
            Ok(())
        );
        assert_eq!(
            host.getsockopt(now, fd, Opt::TCP_CONGESTION),
            Ok(name(algorithm))
        );
    }
    let vegas = host.setsockopt(now, fd, Opt::TCP_CONGESTION, &name("vegas"));
    assert_eq!(vegas, fails(Errno::ENOENT));
    let two = Value::Time(Duration::from_secs(2));
    for option in [Opt::SO_RCVTIMEO, Opt::SO_SNDTIMEO] {
        assert_eq!(
            host.getsockopt(now, fd, option),
            Ok(Value::Time(Duration::ZERO))
        );
        assert_eq!(host.setsockopt(now, fd, option, &two), Ok(()));
        assert_eq!(host.getsockopt(now, fd, option), Ok(two.clone()));
    }
    let facts = [
        (Opt::SO_TYPE, SOCK_STREAM),
        (Opt::SO_PROTOCOL, IPPROTO_TCP),
        (Opt::SO_DOMAIN, AF_INET),
        (Opt::SO_ACCEPTCONN, 0),
    ];
    for (option, expected) in facts {
        assert_eq!(
            host.getsockopt(now, fd, option),
            Ok(Value::Int(expected.into()))
        );
    }
    assert_eq!(
        host.getsockopt(now, fd, Opt::IP_MTU),
        fails(Errno::ENOTCONN)
    );
    assert_eq!(host.getsockopt(now, 99, Opt::SO_TYPE), fails(Errno::EBADF));
    assert_eq!(
        host.setsockopt(now, 99, Opt::SO_TYPE, &two),
        fails(Errno::EBADF)
    );
    let epoll = host.epoll_create(1).unwrap();
    assert_eq!(
        host.getsockopt(now, epoll, Opt::SO_ERROR),
        fails(Errno::ENOTSOCK)
    );
    assert_eq!(
        host.setsockopt(now, epoll, Opt::SO_TYPE, &two),
        fails(Errno::ENOTSOCK)
    );
}

#[test]
fn a_receive_buffer_bounds_the_window() {
    let mut pair = Pair::new();
    let listener = pair.listener("10.0.0.2:80");
    pair.hosts[1]
        .setsockopt(pair.now, listener, Opt::SO_RCVBUF, &Value::Int(10_000))
        .unwrap();
    let client = pair.socket(0, false);
    pair.connect(client, "10.0.0.2:80").unwrap();
    pair.run(20);
    let window = pair.hosts[0]
        .tcp_info(pair.now, client)
        .unwrap()
        .get("tcpi_snd_wnd");
    assert_eq!(
        window,
        Figure::Known(10_000),
        "the octets asked for, of the doubled buffer"
    );
    let (server, _) = pair.hosts[1].accept(pair.now, listener).unwrap();
    let got = pair.hosts[1].getsockopt(pair.now, server, Opt::SO_RCVBUF);
    assert_eq!(got, Ok(Value::Int(20_000)));
    let memory = pair.hosts[1].memory_info(server).unwrap();
    assert_eq!(memory.get("SK_MEMINFO_RCVBUF"), Figure::Known(20_000));
    assert_eq!(memory.get("SK_MEMINFO_DROPS"), Figure::Absent);
}

#[test]
fn a_segment_size_is_advertised_and_kept() {
    for asks in [0, 1] {
        let mut pair = Pair::new();
        let listener = pair.listener("10.0.0.2:80");
        let client = pair.socket(0, false);
        let (side, fd) = if asks == 0 {
            (0, client)
        } else {
            (1, listener)
        };
        pair.hosts[side]
            .setsockopt(pair.now, fd, Opt::TCP_MAXSEG, &Value::Int(1000))
            .unwrap();
        pair.connect(client, "10.0.0.2:80").unwrap();
        pair.run(20);
        let (server, _) = pair.hosts[1].accept(pair.now, listener).unwrap();
        for (side, fd) in [(0, client), (1, server)] {
            // Without the timestamps.
            let got = pair.hosts[side].getsockopt(pair.now, fd, Opt::TCP_MAXSEG);
            assert_eq!(got, Ok(Value::Int(988)), "asked by {asks}, side {side}");
        }
    }
}

/// A figure of TCP_INFO.
fn get(pair: &mut Pair, side: usize, fd: i32, name: &str) -> Figure {
    let value = pair.hosts[side].getsockopt(pair.now, fd, Opt::TCP_INFO);
    let Ok(Value::Figures(figures)) = value else {
        panic!("{value:?}");
    };
    figures.get(name)
}

#[test]
fn tcp_info_of_each_kind_of_socket() {
    let mut pair = Pair::new();
    let idle = pair.socket(0, false);
    let (client, _, listener) = pair.connected();
    let number = |state| Figure::Known(u64::from(pair_number(state)));
    assert_eq!(get(&mut pair, 0, idle, "tcpi_state"), number(State::Closed));
    assert_eq!(
        get(&mut pair, 1, listener, "tcpi_state"),
        number(State::Listen)
    );
    assert_eq!(get(&mut pair, 1, listener, "tcpi_sacked"), Figure::Known(5));
    assert_eq!(
        get(&mut pair, 0, client, "tcpi_state"),
        number(State::Established)
    );
    let all = TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE;
    assert_eq!(
        get(&mut pair, 0, client, "tcpi_options"),
        Figure::Known(all as u64)
    );
    assert_eq!(
        get(&mut pair, 0, client, "tcpi_snd_cwnd"),
        Figure::Known(10)
    );
    assert_eq!(
        get(&mut pair, 0, client, "tcpi_snd_ssthresh"),
        Figure::Known(0x7fff_ffff)
    );
    assert_eq!(
        get(&mut pair, 0, client, "tcpi_snd_mss"),
        Figure::Known(1448)
    );
    assert_eq!(
        get(&mut pair, 0, client, "tcpi_advmss"),
        Figure::Known(1460)
    );
    assert_eq!(get(&mut pair, 0, client, "tcpi_pmtu"), Figure::Known(1500));
    assert_eq!(get(&mut pair, 0, client, "tcpi_rtt"), Figure::Known(10_000));
    assert_eq!(
        get(&mut pair, 0, client, "tcpi_no_such"),
        Figure::NoSuchField
    );
}

#[test]
fn tcp_info_follows_the_connection() {
    let mut pair = Pair::new();
    let (client, server, _) = pair.connected();
    let number = |state| Figure::Known(u64::from(pair_number(state)));
    pair.hosts[0]
        .write(pair.now, client, &text(100_000))
        .unwrap();
    pair.run(1);
    assert_eq!(get(&mut pair, 0, client, "tcpi_unacked"), Figure::Known(10));
    assert_eq!(
        get(&mut pair, 0, client, "tcpi_notsent_bytes"),
        Figure::Known(100_000 - 14_480)
    );
    assert_eq!(
        get(&mut pair, 0, client, "tcpi_ca_state"),
        Figure::Known(TCP_CA_Open as u64)
    );
    pair.cut = true;
    pair.run(500);
    assert_eq!(
        get(&mut pair, 0, client, "tcpi_ca_state"),
        Figure::Known(TCP_CA_Loss as u64)
    );
    assert_eq!(get(&mut pair, 0, client, "tcpi_snd_cwnd"), Figure::Known(1));
    assert_ne!(get(&mut pair, 0, client, "tcpi_backoff"), Figure::Known(0));
    assert_eq!(
        get(&mut pair, 1, server, "tcpi_state"),
        number(State::Established)
    );
}

fn pair_number(state: State) -> u8 {
    woshou_posix::Personality::Linux.state_number(state)
}

#[test]
fn the_behaviour_of_all_connections_can_change() {
    let mut pair = Pair::new();
    let listener = pair.listener("10.0.0.2:80");
    let without = woshou_tcp::Config {
        timestamps: false,
        ..crate::pair::tcp()
    };
    pair.hosts[1].set_tcp_config(std::sync::Arc::new(without));
    let client = pair.socket(0, false);
    pair.connect(client, "10.0.0.2:80").unwrap();
    pair.run(20);
    pair.hosts[1].accept(pair.now, listener).unwrap();
    assert_eq!(
        pair.hosts[0]
            .connection(client)
            .unwrap()
            .agreed()
            .timestamps,
        None
    );
}

#[test]
fn quick_acknowledgements() {
    let mut pair = Pair::new();
    let (client, server, _) = pair.connected();
    pair.hosts[0].write(pair.now, client, b"x").unwrap();
    pair.run(6);
    let sent = pair.flags[1].len();
    pair.run(1);
    assert_eq!(pair.flags[1].len(), sent, "it waits for company");
    pair.hosts[1]
        .setsockopt(pair.now, server, Opt::TCP_QUICKACK, &Value::Int(1))
        .unwrap();
    pair.run(1);
    assert_eq!(pair.flags[1].len(), sent + 1);
    // Asked for beforehand, the start of a connection is acknowledged at once.
    let mut pair = Pair::new();
    let listener = pair.listener("10.0.0.2:80");
    pair.hosts[1]
        .setsockopt(pair.now, listener, Opt::TCP_QUICKACK, &Value::Int(1))
        .unwrap();
    let client = pair.socket(0, false);
    pair.connect(client, "10.0.0.2:80").unwrap();
    pair.run(20);
    let sent = pair.flags[1].len();
    pair.hosts[0].write(pair.now, client, b"x").unwrap();
    pair.run(7);
    assert_eq!(pair.flags[1].len(), sent + 1);
}
