//! Packet lines.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::option::TcpOption;
use crate::span::{Span, Spanned};

/// A packet line: one packet that is injected, or one that is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The line from its arrow to its last token.
    pub span: Span,
    /// Into the stack, or out of it.
    pub direction: Direction,
    /// The headers around the packet, outermost first.
    pub outer: Vec<Encapsulation>,
    /// What is said of the IP header.
    pub ip: IpInfo,
    /// `encap psp spi N`: the security parameters index of a PSP header.
    pub psp_spi: Option<Spanned<u32>>,
    /// What the packet carries.
    pub body: Body,
}

/// The way of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `<`: injected into the stack under test.
    In,
    /// `>`: expected from it.
    Out,
}

/// A header around the packet under test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encapsulation {
    /// `ipv4 a > b :`
    Ipv4 {
        /// What is said of this header.
        ip: IpInfo,
        /// Its source.
        source: Spanned<Ipv4Addr>,
        /// Its destination.
        destination: Spanned<Ipv4Addr>,
    },
    /// `ipv6 a > b :`
    Ipv6 {
        /// What is said of this header.
        ip: IpInfo,
        /// Its source.
        source: Spanned<Ipv6Addr>,
        /// Its destination.
        destination: Spanned<Ipv6Addr>,
    },
    /// `gre ... :`, the fields raw.
    Gre(Spanned<String>),
    /// `mpls (label N, tc N, [S], ttl N)... :`
    Mpls(Vec<MplsLabel>),
}

/// An entry of an MPLS label stack (RFC 3032 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MplsLabel {
    /// The label, 20 bits.
    pub label: u32,
    /// The traffic class, 3 bits.
    pub traffic_class: u8,
    /// `[S]`: the bottom of the stack.
    pub bottom: bool,
    /// The time to live.
    pub ttl: u8,
}

/// What a packet line says of the IP header, in `()` or `[]`. What is not said is not checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpInfo {
    /// `tos` or `class`: the whole octet. Excludes `dscp` and `ecn`.
    pub tos: Option<Spanned<u8>>,
    /// `dscp`: the upper six bits, 0 to 63.
    pub dscp: Option<Spanned<u8>>,
    /// The ECN bits.
    pub ecn: Option<Spanned<IpEcn>>,
    /// `ttl` or `hlim`: time to live, hop limit.
    pub ttl: Option<Spanned<u8>>,
    /// `flowlabel`, 20 bits: a name for a live label, of which only sameness is checked.
    pub flow_label: Option<Spanned<u32>>,
}

/// The ECN bits of an IP header (RFC 3168 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpEcn {
    /// `noecn`: 0.
    NotEct,
    /// `ect1`: 1.
    Ect1,
    /// `ect0`: 2.
    Ect0,
    /// `ce`: 3.
    Ce,
    /// `ect01`: 1 or 2. Expected packets only.
    Ect0Or1,
}

/// What a packet carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A TCP segment.
    Tcp(TcpPacket),
    /// `udp (n)`
    Udp(UdpPacket),
    /// `icmp ...`: ICMP or ICMPv6, as the script's IP version has it.
    Icmp(IcmpPacket),
    /// A protocol that no TCP script needs; the runner reports it as unsupported by its name.
    Foreign(ForeignPacket),
}

/// `source > destination`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The source port.
    pub source: Spanned<u16>,
    /// The destination port.
    pub destination: Spanned<u16>,
}

/// A TCP segment. Fields that are not there are not checked, or take their default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpPacket {
    /// Explicit ports.
    pub ports: Option<Ports>,
    /// The flags.
    pub flags: Spanned<Flags>,
    /// The sequence numbers and the length of the payload.
    pub seq: Spanned<Seq>,
    /// The acknowledgment number; meaningful with the ACK flag.
    pub ack: Option<Spanned<u32>>,
    /// The window field as it is in the header, unscaled. Injected packets always state it.
    pub window: Option<Spanned<u16>>,
    /// The urgent pointer; 0 if absent.
    pub urgent: Option<Spanned<u16>>,
    /// The options.
    pub options: Spanned<Options>,
    /// `/udp(source > destination)`: carried in UDP (RFC 6951).
    pub udp: Option<Ports>,
}

/// The flags of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `F`
    pub fin: bool,
    /// `S`
    pub syn: bool,
    /// `R`
    pub rst: bool,
    /// `P`
    pub psh: bool,
    /// `.`
    pub ack: bool,
    /// `U`
    pub urg: bool,
    /// The three flags of ECN.
    pub ecn: EcnFlags,
}

/// The flags of explicit congestion notification, as letters or as one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EcnFlags {
    /// Letters; those not given are clear.
    Letters {
        /// `E`: ECE.
        ece: bool,
        /// `W`: CWR.
        cwr: bool,
        /// `A`: AE (RFC 9768).
        ae: bool,
    },
    /// A digit 0 to 7: the ACE field (RFC 9768 3.2.2): AE 4, CWR 2, ECE 1.
    Ace(u8),
}

impl EcnFlags {
    /// The three bits as the number that the ACE field would have: AE 4, CWR 2, ECE 1.
    #[must_use]
    pub fn bits(self) -> u8 {
        match self {
            Self::Letters { ece, cwr, ae } => {
                u8::from(ae) << 2 | u8::from(cwr) << 1 | u8::from(ece)
            }
            Self::Ace(value) => value,
        }
    }
}

impl Default for EcnFlags {
    fn default() -> Self {
        Self::Letters {
            ece: false,
            cwr: false,
            ae: false,
        }
    }
}

/// The sequence numbers of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seq {
    /// `start:end(length)` or, with `!` behind it, `start` as it is on the wire.
    Range {
        /// The first sequence number.
        start: u32,
        /// The octets of payload. The end is `start + length`, modulo 2^32.
        length: u16,
        /// `!`: do not map it.
        absolute: bool,
    },
    /// `...(length)`: any sequence number. Expected packets only.
    Any {
        /// The octets of payload.
        length: u16,
    },
}

impl Seq {
    /// The octets of payload.
    #[must_use]
    pub fn length(self) -> u16 {
        match self {
            Self::Range { length, .. } | Self::Any { length } => length,
        }
    }
}

/// The options of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Options {
    /// Exactly these, in this order; none if empty.
    Exact(Vec<Spanned<TcpOption>>),
    /// `<...>`: any. Expected packets only.
    Unchecked,
}

/// A UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpPacket {
    /// Explicit ports.
    pub ports: Option<Ports>,
    /// The octets of payload.
    pub length: Spanned<u16>,
}

/// An ICMP message. [`crate::icmp::resolve`] gives the numbers for its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IcmpPacket {
    /// The name of the type, or `type_N`.
    pub kind: Spanned<String>,
    /// The name of the code, or `code_N`; code 0 if absent.
    pub code: Option<Spanned<String>>,
    /// `mtu N`: of the next hop.
    pub mtu: Option<Spanned<u32>>,
    /// `id N`: of an echo.
    pub id: Option<Spanned<u16>>,
    /// What of the packet that caused the message is quoted.
    pub quoted: Option<Spanned<Quoted>>,
    /// `/udp(source > destination)` around the quoted segment.
    pub udp: Option<Ports>,
}

/// The packet that an ICMP message quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoted {
    /// `[a:b(n)]`: a TCP segment.
    Tcp(Seq),
    /// `[udp (n)]`: a UDP datagram of `n` octets.
    Udp(u16),
    /// `[raw (n)]`: `n` octets of an unnamed protocol.
    Raw(u16),
}

/// A packet of a protocol that is parsed and not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignPacket {
    /// The name of the protocol, such as `sctp`.
    pub protocol: Spanned<String>,
    /// The text behind it, raw.
    pub text: String,
}
