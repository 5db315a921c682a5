//! `woshou listen` and `woshou connect`: standard input and output over one connection, half-close included.

use std::process::ExitCode;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use woshou::TcpStream;
use woshou::{OwnedReadHalf, OwnedWriteHalf};

use crate::args::{Connect, Listen};
use crate::failure::Failure;
use crate::node::Node;
use crate::target;
use crate::with::{Stdout, With, exit_code};

/// Octets moved at once.
const CHUNK: usize = 64 * 1024;

pub(crate) async fn listen(args: &Listen) -> Result<ExitCode, Failure> {
    let node = Node::start(&args.node)?;
    let listener = node.listen(args.port).await?;
    let mut with = start_with(&node, args.node.with.as_deref())?;
    let result = tokio::select! {
        result = async {
            let accepted = listener.accept().await;
            let (stream, _) = accepted.map_err(Failure::net(format!("port {}", args.port)))?;
            // As netcat does: one connection, and others are refused.
            drop(listener);
            join(stream).await
        } => result,
        _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
    };
    let status = end_with(with.as_mut(), &result).await;
    node.finish().await?;
    result.map(|()| status)
}

pub(crate) async fn connect(args: &Connect) -> Result<ExitCode, Failure> {
    let node = Node::start(&args.node)?;
    let address = target::resolve(&node, &args.host, args.port).await?;
    let mut with = start_with(&node, args.node.with.as_deref())?;
    let result = tokio::select! {
        result = async {
            let stream = match with.as_mut() {
                Some(with) => crate::get::connect_when_ready(&node, address, with).await?,
                None => node.net.connect(address).await.map_err(Failure::net(address.to_string()))?,
            };
            join(stream).await
        } => result,
        _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
    };
    if let Some(with) = &mut with {
        with.end().await;
    }
    node.finish().await?;
    result.map(|()| ExitCode::SUCCESS)
}

fn start_with(node: &Node, command: Option<&str>) -> Result<Option<With>, Failure> {
    command
        .map(|command| With::start(node, command, Stdout::AsStderr))
        .transpose()
}

/// The client of --with may have more to do than talk to us: its status is ours, unless we failed.
async fn end_with(with: Option<&mut With>, result: &Result<(), Failure>) -> ExitCode {
    match with {
        None => ExitCode::SUCCESS,
        Some(with) if result.is_ok() => exit_code(with.wait().await),
        Some(with) => {
            with.end().await;
            ExitCode::FAILURE
        }
    }
}

/// Moves octets both ways until both directions are over.
async fn join(stream: TcpStream) -> Result<(), Failure> {
    let what = stream
        .peer_addr()
        .map_or_else(|_| "the peer".into(), |peer| peer.to_string());
    let (from_peer, to_peer) = stream.into_split();
    // Standard input may never end; the task is left behind when the peer resets.
    let mut sending = tokio::spawn(send(to_peer, what.clone()));
    let mut receiving = tokio::spawn(receive(from_peer, what));
    tokio::select! {
        received = &mut receiving => {
            finished(received)?;
            finished((&mut sending).await)
        }
        sent = &mut sending => {
            finished(sent)?;
            finished((&mut receiving).await)
        }
    }
}

type Joined = Result<Result<(), Failure>, tokio::task::JoinError>;

fn finished(task: Joined) -> Result<(), Failure> {
    // A task that panicked has said so on standard error.
    task.unwrap_or_else(|error| Err(Failure::Usage(error.to_string())))
}

async fn send(mut to_peer: OwnedWriteHalf, what: String) -> Result<(), Failure> {
    let failed = |source| Failure::Stdio {
        name: "standard input",
        source,
    };
    let mut input = tokio::io::stdin();
    let mut chunk = vec![0; CHUNK];
    loop {
        let octets = match input.read(&mut chunk).await {
            // A closed standard input is an empty one.
            Err(error) if error.raw_os_error() == Some(9) => 0,
            result => result.map_err(failed)?,
        };
        if octets == 0 {
            return to_peer.shutdown().await.map_err(Failure::net(what));
        }
        to_peer
            .write_all(&chunk[..octets])
            .await
            .map_err(Failure::net(what.as_str()))?;
    }
}

async fn receive(mut from_peer: OwnedReadHalf, what: String) -> Result<(), Failure> {
    let failed = |source| Failure::Stdio {
        name: "standard output",
        source,
    };
    let mut output = tokio::io::stdout();
    let mut chunk = vec![0; CHUNK];
    loop {
        let octets = from_peer
            .read(&mut chunk)
            .await
            .map_err(Failure::net(what.as_str()))?;
        if octets == 0 {
            return output.flush().await.map_err(failed);
        }
        output.write_all(&chunk[..octets]).await.map_err(failed)?;
        output.flush().await.map_err(failed)?;
    }
}
