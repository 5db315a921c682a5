//! TCP options of packet lines.

/// A TCP option. Its octets are exactly what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TcpOption {
    /// `nop`
    Nop,
    /// `eol`
    Eol,
    /// `mss N`
    Mss(u16),
    /// `wscale N`: the shift count.
    WindowScale(u8),
    /// `sackOK`
    SackPermitted,
    /// `sack a:b ...`; one to four blocks.
    Sack(Vec<SackBlock>),
    /// `TS val N ecr N`
    Timestamp {
        /// `None` for `...`: any value, expected packets only.
        value: Option<u32>,
        /// The echo reply.
        echo: u32,
        /// `!` behind the echo reply: do not map it.
        echo_absolute: bool,
    },
    /// `md5 ...`
    Md5(Md5),
    /// `FO cookie`, or `FOEXP`/`exp-FO` for the experimental form (kind 254, magic 0xF989).
    FastOpen {
        /// The cookie.
        cookie: Cookie,
        /// The experimental form.
        experimental: bool,
    },
    /// `ECN`, `AccECN0`, `AccECN1` or, for the experimental form, `exp-AccECN0`, `exp-AccECN1` (RFC 9768).
    AccEcn {
        /// The order of the counters, which decides the kind.
        order: AccEcnOrder,
        /// None to three counters, 24 bits each, in the order of the option.
        counters: Vec<u32>,
        /// The experimental form.
        experimental: bool,
    },
    /// `exp-tarr` or `exp-tarr R`: the TCP ACK rate request, with its 11-bit rate.
    AckRate(Option<u16>),
    /// `gen-KIND hex`: any option.
    Generic {
        /// The kind.
        kind: u8,
        /// The octets behind the length.
        data: Vec<u8>,
    },
}

/// Edges of a SACK block, in the numbers of the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SackBlock {
    /// The first sequence number in the block.
    pub left: u32,
    /// The sequence number behind the block.
    pub right: u32,
}

/// The digest of an MD5 option (RFC 2385).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Md5 {
    /// `md5 hex`: exactly these octets.
    Digest([u8; 16]),
    /// `md5 valid`: the right one for the secret of `--tcp_md5_secret`.
    Valid,
}

/// A Fast Open cookie (RFC 7413).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cookie {
    /// No octets: a request.
    Request,
    /// These octets.
    Octets(Vec<u8>),
    /// A name that stands for a cookie and that nothing defined, such as `TFO_COOKIE`.
    Named(String),
}

/// Which counter an AccECN option starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccEcnOrder {
    /// E0B, CEB, E1B: kind 172.
    E0First,
    /// E1B, CEB, E0B: kind 174.
    E1First,
}

impl TcpOption {
    /// The octets that the option takes, or `None` if that depends on a cookie without a value.
    #[must_use]
    pub fn wire_length(&self) -> Option<usize> {
        Some(match self {
            Self::Nop | Self::Eol => 1,
            Self::Mss(_) => 4,
            Self::WindowScale(_) => 3,
            Self::SackPermitted => 2,
            Self::Sack(blocks) => 2 + 8 * blocks.len(),
            Self::Timestamp { .. } => 10,
            Self::Md5(_) => 18,
            Self::FastOpen {
                cookie,
                experimental,
            } => {
                let magic = if *experimental { 2 } else { 0 };
                match cookie {
                    Cookie::Request => 2 + magic,
                    Cookie::Octets(octets) => 2 + magic + octets.len(),
                    Cookie::Named(_) => return None,
                }
            }
            Self::AccEcn {
                counters,
                experimental,
                ..
            } => 2 + if *experimental { 2 } else { 0 } + 3 * counters.len(),
            Self::AckRate(rate) => 4 + if rate.is_some() { 2 } else { 0 },
            Self::Generic { data, .. } => 2 + data.len(),
        })
    }
}
