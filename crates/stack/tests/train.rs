//! Segments that leave as a train: each is what a segment of its own would be, whatever happens while the train is under way.

mod pair;

use pair::{Pair, at, pattern};
use woshou_wire::checksum::{Sum, pseudo_header};

const PSH: u8 = 0x08;
const RST: u8 = 0x04;

/// A packet of the client, from the IPv4 header on.
struct Sent(Vec<u8>);

impl Sent {
    fn seq(&self) -> u32 {
        u32::from_be_bytes(self.0[24..28].try_into().expect("four octets"))
    }

    fn flags(&self) -> u8 {
        self.0[33]
    }

    fn text(&self) -> &[u8] {
        &self.0[20 + usize::from(self.0[32] >> 4) * 4..]
    }

    /// Both checksums, and the length.
    fn check(&self) {
        let (ip, tcp) = self.0.split_at(20);
        assert!(Sum::ZERO.with(ip).is_valid(), "IP's checksum");
        assert_eq!(
            usize::from(u16::from_be_bytes([ip[2], ip[3]])),
            self.0.len()
        );
        let ends = ["10.0.0.1", "10.0.0.2"].map(|address| address.parse().expect("an address"));
        let pseudo = pseudo_header(ends[0], ends[1], 6, tcp.len() as u32);
        assert!(pseudo.with(tcp).is_valid(), "TCP's checksum");
    }
}

fn next(pair: &mut Pair) -> Option<Sent> {
    let transmit = pair.stacks[0].poll_transmit(pair.now)?;
    let mut octets = transmit.headers.to_vec();
    octets.extend_from_slice(transmit.payload[0]);
    octets.extend_from_slice(transmit.payload[1]);
    Some(Sent(octets))
}

#[test]
fn all_segments_are_whole_and_only_the_last_pushes() {
    let mut pair = Pair::new();
    let (client, _, _) = pair.connected(at("10.0.0.2", 80));
    pair.stacks[0].set_nodelay(pair.now, client, true);
    let text = pattern(10_000);
    pair.stacks[0].write(pair.now, client, &text).unwrap();
    let sent: Vec<_> = std::iter::from_fn(|| next(&mut pair)).collect();
    assert_eq!(sent.len(), 7);
    let first = sent[0].seq();
    let mut joined = Vec::new();
    for (index, packet) in sent.iter().enumerate() {
        packet.check();
        assert_eq!(packet.seq(), first.wrapping_add(joined.len() as u32));
        assert_eq!(packet.flags() & PSH != 0, index == 6);
        assert_eq!(packet.0.len() == 1500, index < 6);
        joined.extend_from_slice(packet.text());
    }
    assert_eq!(joined, text);
}

#[test]
fn an_abort_ends_it() {
    let mut pair = Pair::new();
    let (client, _, _) = pair.connected(at("10.0.0.2", 80));
    pair.stacks[0].set_nodelay(pair.now, client, true);
    pair.stacks[0]
        .write(pair.now, client, &pattern(10_000))
        .unwrap();
    for _ in 0..3 {
        assert_eq!(next(&mut pair).unwrap().text().len(), 1448);
    }
    pair.stacks[0].abort(pair.now, client);
    let last = next(&mut pair).unwrap();
    assert_ne!(last.flags() & RST, 0);
    assert!(last.text().is_empty());
    assert!(next(&mut pair).is_none());
}

#[test]
fn what_is_acknowledged_meanwhile_does_not_leave() {
    let mut pair = Pair::new();
    let (client, _, _) = pair.connected(at("10.0.0.2", 80));
    pair.stacks[0].set_nodelay(pair.now, client, true);
    pair.stacks[0]
        .write(pair.now, client, &pattern(10_000))
        .unwrap();
    let first = next(&mut pair).unwrap();
    // A peer that acknowledges what it cannot have: all of it.
    let mut ack = first.0[..first.0.len() - first.text().len()].to_vec();
    ack[2..4].copy_from_slice(&52_u16.to_be_bytes());
    ack[12..20].rotate_left(4);
    let ip = Sum::ZERO.with(&ack[..10]).with(&[0, 0]).with(&ack[12..20]);
    ack[10..12].copy_from_slice(&ip.checksum().to_be_bytes());
    ack[20..24].rotate_left(2);
    let seq: [u8; 4] = ack[28..32].try_into().unwrap();
    let all = first.seq().wrapping_add(10_000);
    ack[24..28].copy_from_slice(&seq);
    ack[28..32].copy_from_slice(&all.to_be_bytes());
    // Its timestamps: ours go back, its own as they came.
    ack[44..52].rotate_left(4);
    ack[36..38].fill(0);
    let ends = ["10.0.0.2", "10.0.0.1"].map(|address| address.parse().unwrap());
    let sum = pseudo_header(ends[0], ends[1], 6, 32).with(&ack[20..]);
    ack[36..38].copy_from_slice(&sum.checksum().to_be_bytes());
    pair.inject(0, &ack);
    assert!(next(&mut pair).is_none(), "the rest would be for nobody");
    let info = pair.stacks[0].info(pair.now, client).unwrap();
    assert_eq!(info.bytes_acked, 10_000);
}
