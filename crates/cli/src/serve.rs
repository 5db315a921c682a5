//! `woshou serve`: an HTTP file server (axum) on woshou's TCP.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use tower_http::services::ServeDir;

use crate::args::Serve;
use crate::failure::Failure;
use crate::node::Node;
use crate::with::{Stdout, With, exit_code};

/// How long answers under way may take when the server is to end.
const GRACE: Duration = Duration::from_secs(5);

pub(crate) async fn run(args: &Serve) -> Result<ExitCode, Failure> {
    let folder = std::fs::metadata(&args.dir).map_err(Failure::file(&args.dir))?;
    if !folder.is_dir() {
        return Err(Failure::Usage(format!(
            "{}: not a folder",
            args.dir.display()
        )));
    }
    let node = Node::start(&args.node)?;
    let listener = node.listen(args.port).await?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let app = Router::new().fallback_service(ServeDir::new(&args.dir));
    let server = axum::serve(listener, app).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let server = tokio::spawn(async { server.await });
    for address in node.addresses() {
        eprintln!(
            "serving {} at http://{}/",
            args.dir.display(),
            SocketAddr::new(*address, args.port)
        );
    }
    let status = until_done(&node, args.node.with.as_deref()).await;
    let _ = stop.send(());
    let _ = tokio::time::timeout(GRACE, server).await;
    node.finish().await?;
    status
}

/// Serves until the command of --with ends, or the keyboard says so.
async fn until_done(node: &Node, with: Option<&str>) -> Result<ExitCode, Failure> {
    let interrupted = tokio::signal::ctrl_c();
    let broken = node.net.ended();
    let Some(command) = with else {
        return tokio::select! {
            _ = interrupted => Err(Failure::Interrupted),
            error = broken => Err(Failure::net("the link")(error)),
        };
    };
    let mut command = With::start(node, command, Stdout::Ours)?;
    let status = tokio::select! {
        status = command.wait() => Ok(exit_code(status)),
        _ = interrupted => Err(Failure::Interrupted),
        error = broken => Err(Failure::net("the link")(error)),
    };
    if status.is_err() {
        command.end().await;
    }
    status
}
