//! TCP as a library: `TcpStream` and `TcpListener` in userspace, on tokio.
//!
//! A [`Net`] is a TCP/IP stack of its own on devices that you give it (TUN, veth, memory: see [`link`]); on top of
//! it [`TcpStream`] and [`TcpListener`] offer what their namesakes in `tokio::net` offer, so that changing one
//! `use` line moves a program over:
//!
//! ```no_run
//! # async fn example(device: Box<dyn woshou::link::Device>) -> std::io::Result<()> {
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use woshou::{Cidr, Net, TcpListener};
//!
//! let address = Cidr { address: "10.9.0.2".parse().expect("an address"), prefix: 24 };
//! Net::builder().device(device, [address]).spawn()?.set_global();
//!
//! let listener = TcpListener::bind("0.0.0.0:7").await?;
//! loop {
//!     let (mut stream, _) = listener.accept().await?;
//!     tokio::spawn(async move {
//!         let (mut from, mut to) = stream.split();
//!         tokio::io::copy(&mut from, &mut to).await
//!     });
//! }
//! # }
//! ```
//!
//! Which net such a call means is found in this order: the task's ([`Net::scope`]), the thread's ([`Net::enter`]),
//! the process's ([`Net::set_global`]). [`Net::bind`] and [`Net::connect`] name it instead.
//!
//! # Several cores
//!
//! A net is one stack behind one lock, driven by one task. With [`shards`](net::Builder::shards) it is several that share
//! nothing but the devices: each connection belongs to one of them by a keyed hash of its four-tuple, and a device of several
//! queues ([`Tun::open_queues`](link::Tun::open_queues)) is read by all. Streams and listeners are the same; the fast way to
//! use them is beside their drivers:
//!
//! ```no_run
//! # fn example(config: &woshou::link::TunConfig) -> Result<(), Box<dyn std::error::Error>> {
//! use tokio::io::AsyncWriteExt;
//! use woshou::link::{Device, Tun};
//! use woshou::{Cidr, Net};
//!
//! let address = Cidr { address: "10.9.0.2".parse()?, prefix: 24 };
//! let queues = Tun::open_queues(config)?.into_iter();
//! let queues: Vec<_> = queues.map(|queue| Box::new(queue) as Box<dyn Device>).collect();
//! let shards = u16::try_from(queues.len())?;
//! let net = Net::builder().queues(queues, [address]).shards(shards).spawn_thread()?;
//!
//! let listener = net.runtime(0).block_on(net.bind("0.0.0.0:7"))?;
//! for (shard, listener) in (0..).zip(listener.per_shard()) {
//!     net.runtime(shard).spawn(async move {
//!         while let Ok((mut stream, _)) = listener.accept().await {
//!             tokio::spawn(async move { stream.write_all(b"hello").await });
//!         }
//!     });
//! }
//! # Ok(()) }
//! ```
//!
//! # What `tokio::net` offers
//!
//! | there | here |
//! |---|---|
//! | `TcpStream::{connect, ready, readable, writable, poll_read_ready, poll_write_ready, try_read*, try_write*, try_io, async_io, peek, poll_peek, split, into_split, local_addr, peer_addr, take_error, nodelay, ttl, linger, set_zero_linger}` | the same |
//! | `AsyncRead`, `AsyncWrite` with vectored writes | the same; dropping closes in the background, with RST when text was left unread |
//! | `set_linger(Some(d))`, d > 0 | as `None`: drop never blocks, the closing goes on in the background |
//! | `TcpListener::{bind, accept, poll_accept, local_addr, ttl, set_ttl}` | the same |
//! | `TcpSocket::{new_v4, new_v6, bind, connect, listen, set_nodelay, set_linger, set_reuseaddr, ...}` | the same; `reuseaddr` changes nothing: TIME-WAIT never keeps a port from a listener |
//! | `TcpSocket::{set_keepalive, set_send_buffer_size, set_recv_buffer_size, set_tos_v4, set_tclass_v6}` | the same; sizes are not doubled |
//! | `socket2::SockRef`: keep-alive, user timeout, cork, MSS, notsent-lowat, quickack, TOS, buffers, out-of-band | [`SockRef`], of async and blocking streams |
//! | `from_std`, `into_std`, `AsRawFd`, `bind_device` | no: there is no descriptor |
//! | — | [`TcpStream::info`], [`TcpStream::abort`], [`TcpStream::read_chunk`], [`TcpStream::write_chunk`], [`Net::idle`], [`blocking`] |
//!
//! # Features
//! - `axum`: [`TcpListener`] is an `axum::serve::Listener`; `PeerAddr` for its `ConnectInfo`.
//! - `hyper`: [`TcpStream`] is a `hyper_util::client::legacy::connect::Connection`, for the pooled client.

#![forbid(unsafe_code)]

mod alarm;
pub mod blocking;
mod buffers;
mod crew;
pub mod deferred;
mod driver;
mod error;
mod listener;
pub mod net;
mod options;
#[cfg(feature = "hyper")]
mod pooled;
mod port;
mod receive;
#[cfg(feature = "axum")]
mod serve;
mod shared;
mod socket;
mod split;
mod spread;
mod stream;
mod wakers;

pub use error::how_it_ended;
pub use listener::TcpListener;
pub use net::Net;
pub use options::{SockRef, TcpKeepalive};
#[cfg(feature = "axum")]
pub use serve::PeerAddr;
pub use socket::TcpSocket;
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use stream::TcpStream;
pub use woshou_link as link;
pub use woshou_stack::{Cidr, Config, ConnectError, ListenError, MemoryUse};
pub use woshou_tcp as tcp;
