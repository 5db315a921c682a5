//! What is measured in memory, whatever the stack.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::link::CAPACITY;

/// A bulk transfer.
#[derive(Clone, Copy)]
pub(crate) struct Bulk {
    /// Largest packet, octets; the segments of a super-packet too.
    pub(crate) mtu: usize,
    /// Super-packets of up to 64 KiB; the link then vouches for checksums.
    pub(crate) gso: bool,
    /// Send and receive buffer, octets each.
    pub(crate) buffer: usize,
    /// The programs hand over and take buffers by reference, where the stack can.
    pub(crate) borrows: bool,
    /// Packets that the receiver takes before it has its turn to acknowledge.
    pub(crate) batch: usize,
    /// Idle connections held beside it, where the stack can.
    pub(crate) idle: u32,
    /// Listeners beside it, where the stack can.
    pub(crate) listeners: u16,
    /// How long to measure.
    pub(crate) duration: Duration,
}

impl Bulk {
    /// Checksums are computed and verified. 256 KiB of buffer is where smoltcp is fastest.
    pub(crate) fn mtu_1500(secs: f64) -> Self {
        Self {
            mtu: 1500,
            gso: false,
            buffer: 256 << 10,
            borrows: false,
            batch: CAPACITY,
            idle: 0,
            listeners: 0,
            duration: Duration::from_secs_f64(secs),
        }
    }

    pub(crate) fn gso(secs: f64) -> Self {
        Self {
            mtu: 1500,
            gso: true,
            buffer: 1 << 20,
            borrows: false,
            batch: CAPACITY,
            idle: 0,
            listeners: 0,
            duration: Duration::from_secs_f64(secs),
        }
    }
}

/// Connections, one after the other: handshake, FIN from the client, FIN from the server.
pub(crate) struct Cycles {
    /// How many are measured.
    pub(crate) count: u32,
    /// How many stay in TIME-WAIT before the measurement begins; zero: TIME-WAIT is not kept.
    pub(crate) held: u32,
}

/// Two stacks of a kind, joined in memory; a connection is open between them.
pub(crate) trait Peer: Sized {
    /// How it is called in errors.
    const NAME: &'static str;
    /// Joins two stacks and opens the connection.
    fn connect(bulk: &Bulk) -> Result<Self>;
    /// Writes `chunk` for as long as there is room, carries packets once both ways, and reads what is there, `into`
    /// by `into`, each shown to `seen`; the octets read.
    fn turn(
        &mut self,
        now: Duration,
        chunk: &[u8],
        into: &mut [u8],
        seen: impl FnMut(&[u8]),
    ) -> Result<u64>;
    /// Packets that went from the sender, and back.
    fn packets(&self) -> [u64; 2];
    /// Spoils the payload of the next packet from the sender.
    fn corrupt_next(&mut self);
    /// Opens and closes connections; how many a second.
    fn cycles(cycles: &Cycles) -> Result<f64>;
}

/// What is written at a time, and room to read.
pub(crate) const CHUNK: usize = 64 << 10;

/// What all text consists of.
pub(crate) const OCTET: u8 = 0x5a;

/// Nothing moved for this long: the transfer has stalled.
const STALL: Duration = Duration::from_secs(10);

/// What a bulk transfer came to.
pub(crate) struct Run {
    /// Gbit/s.
    pub(crate) goodput: f64,
    /// From the sender, and back.
    packets: [u64; 2],
}

impl Run {
    /// Packets of the sender's for each that came back.
    pub(crate) fn segments_per_ack(&self) -> f64 {
        self.packets[0] as f64 / self.packets[1] as f64
    }
}

/// Moves octets for as long as `bulk` says.
pub(crate) fn bulk<P: Peer>(bulk: &Bulk) -> Result<Run> {
    let mut pair = P::connect(bulk)?;
    let chunk = vec![OCTET; CHUNK];
    let mut into = vec![0; CHUNK];
    let started = Instant::now();
    let mut moved = 0_u64;
    let mut last_moved_at = Duration::ZERO;
    loop {
        let now = started.elapsed();
        let read = pair.turn(now, &chunk, &mut into, |_| {})?;
        moved += read;
        if read > 0 {
            last_moved_at = now;
        }
        ensure!(
            now - last_moved_at < STALL,
            "{} stalled after {moved} octets",
            P::NAME
        );
        if now >= bulk.duration {
            return Ok(Run {
                goodput: moved as f64 * 8.0 / now.as_secs_f64() / 1e9,
                packets: pair.packets(),
            });
        }
    }
}

/// Sends through a link that spoils packets: a receiver that does not verify checksums hands out a wrong octet.
pub(crate) fn prove_checksums<P: Peer>() -> Result<()> {
    const TOTAL: u64 = 8 << 20;
    const SPOILED: u64 = 8;
    let mut pair = P::connect(&Bulk::mtu_1500(0.0))?;
    let chunk = vec![OCTET; CHUNK];
    let mut into = vec![0; CHUNK];
    let started = Instant::now();
    let (mut moved, mut spoiled, mut wrong) = (0_u64, 0_u64, 0_usize);
    while moved < TOTAL {
        if moved >= spoiled * (TOTAL / SPOILED) {
            pair.corrupt_next();
            spoiled += 1;
        }
        moved += pair.turn(started.elapsed(), &chunk, &mut into, |read| {
            wrong += read.iter().filter(|octet| **octet != OCTET).count();
        })?;
        ensure!(wrong == 0, "{} accepted a wrong checksum", P::NAME);
        ensure!(
            started.elapsed() < 6 * STALL,
            "{} did not repair a spoiled packet",
            P::NAME
        );
    }
    Ok(())
}
