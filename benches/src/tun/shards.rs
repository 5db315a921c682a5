//! woshou on several cores: a shard for each queue, each on a thread of its own with the tasks of its streams.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use woshou::{Cidr, Net, TcpListener};
use woshou_link::{Device, WOSHOU_V4};

use super::woshou::bulk;
use super::{PORT, Shared};

/// Sends or receives on every connection.
pub(crate) fn serve(queues: Vec<Box<dyn Device>>, shared: &Arc<Shared>) -> Result<()> {
    let ours = Cidr {
        address: WOSHOU_V4.into(),
        prefix: 24,
    };
    let shards = u16::try_from(queues.len())?;
    let net = Net::builder()
        .queues(queues, [ours])
        .shards(shards)
        .spawn_thread()?;
    let listener = net.runtime(0).block_on(net.bind((WOSHOU_V4, PORT)))?;
    for (shard, listener) in (0..).zip(listener.per_shard()) {
        net.runtime(shard).spawn(accept(listener, shared.clone()));
    }
    while !shared.is_over() {
        thread::sleep(Duration::from_millis(10));
    }
    net.shutdown();
    Ok(())
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move {
            // The kernel's application just drops its socket at the end, which resets the connection.
            let _ = bulk(stream, &shared).await;
        });
    }
}
