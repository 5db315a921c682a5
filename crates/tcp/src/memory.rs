//! What a connection may still take when its owner runs short of memory.

/// How short of memory the owner of a connection is (see [`crate::Connection::set_pressure`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pressure {
    /// There is plenty: only the connection's own limits count.
    #[default]
    Plenty,
    /// Windows grow no further than a few segments beyond what was read, and little is taken from the user.
    Pressure,
    /// Nothing is taken that is not needed to get on: text that the user has not asked for yet, and text out of
    /// order, is dropped like a lost packet.
    Critical,
}

impl Pressure {
    /// Most octets that a send buffer of `limit` takes from the user.
    pub(crate) fn send_limit(self, limit: usize) -> usize {
        match self {
            Self::Plenty => limit,
            Self::Pressure => limit.min(SEND_UNDER_PRESSURE),
            Self::Critical => limit.min(SEND_WHEN_CRITICAL),
        }
    }

    /// Most octets that a window of `capacity` is opened to, for segments of `mss` octets.
    ///
    /// A few segments keep the peer's acknowledgement clock going (Linux leaves four, too); less would make it silly.
    pub(crate) fn receive_limit(self, capacity: u32, mss: u32) -> u32 {
        match self {
            Self::Plenty => capacity,
            Self::Pressure => capacity.min(mss.saturating_mul(4)),
            Self::Critical => 0,
        }
    }

    /// Most octets of text that are taken from one segment. A train of segments taken as one is 64 KiB, from each of a thousand
    /// connections that get on.
    pub(crate) fn text_limit(self) -> usize {
        match self {
            Self::Plenty | Self::Pressure => usize::MAX,
            Self::Critical => SEND_WHEN_CRITICAL,
        }
    }
}

/// Octets of text that may wait for a peer under pressure: some segments, so that the connection gets on.
const SEND_UNDER_PRESSURE: usize = 16 * 1024;
/// The same when memory is all but used up: the smallest chunk of a send buffer, and of a receive buffer.
const SEND_WHEN_CRITICAL: usize = 2 * 1024;
