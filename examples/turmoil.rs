//! woshou in turmoil's simulated network: a megabyte over a path that loses packets, in virtual time.
//!
//! `cargo run --release -p woshou --example turmoil`
//!
//! turmoil's own `TcpStream` sends no segment twice: where its network loses one, the stream ends. Here each host has a
//! `woshou::Net` whose IP packets travel in datagrams of turmoil's `UdpSocket`, so that a test sees what TCP does about losses:
//! slow start, retransmission, the wait for it. To copy into a test of your own: `tunnel`, and `network` with your addresses.
//!
//! turmoil's `fail_rate` is no loss of single packets: where it strikes, the link drops everything that is in flight, both ways.
//! `Weather::Failures` shows it; `Weather::Loss` drops datagrams one by one before turmoil gets them.

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::net::UdpSocket;
use woshou::link::memory::{Memory, pair};
use woshou::link::{Device, MemoryOptions, Outgoing};
use woshou::{Cidr, Net};

/// How packets get lost.
#[derive(Clone, Copy, Debug)]
enum Weather {
    /// This part of them, each by itself.
    Loss(f64),
    /// With this probability a packet brings the link down until the next one: turmoil's `fail_rate`.
    Failures(f64),
}

/// The network that the tunnels carry; not turmoil's, whose addresses are the tunnels' ends.
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// Where the tunnels begin and end, on both hosts.
const PORT: u16 = 4500;
const OCTETS: usize = 1_000_000;

type Failure = Box<dyn Error>;

/// A net of its own for this host, whose packets go to `host` and come from there.
async fn network(address: Ipv4Addr, host: &str, loss: f64, seed: u64) -> io::Result<Net> {
    let options = MemoryOptions {
        offload: false,
        ..MemoryOptions::default()
    };
    let (device, cable) = pair(options);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
    let luck = Luck(seed ^ u64::from(address.to_bits()));
    tokio::spawn(tunnel(cable, socket, turmoil::lookup(host), loss, luck));
    let address = Cidr {
        address: address.into(),
        prefix: 24,
    };
    // Seeded, so that initial sequence numbers and ports are the same each time.
    let mut seeds = [0; 32];
    seeds[..8].copy_from_slice(&luck.0.to_le_bytes());
    Net::builder()
        .device(Box::new(device), [address])
        .seed(seeds)
        .spawn()
}

/// Carries packets between the far end of a memory cable and a datagram socket.
async fn tunnel(mut cable: Memory, socket: UdpSocket, peer: IpAddr, loss: f64, mut luck: Luck) {
    let (mut frame, mut datagram) = (vec![0; 1 << 17], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            biased; // or each run would be another
            outgoing = poll_fn(|cx| {
                cable.register(cx.waker());
                match cable.recv(&mut frame) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
                    received => Poll::Ready(received),
                }
            }) => {
                let Ok(outgoing) = outgoing else { return };
                if luck.draw() >= loss {
                    let _ = socket.send_to(&frame[..outgoing.len], (peer, PORT)).await;
                }
            }
            incoming = socket.recv_from(&mut datagram) => {
                let Ok((len, _)) = incoming else { return };
                let packet = Outgoing {
                    parts: [&datagram[..len], &[], &[]],
                    checksum: None,
                    segment_size: None,
                };
                let _ = cable.send(&packet); // what finds no room is lost
            }
        }
    }
}

/// SplitMix64: as many random numbers as wanted, the same from the same seed.
#[derive(Clone, Copy)]
struct Luck(u64);

impl Luck {
    /// From 0 to 1, without 1.
    fn draw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// What the client says: every octet tells where it stands.
fn text() -> Vec<u8> {
    (0..OCTETS)
        .map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8)
        .collect()
}

/// Takes the text, compares it, and says so.
async fn serve(loss: f64, seed: u64) -> Result<(), Failure> {
    let net = network(SERVER, "client", loss, seed).await?;
    let listener = net.bind((SERVER, 80)).await?;
    let (mut stream, _) = listener.accept().await?;
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await?;
    let verdict: &[u8] = if heard == text() {
        b"intact"
    } else {
        b"broken"
    };
    stream.write_all(verdict).await?;
    stream.shutdown().await?;
    net.idle().await;
    Ok(())
}

/// Says the text; how long it took, until the server had all of it and we know.
async fn call(loss: f64, seed: u64) -> Result<Duration, Failure> {
    let net = network(CLIENT, "server", loss, seed).await?;
    tokio::time::sleep(Duration::from_millis(1)).await; // the server binds
    let start = tokio::time::Instant::now();
    let mut stream = net.connect((SERVER, 80)).await?;
    stream.write_all(&text()).await?;
    stream.shutdown().await?;
    let mut verdict = String::new();
    stream.read_to_string(&mut verdict).await?;
    assert_eq!(verdict, "intact");
    Ok(start.elapsed())
}

/// One transfer, in virtual time.
fn transfer(weather: Weather, seed: u64) -> Result<Duration, Failure> {
    let (loss, failures) = match weather {
        Weather::Loss(loss) => (loss, 0.0),
        Weather::Failures(failures) => (0.0, failures),
    };
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .simulation_duration(Duration::from_secs(600))
        // About 22 ms there and back, and packets that overtake each other.
        .min_message_latency(Duration::from_millis(10))
        .max_message_latency(Duration::from_millis(12))
        .fail_rate(failures)
        .repair_rate(1.0)
        .udp_capacity(4096)
        .build();
    let (took, result) = std::sync::mpsc::channel();
    sim.host("server", move || serve(loss, seed));
    sim.client("client", async move {
        took.send(call(loss, seed).await?)?;
        Ok(())
    });
    sim.run()?;
    Ok(result.recv()?)
}

fn main() -> Result<(), Failure> {
    for weather in [
        Weather::Loss(0.0),
        Weather::Loss(0.02),
        Weather::Loss(0.1),
        Weather::Failures(0.002),
        Weather::Failures(0.02),
    ] {
        for seed in 1..=3 {
            let took = transfer(weather, seed)?;
            assert_eq!(
                transfer(weather, seed)?,
                took,
                "the same seed, the same run"
            );
            println!(
                "{weather:?}, seed {seed}: {OCTETS} octets intact in {took:?} of virtual time"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_megabyte_arrives_whatever_is_lost_and_a_seed_repeats() {
        for (weather, most) in [
            (Weather::Loss(0.0), Duration::from_millis(500)),
            (Weather::Loss(0.02), Duration::from_secs(2)),
            (Weather::Loss(0.1), Duration::from_secs(20)),
            (Weather::Failures(0.02), Duration::from_secs(10)),
        ] {
            let took = transfer(weather, 1).unwrap();
            assert!(took <= most, "{weather:?}: {took:?}");
            assert_eq!(transfer(weather, 1).unwrap(), took, "{weather:?}");
        }
    }
}
