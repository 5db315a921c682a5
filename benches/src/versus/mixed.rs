//! Flows of woshou and of a kernel at once, through one queue: who gets how much of it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};
use woshou_link::{Device, DeviceInfo, Outgoing, Readiness, Received};
use woshou_sim::experiment::matrix::Cell;

use super::ends::{self, Role, Shared};
use super::wire::{Addresses, Wire, swap};
use super::{Options, median, paths};

/// Both senders behind one end of the wire: they have one address and a port each.
struct Both {
    woshou: Box<dyn Device>,
    kernel: Box<dyn Device>,
    /// Whose turn it is to be read first.
    turn: bool,
}

impl Device for Both {
    fn info(&self) -> DeviceInfo {
        self.kernel.info()
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        self.turn = !self.turn;
        for kernel in [self.turn, !self.turn] {
            let device = if kernel {
                &mut self.kernel
            } else {
                &mut self.woshou
            };
            if let Ok(received) = device.recv(buffer) {
                if kernel {
                    swap(&mut buffer[..received.len]);
                }
                return Ok(received);
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn send(&mut self, frame: &Outgoing<'_>) -> io::Result<()> {
        let [packet, ..] = frame.parts;
        let port = packet
            .get(22..24)
            .map(|port| u16::from_be_bytes([port[0], port[1]]));
        if port != Some(ends::SECOND_PORT) {
            return self.woshou.send(frame);
        }
        let mut packet = packet.to_vec();
        swap(&mut packet);
        self.kernel.send(&Outgoing {
            parts: [&packet, &[], &[]],
            ..*frame
        })
    }

    fn readiness(&self) -> Readiness<'_> {
        self.kernel.readiness()
    }

    fn register(&mut self, waker: &Waker) {
        self.woshou.register(waker);
    }
}

/// Mbit/s of all flows of woshou, and of all of the kernel.
fn measure(cell: &Cell, flows: usize, seed: u64, options: &Options) -> Result<[f64; 2]> {
    let side = || {
        Arc::new(Shared {
            role: Role::Sender,
            algorithm: cell.algorithm.to_string(),
            stop: AtomicBool::new(false),
            received: AtomicU64::new(0),
        })
    };
    let sides = [side(), side()];
    let (opposite, far) = ends::kernel()?;
    let (woshou, woshou_thread) = ends::woshou_end(&sides[0]);
    let (namespace, kernel) = ends::kernel()?;
    let kernel_thread = ends::kernel_end(&namespace, &sides[1], ends::SECOND_PORT)?;
    let both = Both {
        woshou,
        kernel,
        turn: false,
    };
    let wire = Wire::new([Box::new(both), far], paths(cell), Addresses::Kept, seed);
    let mut threads = vec![woshou_thread, kernel_thread];
    for _ in 0..flows {
        for (side, port) in sides.iter().zip([ends::PORT, ends::SECOND_PORT]) {
            threads.push(ends::opposite(&opposite, side, port)?);
        }
    }
    thread::sleep(Duration::from_secs_f64(options.skip));
    let received = || {
        sides
            .each_ref()
            .map(|side| side.received.load(Ordering::Relaxed))
    };
    let before = received();
    thread::sleep(Duration::from_secs_f64(options.seconds));
    let after = received();
    for side in &sides {
        side.stop.store(true, Ordering::Relaxed);
    }
    for thread in threads {
        thread.join().map_err(|_| anyhow!("an end panicked"))??;
    }
    wire.end();
    let rate = |at: usize| (after[at] - before[at]) as f64 * 8.0 / options.seconds / 1e6;
    Ok([rate(0), rate(1)])
}

/// Measures all cells, and prints the shares.
pub(super) fn run(cells: &[Cell], flows: usize, options: &Options) -> Result<()> {
    println!(
        "## {flows} flows of woshou beside {flows} of the kernel: who gets how much (Mbit/s)\n"
    );
    println!("| algorithm | rate | round trip | path | queue | woshou | kernel | woshou's share |");
    println!("| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |");
    for cell in cells {
        let mut runs = Vec::new();
        for seed in 1..=options.seeds {
            runs.push(measure(cell, flows, seed, options)?);
        }
        let share = median(runs.iter().map(|[ours, theirs]| ours / (ours + theirs)));
        println!(
            "| {} | {}M | {} ms | {} | {} BDP | {:.1} | {:.1} | {:.0} % |",
            cell.algorithm,
            cell.rate / 1_000_000,
            cell.round_trip.as_millis(),
            cell.weather,
            cell.queue,
            median(runs.iter().map(|run| run[0])),
            median(runs.iter().map(|run| run[1])),
            share * 100.0,
        );
    }
    Ok(())
}
