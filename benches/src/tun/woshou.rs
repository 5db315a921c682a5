//! woshou's side: `TcpStream`s on a runtime of one thread.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use woshou::{Cidr, Net, TcpStream};
use woshou_link::{Device, WOSHOU_V4};

use super::{CHUNK, Direction, PORT, Shared};

/// Octets of an answer to a request.
pub(crate) const ANSWER: usize = 100;

/// Sends or receives on every connection.
pub(crate) fn serve(device: Box<dyn Device>, shared: &Arc<Shared>) -> Result<()> {
    each(device, shared, |stream, shared| async move {
        // The kernel's application just drops its socket at the end, which resets the connection.
        let _ = bulk(stream, &shared).await;
    })
}

/// As [`serve`], to the kernel: what is written is not copied.
pub(crate) fn serve_by_reference(device: Box<dyn Device>, shared: &Arc<Shared>) -> Result<()> {
    each(device, shared, |stream, _| async move {
        let text = Bytes::from(vec![0; CHUNK]);
        // As in `serve`, any end is one.
        while stream.write_chunk(text.clone()).await.is_ok() {}
    })
}

/// Sends back what it receives.
pub(crate) fn echo(device: Box<dyn Device>, shared: &Arc<Shared>) -> Result<()> {
    each(device, shared, |mut stream, _| async move {
        let mut octets = [0; 4096];
        // An error is the end of it too.
        while let Ok(read @ 1..) = stream.read(&mut octets).await {
            if stream.write_all(&octets[..read]).await.is_err() {
                break;
            }
        }
    })
}

/// Answers one request on each connection, and closes first.
pub(crate) fn answer(device: Box<dyn Device>, shared: &Arc<Shared>) -> Result<()> {
    each(device, shared, |mut stream, _| async move {
        let mut octets = [0; 256];
        if let Ok(1..) = stream.read(&mut octets).await {
            // Who does not take it is counted by the client.
            let _ = stream.write_all(&octets[..ANSWER]).await;
        }
    })
}

/// Accepts until it is over, a task for each connection.
fn each<F: Future<Output = ()> + Send + 'static>(
    device: Box<dyn Device>,
    shared: &Arc<Shared>,
    talk: fn(TcpStream, Arc<Shared>) -> F,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let ours = Cidr {
            address: WOSHOU_V4.into(),
            prefix: 24,
        };
        let net = Net::builder().device(device, [ours]).spawn()?;
        let listener = net.bind((WOSHOU_V4, PORT)).await?;
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    tasks.spawn(talk(accepted?.0, shared.clone()));
                }
                Some(_) = tasks.join_next() => {}
                () = over(shared) => return Ok(()),
            }
        }
    })
}

async fn over(shared: &Shared) {
    while !shared.is_over() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Sends or receives until the connection ends.
pub(super) async fn bulk(mut stream: TcpStream, shared: &Shared) -> Result<()> {
    match shared.direction {
        Direction::FromKernel => loop {
            let chunk = stream.read_chunk(CHUNK).await?;
            if chunk.is_empty() {
                return Ok(());
            }
            shared.count(chunk.len());
        },
        Direction::ToKernel => {
            let chunk = vec![0; CHUNK];
            loop {
                stream.write_all(&chunk).await?;
            }
        }
    }
}
