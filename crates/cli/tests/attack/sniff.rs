//! What one connection of woshou's looks like on the wire: an attacker on the path would see it, and one off the path
//! has to guess it.

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType, recv, socket_with, sockopt,
};

use crate::packet::{ACK, FIN, FORGED, SYN};

/// One end, by the genuine segments it sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct End {
    /// Where its sequence numbers have come to: its SND.NXT.
    pub(crate) next: u32,
    /// What it acknowledged last: its RCV.NXT.
    pub(crate) ack: u32,
    /// Its window, octets.
    pub(crate) window: u32,
    /// The largest window it ever had.
    pub(crate) max_window: u32,
    /// The last TSval.
    pub(crate) timestamp: Option<u32>,
    /// The most text in one packet since this was last set to zero.
    pub(crate) largest: usize,
    /// The number of its SYN.
    pub(crate) first: u32,
    scale: u8,
    started: bool,
}

/// A connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) peer: SocketAddr,
    pub(crate) woshou: SocketAddr,
    pub(crate) from_woshou: End,
    pub(crate) from_peer: End,
    /// When the last segment was seen.
    pub(crate) last: Instant,
}

/// Watches one connection in a thread of its own.
#[derive(Clone)]
pub(crate) struct Sniffer(Arc<Mutex<Option<Flow>>>);

/// Addresses, protocol number, TTL and payload of an IP packet without options and extension headers.
pub(crate) fn parse_ip(packet: &[u8]) -> Option<(IpAddr, IpAddr, u8, u8, &[u8])> {
    let v4 = |at: usize| {
        packet
            .get(at..at + 4)?
            .try_into()
            .ok()
            .map(|a: [u8; 4]| IpAddr::from(a))
    };
    let v6 = |at: usize| {
        packet
            .get(at..at + 16)?
            .try_into()
            .ok()
            .map(|a: [u8; 16]| IpAddr::from(a))
    };
    match packet.first()? >> 4 {
        4 => {
            let len = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
            Some((v4(12)?, v4(16)?, packet[9], packet[8], packet.get(20..len)?))
        }
        6 => Some((v6(8)?, v6(24)?, packet[6], packet[7], packet.get(40..)?)),
        _ => None,
    }
}

fn word(octets: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(octets.get(at..at + 4)?.try_into().ok()?))
}

/// The window scale and TSval among the options.
fn options(mut octets: &[u8]) -> (u8, Option<u32>) {
    let (mut scale, mut timestamp) = (0, None);
    while let Some(&kind) = octets.first() {
        let len = match kind {
            0 => break,
            1 => 1,
            _ => usize::from(octets.get(1).copied().unwrap_or(0)).max(2),
        };
        match kind {
            3 => scale = octets.get(2).copied().unwrap_or(0),
            8 => timestamp = word(octets, 2),
            _ => {}
        }
        octets = octets.get(len..).unwrap_or(&[]);
    }
    (scale, timestamp)
}

impl End {
    fn saw(&mut self, segment: &[u8]) -> Option<()> {
        let (seq, ack) = (word(segment, 4)?, word(segment, 8)?);
        let offset = usize::from(segment.get(12)? >> 4) * 4;
        let flags = segment[13];
        let text = segment.len().checked_sub(offset)?;
        let (scale, timestamp) = options(segment.get(20..offset)?);
        let window = u32::from(u16::from_be_bytes([segment[14], segment[15]]));
        if flags & SYN != 0 {
            *self = Self {
                scale,
                first: seq,
                ..Self::default()
            };
            self.window = window;
        } else {
            self.window = window << self.scale;
        }
        self.max_window = self.max_window.max(self.window);
        self.timestamp = timestamp.or(self.timestamp);
        self.largest = self.largest.max(text);
        let end = seq
            .wrapping_add(text as u32)
            .wrapping_add(u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0));
        if !self.started || (end.wrapping_sub(self.next) as i32) > 0 {
            self.next = end;
            self.started = true;
        }
        if flags & ACK != 0 {
            self.ack = ack;
        }
        Some(())
    }
}

impl Sniffer {
    /// Watches the connection to or from `port`, on whichever side it is; `woshou` is woshou's address.
    pub(crate) fn start(woshou: IpAddr, port: u16) -> Self {
        // ETH_P_ALL, in network order; not bound, it hears every device of the namespace.
        let protocol =
            Protocol::from_raw(NonZeroU32::from(NonZeroU16::new(3_u16.to_be()).unwrap()));
        let socket = socket_with(
            AddressFamily::PACKET,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            Some(protocol),
        )
        .unwrap();
        let _ = sockopt::set_socket_recv_buffer_size_force(&socket, 64 << 20);
        let shared = Arc::new(Mutex::new(None));
        let flow = Arc::clone(&shared);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 70_000];
            while let Ok((len, _)) = recv(&socket, buffer.as_mut_slice(), RecvFlags::empty()) {
                note(&flow, &buffer[..len], woshou, port);
            }
        });
        Self(shared)
    }

    /// As it is now.
    pub(crate) fn flow(&self) -> Flow {
        self.0.lock().unwrap().expect("a connection was seen")
    }

    /// Forgets the largest packet.
    pub(crate) fn forget_largest(&self) {
        if let Some(flow) = self.0.lock().unwrap().as_mut() {
            flow.from_woshou.largest = 0;
        }
    }

    /// Waits until woshou has acknowledged the `written` octets that the peer sent in all and nothing has been said for
    /// 30 ms, five seconds at most.
    pub(crate) fn quiet(&self, written: usize) -> Flow {
        let start = Instant::now();
        while self.0.lock().unwrap().is_none() && start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(2));
        }
        loop {
            let flow = self.flow();
            let all = flow.from_peer.first.wrapping_add(1 + written as u32);
            let quiet =
                flow.from_woshou.ack == all && flow.last.elapsed() > Duration::from_millis(30);
            if quiet || start.elapsed() > Duration::from_secs(5) {
                return flow;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn note(flow: &Mutex<Option<Flow>>, packet: &[u8], woshou: IpAddr, port: u16) -> Option<()> {
    let (from, to, protocol, ttl, segment) = parse_ip(packet)?;
    if protocol != 6 || ttl == FORGED || segment.len() < 20 {
        return None;
    }
    let from = SocketAddr::new(from, u16::from_be_bytes([segment[0], segment[1]]));
    let to = SocketAddr::new(to, u16::from_be_bytes([segment[2], segment[3]]));
    if from.port() != port && to.port() != port {
        return None;
    }
    let mut flow = flow.lock().unwrap();
    let (ours, theirs) = if from.ip() == woshou {
        (from, to)
    } else {
        (to, from)
    };
    // `woshou connect` tries again from another port where the peer was not listening yet: the last SYN counts.
    let opens = segment[13] & (SYN | ACK) == SYN;
    if opens && flow.is_some_and(|one| (one.woshou, one.peer) != (ours, theirs)) {
        *flow = None;
    }
    let flow = flow.get_or_insert_with(|| Flow {
        peer: theirs,
        woshou: ours,
        from_woshou: End::default(),
        from_peer: End::default(),
        last: Instant::now(),
    });
    if (flow.woshou, flow.peer) != (ours, theirs) {
        return None;
    }
    flow.last = Instant::now();
    if from == ours {
        flow.from_woshou.saw(segment)
    } else {
        flow.from_peer.saw(segment)
    }
}
