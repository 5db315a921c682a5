//! Two connections, the network between them, and virtual time.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use super::super::*;
use crate::options::Offer;
use crate::segment::{Ecn, Flags, Header, Text};

/// A segment on its way.
#[derive(Clone, Debug)]
pub(super) struct Flying {
    pub(super) arrives: Instant,
    pub(super) header: Header,
    pub(super) text: Vec<u8>,
    pub(super) reason: Reason,
    pub(super) ecn: Ecn,
}

/// One end: SYN-SENT or later.
#[derive(Debug)]
pub(super) enum End {
    Opening(Box<Opening>),
    Connection(Box<Connection>),
}

/// Decides by side, count of segments so far and segment whether the network loses it.
pub(super) type Drop = Box<dyn FnMut(usize, u64, &Flying) -> bool>;

/// Two ends and the network between them: everything arrives after `delay`, unless `drop` says otherwise.
pub(super) struct Pair {
    pub(super) now: Instant,
    pub(super) ends: [End; 2],
    pub(super) wire: [VecDeque<Flying>; 2],
    pub(super) delay: Duration,
    pub(super) drop: Drop,
    /// Decides likewise which ECN-capable packets the network marks.
    pub(super) mark: Drop,
    pub(super) sent: [u64; 2],
    pub(super) log: Vec<(usize, Reason, Header, usize)>,
}

pub(super) const A: &str = "192.0.2.1:40000";
pub(super) const B: &str = "192.0.2.2:80";
/// Both sequence spaces wrap within the first octets.
pub(super) const ISS: [SeqNum; 2] = [SeqNum(0xffff_ffff), SeqNum(0xffff_fff0)];

pub(super) fn setup(side: usize) -> Setup {
    let addresses: [SocketAddr; 2] = [A.parse().unwrap(), B.parse().unwrap()];
    Setup {
        endpoints: Endpoints {
            local: addresses[side],
            remote: addresses[1 - side],
        },
        iss: ISS[side],
        timestamp_offset: 0xffff_fff0,
        send_mss: 1460,
        receive_mss: 1460,
    }
}

impl Pair {
    /// Both open at once towards each other.
    pub(super) fn simultaneous(config: Config) -> Self {
        let config = Arc::new(config);
        let mut cx = Context::unwatched(Instant::ZERO);
        let end = |side| Opening::new(&mut cx, setup(side), Arc::clone(&config));
        let ends = [0, 1].map(end).map(|o| End::Opening(Box::new(o)));
        Self {
            now: Instant::ZERO,
            ends,
            wire: [VecDeque::new(), VecDeque::new()],
            delay: Duration::from_millis(10),
            drop: Box::new(|_, _, _| false),
            mark: Box::new(|_, _, _| false),
            sent: [0, 0],
            log: Vec::new(),
        }
    }

    /// Open, with nothing owed: the passive side made as a listener makes it.
    pub(super) fn open(config: Config) -> Self {
        let mut pair = Self::simultaneous(config.clone());
        let mut cx = Context::unwatched(Instant::ZERO);
        let End::Opening(opening) = &mut pair.ends[0] else {
            panic!()
        };
        let plan = opening.plan(Instant::ZERO, 0).expect("SYN");
        let syn = opening.build(&mut cx, plan).header;
        let config = Arc::new(config);
        let offer = Offer::new(&config, 1460);
        let agreed = offer.agree(&setup(1).endpoints, &syn);
        let header = Header {
            seq: ISS[1],
            ack: syn.seq + 1,
            flags: if agreed.ecn {
                Flags::SYN | Flags::ACK | Flags::ECE
            } else {
                Flags::SYN | Flags::ACK
            },
            window: u16::try_from(window_of_syn(&config)).unwrap(),
            urgent: 0,
            options: offer.syn_ack(&syn.options, 0xffff_fff0),
        };
        pair.ends[1] = End::Connection(Connection::passive(
            &mut cx,
            setup(1),
            agreed,
            config,
            SynAck {
                sent_at: Some(Instant::ZERO),
                repeats: 0,
            },
        ));
        pair.wire[1].push_back(Flying {
            arrives: Instant::ZERO,
            header,
            text: vec![],
            reason: Reason::Accept,
            ecn: Ecn::NotEct,
        });
        pair.run_for(Duration::from_millis(50));
        assert_eq!(pair.states(), [State::Established; 2]);
        pair.log.clear();
        pair.sent = [0, 0];
        pair
    }

    pub(super) fn states(&self) -> [State; 2] {
        [0, 1].map(|side| match &self.ends[side] {
            End::Opening(o) => o.state(),
            End::Connection(c) => c.state(),
        })
    }

    pub(super) fn end(&mut self, side: usize) -> &mut Connection {
        match &mut self.ends[side] {
            End::Connection(c) => c,
            End::Opening(_) => panic!("still opening"),
        }
    }

    pub(super) fn call<R>(
        &mut self,
        side: usize,
        f: impl FnOnce(&mut Connection, &mut Context<'_>) -> R,
    ) -> R {
        let mut cx = Context::unwatched(self.now);
        let result = f(self.end(side), &mut cx);
        self.transmit();
        result
    }

    pub(super) fn write(&mut self, side: usize, octets: &[u8]) -> usize {
        self.call(side, |c, cx| c.write(cx, octets)).unwrap_or(0)
    }

    pub(super) fn read(&mut self, side: usize, most: usize) -> Vec<u8> {
        let mut buffer = vec![0; most];
        let n = self.call(side, |c, _| c.read(&mut buffer)).unwrap_or(0);
        buffer.truncate(n);
        buffer
    }

    pub(super) fn transmit(&mut self) {
        for side in 0..2 {
            loop {
                let mut cx = Context::unwatched(self.now);
                let segment = match &mut self.ends[side] {
                    End::Opening(o) => {
                        let Some(plan) = o.plan(self.now, 1460) else {
                            break;
                        };
                        o.build(&mut cx, plan)
                    }
                    End::Connection(c) => {
                        let largest = c.plan(self.now, c.largest_segment(self.now));
                        let probe = largest.filter(|plan| plan.reason == Reason::MtuProbe);
                        let Some(plan) = probe.or_else(|| c.plan(self.now, c.segment_len())) else {
                            break;
                        };
                        c.build(&mut cx, plan)
                    }
                };
                let mut flying = Flying {
                    arrives: self.now + self.delay,
                    header: segment.header,
                    text: segment.text.concat(),
                    reason: segment.reason,
                    ecn: segment.ecn,
                };
                assert!(segment.segment_size.is_none(), "one segment was allowed");
                self.sent[side] += 1;
                self.log
                    .push((side, flying.reason, flying.header, flying.text.len()));
                if flying.ecn == Ecn::Ect0 && (self.mark)(side, self.sent[side], &flying) {
                    flying.ecn = Ecn::Ce;
                }
                if !(self.drop)(side, self.sent[side], &flying) {
                    self.wire[side].push_back(flying);
                }
            }
        }
    }

    /// The next moment at which anything happens.
    pub(super) fn next(&self) -> Option<Instant> {
        let arrivals = self
            .wire
            .iter()
            .filter_map(|w| w.front().map(|f| f.arrives));
        let timers = self.ends.iter().filter_map(|end| match end {
            End::Opening(o) => o.poll_timeout(),
            End::Connection(c) => c.poll_timeout(),
        });
        arrivals.chain(timers).min()
    }

    pub(super) fn step(&mut self) -> bool {
        self.transmit();
        let Some(next) = self.next() else {
            return false;
        };
        self.now = self.now.max(next);
        let mut cx = Context::unwatched(self.now);
        for side in 0..2 {
            while self.wire[1 - side]
                .front()
                .is_some_and(|f| f.arrives <= self.now)
            {
                let flying = self.wire[1 - side].pop_front().unwrap();
                let segment = Segment {
                    ecn: flying.ecn,
                    header: flying.header,
                    text: Text {
                        octets: &flying.text,
                        owner: None,
                    },
                    ..Segment::default()
                };
                let opened = match &mut self.ends[side] {
                    End::Opening(o) => o.handle_segment(&mut cx, &segment).ok(),
                    End::Connection(c) => {
                        let _ = c.handle_segment(&mut cx, &segment);
                        None
                    }
                };
                if let Some(Opened::Connection(c)) = opened {
                    self.ends[side] = End::Connection(c);
                }
            }
            match &mut self.ends[side] {
                End::Opening(o) => o.handle_timeout(&mut cx),
                End::Connection(c) => c.handle_timeout(&mut cx),
            }
        }
        self.transmit();
        true
    }

    pub(super) fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        self.transmit();
        while self.next().is_some_and(|at| at <= until) && self.step() {}
        self.now = until;
    }

    pub(super) fn reasons(&self, side: usize) -> Vec<Reason> {
        self.log
            .iter()
            .filter(|l| l.0 == side)
            .map(|l| l.1)
            .collect()
    }
}

pub(super) fn octets(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 7 + i / 251) as u8).collect()
}

pub(super) const LONG: Duration = Duration::from_secs(30);
