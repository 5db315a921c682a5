//! The socket layer, end to end: two nets in one process, joined by a memory link.
//!
//! What `tokio::net` offers, and where it is tried:
//!
//! | there | tested by |
//! |---|---|
//! | `TcpStream::connect` | `stream::{echo_over_both_families, nobody_listening_is_refused, the_first_address_that_answers_is_taken, connect_to_what_is_no_address, dropping_connect_gives_it_up}`, `clock::a_connect_nobody_answers_times_out..` |
//! | `AsyncRead`, `AsyncWrite`, vectored | `transfer`, `stream::try_calls_and_readiness`, `stream::empty_reads_and_writes_do_not_wait` |
//! | `shutdown`, drop, linger | `stream::{half_close.., zero_linger.., dropping_with_unread_text_resets}`, `life` |
//! | errors told apart | `stream::a_reset_is_told_from_the_end`, `clock::a_peer_that_vanishes..` |
//! | `peek`, `ready`, `readable`, `writable`, `try_*` | `stream` |
//! | `split`, `into_split`, `reunite` | `stream::halves_reunite..`, `transfer` |
//! | `TcpListener`, backlog | `options`, `transfer::the_backlog_is_bounded..` |
//! | `TcpSocket`, `ttl`, `nodelay`, `linger` | `options` |
//! | the paused clock | `clock` |
//! | ecosystem: axum, hyper, rustls | `http`, `tls` |
//! | `std::net`'s blocking form | `blocking` |
//! | `SockRef`, urgent data, errors told apart | `user` |
//! | many tasks, many connections | `transfer::a_thousand_connections_at_once` |
//! | several shards | `shards` |
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod any;
mod blocking;
mod clock;
mod current;
mod descriptor;
mod http;
mod life;
mod nets;
mod options;
mod shards;
mod stream;
mod tls;
mod transfer;
mod user;
