//! Two hosts, one link, one conversation: run to the end and checked.

use std::fmt;
use std::time::Duration;

use woshou_tcp::{Ended, Instant, SeqNum, State};

use crate::app::{Failed, Party, Report, Script};
use crate::host::Host;
use crate::link::Path;
use crate::watch::Watcher;
use crate::world::{Halt, Traffic, World};

/// One of the two. In a list of both, the left one is first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The first host.
    Left,
    /// The second host.
    Right,
}

impl Side {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::Left, Self::Right];
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Left => "left",
            Self::Right => "right",
        })
    }
}

/// A conversation to be run.
#[derive(Debug)]
pub struct Conversation {
    /// The hosts; in the world they are `HostId(0)` and `HostId(1)`, their link is `LinkId(0)`.
    pub hosts: [Host; 2],
    /// From left to right.
    pub forth: Path,
    /// From right to left.
    pub back: Path,
    /// Who talks; `None`: nobody is there.
    pub parties: [Option<Script>; 2],
    /// Initial sequence numbers; `None`: the stack chooses.
    pub isns: [Option<SeqNum>; 2],
    /// How each side's connection should end; `None`: there should be none.
    pub ends: [Option<Ended>; 2],
    /// When to give up.
    pub limit: Instant,
}

/// How a conversation went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The seed it was run with.
    pub seed: u64,
    /// How it went for each side.
    pub sides: [SideOutcome; 2],
    /// Virtual time until nothing more happened.
    pub took: Duration,
    /// Packets.
    pub traffic: Traffic,
    /// Why the world stood still.
    pub halt: Halt,
}

/// How it went for one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideOutcome {
    /// The state of its connection at the end; CLOSED when there is none any more.
    pub state: State,
    /// What its party reports.
    pub report: Report,
    /// Octets it wanted to say.
    pub says: u64,
    /// Octets it expected.
    pub expects: u64,
    /// How it should have ended.
    pub should_end: Option<Ended>,
}

/// What is wrong with an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It did not come to rest.
    #[error("the network did not come to rest: {0:?}")]
    NoRest(Halt),
    /// A party could not begin.
    #[error("{0}: {1}")]
    Failed(Side, Failed),
    /// An octet is not what the peer said.
    #[error("{0}: octet {1} is wrong")]
    WrongOctet(Side, u64),
    /// Not all that the peer said came, or more.
    #[error("{side}: {received} of {expected} octets came")]
    Octets {
        /// Whose.
        side: Side,
        /// It should have had.
        expected: u64,
        /// It has.
        received: u64,
    },
    /// Not all was taken by the stack.
    #[error("{side}: {sent} of {says} octets were taken")]
    NotSent {
        /// Whose.
        side: Side,
        /// It wanted to say.
        says: u64,
        /// The stack took.
        sent: u64,
    },
    /// The connection ended otherwise than it should.
    #[error("{side}: ended by {ended:?} instead of {expected:?}")]
    Ended {
        /// Whose.
        side: Side,
        /// It should have.
        expected: Option<Ended>,
        /// It did.
        ended: Option<Ended>,
    },
    /// The peer's text did not come to its end.
    #[error("{0}: the peer's FIN was not seen")]
    NoEnd(Side),
    /// A connection is left.
    #[error("{0}: still {1}")]
    Left(Side, State),
}

impl Conversation {
    /// A conversation between two hosts over a perfect link that takes no time, which should end well.
    #[must_use]
    pub fn new(hosts: [Host; 2], parties: [Option<Script>; 2]) -> Self {
        Self {
            hosts,
            forth: Path::default(),
            back: Path::default(),
            parties,
            isns: [None, None],
            ends: [Some(Ended::Closed), Some(Ended::Closed)],
            limit: Instant::MAX,
        }
    }

    /// Runs it in a world with this seed until nothing more happens.
    pub fn run(self, seed: u64, watcher: &mut dyn Watcher) -> Outcome {
        let mut world = World::watched(seed, watcher);
        let hosts = self.hosts.map(|host| world.add_host(host));
        let [left, right] = hosts;
        world.add_link(left, right, self.forth, self.back);
        for (host, isn) in hosts.into_iter().zip(self.isns) {
            if let Some(isn) = isn {
                world.with_stack(host, |stack, _| stack.set_next_isn(isn));
            }
        }
        let plans = self.parties.each_ref().map(|party| {
            party
                .as_ref()
                .map_or((0, 0), |party| (party.says.len(), party.expects.len()))
        });
        // The right one first: it is the one that listens, and should be there when the other starts.
        let [left_party, right_party] = self.parties;
        let right_app = right_party.map(|script| world.add_app(right, Party::new(script)));
        let left_app = left_party.map(|script| world.add_app(left, Party::new(script)));
        let halt = world.run_until_idle(self.limit);
        let side = |n: usize, host, app: Option<_>| SideOutcome {
            state: world
                .stack(host)
                .connections()
                .first()
                .map_or(State::Closed, |&(_, s)| s),
            report: app.map(|app| world.report(app)).unwrap_or_default(),
            says: plans[n].0,
            expects: plans[n].1,
            should_end: self.ends[n],
        };
        Outcome {
            seed,
            sides: [side(0, left, left_app), side(1, right, right_app)],
            took: world.now().since(Instant::ZERO),
            traffic: world.traffic(),
            halt,
        }
    }
}

impl Outcome {
    /// Whether all went as it should: every octet right, both ends as planned, both CLOSED.
    ///
    /// # Errors
    /// The first fault, when something did not.
    pub fn check(&self) -> Result<(), Fault> {
        if self.halt != Halt::Idle {
            return Err(Fault::NoRest(self.halt));
        }
        Side::BOTH
            .into_iter()
            .zip(&self.sides)
            .try_for_each(|(side, outcome)| outcome.check(side))
    }
}

impl SideOutcome {
    fn check(&self, side: Side) -> Result<(), Fault> {
        let (expected, report) = (self.expects, &self.report);
        if let Some(failed) = report.failed {
            return Err(Fault::Failed(side, failed));
        }
        if let Some(place) = report.wrong_at {
            return Err(Fault::WrongOctet(side, place));
        }
        if report.received != expected {
            return Err(Fault::Octets {
                side,
                expected,
                received: report.received,
            });
        }
        if report.sent != self.says {
            return Err(Fault::NotSent {
                side,
                says: self.says,
                sent: report.sent,
            });
        }
        if report.ended != self.should_end {
            return Err(Fault::Ended {
                side,
                expected: self.should_end,
                ended: report.ended,
            });
        }
        if self.should_end == Some(Ended::Closed) && !report.end_of_text {
            return Err(Fault::NoEnd(side));
        }
        if self.state != State::Closed {
            return Err(Fault::Left(side, self.state));
        }
        Ok(())
    }
}
