//! The IPv6 header and its extension headers (RFC 8200).

use core::net::Ipv6Addr;

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{WriteError, put};

/// Octets of the fixed header.
pub const HEADER_LEN: usize = 40;

/// Octets of a fragment header.
pub const FRAGMENT_HEADER_LEN: usize = 8;

/// Most extension headers that are walked. Honest packets have two or three (RFC 8883 section 1.2 allows a limit).
pub const MAX_EXTENSIONS: usize = 8;

/// Next Header: hop-by-hop options (RFC 8200 section 4.3).
pub const HOP_BY_HOP: u8 = 0;
/// Next Header: routing (RFC 8200 section 4.4).
pub const ROUTING: u8 = 43;
/// Next Header: fragment (RFC 8200 section 4.5).
pub const FRAGMENT: u8 = 44;
/// Next Header: nothing follows (RFC 8200 section 4.7).
pub const NO_NEXT_HEADER: u8 = 59;
/// Next Header: destination options (RFC 8200 section 4.6).
pub const DESTINATION_OPTIONS: u8 = 60;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Raw {
    /// Version (4 bits), traffic class (8), flow label (20).
    version_class_flow: U32,
    payload_len: U16,
    next_header: u8,
    hop_limit: u8,
    source: [u8; 16],
    destination: [u8; 16],
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawFragment {
    next_header: u8,
    reserved: u8,
    /// Offset (13 bits), reserved (2), M (1).
    offset_more: U16,
    id: U32,
}

/// The fields of the fixed header, without the payload length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Header {
    /// Source address.
    pub source: Ipv6Addr,
    /// Destination address.
    pub destination: Ipv6Addr,
    /// What follows the fixed header: an extension header, or the upper layer's.
    pub next_header: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// Differentiated services (6 bits, RFC 2474) and ECN (2 bits, RFC 3168).
    pub traffic_class: u8,
    /// Flow label (RFC 6437), 20 bits.
    pub flow_label: u32,
}

/// A fragment header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// What the whole packet carries behind its fragment headers.
    pub next_header: u8,
    /// Where the payload belongs in the whole packet's, in octets: a multiple of eight, 0 to 65 528.
    pub offset: u16,
    /// M: this is not the last fragment.
    pub more: bool,
    /// Identification.
    pub id: u32,
}

/// What stands behind a chain of extension headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upper<'a> {
    /// The last Next Header: an upper-layer protocol, or [`NO_NEXT_HEADER`]; for a fragment that is not
    /// [atomic](Fragment::is_atomic), what the fragment header names, which may be an extension header still.
    pub protocol: u8,
    /// Where the octet that names `protocol` lies, counted from the first octet of the packet.
    pub named_at: usize,
    /// Where `payload` begins, counted from the first octet of the packet.
    pub offset: usize,
    /// The upper layer's octets, or the fragment's part of the whole.
    pub payload: &'a [u8],
    /// The fragment header, if there is one.
    pub fragment: Option<Fragment>,
}

/// An IPv6 packet, its length and its extension headers verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Packet<'a> {
    /// The fixed header.
    pub header: Ipv6Header,
    /// What follows the fixed header, up to the payload length: padding of the link is cut off.
    pub payload: &'a [u8],
    /// What the extension headers lead to.
    pub upper: Upper<'a>,
}

/// Why octets are not an IPv6 packet, or not one for us. Drop them.
///
/// Where a variant has a `pointer`, it is that of the ICMPv6 Parameter Problem to answer with (RFC 4443
/// section 3.4): where the offending octet lies, counted from the first octet of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ipv6Error {
    /// Shorter than the fixed header.
    #[error("shorter than an IPv6 header")]
    Truncated,
    /// The version is not 6.
    #[error("IP version {0} where 6 was expected")]
    BadVersion(u8),
    /// The payload length says more than arrived.
    #[error("payload length of {0} octets is more than arrived")]
    PayloadLengthPastEnd(u16),
    /// An extension header is longer than what is left.
    #[error("an extension header is past the end of the packet")]
    ExtensionPastEnd,
    /// More extension headers than [`MAX_EXTENSIONS`].
    #[error("too many extension headers")]
    TooManyExtensions,
    /// Hop-by-hop options stand elsewhere than first: answer with code 1 (RFC 8200 section 4).
    #[error("hop-by-hop options are not the first extension header")]
    HopByHopMisplaced {
        /// Octet that names the header.
        pointer: usize,
    },
    /// A routing header wants the packet sent on: answer with code 0 (RFC 8200 section 4.4, RFC 5095).
    #[error("a routing header has segments left")]
    RoutingHeader {
        /// Octet of the routing type.
        pointer: usize,
    },
    /// An option that is not known and must not be skipped: answer with code 2 if `report` allows (RFC 8200 section 4.2).
    #[error("an unknown IPv6 option that must not be skipped")]
    UnknownOption {
        /// Octet of the option's type.
        pointer: usize,
        /// When to answer.
        report: Report,
    },
    /// An option is longer than its header.
    #[error("an IPv6 option runs past the end of its header")]
    OptionPastEnd,
    /// A fragment that is not the last is not a multiple of eight octets long: answer with code 0 (RFC 8200 section 4.5).
    #[error("a fragment's length is not a multiple of eight")]
    FragmentLength,
}

/// When an option that is not known is answered with a Parameter Problem (RFC 8200 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Never: the packet is dropped in silence.
    Never,
    /// Always.
    Always,
    /// Unless the destination is a multicast address.
    UnlessMulticast,
}

impl Fragment {
    /// Whether this one fragment is the whole packet (RFC 6946): there is nothing to wait for.
    #[must_use]
    pub const fn is_atomic(&self) -> bool {
        self.offset == 0 && !self.more
    }

    /// Writes the fragment header to the front of `into`, and returns its length, [`FRAGMENT_HEADER_LEN`].
    ///
    /// # Errors
    /// [`WriteError::BufferTooShort`], [`WriteError::FragmentOffset`].
    pub fn write(&self, into: &mut [u8]) -> Result<usize, WriteError> {
        if !self.offset.is_multiple_of(8) {
            return Err(WriteError::FragmentOffset);
        }
        let raw = RawFragment {
            next_header: self.next_header,
            reserved: 0,
            offset_more: (self.offset | u16::from(self.more)).into(),
            id: self.id.into(),
        };
        put(raw.as_bytes(), into)
    }
}

impl<'a> Ipv6Packet<'a> {
    /// Parses a packet and walks its extension headers; octets after its payload length are ignored.
    ///
    /// # Errors
    /// One [`Ipv6Error`] per cause.
    pub fn parse(packet: &'a [u8]) -> Result<Self, Ipv6Error> {
        let (raw, rest) = split(packet)?;
        let len = raw.payload_len.get();
        let payload = rest
            .get(..usize::from(len))
            .ok_or(Ipv6Error::PayloadLengthPastEnd(len))?;
        let upper = walk_extensions(raw.next_header, payload)?;
        Ok(Self {
            header: raw.fields(),
            payload,
            upper,
        })
    }

    /// Parses the beginning of a packet that an ICMP error quotes: what is missing at its end is no error.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), but never [`Ipv6Error::PayloadLengthPastEnd`].
    pub fn parse_quoted(quoted: &'a [u8]) -> Result<Self, Ipv6Error> {
        let (raw, payload) = split(quoted)?;
        let len = usize::from(raw.payload_len.get());
        let payload = payload.get(..len).unwrap_or(payload);
        let upper = Walk::new(raw.next_header, payload).run()?;
        Ok(Self {
            header: raw.fields(),
            payload,
            upper,
        })
    }
}

fn split(packet: &[u8]) -> Result<(&Raw, &[u8]), Ipv6Error> {
    let (raw, rest) = Raw::ref_from_prefix(packet).map_err(|_| Ipv6Error::Truncated)?;
    let [first, ..] = raw.version_class_flow.to_bytes();
    if first >> 4 != 6 {
        return Err(Ipv6Error::BadVersion(first >> 4));
    }
    Ok((raw, rest))
}

impl Raw {
    fn fields(&self) -> Ipv6Header {
        let word = self.version_class_flow.get();
        let traffic_class = (word >> 20 & 0xff) as u8;
        Ipv6Header {
            source: self.source.into(),
            destination: self.destination.into(),
            next_header: self.next_header,
            hop_limit: self.hop_limit,
            traffic_class,
            flow_label: word & 0xf_ffff,
        }
    }
}

impl Ipv6Header {
    /// Writes the header to the front of `into`, for a packet with `payload_len` octets behind the fixed header
    /// (extension headers count), and returns its length, [`HEADER_LEN`].
    ///
    /// The flow label's low 20 bits are written.
    ///
    /// # Errors
    /// [`WriteError::BufferTooShort`]; [`WriteError::TooLong`] for more than 65 535 octets of payload.
    pub fn write(&self, payload_len: usize, into: &mut [u8]) -> Result<usize, WriteError> {
        let payload_len = u16::try_from(payload_len).map_err(|_| WriteError::TooLong)?;
        let word = 6 << 28 | u32::from(self.traffic_class) << 20 | self.flow_label & 0xf_ffff;
        let raw = Raw {
            version_class_flow: word.into(),
            payload_len: payload_len.into(),
            next_header: self.next_header,
            hop_limit: self.hop_limit,
            source: self.source.octets(),
            destination: self.destination.octets(),
        };
        put(raw.as_bytes(), into)
    }
}

/// Walks the extension headers at the front of `payload`, which follows the fixed header and whose first
/// header is `next_header`; also of a packet put together from fragments.
///
/// It stops at a fragment that is not atomic: what follows is not whole. Pointers and offsets count the fixed
/// header in.
///
/// # Errors
/// One [`Ipv6Error`] per cause.
pub fn walk_extensions(next_header: u8, payload: &[u8]) -> Result<Upper<'_>, Ipv6Error> {
    let upper = Walk::new(next_header, payload).run()?;
    match upper.fragment {
        Some(Fragment { more: true, .. }) if !upper.payload.len().is_multiple_of(8) => {
            Err(Ipv6Error::FragmentLength)
        }
        _ => Ok(upper),
    }
}

/// A walk along extension headers: what is left, and where that is.
struct Walk<'a> {
    next_header: u8,
    named_at: usize,
    offset: usize,
    rest: &'a [u8],
    fragment: Option<Fragment>,
}

impl<'a> Walk<'a> {
    const fn new(next_header: u8, payload: &'a [u8]) -> Self {
        Self {
            next_header,
            named_at: 6,
            offset: HEADER_LEN,
            rest: payload,
            fragment: None,
        }
    }

    fn run(mut self) -> Result<Upper<'a>, Ipv6Error> {
        for _ in 0..=MAX_EXTENSIONS {
            match self.next_header {
                HOP_BY_HOP if self.offset != HEADER_LEN => {
                    return Err(Ipv6Error::HopByHopMisplaced {
                        pointer: self.named_at,
                    });
                }
                HOP_BY_HOP | DESTINATION_OPTIONS => {
                    let at = self.offset + 2;
                    check_options(self.step()?, at)?;
                }
                ROUTING => {
                    let pointer = self.offset + 2;
                    if !matches!(self.step()?, [_, 0, ..]) {
                        return Err(Ipv6Error::RoutingHeader { pointer });
                    }
                }
                FRAGMENT => {
                    if !self.step_fragment()? {
                        return Ok(self.end());
                    }
                }
                _ => return Ok(self.end()),
            }
        }
        Err(Ipv6Error::TooManyExtensions)
    }

    fn end(self) -> Upper<'a> {
        Upper {
            protocol: self.next_header,
            named_at: self.named_at,
            offset: self.offset,
            payload: self.rest,
            fragment: self.fragment,
        }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Ipv6Error> {
        let (header, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(Ipv6Error::ExtensionPastEnd)?;
        self.named_at = self.offset;
        self.offset += len;
        self.rest = rest;
        Ok(header)
    }

    /// Past a header with a length field; what it holds after that field.
    fn step(&mut self) -> Result<&'a [u8], Ipv6Error> {
        let [next_header, words, ..] = *self.rest else {
            return Err(Ipv6Error::ExtensionPastEnd);
        };
        let header = self.take((usize::from(words) + 1) * 8)?;
        self.next_header = next_header;
        Ok(&header[2..])
    }

    /// Past a fragment header; whether the walk goes on behind it.
    fn step_fragment(&mut self) -> Result<bool, Ipv6Error> {
        let header = self.take(FRAGMENT_HEADER_LEN)?;
        let raw = RawFragment::ref_from_bytes(header).map_err(|_| Ipv6Error::ExtensionPastEnd)?;
        let offset_more = raw.offset_more.get();
        let fragment = Fragment {
            next_header: raw.next_header,
            offset: offset_more & !7,
            more: offset_more & 1 != 0,
            id: raw.id.get(),
        };
        self.next_header = fragment.next_header;
        self.fragment = Some(fragment);
        Ok(fragment.is_atomic())
    }
}

/// Whether every option may be skipped by a host that knows none but padding; `at` is where they begin.
fn check_options(mut options: &[u8], mut at: usize) -> Result<(), Ipv6Error> {
    const PAD1: u8 = 0;
    const PADN: u8 = 1;
    while let [kind, rest @ ..] = options {
        let len = match (*kind, rest) {
            (PAD1, _) => 1,
            (_, []) => return Err(Ipv6Error::OptionPastEnd),
            (_, [len, ..]) => usize::from(*len) + 2,
        };
        let report = match (*kind, kind >> 6) {
            (PAD1 | PADN, _) | (_, 0) => None,
            (_, 1) => Some(Report::Never),
            (_, 2) => Some(Report::Always),
            _ => Some(Report::UnlessMulticast),
        };
        if let Some(report) = report {
            return Err(Ipv6Error::UnknownOption {
                pointer: at,
                report,
            });
        }
        options = options.get(len..).ok_or(Ipv6Error::OptionPastEnd)?;
        at += len;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: u8 = crate::ip_protocol::TCP;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn extension_headers() {
        type Case = (
            &'static str,
            u8,
            &'static [u8],
            Result<(u8, usize, usize), Ipv6Error>,
        );
        // first Next Header; octets; protocol, where it is named, where it begins
        let cases: &[Case] = &[
            ("none", TCP, &[1, 2], Ok((TCP, 6, 40))),
            ("nothing at all", NO_NEXT_HEADER, &[], Ok((59, 6, 40))),
            (
                "PadN",
                HOP_BY_HOP,
                &[TCP, 0, 1, 4, 0, 0, 0, 0, 9],
                Ok((TCP, 40, 48)),
            ),
            (
                "Pad1",
                DESTINATION_OPTIONS,
                &[TCP, 0, 0, 0, 0, 0, 0, 0],
                Ok((TCP, 40, 48)),
            ),
            (
                "option to skip",
                HOP_BY_HOP,
                &[TCP, 0, 5, 2, 0, 0, 1, 0],
                Ok((TCP, 40, 48)),
            ),
            (
                "two headers",
                HOP_BY_HOP,
                &[60, 0, 1, 4, 0, 0, 0, 0, TCP, 0, 1, 4, 0, 0, 0, 0],
                Ok((TCP, 48, 56)),
            ),
            (
                "used routing",
                ROUTING,
                &[TCP, 0, 4, 0, 0, 0, 0, 0],
                Ok((TCP, 40, 48)),
            ),
            (
                "routing",
                ROUTING,
                &[TCP, 0, 0, 1, 0, 0, 0, 0],
                Err(Ipv6Error::RoutingHeader { pointer: 42 }),
            ),
            (
                "hop-by-hop second",
                DESTINATION_OPTIONS,
                &[0, 0, 1, 4, 0, 0, 0, 0, TCP, 0, 1, 4, 0, 0, 0, 0],
                Err(Ipv6Error::HopByHopMisplaced { pointer: 40 }),
            ),
            (
                "one octet",
                HOP_BY_HOP,
                &[TCP],
                Err(Ipv6Error::ExtensionPastEnd),
            ),
            (
                "too long",
                HOP_BY_HOP,
                &[TCP, 1, 1, 4, 0, 0, 0, 0],
                Err(Ipv6Error::ExtensionPastEnd),
            ),
            (
                "cut fragment",
                FRAGMENT,
                &[TCP, 0, 0, 0, 0, 0, 0],
                Err(Ipv6Error::ExtensionPastEnd),
            ),
            (
                "option too long",
                HOP_BY_HOP,
                &[TCP, 0, 1, 5, 0, 0, 0, 0],
                Err(Ipv6Error::OptionPastEnd),
            ),
            (
                "no length",
                HOP_BY_HOP,
                &[TCP, 0, 1, 3, 0, 0, 0, 1],
                Err(Ipv6Error::OptionPastEnd),
            ),
            (
                "drop",
                HOP_BY_HOP,
                &[TCP, 0, 0, 0x40, 2, 0, 0, 0],
                Err(Ipv6Error::UnknownOption {
                    pointer: 43,
                    report: Report::Never,
                }),
            ),
            (
                "drop and tell",
                HOP_BY_HOP,
                &[TCP, 0, 0x80, 4, 0, 0, 0, 0],
                Err(Ipv6Error::UnknownOption {
                    pointer: 42,
                    report: Report::Always,
                }),
            ),
            (
                "drop and tell a sender",
                HOP_BY_HOP,
                &[TCP, 0, 1, 0, 0xc0, 2, 0, 0],
                Err(Ipv6Error::UnknownOption {
                    pointer: 44,
                    report: Report::UnlessMulticast,
                }),
            ),
        ];
        for (name, next_header, payload, expected) in cases {
            let upper = walk_extensions(*next_header, payload);
            assert_eq!(
                upper.map(|u| (u.protocol, u.named_at, u.offset)),
                *expected,
                "{name}"
            );
        }
    }

    #[test]
    fn fragments() {
        // An atomic fragment is walked through; of a real one, what follows is not whole.
        let atomic = [60, 0, 0, 0, 0, 0, 0, 7, TCP, 0, 1, 4, 0, 0, 0, 0, 9];
        let upper = walk_extensions(FRAGMENT, &atomic).unwrap();
        assert_eq!((upper.protocol, upper.payload), (TCP, &[9][..]));
        assert!(upper.fragment.unwrap().is_atomic());

        let first = [60, 0, 0, 1, 0, 0, 0, 7, TCP, 0, 1, 4, 0, 0, 0, 0];
        let upper = walk_extensions(FRAGMENT, &first).unwrap();
        let fragment = Fragment {
            next_header: 60,
            offset: 0,
            more: true,
            id: 7,
        };
        assert_eq!((upper.protocol, upper.fragment), (60, Some(fragment)));
        assert_eq!(upper.payload, &first[8..]);
        assert_eq!(
            walk_extensions(FRAGMENT, &first[..15]),
            Err(Ipv6Error::FragmentLength)
        );

        // The two reserved bits are set: ignored.
        let last = [TCP, 0, 0xff, 0xfe, 0, 0, 0, 7, 1];
        let fragment = walk_extensions(FRAGMENT, &last).unwrap().fragment.unwrap();
        assert_eq!((fragment.offset, fragment.more), (65_528, false));
    }

    #[test]
    fn the_walk_is_bounded() {
        let mut payload = [0; 8 * (MAX_EXTENSIONS + 1)];
        for header in payload.as_chunks_mut::<8>().0 {
            *header = [DESTINATION_OPTIONS, 0, 1, 4, 0, 0, 0, 0];
        }
        payload[8 * MAX_EXTENSIONS] = TCP;
        let too_many = walk_extensions(DESTINATION_OPTIONS, &payload);
        assert_eq!(too_many, Err(Ipv6Error::TooManyExtensions));
        let upper = walk_extensions(DESTINATION_OPTIONS, &payload[8..]).unwrap();
        assert_eq!(upper.offset, 40 + 8 * MAX_EXTENSIONS);
    }

    #[test]
    fn lengths() {
        let header = Ipv6Header {
            source: Ipv6Addr::LOCALHOST,
            destination: Ipv6Addr::LOCALHOST,
            next_header: TCP,
            hop_limit: 64,
            traffic_class: 0xff,
            flow_label: 0xf_ffff,
        };
        let mut packet = [0xee; 50];
        header.write(8, &mut packet).unwrap();
        let parsed = Ipv6Packet::parse(&packet).unwrap();
        assert_eq!((parsed.header, parsed.payload), (header, &[0xee; 8][..]));
        for len in 0..40 {
            assert_eq!(Ipv6Packet::parse(&packet[..len]), Err(Ipv6Error::Truncated));
        }
        for len in 40..48 {
            let short = Ipv6Packet::parse(&packet[..len]);
            assert_eq!(short, Err(Ipv6Error::PayloadLengthPastEnd(8)));
            let quoted = Ipv6Packet::parse_quoted(&packet[..len]).unwrap();
            assert_eq!(quoted.upper.payload.len(), len - 40);
        }
        packet[0] = 0x4f;
        assert_eq!(Ipv6Packet::parse(&packet), Err(Ipv6Error::BadVersion(4)));
        assert_eq!(header.write(65_536, &mut packet), Err(WriteError::TooLong));
    }
}
