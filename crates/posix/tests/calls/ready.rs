//! poll and epoll: what is ready when, by level and by edge.

use std::time::Duration;

use woshou_posix::constants::*;
use woshou_posix::{Control, EpollEvent, Errno, Fd, Opt, PollFd, Stop, Value, Wait};

use crate::pair::{Pair, fails, text};

const NOW: Option<Duration> = Some(Duration::ZERO);
const IN: i32 = POLLIN | POLLRDNORM;
const OUT: i32 = POLLOUT | POLLWRNORM;
const ALL: i32 = IN | OUT | POLLPRI | POLLRDHUP;

fn poll(pair: &mut Pair, side: usize, fd: Fd, events: i32) -> i32 {
    let mut fds = [PollFd {
        fd,
        events,
        revents: 99,
    }];
    let ready = pair.hosts[side].poll(pair.now, &mut fds, NOW).unwrap();
    assert_eq!(ready, usize::from(fds[0].revents != 0));
    fds[0].revents
}

#[test]
fn what_a_socket_is_ready_for() {
    let mut pair = Pair::new();
    let idle = pair.socket(0, false);
    assert_eq!(
        poll(&mut pair, 0, idle, ALL),
        OUT | POLLHUP,
        "Linux, never connected"
    );
    assert_eq!(poll(&mut pair, 0, 99, ALL), POLLNVAL);
    assert_eq!(poll(&mut pair, 0, -1, ALL), 0);
    let opening = pair.socket(0, false);
    pair.nonblocking(0, opening);
    let listener = pair.listener("10.0.0.2:8080");
    assert_eq!(poll(&mut pair, 1, listener, ALL), 0);
    let to = Some("10.0.0.2:8080".parse().unwrap());
    pair.hosts[0].connect(pair.now, opening, to).unwrap_err();
    assert_eq!(poll(&mut pair, 0, opening, ALL), 0);
    pair.run(20);
    assert_eq!(poll(&mut pair, 0, opening, ALL), OUT);
    assert_eq!(
        poll(&mut pair, 0, opening, POLLIN),
        0,
        "only what is asked for"
    );
    assert_eq!(poll(&mut pair, 1, listener, ALL), IN);
    let (server, _) = pair.hosts[1].accept(pair.now, listener).unwrap();
    assert_eq!(poll(&mut pair, 1, listener, ALL), 0);
    pair.hosts[1].write(pair.now, server, b"text").unwrap();
    pair.run(20);
    assert_eq!(poll(&mut pair, 0, opening, ALL), IN | OUT);
    pair.hosts[1].shutdown(pair.now, server, SHUT_WR).unwrap();
    pair.run(20);
    assert_eq!(poll(&mut pair, 0, opening, ALL), IN | OUT | POLLRDHUP);
    pair.hosts[0].shutdown(pair.now, opening, SHUT_WR).unwrap();
    assert_eq!(
        poll(&mut pair, 0, opening, 0),
        POLLHUP,
        "both ways are over"
    );
    pair.run(20);
    assert_eq!(
        poll(&mut pair, 1, server, ALL),
        IN | OUT | POLLRDHUP | POLLHUP
    );
}

#[test]
fn errors_show_until_they_are_fetched() {
    let mut pair = Pair::new();
    let (client, server, _) = pair.connected();
    pair.reset(1, server);
    let over = IN | OUT | POLLRDHUP | POLLHUP;
    assert_eq!(poll(&mut pair, 0, client, ALL), over | POLLERR);
    pair.hosts[0]
        .getsockopt(pair.now, client, Opt::SO_ERROR)
        .unwrap();
    assert_eq!(poll(&mut pair, 0, client, ALL), over);
    let refused = pair.socket(0, false);
    pair.nonblocking(0, refused);
    let to = Some("10.0.0.2:9".parse().unwrap());
    pair.hosts[0].connect(pair.now, refused, to).unwrap_err();
    pair.run(20);
    assert_eq!(poll(&mut pair, 0, refused, ALL), over | POLLERR);
}

#[test]
fn a_full_socket_is_writable_when_a_third_is_free() {
    let mut pair = Pair::new();
    let (client, server, _) = pair.connected();
    pair.nonblocking(0, client);
    pair.hosts[0]
        .setsockopt(pair.now, client, Opt::SO_SNDBUF, &Value::Int(15_000))
        .unwrap();
    pair.hosts[1]
        .setsockopt(pair.now, server, Opt::SO_RCVBUF, &Value::Int(4000))
        .unwrap();
    while pair.hosts[0].write(pair.now, client, &text(9999)).is_ok() {
        pair.run(200);
    }
    assert_eq!(poll(&mut pair, 0, client, POLLOUT), 0);
    let mut had_some_room = false;
    for _ in 0..1000 {
        let room = pair.hosts[0].connection(client).unwrap().writable();
        let ready = poll(&mut pair, 0, client, POLLOUT) != 0;
        assert_eq!(ready, room >= 10_000, "{room} of 30,000 are free");
        had_some_room |= room > 0 && !ready;
        if ready {
            break;
        }
        let _ = pair.hosts[1].recv(pair.now, server, &mut [0; 1000], MSG_DONTWAIT);
        pair.run(50);
    }
    assert!(had_some_room);
    assert_ne!(poll(&mut pair, 0, client, POLLOUT), 0);
}

#[test]
fn poll_waits() {
    let mut pair = Pair::new();
    let (client, server, listener) = pair.connected();
    let entry = |fd| PollFd {
        fd,
        events: POLLIN,
        revents: 0,
    };
    let mut fds = [entry(server), entry(listener)];
    let timeout = Duration::from_millis(70);
    let Err(Stop::Blocked(wait)) = pair.hosts[1].poll(pair.now, &mut fds, Some(timeout)) else {
        panic!("nothing is ready");
    };
    assert_eq!(
        (wait.fd, wait.what, wait.until),
        (-1, Wait::Ready, Some(pair.now + timeout))
    );
    assert_eq!(pair.hosts[1].give_up(&wait), Ok(0));
    let Err(Stop::Blocked(wait)) = pair.hosts[1].poll(pair.now, &mut fds, None) else {
        panic!("nothing is ready");
    };
    assert_eq!(wait.until, None);
    pair.hosts[0].write(pair.now, client, b"text").unwrap();
    let ready = loop {
        pair.wait(1, &wait);
        if let Ok(ready) = pair.hosts[1].poll(pair.now, &mut fds, None) {
            break ready;
        }
    };
    assert_eq!((ready, fds[0].revents, fds[1].revents), (1, POLLIN, 0));
}

struct Watch {
    pair: Pair,
    client: Fd,
    server: Fd,
    epoll: Fd,
}

impl Watch {
    /// Host 0 watches `client` for `events`.
    fn new(events: i32) -> Self {
        let mut pair = Pair::new();
        let (client, server, _) = pair.connected();
        pair.nonblocking(0, client);
        let epoll = pair.hosts[0].epoll_create1(EPOLL_CLOEXEC).unwrap();
        let mut watch = Self {
            pair,
            client,
            server,
            epoll,
        };
        watch
            .control(Control::Add(Some(EpollEvent { events, data: 77 })))
            .unwrap();
        watch
    }

    fn control(&mut self, control: Control) -> Result<(), Stop> {
        self.pair.hosts[0].epoll_ctl(self.epoll, control, self.client)
    }

    /// What a wait tells now; zero: nothing.
    fn told(&mut self) -> i32 {
        let host = &mut self.pair.hosts[0];
        let events = host.epoll_wait(self.pair.now, self.epoll, 9, NOW).unwrap();
        assert!(events.len() < 2 && events.iter().all(|event| event.data == 77));
        events.first().map_or(0, |event| event.events)
    }

    fn peer_writes(&mut self, octets: &[u8]) {
        self.pair.hosts[1]
            .write(self.pair.now, self.server, octets)
            .unwrap();
        self.pair.run(100);
    }

    fn reads(&mut self, most: usize) {
        self.pair.hosts[0]
            .read(self.pair.now, self.client, &mut vec![0; most])
            .unwrap();
    }
}

#[test]
fn level_triggered() {
    let mut watch = Watch::new(EPOLLIN);
    assert_eq!(watch.told(), 0);
    watch.peer_writes(b"text");
    assert_eq!(
        [watch.told(), watch.told()],
        [EPOLLIN, EPOLLIN],
        "while it lasts"
    );
    watch.reads(3);
    assert_eq!(watch.told(), EPOLLIN);
    watch.reads(3);
    assert_eq!(watch.told(), 0);
}

#[test]
fn edge_triggered() {
    let mut watch = Watch::new(EPOLLIN | EPOLLET);
    assert_eq!(watch.told(), 0);
    watch.peer_writes(b"text");
    assert_eq!([watch.told(), watch.told()], [EPOLLIN, 0], "once");
    watch.reads(1);
    assert_eq!(watch.told(), 0, "reading is no news");
    watch.peer_writes(b"more");
    assert_eq!(
        [watch.told(), watch.told()],
        [EPOLLIN, 0],
        "more text is, although some was there"
    );
    watch.reads(99);
    watch.peer_writes(b"again");
    watch.reads(99);
    assert_eq!(watch.told(), 0, "read before it was told");
    watch
        .control(Control::Modify(Some(EpollEvent {
            events: EPOLLIN | EPOLLET,
            data: 77,
        })))
        .unwrap();
    assert_eq!(watch.told(), 0);
    watch.peer_writes(b"x");
    watch.told();
    watch
        .control(Control::Modify(Some(EpollEvent {
            events: EPOLLIN | EPOLLET,
            data: 77,
        })))
        .unwrap();
    assert_eq!([watch.told(), watch.told()], [EPOLLIN, 0], "MOD looks anew");
}

#[test]
fn edges_of_writability() {
    let mut watch = Watch::new(EPOLLIN | EPOLLOUT | EPOLLET);
    assert_eq!([watch.told(), watch.told()], [EPOLLOUT, 0]);
    let (client, server) = (watch.client, watch.server);
    let size = Value::Int(10_000);
    watch.pair.hosts[0]
        .setsockopt(watch.pair.now, client, Opt::SO_SNDBUF, &size)
        .unwrap();
    assert_eq!(
        watch.pair.hosts[0].write(watch.pair.now, client, &text(50_000)),
        Ok(20_000)
    );
    assert_eq!(watch.told(), 0, "full");
    watch.pair.run(300);
    assert_eq!([watch.told(), watch.told()], [EPOLLOUT, 0], "room again");
    // What both ways have is told together.
    watch.peer_writes(b"text");
    assert_eq!(watch.told(), EPOLLIN | EPOLLOUT);
    watch.pair.reset(1, server);
    let told = watch.told();
    assert_eq!(told, EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP);
    assert_eq!(watch.told(), 0);
}

#[test]
fn news_of_the_other_kind_is_none() {
    let mut watch = Watch::new(EPOLLOUT | EPOLLET);
    assert_eq!(watch.told(), EPOLLOUT);
    watch.peer_writes(b"text");
    assert_eq!(watch.told(), 0, "text is not what was asked for");
}

#[test]
fn once_and_then_silent() {
    let mut watch = Watch::new(EPOLLIN | EPOLLONESHOT);
    watch.peer_writes(b"text");
    assert_eq!([watch.told(), watch.told()], [EPOLLIN, 0]);
    watch.peer_writes(b"more");
    assert_eq!(watch.told(), 0);
    let again = EpollEvent {
        events: EPOLLIN | EPOLLONESHOT,
        data: 77,
    };
    watch.control(Control::Modify(Some(again))).unwrap();
    assert_eq!([watch.told(), watch.told()], [EPOLLIN, 0]);
}

#[test]
fn hang_ups_come_unasked() {
    let mut watch = Watch::new(EPOLLRDHUP);
    watch.peer_writes(b"text");
    assert_eq!(watch.told(), 0);
    watch.pair.hosts[1]
        .shutdown(watch.pair.now, watch.server, SHUT_WR)
        .unwrap();
    watch.pair.run(20);
    assert_eq!(watch.told(), EPOLLRDHUP);
    watch
        .control(Control::Modify(Some(EpollEvent {
            events: 0,
            data: 77,
        })))
        .unwrap();
    assert_eq!(watch.told(), 0);
    watch.pair.reset(1, watch.server);
    assert_eq!(watch.told(), EPOLLERR | EPOLLHUP);
}

#[test]
fn failures_of_epoll() {
    let mut watch = Watch::new(EPOLLIN);
    let event = Some(EpollEvent {
        events: EPOLLIN,
        data: 0,
    });
    assert_eq!(watch.control(Control::Add(event)), fails(Errno::EEXIST));
    assert_eq!(watch.control(Control::Add(None)), fails(Errno::EFAULT));
    assert_eq!(watch.control(Control::Delete), Ok(()));
    assert_eq!(watch.control(Control::Delete), fails(Errno::ENOENT));
    assert_eq!(watch.control(Control::Modify(event)), fails(Errno::ENOENT));
    let (now, epoll, client) = (watch.pair.now, watch.epoll, watch.client);
    let host = &mut watch.pair.hosts[0];
    let other = host.epoll_create(1).unwrap();
    assert_eq!(host.epoll_create(0), fails(Errno::EINVAL));
    assert_eq!(host.epoll_create1(1), fails(Errno::EINVAL));
    let add = Control::Add(event);
    assert_eq!(host.epoll_ctl(epoll, add, epoll), fails(Errno::EINVAL));
    assert_eq!(host.epoll_ctl(client, add, epoll), fails(Errno::EINVAL));
    assert_eq!(host.epoll_ctl(99, add, client), fails(Errno::EBADF));
    assert_eq!(host.epoll_ctl(epoll, add, 99), fails(Errno::EBADF));
    let nested = Err(Stop::Unsupported("epoll within epoll".into()));
    assert_eq!(host.epoll_ctl(epoll, add, other), nested);
    assert_eq!(host.epoll_wait(now, epoll, 0, NOW), fails(Errno::EINVAL));
    assert_eq!(host.epoll_wait(now, client, 1, NOW), fails(Errno::EINVAL));
    assert_eq!(host.epoll_wait(now, 99, 1, NOW), fails(Errno::EBADF));
    let blocked = host.epoll_wait(now, epoll, 1, Some(Duration::from_millis(3)));
    let Err(Stop::Blocked(wait)) = blocked else {
        panic!("nothing is watched");
    };
    assert_eq!(
        (wait.what, wait.until),
        (Wait::Ready, Some(now + Duration::from_millis(3)))
    );
}

#[test]
fn nobody_is_starved_and_a_closed_one_is_forgotten() {
    let mut pair = Pair::new();
    let epoll = pair.hosts[0].epoll_create(1).unwrap();
    let fds: Vec<Fd> = (0..5).map(|_| pair.socket(0, false)).collect();
    for fd in &fds {
        let event = EpollEvent {
            events: EPOLLOUT,
            data: u64::from(fd.cast_unsigned()),
        };
        pair.hosts[0]
            .epoll_ctl(epoll, Control::Add(Some(event)), *fd)
            .unwrap();
    }
    let mut seen = Vec::new();
    for _ in 0..5 {
        let events = pair.hosts[0].epoll_wait(pair.now, epoll, 2, NOW).unwrap();
        assert_eq!(events.len(), 2);
        seen.extend(events.into_iter().map(|event| event.data));
    }
    for fd in &fds {
        let times = seen
            .iter()
            .filter(|data| **data == u64::from(fd.cast_unsigned()))
            .count();
        assert_eq!(times, 2, "ten places for five");
    }
    for fd in fds {
        assert_ne!(
            pair.hosts[0].readiness(epoll) & POLLIN,
            0,
            "an epoll can be polled"
        );
        pair.hosts[0].close(pair.now, fd).unwrap();
    }
    assert_eq!(pair.hosts[0].readiness(epoll), 0);
    // The number of a closed one, taken again, is not watched.
    let again = pair.socket(0, false);
    assert_eq!(again, 4);
    assert_eq!(
        pair.hosts[0].epoll_wait(pair.now, epoll, 9, NOW),
        Ok(vec![])
    );
    pair.hosts[0].close(pair.now, again).unwrap();
    assert_eq!(
        pair.hosts[0].epoll_wait(pair.now, epoll, 9, NOW),
        Ok(vec![])
    );
    assert_eq!(pair.hosts[0].close(pair.now, epoll), Ok(()));
}
