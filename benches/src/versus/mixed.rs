//! Flows of woshou and of a kernel at once, through one queue: who gets how much of it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use woshou_link::{Device, DeviceInfo, Outgoing, Readiness, Received};
use woshou_sim::experiment::matrix::Cell;

use super::ends::{self, Role, Shared};
use super::wire::{Addresses, Wire, swap};
use super::{Measured, Options, Run, Sink, paths, side_by_side};

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

/// All flows of woshou together, and all of the kernel.
fn measure(cell: &Cell, flows: usize, seed: u64, options: &Options) -> Result<[Run; 2]> {
    let side = || {
        Arc::new(Shared {
            role: Role::Sender,
            algorithm: cell.algorithm.to_string(),
            stop: AtomicBool::new(false),
            received: AtomicU64::new(0),
        })
    };
    let sides = [side(), side()];
    let over = sides.each_ref().map(|side| ends::Over(side));
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
    let (before, start) = (received(), Instant::now());
    thread::sleep(Duration::from_secs_f64(options.seconds));
    let (after, took) = (received(), start.elapsed().as_secs_f64());
    drop(over);
    for thread in threads {
        thread.join().map_err(|_| anyhow!("an end panicked"))??;
    }
    // While the wire still holds the devices.
    let dropped = ends::drops(&opposite)? + ends::drops(&namespace)?;
    let lateness = wire.end();
    let goodput = |at: usize| (after[at] - before[at]) as f64 * 8.0 / took / 1e6;
    Ok([0, 1].map(|at| Run {
        seed,
        goodput: goodput(at),
        late: lateness.mean_micros(),
        dropped: dropped + lateness.refused(),
    }))
}

/// All seeds of a cell. A run that fails costs no other.
fn measure_cell(cell: Cell, flows: usize, options: &Options) -> Measured {
    let mut result = Measured {
        cell,
        woshou: Vec::new(),
        kernel: Vec::new(),
        failed: Vec::new(),
    };
    for seed in 1..=options.seeds {
        match measure(&cell, flows, seed, options) {
            Ok([woshou, kernel]) => {
                result.woshou.push(woshou);
                result.kernel.push(kernel);
            }
            Err(error) => result.failed.push(format!("seed {seed}: {error:#}")),
        }
    }
    result
}

/// Measures all cells, and prints the shares.
pub(super) fn run(cells: &[Cell], flows: usize, options: &Options, sink: &mut Sink) -> Result<()> {
    let role = format!("mixed {flows}");
    let mut results = Vec::new();
    let one = |cell| measure_cell(cell, flows, options);
    side_by_side(cells, options.jobs.max(1), one, |result| {
        sink.put(&result.json(&role))?;
        results.push(result);
        Ok(())
    })?;
    println!(
        "## {flows} flows of woshou beside {flows} of the kernel: who gets how much (Mbit/s)\n"
    );
    println!(
        "| algorithm | rate | round trip | path | queue | woshou | kernel | woshou's share | |"
    );
    println!("| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | --- |");
    for result in &results {
        println!("{}", result.share());
    }
    Ok(())
}
