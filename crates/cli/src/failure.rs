//! What can go wrong, in one line and one exit status each.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::ExitCode;

use thiserror::Error;
use woshou_link::NamespaceError;
use woshou_link::TunError;
use woshou_link::XdpError;

/// Why a command failed.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The arguments make no sense together.
    #[error("{0}")]
    Usage(String),
    /// A connection failed.
    #[error("{what}: {source}")]
    Net { what: String, source: io::Error },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// Standard input or output failed.
    #[error("{name}: {source}")]
    Stdio {
        name: &'static str,
        source: io::Error,
    },
    /// No private namespace.
    #[error("{0}; `woshou demo` needs none of it")]
    Namespace(#[from] NamespaceError),
    /// No TUN device.
    #[error("{0}")]
    Tun(#[from] TunError),
    /// No AF_XDP link.
    #[error("{0}")]
    Xdp(#[from] XdpError),
    /// The server answered, but not with what was asked for.
    #[error("{url}: the server says {status}")]
    Http { url: String, status: String },
    /// The simulator's story did not end as it should: a defect of woshou.
    #[error("the story ended wrongly: {0}; please report it with the seed")]
    Story(String),
    /// The command of --with could not be started.
    #[error("cannot run `{command}`: {source}")]
    With { command: String, source: io::Error },
    /// Interrupted from the keyboard.
    #[error("interrupted")]
    Interrupted,
}

impl Failure {
    pub(crate) fn net(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Net { what, source }
    }

    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    /// The exit status; `woshou --help` lists them.
    pub(crate) fn status(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::Net { source, .. } => match source.kind() {
                ErrorKind::ConnectionRefused => 3,
                ErrorKind::TimedOut => 4,
                ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe
                | ErrorKind::UnexpectedEof => 5,
                ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
                | ErrorKind::AddrNotAvailable => 6,
                ErrorKind::PermissionDenied => 7,
                ErrorKind::AddrInUse => 8,
                _ => 1,
            },
            Self::Namespace(_) => 7,
            Self::Tun(error) => tun_status(error),
            Self::Xdp(XdpError::NotPermitted { .. }) => 7,
            Self::Xdp(XdpError::Busy(_)) => 8,
            Self::Xdp(_) => 1,
            Self::Http { .. } => 9,
            Self::Interrupted => 130,
            Self::File { .. } | Self::Stdio { .. } | Self::Story(_) | Self::With { .. } => 1,
        })
    }
}

fn tun_status(error: &TunError) -> u8 {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return match error.kind() {
                ErrorKind::PermissionDenied => 7,
                ErrorKind::ResourceBusy | ErrorKind::AddrInUse => 8,
                _ => 1,
            };
        }
        cause = error.source();
    }
    1
}
