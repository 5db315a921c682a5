//! Sequence numbers as people read them: absolute in the handshake, counted from it afterwards (tcpdump's way).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use woshou_tcp::{Header, SeqNum};

/// One direction of a connection.
#[derive(Clone, Copy, Debug)]
struct Flow {
    isn: SeqNum,
    /// Whether it sent anything after its SYN.
    spoke: bool,
}

/// Remembers the initial sequence numbers that went by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    flows: BTreeMap<(SocketAddr, SocketAddr), Flow>,
}

/// The numbers to print for one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// SEG.SEQ.
    pub(crate) seq: u32,
    /// SEG.ACK.
    pub(crate) ack: u32,
    /// What was subtracted from numbers of the other direction (SEG.ACK, SACK blocks).
    pub(crate) ack_base: u32,
}

impl Numbers {
    /// The numbers of a segment from `source` to `destination`; `empty`: it has no text.
    ///
    /// Absolute are those with SYN, the third of the handshake, and directions whose SYN was not seen.
    pub(crate) fn show(
        &mut self,
        (source, destination): (SocketAddr, SocketAddr),
        header: &Header,
        empty: bool,
    ) -> Shown {
        let absolute = Shown {
            seq: header.seq.0,
            ack: header.ack.0,
            ack_base: 0,
        };
        if header.flags.syn() {
            self.flows.insert(
                (source, destination),
                Flow {
                    isn: header.seq,
                    spoke: false,
                },
            );
            return absolute;
        }
        let peer = self.flows.get(&(destination, source)).map(|flow| flow.isn);
        let Some(own) = self.flows.get_mut(&(source, destination)) else {
            return absolute;
        };
        let third = !own.spoke
            && empty
            && header.flags.ack()
            && !header.flags.fin()
            && !header.flags.rst()
            && header.seq == own.isn + 1
            && peer.is_some_and(|isn| header.ack == isn + 1);
        own.spoke = true;
        if third {
            return absolute;
        }
        let base = peer.map_or(0, |isn| isn.0);
        Shown {
            seq: header.seq.distance_from(own.isn),
            ack: header.ack.0.wrapping_sub(base),
            ack_base: base,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Numbers, Shown};
    use woshou_tcp::{Flags, Header, SeqNum};

    #[test]
    fn absolute_in_the_handshake_then_counted_from_it() {
        let (a, b) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
        let (x, y) = (0xffff_fffe_u32, 0xffff_ffff_u32);
        let mut numbers = Numbers::default();
        // (from a?, flags, seq, ack, text?) -> (seq, ack, base)
        let cases = [
            ((true, Flags::SYN, x, 0, false), (x, 0, 0)),
            (
                (false, Flags::SYN | Flags::ACK, y, 0xffff_ffff, false),
                (y, 0xffff_ffff, 0),
            ),
            (
                (true, Flags::ACK, 0xffff_ffff, 0, false),
                (0xffff_ffff, 0, 0),
            ),
            ((true, Flags::ACK, 0xffff_ffff, 0, true), (1, 1, y)),
            ((true, Flags::ACK, 9, 0, true), (11, 1, y)),
            ((false, Flags::ACK, 0, 19, false), (1, 21, x)),
        ];
        for ((from_a, flags, seq, ack, text), (want_seq, want_ack, ack_base)) in cases {
            let header = Header {
                seq: SeqNum(seq),
                ack: SeqNum(ack),
                flags,
                ..Header::default()
            };
            let way = if from_a { (a, b) } else { (b, a) };
            let got = numbers.show(way, &header, !text);
            assert_eq!(
                got,
                Shown {
                    seq: want_seq,
                    ack: want_ack,
                    ack_base
                },
                "seq {seq}"
            );
        }
    }

    #[test]
    fn a_direction_whose_syn_was_not_seen_stays_absolute() {
        let way = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
        let header = Header {
            seq: SeqNum(77),
            ack: SeqNum(88),
            flags: Flags::ACK,
            ..Header::default()
        };
        let got = Numbers::default().show(way, &header, true);
        assert_eq!(
            got,
            Shown {
                seq: 77,
                ack: 88,
                ack_base: 0
            }
        );
    }
}
