//! What TCP sees of a packet, coming in ([`Segment`]) and going out ([`Transmit`]).

use core::fmt;
use core::net::SocketAddr;
use core::ops::BitOr;

use bytes::Bytes;
use woshou_wire::tcp_option::TcpOptions;

use crate::event::Reason;
use crate::seq::SeqNum;

/// The two ends of a connection, as this side sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoints {
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's address and port.
    pub remote: SocketAddr,
}

impl Endpoints {
    /// Octets of an IP and a TCP header without options.
    pub(crate) fn fixed_headers(&self) -> u32 {
        if self.remote.is_ipv6() {
            40 + 20
        } else {
            20 + 20
        }
    }
}

/// The control bits of RFC 9293 section 3.1, in wire order; AE is bit 8 (RFC 9768).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u16);

impl Flags {
    /// No bit set.
    pub const NONE: Self = Self(0);
    /// No more data from the sender.
    pub const FIN: Self = Self(1);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(1 << 1);
    /// Reset the connection.
    pub const RST: Self = Self(1 << 2);
    /// Push.
    pub const PSH: Self = Self(1 << 3);
    /// The acknowledgement number counts.
    pub const ACK: Self = Self(1 << 4);
    /// The urgent pointer counts.
    pub const URG: Self = Self(1 << 5);
    /// ECN echo (RFC 3168).
    pub const ECE: Self = Self(1 << 6);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Self = Self(1 << 7);
    /// Accurate ECN (RFC 9768).
    pub const AE: Self = Self(1 << 8);

    /// The nine low bits of octets 12 and 13 of the header.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & 0x1ff)
    }

    /// As on the wire.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is set.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// `self` without the bits of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// SYN.
    #[must_use]
    pub const fn syn(self) -> bool {
        self.contains(Self::SYN)
    }
    /// ACK.
    #[must_use]
    pub const fn ack(self) -> bool {
        self.contains(Self::ACK)
    }
    /// FIN.
    #[must_use]
    pub const fn fin(self) -> bool {
        self.contains(Self::FIN)
    }
    /// RST.
    #[must_use]
    pub const fn rst(self) -> bool {
        self.contains(Self::RST)
    }
    /// URG.
    #[must_use]
    pub const fn urg(self) -> bool {
        self.contains(Self::URG)
    }
}

impl BitOr for Flags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// `SYN,ACK`; `none` when no bit is set.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(Flags, &str); 9] = [
            (Flags::SYN, "SYN"),
            (Flags::FIN, "FIN"),
            (Flags::RST, "RST"),
            (Flags::PSH, "PSH"),
            (Flags::ACK, "ACK"),
            (Flags::URG, "URG"),
            (Flags::ECE, "ECE"),
            (Flags::CWR, "CWR"),
            (Flags::AE, "AE"),
        ];
        let mut separator = "";
        for (flag, name) in NAMES {
            if self.contains(flag) {
                write!(f, "{separator}{name}")?;
                separator = ",";
            }
        }
        if self.0 == 0 {
            f.write_str("none")
        } else {
            Ok(())
        }
    }
}

/// The ECN field of the IP header (RFC 3168 section 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ecn {
    /// 00: not ECN-capable.
    #[default]
    NotEct = 0,
    /// 01: ECN-capable, and L4S (RFC 9331).
    Ect1 = 1,
    /// 10: ECN-capable.
    Ect0 = 2,
    /// 11: congestion experienced.
    Ce = 3,
}

/// The fields of a TCP header that TCP itself reads and writes: no ports, no checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// SEG.SEQ.
    pub seq: SeqNum,
    /// SEG.ACK; zero and without meaning unless ACK is set.
    pub ack: SeqNum,
    /// Control bits.
    pub flags: Flags,
    /// SEG.WND as on the wire, unscaled.
    pub window: u16,
    /// SEG.UP; counts only with URG.
    pub urgent: u16,
    /// Options.
    pub options: TcpOptions,
}

/// The text of a segment that arrived.
///
/// `owner`, when given, is a reference-counted buffer that holds `octets` and little else, so that keeping
/// a reference costs no more memory than a copy would; without it the text is copied where it must be kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Text<'a> {
    /// The octets.
    pub octets: &'a [u8],
    /// The buffer they lie in.
    pub owner: Option<&'a Bytes>,
}

/// A segment that arrived, checksum verified.
#[derive(Clone, Copy, Debug, Default)]
pub struct Segment<'a> {
    /// The header.
    pub header: Header,
    /// The text.
    pub text: Text<'a>,
    /// The ECN field of the IP packet that carried it.
    pub ecn: Ecn,
    /// How many segments of the wire this one stands for (GRO coalesces); zero counts as one.
    pub coalesced: u16,
}

impl Segment<'_> {
    /// Octets of text.
    pub(crate) fn len_of_text(&self) -> u32 {
        u32::try_from(self.text.octets.len()).unwrap_or(u32::MAX - 2)
    }

    /// SEG.LEN: octets of text, with SYN and FIN counted.
    ///
    /// Text is never longer than an IP packet, so this does not overflow.
    #[must_use]
    pub fn len(&self) -> u32 {
        let control = u32::from(self.header.flags.syn()) + u32::from(self.header.flags.fin());
        self.len_of_text() + control
    }

    /// Whether it occupies no sequence space.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A segment to send: a header, at most two pieces of borrowed text, and why.
#[derive(Clone, Copy, Debug)]
pub struct Transmit<'a> {
    /// The header; of the first segment when `segment_size` is given.
    pub header: Header,
    /// The text, in order; either piece may be empty.
    pub text: [&'a [u8]; 2],
    /// Cut the text into segments of this many octets (the last may be shorter); `None`: one segment.
    /// PSH and FIN belong to the last one, as in every kernel's GSO.
    pub segment_size: Option<u16>,
    /// The ECN field for the IP header.
    pub ecn: Ecn,
    /// Why it is sent.
    pub reason: Reason,
}

impl Transmit<'_> {
    /// Octets of text.
    #[must_use]
    pub fn text_len(&self) -> usize {
        self.text[0].len() + self.text[1].len()
    }
}
