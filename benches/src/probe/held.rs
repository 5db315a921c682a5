//! A million connections: the peer is a device that shakes hands and remembers nothing.

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use anyhow::{Result, ensure};
use woshou::{Cidr, Net, TcpStream};
use woshou_link::{Device, DeviceInfo, Medium, Outgoing, Readiness, Received};
use woshou_tcp::State;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 255, 0, 1);
const PORT: u16 = 80;
/// Ports of one client address that are used.
const PORTS: u32 = 50_000;
/// Most connections that are begun and not yet accepted: the listener's queue has room for them.
const AT_ONCE: u32 = 256;

const SYN: u8 = 2;
const ACK: u8 = 16;

/// What the device and who accepts share.
#[derive(Default)]
struct Gate {
    accepted: AtomicU32,
    waker: Mutex<Option<Waker>>,
}

impl Gate {
    fn wake(&self) {
        let mut waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = waker.take() {
            waker.wake();
        }
    }
}

/// A client that opens connections one after the other and lets each lie.
struct Greeter {
    /// Connections to open, and those begun.
    all: u32,
    begun: u32,
    gate: Arc<Gate>,
    /// What completes handshakes: header octets of the SYN-ACKs.
    answers: VecDeque<[u8; 40]>,
}

impl Greeter {
    /// An IPv4 header and a TCP header; whoever takes it trusts the device for TCP's checksum.
    fn packet(buffer: &mut [u8], client: Ipv4Addr, port: u16, options: &[u8]) -> usize {
        let len = 40 + options.len();
        buffer[..40].fill(0);
        buffer[..4].copy_from_slice(&[0x45, 0, 0, len as u8]);
        buffer[8..10].copy_from_slice(&[64, 6]);
        buffer[12..16].copy_from_slice(&client.octets());
        buffer[16..20].copy_from_slice(&SERVER.octets());
        let words = buffer[..20].chunks_exact(2);
        let sum: u32 = words
            .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
            .sum();
        let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
        buffer[10..12].copy_from_slice(&sum.to_be_bytes());
        buffer[20..22].copy_from_slice(&port.to_be_bytes());
        buffer[22..24].copy_from_slice(&PORT.to_be_bytes());
        buffer[32] = ((20 + options.len()) as u8 / 4) << 4;
        buffer[34..36].copy_from_slice(&u16::MAX.to_be_bytes());
        buffer[40..len].copy_from_slice(options);
        len
    }

    fn syn(&self, buffer: &mut [u8]) -> usize {
        let [.., high, low] = (self.begun / PORTS).to_be_bytes();
        let port = 10_000 + (self.begun % PORTS) as u16;
        // MSS 1460, SACK permitted, window scale 7.
        let options = [2, 4, 5, 180, 4, 2, 1, 1, 1, 3, 3, 7];
        let len = Self::packet(buffer, Ipv4Addr::new(10, high, low, 2), port, &options);
        buffer[33] = SYN;
        len
    }

    fn ack(answer: &[u8; 40], buffer: &mut [u8]) -> usize {
        let client = Ipv4Addr::new(answer[16], answer[17], answer[18], answer[19]);
        let port = u16::from_be_bytes([answer[22], answer[23]]);
        let len = Self::packet(buffer, client, port, &[]);
        let theirs = u32::from_be_bytes([answer[24], answer[25], answer[26], answer[27]]);
        buffer[24..28].copy_from_slice(&answer[28..32]);
        buffer[28..32].copy_from_slice(&theirs.wrapping_add(1).to_be_bytes());
        buffer[33] = ACK;
        len
    }
}

impl Device for Greeter {
    fn info(&self) -> DeviceInfo {
        DeviceInfo {
            medium: Medium::Ip,
            mtu: 1500,
            checksum_offload: true,
            gso_max: 0,
            queue: None,
        }
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        let len = if let Some(answer) = self.answers.pop_front() {
            Self::ack(&answer, buffer)
        } else if self.begun < self.all
            && self.begun - self.gate.accepted.load(Ordering::Relaxed) < AT_ONCE
        {
            self.begun += 1;
            self.syn(buffer)
        } else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        Ok(Received {
            len,
            checksum_valid: true,
            segment_size: None,
        })
    }

    fn send(&mut self, frame: &Outgoing<'_>) -> io::Result<()> {
        let Some(head) = frame.parts[0].first_chunk::<40>() else {
            return Ok(());
        };
        if head[33] == SYN | ACK {
            self.answers.push_back(*head);
            self.gate.wake();
        }
        Ok(())
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Waker
    }

    fn register(&mut self, waker: &Waker) {
        let mut shared = self
            .gate
            .waker
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *shared = Some(waker.clone());
    }
}

/// Octets for each connection: resident, and on the heap.
pub(super) fn measure(connections: u32) -> Result<[f64; 2]> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let gate = Arc::new(Gate::default());
        let device = Greeter {
            all: connections,
            begun: 0,
            gate: gate.clone(),
            answers: VecDeque::new(),
        };
        let ours = Cidr {
            address: SERVER.into(),
            prefix: 8,
        };
        let net = Net::builder()
            .device(Box::new(device), [ours])
            .memory(8 << 30)
            .spawn()?;
        let listener = net.bind((SERVER, PORT)).await?;
        let (heap, resident) = (crate::entries::heap(), super::resident("VmRSS")?);
        let mut held: Vec<TcpStream> = Vec::with_capacity(connections as usize);
        while held.len() < connections as usize {
            held.push(listener.accept().await?.0);
            gate.accepted.fetch_add(1, Ordering::Relaxed);
            gate.wake();
        }
        let each = |grown: f64| grown / f64::from(connections);
        let figures = [
            each(super::resident("VmRSS")? - resident),
            each(crate::entries::heap().saturating_sub(heap) as f64),
        ];
        let all = net.connections();
        let open = all.iter().filter(|it| it.1 == State::Established).count();
        ensure!(
            open == connections as usize,
            "{open} of {connections} are established"
        );
        drop(held);
        Ok(figures)
    })
}
