//! The headers of the segment written last: those of the next differ in a few fields, where it is of the same connection, and only
//! these are written and summed again.

use woshou_tcp::Flags;
use woshou_wire::checksum::{Sum, pseudo_header};
use woshou_wire::tcp_option::Timestamps;
use woshou_wire::{ip_protocol, ipv4};

use crate::ip::HEADROOM;
use crate::segment::{Outgoing, SCRATCH};
use crate::table::ConnId;

/// Octets of a TCP header with timestamps and no other option.
const TCP_LEN: usize = 32;

/// What of a segment stands in fields that are not written again.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kept {
    /// It names both ends.
    id: ConnId,
    ttl: u8,
    traffic_class: u8,
    flow_label: u32,
}

impl Kept {
    fn of(id: ConnId, outgoing: &Outgoing<'_>) -> Self {
        Self {
            id,
            ttl: outgoing.marks.ttl(),
            traffic_class: outgoing.marks.tos() | outgoing.ecn as u8,
            flow_label: outgoing.flow_label,
        }
    }
}

/// Headers, and sums over what stays the same in them.
pub(crate) struct Stencil {
    headers: [u8; SCRATCH],
    /// `None`: the next is written anew.
    kept: Option<Kept>,
    /// Where TCP's header begins.
    tcp: usize,
    /// IPv4's header without length and checksum; nothing for IPv6.
    ip: Option<Sum>,
    /// The pseudo-header without length.
    pseudo: Sum,
    /// Ports, and the kind and length of the option.
    fixed: Sum,
}

impl Stencil {
    pub(crate) const fn new() -> Self {
        Self {
            headers: [0; SCRATCH],
            kept: None,
            tcp: 0,
            ip: None,
            pseudo: Sum::ZERO,
            fixed: Sum::ZERO,
        }
    }

    /// The headers written last, [`HEADROOM`] in front included; room for the link's.
    pub(crate) fn headers(&self) -> &[u8] {
        &self.headers
    }

    /// As [`Self::headers`].
    pub(crate) fn headers_mut(&mut self) -> &mut [u8] {
        &mut self.headers
    }

    /// As [`Outgoing::write`], for a segment of the connection `id`.
    pub(crate) fn write(&mut self, id: ConnId, outgoing: &Outgoing<'_>) -> Option<(usize, usize)> {
        let timestamps = plain(outgoing);
        let kept = Kept::of(id, outgoing);
        if let Some(timestamps) = timestamps.filter(|_| self.kept == Some(kept)) {
            self.patch(outgoing, timestamps)?;
            return Some((self.tcp, self.tcp + TCP_LEN));
        }
        self.kept = None;
        let (tcp, end) = outgoing.write(&mut self.headers)?;
        if timestamps.is_some() && end - tcp == TCP_LEN {
            self.keep(kept, tcp, outgoing)?;
        }
        Some((tcp, end))
    }

    /// Sums what stays the same. `outgoing` was just written.
    #[cold]
    fn keep(&mut self, kept: Kept, tcp: usize, outgoing: &Outgoing<'_>) -> Option<()> {
        let ends = &outgoing.endpoints;
        let header = self.headers.get(HEADROOM..tcp)?;
        self.ip = ends.remote.is_ipv4().then(|| {
            let mut header = <[u8; ipv4::HEADER_LEN]>::try_from(header).unwrap_or_default();
            header[2..4].fill(0);
            header[10..12].fill(0);
            Sum::ZERO.with(&header)
        });
        self.pseudo = pseudo_header(ends.local.ip(), ends.remote.ip(), ip_protocol::TCP, 0);
        let written = self.headers.get(tcp..tcp + TCP_LEN)?;
        self.fixed = Sum::ZERO.with(&written[..4]).with(&written[20..24]);
        self.tcp = tcp;
        self.kept = Some(kept);
        Some(())
    }

    /// Writes what is another's. `None`: the packet would be too long for IP.
    #[inline]
    fn patch(&mut self, outgoing: &Outgoing<'_>, timestamps: Timestamps) -> Option<()> {
        let header = &outgoing.header;
        let len = TCP_LEN + outgoing.text[0].len() + outgoing.text[1].len();
        let (ip, tcp) = self.headers.split_at_mut_checked(self.tcp)?;
        let ip = ip.get_mut(HEADROOM..)?;
        match self.ip {
            Some(sum) => {
                let total = u16::try_from(ipv4::HEADER_LEN + len).ok()?;
                *ip.get_mut(2..)?.first_chunk_mut()? = total.to_be_bytes();
                let checksum = sum.with_word(u32::from(total)).checksum();
                *ip.get_mut(10..)?.first_chunk_mut()? = checksum.to_be_bytes();
            }
            None => *ip.get_mut(4..)?.first_chunk_mut()? = u16::try_from(len).ok()?.to_be_bytes(),
        }
        let offset = (TCP_LEN as u16 / 4) << 12;
        let words = [
            header.seq.0,
            header.ack.0,
            u32::from(offset | header.flags.bits()) << 16 | u32::from(header.window),
            timestamps.value,
            timestamps.echo,
        ];
        let pseudo = self.pseudo.with_word(u32::try_from(len).ok()?);
        let checksum = if outgoing.partial {
            pseudo.partial()
        } else {
            let sum = words.iter().fold(pseudo, |sum, word| sum.with_word(*word));
            // The ports and the option are whole words: the text follows at an even octet.
            let sum = sum.with_sum(self.fixed);
            sum.with(outgoing.text[0]).with(outgoing.text[1]).checksum()
        };
        let tcp = tcp.first_chunk_mut::<TCP_LEN>()?;
        tcp[4..8].copy_from_slice(&words[0].to_be_bytes());
        tcp[8..12].copy_from_slice(&words[1].to_be_bytes());
        tcp[12..16].copy_from_slice(&words[2].to_be_bytes());
        tcp[16..18].copy_from_slice(&checksum.to_be_bytes());
        tcp[24..28].copy_from_slice(&words[3].to_be_bytes());
        tcp[28..32].copy_from_slice(&words[4].to_be_bytes());
        Some(())
    }
}

/// The timestamps of a segment that has no other option, nor urgent text.
#[inline]
fn plain(outgoing: &Outgoing<'_>) -> Option<Timestamps> {
    let header = &outgoing.header;
    let plain = header.urgent == 0 && !header.flags.contains(Flags::SYN);
    header.options.timestamps_alone().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;
    use woshou_tcp::{Ecn, Endpoints, Header, SeqNum};
    use woshou_wire::tcp_option::{Layout, SackBlock, TcpOptions};

    use super::*;
    use crate::marks::Marks;

    #[derive(Clone, Debug)]
    struct Written {
        who: u32,
        header: Header,
        text: [Vec<u8>; 2],
        marks: (u8, u8),
        ecn: bool,
        partial: bool,
    }

    fn written() -> impl Strategy<Value = Written> {
        let text = || proptest::collection::vec(any::<u8>(), 0..50);
        let numbers = (
            any::<u32>(),
            any::<u32>(),
            any::<u16>(),
            any::<u32>(),
            any::<u32>(),
        );
        let kind = (0u32..3, 0u8..16, any::<[bool; 2]>(), 0u16..3);
        let marks = (
            prop_oneof![3 => Just(64u8), 1 => 1u8..],
            prop_oneof![3 => Just(0u8), 1 => Just(8)],
        );
        (numbers, kind, marks, [text(), text()]).prop_map(|(numbers, kind, marks, text)| {
            let (seq, ack, window, value, echo) = numbers;
            let (who, rare, [ecn, partial], flags) = kind;
            let mut options = TcpOptions {
                timestamps: (rare != 0).then_some(Timestamps { value, echo }),
                ..TcpOptions::default()
            };
            if rare == 1 {
                options.sack.push(SackBlock {
                    left: seq,
                    right: ack,
                });
            }
            Written {
                who,
                header: Header {
                    seq: SeqNum(seq),
                    ack: SeqNum(ack),
                    flags: [Flags::ACK, Flags::ACK | Flags::PSH, Flags::ACK | Flags::FIN]
                        [usize::from(flags)],
                    window,
                    urgent: u16::from(rare == 2),
                    options,
                },
                text,
                marks,
                ecn,
                partial,
            }
        })
    }

    fn outgoing(written: &Written) -> Outgoing<'_> {
        let ends = match written.who {
            0 => ["10.0.0.1:80", "10.0.0.2:4000"],
            1 => ["10.0.0.1:80", "10.0.0.3:4000"],
            _ => ["[fd00::1]:80", "[fd00::2]:4000"],
        };
        let [local, remote] = ends.map(|end| end.parse().unwrap());
        Outgoing {
            endpoints: Endpoints { local, remote },
            header: written.header,
            text: [&written.text[0], &written.text[1]],
            ecn: if written.ecn { Ecn::Ect0 } else { Ecn::NotEct },
            marks: Marks::new(written.marks.0, written.marks.1),
            flow_label: if written.who == 2 { 0xabcde } else { 0 },
            partial: written.partial,
            layout: Layout::Linux,
        }
    }

    proptest! {
        #[test]
        fn it_is_what_would_be_written_anew(all in proptest::collection::vec(written(), 1..40)) {
            let mut stencil = Stencil::new();
            for one in &all {
                let outgoing = outgoing(one);
                let id = ConnId { index: one.who, generation: 7 };
                let mut anew = [0; SCRATCH];
                let places = outgoing.write(&mut anew);
                prop_assert_eq!(stencil.write(id, &outgoing), places);
                let (_, end) = places.unwrap();
                prop_assert_eq!(&stencil.headers()[HEADROOM..end], &anew[HEADROOM..end]);
            }
        }
    }

    #[test]
    fn a_packet_too_long_for_ip_is_none() {
        let text = alloc::vec![0; 65_536 - 20 - TCP_LEN];
        let one = |len: usize| Written {
            who: 0,
            header: Header {
                flags: Flags::ACK,
                options: TcpOptions {
                    timestamps: Some(Timestamps { value: 1, echo: 2 }),
                    ..TcpOptions::default()
                },
                ..Header::default()
            },
            text: [text[..len].to_vec(), Vec::new()],
            marks: (64, 0),
            ecn: false,
            partial: true,
        };
        let mut stencil = Stencil::new();
        let id = ConnId {
            index: 0,
            generation: 0,
        };
        for (len, fits) in [
            (1, true),
            (text.len() - 1, true),
            (text.len(), false),
            (9, true),
        ] {
            let written = one(len);
            assert_eq!(
                stencil.write(id, &outgoing(&written)).is_some(),
                fits,
                "{len}"
            );
        }
    }
}
