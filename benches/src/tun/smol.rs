//! smoltcp's side, by hand: one thread, one loop, the same device as woshou's.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use smoltcp::iface::{Config, Interface, PollResult, SocketSet};
use smoltcp::phy::{Checksum, DeviceCapabilities, Medium, PacketMeta, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};
use woshou_link::{Device, Outgoing, WOSHOU_V4};

use super::{CHUNK, Direction, PORT, Shared, wait};

/// The buffer sizes of woshou's defaults.
const BUFFER: usize = 1 << 20;

/// Where TCP's checksum lies: after an IPv4 header without options, 16 octets into TCP's.
const CHECKSUM: (u16, u16) = (20, 16);

struct Phy {
    device: Box<dyn Device>,
    offload: bool,
    received: Vec<u8>,
    sent: Vec<u8>,
}

struct Rx<'a>(&'a [u8]);

struct Tx<'a> {
    device: &'a mut dyn Device,
    buffer: &'a mut Vec<u8>,
    offload: bool,
    segment_size: Option<u16>,
}

impl RxToken for Rx<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl TxToken for Tx<'_> {
    fn set_meta(&mut self, meta: PacketMeta) {
        self.segment_size = meta.segmentation_offload_size.map(std::num::NonZero::get);
    }

    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.buffer.resize(len, 0);
        let result = f(self.buffer);
        let checksum = (self.offload && is_plain_tcp(self.buffer)).then(|| {
            let sum = pseudo_header(self.buffer);
            self.buffer[36..38].copy_from_slice(&sum.to_be_bytes());
            CHECKSUM
        });
        let segment_size = self.segment_size.filter(|_| checksum.is_some());
        // A device that is full loses the packet, as a network would.
        let _ = self.device.send(&Outgoing {
            parts: [self.buffer, &[], &[]],
            checksum,
            segment_size,
        });
        result
    }
}

/// IPv4 without options, and TCP with a whole header.
fn is_plain_tcp(packet: &[u8]) -> bool {
    packet.len() >= 40 && packet[0] == 0x45 && packet[9] == 6
}

/// The sum of the pseudo-header of a packet that [`is_plain_tcp`], where the device starts from.
fn pseudo_header(packet: &[u8]) -> u16 {
    let addresses: u32 = packet[12..20]
        .chunks_exact(2)
        .map(|two| u32::from(u16::from_be_bytes([two[0], two[1]])))
        .sum();
    let length = u32::try_from(packet.len() - 20).unwrap_or(0);
    let sum = addresses + 6 + (length & 0xffff) + (length >> 16);
    let folded = (sum & 0xffff) + (sum >> 16);
    ((folded & 0xffff) + (folded >> 16)) as u16
}

impl smoltcp::phy::Device for Phy {
    type RxToken<'a> = Rx<'a>;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Rx<'_>, Tx<'_>)> {
        let received = self.device.recv(&mut self.received).ok()?;
        let tx = Tx {
            device: &mut *self.device,
            buffer: &mut self.sent,
            offload: self.offload,
            segment_size: None,
        };
        Some((Rx(&self.received[..received.len]), tx))
    }

    fn transmit(&mut self, _: Instant) -> Option<Tx<'_>> {
        Some(Tx {
            device: &mut *self.device,
            buffer: &mut self.sent,
            offload: self.offload,
            segment_size: None,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.device.info().mtu;
        if self.offload {
            capabilities.checksum.tcp = Checksum::None;
            capabilities.segmentation.tcpv4 = std::num::NonZeroUsize::new(65_535);
        }
        capabilities
    }
}

pub(crate) fn serve(device: Box<dyn Device>, shared: &Arc<Shared>) -> Result<()> {
    let offload = device.info().gso_max > 0;
    let mut phy = Phy {
        device,
        offload,
        received: vec![0; 66_000],
        sent: Vec::new(),
    };
    let mut interface = Interface::new(Config::new(HardwareAddress::Ip), &mut phy, Instant::now());
    interface.update_ip_addrs(|addresses| {
        // The first address always has a place.
        let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(WOSHOU_V4), 24));
    });
    let mut socket = {
        let octets = || tcp::SocketBuffer::new(vec![0; BUFFER]);
        tcp::Socket::new(octets(), octets())
    };
    socket.set_congestion_control(tcp::CongestionControl::Cubic);
    socket
        .listen(PORT)
        .map_err(|error| anyhow!("smoltcp listen: {error}"))?;
    let mut sockets = SocketSet::new(Vec::new());
    let handle = sockets.add(socket);
    let zeros = vec![0; CHUNK];
    while !shared.is_over() {
        let polled = interface.poll(Instant::now(), &mut phy, &mut sockets);
        let moved = talk(sockets.get_mut(handle), &zeros, shared)?;
        if polled != PollResult::SocketStateChanged && !moved {
            let most = smoltcp::time::Duration::from_millis(50);
            let delay: Duration = interface
                .poll_delay(Instant::now(), &sockets)
                .map_or(most, |it| it.min(most))
                .into();
            if !delay.is_zero() {
                wait(&*phy.device, delay)?;
            }
        }
    }
    Ok(())
}

/// What the application does with its socket; whether octets moved.
fn talk(socket: &mut tcp::Socket<'_>, zeros: &[u8], shared: &Shared) -> Result<bool> {
    let mut moved = false;
    match shared.direction {
        Direction::FromKernel => {
            while socket.can_recv() {
                let octets = socket
                    .recv(|octets| (octets.len(), octets.len()))
                    .map_err(|error| anyhow!("smoltcp receive: {error}"))?;
                shared.count(octets);
                moved = true;
            }
        }
        Direction::ToKernel => {
            while socket.can_send() {
                socket
                    .send_slice(zeros)
                    .map_err(|error| anyhow!("smoltcp send: {error}"))?;
                moved = true;
            }
        }
    }
    Ok(moved)
}
