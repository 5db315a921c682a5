//! Whether a stack moves octets as they are.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use woshou_link::{Namespace, PrivateSpec, Way};

use crate::kernel::{self, Direction, Serve, Shared};

/// How many are sent: buffers and windows of every stack go round several times.
const OCTETS: usize = 4 << 20;

/// The longest silence.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends octets to a stack that sends them back, and compares them.
pub(crate) fn there_and_back(echo: Serve) -> Result<()> {
    let mut namespace = Namespace::new(&PrivateSpec {
        mtu: 1500,
        offload: false,
        way: Way::Tun,
        queues: 1,
    })?;
    kernel::unpaced(&namespace)?;
    let device = namespace.take_devices().into_iter().next();
    let device = device.context("the namespace has a device")?;
    let shared = Arc::new(Shared {
        direction: Direction::FromKernel,
        stop: AtomicBool::new(false),
        received: AtomicU64::new(0),
    });
    let theirs = shared.clone();
    let stack = thread::spawn(move || echo(device, &theirs));
    let result = exchange(&namespace);
    shared.stop.store(true, Ordering::Relaxed);
    stack
        .join()
        .map_err(|_| anyhow!("the stack's side panicked"))??;
    result.map_err(|error| anyhow!("octets there and back: {error:#}"))
}

fn exchange(namespace: &Namespace) -> Result<()> {
    let mut socket = kernel::connect(namespace)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let sent: Arc<[u8]> = (0..OCTETS as u64).map(octet).collect();
    let (mut out, text) = (socket.try_clone()?, sent.clone());
    let writer = thread::spawn(move || out.write_all(&text));
    let mut back = vec![0; OCTETS];
    socket.read_exact(&mut back)?;
    writer
        .join()
        .map_err(|_| anyhow!("the writer panicked"))??;
    let wrong = sent.iter().zip(&back).position(|(sent, back)| sent != back);
    ensure!(wrong.is_none(), "octet {wrong:?} came back as another");
    Ok(())
}

/// The octet at a place: no stretch of them equals another.
fn octet(place: u64) -> u8 {
    (place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}
