//! The answer to a segment that nobody owns: a RST that its sender believes (RFC 9293 section 3.10.7.1).

use woshou_tcp::{Flags, Header, Segment, SeqNum};

/// The RST for `segment`, or `None` where none may be sent: a RST is never answered.
#[must_use]
pub(crate) fn answer(segment: &Segment<'_>) -> Option<Header> {
    let header = &segment.header;
    if header.flags.rst() {
        return None;
    }
    Some(if header.flags.ack() {
        Header {
            seq: header.ack,
            flags: Flags::RST,
            ..Header::default()
        }
    } else {
        Header {
            seq: SeqNum(0),
            ack: header.seq + segment.len(),
            flags: Flags::RST | Flags::ACK,
            ..Header::default()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use woshou_tcp::Text;

    #[test]
    fn as_the_rfc_says() {
        let none = Flags::NONE;
        // flags, octets of text; flags, sequence and acknowledgement number of the answer
        let cases = [
            (Flags::SYN, 0, Some((Flags::RST | Flags::ACK, 0, 0))),
            (
                Flags::SYN | Flags::FIN,
                3,
                Some((Flags::RST | Flags::ACK, 0, 4)),
            ),
            (none, 5, Some((Flags::RST | Flags::ACK, 0, 4))),
            (Flags::ACK, 5, Some((Flags::RST, 77, 0))),
            (Flags::SYN | Flags::ACK, 0, Some((Flags::RST, 77, 0))),
            (Flags::RST, 0, None),
            (Flags::RST | Flags::ACK, 0, None),
        ];
        for (flags, len, expected) in cases {
            let header = Header {
                seq: SeqNum(u32::MAX),
                ack: SeqNum(77),
                flags,
                ..Header::default()
            };
            let octets = [0; 5];
            let text = Text {
                octets: &octets[..len],
                owner: None,
            };
            let answer = answer(&Segment {
                header,
                text,
                ..Segment::default()
            });
            assert_eq!(
                answer.map(|h| (h.flags, h.seq.0, h.ack.0)),
                expected,
                "{flags} with {len} octets"
            );
        }
    }
}
