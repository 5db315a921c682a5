use pcap_file::pcapng::{Block, PcapNgReader};

use super::*;
use crate::scene::{classic, trouble};

/// What a reader sees of a packet: interface, nanoseconds, octets, flags, comment.
type Seen = (u32, u128, Vec<u8>, u32, String);

fn read(file: &[u8]) -> (Vec<(DataLink, String)>, Vec<Seen>) {
    let mut reader = PcapNgReader::new(file).unwrap();
    let (mut interfaces, mut packets) = (Vec::new(), Vec::new());
    while let Some(block) = reader.next_block() {
        match block.unwrap() {
            Block::InterfaceDescription(block) => {
                let mut name = String::new();
                let mut nanos = false;
                for option in &block.options {
                    match option {
                        InterfaceDescriptionOption::IfName(n) => name = n.to_string(),
                        InterfaceDescriptionOption::IfTsResol(r) => nanos = *r == 9,
                        _ => {}
                    }
                }
                assert!(nanos, "timestamps are nanoseconds");
                interfaces.push((block.linktype, name));
            }
            Block::EnhancedPacket(block) => {
                let (mut flags, mut comment) = (0, String::new());
                for option in &block.options {
                    match option {
                        EnhancedPacketOption::Flags(f) => flags = *f,
                        EnhancedPacketOption::Comment(c) => comment = c.to_string(),
                        _ => {}
                    }
                }
                let at = block.timestamp.as_nanos();
                packets.push((block.interface_id, at, block.data.to_vec(), flags, comment));
            }
            other => panic!("{other:?}"),
        }
    }
    (interfaces, packets)
}

#[test]
fn a_timeline_reads_back_with_states_and_reasons() {
    let scene = classic();
    let file = write(&scene.t, Lang::En, Vec::new()).unwrap();
    let (interfaces, packets) = read(&file);
    let named = |name: &str| (DataLink::RAW, name.to_owned());
    assert_eq!(interfaces, [named("client"), named("server")]);
    let got: Vec<(u32, u128, &str)> = packets
        .iter()
        .map(|p| (p.0, p.1 / 1_000_000, p.4.as_str()))
        .collect();
    assert_eq!(
        got,
        [
            (0, 0, "client SYN-SENT, open: own ISN, options offered"),
            (
                1,
                10,
                "server SYN-RECEIVED, accept: own ISN, options agreed"
            ),
            (0, 20, "client ESTABLISHED, the third: both numbers agreed"),
            (0, 40, "client ESTABLISHED, data"),
            (1, 50, "server ESTABLISHED, data"),
            (0, 60, "client FIN-WAIT-1, close: no more data from here"),
            (1, 70, "server CLOSE-WAIT, ack of FIN"),
            (1, 70, "server LAST-ACK, close: no more data from here"),
            (0, 80, "client TIME-WAIT, ack of FIN"),
        ]
    );
    assert!(packets.iter().all(|p| p.3 == 2), "all outbound");
    let left = scene.t.records().iter().filter_map(|r| match &r.what {
        What::Left { octets, .. } => Some(octets.to_vec()),
        _ => None,
    });
    assert!(left.eq(packets.into_iter().map(|p| p.2)));
}

#[test]
fn lost_packets_say_so_and_files_are_the_same_twice() {
    let file = write(&trouble().t, Lang::En, Vec::new()).unwrap();
    assert_eq!(file, write(&trouble().t, Lang::En, Vec::new()).unwrap());
    let comments: Vec<String> = read(&file).1.into_iter().map(|p| p.4).collect();
    assert_eq!(comments.iter().filter(|c| c.ends_with("; lost")).count(), 1);
    assert_eq!(
        comments
            .iter()
            .filter(|c| c.ends_with("; corrupted"))
            .count(),
        1
    );
}

#[test]
fn live_frames_are_put_together_and_long_comments_cut() {
    let mut writer = PcapngWriter::new(Vec::new(), LinkType::Ethernet, "tap0").unwrap();
    let long = "握手".repeat(20_000);
    let now = 1_795_000_000_123_456_789;
    writer
        .frame(now, Direction::Inbound, &[&[1, 2], &[], &[3]], "")
        .unwrap();
    writer
        .frame(now + 1, Direction::Outbound, &[&[4]], &long)
        .unwrap();
    let (interfaces, packets) = read(&writer.finish().unwrap());
    assert_eq!(interfaces, [(DataLink::ETHERNET, "tap0".to_owned())]);
    assert_eq!(
        packets[0],
        (0, u128::from(now), vec![1, 2, 3], 1, String::new())
    );
    assert_eq!((packets[1].3, packets[1].4.len()), (2, 32_766));
    assert!(long.starts_with(&packets[1].4));
}

#[test]
fn what_the_writer_reports_comes_back() {
    #[derive(Debug)]
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let error = write(&classic().t, Lang::En, Full).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}
