//! The `woshou` command: watch TCP happen, serve and fetch over a TCP of its own.

mod args;
mod capture;
mod demo;
mod drill;
mod failure;
mod get;
mod live;
mod node;
mod pipe;
mod serve;
mod sim;
mod target;
mod teller;
mod with;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use woshou_link::{LinkSpec, enter_user_namespace};

use args::{Cli, Command};
use failure::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let status = run(&cli.command).unwrap_or_else(|failure| {
        // Standard error may be closed: then there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "woshou: {}", one_line(&failure));
        failure.status()
    });
    let _ = std::io::stdout().flush();
    status
}

/// Error texts of libraries may have several lines; ours have one.
fn one_line(failure: &Failure) -> String {
    failure
        .to_string()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

fn run(command: &Command) -> Result<ExitCode, Failure> {
    if let Some(LinkSpec::Private(_)) = command.link() {
        // Before any thread is started: only then may an ordinary user enter a user namespace.
        if !rustix::process::geteuid().is_root() {
            enter_user_namespace()?;
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::net("cannot start"))?;
    let result = runtime.block_on(async {
        match command {
            Command::Demo(args) => demo::run(args),
            Command::Drill(args) => drill::run(args),
            Command::Sim(args) => sim::run(args),
            Command::Serve(args) => serve::run(args).await,
            Command::Get(args) => get::run(args).await,
            Command::Listen(args) => pipe::listen(args).await,
            Command::Connect(args) => pipe::connect(args).await,
        }
    });
    runtime.shutdown_background();
    result
}
