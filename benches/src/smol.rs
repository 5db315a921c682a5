//! smoltcp to smoltcp.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant as Clock};

use anyhow::{Result, anyhow, ensure};
use bytes::BytesMut;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, PacketMeta, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use crate::link::{CAPACITY, Link};
use crate::memory::{Bulk, Cycles, Peer};

type Shared = Rc<RefCell<Link>>;

/// One end of the link.
struct End {
    tx: Shared,
    rx: Shared,
    mtu: usize,
    gso: bool,
    /// Packets that it still hands out in this turn.
    left: usize,
}

struct Rx {
    octets: BytesMut,
    home: Shared,
}

impl RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let result = f(&self.octets);
        self.home.borrow_mut().give_back(self.octets);
        result
    }
}

struct Tx {
    to: Shared,
}

impl TxToken for Tx {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut link = self.to.borrow_mut();
        let mut buffer = link.buffer();
        buffer.resize(len, 0);
        let result = f(&mut buffer);
        link.send(buffer, None);
        result
    }

    fn set_meta(&mut self, _: PacketMeta) {}
}

impl Device for End {
    type RxToken<'a> = Rx;
    type TxToken<'a> = Tx;

    fn receive(&mut self, _: Instant) -> Option<(Rx, Tx)> {
        self.left = self.left.checked_sub(1)?;
        let frame = self.rx.borrow_mut().receive()?;
        let rx = Rx {
            octets: frame.octets,
            home: self.rx.clone(),
        };
        Some((
            rx,
            Tx {
                to: self.tx.clone(),
            },
        ))
    }

    fn transmit(&mut self, _: Instant) -> Option<Tx> {
        self.tx.borrow().has_room().then(|| Tx {
            to: self.tx.clone(),
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        if self.gso {
            capabilities.checksum.tcp = Checksum::None;
            capabilities.checksum.ipv4 = Checksum::None;
            capabilities.segmentation.tcpv4 = std::num::NonZeroUsize::new(65535);
        }
        capabilities
    }
}

struct Host {
    device: End,
    interface: Interface,
    sockets: SocketSet<'static>,
}

impl Host {
    fn new(last: u8, mut device: End) -> Self {
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = 7;
        let mut interface = Interface::new(config, &mut device, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            // The first address always has a place.
            let _ = addresses.push(IpCidr::new(IpAddress::v4(10, 0, 0, last), 24));
        });
        Self {
            device,
            interface,
            sockets: SocketSet::new(Vec::new()),
        }
    }

    /// One turn: takes all that arrived.
    fn poll(&mut self, now: Instant) {
        self.turn(now, CAPACITY);
    }

    /// One turn: takes so many packets at most, and sends.
    fn turn(&mut self, now: Instant, batch: usize) {
        self.device.left = batch;
        self.interface
            .poll(now, &mut self.device, &mut self.sockets);
    }

    fn socket(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut::<tcp::Socket<'static>>(handle)
    }

    fn listen(&mut self, buffer: usize) -> Result<SocketHandle> {
        let mut socket = socket(buffer);
        socket
            .listen(80)
            .map_err(|error| anyhow!("smoltcp listen: {error}"))?;
        Ok(self.sockets.add(socket))
    }

    fn open(&mut self, port: u16, buffer: usize) -> Result<SocketHandle> {
        let handle = self.sockets.add(socket(buffer));
        let socket = self.sockets.get_mut::<tcp::Socket<'static>>(handle);
        socket
            .connect(
                self.interface.context(),
                (IpAddress::v4(10, 0, 0, 2), 80),
                port,
            )
            .map_err(|error| anyhow!("smoltcp connect: {error}"))?;
        Ok(handle)
    }
}

fn socket(buffer: usize) -> tcp::Socket<'static> {
    let octets = || tcp::SocketBuffer::new(vec![0; buffer]);
    let mut socket = tcp::Socket::new(octets(), octets());
    socket.set_congestion_control(tcp::CongestionControl::None);
    socket
}

fn hosts(mtu: usize, gso: bool) -> (Host, Host) {
    let forth = Shared::default();
    let back = Shared::default();
    let client = End {
        tx: forth.clone(),
        rx: back.clone(),
        mtu,
        gso,
        left: 0,
    };
    let server = End {
        tx: back,
        rx: forth,
        mtu,
        gso,
        left: 0,
    };
    (Host::new(1, client), Host::new(2, server))
}

fn instant(now: Duration) -> Instant {
    Instant::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}

/// Two interfaces and a connection between them.
pub(crate) struct Pair {
    client: Host,
    server: Host,
    sender: SocketHandle,
    receiver: SocketHandle,
    batch: usize,
    /// Text is looked at where it lies.
    borrows: bool,
}

impl Peer for Pair {
    const NAME: &'static str = "smoltcp";

    fn connect(bulk: &Bulk) -> Result<Self> {
        let (mut client, mut server) = hosts(bulk.mtu, bulk.gso);
        let receiver = server.listen(bulk.buffer)?;
        let sender = client.open(40_000, bulk.buffer)?;
        for _ in 0..10 {
            client.poll(Instant::ZERO);
            server.poll(Instant::ZERO);
        }
        ensure!(client.socket(sender).may_send(), "smoltcp did not connect");
        Ok(Self {
            client,
            server,
            sender,
            receiver,
            batch: bulk.batch,
            borrows: bulk.borrows,
        })
    }

    fn turn(
        &mut self,
        now: Duration,
        chunk: &[u8],
        into: &mut [u8],
        mut seen: impl FnMut(&[u8]),
    ) -> Result<u64> {
        let sender = self.client.socket(self.sender);
        while sender.can_send() {
            sender
                .send_slice(chunk)
                .map_err(|error| anyhow!("smoltcp send: {error}"))?;
        }
        self.client.poll(instant(now));
        while {
            self.server.turn(instant(now), self.batch);
            !self.server.device.rx.borrow().is_empty()
        } {}
        let receiver = self.server.socket(self.receiver);
        let mut read = 0;
        while receiver.can_recv() {
            let octets = if self.borrows {
                receiver.recv(|text| {
                    seen(text);
                    (text.len(), text.len())
                })
            } else {
                receiver
                    .recv_slice(into)
                    .inspect(|octets| seen(&into[..*octets]))
            };
            let octets = octets.map_err(|error| anyhow!("smoltcp receive: {error}"))?;
            read += octets as u64;
        }
        Ok(read)
    }

    fn packets(&self) -> [u64; 2] {
        [&self.client, &self.server].map(|host| host.device.tx.borrow().sent)
    }

    fn corrupt_next(&mut self) {
        self.client.device.tx.borrow_mut().corrupt_next = true;
    }

    fn cycles(cycles: &Cycles) -> Result<f64> {
        const BUFFER: usize = 4096;
        let (mut client, mut server) = hosts(1500, false);
        let mut now = 0;
        let mut started = Clock::now();
        for cycle in 0..cycles.held + cycles.count {
            if cycle == cycles.held {
                started = Clock::now();
            }
            let port = 1025 + (cycle % 64_000) as u16;
            let listener = server.listen(BUFFER)?;
            let opener = client.open(port, BUFFER)?;
            open_and_close(&mut client, &mut server, [opener, listener], &mut now)?;
            server.sockets.remove(listener);
            if cycles.held == 0 {
                client.sockets.remove(opener);
            }
        }
        Ok(f64::from(cycles.count) / started.elapsed().as_secs_f64())
    }
}

/// Handshake, FIN, FIN; until the client is in TIME-WAIT and the server closed.
fn open_and_close(
    client: &mut Host,
    server: &mut Host,
    [opener, listener]: [SocketHandle; 2],
    now: &mut i64,
) -> Result<()> {
    for round in 0..100 {
        // A microsecond a round; more when an acknowledgement is delayed.
        *now += if round < 20 { 1 } else { 1000 };
        client.poll(Instant::from_micros(*now));
        server.poll(Instant::from_micros(*now));
        let ours = client.socket(opener);
        if ours.state() == tcp::State::Established {
            ours.close();
        }
        let is_over = ours.state() == tcp::State::TimeWait;
        let theirs = server.socket(listener);
        if theirs.state() == tcp::State::CloseWait {
            theirs.close();
        }
        if is_over && theirs.state() == tcp::State::Closed {
            return Ok(());
        }
    }
    Err(anyhow!("smoltcp did not close"))
}
