//! What a device's offload would do, in software: completing checksums and cutting super-frames.
//!
//! Used by the devices that cannot ([`crate::Tun`] and [`crate::Packet`] with offload off,
//! [`crate::Memory`] without offload) and by [`crate::Record`], which shows frames as a wire would.

use std::io;

use woshou_wire::checksum::{self, Sum};
use woshou_wire::ip_protocol::{TCP, UDP};

use crate::{Medium, Outgoing};

const ETHERNET: usize = 14;
/// Offset of the checksum field in a UDP header, octets: no other transport's lies there.
const UDP_CHECKSUM: usize = 6;
const FIN_PSH: u8 = 0x09;
const CWR: u8 = 0x80;
/// IPv6 extension headers that are stepped over; more than these few are refused.
const MAX_EXTENSIONS: usize = 8;

/// Where the headers of a frame lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Offset of the IP header, octets.
    pub network: usize,
    /// IPv6 rather than IPv4.
    pub v6: bool,
    /// Offset of the transport header, octets.
    pub transport: usize,
    /// The transport protocol's IANA number.
    pub protocol: u8,
}

impl Layout {
    /// Finds the headers at the start of `frame`; `None` where it is no whole IPv4 or IPv6 header, or a
    /// fragment (which has no transport header of its own to work on).
    #[must_use]
    pub fn of(frame: &[u8], medium: Medium) -> Option<Self> {
        let network = match medium {
            Medium::Ip => 0,
            Medium::Ethernet { .. } => {
                if !matches!(frame.get(12..14)?, [0x08, 0x00] | [0x86, 0xdd]) {
                    return None;
                }
                ETHERNET
            }
        };
        let ip = frame.get(network..)?;
        match ip.first()? >> 4 {
            4 => Self::of_v4(ip, network),
            6 => Self::of_v6(ip, network),
            _ => None,
        }
    }

    fn of_v4(ip: &[u8], network: usize) -> Option<Self> {
        let header = ip.first_chunk::<20>()?;
        let length = usize::from(header[0] & 0x0f) * 4;
        let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0;
        if length < 20 || ip.len() < length || fragment {
            return None;
        }
        Some(Self {
            network,
            v6: false,
            transport: network + length,
            protocol: header[9],
        })
    }

    fn of_v6(ip: &[u8], network: usize) -> Option<Self> {
        let mut protocol = ip.first_chunk::<40>()?[6];
        let mut at = 40;
        for _ in 0..MAX_EXTENSIONS {
            // Hop-by-hop, routing, destination options (RFC 8200 section 4); a fragment header is refused below.
            if !matches!(protocol, 0 | 43 | 60) {
                return (protocol != 44).then_some(Self {
                    network,
                    v6: true,
                    transport: network + at,
                    protocol,
                });
            }
            let extension = ip.get(at..)?.first_chunk::<8>()?;
            protocol = extension[0];
            at += 8 + usize::from(extension[1]) * 8;
        }
        None
    }

    /// Sum of the pseudo-header of a transport message of `length` octets.
    fn pseudo_header(&self, frame: &[u8], length: usize) -> Option<Sum> {
        let ip = frame.get(self.network..)?;
        let (source, destination) = if self.v6 {
            let source = *ip.get(8..)?.first_chunk::<16>()?;
            (source.into(), (*ip.get(24..)?.first_chunk::<16>()?).into())
        } else {
            let source = *ip.get(12..)?.first_chunk::<4>()?;
            (source.into(), (*ip.get(16..)?.first_chunk::<4>()?).into())
        };
        let length = u32::try_from(length).ok()?;
        let sum = checksum::pseudo_header(source, destination, self.protocol, length);
        Some(sum)
    }

    /// Length of the transport header and offset of its checksum field; `None` for neither TCP nor UDP.
    fn transport_header(&self, frame: &[u8]) -> Option<(usize, usize)> {
        let transport = frame.get(self.transport..)?;
        match self.protocol {
            TCP => {
                let length = usize::from(transport.first_chunk::<20>()?[12] >> 4) * 4;
                (length >= 20 && transport.len() >= length).then_some((length, 16))
            }
            UDP => (transport.len() >= 8).then_some((8, UDP_CHECKSUM)),
            _ => None,
        }
    }

    /// End of the IP packet inside the frame: Ethernet may pad behind it.
    fn end(&self, frame: &[u8]) -> Option<usize> {
        let ip = frame.get(self.network..)?;
        let length = if self.v6 {
            let ip = ip.first_chunk::<40>()?;
            40 + usize::from(u16::from_be_bytes([ip[4], ip[5]]))
        } else {
            let ip = ip.first_chunk::<20>()?;
            usize::from(u16::from_be_bytes([ip[2], ip[3]]))
        };
        let end = self.network + length;
        (end >= self.transport && end <= frame.len()).then_some(end)
    }
}

/// Finishes a partial checksum: sums from octet `start` to the end of `frame` (the field holds the sum of
/// the pseudo-header) and stores the complement `offset` octets behind `start`.
///
/// Returns whether the field lies inside the frame; where it does not, nothing is changed.
#[must_use]
pub fn complete_checksum(frame: &mut [u8], start: u16, offset: u16) -> bool {
    let offset = usize::from(offset);
    checksum::complete(frame, start.into(), offset, offset == UDP_CHECKSUM).is_ok()
}

/// Computes the TCP or UDP checksum of a whole frame anew, whatever the field holds now.
///
/// Returns whether there was one to compute: false for fragments, other protocols and broken headers,
/// which are left alone.
#[must_use]
pub fn rewrite_checksum(frame: &mut [u8], medium: Medium) -> bool {
    rewrite(frame, medium).is_some()
}

fn rewrite(frame: &mut [u8], medium: Medium) -> Option<()> {
    let layout = Layout::of(frame, medium)?;
    let end = layout.end(frame)?;
    let frame = frame.get_mut(..end)?;
    let (_, field) = layout.transport_header(frame)?;
    let pseudo = layout
        .pseudo_header(frame, end - layout.transport)?
        .partial();
    let at = layout.transport + field;
    frame
        .get_mut(at..at + 2)?
        .copy_from_slice(&pseudo.to_be_bytes());
    let (start, offset) = (
        u16::try_from(layout.transport).ok()?,
        u16::try_from(field).ok()?,
    );
    complete_checksum(frame, start, offset).then_some(())
}

/// Cuts and completes frames, keeping one buffer for all of them.
#[derive(Debug, Default)]
pub struct Segmenter {
    scratch: Vec<u8>,
}

impl Segmenter {
    /// An empty one; its buffer grows to the largest frame seen (64 KiB at most).
    #[must_use]
    pub const fn new() -> Self {
        Self {
            scratch: Vec::new(),
        }
    }

    /// Hands `emit` the frames that a device with offload would have put on the wire for `frame`: cut by
    /// its `segment_size`, each with lengths, identification, sequence number, flags and checksums of its own.
    ///
    /// # Errors
    /// `InvalidInput`: not TCP where it is to be cut, headers not whole in the first part, or a checksum
    /// field outside the frame. Else what `emit` returned for the first segment; where `emit` says
    /// `WouldBlock` for a later one, the rest is lost, as in a queue that overflows, and the call succeeds.
    pub fn segments(
        &mut self,
        frame: &Outgoing<'_>,
        medium: Medium,
        mut emit: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(size) = frame.segment_size.map(usize::from) else {
            let whole = self.gather(frame.parts);
            if let Some((start, offset)) = frame.checksum
                && !complete_checksum(whole, start, offset)
            {
                return Err(bad("checksum field outside the frame"));
            }
            return emit(whole);
        };
        let cut = Cut::new(frame, medium, size)?;
        let payload_length = frame.len() - cut.headers.len();
        let mut at = 0;
        loop {
            let take = size.min(payload_length - at);
            let segment = self.build(&cut, at..at + take, payload_length)?;
            match emit(segment) {
                Err(error) if at > 0 && error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                result => result?,
            }
            at += take;
            if at >= payload_length {
                return Ok(());
            }
        }
    }

    fn gather(&mut self, parts: [&[u8]; 3]) -> &mut [u8] {
        self.scratch.clear();
        for part in parts {
            self.scratch.extend_from_slice(part);
        }
        &mut self.scratch
    }

    /// One segment: the octets `range` of the payload behind the headers, patched.
    fn build(
        &mut self,
        cut: &Cut<'_>,
        range: std::ops::Range<usize>,
        payload_length: usize,
    ) -> io::Result<&[u8]> {
        self.scratch.clear();
        self.scratch.extend_from_slice(cut.headers);
        let mut skipped = 0;
        for part in cut.payload {
            let from = range.start.clamp(skipped, skipped + part.len()) - skipped;
            let to = range.end.clamp(skipped, skipped + part.len()) - skipped;
            self.scratch
                .extend_from_slice(part.get(from..to).unwrap_or(&[]));
            skipped += part.len();
        }
        cut.patch(&mut self.scratch, &range, payload_length)
            .ok_or_else(|| bad("segment too long for its headers"))?;
        Ok(&self.scratch)
    }
}

/// A super-frame taken apart.
struct Cut<'a> {
    medium: Medium,
    layout: Layout,
    headers: &'a [u8],
    payload: [&'a [u8]; 3],
    size: usize,
}

impl<'a> Cut<'a> {
    fn new(frame: &Outgoing<'a>, medium: Medium, size: usize) -> io::Result<Self> {
        let [first, second, third] = frame.parts;
        let layout = Layout::of(first, medium)
            .filter(|layout| layout.protocol == TCP && size > 0)
            .ok_or_else(|| bad("only TCP in IP can be cut, into segments of an octet or more"))?;
        let (headers, payload) = layout
            .transport_header(first)
            .and_then(|(length, _)| first.split_at_checked(layout.transport + length))
            .ok_or_else(|| bad("headers not whole in the first part"))?;
        Ok(Self {
            medium,
            layout,
            headers,
            payload: [payload, second, third],
            size,
        })
    }

    /// Makes the copied headers those of the segment that carries `range`. The fields change as for
    /// a NIC's TCP segmentation: FIN and PSH only on the last, CWR only on the first (RFC 3168 6.1.2).
    fn patch(
        &self,
        segment: &mut [u8],
        range: &std::ops::Range<usize>,
        payload_length: usize,
    ) -> Option<()> {
        let ip_length = segment.len() - self.layout.network;
        let ip = segment.get_mut(self.layout.network..)?;
        if self.layout.v6 {
            let length = u16::try_from(ip_length.checked_sub(40)?).ok()?;
            ip.get_mut(4..6)?.copy_from_slice(&length.to_be_bytes());
        } else {
            self.patch_v4(ip, range.start / self.size)?;
        }
        let tcp = segment
            .get_mut(self.layout.transport..)?
            .first_chunk_mut::<20>()?;
        let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]])
            .wrapping_add(u32::try_from(range.start).ok()?);
        tcp[4..8].copy_from_slice(&sequence.to_be_bytes());
        if range.start > 0 {
            tcp[13] &= !CWR;
        }
        if range.end < payload_length {
            tcp[13] &= !FIN_PSH;
        }
        rewrite(segment, self.medium)
    }

    fn patch_v4(&self, ip: &mut [u8], index: usize) -> Option<()> {
        let length = u16::try_from(ip.len()).ok()?;
        let header = ip.get_mut(..self.layout.transport - self.layout.network)?;
        header.get_mut(2..4)?.copy_from_slice(&length.to_be_bytes());
        let id = u16::from_be_bytes([*header.get(4)?, *header.get(5)?]);
        // The count wraps as the field does; 65,535 segments of one octet fit in no packet.
        let id = id.wrapping_add(u16::try_from(index).ok()?);
        header.get_mut(4..6)?.copy_from_slice(&id.to_be_bytes());
        header.get_mut(10..12)?.fill(0);
        let sum = Sum::ZERO.with(header).checksum();
        header.get_mut(10..12)?.copy_from_slice(&sum.to_be_bytes());
        Some(())
    }
}

fn bad(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};
    use proptest::prelude::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

    /// A TCP frame by etherparse, its sequence number near the wrap.
    fn frame(medium: Medium, v6: bool, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let tcp = |builder: etherparse::PacketBuilderStep<etherparse::IpHeaders>| {
            builder
                .tcp(80, 4000, u32::MAX - 2000, 1000)
                .ack(7)
                .psh()
                .fin()
                .cwr()
        };
        let builder = match (medium, v6) {
            (Medium::Ip, false) => tcp(PacketBuilder::ipv4([10, 7, 0, 2], [10, 7, 0, 1], 64)),
            (Medium::Ip, true) => tcp(PacketBuilder::ipv6([7; 16], [8; 16], 64)),
            (_, false) => tcp(PacketBuilder::ethernet2(MAC, MAC).ipv4([9; 4], [8; 4], 64)),
            (_, true) => tcp(PacketBuilder::ethernet2(MAC, MAC).ipv6([9; 16], [8; 16], 64)),
        };
        builder.write(&mut out, payload).expect("a frame");
        out
    }

    fn parse(bytes: &[u8], medium: Medium) -> SlicedPacket<'_> {
        match medium {
            Medium::Ip => SlicedPacket::from_ip(bytes),
            Medium::Ethernet { .. } => SlicedPacket::from_ethernet(bytes),
        }
        .expect("a whole packet")
    }

    /// Checks every checksum of a segment by etherparse and returns its header and payload.
    fn verify(bytes: &[u8], medium: Medium) -> (etherparse::TcpHeader, Vec<u8>) {
        let packet = parse(bytes, medium);
        let Some(TransportSlice::Tcp(tcp)) = packet.transport else {
            panic!("no TCP");
        };
        let header = tcp.to_header();
        let expected = match packet.net.expect("IP") {
            etherparse::NetSlice::Ipv4(ip) => {
                let ip = ip.header().to_header();
                assert_eq!(ip.header_checksum, ip.calc_header_checksum());
                header.calc_checksum_ipv4(&ip, tcp.payload())
            }
            etherparse::NetSlice::Ipv6(ip) => {
                header.calc_checksum_ipv6(&ip.header().to_header(), tcp.payload())
            }
            etherparse::NetSlice::Arp(_) => panic!("ARP"),
        };
        assert_eq!(header.checksum, expected.expect("a checksum"));
        (header, tcp.payload().to_vec())
    }

    fn media() -> impl Strategy<Value = (Medium, bool)> {
        (
            prop_oneof![Just(Medium::Ip), Just(Medium::Ethernet { mac: MAC })],
            any::<bool>(),
        )
    }

    proptest! {
        #[test]
        fn segments_carry_the_same_octets(
            (medium, v6) in media(),
            payload in proptest::collection::vec(any::<u8>(), 0..6000),
            size in 1u16..3000,
            cuts in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        ) {
            let size = size.max(40);
            let whole = frame(medium, v6, &payload);
            let headers = whole.len() - payload.len();
            let (a, b) = (headers + cuts.0.index(payload.len() + 1), headers + cuts.1.index(payload.len() + 1));
            let (a, b) = (a.min(b), a.max(b));
            let outgoing = Outgoing {
                parts: [&whole[..a], &whole[a..b], &whole[b..]],
                checksum: None,
                segment_size: Some(size),
            };
            let mut got = Vec::new();
            let mut frames = Vec::new();
            Segmenter::new().segments(&outgoing, medium, |segment| {
                frames.push(segment.to_vec());
                Ok(())
            }).unwrap();
            let last = frames.len() - 1;
            for (index, segment) in frames.iter().enumerate() {
                let (header, text) = verify(segment, medium);
                prop_assert_eq!(header.sequence_number, (u32::MAX - 2000).wrapping_add(got.len() as u32));
                prop_assert_eq!((header.fin, header.psh, header.cwr), (index == last, index == last, index == 0));
                prop_assert!(text.len() <= usize::from(size));
                if index < last { prop_assert_eq!(text.len(), usize::from(size)); }
                got.extend(text);
            }
            prop_assert_eq!(got, payload);
        }

        #[test]
        fn completing_equals_computing(
            (medium, v6) in media(),
            payload in proptest::collection::vec(any::<u8>(), 0..3000),
        ) {
            let right = frame(medium, v6, &payload);
            let layout = Layout::of(&right, medium).unwrap();
            let mut partial = right.clone();
            let pseudo = layout.pseudo_header(&right, right.len() - layout.transport).unwrap().partial();
            let at = layout.transport + 16;
            partial[at..at + 2].copy_from_slice(&pseudo.to_be_bytes());
            let outgoing = Outgoing {
                parts: [&partial, &[], &[]],
                checksum: Some((layout.transport as u16, 16)),
                segment_size: None,
            };
            Segmenter::new().segments(&outgoing, medium, |done| {
                assert_eq!(done, right);
                Ok(())
            }).unwrap();
            partial[at..at + 2].fill(0xaa);
            prop_assert!(rewrite_checksum(&mut partial, medium));
            prop_assert_eq!(partial, right);
        }

        #[test]
        fn no_bytes_make_it_panic(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..120),
            version in prop_oneof![Just(0x45u8), Just(0x4f), Just(0x60), any::<u8>()],
            protocol in prop_oneof![Just(6u8), Just(17), Just(0), Just(60), Just(44)],
            size in any::<u16>(), start in any::<u16>(), offset in any::<u16>(),
        ) {
            if let Some(first) = bytes.first_mut() { *first = version; }
            for at in [6, 9] { if let Some(octet) = bytes.get_mut(at) { *octet = protocol; } }
            for checksum in [None, Some((start, offset)), Some((start % 64, offset % 64))] {
                for segment_size in [None, Some(size)] {
                    let outgoing = Outgoing { parts: [&bytes, &[1, 2, 3], &[4]], checksum, segment_size };
                    let _ = Segmenter::new().segments(&outgoing, Medium::Ip, |_| Ok(()));
                }
            }
            let _ = rewrite_checksum(&mut bytes, Medium::Ip);
        }
    }

    #[test]
    fn a_full_queue_later_on_loses_the_rest_and_at_once_is_told() {
        let whole = frame(Medium::Ip, false, &[7; 3000]);
        let outgoing = Outgoing {
            parts: [&whole, &[], &[]],
            checksum: None,
            segment_size: Some(1000),
        };
        for room in 0..4 {
            let mut sent = 0;
            let result = Segmenter::new().segments(&outgoing, Medium::Ip, |_| {
                if sent == room {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                sent += 1;
                Ok(())
            });
            assert_eq!(result.is_ok(), room > 0);
            assert_eq!(sent, room.min(3));
        }
    }

    #[test]
    fn frames_that_cannot_be_cut_are_refused() {
        let udp = {
            let mut out = Vec::new();
            PacketBuilder::ipv4([1; 4], [2; 4], 9)
                .udp(1, 2)
                .write(&mut out, &[0; 99])
                .unwrap();
            out
        };
        let tcp = frame(Medium::Ip, false, &[1; 99]);
        let mut fragment = tcp.clone();
        fragment[6] |= 0x20;
        for (name, bytes, size) in [
            ("udp", &udp[..], 10),
            ("short", &tcp[..30], 10),
            ("fragment", &fragment, 10),
            ("zero", &tcp, 0),
        ] {
            let outgoing = Outgoing {
                parts: [bytes, &[], &[]],
                checksum: None,
                segment_size: Some(size),
            };
            let error = Segmenter::new()
                .segments(&outgoing, Medium::Ip, |_| Ok(()))
                .expect_err(name);
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name}");
        }
    }
}
