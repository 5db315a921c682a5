//! TCP segments to and from packets: the only place where TCP's values meet the wire's.

use alloc::vec::Vec;

use bytes::Bytes;
use woshou_tcp::{Ecn, Endpoints, Flags, Header, Segment, SeqNum, Text, Transmit};
use woshou_wire::checksum::{Sum, pseudo_header};
use woshou_wire::ip_protocol;
use woshou_wire::tcp::{self, MAX_HEADER_LEN, TcpHeader, TcpSegment, tcp_checksum, verify};
use woshou_wire::tcp_option::{Layout, TcpOptions};
use woshou_wire::{ipv6, tcp::CHECKSUM_OFFSET};

use crate::ip::{Datagram, HEADROOM, IpHeader};
use crate::marks::Marks;

/// Room for the longest headers: Ethernet, IPv6, TCP with all options.
pub(crate) const SCRATCH: usize = HEADROOM + ipv6::HEADER_LEN + MAX_HEADER_LEN;

/// How a packet came, as far as its text is concerned.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arrival<'a> {
    pub(crate) owner: Option<&'a Bytes>,
    pub(crate) checksum_valid: bool,
    pub(crate) segment_size: Option<u16>,
}

/// Ports and segment of a datagram that carries TCP; `None`: malformed or damaged.
///
/// Options with an illegal length end what is read of them, and the segment counts (MUST-7): that keeps a
/// connection through a broken middlebox alive.
//= rfc9293 MUST-7
//= rfc9293 MUST-3
pub(crate) fn parse<'a>(
    datagram: &Datagram<'a>,
    arrival: &Arrival<'a>,
) -> Option<((u16, u16), Segment<'a>)> {
    let (source, destination) = (datagram.source, datagram.destination);
    let origin = Origin {
        pseudo: pseudo_header(source, destination, ip_protocol::TCP, 0),
        ecn: datagram.ecn,
    };
    read(datagram.payload, &origin, arrival)
}

/// What IP says of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// The pseudo-header without the length.
    pub(crate) pseudo: Sum,
    pub(crate) ecn: Ecn,
}

/// As [`parse`], of the segment itself.
#[inline]
pub(crate) fn read<'a>(
    tcp: &'a [u8],
    origin: &Origin,
    arrival: &Arrival<'a>,
) -> Option<((u16, u16), Segment<'a>)> {
    let segment = TcpSegment::parse(tcp).ok()?;
    if !arrival.checksum_valid {
        let len = u32::try_from(tcp.len()).ok()?;
        if !verify(origin.pseudo.with_word(len), tcp) {
            return None;
        }
    }
    let wire = &segment.header;
    let header = Header {
        seq: SeqNum(wire.sequence),
        ack: SeqNum(wire.acknowledgement),
        flags: Flags::from_bits(wire.flags),
        window: wire.window,
        urgent: wire.urgent,
        options: TcpOptions::parse(segment.options)
            .unwrap_or_else(|malformed| malformed.understood),
    };
    let text = Text {
        octets: segment.payload,
        owner: arrival.owner,
    };
    let coalesced = arrival
        .segment_size
        .filter(|&size| size > 0)
        .map_or(1, |size| {
            u16::try_from(segment.payload.len().div_ceil(usize::from(size))).unwrap_or(u16::MAX)
        });
    let segment = Segment {
        header,
        text,
        ecn: origin.ecn,
        coalesced,
    };
    Some(((wire.source_port, wire.destination_port), segment))
}

/// A segment about to leave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) endpoints: Endpoints,
    pub(crate) header: Header,
    pub(crate) text: [&'a [u8]; 2],
    pub(crate) ecn: Ecn,
    pub(crate) marks: Marks,
    /// IPv6's.
    pub(crate) flow_label: u32,
    /// The device completes the checksum.
    pub(crate) partial: bool,
    pub(crate) layout: Layout,
}

impl<'a> Outgoing<'a> {
    /// `transmit` between `endpoints`.
    pub(crate) fn new(endpoints: Endpoints, transmit: &Transmit<'a>, marks: Marks) -> Self {
        Self {
            endpoints,
            header: transmit.header,
            text: transmit.text,
            ecn: transmit.ecn,
            marks,
            flow_label: 0,
            partial: false,
            layout: Layout::default(),
        }
    }

    /// Writes the IP and TCP headers behind [`HEADROOM`] octets of `into`; returns where TCP's header begins and
    /// ends. `None`: the packet would be too long for IP.
    //= rfc9293 MUST-2
    pub(crate) fn write(&self, into: &mut [u8]) -> Option<(usize, usize)> {
        let ip = IpHeader {
            source: self.endpoints.local.ip(),
            destination: self.endpoints.remote.ip(),
            protocol: ip_protocol::TCP,
            hop_limit: self.marks.ttl(),
            tos: self.marks.tos(),
            ecn: self.ecn,
            flow_label: self.flow_label,
        };
        let start = HEADROOM + ip.len();
        let tcp = self.tcp_header();
        let header_len = tcp
            .write(&self.header.options, self.layout, into.get_mut(start..)?)
            .ok()?;
        let payload_len = header_len + self.text[0].len() + self.text[1].len();
        ip.write(payload_len, into.get_mut(HEADROOM..)?).ok()?;
        let len = u32::try_from(payload_len).ok()?;
        let pseudo = pseudo_header(ip.source, ip.destination, ip_protocol::TCP, len);
        let end = start + header_len;
        let header = into.get_mut(start..end)?;
        let checksum = if self.partial {
            pseudo.partial()
        } else {
            tcp_checksum(pseudo, &[header, self.text[0], self.text[1]])
        };
        tcp::set_checksum(header, checksum).ok()?;
        Some((start, end))
    }

    fn tcp_header(&self) -> TcpHeader {
        TcpHeader {
            source_port: self.endpoints.local.port(),
            destination_port: self.endpoints.remote.port(),
            sequence: self.header.seq.0,
            acknowledgement: self.header.ack.0,
            flags: self.header.flags.bits(),
            window: self.header.window,
            urgent: self.header.urgent,
        }
    }

    /// A packet of its own, with [`HEADROOM`] in front.
    pub(crate) fn packet(&self) -> Option<Vec<u8>> {
        let mut headers = [0; SCRATCH];
        let (_, end) = self.write(&mut headers)?;
        let mut packet = Vec::with_capacity(end + self.text[0].len() + self.text[1].len());
        packet.extend_from_slice(headers.get(..end)?);
        packet.extend_from_slice(self.text[0]);
        packet.extend_from_slice(self.text[1]);
        Some(packet)
    }
}

/// `csum_offset` of TCP.
pub(crate) const CHECKSUM_AT: u16 = CHECKSUM_OFFSET as u16;
