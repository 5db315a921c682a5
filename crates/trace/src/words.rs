//! Every word that people read, in English and in Chinese. State names and flags stay as the RFC spells them.

use std::fmt;
use std::str::FromStr;

use woshou_tcp::error::PathError;
use woshou_tcp::event::Timer;
use woshou_tcp::{Ended, Event, FalseAlarm, Reason, Refusal, State};

use crate::timeline::Fate;

/// The language of the words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Chinese (simplified).
    Zh,
}

/// `en` or `zh`, nothing else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such language: {0:?} (en and zh are there)")]
pub struct UnknownLang(String);

impl FromStr for Lang {
    type Err = UnknownLang;
    fn from_str(s: &str) -> Result<Self, UnknownLang> {
        match s {
            "en" => Ok(Self::En),
            "zh" => Ok(Self::Zh),
            other => Err(UnknownLang(other.to_owned())),
        }
    }
}

/// `en` or `zh`.
impl fmt::Display for Lang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::En => "en",
            Self::Zh => "zh",
        })
    }
}

/// Words of the renderers themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// Heading of the time column.
    TimeMs,
    /// Heading of one connection of several.
    Connection,
    /// "3 *of* 7".
    Of,
    /// A timer fired.
    Timer,
    /// A segment was refused.
    Refused,
    /// The connection ended, and not by closing.
    Ended,
    /// A loss turned out to be none.
    Undone,
    /// A second copy that the wire made.
    Copy,
    /// Arrives after a segment that left later.
    Late,
    /// Sequence number beyond the next one expected.
    Early,
    /// What a SACK option says.
    Has,
    /// Segments left out to be brief.
    MoreSegments,
    /// Octets, as a unit.
    Octets,
    /// Records that did not fit.
    Dropped,
    /// There was no TCP to draw.
    Nothing,
}

impl Word {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::TimeMs,
        Self::Connection,
        Self::Of,
        Self::Timer,
        Self::Refused,
        Self::Ended,
        Self::Undone,
        Self::Copy,
        Self::Late,
        Self::Early,
        Self::Has,
        Self::MoreSegments,
        Self::Octets,
        Self::Dropped,
        Self::Nothing,
    ];
}

/// Chinese of every [`Reason`]; the English is its `Display`.
const REASONS: [(Reason, &str); 31] = [
    (Reason::Abort, "中止：用户放弃连接"),
    (Reason::NoConnection, "拒绝：此处无人监听"),
    (Reason::WrongAck, "拒绝：确认号有误"),
    (Reason::Open, "发起连接：选定初始序号，提出选项"),
    (Reason::Accept, "接受连接：选定初始序号，商定选项"),
    (Reason::Handshake, "第三次握手：双方序号均已确认"),
    (Reason::Timeout, "超时重传"),
    (Reason::FastRetransmit, "快速重传：收到三个重复确认"),
    (Reason::LossRecovery, "丢包恢复：又发现一处丢失"),
    (Reason::RackLoss, "恢复：更晚发送的已经到达（RACK）"),
    (Reason::TailLossProbe, "探测：末尾是否丢失？"),
    (Reason::FrtoProbe, "探测：超时是否误判？（F-RTO）"),
    (Reason::LimitedTransmit, "受限发送：重复确认时送出新数据"),
    (Reason::WindowProbe, "窗口探测：窗口打开了吗？"),
    (Reason::MtuProbe, "路径 MTU 探测：更大的段能通过吗？"),
    (Reason::KeepAlive, "保活探测：你还在吗？"),
    (Reason::Data, "数据"),
    (Reason::Close, "挥手：本方向不再发送数据"),
    (Reason::Urgent, "紧急指针：紧急数据即将到来"),
    (Reason::Gap, "重复确认：中间缺了一段"),
    (Reason::HoleFilled, "确认：缺口已补上"),
    (Reason::Duplicate, "再次确认：此段早已收到"),
    (Reason::AckOfFin, "确认对方的 FIN"),
    (Reason::SecondSegment, "确认：每两个报文段一次"),
    (Reason::DelayedAck, "确认：延迟确认定时器到期"),
    (Reason::WindowUpdate, "窗口更新：又有空间了"),
    (Reason::OutsideWindow, "确认：该段落在窗口之外"),
    (Reason::Challenge, "质询确认：真的是你吗？"),
    (Reason::ProbeAnswer, "应答探测"),
    (Reason::Marked, "确认：路径拥塞（收到 CE 标记）"),
    (Reason::TimeWait, "再次确认重传的 FIN"),
];

/// Chinese of every [`Timer`].
const TIMERS: [(Timer, &str); 11] = [
    (Timer::Retransmission, "重传"),
    (Timer::Persist, "坚持"),
    (Timer::DelayedAck, "延迟确认"),
    (Timer::KeepAlive, "保活"),
    (Timer::UserTimeout, "用户超时"),
    (Timer::FinWait2, "FIN-WAIT-2"),
    (Timer::TimeWait, "2 MSL"),
    (Timer::SwsOverride, "糊涂窗口"),
    (Timer::TailLossProbe, "尾部丢失探测"),
    (Timer::Reordering, "乱序等待"),
    (Timer::Pacing, "发送节奏"),
];

/// Chinese of every [`FalseAlarm`].
const FALSE_ALARMS: [(FalseAlarm, &str); 3] = [
    (FalseAlarm::Eifel, "时间戳表明原段已到达"),
    (FalseAlarm::DuplicateSack, "重传的内容全部到达了两次"),
    (FalseAlarm::Frto, "超时是误判"),
];

/// Chinese of every [`Refusal`].
const REFUSALS: [(Refusal, &str); 18] = [
    (Refusal::OutsideWindow, "落在接收窗口之外"),
    (Refusal::OldTimestamp, "时间戳比已见过的更旧"),
    (Refusal::MissingTimestamp, "缺少时间戳"),
    (Refusal::BlindReset, "RST 的序号不等于 RCV.NXT：质询"),
    (Refusal::ValidReset, "有效的 RST：连接终止"),
    (Refusal::BlindSyn, "已建立的连接上收到 SYN：质询"),
    (Refusal::NoAck, "没有 ACK"),
    (Refusal::AckOfUnsent, "确认了从未发送的数据"),
    (Refusal::AckTooOld, "确认号过旧"),
    (Refusal::ResetWithoutAck, "RST 没有可接受的确认号"),
    (Refusal::NotSyn, "既非 SYN 也非 RST"),
    (Refusal::AckToListener, "监听端收到 ACK"),
    (Refusal::NoSyn, "监听端收到的段没有 SYN"),
    (Refusal::BacklogFull, "半连接队列已满"),
    (Refusal::AcceptQueueFull, "全连接队列已满"),
    (Refusal::TextAfterClose, "关闭之后又收到数据"),
    (Refusal::NoMemory, "内存不足，丢弃乱序数据"),
    (Refusal::Closed, "连接已关闭"),
];

/// Chinese of every [`PathError`].
const PATH_ERRORS: [(PathError, &str); 7] = [
    (PathError::NetworkUnreachable, "网络不可达"),
    (PathError::HostUnreachable, "主机不可达"),
    (PathError::ProtocolUnreachable, "协议不可达"),
    (PathError::PortUnreachable, "端口不可达"),
    (PathError::Prohibited, "被管理策略禁止"),
    (PathError::TimeExceeded, "生存时间耗尽"),
    (PathError::ParameterProblem, "首部字段有误"),
];

/// The Chinese of `key`; for a variant newer than this table, its English.
fn chinese<K: PartialEq + fmt::Display>(table: &[(K, &str)], key: &K) -> String {
    let found = table.iter().find(|(k, _)| k == key);
    found.map_or_else(|| key.to_string(), |(_, words)| (*words).to_owned())
}

impl Lang {
    /// Why a segment is sent.
    #[must_use]
    pub fn reason(self, reason: Reason) -> String {
        match self {
            Self::En => reason.to_string(),
            Self::Zh => chinese(&REASONS, &reason),
        }
    }

    /// The name of a timer.
    #[must_use]
    pub fn timer(self, timer: Timer) -> String {
        match self {
            Self::En => timer.to_string(),
            Self::Zh => chinese(&TIMERS, &timer),
        }
    }

    /// How a loss turned out to be none.
    #[must_use]
    pub fn false_alarm(self, by: FalseAlarm) -> String {
        match self {
            Self::En => by.to_string(),
            Self::Zh => chinese(&FALSE_ALARMS, &by),
        }
    }

    /// Why a segment was refused.
    #[must_use]
    pub fn refusal(self, refusal: Refusal) -> String {
        match self {
            Self::En => refusal.to_string(),
            Self::Zh => chinese(&REFUSALS, &refusal),
        }
    }

    /// Why a connection ended.
    #[must_use]
    pub fn ended(self, ended: Ended) -> String {
        if self == Self::En {
            return ended.to_string();
        }
        match ended {
            Ended::Closed => "已关闭".to_owned(),
            Ended::Reset => "连接被对方重置".to_owned(),
            Ended::Refused => "连接被拒绝".to_owned(),
            Ended::TimedOut(None) => "连接超时".to_owned(),
            Ended::TimedOut(Some(cause)) => format!("连接超时（{}）", self.path_error(cause)),
            Ended::Aborted => "连接已中止".to_owned(),
            Ended::NoMemory => "内存不足，连接被放弃".to_owned(),
            Ended::Unreachable(cause) => self.path_error(cause),
            newer => newer.to_string(),
        }
    }

    /// What the network reported.
    #[must_use]
    pub fn path_error(self, error: PathError) -> String {
        match self {
            Self::En => error.to_string(),
            Self::Zh => chinese(&PATH_ERRORS, &error),
        }
    }

    /// What moved a connection from state to state.
    #[must_use]
    pub const fn event(self, event: Event) -> &'static str {
        let (en, zh) = match event {
            Event::PassiveOpen => ("the user listens", "用户开始监听"),
            Event::ActiveOpen => ("the user connects", "用户发起连接"),
            Event::Syn => ("SYN arrived", "收到 SYN"),
            Event::SynAck => ("SYN,ACK arrived", "收到 SYN,ACK"),
            Event::AckOfSyn => ("our SYN is acknowledged", "本端 SYN 已被确认"),
            Event::Close => ("the user closes", "用户关闭"),
            Event::Fin => ("the peer's FIN arrived", "收到对方的 FIN"),
            Event::AckOfFin => ("our FIN is acknowledged", "本端 FIN 已被确认"),
            Event::TimeWaitOver => ("2 MSL have passed", "2 MSL 已过"),
            Event::Abort => ("given up", "连接被放弃"),
        };
        self.pick(en, zh)
    }

    /// What a state means, in a few words.
    #[must_use]
    pub const fn state(self, state: State) -> &'static str {
        let (en, zh) = match state {
            State::Closed => ("no connection", "没有连接"),
            State::Listen => ("waits for a SYN", "等待 SYN"),
            State::SynSent => ("waits for the answer to its SYN", "等待 SYN 的应答"),
            State::SynReceived => ("waits for the third of the handshake", "等待第三次握手"),
            State::Established => ("open in both directions", "双向畅通"),
            State::FinWait1 => ("waits for the ack of its FIN", "等待自己的 FIN 被确认"),
            State::FinWait2 => ("waits for the peer's FIN", "等待对方的 FIN"),
            State::CloseWait => ("waits for its own user to close", "等待本端用户关闭"),
            State::Closing => (
                "both closed at once, waits for the ack",
                "双方同时关闭，等待确认",
            ),
            State::LastAck => ("waits for the last ack", "等待最后的确认"),
            State::TimeWait => ("lets old segments die", "等待旧报文段消亡"),
        };
        self.pick(en, zh)
    }

    /// Why a packet did not arrive.
    #[must_use]
    pub const fn fate(self, fate: Fate) -> &'static str {
        let (en, zh) = match fate {
            Fate::Loss => ("lost", "丢失"),
            Fate::QueueFull => ("lost: queue full", "丢失：队列已满"),
            Fate::Corrupted => ("corrupted", "损坏"),
            Fate::TooBig => ("lost: too big", "丢失：报文过大"),
            Fate::Unreachable => ("lost: unreachable", "丢失：不可达"),
        };
        self.pick(en, zh)
    }

    /// A renderer's own word.
    #[must_use]
    pub const fn word(self, word: Word) -> &'static str {
        let (en, zh) = match word {
            Word::TimeMs => ("time ms", "毫秒"),
            Word::Connection => ("connection", "连接"),
            Word::Of => ("of", "/"),
            Word::Timer => ("timer", "定时器到期"),
            Word::Refused => ("refused", "拒收"),
            Word::Ended => ("ended", "结束"),
            Word::Undone => ("false alarm", "误判，恢复原状"),
            Word::Copy => ("copy made on the way", "途中产生的副本"),
            Word::Late => (
                "out of order: overtaken on the way",
                "乱序：途中被后发者超过",
            ),
            Word::Early => (
                "out of order: ahead of what is expected",
                "乱序：前面还缺数据",
            ),
            Word::Has => ("has", "已收到"),
            Word::MoreSegments => ("more segments", "个报文段从略"),
            Word::Octets => ("octets", "字节"),
            Word::Dropped => ("later records were not kept", "条后续记录未保留"),
            Word::Nothing => ("no TCP connection was seen", "没有看到 TCP 连接"),
        };
        self.pick(en, zh)
    }

    const fn pick(self, en: &'static str, zh: &'static str) -> &'static str {
        match self {
            Self::En => en,
            Self::Zh => zh,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Debug;

    use super::*;

    /// The variants of `pub enum name` in a source of woshou-tcp: the enums are `#[non_exhaustive]`, so the
    /// compiler does not tell when one is added.
    fn variants(file: &str, name: &str) -> BTreeSet<String> {
        let path = format!("{}/../tcp/src/{file}", env!("CARGO_MANIFEST_DIR"));
        let source = std::fs::read_to_string(path).unwrap();
        let body = source
            .split(&format!("pub enum {name} {{\n"))
            .nth(1)
            .unwrap();
        let body = body.split("\n}").next().unwrap();
        body.lines()
            .filter_map(|line| line.strip_prefix("    "))
            .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
            .map(|line| {
                line.split(|c: char| !c.is_alphanumeric())
                    .next()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    }

    fn keys<K: Debug>(table: &[(K, &str)]) -> BTreeSet<String> {
        table.iter().map(|(k, _)| format!("{k:?}")).collect()
    }

    #[test]
    fn no_variant_lacks_a_translation() {
        assert_eq!(keys(&REASONS), variants("event.rs", "Reason"));
        assert_eq!(keys(&TIMERS), variants("event.rs", "Timer"));
        assert_eq!(keys(&FALSE_ALARMS), variants("event.rs", "FalseAlarm"));
        assert_eq!(keys(&REFUSALS), variants("error.rs", "Refusal"));
        assert_eq!(keys(&PATH_ERRORS), variants("error.rs", "PathError"));
        let ended = [
            "Closed",
            "Reset",
            "Refused",
            "TimedOut",
            "Aborted",
            "NoMemory",
            "Unreachable",
        ];
        assert_eq!(
            BTreeSet::from(ended.map(str::to_owned)),
            variants("error.rs", "Ended")
        );
    }

    #[test]
    fn both_languages_have_words_and_they_differ() {
        for word in Word::ALL {
            assert!(!Lang::En.word(word).is_empty() && Lang::En.word(word).is_ascii());
            assert_ne!(Lang::Zh.word(word), Lang::En.word(word), "{word:?}");
        }
        for fate in Fate::ALL {
            assert_ne!(Lang::Zh.fate(fate), Lang::En.fate(fate), "{fate:?}");
        }
        for state in State::ALL {
            assert_ne!(Lang::Zh.state(state), Lang::En.state(state), "{state}");
        }
        for (reason, _) in REASONS {
            assert_ne!(Lang::Zh.reason(reason), Lang::En.reason(reason));
        }
        let ended = Ended::TimedOut(Some(PathError::HostUnreachable));
        assert_eq!(Lang::Zh.ended(ended), "连接超时（主机不可达）");
        assert_eq!(
            Lang::Zh.reason(Reason::Handshake),
            "第三次握手：双方序号均已确认"
        );
    }

    #[test]
    fn languages_parse_and_print() {
        for lang in [Lang::En, Lang::Zh] {
            assert_eq!(lang.to_string().parse(), Ok(lang));
        }
        assert!("fr".parse::<Lang>().is_err());
    }
}
