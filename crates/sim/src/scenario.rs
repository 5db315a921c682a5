//! The stories that the demo tells: ten conversations that show what TCP does, each from a seed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use woshou_tcp::{Config, Ended, Instant, SeqNum};

use crate::app::{Begin, Finish, Role, Script};
use crate::content::Content;
use crate::conversation::{Conversation, Outcome, Side};
use crate::host::Host;
use crate::link::Path;
use crate::link::loss::Loss;
use crate::link::reorder::Reordering;
use crate::watch::Watcher;

/// One story. The left host opens, where only one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scenario {
    /// The well-known example: handshake, a request, a response, teardown, 2 MSL.
    Classic,
    /// A transfer over a perfect link.
    Transfer,
    /// A transfer that loses segments.
    Loss,
    /// A transfer whose segments overtake each other.
    Reorder,
    /// Both open at the same time.
    SimultaneousOpen,
    /// Both close at the same time.
    SimultaneousClose,
    /// One direction closes long before the other.
    HalfClose,
    /// Nobody listens.
    Refused,
    /// One side aborts.
    Reset,
    /// The receiver does not read for a while.
    ZeroWindow,
}

/// The port of the left host, in every story.
pub const LEFT_PORT: u16 = 3337;
/// The port of the right host.
pub const RIGHT_PORT: u16 = 7788;
/// The classic story's initial sequence numbers, left and right.
pub const CLASSIC_ISNS: [SeqNum; 2] = [SeqNum(3_626_544_836), SeqNum(1_739_326_486)];

const LEFT: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 116);
const RIGHT: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 123);
const ONE_WAY: Duration = Duration::from_millis(10);
const REQUEST: Content = Content::Literal(b"Shall we shake hands?\n");
const RESPONSE: Content = Content::Literal(b"With pleasure. And wave goodbye afterwards.\n");
/// Long after everything that a story may wait for.
const LIMIT: Instant = Instant::from_millis(24 * 3_600_000);

impl Scenario {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::Classic,
        Self::Transfer,
        Self::Loss,
        Self::Reorder,
        Self::SimultaneousOpen,
        Self::SimultaneousClose,
        Self::HalfClose,
        Self::Refused,
        Self::Reset,
        Self::ZeroWindow,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Transfer => "transfer",
            Self::Loss => "loss",
            Self::Reorder => "reorder",
            Self::SimultaneousOpen => "simultaneous-open",
            Self::SimultaneousClose => "simultaneous-close",
            Self::HalfClose => "half-close",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::ZeroWindow => "zero-window",
        }
    }

    /// One line about it, in English.
    #[must_use]
    pub const fn english(self) -> &'static str {
        match self {
            Self::Classic => {
                "three segments to say hello, a request and a response, four to say goodbye"
            }
            Self::Transfer => {
                "64 KiB over a perfect link: slow start, and an ACK for every second segment"
            }
            Self::Loss => "segments get lost: duplicate ACKs, fast retransmit, timers",
            Self::Reorder => "segments overtake each other: gaps that fill by themselves",
            Self::SimultaneousOpen => {
                "both sides open at once: the SYNs cross, and one connection results"
            }
            Self::SimultaneousClose => {
                "both sides close at once: the FINs cross, and both wait 2 MSL"
            }
            Self::HalfClose => "one side is done and closes; the other goes on talking",
            Self::Refused => "nobody listens at that port: the SYN is answered by RST",
            Self::Reset => "one side gives up in the middle: RST, and the other one learns of it",
            Self::ZeroWindow => {
                "the receiver does not read: the window shuts, is probed, and opens again"
            }
        }
    }

    /// One line about it, in Chinese.
    #[must_use]
    pub const fn chinese(self) -> &'static str {
        match self {
            Self::Classic => "三次握手，一问一答，四次挥手",
            Self::Transfer => "在完美链路上传输 64 KiB：慢启动，每两个报文段确认一次",
            Self::Loss => "报文段丢失：重复确认、快速重传与超时定时器",
            Self::Reorder => "报文段乱序到达：空洞会自行补齐",
            Self::SimultaneousOpen => "双方同时打开：两个 SYN 在途中交错，结果只有一个连接",
            Self::SimultaneousClose => "双方同时关闭：两个 FIN 在途中交错，双方都等待 2 MSL",
            Self::HalfClose => "一方说完先关闭自己的方向，另一方继续发送",
            Self::Refused => "端口无人监听：SYN 得到的回答是 RST",
            Self::Reset => "一方中途放弃：发出 RST，另一方随即得知",
            Self::ZeroWindow => "接收方不读数据：窗口关闭、被探测、再打开",
        }
    }

    /// Both ends, left and right: the same in every story.
    #[must_use]
    pub fn endpoints(self) -> [SocketAddr; 2] {
        [(LEFT, LEFT_PORT).into(), (RIGHT, RIGHT_PORT).into()]
    }

    /// The conversation it is.
    #[must_use]
    pub fn conversation(self, seed: u64) -> Conversation {
        let random = |len, salt: u64| Content::Random {
            seed: seed.wrapping_mul(2) ^ salt,
            len,
        };
        match self {
            Self::Classic => Conversation {
                isns: CLASSIC_ISNS.map(Some),
                ..question()
            },
            Self::Transfer => transfer(random(64 * 1024, 0)),
            Self::Loss => {
                let mut story = transfer(random(40_000, 0));
                // The third data segment in any case; others by the seed's luck.
                story.forth.loss = Loss {
                    chance: 0.04,
                    listed: vec![4],
                    ..Loss::default()
                };
                story.back.loss = Loss {
                    chance: 0.04,
                    ..Loss::default()
                };
                story
            }
            Self::Reorder => {
                let mut story = transfer(random(40_000, 0));
                story.forth.reordering = Reordering {
                    chance: 0.25,
                    hold: Duration::from_millis(5),
                    ..Reordering::default()
                };
                story
            }
            Self::SimultaneousOpen => simultaneous_open(),
            Self::SimultaneousClose => simultaneous_close(),
            Self::HalfClose => half_close(random(6_000, 1)),
            Self::Refused => refused(),
            Self::Reset => reset(random(5_000, 0)),
            Self::ZeroWindow => zero_window(random(20_000, 0)),
        }
    }
}

/// No scenario has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no scenario is called {0:?}; choose one of: {names}", names = names())]
pub struct UnknownScenario(pub String);

fn names() -> String {
    Scenario::ALL.map(Scenario::name).join(", ")
}

impl FromStr for Scenario {
    type Err = UnknownScenario;
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|scenario| scenario.name() == name)
            .ok_or_else(|| UnknownScenario(name.to_owned()))
    }
}

impl std::fmt::Display for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// Runs a story. The hosts are `HostId(0)` (left) and `HostId(1)` (right), their link is `LinkId(0)`.
pub fn run(scenario: Scenario, seed: u64, watcher: &mut dyn Watcher) -> Outcome {
    scenario.conversation(seed).run(seed, watcher)
}

/// The left or the right host of the stories.
#[must_use]
pub fn host(side: Side) -> Host {
    let (name, v4) = match side {
        Side::Left => ("left", LEFT),
        Side::Right => ("right", RIGHT),
    };
    let [.., last] = v4.octets();
    Host::new(
        name,
        v4,
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(last)),
    )
}

/// Opens from the left host's port to the right host's.
fn caller(says: Content, expects: Content) -> Script {
    let [from, to] = Scenario::Classic.endpoints();
    Script {
        role: Role::Connect {
            to,
            from: Some(from),
            after: Duration::ZERO,
        },
        ..Script::connecting(to, says, expects)
    }
}

/// Listens at the right host's port.
fn listener(says: Content, expects: Content) -> Script {
    Script::listening((IpAddr::from(RIGHT), RIGHT_PORT).into(), says, expects)
}

/// A conversation of the two over a link that takes 10 ms each way.
fn talk(left: Script, right: Option<Script>) -> Conversation {
    Conversation {
        forth: Path::delayed(ONE_WAY),
        back: Path::delayed(ONE_WAY),
        limit: LIMIT,
        ..Conversation::new(Side::BOTH.map(host), [Some(left), right])
    }
}

/// The left one asks and closes when it has the answer.
fn question() -> Conversation {
    let asks = Script {
        finish: Finish::WhenReceived,
        ..caller(REQUEST, RESPONSE)
    };
    let answers = Script {
        begin: Begin::Answering,
        ..listener(RESPONSE, REQUEST)
    };
    talk(asks, Some(answers))
}

fn transfer(content: Content) -> Conversation {
    talk(
        caller(content, Content::NONE),
        Some(listener(Content::NONE, content)),
    )
}

fn simultaneous_open() -> Conversation {
    let [left, right] = Scenario::Classic.endpoints();
    let asks = Script {
        finish: Finish::WhenReceived,
        ..caller(REQUEST, RESPONSE)
    };
    let opens_too = Script {
        role: Role::Connect {
            to: left,
            from: Some(right),
            after: Duration::ZERO,
        },
        begin: Begin::Answering,
        ..listener(RESPONSE, REQUEST)
    };
    talk(asks, Some(opens_too))
}

fn simultaneous_close() -> Conversation {
    let finish = Finish::At(Instant::from_millis(100));
    let left = Script {
        finish,
        ..caller(REQUEST, RESPONSE)
    };
    let right = Script {
        finish,
        begin: Begin::Answering,
        ..listener(RESPONSE, REQUEST)
    };
    talk(left, Some(right))
}

fn half_close(answer: Content) -> Conversation {
    let right = Script {
        begin: Begin::AfterEnd,
        ..listener(answer, REQUEST)
    };
    talk(caller(REQUEST, answer), Some(right))
}

fn refused() -> Conversation {
    Conversation {
        ends: [Some(Ended::Refused), None],
        ..talk(caller(Content::NONE, Content::NONE), None)
    }
}

fn reset(content: Content) -> Conversation {
    let gives_up = Script {
        finish: Finish::AbortAt(Instant::from_millis(100)),
        ..caller(content, Content::NONE)
    };
    Conversation {
        ends: [Some(Ended::Aborted), Some(Ended::Reset)],
        ..talk(gives_up, Some(listener(Content::NONE, content)))
    }
}

fn zero_window(content: Content) -> Conversation {
    let sleeps = Script {
        reads_from: Instant::from_millis(2_000),
        ..listener(Content::NONE, content)
    };
    let mut story = talk(caller(content, Content::NONE), Some(sleeps));
    story.hosts[1].tcp = Arc::new(Config {
        receive_buffer: 8 * 1024,
        ..Config::default()
    });
    story
}
