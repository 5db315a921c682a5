//! A thousand busy connections, served within a limit.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use woshou::{Cidr, Net, TcpStream};
use woshou_link::{Namespace, PrivateSpec, WOSHOU_V4, Way};

const PORT: u16 = 9000;
const CONNECTIONS: u32 = 1_000;
/// Octets that each client sends, and gets back.
const OCTETS: usize = 256 << 10;
/// What the server reads at a time, octets: its own memory, once for each connection.
const BUFFER: usize = 4 << 10;
/// Of the limit the program's own part, octets: code, runtime and what the allocator cannot fill 7 MB, a buffer and a task for each
/// connection 4.7 MB.
const OWN: usize = 12_000_000;
/// Nothing here takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Serves in a process that may take `limit` octets; the most that were resident, and that the stack counted.
pub(super) fn measure(limit: usize) -> Result<[f64; 2]> {
    ensure!(limit > OWN, "{OWN} octets are the program's own");
    let spec = PrivateSpec {
        mtu: 1500,
        offload: true,
        way: Way::Tun,
        ..PrivateSpec::default()
    };
    let mut namespace = Namespace::new(&spec)?;
    let device = namespace.take_device().context("no device")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let peak = runtime.block_on(async {
        let ours = Cidr {
            address: WOSHOU_V4.into(),
            prefix: 24,
        };
        let net = Net::builder()
            .device(device, [ours])
            .memory(limit - OWN)
            .spawn()?;
        let listener = net.bind((WOSHOU_V4, PORT)).await?;
        let mut command = Command::new(std::env::current_exe()?);
        let to = SocketAddr::from((WOSHOU_V4, PORT)).to_string();
        command.args(["probe", "busy-clients", &to]);
        let mut clients = namespace.spawn(command)?;
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        let status = loop {
            tokio::select! {
                accepted = listener.accept() => {
                    tokio::spawn(echo(accepted?.0));
                }
                _ = tick.tick() => {
                    if let Some(status) = clients.try_wait()? {
                        break status;
                    }
                }
            }
        };
        ensure!(status.success(), "the clients: {status}");
        Ok(net.memory().peak)
    })?;
    Ok([super::resident("VmHWM")?, peak as f64])
}

/// Sends back what comes, by a buffer of its own.
async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return stream.shutdown().await;
        }
        stream.write_all(&buffer[..read]).await?;
    }
}

/// All clients at once, kernel sockets; an error where one got other octets than it sent.
pub(super) fn clients(to: SocketAddr) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut all = JoinSet::new();
        for number in 0..CONNECTIONS {
            all.spawn(async move {
                tokio::time::timeout(PATIENCE, client(to, number))
                    .await
                    .map_err(|_| anyhow!("client {number} is not done"))?
            });
        }
        while let Some(done) = all.join_next().await {
            done??;
        }
        Ok(())
    })
}

async fn client(to: SocketAddr, number: u32) -> Result<()> {
    let stream = TcpSocket::new_v4()?.connect(to).await?;
    let (mut read, mut write) = stream.into_split();
    let octet = move |index: usize| (index as u32).wrapping_mul(number * 2 + 1).to_be_bytes()[2];
    let sender = tokio::spawn(async move {
        let sent: Vec<u8> = (0..OCTETS).map(octet).collect();
        write.write_all(&sent).await?;
        write.shutdown().await
    });
    let mut got = Vec::new();
    read.read_to_end(&mut got).await?;
    sender.await??;
    ensure!(
        got.len() == OCTETS
            && got
                .iter()
                .enumerate()
                .all(|(index, it)| *it == octet(index)),
        "client {number} got other octets than it sent"
    );
    Ok(())
}
