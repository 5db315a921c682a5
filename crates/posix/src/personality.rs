//! Whose manners: where Linux and FreeBSD differ, and the limits a system sets.

use std::sync::Arc;

use woshou_tcp::State;
use woshou_tcp::congestion::{self, CongestionFactory};

/// Whose `errno`s, numbers and habits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Personality {
    /// Linux.
    #[default]
    Linux,
    /// FreeBSD.
    FreeBsd,
}

impl Personality {
    /// The number of a state in `tcpi_state`.
    #[must_use]
    pub const fn state_number(self, state: State) -> u8 {
        let (linux, freebsd) = match state {
            State::Established => (1, 4),
            State::SynSent => (2, 2),
            State::SynReceived => (3, 3),
            State::FinWait1 => (4, 6),
            State::FinWait2 => (5, 9),
            State::TimeWait => (6, 10),
            State::Closed => (7, 0),
            State::CloseWait => (8, 5),
            State::LastAck => (9, 8),
            State::Listen => (10, 1),
            State::Closing => (11, 7),
        };
        match self {
            Self::Linux => linux,
            Self::FreeBsd => freebsd,
        }
    }

    /// The octets of window behind a value that SO_RCVBUF reports: Linux counts overhead, one octet for each of text.
    #[must_use]
    pub const fn window_of(self, buffer: usize) -> usize {
        match self {
            Self::Linux => buffer / 2,
            Self::FreeBsd => buffer,
        }
    }

    /// What SO_RCVBUF reports for so many octets of window.
    #[must_use]
    pub const fn buffer_of(self, window: usize) -> usize {
        match self {
            Self::Linux => window.saturating_mul(2),
            Self::FreeBsd => window,
        }
    }

    /// How many connections may wait where `listen` was asked for `backlog`.
    #[must_use]
    pub const fn queue_of(self, backlog: usize) -> usize {
        match self {
            Self::Linux => backlog + 1,
            Self::FreeBsd => backlog + backlog / 2 + 1,
        }
    }
}

/// What the system around the sockets allows.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whose manners. Default Linux.
    pub personality: Personality,
    /// Most that SO_RCVBUF can be set to before doubling, octets (`net.core.rmem_max`). Default 4 MiB.
    pub most_receive_buffer: usize,
    /// The same of SO_SNDBUF (`net.core.wmem_max`). Default 4 MiB.
    pub most_send_buffer: usize,
    /// Most connections that `listen` lets wait (`net.core.somaxconn`). Default 4,096.
    pub most_waiting: usize,
    /// Most descriptors open at once (RLIMIT_NOFILE). Default 65,536.
    pub descriptors: usize,
    /// Octets not sent yet above which a socket is not writable (`net.ipv4.tcp_notsent_lowat`). Default: none.
    pub not_sent_low: Option<u32>,
    /// What TCP_CONGESTION can choose. Default: what comes with woshou ([`congestion::NAMES`]; `reno` names NewReno
    /// too).
    pub congestion: Vec<Arc<dyn CongestionFactory>>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            personality: Personality::Linux,
            most_receive_buffer: 4 << 20,
            most_send_buffer: 4 << 20,
            most_waiting: 4096,
            descriptors: 65_536,
            not_sent_low: None,
            congestion: congestion::NAMES
                .iter()
                .filter_map(|name| congestion::by_name(name))
                .collect(),
        }
    }
}
