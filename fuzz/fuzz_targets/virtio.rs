//! The virtio-net header, and the checksum that it leaves to be finished.
#![no_main]

use libfuzzer_sys::fuzz_target;
use woshou_wire::checksum::{Sum, complete};
use woshou_wire::virtio_net::{HEADER_LEN, VirtioNetHeader};

fuzz_target!(|octets: &[u8]| {
    let Ok((header, packet)) = VirtioNetHeader::parse(octets) else {
        return;
    };
    let mut again = [0; HEADER_LEN];
    header.write(&mut again).expect("the length is its own");
    assert_eq!(octets[..HEADER_LEN], again);
    let (start, offset) = (
        usize::from(header.csum_start),
        usize::from(header.csum_offset),
    );
    let mut packet = packet.to_vec();
    let partial = packet
        .get(start + offset..start + offset + 2)
        .map(<[u8]>::to_vec);
    let completed = complete(&mut packet, start, offset, false);
    assert!(
        completed.is_ok() || !header.needs_csum(),
        "parse has looked"
    );
    // What covers everything but the partial sum, with the checksum in place, sums to that sum's complement.
    if let (Ok(()), Some(partial), true) = (completed, partial, offset % 2 == 0) {
        let sum = Sum::ZERO.with(&partial).with(&packet[start..]);
        assert!(sum.is_valid());
    }
});
