//! woshou's side: a `TcpStream` on a runtime of one thread.

use std::time::Duration;

use anyhow::Result;
use tokio::io::AsyncWriteExt;
use woshou::{Cidr, Net};
use woshou_link::{Device, WOSHOU_V4};

use super::{CHUNK, Direction, PORT, Shared};

pub(crate) fn serve(device: Box<dyn Device>, shared: &Shared) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        tokio::select! {
            // The kernel's application just drops its socket at the end, which resets the connection.
            result = talk(device, shared) => if shared.is_over() { Ok(()) } else { result },
            () = over(shared) => Ok(()),
        }
    })
}

async fn over(shared: &Shared) {
    while !shared.is_over() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn talk(device: Box<dyn Device>, shared: &Shared) -> Result<()> {
    let ours = Cidr {
        address: WOSHOU_V4.into(),
        prefix: 24,
    };
    let net = Net::builder().device(device, [ours]).spawn()?;
    let listener = net.bind((WOSHOU_V4, PORT)).await?;
    let (mut stream, _) = listener.accept().await?;
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
