//! A TCP that does as little as keeps one flow going: no timers worth the name, no reassembly, no congestion control, one
//! connection. What it reaches is the most that a stack behind the same device could.

use std::time::Duration;

use anyhow::Result;
use woshou_link::{Device, Outgoing};

use super::{Direction, PORT, Shared, wait};

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// Packets taken before it acknowledges and sends: few where they are large.
const BATCH: usize = 16;
const LARGE_BATCH: usize = 4;

/// Most octets on the way: more small segments than this, and a kernel socket whose reader is busy drops some.
const FLIGHT: u32 = 512 << 10;
const LARGE_FLIGHT: u32 = 4 << 20;

/// Its window is counted in KiB. Small segments of more than half a MiB may not find room in the device's queue of 500 packets.
const SHIFT: u8 = 10;
const WINDOW: u16 = (FLIGHT >> SHIFT) as u16;
const LARGE_WINDOW: u16 = (LARGE_FLIGHT >> SHIFT) as u16;

/// What it knows of its connection.
struct Flow {
    /// The packet's addresses and ports as they come in.
    addresses: [u8; 8],
    ports: [u8; 4],
    una: u32,
    nxt: u32,
    rcv_nxt: u32,
    window: u32,
    shift: u8,
    mss: usize,
    owes_ack: bool,
    duplicates: u32,
}

struct Null<'a> {
    device: Box<dyn Device>,
    shared: &'a Shared,
    offload: bool,
    /// Each octet is copied once, and summed where the device does not.
    copies: bool,
    received: Vec<u8>,
    zeros: Vec<u8>,
    copy: Vec<u8>,
    flow: Option<Flow>,
}

/// Without touching payload.
pub(crate) fn serve(device: Box<dyn Device>, shared: &std::sync::Arc<Shared>) -> Result<()> {
    run(device, shared, false)
}

/// With one copy of each octet, and its checksum where the device leaves it.
pub(crate) fn serve_copying(
    device: Box<dyn Device>,
    shared: &std::sync::Arc<Shared>,
) -> Result<()> {
    run(device, shared, true)
}

fn run(device: Box<dyn Device>, shared: &Shared, copies: bool) -> Result<()> {
    let offload = device.info().gso_max > 0;
    let mut null = Null {
        device,
        shared,
        offload,
        copies,
        received: vec![0; 66_000],
        zeros: vec![0; 66_000],
        copy: vec![0; 66_000],
        flow: None,
    };
    while !shared.is_over() {
        let taken = null.take();
        if null.flow.as_ref().is_some_and(|flow| flow.owes_ack) {
            null.send(ACK, 0, &[]);
        }
        let sent = null.fill();
        if !taken && !sent && !wait(&*null.device, Duration::from_millis(20))? {
            // The only timer: from the last answer on again.
            if let Some(flow) = &mut null.flow {
                flow.nxt = flow.una;
            }
        }
    }
    Ok(())
}

fn word(octets: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]])
}

/// The internet checksum's sum in the machine's order (RFC 1071 section 2: any order will do).
fn sum(octets: &[u8]) -> u64 {
    let words = octets.chunks_exact(4);
    let mut last = [0; 4];
    last[..words.remainder().len()].copy_from_slice(words.remainder());
    words.fold(u64::from(u32::from_ne_bytes(last)), |sum, word| {
        sum + u64::from(u32::from_ne_bytes([word[0], word[1], word[2], word[3]]))
    })
}

fn fold(mut sum: u64) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

impl Null<'_> {
    /// A batch of packets; whether there was one.
    fn take(&mut self) -> bool {
        let batch = if self.offload { LARGE_BATCH } else { BATCH };
        for index in 0..batch {
            let Ok(received) = self.device.recv(&mut self.received) else {
                return index > 0;
            };
            self.packet(received.len);
        }
        true
    }

    fn packet(&mut self, len: usize) {
        let packet = &self.received[..len];
        if len < 40 || packet[0] != 0x45 || packet[9] != 6 || packet[22..24] != PORT.to_be_bytes() {
            return;
        }
        let (flags, header) = (packet[33], 20 + usize::from(packet[32] >> 4) * 4);
        if flags & SYN != 0 {
            self.open(len.min(header));
            return;
        }
        let Some(flow) = &mut self.flow else { return };
        if packet[20..24] != flow.ports {
            return;
        }
        if flags & (RST | FIN) != 0 {
            self.flow = None;
            return;
        }
        let ack = word(packet, 28);
        flow.window = u32::from(u16::from_be_bytes([packet[34], packet[35]])) << flow.shift;
        if ack.wrapping_sub(flow.una) as i32 > 0 {
            flow.una = ack;
            flow.duplicates = 0;
            if (flow.nxt.wrapping_sub(ack) as i32) < 0 {
                flow.nxt = ack;
            }
        } else if len == header {
            flow.duplicates += 1;
            if flow.duplicates == 3 {
                flow.nxt = flow.una;
            }
        }
        let Some(text) = packet.get(header..).filter(|text| !text.is_empty()) else {
            return;
        };
        flow.owes_ack = true;
        if word(packet, 24) != flow.rcv_nxt {
            return;
        }
        flow.rcv_nxt = flow.rcv_nxt.wrapping_add(text.len() as u32);
        self.shared.count(text.len());
        if self.copies {
            if !self.offload {
                std::hint::black_box(sum(text));
            }
            self.copy[..text.len()].copy_from_slice(text);
            std::hint::black_box(&self.copy);
        }
    }

    /// Answers a SYN of so many octets.
    fn open(&mut self, len: usize) {
        let packet = &self.received[..len];
        let mut flow = Flow {
            addresses: [0; 8],
            ports: [0; 4],
            una: 1_000,
            nxt: 1_000,
            rcv_nxt: word(packet, 24).wrapping_add(1),
            window: 0,
            shift: 0,
            mss: 1_460,
            owes_ack: false,
            duplicates: 0,
        };
        flow.addresses.copy_from_slice(&packet[12..20]);
        flow.ports.copy_from_slice(&packet[20..24]);
        let mut options = &packet[40..];
        while let [kind, rest @ ..] = options {
            if *kind == 1 {
                options = rest;
                continue;
            }
            let Some(&length) = rest.first() else { break };
            match (kind, rest) {
                (2, [_, high, low, ..]) => {
                    flow.mss = usize::from(u16::from_be_bytes([*high, *low]));
                }
                (3, [_, shift, ..]) => flow.shift = *shift,
                _ => {}
            }
            options = options.get(usize::from(length).max(1)..).unwrap_or(&[]);
        }
        self.flow = Some(flow);
        let [high, low] = 1_460_u16.to_be_bytes();
        self.send(SYN | ACK, 0, &[2, 4, high, low, 1, 3, 3, SHIFT]);
        if let Some(flow) = &mut self.flow {
            flow.nxt = flow.nxt.wrapping_add(1);
        }
    }

    /// What the window lets go; whether there was something.
    fn fill(&mut self) -> bool {
        if self.shared.direction != Direction::ToKernel {
            return false;
        }
        let flight = if self.offload { LARGE_FLIGHT } else { FLIGHT };
        let mut any = false;
        for _ in 0..64 {
            let Some(flow) = &self.flow else { break };
            let used = flow.nxt.wrapping_sub(flow.una);
            let room = flow.window.min(flight).saturating_sub(used) as usize;
            if room < flow.mss {
                break;
            }
            let most = if self.offload { 65_535 - 40 } else { flow.mss };
            let octets = room.min(most);
            self.send(ACK, octets, &[]);
            if let Some(flow) = &mut self.flow {
                flow.nxt = flow.nxt.wrapping_add(octets as u32);
            }
            any = true;
        }
        any
    }

    /// A segment with so many zeros.
    fn send(&mut self, flags: u8, octets: usize, options: &[u8]) {
        let Some(flow) = &mut self.flow else { return };
        flow.owes_ack = false;
        let header = 40 + options.len();
        let mut head = [0_u8; 48];
        head[..10].copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6]);
        head[2..4].copy_from_slice(&((header + octets) as u16).to_be_bytes());
        head[12..16].copy_from_slice(&flow.addresses[4..]);
        head[16..20].copy_from_slice(&flow.addresses[..4]);
        head[20..22].copy_from_slice(&flow.ports[2..]);
        head[22..24].copy_from_slice(&flow.ports[..2]);
        head[24..28].copy_from_slice(&flow.nxt.to_be_bytes());
        head[28..32].copy_from_slice(&flow.rcv_nxt.to_be_bytes());
        head[32] = (((header - 20) / 4) << 4) as u8;
        head[33] = flags;
        let window = match (flags & SYN, self.offload) {
            (0, true) => LARGE_WINDOW,
            (0, false) => WINDOW,
            _ => u16::MAX,
        };
        head[34..36].copy_from_slice(&window.to_be_bytes());
        head[40..header].copy_from_slice(options);
        let ip = !fold(sum(&head[..20]));
        head[10..12].copy_from_slice(&ip.to_ne_bytes());
        let text = if self.copies {
            self.copy[..octets].copy_from_slice(&self.zeros[..octets]);
            &self.copy[..octets]
        } else {
            &self.zeros[..octets]
        };
        let length = ((header - 20 + octets) as u16).to_be();
        let pseudo = sum(&head[12..20]) + u64::from(6_u16.to_be()) + u64::from(length);
        let checksum = if self.offload {
            fold(pseudo)
        } else {
            // Zeros add nothing; who copies sums them all the same.
            let text = if self.copies { sum(text) } else { 0 };
            !fold(pseudo + sum(&head[20..header]) + text)
        };
        head[36..38].copy_from_slice(&checksum.to_ne_bytes());
        let mss = flow.mss;
        // What a full device refuses goes again, as what a network loses.
        let _ = self.device.send(&Outgoing {
            parts: [&head[..header], text, &[]],
            checksum: self.offload.then_some((20, 16)),
            segment_size: (self.offload && octets > mss).then_some(mss as u16),
        });
    }
}
