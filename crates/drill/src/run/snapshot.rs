//! What a code block sees: figures of the socket under test, at the time of the block.

use woshou_posix::{Figure, Figures, Personality, constants, info};
use woshou_tcp::State;

use super::Runner;
use crate::ast::Code;
use crate::code::{Named, Snapshot};
use crate::profile::Profile;
use crate::report::Stop;
use crate::span::Span;

/// A block, and what it is to be evaluated over.
pub(super) struct Block {
    pub(super) text: String,
    pub(super) span: Span,
    pub(super) snapshot: Seen,
}

/// Figures, and constants by the system's numbers.
pub(super) struct Seen {
    tcp: Figures,
    memory: Option<Figures>,
    personality: Personality,
}

/// Blocks that are kept at most: each holds a hundred figures.
const MAX_BLOCKS: usize = 10_000;

impl Runner<'_> {
    pub(super) fn block(&mut self, code: &Code) -> Result<(), Stop> {
        let fd = self.flows.under_test().and_then(|flow| flow.fd);
        let fd = fd.and_then(|fd| self.fds.get(&fd).copied());
        let now = self.world.instant();
        let tcp = fd.and_then(|fd| self.world.sockets.tcp_info(now, fd));
        let Some((tcp, fd)) = tcp.zip(fd) else {
            return Err(Stop::fail(
                code.span,
                "TCP_INFO of the socket under test cannot be read: it has no descriptor",
            ));
        };
        if self.blocks.len() >= MAX_BLOCKS {
            return Err(Stop::error(code.span, "too many code blocks"));
        }
        let memory = self.world.sockets.memory_info(fd);
        let personality = match self.config.profile {
            Profile::FreeBsd => Personality::FreeBsd,
            Profile::Linux | Profile::Woshou => Personality::Linux,
        };
        let snapshot = Seen {
            tcp,
            memory,
            personality,
        };
        self.blocks.push(Block {
            text: code.text.clone(),
            span: code.text_span,
            snapshot,
        });
        Ok(())
    }
}

impl Snapshot for Seen {
    fn value(&self, name: &str) -> Named {
        let figure = |figures: &Figures| match figures.get(name) {
            Figure::Known(value) => Some(Named::Value(i64::try_from(value).unwrap_or(i64::MAX))),
            Figure::Absent => Some(Named::Missing),
            Figure::NoSuchField => None,
        };
        if let Some(named) = figure(&self.tcp).or_else(|| self.memory.as_ref().and_then(figure)) {
            return named;
        }
        if let Some(number) = state(name, self.personality) {
            return Named::Value(number.into());
        }
        let families = ["tcpi_", "tcpv_", "bbr_", "dctcp_", "SK_MEMINFO_"];
        let known = info::LINUX_TCP_INFO.contains(&name)
            || info::FREEBSD_TCP_INFO.contains(&name)
            || families.iter().any(|family| name.starts_with(family));
        if known {
            return Named::Missing;
        }
        match constants::by_name(name) {
            Some(number) if name.starts_with("TCP") => Named::Value(number.into()),
            _ => Named::Unknown,
        }
    }
}

/// The number of a state, in the spellings of Linux and FreeBSD.
fn state(name: &str, personality: Personality) -> Option<u8> {
    let name = ["TCPS_", "TCPI_", "TCP_"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))?;
    let state = match name {
        "ESTABLISHED" => State::Established,
        "SYN_SENT" => State::SynSent,
        "SYN_RECV" | "SYN_RECEIVED" => State::SynReceived,
        "FIN_WAIT1" | "FIN_WAIT_1" => State::FinWait1,
        "FIN_WAIT2" | "FIN_WAIT_2" => State::FinWait2,
        "TIME_WAIT" => State::TimeWait,
        "CLOSE" | "CLOSED" => State::Closed,
        "CLOSE_WAIT" => State::CloseWait,
        "LAST_ACK" => State::LastAck,
        "LISTEN" => State::Listen,
        "CLOSING" => State::Closing,
        _ => return None,
    };
    Some(personality.state_number(state))
}
