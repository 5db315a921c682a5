//! ICMP for IPv4 (RFC 792): echo and the errors that hosts act on.

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::checksum::Sum;
use crate::{WriteError, put};

/// Octets in front of an echo's data or an error's quoted packet.
pub const HEADER_LEN: usize = 8;

const ECHO_REPLY: u8 = 0;
const DESTINATION_UNREACHABLE: u8 = 3;
const ECHO_REQUEST: u8 = 8;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER_PROBLEM: u8 = 12;

/// Code of Destination Unreachable: the network cannot be reached.
pub const CODE_NET_UNREACHABLE: u8 = 0;
/// Code of Destination Unreachable: the host cannot be reached.
pub const CODE_HOST_UNREACHABLE: u8 = 1;
/// Code of Destination Unreachable: nobody there speaks the protocol.
pub const CODE_PROTOCOL_UNREACHABLE: u8 = 2;
/// Code of Destination Unreachable: nobody listens on the port.
pub const CODE_PORT_UNREACHABLE: u8 = 3;
/// Code of Destination Unreachable: too long for the next link, and DF set (RFC 1191).
pub const CODE_FRAGMENTATION_NEEDED: u8 = 4;
/// Code of Time Exceeded: fragments did not come in time.
pub const CODE_REASSEMBLY_TIME: u8 = 1;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Raw {
    kind: u8,
    code: u8,
    checksum: U16,
    /// Identifier; or unused; or the pointer and an unused octet.
    first: U16,
    /// Sequence number; or the MTU of the next hop; or unused.
    second: U16,
}

/// An ICMP message. `packet` is the beginning of the packet that caused an error: see
/// [`crate::ipv4::Ipv4Packet::parse_quoted`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icmpv4Message<'a> {
    /// Type 8.
    EchoRequest {
        /// Names the asking program.
        identifier: u16,
        /// Numbers its questions.
        sequence: u16,
        /// To be sent back as it is.
        data: &'a [u8],
    },
    /// Type 0.
    EchoReply {
        /// As in the request.
        identifier: u16,
        /// As in the request.
        sequence: u16,
        /// As in the request.
        data: &'a [u8],
    },
    /// Type 3.
    DestinationUnreachable {
        /// Why; see the `CODE_` constants.
        code: u8,
        /// Octets that the next link carries, with [`CODE_FRAGMENTATION_NEEDED`]; zero from old routers (RFC 1191).
        next_hop_mtu: u16,
        /// The beginning of the packet.
        packet: &'a [u8],
    },
    /// Type 11.
    TimeExceeded {
        /// 0: in transit; 1: in reassembly.
        code: u8,
        /// The beginning of the packet.
        packet: &'a [u8],
    },
    /// Type 12.
    ParameterProblem {
        /// 0: `pointer` says where.
        code: u8,
        /// The offending octet of the packet.
        pointer: u8,
        /// The beginning of the packet.
        packet: &'a [u8],
    },
    /// Any other type, which a host ignores without an answer (RFC 1122 section 3.2.2). Source Quench is one.
    Other {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// The four octets behind the checksum.
        rest: [u8; 4],
        /// What follows.
        data: &'a [u8],
    },
}

/// Why octets are not an ICMP message. Drop them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Icmpv4Error {
    /// Shorter than eight octets.
    #[error("shorter than an ICMP header")]
    Truncated,
    /// The checksum does not hold.
    #[error("bad ICMP checksum")]
    BadChecksum,
}

impl<'a> Icmpv4Message<'a> {
    /// Parses what IP carried, and verifies its checksum.
    ///
    /// # Errors
    /// One [`Icmpv4Error`] per cause.
    pub fn parse(message: &'a [u8]) -> Result<Self, Icmpv4Error> {
        let (raw, data) = Raw::ref_from_prefix(message).map_err(|_| Icmpv4Error::Truncated)?;
        if !Sum::ZERO.with(message).is_valid() {
            return Err(Icmpv4Error::BadChecksum);
        }
        let (code, first, second) = (raw.code, raw.first.get(), raw.second.get());
        let [pointer, f1] = raw.first.to_bytes();
        let [s0, s1] = raw.second.to_bytes();
        Ok(match raw.kind {
            ECHO_REQUEST => Self::EchoRequest {
                identifier: first,
                sequence: second,
                data,
            },
            ECHO_REPLY => Self::EchoReply {
                identifier: first,
                sequence: second,
                data,
            },
            DESTINATION_UNREACHABLE => Self::DestinationUnreachable {
                code,
                next_hop_mtu: second,
                packet: data,
            },
            TIME_EXCEEDED => Self::TimeExceeded { code, packet: data },
            PARAMETER_PROBLEM => Self::ParameterProblem {
                code,
                pointer,
                packet: data,
            },
            kind => Self::Other {
                kind,
                code,
                rest: [pointer, f1, s0, s1],
                data,
            },
        })
    }

    /// Octets that [`write`](Self::write) writes.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        HEADER_LEN + self.data().len()
    }

    const fn data(&self) -> &'a [u8] {
        match self {
            Self::EchoRequest { data, .. } | Self::EchoReply { data, .. } => data,
            Self::DestinationUnreachable { packet, .. }
            | Self::TimeExceeded { packet, .. }
            | Self::ParameterProblem { packet, .. } => packet,
            Self::Other { data, .. } => data,
        }
    }

    /// Writes the whole message to the front of `into`, checksum included, and returns its length.
    ///
    /// # Errors
    /// [`WriteError::BufferTooShort`].
    pub fn write(&self, into: &mut [u8]) -> Result<usize, WriteError> {
        let (kind, code, first, second) = match *self {
            Self::EchoRequest {
                identifier,
                sequence,
                ..
            } => (ECHO_REQUEST, 0, identifier, sequence),
            Self::EchoReply {
                identifier,
                sequence,
                ..
            } => (ECHO_REPLY, 0, identifier, sequence),
            Self::DestinationUnreachable {
                code, next_hop_mtu, ..
            } => (DESTINATION_UNREACHABLE, code, 0, next_hop_mtu),
            Self::TimeExceeded { code, .. } => (TIME_EXCEEDED, code, 0, 0),
            Self::ParameterProblem { code, pointer, .. } => {
                (PARAMETER_PROBLEM, code, u16::from(pointer) << 8, 0)
            }
            Self::Other {
                kind,
                code,
                rest: [r0, r1, r2, r3],
                ..
            } => (
                kind,
                code,
                u16::from_be_bytes([r0, r1]),
                u16::from_be_bytes([r2, r3]),
            ),
        };
        let needed = self.encoded_len();
        let into = into
            .get_mut(..needed)
            .ok_or(WriteError::BufferTooShort { needed })?;
        let mut raw = Raw {
            kind,
            code,
            checksum: U16::ZERO,
            first: first.into(),
            second: second.into(),
        };
        raw.checksum = Sum::ZERO
            .with(raw.as_bytes())
            .with(self.data())
            .checksum()
            .into();
        put(raw.as_bytes(), into)?;
        put(self.data(), &mut into[HEADER_LEN..])?;
        Ok(needed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octet_by_octet() {
        let data: &[u8] = &[1, 2, 3];
        // type, code, four octets behind the checksum
        let cases: [(Icmpv4Message<'_>, [u8; 6]); 6] = [
            (
                Icmpv4Message::EchoRequest {
                    identifier: 0x0102,
                    sequence: 0xfffe,
                    data,
                },
                [8, 0, 1, 2, 0xff, 0xfe],
            ),
            (
                Icmpv4Message::EchoReply {
                    identifier: 0x0102,
                    sequence: 0xfffe,
                    data,
                },
                [0, 0, 1, 2, 0xff, 0xfe],
            ),
            (
                Icmpv4Message::DestinationUnreachable {
                    code: CODE_FRAGMENTATION_NEEDED,
                    next_hop_mtu: 1400,
                    packet: data,
                },
                [3, 4, 0, 0, 5, 0x78],
            ),
            (
                Icmpv4Message::TimeExceeded {
                    code: 1,
                    packet: data,
                },
                [11, 1, 0, 0, 0, 0],
            ),
            (
                Icmpv4Message::ParameterProblem {
                    code: 0,
                    pointer: 9,
                    packet: data,
                },
                [12, 0, 9, 0, 0, 0],
            ),
            (
                Icmpv4Message::Other {
                    kind: 4,
                    code: 5,
                    rest: [6, 7, 8, 9],
                    data,
                },
                [4, 5, 6, 7, 8, 9],
            ),
        ];
        for (message, [kind, code, a, b, c, d]) in cases {
            let mut octets = [0xee; 12];
            assert_eq!(message.write(&mut octets), Ok(11));
            assert_eq!(octets[..2], [kind, code]);
            assert_eq!(octets[4..], [a, b, c, d, 1, 2, 3, 0xee]);
            assert_eq!(Icmpv4Message::parse(&octets[..11]), Ok(message));
            let short = message.write(&mut octets[..10]);
            assert_eq!(short, Err(WriteError::BufferTooShort { needed: 11 }));
        }
    }

    #[test]
    fn damage_is_seen() {
        let message = Icmpv4Message::EchoRequest {
            identifier: 1,
            sequence: 2,
            data: &[3, 4, 5],
        };
        let mut octets = [0; 11];
        message.write(&mut octets).unwrap();
        for bit in 0..octets.len() * 8 {
            octets[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                Icmpv4Message::parse(&octets),
                Err(Icmpv4Error::BadChecksum),
                "bit {bit}"
            );
            octets[bit / 8] ^= 1 << (bit % 8);
        }
        for len in 0..HEADER_LEN {
            assert_eq!(
                Icmpv4Message::parse(&octets[..len]),
                Err(Icmpv4Error::Truncated)
            );
        }
    }
}
