//! ICMP for IPv6 (RFC 4443) and the part of neighbour discovery that finds link-layer addresses (RFC 4861).

use core::net::{IpAddr, Ipv6Addr};

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::checksum::{Sum, pseudo_header};
use crate::ethernet::MacAddr;
use crate::{WriteError, ip_protocol, put};

/// Octets in front of an echo's data or an error's quoted packet.
pub const HEADER_LEN: usize = 8;

/// Hop limit that neighbour discovery is sent with and must arrive with: proof that no router passed it on
/// (RFC 4861 section 7.1). Whoever parses looks at it, because it is in the IP header.
pub const NEIGHBOUR_HOP_LIMIT: u8 = 255;

const DESTINATION_UNREACHABLE: u8 = 1;
const PACKET_TOO_BIG: u8 = 2;
const TIME_EXCEEDED: u8 = 3;
const PARAMETER_PROBLEM: u8 = 4;
const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// Code of Destination Unreachable: no route.
pub const CODE_NO_ROUTE: u8 = 0;
/// Code of Destination Unreachable: the address cannot be reached.
pub const CODE_ADDRESS_UNREACHABLE: u8 = 3;
/// Code of Destination Unreachable: nobody listens on the port.
pub const CODE_PORT_UNREACHABLE: u8 = 4;
/// Code of Time Exceeded: fragments did not come in time.
pub const CODE_REASSEMBLY_TIME: u8 = 1;
/// Code of Parameter Problem: a field of a header is wrong.
pub const CODE_HEADER_FIELD: u8 = 0;
/// Code of Parameter Problem: Next Header is not known.
pub const CODE_NEXT_HEADER: u8 = 1;
/// Code of Parameter Problem: an option is not known.
pub const CODE_OPTION: u8 = 2;

/// Most octets of an ICMPv6 error's packet, IPv6 header included: quote no more than fits (RFC 4443 section 2.4 c).
pub const MIN_MTU: usize = 1280;

const OPTION_SOURCE_LINK: u8 = 1;
const OPTION_TARGET_LINK: u8 = 2;
const FLAG_ROUTER: u32 = 1 << 31;
const FLAG_SOLICITED: u32 = 1 << 30;
const FLAG_OVERRIDE: u32 = 1 << 29;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Raw {
    kind: u8,
    code: u8,
    checksum: U16,
    /// Identifier and sequence number; or MTU; or pointer; or flags; or unused.
    word: U32,
}

/// What follows [`Raw`] in a neighbour message with a link-layer address option.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawNeighbour {
    target: [u8; 16],
    option: u8,
    /// In units of eight octets.
    option_len: u8,
    link: MacAddr,
}

const TARGET_LEN: usize = 16;

/// An ICMPv6 message. `packet` is the beginning of the packet that caused an error: see
/// [`crate::ipv6::Ipv6Packet::parse_quoted`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icmpv6Message<'a> {
    /// Type 1.
    DestinationUnreachable {
        /// Why; see the `CODE_` constants.
        code: u8,
        /// The beginning of the packet.
        packet: &'a [u8],
    },
    /// Type 2.
    PacketTooBig {
        /// Octets that the next link carries.
        mtu: u32,
        /// The beginning of the packet.
        packet: &'a [u8],
    },
    /// Type 3.
    TimeExceeded {
        /// 0: hop limit; 1: reassembly.
        code: u8,
        /// The beginning of the packet.
        packet: &'a [u8],
    },
    /// Type 4.
    ParameterProblem {
        /// What; see the `CODE_` constants.
        code: u8,
        /// The offending octet of the packet.
        pointer: u32,
        /// The beginning of the packet.
        packet: &'a [u8],
    },
    /// Type 128.
    EchoRequest {
        /// Names the asking program.
        identifier: u16,
        /// Numbers its questions.
        sequence: u16,
        /// To be sent back as it is.
        data: &'a [u8],
    },
    /// Type 129.
    EchoReply {
        /// As in the request.
        identifier: u16,
        /// As in the request.
        sequence: u16,
        /// As in the request.
        data: &'a [u8],
    },
    /// Type 135: who has this address? See [`NEIGHBOUR_HOP_LIMIT`].
    NeighbourSolicitation {
        /// The address asked for; not multicast.
        target: Ipv6Addr,
        /// Link-layer address of the sender.
        source_link: Option<MacAddr>,
    },
    /// Type 136: I have this address. See [`NEIGHBOUR_HOP_LIMIT`].
    NeighbourAdvertisement {
        /// The sender is a router.
        router: bool,
        /// This answers a solicitation.
        solicited: bool,
        /// What was known of the address is to be forgotten.
        overrides: bool,
        /// The address; not multicast.
        target: Ipv6Addr,
        /// Link-layer address of the target.
        target_link: Option<MacAddr>,
    },
    /// Any other type. Below 128 it is an error of an unknown kind, above it is to be ignored (RFC 4443 section 2.4).
    Other {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// The four octets behind the checksum.
        word: u32,
        /// What follows.
        data: &'a [u8],
    },
}

/// Why octets are not an ICMPv6 message. Drop them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Icmpv6Error {
    /// Shorter than the message's fixed part.
    #[error("shorter than the ICMPv6 message")]
    Truncated,
    /// The checksum does not hold.
    #[error("bad ICMPv6 checksum")]
    BadChecksum,
    /// A neighbour message with a code other than zero (RFC 4861 section 7.1).
    #[error("neighbour message with code {0}")]
    NeighbourCode(u8),
    /// A neighbour message about a multicast address (RFC 4861 section 7.1).
    #[error("neighbour message about a multicast address")]
    MulticastTarget,
    /// An option of length zero, or longer than what is left (RFC 4861 section 7.1).
    #[error("neighbour option with an illegal length")]
    OptionLength,
    /// A solicitation from nobody that names a link-layer address or is not sent to the target's
    /// solicited-node group (RFC 4861 section 7.1.1).
    #[error("invalid solicitation from the unspecified address")]
    FromUnspecified,
    /// An advertisement to a group that says it answers a solicitation (RFC 4861 section 7.1.2).
    #[error("solicited advertisement to a multicast address")]
    SolicitedMulticast,
}

/// The group that listens for solicitations of `address` (RFC 4291 section 2.7.1).
#[must_use]
pub const fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., high, low] = address.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | high & 0xff, low)
}

/// The link-layer group address of an IPv6 group (RFC 2464 section 7).
#[must_use]
pub const fn multicast_mac(group: Ipv6Addr) -> MacAddr {
    let [.., a, b, c, d] = group.octets();
    MacAddr([0x33, 0x33, a, b, c, d])
}

impl<'a> Icmpv6Message<'a> {
    /// Parses what IP carried from `source` to `destination`, and verifies its checksum; neighbour messages
    /// are verified in all but the hop limit.
    ///
    /// # Errors
    /// One [`Icmpv6Error`] per cause.
    pub fn parse(
        source: Ipv6Addr,
        destination: Ipv6Addr,
        message: &'a [u8],
    ) -> Result<Self, Icmpv6Error> {
        let (raw, data) = Raw::ref_from_prefix(message).map_err(|_| Icmpv6Error::Truncated)?;
        if !pseudo(source, destination, message.len())
            .with(message)
            .is_valid()
        {
            return Err(Icmpv6Error::BadChecksum);
        }
        let (code, word) = (raw.code, raw.word.get());
        let [i0, i1, s0, s1] = raw.word.to_bytes();
        let (identifier, sequence) = (u16::from_be_bytes([i0, i1]), u16::from_be_bytes([s0, s1]));
        Ok(match raw.kind {
            DESTINATION_UNREACHABLE => Self::DestinationUnreachable { code, packet: data },
            PACKET_TOO_BIG => Self::PacketTooBig {
                mtu: word,
                packet: data,
            },
            TIME_EXCEEDED => Self::TimeExceeded { code, packet: data },
            PARAMETER_PROBLEM => Self::ParameterProblem {
                code,
                pointer: word,
                packet: data,
            },
            ECHO_REQUEST => Self::EchoRequest {
                identifier,
                sequence,
                data,
            },
            ECHO_REPLY => Self::EchoReply {
                identifier,
                sequence,
                data,
            },
            NEIGHBOUR_SOLICITATION => Self::solicitation(source, destination, code, data)?,
            NEIGHBOUR_ADVERTISEMENT => Self::advertisement(destination, code, word, data)?,
            kind => Self::Other {
                kind,
                code,
                word,
                data,
            },
        })
    }

    /// The checks of RFC 4861 section 7.1.1.
    fn solicitation(
        source: Ipv6Addr,
        destination: Ipv6Addr,
        code: u8,
        data: &[u8],
    ) -> Result<Self, Icmpv6Error> {
        let (target, source_link) = neighbour(code, data, OPTION_SOURCE_LINK)?;
        let to_group = destination == solicited_node(target);
        if source.is_unspecified() && (source_link.is_some() || !to_group) {
            return Err(Icmpv6Error::FromUnspecified);
        }
        Ok(Self::NeighbourSolicitation {
            target,
            source_link,
        })
    }

    /// The checks of RFC 4861 section 7.1.2.
    fn advertisement(
        destination: Ipv6Addr,
        code: u8,
        flags: u32,
        data: &[u8],
    ) -> Result<Self, Icmpv6Error> {
        let (target, target_link) = neighbour(code, data, OPTION_TARGET_LINK)?;
        let solicited = flags & FLAG_SOLICITED != 0;
        if solicited && destination.is_multicast() {
            return Err(Icmpv6Error::SolicitedMulticast);
        }
        Ok(Self::NeighbourAdvertisement {
            router: flags & FLAG_ROUTER != 0,
            solicited,
            overrides: flags & FLAG_OVERRIDE != 0,
            target,
            target_link,
        })
    }

    /// Octets that [`write`](Self::write) writes.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        HEADER_LEN
            + match self {
                Self::NeighbourSolicitation {
                    source_link: link, ..
                }
                | Self::NeighbourAdvertisement {
                    target_link: link, ..
                } => {
                    if link.is_some() {
                        size_of::<RawNeighbour>()
                    } else {
                        TARGET_LEN
                    }
                }
                Self::DestinationUnreachable { packet: data, .. }
                | Self::PacketTooBig { packet: data, .. }
                | Self::TimeExceeded { packet: data, .. }
                | Self::ParameterProblem { packet: data, .. }
                | Self::EchoRequest { data, .. }
                | Self::EchoReply { data, .. }
                | Self::Other { data, .. } => data.len(),
            }
    }

    /// Type, code, and the word behind the checksum.
    fn head(&self) -> (u8, u8, u32) {
        let echo = |identifier, sequence| u32::from(identifier) << 16 | u32::from(sequence);
        match *self {
            Self::DestinationUnreachable { code, .. } => (DESTINATION_UNREACHABLE, code, 0),
            Self::PacketTooBig { mtu, .. } => (PACKET_TOO_BIG, 0, mtu),
            Self::TimeExceeded { code, .. } => (TIME_EXCEEDED, code, 0),
            Self::ParameterProblem { code, pointer, .. } => (PARAMETER_PROBLEM, code, pointer),
            Self::EchoRequest {
                identifier,
                sequence,
                ..
            } => (ECHO_REQUEST, 0, echo(identifier, sequence)),
            Self::EchoReply {
                identifier,
                sequence,
                ..
            } => (ECHO_REPLY, 0, echo(identifier, sequence)),
            Self::NeighbourSolicitation { .. } => (NEIGHBOUR_SOLICITATION, 0, 0),
            Self::NeighbourAdvertisement {
                router,
                solicited,
                overrides,
                ..
            } => {
                let flag = |set: bool, flag| if set { flag } else { 0 };
                let flags = flag(router, FLAG_ROUTER)
                    | flag(solicited, FLAG_SOLICITED)
                    | flag(overrides, FLAG_OVERRIDE);
                (NEIGHBOUR_ADVERTISEMENT, 0, flags)
            }
            Self::Other {
                kind, code, word, ..
            } => (kind, code, word),
        }
    }

    /// Writes the whole message to the front of `into`, with its checksum as IP sends it from `source` to
    /// `destination`, and returns its length.
    ///
    /// # Errors
    /// [`WriteError::BufferTooShort`].
    pub fn write(
        &self,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        into: &mut [u8],
    ) -> Result<usize, WriteError> {
        let needed = self.encoded_len();
        let into = into
            .get_mut(..needed)
            .ok_or(WriteError::BufferTooShort { needed })?;
        let (kind, code, word) = self.head();
        let mut raw = Raw {
            kind,
            code,
            checksum: U16::ZERO,
            word: word.into(),
        };
        let (_, body) = into.split_at_mut(HEADER_LEN);
        match *self {
            Self::NeighbourSolicitation {
                target,
                source_link,
            } => {
                put_neighbour(target, OPTION_SOURCE_LINK, source_link, body)?;
            }
            Self::NeighbourAdvertisement {
                target,
                target_link,
                ..
            } => {
                put_neighbour(target, OPTION_TARGET_LINK, target_link, body)?;
            }
            Self::DestinationUnreachable { packet: data, .. }
            | Self::PacketTooBig { packet: data, .. }
            | Self::TimeExceeded { packet: data, .. }
            | Self::ParameterProblem { packet: data, .. }
            | Self::EchoRequest { data, .. }
            | Self::EchoReply { data, .. }
            | Self::Other { data, .. } => {
                put(data, body)?;
            }
        }
        let sum = pseudo(source, destination, needed)
            .with(raw.as_bytes())
            .with(body);
        raw.checksum = sum.checksum().into();
        put(raw.as_bytes(), into)?;
        Ok(needed)
    }
}

fn pseudo(source: Ipv6Addr, destination: Ipv6Addr, len: usize) -> Sum {
    // Longer than a packet can be is never valid, and never sent.
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    pseudo_header(
        IpAddr::V6(source),
        IpAddr::V6(destination),
        ip_protocol::ICMPV6,
        len,
    )
}

/// The target of a neighbour message, and the link-layer address in its option of the kind `wanted`.
fn neighbour(
    code: u8,
    data: &[u8],
    wanted: u8,
) -> Result<(Ipv6Addr, Option<MacAddr>), Icmpv6Error> {
    if code != 0 {
        return Err(Icmpv6Error::NeighbourCode(code));
    }
    let (target, mut options) = data
        .split_first_chunk::<TARGET_LEN>()
        .ok_or(Icmpv6Error::Truncated)?;
    let target = Ipv6Addr::from(*target);
    if target.is_multicast() {
        return Err(Icmpv6Error::MulticastTarget);
    }
    let mut link = None;
    // Every round takes eight octets at least, because zero is refused.
    while let [kind, words, ..] = *options {
        let len = usize::from(words) * 8;
        let (option, rest) = match options.split_at_checked(len) {
            Some(split) if len > 0 => split,
            _ => return Err(Icmpv6Error::OptionLength),
        };
        if kind == wanted
            && let Ok(octets) = option[2..].try_into()
        {
            link = Some(MacAddr(octets));
        }
        options = rest;
    }
    if options.is_empty() {
        Ok((target, link))
    } else {
        Err(Icmpv6Error::OptionLength)
    }
}

fn put_neighbour(
    target: Ipv6Addr,
    option: u8,
    link: Option<MacAddr>,
    into: &mut [u8],
) -> Result<usize, WriteError> {
    let target = target.octets();
    match link {
        Some(link) => put(
            RawNeighbour {
                target,
                option,
                option_len: 1,
                link,
            }
            .as_bytes(),
            into,
        ),
        None => put(&target, into),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0x12ab, 0xcdef);
    const PEER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn octet_by_octet() {
        let data: &[u8] = &[1, 2, 3];
        // type, code, four octets behind the checksum
        let cases: [(Icmpv6Message<'_>, [u8; 6]); 7] = [
            (
                Icmpv6Message::DestinationUnreachable {
                    code: 4,
                    packet: data,
                },
                [1, 4, 0, 0, 0, 0],
            ),
            (
                Icmpv6Message::PacketTooBig {
                    mtu: 1400,
                    packet: data,
                },
                [2, 0, 0, 0, 5, 0x78],
            ),
            (
                Icmpv6Message::TimeExceeded {
                    code: 1,
                    packet: data,
                },
                [3, 1, 0, 0, 0, 0],
            ),
            (
                Icmpv6Message::ParameterProblem {
                    code: 1,
                    pointer: 40,
                    packet: data,
                },
                [4, 1, 0, 0, 0, 40],
            ),
            (
                Icmpv6Message::EchoRequest {
                    identifier: 0x0102,
                    sequence: 0xfffe,
                    data,
                },
                [128, 0, 1, 2, 0xff, 0xfe],
            ),
            (
                Icmpv6Message::EchoReply {
                    identifier: 0x0102,
                    sequence: 0xfffe,
                    data,
                },
                [129, 0, 1, 2, 0xff, 0xfe],
            ),
            (
                Icmpv6Message::Other {
                    kind: 134,
                    code: 5,
                    word: 0x0607_0809,
                    data,
                },
                [134, 5, 6, 7, 8, 9],
            ),
        ];
        for (message, [kind, code, a, b, c, d]) in cases {
            let mut octets = [0xee; 12];
            assert_eq!(message.write(PEER, US, &mut octets), Ok(11));
            assert_eq!(octets[..2], [kind, code]);
            assert_eq!(octets[4..], [a, b, c, d, 1, 2, 3, 0xee]);
            assert_eq!(Icmpv6Message::parse(PEER, US, &octets[..11]), Ok(message));
            let short = message.write(PEER, US, &mut octets[..10]);
            assert_eq!(short, Err(WriteError::BufferTooShort { needed: 11 }));
        }
    }

    #[test]
    fn damage_is_seen() {
        let message = Icmpv6Message::EchoRequest {
            identifier: 1,
            sequence: 2,
            data: &[3, 4, 5],
        };
        let mut octets = [0; 11];
        message.write(PEER, US, &mut octets).unwrap();
        for bit in 0..octets.len() * 8 {
            octets[bit / 8] ^= 1 << (bit % 8);
            let parsed = Icmpv6Message::parse(PEER, US, &octets);
            assert_eq!(parsed, Err(Icmpv6Error::BadChecksum), "bit {bit}");
            octets[bit / 8] ^= 1 << (bit % 8);
        }
        let elsewhere = Icmpv6Message::parse(PEER, solicited_node(US), &octets);
        assert_eq!(elsewhere, Err(Icmpv6Error::BadChecksum));
        for len in 0..HEADER_LEN {
            let parsed = Icmpv6Message::parse(PEER, US, &octets[..len]);
            assert_eq!(parsed, Err(Icmpv6Error::Truncated));
        }
    }

    /// A neighbour message: type, code, flags, target, options.
    fn parse(
        from_to: (Ipv6Addr, Ipv6Addr),
        head: [u8; 3],
        target: Ipv6Addr,
        options: &[u8],
        check: impl FnOnce(Result<Icmpv6Message<'_>, Icmpv6Error>),
    ) {
        let [kind, code, flags] = head;
        let mut octets = [0; 64];
        octets[..8].copy_from_slice(&[kind, code, 0, 0, flags, 0, 0, 0]);
        octets[8..24].copy_from_slice(&target.octets());
        octets[24..24 + options.len()].copy_from_slice(options);
        let octets = &mut octets[..24 + options.len()];
        let checksum = pseudo(from_to.0, from_to.1, octets.len())
            .with(octets)
            .checksum();
        octets[2..4].copy_from_slice(&checksum.to_be_bytes());
        check(Icmpv6Message::parse(from_to.0, from_to.1, octets));
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn solicitations() {
        const NOBODY: Ipv6Addr = Ipv6Addr::UNSPECIFIED;
        let group = solicited_node(US);
        let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        let link = Ok(Some(MAC));
        let known: &[u8] = &[1, 1, 2, 0, 0, 0, 0, 1];
        let two: &[u8] = &[
            14, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1,
        ];
        type Case<'a> = (
            &'a str,
            Ipv6Addr,
            Ipv6Addr,
            u8,
            Ipv6Addr,
            &'a [u8],
            Result<Option<MacAddr>, Icmpv6Error>,
        );
        let cases: [Case<'_>; 13] = [
            ("usual", PEER, group, 0, US, known, link),
            ("unknown option in front", PEER, US, 0, US, two, link),
            ("no option", PEER, US, 0, US, &[], Ok(None)),
            (
                "of the other kind",
                PEER,
                US,
                0,
                US,
                &[2, 1, 2, 0, 0, 0, 0, 1],
                Ok(None),
            ),
            (
                "of another link's length",
                PEER,
                US,
                0,
                US,
                &two[..16],
                Ok(None),
            ),
            ("is the address free?", NOBODY, group, 0, US, &[], Ok(None)),
            (
                "from nobody, to all",
                NOBODY,
                all,
                0,
                US,
                &[],
                Err(Icmpv6Error::FromUnspecified),
            ),
            (
                "from nobody's link",
                NOBODY,
                group,
                0,
                US,
                known,
                Err(Icmpv6Error::FromUnspecified),
            ),
            (
                "code",
                PEER,
                US,
                1,
                US,
                known,
                Err(Icmpv6Error::NeighbourCode(1)),
            ),
            (
                "group",
                PEER,
                US,
                0,
                group,
                known,
                Err(Icmpv6Error::MulticastTarget),
            ),
            (
                "zero length",
                PEER,
                US,
                0,
                US,
                &[1, 0, 0, 0, 0, 0, 0, 0],
                Err(Icmpv6Error::OptionLength),
            ),
            (
                "past the end",
                PEER,
                US,
                0,
                US,
                &two[..15],
                Err(Icmpv6Error::OptionLength),
            ),
            (
                "one octet more",
                PEER,
                US,
                0,
                US,
                &[1, 1, 2, 0, 0, 0, 0, 1, 1],
                Err(Icmpv6Error::OptionLength),
            ),
        ];
        for (name, from, to, code, target, options, expected) in cases {
            parse((from, to), [135, code, 0], target, options, |parsed| {
                let expected = expected.map(|source_link| Icmpv6Message::NeighbourSolicitation {
                    target,
                    source_link,
                });
                assert_eq!(parsed, expected, "{name}");
            });
        }
    }

    #[test]
    fn advertisements() {
        let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        for (flags, router, solicited, overrides) in [
            (0x80, true, false, false),
            (0x40, false, true, false),
            (0x3f, false, false, true),
        ] {
            let advertisement = Icmpv6Message::NeighbourAdvertisement {
                router,
                solicited,
                overrides,
                target: PEER,
                target_link: Some(MAC),
            };
            let option = [2, 1, 2, 0, 0, 0, 0, 1];
            parse((PEER, US), [136, 0, flags], PEER, &option, |parsed| {
                assert_eq!(parsed, Ok(advertisement), "{flags:#x}");
            });
            parse((PEER, all), [136, 0, flags], PEER, &option, |parsed| {
                let refused = Err(Icmpv6Error::SolicitedMulticast);
                assert_eq!(
                    parsed,
                    if solicited {
                        refused
                    } else {
                        Ok(advertisement)
                    }
                );
            });
        }
    }

    #[test]
    fn groups() {
        let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xffab, 0xcdef);
        assert_eq!(solicited_node(US), group);
        assert_eq!(
            multicast_mac(group),
            MacAddr([0x33, 0x33, 0xff, 0xab, 0xcd, 0xef])
        );
    }
}
