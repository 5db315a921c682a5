//! `--with CMD`: a command on the kernel's side of a private link.

use std::os::fd::AsFd as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::failure::Failure;
use crate::node::Node;

/// A running command, and its whole process group. Dropped, it is ended.
#[derive(Debug)]
pub(crate) struct With {
    child: Child,
    over: bool,
}

/// Where a command's standard output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stdout {
    /// To ours.
    Ours,
    /// To our standard error: ours carries what the connection brings.
    AsStderr,
}

/// How often a running command is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// How long a command may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);

impl With {
    /// Starts `command` by `sh -c` inside the private namespace of `node`, its standard output where `stdout` says.
    pub(crate) fn start(node: &Node, command: &str, stdout: Stdout) -> Result<Self, Failure> {
        let Some(namespace) = &node.namespace else {
            let why = "--with needs a private link: the kernel's side of another one is not ours";
            return Err(Failure::Usage(why.into()));
        };
        let mut sh = Command::new("sh");
        sh.arg("-c")
            .arg(command)
            .process_group(0)
            .envs(node.environment());
        if stdout == Stdout::AsStderr {
            let failed = |source| Failure::With {
                command: command.into(),
                source,
            };
            let stderr = std::io::stderr()
                .as_fd()
                .try_clone_to_owned()
                .map_err(failed)?;
            sh.stdout(stderr);
        }
        let child = namespace.spawn(sh).map_err(|source| Failure::With {
            command: command.into(),
            source,
        })?;
        Ok(Self { child, over: false })
    }

    /// Whether it has ended.
    pub(crate) fn poll(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().ok().flatten();
        self.over |= status.is_some();
        status
    }

    /// Waits for its end.
    pub(crate) async fn wait(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.poll() {
                return status;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Ends it and everything that it started: SIGTERM, then SIGKILL.
    pub(crate) async fn end(&mut self) {
        self.signal(Signal::TERM);
        if tokio::time::timeout(GRACE, self.wait()).await.is_err() {
            self.signal(Signal::KILL);
            let _ = self.wait().await;
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| !self.over) {
            // It may have ended in this moment.
            let _ = kill_process_group(pid, signal);
        }
    }
}

impl Drop for With {
    fn drop(&mut self) {
        if !self.over && self.poll().is_none() {
            self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// Our exit status for the command's: its own, or 128 and the signal, as shells say it.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
