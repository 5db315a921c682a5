//! Calls as the POSIX layer takes them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use woshou_posix::{Control, EpollEvent, Fcntl, Fd, Ioctl, Opt, PollFd, Value, constants as c};

use super::arguments::{self, Piece, int, int32};
use crate::ast::{Call, Expr, ExprKind};
use crate::report::Stop;
use crate::run::Runner;
use crate::settings::IpVersion;

/// A call that can be made, and made again when it was blocked. `fd` is ours, `script` the script's number for it.
#[derive(Clone, Debug)]
pub(super) enum Request {
    Socket {
        domain: i32,
        kind: i32,
        protocol: i32,
    },
    Bind {
        script: i64,
        fd: Fd,
        to: Option<SocketAddr>,
    },
    Listen {
        script: i64,
        fd: Fd,
        backlog: i32,
    },
    Accept {
        fd: Fd,
        flags: i32,
    },
    Connect {
        script: i64,
        fd: Fd,
        to: Option<SocketAddr>,
    },
    Receive {
        fd: Fd,
        pieces: Vec<Piece>,
        flags: i32,
        plain: bool,
    },
    Send {
        fd: Fd,
        pieces: Vec<Piece>,
        flags: i32,
        to: Option<SocketAddr>,
        plain: bool,
    },
    Shutdown {
        fd: Fd,
        how: i32,
    },
    Close {
        script: i64,
        fd: Fd,
    },
    Fcntl {
        fd: Fd,
        what: Fcntl,
    },
    Ioctl {
        fd: Fd,
        what: Ioctl,
    },
    Poll {
        fds: Vec<PollFd>,
        timeout: Option<Duration>,
    },
    EpollCreate {
        flags: i32,
        size: Option<i32>,
    },
    EpollControl {
        epoll: Fd,
        control: Control,
        fd: Fd,
    },
    EpollWait {
        epoll: Fd,
        most: i32,
        timeout: Option<Duration>,
    },
    Get {
        fd: Fd,
        option: Opt,
    },
    Set {
        fd: Fd,
        option: Opt,
        value: Value,
    },
}

/// The arguments of one call.
struct Arguments<'a, 'b> {
    runner: &'a Runner<'b>,
    call: &'a Call,
}

impl Request {
    pub(super) fn new(runner: &Runner<'_>, call: &Call) -> Result<Self, Stop> {
        let arguments = Arguments { runner, call };
        let a = &arguments;
        match call.name.value.as_str() {
            "socket" => a.socket(),
            "bind" | "listen" | "accept" | "accept4" | "connect" | "shutdown" | "close" => {
                a.naming()
            }
            "read" | "recv" | "recvfrom" | "readv" | "recvmsg" => a.receive(),
            "write" | "send" | "sendto" | "writev" | "sendmsg" => a.send(),
            "fcntl" => a.fcntl(),
            "ioctl" => a.ioctl(),
            "poll" => a.poll(),
            "epoll_create" | "epoll_create1" | "epoll_ctl" | "epoll_wait" => a.epoll(),
            "getsockopt" => Ok(Self::Get {
                fd: a.fd(0)?,
                option: a.option()?,
            }),
            "setsockopt" => {
                let value = arguments::value(a.at(3)?)?;
                Ok(Self::Set {
                    fd: a.fd(0)?,
                    option: a.option()?,
                    value,
                })
            }
            name => Err(Stop::unsupported(call.name.span, format!("{name}()"))),
        }
    }
}

impl Arguments<'_, '_> {
    fn at(&self, index: usize) -> Result<&Expr, Stop> {
        self.call.arguments.get(index).ok_or_else(|| {
            let name = &self.call.name;
            Stop::error(
                name.span,
                format!("{}() takes more than {index} arguments", name.value),
            )
        })
    }

    fn script_fd(&self, index: usize) -> Result<i64, Stop> {
        int(self.at(index)?)
    }

    /// Our descriptor; one that the script has closed, or never opened, is none of ours.
    fn fd(&self, index: usize) -> Result<Fd, Stop> {
        Ok(self.ours(self.script_fd(index)?))
    }

    fn ours(&self, script: i64) -> Fd {
        self.runner.fds.get(&script).copied().unwrap_or(-1)
    }

    /// `ip:port` as a socket of the script's version says it.
    fn usual(&self, ip: IpAddr, port: u16) -> SocketAddr {
        match (self.runner.settings.version, ip) {
            (IpVersion::Mapped, IpAddr::V4(v4)) => {
                SocketAddr::new(v4.to_ipv6_mapped().into(), port)
            }
            _ => SocketAddr::new(ip, port),
        }
    }

    fn local(&self) -> SocketAddr {
        self.usual(
            self.runner.settings.local_ip,
            self.runner.settings.bind_port,
        )
    }

    fn remote(&self) -> SocketAddr {
        self.usual(
            self.runner.settings.remote_ip,
            self.runner.settings.connect_port,
        )
    }

    fn socket(&self) -> Result<Request, Stop> {
        let domain = match &self.at(0)?.kind {
            ExprKind::Ellipsis => match self.runner.settings.version {
                IpVersion::V4 => c::AF_INET,
                IpVersion::Mapped | IpVersion::V6 => c::AF_INET6,
            },
            _ => int32(self.at(0)?)?,
        };
        Ok(Request::Socket {
            domain,
            kind: int32(self.at(1)?)?,
            protocol: int32(self.at(2)?)?,
        })
    }

    fn naming(&self) -> Result<Request, Stop> {
        let (script, fd) = (self.script_fd(0)?, self.fd(0)?);
        Ok(match self.call.name.value.as_str() {
            "bind" => Request::Bind {
                script,
                fd,
                to: arguments::address(self.at(1)?, self.local())?,
            },
            "listen" => Request::Listen {
                script,
                fd,
                backlog: int32(self.at(1)?)?,
            },
            "accept" => Request::Accept { fd, flags: 0 },
            "accept4" => Request::Accept {
                fd,
                flags: int32(self.at(3)?)?,
            },
            "connect" => Request::Connect {
                script,
                fd,
                to: arguments::address(self.at(1)?, self.remote())?,
            },
            "shutdown" => Request::Shutdown {
                fd,
                how: int32(self.at(1)?)?,
            },
            _ => Request::Close { script, fd },
        })
    }

    /// The pieces and the flags of a call that reads or writes.
    fn message(&self) -> Result<(Vec<Piece>, i32), Stop> {
        match self.call.name.value.as_str() {
            "read" | "write" => Ok((vec![arguments::piece(self.at(1)?, self.at(2)?)?], 0)),
            "readv" | "writev" => Ok((arguments::pieces(self.at(1)?)?, 0)),
            "recvmsg" | "sendmsg" => {
                let message = self.at(1)?;
                let pieces = match message.field("msg_iov") {
                    Some(pieces) => arguments::pieces(pieces)?,
                    None => Vec::new(),
                };
                Ok((pieces, int32(self.at(2)?)?))
            }
            _ => Ok((
                vec![arguments::piece(self.at(1)?, self.at(2)?)?],
                int32(self.at(3)?)?,
            )),
        }
    }

    fn plain(&self) -> bool {
        matches!(
            self.call.name.value.as_str(),
            "read" | "readv" | "write" | "writev"
        )
    }

    fn receive(&self) -> Result<Request, Stop> {
        let (pieces, flags) = self.message()?;
        if flags & c::MSG_WAITALL != 0 {
            return Err(Stop::unsupported(self.call.name.span, "MSG_WAITALL"));
        }
        Ok(Request::Receive {
            fd: self.fd(0)?,
            pieces,
            flags,
            plain: self.plain(),
        })
    }

    fn send(&self) -> Result<Request, Stop> {
        let (pieces, flags) = self.message()?;
        let to = match self.call.name.value.as_str() {
            "sendto" => arguments::address(self.at(4)?, self.remote())?,
            "sendmsg" => match self.at(1)?.field("msg_name") {
                Some(name) => arguments::address(name, self.remote())?,
                None => None,
            },
            _ => None,
        };
        if self.call.name.value == "sendmsg" && self.at(1)?.field("msg_control").is_some() {
            return Err(Stop::unsupported(
                self.call.name.span,
                "sendmsg() with msg_control",
            ));
        }
        Ok(Request::Send {
            fd: self.fd(0)?,
            pieces,
            flags,
            to,
            plain: self.plain(),
        })
    }

    fn fcntl(&self) -> Result<Request, Stop> {
        let command = self.at(1)?;
        let flags = |index| self.call.arguments.get(index).map_or(Ok(0), int32);
        let what = match command.word() {
            Some("F_GETFL") => Fcntl::GetFlags,
            Some("F_SETFL") => Fcntl::SetFlags(flags(2)?),
            Some("F_GETFD") => Fcntl::GetDescriptor,
            Some("F_SETFD") => Fcntl::SetDescriptor(flags(2)?),
            _ => {
                return Err(Stop::unsupported(
                    command.span,
                    format!("fcntl() with {command}"),
                ));
            }
        };
        Ok(Request::Fcntl {
            fd: self.fd(0)?,
            what,
        })
    }

    fn ioctl(&self) -> Result<Request, Stop> {
        let command = self.at(1)?;
        let what = match command.word() {
            Some("SIOCINQ" | "FIONREAD") => Ioctl::InQueue,
            Some("SIOCOUTQ" | "TIOCOUTQ" | "FIONWRITE") => Ioctl::OutQueue,
            Some("SIOCATMARK") => Ioctl::AtMark,
            Some("SIOCOUTQNSD") => Ioctl::NotSent,
            Some("FIONBIO") => {
                let value = self.at(2)?;
                let value = value.list().and_then(|list| list.first()).unwrap_or(value);
                Ioctl::NonBlocking(int(value)? != 0)
            }
            _ => {
                return Err(Stop::unsupported(
                    command.span,
                    format!("ioctl() with {command}"),
                ));
            }
        };
        Ok(Request::Ioctl {
            fd: self.fd(0)?,
            what,
        })
    }

    /// Milliseconds; less than none: for ever.
    fn timeout(&self, index: usize) -> Result<Option<Duration>, Stop> {
        Ok(u64::try_from(int(self.at(index)?)?)
            .ok()
            .map(Duration::from_millis))
    }

    fn poll(&self) -> Result<Request, Stop> {
        let list = self.at(0)?;
        let mut fds = Vec::new();
        for entry in list.list().unwrap_or(core::slice::from_ref(list)) {
            let missing = || Stop::error(entry.span, "`{fd=N, events=POLL...}` is expected here");
            let script = int(entry.field("fd").ok_or_else(missing)?)?;
            let events = int32(entry.field("events").ok_or_else(missing)?)?;
            fds.push(PollFd {
                fd: self.ours(script),
                events,
                revents: 0,
            });
        }
        Ok(Request::Poll {
            fds,
            timeout: self.timeout(2)?,
        })
    }

    fn epoll(&self) -> Result<Request, Stop> {
        match self.call.name.value.as_str() {
            "epoll_create" => Ok(Request::EpollCreate {
                flags: 0,
                size: Some(int32(self.at(0)?)?),
            }),
            "epoll_create1" => Ok(Request::EpollCreate {
                flags: int32(self.at(0)?)?,
                size: None,
            }),
            "epoll_wait" => Ok(Request::EpollWait {
                epoll: self.fd(0)?,
                most: int32(self.at(2)?)?,
                timeout: self.timeout(3)?,
            }),
            _ => {
                let command = self.at(1)?;
                let event = || self.call.arguments.get(3).map_or(Ok(None), epoll_event);
                let control = match command.word() {
                    Some("EPOLL_CTL_ADD") => Control::Add(event()?),
                    Some("EPOLL_CTL_MOD") => Control::Modify(event()?),
                    Some("EPOLL_CTL_DEL") => Control::Delete,
                    _ => {
                        return Err(Stop::unsupported(
                            command.span,
                            format!("epoll_ctl() with {command}"),
                        ));
                    }
                };
                Ok(Request::EpollControl {
                    epoll: self.fd(0)?,
                    control,
                    fd: self.fd(2)?,
                })
            }
        }
    }

    fn option(&self) -> Result<Opt, Stop> {
        let option = self.at(2)?;
        let name = option
            .word()
            .map_or_else(|| option.to_string(), str::to_owned);
        Opt::by_name(&name)
            .ok_or_else(|| Stop::unsupported(option.span, format!("the socket option {name}")))
    }
}

/// `{events=EPOLLIN, fd=4}`: the data are the script's own number.
pub(super) fn epoll_event(expr: &Expr) -> Result<Option<EpollEvent>, Stop> {
    if arguments::is_null(expr) {
        return Ok(None);
    }
    let events = match expr.field("events") {
        Some(events) => int32(events)?,
        None => {
            return Err(Stop::error(
                expr.span,
                "`{events=EPOLL..., fd=N}` is expected here",
            ));
        }
    };
    let data = ["fd", "ptr", "u32", "u64"]
        .iter()
        .find_map(|name| expr.field(name));
    let data = data.map_or(Ok(0), int)?;
    Ok(Some(EpollEvent {
        events,
        data: data.cast_unsigned(),
    }))
}
