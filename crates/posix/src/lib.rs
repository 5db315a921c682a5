//! The POSIX socket calls over [`woshou_stack::Stack`], without I/O, clock or threads.
//!
//! [`Sockets`] owns a stack and a table of descriptors, and gives the calls of `<sys/socket.h>`, `poll` and `epoll` with the
//! return values and `errno`s of Linux (or, by [`Personality`], of FreeBSD). No call ever waits: where the kernel would put
//! the caller to sleep, it fails with [`Stop::Blocked`], which says what for; the owner lets time pass (a test runner in
//! virtual time, a C interface on a condition variable) and calls again. No call raises SIGPIPE.
//!
//! What the stack cannot do is [`Stop::Unsupported`], by name: nothing is silently accepted, except the options of
//! [`option::HARMLESS`], each of which says why it may be.
//!
//! ```
//! use woshou_posix::{Errno, Policy, Sockets, Stop, constants::*};
//! use woshou_stack::{Config, Stack};
//! use woshou_tcp::Instant;
//!
//! let stack = Stack::new(std::sync::Arc::new(Config::default()), [7; 32]);
//! let mut sockets = Sockets::new(stack, Policy::default());
//! let fd = sockets.socket(AF_INET, SOCK_STREAM, IPPROTO_TCP).unwrap();
//! let failed = sockets.recv(Instant::ZERO, fd, &mut [0; 10], 0);
//! assert_eq!(failed, Err(Stop::Errno(Errno::ENOTCONN)));
//! ```
#![forbid(unsafe_code)]

mod address;
mod calls;
pub mod constants;
mod epoll;
mod errno;
mod failure;
pub mod info;
pub mod option;
mod outcome;
mod personality;
mod poll;
mod settings;
mod socket;
mod sockets;
mod urgent;

pub use address::Domain;
pub use calls::message::{Buffer, BufferMut, Message, Received};
pub use calls::names::{Fcntl, Ioctl};
pub use epoll::{Control, EpollEvent};
pub use errno::Errno;
pub use info::{Figure, Figures};
pub use option::{Opt, Value};
pub use outcome::{Outcome, Stop, Wait, WaitFor};
pub use personality::{Personality, Policy};
pub use poll::PollFd;
pub use sockets::{Fd, Sockets};
